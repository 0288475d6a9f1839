//! The tables of the store and the statements on them.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use telemetry::{DeviceId, Offset, SignalName};

use super::{
    SeriesKey,
    chunk::{Encoded, Points},
    state::{Chunk, State},
};
use crate::{
    error::{During, HistorianError},
    sqlite::Layout,
};

/// Numbers of series are places in a list, so `series.id` counts from 0 without gaps.
/// `last_bits` are the bits of a float: SQLite would not keep the sign of zero.
pub(crate) const LAYOUT: Layout = Layout {
    what: "store",
    application_id: 0x4257_5354,
    version: 1,
    page_bytes: 8 << 10,
    checkpoint_bytes: 32 << 20,
    schema: "
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            device TEXT NOT NULL,
            signal TEXT NOT NULL,
            UNIQUE (device, signal)
        ) STRICT;
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            series INTEGER NOT NULL,
            t_min INTEGER NOT NULL,
            t_max INTEGER NOT NULL,
            count INTEGER NOT NULL,
            last_bits INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            times BLOB NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE applied (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            journal INTEGER NOT NULL,
            offset INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE findings (
            asset TEXT NOT NULL,
            device TEXT NOT NULL,
            kind TEXT NOT NULL,
            at INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            body BLOB NOT NULL,
            UNIQUE (asset, kind, at, device)
        ) STRICT;
        CREATE INDEX findings_by_time ON findings (kind, at);
    ",
};

/// Reads the catalogue of series and chunks.
pub(crate) fn load(connection: &Connection) -> Result<State, HistorianError> {
    const ACTION: &str = "load the catalogue of series";
    let mut state = State::default();
    let mut select = connection
        .prepare("SELECT id, device, signal FROM series ORDER BY id")
        .during(ACTION)?;
    let mut rows = select.query([]).during(ACTION)?;
    while let Some(row) = rows.next().during(ACTION)? {
        let id = row.get::<_, i64>(0).during(ACTION)? as u64;
        let corrupt = |reason: String| HistorianError::corrupt("series", id, reason);
        let device: String = row.get(1).during(ACTION)?;
        let signal: String = row.get(2).during(ACTION)?;
        let key = SeriesKey {
            device: DeviceId::new(&device).map_err(|error| corrupt(error.to_string()))?,
            signal: SignalName::new(&signal).map_err(|error| corrupt(error.to_string()))?,
        };
        if u64::from(state.add(key, true)) != id {
            return Err(corrupt("a series before it is missing".into()));
        }
    }
    let mut select = connection
        .prepare(
            "SELECT id, series, t_min, t_max, count, stored_at, last_bits FROM chunks
             ORDER BY series, t_min",
        )
        .during(ACTION)?;
    let mut rows = select.query([]).during(ACTION)?;
    while let Some(row) = rows.next().during(ACTION)? {
        let chunk = Chunk {
            id: row.get(0).during(ACTION)?,
            t_min: row.get(2).during(ACTION)?,
            t_max: row.get(3).during(ACTION)?,
            count: row.get(4).during(ACTION)?,
            stored_at: row.get(5).during(ACTION)?,
            last_value: f64::from_bits(row.get::<_, i64>(6).during(ACTION)? as u64),
        };
        let corrupt = |reason| HistorianError::corrupt("chunk", chunk.id as u64, reason);
        let number: u32 = row.get(1).during(ACTION)?;
        let series = state.series.get_mut(number as usize);
        let series = series.ok_or_else(|| corrupt("its series is missing"))?;
        if series
            .chunks
            .last()
            .is_some_and(|last| last.t_max >= chunk.t_min)
        {
            return Err(corrupt("it overlaps the chunk before it"));
        }
        series.chunks.push(chunk);
    }
    for series in &mut state.series {
        series.replace(&[], &[]);
    }
    Ok(state)
}

/// The journal that was followed last, and the offset up to which it is in chunks.
pub(crate) fn journal_link(
    connection: &Connection,
) -> Result<Option<(u64, Offset)>, HistorianError> {
    connection
        .query_row("SELECT journal, offset FROM applied", [], |row| {
            let (journal, offset): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((journal as u64, Offset(offset as u64)))
        })
        .optional()
        .during("read the applied offset")
}

pub(crate) fn set_journal_link(
    tx: &Transaction<'_>,
    journal: u64,
    applied: Offset,
) -> Result<(), HistorianError> {
    tx.execute(
        "INSERT INTO applied (only, journal, offset) VALUES (1, ?1, ?2)
         ON CONFLICT (only) DO UPDATE SET journal = excluded.journal, offset = excluded.offset",
        params![journal as i64, applied.0 as i64],
    )
    .during("save the applied offset")?;
    Ok(())
}

pub(crate) fn insert_series(
    tx: &Transaction<'_>,
    number: u32,
    key: &SeriesKey,
) -> Result<(), HistorianError> {
    tx.prepare("INSERT INTO series (id, device, signal) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| {
            insert.execute(params![number, key.device.as_str(), key.signal.as_str()])
        })
        .during("add a series")?;
    Ok(())
}

pub(crate) fn delete_chunks(
    tx: &Transaction<'_>,
    ids: impl Iterator<Item = i64>,
) -> Result<(), HistorianError> {
    const ACTION: &str = "delete chunks";
    let mut delete = tx
        .prepare("DELETE FROM chunks WHERE id = ?1")
        .during(ACTION)?;
    for id in ids {
        delete.execute([id]).during(ACTION)?;
    }
    Ok(())
}

/// Writes chunks and gives what to remember of each, in the same order.
pub(crate) fn insert_chunks(
    tx: &Transaction<'_>,
    chunks: &[Encoded],
    stored_at: i64,
) -> Result<Vec<Chunk>, HistorianError> {
    const ACTION: &str = "write chunks";
    let mut insert = tx
        .prepare(
            "INSERT INTO chunks
                 (series, t_min, t_max, count, last_bits, stored_at, crc, codec, times, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .during(ACTION)?;
    let mut written = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        insert
            .execute(params![
                chunk.series,
                chunk.t_min,
                chunk.t_max,
                chunk.count,
                chunk.last_value.to_bits() as i64,
                stored_at,
                chunk.checksum(),
                chunk.codec,
                chunk.times,
                chunk.values,
            ])
            .during(ACTION)?;
        written.push(Chunk::of(chunk, tx.last_insert_rowid(), stored_at));
    }
    Ok(written)
}

/// Reads and checks the points of a chunk; none when the chunk is no longer there.
pub(crate) fn points(connection: &Connection, id: i64) -> Result<Option<Points>, HistorianError> {
    const ACTION: &str = "read a chunk";
    let found = connection
        .query_row(
            "SELECT series, t_min, t_max, count, last_bits, crc, codec, times, data
             FROM chunks WHERE id = ?1",
            [id],
            |row| {
                let chunk = Encoded {
                    series: row.get(0)?,
                    t_min: row.get(1)?,
                    t_max: row.get(2)?,
                    count: row.get(3)?,
                    last_value: f64::from_bits(row.get::<_, i64>(4)? as u64),
                    codec: row.get(6)?,
                    times: row.get(7)?,
                    values: row.get(8)?,
                };
                Ok((chunk, row.get::<_, u32>(5)?))
            },
        )
        .optional()
        .during(ACTION)?;
    let Some((chunk, crc)) = found else {
        return Ok(None);
    };
    let points = chunk.decode(crc);
    let corrupt = |reason| HistorianError::corrupt("chunk", id as u64, reason);
    points.map(Some).map_err(corrupt)
}
