//! Distributions from a distribution function: mixtures of two, and tables of one.

use super::{LEVELS, RulDistribution, between, level_of};

/// Roundings of a sum of two levels must not turn a reached level into "never".
const REACHED: f64 = 1e-12;

impl RulDistribution {
    /// The mixture that is `other` with probability `weight` (clamped to 0..=1) and this one
    /// otherwise.
    #[must_use]
    pub fn mixed(&self, other: &Self, weight: f64) -> Self {
        let weight = weight.clamp(0.0, 1.0);
        let mix = |a: f64, b: f64| (1.0 - weight) * a + weight * b;
        let mut times: Vec<f64> = [self, other]
            .iter()
            .flat_map(|d| d.quantiles.iter().copied())
            .filter(|q| q.is_finite())
            .collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let knot = |time: f64| Knot {
            time,
            before: mix(
                self.probability_before(time),
                other.probability_before(time),
            ),
            within: mix(
                self.probability_within(time),
                other.probability_within(time),
            ),
        };
        let knots: Vec<Knot> = times.into_iter().map(knot).collect();
        let quantiles = (0..LEVELS).map(|step| invert(&knots, level_of(step)));
        Self {
            quantiles: quantiles.collect(),
        }
    }

    /// The distribution whose function takes these values at these times: (time, probability
    /// that life is not longer), both not falling, straight lines between them; what is
    /// missing to 1 at the end never ends. None without points or with a NaN.
    pub fn from_cdf(points: &[(f64, f64)]) -> Option<Self> {
        if points.is_empty() || points.iter().any(|p| p.0.is_nan() || p.1.is_nan()) {
            return None;
        }
        let mut highest = 0.0_f64;
        let knots: Vec<Knot> = points
            .iter()
            .map(|&(time, probability)| {
                highest = highest.max(probability.min(1.0));
                Knot {
                    time: time.max(0.0),
                    before: highest,
                    within: highest,
                }
            })
            .collect();
        Self::from_quantile_function(|level| invert(&knots, level))
    }
}

/// A point of a distribution function: its value just before and at a time.
struct Knot {
    time: f64,
    before: f64,
    within: f64,
}

fn invert(knots: &[Knot], level: f64) -> f64 {
    // The lowest time is where the function leaves 0, not where a table of it begins.
    let reached = (level - REACHED).max(f64::MIN_POSITIVE);
    let at = knots.partition_point(|knot| knot.within < reached);
    let Some(knot) = knots.get(at) else {
        return f64::INFINITY;
    };
    let Some(last) = at.checked_sub(1).map(|at| &knots[at]) else {
        return knot.time;
    };
    if knot.before < reached || knot.before <= last.within {
        return knot.time;
    }
    let part = (level - last.within) / (knot.before - last.within);
    between(last.time, knot.time, part.clamp(0.0, 1.0))
}
