//! Times that several chunks have in common, stored once.
//!
//! A device sends its signals together, so each of their chunks has the same column of times. With a
//! clock that stutters such a column takes a byte or two a reading, as much as the values. It is
//! therefore a row of its own, which counts the chunks that use it and goes with the last of them.
//!
//! The row is found by its number, which follows from what it holds: the second of the first time,
//! which also keeps rows in the order in which they are written, and a checksum of the bytes. A row of
//! the same number that holds something else is left alone, and the chunk keeps its times itself; so
//! chunks share times whichever transactions wrote them, and nothing has to be kept in memory.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::chunk::Encoded;
use crate::error::{During, HistorianError};

/// Shorter columns, such as those of a clock that hardly ever stutters, stay with their chunk: a row
/// takes some twenty bytes besides what it holds, and looking it up takes time.
const MIN_BYTES: usize = 48;

/// Bits of the checksum in a number, and above them of the second.
const CHECKSUM_BITS: u32 = 30;
const SECOND_BITS: u32 = 33;

/// The number of a row with the times of this chunk.
pub(super) fn number(chunk: &Encoded) -> i64 {
    let second = chunk.t_min.div_euclid(1_000_000) & ((1 << SECOND_BITS) - 1);
    let checksum = i64::from(crc32c::crc32c(&chunk.times) >> (32 - CHECKSUM_BITS));
    second << CHECKSUM_BITS | checksum
}

/// Stores the times of a chunk, or counts it among those that use them; gives the number of the row.
/// None when the chunk has to keep its times itself.
pub(super) fn share(tx: &Transaction<'_>, chunk: &Encoded) -> Result<Option<i64>, HistorianError> {
    const ACTION: &str = "share the times of a chunk";
    if chunk.times.len() < MIN_BYTES {
        return Ok(None);
    }
    let id = number(chunk);
    let known = tx
        .prepare_cached("SELECT data = ?2 FROM shared_times WHERE id = ?1")
        .and_then(|mut select| {
            let same = select.query_row(params![id, chunk.times], |row| row.get::<_, bool>(0));
            same.optional()
        })
        .during(ACTION)?;
    let sql = match known {
        Some(false) => return Ok(None),
        Some(true) => "UPDATE shared_times SET users = users + 1 WHERE id = ?1 AND ?2 IS NOT NULL",
        None => "INSERT INTO shared_times (id, users, data) VALUES (?1, 1, ?2)",
    };
    tx.prepare_cached(sql)
        .and_then(|mut write| write.execute(params![id, chunk.times]))
        .during(ACTION)?;
    Ok(Some(id))
}

/// A chunk no longer uses the times it shares, if it does: before it is deleted, or its readings are.
pub(super) fn release(tx: &Transaction<'_>, chunk: i64) -> Result<(), HistorianError> {
    const ACTION: &str = "release the times of a chunk";
    let shared = tx
        .prepare_cached("SELECT shared FROM chunks WHERE id = ?1")
        .and_then(|mut select| {
            let shared = select.query_row([chunk], |row| row.get::<_, Option<i64>>(0));
            shared.optional()
        })
        .during(ACTION)?;
    let Some(id) = shared.flatten() else {
        return Ok(());
    };
    for sql in [
        "UPDATE shared_times SET users = users - 1 WHERE id = ?1",
        "DELETE FROM shared_times WHERE id = ?1 AND users < 1",
    ] {
        tx.prepare_cached(sql)
            .and_then(|mut write| write.execute([id]))
            .during(ACTION)?;
    }
    Ok(())
}

/// The version of the file that shared times came with.
const SINCE_VERSION: i64 = 5;

/// Lets a connection that only reads see a file of an earlier version, whose chunks all keep their times
/// themselves: what is missing stands beside the file, in memory.
pub(super) fn stand_in(connection: &Connection) -> Result<(), HistorianError> {
    const ACTION: &str = "look at a store of an earlier version";
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .during(ACTION)?;
    if version >= SINCE_VERSION {
        return Ok(());
    }
    connection
        .execute_batch(
            "PRAGMA temp_store = MEMORY;
             CREATE TEMP TABLE shared_times (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
             CREATE TEMP VIEW chunks AS SELECT *, NULL AS shared FROM main.chunks;",
        )
        .during(ACTION)
}
