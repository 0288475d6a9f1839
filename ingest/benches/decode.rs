//! How fast one core turns messages into rows: `cargo bench -p ingest`.
//!
//! Prints messages a second for the decoder alone on three signals, values a second of line
//! protocol, and what the library's codec
//! takes for reading one PUBLISH, which is why the listener reads that packet by hand.

use std::{fmt::Write as _, hint::black_box, time::Instant};

use bytes::BytesMut;
use ingest::{Decoder, Message, TopicCache};
use rumqttc::{mqttbytes::v4, v5::mqttbytes::v5};
use telemetry::{JournalRecord, OpenGate, Timestamp};

/// Messages in one record, as a busy connection has them.
const BATCH: usize = 1_000;
const ROUNDS: usize = 1_000;

/// The best of some runs, because other work on the machine only ever slows one down.
fn best(mut run: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    let payloads: Vec<String> = (0..BATCH)
        .map(|at| {
            format!(
                "{{\"ts\":{},\"temperature_c\":{:.2},\"pressure_bar\":{:.3},\"vibration_mm_s\":{:.3}}}",
                1_583_748_873_000_u64 + at as u64,
                60.0 + (at % 97) as f64 / 7.0,
                4.0 + (at % 31) as f64 / 13.0,
                1.0 + (at % 53) as f64 / 17.0
            )
        })
        .collect();
    // Measured is what comes in order: a fresh memory in each round, as the times come again.
    let now = Timestamp::from_secs(1_583_750_000);
    let seconds = best(|| {
        for _ in 0..ROUNDS {
            let (decoder, mut cache) = (Decoder::default(), TopicCache::default());
            let mut record = JournalRecord::default();
            for payload in &payloads {
                let message = Message::new("telemetry/pump-7", payload.as_bytes(), now);
                let _ = decoder.decode(&mut cache, message, &OpenGate, &mut record);
            }
            assert_eq!(black_box(&record).readings.row_count(), BATCH);
        }
    });
    let rate = (BATCH * ROUNDS) as f64 / seconds;
    println!(
        "decode, 3 signals of JSON: {rate:.0} messages/s, {:.0} readings/s a core",
        rate * 3.0
    );
    lines("line protocol, 1,000 series of 1 field", 1_000, 1);
    lines("line protocol, 1,000 series of 10 fields", 1_000, 10);
    codec("codec v4", &payloads, write_v4, |stream| {
        let Ok(v4::Packet::Publish(publish)) = v4::Packet::read(stream, 1 << 20) else {
            panic!()
        };
        publish.topic.len() + publish.payload.len()
    });
    codec("codec v5", &payloads, write_v5, |stream| {
        let Ok(v5::Packet::Publish(publish)) = v5::Packet::read(stream, Some(1 << 20)) else {
            panic!()
        };
        let topic = std::str::from_utf8(&publish.topic).expect("written from a text");
        topic.len() + publish.payload.len()
    });
}

/// Times bodies of 5,000 lines that go over the series in turn, as a historian's load test
/// sends them: the checks are on, and a record is made for each body.
fn lines(name: &str, series: usize, fields: usize) {
    const LINES: usize = 5_000;
    const BODIES: usize = 20;
    let bodies: Vec<String> = (0..BODIES)
        .map(|body| {
            let mut text = String::new();
            for line in 0..LINES {
                let at = body * LINES + line;
                let (device, tick) = (at % series, at / series);
                write!(text, "reading,device=pump-{device} ").expect("a string takes all");
                for field in 0..fields {
                    let comma = if field == 0 { "" } else { "," };
                    let value = 20.0 + ((at * 7 + field * 13) % 997) as f64 / 8.0;
                    write!(text, "{comma}signal_{field}={value:.3}").expect("a string takes all");
                }
                let nanos = 1_583_748_873_000_000_000 + tick as u64 * 1_000_000_000;
                writeln!(text, " {nanos}").expect("a string takes all");
            }
            text
        })
        .collect();
    let seconds = best(|| {
        let decoder = Decoder::default().with_max_payload_bytes(4 << 20);
        let mut cache = TopicCache::default();
        for body in &bodies {
            let mut record = JournalRecord::default();
            let now = Timestamp::from_secs(1_583_750_000);
            let message = Message::new("telemetry/load", body.as_bytes(), now);
            let _ = decoder.decode(&mut cache, message, &OpenGate, &mut record);
            assert_eq!(black_box(&record).readings.reading_count(), LINES * fields);
            assert!(record.dead_letters.is_empty());
        }
    });
    let values = (BODIES * LINES * fields) as f64;
    println!(
        "{name}: {:.0} readings/s a core, {:.0} ns each",
        values / seconds,
        seconds * 1e9 / values
    );
}

fn write_v4(payload: &str, out: &mut BytesMut) {
    let mut publish = v4::Publish::new("telemetry/pump-7", rumqttc::QoS::AtLeastOnce, payload);
    publish.pkid = 7;
    publish.write(out).expect("it fits");
}

fn write_v5(payload: &str, out: &mut BytesMut) {
    let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
    let mut publish = v5::Publish::new("telemetry/pump-7", qos, payload.to_string(), None);
    publish.pkid = 7;
    publish.write(out).expect("it fits");
}

/// Times reading a buffer of packets with the library's codec.
fn codec(
    name: &str,
    payloads: &[String],
    write: fn(&str, &mut BytesMut),
    read: impl Fn(&mut BytesMut) -> usize,
) {
    let mut bytes = BytesMut::new();
    for payload in payloads {
        write(payload, &mut bytes);
    }
    let seconds = best(|| {
        for _ in 0..ROUNDS / 10 {
            let mut stream = bytes.clone();
            while !stream.is_empty() {
                black_box(read(&mut stream));
            }
        }
    });
    println!(
        "{name}: {:.0} ns a PUBLISH",
        seconds * 1e9 / (BATCH * ROUNDS / 10) as f64
    );
}
