//! The bench says what it measured: a list a script can read. How fast is not asked here.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Home, broker::Mosquitto, tools::succeed};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);

const CONNECTIONS: [u64; 2] = [1, 10];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_for_each_number_of_connections() -> Result<()> {
    let broker = Mosquitto::start().await?;
    let home = Home::new()?;
    let mut command = Command::from(home.command(&[
        "bench",
        "ingest",
        "--connections",
        "1,10",
        "--seconds",
        "1",
        "--inflight",
        "20",
        "--json",
    ])?);
    if let Some(broker) = &broker {
        command.args(["--against", &broker.url()]);
    }
    let said = succeed(&mut command, SOON).await?;
    let rows: Vec<Value> = serde_json::from_str(&said)
        .with_context(|| format!("standard output is not one JSON list:\n{said}"))?;
    ensure!(rows.len() == CONNECTIONS.len(), "{said}");
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
        if broker.is_some() {
            ensure!(row["against_messages_per_s"].as_f64() > Some(0.0), "{row}");
            ensure!(row["ratio"].as_f64() > Some(0.0), "{row}");
        }
    }
    // It ran in a scratch folder: the data of this place are untouched.
    ensure!(
        !home.data_dir().exists(),
        "the bench wrote into {}",
        home.data_dir().display()
    );
    Ok(())
}
