//! The whole chain from rows to findings on a machine that is switched off, changes its load,
//! and has sensors that fail.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

mod rig;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use analytics::{Config, Fleet};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rig::{alarm, apply, conditions, exact, reports};
use telemetry::{
    AssetId, AssetModel, ConditionState, Event, Finding, JournalRecord, OperatingState, Outcome,
    SensorFault, SensorState, Timestamp, WorkOrderId,
};

const SIGNALS: [&str; 3] = ["motor_current_a", "flow_l_min", "vibration_mm_s"];
const LEARNING: u32 = 1_200;

type Row = [f64; 3];

fn config() -> Config {
    Config {
        learning_rows: LEARNING,
        heartbeat: Duration::from_mins(2),
        ..Config::default()
    }
}

fn model() -> Arc<AssetModel> {
    Arc::new(
        serde_json::from_value(serde_json::json!({
            "id": "pump", "name_en": "Pump", "name_zh": "泵",
            "signals": [
                {"name": "motor_current_a", "unit": "A", "label_en": "Motor current", "label_zh": "电机电流"},
                {"name": "flow_l_min", "unit": "L/min", "label_en": "Flow", "label_zh": "流量"},
                {"name": "vibration_mm_s", "unit": "mm/s", "label_en": "Vibration", "label_zh": "振动"}],
            "components": [{"id": "bearing", "name_en": "Bearing", "name_zh": "轴承"}],
            "failure_modes": [{"mode": "bearing-wear", "name_en": "Bearing wear", "name_zh": "轴承磨损",
                "component": "bearing", "signature": [{"signal": "vibration_mm_s", "weight": 1.0}]}],
            "states": [{"state": "off", "signal": "motor_current_a", "below": 1.0, "until": 2.0}]
        }))
        .unwrap(),
    )
}

/// A row a second: off from `off` to `on`, two loads in turns of 200 s where `loads`, and a
/// vibration that is `worse` from `fault` on.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rows: usize,
    off: (usize, usize),
    loads: bool,
    fault: usize,
    worse: f64,
    seed: u64,
}

const PLAIN: Plan = Plan {
    rows: 2_400,
    off: (0, 0),
    loads: false,
    fault: usize::MAX,
    worse: 0.0,
    seed: 1,
};

fn plant(plan: Plan) -> Vec<Row> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let row = |at: usize| {
        let mut noise = || rng.random_range(-1.0..1.0);
        let (n1, n2, n3) = (noise(), noise(), noise());
        if (plan.off.0..plan.off.1).contains(&at) {
            return [0.1 + 0.02 * n1, 0.5 + 0.1 * n2, 0.05 + 0.01 * n3];
        }
        let high = plan.loads && at / 200 % 2 == 1;
        let load = if high { 1.6 } else { 1.0 };
        let swing = (at as f64 / 23.0).sin();
        let fault = if at >= plan.fault { plan.worse } else { 0.0 };
        [
            20.0 * load + 0.3 * swing + 0.2 * n1,
            30.0 * load + 0.5 * swing + 0.4 * n2,
            2.0 * load + 0.15 * n3 + fault,
        ]
    };
    (0..plan.rows).map(row).collect()
}

fn records(rows: &[Row]) -> Vec<JournalRecord> {
    rig::records(&SIGNALS, rig::each_second(rows), 16)
}

fn run(rows: &[Row]) -> Vec<Finding> {
    apply(&mut Fleet::new(config()).unwrap(), &records(rows), &model())
}

#[test]
fn a_machine_that_stands_still_is_not_judged_and_says_so() {
    let findings = run(&plant(Plan {
        off: (1_500, 1_900),
        ..PLAIN
    }));
    assert!(alarm(&findings).is_none());
    let off = conditions(&findings)
        .find(|condition| condition.operating == OperatingState::Off)
        .expect("it is told that it is off");
    assert!((1_500..1_520).contains(&(off.at.as_millis() / 1_000)));
    assert_eq!(off.state, ConditionState::Normal, "the state stands");
    let again = conditions(&findings)
        .find(|condition| condition.at > off.at && condition.operating != OperatingState::Off)
        .expect("it is told that it runs");
    assert_eq!(again.operating, OperatingState::Running { regime: 0 });
    let secs = again.at.as_millis() / 1_000;
    assert!(
        (1_955..2_000).contains(&secs),
        "settled by default after a minute: {secs}"
    );
}

#[test]
fn standing_still_is_not_learned() {
    let rows = plant(Plan {
        off: (300, 900),
        ..PLAIN
    });
    let mut fleet = Fleet::new(config()).unwrap();
    apply(&mut fleet, &records(&rows[..1_300]), &model());
    assert_eq!(fleet.stats().learning, 1, "six hundred rows did not count");
    let findings = apply(&mut fleet, &records(&rows)[82..], &model());
    assert_eq!(fleet.stats().learning, 0);
    assert!(alarm(&findings).is_none());
}

#[test]
fn each_load_has_its_normal_and_a_fault_is_found_in_either() {
    let healthy = Plan {
        rows: 3_200,
        loads: true,
        ..PLAIN
    };
    let findings = run(&plant(healthy));
    assert!(alarm(&findings).is_none());
    let regimes: std::collections::BTreeSet<String> = conditions(&findings)
        .map(|condition| serde_json::to_string(&condition.operating).unwrap())
        .filter(|text| text.contains("regime"))
        .collect();
    assert_eq!(regimes.len(), 2, "{regimes:?}");

    let findings = run(&plant(Plan {
        fault: 2_300,
        worse: 1.2,
        ..healthy
    }));
    let alarm = alarm(&findings).expect("an alarm");
    let evidence = alarm.evidence.as_ref().unwrap();
    let secs = alarm.since.as_millis() / 1_000;
    assert!((2_300..2_450).contains(&secs), "{secs}");
    assert_eq!(evidence.failure_mode.as_str(), "bearing-wear");
    let part = &evidence.contributions[0];
    assert_eq!(part.signal.as_str(), "vibration_mm_s");
    // Told in the values of the load it ran at, 3.2 mm/s when healthy.
    assert!(matches!(evidence.operating, OperatingState::Running { .. }));
    assert!(
        (part.normal - 3.2).abs() < 0.3 && part.value > 3.5,
        "{part:?}"
    );
    let bearing = findings.iter().rev().find_map(|finding| match finding {
        Finding::Assessment(assessment) => assessment.components.first(),
        _ => None,
    });
    assert!(bearing.unwrap().health.get() < 70.0, "{bearing:?}");
}

#[test]
fn a_stuck_sensor_is_told_apart_and_the_machine_is_not_blamed() {
    let mut rows = plant(PLAIN);
    let stuck = rows[1_600][1];
    rows[1_600..2_000].iter_mut().for_each(|row| row[1] = stuck);
    let findings = run(&rows);
    assert!(alarm(&findings).is_none());
    let verdict = reports(&findings)
        .flat_map(|report| &report.verdicts)
        .find(|verdict| verdict.state != SensorState::Good)
        .expect("a verdict");
    assert_eq!(verdict.signal.as_str(), "flow_l_min");
    assert_eq!(verdict.fault, Some(SensorFault::Stuck));
    assert!(verdict.confidence > 0.4);
    let left_out = conditions(&findings).any(|condition| {
        let evidence = condition.evidence.as_ref();
        evidence.is_some_and(|e| e.suspects.iter().any(|s| s.as_str() == "flow_l_min"))
    });
    assert!(left_out, "and leaves the verdict");
    let last = reports(&findings).last().unwrap();
    assert_eq!(
        last.verdicts[0].state,
        SensorState::Good,
        "until it moves again"
    );
}

#[test]
fn an_accepted_normal_is_learned_anew_and_no_alarm_remains() {
    let plan = Plan {
        rows: 4_000,
        fault: 1_500,
        worse: 1.5,
        ..PLAIN
    };
    let mut records = records(&plant(plan));
    let accepted = Event::NormalAccepted {
        asset: AssetId::new("pump-1").unwrap(),
        by: "engineer".to_owned(),
        at: Timestamp::from_secs(1_700),
    };
    records[106].events.push(accepted);
    let findings = apply(&mut Fleet::new(config()).unwrap(), &records, &model());
    let alarm = alarm(&findings).expect("an alarm before it was accepted");
    assert!(alarm.at < Timestamp::from_secs(1_700));
    let after = Timestamp::from_secs(2_950);
    let learned: Vec<_> = conditions(&findings).filter(|c| c.at > after).collect();
    assert!(learned.len() > 5);
    for condition in learned {
        assert_eq!(condition.state, ConditionState::Normal);
    }
}

/// Somebody looks and finds nothing: what was learned stays when the disturbance had passed by
/// itself, and is learned anew while the alarm stands.
#[test]
fn an_inspection_that_finds_nothing_forgets_only_what_still_disturbs() {
    let sick = Plan {
        fault: 1_500,
        worse: 1.5,
        ..PLAIN
    };
    for (until, learns_anew) in [(1_600, false), (usize::MAX, true)] {
        let mut rows = plant(PLAIN);
        let until = until.min(rows.len());
        rows[1_500..until].copy_from_slice(&plant(sick)[1_500..until]);
        let mut fleet = Fleet::new(config()).unwrap();
        let findings = apply(&mut fleet, &records(&rows), &model());
        assert!(alarm(&findings).is_some());
        let looked = JournalRecord {
            events: vec![Event::WorkOrderClosed {
                asset: AssetId::new("pump-1").unwrap(),
                case: None,
                work_order: WorkOrderId::new("WO-000001").unwrap(),
                outcome: Outcome::NoFaultFound,
                failure_mode: None,
                part: None,
                at: Timestamp::from_secs(1_900),
            }],
            ..JournalRecord::default()
        };
        apply(&mut fleet, &[looked], &model());
        assert_eq!(
            fleet.stats().learning,
            usize::from(learns_anew),
            "until {until}"
        );
    }
}

#[test]
fn the_state_of_an_asset_with_three_signals_fits_sixteen_kibibytes() {
    for plan in [
        PLAIN,
        Plan {
            loads: true,
            ..PLAIN
        },
    ] {
        let mut fleet = Fleet::new(config()).unwrap();
        for record in records(&plant(plan)) {
            apply(&mut fleet, std::slice::from_ref(&record), &model());
            for (_, bytes) in fleet.take_dirty().unwrap() {
                assert!(bytes.len() <= 16 * 1_024, "{} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn constant_signals_and_single_ones_lead_to_no_alarm() {
    let constant = vec![[20.0, 30.0, 2.0]; 1_600];
    assert!(alarm(&run(&constant)).is_none());
    let zero = vec![[20.0, 0.0, 0.0]; 1_600];
    assert!(alarm(&run(&zero)).is_none());
    let alone: Vec<Row> = plant(PLAIN)
        .iter()
        .map(|row| [row[0], f64::NAN, f64::NAN])
        .collect();
    let findings = run(&alone);
    let last = conditions(&findings).last().unwrap();
    assert!(last.evidence.as_ref().unwrap().model.starts_with("tail/"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_at_any_record_changes_nothing(cut in 1_usize..170, loads: bool, seed in 0_u64..50) {
        let plan = Plan { rows: 2_800, off: (1_400, 1_480), loads, fault: 2_100, worse: 1.5, seed };
        let records = records(&plant(plan));
        let model = model();
        let whole = apply(&mut Fleet::new(config()).unwrap(), &records, &model);
        let mut first = Fleet::new(config()).unwrap();
        let mut findings = apply(&mut first, &records[..cut], &model);
        let saved: BTreeMap<_, _> = first.take_dirty().unwrap().into_iter().collect();
        let mut second = Fleet::new(config()).unwrap();
        for (key, bytes) in &saved {
            second.restore(key, bytes).unwrap();
        }
        findings.extend(apply(&mut second, &records[cut..], &model));
        prop_assert_eq!(exact(&findings), exact(&whole));
    }

    #[test]
    fn what_comes_later_changes_nothing_before(cut in 1_usize..170, loads: bool, seed in 0_u64..50) {
        let plan = Plan { rows: 2_800, off: (1_400, 1_480), loads, fault: 2_100, worse: 1.5, seed };
        let records = records(&plant(plan));
        let whole = exact(&apply(&mut Fleet::new(config()).unwrap(), &records, &model()));
        let part = exact(&apply(&mut Fleet::new(config()).unwrap(), &records[..cut], &model()));
        prop_assert_eq!(&whole[..part.len()], &part[..]);
    }

    #[test]
    fn other_units_give_the_same_verdicts(factors in prop::array::uniform2(1e-3..1e3_f64), loads: bool) {
        // The current keeps its unit, because the model names a level of it.
        let plan = Plan { rows: 2_800, loads, fault: 2_100, worse: 1.5, ..PLAIN };
        let rows = plant(plan);
        let converted: Vec<Row> = rows
            .iter()
            .map(|[a, b, c]| [*a, b * factors[0], c * factors[1] - 7.0 * factors[1]])
            .collect();
        let verdicts = |rows: &[Row]| -> Vec<(Timestamp, ConditionState, OperatingState)> {
            let findings = run(rows);
            let changed = conditions(&findings).map(|c| (c.since, c.state, c.operating));
            let mut all: Vec<_> = changed.collect();
            all.dedup();
            all
        };
        prop_assert_eq!(verdicts(&rows), verdicts(&converted));
    }
}
