//! The tables of findings and the statements on them.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::{AssetId, DeviceId, Finding, Timestamp};

use super::{
    chunk::{Packed, Source},
    shred::{deflate_fast, inflate},
    state::Sources,
    words::Words,
};
use crate::error::{During, HistorianError};

/// What version 3 added: findings packed into chunks. `finding_log` holds what was said since they
/// were packed last, whole batches; `finding_words` and `finding_sources` count from 0 without gaps.
/// `damaged_findings` keeps the bytes of what could not be read, in case somebody can.
/// `retention_clock` is how far retention has believed the clock of the machine.
macro_rules! added_in_version_3 {
    () => {
        "
        CREATE TABLE finding_sources (
            id INTEGER PRIMARY KEY,
            asset TEXT NOT NULL,
            device TEXT NOT NULL
        ) STRICT;
        CREATE TABLE finding_words (
            id INTEGER PRIMARY KEY,
            word TEXT NOT NULL
        ) STRICT;
        CREATE TABLE finding_chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            source INTEGER NOT NULL,
            t_min INTEGER NOT NULL,
            t_max INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            kinds INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            keys_crc INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            keys BLOB NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE INDEX finding_chunks_by_source ON finding_chunks (source, t_min);
        CREATE TABLE finding_log (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            crc INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE damaged_findings (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            source INTEGER,
            t_min INTEGER,
            t_max INTEGER,
            rows INTEGER NOT NULL,
            found_at INTEGER NOT NULL,
            reason TEXT NOT NULL,
            keys BLOB NOT NULL,
            data BLOB NOT NULL
        ) STRICT;
        CREATE TABLE retention_clock (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            at INTEGER NOT NULL
        ) STRICT;
        "
    };
}
pub(crate) use added_in_version_3;

/// The most bytes a batch of the log unpacks to; far above what analytics says at once.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// A chunk without its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Meta {
    pub(crate) id: i64,
    pub(crate) source: u32,
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) rows: u32,
}

const LOAD: &str = "load what is known of findings";

pub(crate) fn load_words(connection: &Connection) -> Result<Words, HistorianError> {
    let mut words = Words::default();
    let mut select = connection
        .prepare("SELECT word FROM finding_words ORDER BY id")
        .during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    while let Some(row) = rows.next().during(LOAD)? {
        words.push(&row.get::<_, String>(0).during(LOAD)?);
    }
    Ok(words)
}

pub(crate) fn load_sources(connection: &Connection) -> Result<Sources, HistorianError> {
    let mut sources = Sources::default();
    let mut select = connection
        .prepare("SELECT id, asset, device FROM finding_sources ORDER BY id")
        .during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    while let Some(row) = rows.next().during(LOAD)? {
        let id = row.get::<_, i64>(0).during(LOAD)? as u64;
        let corrupt = |reason: String| HistorianError::corrupt("source of findings", id, reason);
        let (asset, device): (String, String) =
            (row.get(1).during(LOAD)?, row.get(2).during(LOAD)?);
        let number = sources.push(Source {
            asset: AssetId::new(&asset).map_err(|error| corrupt(error.to_string()))?,
            device: DeviceId::new(&device).map_err(|error| corrupt(error.to_string()))?,
        });
        if u64::from(number) != id {
            return Err(corrupt("one before it is missing".into()));
        }
    }
    Ok(sources)
}

/// What is in the log, batch by batch; a damaged batch is a reason.
pub(crate) fn load_log(
    connection: &Connection,
    mut take: impl FnMut(i64, Result<Vec<Finding>, String>),
) -> Result<(), HistorianError> {
    let mut select = connection
        .prepare("SELECT id, crc, data FROM finding_log ORDER BY id")
        .during(LOAD)?;
    let mut rows = select.query([]).during(LOAD)?;
    while let Some(row) = rows.next().during(LOAD)? {
        let id = row.get(0).during(LOAD)?;
        let (crc, data): (u32, Vec<u8>) = (row.get(1).during(LOAD)?, row.get(2).during(LOAD)?);
        take(id, read_batch(crc, &data));
    }
    Ok(())
}

fn read_batch(crc: u32, data: &[u8]) -> Result<Vec<Finding>, String> {
    if crc32c::crc32c(data) != crc {
        return Err("its checksum differs".into());
    }
    let json = inflate(data, MAX_BATCH_BYTES)?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// Adds a batch to the log; gives its number.
pub(crate) fn log(tx: &Transaction<'_>, findings: &[Finding]) -> Result<i64, HistorianError> {
    let json = serde_json::to_vec(findings).map_err(|source| HistorianError::Encode {
        what: "a finding",
        source,
    })?;
    let data = deflate_fast(&json);
    tx.prepare_cached("INSERT INTO finding_log (crc, data) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![crc32c::crc32c(&data), data]))
        .during("log findings")?;
    Ok(tx.last_insert_rowid())
}

pub(crate) fn forget_log(tx: &Transaction<'_>, up_to: i64) -> Result<(), HistorianError> {
    tx.execute("DELETE FROM finding_log WHERE id <= ?1", [up_to])
        .during("forget the log of findings")?;
    Ok(())
}

pub(crate) fn insert_words(
    tx: &Transaction<'_>,
    words: &Words,
    known: usize,
) -> Result<(), HistorianError> {
    const ACTION: &str = "add words of findings";
    let mut insert = tx
        .prepare_cached("INSERT INTO finding_words (id, word) VALUES (?1, ?2)")
        .during(ACTION)?;
    for (number, word) in words.since(known) {
        insert
            .execute(params![number as i64, word])
            .during(ACTION)?;
    }
    Ok(())
}

pub(crate) fn insert_sources(
    tx: &Transaction<'_>,
    sources: &Sources,
    known: usize,
) -> Result<(), HistorianError> {
    const ACTION: &str = "add sources of findings";
    let mut insert = tx
        .prepare_cached("INSERT INTO finding_sources (id, asset, device) VALUES (?1, ?2, ?3)")
        .during(ACTION)?;
    for (number, source) in sources.list.iter().enumerate().skip(known) {
        let (asset, device) = (source.asset.as_str(), source.device.as_str());
        insert
            .execute(params![number as i64, asset, device])
            .during(ACTION)?;
    }
    Ok(())
}

/// The chunks of one source in order of time.
pub(crate) fn chunks_of(connection: &Connection, source: u32) -> Result<Vec<Meta>, HistorianError> {
    const ACTION: &str = "look up chunks of findings";
    let mut select = connection
        .prepare_cached(
            "SELECT id, source, t_min, t_max, rows FROM finding_chunks WHERE source = ?1 ORDER BY t_min",
        )
        .during(ACTION)?;
    let metas = select.query_map([source], meta).during(ACTION)?;
    metas.collect::<rusqlite::Result<_>>().during(ACTION)
}

pub(crate) fn meta(row: &Row<'_>) -> rusqlite::Result<Meta> {
    Ok(Meta {
        id: row.get(0)?,
        source: row.get(1)?,
        t_min: row.get(2)?,
        t_max: row.get(3)?,
        rows: row.get(4)?,
    })
}

/// Reads and checks a chunk, its keys alone or with its columns.
pub(crate) fn chunk(
    connection: &Connection,
    id: i64,
    whole: bool,
) -> Result<Packed, HistorianError> {
    const ACTION: &str = "read a chunk of findings";
    let data = if whole { "data" } else { "x''" };
    let sql = format!(
        "SELECT source, t_min, t_max, rows, kinds, codec, keys, keys_crc, crc, {data}
         FROM finding_chunks WHERE id = ?1"
    );
    let found = connection.prepare_cached(&sql).and_then(|mut select| {
        let chunk = select.query_row([id], |row| {
            let packed = Packed {
                t_min: row.get(1)?,
                t_max: row.get(2)?,
                rows: row.get(3)?,
                kinds: row.get(4)?,
                codec: row.get(5)?,
                keys: row.get(6)?,
                data: row.get(9)?,
            };
            Ok((
                packed,
                row.get::<_, u32>(0)?,
                row.get::<_, u32>(7)?,
                row.get::<_, u32>(8)?,
            ))
        });
        chunk.optional()
    });
    let corrupt = |reason: &str| HistorianError::corrupt("chunk of findings", id as u64, reason);
    let (packed, source, keys_crc, crc) = found
        .during(ACTION)?
        .ok_or_else(|| corrupt("it is missing"))?;
    if packed.keys_checksum(source) != keys_crc || whole && packed.checksum(source) != crc {
        return Err(corrupt("its checksum differs"));
    }
    Ok(packed)
}

pub(crate) fn insert_chunk(
    tx: &Transaction<'_>,
    source: u32,
    stored_at: i64,
    chunk: &Packed,
) -> Result<(), HistorianError> {
    tx.prepare_cached(
        "INSERT INTO finding_chunks
             (source, t_min, t_max, rows, kinds, stored_at, keys_crc, crc, codec, keys, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            source,
            chunk.t_min,
            chunk.t_max,
            chunk.rows,
            chunk.kinds,
            stored_at,
            chunk.keys_checksum(source),
            chunk.checksum(source),
            chunk.codec,
            chunk.keys,
            chunk.data,
        ])
    })
    .during("write a chunk of findings")?;
    Ok(())
}

pub(crate) fn delete_chunk(tx: &Transaction<'_>, id: i64) -> Result<(), HistorianError> {
    tx.prepare_cached("DELETE FROM finding_chunks WHERE id = ?1")
        .and_then(|mut delete| delete.execute([id]))
        .during("delete a chunk of findings")?;
    Ok(())
}

/// Keeps the bytes of a damaged chunk apart; the chunk itself is deleted by the caller.
pub(crate) fn set_aside(
    tx: &Transaction<'_>,
    id: i64,
    now: Timestamp,
    reason: &str,
) -> Result<(), HistorianError> {
    tx.execute(
        "INSERT INTO damaged_findings (source, t_min, t_max, rows, found_at, reason, keys, data)
         SELECT source, t_min, t_max, rows, ?2, ?3, keys, data FROM finding_chunks WHERE id = ?1",
        params![id, now.as_micros(), reason],
    )
    .during("set damaged findings aside")?;
    Ok(())
}

/// The same for a batch of the log.
pub(crate) fn set_batch_aside(
    connection: &Connection,
    id: i64,
    now: Timestamp,
    reason: &str,
) -> Result<(), HistorianError> {
    connection
        .execute(
            "INSERT INTO damaged_findings (rows, found_at, reason, keys, data)
             SELECT 0, ?2, ?3, x'', data FROM finding_log WHERE id = ?1",
            params![id, now.as_micros(), reason],
        )
        .during("set damaged findings aside")?;
    Ok(())
}

/// Deletes chunks by the rule of retention: both their event times and the time they were stored
/// lie before `cutoff`, and event times in the future count for nothing.
pub(crate) fn delete_old(
    connection: &Connection,
    now: i64,
    cutoff: i64,
) -> Result<(), HistorianError> {
    connection
        .execute(
            "DELETE FROM finding_chunks WHERE stored_at < ?2 AND (t_max < ?2 OR t_max > ?1)",
            params![now, cutoff],
        )
        .during("delete old findings")?;
    Ok(())
}
