//! Readings in columns.
//!
//! A *row* is what one device measured at one instant: a device, two times and a few
//! values. A batch keeps many rows as columns with two small dictionaries (devices and
//! signals), because a payload of three floats would otherwise cost three allocations and
//! two hash look-ups per value on its way to the journal:
//!
//! ```text
//! devices   [pump-1, pump-2]          signals [pressure_bar, temperature_c]
//! device    [0,      1,      0]       one entry a row
//! measured  [t0,     t0,     t1]
//! received  [r0,     r0,     r1]
//! end       [2,      4,      5]       row i owns values end[i-1]..end[i]
//! signal    [0, 1,   0, 1,   0]       one entry a value
//! value     [v, v,   v, v,   v]
//! ```

use rustc_hash::FxHashMap;

use crate::{DeviceId, SignalName, Timestamp};

/// Readings of many devices in columns. Cheap to append to, merge, encode and walk.
#[derive(Debug, Clone, Default)]
pub struct ReadingBatch {
    columns: Columns,
    device_index: Index,
    signal_index: Index,
}

/// The columns of a [`ReadingBatch`], as they are encoded. See the module documentation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// The devices that occur, each once.
    pub devices: Vec<DeviceId>,
    /// The signals that occur, each once.
    pub signals: Vec<SignalName>,
    /// Per row: index into `devices`.
    pub device: Vec<u32>,
    /// Per row: when it was measured (event time).
    pub measured_at: Vec<Timestamp>,
    /// Per row: when it arrived.
    pub received_at: Vec<Timestamp>,
    /// Per row: one past its last value.
    pub end: Vec<u32>,
    /// Per value: index into `signals`.
    pub signal: Vec<u32>,
    /// Per value: the number, in the unit of the signal; always finite.
    pub value: Vec<f64>,
}

/// Columns that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("columns do not form a batch: {0}")]
pub struct InvalidBatch(pub &'static str);

/// One row of a batch: what one device measured at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Index of the device in [`ReadingBatch::devices`].
    pub device_index: u32,
    /// The device.
    pub device: &'a DeviceId,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Per value: index into [`ReadingBatch::signals`].
    pub signals: &'a [u32],
    /// The values, finite, as long as `signals`.
    pub values: &'a [f64],
}

/// One finished row that is looked at again, see [`ReadingBatch::revise_rows`].
#[derive(Debug)]
pub struct RowDraft<'a> {
    /// The position of the row before anything was taken out.
    pub row: usize,
    /// The position of its first value before anything was taken out.
    pub first_value: usize,
    /// Where its first value will stand.
    pub to_value: usize,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// The dictionary of signals.
    pub names: &'a [SignalName],
    /// Per value: index into `names`.
    pub signals: &'a mut [u32],
    /// The values.
    pub values: &'a mut [f64],
}

/// Text to dictionary position. Most batches hold a handful of names, and the last one used
/// is the likeliest next, so a short scan comes before the hash.
#[derive(Debug, Clone, Default)]
struct Index {
    last: u32,
    map: FxHashMap<Box<str>, u32>,
}

/// Below this many names a scan over them is faster than hashing.
const SCAN_LIMIT: usize = 12;

impl Index {
    fn find<T: AsRef<str>>(&mut self, names: &[T], name: &str) -> Option<u32> {
        if let Some(last) = names.get(self.last as usize)
            && last.as_ref() == name
        {
            return Some(self.last);
        }
        let found = if names.len() <= SCAN_LIMIT {
            names
                .iter()
                .position(|known| known.as_ref() == name)
                .map(|at| at as u32)
        } else {
            if self.map.len() != names.len() {
                let missing = names.iter().enumerate().skip(self.map.len());
                self.map
                    .extend(missing.map(|(at, known)| (known.as_ref().into(), at as u32)));
            }
            self.map.get(name).copied()
        };
        self.last = found.unwrap_or(self.last);
        found
    }
}

impl ReadingBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks columns that came from outside, such as a decoded blob.
    ///
    /// # Errors
    /// [`InvalidBatch`] when lengths disagree, an index points nowhere, row ends fall, or a
    /// value is not finite.
    pub fn from_columns(columns: Columns) -> Result<Self, InvalidBatch> {
        let rows = columns.device.len();
        if columns.measured_at.len() != rows
            || columns.received_at.len() != rows
            || columns.end.len() != rows
        {
            return Err(InvalidBatch("row columns differ in length"));
        }
        if columns.signal.len() != columns.value.len() {
            return Err(InvalidBatch("value columns differ in length"));
        }
        if columns.end.last().copied().unwrap_or(0) as usize != columns.value.len() {
            return Err(InvalidBatch("row ends do not cover the values"));
        }
        if !columns.end.is_sorted() {
            return Err(InvalidBatch("row ends fall"));
        }
        if columns
            .device
            .iter()
            .any(|&at| at as usize >= columns.devices.len())
        {
            return Err(InvalidBatch(
                "a row names a device that is not in the dictionary",
            ));
        }
        if columns
            .signal
            .iter()
            .any(|&at| at as usize >= columns.signals.len())
        {
            return Err(InvalidBatch(
                "a value names a signal that is not in the dictionary",
            ));
        }
        if !columns.value.iter().all(|value| value.is_finite()) {
            return Err(InvalidBatch("a value is not finite"));
        }
        Ok(Self {
            columns,
            ..Self::default()
        })
    }

    /// The dictionary position of a device; appends it when it is new.
    pub fn device(&mut self, device: &DeviceId) -> u32 {
        let devices = &mut self.columns.devices;
        self.device_index
            .find(devices, device.as_str())
            .unwrap_or_else(|| {
                devices.push(device.clone());
                devices.len() as u32 - 1
            })
    }

    /// The dictionary position of a signal name that is already in the batch.
    pub fn find_signal(&mut self, name: &str) -> Option<u32> {
        self.signal_index.find(&self.columns.signals, name)
    }

    /// The dictionary position of a signal; appends it when it is new.
    pub fn signal(&mut self, signal: &SignalName) -> u32 {
        let signals = &mut self.columns.signals;
        self.signal_index
            .find(signals, signal.as_str())
            .unwrap_or_else(|| {
                signals.push(signal.clone());
                signals.len() as u32 - 1
            })
    }

    /// Adds a value to the row under construction; [`Self::finish_row`] closes the row and
    /// [`Self::abandon_row`] takes its values back. The caller has checked that the value is
    /// finite and that `signal` came from this batch.
    pub fn push_value(&mut self, signal: u32, value: f64) {
        debug_assert!((signal as usize) < self.columns.signals.len() && value.is_finite());
        self.columns.signal.push(signal);
        self.columns.value.push(value);
    }

    /// Closes the row made of the values pushed since the last row; a row without values is not kept.
    pub fn finish_row(&mut self, device: u32, measured_at: Timestamp, received_at: Timestamp) {
        let columns = &mut self.columns;
        debug_assert!((device as usize) < columns.devices.len());
        if columns.value.len() == columns.end.last().map_or(0, |&end| end as usize) {
            return;
        }
        columns.device.push(device);
        columns.measured_at.push(measured_at);
        columns.received_at.push(received_at);
        columns.end.push(columns.value.len() as u32);
    }

    /// Takes back the values pushed since the last finished row.
    pub fn abandon_row(&mut self) {
        let end = self.columns.end.last().map_or(0, |&end| end as usize);
        self.columns.signal.truncate(end);
        self.columns.value.truncate(end);
    }

    /// Takes back every row after the first `rows`.
    pub fn truncate_rows(&mut self, rows: usize) {
        let columns = &mut self.columns;
        columns.device.truncate(rows);
        columns.measured_at.truncate(rows);
        columns.received_at.truncate(rows);
        columns.end.truncate(rows);
        self.abandon_row();
    }

    /// Goes again over the rows from `first` on. `judge` may change values, and moves those that
    /// stay to the front of the draft's slices and returns how many they are; a row of which
    /// none stays is taken out. Values must stay finite.
    pub fn revise_rows(&mut self, first: usize, mut judge: impl FnMut(RowDraft<'_>) -> usize) {
        let columns = &mut self.columns;
        let rows = columns.device.len();
        let start = first
            .checked_sub(1)
            .and_then(|before| columns.end.get(before))
            .map_or(0, |&end| end as usize);
        let (mut from, mut to, mut kept_rows) = (start, start, first);
        for row in first..rows {
            let until = columns.end[row] as usize;
            let kept = judge(RowDraft {
                row,
                first_value: from,
                to_value: to,
                measured_at: columns.measured_at[row],
                names: &columns.signals,
                signals: &mut columns.signal[from..until],
                values: &mut columns.value[from..until],
            })
            .min(until - from);
            if to != from {
                columns.signal.copy_within(from..from + kept, to);
                columns.value.copy_within(from..from + kept, to);
            }
            to += kept;
            from = until;
            if kept > 0 {
                columns.device[kept_rows] = columns.device[row];
                columns.measured_at[kept_rows] = columns.measured_at[row];
                columns.received_at[kept_rows] = columns.received_at[row];
                columns.end[kept_rows] = to as u32;
                kept_rows += 1;
            }
        }
        self.truncate_rows(kept_rows.min(rows));
    }

    /// Gives the value at a position another signal.
    pub fn set_signal(&mut self, value: usize, signal: &SignalName) {
        let signal = self.signal(signal);
        if let Some(place) = self.columns.signal.get_mut(value) {
            *place = signal;
        }
    }

    /// Appends all rows of another batch, translating its dictionaries.
    pub fn append(&mut self, other: &Self) {
        let theirs = &other.columns;
        let devices: Vec<u32> = theirs
            .devices
            .iter()
            .map(|device| self.device(device))
            .collect();
        let signals: Vec<u32> = theirs
            .signals
            .iter()
            .map(|signal| self.signal(signal))
            .collect();
        let ours = &mut self.columns;
        let base = ours.value.len() as u32;
        ours.device
            .extend(theirs.device.iter().map(|&at| devices[at as usize]));
        ours.measured_at.extend_from_slice(&theirs.measured_at);
        ours.received_at.extend_from_slice(&theirs.received_at);
        ours.end.extend(theirs.end.iter().map(|&end| base + end));
        ours.signal
            .extend(theirs.signal.iter().map(|&at| signals[at as usize]));
        ours.value.extend_from_slice(&theirs.value);
    }

    /// The devices that occur, each once.
    pub fn devices(&self) -> &[DeviceId] {
        &self.columns.devices
    }

    /// The signals that occur, each once.
    pub fn signals(&self) -> &[SignalName] {
        &self.columns.signals
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.columns.device.len()
    }

    /// The number of values: one reading each.
    pub fn reading_count(&self) -> usize {
        self.columns.value.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.columns.device.is_empty()
    }

    /// The columns, for encoding.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The rows in the order they were appended.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        let columns = &self.columns;
        (0..columns.device.len()).map(move |row| {
            let from = row
                .checked_sub(1)
                .map_or(0, |before| columns.end[before] as usize);
            let to = columns.end[row] as usize;
            Row {
                device_index: columns.device[row],
                device: &columns.devices[columns.device[row] as usize],
                measured_at: columns.measured_at[row],
                received_at: columns.received_at[row],
                signals: &columns.signal[from..to],
                values: &columns.value[from..to],
            }
        })
    }
}

impl PartialEq for ReadingBatch {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type PlainRow = (String, i64, Vec<(String, f64)>);

    fn batch(rows: &[PlainRow]) -> ReadingBatch {
        let mut batch = ReadingBatch::new();
        for (device, at, values) in rows {
            let device = batch.device(&DeviceId::new(device).unwrap());
            for (signal, value) in values {
                let signal = batch.signal(&SignalName::new(signal).unwrap());
                batch.push_value(signal, *value);
            }
            batch.finish_row(device, Timestamp::from_micros(*at), Timestamp::EPOCH);
        }
        batch
    }

    fn plain(batch: &ReadingBatch) -> Vec<PlainRow> {
        batch
            .rows()
            .map(|row| {
                let names = row
                    .signals
                    .iter()
                    .map(|&at| batch.signals()[at as usize].to_string());
                let values = names.zip(row.values.iter().copied()).collect();
                (row.device.to_string(), row.measured_at.as_micros(), values)
            })
            .collect()
    }

    fn rows() -> impl Strategy<Value = Vec<PlainRow>> {
        let value = ("[a-t]", -1e9..1e9f64);
        let row = (
            "[a-z]{1,2}",
            any::<i64>(),
            prop::collection::vec(value, 1..5),
        );
        prop::collection::vec(row, 0..40)
    }

    proptest! {
        #[test]
        fn a_batch_gives_back_the_rows_it_was_given(rows in rows()) {
            let batch = batch(&rows);
            prop_assert_eq!(plain(&batch), rows);
            prop_assert_eq!(ReadingBatch::from_columns(batch.columns().clone()).unwrap(), batch);
        }

        #[test]
        fn appending_keeps_all_rows_in_order(first in rows(), second in rows()) {
            let mut merged = batch(&first);
            merged.append(&batch(&second));
            prop_assert_eq!(plain(&merged), [first, second].concat());
        }
    }

    #[test]
    fn an_abandoned_row_leaves_no_value_behind() {
        let mut batch = batch(&[("d".into(), 1, vec![("s".into(), 1.0)])]);
        let before = batch.clone();
        batch.push_value(0, 2.0);
        batch.abandon_row();
        assert_eq!(batch, before);
        batch.finish_row(0, Timestamp::EPOCH, Timestamp::EPOCH);
        assert_eq!(batch, before, "a row without values is not kept");
    }

    proptest! {
        #[test]
        fn revising_keeps_exactly_what_the_judge_keeps(rows in rows(), first in 0..40usize) {
            let mut revised = batch(&rows);
            revised.revise_rows(first, |draft| {
                let mut kept = 0;
                for at in 0..draft.values.len() {
                    if draft.values[at] >= 0.0 {
                        draft.signals[kept] = draft.signals[at];
                        draft.values[kept] = -draft.values[at];
                        kept += 1;
                    }
                }
                kept
            });
            let expected: Vec<PlainRow> = rows.into_iter().enumerate().filter_map(|(at, mut row)| {
                if at >= first {
                    row.2.retain(|(_, value)| *value >= 0.0);
                    row.2.iter_mut().for_each(|(_, value)| *value = -*value);
                }
                (!row.2.is_empty()).then_some(row)
            }).collect();
            prop_assert_eq!(plain(&revised), expected);
            prop_assert!(ReadingBatch::from_columns(revised.columns().clone()).is_ok());
        }
    }

    #[test]
    fn contradictory_columns_are_refused() {
        let good = batch(&[("d".into(), 1, vec![("s".into(), 1.0), ("t".into(), 2.0)])]).columns;
        let spoil: [fn(&mut Columns); 7] = [
            |c| c.measured_at.clear(),
            |c| c.signal.truncate(1),
            |c| c.end[0] = 1,
            |c| c.device[0] = 7,
            |c| c.signal[1] = 9,
            |c| c.value[0] = f64::NAN,
            |c| {
                c.device.push(0);
                c.measured_at.push(Timestamp::EPOCH);
                c.received_at.push(Timestamp::EPOCH);
                c.end = vec![5, 2];
            },
        ];
        for (case, spoil) in spoil.iter().enumerate() {
            let mut columns = good.clone();
            spoil(&mut columns);
            assert!(ReadingBatch::from_columns(columns).is_err(), "case {case}");
        }
    }
}
