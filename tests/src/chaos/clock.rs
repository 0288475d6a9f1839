//! The clock jumps: an hour back, two hours ahead, 400 days ahead, and home again.
//!
//! libfaketime gives the running program another wall clock whenever a file says so; its
//! monotonic clock goes on. Two pumps report all the while: one stamps its rows with a clock of
//! its own, which is right, the other leaves that to the program. Nothing may be lost (what is
//! too far ahead of the program's clock may be set aside, and is listed), and a jump is no reason
//! to find a fault in a pump.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value, json};

use super::{Outcome, Plan};
use crate::{Api, Home, mqtt::Publisher, program::DRAINED_WITHIN, pump::Pump, until};

/// The jumps, in the words of libfaketime.
const JUMPS: [&str; 3] = ["-1h", "+2h", "+400d"];
/// How often each jump is made.
const ROUNDS: usize = 1;
const ROUNDS_LONG: usize = 6;

/// Rows of each pump from which its normal is learned, and rows between two jumps.
const LEARNING_ROWS: usize = 600;
const ROWS: usize = 150;

/// The signal that carries the mark of its row, so that each row can be found again.
const MARK: &str = "mark";
/// There are as many marks; more rows than the long version has.
const MARKS: usize = 8_192;
/// Odd, so that every row has a mark of its own, and so far from one that marks look like noise: a
/// number that only grew would be a finding by itself, and rightly so.
const STRIDE: usize = 5_081;

const OWN: &str = "pump-own-clock";
const RECEIVED: &str = "pump-no-clock";

const SOON: Duration = Duration::from_mins(1);

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let found = LIBRARIES
        .iter()
        .map(PathBuf::from)
        .find(|file| file.is_file());
    let Some(library) = found else {
        return Ok(Outcome::PassedOver(
            "libfaketime is not installed".to_owned(),
        ));
    };
    let home = Home::new()?.with("analytics.learning_rows", &LEARNING_ROWS);
    let jump = home.folder().join("faketime");
    fs::write(&jump, "+0")?;
    let home = home
        .with_env("LD_PRELOAD", &library)
        .with_env("FAKETIME_TIMESTAMP_FILE", &jump)
        .with_env("FAKETIME_NO_CACHE", "1")
        .with_env("DONT_FAKE_MONOTONIC", "1");
    let program = home.start().await?;
    let api = home.api();
    let mut pumps = Pumps::new(&home, plan.seed).await?;
    pumps.report(LEARNING_ROWS + ROWS).await?;
    let mut jumps: Vec<&str> = JUMPS.repeat(plan.pick(ROUNDS, ROUNDS_LONG));
    jumps.shuffle(&mut StdRng::seed_from_u64(plan.seed));
    for to in &jumps {
        for at in [to, "+0"] {
            let before = now(&api).await?;
            fs::write(&jump, at)?;
            until(
                format!("the program's clock to go to {at}"),
                SOON,
                async || {
                    // Every jump is farther than half an hour.
                    let moved = (now(&api).await? - before).abs();
                    Ok((moved > 1_800_000).then_some(()))
                },
            )
            .await?;
            pumps.report(ROWS).await?;
        }
    }
    let books = pumps.compare(&api).await?;
    let cases = api.all("/cases?status=all").await?;
    ensure!(cases.is_empty(), "the jumps made cases: {cases:?}");
    let findings = api.all("/conditions?order=asc&limit=1000").await?;
    let raised: Vec<_> = findings
        .iter()
        .filter(|finding| {
            matches!(
                finding["state"].as_str(),
                Some("alarm" | "fault" | "critical")
            )
        })
        .collect();
    ensure!(raised.is_empty(), "the jumps made findings: {raised:?}");
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(Outcome::Kept(format!(
        "{} jumps and back; {books}; no case, no finding above normal",
        jumps.len()
    )))
}

/// The time by the program's clock, in milliseconds.
async fn now(api: &Api) -> Result<i64> {
    crate::api::millis(&api.status().await?["now"])
}

struct Pumps {
    own: Publisher<usize>,
    received: Publisher<usize>,
    sound: [Pump; 2],
    /// The time of the first row by the pump's own clock, in milliseconds.
    start_ms: i64,
    rows: usize,
}

impl Pumps {
    async fn new(home: &Home, seed: u64) -> Result<Self> {
        // A pump's day is long: the rows come fast, so the clock of its sensors counts half a
        // second a row and ends before now.
        let start_ms = now(&home.api()).await? - 3_600_000;
        Ok(Self {
            own: Publisher::connected(OWN, home.mqtt()).await?,
            received: Publisher::connected(RECEIVED, home.mqtt()).await?,
            sound: [Pump::new(seed, 0), Pump::new(seed ^ 1, 0)],
            start_ms,
            rows: 0,
        })
    }

    /// Both pumps report, and everything is acknowledged.
    async fn report(&mut self, rows: usize) -> Result<()> {
        for _ in 0..rows {
            let at = self.start_ms + self.rows as i64 * 500;
            let mut row: [Value; 2] = [json!({}), json!({})];
            for (row, pump) in row.iter_mut().zip(&mut self.sound) {
                *row = serde_json::from_str(&pump.row(0.0).0)?;
                row[MARK] = json!(mark(self.rows)?);
            }
            let [mut own, mut received] = row;
            own["ts"] = json!(at);
            received
                .as_object_mut()
                .context("a row is an object")?
                .remove("ts");
            let sent = [
                (&mut self.own, OWN, own),
                (&mut self.received, RECEIVED, received),
            ];
            for (device, name, row) in sent {
                while !device.has_room() {
                    device.acknowledgements().await?;
                }
                device.queue(&format!("telemetry/{name}"), row.to_string(), self.rows)?;
            }
            self.rows += 1;
        }
        self.own.drain().await?;
        self.received.drain().await
    }

    /// Every row of both pumps is stored once, or listed.
    async fn compare(&self, api: &Api) -> Result<String> {
        api.caught_up(SOON).await?;
        let mut told = Vec::new();
        for device in [OWN, RECEIVED] {
            // Far beyond every jump on both sides.
            let year = 366 * 86_400_000_i64;
            let span = (self.start_ms - year, self.start_ms + 2 * year);
            let stored = api.readings(device, MARK, span).await?;
            let marks: BTreeSet<usize> = stored.iter().map(|(_, value)| *value as usize).collect();
            ensure!(
                marks.len() == stored.len(),
                "{device}: {} rows are stored {} times",
                marks.len(),
                stored.len()
            );
            let listed = listed(api, device).await?;
            let sent: Vec<usize> = (0..self.rows).map(mark).collect::<Result<_>>()?;
            let lost: Vec<usize> = (0..self.rows)
                .filter(|&row| !marks.contains(&sent[row]) && !listed.contains(&sent[row]))
                .collect();
            ensure!(
                lost.is_empty(),
                "{device}: {} of {} acknowledged rows are neither stored nor listed, first {}",
                lost.len(),
                self.rows,
                lost[0]
            );
            told.push(format!(
                "{device}: {} rows acknowledged, {} stored, {} set aside",
                self.rows,
                marks.len(),
                listed.len()
            ));
        }
        Ok(told.join("; "))
    }
}

/// The mark of a row.
fn mark(row: usize) -> Result<usize> {
    ensure!(
        row < MARKS,
        "there are {MARKS} marks, and row {row} needs one"
    );
    Ok(row * STRIDE % MARKS)
}

/// The marks of the rows of a device among the dead letters.
async fn listed(api: &Api, device: &str) -> Result<BTreeSet<usize>> {
    let letters = api
        .all(&format!("/dead-letters?device={device}&limit=1000"))
        .await?;
    let marks = letters.iter().map(|letter| {
        let payload = letter["payload"].as_str().context("no payload")?;
        let row: Value = serde_json::from_str(payload)?;
        let mark = row[MARK].as_u64().context("no mark")?;
        Ok(usize::try_from(mark)?)
    });
    marks.collect()
}
