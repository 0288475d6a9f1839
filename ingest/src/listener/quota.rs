//! How much a credential may publish: a bucket of messages and one of bytes.
//!
//! A message is taken while both hold something, and may take more than they hold: the debt is
//! waited off. So a message longer than a second's worth of bytes passes, and the rate is kept
//! all the same. A bucket holds a second's worth, which is the burst.
//!
//! All connections of a credential share its bucket.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use telemetry::Quota;
use tokio::time::Instant;

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
