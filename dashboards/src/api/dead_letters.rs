//! `/dead-letters`: what failed a check, so that nothing is lost in silence.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use base64::{Engine, prelude::BASE64_STANDARD};
use historian::{DeadLetterQuery, StoredDeadLetter};
use serde::{Deserialize, Serialize};
use telemetry::{DeadLetterReason, DeviceId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Params,
    page::{MAX_LIMIT, Page, Window},
    problem::Problem,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterParams {
    /// Only with this reason.
    #[param(value_type = Option<String>)]
    reason: Option<DeadLetterReason>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
}

/// A message that failed a check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// Its number; rises with every dead letter.
    pub id: u64,
    /// Which check it failed, such as `malformed_payload`.
    pub reason: String,
    /// What exactly was wrong and what to do.
    pub detail: String,
    /// The device, when topic or session told it.
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceId>,
    /// The topic it was published on.
    pub topic: String,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// The first bytes of the payload as text; what is no UTF-8 is replaced.
    pub payload: String,
    /// The same bytes as they are, when they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The length of the whole payload in bytes.
    pub payload_len: u64,
}

impl From<StoredDeadLetter> for DeadLetterView {
    fn from(stored: StoredDeadLetter) -> Self {
        let letter = stored.letter;
        let whole_text = std::str::from_utf8(&letter.payload).is_ok();
        Self {
            id: stored.id,
            reason: letter.reason.as_str().to_owned(),
            detail: letter.detail,
            device: letter.device,
            topic: letter.topic,
            received_at: letter.received_at,
            payload: String::from_utf8_lossy(&letter.payload).into_owned(),
            payload_base64: (!whole_text).then(|| BASE64_STANDARD.encode(&letter.payload)),
            payload_len: letter.payload_len,
        }
    }
}

/// List dead letters, newest first.
#[utoipa::path(get, path = "/dead-letters", tag = "system", params(DeadLetterParams),
    responses((status = 200, body = Page<DeadLetterView>),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<DeadLetterParams>,
) -> Result<Json<Page<DeadLetterView>>, Problem> {
    let window = Window::new(params.limit, params.cursor.as_deref(), MAX_LIMIT)?;
    let query = DeadLetterQuery {
        reason: params.reason,
        device: params.device,
        before_id: window.after_as()?,
        limit: window.limit + 1,
    };
    let letters = api.parts.journal.dead_letters(query).await?;
    let letters = letters.into_iter().map(DeadLetterView::from).collect();
    Ok(Json(window.page(letters, |letter| letter.id.to_string())))
}

/// How many dead letters there have been.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterSummary {
    /// All of them since the journal was created.
    pub total: u64,
    /// By reason; every reason is listed.
    pub by_reason: BTreeMap<String, u64>,
}

/// Count dead letters by reason.
#[utoipa::path(get, path = "/dead-letters/summary", tag = "system",
    responses((status = 200, body = DeadLetterSummary)))]
pub(crate) async fn summary(State(api): State<Shared>) -> Result<Json<DeadLetterSummary>, Problem> {
    counts(&api).await.map(Json)
}

pub(crate) async fn counts(api: &Shared) -> Result<DeadLetterSummary, Problem> {
    let mut by_reason: BTreeMap<String, u64> = DeadLetterReason::ALL
        .into_iter()
        .map(|reason| (reason.as_str().to_owned(), 0))
        .collect();
    for (reason, count) in api.parts.journal.dead_letter_counts().await? {
        by_reason.insert(reason.as_str().to_owned(), count);
    }
    Ok(DeadLetterSummary {
        total: by_reason.values().sum(),
        by_reason,
    })
}
