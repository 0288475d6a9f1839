//! Remaining life as a distribution.
//!
//! A forecast is never one number. It is kept as the 101 quantiles at the levels 0.00, 0.01, …,
//! 1.00, straight lines between them: a form that any family can fill (a sample, a formula, an
//! extrapolation), that is small enough to be stored with each forecast, and on which every
//! score and every decision can be computed exactly.
//!
//! The time unit is the caller's (cycles, hours, seconds). Quantiles are 0 or more and do not
//! fall. From some level on they may be infinite: *longer than anything that was learned*; a
//! probability within a horizon is then still exact, while a mean needs a cap.
//!
//! Two equal neighbours are an atom (as "fails at once" or a life that was capped); the
//! distribution function jumps there.

mod mixture;
mod score;

use serde::{Deserialize, Serialize};

/// Steps between quantiles; levels are multiples of a hundredth.
const STEPS: usize = 100;
/// A level so close to one of the steps is that step: what multiplying by 100 loses.
const ROUNDING: f64 = 1e-9;
/// Number of quantiles.
pub const LEVELS: usize = STEPS + 1;
/// The hazard now is the mean hazard up to this quantile: an empirical forecast has no density
/// at a point, and a twentieth of the probability is the least that a few hundred neighbours
/// can tell.
const HAZARD_LEVEL: f64 = 0.05;

/// Remaining life: see the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Option<f64>>", into = "Vec<Option<f64>>")]
pub struct RulDistribution {
    /// [`LEVELS`] values, not falling, 0 or more, the last ones possibly infinite.
    quantiles: Vec<f64>,
}

/// A stored distribution that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a distribution has {LEVELS} quantiles that are 0 or more and do not fall")]
pub struct NotADistribution;

impl TryFrom<Vec<Option<f64>>> for RulDistribution {
    type Error = NotADistribution;

    fn try_from(stored: Vec<Option<f64>>) -> Result<Self, NotADistribution> {
        let value = |q: Option<f64>| q.unwrap_or(f64::INFINITY);
        let quantiles: Vec<f64> = stored.into_iter().map(value).collect();
        let in_range = quantiles.first().is_some_and(|q| *q >= 0.0);
        if quantiles.len() == LEVELS && in_range && quantiles.is_sorted() {
            Ok(Self { quantiles })
        } else {
            Err(NotADistribution)
        }
    }
}

impl From<RulDistribution> for Vec<Option<f64>> {
    fn from(distribution: RulDistribution) -> Self {
        let value = |q: f64| q.is_finite().then_some(q);
        distribution.quantiles.into_iter().map(value).collect()
    }
}

fn level_of(step: usize) -> f64 {
    step as f64 / STEPS as f64
}

/// A straight line from `a` to `b`; infinite as soon as it leaves `a` for an infinite `b`.
fn between(a: f64, b: f64, part: f64) -> f64 {
    if part <= 0.0 || b <= a {
        a
    } else {
        a + part * (b - a)
    }
}

impl RulDistribution {
    /// The empirical distribution of a sample, which is sorted in place: linear interpolation
    /// between order statistics (type 7 of Hyndman & Fan, numpy's default). Values below 0
    /// count as 0; `f64::INFINITY` says "longer than what was learned". None for an empty
    /// sample or one that holds a NaN.
    pub fn from_samples(samples: &mut [f64]) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|s| s.is_nan()) {
            return None;
        }
        samples.sort_by(f64::total_cmp);
        let last = samples.len() - 1;
        Self::from_quantile_function(|level| {
            let at = level * last as f64;
            let below = at as usize;
            between(
                samples[below],
                samples[(below + 1).min(last)],
                at - below as f64,
            )
        })
    }

    /// The distribution with this quantile function, which is asked at every level from 0 up
    /// to one. Values below 0 count as 0 and a fall as a rounding of a flat part. None when it
    /// gives a NaN.
    pub fn from_quantile_function(f: impl Fn(f64) -> f64) -> Option<Self> {
        let mut highest = 0.0_f64;
        let mut quantiles = Vec::with_capacity(LEVELS);
        for step in 0..LEVELS {
            let value = f(level_of(step));
            if value.is_nan() {
                return None;
            }
            highest = highest.max(value);
            quantiles.push(highest);
        }
        Some(Self { quantiles })
    }

    /// No end is known.
    pub fn endless() -> Self {
        Self {
            quantiles: vec![f64::INFINITY; LEVELS],
        }
    }

    /// The quantile of a level, which is clamped to 0..=1.
    pub fn quantile(&self, level: f64) -> f64 {
        let at = level.clamp(0.0, 1.0) * STEPS as f64;
        // 0.55 · 100 is not quite 55, and what follows a level may be infinitely far away.
        let whole = at.round();
        let at = if (at - whole).abs() < ROUNDING {
            whole
        } else {
            at
        };
        let below = (at as usize).min(STEPS);
        let above = (below + 1).min(STEPS);
        between(
            self.quantiles[below],
            self.quantiles[above],
            at - below as f64,
        )
    }

    /// The [`LEVELS`] quantiles at the levels 0.00 to 1.00.
    pub fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// The central interval that holds this probability, as (low, high).
    pub fn interval(&self, mass: f64) -> (f64, f64) {
        let tail = (1.0 - mass.clamp(0.0, 1.0)) / 2.0;
        (self.quantile(tail), self.quantile(1.0 - tail))
    }

    /// The probability that life ends within a horizon: the distribution function, 0 to 1.
    pub fn probability_within(&self, horizon: f64) -> f64 {
        self.level_at(self.quantiles.partition_point(|q| *q <= horizon), horizon)
    }

    /// The probability that life ends before `time`, without the atom at it.
    fn probability_before(&self, time: f64) -> f64 {
        self.level_at(self.quantiles.partition_point(|q| *q < time), time)
    }

    fn level_at(&self, above: usize, time: f64) -> f64 {
        if above == 0 || time.is_nan() {
            return 0.0;
        }
        if above == LEVELS {
            return 1.0;
        }
        let (a, b) = (self.quantiles[above - 1], self.quantiles[above]);
        let part = if b.is_finite() {
            (time - a) / (b - a)
        } else {
            0.0
        };
        (above as f64 - 1.0 + part) / STEPS as f64
    }

    /// The mean of the remaining life, each life counted as at most `cap`.
    pub fn mean_capped(&self, cap: f64) -> f64 {
        let segment = |pair: &[f64]| {
            let (a, b) = (pair[0].min(cap), pair[1]);
            if b <= cap {
                f64::midpoint(a, b)
            } else if b.is_finite() && b > a {
                let part = (cap - a) / (b - a);
                part * f64::midpoint(a, cap) + (1.0 - part) * cap
            } else {
                cap
            }
        };
        self.quantiles.windows(2).map(segment).sum::<f64>() / STEPS as f64
    }

    /// The hazard now, per unit time: the mean rate of failure until a twentieth of the
    /// probability has passed. Infinite where so much fails at once, 0 where it never does.
    pub fn hazard_now(&self) -> f64 {
        -(1.0 - HAZARD_LEVEL).ln() / self.quantile(HAZARD_LEVEL)
    }

    /// The same in another time unit: every quantile times `factor`, which is above 0.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        self.map(|q| q * factor)
    }

    /// The same with every life counted as at most `cap`.
    #[must_use]
    pub fn capped(&self, cap: f64) -> Self {
        self.map(|q| q.min(cap))
    }

    /// The same where nothing is said of lives that last longer than `reach`.
    #[must_use]
    pub fn endless_beyond(&self, reach: f64) -> Self {
        self.map(|q| if q > reach { f64::INFINITY } else { q })
    }

    /// The same once `elapsed` has passed without a failure: life conditional on being longer,
    /// counted from then. "At once" when nothing of it is longer.
    #[must_use]
    pub fn survived(&self, elapsed: f64) -> Self {
        let gone = self.probability_within(elapsed);
        if gone >= 1.0 {
            return self.map(|_| 0.0);
        }
        let level = |step: usize| gone + level_of(step) * (1.0 - gone);
        let left = |step| (self.quantile(level(step)) - elapsed).max(0.0);
        Self {
            quantiles: (0..LEVELS).map(left).collect(),
        }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            quantiles: self.quantiles.iter().map(|q| f(*q).max(0.0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
