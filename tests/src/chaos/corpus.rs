//! Malformed payloads in every format, of our own making: each is listed with its reasons, what is
//! good in the same message is kept, nothing panics, and the gateway that carries them all is
//! never cut off. Then each once more with bytes changed at random: whatever comes of it, it is
//! acknowledged and accounted for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

use super::{Outcome, Plan};
use crate::{Api, Home, Program, mqtt5::Gateway, program::DRAINED_WITHIN, tools::repository};

/// The least number of cases over all formats.
const CASES: usize = 200;

/// How often each payload is sent with changed bytes.
const CHANGES: usize = 2;
const CHANGES_LONG: usize = 40;

/// The default topics, one for nested documents, and any number of new devices: each case is one.
const CONFIG: &str = r#"
[ingest.checks]
new_devices_per_minute = 0
new_signals_per_minute = 0

[[ingest.topic]]
pattern = "nested/{device}"
format = "json-paths"
paths = { a = "d.a", b = "d.b" }
time_path = "t"
time_unit = "ms"

[[ingest.topic]]
pattern = "telemetry/{device}"
format = "auto"

[[ingest.topic]]
pattern = "telemetry/{device}/{signal}"
format = "auto"

[[ingest.topic]]
pattern = "spBv1.0/#"
format = "sparkplug"
"#;

const SOON: Duration = Duration::from_mins(1);

/// One payload and what has to come of it.
#[derive(Debug)]
struct Case {
    /// `file: name`.
    name: String,
    topic: String,
    content_type: Option<String>,
    properties: Vec<(String, String)>,
    payload: Vec<u8>,
    reasons: BTreeSet<String>,
    readings: u64,
    waveforms: u64,
}

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let cases = read_all()?;
    ensure!(cases.len() >= CASES, "{} cases, not {CASES}", cases.len());
    over_mqtt(&cases).await.context("over MQTT")?;
    over_http(&cases).await.context("over HTTP")?;
    let changed = with_changes(&cases, plan)
        .await
        .context("with changed bytes")?;
    let reasons: BTreeSet<_> = cases.iter().flat_map(|case| &case.reasons).collect();
    Ok(Outcome::Kept(format!(
        "{} payloads with {} different reasons over MQTT and over HTTP, {} good readings kept; {changed}",
        cases.len(),
        reasons.len(),
        cases.iter().map(|case| case.readings).sum::<u64>()
    )))
}

/// The cases of every file, in the order of names.
fn read_all() -> Result<Vec<Case>> {
    let folder = repository().join("tests/corpus");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let all: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file)?)
            .with_context(|| file.display().to_string())?;
        for case in &all {
            let name = format!("{stem}: {}", case["name"].as_str().unwrap_or("?"));
            cases.push(Case::parse(name.clone(), case).context(name)?);
        }
    }
    Ok(cases)
}

impl Case {
    fn parse(name: String, case: &Value) -> Result<Self> {
        let text = |key: &str| case[key].as_str().map(str::to_owned);
        let payload = match (text("payload"), text("payload_hex")) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(hex)) => unhex(&hex)?,
            _ => anyhow::bail!("payload or payload_hex"),
        };
        let properties = case["properties"].as_object().into_iter().flatten();
        let reasons = case["reasons"].as_array().context("no reasons")?;
        Ok(Self {
            name,
            topic: text("topic").context("no topic")?,
            content_type: text("content_type"),
            properties: properties
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            payload,
            reasons: reasons
                .iter()
                .filter_map(|reason| reason.as_str().map(str::to_owned))
                .collect(),
            readings: case["readings"].as_u64().unwrap_or(0),
            waveforms: case["waveforms"].as_u64().unwrap_or(0),
        })
    }

    async fn publish(&self, gateway: &mut Gateway, payload: &[u8]) -> Result<()> {
        let content_type = self.content_type.as_deref();
        let sent = gateway.publish(&self.topic, payload, content_type, &self.properties);
        sent.await.with_context(|| self.name.clone())?;
        Ok(())
    }
}

fn unhex(hex: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        u8::from_str_radix(pair, 16).with_context(|| format!("{pair:?} is no byte"))
    });
    pairs.collect()
}

/// A program with the topics of the cases.
async fn program() -> Result<(Home, Program)> {
    let home = Home::new()?.with_config(CONFIG)?;
    let program = home.start().await?;
    Ok((home, program))
}

async fn ends_well(program: Program) -> Result<()> {
    let log = program.log();
    let panicked = log.lines().find(|line| line.contains("panicked"));
    ensure!(panicked.is_none(), "it panicked: {panicked:?}");
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

async fn over_mqtt(cases: &[Case]) -> Result<()> {
    let (home, program) = program().await?;
    let api = home.api();
    let mut gateway = Gateway::connect("gateway", home.mqtt()).await?;
    for case in cases {
        case.publish(&mut gateway, &case.payload).await?;
    }
    api.caught_up(SOON).await?;
    letters_are_right(cases, &api).await?;
    let stored = api.count("readings_stored").await?;
    let good: u64 = cases.iter().map(|case| case.readings).sum();
    ensure!(
        stored == good,
        "{good} good readings were sent, {stored} are stored"
    );
    sums_are_right(&api).await?;
    ends_well(program).await
}

/// Each case is listed under its topic with its reasons and no other.
async fn letters_are_right(cases: &[Case], api: &Api) -> Result<()> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for letter in api.all("/dead-letters?limit=1000").await? {
        let (topic, reason) = (letter["topic"].as_str(), letter["reason"].as_str());
        let detail = letter["detail"].as_str().unwrap_or_default();
        ensure!(!detail.is_empty(), "a letter without a word: {letter}");
        let reasons = found
            .entry(topic.context("no topic")?.to_owned())
            .or_default();
        reasons.insert(reason.context("no reason")?.to_owned());
    }
    let mut expected = BTreeMap::<&str, (BTreeSet<String>, &str)>::new();
    for case in cases {
        let entry = expected.entry(&case.topic).or_default();
        entry.0.extend(case.reasons.iter().cloned());
        entry.1 = &case.name;
    }
    let none = BTreeSet::new();
    let wrong: Vec<String> = expected
        .iter()
        .filter_map(|(topic, (reasons, name))| {
            let found = found.get(*topic).unwrap_or(&none);
            (found != reasons).then(|| format!("{name}: {found:?}, not {reasons:?}"))
        })
        .collect();
    ensure!(
        wrong.is_empty(),
        "{} are listed wrongly:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// The reasons add up to what is listed and counted.
async fn sums_are_right(api: &Api) -> Result<()> {
    let listed = api.all("/dead-letters?limit=1000").await?.len() as u64;
    let summary = api.get("/dead-letters/summary").await?;
    let reasons = summary["by_reason"].as_object().into_iter().flatten();
    let sum: u64 = reasons.filter_map(|(_, count)| count.as_u64()).sum();
    let counted = api.count("dead_letters").await?;
    ensure!(
        listed == sum && sum == counted,
        "{listed} listed, the reasons add up to {sum}, {counted} counted"
    );
    Ok(())
}

async fn over_http(cases: &[Case]) -> Result<()> {
    let (home, program) = program().await?;
    let api = home.api();
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for case in cases {
        let url = format!("{}/api/v1/readings", api.root());
        let mut request = client.post(url).query(&[("topic", &case.topic)]);
        request = request.query(&case.properties).timeout(SOON);
        if let Some(content_type) = &case.content_type {
            request = request.header("content-type", content_type);
        }
        let answer = request.body(case.payload.clone()).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        // Refused whole, or (partly) taken; a failure of the program is neither.
        ensure!(!status.is_server_error(), "{}: {status}: {text}", case.name);
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        let kept = [&said["readings"], &said["waveforms"]].map(|count| count.as_u64().unwrap_or(0));
        if kept != [case.readings, case.waveforms] {
            wrong.push(format!(
                "{}: kept {kept:?}, not {:?}: {status} {text}",
                case.name,
                [case.readings, case.waveforms]
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} are answered wrongly:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    api.caught_up(SOON).await?;
    sums_are_right(&api).await?;
    ends_well(program).await
}

/// Payloads with bytes changed, cut and doubled at random: nothing is expected of them but that
/// each is acknowledged, and that the counters add up afterwards.
async fn with_changes(cases: &[Case], plan: Plan) -> Result<String> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let (home, program) = program().await?;
    let api = home.api();
    let mut gateway = Gateway::connect("gateway", home.mqtt()).await?;
    let mut sent = 0;
    for _ in 0..plan.pick(CHANGES, CHANGES_LONG) {
        for case in cases {
            let payload = changed(&case.payload, &mut rng);
            case.publish(&mut gateway, &payload).await?;
            sent += 1;
        }
    }
    api.caught_up(SOON).await?;
    sums_are_right(&api).await?;
    let acknowledged = api.count("messages_acknowledged").await?;
    ensure!(
        acknowledged == sent,
        "{sent} messages sent, {acknowledged} counted"
    );
    let (stored, refused) = (
        api.count("readings_stored").await?,
        api.count("dead_letters").await?,
    );
    ends_well(program).await?;
    Ok(format!(
        "{sent} more with changed bytes: {refused} dead letters, {stored} readings, all acknowledged"
    ))
}

fn changed(payload: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.random()),
            2 => bytes.extend_from_within(at..),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.random();
                }
            }
        }
        // What is doubled again and again must stay a payload the endpoint takes.
        bytes.truncate(64 << 10);
    }
    bytes
}
