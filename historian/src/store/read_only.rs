//! Reading a data folder from outside, also while another process writes to it.
//!
//! The store is looked at in one read transaction, so that what is read is the store of one
//! moment; what the journal holds beyond that moment is read after it and kept in memory. Nothing
//! is written and no lock is taken; the only trace is that the write-ahead log of a running
//! program cannot be reset before the reader has gone.

use std::path::Path;

use rusqlite::Connection;
use rustc_hash::FxHashMap;
use telemetry::{JournalRecord, Offset, Timestamp};

use super::{SeriesKey, chunk::Points, disk, shared_times, state::Chunk};
use crate::{
    error::{During, HistorianError},
    journal,
    sqlite::open_reader,
};

/// Bytes of journal read in one go.
const READ_BYTES: usize = 8 << 20;

/// Readings of the journal's end that are kept in memory: 16 bytes each. A running store is at
/// most a few million behind; an import that was killed may have left more.
const MAX_TAIL_POINTS: usize = 64_000_000;

/// How often the folder is looked at again when the journal was trimmed in the same moment.
const ATTEMPTS: usize = 20;

/// The store of a data folder at one moment.
pub struct StoreReader {
    connection: Connection,
    /// By device and signal.
    series: Vec<Readable>,
    by_key: FxHashMap<SeriesKey, usize>,
}

struct Readable {
    key: SeriesKey,
    chunks: Vec<Chunk>,
    /// What the store had not applied yet, in order of time, each time once.
    tail: Points,
}

impl StoreReader {
    /// Looks at the files of the store and the journal as they are now.
    ///
    /// # Errors
    /// When they cannot be read, are damaged, or the journal holds too much the store has not seen.
    pub fn open(store: &Path, journal: &Path) -> Result<Self, HistorianError> {
        for attempt in 1.. {
            match Self::look(store, journal) {
                Err(HistorianError::Trimmed { .. }) if attempt < ATTEMPTS => {}
                looked => return looked,
            }
        }
        Err(HistorianError::Busy)
    }

    fn look(store: &Path, journal: &Path) -> Result<Self, HistorianError> {
        let connection = open_reader(store)?;
        shared_times::stand_in(&connection)?;
        connection
            .execute_batch("BEGIN")
            .during("begin to read the store")?;
        let mut found: Vec<Readable> = disk::load(&connection)?
            .series
            .into_iter()
            .map(|series| Readable {
                key: series.key,
                chunks: series.chunks,
                tail: Points::default(),
            })
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let mut journal = open_reader(journal)?;
        let standing = journal::disk::standing(&journal)?;
        let after = match disk::journal_link(&connection)? {
            Some((id, applied)) if id == standing.id => applied,
            _ => Offset(standing.oldest.saturating_sub(1)),
        };
        let keys = found.iter().enumerate();
        let mut reader = Self {
            by_key: keys.map(|(at, one)| (one.key.clone(), at)).collect(),
            series: found,
            connection,
        };
        reader.read_tail(&mut journal, after)?;
        Ok(reader)
    }

    fn read_tail(&mut self, journal: &mut Connection, after: Offset) -> Result<(), HistorianError> {
        let (mut after, mut points) = (after, 0);
        loop {
            let entries = journal::disk::read(journal, after, READ_BYTES)?;
            let Some(&(last, _)) = entries.last() else {
                break;
            };
            after = last;
            for (_, record) in &entries {
                points += record.readings.reading_count();
                if points > MAX_TAIL_POINTS {
                    return Err(HistorianError::TooLarge {
                        what: "part of the journal the store has not applied",
                        bytes: points * 16,
                        limit: MAX_TAIL_POINTS * 16,
                    });
                }
                self.add(record);
            }
        }
        for series in &mut self.series {
            sort_first_wins(&mut series.tail);
        }
        self.series.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(())
    }

    fn add(&mut self, record: &JournalRecord) {
        let readings = &record.readings;
        let mut places: FxHashMap<(u32, u32), usize> = FxHashMap::default();
        for row in readings.rows() {
            for (&signal, &value) in row.signals.iter().zip(row.values) {
                let place = *places.entry((row.device_index, signal)).or_insert_with(|| {
                    let key = SeriesKey {
                        device: row.device.clone(),
                        signal: readings.signals()[signal as usize].clone(),
                    };
                    let next = self.series.len();
                    *self.by_key.entry(key.clone()).or_insert_with(|| {
                        self.series.push(Readable {
                            key,
                            chunks: Vec::new(),
                            tail: Points::default(),
                        });
                        next
                    })
                });
                self.series[place]
                    .tail
                    .push(row.measured_at.as_micros(), value);
            }
        }
    }

    /// Every series, by device and signal.
    pub fn series(&self) -> impl ExactSizeIterator<Item = &SeriesKey> {
        self.series.iter().map(|series| &series.key)
    }

    /// How many readings a series has at most; the journal's end may hold some twice.
    pub fn count(&self, series: usize) -> u64 {
        self.series.get(series).map_or(0, |series| {
            let stored: u64 = series
                .chunks
                .iter()
                .map(|chunk| u64::from(chunk.count))
                .sum();
            stored + series.tail.len() as u64
        })
    }

    /// Calls `visit` with the readings of the `series`-th series with `from <= at < to`, in order
    /// of time, run by run: times in microseconds and values, at most a chunk of each. The first
    /// error of `visit` ends it.
    pub fn read<E: From<HistorianError>>(
        &self,
        series: usize,
        from: Timestamp,
        to: Timestamp,
        mut visit: impl FnMut(&[i64], &[f64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(series) = self.series.get(series) else {
            return Ok(());
        };
        let (from, to) = (from.as_micros(), to.as_micros());
        let mut tail = series.tail.as_slice().between(from, to);
        for chunk in &series.chunks {
            if chunk.t_max < from || chunk.t_min >= to {
                continue;
            }
            let (before, rest) = tail.split_before(chunk.t_min);
            if !before.is_empty() {
                visit(before.times, before.values)?;
            }
            let (inside, after) = rest.split_before(chunk.t_max.saturating_add(1));
            tail = after;
            let points = disk::points(&self.connection, chunk.id)?;
            // Where only roll-ups are left there is nothing to read.
            let points = points.unwrap_or_default();
            let stored = points.as_slice().between(from, to);
            let mut new = Points::default();
            for (&at, &value) in inside.times.iter().zip(inside.values) {
                if points.times.binary_search(&at).is_err() {
                    new.push(at, value);
                }
            }
            let all = if new.is_empty() {
                None
            } else {
                Some(Points::merged(stored, new.as_slice()))
            };
            let run = all.as_ref().map_or(stored, Points::as_slice);
            if !run.is_empty() {
                visit(run.times, run.values)?;
            }
        }
        if !tail.is_empty() {
            visit(tail.times, tail.values)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreReader")
            .field("series", &self.series.len())
            .finish_non_exhaustive()
    }
}

/// Brings points in order of time; of several with the same time the first stays.
fn sort_first_wins(points: &mut Points) {
    if points.times.is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut order: Vec<u32> = (0..points.len() as u32).collect();
    // The sort is stable, so of equal times the first comes first.
    order.sort_by_key(|&at| points.times[at as usize]);
    order.dedup_by_key(|at| points.times[*at as usize]);
    let mut sorted = Points::default();
    for at in order {
        sorted.push(points.times[at as usize], points.values[at as usize]);
    }
    *points = sorted;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use telemetry::{DeviceId, JournalWriter, SignalName, SystemClock};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Journal, JournalConfig, Store, StoreConfig};

    type Rows = Vec<(u8, u8, i64, f64)>;

    fn record(rows: &[(u8, u8, i64, f64)]) -> JournalRecord {
        let mut record = JournalRecord::default();
        for &(device, signal, at, value) in rows {
            let batch = &mut record.readings;
            let device = batch.device(&DeviceId::new(&format!("d{device}")).unwrap());
            let signal = batch.signal(&SignalName::new(&format!("s{signal}")).unwrap());
            batch.push_value(signal, value);
            batch.finish_row(device, Timestamp::from_micros(at), Timestamp::EPOCH);
        }
        record
    }

    fn everything(reader: &StoreReader) -> Vec<(String, i64, u64)> {
        let keys: Vec<String> = reader
            .series()
            .map(|key| format!("{}/{}", key.device, key.signal))
            .collect();
        let mut all = Vec::new();
        for (series, key) in keys.into_iter().enumerate() {
            reader
                .read(series, Timestamp::MIN, Timestamp::MAX, |times, values| {
                    let points = times.iter().zip(values);
                    all.extend(points.map(|(&at, value)| (key.clone(), at, value.to_bits())));
                    Ok::<_, HistorianError>(())
                })
                .unwrap();
        }
        all
    }

    /// What the rule says is there: the first value of every key, by series and time.
    fn expected(rows: &Rows) -> Vec<(String, i64, u64)> {
        let mut all = std::collections::BTreeMap::new();
        for &(device, signal, at, value) in rows {
            all.entry((format!("d{device}/s{signal}"), at))
                .or_insert(value.to_bits());
        }
        all.into_iter()
            .map(|((key, at), value)| (key, at, value))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn a_reader_sees_what_is_in_chunks_and_what_only_the_journal_holds(
            flushed in prop::collection::vec((0u8..2, 0u8..2, 0i64..40, -1e3..1e3f64), 0..60),
            fresh in prop::collection::vec((0u8..3, 0u8..2, 0i64..60, -1e3..1e3f64), 0..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let (stored, log) = (folder.path().join("h.db"), folder.path().join("j.db"));
                let journal = Journal::open(JournalConfig::at(&log)).unwrap();
                let store = Store::open(StoreConfig::at(&stored), &journal).await.unwrap();
                if !flushed.is_empty() {
                    journal.append(record(&flushed)).await.unwrap();
                }
                let stop = CancellationToken::new();
                stop.cancel();
                let clock = Arc::new(SystemClock);
                store.clone().run(journal.clone(), clock, stop).await.unwrap();
                // The journal goes on; the store does not see it. Both are still open.
                if !fresh.is_empty() {
                    journal.append(record(&fresh)).await.unwrap();
                }
                let reader = StoreReader::open(&stored, &log).unwrap();
                let all = [flushed, fresh].concat();
                assert_eq!(everything(&reader), expected(&all));
            });
        }
    }
}
