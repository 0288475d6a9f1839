//! `/cases/{id}/replay` and `/cases/{id}/capsule`: does the frozen evidence say the same again?

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use telemetry::{BoxFuture, CaseId, Timestamp};
use utoipa::ToSchema;

use super::{Shared, extract::Id, problem::Problem};

/// What came of computing a case again from what was frozen with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recomputed {
    /// Whether all evidence is equal to the last bit of every number.
    pub same: bool,
    /// The score the case was opened with; 1 is the alarm limit.
    pub recorded: f64,
    /// The score now; null when no case opens any more.
    pub recomputed: Option<f64>,
    /// Rows that were frozen and computed again.
    pub rows: u64,
    /// Devices whose rows these are: that of the case, and those it was compared with.
    pub devices: u64,
    /// The version of the program that opened the case.
    pub program: String,
    /// What differs, when something does.
    pub why: Option<String>,
}

/// Who can compute a case again.
pub trait CaseReplay: Send + Sync {
    /// Computes a case again from what was frozen with it; none when nothing was.
    ///
    /// # Errors
    /// In words: the capsule is damaged, or was made by another version.
    fn replay<'a>(&'a self, case: &'a CaseId) -> BoxFuture<'a, Result<Option<Recomputed>, String>>;
}

/// A [`Recomputed`], and when that was.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ReplayView {
    #[serde(flatten)]
    recomputed: Recomputed,
    /// When it was computed.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Compute a case again
///
/// From the states, rows, model and rules that were frozen when it opened, by the code that runs now.
#[utoipa::path(post, path = "/cases/{id}/replay", tag = "cases",
    params(("id" = String, Path, description = "the case")),
    responses((status = 200, body = ReplayView), (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn replay(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
) -> Result<Json<ReplayView>, Problem> {
    let done = api.parts.replays.replay(&id).await;
    let done = done.map_err(|problem| {
        Problem::conflict(format!("case {id} cannot be computed again: {problem}"))
    })?;
    let recomputed = done.ok_or_else(|| nothing_frozen(&id))?;
    Ok(Json(ReplayView {
        recomputed,
        at: api.parts.clock.now(),
    }))
}

/// Get what a case was opened from
///
/// JSON: configuration and model as they were, the states of the devices (base64) and their rows
/// since (base64, in the journal's encoding).
#[utoipa::path(get, path = "/cases/{id}/capsule", tag = "cases",
    params(("id" = String, Path, description = "the case")),
    responses((status = 200, description = "the capsule", content_type = "application/json"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn capsule(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
) -> Result<Response, Problem> {
    let kept = api.parts.cases.capsule(&id).await?;
    let packed = kept.ok_or_else(|| nothing_frozen(&id))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_ENCODING, "gzip"),
    ];
    Ok((headers, Body::from(packed)).into_response())
}

fn nothing_frozen(id: &CaseId) -> Problem {
    Problem::not_found(format!(
        "nothing was frozen with case {id}, or there is no such case; cases that were opened by \
         an earlier version have no capsule"
    ))
}
