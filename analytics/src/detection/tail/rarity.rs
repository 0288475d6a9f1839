//! How rare is a value among all that came before? Two tails, learned one value at a time.
//!
//! Each side has a threshold u that one value in a hundred passes, tracked by stochastic
//! approximation, and the mean excess β beyond it. An exponential tail then gives the rarity
//! in powers of ten: two at u, and one more for every β ln 10 beyond.
//!
//! ```text
//! rarity = 2 + (x − u) / (β ln 10)      u ← u + βg (1/0.01 − 1) above, u − βg else
//! ```
//!
//! # Source
//! Exponential excesses over a threshold: Pickands, "Statistical inference using extreme
//! order statistics", Annals of Statistics 3 (1975), shape 0. Threshold tracking: Robbins &
//! Monro, Annals of Mathematical Statistics 22 (1951).

use serde::{Deserialize, Serialize};

use super::statistics::COUNT;

/// The part of values beyond each threshold: rare enough to be a tail, often enough that a
/// thousand rows show ten of them.
const TAIL: f64 = 0.01;
/// −log₁₀ of it.
const TAIL_RARITY: f64 = 2.0;
/// Values after which an old one counts for a third: a month of hours, four weeks of five
/// minutes. 4,000 forgets too soon, 16,000 hardly differs.
const MEMORY: f64 = 8_000.0;
/// Least values beyond a threshold in the start, so that β is a mean of something.
const MIN_TAIL: usize = 4;
/// An excess counts for at most this many β, so that one wild value does not widen the tail
/// for a month.
const MOST_EXCESS: f64 = 10.0;
/// β is at least this part of the middle nine tenths of the values …
const MIN_OF_SPREAD: f64 = 0.02;
/// … which for most distributions spans about this many mean absolute deviations …
const SPAN: f64 = 3.3;
/// … and this part of the threshold's own magnitude: below it lies a sensor's resolution.
const MIN_OF_LEVEL: f64 = 0.002;
/// Nobody has seen what is rarer than one in a million; no statistic counts for more.
const MOST_RARITY: f32 = 6.0;
/// What is left of a rarity one row later: statistics answer to one event within some rows of
/// each other, and together they must be seen.
const HOLD: f32 = 0.8;

/// Both tails of every statistic of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rarities {
    high: [f64; COUNT],
    low: [f64; COUNT],
    mean: [f64; COUNT],
    high_excess: [f32; COUNT],
    low_excess: [f32; COUNT],
    deviation: [f32; COUNT],
    high_hits: [f32; COUNT],
    low_hits: [f32; COUNT],
    /// The rarities, held.
    pub(super) held: [f32; COUNT],
    rows: u32,
}

/// Smallest excess that is meant seriously, per statistic, and the level a statistic is told
/// from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor<'a> {
    pub(super) least: &'a [f64; COUNT],
    pub(super) origin: &'a [f64; COUNT],
}

impl Rarities {
    /// Starts from the first rows of the statistics.
    pub(super) fn start(rows: &[[f64; COUNT]]) -> Self {
        let mut start = Self {
            high: [0.0; COUNT],
            low: [0.0; COUNT],
            mean: [0.0; COUNT],
            high_excess: [0.0; COUNT],
            low_excess: [0.0; COUNT],
            deviation: [0.0; COUNT],
            high_hits: [0.0; COUNT],
            low_hits: [0.0; COUNT],
            held: [0.0; COUNT],
            rows: rows.len() as u32,
        };
        for at in 0..COUNT {
            start.start_one(at, rows.iter().map(|row| row[at]).collect());
        }
        start
    }

    fn start_one(&mut self, at: usize, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let beyond = ((TAIL * count as f64) as usize).max(MIN_TAIL).min(count);
        let mean = values.iter().sum::<f64>() / count as f64;
        let deviation = values.iter().map(|v| (v - mean).abs()).sum::<f64>() / count as f64;
        let (high, low) = (values[count - beyond], values[beyond - 1]);
        let above = values[count - beyond..]
            .iter()
            .map(|v| v - high)
            .sum::<f64>();
        let below = values[..beyond].iter().map(|v| low - v).sum::<f64>();
        (self.high[at], self.low[at], self.mean[at]) = (high, low, mean);
        self.high_excess[at] = (above / beyond as f64) as f32;
        self.low_excess[at] = (below / beyond as f64) as f32;
        self.deviation[at] = deviation as f32;
        (self.high_hits[at], self.low_hits[at]) = (beyond as f32, beyond as f32);
    }

    /// Takes the next values; the mean of the held rarities, 0 to 6.
    pub(super) fn next(&mut self, values: &[f64; COUNT], floor: Floor<'_>) -> f64 {
        let gain = (1.0 / f64::from(self.rows)).max(1.0 / MEMORY);
        self.rows = self.rows.saturating_add(1);
        for (at, &x) in values.iter().enumerate() {
            let spread = MIN_OF_SPREAD * SPAN * f64::from(self.deviation[at]);
            let side = |u: f64, excess: f32, hits: f32| {
                let level = MIN_OF_LEVEL * (u + floor.origin[at]).abs();
                let least = spread.max(floor.least[at]).max(level);
                Side {
                    excess: f64::from(excess).max(least),
                    least,
                    hits,
                }
            };
            let (high, low) = (self.high[at], self.low[at]);
            let mut above = side(high, self.high_excess[at], self.high_hits[at]);
            let mut below = side(low, self.low_excess[at], self.low_hits[at]);
            let rarity = above.rarity(x - high).max(below.rarity(low - x));
            self.high[at] += above.follow(x - high, gain);
            self.low[at] -= below.follow(low - x, gain);
            (self.high_excess[at], self.high_hits[at]) = (above.excess as f32, above.hits);
            (self.low_excess[at], self.low_hits[at]) = (below.excess as f32, below.hits);
            self.mean[at] += gain * (x - self.mean[at]);
            let far = f64::from(self.deviation[at]);
            self.deviation[at] = (far + gain * ((x - self.mean[at]).abs() - far)) as f32;
            self.held[at] = (rarity as f32).min(MOST_RARITY).max(HOLD * self.held[at]);
        }
        f64::from(self.held.iter().sum::<f32>()) / COUNT as f64
    }

    /// Mean of a statistic in the long run, and its mean absolute deviation.
    pub(super) fn usual(&self, at: usize) -> (f64, f64) {
        (self.mean[at], f64::from(self.deviation[at]))
    }
}

/// One tail while a value is looked at.
struct Side {
    excess: f64,
    least: f64,
    hits: f32,
}

impl Side {
    /// The rarity of a value this far beyond the threshold. Less than the least excess is a
    /// tie: the threshold of a signal that stands still sinks below it again and again.
    fn rarity(&self, beyond: f64) -> f64 {
        if beyond > self.least {
            TAIL_RARITY + beyond / (self.excess * std::f64::consts::LN_10)
        } else {
            0.0
        }
    }

    /// Learns from it; the outward step of the threshold.
    fn follow(&mut self, beyond: f64, gain: f64) -> f64 {
        let step = self.excess * gain;
        if beyond <= 0.0 {
            return -step;
        }
        self.hits += 1.0;
        let rate = (1.0 / f64::from(self.hits)).max(1.0 / (TAIL * MEMORY));
        self.excess += rate * (beyond.min(MOST_EXCESS * self.excess) - self.excess);
        step * (1.0 / TAIL - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarity_of_an_exponential_sample_is_its_exceedance() {
        // An exponential variable passes k ln 10 with probability 10^-k: rarities 3 and 4 are
        // where the distribution says. The generator is SplitMix64.
        let mut state = 42_u64;
        let mut draw = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let uniform = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
            -(1.0 - uniform).ln()
        };
        let first: Vec<[f64; COUNT]> = (0..150).map(|_| [draw(); COUNT]).collect();
        let mut rarities = Rarities::start(&first);
        let (least, origin) = ([1e-9; COUNT], [0.0; COUNT]);
        let floor = Floor {
            least: &least,
            origin: &origin,
        };
        for _ in 0..100_000 {
            rarities.next(&[draw(); COUNT], floor);
        }
        for power in [3.0, 4.0] {
            let mut fresh = rarities.clone();
            fresh.held = [0.0; COUNT];
            let x = power * std::f64::consts::LN_10;
            let said = fresh.next(&[x; COUNT], floor);
            assert!((said / power - 1.0).abs() < 0.15, "{power}: {said}");
        }
    }
}
