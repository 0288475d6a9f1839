//! `bench historian`: values a second until they are acknowledged and a query finds them, and
//! bytes a value on disk.
//!
//! The bodies are made before the clock starts, and every store gets the same bytes over the same
//! number of connections, one store after the other, round by round. The clock stops when a query
//! finds every value: a store that acknowledges early and shows late gains nothing.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    args::BenchHistorianArgs,
    engine::Engine,
    lines, quantile, recordings, rounded,
    stores::{Bytes, Store},
};
use crate::verbs::{print_json, start_plain_log};

/// Readings of years ago are kept, as everybody else here keeps them.
const KEEP: &str = "historian.retention=forever";

#[derive(Debug, Serialize)]
struct Written {
    store: &'static str,
    round: u8,
    values: u64,
    acknowledged_values_per_s: f64,
    queryable_values_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Size {
    store: &'static str,
    recording: &'static str,
    values: u64,
    /// All of what the readings take: values, roll-ups, names, indexes, free pages.
    bytes: u64,
    bytes_per_value: f64,
    /// What the analytics said of the readings, beside them.
    findings_bytes: u64,
}

#[derive(Debug, Default, Serialize)]
struct Results {
    written: Vec<Written>,
    sizes: Vec<Size>,
}

/// Measures and tells.
///
/// # Errors
/// When a store fails, or finds another number of values than were written.
pub(crate) async fn historian(args: BenchHistorianArgs) -> Result<()> {
    start_plain_log("warn");
    let client = reqwest::Client::new();
    let mut results = Results::default();
    let bodies = lines::bodies(args.values, args.devices, args.lines, args.writers);
    let bodies: Vec<_> = bodies.into_iter().map(Arc::new).collect();
    let values = args.values / lines::SIGNALS.len() as u64 * lines::SIGNALS.len() as u64;
    for round in 1..=args.rounds {
        for store in stores(&args).await? {
            let store = Arc::new(store);
            store.empty(&client).await?;
            let one = write(&store, &client, &bodies, values, round).await?;
            if !args.json {
                println!("{}", shown(&one));
            }
            results.written.push(one);
            let store = Arc::into_inner(store).context("a writer is left over")?;
            store.stop().await?;
        }
    }
    if let Some(folder) = &args.recordings {
        let recordings = recordings::all(folder)?;
        results.sizes = sizes(&args, &client, &recordings).await?;
    }
    if args.json {
        return print_json(&results);
    }
    medians(&results.written);
    Ok(())
}

/// The stores of one round; the engine is a fresh one.
async fn stores(args: &BenchHistorianArgs) -> Result<Vec<Store>> {
    let engine = Engine::start(&[KEEP]).await?;
    let mut stores = vec![Store::Bellwether(Box::new(engine))];
    stores.extend(others(args));
    Ok(stores)
}

/// The stores it is compared with.
fn others(args: &BenchHistorianArgs) -> Vec<Store> {
    let mut stores = Vec::new();
    if let Some(url) = &args.victoria {
        stores.push(Store::Victoria {
            url: url.clone(),
            data: args.victoria_data.clone(),
        });
    }
    if let Some(url) = &args.influx {
        stores.push(Store::Influx {
            url: url.clone(),
            data: args.influx_data.clone(),
            database: AtomicU32::new(0),
        });
    }
    stores
}

async fn write(
    store: &Arc<Store>,
    client: &reqwest::Client,
    bodies: &[Arc<Vec<Vec<u8>>>],
    values: u64,
    round: u8,
) -> Result<Written> {
    let mut writers = JoinSet::new();
    let from = Instant::now();
    for bodies in bodies {
        let (store, client) = (Arc::clone(store), client.clone());
        let bodies = Arc::clone(bodies);
        writers.spawn(async move {
            for body in bodies.iter() {
                store.write(&client, body.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.context("a writer panicked")??;
    }
    let acknowledged = from.elapsed().as_secs_f64();
    store.finds(client, values).await?;
    let queryable = from.elapsed().as_secs_f64();
    Ok(Written {
        store: store.name(),
        round,
        values,
        acknowledged_values_per_s: (values as f64 / acknowledged).round(),
        queryable_values_per_s: (values as f64 / queryable).round(),
    })
}

fn shown(one: &Written) -> String {
    format!(
        "round {}  {:<18} {:>12.0} values/s acknowledged {:>12.0} values/s queryable",
        one.round, one.store, one.acknowledged_values_per_s, one.queryable_values_per_s
    )
}

/// Bytes a value: what the folder of each store grows by for each recording.
async fn sizes(
    args: &BenchHistorianArgs,
    client: &reqwest::Client,
    recordings: &[recordings::Recording],
) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    for recording in recordings {
        // A fresh engine for each: its empty file counts as part of it. What the analytics says of the
        // recording is told apart, because the others say nothing.
        let mut engine = Store::Bellwether(Box::new(Engine::start(&[KEEP]).await?));
        let grown = grow(&mut engine, client, recording, Bytes::default(), 0).await?;
        sizes.extend(grown.map(|bytes| size(&engine, recording, bytes, args.json)));
    }
    for mut store in others(args) {
        store.empty(client).await?;
        let Some(mut before) = store.size(client).await? else {
            continue;
        };
        let mut values = 0;
        for recording in recordings {
            let grown = grow(&mut store, client, recording, before, values).await?;
            let bytes = grown.context("a folder has gone")?;
            before.file += bytes.file;
            values += recording.values;
            sizes.push(size(&store, recording, bytes, args.json));
        }
    }
    Ok(sizes)
}

/// Writes a recording; gives how many bytes the store is larger then.
async fn grow(
    store: &mut Store,
    client: &reqwest::Client,
    recording: &recordings::Recording,
    before: Bytes,
    values: u64,
) -> Result<Option<Bytes>> {
    for body in &recording.bodies {
        store.write(client, body.clone()).await?;
    }
    store.finds(client, values + recording.values).await?;
    let after = store.size(client).await?;
    if let Some(after) = after {
        let (name, what) = (store.name(), recording.name);
        ensure!(after.file > before.file, "{name} has not grown for {what}");
    }
    Ok(after.map(|after| Bytes {
        file: after.file - before.file,
        ..after
    }))
}

fn size(store: &Store, recording: &recordings::Recording, grown: Bytes, json: bool) -> Size {
    let bytes = grown.file - grown.findings;
    let size = Size {
        store: store.name(),
        recording: recording.name,
        values: recording.values,
        bytes,
        bytes_per_value: rounded(bytes as f64 / recording.values as f64),
        findings_bytes: grown.findings,
    };
    if !json {
        println!(
            "{:<18} {:<10} {:>9} values {:>10} bytes {:>7.3} bytes/value, and {} bytes of findings",
            size.store,
            size.recording,
            size.values,
            size.bytes,
            size.bytes_per_value,
            size.findings_bytes
        );
    }
    size
}

fn medians(written: &[Written]) {
    let median = |name: &str| {
        let of = written.iter().filter(|one| one.store == name);
        let mut rates: Vec<f64> = of.map(|one| one.queryable_values_per_s).collect();
        rates.sort_by(f64::total_cmp);
        quantile(&rates, 0.5)
    };
    let ours = median("bellwether");
    for name in ["victoria-metrics", "influxdb"] {
        let theirs = median(name);
        if theirs.is_finite() {
            println!(
                "bellwether / {name}: {:.2} (medians, values/s queryable)",
                ours / theirs
            );
        }
    }
}
