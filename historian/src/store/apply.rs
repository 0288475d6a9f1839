//! From journal records to points in the tail.
//!
//! Nearly every point is later than all others of its series and costs one comparison and one
//! push. The rest is collected over all records at hand and looked up together, so that a
//! replayed history decodes each chunk once a batch rather than once a point.

use std::sync::{Arc, atomic::Ordering};

use rustc_hash::FxHashMap;
use telemetry::{JournalRecord, Offset, Row, SignalName};

use super::{SeriesKey, chunk::Points, disk, follow::Follower, rollup, state::State, tier::Tier};
use crate::error::HistorianError;

/// A point that is not later than all others of its series.
#[derive(Debug, Clone, Copy)]
struct Late {
    series: u32,
    at: i64,
    value: f64,
}

impl Follower {
    /// Makes the readings of records visible. Records that were applied before change
    /// nothing, so after an error the same call may be made again.
    pub(crate) fn apply(
        &mut self,
        entries: &[(Offset, Arc<JournalRecord>)],
    ) -> Result<(), HistorianError> {
        let Some((last, _)) = entries.last() else {
            return Ok(());
        };
        self.keep_waveforms_and_marks(entries)?;
        let mut late = Vec::new();
        for (_, record) in entries {
            // The lock is taken anew for each record, so that queries get in between.
            let added = append(&mut self.inner.state_mut(), record, &mut late);
            self.inner.count.fetch_add(added as u64, Ordering::AcqRel);
        }
        self.insert_late(late)?;
        self.inner.applied.store(last.0, Ordering::Release);
        Ok(())
    }

    fn insert_late(&mut self, mut late: Vec<Late>) -> Result<(), HistorianError> {
        // The sort is stable: of points with the same key the first stays first.
        late.sort_by_key(|point| (point.series, point.at));
        late.dedup_by_key(|point| (point.series, point.at));
        for group in late.chunk_by(|a, b| a.series == b.series) {
            let points = self.past_damage(|follower| follower.new_points(group))?;
            if points.is_empty() {
                continue;
            }
            let mut state = self.inner.state_mut();
            state.series[group[0].series as usize].insert(points.as_slice());
            state.tail_points += points.len();
            let added = points.len() as u64;
            self.inner.count.fetch_add(added, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Those points of one series, sorted by time, whose time is not stored yet.
    fn new_points(&self, group: &[Late]) -> Result<Points, HistorianError> {
        let state = self.inner.state();
        let series = &state.series[group[0].series as usize];
        let mut chunk: Option<(i64, Vec<i64>)> = None;
        let mut points = Points::default();
        for point in group {
            if series.tail.times.binary_search(&point.at).is_ok() {
                continue;
            }
            let stored = series.chunk_at(point.at);
            if let Some(index) = stored.filter(|index| series.chunks[*index].has_readings()) {
                let id = series.chunks[index].id;
                if chunk.as_ref().is_none_or(|(loaded, _)| *loaded != id) {
                    chunk = Some((id, self.load(id)?.times));
                }
                let times = chunk.as_ref().map_or(&[][..], |(_, times)| times);
                if times.binary_search(&point.at).is_ok() {
                    continue;
                }
            }
            points.push(point.at, point.value);
        }
        Ok(points)
    }

    /// The rows of a roll-up that the catalogue names.
    pub(crate) fn load_rows(
        &self,
        chunk: i64,
        tier: Tier,
    ) -> Result<Vec<rollup::Row>, HistorianError> {
        disk::roll_up(&self.reader, chunk, tier)?.ok_or_else(|| {
            let id = chunk as u64 * 4 + tier.number() as u64;
            HistorianError::corrupt("roll-up", id, "it is missing")
        })
    }

    /// The points of a chunk that the catalogue names.
    pub(crate) fn load(&self, id: i64) -> Result<Points, HistorianError> {
        disk::points(&self.reader, id)?
            .ok_or_else(|| HistorianError::corrupt("chunk", id as u64, "it is missing"))
    }
}

/// The series of the signals a device sent in its last row: mostly those of its next one.
#[derive(Default)]
struct Known<'a> {
    signals: &'a [u32],
    series: Vec<u32>,
}

/// Appends what is later than all others; the rest goes to `late`. Gives the number appended.
fn append(state: &mut State, record: &JournalRecord, late: &mut Vec<Late>) -> usize {
    let readings = &record.readings;
    let mut known: Vec<Known<'_>> = Vec::new();
    known.resize_with(readings.devices().len(), Known::default);
    // (device, signal) of the record's dictionaries to the number of the series.
    let mut numbers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    let mut added = 0;
    for row in readings.rows() {
        let at = row.measured_at.as_micros();
        let known = &mut known[row.device_index as usize];
        if known.signals != row.signals {
            known.signals = row.signals;
            known.series.clear();
            known.series.extend(row.signals.iter().map(|&signal| {
                let number = numbers.entry((row.device_index, signal));
                *number
                    .or_insert_with(|| series_of(state, &row, &readings.signals()[signal as usize]))
            }));
        }
        for (&series, &value) in known.series.iter().zip(row.values) {
            if state.series[series as usize].append(at, value) {
                added += 1;
            } else {
                late.push(Late { series, at, value });
            }
        }
    }
    state.tail_points += added;
    added
}

/// The number of a series, which is added when it is new.
fn series_of(state: &mut State, row: &Row<'_>, name: &SignalName) -> u32 {
    state.find(row.device, name).unwrap_or_else(|| {
        let key = SeriesKey {
            device: row.device.clone(),
            signal: name.clone(),
        };
        state.add(key, false)
    })
}
