//! The degradation path: from rows of signals to what a history says about wear.
//!
//! 1. [`conditions`]: values become deviations from what is usual under the same settings;
//!    signals that never move are dropped.
//! 2. [`fusion`]: the signals that are left become one to six components with noise 1.
//! 3. [`PathState`]: for each component and signal a window and some sums, from which all
//!    [`features`] of the whole history follow at a cost that does not grow with age.
//!
//! Training and serving run the same code row by row, so that a feature of cycle k cannot
//! know what came after it.

pub mod conditions;
mod course;
pub mod features;
pub mod fusion;
mod track;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use self::{
    conditions::Conditions,
    course::Course,
    features::{COMPONENT, Layout},
    fusion::Fusion,
    track::{BEGINNING, Track},
};
use super::lives::{CycleRow, Life};
use crate::AnalyticsError;

/// Cycles that are kept of a component: the longest slope.
const COMPONENT_CYCLES: usize = 60;
/// Cycles that are kept of a signal.
const SIGNAL_CYCLES: usize = 30;
/// Cycles that count as age 1: a feature over the age is a pace per hundred cycles.
const AGE_UNIT: f64 = 100.0;
/// Paces are not taken for younger assets than this age, in hundreds of cycles: a difference
/// over nearly nothing is noise.
const YOUNGEST: f64 = 0.1;
/// Variance of moving average less beginning, of noise with variance 1: 0.1 / (2 − 0.1) for the
/// average and one over the cycles of the beginning.
const DEVIATION_VARIANCE: f64 = 0.1 / 1.9 + 1.0 / BEGINNING as f64;
/// A deviation is an onset when it exceeds this many standard deviations of noise, ...
const ONSET: f64 = 4.0;
/// ... for so many cycles without a break: a slow moving average crosses for as long by chance
/// when it crosses at all, so this asks for twice its memory.
const ONSET_CYCLES: u32 = 20;

/// How rows become features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathModel {
    conditions: Conditions,
    fusion: Fusion,
}

/// What is kept of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathState {
    age: Option<f64>,
    rows: u32,
    /// The last believed deviation of each signal.
    held: Vec<f64>,
    components: Vec<Track>,
    signals: Vec<Track>,
    /// Cycles of the present excess, and the row it began with.
    excess: (u32, u32),
}

impl PathState {
    /// Rows that were taken.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Age in cycles before the first row, when it is known.
    pub fn age_at_start(&self) -> Option<f64> {
        self.age
    }

    /// The present age in cycles, when it is known.
    pub fn age(&self) -> Option<f64> {
        Some(self.age? + f64::from(self.rows))
    }

    /// How far the components have moved from their beginning, as the root mean square over
    /// components in units of what noise alone does; about 1 while nothing happens.
    pub fn deviation(&self) -> f64 {
        let square = |track: &Track| {
            let moved = track.average() - track.beginning();
            moved * moved / DEVIATION_VARIANCE
        };
        let sum: f64 = self.components.iter().map(square).sum();
        (sum / self.components.len().max(1) as f64).sqrt()
    }

    /// The row, counted from 1, at which the present deviation began; none while there is none.
    pub fn onset(&self) -> Option<u32> {
        let (cycles, from) = self.excess;
        (cycles >= ONSET_CYCLES).then_some(from)
    }
}

impl PathModel {
    /// Learns conditions and fusion from lives whose rows have `signals` values. Ends are not
    /// looked at.
    ///
    /// # Errors
    /// When no signal moves or no life has two rows.
    pub fn fit(signals: usize, lives: &[Life]) -> Result<Self, AnalyticsError> {
        let refuse = |problem: &str| AnalyticsError::Learning {
            what: "degradation path",
            problem: problem.to_owned(),
        };
        let conditions = Conditions::fit(signals, lives);
        let count = conditions.kept().len();
        if count == 0 {
            return Err(refuse("no signal moves in every operating condition"));
        }
        let runs: Vec<Array2<f64>> = lives
            .iter()
            .map(|life| {
                let mut held = vec![0.0; count];
                let mut run = Array2::zeros((life.rows.len(), count));
                for (row, mut to) in life.rows.iter().zip(run.rows_mut()) {
                    hold(&mut held, conditions.normalised(row));
                    to.iter_mut().zip(&held).for_each(|(to, x)| *to = *x);
                }
                run
            })
            .collect();
        let views: Vec<_> = runs.iter().map(Array2::view).collect();
        let fusion = Fusion::fit(&views).ok_or_else(|| refuse("no life has two rows"))?;
        Ok(Self { conditions, fusion })
    }

    /// The operating conditions.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The fusion of signals.
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// The order of the features.
    pub fn layout(&self) -> Layout {
        Layout {
            components: self.fusion.count(),
            signals: self.conditions.kept().len(),
        }
    }

    /// The state before the first row of an asset of this age in cycles; none when it is
    /// unknown.
    pub fn start(&self, age: Option<f64>) -> PathState {
        let layout = self.layout();
        PathState {
            age: age.filter(|age| age.is_finite() && *age >= 0.0),
            rows: 0,
            held: vec![0.0; layout.signals],
            components: vec![Track::new(); layout.components],
            signals: vec![Track::new(); layout.signals],
            excess: (0, 0),
        }
    }

    /// Takes the next cycle. A missing value counts as the last one; before there was one, as
    /// the usual.
    pub fn push(&self, state: &mut PathState, row: &CycleRow) {
        hold(&mut state.held, self.conditions.normalised(row));
        for (track, value) in state.signals.iter_mut().zip(&state.held) {
            track.push(*value, SIGNAL_CYCLES);
        }
        let fused = self.fusion.fused(&state.held);
        for (track, value) in state.components.iter_mut().zip(fused) {
            track.push(value, COMPONENT_CYCLES);
        }
        state.rows = state.rows.saturating_add(1);
        state.excess = match state.excess {
            _ if state.deviation() <= ONSET => (0, 0),
            (0, _) => (1, state.rows),
            (cycles, from) => (cycles.saturating_add(1), from),
        };
    }

    /// The features of a history in the order of [`Self::layout`]. Without a known age those
    /// that need it are as if watching had begun with the asset.
    pub fn features(&self, state: &PathState) -> Vec<f32> {
        let mut features = Vec::with_capacity(self.layout().len());
        let age = (state.age.unwrap_or(0.0) + f64::from(state.rows)) / AGE_UNIT;
        features.push(age as f32);
        features.push((state.rows.min(COMPONENT_CYCLES as u32) as f32) / COMPONENT_CYCLES as f32);
        for track in &state.components {
            let values = of_component(track);
            features.extend(values.iter().map(|x| *x as f32));
            features.extend(values.iter().map(|x| (x / age.max(YOUNGEST)) as f32));
        }
        let course = Course::new(state.rows);
        for track in &state.signals {
            features.push(track.recent(SIGNAL_CYCLES) as f32);
            features.push(track.slope(SIGNAL_CYCLES) as f32);
            features.push((track.average() - track.beginning()) as f32);
            features.extend(course.of(track).iter().map(|x| *x as f32));
        }
        features
    }

    /// How much each signal adds to a component now, as parts of 1 whatever the sign; all
    /// alike when nothing adds.
    pub fn shares(&self, state: &PathState, component: usize) -> Vec<f64> {
        let weights = self.fusion.weights(component);
        let added = weights.iter().zip(&state.signals);
        let added: Vec<f64> = added
            .map(|(w, track)| (w * track.average()).abs())
            .collect();
        let sum: f64 = added.iter().sum();
        let alike = 1.0 / added.len().max(1) as f64;
        let share = |x: &f64| if sum > 0.0 { x / sum } else { alike };
        added.iter().map(share).collect()
    }

    /// Whether a decoded model can take rows of so many signals.
    pub fn is_sound(&self, signals: usize) -> bool {
        let kept = self.conditions.kept();
        !kept.is_empty()
            && kept.iter().all(|signal| *signal < signals)
            && self.conditions.is_sound()
            && self.fusion.is_sound(kept.len())
    }

    /// Whether a decoded state belongs to this model.
    pub fn is_consistent(&self, state: &PathState) -> bool {
        let layout = self.layout();
        state.held.len() == layout.signals
            && state.signals.len() == layout.signals
            && state.components.len() == layout.components
            && state.signals.iter().all(|t| t.is_consistent(SIGNAL_CYCLES))
            && state
                .components
                .iter()
                .all(|t| t.is_consistent(COMPONENT_CYCLES))
    }
}

fn of_component(track: &Track) -> [f64; COMPONENT.len()] {
    let beginning = track.beginning();
    [
        track.recent(5),
        track.recent(10),
        track.recent(30),
        track.spread(30),
        track.slope(30),
        track.slope(60),
        track.average(),
        beginning,
        track.average() - beginning,
        track.mean() - beginning,
    ]
}

/// Missing values keep the last one.
fn hold(held: &mut [f64], values: impl Iterator<Item = f64>) {
    for (held, value) in held.iter_mut().zip(values) {
        if value.is_finite() {
            *held = value;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
