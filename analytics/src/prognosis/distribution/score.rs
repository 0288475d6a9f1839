//! Scores of a forecast once the truth is known.

use super::{RulDistribution, STEPS, level_of};

impl RulDistribution {
    /// The continuous ranked probability score against what happened; 0 is perfect, and it is
    /// in the unit of time. For a certain forecast it is the absolute error. Infinite when a
    /// quantile is: cap forecast and truth first.
    ///
    /// # Source
    /// Gneiting & Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102
    /// (2007): twice the integral of the pinball loss over all levels, here exact because the
    /// quantiles are joined by straight lines.
    pub fn crps(&self, truth: f64) -> f64 {
        let step = 1.0 / STEPS as f64;
        let segments = self.quantiles.windows(2).enumerate();
        segments
            .map(|(at, pair)| {
                let (from, to) = (level_of(at), level_of(at + 1));
                let (a, b) = (pair[0], pair[1]);
                if a < truth && truth < b {
                    let middle = from + step * ((truth - a) / (b - a));
                    loss_of_line(truth, (from, a), (middle, truth))
                        + loss_of_line(truth, (middle, truth), (to, b))
                } else {
                    loss_of_line(truth, (from, a), (to, b))
                }
            })
            .sum()
    }

    /// The probability integral transform of what happened: uniform on 0..=1 over many
    /// forecasts if they are honest. At an atom the middle of the jump.
    pub fn pit(&self, truth: f64) -> f64 {
        let (before, within) = self.jump(truth);
        f64::midpoint(before, within)
    }

    /// The distribution function just before a time and at it: they differ at an atom. Where
    /// life has no end from some level on, all that is beyond the last end is one atom.
    pub fn jump(&self, time: f64) -> (f64, f64) {
        let finite = self.quantiles().partition_point(|q| q.is_finite());
        let last = finite.checked_sub(1).map(|at| self.quantiles()[at]);
        if finite <= STEPS && last.is_none_or(|last| time > last) {
            // Also of a life that was never seen to end, whose time is infinite itself.
            return (self.probability_within(time.min(f64::MAX)), 1.0);
        }
        (self.probability_before(time), self.probability_within(time))
    }

    /// The pinball loss of the quantile of a level.
    pub fn pinball(&self, level: f64, truth: f64) -> f64 {
        let missed = truth - self.quantile(level);
        missed * (level - f64::from(u8::from(missed < 0.0)))
    }
}

/// Twice the integral of the pinball loss over levels whose quantiles lie on a line that does
/// not cross the truth: a quadratic, which Simpson's rule integrates exactly.
fn loss_of_line(truth: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
    if from.1.is_infinite() || to.1.is_infinite() {
        return f64::INFINITY;
    }
    let is_above = f64::midpoint(from.1, to.1) > truth;
    let loss = |(level, quantile): (f64, f64)| {
        let side = f64::from(u8::from(is_above)) - level;
        2.0 * side * (quantile - truth)
    };
    let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
    (to.0 - from.0) * (loss(from) + 4.0 * loss(middle) + loss(to)) / 6.0
}
