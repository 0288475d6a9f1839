//! What the interoperability tests of Eclipse Paho ask of a server, for 3.1.1 and 5.0, as far as
//! it needs no messages from one client to another. Each test is named after a behaviour; where
//! this listener offers less than a broker, the test holds it to the refusal that the standard
//! has for it.

use std::{sync::Arc, time::Duration};

use ingest::ListenerConfig;
use telemetry::DeadLetterReason;

use crate::support::{Mood, Raw, Running, connect, eventually, packet, publish, text, value};

/// A version 5 CONNECT with properties and, if there is one, a will: its flags, properties and
/// topic.
fn connect5(
    client: &str,
    clean: bool,
    properties: &[u8],
    will: Option<(u8, &[u8], &str)>,
) -> Vec<u8> {
    let flags = u8::from(clean) << 1 | will.map_or(0, |(flags, ..)| 4 | flags);
    let mut body = [text("MQTT"), vec![5, flags, 0, 60, properties.len() as u8]].concat();
    body.extend(properties);
    body.extend(text(client));
    if let Some((_, properties, topic)) = will {
        body.push(properties.len() as u8);
        body.extend(properties);
        body.extend([text(topic), text("gone")].concat());
    }
    packet(0x10, &body)
}

/// A version 5 publish with `QoS` 1 and properties.
fn publish5(id: u8, topic: &str, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let head = [text(topic), vec![0, id, properties.len() as u8]].concat();
    packet(0x32, &[&head, properties, payload].concat())
}

fn subscribe5(id: u8, properties: &[u8], filter: &str, options: u8) -> Vec<u8> {
    let head = [&[0, id, properties.len() as u8], properties].concat();
    packet(0x82, &[&head, text(filter).as_slice(), &[options]].concat())
}

/// Sends a CONNECT and gives the client and the CONNACK.
async fn greet(running: &Running, bytes: &[u8]) -> (Raw, Vec<u8>) {
    let mut raw = running.raw().await;
    raw.send(bytes).await;
    let answer = raw.packet().await;
    assert_eq!(answer[0], 0x20);
    (raw, answer)
}

async fn all_gone(running: &Running) {
    eventually("gone", || running.stats.snapshot().connections == 0).await;
}

/// Ends without a goodbye and waits until the listener knows.
async fn vanish(running: &Running, raw: Raw) {
    drop(raw);
    all_gone(running).await;
}

/// Session Expiry Interval.
const HOUR: [u8; 5] = [0x11, 0, 0, 0x0e, 0x10];
const SECOND: [u8; 5] = [0x11, 0, 0, 0, 1];

fn has(answer: &[u8], property: &[u8]) -> bool {
    answer.windows(property.len()).any(|at| at == property)
}

// ---- both versions ----

#[tokio::test]
async fn basic() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut raw = running.connected(version, "p1").await;
        for (first, id) in [(0x30, 0), (0x32, 1), (0x34, 2)] {
            raw.send(&publish(version, first, "telemetry/p1", id, b"{\"a\":1}"))
                .await;
        }
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
        assert_eq!(raw.packet().await, [0x50, 2, 0, 2]);
        raw.send(&packet(0x62, &[0, 2])).await;
        assert_eq!(raw.packet().await, [0x70, 2, 0, 2]);
        raw.send(&[0xc0, 0]).await;
        assert_eq!(raw.packet().await, [0xd0, 0]);
        raw.send(&[0xe0, 0]).await;
        assert_eq!(raw.rest().await, b"", "the server closes after DISCONNECT");
        assert_eq!(running.journal.values(), [1.0; 3]);
        eventually("left", || {
            running.journal.comings_and_goings() == ["p1 online", "p1 left"]
        })
        .await;
    }
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let running = Running::default().await;
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x82, 0])] {
        let mut raw = running.connected(version, "p1").await;
        raw.send(&connect(version, "p1", true, 60)).await;
        assert_eq!(raw.rest().await, goodbye);
    }
}

#[tokio::test]
async fn session_take_over() {
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x8e, 0])] {
        let running = Running::default().await;
        let mut first = running.connected(version, "p1").await;
        let mut second = running.connected(version, "p1").await;
        assert_eq!(first.rest().await, goodbye);
        second.send(&value(version, 1, 7)).await;
        assert_eq!(second.packet().await, [0x40, 2, 0, 1]);
    }
}

#[tokio::test]
async fn dollar_topics_are_acknowledged_and_listed() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut raw = running.connected(version, "p1").await;
        raw.send(&publish(version, 0x32, "$SYS/broker/load", 1, b"1"))
            .await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
        let letter = &running.journal.letters()[0];
        assert_eq!(letter.reason, DeadLetterReason::UnknownTopic);
        assert_eq!(letter.topic, "$SYS/broker/load");
    }
}

#[tokio::test]
async fn keep_alive_is_one_and_a_half_times_the_interval() {
    let running = Running::default().await;
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x8d, 0])] {
        let (mut raw, _) = greet(&running, &connect(version, "p1", true, 1)).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            raw.send(&[0xc0, 0]).await;
            assert_eq!(raw.packet().await, [0xd0, 0]);
        }
        assert_eq!(raw.rest().await, goodbye, "silence ends it");
    }
    assert_eq!(running.stats.snapshot().keep_alive_timeouts, 2);
}

#[tokio::test]
async fn invalid_utf8_ends_the_connection() {
    let running = Running::default().await;
    let surrogate = [0xed, 0xa0, 0x80];
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x81, 0])] {
        let properties: &[u8] = if version == 5 { &[0] } else { &[] };
        for topic in [&surrogate[..], &[0xc0, 0xaf], &[0xff], b"a\0b"] {
            let topic = [&[0, topic.len() as u8], topic].concat();
            let mut raw = running.connected(version, "p1").await;
            raw.send(&packet(0x30, &[&topic, properties, b"1"].concat()))
                .await;
            assert_eq!(raw.rest().await, goodbye, "PUBLISH to {topic:?}");
            let mut raw = running.connected(version, "p1").await;
            let filter = [&[0, 1], properties, &topic, &[0]].concat();
            raw.send(&packet(0x82, &filter)).await;
            let answer = raw.rest().await;
            // A NUL stands in valid UTF-8; in version 5 a filter with it is refused or malformed.
            assert!(answer == goodbye, "SUBSCRIBE to {topic:?}: {answer:?}");
        }
        let client = [&[0, 3][..], &surrogate].concat();
        let body = [&text("MQTT")[..], &[version, 2, 0, 60], properties, &client].concat();
        let mut raw = running.raw().await;
        raw.send(&packet(0x10, &body)).await;
        assert_ne!(raw.rest().await.get(3), Some(&0), "CONNECT");
    }
}

#[tokio::test]
async fn a_qos_2_exchange_that_was_cut_off_is_finished_after_the_reconnect() {
    for version in [4, 5] {
        let running = Running::default().await;
        let (mut first, _) = greet(&running, &connect(version, "p1", false, 60)).await;
        first
            .send(&publish(version, 0x34, "telemetry/p1", 5, b"{\"a\":1}"))
            .await;
        assert_eq!(first.packet().await, [0x50, 2, 0, 5]);
        vanish(&running, first).await;
        let (mut second, answer) = greet(&running, &connect(version, "p1", false, 60)).await;
        assert_eq!(answer[2], 1);
        second.send(&packet(0x62, &[0, 5])).await;
        assert_eq!(second.packet().await, [0x70, 2, 0, 5]);
        assert_eq!(running.journal.values(), [1.0]);
    }
}

#[tokio::test]
async fn a_will_is_recorded_when_its_client_vanishes_and_not_when_it_leaves() {
    for version in [4, 5] {
        let running = Running::default().await;
        let will = [text("will/topic"), text("gone")].concat();
        let empty: &[u8] = if version == 5 { &[0] } else { &[] };
        // Will flag and will QoS 2.
        let body = [
            &text("MQTT")[..],
            &[version, 0x16, 0, 60],
            empty,
            &text("w"),
            empty,
            &will,
        ]
        .concat();
        let (mut polite, _) = greet(&running, &packet(0x10, &body)).await;
        polite.send(&[0xe0, 0]).await;
        polite.rest().await;
        all_gone(&running).await;
        let (rude, _) = greet(&running, &packet(0x10, &body)).await;
        vanish(&running, rude).await;
        let expected = ["w online", "w left", "w online", "w vanished"];
        eventually("recorded", || {
            running.journal.comings_and_goings() == expected
        })
        .await;
    }
}

// ---- 3.1.1 ----

#[tokio::test]
async fn v4_zero_length_client_id_needs_a_clean_session() {
    let running = Running::default().await;
    let (_raw, answer) = greet(&running, &connect(4, "", true, 60)).await;
    assert_eq!(answer, [0x20, 2, 0, 0]);
    let (mut raw, answer) = greet(&running, &connect(4, "", false, 60)).await;
    assert_eq!(answer, [0x20, 2, 0, 2]);
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn v4_session_present_follows_the_clean_session_flag() {
    let running = Running::default().await;
    for (clean, present) in [
        (true, 0),
        (false, 0),
        (false, 1),
        (true, 0),
        (false, 0),
        (false, 1),
    ] {
        let (raw, answer) = greet(&running, &connect(4, "p1", clean, 60)).await;
        assert_eq!(answer, [0x20, 2, present, 0]);
        vanish(&running, raw).await;
    }
}

#[tokio::test]
async fn v4_subscriptions_that_are_not_offered_fail_and_leave_the_others() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "p1").await;
    let filters = ["nosubscribe", "commands/p1", "#", "$share/g/commands/p1"];
    let body: Vec<u8> = filters
        .iter()
        .flat_map(|filter| [text(filter), vec![2]].concat())
        .collect();
    raw.send(&packet(0x82, &[vec![0, 1], body].concat())).await;
    assert_eq!(raw.packet().await, [0x90, 6, 0, 1, 0x80, 0, 0x80, 0x80]);
    raw.send(&packet(
        0xa2,
        &[vec![0, 2], text("never/subscribed")].concat(),
    ))
    .await;
    assert_eq!(raw.packet().await, [0xb0, 2, 0, 2]);
}

#[tokio::test]
async fn v4_the_retain_flag_changes_nothing() {
    let running = Running::default().await;
    let body = [
        text("MQTT"),
        // Will flag and will retain.
        vec![4, 0x26, 0, 60],
        text("p1"),
        text("w"),
        text("gone"),
    ]
    .concat();
    let (mut raw, answer) = greet(&running, &packet(0x10, &body)).await;
    assert_eq!(answer, [0x20, 2, 0, 0]);
    raw.send(&publish(4, 0x33, "telemetry/p1", 1, b"{\"a\":1}"))
        .await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(running.journal.values(), [1.0]);
}

// ---- 5.0 ----

#[tokio::test]
async fn v5_zero_length_client_id_gets_an_assigned_one_of_its_own() {
    let running = Running::default().await;
    let mut ids = Vec::new();
    let mut clients = Vec::new();
    for clean in [true, false] {
        let (raw, answer) = greet(&running, &connect5("", clean, &[], None)).await;
        assert_eq!(answer[2..4], [0, 0]);
        let at = answer.windows(3).position(|at| at == [0x12, 0, 21]);
        ids.push(answer[at.unwrap() + 3..][..21].to_vec());
        clients.push(raw);
    }
    assert_ne!(ids[0], ids[1]);
    for raw in &mut clients {
        raw.send(&[0xc0, 0]).await;
        assert_eq!(raw.packet().await, [0xd0, 0], "both live");
    }
}

#[tokio::test]
async fn v5_session_expiry() {
    let running = Running::default().await;
    let visit = async |clean, properties: &[u8], goodbye: &[u8]| {
        let (mut raw, answer) = greet(&running, &connect5("p1", clean, properties, None)).await;
        raw.send(goodbye).await;
        raw.rest().await;
        all_gone(&running).await;
        answer[2] == 1
    };
    let bye: &[u8] = &[0xe0, 0];
    assert!(!visit(true, &[], bye).await);
    assert!(!visit(false, &HOUR, bye).await, "no expiry is none kept");
    assert!(visit(false, &HOUR, bye).await);
    // A DISCONNECT may shorten it to nothing …
    assert!(visit(false, &HOUR, &[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0]).await);
    assert!(!visit(false, &HOUR, bye).await);
    // … and a clean start forgets it.
    assert!(!visit(true, &SECOND, bye).await);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!visit(false, &[], bye).await, "its second is over");
    // Where it was zero, DISCONNECT cannot make it longer.
    visit(false, &[], &[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 60]).await;
    assert!(!visit(false, &[], bye).await);
}

#[tokio::test]
async fn v5_a_longer_session_expiry_than_is_kept_is_told() {
    let config = ListenerConfig {
        session_expiry_max: Duration::from_mins(1),
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let for_ever = [0x11, 0xff, 0xff, 0xff, 0xff];
    let (_raw, answer) = greet(&running, &connect5("p1", true, &for_ever, None)).await;
    assert!(has(&answer, &[0x11, 0, 0, 0, 60]), "{answer:?}");
}

#[tokio::test]
async fn v5_server_keep_alive() {
    let config = ListenerConfig {
        keep_alive_max: Duration::from_secs(30),
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let (_raw, answer) = greet(&running, &connect(5, "p1", true, 120)).await;
    assert!(has(&answer, &[0x13, 0, 30]));
    let (_raw, answer) = greet(&running, &connect(5, "p1", true, 20)).await;
    assert!(!has(&answer[4..], &[0x13, 0]), "its own stands");
}

#[tokio::test]
async fn v5_maximum_packet_size() {
    let config = ListenerConfig {
        max_packet_bytes: 4_096,
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[], None)).await;
    assert!(has(&answer, &[0x27, 0, 0, 0x10, 0]));
    raw.send(&publish(5, 0x32, "telemetry/p1", 1, &[b' '; 4_200]))
        .await;
    assert_eq!(raw.rest().await, [0xe0, 2, 0x95, 0]);
    // A client that takes 20 bytes gets no CONNACK, which is longer.
    let mut raw = running.raw().await;
    raw.send(&connect5("p1", true, &[0x27, 0, 0, 0, 20], None))
        .await;
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn v5_flow_control() {
    let config = ListenerConfig {
        receive_maximum: 3,
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[], None)).await;
    assert!(has(&answer, &[0x21, 0, 3]));
    running.journal.set(Mood::Holds);
    let three: Vec<u8> = (1..=3).flat_map(|id| value(5, id, 7)).collect();
    raw.send(&three).await;
    assert!(raw.is_quiet().await, "three are allowed");
    running.journal.set(Mood::Commits);
    raw.take(3 * 4).await;
    // QoS 2 counts until PUBCOMP.
    for id in 4..=6 {
        raw.send(&publish(5, 0x34, "telemetry/p1", id, b"{\"a\":1}"))
            .await;
        assert_eq!(raw.packet().await, [0x50, 2, 0, id as u8]);
    }
    raw.send(&value(5, 7, 7)).await;
    assert_eq!(raw.rest().await, [0xe0, 2, 0x93, 0]);
}

#[tokio::test]
async fn v5_will_delay() {
    let running = Running::default().await;
    let with_delay = |seconds| {
        let delay = [0x18, 0, 0, 0, seconds];
        connect5("w", false, &HOUR, Some((0, &delay, "will/topic")))
    };
    let (raw, _) = greet(&running, &with_delay(60)).await;
    vanish(&running, raw).await;
    let (raw, _) = greet(&running, &with_delay(1)).await;
    assert_eq!(
        running.journal.comings_and_goings(),
        ["w online", "w online"],
        "it was back before its will counted"
    );
    vanish(&running, raw).await;
    assert_eq!(
        running.journal.comings_and_goings(),
        ["w online", "w online"],
        "not yet"
    );
    let seen = |expected: &'static [&str]| {
        let journal = Arc::clone(&running.journal);
        move || journal.comings_and_goings() == expected
    };
    eventually(
        "after its delay",
        seen(&["w online", "w online", "w vanished"]),
    )
    .await;
    // The end of the session does not wait for the delay.
    let delay = [0x18, 0, 0, 0, 60];
    let ends_at_once = connect5("w", true, &[], Some((0, &delay, "will/topic")));
    let (raw, _) = greet(&running, &ends_at_once).await;
    vanish(&running, raw).await;
    let all = &[
        "w online",
        "w online",
        "w vanished",
        "w online",
        "w vanished",
    ];
    eventually("at once", seen(all)).await;
}

#[tokio::test]
async fn v5_a_will_that_waits_is_recorded_at_a_shutdown() {
    let running = Running::default().await;
    let delay = [0x18, 0, 0, 0x0e, 0x10];
    let waiting = connect5("w", false, &HOUR, Some((0, &delay, "will/topic")));
    let (raw, _) = greet(&running, &waiting).await;
    vanish(&running, raw).await;
    running.shutdown.cancel();
    running.task.await.unwrap();
    assert_eq!(
        running.journal.comings_and_goings(),
        ["w online", "w vanished"]
    );
}

#[tokio::test]
async fn v5_user_properties_and_content_type_are_kept_with_what_is_refused() {
    let running = Running::default().await;
    // CONNECT, SUBSCRIBE and DISCONNECT may carry user properties too.
    let user = [0x26, 0, 1, b'a', 0, 1, b'b'];
    let (mut raw, _) = greet(&running, &connect5("p1", true, &user, None)).await;
    raw.send(&subscribe5(1, &user, "commands/p1", 0)).await;
    assert_eq!(raw.packet().await, [0x90, 4, 0, 1, 0, 0]);
    let properties = [&user[..], &user, &[0x03, 0, 3, b'x', b'/', b'y']].concat();
    raw.send(&publish5(2, "telemetry/p1", &properties, b"no reading"))
        .await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 2]);
    let letter = &running.journal.letters()[0];
    let pair = || ("a".to_owned(), "b".to_owned());
    assert_eq!(letter.properties, [pair(), pair()]);
    assert_eq!(letter.content_type.as_deref(), Some("x/y"));
    raw.send(&packet(0xe0, &[&[0, 7][..], &user].concat()))
        .await;
    raw.rest().await;
    eventually("left", || {
        running.journal.comings_and_goings() == ["p1 online", "p1 left"]
    })
    .await;
}

#[tokio::test]
async fn v5_payload_format_expiry_and_request_response_properties_are_accepted() {
    let running = Running::default().await;
    // Request Response Information and Request Problem Information.
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[0x19, 1, 0x17, 1], None)).await;
    assert!(!has(&answer[4..], &[0x1a, 0]), "there is none");
    for (id, properties) in [
        (1, &[0x01, 0][..]),
        (2, &[0x01, 1]),
        (3, &[0x02, 0, 0, 0, 1]),
        (4, &[0x08, 0, 3, b'a', b'/', b'b', 0x09, 0, 2, 1, 2]),
    ] {
        raw.send(&publish5(id, "telemetry/p1", properties, b"{\"a\":1}"))
            .await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, id]);
    }
    assert_eq!(running.journal.values(), [1.0; 4]);
}

#[tokio::test]
async fn v5_subscriptions_that_are_not_offered_are_refused_with_their_reason() {
    let running = Running::default().await;
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[], None)).await;
    for (what, property) in [
        ("wildcards", [0x28, 0]),
        ("identifiers", [0x29, 0]),
        ("shared", [0x2a, 0]),
    ] {
        assert!(has(&answer, &property), "{what} are not available");
    }
    for (filter, properties, options, reason) in [
        ("commands/p1", &[][..], 0, 0x00),
        ("commands/p1", &[], 2, 0x00),
        // No Local, Retain As Published, Retain Handling 2.
        ("commands/p1", &[], 0b0010_1101, 0x00),
        ("commands/p1", &[0x0b, 5], 0, 0xa1),
        ("$share/g/commands/p1", &[], 0, 0x9e),
        ("commands/+", &[], 0, 0xa2),
        ("#", &[], 0, 0xa2),
        ("commands/p2", &[], 0, 0x87),
        ("telemetry/p1", &[], 0, 0x87),
        ("a/#/b", &[], 0, 0x8f),
    ] {
        raw.send(&subscribe5(7, properties, filter, options)).await;
        assert_eq!(
            raw.packet().await,
            [0x90, 4, 0, 7, 0, reason],
            "{filter} {properties:?} {options:b}"
        );
    }
}

#[tokio::test]
async fn v5_unsubscribe_says_whether_there_was_a_subscription() {
    let running = Running::default().await;
    let (mut raw, _) = greet(&running, &connect5("p1", true, &[], None)).await;
    raw.send(&subscribe5(1, &[], "commands/p1", 0)).await;
    raw.packet().await;
    for (id, reason) in [(2, 0x00), (3, 0x11)] {
        raw.send(&packet(
            0xa2,
            &[vec![0, id, 0], text("commands/p1")].concat(),
        ))
        .await;
        assert_eq!(raw.packet().await, [0xb0, 4, 0, id, 0, reason]);
    }
}

#[tokio::test]
async fn v5_retain_is_not_supported() {
    let running = Running::default().await;
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[], None)).await;
    assert!(has(&answer, &[0x25, 0]));
    raw.send(
        &[
            value(5, 1, 7),
            publish(5, 0x33, "telemetry/p1", 2, b"{\"a\":8}"),
        ]
        .concat(),
    )
    .await;
    assert_eq!(raw.rest().await, [0x40, 2, 0, 1, 0xe0, 2, 0x9a, 0]);
    assert_eq!(running.journal.values(), [7.0]);
    let retained = connect5("p1", true, &[], Some((0x20, &[], "will/topic")));
    let (mut raw, answer) = greet(&running, &retained).await;
    assert_eq!(answer, [0x20, 3, 0, 0x9a, 0]);
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn v5_topic_aliases_are_not_offered() {
    let running = Running::default().await;
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &[], None)).await;
    assert!(!has(&answer[4..], &[0x22, 0]), "the maximum is 0");
    raw.send(&publish5(1, "telemetry/p1", &[0x23, 0, 1], b"{\"a\":1}"))
        .await;
    assert_eq!(raw.rest().await, [0xe0, 2, 0x94, 0]);
}

#[tokio::test]
async fn v5_enhanced_authentication_is_refused() {
    let running = Running::default().await;
    let method = [&[0x15][..], &text("SCRAM-SHA-1"), &[0x16, 0, 1, 7]].concat();
    let (mut raw, answer) = greet(&running, &connect5("p1", true, &method, None)).await;
    assert_eq!(answer, [0x20, 3, 0, 0x8c, 0]);
    assert_eq!(raw.rest().await, b"");
    let mut raw = running.connected(5, "p1").await;
    raw.send(&packet(0xf0, &[0x18, 0])).await;
    assert_eq!(raw.rest().await, [0xe0, 2, 0x82, 0]);
}

#[tokio::test]
async fn v5_disconnect_with_will_message_is_no_goodbye() {
    let running = Running::default().await;
    let with_will = connect5("w", true, &[], Some((0, &[], "will/topic")));
    let (mut raw, _) = greet(&running, &with_will).await;
    raw.send(&[0xe0, 1, 0x04]).await;
    assert_eq!(raw.rest().await, b"");
    eventually("recorded", || {
        running.journal.comings_and_goings() == ["w online", "w vanished"]
    })
    .await;
}
