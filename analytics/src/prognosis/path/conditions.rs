//! Operating conditions: what a signal reads at full load says nothing until it is compared
//! with what it usually reads at full load.
//!
//! Settings are grouped into conditions: the fewest groups that leave at most a thousandth of
//! the settings' variance, twelve at most. Groups found in noise are harmless but blur, so
//! conditions are used only when they explain a part of the signals; else there is one.
//! Values are then counted in standard deviations from the mean of their condition.
//!
//! Everything is relative to spreads, so that units and offsets do not matter.

use serde::{Deserialize, Serialize};

use crate::prognosis::lives::{CycleRow, Life};

/// Most conditions: with more, too few rows of each are seen to know what is usual.
const MOST_CONDITIONS: usize = 12;
/// Conditions leave at most this part of the settings' variance.
const VARIANCE_LEFT: f64 = 1e-3;
/// Conditions that explain less of the signals' variance than this are not worth the blur.
const LEAST_EXPLAINED: f64 = 0.1;
/// Fewest rows of a condition whose spread is believed; fewer join the nearest one.
const FEWEST_ROWS: usize = 30;
/// Rows that conditions are looked for in; more do not move a centre.
const ROWS_LOOKED_AT: usize = 20_000;
/// A spread below this part of the largest value is rounding, not movement.
const CONSTANT: f64 = 1e-9;
/// Values are cut here, in standard deviations: one broken reading shall not own the history.
const CUT: f64 = 12.0;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// Of each setting: mean and one over its spread, 0 when it does not move.
    settings: Vec<(f64, f64)>,
    /// In scaled settings; the most common one first. Empty: one condition.
    centres: Vec<Vec<f64>>,
    /// The signals that move in every condition.
    kept: Vec<usize>,
    /// Of each condition, of each kept signal: mean and one over its spread.
    usual: Vec<Vec<(f64, f64)>>,
}

impl Conditions {
    /// Learns from all rows of all lives what is usual. `signals` is the number of values a row
    /// should have; missing ones are NaN or absent.
    pub fn fit(signals: usize, lives: &[Life]) -> Self {
        let rows: Vec<&CycleRow> = lives.iter().flat_map(|life| &life.rows).collect();
        let step = rows.len().div_ceil(ROWS_LOOKED_AT).max(1);
        let some: Vec<&CycleRow> = rows.iter().step_by(step).copied().collect();
        let mut conditions = Self {
            settings: scales(&some),
            centres: Vec::new(),
            kept: Vec::new(),
            usual: Vec::new(),
        };
        let scaled: Vec<Vec<f64>> = some.iter().map(|row| conditions.scaled(row)).collect();
        conditions.centres = centres(&scaled);
        if conditions.explained(signals, &some) < LEAST_EXPLAINED {
            conditions.centres.clear();
        }
        conditions.learn_usual(signals, &rows);
        conditions
    }

    /// Number of conditions.
    pub fn count(&self) -> usize {
        self.centres.len().max(1)
    }

    /// The signals that are used, as indices into the values of a row.
    pub fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// The condition of a row: the nearest one by the settings it has.
    pub fn of(&self, row: &CycleRow) -> usize {
        if self.centres.len() < 2 {
            return 0;
        }
        nearest(&self.centres, &self.scaled(row))
    }

    /// The values of the kept signals in standard deviations from the mean of their condition;
    /// NaN where a value is missing.
    pub fn normalised<'a>(&'a self, row: &'a CycleRow) -> impl Iterator<Item = f64> + 'a {
        let usual = &self.usual[self.of(row)];
        self.kept.iter().zip(usual).map(|(&signal, (mean, scale))| {
            let value = row.values.get(signal).copied().unwrap_or(f64::NAN);
            let z = (value - mean) * scale;
            if z.is_nan() { z } else { z.clamp(-CUT, CUT) }
        })
    }

    /// Whether a decoded value can be worked with.
    pub(crate) fn is_sound(&self) -> bool {
        let settings = self.settings.len();
        self.usual.len() == self.count()
            && self
                .usual
                .iter()
                .all(|usual| usual.len() == self.kept.len())
            && self.centres.iter().all(|centre| centre.len() == settings)
    }

    fn scaled(&self, row: &CycleRow) -> Vec<f64> {
        let value = |(at, (mean, scale)): (usize, &(f64, f64))| {
            let value = row.settings.get(at).copied().unwrap_or(f64::NAN);
            // A missing setting tells nothing; 0 is the middle.
            let z = (value - mean) * scale;
            if z.is_finite() { z } else { 0.0 }
        };
        self.settings.iter().enumerate().map(value).collect()
    }

    /// The part of the variance of the signals that the conditions explain, on average over
    /// the signals that move.
    fn explained(&self, signals: usize, rows: &[&CycleRow]) -> f64 {
        let labels: Vec<usize> = rows.iter().map(|row| self.of(row)).collect();
        let (mut sum, mut moving) = (0.0, 0);
        for signal in 0..signals {
            let mut all = Moments::default();
            let mut each = vec![Moments::default(); self.count()];
            for (row, &label) in rows.iter().zip(&labels) {
                let value = row.values.get(signal).copied().unwrap_or(f64::NAN);
                all.push(value);
                each[label].push(value);
            }
            if all.is_moving() {
                let within: f64 = each.iter().map(|one| one.squares).sum();
                sum += 1.0 - within / all.squares;
                moving += 1;
            }
        }
        if moving == 0 {
            0.0
        } else {
            sum / f64::from(moving)
        }
    }

    fn learn_usual(&mut self, signals: usize, rows: &[&CycleRow]) {
        let mut each = vec![vec![Moments::default(); signals]; self.count()];
        for row in rows {
            let of = self.of(row);
            for (moments, value) in each[of].iter_mut().zip(&row.values) {
                moments.push(*value);
            }
        }
        self.kept = (0..signals)
            .filter(|&signal| each.iter().all(|condition| condition[signal].is_moving()))
            .collect();
        let usual = |moments: &Moments| (moments.mean, 1.0 / moments.spread());
        self.usual = each
            .iter()
            .map(|condition| self.kept.iter().map(|&s| usual(&condition[s])).collect())
            .collect();
    }
}

/// Mean and sum of squared deviations (Welford 1962), and the largest magnitude.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    largest: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1.0;
        let step = value - self.mean;
        self.mean += step / self.count;
        self.squares += step * (value - self.mean);
        self.largest = self.largest.max(value.abs());
    }

    fn spread(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }

    fn is_moving(&self) -> bool {
        self.count >= 2.0 && self.spread().is_finite() && self.spread() > CONSTANT * self.largest
    }
}

fn scales(rows: &[&CycleRow]) -> Vec<(f64, f64)> {
    let settings = rows.iter().map(|row| row.settings.len()).max().unwrap_or(0);
    let mut moments = vec![Moments::default(); settings];
    for row in rows {
        for (moments, value) in moments.iter_mut().zip(&row.settings) {
            moments.push(*value);
        }
    }
    let scale = |m: &Moments| (m.mean, if m.is_moving() { 1.0 / m.spread() } else { 0.0 });
    moments.iter().map(scale).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn nearest(centres: &[Vec<f64>], point: &[f64]) -> usize {
    let to = |at: &usize| distance(&centres[*at], point);
    (0..centres.len())
        .min_by(|a, b| to(a).total_cmp(&to(b)))
        .unwrap_or(0)
}

/// The fewest centres that leave little of the variance, the most common first; none when one
/// is enough. Each new one begins at the point that is farthest from all before it (Gonzalez
/// 1985), which finds separate groups in any order of rows; Lloyd's steps follow.
fn centres(points: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let Some(first) = points.first() else {
        return Vec::new();
    };
    let mut centres = vec![vec![0.0; first.len()]];
    let total: f64 = points.iter().map(|p| distance(p, &centres[0])).sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let left = |centres: &[Vec<f64>]| -> f64 {
        let each = points
            .iter()
            .map(|p| distance(p, &centres[nearest(centres, p)]));
        each.sum::<f64>() / total
    };
    while centres.len() < MOST_CONDITIONS && left(&centres) > VARIANCE_LEFT {
        let to = |p: &&Vec<f64>| distance(p, &centres[nearest(&centres, p)]);
        let Some(farthest) = points.iter().max_by(|a, b| to(a).total_cmp(&to(b))) else {
            break;
        };
        centres.push(farthest.clone());
        for _ in 0..10 {
            centres = moved(&centres, points, 1);
        }
    }
    moved(&centres, points, FEWEST_ROWS)
}

/// One step of Lloyd's algorithm: each centre in the middle of its points, the one with most
/// points first; centres with fewer than `least` points are dropped.
fn moved(centres: &[Vec<f64>], points: &[Vec<f64>], least: usize) -> Vec<Vec<f64>> {
    let mut sums = vec![(0_usize, vec![0.0; points[0].len()]); centres.len()];
    for point in points {
        let (count, sum) = &mut sums[nearest(centres, point)];
        *count += 1;
        sum.iter_mut().zip(point).for_each(|(s, p)| *s += p);
    }
    sums.retain(|(count, _)| *count >= least);
    sums.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let middle = |(count, sum): &(usize, Vec<f64>)| {
        let n = *count as f64;
        sum.iter().map(|s| s / n).collect()
    };
    sums.iter().map(middle).collect()
}
