//! From score to state: on-delay, off-delay and hysteresis, as one table.
//!
//! | state | score | next |
//! |---|---|---|
//! | normal | ≥ 1 | watch |
//! | watch | ≥ 1, `on_delay_rows` rows in a row (one, if the score holds itself) | alarm, since the first of them |
//! | watch | < `off` | normal |
//! | alarm | < `off`, `off_delay_rows` rows in a row | normal, since the first of them |

use serde::{Deserialize, Serialize};

use crate::Config;

/// The score at which an alarm begins.
pub(crate) const ON: f64 = 1.0;

/// Where a device stands, the better before the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum State {
    Normal,
    Watch,
    Alarm,
}

/// The state with its counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) state: State,
    /// When the state began.
    pub(crate) since: i64,
    /// Rows in a row that argue for leaving the state, and the first of them.
    run: u32,
    run_from: i64,
}

impl Alarm {
    pub(crate) fn normal(since: i64) -> Self {
        Self {
            state: State::Normal,
            since,
            run: 0,
            run_from: since,
        }
    }

    /// Rows in a row beyond the limit, this one included; 0 in an alarm.
    pub(crate) fn rows_over(&self) -> u32 {
        if self.state == State::Watch {
            self.run
        } else {
            0
        }
    }

    /// Takes the score of the next row; one that `is_held` by itself needs no on-delay. True
    /// when the state changed.
    pub(crate) fn next(&mut self, at: i64, score: f64, is_held: bool, config: &Config) -> bool {
        let before = self.state;
        let on_delay_rows = if is_held { 1 } else { config.on_delay_rows };
        match before {
            State::Normal if score >= ON => {
                (self.state, self.since, self.run) = (State::Watch, at, 0);
                self.count(at);
            }
            State::Normal => {}
            State::Watch if score >= ON => self.count(at),
            State::Watch if score < config.off => *self = Self::normal(at),
            State::Alarm if score < config.off => self.count(at),
            State::Watch | State::Alarm => self.run = 0,
        }
        if self.state == State::Watch && self.run >= on_delay_rows {
            (self.state, self.since, self.run) = (State::Alarm, self.run_from, 0);
        } else if self.state == State::Alarm && self.run >= config.off_delay_rows {
            *self = Self::normal(self.run_from);
        }
        self.state != before
    }

    fn count(&mut self, at: i64) {
        if self.run == 0 {
            self.run_from = at;
        }
        self.run += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> Config {
        Config {
            on_delay_rows: 3,
            off_delay_rows: 2,
            ..Config::default()
        }
    }

    /// States after each score, one letter each.
    fn run(scores: &[f64]) -> (String, Vec<i64>) {
        let mut alarm = Alarm::normal(0);
        let step = |(at, score): (usize, &f64)| {
            alarm.next(at as i64, *score, false, &config());
            let letter = match alarm.state {
                State::Normal => 'n',
                State::Watch => 'w',
                State::Alarm => 'A',
            };
            (letter, alarm.since)
        };
        scores.iter().enumerate().map(step).unzip()
    }

    #[test]
    fn scores_lead_through_the_states() {
        for (scores, states, since_at_end) in [
            (&[0.5, 0.9, 0.5][..], "nnn", 0),
            (&[1.0, 1.2, 0.5], "wwn", 2),
            (&[0.1, 1.0, 1.2, 1.1, 1.0], "nwwAA", 1),
            (&[1.0, 0.9, 1.0, 1.0, 1.0], "wwwwA", 2),
            (&[1.0, 1.0, 1.0, 0.9, 0.7, 0.9, 0.7, 0.7], "wwAAAAAn", 6),
            (&[1.0, 1.0, 1.0, f64::INFINITY], "wwAA", 0),
        ] {
            let (got, since) = run(scores);
            assert_eq!(got, states, "{scores:?}");
            assert_eq!(since.last(), Some(&since_at_end), "{scores:?}");
        }
    }

    proptest! {
        #[test]
        fn no_alarm_is_shorter_than_the_off_delay(scores in prop::collection::vec(0.0..2.0, 0..80)) {
            let (states, _) = run(&scores);
            let inner = states.trim_end_matches('A');
            for episode in inner.split(|c| c != 'A').filter(|e| !e.is_empty()) {
                prop_assert!(episode.len() >= config().off_delay_rows as usize);
            }
        }
    }
}
