//! Where people are at work by the calendar of orders: what alarms there meanwhile is most
//! likely the work.

use std::time::Duration;

use sqlx::Row;
use telemetry::{AssetId, Timestamp, WorkOrderId};

use super::{Service, failed};
use crate::{ServiceError, work_order::order_id};

/// How long scheduled work is taken to last until somebody begins it: half a shift.
const SCHEDULED_FOR: Duration = Duration::from_hours(4);

/// A time in which an asset is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkWindow {
    /// The asset.
    pub asset: AssetId,
    /// The order.
    pub work_order: WorkOrderId,
    /// When the work began, or is to begin.
    pub from: Timestamp,
    /// When it is expected to be over; none once it has begun, because it ends when it ends.
    pub until: Option<Timestamp>,
}

impl Service {
    /// The orders that are worked on at a time: those in progress, and those scheduled for now.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn work_windows(&self, now: Timestamp) -> Result<Vec<WorkWindow>, ServiceError> {
        let doing = "reading where people are at work";
        let found = sqlx::query(
            "SELECT number, asset, NULL AS planned,
                 (SELECT max(l.at) FROM work_order_log l
                  WHERE l.work_order = w.number AND l.to_status = 'in_progress') AS begun
             FROM work_orders w WHERE status = 'in_progress'
             UNION ALL
             SELECT number, asset, scheduled_for, NULL FROM work_orders
             WHERE status = 'scheduled' AND scheduled_for <= ?1 AND scheduled_for > ?2
             ORDER BY number",
        )
        .bind(now.as_micros())
        .bind((now - SCHEDULED_FOR).as_micros())
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let mut windows = Vec::with_capacity(found.len());
        for row in found {
            let asset: &str = row.try_get("asset").map_err(failed(doing))?;
            let number: i64 = row.try_get("number").map_err(failed(doing))?;
            let planned: Option<i64> = row.try_get("planned").map_err(failed(doing))?;
            let begun: Option<i64> = row.try_get("begun").map_err(failed(doing))?;
            let planned = planned.map(Timestamp::from_micros);
            let begun = begun.map(Timestamp::from_micros);
            windows.push(WorkWindow {
                asset: AssetId::new(asset)?,
                work_order: order_id(number),
                from: planned.or(begun).unwrap_or(now),
                until: planned.map(|planned| planned + SCHEDULED_FOR),
            });
        }
        Ok(windows)
    }
}
