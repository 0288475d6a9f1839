//! What forecasts are worth in money: the back-test of the cost rule on past lives.
//!
//! The rule itself, when to act on a forecast, is [`telemetry::decision`], because the service
//! system dates its orders with it too. [`backtest`] finds the long-run cost rate by iterating;
//! without a fleet to learn it from, the best age replacement of the life data is the bound that
//! a forecast must beat ([`age_replacement`]).

mod backtest;

pub use backtest::{Backtest, BacktestRow, Policy, backtest};
pub use telemetry::decision::{Costs, Decision, decide, expected_cost};

use telemetry::decision::Life;

use super::distribution::RulDistribution;

impl Life for RulDistribution {
    fn probability_within(&self, time: f64) -> f64 {
        self.probability_within(time)
    }

    fn mean_capped(&self, cap: f64) -> f64 {
        self.mean_capped(cap)
    }

    fn last_known(&self) -> f64 {
        let finite = self.quantiles().partition_point(|q| q.is_finite());
        finite.checked_sub(1).map_or(0.0, |at| self.quantiles()[at])
    }
}

/// The best age to replace parts that nobody watches, and its cost per unit of time: the best
/// fixed interval, and the rate to compare forecasts with. `life` is that of a new part. The
/// age is infinite (run to failure) when no age is cheaper; none when the life has no mean.
pub fn age_replacement(life: &RulDistribution, planned: f64, failure: f64) -> Option<(f64, f64)> {
    let whole = life.mean_capped(f64::INFINITY);
    let to_failure = (whole.is_finite() && whole > 0.0).then(|| (f64::INFINITY, failure / whole));
    let at_age = |age: f64| {
        let fails = life.probability_within(age);
        let rate = (failure * fails + planned * (1.0 - fails)) / life.mean_capped(age);
        (age, rate)
    };
    let ages = life.quantiles().iter().copied();
    let finite = ages.filter(|age| age.is_finite() && *age > 0.0);
    // Run to failure first: of equal costs the one without work.
    let all = to_failure.into_iter().chain(finite.map(at_age));
    all.min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests;
