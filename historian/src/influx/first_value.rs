//! Which value belongs under a key that may occur twice.
//!
//! The journal may hold the same key twice with different values, and `InfluxDB` would keep the
//! last one. A point later than all others of its series cannot have been written before, which
//! costs one comparison to know. For any other the embedded store is asked, once it has applied
//! the record: what it holds is the first value. When it holds none (retention has taken it),
//! the point is written as it came.

use std::time::Duration;

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

/// The newest time seen of every series: eight bytes each beside the name, as many as the
/// embedded store knows too.
#[derive(Default)]
pub(crate) struct FirstValue {
    numbers: FxHashMap<DeviceId, FxHashMap<SignalName, u32>>,
    newest: Vec<i64>,
}

/// Values that differ from those of the record, by their place in it.
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
        let of_device = self.numbers.entry(device.clone()).or_default();
        of_device.insert(signal.clone(), number);
        number
    }

    /// The values of a record that must be written differently. Resolves once the store has
    /// applied the record, when it has to be asked at all.
    pub(crate) async fn replaced(
        &mut self,
        store: &Store,
        offset: Offset,
        record: &JournalRecord,
    ) -> Result<Replaced, HistorianError> {
        let mut replaced = Replaced::default();
        let doubtful = self.doubtful(record);
        if doubtful.is_empty() {
            return Ok(replaced);
        }
        while store.applied() < offset {
            tokio::time::sleep(STORE_POLL).await;
        }
        let names = record.readings.signals();
        let devices = record.readings.devices();
        for ((device, signal), points) in doubtful {
            let key = SeriesKey {
                device: devices[device as usize].clone(),
                signal: names[signal as usize].clone(),
            };
            look_up(store, &key, points, &mut replaced).await?;
        }
        Ok(replaced)
    }

    /// Points that are not later than all others of their series, by device and signal.
    fn doubtful(&mut self, record: &JournalRecord) -> FxHashMap<(u32, u32), Vec<Point>> {
        let readings = &record.readings;
        let mut numbers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut doubtful: FxHashMap<_, Vec<Point>> = FxHashMap::default();
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
                    let point = Point { at, place, value };
                    doubtful.entry(key).or_default().push(point);
                }
                place += 1;
            }
        }
        doubtful
    }
}

/// A value with its place in the record.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: i64,
    place: usize,
    value: f64,
}

/// Compares points of one series with what the store holds under their keys.
async fn look_up(
    store: &Store,
    key: &SeriesKey,
    mut points: Vec<Point>,
    replaced: &mut Replaced,
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
                    replaced.insert(point.place, stored[found].value);
                }
            }
            left = &left[done..];
        }
    }
    Ok(())
}
