//! The way in for everything that is no MQTT session: HTTP bodies, and dead letters that are
//! taken again after a fix. The same decoder, checks and promise: an answer comes after the commit.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use telemetry::{DeadLetter, DeadLetterReason, DeviceId, Grant, JournalRecord, Offset, PortError};

use tokio::time::Instant;

use crate::{
    Message, Parts, TopicCache,
    check::lock,
    stats::{ReasonCounts, add},
};

/// The longest body, packed or not: what a dead letter can keep whole.
const MAX_BODY_BYTES: usize = DeadLetter::MAX_PAYLOAD_BYTES;

/// Senders whose caches are kept between calls. A cache of a gateway takes some megabytes.
const MAX_IDLE_SENDERS: usize = 16;

/// Takes messages one by one and answers after the commit. Clones share everything.
#[derive(Debug, Clone)]
pub struct Intake {
    parts: Parts,
    /// Caches of senders between their calls, the one used last at the end.
    idle: Arc<Mutex<Vec<TopicCache>>>,
}

/// What became of a message, after its commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submitted {
    /// Readings committed.
    pub readings: u64,
    /// Waveforms committed.
    pub waveforms: u64,
    /// What was refused, and is kept as dead letters.
    pub dead_letters: Vec<(DeadLetterReason, String)>,
    /// Where it stands in the journal; none when there was nothing to commit, such as a
    /// Sparkplug message without readings.
    pub offset: Option<Offset>,
}

impl Submitted {
    /// Whether neither a topic nor anything in the payload says whose readings these are. Such
    /// a message is no dead letter: nobody could say whose it was, and its sender is told.
    pub fn is_nobodys(&self) -> bool {
        self.offset.is_none()
            && !self.dead_letters.is_empty()
            && self
                .dead_letters
                .iter()
                .all(|(reason, _)| *reason == DeadLetterReason::UnknownTopic)
    }
}

/// What became of a dead letter that was taken again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Readings committed now.
    pub readings: u64,
    /// Waveforms committed now.
    pub waveforms: u64,
    /// What is refused still.
    pub still: Vec<(DeadLetterReason, String)>,
}

impl Replayed {
    /// Whether nothing is refused any more for the reason of the letter.
    pub fn resolves(&self, reason: DeadLetterReason) -> bool {
        self.still.iter().all(|(still, _)| *still != reason)
    }
}

impl Intake {
    /// An intake with the same parts as the listener, and room for bodies of 4 MiB.
    pub fn new(parts: Parts) -> Self {
        let decoder = parts.decoder.as_ref().clone();
        Self {
            parts: Parts {
                decoder: Arc::new(decoder.with_max_payload_bytes(MAX_BODY_BYTES)),
                ..parts
            },
            idle: Arc::default(),
        }
    }

    /// The topic of a device when the sender only names the device.
    pub fn topic_of(&self, device: &DeviceId) -> Option<String> {
        self.parts.decoder.topic_of(device)
    }

    /// How long a sender has to wait before its next message; none when it may come now.
    pub fn quota_wait(&self, grant: &Grant) -> Option<Duration> {
        let now = Instant::now();
        self.parts.quotas.bucket(grant, now)?.wait(now)
    }

    /// Takes a message of so many bytes off the quota that all connections and requests of the
    /// sender's credential share.
    pub fn quota_take(&self, grant: &Grant, bytes: usize) {
        if let Some(bucket) = self.parts.quotas.bucket(grant, Instant::now()) {
            bucket.take(bytes);
        }
    }

    /// Decodes a message and commits what came of it, readings and dead letters alike. The topic
    /// may be empty; then the payload has to name its devices. Where it names none nothing is
    /// committed ([`Submitted::is_nobodys`]).
    ///
    /// # Errors
    /// What the journal says; nothing was committed then.
    pub async fn submit(
        &self,
        message: Message<'_>,
        grant: &Arc<Grant>,
    ) -> Result<Submitted, PortError> {
        let unplaced = message.topic.is_empty();
        let record = self.decode(message, grant);
        let mut submitted = Submitted {
            readings: record.readings.reading_count() as u64,
            waveforms: record.waveforms.len() as u64,
            dead_letters: told(&record.dead_letters),
            offset: None,
        };
        if unplaced && submitted.is_nobodys() && record.readings.row_count() == 0 {
            return Ok(submitted);
        }
        add(&self.parts.stats.messages_received, 1);
        if !record.is_empty() {
            submitted.offset = Some(self.commit(record).await?);
        }
        Ok(submitted)
    }

    fn decode(&self, message: Message<'_>, grant: &Arc<Grant>) -> JournalRecord {
        let mut sender = {
            let mut idle = lock(&self.idle);
            let same = idle.iter().rposition(|cache| *cache.grant() == **grant);
            same.map(|place| idle.swap_remove(place))
        }
        .unwrap_or_else(|| TopicCache::of_grant(Arc::clone(grant)));
        let mut record = JournalRecord::default();
        let gate = &*self.parts.gate;
        // What the verdict says is in the record too, as a dead letter.
        let _ = self
            .parts
            .decoder
            .decode(&mut sender, message, gate, &mut record);
        // Nobody is connected who could be asked for a rebirth.
        drop(sender.take_commands());
        let mut idle = lock(&self.idle);
        if idle.len() >= MAX_IDLE_SENDERS {
            idle.remove(0);
        }
        idle.push(sender);
        record
    }

    async fn commit(&self, record: JournalRecord) -> Result<Offset, PortError> {
        let stats = &self.parts.stats;
        let readings = record.readings.reading_count() as u64;
        let waveforms = record.waveforms.len() as u64;
        let letters = ReasonCounts::of(&record.dead_letters);
        match self.parts.journal.append(record).await {
            Ok(offset) => {
                stats.committed(readings, &letters);
                add(&stats.waveforms_acknowledged, waveforms);
                Ok(offset)
            }
            Err(error) => {
                add(&stats.journal_errors, 1);
                Err(error)
            }
        }
    }

    /// Takes a dead letter again with the present settings, and commits only what is good now.
    /// Readings of the message that were good before are stored once all the same. Clocks are
    /// compared with now; a reading that came out of order is not judged for its rate of
    /// change, so that a jump which proved to be real can be taken. Whoever calls this vouches
    /// for the sender: what was not authorised is taken.
    ///
    /// # Errors
    /// What the journal says; nothing was committed then.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<Replayed, PortError> {
        if !letter.is_whole() {
            let detail = format!(
                "only {} of {} bytes of the payload were kept; it cannot be taken again",
                letter.payload.len(),
                letter.payload_len
            );
            return Ok(Replayed {
                still: vec![(letter.reason, detail)],
                ..Replayed::default()
            });
        }
        let message = Message {
            topic: &letter.topic,
            payload: &letter.payload,
            received_at: letter.received_at,
            content_type: letter.content_type.as_deref(),
            properties: &letter.properties,
        };
        let mut record = JournalRecord::default();
        let now = self.parts.clock.now();
        let gate = &*self.parts.gate;
        self.parts
            .decoder
            .decode_again(message, gate, &mut record, now);
        let replayed = Replayed {
            readings: record.readings.reading_count() as u64,
            waveforms: record.waveforms.len() as u64,
            still: told(&std::mem::take(&mut record.dead_letters)),
        };
        if !record.is_empty() {
            self.commit(record).await?;
        }
        Ok(replayed)
    }
}

fn told(letters: &[DeadLetter]) -> Vec<(DeadLetterReason, String)> {
    letters
        .iter()
        .map(|letter| (letter.reason, letter.detail.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
