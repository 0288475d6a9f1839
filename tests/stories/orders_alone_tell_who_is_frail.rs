//! A plant that never measured anything brings its maintenance history in: machines of one variant
//! last half as long as the others. A model is trained from these records alone, and of two running
//! machines of one age the one of the frail variant is said to fail sooner.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);
const TRAINING: Duration = Duration::from_mins(8);
const HOUR: i64 = 3_600;
const EVERY_S: i64 = 300;
/// Machines on record of each variant, and hours for which they could be watched.
const OF_EACH: i64 = 40;
const WATCHED: i64 = 1_000;
/// Hours that the running machines are old.
const AGE: i64 = 20;
const MODEL: &str = include_str!("../models/feeder.toml");

fn rfc3339(secs: i64) -> String {
    let at = chrono::DateTime::from_timestamp(secs, 0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Machines and their failures. Lives are Weibull by inversion at even levels, shape 3, with
/// characteristic lives of 40 and 80 hours; the colour says nothing.
fn past(now: i64) -> [String; 2] {
    let mut assets = "Machine,Kind,Built,Variant,Colour\n".to_owned();
    let mut failures = "asset,at\n".to_owned();
    for machine in 0..2 * OF_EACH {
        let (variant, usual) = if machine % 2 == 0 {
            ("frail", 40.0_f64)
        } else {
            ("sturdy", 80.0)
        };
        let level = ((machine / 2 * 17 % OF_EACH) as f64 + 0.5) / OF_EACH as f64;
        let hours = usual * (-(1.0 - level).ln()).cbrt();
        let colour = ["red", "blue", "grey"][(machine * 7 % 3) as usize];
        let built = now - WATCHED * HOUR;
        let _ = writeln!(
            assets,
            "old-{machine},feeder,{},{variant},{colour}",
            rfc3339(built)
        );
        let end = built + (hours * HOUR as f64) as i64;
        let _ = writeln!(failures, "old-{machine},{}", rfc3339(end));
    }
    for variant in ["frail", "sturdy"] {
        let built = rfc3339(now - AGE * HOUR);
        let _ = writeln!(assets, "{variant}-99,feeder,{built},{variant},red");
    }
    [assets, failures]
}

/// What a running machine sends from one age to another, in hours.
fn rows(now: i64, from: i64, to: i64) -> Vec<(String, i64)> {
    let per_hour = HOUR / EVERY_S;
    let row = |row: i64| {
        let at = (now - AGE * HOUR + row * EVERY_S) * 1_000;
        let current = 20.0 + 0.3 * ((row * 7_919 % 101) as f64 / 101.0 - 0.5);
        (
            json!({ "ts": at, "current_a": current, "error": 0 }).to_string(),
            at,
        )
    };
    (from * per_hour..to * per_hour).map(row).collect()
}

async fn verb(home: &Home, arguments: &[&str], patience: Duration) -> Result<Value> {
    let told = tools::succeed(&mut Command::from(home.command(arguments)?), patience).await?;
    Ok(serde_json::from_str(&told).unwrap_or_default())
}

async fn forecast(api: &Api, asset: &str) -> Result<Value> {
    until("a forecast".to_owned(), SOON, async || {
        let asset = api.get(&format!("/assets/{asset}")).await?;
        let forecast = asset["prognosis"].clone();
        Ok((forecast["detail"]["version"] == 1).then_some(forecast))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_of_the_frail_variant_is_foreseen_to_fail_sooner() -> Result<()> {
    let now = chrono::Utc::now().timestamp();
    let home = Home::new()?;
    let models = home.folder().join("models");
    fs::create_dir(&models)?;
    fs::write(models.join("feeder.toml"), MODEL)?;
    let home = home
        .with("analytics.learning_rows", "100")
        .with("models.dir", models.to_str().context("a path")?);
    for (name, text) in ["assets.csv", "failures.csv"].into_iter().zip(past(now)) {
        fs::write(home.folder().join(name), text)?;
    }
    let _program = home.start().await?;
    let api = home.api();
    let mut devices = Vec::new();
    for id in ["frail-99", "sturdy-99"] {
        let mut device = Publisher::connected(id, home.mqtt()).await?;
        device
            .publish_all(&format!("telemetry/{id}"), rows(now, 0, 1))
            .await?;
        until("the machine to be known".to_owned(), SOON, async || {
            Ok(api.get(&format!("/assets/{id}")).await.ok())
        })
        .await?;
        api.do_patch(&format!("/assets/{id}"), &json!({ "model": "feeder" }))
            .await?;
        devices.push((id, device));
    }
    let url = api.root().to_owned();
    let import = "import history --json --assets assets.csv --failures failures.csv \
        --map assets.asset=Machine --map assets.model=Kind --map assets.installed_at=Built --api";
    let mut import: Vec<&str> = import.split_whitespace().collect();
    import.push(&url);
    let told = verb(&home, &import, SOON).await?;
    ensure!(told[0]["new"] == 2 * OF_EACH + 2, "{told:#}");
    let train = "train --asset-model feeder --by planner-1 --promote --json --api";
    let mut train: Vec<&str> = train.split(' ').collect();
    train.push(&url);
    let card = verb(&home, &train, TRAINING).await?;
    let life = &card["metrics"]["life"];
    ensure!(life["with_covariates"] == true, "{card:#}");
    ensure!(card["provenance"]["failures"] == 2 * OF_EACH, "{card:#}");
    let variant = life["effects"].as_array().context("effects")?;
    let variant = variant
        .iter()
        .find(|one| one["name"] == "variant is sturdy");
    // A life twice as long.
    let ratio = variant
        .and_then(|one| one["time_ratio"].as_f64())
        .context("a ratio")?;
    ensure!((1.6..2.4).contains(&ratio), "{life:#}");

    let mut said = Vec::new();
    for (id, device) in &mut devices {
        device
            .publish_all(&format!("telemetry/{id}"), rows(now, 1, AGE))
            .await?;
        api.caught_up(SOON).await?;
        said.push(forecast(&api, id).await?);
    }
    let probability = |said: &Value| {
        let within = &said["detail"]["within"][0];
        within["probability"]
            .as_f64()
            .context(format!("no probability: {said:#}"))
    };
    ensure!(said[0]["family"] == "life_data", "{said:#?}");
    let (frail, sturdy) = (probability(&said[0])?, probability(&said[1])?);
    ensure!(frail > 2.0 * sturdy, "{frail} {sturdy} {said:#?}");
    let why = &said[0]["detail"]["contributions"];
    ensure!(why.to_string().contains("variant is"), "{said:#?}");
    Ok(())
}
