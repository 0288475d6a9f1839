//! `/dead-letters`: what failed a check, so that nothing is lost in silence.
//!
//! Each is kept whole, can be looked at, and can be taken again after a fix: a device that was
//! registered, a limit that was corrected, a unit that was declared (`replay`).

mod replay;
mod view;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use historian::{DeadLetterQuery, DeadLetterState, StoredDeadLetter};
use serde::{Deserialize, Serialize};
use telemetry::{DeadLetterReason, DeviceId};
use utoipa::{IntoParams, ToSchema};

pub(crate) use self::replay::{__path_replay, replay};
pub use self::{
    replay::{ReplayAnswer, ReplayRequest, StillRefused},
    view::{DeadLetterView, Property},
};
use super::{
    Shared,
    extract::Number,
    list::{Listing, PageParams},
    page::Page,
    problem::Problem,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterFilter {
    /// `open` (not taken again yet), `replayed` or `all` (the default).
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: StateWord,
    /// Only with this reason.
    #[param(value_type = Option<String>)]
    reason: Option<DeadLetterReason>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateWord {
    Open,
    Replayed,
    #[default]
    All,
}

impl From<StateWord> for DeadLetterState {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Open => Self::Open,
            StateWord::Replayed => Self::Replayed,
            StateWord::All => Self::All,
        }
    }
}

/// List dead letters, newest first, with the first bytes of their payloads.
#[utoipa::path(get, path = "/dead-letters", tag = "system", params(DeadLetterFilter, PageParams),
    responses((status = 200, description = "A page of dead letters", content(
        (Page<DeadLetterView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<DeadLetterFilter>,
) -> Result<Response, Problem> {
    let query = DeadLetterQuery {
        state: list.filter.state.into(),
        reason: list.filter.reason,
        device: list.filter.device.clone(),
        before_id: list.window.after_as()?,
        limit: list.window.limit + 1,
    };
    let letters = api.parts.journal.dead_letters(query).await?;
    let letters = letters.into_iter().map(DeadLetterView::from).collect();
    let page = list
        .window
        .page(letters, |letter: &DeadLetterView| letter.id.to_string());
    Ok(list.answer(page))
}

/// Get one dead letter with its whole payload.
#[utoipa::path(get, path = "/dead-letters/{id}", tag = "system",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = DeadLetterView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<DeadLetterView>, Problem> {
    one(&api, id).await.map(DeadLetterView::from).map(Json)
}

/// Get the payload of a dead letter as it came.
#[utoipa::path(get, path = "/dead-letters/{id}/payload", tag = "system",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn payload(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Response, Problem> {
    let stored = one(&api, id).await?;
    // Never the content type the sender gave: a payload that says it is a page must not be one.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"dead-letter-{}.bin\"", stored.id),
        ),
    ];
    Ok((headers, stored.letter.payload).into_response())
}

async fn one(api: &Shared, id: u64) -> Result<StoredDeadLetter, Problem> {
    let stored = api.parts.journal.dead_letter(id).await?;
    stored.ok_or_else(|| Problem::no_such("dead letter", id))
}

/// How many dead letters there have been.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterSummary {
    /// All of them since the journal was created.
    pub total: u64,
    /// By reason; every reason is listed.
    pub by_reason: BTreeMap<String, u64>,
    /// Those in the list that have not been taken again.
    pub open: u64,
    /// The same by reason; every reason is listed.
    pub open_by_reason: BTreeMap<String, u64>,
    /// Those in the list.
    pub kept: u64,
    /// The bytes they take.
    pub kept_bytes: u64,
    /// Those that left the list to keep its bounds.
    pub dropped: u64,
}

/// Count dead letters by reason.
#[utoipa::path(get, path = "/dead-letters/summary", tag = "system",
    responses((status = 200, body = DeadLetterSummary)))]
pub(crate) async fn summary(State(api): State<Shared>) -> Result<Json<DeadLetterSummary>, Problem> {
    let room = api.parts.journal.stats().dead_letters;
    let by_reason = counts(&api).await?;
    let open_by_reason = open_counts(&api).await?;
    Ok(Json(DeadLetterSummary {
        total: by_reason.values().sum(),
        by_reason,
        open: open_by_reason.values().sum(),
        open_by_reason,
        kept: room.kept,
        kept_bytes: room.bytes,
        dropped: room.dropped,
    }))
}

/// How many there have been by reason; every reason is listed.
pub(crate) async fn counts(api: &Shared) -> Result<BTreeMap<String, u64>, Problem> {
    Ok(by_word(api.parts.journal.dead_letter_counts().await?))
}

/// How many in the list have not been taken again, by reason; every reason is listed.
pub(crate) async fn open_counts(api: &Shared) -> Result<BTreeMap<String, u64>, Problem> {
    Ok(by_word(api.parts.journal.open_dead_letter_counts().await?))
}

fn by_word(counts: impl IntoIterator<Item = (DeadLetterReason, u64)>) -> BTreeMap<String, u64> {
    let mut by_reason: BTreeMap<String, u64> = DeadLetterReason::ALL
        .into_iter()
        .map(|reason| (reason.as_str().to_owned(), 0))
        .collect();
    for (reason, count) in counts {
        by_reason.insert(reason.as_str().to_owned(), count);
    }
    by_reason
}
