//! Event time of the simulation: it starts in the past, runs `speed` times as fast as the
//! clock, and never overtakes it. Once it has caught up it is the clock.

use std::time::Duration;

use telemetry::Timestamp;

/// How event time runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// What the clock showed when the simulation began.
    pub(crate) began: Timestamp,
    /// Event time then.
    pub(crate) start: Timestamp,
    /// Seconds of event time in one second.
    pub(crate) speed: f64,
    /// Between two rows of a machine while catching up, in event time.
    pub(crate) interval: Duration,
    /// Between two rows of a machine in real time.
    pub(crate) live_interval: Duration,
}

impl Pace {
    /// When the clock shows `now`, event time is this.
    pub(crate) fn event_time(&self, now: Timestamp) -> Timestamp {
        let gone = now.since(self.began).as_secs_f64() * self.speed;
        (self.start + Duration::from_secs_f64(gone.min(1e12))).min(now)
    }

    /// The row after one at `row`, both in event time: coarse in the past, finer in the
    /// present, where one row in five minutes would look like a standstill.
    pub(crate) fn next_row(&self, row: Timestamp, now: Timestamp) -> Timestamp {
        let next = row + self.interval;
        if next <= now {
            next
        } else {
            row + self.live_interval.min(self.interval)
        }
    }

    /// How long after the clock showed `now` a row at `row` is due.
    pub(crate) fn wait_for(&self, row: Timestamp, now: Timestamp) -> Duration {
        let ahead = row.since(self.event_time(now));
        let caught_up = self.event_time(now) >= now;
        if caught_up {
            ahead
        } else {
            // Either speed is reached first, whichever needs longer; the caller looks again.
            ahead.div_f64(self.speed.max(1.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let began = Timestamp::from_secs(1_000_000);
        Pace {
            began,
            start: began - Duration::from_mins(100),
            speed: 100.0,
            interval: Duration::from_mins(5),
            live_interval: Duration::from_secs(10),
        }
    }

    #[test]
    fn event_time_catches_up_and_never_overtakes_the_clock() {
        let pace = pace();
        let at = |secs: u64| pace.began + Duration::from_secs(secs);
        assert_eq!(pace.event_time(at(0)), pace.start);
        assert_eq!(
            pace.event_time(at(30)),
            pace.start + Duration::from_mins(50)
        );
        for secs in 0..200 {
            assert!(pace.event_time(at(secs)) <= at(secs), "{secs}");
        }
        // 6,000 s behind at 100 to 1 is caught up after 60.6 s.
        assert_eq!(pace.event_time(at(61)), at(61));
        assert_eq!(pace.event_time(at(100)), at(100));
    }

    #[test]
    fn rows_are_coarse_in_the_past_and_finer_in_the_present() {
        let pace = pace();
        let now = pace.began + Duration::from_secs(100);
        let past = now - Duration::from_mins(15);
        assert_eq!(pace.next_row(past, now), past + pace.interval);
        let recent = now - Duration::from_mins(1);
        assert_eq!(pace.next_row(recent, now), recent + pace.live_interval);
    }

    #[test]
    fn waiting_as_told_reaches_the_row() {
        let pace = pace();
        for now_s in [0, 30, 59, 60, 61, 90] {
            let mut now = pace.began + Duration::from_secs(now_s);
            let row = pace.event_time(now) + Duration::from_secs(20);
            let mut looks = 0;
            while pace.event_time(now) < row {
                now = now + pace.wait_for(row, now).max(Duration::from_millis(1));
                looks += 1;
                assert!(looks < 100, "from {now_s}");
            }
        }
    }
}
