//! The back-test: what would each policy have cost on machines that ran to failure?
//!
//! Machines are dealt into folds by asset; whatever a policy has to choose (an interval, a
//! threshold, the value of time) is chosen on the other folds. The forecasts must be out of
//! fold themselves: made by models that had not seen the machine.

use serde::{Deserialize, Serialize};
use telemetry::decision::chances;

use super::{Costs, expected_cost};
use crate::prognosis::distribution::RulDistribution;

/// Folds in which what a policy chooses is kept apart from what it is scored on.
const FOLDS: usize = 5;
/// Rounds in which the value of time is found: from round to round it moves by less than a
/// tenth of what it moved before.
const ROUNDS: usize = 4;
/// Candidates for an interval or a threshold.
const CANDIDATES: usize = 400;

/// A forecast made while the machine ran.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestRow<'a> {
    /// The machine.
    pub asset: u32,
    /// Its age when the forecast was made.
    pub age: f64,
    /// Its age at failure.
    pub end: f64,
    /// One number for the remaining life.
    pub point: f64,
    /// The forecast.
    pub distribution: &'a RulDistribution,
}

/// What a policy cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Cost per unit of time over all machines.
    pub cost_rate: f64,
    /// Share of the machines that failed.
    pub failed: f64,
    /// Share of the machines' lives that was used.
    pub life_used: f64,
}

/// The costs of the policies, and by machine for a bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Machines.
    pub machines: usize,
    /// Nothing is done before the failure.
    pub run_to_failure: Policy,
    /// Replacement at the best age.
    pub fixed_interval: Policy,
    /// Replacement when the point forecast falls below the best threshold.
    pub threshold: Policy,
    /// The cost rule on the distribution.
    pub rule: Policy,
    /// Replacement at the last chance before the failure, which nobody can know.
    pub oracle: Policy,
    /// (cost, time) by machine under the fixed interval, then under the rule.
    pub by_machine: Vec<[(f64, f64); 2]>,
}

/// A machine with its chances to act: the age and the row known then.
struct Machine<'a> {
    end: f64,
    chances: Vec<(f64, Option<&'a BacktestRow<'a>>)>,
}

/// Cost, time and whether it failed.
type Outcome = (f64, f64, bool);

/// Scores the policies. Each machine needs rows in any order; machines without a failure must
/// be left out. `costs.cost_rate` and windows are ignored. None with fewer than `FOLDS`
/// machines.
pub fn backtest(rows: &[BacktestRow<'_>], costs: &Costs) -> Option<Backtest> {
    let machines = machines(rows, costs.inspection);
    if machines.len() < FOLDS {
        return None;
    }
    let mut outcomes: [Vec<Outcome>; 5] = Default::default();
    let fold_of = |at: usize| at % FOLDS;
    for fold in 0..FOLDS {
        let part = |held: bool| -> Vec<&Machine<'_>> {
            let chosen = machines.iter().enumerate();
            chosen
                .filter(|(at, _)| (fold_of(*at) == fold) == held)
                .map(|(_, machine)| machine)
                .collect()
        };
        let (others, held) = (part(false), part(true));
        let interval = best(&others, candidates(&others, |m| vec![m.end]), |m, age| {
            fixed(m, costs, age)
        });
        let points = |m: &Machine<'_>| -> Vec<f64> {
            let known = m.chances.iter().filter_map(|chance| chance.1);
            known.map(|row| row.point).collect()
        };
        let limit = best(&others, candidates(&others, points), |m, limit| {
            act(m, costs, |row, _| row.point <= limit)
        });
        let mut rate = rate_of(others.iter().map(|m| fixed(m, costs, interval)));
        for _ in 0..ROUNDS {
            rate = rate_of(others.iter().map(|m| by_rule(m, costs, rate)));
        }
        for machine in held {
            outcomes[0].push((costs.failure, machine.end, true));
            outcomes[1].push(fixed(machine, costs, interval));
            outcomes[2].push(act(machine, costs, |row, _| row.point <= limit));
            outcomes[3].push(by_rule(machine, costs, rate));
            outcomes[4].push(oracle(machine, costs));
        }
    }
    let lives: f64 = machines.iter().map(|machine| machine.end).sum();
    let policy = |outcomes: &[Outcome]| Policy {
        cost_rate: rate_of(outcomes.iter().copied()),
        failed: outcomes.iter().filter(|o| o.2).count() as f64 / outcomes.len() as f64,
        life_used: outcomes.iter().map(|o| o.1).sum::<f64>() / lives,
    };
    let pairs = outcomes[1].iter().zip(&outcomes[3]);
    Some(Backtest {
        machines: machines.len(),
        by_machine: pairs.map(|(a, b)| [(a.0, a.1), (b.0, b.1)]).collect(),
        run_to_failure: policy(&outcomes[0]),
        fixed_interval: policy(&outcomes[1]),
        threshold: policy(&outcomes[2]),
        rule: policy(&outcomes[3]),
        oracle: policy(&outcomes[4]),
    })
}

fn machines<'a>(rows: &'a [BacktestRow<'a>], inspection: f64) -> Vec<Machine<'a>> {
    let mut sorted: Vec<&BacktestRow<'_>> = rows.iter().collect();
    sorted.sort_by(|a, b| a.asset.cmp(&b.asset).then(a.age.total_cmp(&b.age)));
    sorted
        .chunk_by(|a, b| a.asset == b.asset)
        .map(|rows| {
            let end = rows[0].end;
            let count = (end / inspection).ceil() as usize;
            let ages = (1..count.max(1)).map(|at| at as f64 * inspection);
            let chances = ages.filter(|age| *age < end).map(|age| {
                let known = rows.partition_point(|row| row.age <= age);
                (age, known.checked_sub(1).map(|at| rows[at]))
            });
            Machine {
                end,
                chances: chances.collect(),
            }
        })
        .collect()
}

/// What happens when the order is placed at an age.
fn ordered(machine: &Machine<'_>, costs: &Costs, age: f64) -> Outcome {
    let at = age + costs.lead_time;
    if at < machine.end {
        (costs.planned, at, false)
    } else {
        (costs.failure, machine.end, true)
    }
}

fn failed(machine: &Machine<'_>, costs: &Costs) -> Outcome {
    (costs.failure, machine.end, true)
}

/// Replacement at a fixed age; the part is there in time.
fn fixed(machine: &Machine<'_>, costs: &Costs, age: f64) -> Outcome {
    if age < machine.end {
        (costs.planned, age, false)
    } else {
        failed(machine, costs)
    }
}

/// Ordered at the first chance at which the row known then, made so long ago, says so.
fn act(
    machine: &Machine<'_>,
    costs: &Costs,
    says: impl Fn(&BacktestRow<'_>, f64) -> bool,
) -> Outcome {
    for (age, row) in &machine.chances {
        if row.is_some_and(|row| says(row, age - row.age)) {
            return ordered(machine, costs, *age);
        }
    }
    failed(machine, costs)
}

/// Ordered at the first chance at which no later one promises to be cheaper.
fn by_rule(machine: &Machine<'_>, costs: &Costs, cost_rate: f64) -> Outcome {
    let costs = Costs {
        cost_rate,
        windows: Vec::new(),
        ..costs.clone()
    };
    act(machine, &costs, |row, since| {
        let later;
        let life = if since > 0.0 {
            later = row.distribution.survived(since);
            &later
        } else {
            row.distribution
        };
        let now = expected_cost(life, &costs, costs.lead_time);
        let mut chances = chances(life, &costs).into_iter().skip(1);
        !chances.any(|at| expected_cost(life, &costs, at) < now)
    })
}

fn oracle(machine: &Machine<'_>, costs: &Costs) -> Outcome {
    let last = machine.chances.last().map_or(0.0, |(age, _)| *age);
    let at = last.max(costs.lead_time);
    if at > 0.0 && at < machine.end {
        (costs.planned, at, false)
    } else {
        failed(machine, costs)
    }
}

fn rate_of(outcomes: impl Iterator<Item = Outcome>) -> f64 {
    let (cost, time) = outcomes.fold((0.0, 0.0), |sum, o| (sum.0 + o.0, sum.1 + o.1));
    cost / time
}

/// Evenly chosen values of what the machines show, and one beyond all of them.
fn candidates<'a>(
    machines: &[&'a Machine<'a>],
    values: impl Fn(&'a Machine<'a>) -> Vec<f64>,
) -> Vec<f64> {
    let mut all: Vec<f64> = machines.iter().flat_map(|m| values(m)).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let stride = all.len().div_ceil(CANDIDATES).max(1);
    let mut chosen: Vec<f64> = all.iter().copied().step_by(stride).collect();
    // Just before each of them as well: a life that ends at 200 is saved at 199.
    chosen.extend(all.iter().step_by(stride).map(|value| value * (1.0 - 1e-9)));
    chosen.push(f64::INFINITY);
    chosen
}

/// The candidate with the lowest cost over the machines.
fn best<'a>(
    machines: &[&'a Machine<'a>],
    candidates: Vec<f64>,
    outcome: impl Fn(&'a Machine<'a>, f64) -> Outcome,
) -> f64 {
    let cost = |value: f64| rate_of(machines.iter().map(|m| outcome(m, value)));
    candidates
        .into_iter()
        .map(|value| (value, cost(value)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(f64::INFINITY, |(value, _)| value)
}
