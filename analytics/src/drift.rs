//! Whether a recent sample of a quantity still looks like the one a detector learned from.
//!
//! The population stability index of the two, in bins at the deciles of the older one:
//!
//! ```text
//! PSI = Σ (qᵢ − pᵢ) · ln(qᵢ / pᵢ)      p: the part of the reference in bin i, q: of the recent sample
//! ```
//!
//! Three things make a plain index useless for machines, and are dealt with here.
//!
//! - *Few points*: without any change the index is about χ² with (bins − 1) degrees of freedom
//!   times (1/n + 1/m), so its mean is taken off, and nothing is said that chance reaches.
//! - *A signal that never rests*: what was learned in an hour of a warming room lies elsewhere
//!   an hour later, though nothing happened. How far the two halves of the reference lie apart is
//!   what the quantity does by itself, and is taken off too. Of a signal whose halves lie apart as
//!   far as a drift nothing more than [`Word::Moving`] is said: it never had one place to leave.
//! - *Values that repeat*: a value that fills a decile by itself gets a bin of its own. A reference
//!   that never moved has three bins, below, at and above its value; any other value is drift.
//!
//! Only ranks count, so a unit has no say: `a·x + b` with a > 0 gives the same index.
//!
//! # Source
//! The index and its customary limits of 0.1 and 0.25: N. Siddiqi, *Credit Risk Scorecards*, Wiley
//! 2006, chapter 8. Its distribution without a change: B. Yurdakul and J. Naranjo, *Statistical
//! properties of the population stability index*, Journal of Risk Model Validation 14 (2020) 4.

use serde::Serialize;

/// From here on a quantity moves.
pub const MOVING: f64 = 0.1;
/// Beyond this it has drifted.
pub const DRIFTED: f64 = 0.25;
/// The fewest points of either sample; with fewer, chance alone reaches half of everything.
pub const FEWEST: usize = 50;

const BINS: usize = 10;
/// Added to the count of each bin, so that an empty one says "rare" and not "impossible": half a
/// point, the prior of Jeffreys for a share.
const PRIOR: f64 = 0.5;
/// Standard deviations beyond the mean that chance is granted: with nine degrees of freedom once
/// in a hundred.
const CHANCE: f64 = 3.0;

/// What an index means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// As it was learned.
    Stable,
    /// On its way elsewhere, or wider than it was.
    Moving,
    /// Elsewhere.
    Drifted,
}

/// How far a recent sample lies from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psi {
    /// The index without what chance and unrest explain, never below 0.
    pub value: f64,
    /// The index as it was counted.
    pub raw: f64,
    /// What the reference does by itself, between its two halves.
    pub unrest: f64,
    /// What that means.
    pub word: Word,
}

/// Compares two samples, the reference in order of time. Values that are not finite are left out.
/// None when either has fewer than [`FEWEST`] others.
pub fn psi(reference: &[f64], recent: &[f64]) -> Option<Psi> {
    let finite = |sample: &[f64]| -> Vec<f64> {
        let values = sample.iter().copied();
        values.filter(|value| value.is_finite()).collect()
    };
    let (reference, recent) = (finite(reference), finite(recent));
    if reference.len() < FEWEST || recent.len() < FEWEST {
        return None;
    }
    let (first, second) = reference.split_at(reference.len() / 2);
    let by_itself = Index::of(first, second);
    let unrest = (by_itself.raw - by_itself.expected).max(0.0);
    let index = Index::of(&reference, &recent);
    let value = (index.raw - index.expected - unrest).max(0.0);
    let word = if index.raw <= index.chance || value < MOVING {
        Word::Stable
    } else if value <= DRIFTED || unrest > DRIFTED {
        Word::Moving
    } else {
        Word::Drifted
    };
    Some(Psi {
        value,
        raw: index.raw,
        unrest,
        word,
    })
}

/// An index with what it is without any change.
struct Index {
    raw: f64,
    /// On average.
    expected: f64,
    /// As far as chance goes.
    chance: f64,
}

impl Index {
    fn of(reference: &[f64], recent: &[f64]) -> Self {
        let cuts = cuts(reference);
        let (p, q) = (shares(&cuts, reference), shares(&cuts, recent));
        let raw = p.iter().zip(&q).map(|(p, q)| (q - p) * (q / p).ln()).sum();
        let freedom = cuts.len() as f64;
        let scale = 1.0 / reference.len() as f64 + 1.0 / recent.len() as f64;
        Self {
            raw,
            expected: freedom * scale,
            chance: (freedom + CHANCE * (2.0 * freedom).sqrt()) * scale,
        }
    }
}

/// The edge between two bins.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    at: f64,
    /// Whether a value at the edge lies above it.
    is_above: bool,
}

impl Cut {
    fn is_below(self, value: f64) -> bool {
        value > self.at || (self.is_above && value >= self.at)
    }
}

/// The edges at the deciles (the smallest value that a tenth, two tenths, … do not exceed); around
/// a value that is more than one of them, on both of its sides.
fn cuts(reference: &[f64]) -> Vec<Cut> {
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let decile = |tenths: usize| sorted[(sorted.len() * tenths).div_ceil(BINS) - 1];
    let deciles: Vec<f64> = (1..BINS).map(decile).collect();
    let mut cuts = Vec::with_capacity(BINS);
    for same in deciles.chunk_by(|a, b| a >= b) {
        let edge = |is_above| Cut {
            at: same[0],
            is_above,
        };
        if same.len() > 1 {
            cuts.push(edge(true));
        }
        cuts.push(edge(false));
    }
    cuts
}

/// The part of a sample in each bin.
fn shares(cuts: &[Cut], sample: &[f64]) -> Vec<f64> {
    let mut counts = vec![PRIOR; cuts.len() + 1];
    for &value in sample {
        counts[cuts.partition_point(|cut| cut.is_below(value))] += 1.0;
    }
    let all: f64 = counts.iter().sum();
    counts.iter().map(|count| count / all).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(count: u32, value: impl Fn(f64) -> f64) -> Vec<f64> {
        // A walk through all values in an order without a trend.
        let at = |n: u32| f64::from(n * 7_919 % count);
        (0..count).map(|n| value(at(n))).collect()
    }

    #[test]
    fn the_index_is_what_numpy_counts() {
        // numpy.quantile(…, method="inverted_cdf"), searchsorted and bincount + 0.5; no code shared.
        let reference = ramp(1_000, |x| x);
        for (recent, raw, value) in [
            (reference.clone(), 0.0, 0.0),
            (
                ramp(1_000, |x| x + 60.0),
                0.082_208_475_728_810_58,
                0.064_208_475_728_810_58,
            ),
            (
                ramp(1_000, |x| x + 300.0),
                1.995_779_387_184_584_6,
                1.977_779_387_184_584_6,
            ),
            (
                ramp(1_000, |x| 500.0 + 2.0 * (x - 500.0)),
                0.709_840_564_256_297_7,
                0.691_840_564_256_297_7,
            ),
            (
                ramp(500, |x| x * x / 250.0),
                0.375_705_862_426_794_8,
                0.348_705_862_426_794_8,
            ),
        ] {
            let found = psi(&reference, &recent).unwrap();
            assert!((found.raw - raw).abs() < 1e-12, "{found:?}, not {raw}");
            assert!((found.value - value).abs() < 1e-12, "{found:?}");
        }
        // By hand: bins of 0.5, 200.5, 0.5 against 0.5, 0.5, 200.5 of 201.5.
        let found = psi(&[7.0; 200], &[7.5; 200]).unwrap();
        let raw = 2.0 * (200.0 / 201.5) * 401.0_f64.ln();
        assert!((found.raw - raw).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn words_follow_the_customary_limits() {
        let reference = ramp(1_000, |x| x);
        for (recent, word) in [
            (ramp(1_000, |x| x), Word::Stable),
            (ramp(1_000, |x| x + 20.0), Word::Stable),
            (ramp(1_000, |x| x + 80.0), Word::Moving),
            (ramp(1_000, |x| x + 300.0), Word::Drifted),
            // Spread out around the same middle.
            (ramp(1_000, |x| 500.0 + 2.0 * (x - 500.0)), Word::Drifted),
            // Narrower: a sensor that has gone numb.
            (ramp(1_000, |x| 500.0 + 0.3 * (x - 500.0)), Word::Drifted),
        ] {
            let found = psi(&reference, &recent).unwrap();
            assert_eq!(found.word, word, "{found:?}");
        }
    }

    #[test]
    fn few_points_nothing_finite_and_no_movement_have_an_answer() {
        let some = ramp(200, |x| x);
        assert_eq!(psi(&some[..FEWEST - 1], &some), None);
        assert_eq!(psi(&some, &[f64::NAN; 500]), None);
        assert_eq!(psi(&[], &[]), None);
        let still = [7.0; 200];
        for (recent, word) in [([7.0; 200], Word::Stable), ([7.5; 200], Word::Drifted)] {
            assert_eq!(psi(&still, &recent).unwrap().word, word);
        }
        assert_eq!(psi(&still, &[6.5; 200]).unwrap().word, Word::Drifted);
        // On and off half of the time each; then nearly always on.
        let switch = |share: f64| ramp(200, move |x| f64::from(u8::from(x >= 200.0 * share)));
        for (off, word) in [(0.5, Word::Stable), (0.1, Word::Drifted)] {
            assert_eq!(psi(&switch(0.5), &switch(off)).unwrap().word, word, "{off}");
        }
    }

    #[test]
    fn chance_alone_says_nothing_and_a_signal_that_never_rested_not_much() {
        // Fifty of a thousand values: far from even in ten bins, and no drift.
        let reference = ramp(1_000, |x| x);
        for start in 0..10 {
            let few = &reference[start * 97..start * 97 + FEWEST];
            let found = psi(&reference, few).unwrap();
            assert_eq!(found.word, Word::Stable, "{found:?}");
        }
        // A room that warms up while it is learned, and is warm ever since.
        let warming: Vec<f64> = (0..500).map(f64::from).collect();
        let warm = ramp(500, |x| 450.0 + 0.2 * x);
        let found = psi(&warming, &warm).unwrap();
        assert!(found.raw > 6.0 && found.word == Word::Moving, "{found:?}");
    }

    proptest! {
        #[test]
        fn neither_unit_nor_order_of_the_recent_sample_has_a_say(
            reference in prop::collection::vec(-1_000_i32..1_000, FEWEST..300),
            mut recent in prop::collection::vec(-1_000_i32..1_000, FEWEST..300),
            (power, shift) in (-8_i32..8, -5_000_i32..5_000),
        ) {
            let values = |all: &[i32]| -> Vec<f64> { all.iter().map(|v| f64::from(*v)).collect() };
            let other = |all: &[i32]| -> Vec<f64> {
                // Exact in floating point, so that ties stay ties.
                all.iter().map(|v| f64::from(*v + shift) * 2_f64.powi(power)).collect()
            };
            let found = psi(&values(&reference), &values(&recent));
            prop_assert_eq!(found, psi(&other(&reference), &other(&recent)));
            recent.reverse();
            prop_assert_eq!(found, psi(&values(&reference), &values(&recent)));
            let found = found.unwrap();
            prop_assert!(found.value >= 0.0 && found.value <= found.raw.max(0.0) && found.raw >= 0.0);
        }
    }
}
