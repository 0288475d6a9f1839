//! Whatever comes, a decoder neither panics nor hands on columns that contradict themselves.
//!
//! Each target runs as a bounded property test here, on the committed corpus first, then on inputs by
//! chance and on the corpus spoiled by them; `cargo bolero test <full name>` drives it by coverage.

use telemetry::{JournalRecord, OpenGate, ReadingBatch};

use super::{
    Decoder, Format, JsonPaths, Message, TimeUnit, TopicCache, TopicPattern, content,
    paths::Path,
    testing::{NOW, decoder},
};
use crate::corpus::{corpus, spoiled};

/// What must hold of every record, whatever was decoded into it.
fn sound(record: &JournalRecord) {
    let columns = record.readings.columns().clone();
    assert!(ReadingBatch::from_columns(columns).is_ok());
    for waveform in &record.waveforms {
        assert!(!waveform.samples.is_empty());
        assert!(waveform.samples.iter().all(|sample| sample.is_finite()));
        assert!(waveform.sample_rate_hz > 0.0 && waveform.sample_rate_hz.is_finite());
    }
    for letter in &record.dead_letters {
        assert!(!letter.detail.is_empty() && letter.is_whole());
    }
}

/// Decodes twice with one sender, so that what the first left behind is used.
fn decode(decoder: &Decoder, topic: &str, content_type: Option<&str>, payload: &[u8]) {
    let mut sender = TopicCache::default();
    for _ in 0..2 {
        let mut record = JournalRecord::default();
        let mut message = Message::new(topic, payload, NOW);
        message.content_type = content_type;
        let _ = decoder.decode(&mut sender, message, &OpenGate, &mut record);
        sound(&record);
        let passed_over = topic.starts_with("spBv1.0");
        assert!(
            passed_over || !record.is_empty(),
            "something must be left of it"
        );
        drop(sender.take_commands());
    }
}

/// Checks an input as it is, and one of the corpus of this target that it spoils.
fn both(corpus: &[Vec<u8>], input: &[u8], check: impl Fn(&[u8])) {
    check(input);
    check(&spoiled(corpus, input));
}

fn any_format(content_type: Option<&str>, payload: &[u8]) {
    decode(&Decoder::default(), "telemetry/p1", content_type, payload);
}

#[test]
fn sniffed_payloads() {
    let corpus = corpus("decode", "decode_sniffed");
    bolero::check!(name = "decode_sniffed").for_each(|input| {
        both(&corpus, input, |payload| {
            any_format(None, payload);
            decode(&Decoder::default(), "telemetry/p1/s", None, payload);
        });
    });
}

#[test]
fn json() {
    let corpus = corpus("decode", "decode_json");
    bolero::check!(name = "decode_json").for_each(|input| {
        both(&corpus, input, |payload| {
            any_format(Some("application/json"), payload);
        });
    });
}

#[test]
fn nested_json() {
    let path = |signal: &str| telemetry::SignalName::new(signal).unwrap();
    let paths = [
        (path("a"), "a"),
        (path("b"), "b[*].v"),
        (path("c"), "$[*].c"),
    ];
    let paths = JsonPaths::new(paths, Some("t"), TimeUnit::Ms).unwrap();
    let decoder = decoder("n/{device}", Format::JsonPaths(paths.into()));
    let corpus = corpus("decode", "decode_nested_json");
    bolero::check!(name = "decode_nested_json").for_each(|input| {
        both(&corpus, input, |payload| {
            decode(&decoder, "n/p1", None, payload);
        });
    });
}

#[test]
fn senml_json() {
    let corpus = corpus("decode", "decode_senml_json");
    bolero::check!(name = "decode_senml_json").for_each(|input| {
        both(&corpus, input, |payload| {
            any_format(Some("application/senml+json"), payload);
        });
    });
}

#[test]
fn senml_cbor() {
    let corpus = corpus("decode", "decode_senml_cbor");
    bolero::check!(name = "decode_senml_cbor").for_each(|input| {
        both(&corpus, input, |payload| {
            any_format(Some("application/senml+cbor"), payload);
        });
    });
}

#[test]
fn sparkplug() {
    let decoder = Decoder::default();
    let corpus = corpus("decode", "decode_sparkplug");
    bolero::check!(name = "decode_sparkplug").for_each(|input| {
        both(&corpus, input, |payload| {
            for kind in ["NBIRTH", "NDATA", "NDEATH"] {
                decode(&decoder, &format!("spBv1.0/g/{kind}/n"), None, payload);
            }
        });
    });
}

#[test]
fn line_protocol() {
    let corpus = corpus("decode", "decode_line_protocol");
    bolero::check!(name = "decode_line_protocol").for_each(|input| {
        both(&corpus, input, |payload| {
            any_format(Some("text/vnd.influx.line-protocol"), payload);
        });
    });
}

#[test]
fn waveform() {
    let content_type = Some("application/vnd.bellwether.waveform");
    let corpus = corpus("decode", "decode_waveform");
    bolero::check!(name = "decode_waveform").for_each(|input| {
        both(&corpus, input, |payload| any_format(content_type, payload));
    });
}

#[test]
fn gzip() {
    let corpus = corpus("decode", "decode_gzip");
    bolero::check!(name = "decode_gzip").for_each(|input| {
        both(&corpus, input, |payload| {
            let mut message = Message::new("telemetry/p1", payload, NOW);
            message.content_type = Some("application/gzip");
            if let Ok(opened) = content::open(message, &Format::Auto, false) {
                assert!(opened.bytes.len() <= content::MAX_UNPACKED_BYTES);
            }
        });
    });
}

#[test]
fn topic_mapping() {
    let corpus = corpus("decode", "topic_mapping");
    bolero::check!(name = "topic_mapping").for_each(|input| {
        both(&corpus, input, |bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return;
            };
            let (pattern, topic) = text.split_once('\n').unwrap_or((text, text));
            decode(&Decoder::default(), topic, None, b"1");
            if let Ok(parsed) = TopicPattern::parse(pattern, Format::Auto) {
                assert_eq!(parsed.to_string(), pattern);
                let _ = parsed.matches(topic);
            }
            let _ = Path::parse(text);
        });
    });
}
