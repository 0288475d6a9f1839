//! Whatever the standard forbids ends the connection, with the right reason where there is one,
//! and never stops anybody else.

use std::time::Duration;

use ingest::ListenerConfig;

use crate::support::{Running, connect, eventually, packet, publish, text, value};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;

/// Sends `bytes` after a CONNECT and gives what came until the close.
async fn after_connect(running: &Running, version: u8, bytes: &[u8]) -> Vec<u8> {
    let mut raw = running.connected(version, "p1").await;
    raw.send(bytes).await;
    raw.rest().await
}

/// A v5 publish with properties.
fn with_properties(topic: &str, properties: &[u8]) -> Vec<u8> {
    let body = [
        text(topic),
        vec![0, 1, properties.len() as u8],
        properties.to_vec(),
        b"1".to_vec(),
    ]
    .concat();
    packet(0x32, &body)
}

/// What is sent after the CONNECT of a version, and the reason code that answers it.
type Case = (&'static str, fn(u8) -> Vec<u8>, u8);

const TOPIC: &str = "telemetry/p1";

/// A packet whose body starts with a packet id, with the empty properties of version 5.
fn with_id(version: u8, first: u8, id: u8, rest: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    packet(first, &[&[0, id], properties, rest].concat())
}

const FORBIDDEN: &[Case] = &[
    ("second CONNECT", |v| connect(v, "p1", true, 60), PROTOCOL),
    ("CONNACK", |_| packet(0x20, &[0, 0, 0]), PROTOCOL),
    ("SUBACK", |v| with_id(v, 0x90, 1, &[0]), PROTOCOL),
    ("UNSUBACK", |v| with_id(v, 0xb0, 1, &[]), PROTOCOL),
    ("PINGRESP", |_| packet(0xd0, &[]), PROTOCOL),
    ("stray PUBACK", |_| packet(0x40, &[0, 1]), PROTOCOL),
    ("stray PUBREC", |_| packet(0x50, &[0, 1]), PROTOCOL),
    ("stray PUBCOMP", |_| packet(0x70, &[0, 1]), PROTOCOL),
    ("packet type 0", |_| packet(0x00, &[]), MALFORMED),
    ("QoS 3", |v| publish(v, 0x36, TOPIC, 1, b"1"), MALFORMED),
    (
        "DUP with QoS 0",
        |v| publish(v, 0x38, TOPIC, 0, b"1"),
        MALFORMED,
    ),
    (
        "packet id 0",
        |v| publish(v, 0x32, TOPIC, 0, b"1"),
        PROTOCOL,
    ),
    ("empty topic", |v| publish(v, 0x32, "", 1, b"1"), PROTOCOL),
    (
        "plus in a topic",
        |v| publish(v, 0x32, "a/+", 1, b"1"),
        PROTOCOL,
    ),
    (
        "hash in a topic",
        |v| publish(v, 0x32, "a/#", 1, b"1"),
        PROTOCOL,
    ),
    (
        "NUL in a topic",
        |v| publish(v, 0x32, "a\0", 1, b"1"),
        MALFORMED,
    ),
    (
        "topic that is no UTF-8",
        |_| packet(0x30, &[0, 2, 0xff, 0xfe, 0]),
        MALFORMED,
    ),
    (
        "topic beyond the packet",
        |_| packet(0x30, &[0, 9, b'a']),
        MALFORMED,
    ),
    (
        "truncated PUBLISH",
        |_| packet(0x32, &[0, 1, b'a', 0]),
        MALFORMED,
    ),
    ("empty PUBLISH", |_| packet(0x30, &[]), MALFORMED),
    ("flags of PUBREL", |_| packet(0x60, &[0, 1]), MALFORMED),
    ("PUBREL with id 0", |_| packet(0x62, &[0, 0]), MALFORMED),
    (
        "flags of SUBSCRIBE",
        |v| with_id(v, 0x80, 1, b"\0\x01a\0"),
        MALFORMED,
    ),
    (
        "SUBSCRIBE with id 0",
        |v| with_id(v, 0x82, 0, b"\0\x01a\0"),
        PROTOCOL,
    ),
    (
        "SUBSCRIBE to nothing",
        |v| with_id(v, 0x82, 1, b""),
        MALFORMED,
    ),
    (
        "SUBSCRIBE with QoS 3",
        |v| with_id(v, 0x82, 1, b"\0\x01a\x03"),
        MALFORMED,
    ),
    (
        "reserved option",
        |v| with_id(v, 0x82, 1, b"\0\x01a\x40"),
        MALFORMED,
    ),
    (
        "UNSUBSCRIBE from nothing",
        |v| with_id(v, 0xa2, 1, b""),
        PROTOCOL,
    ),
    ("flags of PINGREQ", |_| packet(0xc1, &[]), MALFORMED),
    ("PINGREQ with a body", |_| packet(0xc0, &[1]), MALFORMED),
    ("flags of DISCONNECT", |_| packet(0xe1, &[]), MALFORMED),
    (
        "DISCONNECT with a strange body",
        |_| packet(0xe0, &[0x7f]),
        MALFORMED,
    ),
    (
        "a length without end",
        |_| vec![0x30, 0xff, 0xff, 0xff, 0xff],
        MALFORMED,
    ),
    (
        "a length above the limit",
        |_| vec![0x30, 0xff, 0xff, 0xff, 0x7f],
        0x95,
    ),
];

#[tokio::test]
async fn forbidden_packets_close_the_connection_with_their_reason() {
    let running = Running::default().await;
    for (what, bytes, reason) in FORBIDDEN {
        assert_eq!(
            after_connect(&running, 4, &bytes(4)).await,
            b"",
            "{what}, v4"
        );
        let answer = after_connect(&running, 5, &bytes(5)).await;
        assert_eq!(answer, [0xe0, 2, *reason, 0], "{what}, v5");
    }
    assert!(running.journal.values().is_empty());
    eventually("all closed", || running.stats.snapshot().connections == 0).await;
    assert_eq!(
        running.stats.snapshot().protocol_violations,
        2 * FORBIDDEN.len() as u64
    );
}

#[tokio::test]
async fn what_only_version_5_knows_is_checked_too() {
    let running = Running::default().await;
    let topic = "telemetry/p1";
    for (what, bytes, reason) in [
        ("topic alias", with_properties(topic, &[0x23, 0, 1]), 0x94),
        ("topic alias 0", with_properties(topic, &[0x23, 0, 0]), 0x94),
        (
            "alias instead of a topic",
            with_properties("", &[0x23, 0, 1]),
            0x94,
        ),
        (
            "subscription identifier",
            with_properties(topic, &[0x0b, 1]),
            PROTOCOL,
        ),
        (
            "a property twice",
            with_properties(topic, &[0x01, 0, 0x01, 0]),
            PROTOCOL,
        ),
        (
            "payload format 2",
            with_properties(topic, &[0x01, 2]),
            PROTOCOL,
        ),
        (
            "wildcard response topic",
            with_properties(topic, &[0x08, 0, 1, b'#']),
            PROTOCOL,
        ),
        (
            "property of another packet",
            with_properties(topic, &[0x11, 0, 0, 0, 1]),
            MALFORMED,
        ),
        (
            "property cut short",
            with_properties(topic, &[0x02, 0]),
            MALFORMED,
        ),
        (
            "properties beyond the packet",
            packet(0x30, &[0, 1, b'a', 9, 1]),
            MALFORMED,
        ),
        ("needless length byte", vec![0xc0, 0x80, 0x00], MALFORMED),
        ("AUTH", packet(0xf0, &[]), PROTOCOL),
    ] {
        assert_eq!(
            after_connect(&running, 5, &bytes).await,
            [0xe0, 2, reason, 0],
            "{what}"
        );
    }
}

#[tokio::test]
async fn what_came_before_the_fault_is_committed_and_acknowledged() {
    let running = Running::default().await;
    let bytes = [value(5, 1, 7), packet(0xd0, &[]), value(5, 2, 8)].concat();
    let answer = after_connect(&running, 5, &bytes).await;
    assert_eq!(
        answer,
        [&[0x40, 2, 0, 1][..], &[0xe0, 2, PROTOCOL, 0]].concat()
    );
    assert_eq!(running.journal.values(), [7.0]);
}

#[tokio::test]
async fn a_connection_that_does_not_start_with_connect_is_closed_without_a_word() {
    let running = Running::default().await;
    for bytes in [
        publish(4, 0x30, "telemetry/p1", 0, b"{\"a\":1}"),
        packet(0xc0, &[]),
        packet(0x40, &[0, 1]),
        vec![0x11, 0],
        // The start of a TLS handshake, and of an HTTP request.
        vec![0x16, 3, 1, 2, 0],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        // A CONNECT that announces 256 MiB.
        vec![0x10, 0xff, 0xff, 0xff, 0x7f],
    ] {
        let mut raw = running.raw().await;
        raw.send(&bytes).await;
        assert_eq!(raw.rest().await, b"", "{bytes:?}");
    }
    assert_eq!(running.stats.snapshot().handshakes_failed, 7);
}

/// A CONNECT of any level and flags; `rest` stands behind the keep-alive.
fn hand_made(level: u8, flags: u8, rest: &[&[u8]]) -> Vec<u8> {
    packet(
        0x10,
        &[text("MQTT"), vec![level, flags, 0, 60], rest.concat()].concat(),
    )
}

fn named(name: &str, level: u8) -> Vec<u8> {
    packet(
        0x10,
        &[text(name), vec![level, 2, 0, 60], text("p1")].concat(),
    )
}

/// A version 5 CONNECT with properties.
fn offering(properties: &[u8]) -> Vec<u8> {
    hand_made(5, 2, &[&[properties.len() as u8], properties, &text("p1")])
}

/// What is sent instead of a good CONNECT, and the answer.
type Refused = (&'static str, fn() -> Vec<u8>, &'static [u8]);

const REFUSED: &[Refused] = &[
    ("MQTT 3.1", || named("MQIsdp", 3), &[0x20, 2, 0, 1]),
    ("level 3", || named("MQTT", 3), &[0x20, 2, 0, 1]),
    ("level 6", || named("MQTT", 6), &[0x20, 3, 0, 0x84, 0]),
    ("another protocol", || named("HTTP", 4), &[]),
    (
        "v4 no id, session kept",
        || connect(4, "", false, 60),
        &[0x20, 2, 0, 2],
    ),
    (
        "v4 id with a slash",
        || connect(4, "a/b", true, 60),
        &[0x20, 2, 0, 2],
    ),
    (
        "v5 id with a plus",
        || connect(5, "a+b", true, 60),
        &[0x20, 3, 0, 0x85, 0],
    ),
    (
        "v5 long id",
        || connect(5, &"x".repeat(65), true, 60),
        &[0x20, 3, 0, 0x85, 0],
    ),
    ("v4 reserved flag", || hand_made(4, 3, &[&text("p1")]), &[]),
    (
        "v5 reserved flag",
        || hand_made(5, 3, &[&[0], &text("p1")]),
        &[0x20, 3, 0, MALFORMED, 0],
    ),
    (
        "v4 password alone",
        || hand_made(4, 0x42, &[&text("p1"), &text("pw")]),
        &[],
    ),
    (
        "v4 will flags alone",
        || hand_made(4, 0x0a, &[&text("p1")]),
        &[],
    ),
    (
        "v4 will QoS 3",
        || hand_made(4, 0x1e, &[&text("p1"), &text("t"), &text("m")]),
        &[],
    ),
    (
        "v5 will to a wildcard",
        || hand_made(5, 6, &[&[0], &text("p1"), &[0], &text("a/#"), &text("m")]),
        &[0x20, 3, 0, PROTOCOL, 0],
    ),
    (
        "v4 bytes behind the end",
        || hand_made(4, 2, &[&text("p1"), &[0]]),
        &[],
    ),
    (
        "v5 receive maximum 0",
        || offering(&[0x21, 0, 0]),
        &[0x20, 3, 0, PROTOCOL, 0],
    ),
    (
        "v5 packet size 0",
        || offering(&[0x27, 0, 0, 0, 0]),
        &[0x20, 3, 0, PROTOCOL, 0],
    ),
    (
        "v5 property twice",
        || offering(&[0x21, 0, 1, 0x21, 0, 1]),
        &[0x20, 3, 0, MALFORMED, 0],
    ),
    (
        "v5 strange property",
        || offering(&[0x23, 0, 1]),
        &[0x20, 3, 0, MALFORMED, 0],
    ),
    (
        "v5 authentication",
        || offering(&[0x15, 0, 1, b'x']),
        &[0x20, 3, 0, 0x8c, 0],
    ),
    ("v4 id cut short", || hand_made(4, 2, &[&[0, 9, b'p']]), &[]),
];

#[tokio::test]
async fn a_connect_that_breaks_a_rule_is_refused_with_its_code() {
    let running = Running::default().await;
    for (what, bytes, answer) in REFUSED {
        let mut raw = running.raw().await;
        raw.send(&bytes()).await;
        assert_eq!(raw.rest().await, *answer, "{what}");
    }
    assert!(running.journal.events().is_empty());
}

#[tokio::test]
async fn a_silent_peer_is_cut_off_and_stops_nobody_else() {
    let config = ListenerConfig {
        connect_timeout: Duration::from_millis(300),
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let mut silent = running.raw().await;
    let mut slow = running.raw().await;
    slow.send(&connect(4, "slow", true, 60)[..5]).await;
    let mut other = running.connected(4, "p1").await;
    other.send(&value(4, 1, 7)).await;
    assert_eq!(other.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(silent.rest().await, b"");
    assert_eq!(slow.rest().await, b"");
}

#[tokio::test]
async fn connections_beyond_the_caps_are_closed_and_counted() {
    let config = ListenerConfig {
        max_connections_per_address: 2,
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let first = running.connected(4, "a").await;
    let _second = running.connected(4, "b").await;
    assert_eq!(running.raw().await.rest().await, b"");
    assert_eq!(running.stats.snapshot().connections_refused, 1);
    drop(first);
    eventually("the place is free", || {
        running.stats.snapshot().connections == 1
    })
    .await;
    running.connected(4, "c").await;
}

#[tokio::test]
async fn a_keep_alive_is_enforced_and_none_is_capped() {
    let config = ListenerConfig {
        keep_alive_max: Duration::from_secs(1),
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    for keep_alive in [0, 3_600] {
        let mut raw = running.raw().await;
        raw.send(&connect(5, "p1", true, keep_alive)).await;
        let answer = raw.packet().await;
        let server_keep_alive = [0x13, 0, 1];
        assert!(
            answer.windows(3).any(|at| at == server_keep_alive),
            "{answer:?}"
        );
        let start = std::time::Instant::now();
        assert_eq!(raw.rest().await, [0xe0, 2, 0x8d, 0]);
        assert!(
            start.elapsed() >= Duration::from_millis(1_400),
            "one and a half keep-alives"
        );
    }
    let mut lively = running.connected(4, "p2").await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        lively.send(&[0xc0, 0]).await;
        assert_eq!(lively.packet().await, [0xd0, 0]);
    }
    assert_eq!(running.stats.snapshot().keep_alive_timeouts, 2);
}
