//! What must hold for a fleet as a whole, seen from outside.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use analytics::{Assignment, Config, Fleet};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use telemetry::{
    AssetId, AssetModel, Condition, ConditionState, DeviceId, Event, Finding, JournalRecord,
    Outcome, PrognosisOutcome, ReadingBatch, SignalName, Timestamp, WorkOrderId, Zone,
};

const SIGNALS: [&str; 3] = ["temperature_c", "pressure_bar", "vibration_mm_s"];
const LEARNING: u32 = 200;

/// A value of a device: device, milliseconds, signal, value.
type Value = (u32, i64, usize, f64);

fn config() -> Config {
    Config {
        learning_rows: LEARNING,
        // A word at least each half minute, so that there is much to compare.
        heartbeat: Duration::from_secs(10),
        ..Config::default()
    }
}

/// Rows of two devices, twice a second; vibration of device 1 rises from `fault_at` on.
fn plant(rows: i64, fault_at: i64, rise: f64, seed: u64) -> Vec<Value> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut values = Vec::new();
    for row in 0..rows {
        for device in 0..2_u32 {
            let load = (row as f64 / 23.0).sin();
            let mut noise = || rng.random_range(-1.0..1.0);
            let fault = if device == 1 {
                (row - fault_at).max(0) as f64 * rise
            } else {
                0.0
            };
            let sample = [
                60.0 + 2.0 * load + noise(),
                5.0 + 0.1 * load + 0.05 * noise(),
                2.0 + 0.2 * noise() + fault,
            ];
            for (signal, value) in sample.into_iter().enumerate() {
                values.push((device, row * 500 + i64::from(device), signal, value));
            }
        }
    }
    values
}

/// Consecutive values of one device and time become a row; `size` rows a record.
fn records(values: &[Value], size: usize) -> Vec<JournalRecord> {
    let rows: Vec<&[Value]> = values.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
    let record = |rows: &[&[Value]]| {
        let mut readings = ReadingBatch::new();
        for row in rows {
            let (device, ms, ..) = row[0];
            let device = readings.device(&DeviceId::new(&format!("pump-{device}")).unwrap());
            for (.., signal, value) in *row {
                let signal = readings.signal(&SignalName::new(SIGNALS[*signal]).unwrap());
                readings.push_value(signal, *value);
            }
            let at = Timestamp::from_millis(ms);
            readings.finish_row(device, at, at);
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    };
    rows.chunks(size).map(record).collect()
}

fn asset_of(device: &DeviceId) -> Assignment {
    Assignment {
        asset: AssetId::new(device.as_str()).unwrap(),
        model: None,
    }
}

fn apply(fleet: &mut Fleet, records: &[JournalRecord]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for record in records {
        fleet.apply(record, &mut |device| Some(asset_of(device)), &mut findings);
    }
    findings
}

fn run(records: &[JournalRecord]) -> Vec<Finding> {
    apply(&mut Fleet::new(config()).unwrap(), records)
}

/// Exact text: JSON shows every float with all digits it needs to be read back bit by bit.
fn exact(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|f| serde_json::to_string(f).unwrap())
        .collect()
}

fn by_device(findings: &[Finding]) -> Vec<String> {
    let mut lines = findings.to_vec();
    lines.sort_by_key(|finding| finding.asset().clone());
    exact(&lines)
}

fn conditions<'a>(findings: &'a [Finding], asset: &str) -> Vec<&'a Condition> {
    let own = findings.iter().filter_map(|finding| match finding {
        Finding::Condition(condition) => Some(condition),
        _ => None,
    });
    own.filter(|condition| condition.asset.as_str() == asset)
        .collect()
}

fn has_alarm(findings: &[Finding], asset: &str) -> bool {
    let all = conditions(findings, asset);
    all.iter()
        .any(|condition| condition.state == ConditionState::Alarm)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_at_any_record_changes_nothing(cut in 0_usize..90, save_every in 1_usize..9, seed in 0_u64..50) {
        let records = records(&plant(350, 260, 0.2, seed), 8);
        let whole_fleet = &mut Fleet::new(config()).unwrap();
        let whole = apply(whole_fleet, &records);
        prop_assert!(has_alarm(&whole, "pump-1"));

        // Saves now and then, restarts from the last save, replays what came after it.
        let mut fleet = Fleet::new(config()).unwrap();
        let mut saved = BTreeMap::new();
        let (mut findings, mut position, mut kept) = (Vec::new(), 0, 0);
        for (at, record) in records[..cut.min(records.len())].iter().enumerate() {
            findings.extend(apply(&mut fleet, std::slice::from_ref(record)));
            if at % save_every == 0 {
                saved.extend(fleet.take_dirty().unwrap());
                (position, kept) = (at + 1, findings.len());
            }
        }
        let mut restarted = Fleet::new(config()).unwrap();
        for (key, bytes) in &saved {
            restarted.restore(key, bytes).unwrap();
        }
        findings.truncate(kept);
        findings.extend(apply(&mut restarted, &records[position..]));
        prop_assert_eq!(exact(&findings), exact(&whole));
        saved.extend(restarted.take_dirty().unwrap());
        let end: BTreeMap<_, _> = whole_fleet.take_dirty().unwrap().into_iter().collect();
        prop_assert_eq!(saved, end);
    }

    #[test]
    fn what_comes_later_changes_nothing_before(cut in 0_usize..90, seed in 0_u64..50) {
        let records = records(&plant(350, 260, 0.2, seed), 8);
        let whole = exact(&run(&records));
        let part = exact(&run(&records[..cut.min(records.len())]));
        prop_assert_eq!(&whole[..part.len()], &part[..]);
    }

    #[test]
    fn any_order_within_the_bound_gives_the_same_findings(seed in 0_u64..1_000, each_alone: bool) {
        let mut values = plant(350, 260, 0.2, 7);
        let ordered = run(&records(&values, 8));
        let mut rng = StdRng::seed_from_u64(seed);
        if each_alone {
            // Every value is a message of its own; some come twice.
            values = values.iter().flat_map(|v| [*v; 2][..rng.random_range(1..=2)].to_vec()).collect();
        }
        let late = config().lateness.as_millis() as i64;
        let mut rows: Vec<Vec<Value>> = if each_alone {
            values.iter().map(|value| vec![*value]).collect()
        } else {
            values.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).map(<[Value]>::to_vec).collect()
        };
        rows.shuffle(&mut rng);
        rows.sort_by_cached_key(|row| row[0].1 + rng.random_range(0..=late));
        let shuffled = run(&records(&rows.concat(), 8));
        // The last rows may wait longer or shorter for their elders.
        let (mut left, mut right) = (by_device(&ordered), by_device(&shuffled));
        let until = |lines: &mut Vec<String>| lines.retain(|line| {
            let finding: Finding = serde_json::from_str(line).unwrap();
            finding.at() < Timestamp::from_millis(349 * 500 - 2 * late)
        });
        until(&mut left);
        until(&mut right);
        prop_assert!(left.len() > 25 && left.iter().any(|line| line.contains("alarm")));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn other_units_give_the_same_score(factor in 1e-6..1e6_f64, offset in -1e3..1e3_f64) {
        let values = plant(320, 230, 0.05, 3);
        let mut converted = values.clone();
        for value in converted.iter_mut().filter(|value| value.2 == 2) {
            value.3 = value.3 * factor + offset * factor;
        }
        let scores = |values: &[Value]| -> Vec<f64> {
            let findings = run(&records(values, 8));
            let score = |finding: &Finding| match finding {
                Finding::Assessment(assessment) => Some(assessment.score),
                _ => None,
            };
            findings.iter().filter_map(score).collect()
        };
        let (ours, theirs) = (scores(&values), scores(&converted));
        prop_assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            // Told to three decimals.
            prop_assert!((a - b).abs() <= 1.1e-3, "{} {}", a, b);
        }
    }

    #[test]
    fn no_value_makes_a_number_that_is_none(values in prop::collection::vec((0_usize..3, -3_i32..=3), 1..40)) {
        let mut plant = plant(350, 400, 0.0, 5);
        let wild = [-f64::MAX, -1e200, -1.0, 0.0, 1.0, 1e200, f64::MAX];
        for (at, (signal, kind)) in values.into_iter().enumerate() {
            plant[(at * 47 % 1_900) / 3 * 3 + signal].3 = wild[(kind + 3) as usize];
        }
        for finding in run(&records(&plant, 8)) {
            let json = serde_json::to_string(&finding).unwrap();
            let back: Result<Finding, _> = serde_json::from_str(&json);
            prop_assert!(back.is_ok(), "JSON has no NaN: {}", json);
        }
    }
}

#[test]
fn a_fault_is_found_in_its_device_and_names_its_signal() {
    let findings = run(&records(&plant(600, 400, 0.05, 1), 16));
    assert!(!has_alarm(&findings, "pump-0"));
    let all = conditions(&findings, "pump-1");
    let alarm = all
        .iter()
        .find(|c| c.state == ConditionState::Alarm)
        .unwrap();
    let evidence = alarm.evidence.as_ref().unwrap();
    assert_eq!(evidence.contributions[0].signal.as_str(), "vibration_mm_s");
    assert!(evidence.contributions[0].deviation > 3.0 && evidence.statistics.score >= 1.0);
    let since = alarm.since.as_millis() / 500;
    assert!((400..480).contains(&since), "row {since}");
    for finding in &findings {
        let Finding::Assessment(assessment) = finding else {
            continue;
        };
        let same = |c: &&&Condition| c.at == assessment.at && c.asset == assessment.asset;
        let alarm = all
            .iter()
            .find(same)
            .is_some_and(|c| c.state == ConditionState::Alarm);
        assert!(!alarm || assessment.zone != Zone::Healthy);
    }
}

#[test]
fn learning_is_reported_and_findings_keep_their_interval() {
    let findings = run(&records(&plant(400, 900, 0.0, 2), 5));
    let all = conditions(&findings, "pump-0");
    assert!(matches!(
        all[0].state,
        ConditionState::Learning {
            rows: 1,
            needed: LEARNING
        }
    ));
    let learning = all
        .iter()
        .filter(|c| matches!(c.state, ConditionState::Learning { .. }));
    assert_eq!(
        learning.count(),
        4,
        "200 rows are 100 s, a heartbeat in sixty rows of half a second"
    );
    for pair in all.windows(2) {
        let changed =
            std::mem::discriminant(&pair[0].state) != std::mem::discriminant(&pair[1].state);
        assert!(changed || pair[1].at.since(pair[0].at) >= Duration::from_secs(10));
    }
}

#[test]
fn a_slow_fault_gives_a_forecast_and_a_new_baseline_takes_it_back() {
    let mut fleet = Fleet::new(config()).unwrap();
    let findings = apply(&mut fleet, &records(&plant(3_000, 300, 0.002, 4), 50));
    let forecast = findings.iter().rev().find_map(|finding| match finding {
        Finding::Prognosis(PrognosisOutcome::Forecast(p)) => Some(p),
        _ => None,
    });
    let forecast = forecast.expect("a forecast");
    assert_eq!(forecast.asset.as_str(), "pump-1");
    assert!(forecast.rul_p10_s <= forecast.rul_p50_s && forecast.rul_p50_s <= forecast.rul_p90_s);
    assert!(forecast.p_value.unwrap() < 0.01 && forecast.loss_per_day.unwrap() > 0.0);

    let asset = AssetId::new("pump-1").unwrap();
    let closed = |outcome| JournalRecord {
        events: vec![Event::WorkOrderClosed {
            asset: asset.clone(),
            case: None,
            work_order: WorkOrderId::new("WO-1").unwrap(),
            outcome,
            failure_mode: None,
            part: None,
            at: Timestamp::EPOCH,
        }],
        ..JournalRecord::default()
    };
    apply(&mut fleet, &[closed(Outcome::Deferred)]);
    assert_eq!(
        fleet.stats().learning,
        0,
        "a deferred order changed nothing"
    );
    apply(&mut fleet, &[closed(Outcome::Confirmed)]);
    assert_eq!(fleet.stats().learning, 1, "only the devices of that asset");
    let view = fleet.latest(&asset).unwrap();
    let state = view.devices[0].condition.state;
    assert!(matches!(state, ConditionState::Learning { rows: 0, .. }));
    assert!(view.devices[0].assessment.is_none() && view.devices[0].prognosis.is_none());
}

#[test]
fn the_view_shows_signals_while_learning_and_their_normal_range_after() {
    let mut fleet = Fleet::new(config()).unwrap();
    let asset = AssetId::new("pump-0").unwrap();
    assert!(fleet.latest(&asset).is_none());
    let records = records(&plant(300, 900, 0.0, 6), 10);
    apply(&mut fleet, &records[..10]);
    let view = fleet.latest(&asset).unwrap();
    assert!(view.devices[0].signals.iter().all(|s| s.normal.is_none()));
    assert_eq!(view.devices[0].signals.len(), 3);
    assert_eq!(
        view.devices[0].last_measured_at,
        Timestamp::from_millis(49 * 500)
    );
    apply(&mut fleet, &records[10..]);
    for signal in &fleet.latest(&asset).unwrap().devices[0].signals {
        let (range, (_, last)) = (signal.normal.unwrap(), signal.last.unwrap());
        assert!(range.low < range.high, "{signal:?}");
        let middle = f64::midpoint(range.low, range.high);
        assert!((last / middle - 1.0).abs() < 0.3, "{signal:?}");
    }
}

#[test]
fn a_signal_that_goes_or_comes_later_does_not_disturb_the_others() {
    let mut values = plant(700, 500, 0.05, 8);
    values.retain(|(_, ms, signal, _)| *signal != 1 || *ms < 250 * 500);
    let findings = run(&records(&values, 16));
    assert!(has_alarm(&findings, "pump-1") && !has_alarm(&findings, "pump-0"));
    let mut values = plant(700, 500, 0.05, 8);
    values.retain(|(_, ms, signal, _)| *signal != 1 || *ms > 250 * 500);
    let findings = run(&records(&values, 16));
    assert!(has_alarm(&findings, "pump-1") && !has_alarm(&findings, "pump-0"));
    let last = *conditions(&findings, "pump-1").last().unwrap();
    assert_eq!(last.evidence.as_ref().unwrap().contributions.len(), 2);
}

#[test]
fn signals_on_topics_of_their_own_are_watched_alike() {
    let mut values = plant(700, 500, 0.05, 9);
    for value in &mut values {
        value.1 += 7 * value.2 as i64;
    }
    values.sort_by_key(|value| value.1);
    let findings = run(&records(&values, 16));
    assert!(has_alarm(&findings, "pump-1") && !has_alarm(&findings, "pump-0"));
    let all = conditions(&findings, "pump-1");
    let since = all
        .iter()
        .find(|c| c.state == ConditionState::Alarm)
        .unwrap()
        .since;
    assert!((500..580).contains(&(since.as_millis() / 500)));
}

#[test]
fn a_pause_is_no_fault() {
    let mut values = plant(700, 900, 0.0, 10);
    let pause = 6 * 3_600 * 1_000;
    values
        .iter_mut()
        .filter(|v| v.1 > 400 * 500)
        .for_each(|v| v.1 += pause);
    let findings = run(&records(&values, 16));
    assert!(!has_alarm(&findings, "pump-0") && !has_alarm(&findings, "pump-1"));
    assert!(
        findings
            .iter()
            .any(|f| f.at() > Timestamp::from_millis(pause)),
        "and goes on after it"
    );
}

#[test]
fn the_failure_mode_comes_from_the_model_and_keeps_its_name() {
    let model: AssetModel = serde_json::from_value(serde_json::json!({
        "id": "pump", "name_en": "Pump", "name_zh": "泵", "signals": [],
        "failure_modes": [{"mode": "bearing-wear", "name_en": "", "name_zh": "", "signature": [
            {"signal": "vibration_mm_s", "weight": 1.0}, {"signal": "temperature_c", "weight": 0.3}]}]
    }))
    .unwrap();
    let model = Arc::new(model);
    let mut fleet = Fleet::new(config()).unwrap();
    let mut findings = Vec::new();
    for record in records(&plant(900, 400, 0.05, 11), 16) {
        let mut assign = |device: &DeviceId| {
            let model = Some(model.clone());
            Some(Assignment {
                model,
                ..asset_of(device)
            })
        };
        fleet.apply(&record, &mut assign, &mut findings);
    }
    let mut alarms = 0;
    for condition in conditions(&findings, "pump-1") {
        if condition.state == ConditionState::Alarm {
            let evidence = condition.evidence.as_ref().unwrap();
            assert_eq!(evidence.failure_mode.as_str(), "bearing-wear");
            assert!(evidence.failure_mode_fit >= 0.7);
            alarms += 1;
        }
    }
    assert!(alarms > 5);
}

#[test]
fn devices_are_watched_for_the_asset_they_are_assigned_to() {
    let records = records(&plant(50, 900, 0.0, 12), 10);
    let mut fleet = Fleet::new(Config {
        max_devices: 1,
        ..config()
    })
    .unwrap();
    let mut findings = Vec::new();
    fleet.apply(&records[0], &mut |_| None, &mut findings);
    assert_eq!((fleet.stats().devices, findings.len()), (0, 0));
    apply(&mut fleet, &records[..2]);
    let stats = fleet.stats();
    assert_eq!(
        (stats.devices, stats.devices_refused),
        (1, 2),
        "the second is one too many"
    );
    let other = AssetId::new("spare").unwrap();
    let mut moved = |_: &DeviceId| {
        Some(Assignment {
            asset: other.clone(),
            model: None,
        })
    };
    fleet.apply(&records[2], &mut moved, &mut findings);
    assert!(fleet.latest(&AssetId::new("pump-0").unwrap()).is_none());
    assert!(fleet.latest(&other).is_some());
}

#[test]
fn a_damaged_state_is_refused_and_never_panics() {
    let mut fleet = Fleet::new(config()).unwrap();
    let records = records(&plant(300, 900, 0.0, 13), 10);
    apply(&mut fleet, &records);
    let states = fleet.take_dirty().unwrap();
    assert_eq!(states.len(), 2);
    assert!(
        fleet.take_dirty().unwrap().is_empty(),
        "nothing changed since"
    );
    let (key, bytes) = &states[0];
    let error = Fleet::new(config())
        .unwrap()
        .restore("pump-9", bytes)
        .unwrap_err();
    assert!(error.to_string().contains("another device"), "{error}");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let mut fleet = Fleet::new(config()).unwrap();
        if fleet.restore(key, &damaged).is_ok() {
            // Damage that still decodes must do no more than give odd numbers.
            apply(&mut fleet, &records[..2]);
        }
        assert!(
            Fleet::new(config())
                .unwrap()
                .restore(key, &bytes[..at])
                .is_err()
        );
    }
}
