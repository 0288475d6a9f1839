//! What goes into the journal: readings, events about devices and assets, and dead letters.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    AlertSource, AssetId, AssetModelId, CaseId, DeviceId, FailureMode, Outcome, ReadingBatch,
    RuleChange, Timestamp, Waveform, WorkOrderId,
};

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
    /// Vibration snapshots that passed every check, in order.
    pub waveforms: Vec<Waveform>,
    /// What happened to devices and assets besides readings, in order.
    pub events: Vec<Event>,
    /// What failed a check, kept with its reason.
    pub dead_letters: Vec<DeadLetter>,
}

impl JournalRecord {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
            && self.waveforms.is_empty()
            && self.events.is_empty()
            && self.dead_letters.is_empty()
    }
}

impl JournalRecord {
    /// What of the record belongs to some devices and assets: their rows and waveforms, and the
    /// events about either. Of all other rows the one that was received last stays, so that a
    /// reader who tells the time by what arrives tells the same time. Dead letters stay behind.
    #[must_use]
    pub fn part_of(
        &self,
        device: impl Fn(&DeviceId) -> bool,
        asset: impl Fn(&AssetId) -> bool,
    ) -> Self {
        let latest = self.readings.rows().map(|row| row.received_at).max();
        let mut told = false;
        let mut readings = ReadingBatch::new();
        for row in self.readings.rows() {
            let tells_the_time = !told && Some(row.received_at) == latest;
            if !tells_the_time && !device(row.device) {
                continue;
            }
            told |= tells_the_time;
            let number = readings.device(row.device);
            for (&signal, &value) in row.signals.iter().zip(row.values) {
                let signal = readings.signal(&self.readings.signals()[signal as usize]);
                readings.push_value(signal, value);
            }
            readings.finish_row(number, row.measured_at, row.received_at);
        }
        let waveforms = self.waveforms.iter();
        let events = self.events.iter();
        Self {
            readings,
            waveforms: waveforms.filter(|w| device(&w.device)).cloned().collect(),
            events: events
                .filter(|event| event.concerns(&device, &asset))
                .cloned()
                .collect(),
            dead_letters: Vec::new(),
        }
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
    /// Readings came so late behind the device's own newest reading that they are kept and
    /// raise nothing.
    LateReadings {
        /// The device.
        device: DeviceId,
        /// How many values.
        readings: u32,
        /// The earliest of their event times.
        from: Timestamp,
        /// The latest of their event times.
        to: Timestamp,
        /// The device's newest event time when they came.
        newest: Timestamp,
        /// When they came.
        at: Timestamp,
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
        /// What really failed; none when nothing did or nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure_mode: Option<FailureMode>,
        /// The part that was replaced or repaired.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<String>,
        /// When the order was completed.
        at: Timestamp,
    },
    /// A person said that what an asset does now is normal for it.
    NormalAccepted {
        /// The asset.
        asset: AssetId,
        /// Who said so.
        by: String,
        /// When it was said.
        at: Timestamp,
    },
    /// A machine, or the part of it whose life is forecast, was new at this time, as a record
    /// from outside says: what was measured before belongs to the life before.
    LifeBegan {
        /// The asset.
        asset: AssetId,
        /// When it was new.
        at: Timestamp,
    },
    /// Something about the past of an asset came from outside, as a machine's own system or
    /// another maintenance system tells it.
    Recorded {
        /// The asset.
        asset: AssetId,
        /// When it happened; of facts, when they were told.
        at: Timestamp,
        /// What it was.
        what: Recorded,
    },
    /// A trained model of a kind of machine serves from here on: a replay forecasts with the
    /// same model from the same place. Rolling back is promoting an earlier version.
    ModelPromoted {
        /// The kind of machine.
        asset_model: AssetModelId,
        /// The version, counted from 1.
        version: u32,
        /// SHA-256 of the model's file, in hexadecimal.
        checksum: String,
        /// When it was promoted.
        at: Timestamp,
    },
    /// Rules were written, changed or retired: a replay judges by the same rules from the same
    /// place.
    RulesChanged {
        /// What changed.
        changes: Vec<RuleChange>,
        /// Who changed it.
        by: String,
        /// When it was changed.
        at: Timestamp,
    },
    /// The program listens: told when it begins, and once in a while as long as a rule waits for
    /// data that do not come. Only while somebody listens is silence missing data.
    Listening {
        /// Whether nobody listened before.
        began: bool,
        /// When it was told.
        at: Timestamp,
    },
    /// What an alert needs to rise was moved because of what its orders found, or moved back.
    AlertsRecalibrated {
        /// Whose alerts.
        source: AlertSource,
        /// On assets of this kind.
        asset_model: AssetModelId,
        /// How far the limit lies from where it was set: 1 is there, above is rarer.
        factor: f64,
        /// When it was moved.
        at: Timestamp,
    },
}

/// The name under which facts tell when a machine was installed, RFC 3339. No import has a fact of
/// this name, because the column has a place of its own.
pub const INSTALLED_AT: &str = "installed_at";

/// What was told about the past of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Recorded {
    /// The machine said an error code.
    Code {
        /// The code, such as `error3`.
        code: String,
    },
    /// A component was replaced or repaired.
    Renewed {
        /// The component, as the records name it.
        component: String,
    },
    /// A life of what is forecast ended, by a failure or by a renewal.
    LifeEnded,
    /// Facts that do not change while the machine lives, such as the year it was built: all that
    /// are known, in place of what was said before.
    Facts {
        /// Value by name.
        facts: BTreeMap<String, String>,
    },
}

impl Event {
    /// Whether it says something of a device or an asset that is asked about, or of all of them.
    fn concerns(
        &self,
        of_device: impl Fn(&DeviceId) -> bool,
        of_asset: impl Fn(&AssetId) -> bool,
    ) -> bool {
        match self {
            Self::DeviceOnline { device, .. }
            | Self::DeviceOffline { device, .. }
            | Self::LateReadings { device, .. } => of_device(device),
            Self::WorkOrderClosed { asset, .. }
            | Self::NormalAccepted { asset, .. }
            | Self::LifeBegan { asset, .. }
            | Self::Recorded { asset, .. } => of_asset(asset),
            Self::ModelPromoted { .. }
            | Self::RulesChanged { .. }
            | Self::AlertsRecalibrated { .. }
            | Self::Listening { .. } => true,
        }
    }
}

/// A message that failed a check. It is acknowledged, counted and listed, never dropped
/// silently, and kept whole so that it can be taken again after a fix.
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
    /// The content type the sender gave, cut to [`DeadLetter::MAX_TOPIC_BYTES`].
    pub content_type: Option<String>,
    /// The user properties the sender gave, at most [`DeadLetter::MAX_PROPERTIES`].
    pub properties: Vec<(String, String)>,
    /// The payload, cut to [`DeadLetter::MAX_PAYLOAD_BYTES`].
    pub payload: Vec<u8>,
    /// The length of the whole payload in bytes.
    pub payload_len: u64,
}

impl DeadLetter {
    /// As long as the longest payload that is decoded, so that what is taken again is whole.
    pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;
    /// The longest topic kept; MQTT allows 65,535 bytes.
    pub const MAX_TOPIC_BYTES: usize = 512;
    /// The most user properties kept; a waveform needs half a dozen.
    pub const MAX_PROPERTIES: usize = 32;

    /// Whether the whole payload was kept, so that the message can be taken again.
    pub fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.payload_len
    }
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
    /// A unit is not known, or measures something else than the signal's declared one.
    UnitMismatch,
    /// A value lies outside what is declared to be physically possible.
    OutOfRange,
    /// A value changed faster than is declared to be physically possible.
    RateOfChange,
    /// The time of measurement lies further in the future than clocks may differ.
    ClockAhead,
    /// More new devices or signals appeared in a minute than are believed.
    CardinalityLimit,
    /// A Sparkplug metric has an alias that no birth certificate has named.
    UnknownAlias,
    /// The credential does not cover the device or the topic.
    NotAuthorized,
    /// The content type or the encoding is none that is understood.
    UnsupportedFormat,
}

impl DeadLetterReason {
    /// Every reason, for counters that show zero before the first.
    pub const ALL: [Self; 16] = [
        Self::UnknownTopic,
        Self::UnknownDevice,
        Self::MalformedPayload,
        Self::EmptyPayload,
        Self::InvalidValue,
        Self::InvalidSignal,
        Self::InvalidTimestamp,
        Self::TooLarge,
        Self::UnitMismatch,
        Self::OutOfRange,
        Self::RateOfChange,
        Self::ClockAhead,
        Self::CardinalityLimit,
        Self::UnknownAlias,
        Self::NotAuthorized,
        Self::UnsupportedFormat,
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
            Self::UnitMismatch => "unit_mismatch",
            Self::OutOfRange => "out_of_range",
            Self::RateOfChange => "rate_of_change",
            Self::ClockAhead => "clock_ahead",
            Self::CardinalityLimit => "cardinality_limit",
            Self::UnknownAlias => "unknown_alias",
            Self::NotAuthorized => "not_authorized",
            Self::UnsupportedFormat => "unsupported_format",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        DeviceId::new(name).unwrap()
    }

    fn asset(name: &str) -> AssetId {
        AssetId::new(name).unwrap()
    }

    /// Rows as `(device, signal, value, second)`, received a second after they were measured.
    fn record(rows: &[(&str, &str, f64, i64)]) -> JournalRecord {
        let mut readings = ReadingBatch::new();
        for (name, signal, value, at) in rows {
            let number = readings.device(&device(name));
            let signal = readings.signal(&crate::SignalName::new(signal).unwrap());
            readings.push_value(signal, *value);
            let at = Timestamp::from_secs(*at);
            readings.finish_row(number, at, at + std::time::Duration::from_secs(1));
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    }

    #[test]
    fn a_part_has_the_rows_of_its_devices_and_the_latest_time_of_receipt() {
        let whole = record(&[
            ("other", "x", 1.0, 1),
            ("mine", "y", 2.0, 2),
            ("other", "x", 3.0, 9),
            ("mine", "x", 4.0, 4),
            ("other", "x", 5.0, 3),
        ]);
        let part = whole.part_of(|name| name.as_str() == "mine", |_| false);
        let expected = record(&[
            ("mine", "y", 2.0, 2),
            ("other", "x", 3.0, 9),
            ("mine", "x", 4.0, 4),
        ]);
        assert_eq!(part, expected);
        assert_eq!(whole.part_of(|_| true, |_| true), whole);
    }

    #[test]
    fn a_part_has_the_events_of_its_devices_and_assets_and_of_all() {
        let at = Timestamp::EPOCH;
        let online = |name| Event::DeviceOnline {
            device: device(name),
            at,
        };
        let accepted = |name| Event::NormalAccepted {
            asset: asset(name),
            by: "planner".to_owned(),
            at,
        };
        let rules = Event::RulesChanged {
            changes: Vec::new(),
            by: "planner".to_owned(),
            at,
        };
        let whole = JournalRecord {
            events: vec![
                online("mine"),
                online("other"),
                accepted("pump"),
                accepted("fan"),
                rules.clone(),
            ],
            ..JournalRecord::default()
        };
        let part = whole.part_of(
            |name| name.as_str() == "mine",
            |name| name.as_str() == "pump",
        );
        assert_eq!(part.events, [online("mine"), accepted("pump"), rules]);
    }
}
