//! From a topic and a payload to rows of a batch. Pure: no IO, time is an argument.
//!
//! The rows go straight into the record that will be committed; a good message allocates
//! nothing besides what the batch itself needs. The rules:
//!
//! * **JSON** (`telemetry/{device}`): an object of signals, or an array of such objects. `ts`
//!   is milliseconds since the epoch (integer or fraction) or an RFC 3339 text; without it
//!   (or with `null`) the received time stands. `null` means that a signal is absent.
//! * **Number** (`telemetry/{device}/{signal}`): one number as text, or `{"ts", "value"}`.
//! * A value that is no finite number, and a name that breaks the rules, are refused and
//!   their siblings kept. An object whose time cannot be read, or that gives a signal twice,
//!   is refused and the other objects of the array are kept. A payload that is not the format
//!   at all is refused whole. Every refusal becomes a dead letter that says what and where.

mod json;
mod number;
mod refuse;
mod scan;
mod topic;

use rustc_hash::FxHashMap;
use telemetry::{
    Admission, DeadLetterReason, DeviceGate, DeviceId, JournalRecord, SignalName, Timestamp,
};

pub use topic::{Format, InvalidPattern, TopicPattern};

use refuse::{Refusals, letter, quote};

/// A message as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The topic it was published on.
    pub topic: &'a str,
    /// What was published.
    pub payload: &'a [u8],
    /// When it arrived.
    pub received_at: Timestamp,
    /// What the sender said the payload is, such as `application/senml+json`.
    pub content_type: Option<&'a str>,
    /// What else the sender said of it: MQTT 5 user properties, HTTP query parameters.
    pub properties: &'a [(String, String)],
}

impl<'a> Message<'a> {
    /// A message of which nothing is known besides its topic.
    pub fn new(topic: &'a str, payload: &'a [u8], received_at: Timestamp) -> Self {
        Self {
            topic,
            payload,
            received_at,
            content_type: None,
            properties: &[],
        }
    }
}

/// Topic patterns with their formats, compiled.
#[derive(Debug, Clone)]
pub struct Decoder {
    patterns: Vec<TopicPattern>,
    max_payload_bytes: usize,
}

/// Topics one sender used lately with what they mean, so that a topic is matched once and not
/// with every message.
#[derive(Debug, Default)]
pub struct TopicCache {
    topics: Vec<(Box<str>, Target)>,
    index: FxHashMap<Box<str>, usize>,
    last: usize,
}

/// Topics remembered for one sender. A gateway of a plant publishes for some hundred devices.
const MAX_CACHED_TOPICS: usize = 1_024;

/// Longer topics are matched anew each time, so that the cache stays small.
const MAX_CACHED_TOPIC_BYTES: usize = 256;

/// Payloads up to this length are decoded; MQTT allows 256 MiB.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Where a topic's readings go.
#[derive(Debug, Clone)]
struct Target {
    device: DeviceId,
    signal: Option<SignalName>,
    format: Format,
}

/// Why a topic has no target.
struct NoTarget {
    reason: DeadLetterReason,
    device: Option<DeviceId>,
    detail: String,
}

impl Default for Decoder {
    /// `telemetry/{device}` with JSON and `telemetry/{device}/{signal}` with numbers.
    fn default() -> Self {
        let patterns = [
            ("telemetry/{device}", Format::Json),
            ("telemetry/{device}/{signal}", Format::Number),
        ];
        Self::new(
            patterns
                .into_iter()
                .filter_map(|(text, format)| TopicPattern::parse(text, format).ok())
                .collect(),
        )
    }
}

impl Decoder {
    /// A decoder for these patterns; the first that fits a topic wins.
    pub fn new(patterns: Vec<TopicPattern>) -> Self {
        Self {
            patterns,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
        }
    }

    /// Refuses payloads longer than this (dead letter `too_large`) instead of 256 KiB.
    #[must_use]
    pub fn with_max_payload_bytes(mut self, bytes: usize) -> Self {
        self.max_payload_bytes = bytes;
        self
    }

    /// The patterns, in order.
    pub fn patterns(&self) -> &[TopicPattern] {
        &self.patterns
    }

    /// Decodes one message into the record: rows for what is good, dead letters for the rest.
    /// The gate is asked for the device before its payload is read.
    pub fn decode(
        &self,
        cache: &mut TopicCache,
        message: Message<'_>,
        gate: &dyn DeviceGate,
        record: &mut JournalRecord,
    ) {
        let fresh;
        let target = match cache.find(message.topic) {
            Some(place) => &cache.topics[place].1,
            None => match self.target(message.topic) {
                Ok(target) => {
                    fresh = target;
                    cache.remember(message.topic, &fresh);
                    &fresh
                }
                Err(none) => {
                    let device = none.device.as_ref();
                    record
                        .dead_letters
                        .push(letter(message, device, none.reason, none.detail));
                    return;
                }
            },
        };
        let device = &target.device;
        let mut refusals = Refusals::default();
        if gate.admit(device) == Admission::Unknown {
            refusals.add(DeadLetterReason::UnknownDevice, || {
                format!("device {device} is not registered and registration is closed; register it or open registration")
            });
        } else if message.payload.len() > self.max_payload_bytes {
            refusals.add(DeadLetterReason::TooLarge, || {
                let (have, limit) = (message.payload.len(), self.max_payload_bytes);
                format!("the payload has {have} bytes, the limit is {limit}; send smaller batches or raise max_packet_bytes")
            });
        } else {
            match target.format {
                Format::Json => json::decode(device, message, &mut record.readings, &mut refusals),
                Format::Number => {
                    number::decode(target, message, &mut record.readings, &mut refusals);
                }
            }
        }
        refusals.into_letters(message, Some(device), &mut record.dead_letters);
    }

    fn target(&self, topic: &str) -> Result<Target, NoTarget> {
        let found = self
            .patterns
            .iter()
            .find_map(|pattern| Some((pattern, pattern.matches(topic)?)));
        let Some((pattern, (device, signal))) = found else {
            let known: Vec<_> = self.patterns.iter().map(TopicPattern::to_string).collect();
            return Err(NoTarget {
                reason: DeadLetterReason::UnknownTopic,
                device: None,
                detail: format!(
                    "topic {} fits no configured pattern; publish on {}",
                    quote(topic),
                    known.join(" or ")
                ),
            });
        };
        let device = DeviceId::new(device).map_err(|invalid| NoTarget {
            reason: DeadLetterReason::UnknownTopic,
            device: None,
            detail: format!("topic {} names no device: {invalid}", quote(topic)),
        })?;
        match signal.map(SignalName::new).transpose() {
            Ok(signal) => Ok(Target {
                device,
                signal,
                format: pattern.format(),
            }),
            Err(invalid) => Err(NoTarget {
                reason: DeadLetterReason::InvalidSignal,
                device: Some(device),
                detail: format!("topic {}: {invalid}", quote(topic)),
            }),
        }
    }
}

impl TopicCache {
    fn find(&mut self, topic: &str) -> Option<usize> {
        if self
            .topics
            .get(self.last)
            .is_none_or(|(known, _)| **known != *topic)
        {
            self.last = *self.index.get(topic)?;
        }
        Some(self.last)
    }

    fn remember(&mut self, topic: &str, target: &Target) {
        if topic.len() > MAX_CACHED_TOPIC_BYTES {
            return;
        }
        if self.topics.len() >= MAX_CACHED_TOPICS {
            self.topics.clear();
            self.index.clear();
        }
        self.last = self.topics.len();
        self.topics.push((topic.into(), target.clone()));
        self.index.insert(topic.into(), self.last);
    }
}

#[cfg(test)]
mod tests;
