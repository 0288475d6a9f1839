//! How fast findings are kept, how many bytes they take, and how long a list of them takes.
//!
//! `cargo bench -p historian --bench findings`: machines of three signals that say how they are once
//! an hour, with numbers as noisy as those of real ones, so about as hard to pack.

use std::{error::Error, sync::Arc, time::Instant};

use historian::{FindingKind, FindingQuery, Journal, JournalConfig, Store, StoreConfig};
use serde_json::{Value, json};
use telemetry::{Finding, SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

/// Machines, and hours each speaks.
const MACHINES: [(u32, u32); 2] = [(1, 20_000), (100, 400)];

/// Findings handed over at once.
const BATCH: usize = 500;

/// A number of three decimals that looks like chance.
fn noise(state: &mut u64, spread: f64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let unit = (*state >> 40) as f64 / (1_u64 << 24) as f64;
    (unit * spread * 1_000.0).round() / 1_000.0
}

fn condition(machine: u32, at: Timestamp, state: &mut u64) -> Value {
    let mut signals: Vec<Value> = ["current_a", "temperature_c", "vibration_mm_s"]
        .map(|signal| {
            json!({
                "signal": signal, "share": noise(state, 1.0), "deviation": noise(state, 2.0),
                "value": 20.0 + noise(state, 1.0), "normal": 20.481, "normal_low": 18.2, "normal_high": 22.7,
            })
        })
        .into();
    signals.sort_by(|a, b| {
        b["share"]
            .as_f64()
            .partial_cmp(&a["share"].as_f64())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let score = noise(state, 1.0);
    json!({
        "kind": "condition", "asset": format!("pump-{machine}"), "device": format!("pump-{machine}"),
        "at": at, "state": {"name": "normal"}, "since": "2025-12-01T00:00:00Z",
        "operating": {"name": "unknown"},
        "evidence": {
            "model": "level/1+innovation/1", "window_from": at, "window_to": at,
            "baseline_from": "2025-11-01T00:00:00Z", "baseline_to": "2025-12-01T00:00:00Z",
            "baseline_rows": 500, "operating": {"name": "unknown"},
            "statistics": {"score": score, "on": 1.0, "off": 0.8},
            "views": [
                {"view": "level", "version": 1, "score": score, "limit": 1.0},
                {"view": "innovation", "version": 1, "score": noise(state, 1.0), "limit": 1.0},
            ],
            "failure_mode": "unclassified", "failure_mode_fit": 0.0, "contributions": signals, "suspects": [],
        },
    })
}

fn findings(machines: u32, hours: u32) -> Result<Vec<Finding>, serde_json::Error> {
    let mut state = 1;
    let mut all = Vec::new();
    for hour in 0..hours {
        let at = Timestamp::from_secs(1_764_547_200 + i64::from(hour) * 3_600);
        for machine in 0..machines {
            let condition = condition(machine, at, &mut state);
            let score = &condition["evidence"]["statistics"]["score"];
            let assessment = json!({
                "kind": "assessment", "asset": condition["asset"], "device": condition["device"],
                "at": at, "health": 97.5, "zone": "healthy", "score": score, "components": [],
            });
            all.push(serde_json::from_value(assessment)?);
            all.push(serde_json::from_value(condition)?);
        }
    }
    Ok(all)
}

async fn measure(machines: u32, hours: u32) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db")))?;
    let path = folder.path().join("historian.db");
    let store = Store::open(StoreConfig::at(&path), &journal).await?;
    let all = findings(machines, hours)?;
    let json = serde_json::to_vec(&all)?.len();
    let start = Instant::now();
    for batch in all.chunks(BATCH) {
        store.put_findings(batch.to_vec()).await?;
    }
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    let stop = CancellationToken::new();
    stop.cancel();
    let clock = Arc::new(SystemClock);
    store.clone().run(journal.clone(), clock, stop).await?;
    // The log goes back into the file when it is closed.
    rusqlite::Connection::open(&path)?.pragma_update_and_check(
        None,
        "wal_checkpoint",
        "TRUNCATE",
        |_| Ok(()),
    )?;
    let bytes = std::fs::metadata(&path)?.len();
    println!(
        "{machines:>4} machines, {hours:>6} hours: {rate:>8.0} findings/s kept, {:.2} bytes each ({:.0} as JSON)",
        bytes as f64 / all.len() as f64,
        json as f64 / all.len() as f64
    );
    for (what, asset) in [("of one machine", Some("pump-0")), ("of all", None)] {
        let query = FindingQuery {
            kind: Some(FindingKind::Condition),
            asset: asset.map(telemetry::AssetId::new).transpose()?,
            newest_first: true,
            limit: 1_000,
            ..FindingQuery::default()
        };
        let start = Instant::now();
        let listed = store.findings(query).await?.len();
        println!(
            "     newest {listed} conditions {what}: {:.1} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    drop(store);
    journal.close().await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    for (machines, hours) in MACHINES {
        runtime.block_on(measure(machines, hours))?;
    }
    Ok(())
}
