//! What a forecast costs on its way through the product: `cargo bench -p analytics --bench serving`.
//!
//! A fleet of devices that each close a cycle with every row, as [`Fleet::apply`] takes them: once
//! without a promoted model, once with one that holds everything a model may (fleet, life data,
//! classifiers over error codes). The difference, by device and cycle, is what the goal of 50
//! microseconds speaks of. Forecasts that are told are explained as well, which costs a thousand
//! times as much and happens when a date has moved; they are counted, and timed apart.
//! `deploy/bench/prognosis_peers.py` reads these lines.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use analytics::{
    Assignment, Config, Fleet,
    prognosis::{
        cycles::CycleSpec,
        diary::{Diary, LIVE_CODES},
        fleet::FleetConfig,
        life::PastLife,
        lives::{CycleRow, Life, LifeEnd},
        serving::{Forecaster, ModelId},
        trained::{Material, Serving, TrainedModel, Watched},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use telemetry::{
    AssetId, AssetModel, AssetModelId, DeviceId, Event, Finding, JournalRecord, PrognosisSpec,
    ReadingBatch, SignalLimits, SignalName, SignalSpec, Timestamp, Unit,
};

const LIVES: usize = 60;
const SIGNALS: usize = 14;
const DEVICES: usize = 100;
const CYCLES: i64 = 120;
const HOUR: i64 = 3_600;

fn name(signal: usize) -> SignalName {
    SignalName::new(&format!("s{signal}")).expect("a name")
}

fn kind() -> AssetModelId {
    AssetModelId::new("grinder").expect("an id")
}

fn asset_model() -> AssetModel {
    let signal = |signal: usize| SignalSpec {
        name: name(signal),
        unit: Unit::parse("mm/s").expect("a unit"),
        label_en: String::new(),
        label_zh: String::new(),
        limits: SignalLimits::default(),
        range: None,
        counter: false,
    };
    AssetModel {
        prognosis: Some(PrognosisSpec::default()),
        ..AssetModel::new(
            kind(),
            "Grinder",
            "磨床",
            (0..SIGNALS).map(signal).collect(),
        )
    }
}

fn values(at: usize, length: usize, rng: &mut StdRng) -> Vec<f64> {
    let wear = 4.0 * (at as f64 / length as f64).powi(3);
    let value = |signal: usize| {
        let noise: f64 = rng.sample(StandardNormal);
        10.0 + (signal % 5) as f64 * wear + noise
    };
    (0..SIGNALS).map(value).collect()
}

fn material(rng: &mut StdRng) -> Option<Material> {
    let (mut lives, mut watched, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for asset in 0..LIVES {
        let length = rng.random_range(130..270_usize);
        let row = |at: usize| CycleRow {
            settings: Vec::new(),
            values: values(at, length, rng),
        };
        lives.push(Life {
            asset: asset.to_string(),
            age: Some(0.0),
            rows: (0..length).map(row).collect(),
            end: LifeEnd::Failed,
        });
        let hours = |cycle: usize| cycle as i64 * HOUR * 1_000_000;
        let mut diary = Diary::new(LIVE_CODES);
        diary.code(hours(3), "error1");
        diary.code(hours(length - 20), "error2");
        let diary = Arc::new(diary);
        watched.push(Watched {
            began: Some(0),
            ends: (1..=length).map(hours).collect(),
            starts: vec![0; length],
            failed_at: Some(hours(length) + 1),
            known_until: hours(length),
            diary: Arc::clone(&diary),
        });
        records.push(PastLife {
            asset: format!("past-{}", records.len()),
            began: 0,
            duration: length as f64,
            failed: true,
            watchable: length as f64,
            diary,
        });
    }
    Some(Material {
        cycles: CycleSpec::of(&asset_model())?,
        component: None,
        horizons_s: vec![86_400.0, 2.0 * 86_400.0, 4.0 * 86_400.0],
        cap: 125.0,
        lives,
        watched,
        records,
        cycle_s: HOUR as f64,
        fleet: FleetConfig::default(),
        seed: 1,
    })
}

/// Microseconds by device and cycle that nine tenths of the cycles took longer than in which nobody was
/// told anything; and forecasts told, with the microseconds of each.
fn run(forecaster: Option<&Arc<dyn Forecaster>>) -> (f64, usize, f64) {
    let Ok(mut fleet) = Fleet::new(Config::default()) else {
        return (f64::NAN, 0, f64::NAN);
    };
    fleet.serve(&kind(), forecaster.cloned());
    let model = Arc::new(asset_model());
    let mut assign = |device: &DeviceId| {
        Some(Assignment {
            asset: AssetId::new(device.as_str()).ok()?,
            model: Some(Arc::clone(&model)),
        })
    };
    let devices: Vec<DeviceId> = (0..DEVICES)
        .filter_map(|device| DeviceId::new(&format!("g-{device}")).ok())
        .collect();
    let begun = |device: &DeviceId| {
        Some(Event::LifeBegan {
            asset: AssetId::new(device.as_str()).ok()?,
            at: Timestamp::EPOCH,
        })
    };
    let mut findings = Vec::new();
    let events = JournalRecord {
        events: devices.iter().filter_map(begun).collect(),
        ..JournalRecord::default()
    };
    fleet.apply(&events, &mut assign, &mut findings);
    let mut rng = StdRng::seed_from_u64(3);
    let (mut quiet, mut told, mut telling) = (Vec::new(), 0, 0.0);
    for cycle in 0..CYCLES {
        for device in &devices {
            let mut readings = ReadingBatch::new();
            let number = readings.device(device);
            for (signal, value) in values(cycle as usize, 200, &mut rng).iter().enumerate() {
                let signal = readings.signal(&name(signal));
                readings.push_value(signal, *value);
            }
            let at = Timestamp::from_secs(cycle * HOUR);
            readings.finish_row(number, at, at);
            let record = JournalRecord {
                readings,
                ..JournalRecord::default()
            };
            findings.clear();
            let begin = Instant::now();
            fleet.apply(&record, &mut assign, &mut findings);
            let seconds = begin.elapsed().as_secs_f64();
            if findings
                .iter()
                .any(|one| matches!(one, Finding::Prognosis(_)))
            {
                told += 1;
                telling += seconds;
            } else if cycle >= CYCLES / 2 {
                quiet.push(seconds);
            }
        }
    }
    quiet.sort_by(f64::total_cmp);
    let one = quiet.get(quiet.len() / 10).copied().unwrap_or(f64::NAN);
    (1e6 * one, told, 1e6 * telling / f64::max(told as f64, 1.0))
}

fn main() {
    let mut rng = StdRng::seed_from_u64(11);
    let trained = material(&mut rng)
        .and_then(|material| TrainedModel::fit(&material, &mut |_| ControlFlow::Continue(())).ok());
    let Some(trained) = trained else {
        println!("prognosis product: no model could be trained");
        return;
    };
    let classifiers = trained.contests.iter();
    let classifiers =
        classifiers.filter(|one| one.family == telemetry::PrognosisFamily::Classifier);
    let classifiers = classifiers.count();
    let id = ModelId {
        asset_model: kind(),
        version: 1,
        checksum: String::new(),
    };
    let forecaster: Arc<dyn Forecaster> = Arc::new(Serving::new(id, trained.model));
    let (without, ..) = run(None);
    let (with, told, telling) = run(Some(&forecaster));
    println!(
        "prognosis product microseconds {:.1} row_alone {without:.1} classifiers {classifiers} \
         told {told} telling_microseconds {telling:.0}",
        with - without
    );
}
