//! When to act: what a forecast is worth in money.
//!
//! Replacing a part too early throws away life, too late costs a failure. With the cost `p` of
//! a planned replacement, `f` of a failure and `g` of a unit of time in the long run, acting
//! at a time t from now costs
//!
//! > C(t) = f·P(R ≤ t) + p(t)·P(R > t) − g·E\[min(R, t)\]
//!
//! and the best time is where C is lowest. `g` is what a part's life costs per unit of time. The
//! planned cost may depend on the day: a crew that is at the site anyway does not travel.
//!
//! Nothing can be done before the lead time has passed, action is possible at inspections, and
//! where windows of opportunity are given (a planned stop, opening hours) only inside them.
//!
//! The rule lies here, below the rooms, because two of them ask it: analytics scores forecasts
//! with it, and the service system dates orders.
//!
//! # Source
//! Renewal–reward argument: Barlow & Hunter, "Optimum preventive maintenance policies",
//! Operations Research 8 (1960); Ross, "Applied Probability Models with Optimization
//! Applications" (1970), chapter 3.

use serde::{Deserialize, Serialize};

use crate::Prognosis;

/// Remaining life as a distribution, as far as a decision needs it. Times in a unit of the
/// implementor's choice, from now.
pub trait Life {
    /// The probability that life ends within a time: 0 to 1, rising with it.
    fn probability_within(&self, time: f64) -> f64;

    /// The mean of the remaining life, each life counted as at most `cap`.
    fn mean_capped(&self, cap: f64) -> f64;

    /// The latest time the distribution says something about; 0 when it says nothing.
    fn last_known(&self) -> f64;
}

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
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), &'static str> {
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
        Err(problem)
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
pub fn expected_cost(life: &impl Life, costs: &Costs, at: f64) -> f64 {
    cost_at(life, costs, costs.planned, at)
}

/// Expected cost of acting at a time when the planned work costs so much then.
pub fn cost_at(life: &impl Life, costs: &Costs, planned: f64, at: f64) -> f64 {
    let fails = life.probability_within(at);
    costs.failure * fails + planned * (1.0 - fails) - costs.cost_rate * life.mean_capped(at)
}

/// The best time to act on a forecast.
pub fn decide(life: &impl Life, costs: &Costs) -> Decision {
    decide_by(life, costs, |_| costs.planned)
}

/// The best time to act when the planned work costs something else at each time.
pub fn decide_by(life: &impl Life, costs: &Costs, planned: impl Fn(f64) -> f64) -> Decision {
    let curve: Vec<(f64, f64)> = chances(life, costs)
        .into_iter()
        .map(|at| (at, cost_at(life, costs, planned(at), at)))
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

/// The chances to act, in order: from the lead time to one inspection beyond the last time the
/// distribution knows of.
pub fn chances(life: &impl Life, costs: &Costs) -> Vec<f64> {
    let horizon = life.last_known().max(costs.lead_time) + costs.inspection;
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

/// The fan of a forecast as a distribution: straight lines between its quantiles, from "fails at
/// once" with probability 0. Beyond the last quantile nothing is known: what has not failed by
/// then is counted as lasting. Times in seconds from the forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Fan {
    /// (time, probability of having failed by then), rising in both, from (0, 0).
    points: Vec<(f64, f64)>,
}

impl Fan {
    /// The fan of a forecast, or its three quantiles when it has none. Numbers that fall where
    /// they must rise are lifted to the one before; what is not finite is left out. None when
    /// nothing is left.
    pub fn of(prognosis: &Prognosis) -> Option<Self> {
        let three = [
            (0.1, prognosis.rul_p10_s),
            (0.5, prognosis.rul_p50_s),
            (0.9, prognosis.rul_p90_s),
        ];
        let fan = &prognosis.detail.fan;
        if fan.is_empty() {
            Self::new(three)
        } else {
            Self::new(fan.iter().map(|quantile| (quantile.level, quantile.rul_s)))
        }
    }

    /// A fan of quantiles as (level, seconds).
    pub fn new(quantiles: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let usable = |(level, time): &(f64, f64)| (0.0..=1.0).contains(level) && time.is_finite();
        let mut quantiles: Vec<(f64, f64)> = quantiles.into_iter().filter(usable).collect();
        quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut points = vec![(0.0, 0.0)];
        let mut latest = 0.0_f64;
        for (level, time) in quantiles {
            latest = latest.max(time);
            points.push((latest, level));
        }
        (points.len() > 1).then_some(Self { points })
    }

    /// The time by which it has failed with this probability; none beyond what is known.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        let above = self.points.iter().position(|point| point.1 >= level)?;
        let Some(before) = above.checked_sub(1) else {
            return Some(self.points[0].0);
        };
        let (from, to) = (self.points[before], self.points[above]);
        Some(from.0 + (to.0 - from.0) * (level - from.1) / (to.1 - from.1))
    }

    /// The same once `elapsed` seconds have passed without a failure. None when that was not to
    /// be expected at all.
    #[must_use]
    pub fn survived(&self, elapsed: f64) -> Option<Self> {
        let gone = self.probability_within(elapsed);
        if gone >= 1.0 {
            return None;
        }
        let later = self.points.iter().filter(|point| point.0 > elapsed);
        Self::new(later.map(|(time, level)| ((level - gone) / (1.0 - gone), time - elapsed)))
    }
}

impl Life for Fan {
    fn probability_within(&self, time: f64) -> f64 {
        let above = self.points.partition_point(|point| point.0 <= time);
        let Some(before) = above.checked_sub(1) else {
            return 0.0;
        };
        let from = self.points[before];
        let Some(to) = self.points.get(above) else {
            return from.1;
        };
        from.1 + (to.1 - from.1) * (time - from.0) / (to.0 - from.0)
    }

    fn mean_capped(&self, cap: f64) -> f64 {
        // The mean of min(R, cap) is the area under the survival function up to the cap.
        let mut area = 0.0;
        let (mut time, mut level) = (0.0, 0.0);
        for &(next, failed) in &self.points {
            if next >= cap {
                let part = if next > time {
                    (cap - time) / (next - time)
                } else {
                    0.0
                };
                let at_cap = level + (failed - level) * part;
                return area + (cap - time).max(0.0) * (1.0 - f64::midpoint(level, at_cap));
            }
            area += (next - time) * (1.0 - f64::midpoint(level, failed));
            (time, level) = (next, failed);
        }
        area + (cap - time) * (1.0 - level)
    }

    fn last_known(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.0)
    }
}

#[cfg(test)]
mod tests;
