//! When to act: what a forecast is worth in money.
//!
//! Replacing a part too early throws away life, too late costs a failure. With the cost `p` of
//! a planned replacement, `f` of a failure and `g` of a unit of time in the long run, acting
//! at a time t from now costs
//!
//! > C(t) = f·P(R ≤ t) + p·P(R > t) − g·E\[min(R, t)\]
//!
//! and the best time is where C is lowest. `g` is what a part's life costs per unit of time
//! under the policy itself ([`backtest`] finds it by iterating); without a fleet to learn it
//! from, the best age replacement of the life data is the bound that a forecast must beat
//! ([`age_replacement`]).
//!
//! Nothing can be done before the lead time has passed, action is possible at inspections, and
//! where windows of opportunity are given (a planned stop) only inside them.
//!
//! # Source
//! Renewal–reward argument: Barlow & Hunter, "Optimum preventive maintenance policies",
//! Operations Research 8 (1960); Ross, "Applied Probability Models with Optimization
//! Applications" (1970), chapter 3.

mod backtest;

pub use backtest::{Backtest, BacktestRow, Policy, backtest};

use serde::{Deserialize, Serialize};

use super::distribution::RulDistribution;
use crate::AnalyticsError;

/// Times at which acting is considered, at most: with a finer grid of inspections every n-th
/// of them.
const MAX_TIMES: usize = 400;

/// What acting and not acting cost. Times in the unit of the distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Cost of a planned replacement, above 0.
    pub planned: f64,
    /// Cost of a failure with all that follows, at least the planned cost.
    pub failure: f64,
    /// Time from the decision to the action, 0 or more.
    pub lead_time: f64,
    /// Time between two chances to act, above 0.
    pub inspection: f64,
    /// Long-run cost of a unit of time, 0 or more; see the module documentation.
    pub cost_rate: f64,
    /// Windows (from, to), from now, in which acting is possible; empty = any time.
    #[serde(default)]
    pub windows: Vec<(f64, f64)>,
}

impl Costs {
    /// Refuses costs and times that make no sense.
    pub fn check(&self) -> Result<(), AnalyticsError> {
        let above = |x: f64, least: f64| x.is_finite() && x > least;
        let problem = if !above(self.planned, 0.0) {
            "the planned cost must be above 0"
        } else if !(self.failure.is_finite() && self.failure >= self.planned) {
            "the cost of a failure must be at least the planned cost"
        } else if !above(self.inspection, 0.0) {
            "the inspection interval must be above 0"
        } else if !(self.lead_time.is_finite() && self.lead_time >= 0.0) {
            "the lead time must be 0 or more"
        } else if !(self.cost_rate.is_finite() && self.cost_rate >= 0.0) {
            "the cost rate must be 0 or more"
        } else if self
            .windows
            .iter()
            .any(|(from, to)| from.is_nan() || to.is_nan() || from > to)
        {
            "a window must end after it begins"
        } else {
            return Ok(());
        };
        Err(AnalyticsError::Costs { problem })
    }
}

/// The advice of the cost rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Best time to act, from now; none when waiting beyond all that was considered is better,
    /// or no window can be reached.
    pub replace_at: Option<f64>,
    /// Latest time to place the order for it: the lead time earlier, 0 or more.
    pub order_at: Option<f64>,
    /// The time considered and the expected cost C of acting then, in the unit of the costs.
    pub curve: Vec<(f64, f64)>,
    /// What it costs to let the first chance pass and act at the next; negative when waiting
    /// is worth money. None with fewer than two chances.
    pub cost_of_waiting: Option<f64>,
}

/// Expected cost of acting at a time, see the module documentation.
pub fn expected_cost(life: &RulDistribution, costs: &Costs, at: f64) -> f64 {
    let fails = life.probability_within(at);
    costs.failure * fails + costs.planned * (1.0 - fails) - costs.cost_rate * life.mean_capped(at)
}

/// The best time to act on a forecast.
pub fn decide(life: &RulDistribution, costs: &Costs) -> Decision {
    let horizon = horizon(life, costs);
    let times = times(costs, horizon);
    let curve: Vec<(f64, f64)> = times
        .into_iter()
        .map(|at| (at, expected_cost(life, costs, at)))
        .collect();
    let best = curve
        .iter()
        .copied()
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
    // The last chance of all being the best one means that the end is not in sight.
    let in_sight = |best: &(f64, f64)| {
        let last = curve[curve.len() - 1].0;
        best.0 < last || !costs.windows.is_empty() || last <= costs.lead_time
    };
    let replace_at = best.filter(in_sight).map(|(at, _)| at);
    let cost_of_waiting = match curve.as_slice() {
        [first, second, ..] => Some(second.1 - first.1),
        _ => None,
    };
    Decision {
        replace_at,
        order_at: replace_at.map(|at| (at - costs.lead_time).max(0.0)),
        curve,
        cost_of_waiting,
    }
}

/// How far it is worth looking: the end of what the forecast names, or the first chance.
fn horizon(life: &RulDistribution, costs: &Costs) -> f64 {
    let finite = life.quantiles().partition_point(|q| q.is_finite());
    let last = finite.checked_sub(1).map_or(0.0, |at| life.quantiles()[at]);
    last.max(costs.lead_time) + costs.inspection
}

/// The chances to act, in order.
fn times(costs: &Costs, horizon: f64) -> Vec<f64> {
    let steps = ((horizon - costs.lead_time) / costs.inspection).max(0.0);
    let stride = (steps / MAX_TIMES as f64).ceil().max(1.0) * costs.inspection;
    let count = ((horizon - costs.lead_time) / stride) as usize;
    let grid = (0..=count.min(MAX_TIMES)).map(|at| costs.lead_time + at as f64 * stride);
    let mut times: Vec<f64> = if costs.windows.is_empty() {
        grid.collect()
    } else {
        let reached = |(from, to): &(f64, f64)| {
            let from = from.max(costs.lead_time).max(0.0);
            (from <= *to).then_some(from)
        };
        let open = |at: f64| {
            costs
                .windows
                .iter()
                .any(|(from, to)| *from <= at && at <= *to)
        };
        let begins = costs.windows.iter().take(MAX_TIMES).filter_map(reached);
        begins.chain(grid.filter(|at| open(*at))).collect()
    };
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
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
