//! The outbox to other maintenance systems; see [`crate::delivery`].

use std::time::Duration;

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use telemetry::{Timestamp, WorkOrderId};

use super::{Service, commit, failed, not_found, order_reads::read_order};
use crate::{
    ServiceError,
    delivery::{
        Claimed, ConnectorCounts, DeliveryKind, DeliveryState, DeliveryView, Remote, Settled,
    },
    work_order::{order_id, order_number},
};

/// Deliveries that are listed at once.
const MAX_LISTED: u32 = 1_000;
/// What is kept of an error: enough for a status line and the other system's reason.
const MAX_ERROR_CHARS: usize = 500;

impl Service {
    /// Tells every connector about an order, in the transaction that makes it so; all but the one
    /// that said it itself. Orders that no case stands behind are this system's own business.
    pub(super) async fn tell(
        &self,
        connection: &mut SqliteConnection,
        number: i64,
        kind: DeliveryKind,
        note: &str,
        by: Option<&str>,
    ) -> Result<(), ServiceError> {
        let doing = "telling other systems about a work order";
        let now = self.now();
        let connectors = self.inner.connectors.iter();
        for connector in connectors.filter(|name| by != Some(name.as_str())) {
            if kind == DeliveryKind::Withdraw
                && take_back_unsent(connection, connector, number, now).await?
            {
                continue;
            }
            // An order that was raised before the connector was configured is not theirs.
            sqlx::query(
                "INSERT INTO deliveries (connector, work_order, kind, key, state, note, next_at,
                     created_at)
                 SELECT ?1, w.number, ?3,
                     w.case_id || CASE w.round WHEN 1 THEN '' ELSE '.' || w.round END
                     || CASE ?3 WHEN 'create' THEN '' ELSE '/' || ?3 || '-' || (1 + (
                         SELECT count(*) FROM deliveries d
                         WHERE d.connector = ?1 AND d.work_order = w.number AND d.kind = ?3)) END,
                     'waiting', ?4, ?5, ?5
                 FROM work_orders w
                 WHERE w.number = ?2 AND w.case_id IS NOT NULL AND (?3 = 'create' OR EXISTS (
                     SELECT 1 FROM deliveries d WHERE d.connector = ?1
                     AND d.work_order = w.number AND d.kind = 'create'))",
            )
            .bind(connector)
            .bind(number)
            .bind(kind.as_str())
            .bind(note)
            .bind(now.as_micros())
            .execute(&mut *connection)
            .await
            .map_err(failed(doing))?;
        }
        Ok(())
    }

    /// Claims the next delivery of a connector for a while; none when nothing is due. What is told
    /// about one order is told in order.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn claim_delivery(
        &self,
        connector: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>, ServiceError> {
        let doing = "claiming a delivery";
        let mut tx = self.begin(doing).await?;
        let now = self.now();
        let row = sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, leased_until = ?3
             WHERE number = (SELECT d.number FROM deliveries d
                 WHERE d.connector = ?1 AND d.state = 'waiting' AND d.next_at <= ?2
                   AND (d.leased_until IS NULL OR d.leased_until <= ?2)
                   AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.connector = d.connector
                       AND e.work_order = d.work_order AND e.number < d.number
                       AND e.state IN ('waiting', 'stuck'))
                 ORDER BY d.next_at, d.number LIMIT 1)
             RETURNING number, work_order, kind, key, attempts, created_at, note",
        )
        .bind(connector)
        .bind(now.as_micros())
        .bind((now + lease).as_micros())
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let work_order: i64 = row.try_get("work_order").map_err(failed(doing))?;
        let reference = reference(&mut tx, connector, work_order).await?;
        let claimed = Claimed {
            number: row.try_get("number").map_err(failed(doing))?,
            kind: word(&row, "kind", DeliveryKind::parse)?,
            key: row.try_get("key").map_err(failed(doing))?,
            attempt: row.try_get("attempts").map_err(failed(doing))?,
            created_at: time(&row, "created_at")?.unwrap_or(now),
            note: row.try_get("note").map_err(failed(doing))?,
            order: read_order(&mut tx, work_order).await?,
            reference,
        };
        commit(tx, doing).await?;
        Ok(Some(claimed))
    }

    /// Settles what was claimed. An answer that comes after the lease ran out and somebody else
    /// claimed the same settles nothing: false.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn settle_delivery(
        &self,
        connector: &str,
        claimed: &Claimed,
        settled: &Settled,
    ) -> Result<bool, ServiceError> {
        let doing = "settling a delivery";
        let now = self.now();
        let (state, next_at, error) = match settled {
            Settled::Delivered(_) => (DeliveryState::Delivered, now, None),
            Settled::Again { at, error } => (DeliveryState::Waiting, *at, Some(error)),
            Settled::Stuck(error) => (DeliveryState::Stuck, now, Some(error)),
        };
        let error = error.map(|error| error.chars().take(MAX_ERROR_CHARS).collect::<String>());
        let is_over = state != DeliveryState::Waiting;
        let mut tx = self.begin(doing).await?;
        let done = sqlx::query(
            "UPDATE deliveries SET state = ?1, next_at = ?2, last_error = ?3, leased_until = NULL,
                 settled_at = ?4
             WHERE number = ?5 AND attempts = ?6 AND state = 'waiting'",
        )
        .bind(state.as_str())
        .bind(next_at.as_micros())
        .bind(error)
        .bind(is_over.then(|| now.as_micros()))
        .bind(claimed.number)
        .bind(claimed.attempt)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if let Settled::Delivered(Some(reference)) = settled
            && claimed.kind == DeliveryKind::Create
        {
            let number = require(&claimed.order.id)?;
            sqlx::query(
                "INSERT OR IGNORE INTO remote_orders (connector, work_order, reference, next_at)
                 VALUES (?, ?, ?, ?)",
            )
            .bind(connector)
            .bind(number)
            .bind(reference)
            .bind(now.as_micros())
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        }
        commit(tx, doing).await?;
        Ok(true)
    }

    /// The orders of another system that are due for a look, oldest look first. Each is put off by
    /// `every` with this call, so that a crash costs one look.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn claim_looks(
        &self,
        connector: &str,
        every: Duration,
        limit: u32,
    ) -> Result<Vec<Remote>, ServiceError> {
        let doing = "claiming looks at orders of another system";
        let mut tx = self.begin(doing).await?;
        let now = self.now();
        let rows = sqlx::query(
            "UPDATE remote_orders SET next_at = ?3
             WHERE connector = ?1 AND work_order IN (
                 SELECT r.work_order FROM remote_orders r
                 JOIN work_orders w ON w.number = r.work_order
                 WHERE r.connector = ?1 AND r.next_at <= ?2
                   AND w.status NOT IN ('completed', 'cancelled')
                 ORDER BY r.next_at LIMIT ?4)
             RETURNING work_order, reference",
        )
        .bind(connector)
        .bind(now.as_micros())
        .bind((now + every).as_micros())
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let mut remotes = Vec::with_capacity(rows.len());
        for row in rows {
            let number: i64 = row.try_get("work_order").map_err(failed(doing))?;
            remotes.push(Remote {
                order: read_order(&mut tx, number).await?,
                reference: row.try_get("reference").map_err(failed(doing))?,
            });
        }
        commit(tx, doing).await?;
        Ok(remotes)
    }

    /// Notes the word of another system for where an order stands; true when it is a new one.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::NotFound`].
    pub async fn note_remote(
        &self,
        connector: &str,
        order: &WorkOrderId,
        status: &str,
    ) -> Result<bool, ServiceError> {
        let doing = "noting the status of another system";
        let mut tx = self.begin(doing).await?;
        let number = require(order)?;
        let changed = sqlx::query(
            "UPDATE remote_orders SET status = ?3
             WHERE connector = ?1 AND work_order = ?2 AND status IS NOT ?3",
        )
        .bind(connector)
        .bind(number)
        .bind(status)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        sqlx::query("UPDATE remote_orders SET read_at = ? WHERE connector = ? AND work_order = ?")
            .bind(self.now().as_micros())
            .bind(connector)
            .bind(number)
            .execute(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx, doing).await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Deliveries, newest first; of one order only when it is given.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn deliveries(
        &self,
        order: Option<&WorkOrderId>,
        state: Option<DeliveryState>,
    ) -> Result<Vec<DeliveryView>, ServiceError> {
        let number = order.map(require).transpose()?;
        let rows = sqlx::query(
            "SELECT d.*, w.case_id, r.reference, r.status AS remote_status
             FROM deliveries d JOIN work_orders w ON w.number = d.work_order
             LEFT JOIN remote_orders r
                 ON r.connector = d.connector AND r.work_order = d.work_order
             WHERE (?1 IS NULL OR d.work_order = ?1) AND (?2 IS NULL OR d.state = ?2)
             ORDER BY d.number DESC LIMIT ?3",
        )
        .bind(number)
        .bind(state.map(DeliveryState::as_str))
        .bind(MAX_LISTED)
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("listing deliveries"))?;
        rows.iter().map(view).collect()
    }

    /// Lets a stuck delivery be tried again.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when no stuck delivery has this number, and
    /// [`ServiceError::Database`].
    pub async fn retry_delivery(&self, number: i64) -> Result<(), ServiceError> {
        let doing = "trying a delivery again";
        let mut tx = self.begin(doing).await?;
        let now = self.now().as_micros();
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'waiting', next_at = ?1, created_at = ?1,
                 settled_at = NULL
             WHERE number = ?2 AND state = 'stuck'",
        )
        .bind(now)
        .bind(number)
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        if done.rows_affected() == 0 {
            return Err(not_found("stuck delivery", &number.to_string()));
        }
        commit(tx, doing).await
    }

    /// How a connector fares.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn connector_counts(&self, connector: &str) -> Result<ConnectorCounts, ServiceError> {
        let doing = "counting deliveries";
        let rows = sqlx::query(
            "SELECT state, count(*) AS rows, (SELECT e.last_error FROM deliveries e
                 WHERE e.connector = ?1 AND e.state IN ('waiting', 'stuck')
                   AND e.last_error IS NOT NULL ORDER BY e.number DESC LIMIT 1) AS last_error
             FROM deliveries WHERE connector = ?1 GROUP BY state",
        )
        .bind(connector)
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed(doing))?;
        let mut counts = ConnectorCounts::default();
        for row in &rows {
            let some: i64 = row.try_get("rows").map_err(failed(doing))?;
            let some = u64::try_from(some).unwrap_or(0);
            match word(row, "state", DeliveryState::parse)? {
                DeliveryState::Waiting => counts.waiting = some,
                DeliveryState::Delivered => counts.delivered = some,
                DeliveryState::Stuck => counts.stuck = some,
                DeliveryState::Withdrawn => counts.withdrawn = some,
            }
            counts.last_error = row.try_get("last_error").map_err(failed(doing))?;
        }
        Ok(counts)
    }
}

/// Takes back what was never sent, so that the other system need not hear of it at all; false
/// when it may have heard.
async fn take_back_unsent(
    connection: &mut SqliteConnection,
    connector: &str,
    number: i64,
    now: Timestamp,
) -> Result<bool, ServiceError> {
    let doing = "withdrawing deliveries";
    let sent: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM deliveries
             WHERE connector = ? AND work_order = ? AND attempts > 0)",
    )
    .bind(connector)
    .bind(number)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(doing))?;
    if sent {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE deliveries SET state = 'withdrawn', settled_at = ?
         WHERE connector = ? AND work_order = ? AND state = 'waiting'",
    )
    .bind(now.as_micros())
    .bind(connector)
    .bind(number)
    .execute(connection)
    .await
    .map_err(failed(doing))?;
    Ok(true)
}

async fn reference(
    connection: &mut SqliteConnection,
    connector: &str,
    number: i64,
) -> Result<Option<String>, ServiceError> {
    sqlx::query_scalar("SELECT reference FROM remote_orders WHERE connector = ? AND work_order = ?")
        .bind(connector)
        .bind(number)
        .fetch_optional(connection)
        .await
        .map_err(failed("reading the reference of an order"))
}

fn require(id: &WorkOrderId) -> Result<i64, ServiceError> {
    order_number(id).ok_or_else(|| not_found("work order", id.as_str()))
}

fn word<T>(
    row: &SqliteRow,
    column: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, ServiceError> {
    let text: &str = row.try_get(column).map_err(failed("reading a delivery"))?;
    parse(text).ok_or_else(|| ServiceError::Unreadable {
        row: "a delivery".to_owned(),
        column,
        value: text.chars().take(80).collect(),
    })
}

fn time(row: &SqliteRow, column: &'static str) -> Result<Option<Timestamp>, ServiceError> {
    let micros: Option<i64> = row.try_get(column).map_err(failed("reading a delivery"))?;
    Ok(micros.map(Timestamp::from_micros))
}

fn view(row: &SqliteRow) -> Result<DeliveryView, ServiceError> {
    let doing = "reading a delivery";
    let number: i64 = row.try_get("work_order").map_err(failed(doing))?;
    let case: Option<&str> = row.try_get("case_id").map_err(failed(doing))?;
    Ok(DeliveryView {
        number: row.try_get("number").map_err(failed(doing))?,
        connector: row.try_get("connector").map_err(failed(doing))?,
        work_order: order_id(number),
        case: case.and_then(|case| case.parse().ok()),
        kind: word(row, "kind", DeliveryKind::parse)?,
        state: word(row, "state", DeliveryState::parse)?,
        attempts: row.try_get("attempts").map_err(failed(doing))?,
        last_error: row.try_get("last_error").map_err(failed(doing))?,
        reference: row.try_get("reference").map_err(failed(doing))?,
        remote_status: row.try_get("remote_status").map_err(failed(doing))?,
        created_at: time(row, "created_at")?.unwrap_or(Timestamp::EPOCH),
        settled_at: time(row, "settled_at")?,
    })
}
