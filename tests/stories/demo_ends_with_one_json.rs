//! The demo ends by itself and leaves one JSON object behind.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    Home,
    tools::{long, succeed},
};
use tokio::process::Command;

/// Starting and draining on a busy machine, beyond what the demo was asked to take.
const SPARE: Duration = Duration::from_mins(2);

/// Long enough to publish a good deal; degradation to the first order takes the long version.
const SHORT_S: u64 = 20;
const LONG_S: u64 = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_stores_what_it_acknowledged_and_says_so() -> Result<()> {
    let seconds = if long() { LONG_S } else { SHORT_S };
    let home = Home::new()?;
    let command = home.command(&["demo", "--for", &format!("{seconds}s"), "--json"])?;
    let deadline = Duration::from_secs(seconds) + SPARE;
    let said = succeed(&mut Command::from(command), deadline).await?;
    let report: Value = serde_json::from_str(&said)
        .with_context(|| format!("standard output is not one JSON object:\n{said}"))?;
    let count = |name: &str| {
        report[name]
            .as_u64()
            .with_context(|| format!("no {name}: {report}"))
    };
    let (acknowledged, stored) = (count("readings_acknowledged")?, count("readings_stored")?);
    ensure!(
        acknowledged > 0 && acknowledged == stored,
        "{acknowledged} acknowledged, {stored} stored"
    );
    let orders = count("work_orders_raised")?;
    ensure!(count("cases_opened")? >= orders, "{report}");
    let assets = report["assets"].as_object().context("no assets by state")?;
    let total: u64 = assets.values().filter_map(Value::as_u64).sum();
    ensure!(total >= 12, "a plant of {total} assets: {report}");
    ensure!(!long() || orders >= 1, "no order in {seconds} s: {report}");
    Ok(())
}
