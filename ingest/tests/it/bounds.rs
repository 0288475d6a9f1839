//! Bounds: memory, time at shutdown, packet size, settings.

use std::time::Duration;

use ingest::{Listener, ListenerConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time,
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    MemoryJournal, Mood, PATIENCE, Raw, Running, eventually, parts, publish, value,
};

#[tokio::test]
async fn a_slow_journal_becomes_back_pressure_and_nothing_is_lost() {
    let running = Running::default().await;
    let Raw(stream) = running.connected(4, "p1").await;
    let (mut reader, mut writer) = stream.into_split();
    running.journal.set(Mood::Holds);
    let block: Vec<u8> = (0..1_000_u32)
        .flat_map(|at| value(4, at as u16 + 1, at))
        .collect();
    let blocks = 64 * 1024 * 1024 / block.len();
    let stop = CancellationToken::new();
    let (stopped, len) = (stop.clone(), block.len());
    let writing = tokio::spawn(async move {
        let mut whole = 0;
        while whole < blocks && !stopped.is_cancelled() {
            writer.write_all(&block).await.unwrap();
            whole += 1;
        }
        (whole, writer)
    });
    let taken = || running.stats.snapshot().bytes_received;
    eventually("reading stops", || taken() > 8 * 64 * 1024).await;
    let mut before = 0;
    while before != taken() {
        before = taken();
        time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!writing.is_finished(), "the device is slowed down");
    assert!(
        before <= 10 * 128 * 1024,
        "eight appends and two buffers are taken, not {before}"
    );
    stop.cancel();
    running.journal.set(Mood::Commits);
    // Acknowledgements are taken while the rest is written, as a device does.
    let acknowledged = tokio::spawn(async move {
        let mut total = 0;
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = reader.read(&mut chunk).await {
            total += count;
        }
        total
    });
    let (whole, writer) = time::timeout(PATIENCE, writing).await.unwrap().unwrap();
    assert!(whole * len < 64 * 1024 * 1024);
    drop(writer);
    let acknowledged = time::timeout(PATIENCE, acknowledged)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(acknowledged, 4 * 1_000 * whole);
    assert_eq!(running.journal.values().len(), 1_000 * whole);
}

#[tokio::test]
async fn a_small_memory_budget_is_shared_without_a_deadlock() {
    let config = ListenerConfig {
        max_bytes_in_flight: 1,
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let mut clients = Vec::new();
    for client in 0..8 {
        let mut raw = running.connected(4, &format!("c{client}")).await;
        raw.send(&(1..=200).flat_map(|id| value(4, id, 1)).collect::<Vec<_>>())
            .await;
        clients.push(raw);
    }
    for mut raw in clients {
        raw.take(4 * 200).await;
    }
    assert_eq!(running.journal.values().len(), 8 * 200);
}

#[tokio::test]
async fn a_shutdown_commits_and_acknowledges_what_was_read_and_says_goodbye() {
    let running = Running::default().await;
    let mut raw = running.connected(5, "p1").await;
    let mut idle = running.connected(4, "p2").await;
    running.journal.set(Mood::Holds);
    raw.send(&value(5, 1, 7)).await;
    eventually("it was read", || {
        running.stats.snapshot().messages_received == 1
    })
    .await;
    running.shutdown.cancel();
    assert!(raw.is_quiet().await);
    running.journal.set(Mood::Commits);
    assert_eq!(raw.rest().await, [0x40, 2, 0, 1, 0xe0, 2, 0x8b, 0]);
    assert_eq!(idle.rest().await, b"");
    drop((raw, idle));
    time::timeout(PATIENCE, running.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(running.journal.values(), [7.0]);
    assert!(
        tokio::net::TcpStream::connect(running.address)
            .await
            .is_err(),
        "nobody listens"
    );
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever_for_a_journal_that_hangs() {
    let config = ListenerConfig {
        drain_timeout: Duration::from_millis(300),
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let mut raw = running.connected(5, "p1").await;
    running.journal.set(Mood::Holds);
    raw.send(&value(5, 1, 7)).await;
    eventually("it was read", || {
        running.stats.snapshot().messages_received == 1
    })
    .await;
    running.shutdown.cancel();
    time::timeout(PATIENCE, running.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(raw.rest().await, b"", "closed without an acknowledgement");
}

#[tokio::test]
async fn more_than_the_receive_maximum_is_refused_after_what_was_allowed() {
    let config = ListenerConfig {
        receive_maximum: 3,
        ..ListenerConfig::default()
    };
    let running = Running::start(config).await;
    let mut raw = running.connected(5, "p1").await;
    running.journal.set(Mood::Holds);
    raw.send(&(1..=4).flat_map(|id| value(5, id, 7)).collect::<Vec<_>>())
        .await;
    eventually("a violation", || {
        running.stats.snapshot().protocol_violations == 1
    })
    .await;
    running.journal.set(Mood::Commits);
    let acks = [
        [0x40, 2, 0, 1],
        [0x40, 2, 0, 2],
        [0x40, 2, 0, 3],
        [0xe0, 2, 0x93, 0],
    ]
    .concat();
    assert_eq!(raw.rest().await, acks);
}

#[tokio::test]
async fn large_packets_pass_up_to_the_limit_and_retain_changes_nothing() {
    let running = Running::default().await;
    let mut raw = running.connected(4, "p1").await;
    let rows: Vec<_> = (0..10_000)
        .map(|at| format!("{{\"ts\":{at},\"a\":{at}}}"))
        .collect();
    let large = format!("[{}]", rows.join(","));
    assert!(large.len() > 200_000 && large.len() < 256 * 1024);
    raw.send(&publish(4, 0x33, "telemetry/p1", 1, large.as_bytes()))
        .await;
    assert_eq!(raw.packet().await, [0x40, 2, 0, 1]);
    assert_eq!(running.journal.values().len(), 10_000);
    raw.send(&publish(
        4,
        0x33,
        "telemetry/p1",
        2,
        &vec![b' '; 256 * 1024],
    ))
    .await;
    assert_eq!(raw.rest().await, b"", "above the limit");
}

#[tokio::test]
async fn settings_that_cannot_work_and_taken_ports_are_said_plainly() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    let free = "127.0.0.1:0".parse().unwrap();
    let base = || ListenerConfig {
        bind: free,
        ..ListenerConfig::default()
    };
    for (config, word) in [
        (ListenerConfig { bind, ..base() }, bind.to_string()),
        (
            ListenerConfig {
                max_packet_bytes: 10,
                ..base()
            },
            "max_packet_bytes".into(),
        ),
        (
            ListenerConfig {
                receive_maximum: 0,
                ..base()
            },
            "receive_maximum".into(),
        ),
        (
            ListenerConfig {
                keep_alive_max: Duration::ZERO,
                ..base()
            },
            "keep_alive_max".into(),
        ),
        (
            ListenerConfig {
                command_topic: "commands".into(),
                ..base()
            },
            "command_topic".into(),
        ),
    ] {
        let error = Listener::bind(config, parts(&MemoryJournal::new()))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&word), "{error}");
        assert_eq!(error.is_transient(), word.contains("127.0.0.1"));
    }
}
