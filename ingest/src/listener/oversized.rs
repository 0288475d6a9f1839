//! Packets beyond the limit: each is counted, and listed as a dead letter, but only so often.
//!
//! A device that sends a packet that is too long is cut off and, when it knows no better, comes
//! back and sends it again, for days. It must not push everything else out of the list.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;
use telemetry::{DeviceId, Timestamp};

/// Listed of one client in a minute.
const PER_CLIENT: u32 = 2;

/// Listed in a minute altogether, because client ids may be made up.
const ALTOGETHER: usize = 60;

/// What was listed in the present minute.
#[derive(Debug, Default)]
pub(crate) struct Oversized(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    clients: FxHashMap<DeviceId, u32>,
    total: usize,
}

impl Oversized {
    /// Whether one more of this client is listed now.
    pub(crate) fn is_listed(&self, client: &DeviceId, now: Timestamp) -> bool {
        let number = now.as_millis().div_euclid(60_000);
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute {
                number,
                ..Minute::default()
            };
        }
        if minute.total >= ALTOGETHER {
            return false;
        }
        let count = minute.clients.entry(client.clone()).or_default();
        if *count >= PER_CLIENT {
            return false;
        }
        *count += 1;
        minute.total += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_listed_twice_a_minute_and_all_together_sixty_times() {
        let oversized = Oversized::default();
        let at = |secs: i64| Timestamp::from_millis(secs * 1_000);
        let listed = |client: &str, secs| {
            let client = DeviceId::new(client).unwrap();
            (0..10)
                .filter(|_| oversized.is_listed(&client, at(secs)))
                .count()
        };
        assert_eq!(listed("p1", 30), 2);
        assert_eq!(listed("p1", 59), 0);
        assert_eq!(listed("p2", 59), 2);
        assert_eq!(listed("p1", 60), 2, "another minute");
        let others: usize = (0..100).map(|n| listed(&format!("x{n}"), 61)).sum();
        assert_eq!(others, 58);
    }
}
