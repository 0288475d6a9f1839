//! Bad payloads are listed, each with its reason; nothing good beside them is lost, and the
//! device that sent them stays connected.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{Api, Home, broker::Mosquitto, mqtt::Publisher, pass_over, until};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400_000;

/// One bad message.
struct Bad {
    /// What follows `telemetry/` in its topic; the part before a slash is the device.
    topic: &'static str,
    payload: &'static [u8],
    /// The reasons it has to be listed with, one letter each.
    reasons: &'static [&'static str],
    /// How many readings of signal `good` are kept from it.
    kept: usize,
}

const fn bad(
    topic: &'static str,
    payload: &'static [u8],
    reasons: &'static [&'static str],
    kept: usize,
) -> Bad {
    Bad {
        topic,
        payload,
        reasons,
        kept,
    }
}

/// What devices in the field have been seen to send.
const CORPUS: &[Bad] = &[
    bad("bad-text", b"temperature=21.5", &["malformed_payload"], 0),
    bad(
        "bad-cut",
        br#"{"ts":1709618400000,"good":1"#,
        &["malformed_payload"],
        0,
    ),
    bad(
        "bad-tail",
        br#"{"good":1} and more"#,
        &["malformed_payload"],
        0,
    ),
    bad(
        "bad-utf8",
        b"{\"good\":1,\"\xff\xfe\":2}",
        &["malformed_payload"],
        0,
    ),
    bad(
        "bad-bom",
        b"\xef\xbb\xbf{\"good\":1}",
        &["malformed_payload"],
        0,
    ),
    bad("bad-scalar", b"21.5", &["malformed_payload"], 0),
    bad(
        "bad-twice",
        br#"{"ts":1709618400000,"good":1,"good":2}"#,
        &["malformed_payload"],
        0,
    ),
    bad(
        "bad-item",
        br#"[{"ts":1709618400000,"good":1},7]"#,
        &["malformed_payload"],
        1,
    ),
    bad("bad-nothing", b"", &["empty_payload"], 0),
    bad("bad-object", b"{}", &["empty_payload"], 0),
    bad("bad-array", b"[]", &["empty_payload"], 0),
    bad(
        "bad-time-only",
        br#"{"ts":1709618400000}"#,
        &["empty_payload"],
        0,
    ),
    bad(
        "bad-word",
        br#"{"ts":1709618400000,"good":1,"b":"high"}"#,
        &["invalid_value"],
        1,
    ),
    bad(
        "bad-bool",
        br#"{"ts":1709618400000,"good":1,"b":true}"#,
        &["invalid_value"],
        1,
    ),
    bad(
        "bad-nested",
        br#"{"ts":1709618400000,"good":1,"b":{"c":2}}"#,
        &["malformed_payload"],
        1,
    ),
    bad(
        "bad-huge",
        br#"{"ts":1709618400000,"good":1,"b":1e999}"#,
        &["invalid_value"],
        1,
    ),
    bad(
        "bad-name",
        br#"{"ts":1709618400000,"good":1,"a/b":2}"#,
        &["invalid_signal"],
        1,
    ),
    bad(
        "bad-time",
        br#"{"ts":"yesterday","good":1}"#,
        &["invalid_timestamp"],
        0,
    ),
    bad(
        "bad-era",
        br#"{"ts":99999999999999999999,"good":1}"#,
        &["invalid_timestamp"],
        0,
    ),
    bad(
        "bad-one-of-three",
        br#"[{"ts":1709618400000,"good":1},{"ts":"soon","good":2},{"ts":1709618401000,"good":3}]"#,
        &["invalid_timestamp"],
        2,
    ),
    bad(
        "bad-two-ways",
        br#"[{"ts":1709618400000,"good":1,"b":"x"},{"ts":1709618401000,"good":2,"+c":3}]"#,
        &["invalid_signal", "invalid_value"],
        2,
    ),
    bad("bad-number/good", b"about 20", &["invalid_value"], 0),
    bad("bad-nan/good", b"NaN", &["invalid_value"], 0),
    bad(
        "bad-key/good",
        br#"{"value":1,"colour":"red"}"#,
        &["malformed_payload"],
        0,
    ),
    bad("bad id/good", b"1", &["unknown_topic"], 0),
    bad("bad-deep/a/b/c", b"1", &["unknown_topic"], 0),
];

async fn letters_by_topic(api: &Api) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut letters = BTreeMap::<String, Vec<Value>>::new();
    for letter in api.all("/dead-letters?limit=10").await? {
        let topic = letter["topic"]
            .as_str()
            .context("a letter without topic")?
            .to_owned();
        letters.entry(topic).or_default().push(letter);
    }
    Ok(letters)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_payload_is_listed_with_its_reason() -> Result<()> {
    let home = Home::new()?;
    let _program = home.start().await?;
    let api = home.api();
    // One gateway sends everything over one connection; its own good message follows each bad one.
    let mut gateway = Publisher::connected("gateway", home.mqtt()).await?;
    for (at, bad) in CORPUS.iter().enumerate() {
        let good = format!(r#"{{"ts":{},"good":{at}}}"#, T + at as i64 * 1_000);
        gateway.queue(&format!("telemetry/{}", bad.topic), bad.payload, at)?;
        gateway.queue("telemetry/gateway", good, at)?;
        gateway
            .drain()
            .await
            .with_context(|| format!("after {}", bad.topic))?;
    }
    api.caught_up(SOON).await?;

    let mut by_reason = BTreeMap::<&str, u64>::new();
    let mut kept = 0;
    let letters = letters_by_topic(&api).await?;
    for bad in CORPUS {
        let topic = format!("telemetry/{}", bad.topic);
        let found = letters.get(&topic).map_or(&[][..], Vec::as_slice);
        check_letters(bad, found).with_context(|| topic.clone())?;
        for reason in bad.reasons {
            *by_reason.entry(reason).or_default() += 1;
        }
        if bad.kept > 0 {
            let stored = api.readings(bad.topic, "good", (T, T + 60_000)).await?;
            ensure!(
                stored.len() == bad.kept,
                "{topic}: kept {stored:?}, not {}",
                bad.kept
            );
        }
        kept += bad.kept;
    }

    // Counted as listed, and nothing good lost.
    let summary = api.get("/dead-letters/summary").await?;
    let total: u64 = by_reason.values().sum();
    ensure!(summary["total"] == total, "{summary}, expected {total}");
    for (reason, count) in by_reason {
        ensure!(
            summary["by_reason"][reason] == count,
            "{reason}: {summary}, expected {count}"
        );
    }
    ensure!(api.count("dead_letters").await? == total);
    let stored = api.readings("gateway", "good", (T, T + 60_000)).await?;
    ensure!(
        stored.len() == CORPUS.len(),
        "{} of {} good ones",
        stored.len(),
        CORPUS.len()
    );
    let counted = api.count("readings_stored").await?;
    ensure!(
        counted == (CORPUS.len() + kept) as u64,
        "{counted} readings counted as stored"
    );
    // Who sent nothing good is not taken for a machine.
    let assets: Vec<Value> = api.all("/assets").await?;
    let good = CORPUS.iter().filter(|bad| bad.kept > 0).count() + 1;
    let names: Vec<_> = assets.iter().map(|asset| &asset["id"]).collect();
    ensure!(
        assets.len() == good,
        "{} assets, expected {good}: {names:?}",
        assets.len()
    );
    ensure!(gateway.resent() == 0, "the gateway had to reconnect");
    Ok(())
}

fn check_letters(bad: &Bad, found: &[Value]) -> Result<()> {
    let mut reasons: Vec<_> = found
        .iter()
        .filter_map(|letter| letter["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    ensure!(
        reasons == bad.reasons,
        "listed with {reasons:?}, expected {:?}",
        bad.reasons
    );
    for letter in found {
        let detail = letter["detail"].as_str().unwrap_or_default();
        ensure!(
            !detail.is_empty() && !detail.contains('\n'),
            "no plain detail: {letter}"
        );
        ensure!(letter["payload_len"] == bad.payload.len(), "{letter}");
        let device = bad.topic.split('/').next();
        if bad.reasons != ["unknown_topic"] {
            ensure!(letter["device"].as_str() == device, "{letter}");
        }
        if let Ok(text) = std::str::from_utf8(bad.payload) {
            ensure!(
                letter["payload"] == text,
                "the payload is shown as {}",
                letter["payload"]
            );
        }
    }
    Ok(())
}

/// A list can be narrowed to what one looks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_found_by_reason_and_device() -> Result<()> {
    let home = Home::new()?;
    let _program = home.start().await?;
    let api = home.api();
    let mut gateway = Publisher::connected("gateway", home.mqtt()).await?;
    for (device, payload) in [("a", "{}"), ("a", "nonsense"), ("b", "{}")] {
        gateway
            .publish_all(&format!("telemetry/{device}"), [(payload, ())])
            .await?;
    }
    api.caught_up(SOON).await?;
    for (filter, expected) in [
        ("", 3),
        ("?device=a", 2),
        ("?reason=empty_payload", 2),
        ("?reason=empty_payload&device=b", 1),
        ("?reason=too_large", 0),
    ] {
        let found = api.all(&format!("/dead-letters{filter}")).await?.len();
        ensure!(
            found == expected,
            "{filter:?} lists {found}, expected {expected}"
        );
    }
    Ok(())
}

/// The listener ends a connection that sends a packet beyond its limit; a broker has taken the
/// message already, so there it is listed like any other that fails a check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_hands_on_and_is_too_long_is_listed() -> Result<()> {
    const FAR_TOO_LONG: usize = 300 * 1024;
    let Some(broker) = Mosquitto::start().await? else {
        return pass_over(
            "what_a_broker_hands_on_and_is_too_long_is_listed",
            "no mosquitto",
        );
    };
    let home = Home::new()?.with_subscriber(&broker, "v5")?;
    let _program = home.start().await?;
    let api = home.api();
    home.subscribed().await?;
    let mut device = Publisher::connected("press-1", broker.address()).await?;
    let long = format!(r#"{{"ts":{T},"good":1{}}}"#, " ".repeat(FAR_TOO_LONG));
    let good = |at: i64| format!(r#"{{"ts":{},"good":{at}}}"#, T + at);
    let messages = [(good(0), ()), (long, ()), (good(1), ())];
    device.publish_all("telemetry/press-1", messages).await?;
    until(
        "the letter and the good readings around it",
        SOON,
        async || {
            let letters = api.all("/dead-letters").await?;
            let stored = api.readings("press-1", "good", (T, T + 10)).await?;
            ensure!(
                letters.len() == 1 && stored.len() == 2,
                "{letters:?} {stored:?}"
            );
            ensure!(letters[0]["reason"] == "too_large", "{}", letters[0]);
            let length = letters[0]["payload_len"].as_u64();
            ensure!(length > Some(FAR_TOO_LONG as u64), "{length:?}");
            Ok(Some(()))
        },
    )
    .await
}
