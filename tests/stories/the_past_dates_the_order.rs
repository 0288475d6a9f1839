//! The past of a fleet dates an order: a maintenance history is imported, a model is trained and
//! promoted, and the order of a machine that is wearing out gets the date of its forecast.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, api::millis, mqtt::Publisher, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);
/// A training on a busy machine.
const TRAINING: Duration = Duration::from_mins(8);

/// 2024-03-04T00:00:00Z.
const START_S: i64 = 1_709_510_400;
const HOUR: i64 = 3_600;
/// Six rows in each cycle of an hour.
const EVERY_S: i64 = 600;

/// Machines that have failed; a model is calibrated on ten and more.
const FLEET: i64 = 12;
const RUNNING: &str = "grinder-13";
/// How long the running machine would last, in hours.
const ITS_LIFE: i64 = 130;
/// How old it is when its order is written and the past is brought in, and a while later.
const ORDERED: i64 = 95;
const LATER: i64 = 108;

const MODEL: &str = include_str!("../models/grinder.toml");

/// A number in -1..1 that depends on its place alone.
fn noise(machine: i64, row: i64, signal: i64) -> f64 {
    let seed = (machine * 1_000_003 + row * 31 + signal * 7_919).unsigned_abs();
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed >> 11) as f64 / (1_u64 << 53) as f64).mul_add(2.0, -1.0)
}

/// Vibration, temperature and current of a machine that lasts `life` hours.
fn measured(machine: i64, row: i64, life: i64) -> [f64; 3] {
    let age = (row * EVERY_S) as f64 / (life * HOUR) as f64;
    let wear = age.powi(4);
    let load = (row as f64 / 9.0).sin();
    [
        2.0 + 6.0 * wear + 0.1 * load + 0.15 * noise(machine, row, 0),
        55.0 + 12.0 * wear + 0.5 * load + 0.5 * noise(machine, row, 1),
        20.0 + 2.0 * wear + 0.5 * load + 0.3 * noise(machine, row, 2),
    ]
}

/// The lives of the machines that have failed, in hours.
fn life(machine: i64) -> i64 {
    90 + machine * 37 % 80
}

/// Three tables: what the machines measured, what there was, and what failed when.
fn past() -> [String; 3] {
    let mut readings = "device,time,vibration_mm_s,temperature_c,current_a\n".to_owned();
    let mut assets = "Machine,Kind,Built\n".to_owned();
    let mut failures = "Machine,Date,Cause\n".to_owned();
    for machine in 1..=FLEET {
        let rows = life(machine) * HOUR / EVERY_S;
        for row in 0..rows {
            let at = START_S + row * EVERY_S;
            let [vibration, temperature, current] = measured(machine, row, life(machine));
            let _ = writeln!(
                readings,
                "grinder-{machine},{at},{vibration:.3},{temperature:.3},{current:.3}"
            );
        }
        let _ = writeln!(assets, "grinder-{machine},grinder,{}", rfc3339(START_S));
        let end = rfc3339(START_S + rows * EVERY_S);
        let _ = writeln!(failures, "grinder-{machine},{end},spindle");
    }
    let _ = writeln!(assets, "{RUNNING},grinder,{}", rfc3339(START_S));
    [readings, assets, failures]
}

fn rfc3339(secs: i64) -> String {
    let at = chrono::DateTime::from_timestamp(secs, 0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What the running machine sends from one age to another, in hours.
fn rows(from: i64, to: i64) -> Vec<(String, i64)> {
    let per_hour = HOUR / EVERY_S;
    let row = |row: i64| {
        let at = (START_S + row * EVERY_S) * 1_000;
        let [vibration, temperature, current] = measured(13, row, ITS_LIFE);
        let payload = json!({ "ts": at, "vibration_mm_s": vibration,
            "temperature_c": temperature, "current_a": current });
        (payload.to_string(), at)
    };
    (from * per_hour..to * per_hour).map(row).collect()
}

async fn verb(home: &Home, arguments: &[&str], patience: Duration) -> Result<String> {
    tools::succeed(&mut Command::from(home.command(arguments)?), patience).await
}

/// The only order, once there is one.
async fn order(api: &Api) -> Result<Value> {
    until("an order".to_owned(), SOON, async || {
        let orders = api.all(&format!("/work-orders?asset={RUNNING}")).await?;
        ensure!(orders.len() <= 1, "{orders:#?}");
        Ok(orders.into_iter().next())
    })
    .await
}

/// Five years of another system on the first day: its columns have other names.
async fn bring_the_past_in(home: &Home, url: &str) -> Result<()> {
    let mut import = vec![
        "import",
        "history",
        "--json",
        "--api",
        url,
        "--assets",
        "assets.csv",
        "--failures",
        "failures.csv",
    ];
    for map in [
        "assets.asset=Machine",
        "assets.model=Kind",
        "assets.installed_at=Built",
        "failures.asset=Machine",
        "failures.at=Date",
        "failures.code=Cause",
    ] {
        import.extend(["--map", map]);
    }
    for (dry, new, known) in [(true, 12, 0), (false, 12, 0), (false, 0, 12)] {
        let mut arguments = import.clone();
        if dry {
            arguments.push("--dry-run");
        }
        let told: Value = serde_json::from_str(&verb(home, &arguments, SOON).await?)?;
        let failures = &told[1];
        ensure!(
            failures["new"] == new && failures["unchanged"] == known,
            "{told}"
        );
    }
    Ok(())
}

/// A model is trained beside everything else, and a person lets it serve.
async fn train_and_promote(home: &Home, api: &Api, url: &str) -> Result<()> {
    let train = [
        "train",
        "--asset-model",
        "grinder",
        "--by",
        "planner-1",
        "--json",
        "--api",
        url,
    ];
    let card: Value = serde_json::from_str(&verb(home, &train, TRAINING).await?)?;
    ensure!(
        card["version"] == 1
            && card["state"] == "challenger"
            && card["provenance"]["failures"] == FLEET,
        "{card:#}"
    );
    let promote = "/prognosis-models/grinder/1/promote";
    api.do_post(promote, &json!({ "by": "planner-1" })).await?;
    let (again, _) = api.post(promote, &json!({ "by": "planner-1" })).await?;
    ensure!(again == 409, "it serves already: {again}");
    Ok(())
}

/// A home with a folder of models, and the past of its fleet as readings.
async fn home_with_a_past() -> Result<Home> {
    let home = Home::new()?;
    let models = home.folder().join("models");
    fs::create_dir(&models)?;
    fs::write(models.join("grinder.toml"), MODEL)?;
    let home = home
        .with("analytics.learning_rows", "150")
        .with("models.dir", models.to_str().context("a path")?);
    let [readings, assets, failures] = past();
    for (name, text) in [
        ("readings", readings),
        ("assets", assets),
        ("failures", failures),
    ] {
        fs::write(home.folder().join(format!("{name}.csv")), text)?;
    }
    verb(&home, &["import", "readings.csv"], SOON).await?;
    Ok(home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_wearing_machine_follows_the_forecast_of_its_fleet() -> Result<()> {
    let home = home_with_a_past().await?;
    let _program = home.start().await?;
    let api = home.api();
    api.caught_up(SOON).await?;

    // The running machine wears; its order is dated without knowing its like.
    let mut device = Publisher::connected(RUNNING, home.mqtt()).await?;
    let topic = format!("telemetry/{RUNNING}");
    device.publish_all(&topic, rows(0, 1)).await?;
    until("the machine to be known".to_owned(), SOON, async || {
        Ok(api.get(&format!("/assets/{RUNNING}")).await.ok())
    })
    .await?;
    api.do_patch(
        &format!("/assets/{RUNNING}"),
        &json!({ "model": "grinder" }),
    )
    .await?;
    device.publish_all(&topic, rows(1, ORDERED)).await?;
    api.caught_up(SOON).await?;
    let before = order(&api).await?;

    let url = api.root().to_owned();
    bring_the_past_in(&home, &url).await?;
    train_and_promote(&home, &api, &url).await?;

    // From its next hours on the machine is forecast by its like, and the order follows.
    device.publish_all(&topic, rows(ORDERED, LATER)).await?;
    api.caught_up(SOON).await?;
    let id = before["id"].as_str().context("an id")?;
    let after = until("the order to move".to_owned(), SOON, async || {
        let order = api.get(&format!("/work-orders/{id}")).await?;
        let log = order["log"].as_array().context("a log")?;
        let mut notes = log.iter().filter_map(|entry| entry["note"].as_str());
        let moved = notes.any(|note| note.contains("forecast by grinder/1"));
        ensure!(moved, "{log:#?}");
        Ok(Some(order))
    })
    .await?;
    ensure!(after["due_by"] != before["due_by"], "{after:#}");
    let due = millis(&after["due_by"])? / 1_000;
    let (now, end) = (START_S + ORDERED * HOUR, START_S + ITS_LIFE * HOUR);
    ensure!(
        (now..end + 12 * HOUR).contains(&due),
        "due {} hours before the end",
        (end - due) / HOUR
    );

    its_forecast_says_why(&api).await
}

/// The family that spoke, and past lives that were alike.
async fn its_forecast_says_why(api: &Api) -> Result<()> {
    let asset = api.get(&format!("/assets/{RUNNING}")).await?;
    let forecast = &asset["prognosis"];
    let family = forecast["family"].as_str().unwrap_or_default();
    ensure!(
        ["fleet", "combined"].contains(&family) && forecast["model"] == "grinder/1",
        "{forecast:#}"
    );
    ensure!(
        forecast["detail"]["similar"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{forecast:#}"
    );
    Ok(())
}
