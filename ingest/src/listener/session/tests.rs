//! The session on hostile and on chopped bytes. The first test is the fuzz target of codec and
//! session: `cargo test` runs it on random input as a bounded property test, and
//! `cargo bolero test` with its full name drives it by coverage.

use proptest::prelude::*;
use telemetry::OpenGate;

use super::*;

const MAX: usize = 2_048;

fn session(version: Version) -> Session {
    let terms = Terms {
        version,
        command_topic: "commands/p1".into(),
        max_packet_bytes: MAX,
        max_packet_out: None,
        receive_maximum: 10,
    };
    Session::new(terms, vec![9])
}

/// What came of bytes fed in pieces of `step`, with commits at once.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    record: JournalRecord,
    acks: Vec<u8>,
    replies: Vec<u8>,
    end: Option<End>,
}

fn feed(session: &mut Session, bytes: &[u8], step: usize) -> Outcome {
    let decoder = Decoder::default();
    let judges = Judges {
        decoder: &decoder,
        gate: &OpenGate,
        now: Timestamp::EPOCH,
    };
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
            "one acknowledgement a message"
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
    let whole = feed(&mut session(version), &bytes, usize::MAX);
    let chopped = feed(&mut session(version), &bytes, usize::from(step));
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
    assert_eq!(session.unreleased(), [9]);
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
    let judges = Judges {
        decoder: &decoder,
        gate: &OpenGate,
        now: Timestamp::EPOCH,
    };
    let received = session.receive(&publish(Version::V4, 2, 5, b"{\"a\":1}"), judges);
    assert_eq!(session.unreleased(), [9], "5 is not committed");
    session.committed(&received.work.receipt);
    let mut open = session.unreleased();
    open.sort_unstable();
    assert_eq!(open, [5, 9]);
}

#[test]
fn a_client_over_its_receive_maximum_is_ended_after_what_it_may_send() {
    let decoder = Decoder::default();
    let judges = Judges {
        decoder: &decoder,
        gate: &OpenGate,
        now: Timestamp::EPOCH,
    };
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
