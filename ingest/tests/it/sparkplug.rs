//! Rebirth requests find their way back to an edge node, and a death certificate counts.

use crate::support::{Running, connect, eventually, packet, publish, text};

pub(crate) const NCMD: &str = "spBv1.0/plant/NCMD/node-1";

/// A Sparkplug payload of a node that was never born here: a metric known by alias only.
/// Timestamp 1,700,000,000,000 (field 1), metric (field 2) { alias 3 (field 2), datatype
/// Double (field 4), value 1.5 (field 13) }, seq 5 (field 3).
pub(crate) fn data_of_an_unknown_node() -> Vec<u8> {
    let metric = [&[0x10, 3, 0x20, 10, 0x69][..], &1.5_f64.to_le_bytes()].concat();
    [
        &[0x08, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31][..],
        &[0x12, metric.len() as u8],
        &metric,
        &[0x18, 5],
    ]
    .concat()
}

fn subscribe(version: u8, filter: &str) -> Vec<u8> {
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    packet(0x82, &[&[0, 9], properties, &text(filter), &[1]].concat())
}

#[tokio::test]
async fn a_rebirth_request_reaches_the_node_that_subscribed_to_its_commands() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut raw = running.connected(version, "edge").await;
        raw.send(&subscribe(version, NCMD)).await;
        let suback = raw.packet().await;
        assert_eq!((suback[0], suback.last()), (0x90, Some(&0)));
        let data = data_of_an_unknown_node();
        raw.send(&publish(
            version,
            0x30,
            "spBv1.0/plant/NDATA/node-1",
            0,
            &data,
        ))
        .await;
        let command = raw.packet().await;
        assert_eq!(command[0], 0x30, "QoS 0, not retained");
        let topic_end = 4 + NCMD.len();
        assert_eq!(&command[4..topic_end], NCMD.as_bytes());
        let payload = &command[topic_end + usize::from(version == 5)..];
        let name = b"Node Control/Rebirth";
        assert!(
            payload.windows(name.len()).any(|at| at == name),
            "{payload:?}"
        );
        assert_eq!(running.stats.snapshot().commands_sent, 1);
    }
}

#[tokio::test]
async fn a_node_that_did_not_subscribe_gets_no_command() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "edge").await;
    raw.send(&subscribe(4, "spBv1.0/plant/NCMD/node-2")).await;
    raw.packet().await;
    let data = data_of_an_unknown_node();
    raw.send(&publish(4, 0x32, "spBv1.0/plant/NDATA/node-1", 1, &data))
        .await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert!(raw.is_quiet().await);
    assert_eq!(running.stats.snapshot().commands_sent, 0);
}

#[tokio::test]
async fn subscriptions_of_a_kept_session_are_in_force_after_a_reconnect() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut first = running.raw().await;
        first.send(&connect(version, "edge", false, 60)).await;
        first.packet().await;
        first.send(&subscribe(version, NCMD)).await;
        first.packet().await;
        drop(first);
        eventually("gone", || running.stats.snapshot().connections == 0).await;
        let mut second = running.raw().await;
        second.send(&connect(version, "edge", false, 60)).await;
        assert_eq!(second.packet().await[2], 1, "the session is present");
        let data = data_of_an_unknown_node();
        second
            .send(&publish(
                version,
                0x30,
                "spBv1.0/plant/NDATA/node-1",
                0,
                &data,
            ))
            .await;
        assert_eq!(second.packet().await[0], 0x30);
    }
}

#[tokio::test]
async fn a_client_gets_no_command_longer_than_it_takes() {
    let running = Running::default().await;
    let mut raw = running.raw().await;
    // Maximum Packet Size 50.
    let body = [
        text("MQTT"),
        vec![5, 2, 0, 60, 5, 0x27, 0, 0, 0, 50],
        text("edge"),
    ]
    .concat();
    raw.send(&packet(0x10, &body)).await;
    raw.packet().await;
    raw.send(&subscribe(5, NCMD)).await;
    raw.packet().await;
    let data = data_of_an_unknown_node();
    raw.send(&publish(5, 0x32, "spBv1.0/plant/NDATA/node-1", 1, &data))
        .await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(running.stats.snapshot().commands_sent, 0);
}

#[tokio::test]
async fn the_death_certificate_of_a_node_that_vanishes_is_read() {
    let running = Running::default().await;
    let mut raw = running.raw().await;
    // A will that is no Sparkplug payload shows that it went to the decoder.
    let body = [
        text("MQTT"),
        vec![4, 6, 0, 60],
        text("edge"),
        text("spBv1.0/plant/NDEATH/node-1"),
        vec![0, 2, 0xff, 0xff],
    ]
    .concat();
    raw.send(&packet(0x10, &body)).await;
    raw.packet().await;
    drop(raw);
    eventually("the will was read", || {
        let letters = running.journal.letters();
        letters
            .iter()
            .any(|letter| letter.topic == "spBv1.0/plant/NDEATH/node-1")
    })
    .await;
    let mut polite = running.raw().await;
    polite.send(&packet(0x10, &body)).await;
    polite.packet().await;
    polite.send(&[0xe0, 0]).await;
    polite.rest().await;
    eventually("it left", || running.stats.snapshot().connections == 0).await;
    assert_eq!(
        running.journal.letters().len(),
        1,
        "no will after a goodbye"
    );
}
