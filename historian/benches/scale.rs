//! What a chart, the newest values and a restart take over much data.
//!
//! `cargo bench -p historian --bench scale` stores a year of one signal at 1 Hz and asks for it
//! in a thousand parts; stores many series and asks for the newest value of each; and opens that
//! store again. An argument `100m` takes 100 million readings instead of 10.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use historian::{Journal, JournalConfig, SeriesKey, Store, StoreConfig};
use telemetry::{
    DeviceId, JournalRecord, JournalWriter, ReadingBatch, SignalName, SystemClock, Timestamp,
};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const START: i64 = 1_735_689_600_000_000;
const YEAR_S: i64 = 365 * 24 * 3600;
const ROWS: i64 = 20_000;

struct House {
    journal: Journal,
    store: Store,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<Result<(), historian::HistorianError>>,
}

async fn open(folder: &Path) -> Outcome<House> {
    let journal = Journal::open(JournalConfig::at(folder.join("journal.db")))?;
    let store = Store::open(StoreConfig::at(folder.join("historian.db")), &journal).await?;
    let stop = CancellationToken::new();
    let run = store
        .clone()
        .run(journal.clone(), Arc::new(SystemClock), stop.clone());
    Ok(House {
        run: tokio::spawn(run),
        journal,
        store,
        stop,
    })
}

impl House {
    async fn settle(&self) {
        while self.store.applied() < *self.journal.committed().borrow() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn close(self) -> Outcome<()> {
        self.stop.cancel();
        self.run.await??;
        Ok(self.journal.close().await?)
    }
}

/// A slow cycle with noise of some tenths and two decimals.
fn value(series: i64, step: i64) -> f64 {
    let mut bits = (step * 1000 + series)
        .cast_unsigned()
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let noise = (bits >> 40) as f64 / f64::from(1 << 24);
    ((50.0 + 10.0 * (step as f64 / 5000.0).sin() + noise / 2.0) * 100.0).round() / 100.0
}

fn key(series: i64) -> Outcome<SeriesKey> {
    Ok(SeriesKey {
        device: DeviceId::new(&format!("pump-{}", series / 10))?,
        signal: SignalName::new(&format!("signal_{}", series % 10))?,
    })
}

/// Rows of one series from `first` on, a second apart.
fn record(series: i64, first: i64, rows: i64) -> Outcome<JournalRecord> {
    let mut readings = ReadingBatch::new();
    let key = key(series)?;
    let device = readings.device(&key.device);
    for step in first..first + rows {
        let signal = readings.signal(&key.signal);
        readings.push_value(signal, value(series, step));
        let at = Timestamp::from_micros(START + step * 1_000_000);
        readings.finish_row(device, at, at);
    }
    Ok(JournalRecord {
        readings,
        ..JournalRecord::default()
    })
}

async fn year() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let house = open(folder.path()).await?;
    let started = Instant::now();
    for first in (0..YEAR_S).step_by(ROWS as usize) {
        house
            .journal
            .append(record(0, first, ROWS.min(YEAR_S - first))?)
            .await?;
    }
    house.settle().await;
    let stored = started.elapsed().as_secs_f64();
    house.close().await?;
    let house = open(folder.path()).await?;
    let series = key(0)?;
    let end = START + YEAR_S * 1_000_000;
    let cases = [
        ("a year", 0, 0, 1_000),
        ("a year, odd ends", 1_234_567, 7_654_321, 1_000),
        ("a month", 300 * 86_400_000_000, 0, 1_000),
    ];
    for (name, later, earlier, parts) in cases {
        let [from, to] = [START + later, end - earlier].map(Timestamp::from_micros);
        let mut took = Vec::new();
        let mut readings = 0;
        for _ in 0..200 {
            let started = Instant::now();
            let buckets = house.store.buckets(&series, from, to, parts).await?;
            took.push(started.elapsed());
            readings = buckets.iter().map(|bucket| bucket.count).sum();
        }
        println!(
            "{name:<18} {readings} readings in {parts} parts: {}",
            spread(took)
        );
    }
    let bytes = std::fs::metadata(folder.path().join("historian.db"))?.len();
    println!(
        "stored {YEAR_S} readings in {stored:.1} s ({:.0} a second), {:.3} bytes each",
        YEAR_S as f64 / stored,
        bytes as f64 / YEAR_S as f64
    );
    house.close().await
}

fn spread(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: f64| took[(share * (took.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    format!(
        "p50 {:.2} p99 {:.2} max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    )
}

async fn many(readings: i64) -> Outcome<()> {
    const SERIES: i64 = 10_000;
    let folder = tempfile::tempdir()?;
    let house = open(folder.path()).await?;
    let each = readings / SERIES;
    let started = Instant::now();
    for series in 0..SERIES {
        house.journal.append(record(series, 0, each)?).await?;
    }
    house.settle().await;
    let stored = started.elapsed().as_secs_f64();
    house.close().await?;
    let started = Instant::now();
    let house = open(folder.path()).await?;
    let opened = started.elapsed();
    assert_eq!(house.store.reading_count(), (each * SERIES).cast_unsigned());
    house.journal.append(record(0, each, 1)?).await?;
    house.settle().await;
    println!(
        "{SERIES} series, {} readings ({:.0} a second): open again in {:.0} ms, first append visible after {:.0} ms",
        each * SERIES,
        (each * SERIES) as f64 / stored,
        opened.as_secs_f64() * 1e3,
        started.elapsed().as_secs_f64() * 1e3
    );
    let keys: Vec<SeriesKey> = (0..SERIES).map(key).collect::<Outcome<_>>()?;
    let mut took = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        let last = house.store.last(&keys);
        took.push(started.elapsed());
        assert!(last.iter().all(Option::is_some));
    }
    println!("newest value of {SERIES} series: {}", spread(took));
    house.close().await
}

fn main() -> Outcome<()> {
    let large = std::env::args().any(|arg| arg == "100m");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(year())?;
    runtime.block_on(many(if large { 100_000_000 } else { 10_000_000 }))
}
