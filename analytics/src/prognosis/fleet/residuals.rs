//! From a point forecast to a distribution: what remained when the same was said before.
//!
//! The forecasts made out of fold are sorted; the remaining lives behind the few hundred that
//! were nearest to a forecast are its distribution. Lives longer than the cap of learning count
//! as infinite, *longer than what was learned*. Quantiles are tabulated at knots between which
//! straight lines run, so that a forecast that moves a little changes its distribution a
//! little, and serving needs no sorting.

use serde::{Deserialize, Serialize};

use crate::prognosis::distribution::{LEVELS, RulDistribution};

/// Most neighbours of a forecast: with more they are not alike, with fewer a tail of a tenth
/// is a few rows.
const MOST_NEIGHBOURS: usize = 300;
/// Knots of the table.
const KNOTS: usize = 128;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Residuals {
    /// Rising point forecasts.
    knots: Vec<f32>,
    /// Of each knot [`LEVELS`] quantiles.
    quantiles: Vec<f32>,
}

/// A forecast out of fold: what was said (before it was cut to 0..cap), whose life it was,
/// and what remained, infinite beyond the cap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) raw: f64,
    pub(crate) asset: u32,
    pub(crate) remained: f64,
}

/// Forecasts in rising order.
pub(crate) struct Sorted {
    said: Vec<Said>,
    neighbours: usize,
}

impl Sorted {
    pub(crate) fn new(mut said: Vec<Said>) -> Self {
        said.sort_by(|a, b| a.raw.total_cmp(&b.raw));
        let neighbours = (said.len() / 10).clamp(1, MOST_NEIGHBOURS);
        Self { said, neighbours }
    }

    /// What remained at the forecasts nearest to `raw`, those of one asset left out.
    fn sample(&self, raw: f64, without: Option<u32>) -> Vec<f64> {
        let mut above = self.said.partition_point(|said| said.raw < raw);
        let mut below = above;
        let mut sample = Vec::with_capacity(self.neighbours);
        let gap = |said: Option<&Said>| said.map_or(f64::INFINITY, |said| (said.raw - raw).abs());
        while sample.len() < self.neighbours {
            let (low, high) = (
                below.checked_sub(1).map(|at| &self.said[at]),
                self.said.get(above),
            );
            let taken = match (low, high) {
                (None, None) => break,
                _ if gap(low) < gap(high) => {
                    below -= 1;
                    low
                }
                _ => {
                    above += 1;
                    high
                }
            };
            // Equal gaps at both ends cannot be taken twice: one of them is none.
            let Some(said) = taken else { break };
            if Some(said.asset) != without {
                sample.push(said.remained);
            }
        }
        sample
    }

    /// The distribution of a forecast of an asset that shall not speak for itself.
    pub(crate) fn without(&self, raw: f64, asset: u32) -> RulDistribution {
        let mut sample = self.sample(raw, Some(asset));
        RulDistribution::from_samples(&mut sample).unwrap_or_else(RulDistribution::endless)
    }

    /// The table for serving.
    pub(crate) fn table(&self) -> Residuals {
        let last = self.said.len().saturating_sub(1);
        let mut knots: Vec<f32> = (0..KNOTS)
            .filter_map(|knot| Some(self.said.get(knot * last / (KNOTS - 1))?.raw as f32))
            .collect();
        knots.dedup();
        let quantiles = knots.iter().flat_map(|&knot| {
            let mut sample = self.sample(f64::from(knot), None);
            let distribution =
                RulDistribution::from_samples(&mut sample).unwrap_or_else(RulDistribution::endless);
            let quantiles = distribution.quantiles().iter();
            quantiles.map(|q| *q as f32).collect::<Vec<f32>>()
        });
        Residuals {
            quantiles: quantiles.collect(),
            knots,
        }
    }
}

impl Residuals {
    /// The distribution of a forecast.
    pub(crate) fn around(&self, raw: f64) -> RulDistribution {
        let raw = raw as f32;
        let above = self.knots.partition_point(|knot| *knot < raw);
        let low = above.saturating_sub(1);
        let high = above.min(self.knots.len().saturating_sub(1));
        let (Some(a), Some(b)) = (self.row(low), self.row(high)) else {
            return RulDistribution::endless();
        };
        let width = self.knots[high] - self.knots[low];
        let part = if width > 0.0 {
            f64::from((raw - self.knots[low]) / width).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let between = |level: f64| {
            let at = (level * (LEVELS - 1) as f64).round() as usize;
            let (a, b) = (f64::from(a[at]), f64::from(b[at]));
            // There is no line to infinity: the nearer knot decides.
            if a.is_finite() && b.is_finite() {
                a + part * (b - a)
            } else if part < 0.5 {
                a
            } else {
                b
            }
        };
        RulDistribution::from_quantile_function(between).unwrap_or_else(RulDistribution::endless)
    }

    fn row(&self, knot: usize) -> Option<&[f32]> {
        self.quantiles.get(knot * LEVELS..(knot + 1) * LEVELS)
    }

    /// Whether a decoded table can be worked with.
    pub(crate) fn is_consistent(&self) -> bool {
        !self.knots.is_empty()
            && self.knots.is_sorted()
            && self.quantiles.len() == self.knots.len() * LEVELS
            && self.quantiles.iter().all(|q| *q >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(count: u32) -> Vec<Said> {
        (0..count)
            .map(|at| Said {
                raw: f64::from(at % 100),
                asset: at % 7,
                remained: f64::from(at % 100) + f64::from(at / 100 % 11) - 5.0,
            })
            .collect()
    }

    #[test]
    fn the_distribution_of_a_forecast_is_what_remained_when_the_same_was_said() {
        // At each forecast f the truths are f − 5 … f + 5, alike.
        let sorted = Sorted::new(said(30_000));
        let table = sorted.table();
        assert!(table.is_consistent());
        let around = table.around(50.0);
        for (level, expected) in [(0.1, 46.0), (0.5, 50.0), (0.9, 54.0)] {
            assert!((around.quantile(level) - expected).abs() <= 1.0);
        }
    }

    #[test]
    fn an_asset_does_not_speak_for_itself() {
        let mut said = said(1_000);
        said.extend((0..300).map(|_| Said {
            raw: 50.0,
            asset: 99,
            remained: 1_000.0,
        }));
        let sorted = Sorted::new(said);
        assert!(sorted.sample(50.0, None).iter().sum::<f64>() > 1e5);
        assert!(sorted.without(50.0, 99).quantile(1.0) < 200.0);
    }

    #[test]
    fn beyond_what_was_said_the_last_forecast_stands_for_all() {
        let table = Sorted::new(said(5_000)).table();
        assert_eq!(table.around(-100.0), table.around(0.0));
        assert_eq!(table.around(1e9), table.around(99.0));
        assert_eq!(
            Sorted::new(Vec::new()).table().around(1.0),
            RulDistribution::endless()
        );
    }
}
