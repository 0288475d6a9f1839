//! What failed a check: listed up to a bound, counted without one, marked when it was taken again.
//!
//! A letter keeps its whole payload, up to four megabytes, so both the number of letters and
//! their bytes are bounded. The oldest leave first; how many have left is counted for good.
//! A list carries the first bytes of each payload only, or a page of it could be gigabytes;
//! [`Journal::dead_letter`] gives one whole.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::{DeadLetter, DeadLetterReason, DeviceId, Timestamp};

use super::Journal;
use crate::error::{During, HistorianError};

/// Bytes of a payload in a list: more than a page shows of it.
pub(crate) const LISTED_PAYLOAD_BYTES: usize = 4 << 10;

/// Letters marked in one call; the reader of a longer list calls again.
pub(crate) const MAX_MARKED: usize = 10_000;

/// Which dead letters to list, by whether they have been taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadLetterState {
    /// Only those that have not been taken again.
    Open,
    /// Only those that have.
    Replayed,
    /// All of them.
    #[default]
    All,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterQuery {
    /// Only those with this reason.
    pub reason: Option<DeadLetterReason>,
    /// Only those of this device.
    pub device: Option<DeviceId>,
    /// Only those in this state.
    pub state: DeadLetterState,
    /// Only those with a smaller id: the last id of the page before.
    pub before_id: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// A dead letter with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// Rises with every dead letter; never reused.
    pub id: u64,
    /// When it was taken again with success.
    pub replayed_at: Option<Timestamp>,
    /// Whether the whole payload is kept, so that it can be taken again. A list carries the
    /// first bytes of it only, so this is not [`DeadLetter::is_whole`] of `letter` there.
    pub whole: bool,
    /// The dead letter.
    pub letter: DeadLetter,
}

/// How full the list of dead letters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeadLetterRoom {
    /// Letters in the list.
    pub kept: u64,
    /// Bytes of their payloads and texts.
    pub bytes: u64,
    /// Letters that left the list to keep its bounds, since the journal was created.
    pub dropped: u64,
}

/// The bounds of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) letters: u64,
    pub(crate) bytes: u64,
}

impl Journal {
    /// Lists dead letters, newest first. Payloads are cut to their first 4 KiB.
    pub async fn dead_letters(
        &self,
        query: DeadLetterQuery,
    ) -> Result<Vec<StoredDeadLetter>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select(connection, &query))
            .await
    }

    /// One dead letter with everything that is kept of it; none when it has left the list.
    pub async fn dead_letter(&self, id: u64) -> Result<Option<StoredDeadLetter>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select_one(connection, id))
            .await
    }

    /// How many dead letters there have been since the journal was created, for every
    /// reason that occurred, those that have left the list included.
    pub async fn dead_letter_counts(&self) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
        self.0.pool.run(|connection| counts(connection)).await
    }

    /// How many letters of the list have not been taken again, for every reason that occurs.
    /// Answered from an index, however long the payloads are.
    pub async fn open_dead_letter_counts(
        &self,
    ) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
        self.0.pool.run(|connection| open_counts(connection)).await
    }
}

/// How full the list is.
pub(crate) fn room(connection: &Connection) -> Result<DeadLetterRoom, HistorianError> {
    let sql = "SELECT kept, bytes, dropped FROM dead_letter_room";
    connection
        .query_row(sql, [], |row| {
            Ok(DeadLetterRoom {
                kept: row.get::<_, i64>(0)? as u64,
                bytes: row.get::<_, i64>(1)? as u64,
                dropped: row.get::<_, i64>(2)? as u64,
            })
        })
        .during("read the size of the dead letters")
}

/// Writes dead letters and their counters, and drops the oldest beyond the bounds. Gives how
/// full the list is then.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    letters: &[DeadLetter],
    room: DeadLetterRoom,
    bounds: Bounds,
) -> Result<DeadLetterRoom, HistorianError> {
    const ACTION: &str = "store dead letters";
    if letters.is_empty() {
        return Ok(room);
    }
    let mut room = room;
    let mut by_reason: BTreeMap<DeadLetterReason, i64> = BTreeMap::new();
    let mut insert = tx
        .prepare(
            "INSERT INTO dead_letters
                 (reason, detail, device, topic, received_at, payload, payload_len, content_type, properties)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .during(ACTION)?;
    for letter in letters {
        *by_reason.entry(letter.reason).or_default() += 1;
        room.kept += 1;
        room.bytes += (letter.payload.len() + letter.topic.len() + letter.detail.len()) as u64;
        insert
            .execute(params![
                letter.reason.as_str(),
                letter.detail,
                letter.device.as_ref().map(DeviceId::as_str),
                letter.topic,
                letter.received_at.as_micros(),
                letter.payload,
                letter.payload_len as i64,
                letter.content_type,
                properties_text(&letter.properties)?,
            ])
            .during(ACTION)?;
    }
    drop_beyond(tx, &mut room, bounds)?;
    for (reason, count) in by_reason {
        tx.execute(
            "INSERT INTO dead_letter_counts (reason, count) VALUES (?1, ?2)
             ON CONFLICT (reason) DO UPDATE SET count = count + excluded.count",
            params![reason.as_str(), count],
        )
        .during(ACTION)?;
    }
    let (kept, bytes, dropped) = (room.kept as i64, room.bytes as i64, room.dropped as i64);
    tx.execute(
        "UPDATE dead_letter_room SET kept = ?1, bytes = ?2, dropped = ?3",
        [kept, bytes, dropped],
    )
    .during(ACTION)?;
    Ok(room)
}

fn drop_beyond(
    tx: &Transaction<'_>,
    room: &mut DeadLetterRoom,
    bounds: Bounds,
) -> Result<(), HistorianError> {
    const ACTION: &str = "drop the oldest dead letters";
    let within = |room: &DeadLetterRoom| room.kept <= bounds.letters && room.bytes <= bounds.bytes;
    if within(room) {
        return Ok(());
    }
    let mut select = tx
        .prepare(
            "SELECT id, octet_length(payload) + octet_length(topic) + octet_length(detail)
             FROM dead_letters ORDER BY id",
        )
        .during(ACTION)?;
    let mut rows = select.query([]).during(ACTION)?;
    let mut last = None;
    while !within(room)
        && let Some(row) = rows.next().during(ACTION)?
    {
        last = Some(row.get::<_, i64>(0).during(ACTION)?);
        room.kept = room.kept.saturating_sub(1);
        room.bytes = room
            .bytes
            .saturating_sub(row.get::<_, i64>(1).during(ACTION)? as u64);
        room.dropped += 1;
    }
    if let Some(last) = last {
        tx.execute("DELETE FROM dead_letters WHERE id <= ?1", [last])
            .during(ACTION)?;
    }
    Ok(())
}

/// Marks letters as taken again; gives the number of those that are still in the list.
pub(crate) fn mark_replayed(
    tx: &Transaction<'_>,
    ids: &[u64],
    at: Timestamp,
) -> Result<u64, HistorianError> {
    const ACTION: &str = "mark dead letters as replayed";
    let mut update = tx
        .prepare("UPDATE dead_letters SET replayed_at = ?2 WHERE id = ?1")
        .during(ACTION)?;
    let mut marked = 0;
    for &id in ids {
        let Ok(id) = i64::try_from(id) else { continue };
        marked += update.execute(params![id, at.as_micros()]).during(ACTION)?;
    }
    Ok(marked as u64)
}

fn properties_text(properties: &[(String, String)]) -> Result<Option<String>, HistorianError> {
    if properties.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(properties)
        .map(Some)
        .map_err(|source| HistorianError::Encode {
            what: "the properties of a dead letter",
            source,
        })
}

const COLUMNS: &str = "id, reason, detail, device, topic, received_at, payload_len, content_type, \
     properties, replayed_at, octet_length(payload)";

fn select(
    connection: &Connection,
    query: &DeadLetterQuery,
) -> Result<Vec<StoredDeadLetter>, HistorianError> {
    const ACTION: &str = "list dead letters";
    let state = match query.state {
        DeadLetterState::Open => "replayed_at IS NULL",
        DeadLetterState::Replayed => "replayed_at IS NOT NULL",
        DeadLetterState::All => "TRUE",
    };
    let sql = format!(
        "SELECT {COLUMNS}, coalesce(substr(payload, 1, {LISTED_PAYLOAD_BYTES}), x'') FROM dead_letters
         WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR device = ?2) AND id < ?3 AND {state}
         ORDER BY id DESC LIMIT ?4"
    );
    let mut select = connection.prepare(&sql).during(ACTION)?;
    let before = query.before_id.and_then(|id| i64::try_from(id).ok());
    let mut rows = select
        .query(params![
            query.reason.map(DeadLetterReason::as_str),
            query.device.as_ref().map(DeviceId::as_str),
            before.unwrap_or(i64::MAX),
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ])
        .during(ACTION)?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        letters.push(letter(row)?);
    }
    Ok(letters)
}

fn select_one(
    connection: &Connection,
    id: u64,
) -> Result<Option<StoredDeadLetter>, HistorianError> {
    const ACTION: &str = "read a dead letter";
    let Ok(id) = i64::try_from(id) else {
        return Ok(None);
    };
    let sql = format!("SELECT {COLUMNS}, payload FROM dead_letters WHERE id = ?1");
    let mut select = connection.prepare(&sql).during(ACTION)?;
    let mut rows = select.query([id]).during(ACTION)?;
    rows.next().during(ACTION)?.map(letter).transpose()
}

fn letter(row: &Row<'_>) -> Result<StoredDeadLetter, HistorianError> {
    const ACTION: &str = "read a dead letter";
    let id = row.get::<_, i64>(0).during(ACTION)? as u64;
    let corrupt = |reason: String| HistorianError::corrupt("dead letter", id, reason);
    let reason: String = row.get(1).during(ACTION)?;
    let device: Option<String> = row.get(3).during(ACTION)?;
    let device = device.map(|device| DeviceId::new(&device)).transpose();
    let payload_len = row.get::<_, i64>(6).during(ACTION)? as u64;
    let properties: Option<String> = row.get(8).during(ACTION)?;
    let properties = properties.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text));
    let replayed_at: Option<i64> = row.get(9).during(ACTION)?;
    let kept = row.get::<_, i64>(10).during(ACTION)? as u64;
    Ok(StoredDeadLetter {
        id,
        replayed_at: replayed_at.map(Timestamp::from_micros),
        whole: kept == payload_len,
        letter: DeadLetter {
            reason: DeadLetterReason::parse(&reason)
                .ok_or_else(|| corrupt(format!("reason {reason:?} is unknown")))?,
            detail: row.get(2).during(ACTION)?,
            device: device.map_err(|error| corrupt(error.to_string()))?,
            topic: row.get(4).during(ACTION)?,
            received_at: Timestamp::from_micros(row.get(5).during(ACTION)?),
            content_type: row.get(7).during(ACTION)?,
            properties: properties.map_err(|error| corrupt(error.to_string()))?,
            payload: row.get(11).during(ACTION)?,
            payload_len,
        },
    })
}

fn counts(connection: &Connection) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
    by_reason(
        connection,
        "SELECT count FROM dead_letter_counts WHERE reason = ?1",
    )
}

fn open_counts(connection: &Connection) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
    let counts = by_reason(
        connection,
        "SELECT count(*) FROM dead_letters WHERE reason = ?1 AND replayed_at IS NULL",
    )?;
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// One number for each reason that has one.
fn by_reason(
    connection: &Connection,
    sql: &str,
) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
    let mut counts = Vec::new();
    for reason in DeadLetterReason::ALL {
        let count: Option<i64> = connection
            .query_row(sql, [reason.as_str()], |row| row.get(0))
            .optional()
            .during("count dead letters")?;
        counts.extend(count.map(|count| (reason, count as u64)));
    }
    Ok(counts)
}
