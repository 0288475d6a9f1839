//! How the order of a case follows what becomes of the case: a forecast that moves, an alarm that
//! rises again, a condition that clears.
//!
//! A proposal nobody has looked at follows freely. From the moment a person has approved it the
//! date is theirs: what is new is written into the log, and nothing else changes.

use std::time::Duration;

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use telemetry::{Advisory, CaseId, Explanation, Timestamp, WorkOrderId};

use super::{Service, commit, failed, orders::log, planning::Planned};
use crate::{
    DateDecision, LogEntry, Name, Note, ServiceError, WorkOrderStatus, delivery::DeliveryKind,
    lifecycle, work_order::order_id,
};

/// A date that moves by less does not move: every forecast differs a little from the one before.
const LEAST_MOVE: Duration = Duration::from_hours(1);
/// And by less than this part of the time that is left.
const LEAST_PART: u64 = 20;
/// A person who has set a date is told again when the forecast asks for one this much earlier.
const WARN_STEP: Duration = Duration::from_hours(24);
/// The same remark within this time is one.
const SAME_REMARK: Duration = Duration::from_hours(1);

/// The order of the latest round of a case, as far as following needs it.
struct Known {
    number: i64,
    status: WorkOrderStatus,
    due_by: Option<Timestamp>,
    scheduled_for: Option<Timestamp>,
    warned_due: Option<Timestamp>,
}

impl Known {
    fn read(row: &SqliteRow, doing: &str) -> Result<Self, ServiceError> {
        let time = |column: &str| -> Result<Option<Timestamp>, ServiceError> {
            let micros: Option<i64> = row.try_get(column).map_err(failed(doing))?;
            Ok(micros.map(Timestamp::from_micros))
        };
        let status: &str = row.try_get("status").map_err(failed(doing))?;
        Ok(Self {
            number: row.try_get("number").map_err(failed(doing))?,
            status: WorkOrderStatus::parse(status).ok_or_else(|| ServiceError::Unreadable {
                row: "a work order".to_owned(),
                column: "status",
                value: status.chars().take(80).collect(),
            })?,
            due_by: time("due_by")?,
            scheduled_for: time("scheduled_for")?,
            warned_due: time("warned_due")?,
        })
    }
}

impl Service {
    /// The forecast behind a case has moved: the date of its proposal follows, with costs and
    /// curve. An order that somebody has approved keeps its date; when the forecast asks for an
    /// earlier one, its log says so. Gives the order when something of it changed.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn foresee(&self, advisory: &Advisory) -> Result<Option<WorkOrderId>, ServiceError> {
        let doing = format!("moving the date of the order for case {}", advisory.case);
        let Some(prognosis) = &advisory.prognosis else {
            // Nothing can be said any more; what was said last stands.
            return Ok(None);
        };
        let mut tx = self.begin(&doing).await?;
        let Some(known) = unfinished(&mut tx, &advisory.case, &doing).await? else {
            return Ok(None);
        };
        let planned = self.planned(&mut tx, advisory).await?;
        let due = planned.date.due_by;
        let changed = if known.status == WorkOrderStatus::Proposed {
            let moved = known
                .due_by
                .is_none_or(|before| has_moved(before, due, prognosis.at));
            if moved {
                redate(&mut tx, known.number, &planned, &doing).await?;
                let note = moved_note(known.due_by, &planned.date, &prognosis.model);
                self.remark(&mut tx, &known, &note).await?;
            }
            moved
        } else {
            let set = known.scheduled_for.or(known.due_by);
            let told = known.warned_due.or(set);
            let sooner = told.is_some_and(|told| due + WARN_STEP <= told);
            if sooner {
                warn(&mut tx, known.number, due, &doing).await?;
                let note = both(&planned.date.words);
                self.remark(&mut tx, &known, &note).await?;
            }
            sooner
        };
        commit(tx, &doing).await?;
        Ok(changed.then(|| order_id(known.number)))
    }

    /// See [`telemetry::AdvisorySink::withdraw`].
    pub(super) async fn take_back(
        &self,
        case: &CaseId,
        reason: &Explanation,
    ) -> Result<Option<WorkOrderId>, ServiceError> {
        let doing = format!("withdrawing the order for case {case}");
        let mut tx = self.begin(&doing).await?;
        let Some(known) = unfinished(&mut tx, case, &doing).await? else {
            return Ok(None);
        };
        let note = both(reason);
        if known.status == WorkOrderStatus::Proposed {
            let to = lifecycle::next(known.status, crate::Action::Cancel).map_err(|illegal| {
                ServiceError::Illegal {
                    order: order_id(known.number),
                    illegal,
                }
            })?;
            let now = self.now();
            sqlx::query(
                "UPDATE work_orders SET status = ?, note = ?, updated_at = ? WHERE number = ?",
            )
            .bind(to.as_str())
            .bind(note.as_str())
            .bind(now.as_micros())
            .bind(known.number)
            .execute(&mut *tx)
            .await
            .map_err(failed(&doing))?;
            let entry = LogEntry {
                at: now,
                by: Name::new(LogEntry::SYSTEM)?,
                from: Some(known.status),
                to,
                note: Note::new(&note)?,
            };
            log(&mut tx, known.number, &entry).await?;
            self.tell(&mut tx, known.number, DeliveryKind::Withdraw, &note, None)
                .await?;
        } else if was_said(&mut tx, known.number, &note, Timestamp::MIN).await?
            || !self.remark(&mut tx, &known, &note).await?
        {
            return Ok(None);
        }
        commit(tx, &doing).await?;
        Ok(Some(order_id(known.number)))
    }

    /// See [`telemetry::AdvisorySink::amend`].
    pub(super) async fn add_evidence(
        &self,
        advisory: &Advisory,
    ) -> Result<Option<WorkOrderId>, ServiceError> {
        let doing = format!("adding evidence to the order for case {}", advisory.case);
        let mut tx = self.begin(&doing).await?;
        let Some(known) = unfinished(&mut tx, &advisory.case, &doing).await? else {
            return Ok(None);
        };
        let note = format!(
            "The alarm has risen again or become more serious: now {severity}.\n\
             报警再次出现或加重：当前为 {severity}。",
            severity = advisory.severity
        );
        let added = self.remark(&mut tx, &known, &note).await?;
        let planned = self.planned(&mut tx, advisory).await?;
        let is_proposed = known.status == WorkOrderStatus::Proposed;
        if is_proposed {
            redate(&mut tx, known.number, &planned, &doing).await?;
        }
        // Whoever has agreed to a date sees that the order has become more urgent since.
        let changed = sqlx::query(
            "UPDATE work_orders SET severity = ?1, priority = ?2
             WHERE number = ?3 AND (severity IS NOT ?1 OR priority IS NOT ?2)",
        )
        .bind(advisory.severity.as_str())
        .bind(planned.priority)
        .bind(known.number)
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        if !added && !is_proposed && changed.rows_affected() == 0 {
            return Ok(None);
        }
        commit(tx, &doing).await?;
        Ok(Some(order_id(known.number)))
    }

    /// Writes into the log of an order what nobody did; false when it was said just now.
    async fn remark(
        &self,
        connection: &mut SqliteConnection,
        known: &Known,
        note: &str,
    ) -> Result<bool, ServiceError> {
        let doing = "adding to the log of a work order";
        let now = self.now();
        let note = Note::new(note)?;
        let since = Timestamp::from_micros(
            now.as_micros()
                .saturating_sub(SAME_REMARK.as_micros() as i64),
        );
        if was_said(connection, known.number, note.as_str(), since).await? {
            return Ok(false);
        }
        sqlx::query("UPDATE work_orders SET updated_at = ? WHERE number = ?")
            .bind(now.as_micros())
            .bind(known.number)
            .execute(&mut *connection)
            .await
            .map_err(failed(doing))?;
        let entry = LogEntry {
            at: now,
            by: Name::new(LogEntry::SYSTEM)?,
            from: Some(known.status),
            to: known.status,
            note,
        };
        log(connection, known.number, &entry).await?;
        let told = entry.note.as_str();
        self.tell(connection, known.number, DeliveryKind::Amend, told, None)
            .await?;
        Ok(true)
    }
}

/// The order of the latest round of a case, when something can still be done about it.
async fn unfinished(
    connection: &mut SqliteConnection,
    case: &CaseId,
    doing: &str,
) -> Result<Option<Known>, ServiceError> {
    let row = sqlx::query(
        "SELECT number, status, due_by, scheduled_for, warned_due FROM work_orders
         WHERE case_id = ? ORDER BY round DESC LIMIT 1",
    )
    .bind(case.as_str())
    .fetch_optional(connection)
    .await
    .map_err(failed(doing))?;
    let known = row.map(|row| Known::read(&row, doing)).transpose()?;
    Ok(known.filter(|known| !known.status.is_final()))
}

/// Whether the log of an order says this since a time.
async fn was_said(
    connection: &mut SqliteConnection,
    number: i64,
    note: &str,
    since: Timestamp,
) -> Result<bool, ServiceError> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM work_order_log
             WHERE work_order = ? AND note = ? AND at > ?)",
    )
    .bind(number)
    .bind(note)
    .bind(since.as_micros())
    .fetch_one(connection)
    .await
    .map_err(failed("reading the log of a work order"))
}

async fn redate(
    connection: &mut SqliteConnection,
    number: i64,
    planned: &Planned,
    doing: &str,
) -> Result<(), ServiceError> {
    let date = &planned.date;
    sqlx::query(
        "UPDATE work_orders SET due_from = ?, due_by = ?, date = ?, costs = ? WHERE number = ?",
    )
    .bind(date.due_from.as_micros())
    .bind(date.due_by.as_micros())
    .bind(serde_json::json!(date).to_string())
    .bind(serde_json::json!(planned.costs).to_string())
    .bind(number)
    .execute(connection)
    .await
    .map_err(failed(doing))?;
    Ok(())
}

async fn warn(
    connection: &mut SqliteConnection,
    number: i64,
    due: Timestamp,
    doing: &str,
) -> Result<(), ServiceError> {
    sqlx::query("UPDATE work_orders SET warned_due = ? WHERE number = ?")
        .bind(due.as_micros())
        .bind(number)
        .execute(connection)
        .await
        .map_err(failed(doing))?;
    Ok(())
}

/// Whether a date is another one and not the same with the noise of a new forecast.
fn has_moved(before: Timestamp, after: Timestamp, now: Timestamp) -> bool {
    let by = before.as_micros().abs_diff(after.as_micros());
    let left = before.as_micros().abs_diff(now.as_micros());
    by >= (LEAST_MOVE.as_micros() as u64).max(left / LEAST_PART)
}

fn moved_note(before: Option<Timestamp>, date: &DateDecision, model: &str) -> String {
    let from = before.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let due = date.due_by;
    let words = both(&date.words);
    format!("due by {due} instead of {from}: forecast by {model}\n{words}")
}

/// Both languages, one a line: the log is read by people of either.
fn both(words: &Explanation) -> String {
    format!("{}\n{}", words.en, words.zh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_moves_by_an_hour_and_a_twentieth_of_what_is_left() {
        let t = Timestamp::from_secs;
        for (before, after, moved) in [
            // Ten hours are left: half an hour is noise, an hour is not.
            (36_000, 37_800, false),
            (36_000, 39_600, true),
            // Forty hours are left: a twentieth is two hours.
            (144_000, 150_000, false),
            (144_000, 136_800, true),
        ] {
            assert_eq!(
                has_moved(t(before), t(after), t(0)),
                moved,
                "{before} {after}"
            );
        }
    }
}
