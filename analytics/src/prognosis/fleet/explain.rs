//! Why a forecast is what it is: which signals moved it by how many cycles, and which past
//! lives once stood where this one stands.
//!
//! Trees are explained by exact Shapley values, the kernel by its gradient along the way from
//! the average row; both add up to the difference from the average forecast. What a fused
//! component contributes is shared out over its signals by how much each of them adds to the
//! component now. Contributions with the same signal and aspect are summed.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Basis, FleetModel, FleetState, MIN_ROWS, kernel::Scale, rows::Rows};
use crate::prognosis::{
    lives::{Life, LifeEnd},
    path::{
        PathModel,
        features::{Aspect, Source},
    },
};

/// Rows that similar lives are looked for in.
const MEMORY_ROWS: usize = 4_096;
/// Similar lives that are named.
const SIMILAR: usize = 5;

/// What a signal contributed to a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The signal; none for what belongs to the asset, as its age.
    pub signal: Option<String>,
    /// What about it.
    pub aspect: Aspect,
    /// Cycles that it adds to the remaining life, or takes.
    pub cycles: f64,
}

/// A past life that once stood where this one stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimilarLife {
    /// Whose life.
    pub asset: String,
    /// Which of the lives that were learned from.
    pub life: u32,
    /// Its cycle that is nearest.
    pub cycle: u32,
    /// Cycles from there to its last row.
    pub remained: u32,
    /// How it ended.
    pub end: LifeEnd,
    /// Root mean square difference of the features, in spreads of the fleet.
    pub distance: f64,
}

/// Why a forecast is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The forecast for the average row that was learned from.
    pub average: f64,
    /// What moved it from there, the largest first.
    pub contributions: Vec<Contribution>,
    /// What is left: cut to 0..cap, and rounding of the kernel's part.
    pub unexplained: f64,
    /// The nearest past lives.
    pub similar: Vec<SimilarLife>,
}

impl FleetModel {
    /// Explains the forecast after the last cycle; none before [`MIN_ROWS`] cycles. Takes a
    /// thousand times as long as the forecast: for a person who asks, not for every window.
    pub fn explain(&self, state: &FleetState) -> Option<Why> {
        if state.rows() < MIN_ROWS {
            return None;
        }
        let features = self.path.features(&state.0);
        let (expert, basis) = self.expert(state);
        let [trees, kernel] = expert.weights;
        let mut by_feature: Vec<f64> = expert.trees.shap(&features);
        for contribution in &mut by_feature {
            *contribution *= trees;
        }
        for (feature, part) in expert.kernel.contributions(&features) {
            by_feature[feature] += kernel * part;
        }
        let average = trees * expert.trees.expected() + kernel * expert.kernel.expected();
        let point = expert.raw(&features).clamp(0.0, self.cap);
        Some(Why {
            average,
            unexplained: point - average - by_feature.iter().sum::<f64>(),
            contributions: self.grouped(state, &by_feature),
            similar: self.memory.nearest(&features, basis),
        })
    }

    fn grouped(&self, state: &FleetState, by_feature: &[f64]) -> Vec<Contribution> {
        let layout = self.path.layout();
        let shares: Vec<Vec<f64>> = (0..layout.components)
            .map(|component| self.path.shares(&state.0, component))
            .collect();
        let aspects = [
            Aspect::Age,
            Aspect::Level,
            Aspect::Trend,
            Aspect::Spread,
            Aspect::SinceNew,
            Aspect::Course,
        ];
        let mut sums = vec![[0.0; 6]; layout.signals + 1];
        for (feature, cycles) in by_feature.iter().enumerate() {
            let (source, aspect) = layout.meaning(feature);
            let aspect = aspects.iter().position(|known| *known == aspect);
            let aspect = aspect.unwrap_or(0);
            match source {
                Source::Asset => sums[layout.signals][aspect] += cycles,
                Source::Signal(signal) => sums[signal][aspect] += cycles,
                Source::Component(component) => {
                    for (sum, share) in sums.iter_mut().zip(&shares[component]) {
                        sum[aspect] += share * cycles;
                    }
                }
            }
        }
        let mut contributions = Vec::new();
        for (at, sums) in sums.iter().enumerate() {
            let kept = self.path.conditions().kept().get(at);
            let signal = kept.and_then(|&signal| self.signals.get(signal)).cloned();
            for (aspect, &cycles) in aspects.iter().zip(sums).filter(|(_, c)| **c != 0.0) {
                contributions.push(Contribution {
                    signal: signal.clone(),
                    aspect: *aspect,
                    cycles,
                });
            }
        }
        contributions.sort_by(|a, b| b.cycles.abs().total_cmp(&a.cycles.abs()));
        contributions
    }
}

/// Past lives in the features of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    scale: Scale,
    /// Which of the features need no beginning.
    is_window: Vec<bool>,
    lives: Vec<PastLife>,
    rows: Vec<PastRow>,
    /// Of each row its standardised features.
    z: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PastLife {
    asset: String,
    cycles: u32,
    end: LifeEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct PastRow {
    life: u32,
    cycle: u32,
}

impl Memory {
    pub(crate) fn new(path: &PathModel, lives: &[Life], rows: &Rows, table: &Array2<f32>) -> Self {
        let layout = path.layout();
        let window = layout.window_fused();
        let columns = layout.whole_history_fused(layout.components);
        let step = rows.len().div_ceil(MEMORY_ROWS).max(1);
        let some: Vec<u32> = (0..rows.len() as u32).step_by(step).collect();
        let scale = Scale::fit(table.view(), &columns, &some);
        let mut z = Vec::with_capacity(some.len() * columns.len());
        for &row in &some {
            let row = table.row(row as usize).to_vec();
            z.extend(scale.apply(&row));
        }
        let past = |life: &Life| PastLife {
            asset: life.asset.clone(),
            cycles: life.rows.len() as u32,
            end: life.end,
        };
        let place = |&row: &u32| PastRow {
            life: rows.life[row as usize],
            cycle: rows.cycle[row as usize] as u32,
        };
        Self {
            is_window: columns.iter().map(|c| window.contains(c)).collect(),
            lives: lives.iter().map(past).collect(),
            rows: some.iter().map(place).collect(),
            scale,
            z,
        }
    }

    /// The lives with the nearest rows, the nearest first, each once.
    fn nearest(&self, features: &[f32], basis: Basis) -> Vec<SimilarLife> {
        let z: Vec<f32> = self.scale.apply(features).collect();
        let counts = |at: usize| basis == Basis::FullHistory || self.is_window[at];
        let used = (0..z.len()).filter(|at| counts(*at)).count().max(1) as f64;
        let mut best: Vec<Option<(f64, u32)>> = vec![None; self.lives.len()];
        for (row, past) in self.rows.iter().zip(self.z.chunks_exact(z.len().max(1))) {
            let each = z.iter().zip(past).enumerate();
            let squares = each.filter(|(at, _)| counts(*at));
            let sum: f64 = squares
                .map(|(_, (a, b))| f64::from((a - b) * (a - b)))
                .sum();
            let distance = (sum / used).sqrt();
            let best = &mut best[row.life as usize];
            if best.is_none_or(|(known, _)| distance < known) {
                *best = Some((distance, row.cycle));
            }
        }
        let similar = |(life, best): (usize, &Option<(f64, u32)>)| {
            let (distance, cycle) = (*best)?;
            let past = &self.lives[life];
            Some(SimilarLife {
                asset: past.asset.clone(),
                life: life as u32,
                cycle,
                remained: past.cycles.saturating_sub(cycle),
                end: past.end,
                distance,
            })
        };
        let mut all: Vec<SimilarLife> = best.iter().enumerate().filter_map(similar).collect();
        all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        all.truncate(SIMILAR);
        all
    }

    pub(crate) fn is_consistent(&self, features: usize) -> bool {
        let width = self.scale.len();
        self.scale.columns().all(|column| column < features)
            && self.is_window.len() == width
            && self.z.len() == self.rows.len() * width
            && self
                .rows
                .iter()
                .all(|row| (row.life as usize) < self.lives.len())
    }
}
