//! A recorded pump fault, published over real MQTT, becomes a work order.
//!
//! The recordings are SKAB valve 1: a pump test rig whose outlet valve is closed for a while in
//! each file, with the rows of that while labelled. They lie beside the repository or not at
//! all; without them this story is passed over.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    Api, Home,
    api::millis,
    broker::Mosquitto,
    pass_over,
    recordings::{self, Recording},
    tools::succeed,
    until,
};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);

/// Rows the baseline is learned from; the fault comes later in every file.
const LEARNING_ROWS: usize = 400;

/// How many rows before the label a first case may come and still be about the fault.
const EARLY_ROWS: usize = 60;

/// Files, and how many of them have to be told rightly.
const FILES: usize = 16;
const RIGHT: usize = 12;

fn home() -> Result<Home> {
    Ok(Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS))
}

async fn replay(home: &Home, file: &Path, device: &str, to: &str) -> Result<()> {
    let file = file.to_str().context("a path that is no text")?;
    let command = home.command(&[
        "replay",
        file,
        "--device",
        device,
        "--speed",
        "max",
        "--ignore",
        "anomaly,changepoint",
        "--broker",
        to,
    ])?;
    succeed(&mut Command::from(command), SOON).await?;
    Ok(())
}

/// The cases of an asset, first by event time.
async fn cases(api: &Api, asset: &str) -> Result<Vec<(i64, Value)>> {
    let mut cases = Vec::new();
    for case in api.all(&format!("/cases?status=all&asset={asset}")).await? {
        cases.push((millis(&case["opened_at"])?, case));
    }
    cases.sort_by_key(|(at, _)| *at);
    Ok(cases)
}

/// Waits for the order of a case and checks that a planner can work with it.
async fn order_for(api: &Api, asset: &str, case: &Value) -> Result<()> {
    let order = until(format!("an order for {asset}"), SOON, async || {
        let orders = api.all(&format!("/work-orders?asset={asset}")).await?;
        Ok(orders.into_iter().find(|order| order["case"] == case["id"]))
    })
    .await?;
    ensure!(order["opened_at"] == case["opened_at"], "{order}");
    let signals = order["signals"].as_array().context("no signals")?;
    ensure!(!signals.is_empty(), "the order names no signal: {order}");
    for signal in signals {
        let known = case["evidence"]["contributions"]
            .as_array()
            .context("no contributions")?;
        ensure!(
            known.iter().any(|c| c["signal"] == signal["signal"]),
            "{signal} is not in {case}"
        );
    }
    Ok(())
}

fn valve_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("valve1/{number}.csv"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_recorded_faults_are_told_in_time() -> Result<()> {
    let Some(folder) = recordings::skab() else {
        return pass_over(
            "most_recorded_faults_are_told_in_time",
            "no ../shared/data/skab",
        );
    };
    let home = home()?;
    let _program = home.start().await?;
    let api = home.api();
    let listener = format!("mqtt://{}", home.mqtt());
    for number in 0..FILES {
        let device = format!("pump-{number}");
        replay(&home, &valve_file(&folder, number), &device, &listener).await?;
    }
    api.caught_up(SOON).await?;

    let (mut right, mut ordered, mut told) = (0, 0, Vec::new());
    for number in 0..FILES {
        let asset = format!("pump-{number}");
        let recording = Recording::read(&valve_file(&folder, number))?;
        let cases = cases(&api, &asset).await?;
        let first = cases.iter().find_map(|(at, case)| {
            let row = recording.row_at(*at)?;
            (row >= LEARNING_ROWS).then_some((row, case))
        });
        let Some((row, case)) = first else {
            told.push(format!("{asset}: no case"));
            continue;
        };
        let hit = recording.is_hit(row, EARLY_ROWS);
        right += usize::from(hit);
        if case["severity"] != "watch" {
            order_for(&api, &asset, case).await?;
            ordered += 1;
        }
        told.push(format!(
            "{asset}: row {row}, {}, {}",
            if hit { "right" } else { "wrong" },
            case["severity"]
        ));
    }
    eprintln!(
        "{right} of {FILES} right, {ordered} with an order\n{}",
        told.join("\n")
    );
    ensure!(
        right >= RIGHT,
        "only {right} of {FILES} first cases are right: {told:#?}"
    );
    ensure!(
        ordered >= RIGHT,
        "only {ordered} of {FILES} pumps got an order: {told:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_pump_raises_at_most_one_case() -> Result<()> {
    let Some(folder) = recordings::skab() else {
        return pass_over(
            "a_sound_pump_raises_at_most_one_case",
            "no ../shared/data/skab",
        );
    };
    let home = home()?;
    let _program = home.start().await?;
    let file = folder.join("anomaly-free/anomaly-free.csv");
    replay(
        &home,
        &file,
        "pump-sound",
        &format!("mqtt://{}", home.mqtt()),
    )
    .await?;
    home.api().caught_up(SOON).await?;
    let rows = Recording::read(&file)?.times.len();
    let cases = cases(&home.api(), "pump-sound").await?;
    ensure!(
        cases.len() <= 1,
        "{} cases in {rows} sound rows: {cases:#?}",
        cases.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_through_a_broker() -> Result<()> {
    let Some(folder) = recordings::skab() else {
        return pass_over("the_same_through_a_broker", "no ../shared/data/skab");
    };
    let Some(broker) = Mosquitto::start().await? else {
        return pass_over("the_same_through_a_broker", "mosquitto is not installed");
    };
    let home = home()?.with_subscriber(&broker, "v5")?;
    let _program = home.start().await?;
    let api = home.api();
    home.subscribed().await?;

    let file = valve_file(&folder, 1);
    replay(&home, &file, "pump-1", &broker.url()).await?;
    let rows = Recording::read(&file)?.times.len() as u64;
    until("every row to come through the broker", SOON, async || {
        // Eight signals a row; the two label columns are left out.
        let stored = api.count("readings_stored").await?;
        ensure!(stored == rows * 8, "{stored} readings of {rows} rows");
        Ok(Some(()))
    })
    .await?;
    api.caught_up(SOON).await?;
    let cases = cases(&api, "pump-1").await?;
    let (_, first) = cases.first().context("no case came through the broker")?;
    order_for(&api, "pump-1", first).await
}
