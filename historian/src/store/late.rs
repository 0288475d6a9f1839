//! Late marks: that readings came too long after the device's own newest to raise anything.

use rusqlite::{Connection, Transaction, params};
use telemetry::{DeviceId, Event, Timestamp};

use super::Store;
use crate::error::{During, HistorianError};

/// Readings of one device that came late; they are stored as any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateReadings {
    /// Rises with every mark.
    pub id: u64,
    /// The device.
    pub device: DeviceId,
    /// How many values.
    pub readings: u64,
    /// The earliest of their event times.
    pub from: Timestamp,
    /// The latest of their event times.
    pub to: Timestamp,
    /// The device's newest event time when they came.
    pub newest: Timestamp,
    /// When they came.
    pub at: Timestamp,
}

/// Which late marks to list. [`LateQuery::default`] lists nothing: its limit is 0.
#[derive(Debug, Clone, Default)]
pub struct LateQuery {
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only those with a smaller id: the last id of the page before.
    pub before_id: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

impl Store {
    /// Lists late marks, newest first.
    pub async fn late_readings(
        &self,
        query: LateQuery,
    ) -> Result<Vec<LateReadings>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select(connection, &query))
            .await
    }
}

/// Stores the mark that stands at a place of a record, once.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    journal: u64,
    offset: u64,
    place: usize,
    event: &Event,
) -> Result<(), HistorianError> {
    let Event::LateReadings {
        device,
        readings,
        from,
        to,
        newest,
        at,
    } = event
    else {
        return Ok(());
    };
    tx.prepare_cached(
        "INSERT OR IGNORE INTO late_readings
             (journal, offset, place, device, readings, t_min, t_max, newest, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            journal as i64,
            offset as i64,
            place as i64,
            device.as_str(),
            readings,
            from.as_micros(),
            to.as_micros(),
            newest.as_micros(),
            at.as_micros(),
        ])
    })
    .during("store a late mark")?;
    Ok(())
}

fn select(connection: &Connection, query: &LateQuery) -> Result<Vec<LateReadings>, HistorianError> {
    const ACTION: &str = "list late marks";
    let mut select = connection
        .prepare(
            "SELECT id, device, readings, t_min, t_max, newest, at FROM late_readings
             WHERE (?1 IS NULL OR device = ?1) AND id < ?2 ORDER BY id DESC LIMIT ?3",
        )
        .during(ACTION)?;
    let before = query.before_id.and_then(|id| i64::try_from(id).ok());
    let mut rows = select
        .query(params![
            query.device.as_ref().map(DeviceId::as_str),
            before.unwrap_or(i64::MAX),
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ])
        .during(ACTION)?;
    let mut marks = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        let id = row.get::<_, i64>(0).during(ACTION)? as u64;
        let device: String = row.get(1).during(ACTION)?;
        let time = |column| Ok(Timestamp::from_micros(row.get(column).during(ACTION)?));
        marks.push(LateReadings {
            id,
            device: DeviceId::new(&device)
                .map_err(|error| HistorianError::corrupt("late mark", id, error))?,
            readings: row.get::<_, i64>(2).during(ACTION)? as u64,
            from: time(3)?,
            to: time(4)?,
            newest: time(5)?,
            at: time(6)?,
        });
    }
    Ok(marks)
}

/// Deletes marks made before `cutoff`.
pub(crate) fn delete_old(connection: &Connection, cutoff: i64) -> Result<(), HistorianError> {
    connection
        .execute("DELETE FROM late_readings WHERE at < ?1", [cutoff])
        .during("delete old late marks")?;
    Ok(())
}
