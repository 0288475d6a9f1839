//! Lines of the scoreboard against cases counted by hand.

use super::recalibrate::{Lever, Rise, moves};
use super::*;
use crate::rules::parse_one;

const DAY: i64 = 86_400;

fn alert(number: u8, source: &AlertSource, model: &str, outcome: Option<Outcome>) -> Alert {
    Alert {
        case: CaseId::new(&format!("C-{number}")).unwrap(),
        source: source.clone(),
        asset_model: AssetModelId::new(model).unwrap(),
        failure_mode: FailureMode::new("bearing-wear").unwrap(),
        verdict: Verdict::Machine,
        first_score: 1.1,
        opened_at: Timestamp::from_secs(i64::from(number) * DAY),
        cleared_at: None,
        ended_at: outcome.map(|_| Timestamp::from_secs((i64::from(number) * 2 + 1) * DAY)),
        outcome,
    }
}

fn record() -> Record {
    let text = "[[rule]]\nid = \"hot\"\nname_en = \"Hot\"\nname_zh = \"热\"\nasset_models = [\"pump\"]\n\
                failure_mode = \"bearing-wear\"\nkind = \"score\"\nabove = 1.5\n";
    let rule = parse_one(text).unwrap().rule;
    let hot = AlertSource::Rule {
        rule: rule.id.clone(),
    };
    let model = AlertSource::Model;
    let (right, nothing) = (Some(Outcome::Confirmed), Some(Outcome::NoFaultFound));
    let watched = |asset: &str, model: &str| WatchedAsset {
        asset: AssetId::new(asset).unwrap(),
        asset_model: AssetModelId::new(model).unwrap(),
        since: Timestamp::from_secs(0),
    };
    let missed = |mode: &str, asset: &str, model: &str| Missed {
        asset: AssetId::new(asset).unwrap(),
        asset_model: AssetModelId::new(model).unwrap(),
        failure_mode: Some(FailureMode::new(mode).unwrap()),
    };
    Record {
        from: Timestamp::from_secs(0),
        to: Timestamp::from_secs(365 * DAY),
        alerts: vec![
            alert(1, &hot, "pump", right),
            alert(2, &hot, "pump", nothing),
            alert(3, &hot, "pump", Some(Outcome::SensorFault)),
            alert(4, &hot, "pump", Some(Outcome::Duplicate)),
            alert(5, &hot, "pump", None),
            alert(6, &model, "pump", right),
            alert(7, &model, "fan", Some(Outcome::OtherFaultFound)),
        ],
        missed: vec![
            missed("bearing-wear", "p1", "pump"),
            missed("seal-leak", "p1", "pump"),
            missed("imbalance", "f1", "fan"),
        ],
        assets: vec![
            watched("p1", "pump"),
            watched("p2", "pump"),
            watched("f1", "fan"),
        ],
        rules: vec![WatchingRule {
            rule,
            since: Timestamp::from_secs(182 * DAY),
        }],
    }
}

#[test]
fn each_line_counts_its_own_cases_failures_and_time() {
    let by = By {
        source: true,
        asset_model: true,
    };
    let lines = scores(&record(), by);
    let line = |source: &str, model: &str| {
        let found = lines.iter().find(|one| {
            let name = match one.source.as_ref().unwrap() {
                AlertSource::Model => "model",
                AlertSource::Rule { rule } => rule.as_str(),
            };
            name == source && one.asset_model.as_ref().unwrap().as_str() == model
        });
        found.unwrap()
    };
    assert_eq!(lines.len(), 3, "the rule is not for fans");
    let hot = line("hot", "pump");
    let counts = (
        hot.alerts,
        hot.confirmed,
        hot.no_fault_found,
        hot.sensor_fault,
        hot.open,
        hot.missed,
    );
    assert_eq!(counts, (5, 1, 1, 1, 1, 1));
    assert!((hot.precision.unwrap().value - 1.0 / 3.0).abs() < 1e-12);
    assert!((hot.recall.unwrap().value - 0.5).abs() < 1e-12);
    // Opened on day 1, ended on day 3.
    assert!((hot.lead_time_s.unwrap().value - 2.0 * DAY as f64).abs() < 1e-9);
    // Two pumps over the 183 days since the rule is in force.
    assert!((hot.asset_months - 2.0 * 183.0 / (365.25 / 12.0)).abs() < 1e-9);
    let false_alarms = hot.false_alarms_per_asset_month.unwrap();
    assert!((false_alarms.value - 2.0 / hot.asset_months).abs() < 1e-12);
    assert_eq!(
        (line("model", "pump").missed, line("model", "fan").missed),
        (2, 1)
    );
    assert_eq!(line("model", "fan").confirmed, 1);
}

#[test]
fn lines_may_be_summed_up_over_sources_or_kinds_of_machines() {
    let record = record();
    let all = scores(&record, By::default());
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].alerts, all[0].confirmed, all[0].missed), (7, 3, 3));
    let by_model = scores(
        &record,
        By {
            source: false,
            asset_model: true,
        },
    );
    let counts: Vec<_> = by_model
        .iter()
        .map(|one| (one.alerts, one.missed))
        .collect();
    assert_eq!(counts, [(1, 1), (6, 2)]);
}

/// A wait or a limit as it is in force.
fn setting(source: &AlertSource, lever: Lever, value: f64, taken_back: Option<i64>) -> Setting {
    Setting {
        source: source.clone(),
        asset_model: AssetModelId::new("pump").unwrap(),
        lever,
        value,
        taken_back_at: taken_back.map(|day| Timestamp::from_secs(day * DAY)),
    }
}

#[test]
fn orders_that_a_wait_would_have_spared_move_no_limit() {
    let source = AlertSource::Model;
    let nothing = Some(Outcome::NoFaultFound);
    let passed = |number| Alert {
        cleared_at: Some(Timestamp::from_secs((i64::from(number) + 1) * DAY)),
        ..alert(number, &source, "pump", nothing)
    };
    let mode = FailureMode::new("bearing-wear").unwrap();
    let waits = Lever::Patience {
        failure_mode: mode,
        rise: Rise::Gradual,
    };
    let all_passed: Vec<Alert> = (1..4).map(passed).collect();
    let all_stood: Vec<Alert> = (1..4)
        .map(|number| alert(number, &source, "pump", nothing))
        .collect();
    for (what, alerts, settings, expected) in [
        ("they passed", &all_passed, vec![], vec![&waits]),
        ("they stood", &all_stood, vec![], vec![&Lever::Limit]),
        (
            "they wait already",
            &all_passed,
            vec![setting(&source, waits.clone(), 1.0, None)],
            vec![],
        ),
        (
            "a person took the wait back",
            &all_passed,
            vec![setting(&source, waits.clone(), 0.0, Some(30))],
            vec![],
        ),
    ] {
        let moves = moves(alerts, &settings);
        let levers: Vec<&Lever> = moves.iter().map(|one| &one.lever).collect();
        assert_eq!(levers, expected, "{what}");
    }
}
