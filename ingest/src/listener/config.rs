//! Settings of the listener and what is wrong with them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{IngestError, TlsConfig};

/// Whether a client must show a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nobody must; who shows one is held to it, and refused when it is not valid.
    #[default]
    Open,
    /// Everybody must: a device token as the MQTT password, or a client certificate.
    Required,
}

/// Settings of the listener.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Whether clients must show a credential. The token is the MQTT password; the user name
    /// may be anything, the client id is what the credential is bound to.
    pub access: Access,
    /// Speak TLS on this port; none means plain MQTT.
    pub tls: Option<TlsConfig>,
    /// The longest packet, header included. Told to MQTT 5 clients.
    pub max_packet_bytes: usize,
    /// `QoS` 1 and 2 messages an MQTT 5 client may have unacknowledged. At 4,096 a single
    /// connection carries 200,000 messages a second over commits of 20 ms.
    pub receive_maximum: u16,
    /// Longer keep-alives, and none, become this one: a dead peer must not hold its place for
    /// hours. MQTT 5 clients are told; MQTT 3.1.1 clients that stay silent longer are closed.
    pub keep_alive_max: Duration,
    /// A connection must have finished its TLS handshake and sent its whole CONNECT by then.
    pub connect_timeout: Duration,
    /// A peer that takes no byte of what we send it for this long is gone.
    pub write_timeout: Duration,
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
            access: Access::Open,
            tls: None,
            max_packet_bytes: 256 * 1024,
            receive_maximum: 4_096,
            keep_alive_max: Duration::from_mins(20),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
            max_connections: 10_000,
            max_connections_per_address: 2_000,
            max_bytes_in_flight: 64 * 1024 * 1024,
            session_expiry_max: Duration::from_hours(24),
            command_topic: "commands/{device}".into(),
        }
    }
}

/// A packet is held in memory whole; larger files do not belong into telemetry.
const MAX_PACKET_BYTES: usize = 16 * 1024 * 1024;

impl ListenerConfig {
    pub(super) fn check(&self) -> Result<(), IngestError> {
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
        if self.write_timeout.is_zero() {
            return fail("write_timeout", "0".into(), "use a time above zero");
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
