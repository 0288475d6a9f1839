//! The false alarms of a device: measured after commissioning, and kept within a budget.
//!
//! The score is observed where it would alarm: as the least of the rows of the on-delay, on
//! the usual scale and whatever the limit is now ([`Calibration`] keeps a ladder of limits).
//! What was seen counts as healthy running
//!
//! - after a day in which no alarm rose, when no person's word on an earlier one is awaited;
//! - by a person's word: an order that found no fault or a sensor's fault, or an accepted normal.
//!
//! Running up to an alarm that was confirmed counts as nothing. So a real fault cannot raise
//! the limit that should find it: before its alarm it has only the lower rungs of a day to
//! itself, and from the alarm on nothing counts until somebody has looked.

use serde::{Deserialize, Serialize};
use telemetry::Outcome;

use crate::{
    Config,
    detection::calibration::{Calibration, Rate},
};

/// A day without an alarm is healthy running, microseconds: it covers one cycle of shifts.
const DAY: i64 = 86_400_000_000;
/// Most rows over which the least score is taken; a longer on-delay is observed as this one,
/// which counts a little too much.
const MOST_ROWS: usize = 64;

/// The measured false alarms of one device and the limit that keeps the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    calibration: Calibration,
    /// The newest scores, oldest overwritten first.
    recent: Vec<f32>,
    next: u32,
    /// An alarm rose that nobody has judged yet.
    is_open: bool,
    settled: Option<i64>,
    /// The alarm limit as a factor of the usual one, 1 or above.
    pub(crate) limit: f64,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            calibration: Calibration::default(),
            recent: Vec::new(),
            next: 0,
            is_open: false,
            settled: None,
            limit: 1.0,
        }
    }

    /// Takes the score of a row on the usual scale; `is_held` scores need no on-delay.
    pub(crate) fn observe(&mut self, config: &Config, at: i64, score: f64, is_held: bool) {
        let rows = if is_held { 1 } else { config.on_delay_rows };
        let rows = usize::try_from(rows)
            .unwrap_or(MOST_ROWS)
            .clamp(1, MOST_ROWS);
        if self.recent.len() != rows {
            self.recent = vec![0.0; rows];
            self.next = 0;
        }
        let place = self.next as usize % rows;
        self.recent[place] = score as f32;
        self.next = (place as u32 + 1) % rows as u32;
        let least = if score < 1.0 {
            score
        } else {
            f64::from(self.recent.iter().copied().fold(f32::INFINITY, f32::min))
        };
        self.calibration.observe(at, least);
        let settled = *self.settled.get_or_insert(at);
        if !self.is_open && at.saturating_sub(settled) >= DAY {
            self.settle(config, Some(at));
        }
    }

    /// An alarm rose: nothing counts until somebody has looked.
    pub(crate) fn alarm(&mut self) {
        self.is_open = true;
    }

    /// A person has looked; none is a person who accepted what was seen as normal.
    pub(crate) fn judged(&mut self, config: &Config, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Duplicate | Outcome::Deferred) => return,
            Some(Outcome::Confirmed | Outcome::OtherFaultFound) => self.calibration.withdraw(),
            Some(Outcome::NoFaultFound | Outcome::SensorFault) | None => {
                self.settle(config, None);
            }
        }
        self.is_open = false;
        self.settled = None;
    }

    fn settle(&mut self, config: &Config, at: Option<i64>) {
        self.calibration.settle();
        self.settled = at;
        self.limit = self.calibration.limit(config.alarms_per_asset_month);
    }

    /// What was measured; none before a day was watched.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.calibration.rate()
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self) -> bool {
        self.recent.len() <= MOST_ROWS && self.limit >= 1.0 && self.limit.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Days of rows each minute with an excursion of this height for an hour each day.
    fn watch(budget: &mut Budget, days: i64, height: f64) {
        let config = Config::default();
        for row in 0..days * 1_440 {
            let score = if row % 1_440 < 60 { height } else { 0.3 };
            budget.observe(&config, row * MINUTE, score, false);
        }
    }

    #[test]
    fn excursions_that_never_became_an_alarm_raise_the_limit_until_the_budget_holds() {
        let mut budget = Budget::new();
        watch(&mut budget, 60, 1.3);
        let rate = budget.rate().unwrap();
        assert!((25.0..35.0).contains(&rate.per_month), "{rate:?}");
        assert!(
            (budget.limit - 1.1_f64.powi(3)).abs() < 1e-9,
            "{}",
            budget.limit
        );
        let mut calm = Budget::new();
        watch(&mut calm, 60, 0.9);
        assert!((calm.limit - 1.0).abs() < 1e-12 && calm.rate().unwrap().episodes == 0);
    }

    #[test]
    fn a_fault_cannot_teach_itself_away() {
        for (outcome, raised) in [
            (None, true),
            (Some(Outcome::NoFaultFound), true),
            (Some(Outcome::Confirmed), false),
            (Some(Outcome::Deferred), false),
        ] {
            let mut budget = Budget::new();
            budget.alarm();
            watch(&mut budget, 30, 2.0);
            assert!(
                (budget.limit - 1.0).abs() < 1e-12,
                "nothing counts before a word"
            );
            budget.judged(&Config::default(), outcome);
            assert_eq!(budget.limit > 1.5, raised, "{outcome:?}: {}", budget.limit);
        }
    }

    #[test]
    fn a_spike_shorter_than_the_on_delay_is_no_episode() {
        let mut budget = Budget::new();
        let config = Config::default();
        for row in 0..4_000 {
            let score = if row % 20 < 9 { 3.0 } else { 0.3 };
            budget.observe(&config, row * MINUTE, score, false);
        }
        assert_eq!(budget.rate().unwrap().episodes, 0);
        assert!(budget.is_consistent());
    }
}
