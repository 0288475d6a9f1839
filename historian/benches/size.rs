//! How many bytes a value takes on disk, for recordings of real machines.
//!
//! `cargo bench -p historian --bench size` looks for the recordings beside the repository
//! (`../shared/data`), stores each folder in a store of its own, lets compaction finish, and
//! prints the size of the whole file after the log has gone back into it, times, catalogue and
//! free space included. A time that a file holds twice is stored once and counted once.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use historian::{Journal, JournalConfig, Store, StoreConfig};
use telemetry::{
    DeviceId, JournalRecord, JournalWriter, ReadingBatch, SignalName, SystemClock, Timestamp,
};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Rows of one append.
const ROWS: usize = 2_000;

/// Columns that are no readings.
const LEFT_OUT: [&str; 6] = [
    "anomaly",
    "changepoint",
    "snapshot",
    "minute",
    "clock_hms",
    "n_samples",
];

/// One row of a file: device, microseconds, values by signal.
struct Row {
    device: DeviceId,
    at: i64,
    values: Vec<(SignalName, f64)>,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|kind| kind == "csv") {
            found.push(path);
        }
    }
    Ok(())
}

/// Rows of a CSV file without quotes; none for a file without a column of times.
fn rows(path: &Path, root: &Path) -> Outcome<Vec<Row>> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let delimiter = if header.contains(';') { ';' } else { ',' };
    let names: Vec<&str> = header.split(delimiter).map(str::trim).collect();
    let time = names
        .iter()
        .position(|name| ["datetime", "timestamp", "t_s"].contains(name));
    let (Some(time), false) = (time, path.ends_with("PdM_maint.csv")) else {
        return Ok(Vec::new());
    };
    let machine = names.iter().position(|name| *name == "machineID");
    let file = path.strip_prefix(root)?.with_extension("");
    let file = file.to_string_lossy().replace(['/', ' '], ".");
    let mut rows = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(delimiter).map(str::trim).collect();
        let (Some(at), true) = (fields.get(time), fields.len() == names.len()) else {
            continue;
        };
        let at = match names[time] {
            "t_s" => (at.parse::<f64>()? * 1e6) as i64,
            _ => Timestamp::parse(&format!("{}Z", at.replacen(' ', "T", 1)))?.as_micros(),
        };
        let device = match machine {
            Some(column) => format!("machine-{}", fields[column]),
            None => file.clone(),
        };
        let mut values = Vec::new();
        for (column, name) in names.iter().enumerate() {
            if column == time || Some(column) == machine || LEFT_OUT.contains(name) {
                continue;
            }
            if let Ok(value) = fields[column].parse::<f64>()
                && value.is_finite()
            {
                values.push((SignalName::new(&name.replace(' ', "_"))?, value));
            }
        }
        if !values.is_empty() {
            rows.push(Row {
                device: DeviceId::new(&device[device.len().saturating_sub(64)..])?,
                at,
                values,
            });
        }
    }
    Ok(rows)
}

fn record(rows: &[Row]) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    for row in rows {
        let device = readings.device(&row.device);
        for (signal, value) in &row.values {
            let signal = readings.signal(signal);
            readings.push_value(signal, *value);
        }
        let at = Timestamp::from_micros(row.at);
        readings.finish_row(device, at, at);
    }
    JournalRecord {
        readings,
        ..JournalRecord::default()
    }
}

/// Stores rows and gives readings and bytes of the file.
async fn stored(rows: &[Row]) -> Outcome<(u64, u64, BTreeMap<&'static str, u64>)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("historian.db");
    let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db")))?;
    let store = Store::open(StoreConfig::at(&path), &journal).await?;
    let stop = CancellationToken::new();
    let run = tokio::spawn(
        store
            .clone()
            .run(journal.clone(), Arc::new(SystemClock), stop.clone()),
    );
    for rows in rows.chunks(ROWS) {
        journal.append(record(rows)).await?;
    }
    while store.applied() < *journal.committed().borrow() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.cancel();
    run.await??;
    let count = store.reading_count();
    journal.close().await?;
    drop(store);
    let connection = rusqlite::Connection::open(&path)?;
    connection.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))?;
    let mut parts = BTreeMap::new();
    for (name, sql) in [
        (
            "times",
            "SELECT sum(length(times)) + (SELECT coalesce(sum(length(data)), 0) FROM shared_times)
             FROM chunks",
        ),
        ("values", "SELECT sum(length(data)) FROM chunks"),
        (
            "roll-ups",
            "SELECT coalesce(sum(length(data)), 0) FROM rollups",
        ),
        ("chunks", "SELECT count(*) FROM chunks"),
    ] {
        let found: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        parts.insert(name, found as u64);
    }
    drop(connection);
    Ok((count, fs::metadata(&path)?.len(), parts))
}

fn main() -> Outcome<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("BELLWETHER_RECORDINGS").map_or(data, PathBuf::from);
    if !data.is_dir() {
        println!("passed over: no recordings in {}", data.display());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (mut all_values, mut all_bytes) = (0, 0);
    for name in ["skab", "nab", "femto", "azure-pdm"] {
        let root = data.join(name);
        let mut found = Vec::new();
        files(&root, &mut found)?;
        let mut all = Vec::new();
        for path in found {
            if path.file_name().is_some_and(|name| name == "summary.csv") {
                continue;
            }
            all.extend(rows(&path, &root)?);
        }
        let (values, bytes, parts) = runtime.block_on(stored(&all))?;
        all_values += values;
        all_bytes += bytes;
        println!(
            "{name:<10} {values:>9} values {bytes:>9} bytes on disk  {:.3} bytes a value  {parts:?}",
            bytes as f64 / values as f64,
        );
    }
    println!(
        "{:<10} {all_values:>9} values {all_bytes:>9} bytes on disk  {:.3} bytes a value",
        "all",
        all_bytes as f64 / all_values as f64
    );
    Ok(())
}
