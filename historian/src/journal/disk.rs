//! The tables of the journal and the statements on them.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use telemetry::Offset;

use super::{
    ReaderPosition, Snapshot, codec,
    ring::{Entry, size_of_record},
};
use crate::{
    error::{During, HistorianError},
    sqlite::Layout,
};

/// `journal.offset` rises by one a commit. `total_readings` counts the readings of this row
/// and all before it, so the newest row alone carries both durable counters.
pub(crate) const LAYOUT: Layout = Layout {
    what: "journal",
    application_id: 0x4257_4a4c,
    version: 2,
    migrations: &[(TO_VERSION_2, None)],
    shrinks: false,
    page_bytes: 16 << 10,
    checkpoint_bytes: 16 << 20,
    schema: "
        CREATE TABLE journal (
            offset INTEGER PRIMARY KEY,
            total_readings INTEGER NOT NULL,
            crc INTEGER NOT NULL,
            blob BLOB NOT NULL
        ) STRICT;
        CREATE TABLE readers (
            name TEXT PRIMARY KEY,
            position INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE snapshots (
            reader TEXT NOT NULL,
            key TEXT NOT NULL,
            crc INTEGER NOT NULL,
            bytes BLOB NOT NULL,
            PRIMARY KEY (reader, key)
        ) STRICT;
        CREATE TABLE dead_letters (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL,
            device TEXT,
            topic TEXT NOT NULL,
            received_at INTEGER NOT NULL,
            payload BLOB NOT NULL,
            payload_len INTEGER NOT NULL,
            content_type TEXT,
            properties TEXT,
            replayed_at INTEGER
        ) STRICT;
        CREATE INDEX dead_letters_open ON dead_letters (reason) WHERE replayed_at IS NULL;
        CREATE TABLE dead_letter_counts (
            reason TEXT PRIMARY KEY,
            count INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE dead_letter_room (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            kept INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            dropped INTEGER NOT NULL
        ) STRICT;
        INSERT INTO dead_letter_room VALUES (1, 0, 0, 0);
        CREATE TABLE identity (id INTEGER NOT NULL) STRICT;
        INSERT INTO identity VALUES (random());
    ",
};

/// Version 1 kept neither content type nor properties of a dead letter, and bounded their
/// number only. The letters it has dropped by then are those that were counted and have gone.
const TO_VERSION_2: &str = "
    ALTER TABLE dead_letters ADD COLUMN content_type TEXT;
    ALTER TABLE dead_letters ADD COLUMN properties TEXT;
    ALTER TABLE dead_letters ADD COLUMN replayed_at INTEGER;
    CREATE INDEX dead_letters_open ON dead_letters (reason) WHERE replayed_at IS NULL;
    CREATE TABLE dead_letter_room (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        kept INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        dropped INTEGER NOT NULL
    ) STRICT;
    INSERT INTO dead_letter_room
        SELECT 1, count(*), coalesce(sum(octet_length(payload) + octet_length(topic) + octet_length(detail)), 0),
               coalesce((SELECT sum(count) FROM dead_letter_counts), 0) - count(*)
        FROM dead_letters;
";

/// Where the journal stands when it is opened.
pub(crate) struct Standing {
    pub(crate) id: u64,
    pub(crate) committed: u64,
    pub(crate) oldest: u64,
    pub(crate) total_readings: u64,
    pub(crate) readers: Vec<ReaderPosition>,
}

pub(crate) fn standing(connection: &Connection) -> Result<Standing, HistorianError> {
    let id: i64 = connection
        .query_row("SELECT id FROM identity", [], |row| row.get(0))
        .during("read the identity of the journal")?;
    let newest: Option<(i64, i64)> = connection
        .query_row(
            "SELECT offset, total_readings FROM journal ORDER BY offset DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .during("find the end of the journal")?;
    let (committed, total) = newest.unwrap_or((0, 0));
    let oldest: Option<i64> = connection
        .query_row("SELECT min(offset) FROM journal", [], |row| row.get(0))
        .during("find the start of the journal")?;
    let mut statement = connection
        .prepare("SELECT name, position FROM readers ORDER BY name")
        .during("list the readers")?;
    let readers = statement
        .query_map([], |row| {
            Ok(ReaderPosition {
                name: row.get(0)?,
                position: Offset(row.get::<_, i64>(1)? as u64),
            })
        })
        .and_then(Iterator::collect)
        .during("list the readers")?;
    Ok(Standing {
        id: id as u64,
        committed: committed as u64,
        oldest: oldest.unwrap_or(committed + 1) as u64,
        total_readings: total as u64,
        readers,
    })
}

pub(crate) fn insert(
    tx: &Transaction<'_>,
    offset: u64,
    total_readings: u64,
    blob: &[u8],
) -> Result<(), HistorianError> {
    let crc = codec::checksum(offset, total_readings, blob);
    tx.prepare("INSERT INTO journal (offset, total_readings, crc, blob) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| {
            insert.execute(params![offset as i64, total_readings as i64, crc, blob])
        })
        .during("append to the journal")?;
    Ok(())
}

/// Deletes the rows up to and including `last`.
pub(crate) fn trim(tx: &Transaction<'_>, last: u64) -> Result<(), HistorianError> {
    tx.execute("DELETE FROM journal WHERE offset <= ?1", [last as i64])
        .during("trim the journal")?;
    Ok(())
}

pub(crate) fn save_position(
    tx: &Transaction<'_>,
    reader: &str,
    position: Offset,
) -> Result<(), HistorianError> {
    tx.execute(
        "INSERT INTO readers (name, position) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        params![reader, position.0 as i64],
    )
    .during("save the position of a reader")?;
    Ok(())
}

/// Takes a reader off the list, with what it has saved.
pub(crate) fn forget_reader(tx: &Transaction<'_>, reader: &str) -> Result<(), HistorianError> {
    for statement in [
        "DELETE FROM readers WHERE name = ?1",
        "DELETE FROM snapshots WHERE reader = ?1",
    ] {
        tx.execute(statement, [reader]).during("forget a reader")?;
    }
    Ok(())
}

pub(crate) fn save_snapshots(
    tx: &Transaction<'_>,
    reader: &str,
    snapshots: &[Snapshot],
) -> Result<(), HistorianError> {
    let mut upsert = tx
        .prepare(
            "INSERT INTO snapshots (reader, key, crc, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (reader, key) DO UPDATE SET crc = excluded.crc, bytes = excluded.bytes",
        )
        .during("save snapshots")?;
    for Snapshot { key, bytes } in snapshots {
        upsert
            .execute(params![reader, key, crc32c::crc32c(bytes), bytes])
            .during("save snapshots")?;
    }
    Ok(())
}

pub(crate) fn load_snapshots(
    connection: &Connection,
    reader: &str,
) -> Result<Vec<Snapshot>, HistorianError> {
    const ACTION: &str = "load snapshots";
    let mut select = connection
        .prepare("SELECT rowid, key, crc, bytes FROM snapshots WHERE reader = ?1 ORDER BY key")
        .during(ACTION)?;
    let mut rows = select.query([reader]).during(ACTION)?;
    let mut snapshots = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        snapshots.push(snapshot(row, reader)?);
    }
    Ok(snapshots)
}

/// Those with one of these keys, by key.
pub(crate) fn load_snapshots_of(
    connection: &Connection,
    reader: &str,
    keys: &[String],
) -> Result<Vec<Snapshot>, HistorianError> {
    const ACTION: &str = "load snapshots";
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut select = connection
        .prepare("SELECT rowid, key, crc, bytes FROM snapshots WHERE reader = ?1 AND key = ?2")
        .during(ACTION)?;
    let mut snapshots = Vec::new();
    for key in keys {
        let mut rows = select.query([reader, key]).during(ACTION)?;
        if let Some(row) = rows.next().during(ACTION)? {
            snapshots.push(snapshot(row, reader)?);
        }
    }
    Ok(snapshots)
}

/// A row of `rowid, key, crc, bytes`.
fn snapshot(row: &rusqlite::Row<'_>, reader: &str) -> Result<Snapshot, HistorianError> {
    const ACTION: &str = "read a snapshot";
    let (id, crc): (i64, u32) = (row.get(0).during(ACTION)?, row.get(2).during(ACTION)?);
    let snapshot = Snapshot {
        key: row.get(1).during(ACTION)?,
        bytes: row.get(3).during(ACTION)?,
    };
    if crc32c::crc32c(&snapshot.bytes) != crc {
        return Err(HistorianError::corrupt(
            "snapshot",
            id as u64,
            format!("checksum of {} of reader {reader}", snapshot.key),
        ));
    }
    Ok(snapshot)
}

/// Reads the records that follow `after`, up to `max_bytes` of memory but one at least.
pub(crate) fn read(
    connection: &mut Connection,
    after: Offset,
    max_bytes: usize,
) -> Result<Vec<Entry>, HistorianError> {
    const ACTION: &str = "read the journal";
    let mut select = connection
        .prepare(
            "SELECT offset, total_readings, crc, blob FROM journal
             WHERE offset > ?1 ORDER BY offset",
        )
        .during(ACTION)?;
    let mut rows = select.query([after.0 as i64]).during(ACTION)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut left = max_bytes;
    while let Some(row) = rows.next().during(ACTION)? {
        let offset = row.get::<_, i64>(0).during(ACTION)? as u64;
        let total = row.get::<_, i64>(1).during(ACTION)? as u64;
        let crc: u32 = row.get(2).during(ACTION)?;
        let expected = entries.last().map_or(after.0, |(last, _)| last.0) + 1;
        if offset != expected && entries.is_empty() {
            return Err(HistorianError::Trimmed {
                after,
                oldest: Offset(offset),
            });
        }
        let corrupt = |reason: String| HistorianError::corrupt("journal record", offset, reason);
        if offset != expected {
            return Err(corrupt(format!("record {expected} before it is missing")));
        }
        let blob = row.get_ref(3).during(ACTION)?;
        let blob = blob.as_blob().map_err(|error| corrupt(error.to_string()))?;
        if codec::checksum(offset, total, blob) != crc {
            return Err(corrupt("its checksum differs".into()));
        }
        let record = codec::decode(blob).map_err(corrupt)?;
        let bytes = size_of_record(&record);
        if !entries.is_empty() && bytes > left {
            break;
        }
        left = left.saturating_sub(bytes);
        entries.push((Offset(offset), Arc::new(record)));
    }
    Ok(entries)
}
