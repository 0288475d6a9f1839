//! Our own MQTT endpoint: 3.1.1 and 5.0 on one port.
//!
//! It is no broker. Devices publish telemetry, and may subscribe to their own command topic;
//! every other subscription is refused. What it promises is that PUBACK and PUBREC mean
//! *committed*: fsynced by the journal.
//!
//! ```text
//! accept ─▶ one task a connection ─▶ TLS, CONNECT, credential within 10 s ─▶ loop:
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
//! What a device should know:
//!
//! * Nothing is ever retained. MQTT 5 clients are told so and are closed when they set the
//!   flag; MQTT 3.1.1 has no way to tell, so there it is ignored.
//! * Its device token is the MQTT password; the user name may be anything. A client
//!   certificate does as well. The credential is bound to the client id and to topics: what is
//!   published beyond them is listed as `not_authorized`, and MQTT 5 clients are told 0x87.
//! * Above its quota it is read more slowly, and nothing is lost.
//! * A credential that is revoked ends its connections within five seconds.
//! * A will is not published but recorded as `DeviceOffline { graceful: false }`, after its
//!   delay, unless the client is back by then. Online and offline events carry the client id as
//!   device; a client without a client id gets an assigned one and no events.

mod config;
mod connection;
mod handshake;
mod leave;
mod oversized;
mod pipe;
mod registry;
mod reply;
mod serve;
mod session;
mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use telemetry::Grant;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

pub use config::{Access, ListenerConfig};

use crate::{IngestError, Parts, stats::add, tls::Tls};
use oversized::Oversized;
use registry::Registry;
use serve::{Context, Guest};

/// How long accepting pauses after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the gate is asked whether a credential changed.
const WATCH_EVERY: Duration = Duration::from_millis(500);

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
        let tls = match config.tls.clone() {
            Some(files) => Some(Arc::new(Tls::load(files, parts.clock.now())?)),
            None => None,
        };
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
                tls,
                registry: Arc::new(Registry::default()),
                oversized: Oversized::default(),
                anyone: Arc::new(Grant::ANYONE),
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
        let _helpers = self.helpers();
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
                        add(&stats.connections_refused, 1);
                        tracing::debug!(%peer, "refused: too many connections");
                        continue;
                    };
                    add(&stats.connections_accepted, 1);
                    let guest = Guest {
                        peer,
                        place,
                        context: Arc::clone(&self.context),
                        shutdown: shutdown.clone(),
                    };
                    match &self.context.tls {
                        None => tasks.spawn(serve::serve(stream, guest)),
                        Some(tls) => tasks.spawn(serve::serve_tls(stream, guest, Arc::clone(tls))),
                    };
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

    /// The tasks beside the connections; they end with the guards.
    fn helpers(&self) -> Vec<Helper> {
        let parts = &self.context.parts;
        let mut helpers = vec![Helper(tokio::spawn(watch_credentials(Arc::clone(
            &self.context,
        ))))];
        if let Some(tls) = &self.context.tls {
            let (clock, stats) = (Arc::clone(&parts.clock), Arc::clone(&parts.stats));
            helpers.push(Helper(tokio::spawn(Arc::clone(tls).follow(clock, stats))));
        }
        helpers
    }
}

/// A task that ends when this is dropped.
struct Helper(JoinHandle<()>);

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends connections whose credential is no longer valid.
async fn watch_credentials(context: Arc<Context>) {
    let gate = &*context.parts.gate;
    let mut seen = gate.generation();
    loop {
        time::sleep(WATCH_EVERY).await;
        let generation = gate.generation();
        if generation != seen {
            seen = generation;
            let revoked = context.registry.revoke(gate);
            if revoked > 0 {
                tracing::info!(
                    connections = revoked,
                    "ended: their credential is no longer valid"
                );
            }
        }
    }
}
