//! Slow readers and half-open peers cost themselves, and nobody else.

use std::time::Duration;

use ingest::ListenerConfig;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket, time};

use crate::support::{Raw, Running, connect, eventually, packet, text, value};

/// Publishes and waits for the acknowledgement, some hundred times.
async fn works(raw: &mut Raw) {
    for id in 1..=300 {
        raw.send(&value(4, id, 1)).await;
        assert_eq!(raw.packet().await, [0x40, 2, (id >> 8) as u8, id as u8]);
    }
}

fn hasty() -> ListenerConfig {
    ListenerConfig {
        write_timeout: Duration::from_millis(500),
        ..ListenerConfig::default()
    }
}

/// A client that asks for answers and never reads them, until it can send no more.
async fn deaf(running: &Running, client: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut raw = Raw(socket.connect(running.address).await.unwrap());
    raw.send(&connect(4, client, true, 60)).await;
    raw.packet().await;
    // The answer to a subscription to a hundred filters is a hundred bytes.
    let filters: Vec<u8> = (0..100)
        .flat_map(|_| [text("a"), vec![0]].concat())
        .collect();
    let asking = packet(0x82, &[vec![0, 1], filters].concat()).repeat(100);
    while let Ok(sent) = time::timeout(Duration::from_millis(300), raw.0.write_all(&asking)).await {
        if sent.is_err() {
            break;
        }
    }
    raw
}

#[tokio::test]
async fn readers_that_read_nothing_are_cut_off_and_a_healthy_device_does_not_notice() {
    let running = Running::start(hasty()).await;
    let mut healthy = running.connected(4, "p1").await;
    let mut all_deaf = Vec::new();
    for client in 0..3 {
        all_deaf.push(deaf(&running, &format!("deaf{client}")).await);
        works(&mut healthy).await;
    }
    eventually("the deaf are cut off", || {
        running.stats.snapshot().connections == 1
    })
    .await;
    works(&mut healthy).await;
    assert_eq!(running.journal.values().len(), 4 * 300);
}

#[tokio::test]
async fn peers_that_fall_silent_are_cut_off_and_a_healthy_device_does_not_notice() {
    let config = ListenerConfig {
        keep_alive_max: Duration::from_secs(1),
        ..hasty()
    };
    let running = Running::start(config).await;
    let mut healthy = running.connected(4, "p1").await;
    // One says nothing, one stops in the middle of a packet, one drips a byte at a time and
    // never finishes one: to the listener a cable that was pulled looks like the first two.
    let silent = running.connected(4, "silent").await;
    let mut halfway = running.connected(4, "halfway").await;
    halfway.send(&value(4, 1, 7)[..9]).await;
    let Raw(mut dripping) = running.connected(4, "dripping").await;
    let drip = tokio::spawn(async move {
        let endless = packet(
            0x32,
            &[&text("telemetry/p1")[..], &vec![0; 100_000]].concat(),
        );
        for byte in endless {
            if dripping.write_all(&[byte]).await.is_err() {
                return true;
            }
            time::sleep(Duration::from_millis(50)).await;
        }
        false
    });
    let mut rounds = 0;
    while running.stats.snapshot().keep_alive_timeouts < 3 {
        works(&mut healthy).await;
        rounds += 1;
    }
    assert!(drip.await.unwrap(), "it was cut off");
    drop((silent, halfway));
    works(&mut healthy).await;
    assert_eq!(running.journal.values().len(), (rounds + 1) * 300);
}
