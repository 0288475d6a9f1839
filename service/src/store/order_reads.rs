//! What is read of work orders: one with its log, lists, counts, and the outbox of outcomes.

use sqlx::{Row, SqliteConnection};
use telemetry::{WorkOrderClosed, WorkOrderId};

use super::{Service, failed, not_found, rows};
use crate::{
    ServiceError, WorkOrder, WorkOrderCounts, WorkOrderDetail, WorkOrderQuery, WorkOrderStatus,
    work_order::{order_id, order_number},
};

/// Outcomes handed out at once: each is delivered and marked before the next call, so a
/// backlog is worked off in order.
const MAX_UNSENT: u32 = 100;

macro_rules! select_order {
    ($rest:literal) => {
        concat!(
            "SELECT w.*, a.name AS asset_name, e.name AS engineer_name
             FROM work_orders w JOIN assets a ON a.id = w.asset
             LEFT JOIN engineers e ON e.id = w.engineer ",
            $rest
        )
    };
}

impl Service {
    /// One order with its log, both as of the same commit; none when there is no such order.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn work_order(
        &self,
        id: &WorkOrderId,
    ) -> Result<Option<WorkOrderDetail>, ServiceError> {
        let doing = format!("reading work order {id}");
        let Some(number) = order_number(id) else {
            return Ok(None);
        };
        let mut tx = self.inner.read.begin().await.map_err(failed(&doing))?;
        let order = match read_order(&mut tx, number).await {
            Err(ServiceError::NotFound { .. }) => return Ok(None),
            order => order?,
        };
        let found =
            sqlx::query("SELECT * FROM work_order_log WHERE work_order = ? ORDER BY number")
                .bind(number)
                .fetch_all(&mut *tx)
                .await
                .map_err(failed(&doing))?;
        let log = found
            .iter()
            .map(rows::log_entry)
            .collect::<Result<_, _>>()?;
        Ok(Some(WorkOrderDetail { order, log }))
    }

    /// Orders, newest first. An unknown cursor gives an empty page.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn work_orders(&self, query: WorkOrderQuery) -> Result<Vec<WorkOrder>, ServiceError> {
        let statuses: Vec<&str> = query.status.iter().map(|status| status.as_str()).collect();
        let statuses = (!statuses.is_empty()).then(|| serde_json::json!(statuses).to_string());
        let after = query.after.map(|after| order_number(&after).unwrap_or(0));
        let found = sqlx::query(select_order!(
            "WHERE (?1 IS NULL OR w.status IN (SELECT value FROM json_each(?1)))
               AND (?2 IS NULL OR w.asset = ?2)
               AND (?3 IS NULL OR w.case_id = ?3)
               AND (?4 IS NULL OR w.number < ?4)
             ORDER BY w.number DESC LIMIT ?5"
        ))
        .bind(statuses)
        .bind(query.asset.map(|asset| asset.to_string()))
        .bind(query.case.map(|case| case.to_string()))
        .bind(after)
        .bind(query.limit.min(WorkOrderQuery::MAX_LIMIT))
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("listing work orders"))?;
        found.iter().map(rows::work_order).collect()
    }

    /// How many orders there are in each status.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn work_order_counts(&self) -> Result<WorkOrderCounts, ServiceError> {
        let doing = "counting work orders";
        let found =
            sqlx::query("SELECT status, count(*) AS orders FROM work_orders GROUP BY status")
                .fetch_all(&self.inner.read)
                .await
                .map_err(failed(doing))?;
        let mut counts = WorkOrderCounts::default();
        for row in found {
            let status: &str = row.try_get("status").map_err(failed(doing))?;
            let orders: i64 = row.try_get("orders").map_err(failed(doing))?;
            if let Some(status) = WorkOrderStatus::parse(status) {
                counts.set(status, u64::try_from(orders).unwrap_or(0));
            }
        }
        Ok(counts)
    }

    /// Ends of orders that have not been delivered, oldest first, at most one hundred. Each
    /// stays here until [`Service::outcome_sent`], hence a crash in between delivers it again.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn unsent_outcomes(&self) -> Result<Vec<WorkOrderClosed>, ServiceError> {
        let found = sqlx::query(
            "SELECT w.number, w.asset, w.case_id, w.outcome, w.failure_mode, w.found_mode, w.part,
                    w.updated_at,
                    (SELECT l.note FROM work_order_log l WHERE l.work_order = w.number
                     ORDER BY l.number DESC LIMIT 1) AS closing_note
             FROM work_orders w
             WHERE w.outcome_sent = 0 AND w.status IN ('completed', 'cancelled')
             ORDER BY w.updated_at, w.number LIMIT ?",
        )
        .bind(MAX_UNSENT)
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("reading undelivered outcomes"))?;
        found.iter().map(rows::closed).collect()
    }
}

pub(super) async fn read_order(
    connection: &mut SqliteConnection,
    number: i64,
) -> Result<WorkOrder, ServiceError> {
    let row = sqlx::query(select_order!("WHERE w.number = ?"))
        .bind(number)
        .fetch_optional(connection)
        .await
        .map_err(failed("reading a work order"))?;
    match row {
        Some(row) => rows::work_order(&row),
        None => Err(not_found("work order", order_id(number).as_str())),
    }
}
