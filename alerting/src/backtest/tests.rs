use proptest::prelude::*;
use telemetry::Nowhere;

use super::*;
use crate::testing::{asset, probe, t};

const DAY: i64 = 86_400;

fn alert(at: &str, mode: &str, day: i64) -> Alert {
    Alert {
        case: CaseId::new(&format!("C-{at}-{day}")).unwrap(),
        asset: asset(at),
        failure_mode: FailureMode::new(mode).unwrap(),
        signal: None,
        rule: None,
        opened_at: t(day * DAY),
        order: true,
    }
}

fn record(at: &str, mode: Option<&str>, day: i64, found: OnRecord) -> Record {
    Record {
        asset: asset(at),
        failure_mode: mode.map(|mode| FailureMode::new(mode).unwrap()),
        at: t(day * DAY),
        found,
    }
}

fn judged(alerts: Vec<Alert>, records: &[Record]) -> Side {
    let prices = Prices {
        planned: 1_000.0,
        failure: 6_000.0,
        inspection: 200.0,
    };
    judge(alerts, records, (t(0), t(100 * DAY)), HORIZON, |_| {
        Some(prices)
    })
}

#[test]
fn an_alert_is_what_the_record_makes_of_it() {
    use OnRecord::{Failed, Mended, Nothing, Sensor};
    use Verdict::{Confirmed, False, Unknown};
    let leak = Some("seal-leak");
    for (what, day, records, expected) in [
        (
            "a failure within the horizon",
            10,
            vec![record("a", leak, 30, Failed)],
            Confirmed,
        ),
        (
            "a repair",
            10,
            vec![record("a", leak, 12, Mended)],
            Confirmed,
        ),
        (
            "nobody said what failed",
            10,
            vec![record("a", None, 12, Failed)],
            Confirmed,
        ),
        (
            "another fault",
            10,
            vec![record("a", Some("imbalance"), 12, Failed)],
            False,
        ),
        (
            "another machine",
            10,
            vec![record("b", leak, 12, Failed)],
            False,
        ),
        (
            "long before the failure",
            10,
            vec![record("a", leak, 60, Failed)],
            False,
        ),
        (
            "after the failure",
            10,
            vec![record("a", leak, 9, Failed)],
            False,
        ),
        ("nothing on record", 10, vec![], False),
        (
            "somebody looked",
            90,
            vec![record("a", None, 92, Nothing)],
            False,
        ),
        (
            "a sensor was wrong",
            90,
            vec![record("a", None, 92, Sensor)],
            False,
        ),
        ("the record ends too soon", 90, vec![], Unknown),
    ] {
        let side = judged(vec![alert("a", "seal-leak", day)], &records);
        assert_eq!(side.items[0].verdict, expected, "{what}");
    }
}

#[test]
fn an_alert_without_a_name_and_one_of_a_sensor_are_judged_by_what_was_found() {
    use OnRecord::{Mended, Sensor};
    let unclassified = alert("a", FailureMode::UNCLASSIFIED, 10);
    let leak = Some("seal-leak");
    let side = judged(vec![unclassified], &[record("a", leak, 12, Mended)]);
    assert_eq!(side.items[0].verdict, Verdict::Confirmed);
    let of_sensor = Alert {
        signal: telemetry::SignalName::new("flow").ok(),
        ..alert("a", FailureMode::SENSOR_FAULT, 10)
    };
    let side = judged(vec![of_sensor], &[record("a", None, 12, Sensor)]);
    assert_eq!(
        (side.items[0].verdict, side.problems, side.missed),
        (Verdict::Confirmed, 0, 0)
    );
}

/// Two machines fail. One alert tells of the first, another of it again; the second is missed, and
/// one alert is false: 5,000 avoided once, 200 paid for nothing.
#[test]
fn a_problem_counts_once_and_money_follows() {
    let side = judged(
        vec![
            alert("a", "seal-leak", 10),
            alert("a", FailureMode::UNCLASSIFIED, 20),
            alert("c", "seal-leak", 40),
        ],
        &[
            record("a", Some("seal-leak"), 25, OnRecord::Failed),
            record("b", Some("imbalance"), 50, OnRecord::Failed),
        ],
    );
    assert_eq!((side.cases, side.confirmed, side.false_alarms), (3, 2, 1));
    assert_eq!((side.problems, side.missed), (2, 1));
    assert_eq!(side.lead_time_s, Some(15.0 * DAY as f64));
    assert!((side.net_money.unwrap() - 4_800.0).abs() < 1e-9);
    let recall = side.recall.unwrap();
    // R: binom.confint(1, 2, methods = "wilson").
    assert!((recall.low - 0.094_531).abs() < 1e-5 && (recall.high - 0.905_469).abs() < 1e-5);
}

/// The failure and the order that mended it are one problem.
#[test]
fn records_of_one_problem_are_not_two() {
    let side = judged(
        Vec::new(),
        &[
            record("a", Some("seal-leak"), 25, OnRecord::Failed),
            record("a", Some("seal-leak"), 27, OnRecord::Mended),
            record("a", Some("seal-leak"), 60, OnRecord::Failed),
        ],
    );
    assert_eq!((side.problems, side.missed), (2, 2));
}

#[test]
fn a_case_of_a_trial_ends_by_a_visit_or_by_its_time_and_the_next_alarm_opens_another() {
    let pump = probe("pump-1", "dev-1");
    let (alarm, normal) = (
        |day: i64| pump.alarm(day * DAY, day * DAY + 60, "seal-leak", 1.5),
        |day: i64| pump.normal(day * DAY, day * DAY),
    );
    let mut trial = Trial::new(crate::CaseSettings::default());
    assert!(trial.observe(&[alarm(1)], &Nowhere, t(DAY + 60)));
    // It comes and goes while the order is open: one case.
    trial.observe(&[normal(2), alarm(3), normal(4)], &Nowhere, t(4 * DAY));
    // The order would have been done on day 15.
    trial.observe(&[alarm(20), normal(21)], &Nowhere, t(21 * DAY));
    // Somebody was there on day 22.
    trial.visited(&pump.asset, t(22 * DAY));
    trial.observe(&[alarm(23)], &Nowhere, t(23 * DAY + 60));
    let opened: Vec<_> = trial
        .into_alerts()
        .into_iter()
        .map(|one| one.opened_at)
        .collect();
    assert_eq!(opened, [t(DAY), t(20 * DAY), t(23 * DAY)]);
}

proptest! {
    #[test]
    fn every_alert_and_every_problem_is_counted_once(
        alerts in prop::collection::vec((0..3_u8, 0..100_i64), 0..40),
        records in prop::collection::vec((0..3_u8, 0..120_i64, 0..4_u8), 0..20),
    ) {
        let name = |n: u8| ["a", "b", "c"][usize::from(n)];
        let mut alerts: Vec<Alert> =
            alerts.into_iter().map(|(n, day)| alert(name(n), "seal-leak", day)).collect();
        alerts.sort_by_key(|one| one.opened_at);
        let all = alerts.len() as u32;
        let found = [OnRecord::Failed, OnRecord::Mended, OnRecord::Sensor, OnRecord::Nothing];
        let records: Vec<Record> = records
            .into_iter()
            .map(|(n, day, kind)| record(name(n), None, day, found[usize::from(kind)]))
            .collect();
        let side = judged(alerts, &records);
        prop_assert_eq!(side.cases, all);
        prop_assert_eq!(side.confirmed + side.false_alarms + side.unknown, all);
        prop_assert!(side.missed <= side.problems);
        let of_rules: u32 = side.by_rule.iter().map(|one| one.cases).sum();
        prop_assert_eq!(of_rules, all);
        for one in &side.items {
            prop_assert_eq!(one.lead_time_s.is_some(), one.verdict == Verdict::Confirmed);
            prop_assert!(one.lead_time_s.is_none_or(|lead| lead >= 0.0));
        }
    }
}
