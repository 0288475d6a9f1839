//! What a forecast is worth: policies of replacement on simulated turbofans that ran to failure.
//!
//! Rules: each unit of a training file is forecast by a model that had not seen it (out of
//! fold), with the defaults of the program. A planned replacement costs 1, a failure 5; there is
//! an inspection every three flights. What a policy has to choose (the interval, the threshold,
//! the value of a flight) it chooses on other units than those it is scored on. Replacement is
//! perfect, and downtime and spare parts are in the two costs: real plants are not so simple.

use std::{fmt::Write as _, path::Path};

use analytics::prognosis::{
    decision::{Backtest, BacktestRow, Costs, Policy, backtest},
    fleet::OutOfFold,
    lives::{Life, LifeEnd},
};
use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::{cmapss, table::write};

/// The case that is quoted: cost of a failure, lead time in flights.
const QUOTED: (f64, f64) = (5.0, 0.0);
/// Others beside it.
const OTHERS: [(f64, f64); 4] = [(2.0, 0.0), (5.0, 10.0), (5.0, 20.0), (20.0, 0.0)];
/// Flights between two chances to act.
const INSPECTION: f64 = 3.0;
/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2_000;

/// One case: the costs of the policies, by 1,000 flights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Case {
    pub(crate) failure_cost: f64,
    pub(crate) lead_time: f64,
    pub(crate) backtest: Backtest,
    /// Per cent saved against the best fixed interval, with its 90 % interval over units.
    pub(crate) saved: f64,
    pub(crate) saved_low: f64,
    pub(crate) saved_high: f64,
    /// Per cent saved against running to failure.
    pub(crate) saved_run_to_failure: f64,
}

/// The cases of a set; the first one is quoted.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct SetFigures {
    pub(crate) set: String,
    pub(crate) units: usize,
    pub(crate) cases: Vec<Case>,
}

/// What was reached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) sets: Vec<SetFigures>,
}

/// Scores the policies on every training file of a folder; writes `decision.csv`.
pub(crate) fn evaluate(data: &Path, out: &Path) -> Result<Figures> {
    let mut sets = Vec::new();
    for set in cmapss::names(data)? {
        let lives = cmapss::lives(&data.join(format!("train_{set}.txt")), LifeEnd::Failed)?;
        let fitted = cmapss::fit(&lives)?;
        let figures = score(&set, &lives, &fitted.out_of_fold);
        sets.push(figures.with_context(|| format!("{set}: too few units"))?);
    }
    if sets.is_empty() {
        bail!("no train_*.txt in {}", data.display());
    }
    let lines = sets.iter().flat_map(|set| {
        let quoted = &set.cases[0].backtest.by_machine;
        quoted.iter().map(|[fixed, rule]| {
            format!("{},{},{},{},{}", set.set, fixed.0, fixed.1, rule.0, rule.1)
        })
    });
    let header = "set,fixed_cost,fixed_flights,rule_cost,rule_flights";
    write(&out.join("decision.csv"), header, lines)?;
    Ok(Figures { sets })
}

fn score(set: &str, lives: &[Life], said: &[OutOfFold]) -> Option<SetFigures> {
    let rows: Vec<BacktestRow<'_>> = said
        .iter()
        .map(|row| BacktestRow {
            asset: row.life,
            age: row.cycle,
            end: lives[row.life as usize].rows.len() as f64,
            point: row.point,
            distribution: &row.distribution,
        })
        .collect();
    let cases = std::iter::once(QUOTED).chain(OTHERS);
    let cases: Option<Vec<Case>> = cases
        .map(|(failure, lead_time)| {
            let costs = Costs {
                planned: 1.0,
                failure,
                lead_time,
                inspection: INSPECTION,
                cost_rate: 0.0,
                windows: Vec::new(),
            };
            backtest(&rows, &costs).map(|backtest| case(backtest, failure, lead_time))
        })
        .collect();
    Some(SetFigures {
        set: set.to_owned(),
        units: lives.len(),
        cases: cases?,
    })
}

fn case(backtest: Backtest, failure_cost: f64, lead_time: f64) -> Case {
    let saved = |of: f64| 100.0 * (1.0 - backtest.rule.cost_rate / of);
    let (saved_low, saved_high) = bootstrap(&backtest.by_machine);
    Case {
        failure_cost,
        lead_time,
        saved: saved(backtest.fixed_interval.cost_rate),
        saved_run_to_failure: saved(backtest.run_to_failure.cost_rate),
        saved_low,
        saved_high,
        backtest,
    }
}

/// The 5 % and 95 % quantile of the per cent saved over resamples of the units.
fn bootstrap(by_machine: &[[(f64, f64); 2]]) -> (f64, f64) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut resample = || {
        let mut sums = [(0.0, 0.0); 2];
        for _ in 0..by_machine.len() {
            let drawn = by_machine[rng.random_range(0..by_machine.len())];
            for (sum, (cost, time)) in sums.iter_mut().zip(drawn) {
                sum.0 += cost;
                sum.1 += time;
            }
        }
        let [fixed, rule] = sums.map(|(cost, time)| cost / time);
        100.0 * (1.0 - rule / fixed)
    };
    let mut saved: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    saved.sort_by(f64::total_cmp);
    (saved[RESAMPLES / 20], saved[RESAMPLES - 1 - RESAMPLES / 20])
}

/// The figures in words.
pub(crate) fn text(figures: &Figures) -> String {
    let mut text = String::from(
        "simulated turbofans, out of fold; cost by 1,000 flights when a planned replacement costs 1\n",
    );
    for set in &figures.sets {
        let _ = writeln!(text, "{}: {} units", set.set, set.units);
        for case in &set.cases {
            text += &case_text(case);
        }
    }
    text
}

fn case_text(case: &Case) -> String {
    let Backtest {
        run_to_failure,
        fixed_interval,
        threshold,
        rule,
        oracle,
        ..
    } = &case.backtest;
    let cost = |policy: &Policy| 1_000.0 * policy.cost_rate;
    let mut text = format!(
        "  a failure costs {}, lead time {}: run to failure {:.2}, best interval {:.2}, threshold {:.2}, \
         cost rule {:.2}, oracle {:.2}\n",
        case.failure_cost,
        case.lead_time,
        cost(run_to_failure),
        cost(fixed_interval),
        cost(threshold),
        cost(rule),
        cost(oracle)
    );
    let _ = writeln!(
        text,
        "    {:.0} % below the interval [{:.0}, {:.0}], {:.0} % below run to failure; {:.0} % failed \
         (interval {:.0} %), {:.0} % of life used (interval {:.0} %)",
        case.saved,
        case.saved_low,
        case.saved_high,
        case.saved_run_to_failure,
        100.0 * rule.failed,
        100.0 * fixed_interval.failed,
        100.0 * rule.life_used,
        100.0 * fixed_interval.life_used
    );
    text
}
