//! Logistic regression with a ridge, on standardised columns.
//!
//! Newton's method in place of a general optimiser: a dozen steps, no line search that can give
//! up on data of unlucky scales, and the same answer on every machine.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::prognosis::newton::{Local, maximise};

/// Standardised values are kept within this many spreads, so that one wild reading cannot carry
/// a probability alone.
const FARTHEST: f64 = 8.0;

/// 1 / (1 + e^−x).
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The coefficients that make `truth` most likely, with a normal prior of precision `ridge` on
/// all but the first one. `x` holds a row of the same length for each truth.
pub(crate) fn solve(x: &[Vec<f64>], truth: &[bool], ridge: f64) -> Option<Vec<f64>> {
    let columns = x.first()?.len();
    let maximum = maximise(vec![0.0; columns], |theta| {
        let mut local = Local::zero(columns);
        for (row, truth) in x.iter().zip(truth) {
            let w: f64 = row.iter().zip(theta).map(|(x, t)| x * t).sum();
            let p = sigmoid(w);
            let y = f64::from(u8::from(*truth));
            // ln(1 + e^w) without overflow.
            let log = w.max(0.0) + (-w.abs()).exp().ln_1p();
            local.add(row, y * w - log, y - p, p * (1.0 - p));
        }
        local.ridge(theta, 1, ridge);
        local
    })?;
    Some(maximum.at)
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    intercept: f64,
    /// By column: mean, spread and coefficient; 0 for a constant column.
    columns: Vec<(f64, f64, f64)>,
}

impl Logistic {
    /// Fits a model to rows (`n_samples`, `n_features`); missing values are NaN and count as
    /// average. None when all or none happened.
    pub fn fit(x: ArrayView2<f32>, truth: &[bool], ridge: f64) -> Option<Self> {
        let happened = truth.iter().filter(|y| **y).count();
        if happened == 0 || happened == truth.len() || x.nrows() != truth.len() {
            return None;
        }
        let mut columns: Vec<(f64, f64, f64)> = x
            .columns()
            .into_iter()
            .map(|column| {
                let values = || {
                    column
                        .iter()
                        .filter(|v| v.is_finite())
                        .map(|v| f64::from(*v))
                };
                let n = values().count().max(1) as f64;
                let mean = values().sum::<f64>() / n;
                let spread = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
                let known = spread > 1e-9 * (1.0 + mean.abs());
                (mean, if known { spread } else { 0.0 }, 0.0)
            })
            .collect();
        let rows: Vec<Vec<f64>> = x
            .rows()
            .into_iter()
            .map(|row| {
                let values = row.iter().zip(&columns);
                let z = values.map(|(v, c)| standardised(*v, c.0, c.1));
                std::iter::once(1.0).chain(z).collect()
            })
            .collect();
        let theta = solve(&rows, truth, ridge)?;
        for (column, coefficient) in columns.iter_mut().zip(&theta[1..]) {
            column.2 = *coefficient;
        }
        Some(Self {
            intercept: theta[0],
            columns,
        })
    }

    /// The probability of a row.
    pub fn probability(&self, row: &[f32]) -> f64 {
        let terms = row.iter().zip(&self.columns);
        let sum: f64 = terms
            .map(|(v, (mean, spread, b))| b * standardised(*v, *mean, *spread))
            .sum();
        sigmoid(self.intercept + sum)
    }
}

fn standardised(value: f32, mean: f64, spread: f64) -> f64 {
    if value.is_finite() && spread > 0.0 {
        ((f64::from(value) - mean) / spread).clamp(-FARTHEST, FARTHEST)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn the_coefficients_are_those_of_scikit_learn() {
        // sklearn 1.7 LogisticRegression(C=1) on ln p, −ln(1 − p) of the rows of the beta
        // calibration's test: 0.155994, 0.706307, 0.783839.
        let p = [
            0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95,
            0.97, 0.99, 0.3, 0.6_f64,
        ];
        let y = [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1].map(|y| y == 1);
        let x: Vec<Vec<f64>> = p
            .iter()
            .map(|p| vec![1.0, p.ln(), -(1.0 - p).ln()])
            .collect();
        let theta = solve(&x, &y, 1.0).unwrap();
        for (got, expected) in theta.iter().zip([0.155_994_5, 0.706_307_2, 0.783_838_9]) {
            assert!((got - expected).abs() < 1e-5, "{theta:?}");
        }
    }

    #[test]
    fn separated_constant_and_missing_values_have_an_answer() {
        let x: Array2<f32> = array![
            [1.0, 5.0],
            [2.0, 5.0],
            [f32::NAN, 5.0],
            [8.0, 5.0],
            [9.0, 5.0]
        ];
        let truth = [false, false, false, true, true];
        let model = Logistic::fit(x.view(), &truth, 1.0).unwrap();
        assert!(model.probability(&[1.0, 5.0]) < 0.3 && model.probability(&[9.0, 5.0]) > 0.6);
        let unknown = model.probability(&[f32::NAN, f32::INFINITY]);
        assert!(unknown > 0.05 && unknown < 0.95);
        assert!(Logistic::fit(x.view(), &[true; 5], 1.0).is_none());
    }
}
