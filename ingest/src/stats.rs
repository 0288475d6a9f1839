//! Counters. They are relaxed atomics that are touched once a buffer, not once a message.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use serde::Serialize;
use telemetry::{DeadLetter, DeadLetterReason, Timestamp};

use crate::check::Noted;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What went through ingest since the process started. All counters only rise, except
        /// `connections`, which is the number open now.
        #[derive(Debug, Default)]
        pub struct IngestStats {
            $(pub(crate) $name: AtomicU64,)*
            dead_letters: [AtomicU64; DeadLetterReason::ALL.len()],
            subscribers: Mutex<Vec<SubscriberStatus>>,
        }

        /// The counters at one moment, see [`IngestStats::snapshot`].
        #[derive(Debug, Clone, Default, PartialEq, Serialize)]
        pub struct IngestSnapshot {
            $($(#[$doc])* pub $name: u64,)*
            /// Dead letters committed, by reason; every reason is listed.
            pub dead_letters: Vec<(DeadLetterReason, u64)>,
            /// One entry a subscriber, in the order they were made.
            pub subscribers: Vec<SubscriberStatus>,
        }

        impl IngestStats {
            /// The counters as plain values.
            pub fn snapshot(&self) -> IngestSnapshot {
                IngestSnapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    dead_letters: DeadLetterReason::ALL
                        .into_iter()
                        .map(|reason| (reason, self.dead_letters[reason as usize].load(Ordering::Relaxed)))
                        .collect(),
                    subscribers: self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                }
            }
        }
    };
}

counters! {
    /// MQTT connections open now.
    connections,
    /// Connections accepted.
    connections_accepted,
    /// Connections closed at once because a cap on connections was reached.
    connections_refused,
    /// Connections that were refused in CONNACK or never sent a whole CONNECT.
    handshakes_failed,
    /// Connections closed because the peer broke the protocol.
    protocol_violations,
    /// Connections closed because nothing came for one and a half keep-alives.
    keep_alive_timeouts,
    /// Connections closed because their client id connected again.
    sessions_taken_over,
    /// CONNECTs refused because their credential was missing, not valid or another client's.
    logins_refused,
    /// Sessions ended because their credential was revoked.
    sessions_revoked,
    /// Times a sender was made to wait because it was above its quota.
    quota_pauses,
    /// PUBLISH packets longer than the listener's limit; each ended its connection.
    oversized_packets,
    /// Commands sent to devices, such as rebirth requests.
    commands_sent,
    /// Times changed TLS files were taken into use.
    tls_reloads,
    /// Times changed TLS files could not be used.
    tls_reload_errors,
    /// Bytes read from devices.
    bytes_received,
    /// PUBLISH packets received, from listener and subscribers together.
    messages_received,
    /// `QoS` 1 and 2 messages acknowledged after their commit.
    messages_acknowledged,
    /// `QoS` 2 messages that came again and were not appended again.
    duplicates,
    /// Readings (values) in committed records.
    readings_acknowledged,
    /// Appends the journal refused; nothing of them was acknowledged.
    journal_errors,
    /// Waveforms in committed records.
    waveforms_acknowledged,
    /// Readings that came more than `late_after` behind their device's newest one; stored.
    readings_late,
    /// Readings of a time their signal had already; stored once all the same.
    readings_duplicate,
    /// Readings older than the last of their signal; stored.
    readings_out_of_order,
    /// Readings of a signal whose value has not changed for longer than is declared; stored.
    readings_stuck,
    /// `QoS` 0 messages that were lost because the journal failed or a subscriber's queue was full.
    qos0_lost,
}

/// How a subscriber fares.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SubscriberStatus {
    /// The broker, without its password.
    pub url: String,
    /// The client id it connects with.
    pub client_id: String,
    /// Whether it is connected and subscribed now.
    pub connected: bool,
    /// When that last changed.
    pub since: Option<Timestamp>,
    /// What went wrong last; kept after the next success.
    pub last_error: Option<String>,
    /// Connections made.
    pub connects: u64,
    /// Messages received.
    pub received: u64,
    /// Messages acknowledged to the broker after their commit.
    pub acknowledged: u64,
}

/// Counts up.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl IngestStats {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the content of a committed record.
    pub(crate) fn committed(&self, readings: u64, dead_letters: &ReasonCounts) {
        add(&self.readings_acknowledged, readings);
        for (counter, &count) in self.dead_letters.iter().zip(&dead_letters.0) {
            if count > 0 {
                counter.fetch_add(u64::from(count), Ordering::Relaxed);
            }
        }
    }

    /// Counts what the checks noted in a message, which is nearly always nothing.
    pub(crate) fn noted(&self, noted: &Noted) {
        for (counter, count) in [
            (&self.readings_late, noted.late),
            (&self.readings_duplicate, noted.duplicate),
            (&self.readings_out_of_order, noted.out_of_order),
            (&self.readings_stuck, noted.stuck),
        ] {
            if count > 0 {
                add(counter, count);
            }
        }
    }

    /// Makes room for one more subscriber and returns its place.
    pub(crate) fn add_subscriber(&self, status: SubscriberStatus) -> usize {
        let mut all = self
            .subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push(status);
        all.len() - 1
    }

    /// Changes a subscriber's status.
    pub(crate) fn update_subscriber(
        &self,
        place: usize,
        change: impl FnOnce(&mut SubscriberStatus),
    ) {
        let mut all = self
            .subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = all.get_mut(place) {
            change(status);
        }
    }
}

/// Dead letters of one record by reason; counted before the record goes to the journal and
/// added to the totals when it is committed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReasonCounts([u32; DeadLetterReason::ALL.len()]);

impl ReasonCounts {
    pub(crate) fn of(letters: &[DeadLetter]) -> Self {
        let mut counts = Self::default();
        for letter in letters {
            counts.0[letter.reason as usize] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        for (place, reason) in DeadLetterReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
        let stats = IngestStats::new();
        let mut counts = ReasonCounts::default();
        counts.0[DeadLetterReason::EmptyPayload as usize] = 3;
        stats.committed(5, &counts);
        let snapshot = stats.snapshot();
        assert_eq!(snapshot.readings_acknowledged, 5);
        for (reason, count) in snapshot.dead_letters {
            let expected = if reason == DeadLetterReason::EmptyPayload {
                3
            } else {
                0
            };
            assert_eq!(count, expected, "{reason}");
        }
    }
}
