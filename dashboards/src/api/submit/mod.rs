//! `POST /readings`: readings over HTTP, with the promise that MQTT devices get.
//!
//! The body is what a device would publish: any format the decoder knows, told by its
//! Content-Type. The answer comes after the journal has committed what was good and what was
//! refused alike, so 2xx means stored, and a request without an answer may be repeated: the
//! same reading is stored once. Query parameters besides `device` and `topic` become the
//! message's properties, as MQTT 5 user properties do.
//!
//! The work is done in a task of its own, so that a sender that hangs up before its answer
//! leaves nothing half done, and finds the answer when it repeats the request with its
//! idempotency key.

mod idempotency;
mod request;

use std::{sync::Arc, time::Instant};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ingest::{Message, Submitted};
use serde::Serialize;
use sha2::{Digest, Sha256};
use telemetry::{DeadLetter, DeadLetterReason, Grant};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use self::{
    idempotency::{Answer, Answers, Begun, Turn},
    request::{Query, grant, is_packed, key, read_body, text},
};
use super::{
    Shared,
    problem::{Problem, Refused},
};

/// The longest body, packed and unpacked: the longest payload that is decoded and kept.
pub(crate) const MAX_BODY_BYTES: usize = DeadLetter::MAX_PAYLOAD_BYTES;
/// Bodies longer than this take one of the few places for long bodies while they are read.
const LONG_BODY_BYTES: u64 = 64 * 1024;
/// Long bodies in memory at once: 64 MiB, and as much again while they are unpacked.
const LONG_BODIES: usize = 16;
/// Refusals listed in an answer; all of them are in the dead letters.
const MAX_REFUSED: usize = 20;
/// What a sender is told whose body names no device.
const NO_DEVICE: &str = "say whose readings these are: ?device=ID or ?topic=TOPIC, or a body that \
    names its devices (line protocol with the tag device, SenML with the device in its names)";
/// The header of an answer that was given before.
const REPLAYED: &str = "idempotent-replayed";

/// What this way in remembers between requests.
#[derive(Debug)]
pub(crate) struct Desk {
    answers: Answers,
    long_bodies: Semaphore,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            answers: Answers::default(),
            long_bodies: Semaphore::new(LONG_BODIES),
        }
    }
}

/// The parameters of [`submit`], described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "described, read from the query by hand")]
pub(crate) struct SubmitParams {
    /// Whose readings; stands for the topic that the device would publish on. When neither this
    /// nor `topic` is given it is the device of the token, or else the body names its devices:
    /// line protocol by the tag `device`, `SenML` by its names.
    device: Option<String>,
    /// The topic, where the device alone does not tell it (Sparkplug, configured patterns).
    topic: Option<String>,
    /// The time of measurement where the body tells none.
    ts: Option<String>,
    /// The signal of a plain number or a waveform.
    signal: Option<String>,
    /// The unit of a plain number or a waveform.
    unit: Option<String>,
    /// The axis of a waveform.
    axis: Option<String>,
    /// The sample rate of a binary waveform.
    sample_rate_hz: Option<f64>,
    /// The samples of a binary waveform: `f32le` (the default) or `i16le`.
    encoding: Option<String>,
    /// What each `i16le` sample is multiplied by.
    scale: Option<f64>,
}

/// What became of the body.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubmitAnswer {
    /// Values stored.
    pub readings: u64,
    /// Waveforms stored.
    pub waveforms: u64,
    /// What was refused; the first of them, all are listed as dead letters.
    pub dead_letters: Vec<Refused>,
    /// The offset of the commit in the journal; null when there was nothing to commit.
    pub offset: Option<u64>,
}

/// Take readings in. The answer comes when they are safely stored.
#[utoipa::path(post, path = "/readings", tag = "readings", params(SubmitParams,
        ("Authorization" = Option<String>, Header, description = "`Bearer` and a device token, \
            where credentials are required"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same \
            body gets the same answer for an hour; with another body it is refused"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or none")),
    request_body(content = String, content_type = "*/*",
        description = "What a device would publish, in the format that Content-Type names"),
    responses((status = 200, body = SubmitAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still being worked on",
            body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Everything was refused, or the key belongs to another body",
            body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn submit(
    State(api): State<Shared>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    let grant = Arc::new(grant(&api, &headers)?);
    let (topic, query) = query.topic(&api, &grant)?;
    let mut properties = query.properties;
    if is_packed(&headers)? {
        // The decoder unpacks, with its bounds, what says so.
        properties.push(("content-encoding".to_owned(), "gzip".to_owned()));
    }
    let desk = &api.desk;
    if let Some(wait) = api.parts.intake.quota_wait(&grant) {
        let seconds = wait.as_secs_f64().ceil() as u32;
        let detail = format!("the quota of this credential is used up; go on in {seconds} s");
        return Err(Problem::too_many(detail).retry_after(seconds));
    }
    let body = read_body(desk, request).await?;
    api.parts.intake.quota_take(&grant, body.len());
    let work = Work {
        topic,
        content_type: text(&headers, &header::CONTENT_TYPE),
        properties,
        body,
        grant,
    };
    let turn = match key(&headers)? {
        None => None,
        Some(key) => {
            let key = (work.grant.credential, key);
            match desk.answers.begin(key, work.fingerprint(), Instant::now()) {
                Begun::Fresh(turn) => Some(turn),
                Begun::Known(answer) => return Ok(again(answer)),
                Begun::Running => {
                    return Err(Problem::conflict(
                        "the first request with this idempotency key is still being worked on",
                    )
                    .retry_after(1));
                }
                Begun::Other => {
                    return Err(Problem::key_reused(
                        "this idempotency key came with another body or address before; use a new one",
                    ));
                }
            }
        }
    };
    // Not the request's own task: it ends when the sender hangs up, the commit does not.
    let task = tokio::spawn(async move { work.done(&api, turn).await });
    task.await
        .unwrap_or_else(|error| Err(Problem::from_failure(&error, false)))
}

/// A request that was let in.
struct Work {
    topic: String,
    content_type: Option<String>,
    properties: Vec<(String, String)>,
    body: Bytes,
    grant: Arc<Grant>,
}

impl Work {
    /// What makes a request the same request.
    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.topic.as_bytes());
        part(self.content_type.as_deref().unwrap_or_default().as_bytes());
        for (name, value) in &self.properties {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        part(&self.body);
        hash.finalize().into()
    }

    /// Does it and keeps the answer. What may work later is not kept.
    async fn done(self, api: &Shared, turn: Option<Turn>) -> Result<Response, Problem> {
        let answer = match self.taken(api).await {
            Ok(answer) => answer,
            Err(problem) if problem.status == 422 => problem_answer(&problem),
            Err(problem) => return Err(problem),
        };
        if let Some(turn) = turn {
            turn.keep(answer.clone());
        }
        Ok(given(answer))
    }

    async fn taken(&self, api: &Shared) -> Result<Answer, Problem> {
        let mut message = Message::new(&self.topic, &self.body, api.parts.clock.now());
        message.content_type = self.content_type.as_deref();
        message.properties = &self.properties;
        let submitted = api.parts.intake.submit(message, &self.grant).await?;
        if submitted.is_nobodys() && self.topic.is_empty() {
            return Err(Problem::invalid_parameter("device", NO_DEVICE));
        }
        answer(&submitted)
    }
}

/// The answer to a message that was committed; a problem when nothing of it was good.
fn answer(submitted: &Submitted) -> Result<Answer, Problem> {
    let refused = submitted.dead_letters.iter().take(MAX_REFUSED);
    let refused: Vec<Refused> = refused
        .map(|(reason, detail)| Refused {
            reason: reason.as_str().to_owned(),
            detail: detail.clone(),
        })
        .collect();
    if submitted.readings == 0
        && submitted.waveforms == 0
        && let Some(first) = refused.first()
    {
        let reasons = &submitted.dead_letters;
        if reasons
            .iter()
            .any(|(reason, _)| *reason == DeadLetterReason::NotAuthorized)
        {
            return Err(Problem::forbidden(first.detail.clone()));
        }
        let mut problem = Problem::nothing_accepted(format!(
            "{}; it is kept in the quarantine (/api/v1/dead-letters)",
            first.detail
        ));
        problem.refused = Some(Box::new(refused));
        return Err(problem);
    }
    let body = SubmitAnswer {
        readings: submitted.readings,
        waveforms: submitted.waveforms,
        dead_letters: refused,
        offset: submitted.offset.map(|offset| offset.0),
    };
    let body = serde_json::to_vec(&body).map_err(|error| Problem::from_failure(&error, false))?;
    Ok(Answer {
        status: 200,
        content_type: "application/json",
        body: body.into(),
    })
}

fn problem_answer(problem: &Problem) -> Answer {
    Answer {
        status: problem.status,
        content_type: "application/problem+json",
        body: serde_json::to_vec(problem).unwrap_or_default().into(),
    }
}

fn given(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, answer.content_type),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, answer.body).into_response()
}

/// An answer that was given before, and says so.
fn again(answer: Answer) -> Response {
    let mut response = given(answer);
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
