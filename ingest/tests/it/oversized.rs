//! Packets beyond the limit are listed before their connection ends, and not too often.

use ingest::ListenerConfig;
use telemetry::DeadLetterReason;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Raw, Running, eventually, publish, value};

fn small() -> ListenerConfig {
    ListenerConfig {
        max_packet_bytes: 2_048,
        ..ListenerConfig::default()
    }
}

/// A `QoS` 1 publish of 5,000 bytes.
fn large(version: u8, topic: &str) -> Vec<u8> {
    publish(version, 0x32, topic, 1, &[b'x'; 5_000])
}

/// Sends what the listener will not read to its end.
async fn pour(raw: &mut Raw, bytes: &[u8]) {
    // The listener may have closed before the last byte is sent.
    let _ = raw.0.write_all(bytes).await;
}

#[tokio::test]
async fn an_oversized_publish_is_listed_and_then_the_connection_ends_with_its_reason() {
    let running = Running::start(small()).await;
    for (version, goodbye) in [(4, vec![]), (5, vec![0xe0, 2, 0x95, 0])] {
        let mut raw = running.connected(version, &format!("gw{version}")).await;
        let bytes = [value(version, 9, 7), large(version, "telemetry/p1")].concat();
        pour(&mut raw, &bytes).await;
        let expected = [&[0x40, 2, 0, 9][..], &goodbye].concat();
        assert_eq!(
            raw.rest().await,
            expected,
            "the oversized one is not acknowledged"
        );
    }
    let letters = running.journal.letters();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert_eq!(letter.reason, DeadLetterReason::TooLarge);
        assert_eq!(letter.topic, "telemetry/p1");
        assert_eq!(letter.device.unwrap().as_str(), "p1");
        assert!(letter.payload_len > 5_000 && letter.payload.len() < 2_048);
        assert!(letter.detail.contains("2048"), "{}", letter.detail);
    }
    let stats = running.stats.snapshot();
    assert_eq!(stats.oversized_packets, 2);
    assert!(
        stats
            .dead_letters
            .contains(&(DeadLetterReason::TooLarge, 2))
    );
    assert_eq!(running.journal.values(), [7.0, 7.0]);
}

#[tokio::test]
async fn one_that_breaks_off_is_listed_without_what_did_not_arrive() {
    let running = Running::start(small()).await;
    let all = large(5, "telemetry/p1");
    // Before the topic, and in the middle of it; the peer waits or leaves.
    for (at, cut, leaves) in [(1, 3, false), (2, 9, false), (3, 9, true)] {
        let mut raw = running.connected(5, &format!("gw{at}")).await;
        raw.send(&all[..cut]).await;
        if leaves {
            raw.0.shutdown().await.unwrap();
        }
        assert_eq!(raw.rest().await, [0xe0, 2, 0x95, 0]);
        eventually("listed", || running.journal.letters().len() == at).await;
    }
    assert!(
        running
            .journal
            .letters()
            .iter()
            .all(|letter| letter.topic.is_empty() && letter.device.is_none())
    );
}

const TIMES: u64 = 20;

#[tokio::test]
async fn a_device_that_sends_it_again_and_again_does_not_fill_the_list() {
    let running = Running::start(small()).await;
    for _ in 0..TIMES {
        let mut raw = running.connected(5, "p1").await;
        pour(&mut raw, &large(5, "telemetry/p1")).await;
        assert_eq!(raw.rest().await, [0xe0, 2, 0x95, 0]);
    }
    assert_eq!(running.stats.snapshot().oversized_packets, TIMES);
    let listed = running.journal.letters().len();
    // Two a minute, and the test may see the end of one minute and the start of the next.
    assert!((2..=4).contains(&listed), "{listed}");
    let mut other = running.connected(5, "p2").await;
    pour(&mut other, &large(5, "telemetry/p2")).await;
    other.rest().await;
    assert_eq!(
        running.journal.letters().len(),
        listed + 1,
        "another device is listed"
    );
}
