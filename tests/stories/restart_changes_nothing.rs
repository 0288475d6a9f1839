//! A restart changes nothing: the same readings give the same findings, whether the program ran
//! through, was asked to stop, or was killed in the middle.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::{Api, Home, Program, mqtt::Publisher, program::DRAINED_WITHIN, pump::Pump};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-04T00:00:00Z.
const START_MS: i64 = 1_709_510_400_000;

/// Two pumps: one stays sound, one wears out.
const SOUND: &str = "pump-sound";
const WORN: &str = "pump-worn";

type Rows = Vec<(String, i64)>;

/// What each pump reports, in four parts with a restart between each two.
struct Script {
    sound: Vec<Rows>,
    worn: Vec<Rows>,
}

impl Script {
    fn new() -> Self {
        let (mut sound, mut worn) = (Pump::new(11, START_MS), Pump::new(12, START_MS));
        Self {
            sound: [500, 400, 300, 300].map(|rows| sound.healthy(rows)).into(),
            worn: vec![
                worn.healthy(500),
                worn.healthy(400),
                worn.wearing(300, 0.6),
                (0..300)
                    .map(|row| worn.row(0.6 + f64::from(row) / 750.0))
                    .collect(),
            ],
        }
    }
}

fn home() -> Result<Home> {
    Ok(Home::new()?.with("analytics.learning_rows", &600))
}

/// One pump's connection: publishes a part whole, or leaves its tail in flight.
struct Line {
    device: Publisher<i64>,
    topic: String,
}

impl Line {
    async fn new(home: &Home, name: &str) -> Result<Self> {
        let device = Publisher::connected(name, home.mqtt()).await?;
        Ok(Self {
            device,
            topic: format!("telemetry/{name}"),
        })
    }

    async fn publish(&mut self, rows: &Rows) -> Result<()> {
        let rows = rows.iter().map(|(payload, at)| (payload.as_str(), *at));
        self.device.publish_all(&self.topic, rows).await
    }

    /// Publishes without waiting for the last window of acknowledgements, so that what is killed
    /// now may or may not have been stored.
    async fn publish_and_leave_in_flight(&mut self, rows: &Rows) -> Result<()> {
        for (payload, at) in rows {
            while !self.device.has_room() {
                self.device.acknowledgements().await?;
            }
            self.device.queue(&self.topic, payload.as_str(), *at)?;
        }
        self.device.flush().await
    }
}

/// Everything a reader of findings could compare.
async fn findings(api: &Api) -> Result<Value> {
    api.caught_up(SOON).await?;
    let mut all = json!({});
    for asset in [SOUND, WORN] {
        for kind in ["conditions", "assessments", "prognoses"] {
            let path = format!("/{kind}?asset={asset}&order=asc&limit=1000");
            all[asset][kind] = Value::Array(api.all(&path).await?);
        }
        let cases = api.all(&format!("/cases?status=all&asset={asset}")).await?;
        all[asset]["cases"] = cases.iter().map(frozen).collect();
    }
    Ok(all)
}

/// The parts of a case that speak of the machine; when the plant's clock wrote it down is not
/// among them.
fn frozen(case: &Value) -> Value {
    const FIELDS: [&str; 11] = [
        "id",
        "asset",
        "device",
        "failure_mode",
        "severity",
        "opened_at",
        "cleared_at",
        "score",
        "peak_score",
        "evidence",
        "prognosis",
    ];
    FIELDS
        .iter()
        .map(|field| ((*field).to_owned(), case[*field].clone()))
        .collect()
}

async fn uninterrupted(script: &Script) -> Result<Value> {
    let home = home()?;
    let _program = home.start().await?;
    let (mut sound, mut worn) = (
        Line::new(&home, SOUND).await?,
        Line::new(&home, WORN).await?,
    );
    for (sound_rows, worn_rows) in script.sound.iter().zip(&script.worn) {
        tokio::try_join!(sound.publish(sound_rows), worn.publish(worn_rows))?;
    }
    findings(&home.api()).await
}

async fn with_restarts(script: &Script) -> Result<Value> {
    let home = home()?;
    let mut program = home.start().await?;
    let (mut sound, mut worn) = (
        Line::new(&home, SOUND).await?,
        Line::new(&home, WORN).await?,
    );

    // Asked to stop, with all acknowledged.
    tokio::try_join!(
        sound.publish(&script.sound[0]),
        worn.publish(&script.worn[0])
    )?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "SIGTERM: {status}");
    program = again(&home, &mut sound, &mut worn).await?;

    // Killed before analytics had time to save anything of its own.
    tokio::try_join!(
        sound.publish(&script.sound[1]),
        worn.publish(&script.worn[1])
    )?;
    program.kill()?;
    program = again(&home, &mut sound, &mut worn).await?;

    // Killed with messages in flight: some are stored without an acknowledgement and come twice.
    tokio::try_join!(
        sound.publish_and_leave_in_flight(&script.sound[2]),
        worn.publish_and_leave_in_flight(&script.worn[2])
    )?;
    program.kill()?;
    let _program = again(&home, &mut sound, &mut worn).await?;

    tokio::try_join!(
        sound.publish(&script.sound[3]),
        worn.publish(&script.worn[3])
    )?;
    findings(&home.api()).await
}

async fn again(home: &Home, sound: &mut Line, worn: &mut Line) -> Result<Program> {
    let program = home.start().await?;
    sound.device.connect().await?;
    worn.device.connect().await?;
    Ok(program)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_the_same_with_and_without_restarts() -> Result<()> {
    let script = Script::new();
    let (expected, found) = (uninterrupted(&script).await?, with_restarts(&script).await?);
    for asset in [SOUND, WORN] {
        for kind in ["conditions", "assessments", "prognoses", "cases"] {
            compare(asset, kind, &expected[asset][kind], &found[asset][kind])?;
        }
    }
    ensure!(
        expected[WORN]["cases"]
            .as_array()
            .is_some_and(|cases| !cases.is_empty()),
        "the worn pump opened no case, so there was little to compare"
    );
    Ok(())
}

fn compare(asset: &str, kind: &str, expected: &Value, found: &Value) -> Result<()> {
    let none = Vec::new();
    let (expected, found) = (
        expected.as_array().unwrap_or(&none),
        found.as_array().unwrap_or(&none),
    );
    for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
        ensure!(
            expected == found,
            "{asset}: {kind}[{at}] differs:\nwithout restarts {expected}\nwith restarts    {found}"
        );
    }
    ensure!(
        expected.len() == found.len(),
        "{asset}: {} {kind} without restarts, {} with",
        expected.len(),
        found.len()
    );
    ensure!(
        kind == "cases" || !expected.is_empty(),
        "{asset}: no {kind} at all"
    );
    Ok(())
}
