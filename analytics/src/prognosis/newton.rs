//! Newton's method for the concave likelihoods of this module: few parameters, exact
//! derivatives, steps halved until the likelihood does not fall. And the few points that stand
//! for the normal uncertainty of what was found.

use linfa_linalg::cholesky::{InverseC, SolveC};
use ndarray::{Array1, Array2, Axis};

/// Steps that a concave likelihood of standardised data never needs.
const MAX_STEPS: usize = 100;
/// Halvings of a step before the maximum counts as reached.
const MAX_HALVINGS: usize = 40;
/// Rising amounts of damping that are tried where the curvature has the wrong sign; the last is
/// a hundred times the largest of its numbers, which leaves a step along the gradient.
const MAX_DAMPINGS: i32 = 8;
/// A gain of the log-likelihood below this part of its size is rounding.
const NO_GAIN: f64 = 1e-12;
/// Added to the curvature, as a part of its largest diagonal: keeps directions that the data
/// say nothing about solvable.
const JITTER: f64 = 1e-10;

/// Nodes and weights of Gauss–Hermite quadrature for the standard normal distribution, five
/// points (Abramowitz & Stegun, table 25.10, rescaled).
pub(crate) const NODES: [(f64, f64); 5] = [
    (-2.856_970_013_872_805_6, 0.011_257_411_327_720_7),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (2.856_970_013_872_805_6, 0.011_257_411_327_720_7),
];
/// A log-likelihood at a point: its value, its gradient and its negative second derivatives.
pub(crate) struct Local {
    pub(crate) value: f64,
    pub(crate) gradient: Array1<f64>,
    pub(crate) curvature: Array2<f64>,
}

impl Local {
    /// Zero for `n` parameters, to be added to.
    pub(crate) fn zero(n: usize) -> Self {
        Self {
            value: 0.0,
            gradient: Array1::zeros(n),
            curvature: Array2::zeros((n, n)),
        }
    }

    /// Adds a normal prior of this precision on the parameters from one on.
    pub(crate) fn ridge(&mut self, theta: &[f64], from: usize, precision: f64) {
        for (at, value) in theta.iter().enumerate().skip(from) {
            self.value -= precision * value * value / 2.0;
            self.gradient[at] -= precision * value;
            self.curvature[(at, at)] += precision;
        }
    }

    /// Adds a term that depends on the parameters through `w = x·θ` only, with its value, its
    /// first derivative and its negative second derivative by `w`.
    pub(crate) fn add(&mut self, x: &[f64], value: f64, first: f64, second: f64) {
        self.value += value;
        let rows = self.curvature.rows_mut().into_iter();
        for ((gradient, mut row), xi) in self.gradient.iter_mut().zip(rows).zip(x) {
            *gradient += first * xi;
            let share = second * xi;
            // A row as a slice: this is where a fit spends its time.
            if let Some(row) = row.as_slice_mut() {
                row.iter_mut().zip(x).for_each(|(c, xj)| *c += share * xj);
            }
        }
    }
}

/// A maximum.
pub(crate) struct Maximum {
    pub(crate) at: Vec<f64>,
    pub(crate) value: f64,
    /// The inverse of the curvature: the parameters' covariance for large samples.
    pub(crate) covariance: Array2<f64>,
}

/// Climbs from `start`. None when the function is not finite there, or has no curvature to
/// invert.
pub(crate) fn maximise(start: Vec<f64>, f: impl Fn(&[f64]) -> Local) -> Option<Maximum> {
    let mut at = start;
    let mut here = f(&at);
    for _ in 0..MAX_STEPS {
        if !here.value.is_finite() {
            return None;
        }
        let step = uphill(&here)?;
        let Some((next, there)) = shorter(&at, &step, here.value, &f) else {
            break;
        };
        let gain = there.value - here.value;
        (at, here) = (next, there);
        if gain <= NO_GAIN * (1.0 + here.value.abs()) {
            break;
        }
    }
    Some(Maximum {
        covariance: regular(&here.curvature).invc().ok()?,
        value: here.value,
        at,
    })
}

/// Newton's step; where the function is not concave, a shorter one that still leads up.
fn uphill(here: &Local) -> Option<Array2<f64>> {
    let column = here.gradient.clone().insert_axis(Axis(1));
    (0..MAX_DAMPINGS).find_map(|at| {
        let mut curvature = regular(&here.curvature);
        if at > 0 {
            let size = here.curvature.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
            let damping = size * 10_f64.powi(at - MAX_DAMPINGS + 3);
            curvature.diag_mut().mapv_inplace(|x| x + damping);
        }
        curvature.solvec(&column).ok()
    })
}

/// The longest of the step, half of it, a quarter of it, … at which the function is higher.
fn shorter(
    at: &[f64],
    step: &Array2<f64>,
    value: f64,
    f: &impl Fn(&[f64]) -> Local,
) -> Option<(Vec<f64>, Local)> {
    let mut part = 1.0;
    for _ in 0..MAX_HALVINGS {
        let next: Vec<f64> = at
            .iter()
            .zip(step.iter())
            .map(|(x, dx)| x + part * dx)
            .collect();
        let there = f(&next);
        if there.value > value {
            return Some((next, there));
        }
        part /= 2.0;
    }
    None
}

fn regular(curvature: &Array2<f64>) -> Array2<f64> {
    let largest = curvature.diag().iter().copied().fold(1.0, f64::max);
    let mut regular = curvature.clone();
    regular.diag_mut().mapv_inplace(|x| x + JITTER * largest);
    regular
}
