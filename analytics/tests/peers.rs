//! A machine among its peers, seen from outside: a fleet of equals of which one drifts from
//! commissioning on, so that its own normal cannot show it.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

mod rig;

use std::{sync::Arc, time::Duration};

use analytics::{Config, Fleet, explain};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rig::apply;
use serde_json::json;
use telemetry::{
    AssetId, AssetModel, Condition, ConditionState, Event, Finding, JournalRecord, Outcome,
    Timestamp, WorkOrderId,
};

const SIGNALS: [&str; 3] = ["temperature_c", "pressure_bar", "vibration_mm_s"];
/// Event time between two rows of a machine.
const STEP_S: i64 = 60;
const LEARNING: u32 = 600;
const ROWS: i64 = 1_500;
/// The machine that drifts.
const ODD: usize = 5;

/// A row: machine, second, values.
type Row = (usize, i64, [f64; 3]);

/// Machines under one load and one weather, each with a little of its own. The vibration of
/// the odd one rises from its first row on, by a spread of the peers in about ten rows.
fn fleet_of(machines: usize, rise: f64) -> Vec<Row> {
    let mut rng = StdRng::seed_from_u64(11);
    let own: Vec<f64> = (0..machines).map(|_| rng.random_range(-0.5..0.5)).collect();
    let mut rows = Vec::new();
    for row in 0..ROWS {
        let load = (row as f64 / 23.0).sin();
        let weather = 5.0 * (row as f64 / 60.0).sin();
        for (machine, own) in own.iter().enumerate() {
            let mut noise = || rng.random_range(-1.0..1.0);
            let drift = if machine == ODD {
                rise * row as f64
            } else {
                0.0
            };
            let values = [
                60.0 + weather + 2.0 * load + own + 0.5 * noise(),
                5.0 + 0.1 * load + 0.1 * own + 0.05 * noise(),
                2.0 + 0.1 * own + 0.2 * noise() + drift,
            ];
            rows.push((machine, row * STEP_S, values));
        }
    }
    rows
}

fn name(machine: usize) -> String {
    format!("pump-{machine}")
}

fn records(rows: &[Row], size: usize) -> Vec<JournalRecord> {
    let names: Vec<String> = (0..9).map(name).collect();
    let rows = rows.iter().map(|(machine, second, values)| rig::Sent {
        device: &names[*machine],
        measured: *second,
        received: *second,
        values,
    });
    rig::records(&SIGNALS, rows, size)
}

fn model(views: &[&str]) -> Arc<AssetModel> {
    let model: AssetModel = serde_json::from_value(json!({
        "id": "pump", "name_en": "Pump", "name_zh": "泵", "signals": SIGNALS.map(rig::declared),
        "detection": {"views": views}
    }))
    .unwrap();
    model.check().unwrap();
    Arc::new(model)
}

fn fleet() -> Fleet {
    let config = Config {
        learning_rows: LEARNING,
        heartbeat: Duration::from_mins(30),
        ..Config::default()
    };
    Fleet::new(config).unwrap()
}

fn conditions(findings: &[Finding], machine: usize) -> Vec<&Condition> {
    let own = |condition: &&Condition| condition.asset.as_str() == name(machine);
    rig::conditions(findings).filter(own).collect()
}

fn alarm(findings: &[Finding], machine: usize) -> Option<&Condition> {
    let mut all = conditions(findings, machine).into_iter();
    all.find(|condition| condition.state == ConditionState::Alarm)
}

/// Exact text by machine: the order in which two machines speak says nothing.
fn told(findings: &[Finding]) -> Vec<String> {
    let mut all = findings.to_vec();
    all.sort_by_key(|finding| finding.asset().clone());
    rig::exact(&all)
}

#[test]
fn what_drifts_from_commissioning_on_is_normal_to_itself_and_not_among_its_peers() {
    let records = records(&fleet_of(9, 0.005), 40);
    let alone = apply(&mut fleet(), &records, &model(&[]));
    assert!((0..9).all(|machine| alarm(&alone, machine).is_none()));
    assert_eq!(
        conditions(&alone, 0)
            .last()
            .unwrap()
            .evidence
            .as_ref()
            .unwrap()
            .peers,
        None
    );

    let model = model(&["fleet"]);
    let among = apply(&mut fleet(), &records, &model);
    for machine in (0..9).filter(|machine| *machine != ODD) {
        assert!(alarm(&among, machine).is_none(), "{machine}");
    }
    let alarm = alarm(&among, ODD).expect("the odd one is found");
    let row = alarm.since.as_micros() / 1_000_000 / STEP_S;
    assert!(
        (i64::from(LEARNING)..i64::from(LEARNING) + 60).contains(&row),
        "row {row}"
    );
    let evidence = alarm.evidence.as_ref().unwrap();
    assert_eq!(evidence.peers, Some(8));
    assert!(evidence.model.contains("fleet/1"), "{}", evidence.model);
    let fleet = evidence
        .views
        .iter()
        .find(|view| view.view == "fleet")
        .unwrap();
    assert!(fleet.score >= fleet.limit, "{fleet:?}");
    let worst = &evidence.contributions[0];
    assert_eq!(worst.signal.as_str(), "vibration_mm_s");
    // Normal is what the peers show, whatever it has learned itself.
    assert!(
        (worst.normal - 2.0).abs() < 0.1 && worst.value > 4.0,
        "{worst:?}"
    );
    let words = explain(alarm.state, alarm.since, Some(evidence), Some(&model));
    assert!(
        words.en.contains("stands out among 8 peers"),
        "{}",
        words.en
    );
    assert!(words.zh.contains("8 台设备"), "{}", words.zh);
}

#[test]
fn with_too_few_peers_the_view_says_that_it_has_none() {
    // Four machines have three peers each.
    let rows: Vec<Row> = fleet_of(9, 0.005);
    let few: Vec<Row> = rows.into_iter().filter(|row| row.0 >= 5).collect();
    let model = model(&["fleet"]);
    let findings = apply(&mut fleet(), &records(&few, 40), &model);
    assert!(alarm(&findings, ODD).is_none());
    let last = *conditions(&findings, ODD).last().unwrap();
    let evidence = last.evidence.as_ref().unwrap();
    assert_eq!(evidence.peers, Some(0));
    assert!(evidence.views.iter().all(|view| view.view != "fleet"));
    let words = explain(last.state, last.since, Some(evidence), Some(&model));
    assert!(words.en.contains("compared with no peers"), "{}", words.en);
}

#[test]
fn a_sick_peer_makes_nobody_else_sick() {
    let mut rows = fleet_of(9, 0.0);
    let healthy = apply(&mut fleet(), &records(&rows, 40), &model(&["fleet"]));
    for (machine, second, values) in &mut rows {
        if *machine == ODD && *second > 900 * STEP_S {
            *values = [1e6, -1e6, 1e9];
        }
    }
    let findings = apply(&mut fleet(), &records(&rows, 40), &model(&["fleet"]));
    for machine in 0..9 {
        assert!(alarm(&healthy, machine).is_none());
        assert!(
            machine == ODD || alarm(&findings, machine).is_none(),
            "{machine}"
        );
    }
}

#[test]
fn what_a_person_accepts_is_the_machines_own_and_what_was_mended_is_not() {
    let model = model(&["fleet"]);
    // It stands at its drift, so that what is accepted stays what it is.
    let stands = |rows: Vec<Row>| -> Vec<Row> {
        let hold = |(machine, second, mut values): Row| {
            values[2] -= if machine == ODD {
                0.005 * (second / STEP_S - 200).max(0) as f64
            } else {
                0.0
            };
            (machine, second, values)
        };
        rows.into_iter().map(hold).collect()
    };
    let records = records(&stands(fleet_of(9, 0.005)), 45);
    for (outcome, alarms_again) in [(Outcome::NoFaultFound, false), (Outcome::Confirmed, true)] {
        let mut fleet = fleet();
        let (before, after) = records.split_at(140);
        assert!(alarm(&apply(&mut fleet, before, &model), ODD).is_some());
        let closed = JournalRecord {
            events: vec![Event::WorkOrderClosed {
                asset: AssetId::new(&name(ODD)).unwrap(),
                case: None,
                work_order: WorkOrderId::new("WO-1").unwrap(),
                outcome,
                failure_mode: None,
                part: None,
                at: Timestamp::EPOCH,
            }],
            ..JournalRecord::default()
        };
        apply(&mut fleet, &[closed], &model);
        let found = alarm(&apply(&mut fleet, after, &model), ODD).is_some();
        assert_eq!(found, alarms_again, "{outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_at_any_record_changes_nothing(cut in 0_usize..310) {
        let records = records(&fleet_of(9, 0.005), 43);
        let model = model(&["fleet"]);
        let mut running = fleet();
        let mut whole = apply(&mut running, &records[..cut.min(records.len())], &model);
        let mut restarted = fleet();
        for (key, bytes) in running.take_dirty().unwrap() {
            restarted.restore(&key, &bytes).unwrap();
        }
        let rest = &records[cut.min(records.len())..];
        let (one, other) = (apply(&mut running, rest, &model), apply(&mut restarted, rest, &model));
        prop_assert_eq!(told(&one), told(&other));
        prop_assert_eq!(running.take_dirty().unwrap(), restarted.take_dirty().unwrap());
        whole.extend(one);
        prop_assert!(alarm(&whole, ODD).is_some());
    }

    #[test]
    fn the_order_in_which_machines_are_heard_changes_nothing(seed in 0_u64..1_000) {
        // Each machine's records come late by a time of its own, less than a span (ten minutes)
        // apart, and each in order.
        let mut rng = StdRng::seed_from_u64(seed);
        let late: Vec<i64> = (0..9).map(|_| rng.random_range(0..500)).collect();
        let mut rows = fleet_of(9, 0.005);
        let model = model(&["fleet"]);
        let ordered = apply(&mut fleet(), &records(&rows, 40), &model);
        rows.sort_by_key(|row| (row.1 + late[row.0], late[row.0]));
        let shuffled = apply(&mut fleet(), &records(&rows, 40), &model);
        prop_assert!(alarm(&ordered, ODD).is_some());
        prop_assert_eq!(told(&ordered), told(&shuffled));
    }
}
