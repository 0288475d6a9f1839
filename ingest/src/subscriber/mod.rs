//! Follows an existing broker with a persistent session, and acknowledges after the commit.
//!
//! ```text
//! poll task: rumqttc event loop ──bounded queue──▶ worker: decode a batch ─▶ journal.append
//!                  ▲                                                            │ commit
//!                  └───────────── acknowledgements in arrival order ◀───────────┘
//! ```
//!
//! * One task does nothing but poll the event loop; the worker only queues requests
//!   (`try_*`), so the two cannot wait for each other.
//! * Connections are numbered. A message is acknowledged only on the connection it came on;
//!   after a failure the whole link is made anew (see `link`), and what was not acknowledged
//!   is delivered again.
//! * Receive Maximum (v5) and a memory budget bound what is taken and not yet committed.
//! * The packet limit of the connection is wider than the decoder's limit on payloads, so that
//!   one oversized message becomes a dead letter instead of a reconnect loop.

mod link;
mod url;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetry::DeviceId;
use tokio_util::sync::CancellationToken;

use crate::{IngestError, Parts, SubscriberStatus};
use url::{Broker, hide_password};
use worker::Worker;

/// The protocol version spoken to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// MQTT 5.0, with Receive Maximum; the default.
    #[default]
    V5,
    /// MQTT 3.1.1, for brokers that know nothing else.
    V4,
}

/// Settings of a subscriber.
#[derive(Debug, Clone)]
pub struct SubscriberConfig {
    /// `mqtt://[user[:password]@]host[:port]`.
    pub url: String,
    /// The client id, under which the broker keeps the session; unique at the broker.
    pub client_id: String,
    /// What to subscribe to.
    pub filters: Vec<String>,
    /// The protocol version.
    pub protocol: Protocol,
    /// Messages the broker may send ahead of our acknowledgements (v5).
    pub receive_maximum: u16,
    /// The longest packet taken; larger than the decoder's limit on payloads.
    pub max_packet_bytes: u32,
    /// How long the broker keeps the session while we are away (v5).
    pub session_expiry: Duration,
    /// The longest pause between attempts to connect.
    pub back_off_max: Duration,
    /// How long a shutdown waits for commits and acknowledgements.
    pub drain_timeout: Duration,
}

impl SubscriberConfig {
    /// Settings with defaults besides these three.
    pub fn new(url: impl Into<String>, client_id: impl Into<String>, filters: Vec<String>) -> Self {
        Self {
            url: url.into(),
            client_id: client_id.into(),
            filters,
            protocol: Protocol::V5,
            receive_maximum: 2_000,
            max_packet_bytes: 4 * 1024 * 1024,
            session_expiry: Duration::from_hours(7 * 24),
            back_off_max: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes of one permit of the memory budget, and the number of permits: 64 MiB.
const BUDGET_UNIT: usize = 1_024;
const BUDGET_UNITS: usize = 64 * 1_024;

/// Follows one broker.
#[derive(Debug)]
pub struct Subscriber {
    config: SubscriberConfig,
    broker: Broker,
    parts: Parts,
    /// Our place among the statuses.
    place: usize,
}

impl Subscriber {
    /// Checks the settings; nothing is connected before [`Self::run`].
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(config: SubscriberConfig, parts: Parts) -> Result<Self, IngestError> {
        let broker = Broker::parse(&config.url)?;
        let fail = |setting, value: &str, problem: String| {
            Err(IngestError::Setting {
                setting,
                value: value.into(),
                problem,
            })
        };
        if let Err(invalid) = DeviceId::new(&config.client_id) {
            return fail(
                "ingest.subscriber.client_id",
                &config.client_id,
                invalid.rule.into(),
            );
        }
        if config.filters.is_empty() {
            let problem = "name at least one topic filter".into();
            return fail("ingest.subscriber.topics", "", problem);
        }
        for filter in &config.filters {
            if !rumqttc::mqttbytes::valid_filter(filter) || filter.contains('\0') {
                return fail(
                    "ingest.subscriber.topics",
                    filter,
                    "it is no topic filter".into(),
                );
            }
        }
        if config.receive_maximum == 0 {
            return fail(
                "ingest.subscriber.receive_maximum",
                "0",
                "use 1 to 65535".into(),
            );
        }
        let place = parts.stats.add_subscriber(SubscriberStatus {
            url: hide_password(&config.url),
            client_id: config.client_id.clone(),
            ..SubscriberStatus::default()
        });
        Ok(Self {
            config,
            broker,
            parts,
            place,
        })
    }

    /// Connects, follows and reconnects until `shutdown`, then waits until what was received
    /// is committed and acknowledged (at most the drain timeout).
    ///
    /// # Errors
    /// None today; what goes wrong is logged, shown in the status and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), IngestError> {
        Worker::new(self.config, self.broker, self.parts, self.place)
            .run(&shutdown)
            .await;
        Ok(())
    }
}
