//! `bench query`: a year of one signal as a chart, the newest value of every signal, and a restart
//! over all of it.
//!
//! The data go in through HTTP ingestion like anybody's; then the same question is asked again and
//! again, one at a time, and every answer is checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    args::BenchQueryArgs,
    engine::Engine,
    lines::{self, Noise, START_S},
    quantile, rounded,
    stores::Store,
};
use crate::verbs::{print_json, start_plain_log};

/// Rows in a request.
const LINES: u64 = 5_000;
/// Writers of the further signals; the charted one has a writer of its own, because a device
/// sends in order.
const WRITERS: u64 = 3;
/// Buckets of a chart.
const BUCKETS: u64 = 1_000;
/// Answers that warm caches and are not counted.
const WARM_UP: u32 = 10;
/// How often a restart is measured, ended in turn by SIGTERM and SIGKILL.
const RESTARTS: usize = 4;
/// The device whose year is charted.
const YEAR: &str = "year";
/// The largest page of the newest values.
const PAGE: u32 = 10_000;

#[derive(Debug, Default, Serialize)]
struct Results {
    readings: u64,
    written_values_per_s: f64,
    chart_seconds: u64,
    chart_buckets: u64,
    chart_p50_ms: f64,
    chart_p99_ms: f64,
    last_signals: u64,
    last_p50_ms: f64,
    last_p99_ms: f64,
    restart_after_sigterm_s: Vec<f64>,
    restart_after_sigkill_s: Vec<f64>,
}

/// Measures and tells.
///
/// # Errors
/// When the engine fails or an answer is not what was written.
pub(crate) async fn query(args: BenchQueryArgs) -> Result<()> {
    start_plain_log("warn");
    let client = reqwest::Client::new();
    let engine = Engine::start(&["historian.retention=forever"]).await?;
    let store = Arc::new(Store::Bellwether(Box::new(engine)));
    let from = Instant::now();
    let load = Load::new(&args);
    load.write(&store, &client).await?;
    store.finds(&client, load.readings).await?;
    let mut results = Results {
        readings: load.readings,
        written_values_per_s: (load.readings as f64 / from.elapsed().as_secs_f64()).round(),
        chart_seconds: args.seconds,
        last_signals: load.signals + 1,
        ..Results::default()
    };
    let store = Arc::into_inner(store).context("a writer is left over")?;
    let Store::Bellwether(mut engine) = store else {
        bail!("another store");
    };
    chart(&engine, &client, &args, &mut results).await?;
    newest(&engine, &client, &args, &mut results).await?;
    for nth in 0..RESTARTS {
        let times = if nth % 2 == 0 {
            engine.terminate().await?;
            &mut results.restart_after_sigterm_s
        } else {
            engine.kill().await?;
            &mut results.restart_after_sigkill_s
        };
        times.push(rounded(engine.start_again().await?.as_secs_f64()));
        let (stored, _) = engine.stored().await?;
        ensure!(
            stored == load.readings,
            "{stored} readings after a restart, {} before",
            load.readings
        );
    }
    engine.stop().await?;
    tell(&results, args.json)
}

/// What is written before anything is asked.
struct Load {
    seconds: u64,
    devices: u64,
    rows: u64,
    signals: u64,
    readings: u64,
}

impl Load {
    fn new(args: &BenchQueryArgs) -> Self {
        let devices = u64::from(args.signals) / 10;
        let signals = devices * 10;
        let rows = (args.readings.saturating_sub(args.seconds) / signals).max(1);
        Self {
            seconds: args.seconds,
            devices,
            rows,
            signals,
            readings: args.seconds + rows * signals,
        }
    }

    async fn write(&self, store: &Arc<Store>, client: &reqwest::Client) -> Result<()> {
        let mut writers = JoinSet::new();
        let (to, seconds, http) = (Arc::clone(store), self.seconds, client.clone());
        writers.spawn(async move {
            let mut noise = Noise::new(1);
            let mut at = 0;
            while at < seconds {
                let end = (at + LINES).min(seconds);
                let body = lines::one_hertz(YEAR, at, end, &mut noise);
                to.write(&http, body).await?;
                at = end;
            }
            anyhow::Ok(())
        });
        let next = Arc::new(AtomicU64::new(0));
        for writer in 0..WRITERS {
            let (store, client, next) = (Arc::clone(store), client.clone(), Arc::clone(&next));
            let (devices, rows) = (self.devices, self.rows);
            writers.spawn(async move {
                let mut noise = Noise::new(2 + writer);
                // A device at a time: each is in order, whichever writer takes it.
                loop {
                    let device = next.fetch_add(1, Ordering::Relaxed);
                    if device >= devices {
                        return anyhow::Ok(());
                    }
                    let mut at = 0;
                    while at < rows {
                        let end = (at + LINES / 5).min(rows);
                        let body = lines::ten_signals(device, at, end, &mut noise);
                        store.write(&client, body).await?;
                        at = end;
                    }
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.context("a writer panicked")??;
        }
        Ok(())
    }
}

/// The year of one signal in [`BUCKETS`] buckets.
async fn chart(
    engine: &Engine,
    client: &reqwest::Client,
    args: &BenchQueryArgs,
    results: &mut Results,
) -> Result<()> {
    let path = format!(
        "/readings?device={YEAR}&signal=temperature_c&from={}&to={}&buckets={BUCKETS}",
        iso(START_S)?,
        iso(START_S + args.seconds)?
    );
    let url = engine.url(&path);
    let mut times = Vec::new();
    for nth in 0..WARM_UP + args.times {
        let (answer, took) = ask(client, &url).await?;
        let buckets = answer["items"].as_array().context("no buckets")?;
        let count: u64 = buckets
            .iter()
            .filter_map(|bucket| bucket["count"].as_u64())
            .sum();
        ensure!(
            count == args.seconds,
            "the chart counts {count} readings, {} were written",
            args.seconds
        );
        results.chart_buckets = buckets.len() as u64;
        if nth >= WARM_UP {
            times.push(took.as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    results.chart_p50_ms = rounded(quantile(&times, 0.5));
    results.chart_p99_ms = rounded(quantile(&times, 0.99));
    Ok(())
}

/// The newest value of every signal, page by page where it comes in pages.
async fn newest(
    engine: &Engine,
    client: &reqwest::Client,
    args: &BenchQueryArgs,
    results: &mut Results,
) -> Result<()> {
    let mut times = Vec::new();
    for nth in 0..WARM_UP + args.times / 4 {
        let (mut found, mut took) = (0, Duration::ZERO);
        let mut cursor = String::new();
        loop {
            let url = engine.url(&format!("/readings/last?limit={PAGE}{cursor}"));
            let (answer, page) = ask(client, &url).await?;
            took += page;
            found += answer["items"].as_array().context("no items")?.len() as u64;
            match answer["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ensure!(
            found == results.last_signals,
            "{found} newest values of {} signals",
            results.last_signals
        );
        if nth >= WARM_UP {
            times.push(took.as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    results.last_p50_ms = rounded(quantile(&times, 0.5));
    results.last_p99_ms = rounded(quantile(&times, 0.99));
    Ok(())
}

/// Asks and reads the whole answer; the time does not include making sense of it.
async fn ask(client: &reqwest::Client, url: &str) -> Result<(Value, Duration)> {
    let from = Instant::now();
    let answer = client
        .get(url)
        .timeout(Duration::from_mins(1))
        .send()
        .await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    let took = from.elapsed();
    ensure!(
        status.is_success(),
        "{url}: {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok((serde_json::from_slice(&body)?, took))
}

fn iso(seconds: u64) -> Result<String> {
    let at = DateTime::from_timestamp(seconds as i64, 0).context("outside the calendar")?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn tell(results: &Results, json: bool) -> Result<()> {
    if json {
        return print_json(results);
    }
    println!(
        "{} readings written at {:.0}/s until they could be queried",
        results.readings, results.written_values_per_s
    );
    println!(
        "{} readings of one signal in {} buckets: p50 {:.2} ms, p99 {:.2} ms",
        results.chart_seconds, results.chart_buckets, results.chart_p50_ms, results.chart_p99_ms
    );
    println!(
        "the newest value of {} signals: p50 {:.2} ms, p99 {:.2} ms",
        results.last_signals, results.last_p50_ms, results.last_p99_ms
    );
    println!(
        "restart until ready: {:?} s after SIGTERM, {:?} s after SIGKILL",
        results.restart_after_sigterm_s, results.restart_after_sigkill_s
    );
    Ok(())
}
