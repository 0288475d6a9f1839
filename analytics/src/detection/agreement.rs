//! Level and innovation in agreement, and the end of a fault: the default for a machine.
//!
//! A fault changes both where the signals are and how they follow from each other. Healthy
//! swings mostly change one of the two, so the score is the smaller of both views.
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
        let score = innovation.map_or(level, |innovation| innovation.min(level));
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
