//! The part that only 5.0 has.

use super::*;

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
