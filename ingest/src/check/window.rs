//! How many new names appeared in this minute.

use telemetry::Timestamp;

const MINUTE_MICROS: i64 = 60_000_000;

/// Counts within one minute of received time, and starts again with the next.
#[derive(Debug)]
pub(super) struct Window {
    /// Zero means no limit.
    limit: u32,
    minute: i64,
    count: u32,
}

impl Window {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            minute: i64::MIN,
            count: 0,
        }
    }

    /// Counts one more, or says no.
    pub(super) fn admit(&mut self, now: Timestamp) -> bool {
        let minute = now.as_micros().div_euclid(MINUTE_MICROS);
        if minute != self.minute {
            self.minute = minute;
            self.count = 0;
        }
        if self.limit > 0 && self.count >= self.limit {
            return false;
        }
        self.count = self.count.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_within_a_minute_and_starts_again_after_it() {
        let mut window = Window::new(2);
        let taken = [0, 1, 59, 60, 61, 119, 120, 60].map(|s| window.admit(Timestamp::from_secs(s)));
        assert_eq!(
            taken,
            [true, true, false, true, true, false, true, true],
            "a clock that was set back starts a minute too"
        );
        let mut unlimited = Window::new(0);
        assert!((0..1_000).all(|_| unlimited.admit(Timestamp::EPOCH)));
    }
}
