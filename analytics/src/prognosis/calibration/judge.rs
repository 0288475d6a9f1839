//! May a model speak of probability?

use serde::{Deserialize, Serialize};

use super::{Calibration, Reliability};

/// With fewer assets nothing can be said about calibration.
const MIN_ASSETS: usize = 10;
/// The coverage of the 80 % interval must be compatible with these bounds. Below, the model is
/// too sure of itself; above, its intervals are so wide that they mean something else.
const COVERAGE: (f64, f64) = (0.72, 0.95);
/// Standard errors within which a measured coverage is compatible with a bound.
const TOLERANCE: f64 = 2.0;
/// What was said and what happened may differ by this much on average.
const MAX_ECE: f64 = 0.05;
/// With fewer cases of either kind a table of reliability shows nothing.
const MIN_CASES: f64 = 10.0;
/// The PIT of an honest model looks worse than this in one of a thousand trainings.
const MIN_PIT_P: f64 = 1e-3;

/// How a model's forecasts may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "served", rename_all = "snake_case")]
pub enum Served {
    /// As probabilities.
    Probability,
    /// Only as an order of who is worse off.
    Rank {
        /// Why not as probabilities.
        reason: String,
    },
}

impl Served {
    fn rank(reason: String) -> Self {
        Self::Rank { reason }
    }
}

impl Calibration {
    /// The verdict on remaining lives: interval coverage, PIT, and every horizon's table.
    pub fn judge(&self) -> Served {
        if self.assets < MIN_ASSETS {
            return Served::rank(format!(
                "{} lives were checked, at least {MIN_ASSETS} are needed",
                self.assets
            ));
        }
        let slack = TOLERANCE * self.coverage_error;
        if self.coverage + slack < COVERAGE.0 || self.coverage - slack > COVERAGE.1 {
            return Served::rank(format!(
                "the 80 % interval held {:.0} % of the truths",
                100.0 * self.coverage
            ));
        }
        if self.pit_p < MIN_PIT_P {
            return Served::rank(format!(
                "the truths do not fall evenly into the forecast (PIT, p = {:.0e})",
                self.pit_p
            ));
        }
        for horizon in &self.horizons {
            if let Some(reason) = horizon.reliability.doubt() {
                return Served::rank(format!("within {}: {reason}", horizon.horizon));
            }
        }
        Served::Probability
    }
}

impl Reliability {
    /// The verdict on a probability of its own.
    pub fn judge(&self) -> Served {
        let cases = self.rows as f64 * self.base_rate.min(1.0 - self.base_rate);
        if cases < MIN_CASES {
            return Served::rank(format!(
                "{cases:.0} cases were checked, at least {MIN_CASES} are needed"
            ));
        }
        self.doubt().map_or(Served::Probability, Served::rank)
    }

    /// What speaks against these probabilities; nothing while there are too few cases to tell.
    fn doubt(&self) -> Option<String> {
        let cases = self.rows as f64 * self.base_rate.min(1.0 - self.base_rate);
        if cases < MIN_CASES {
            return None;
        }
        if self.ece > MAX_ECE {
            return Some(format!(
                "what was said and what happened differ by {:.0} points",
                100.0 * self.ece
            ));
        }
        (self.skill() <= 0.0).then(|| "no better than the base rate".to_owned())
    }
}

/// The p-value of Kolmogorov's test that a sample, which is sorted in place, is uniform on
/// 0..=1. 1 for an empty sample.
///
/// # Source
/// Stephens, "Use of the Kolmogorov–Smirnov, Cramér–von Mises and related statistics without
/// extensive tables", JRSS B 32 (1970): the limiting distribution at
/// (√n + 0.12 + 0.11/√n) D, good to a few percent from five values on.
pub fn kolmogorov_p(sample: &mut [f64]) -> f64 {
    if sample.is_empty() {
        return 1.0;
    }
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let distance = sample
        .iter()
        .enumerate()
        .map(|(at, x)| f64::max((at as f64 + 1.0) / n - x, x - at as f64 / n))
        .fold(0.0, f64::max);
    let root = n.sqrt();
    let scaled = (root + 0.12 + 0.11 / root) * distance;
    // Below this the alternating series needs many terms for what is 1 anyway.
    if scaled < 0.3 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * f64::from(k * k) * scaled * scaled).exp()
    };
    (1..=20).map(term).sum::<f64>().clamp(0.0, 1.0)
}
