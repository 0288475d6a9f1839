//! One normal for each load regime.
//!
//! A machine that runs at two loads has two normals: flow and current differ by load, and so
//! does their noise. Instead of a detector a regime, each of which would learn from a part of
//! the rows only, values are carried over to the regime that was seen most:
//!
//! ```text
//! x' = c + (x − cᵣ) · s / sᵣ
//! ```
//!
//! with centre c and spread s of that signal in the common regime and in regime r. All
//! detectors then see one machine, learn from every row, and what they say is carried back
//! before it is told. Drift that is followed in one regime is followed in all, because it
//! mostly comes from outside (the water gets warmer).
//!
//! Centres and spreads are medians and standard deviations of the points that were learned.
//! Points soon after a change of regime belong to neither and are left out.

use serde::{Deserialize, Serialize};

use crate::detection::{detector::Part, learned::Learned};

/// The noise of a signal may differ between regimes by this factor; a ratio beyond it comes
/// from a regime of which too little was seen, or from a signal that stood still in one.
const MOST_RATIO: f64 = 4.0;
/// Fewest points of a regime whose centre is believed; with fewer the common one is taken.
const FEWEST_POINTS: usize = 8;

/// Centre and spread of a signal in a regime.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Usual {
    centre: f64,
    spread: f64,
}

/// What is usual in each regime; of a machine with one regime nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Regimes {
    slots: usize,
    /// The common one first, then regime 0, 1, …, each with all slots.
    usual: Vec<Usual>,
}

impl Regimes {
    /// Learns what is usual in each of `count` regimes and gives the learned stretch as if all
    /// of it had run in the common one. `label` names the regime of a row of values by slot.
    pub(crate) fn fit(
        learned: &Learned,
        count: usize,
        label: impl Fn(&dyn Fn(usize) -> f64) -> u8,
    ) -> (Self, Learned) {
        if count < 2 {
            return (Self::default(), learned.clone());
        }
        let labels = learned.labels(&label);
        let slots = learned.slots();
        let size = |regime: usize| labels.iter().filter(|l| **l == Some(regime as u8)).count();
        let common = (0..count)
            .rev()
            .max_by_key(|regime| size(*regime))
            .unwrap_or(0);
        let usual = |regime: usize, slot: usize| {
            let of = usual_of(learned.level(slot), &labels, regime as u8);
            let base = usual_of(learned.level(slot), &labels, common as u8);
            match (of, base) {
                (Some(of), Some(base)) => Usual {
                    centre: of.centre,
                    spread: bounded(of.spread, base.spread),
                },
                (_, base) => base.unwrap_or(Usual {
                    centre: 0.0,
                    spread: 1.0,
                }),
            }
        };
        let order = std::iter::once(common).chain(0..count);
        let regimes = Self {
            slots,
            usual: order
                .flat_map(|regime| (0..slots).map(move |slot| (regime, slot)))
                .map(|(regime, slot)| usual(regime, slot))
                .collect(),
        };
        let carried = learned.carried(&label, |slot, regime, x| regimes.carry(regime, slot, x));
        (regimes, carried)
    }

    /// A value of a regime as it would be in the common one.
    pub(crate) fn carry(&self, regime: u8, slot: usize, x: f64) -> f64 {
        let Some((common, here)) = self.pair(regime, slot) else {
            return x;
        };
        common.centre + (x - here.centre) * common.spread / here.spread
    }

    /// What a detector said of the common regime, told of the regime it was said in.
    pub(crate) fn carry_back(&self, regime: u8, part: Part) -> Part {
        let Some((common, here)) = self.pair(regime, part.slot) else {
            return part;
        };
        let ratio = self.ratio(regime, part.slot);
        let back = |x: f64| here.centre + (x - common.centre) * ratio;
        Part {
            value: back(part.value),
            normal: back(part.normal),
            spread: part.spread * ratio,
            ..part
        }
    }

    /// The spread of a signal in a regime against its spread in the common one.
    pub(crate) fn ratio(&self, regime: u8, slot: usize) -> f64 {
        self.pair(regime, slot)
            .map_or(1.0, |(common, here)| here.spread / common.spread)
    }

    fn pair(&self, regime: u8, slot: usize) -> Option<(Usual, Usual)> {
        let common = self.usual.get(slot)?;
        let here = self
            .usual
            .get((usize::from(regime) + 1) * self.slots + slot)?;
        Some((*common, *here))
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        let sound = |one: &Usual| one.centre.is_finite() && one.spread > 0.0;
        self.usual.is_empty()
            || (self.slots == slots
                && self.usual.len().is_multiple_of(slots.max(1))
                && self.usual.iter().all(sound))
    }
}

/// None when there are too few points.
fn usual_of(column: &[f64], labels: &[Option<u8>], regime: u8) -> Option<Usual> {
    let points = column.iter().zip(labels);
    let mut seen: Vec<f64> = points
        .filter(|(x, label)| **label == Some(regime) && !x.is_nan())
        .map(|(x, _)| *x)
        .collect();
    if seen.len() < FEWEST_POINTS {
        return None;
    }
    let count = seen.len() as f64;
    let mean = seen.iter().sum::<f64>() / count;
    let square = seen.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
    seen.sort_by(f64::total_cmp);
    Some(Usual {
        centre: f64::midpoint(seen[(seen.len() - 1) / 2], seen[seen.len() / 2]),
        spread: (square / count).sqrt(),
    })
}

/// A spread against that of the common regime, by [`MOST_RATIO`] at most; equal where one
/// of the two shows none.
fn bounded(spread: f64, common: f64) -> f64 {
    let ratio = spread / common;
    if ratio.is_finite() && ratio > 0.0 {
        common * ratio.clamp(1.0 / MOST_RATIO, MOST_RATIO)
    } else if common > 0.0 {
        common
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of the time at 10 ± 1, half at 50 ± 2, in turns of 200 rows.
    fn stretch() -> Learned {
        let mut learned = Learned::new(2_000, 1);
        for row in 0..2_000_i64 {
            let wave = (row as f64 * 0.05).sin();
            let value = if row / 200 % 2 == 0 {
                10.0 + wave
            } else {
                50.0 + 2.0 * wave
            };
            learned.push(row * 1_000_000, |_| value);
        }
        learned
    }

    #[test]
    fn a_value_is_carried_to_the_common_regime_and_back() {
        let label = |value: &dyn Fn(usize) -> f64| u8::from(value(0) > 30.0);
        let (regimes, carried) = Regimes::fit(&stretch(), 2, label);
        assert!(regimes.is_consistent(1) && !regimes.is_consistent(2));
        let common = regimes.usual[0].centre;
        for (regime, x, deviation) in [
            (0, 10.0, 0.0),
            (1, 50.0, 0.0),
            (1, 54.0, 1.0),
            (0, 12.0, 1.0),
        ] {
            let there = regimes.carry(regime, 0, x);
            let expected = deviation * (there - common);
            assert!(
                (there - common - expected).abs() < 0.5,
                "{x} of {regime}: {there}"
            );
            let part = Part {
                slot: 0,
                share: 1.0,
                deviation: 0.0,
                value: there,
                normal: common,
                spread: 1.0,
            };
            assert!((regimes.carry_back(regime, part).value - x).abs() < 1e-9);
        }
        // Carried over, the two loads are one: nothing is left of the distance of forty.
        let level: Vec<f64> = carried
            .level(0)
            .iter()
            .copied()
            .filter(|x| !x.is_nan())
            .collect();
        let (low, high) = level
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
        assert!(high - low < 8.0, "{low} to {high}");
        assert!(level.len() > 150, "{} points", level.len());
    }

    #[test]
    fn one_regime_changes_nothing() {
        let learned = stretch();
        let (regimes, carried) = Regimes::fit(&learned, 1, |_| 0);
        assert_eq!(carried, learned);
        assert!((regimes.carry(0, 0, 7.0) - 7.0).abs() < 1e-15 && regimes.is_consistent(3));
    }
}
