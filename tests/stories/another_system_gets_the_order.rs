//! Another maintenance system gets the order: with its plan and its date, once, through a kill; and
//! what that system says of it comes back.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, mqtt::Publisher, pump::Pump, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SOON: Duration = Duration::from_mins(1);
/// A claim that a killed process left runs out after a minute.
const AFTER_THE_LEASE: Duration = Duration::from_mins(3);
/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;
const PUMP: &str = "pump-7";
const LEARNING_ROWS: usize = 600;

/// The system of the customer: keeps what it is told, by key.
#[derive(Clone)]
struct Cmms {
    address: SocketAddr,
    /// Key to body.
    made: Arc<Mutex<BTreeMap<String, Value>>>,
    /// What it does with the next request: nothing is said when it is mute.
    mute: Arc<Mutex<bool>>,
    state: Arc<Mutex<&'static str>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cmms {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let cmms = Self {
            address: listener.local_addr()?,
            made: Arc::default(),
            mute: Arc::new(Mutex::new(true)),
            state: Arc::new(Mutex::new("new")),
        };
        let serving = cmms.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Ok(cmms)
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut seen = Vec::new();
        let (head, body) = loop {
            let mut some = [0; 4_096];
            let count = stream.read(&mut some).await.ok()?;
            seen.extend_from_slice(&some[..count]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
                if body.len() >= length {
                    break (head.to_owned(), body.to_owned());
                }
            }
            if count == 0 {
                return None;
            }
        };
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        let answer = match key {
            Some(key) => {
                let told = serde_json::from_str(&body).ok()?;
                locked(&self.made).entry(key.to_owned()).or_insert(told);
                json!({ "number": 4_711 })
            }
            None => json!({ "order": { "state": *locked(&self.state), "finding": "F1" } }),
        };
        if *locked(&self.mute) {
            // It has taken the order and never says so.
            std::future::pending::<()>().await;
        }
        let text = answer.to_string();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(reply.as_bytes()).await.ok()
    }

    fn made(&self) -> BTreeMap<String, Value> {
        locked(&self.made).clone()
    }
}

const MAPPING: &str = r#"
written_for = "the system of this story"
idempotency_header = "idempotency-key"

[create]
method = "POST"
path = "/orders"
reference = "/number"
body = { title = "{{title_en}}", titel = "{{title_zh}}", text = "{{text_en}}", asset = "{{asset}}", case = "{{case}}", urgency = "{{priority|urgency}}", by = "{{due_by}}", evidence = "{{evidence}}", cost = "{{planned_cost}}" }

[status]
path = "/orders/{{reference}}"
status = "/order/state"
outcome = "/order/finding"
words = { released = "approved", finished = "completed" }
outcomes = { F1 = "confirmed" }

[words.urgency]
"1" = "now"
"*" = "soon"
"#;

fn home(cmms: &Cmms) -> Result<Home> {
    let home = Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS);
    let mapping = home.folder().join("mapping.toml");
    fs::write(&mapping, MAPPING)?;
    home.with_config(&format!(
        "[notify]\nlink = \"https://bellwether.example\"\n\
         [[planning.connector]]\nname = \"cmms\"\nmapping = {:?}\nbase_url = \"http://{}\"\n\
         allow_private = true\ntimeout = \"2s\"\npoll_every = \"1s\"\n",
        mapping.to_str().context("a path")?,
        cmms.address
    ))
}

async fn the_order(api: &Api) -> Result<Value> {
    let orders = until("an order", SOON, async || {
        let orders = api.all(&format!("/work-orders?asset={PUMP}")).await?;
        Ok((!orders.is_empty()).then_some(orders))
    })
    .await?;
    ensure!(orders.len() == 1, "{orders:#?}");
    Ok(orders[0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_worn_bearing_is_told_once_and_ends_with_what_the_other_system_found()
-> Result<()> {
    let cmms = Cmms::start().await?;
    let home = home(&cmms)?;
    let program = home.start().await?;
    let api = home.api();
    let mut device = Publisher::connected(PUMP, home.mqtt()).await?;
    let topic = format!("telemetry/{PUMP}");
    let mut pump = Pump::new(7, START_MS);
    device.publish_all(&topic, pump.healthy(50)).await?;
    until("the pump to be known", SOON, async || {
        Ok(api.get(&format!("/assets/{PUMP}")).await.ok())
    })
    .await?;
    let patch = json!({"name": "Feed pump 7", "model": "centrifugal-pump"});
    api.do_patch(&format!("/assets/{PUMP}"), &patch).await?;
    device
        .publish_all(&topic, pump.healthy(LEARNING_ROWS + 250))
        .await?;
    device.publish_all(&topic, pump.wearing(400, 1.0)).await?;
    api.caught_up(SOON).await?;
    let order = the_order(&api).await?;
    it_says_what_when_and_why(&order)?;

    // The other system has it and does not say so; then the lights go out here.
    until("the order to arrive", SOON, async || {
        Ok((!cmms.made().is_empty()).then_some(()))
    })
    .await?;
    program.kill()?;
    *locked(&cmms.mute) = false;
    let _program = home.start().await?;
    let path = format!("/work-orders/{}", order["id"].as_str().context("an id")?);
    let told = until("the order to be told", AFTER_THE_LEASE, async || {
        let order = api.get(&path).await?;
        let told = order["deliveries"].as_array().context("no deliveries")?;
        let told = told.iter().find(|told| told["kind"] == "create");
        let told = told.context("nothing is to be told")?.clone();
        ensure!(told["state"] == "delivered", "{told}");
        Ok(Some(told))
    })
    .await?;
    ensure!(
        told["reference"] == "4711" && told["connector"] == "cmms",
        "{told}"
    );
    it_arrived_once(&cmms, &order)?;

    // People over there release it and do the work.
    *locked(&cmms.state) = "released";
    status_becomes(&api, &path, "approved").await?;
    *locked(&cmms.state) = "finished";
    let done = status_becomes(&api, &path, "completed").await?;
    ensure!(done["outcome"] == "confirmed", "{done}");
    let case = format!("/cases/{}", order["case"].as_str().context("a case")?);
    until("the case to close", SOON, async || {
        let case = api.get(&case).await?;
        ensure!(
            case["status"] == "closed" && case["outcome"] == "confirmed",
            "{case}"
        );
        Ok(Some(()))
    })
    .await?;
    let connectors = api.all("/connectors").await?;
    let cmms = connectors.iter().find(|one| one["name"] == "cmms");
    ensure!(
        cmms.is_some_and(|one| one["state"] == "ok" && one["stuck"] == 0),
        "{connectors:#?}"
    );
    Ok(())
}

/// The plan of this failure mode, prices, and a date that says what it rests on.
fn it_says_what_when_and_why(order: &Value) -> Result<()> {
    ensure!(
        order["plan"]["id"] == "centrifugal-pump/bearing-wear",
        "{order:#}"
    );
    let steps = order["plan"]["steps"].as_array().context("no steps")?;
    let parts = order["plan"]["parts"].as_array().context("no parts")?;
    ensure!(steps.len() > 4 && !parts.is_empty(), "{order:#}");
    let (planned, failure) = (&order["costs"]["planned"], &order["costs"]["failure"]);
    ensure!(
        planned.as_f64() > Some(0.0) && failure.as_f64() > planned.as_f64(),
        "{order:#}"
    );
    // Nobody has compared forecasts with failures here, so nothing is reckoned with them.
    let date = &order["date"];
    ensure!(
        date["basis"] == "severity" && date["delay_week_cost"].is_null(),
        "{date:#}"
    );
    let words = date["words"]["en"].as_str().context("no words")?;
    ensure!(
        words.contains("no cost of waiting can be reckoned"),
        "{words}"
    );
    ensure!(
        order["due_from"].is_string() && order["due_by"].is_string(),
        "{order:#}"
    );
    Ok(())
}

fn it_arrived_once(cmms: &Cmms, order: &Value) -> Result<()> {
    let made = cmms.made();
    let keys: Vec<&String> = made.keys().collect();
    let case = order["case"].as_str().context("a case")?;
    ensure!(keys == [case], "{keys:?}");
    let told = &made[case];
    ensure!(
        told["title"] == "Feed pump 7: Renew the pump bearings",
        "{told:#}"
    );
    ensure!(told["titel"] == "Feed pump 7：更换泵轴承", "{told:#}");
    ensure!(
        told["evidence"] == format!("https://bellwether.example/cases/{case}"),
        "{told:#}"
    );
    ensure!(
        told["cost"].is_number() && told["asset"] == PUMP,
        "{told:#}"
    );
    let text = told["text"].as_str().context("no text")?;
    ensure!(text.contains("1. ") && text.contains("6309"), "{text}");
    Ok(())
}

async fn status_becomes(api: &Api, path: &str, status: &str) -> Result<Value> {
    until(format!("the order to be {status}"), SOON, async || {
        let order = api.get(path).await?;
        ensure!(order["status"] == status, "{}", order["status"]);
        Ok(Some(order))
    })
    .await
}
