//! Who may connect, publish what, how fast, and for how long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ingest::{Access, Intake, ListenerConfig};
use telemetry::{CredentialId, DeadLetterReason, Grant, Quota, Scope};

use crate::support::{
    Keeper, Mood, Raw, Running, connect, device, eventually, login, packet, publish, text, value,
};

fn required() -> ListenerConfig {
    ListenerConfig {
        access: Access::Required,
        ..ListenerConfig::default()
    }
}

/// A keeper that knows the token `secret` of `p1` as credential 1.
fn keeper() -> Arc<Keeper> {
    let keeper = Keeper::new();
    keeper.grant(b"secret", 1, Scope::Device(device("p1")));
    keeper
}

/// A client whose login is accepted.
async fn logged_in(running: &Running, version: u8, client: &str, token: &str) -> Raw {
    let mut raw = running.raw().await;
    raw.send(&login(version, client, true, "anything", token))
        .await;
    let answer = raw.packet().await;
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    raw
}

#[tokio::test]
async fn without_a_valid_credential_of_its_own_nobody_comes_in_where_one_is_required() {
    let running = Running::start_with(required(), keeper()).await;
    for (what, v4, v5, answer4, answer5) in [
        (
            "no credential",
            connect(4, "p1", true, 60),
            connect(5, "p1", true, 60),
            5,
            0x87,
        ),
        (
            "an empty password",
            login(4, "p1", true, "p1", ""),
            login(5, "p1", true, "p1", ""),
            5,
            0x87,
        ),
        (
            "a wrong token",
            login(4, "p1", true, "p1", "guess"),
            login(5, "p1", true, "p1", "guess"),
            4,
            0x86,
        ),
        (
            "another's token",
            login(4, "p2", true, "p1", "secret"),
            login(5, "p2", true, "p1", "secret"),
            5,
            0x87,
        ),
    ] {
        let mut raw = running.raw().await;
        raw.send(&v4).await;
        assert_eq!(raw.rest().await, [0x20, 2, 0, answer4], "{what}, v4");
        let mut raw = running.raw().await;
        raw.send(&v5).await;
        assert_eq!(raw.rest().await, [0x20, 3, 0, answer5, 0], "{what}, v5");
    }
    let stats = running.stats.snapshot();
    assert_eq!((stats.logins_refused, stats.handshakes_failed), (8, 8));
    for version in [4, 5] {
        let mut raw = logged_in(&running, version, "p1", "secret").await;
        raw.send(&value(version, 1, 7)).await;
        assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    }
    assert_eq!(running.journal.values(), [7.0, 7.0]);
}

#[tokio::test]
async fn a_gate_that_grants_without_a_credential_lets_nobody_in_where_one_is_required() {
    let running = Running::start(required()).await;
    let mut raw = running.raw().await;
    raw.send(&login(5, "p1", true, "p1", "secret")).await;
    assert_eq!(raw.rest().await, [0x20, 3, 0, 0x87, 0]);
}

#[tokio::test]
async fn where_access_is_open_a_credential_that_is_shown_is_checked_all_the_same() {
    let running = Running::start_with(ListenerConfig::default(), keeper()).await;
    let mut nobody = running.connected(4, "p7").await;
    nobody.send(&value(4, 1, 7)).await;
    assert_eq!(nobody.packet().await, [0x40, 2, 0, 1]);
    let mut wrong = running.raw().await;
    wrong.send(&login(5, "p1", true, "p1", "guess")).await;
    assert_eq!(wrong.rest().await, [0x20, 3, 0, 0x86, 0]);
    let mut right = logged_in(&running, 4, "p1", "secret").await;
    right
        .send(&publish(4, 0x32, "telemetry/p2", 1, b"{\"a\":1}"))
        .await;
    assert_eq!(right.packet().await, [0x40, 2, 0, 1]);
    let letters = running.journal.letters();
    assert_eq!(letters[0].reason, DeadLetterReason::NotAuthorized);
}

#[tokio::test]
async fn a_client_without_an_id_comes_in_by_its_token() {
    let keeper = keeper();
    let running = Running::start_with(required(), keeper.clone()).await;
    let mut raw = logged_in(&running, 4, "", "secret").await;
    raw.send(&value(4, 1, 7)).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(
        *keeper.shown.lock().unwrap(),
        ["client - user anything certificate -"],
        "an assigned id is no claim"
    );
}

#[tokio::test]
async fn what_a_grant_does_not_cover_is_listed_and_version_5_is_told() {
    let keeper = keeper();
    let prefix = "telemetry/hall-3.".into();
    let client = device("gw");
    keeper.grant(
        b"gateway",
        2,
        Scope::Gateway {
            client,
            topic_prefix: prefix,
        },
    );
    let running = Running::start_with(required(), keeper).await;
    for (client, token, own, other) in [
        ("p1", "secret", "telemetry/p1", "telemetry/p2"),
        (
            "gw",
            "gateway",
            "telemetry/hall-3.p1",
            "telemetry/hall-4.p1",
        ),
    ] {
        for version in [4, 5] {
            let mut raw = logged_in(&running, version, client, token).await;
            for (first, id) in [(0x32, 1), (0x34, 2)] {
                raw.send(&publish(version, first, other, id, b"{\"a\":1}"))
                    .await;
                let ack = if first == 0x32 { 0x40 } else { 0x50 };
                let expected = if version == 5 {
                    vec![ack, 3, 0, id as u8, 0x87]
                } else {
                    vec![ack, 2, 0, id as u8]
                };
                assert_eq!(raw.packet().await, expected, "{client} v{version}");
            }
            raw.send(&publish(version, 0x32, own, 3, b"{\"a\":2}"))
                .await;
            assert_eq!(raw.packet().await, [0x40, 2, 0, 3]);
        }
    }
    let letters = running.journal.letters();
    assert_eq!(letters.len(), 8);
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadLetterReason::NotAuthorized && letter.is_whole())
    );
    assert_eq!(running.journal.values(), [2.0; 4]);
}

#[tokio::test]
async fn refused_messages_do_not_use_up_the_receive_maximum() {
    let config = ListenerConfig {
        receive_maximum: 2,
        ..required()
    };
    let running = Running::start_with(config, keeper()).await;
    let mut raw = logged_in(&running, 5, "p1", "secret").await;
    for id in 1..=10 {
        raw.send(&publish(5, 0x34, "telemetry/p2", id, b"{\"a\":1}"))
            .await;
        assert_eq!(raw.packet().await, [0x50, 3, 0, id as u8, 0x87]);
    }
    raw.send(&value(5, 11, 7)).await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 11]);
}

#[tokio::test]
async fn a_session_is_taken_over_under_the_same_credential_only() {
    let keeper = keeper();
    keeper.grant(b"second", 2, Scope::Device(device("p1")));
    let running = Running::start_with(ListenerConfig::default(), keeper.clone()).await;
    let mut nobody = running.connected(5, "p1").await;
    let mut first = logged_in(&running, 5, "p1", "secret").await;
    assert_eq!(
        nobody.rest().await,
        [0xe0, 2, 0x8e, 0],
        "who has no credential gives way to one"
    );
    for intruder in [
        connect(5, "p1", true, 60),
        login(5, "p1", true, "p1", "second"),
    ] {
        let mut raw = running.raw().await;
        raw.send(&intruder).await;
        assert_eq!(raw.rest().await, [0x20, 3, 0, 0x87, 0]);
    }
    first.send(&[0xc0, 0]).await;
    assert_eq!(first.packet().await, [0xd0, 0], "it was not disturbed");
    let mut again = logged_in(&running, 5, "p1", "secret").await;
    assert_eq!(first.rest().await, [0xe0, 2, 0x8e, 0]);
    again.send(&[0xc0, 0]).await;
    assert_eq!(again.packet().await, [0xd0, 0]);
    keeper.revoke(1);
    logged_in(&running, 5, "p1", "second").await;
}

#[tokio::test]
async fn a_kept_session_is_not_given_to_another_credential() {
    let keeper = keeper();
    keeper.grant(b"second", 2, Scope::Device(device("p1")));
    let running = Running::start_with(required(), keeper).await;
    for (token, present) in [("secret", 0), ("secret", 1), ("second", 0)] {
        let mut raw = running.raw().await;
        raw.send(&login(4, "p1", false, "p1", token)).await;
        assert_eq!(raw.packet().await, [0x20, 2, present, 0], "{token}");
        raw.send(&[0xe0, 0]).await;
        raw.rest().await;
        eventually("gone", || running.stats.snapshot().connections == 0).await;
    }
}

#[tokio::test]
async fn a_revoked_credential_ends_its_idle_session_and_comes_in_no_more() {
    let keeper = keeper();
    keeper.grant(b"other", 2, Scope::Device(device("p2")));
    let running = Running::start_with(required(), keeper.clone()).await;
    let mut idle4 = logged_in(&running, 4, "p1", "secret").await;
    let mut idle5 = logged_in(&running, 5, "", "secret").await;
    let mut other = logged_in(&running, 5, "p2", "other").await;
    keeper.revoke(1);
    assert_eq!(idle5.rest().await, [0xe0, 2, 0x87, 0]);
    assert_eq!(idle4.rest().await, b"");
    let mut again = running.raw().await;
    again.send(&login(5, "p1", true, "p1", "secret")).await;
    assert_eq!(again.rest().await, [0x20, 3, 0, 0x86, 0]);
    other.send(&[0xc0, 0]).await;
    assert_eq!(other.packet().await, [0xd0, 0]);
    eventually("counted", || running.stats.snapshot().sessions_revoked == 2).await;
}

#[tokio::test]
async fn a_revoked_session_ends_also_while_the_journal_hangs() {
    let keeper = keeper();
    let running = Running::start_with(required(), keeper.clone()).await;
    let mut raw = logged_in(&running, 5, "p1", "secret").await;
    running.journal.set(Mood::Holds);
    raw.send(&value(5, 1, 7)).await;
    eventually("it was read", || {
        running.stats.snapshot().messages_received == 1
    })
    .await;
    keeper.revoke(1);
    assert_eq!(
        raw.rest().await,
        [0xe0, 2, 0x87, 0],
        "and nothing is acknowledged"
    );
}

/// A listener whose `p1` may publish so much.
async fn limited(quota: Quota, keep_alive_max: Duration) -> Running {
    let keeper = Keeper::new();
    keeper.grant_quota(b"secret", 1, Scope::Device(device("p1")), quota);
    let config = ListenerConfig {
        keep_alive_max,
        ..required()
    };
    Running::start_with(config, keeper).await
}

#[tokio::test]
async fn a_sender_above_its_quota_is_slowed_down_and_loses_nothing() {
    let quotas = [
        Quota {
            messages_per_s: 100,
            bytes_per_s: 0,
        },
        Quota {
            messages_per_s: 0,
            // A message has 12 bytes of topic with its length, two of id, 9 of payload.
            bytes_per_s: 2_500,
        },
    ];
    for quota in quotas {
        let running = limited(quota, Duration::from_mins(1)).await;
        let start = Instant::now();
        let mut raw = logged_in(&running, 4, "p1", "secret").await;
        let bytes: Vec<u8> = (1..=250).flat_map(|id| value(4, id, 100)).collect();
        raw.send(&bytes).await;
        raw.take(4 * 250).await;
        assert!(
            start.elapsed() >= Duration::from_secs(1),
            "100 at once and 150 at 100 a second cannot be faster"
        );
        assert_eq!(running.journal.values().len(), 250);
        assert!(running.stats.snapshot().quota_pauses > 0);
    }
}

#[tokio::test]
async fn connections_and_requests_of_a_credential_draw_on_one_account() {
    let quota = Quota {
        messages_per_s: 5,
        bytes_per_s: 0,
    };
    let running = limited(quota, Duration::from_mins(1)).await;
    let intake = Intake::new(running.parts.clone());
    let grant = |credential| Grant {
        credential: Some(CredentialId(credential)),
        scope: Scope::Device(device("p1")),
        quota,
    };
    assert_eq!(intake.quota_wait(&grant(1)), None);
    // Over MQTT as much as a second allows; over HTTP there is nothing left then.
    let mut raw = logged_in(&running, 4, "p1", "secret").await;
    let bytes: Vec<u8> = (1..=5).flat_map(|id| value(4, id, 100)).collect();
    raw.send(&bytes).await;
    raw.take(4 * 5).await;
    intake.quota_take(&grant(1), 1);
    assert!(intake.quota_wait(&grant(1)).is_some());
    assert_eq!(intake.quota_wait(&grant(2)), None, "another credential");
    // And the other way round: requests make the connection wait.
    assert_eq!(running.stats.snapshot().quota_pauses, 0);
    for _ in 0..5 {
        intake.quota_take(&grant(1), 1);
    }
    raw.send(&value(4, 6, 100)).await;
    raw.take(4).await;
    assert!(running.stats.snapshot().quota_pauses > 0);
}

#[tokio::test]
async fn a_slowed_sender_is_not_taken_for_dead_and_is_told_that_we_live() {
    let quota = Quota {
        messages_per_s: 4,
        bytes_per_s: 0,
    };
    let running = limited(quota, Duration::from_secs(1)).await;
    let mut raw = logged_in(&running, 4, "p1", "secret").await;
    // Five seconds' worth with QoS 0, and a ping that stands behind it in the line.
    let mut bytes: Vec<u8> = (0..24)
        .flat_map(|at| {
            publish(
                4,
                0x30,
                "telemetry/p1",
                0,
                format!("{{\"a\":{at}}}").as_bytes(),
            )
        })
        .collect();
    bytes.extend([0xc0, 0]);
    raw.send(&bytes).await;
    eventually("all arrived", || running.journal.values().len() == 24).await;
    let mut pongs = 0;
    while pongs < 3 {
        assert_eq!(raw.packet().await, [0xd0, 0]);
        pongs += 1;
    }
    assert_eq!(running.stats.snapshot().keep_alive_timeouts, 0);
}

#[tokio::test]
async fn version_5_is_told_to_keep_no_more_open_than_its_quota() {
    let quota = Quota {
        messages_per_s: 7,
        bytes_per_s: 0,
    };
    let running = limited(quota, Duration::from_mins(1)).await;
    let mut raw = running.raw().await;
    raw.send(&login(5, "p1", true, "p1", "secret")).await;
    let answer = raw.packet().await;
    let told = [0x21, 0, 7];
    assert!(answer.windows(3).any(|at| at == told), "{answer:?}");
}

#[tokio::test]
async fn connections_of_one_credential_share_its_quota() {
    let quota = Quota {
        messages_per_s: 50,
        bytes_per_s: 0,
    };
    let running = limited(quota, Duration::from_mins(1)).await;
    let start = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut raw = logged_in(&running, 4, "", "secret").await;
        raw.send(&(1..=50).flat_map(|id| value(4, id, 1)).collect::<Vec<_>>())
            .await;
        clients.push(raw);
    }
    for mut raw in clients {
        raw.take(4 * 50).await;
    }
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "50 at once and 150 at 50 a second cannot be faster"
    );
}

#[tokio::test]
async fn a_grant_bounds_which_sparkplug_commands_may_be_heard() {
    let keeper = Keeper::new();
    keeper.grant(b"node", 1, Scope::Device(device("g.n1")));
    let (client, prefix) = (device("gw"), "spBv1.0/g/".into());
    let gateway = Scope::Gateway {
        client,
        topic_prefix: prefix,
    };
    keeper.grant(b"gateway", 2, gateway);
    let running = Running::start_with(required(), keeper).await;
    for (client, token, filter, code) in [
        ("g.n1", "node", "commands/g.n1", 0x00),
        ("g.n1", "node", "spBv1.0/g/NCMD/n1", 0x00),
        ("g.n1", "node", "spBv1.0/g/DCMD/n1/#", 0x00),
        ("g.n1", "node", "spBv1.0/g/NCMD/n2", 0x87),
        ("g.n1", "node", "spBv1.0/h/NCMD/n1", 0x87),
        ("g.n1", "node", "spBv1.0/g/DCMD/n2/#", 0xa2),
        ("g.n1", "node", "spBv1.0/g/NDATA/n1", 0x87),
        ("gw", "gateway", "spBv1.0/g/NCMD/n2", 0x00),
        ("gw", "gateway", "spBv1.0/h/NCMD/n2", 0x87),
    ] {
        let mut raw = logged_in(&running, 5, client, token).await;
        let body = [vec![0, 9, 0], text(filter), vec![1]].concat();
        raw.send(&packet(0x82, &body)).await;
        assert_eq!(
            raw.packet().await,
            [0x90, 4, 0, 9, 0, code],
            "{client} {filter}"
        );
    }
}
