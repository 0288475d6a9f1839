//! Merging small chunks.

use super::{
    chunk::{Encoder, MAX_POINTS, Points},
    disk,
    flush::{Change, MAX_SPAN_MICROS, MIN_SPLIT_POINTS, encode_pieces},
    follow::Follower,
    state::Chunk,
};
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite,
};

/// Size classes: neighbours below a bound are merged once there are [`FAN_IN`] of them.
/// A chunk of the last bound or more is never merged again.
const CLASSES: [u32; 4] = [16, 256, 4096, 16_384];

/// Chunks merged into one. More means fewer rewrites of a reading and more small chunks.
const FAN_IN: usize = 16;

/// A merge must replace at least this many chunks where the time span cuts a run short.
const MIN_FAN_IN: usize = 8;

/// Chunks merged at once, which bounds the memory of a merge.
const MAX_FAN_IN: usize = 64;

impl Follower {
    /// Remembers to look at a series.
    pub(crate) fn compact_later(&mut self, series: u32) {
        if self.queued.insert(series) {
            self.to_compact.push_back(series);
        }
    }

    /// Whether there are series to look at.
    pub(crate) fn may_compact(&self) -> bool {
        !self.to_compact.is_empty()
    }

    /// Merges small chunks until about `budget` points have been rewritten, in one transaction.
    pub(crate) fn compact(&mut self, budget: usize) -> Result<(), HistorianError> {
        let mut changes = Vec::new();
        let mut looked_at = Vec::new();
        let mut encoder = Encoder::default();
        let mut rewritten = 0;
        while rewritten < budget
            && let Some(number) = self.to_compact.pop_front()
        {
            self.queued.remove(&number);
            looked_at.push(number);
            let run: Vec<Chunk> = {
                let state = self.inner.state();
                find_run(&state.series[number as usize].chunks).to_vec()
            };
            if run.is_empty() {
                continue;
            }
            match self.merge(number, &run, &mut encoder) {
                Ok((change, points)) => {
                    rewritten += points;
                    changes.push((change, run));
                }
                Err(error) if self.set_aside(&error)? => self.compact_later(number),
                Err(error) => {
                    // Others can still be merged; this one is read again after its next flush.
                    tracing::error!(%error, series = number, "small chunks could not be merged");
                }
            }
        }
        if !changes.is_empty() {
            let committed = self.commit_merges(&changes);
            // A merge may have made a run of the next size class complete; a merge that
            // failed is tried again.
            for number in looked_at {
                self.compact_later(number);
            }
            committed?;
        }
        Ok(())
    }

    fn merge(
        &self,
        number: u32,
        run: &[Chunk],
        encoder: &mut Encoder,
    ) -> Result<(Change, usize), HistorianError> {
        let mut points = Points::default();
        for chunk in run {
            points.extend(self.load(chunk.id)?.as_slice());
        }
        let mut change = Change {
            series: number,
            removed: run.iter().map(|chunk| chunk.id).collect(),
            added: Vec::new(),
            rolled_up: 0,
        };
        encode_pieces(number, points.as_slice(), encoder, &mut change.added);
        Ok((change, points.len()))
    }

    fn commit_merges(&self, changes: &[(Change, Vec<Chunk>)]) -> Result<(), HistorianError> {
        let mut written = Vec::with_capacity(changes.len());
        {
            let mut connection = lock(&self.inner.connection);
            let tx = sqlite::begin(connection.get()?)?;
            for (change, run) in changes {
                disk::delete_chunks(&tx, change.removed.iter().copied())?;
                let stored_at = run.iter().map(|chunk| chunk.stored_at).max().unwrap_or(0);
                written.push(disk::insert_chunks(&tx, &change.added, stored_at)?);
            }
            tx.commit().during("commit merged chunks")?;
        }
        let mut state = self.inner.state_mut();
        for ((change, _), added) in changes.iter().zip(&written) {
            state.series[change.series as usize].replace(&change.removed, added);
        }
        Ok(())
    }
}

/// The next chunks to merge, neighbours in time; empty when there are none. Small chunks
/// first: a class is merged when enough of its own members stand side by side, with what is
/// even smaller between them, and not when it has mere crumbs at its end.
fn find_run(chunks: &[Chunk]) -> &[Chunk] {
    let mut floor = 0;
    for bound in CLASSES {
        let of_class = |chunk: &Chunk| chunk.count >= floor;
        for run in chunks.split(|chunk| chunk.count >= bound || !chunk.has_readings()) {
            let first = run.iter().position(of_class).unwrap_or(0);
            let last = run.iter().rposition(of_class).map_or(0, |last| last + 1);
            let run = run.get(first..last).unwrap_or(&[]);
            if run.iter().filter(|chunk| of_class(chunk)).count() < FAN_IN {
                continue;
            }
            let group = first_group(run);
            if !group.is_empty() {
                return group;
            }
        }
        floor = bound;
    }
    &[]
}

/// The first neighbours in a run of small chunks that fit into one span and are worth merging.
fn first_group(run: &[Chunk]) -> &[Chunk] {
    let mut rest = run;
    while let Some(first) = rest.first() {
        let mut points = 0;
        let fits = |chunk: &&Chunk| {
            points += chunk.count as usize;
            let spans_long = chunk.t_max.saturating_sub(first.t_min) > MAX_SPAN_MICROS;
            points <= MAX_POINTS && (points <= MIN_SPLIT_POINTS || !spans_long)
        };
        let count = rest.iter().take(MAX_FAN_IN).take_while(fits).count().max(1);
        let (group, later) = rest.split_at(count);
        // The last chunks of a series wait until there are enough of them.
        let enough = if later.is_empty() { FAN_IN } else { MIN_FAN_IN };
        // Large neighbours fill a chunk with fewer of them than that.
        let full = points > MAX_POINTS && count > 1 && !later.is_empty();
        if count >= enough || full {
            return group;
        }
        rest = later;
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::{super::tier::Tiers, *};

    const MINUTE: i64 = 60_000_000;

    fn chunks(counts: &[u32]) -> Vec<Chunk> {
        let chunk = |(at, &count): (usize, &u32)| Chunk {
            id: at as i64,
            t_min: at as i64 * MINUTE,
            t_max: at as i64 * MINUTE + 1,
            count,
            stored_at: 0,
            last_value: 0.0,
            tiers: Tiers::RAW,
        };
        counts.iter().enumerate().map(chunk).collect()
    }

    fn merged(counts: &[u32]) -> Option<(i64, i64)> {
        let chunks = chunks(counts);
        let run = find_run(&chunks);
        Some((run.first()?.id, run.last()?.id))
    }

    #[test]
    fn sixteen_small_neighbours_are_merged_and_full_chunks_rest() {
        assert_eq!(merged(&[]), None);
        assert_eq!(merged(&[1; 15]), None);
        assert_eq!(merged(&[1; 16]), Some((0, 15)));
        assert_eq!(merged(&[60; 16]), Some((0, 15)));
        assert_eq!(merged(&[16_384; 40]), None);
        let mut counts = vec![960; 8];
        counts.extend([60; 16]);
        assert_eq!(
            merged(&counts),
            Some((8, 23)),
            "the smallest class comes first"
        );
        counts[8] = 40_000;
        assert_eq!(merged(&counts), None, "a full chunk parts two runs");
    }

    #[test]
    fn a_merge_fills_a_chunk_and_not_more() {
        let counts = [15_360; 16];
        let run = find_run(&chunks(&counts)).len();
        assert_eq!(run, 4, "4 x 15,360 fit into 65,536");
    }

    #[test]
    fn a_merge_spans_about_a_month_unless_the_series_is_sparse() {
        const DAY: i64 = 24 * 60 * MINUTE;
        let daily = |count: u32| -> Vec<Chunk> {
            let mut chunks = chunks(&[count; 100]);
            for (day, chunk) in chunks.iter_mut().enumerate() {
                chunk.t_min = day as i64 * DAY;
                chunk.t_max = chunk.t_min + 1;
            }
            chunks
        };
        assert_eq!(find_run(&daily(100)).len(), 31);
        assert_eq!(find_run(&daily(1)).len(), MAX_FAN_IN);
    }

    #[test]
    fn merging_again_and_again_comes_to_an_end_with_few_chunks() {
        let mut counts: Vec<u32> = Vec::new();
        let mut rewritten = 0_u64;
        for _ in 0..20_000 {
            counts.extend([60]);
            let list = chunks(&counts);
            let run = find_run(&list);
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                let sum = run.iter().map(|chunk| chunk.count).sum();
                rewritten += u64::from(sum);
                counts.splice(first.id as usize..=last.id as usize, [sum]);
            }
        }
        let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        assert_eq!(total, 1_200_000);
        assert!(counts.len() < 80, "{} chunks", counts.len());
        assert!(rewritten < 4 * total, "{rewritten} of {total}");
    }
}
