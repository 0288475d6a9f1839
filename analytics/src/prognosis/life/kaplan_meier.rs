//! The survival curve without assumptions.
//!
//! # Source
//! Kaplan & Meier, "Nonparametric estimation from incomplete observations", JASA 53 (1958);
//! variance by Greenwood (1926); limits on the scale log(−log S), which keeps them inside 0..1
//! (Kalbfleisch & Prentice, "The Statistical Analysis of Failure Time Data", 2002, §1.4). Late
//! entries count as at risk from their entry on.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::LifeRecord;
use crate::prognosis::distribution::RulDistribution;

/// The curve after one age at which something failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The age.
    pub age: f64,
    /// Lives watched just before it.
    pub at_risk: u32,
    /// Lives that failed at it.
    pub failures: u32,
    /// The probability of lasting longer.
    pub survival: f64,
    /// Greenwood's sum Σ d / (n (n − d)): the variance of the survival divided by its square.
    /// Infinite once nothing is left.
    pub relative_variance: f64,
}

/// A survival curve: a step at each age of failure, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KaplanMeier {
    /// The steps.
    pub steps: Vec<Step>,
}

/// The survival curve of lives. Records whose end is not after their entry, or not a number,
/// were not watched and are left out.
pub fn kaplan_meier(records: &[LifeRecord]) -> KaplanMeier {
    let watched = |r: &&LifeRecord| r.duration > r.entered;
    let mut ends: Vec<(f64, bool)> = Vec::new();
    let mut entries: Vec<f64> = Vec::new();
    for record in records.iter().filter(watched) {
        ends.push((record.duration, record.failed));
        entries.push(record.entered);
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    entries.sort_by(f64::total_cmp);
    let (mut survival, mut relative_variance) = (1.0, 0.0);
    let mut steps = Vec::new();
    let mut ended = 0;
    for group in ends.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let age = group[0].0;
        let entered = entries.partition_point(|entry| *entry < age);
        let at_risk = (entered - ended) as u32;
        let failures = group.iter().filter(|(_, failed)| *failed).count() as u32;
        ended += group.len();
        if failures == 0 {
            continue;
        }
        let (n, d) = (f64::from(at_risk), f64::from(failures));
        survival *= 1.0 - d / n;
        relative_variance += d / (n * (n - d));
        steps.push(Step {
            age,
            at_risk,
            failures,
            survival,
            relative_variance,
        });
    }
    KaplanMeier { steps }
}

impl KaplanMeier {
    /// The last step at or before an age.
    fn at(&self, age: f64) -> Option<&Step> {
        let after = self.steps.partition_point(|step| step.age <= age);
        after.checked_sub(1).map(|at| &self.steps[at])
    }

    /// The probability of lasting longer than an age.
    pub fn survival(&self, age: f64) -> f64 {
        self.at(age).map_or(1.0, |step| step.survival)
    }

    /// Limits of the survival at an age with this confidence (0 to 1), as (low, high). Before
    /// the first failure (1, 1), once nothing is left (0, 1): the data say no more.
    pub fn interval(&self, age: f64, confidence: f64) -> (f64, f64) {
        let Some(step) = self.at(age) else {
            return (1.0, 1.0);
        };
        if step.survival <= 0.0 {
            return (0.0, 1.0);
        }
        let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence.clamp(0.0, 0.9999)));
        let log = step.survival.ln();
        let half = z * step.relative_variance.sqrt() / log.abs();
        (
            step.survival.powf(half.exp()),
            step.survival.powf((-half).exp()),
        )
    }

    /// The age at which half has failed; none while more than half has survived.
    pub fn median(&self) -> Option<f64> {
        let step = self.steps.iter().find(|step| step.survival <= 0.5)?;
        Some(step.age)
    }

    /// The remaining life of a part of this age, from the curve alone. What lasted beyond the
    /// last failure has no end in it. None beyond the last age at which anything survived.
    pub fn remaining(&self, age: f64) -> Option<RulDistribution> {
        let now = self.survival(age);
        if now <= 0.0 {
            return None;
        }
        let later = self.steps.iter().filter(|step| step.age > age);
        let left: Vec<(f64, f64)> = later
            .map(|step| (step.age - age, 1.0 - step.survival / now))
            .collect();
        RulDistribution::from_quantile_function(|level| {
            // The level 0 is the first failure, not the present.
            let level = level.max(1e-9);
            let at = left.partition_point(|(_, gone)| *gone < level - 1e-12);
            left.get(at).map_or(f64::INFINITY, |(time, _)| *time)
        })
    }
}
