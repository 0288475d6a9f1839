//! What is done with work orders: writing, raising, stepping, marking as delivered.

use sqlx::{Sqlite, SqliteConnection, Transaction};
use telemetry::{Advisory, EngineerId, FailureMode, Outcome, Timestamp, WorkOrderId};

use super::{
    Service, assets::require_asset, commit, failed, not_found, order_reads::read_order,
    planning::Planned,
};
use crate::{
    Action, Found, LogEntry, Name, NewWorkOrder, Note, ServiceError, Step, WorkOrder,
    WorkOrderStatus,
    delivery::DeliveryKind,
    lifecycle,
    work_order::{
        check_new, check_time, kind_of, order_id, order_number, priority_by_hand, top_signals,
    },
};

impl Service {
    /// Writes an order by hand; it starts as proposed.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a predictive order, [`ServiceError::NotFound`] for an
    /// unknown asset, and [`ServiceError::Database`].
    pub async fn create_work_order(&self, new: NewWorkOrder) -> Result<WorkOrder, ServiceError> {
        let doing = "writing a work order";
        check_new(&new)?;
        let mut tx = self.begin(doing).await?;
        let asset = require_asset(&mut tx, &new.asset).await?;
        let costs = self.costs_by_hand(&asset);
        let now = self.now();
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO work_orders (asset, kind, status, signals, due_by, note, created_at,
                 updated_at, priority, costs)
             VALUES (?1, ?2, 'proposed', '[]', ?3, ?4, ?5, ?5, ?6, ?7) RETURNING number",
        )
        .bind(new.asset.as_str())
        .bind(new.kind.as_str())
        .bind(new.due_by.map(Timestamp::as_micros))
        .bind(new.note.as_str())
        .bind(now.as_micros())
        .bind(priority_by_hand(new.kind))
        .bind(serde_json::json!(costs).to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let entry = LogEntry {
            at: now,
            by: new.by,
            from: None,
            to: WorkOrderStatus::Proposed,
            note: new.note,
        };
        log(&mut tx, number, &entry).await?;
        let order = read_order(&mut tx, number).await?;
        commit(tx, doing).await?;
        Ok(order)
    }

    /// Turns an advisory into a proposed order, once a round of a case.
    pub(super) async fn raise(&self, advisory: &Advisory) -> Result<WorkOrderId, ServiceError> {
        let doing = format!("raising a work order for case {}", advisory.case);
        let mut tx = self.begin(&doing).await?;
        let known: Option<i64> =
            sqlx::query_scalar("SELECT number FROM work_orders WHERE case_id = ? AND round = ?")
                .bind(advisory.case.as_str())
                .bind(advisory.round)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed(&doing))?;
        if let Some(number) = known {
            return Ok(order_id(number));
        }
        // Analytics knew the asset, so the ledger did too; a ledger that was set up anew
        // since must not keep the order from being raised.
        let is_new = self.ensure_asset(&mut tx, &advisory.asset).await?;
        let now = self.now();
        let Planned {
            plan,
            costs,
            date,
            priority,
        } = self.planned(&mut tx, advisory).await?;
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO work_orders (asset, case_id, kind, status, severity, failure_mode,
                 opened_at, signals, due_by, note, created_at, updated_at, round, signal, priority,
                 due_from, plan, costs, date)
             VALUES (?1, ?2, ?3, 'proposed', ?4, ?5, ?6, ?7, ?8, '', ?9, ?9, ?10, ?11, ?12, ?13,
                 ?14, ?15, ?16) RETURNING number",
        )
        .bind(advisory.asset.as_str())
        .bind(advisory.case.as_str())
        .bind(kind_of(advisory).as_str())
        .bind(advisory.severity.as_str())
        .bind(advisory.failure_mode.as_str())
        .bind(advisory.opened_at.as_micros())
        .bind(serde_json::json!(top_signals(advisory)).to_string())
        .bind(date.due_by.as_micros())
        .bind(now.as_micros())
        .bind(advisory.round)
        .bind(
            advisory
                .signal
                .as_ref()
                .map(|signal| signal.as_str().to_owned()),
        )
        .bind(priority)
        .bind(date.due_from.as_micros())
        .bind(plan.map(|plan| serde_json::json!(plan).to_string()))
        .bind(serde_json::json!(costs).to_string())
        .bind(serde_json::json!(date).to_string())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        let entry = LogEntry {
            at: now,
            by: Name::new(LogEntry::SYSTEM)?,
            from: None,
            to: WorkOrderStatus::Proposed,
            note: Note::empty(),
        };
        log(&mut tx, number, &entry).await?;
        self.tell(&mut tx, number, DeliveryKind::Create, "", None)
            .await?;
        let asset = require_asset(&mut tx, &advisory.asset).await?;
        commit(tx, &doing).await?;
        if is_new {
            self.show(&asset, &[]);
        }
        Ok(order_id(number))
    }

    /// Lets a person do something with an order. The status is read and written in one
    /// transaction, so of two people who act at once the second meets what the first one left.
    ///
    /// # Errors
    /// [`ServiceError::Illegal`] with the present status when the step is not possible in it,
    /// [`ServiceError::NotFound`] for an unknown order or engineer, [`ServiceError::Invalid`]
    /// for a time beyond the calendar, and [`ServiceError::Database`].
    pub async fn step(
        &self,
        id: &WorkOrderId,
        by: &Name,
        step: Step,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        let doing = format!("changing work order {id}");
        match &step {
            Step::Schedule { scheduled_for, .. } => {
                check_time("scheduled_for", Some(*scheduled_for))?;
            }
            Step::Complete(found) | Step::Report(found) => found.check()?,
            _ => {}
        }
        let mut tx = self.begin(&doing).await?;
        let number = require_number(id)?;
        let from = read_status(&mut tx, id).await?;
        let to = lifecycle::next(from, step.action()).map_err(|illegal| ServiceError::Illegal {
            order: id.clone(),
            illegal,
        })?;
        let now = self.now();
        apply(&mut tx, number, &step, note).await?;
        sqlx::query(
            "UPDATE work_orders SET status = ?, outcome = ?, updated_at = ? WHERE number = ?",
        )
        .bind(to.as_str())
        .bind(match &step {
            Step::Complete(found) | Step::Report(found) => Some(found.outcome.as_str()),
            _ => None,
        })
        .bind(now.as_micros())
        .bind(number)
        .execute(&mut *tx)
        .await
        .map_err(failed(&doing))?;
        let entry = LogEntry {
            at: now,
            by: by.clone(),
            from: Some(from),
            to,
            note: note.clone(),
        };
        log(&mut tx, number, &entry).await?;
        if step == Step::Cancel {
            let note = entry.note.as_str();
            self.tell(
                &mut tx,
                number,
                DeliveryKind::Withdraw,
                note,
                Some(by.as_str()),
            )
            .await?;
        }
        let order = read_order(&mut tx, number).await?;
        commit(tx, &doing).await?;
        Ok(order)
    }

    /// [`Service::step`] with [`Step::Approve`].
    ///
    /// # Errors
    /// As [`Service::step`].
    pub async fn approve(
        &self,
        id: &WorkOrderId,
        by: &Name,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        self.step(id, by, Step::Approve, note).await
    }

    /// [`Service::step`] with [`Step::Schedule`].
    ///
    /// # Errors
    /// As [`Service::step`].
    pub async fn schedule(
        &self,
        id: &WorkOrderId,
        by: &Name,
        engineer: &EngineerId,
        scheduled_for: Timestamp,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        let step = Step::Schedule {
            engineer: engineer.clone(),
            scheduled_for,
        };
        self.step(id, by, step, note).await
    }

    /// [`Service::step`] with [`Step::Start`].
    ///
    /// # Errors
    /// As [`Service::step`].
    pub async fn start(
        &self,
        id: &WorkOrderId,
        by: &Name,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        self.step(id, by, Step::Start, note).await
    }

    /// [`Service::step`] with [`Step::Complete`].
    ///
    /// # Errors
    /// As [`Service::step`].
    pub async fn complete(
        &self,
        id: &WorkOrderId,
        by: &Name,
        outcome: Outcome,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        self.step(id, by, Step::Complete(Found::of(outcome)), note)
            .await
    }

    /// [`Service::step`] with [`Step::Cancel`].
    ///
    /// # Errors
    /// As [`Service::step`].
    pub async fn cancel(
        &self,
        id: &WorkOrderId,
        by: &Name,
        note: &Note,
    ) -> Result<WorkOrder, ServiceError> {
        self.step(id, by, Step::Cancel, note).await
    }

    /// Marks the end of an order as delivered. Idempotent.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown order, [`ServiceError::Conflict`] for one
    /// that has not ended, and [`ServiceError::Database`].
    pub async fn outcome_sent(&self, id: &WorkOrderId) -> Result<(), ServiceError> {
        let doing = format!("marking the outcome of work order {id} as delivered");
        let mut tx = self.begin(&doing).await?;
        let number = require_number(id)?;
        let status = read_status(&mut tx, id).await?;
        if !status.is_final() {
            return Err(ServiceError::Conflict {
                what: "work order",
                id: id.to_string(),
                problem: format!("is {status} and has no outcome to deliver yet"),
            });
        }
        sqlx::query("UPDATE work_orders SET outcome_sent = 1 WHERE number = ?")
            .bind(number)
            .execute(&mut *tx)
            .await
            .map_err(failed(&doing))?;
        commit(tx, &doing).await
    }
}

/// Writes what belongs to a step besides the status.
async fn apply(
    tx: &mut Transaction<'static, Sqlite>,
    number: i64,
    step: &Step,
    note: &Note,
) -> Result<(), ServiceError> {
    if let Step::Schedule {
        engineer,
        scheduled_for,
    } = step
    {
        let doing = "scheduling a work order";
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM engineers WHERE id = ?)")
                .bind(engineer.as_str())
                .fetch_one(&mut **tx)
                .await
                .map_err(failed(doing))?;
        if !known {
            return Err(not_found("engineer", engineer.as_str()));
        }
        sqlx::query("UPDATE work_orders SET engineer = ?, scheduled_for = ? WHERE number = ?")
            .bind(engineer.as_str())
            .bind(scheduled_for.as_micros())
            .bind(number)
            .execute(&mut **tx)
            .await
            .map_err(failed(doing))?;
    }
    if let Step::Complete(found) | Step::Report(found) = step {
        sqlx::query(
            "UPDATE work_orders SET found_mode = ?, part = ?, done_at = ? WHERE number = ?",
        )
        .bind(found.failure_mode.as_ref().map(FailureMode::as_str))
        .bind(found.part.as_ref().map(Name::as_str))
        .bind(found.done_at.map(Timestamp::as_micros))
        .bind(number)
        .execute(&mut **tx)
        .await
        .map_err(failed("writing what an order found"))?;
    }
    let ends = matches!(
        step.action(),
        Action::Complete | Action::Cancel | Action::Report
    );
    if ends && !note.is_empty() {
        sqlx::query("UPDATE work_orders SET note = ? WHERE number = ?")
            .bind(note.as_str())
            .bind(number)
            .execute(&mut **tx)
            .await
            .map_err(failed("writing the closing note of a work order"))?;
    }
    Ok(())
}

fn require_number(id: &WorkOrderId) -> Result<i64, ServiceError> {
    order_number(id).ok_or_else(|| not_found("work order", id.as_str()))
}

pub(super) async fn read_status(
    connection: &mut SqliteConnection,
    id: &WorkOrderId,
) -> Result<WorkOrderStatus, ServiceError> {
    let status: Option<String> =
        sqlx::query_scalar("SELECT status FROM work_orders WHERE number = ?")
            .bind(require_number(id)?)
            .fetch_optional(connection)
            .await
            .map_err(failed("reading the status of a work order"))?;
    let status = status.ok_or_else(|| not_found("work order", id.as_str()))?;
    WorkOrderStatus::parse(&status).ok_or_else(|| ServiceError::Unreadable {
        row: format!("work order {id}"),
        column: "status",
        value: status.chars().take(80).collect(),
    })
}

pub(super) async fn log(
    connection: &mut SqliteConnection,
    number: i64,
    entry: &LogEntry,
) -> Result<(), ServiceError> {
    sqlx::query(
        "INSERT INTO work_order_log (work_order, at, actor, from_status, to_status, note)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(number)
    .bind(entry.at.as_micros())
    .bind(entry.by.as_str())
    .bind(entry.from.map(WorkOrderStatus::as_str))
    .bind(entry.to.as_str())
    .bind(entry.note.as_str())
    .execute(connection)
    .await
    .map_err(failed("logging a work order"))?;
    Ok(())
}
