//! The stored past as records of a journal, in event time.
//!
//! ```text
//! chunks of each series ─▶ columns of a window ─▶ ten minutes of each device in turn ─▶ records
//! ```
//!
//! A chunk of the store holds some hundred days of a slow signal and an hour of a fast one, so a
//! window is as long as fits into memory and each chunk is unpacked once or a few times. Devices
//! are taken in turns of ten minutes, as they would have reported: what compares machines
//! with each other sees them side by side.

use std::{ops::ControlFlow, time::Duration};

use historian::{HistorianError, StoreReader};
use telemetry::{DeviceId, JournalRecord, ReadingBatch, SignalName, Timestamp};

/// Readings of a window: 16 bytes each, 128 MB.
const MOST_AT_ONCE: f64 = 8e6;
/// The turn of a device.
const TURN: Duration = Duration::from_mins(10);
/// Readings of a record: as many as a busy second brings.
const RECORD: usize = 50_000;
/// The longest time in one record, so that cases end in time where readings are few.
const LONGEST_RECORD: Duration = Duration::from_hours(24);

/// The readings of some devices over a span.
pub(super) struct Past<'a> {
    reader: &'a StoreReader,
    devices: Vec<Device>,
    span: (Timestamp, Timestamp),
    readings: u64,
}

/// One device with its series in the store.
struct Device {
    id: DeviceId,
    series: Vec<(usize, SignalName)>,
}

/// A series of a window.
struct Column {
    signal: SignalName,
    times: Vec<i64>,
    values: Vec<f64>,
    /// The next that was not taken.
    at: usize,
}

impl<'a> Past<'a> {
    /// The past of those devices that `is_wanted`.
    pub(super) fn new(
        reader: &'a StoreReader,
        span: (Timestamp, Timestamp),
        mut is_wanted: impl FnMut(&DeviceId) -> bool,
    ) -> Self {
        let mut devices: Vec<Device> = Vec::new();
        let mut readings = 0;
        // Series are sorted by device.
        for (number, key) in reader.series().enumerate() {
            if devices.last().is_none_or(|last| last.id != key.device) {
                if !is_wanted(&key.device) {
                    continue;
                }
                devices.push(Device {
                    id: key.device.clone(),
                    series: Vec::new(),
                });
            }
            if let Some(device) = devices.last_mut() {
                device.series.push((number, key.signal.clone()));
                readings += reader.count(number);
            }
        }
        Self {
            reader,
            devices,
            span,
            readings,
        }
    }

    /// Gives records in order of time to `take`, each with the time everything before has come;
    /// `take` also gets the share of the span that is behind it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn walk(
        &self,
        mut take: impl FnMut(JournalRecord, Timestamp, f64) -> ControlFlow<()>,
    ) -> Result<(), HistorianError> {
        let (from, to) = self.span;
        let mut start = self.first(from, to)?;
        // How many readings lie in the span is not known without reading; how they are spread
        // over all of time is a good guess.
        let whole_s = to.secs_from(start).max(1.0);
        let windows = (self.readings as f64 / MOST_AT_ONCE).ceil().max(1.0);
        let window = Duration::from_secs_f64(whole_s / windows).max(TURN);
        let first = start;
        while start < to {
            let end = (start + window).min(to);
            let columns = self.columns(start, end)?;
            let share = |now: Timestamp| now.secs_from(first) / whole_s;
            let mut turns = Turns::new(&self.devices, columns, start);
            if turns
                .run(end, |record, now| take(record, now, share(now)))
                .is_break()
            {
                return Ok(());
            }
            start = end;
        }
        Ok(())
    }

    /// The first reading of the span; its end when there is none.
    fn first(&self, from: Timestamp, to: Timestamp) -> Result<Timestamp, HistorianError> {
        let mut first = to;
        for (series, _) in self.devices.iter().flat_map(|device| &device.series) {
            // An error ends the walk, which is how the first run is enough.
            let found: Result<(), Stop> = self.reader.read(*series, from, first, |times, _| {
                if let Some(at) = times.first() {
                    first = first.min(Timestamp::from_micros(*at));
                }
                Err(Stop(None))
            });
            if let Err(Stop(Some(error))) = found {
                return Err(error);
            }
        }
        Ok(first)
    }

    fn columns(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<Column>>, HistorianError> {
        let column = |(series, signal): &(usize, SignalName)| {
            let mut column = Column {
                signal: signal.clone(),
                times: Vec::new(),
                values: Vec::new(),
                at: 0,
            };
            self.reader.read(*series, from, to, |times, values| {
                column.times.extend_from_slice(times);
                column.values.extend_from_slice(values);
                Ok::<_, HistorianError>(())
            })?;
            Ok(column)
        };
        let of_device = |device: &Device| device.series.iter().map(column).collect();
        self.devices.iter().map(of_device).collect()
    }
}

/// Ends a walk over a series: with an error of the store, or because enough was seen.
struct Stop(Option<HistorianError>);

impl From<HistorianError> for Stop {
    fn from(error: HistorianError) -> Self {
        Self(Some(error))
    }
}

/// The columns of a window on their way into records.
struct Turns<'a> {
    devices: &'a [Device],
    columns: Vec<Vec<Column>>,
    now: Timestamp,
    batch: ReadingBatch,
    /// When the record at hand begins.
    since: Timestamp,
}

impl<'a> Turns<'a> {
    fn new(devices: &'a [Device], columns: Vec<Vec<Column>>, start: Timestamp) -> Self {
        Self {
            devices,
            columns,
            now: start,
            batch: ReadingBatch::new(),
            since: start,
        }
    }

    fn run(
        &mut self,
        end: Timestamp,
        mut take: impl FnMut(JournalRecord, Timestamp) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while self.now < end {
            let until = (self.now + TURN).min(end);
            for (device, columns) in self.devices.iter().zip(&mut self.columns) {
                turn(&device.id, columns, until, &mut self.batch);
            }
            self.now = until;
            let is_full = self.batch.reading_count() >= RECORD;
            let is_long = self.now.since(self.since) >= LONGEST_RECORD;
            if is_full || is_long || self.now >= end {
                self.since = self.now;
                let record = JournalRecord {
                    readings: std::mem::take(&mut self.batch),
                    ..JournalRecord::default()
                };
                take(record, self.now)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts the rows of a device before `until` into the batch.
fn turn(device: &DeviceId, columns: &mut [Column], until: Timestamp, batch: &mut ReadingBatch) {
    let until = until.as_micros();
    let next = |column: &Column| column.times.get(column.at).copied();
    let first = |columns: &[Column]| columns.iter().filter_map(next).min();
    let Some(mut at) = first(columns).filter(|at| *at < until) else {
        return;
    };
    let number = batch.device(device);
    let signals: Vec<u32> = columns
        .iter()
        .map(|one| batch.signal(&one.signal))
        .collect();
    loop {
        let mut following = i64::MAX;
        for (column, signal) in columns.iter_mut().zip(&signals) {
            if column.times.get(column.at) == Some(&at) {
                batch.push_value(*signal, column.values[column.at]);
                column.at += 1;
            }
            if let Some(next) = column.times.get(column.at) {
                following = following.min(*next);
            }
        }
        let measured_at = Timestamp::from_micros(at);
        batch.finish_row(number, measured_at, measured_at);
        if following >= until {
            return;
        }
        at = following;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use historian::{Journal, JournalConfig, Store, StoreConfig};
    use telemetry::{JournalWriter, SystemClock};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// What was stored comes back row by row, devices in turns, and nothing of other devices.
    #[tokio::test]
    async fn the_past_comes_back_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let (stored, log) = (folder.path().join("h.db"), folder.path().join("j.db"));
        let journal = Journal::open(JournalConfig::at(&log)).unwrap();
        let store = Store::open(StoreConfig::at(&stored), &journal)
            .await
            .unwrap();
        let mut readings = ReadingBatch::new();
        for name in ["b", "a", "c"] {
            let device = readings.device(&DeviceId::new(name).unwrap());
            for row in 0..500_i64 {
                for (signal, every) in [("x", 1), ("y", 3)] {
                    if row % every == 0 {
                        let signal = readings.signal(&SignalName::new(signal).unwrap());
                        readings.push_value(signal, row as f64);
                    }
                }
                let at = Timestamp::from_secs(row * 60);
                readings.finish_row(device, at, at);
            }
        }
        let record = JournalRecord {
            readings,
            ..JournalRecord::default()
        };
        journal.append(record).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let clock = Arc::new(SystemClock);
        store
            .clone()
            .run(journal.clone(), clock, stop)
            .await
            .unwrap();
        let reader = StoreReader::open(&stored, &log).unwrap();
        let span = (Timestamp::from_secs(60), Timestamp::from_secs(400 * 60));
        let past = Past::new(&reader, span, |device| device.as_str() != "c");
        let mut rows: Vec<(i64, String, Vec<f64>)> = Vec::new();
        let mut shares = Vec::new();
        past.walk(|record, now, share| {
            shares.push(share);
            for row in record.readings.rows() {
                assert!(row.measured_at < now && row.received_at == row.measured_at);
                let at = row.measured_at.as_micros() / 60_000_000;
                rows.push((at, row.device.to_string(), row.values.to_vec()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(rows.len(), 2 * 399);
        assert!(shares.is_sorted() && (shares.last().unwrap() - 1.0).abs() < 1e-9);
        for device in ["a", "b"] {
            let own: Vec<_> = rows.iter().filter(|row| row.1 == device).collect();
            for (number, (at, _, values)) in own.iter().enumerate() {
                assert_eq!(*at, number as i64 + 1);
                let expected = if at % 3 == 0 { 2 } else { 1 };
                assert_eq!(*values, vec![*at as f64; expected]);
            }
        }
        // No device runs ahead of another by more than its turn.
        let turns: Vec<i64> = rows.iter().map(|row| (row.0 - 1) / 10).collect();
        assert!(turns.is_sorted(), "{turns:?}");
    }
}
