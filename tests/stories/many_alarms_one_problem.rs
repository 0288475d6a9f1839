//! Many alarms, one problem: a site loses its power, and every fan of its hall stops within
//! seconds. All are listed, one order is written, and the program may die in the middle of it.
//! And what people want quiet for a while stays quiet for that while, and no longer.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, Program, api::iso, mqtt::Publisher, tools, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(2);
/// Devices that fail at once: many in the long version, a hall full of them in the short one.
const MANY: usize = 5_000;
const FEW: usize = 500;
/// Healthy rows of each fan, and rows without power, one a second.
const HEALTHY: i64 = 30;
const FAILED: i64 = 30;

/// A fan whose current has a fixed limit, so that it needs no normal to alarm.
const MODEL: &str = r#"
id = "hall-fan"
name_en = "Hall fan"
name_zh = "厂房风机"
signals = [{ name = "current_a", unit = "A", label_en = "Current", label_zh = "电流" }]

[detection]
limits = [{ signal = "current_a", below = 1.0, off = 2.0, on_delay_s = 3, off_delay_s = 3, always = true }]
"#;

/// A home with fans at two sites.
fn home(fans: usize) -> Result<Home> {
    let home = Home::new()?;
    let models = home.folder().join("models");
    fs::create_dir(&models)?;
    fs::write(models.join("hall-fan.toml"), MODEL)?;
    let home = home
        .with("models.dir", &models.display())
        .with("analytics.lateness", "1s");
    let mut rows = "device,asset,model,customer,site\n".to_owned();
    for fan in 0..fans {
        let _ = writeln!(rows, "fan-{fan},fan-{fan},hall-fan,acme,hall-3");
    }
    rows.push_str("lone-1,lone-1,hall-fan,acme,hall-4\n");
    fs::write(home.folder().join("fans.csv"), rows)?;
    Ok(home)
}

async fn start(home: &Home) -> Result<Program> {
    let program = home.start().await?;
    let api = format!("http://{}", home.http());
    let onboard = home.command(&["onboard", "fans.csv", "--api", &api])?;
    tools::succeed(&mut Command::from(onboard), SOON).await?;
    Ok(program)
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A second of a fan, counted from `start`.
fn row(start: i64, second: i64) -> (String, i64) {
    let at = start + second * 1_000;
    let current = if second < HEALTHY { 12.0 } else { 0.1 };
    (json!({ "ts": at, "current_a": current }).to_string(), at)
}

/// Sends all rows of some fans; what was sent before is known and changes nothing.
async fn send(line: &mut Publisher<i64>, fans: &[String], start: i64) -> Result<()> {
    for fan in fans {
        let rows: Vec<Value> = (0..HEALTHY + FAILED)
            .map(|second| serde_json::from_str(&row(start, second).0))
            .collect::<Result<_, _>>()?;
        let all = (json!(rows).to_string(), start);
        line.publish_all(&format!("telemetry/{fan}"), [all]).await?;
    }
    Ok(())
}

async fn cases(api: &Api, filter: &str) -> Result<Vec<Value>> {
    api.all(&format!("/cases?{filter}")).await
}

#[tokio::test]
async fn a_hall_without_power_asks_for_one_order() -> Result<()> {
    let count = if tools::long() { MANY } else { FEW };
    let home = home(count)?;
    let program = start(&home).await?;
    let start = now_ms() - (HEALTHY + FAILED) * 1_000;
    let fans: Vec<String> = (0..count).map(|fan| format!("fan-{fan}")).collect();
    let mut line = Publisher::connected("gateway", home.mqtt()).await?;
    send(&mut line, &fans[..count / 2], start).await?;
    // The power of the server fails as well.
    program.kill()?;
    let program = home.start().await?;
    let api = home.api();
    let mut line = Publisher::connected("gateway", home.mqtt()).await?;
    send(&mut line, &fans, start).await?;
    let mut lone = Publisher::connected("lone-1", home.mqtt()).await?;
    send(&mut lone, &["lone-1".to_owned()], start).await?;

    let listed = until("every fan to be listed", SOON, async || {
        let found = cases(&api, "status=open").await?;
        Ok((found.len() == count + 1).then_some(found))
    })
    .await?;
    let heads = until("one case to stand for the hall", SOON, async || {
        let asking = cases(&api, "status=open&suppressed=false").await?;
        let ordered = asking.iter().filter(|case| case["work_order"].is_string());
        Ok((asking.len() == 2 && ordered.count() == 2).then_some(asking))
    })
    .await?;
    let of_hall = heads.iter().find(|case| case["site"] == "hall-3");
    let of_hall = of_hall.context("nothing stands for the hall")?;
    ensure!(of_hall["children"] == count - 1, "{of_hall}");
    ensure!(heads.iter().any(|case| case["asset"] == "lone-1"));
    ensure!(listed.iter().all(|case| case["verdict"] == "machine"));
    let id = of_hall["id"].as_str().context("a case without id")?;
    let children = cases(&api, &format!("suppressed=true&parent={id}")).await?;
    ensure!(children.len() == count - 1);
    for child in &children {
        let reason = &child["suppressed"]["reason"];
        ensure!(reason == "common_cause" || reason == "flood", "{child}");
        ensure!(child["work_order"].is_null());
    }
    let orders = api.all("/work-orders").await?;
    ensure!(orders.len() == 2, "{} orders", orders.len());

    let groups = api.get("/case-groups").await?;
    ensure!(groups["items"][0]["children"] == count - 1, "{groups}");
    let rates = api.get("/alarm-rates").await?;
    let of_hall = rates["items"].as_array().context("no rates")?;
    let of_hall = of_hall.iter().find(|rates| rates["site"] == "hall-3");
    let of_hall = of_hall.context("no rates of the hall")?;
    let told = of_hall["alarms"].as_u64().unwrap_or(u64::MAX);
    let quiet = of_hall["suppressed"].as_u64().unwrap_or(0);
    ensure!(told + quiet >= count as u64 && told <= 10, "{of_hall}");
    program.terminate(SOON).await?;
    Ok(())
}

/// Why a case was quiet, by whom and until when, stays in its log.
async fn the_log_tells_it_all(api: &Api, id: &str) -> Result<()> {
    let detail = api.get(&format!("/cases/{id}")).await?;
    let told: Vec<&str> = detail["events"]
        .as_array()
        .context("no log")?
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    for kind in [
        "opened",
        "suppressed",
        "shelved",
        "unshelved",
        "unsuppressed",
        "order_raised",
    ] {
        ensure!(told.contains(&kind), "{kind} is not in {told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_people_want_quiet_is_quiet_for_a_while_and_listed_with_the_reason() -> Result<()> {
    let home = home(2)?;
    let program = start(&home).await?;
    let api = home.api();
    let in_an_hour = iso(now_ms() + 3_600_000)?;
    let silence = api
        .do_post(
            "/silences",
            &json!({ "asset": "fan-0", "until": in_an_hour, "by": "Mei", "note": "new belt runs in" }),
        )
        .await?;
    let start = now_ms() - (HEALTHY + FAILED) * 1_000;
    let mut line = Publisher::connected("gateway", home.mqtt()).await?;
    let both = ["fan-0".to_owned(), "fan-1".to_owned()];
    send(&mut line, &both, start).await?;
    let case = async |asset: &str, wanted: &str| {
        until(format!("{asset} to be {wanted}"), SOON, async || {
            let found = cases(&api, &format!("status=open&asset={asset}")).await?;
            let Some(case) = found.into_iter().next() else {
                return Ok(None);
            };
            let is = case["suppressed"]["reason"].as_str().unwrap_or("asking");
            let has = case["work_order"].is_string();
            let is = if has { "ordered" } else { is };
            Ok((is == wanted).then_some(case))
        })
        .await
    };
    case("fan-1", "ordered").await?;
    let quiet = case("fan-0", "silenced").await?;
    ensure!(quiet["suppressed"]["by"] == "Mei", "{quiet}");
    let id = quiet["id"]
        .as_str()
        .context("a case without id")?
        .to_owned();

    // Shelved by a person: that comes first, and outlives the silence.
    let shelve = json!({ "by": "Jo", "until": in_an_hour, "note": "after the shift" });
    let shelved = api.do_post(&format!("/cases/{id}/shelve"), &shelve).await?;
    ensure!(shelved["suppressed"]["reason"] == "shelved", "{shelved}");
    let number = silence["id"].as_i64().context("a silence without number")?;
    let past = json!({ "by": "Jo", "until": "2020-01-01T00:00:00Z" });
    let (status, refused) = api.post(&format!("/cases/{id}/shelve"), &past).await?;
    ensure!(status.as_u16() == 422, "{refused}");
    let listed = api.get("/silences").await?;
    ensure!(
        listed["items"][0]["id"] == number && listed["items"][0]["matched"] == 1,
        "{listed}"
    );
    let everything = json!({ "until": in_an_hour, "by": "Mei" });
    let (status, refused) = api.post("/silences", &everything).await?;
    ensure!(status.as_u16() == 422, "a silence of everything: {refused}");

    let free = json!({ "by": "Jo" });
    let case_now = api.do_post(&format!("/cases/{id}/unshelve"), &free).await?;
    ensure!(case_now["suppressed"]["reason"] == "silenced", "{case_now}");
    api.do_delete(&format!("/silences/{number}"), &free).await?;
    case("fan-0", "ordered").await?;
    the_log_tells_it_all(&api, &id).await?;
    program.terminate(SOON).await?;
    Ok(())
}
