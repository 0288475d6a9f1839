//! How much a credential may publish: a bucket of messages and one of bytes.
//!
//! A message is taken while both hold something, and may take more than they hold: the debt is
//! waited off. So a message longer than a second's worth of bytes passes, and the rate is kept
//! all the same. A bucket holds a second's worth, which is the burst.
//!
//! A credential has one bucket, whatever it sends by: all its MQTT connections, which are read more
//! slowly, and its HTTP requests, which are answered with the time to wait, draw from it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use telemetry::{CredentialId, Grant, Quota};
use tokio::time::Instant;

/// Buckets kept before those that say nothing are looked for: the next time it is twice what
/// was left. So memory follows the credentials that were busy in the last second, and looking
/// costs nothing on average.
const FIRST_SWEEP: usize = 1_024;

/// The buckets of all credentials. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<Mutex<Buckets>>);

#[derive(Debug, Default)]
struct Buckets {
    known: FxHashMap<CredentialId, Arc<Bucket>>,
    sweep_at: usize,
}

impl Quotas {
    /// The bucket of a grant, shared by everything its credential sends; none when nothing is
    /// limited. A grant without a credential has one of its own.
    pub(crate) fn bucket(&self, grant: &Grant, now: Instant) -> Option<Arc<Bucket>> {
        let fresh = || Bucket::new(grant.quota, now).map(Arc::new);
        let Some(credential) = grant.credential else {
            return fresh();
        };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = buckets.known.get(&credential)
            && shared.quota == grant.quota
        {
            return Some(Arc::clone(shared));
        }
        let bucket = fresh()?;
        if buckets.known.len() >= buckets.sweep_at.max(FIRST_SWEEP) {
            let in_use = |bucket: &Arc<Bucket>| Arc::strong_count(bucket) > 1;
            buckets
                .known
                .retain(|_, bucket| in_use(bucket) || !bucket.is_full(now));
            buckets.sweep_at = buckets.known.len() * 2;
        }
        buckets.known.insert(credential, Arc::clone(&bucket));
        Some(bucket)
    }
}

/// The shortest wait: what is taken meanwhile is taken in one go.
const MIN_WAIT: Duration = Duration::from_millis(10);

/// What a credential may still publish now.
#[derive(Debug)]
pub(crate) struct Bucket {
    quota: Quota,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    messages: f64,
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket; none when the quota limits nothing.
    pub(crate) fn new(quota: Quota, now: Instant) -> Option<Self> {
        (quota != Quota::default()).then(|| Self {
            quota,
            level: Mutex::new(Level {
                messages: f64::from(quota.messages_per_s),
                bytes: f64::from(quota.bytes_per_s),
                at: now,
            }),
        })
    }

    /// How long to wait until one more message may be taken; none when it may be taken now.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(level.at).as_secs_f64();
        level.at = level.at.max(now);
        let refill = |level: &mut f64, rate: u32| {
            let rate = f64::from(rate);
            *level = (*level + passed * rate).min(rate);
            // Zero is no limit.
            if rate > 0.0 && *level <= 0.0 {
                -*level / rate
            } else {
                -1.0
            }
        };
        let messages = refill(&mut level.messages, self.quota.messages_per_s);
        let bytes = refill(&mut level.bytes, self.quota.bytes_per_s);
        let wait = messages.max(bytes);
        (wait >= 0.0).then(|| Duration::from_secs_f64(wait).max(MIN_WAIT))
    }

    /// Whether nothing is missing, so that a new bucket would be the same.
    fn is_full(&self, now: Instant) -> bool {
        let _ = self.wait(now);
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.messages >= f64::from(self.quota.messages_per_s)
            && level.bytes >= f64::from(self.quota.bytes_per_s)
    }

    /// Takes a message.
    pub(crate) fn take(&self, bytes: usize) {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.messages -= 1.0;
        level.bytes -= bytes as f64;
    }

    /// How many messages an MQTT 5 client should have open at once: a second's worth, or all
    /// it likes.
    pub(crate) fn receive_maximum(&self, most: u16) -> u16 {
        match u16::try_from(self.quota.messages_per_s) {
            Ok(0) | Err(_) => most,
            Ok(messages) => messages.min(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(messages_per_s: u32, bytes_per_s: u32) -> Quota {
        Quota {
            messages_per_s,
            bytes_per_s,
        }
    }

    /// Messages of `bytes` taken over `seconds` by somebody who waits as told.
    fn taken(quota: Quota, bytes: usize, seconds: u64) -> u64 {
        let start = Instant::now();
        let (mut now, mut count) = (start, 0);
        let bucket = Bucket::new(quota, start).unwrap();
        while now < start + Duration::from_secs(seconds) {
            if let Some(wait) = bucket.wait(now) {
                now += wait;
            } else {
                bucket.take(bytes);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn the_rate_is_kept_beyond_a_burst_of_one_second() {
        for (quota, bytes, seconds, expected) in [
            (quota(10, 0), 1_000_000, 60, 610),
            (quota(100_000, 0), 1, 10, 1_100_000),
            (quota(0, 1_000), 100, 60, 610),
            // Each message is five seconds' worth: one at once, then one every five seconds.
            (quota(0, 1_000), 5_000, 60, 12),
            // The narrower of the two counts.
            (quota(10, 100), 100, 60, 61),
        ] {
            let taken = taken(quota, bytes, seconds) as f64;
            let expected = f64::from(expected);
            assert!(
                (taken - expected).abs() <= 2.0 + expected * 0.01,
                "{quota:?} of {bytes} bytes: {taken}, not {expected}"
            );
        }
    }

    #[test]
    fn no_quota_is_no_bucket_and_a_pause_fills_it_once() {
        let start = Instant::now();
        assert!(Bucket::new(quota(0, 0), start).is_none());
        let bucket = Bucket::new(quota(5, 0), start).unwrap();
        let later = start + Duration::from_hours(1);
        let burst = (0..100)
            .take_while(|_| {
                let free = bucket.wait(later).is_none();
                bucket.take(1);
                free
            })
            .count();
        assert_eq!(burst, 5, "an hour of silence saves up one second");
    }

    fn grant(credential: Option<CredentialId>, messages_per_s: u32) -> Grant {
        Grant {
            credential,
            quota: quota(messages_per_s, 0),
            ..Grant::ANYONE
        }
    }

    #[test]
    fn a_credential_has_one_bucket_and_strangers_one_each() {
        let (quotas, now) = (Quotas::default(), Instant::now());
        let bucket = |grant: &Grant| quotas.clone().bucket(grant, now);
        let mine = grant(Some(CredentialId(1)), 5);
        let first = bucket(&mine).unwrap();
        assert!(Arc::ptr_eq(&first, &bucket(&mine).unwrap()));
        let other = bucket(&grant(Some(CredentialId(3)), 5)).unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(bucket(&grant(Some(CredentialId(5)), 0)).is_none());
        let stranger = grant(None, 5);
        let (one, two) = (bucket(&stranger).unwrap(), bucket(&stranger).unwrap());
        assert!(!Arc::ptr_eq(&one, &two));
        let wider = bucket(&grant(Some(CredentialId(1)), 50)).unwrap();
        assert_eq!(
            wider.quota.messages_per_s, 50,
            "a new quota is a new bucket"
        );
    }

    #[test]
    fn buckets_that_say_nothing_are_forgotten_and_debts_are_not() {
        let (quotas, start) = (Quotas::default(), Instant::now());
        let debtor = grant(Some(CredentialId(0)), 1);
        for _ in 0..100 {
            quotas.bucket(&debtor, start).unwrap().take(1);
        }
        for id in 1..10_000_u64 {
            let held = quotas
                .bucket(&grant(Some(CredentialId(id)), 1), start)
                .unwrap();
            assert!(held.wait(start).is_none());
        }
        assert!(quotas.0.lock().unwrap().known.len() <= FIRST_SWEEP + 1);
        let later = start + Duration::from_secs(50);
        assert!(quotas.bucket(&debtor, later).unwrap().wait(later).is_some());
    }

    #[test]
    fn a_client_is_told_to_have_no_more_open_than_it_may_send_in_a_second() {
        let told = |quota, most| {
            Bucket::new(quota, Instant::now())
                .unwrap()
                .receive_maximum(most)
        };
        assert_eq!(told(quota(10, 0), 4_096), 10);
        assert_eq!(told(quota(10, 0), 5), 5);
        assert_eq!(told(quota(0, 10), 4_096), 4_096);
        assert_eq!(told(quota(1_000_000, 0), 4_096), 4_096);
    }
}
