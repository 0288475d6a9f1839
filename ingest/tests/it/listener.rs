//! What the listener promises devices that behave.

use std::{sync::Arc, time::Duration};

use rumqttc::{QoS, v5};
use telemetry::DeadLetterReason;
use tokio::{io::AsyncWriteExt as _, time};

use crate::support::{Mood, PATIENCE, Running, connect, eventually, packet, publish, text, value};

#[tokio::test]
async fn an_acknowledgement_comes_only_after_the_commit() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut raw = running.connected(version, "p1").await;
        running.journal.set(Mood::Holds);
        raw.send(&value(version, 1, 7)).await;
        raw.send(&publish(version, 0x34, "telemetry/p1", 2, b"{\"a\":8}"))
            .await;
        raw.send(&publish(version, 0x32, "telemetry/p1", 3, b"bad"))
            .await;
        assert!(raw.is_quiet().await, "nothing is committed");
        raw.send(&[0xc0, 0]).await;
        assert_eq!(
            raw.packet().await,
            [0xd0, 0],
            "a ping does not wait for the journal"
        );
        running.journal.set(Mood::Commits);
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
        assert_eq!(raw.packet().await, [0x50, 2, 0, 2]);
        assert_eq!(
            raw.packet().await,
            [0x40, 2, 0, 3],
            "a dead letter is acknowledged too"
        );
        assert_eq!(running.journal.values(), [7.0, 8.0]);
        let stats = running.stats.snapshot();
        assert_eq!(
            (
                stats.messages_received,
                stats.messages_acknowledged,
                stats.readings_acknowledged
            ),
            (3, 3, 2)
        );
        assert!(
            stats
                .dead_letters
                .contains(&(DeadLetterReason::MalformedPayload, 1))
        );
    }
}

/// Publishes 0..300 with `QoS` 0, 1 and 2 in turn.
const COUNT: u32 = 300;

fn expected() -> Vec<f64> {
    (0..COUNT).map(f64::from).collect()
}

fn payload(at: u32) -> String {
    format!("{{\"ts\":{at},\"a\":{at}}}")
}

#[tokio::test]
async fn a_version_4_client_library_publishes_with_every_qos() {
    let running = Running::default().await;
    let mut options = rumqttc::MqttOptions::new("lib4", "127.0.0.1", running.address.port());
    options
        .set_keep_alive(Duration::from_secs(30))
        .set_inflight(50);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    for at in 0..COUNT {
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][at as usize % 3];
        client
            .publish("telemetry/lib4", qos, false, payload(at))
            .await
            .unwrap();
    }
    eventually("all values", || running.journal.values() == expected()).await;
    let acknowledged = u64::from(COUNT / 3 * 2);
    eventually("all acks", || {
        running.stats.snapshot().messages_acknowledged == acknowledged
    })
    .await;
    client.disconnect().await.unwrap();
    time::timeout(PATIENCE, polling).await.unwrap().unwrap();
    eventually("it left", || {
        running.journal.comings_and_goings() == ["lib4 online", "lib4 left"]
    })
    .await;
}

#[tokio::test]
async fn a_version_5_client_library_publishes_with_every_qos() {
    let running = Running::default().await;
    let mut options = v5::MqttOptions::new("lib5", "127.0.0.1", running.address.port());
    options
        .set_keep_alive(Duration::from_secs(30))
        .set_outgoing_inflight_upper_limit(50);
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    for at in 0..COUNT {
        use v5::mqttbytes::QoS;
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][at as usize % 3];
        client
            .publish("telemetry/lib5", qos, false, payload(at))
            .await
            .unwrap();
    }
    eventually("all values", || running.journal.values() == expected()).await;
    let acknowledged = u64::from(COUNT / 3 * 2);
    eventually("all acks", || {
        running.stats.snapshot().messages_acknowledged == acknowledged
    })
    .await;
    client.disconnect().await.unwrap();
    time::timeout(PATIENCE, polling).await.unwrap().unwrap();
    eventually("it left", || {
        running.journal.comings_and_goings() == ["lib5 online", "lib5 left"]
    })
    .await;
}

#[tokio::test]
async fn a_journal_that_fails_closes_the_connection_without_acknowledging() {
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x89, 0])] {
        let running = Running::default().await;
        let mut raw = running.connected(version, "p1").await;
        eventually("online", || !running.journal.events().is_empty()).await;
        running.journal.set(Mood::Fails);
        raw.send(
            &[
                value(version, 1, 7),
                publish(version, 0x34, "telemetry/p1", 2, b"{\"a\":8}"),
            ]
            .concat(),
        )
        .await;
        assert_eq!(raw.rest().await, goodbye);
        running.journal.set(Mood::Commits);
        let mut again = running.raw().await;
        again.send(&connect(version, "p1", false, 60)).await;
        again.packet().await;
        again
            .send(&publish(version, 0x3c, "telemetry/p1", 2, b"{\"a\":8}"))
            .await;
        assert_eq!(again.packet().await, [0x50, 2, 0, 2]);
        assert_eq!(
            running.journal.values(),
            [8.0],
            "what failed was not taken for a duplicate"
        );
        assert_eq!(running.stats.snapshot().messages_acknowledged, 1);
    }
}

#[tokio::test]
async fn a_qos_2_message_is_stored_once_over_a_broken_connection() {
    for version in [4, 5] {
        let running = Running::default().await;
        let mut first = running.raw().await;
        first.send(&connect(version, "p1", false, 60)).await;
        assert_eq!(first.packet().await[2], 0, "no session yet");
        first
            .send(&publish(version, 0x34, "telemetry/p1", 5, b"{\"a\":1}"))
            .await;
        assert_eq!(first.packet().await, [0x50, 2, 0, 5]);
        drop(first);
        let mut second = running.raw().await;
        second.send(&connect(version, "p1", false, 60)).await;
        assert_eq!(second.packet().await[2], 1, "the session is present");
        second
            .send(&publish(version, 0x3c, "telemetry/p1", 5, b"{\"a\":1}"))
            .await;
        assert_eq!(second.packet().await, [0x50, 2, 0, 5]);
        second.send(&packet(0x62, &[0, 5])).await;
        assert_eq!(second.packet().await, [0x70, 2, 0, 5]);
        second.send(&packet(0x62, &[0, 5])).await;
        let unknown = if version == 4 {
            vec![0x70, 2, 0, 5]
        } else {
            vec![0x70, 4, 0, 5, 0x92, 0]
        };
        assert_eq!(second.packet().await, unknown, "released twice");
        assert_eq!(running.journal.values(), [1.0]);
        assert_eq!(running.stats.snapshot().duplicates, 1);
        drop(second);
        let mut third = running.connected(version, "p1").await;
        third
            .send(&publish(version, 0x3c, "telemetry/p1", 5, b"{\"a\":2}"))
            .await;
        third.packet().await;
        assert_eq!(
            running.journal.values(),
            [1.0, 2.0],
            "a clean session knows nothing of before"
        );
    }
}

#[tokio::test]
async fn a_second_connection_takes_the_client_id_over_and_nothing_appended_is_lost() {
    let running = Running::default().await;
    let mut old = running.connected(5, "p1").await;
    running.journal.set(Mood::Holds);
    old.send(&value(5, 1, 7)).await;
    eventually("it was read", || {
        running.stats.snapshot().messages_received == 1
    })
    .await;
    let mut new = running.raw().await;
    new.send(&connect(5, "p1", true, 60)).await;
    assert!(new.is_quiet().await, "the old one is not decided yet");
    running.journal.set(Mood::Commits);
    assert_eq!(new.packet().await[0], 0x20);
    assert_eq!(old.rest().await, [0x40, 2, 0, 1, 0xe0, 2, 0x8e, 0]);
    new.send(&value(5, 1, 8)).await;
    assert_eq!(new.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(running.journal.values(), [7.0, 8.0]);
    assert_eq!(
        running.journal.comings_and_goings(),
        ["p1 online", "p1 online"],
        "it was never offline"
    );
    assert_eq!(running.stats.snapshot().sessions_taken_over, 1);
}

#[tokio::test]
async fn comings_and_goings_are_recorded_and_a_will_means_vanished() {
    let running = Running::default().await;
    let mut with_will = running.raw().await;
    let body = [
        text("MQTT"),
        vec![4, 6, 0, 60],
        text("w"),
        text("status/w"),
        text("gone"),
    ]
    .concat();
    with_will.send(&packet(0x10, &body)).await;
    with_will.packet().await;
    drop(with_will);
    let seen = |expected: &'static [&str]| {
        let journal = Arc::clone(&running.journal);
        move || journal.comings_and_goings() == expected
    };
    eventually("vanished", seen(&["w online", "w vanished"])).await;
    let mut polite = running.connected(4, "x").await;
    polite.send(&[0xe0, 0]).await;
    assert_eq!(polite.rest().await, b"");
    let mut sends_will = running.connected(5, "y").await;
    sends_will.send(&[0xe0, 1, 0x04]).await;
    assert_eq!(sends_will.rest().await, b"");
    let all = &[
        "w online",
        "w vanished",
        "x online",
        "x left",
        "y online",
        "y vanished",
    ];
    eventually("all", seen(all)).await;
    drop(running.connected(4, "stranger-1").await);
    drop(running.connected(4, "").await);
    eventually("all gone", || running.stats.snapshot().connections == 0).await;
    assert_eq!(
        running.journal.comings_and_goings(),
        all,
        "strangers and assigned ids are nobody"
    );
}

#[tokio::test]
async fn only_the_own_command_topic_can_be_subscribed() {
    let running = Running::default().await;
    for (filter, v4, v5) in [
        ("commands/p1", 0x00, 0x00),
        ("commands/p2", 0x80, 0x87),
        ("telemetry/p1", 0x80, 0x87),
        ("commands/+", 0x80, 0xa2),
        ("#", 0x80, 0xa2),
        ("$share/g/commands/p1", 0x80, 0x9e),
    ] {
        let mut raw = running.connected(4, "p1").await;
        raw.send(&packet(0x82, &[vec![0, 9], text(filter), vec![2]].concat()))
            .await;
        assert_eq!(raw.packet().await, [0x90, 3, 0, 9, v4], "{filter}, v4");
        raw.send(&packet(0xa2, &[vec![0, 10], text(filter)].concat()))
            .await;
        assert_eq!(raw.packet().await, [0xb0, 2, 0, 10], "{filter}, v4");
        let mut raw = running.connected(5, "p1").await;
        raw.send(&packet(
            0x82,
            &[vec![0, 9, 0], text(filter), vec![1]].concat(),
        ))
        .await;
        assert_eq!(raw.packet().await, [0x90, 4, 0, 9, 0, v5], "{filter}, v5");
        raw.send(&packet(0xa2, &[vec![0, 10, 0], text(filter)].concat()))
            .await;
        let existed = if filter == "commands/p1" { 0 } else { 0x11 };
        assert_eq!(
            raw.packet().await,
            [0xb0, 4, 0, 10, 0, existed],
            "{filter}, v5"
        );
    }
    let mut raw = running.connected(5, "p1").await;
    raw.send(&packet(
        0x82,
        &[
            vec![0, 9, 0],
            text("a+"),
            vec![1],
            text("commands/p1"),
            vec![0],
        ]
        .concat(),
    ))
    .await;
    assert_eq!(raw.packet().await, [0x90, 5, 0, 9, 0, 0x8f, 0]);
    raw.send(&packet(
        0x82,
        &[vec![0, 9, 2, 0x0b, 7], text("commands/p1"), vec![0]].concat(),
    ))
    .await;
    assert_eq!(
        raw.packet().await,
        [0x90, 4, 0, 9, 0, 0xa1],
        "no subscription identifiers"
    );
    let mut raw = running.connected(4, "p1").await;
    raw.send(&packet(0x82, &[vec![0, 9], text("a+"), vec![1]].concat()))
        .await;
    assert_eq!(
        raw.rest().await,
        b"",
        "a filter that is none closes a v4 connection"
    );
}

#[tokio::test]
async fn the_connack_of_version_5_says_what_is_offered() {
    let running = Running::default().await;
    let mut raw = running.raw().await;
    raw.send(&connect(5, "", true, 0)).await;
    let answer = raw.packet().await;
    assert_eq!(answer[2..4], [0, 0]);
    let has = |bytes: &[u8]| answer.windows(bytes.len()).any(|at| at == bytes);
    assert!(has(&[0x21, 0x10, 0x00]), "Receive Maximum 4096");
    assert!(has(&[0x27, 0, 4, 0, 0]), "Maximum Packet Size 262144");
    assert!(
        has(&[0x25, 0]) && has(&[0x28, 0]) && has(&[0x29, 0]) && has(&[0x2a, 0]),
        "no retained, wildcard, numbered, shared"
    );
    assert!(has(&[0x13, 0x04, 0xb0]), "Server Keep Alive 1200");
    assert!(
        has(&[&[0x12, 0, 21][..], b"auto-"].concat()),
        "Assigned Client Identifier"
    );
    assert!(!answer[5..].contains(&0x22), "no topic aliases");
    raw.send(&value(5, 1, 7)).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
}

#[tokio::test]
async fn dead_letters_are_acknowledged_and_say_where_they_came_from() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "gateway").await;
    for (id, topic) in [
        (1, "telemetry/stranger-7"),
        (2, "elsewhere/p1"),
        (3, "telemetry/p1/a b+c"),
    ] {
        let topic = topic.replace('+', "\"");
        raw.send(&publish(4, 0x32, &topic, id, b"{\"a\":1}")).await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, id as u8]);
    }
    let letters: Vec<_> = running
        .journal
        .records()
        .into_iter()
        .flat_map(|record| record.dead_letters)
        .collect();
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(
        reasons,
        [
            DeadLetterReason::UnknownDevice,
            DeadLetterReason::UnknownTopic,
            DeadLetterReason::InvalidSignal
        ]
    );
    assert_eq!(letters[0].device.as_ref().unwrap().as_str(), "stranger-7");
    assert_eq!(letters[1].topic, "elsewhere/p1");
    assert_eq!(letters[0].payload, b"{\"a\":1}");
}

#[tokio::test]
async fn a_device_that_only_stopped_sending_still_gets_its_acknowledgements() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "p1").await;
    running.journal.set(Mood::Holds);
    raw.send(&[value(4, 1, 7), value(4, 2, 8)].concat()).await;
    raw.0.shutdown().await.unwrap();
    eventually("it was read", || {
        running.stats.snapshot().messages_received == 2
    })
    .await;
    running.journal.set(Mood::Commits);
    assert_eq!(raw.rest().await, [0x40, 2, 0, 1, 0x40, 2, 0, 2]);
}

#[tokio::test]
async fn a_gateway_publishes_for_many_devices_in_one_buffer() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "gateway").await;
    let bytes: Vec<u8> = (0..500_u16)
        .flat_map(|at| {
            publish(
                4,
                0x32,
                &format!("telemetry/d{}/t_c", at % 50),
                at + 1,
                at.to_string().as_bytes(),
            )
        })
        .collect();
    raw.send(&bytes).await;
    raw.take(4 * 500).await;
    for record in running.journal.records() {
        for row in record.readings.rows() {
            assert_eq!(row.device.as_str(), format!("d{}", row.values[0] % 50.0));
        }
    }
    assert_eq!(running.journal.values().len(), 500);
}

#[tokio::test]
async fn mosquitto_pub_reaches_the_listener_in_every_version_and_qos() {
    let running = Running::default().await;
    let port = running.address.port().to_string();
    let mut expected = Vec::new();
    for version in ["311", "5"] {
        for qos in ["0", "1", "2"] {
            let value = expected.len() as f64;
            let payload = format!("{{\"a\":{value}}}");
            let mut command = tokio::process::Command::new("mosquitto_pub");
            command.args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-q", qos]);
            command.args(["-t", "telemetry/p1", "-m", &payload]);
            match command.status().await {
                Ok(status) => assert!(status.success(), "-V {version} -q {qos}"),
                Err(error) => {
                    eprintln!(
                        "mosquitto_pub cannot be started ({error}); this test passes over it"
                    );
                    return;
                }
            }
            expected.push(value);
            eventually("it arrived", || running.journal.values() == expected).await;
        }
    }
}
