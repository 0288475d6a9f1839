//! Level and innovation in agreement, and the end of a fault: the default for a machine.
//!
//! A fault changes both where the signals are and how they follow from each other. Healthy
//! swings mostly change one of the two, so the score is the smaller of both views. But a fault
//! that grows slowly is foreseen from row to row, and one that stays is foreseen again after a
//! while; so a level beyond twice its limit needs no second witness:
//!
//! ```text
//! score = max(min(level, innovation), level / 2)
//! ```
//!
//! **The end of a fault.** A machine that was repaired or came back by itself seldom returns
//! to exactly the level it had before. The level view froze its baseline at the fault, so what
//! remains would alarm for ever. The rule: when a score has fallen to a quarter of the height
//! of its excursion, the fault has gone; until the score falls below the limit by itself, the
//! limit stands at that quarter (at most at twice the usual limit: what is further away than
//! six spreads stays an alarm whatever was before), and below it the baseline takes over what
//! remained. A fault that stays, however steady, never meets the rule, and one that grows
//! anew passes the raised limit.

use serde::{Deserialize, Serialize};

use super::{
    detector::{Detector, Part},
    innovation::Innovation,
    learned::Learned,
    level::Level,
};

/// The part of its height to which a score must fall for the fault to have gone. A fault that
/// is still there stood at a third of its height or above nearly all of the time.
const GONE: f64 = 0.25;
/// The most that the limit is raised after a fault.
const MOST_RAISED: f64 = 2.0;
/// The part of a level that speaks alone.
const ALONE: f64 = 0.5;

/// Level and innovation view of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    level: Level,
    /// None when the learned rows show no dynamics; then the level decides alone.
    innovation: Option<Innovation>,
    /// Height of the present excursion above the limit; 0 when there is none.
    height: f64,
}

impl Detector for Agreement {
    const NAME: &'static str = "agreement";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let level = Level::fit(learned, order)?;
        let signals: Vec<usize> = level.slots().collect();
        Some(Self {
            innovation: Innovation::fit(learned, &signals),
            level,
            height: 0.0,
        })
    }

    fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        let level = self.level.look(&value)?;
        let innovation = self
            .innovation
            .as_mut()
            .and_then(|view| view.score(at, &value));
        let score = innovation.map_or(level, |innovation| innovation.min(level).max(ALONE * level));
        self.height = if score < 1.0 {
            0.0
        } else {
            self.height.max(score)
        };
        let limit = (GONE * self.height).clamp(1.0, MOST_RAISED);
        self.level.follow(self.height > 0.0 && score < limit);
        Some(score / limit)
    }

    fn parts(&self) -> Vec<Part> {
        self.level.parts()
    }

    fn each_deviation(&self, visit: impl FnMut(usize, f64)) {
        self.level.each_deviation(visit);
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let innovation = self.innovation.as_ref();
        self.level.is_consistent(slots)
            && innovation.is_none_or(|view| view.is_consistent(slots))
            && self.height >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two signals that swing slowly together, with a little noise of their own.
    fn healthy(row: i64) -> [f64; 2] {
        let at = row as f64;
        let swing = (at / 30.0).sin();
        [
            5.0 + swing + 0.1 * (at * 2.3).sin(),
            50.0 - 3.0 * swing + 0.3 * (at * 1.7).cos(),
        ]
    }

    fn fitted() -> Agreement {
        let mut learned = Learned::new(400, 2);
        for row in 0..400 {
            learned.push(row, |slot| healthy(row)[slot]);
        }
        Agreement::fit(&learned, &[0, 1]).unwrap()
    }

    /// Scores of rows in which the first signal is shifted.
    fn shifted(view: &mut Agreement, rows: std::ops::Range<i64>, shift: f64) -> Vec<f64> {
        let value =
            |row: i64, slot: usize| healthy(row)[slot] + if slot == 0 { shift } else { 0.0 };
        rows.map(|row| view.score(row, |slot| value(row, slot)).unwrap())
            .collect()
    }

    #[test]
    fn a_fault_that_stays_stays_an_alarm() {
        let mut view = fitted();
        let calm = shifted(&mut view, 400..800, 0.0);
        assert!(calm.iter().all(|score| *score < 1.0));
        let fault = shifted(&mut view, 800..5_000, 15.0);
        assert!(fault[60..].iter().all(|score| *score >= 1.0));
    }

    #[test]
    fn what_a_fault_leaves_behind_is_taken_over() {
        let mut view = fitted();
        let spread = view.parts()[0].spread;
        shifted(&mut view, 400..700, 60.0 * spread);
        assert!(view.height > 8.0, "{}", view.height);
        // The least shift that would alarm by itself, well beyond the limit.
        let alarms = |left: &f64| {
            let scores = shifted(&mut fitted(), 700..900, left * spread);
            scores.into_iter().fold(0.0, f64::max) >= 1.3
        };
        let left = (1..100)
            .map(|tenth| f64::from(tenth) / 10.0)
            .find(alarms)
            .unwrap();
        let after = shifted(&mut view, 700..1_500, left * spread);
        assert!(
            after[100..].iter().all(|score| *score < 1.0),
            "{left} spreads"
        );
        assert!(
            after[700..].iter().all(|score| *score < 0.7),
            "{:?}",
            &after[700..710]
        );
        let again = shifted(&mut view, 1_500..1_800, 60.0 * spread);
        assert!(
            again[60..].iter().all(|score| *score >= 1.0),
            "a new fault is one"
        );
    }
}
