//! The life of a connection around its loop: CONNECT, the hold on the client id, the events of
//! coming and going, the goodbye.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use telemetry::{Admission, Event, JournalRecord};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    ListenerConfig,
    connection::{Connection, Ending, MIN_READ},
    handshake::{self, Connect},
    registry::{Hold, Place, Registry},
    reply::{self, Farewell, Refusal},
    session::{Receipt, Work},
    wire::{self, Framing, Version},
};
use crate::Parts;

/// After our last byte we read on for this long, so that the system does not answer bytes on
/// their way with a reset that destroys what we sent.
const LINGER: Duration = Duration::from_millis(500);

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: ListenerConfig,
    pub(super) parts: Parts,
    pub(super) registry: Arc<Registry>,
    pub(super) budget: Arc<Semaphore>,
    pub(super) budget_units: usize,
}

/// Counts an open connection for as long as it lives.
struct Open<'a>(&'a Parts);

impl<'a> Open<'a> {
    fn new(parts: &'a Parts) -> Self {
        crate::stats::add(&parts.stats.connections, 1);
        Self(parts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let open = &self.0.stats.connections;
        open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Serves one accepted connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    context: Arc<Context>,
    place: Place,
    shutdown: CancellationToken,
) {
    let parts = &context.parts;
    let _open = Open::new(parts);
    // Acknowledgements are small and late already.
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = BytesMut::new();
    let greeting = greet(&mut reader, &mut buffer, &context.config);
    let connect = tokio::select! {
        () = shutdown.cancelled() => return,
        connect = time::timeout(context.config.connect_timeout, greeting) => connect,
    };
    let refused = match connect {
        Ok(Ok(connect)) => match context
            .registry
            .hold(&connect.client, context.config.connect_timeout)
            .await
        {
            Some((hold, took_over)) => {
                crate::stats::add(&parts.stats.sessions_taken_over, u64::from(took_over));
                run(connect, hold, (reader, writer), buffer, &context, &shutdown).await;
                drop(place);
                return;
            }
            None => Some((connect.version, Refusal::Unavailable)),
        },
        Ok(Err(refused)) => refused,
        Err(_) => None,
    };
    crate::stats::add(&parts.stats.handshakes_failed, 1);
    tracing::debug!(%peer, ?refused, "no MQTT session");
    if let Some((version, refusal)) = refused {
        let mut out = BytesMut::new();
        reply::refuse(refusal, version, &mut out);
        let _ = time::timeout(LINGER, writer.write_all(&out)).await;
        part(reader, writer).await;
    }
}

/// Reads the CONNECT. An error without a refusal is a peer that is not worth an answer.
async fn greet(
    reader: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    config: &ListenerConfig,
) -> Result<Connect, Option<(Version, Refusal)>> {
    loop {
        if buffer
            .first()
            .is_some_and(|&first| !handshake::starts_connect(first))
        {
            return Err(None);
        }
        match wire::frame(buffer, config.max_packet_bytes) {
            Ok(Framing::Whole(frame)) => {
                let connect = handshake::read(frame, buffer, config).map_err(Some)?;
                buffer.advance(frame.len);
                return Ok(connect);
            }
            Ok(Framing::Partial(missing)) => buffer.reserve(missing.max(MIN_READ)),
            Err(_) => return Err(None),
        }
        match reader.read_buf(buffer).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => {}
        }
    }
}

async fn run(
    connect: Connect,
    hold: Hold,
    (mut reader, mut writer): (OwnedReadHalf, OwnedWriteHalf),
    buffer: BytesMut,
    context: &Arc<Context>,
    shutdown: &CancellationToken,
) {
    let parts = &context.parts;
    let resumed = hold.resume().filter(|_| !connect.clean);
    let mut connection = Connection::new(&connect, resumed, buffer, context);
    // A client id we made up names no device, and a closed registry no unknown one.
    let known = !connect.assigned && parts.gate.admit(&connect.client) == Admission::Admitted;
    if known {
        connection.append(event(Event::DeviceOnline {
            device: connect.client.clone(),
            at: parts.clock.now(),
        }));
    }
    let ending = connection
        .go(&mut reader, &mut writer, &hold.close, shutdown)
        .await;
    let taken_over = matches!(ending, Ending::Farewell(Farewell::TakenOver));
    if known && !taken_over {
        let graceful = match ending {
            Ending::Goodbye { graceful } => graceful,
            Ending::Farewell(farewell) => farewell == Farewell::Shutdown,
            Ending::Vanished => false,
        };
        let offline = event(Event::DeviceOffline {
            device: connect.client.clone(),
            at: parts.clock.now(),
            graceful,
        });
        if let Err(error) = parts.journal.append(offline.record).await {
            tracing::warn!(client = %connect.client, %error, "cannot record that a device went offline");
        }
    }
    hold.keep(connection.session.unreleased(), connection.expiry);
    let writable = connection.writable;
    drop(connection);
    drop(hold);
    if let Ending::Farewell(farewell) = ending {
        tracing::debug!(client = %connect.client, ?farewell, "connection closed");
        let mut out = BytesMut::new();
        farewell.write(connect.version, &mut out);
        if writable {
            let _ = time::timeout(LINGER, writer.write_all(&out)).await;
        }
    }
    part(reader, writer).await;
}

fn event(event: Event) -> Work {
    Work {
        record: JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        },
        receipt: Receipt::default(),
    }
}

/// Says that we are done, and reads a moment longer.
async fn part(mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf) {
    let _ = writer.shutdown().await;
    let mut sink = [0; 4_096];
    let drained = async { while matches!(reader.read(&mut sink).await, Ok(read) if read > 0) {} };
    let _ = time::timeout(LINGER, drained).await;
}
