//! The clock of a device: can its times be believed?
//!
//! Two things cannot be: measuring in the future of whoever received it, and time that runs
//! backwards again and again. A device that sends old readings is not among them: it was
//! offline and catches up.

use serde::{Deserialize, Serialize};
use telemetry::{SensorFault, SensorState};

/// A measurement may be this far ahead of its receipt, in microseconds: clocks that are set over
/// the network agree within a second, and a minute is what an unset one drifts in a month.
const AHEAD: i64 = 60_000_000;
/// Rows ahead in a row before it counts.
const ROWS: u16 = 3;
/// Good rows that end the verdict.
const CALM_ROWS: u16 = 20;
/// Times that time may start over within [`MEMORY_ROWS`] rows.
const RESTARTS: u16 = 2;
/// Rows after which a restart is forgotten.
const MEMORY_ROWS: u16 = 1_000;

/// The clock of one device under watch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockWatch {
    ahead: u16,
    calm: u16,
    restarts: u16,
    since_restart: u16,
    faulty: bool,
    /// When the verdict last changed, microseconds of event time.
    since: i64,
    /// How far the newest row was ahead of its receipt, microseconds; 0 when it was not.
    lead: i64,
}

impl ClockWatch {
    /// Takes the times of a row in microseconds; `restarted` when event time started over with
    /// it. True when the verdict has changed.
    pub fn row(&mut self, measured_at: i64, received_at: i64, restarted: bool) -> bool {
        self.lead = measured_at.saturating_sub(received_at).max(0);
        self.since_restart = self.since_restart.saturating_add(1);
        if self.since_restart >= MEMORY_ROWS {
            self.restarts = 0;
        }
        if restarted {
            self.restarts = self.restarts.saturating_add(1);
            self.since_restart = 0;
        }
        let is_ahead = self.lead > AHEAD;
        self.ahead = if is_ahead {
            self.ahead.saturating_add(1)
        } else {
            0
        };
        let wrong = self.ahead >= ROWS || self.restarts >= RESTARTS;
        self.calm = if is_ahead || restarted {
            0
        } else {
            self.calm.saturating_add(1)
        };
        let faulty = wrong || (self.faulty && self.calm < CALM_ROWS);
        let changed = faulty != self.faulty;
        if changed {
            (self.faulty, self.since) = (faulty, measured_at);
        }
        changed
    }

    /// Whether the times can be believed.
    pub fn state(&self) -> SensorState {
        if self.faulty {
            SensorState::Faulty
        } else {
            SensorState::Good
        }
    }

    /// What is wrong with the clock, if anything.
    pub fn fault(&self) -> Option<SensorFault> {
        self.faulty.then_some(SensorFault::Clock)
    }

    /// When the verdict last changed, microseconds of event time.
    pub fn since(&self) -> i64 {
        self.since
    }

    /// How far the newest row was ahead of its receipt, in seconds.
    pub fn lead_s(&self) -> f64 {
        self.lead as f64 / 1e6
    }

    /// How strong the evidence is, as [`super::Verdict::confidence`]: 1 − 2^(−e), where e counts
    /// limits; 0 for a good clock.
    pub fn confidence(&self) -> f64 {
        if !self.faulty {
            return 0.0;
        }
        let ahead = self.lead as f64 / AHEAD as f64;
        let restarts = f64::from(self.restarts) / f64::from(RESTARTS);
        1.0 - (-ahead.max(restarts).max(1.0)).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_clock_ahead_of_its_receipt_is_faulty_and_one_that_catches_up_is_not() {
        let mut clock = ClockWatch::default();
        for row in 0..100 {
            assert!(!clock.row(row * SECOND, (row + 86_400) * SECOND, false));
        }
        let mut changes = 0;
        for row in 100..110 {
            changes += u32::from(clock.row((row + 3_600) * SECOND, row * SECOND, false));
        }
        assert_eq!((changes, clock.fault()), (1, Some(SensorFault::Clock)));
        assert!(clock.confidence() > 0.99 && (clock.lead_s() - 3_600.0).abs() < 1e-9);
        for row in 110..140 {
            changes += u32::from(clock.row(row * SECOND, row * SECOND, false));
        }
        assert_eq!((changes, clock.state()), (2, SensorState::Good));
    }

    #[test]
    fn time_that_starts_over_once_is_a_clock_that_was_set_and_twice_one_that_is_broken() {
        let mut clock = ClockWatch::default();
        let faulty_after = |clock: &mut ClockWatch, restarted| {
            (0..30).for_each(|row| {
                clock.row(row * SECOND, row * SECOND, restarted && row == 0);
            });
            clock.row(0, 0, restarted);
            clock.fault().is_some()
        };
        assert!(!clock.row(0, 0, true) && clock.fault().is_none());
        assert!(faulty_after(&mut clock, true));
    }
}
