//! A loose sensor is told apart from a worn machine.
//!
//! Two pumps of one kind run side by side. On one the cable of the accelerometer works loose:
//! values get lost, and others read as an open line. The bearing of the other wears, and shows
//! in the same signal. The first is a case of the sensor, cheap and for whoever has a screwdriver
//! and comes by; the second is a case of the machine.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, api::millis, mqtt::Publisher, pump::Pump, until};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;

const LOOSE: &str = "pump-loose";
const WORN: &str = "pump-worn";

/// The signal in which both show.
const SIGNAL: &str = "acceleration_g";

/// A little more than two days, so that the baseline has seen the daily load twice.
const LEARNING_ROWS: usize = 600;

/// What the open line of a loose cable reads, g: far beyond a healthy pump, and nothing that
/// could not be measured.
const OPEN_LINE_G: f64 = 12.0;

/// The rows as they come through a loose cable: every other value is lost, and every fifth
/// reads as an open line.
fn through_a_loose_cable(rows: Vec<(String, i64)>) -> Result<Vec<(String, i64)>> {
    let spoil = |(place, (row, at)): (usize, (String, i64))| {
        let mut row: Value = serde_json::from_str(&row)?;
        let values = row.as_object_mut().context("a row that is no object")?;
        if place % 5 == 3 {
            values.insert(SIGNAL.into(), json!(OPEN_LINE_G));
        } else if place % 2 == 0 {
            values.remove(SIGNAL);
        }
        Ok((row.to_string(), at))
    };
    rows.into_iter().enumerate().map(spoil).collect()
}

async fn cases(api: &Api, asset: &str) -> Result<Vec<Value>> {
    api.all(&format!("/cases?status=all&asset={asset}")).await
}

async fn no_case(api: &Api, asset: &str) -> Result<()> {
    let cases = cases(api, asset).await?;
    ensure!(cases.is_empty(), "{asset} has a case: {cases:#?}");
    Ok(())
}

/// The one case of an asset.
async fn only_case(api: &Api, asset: &str) -> Result<Value> {
    let mut found = cases(api, asset).await?;
    ensure!(found.len() == 1, "{asset}: {found:#?}");
    found.pop().context("no case")
}

/// The case of the sensor, and its order: of the lowest severity, an inspection, in a month.
async fn sensor_case(api: &Api, asset: &str) -> Result<Value> {
    let case = only_case(api, asset).await?;
    ensure!(case["failure_mode"] == "sensor-fault", "{case}");
    ensure!(case["signal"] == SIGNAL, "{case}");
    ensure!(case["severity"] == "watch", "{case}");
    let words = case["explanation"]["en"].as_str().context("no words")?;
    ensure!(words.contains("cannot be believed"), "{words}");
    let orders = until("the order of the sensor", SOON, async || {
        let orders = api.all(&format!("/work-orders?asset={asset}")).await?;
        Ok((!orders.is_empty()).then_some(orders))
    })
    .await?;
    ensure!(orders.len() == 1, "{orders:#?}");
    let order = &orders[0];
    ensure!(
        order["kind"] == "inspection" && order["case"] == case["id"],
        "{order}"
    );
    ensure!(
        order["signal"] == SIGNAL && order["signals"][0]["signal"] == SIGNAL,
        "the order does not name the sensor: {order}"
    );
    ensure!(order["plan"]["id"] == "any/sensor-fault", "{order}");
    let days = (millis(&order["due_by"])? - millis(&case["opened_at"])?) / 86_400_000;
    ensure!(days == 30, "due in {days} days");
    Ok(case)
}

/// Waits for what the asset page says of the sensors.
async fn sensors_told(api: &Api, asset: &str, bad: &[&str]) -> Result<Value> {
    until(format!("{bad:?} to be bad on {asset}"), SOON, async || {
        let asset = api.get(&format!("/assets/{asset}")).await?;
        let sensors = asset["sensors"].as_array().context("no sensors")?;
        let told: Vec<_> = sensors
            .iter()
            .filter_map(|s| s["signal"].as_str())
            .collect();
        ensure!(told == bad, "{sensors:?}");
        Ok(Some(asset))
    })
    .await
}

/// A pump with the one device on it.
struct Line {
    asset: &'static str,
    device: Publisher<i64>,
    pump: Pump,
}

impl Line {
    /// A pump that has said what it is and has learned its normal.
    async fn commissioned(home: &Home, asset: &'static str, seed: u64) -> Result<Self> {
        let device = Publisher::connected(asset, home.mqtt()).await?;
        let pump = Pump::new(seed, START_MS);
        let mut line = Self {
            asset,
            device,
            pump,
        };
        // Somebody says what it is as soon as it has spoken.
        let first = line.pump.healthy(20);
        line.publish(first).await?;
        let (api, path) = (home.api(), format!("/assets/{asset}"));
        until(format!("{asset} to be known"), SOON, async || {
            Ok(api.get(&path).await.ok())
        })
        .await?;
        let patch = json!({"model": "centrifugal-pump"});
        api.do_patch(&path, &patch).await?;
        let healthy = line.pump.healthy(LEARNING_ROWS + 200);
        line.publish(healthy).await?;
        api.caught_up(SOON).await?;
        sensors_told(&api, asset, &[]).await?;
        no_case(&api, asset).await?;
        Ok(line)
    }

    async fn publish(&mut self, rows: Vec<(String, i64)>) -> Result<()> {
        let topic = format!("telemetry/{}", self.asset);
        self.device.publish_all(&topic, rows).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loose_sensor_opens_a_case_of_its_own_and_a_worn_bearing_one_of_the_machine() -> Result<()>
{
    let home = Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS);
    let _program = home.start().await?;
    let api = home.api();
    let mut loose = Line::commissioned(&home, LOOSE, 21).await?;
    let mut worn = Line::commissioned(&home, WORN, 22).await?;

    let since_ms = loose.pump.now();
    let rows = through_a_loose_cable(loose.pump.healthy(288))?;
    loose.publish(rows).await?;
    let rows = worn.pump.wearing(400, 1.0);
    worn.publish(rows).await?;
    api.caught_up(SOON).await?;

    // The loose one: a word about the sensor, and none about the pump.
    sensors_told(&api, LOOSE, &[SIGNAL]).await?;
    let reports = api.all(&format!("/sensor-reports?asset={LOOSE}")).await?;
    let verdicts = reports.iter().flat_map(|report| {
        let verdicts = report["verdicts"].as_array();
        verdicts.into_iter().flatten()
    });
    let bad: Vec<_> = verdicts.filter(|v| v["state"] != "good").collect();
    ensure!(!bad.is_empty(), "no verdict: {reports:?}");
    for verdict in bad {
        ensure!(verdict["signal"] == SIGNAL, "{verdict}");
        let since = millis(&verdict["since"])?;
        ensure!(since >= since_ms, "before it was loose: {verdict}");
    }
    let case = sensor_case(&api, LOOSE).await?;
    ensure!(millis(&case["opened_at"])? >= since_ms, "{case}");
    ensure!(case["cleared_at"].is_null(), "it is still loose: {case}");

    // The worn one: a case that names it, and no word about its sensors.
    let worn_case = only_case(&api, WORN).await?;
    ensure!(
        worn_case["failure_mode"] == "bearing-wear" && worn_case["signal"].is_null(),
        "{worn_case}"
    );
    let reports = api.all(&format!("/sensor-reports?asset={WORN}")).await?;
    ensure!(reports.is_empty(), "its sensors are good: {reports:#?}");

    // Somebody tightens the cable: the sensor is good again, and its case says so.
    let tightened = loose.pump.healthy(288);
    loose.publish(tightened).await?;
    api.caught_up(SOON).await?;
    sensors_told(&api, LOOSE, &[]).await?;
    let cleared = sensor_case(&api, LOOSE).await?;
    ensure!(cleared["id"] == case["id"], "another one: {cleared}");
    ensure!(!cleared["cleared_at"].is_null(), "{cleared}");
    Ok(())
}
