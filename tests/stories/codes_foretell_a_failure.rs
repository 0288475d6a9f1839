//! Machines whose measurements tell nothing of their end, and whose controllers do: the error codes
//! of an old system are imported, a model learns from them, and a running machine that says such a
//! code itself is foreseen to fail soon.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);
/// A training on a busy machine.
const TRAINING: Duration = Duration::from_mins(8);

/// 2024-03-04T00:00:00Z.
const START_S: i64 = 1_709_510_400;
const HOUR: i64 = 3_600;
/// Four rows in each cycle of an hour.
const EVERY_S: i64 = 900;

/// Machines that have failed; a probability is shown from ten failures on.
const FLEET: i64 = 14;
const RUNNING: &str = "feeder-99";
/// How old the running machine is when the model serves, and when it says the code.
const SERVED: i64 = 40;
const SAID: i64 = 46;

const MODEL: &str = include_str!("../models/feeder.toml");

/// A number in -1..1 that depends on its place alone.
fn noise(machine: i64, row: i64) -> f64 {
    let seed = (machine * 1_000_003 + row * 31).unsigned_abs();
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed >> 11) as f64 / (1_u64 << 53) as f64).mul_add(2.0, -1.0)
}

/// The lives of the machines that have failed, in hours.
fn life(machine: i64) -> i64 {
    50 + machine * 37 % 70
}

fn rfc3339(secs: i64) -> String {
    let at = chrono::DateTime::from_timestamp(secs, 0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What the machines measured, what there was, what failed, and what their controllers had said: ten
/// or eleven hours before each failure error 7, and now and then error 2, which means nothing.
fn past() -> [(&'static str, String); 4] {
    let mut readings = "device,time,current_a,error\n".to_owned();
    let mut assets = "asset,model,installed_at\n".to_owned();
    let mut failures = "asset,at\n".to_owned();
    let mut errors = "asset,at,code\n".to_owned();
    for machine in 1..=FLEET {
        let end = life(machine) * HOUR;
        for row in 0..end / EVERY_S {
            let at = START_S + row * EVERY_S;
            let current = 0.3f64.mul_add(noise(machine, row), 20.0);
            let _ = writeln!(readings, "feeder-{machine},{at},{current:.3},0");
        }
        let began = rfc3339(START_S);
        let _ = writeln!(assets, "feeder-{machine},feeder,{began}");
        let _ = writeln!(failures, "feeder-{machine},{}", rfc3339(START_S + end));
        let dying = START_S + end - (10 + machine % 2) * HOUR;
        let _ = writeln!(errors, "feeder-{machine},{},error7", rfc3339(dying));
        for at in [3, 17 + machine % 9] {
            let at = rfc3339(START_S + at * HOUR);
            let _ = writeln!(errors, "feeder-{machine},{at},error2");
        }
    }
    let _ = writeln!(assets, "{RUNNING},feeder,{}", rfc3339(START_S));
    let _ = writeln!(errors, "{RUNNING},{},error2", rfc3339(START_S + 2 * HOUR));
    [
        ("readings", readings),
        ("assets", assets),
        ("failures", failures),
        ("errors", errors),
    ]
}

/// What the running machine sends from one age to another, in hours; the register of errors holds
/// `error`.
fn rows(from: i64, to: i64, error: i64) -> Vec<(String, i64)> {
    let per_hour = HOUR / EVERY_S;
    let row = |row: i64| {
        let at = (START_S + row * EVERY_S) * 1_000;
        let current = 0.3f64.mul_add(noise(99, row), 20.0);
        let payload = json!({ "ts": at, "current_a": current, "error": error });
        (payload.to_string(), at)
    };
    (from * per_hour..to * per_hour).map(row).collect()
}

async fn verb(home: &Home, arguments: &[&str], patience: Duration) -> Result<Value> {
    let told = tools::succeed(&mut Command::from(home.command(arguments)?), patience).await?;
    Ok(serde_json::from_str(&told).unwrap_or_default())
}

async fn home_with_a_past() -> Result<Home> {
    let home = Home::new()?;
    let models = home.folder().join("models");
    fs::create_dir(&models)?;
    fs::write(models.join("feeder.toml"), MODEL)?;
    let home = home
        .with("analytics.learning_rows", "100")
        .with("models.dir", models.to_str().context("a path")?);
    for (name, text) in past() {
        fs::write(home.folder().join(format!("{name}.csv")), text)?;
    }
    verb(&home, &["import", "readings.csv"], SOON).await?;
    Ok(home)
}

/// What is said of the next twelve hours of the running machine, as of its newest forecast; none
/// before `age` hours.
async fn within_twelve_hours(api: &Api, age: i64) -> Result<Value> {
    until("a forecast".to_owned(), SOON, async || {
        let asset = api.get(&format!("/assets/{RUNNING}")).await?;
        let forecast = &asset["prognosis"];
        let Some(at) = forecast["at"].as_str() else {
            return Ok(None);
        };
        let at = chrono::DateTime::parse_from_rfc3339(at)?.timestamp();
        let within = forecast["detail"]["within"][0].clone();
        Ok((at >= START_S + age * HOUR && within.is_object()).then_some(within))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_says_what_others_said_before_they_failed_is_foreseen() -> Result<()> {
    let home = home_with_a_past().await?;
    let _program = home.start().await?;
    let api = home.api();
    api.caught_up(SOON).await?;
    let mut device = Publisher::connected(RUNNING, home.mqtt()).await?;
    let topic = format!("telemetry/{RUNNING}");
    device.publish_all(&topic, rows(0, 1, 0)).await?;
    until("the machine to be known".to_owned(), SOON, async || {
        Ok(api.get(&format!("/assets/{RUNNING}")).await.ok())
    })
    .await?;
    let kind = json!({ "model": "feeder" });
    api.do_patch(&format!("/assets/{RUNNING}"), &kind).await?;

    let url = api.root().to_owned();
    let import = "import history --json --assets assets.csv --failures failures.csv --errors errors.csv --api";
    let mut import: Vec<&str> = import.split(' ').collect();
    import.push(&url);
    let told = verb(&home, &import, SOON).await?;
    ensure!(told[2]["new"] == 3 * FLEET + 1, "{told:#}");
    let train = "train --asset-model feeder --by planner-1 --promote --json --api";
    let mut train: Vec<&str> = train.split(' ').collect();
    train.push(&url);
    let card = verb(&home, &train, TRAINING).await?;
    let contest = &card["metrics"]["contests"][0];
    let error = |key: &str| contest[key].as_f64().context("an error");
    ensure!(contest["family"] == "classifier", "{contest:#}");
    ensure!(
        error("brier_classifier")? < 0.8 * error("brier_distribution")?,
        "{contest:#}"
    );

    device.publish_all(&topic, rows(1, SERVED, 0)).await?;
    api.caught_up(SOON).await?;
    let before = within_twelve_hours(&api, 20).await?;
    // The register holds the code for an hour, and is then cleared.
    device.publish_all(&topic, rows(SERVED, SAID, 0)).await?;
    device.publish_all(&topic, rows(SAID, SAID + 1, 7)).await?;
    device
        .publish_all(&topic, rows(SAID + 1, SAID + 4, 0))
        .await?;
    api.caught_up(SOON).await?;
    let after = within_twelve_hours(&api, SAID + 1).await?;
    let probability = |within: &Value| within["probability"].as_f64().context("a probability");
    ensure!(
        after["family"] == "classifier" && after["shown"] == "calibrated",
        "{after:#}"
    );
    ensure!(
        probability(&before)? < 0.3 && probability(&after)? > 0.7,
        "{before:#} {after:#}"
    );
    Ok(())
}
