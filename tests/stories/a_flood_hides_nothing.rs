//! A flood hides nothing: while thousands of fans of one hall fail within seconds, single machines
//! at other sites fail too. Whoever looks after both is told of each of these, once, by name, and of
//! no more than people can read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{
    Api, Home,
    api::millis,
    mqtt::Publisher,
    sinks::{Arrived, Manner, Sink},
    tools, until,
};
use tokio::{process::Command, time::sleep};

const SOON: Duration = Duration::from_mins(2);
/// A debug build on a busy machine works for minutes on what a flood of thousands leaves.
const DRAINED: Duration = Duration::from_mins(15);
/// Healthy rows of each machine, and rows without power, one a second.
const HEALTHY: i64 = 30;
const FAILED: i64 = 10;
/// Sites beside the hall that each of the people looks after.
const SITES_EACH: usize = 4;
/// What nobody is told more of, and within what time.
const LIMIT: usize = 10;
const WINDOW_MS: i64 = 600_000;
/// From one machine's failure elsewhere to the next one's.
const BETWEEN: Duration = Duration::from_millis(150);

/// How much of it.
struct Scale {
    fans: usize,
    elsewhere: usize,
}

const SHORT: Scale = Scale {
    fans: 500,
    elsewhere: 20,
};
const LONG: Scale = Scale {
    fans: 5_000,
    elsewhere: 100,
};

const MODEL: &str = r#"
id = "fan"
name_en = "Fan"
name_zh = "风机"
signals = [{ name = "current_a", unit = "A", label_en = "Current", label_zh = "电流" }]
"#;

const RULE: &str = r#"
[[rule]]
id = "no-power"
name_en = "No power"
name_zh = "断电"
failure_mode = "power-loss"
severity = "critical"
kind = "threshold"
signal = "current_a"
below = 1.0
off = 2.0
on_delay_s = 3
"#;

/// A home with a hall of fans, one machine at each other site, and people of whom each looks after
/// the hall and a few of the sites.
fn home(scale: &Scale, hook: &Sink) -> Result<Home> {
    let home = Home::new()?;
    let models = home.folder().join("models");
    fs::create_dir(&models)?;
    fs::write(models.join("fan.toml"), MODEL)?;
    let rules = home.folder().join("rules.toml");
    fs::write(&rules, RULE)?;
    let mut rows = "device,asset,model,customer,site\n".to_owned();
    for fan in 0..scale.fans {
        let _ = writeln!(rows, "fan-{fan},fan-{fan},fan,acme,hall");
    }
    for one in 0..scale.elsewhere {
        let _ = writeln!(rows, "lone-{one},lone-{one},fan,acme,site-{one}");
    }
    fs::write(home.folder().join("fans.csv"), rows)?;
    let mut office = format!(
        "[rules]\nfiles = [{:?}]\n\n[[notify.channel]]\nid = \"hook\"\nkind = \"webhook\"\n\
         url = \"http://{}/in\"\nsecret = \"s3cret\"\nallow_private = true\n\n\
         [[notify.chain]]\nid = \"all\"\nseverity = \"watch\"\nsteps = [\"0s role:planner\"]\n",
        rules.display().to_string(),
        hook.address(),
    );
    for person in 0..scale.elsewhere.div_ceil(SITES_EACH) {
        let first = person * SITES_EACH;
        let sites: Vec<String> = (first..(first + SITES_EACH).min(scale.elsewhere))
            .map(|site| format!("site-{site}"))
            .chain(["hall".to_owned()])
            .collect();
        let _ = write!(
            office,
            "\n[[notify.person]]\nid = \"planner-{person}\"\nroles = [\"planner\"]\n\
             channel = \"hook\"\nsites = {sites:?}\n"
        );
    }
    home.with("models.dir", &models.display())
        .with("analytics.lateness", "1s")
        .with_config(&office)
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Rows of a machine, the last of them now; without power from its `healthy`th second on.
fn rows(healthy: i64, failed: i64) -> String {
    let start = now_ms() - (healthy + failed) * 1_000;
    let row = |second: i64| {
        let current = if second < healthy { 12.0 } else { 0.1 };
        json!({ "ts": start + second * 1_000, "current_a": current })
    };
    json!((0..healthy + failed).map(row).collect::<Vec<Value>>()).to_string()
}

/// Every fan of the hall loses its power in the same second; how long it took to send it all.
async fn flood(home: &Home, fans: usize) -> Result<i64> {
    let mut line = Publisher::connected("gateway", home.mqtt()).await?;
    let from = now_ms();
    for fan in 0..fans {
        while !line.has_room() {
            line.acknowledgements().await?;
        }
        line.queue(&format!("telemetry/fan-{fan}"), rows(HEALTHY, FAILED), 0)?;
    }
    line.drain().await?;
    Ok(now_ms() - from)
}

/// One machine after the other fails at the other sites; when the message with its fault was sent.
async fn elsewhere(home: &Home, count: usize) -> Result<Vec<i64>> {
    let mut line = Publisher::connected("plant", home.mqtt()).await?;
    let mut sent = Vec::with_capacity(count);
    for one in 0..count {
        let fault = rows(HEALTHY, FAILED);
        sent.push(now_ms());
        line.publish_all(&format!("telemetry/lone-{one}"), [(fault, 0)])
            .await?;
        sleep(BETWEEN).await;
    }
    Ok(sent)
}

/// The case of each machine elsewhere, and when it was opened in event time: at the first reading
/// without power, which the message with the fault holds ten seconds before its end.
async fn cases_elsewhere(api: &Api, count: usize) -> Result<Vec<(String, i64)>> {
    let mut found = Vec::with_capacity(count);
    for one in 0..count {
        let open = api.all(&format!("/cases?asset=lone-{one}")).await?;
        ensure!(open.len() == 1, "{} cases of lone-{one}", open.len());
        let case = &open[0];
        ensure!(case["severity"] == "critical", "{case}");
        let id = case["id"].as_str().context("a case without id")?;
        let detail = api.get(&format!("/cases/{id}")).await?;
        let events = detail["events"].as_array().context("no log")?;
        let opened = events.iter().find(|event| event["kind"] == "opened");
        found.push((
            id.to_owned(),
            millis(&opened.context("never opened")?["at"])?,
        ));
    }
    Ok(found)
}

/// Messages about a case by name, each under an id of its own.
fn told_of<'a>(arrived: &'a [Arrived], bodies: &[Value], case: &str) -> Vec<&'a Arrived> {
    arrived
        .iter()
        .zip(bodies)
        .filter(|(one, body)| one.taken && body["subject"] == case)
        .map(|(one, _)| one)
        .collect()
}

/// Nobody was told more than people can read, in any ten minutes, each message counted once.
fn nobody_got_too_much(arrived: &[Arrived], bodies: &[Value]) -> Result<()> {
    let mut by_person: BTreeMap<String, BTreeMap<&str, i64>> = BTreeMap::new();
    for (one, body) in arrived.iter().zip(bodies) {
        let person = body["data"]["recipient"].to_string();
        let told = by_person.entry(person).or_default();
        told.entry(&one.id).or_insert(one.at_ms);
    }
    for (person, told) in by_person {
        let mut times: Vec<i64> = told.into_values().collect();
        times.sort_unstable();
        let most = times.iter().enumerate().map(|(at, first)| {
            let window = times[at..].iter();
            window.take_while(|time| **time < first + WINDOW_MS).count()
        });
        let most = most.max().unwrap_or(0);
        ensure!(most <= LIMIT, "{person} got {most} messages in ten minutes");
    }
    Ok(())
}

fn said(what: &str, mut delays_ms: Vec<i64>) -> String {
    delays_ms.sort_unstable();
    // The smallest of at least this share of all.
    let quantile = |share: f64| {
        let rank = (share * delays_ms.len() as f64).ceil() as usize;
        delays_ms[rank.clamp(1, delays_ms.len()) - 1]
    };
    format!(
        "{what}: p50 {} ms, p99 {} ms, at most {} ms",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_elsewhere_during_a_flood_is_told_by_name_and_once() -> Result<()> {
    let scale = if tools::long() { LONG } else { SHORT };
    let hook = Sink::web(Manner::Takes).await?;
    let home = home(&scale, &hook)?;
    let program = home.start().await?;
    let api = home.api();
    let onboard = home.command(&["onboard", "fans.csv", "--api", api.root()])?;
    tools::succeed(&mut Command::from(onboard), SOON).await?;

    let hall = flood(&home, scale.fans);
    let (took, sent) = tokio::try_join!(hall, elsewhere(&home, scale.elsewhere))?;
    api.caught_up(DRAINED).await?;
    let cases = cases_elsewhere(&api, scale.elsewhere).await?;
    let arrived = until("all of them to be told", DRAINED, async || {
        let arrived = hook.arrived();
        let bodies: Vec<Value> = arrived.iter().map(Arrived::json).collect::<Result<_>>()?;
        let missing = cases
            .iter()
            .filter(|(case, _)| told_of(&arrived, &bodies, case).is_empty());
        let missing = missing.count();
        ensure!(missing == 0, "{missing} were not told");
        Ok(Some(arrived))
    })
    .await?;

    // All of the hall is listed, and one order stands for it.
    until(
        "the hall to be listed behind one order",
        DRAINED,
        async || {
            let listed = api.all("/cases?status=open&site=hall").await?;
            ensure!(listed.len() == scale.fans, "{} are listed", listed.len());
            let ordered = listed.iter().filter(|case| case["work_order"].is_string());
            let ordered = ordered.count();
            ensure!(ordered == 1, "{ordered} orders");
            Ok(Some(()))
        },
    )
    .await?;
    let bodies: Vec<Value> = arrived.iter().map(Arrived::json).collect::<Result<_>>()?;
    let (mut since_publish, mut since_opening) = (Vec::new(), Vec::new());
    for ((case, opened), sent) in cases.iter().zip(&sent) {
        let told = told_of(&arrived, &bodies, case);
        let ids: BTreeSet<&str> = told.iter().map(|one| &*one.id).collect();
        ensure!(ids.len() == 1 && told.len() == 1, "{case}: {ids:?}");
        since_publish.push(told[0].at_ms - sent);
        since_opening.push(told[0].at_ms - opened);
    }
    let all = hook.arrived();
    let bodies: Vec<Value> = all.iter().map(Arrived::json).collect::<Result<_>>()?;
    nobody_got_too_much(&all, &bodies)?;
    println!(
        "{} fans of one hall failed, published in {took} ms; {} machines elsewhere from its start on, one every {} ms",
        scale.fans,
        scale.elsewhere,
        BETWEEN.as_millis()
    );
    println!(
        "{}",
        said("from the fault's publish to its message", since_publish)
    );
    println!(
        "{}",
        said(
            "from the case's opening in event time to its message",
            since_opening
        )
    );
    program.terminate(SOON).await?;
    Ok(())
}
