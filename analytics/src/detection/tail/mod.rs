//! Tail-calibrated statistics: is anything about a signal rarer than it has ever been?
//!
//! A signal alone has no partners to be compared with, so it is compared with its own past,
//! in nineteen ways (`statistics`). Each statistic is told on one scale, how rare this value
//! is in powers of ten (`rarity`), which needs no units and no tuning per signal; the score
//! is the plain mean of them all, because no subset is best everywhere.
//!
//! It never stops learning: with a memory of 8,000 values it gets used to what goes on. The
//! score holds itself for some rows and falls again, so one row beyond the limit is an alarm.

mod rarity;
mod statistics;

use serde::{Deserialize, Serialize};

use self::{
    rarity::{Floor, Rarities},
    statistics::{COUNT, LEVELS, LOGARITHMS, MEAN_20, Statistics},
};
use super::{
    detector::{Detector, LARGEST, Part, is_enough},
    healthy::STILL_SPREAD,
    learned::Learned,
};

/// The mean rarity that alarms: the middle of a plateau (1.35 to 1.55) over 29 recordings of
/// servers, traffic and machines, one value for all.
const LIMIT: f64 = 1.45;
/// Rows from which the tails start; a profile of thresholds at one in a hundred needs more
/// than a hundred.
const START_ROWS: usize = 150;
/// Resolution as a part of the first rows' deviation.
const RESOLUTION: f64 = 1e-3;
/// Least excess of a logarithm: one per cent of variability.
const LOGARITHM_EXCESS: f64 = 0.01;
/// Readings further apart than this (microseconds) show no shape of a day: 12 a day.
const MAX_DAY_STEP: i64 = 2 * 3_600 * 1_000_000;
/// A standard deviation in mean absolute deviations, for a normal distribution: √(π/2).
const DEVIATION: f64 = 1.253;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Series {
    slot: usize,
    statistics: Statistics,
    rarities: Rarities,
    /// Mean rarity of the last value; 0 for a missing one.
    score: f64,
    /// The mean of the last 20 values and its distance from the long run in deviations.
    level: f64,
    z: f64,
}

/// The tail-calibrated statistics of one device. State: 3.8 kB a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    series: Vec<Series>,
}

impl Detector for Tail {
    const NAME: &'static str = "tail";
    const VERSION: u16 = 1;
    const IS_HELD: bool = true;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let series: Vec<Series> = order
            .iter()
            .filter_map(|&slot| Series::fit(learned, slot))
            .collect();
        (!series.is_empty()).then_some(Self { series })
    }

    fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        if !is_enough(self.series.iter().map(|s| s.slot), &value) {
            return None;
        }
        let mut most = 0.0_f64;
        for series in &mut self.series {
            let x = value(series.slot);
            if x.is_nan() {
                (series.score, series.z) = (0.0, 0.0);
                continue;
            }
            series.step(at, x.clamp(-LARGEST, LARGEST));
            most = most.max(series.score);
        }
        Some(most / LIMIT)
    }

    fn parts(&self) -> Vec<Part> {
        let total: f64 = self.series.iter().map(|s| s.score).sum();
        let count = self.series.len() as f64;
        let part = |series: &Series| {
            let (mean, spread) = series.usual();
            Part {
                slot: series.slot,
                share: if total > 0.0 {
                    series.score / total
                } else {
                    1.0 / count
                },
                deviation: series.z,
                value: series.level + series.statistics.origin,
                normal: mean + series.statistics.origin,
                spread,
            }
        };
        self.series.iter().map(part).collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        for series in &self.series {
            visit(series.slot, series.z);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let sound = |s: &Series| s.slot < slots && s.statistics.is_consistent();
        !self.series.is_empty() && self.series.iter().all(sound)
    }
}

impl Series {
    /// None when there are too few values, or none that differ from 0.
    fn fit(learned: &Learned, slot: usize) -> Option<Self> {
        let rows = learned.recent_times().enumerate();
        let values: Vec<(i64, f64)> = rows
            .map(|(row, at)| (at, learned.recent(slot, row)))
            .filter(|(_, x)| !x.is_nan())
            .collect();
        let (start, rest) = values.split_at_checked(START_ROWS)?;
        let count = START_ROWS as f64;
        let mean = start.iter().map(|(_, x)| x).sum::<f64>() / count;
        let square = start
            .iter()
            .map(|(_, x)| (x - mean) * (x - mean))
            .sum::<f64>();
        let deviation = (square / count).sqrt();
        let resolution = RESOLUTION * deviation.max(STILL_SPREAD * mean.abs());
        if resolution <= 0.0 || !resolution.is_finite() {
            return None;
        }
        let span = start[START_ROWS - 1].0.saturating_sub(start[0].0);
        let has_days = span / (START_ROWS as i64 - 1) <= MAX_DAY_STEP;
        let mut statistics = Statistics::new(start[0].1, resolution, has_days);
        let first: Vec<[f64; COUNT]> = start
            .iter()
            .map(|&(at, x)| statistics.next(at, x))
            .collect();
        let mut series = Self {
            slot,
            statistics,
            rarities: Rarities::start(&first),
            score: 0.0,
            level: first[START_ROWS - 1][MEAN_20],
            z: 0.0,
        };
        for &(at, x) in rest {
            series.step(at, x);
        }
        Some(series)
    }

    fn step(&mut self, at: i64, x: f64) {
        let values = self.statistics.next(at, x);
        let mut least = [self.statistics.resolution; COUNT];
        least[LOGARITHMS].fill(LOGARITHM_EXCESS);
        let mut origin = [0.0; COUNT];
        origin[LEVELS].fill(self.statistics.origin);
        // A logarithm has no magnitude of its own (it depends on the unit): NaN takes no part
        // in a maximum.
        origin[LOGARITHMS].fill(f64::NAN);
        self.score = self.rarities.next(
            &values,
            Floor {
                least: &least,
                origin: &origin,
            },
        );
        self.level = values[MEAN_20];
        let (mean, spread) = self.usual();
        self.z = (self.level - mean) / spread;
    }

    /// The long-run mean, relative to the origin, and a healthy spread about it.
    fn usual(&self) -> (f64, f64) {
        let (mean, deviation) = self.rarities.usual(MEAN_20);
        (
            mean,
            (DEVIATION * deviation).max(self.statistics.resolution),
        )
    }
}
