//! How far healthy signals spread and move together: what the multivariate views share.
//!
//! Per signal the centre is the median m and the static scale the standard deviation a of the
//! smoothed values. A signal that wanders (a temperature) will go on to wander beyond what
//! the learned rows show; its *drift scale* g is how far it moved over the lags n/16, n/8, n/4
//! and n/2, and its spread becomes s = a √max(g/a, 1).
//!
//! Correlations are shrunk a little towards independence, because a few load cycles show
//! correlations that are not there.

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

/// Share of the points in which a signal must have a value to belong to a view.
const MIN_PRESENCE: f64 = 0.5;
/// Correlations are multiplied by one minus this (0.05 to 0.1 hardly differ).
const SHRINKAGE: f64 = 0.05;
/// Added to every variance in spreads squared, so that a signal that stood still divides.
const RIDGE: f64 = 1e-3;
/// The spread of a signal that never moved, as a part of its magnitude: about the accuracy
/// class of industrial transmitters.
pub(crate) const STILL_SPREAD: f64 = 0.01;
/// The smallest spread as a part of the magnitude; below it lies rounding, not measurement.
const MIN_SPREAD: f64 = 1e-9;

/// One signal of a view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signal {
    /// Its slot in the device.
    pub(crate) slot: usize,
    /// Its centre.
    pub(crate) centre: f64,
    /// Its healthy spread, above 0.
    pub(crate) spread: f64,
}

impl Signal {
    /// Whether the numbers can be worked with; damaged bytes may decode to anything.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.slot < slots && self.centre.is_finite() && self.spread.is_finite() && self.spread > 0.0
    }
}

/// Centre and spread of one column of smoothed values, NaN where there is none. None when it
/// has too few values or no spread that can be known: a signal that was 0 all the time says
/// nothing about how far from 0 is far.
pub(crate) fn spread_of(slot: usize, column: &[f64]) -> Option<Signal> {
    let mut seen: Vec<f64> = column.iter().copied().filter(|v| !v.is_nan()).collect();
    if (seen.len() as f64) < MIN_PRESENCE * column.len() as f64 || seen.len() < 2 {
        return None;
    }
    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
    let square = seen.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
    let still = (square / seen.len() as f64).sqrt();
    seen.sort_by(f64::total_cmp);
    let centre = f64::midpoint(seen[(seen.len() - 1) / 2], seen[seen.len() / 2]);
    let floor = MIN_SPREAD * centre.abs();
    let spread = if still > floor {
        still * (drift_of(column) / still).max(1.0).sqrt()
    } else {
        STILL_SPREAD * centre.abs()
    };
    (spread > 0.0 && spread.is_finite()).then_some(Signal {
        slot,
        centre,
        spread,
    })
}

/// How far a signal wandered: the root of half the largest mean square difference over lags
/// from a sixteenth to a half of the learned stretch.
fn drift_of(column: &[f64]) -> f64 {
    let over = |lag: usize| {
        let pairs = column.iter().zip(&column[lag..]);
        let (count, sum) = pairs
            .map(|(a, b)| b - a)
            .filter(|d| !d.is_nan())
            .fold((0_u32, 0.0), |(n, sum), d| (n + 1, sum + d * d));
        if count == 0 {
            0.0
        } else {
            0.5 * sum / f64::from(count)
        }
    };
    let lags = [16, 8, 4, 2].map(|part| (column.len() / part).max(1));
    lags.map(over).into_iter().fold(0.0, f64::max).sqrt()
}

/// Shrunk correlations of deviations `z`, shape `(n_points, n_signals)`, unit diagonal.
pub(crate) fn correlations_of(z: &Array2<f64>) -> Array2<f64> {
    let centred = z - &z.mean_axis(Axis(0)).unwrap_or_default();
    let covariance = centred.t().dot(&centred) / (z.nrows() as f64 - 1.0).max(1.0);
    let deviation = covariance.diag().mapv(|v| (v + RIDGE).sqrt());
    Array2::from_shape_fn(covariance.dim(), |(row, column)| {
        if row == column {
            1.0
        } else {
            (1.0 - SHRINKAGE) * covariance[[row, column]] / (deviation[row] * deviation[column])
        }
    })
}

/// Shrunk correlations of the deviations of columns by slot; a missing value counts as no
/// deviation.
pub(crate) fn correlations(columns: &[Vec<f64>], signals: &[Signal]) -> Array2<f64> {
    let points = columns[signals[0].slot].len();
    let z = Array2::from_shape_fn((points, signals.len()), |(point, at)| {
        let signal = &signals[at];
        let z = (columns[signal.slot][point] - signal.centre) / signal.spread;
        if z.is_nan() { 0.0 } else { z }
    });
    correlations_of(&z)
}

/// A square root of an inverse: W with `WᵀW = R⁻¹`, lower triangular, packed by columns.
///
/// With it the squared length of `Wz` is `zᵀR⁻¹z`, and `Wz` is a sum of columns times numbers,
/// which vectorises.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Whitener {
    packed: Vec<f64>,
}

impl Whitener {
    /// Factors a symmetric matrix with unit diagonal. Pivots below [`RIDGE`] are raised to it:
    /// two signals that are copies of each other must not divide by nothing.
    pub(crate) fn new(correlations: &Array2<f64>) -> Self {
        let size = correlations.nrows();
        let mut lower = Array2::<f64>::zeros((size, size));
        for row in 0..size {
            for column in 0..=row {
                let mut sum = correlations[[row, column]];
                for k in 0..column {
                    sum -= lower[[row, k]] * lower[[column, k]];
                }
                lower[[row, column]] = if row == column {
                    sum.max(RIDGE).sqrt()
                } else {
                    sum / lower[[column, column]]
                };
            }
        }
        let mut packed = Vec::with_capacity(size * (size + 1) / 2);
        for column in 0..size {
            let begin = packed.len();
            packed.push(1.0 / lower[[column, column]]);
            for row in column + 1..size {
                let sum: f64 = (column..row)
                    .map(|k| lower[[row, k]] * packed[begin + k - column])
                    .sum();
                packed.push(-sum / lower[[row, row]]);
            }
        }
        Self { packed }
    }

    /// Writes `Wz` over `out` and returns its squared length.
    pub(crate) fn apply(&self, z: &[f64], out: &mut [f64]) -> f64 {
        out.fill(0.0);
        let mut columns = self.packed.as_slice();
        for (at, &z) in z.iter().enumerate() {
            let (column, rest) = columns.split_at(out.len() - at);
            for (out, weight) in out[at..].iter_mut().zip(column) {
                *out += weight * z;
            }
            columns = rest;
        }
        out.iter().map(|w| w * w).sum()
    }

    /// Element `at` of `Wᵀw`: with `w = Wz` the part of `R⁻¹z` that belongs to signal `at`.
    pub(crate) fn transposed(&self, at: usize, w: &[f64]) -> f64 {
        let size = w.len();
        let begin = at * size - at * at.saturating_sub(1) / 2;
        let column = &self.packed[begin..begin + size - at];
        column.iter().zip(&w[at..]).map(|(a, b)| a * b).sum()
    }

    /// Solves `Rx = b`.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut w = vec![0.0; b.len()];
        self.apply(b, &mut w);
        (0..b.len()).map(|at| self.transposed(at, &w)).collect()
    }

    /// Whether it fits this number of signals.
    pub(crate) fn is_consistent(&self, size: usize) -> bool {
        self.packed.len() == size * (size + 1) / 2 && self.packed.iter().all(|v| v.is_finite())
    }
}

/// Shares that add up to one from parts that add up to a squared score. Parts may be negative
/// (a signal that makes the others less surprising); those have no share in the blame.
pub(crate) fn shares(parts: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let total: f64 = parts.iter().map(|p| p.max(0.0)).sum();
    let count = parts.len() as f64;
    parts.iter().map(move |p| {
        if total > 0.0 {
            p.max(0.0) / total
        } else {
            1.0 / count
        }
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_whitener_gives_the_mahalanobis_distance() {
        // numpy: z @ np.linalg.inv(R) @ z
        let r = array![[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]];
        let whitener = Whitener::new(&r);
        for (z, expected) in [
            ([1.0, 0.0, 0.0], 0.96 / 0.438),
            ([1.0, -2.0, 3.0], 45.844_748_858_447_49),
        ] {
            let mut w = [0.0; 3];
            let square = whitener.apply(&z, &mut w);
            let sum: f64 = (0..3).map(|at| z[at] * whitener.transposed(at, &w)).sum();
            assert!(
                (square / expected - 1.0).abs() < 1e-9,
                "{square} {expected}"
            );
            assert!((sum / square - 1.0).abs() < 1e-12, "parts add up");
        }
    }

    #[test]
    fn copies_of_a_signal_do_not_divide_by_nothing() {
        let whitener = Whitener::new(&Array2::ones((4, 4)));
        let mut w = [0.0; 4];
        assert!(whitener.is_consistent(4));
        assert!(whitener.apply(&[1.0, 1.0, 1.0, 1.0], &mut w).is_finite());
    }
}
