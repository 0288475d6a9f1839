//! A recorded pump rig with labelled faults (Skoltech Anomaly Benchmark), replayed row by row.
//!
//! Needs `../shared/data/skab` beside the repository; passes over it, saying so, when it is
//! not there.

#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a failed test"
)]

use std::path::{Path, PathBuf};

use analytics::{Assignment, Config, Fleet};
use telemetry::{
    AssetId, ConditionState, DeviceId, Finding, JournalRecord, ReadingBatch, SignalName, Timestamp,
};

/// Rows the baseline is learned from, as the acceptance asks.
const LEARNING_ROWS: u32 = 400;
/// How many rows before its label a fault may be found.
const EARLY_ROWS: usize = 60;

struct Recording {
    signals: Vec<SignalName>,
    rows: Vec<(Timestamp, Vec<f64>)>,
    /// Per row: whether it is labelled as an anomaly; false without labels.
    anomaly: Vec<bool>,
}

fn recordings() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/skab");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("no recordings at {}: passing over them", folder.display());
    None
}

fn read(path: &Path) -> Recording {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b';')
        .from_path(path)
        .unwrap();
    let header: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let is_label = |name: &str| matches!(name, "datetime" | "anomaly" | "changepoint");
    let columns: Vec<usize> = (0..header.len())
        .filter(|at| !is_label(&header[*at]))
        .collect();
    let label = header.iter().position(|name| name == "anomaly");
    let mut recording = Recording {
        signals: columns
            .iter()
            .map(|at| SignalName::new(&header[*at]).unwrap())
            .collect(),
        rows: Vec::new(),
        anomaly: Vec::new(),
    };
    for record in reader.records() {
        let record = record.unwrap();
        let at = Timestamp::parse(&format!("{}Z", record[0].replace(' ', "T"))).unwrap();
        let values = columns
            .iter()
            .map(|column| record[*column].parse().unwrap());
        recording.rows.push((at, values.collect()));
        recording
            .anomaly
            .push(label.is_some_and(|column| &record[column] == "1.0"));
    }
    recording
}

/// Replays a recording as one device and returns all findings.
fn replay(recording: &Recording, name: &str) -> Vec<Finding> {
    let config = Config {
        learning_rows: LEARNING_ROWS,
        ..Config::default()
    };
    let mut fleet = Fleet::new(config).unwrap();
    let device = DeviceId::new(name).unwrap();
    let asset = AssetId::new(name).unwrap();
    let mut assign = |_: &DeviceId| {
        let asset = asset.clone();
        Some(Assignment { asset, model: None })
    };
    let mut findings = Vec::new();
    for rows in recording.rows.chunks(100) {
        let mut readings = ReadingBatch::new();
        let device = readings.device(&device);
        for (at, values) in rows {
            for (signal, value) in recording.signals.iter().zip(values) {
                let signal = readings.signal(signal);
                readings.push_value(signal, *value);
            }
            readings.finish_row(device, *at, *at);
        }
        let record = JournalRecord {
            readings,
            ..JournalRecord::default()
        };
        fleet.apply(&record, &mut assign, &mut findings);
    }
    findings
}

/// Times at which alarms rose, each once.
fn alarms(findings: &[Finding]) -> Vec<Timestamp> {
    let mut rises: Vec<Timestamp> = findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Condition(c) if c.state == ConditionState::Alarm => Some(c.since),
            _ => None,
        })
        .collect();
    rises.dedup();
    rises
}

#[test]
fn the_first_alarm_lies_in_the_labelled_fault_for_at_least_twelve_of_sixteen_recordings() {
    let Some(folder) = recordings() else { return };
    let mut good = 0;
    for file in 0..16 {
        let recording = read(&folder.join(format!("valve1/{file}.csv")));
        let first = alarms(&replay(&recording, &format!("pump-{file}")))
            .first()
            .copied();
        let row = first.and_then(|at| recording.rows.iter().position(|row| row.0 == at));
        let begin = recording.anomaly.iter().position(|label| *label).unwrap();
        let end = recording.anomaly.iter().rposition(|label| *label).unwrap();
        let inside = row.is_some_and(|row| {
            recording.anomaly[row] || (row < begin && row + EARLY_ROWS >= begin)
        });
        good += u32::from(inside);
        println!("valve1/{file}: first alarm {row:?}, label {begin}..={end}, {inside}");
    }
    println!("{good} of 16");
    assert!(good >= 12, "{good} of 16");
}

#[test]
fn the_recording_without_a_fault_gives_at_most_one_case() {
    let Some(folder) = recordings() else { return };
    let recording = read(&folder.join("anomaly-free/anomaly-free.csv"));
    let findings = replay(&recording, "pump-free");
    // A case is an asset with a failure mode and stays open, so different modes are counted.
    let mut modes: Vec<String> = findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Condition(c) if c.state == ConditionState::Alarm => {
                c.evidence.as_ref().map(|e| e.failure_mode.to_string())
            }
            _ => None,
        })
        .collect();
    modes.sort();
    modes.dedup();
    println!("{} alarms, cases {modes:?}", alarms(&findings).len());
    assert!(modes.len() <= 1, "{modes:?}");
}
