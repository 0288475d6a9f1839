//! What cannot be read any more: set aside with its bytes, counted and listed.
//!
//! One damaged chunk must not keep the readings of all others from being stored. Whatever needs
//! it (a late point, a merge, retention) moves its bytes into a table of their own and goes on
//! without it; its roll-ups stay and answer in its place. A failing disk is no damage: only what
//! has been read and does not fit its checksum is.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};
use telemetry::{DeviceId, SignalName, Timestamp};

use super::{Store, disk, follow::Follower, tier::Tier};
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite,
};

/// Damages passed over in one step; a file with more of them needs a person.
const MAX_SET_ASIDE_AT_ONCE: u32 = 1_000;

/// A chunk, or a roll-up of it, that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedChunk {
    /// The number it had.
    pub chunk: u64,
    /// Which tier of it.
    pub tier: Tier,
    /// Who measured.
    pub device: DeviceId,
    /// What was measured.
    pub signal: SignalName,
    /// The earliest event time in it.
    pub first_at: Timestamp,
    /// The latest event time in it.
    pub last_at: Timestamp,
    /// The number of readings in it.
    pub count: u64,
    /// When the damage was found.
    pub found_at: Timestamp,
    /// What does not fit.
    pub reason: String,
}

impl Store {
    /// What was set aside because it could not be read, newest first, at most `limit`.
    pub async fn damaged_chunks(&self, limit: usize) -> Result<Vec<DamagedChunk>, HistorianError> {
        self.0
            .pool
            .run(move |connection| list(connection, limit))
            .await
    }
}

impl Follower {
    /// Does a step again for as long as it meets damage that can be set aside.
    pub(crate) fn past_damage<T>(
        &mut self,
        step: impl Fn(&mut Self) -> Result<T, HistorianError>,
    ) -> Result<T, HistorianError> {
        for _ in 0..MAX_SET_ASIDE_AT_ONCE {
            match step(self) {
                Err(error) if self.set_aside(&error)? => {}
                answer => return answer,
            }
        }
        step(self)
    }

    /// Sets aside what an error names, when it names a damaged chunk. Says no otherwise.
    pub(crate) fn set_aside(&mut self, error: &HistorianError) -> Result<bool, HistorianError> {
        let HistorianError::Corrupt { what, id, reason } = error else {
            return Ok(false);
        };
        let (chunk, tier) = match *what {
            "chunk" => (*id as i64, Tier::Raw),
            "roll-up" => ((*id >> 2) as i64, Tier::ALL[(*id & 3) as usize]),
            _ => return Ok(false),
        };
        let found = {
            let state = self.inner.state();
            let mut all = state.series.iter().enumerate();
            all.find_map(|(number, series)| {
                let chunk = series.chunks.iter().find(|entry| entry.id == chunk)?;
                Some((number, *chunk, series.key.clone()))
            })
        };
        let Some((number, known, key)) = found.filter(|(_, known, _)| known.tiers.has(tier)) else {
            return Ok(false);
        };
        let left = known.tiers.without(tier);
        {
            let mut connection = lock(&self.inner.connection);
            let tx = sqlite::begin(connection.get()?)?;
            move_bytes(&tx, chunk, tier, self.inner.now(), reason)?;
            match tier {
                _ if left.is_empty() => disk::delete_chunks(&tx, std::iter::once(chunk))?,
                Tier::Raw => disk::delete_readings(&tx, chunk)?,
                _ => disk::delete_roll_up(&tx, chunk, tier)?,
            }
            tx.commit().during("set a damaged chunk aside")?;
        }
        let mut kept = known;
        kept.tiers = left;
        let kept = if left.is_empty() {
            &[][..]
        } else {
            &[kept][..]
        };
        self.inner.state_mut().series[number].replace(&[chunk], kept);
        if tier == Tier::Raw {
            let lost = u64::from(known.count);
            self.inner.count.fetch_sub(lost, Ordering::AcqRel);
        }
        tracing::error!(
            chunk, tier = tier.as_str(), %reason, device = %key.device, signal = %key.signal,
            readings = known.count, "a damaged chunk was set aside"
        );
        Ok(true)
    }
}

fn move_bytes(
    tx: &rusqlite::Transaction<'_>,
    chunk: i64,
    tier: Tier,
    now: Timestamp,
    reason: &str,
) -> Result<(), HistorianError> {
    let bytes = match tier {
        Tier::Raw => {
            "chunks.crc, codec, coalesce(shared_times.data, times), chunks.data FROM chunks
             LEFT JOIN shared_times ON shared_times.id = chunks.shared WHERE chunks.id = ?1"
        }
        _ => {
            "rollups.crc, 0, x'', rollups.data FROM chunks
             JOIN rollups ON rollups.id = chunks.id * 4 + ?2 WHERE chunks.id = ?1"
        }
    };
    let sql = format!(
        "INSERT OR REPLACE INTO damaged
             (chunk, tier, series, t_min, t_max, count, found_at, reason, crc, codec, times, data)
         SELECT ?1, ?2, series, t_min, t_max, count, ?3, ?4, {bytes}"
    );
    tx.execute(
        &sql,
        params![chunk, tier.number() as i64, now.as_micros(), reason],
    )
    .during("set a damaged chunk aside")?;
    Ok(())
}

fn list(connection: &Connection, limit: usize) -> Result<Vec<DamagedChunk>, HistorianError> {
    const ACTION: &str = "list damaged chunks";
    let mut select = connection
        .prepare(
            "SELECT chunk, tier, device, signal, t_min, t_max, count, found_at, reason
             FROM damaged JOIN series ON series.id = damaged.series
             ORDER BY found_at DESC, chunk DESC, tier LIMIT ?1",
        )
        .during(ACTION)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query([limit]).during(ACTION)?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next().during(ACTION)? {
        let chunk = row.get::<_, i64>(0).during(ACTION)? as u64;
        let corrupt = |reason: String| HistorianError::corrupt("damaged chunk", chunk, reason);
        let tier = Tier::ALL.get(row.get::<_, u8>(1).during(ACTION)? as usize);
        let device: String = row.get(2).during(ACTION)?;
        let signal: String = row.get(3).during(ACTION)?;
        let time = |column| Ok(Timestamp::from_micros(row.get(column).during(ACTION)?));
        damaged.push(DamagedChunk {
            chunk,
            tier: *tier.ok_or_else(|| corrupt("its tier is unknown".into()))?,
            device: DeviceId::new(&device).map_err(|error| corrupt(error.to_string()))?,
            signal: SignalName::new(&signal).map_err(|error| corrupt(error.to_string()))?,
            first_at: time(4)?,
            last_at: time(5)?,
            count: row.get::<_, i64>(6).during(ACTION)? as u64,
            found_at: time(7)?,
            reason: row.get(8).during(ACTION)?,
        });
    }
    Ok(damaged)
}
