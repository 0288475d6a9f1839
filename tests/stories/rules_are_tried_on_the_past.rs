//! Somebody has an idea for a rule and asks what it would have done last year, before anybody is
//! woken by it.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);

/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;
const HOUR_MS: i64 = 3_600_000;
const PUMP: &str = "pump-4";

/// The pump shook from day 30 on and failed on day 34. On day 50 it failed without a sign. On day
/// 66 it shook for a day, and nothing was wrong.
const FAILURES: &str = "asset,at\npump-4,2024-04-07T00:00:00Z\npump-4,2024-04-23T00:00:00Z\n";

const SHAKES: &str = "[[rule]]\nid = \"shakes\"\nname_en = \"It shakes\"\nname_zh = \"振动大\"\n\
    kind = \"threshold\"\nsignal = \"vibration_mm_s\"\nabove = 5.0\noff = 4.0\n\
    on_delay_s = 7200\nfailure_mode = \"bearing-wear\"\nseverity = \"warning\"\n";

fn year() -> Vec<(String, i64)> {
    let row = |hour: i64| {
        let vibration = match hour / 24 {
            30..=33 | 66 => 6.0,
            _ => 2.0,
        };
        let at = START_MS + hour * HOUR_MS;
        let payload = json!({ "ts": at, "vibration_mm_s": vibration + (hour % 7) as f64 / 50.0 });
        (payload.to_string(), at)
    };
    (0..100 * 24).map(row).collect()
}

async fn tried(api: &Api, rules: &str) -> Result<Value> {
    let asked = json!({ "rules": rules, "from": "2024-03-05T00:00:00Z",
        "to": "2024-06-10T00:00:00Z", "rules_only": true, "by": "Ann" });
    let job = api.do_post("/backtests", &asked).await?;
    let path = format!("/backtests/{}", job["id"]);
    until("the back-test to end".to_owned(), SOON, async || {
        let job = api.get(&path).await?;
        let state = job["state"].as_str().unwrap_or_default();
        Ok((!matches!(state, "queued" | "running")).then_some(job))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_tried_on_last_year_before_it_wakes_anybody() -> Result<()> {
    let home = Home::new()?;
    let _program = home.start().await?;
    let api = home.api();
    let mut device = Publisher::connected(PUMP, home.mqtt()).await?;
    device
        .publish_all(&format!("telemetry/{PUMP}"), year())
        .await?;
    api.caught_up(SOON).await?;
    let file = home.folder().join("failures.csv");
    fs::write(&file, FAILURES)?;
    let file = file.to_str().context("a path that is no text")?;
    let url = format!("http://{}", home.http());
    let import = ["import", "history", "--api", &url, "--failures", file];
    tools::succeed(&mut Command::from(home.command(&import)?), SOON).await?;

    // It would have told of one failure, four days before, and once of nothing.
    let job = tried(&api, SHAKES).await?;
    ensure!(job["state"] == "done", "{job}");
    let side = &job["result"]["proposed"];
    for (figure, expected) in [
        ("cases", 2),
        ("orders", 2),
        ("confirmed", 1),
        ("false_alarms", 1),
        ("problems", 2),
        ("missed", 1),
    ] {
        ensure!(side[figure] == expected, "{figure}: {side}");
    }
    let lead_days = side["lead_time_s"].as_f64().context("no lead time")? / 86_400.0;
    ensure!((3.5..=4.1).contains(&lead_days), "{lead_days} days");
    ensure!(side["by_rule"][0]["rule"] == "shakes", "{side}");
    // No rule is in force, so both failures came unannounced.
    let in_force = &job["result"]["in_force"];
    ensure!(
        in_force["cases"] == 0 && in_force["missed"] == 2,
        "{in_force}"
    );

    // A rule that never holds misses everything, and a broken one is told with its line.
    let deaf = tried(&api, &SHAKES.replace("above = 5.0", "above = 50.0")).await?;
    ensure!(deaf["result"]["proposed"]["missed"] == 2, "{deaf}");
    let broken = tried(&api, &SHAKES.replace("above = 5.0", "above = \"much\"")).await?;
    let problem = broken["problem"].as_str().unwrap_or_default();
    ensure!(
        broken["state"] == "failed" && problem.contains("line 7"),
        "{broken}"
    );

    // One that has ended cannot be stopped, and nothing of it reached the desk.
    let (status, _) = api
        .post(&format!("/backtests/{}/cancel", job["id"]), &json!({}))
        .await?;
    ensure!(status == 409, "{status}");
    ensure!(api.all("/cases").await?.is_empty(), "a trial opened a case");
    Ok(())
}
