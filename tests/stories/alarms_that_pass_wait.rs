//! Alarms that pass by themselves wait: when three orders found nothing because the alarm was over
//! before anybody came, the next such alarm is listed with the reason and asks for nobody yet. A
//! person can take that back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, api::iso, mqtt::Publisher, until};

const SOON: Duration = Duration::from_mins(1);
/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

const RULE: &str = "[[rule]]\nid = \"too-hot\"\nname_en = \"Too hot\"\nname_zh = \"过热\"\n\
    failure_mode = \"bearing-wear\"\nkind = \"threshold\"\nsignal = \"bearing_c\"\nabove = 80\noff = 70\n";

/// Rows a minute apart.
async fn publish(device: &mut Publisher<i64>, from: i64, values: &[f64]) -> Result<()> {
    let rows = values.iter().zip(0..).map(|(value, minute)| {
        let ts = from + minute * MINUTE_MS;
        (json!({ "ts": ts, "bearing_c": value }).to_string(), ts)
    });
    let rows: Vec<(String, i64)> = rows.collect();
    device.publish_all("telemetry/pump-7", rows).await
}

async fn open_case(api: &Api, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    until("the case", SOON, async || {
        let open = api.all("/cases?status=open&asset=pump-7").await?;
        Ok(open.into_iter().find(&is_it))
    })
    .await
}

async fn proposed(api: &Api) -> Result<Option<Value>> {
    let orders = api.all("/work-orders?asset=pump-7").await?;
    Ok(orders
        .into_iter()
        .find(|order| order["status"] == "proposed"))
}

/// Somebody goes where the alarm has passed, and finds nothing.
async fn is_looked_at(api: &Api, engineer: &Value, at: i64) -> Result<()> {
    open_case(api, |case| !case["cleared_at"].is_null()).await?;
    let order = until("an order", SOON, async || proposed(api).await).await?;
    let id = order["id"].as_str().context("an id")?;
    api.begin_work(id, engineer, &iso(at)?).await?;
    let end = json!({"by": "Li Na", "outcome": "no_fault_found", "note": "cool by now"});
    api.do_post(&format!("/work-orders/{id}/complete"), &end)
        .await?;
    until("the case to close", SOON, async || {
        let open = api.all("/cases?status=open&asset=pump-7").await?;
        Ok(open.is_empty().then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_waits_whose_like_were_over_before_anybody_came() -> Result<()> {
    let home = Home::new()?;
    let file = home.folder().join("rules.toml");
    std::fs::write(&file, RULE)?;
    let home = home
        .with("rules.files", &file.display())
        .with("rules.recalibrate_every", "1s")
        .with("cases.settle", "1s");
    let program = home.start().await?;
    let api = home.api();
    let body = json!({"name": "Li Na", "skills": ["pumps"]});
    let engineer = api.do_post("/engineers", &body).await?;
    let mut device = Publisher::connected("pump-7", home.mqtt()).await?;
    for visit in 0..3 {
        let from = START_MS + visit * 10 * DAY_MS;
        publish(&mut device, from, &[60.0, 60.0, 85.0, 85.0, 85.0]).await?;
        let over = from + 2 * DAY_MS;
        publish(&mut device, over, &[85.0, 85.0, 60.0, 60.0, 60.0]).await?;
        is_looked_at(&api, &engineer, over + DAY_MS).await?;
    }
    let moved = until("the wait to be learned", SOON, async || {
        Ok(api.all("/recalibrations").await?.into_iter().next())
    })
    .await?;
    ensure!(
        moved["lever"] == "patience" && moved["failure_mode"] == "bearing-wear",
        "{moved}"
    );
    let days = moved["to"].as_f64().context("days")?;
    ensure!((1.9..2.1).contains(&days), "{moved}");
    ensure!(
        moved["because"]["en"]
            .as_str()
            .is_some_and(|en| en.contains("3 passed by themselves"))
            && moved["because"]["zh"]
                .as_str()
                .is_some_and(|zh| zh.contains("3 次自行消失")),
        "{moved}"
    );

    // The next one is listed, with the reason, and nobody is asked to go; a kill changes nothing.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let from = i64::try_from(now)? - 60 * MINUTE_MS;
    publish(&mut device, from, &[60.0, 60.0, 85.0, 85.0, 85.0]).await?;
    let waits = |case: &Value| {
        let reason = &case["watch_list"]["reason"]["en"];
        reason
            .as_str()
            .is_some_and(|en| en.contains("still stands on"))
    };
    let case = open_case(&api, waits).await?;
    program.kill()?;
    let _program = home.start().await?;
    let api = home.api();
    open_case(&api, |one| one["id"] == case["id"] && waits(one)).await?;
    ensure!(
        proposed(&api).await?.is_none(),
        "an alarm that may pass has an order"
    );
    let rule = api.get("/rules/too-hot").await?;
    ensure!(rule["rule"]["waits"][0]["days"] == moved["to"], "{rule}");

    // A person takes that back: it becomes an order at once.
    let path = format!("/recalibrations/{}/revert", moved["id"]);
    let back = api.do_post(&path, &json!({"by": "Li Na"})).await?;
    ensure!(back["value"] == 0.0, "{back}");
    let order = until("an order", SOON, async || proposed(&api).await).await?;
    ensure!(order["case"] == case["id"], "{order}");
    let moves = api.all("/recalibrations").await?;
    ensure!(
        moves.len() == 2 && moves.iter().all(|one| one["lever"] == "patience"),
        "limits stay as written: {moves:#?}"
    );
    Ok(())
}
