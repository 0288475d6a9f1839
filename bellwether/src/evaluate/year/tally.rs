//! What a year comes to: counts, rates with their intervals, and money. Pure.

use serde::Serialize;
use telemetry::{Outcome, Timestamp};

use super::{
    facts::{FaultFact, Log, OrderFact},
    plant::Plan,
    prices::{self, Span},
};

/// A share with its Wilson interval at 95 %.
///
/// # Source
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
/// Journal of the American Statistical Association 22 (1927), 209-212.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Share {
    pub(super) hits: u32,
    pub(super) of: u32,
    /// None of nothing.
    pub(super) value: Option<f64>,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Share {
    pub(super) fn of(hits: u32, of: u32) -> Self {
        const Z: f64 = 1.959_964;
        if of == 0 {
            return Self {
                hits,
                of,
                value: None,
                low: 0.0,
                high: 1.0,
            };
        }
        let (n, p) = (f64::from(of), f64::from(hits) / f64::from(of));
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            hits,
            of,
            value: Some(p),
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
        }
    }
}

/// What happened in a span of a year.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tally {
    /// Faults that would have ended in a failure within the span.
    pub(super) faults: u32,
    /// Of these mended before, because of an alarm that rose after they had begun.
    pub(super) recall: Share,
    /// Mended before by chance: an order of an alarm that had risen earlier, for nothing, led
    /// somebody there. The more orders find nothing, the more faults are found like that.
    pub(super) by_chance: u32,
    /// Failures while an order stood open.
    pub(super) too_late: u32,
    /// Failures without an order.
    pub(super) missed: u32,
    /// Orders for machines, raised in the span and done, that found a fault of the machine.
    pub(super) precision: Share,
    /// Orders for machines that found none.
    pub(super) false_orders: u32,
    /// Of these, orders that found a bad sensor.
    pub(super) false_for_sensor: u32,
    /// Orders about sensors that found one that was bad, or a machine's fault.
    pub(super) sensor_precision: Share,
    /// Orders a week, sensors included.
    pub(super) orders_per_week: f64,
    /// Days from the alarm to the failure that was prevented: tenth, half.
    pub(super) lead_days: Option<[f64; 2]>,
    /// What was paid for failures, repairs and visits, EUR.
    pub(super) money: f64,
}

/// Tallies a span: faults by when they would have failed, orders by when their alarm rose, money
/// by when it was spent.
pub(super) fn tally(plans: &[Plan], log: &Log, span: Span) -> Tally {
    let (from, to) = span;
    let inside = |at: Timestamp| (from..to).contains(&at);
    let faults: Vec<&FaultFact> = log
        .faults
        .iter()
        .filter(|one| inside(one.fails_at))
        .collect();
    let prevented = |one: &&&FaultFact| one.mended_at.is_some() && one.alarm_at.is_some();
    let caught = |one: &&&FaultFact| {
        one.mended_at.is_some() && one.alarm_at.is_some_and(|at| at >= one.onset)
    };
    let foretold = faults.iter().filter(caught).count();
    let failed: Vec<&&FaultFact> = faults
        .iter()
        .filter(|one| one.mended_at.is_none())
        .collect();
    let too_late = failed.iter().filter(|one| one.alarm_at.is_some()).count() as u32;
    let mut leads: Vec<f64> = faults
        .iter()
        .filter(caught)
        .filter_map(|one| Some(one.fails_at.secs_from(one.alarm_at?) / 86_400.0))
        .collect();
    leads.sort_by(f64::total_cmp);
    let raised: Vec<&OrderFact> = log
        .orders
        .iter()
        .filter(|one| inside(one.opened_at))
        .collect();
    let of_machine = |one: &&&OrderFact| !one.of_sensor && one.outcome.is_some();
    let of_sensor = |one: &&&OrderFact| one.of_sensor && one.outcome.is_some();
    let is_fault = |one: &&&OrderFact| one.outcome.is_some_and(Outcome::starts_new_life);
    let machine: Vec<&&OrderFact> = raised.iter().filter(of_machine).collect();
    let right = machine.iter().filter(|one| is_fault(one)).count() as u32;
    let sensors: Vec<&&OrderFact> = raised.iter().filter(of_sensor).collect();
    let good = |one: &&&&OrderFact| one.outcome != Some(Outcome::NoFaultFound);
    let for_sensor = |one: &&&&OrderFact| one.outcome == Some(Outcome::SensorFault);
    let weeks = to.secs_from(from) / 604_800.0;
    Tally {
        faults: faults.len() as u32,
        recall: Share::of(foretold as u32, faults.len() as u32),
        by_chance: (faults.iter().filter(prevented).count() - foretold) as u32,
        too_late,
        missed: failed.len() as u32 - too_late,
        precision: Share::of(right, machine.len() as u32),
        false_orders: machine.len() as u32 - right,
        false_for_sensor: machine.iter().filter(for_sensor).count() as u32,
        sensor_precision: Share::of(
            sensors.iter().filter(good).count() as u32,
            sensors.len() as u32,
        ),
        orders_per_week: raised.len() as f64 / weeks,
        lead_days: quantile(&leads, 0.1)
            .zip(quantile(&leads, 0.5))
            .map(<[f64; 2]>::from),
        money: money(plans, log, span),
    }
}

/// The value that this share of sorted values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((share * last as f64).round() as usize).copied()
}

fn money(plans: &[Plan], log: &Log, (from, to): Span) -> f64 {
    let price = |machine: usize| prices::of(plans[machine].kind);
    let inside = |at: Timestamp| (from..to).contains(&at);
    let failed = log
        .faults
        .iter()
        .filter(|one| one.mended_at.is_none() && inside(one.fails_at));
    let failures: f64 = failed.map(|one| price(one.machine).failure).sum();
    let done = log
        .orders
        .iter()
        .filter(|one| one.done_at.is_some_and(inside));
    let visits: f64 = done
        .map(|one| {
            let price = price(one.machine);
            let after_failure = log.faults.iter().any(|fault| {
                fault.machine == one.machine
                    && fault.mended_at.is_none()
                    && one
                        .done_at
                        .is_some_and(|at| (one.opened_at..=at).contains(&fault.fails_at))
            });
            match one.outcome {
                // The failure is paid for above.
                Some(_) if after_failure => 0.0,
                Some(outcome) if outcome.starts_new_life() => price.planned,
                Some(_) => price.visit,
                None => 0.0,
            }
        })
        .sum();
    failures + visits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::year::plant::{days_after, plan};

    /// R: `binom.confint(x, n, methods = "wilson")` of package binom.
    #[test]
    fn a_share_has_its_wilson_interval() {
        for (hits, of, low, high) in [
            (0, 10, 0.0, 0.277_532_8),
            (5, 10, 0.236_593_1, 0.763_406_9),
            (45, 50, 0.786_397_7, 0.956_524_2),
        ] {
            let share = Share::of(hits, of);
            assert!((share.low - low).abs() < 1e-6, "{share:?}");
            assert!((share.high - high).abs() < 1e-6, "{share:?}");
        }
        assert_eq!(Share::of(0, 0).value, None);
    }

    #[test]
    fn a_span_counts_what_would_have_failed_in_it_and_what_was_raised_in_it() {
        let start = Timestamp::from_secs(1_767_225_600);
        let plans = plan(3, 1, start, 365.0);
        let day = |day: f64| days_after(start, day);
        let fault = |fails: f64, mended: Option<f64>, alarm: Option<f64>| FaultFact {
            machine: 0,
            mode: "seal-leak",
            onset: day(fails - 20.0),
            fails_at: day(fails),
            mended_at: mended.map(day),
            alarm_at: alarm.map(day),
        };
        let order = |opened: f64, done: f64, outcome| OrderFact {
            id: "WO-000001".parse().unwrap(),
            machine: 0,
            of_sensor: false,
            source: telemetry::AlertSource::Model,
            mode: "seal-leak".to_owned(),
            opened_at: day(opened),
            done_at: Some(day(done)),
            outcome: Some(outcome),
            found_mode: None,
        };
        let log = Log {
            faults: vec![
                fault(40.0, Some(32.0), Some(30.0)),
                fault(80.0, None, Some(78.0)),
                fault(120.0, None, None),
                // An alarm from before it began led somebody there.
                fault(150.0, Some(140.0), Some(125.0)),
                fault(300.0, None, None),
            ],
            orders: vec![
                order(30.0, 32.0, Outcome::Confirmed),
                order(78.0, 81.0, Outcome::Confirmed),
                order(100.0, 103.0, Outcome::NoFaultFound),
                order(101.0, 104.0, Outcome::SensorFault),
            ],
            readings: 0,
            recalibrations: 0,
        };
        let half = tally(&plans, &log, (start, day(182.0)));
        assert_eq!((half.faults, half.too_late, half.missed), (4, 1, 1));
        assert_eq!(
            (half.recall.hits, half.recall.of, half.by_chance),
            (1, 4, 1)
        );
        assert_eq!((half.precision.hits, half.precision.of), (2, 4));
        assert_eq!((half.false_orders, half.false_for_sensor), (2, 1));
        assert_eq!(half.lead_days, Some([10.0, 10.0]));
        assert!((half.orders_per_week - 4.0 / 26.0).abs() < 1e-9);
        // A pump: one planned repair, two failures, two visits.
        assert!((half.money - (1_800.0 + 2.0 * 12_000.0 + 2.0 * 250.0)).abs() < 1e-6);
    }
}
