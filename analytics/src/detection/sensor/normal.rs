//! What a healthy sensor is like, learned once: its resolution, its noise, how it moves.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, SignalName};

use super::track::{NOISE_WEIGHT, medians};
use crate::detection::learned::Learned;

/// The part of a signal in the signature of a failure mode (the cosine of the angle between the
/// two) from which the mode may be what moves it, even while its other signals hardly show.
pub(super) const EXPLAINED: f64 = 0.3;
/// Fewer differences than this say nothing about a sensor.
const MIN_DIFFERENCES: usize = 50;
/// A run is too long at so many halves of the longest one learned: 2.5 times.
const RUN_HALVES: u32 = 5;
/// Identical values in a row of a sensor that hardly ever repeats one: with noise above its
/// resolution even a repetition rate of a tenth gives such a run once in 10^10 values.
const MIN_RUN: u32 = 10;
/// The same for a coarse sensor, which repeats whenever the quantity stands still.
const MIN_RUN_COARSE: u32 = 30;
/// The noise is gone at this part of its usual size at most, …
const COLLAPSE: f64 = 0.2;
/// … and has burst from this many times on.
const BURST: f64 = 4.0;
/// Beyond the least and the most of the noise that was learned, by these factors.
const BEYOND_LEAST: f64 = 0.5;
const BEYOND_MOST: f64 = 2.5;

/// What is normal for one sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Normal {
    /// Mean of the level while learning, and its spread; the spread is 0 when it never moved.
    pub(super) centre: f64,
    pub(super) spread: f64,
    /// Mean size of a change from value to value; 0 when it cannot be judged by changes.
    pub(super) change: f64,
    /// The fastest change learned, in mean changes; at least 1.
    pub(super) fastest: f32,
    /// The largest move of the median of three against the three before, in mean changes.
    pub(super) largest_move: f32,
    /// The ends of what the noise may be, against its usual size.
    pub(super) least_noise: f32,
    pub(super) most_noise: f32,
    /// Identical values in a row from which it is stuck.
    pub(super) longest_run: u32,
    /// Share of samples without a value while learning.
    pub(super) missing: f32,
    /// The ends of its range; infinite when not declared.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether a failure mode explains that it alone rises or falls.
    pub(super) machine_raises: bool,
    pub(super) machine_lowers: bool,
}

impl Normal {
    pub(super) fn fit(
        learned: &Learned,
        slot: usize,
        name: &SignalName,
        model: Option<&AssetModel>,
    ) -> Self {
        let rows = (0..learned.recent_rows()).map(|row| learned.recent(slot, row));
        let all = learned.recent_rows().max(1);
        let values: Vec<f64> = rows.filter(|value| !value.is_nan()).collect();
        let missing = 1.0 - values.len() as f64 / all as f64;
        let (centre, spread) = level_of(learned, slot);
        let range = model
            .and_then(|model| model.signal(name))
            .and_then(|spec| spec.range);
        let (machine_raises, machine_lowers) =
            model.map_or((false, false), |model| explained(model, name));
        let mut normal = Self {
            centre,
            spread,
            change: 0.0,
            fastest: 1.0,
            largest_move: 1.0,
            least_noise: 0.0,
            most_noise: f32::INFINITY,
            longest_run: u32::MAX,
            missing: missing as f32,
            low: range.map_or(f64::NEG_INFINITY, |range| range.low),
            high: range.map_or(f64::INFINITY, |range| range.high),
            machine_raises,
            machine_lowers,
        };
        normal.learn_changes(&values);
        normal
    }

    /// Of a signal that only counts up: how it moves says when the machine ran, and nothing of
    /// its sensor.
    pub(super) fn of_counter(self) -> Self {
        Self {
            spread: 0.0,
            change: 0.0,
            fastest: 1.0,
            largest_move: 1.0,
            longest_run: u32::MAX,
            ..self
        }
    }

    fn learn_changes(&mut self, values: &[f64]) {
        let changes: Vec<f64> = values
            .windows(2)
            .map(|two| (two[1] - two[0]).abs())
            .collect();
        if changes.len() < MIN_DIFFERENCES {
            return;
        }
        let moving = changes.iter().filter(|change| **change > 0.0);
        let resolution = moving.copied().fold(f64::INFINITY, f64::min);
        let mean = changes.iter().sum::<f64>() / changes.len() as f64;
        if !(mean > 0.0 && mean.is_finite()) {
            return;
        }
        // A coarse sensor moves by whole steps of its resolution, however seldom it did so.
        self.change = mean.max(resolution / 4.0);
        let fastest = changes.iter().copied().fold(resolution, f64::max);
        self.fastest = (fastest / self.change).max(1.0) as f32;
        let moves = values.windows(6).map(|six| {
            let (before, after) = medians(six);
            (after - before).abs()
        });
        let largest = moves.fold(resolution, f64::max);
        self.largest_move = (largest / self.change).max(1.0) as f32;
        self.longest_run = run_limit(&changes);
        let (least, most) = noise_range(&changes, self.change);
        self.least_noise = (least * BEYOND_LEAST).min(COLLAPSE) as f32;
        self.most_noise = (most * BEYOND_MOST).max(BURST) as f32;
    }

    pub(super) fn is_consistent(&self) -> bool {
        let finite = [self.centre, self.spread, self.change];
        finite.iter().all(|number| number.is_finite())
            && self.spread >= 0.0
            && self.change >= 0.0
            && self.fastest >= 1.0
            && self.largest_move >= 1.0
    }
}

/// Mean and standard deviation of the smoothed level; 0 and 0 without any.
fn level_of(learned: &Learned, slot: usize) -> (f64, f64) {
    let seen = || learned.level(slot).iter().copied().filter(|v| !v.is_nan());
    let count = seen().count() as f64;
    if count < 2.0 {
        return (0.0, 0.0);
    }
    let mean = seen().sum::<f64>() / count;
    let spread = (seen().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt();
    // Below a billionth of the level lies rounding, not movement.
    let moved = spread.is_finite() && spread > 1e-9 * mean.abs();
    (mean, if moved { spread } else { 0.0 })
}

/// The longest run of repetitions that may still be healthy.
fn run_limit(changes: &[f64]) -> u32 {
    let (mut run, mut longest) = (0_u32, 0_u32);
    for change in changes {
        run = if *change == 0.0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let least = if longest <= 1 {
        MIN_RUN
    } else {
        MIN_RUN_COARSE
    };
    (longest.saturating_mul(RUN_HALVES) / 2).max(least)
}

/// The least and the most of the running noise over the learned changes, against their mean.
fn noise_range(changes: &[f64], mean: f64) -> (f64, f64) {
    let (mut noise, mut least, mut most) = (1.0, 1.0_f64, 1.0_f64);
    for change in changes {
        noise += NOISE_WEIGHT * (change / mean - noise);
        least = least.min(noise);
        most = most.max(noise);
    }
    (least, most)
}

/// Whether a failure mode of the model explains a rise, or a fall, of this signal alone.
fn explained(model: &AssetModel, name: &SignalName) -> (bool, bool) {
    let mut found = (false, false);
    for mode in &model.failure_modes {
        let square: f64 = mode.signature.iter().map(|t| t.weight * t.weight).sum();
        let own = mode.signature.iter().find(|term| term.signal == *name);
        let cosine = own.map_or(0.0, |term| term.weight / square.sqrt());
        found.0 |= cosine >= EXPLAINED;
        found.1 |= cosine <= -EXPLAINED;
    }
    found
}
