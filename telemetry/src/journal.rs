//! What goes into the journal: readings, events about devices and assets, and dead letters.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AssetId, CaseId, DeviceId, Outcome, ReadingBatch, Timestamp, WorkOrderId};

/// A position in the journal. One group commit has one offset; offsets rise without bound and
/// are never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is appended to the journal in one piece: it is committed whole or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JournalRecord {
    /// Readings that passed every check.
    pub readings: ReadingBatch,
    /// What happened to devices and assets besides readings, in order.
    pub events: Vec<Event>,
    /// What failed a check, kept with its reason.
    pub dead_letters: Vec<DeadLetter>,
}

impl JournalRecord {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.events.is_empty() && self.dead_letters.is_empty()
    }
}

/// Something that happened to a device or an asset and that a replay must see again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A device connected.
    DeviceOnline {
        /// The device, which is its MQTT client id or the will topic's device.
        device: DeviceId,
        /// When it connected.
        at: Timestamp,
    },
    /// A device disconnected, or its will was sent.
    DeviceOffline {
        /// The device.
        device: DeviceId,
        /// When the connection ended.
        at: Timestamp,
        /// Whether the device said goodbye (DISCONNECT) or vanished (its will applies).
        graceful: bool,
    },
    /// A work order was completed: the machine was looked at, and perhaps changed.
    WorkOrderClosed {
        /// The asset that was worked on.
        asset: AssetId,
        /// The case behind the order, when there was one.
        case: Option<CaseId>,
        /// The order.
        work_order: WorkOrderId,
        /// What was found.
        outcome: Outcome,
        /// When the order was completed.
        at: Timestamp,
    },
}

/// A message that failed a check. It is acknowledged, counted and listed, never dropped silently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Which check it failed.
    pub reason: DeadLetterReason,
    /// What exactly was wrong, where, and what to do, in one line.
    pub detail: String,
    /// The device, when the topic or the session told it.
    pub device: Option<DeviceId>,
    /// The topic it was published on, cut to [`DeadLetter::MAX_TOPIC_BYTES`].
    pub topic: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The first bytes of the payload, at most [`DeadLetter::MAX_PAYLOAD_BYTES`].
    pub payload: Vec<u8>,
    /// The length of the whole payload in bytes.
    pub payload_len: u64,
}

impl DeadLetter {
    /// Enough to see what kind of thing was sent without letting a flood of bad messages fill the disk.
    pub const MAX_PAYLOAD_BYTES: usize = 1024;
    /// The longest topic kept; MQTT allows 65,535 bytes.
    pub const MAX_TOPIC_BYTES: usize = 512;
}

/// Which check a message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// The topic fits no configured pattern, or names no valid device.
    UnknownTopic,
    /// The device is not registered and registration is closed.
    UnknownDevice,
    /// The payload is not what the topic's format says.
    MalformedPayload,
    /// The payload holds no reading at all.
    EmptyPayload,
    /// A value is missing, not a number, or not finite.
    InvalidValue,
    /// A signal name breaks the rules for names.
    InvalidSignal,
    /// The time cannot be read or lies outside the calendar.
    InvalidTimestamp,
    /// The payload is longer than the configured limit.
    TooLarge,
}

impl DeadLetterReason {
    /// Every reason, for counters that show zero before the first.
    pub const ALL: [Self; 8] = [
        Self::UnknownTopic,
        Self::UnknownDevice,
        Self::MalformedPayload,
        Self::EmptyPayload,
        Self::InvalidValue,
        Self::InvalidSignal,
        Self::InvalidTimestamp,
        Self::TooLarge,
    ];

    /// The reason as it is stored and shown, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownDevice => "unknown_device",
            Self::MalformedPayload => "malformed_payload",
            Self::EmptyPayload => "empty_payload",
            Self::InvalidValue => "invalid_value",
            Self::InvalidSignal => "invalid_signal",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TooLarge => "too_large",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
