//! From a topic and a payload to rows of a batch. Pure: no IO, time is an argument.
//!
//! ```text
//! topic ──▶ target ──▶ grant ──▶ content type ──▶ unpack ──▶ format ──▶ rows ──▶ checks
//!   (device, signal, format)       or sniffed      (gzip)                  (units, range, …)
//! ```
//!
//! The rows go straight into the record that will be committed; a good message allocates
//! nothing besides what the batch itself needs. The rules:
//!
//! * **JSON** (`telemetry/{device}`): an object of signals, or an array of such objects. `ts`
//!   is milliseconds since the epoch (integer or fraction) or an RFC 3339 text; without it
//!   (or with `null`) the received time stands. `null` means that a signal is absent.
//! * **Number** (`telemetry/{device}/{signal}`): one number as text, or `{"ts", "value"}`.
//! * Nested JSON, `SenML`, Sparkplug B, line protocol and waveforms: see their modules, and
//!   `docs/formats.md` for all of them with examples.
//! * A value that is no finite number, and a name that breaks the rules, are refused and
//!   their siblings kept. An object whose time cannot be read, or that gives a signal twice,
//!   is refused and the other objects of the array are kept. A payload that is not the format
//!   at all is refused whole. Every refusal becomes a dead letter that says what and where.
//! * When a message has been read, its new rows are judged (see [`crate::check`]).

mod cache;
mod content;
mod format;
mod json;
mod line;
mod names;
mod nested;
mod number;
mod paths;
mod refuse;
mod scan;
mod senml;
mod sink;
mod sparkplug;
mod topic;
mod waveform;

use std::sync::Arc;

use telemetry::{DeadLetterReason, DeviceGate, DeviceId, JournalRecord, SignalName, Timestamp};

pub use cache::TopicCache;
pub use format::{Format, LineOptions};
pub use paths::{InvalidPath, JsonPaths, TimeUnit};
pub use sparkplug::Command;
pub use topic::{InvalidPattern, TopicPattern};

pub(crate) use refuse::{Refusals, quote};

use cache::{Door, Target};
use content::Payload;
use refuse::letter;
use sink::Sink;

use crate::{
    CheckConfig, IngestStats,
    check::{Checks, Judge, Noted},
};

/// A message as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The topic it was published on. Empty, which no topic is, when the sender named none: then
    /// the payload has to name its devices, and the credential must cover each of them.
    pub topic: &'a str,
    /// What was published.
    pub payload: &'a [u8],
    /// When it arrived.
    pub received_at: Timestamp,
    /// What the sender said the payload is, such as `application/senml+json`.
    pub content_type: Option<&'a str>,
    /// What else the sender said of it: MQTT 5 user properties, HTTP query parameters. The
    /// encoding of the payload is one of them: `content-encoding` with the value `gzip`.
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

/// What became of a message as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It is in the record, as readings, as dead letters, or as both.
    Taken,
    /// Nothing of it was taken because the sender may not publish it; that is in the record as
    /// a dead letter.
    NotAuthorized,
}

/// Topic patterns with their formats, compiled, and what the checks remember. Clones share the
/// memory.
#[derive(Debug, Clone)]
pub struct Decoder {
    patterns: Vec<TopicPattern>,
    max_payload_bytes: usize,
    checks: Arc<Checks>,
    nodes: Arc<sparkplug::Nodes>,
    stats: Arc<IngestStats>,
}

/// Payloads up to this length are decoded; MQTT allows 256 MiB.
const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Why a topic has no target.
struct NoTarget {
    reason: DeadLetterReason,
    device: Option<DeviceId>,
    detail: String,
}

impl Default for Decoder {
    /// `telemetry/{device}` and `telemetry/{device}/{signal}` with whatever is sent there, and
    /// `spBv1.0/#` with Sparkplug B.
    fn default() -> Self {
        let patterns = [
            ("telemetry/{device}", Format::Auto),
            ("telemetry/{device}/{signal}", Format::Auto),
            ("spBv1.0/#", Format::Sparkplug),
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
    /// A decoder that tries the patterns in order; the first that fits a topic counts.
    pub fn new(patterns: Vec<TopicPattern>) -> Self {
        Self {
            patterns,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
            checks: Arc::new(Checks::new(CheckConfig::default())),
            nodes: Arc::default(),
            stats: Arc::default(),
        }
    }

    /// Refuses payloads longer than this (dead letter `too_large`) instead of 256 KiB.
    #[must_use]
    pub fn with_max_payload_bytes(mut self, bytes: usize) -> Self {
        self.max_payload_bytes = bytes;
        self
    }

    /// Checks with these settings, and forgets what was remembered.
    #[must_use]
    pub fn with_checks(mut self, config: CheckConfig) -> Self {
        self.checks = Arc::new(Checks::new(config));
        self
    }

    /// Counts what the checks note but store (late, duplicate, out of order, stuck) here.
    #[must_use]
    pub fn with_stats(mut self, stats: Arc<IngestStats>) -> Self {
        self.stats = stats;
        self
    }

    /// Tells the newest stored reading of each series, so that a restart is none to the checks.
    pub fn seed(&self, known: impl Iterator<Item = (DeviceId, SignalName, Timestamp, f64)>) {
        self.checks.seed(known);
    }

    /// The patterns, in order.
    pub fn patterns(&self) -> &[TopicPattern] {
        &self.patterns
    }

    /// The topic on which a device's readings are sent in any format: that of the first pattern
    /// that needs nothing but the device.
    pub fn topic_of(&self, device: &DeviceId) -> Option<String> {
        cache::topic_of(&self.patterns, device)
    }

    /// The device a topic names, when it fits a pattern.
    pub fn device_of(&self, topic: &str) -> Option<DeviceId> {
        let mut devices = cache::Devices::default();
        let target = self.target(topic, &mut devices).ok()?;
        target.device(&devices).cloned()
    }

    /// Decodes one message into the record: rows for what is good, dead letters for the rest.
    /// The gate is asked for the device before its payload is read.
    pub fn decode(
        &self,
        sender: &mut TopicCache,
        message: Message<'_>,
        gate: &dyn DeviceGate,
        record: &mut JournalRecord,
    ) -> Verdict {
        let message = Message {
            received_at: sender.distinct(message.received_at),
            ..message
        };
        self.take(sender, message, gate, record, None)
    }

    /// Decodes a message that was refused before: only readings and waveforms come of it,
    /// nothing is counted, and clocks are compared with `now`.
    pub(crate) fn decode_again(
        &self,
        message: Message<'_>,
        gate: &dyn DeviceGate,
        record: &mut JournalRecord,
        now: Timestamp,
    ) {
        // Whoever takes a letter again vouches for its sender.
        let sender = &mut TopicCache::default();
        let _ = self.take(sender, message, gate, record, Some(now));
    }

    fn take(
        &self,
        sender: &mut TopicCache,
        message: Message<'_>,
        gate: &dyn DeviceGate,
        record: &mut JournalRecord,
        again: Option<Timestamp>,
    ) -> Verdict {
        sender.begin();
        let place = match sender.topics.find(message.topic) {
            Some(place) => place,
            None => match self.target(message.topic, &mut sender.devices) {
                Ok(target) => sender.topics.remember(message.topic, target),
                Err(none) => {
                    let device = none.device.as_ref();
                    record
                        .dead_letters
                        .push(letter(message, device, none.reason, none.detail));
                    return Verdict::Taken;
                }
            },
        };
        let target = sender.topics.get(place);
        let grant = sender.grant.as_deref();
        let mut refusals = Refusals::default();
        let mut noted = Noted::default();
        let first_row = record.readings.row_count();
        let kept_before = kept(record);
        let mut sink = Sink {
            message,
            batch: &mut record.readings,
            waveforms: &mut record.waveforms,
            events: &mut record.events,
            noted: &mut noted,
            refusals: &mut refusals,
            commands: &mut sender.commands,
            devices: &mut sender.devices,
            scratch: &mut sender.scratch,
            door: Door {
                gate,
                grant: grant.unwrap_or(&telemetry::Grant::ANYONE),
                checks: &self.checks,
                topic: message.topic,
                patterns: &self.patterns,
                now: again.unwrap_or(message.received_at),
                generation: gate.generation(),
            },
            live: again.is_none(),
        };
        match target {
            Target::Device {
                device,
                signal,
                format,
            } => self.device(
                &mut sink,
                &mut sender.series,
                (*device, signal.as_ref(), format),
            ),
            Target::Sparkplug(topic) => self.sparkplug(&mut sink, topic),
            Target::Body => self.device(
                &mut sink,
                &mut sender.series,
                (cache::NOWHERE, None, &Format::Auto),
            ),
        }
        self.judge(&mut sink, first_row);
        if sink.live {
            self.stats.noted(sink.noted);
        }
        let denied = refusals.has(DeadLetterReason::NotAuthorized);
        let device = target.device(&sender.devices);
        refusals.into_letters(message, device, &mut record.dead_letters);
        if denied && kept(record) == kept_before {
            Verdict::NotAuthorized
        } else {
            Verdict::Taken
        }
    }

    /// A message on a topic that names a device.
    fn device(
        &self,
        sink: &mut Sink<'_>,
        series: &mut line::SeriesCache,
        (device, signal, format): (u32, Option<&SignalName>, &Format),
    ) {
        if !self.fits(sink) {
            return;
        }
        let payload = match content::open(sink.message, format, signal.is_some()) {
            Ok(payload) => payload,
            Err((reason, detail)) => {
                if device == cache::NOWHERE || sink.devices.enter(device, sink.door, sink.refusals)
                {
                    sink.refuse(reason, || detail);
                }
                return;
            }
        };
        let Payload { bytes, content } = payload;
        sink.read(&bytes, |sink| match (content, format) {
            (content::Content::Line, Format::LineProtocol(options)) => {
                line::decode(sink, series, options, device);
            }
            (content::Content::Line, _) => {
                line::decode(sink, series, &LineOptions::default(), device);
            }
            (content::Content::Senml(encoding), _) => senml::decode(sink, encoding, device),
            (content, _) => {
                if !sink.enter(device) {
                    return;
                }
                let id = sink.devices.id(device).clone();
                match (content, format) {
                    (content::Content::Waveform, _) => waveform::decode(sink, device, signal),
                    (content::Content::Number, _) => number::decode(sink, &id, signal),
                    (_, Format::JsonPaths(paths)) => nested::decode(sink, &id, paths),
                    _ => {
                        if json::decode(sink, &id) == json::Found::Samples {
                            waveform::decode_json(sink, device, signal);
                        }
                    }
                }
            }
        });
    }

    fn sparkplug(&self, sink: &mut Sink<'_>, topic: &sparkplug::Topic) {
        if !self.fits(sink) {
            return;
        }
        match content::unpack(sink.message, false) {
            Ok(bytes) => sink.read(&bytes, |sink| sparkplug::decode(sink, &self.nodes, topic)),
            Err((reason, detail)) => sink.refuse(reason, || detail),
        }
    }

    fn fits(&self, sink: &mut Sink<'_>) -> bool {
        let (have, limit) = (sink.message.payload.len(), self.max_payload_bytes);
        if have > limit {
            sink.refuse(DeadLetterReason::TooLarge, || {
                format!("the payload has {have} bytes, the limit is {limit}; send smaller batches or raise max_packet_bytes")
            });
        }
        have <= limit
    }

    /// Applies the checks to the rows of the message.
    fn judge(&self, sink: &mut Sink<'_>, first_row: usize) {
        if sink.batch.row_count() == first_row {
            return;
        }
        let mut judge = Judge::new(
            &self.checks,
            sink.door.now,
            &sink.scratch.told,
            sink.refusals,
        );
        let (runs, devices, door) = (&sink.scratch.runs, &*sink.devices, sink.door);
        let mut run = 0;
        let mut current = None;
        sink.batch.revise_rows(first_row, |mut draft| {
            while runs.get(run + 1).is_some_and(|next| next.row <= draft.row) {
                run += 1;
                current = None;
            }
            // Every row was finished by a device that came in, so it has a memory.
            let Some(place) = runs.get(run).map(|run| run.device) else {
                return 0;
            };
            let id = devices.id(place);
            if current.is_none() {
                current = devices.memory(place).map(|memory| {
                    let mut state = crate::check::lock(memory);
                    state.refresh(door.gate, id, door.generation);
                    state
                });
            }
            match current.as_deref_mut() {
                Some(state) => judge.row(state, id, &mut draft),
                None => 0,
            }
        });
        drop(current);
        for (value, name) in std::mem::take(&mut judge.renamed) {
            sink.batch.set_signal(value, &name);
        }
        sink.events.extend(judge.late_events());
        *sink.noted = sink.noted.plus(judge.noted);
    }

    fn target(&self, topic: &str, devices: &mut cache::Devices) -> Result<Target, NoTarget> {
        if topic.is_empty() {
            return Ok(Target::Body);
        }
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
        let unknown = |problem: String| NoTarget {
            reason: DeadLetterReason::UnknownTopic,
            device: None,
            detail: format!("topic {} names no device: {problem}", quote(topic)),
        };
        if *pattern.format() == Format::Sparkplug {
            return sparkplug::Topic::parse(topic)
                .map(|topic| Target::Sparkplug(Arc::new(topic)))
                .map_err(|problem| unknown(problem.into()));
        }
        let device = DeviceId::new(device).map_err(|invalid| unknown(invalid.to_string()))?;
        match signal.map(SignalName::new).transpose() {
            Ok(signal) => Ok(Target::Device {
                device: devices.place(&device),
                signal,
                format: pattern.format().clone(),
            }),
            Err(invalid) => Err(NoTarget {
                reason: DeadLetterReason::InvalidSignal,
                device: Some(device),
                detail: format!("topic {}: {invalid}", quote(topic)),
            }),
        }
    }
}

/// Rows and waveforms of a record.
fn kept(record: &JournalRecord) -> (usize, usize) {
    (record.readings.row_count(), record.waveforms.len())
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
