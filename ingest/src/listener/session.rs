//! The protocol after CONNECT, without any IO: bytes in, work and replies out.
//!
//! A whole read buffer is taken at once. Its publishes become one record for the journal, and
//! the acknowledgements that its commit will release are encoded beside it, in order.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5;
use rustc_hash::FxHashMap;
use telemetry::{DeadLetter, DeadLetterReason, DeviceGate, Grant, JournalRecord, Timestamp};
use tokio::time::Instant;

use super::{
    handshake::check_len,
    reply,
    wire::{self, Fault, Fields, Frame, Framing, Version, packet},
};
use crate::{Decoder, Message, TopicCache, Verdict, quota::Bucket};

/// The protocol state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    version: Version,
    /// The topic every client may subscribe to.
    command_topic: Box<str>,
    grant: Arc<Grant>,
    max_packet_bytes: usize,
    /// The client's own limit on packets to it.
    max_packet_out: Option<u32>,
    /// `QoS` 1 and 2 messages a client may have open; only MQTT 5 has such a limit. Without it
    /// the number of appends in flight bounds a client.
    receive_maximum: Option<u16>,
    /// `QoS` 1 and 2 messages that are open now.
    open: u32,
    /// `QoS` 2 messages between PUBLISH and PUBREL, and whether each is committed.
    received: FxHashMap<u16, bool>,
    /// The filters that were granted.
    subscriptions: Vec<Box<str>>,
    topics: TopicCache,
}

/// What a session keeps between two connections.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    /// `QoS` 2 ids that were committed and not released.
    pub(crate) open: Vec<u16>,
    pub(crate) subscriptions: Vec<Box<str>>,
}

/// What one buffer asks of the journal, and what its commit releases.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) record: JournalRecord,
    pub(crate) receipt: Receipt,
}

/// What the commit of a buffer releases.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// PUBACKs and PUBRECs, encoded, in the order of their messages.
    pub(crate) acks: Vec<u8>,
    pub(crate) qos0: u32,
    /// Messages that are closed by their acknowledgement: `QoS` 1, and refused `QoS` 2.
    pub(crate) qos1: u32,
    /// Packet ids of the `QoS` 2 messages.
    pub(crate) qos2: Vec<u16>,
    /// `QoS` 2 messages that came again and are acknowledged again, but not appended.
    pub(crate) duplicates: u32,
}

/// What came of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes that are done with.
    pub(crate) consumed: usize,
    /// Whole packets among them.
    pub(crate) packets: u32,
    /// More bytes the packet at the end of the buffer needs.
    pub(crate) missing: usize,
    pub(crate) work: Work,
    /// Replies that need no commit.
    pub(crate) replies: BytesMut,
    /// Commands among them.
    pub(crate) commands: u32,
    /// The sender is above its quota: nothing more is taken for this long.
    pub(crate) wait: Option<Duration>,
    /// A PUBLISH is longer than the limit and `missing` bytes more would tell its topic.
    pub(crate) overlong: bool,
    /// What is known of such a PUBLISH.
    pub(crate) oversized: Option<DeadLetter>,
    pub(crate) end: Option<End>,
}

/// Why a connection ends by what the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// DISCONNECT: with or without the will, perhaps with another expiry for the session.
    Goodbye {
        graceful: bool,
        expiry: Option<Duration>,
    },
    Fault(Fault),
}

/// What a session is made of, from the settings and the CONNECT.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) version: Version,
    pub(crate) command_topic: String,
    pub(crate) grant: Arc<Grant>,
    pub(crate) max_packet_bytes: usize,
    pub(crate) max_packet_out: Option<u32>,
    pub(crate) receive_maximum: u16,
}

/// Who decides about devices and formats while a buffer is taken.
#[derive(Clone, Copy)]
pub(crate) struct Judges<'a> {
    pub(crate) decoder: &'a Decoder,
    pub(crate) gate: &'a dyn DeviceGate,
    pub(crate) now: Timestamp,
    /// What the sender may still publish, at this moment.
    pub(crate) quota: Option<(&'a Bucket, Instant)>,
    /// Whether no more bytes will come, or be waited for.
    pub(crate) last: bool,
}

/// What is kept of the payload of a PUBLISH that is too long: enough to recognize it.
const OVERSIZED_SAMPLE: usize = 1_024;

impl Session {
    /// A session that goes on where `resumed` left off.
    pub(crate) fn new(terms: Terms, resumed: Saved) -> Self {
        let topics = match *terms.grant {
            Grant::ANYONE => TopicCache::default(),
            _ => TopicCache::of_grant(Arc::clone(&terms.grant)),
        };
        Self {
            version: terms.version,
            command_topic: terms.command_topic.into(),
            grant: terms.grant,
            max_packet_bytes: terms.max_packet_bytes,
            max_packet_out: terms.max_packet_out,
            receive_maximum: (terms.version == Version::V5).then_some(terms.receive_maximum),
            open: 0,
            received: resumed.open.into_iter().map(|id| (id, true)).collect(),
            subscriptions: resumed.subscriptions,
            topics,
        }
    }

    /// Takes all whole packets at the start of `bytes`.
    pub(crate) fn receive(&mut self, bytes: &[u8], judges: Judges<'_>) -> Received {
        let mut received = Received::default();
        while received.end.is_none() {
            let rest = &bytes[received.consumed..];
            if rest.is_empty() {
                break;
            }
            match wire::frame(rest, self.max_packet_bytes) {
                Ok(Framing::Partial(missing)) => {
                    received.missing = missing;
                    break;
                }
                Ok(Framing::Whole(frame)) => {
                    if frame.first >> 4 == packet::PUBLISH
                        && let Some((bucket, at)) = judges.quota
                    {
                        received.wait = bucket.wait(at);
                        if received.wait.is_some() {
                            break;
                        }
                        bucket.take(frame.len - frame.header);
                    }
                    received.consumed += frame.len;
                    received.packets += 1;
                    if let Err(end) = self.packet(frame, rest, judges, &mut received) {
                        received.end = Some(end);
                    }
                }
                Err(Fault::TooLarge) => {
                    self.too_large(rest, judges, &mut received);
                    break;
                }
                Err(fault) => received.end = Some(End::Fault(fault)),
            }
        }
        received
    }

    /// Ends over a packet that is too long, after its topic has arrived if it is a PUBLISH.
    fn too_large(&self, rest: &[u8], judges: Judges<'_>, received: &mut Received) {
        if let Some(overlong) = wire::overlong(rest) {
            if overlong.missing > 0 && !judges.last {
                received.overlong = true;
                received.missing = overlong.missing;
                return;
            }
            let topic = overlong.topic.unwrap_or_default();
            let (have, limit) = (overlong.len, self.max_packet_bytes);
            let sample = &overlong.rest[..overlong.rest.len().min(OVERSIZED_SAMPLE)];
            received.oversized = Some(DeadLetter {
                reason: DeadLetterReason::TooLarge,
                detail: format!(
                    "the packet has {have} bytes, the limit is {limit}, and the connection was closed; send smaller batches or raise max_packet_bytes"
                ),
                device: overlong
                    .topic
                    .and_then(|topic| judges.decoder.device_of(topic)),
                topic: topic
                    .chars()
                    .take(DeadLetter::MAX_TOPIC_BYTES / 4)
                    .collect(),
                received_at: judges.now,
                content_type: None,
                properties: Vec::new(),
                payload: sample.to_vec(),
                payload_len: have as u64,
            });
        }
        received.end = Some(End::Fault(Fault::TooLarge));
    }

    /// Sends what the decoder wants the sender to do, if the sender subscribed to it.
    fn send_commands(&mut self, received: &mut Received) {
        for command in self.topics.take_commands() {
            let wanted = self
                .subscriptions
                .iter()
                .any(|filter| rumqttc::mqttbytes::matches(&command.topic, filter));
            let sent = wanted
                && reply::publish(
                    &command.topic,
                    &command.payload,
                    self.version,
                    self.max_packet_out,
                    &mut received.replies,
                );
            received.commands += u32::from(sent);
        }
    }

    /// Notes that the work of a buffer was committed.
    pub(crate) fn committed(&mut self, receipt: &Receipt) {
        self.open = self.open.saturating_sub(receipt.qos1);
        for id in &receipt.qos2 {
            if let Some(committed) = self.received.get_mut(id) {
                *committed = true;
            }
        }
    }

    /// What the next connection of this session needs to know: its subscriptions, and the
    /// `QoS` 2 ids that a redelivery must not append again.
    pub(crate) fn saved(&mut self) -> Saved {
        let committed = self.received.iter().filter(|&(_, committed)| *committed);
        Saved {
            open: committed.map(|(&id, _)| id).collect(),
            subscriptions: std::mem::take(&mut self.subscriptions),
        }
    }

    fn packet(
        &mut self,
        frame: Frame,
        bytes: &[u8],
        judges: Judges<'_>,
        received: &mut Received,
    ) -> Result<(), End> {
        let body = &bytes[frame.header..frame.len];
        let (kind, flags) = (frame.first >> 4, frame.first & 0x0f);
        if self.version == Version::V5 && frame.header > 2 && bytes[frame.header - 1] == 0 {
            return Err(End::Fault(Fault::Malformed("a length with needless bytes")));
        }
        if kind == packet::PUBLISH {
            let done = self.publish(frame.first, body, judges, &mut received.work);
            self.send_commands(received);
            return done.map_err(End::Fault);
        }
        let expected = match kind {
            packet::PUBREL | packet::SUBSCRIBE | packet::UNSUBSCRIBE => 0b0010,
            _ => 0,
        };
        if flags != expected {
            return Err(End::Fault(Fault::Malformed("reserved flags")));
        }
        let whole = &bytes[..frame.len];
        let done = match kind {
            packet::PUBREL => self.pubrel(body, &mut received.replies),
            packet::SUBSCRIBE => {
                self.subscribe(frame, whole, judges.decoder, &mut received.replies)
            }
            packet::UNSUBSCRIBE => self.unsubscribe(frame, whole, &mut received.replies),
            packet::PINGREQ if body.is_empty() => {
                received.replies.extend_from_slice(&[0xd0, 0]);
                Ok(())
            }
            packet::DISCONNECT => {
                return Err(self.disconnect(frame, whole).unwrap_or_else(End::Fault));
            }
            packet::CONNECT => Err(Fault::Protocol("a second CONNECT")),
            packet::PINGREQ => Err(Fault::Malformed("PINGREQ with a body")),
            0 => Err(Fault::Malformed("packet type 0")),
            15 if self.version == Version::V4 => Err(Fault::Malformed("packet type 15")),
            // CONNACK, SUBACK, UNSUBACK, PINGRESP come from servers; PUBACK, PUBREC and PUBCOMP
            // answer a publish, and we publish nothing; AUTH needs a method in CONNECT.
            _ => Err(Fault::Protocol("a packet a client has no reason to send")),
        };
        done.map_err(End::Fault)
    }

    fn publish(
        &mut self,
        first: u8,
        body: &[u8],
        judges: Judges<'_>,
        work: &mut Work,
    ) -> Result<(), Fault> {
        let publish = wire::publish(first, body, self.version)?;
        let version = self.version;
        let receipt = &mut work.receipt;
        if publish.qos == 2 && self.received.contains_key(&publish.id) {
            receipt.duplicates += 1;
            reply::pubrec(publish.id, false, version, &mut receipt.acks);
            return Ok(());
        }
        if publish.qos > 0 {
            if self
                .receive_maximum
                .is_some_and(|limit| self.open >= u32::from(limit))
            {
                return Err(Fault::ReceiveMaximum);
            }
            self.open += 1;
        }
        let properties = publish.users.to_vec(DeadLetter::MAX_PROPERTIES);
        let message = Message {
            content_type: publish.content_type,
            properties: &properties,
            ..Message::new(publish.topic, publish.payload, judges.now)
        };
        let verdict =
            judges
                .decoder
                .decode(&mut self.topics, message, judges.gate, &mut work.record);
        let refused = verdict == Verdict::NotAuthorized;
        match publish.qos {
            0 => receipt.qos0 += 1,
            1 => {
                receipt.qos1 += 1;
                reply::puback(publish.id, refused, version, &mut receipt.acks);
            }
            // A PUBREC with an error ends the exchange (MQTT 5, 4.3.3).
            _ if refused && version == Version::V5 => {
                receipt.qos1 += 1;
                reply::pubrec(publish.id, refused, version, &mut receipt.acks);
            }
            _ => {
                self.received.insert(publish.id, false);
                receipt.qos2.push(publish.id);
                reply::pubrec(publish.id, false, version, &mut receipt.acks);
            }
        }
        Ok(())
    }

    fn pubrel(&mut self, body: &[u8], replies: &mut BytesMut) -> Result<(), Fault> {
        let mut fields = Fields(body);
        let id = fields.u16()?;
        if self.version == Version::V5 && !fields.0.is_empty() {
            let reason = fields.u8()?;
            if !matches!(reason, 0 | 0x92) {
                return Err(Fault::Malformed("a reason code PUBREL does not have"));
            }
            if !fields.0.is_empty() {
                let len = fields.varint()?;
                fields.split(len)?;
            }
        }
        if id == 0 || !fields.0.is_empty() {
            return Err(Fault::Malformed("PUBREL"));
        }
        let known = match self.received.get(&id) {
            Some(false) => return Err(Fault::Protocol("PUBREL before PUBREC")),
            Some(true) => self.received.remove(&id).is_some(),
            None => false,
        };
        self.open = self.open.saturating_sub(u32::from(known));
        reply::pubcomp(id, known, self.version, replies);
        Ok(())
    }

    fn disconnect(&self, frame: Frame, bytes: &[u8]) -> Result<End, Fault> {
        let body = &bytes[frame.header..];
        let graceful = End::Goodbye {
            graceful: true,
            expiry: None,
        };
        match (self.version, body) {
            (_, []) => return Ok(graceful),
            (Version::V4, _) => return Err(Fault::Malformed("DISCONNECT with a body")),
            (Version::V5, _) => {}
        }
        let reason = v5::DisconnectReasonCode::try_from(body[0])
            .map_err(|_| Fault::Malformed("a reason code DISCONNECT does not have"))?;
        let graceful = reason == v5::DisconnectReasonCode::NormalDisconnection;
        let mut expiry = None;
        if body.len() > 1 {
            let mut stream = BytesMut::from(bytes);
            let packet = v5::Packet::read(&mut stream, u32::try_from(frame.len).ok());
            let Ok(v5::Packet::Disconnect(packet)) = packet else {
                return Err(Fault::Malformed("DISCONNECT"));
            };
            // The codec measures a DISCONNECT without properties a byte short.
            match &packet.properties {
                Some(_) => check_len(frame, packet.size())?,
                None if body.len() == 2 => {}
                None => return Err(Fault::Malformed("bytes behind the end of DISCONNECT")),
            }
            let seconds = packet.properties.and_then(|p| p.session_expiry_interval);
            expiry = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        }
        Ok(End::Goodbye { graceful, expiry })
    }
}

mod subscriptions;
#[cfg(test)]
mod tests;
