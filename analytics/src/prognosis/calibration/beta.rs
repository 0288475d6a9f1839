//! Beta calibration: a smooth map of probabilities with three parameters.
//!
//! logit of the calibrated probability = a ln p − b ln(1 − p) + c with a, b ≥ 0. Unlike a
//! logistic map of the score it holds the identity, so it cannot spoil what was right, and
//! unlike the isotonic curve it says of no score that what it promises never happens.
//!
//! # Source
//! Kull, Silva Filho & Flach, "Beyond sigmoids: how to obtain well-calibrated probabilities
//! from binary classifiers with beta calibration", Electronic Journal of Statistics 11 (2017).

use serde::{Deserialize, Serialize};

use crate::prognosis::classify::logistic;

/// Probabilities are kept this far from 0 and 1 before their logarithm is taken.
const EDGE: f64 = 1e-9;
/// A prior that keeps the parameters finite when scores separate the rows, worth next to
/// nothing otherwise.
const RIDGE: f64 = 1e-6;

/// The map. See the module documentation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Beta {
    a: f64,
    b: f64,
    c: f64,
}

impl Beta {
    /// Fits the map to (probability, whether it happened). None when it happened always or
    /// never, or when probabilities fall as it happens more often.
    pub fn fit(rows: &[(f64, bool)]) -> Option<Self> {
        let rows: Vec<(f64, bool)> = rows.iter().copied().filter(|r| !r.0.is_nan()).collect();
        let happened = rows.iter().filter(|r| r.1).count();
        if happened == 0 || happened == rows.len() {
            return None;
        }
        let truth: Vec<bool> = rows.iter().map(|r| r.1).collect();
        let fit = |columns: fn((f64, f64)) -> Vec<f64>| {
            let x: Vec<Vec<f64>> = rows.iter().map(|r| columns(logarithms(r.0))).collect();
            logistic::solve(&x, &truth, RIDGE)
        };
        // When the best a or b is negative, the best allowed one is 0.
        let full = fit(|(p, q)| vec![1.0, p, q])?;
        if full[1] >= 0.0 && full[2] >= 0.0 {
            return Some(Self {
                a: full[1],
                b: full[2],
                c: full[0],
            });
        }
        if full[1] < 0.0 {
            let half = fit(|(_, q)| vec![1.0, q])?;
            return (half[1] >= 0.0).then_some(Self {
                a: 0.0,
                b: half[1],
                c: half[0],
            });
        }
        let half = fit(|(p, _)| vec![1.0, p])?;
        (half[1] >= 0.0).then_some(Self {
            a: half[1],
            b: 0.0,
            c: half[0],
        })
    }

    /// The calibrated probability of one that was said.
    pub fn probability(&self, said: f64) -> f64 {
        let (p, q) = logarithms(said);
        logistic::sigmoid(self.a * p + self.b * q + self.c)
    }
}

/// ln p and −ln(1 − p).
fn logarithms(p: f64) -> (f64, f64) {
    let p = p.clamp(EDGE, 1.0 - EDGE);
    (p.ln(), -(-p).ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_the_maximum_that_statsmodels_finds() {
        // statsmodels 0.14 Logit on the columns ln p, −ln(1 − p): −0.190872, 0.761250, 1.314351.
        let p = [
            0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95,
            0.97, 0.99, 0.3, 0.6,
        ];
        let y = [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1];
        let rows: Vec<(f64, bool)> = p.into_iter().zip(y.map(|y| y == 1)).collect();
        let map = Beta::fit(&rows).unwrap();
        for (got, expected) in [(map.c, -0.190_872), (map.a, 0.761_250), (map.b, 1.314_351)] {
            assert!((got - expected).abs() < 1e-4, "{map:?}");
        }
        assert!(Beta::fit(&[(0.2, true), (0.3, true)]).is_none());
    }

    #[test]
    fn what_was_right_stays_and_what_was_too_sure_is_toned_down() {
        // At each promised probability it happens exactly so often.
        let honest: Vec<(f64, bool)> = (1..20)
            .flat_map(|at| (0..200).map(move |n| (f64::from(at) / 20.0, n < at * 10)))
            .collect();
        let map = Beta::fit(&honest).unwrap();
        assert!((map.probability(0.3) - 0.3).abs() < 1e-4, "{map:?}");
        let sure: Vec<(f64, bool)> = honest
            .iter()
            .map(|(p, y)| (p.powi(3) / (p.powi(3) + (1.0 - p).powi(3)), *y))
            .collect();
        let map = Beta::fit(&sure).unwrap();
        let said = 0.3_f64.powi(3) / (0.3_f64.powi(3) + 0.7_f64.powi(3));
        assert!((map.probability(said) - 0.3).abs() < 1e-3, "{map:?}");
        assert!(map.probability(0.0) < map.probability(1.0));
    }
}
