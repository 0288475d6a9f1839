//! The store against a map that keeps the first value of every key, over applying, flushing,
//! compacting and crashing in any order.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use telemetry::{
    DeviceId, JournalRecord, ManualClock, Offset, ReadingBatch, SignalName, Timestamp,
};
use tempfile::TempDir;

use super::{
    Bucket, Grid, JournalExtent, Retention, SeriesKey, Store, StoreConfig, follow::Follower,
    tier::Tier,
};

const SIGNALS: [&str; 2] = ["x", "y"];
const DEVICES: [&str; 2] = ["pump-1", "pump-2"];

/// (device, signal, microsecond) to the first value.
type Model = BTreeMap<(usize, usize, i64), f64>;

#[derive(Debug, Clone)]
enum Op {
    /// Rows of one record: device, time step, values of one or both signals. A step is relative to
    /// the newest time so far, so most rows are in order and some late or twice.
    Apply(Vec<(usize, i64, usize)>),
    Flush,
    Compact,
    /// Everything that is not on disk is lost and comes again from the journal.
    Crash,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let step =
        prop_oneof![6 => 1..3_i64, 2 => -40..1_i64, 1 => -3_000_000_000_000..3_000_000_000_000_i64];
    let row = (0..DEVICES.len(), step, 1..=SIGNALS.len());
    let op = prop_oneof![
        6 => prop::collection::vec(row, 1..12).prop_map(Op::Apply),
        5 => Just(Op::Flush),
        2 => Just(Op::Compact),
        1 => Just(Op::Crash),
    ];
    prop::collection::vec(op, 1..80)
}

struct Bench {
    folder: TempDir,
    retention: Retention,
    clock: ManualClock,
    store: Store,
    follower: Follower,
    journal: Vec<(Offset, Arc<JournalRecord>)>,
    model: Model,
    newest: i64,
}

fn open(folder: &TempDir, retention: &Retention, clock: &ManualClock) -> (Store, Follower) {
    let extent = JournalExtent {
        id: 7,
        position: Offset(0),
        oldest: Offset(1),
        committed: Offset(u64::MAX),
    };
    let mut config = StoreConfig::at(folder.path().join("store.db"));
    config.retention = retention.clone();
    let store = Store::open_beside(config, &extent).unwrap();
    assert!(store.0.clock.set(Arc::new(clock.clone())).is_ok());
    let follower = Follower::new(Arc::clone(&store.0)).unwrap();
    (store, follower)
}

impl Bench {
    fn new() -> Self {
        Self::with(Retention::default())
    }

    fn with(retention: Retention) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at(Timestamp::from_secs(1));
        let (store, follower) = open(&folder, &retention, &clock);
        Self {
            folder,
            retention,
            clock,
            store,
            follower,
            journal: Vec::new(),
            model: Model::new(),
            newest: 1_000_000_000_000_000,
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Apply(rows) => {
                let record = self.record(rows);
                let entry = (Offset(self.journal.len() as u64 + 1), Arc::new(record));
                self.journal.push(entry.clone());
                self.follower.apply(&[entry]).unwrap();
            }
            Op::Flush => {
                self.follower.flush().unwrap();
                assert_eq!(self.store.0.state().tail_points, 0);
            }
            Op::Compact => self.follower.compact(50).unwrap(),
            Op::Crash => {
                (self.store, self.follower) = open(&self.folder, &self.retention, &self.clock);
                let applied = self.store.applied().0 as usize;
                self.follower.apply(&self.journal[applied..]).unwrap();
            }
        }
        assert_eq!(self.store.reading_count(), self.model.len() as u64);
        self.check_order();
    }

    /// Makes a record and tells the model.
    fn record(&mut self, rows: &[(usize, i64, usize)]) -> JournalRecord {
        let mut readings = ReadingBatch::new();
        for &(device, step, signals) in rows {
            let at = self.newest + step;
            self.newest = self
                .newest
                .max(if step.abs() < 100 { at } else { self.newest });
            let number = readings.device(&DeviceId::new(DEVICES[device]).unwrap());
            for (signal, name) in SIGNALS.iter().enumerate().take(signals) {
                // Every arrival has a value of its own, so that keeping the wrong one shows.
                let value = (self.journal.len() * 1000 + readings.reading_count()) as f64;
                self.model.entry((device, signal, at)).or_insert(value);
                let signal = readings.signal(&SignalName::new(name).unwrap());
                readings.push_value(signal, value);
            }
            readings.finish_row(number, Timestamp::from_micros(at), Timestamp::EPOCH);
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    }

    /// What the module promises of the catalogue: sorted, without overlap, counts exact.
    fn check_order(&self) {
        let state = self.store.0.state();
        let mut tail_points = 0;
        for series in &state.series {
            assert!(series.tail.times.is_sorted_by(|a, b| a < b));
            assert!(series.chunks.is_sorted_by(|a, b| a.t_max < b.t_min));
            tail_points += series.tail.len();
        }
        assert_eq!(state.tail_points, tail_points);
        let mut connection = crate::journal::lock(&self.store.0.connection);
        let (users, using): (i64, i64) = connection
            .get()
            .unwrap()
            .query_row(
                "SELECT (SELECT coalesce(sum(users), 0) FROM shared_times), count(shared) FROM chunks",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(users, using, "who uses shared times is counted");
    }

    fn check_queries(&self, from: i64, to: i64) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for (device, device_name) in DEVICES.iter().enumerate() {
            for (signal, signal_name) in SIGNALS.iter().enumerate() {
                let key = SeriesKey {
                    device: DeviceId::new(device_name).unwrap(),
                    signal: SignalName::new(signal_name).unwrap(),
                };
                let wanted: Vec<(i64, f64)> = self
                    .model
                    .range((device, signal, i64::MIN)..=(device, signal, i64::MAX))
                    .map(|(&(_, _, at), &value)| (at, value))
                    .collect();
                runtime.block_on(self.check_series(&key, &wanted, from, to));
            }
        }
    }

    async fn check_series(&self, key: &SeriesKey, all: &[(i64, f64)], from: i64, to: i64) {
        let infos = self.store.series(Some(&key.device));
        let info = infos.iter().find(|info| info.signal == key.signal);
        let expected = all.first().zip(all.last());
        assert_eq!(
            info.map(|info| (
                info.count,
                info.first_at.as_micros(),
                info.last_at.as_micros(),
                info.last_value
            )),
            expected.map(|(first, last)| (all.len() as u64, first.0, last.0, last.1)),
        );
        let [start, end] = [from, to].map(Timestamp::from_micros);
        let wanted: Vec<(i64, f64)> = all
            .iter()
            .copied()
            .filter(|&(at, _)| at >= from && at < to)
            .collect();
        for limit in [0, 1, 7, usize::MAX] {
            let got = self.store.range(key, start, end, limit).await.unwrap();
            let got: Vec<(i64, f64)> = got.iter().map(|s| (s.at.as_micros(), s.value)).collect();
            assert_eq!(got, wanted[..wanted.len().min(limit)]);
        }
        for count in [5, 200] {
            let buckets = self.store.buckets(key, start, end, count).await.unwrap();
            assert_eq!(buckets, naive_buckets(&wanted, from, to, count));
        }
    }
}

/// Buckets by the definition: every part of the grid, and every point held against it.
fn naive_buckets(points: &[(i64, f64)], from: i64, to: i64, count: u32) -> Vec<Bucket> {
    let [start, end] = [from, to].map(Timestamp::from_micros);
    let Some(grid) = Grid::new(start, end, count) else {
        return Vec::new();
    };
    let mut buckets = Vec::new();
    let mut at = start;
    while let Some((start, end)) = grid.part(at) {
        let inside: Vec<f64> = points
            .iter()
            .filter(|(at, _)| *at >= start.as_micros() && *at < end.as_micros())
            .map(|(_, value)| *value)
            .collect();
        at = end;
        if inside.is_empty() {
            continue;
        }
        buckets.push(Bucket {
            from: start,
            to: end,
            count: inside.len() as u64,
            min: inside.iter().copied().fold(f64::INFINITY, f64::min),
            max: inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            mean: inside.iter().sum::<f64>() / inside.len() as f64,
            first: inside[0],
            last: inside[inside.len() - 1],
        });
    }
    buckets
}

proptest! {
    // Every flush is an fsync; this many cases still see each pair of steps many times.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_store_is_a_map_that_keeps_the_first_value_of_each_key(
        ops in ops(), offset in -3_000_000_000_000..50_i64, length in 0..6_000_000_000_000_i64,
    ) {
        let mut bench = Bench::new();
        for op in &ops {
            bench.run(op);
        }
        let from = bench.newest + offset;
        bench.check_queries(from, from + length);
        bench.run(&Op::Flush);
        bench.run(&Op::Compact);
        bench.check_queries(from, from + length);
        bench.run(&Op::Crash);
        bench.check_queries(bench.newest - 60, bench.newest + 1);
    }
}

#[test]
fn a_series_that_grows_by_small_flushes_keeps_few_chunks() {
    let mut bench = Bench::new();
    for _ in 0..300 {
        bench.run(&Op::Apply(vec![(0, 1, 1), (0, 1, 1)]));
        bench.run(&Op::Flush);
        bench.run(&Op::Compact);
    }
    let chunks = bench.store.0.state().series[0].chunks.len();
    assert!(chunks < 40, "{chunks} chunks");
    bench.check_queries(i64::MIN / 4, i64::MAX / 4);
}

#[test]
fn late_points_split_a_full_chunk_instead_of_overfilling_it() {
    let mut bench = Bench::new();
    let rows: Vec<_> = (0..65_536).map(|_| (0, 10, 1)).collect();
    bench.run(&Op::Apply(rows));
    bench.run(&Op::Flush);
    assert_eq!(bench.store.0.state().series[0].chunks.len(), 1);
    bench.run(&Op::Apply(vec![(0, -15, 1), (0, -20, 1), (0, -99, 1)]));
    bench.run(&Op::Flush);
    let counts: Vec<u32> = bench.store.0.state().series[0]
        .chunks
        .iter()
        .map(|chunk| chunk.count)
        .collect();
    assert_eq!(
        counts,
        [32_769, 32_769],
        "two late points are new, one was known"
    );
    bench.check_queries(bench.newest - 1000, bench.newest);
}

#[test]
fn a_full_disk_leaves_the_tail_as_it_was_until_there_is_room() {
    let mut bench = Bench::new();
    // Multiples of an irrational number leave the codec little to save.
    let values = (0..20_000).map(|at| (f64::from(at) * std::f64::consts::PI).fract());
    let mut readings = ReadingBatch::new();
    let device = readings.device(&DeviceId::new("pump-1").unwrap());
    let signal = readings.signal(&SignalName::new("x").unwrap());
    for (at, value) in values.enumerate() {
        readings.push_value(signal, value);
        let at = Timestamp::from_secs(at as i64);
        readings.finish_row(device, at, at);
        bench.model.insert((0, 0, at.as_micros()), value);
    }
    let record = JournalRecord {
        readings,
        ..JournalRecord::default()
    };
    let limit = |pages: u32| {
        let mut connection = crate::journal::lock(&bench.store.0.connection);
        let connection = connection.get().unwrap();
        connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    };
    bench
        .follower
        .apply(&[(Offset(1), Arc::new(record))])
        .unwrap();
    limit(1);
    for _ in 0..2 {
        let error = bench.follower.flush().unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(bench.store.0.state().tail_points, 20_000);
    }
    bench.check_queries(0, i64::MAX / 4);
    limit(1_000_000);
    bench.follower.flush().unwrap();
    assert_eq!(bench.store.0.state().tail_points, 0);
    assert_eq!(bench.store.reading_count(), 20_000);
    bench.check_queries(0, i64::MAX / 4);
}

/// What happens to a series whose readings go after ten days.
#[derive(Debug, Clone)]
enum Life {
    /// A burst of readings: start in seconds, interval in seconds, how many.
    Burst(i64, i64, usize),
    Flush,
    Compact,
    Crash,
    /// So many hours go by, then retention has its turn.
    Pass(u64),
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let start = prop_oneof![3 => Just(-1), 1 => 0..5_000_000_i64];
    let interval = prop_oneof![Just(1), Just(10), Just(60), Just(3_600), 1..10_000_i64];
    let life = prop_oneof![
        5 => (start, interval, 1..700_usize).prop_map(|(a, b, c)| Life::Burst(a, b, c)),
        3 => Just(Life::Flush),
        2 => Just(Life::Compact),
        1 => Just(Life::Crash),
        3 => (1..400_u64).prop_map(Life::Pass),
    ];
    prop::collection::vec(life, 1..25)
}

impl Bench {
    /// Adds readings of pump-1/x at times that no reading had before, a whole second each.
    fn burst(&mut self, start: i64, interval: i64, count: usize) {
        let mut readings = ReadingBatch::new();
        let device = readings.device(&DeviceId::new(DEVICES[0]).unwrap());
        let signal = readings.signal(&SignalName::new(SIGNALS[0]).unwrap());
        let start = if start < 0 {
            self.newest / 1_000_000 + 1
        } else {
            start
        };
        for at in 0..count as i64 {
            let at = (start + at * interval) * 1_000_000;
            if self.model.contains_key(&(0, 0, at)) {
                continue;
            }
            let value = (self.model.len() % 1000) as f64;
            self.model.insert((0, 0, at), value);
            self.newest = self.newest.max(at);
            readings.push_value(signal, value);
            readings.finish_row(device, Timestamp::from_micros(at), Timestamp::EPOCH);
        }
        let record = JournalRecord {
            readings,
            ..JournalRecord::default()
        };
        let entry = (Offset(self.journal.len() as u64 + 1), Arc::new(record));
        self.journal.push(entry.clone());
        self.follower.apply(&[entry]).unwrap();
        self.clock
            .set(Timestamp::from_micros(self.newest).max(self.store.0.now()));
    }

    fn live(&mut self, life: &Life) {
        match life {
            Life::Burst(start, interval, count) => self.burst(*start, *interval, *count),
            Life::Flush => self.follower.flush().unwrap(),
            Life::Compact => self.follower.compact(50).unwrap(),
            Life::Crash => {
                (self.store, self.follower) = open(&self.folder, &self.retention, &self.clock);
                let applied = self.store.applied().0 as usize;
                self.follower.apply(&self.journal[applied..]).unwrap();
            }
            Life::Pass(hours) => {
                self.clock.advance(std::time::Duration::from_hours(*hours));
                let before = self.store.reading_count();
                let deleted = self.follower.retain(self.store.0.now()).unwrap();
                assert_eq!(self.store.reading_count(), before - deleted);
            }
        }
        self.check_order();
        let state = self.store.0.state();
        let stored = state.chunk_points() + state.tail_points as u64;
        assert_eq!(self.store.reading_count(), stored);
    }

    /// Days and hours tell of everything there ever was; nothing young has gone.
    async fn check_roll_ups(&self) {
        let key = SeriesKey {
            device: DeviceId::new(DEVICES[0]).unwrap(),
            signal: SignalName::new(SIGNALS[0]).unwrap(),
        };
        let all: Vec<(i64, f64)> = self
            .model
            .iter()
            .map(|(key, value)| (key.2, *value))
            .collect();
        let (Some(first), Some(last)) = (all.first(), all.last()) else {
            return;
        };
        let numbers = |bucket: &Bucket| {
            (
                bucket.from,
                bucket.count,
                bucket.min,
                bucket.max,
                bucket.mean.to_bits(),
            )
        };
        for (tier, rows) in [(Tier::Hour, 7), (Tier::Day, 7)] {
            let from = first.0 - first.0.rem_euclid(Tier::Day.step());
            let width = tier.step() * rows;
            let parts = (last.0 - from) / width + 1;
            let to = from + parts * width;
            if parts > 10_000 {
                continue;
            }
            let [start, end] = [from, to].map(Timestamp::from_micros);
            let got = self
                .store
                .buckets(&key, start, end, parts as u32)
                .await
                .unwrap();
            let wanted = naive_buckets(&all, from, to, parts as u32);
            assert!(
                got.iter().map(numbers).eq(wanted.iter().map(numbers)),
                "{tier:?}"
            );
        }
        let young = self.store.0.now() - std::time::Duration::from_hours(240);
        let got = self
            .store
            .range(&key, young, Timestamp::MAX, usize::MAX)
            .await
            .unwrap();
        let stored = self.store.0.state();
        let gone = |at: i64| {
            let series = &stored.series[0];
            series
                .chunk_at(at)
                .is_some_and(|index| !series.chunks[index].has_readings())
        };
        let wanted = all
            .iter()
            .filter(|(at, _)| *at >= young.as_micros() && !gone(*at));
        assert!(
            got.iter()
                .map(|s| s.at.as_micros())
                .eq(wanted.map(|(at, _)| *at))
        );
        assert!(stored.series[0].chunks.iter().all(|chunk| {
            chunk.has_readings() || chunk.t_max < self.store.0.now().as_micros() - 1
        }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn roll_ups_tell_of_everything_that_readings_have_been_let_go_of(lives in lives()) {
        let mut bench = Bench::with(Retention {
            raw: Some(std::time::Duration::from_hours(240)),
            minute: Some(std::time::Duration::from_hours(480)),
            ..Retention::default()
        });
        bench.newest = 5_000_000_000_000;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for life in &lives {
            bench.live(life);
        }
        runtime.block_on(bench.check_roll_ups());
        bench.live(&Life::Flush);
        bench.live(&Life::Compact);
        runtime.block_on(bench.check_roll_ups());
        bench.live(&Life::Pass(2_000));
        bench.live(&Life::Crash);
        runtime.block_on(bench.check_roll_ups());
    }
}

#[test]
fn a_dense_series_is_answered_from_rows_and_at_its_edges_from_readings() {
    let mut bench = Bench::new();
    bench.newest = 5_000_000_000_000;
    for day in 0..3 {
        // Seven readings a second apart every ten seconds, with a late one each half day.
        for _ in 0..20 {
            bench.burst(-1, 1, 2_000);
        }
        bench.burst(5_000_000 + day * 40_000 + 3, 86_401, 2);
        bench.live(&Life::Flush);
        bench.live(&Life::Compact);
    }
    let tiers = |bench: &Bench| -> Vec<bool> {
        let state = bench.store.0.state();
        state.series[0]
            .chunks
            .iter()
            .map(|chunk| chunk.tiers.has(Tier::Hour))
            .collect()
    };
    assert!(tiers(&bench).contains(&true), "{:?}", tiers(&bench));
    for (offset, length) in [
        (0, 3),
        (1, 70_000_000_000),
        (3_599_999_999, 118_000_000_001),
    ] {
        let from = 5_000_000_000_000 + offset;
        bench.check_queries(from, from + length);
    }
    bench.check_queries(0, 10_000_000_000_000);
}
