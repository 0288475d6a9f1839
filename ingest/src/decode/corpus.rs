//! The malformed corpus of `tests/corpus`: every payload is refused for the reason its file
//! says, the good readings beside it are kept, and nothing panics.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use telemetry::{OpenGate, SignalName};

use super::{
    Decoder, Format, JsonPaths, Message, TimeUnit, TopicPattern,
    testing::{NOW, take},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    topic: String,
    content_type: Option<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    payload: Option<String>,
    payload_hex: Option<String>,
    reasons: Vec<String>,
    readings: usize,
    #[serde(default)]
    waveforms: usize,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let Some(hex) = &self.payload_hex else {
            return self.payload.clone().unwrap().into_bytes();
        };
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }
}

/// The default patterns, and one for the nested documents.
fn decoder() -> Decoder {
    let signal = |name| SignalName::new(name).unwrap();
    let paths = [(signal("a"), "d.a"), (signal("b"), "d.b")];
    let paths = JsonPaths::new(paths, Some("t"), TimeUnit::Ms).unwrap();
    let nested = Format::JsonPaths(paths.into());
    let mut patterns = vec![TopicPattern::parse("nested/{device}", nested).unwrap()];
    patterns.extend(Decoder::default().patterns().iter().cloned());
    Decoder::new(patterns).with_max_payload_bytes(1 << 20)
}

#[test]
fn every_payload_is_refused_for_its_reason_and_good_readings_are_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    let (mut cases, mut malformed, mut wrong) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let all: Vec<Case> = serde_json::from_str(&text).unwrap();
        for case in all {
            cases += 1;
            malformed += usize::from(!case.reasons.is_empty());
            let properties: Vec<_> = case.properties.clone().into_iter().collect();
            let payload = case.bytes();
            let mut message = Message::new(&case.topic, &payload, NOW);
            message.content_type = case.content_type.as_deref();
            message.properties = &properties;
            let record = take(&decoder(), &OpenGate, message);
            let mut got: Vec<String> = record
                .dead_letters
                .iter()
                .map(|letter| letter.reason.to_string())
                .collect();
            let mut expected = case.reasons.clone();
            got.sort();
            expected.sort();
            let kept = (record.readings.reading_count(), record.waveforms.len());
            if got != expected || kept != (case.readings, case.waveforms) {
                let details: Vec<_> = record.dead_letters.iter().map(|l| &l.detail).collect();
                wrong.push(format!(
                    "{file}: {}: {got:?} {kept:?} {details:?}",
                    case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(malformed >= 200, "{malformed} of {cases}");
}
