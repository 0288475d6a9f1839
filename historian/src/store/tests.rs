//! What the store promises, tested with a real journal and real files.

use std::{fs, sync::Arc, time::Duration};

use rusqlite::Connection;
use telemetry::{
    Assessment, AssetId, Clock, DeviceId, Finding, HealthIndex, JournalRecord, JournalWriter,
    ManualClock, NoPrognosis, Offset, PrognosisOutcome, ReadingBatch, SignalName, Timestamp, Zone,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DiskUse, FindingKind, FindingQuery, Retention, SeriesKey, Store, StoreConfig};
use crate::{
    error::HistorianError,
    journal::{Journal, JournalConfig},
};

const DAY: Duration = Duration::from_hours(24);

/// A journal and a store that follows it, in one folder.
pub(super) struct House {
    pub(super) folder: TempDir,
    pub(super) journal: Journal,
    pub(super) store: Store,
    shutdown: CancellationToken,
    run: JoinHandle<Result<(), HistorianError>>,
}

impl House {
    pub(super) async fn open(
        folder: TempDir,
        clock: &ManualClock,
        change: impl FnOnce(&mut StoreConfig),
    ) -> Self {
        let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db"))).unwrap();
        let mut config = StoreConfig::at(folder.path().join("store.db"));
        // Tests let months pass in a moment.
        config.max_clock_rate = None;
        change(&mut config);
        let store = Store::open(config, &journal).await.unwrap();
        let shutdown = CancellationToken::new();
        let run = store
            .clone()
            .run(journal.clone(), Arc::new(clock.clone()), shutdown.clone());
        Self {
            folder,
            run: tokio::spawn(run),
            journal,
            store,
            shutdown,
        }
    }

    pub(super) async fn append(&self, device: &str, rows: impl IntoIterator<Item = (i64, f64)>) {
        self.journal.append(record(device, rows)).await.unwrap();
    }

    /// Waits until everything appended is visible.
    pub(super) async fn settle(&self) {
        let committed = *self.journal.committed().borrow();
        while self.store.applied() < committed {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The orderly way out.
    pub(super) async fn close(self) -> TempDir {
        self.shutdown.cancel();
        self.run.await.unwrap().unwrap();
        self.store.close().await.unwrap();
        self.journal.close().await.unwrap();
        self.folder
    }

    /// The tail is lost, as in a crash.
    pub(super) async fn crash(self) -> TempDir {
        self.run.abort();
        let _ = self.run.await;
        self.journal.close().await.unwrap();
        self.folder
    }

    pub(super) async fn seconds(&self, device: &str) -> Vec<i64> {
        let key = key(device);
        let all = self
            .store
            .range(&key, Timestamp::MIN, Timestamp::MAX, usize::MAX);
        let samples = all.await.unwrap();
        samples
            .iter()
            .map(|sample| sample.at.as_micros() / 1_000_000)
            .collect()
    }
}

fn record(device: &str, rows: impl IntoIterator<Item = (i64, f64)>) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    let device = readings.device(&DeviceId::new(device).unwrap());
    for (second, value) in rows {
        let signal = readings.signal(&SignalName::new("x").unwrap());
        readings.push_value(signal, value);
        readings.finish_row(device, Timestamp::from_secs(second), Timestamp::EPOCH);
    }
    JournalRecord {
        readings,
        ..JournalRecord::default()
    }
}

pub(super) fn key(device: &str) -> SeriesKey {
    SeriesKey {
        device: DeviceId::new(device).unwrap(),
        signal: SignalName::new("x").unwrap(),
    }
}

pub(super) fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(1_800_000_000))
}

pub(super) fn ramp(seconds: std::ops::Range<i64>) -> impl Iterator<Item = (i64, f64)> {
    seconds.map(|second| (second, second as f64))
}

#[tokio::test]
async fn readings_become_visible_and_survive_an_orderly_end() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..100)).await;
    house.append("pump-2", ramp(0..10)).await;
    house.settle().await;
    assert_eq!(house.seconds("pump-1").await, (0..100).collect::<Vec<_>>());
    assert!(house.seconds("pump-9").await.is_empty());
    let folder = house.close().await;

    let house = House::open(folder, &clock(), |_| ()).await;
    assert_eq!(
        house.store.reading_count(),
        110,
        "before anything is replayed"
    );
    assert_eq!(house.store.applied(), Offset(2));
    let names: Vec<String> = house
        .store
        .series(None)
        .iter()
        .map(|info| info.device.to_string())
        .collect();
    assert_eq!(names, ["pump-1", "pump-2"]);
    assert_eq!(
        house.store.series(None)[0].last_value.to_bits(),
        99.0_f64.to_bits()
    );
    assert_eq!(house.seconds("pump-2").await.len(), 10);
    house.close().await;
}

#[tokio::test]
async fn a_crash_before_the_flush_is_replayed_from_the_journal() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..50)).await;
    house.append("pump-1", ramp(25..75)).await;
    house.settle().await;
    assert_eq!(house.store.reading_count(), 75);
    let folder = house.crash().await;
    let house = House::open(folder, &clock(), |_| ()).await;
    house.settle().await;
    assert_eq!(house.store.reading_count(), 75);
    assert_eq!(house.seconds("pump-1").await, (0..75).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn a_crash_between_chunks_and_position_duplicates_nothing() {
    let flush_soon = |config: &mut StoreConfig| config.flush_interval = Duration::from_millis(5);
    let house = House::open(TempDir::new().unwrap(), &clock(), flush_soon).await;
    house.append("pump-1", ramp(0..50)).await;
    while house.journal.stats().readers[0].position < Offset(1) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.append("pump-1", ramp(50..60)).await;
    house.settle().await;
    let folder = house.crash().await;
    // The position goes back to what it was before the flush, as if it had never been saved.
    let connection = Connection::open(folder.path().join("journal.db")).unwrap();
    connection
        .execute("UPDATE readers SET position = 0", [])
        .unwrap();
    drop(connection);
    let house = House::open(folder, &clock(), |_| ()).await;
    house.settle().await;
    assert_eq!(house.store.reading_count(), 60);
    assert_eq!(house.seconds("pump-1").await, (0..60).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn the_first_value_of_a_key_stays() {
    let flush_soon = |config: &mut StoreConfig| config.max_tail_points = 1;
    for change in [|_: &mut StoreConfig| (), flush_soon] {
        let house = House::open(TempDir::new().unwrap(), &clock(), change).await;
        for value in [1.0, 2.0, 3.0] {
            house
                .append("pump-1", [(10, value), (20, value), (10, 9.0)])
                .await;
            house.settle().await;
        }
        let samples = house
            .store
            .range(&key("pump-1"), Timestamp::MIN, Timestamp::MAX, 9)
            .await;
        let values: Vec<f64> = samples.unwrap().iter().map(|sample| sample.value).collect();
        assert_eq!(values, [1.0, 1.0]);
        assert_eq!(house.store.reading_count(), 2);
        house.close().await;
    }
}

#[tokio::test]
async fn a_full_tail_is_flushed_at_once_and_the_journal_trimmed_behind_it() {
    let small = |config: &mut StoreConfig| config.max_tail_points = 1000;
    let house = House::open(TempDir::new().unwrap(), &clock(), small).await;
    for part in 0..20 {
        house
            .append("pump-1", ramp(part * 500..(part + 1) * 500))
            .await;
        house.settle().await;
    }
    while house.journal.stats().oldest < Offset(10) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(house.seconds("pump-1").await.len(), 10_000);
    house.close().await;
}

#[tokio::test]
async fn open_ended_buckets_span_the_readings() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..100)).await;
    house.settle().await;
    let all = house
        .store
        .buckets(&key("pump-1"), Timestamp::MIN, Timestamp::MAX, 10)
        .await
        .unwrap();
    assert_eq!(all.iter().map(|bucket| bucket.count).sum::<u64>(), 100);
    assert_eq!((all[0].first, all[0].from), (0.0, Timestamp::EPOCH));
    assert_eq!(all.last().unwrap().to, Timestamp::from_micros(99_000_001));
    let none = house
        .store
        .buckets(&key("pump-9"), Timestamp::MIN, Timestamp::MAX, 10)
        .await;
    assert!(none.unwrap().is_empty());
    let widest = [
        Timestamp::from_micros(i64::MIN + 1),
        Timestamp::from_micros(i64::MAX - 1),
    ];
    let one = house
        .store
        .buckets(&key("pump-1"), widest[0], widest[1], 0)
        .await
        .unwrap();
    assert_eq!((one.len(), one[0].count, one[0].mean), (1, 100, 49.5));
    house.close().await;
}

#[tokio::test]
async fn retention_drops_what_was_measured_and_stored_long_ago() {
    let clock = clock();
    let now = clock.now().as_micros() / 1_000_000;
    let keep = |config: &mut StoreConfig| config.retention = Retention::all(100 * DAY);
    let house = House::open(TempDir::new().unwrap(), &clock, keep).await;
    house.append("live", ramp(now - 10..now)).await;
    house
        .append("recording-of-2020", ramp(1_583_748_873..1_583_748_883))
        .await;
    house
        .append(
            "wrong-clock",
            ramp(now + 9_000_000_000..now + 9_000_000_005),
        )
        .await;
    house
        .store
        .put_findings(vec![assessment("pump-1", now, 50.0)])
        .await
        .unwrap();
    let folder = house.close().await;

    clock.advance(99 * DAY);
    let house = House::open(folder, &clock, keep).await;
    let later = now + 99 * 24 * 3600;
    house.append("live", ramp(later..later + 5)).await;
    house.settle().await;
    assert_eq!(
        house.store.reading_count(),
        30,
        "nothing has been stored for 100 days yet"
    );
    let folder = house.close().await;

    clock.advance(2 * DAY);
    let house = House::open(folder, &clock, keep).await;
    while house.store.reading_count() != 5 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(house.seconds("live").await.len(), 5);
    assert_eq!(house.store.series(None).len(), 1);
    let folder = house.close().await;
    let house = House::open(folder, &clock, keep).await;
    assert_eq!(house.store.reading_count(), 5, "also on disk");
    let all = FindingQuery {
        limit: 9,
        ..FindingQuery::default()
    };
    assert!(house.store.findings(all).await.unwrap().is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_by_a_year_deletes_nothing() {
    let clock = clock();
    let now = clock.now().as_micros() / 1_000_000;
    let careful = |config: &mut StoreConfig| {
        config.retention = Retention::all(100 * DAY);
        config.max_clock_rate = Some(24);
    };
    let house = House::open(TempDir::new().unwrap(), &clock, careful).await;
    house.append("live", ramp(now - 10..now)).await;
    house.settle().await;
    let folder = house.close().await;
    clock.advance(400 * DAY);
    let file = Connection::open(folder.path().join("store.db")).unwrap();
    let forgotten = file.execute("DELETE FROM retention_clock", []).unwrap();
    assert_eq!(forgotten, 1);
    let house = House::open(folder, &clock, careful).await;
    let noted = || -> i64 {
        let sql = "SELECT count(*) FROM retention_clock";
        file.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    // A pass has come to its end when it has left its note.
    while noted() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(house.store.reading_count(), 10);
    house.close().await;
}

#[tokio::test]
async fn a_damaged_chunk_is_named_and_does_not_pass_for_data() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..1000)).await;
    let folder = house.close().await;
    let connection = Connection::open(folder.path().join("store.db")).unwrap();
    connection
        .execute("UPDATE chunks SET data = zeroblob(length(data))", [])
        .unwrap();
    drop(connection);
    let house = House::open(folder, &clock(), |_| ()).await;
    let answer = house
        .store
        .range(&key("pump-1"), Timestamp::MIN, Timestamp::MAX, 1)
        .await;
    assert!(matches!(
        answer,
        Err(HistorianError::Corrupt {
            what: "chunk",
            id: 1,
            ..
        })
    ));
    house.close().await;
}

#[tokio::test]
async fn a_store_notices_a_journal_that_is_not_its_own() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..5)).await;
    house.append("pump-1", ramp(5..10)).await;
    let folder = house.close().await;
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let house = House::open(folder, &clock(), |_| ()).await;
    house.append("pump-1", ramp(10..12)).await;
    house.settle().await;
    assert_eq!(
        house.store.reading_count(),
        12,
        "the new journal is followed from its start"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_see_every_reading_while_chunks_are_flushed_and_merged() {
    let busy = |config: &mut StoreConfig| config.max_tail_points = 20;
    let house = House::open(TempDir::new().unwrap(), &clock(), busy).await;
    for part in 0..60 {
        house
            .append("pump-1", ramp(part * 10..(part + 1) * 10))
            .await;
        house.settle().await;
        let seconds = house.seconds("pump-1").await;
        assert_eq!(seconds, (0..(part + 1) * 10).collect::<Vec<_>>());
    }
    house.close().await;
}

#[tokio::test]
async fn what_a_file_is_used_for_adds_up_to_no_more_than_the_file() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..5_000)).await;
    house.settle().await;
    let path = house.folder.path().join("store.db");
    // A reader that stays open keeps SQLite from tidying up by itself.
    let reader = crate::sqlite::open_reader(&path).unwrap();
    let count = reader.query_row("SELECT count(*) FROM series", [], |row| {
        row.get::<_, i64>(0)
    });
    count.unwrap();
    let folder = house.close().await;
    let log = fs::metadata(folder.path().join("store.db-wal")).unwrap();
    assert_eq!(log.len(), 0, "all is in the file");
    drop(reader);
    let before = DiskUse::of(&path).unwrap();
    assert!(before.readings > 0 && before.readings + before.findings < before.file);

    let house = House::open(folder, &clock(), |_| ()).await;
    let noise = |at: i64| (at * 7_919 % 100_003) as f64 / 1_001.0;
    let findings = (0..20_000).map(|at| assessment("pump-1", at, noise(at)));
    house.store.put_findings(findings.collect()).await.unwrap();
    let _folder = house.close().await;
    let after = DiskUse::of(&path).unwrap();
    assert!(after.findings > before.findings);
    assert_eq!(after.readings, before.readings);
    assert!(after.readings + after.findings < after.file);
}

pub(super) fn assessment(asset: &str, second: i64, health: f64) -> Finding {
    Finding::Assessment(Assessment {
        asset: AssetId::new(asset).unwrap(),
        device: DeviceId::new(asset).unwrap(),
        at: Timestamp::from_secs(second),
        health: HealthIndex::new(health),
        zone: Zone::Healthy,
        score: 0.5,
        components: Vec::new(),
    })
}

fn no_prognosis(asset: &str, second: i64) -> Finding {
    Finding::Prognosis(PrognosisOutcome::None(NoPrognosis {
        asset: AssetId::new(asset).unwrap(),
        device: DeviceId::new("gateway-1").unwrap(),
        at: Timestamp::from_secs(second),
        reason: "too_little_history".into(),
    }))
}

pub(super) fn every_finding(limit: usize) -> FindingQuery {
    FindingQuery {
        limit,
        ..FindingQuery::default()
    }
}

#[tokio::test]
async fn findings_are_kept_once_and_found_by_kind_asset_device_and_time() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    let mut findings: Vec<Finding> = (0..10).map(|at| assessment("pump-1", at, 90.0)).collect();
    findings.push(assessment("pump-2", 3, 80.0));
    findings.push(no_prognosis("pump-1", 3));
    for _ in 0..2 {
        house.store.put_findings(findings.clone()).await.unwrap();
    }
    let replacement = vec![assessment("pump-1", 3, 42.0)];
    house.store.put_findings(replacement).await.unwrap();
    let all = every_finding(100);
    let pump_1 = FindingQuery {
        kind: Some(FindingKind::Assessment),
        asset: Some(AssetId::new("pump-1").unwrap()),
        ..all.clone()
    };
    let window = FindingQuery {
        from: Some(Timestamp::from_secs(3)),
        to: Some(Timestamp::from_secs(5)),
        ..pump_1.clone()
    };
    let newest = FindingQuery {
        newest_first: true,
        limit: 2,
        ..pump_1
    };
    let gateway = FindingQuery {
        device: Some(DeviceId::new("gateway-1").unwrap()),
        ..all.clone()
    };
    let pump = |second, health| assessment("pump-1", second, health);
    for (query, expected) in [
        (window, vec![pump(3, 42.0), pump(4, 90.0)]),
        (newest, vec![pump(9, 90.0), pump(8, 90.0)]),
        (gateway, vec![no_prognosis("pump-1", 3)]),
    ] {
        assert_eq!(house.store.findings(query).await.unwrap(), expected);
    }
    assert_eq!(house.store.findings(all).await.unwrap().len(), 12);
    house.close().await;
}
