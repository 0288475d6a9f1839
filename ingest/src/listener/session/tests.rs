//! The session on hostile and on chopped bytes.
//!
//! Three tests here are fuzz targets: `cargo test` runs each on its committed corpus (folder
//! `__fuzz__`) and on random input as a bounded property test, and `cargo bolero test` with its
//! full name drives it by coverage. An input of `mqtt_session` is a whole conversation after
//! CONNECT as it stands on the wire, behind one byte that says how it is cut.

use proptest::prelude::*;
use telemetry::OpenGate;

use super::*;
use crate::corpus;

const MAX: usize = 2_048;

fn session(version: Version) -> Session {
    let terms = Terms {
        version,
        command_topic: "commands/p1".into(),
        grant: Arc::new(Grant::ANYONE),
        max_packet_bytes: MAX,
        max_packet_out: None,
        receive_maximum: 10,
    };
    let saved = Saved {
        open: vec![9],
        subscriptions: Vec::new(),
    };
    Session::new(terms, saved)
}

/// Judges that let everything pass.
fn judges(decoder: &Decoder) -> Judges<'_> {
    Judges {
        decoder,
        gate: &OpenGate,
        now: Timestamp::EPOCH,
        quota: None,
        last: false,
    }
}

/// What came of bytes fed in pieces of `step`, with commits at once.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    record: JournalRecord,
    acks: Vec<u8>,
    replies: Vec<u8>,
    oversized: bool,
    end: Option<End>,
}

fn feed(session: &mut Session, bytes: &[u8], step: usize) -> Outcome {
    let decoder = Decoder::default();
    let judges = judges(&decoder);
    let mut outcome = Outcome::default();
    let mut buffer = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        let received = session.receive(&buffer, judges);
        assert!(received.consumed <= buffer.len());
        assert!(received.missing <= MAX);
        buffer.drain(..received.consumed);
        let receipt = &received.work.receipt;
        let acks = receipt.qos1 as usize + receipt.qos2.len() + receipt.duplicates as usize;
        assert_eq!(
            receipt.acks.len(),
            4 * acks,
            "one acknowledgement a message, and none is refused here"
        );
        session.committed(receipt);
        outcome
            .record
            .readings
            .append(&received.work.record.readings);
        outcome
            .record
            .dead_letters
            .extend(received.work.record.dead_letters);
        outcome.acks.extend(&receipt.acks);
        outcome.replies.extend_from_slice(&received.replies);
        outcome.oversized |= received.oversized.is_some();
        if received.end.is_some() {
            outcome.end = received.end;
            break;
        }
        assert!(buffer.len() <= MAX, "never holds more than one packet");
    }
    outcome
}

/// A publish to `telemetry/p1`.
fn publish(version: Version, qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 12];
    body.extend(b"telemetry/p1");
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(payload);
    let mut packet = vec![0x30 | qos << 1];
    let mut len = body.len();
    loop {
        packet.push((len % 128) as u8 | if len > 127 { 0x80 } else { 0 });
        len /= 128;
        if len == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A valid packet of some kind, spoiled at one place.
fn spoiled(version: Version, kind: u8, at: u8, with: u8, data: &[u8]) -> Vec<u8> {
    let filter: &[u8] = if kind & 0x40 == 0 {
        b"\x00\x0bcommands/p1\x01"
    } else {
        b"\x00\x03a/#\x02"
    };
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let control = |first: u8, body: &[u8]| [&[first, body.len() as u8], body].concat();
    let mut packet = match kind % 10 {
        0 => data.to_vec(),
        1 => publish(version, 0, 0, data),
        2 => publish(version, 1, u16::from(at) + 1, data),
        3 => publish(version, 2, u16::from(at) + 1, b"{\"a\":1}"),
        4 => control(0x62, &[0, 9]),
        5 => control(0x82, &[&[0, 1], properties, filter].concat()),
        6 => control(
            0xa2,
            &[&[0, 1], properties, &filter[..filter.len() - 1]].concat(),
        ),
        7 => control(0xc0, &[]),
        8 => control(0xe0, properties),
        _ => control(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x02p1"),
    };
    if kind & 0x80 != 0 && !packet.is_empty() {
        let at = usize::from(at) % packet.len();
        packet[at] ^= with;
    }
    packet
}

type Pieces = Vec<(u8, u8, u8, Vec<u8>)>;

fn check(v5: bool, step: u8, pieces: &Pieces) {
    let version = if v5 { Version::V5 } else { Version::V4 };
    let bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|(kind, at, with, data)| spoiled(version, *kind, *at, *with, data))
        .collect();
    check_bytes(version, step, &bytes);
}

fn check_bytes(version: Version, step: u8, bytes: &[u8]) {
    let whole = feed(&mut session(version), bytes, usize::MAX);
    let chopped = feed(&mut session(version), bytes, usize::from(step));
    // With commits in between, PUBREL before PUBREC is legal where it was not in one piece,
    // and more messages may be open; otherwise the pieces make no difference.
    let timing = |outcome: &Outcome| {
        matches!(
            outcome.end,
            Some(End::Fault(
                Fault::Protocol("PUBREL before PUBREC") | Fault::ReceiveMaximum
            ))
        )
    };
    if !timing(&whole) && !timing(&chopped) {
        assert_eq!(whole, chopped);
    }
}

#[test]
fn conversations_never_panic_and_pieces_make_no_difference() {
    let check = |input: &[u8]| {
        // The first byte: the version in its highest bit, the length of the pieces below.
        if let Some((&how, bytes)) = input.split_first() {
            let version = if how & 0x80 != 0 {
                Version::V5
            } else {
                Version::V4
            };
            check_bytes(version, how & 0x7f, bytes);
        }
    };
    let inputs = corpus::corpus("listener/session", "mqtt_session");
    bolero::check!(name = "mqtt_session").for_each(|input| {
        check(input);
        check(&corpus::spoiled(&inputs, input));
    });
}

#[test]
fn the_corpus_holds_conversations_of_both_versions_that_reach_the_journal() {
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/listener/session/__fuzz__/mqtt_session/corpus"
    );
    let (mut readings, mut ends) = ([0, 0], [0, 0]);
    for entry in std::fs::read_dir(corpus).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        let (&how, bytes) = input.split_first().unwrap();
        let v5 = usize::from(how >> 7);
        let version = [Version::V4, Version::V5][v5];
        let outcome = feed(&mut session(version), bytes, usize::MAX);
        readings[v5] += outcome.record.readings.reading_count();
        ends[v5] += usize::from(outcome.end.is_some());
    }
    assert!(readings.iter().all(|&count| count > 0), "{readings:?}");
    assert!(ends.iter().all(|&count| count > 0), "{ends:?}");
}

#[test]
fn hostile_bytes_never_panic_and_pieces_make_no_difference() {
    bolero::check!()
        .with_type::<(bool, u8, Pieces)>()
        .for_each(|(v5, step, pieces)| check(*v5, *step, pieces));
}

proptest! {
    #[test]
    fn spoiled_packets_never_panic_and_pieces_make_no_difference(
        v5 in any::<bool>(),
        step in 0..20_u8,
        pieces in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        check(v5, step, &pieces);
    }
}

#[test]
fn a_connect_is_read_from_hostile_bytes_without_panic() {
    let config = super::super::ListenerConfig::default();
    bolero::check!()
        .with_type::<(bool, Vec<(u8, u8)>, Vec<u8>)>()
        .for_each(|(v5, spoil, tail)| {
            let level = if *v5 { 5 } else { 4 };
            let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, 0x02, 0, 60];
            if *v5 {
                body.extend([5, 0x11, 0, 0, 0, 10]);
            }
            body.extend([0, 2, b'p', b'1']);
            body.extend(tail.iter().take(60));
            for (at, with) in spoil.iter().take(4) {
                let at = usize::from(*at) % body.len();
                body[at] ^= with;
            }
            let bytes = [&[0x10, body.len() as u8], body.as_slice()].concat();
            let Ok(Framing::Whole(frame)) = wire::frame(&bytes, MAX) else {
                panic!("it is whole")
            };
            if let Ok(connect) = super::super::handshake::read(frame, &bytes, &config) {
                assert!(!connect.keep_alive.is_zero());
                assert!(connect.login.is_none() || body[9] & 0xc0 != 0);
            }
        });
}

#[test]
fn a_qos_2_message_is_appended_once_until_it_is_released() {
    let mut session = session(Version::V4);
    let message = publish(Version::V4, 2, 5, b"{\"a\":1}");
    let first = feed(&mut session, &message, usize::MAX);
    assert_eq!(first.record.readings.reading_count(), 1);
    let again = feed(&mut session, &message, usize::MAX);
    assert!(again.record.is_empty());
    assert_eq!(again.acks, [0x50, 2, 0, 5]);
    let released = feed(&mut session, &[0x62, 2, 0, 5], usize::MAX);
    assert_eq!(released.replies, [0x70, 2, 0, 5]);
    let new = feed(&mut session, &message, usize::MAX);
    assert_eq!(
        new.record.readings.reading_count(),
        1,
        "the id is free again"
    );
}

#[test]
fn ids_of_a_resumed_session_are_not_appended_again() {
    let mut session = session(Version::V4);
    let again = feed(
        &mut session,
        &publish(Version::V4, 2, 9, b"{\"a\":1}"),
        usize::MAX,
    );
    assert!(again.record.is_empty());
    assert_eq!(again.acks, [0x50, 2, 0, 9]);
}

#[test]
fn only_committed_qos_2_ids_outlive_the_connection() {
    let mut session = session(Version::V4);
    let decoder = Decoder::default();
    let judges = judges(&decoder);
    let received = session.receive(&publish(Version::V4, 2, 5, b"{\"a\":1}"), judges);
    assert_eq!(session.saved().open, [9], "5 is not committed");
    session.committed(&received.work.receipt);
    let mut open = session.saved().open;
    open.sort_unstable();
    assert_eq!(open, [5, 9]);
}

#[test]
fn a_client_over_its_receive_maximum_is_ended_after_what_it_may_send() {
    let decoder = Decoder::default();
    let judges = judges(&decoder);
    for version in [Version::V4, Version::V5] {
        let bytes: Vec<u8> = (1..=11)
            .flat_map(|id| publish(version, 1, id, b"{\"a\":1}"))
            .collect();
        let received = session(version).receive(&bytes, judges);
        if version == Version::V4 {
            assert_eq!((received.end, received.work.receipt.qos1), (None, 11));
        } else {
            assert_eq!(received.end, Some(End::Fault(Fault::ReceiveMaximum)));
            assert_eq!(received.work.receipt.qos1, 10);
        }
    }
}

#[test]
fn content_type_and_user_properties_of_version_5_reach_the_decoder() {
    let properties = b"\x01\x01\x03\x00\x0atext/plain\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x01c";
    let mut body = vec![0, 12];
    body.extend(b"telemetry/p1");
    body.extend([0, 1, properties.len() as u8]);
    body.extend(properties);
    body.extend(b"no reading");
    let bytes = [&[0x32, body.len() as u8], body.as_slice()].concat();
    let outcome = feed(&mut session(Version::V5), &bytes, usize::MAX);
    let letter = &outcome.record.dead_letters[0];
    assert_eq!(letter.content_type.as_deref(), Some("text/plain"));
    let expected = [("a", "b"), ("a", "c")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(letter.properties, expected);
}

#[test]
fn a_sender_above_its_quota_is_stopped_before_the_message_that_exceeds_it() {
    let decoder = Decoder::default();
    let now = Instant::now();
    let quota = telemetry::Quota {
        messages_per_s: 2,
        bytes_per_s: 0,
    };
    let bucket = Bucket::new(quota, now).unwrap();
    let judges = Judges {
        quota: Some((&bucket, now)),
        ..judges(&decoder)
    };
    let message = publish(Version::V4, 0, 0, b"{\"a\":1}");
    let bytes = [message.repeat(3), vec![0xc0, 0]].concat();
    let mut session = session(Version::V4);
    let received = session.receive(&bytes, judges);
    assert_eq!(received.consumed, 2 * message.len());
    let wait = received.wait.unwrap();
    let later = Judges {
        quota: Some((&bucket, now + wait)),
        ..judges
    };
    let received = session.receive(&bytes[received.consumed..], later);
    assert_eq!((received.wait, received.packets), (None, 2));
    assert_eq!(received.replies[..], [0xd0, 0]);
}

#[test]
fn a_publish_that_is_too_long_is_told_by_its_start_when_that_arrives() {
    let decoder = Decoder::default();
    // 1 MiB announced; the topic follows.
    let start = b"\x32\x80\x80\x40\x00\x0ctelemetry/p1\x00\x01{\"a\":1";
    for arrived in 0..=start.len() {
        for last in [false, true] {
            let judges = Judges {
                last,
                ..judges(&decoder)
            };
            let received = session(Version::V4).receive(&start[..arrived], judges);
            let what = format!("{arrived} bytes, last {last}");
            if arrived < 4 {
                assert_eq!(received.end, None, "{what}: no length yet");
            } else if arrived < 18 && !last {
                assert_eq!((received.end, received.overlong), (None, true), "{what}");
                assert!(received.missing > 0, "{what}");
            } else {
                assert_eq!(received.end, Some(End::Fault(Fault::TooLarge)), "{what}");
                let letter = received.oversized.unwrap();
                let topic = if arrived < 18 { "" } else { "telemetry/p1" };
                assert_eq!(letter.topic, topic, "{what}");
                assert_eq!(letter.payload_len, 1_048_576 + 4);
                assert!(!letter.is_whole() && letter.detail.contains("1048580"));
            }
        }
    }
    let other = session(Version::V4).receive(b"\x82\xff\xff\x7f", judges(&decoder));
    assert_eq!(other.end, Some(End::Fault(Fault::TooLarge)));
    assert_eq!(other.oversized, None, "no message is lost with it");
}
