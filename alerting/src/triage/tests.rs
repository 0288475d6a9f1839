use proptest::prelude::*;
use telemetry::{Evidence, FailureMode, Outcome, SensorState, Severity};

use super::*;
use crate::{
    CaseEventKind as Event, CaseStatus,
    testing::{Probe, Surroundings, ended, order, probe, t},
};

impl Desk {
    /// [`Desk::observe`] as of a recording.
    fn hear(&mut self, findings: &[Finding]) -> Batch {
        self.observe(findings, &Surroundings::default().around())
    }
}

/// What happened, in order.
fn kinds(batch: &Batch) -> Vec<Event> {
    batch.changes.iter().map(|change| change.event).collect()
}

/// The only open case.
fn only(desk: &Desk) -> &Held {
    let mut open = desk.open_cases();
    let held = open.next().expect("no case is open");
    assert!(open.next().is_none(), "more than one case is open");
    held
}

fn close(desk: &mut Desk, outcome: Option<Outcome>) {
    let id = only(desk).case.id.clone();
    let asset = only(desk).case.asset.clone();
    let end = ended("WO-000001", &asset, Some(&id), outcome, 1_000_000);
    desk.order_ended(&id, &end, &mut Batch::default()).unwrap();
}

#[test]
fn an_alarm_opens_one_case_with_its_evidence_frozen() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    let batch = desk.hear(&[pump.alarm(100, 130, "cavitation", 1.4)]);
    assert_eq!(kinds(&batch), [Event::Opened]);
    let case = only(&desk).case.clone();
    assert_eq!(case.opened_at, t(100));
    assert_eq!(case.failure_mode.as_str(), "cavitation");
    assert_eq!(case.severity, Severity::Warning);
    assert_eq!(case.evidence, crate::testing::evidence("cavitation", 1.4));

    let batch = desk.hear(&[
        pump.alarm(100, 140, "cavitation", 1.4),
        pump.alarm(100, 900, "cavitation", 9.0),
    ]);
    assert_eq!(kinds(&batch), [Event::Refreshed]);
    let later = &only(&desk).case;
    assert_eq!((later.score, later.peak_score), (9.0, 9.0));
    assert_eq!(later.evidence, case.evidence);
}

#[test]
fn what_is_no_alarm_opens_nothing_and_writes_nothing() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    let batch = desk.hear(&[
        pump.learning(1),
        pump.normal(2, 3),
        pump.watch(4, 5),
        pump.health(5, 12.0),
        pump.forecast(5, 10.0, 20.0),
        pump.no_forecast(6),
        pump.alarm_without_evidence(7, 8),
    ]);
    assert!(batch.is_empty());
    assert_eq!(desk, Desk::default());
}

#[test]
fn an_alarm_that_goes_on_under_another_name_stays_one_case() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(100, 130, "unclassified", 1.4)]);
    let batch = desk.hear(&[pump.alarm(100, 160, "bearing-wear", 1.4)]);
    assert!(batch.is_empty());
    assert_eq!(only(&desk).case.failure_mode.as_str(), "unclassified");
}

#[test]
fn an_alarm_that_ends_and_returns_stays_one_case() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    let batch = desk.hear(&[
        pump.alarm(100, 130, "cavitation", 1.4),
        pump.normal(200, 210),
        pump.normal(200, 220),
    ]);
    assert_eq!(kinds(&batch), [Event::Opened, Event::Cleared]);
    assert_eq!(only(&desk).case.cleared_at, Some(t(200)));
    let batch = desk.hear(&[pump.alarm(300, 310, "cavitation", 1.4)]);
    assert_eq!(kinds(&batch), [Event::Returned]);
    let case = &only(&desk).case;
    assert_eq!((case.cleared_at, case.opened_at), (None, t(100)));
}

#[test]
fn two_devices_of_one_asset_share_a_case_until_both_are_quiet() {
    let (left, right) = (probe("pump-1", "left"), probe("pump-1", "right"));
    let mut desk = Desk::default();
    let batch = desk.hear(&[
        left.alarm(100, 130, "imbalance", 1.4),
        right.alarm(110, 140, "imbalance", 1.2),
        left.normal(200, 210),
    ]);
    assert_eq!(kinds(&batch), [Event::Opened]);
    let batch = desk.hear(&[right.normal(220, 230)]);
    assert_eq!(kinds(&batch), [Event::Cleared]);
    let batch = desk.hear(&[right.alarm(300, 310, "imbalance", 1.2)]);
    assert_eq!(kinds(&batch), [Event::Returned]);
    assert_eq!(only(&desk).case.device.as_str(), "left");
}

#[test]
fn a_faulty_sensor_opens_a_case_of_its_own_and_never_the_machines() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    let suspect = desk.hear(&[pump.sensor("flow", SensorState::Suspect, 90, 95)]);
    assert!(suspect.is_empty(), "nothing is sure yet");
    let batch = desk.hear(&[pump.sensor("flow", SensorState::Faulty, 100, 130)]);
    assert_eq!(kinds(&batch), [Event::Opened]);
    let case = only(&desk).case.clone();
    assert_eq!(case.failure_mode, FailureMode::sensor_fault());
    assert_eq!(case.signal.as_ref().unwrap().as_str(), "flow");
    assert_eq!((case.severity, case.opened_at), (Severity::Watch, t(100)));
    assert!(case.wants_order(), "somebody has to see to it");
    let views = case.evidence.views.iter();
    let views: Vec<_> = views.map(|v| (&*v.view, v.score, v.limit)).collect();
    assert_eq!(
        views,
        [
            ("sensor_step:flow", 2.0, 1.0),
            ("sensor_reads:flow", 9.0, 5.0)
        ]
    );

    // The machine, another sensor and its end are each their own.
    let batch = desk.hear(&[
        pump.alarm(140, 150, "cavitation", 1.4),
        pump.health(150, 12.0),
        pump.sensor("flow", SensorState::Faulty, 100, 160),
        pump.sensor("speed", SensorState::Faulty, 100, 160),
        pump.sensor("flow", SensorState::Good, 170, 175),
    ]);
    assert_eq!(
        kinds(&batch),
        [
            Event::Opened,
            Event::SeverityRaised,
            Event::Opened,
            Event::Cleared
        ]
    );
    let severities: Vec<_> = desk.open_cases().map(|held| held.case.severity).collect();
    assert_eq!(
        severities.iter().filter(|s| **s == Severity::Watch).count(),
        2
    );
    let batch = desk.hear(&[pump.sensor("flow", SensorState::Faulty, 200, 210)]);
    assert_eq!(kinds(&batch), [Event::Returned]);
    assert_eq!(desk.open_cases().count(), 3);
}

#[test]
fn a_device_that_learns_anew_has_forgotten_its_sensors_but_not_its_clock() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    let findings = [
        pump.sensor("flow", SensorState::Faulty, 100, 130),
        pump.sensor(telemetry::CLOCK_SIGNAL, SensorState::Faulty, 100, 131),
        pump.learning(200),
        pump.learning(260),
    ];
    let batch = desk.hear(&findings);
    assert_eq!(
        kinds(&batch),
        [Event::Opened, Event::Opened, Event::Cleared]
    );
    let cleared = desk
        .open_cases()
        .find(|held| held.case.cleared_at.is_some());
    assert_eq!(
        cleared.unwrap().case.signal.as_ref().unwrap().as_str(),
        "flow"
    );
    let before = desk.clone();
    assert!(desk.hear(&findings).is_empty(), "a replay changes nothing");
    assert_eq!(desk, before);
}

#[test]
fn two_devices_of_an_asset_with_one_bad_signal_share_its_case() {
    let (left, right) = (probe("pump-1", "left"), probe("pump-1", "right"));
    let mut desk = Desk::default();
    let batch = desk.hear(&[
        left.sensor("flow", SensorState::Faulty, 100, 130),
        right.sensor("flow", SensorState::Faulty, 110, 140),
        left.sensor("flow", SensorState::Good, 200, 210),
    ]);
    assert_eq!(kinds(&batch), [Event::Opened]);
    let batch = desk.hear(&[right.sensor("flow", SensorState::Good, 220, 230)]);
    assert_eq!(kinds(&batch), [Event::Cleared]);
}

#[test]
fn score_and_prognosis_follow_the_device_that_opened_the_case() {
    let (left, right) = (probe("pump-1", "left"), probe("pump-1", "right"));
    let mut desk = Desk::default();
    desk.hear(&[
        left.alarm(100, 130, "imbalance", 1.4),
        right.alarm(110, 140, "imbalance", 1.2),
    ]);
    let batch = desk.hear(&[
        right.alarm(110, 900, "imbalance", 9.0),
        right.forecast(900, 1e5, 2e5),
    ]);
    assert!(batch.is_empty());
    let batch = desk.hear(&[right.health(901, 5.0)]);
    assert_eq!(kinds(&batch), [Event::SeverityRaised]);
    let batch = desk.hear(&[
        left.alarm(100, 900, "imbalance", 9.0),
        left.forecast(900, 1e5, 2e5),
    ]);
    assert_eq!(kinds(&batch), [Event::Refreshed; 2]);
}

#[test]
fn another_failure_mode_and_another_asset_have_cases_of_their_own() {
    let (left, right) = (probe("pump-1", "left"), probe("pump-1", "right"));
    let other = probe("pump-2", "dev-2");
    let mut desk = Desk::default();
    let batch = desk.hear(&[
        left.alarm(100, 130, "imbalance", 1.4),
        right.alarm(100, 130, "cavitation", 1.4),
        other.alarm(100, 130, "imbalance", 1.4),
    ]);
    assert_eq!(kinds(&batch), [Event::Opened; 3]);
    assert_eq!(desk.open_cases().count(), 3);
}

#[test]
fn a_new_alarm_under_another_name_ends_the_one_before() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(100, 130, "imbalance", 1.4)]);
    let batch = desk.hear(&[pump.alarm(200, 210, "cavitation", 1.4)]);
    assert_eq!(kinds(&batch), [Event::Cleared, Event::Opened]);
}

#[test]
fn severity_rises_with_the_health_zone_and_never_falls() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(100, 130, "imbalance", 1.4)]);
    for (at, health, changes, severity) in [
        (131, 95.0, 0, Severity::Warning),
        (132, 70.0, 0, Severity::Warning),
        (133, 45.0, 0, Severity::Warning),
        (134, 29.9, 1, Severity::Critical),
        (135, 10.0, 0, Severity::Critical),
        (136, 95.0, 0, Severity::Critical),
    ] {
        let batch = desk.hear(&[pump.health(at, health)]);
        assert_eq!(batch.changes.len(), changes, "{health}");
        assert_eq!(only(&desk).case.severity, severity, "{health}");
    }
    let batch = desk.hear(&[pump.normal(200, 210), pump.health(211, 5.0)]);
    assert_eq!(kinds(&batch), [Event::Cleared]);
}

#[test]
fn the_score_is_refreshed_when_it_is_news_and_no_more_than_once_a_minute() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(0, 0, "imbalance", 2.0)]);
    // (at, score, refreshed, score kept, peak kept)
    for (at, score, refreshed, kept, peak) in [
        (59, 9.0, false, 2.0, 2.0),
        (60, 2.05, false, 2.0, 2.0),
        (61, 2.2, true, 2.2, 2.2),
        (120, 9.0, false, 2.2, 2.2),
        (121, 1.8, false, 2.2, 2.2),
        (122, 1.7, true, 1.7, 2.2),
        (200, 2.15, true, 2.15, 2.2),
        (300, 9.0, true, 9.0, 9.0),
    ] {
        let batch = desk.hear(&[pump.alarm(0, at, "imbalance", score)]);
        assert_eq!(!batch.is_empty(), refreshed, "at {at}");
        let case = &only(&desk).case;
        assert_eq!((case.score, case.peak_score), (kept, peak), "at {at}");
        assert!(batch.log.is_empty(), "a refresh is not logged");
    }
}

#[test]
fn the_latest_prognosis_is_attached_and_taken_away_when_it_no_longer_holds() {
    const DAY: f64 = 86_400.0;
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(0, 0, "imbalance", 2.0)]);
    for (finding, changed, p50_days) in [
        (pump.no_forecast(1), false, None),
        (pump.forecast(2, 5.0 * DAY, 10.0 * DAY), true, Some(10.0)),
        // The same dates, seen later.
        (
            pump.forecast(3_600, 5.0 * DAY - 3_598.0, 10.0 * DAY - 3_598.0),
            false,
            Some(10.0),
        ),
        (pump.forecast(7_200, 3.0 * DAY, 6.0 * DAY), true, Some(6.0)),
        (pump.forecast(7_230, 1.0 * DAY, 2.0 * DAY), false, Some(6.0)),
        (pump.forecast(7_260, 1.0 * DAY, 2.0 * DAY), true, Some(2.0)),
        (pump.no_forecast(7_261), true, None),
        (pump.forecast(7_262, 1.0 * DAY, 2.0 * DAY), false, None),
        (pump.forecast(7_400, 1.0 * DAY, 2.0 * DAY), true, Some(2.0)),
    ] {
        let at = finding.at();
        let batch = desk.hear(&[finding]);
        assert_eq!(!batch.is_empty(), changed, "{at}");
        let prognosis = only(&desk).case.prognosis.clone();
        let got = prognosis
            .as_ref()
            .map(|prognosis| prognosis.rul_p50_s / DAY);
        assert_eq!(got, p50_days, "{at}");
        // JSON has no infinity.
        assert!(prognosis.is_none_or(|prognosis| prognosis.rul_p90_s.is_finite()));
    }
}

#[test]
fn numbers_that_json_cannot_hold_do_not_keep_a_case_from_opening() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(0, 0, "imbalance", f64::INFINITY)]);
    let evidence = &only(&desk).case.evidence;
    let json = serde_json::to_string(evidence).unwrap();
    assert_eq!(&serde_json::from_str::<Evidence>(&json).unwrap(), evidence);
    assert!(evidence.statistics.score >= f64::MAX);
}

#[test]
fn an_alarm_that_belongs_to_a_closed_case_does_not_open_it_again_but_a_later_one_does() {
    // Where somebody was at the machine, what comes later is new; else the old case goes on.
    for (outcome, event) in [
        (Some(Outcome::Confirmed), Event::Opened),
        (Some(Outcome::NoFaultFound), Event::Opened),
        (Some(Outcome::SensorFault), Event::Opened),
        (Some(Outcome::OtherFaultFound), Event::Opened),
        (Some(Outcome::Duplicate), Event::Reopened),
        (None, Event::Reopened),
    ] {
        let pump = probe("pump-1", "dev-1");
        let mut desk = Desk::default();
        desk.hear(&[pump.alarm(100, 130, "cavitation", 1.4)]);
        let first = only(&desk).case.id.clone();
        close(&mut desk, outcome);
        let batch = desk.hear(&[
            pump.alarm(100, 200, "cavitation", 1.4),
            pump.alarm(100, 300, "imbalance", 7.0),
            pump.health(300, 1.0),
            pump.normal(400, 410),
        ]);
        assert!(batch.is_empty(), "{outcome:?}");
        let batch = desk.hear(&[pump.alarm(500, 510, "cavitation", 1.4)]);
        assert_eq!(kinds(&batch), [event], "{outcome:?}");
        let held = only(&desk);
        let goes_on = event == Event::Reopened;
        assert_eq!(held.case.id == first, goes_on, "{outcome:?}");
        assert_eq!(held.case.round, if goes_on { 2 } else { 1 });
        assert_eq!(
            (held.case.work_order.as_ref(), held.case.outcome),
            (None, None)
        );
        assert_eq!(batch.past_orders.len(), usize::from(goes_on));
        assert!(held.case.wants_order());
    }
}

#[test]
fn findings_up_to_the_mark_are_passed_over() {
    let pump = probe("pump-1", "dev-1");
    let findings = [
        pump.normal(0, 10),
        pump.alarm(100, 130, "cavitation", 1.4),
        pump.health(130, 20.0),
        pump.normal(200, 210),
        pump.alarm(300, 310, "cavitation", 1.4),
    ];
    let mut desk = Desk::default();
    desk.hear(&findings);
    let before = desk.clone();
    assert!(desk.hear(&findings).is_empty());
    assert_eq!(desk, before);
}

/// One thing that happens to a plant of two assets and three devices.
#[derive(Debug, Clone)]
enum Happening {
    Findings(Vec<Finding>),
    /// The oldest open case gets an order, which ends like this.
    OrderEnds(Option<Outcome>),
}

/// What analytics might say: per step a device, how far its clock moves, and its new state.
fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let mode = prop::sample::select(vec!["cavitation", "imbalance"]);
    let state = (
        prop::option::weighted(0.6, mode),
        0.5..20.0_f64,
        0.0..100.0_f64,
        0.0..1e6_f64,
    );
    let step = (0..3_usize, 1..120_i64, state, 0..10_u8);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let probes = [probe("a", "d0"), probe("a", "d1"), probe("b", "d2")];
        // The clocks of the devices differ, so journal order is not event time order.
        let mut clocks = [0_i64, 500, 90];
        let mut states = [(false, 0_i64); 3];
        let mut sensors = [(false, 0_i64); 3];
        let told = steps.into_iter().map(|(which, step, state, chance)| {
            let (mode, score, health, rul) = state;
            if chance == 0 {
                let outcomes = [None, Some(Outcome::Confirmed), Some(Outcome::Deferred)];
                return Happening::OrderEnds(outcomes[which]);
            }
            let probe: &Probe = &probes[which];
            clocks[which] += step;
            let at = clocks[which];
            if states[which].0 != mode.is_some() {
                states[which] = (mode.is_some(), at);
            }
            let since = states[which].1;
            if chance == 9 {
                // It learns anew, and has forgotten its sensors without a word.
                (states[which], sensors[which]) = ((false, at), (false, at));
                return Happening::Findings(vec![probe.learning(at)]);
            }
            let mut findings = vec![
                match mode {
                    Some(mode) => probe.alarm(since, at, mode, score),
                    None => probe.normal(since, at),
                },
                probe.health(at, health),
            ];
            findings.push(if chance < 5 {
                probe.forecast(at, rul, 2.0 * rul)
            } else {
                probe.no_forecast(at)
            });
            if chance % 2 == 0 {
                let (is_bad, since) = sensors[which];
                if chance != 2 {
                    sensors[which] = (!is_bad, at);
                }
                let since = if chance == 2 { since } else { at };
                let state = if sensors[which].0 {
                    SensorState::Faulty
                } else {
                    SensorState::Good
                };
                findings.push(probe.sensor("flow", state, since, at));
            }
            Happening::Findings(findings)
        });
        told.collect()
    })
}

/// Lets something happen; an order only the first time it comes, because it is not in the journal
/// of findings.
fn happen(desk: &mut Desk, what: &Happening, number: usize, again: bool) -> Batch {
    match what {
        Happening::Findings(findings) => desk.hear(findings),
        Happening::OrderEnds(outcome) => {
            let mut batch = Batch::default();
            let oldest = desk.open_cases().min_by_key(|held| held.case.opened_at);
            if let (Some(held), false) = (oldest, again) {
                let (id, asset) = (held.case.id.clone(), held.case.asset.clone());
                let name = match &held.case.work_order {
                    Some(order) => order.to_string(),
                    None => format!("WO-{number:06}"),
                };
                let end = ended(&name, &asset, Some(&id), *outcome, 1_000_000);
                desk.order_ended(&id, &end, &mut batch).unwrap();
            }
            batch
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// After a crash the journal is read again from some earlier point.
    #[test]
    fn a_replay_from_any_earlier_point_leaves_every_case_as_it_was(
        told in happenings(),
        crashes in prop::collection::vec((0..60_usize, 0..60_usize), 1..6),
    ) {
        let mut whole = Desk::default();
        let mut whole_log = Vec::new();
        for (number, what) in told.iter().enumerate() {
            whole_log.extend(happen(&mut whole, what, number, false).log);
        }

        let mut broken = Desk::default();
        let mut broken_log = Vec::new();
        let mut crashes: Vec<_> = crashes.into_iter().map(|(at, back)| (at % told.len(), back)).collect();
        let (mut next, mut reached) = (0, 0);
        while next < told.len() {
            let again = next < reached;
            broken_log.extend(happen(&mut broken, &told[next], next, again).log);
            next += 1;
            reached = reached.max(next);
            if let Some(crash) = crashes.iter().position(|&(at, _)| at + 1 == next) {
                let (_, back) = crashes.swap_remove(crash);
                next = next.saturating_sub(back);
            }
        }
        prop_assert_eq!(whole_log, broken_log);
        prop_assert_eq!(whole, broken);
    }

    #[test]
    fn there_is_never_a_second_open_case_for_an_asset_and_failure_mode(told in happenings()) {
        let mut desk = Desk::default();
        for (number, what) in told.iter().enumerate() {
            happen(&mut desk, what, number, false);
            let mut open: Vec<_> = desk
                .open_cases()
                .map(|held| (held.case.asset.clone(), held.case.failure_mode.clone()))
                .collect();
            open.sort_unstable();
            prop_assert!(open.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}

#[test]
fn an_order_that_was_put_off_leaves_the_case_to_another_order_of_the_asset() {
    let pump = probe("pump-1", "dev-1");
    let mut desk = Desk::default();
    desk.hear(&[pump.alarm(100, 130, "cavitation", 1.4)]);
    close(&mut desk, Some(Outcome::Deferred));
    assert_eq!(only(&desk).case.work_order, Some(order("WO-000001")));
    assert_eq!(only(&desk).case.status, CaseStatus::Open);
    assert!(!only(&desk).case.wants_order());

    for (outcome, closes) in [
        (None, false),
        (Some(Outcome::Deferred), false),
        (Some(Outcome::Confirmed), true),
    ] {
        let mut batch = Batch::default();
        let end = ended("WO-000009", &pump.asset, None, outcome, 2_000_000);
        desk.asset_serviced(&end, &mut batch).unwrap();
        assert_eq!(!batch.is_empty(), closes, "{outcome:?}");
    }
    assert_eq!(desk.open_cases().count(), 0);
}
