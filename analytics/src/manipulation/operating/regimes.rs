//! Load regimes: the ways of running that commissioning has shown.
//!
//! The levels of the signals that are commanded (speed, current, power: not those in
//! which a fault would show first) are clustered by k-means with a fixed seed. The largest
//! number of clusters counts for which every pair is clearly apart, each holds a fair part of
//! the points, and the machine came to each more than once; else there is one regime. That
//! is strict on purpose: two regimes where there is one split the evidence and hide a change
//! between them, one regime where there are two only widens what is normal.
//!
//! # Source
//! Ashman, Bird & Zepf (1994), Detecting bimodality in astronomical datasets, AJ 108, 2348:
//! D = √2 |μ₁ − μ₂| / √(σ₁² + σ₂²), a clean separation above 2. Here with medians and
//! median deviations, so that the way from one regime to the other does not count.

use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_clustering::KMeans;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, Quantity, SignalName, Unit};

use crate::detection::learned::Learned;

/// Two regimes are at least this far apart. A load that swings as a sine gives 3.5 between its
/// two halves, an even spread 3.3; two levels whose spread is a third of the way give 6.
const APART: f64 = 6.0;
/// Every regime holds at least this part of the points.
const LEAST_SHARE: f64 = 0.1;
/// The machine came to every regime at least this often: a level that was entered once might as
/// well be a drift or a change of the machine.
const VISITS: u32 = 2;
/// A visit is at least this many points of the learned stretch, so that passing by is none.
const VISIT_POINTS: u32 = 3;
/// Fewer points than this show no regimes.
const MIN_POINTS: usize = 64;
/// Most signals that tell regimes apart.
const MAX_SIGNALS: usize = 4;
/// A median deviation times this is the standard deviation of a normal distribution.
const NORMAL_MAD: f64 = 1.4826;

/// The regimes of a machine; without centres there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Regimes {
    /// The slots that tell.
    slots: Vec<u16>,
    /// The standard deviation of each, which distances are counted in.
    spreads: Vec<f64>,
    /// One row a regime, one number a slot, in the unit of the signal.
    centres: Vec<Vec<f64>>,
}

impl Regimes {
    /// One regime; the signals that will tell more are those the model names, else the
    /// commanded ones by their unit.
    pub(super) fn of(names: &[SignalName], model: Option<&AssetModel>) -> Self {
        let declared = model.map_or(&[][..], |model| &model.operating.regime_signals);
        let tells = |name: &&SignalName| {
            if !declared.is_empty() {
                return declared.contains(name);
            }
            let unit = model
                .and_then(|model| model.signal(name))
                .map(|spec| spec.unit)
                .or_else(|| Unit::from_signal_name(name.as_str()));
            unit.is_some_and(|unit| {
                matches!(
                    unit.quantity(),
                    Quantity::RotationalSpeed | Quantity::Current | Quantity::Power
                )
            })
        };
        let slots = names.iter().enumerate().filter(|(_, name)| tells(name));
        Self {
            slots: slots
                .map(|(slot, _)| slot as u16)
                .take(MAX_SIGNALS)
                .collect(),
            spreads: Vec::new(),
            centres: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.centres.len().max(1)
    }

    /// The nearest regime; None when there is only one, or a signal has no value.
    pub(super) fn nearest(&self, value: &impl Fn(usize) -> f64) -> Option<u8> {
        let distance = |centre: &Vec<f64>| -> f64 {
            let parts = self.slots.iter().zip(centre).zip(&self.spreads);
            parts
                .map(|((slot, centre), spread)| {
                    ((value(usize::from(*slot)) - centre) / spread).powi(2)
                })
                .sum()
        };
        let mut nearest: Option<(u8, f64)> = None;
        for (at, centre) in self.centres.iter().enumerate() {
            let distance = distance(centre);
            if distance.is_nan() {
                return None;
            }
            if nearest.is_none_or(|(_, least)| distance < least) {
                nearest = Some((at as u8, distance));
            }
        }
        nearest.map(|(at, _)| at)
    }

    /// Learns at most `most` regimes from the levels of a learned stretch.
    pub(super) fn fit(&mut self, learned: &Learned, most: u8) {
        self.spreads.clear();
        self.centres.clear();
        self.slots
            .retain(|slot| usize::from(*slot) < learned.slots());
        let Some((points, means, spreads)) = self.points(learned) else {
            return;
        };
        for k in (2..=usize::from(most)).rev() {
            let Some(centres) = separate(&points, k) else {
                continue;
            };
            let scaled = |row: Vec<f64>| {
                let parts = row.iter().zip(&means).zip(&spreads);
                parts.map(|((z, mean), spread)| mean + z * spread).collect()
            };
            self.centres = centres.into_iter().map(scaled).collect();
            self.spreads = spreads;
            return;
        }
    }

    /// Standardised points with a value of every signal, in the order of time; None when they
    /// are too few. Signals that never moved are left out.
    fn points(&mut self, learned: &Learned) -> Option<(Array2<f64>, Vec<f64>, Vec<f64>)> {
        let (mut means, mut spreads) = (Vec::new(), Vec::new());
        self.slots.retain(|slot| {
            let level = learned.level(usize::from(*slot));
            let seen: Vec<f64> = level.iter().copied().filter(|v| !v.is_nan()).collect();
            let count = seen.len().max(1) as f64;
            let mean = seen.iter().sum::<f64>() / count;
            let spread = (seen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
            let moves = spread.is_finite() && spread > 1e-9 * mean.abs();
            if moves {
                means.push(mean);
                spreads.push(spread);
            }
            moves
        });
        let slots = &self.slots;
        let length = slots
            .first()
            .map_or(0, |slot| learned.level(usize::from(*slot)).len());
        let mut flat = Vec::new();
        for at in 0..length {
            let row = slots
                .iter()
                .zip(&means)
                .zip(&spreads)
                .map(|((slot, mean), spread)| {
                    (learned.level(usize::from(*slot))[at] - mean) / spread
                });
            let from = flat.len();
            flat.extend(row);
            if flat[from..].iter().any(|z| z.is_nan()) {
                flat.truncate(from);
            }
        }
        let rows = flat.len().checked_div(slots.len())?;
        if rows < MIN_POINTS {
            return None;
        }
        let points = Array2::from_shape_vec((rows, slots.len()), flat).ok()?;
        Some((points, means, spreads))
    }

    pub(super) fn is_consistent(&self, slots: usize) -> bool {
        let width = self.slots.len();
        self.slots.iter().all(|slot| usize::from(*slot) < slots)
            && self.centres.iter().all(|centre| centre.len() == width)
            && (self.centres.is_empty() || self.spreads.len() == width)
            && self.spreads.iter().all(|spread| *spread > 0.0)
    }
}

/// The centres of `k` clusters if they are regimes, by rising first coordinate.
fn separate(points: &Array2<f64>, k: usize) -> Option<Vec<Vec<f64>>> {
    let dataset = DatasetBase::from(points.clone());
    let model = KMeans::params(k).fit(&dataset).ok()?;
    let labels = model.predict(points).to_vec();
    let centres: Vec<Vec<f64>> = model
        .centroids()
        .rows()
        .into_iter()
        .map(|row| row.to_vec())
        .collect();
    let fair = LEAST_SHARE * labels.len() as f64;
    for label in 0..k {
        let size = labels.iter().filter(|own| **own == label).count();
        if (size as f64) < fair || visits(&labels, label) < VISITS {
            return None;
        }
        for other in 0..label {
            if apart(points, &labels, &centres, (label, other)) < APART {
                return None;
            }
        }
    }
    let mut centres = centres;
    centres.sort_by(|a, b| a[0].total_cmp(&b[0]));
    Some(centres)
}

/// How often the machine came to a cluster and stayed.
fn visits(labels: &[usize], label: usize) -> u32 {
    let (mut run, mut visits) = (0, 0);
    for own in labels {
        run = if *own == label { run + 1 } else { 0 };
        visits += u32::from(run == VISIT_POINTS);
    }
    visits
}

/// Ashman's D of two clusters along the line through their centres.
fn apart(
    points: &Array2<f64>,
    labels: &[usize],
    centres: &[Vec<f64>],
    pair: (usize, usize),
) -> f64 {
    let line: Vec<f64> = centres[pair.0]
        .iter()
        .zip(&centres[pair.1])
        .map(|(a, b)| a - b)
        .collect();
    let along = |label: usize| {
        let mut values: Vec<f64> = points
            .rows()
            .into_iter()
            .zip(labels)
            .filter(|(_, own)| **own == label)
            .map(|(row, _)| row.iter().zip(&line).map(|(z, d)| z * d).sum())
            .collect();
        let centre = median(&mut values);
        let mut away: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
        (centre, NORMAL_MAD * median(&mut away))
    };
    let ((a, spread_a), (b, spread_b)) = (along(pair.0), along(pair.1));
    std::f64::consts::SQRT_2 * (a - b).abs() / spread_a.hypot(spread_b)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
