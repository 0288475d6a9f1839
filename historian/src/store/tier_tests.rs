//! Roll-ups, waveforms, late marks, damage and files of the first layout, with real files.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, params};
use telemetry::{
    Clock, DeviceId, Event, JournalRecord, JournalWriter, SignalName, Timestamp, Unit, Waveform,
};
use tempfile::TempDir;

use super::{
    LateQuery, Retention, SeriesKey, SignalRetention, StoreConfig, Tier, WaveformQuery,
    tests::{House, clock, key, ramp},
};

const DAY: Duration = Duration::from_hours(24);
const DAY_S: i64 = 24 * 3600;

/// Counts and sums of daily parts.
async fn days(house: &House, device: &str, from: i64, count: u32) -> Vec<(u64, f64, f64, f64)> {
    let to = from + i64::from(count) * DAY_S;
    let [from, to] = [from, to].map(Timestamp::from_secs);
    let buckets = house
        .store
        .buckets(&key(device), from, to, count)
        .await
        .unwrap();
    buckets
        .iter()
        .map(|b| (b.count, b.mean * b.count as f64, b.first, b.last))
        .collect()
}

#[tokio::test]
async fn readings_leave_as_minutes_hours_and_days_that_go_on_answering() {
    let clock = clock();
    let start = clock.now().as_micros() / 1_000_000 / DAY_S * DAY_S;
    let tiers = |config: &mut StoreConfig| {
        config.retention = Retention {
            raw: Some(10 * DAY),
            minute: Some(20 * DAY),
            hour: Some(30 * DAY),
            day: Some(40 * DAY),
            waveforms: None,
            by_signal: vec![SignalRetention::raw("kept-*/*", None)],
        };
    };
    let mut house = House::open(TempDir::new().unwrap(), &clock, tiers).await;
    let readings = || {
        ramp(0..2 * DAY_S)
            .step_by(20)
            .map(|(at, value)| (start + at, value))
    };
    house.append("pump-1", readings()).await;
    house.append("kept-1", readings()).await;
    house.settle().await;
    clock.set(Timestamp::from_secs(start + 2 * DAY_S));
    let expected = days(&house, "pump-1", start, 2).await;
    assert_eq!(expected[0].0, 4320);
    let kept = 8640;
    for (passed, left, answers) in [
        (9, 2 * kept, true),
        (11, kept, true),
        (21, kept, true),
        (31, kept, true),
        (43, kept, false),
    ] {
        let folder = house.close().await;
        clock.set(Timestamp::from_secs(start + (2 + passed) * DAY_S));
        house = House::open(folder, &clock, tiers).await;
        let series = if answers { 2 } else { 1 };
        while house.store.reading_count() != left || house.store.series(None).len() != series {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let found = days(&house, "pump-1", start, 2).await;
        let wanted = if answers {
            expected.clone()
        } else {
            Vec::new()
        };
        assert_eq!(found, wanted, "after {passed} days");
        assert_eq!(house.seconds("kept-1").await.len(), 8640);
        let raw = if passed == 9 { 8640 } else { 0 };
        assert_eq!(house.seconds("pump-1").await.len(), raw);
        let known = house.store.last(&[key("pump-1"), key("nobody")]);
        assert_eq!((known[0].is_some(), known[1]), (answers, None));
    }
    house.close().await;
}

#[tokio::test]
async fn readings_between_the_asked_start_and_the_next_full_hour_are_counted() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    // Starts at half past; dense enough for a roll-up of hours beside the readings.
    let start = 1_750_000_000 / 3600 * 3600 + 1800;
    house.append("pump-1", ramp(start..start + 40_000)).await;
    let folder = house.close().await;
    let house = House::open(folder, &clock(), |_| ()).await;
    for parts in [1, 2, 100] {
        let whole = [Timestamp::MIN, Timestamp::MAX];
        let buckets = house
            .store
            .buckets(&key("pump-1"), whole[0], whole[1], parts)
            .await
            .unwrap();
        let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
        assert_eq!(count, 40_000, "{parts} parts");
        assert_eq!(buckets[0].first.to_bits(), (start as f64).to_bits());
    }
    house.close().await;
}

#[tokio::test]
async fn late_readings_for_a_time_that_has_been_rolled_up_are_counted_in() {
    let clock = clock();
    let start = clock.now().as_micros() / 1_000_000 / DAY_S * DAY_S;
    let tiers = |config: &mut StoreConfig| config.retention.raw = Some(10 * DAY);
    let house = House::open(TempDir::new().unwrap(), &clock, tiers).await;
    house
        .append("pump-1", (0..100).map(|at| (start + at * 60, 1.0)))
        .await;
    let folder = house.close().await;
    clock.set(Timestamp::from_secs(start + 20 * DAY_S));
    let house = House::open(folder, &clock, tiers).await;
    while house.store.reading_count() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.append("pump-1", [(start + 90, 7.0)]).await;
    house.settle().await;
    let expected = [(101, 107.0, 1.0, 1.0)];
    assert_eq!(
        days(&house, "pump-1", start, 1).await,
        expected,
        "in memory"
    );
    let folder = house.close().await;
    let house = House::open(folder, &clock, tiers).await;
    assert_eq!(days(&house, "pump-1", start, 1).await, expected, "on disk");
    assert_eq!(house.store.reading_count(), 0);
    house.close().await;
}

fn waveform(second: i64, axis: Option<&str>, samples: Vec<f32>) -> Waveform {
    Waveform {
        device: DeviceId::new("pump-1").unwrap(),
        signal: SignalName::new("bearing_acceleration_g").unwrap(),
        axis: axis.map(Into::into),
        measured_at: Timestamp::from_secs(second),
        received_at: Timestamp::from_secs(second + 1),
        sample_rate_hz: 25_600.0,
        unit: Some(Unit::StandardGravity),
        samples: samples.into(),
    }
}

async fn append_waveforms(house: &House, waveforms: Vec<Waveform>) {
    let record = JournalRecord {
        waveforms,
        ..JournalRecord::default()
    };
    house.journal.append(record).await.unwrap();
    house.settle().await;
}

#[tokio::test]
async fn a_waveform_is_kept_once_bit_for_bit_and_goes_after_its_own_time() {
    let clock = clock();
    let now = clock.now().as_micros() / 1_000_000;
    let keep = |config: &mut StoreConfig| config.retention.waveforms = Some(5 * DAY);
    let house = House::open(TempDir::new().unwrap(), &clock, keep).await;
    let tone: Vec<f32> = (0..2560).map(|at| (at as f32 / 7.0).sin() * 0.25).collect();
    let odd = vec![f32::MIN_POSITIVE, -0.0, f32::MAX, 1e-40];
    let sent = vec![
        waveform(now, Some("x"), tone.clone()),
        waveform(now, Some("y"), odd),
        waveform(now, None, Vec::new()),
        waveform(now - 3600, Some("x"), tone),
    ];
    append_waveforms(&house, sent.clone()).await;
    let again = waveform(now, Some("x"), vec![9.0]);
    append_waveforms(&house, vec![again]).await;
    let all = WaveformQuery {
        limit: 100,
        ..WaveformQuery::default()
    };
    let listed = house.store.waveforms(all.clone()).await.unwrap();
    assert_eq!(
        listed.len(),
        4,
        "the second one under the same key changes nothing"
    );
    for info in &listed {
        let got = house.store.waveform(info.id).await.unwrap().unwrap();
        let expected = sent
            .iter()
            .find(|sent| (sent.measured_at, &sent.axis) == (got.measured_at, &got.axis));
        let bits = |waveform: &Waveform| {
            waveform
                .samples
                .iter()
                .map(|s| s.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&got), bits(expected.unwrap()));
        assert_eq!(&got, expected.unwrap());
        assert_eq!(info.samples as usize, got.samples.len());
    }
    let x = listed.iter().find(|info| info.samples == 2560).unwrap();
    // The root mean square of a sine of amplitude 0.25 is 0.25 / sqrt(2).
    assert!((x.rms - 0.25 / 2_f64.sqrt()).abs() < 1e-3 && (x.peak - 0.25).abs() < 1e-4);
    let page = WaveformQuery {
        axis: Some("x".into()),
        device: Some(DeviceId::new("pump-1").unwrap()),
        before: Some((Timestamp::from_secs(now), 1)),
        ..all.clone()
    };
    let page = house.store.waveforms(page).await.unwrap();
    assert_eq!(
        page.iter().map(|info| info.measured_at).collect::<Vec<_>>(),
        [Timestamp::from_secs(now - 3600)]
    );
    let folder = house.close().await;

    clock.advance(6 * DAY);
    let house = House::open(folder, &clock, keep).await;
    while !house.store.waveforms(all.clone()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.close().await;
}

#[tokio::test]
async fn late_marks_are_listed_once_over_a_crash() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    let mark = |device: &str, at: i64| Event::LateReadings {
        device: DeviceId::new(device).unwrap(),
        readings: 3,
        from: Timestamp::from_secs(at),
        to: Timestamp::from_secs(at + 2),
        newest: Timestamp::from_secs(at + 900_000),
        at: Timestamp::from_secs(at + 900_001),
    };
    let record = JournalRecord {
        events: vec![mark("pump-1", 1), mark("pump-2", 1), mark("pump-1", 1)],
        ..JournalRecord::default()
    };
    house.journal.append(record).await.unwrap();
    house.settle().await;
    let folder = house.crash().await;
    let house = House::open(folder, &clock(), |_| ()).await;
    house.settle().await;
    let all = LateQuery {
        limit: 9,
        ..LateQuery::default()
    };
    let marks = house.store.late_readings(all.clone()).await.unwrap();
    assert_eq!(marks.len(), 3, "two that look alike are two");
    assert_eq!(
        (marks[0].readings, marks[0].newest),
        (3, Timestamp::from_secs(900_001))
    );
    let of_pump_2 = LateQuery {
        device: Some(DeviceId::new("pump-2").unwrap()),
        ..all
    };
    assert_eq!(house.store.late_readings(of_pump_2).await.unwrap().len(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_damaged_chunk_met_by_a_late_point_is_set_aside_and_the_rest_goes_on() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house
        .append("pump-1", ramp(0..40_000).map(|(at, value)| (at * 2, value)))
        .await;
    house.append("pump-2", ramp(0..10)).await;
    let folder = house.close().await;
    let connection = Connection::open(folder.path().join("store.db")).unwrap();
    let spoil = "UPDATE chunks SET data = zeroblob(length(data)) WHERE count = 40000";
    assert_eq!(connection.execute(spoil, []).unwrap(), 1);
    drop(connection);
    let house = House::open(folder, &clock(), |_| ()).await;
    house.append("pump-1", [(101, 1.0), (90_000, 2.0)]).await;
    house.append("pump-2", [(20, 20.0)]).await;
    house.settle().await;
    assert_eq!(house.seconds("pump-1").await, [101, 90_000]);
    assert_eq!(house.seconds("pump-2").await.len(), 11);
    assert_eq!(house.store.reading_count(), 13);
    let damaged = house.store.damaged_chunks(9).await.unwrap();
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].tier, damaged[0].count), (Tier::Raw, 40_000));
    assert_eq!(damaged[0].last_at, Timestamp::from_secs(79_998));
    let folder = house.close().await;
    let connection = Connection::open(folder.path().join("store.db")).unwrap();
    let kept = "SELECT length(data) > 0 AND length(times) > 0 FROM damaged";
    assert!(
        connection
            .query_row(kept, [], |row| row.get::<_, bool>(0))
            .unwrap(),
        "its bytes are kept"
    );
    drop(connection);
    // Its hours still answer, with the late point in them.
    let house = House::open(folder, &clock(), |_| ()).await;
    let found = days(&house, "pump-1", 0, 1).await;
    assert_eq!(
        (found[0].0, found[0].1),
        (40_001, 39_999.0 * 20_000.0 + 1.0)
    );
    house.close().await;
}

/// The layout of the first release, word for word.
const FIRST_LAYOUT: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        device TEXT NOT NULL,
        signal TEXT NOT NULL,
        UNIQUE (device, signal)
    ) STRICT;
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        series INTEGER NOT NULL,
        t_min INTEGER NOT NULL,
        t_max INTEGER NOT NULL,
        count INTEGER NOT NULL,
        last_bits INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        codec INTEGER NOT NULL,
        times BLOB NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE TABLE applied (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        journal INTEGER NOT NULL,
        offset INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE findings (
        asset TEXT NOT NULL,
        device TEXT NOT NULL,
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (asset, kind, at, device)
    ) STRICT;
    CREATE INDEX findings_by_time ON findings (kind, at);
    PRAGMA application_id = 0x42575354;
    PRAGMA user_version = 1;
";

/// A file as the first release left it: pump-1/x at seconds 0 to 2, each column raw.
fn first_file(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(FIRST_LAYOUT).unwrap();
    connection
        .execute("INSERT INTO series VALUES (0, 'pump-1', 'x')", [])
        .unwrap();
    let times: Vec<u8> = [0_i64, 1_000_000, 2_000_000]
        .iter()
        .flat_map(|at| at.to_le_bytes())
        .collect();
    let values: Vec<u8> = [1.5_f64, 2.5, 3.5]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let mut sealed = Vec::new();
    sealed.extend(0_u32.to_le_bytes());
    sealed.extend(0_i64.to_le_bytes());
    sealed.extend(2_000_000_i64.to_le_bytes());
    sealed.extend(3_u32.to_le_bytes());
    sealed.extend(3.5_f64.to_bits().to_le_bytes());
    sealed.push(0);
    sealed.extend(24_u64.to_le_bytes());
    sealed.extend(&times);
    sealed.extend(&values);
    connection
        .execute(
            "INSERT INTO chunks VALUES (1, 0, 0, 2000000, 3, ?1, 0, ?2, 0, ?3, ?4)",
            params![
                3.5_f64.to_bits() as i64,
                crc32c::crc32c(&sealed),
                times,
                values
            ],
        )
        .unwrap();
}

#[tokio::test]
async fn a_file_of_the_first_release_is_taken_over_in_place() {
    let folder = TempDir::new().unwrap();
    first_file(&folder.path().join("store.db"));
    let house = House::open(folder, &clock(), |_| ()).await;
    assert_eq!(house.store.reading_count(), 3);
    house.append("pump-1", [(1, 9.0), (3, 4.5)]).await;
    house.settle().await;
    append_waveforms(&house, vec![waveform(1, None, vec![1.0])]).await;
    let folder = house.close().await;
    let house = House::open(folder, &clock(), |_| ()).await;
    let all = house
        .store
        .range(&key("pump-1"), Timestamp::MIN, Timestamp::MAX, 9)
        .await
        .unwrap();
    assert_eq!(
        all.iter().map(|s| s.value).collect::<Vec<_>>(),
        [1.5, 2.5, 3.5, 4.5]
    );
    let path = house.close().await;
    let connection = Connection::open(path.path().join("store.db")).unwrap();
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 5);
    let indexes: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'series'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(indexes, 0, "version 4 has none over the names of series");
}

#[tokio::test]
async fn ten_thousand_last_values_are_answered_from_memory_in_their_order() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    for device in 0..20 {
        house
            .append(&format!("d{device}"), [(1, 0.0), (2, f64::from(device))])
            .await;
    }
    house.settle().await;
    let keys: Vec<SeriesKey> = (0..10_000)
        .rev()
        .map(|number| key(&format!("d{number}")))
        .collect();
    let last = house.store.last(&keys);
    for (key, sample) in keys.iter().zip(last) {
        let number: i32 = key.device.as_str()[1..].parse().unwrap();
        assert_eq!(
            sample.map(|s| s.value),
            (number < 20).then_some(f64::from(number))
        );
    }
    let _: Arc<dyn crate::TimeSeries> = Arc::new(house.store.clone());
    house.close().await;
}
