//! The newest records in memory, so that readers who keep up never touch the disk.

use std::{collections::VecDeque, sync::Arc};

use telemetry::{JournalRecord, Offset};

/// A record with its offset, as readers get it.
pub(crate) type Entry = (Offset, Arc<JournalRecord>);

/// Records with consecutive offsets, bounded by their size in memory.
pub(crate) struct Ring {
    entries: VecDeque<(Arc<JournalRecord>, usize)>,
    /// The offset of the first entry.
    first: u64,
    bytes: usize,
    max_bytes: usize,
}

impl Ring {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            max_bytes,
        }
    }

    /// Takes the record that was committed last; the oldest ones leave to make room.
    pub(crate) fn push(&mut self, offset: Offset, record: Arc<JournalRecord>) {
        let bytes = size_of_record(&record);
        if offset.0 != self.first + self.entries.len() as u64 {
            self.entries.clear();
            self.bytes = 0;
        }
        if self.entries.is_empty() {
            self.first = offset.0;
        }
        self.entries.push_back((record, bytes));
        self.bytes += bytes;
        while self.bytes > self.max_bytes
            && let Some((_, bytes)) = self.entries.pop_front()
        {
            self.bytes -= bytes;
            self.first += 1;
        }
    }

    /// The records that follow `after`, up to `max_bytes` but one at least; `None` when the
    /// next one is not here.
    pub(crate) fn read(&self, after: Offset, max_bytes: usize) -> Option<Vec<Entry>> {
        let skip = (after.0 + 1).checked_sub(self.first)?;
        let skip = usize::try_from(skip).ok()?;
        if skip >= self.entries.len() {
            return None;
        }
        let mut left = max_bytes;
        let mut found = Vec::new();
        for (at, (record, bytes)) in self.entries.iter().enumerate().skip(skip) {
            if !found.is_empty() && *bytes > left {
                break;
            }
            left = left.saturating_sub(*bytes);
            found.push((Offset(self.first + at as u64), Arc::clone(record)));
        }
        Some(found)
    }
}

/// About how much memory a record takes. It also bounds what waits to be committed.
pub(crate) fn size_of_record(record: &JournalRecord) -> usize {
    // Per row: device and end (4 each), two times (8 each). Per value: signal (4), value (8).
    const ROW: usize = 24;
    const VALUE: usize = 12;
    // A name is a shared text of up to 64 bytes with its counters.
    const NAME: usize = 96;
    const EVENT: usize = 256;
    let columns = record.readings.columns();
    let letters: usize = record
        .dead_letters
        .iter()
        .map(|letter| {
            let texts = letter
                .properties
                .iter()
                .map(|(key, value)| NAME + key.len() + value.len());
            EVENT
                + letter.detail.len()
                + letter.topic.len()
                + letter.payload.len()
                + letter.content_type.as_ref().map_or(0, String::len)
                + texts.sum::<usize>()
        })
        .sum();
    let waveforms: usize = record
        .waveforms
        .iter()
        .map(|waveform| EVENT + waveform.samples.len() * size_of::<f32>())
        .sum();
    columns.device.len() * ROW
        + columns.value.len() * VALUE
        + (columns.devices.len() + columns.signals.len()) * NAME
        + record.events.len() * EVENT
        + letters
        + waveforms
        + EVENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(entries: Option<Vec<Entry>>) -> Option<Vec<u64>> {
        entries.map(|entries| entries.iter().map(|(offset, _)| offset.0).collect())
    }

    #[test]
    fn the_ring_keeps_the_newest_records_within_its_bytes() {
        let each = size_of_record(&JournalRecord::default());
        let mut ring = Ring::new(3 * each);
        assert_eq!(offsets(ring.read(Offset(0), 1)), None);
        for offset in 1..=5 {
            ring.push(Offset(offset), Arc::default());
        }
        assert_eq!(
            offsets(ring.read(Offset(1), usize::MAX)),
            None,
            "2 has left"
        );
        assert_eq!(
            offsets(ring.read(Offset(2), usize::MAX)),
            Some(vec![3, 4, 5])
        );
        assert_eq!(offsets(ring.read(Offset(2), 2 * each)), Some(vec![3, 4]));
        assert_eq!(
            offsets(ring.read(Offset(3), 0)),
            Some(vec![4]),
            "one at least"
        );
        assert_eq!(offsets(ring.read(Offset(5), usize::MAX)), None);
    }

    #[test]
    fn a_record_larger_than_the_ring_leaves_it_empty_and_usable() {
        let mut ring = Ring::new(1);
        ring.push(Offset(7), Arc::default());
        assert_eq!(offsets(ring.read(Offset(6), 1)), None);
        ring.push(Offset(8), Arc::default());
        assert_eq!(offsets(ring.read(Offset(6), 1)), None);
    }
}
