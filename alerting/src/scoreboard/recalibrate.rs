//! How much rarer an alert should be, from what its orders found.
//!
//! The precision of an alert is estimated as a Beta distribution. Before the first order it is
//! believed to be what is wanted, with the weight of [`PRIOR`] orders; each order adds its
//! outcome, and an older one counts less than the next by [`FORGET`], because machines, limits
//! and people change. The limit then moves away from normal by the factor *wanted over
//! estimated*, never inward of where it was written, at most to [`MAX_FACTOR`], and at most by
//! [`MAX_STEP`] a time, so that one bad week does not blind anybody. Orders that confirm faults
//! bring it back the same way.
//!
//! | the last orders, newest first     | estimate | factor it moves towards |
//! |-----------------------------------|----------|-------------------------|
//! | none, or fewer than three judged  |          | stays                   |
//! | no fault found, three times       | 0.417    | 1.438                   |
//! | the same after ten confirmed ones | 0.495    | 1.212                   |
//! | then confirmed, three times       | 0.689    | 1                       |

use std::collections::BTreeSet;

use telemetry::{AlertSource, AssetModelId, Event, Explanation, FailureMode, Timestamp};

use super::{
    Alert, Setting,
    patience::{self, Kind},
};

/// The precision that is wanted: of ten orders six find something. Below, planners stop reading
/// alerts; above, faults are missed for the sake of a number.
pub const WANTED: f64 = 0.6;
/// How many orders the belief before the first one weighs.
pub const PRIOR: f64 = 5.0;
/// What the weight of an outcome is multiplied by for each newer one: three outcomes in a row
/// then weigh more than all before them.
pub const FORGET: f64 = 0.7;
/// The most a limit may move away from where it was written.
pub const MAX_FACTOR: f64 = 1.5;
/// The most a limit may move at a time, either way.
pub const MAX_STEP: f64 = 1.15;
/// Judged orders before anything moves.
const MIN_JUDGED: usize = 3;
/// Outcomes that are looked at; the weight of an older one is below a thousandth.
const MAX_JUDGED: usize = 20;
/// A move below this share is not worth telling.
const DEAD_BAND: f64 = 0.01;

/// How an alarm rose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rise {
    /// It grew through its limit.
    Gradual,
    /// It was far beyond its limit at first.
    Abrupt,
}

/// What is moved to make an alert rarer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lever {
    /// Its limit, as a factor of where it was written.
    Limit,
    /// How long it waits before it becomes an order, days; see [`super::patience`].
    Patience {
        /// For this failure mode.
        failure_mode: FailureMode,
        /// Of alarms that rose so.
        rise: Rise,
    },
}

/// What is to be done about one source of alerts on one kind of machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whose alerts.
    pub source: AlertSource,
    /// On assets of this kind.
    pub asset_model: AssetModelId,
    /// What is moved.
    pub lever: Lever,
    /// What is in force: a factor or days.
    pub from: f64,
    /// What is from here on.
    pub to: f64,
    /// Why.
    pub because: Explanation,
}

impl Decision {
    /// What analytics and rules have to be told; nothing about a wait.
    pub fn event(&self, at: Timestamp) -> Option<Event> {
        (self.lever == Lever::Limit).then(|| Event::AlertsRecalibrated {
            source: self.source.clone(),
            asset_model: self.asset_model.clone(),
            factor: self.to,
            at,
        })
    }
}

/// The estimated precision from outcomes, the newest first: right or wrong.
pub fn precision(outcomes: &[bool]) -> f64 {
    let mut weight = 1.0;
    let (mut right, mut all) = (WANTED * PRIOR, PRIOR);
    for &was_right in outcomes.iter().take(MAX_JUDGED) {
        right += if was_right { weight } else { 0.0 };
        all += weight;
        weight *= FORGET;
    }
    right / all
}

/// The factor to move to, from the one in force; none when it stays.
pub fn factor(outcomes: &[bool], present: f64) -> Option<f64> {
    if outcomes.len() < MIN_JUDGED {
        return None;
    }
    let wanted = (WANTED / precision(outcomes)).clamp(1.0, MAX_FACTOR);
    let next = wanted.clamp(present / MAX_STEP, present * MAX_STEP);
    let next = next.clamp(1.0, MAX_FACTOR);
    let moved = (next / present - 1.0).abs();
    // The last bit of the way back is told too, however small.
    let is_news = moved > DEAD_BAND || (next <= 1.0 && moved > 0.0);
    is_news.then_some(next)
}

/// What follows from the alerts of one source on one kind of machine. Outcomes at or before
/// `after`, when a person took a move back, do not count again; nor do alarms whose order would have
/// been spared by now, as `waits` says.
pub fn decide(
    (source, asset_model): (&AlertSource, &AssetModelId),
    alerts: &[Alert],
    waits: impl Fn(&Alert) -> bool,
    (present, after): (f64, Option<Timestamp>),
) -> Option<Decision> {
    let own = alerts
        .iter()
        .filter(|alert| alert.source == *source && alert.asset_model == *asset_model)
        .filter(|alert| !waits(alert));
    let mut judged: Vec<(Timestamp, bool)> = own
        .filter_map(|alert| Some((alert.ended_at?, alert.was_right()?)))
        .filter(|(at, _)| after.is_none_or(|after| *at > after))
        .collect();
    judged.sort_unstable_by(|a, b| b.cmp(a));
    let outcomes: Vec<bool> = judged
        .iter()
        .map(|(_, right)| *right)
        .take(MAX_JUDGED)
        .collect();
    let to = factor(&outcomes, present)?;
    Some(Decision {
        source: source.clone(),
        asset_model: asset_model.clone(),
        lever: Lever::Limit,
        from: present,
        to,
        because: because(&outcomes, asset_model, (present, to)),
    })
}

/// Every move that follows from what orders found, waits first: orders for alarms that pass by
/// themselves move no limit once the next such alarm waits.
pub fn moves(alerts: &[Alert], settings: &[Setting]) -> Vec<Decision> {
    let in_force = |source: &AlertSource, model: &AssetModelId, lever: &Lever, usual: f64| {
        let known = settings
            .iter()
            .find(|one| (&one.source, &one.asset_model, &one.lever) == (source, model, lever));
        known.map_or((usual, None), |one| (one.value, one.taken_back_at))
    };
    let kinds: BTreeSet<Kind> = alerts.iter().map(patience::kind_of).collect();
    let mut moves = Vec::new();
    let mut waits: BTreeSet<(&Kind, Rise)> = BTreeSet::new();
    for kind in &kinds {
        for rise in [Rise::Gradual, Rise::Abrupt] {
            let failure_mode = kind.2.clone();
            let lever = Lever::Patience { failure_mode, rise };
            let present = in_force(&kind.0, &kind.1, &lever, 0.0);
            let decision = patience::decide((kind, rise), alerts, present);
            if decision.as_ref().map_or(present.0, |one| one.to) > 0.0 {
                waits.insert((kind, rise));
            }
            moves.extend(decision);
        }
    }
    let pairs: BTreeSet<_> = kinds
        .iter()
        .map(|(source, model, _)| (source, model))
        .collect();
    for (source, model) in pairs {
        let (present, _) = in_force(source, model, &Lever::Limit, 1.0);
        // Orders that a person would not have a wait for are not to move the limit instead.
        let own = settings
            .iter()
            .filter(|one| (&one.source, &one.asset_model) == (source, model));
        let taken_back = own.filter_map(|one| one.taken_back_at).max();
        let waits = |alert: &Alert| {
            let kind = patience::kind_of(alert);
            let rise = patience::rise_of(alert.first_score);
            patience::is_sparable(alert) && waits.contains(&(&kind, rise))
        };
        moves.extend(decide(
            (source, model),
            alerts,
            waits,
            (present, taken_back),
        ));
    }
    moves
}

fn because(outcomes: &[bool], model: &AssetModelId, (from, to): (f64, f64)) -> Explanation {
    let (count, right) = (outcomes.len(), outcomes.iter().filter(|one| **one).count());
    let row = outcomes.iter().take_while(|one| !**one).count();
    let estimate = precision(outcomes) * 100.0;
    let wanted = WANTED * 100.0;
    let (way, way_zh) = if to > from {
        ("rarer", "更少报警")
    } else {
        ("more frequent again", "恢复灵敏度")
    };
    let row_en = match row {
        0 | 1 => String::new(),
        row => format!(", the last {row} in a row found nothing"),
    };
    let row_zh = match row {
        0 | 1 => String::new(),
        row => format!("，最近连续 {row} 次未发现故障"),
    };
    Explanation {
        en: format!(
            "{way}: of the last {count} judged orders on {model} {right} found a fault{row_en}; the \
             estimated precision is {estimate:.0} %, wanted are {wanted:.0} %. The limit moves from \
             {from:.2} to {to:.2} times where it was written."
        ),
        zh: format!(
            "{way_zh}：{model} 最近 {count} 个已判定工单中 {right} 个发现故障{row_zh}；估计准确率 \
             {estimate:.0} %，目标 {wanted:.0} %。限值系数由 {from:.2} 调整为 {to:.2}。"
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_orders_in_a_row_that_found_nothing_make_an_alert_rarer() {
        // By hand: (3 + sum of 0.7^k over right ones) / (5 + sum of 0.7^k over all).
        for (outcomes, expected, towards) in [
            (&[][..], 0.6, 1.0),
            (&[false; 3][..], 3.0 / 7.19, 1.438),
            (&[true; 3][..], 5.19 / 7.19, 1.0),
            (&[false, false, true][..], 3.49 / 7.19, 1.236),
        ] {
            let found = precision(outcomes);
            assert!((found - expected).abs() < 1e-9, "{found}");
            assert!(((WANTED / found).max(1.0) - towards).abs() < 1e-3);
        }
        let good_then_bad: Vec<bool> = [vec![false; 3], vec![true; 10]].concat();
        assert!(factor(&good_then_bad, 1.0).is_some_and(|factor| factor > 1.1));
        assert_eq!(factor(&[false, false], 1.0), None, "two may be chance");
        let first = factor(&[false; 3], 1.0).unwrap();
        assert!(
            (first - MAX_STEP).abs() < 1e-9,
            "one night moves one step: {first}"
        );
    }

    #[test]
    fn confirmed_faults_bring_a_limit_back_to_where_it_was_written() {
        let mut present = 1.4;
        let outcomes = [true; 5];
        let mut nights = 0;
        while let Some(next) = factor(&outcomes, present) {
            assert!(next < present);
            present = next;
            nights += 1;
        }
        assert!(
            (present - 1.0).abs() < 1e-12 && nights == 3,
            "{present} after {nights}"
        );
    }

    proptest! {
        #[test]
        fn a_factor_stays_in_its_bounds_and_moves_one_step_at_most(
            outcomes in prop::collection::vec(any::<bool>(), 0..40), present in 1.0..1.5_f64,
        ) {
            if let Some(next) = factor(&outcomes, present) {
                prop_assert!((1.0..=MAX_FACTOR).contains(&next));
                prop_assert!(next <= present * MAX_STEP + 1e-9 && next >= present / MAX_STEP - 1e-9);
            }
        }

        #[test]
        fn one_more_order_that_found_nothing_never_makes_an_alert_more_frequent(
            outcomes in prop::collection::vec(any::<bool>(), 3..30),
        ) {
            let worse: Vec<bool> = [vec![false], outcomes.clone()].concat();
            prop_assert!(precision(&worse) <= precision(&outcomes) + 1e-12);
        }
    }
}
