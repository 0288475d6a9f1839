//! The rows that a fleet model learns from: states of past lives with what remained.

use ndarray::Array2;

use super::{BEGINNING_SEEN, FleetConfig, MIN_ROWS};
use crate::prognosis::{
    chance::Chance,
    lives::{Life, LifeEnd},
    path::PathModel,
};

/// Rows of one kind of history.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    features: Vec<f32>,
    /// Learned target: remaining cycles, cut at the cap.
    pub(crate) y: Vec<f32>,
    /// Remaining cycles, infinite beyond the cap.
    pub(crate) remained: Vec<f64>,
    /// The life, as an index.
    pub(crate) life: Vec<u32>,
    /// Cycles since the first row of the life.
    pub(crate) cycle: Vec<f64>,
    /// Not so far from the end that only the cap is learned; the kernel looks at these.
    pub(crate) is_near: Vec<bool>,
    /// The fold in which a row is kept back.
    pub(crate) fold: Vec<u8>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.y.len()
    }

    /// All features, shape `(n_samples, n_features)`; they are handed over.
    pub(crate) fn take_table(&mut self) -> Array2<f32> {
        let rows = self.len();
        let columns = self.features.len() / rows.max(1);
        let features = std::mem::take(&mut self.features);
        Array2::from_shape_vec((rows, columns), features).unwrap_or_default()
    }

    fn push(&mut self, features: &[f32], target: Target, life: usize, cycle: f64, fold: u8) {
        self.features.extend_from_slice(features);
        self.y.push(target.y);
        self.remained.push(target.remained);
        self.is_near.push(target.is_near);
        self.life.push(life as u32);
        self.cycle.push(cycle);
        self.fold.push(fold);
    }
}

#[derive(Debug, Clone, Copy)]
struct Target {
    y: f32,
    remained: f64,
    is_near: bool,
}

/// What is known of the remaining life at a row; none when watching ended too early to know
/// even that it was longer than the cap.
fn target(life: &Life, index: usize, config: &FleetConfig) -> Option<Target> {
    let remaining = life.remaining(index);
    if life.end == LifeEnd::Censored && remaining < config.cap {
        return None;
    }
    Some(Target {
        y: remaining.min(config.cap) as f32,
        remained: if remaining > config.cap || life.end == LifeEnd::Censored {
            f64::INFINITY
        } else {
            remaining
        },
        is_near: remaining <= NEAR * config.cap,
    })
}

/// In caps: rows farther from the end than this teach a smooth function nothing but the cap.
const NEAR: f64 = 1.6;

/// Whether the beginning of a life was seen.
pub(crate) fn begins(age: Option<f64>) -> bool {
    age.is_some_and(|age| age <= BEGINNING_SEEN)
}

/// Rows of whole histories, and of histories without age and beginning. The latter are the
/// former with their windows full and, so that a machine that was connected yesterday is
/// known too, as many that start anywhere in a life.
pub(crate) fn collect(
    path: &PathModel,
    lives: &[Life],
    folds: &[u8],
    config: &FleetConfig,
) -> (Rows, Rows) {
    let total: usize = lives.iter().map(|life| life.rows.len()).sum();
    let stride = total.div_ceil(config.most_rows.max(1)).max(1);
    let mut chance = Chance::new(config.seed, 0x57a7);
    let (mut whole, mut window) = (Rows::default(), Rows::default());
    for (at, life) in lives.iter().enumerate() {
        let has_begun = begins(life.age);
        walk(path, life, 0, stride, |index, features| {
            let Some(target) = target(life, index, config) else {
                return;
            };
            let cycle = index as f64 + 1.0;
            if (index + 1) % (2 * stride) == 0 {
                window.push(features, target, at, cycle, folds[at]);
            }
            if has_begun {
                whole.push(features, target, at, cycle, folds[at]);
            }
        });
        let start = chance.below(life.rows.len().max(1));
        walk(path, life, start, stride, |index, features| {
            if (index + 1) % (2 * stride) == 0
                && let Some(target) = target(life, index, config)
            {
                window.push(features, target, at, index as f64 + 1.0, folds[at]);
            }
        });
    }
    (whole, window)
}

/// Runs a life from row `start` on and shows the features of every `stride`-th row.
fn walk(
    path: &PathModel,
    life: &Life,
    start: usize,
    stride: usize,
    mut show: impl FnMut(usize, &[f32]),
) {
    let age = if start == 0 { life.age } else { None };
    let mut state = path.start(age);
    for (index, row) in life.rows.iter().enumerate().skip(start) {
        path.push(&mut state, row);
        if (index + 1) % stride == 0 && state.rows() >= MIN_ROWS {
            show(index, &path.features(&state));
        }
    }
}
