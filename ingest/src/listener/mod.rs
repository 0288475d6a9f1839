//! Our own MQTT endpoint: 3.1.1 and 5.0 on one port.
//!
//! It is no broker. Devices publish telemetry, and may subscribe to their own command topic;
//! every other subscription is refused. What it promises is that PUBACK and PUBREC mean
//! *committed*: fsynced by the journal.
//!
//! ```text
//! accept ─▶ one task a connection ─▶ CONNECT within 10 s ─▶ loop:
//!   read all there is ─▶ decode every whole packet into ONE record ─▶ journal.append(record)
//!                                         up to 8 appends in flight, in order
//!   a commit ─▶ all acknowledgements of its buffer in one write
//! ```
//!
//! Bounds: connections in total and by address; one packet at most `max_packet_bytes`, checked
//! before anything is reserved; 8 appends a connection and `max_bytes_in_flight` over all
//! connections. At a bound we stop reading, so that a slow journal reaches the device as TCP
//! back-pressure.
//!
//! What a device should know: the retain flag is ignored, because nothing is ever retained;
//! user name and password are read and ignored until there are credentials; a will is not
//! published but recorded as `DeviceOffline { graceful: false }`, at once (a will delay counts
//! as zero). Online and offline events carry the client id as device; a client without a
//! client id gets an assigned one and no events.

mod connection;
mod handshake;
mod registry;
mod reply;
mod serve;
mod session;
mod wire;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use crate::{IngestError, Parts};
use registry::Registry;
use serve::Context;

/// Settings of the listener.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The longest packet, header included. Told to MQTT 5 clients.
    pub max_packet_bytes: usize,
    /// `QoS` 1 and 2 messages an MQTT 5 client may have unacknowledged. At 4,096 a single
    /// connection carries 200,000 messages a second over commits of 20 ms.
    pub receive_maximum: u16,
    /// Longer keep-alives, and none, become this one: a dead peer must not hold its place for
    /// hours. MQTT 5 clients are told; MQTT 3.1.1 clients that stay silent longer are closed.
    pub keep_alive_max: Duration,
    /// A connection must have sent its whole CONNECT by then.
    pub connect_timeout: Duration,
    /// How long a shutdown waits for commits and acknowledgements.
    pub drain_timeout: Duration,
    /// Connections in total. Each idle one costs some kilobytes.
    pub max_connections: usize,
    /// Connections from one address; plants sit behind one NAT, so it is not small.
    pub max_connections_per_address: usize,
    /// Bytes that were read and are not yet committed, over all connections. Decoded rows take
    /// about as much memory as their JSON.
    pub max_bytes_in_flight: usize,
    /// Sessions of clients that are away are forgotten after this time.
    pub session_expiry_max: Duration,
    /// The topic a client may subscribe to; `{device}` stands for its client id.
    pub command_topic: String,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            max_packet_bytes: 256 * 1024,
            receive_maximum: 4_096,
            keep_alive_max: Duration::from_mins(20),
            connect_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            max_connections: 10_000,
            max_connections_per_address: 2_000,
            max_bytes_in_flight: 64 * 1024 * 1024,
            session_expiry_max: Duration::from_hours(24),
            command_topic: "commands/{device}".into(),
        }
    }
}

impl ListenerConfig {
    fn check(&self) -> Result<(), IngestError> {
        let fail = |setting, value: String, problem: &str| {
            Err(IngestError::Setting {
                setting,
                value,
                problem: problem.into(),
            })
        };
        if !(1_024..=MAX_PACKET_BYTES).contains(&self.max_packet_bytes) {
            let value = self.max_packet_bytes.to_string();
            return fail("max_packet_bytes", value, "use 1024 to 16777216");
        }
        if self.receive_maximum == 0 {
            return fail("receive_maximum", "0".into(), "use 1 to 65535");
        }
        if !(1..=u64::from(u16::MAX)).contains(&self.keep_alive_max.as_secs()) {
            let value = format!("{:?}", self.keep_alive_max);
            return fail("keep_alive_max", value, "use 1 to 65535 seconds");
        }
        let topic = &self.command_topic;
        if topic.is_empty() || topic.contains(['+', '#', '\0']) || !topic.contains("{device}") {
            return fail(
                "command_topic",
                topic.clone(),
                "use a topic with {device} and without wildcards",
            );
        }
        Ok(())
    }
}

/// A packet is held in memory whole; larger files do not belong into telemetry.
const MAX_PACKET_BYTES: usize = 16 * 1024 * 1024;

/// How long accepting pauses after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound MQTT listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    context: Arc<Context>,
}

impl Listener {
    /// Checks the settings and binds the address.
    ///
    /// # Errors
    /// A setting that cannot be used, or an address that cannot be bound.
    pub async fn bind(config: ListenerConfig, parts: Parts) -> Result<Self, IngestError> {
        config.check()?;
        let address = config.bind;
        let fail = |source| IngestError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let budget =
            (config.max_bytes_in_flight / connection::BUDGET_UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            socket,
            address,
            context: Arc::new(Context {
                config,
                parts,
                registry: Arc::new(Registry::default()),
                budget: Arc::new(Semaphore::new(budget)),
                budget_units: budget,
            }),
        })
    }

    /// The address it listens on, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until `shutdown`, then stops reading, waits until what was read is
    /// committed and acknowledged (at most the drain timeout), and closes every connection.
    ///
    /// # Errors
    /// None today; an accept that fails is logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), IngestError> {
        let mut tasks = JoinSet::new();
        let stats = &self.context.parts.stats;
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let config = &self.context.config;
                    let place = self.context.registry.place(
                        peer.ip(),
                        config.max_connections,
                        config.max_connections_per_address,
                    );
                    let Some(place) = place else {
                        crate::stats::add(&stats.connections_refused, 1);
                        tracing::debug!(%peer, "refused: too many connections");
                        continue;
                    };
                    crate::stats::add(&stats.connections_accepted, 1);
                    let context = Arc::clone(&self.context);
                    tasks.spawn(serve::serve(stream, peer, context, place, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        let drained = async { while tasks.join_next().await.is_some() {} };
        if time::timeout(self.context.config.drain_timeout, drained)
            .await
            .is_err()
        {
            tracing::warn!(
                connections = tasks.len(),
                "closed before everything was committed; the devices will send it again"
            );
            tasks.shutdown().await;
        }
        Ok(())
    }
}
