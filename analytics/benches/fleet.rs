//! Rows a second through [`Fleet::apply`] on one core: `cargo bench -p analytics`.
//!
//! 1,000 devices send one row a second of event time, in records of 1,000 rows as a group
//! commit makes them. Learning and scoring are measured apart; scoring includes the findings
//! of every device each 10 s, as in production. Beside the rate over all records the median
//! rate of a record is given: it is what a core does while nothing else wants it.

use std::{hint::black_box, time::Instant};

use analytics::{Assignment, Config, Fleet};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustc_hash::FxHashMap;
use telemetry::{AssetId, DeviceId, JournalRecord, ReadingBatch, SignalName, Timestamp};

const DEVICES: usize = 1_000;
const LEARNING_ROWS: u32 = 400;
const SCORING_ROWS: u32 = 600;

fn records(devices: &[DeviceId], signals: usize, from: u32, rows: u32) -> Vec<JournalRecord> {
    let mut rng = StdRng::seed_from_u64(7);
    let names: Vec<SignalName> = (0..signals)
        .filter_map(|at| SignalName::new(&format!("signal_{at}")).ok())
        .collect();
    let mut record = |second: u32| {
        let mut readings = ReadingBatch::new();
        let at = Timestamp::from_secs(i64::from(second));
        for (number, device) in devices.iter().enumerate() {
            // Devices start one after another, so that not all report in the same second.
            if (second as usize) < number % 10 {
                continue;
            }
            let device = readings.device(device);
            for (index, name) in names.iter().enumerate() {
                let signal = readings.signal(name);
                let load = (f64::from(second) / 60.0 + index as f64).sin();
                readings.push_value(signal, 50.0 + load + rng.random_range(-1.0..1.0));
            }
            readings.finish_row(device, at, at);
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    };
    (from..from + rows).map(&mut record).collect()
}

fn measure(
    what: &str,
    signals: usize,
    fleet: &mut Fleet,
    records: &[JournalRecord],
    assets: &FxHashMap<DeviceId, Assignment>,
) {
    let mut findings = Vec::new();
    let (mut rows, mut found) = (0, 0);
    let mut times = Vec::with_capacity(records.len());
    for record in records {
        let begin = Instant::now();
        let assign = &mut |device: &DeviceId| assets.get(device).cloned();
        fleet.apply(record, assign, &mut findings);
        rows += record.readings.row_count();
        times.push(begin.elapsed().as_secs_f64());
        found += black_box(&findings).len();
        findings.clear();
    }
    let mean = rows as f64 / times.iter().sum::<f64>();
    times.sort_by(f64::total_cmp);
    let median = rows as f64 / records.len() as f64 / times[times.len() / 2];
    println!(
        "{what}, {signals} signals: {:.2} M rows/s, median {:.2} M rows/s = {:.2} M readings/s ({found} findings)",
        mean / 1e6,
        median / 1e6,
        median * signals as f64 / 1e6
    );
}

fn main() {
    let ids: Vec<String> = (0..DEVICES).map(|at| format!("pump-{at}")).collect();
    let devices: Vec<DeviceId> = ids.iter().filter_map(|id| DeviceId::new(id).ok()).collect();
    let asset = |id: &String| {
        AssetId::new(id)
            .ok()
            .map(|asset| Assignment { asset, model: None })
    };
    let assets = devices
        .iter()
        .cloned()
        .zip(ids.iter().filter_map(asset))
        .collect();
    for signals in [3, 8] {
        let config = Config {
            learning_rows: LEARNING_ROWS,
            ..Config::default()
        };
        let Ok(mut fleet) = Fleet::new(config) else {
            return;
        };
        let learning = records(&devices, signals, 0, LEARNING_ROWS);
        measure("learning", signals, &mut fleet, &learning, &assets);
        drop(learning);
        // A few rows more, so that every device has its baseline when the clock starts.
        let mut scoring = records(&devices, signals, LEARNING_ROWS, SCORING_ROWS);
        let rest = scoring.split_off(20);
        measure("end of learning", signals, &mut fleet, &scoring, &assets);
        measure("scoring", signals, &mut fleet, &rest, &assets);
        let stats = fleet.stats();
        assert_eq!((stats.devices, stats.learning), (DEVICES, 0));
    }
}
