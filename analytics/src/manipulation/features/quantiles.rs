//! Quantiles of all values in nine markers: the extended P² method.
//!
//! Why this one: it takes 76 bytes and a few dozen operations a value, and what it gives moves
//! with the unit (a signal in °C and in K has the same quantiles but for the zero point). A
//! `DDSketch` promises a *relative* error, which depends on where zero is and costs kilobytes; a
//! t-digest is sharper at the ends but sorts buffers and takes a kilobyte as well. What P² does
//! not give is a proven error or merging; neither is needed for a feature.
//!
//! Every [`FORGET`] values the markers' ranks are halved, so that what came before counts half
//! and a signal's quantiles follow it over months.
//!
//! # Source
//! Jain and Chlamtac, "The P² algorithm for dynamic calculation of quantiles and histograms",
//! Comm. ACM 28 (1985); Raatikainen, "Simultaneous estimation of several percentiles",
//! Simulation 49 (1987), for several quantiles at once.

use serde::{Deserialize, Serialize};

const MARKERS: usize = 9;
/// The probabilities of the markers: the ends, the three quantiles and the middles between.
const PROBABILITIES: [f32; MARKERS] = [0.0, 0.025, 0.05, 0.275, 0.5, 0.725, 0.95, 0.975, 1.0];
/// Values after which ranks are halved: most of a day at one a second.
const FORGET: u32 = 65_536;

/// Nine markers on the distribution of all values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Quantiles {
    heights: [f32; MARKERS],
    ranks: [u32; MARKERS],
    count: u32,
}

impl Quantiles {
    pub(super) fn new() -> Self {
        Self {
            heights: [0.0; MARKERS],
            ranks: std::array::from_fn(|at| at as u32 + 1),
            count: 0,
        }
    }

    pub(super) fn push(&mut self, value: f32) {
        let seen = self.count as usize;
        self.count += 1;
        if seen < MARKERS {
            self.heights[seen] = value;
            self.heights[..=seen].sort_unstable_by(f32::total_cmp);
            return;
        }
        let last = MARKERS - 1;
        self.heights[0] = self.heights[0].min(value);
        self.heights[last] = self.heights[last].max(value);
        let above = self.heights[1..last].partition_point(|height| *height <= value) + 1;
        self.ranks[above..].iter_mut().for_each(|rank| *rank += 1);
        for at in 1..last {
            self.adjust(at);
        }
        if self.count >= FORGET {
            self.forget();
        }
    }

    /// Moves a marker by one rank when it is a rank or more from where it should be.
    fn adjust(&mut self, at: usize) {
        let wanted = 1.0 + (self.count - 1) as f32 * PROBABILITIES[at];
        let [below, here, above] = [at - 1, at, at + 1].map(|at| self.ranks[at] as f32);
        let off = wanted - here;
        let up = off >= 1.0 && above - here > 1.0;
        let down = off <= -1.0 && here - below > 1.0;
        if !up && !down {
            return;
        }
        let step = if up { 1.0 } else { -1.0 };
        let [low, middle, high] = [at - 1, at, at + 1].map(|at| self.heights[at]);
        let parabola = middle
            + step / (above - below)
                * ((here - below + step) * (high - middle) / (above - here)
                    + (above - here - step) * (middle - low) / (here - below));
        self.heights[at] = if low < parabola && parabola < high {
            parabola
        } else if up {
            middle + (high - middle) / (above - here)
        } else {
            middle - (middle - low) / (here - below)
        };
        self.ranks[at] = if up {
            self.ranks[at] + 1
        } else {
            self.ranks[at] - 1
        };
    }

    fn forget(&mut self) {
        self.count = self.count.div_ceil(2);
        let mut least = 0;
        for rank in &mut self.ranks {
            *rank = rank.div_ceil(2).max(least + 1);
            least = *rank;
        }
    }

    /// The 5 %, 50 % and 95 % quantile; none before there are nine values.
    pub(super) fn values(&self) -> [Option<f64>; 3] {
        let known = self.count as usize >= MARKERS;
        [2, 4, 6].map(|at| known.then(|| f64::from(self.heights[at])))
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.count <= FORGET
            && self.ranks.is_sorted_by(|a, b| a < b)
            && self.ranks[MARKERS - 1] < 2 * FORGET
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    fn uniform(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..count).map(|_| rng.random_range(0.0..1.0_f32)).collect()
    }

    type Shape = fn(f32) -> f32;

    #[test]
    fn quantiles_of_known_distributions_are_close_in_rank() {
        // The inverse of each distribution, so that a height tells its rank.
        let shapes: [(&str, Shape, Shape); 3] = [
            ("uniform", |u| u, |x| x),
            ("exponential", |u| -(1.0 - u).ln(), |x| 1.0 - (-x).exp()),
            (
                "two lumps",
                |u| if u < 0.5 { u } else { u + 10.0 },
                // Anywhere between the lumps is a median.
                |x| {
                    if x < 5.0 {
                        x.min(0.5)
                    } else {
                        (x - 10.0).max(0.5)
                    }
                },
            ),
        ];
        for (name, shape, rank) in shapes {
            let mut quantiles = Quantiles::new();
            for u in uniform(20_000, 3) {
                quantiles.push(shape(u));
            }
            for (value, wanted) in quantiles.values().into_iter().zip([0.05, 0.5, 0.95]) {
                let got = rank(value.unwrap() as f32);
                assert!((got - wanted).abs() < 0.015, "{name}: {wanted} is at {got}");
            }
        }
    }

    #[test]
    fn what_is_long_ago_fades() {
        let mut quantiles = Quantiles::new();
        for u in uniform(100_000, 1) {
            quantiles.push(u);
        }
        for u in uniform(400_000, 2) {
            quantiles.push(u + 100.0);
        }
        let [low, middle, high] = quantiles.values().map(Option::unwrap);
        assert!(
            low > 90.0 && (100.0..101.0).contains(&middle) && high <= 101.0,
            "{low} {middle} {high}"
        );
        assert!(quantiles.is_consistent());
    }

    #[test]
    fn a_constant_is_its_own_quantile() {
        let mut quantiles = Quantiles::new();
        assert_eq!(quantiles.values(), [None; 3]);
        (0..100_000).for_each(|_| quantiles.push(7.5));
        assert_eq!(quantiles.values(), [Some(7.5); 3]);
    }
}
