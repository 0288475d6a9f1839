//! Between rows and messages.

use sqlx::{Row as _, sqlite::SqliteRow};
use telemetry::{CaseId, ChainId, MessageId, Severity, Timestamp};

use super::{
    allot::{Gone, Waiting},
    message::Message,
    outbox::{Sending, State},
};
use crate::{AlertingError, people::Escalation};

/// Reads one column, or says which could not be read of what.
fn get<'a, T>(row: &'a SqliteRow, of: &str, column: &'static str) -> Result<T, AlertingError>
where
    T: sqlx::Type<sqlx::Sqlite> + sqlx::Decode<'a, sqlx::Sqlite>,
{
    row.try_get(column)
        .map_err(|source| AlertingError::Database {
            doing: format!("reading {column} of {of}"),
            source,
        })
}

fn unreadable(of: &str, column: &'static str, value: &str) -> AlertingError {
    AlertingError::Unreadable {
        row: of.to_owned(),
        column,
        value: value.chars().take(80).collect(),
    }
}

fn parsed<T>(
    row: &SqliteRow,
    of: &str,
    column: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, AlertingError> {
    let text: &str = get(row, of, column)?;
    parse(text).ok_or_else(|| unreadable(of, column, text))
}

fn time(row: &SqliteRow, of: &str, column: &'static str) -> Result<Timestamp, AlertingError> {
    Ok(Timestamp::from_micros(get(row, of, column)?))
}

fn maybe_time(
    row: &SqliteRow,
    of: &str,
    column: &'static str,
) -> Result<Option<Timestamp>, AlertingError> {
    let micros: Option<i64> = get(row, of, column)?;
    Ok(micros.map(Timestamp::from_micros))
}

const MESSAGE: &str = "a notification";
const ESCALATION: &str = "an escalation";

/// A row of `notifications`.
pub(super) fn sending(row: &SqliteRow) -> Result<Sending, AlertingError> {
    let text: &str = get(row, MESSAGE, "message")?;
    let message: Message =
        serde_json::from_str(text).map_err(|_| unreadable(MESSAGE, "message", text))?;
    let digest: Option<&str> = get(row, MESSAGE, "digest")?;
    let of = format!("notification {}", message.id);
    Ok(Sending {
        number: get(row, &of, "number")?,
        state: parsed(row, &of, "state", State::parse)?,
        attempts: get(row, &of, "attempts")?,
        created_at: time(row, &of, "created_at")?,
        next_at: time(row, &of, "next_at")?,
        deadline_at: time(row, &of, "deadline_at")?,
        sent_at: maybe_time(row, &of, "sent_at")?,
        last_error: get(row, &of, "last_error")?,
        digest: digest.and_then(|id| MessageId::new(id).ok()),
        message,
    })
}

/// What is asked of a message that waits for its turn, with who it is for.
pub(super) fn waiting(row: &SqliteRow) -> Result<(String, Option<CaseId>, Waiting), AlertingError> {
    let severity: Option<&str> = get(row, MESSAGE, "severity")?;
    let case: Option<&str> = get(row, MESSAGE, "case_id")?;
    let waiting = Waiting {
        id: parsed(row, MESSAGE, "id", |id| MessageId::new(id).ok())?,
        group: get(row, MESSAGE, "part")?,
        severity: severity.and_then(|word| word.parse::<Severity>().ok()),
        joins: get(row, MESSAGE, "joins")?,
        at: time(row, MESSAGE, "created_at")?,
    };
    let case = case.and_then(|id| CaseId::new(id).ok());
    Ok((get(row, MESSAGE, "recipient")?, case, waiting))
}

/// What is asked of a message that went, with who it was for. One that is claimed goes now.
pub(super) fn gone(row: &SqliteRow, now: Timestamp) -> Result<(String, Gone), AlertingError> {
    let kind: &str = get(row, MESSAGE, "kind")?;
    let gone = Gone {
        at: maybe_time(row, MESSAGE, "sent_at")?.unwrap_or(now),
        group: get(row, MESSAGE, "part")?,
        digest: kind == super::Kind::Digest.as_str(),
    };
    Ok((get(row, MESSAGE, "recipient")?, gone))
}

/// A row of `escalations`.
pub(super) fn escalation(row: &SqliteRow) -> Result<(CaseId, Escalation), AlertingError> {
    let case = parsed(row, ESCALATION, "case_id", |id| CaseId::new(id).ok())?;
    let of = format!("the escalation of case {case}");
    let told: &str = get(row, &of, "told")?;
    let told: Vec<(u16, i64)> =
        serde_json::from_str(told).map_err(|_| unreadable(&of, "told", told))?;
    let escalation = Escalation {
        chain: parsed(row, &of, "chain", |id| ChainId::new(id).ok())?,
        since: time(row, &of, "since")?,
        acknowledged_at: maybe_time(row, &of, "acknowledged_at")?,
        resolved_at: maybe_time(row, &of, "resolved_at")?,
        closed: get(row, &of, "closed")?,
        told: told
            .into_iter()
            .map(|(step, at)| (step, Timestamp::from_micros(at)))
            .collect(),
    };
    Ok((case, escalation))
}
