//! How a kernel is fitted: the sums of each fold once, and a solution without each of them.

use ndarray::{Array1, Array2, ArrayView2, linalg::general_mat_mul};

use super::{
    super::solve::{cholesky, part, part_mut, solve},
    Fitted, Kernel, LINEAR, Scale, cos_of_turns,
};
use crate::{AnalyticsError, prognosis::chance::Chance};

/// Added to the diagonal of the normal equations; .01 to .1 are as good.
const RIDGE: f64 = 0.03;
/// Rows whose features are held at a time while fitting.
const CHUNK: usize = 512;
/// Columns of a block of Φ'Φ, of which only one triangle is computed.
const BLOCK: usize = 512;

/// One draw of frequencies and phases.
pub(super) struct Draw {
    /// Shape `(n_inputs, n_features)`, in turns.
    pub(super) frequencies: Array2<f32>,
    pub(super) phases: Vec<f32>,
}

impl Draw {
    pub(super) fn new(inputs: usize, features: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 0xf0f0);
        let scale = 1.0 / (std::f64::consts::TAU * (inputs.max(1) as f64).sqrt());
        Self {
            frequencies: Array2::from_shape_fn((inputs, features), |_| {
                (chance.normal() * scale) as f32
            }),
            phases: (0..features).map(|_| chance.uniform() as f32).collect(),
        }
    }

    /// Φ of some rows of z: shape `(n_rows, n_features + n_inputs)`.
    pub(super) fn features(&self, z: ArrayView2<f32>) -> Array2<f32> {
        let count = self.phases.len();
        let scale = (2.0 / count as f32).sqrt();
        let mut phi = Array2::zeros((z.nrows(), count + z.ncols()));
        {
            let mut fourier = part_mut(phi.view_mut(), 0..z.nrows(), 0..count);
            general_mat_mul(1.0, &z, &self.frequencies, 0.0, &mut fourier);
        }
        for (mut row, z) in phi.rows_mut().into_iter().zip(z.rows()) {
            let Some(row) = row.as_slice_mut() else {
                continue;
            };
            let (fourier, linear) = row.split_at_mut(count);
            for (u, phase) in fourier.iter_mut().zip(&self.phases) {
                *u = scale * cos_of_turns(*u + phase);
            }
            linear
                .iter_mut()
                .zip(z)
                .for_each(|(to, z)| *to = LINEAR * z);
        }
        phi
    }
}

/// Sums of one fold.
struct Sums {
    gram: Array2<f32>,
    ones: Array1<f64>,
    targets: Array1<f64>,
    count: f64,
    target: f64,
}

impl Sums {
    fn new(size: usize) -> Self {
        Self {
            gram: Array2::zeros((size, size)),
            ones: Array1::zeros(size),
            targets: Array1::zeros(size),
            count: 0.0,
            target: 0.0,
        }
    }

    fn add(&mut self, phi: ArrayView2<f32>, y: &[f32]) {
        let size = phi.ncols();
        for from in (0..size).step_by(BLOCK) {
            let to = (from + BLOCK).min(size);
            let mut gram = part_mut(self.gram.view_mut(), from..size, from..to);
            let rows = part(phi, 0..phi.nrows(), from..size);
            let columns = part(phi, 0..phi.nrows(), from..to);
            general_mat_mul(1.0, &rows.t(), &columns, 1.0, &mut gram);
        }
        for (row, &y) in phi.rows().into_iter().zip(y) {
            let y = f64::from(y);
            self.count += 1.0;
            self.target += y;
            for ((one, target), phi) in self.ones.iter_mut().zip(&mut self.targets).zip(row) {
                *one += f64::from(*phi);
                *target += f64::from(*phi) * y;
            }
        }
    }
}

/// What a fit looks at.
pub(crate) struct Task<'a> {
    /// Standardised features, shape `(n_samples, n_inputs)`.
    pub(crate) z: ArrayView2<'a, f32>,
    pub(crate) y: &'a [f32],
    /// The fold of each row, below `folds`.
    pub(crate) fold: &'a [u8],
    pub(crate) folds: usize,
    /// Whether a row is learned from; all are predicted.
    pub(crate) used: &'a [bool],
    /// Fourier features of a draw.
    pub(crate) features: usize,
    pub(crate) seed: u64,
}

impl Task<'_> {
    /// Learns from all rows, and without each fold.
    pub(crate) fn fit(&self, scale: &Scale) -> Result<Fitted, AnalyticsError> {
        let draw = Draw::new(self.z.ncols(), self.features, self.seed);
        let sums: Vec<Sums> = (0..self.folds).map(|fold| self.sum(&draw, fold)).collect();
        let mut out_of_fold = vec![0.0; self.y.len()];
        for fold in 0..self.folds {
            let (weights, centre) = Self::solution(&sums, Some(fold))?;
            let rows = self.rows(fold, false);
            for rows in rows.chunks(CHUNK) {
                let phi = draw.features(self.z.select(ndarray::Axis(0), rows).view());
                for (&row, value) in rows.iter().zip(phi.dot(&weights)) {
                    out_of_fold[row] = value + centre as f32;
                }
            }
        }
        let (weights, centre) = Self::solution(&sums, None)?;
        Ok(Fitted {
            kernel: Kernel::new(scale.clone(), &draw, &weights, centre),
            out_of_fold,
        })
    }

    fn rows(&self, fold: usize, only_used: bool) -> Vec<usize> {
        (0..self.y.len())
            .filter(|&row| usize::from(self.fold[row]) == fold && (self.used[row] || !only_used))
            .collect()
    }

    fn sum(&self, draw: &Draw, fold: usize) -> Sums {
        let mut sums = Sums::new(draw.phases.len() + self.z.ncols());
        for rows in self.rows(fold, true).chunks(CHUNK) {
            let phi = draw.features(self.z.select(ndarray::Axis(0), rows).view());
            let y: Vec<f32> = rows.iter().map(|&row| self.y[row]).collect();
            sums.add(phi.view(), &y);
        }
        sums
    }

    /// Weights and centre learned from all folds but one.
    fn solution(
        sums: &[Sums],
        without: Option<usize>,
    ) -> Result<(Array1<f32>, f64), AnalyticsError> {
        let some = || {
            let each = sums.iter().enumerate();
            each.filter(move |(fold, _)| Some(*fold) != without)
                .map(|(_, sums)| sums)
        };
        let size = sums.first().map_or(0, |sums| sums.ones.len());
        let count: f64 = some().map(|sums| sums.count).sum();
        let centre = some().map(|sums| sums.target).sum::<f64>() / count.max(1.0);
        let mut gram = Array2::<f64>::zeros((size, size));
        let mut target = Array1::<f64>::zeros(size);
        for sums in some() {
            gram.zip_mut_with(&sums.gram, |a, b| *a += f64::from(*b));
            target += &sums.targets;
            target.scaled_add(-centre, &sums.ones);
        }
        gram.diag_mut().iter_mut().for_each(|d| *d += RIDGE);
        if !cholesky(&mut gram) {
            return Err(AnalyticsError::Learning {
                what: "kernel",
                problem: "the normal equations cannot be solved".to_owned(),
            });
        }
        let weights = solve(&gram, target);
        Ok((weights.mapv(|w| w as f32), centre))
    }
}
