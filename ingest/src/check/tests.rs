//! Each check on a stream of JSON. Time is 2020-03-09T10:14:33Z, second 0 of these tests.

use std::{sync::Arc, time::Duration};

use telemetry::{
    CredentialId, DeviceGate, DeviceId, Event, Grant, JournalRecord, OpenGate, Quota, Scope,
    SignalLimits, SignalName, Timestamp, Unit,
};

use super::CheckConfig;
use crate::{
    Decoder, IngestStats, Message, TopicCache, Verdict,
    decode::testing::{Declared, NOW, reasons, rows},
};

/// A decoder and its counters.
struct Line {
    decoder: Decoder,
    stats: Arc<IngestStats>,
}

impl Line {
    fn new() -> Self {
        let stats = Arc::new(IngestStats::new());
        Self {
            decoder: Decoder::default().with_stats(Arc::clone(&stats)),
            stats,
        }
    }

    fn send(&self, gate: &dyn DeviceGate, topic: &str, payload: &str) -> JournalRecord {
        let mut record = JournalRecord::default();
        let message = Message::new(topic, payload.as_bytes(), NOW);
        let _ = self
            .decoder
            .decode(&mut TopicCache::default(), message, gate, &mut record);
        record
    }

    /// Sends `v` at a second and says what became of it: the value stored, or the reasons.
    fn value(&self, gate: &dyn DeviceGate, second: f64, value: f64) -> String {
        let ts = NOW.as_millis() + (second * 1e3) as i64;
        let record = self.send(
            gate,
            "telemetry/p1",
            &format!("{{\"ts\":{ts},\"v\":{value}}}"),
        );
        match record.readings.rows().next() {
            Some(row) => row.values[0].to_string(),
            None => reasons(&record),
        }
    }
}

fn limits(change: impl FnOnce(&mut SignalLimits)) -> SignalLimits {
    let mut limits = SignalLimits::default();
    change(&mut limits);
    limits
}

fn gate(limits: SignalLimits) -> Declared {
    Declared::one("v", "v", (None, None), limits)
}

#[test]
fn values_outside_the_physical_range_are_quarantined() {
    let gate = gate(limits(|l| (l.min, l.max) = (Some(-1.0), Some(2.0))));
    let line = Line::new();
    for (value, expected) in [
        (-1.0, "-1"),
        (2.0, "2"),
        (2.01, "out_of_range"),
        (-1.01, "out_of_range"),
    ] {
        assert_eq!(line.value(&gate, value, value), expected);
    }
    let record = line.send(&gate, "telemetry/p1", r#"{"v":5,"other":1}"#);
    assert_eq!(
        rows(&record),
        ["p1 0: other=1"],
        "the rest of the row stays"
    );
    let detail = &record.dead_letters[0].detail;
    assert!(
        detail.contains('5') && detail.contains('2') && detail.contains('v'),
        "{detail}"
    );
}

#[test]
fn a_jump_is_quarantined_and_a_new_level_believed_at_the_third_reading() {
    let gate = gate(limits(|l| l.max_rate_per_s = Some(1.0)));
    let line = Line::new();
    for (second, value, expected) in [
        (-100.0, 10.0, "10"),
        (-99.0, 11.0, "11"),
        (-98.0, 50.0, "rate_of_change"),
        (-97.0, 12.0, "12"),
        (-96.0, 50.0, "rate_of_change"),
        (-95.0, 50.5, "rate_of_change"),
        (-94.0, 51.0, "51"),
        (-93.0, 51.5, "51.5"),
        (-92.0, 12.0, "rate_of_change"),
        (-91.0, 90.0, "rate_of_change"),
        (-90.0, 52.0, "52"),
        (-30.0, 100.0, "100"),
        (-95.5, 7.0, "7"),
    ] {
        assert_eq!(line.value(&gate, second, value), expected, "at {second}");
    }
}

#[test]
fn late_duplicate_out_of_order_and_stuck_readings_are_stored_and_counted() {
    let gate = gate(limits(|l| l.stuck_after_s = Some(10.0)));
    let line = Line::new();
    let week = 7.0 * 86_400.0;
    for (second, value) in [
        (-50.0, 1.0),
        (-50.0, 1.0),
        (-45.0, 1.0),
        (-39.0, 1.0),
        (-38.0, 1.0),
        (-60.0, 3.0),
        (-60.0, 3.0),
        (-38.0 - week, 4.0),
        (-39.0 - week, 4.0),
    ] {
        assert_eq!(line.value(&gate, second, value), value.to_string());
    }
    let snapshot = line.stats.snapshot();
    assert_eq!(
        snapshot.readings_stuck, 2,
        "the two that are more than 10 s after the first"
    );
    assert_eq!(snapshot.readings_duplicate, 2);
    assert_eq!(snapshot.readings_out_of_order, 3);
    assert_eq!(
        snapshot.readings_late, 1,
        "a week to the second is not late"
    );
}

#[test]
fn late_readings_of_a_message_are_one_event() {
    let line = Line::new();
    line.send(&OpenGate, "telemetry/p1", r#"{"v":1}"#);
    let old = NOW.as_millis() - 8 * 86_400_000;
    let payload = format!(
        r#"[{{"ts":{old},"v":1,"w":2}},{{"ts":{},"v":1}},{{"v":3}}]"#,
        old - 1_000
    );
    let record = line.send(&OpenGate, "telemetry/p1", &payload);
    assert_eq!(record.readings.reading_count(), 4);
    let (readings, [from, to, newest, _]) = late_of_p1(&record);
    assert_eq!((readings, newest), (3, NOW));
    assert_eq!((from.as_millis(), to.as_millis()), (old - 1_000, old));
}

/// The one late word of a record about device p1: how many readings, and from, to, newest, at.
fn late_of_p1(record: &JournalRecord) -> (u32, [Timestamp; 4]) {
    let [
        Event::LateReadings {
            device,
            readings,
            from,
            to,
            newest,
            at,
        },
    ] = record.events.as_slice()
    else {
        panic!("{:?}", record.events)
    };
    assert_eq!(device.as_str(), "p1");
    (*readings, [*from, *to, *newest, *at])
}

/// A snapshot of two samples of a signal, at a second.
fn snapshot(signal: &str, second: i64) -> String {
    let ts = NOW.as_millis() + second * 1_000;
    format!(r#"{{"ts":{ts},"sample_rate_hz":1000,"signal":"{signal}","samples":[1,2]}}"#)
}

#[test]
fn a_late_waveform_is_stored_counted_and_marked_like_a_reading() {
    const WEEK: i64 = 7 * 86_400;
    let line = Line::new();
    let send = |payload: &str| line.send(&OpenGate, "telemetry/p1", payload);
    assert!(send(&snapshot("a_g", -3)).events.is_empty());
    let late = send(&snapshot("a_g", -4 - WEEK));
    assert_eq!(late.waveforms.len(), 1);
    let (readings, [from, to, newest, at]) = late_of_p1(&late);
    assert_eq!((readings, at), (1, NOW));
    assert_eq!((from.secs_from(NOW), from), (-4.0 - WEEK as f64, to));
    assert_eq!(NOW.since(newest), Duration::from_secs(3));
    assert_eq!(line.stats.snapshot().readings_late, 1);
    assert!(
        send(&snapshot("a_g", -3 - WEEK)).events.is_empty(),
        "a week to the second is not late"
    );
    // Readings and waveforms of a device have one clock.
    let ts = NOW.as_millis() - 9 * 86_400_000;
    let row = send(&format!(r#"{{"ts":{ts},"v":1}}"#));
    assert_eq!(row.events.len(), 1);
    let fresh = Line::new();
    fresh.send(&OpenGate, "telemetry/p1", r#"{"v":1}"#);
    let behind = fresh.send(&OpenGate, "telemetry/p1", &snapshot("a_g", -8 * 86_400));
    assert_eq!(behind.events.len(), 1);
    assert_eq!(fresh.stats.snapshot().readings_late, 1);
}

#[test]
fn waveforms_of_too_many_new_signals_are_quarantined() {
    let config = CheckConfig {
        new_signals_per_minute: 2,
        ..CheckConfig::default()
    };
    let decoder = Decoder::default().with_checks(config);
    let mut sender = TopicCache::default();
    let mut send = |signal: &str, second: i64| {
        let mut record = JournalRecord::default();
        let payload = snapshot(signal, second);
        let now = NOW + Duration::from_secs(second as u64);
        let message = Message::new("telemetry/p1", payload.as_bytes(), now);
        let _ = decoder.decode(&mut sender, message, &OpenGate, &mut record);
        (record.waveforms.len(), reasons(&record))
    };
    let limit = (0, "cardinality_limit".to_owned());
    assert_eq!(send("a_g", 0), (1, String::new()));
    assert_eq!(send("b_g", 0), (1, String::new()));
    assert_eq!(send("c_g", 0), limit);
    assert_eq!(send("a_g", 1), (1, String::new()), "it is known already");
    assert_eq!(send("c_g", 60), (1, String::new()), "the next minute");
}

#[test]
fn an_old_recording_is_not_late_for_a_device_that_has_nothing_newer() {
    let line = Line::new();
    let record = line.send(
        &OpenGate,
        "telemetry/p1",
        r#"[{"ts":1000,"v":1},{"ts":2000,"v":2}]"#,
    );
    assert!(record.events.is_empty() && record.dead_letters.is_empty());
}

#[test]
fn what_was_stored_before_a_restart_counts_when_it_is_seeded() {
    let gate = gate(limits(|l| l.max_rate_per_s = Some(1.0)));
    let line = Line::new();
    let known = (
        DeviceId::new("p1").unwrap(),
        SignalName::new("v").unwrap(),
        NOW,
        5.0,
    );
    line.decoder.seed([known].into_iter());
    assert_eq!(line.value(&gate, 1.0, 50.0), "rate_of_change");
    assert_eq!(line.value(&gate, 0.0, 5.0), "5");
    assert_eq!(line.stats.snapshot().readings_duplicate, 1);
    line.value(&gate, -8.0 * 86_400.0, 1.0);
    assert_eq!(line.stats.snapshot().readings_late, 1);
}

#[test]
fn units_are_converted_and_names_translated_at_the_edge() {
    let limits = limits(|l| l.max = Some(100.0));
    let units = (Some(Unit::Celsius), Some(Unit::Fahrenheit));
    let gate = Declared::one("T1", "bearing_temperature_c", units, limits);
    let line = Line::new();
    for (payload, expected, letters) in [
        (r#"{"T1":50}"#, "p1 0: bearing_temperature_c=10", ""),
        (
            r#"{"T1":{"value":20,"unit":"°C"}}"#,
            "p1 0: bearing_temperature_c=20",
            "",
        ),
        (
            r#"{"T1":{"value":300.15,"unit":"K"},"x":1}"#,
            "p1 0: bearing_temperature_c=27 x=1",
            "",
        ),
        (
            r#"{"T1":{"value":1,"unit":"bar"},"x":1}"#,
            "p1 0: x=1",
            "unit_mismatch",
        ),
        (
            r#"{"T1":{"value":1,"unit":"furlong"},"x":1}"#,
            "p1 0: x=1",
            "unit_mismatch",
        ),
        (r#"{"T1":213}"#, "", "out_of_range"),
    ] {
        let record = line.send(&gate, "telemetry/p1", payload);
        assert_eq!(rows(&record).join(""), expected, "{payload}");
        assert_eq!(reasons(&record), letters, "{payload}");
        for letter in record
            .dead_letters
            .iter()
            .filter(|_| letters == "unit_mismatch")
        {
            let unit = if payload.contains("bar") {
                "bar"
            } else {
                "furlong"
            };
            let detail = &letter.detail;
            assert!(
                detail.contains(unit) && detail.contains("°C") && detail.contains("T1"),
                "{detail}"
            );
        }
    }
}

#[test]
fn more_new_names_in_a_minute_than_believed_are_quarantined() {
    let mut line = Line::new();
    line.decoder = line.decoder.with_checks(CheckConfig {
        new_devices_per_minute: 2,
        new_signals_per_minute: 4,
        ..CheckConfig::default()
    });
    let send = |line: &mut Line, device: &str, payload: &str, minute: u64| {
        let mut record = JournalRecord::default();
        let topic = format!("telemetry/{device}");
        let now = NOW + Duration::from_mins(minute);
        let message = Message::new(&topic, payload.as_bytes(), now);
        let _ = line
            .decoder
            .decode(&mut TopicCache::default(), message, &OpenGate, &mut record);
        (record.readings.reading_count(), reasons(&record))
    };
    for (device, payload, minute, kept, letters) in [
        ("a", r#"{"x":1,"y":1}"#, 0, 2, ""),
        ("b", r#"{"x":1}"#, 0, 1, ""),
        ("c", r#"{"x":1}"#, 0, 0, "cardinality_limit"),
        (
            "a",
            r#"{"x":1,"y":1,"z":1,"w":1}"#,
            0,
            3,
            "cardinality_limit",
        ),
        ("a", r#"{"x":1,"z":1}"#, 0, 2, ""),
        ("c", r#"{"x":1}"#, 1, 1, ""),
        ("a", r#"{"w":1}"#, 1, 1, ""),
    ] {
        let got = send(&mut line, device, payload, minute);
        assert_eq!(
            got,
            (kept, letters.to_owned()),
            "{device} {payload} {minute}"
        );
    }
    let gate = gate(SignalLimits::default());
    line.send(&gate, "telemetry/d", r#"{"v":1}"#);
    let record = line.send(&gate, "telemetry/e", r#"{"v":1}"#);
    assert_eq!(
        record.readings.reading_count(),
        1,
        "what is declared is not new"
    );
}

#[test]
fn a_grant_covers_its_own_device_and_nothing_else() {
    let grant = Grant {
        credential: Some(CredentialId(1)),
        scope: Scope::Device(DeviceId::new("p1").unwrap()),
        quota: Quota::default(),
    };
    let mut sender = TopicCache::of_grant(Arc::new(grant));
    let decoder = Decoder::default();
    for (topic, payload, expected, kept) in [
        ("telemetry/p1", "{\"v\":1}", Verdict::Taken, 1),
        ("telemetry/p2", "{\"v\":1}", Verdict::NotAuthorized, 0),
        ("telemetry/p1", "m,device=p2 v=1", Verdict::NotAuthorized, 0),
        (
            "telemetry/p1",
            "m,device=p2 v=1\nm v=2\nm,device=p1 v=3",
            Verdict::Taken,
            2,
        ),
        (
            "telemetry/p1",
            r#"[{"bn":"p2/","n":"v","v":1}]"#,
            Verdict::NotAuthorized,
            0,
        ),
    ] {
        let mut record = JournalRecord::default();
        let message = Message::new(topic, payload.as_bytes(), NOW);
        let verdict = decoder.decode(&mut sender, message, &OpenGate, &mut record);
        assert_eq!(
            (verdict, record.readings.reading_count()),
            (expected, kept),
            "{topic} {payload}"
        );
        assert_eq!(
            reasons(&record).contains("not_authorized"),
            payload.contains("p2") || topic.contains("p2")
        );
    }
}
