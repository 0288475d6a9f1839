//! Taking dead letters again.
//!
//! A letter is decoded and checked with the settings of now, as if it had just come, but with
//! the time at which it came. What is good now is stored; a letter whose reason does not hold
//! any more is marked as replayed, and the others stay open and tell what is still wrong.
//! Repeating is harmless: the same reading is stored once.

use std::time::{Duration, Instant};

use axum::{Json, extract::State};
use historian::{DeadLetterQuery, DeadLetterState};
use serde::{Deserialize, Serialize};
use telemetry::{DeadLetterReason, DeviceId};
use utoipa::ToSchema;

use crate::api::{
    Shared,
    extract::Body,
    page::{self, Page, Window},
    problem::Problem,
};

/// Letters of one request. Each may hold four megabytes and costs a commit.
const MAX_LETTERS: u32 = 500;
/// No further letter is begun after this time, well inside the time limit of a request.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which dead letters to take again: these, or all open ones with this reason, of this device
/// or both.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// These, at most 500.
    #[serde(default)]
    ids: Option<Vec<u64>>,
    /// All open ones with this reason.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Option<DeadLetterReason>,
    /// All open ones of this device.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Where to go on: `next` of the answer before, with the rest of the request unchanged.
    #[serde(default)]
    cursor: Option<String>,
}

/// What became of the letters.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ReplayAnswer {
    /// Letters whose reason does not hold any more.
    pub replayed: u64,
    /// Values stored.
    pub readings: u64,
    /// Waveforms stored.
    pub waveforms: u64,
    /// Letters that are refused for the same reason still.
    pub still_refused: Vec<StillRefused>,
    /// Numbers of which there is no letter any more.
    pub missing: Vec<u64>,
    /// Give this as `cursor` to go on; null when all were taken.
    pub next: Option<String>,
}

/// A letter that is still refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StillRefused {
    /// Its number.
    pub id: u64,
    /// Which check it fails now.
    pub reason: String,
    /// What exactly is wrong now.
    pub detail: String,
}

/// Take dead letters again, after a fix.
#[utoipa::path(post, path = "/dead-letters/replay", tag = "system", request_body = ReplayRequest,
    responses((status = 200, body = ReplayAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn replay(
    State(api): State<Shared>,
    Body(request): Body<ReplayRequest>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let chosen = chosen(&api, request).await?;
    let mut answer = ReplayAnswer {
        next: chosen.next,
        ..ReplayAnswer::default()
    };
    let mut done = Vec::new();
    let mut result = Ok(());
    let end = Instant::now() + PATIENCE;
    for id in chosen.items {
        if Instant::now() >= end {
            answer.next = Some(page::encode_cursor(&(id + 1).to_string()));
            break;
        }
        match one(&api, id, &mut answer).await {
            Ok(true) => done.push(id),
            Ok(false) => {}
            Err(problem) => {
                result = Err(problem);
                break;
            }
        }
    }
    // What was stored before a failure is marked all the same.
    answer.replayed = done.len() as u64;
    if !done.is_empty() {
        let now = api.parts.clock.now();
        api.parts.journal.mark_replayed(done, now).await?;
    }
    result.map(|()| Json(answer))
}

/// The numbers of the letters that are meant, newest first.
async fn chosen(api: &Shared, request: ReplayRequest) -> Result<Page<u64>, Problem> {
    let window = Window::new(Some(MAX_LETTERS), request.cursor.as_deref(), MAX_LETTERS)?;
    let before_id: Option<u64> = window.after_as()?;
    let filtered = request.reason.is_some() || request.device.is_some();
    match request.ids {
        Some(_) if filtered => Err(Problem::invalid_value(
            "name either the ids or a reason and a device",
        )
        .at_field("ids")),
        Some(ids) if ids.len() > MAX_LETTERS as usize => Err(Problem::invalid_value(format!(
            "at most {MAX_LETTERS} ids at once, not {}",
            ids.len()
        ))
        .at_field("ids")),
        Some(mut ids) => {
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.dedup();
            ids.retain(|id| before_id.is_none_or(|before| *id < before));
            Ok(Page {
                items: ids,
                next: None,
            })
        }
        None if !filtered => Err(Problem::invalid_value(
            "say which: {\"ids\": [...]}, {\"reason\": \"...\"} or {\"device\": \"...\"}",
        )
        .at_field("ids")),
        None => {
            let query = DeadLetterQuery {
                state: DeadLetterState::Open,
                reason: request.reason,
                device: request.device,
                before_id,
                limit: window.limit + 1,
            };
            let letters = api.parts.journal.dead_letters(query).await?;
            let ids = letters.into_iter().map(|letter| letter.id).collect();
            Ok(window.page(ids, ToString::to_string))
        }
    }
}

/// Takes one letter again; tells whether its reason does not hold any more.
async fn one(api: &Shared, id: u64, answer: &mut ReplayAnswer) -> Result<bool, Problem> {
    let Some(stored) = api.parts.journal.dead_letter(id).await? else {
        answer.missing.push(id);
        return Ok(false);
    };
    let letter = stored.letter;
    if !stored.whole {
        answer.still_refused.push(StillRefused {
            id,
            reason: letter.reason.as_str().to_owned(),
            detail: format!(
                "only {} of its {} bytes were kept, so it cannot be taken again",
                letter.payload.len(),
                letter.payload_len
            ),
        });
        return Ok(false);
    }
    let replayed = api.parts.intake.replay(&letter).await?;
    answer.readings += replayed.readings;
    answer.waveforms += replayed.waveforms;
    // A message with several mistakes has a letter for each; each is closed by its own.
    let mut still = replayed.still.into_iter();
    match still.find(|(reason, _)| *reason == letter.reason) {
        None => Ok(true),
        Some((reason, detail)) => {
            let reason = reason.as_str().to_owned();
            let still = StillRefused { id, reason, detail };
            answer.still_refused.push(still);
            Ok(false)
        }
    }
}
