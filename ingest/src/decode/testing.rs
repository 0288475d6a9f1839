//! What the tests of the decoders share.

use std::{fmt::Write as _, sync::Arc};

use telemetry::{
    Admission, Claim, CredentialId, Denied, DeviceGate, DeviceId, DeviceRules, Grant,
    JournalRecord, OpenGate, SignalLimits, SignalName, SignalRule, Timestamp, Unit,
};

use super::{Decoder, Format, Message, TopicCache, TopicPattern};

/// Every test message arrives at this time: 2020-03-09T10:14:33Z (`date -u -d @1583748873`).
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_583_748_873);

/// A gate that declares something of every device.
pub(crate) struct Declared(pub(crate) Arc<DeviceRules>);

impl Declared {
    /// One signal, by its name in payloads.
    pub(crate) fn one(
        sent_as: &str,
        signal: &str,
        (unit, sent_unit): (Option<Unit>, Option<Unit>),
        limits: SignalLimits,
    ) -> Self {
        let mut rules = DeviceRules::new();
        let signal = SignalName::new(signal).unwrap();
        rules.declare(
            SignalName::new(sent_as).unwrap(),
            SignalRule {
                signal,
                unit,
                sent_unit,
                limits,
            },
        );
        Self(Arc::new(rules))
    }
}

impl DeviceGate for Declared {
    fn admit(&self, _: &DeviceId) -> Admission {
        Admission::Admitted
    }

    fn rules(&self, _: &DeviceId) -> Option<Arc<DeviceRules>> {
        Some(Arc::clone(&self.0))
    }

    fn generation(&self) -> u64 {
        Arc::as_ptr(&self.0).addr() as u64
    }

    fn authenticate(&self, _: &Claim<'_>) -> Result<Grant, Denied> {
        Ok(Grant::ANYONE)
    }

    fn is_valid(&self, _: CredentialId) -> bool {
        false
    }
}

/// A decoder with one pattern.
pub(crate) fn decoder(pattern: &str, format: Format) -> Decoder {
    Decoder::new(vec![TopicPattern::parse(pattern, format).unwrap()])
}

/// Decodes with whatever decoder and gate, as a sender of its own.
pub(crate) fn take(
    decoder: &Decoder,
    gate: &dyn DeviceGate,
    message: Message<'_>,
) -> JournalRecord {
    let mut record = JournalRecord::default();
    let _ = decoder.decode(&mut TopicCache::default(), message, gate, &mut record);
    record
}

/// Decodes with the default decoder.
pub(crate) fn plain(topic: &str, payload: &[u8]) -> JournalRecord {
    take(
        &Decoder::default(),
        &OpenGate,
        Message::new(topic, payload, NOW),
    )
}

/// Rows as `device seconds: signal=value …`, seconds relative to [`NOW`], one a line.
pub(crate) fn rows(record: &JournalRecord) -> Vec<String> {
    let names = record.readings.signals();
    record
        .readings
        .rows()
        .map(|row| {
            let mut line = format!("{} {}:", row.device, row.measured_at.secs_from(NOW));
            for (&signal, value) in row.signals.iter().zip(row.values) {
                write!(line, " {}={value}", names[signal as usize]).unwrap();
            }
            line
        })
        .collect()
}

/// Reasons of the dead letters, in order.
pub(crate) fn reasons(record: &JournalRecord) -> String {
    let words: Vec<_> = record
        .dead_letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    words.join(" ")
}
