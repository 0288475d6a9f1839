//! Sensor verdicts on public recordings of a pump with valve faults: few where sensors are
//! good, whatever the machine does, and found where a fault is put into one sensor.
//!
//! Needs `../shared/data/skab` beside the repository; passes over it, saying so, when it is
//! not there.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

mod recordings;

use std::collections::BTreeMap;

use analytics::detection::{learned::Learned, sensor::SensorWatch};
use recordings::{Recording, recordings};
use telemetry::{AssetModel, OperatingState, SensorFault, SensorState};

/// Rows learned from: the recordings are short.
const LEARNED_ROWS: usize = 400;
/// Rows after which a fault is put in.
const FAULT_AT: usize = 600;
const RUNNING: OperatingState = OperatingState::Running { regime: 0 };

fn learn(recording: &Recording, rows: usize, model: Option<&AssetModel>) -> SensorWatch {
    let mut learned = Learned::new(rows as u32, recording.signals.len());
    for (at, values) in &recording.rows[..rows] {
        learned.push(at.as_micros(), |slot| values[slot]);
    }
    SensorWatch::fit(&learned, &recording.signals, model, 0)
}

/// The two accelerometers, and the two thermometers, are related; the flow meter ends at 100.
fn model() -> AssetModel {
    let signal = |name: &str, range: Option<(f64, f64)>| {
        let mut spec =
            serde_json::json!({"name": name, "unit": "1", "label_en": "", "label_zh": ""});
        if let Some((low, high)) = range {
            spec["range"] = serde_json::json!({"low": low, "high": high});
        }
        spec
    };
    serde_json::from_value(serde_json::json!({
        "id": "rig", "name_en": "Rig", "name_zh": "台架",
        "signals": [
            signal("Accelerometer1RMS", Some((0.0, 2.0))), signal("Accelerometer2RMS", Some((0.0, 2.0))),
            signal("Current", Some((0.0, 20.0))), signal("Pressure", Some((-1.0, 10.0))),
            signal("Temperature", Some((0.0, 150.0))), signal("Thermocouple", Some((0.0, 150.0))),
            signal("Voltage", Some((0.0, 400.0))), signal("Volume Flow RateRMS", Some((0.0, 200.0))),
        ],
        "related": [
            {"signals": ["Accelerometer1RMS", "Accelerometer2RMS"]},
            {"signals": ["Temperature", "Thermocouple"]},
            {"signals": ["Current", "Voltage"]},
        ],
    }))
    .unwrap()
}

/// Verdicts that rose, by fault, and the hours watched over all signals.
fn verdicts(
    recording: &Recording,
    rows: usize,
    model: Option<&AssetModel>,
) -> (BTreeMap<String, u32>, f64) {
    let mut watch = learn(recording, rows, model);
    let mut rose = BTreeMap::new();
    let mut bad = 0_u64;
    for (at, values) in &recording.rows[rows..] {
        watch.update(at.as_micros(), RUNNING, |slot| values[slot]);
        for slot in 0..recording.signals.len() {
            let verdict = watch.verdict(slot).unwrap();
            let is_bad = verdict.state != SensorState::Good;
            if is_bad && bad >> slot & 1 == 0 {
                let name = format!(
                    "{} {}",
                    recording.signals[slot],
                    verdict.fault.unwrap().as_str()
                );
                *rose.entry(name).or_insert(0) += 1;
            }
            bad = bad & !(1 << slot) | u64::from(is_bad) << slot;
        }
    }
    let watched = &recording.rows[rows..];
    let span = watched.last().unwrap().0.secs_from(watched[0].0);
    (rose, span / 86_400.0 * recording.signals.len() as f64)
}

#[test]
fn good_sensors_on_a_healthy_and_on_a_faulty_machine_are_hardly_ever_blamed() {
    let Some(folder) = recordings() else { return };
    let model = model();
    for (what, model) in [("without a model", None), ("with a model", Some(&model))] {
        let (mut all, mut days) = (0, 0.0);
        for file in 0..16 {
            let recording = Recording::read(&folder.join(format!("valve1/{file}.csv")));
            let (rose, watched) = verdicts(&recording, LEARNED_ROWS, model);
            if !rose.is_empty() {
                println!("valve1/{file} {what}: {rose:?}");
            }
            all += rose.values().sum::<u32>();
            days += watched;
        }
        println!("valve faults {what}: {all} verdicts in {days:.2} signal-days");
        assert!(all <= 1, "{all}");
        let recording = Recording::read(&folder.join("anomaly-free/anomaly-free.csv"));
        let (rose, watched) = verdicts(&recording, 2_000, model);
        println!("no fault {what}: {rose:?} in {watched:.2} signal-days");
        assert!(rose.values().sum::<u32>() <= 1, "{rose:?}");
    }
}

type Spoil = fn(k: usize, value: f64, spread: f64, chance: f64) -> f64;

/// A fault with its name, how it spoils a value, the verdicts that fit it, and the least part
/// of the sensors it must be found in.
type Case = (&'static str, Spoil, &'static [SensorFault], f64);

/// The spread is that of the signal while learning.
const CASES: [Case; 9] = [
    ("stuck", |_, v, _, _| v, &[SensorFault::Stuck], 0.95),
    (
        "offset of 30 spreads",
        |_, v, s, _| v + 30.0 * s,
        &[SensorFault::Step],
        0.0,
    ),
    (
        "drift of 20 spreads",
        |k, v, s, _| v + 20.0 * s * (k as f64 / 300.0).min(1.0),
        &[SensorFault::Drift],
        0.0,
    ),
    (
        "noise of 10 spreads",
        |_, v, s, c| v + 10.0 * s * c,
        &[SensorFault::NoiseBurst, SensorFault::Spike],
        0.9,
    ),
    (
        "noise gone",
        |_, v, s, c| v + 0.005 * s * c,
        &[SensorFault::NoiseCollapse, SensorFault::Stuck],
        0.9,
    ),
    (
        "spikes of 30 spreads",
        |k, v, s, _| if k % 15 == 7 { v + 30.0 * s } else { v },
        &[SensorFault::Spike, SensorFault::NoiseBurst],
        0.9,
    ),
    (
        "open line",
        |_, _, _, _| f64::INFINITY,
        &[SensorFault::Saturation, SensorFault::Stuck],
        0.95,
    ),
    (
        "lost values",
        |_, v, _, c| if c > -0.5 { f64::NAN } else { v },
        &[SensorFault::Gap],
        0.95,
    ),
    ("lost", |_, _, _, _| f64::NAN, &[SensorFault::Gap], 0.95),
];

/// Chance without a generator: the same spread of a normal number for the same row and slot
/// (sum of twelve uniform numbers from a 64-bit mix of both).
fn chance(row: usize, slot: usize) -> f64 {
    let mut state = (row * 31 + slot) as u64;
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    };
    (0..12).map(|_| uniform()).sum::<f64>() - 6.0
}

/// Puts a fault into one slot and gives the first verdict on it after, with the rows it took,
/// and whether another sensor was blamed.
fn inject(
    recording: &Recording,
    model: &AssetModel,
    slot: usize,
    case: &Case,
) -> (Option<(SensorFault, usize)>, bool) {
    let mut watch = learn(recording, LEARNED_ROWS, Some(model));
    let column: Vec<f64> = recording.rows[..LEARNED_ROWS]
        .iter()
        .map(|row| row.1[slot])
        .collect();
    let mean = column.iter().sum::<f64>() / column.len() as f64;
    let spread =
        (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64).sqrt();
    let top = model.signals[slot].range.unwrap().high;
    let frozen = recording.rows[FAULT_AT].1[slot];
    let (mut found, mut others) = (None, false);
    for (row, (at, values)) in recording.rows.iter().enumerate().skip(LEARNED_ROWS) {
        let value = |own: usize| {
            if own != slot || row < FAULT_AT {
                return values[own];
            }
            let holds = matches!(case.0, "stuck" | "noise gone");
            let from = if holds { frozen } else { values[own] };
            let value = (case.1)(row - FAULT_AT, from, spread, chance(row, own));
            if value > top { top } else { value }
        };
        watch.update(at.as_micros(), RUNNING, value);
        if row < FAULT_AT {
            continue;
        }
        let is_blamed = |other: usize| {
            other != slot && watch.verdict(other).unwrap().state != SensorState::Good
        };
        others |= (0..recording.signals.len()).any(is_blamed);
        let verdict = watch.verdict(slot).unwrap();
        if let (SensorState::Suspect | SensorState::Faulty, Some(fault), None) =
            (verdict.state, verdict.fault, found)
        {
            found = Some((fault, row - FAULT_AT));
        }
    }
    (found, others)
}

#[test]
fn faults_put_into_single_sensors_are_found() {
    let Some(folder) = recordings() else { return };
    let model = model();
    for case in &CASES {
        let (mut tried, mut found, mut named, mut blamed) = (0, 0, 0, 0);
        let mut delays = Vec::new();
        let mut by_signal: BTreeMap<String, u32> = BTreeMap::new();
        for file in 0..16 {
            let recording = Recording::read(&folder.join(format!("valve1/{file}.csv")));
            for slot in 0..recording.signals.len() {
                let (verdict, others) = inject(&recording, &model, slot, case);
                tried += 1;
                blamed += u32::from(others);
                if let Some((fault, rows)) = verdict {
                    found += 1;
                    named += u32::from(case.2.contains(&fault));
                    delays.push(rows);
                    *by_signal
                        .entry(recording.signals[slot].to_string())
                        .or_default() += 1;
                }
            }
        }
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2);
        println!(
            "{}: found {found} of {tried}, rightly named {named}, median delay {median:?} rows, others blamed {blamed}, {by_signal:?}",
            case.0
        );
        assert!(f64::from(found) >= case.3 * f64::from(tried), "{}", case.0);
        // The two accelerometers of one recording part company by themselves.
        assert!(f64::from(blamed) <= 0.06 * f64::from(tried), "{}", case.0);
    }
}
