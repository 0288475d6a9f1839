//! Remaining life of one asset from the lives of its fleet.
//!
//! 1. The degradation path ([`super::path`]) makes features of the whole history.
//! 2. Boosted trees and a kernel forecast the remaining cycles, cut at a cap: nothing can be
//!    said of a machine that has not begun to wear but that it will last longer.
//! 3. Every past life is forecast by a model that has not seen its asset. What remained when
//!    the same was said is the distribution of a forecast.
//!
//! Two experts are learned: one for whole histories, whose beginning was seen; one that needs
//! neither beginning nor age, for a machine that was connected in the middle of its life. A
//! forecast says which one made it ([`Basis`]).
//!
//! Scales, fusion and bins are learned from all lives, without looking at their ends; all that
//! is learned from the ends is learned without the fold that it is measured on. Fitting is
//! deterministic for a seed, whatever the number of threads.
//!
//! # Source
//! Heimes, "Recurrent neural networks for remaining useful life estimation", PHM 2008, for the
//! cap; the method as a whole is ours, its ablation is in `docs/accuracy.md`.

mod expert;
mod explain;
mod fit;
mod kernel;
mod residuals;
mod rows;
mod solve;

use serde::{Deserialize, Serialize};

pub use expert::ExpertMetrics;
pub use explain::{Contribution, SimilarLife, Why};
pub use fit::{Fitted, OutOfFold};

use self::{expert::Expert, explain::Memory};
use super::{
    distribution::RulDistribution,
    lives::CycleRow,
    path::{PathModel, PathState},
    trees::TreesConfig,
};

/// Fewest rows of a history that a forecast is made of: with fewer no average has settled.
pub const MIN_ROWS: u32 = 10;
/// A history that begins at a higher age, in cycles, has lost its beginning: the moving
/// average settles in five.
pub const BEGINNING_SEEN: f64 = 5.0;
/// The format of a stored model.
const FORMAT: u16 = 1;

/// How a model is learned. The defaults were chosen by cross-validation over the training
/// units of two sets of simulated turbofans; nothing in them is specific to a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetConfig {
    /// Where chance starts.
    pub seed: u64,
    /// Remaining cycles beyond which lives are not told apart; above 0.
    pub cap: f64,
    /// Folds of the cross-validation, at most the number of assets; 2 to 20.
    pub folds: usize,
    /// Every n-th row of a life is learned from so that there are at most so many: neighbouring
    /// cycles say nearly the same.
    pub most_rows: usize,
    /// Ensembles of trees that are averaged; at least 1.
    pub ensembles: usize,
    /// Kernels that are averaged; at least 1.
    pub kernels: usize,
    /// Fourier features of a kernel; at least 32.
    pub kernel_features: usize,
    /// How the trees are grown; the seed is replaced.
    pub trees: TreesConfig,
    /// Threads that a fit may use, at least 1. They do not change the result.
    pub threads: usize,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            cap: 125.0,
            folds: 5,
            most_rows: 16_000,
            ensembles: 3,
            kernels: 1,
            kernel_features: 1_500,
            trees: TreesConfig::default(),
            threads: 2,
        }
    }
}

/// What a forecast rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The whole history since installation or repair.
    FullHistory,
    /// The last cycles only, because age or beginning are not known; less exact.
    WindowOnly,
}

/// A forecast in cycles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The expected remaining cycles, each life counted as at most the cap.
    pub point: f64,
    /// The distribution; infinite quantiles say "longer than the cap".
    pub distribution: RulDistribution,
    /// What it rests on.
    pub basis: Basis,
    /// How far the machine has moved from its beginning, in units of what noise alone does.
    pub deviation: f64,
    /// The row of the history, counted from 1, at which the present deviation began.
    pub onset: Option<u32>,
}

/// How well a model does on lives that it has not seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Lives that were learned from, and those among them that ended in a failure.
    pub lives: usize,
    /// See [`Self::lives`].
    pub failed: usize,
    /// Operating conditions that were found.
    pub conditions: usize,
    /// Movement over noise of each fused component.
    pub components: Vec<f64>,
    /// On whole histories; none when no life was watched from its beginning.
    pub full_history: Option<ExpertMetrics>,
    /// On windows only.
    pub window_only: ExpertMetrics,
}

/// What is kept of a running asset between its cycles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetState(PathState);

impl FleetState {
    /// Cycles that were taken.
    pub fn rows(&self) -> u32 {
        self.0.rows()
    }

    /// The present age in cycles, when it is known.
    pub fn age(&self) -> Option<f64> {
        self.0.age()
    }
}

/// A fitted model. Serialises to about three megabytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetModel {
    format: u16,
    signals: Vec<String>,
    cap: f64,
    path: PathModel,
    full: Option<Expert>,
    window: Expert,
    memory: Memory,
    metrics: Metrics,
}

impl FleetModel {
    /// The signals whose values a row has, in order.
    pub fn signals(&self) -> &[String] {
        &self.signals
    }

    /// Remaining cycles beyond which lives are not told apart.
    pub fn cap(&self) -> f64 {
        self.cap
    }

    /// How rows become features.
    pub fn path(&self) -> &PathModel {
        &self.path
    }

    /// How well it does on lives that it has not seen.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The state of an asset before its first row. `age` is the age before that row in
    /// cycles, 0 for one that is new or repaired, none when it is unknown.
    pub fn start(&self, age: Option<f64>) -> FleetState {
        FleetState(self.path.start(age))
    }

    /// Takes the next cycle.
    pub fn push(&self, state: &mut FleetState, row: &CycleRow) {
        self.path.push(&mut state.0, row);
    }

    /// The forecast after the last cycle; none before [`MIN_ROWS`] cycles.
    pub fn predict(&self, state: &FleetState) -> Option<Forecast> {
        if state.rows() < MIN_ROWS {
            return None;
        }
        let features = self.path.features(&state.0);
        let (expert, basis) = self.expert(state);
        let raw = expert.raw(&features);
        Some(Forecast {
            point: raw.clamp(0.0, self.cap),
            distribution: expert.around(raw),
            basis,
            deviation: state.0.deviation(),
            onset: state.0.onset(),
        })
    }

    fn expert(&self, state: &FleetState) -> (&Expert, Basis) {
        match &self.full {
            Some(full) if rows::begins(state.0.age_at_start()) => (full, Basis::FullHistory),
            _ => (&self.window, Basis::WindowOnly),
        }
    }

    /// Whether a decoded model can be served: a file from outside is checked before it is
    /// believed.
    pub fn is_consistent(&self) -> bool {
        let features = self.path.layout().len();
        self.format == FORMAT
            && self.cap > 0.0
            && self.path.is_sound(self.signals.len())
            && self.full.as_ref().is_none_or(|e| e.is_consistent(features))
            && self.window.is_consistent(features)
            && self.memory.is_consistent(features)
    }

    /// Whether a decoded state belongs to this model.
    pub fn fits(&self, state: &FleetState) -> bool {
        self.path.is_consistent(&state.0)
    }
}

#[cfg(test)]
mod tests;
