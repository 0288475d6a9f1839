//! The statements of a write transaction.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;
use telemetry::{CaseId, DeviceId, Timestamp, WorkOrderClosed, WorkOrderId};

use super::rows;
use crate::{
    AlertingError, Case, CaseEvent,
    desk::{Batch, Desk, Episode, Held, Subject, Watch},
};

/// A number that changes when another connection writes to the file.
/// <https://sqlite.org/pragma.html#pragma_data_version>
pub(super) async fn data_version(connection: &mut SqliteConnection) -> Result<i64, AlertingError> {
    sqlx::query_scalar("PRAGMA data_version")
        .fetch_one(connection)
        .await
        .map_err(failed("reading the data version"))
}

/// The desk as the file has it.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Desk, AlertingError> {
    const CLOSED: &str =
        "SELECT * FROM cases WHERE status = 'closed' ORDER BY closed_at DESC LIMIT ?";
    let open = sqlx::query("SELECT * FROM cases WHERE status <> 'closed'")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed("reading the open cases"))?;
    let closed = sqlx::query(CLOSED)
        .bind(Desk::MAX_CLOSED as i64)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed("reading the closed cases"))?;
    let episodes = sqlx::query("SELECT * FROM episodes")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed("reading the alarm episodes"))?;
    let punctual: Vec<String> = sqlx::query_scalar("SELECT device FROM punctual_devices")
        .fetch_all(connection)
        .await
        .map_err(failed("reading the devices that keep up"))?;
    Ok(Desk::new(
        open.iter().map(rows::held).collect::<Result<_, _>>()?,
        closed.iter().map(rows::held).collect::<Result<_, _>>()?,
        episodes
            .iter()
            .map(rows::episode)
            .collect::<Result<_, _>>()?,
        punctual
            .iter()
            .filter_map(|device| DeviceId::new(device).ok())
            .collect(),
    ))
}

/// Writes what a call changed.
pub(super) async fn persist(
    connection: &mut SqliteConnection,
    batch: &Batch,
    desk: &Desk,
    now: Timestamp,
) -> Result<(), AlertingError> {
    let opened: BTreeSet<&CaseId> = batch.opened.iter().collect();
    // Cases that ended make room for new ones under the index of one open case.
    let (ended, going): (Vec<&Held>, Vec<&Held>) = batch
        .rows
        .values()
        .filter(|held| !opened.contains(&held.case.id))
        .partition(|held| !held.case.status.is_open());
    for held in ended.into_iter().chain(going) {
        update(connection, held).await?;
    }
    for id in &batch.opened {
        if let Some(held) = batch.rows.get(id) {
            insert(connection, held).await?;
        }
    }
    for (case, event) in &batch.log {
        let row = batch.rows.get(case);
        let announced = row.is_none_or(|held| held.case.suppressed.is_none());
        append(connection, case.as_str(), event, (now, announced)).await?;
    }
    for watch in &batch.watches {
        if let Some(episode) = desk.episode(watch) {
            put_episode(connection, watch, episode).await?;
        }
    }
    for device in &batch.punctual {
        sqlx::query("INSERT OR IGNORE INTO punctual_devices (device) VALUES (?)")
            .bind(device.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed("noting a device that keeps up"))?;
    }
    for (order, at) in &batch.past_orders {
        note_past(connection, order, *at).await?;
    }
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, held: &Held) -> Result<(), AlertingError> {
    let case = &held.case;
    let doing = format!("opening case {} of asset {}", case.id, case.asset);
    sqlx::query(
        "INSERT INTO cases (id, asset, device, failure_mode, signal, severity, status, opened_at,
             updated_at, cleared_at, closed_at, score, peak_score, scored_at, evidence,
             prognosis, forecast_at, work_order, deferred, outcome, source, verdict, why, round,
             seen_at, site, stale, suppressed, parent, watch_list, avoided_cost, currency, care)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
             ?, ?, ?, ?, ?, ?)",
    )
    .bind(case.id.as_str())
    .bind(case.asset.as_str())
    .bind(case.device.as_str())
    .bind(case.failure_mode.as_str())
    .bind(case.signal.as_ref().map_or("", |signal| signal.as_str()))
    .bind(case.severity.as_str())
    .bind(case.status.as_str())
    .bind(case.opened_at.as_micros())
    .bind(case.updated_at.as_micros())
    .bind(case.cleared_at.map(Timestamp::as_micros))
    .bind(case.closed_at.map(Timestamp::as_micros))
    .bind(case.score)
    .bind(case.peak_score)
    .bind(held.scored_at.as_micros())
    .bind(json(case, &case.evidence)?)
    .bind(maybe_json(case, case.prognosis.as_ref())?)
    .bind(held.forecast_at.as_micros())
    .bind(
        case.work_order
            .as_ref()
            .map(|order| order.as_str().to_owned()),
    )
    .bind(held.deferred)
    .bind(case.outcome.map(telemetry::Outcome::as_str))
    .bind(json(case, &case.source)?)
    .bind(case.verdict.as_str())
    .bind(maybe_json(case, case.why.as_ref())?)
    .bind(case.round)
    .bind(case.seen_at.as_micros())
    .bind(case.site.as_ref().map(|site| site.as_str().to_owned()))
    .bind(case.stale)
    .bind(maybe_json(case, case.suppressed.as_ref())?)
    .bind(
        case.parent
            .as_ref()
            .map(|parent| parent.as_str().to_owned()),
    )
    .bind(maybe_json(case, case.watch_list.as_ref())?)
    .bind(case.expected_avoided_cost)
    .bind(case.currency.as_deref())
    .bind(json(case, &held.care)?)
    .execute(connection)
    .await
    .map_err(failed(&doing))?;
    Ok(())
}

/// Everything but what is frozen at opening.
async fn update(connection: &mut SqliteConnection, held: &Held) -> Result<(), AlertingError> {
    let case = &held.case;
    let doing = format!("changing case {}", case.id);
    sqlx::query(
        "UPDATE cases SET severity = ?, status = ?, updated_at = ?, cleared_at = ?,
             closed_at = ?, score = ?, peak_score = ?, scored_at = ?, prognosis = ?,
             forecast_at = ?, assignee = ?, work_order = ?, deferred = ?, outcome = ?, verdict = ?, why = ?,
             round = ?, seen_at = ?, stale = ?, suppressed = ?, parent = ?, watch_list = ?,
             avoided_cost = ?, currency = ?, care = ?
         WHERE id = ?",
    )
    .bind(case.severity.as_str())
    .bind(case.status.as_str())
    .bind(case.updated_at.as_micros())
    .bind(case.cleared_at.map(Timestamp::as_micros))
    .bind(case.closed_at.map(Timestamp::as_micros))
    .bind(case.score)
    .bind(case.peak_score)
    .bind(held.scored_at.as_micros())
    .bind(maybe_json(case, case.prognosis.as_ref())?)
    .bind(held.forecast_at.as_micros())
    .bind(case.assignee.as_ref().map(|one| one.as_str().to_owned()))
    .bind(
        case.work_order
            .as_ref()
            .map(|order| order.as_str().to_owned()),
    )
    .bind(held.deferred)
    .bind(case.outcome.map(telemetry::Outcome::as_str))
    .bind(case.verdict.as_str())
    .bind(maybe_json(case, case.why.as_ref())?)
    .bind(case.round)
    .bind(case.seen_at.as_micros())
    .bind(case.stale)
    .bind(maybe_json(case, case.suppressed.as_ref())?)
    .bind(
        case.parent
            .as_ref()
            .map(|parent| parent.as_str().to_owned()),
    )
    .bind(maybe_json(case, case.watch_list.as_ref())?)
    .bind(case.expected_avoided_cost)
    .bind(case.currency.as_deref())
    .bind(json(case, &held.care)?)
    .bind(case.id.as_str())
    .execute(connection)
    .await
    .map_err(failed(&doing))?;
    Ok(())
}

async fn append(
    connection: &mut SqliteConnection,
    case: &str,
    event: &CaseEvent,
    (now, announced): (Timestamp, bool),
) -> Result<(), AlertingError> {
    let doing = format!("logging {} of case {case}", event.kind);
    sqlx::query(
        "INSERT INTO case_events (case_id, at, kind, actor, detail, seen_at, announced)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(case)
    .bind(event.at.as_micros())
    .bind(event.kind.as_str())
    .bind(event.by.as_deref())
    .bind(event.detail.as_ref().map(ToString::to_string))
    .bind(now.as_micros())
    .bind(announced)
    .execute(connection)
    .await
    .map_err(failed(&doing))?;
    Ok(())
}

async fn put_episode(
    connection: &mut SqliteConnection,
    watch: &Watch,
    episode: &Episode,
) -> Result<(), AlertingError> {
    let (asset, device) = (&watch.asset, &watch.device);
    let doing = format!("recording the alarm of device {device} on asset {asset}");
    let (signal, rule) = match &watch.of {
        Subject::Machine => ("", ""),
        Subject::Sensor(signal) => (signal.as_str(), ""),
        Subject::Rule(rule) => ("", rule.as_str()),
    };
    sqlx::query(
        "INSERT INTO episodes
             (asset, device, signal, rule, since, case_id, round, active, mark_at, mark_rank)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (asset, device, signal, rule) DO UPDATE SET since = excluded.since,
             case_id = excluded.case_id, round = excluded.round, active = excluded.active,
             mark_at = excluded.mark_at, mark_rank = excluded.mark_rank",
    )
    .bind(asset.as_str())
    .bind(device.as_str())
    .bind(signal)
    .bind(rule)
    .bind(episode.since.as_micros())
    .bind(episode.case.as_str())
    .bind(episode.round)
    .bind(episode.active)
    .bind(episode.mark.at.as_micros())
    .bind(episode.mark.rank)
    .execute(connection)
    .await
    .map_err(failed(&doing))?;
    Ok(())
}

/// Notes that the end of an order has been taken in; false when it was before.
pub(super) async fn note_ended(
    connection: &mut SqliteConnection,
    closed: &WorkOrderClosed,
) -> Result<bool, AlertingError> {
    note_past(connection, &closed.work_order, closed.at).await
}

/// Notes that nothing more is to be taken in of an order; false when that was noted before.
async fn note_past(
    connection: &mut SqliteConnection,
    order: &WorkOrderId,
    at: Timestamp,
) -> Result<bool, AlertingError> {
    let doing = format!("recording the end of work order {order}");
    let noted = sqlx::query("INSERT OR IGNORE INTO ended_orders (work_order, at) VALUES (?, ?)")
        .bind(order.as_str())
        .bind(at.as_micros())
        .execute(connection)
        .await
        .map_err(failed(&doing))?;
    Ok(noted.rows_affected() > 0)
}

pub(crate) fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> AlertingError {
    |source| AlertingError::Database {
        doing: doing.to_owned(),
        source,
    }
}

fn maybe_json<T: serde::Serialize>(
    case: &Case,
    value: Option<&T>,
) -> Result<Option<String>, AlertingError> {
    value.map(|value| json(case, value)).transpose()
}

fn json<T: serde::Serialize>(case: &Case, value: &T) -> Result<String, AlertingError> {
    serde_json::to_string(value).map_err(|error| AlertingError::Database {
        doing: format!("writing case {} as JSON", case.id),
        source: sqlx::Error::Encode(Box::new(error)),
    })
}
