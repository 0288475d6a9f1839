//! The date of an order is a decision about money.
//!
//! From a calibrated forecast the expected cost of running on until a time t, P(fails by t) times
//! what a failure costs, stands against that of planned work then: the work itself, dearer by the
//! journey unless somebody goes to that site that day anyway, and the life that is thrown away
//! with what is renewed. The rule is [`telemetry::decision`]; here it is fed with the hours of
//! the site, the visits that are planned there, and prices. Times are event time: of the forecast.
//!
//! Without a calibrated forecast nothing of this can be reckoned. The date then follows from how
//! serious the case is and what is agreed with the customer, an uncalibrated forecast can only
//! bring it forward, and the order says so.

use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use telemetry::{
    Advisory, AssetModel, Explanation, FailureMode, Prognosis, Severity, Shown, Timestamp,
    decision::{Costs, Fan, Life as _, decide_by},
};

use super::{CustomerTerms, JobPlan, OpeningHours, OrderCosts, words};

/// Points of the stored curve, at most: more than a chart of a phone has pixels for.
const CURVE_POINTS: usize = 120;
/// Dates that cost this share of the planned work more than the best one are still in the window.
const WINDOW_SLACK: f64 = 0.05;
/// Nothing is planned further ahead.
const HORIZON: Duration = Duration::from_hours(366 * 24);
const WEEK_S: f64 = 7.0 * 86_400.0;

/// Time to act on a critical case: the next maintenance shift, weekend included.
const CRITICAL_WITHIN: Duration = Duration::from_hours(2 * 24);
/// Time to act on any other case: one usual planning period of two weeks.
const WARNING_WITHIN: Duration = Duration::from_hours(14 * 24);
/// Time to see to a sensor: it is cheap, the machine is watched by the others meanwhile, and
/// somebody comes by within a month.
const SENSOR_WITHIN: Duration = Duration::from_hours(30 * 24);

/// What a date rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A calibrated forecast and costs.
    Calibrated,
    /// How serious the case is, and what is agreed with the customer.
    Severity,
}

/// The expected cost of acting at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// When.
    pub at: Timestamp,
    /// Of having run on until then: what a failure before costs, by its probability.
    pub run_on: f64,
    /// Of the planned work then, by the probability that it is still in time, with the life that
    /// is thrown away.
    pub planned: f64,
    /// Both.
    pub total: f64,
}

/// When the work is best done, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateDecision {
    /// When the work is best begun.
    pub chosen: Timestamp,
    /// The dates that cost hardly more: from.
    pub due_from: Timestamp,
    /// The dates that cost hardly more: to.
    pub due_by: Timestamp,
    /// Expected cost over time, in the currency of the order; empty without a calibrated forecast.
    pub curve: Vec<CurvePoint>,
    /// What a week later costs on average; none without a calibrated forecast.
    pub delay_week_cost: Option<f64>,
    /// What acting then saves against running on over the same time; likewise.
    pub avoided: Option<f64>,
    /// What it rests on.
    pub basis: Basis,
    /// The forecast that was looked at, by model; none when there was none.
    pub model: Option<String>,
    /// The decision in words.
    pub words: Explanation,
    /// What the numbers are counted in.
    pub currency: String,
}

/// Everything a date depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is wrong, and the forecast.
    pub advisory: &'a Advisory,
    /// What will be done.
    pub plan: Option<&'a JobPlan>,
    /// The kind of machine.
    pub model: Option<&'a AssetModel>,
    /// What it costs.
    pub costs: &'a OrderCosts,
    /// What the way costs; saved on days with a visit.
    pub travel: f64,
    /// What is agreed with the customer.
    pub terms: CustomerTerms,
    /// When work can be done there.
    pub hours: OpeningHours,
    /// Where the site is.
    pub zone: Tz,
    /// When somebody goes to that site anyway.
    pub visits: &'a [Timestamp],
}

/// Whether the distribution of a forecast has been compared with failures and held. What another
/// model says of single horizons speaks for itself and not for the distribution.
pub fn is_calibrated(prognosis: &Prognosis) -> bool {
    let within = prognosis.detail.within.iter();
    let mut own = within.filter(|one| one.family.is_none()).peekable();
    own.peek().is_some() && own.all(|one| one.shown == Shown::Calibrated)
}

/// When the work of an advisory is best done.
pub fn decide_date(situation: &Situation<'_>) -> DateDecision {
    let prognosis = situation.advisory.prognosis.as_ref();
    let fan = prognosis
        .filter(|prognosis| is_calibrated(prognosis))
        .and_then(|prognosis| Some((prognosis, Fan::of(prognosis)?)));
    match fan {
        Some((prognosis, fan)) => by_cost(situation, prognosis, &fan),
        None => by_severity(situation),
    }
}

/// Without a calibrated forecast.
fn by_severity(situation: &Situation<'_>) -> DateDecision {
    let advisory = situation.advisory;
    let from = calendar(advisory.opened_at);
    let agreed = agreed(advisory, situation.terms);
    let by = calendar(advisory.opened_at + agreed);
    // One that nobody has compared with failures may hurry, and never lull.
    let early = advisory.prognosis.as_ref();
    let early = early.map(|prognosis| calendar(prognosis.date_of(prognosis.rul_p10_s)));
    let hurried = early.filter(|early| *early < by);
    let due_by = hurried.unwrap_or(by).max(from);
    let zone = situation.zone;
    let open = situation.hours.spans(zone, from, due_by);
    let chosen = half_way(&open, from, due_by);
    DateDecision {
        chosen,
        due_from: from,
        due_by,
        curve: Vec::new(),
        delay_week_cost: None,
        avoided: None,
        basis: Basis::Severity,
        model: advisory.prognosis.as_ref().map(|one| one.model.clone()),
        words: words::by_severity(advisory, (chosen, due_by), hurried.is_some(), zone),
        currency: situation.costs.currency.clone(),
    }
}

/// The first opening in the second half of a time, or the last one in the first half.
///
/// Nobody knows how fast an unseen fault grows, so half of the time that is allowed is kept in
/// reserve, as inspections are planned at half of the interval from the first sign to failure.
///
/// # Source
/// The P-F interval of reliability-centred maintenance, with tasks at half of it (J. Moubray,
/// *Reliability-centered Maintenance*).
fn half_way(open: &[(Timestamp, Timestamp)], from: Timestamp, due_by: Timestamp) -> Timestamp {
    let half = from + Duration::from_secs_f64(due_by.secs_from(from).max(0.0) / 2.0);
    let at_or_after = open.iter().find(|(_, ends)| *ends > half);
    let before = || open.last().map(|(begins, _)| *begins);
    at_or_after
        .map(|(begins, _)| half.max(*begins))
        .or_else(before)
        .unwrap_or(due_by)
}

/// How long after the alarm the work may wait.
fn agreed(advisory: &Advisory, terms: CustomerTerms) -> Duration {
    if advisory.failure_mode.as_str() == FailureMode::SENSOR_FAULT {
        return SENSOR_WITHIN;
    }
    if advisory.severity == Severity::Critical {
        terms.critical_within.unwrap_or(CRITICAL_WITHIN)
    } else {
        terms.warning_within.unwrap_or(WARNING_WITHIN)
    }
}

/// From a calibrated forecast.
fn by_cost(situation: &Situation<'_>, prognosis: &Prognosis, fan: &Fan) -> DateDecision {
    let now = calendar(prognosis.at);
    let end = fan.last_known().min(HORIZON.as_secs_f64());
    let rule = rule(situation, fan, now, end);
    let planned = |at: f64| situation.costs.planned - saved(situation, now, at);
    let decision = decide_by(fan, &rule, planned);
    // No opening hour before the end of what is known: the first one after it.
    let late = || {
        situation
            .hours
            .spans(situation.zone, now, now + 2 * HORIZON)
    };
    let chosen_s = decision
        .replace_at
        .or_else(|| decision.curve.first().map(|(at, _)| *at))
        .or_else(|| late().first().map(|(begins, _)| begins.secs_from(now)))
        .unwrap_or(0.0);
    let mean = fan.mean_capped(end);
    let point = |at: f64, planned: f64| point_at(fan, &rule, planned, mean, now, at);
    let steps = CURVE_POINTS - 1;
    let times = (0..=steps).map(|step| end * step as f64 / steps as f64);
    let curve: Vec<CurvePoint> = times.map(|at| point(at, situation.costs.planned)).collect();
    let (due_from, due_by) = window(&curve, situation.costs.planned);
    let chosen = point(chosen_s, planned(chosen_s));
    let later = point(chosen_s + WEEK_S, situation.costs.planned);
    let to_the_end = situation.costs.failure * fan.probability_within(end);
    let delay = later.total - chosen.total;
    DateDecision {
        chosen: chosen.at,
        due_from,
        due_by,
        curve,
        delay_week_cost: Some(delay),
        avoided: Some((to_the_end - chosen.total).max(0.0)),
        basis: Basis::Calibrated,
        model: Some(prognosis.model.clone()),
        words: words::by_cost(&words::Said {
            chosen: chosen.at,
            zone: situation.zone,
            fails_before: fan.probability_within(chosen_s),
            delay_week_cost: delay,
            shared: saved(situation, now, chosen_s) > 0.0,
            currency: &situation.costs.currency,
        }),
        currency: situation.costs.currency.clone(),
    }
}

/// The costs of the rule, in seconds from the forecast.
fn rule(situation: &Situation<'_>, fan: &Fan, now: Timestamp, end: f64) -> Costs {
    let spec = situation.model.and_then(|model| model.prognosis.as_ref());
    let costs = spec.map(|spec| spec.costs).unwrap_or_default();
    // What is thrown away with what is renewed: its price over its usual life. Where no plan says
    // how long that is, the model's cap, which is the least that a healthy one is counted with.
    let cap = spec.map_or(0.0, |spec| spec.cap_cycles * spec.cycle_s);
    let plan = situation.plan;
    let life = match plan.and_then(|plan| plan.life_days) {
        Some(days) => Some(days * 86_400.0),
        None if plan.is_some_and(|plan| plan.parts.is_empty()) => None,
        None => Some(cap.max(fan.mean_capped(end))),
    };
    let cost_rate = life.map_or(0.0, |life| situation.costs.planned / life.max(1.0));
    let until = now + Duration::from_secs_f64(end + costs.inspection_s);
    let mut spans = situation.hours.spans(situation.zone, now, until);
    if spans.is_empty() {
        // Shut until beyond what is known. No window at all would mean that it is always open.
        let later = now + 2 * HORIZON;
        spans = situation.hours.spans(situation.zone, now, later);
        spans.truncate(1);
    }
    let seconds = |(from, to): &(Timestamp, Timestamp)| (from.secs_from(now), to.secs_from(now));
    Costs {
        planned: situation.costs.planned,
        failure: situation.costs.failure.max(situation.costs.planned),
        lead_time: costs.lead_time_s,
        // A finer look than the hours of a day finds no other day.
        inspection: costs.inspection_s.min(3_600.0),
        cost_rate,
        windows: spans.iter().map(seconds).collect(),
    }
}

/// What a visit to the site on the same day saves.
fn saved(situation: &Situation<'_>, now: Timestamp, at: f64) -> f64 {
    let day = |at: Timestamp| at.to_utc().with_timezone(&situation.zone).date_naive();
    let then = day(calendar(now + Duration::from_secs_f64(at.max(0.0))));
    let shared = situation.visits.iter().any(|visit| day(*visit) == then);
    if shared {
        situation.travel.min(situation.costs.planned)
    } else {
        0.0
    }
}

fn point_at(
    fan: &Fan,
    rule: &Costs,
    planned: f64,
    mean: f64,
    now: Timestamp,
    at: f64,
) -> CurvePoint {
    let fails = fan.probability_within(at);
    let run_on = rule.failure * fails;
    let lost = rule.cost_rate * (mean - fan.mean_capped(at)).max(0.0);
    let planned = planned * (1.0 - fails) + lost;
    CurvePoint {
        at: calendar(now + Duration::from_secs_f64(at.max(0.0))),
        run_on,
        planned,
        total: run_on + planned,
    }
}

/// The dates around the cheapest one that cost hardly more.
fn window(curve: &[CurvePoint], planned: f64) -> (Timestamp, Timestamp) {
    let cheapest = curve
        .iter()
        .enumerate()
        .min_by(|a, b| a.1.total.total_cmp(&b.1.total));
    let Some((best, least)) = cheapest else {
        return (Timestamp::CALENDAR_MIN, Timestamp::CALENDAR_MIN);
    };
    let bearable = |point: &&CurvePoint| point.total <= least.total + WINDOW_SLACK * planned;
    let first = curve[..=best].iter().rev().take_while(bearable).last();
    let last = curve[best..].iter().take_while(bearable).last();
    (first.unwrap_or(least).at, last.unwrap_or(least).at)
}

fn calendar(at: Timestamp) -> Timestamp {
    at.clamp(Timestamp::CALENDAR_MIN, Timestamp::CALENDAR_MAX)
}

#[cfg(test)]
mod tests;
