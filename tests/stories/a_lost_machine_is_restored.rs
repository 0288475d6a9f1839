//! A backup is taken from beside the running program, under load; the machine is lost; what was
//! acknowledged before the backup is there in another place, and so are cases and orders.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Api, Home, mqtt::Publisher, pump::Pump, tools, until};
use tokio::{process::Command, task::JoinHandle};

const SOON: Duration = Duration::from_mins(2);

/// 2024-03-05T06:00:00Z.
const START_MS: i64 = 1_709_618_400_000;

/// The machine whose wear makes a case and an order.
const WORN: &str = "pump-worn";
/// The device that reports while the backup is taken.
const BUSY: &str = "press-busy";
/// What it reports.
const SIGNAL: &str = "stroke";

/// Acknowledged times of the busy device, as they come in.
type Book = Arc<Mutex<BTreeSet<i64>>>;

fn read(book: &Book) -> BTreeSet<i64> {
    book.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Reports without a pause, until the connection breaks.
fn report(mut device: Publisher<i64>, book: Book) -> JoinHandle<()> {
    tokio::spawn(async move {
        for at in START_MS.. {
            while !device.has_room() {
                let Ok(acknowledged) = device.acknowledgements().await else {
                    return;
                };
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                book.extend(acknowledged);
            }
            let row = format!("{{\"ts\":{at},\"{SIGNAL}\":{}}}", at % 10);
            if device.queue(&format!("telemetry/{BUSY}"), row, at).is_err() {
                return;
            }
        }
    })
}

/// Waits for a further hundred acknowledgements.
async fn more(book: &Book) -> Result<()> {
    let goal = read(book).len() + 100;
    until("further acknowledgements", SOON, async || {
        Ok((read(book).len() >= goal).then_some(()))
    })
    .await
}

/// Cases and orders, with every field that time alone does not change.
async fn paperwork(api: &Api) -> Result<[Vec<Value>; 2]> {
    api.caught_up(SOON).await?;
    Ok([
        api.all("/cases?status=all").await?,
        api.all("/work-orders").await?,
    ])
}

/// A pump wears until its order is proposed.
async fn wear_out(home: &Home) -> Result<[Vec<Value>; 2]> {
    let api = home.api();
    let mut pump = Pump::new(12, START_MS);
    let mut device = Publisher::connected(WORN, home.mqtt()).await?;
    let mut rows = pump.healthy(900);
    rows.extend(pump.wearing(600, 1.0));
    device
        .publish_all(&format!("telemetry/{WORN}"), rows)
        .await?;
    // The order is there a moment before its case names it.
    until("a case that names its order", SOON, async || {
        let found = paperwork(&api).await?;
        let mut cases = found[0].iter();
        let named = cases.any(|case| case["work_order"].is_string());
        Ok(named.then_some(found))
    })
    .await
}

async fn verb(home: &Home, arguments: &[&str]) -> Result<Value> {
    let told = tools::succeed(&mut Command::from(home.command(arguments)?), SOON).await?;
    Ok(serde_json::from_str(&told)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_is_there_after_a_restore() -> Result<()> {
    let lost = Home::new()?.with("analytics.learning_rows", &600);
    let program = lost.start().await?;
    let before_cases = wear_out(&lost).await?;

    let book = Book::default();
    let device = Publisher::connected(BUSY, lost.mqtt()).await?;
    let reporting = report(device, Arc::clone(&book));
    more(&book).await?;
    let acknowledged = read(&book);
    let copy = lost.folder().join("copy");
    let target = copy.to_str().context("a path of text")?;
    let manifest = verb(&lost, &["backup", target, "--json"]).await?;
    let during = read(&book).len();
    ensure!(
        during > acknowledged.len(),
        "the load stood still meanwhile"
    );
    more(&book).await?;
    program.kill()?;
    gone(reporting).await?;

    let found = Home::new()?.with("analytics.learning_rows", &600);
    let restored = verb(&found, &["restore", target, "--json"]).await?;
    ensure!(restored == manifest, "{restored} is not {manifest}");
    let program = found.start().await?;
    let api = found.api();
    let after_cases = paperwork(&api).await?;
    ensure!(
        after_cases == before_cases,
        "cases and orders were {before_cases:?} and are {after_cases:?}"
    );

    let span = (START_MS - 1, START_MS + 86_400_000);
    let stored = api.readings(BUSY, SIGNAL, span).await?;
    let times: BTreeSet<i64> = stored.iter().map(|(at, _)| *at).collect();
    ensure!(times.len() == stored.len(), "a reading is there twice");
    let missing: Vec<_> = acknowledged.difference(&times).take(5).collect();
    ensure!(missing.is_empty(), "lost, for example {missing:?}");
    ensure!(
        stored
            .iter()
            .all(|(at, value)| value.to_bits() == ((at % 10) as f64).to_bits()),
        "a reading has another value"
    );

    // Life goes on in the new place, from where the copy was taken.
    let mut device = Publisher::connected(BUSY, found.mqtt()).await?;
    let next = START_MS + 86_000_000;
    let row = format!("{{\"ts\":{next},\"{SIGNAL}\":1}}");
    device
        .publish_all(&format!("telemetry/{BUSY}"), [(row, next)])
        .await?;
    api.caught_up(SOON).await?;
    let later = api.readings(BUSY, SIGNAL, span).await?;
    ensure!(later.len() == stored.len() + 1, "{} readings", later.len());
    // What is there already is not overwritten.
    let again = found.command(&["restore", target])?.output()?;
    ensure!(!again.status.success(), "a folder in use was restored into");
    program.kill()
}

/// Waits until the device has noticed that nobody answers.
async fn gone(reporting: JoinHandle<()>) -> Result<()> {
    tests::within("the device to notice", SOON, async {
        reporting.await.context("the device panicked")
    })
    .await
}
