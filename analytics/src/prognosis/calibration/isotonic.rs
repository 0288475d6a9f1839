//! Isotonic calibration: the rising curve from score to probability that fits best.
//!
//! # Source
//! Ayer et al., "An empirical distribution function for sampling with incomplete information",
//! Annals of Mathematical Statistics 26 (1955): pool adjacent violators. Between two pools the
//! probability is a straight line; below the first and above the last score it stays.

use serde::{Deserialize, Serialize};

/// A calibration curve: scores that rise, probabilities that do not fall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    scores: Vec<f64>,
    probabilities: Vec<f64>,
}

/// Neighbours that share one probability.
struct Pool {
    first: f64,
    last: f64,
    rows: f64,
    sum: f64,
}

impl Pool {
    fn mean(&self) -> f64 {
        self.sum / self.rows
    }
}

impl Isotonic {
    /// Fits the curve to (score, whether it happened). Rows whose score is not a number are
    /// left out; none when no row is left.
    pub fn fit(rows: &[(f64, bool)]) -> Option<Self> {
        let mut rows: Vec<(f64, bool)> = rows.iter().copied().filter(|r| !r.0.is_nan()).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut pools: Vec<Pool> = Vec::new();
        // Equal scores are one pool from the beginning: they cannot be told apart.
        for group in rows.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let happened = group.iter().filter(|(_, happened)| *happened).count();
            let mut pool = Pool {
                first: group[0].0,
                last: group[0].0,
                rows: group.len() as f64,
                sum: happened as f64,
            };
            while pools.last().is_some_and(|last| last.mean() >= pool.mean()) {
                let Some(last) = pools.pop() else { break };
                pool.first = last.first;
                pool.rows += last.rows;
                pool.sum += last.sum;
            }
            pools.push(pool);
        }
        let mut curve = Self {
            scores: Vec::new(),
            probabilities: Vec::new(),
        };
        for pool in &pools {
            curve.push(pool.first, pool.mean());
            if pool.last > pool.first {
                curve.push(pool.last, pool.mean());
            }
        }
        (!curve.scores.is_empty()).then_some(curve)
    }

    fn push(&mut self, score: f64, probability: f64) {
        self.scores.push(score);
        self.probabilities.push(probability);
    }

    /// The probability of a score; that of the lowest score when it is not a number.
    pub fn probability(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|s| *s <= score);
        let last = self.scores.len() - 1;
        if above == 0 {
            return self.probabilities[0];
        }
        if above > last {
            return self.probabilities[last];
        }
        let (a, b) = (self.scores[above - 1], self.scores[above]);
        let (p, q) = (self.probabilities[above - 1], self.probabilities[above]);
        p + (q - p) * (score - a) / (b - a)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_curve_is_that_of_scikit_learn() {
        // sklearn 1.7 IsotonicRegression(out_of_bounds="clip") on the same rows.
        let scores = [0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
        let happened = [0, 1, 0, 0, 1, 0, 1, 1, 0, 1];
        let rows: Vec<(f64, bool)> = scores.into_iter().zip(happened.map(|h| h == 1)).collect();
        let curve = Isotonic::fit(&rows).unwrap();
        for (score, expected) in [
            (0.0, 0.0),
            (0.15, 1.0 / 6.0),
            (0.25, 1.0 / 3.0),
            (0.45, 0.5),
            (0.55, 7.0 / 12.0),
            (0.65, 2.0 / 3.0),
            (0.85, 5.0 / 6.0),
            (0.95, 1.0),
        ] {
            let got = curve.probability(score);
            assert!((got - expected).abs() < 1e-12, "{score}: {got} {expected}");
        }
        assert_eq!(Isotonic::fit(&[]), None);
        assert_eq!(Isotonic::fit(&[(f64::NAN, true)]), None);
    }

    proptest! {
        #[test]
        fn the_curve_rises_and_keeps_the_mean(rows in proptest::collection::vec((0.0..1.0_f64, any::<bool>()), 1..200)) {
            let curve = Isotonic::fit(&rows).unwrap();
            prop_assert!(curve.probabilities.is_sorted());
            prop_assert!(curve.probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
            let said: f64 = rows.iter().map(|r| curve.probability(r.0)).sum();
            let happened = rows.iter().filter(|r| r.1).count() as f64;
            prop_assert!((said - happened).abs() < 1e-6);
            let order: Vec<f64> = (0..=50).map(|at| curve.probability(f64::from(at) / 50.0)).collect();
            prop_assert!(order.is_sorted());
        }
    }
}
