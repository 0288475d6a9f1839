//! Calibration is part of a model: do its probabilities come true on lives it has not seen?
//!
//! [`Calibration::of`] looks at forecasts for assets that the model was not fitted to (out of
//! fold, grouped by asset), and [`Calibration::judge`] says whether the model may speak of
//! probability at all. A model that fails its bound still ranks assets, and says why it does no
//! more.
//!
//! Forecasts of one asset are one story told many times, so their number says little: every
//! asset counts alike, and the test of the PIT uses one forecast of each.
//!
//! # Source
//! Gneiting, Balabdaoui & Raftery, "Probabilistic forecasts, calibration and sharpness", JRSS B
//! 69 (2007) for PIT and coverage.

mod beta;
mod isotonic;
mod judge;
mod reliability;

pub use beta::Beta;
pub use isotonic::Isotonic;
pub(crate) use judge::words;
pub use judge::{Served, kolmogorov_p};
pub use reliability::{BINS, Bin, Reliability};

use serde::{Deserialize, Serialize};

use super::distribution::RulDistribution;

/// The central interval that is checked, and drawn.
pub const INTERVAL: f64 = 0.8;
/// Bins of the PIT histogram.
const PIT_BINS: usize = 10;
/// Draws of one forecast an asset for the test of the PIT; the median of their p-values counts.
const DRAWS: u64 = 25;

/// A forecast with what happened.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// Any number that tells assets (or their lives) apart.
    pub asset: u32,
    /// The remaining life that it had.
    pub truth: f64,
    /// What was said, by a model that had not seen this asset.
    pub forecast: &'a RulDistribution,
}

/// How well "fails within the horizon" came true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Horizon {
    /// The horizon, in the unit of the forecasts.
    pub horizon: f64,
    /// The table of its probabilities.
    pub reliability: Reliability,
}

/// What is known about a model's honesty. See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Assets (lives) that were checked.
    pub assets: usize,
    /// Forecasts that were checked.
    pub rows: usize,
    /// Share of the truths inside the [`INTERVAL`] interval, each asset counting alike.
    pub coverage: f64,
    /// Standard error of the coverage, over assets.
    pub coverage_error: f64,
    /// Mean width of the interval over forecasts where it is finite.
    pub width: f64,
    /// Share of forecasts in each tenth of the PIT; all alike is perfect.
    pub pit: Vec<f64>,
    /// Kolmogorov–Smirnov p-value of the PIT, one forecast an asset.
    pub pit_p: f64,
    /// Tables by horizon.
    pub horizons: Vec<Horizon>,
}

impl Calibration {
    /// Checks forecasts against what happened, at these horizons. None without forecasts.
    pub fn of(rows: &[Checked<'_>], horizons: &[f64]) -> Option<Self> {
        if rows.is_empty() {
            return None;
        }
        let mut by_asset: Vec<Vec<&Checked<'_>>> = Vec::new();
        let mut sorted: Vec<&Checked<'_>> = rows.iter().collect();
        sorted.sort_by_key(|row| row.asset);
        for asset in sorted.chunk_by(|a, b| a.asset == b.asset) {
            by_asset.push(asset.to_vec());
        }
        let covered: Vec<f64> = by_asset.iter().map(|rows| covered(rows)).collect();
        let n = covered.len() as f64;
        let coverage = covered.iter().sum::<f64>() / n;
        let spread: f64 = covered.iter().map(|c| (c - coverage).powi(2)).sum();
        let widths = rows.iter().map(|row| {
            let (low, high) = row.forecast.interval(INTERVAL);
            high - low
        });
        let finite: Vec<f64> = widths.filter(|w| w.is_finite()).collect();
        let mut pit = vec![0.0; PIT_BINS];
        for (at, row) in rows.iter().enumerate() {
            let level = spread_pit(row, chance(at as u64));
            pit[((level * PIT_BINS as f64) as usize).min(PIT_BINS - 1)] += 1.0 / rows.len() as f64;
        }
        let tables = horizons.iter().filter_map(|&horizon| {
            let said = |row: &Checked<'_>| {
                (
                    row.forecast.probability_within(horizon),
                    row.truth <= horizon,
                )
            };
            let reliability = Reliability::of(rows.iter().map(said))?;
            Some(Horizon {
                horizon,
                reliability,
            })
        });
        Some(Self {
            assets: by_asset.len(),
            rows: rows.len(),
            coverage,
            coverage_error: (spread / n / (n - 1.0).max(1.0)).sqrt(),
            width: finite.iter().sum::<f64>() / finite.len().max(1) as f64,
            pit,
            pit_p: pit_p(&by_asset),
            horizons: tables.collect(),
        })
    }
}

/// The share of an asset's truths inside the interval.
fn covered(rows: &[&Checked<'_>]) -> f64 {
    let inside = rows.iter().filter(|row| {
        let (low, high) = row.forecast.interval(INTERVAL);
        low <= row.truth && row.truth <= high
    });
    inside.count() as f64 / rows.len() as f64
}

/// The PIT with its jump spread out by a number in 0..1, so that an honest forecast with atoms
/// (a cap, an end that nobody saw) is uniform too.
fn spread_pit(row: &Checked<'_>, part: f64) -> f64 {
    let (low, high) = row.forecast.jump(row.truth);
    low + part * (high - low)
}

/// The median p-value over draws of one forecast an asset.
fn pit_p(by_asset: &[Vec<&Checked<'_>>]) -> f64 {
    let mut p: Vec<f64> = (0..DRAWS)
        .map(|draw| {
            let one = by_asset.iter().enumerate().map(|(at, rows)| {
                let seed = draw * 1_000_003 + at as u64;
                let pick = (chance(seed) * rows.len() as f64) as usize;
                spread_pit(rows[pick.min(rows.len() - 1)], chance(seed ^ 0x5bd1_e995))
            });
            kolmogorov_p(&mut one.collect::<Vec<f64>>())
        })
        .collect();
    p.sort_by(f64::total_cmp);
    p[p.len() / 2]
}

/// A number in 0..1 that depends on a seed alone (the finaliser of `SplitMix64`).
fn chance(seed: u64) -> f64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
