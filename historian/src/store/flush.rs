//! From the tail to chunks, in one transaction with the applied offset.

use std::sync::atomic::Ordering;

use super::{
    Inner,
    chunk::{Encoded, Encoder, GONE, MAX_POINTS, Points, Slice},
    disk,
    follow::Follower,
    rollup,
    state::{Chunk, Series},
    tier::Tier,
};
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite,
};

/// A chunk is closed when it spans more than this, so that retention can let go of old readings.
pub(crate) const MAX_SPAN_MICROS: i64 = 31 * 24 * 3600 * 1_000_000;

/// ... unless it holds fewer points than this: a sparse series would fall apart into crumbs.
pub(crate) const MIN_SPLIT_POINTS: usize = 1_024;

/// What happens to the chunks of one series.
pub(crate) struct Change {
    pub(crate) series: u32,
    pub(crate) removed: Vec<i64>,
    pub(crate) added: Vec<Encoded>,
    /// Points that went into roll-ups alone, because the readings around them have gone.
    pub(crate) rolled_up: u64,
}

impl Follower {
    /// Writes the whole tail and the applied offset. Nothing has changed when it fails; what
    /// is damaged is set aside.
    pub(crate) fn flush(&mut self) -> Result<(), HistorianError> {
        self.past_damage(Self::flush_once)
    }

    fn flush_once(&mut self) -> Result<(), HistorianError> {
        let applied = self.inner.applied();
        let mut changes = Vec::new();
        {
            let state = self.inner.state();
            let mut encoder = Encoder::default();
            for (number, series) in state.series.iter().enumerate() {
                if !series.tail.is_empty() {
                    changes.push(self.change(number as u32, series, &mut encoder)?);
                }
            }
        }
        if changes.is_empty() && self.flushed == Some(applied) {
            return Ok(());
        }
        commit(&self.inner, &changes, |tx| {
            disk::set_journal_link(tx, self.inner.journal_id, applied)
        })?;
        self.flushed = Some(applied);
        for change in &changes {
            self.compact_later(change.series);
        }
        Ok(())
    }

    /// Cuts the tail of a series where stored chunks lie. What falls inside the span of a
    /// chunk is merged with it; what lies between chunks becomes chunks of its own.
    fn change(
        &self,
        number: u32,
        series: &Series,
        encoder: &mut Encoder,
    ) -> Result<Change, HistorianError> {
        let mut change = Change {
            series: number,
            removed: Vec::new(),
            added: Vec::new(),
            rolled_up: 0,
        };
        let mut rest = series.tail.as_slice();
        while let Some(&first) = rest.times.first() {
            let next = series.chunks.partition_point(|chunk| chunk.t_max < first);
            let Some(chunk) = series.chunks.get(next) else {
                encode_pieces(number, rest, encoder, &mut change.added);
                break;
            };
            let (before, from) = rest.split_before(chunk.t_min);
            encode_pieces(number, before, encoder, &mut change.added);
            let (inside, after) = from.split_before(chunk.t_max.saturating_add(1));
            if !inside.is_empty() {
                if chunk.has_readings() {
                    let stored = self.load(chunk.id)?;
                    let merged = Points::merged(stored.as_slice(), inside);
                    encode_pieces(number, merged.as_slice(), encoder, &mut change.added);
                } else {
                    change.added.push(self.roll_into(number, chunk, inside)?);
                    change.rolled_up += inside.len() as u64;
                }
                change.removed.push(chunk.id);
            }
            rest = after;
        }
        Ok(change)
    }

    /// A chunk of roll-ups with late points in them. Whether one of these points has been
    /// there before cannot be told any more.
    fn roll_into(
        &self,
        number: u32,
        chunk: &Chunk,
        late: Slice<'_>,
    ) -> Result<Encoded, HistorianError> {
        let mut roll_ups = Vec::new();
        for tier in Tier::ROLL_UPS
            .into_iter()
            .filter(|tier| chunk.tiers.has(*tier))
        {
            let stored = self.load_rows(chunk.id, tier)?;
            let rows = rollup::merged(&stored, &rollup::of_points(late, tier));
            roll_ups.push((tier, rollup::encode(&rows, tier)));
        }
        Ok(Encoded {
            series: number,
            t_min: chunk.t_min,
            t_max: chunk.t_max,
            count: chunk.count.saturating_add(late.len() as u32),
            last_value: chunk.last_value,
            codec: GONE,
            times: Vec::new(),
            values: Vec::new(),
            roll_ups,
        })
    }
}

/// Encodes sorted points as chunks of at most [`MAX_POINTS`], of about equal size where they
/// are split for their number alone.
pub(crate) fn encode_pieces(
    series: u32,
    points: Slice<'_>,
    encoder: &mut Encoder,
    chunks: &mut Vec<Encoded>,
) {
    let pieces = points.len().div_ceil(MAX_POINTS).max(1);
    let most = points.len().div_ceil(pieces);
    let mut rest = points;
    while let Some(&first) = rest.times.first() {
        let (in_span, _) = rest.split_before(first.saturating_add(MAX_SPAN_MICROS));
        let count = in_span
            .len()
            .max(MIN_SPLIT_POINTS)
            .min(most)
            .min(rest.len());
        let (piece, later) = rest.split_at(count);
        chunks.extend(encoder.encode(series, piece));
        rest = later;
    }
}

/// Writes changes in one transaction and, once they are on disk, takes them over into the
/// catalogue; the tails of the series have to be part of what was written.
pub(crate) fn commit(
    inner: &Inner,
    changes: &[Change],
    also: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<(), HistorianError>,
) -> Result<(), HistorianError> {
    let stored_at = inner.now().as_micros();
    let mut added: Vec<Vec<Chunk>> = Vec::with_capacity(changes.len());
    {
        let mut connection = lock(&inner.connection);
        let tx = sqlite::begin(connection.get()?)?;
        for change in changes {
            {
                let state = inner.state();
                let series = &state.series[change.series as usize];
                if !series.persisted {
                    disk::insert_series(&tx, change.series, &series.key)?;
                }
            }
            disk::delete_chunks(&tx, change.removed.iter().copied())?;
            added.push(disk::insert_chunks(&tx, &change.added, stored_at)?);
        }
        also(&tx)?;
        tx.commit().during("commit to the store")?;
    }
    let mut state = inner.state_mut();
    for (change, added) in changes.iter().zip(&added) {
        let series = &mut state.series[change.series as usize];
        series.persisted = true;
        let flushed = std::mem::take(&mut series.tail);
        series.replace(&change.removed, added);
        state.tail_points -= flushed.len();
        inner.count.fetch_sub(change.rolled_up, Ordering::AcqRel);
    }
    Ok(())
}
