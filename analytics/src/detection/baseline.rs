//! The baseline: what normal looks like, fitted once from the learned points.
//!
//! Centres, spreads and correlations are those of [`super::healthy`]. The principal components
//! are those of the correlations; they are kept until they explain [`EXPLAINED`] of the
//! variance; the rest is the residual subspace.
//!
//! The eigenvectors come from `linfa-linalg` (dense, exact, deterministic) and not from the
//! iterative PCA of `linfa-reduction`, which starts from random numbers, has no place for the
//! shrinkage and reports explained variance against the kept components only.

use linfa_linalg::eigh::{EigSort, EighInto};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{
    healthy::{Signal, correlations, spread_of},
    limits,
};

/// Share of the variance that the principal subspace explains.
const EXPLAINED: f64 = 0.9;
/// The nominal false alarm rate of the textbook limits.
const ALPHA: f64 = 0.01;
/// How much further than the textbook limits the alarm limit lies, in spreads (its square in
/// T² and Q). The textbook limits hold for independent rows of a process that stands still.
/// Learned rows are neither: smoothing makes ~20 neighbours one observation, and machines
/// wander on after learning. On recordings of a real pump the textbook limits alarm all the
/// time, 2.25 to 3 times them is a plateau (every value finds the same faults), and this is
/// the middle of it. One constant for all machines: nothing is tuned per asset.
pub(crate) const LIMIT_WIDENING: f64 = 2.6;

/// What normal looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) rows: u32,
    /// The signals it holds, in the order of their names: the order in which they happened to
    /// arrive must not change a rounding.
    pub(crate) signals: Vec<Signal>,
    /// The number of principal components.
    pub(crate) components: usize,
    pub(crate) t2_limit: f64,
    pub(crate) q_limit: f64,
    /// Per signal its loadings on every axis, principal axes first and divided by the root of
    /// their eigenvalue, so that T² and Q are plain sums of squares of projections. One signal
    /// after another, because the projection then adds whole columns, which vectorises.
    pub(crate) loadings: Vec<f64>,
    /// The eigenvalues of the correlations, largest first, all above 0.
    pub(crate) values: Vec<f64>,
}

impl Baseline {
    /// Fits a baseline to columns of smoothed values, one a slot, NaN where there is none.
    /// None when no signal has both values enough and a spread that can be known: a signal
    /// that was 0 all the time says nothing about how far from 0 is far.
    pub(crate) fn fit<N: Ord>(
        columns: &[Vec<f64>],
        names: &[N],
        (rows, from, to): (u32, i64, i64),
    ) -> Option<Self> {
        let mut signals: Vec<Signal> = columns
            .iter()
            .enumerate()
            .filter_map(|(slot, column)| spread_of(slot, column))
            .collect();
        if signals.is_empty() {
            return None;
        }
        signals.sort_by(|a, b| names[a.slot].cmp(&names[b.slot]));
        let (values, vectors) = principal_axes(&correlations(columns, &signals));
        let components = component_count(&values);
        let wide = LIMIT_WIDENING * LIMIT_WIDENING;
        Some(Self {
            from,
            to,
            rows,
            components,
            t2_limit: wide * limits::t2_limit(components, rows as usize, ALPHA),
            q_limit: wide * limits::q_limit(&values[components..], ALPHA),
            loadings: loadings(&values, &vectors, components),
            signals,
            values,
        })
    }
}

/// Eigenvalues, largest first, and eigenvectors as rows.
fn principal_axes(correlations: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let size = correlations.nrows();
    let Ok(axes) = correlations.clone().eigh_into() else {
        // Cannot be for a square matrix; independent signals are the safe reading of it.
        return (vec![1.0; size], Array2::eye(size).into_iter().collect());
    };
    let (values, vectors) = axes.sort_eig_desc();
    // The shrinkage keeps every eigenvalue near 0.05 or above; the floor is for rounding.
    let values = values.iter().map(|v| v.max(1e-3)).collect();
    (values, vectors.t().iter().copied().collect())
}

fn loadings(values: &[f64], vectors: &[f64], components: usize) -> Vec<f64> {
    let size = values.len();
    let loading = |signal: usize, axis: usize| {
        let plain = vectors[axis * size + signal];
        if axis < components {
            plain / values[axis].sqrt()
        } else {
            plain
        }
    };
    (0..size * size)
        .map(|at| loading(at / size, at % size))
        .collect()
}

/// Components until [`EXPLAINED`] of the total variance, leaving a residual if there can be one.
fn component_count(values: &[f64]) -> usize {
    let total: f64 = values.iter().sum();
    let mut explained = 0.0;
    let enough = values.iter().position(|value| {
        explained += value;
        explained >= EXPLAINED * total
    });
    let wanted = enough.map_or(values.len(), |at| at + 1);
    wanted.clamp(1, values.len().saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use linfa::{DatasetBase, traits::Fit};
    use linfa_reduction::Pca;

    use super::*;

    /// A deterministic stand-in for noise: the fractional parts of multiples of irrationals.
    fn wave(step: f64, n: usize) -> Vec<f64> {
        (0..n).map(|k| (k as f64 * step).sin()).collect()
    }

    fn fit(columns: &[Vec<f64>]) -> Option<Baseline> {
        let names: Vec<usize> = (0..columns.len()).collect();
        Baseline::fit(columns, &names, (400, 0, 1))
    }

    fn three() -> Vec<Vec<f64>> {
        let (a, b, c) = (wave(0.7, 256), wave(1.9, 256), wave(2.6, 256));
        let mixed = a.iter().zip(&b).map(|(a, b)| 10.0 * a + b).collect();
        vec![a, mixed, c]
    }

    #[test]
    fn centre_and_spread_agree_with_numpy() {
        // numpy: m = median, a = std, g = sqrt(max(0.5*mean((c[L:]-c[:-L])**2))) over the lags
        // 16, 32, 64, 128 of 256 points, s = a*sqrt(max(g/a, 1)).
        let ramp: Vec<f64> = (0..256).map(f64::from).collect();
        let fitted = fit(&[ramp, wave(0.7, 256)]).unwrap();
        for (signal, centre, spread) in [
            (fitted.signals[0], 127.5, 81.784_405_357_8),
            (fitted.signals[1], 0.069_850_996_653_4, 0.832_243_859_595),
        ] {
            assert!((signal.centre - centre).abs() < 1e-9, "{signal:?}");
            assert!((signal.spread / spread - 1.0).abs() < 1e-8, "{signal:?}");
        }
    }

    #[test]
    fn axes_are_those_of_linfa_pca_up_to_sign() {
        let columns = three();
        let signals: Vec<Signal> = (0..3).filter_map(|s| spread_of(s, &columns[s])).collect();
        let (values, vectors) = principal_axes(&correlations(&columns, &signals));
        // Standardised columns have the same eigenvectors as their correlations; uniform
        // shrinkage off the diagonal keeps them.
        let data = Array2::from_shape_fn((256, 3), |(row, at)| {
            let column = &columns[at];
            let mean = column.iter().sum::<f64>() / 256.0;
            let var = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 256.0;
            (column[row] - mean) / var.sqrt()
        });
        let pca = Pca::params(2).fit(&DatasetBase::from(data)).unwrap();
        for axis in 0..2 {
            let theirs = pca.components().row(axis).to_owned();
            let dot: f64 = (0..3).map(|at| theirs[at] * vectors[axis * 3 + at]).sum();
            assert!(dot.abs() > 0.999, "axis {axis}: {dot}");
        }
        assert!((values.iter().sum::<f64>() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn components_explain_nine_tenths_of_the_total_variance() {
        for (values, count) in [
            (vec![1.0], 1),
            (vec![1.0, 1.0], 1),
            (vec![1.95, 0.05], 1),
            (vec![4.0, 3.0, 2.0, 1.0], 3),
            (vec![1.0; 20], 18),
        ] {
            assert_eq!(component_count(&values), count, "{values:?}");
        }
    }

    #[test]
    fn odd_signals_have_a_stated_answer() {
        let still = fit(&[vec![50.0; 80]]).unwrap();
        let spread = still.signals[0].spread;
        assert!((spread - 0.5).abs() < 1e-12, "1 % of its value");
        assert!(fit(&[vec![0.0; 80]]).is_none(), "always zero");
        assert!(fit(&[vec![f64::NAN; 80]]).is_none(), "never seen");
        let mut rare = wave(0.7, 80);
        rare[..41].fill(f64::NAN);
        let without = fit(&[wave(0.7, 80), rare]).unwrap();
        assert_eq!(without.signals.len(), 1, "in fewer than half of the points");
        let twins = fit(&[wave(0.7, 80), wave(0.7, 80)]).unwrap();
        assert!(twins.values.iter().all(|v| *v > 0.0), "{:?}", twins.values);
    }

    #[test]
    fn the_order_in_which_signals_came_changes_nothing() {
        let [a, b, c] = three().try_into().unwrap();
        let one = Baseline::fit(
            &[a.clone(), b.clone(), c.clone()],
            &["a", "b", "c"],
            (400, 0, 1),
        );
        let other = Baseline::fit(&[c, a, b], &["c", "a", "b"], (400, 0, 1));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.loadings, other.loadings);
        assert_eq!(
            other.signals.iter().map(|s| s.slot).collect::<Vec<_>>(),
            [1, 2, 0]
        );
    }
}
