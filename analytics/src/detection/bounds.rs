//! Absolute limits: what an engineer or a standard says about a signal, learned from nothing.
//!
//! Each bound has a value that alarms (`on`) and one at which the alarm may end (`off`). The
//! score lies on the scale of the other detectors: 1 at `on`, [`OFF_SCORE`] at `off`, straight
//! between and beyond, so that one on-delay and one hysteresis serve all.

use serde::{Deserialize, Serialize};

use super::detector::Part;

/// The score at which an alarm may end, as everywhere in the chain.
pub const OFF_SCORE: f64 = 0.8;
/// Scores end here: further beyond a limit says nothing more.
const MOST: f64 = 100.0;

/// A limit of one signal, upper if `on` is above `off`, else lower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The signal's slot.
    pub slot: usize,
    /// The value that alarms, in the signal's unit.
    pub on: f64,
    /// The value at which the alarm may end; differs from `on`.
    pub off: f64,
}

/// The limits of one device.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bounds {
    bounds: Vec<Bound>,
    /// Score and value by bound of the last sample; 0 and NaN for a missing signal.
    last: Vec<(f64, f64)>,
}

impl Bound {
    /// How near a value is to alarming; 1 is the limit.
    fn score(&self, x: f64) -> f64 {
        let step = (self.on - self.off) / (1.0 - OFF_SCORE);
        (1.0 + (x - self.on) / step).clamp(0.0, MOST)
    }
}

impl Bounds {
    /// Limits for a device; those that are not finite or have no distance between `on` and
    /// `off` are left out.
    pub fn new(bounds: impl IntoIterator<Item = Bound>) -> Self {
        let sound = |b: &Bound| {
            b.on.is_finite() && b.off.is_finite() && (b.on - b.off).abs() > f64::MIN_POSITIVE
        };
        let bounds: Vec<Bound> = bounds.into_iter().filter(sound).collect();
        Self {
            last: vec![(0.0, f64::NAN); bounds.len()],
            bounds,
        }
    }

    /// The highest score of the bounds whose signals have a value; none when there is none.
    pub fn score(&mut self, value: impl Fn(usize) -> f64) -> Option<f64> {
        let mut most = None;
        for (bound, last) in self.bounds.iter().zip(&mut self.last) {
            let x = value(bound.slot);
            *last = (0.0, x);
            if !x.is_nan() {
                last.0 = bound.score(x);
                most = Some(last.0.max(most.unwrap_or(0.0)));
            }
        }
        most
    }

    /// What each bound adds: the share goes to those beyond `off`, by how far.
    pub fn parts(&self) -> Vec<Part> {
        let over = |score: f64| (score - OFF_SCORE).max(0.0);
        let total: f64 = self.last.iter().map(|(score, _)| over(*score)).sum();
        let count = self.bounds.len() as f64;
        let part = |(bound, &(score, value)): (&Bound, &(f64, f64))| {
            let spread = (bound.on - bound.off).abs();
            Part {
                slot: bound.slot,
                share: if total > 0.0 {
                    over(score) / total
                } else {
                    1.0 / count
                },
                deviation: if value.is_nan() {
                    0.0
                } else {
                    (value - bound.off) / spread
                },
                value,
                normal: bound.off,
                spread,
            }
        };
        self.bounds.iter().zip(&self.last).map(part).collect()
    }

    /// Whether a state that came from outside can be worked with.
    pub fn is_consistent(&self, slots: usize) -> bool {
        self.last.len() == self.bounds.len() && self.bounds.iter().all(|b| b.slot < slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_one_at_on_and_the_common_end_at_off() {
        let upper = Bound {
            slot: 0,
            on: 80.0,
            off: 70.0,
        };
        let lower = Bound {
            slot: 0,
            on: 1.0,
            off: 1.5,
        };
        for (bound, x, expected) in [
            (upper, 80.0, 1.0),
            (upper, 70.0, OFF_SCORE),
            (upper, 90.0, 1.2),
            (upper, -1e9, 0.0),
            (upper, f64::INFINITY, MOST),
            (lower, 1.0, 1.0),
            (lower, 1.5, OFF_SCORE),
            (lower, 0.5, 1.2),
            (lower, 9.0, 0.0),
        ] {
            assert!((bound.score(x) - expected).abs() < 1e-12, "{bound:?} {x}");
        }
    }

    #[test]
    fn the_signal_beyond_its_limit_is_named_and_missing_ones_say_nothing() {
        let mut bounds = Bounds::new([
            Bound {
                slot: 0,
                on: 80.0,
                off: 70.0,
            },
            Bound {
                slot: 1,
                on: 5.0,
                off: 4.0,
            },
            Bound {
                slot: 1,
                on: 2.0,
                off: 2.0,
            },
        ]);
        assert!(bounds.score(|_| f64::NAN).is_none());
        let score = bounds
            .score(|slot| if slot == 0 { 20.0 } else { 6.0 })
            .unwrap();
        assert!((score - 1.2).abs() < 1e-12);
        let parts = bounds.parts();
        assert!(parts.len() == 2 && parts[1].share > 0.99 && parts[1].deviation > 1.9);
        assert!(bounds.is_consistent(2) && !bounds.is_consistent(1));
    }
}
