//! What a detector sees is no longer what it learned from, though nothing alarms.
//!
//! Two pumps of one kind learn their normal. In the week after that one of them shakes a little
//! more every day, by an eighth of its level in the end and less than any alarm asks for; the other
//! goes on as it was. Only the first is listed as drifted, in that signal, and a restart does not
//! forget since when. A person accepts it as the new normal, and it is listed no more.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, pump::Pump, until};

const SOON: Duration = Duration::from_mins(1);
/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;
/// Two days of rows, so that the normal has seen the daily load twice.
const LEARNING_ROWS: usize = 576;
const DAY_ROWS: usize = 288;
const SIGNAL: &str = "vibration_mm_s";
/// What the vibration has grown by at the end of the week, mm/s.
const GROWN: f64 = 0.3;

/// A week over which the vibration grows little by little.
fn shaking(pump: &mut Pump) -> Result<Vec<(String, i64)>> {
    let rows = pump.healthy(7 * DAY_ROWS);
    let count = rows.len() as f64;
    let shake = |(number, (row, at)): (usize, (String, i64))| {
        let mut row: Value = serde_json::from_str(&row)?;
        let value = row[SIGNAL].as_f64().context("no vibration")?;
        row[SIGNAL] = json!(value + GROWN * number as f64 / count);
        Ok((row.to_string(), at))
    };
    rows.into_iter().enumerate().map(shake).collect()
}

/// What drifted, as device, kind and signal.
fn drifted(list: &[Value]) -> Vec<(&str, &str, &str)> {
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }
    let drifted = list.iter().filter(|one| one["word"] == "drifted");
    drifted
        .map(|one| {
            let what = &one["what"];
            (
                text(&one["device"]),
                text(&what["kind"]),
                text(&what["signal"]),
            )
        })
        .collect()
}

/// Waits until just this has drifted, of all six signals of both pumps.
async fn only_the_first(api: &Api) -> Result<Value> {
    until("one signal to have drifted", SOON, async || {
        let list = api.all("/drifts").await?;
        let signals = list.iter().filter(|one| one["what"]["kind"] == "signal");
        ensure!(signals.count() == 12, "not all is judged: {list:#?}");
        ensure!(
            drifted(&list) == [("pump-moves", "signal", SIGNAL)],
            "{list:#?}"
        );
        Ok(list.into_iter().next())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_moves_below_every_limit_is_told_and_its_neighbour_is_not() -> Result<()> {
    let home = Home::new()?
        .with("analytics.learning_rows", &LEARNING_ROWS)
        .with("analytics.drift_every", "1s");
    let program = home.start().await?;
    let api = home.api();
    for (name, seed) in [("pump-moves", 31), ("pump-rests", 32)] {
        let mut device = Publisher::connected(name, home.mqtt()).await?;
        let mut pump = Pump::new(seed, START_MS);
        let topic = format!("telemetry/{name}");
        device
            .publish_all(&topic, pump.healthy(LEARNING_ROWS + 20))
            .await?;
        let week = if name == "pump-moves" {
            shaking(&mut pump)?
        } else {
            pump.healthy(7 * DAY_ROWS)
        };
        device.publish_all(&topic, week).await?;
    }
    api.caught_up(SOON).await?;
    let moved = only_the_first(&api).await?;
    ensure!(
        moved["psi"].as_f64().is_some_and(|psi| psi > 0.25),
        "{moved}"
    );
    ensure!(moved["alarm_stands"] == false, "{moved}");
    let points = moved["reference"]["points"].as_u64().context("points")?;
    ensure!((400..=500).contains(&points), "{moved}");
    let cases = api.all("/cases?status=all").await?;
    ensure!(
        cases.is_empty(),
        "it was to move below every limit: {cases:#?}"
    );
    let words = moved["words"]["en"].as_str().context("words")?;
    ensure!(words.contains("Look at the sensor"), "{words}");
    let zh = moved["words"]["zh"].as_str().context("words")?;
    ensure!(zh.contains("漂移"), "{zh}");

    // Nothing of it is stored, and it is found again since the same day.
    program.kill()?;
    let _program = home.start().await?;
    let again = only_the_first(&home.api()).await?;
    ensure!(
        again["since"] == moved["since"],
        "{again} instead of {moved}"
    );

    // A person says that this is how it runs: until that is learned there is nothing to compare.
    let accept = json!({"by": "Li Na"});
    home.api()
        .do_post("/assets/pump-moves/accept-normal", &accept)
        .await?;
    until("the pump to learn anew", SOON, async || {
        let list = home.api().all("/drifts").await?;
        let left = list.iter().filter(|one| one["device"] == "pump-moves");
        Ok((left.count() == 0 && list.len() >= 6).then_some(()))
    })
    .await
}
