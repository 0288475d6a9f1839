//! Between rows and values. Whatever cannot be read back is an error that names the row.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::{Row, sqlite::SqliteRow};
use telemetry::{
    AssetId, CaseId, DeviceId, FailureMode, Outcome, PersonId, Severity, SignalName, SiteId,
    Timestamp, WorkOrderId,
};

use crate::{
    AlertingError, Case, CaseEvent, CaseEventKind, CaseStatus,
    desk::{Episode, Held, Mark, Subject, Watch},
    shelving::{Matcher, Silence},
};

/// Reads the columns of one row.
struct Reader<'a> {
    row: &'a SqliteRow,
    name: String,
}

impl<'a> Reader<'a> {
    fn new(row: &'a SqliteRow, name: String) -> Self {
        Self { row, name }
    }

    fn get<T>(&self, column: &'static str) -> Result<T, AlertingError>
    where
        T: sqlx::Type<sqlx::Sqlite> + sqlx::Decode<'a, sqlx::Sqlite>,
    {
        self.row
            .try_get(column)
            .map_err(|source| AlertingError::Database {
                doing: format!("reading {column} of {}", self.name),
                source,
            })
    }

    fn unreadable(&self, column: &'static str, value: &str) -> AlertingError {
        AlertingError::Unreadable {
            row: self.name.clone(),
            column,
            value: value.chars().take(80).collect(),
        }
    }

    fn word<T: FromStr>(&self, column: &'static str) -> Result<T, AlertingError> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|_| self.unreadable(column, text))
    }

    fn maybe_word<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, AlertingError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| self.unreadable(column, text)))
            .transpose()
    }

    fn named<T>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, AlertingError> {
        let text: &str = self.get(column)?;
        parse(text).ok_or_else(|| self.unreadable(column, text))
    }

    /// A signal, where the empty text is none.
    fn signal(&self, column: &'static str) -> Result<Option<SignalName>, AlertingError> {
        let text: &str = self.get(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.word(column).map(Some)
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, AlertingError> {
        Ok(Timestamp::from_micros(self.get(column)?))
    }

    fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>, AlertingError> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_micros))
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, AlertingError> {
        let text: &str = self.get(column)?;
        serde_json::from_str(text).map_err(|_| self.unreadable(column, text))
    }

    fn maybe_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, AlertingError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| self.unreadable(column, text)))
            .transpose()
    }
}

/// A row of `cases`.
pub(super) fn case(row: &SqliteRow) -> Result<Case, AlertingError> {
    let mut read = Reader::new(row, "a case".to_owned());
    let id: CaseId = read.word("id")?;
    read.name = format!("case {id}");
    Ok(Case {
        id,
        asset: read.word::<AssetId>("asset")?,
        device: read.word::<DeviceId>("device")?,
        failure_mode: read.word::<FailureMode>("failure_mode")?,
        signal: read.signal("signal")?,
        severity: read.word::<Severity>("severity")?,
        status: read.named("status", CaseStatus::parse)?,
        opened_at: read.time("opened_at")?,
        updated_at: read.time("updated_at")?,
        cleared_at: read.maybe_time("cleared_at")?,
        closed_at: read.maybe_time("closed_at")?,
        score: read.get("score")?,
        peak_score: read.get("peak_score")?,
        evidence: read.json("evidence")?,
        prognosis: read.maybe_json("prognosis")?,
        assignee: read.maybe_word::<PersonId>("assignee")?,
        work_order: read.maybe_word::<WorkOrderId>("work_order")?,
        outcome: read.maybe_word::<Outcome>("outcome")?,
        source: read.json("source")?,
        verdict: read.word("verdict")?,
        why: read.maybe_json("why")?,
        round: read.get("round")?,
        seen_at: read.time("seen_at")?,
        site: read.maybe_word("site")?,
        stale: read.get("stale")?,
        suppressed: read.maybe_json("suppressed")?,
        parent: read.maybe_word("parent")?,
        watch_list: read.maybe_json("watch_list")?,
        expected_avoided_cost: read.get("avoided_cost")?,
        currency: read.get("currency")?,
    })
}

/// A row of `cases` with what the desk keeps beside the case.
pub(super) fn held(row: &SqliteRow) -> Result<Held, AlertingError> {
    let case = case(row)?;
    let read = Reader::new(row, format!("case {}", case.id));
    Ok(Held {
        scored_at: read.time("scored_at")?,
        forecast_at: read.time("forecast_at")?,
        deferred: read.get("deferred")?,
        care: read.json("care")?,
        case,
    })
}

/// A row of `case_events` with the case it is about.
pub(crate) fn logged(row: &SqliteRow) -> Result<(CaseId, CaseEvent), AlertingError> {
    let read = Reader::new(row, "the log of a case".to_owned());
    Ok((read.word("case_id")?, event(row)?))
}

/// A row of `case_events`.
pub(super) fn event(row: &SqliteRow) -> Result<CaseEvent, AlertingError> {
    let read = Reader::new(row, "the log of a case".to_owned());
    Ok(CaseEvent {
        at: read.time("at")?,
        kind: read.named("kind", CaseEventKind::parse)?,
        by: read.get("actor")?,
        detail: read.maybe_json("detail")?,
    })
}

/// A row of `episodes`.
pub(super) fn episode(row: &SqliteRow) -> Result<(Watch, Episode), AlertingError> {
    let read = Reader::new(row, "an alarm episode".to_owned());
    let rule: &str = read.get("rule")?;
    let of = match (read.signal("signal")?, rule) {
        (Some(signal), _) => Subject::Sensor(signal),
        (None, "") => Subject::Machine,
        (None, _) => Subject::Rule(read.word("rule")?),
    };
    let watch = Watch {
        asset: read.word("asset")?,
        device: read.word("device")?,
        of,
    };
    let episode = Episode {
        since: read.time("since")?,
        case: read.word("case_id")?,
        round: read.get("round")?,
        active: read.get("active")?,
        mark: Mark {
            at: read.time("mark_at")?,
            rank: read.get("mark_rank")?,
        },
    };
    Ok((watch, episode))
}

/// The site a row tells of.
pub(super) fn site(row: &SqliteRow) -> Result<Option<SiteId>, AlertingError> {
    Reader::new(row, "a site".to_owned()).maybe_word("site")
}

/// A row of `silences`.
pub(super) fn silence(row: &SqliteRow) -> Result<Silence, AlertingError> {
    let read = Reader::new(row, "a silence".to_owned());
    Ok(Silence {
        id: read.get("number")?,
        matcher: Matcher {
            asset: read.maybe_word("asset")?,
            site: read.maybe_word("site")?,
            model: read.maybe_word("model")?,
            failure_mode: read.maybe_word("failure_mode")?,
        },
        from: read.time("from_at")?,
        until: read.time("until_at")?,
        by: read.get("author")?,
        note: read.get("note")?,
        created_at: read.time("created_at")?,
        ended_at: read.maybe_time("ended_at")?,
        ended_by: read.get("ended_by")?,
    })
}
