//! The level view: has the level of the signals, seen together, left its recent normal?
//!
//! An exponentially weighted moving average per signal, one Mahalanobis distance over all
//! (MEWMA), with two additions that make it fit for machines. The ruler of each signal widens
//! with how far it wandered while learning (`super::healthy`). And the baseline follows slow
//! drift, but the more hesitantly the further a signal is away, and not at all at a clear
//! fault:
//!
//! ```text
//! e ← e + 0.1 (x − e)          z = (e − b)/s          S = √(zᵀR⁻¹z / p) / 3
//! b ← b + w(|z|) z s / 250     w = 1 up to 2, falling to 0 at 8
//! ```
//!
//! The baseline never leaves the learned centre by more than six spreads, so that a fault
//! which grows slower than the baseline can creep is still found.
//!
//! # Source
//! Lowry, Woodall, Champ & Rigdon, "A multivariate exponentially weighted moving average
//! control chart", Technometrics 34 (1992). Drift scale and hesitant following are ours.

use serde::{Deserialize, Serialize};

use super::{
    detector::{Detector, LARGEST, Part, is_enough},
    healthy::{Signal, Whitener, correlations, shares, spread_of},
    learned::{Learned, SMOOTHING},
};

/// The alarm limit: the root mean square of the deviations is three healthy spreads, the
/// three sigma of every control chart. The same for all machines; nothing is tuned on an asset.
pub(crate) const LIMIT: f64 = 3.0;
/// Rows in which the baseline follows a small deviation (time constant): ten times slower
/// than the smoothing looks back, so that what it follows is drift and not the news.
const FOLLOW_ROWS: f64 = 250.0;
/// Deviations up to this many spreads are followed fully …
const FOLLOW_FULL: f64 = 2.0;
/// … and from this many on not at all: that is no drift but a fault.
const FOLLOW_END: f64 = 8.0;
/// Furthest that the baseline may creep from the learned centre, in spreads. Healthy running
/// of a pump rig for two hours needs more than four (5 % of its rows would alarm) and gains
/// nothing beyond six.
const MAX_DRIFT: f64 = 6.0;
/// Rows in which the baseline takes over what a fault left behind once it has clearly gone:
/// ten times the reach of the smoothing, so that the return itself is over before.
const RELEARN_ROWS: f64 = 100.0;

/// A signal while it is scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Track {
    smoothed: f64,
    base: f64,
    /// What the baseline may not leave: the learned centre, moved only by a recovery.
    anchor: f64,
    learned: Signal,
}

/// The level view of one device. State: 40 bytes a signal and a triangle of p (p + 1)/2 numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Level {
    tracks: Vec<Track>,
    whitener: Whitener,
    /// Deviations of the last sample in spreads; 0 for a missing signal.
    z: Vec<f64>,
    /// The whitened deviations of the last sample.
    w: Vec<f64>,
}

impl Detector for Level {
    const NAME: &'static str = "level";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let columns: Vec<Vec<f64>> = (0..learned.slots())
            .map(|slot| learned.level(slot).to_vec())
            .collect();
        let signals: Vec<Signal> = order
            .iter()
            .filter_map(|&slot| spread_of(slot, &columns[slot]))
            .collect();
        if signals.is_empty() {
            return None;
        }
        let start = |learned_signal: &Signal| {
            let now = learned.smoothed(learned_signal.slot);
            Track {
                smoothed: if now.is_nan() {
                    learned_signal.centre
                } else {
                    now
                },
                base: learned_signal.centre,
                anchor: learned_signal.centre,
                learned: *learned_signal,
            }
        };
        Some(Self {
            tracks: signals.iter().map(start).collect(),
            whitener: Whitener::new(&correlations(&columns, &signals)),
            z: vec![0.0; signals.len()],
            w: vec![0.0; signals.len()],
        })
    }

    fn score(&mut self, _at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        let score = self.look(value)?;
        self.follow(false);
        Some(score)
    }

    fn parts(&self) -> Vec<Part> {
        let weigh = |(at, z): (usize, &f64)| z * self.whitener.transposed(at, &self.w);
        let parts: Vec<f64> = self.z.iter().enumerate().map(weigh).collect();
        let each = self.tracks.iter().zip(&self.z).zip(shares(&parts));
        each.map(|((track, &deviation), share)| Part {
            slot: track.learned.slot,
            share,
            deviation,
            value: track.smoothed,
            normal: track.base,
            spread: track.learned.spread,
        })
        .collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        for (track, &z) in self.tracks.iter().zip(&self.z) {
            visit(track.learned.slot, z);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let size = self.tracks.len();
        size > 0
            && self.z.len() == size
            && self.w.len() == size
            && self.whitener.is_consistent(size)
            && self.tracks.iter().all(|t| t.learned.is_consistent(slots))
    }
}

impl Level {
    /// The score of a sample, before the baseline follows it.
    pub(crate) fn look(&mut self, value: impl Fn(usize) -> f64) -> Option<f64> {
        if !is_enough(self.slots(), &value) {
            return None;
        }
        for (track, z) in self.tracks.iter_mut().zip(&mut self.z) {
            let x = value(track.learned.slot);
            *z = if x.is_nan() { 0.0 } else { track.step(x) };
        }
        let square = self.whitener.apply(&self.z, &mut self.w);
        Some((square / self.z.len() as f64).sqrt() / LIMIT)
    }

    /// Lets the baseline follow the last sample; after a recovery it follows whatever remained.
    pub(crate) fn follow(&mut self, is_recovered: bool) {
        for (track, &z) in self.tracks.iter_mut().zip(&self.z) {
            track.follow(z, is_recovered);
        }
    }

    pub(crate) fn slots(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.tracks.iter().map(|track| track.learned.slot)
    }
}

impl Track {
    /// Smooths a value in and returns the deviation.
    fn step(&mut self, x: f64) -> f64 {
        let x = x.clamp(-LARGEST, LARGEST);
        self.smoothed += SMOOTHING * (x - self.smoothed);
        ((self.smoothed - self.base) / self.learned.spread).clamp(-LARGEST, LARGEST)
    }

    /// Lets the baseline creep towards a small deviation, or to what a fault left behind.
    fn follow(&mut self, z: f64, is_recovered: bool) {
        let far = z.abs();
        let moved = z * self.learned.spread;
        if is_recovered {
            self.base += moved / RELEARN_ROWS;
            self.anchor += moved / RELEARN_ROWS;
            return;
        }
        let weight = if far <= FOLLOW_FULL {
            1.0
        } else if far < FOLLOW_END {
            FOLLOW_FULL / far * (FOLLOW_END - far) / (FOLLOW_END - FOLLOW_FULL)
        } else {
            return;
        };
        let furthest = MAX_DRIFT * self.learned.spread;
        let base = self.base + weight * moved / FOLLOW_ROWS;
        self.base = base.clamp(self.anchor - furthest, self.anchor + furthest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted() -> Level {
        let mut learned = Learned::new(400, 2);
        for row in 0..400 {
            let at = f64::from(row);
            learned.push(i64::from(row), |slot| {
                5.0 + (at * if slot == 0 { 0.7 } else { 1.9 }).sin()
            });
        }
        Level::fit(&learned, &[0, 1]).unwrap()
    }

    #[test]
    fn a_fault_that_grows_slower_than_the_baseline_creeps_is_found() {
        let mut level = fitted();
        let spread = level.tracks[0].learned.spread;
        // One spread in a thousand rows: four times slower than the baseline can follow.
        let mut grown = (0..30_000).map(|row| {
            let x = 5.0 + spread * f64::from(row) / 1_000.0;
            level
                .score(0, |slot| if slot == 0 { x } else { 5.0 })
                .unwrap()
        });
        let early = grown.by_ref().take(4_000).fold(0.0, f64::max);
        assert!(early < 1.0, "followed at first: {early}");
        assert!(
            grown.any(|score| score >= 1.0),
            "and found when it has gone too far"
        );
    }

    #[test]
    fn a_small_shift_is_taken_over_and_a_clear_one_is_not() {
        for (spreads, is_followed) in [(2.0, true), (12.0, false)] {
            let mut level = fitted();
            let x = 5.0 + spreads * level.tracks[0].learned.spread;
            let mut last = 0.0;
            for _ in 0..2_000 {
                last = level
                    .score(0, |slot| if slot == 0 { x } else { 5.0 })
                    .unwrap();
            }
            assert_eq!(last < 0.1, is_followed, "{spreads}: {last}");
        }
    }
}
