//! The question each kind of rule asks, of a row or of what was told of the machine.

use serde::{Deserialize, Serialize};
use telemetry::{FailureWithin, Prognosis, Shown};

use super::{
    course::{Course, Memory, Turn},
    plan::Watch,
    rule::{Condition, Counted, Health, Operating, Side, State},
};

/// What was told of a device beside its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) operating: Operating,
    pub(super) operating_since: i64,
    pub(super) health: Health,
    pub(super) health_since: i64,
    pub(super) score: Option<f64>,
    pub(super) index: Option<f64>,
}

/// Asks one rule; what it saw comes with the answer.
pub(super) fn ask(
    watch: &Watch,
    course: &mut Course,
    facts: &Facts,
    at: i64,
    row: Option<&[f64]>,
) -> Option<(Turn, Option<f64>)> {
    let of_row = row
        .zip(watch.slot)
        .and_then(|(row, slot)| row.get(slot).copied());
    let of_row = of_row.filter(|value| !value.is_nan());
    let step = |course: &mut Course, value: f64, side: Side| {
        course
            .step(at, side, watch.delays)
            .map(|turn| (turn, Some(value)))
    };
    match &watch.rule.condition {
        Condition::Threshold { .. } | Condition::Zone { .. } => {
            step(course, of_row?, watch.level?.side(of_row?))
        }
        Condition::Rate { per_s, .. } => {
            let change = course.rate(at, of_row?, watch.span)? * per_s;
            step(course, change, watch.level?.side(change))
        }
        Condition::Score { .. } => step(course, facts.score?, watch.level?.side(facts.score?)),
        Condition::Health { .. } => step(course, facts.index?, watch.level?.side(facts.index?)),
        Condition::FailureWithin { .. } => {
            let Some(chance) = course.value else {
                return step(course, 0.0, Side::Inside);
            };
            step(course, chance, watch.level?.side(chance))
        }
        Condition::Sensor { .. } => {
            let Memory::Sensors(wrong) = &course.memory else {
                return None;
            };
            let count = wrong.len() as f64;
            step(
                course,
                count,
                if wrong.is_empty() {
                    Side::Inside
                } else {
                    Side::Beyond
                },
            )
        }
        Condition::State { states, .. } => {
            let since = facts.since(states);
            let lasted = since.map_or(-1, |since| at.saturating_sub(since));
            let side = match lasted {
                ..0 if since.is_none() => Side::Inside,
                lasted if lasted >= watch.span => Side::Beyond,
                _ => Side::Between,
            };
            step(course, lasted.max(0) as f64 / 1e6, side)
        }
        Condition::Count { of, at_least, .. } => {
            let stands = stands(watch, of, course, facts, of_row);
            let count = course.count(at, stands, watch.span, *at_least);
            let side = if count >= *at_least {
                Side::Beyond
            } else {
                Side::Inside
            };
            step(course, f64::from(count), side)
        }
        Condition::NoData { .. } => None,
    }
}

/// Whether what is counted stands; none where this row does not say.
fn stands(
    watch: &Watch,
    of: &Counted,
    course: &Course,
    facts: &Facts,
    value: Option<f64>,
) -> Option<bool> {
    match of {
        Counted::States { states } => Some(facts.since(states).is_some()),
        Counted::Crossings { level, .. } => {
            let side = watch.level.unwrap_or(*level).side(value?);
            Some(match side {
                Side::Beyond => true,
                Side::Between => course.counted_stands(),
                Side::Inside => false,
            })
        }
    }
}

impl Facts {
    /// Nothing was told yet.
    pub(super) fn unknown() -> Self {
        Self {
            operating: Operating::Unknown,
            operating_since: i64::MAX,
            health: Health::Learning,
            health_since: i64::MAX,
            score: None,
            index: None,
        }
    }

    /// Since when the machine has been in one of these states; none when it is in none.
    fn since(&self, states: &[State]) -> Option<i64> {
        let known = |state: &State| match state {
            State::Operating(one) => (*one == self.operating).then_some(self.operating_since),
            State::Condition(one) => (*one == self.health).then_some(self.health_since),
        };
        let since = states.iter().filter_map(known).min()?;
        (since != i64::MAX).then_some(since)
    }
}

/// The calibrated probability of failing within a horizon: between the horizons that were told
/// on the straight line, beyond the last at least as much as there.
pub(super) fn chance(prognosis: &Prognosis, horizon_s: f64) -> Option<f64> {
    let told = prognosis.detail.within.iter();
    let told = told.filter(|within| within.shown == Shown::Calibrated);
    let mut before = (0.0, 0.0);
    let mut any = false;
    for FailureWithin {
        horizon_s: to,
        probability,
        ..
    } in told
    {
        let Some(probability) = probability else {
            continue;
        };
        any = true;
        if *to >= horizon_s {
            let share = (horizon_s - before.0) / (to - before.0).max(f64::MIN_POSITIVE);
            return Some(before.1 + (probability - before.1) * share);
        }
        before = (*to, *probability);
    }
    any.then_some(before.1)
}
