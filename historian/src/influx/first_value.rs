//! Which value belongs under a key that may occur twice.
//!
//! The journal may hold the same key twice with different values, and `InfluxDB` would keep the
//! last one. A point later than all others of its series cannot have been written before, which
//! costs one comparison to know. For any other the embedded store is asked, once it has applied
//! the record: what it holds is the first value. When it holds none (retention has taken it),
//! the point is written as it came.
//!
//! The store is asked for a whole piece of journal at once: a chunk that left memory has to be
//! unpacked to answer, and unpacking it for every record made a backlog ten times slower to write.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use telemetry::{DeviceId, JournalRecord, Offset, SignalName, Timestamp};

use crate::{HistorianError, SeriesKey, Store};

/// Points of one series that lie closer than this are looked up in one query; farther apart,
/// what lies between them would cost more than a second query.
const LOOK_UP_TOGETHER: Duration = Duration::from_mins(30);

/// The most points in one look-up; what is left takes another one.
const LOOK_UP_LIMIT: usize = 100_000;

/// How often the embedded store is looked at while it applies what it has to.
const STORE_POLL: Duration = Duration::from_millis(5);

/// The newest time seen of every series: eight bytes each beside its names, which are shared, as
/// many as the embedded store knows too.
#[derive(Default)]
pub(crate) struct FirstValue {
    numbers: FxHashMap<DeviceId, FxHashMap<SignalName, u32>>,
    newest: Vec<i64>,
    keys: Vec<SeriesKey>,
}

/// Values that differ from those of a record, by their place in it.
pub(crate) type Replaced = FxHashMap<usize, f64>;

impl FirstValue {
    /// Begins with what the store holds, which must have applied everything that may have been
    /// written before.
    pub(crate) fn seeded(store: &Store) -> Self {
        let mut seeded = Self::default();
        for info in store.series(None) {
            let number = seeded.number(&info.device, &info.signal);
            seeded.newest[number as usize] = info.last_at.as_micros();
        }
        seeded
    }

    fn number(&mut self, device: &DeviceId, signal: &SignalName) -> u32 {
        if let Some(&number) = self.numbers.get(device).and_then(|all| all.get(signal)) {
            return number;
        }
        let number = self.newest.len() as u32;
        self.newest.push(i64::MIN);
        self.keys.push(SeriesKey {
            device: device.clone(),
            signal: signal.clone(),
        });
        let of_device = self.numbers.entry(device.clone()).or_default();
        of_device.insert(signal.clone(), number);
        number
    }

    /// The values that must be written differently, record by record. Resolves once the store
    /// has applied the last of them, when it has to be asked at all.
    pub(crate) async fn replaced(
        &mut self,
        store: &Store,
        records: &[(Offset, Arc<JournalRecord>)],
    ) -> Result<Vec<Replaced>, HistorianError> {
        let mut replaced = vec![Replaced::default(); records.len()];
        let mut doubtful = FxHashMap::default();
        for (index, (_, record)) in records.iter().enumerate() {
            self.find_doubtful(index, record, &mut doubtful);
        }
        if doubtful.is_empty() {
            return Ok(replaced);
        }
        let last = records
            .last()
            .map_or(Offset::default(), |(offset, _)| *offset);
        while store.applied() < last {
            tokio::time::sleep(STORE_POLL).await;
        }
        for (number, points) in doubtful {
            let key = &self.keys[number as usize];
            look_up(store, key, points, &mut replaced).await?;
        }
        Ok(replaced)
    }

    /// Adds the points of a record that are not later than all others of their series, by the
    /// number of the series.
    fn find_doubtful(
        &mut self,
        record: usize,
        content: &JournalRecord,
        doubtful: &mut FxHashMap<u32, Vec<Point>>,
    ) {
        let readings = &content.readings;
        let mut numbers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut place = 0;
        for row in readings.rows() {
            let at = row.measured_at.as_micros();
            for (&signal, &value) in row.signals.iter().zip(row.values) {
                let key = (row.device_index, signal);
                let number = *numbers.entry(key).or_insert_with(|| {
                    self.number(row.device, &readings.signals()[signal as usize])
                });
                let newest = &mut self.newest[number as usize];
                if at > *newest {
                    *newest = at;
                } else {
                    let point = Point {
                        at,
                        record,
                        place,
                        value,
                    };
                    doubtful.entry(number).or_default().push(point);
                }
                place += 1;
            }
        }
    }
}

/// A value with the record it came in and its place there.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: i64,
    record: usize,
    place: usize,
    value: f64,
}

/// Compares points of one series with what the store holds under their keys.
async fn look_up(
    store: &Store,
    key: &SeriesKey,
    mut points: Vec<Point>,
    replaced: &mut [Replaced],
) -> Result<(), HistorianError> {
    points.sort_by_key(|point| point.at);
    let apart =
        |a: &Point, b: &Point| b.at.saturating_sub(a.at) <= LOOK_UP_TOGETHER.as_micros() as i64;
    for group in points.chunk_by(apart) {
        let mut left = group;
        while let (Some(first), Some(last)) = (left.first(), left.last()) {
            let from = Timestamp::from_micros(first.at);
            let to = Timestamp::from_micros(last.at.saturating_add(1));
            let stored = store.range(key, from, to, LOOK_UP_LIMIT).await?;
            // A full answer may end before the group does.
            let known_until = match stored.last() {
                Some(sample) if stored.len() == LOOK_UP_LIMIT => sample.at.as_micros(),
                _ => i64::MAX,
            };
            let done = left.partition_point(|point| point.at <= known_until);
            for point in &left[..done] {
                let at = Timestamp::from_micros(point.at);
                if let Ok(found) = stored.binary_search_by_key(&at, |sample| sample.at)
                    && stored[found].value.to_bits() != point.value.to_bits()
                {
                    replaced[point.record].insert(point.place, stored[found].value);
                }
            }
            left = &left[done..];
        }
    }
    Ok(())
}
