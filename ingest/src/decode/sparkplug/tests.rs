//! A node's life, message by message. Time is 2020-03-09T10:14:33Z.

use std::sync::Arc;

use telemetry::{CredentialId, DeviceId, Grant, JournalRecord, OpenGate, Quota, Scope, Timestamp};

use super::{
    super::{
        Decoder, Message, TopicCache, Verdict,
        testing::{NOW, reasons, rows},
    },
    *,
};

fn metric(name: &str, alias: u64, kind: u32, value: Value) -> Metric {
    Metric {
        name: (!name.is_empty()).then(|| name.into()),
        alias: (alias > 0).then_some(alias),
        datatype: (kind > 0).then_some(kind),
        value: Some(value),
        ..Metric::default()
    }
}

fn payload(seq: u64, metrics: Vec<Metric>) -> Vec<u8> {
    Payload {
        timestamp: Some(NOW.as_millis() as u64),
        metrics,
        seq: (seq < 256).then_some(seq),
    }
    .encode_to_vec()
}

/// A property set with `engUnit`, encoded by hand: keys in field 1, values in field 2.
fn eng_unit(unit: &str) -> Vec<u8> {
    let mut bytes = vec![0x0a, 7];
    bytes.extend(b"engUnit");
    bytes.extend([0x12, unit.len() as u8 + 2, 0x42, unit.len() as u8]);
    bytes.extend(unit.as_bytes());
    bytes
}

/// One sender and a decoder that remembers.
struct Edge {
    decoder: Decoder,
    sender: TopicCache,
}

impl Edge {
    fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            sender: TopicCache::default(),
        }
    }

    fn at(&mut self, topic: &str, payload: &[u8], now: Timestamp) -> JournalRecord {
        let mut record = JournalRecord::default();
        let message = Message::new(topic, payload, now);
        let verdict = self
            .decoder
            .decode(&mut self.sender, message, &OpenGate, &mut record);
        assert_eq!(verdict, Verdict::Taken);
        record
    }

    fn send(&mut self, topic: &str, payload: &[u8]) -> JournalRecord {
        self.at(topic, payload, NOW)
    }

    /// The topics of the births that were asked for.
    fn asked(&mut self) -> Vec<String> {
        let commands = self.sender.take_commands();
        commands
            .into_iter()
            .map(|command| {
                let payload = wire::read(&command.payload).unwrap();
                let [metric] = payload.metrics.as_slice() else {
                    panic!()
                };
                assert_eq!(metric.name.as_deref(), Some("Node Control/Rebirth"));
                assert_eq!(metric.value, Some(Value::Boolean(true)));
                assert_eq!(payload.seq, None, "a command has no sequence number");
                command.topic
            })
            .collect()
    }

    fn born(&mut self) {
        let mut temp = metric("Motor/Temp", 1, datatype::DOUBLE, Value::Double(40.0));
        temp.properties = Some(eng_unit("degF"));
        let birth = payload(
            0,
            vec![
                metric("bdSeq", 0, datatype::INT64, Value::Long(7)),
                metric(
                    "Node Control/Rebirth",
                    0,
                    datatype::BOOLEAN,
                    Value::Boolean(false),
                ),
                temp,
                metric("Count", 2, datatype::INT16, Value::Int(5)),
            ],
        );
        let record = self.send("spBv1.0/g/NBIRTH/n", &birth);
        assert_eq!(reasons(&record), "");
        assert_eq!(record.events.len(), 1);
        let pump = payload(1, vec![metric("p", 3, datatype::FLOAT, Value::Float(1.5))]);
        let record = self.send("spBv1.0/g/DBIRTH/n/pump", &pump);
        assert_eq!(rows(&record), ["g.n.pump 0: p=1.5"]);
        assert_eq!(self.asked(), [""; 0]);
    }
}

#[test]
fn data_by_alias_takes_name_type_and_unit_from_the_birth() {
    let mut edge = Edge::new();
    edge.born();
    let data = payload(
        2,
        vec![
            metric("", 1, 0, Value::Double(212.0)),
            metric("", 2, 0, Value::Int(0xffff_fffe)),
        ],
    );
    let record = edge.send("spBv1.0/g/NDATA/n", &data);
    assert_eq!(rows(&record), ["g.n 0: Motor.Temp_f=212 Count=-2"]);
    let data = payload(3, vec![metric("", 3, 0, Value::Float(2.5))]);
    assert_eq!(
        rows(&edge.send("spBv1.0/g/DDATA/n/pump", &data)),
        ["g.n.pump 0: p=2.5"]
    );
    assert_eq!(edge.asked(), [""; 0]);
}

#[test]
fn integers_are_read_in_their_width() {
    use datatype as is;
    for (kind, value, expected) in [
        (is::INT8, Value::Int(0xff), -1.0),
        (is::INT8, Value::Int(0xffff_ff80), -128.0),
        (is::INT16, Value::Int(0x8000), -32_768.0),
        (is::INT32, Value::Int(0xffff_ffff), -1.0),
        (is::INT64, Value::Long(u64::MAX), -1.0),
        (is::INT64, Value::Long(1 << 40), 1_099_511_627_776.0),
        (is::UINT8, Value::Int(255), 255.0),
        (is::UINT16, Value::Int(65_535), 65_535.0),
        (is::UINT32, Value::Int(u32::MAX), 4_294_967_295.0),
        (is::UINT32, Value::Long(4_294_967_295), 4_294_967_295.0),
        (
            is::UINT64,
            Value::Long(u64::MAX),
            18_446_744_073_709_551_615.0,
        ),
        (is::FLOAT, Value::Float(0.5), 0.5),
    ] {
        assert_eq!(
            number(Some(&value), Some(kind)),
            Ok(expected),
            "{kind} {value:?}"
        );
    }
    for (kind, value) in [
        (is::BOOLEAN, Value::Boolean(true)),
        (12, Value::Text("x".into())),
        (is::DATE_TIME, Value::Long(1)),
        (is::DOUBLE, Value::Double(f64::NAN)),
        (17, Value::Bytes(vec![1])),
        (16, Value::DataSet(wire::Skipped {})),
    ] {
        assert!(number(Some(&value), Some(kind)).is_err(), "{value:?}");
    }
    assert!(number(None, Some(is::INT8)).is_err());
}

#[test]
fn nulls_are_absent_buffered_values_keep_their_time_and_texts_are_refused() {
    let mut edge = Edge::new();
    edge.born();
    let mut null = metric("", 1, 0, Value::Double(0.0));
    (null.is_null, null.value) = (Some(true), None);
    let mut old = metric("", 2, 0, Value::Int(9));
    (old.is_historical, old.timestamp) = (Some(true), Some(NOW.as_millis() as u64 - 60_000));
    let data = payload(
        2,
        vec![
            null,
            old,
            metric("note", 0, 12, Value::Text("x".into())),
            metric("", 2, 0, Value::Int(1)),
        ],
    );
    let record = edge.send("spBv1.0/g/NDATA/n", &data);
    assert_eq!(rows(&record), ["g.n -60: Count=9", "g.n 0: Count=1"]);
    assert_eq!(reasons(&record), "invalid_value");
}

#[test]
fn an_unknown_alias_is_kept_and_asks_for_the_birth_once_in_ten_seconds() {
    let mut edge = Edge::new();
    let data = payload(
        5,
        vec![
            metric("", 9, 0, Value::Double(1.0)),
            metric("named", 0, datatype::DOUBLE, Value::Double(2.0)),
        ],
    );
    let record = edge.send("spBv1.0/g/NDATA/n", &data);
    assert_eq!(rows(&record), ["g.n 0: named=2"]);
    assert_eq!(reasons(&record), "unknown_alias");
    assert_eq!(edge.asked(), ["spBv1.0/g/NCMD/n"]);
    edge.send("spBv1.0/g/NDATA/n", &data);
    assert_eq!(edge.asked(), [""; 0]);
    edge.at(
        "spBv1.0/g/NDATA/n",
        &data,
        NOW + std::time::Duration::from_secs(10),
    );
    assert_eq!(edge.asked().len(), 1);

    let birth = payload(
        0,
        vec![metric("late", 9, datatype::DOUBLE, Value::Double(0.0))],
    );
    edge.send("spBv1.0/g/NBIRTH/n", &birth);
    let letter = &record.dead_letters[0];
    let mut again = JournalRecord::default();
    let message = Message::new(&letter.topic, &letter.payload, letter.received_at);
    edge.decoder
        .decode_again(message, &OpenGate, &mut again, NOW);
    assert_eq!(rows(&again), ["g.n 0: late=1 named=2"]);
    assert_eq!(reasons(&again), "");
}

#[test]
fn a_gap_in_the_sequence_asks_for_the_birth_and_loses_nothing() {
    let mut edge = Edge::new();
    edge.born();
    let data = |seq| payload(seq, vec![metric("", 2, 0, Value::Int(1))]);
    assert_eq!(
        rows(&edge.send("spBv1.0/g/NDATA/n", &data(4))),
        ["g.n 0: Count=1"]
    );
    assert_eq!(edge.asked(), ["spBv1.0/g/NCMD/n"]);
    edge.send("spBv1.0/g/NDATA/n", &data(5));
    assert_eq!(edge.asked(), [""; 0], "after the gap it goes on");
}

#[test]
fn the_sequence_wraps_at_256() {
    let mut edge = Edge::new();
    edge.born();
    for seq in (2..256).chain(0..3) {
        edge.send("spBv1.0/g/NDATA/n", &payload(seq, vec![]));
    }
    assert_eq!(edge.asked(), [""; 0]);
}

#[test]
fn a_death_takes_the_node_and_its_devices_off_unless_it_is_an_old_one() {
    let mut edge = Edge::new();
    edge.born();
    let death = |bd_seq| {
        payload(
            999,
            vec![metric("bdSeq", 0, datatype::INT64, Value::Long(bd_seq))],
        )
    };
    assert!(edge.send("spBv1.0/g/NDEATH/n", &death(6)).events.is_empty());
    let mut gone: Vec<String> = edge
        .send("spBv1.0/g/NDEATH/n", &death(7))
        .events
        .iter()
        .map(|event| match event {
            Event::DeviceOffline {
                device,
                graceful: false,
                ..
            } => device.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    gone.sort();
    assert_eq!(gone, ["g.n", "g.n.pump"]);
    let data = payload(3, vec![metric("", 2, 0, Value::Int(1))]);
    let record = edge.send("spBv1.0/g/NDATA/n", &data);
    assert_eq!(
        reasons(&record),
        "unknown_alias",
        "aliases die with the session"
    );
    assert_eq!(edge.asked().len(), 1);
}

#[test]
fn a_device_death_takes_only_the_device_off() {
    let mut edge = Edge::new();
    edge.born();
    let record = edge.send("spBv1.0/g/DDEATH/n/pump", &payload(2, vec![]));
    let [Event::DeviceOffline { device, .. }] = record.events.as_slice() else {
        panic!("{:?}", record.events)
    };
    assert_eq!(device.as_str(), "g.n.pump");
    assert_eq!(edge.asked(), [""; 0]);
}

#[test]
fn commands_are_passed_over_and_garbage_is_malformed() {
    let mut edge = Edge::new();
    for topic in [
        "spBv1.0/g/NCMD/n",
        "spBv1.0/g/DCMD/n/d",
        "spBv1.0/STATE/host",
    ] {
        assert!(edge.send(topic, b"anything").is_empty(), "{topic}");
    }
    let record = edge.send("spBv1.0/g/NDATA/n", b"\xff\xff\xff");
    assert_eq!(reasons(&record), "malformed_payload");
    let flood = [0x12, 0x00].repeat(20_001);
    assert_eq!(
        reasons(&edge.send("spBv1.0/g/NDATA/n", &flood)),
        "malformed_payload"
    );
}

#[test]
fn a_credential_of_the_node_covers_its_devices_and_no_others() {
    let grant = Grant {
        credential: Some(CredentialId(1)),
        scope: Scope::Device(DeviceId::new("g.n").unwrap()),
        quota: Quota::default(),
    };
    let mut sender = TopicCache::of_grant(Arc::new(grant));
    let decoder = Decoder::default();
    for (topic, expected) in [
        ("spBv1.0/g/NDATA/n", Verdict::Taken),
        ("spBv1.0/g/DDATA/n/pump", Verdict::Taken),
        ("spBv1.0/g/DDATA/other/pump", Verdict::NotAuthorized),
    ] {
        let bytes = payload(
            0,
            vec![metric("a", 0, datatype::DOUBLE, Value::Double(1.0))],
        );
        let mut record = JournalRecord::default();
        let message = Message::new(topic, &bytes, NOW);
        let verdict = decoder.decode(&mut sender, message, &OpenGate, &mut record);
        assert_eq!(verdict, expected, "{topic}");
        assert_eq!(
            record.readings.is_empty(),
            expected == Verdict::NotAuthorized
        );
    }
}
