//! A doubted case is computed again, months later, to the last bit.
//!
//! A pump wears out and a case opens. The power fails at that moment. Later the bearing has been
//! replaced, the program has learned a new normal, and somebody doubts that the alarm was right:
//! what was frozen with the case gives the same score again, whatever has happened since.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, pump::Pump, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;

const PUMP: &str = "pump-doubted";

/// A little more than two days, so that the baseline has seen the daily load twice.
const LEARNING_ROWS: usize = 600;

type Rows = Vec<(String, i64)>;

async fn publish(device: &mut Publisher<i64>, rows: &Rows) -> Result<()> {
    let rows = rows.iter().map(|(payload, at)| (payload.as_str(), *at));
    device.publish_all(&format!("telemetry/{PUMP}"), rows).await
}

async fn cases(api: &Api) -> Result<Vec<Value>> {
    api.all(&format!("/cases?status=all&asset={PUMP}")).await
}

/// `bellwether case replay`, as an engineer types it.
async fn replay(home: &Home, case: &str) -> Result<(bool, String, String)> {
    let api = format!("http://{}", home.http());
    let command = home.command(&["case", "replay", case, "--json", "--api", &api])?;
    let done = Command::from(command).output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((done.status.success(), text(done.stdout), text(done.stderr)))
}

async fn says_the_same(home: &Home, cases: &[Value]) -> Result<()> {
    for case in cases {
        let id = case["id"].as_str().context("a case without id")?;
        let (well, said, problem) = replay(home, id).await?;
        ensure!(well, "{id}: {problem}");
        let said: Value = serde_json::from_str(&said)?;
        ensure!(said["same"] == true, "{said}");
        ensure!(said["recorded"] == said["recomputed"], "{said}");
        let score = &case["evidence"]["statistics"]["score"];
        ensure!(said["recorded"] == *score, "{said} for {score}");
    }
    Ok(())
}

/// The bearing is replaced: the order of the case is done, and the fault was there.
async fn bearing_is_replaced(api: &Api, case: &str) -> Result<()> {
    let order = until("the order of the case", SOON, async || {
        let orders = api.all(&format!("/work-orders?case={case}")).await?;
        Ok(orders.into_iter().next())
    })
    .await?;
    let id = order["id"].as_str().context("an order without id")?;
    let engineer = api
        .do_post("/engineers", &json!({ "name": "Engineer" }))
        .await?;
    api.begin_work(id, &engineer, "2024-03-09T08:00:00Z")
        .await?;
    let by = "Planner";
    let found = json!({ "by": by, "outcome": "confirmed", "note": "outer race spalled" });
    api.do_post(&format!("/work-orders/{id}/complete"), &found)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubted_case_is_computed_again_to_the_last_bit() -> Result<()> {
    let home = Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS);
    let mut program = home.start().await?;
    let api = home.api();
    let mut device = Publisher::connected(PUMP, home.mqtt()).await?;
    let mut pump = Pump::new(12, START_MS);
    publish(&mut device, &pump.healthy(LEARNING_ROWS + 300)).await?;
    publish(&mut device, &pump.wearing(400, 0.8)).await?;
    until("a case", SOON, async || {
        Ok((!cases(&api).await?.is_empty()).then_some(()))
    })
    .await?;
    program.kill()?;

    program = home.start().await?;
    api.caught_up(SOON).await?;
    let opened = cases(&api).await?;
    says_the_same(&home, &opened).await?;

    let id = opened[0]["id"].as_str().context("a case without id")?;
    bearing_is_replaced(&api, id).await?;
    device.connect().await?;
    publish(&mut device, &pump.healthy(LEARNING_ROWS + 100)).await?;
    api.caught_up(SOON).await?;
    says_the_same(&home, &opened).await?;

    let (well, _, problem) = replay(&home, "C-000000000000").await?;
    ensure!(!well && problem.contains("C-000000000000"), "{problem}");
    program.kill()?;
    Ok(())
}
