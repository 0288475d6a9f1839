//! The broker connection through rumqttc, of either protocol version, behind one face.
//!
//! A link is good for one connection: when it fails, client and event loop are thrown away
//! and made anew. That settles by construction what rumqttc leaves open over a reconnect:
//! buffered publishes of the old connection (which v5 yields before the next CONNACK and v4
//! after it), acknowledgements that were queued for it, and the collision that never ends. The
//! session that matters lives in the broker, which delivers again what was not acknowledged.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttc::{mqttbytes::v4, v5, v5::mqttbytes::v5 as p5};
use telemetry::DeadLetter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Protocol, SubscriberConfig, url::Broker};
use crate::{Command, IngestStats};

/// What the event loop heard.
#[derive(Debug)]
pub(super) enum Heard {
    Connected {
        session_present: bool,
    },
    /// The answer to our SUBSCRIBE; the text says what was refused.
    Subscribed(Result<(), String>),
    Publish(Incoming),
}

/// A PUBLISH from the broker.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    /// Only MQTT 5 has these two.
    pub(super) content_type: Option<String>,
    pub(super) users: Vec<(String, String)>,
    /// The packet id to acknowledge; none with `QoS` 0.
    pub(super) id: Option<u16>,
    /// Its part of the memory budget, held until its commit.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// Queues requests for the event loop; never waits.
#[derive(Debug)]
pub(super) enum Client {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// The event loop.
pub(super) enum Link {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// Requests besides acknowledgements that may wait at once: SUBSCRIBE, DISCONNECT, and some.
const EXTRA_REQUESTS: usize = 64;

/// Seconds until connecting is given up.
const CONNECT_TIMEOUT_S: u64 = 10;

/// Pings keep half-open connections from going unnoticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// We publish nothing but commands with `QoS` 0, so the table of outgoing messages may be small.
const MAX_OUTGOING: u16 = 16;

/// Makes a client and its event loop; nothing is sent before the event loop is polled.
pub(super) fn open(config: &SubscriberConfig, broker: &Broker) -> (Client, Link) {
    let requests = usize::from(config.receive_maximum) + EXTRA_REQUESTS;
    match config.protocol {
        Protocol::V4 => {
            let mut options =
                rumqttc::MqttOptions::new(&config.client_id, &broker.host, broker.port);
            let max = config.max_packet_bytes as usize;
            options
                .set_keep_alive(KEEP_ALIVE)
                .set_clean_session(false)
                .set_manual_acks(true)
                .set_inflight(MAX_OUTGOING)
                .set_max_packet_size(max, max);
            if let Some((user, password)) = &broker.login {
                options.set_credentials(user, password);
            }
            let (client, mut link) = rumqttc::AsyncClient::new(options, requests);
            let mut network = rumqttc::NetworkOptions::new();
            network.set_connection_timeout(CONNECT_TIMEOUT_S);
            link.set_network_options(network);
            (Client::V4(client), Link::V4(Box::new(link)))
        }
        Protocol::V5 => {
            let mut options = v5::MqttOptions::new(&config.client_id, &broker.host, broker.port);
            let expiry = u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX);
            options
                .set_keep_alive(KEEP_ALIVE)
                .set_clean_start(false)
                .set_session_expiry_interval(Some(expiry))
                .set_manual_acks(true)
                .set_receive_maximum(Some(config.receive_maximum))
                .set_max_packet_size(Some(config.max_packet_bytes))
                .set_topic_alias_max(Some(0))
                .set_outgoing_inflight_upper_limit(MAX_OUTGOING)
                .set_connection_timeout(CONNECT_TIMEOUT_S);
            if let Some((user, password)) = &broker.login {
                options.set_credentials(user, password);
            }
            let (client, link) = v5::AsyncClient::new(options, requests);
            (Client::V5(client), Link::V5(Box::new(link)))
        }
    }
}

impl Client {
    /// Queues the acknowledgement of a `QoS` 1 message; false when the queue is full.
    pub(super) fn ack(&self, id: u16) -> bool {
        match self {
            Self::V4(client) => {
                let mut publish = v4::Publish::new("", rumqttc::QoS::AtLeastOnce, Vec::new());
                publish.pkid = id;
                client.try_ack(&publish).is_ok()
            }
            Self::V5(client) => {
                let mut publish =
                    p5::Publish::new("", v5::mqttbytes::QoS::AtLeastOnce, Bytes::new(), None);
                publish.pkid = id;
                client.try_ack(&publish).is_ok()
            }
        }
    }

    /// Queues one SUBSCRIBE for all filters, `QoS` 1 at most: the journal's readers merge what
    /// comes twice, and `QoS` 2 would need state over connections.
    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        match self {
            Self::V4(client) => {
                let filters = filters.iter().map(|filter| {
                    v4::SubscribeFilter::new(filter.clone(), rumqttc::QoS::AtLeastOnce)
                });
                client.try_subscribe_many(filters).is_ok()
            }
            Self::V5(client) => {
                let filters = filters
                    .iter()
                    .map(|filter| p5::Filter::new(filter.clone(), v5::mqttbytes::QoS::AtLeastOnce));
                client.try_subscribe_many(filters).is_ok()
            }
        }
    }

    /// Queues a command with `QoS` 0; false when the queue is full.
    pub(super) fn publish(&self, command: Command) -> bool {
        let Command { topic, payload } = command;
        match self {
            Self::V4(client) => client
                .try_publish(topic, rumqttc::QoS::AtMostOnce, false, payload)
                .is_ok(),
            Self::V5(client) => client
                .try_publish(topic, v5::mqttbytes::QoS::AtMostOnce, false, payload)
                .is_ok(),
        }
    }

    /// Queues a DISCONNECT behind the acknowledgements.
    pub(super) fn disconnect(&self) {
        // When the queue is full the connection is dropped without one, which is as good.
        let queued = match self {
            Self::V4(client) => client.try_disconnect().is_ok(),
            Self::V5(client) => client.try_disconnect().is_ok(),
        };
        tracing::debug!(queued, "saying goodbye to the broker");
    }
}

impl Link {
    /// The next thing that concerns us, or why the connection ended.
    async fn next(&mut self) -> Result<Option<Heard>, String> {
        match self {
            Self::V4(link) => {
                let event = link.poll().await.map_err(|error| error.to_string())?;
                let rumqttc::Event::Incoming(packet) = event else {
                    return Ok(None);
                };
                Ok(match packet {
                    v4::Packet::ConnAck(packet) => Some(Heard::Connected {
                        session_present: packet.session_present,
                    }),
                    v4::Packet::SubAck(packet) => {
                        let refused = |code: &v4::SubscribeReasonCode| {
                            matches!(code, v4::SubscribeReasonCode::Failure)
                        };
                        Some(Heard::Subscribed(
                            match packet.return_codes.iter().position(refused) {
                                Some(at) => Err(format!("filter number {} was refused", at + 1)),
                                None => Ok(()),
                            },
                        ))
                    }
                    v4::Packet::Publish(packet) => Some(Heard::Publish(Incoming {
                        topic: packet.topic.into(),
                        payload: packet.payload,
                        content_type: None,
                        users: Vec::new(),
                        id: (packet.qos != rumqttc::QoS::AtMostOnce).then_some(packet.pkid),
                        permit: None,
                    })),
                    _ => None,
                })
            }
            Self::V5(link) => {
                let event = link.poll().await.map_err(|error| error.to_string())?;
                let v5::Event::Incoming(packet) = event else {
                    return Ok(None);
                };
                Ok(match packet {
                    p5::Packet::ConnAck(packet) => Some(Heard::Connected {
                        session_present: packet.session_present,
                    }),
                    p5::Packet::SubAck(packet) => {
                        let refused = |code: &p5::SubscribeReasonCode| {
                            !matches!(code, p5::SubscribeReasonCode::Success(_))
                        };
                        Some(Heard::Subscribed(
                            match packet.return_codes.iter().position(refused) {
                                Some(at) => Err(format!(
                                    "filter number {} was refused: {:?}",
                                    at + 1,
                                    packet.return_codes[at]
                                )),
                                None => Ok(()),
                            },
                        ))
                    }
                    p5::Packet::Publish(packet) => Some(Heard::Publish(incoming(packet))),
                    _ => None,
                })
            }
        }
    }

    /// Polls the event loop until the connection ends, and passes on what it hears. It waits
    /// only for room in our own queue, never for a request of the client: those are drained by
    /// the event loop itself. `QoS` 0 messages that find no room are dropped and counted.
    pub(super) async fn run(
        mut self,
        heard: mpsc::Sender<Heard>,
        budget: Arc<Semaphore>,
        stats: Arc<IngestStats>,
    ) -> String {
        loop {
            let mut next = match self.next().await {
                Ok(Some(next)) => next,
                Ok(None) => continue,
                Err(error) => return error,
            };
            if let Heard::Publish(publish) = &mut next {
                let bytes =
                    (publish.topic.len() + publish.payload.len()).div_ceil(super::BUDGET_UNIT);
                let units = bytes.min(super::BUDGET_UNITS) as u32;
                if publish.id.is_none() {
                    publish.permit = Arc::clone(&budget).try_acquire_many_owned(units).ok();
                    if publish.permit.is_none() || heard.try_send(next).is_err() {
                        crate::stats::add(&stats.qos0_lost, 1);
                    }
                    continue;
                }
                publish.permit = Arc::clone(&budget).acquire_many_owned(units).await.ok();
            }
            if heard.send(next).await.is_err() {
                return "stopped".into();
            }
        }
    }
}

fn incoming(packet: p5::Publish) -> Incoming {
    let properties = packet.properties.unwrap_or_default();
    let mut users = properties.user_properties;
    users.truncate(DeadLetter::MAX_PROPERTIES);
    Incoming {
        topic: packet.topic,
        payload: packet.payload,
        content_type: properties.content_type,
        users,
        id: (packet.qos != v5::mqttbytes::QoS::AtMostOnce).then_some(packet.pkid),
        permit: None,
    }
}
