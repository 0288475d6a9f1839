//! Many noisy signals of one slow degradation become few clean ones.
//!
//! Of all weighted sums of the signals, those are taken whose variance is largest compared
//! with their noise, noise being half the mean square of differences between neighbouring
//! cycles: C v = λ N v with covariance C and noise covariance N. Noise is then 1 in every
//! component, and λ says how far it moves in units of it; white noise has λ = 1.
//!
//! # Source
//! Switzer & Green, "Min/max autocorrelation factors for multivariate spatial imagery",
//! Stanford technical report 6 (1984).

use linfa_linalg::{
    cholesky::CholeskyInplace,
    eigh::{EigSort, EighInto},
};
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// Components that move less, in units of their noise, say nothing of degradation.
const LEAST_RATIO: f64 = 1.5;
/// Most components.
pub(crate) const MOST_COMPONENTS: usize = 6;
/// Added to the diagonal of N, whose signals have variance 1: signals that say the same have
/// no noise between them.
const RIDGE: f64 = 1e-6;

/// Weights of signals in components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    /// Of each component, the weight of each signal.
    weights: Vec<Vec<f64>>,
    /// Variance of each component in units of its noise, falling.
    ratios: Vec<f64>,
}

impl Fusion {
    /// Learns weights from runs, each of shape `(n_cycles, n_signals)` without missing values.
    /// None when there is no signal or no noise to compare with.
    pub fn fit(runs: &[ArrayView2<f64>]) -> Option<Self> {
        let signals = runs.first()?.ncols();
        if signals == 0 {
            return None;
        }
        let (mut covariance, mut noise) = covariances(runs, signals)?;
        noise.diag_mut().iter_mut().for_each(|d| *d += RIDGE);
        let lower = noise.cholesky_into().ok()?;
        // L⁻¹ C L⁻ᵀ has the same ratios; its eigenvectors u give v = L⁻ᵀ u with v'Nv = 1.
        solve_lower(&lower, &mut covariance);
        let mut inner = covariance.reversed_axes().as_standard_layout().into_owned();
        solve_lower(&lower, &mut inner);
        let symmetric = (&inner + &inner.t()) * 0.5;
        if symmetric.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let (ratios, vectors) = symmetric.eigh_into().ok()?.sort_eig_desc();
        let moving = ratios.iter().filter(|r| **r > LEAST_RATIO).count();
        let count = moving.clamp(1, MOST_COMPONENTS.min(signals));
        let weights = (0..count)
            .map(|at| upright(solve_upper(&lower, vectors.column(at).to_owned())))
            .collect();
        Some(Self {
            weights,
            ratios: ratios.iter().take(count).copied().collect(),
        })
    }

    /// Number of components, at least one and at most six.
    pub fn count(&self) -> usize {
        self.weights.len()
    }

    /// Variance of each component in units of its noise, falling.
    pub fn ratios(&self) -> &[f64] {
        &self.ratios
    }

    /// The weight of each signal in a component.
    pub fn weights(&self, component: usize) -> &[f64] {
        &self.weights[component]
    }

    /// Whether a decoded fusion belongs to so many signals.
    pub(crate) fn is_sound(&self, signals: usize) -> bool {
        (1..=MOST_COMPONENTS).contains(&self.count())
            && self.ratios.len() == self.count()
            && self.weights.iter().all(|w| w.len() == signals)
    }

    /// The components of a row of signals.
    pub fn fused<'a>(&'a self, signals: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let dot = move |w: &Vec<f64>| w.iter().zip(signals).map(|(w, x)| w * x).sum();
        self.weights.iter().map(dot)
    }
}

/// Covariance of all rows, and half the mean square of differences within runs.
fn covariances(runs: &[ArrayView2<f64>], signals: usize) -> Option<(Array2<f64>, Array2<f64>)> {
    let rows: usize = runs.iter().map(ArrayView2::nrows).sum();
    let steps: usize = runs.iter().map(|run| run.nrows().saturating_sub(1)).sum();
    if rows < 2 || steps == 0 {
        return None;
    }
    let sums = runs.iter().map(|run| run.sum_axis(ndarray::Axis(0)));
    let mean = sums.fold(Array1::<f64>::zeros(signals), |a, b| a + b) / rows as f64;
    let mut covariance = Array2::zeros((signals, signals));
    let mut noise = Array2::zeros((signals, signals));
    for run in runs {
        let centred = run - &mean;
        covariance += &centred.t().dot(&centred);
        if run.nrows() > 1 {
            let (later, earlier) = (
                run.slice_axis(ndarray::Axis(0), (1..run.nrows()).into()),
                run.slice_axis(ndarray::Axis(0), (0..run.nrows() - 1).into()),
            );
            let steps = &later - &earlier;
            noise += &steps.t().dot(&steps);
        }
    }
    Some((covariance / rows as f64, noise / (2.0 * steps as f64)))
}

/// L⁻¹ B in place.
fn solve_lower(lower: &Array2<f64>, b: &mut Array2<f64>) {
    for row in 0..lower.nrows() {
        for before in 0..row {
            let factor = lower[(row, before)];
            let (above, mut below) = b.view_mut().split_at(ndarray::Axis(0), row);
            below.row_mut(0).scaled_add(-factor, &above.row(before));
        }
        let scale = 1.0 / lower[(row, row)];
        b.row_mut(row).iter_mut().for_each(|x| *x *= scale);
    }
}

/// L⁻ᵀ u.
fn solve_upper(lower: &Array2<f64>, mut u: Array1<f64>) -> Vec<f64> {
    for row in (0..u.len()).rev() {
        let known: f64 = (row + 1..u.len()).map(|at| lower[(at, row)] * u[at]).sum();
        u[row] = (u[row] - known) / lower[(row, row)];
    }
    u.to_vec()
}

/// An eigenvector has no sign of its own: the largest weight is made positive, so that the
/// same lives always give the same components.
fn upright(weights: Vec<f64>) -> Vec<f64> {
    let largest = weights
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let sign = largest.map_or(1.0, f64::signum);
    weights.into_iter().map(|w| w * sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two signals with a common ramp and different noise, and one of noise alone.
    fn run(rows: usize) -> Array2<f64> {
        let mut chance = crate::prognosis::chance::Chance::new(1, 0);
        Array2::from_shape_fn((rows, 3), |(row, signal)| {
            let ramp = row as f64 / rows as f64;
            match signal {
                0 => ramp + 0.1 * chance.normal(),
                1 => 2.0 * ramp + 0.4 * chance.normal(),
                _ => chance.normal(),
            }
        })
    }

    #[test]
    fn signals_are_weighed_by_their_movement_over_their_noise() {
        // For independent noise the best weights go as ramp over noise variance:
        // 1/0.01 to 2/0.16 = 8 to 1.
        let run = run(20_000);
        let fusion = Fusion::fit(&[run.view()]).unwrap();
        let w = fusion.weights(0);
        assert!((w[0] / w[1] / 8.0 - 1.0).abs() < 0.1, "{w:?}");
        assert!(w[2].abs() < 0.02 * w[0]);
        // λ = 1 + Σ ramp² var(t) / noise: 1 + (100 + 25) / 12.
        assert!((fusion.ratios()[0] / (1.0 + 125.0 / 12.0) - 1.0).abs() < 0.05);
        assert_eq!(fusion.count(), 1);
        let fused: Vec<f64> = run
            .rows()
            .into_iter()
            .map(|row| fusion.fused(&row.to_vec()).next().unwrap())
            .collect();
        let steps = fused.windows(2).map(|w| (w[1] - w[0]).powi(2) / 2.0);
        assert!((steps.sum::<f64>() / 19_999.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn the_components_agree_with_an_independent_evaluation() {
        // scipy.linalg.eigh(C, N + 1e-6 I) for the rows ((i*37)%23, (i*i)%17, (i*11)%29 + i)
        // of 40 cycles.
        let run = Array2::from_shape_fn((40, 3), |(i, s)| {
            (match s {
                0 => (i * 37) % 23,
                1 => (i * i) % 17,
                _ => (i * 11) % 29 + i,
            }) as f64
        });
        let fusion = Fusion::fit(&[run.view()]).unwrap();
        for (got, expected) in fusion.ratios().iter().zip(RATIOS) {
            assert!(
                (got / expected - 1.0).abs() < 1e-9,
                "{got} is not {expected}"
            );
        }
        for (got, expected) in fusion.weights(0).iter().zip(WEIGHTS) {
            assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
        }
    }

    #[test]
    fn the_same_signal_twice_and_none_at_all_have_an_answer() {
        let one = run(500);
        let twice = ndarray::concatenate![ndarray::Axis(1), one, one];
        let fusion = Fusion::fit(&[twice.view()]).unwrap();
        assert!(fusion.weights(0).iter().all(|w| w.is_finite()));
        assert!(Fusion::fit(&[]).is_none());
        assert!(Fusion::fit(&[Array2::zeros((9, 0)).view()]).is_none());
        assert!(Fusion::fit(&[Array2::zeros((1, 2)).view()]).is_none());
    }

    const RATIOS: [f64; 2] = [2.284_500_041_98, 1.587_573_375];
    const WEIGHTS: [f64; 3] = [0.027_660_599_054_9, -0.027_819_559_186_4, 0.102_026_503_374];
}
