//! Vibration snapshots on their way through the fleet: a bearing that wears out is told, a
//! healthy one is not, and a restart changes nothing.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they are called from"
)]

use std::{f64::consts::TAU, sync::Arc};

use analytics::{Assignment, Config, Fleet};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use telemetry::{
    AssetId, AssetModel, AssetModelId, Bearing, ConditionState, DeviceId, Finding, JournalRecord,
    Machine, ReadingBatch, SignalName, Timestamp, Unit, Waveform,
};

const RATE_HZ: f64 = 12_800.0;
const SPEED_RPM: f64 = 1500.0;
const LEARNING: u32 = 100;

fn model() -> Arc<AssetModel> {
    let machine = Machine {
        rated_speed_rpm: Some(SPEED_RPM),
        bearings: vec![Bearing {
            name: "de".to_owned(),
            balls: 9,
            ball_diameter_mm: 7.94,
            pitch_diameter_mm: 39.04,
            contact_angle_deg: 0.0,
        }],
        ..Machine::default()
    };
    let id = AssetModelId::new("motor").unwrap();
    Arc::new(AssetModel {
        machine: Some(machine),
        ..AssetModel::new(id, "Motor", "电动机", Vec::new())
    })
}

/// A quarter of a second of noise and hum, with impacts of the outer ring of this height.
fn snapshot(number: u32, impact: f64) -> JournalRecord {
    let mut rng = StdRng::seed_from_u64(u64::from(number));
    let hits_hz = 3.585 * SPEED_RPM / 60.0;
    let phase: f64 = rng.random_range(0.0..1.0);
    let value = |n: u32| {
        let t = f64::from(n) / RATE_HZ;
        let since = (t * hits_hz + phase).fract() / hits_hz;
        let ring = impact * (-since * 800.0).exp() * (TAU * 3000.0 * since).sin();
        let noise: f64 = (0..4).map(|_| rng.random_range(-1.0..1.0_f64)).sum();
        (0.5 * noise + (TAU * 25.0 * t).sin() + ring) as f32
    };
    let samples: Vec<f32> = (0..3200).map(value).collect();
    let at = Timestamp::from_secs(i64::from(number) * 600);
    JournalRecord {
        waveforms: vec![Waveform {
            device: DeviceId::new("node-1").unwrap(),
            signal: SignalName::new("acceleration_m_s2").unwrap(),
            axis: Some("x".into()),
            measured_at: at,
            received_at: at,
            sample_rate_hz: RATE_HZ,
            unit: Some(Unit::MetrePerSecondSquared),
            samples: samples.into(),
        }],
        ..JournalRecord::default()
    }
}

fn assign(model: &Arc<AssetModel>) -> impl FnMut(&DeviceId) -> Option<Assignment> {
    let model = Arc::clone(model);
    move |_| {
        Some(Assignment {
            asset: AssetId::new("motor-1").unwrap(),
            model: Some(Arc::clone(&model)),
        })
    }
}

fn apply(
    fleet: &mut Fleet,
    numbers: std::ops::Range<u32>,
    impact: impl Fn(u32) -> f64,
) -> Vec<Finding> {
    let (model, mut findings) = (model(), Vec::new());
    for number in numbers {
        let record = snapshot(number, impact(number));
        fleet.apply(&record, &mut assign(&model), &mut findings);
    }
    findings
}

fn alarms(findings: &[Finding]) -> Vec<(String, f64)> {
    let alarm = |finding: &Finding| match finding {
        Finding::Condition(found) if found.state == ConditionState::Alarm => {
            let evidence = found.evidence.as_ref()?;
            let first = evidence.contributions.first()?;
            Some((first.signal.to_string(), found.at.as_micros() as f64 / 6e8))
        }
        _ => None,
    };
    findings.iter().filter_map(alarm).collect()
}

#[test]
fn a_bearing_that_wears_out_is_told_and_a_healthy_one_is_not() {
    let mut fleet = Fleet::new(Config::default()).unwrap();
    let healthy = apply(&mut fleet, 0..LEARNING + 200, |_| 0.0);
    assert_eq!(alarms(&healthy), [], "two hundred healthy snapshots");
    let begin = LEARNING + 200;
    let grows = |number: u32| 0.2 * f64::from(number - begin);
    let worn = apply(&mut fleet, begin..begin + 60, grows);
    let told = alarms(&worn);
    assert!(
        !told.is_empty(),
        "an outer ring that grows to 12 m/s² is told"
    );
    assert!(told[0].0.starts_with("waveform.x."), "{told:?}");
    assert!(told[0].1 < f64::from(begin + 40), "{told:?}");
    let view = fleet.latest(&AssetId::new("motor-1").unwrap()).unwrap();
    assert_eq!(view.devices[0].device.as_str(), "node-1.waveform");
    // A quarter of a second is too short for the velocity from 10 Hz on.
    assert_eq!(view.devices[0].signals.len(), 7);
}

#[test]
fn a_machine_that_stands_still_is_no_fault() {
    let mut fleet = Fleet::new(Config::default()).unwrap();
    let mut found = apply(&mut fleet, 0..LEARNING + 20, |_| 0.0);
    let model = model();
    for number in LEARNING + 20..LEARNING + 60 {
        let mut record = snapshot(number, 0.0);
        let still = record.waveforms[0]
            .samples
            .iter()
            .map(|value| value / 1000.0);
        record.waveforms[0].samples = still.collect();
        fleet.apply(&record, &mut assign(&model), &mut found);
    }
    found.extend(apply(&mut fleet, LEARNING + 60..LEARNING + 100, |_| 0.0));
    assert_eq!(alarms(&found), []);
}

#[test]
fn the_same_journal_gives_the_same_findings_over_a_restart() {
    let grows = |number: u32| 0.05 * f64::from(number);
    let mut whole = Fleet::new(Config::default()).unwrap();
    let expected = apply(&mut whole, 0..160, grows);
    let mut first = Fleet::new(Config::default()).unwrap();
    let mut found = apply(&mut first, 0..127, grows);
    let mut second = Fleet::new(Config::default()).unwrap();
    for (key, bytes) in first.take_dirty().unwrap() {
        second.restore(&key, &bytes).unwrap();
    }
    found.extend(apply(&mut second, 127..160, grows));
    assert_eq!(found, expected);
    assert!(!found.is_empty());
}

#[test]
fn readings_of_the_device_are_watched_apart_and_what_cannot_be_read_is_counted() {
    let (model, mut findings) = (model(), Vec::new());
    let mut fleet = Fleet::new(Config::default()).unwrap();
    let mut record = snapshot(0, 0.0);
    let mut readings = ReadingBatch::new();
    let device = readings.device(&DeviceId::new("node-1").unwrap());
    let signal = readings.signal(&SignalName::new("temperature_c").unwrap());
    readings.push_value(signal, 20.0);
    readings.finish_row(device, Timestamp::EPOCH, Timestamp::EPOCH);
    record.readings = readings;
    fleet.apply(&record, &mut assign(&model), &mut findings);
    let mut short = snapshot(1, 0.0);
    short.waveforms[0].samples = vec![1.0_f32; 10].into();
    fleet.apply(&short, &mut assign(&model), &mut findings);
    assert_eq!(fleet.stats().devices, 2);
    assert_eq!(fleet.stats().unreadable_waveforms, 1);
    let mut nobody = |_: &DeviceId| None;
    fleet.apply(&snapshot(2, 0.0), &mut nobody, &mut findings);
    assert_eq!(
        fleet.stats().unreadable_waveforms,
        1,
        "of no asset, not looked at"
    );
}
