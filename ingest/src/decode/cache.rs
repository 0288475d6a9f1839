//! What is remembered of one sender: its topics, the devices it speaks for, and its grant.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rustc_hash::FxHashMap;
use telemetry::{
    Admission, DeadLetterReason as Reason, DeviceGate, DeviceId, Grant, SignalName, Timestamp,
};

use super::{
    Format, TopicPattern,
    line::SeriesCache,
    refuse::Refusals,
    sparkplug::{self, Command},
};
use crate::check::{Checks, DeviceState, Told};

/// Topics remembered for one sender. A gateway of a plant publishes for some hundred devices.
const MAX_CACHED_TOPICS: usize = 1_024;

/// Longer topics are matched anew each time, so that the cache stays small.
const MAX_CACHED_TOPIC_BYTES: usize = 256;

/// Devices remembered for one sender. A batch of line protocol may name many; beyond this the
/// sender is learned anew with its next message.
const MAX_CACHED_DEVICES: usize = 16_384;

/// Times closer than this to the one before are of one buffer or of one fast sender; a clock that
/// goes back further is believed.
const SAME_BUFFER: Duration = Duration::from_secs(1);

/// The smallest step of time.
const MICROSECOND: Duration = Duration::from_micros(1);

/// Commands that wait to be sent to one sender; there is one a node and ten seconds.
const MAX_COMMANDS: usize = 64;

/// What one sender may publish and used lately, so that a topic is matched once and not with
/// every message. Also what is to be sent back to it.
#[derive(Debug, Default)]
pub struct TopicCache {
    pub(super) grant: Option<Arc<Grant>>,
    pub(super) topics: Topics,
    pub(super) devices: Devices,
    pub(super) series: SeriesCache,
    pub(super) scratch: Scratch,
    pub(super) commands: Vec<Command>,
    /// The received time of the message before.
    received_at: Option<Timestamp>,
}

/// Buffers that are filled and emptied with every message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Which rows are which device's: from the row on, until the next entry.
    pub(super) runs: Vec<Run>,
    /// Units that came with values.
    pub(super) told: Vec<Told>,
}

/// From this row of the batch on, rows are this device's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) device: u32,
}

/// Where a topic's readings go.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Device {
        /// The place in [`Devices`].
        device: u32,
        signal: Option<SignalName>,
        format: Format,
    },
    Sparkplug(Arc<sparkplug::Topic>),
    /// No topic came; the payload names its devices.
    Body,
}

impl Target {
    /// The device that the topic names.
    pub(super) fn device<'a>(&'a self, devices: &'a Devices) -> Option<&'a DeviceId> {
        match self {
            Self::Device { device, .. } => Some(devices.id(*device)),
            Self::Sparkplug(topic) => Some(topic.device()),
            Self::Body => None,
        }
    }
}

/// The place of no device: what has it belongs to nobody.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The topic on which a device's readings are sent: that of the first pattern that needs nothing
/// but the device.
pub(super) fn topic_of(patterns: &[TopicPattern], device: &DeviceId) -> Option<String> {
    patterns
        .iter()
        .find_map(|pattern| pattern.topic_of(device.as_str()))
}

#[derive(Debug, Default)]
pub(super) struct Topics {
    /// A topic too long to be remembered has no name here.
    known: Vec<(Option<Box<str>>, Target)>,
    index: FxHashMap<Box<str>, usize>,
    last: usize,
}

/// The devices a sender speaks for.
#[derive(Debug, Default)]
pub(super) struct Devices {
    list: Vec<Known>,
    index: FxHashMap<DeviceId, u32>,
    /// Rises with every message.
    stamp: u64,
}

#[derive(Debug)]
struct Known {
    id: DeviceId,
    memory: Option<Arc<Mutex<DeviceState>>>,
    /// The message for which the gate was asked last, and what it said.
    asked: u64,
    open: bool,
}

/// Whom to ask whether a device may come in.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) gate: &'a dyn DeviceGate,
    pub(super) grant: &'a Grant,
    pub(super) checks: &'a Checks,
    pub(super) topic: &'a str,
    pub(super) patterns: &'a [TopicPattern],
    pub(super) now: Timestamp,
    pub(super) generation: u64,
}

/// What a part is told that belongs to nobody.
const NO_DEVICE: &str = "nothing says whose readings these are; name the device or the topic, or send line protocol with the tag device or SenML with the device in its names";

impl Door<'_> {
    /// Whether the sender may publish for a device: on the topic, or where none came on the one
    /// that the device would use.
    fn covers(&self, device: &DeviceId) -> bool {
        if !self.topic.is_empty() {
            return self.grant.allows(device, self.topic);
        }
        let topic = topic_of(self.patterns, device).unwrap_or_default();
        self.grant.allows(device, &topic)
    }
}

impl TopicCache {
    /// A received time that no other message of this sender has. Messages come in by the buffer,
    /// with one time for all; those without a time of their own would otherwise be taken for
    /// one and the same reading.
    pub(super) fn distinct(&mut self, received_at: Timestamp) -> Timestamp {
        let given = match self.received_at {
            Some(before) if received_at <= before && before < received_at + SAME_BUFFER => {
                before + MICROSECOND
            }
            _ => received_at,
        };
        self.received_at = Some(given);
        given
    }

    /// The cache of a sender with a grant. The default is that of somebody who may publish for
    /// everybody.
    pub fn of_grant(grant: Arc<Grant>) -> Self {
        Self {
            grant: Some(grant),
            ..Self::default()
        }
    }

    /// What the sender may publish.
    pub fn grant(&self) -> &Grant {
        self.grant.as_deref().unwrap_or(&Grant::ANYONE)
    }

    /// What is to be published to the sender, oldest first; empty nearly always, and then free.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Begins a message.
    pub(super) fn begin(&mut self) {
        self.scratch.runs.clear();
        self.scratch.told.clear();
        self.devices.stamp += 1;
        if self.devices.list.len() >= MAX_CACHED_DEVICES {
            self.topics = Topics::default();
            self.series = SeriesCache::default();
            self.devices.list.clear();
            self.devices.index.clear();
        }
    }
}

/// Keeps a command for the sender, unless too many wait.
pub(super) fn queue(commands: &mut Vec<Command>, command: Command) {
    if commands.len() < MAX_COMMANDS {
        commands.push(command);
    }
}

impl Topics {
    pub(super) fn find(&mut self, topic: &str) -> Option<usize> {
        if self
            .known
            .get(self.last)
            .is_none_or(|(known, _)| known.as_deref() != Some(topic))
        {
            self.last = *self.index.get(topic)?;
        }
        Some(self.last)
    }

    pub(super) fn get(&self, place: usize) -> &Target {
        &self.known[place].1
    }

    /// Remembers a topic and returns its place; a long one only until the next.
    pub(super) fn remember(&mut self, topic: &str, target: Target) -> usize {
        if self.known.len() >= MAX_CACHED_TOPICS {
            self.known.clear();
            self.index.clear();
        }
        self.last = self.known.len();
        if topic.len() <= MAX_CACHED_TOPIC_BYTES {
            self.index.insert(topic.into(), self.last);
            self.known.push((Some(topic.into()), target));
        } else {
            self.known.push((None, target));
        }
        self.last
    }
}

impl Devices {
    /// The place of a device.
    pub(super) fn place(&mut self, device: &DeviceId) -> u32 {
        if let Some(&place) = self.index.get(device) {
            return place;
        }
        let place = self.list.len() as u32;
        self.list.push(Known {
            id: device.clone(),
            memory: None,
            asked: 0,
            open: false,
        });
        self.index.insert(device.clone(), place);
        place
    }

    pub(super) fn id(&self, place: u32) -> &DeviceId {
        &self.list[place as usize].id
    }

    /// The memory of a device that came in.
    pub(super) fn memory(&self, place: u32) -> Option<&Arc<Mutex<DeviceState>>> {
        self.list.get(place as usize)?.memory.as_ref()
    }

    /// Whether readings of a device are taken now; refuses it if not. Asks once a message.
    pub(super) fn enter(&mut self, place: u32, door: Door<'_>, refusals: &mut Refusals) -> bool {
        let stamp = self.stamp;
        if place == NOWHERE {
            // Once a message, however many of its parts belong to nobody.
            if !refusals.has(Reason::UnknownTopic) {
                refusals.add(Reason::UnknownTopic, || NO_DEVICE.into());
            }
            return false;
        }
        let known = &mut self.list[place as usize];
        if known.asked == stamp {
            return known.open;
        }
        known.asked = stamp;
        known.open = known.may_enter(door, refusals);
        known.open
    }
}

impl Known {
    fn may_enter(&mut self, door: Door<'_>, refusals: &mut Refusals) -> bool {
        let device = &self.id;
        if !door.covers(device) {
            refusals.add(Reason::NotAuthorized, || {
                format!("the credential does not cover device {device} on this topic; use the device's own credential or a gateway's")
            });
            return false;
        }
        if door.gate.admit(device) == Admission::Unknown {
            refusals.add(Reason::UnknownDevice, || {
                format!("device {device} is not registered and registration is closed; register it or open registration")
            });
            return false;
        }
        if self.memory.is_none() {
            let known = door.checks.known(device).map_or_else(
                || {
                    let declared = door.gate.rules(device).is_some();
                    door.checks.meet(device, declared, door.now)
                },
                Ok,
            );
            match known {
                Ok(memory) => self.memory = Some(memory),
                Err(limit) => {
                    refusals.add(Reason::CardinalityLimit, || {
                        format!("device {device} is new, and more than {limit} new devices came in this minute; take it again later or raise new_devices_per_minute")
                    });
                    return false;
                }
            }
        }
        true
    }
}
