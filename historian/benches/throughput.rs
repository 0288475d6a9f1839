//! How many readings a second the journal makes durable and the store follows.
//!
//! `cargo bench -p historian` prints one line a case. Figures depend on the disk (every group
//! commit is fsynced) and on what else the machine does; CPU seconds of the writer thread
//! are printed beside them, because they say how far the journal is from being the bottleneck.

use std::{
    error::Error,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use historian::{Journal, JournalConfig, SeriesKey, Store, StoreConfig};
use telemetry::{
    DeviceId, JournalRecord, JournalWriter, ReadingBatch, SignalName, SystemClock, Timestamp,
};
use tokio_util::sync::CancellationToken;

const ROWS: usize = 100;
const SIGNALS: [&str; 3] = ["pressure_bar", "bearing_temperature_c", "vibration_mm_s"];
const RUN_FOR: Duration = Duration::from_secs(4);
const START_MICROS: i64 = 1_760_000_000_000_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A sensor with a slow cycle, noise of some tenths and two decimals, as most of them send.
fn value(signal: usize, step: i64) -> f64 {
    // splitmix64: noise without a pattern that a compressor could find.
    let mut bits = (step as u64 * 3 + signal as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let noise = (bits >> 40) as f64 / f64::from(1 << 24);
    let slow = (step as f64 / 5000.0 + signal as f64).sin();
    ((50.0 + 10.0 * slow + noise / 2.0) * 100.0).round() / 100.0
}

/// One read buffer: `ROWS` rows of `devices` devices in turn, from row `first` on.
fn buffer(names: &[DeviceId], first: i64, millis: i64) -> Outcome<JournalRecord> {
    let mut readings = ReadingBatch::new();
    for at in 0..ROWS as i64 {
        let row = first + at;
        let device = readings.device(&names[row as usize % names.len()]);
        let step = row / names.len() as i64;
        for (index, name) in SIGNALS.iter().enumerate() {
            let signal = readings.signal(&SignalName::new(name)?);
            readings.push_value(signal, value(index, step));
        }
        let measured = Timestamp::from_micros(START_MICROS + step * millis * 1000);
        readings.finish_row(device, measured, measured);
    }
    Ok(JournalRecord {
        readings,
        ..JournalRecord::default()
    })
}

/// CPU seconds of the threads whose name begins so, from `/proc`; zero elsewhere.
fn cpu_seconds(name: &str) -> f64 {
    // In ticks of 1/100 s, fields 14 and 15 of proc(5) `stat`, counted after the name.
    let ticks = |stat: &str| -> Option<f64> {
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ours = head.split_once('(')?.1.starts_with(name);
        let spent: f64 =
            fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        ours.then_some(spent)
    };
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| ticks(&stat)).sum::<f64>() / 100.0
}

async fn journal_case(appenders: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db")))?;
    journal.register_reader("bench").await?;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for appender in 0..appenders {
        let journal = journal.clone();
        let record = buffer(&[DeviceId::new(&format!("pump-{appender}"))?], 0, 1000)?;
        tasks.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            while started.elapsed() < RUN_FOR {
                let before = Instant::now();
                journal.append(record.clone()).await?;
                waits.push(before.elapsed());
            }
            Ok::<_, telemetry::PortError>(waits)
        }));
    }
    let trimmer = journal.clone();
    let trim = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let committed = *trimmer.committed().borrow();
            if trimmer
                .save_position("bench", committed, Vec::new())
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    trim.abort();
    waits.sort_unstable();
    let stats = journal.stats();
    let rows = (waits.len() * ROWS) as f64;
    let at = |share: f64| waits[(share * (waits.len() - 1) as f64) as usize].as_secs_f64() * 1e3;
    println!(
        "journal  {appenders:>4} appenders  {:>9.0} rows/s  {:>6.1} commits/s  wait p50 {:.1} p99 {:.1} max {:.1} ms  \
         writer {:.2} CPU, {:.2} CPU s per million rows  file {} MB",
        rows / seconds,
        stats.commits as f64 / seconds,
        at(0.5),
        at(0.99),
        at(1.0),
        cpu_seconds("journal") / seconds,
        cpu_seconds("journal") / rows * 1e6,
        stats.bytes >> 20,
    );
    journal.close().await?;
    Ok(())
}

async fn store_case(devices: usize, rows: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db")))?;
    let path = folder.path().join("store.db");
    let store = Store::open(StoreConfig::at(&path), &journal).await?;
    let names: Vec<DeviceId> = (0..devices)
        .map(|device| DeviceId::new(&format!("pump-{device}")))
        .collect::<Result<_, _>>()?;
    let mut appends = Vec::new();
    for first in (0..rows).step_by(ROWS) {
        let record = buffer(&names, first as i64, 1000)?;
        let journal = journal.clone();
        appends.push(tokio::spawn(async move { journal.append(record).await }));
        if appends.len() == 512 {
            for append in appends.drain(..) {
                append.await??;
            }
        }
    }
    for append in appends {
        append.await??;
    }
    let readings = journal.stats().readings_appended;
    let cpu_before = cpu_seconds("");
    let started = Instant::now();
    let shutdown = CancellationToken::new();
    let run = tokio::spawn(store.clone().run(
        journal.clone(),
        Arc::new(SystemClock),
        shutdown.clone(),
    ));
    while store.applied() < *journal.committed().borrow() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let visible = started.elapsed().as_secs_f64();
    shutdown.cancel();
    run.await??;
    let flushed = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds("") - cpu_before;
    assert_eq!(store.reading_count(), readings);
    let stored = stored_bytes(&path)?;
    println!(
        "store    {devices:>4} devices  {readings:>9} readings  visible {:>8.0}/s  in chunks {:>8.0}/s  {:.2} CPU s per million  {:.2} bytes a reading",
        readings as f64 / visible,
        readings as f64 / flushed,
        cpu / readings as f64 * 1e6,
        stored as f64 / readings as f64,
    );
    let key = SeriesKey {
        device: names[0].clone(),
        signal: SignalName::new(SIGNALS[0])?,
    };
    let started = Instant::now();
    let buckets = store
        .buckets(&key, Timestamp::MIN, Timestamp::MAX, 500)
        .await?;
    let counted: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    println!(
        "         500 buckets of {counted} readings in {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    journal.close().await?;
    Ok(())
}

/// Size of the database without free pages.
fn stored_bytes(path: &std::path::Path) -> Outcome<u64> {
    let connection = rusqlite::Connection::open(path)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = pragma("page_count")? - pragma("freelist_count")?;
    Ok((used * pragma("page_size")?) as u64)
}

fn main() -> Outcome<()> {
    let only = std::env::args().nth(1).filter(|arg| !arg.starts_with("--"));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.starts_with(only));
    let run = |case: std::pin::Pin<Box<dyn Future<Output = Outcome<()>> + Send>>| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(case)
    };
    if wanted("journal") {
        for appenders in [1, 10, 30, 100] {
            run(Box::pin(journal_case(appenders)))?;
        }
    }
    if wanted("store") {
        for (devices, rows) in [(1, 1_000_000), (10, 4_000_000), (1000, 4_000_000)] {
            run(Box::pin(store_case(devices, rows)))?;
        }
    }
    Ok(())
}
