//! May a model speak of probability?

use serde::{Deserialize, Serialize};
use telemetry::Explanation;

use super::{Calibration, Reliability};

/// With fewer assets nothing can be said about calibration.
const MIN_ASSETS: usize = 10;
/// The coverage of the 80 % interval must be compatible with these bounds. Below, the model is
/// too sure of itself; above, its intervals are so wide that they mean something else.
const COVERAGE: (f64, f64) = (0.72, 0.95);
/// Standard errors within which a measured coverage is compatible with a bound.
const TOLERANCE: f64 = 2.0;
/// What was said and what happened may differ by this much on average, beyond what chance makes of
/// so few rows.
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
        reason: Explanation,
    },
}

impl Served {
    /// What speaks against probabilities; nothing where they are served.
    pub fn doubt(&self) -> Option<&Explanation> {
        match self {
            Self::Probability => None,
            Self::Rank { reason } => Some(reason),
        }
    }
}

impl From<Option<Explanation>> for Served {
    fn from(doubt: Option<Explanation>) -> Self {
        doubt.map_or(Self::Probability, |reason| Self::Rank { reason })
    }
}

/// A reason in both languages.
pub(crate) fn words(en: impl Into<String>, zh: impl Into<String>) -> Explanation {
    Explanation {
        en: en.into(),
        zh: zh.into(),
    }
}

impl Calibration {
    /// The verdict on remaining lives: interval coverage, PIT, and every horizon's table.
    pub fn judge(&self) -> Served {
        self.doubt().into()
    }

    fn doubt(&self) -> Option<Explanation> {
        let checked = self.assets;
        if checked < MIN_ASSETS {
            return Some(words(
                format!("{checked} lives were checked, at least {MIN_ASSETS} are needed"),
                format!("只检验了 {checked} 个寿命，至少需要 {MIN_ASSETS} 个"),
            ));
        }
        let slack = TOLERANCE * self.coverage_error;
        if self.coverage + slack < COVERAGE.0 || self.coverage - slack > COVERAGE.1 {
            let held = 100.0 * self.coverage;
            return Some(words(
                format!("the 80 % interval held {held:.0} % of the truths"),
                format!("80 % 区间只包含了 {held:.0} % 的真实值"),
            ));
        }
        if self.pit_p < MIN_PIT_P {
            let p = self.pit_p;
            return Some(words(
                format!("the truths do not fall evenly into the forecast (PIT, p = {p:.0e})"),
                format!("真实值在预测分布中分布不均（PIT，p = {p:.0e}）"),
            ));
        }
        self.horizons.iter().find_map(|horizon| {
            let Explanation { en, zh } = horizon.reliability.doubt()?;
            let cycles = horizon.horizon;
            Some(words(
                format!("within {cycles:.1} cycles: {en}"),
                format!("{cycles:.1} 个周期内：{zh}"),
            ))
        })
    }
}

impl Reliability {
    /// The verdict on a probability of its own.
    pub fn judge(&self) -> Served {
        let cases = self.rows as f64 * self.base_rate.min(1.0 - self.base_rate);
        if cases < MIN_CASES {
            return Some(words(
                format!("{cases:.0} cases were checked, at least {MIN_CASES} are needed"),
                format!("只检验了 {cases:.0} 个案例，至少需要 {MIN_CASES} 个"),
            ))
            .into();
        }
        self.doubt().into()
    }

    /// What speaks against these probabilities; nothing while there are too few cases to tell.
    fn doubt(&self) -> Option<Explanation> {
        let cases = self.rows as f64 * self.base_rate.min(1.0 - self.base_rate);
        if cases < MIN_CASES {
            return None;
        }
        if self.ece - self.ece_by_chance() > MAX_ECE {
            let points = 100.0 * self.ece;
            return Some(words(
                format!("what was said and what happened differ by {points:.0} points"),
                format!("预测与实际相差 {points:.0} 个百分点"),
            ));
        }
        (self.skill() <= 0.0).then(|| words("no better than the base rate", "不优于基准失效率"))
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
