//! How long an alert waits for itself to pass before it becomes an order.
//!
//! A neighbour shakes the floor, a campaign runs at another load, a valve is left half open: an
//! alarm rises, and days later it is over before anybody was there. A limit that is raised for
//! such orders misses the next fault, because a fault looks the same at first. What tells one
//! from the other is time: a fault does not pass, and wear grows through a limit slowly. So the
//! orders of one source for one failure mode on one kind of machine are counted in two parts:
//!
//! | alarms | wait when |
//! |---|---|
//! | that grew ([`Rise::Gradual`]) | [`ENOUGH`] passed before anybody came who found something, and these are one in [`ONE_IN`] |
//! | far beyond the limit at first ([`Rise::Abrupt`]) | [`ENOUGH`] were in vain, and no more than one in [`ONE_IN`] was right |
//!
//! They wait as long as the longest alarm of that kind stood that passed, at most [`MOST`]; then
//! an alarm is over, or becomes an order. That costs no time to act in: the date of an order
//! counts from the alarm, and none waits past the last day on which it can be proposed for its
//! best date ([`hold`]). Critical cases do not wait, unless they rose abruptly and their kind has
//! cried wolf.

use std::time::Duration;

use telemetry::{AlertSource, AssetModelId, Explanation, FailureMode, Severity, Timestamp};

use super::{
    Alert,
    recalibrate::{Decision, Lever, Rise},
};

/// Alarms in vain before anything waits.
pub const ENOUGH: usize = 3;
/// Of the alarms that grew one in so many has to have passed; of the abrupt ones no more than one
/// in so many may have been right.
pub const ONE_IN: usize = 4;
/// Alarms that are looked at, the newest.
const MAX_LOOKED_AT: usize = 20;
/// The longest wait: what stands for a week is worth a look whatever it is.
pub const MOST: Duration = Duration::from_hours(7 * 24);
/// How long an abrupt alarm waits where none of its kind was ever seen to pass.
const UNKNOWN: Duration = Duration::from_hours(3 * 24);
/// What planners and crews need between a proposal and the visit: a day to agree, a day to go.
pub const NOTICE: Duration = Duration::from_hours(2 * 24);
/// A score that is so many times its limit when the alarm rises has not grown there.
pub const ABRUPT: f64 = 1.4;
/// A move by less than this is not worth telling, days.
const DEAD_BAND: f64 = 0.5;

/// What waits together: who raises the alert, on which kind of machine, for what.
pub type Kind = (AlertSource, AssetModelId, FailureMode);

/// The kind of an alert.
pub fn kind_of(alert: &Alert) -> Kind {
    (
        alert.source.clone(),
        alert.asset_model.clone(),
        alert.failure_mode.clone(),
    )
}

/// How an alarm rose that was so many times its limit at first.
pub fn rise_of(first_score: f64) -> Rise {
    if first_score >= ABRUPT {
        Rise::Abrupt
    } else {
        Rise::Gradual
    }
}

/// Whether a wait of its kind would have spared the order of an alert.
pub fn is_sparable(alert: &Alert) -> bool {
    let is_abrupt = rise_of(alert.first_score) == Rise::Abrupt;
    alert.passed_after().is_some() || (is_abrupt && alert.was_right() == Some(false))
}

/// What follows from the alerts of a kind. `present` is the wait in force, days; what ended at or
/// before `after`, when a person took a move back, does not count again.
pub fn decide(
    (kind, rise): (&Kind, Rise),
    alerts: &[Alert],
    (present, after): (f64, Option<Timestamp>),
) -> Option<Decision> {
    let own = alerts.iter().filter(|alert| kind_of(alert) == *kind);
    let mut ended: Vec<(Timestamp, &Alert)> = own
        .filter(|alert| alert.passed_after().is_some() || alert.was_right().is_some())
        .filter_map(|alert| Some((alert.ended_at?, alert)))
        .filter(|(at, _)| after.is_none_or(|after| *at > after))
        .collect();
    ended.sort_by(|(a, _), (b, _)| b.cmp(a));
    let newest = ended.iter().take(MAX_LOOKED_AT);
    let longest = newest.filter_map(|(_, alert)| alert.passed_after()).max();
    let of_rise = ended.iter().map(|(_, alert)| *alert);
    let of_rise = of_rise.filter(|alert| rise_of(alert.first_score) == rise);
    let seen: Vec<&Alert> = of_rise.take(MAX_LOOKED_AT).collect();
    let spared = seen.iter().filter(|alert| is_sparable(alert)).count();
    let right = seen
        .iter()
        .filter(|alert| alert.was_right() == Some(true))
        .count();
    let is_habit = match rise {
        Rise::Gradual => spared * ONE_IN >= seen.len(),
        Rise::Abrupt => right * ONE_IN <= seen.len(),
    };
    let wait = (spared >= ENOUGH && is_habit).then(|| longest.unwrap_or(UNKNOWN));
    let to = days(wait.unwrap_or_default().min(MOST));
    let is_news = (to - present).abs() >= DEAD_BAND || ((to > 0.0) != (present > 0.0));
    is_news.then(|| Decision {
        source: kind.0.clone(),
        asset_model: kind.1.clone(),
        lever: Lever::Patience {
            failure_mode: kind.2.clone(),
            rise,
        },
        from: present,
        to,
        because: because((seen.len(), spared), (kind, rise), to),
    })
}

/// A case that may have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How urgent it is.
    pub severity: Severity,
    /// How its alarm rose.
    pub rise: Rise,
    /// When.
    pub opened_at: Timestamp,
    /// Whether its alarm stands.
    pub stands: bool,
    /// When the work is best done.
    pub best: Timestamp,
}

/// Why a case does not become an order yet; none when it does. `patience` is how long alarms of
/// its kind wait that rose as it did.
pub fn hold(case: Waiting, patience: Duration, now: Timestamp) -> Option<Explanation> {
    let is_critical = case.severity >= Severity::Critical;
    if patience.is_zero() || (is_critical && case.rise == Rise::Gradual) {
        return None;
    }
    if !case.stands {
        return Some(Explanation {
            en: "The alarm has passed, as alarms of this kind often do. It becomes an order when \
                 it comes back."
                .to_owned(),
            zh: "报警已自行消失，此类报警常会如此。若再次出现，则生成工单。".to_owned(),
        });
    }
    let mut until = case.opened_at + patience;
    if !is_critical {
        until = until.min(case.best - NOTICE);
    }
    (now < until).then(|| Explanation {
        en: format!(
            "Alarms of this kind have often been in vain, or passed by themselves. It becomes an \
             order when it still stands on {until}."
        ),
        zh: format!("此类报警常为误报或自行消失。若到 {until} 仍未消失，则生成工单。"),
    })
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

fn because((seen, spared): (usize, usize), (kind, rise): (&Kind, Rise), to: f64) -> Explanation {
    let (_, model, mode) = kind;
    let (what, what_zh, end, end_zh) = match rise {
        Rise::Gradual => (
            "alarms",
            "报警",
            "passed by themselves and nothing was found",
            "次自行消失且未发现故障",
        ),
        Rise::Abrupt => (
            "alarms that rose abruptly",
            "突发报警",
            "were in vain",
            "次未发现故障",
        ),
    };
    let (then, then_zh) = if to > 0.0 {
        (
            format!("The next one becomes an order when it has stood for {to:.1} days."),
            format!("下一次报警持续 {to:.1} 天后才生成工单。"),
        )
    } else {
        (
            "The next one becomes an order at once.".to_owned(),
            "下一次报警立即生成工单。".to_owned(),
        )
    };
    Explanation {
        en: format!("of the last {seen} {what} of {mode} on {model}, {spared} {end}. {then}"),
        zh: format!("{model} 最近 {seen} 次 {mode} {what_zh}中有 {spared} {end_zh}。{then_zh}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use telemetry::{CaseId, Outcome, Verdict};

    use super::*;

    const DAY: i64 = 86_400;

    fn day(day: f64) -> Timestamp {
        Timestamp::from_secs(0) + Duration::from_secs_f64(day * DAY as f64)
    }

    fn kind() -> Kind {
        let mode = FailureMode::new("imbalance").unwrap();
        (AlertSource::Model, AssetModelId::new("pump").unwrap(), mode)
    }

    /// An alarm that rose on a day, stood so long, and whose order ended a week after it rose.
    fn alert(number: u32, stood: Option<f64>, outcome: Option<Outcome>) -> Alert {
        let (source, asset_model, failure_mode) = kind();
        let opened = f64::from(number) * 10.0;
        Alert {
            case: CaseId::new(&format!("C-{number}")).unwrap(),
            source,
            asset_model,
            failure_mode,
            verdict: Verdict::Machine,
            first_score: 1.1,
            opened_at: day(opened),
            cleared_at: stood.map(|stood| day(opened + stood)),
            ended_at: Some(day(opened + 7.0)),
            outcome,
        }
    }

    const NOTHING: Option<Outcome> = Some(Outcome::NoFaultFound);
    const FOUND: Option<Outcome> = Some(Outcome::Confirmed);

    #[test]
    fn what_has_often_passed_by_itself_waits_as_long_as_the_longest_of_them_stood() {
        let passed = |number, stood| alert(number, Some(stood), NOTHING);
        for (what, alerts, expected) in [
            (
                "two may be chance",
                vec![passed(0, 2.0), passed(1, 3.0)],
                None,
            ),
            (
                "three",
                vec![passed(0, 2.0), passed(1, 3.5), passed(2, 3.0)],
                Some(3.5),
            ),
            (
                "nobody had to go",
                vec![alert(0, Some(2.0), None), passed(1, 3.5), passed(2, 1.0)],
                Some(3.5),
            ),
            (
                "one stood when somebody came",
                vec![passed(0, 2.0), passed(1, 3.0), alert(2, None, NOTHING)],
                None,
            ),
            (
                "one passed and something was found all the same",
                vec![passed(0, 2.0), passed(1, 3.0), alert(2, Some(1.0), FOUND)],
                None,
            ),
            (
                "a few of many",
                (0..3)
                    .map(|at| passed(at, 2.0))
                    .chain((3..13).map(|at| alert(at, None, FOUND)))
                    .collect(),
                None,
            ),
        ] {
            let decision = decide((&kind(), Rise::Gradual), &alerts, (0.0, None));
            let to = decision.as_ref().map(|one| one.to);
            assert_eq!(to, expected, "{what}");
            let other = (kind().0, kind().1, FailureMode::new("seal-leak").unwrap());
            assert_eq!(
                decide((&other, Rise::Gradual), &alerts, (0.0, None)),
                None,
                "{what}"
            );
        }
    }

    #[test]
    fn a_wait_ends_when_faults_are_found_again_and_when_a_person_took_it_back() {
        let mut alerts: Vec<Alert> = (0..3).map(|at| alert(at, Some(4.0), NOTHING)).collect();
        assert_eq!(
            decide((&kind(), Rise::Gradual), &alerts, (4.2, None)),
            None,
            "hardly another"
        );
        let taken_back = Some(day(60.0));
        let back = decide((&kind(), Rise::Gradual), &alerts, (0.0, taken_back));
        assert_eq!(back, None, "what ended before does not count again");
        alerts.extend((3..13).map(|at| alert(at, None, FOUND)));
        let ended = decide((&kind(), Rise::Gradual), &alerts, (4.0, None)).unwrap();
        assert_eq!((ended.from, ended.to), (4.0, 0.0));
        assert!(ended.because.en.contains("at once"), "{}", ended.because.en);
    }

    #[test]
    fn a_case_waits_unless_it_is_critical_or_its_date_comes_too_near() {
        let case = Waiting {
            severity: Severity::Warning,
            rise: Rise::Gradual,
            opened_at: day(0.0),
            stands: true,
            best: day(7.0),
        };
        let four = Duration::from_hours(4 * 24);
        let critical = Waiting {
            severity: Severity::Critical,
            best: day(1.0),
            ..case
        };
        let abrupt = Waiting {
            rise: Rise::Abrupt,
            ..critical
        };
        let soon = Waiting {
            best: day(3.0),
            ..case
        };
        let over = Waiting {
            stands: false,
            ..case
        };
        for (what, case, patience, now, waits) in [
            ("it has just risen", case, four, 0.1, true),
            ("it stands still", case, four, 4.0, false),
            ("nothing was learned", case, Duration::ZERO, 0.1, false),
            ("it grew to be critical", critical, four, 0.1, false),
            (
                "critical at first, and its kind cried wolf",
                abrupt,
                four,
                3.9,
                true,
            ),
            ("critical, and stands still", abrupt, four, 4.0, false),
            (
                "critical, and nothing was learned",
                abrupt,
                Duration::ZERO,
                0.1,
                false,
            ),
            ("a day before notice", soon, four, 0.9, true),
            ("notice", soon, four, 1.0, false),
            ("it has passed", over, four, 6.0, true),
        ] {
            assert_eq!(hold(case, patience, day(now)).is_some(), waits, "{what}");
        }
    }

    #[test]
    fn abrupt_alarms_wait_where_their_kind_has_cried_wolf() {
        let abrupt = |number, first_score, outcome| Alert {
            first_score,
            ..alert(number, None, outcome)
        };
        let vain = |number| abrupt(number, 2.0, NOTHING);
        let passed = alert(90, Some(4.0), NOTHING);
        for (what, alerts, expected) in [
            ("two may be chance", vec![vain(0), vain(1)], None),
            ("three", (0..3).map(vain).collect(), Some(3.0)),
            (
                "as long as one of them stood",
                (0..3).map(vain).chain([passed]).collect(),
                Some(4.0),
            ),
            (
                "those that grew tell nothing of the abrupt",
                (0..3).map(|at| abrupt(at, 1.1, NOTHING)).collect(),
                None,
            ),
            (
                "three of four",
                (0..3).map(vain).chain([abrupt(3, 2.0, FOUND)]).collect(),
                Some(3.0),
            ),
            (
                "three of five",
                (0..3)
                    .map(vain)
                    .chain([abrupt(3, 2.0, FOUND), abrupt(4, 2.0, FOUND)])
                    .collect(),
                None,
            ),
        ] {
            let alerts: Vec<Alert> = alerts;
            let decision = decide((&kind(), Rise::Abrupt), &alerts, (0.0, None));
            assert_eq!(decision.map(|one| one.to), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_a_week_and_never_negative(
            alarms in prop::collection::vec((0.0..30.0_f64, any::<bool>(), any::<bool>()), 0..40),
            present in 0.0..7.0_f64,
        ) {
            let alerts: Vec<Alert> = alarms
                .iter()
                .zip(0..)
                .map(|((stood, passed, found), number)| {
                    alert(number, passed.then_some(*stood), if *found { FOUND } else { NOTHING })
                })
                .collect();
            if let Some(decision) = decide((&kind(), Rise::Gradual), &alerts, (present, None)) {
                prop_assert!((0.0..=7.0).contains(&decision.to));
                let again = decide((&kind(), Rise::Gradual), &alerts, (decision.to, None));
                prop_assert_eq!(again, None, "a second look moves nothing");
            }
        }
    }
}
