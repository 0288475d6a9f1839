//! People are told: by mail and webhook, each message once, through kills and dead servers; and a
//! customer hears of a visit before somebody stands at the gate.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{
    Api, Home,
    mqtt::Publisher,
    pump::{Pump, STEP_MS},
    sinks::{Manner, Sink},
    until,
};

const SOON: Duration = Duration::from_mins(1);
/// A message that failed is tried again after five seconds at the most at first, and a claim that a
/// killed process left is taken up at the start.
const RETRIED: Duration = Duration::from_secs(90);

const PUMP: &str = "pump-7";
const LEARNING_ROWS: usize = 600;

/// Wang plans and is told by mail, and of what is critical by the webhook; Chen is on call.
fn office(mail: &Sink, hook: &Sink) -> String {
    format!(
        r#"
[notify]
link = "https://bellwether.example"

[[notify.channel]]
id = "mail"
kind = "smtp"
url = "smtp://{}"
from = "bellwether@plant.example"

[[notify.channel]]
id = "hook"
kind = "webhook"
url = "http://{}/in"
secret = "s3cret"
allow_private = true

[[notify.channel]]
id = "inside"
kind = "webhook"
url = "http://{}/latest/meta-data"

[[notify.person]]
id = "wang-li"
name = "王丽"
email = "wang.li@plant.example"
language = "zh"
roles = ["planner"]
channel = "mail"
urgent_channel = "hook"

[[notify.person]]
id = "chen"
channel = "hook"

[[notify.rota]]
id = "plant"
time_zone = "Asia/Shanghai"
first_turn = "2026-01-05T08:00"
members = ["chen"]

[[notify.chain]]
id = "all"
severity = "watch"
steps = ["0s on_call", "0s role:planner", "2s unacknowledged channel:hook"]
"#,
        mail.address(),
        hook.address(),
        hook.address()
    )
}

async fn arrives(sink: &Sink, what: &str, text: &str) -> Result<tests::sinks::Arrived> {
    until(format!("{what} to arrive"), RETRIED, async || {
        let arrived = sink.arrived();
        Ok(arrived
            .into_iter()
            .find(|one| one.taken && one.text.contains(text)))
    })
    .await
}

/// A message that only says that a channel works.
async fn test_message(api: &Api, channel: &str, person: &str) -> Result<String> {
    let body = json!({ "channel": channel, "person": person, "by": "planner-1" });
    let message = api.do_post("/notifications/test", &body).await?;
    Ok(message["id"].as_str().context("an id")?.to_owned())
}

async fn in_state(api: &Api, id: &str, state: &str) -> Result<Value> {
    until(format!("message {id} to be {state}"), RETRIED, async || {
        let all = api.all("/notifications").await?;
        Ok(all
            .into_iter()
            .find(|one| one["id"] == id && one["state"] == state))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_and_a_killed_program_cost_no_message_and_send_none_twice_under_another_id()
-> Result<()> {
    let (mail, hook) = (
        Sink::mail(Manner::Refuses).await?,
        Sink::web(Manner::FallsSilent).await?,
    );
    let home = Home::new()?.with_config(&office(&mail, &hook))?;
    let program = home.start().await?;
    let api = home.api();
    let by_mail = test_message(&api, "mail", "wang-li").await?;
    let by_hook = test_message(&api, "hook", "chen").await?;
    until("both to be tried", SOON, async || {
        let tried = mail.arrived().len() >= 2 && !hook.arrived().is_empty();
        Ok(tried.then_some(()))
    })
    .await?;
    // The webhook has the message and has not said so: nobody knows, and the plug is pulled.
    program.kill()?;
    mail.behaves(Manner::Takes);
    hook.behaves(Manner::Takes);
    let _program = home.start().await?;
    in_state(&api, &by_mail, "sent").await?;
    in_state(&api, &by_hook, "sent").await?;
    ensure!(mail.taken() == [by_mail.clone()], "{:?}", mail.taken());
    ensure!(hook.taken() == [by_hook.clone()], "{:?}", hook.taken());
    let ids = |sink: &Sink| {
        sink.arrived()
            .iter()
            .map(|one| one.id.clone())
            .collect::<Vec<_>>()
    };
    ensure!(
        ids(&mail).iter().all(|id| *id == by_mail),
        "{:?}",
        ids(&mail)
    );
    ensure!(ids(&hook) == [by_hook.clone(), by_hook], "{:?}", ids(&hook));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_inside_the_plant_is_not_called_and_the_message_stays_in_sight() -> Result<()> {
    let (mail, hook) = (
        Sink::mail(Manner::Takes).await?,
        Sink::web(Manner::Takes).await?,
    );
    let home = Home::new()?.with_config(&office(&mail, &hook))?;
    let _program = home.start().await?;
    let api = home.api();
    let message = test_message(&api, "inside", "chen").await?;
    let stuck = in_state(&api, &message, "stuck").await?;
    let error = stuck["last_error"].as_str().unwrap_or_default();
    ensure!(error.contains("not a public address"), "{error}");
    ensure!(hook.arrived().is_empty(), "{:?}", hook.arrived());
    let summary = api.get("/notifications/summary").await?;
    ensure!(summary["stuck"] == 1, "{summary}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_calls_people_and_its_visit_is_announced_to_the_customer() -> Result<()> {
    let (mail, hook) = (
        Sink::mail(Manner::Takes).await?,
        Sink::web(Manner::Takes).await?,
    );
    let home = Home::new()?
        .with("analytics.learning_rows", &LEARNING_ROWS)
        .with_config(&office(&mail, &hook))?;
    let _program = home.start().await?;
    let api = home.api();
    let case = wear(&home, &api).await?;

    // The planner reads it in Chinese, whoever is on call hears it, and as nobody takes it in hand the
    // group is told.
    let told = arrives(&hook, "the call", "person:chen").await?.json()?;
    ensure!(
        told["subject"] == case && told["specversion"] == "1.0",
        "{told:#}"
    );
    ensure!(
        told["data"]["url"] == format!("https://bellwether.example/cases/{case}"),
        "{told:#}"
    );
    until("the planner to be told", RETRIED, async || {
        let by_mail = mail.taken().len()
            + hook
                .arrived()
                .iter()
                .filter(|one| one.text.contains("person:wang-li"))
                .count();
        Ok((by_mail > 0).then_some(()))
    })
    .await?;
    arrives(&hook, "the escalation", "group:hook").await?;
    let log = api.get(&format!("/cases/{case}")).await?;
    let kinds: Vec<&Value> = log["events"]
        .as_array()
        .context("a log")?
        .iter()
        .map(|event| &event["kind"])
        .collect();
    ensure!(kinds.contains(&&json!("escalated")), "{kinds:?}");

    // Somebody takes it, and gives it to Chen, who is told.
    let give = json!({ "to": "chen", "by": "wang-li" });
    api.do_post(
        &format!("/cases/{case}/acknowledge"),
        &json!({ "by": "wang-li" }),
    )
    .await?;
    api.do_post(&format!("/cases/{case}/assign"), &give).await?;
    arrives(&hook, "the assignment", "notification.assigned").await?;

    announce(&api, &mail, &case).await
}

/// A pump that wears out in the hours before now; its case.
async fn wear(home: &Home, api: &Api) -> Result<String> {
    let now = chrono::Utc::now().timestamp_millis();
    let rows = i64::try_from(LEARNING_ROWS)? + 400;
    let mut pump = Pump::new(7, now - rows * STEP_MS);
    let mut device = Publisher::connected(PUMP, home.mqtt()).await?;
    let topic = format!("telemetry/{PUMP}");
    device.publish_all(&topic, pump.healthy(50)).await?;
    until("the pump to be known", SOON, async || {
        Ok(api.get(&format!("/assets/{PUMP}")).await.ok())
    })
    .await?;
    let model = json!({ "name": "Feed pump 7", "model": "centrifugal-pump" });
    api.do_patch(&format!("/assets/{PUMP}"), &model).await?;
    device
        .publish_all(&topic, pump.healthy(LEARNING_ROWS + 150))
        .await?;
    device.publish_all(&topic, pump.wearing(190, 1.0)).await?;
    api.caught_up(SOON).await?;
    let cases = api.all(&format!("/cases?status=open&asset={PUMP}")).await?;
    let case = cases.first().context("a case")?;
    Ok(case["id"].as_str().context("an id")?.to_owned())
}

/// The visit is planned, and the customer reads of it, once.
async fn announce(api: &Api, mail: &Sink, case: &str) -> Result<()> {
    let asset = api.get(&format!("/assets/{PUMP}")).await?;
    let customer = asset["customer"]["id"].as_str().context("a customer")?;
    let contact = json!({ "contact_email": "pumps@harbour.example", "language": "en" });
    api.do_patch(&format!("/customers/{customer}"), &contact)
        .await?;
    api.do_post("/engineers", &json!({ "id": "ENG-7", "name": "Chen" }))
        .await?;
    let order = until("the order", SOON, async || {
        let case = api.get(&format!("/cases/{case}")).await?;
        Ok(case["work_order"].as_str().map(str::to_owned))
    })
    .await?;
    let at = (chrono::Utc::now() + chrono::Duration::days(2)).to_rfc3339();
    let when = json!({ "by": "wang-li", "engineer": "ENG-7", "scheduled_for": at });
    api.do_post(
        &format!("/work-orders/{order}/approve"),
        &json!({ "by": "wang-li" }),
    )
    .await?;
    api.do_post(&format!("/work-orders/{order}/schedule"), &when)
        .await?;
    let notice = arrives(mail, "the notice", "pumps@harbour.example").await?;
    ensure!(
        notice.text.contains(&order) && notice.text.contains("Planned maintenance visit"),
        "{}",
        notice.text
    );

    // The calendar of the engineer has it too.
    let feed = json!({ "engineer": "ENG-7", "by": "wang-li" });
    let feed = api.do_post("/calendar-feeds", &feed).await?;
    let path = feed["path"].as_str().context("a path")?;
    let (status, calendar) = api.text(path).await?;
    ensure!(
        status == 200 && calendar.contains(&order),
        "{status} {calendar}"
    );
    let notices = mail
        .arrived()
        .iter()
        .filter(|one| one.text.contains("pumps@harbour.example"))
        .count();
    ensure!(notices == 1, "{notices} notices");
    Ok(())
}
