//! There are fewer people than problems: the most urgent case becomes an order, the other waits in
//! sight with the reason until there is room. What rises on a machine while somebody works on it is
//! listed and asks for nobody. And what the visit was worth is in the ledger, with its order and
//! its case.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, api::iso, mqtt::Publisher, until};

const SOON: Duration = Duration::from_mins(1);

const RULES: &str = r#"
[[rule]]
id = "hot"
name_en = "Hot"
name_zh = "过热"
failure_mode = "bearing-wear"
severity = "warning"
kind = "threshold"
signal = "bearing_c"
above = 80
off = 70

[[rule]]
id = "burning"
name_en = "Burning"
name_zh = "严重过热"
failure_mode = "bearing-wear"
severity = "critical"
kind = "threshold"
signal = "bearing_c"
above = 100
off = 90

[[rule]]
id = "empty"
name_en = "Nearly empty"
name_zh = "油位过低"
failure_mode = "seal-leak"
severity = "warning"
kind = "threshold"
signal = "oil_pct"
below = 20
off = 30
"#;

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Rows a second apart that end now: healthy ones, then these temperatures and oil levels.
async fn send(device: &mut Publisher<i64>, id: &str, hot: f64, oil: f64) -> Result<()> {
    let begin = now_ms() - 10_000;
    let row = |second: i64| {
        let at = begin + second * 1_000;
        let (hot, oil) = if second < 4 { (60.0, 80.0) } else { (hot, oil) };
        (
            json!({ "ts": at, "bearing_c": hot, "oil_pct": oil }).to_string(),
            at,
        )
    };
    device
        .publish_all(
            &format!("telemetry/{id}"),
            (0..10).map(row).collect::<Vec<_>>(),
        )
        .await
}

async fn open_case(
    api: &Api,
    asset: &str,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Result<Value> {
    until(format!("{asset} to have {what}"), SOON, async || {
        let open = api
            .all(&format!("/cases?status=open&asset={asset}"))
            .await?;
        Ok(open.into_iter().find(&is_it))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_urgent_case_becomes_an_order_and_the_other_waits_in_sight() -> Result<()> {
    let home = Home::new()?;
    let file = home.folder().join("rules.toml");
    std::fs::write(&file, RULES)?;
    let home = home
        .with("rules.files", &file.display())
        .with("planning.proposals_max", "1")
        .with("analytics.lateness", "1s")
        .with("cases.settle", "3s");
    let _program = home.start().await?;
    let api = home.api();
    let body = json!({"name": "Li Na", "skills": ["pumps"]});
    let engineer = api.do_post("/engineers", &body).await?;
    let mut line = Publisher::connected("gateway", home.mqtt()).await?;
    send(&mut line, "pump-1", 120.0, 80.0).await?;
    send(&mut line, "pump-2", 85.0, 80.0).await?;
    let has_order = |case: &Value| case["work_order"].is_string();
    let urgent = open_case(&api, "pump-1", "an order", has_order).await?;
    let waits = |case: &Value| case["watch_list"]["reason"]["zh"].is_string();
    let other = open_case(&api, "pump-2", "a place on the watch list", waits).await?;
    ensure!(
        urgent["severity"] == "critical" && other["severity"] == "warning",
        "{urgent} {other}"
    );

    // The work begins, which makes room for the next proposal; and oil is drained for it.
    let id = urgent["work_order"].as_str().context("an order")?;
    api.begin_work(id, &engineer, &iso(now_ms())?).await?;
    let other = open_case(&api, "pump-2", "an order", has_order).await?;
    ensure!(other["watch_list"].is_null(), "{other}");
    send(&mut line, "pump-1", 120.0, 10.0).await?;
    let is_drained = |case: &Value| case["failure_mode"] == "seal-leak";
    let drained = |case: &Value| is_drained(case) && case["suppressed"]["reason"] == "maintenance";
    let drained = open_case(&api, "pump-1", "a case for which nobody is asked", drained).await?;
    ensure!(drained["work_order"].is_null(), "{drained}");

    // What the visit was worth opens to its order and its case.
    let end = json!({"by": "Li Na", "outcome": "confirmed", "failure_mode": "bearing-wear"});
    api.do_post(&format!("/work-orders/{id}/complete"), &end)
        .await?;
    let worth = until("the ledger", SOON, async || {
        let lines = api.all("/savings?by=none").await?;
        Ok(lines.into_iter().find(|line| line["avoided"]["count"] == 1))
    })
    .await?;
    ensure!(worth["false_alarms"]["count"] == 0, "{worth}");
    let entries = api.all("/savings/entries?kind=avoided").await?;
    ensure!(
        entries.len() == 1 && entries[0]["work_order"] == id && entries[0]["case"] == urgent["id"],
        "{entries:#?}"
    );
    Ok(())
}
