//! What arrives beside the signals of the machine: a counter, and the clock of the device.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

mod rig;

use std::sync::Arc;

use analytics::{Config, Fleet};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rig::{Sent, alarm, apply, conditions, reports};
use serde_json::json;
use telemetry::{
    AssetId, AssetModel, CLOCK_SIGNAL, Finding, JournalRecord, SensorFault, SensorState,
};

const SIGNALS: [&str; 3] = ["temperature_c", "vibration_mm_s", "operating_h"];
const LEARNING: u32 = 600;
const ROWS: usize = 3_000;

fn config() -> Config {
    Config {
        learning_rows: LEARNING,
        ..Config::default()
    }
}

/// A machine that is well, a row a second, and its operating hours.
fn healthy(hours: impl Fn(usize) -> f64) -> Vec<[f64; 3]> {
    let mut rng = StdRng::seed_from_u64(5);
    let row = |at: usize| {
        let mut noise = || rng.random_range(-1.0..1.0);
        let swing = (at as f64 / 23.0).sin();
        [60.0 + swing + 0.5 * noise(), 2.0 + 0.2 * noise(), hours(at)]
    };
    (0..ROWS).map(row).collect()
}

fn model(counter: bool) -> Arc<AssetModel> {
    let mut signals = SIGNALS.map(rig::declared);
    signals[2]["counter"] = json!(counter);
    let model: AssetModel = serde_json::from_value(json!({
        "id": "pump", "name_en": "Pump", "name_zh": "泵", "signals": signals
    }))
    .unwrap();
    model.check().unwrap();
    Arc::new(model)
}

#[test]
fn a_signal_that_only_grows_makes_no_case() {
    type Hours = fn(usize) -> f64;
    // Counted in whole steps; and one that was reset while normal was learned, which only a
    // declaration tells.
    let cases: [(Hours, bool, bool); 3] = [
        (
            |at| 8_000.0 + (at as f64 / 36.0).floor() / 100.0,
            false,
            true,
        ),
        (|at| 8_000.0 + at as f64 / 3_600.0, true, true),
        (|at| ((at + 2_700) % 3_000) as f64, true, true),
    ];
    for (hours, declared, is_counter) in cases {
        let mut fleet = Fleet::new(config()).unwrap();
        let records = rig::records(&SIGNALS, rig::each_second(&healthy(hours)), 16);
        let findings = apply(&mut fleet, &records, &model(declared));
        assert!(alarm(&findings).is_none(), "declared {declared}");
        assert_eq!(reports(&findings).count(), 0, "nor is its sensor blamed");
        let evidence = conditions(&findings).last().unwrap().evidence.clone();
        let told = evidence.unwrap().contributions;
        assert_eq!(told.len(), 2, "it takes no part: {told:?}");
        let view = fleet.latest(&AssetId::new("pump-1").unwrap()).unwrap();
        let counters: Vec<bool> = view.devices[0]
            .signals
            .iter()
            .map(|s| s.is_counter)
            .collect();
        assert_eq!(counters, [false, false, is_counter]);
    }
}

#[test]
fn a_signal_that_rises_and_falls_is_no_counter_and_its_rise_is_an_alarm() {
    let hours =
        |at: usize| 5.0 + 0.2 * (at as f64 / 9.0).sin() + if at > 1_500 { 3.0 } else { 0.0 };
    let mut fleet = Fleet::new(config()).unwrap();
    let records = rig::records(&SIGNALS, rig::each_second(&healthy(hours)), 16);
    assert!(alarm(&apply(&mut fleet, &records, &model(false))).is_some());
}

/// What the clock of the device is said to be, with the second of receipt it was said at.
fn clock(findings: &[Finding]) -> Vec<(SensorState, i64)> {
    let verdicts = reports(findings).flat_map(|report| &report.verdicts);
    let clock = verdicts.filter(|verdict| verdict.signal.as_str() == CLOCK_SIGNAL);
    let mut told: Vec<_> = clock
        .inspect(|verdict| assert_eq!(verdict.fault, Some(SensorFault::Clock)))
        .map(|verdict| (verdict.state, verdict.since.as_millis() / 1_000))
        .collect();
    told.dedup();
    told
}

/// The rows of a healthy machine with the times their device gives them.
fn told_by(shows: impl Fn(i64) -> i64) -> Vec<JournalRecord> {
    let start = 1_700_000_000;
    let rows = healthy(|at| at as f64);
    let sent = rows.iter().zip(0_i64..).map(|(values, at)| Sent {
        device: "pump-1",
        measured: start + shows(at),
        received: start + at,
        values,
    });
    rig::records(&SIGNALS, sent, 16)
}

#[test]
fn a_clock_that_is_set_back_is_told_and_the_machine_is_not_blamed() {
    let model = model(true);
    let records = told_by(|at| {
        if (1_000..1_300).contains(&at) {
            at - 7_200
        } else {
            at
        }
    });
    let findings = apply(&mut Fleet::new(config()).unwrap(), &records, &model);
    let told = clock(&findings);
    let [(SensorState::Faulty, wrong), (SensorState::Good, right)] = told[..] else {
        panic!("{told:?}");
    };
    let start = 1_700_000_000;
    assert!((1_030..1_100).contains(&(wrong - start)), "{told:?}");
    assert!((1_300..1_340).contains(&(right - start)), "{told:?}");
    assert!(alarm(&findings).is_none());
    let verdict = reports(&findings).next().unwrap().verdicts[0].clone();
    assert_eq!(verdict.detail.get("set_back_s"), Some(&7_200.0));
    assert_eq!(
        (verdict.value, verdict.expected),
        (Some(-7_200.0), Some(0.0))
    );

    // Saved and restored in the middle of it, the same is said.
    let mut first = Fleet::new(config()).unwrap();
    let mut again = apply(&mut first, &records[..65], &model);
    let mut second = Fleet::new(config()).unwrap();
    for (key, bytes) in first.take_dirty().unwrap() {
        second.restore(&key, &bytes).unwrap();
    }
    again.extend(apply(&mut second, &records[65..], &model));
    assert_eq!(rig::exact(&again), rig::exact(&findings));
}

#[test]
fn a_recording_and_time_that_runs_fast_are_no_wrong_clock() {
    type Shows = fn(i64) -> i64;
    let cases: [(&str, Shows); 3] = [
        ("in time", |at| at),
        ("a recording of last year", |at| at - 31_536_000),
        ("faster than time", |at| 300 * at - 1_000_000),
    ];
    for (what, shows) in cases {
        let mut fleet = Fleet::new(config()).unwrap();
        let findings = apply(&mut fleet, &told_by(shows), &model(true));
        assert_eq!(clock(&findings), [], "{what}");
    }
}
