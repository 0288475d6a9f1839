//! What each payload becomes, and that nothing ever panics or disagrees with `serde_json`.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use telemetry::{
    Admission, Claim, CredentialId, DeadLetterReason as Reason, Denied, DeviceRules, Grant,
    OpenGate, ReadingBatch,
};

use super::*;

/// Every test message arrives at this time: 2020-03-09T10:14:33Z (`date -u -d @1583748873`).
const NOW: Timestamp = Timestamp::from_secs(1_583_748_873);

/// Registration is closed and nobody is registered.
struct ClosedGate;

impl DeviceGate for ClosedGate {
    fn admit(&self, _: &DeviceId) -> Admission {
        Admission::Unknown
    }

    fn rules(&self, _: &DeviceId) -> Option<Arc<DeviceRules>> {
        None
    }

    fn generation(&self) -> u64 {
        0
    }

    fn authenticate(&self, _: &Claim<'_>) -> Result<Grant, Denied> {
        Err(Denied::Missing)
    }

    fn is_valid(&self, _: CredentialId) -> bool {
        false
    }
}

fn decode_with(
    decoder: &Decoder,
    topic: &str,
    payload: &[u8],
    admission: Admission,
) -> JournalRecord {
    let mut record = JournalRecord::default();
    let message = Message::new(topic, payload, NOW);
    let cache = &mut TopicCache::default();
    let verdict = match admission {
        Admission::Admitted => decoder.decode(cache, message, &OpenGate, &mut record),
        Admission::Unknown => decoder.decode(cache, message, &ClosedGate, &mut record),
    };
    assert_eq!(verdict, Verdict::Taken);
    record
}

fn decode(topic: &str, payload: &[u8]) -> JournalRecord {
    decode_with(&Decoder::default(), topic, payload, Admission::Admitted)
}

/// Rows as `ms: signal=value signal=value | …`, received time as `now`.
fn rows(record: &JournalRecord) -> String {
    let batch = &record.readings;
    let rows: Vec<String> = batch
        .rows()
        .map(|row| {
            assert_eq!(row.received_at, NOW);
            let at = if row.measured_at == NOW {
                "now".into()
            } else {
                format!("{}", row.measured_at.as_micros() as f64 / 1e3)
            };
            let values = row.signals.iter().zip(row.values);
            let values: Vec<_> = values
                .map(|(&signal, value)| format!("{}={value}", batch.signals()[signal as usize]))
                .collect();
            format!("{at}: {}", values.join(" "))
        })
        .collect();
    rows.join(" | ")
}

fn reasons(record: &JournalRecord) -> String {
    let words: Vec<_> = record
        .dead_letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    words.join(" ")
}

/// (payload, rows, reasons of the dead letters).
const JSON_CASES: &[(&str, &str, &str)] = &[
    (r#"{"a":1}"#, "now: a=1", ""),
    (r#"{"ts":1000,"a":1.5,"b":-2}"#, "1000: a=1.5 b=-2", ""),
    (r#"{"a":1.5,"b":-2,"ts":1000}"#, "1000: a=1.5 b=-2", ""),
    (r#" { "ts" : 1000 , "a" : 1 } "#, "1000: a=1", ""),
    ("{\n\t\"a\":\r1}", "now: a=1", ""),
    (r#"{"ts":1000.5,"a":1}"#, "1000.5: a=1", ""),
    (r#"{"ts":1e3,"a":1}"#, "1000: a=1", ""),
    (r#"{"ts":-1000,"a":1}"#, "-1000: a=1", ""),
    (r#"{"ts":0,"a":1}"#, "0: a=1", ""),
    (r#"{"ts":null,"a":1}"#, "now: a=1", ""),
    (r#"{"ts":"1970-01-01T00:00:01Z","a":1}"#, "1000: a=1", ""),
    (
        r#"{"ts":"1970-01-01T01:00:01.25+01:00","a":1}"#,
        "1250: a=1",
        "",
    ),
    (
        r#"{"ts":"1970-01-01T00:00:01\u005a","a":1}"#,
        "1000: a=1",
        "",
    ),
    (r#"{"ts":253402300799999,"a":1}"#, "", "clock_ahead"),
    (r#"{"ts":1583749173000,"a":1}"#, "1583749173000: a=1", ""),
    (r#"{"ts":1583749173001,"a":1}"#, "", "clock_ahead"),
    (r#"{"a":{"value":1.5,"unit":"bar"}}"#, "now: a_bar=1.5", ""),
    (r#"{"t_c":{"unit":"degF","value":212}}"#, "now: t_c=100", ""),
    (
        r#"{"t_c":{"value":1,"unit":"bar"},"b":1}"#,
        "now: b=1",
        "unit_mismatch",
    ),
    (
        r#"{"t":{"value":1,"unit":"furlong"},"b":1}"#,
        "now: b=1",
        "unit_mismatch",
    ),
    (r#"{"a":{"value":1},"b":{"value":null}}"#, "now: a=1", ""),
    (r#"{"a":{"value":"x"},"b":1}"#, "now: b=1", "invalid_value"),
    (
        r#"{"a":{"value":1,"x":2},"b":1}"#,
        "now: b=1",
        "malformed_payload",
    ),
    (
        r#"{"a":{"value":1,"unit":7},"b":1}"#,
        "now: b=1",
        "malformed_payload",
    ),
    (r#"{"ts":253402300800000,"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":-62135596800001,"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":1e300,"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":1e999,"a":1}"#, "", "invalid_timestamp"),
    (
        r#"{"ts":99999999999999999999,"a":1}"#,
        "",
        "invalid_timestamp",
    ),
    (
        r#"{"ts":1583748873000000000,"a":1}"#,
        "",
        "invalid_timestamp",
    ),
    (r#"{"ts":"yesterday","a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":"","a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":"1000","a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":true,"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":[1],"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":NaN,"a":1}"#, "", "invalid_timestamp"),
    (r#"{"ts":1,"ts":2,"a":1}"#, "", "malformed_payload"),
    (
        r#"[{"ts":1000,"a":1},{"ts":2000,"a":2}]"#,
        "1000: a=1 | 2000: a=2",
        "",
    ),
    (r#"[{"a":1}]"#, "now: a=1", ""),
    (
        r#"[{"ts":"x","a":1},{"ts":2000,"a":2}]"#,
        "2000: a=2",
        "invalid_timestamp",
    ),
    (
        r#"[{"a":1},2,"x",null,[],{"b":2}]"#,
        "now: a=1 | now: b=2",
        "malformed_payload",
    ),
    (
        r#"[{"a":1},{},{"b":2}]"#,
        "now: a=1 | now: b=2",
        "empty_payload",
    ),
    (r#"[{"a":1},{"b":2}"#, "", "malformed_payload"),
    (r#"[{"a":1},]"#, "", "malformed_payload"),
    (r#"[{"a":1} {"b":2}]"#, "", "malformed_payload"),
    (r"[]", "", "empty_payload"),
    (r"{}", "", "empty_payload"),
    (r"[{}]", "", "empty_payload"),
    (r#"{"ts":1000}"#, "", "empty_payload"),
    (r#"{"a":null}"#, "", "empty_payload"),
    (r#"{"a":null,"b":1}"#, "now: b=1", ""),
    ("", "", "empty_payload"),
    (" \n", "", "empty_payload"),
    (r#"{"a":"on","b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":"21.5"}"#, "", "invalid_value"),
    (r#"{"a":true,"b":1,"c":false}"#, "now: b=1", "invalid_value"),
    (r#"{"a":{"x":1},"b":1}"#, "now: b=1", "malformed_payload"),
    (r#"{"a":[1,2],"b":1}"#, "now: b=1", "malformed_payload"),
    (r#"{"a":NaN,"b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":Infinity,"b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":-Infinity,"b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":1e999,"b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":-1e999,"b":1}"#, "now: b=1", "invalid_value"),
    (r#"{"a":1e-999}"#, "now: a=0", ""),
    (
        r#"{"a":123456789012345678901234567890}"#,
        "now: a=123456789012345680000000000000",
        "",
    ),
    (r#"{"a":1,"a":2}"#, "", "malformed_payload"),
    (
        r#"[{"a":1,"a":2},{"a":3}]"#,
        "now: a=3",
        "malformed_payload",
    ),
    (r#"{"a":1,"\u0061":2}"#, "", "malformed_payload"),
    (r#"{"\u0061":1}"#, "now: a=1", ""),
    (
        r#"{"Volume Flow RateRMS":1}"#,
        "now: Volume Flow RateRMS=1",
        "",
    ),
    (r#"{"温度":1}"#, "now: 温度=1", ""),
    (r#"{"a/b":1,"c":2}"#, "now: c=2", "invalid_signal"),
    (r#"{"":1,"c":2}"#, "now: c=2", "invalid_signal"),
    (r#"{"\ud800":1,"c":2}"#, "now: c=2", "invalid_signal"),
    (r#"{"a\n":1,"c":2}"#, "now: c=2", "invalid_signal"),
    (r#"{"a/b":null,"c":2}"#, "now: c=2", ""),
    (
        r#"{"a":"x","a/b":1,"c":[],"ts":5}"#,
        "",
        "invalid_value invalid_signal malformed_payload",
    ),
    ("21.5", "", "malformed_payload"),
    (r#""text""#, "", "malformed_payload"),
    ("null", "", "malformed_payload"),
    ("hello", "", "malformed_payload"),
    ("{", "", "malformed_payload"),
    (r#"{"a":1"#, "", "malformed_payload"),
    (r#"{"a":1}}"#, "", "malformed_payload"),
    (r#"{"a":1}{"a":2}"#, "", "malformed_payload"),
    (r#"{"a":1} x"#, "", "malformed_payload"),
    (r#"{"a":01}"#, "", "malformed_payload"),
    (r#"{"a":+1}"#, "", "malformed_payload"),
    (r#"{"a":.5}"#, "", "malformed_payload"),
    (r#"{"a":0x1F}"#, "", "malformed_payload"),
    (r#"{"a":1,}"#, "", "malformed_payload"),
    (r"{'a':1}", "", "malformed_payload"),
    (r"{a:1}", "", "malformed_payload"),
    ("{\"a\tb\":1}", "", "malformed_payload"),
    ("\u{feff}{\"a\":1}", "", "malformed_payload"),
    ("temperature,21.5", "", "malformed_payload"),
    ("<a>1</a>", "", "malformed_payload"),
];

#[test]
fn json_payloads_become_rows_and_dead_letters() {
    for (payload, expected, letters) in JSON_CASES {
        let record = decode("telemetry/p1", payload.as_bytes());
        assert_eq!(rows(&record), *expected, "{payload}");
        assert_eq!(reasons(&record), *letters, "{payload}");
        for letter in &record.dead_letters {
            assert_eq!(letter.device.as_ref().unwrap().as_str(), "p1");
            assert_eq!(letter.payload, payload.as_bytes());
            assert!(letter.detail.len() > 20, "{payload}: {}", letter.detail);
        }
    }
}

#[test]
fn number_payloads_become_one_reading() {
    let cases: &[(&str, &str, &str)] = &[
        ("21.5", "now: t_c=21.5", ""),
        (" -3e2\r\n", "now: t_c=-300", ""),
        ("+5", "now: t_c=5", ""),
        (r#"{"value":1}"#, "now: t_c=1", ""),
        (r#"{"ts":1000,"value":1}"#, "1000: t_c=1", ""),
        (
            r#"{"value":1,"ts":"1970-01-01T00:00:01Z"}"#,
            "1000: t_c=1",
            "",
        ),
        (r#"{"ts":null,"value":1}"#, "now: t_c=1", ""),
        ("", "", "empty_payload"),
        (" ", "", "empty_payload"),
        ("{}", "", "empty_payload"),
        (r#"{"value":null}"#, "", "empty_payload"),
        ("nan", "", "invalid_value"),
        ("inf", "", "invalid_value"),
        ("1e999", "", "invalid_value"),
        ("on", "", "invalid_value"),
        ("21,5", "", "invalid_value"),
        ("1 2", "", "invalid_value"),
        ("[1]", "", "invalid_value"),
        (r#"{"value":"1"}"#, "", "invalid_value"),
        (r#"{"value":NaN}"#, "", "invalid_value"),
        (r#"{"ts":"x","value":1}"#, "", "invalid_timestamp"),
        (r#"{"value":1,"unit":"C"}"#, "now: t_c=1", ""),
        (r#"{"value":1,"unit":"bar"}"#, "", "unit_mismatch"),
        (r#"{"value":1,"unit":1}"#, "", "malformed_payload"),
        (r#"{"value":1,"place":"C"}"#, "", "malformed_payload"),
        (r#"{"value":1,"value":2}"#, "", "malformed_payload"),
        (r#"{"value":1"#, "", "malformed_payload"),
    ];
    for (payload, expected, letters) in cases {
        let record = decode("telemetry/p1/t_c", payload.as_bytes());
        assert_eq!(rows(&record), *expected, "{payload}");
        assert_eq!(reasons(&record), *letters, "{payload}");
    }
}

#[test]
fn topics_without_a_place_are_dead_letters_with_advice() {
    let long = format!("telemetry/{}", "x".repeat(65));
    for (topic, reason, device) in [
        ("sensors/p1", Reason::UnknownTopic, None),
        ("telemetry", Reason::UnknownTopic, None),
        ("telemetry/", Reason::UnknownTopic, None),
        ("telemetry/a b", Reason::UnknownTopic, None),
        (long.as_str(), Reason::UnknownTopic, None),
        ("telemetry/p1/t/x", Reason::UnknownTopic, None),
        ("$SYS/p1", Reason::UnknownTopic, None),
        ("telemetry/p1/bad\\name", Reason::InvalidSignal, Some("p1")),
        ("telemetry/p1/", Reason::InvalidSignal, Some("p1")),
    ] {
        let record = decode(topic, b"1");
        let [letter] = record.dead_letters.as_slice() else {
            panic!("{topic}")
        };
        assert!(record.readings.is_empty());
        assert_eq!(letter.reason, reason, "{topic}");
        assert_eq!(
            letter.device.as_ref().map(DeviceId::as_str),
            device,
            "{topic}"
        );
        assert_eq!(letter.topic, topic);
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_with_their_place() {
    let record = decode("telemetry/p1", b"{\"a\xff\":1}");
    assert_eq!(reasons(&record), "malformed_payload");
    assert!(
        record.dead_letters[0].detail.contains("byte 3"),
        "{}",
        record.dead_letters[0].detail
    );
}

#[test]
fn a_device_that_is_not_admitted_is_a_dead_letter_and_its_payload_is_not_read() {
    let record = decode_with(
        &Decoder::default(),
        "telemetry/p1",
        b"{bad",
        Admission::Unknown,
    );
    assert_eq!(reasons(&record), "unknown_device");
}

#[test]
fn limits_on_size_items_keys_and_letters_hold() {
    let decoder = Decoder::default().with_max_payload_bytes(20);
    let record = decode_with(&decoder, "telemetry/p1", &[b' '; 21], Admission::Admitted);
    assert_eq!(reasons(&record), "too_large");

    let array = |n: usize| format!("[{}]", vec!["{\"a\":1}"; n].join(","));
    assert_eq!(
        decode("telemetry/p1", array(10_000).as_bytes())
            .readings
            .row_count(),
        10_000
    );
    let record = decode("telemetry/p1", array(10_001).as_bytes());
    assert_eq!(
        (rows(&record), reasons(&record)),
        (String::new(), "malformed_payload".into())
    );

    let object = |n: usize| {
        let keys: Vec<_> = (0..n).map(|at| format!("\"k{at}\":{at}")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert_eq!(
        decode("telemetry/p1", object(1_000).as_bytes())
            .readings
            .reading_count(),
        1_000
    );
    let record = decode("telemetry/p1", object(1_001).as_bytes());
    assert_eq!(
        (rows(&record), reasons(&record)),
        (String::new(), "malformed_payload".into())
    );

    let bad = format!("[{}]", vec!["{\"a\":\"x\"}"; 500].join(","));
    let record = decode("telemetry/p1", bad.as_bytes());
    let [letter] = record.dead_letters.as_slice() else {
        panic!("one letter a reason")
    };
    assert!(
        letter.detail.ends_with("and 492 more like these"),
        "{}",
        letter.detail
    );
    assert_eq!(letter.payload, bad.as_bytes());
    assert_eq!(letter.payload_len, bad.len() as u64);
}

#[test]
fn the_detail_names_the_key_and_the_item() {
    let record = decode("telemetry/p1", br#"[{"a":1},{"pressure_bar":"high"}]"#);
    let detail = &record.dead_letters[0].detail;
    assert!(
        detail.contains("$[1].pressure_bar") && detail.contains("high"),
        "{detail}"
    );
}

#[test]
fn a_cache_of_topics_never_mixes_devices() {
    let decoder = Decoder::default();
    let mut cache = TopicCache::default();
    let mut record = JournalRecord::default();
    for round in 0..3 {
        for device in 0..1_500 {
            let topic = format!("telemetry/d{device}");
            let payload = format!("{{\"ts\":{round},\"a\":{device}}}");
            let message = Message::new(&topic, payload.as_bytes(), NOW);
            let _ = decoder.decode(&mut cache, message, &OpenGate, &mut record);
        }
    }
    assert_eq!(record.readings.row_count(), 4_500);
    for row in record.readings.rows() {
        assert_eq!(row.device.as_str(), format!("d{}", row.values[0]));
    }
}

/// A row: its time, and its values with their bits.
type PlainRow = (Timestamp, Vec<(String, u64)>);

/// What the rules say about a payload, told by `serde_json`'s tree instead of our scanner.
fn by_serde(payload: &str) -> Option<Vec<PlainRow>> {
    let value: serde_json::Value = serde_json::from_str(payload).ok()?;
    let items = match value {
        serde_json::Value::Array(items) => items,
        other => vec![other],
    };
    let row = |item: serde_json::Value| {
        let object = item.as_object()?.clone();
        let at = object
            .get("ts")
            .map_or(NOW, |ts| Timestamp::from_millis(ts.as_i64().unwrap()));
        let values: Vec<_> = object
            .iter()
            .filter(|(key, _)| *key != "ts")
            .filter_map(|(key, value)| Some((key.clone(), value.as_f64()?.to_bits())))
            .collect();
        (!values.is_empty()).then_some((at, values))
    };
    Some(items.into_iter().filter_map(row).collect())
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<f64>().prop_filter("JSON has no such number", |v| v.is_finite()).prop_map(|v| format!("{v}")),
        4 => (-100_000..100_000i64, 0..4u32).prop_map(|(v, d)| format!("{:.*}", d as usize, v as f64 / 10f64.powi(d as i32))),
        1 => any::<i64>().prop_map(|v| v.to_string()),
        1 => Just("null".to_string()),
        1 => Just("\"text\"".to_string()),
        1 => Just("[1,{\"x\":2}]".to_string()),
    ]
}

fn object() -> impl Strategy<Value = String> {
    let ts = prop::option::of(-62_135_596_800_000..1_583_748_873_000i64);
    let values = prop::collection::btree_map("[a-z_]{1,12}", value(), 0..8);
    (ts, values, "[ \n]{0,2}").prop_map(|(ts, values, space)| {
        let mut parts: Vec<_> = values
            .into_iter()
            .filter(|(key, _)| key != "ts")
            .map(|(key, value)| format!("\"{key}\":{space}{value}"))
            .collect();
        parts.extend(ts.map(|ts| format!("\"ts\":{ts}")));
        format!("{{{}}}", parts.join(&format!(",{space}")))
    })
}

#[test]
fn messages_of_one_buffer_without_a_time_stay_apart_and_a_clock_that_goes_back_is_believed() {
    let (decoder, mut sender) = (Decoder::default(), TopicCache::default());
    let mut record = JournalRecord::default();
    let hour_ago = NOW - Duration::from_hours(1);
    for at in [NOW, NOW, NOW, hour_ago, hour_ago] {
        let message = Message::new("telemetry/p1/x", b"1", at);
        let _ = decoder.decode(&mut sender, message, &OpenGate, &mut record);
    }
    let times: Vec<_> = record.readings.rows().map(|row| row.measured_at).collect();
    let micro = Duration::from_micros(1);
    let expected = [
        NOW,
        NOW + micro,
        NOW + micro + micro,
        hour_ago,
        hour_ago + micro,
    ];
    assert_eq!(times, expected);
}

proptest! {
    #[test]
    fn generated_objects_give_the_rows_serde_json_gives(items in prop::collection::vec(object(), 1..5), single in any::<bool>()) {
        let payload = if single { items[0].clone() } else { format!("[{}]", items.join(" ,")) };
        let record = decode("telemetry/p1", payload.as_bytes());
        let batch = &record.readings;
        let ours: Vec<_> = batch
            .rows()
            .map(|row| {
                let mut values: Vec<_> = row.signals.iter().zip(row.values)
                    .map(|(&signal, value)| (batch.signals()[signal as usize].to_string(), value.to_bits()))
                    .collect();
                values.sort();
                (row.measured_at, values)
            })
            .collect();
        prop_assert_eq!(Some(ours), by_serde(&payload));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_always_leave_a_trace(payload in prop::collection::vec(any::<u8>(), 0..200), topic in "telemetry/[a-z]{1,3}(/[a-z]{1,3})?") {
        let record = decode(&topic, &payload);
        prop_assert!(!record.is_empty());
        prop_assert!(ReadingBatch::from_columns(record.readings.columns().clone()).is_ok());
    }

    #[test]
    fn almost_json_never_panics_and_always_leaves_a_trace(payload in "[\\[\\]{}:,\" 0-9atse.\\-\\\\nIN]{0,40}") {
        let record = decode("telemetry/p1", payload.as_bytes());
        prop_assert!(!record.is_empty());
        prop_assert!(ReadingBatch::from_columns(record.readings.columns().clone()).is_ok());
    }
}
