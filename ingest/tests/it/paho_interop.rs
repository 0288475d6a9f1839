//! What the interoperability tests of Eclipse Paho ask of a server, for 3.1.1 and 5.0, as far as
//! it needs no messages from one client to another. Each test is named after a behaviour; where
//! this listener offers less than a broker, the test holds it to the refusal that the standard
//! has for it.

mod v5;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_sent_right_before_it_came_again_is_kept() {
    let running = Running::default().await;
    let rounds = 100;
    let mut first = running.connected(4, "p1").await;
    for round in 0..rounds {
        let payload = format!("{{\"ts\":{round},\"a\":{round}}}");
        first
            .send(&publish(4, 0x30, "telemetry/p1", 0, payload.as_bytes()))
            .await;
        first = running.connected(4, "p1").await;
    }
    eventually("every message", || running.journal.values().len() == rounds).await;
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
