//! What work and failures cost in the simulated year, and what the year would have cost without
//! watching the machines.
//!
//! The prices are assumptions, in the range that published surveys of pumps, compressors and
//! motors of some ten kilowatts give: unplanned costs are six to eight times the planned ones
//! where downtime counts. They are printed with the figures.

use serde::Serialize;
use telemetry::Timestamp;

use crate::simulate::{degradation::Fault, machine::Kind};

use super::plant::{Plan, days_after, fails_at};

/// Damage an engineer sees at the machine, as a part of the way to failure.
pub(super) const VISIBLE: f64 = 0.05;

/// What is paid for one kind of machine, EUR.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Price {
    /// A planned repair with travel, parts and lost production.
    pub(super) planned: f64,
    /// A repair after a failure with downtime.
    pub(super) failure: f64,
    /// A visit that changes nothing, or a sensor.
    pub(super) visit: f64,
}

/// The prices of a kind.
pub(super) const fn of(kind: Kind) -> Price {
    let (planned, failure, visit) = match kind {
        Kind::CentrifugalPump => (1_800.0, 12_000.0, 250.0),
        Kind::ScrewCompressor => (3_200.0, 22_000.0, 350.0),
        Kind::InductionMotor => (1_200.0, 8_000.0, 200.0),
    };
    Price {
        planned,
        failure,
        visit,
    }
}

/// A span of the year.
pub(super) type Span = (Timestamp, Timestamp);

/// The failures of a span when nobody does anything before them.
pub(super) fn run_to_failure(plans: &[Plan], (from, to): Span) -> f64 {
    let failures = failing(plans, (from, to));
    failures.map(|(plan, _)| of(plan.kind).failure).sum()
}

/// The faults that would end in a failure within a span.
pub(super) fn failing(plans: &[Plan], (from, to): Span) -> impl Iterator<Item = (&Plan, &Fault)> {
    let all = plans
        .iter()
        .flat_map(|plan| plan.faults.iter().map(move |fault| (plan, fault)));
    all.filter(move |(_, fault)| (from..to).contains(&fails_at(fault)))
}

/// What a calendar does at a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Calendar {
    /// The wear parts are renewed, whatever they look like.
    Renew,
    /// Somebody looks, and mends what can be seen.
    Inspect,
}

/// A calendar with its best interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct CalendarCost {
    /// Days between two visits to a machine.
    pub(super) every_days: u32,
    /// What it costs, EUR.
    pub(super) money: f64,
    /// Failures it did not prevent.
    pub(super) failures: u32,
}

/// Days between visits that are tried.
const INTERVALS: [u32; 8] = [7, 14, 21, 30, 45, 60, 90, 180];

/// The cheapest interval, chosen with the knowledge of how the year went: more than any planner
/// could know.
pub(super) fn best_calendar(
    plans: &[Plan],
    start: Timestamp,
    span: Span,
    what: Calendar,
) -> CalendarCost {
    let all = INTERVALS.map(|every| calendar(plans, start, span, what, every));
    let [first, rest @ ..] = all;
    rest.into_iter().fold(
        first,
        |best, one| {
            if one.money < best.money { one } else { best }
        },
    )
}

fn calendar(
    plans: &[Plan],
    start: Timestamp,
    (from, to): Span,
    what: Calendar,
    every_days: u32,
) -> CalendarCost {
    let mut cost = CalendarCost {
        every_days,
        money: 0.0,
        failures: 0,
    };
    for (number, plan) in plans.iter().enumerate() {
        let price = of(plan.kind);
        // Machines are not all visited on the same day.
        let first = f64::from(every_days) * (number as f64 + 0.5) / plans.len() as f64;
        let visits = (0..).map(|n| days_after(start, first + f64::from(n * every_days)));
        let visits: Vec<Timestamp> = visits.take_while(|at| *at < to).collect();
        let inside = visits.iter().filter(|at| **at >= from).count() as f64;
        cost.money += inside
            * match what {
                Calendar::Renew => price.planned,
                Calendar::Inspect => price.visit,
            };
        for fault in &plan.faults {
            let end = fails_at(fault);
            // Renewing what has not begun to wear prevents nothing here: faults come from outside.
            let seen = |at: &&Timestamp| **at < end && fault.severity(**at) >= VISIBLE;
            match visits.iter().find(seen) {
                Some(at) if *at >= from && what == Calendar::Inspect => cost.money += price.planned,
                None if (from..to).contains(&end) => {
                    cost.money += price.failure;
                    cost.failures += 1;
                }
                _ => {}
            }
        }
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::year::plant::plan;

    /// Visits cannot prevent what they come too late for, and each is paid for.
    #[test]
    fn more_visits_prevent_more_failures() {
        let start = Timestamp::from_secs(1_767_225_600);
        let plans = plan(50, 1, start, 365.0);
        let year = (start, days_after(start, 365.0));
        let failures = failing(&plans, year).count() as u32;
        assert!(run_to_failure(&plans, year) >= 8_000.0 * f64::from(failures));
        let of = |every| calendar(&plans, start, year, Calendar::Inspect, every).failures;
        assert!(of(7) <= of(30) && of(30) < of(180) && of(180) < failures);
        let best = best_calendar(&plans, start, year, Calendar::Inspect);
        for every in INTERVALS {
            assert!(calendar(&plans, start, year, Calendar::Inspect, every).money >= best.money);
        }
    }
}
