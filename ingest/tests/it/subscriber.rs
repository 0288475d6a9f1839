//! The subscriber against a scripted broker, where each byte is in our hand, and against a real
//! mosquitto that is restarted in the middle.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ingest::{IngestSnapshot, IngestStats, Protocol, Subscriber, SubscriberConfig};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};
use tokio_util::sync::CancellationToken;

use crate::{
    sparkplug,
    support::{
        MemoryJournal, Mood, PATIENCE, Raw, connect, eventually, packet, parts, publish, text,
        value,
    },
};

struct Following {
    journal: Arc<MemoryJournal>,
    stats: Arc<IngestStats>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Following {
    fn start(port: u16, protocol: Protocol) -> Self {
        let journal = MemoryJournal::new();
        let parts = parts(&journal);
        let stats = parts.stats.clone();
        let url = format!("mqtt://127.0.0.1:{port}");
        let config = SubscriberConfig {
            protocol,
            back_off_max: Duration::from_millis(300),
            ..SubscriberConfig::new(url, "bellwether", vec!["telemetry/#".into()])
        };
        let subscriber = Subscriber::new(config, parts).unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { subscriber.run(stop).await.unwrap() });
        Self {
            journal,
            stats,
            shutdown,
            task,
        }
    }

    fn snapshot(&self) -> IngestSnapshot {
        self.stats.snapshot()
    }

    async fn connected(&self, connects: u64) {
        eventually("connected", || {
            let status = &self.snapshot().subscribers[0];
            status.connected && status.connects >= connects
        })
        .await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// A broker that does what the test says.
struct Script {
    socket: TcpListener,
    version: u8,
}

impl Script {
    async fn new(protocol: Protocol) -> (Self, u16) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let version = if protocol == Protocol::V5 { 5 } else { 4 };
        (Self { socket, version }, port)
    }

    async fn accept(&self, session_present: bool) -> Raw {
        let (stream, _) = time::timeout(PATIENCE, self.socket.accept())
            .await
            .unwrap()
            .unwrap();
        let mut raw = Raw(stream);
        assert_eq!(raw.packet().await[0], 0x10);
        let present = u8::from(session_present);
        raw.send(&if self.version == 5 {
            vec![0x20, 3, present, 0, 0]
        } else {
            vec![0x20, 2, present, 0]
        })
        .await;
        raw
    }

    async fn subscription(&self, raw: &mut Raw, code: u8) {
        let subscribe = raw.packet().await;
        assert_eq!(subscribe[0], 0x82);
        let [high, low] = [subscribe[2], subscribe[3]];
        let body = if self.version == 5 {
            vec![high, low, 0, code]
        } else {
            vec![high, low, code]
        };
        raw.send(&packet(0x90, &body)).await;
    }

    /// A delivery of value `id` with packet id `id`.
    fn delivery(&self, id: u16, again: bool) -> Vec<u8> {
        let first = if again { 0x3a } else { 0x32 };
        publish(
            self.version,
            first,
            "telemetry/p1",
            id,
            format!("{{\"a\":{id}}}").as_bytes(),
        )
    }
}

const BOTH: [Protocol; 2] = [Protocol::V5, Protocol::V4];

/// A script, a subscriber that follows it, and their first connection, subscribed.
async fn joined(protocol: Protocol) -> (Script, Following, Raw) {
    let (script, port) = Script::new(protocol).await;
    let following = Following::start(port, protocol);
    let mut broker = script.accept(false).await;
    script.subscription(&mut broker, 1).await;
    (script, following, broker)
}

#[tokio::test]
async fn acknowledgements_wait_for_the_commit_and_keep_the_order_of_arrival() {
    for protocol in BOTH {
        let (script, following, mut broker) = joined(protocol).await;
        following.connected(1).await;
        following.journal.set(Mood::Holds);
        for id in [3, 1, 2] {
            broker.send(&script.delivery(id, false)).await;
            eventually("it was received", || {
                following.snapshot().messages_received > 0
            })
            .await;
        }
        assert!(broker.is_quiet().await, "nothing is committed");
        following.journal.set(Mood::Commits);
        for id in [3, 1, 2] {
            assert_eq!(broker.packet().await, [0x40, 2, 0, id], "{protocol:?}");
        }
        let status = following.snapshot().subscribers[0].clone();
        assert_eq!((status.received, status.acknowledged), (3, 3));
        drop(broker);
        following.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_on_another_connection_than_it_came_on() {
    for protocol in BOTH {
        let (script, following, mut first) = joined(protocol).await;
        following.connected(1).await;
        following.journal.set(Mood::Holds);
        first
            .send(&[script.delivery(4, false), script.delivery(5, false)].concat())
            .await;
        eventually("both were received", || {
            following.snapshot().messages_received == 2
        })
        .await;
        drop(first);
        let mut second = script.accept(true).await;
        following.connected(2).await;
        following.journal.set(Mood::Commits);
        eventually("both are committed", || {
            following.journal.values() == [4.0, 5.0]
        })
        .await;
        assert!(
            second.is_quiet().await,
            "no SUBSCRIBE, and no stale acknowledgement"
        );
        second
            .send(&[script.delivery(4, true), script.delivery(5, true)].concat())
            .await;
        assert_eq!(second.packet().await, [0x40, 2, 0, 4]);
        assert_eq!(second.packet().await, [0x40, 2, 0, 5]);
        drop(second);
        let mut third = script.accept(false).await;
        script.subscription(&mut third, 1).await;
        following.connected(3).await;
        drop(third);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_journal_that_fails_drops_the_connection_without_acknowledging() {
    for protocol in BOTH {
        let (script, following, mut first) = joined(protocol).await;
        following.journal.set(Mood::Fails);
        first.send(&script.delivery(1, false)).await;
        assert!(!first.rest().await.contains(&0x40), "no PUBACK");
        following.journal.set(Mood::Commits);
        let mut second = script.accept(true).await;
        second.send(&script.delivery(1, true)).await;
        assert_eq!(second.packet().await, [0x40, 2, 0, 1]);
        assert_eq!(following.journal.values(), [1.0]);
        let error = following.snapshot().subscribers[0]
            .last_error
            .clone()
            .unwrap();
        assert!(error.contains("journal"), "{error}");
        drop(second);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_refused_subscription_is_said_in_the_status_and_tried_again() {
    for protocol in BOTH {
        let (script, port) = Script::new(protocol).await;
        let following = Following::start(port, protocol);
        let mut first = script.accept(false).await;
        script
            .subscription(
                &mut first,
                if protocol == Protocol::V5 { 0x87 } else { 0x80 },
            )
            .await;
        let mut second = script.accept(false).await;
        script.subscription(&mut second, 1).await;
        following.connected(1).await;
        let error = following.snapshot().subscribers[0]
            .last_error
            .clone()
            .unwrap();
        assert!(error.contains("filter number 1"), "{error}");
        drop((first, second));
        following.stop().await;
    }
}

#[tokio::test]
async fn a_shutdown_acknowledges_what_was_received_and_says_goodbye() {
    for protocol in BOTH {
        let (script, following, mut broker) = joined(protocol).await;
        following.connected(1).await;
        following.journal.set(Mood::Holds);
        broker.send(&script.delivery(6, false)).await;
        eventually("it was received", || {
            following.snapshot().messages_received == 1
        })
        .await;
        following.shutdown.cancel();
        assert!(broker.is_quiet().await);
        following.journal.set(Mood::Commits);
        assert_eq!(broker.packet().await, [0x40, 2, 0, 6]);
        assert_eq!(broker.packet().await[0], 0xe0, "DISCONNECT");
        drop(broker);
        following.stop().await;
    }
}

#[tokio::test]
async fn an_oversized_payload_becomes_a_dead_letter_instead_of_a_reconnect_loop() {
    for protocol in BOTH {
        let (script, following, mut broker) = joined(protocol).await;
        broker
            .send(&publish(
                script.version,
                0x32,
                "telemetry/p1",
                1,
                &vec![b' '; 300 * 1024],
            ))
            .await;
        assert_eq!(broker.packet().await, [0x40, 2, 0, 1]);
        let letters: Vec<_> = following
            .journal
            .records()
            .into_iter()
            .flat_map(|record| record.dead_letters)
            .collect();
        assert_eq!(letters[0].reason, telemetry::DeadLetterReason::TooLarge);
        drop(broker);
        following.stop().await;
    }
}

#[tokio::test]
async fn a_rebirth_request_goes_back_through_the_broker() {
    for protocol in BOTH {
        let (script, following, mut broker) = joined(protocol).await;
        following.connected(1).await;
        let data = sparkplug::data_of_an_unknown_node();
        let topic = "spBv1.0/plant/NDATA/node-1";
        broker
            .send(&publish(script.version, 0x30, topic, 0, &data))
            .await;
        let command = broker.packet().await;
        assert_eq!(command[0], 0x30, "QoS 0, not retained");
        let topic = sparkplug::NCMD.as_bytes();
        assert_eq!(&command[4..4 + topic.len()], topic, "{protocol:?}");
        assert_eq!(following.snapshot().commands_sent, 1);
        drop(broker);
        following.stop().await;
    }
}

#[tokio::test]
async fn content_type_and_user_properties_come_through_the_broker() {
    let (script, port) = Script::new(Protocol::V5).await;
    let following = Following::start(port, Protocol::V5);
    let mut broker = script.accept(false).await;
    script.subscription(&mut broker, 1).await;
    following.connected(1).await;
    let properties = b"\x03\x00\x03x/y\x26\x00\x01a\x00\x01b";
    let head = [text("telemetry/p1"), vec![0, 1, properties.len() as u8]].concat();
    let message = packet(0x32, &[&head[..], properties, b"no reading"].concat());
    broker.send(&message).await;
    assert_eq!(broker.packet().await, [0x40, 2, 0, 1]);
    let letter = &following.journal.letters()[0];
    assert_eq!(letter.content_type.as_deref(), Some("x/y"));
    assert_eq!(letter.properties, [("a".to_owned(), "b".to_owned())]);
    drop(broker);
    following.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_said_plainly() {
    let good = || {
        SubscriberConfig::new(
            "mqtt://u:secret@127.0.0.1",
            "bellwether",
            vec!["telemetry/#".into()],
        )
    };
    for (config, word) in [
        (
            SubscriberConfig {
                url: "mqtts://h".into(),
                ..good()
            },
            "TLS",
        ),
        (
            SubscriberConfig {
                client_id: String::new(),
                ..good()
            },
            "client_id",
        ),
        (
            SubscriberConfig {
                filters: vec![],
                ..good()
            },
            "topics",
        ),
        (
            SubscriberConfig {
                filters: vec!["a#".into()],
                ..good()
            },
            "topics",
        ),
        (
            SubscriberConfig {
                receive_maximum: 0,
                ..good()
            },
            "receive_maximum",
        ),
    ] {
        let error = Subscriber::new(config, parts(&MemoryJournal::new()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
    let parts = parts(&MemoryJournal::new());
    let subscriber = Subscriber::new(good(), parts.clone()).unwrap();
    assert_eq!(
        parts.stats.snapshot().subscribers[0].url,
        "mqtt://u:***@127.0.0.1"
    );
    assert!(!format!("{:?}", parts.stats).contains("secret"));
    drop(subscriber);
}

/// A real broker, which ends with the test.
struct Mosquitto(Child);

const MOSQUITTO: &str = "/usr/sbin/mosquitto";

impl Mosquitto {
    fn start(folder: &Path, port: u16) -> Self {
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             max_queued_messages 100000\nuser root\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(MOSQUITTO)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Ends it the way a service manager does: it saves its sessions and queues.
    fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.0.wait().unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publishes values one by one with `QoS` 1; each again until the broker has acknowledged it.
async fn publish_all(port: u16, values: std::ops::Range<u32>) {
    let mut client: Option<Raw> = None;
    for at in values {
        loop {
            if client.is_none() {
                client = dial(port).await;
            }
            if let Some(raw) = &mut client
                && offer(raw, at).await.is_ok()
            {
                break;
            }
            client = None;
            time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn dial(port: u16) -> Option<Raw> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream
        .write_all(&connect(4, "publisher", true, 60))
        .await
        .ok()?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.ok()?;
    Some(Raw(stream))
}

async fn offer(raw: &mut Raw, at: u32) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    raw.0.write_all(&value(4, at as u16 + 1, at)).await?;
    raw.0.read_exact(&mut [0; 4]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_restarts_mid_batch_and_nothing_is_lost() {
    if !Path::new(MOSQUITTO).exists() {
        eprintln!("mosquitto is not installed; this test passes over it");
        return;
    }
    for protocol in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let broker = Mosquitto::start(folder.path(), port);
        let following = Following::start(port, protocol);
        following.connected(1).await;
        let publishing = tokio::spawn(publish_all(port, 0..2_000));
        eventually("some", || following.journal.values().len() > 200).await;
        // A batch is in the journal's hands, unacknowledged, when the broker goes.
        following.journal.set(Mood::Holds);
        time::sleep(Duration::from_millis(50)).await;
        broker.stop();
        following.journal.set(Mood::Commits);
        let broker = Mosquitto::start(folder.path(), port);
        following.connected(2).await;
        eventually("more", || following.journal.values().len() > 800).await;
        broker.stop();
        let broker = Mosquitto::start(folder.path(), port);
        time::timeout(PATIENCE, publishing).await.unwrap().unwrap();
        let all: BTreeSet<u32> = (0..2_000).collect();
        eventually("everything", || {
            let seen: BTreeSet<u32> = following
                .journal
                .values()
                .iter()
                .map(|value| *value as u32)
                .collect();
            seen == all
        })
        .await;
        let status = following.snapshot().subscribers[0].clone();
        assert!(
            status.connects >= 2 && status.last_error.is_some(),
            "{status:?}"
        );
        following.stop().await;
        drop(broker);
    }
}
