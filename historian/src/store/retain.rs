//! Letting go, tier by tier.
//!
//! A chunk that has outlived its readings leaves them as the finest roll-up that is still kept,
//! and so on until it has outlived all of them. The roll-up is made and the finer tier deleted
//! in one transaction.

use std::{sync::atomic::Ordering, time::Duration};

use telemetry::Timestamp;

use super::{
    cautious, disk, findings,
    follow::Follower,
    late,
    rollup::{self, Row},
    state::Chunk,
    tier::Tier,
    waveforms,
};
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite,
};

/// Chunks dealt with in one transaction: their roll-ups are made in memory first.
const MAX_CHUNKS: usize = 256;

/// Pages given back to the system in one pass, 32 MiB: it holds writers up for some tens of
/// milliseconds.
pub(crate) const MAX_VACUUMED_PAGES: i64 = 32 << 10;

/// What happens to one chunk.
struct Step {
    series: u32,
    chunk: Chunk,
    /// The finest tier it is kept in from now on; none when it goes for good.
    keep: Option<Tier>,
    /// That tier, when it has to be made.
    made: Option<Vec<u8>>,
}

impl Follower {
    /// Lets go of what is older than the retention; see the module documentation of the store.
    /// Gives the number of readings deleted.
    pub(crate) fn retain(&mut self, now: Timestamp) -> Result<u64, HistorianError> {
        let steps = self.outlived(now);
        let mut deleted = 0;
        for batch in steps.chunks(MAX_CHUNKS) {
            let mut ready = Vec::with_capacity(batch.len());
            for step in batch {
                let (series, chunk, keep) = (step.series, step.chunk, step.keep);
                match self.made(&chunk, keep) {
                    Ok(made) => ready.push(Step {
                        series,
                        chunk,
                        keep,
                        made,
                    }),
                    // It is looked at again in the next pass, as what is left of it.
                    Err(error) if self.set_aside(&error)? => {}
                    Err(error) => return Err(error),
                }
            }
            deleted += self.let_go(&ready)?;
        }
        let retention = self.inner.config.retention.clone();
        let mut held = lock(&self.inner.connection);
        let connection = held.get()?;
        if let Some(kept) = retention.raw {
            let cutoff = (now - kept).as_micros();
            findings::delete_old(connection, now.as_micros(), cutoff)?;
            late::delete_old(connection, cutoff)?;
        }
        if let Some(kept) = retention.waveforms {
            let cutoff = (now - kept).as_micros();
            waveforms::delete_old(connection, now.as_micros(), cutoff)?;
        }
        cautious::save(connection, now)?;
        sqlite::give_back(connection, MAX_VACUUMED_PAGES)?;
        Ok(deleted)
    }

    /// The chunks that have outlived the tier they are kept in.
    fn outlived(&self, now: Timestamp) -> Vec<Step> {
        let mut steps = Vec::new();
        let state = self.inner.state();
        for (number, series) in state.series.iter().enumerate() {
            let kept = self.inner.config.retention.of(&series.key);
            for chunk in &series.chunks {
                let stays = |tier: &Tier| {
                    !kept[tier.number()].is_some_and(|kept| is_older(chunk, now, kept))
                };
                let keep = Tier::ALL.into_iter().find(stays);
                if chunk.tiers.finest() < keep || keep.is_none() {
                    steps.push(Step {
                        series: number as u32,
                        chunk: *chunk,
                        keep,
                        made: None,
                    });
                }
            }
        }
        steps
    }

    /// The tier a chunk is kept in from now on, when it is not there yet.
    fn made(&self, chunk: &Chunk, keep: Option<Tier>) -> Result<Option<Vec<u8>>, HistorianError> {
        let Some(tier) = keep.filter(|tier| !chunk.tiers.has(*tier)) else {
            return Ok(None);
        };
        let finer = chunk.tiers.coarsest_first().find(|finer| *finer < tier);
        let rows: Vec<Row> = match finer {
            None => return Ok(None),
            Some(Tier::Raw) => rollup::of_points(self.load(chunk.id)?.as_slice(), tier),
            Some(finer) => rollup::of_rows(&self.load_rows(chunk.id, finer)?, tier),
        };
        Ok(Some(rollup::encode(&rows, tier)))
    }

    fn let_go(&mut self, steps: &[Step]) -> Result<u64, HistorianError> {
        if steps.is_empty() {
            return Ok(0);
        }
        {
            let mut connection = lock(&self.inner.connection);
            let tx = sqlite::begin(connection.get()?)?;
            for step in steps {
                let Some(keep) = step.keep else {
                    disk::delete_chunks(&tx, std::iter::once(step.chunk.id))?;
                    continue;
                };
                if let Some(made) = &step.made {
                    disk::insert_roll_up(&tx, step.chunk.id, keep, made)?;
                }
                for finer in Tier::ALL.into_iter().filter(|finer| *finer < keep) {
                    match finer {
                        Tier::Raw => disk::delete_readings(&tx, step.chunk.id)?,
                        _ => disk::delete_roll_up(&tx, step.chunk.id, finer)?,
                    }
                }
            }
            tx.commit().during("delete old chunks")?;
        }
        let mut state = self.inner.state_mut();
        for group in steps.chunk_by(|a, b| a.series == b.series) {
            let removed: Vec<i64> = group.iter().map(|step| step.chunk.id).collect();
            let left: Vec<Chunk> = group.iter().filter_map(Step::left).collect();
            state.series[group[0].series as usize].replace(&removed, &left);
        }
        drop(state);
        let deleted = steps.iter().map(|step| step.chunk.readings()).sum();
        self.inner.count.fetch_sub(deleted, Ordering::AcqRel);
        Ok(deleted)
    }
}

impl Step {
    /// The chunk as it is afterwards.
    fn left(&self) -> Option<Chunk> {
        let keep = self.keep?;
        let mut left = self.chunk;
        for finer in Tier::ALL.into_iter().filter(|finer| *finer < keep) {
            left.tiers = left.tiers.without(finer);
        }
        if self.made.is_some() {
            left.tiers = left.tiers.with(keep);
        }
        Some(left)
    }
}

/// Whether a chunk is older than it is kept, by event time and by when it was stored.
fn is_older(chunk: &Chunk, now: Timestamp, kept: Duration) -> bool {
    let cutoff = (now - kept).as_micros();
    let dated_old = chunk.t_max < cutoff || chunk.t_max > now.as_micros();
    chunk.stored_at < cutoff && dated_old
}
