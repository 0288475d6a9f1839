//! Boosted trees and a kernel that answer together for one kind of history.
//!
//! Trees see steps and thresholds, the kernel what is smooth; their errors differ, so that the
//! average is better than either. The average is served unless weights fitted on the other
//! folds (not negative, least squares) do better on every row kept back by more than a
//! hundredth: a stack protects where one of the two fails.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{
    FleetConfig,
    kernel::{self, Kernel, Scale},
    residuals::{Residuals, Said, Sorted},
    rows::Rows,
    solve::nonnegative,
};
use crate::{
    AnalyticsError,
    prognosis::{
        distribution::RulDistribution,
        trees::{Loss, Trees, TreesConfig, bins::Binned},
    },
};

/// A stack is served when its cross-validated error is below this part of the average's.
const WORTH_STACKING: f64 = 0.99;

/// How well one kind of history is forecast, out of fold, in cycles against targets cut at the
/// cap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpertMetrics {
    /// Rows that were learned from.
    pub rows: usize,
    /// Root mean square error of what is served.
    pub rmse: f64,
    /// Of the trees alone.
    pub rmse_trees: f64,
    /// Of the kernel alone.
    pub rmse_kernel: f64,
    /// Of the average.
    pub rmse_average: f64,
    /// Of the stack, with weights fitted without the fold it is measured on.
    pub rmse_stack: f64,
    /// Of saying the mean target of the other folds each time: the trivial forecast.
    pub rmse_mean: f64,
    /// Weights of trees and kernel in what is served.
    pub weights: [f64; 2],
    /// Inputs of the kernel.
    pub kernel_inputs: usize,
    /// Part of the remaining lives, cut at the cap, inside the 80 % interval.
    pub coverage: f64,
    /// Mean width of that interval, cut at the cap.
    pub width: f64,
}

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expert {
    pub(crate) trees: Trees,
    pub(crate) kernel: Kernel,
    pub(crate) weights: [f64; 2],
    residuals: Residuals,
    pub(crate) metrics: ExpertMetrics,
}

impl Expert {
    /// Cycles to the end, not yet cut to what can be.
    pub(crate) fn raw(&self, features: &[f32]) -> f64 {
        self.weights[0] * self.trees.predict(features)
            + self.weights[1] * self.kernel.predict(features)
    }

    pub(crate) fn around(&self, raw: f64) -> RulDistribution {
        self.residuals.around(raw)
    }

    pub(crate) fn is_consistent(&self, features: usize) -> bool {
        self.trees.is_consistent()
            && self.trees.features() == features
            && self.kernel.is_consistent(features)
            && self.residuals.is_consistent()
            && self.weights.iter().all(|w| w.is_finite())
    }
}

/// One piece of work of a fit; pieces do not wait for each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    Kernel { candidate: usize, draw: usize },
    Trees { without: Option<u8>, seed: usize },
}

/// What a piece of work gives.
pub(crate) enum Done {
    Kernel(kernel::Fitted),
    Trees(Trees),
    /// Predictions of the rows of a fold, in their order.
    Kept(Vec<f32>),
}

/// Everything that learning one kind of history looks at.
pub(crate) struct Workshop<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) table: ArrayView2<'a, f32>,
    columns: Vec<usize>,
    binned: Binned,
    /// Scales of the kernels that are tried, with the features in them.
    candidates: Vec<(Scale, Array2<f32>)>,
    folds: usize,
    config: &'a FleetConfig,
}

impl<'a> Workshop<'a> {
    /// `columns` are those of the trees; each list of `kernels` is tried, the best one kept.
    pub(crate) fn new(
        rows: &'a Rows,
        table: ArrayView2<'a, f32>,
        columns: Vec<usize>,
        kernels: &[Vec<usize>],
        folds: usize,
        config: &'a FleetConfig,
    ) -> Result<Self, AnalyticsError> {
        let near: Vec<u32> = (0..rows.len() as u32)
            .filter(|row| rows.is_near[*row as usize])
            .collect();
        let candidate = |columns: &Vec<usize>| {
            let scale = Scale::fit(table, columns, &near);
            let z = scale.table(table);
            (scale, z)
        };
        Ok(Self {
            binned: Binned::new(table, &columns)?,
            candidates: kernels.iter().map(candidate).collect(),
            rows,
            table,
            columns,
            folds,
            config,
        })
    }

    /// The pieces of work, long ones first.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for candidate in 0..self.candidates.len() {
            let draws = 0..self.config.kernels;
            pieces.extend(draws.map(|draw| Piece::Kernel { candidate, draw }));
        }
        for seed in 0..self.config.ensembles {
            let folds = (0..self.folds as u8).map(Some).chain([None]);
            pieces.extend(folds.map(|without| Piece::Trees { without, seed }));
        }
        pieces
    }

    pub(crate) fn work(&self, piece: Piece) -> Result<Done, AnalyticsError> {
        match piece {
            Piece::Kernel { candidate, draw } => {
                let (scale, z) = &self.candidates[candidate];
                let task = kernel::Task {
                    z: z.view(),
                    y: &self.rows.y,
                    fold: &self.rows.fold,
                    folds: self.folds,
                    used: &self.rows.is_near,
                    features: self.config.kernel_features,
                    seed: self.config.seed.wrapping_add(draw as u64),
                };
                Ok(Done::Kernel(task.fit(scale)?))
            }
            Piece::Trees { without, seed } => {
                let rows = self.rows_but(without);
                let config = TreesConfig {
                    seed: self.config.seed.wrapping_add(seed as u64),
                    ..self.config.trees.clone()
                };
                let y = &self.rows.y;
                let trees = Trees::fit_binned(&self.binned, &rows, y, Loss::Squared, &config)?;
                let trees = trees.over(&self.columns, self.table.ncols());
                let Some(fold) = without else {
                    return Ok(Done::Trees(trees));
                };
                let kept = self.rows_of(fold);
                let predict = |row: &usize| {
                    let row = self.table.row(*row);
                    row.as_slice().map_or(0.0, |row| trees.predict(row)) as f32
                };
                Ok(Done::Kept(kept.iter().map(predict).collect()))
            }
        }
    }

    fn rows_but(&self, fold: Option<u8>) -> Vec<u32> {
        (0..self.rows.len() as u32)
            .filter(|row| Some(self.rows.fold[*row as usize]) != fold)
            .collect()
    }

    fn rows_of(&self, fold: u8) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|row| self.rows.fold[*row] == fold)
            .collect()
    }

    /// Puts the pieces together, in the order of [`Self::pieces`]. The second part are the raw
    /// forecasts out of fold with their distributions.
    pub(crate) fn assemble(
        &self,
        pieces: &[Piece],
        done: Vec<Done>,
        assets: &[u32],
    ) -> Option<(Expert, Vec<(f64, RulDistribution)>)> {
        let mut kernels: Vec<(Vec<Kernel>, Vec<f64>)> = self
            .candidates
            .iter()
            .map(|_| (Vec::new(), vec![0.0; self.rows.len()]))
            .collect();
        let mut ensembles = Vec::new();
        let mut of_trees = vec![0.0; self.rows.len()];
        let share = 1.0 / self.config.ensembles as f64;
        let draw_share = 1.0 / self.config.kernels as f64;
        for (piece, done) in pieces.iter().zip(done) {
            match (*piece, done) {
                (Piece::Kernel { candidate, .. }, Done::Kernel(fitted)) => {
                    let (all, sums) = &mut kernels[candidate];
                    let each = sums.iter_mut().zip(&fitted.out_of_fold);
                    each.for_each(|(sum, p)| *sum += draw_share * f64::from(*p));
                    all.push(fitted.kernel);
                }
                (Piece::Trees { without: None, .. }, Done::Trees(trees)) => ensembles.push(trees),
                (
                    Piece::Trees {
                        without: Some(fold),
                        ..
                    },
                    Done::Kept(values),
                ) => {
                    for (row, value) in self.rows_of(fold).into_iter().zip(values) {
                        of_trees[row] += share * f64::from(value);
                    }
                }
                _ => return None,
            }
        }
        let of = |sums: &[f64]| self.rmse(sums);
        let (all, of_kernel) = kernels
            .into_iter()
            .min_by(|a, b| of(&a.1).total_cmp(&of(&b.1)))?;
        let kernel = Kernel::mean(all)?;
        let trees = Trees::mean(ensembles)?;
        Some(self.combine(trees, kernel, &of_trees, &of_kernel, assets))
    }

    fn combine(
        &self,
        trees: Trees,
        kernel: Kernel,
        of_trees: &[f64],
        of_kernel: &[f64],
        assets: &[u32],
    ) -> (Expert, Vec<(f64, RulDistribution)>) {
        let both = Array2::from_shape_fn((self.rows.len(), 2), |(row, column)| {
            [of_trees[row], of_kernel[row]][column]
        });
        let weighted = |row: usize, w: &[f64]| w[0] * of_trees[row] + w[1] * of_kernel[row];
        let rows = 0..self.rows.len();
        let average: Vec<f64> = rows.clone().map(|row| weighted(row, &[0.5, 0.5])).collect();
        let fold_weights: Vec<Vec<f64>> = (0..self.folds as u8)
            .map(|fold| self.stack(&both, Some(fold)))
            .collect();
        let of_fold = |row: usize| &fold_weights[usize::from(self.rows.fold[row])];
        let stacked: Vec<f64> = rows
            .clone()
            .map(|row| weighted(row, of_fold(row)))
            .collect();
        let (rmse_average, rmse_stack) = (self.rmse(&average), self.rmse(&stacked));
        let (weights, raw) = if rmse_stack < WORTH_STACKING * rmse_average {
            let weights = self.stack(&both, None);
            ([weights[0], weights[1]], stacked)
        } else {
            ([0.5, 0.5], average)
        };
        let said = |row: usize| Said {
            raw: raw[row],
            asset: assets[self.rows.life[row] as usize],
            remained: self.rows.remained[row],
        };
        let said: Vec<Said> = rows.map(said).collect();
        let sorted = Sorted::new(said.clone());
        let out_of_fold: Vec<(f64, RulDistribution)> = said
            .iter()
            .map(|said| (said.raw, sorted.without(said.raw, said.asset)))
            .collect();
        let (coverage, width) = self.coverage(&out_of_fold);
        let metrics = ExpertMetrics {
            rows: self.rows.len(),
            rmse: self.rmse(&raw),
            rmse_trees: self.rmse(of_trees),
            rmse_kernel: self.rmse(of_kernel),
            rmse_average,
            rmse_stack,
            rmse_mean: self.rmse(&self.means()),
            weights,
            kernel_inputs: kernel.scale().len(),
            coverage,
            width,
        };
        let expert = Expert {
            trees,
            kernel,
            weights,
            residuals: sorted.table(),
            metrics,
        };
        (expert, out_of_fold)
    }

    /// Weights that fit the rows of all folds but one.
    fn stack(&self, both: &Array2<f64>, without: Option<u8>) -> Vec<f64> {
        let rows: Vec<usize> = self.rows_but(without).iter().map(|r| *r as usize).collect();
        let x = both.select(ndarray::Axis(0), &rows);
        let y = rows
            .iter()
            .map(|&row| f64::from(self.rows.y[row]))
            .collect();
        nonnegative(x.view(), ndarray::Array1::from_vec(y).view())
    }

    /// For each row the mean target of the other folds.
    fn means(&self) -> Vec<f64> {
        let mean = |fold: u8| {
            let rows = self.rows_but(Some(fold));
            let sum: f64 = rows
                .iter()
                .map(|&r| f64::from(self.rows.y[r as usize]))
                .sum();
            sum / rows.len().max(1) as f64
        };
        let means: Vec<f64> = (0..self.folds as u8).map(mean).collect();
        let of = |fold: &u8| means[usize::from(*fold)];
        self.rows.fold.iter().map(of).collect()
    }

    fn rmse(&self, raw: &[f64]) -> f64 {
        let cap = self.config.cap;
        let square = |(raw, y): (&f64, &f32)| (raw.clamp(0.0, cap) - f64::from(*y)).powi(2);
        let sum: f64 = raw.iter().zip(&self.rows.y).map(square).sum();
        (sum / raw.len().max(1) as f64).sqrt()
    }

    fn coverage(&self, out_of_fold: &[(f64, RulDistribution)]) -> (f64, f64) {
        let cap = self.config.cap;
        let (mut inside, mut width) = (0_usize, 0.0);
        for ((_, distribution), remained) in out_of_fold.iter().zip(&self.rows.remained) {
            let (low, high) = distribution.interval(0.8);
            let (low, high, remained) = (low.min(cap), high.min(cap), remained.min(cap));
            inside += usize::from(low <= remained && remained <= high);
            width += high - low;
        }
        let n = out_of_fold.len().max(1) as f64;
        (inside as f64 / n, width / n)
    }
}
