//! What is known in memory: every series, its chunks and its tail.

use rustc_hash::FxHashMap;
use telemetry::{DeviceId, SignalName, Timestamp};

use super::{
    SeriesInfo, SeriesKey,
    chunk::{Encoded, GONE, Points, Slice},
    query::Sample,
    tier::{Tier, Tiers},
};

/// A stored chunk, without its points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) id: i64,
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) count: u32,
    /// When the newest of its points was stored.
    pub(crate) stored_at: i64,
    pub(crate) last_value: f64,
    /// What there is of it: readings, roll-ups, or both.
    pub(crate) tiers: Tiers,
}

impl Chunk {
    pub(crate) fn of(encoded: &Encoded, id: i64, stored_at: i64) -> Self {
        let mut tiers = match encoded.codec {
            GONE => Tiers::default(),
            _ => Tiers::RAW,
        };
        for (tier, _) in &encoded.roll_ups {
            tiers = tiers.with(*tier);
        }
        Self {
            tiers,
            id,
            t_min: encoded.t_min,
            t_max: encoded.t_max,
            count: encoded.count,
            stored_at,
            last_value: encoded.last_value,
        }
    }

    /// Whether its readings are there.
    pub(crate) fn has_readings(&self) -> bool {
        self.tiers.has(Tier::Raw)
    }

    /// The number of its readings that are there.
    pub(crate) fn readings(&self) -> u64 {
        if self.has_readings() {
            u64::from(self.count)
        } else {
            0
        }
    }
}

/// One series. Chunks are sorted and do not overlap; the tail is sorted; no time occurs twice.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) key: SeriesKey,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) tail: Points,
    /// Whether the database knows it.
    pub(crate) persisted: bool,
    /// The time after which a point can be appended without a look.
    last_at: Option<i64>,
}

impl Series {
    pub(crate) fn new(key: SeriesKey, persisted: bool) -> Self {
        Self {
            key,
            chunks: Vec::new(),
            tail: Points::default(),
            persisted,
            last_at: None,
        }
    }

    /// Appends a point that is later than all others; says no otherwise.
    pub(crate) fn append(&mut self, at: i64, value: f64) -> bool {
        let later = self.last_at.is_none_or(|last| at > last);
        if later {
            self.last_at = Some(at);
            self.tail.push(at, value);
        }
        later
    }

    /// Adds sorted points that are known to be new.
    pub(crate) fn insert(&mut self, points: Slice<'_>) {
        let Some(&first) = points.times.first() else {
            return;
        };
        let (_, after) = self.tail.as_slice().split_before(first);
        let merged = Points::merged(after, points);
        let keep = self.tail.len() - after.len();
        self.tail.times.truncate(keep);
        self.tail.values.truncate(keep);
        self.tail.extend(merged.as_slice());
        self.refresh();
    }

    /// Where the chunk that could hold `at` stands, if there is one.
    pub(crate) fn chunk_at(&self, at: i64) -> Option<usize> {
        let index = self.chunks.partition_point(|chunk| chunk.t_max < at);
        (self.chunks.get(index)?.t_min <= at).then_some(index)
    }

    /// Replaces chunks.
    pub(crate) fn replace(&mut self, removed: &[i64], added: &[Chunk]) {
        self.chunks.retain(|chunk| !removed.contains(&chunk.id));
        self.chunks.extend_from_slice(added);
        self.chunks.sort_unstable_by_key(|chunk| chunk.t_min);
        self.refresh();
    }

    fn refresh(&mut self) {
        let stored = self.chunks.last().map(|chunk| chunk.t_max);
        self.last_at = stored.max(self.tail.times.last().copied());
    }

    /// The latest reading.
    pub(crate) fn last(&self) -> Option<Sample> {
        let stored = self.chunks.last();
        let stored = stored.map(|chunk| (chunk.t_max, chunk.last_value));
        let times = self.tail.times.last().copied();
        let tail = times.zip(self.tail.values.last().copied());
        let latest = [stored, tail].into_iter().flatten();
        let (at, value) = latest.max_by_key(|&(at, _)| at)?;
        Some(Sample {
            at: Timestamp::from_micros(at),
            value,
        })
    }

    fn info(&self) -> Option<SeriesInfo> {
        let stored: u64 = self.chunks.iter().map(Chunk::readings).sum();
        let firsts = [
            self.chunks.first().map(|chunk| chunk.t_min),
            self.tail.times.first().copied(),
        ];
        let last = self.last()?;
        Some(SeriesInfo {
            device: self.key.device.clone(),
            signal: self.key.signal.clone(),
            count: stored + self.tail.len() as u64,
            first_at: Timestamp::from_micros(firsts.into_iter().flatten().min()?),
            last_at: last.at,
            last_value: last.value,
        })
    }
}

/// All series. A series is known by its place in `series`, which is also its number on disk.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) series: Vec<Series>,
    by_device: FxHashMap<DeviceId, FxHashMap<SignalName, u32>>,
    /// Points in all tails.
    pub(crate) tail_points: usize,
}

impl State {
    /// The number of a series, if it is known.
    pub(crate) fn find(&self, device: &DeviceId, signal: &SignalName) -> Option<u32> {
        self.by_device.get(device)?.get(signal).copied()
    }

    /// Adds a series; the caller has looked that it is new.
    pub(crate) fn add(&mut self, key: SeriesKey, persisted: bool) -> u32 {
        let number = self.series.len() as u32;
        self.by_device
            .entry(key.device.clone())
            .or_default()
            .insert(key.signal.clone(), number);
        self.series.push(Series::new(key, persisted));
        number
    }

    pub(crate) fn chunk_points(&self) -> u64 {
        let chunks = self.series.iter().flat_map(|series| &series.chunks);
        chunks.map(Chunk::readings).sum()
    }

    pub(crate) fn infos(&self, device: Option<&DeviceId>) -> Vec<SeriesInfo> {
        let mut infos: Vec<SeriesInfo> = match device {
            Some(device) => {
                let numbers = self
                    .by_device
                    .get(device)
                    .into_iter()
                    .flat_map(FxHashMap::values);
                numbers
                    .filter_map(|&number| self.series[number as usize].info())
                    .collect()
            }
            None => self.series.iter().filter_map(Series::info).collect(),
        };
        infos.sort_unstable_by(|a, b| (&a.device, &a.signal).cmp(&(&b.device, &b.signal)));
        infos
    }
}
