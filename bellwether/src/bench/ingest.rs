//! `bench ingest`: how many messages a second are durably acknowledged.
//!
//! For each number of connections the engine and the broker it is compared with are measured
//! in turn, by the same generator, minutes apart at most, because figures of one machine at
//! different times do not compare. Both are processes of their own. At half the rate found, the
//! engine is then asked how long a PUBACK takes, counted from the moment its message was due, so
//! that a stall counts for every message it held up.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;
use telemetry::{Clock, SystemClock};

use super::{
    engine::{Engine, Lag},
    idle,
    load::{Latency, Pace, Plan, Rate, measure},
    packets,
};
use crate::{
    broker_url::BrokerUrl,
    cli::BenchIngestArgs,
    verbs::{print_json, start_plain_log},
};

/// Before each measurement: connections are warm, files have grown, caches are filled.
const WARM_UP: Duration = Duration::from_secs(2);

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
struct Line {
    connections: u16,
    inflight: u16,
    messages_per_s: f64,
    readings_per_s: f64,
    against_messages_per_s: Option<f64>,
    ratio: Option<f64>,
    /// Commits the slower of historian and analytics had not applied at the end.
    commits_behind: u64,
    /// How long it took them to catch up.
    caught_up_in_s: f64,
    /// From the moment a message was due to its PUBACK, at half that rate, in milliseconds.
    half_load_p50_ms: f64,
    half_load_p99_ms: f64,
}

/// Measures and tells.
///
/// # Errors
/// When the engine or the broker fails.
pub(crate) async fn ingest(args: BenchIngestArgs) -> Result<()> {
    start_plain_log("warn");
    if let Some(count) = args.idle {
        return idle::run(count, args.json).await;
    }
    let against = match &args.against {
        Some(url) => Some(resolve(url).await?),
        None => None,
    };
    let engine = Engine::start(&[]).await?;
    let mut lines = Vec::new();
    let mut readings = 0;
    if !args.json {
        println!(
            "connections  inflight  messages/s  readings/s  against/s  ratio  behind  caught up in  p50 and p99 at half load"
        );
    }
    for (nth, &connections) in args.connections.iter().enumerate() {
        let plan = |target, who: &str, pace| Plan {
            target,
            connections,
            pace,
            warm_up: WARM_UP,
            measured: Duration::from_secs(args.seconds),
            run: format!("{who}{nth}"),
            // Well in the past, so that no message is ahead of the clock.
            first_ts_ms: SystemClock.now().as_millis().unsigned_abs() - 86_400_000,
        };
        let full = Pace::Window(args.inflight);
        let rate = measure(plan(engine.mqtt(), "a", full)).await?;
        readings += rate.acknowledged * packets::READINGS;
        let lag = engine.drain(readings).await?;
        let other = match against {
            Some(address) => Some(measure(plan(address, "b", full)).await?),
            None => None,
        };
        let half = Pace::PerSecond(rate.messages_per_s / 2.0);
        let paced = measure(plan(engine.mqtt(), "h", half)).await?;
        readings += paced.acknowledged * packets::READINGS;
        engine.drain(readings).await?;
        let line = line(
            &args,
            connections,
            &rate,
            other.as_ref(),
            lag,
            &paced.latency,
        );
        if !args.json {
            println!("{}", shown(&line));
        }
        lines.push(line);
    }
    engine.stop().await?;
    if args.json {
        print_json(&lines)?;
    }
    Ok(())
}

fn line(
    args: &BenchIngestArgs,
    connections: u16,
    rate: &Rate,
    other: Option<&Rate>,
    lag: Lag,
    half: &Latency,
) -> Line {
    let rounded = |value: f64| value.round();
    Line {
        connections,
        inflight: args.inflight,
        messages_per_s: rounded(rate.messages_per_s),
        readings_per_s: rounded(rate.readings_per_s()),
        against_messages_per_s: other.map(|other| rounded(other.messages_per_s)),
        ratio: other
            .map(|other| (rate.messages_per_s / other.messages_per_s * 100.0).round() / 100.0),
        commits_behind: lag.commits,
        caught_up_in_s: (lag.drained_in.as_secs_f64() * 100.0).round() / 100.0,
        half_load_p50_ms: half.quantile_ms(0.5),
        half_load_p99_ms: half.quantile_ms(0.99),
    }
}

fn shown(line: &Line) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    format!(
        "{:>11}  {:>8}  {:>10.0}  {:>10.0}  {:>9}  {:>5}  {:>6}  {:>10.2} s  {:>8.2} ms {:>8.2} ms",
        line.connections,
        line.inflight,
        line.messages_per_s,
        line.readings_per_s,
        or_dash(line.against_messages_per_s.map(|rate| format!("{rate:.0}"))),
        or_dash(line.ratio.map(|ratio| format!("{ratio:.2}"))),
        line.commits_behind,
        line.caught_up_in_s,
        line.half_load_p50_ms,
        line.half_load_p99_ms,
    )
}

async fn resolve(url: &BrokerUrl) -> Result<SocketAddr> {
    let mut found = tokio::net::lookup_host((url.host.as_str(), url.port))
        .await
        .with_context(|| format!("cannot resolve {url}"))?;
    found
        .next()
        .with_context(|| format!("{url} has no address"))
}
