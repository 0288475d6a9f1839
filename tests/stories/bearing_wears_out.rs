//! A bearing wears out: the whole way from vibration to the closed order and the new baseline.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, api::millis, mqtt::Publisher, pump::Pump, until};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;

const PUMP: &str = "pump-7";

/// What bearing wear shows in when the case opens, the strongest first; the temperature follows
/// later.
const SYMPTOMS: &[&str] = &["acceleration_g", "vibration_mm_s"];

/// A little more than two days, so that the baseline has seen the daily load twice.
const LEARNING_ROWS: usize = 600;

async fn publish(device: &mut Publisher<i64>, rows: Vec<(String, i64)>) -> Result<()> {
    device.publish_all(&format!("telemetry/{PUMP}"), rows).await
}

async fn asset(api: &Api) -> Result<Value> {
    api.get(&format!("/assets/{PUMP}")).await
}

async fn open_cases(api: &Api) -> Result<Vec<Value>> {
    api.all(&format!("/cases?status=open&asset={PUMP}")).await
}

async fn wait_for_state(api: &Api, state: &str) -> Result<Value> {
    until(format!("{PUMP} to be {state}"), SOON, async || {
        let asset = asset(api).await?;
        ensure!(asset["state"] == state, "it is {}", asset["state"]);
        Ok(Some(asset))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worn_bearing_becomes_one_order_and_a_new_baseline() -> Result<()> {
    let home = Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS);
    let _program = home.start().await?;
    let api = home.api();
    let mut device = Publisher::connected(PUMP, home.mqtt()).await?;
    let mut pump = Pump::new(7, START_MS);

    // A new device is shown as learning, and somebody says what it is.
    publish(&mut device, pump.healthy(50)).await?;
    let discovered = wait_for_state(&api, "learning").await?;
    ensure!(discovered["discovered"] == true, "{discovered}");
    api.do_patch(
        &format!("/assets/{PUMP}"),
        &json!({"name": "Feed pump 7", "model": "centrifugal-pump"}),
    )
    .await?;

    // It learns, and stays healthy while it is.
    publish(&mut device, pump.healthy(LEARNING_ROWS)).await?;
    publish(&mut device, pump.healthy(250)).await?;
    wait_for_state(&api, "healthy").await?;
    ensure!(
        open_cases(&api).await?.is_empty(),
        "a healthy pump has a case"
    );

    // The bearing wears.
    let wear_began = pump.now();
    publish(&mut device, pump.wearing(400, 1.0)).await?;
    let case = the_one_case(&api, wear_began).await?;
    let order = the_one_order(&api, &case).await?;

    // People act on it.
    walk_through(&api, &order).await?;
    let case_id = case["id"].as_str().context("a case without id")?;
    until("the case to close", SOON, async || {
        let case = api.get(&format!("/cases/{case_id}")).await?;
        ensure!(
            case["status"] == "closed" && case["outcome"] == "confirmed",
            "{case}"
        );
        Ok(Some(()))
    })
    .await?;

    // It is booked as a failure that did not happen, and the figure opens to the case.
    let entries = api.all("/savings/entries?kind=avoided").await?;
    ensure!(
        entries.len() == 1 && entries[0]["case"] == case_id && entries[0]["month"] == "2024-03",
        "{entries:?}"
    );
    let lines = api.all("/savings?by=month").await?;
    ensure!(
        lines.len() == 1 && lines[0]["avoided"]["count"] == 1,
        "{lines:?}"
    );

    // The repaired pump learns anew, and is healthy again.
    wait_for_state(&api, "learning").await?;
    publish(&mut device, pump.healthy(LEARNING_ROWS + 150)).await?;
    api.caught_up(SOON).await?;
    wait_for_state(&api, "healthy").await?;
    ensure!(
        open_cases(&api).await?.is_empty(),
        "the repaired pump has a case again"
    );
    let orders = api.all(&format!("/work-orders?asset={PUMP}")).await?;
    ensure!(
        orders.len() == 1,
        "{} orders in the end: {orders:?}",
        orders.len()
    );
    Ok(())
}

/// One case, for bearing wear, opened after the wear began, with the signals that show it.
async fn the_one_case(api: &Api, wear_began: i64) -> Result<Value> {
    api.caught_up(SOON).await?;
    let cases = open_cases(api).await?;
    ensure!(cases.len() == 1, "{} open cases: {cases:#?}", cases.len());
    let case = &cases[0];
    ensure!(
        case["failure_mode"] == "bearing-wear",
        "{}",
        case["failure_mode"]
    );
    let opened_at = millis(&case["opened_at"])?;
    ensure!(
        opened_at >= wear_began,
        "the case opened before the wear began: {case}"
    );
    let contributions = case["evidence"]["contributions"]
        .as_array()
        .context("no evidence")?;
    for signal in SYMPTOMS {
        let found = contributions.iter().find(|c| c["signal"] == *signal);
        let deviation = found.and_then(|c| c["deviation"].as_f64());
        ensure!(
            deviation > Some(1.0),
            "{signal} is not told to be high: {found:?}"
        );
    }
    let strongest = contributions.first().context("no contribution")?;
    ensure!(
        strongest["signal"] == SYMPTOMS[0],
        "the strongest is {strongest}"
    );
    let shares: f64 = contributions
        .iter()
        .filter_map(|c| c["share"].as_f64())
        .sum();
    ensure!((shares - 1.0).abs() < 1e-6, "shares add up to {shares}");
    ensure!(
        case["evidence"]["model"].is_string(),
        "no model in {}",
        case["evidence"]
    );
    Ok(case.clone())
}

async fn the_one_order(api: &Api, case: &Value) -> Result<Value> {
    let orders = until("an order for the case", SOON, async || {
        let orders = api.all(&format!("/work-orders?asset={PUMP}")).await?;
        Ok((!orders.is_empty()).then_some(orders))
    })
    .await?;
    ensure!(orders.len() == 1, "{} orders: {orders:#?}", orders.len());
    let order = &orders[0];
    ensure!(order["case"] == case["id"], "{order}");
    ensure!(
        order["status"] == "proposed" && order["kind"] == "predictive",
        "{order}"
    );
    ensure!(order["opened_at"] == case["opened_at"], "{order}");
    ensure!(
        order["signals"][0]["signal"] == SYMPTOMS[0],
        "{}",
        order["signals"]
    );
    Ok(order.clone())
}

/// Approve, schedule, start, complete; each step logged with who, and no step skipped.
async fn walk_through(api: &Api, order: &Value) -> Result<()> {
    let id = order["id"].as_str().context("an order without id")?;
    let engineer = api
        .do_post(
            "/engineers",
            &json!({"name": "Li Na", "skills": ["pumps", "alignment"]}),
        )
        .await?;
    let path = |step: &str| format!("/work-orders/{id}/{step}");

    let early = json!({"by": "planner", "outcome": "confirmed"});
    let (status, problem) = api.post(&path("complete"), &early).await?;
    ensure!(
        status == 409,
        "a proposed order was completed: {status}: {problem}"
    );

    api.do_post(&path("approve"), &json!({"by": "planner"}))
        .await?;
    let schedule = json!({
        "by": "planner",
        "engineer": engineer["id"],
        "scheduled_for": "2024-03-12T08:00:00Z",
    });
    api.do_post(&path("schedule"), &schedule).await?;
    api.do_post(&path("start"), &json!({"by": "Li Na"})).await?;
    let end = json!({"by": "Li Na", "outcome": "confirmed", "note": "outer race pitted, replaced",
        "failure_mode": "bearing-wear", "part": "6309-2RS"});
    api.do_post(&path("complete"), &end).await?;

    let done = api.get(&format!("/work-orders/{id}")).await?;
    ensure!(
        done["status"] == "completed" && done["outcome"] == "confirmed",
        "{done}"
    );
    // The part is on the order, and the work was done when the pump says, not when we sit here.
    ensure!(
        done["part"] == "6309-2RS" && done["found_mode"] == "bearing-wear",
        "{done}"
    );
    let done_at = millis(&done["done_at"])?;
    ensure!(
        (START_MS..START_MS + 40 * 86_400_000).contains(&done_at),
        "{done}"
    );
    let log = done["log"].as_array().context("no log")?;
    let steps: Vec<_> = log
        .iter()
        .map(|entry| entry["to"].as_str().unwrap_or("?"))
        .collect();
    ensure!(
        steps.ends_with(&["approved", "scheduled", "in_progress", "completed"]),
        "the log says {steps:?}"
    );
    Ok(())
}
