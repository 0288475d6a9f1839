//! Quotas of device credentials over HTTP.
//!
//! MQTT slows a sender down by not reading; a request can only be answered. Each credential
//! has a level in messages and in bytes that fills at its quota and holds one second of it. A
//! request is let in while both levels are above zero and is then taken off whole, even below
//! zero: so a body larger than a second's worth gets in once, and the sender waits accordingly
//! longer afterwards.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use telemetry::{CredentialId, Grant, Quota};

/// Credentials followed at once, as many as devices can be registered. Full levels are
/// forgotten first; they say nothing.
const MAX_FOLLOWED: usize = 100_000;

/// What each credential has left.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<CredentialId, Level>>);

#[derive(Debug, Clone, Copy)]
struct Level {
    messages: f64,
    bytes: f64,
    at: Instant,
}

impl Level {
    fn full(quota: Quota, at: Instant) -> Self {
        Self {
            messages: f64::from(quota.messages_per_s),
            bytes: f64::from(quota.bytes_per_s),
            at,
        }
    }

    fn filled(self, quota: Quota, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let fill = |level: f64, rate: u32| (level + passed * f64::from(rate)).min(f64::from(rate));
        Self {
            messages: fill(self.messages, quota.messages_per_s),
            bytes: fill(self.bytes, quota.bytes_per_s),
            at: now,
        }
    }

    /// Seconds until both levels are above zero again.
    fn wait_s(self, quota: Quota) -> Option<u32> {
        let wait = |level: f64, rate: u32| {
            let short = rate > 0 && level <= 0.0;
            short.then(|| (-level / f64::from(rate)).ceil().max(1.0) as u32)
        };
        wait(self.messages, quota.messages_per_s).max(wait(self.bytes, quota.bytes_per_s))
    }
}

impl Quotas {
    /// Whether a request of this grant is let in now; otherwise after how many seconds.
    pub(crate) fn check(&self, grant: &Grant, now: Instant) -> Result<(), u32> {
        let Some((credential, quota)) = limited(grant) else {
            return Ok(());
        };
        let levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let level = levels.get(&credential);
        level
            .and_then(|level| level.filled(quota, now).wait_s(quota))
            .map_or(Ok(()), Err)
    }

    /// Takes a request off.
    pub(crate) fn take(&self, grant: &Grant, bytes: usize, now: Instant) {
        let Some((credential, quota)) = limited(grant) else {
            return;
        };
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MAX_FOLLOWED && !levels.contains_key(&credential) {
            // A level is full one second after it was positive; older than a minute is enough.
            levels.retain(|_, level| now.saturating_duration_since(level.at).as_secs() < 60);
        }
        let level = levels
            .entry(credential)
            .or_insert_with(|| Level::full(quota, now));
        *level = level.filled(quota, now);
        level.messages -= 1.0;
        level.bytes -= bytes as f64;
    }
}

fn limited(grant: &Grant) -> Option<(CredentialId, Quota)> {
    let quota = grant.quota;
    grant
        .credential
        .filter(|_| quota.messages_per_s > 0 || quota.bytes_per_s > 0)
        .map(|credential| (credential, quota))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use telemetry::Scope;

    use super::*;

    fn grant(messages_per_s: u32, bytes_per_s: u32) -> Grant {
        Grant {
            credential: Some(CredentialId(7)),
            scope: Scope::Anyone,
            quota: Quota {
                messages_per_s,
                bytes_per_s,
            },
        }
    }

    #[test]
    fn a_second_of_the_quota_passes_and_then_the_sender_waits() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let grant = grant(2, 0);
        for _ in 0..2 {
            assert_eq!(quotas.check(&grant, start), Ok(()));
            quotas.take(&grant, 10, start);
        }
        assert_eq!(quotas.check(&grant, start), Err(1));
        let later = start + Duration::from_millis(600);
        assert_eq!(
            quotas.check(&grant, later),
            Ok(()),
            "1.2 messages have come back"
        );
    }

    #[test]
    fn a_body_above_the_quota_gets_in_once_and_is_waited_for() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let grant = grant(0, 1_000);
        assert_eq!(quotas.check(&grant, start), Ok(()));
        quotas.take(&grant, 5_000, start);
        assert_eq!(quotas.check(&grant, start), Err(4));
        let at = |secs| start + Duration::from_secs(secs);
        assert_eq!(quotas.check(&grant, at(3)), Err(1));
        assert_eq!(quotas.check(&grant, at(5)), Ok(()));
    }

    #[test]
    fn without_a_quota_or_a_credential_nothing_is_counted() {
        let (quotas, now) = (Quotas::default(), Instant::now());
        for grant in [grant(0, 0), Grant::ANYONE] {
            for _ in 0..1_000 {
                quotas.take(&grant, 1 << 20, now);
            }
            assert_eq!(quotas.check(&grant, now), Ok(()));
        }
        assert!(quotas.0.lock().unwrap().is_empty());
    }
}
