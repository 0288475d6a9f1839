//! What failed a check: listed up to a bound, counted without one.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::{DeadLetter, DeadLetterReason, DeviceId, Timestamp};

use super::Journal;
use crate::error::{During, HistorianError};

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterQuery {
    /// Only those with this reason.
    pub reason: Option<DeadLetterReason>,
    /// Only those of this device.
    pub device: Option<DeviceId>,
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
    /// The dead letter.
    pub letter: DeadLetter,
}

impl Journal {
    /// Lists dead letters, newest first.
    pub async fn dead_letters(
        &self,
        query: DeadLetterQuery,
    ) -> Result<Vec<StoredDeadLetter>, HistorianError> {
        self.0
            .pool
            .run(move |connection| select(connection, &query))
            .await
    }

    /// How many dead letters there have been since the journal was created, for every
    /// reason that occurred, those that have left the list included.
    pub async fn dead_letter_counts(&self) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
        self.0.pool.run(|connection| counts(connection)).await
    }
}

/// Writes dead letters and their counters, and drops the oldest beyond `keep`.
pub(crate) fn insert(
    tx: &Transaction<'_>,
    letters: &[DeadLetter],
    keep: u64,
) -> Result<(), HistorianError> {
    const ACTION: &str = "store dead letters";
    if letters.is_empty() {
        return Ok(());
    }
    let mut by_reason: BTreeMap<DeadLetterReason, i64> = BTreeMap::new();
    let mut insert = tx
        .prepare(
            "INSERT INTO dead_letters
                 (reason, detail, device, topic, received_at, payload, payload_len)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .during(ACTION)?;
    for letter in letters {
        *by_reason.entry(letter.reason).or_default() += 1;
        insert
            .execute(params![
                letter.reason.as_str(),
                letter.detail,
                letter.device.as_ref().map(DeviceId::as_str),
                letter.topic,
                letter.received_at.as_micros(),
                letter.payload,
                letter.payload_len as i64,
            ])
            .during(ACTION)?;
    }
    let newest = tx.last_insert_rowid();
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    tx.execute(
        "DELETE FROM dead_letters WHERE id <= ?1",
        [newest.saturating_sub(keep)],
    )
    .during(ACTION)?;
    for (reason, count) in by_reason {
        tx.execute(
            "INSERT INTO dead_letter_counts (reason, count) VALUES (?1, ?2)
             ON CONFLICT (reason) DO UPDATE SET count = count + excluded.count",
            params![reason.as_str(), count],
        )
        .during(ACTION)?;
    }
    Ok(())
}

fn select(
    connection: &Connection,
    query: &DeadLetterQuery,
) -> Result<Vec<StoredDeadLetter>, HistorianError> {
    const ACTION: &str = "list dead letters";
    let mut select = connection
        .prepare(
            "SELECT id, reason, detail, device, topic, received_at, payload, payload_len
             FROM dead_letters
             WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR device = ?2) AND id < ?3
             ORDER BY id DESC LIMIT ?4",
        )
        .during(ACTION)?;
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

fn letter(row: &Row<'_>) -> Result<StoredDeadLetter, HistorianError> {
    const ACTION: &str = "read a dead letter";
    let id = row.get::<_, i64>(0).during(ACTION)? as u64;
    let corrupt = |reason: String| HistorianError::corrupt("dead letter", id, reason);
    let reason: String = row.get(1).during(ACTION)?;
    let device: Option<String> = row.get(3).during(ACTION)?;
    let device = device.map(|device| DeviceId::new(&device)).transpose();
    Ok(StoredDeadLetter {
        id,
        letter: DeadLetter {
            reason: DeadLetterReason::parse(&reason)
                .ok_or_else(|| corrupt(format!("reason {reason:?} is unknown")))?,
            detail: row.get(2).during(ACTION)?,
            device: device.map_err(|error| corrupt(error.to_string()))?,
            topic: row.get(4).during(ACTION)?,
            received_at: Timestamp::from_micros(row.get(5).during(ACTION)?),
            content_type: None,
            properties: Vec::new(),
            payload: row.get(6).during(ACTION)?,
            payload_len: row.get::<_, i64>(7).during(ACTION)? as u64,
        },
    })
}

fn counts(connection: &Connection) -> Result<Vec<(DeadLetterReason, u64)>, HistorianError> {
    let mut counts = Vec::new();
    for reason in DeadLetterReason::ALL {
        let count: Option<i64> = connection
            .query_row(
                "SELECT count FROM dead_letter_counts WHERE reason = ?1",
                [reason.as_str()],
                |row| row.get(0),
            )
            .optional()
            .during("count dead letters")?;
        counts.extend(count.map(|count| (reason, count as u64)));
    }
    Ok(counts)
}
