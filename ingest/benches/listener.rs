//! What the listener carries over loopback, with the load generator on the same cores:
//! `cargo bench -p ingest --bench listener`.
//!
//! The journal here commits groups after a fixed time, as an fsync takes, and throws them away,
//! so that the figure is the listener's own: MQTT, JSON, batching, acknowledgements.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ingest::{Decoder, IngestStats, Listener, ListenerConfig, Parts, Quotas};
use telemetry::{
    BoxFuture, JournalRecord, JournalWriter, Offset, OpenGate, PortError, SystemClock,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// About what an fsync of a group takes on an ordinary solid state disk.
const COMMIT: Duration = Duration::from_millis(2);
const RUN: Duration = Duration::from_secs(3);

/// Commits everything appended so far each [`COMMIT`].
struct Groups(watch::Receiver<u64>);

impl JournalWriter for Groups {
    fn append(&self, _: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(async move {
            let mut group = self.0.clone();
            // The running group may be committing already; the next one surely holds us.
            let mine = *group.borrow_and_update() + 2;
            let closed = PortError::Closed { what: "journal" };
            let done = group.wait_for(|done| *done >= mine).await;
            done.map(|done| Offset(*done)).map_err(|_| closed)
        })
    }
}

/// A `QoS` 1 publish of three signals.
fn message(client: usize, id: u16) -> Vec<u8> {
    let topic = format!("telemetry/pump-{client}");
    let payload = format!(
        "{{\"ts\":{},\"temperature_c\":61.25,\"pressure_bar\":4.125,\"vibration_mm_s\":1.75}}",
        1_583_748_873_000_u64 + u64::from(id)
    );
    let len = 2 + topic.len() + 2 + payload.len();
    let mut bytes = vec![0x32, (len % 128) as u8 | 0x80, (len / 128) as u8];
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload.as_bytes());
    bytes
}

/// Keeps `inflight` messages open and counts acknowledgements until the time is over.
async fn device(
    address: std::net::SocketAddr,
    client: usize,
    inflight: u16,
    until: Instant,
) -> u64 {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the listener listens");
    let id = format!("d{client:04}");
    let mut connect = vec![0x10, 17, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 5];
    connect.extend(id.as_bytes());
    stream.write_all(&connect).await.expect("it is open");
    let mut acks = vec![0; 64 * 1024];
    stream.read_exact(&mut acks[..4]).await.expect("a CONNACK");
    let messages: Vec<_> = (1..=inflight).map(|id| message(client, id)).collect();
    let all = messages.concat();
    let each = all.len() / messages.len();
    stream.write_all(&all).await.expect("it is open");
    let (mut total, mut rest) = (0, 0);
    while Instant::now() < until {
        let read = stream.read(&mut acks).await.expect("it is open") + rest;
        rest = read % 4;
        let done = read / 4;
        let from = total as usize % messages.len();
        total += done as u64;
        // The acknowledged ids are free again; messages are of one length and in order.
        let to = (from + done) * each;
        stream
            .write_all(&all[from * each..to.min(all.len())])
            .await
            .expect("it is open");
        stream
            .write_all(&all[..to.saturating_sub(all.len())])
            .await
            .expect("it is open");
    }
    total
}

#[tokio::main]
async fn main() {
    let (commits, committed) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(COMMIT).await;
            commits.send_modify(|group| *group += 1);
        }
    });
    let parts = Parts {
        journal: Arc::new(Groups(committed)),
        gate: Arc::new(OpenGate),
        clock: Arc::new(SystemClock),
        decoder: Arc::new(Decoder::default()),
        stats: Arc::new(IngestStats::new()),
        quotas: Quotas::default(),
    };
    let bind = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let config = ListenerConfig {
        bind,
        ..ListenerConfig::default()
    };
    let listener = Listener::bind(config, parts).await.expect("a free port");
    let address = listener.local_addr();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(listener.run(shutdown.clone()));
    for (connections, inflight) in [(1, 100), (1, 2_000), (10, 100), (100, 100), (400, 100)] {
        let start = Instant::now();
        let devices = (0..connections)
            .map(|client| tokio::spawn(device(address, client, inflight, start + RUN)));
        let mut total = 0;
        for device in devices.collect::<Vec<_>>() {
            total += device.await.expect("no panic");
        }
        let rate = total as f64 / start.elapsed().as_secs_f64();
        println!("{connections:>4} connections, {inflight:>4} in flight: {rate:>8.0} messages/s");
    }
    shutdown.cancel();
    running.await.expect("no panic").expect("no error");
}
