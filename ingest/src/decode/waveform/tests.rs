//! Snapshots in every form. Time is 2020-03-09T10:14:33Z.

use telemetry::{JournalRecord, OpenGate, SignalLimits, Unit};

use super::super::{
    Decoder, Message,
    testing::{Declared, NOW, reasons, take},
};

fn f32s(samples: &[f32]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

fn send(payload: &[u8], properties: &[(&str, &str)]) -> JournalRecord {
    let properties: Vec<_> = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut message = Message::new("telemetry/p1", payload, NOW);
    message.properties = &properties;
    if properties.is_empty() {
        message.content_type = Some("application/vnd.bellwether.waveform");
    }
    take(&Decoder::default(), &OpenGate, message)
}

const RATE: (&str, &str) = ("sample_rate_hz", "25600");
const SIGNAL: (&str, &str) = ("signal", "bearing_acceleration_g");

#[test]
fn the_three_forms_say_the_same() {
    let mut header = br#"{"ts":1583748872500,"sample_rate_hz":25600,"signal":"bearing_acceleration_g","axis":"x","unit":"g"}"#.to_vec();
    header.push(b'\n');
    header.extend(f32s(&[1.0, -2.5, 0.0]));
    let json = br#"{"ts":1583748872500,"sample_rate_hz":25600,"signal":"bearing_acceleration_g","axis":"x","unit":"g","samples":[1,-2.5,0]}"#;
    let words = [
        RATE,
        SIGNAL,
        ("axis", "x"),
        ("unit", "g"),
        ("ts", "1583748872500"),
    ];
    let mut all: Vec<JournalRecord> = vec![
        send(&f32s(&[1.0, -2.5, 0.0]), &words),
        send(&header, &[]),
        send(json, &[]),
        // Without a content type an object with samples is a snapshot too.
        take(
            &Decoder::default(),
            &OpenGate,
            Message::new("telemetry/p1", json, NOW),
        ),
    ];
    let first = all.remove(0);
    let [waveform] = first.waveforms.as_slice() else {
        panic!("{:?}", first.dead_letters)
    };
    assert_eq!(waveform.device.as_str(), "p1");
    assert_eq!(waveform.signal.as_str(), "bearing_acceleration_g");
    assert_eq!(waveform.axis.as_deref(), Some("x"));
    assert_eq!(waveform.unit, Some(Unit::StandardGravity));
    assert_eq!(waveform.measured_at.as_micros() - NOW.as_micros(), -500_000);
    assert_eq!(*waveform.samples, [1.0, -2.5, 0.0]);
    for other in all {
        assert_eq!(other.waveforms, first.waveforms, "{:?}", other.dead_letters);
        assert!(other.readings.is_empty() && other.dead_letters.is_empty());
    }
}

#[test]
fn counts_of_a_converter_are_scaled_and_the_topic_may_name_the_signal() {
    let counts: Vec<u8> = [1_i16, -2, i16::MAX]
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    let properties =
        [RATE, ("encoding", "i16le"), ("scale", "0.5")].map(|(k, v)| (k.into(), v.into()));
    let mut message = Message::new("telemetry/p1/accel_x", &counts, NOW);
    message.properties = &properties;
    let record = take(&Decoder::default(), &OpenGate, message);
    let waveform = &record.waveforms[0];
    assert_eq!((waveform.signal.as_str(), waveform.unit), ("accel_x", None));
    assert_eq!(*waveform.samples, [0.5, -1.0, 16_383.5]);
}

#[test]
fn samples_are_converted_to_the_declared_unit_and_checked() {
    let limits = SignalLimits {
        max: Some(50.0),
        ..SignalLimits::default()
    };
    let gate = Declared::one(
        "raw",
        "bearing_acceleration",
        (Some(Unit::MetrePerSecondSquared), None),
        limits,
    );
    for (unit, sample, expected) in [
        ("g", 1.0, ""),
        ("g", 10.0, "out_of_range"),
        ("bar", 1.0, "unit_mismatch"),
        ("x", 1.0, "unit_mismatch"),
    ] {
        let properties =
            [RATE, ("signal", "raw"), ("unit", unit)].map(|(k, v)| (k.into(), v.into()));
        let payload = f32s(&[sample]);
        let mut message = Message::new("telemetry/p1", &payload, NOW);
        message.properties = &properties;
        let record = take(&Decoder::default(), &gate, message);
        assert_eq!(reasons(&record), expected, "{unit} {sample}");
        if expected.is_empty() {
            assert_eq!(record.waveforms[0].signal.as_str(), "bearing_acceleration");
            assert_eq!(*record.waveforms[0].samples, [9.806_65]);
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_is_no_snapshot_is_refused_whole() {
    let good = f32s(&[1.0]);
    for (payload, properties, expected) in [
        (&good[..], &[RATE][..], "invalid_signal"),
        (&good, &[RATE, ("signal", "a/b")], "invalid_signal"),
        (&good[..3], &[RATE, SIGNAL], "malformed_payload"),
        (
            &good,
            &[("sample_rate_hz", "fast"), SIGNAL],
            "malformed_payload",
        ),
        (
            &good,
            &[("sample_rate_hz", "0"), SIGNAL],
            "malformed_payload",
        ),
        (
            &good,
            &[("sample_rate_hz", "nan"), SIGNAL],
            "malformed_payload",
        ),
        (
            &good,
            &[RATE, SIGNAL, ("encoding", "f64")],
            "unsupported_format",
        ),
        (&good, &[RATE, SIGNAL, ("ts", "soon")], "invalid_timestamp"),
        (
            &good,
            &[RATE, SIGNAL, ("ts", "1583749200000")],
            "clock_ahead",
        ),
        (&good, &[RATE, SIGNAL, ("scale", "x")], "malformed_payload"),
        (
            &good,
            &[
                RATE,
                SIGNAL,
                ("axis", "a very long name of an axis that fits nowhere"),
            ],
            "malformed_payload",
        ),
        (b"", &[RATE, SIGNAL], "empty_payload"),
        (&f32s(&[f32::NAN]), &[RATE, SIGNAL], "invalid_value"),
        (
            &f32s(&[1.0, f32::INFINITY]),
            &[RATE, SIGNAL],
            "invalid_value",
        ),
        (b"{}", &[], "malformed_payload"),
        (
            b"{\"sample_rate_hz\":1,\"signal\":\"s\"}\n",
            &[],
            "empty_payload",
        ),
        (
            br#"{"sample_rate_hz":1,"signal":"s","samples":[]}"#,
            &[],
            "empty_payload",
        ),
        (
            br#"{"sample_rate_hz":1,"signal":"s","samples":[1,null]}"#,
            &[],
            "invalid_value",
        ),
        (
            br#"{"sample_rate_hz":1,"signal":"s","samples":[1e300]}"#,
            &[],
            "invalid_value",
        ),
        (
            br#"{"sample_rate_hz":1,"signal":"s","samples":["1"]}"#,
            &[],
            "malformed_payload",
        ),
        (br#"{"signal":"s","samples":[1]}"#, &[], "malformed_payload"),
        (
            br#"{"sample_rate_hz":1,"signal":"s","samples":[1],"x":1}"#,
            &[],
            "malformed_payload",
        ),
    ] {
        let record = send(payload, properties);
        let text = String::from_utf8_lossy(payload);
        assert_eq!(reasons(&record), expected, "{text} {properties:?}");
        assert!(record.waveforms.is_empty() && record.readings.is_empty());
    }
    let long = f32s(&vec![0.5; telemetry::Waveform::MAX_SAMPLES + 1]);
    let decoder = Decoder::default().with_max_payload_bytes(8 << 20);
    let properties = [RATE, SIGNAL].map(|(k, v)| (k.into(), v.into()));
    let mut message = Message::new("telemetry/p1", &long, NOW);
    message.properties = &properties;
    assert_eq!(reasons(&take(&decoder, &OpenGate, message)), "too_large");
}
