//! The benches say what they measured, in JSON a script can read, and fail when a count differs.
//! How fast is not asked here.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Home, broker::Mosquitto, tools::succeed};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(3);

const CONNECTIONS: [u64; 2] = [1, 10];

/// Runs a bench to its end and reads what it says.
async fn bench(home: &Home, words: &[&str], more: &[String]) -> Result<Value> {
    let mut all = vec!["bench"];
    all.extend(words);
    let mut command = Command::from(home.command(&all)?);
    command.args(more).arg("--json");
    let said = succeed(&mut command, SOON).await?;
    // It runs in a scratch folder: the data of this place are untouched.
    ensure!(
        !home.data_dir().exists(),
        "the bench wrote into {}",
        home.data_dir().display()
    );
    serde_json::from_str(&said)
        .with_context(|| format!("standard output is not one JSON value:\n{said}"))
}

fn is_positive(value: &Value) -> bool {
    value.as_f64() > Some(0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_ingest_has_one_row_for_each_number_of_connections() -> Result<()> {
    let broker = Mosquitto::start().await?;
    let home = Home::new()?;
    let against = broker
        .as_ref()
        .map(|broker| ["--against".to_owned(), broker.url()]);
    let words = [
        "ingest",
        "--connections",
        "1,10",
        "--seconds",
        "1",
        "--inflight",
        "20",
    ];
    let rows = bench(&home, &words, against.as_ref().map_or(&[], |words| words)).await?;
    let rows = rows.as_array().context("no list")?;
    ensure!(rows.len() == CONNECTIONS.len(), "{rows:?}");
    for (row, connections) in rows.iter().zip(CONNECTIONS) {
        ensure!(
            row["connections"] == connections && row["inflight"] == 20,
            "{row}"
        );
        let messages = row["messages_per_s"].as_f64();
        ensure!(
            messages > Some(0.0) && row["readings_per_s"].as_f64() >= messages,
            "{row}"
        );
        let (p50, p99) = (
            row["half_load_p50_ms"].as_f64(),
            row["half_load_p99_ms"].as_f64(),
        );
        ensure!(p50 > Some(0.0) && p99 >= p50, "{row}");
        if broker.is_some() {
            ensure!(is_positive(&row["against_messages_per_s"]), "{row}");
            ensure!(is_positive(&row["ratio"]), "{row}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_idle_tells_the_memory_of_a_connection() -> Result<()> {
    let home = Home::new()?;
    let said = bench(&home, &["ingest", "--idle", "200"], &[]).await?;
    ensure!(said["connections"] == 200, "{said}");
    ensure!(is_positive(&said["memory_bytes"]), "{said}");
    ensure!(said["bytes_per_connection"].as_f64().is_some(), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_historian_finds_every_value_it_wrote() -> Result<()> {
    let home = Home::new()?;
    let words = [
        "historian",
        "--values",
        "30000",
        "--devices",
        "50",
        "--lines",
        "500",
    ];
    let said = bench(&home, &words, &[]).await?;
    let written = &said["written"][0];
    ensure!(
        written["store"] == "bellwether" && written["values"] == 30_000,
        "{said}"
    );
    ensure!(is_positive(&written["queryable_values_per_s"]), "{said}");
    Ok(())
}

/// Parts of more than six minutes: the chart is made of roll-ups, and begins between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_query_checks_every_answer() -> Result<()> {
    let home = Home::new()?;
    let words = [
        "query",
        "--seconds",
        "400000",
        "--signals",
        "100",
        "--readings",
        "440000",
        "--times",
        "10",
    ];
    let said = bench(&home, &words, &[]).await?;
    ensure!(
        said["readings"] == 440_000 && said["last_signals"] == 101,
        "{said}"
    );
    ensure!(is_positive(&said["chart_p99_ms"]), "{said}");
    ensure!(is_positive(&said["last_p99_ms"]), "{said}");
    ensure!(
        said["restart_after_sigkill_s"]
            .as_array()
            .is_some_and(|times| !times.is_empty()),
        "{said}"
    );
    Ok(())
}
