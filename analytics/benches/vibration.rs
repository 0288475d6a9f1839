//! Vibration snapshots a second and features a second on one core:
//! `cargo bench -p analytics --bench vibration`.
//!
//! A snapshot goes the way it goes in the pipeline: samples to trace, spectrum, bands, envelope
//! and the lines of two bearings. Beside it what a person asks for: the choice of the envelope
//! band. The features of a signal are measured per update and per reading of all of them.

use std::{hint::black_box, time::Instant};

use analytics::{
    SignalFeatures,
    vibration::{
        Analyser, Bearing, Foundation, MachineClass, MachineGroup, Trace, WaveformFeatures,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use telemetry::Unit;

/// Seconds each measurement runs at least.
const SECONDS: f64 = 1.0;

/// Seconds of a call: the median, and the tenth part from below, which is what a core does
/// while nothing else wants it.
fn measured(mut call: impl FnMut()) -> [f64; 2] {
    call();
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed().as_secs_f64() < SECONDS || times.len() < 5 {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[times.len() / 10]]
}

fn snapshots(rng: &mut StdRng) {
    let bearing = |name: &str| Bearing::new(name, 9, 7.94, 39.04, 0.0).ok();
    let bearings: Vec<Bearing> = ["de", "nde"].into_iter().filter_map(bearing).collect();
    let class = MachineClass::of(MachineGroup::Medium, Foundation::Rigid, Some(1500.0));
    for count in [4_096, 65_536] {
        let samples: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut analyser = Analyser::new();
        let unit = Some(Unit::StandardGravity);
        let whole = measured(|| {
            if let Ok(trace) = Trace::new(&samples, 25_600.0, unit) {
                let found =
                    WaveformFeatures::of(&mut analyser, &trace, Some(&class), &bearings, None);
                black_box(found);
            }
        });
        let choice = measured(|| {
            if let Ok(trace) = Trace::new(&samples, 25_600.0, unit) {
                black_box(analyser.impulsive_band(&trace));
            }
        });
        for (what, whole, choice) in [
            ("median", whole[0], choice[0]),
            ("quiet", whole[1], choice[1]),
        ] {
            println!(
                "{count} samples, {what}: {:.0} snapshots/s ({:.2} ms, {:.1} M samples/s); choice of band {:.2} ms",
                1.0 / whole,
                whole * 1e3,
                f64::from(count) / whole / 1e6,
                choice * 1e3
            );
        }
    }
}

fn features(rng: &mut StdRng) {
    const COUNT: i64 = 100_000;
    let values: Vec<f64> = (0..COUNT).map(|_| rng.random_range(20.0..30.0)).collect();
    let mut at = 0_i64;
    let mut features = SignalFeatures::new();
    let update = measured(|| {
        for value in &values {
            at += 1_000_000;
            features.update(at, *value);
        }
    });
    let read = measured(|| {
        black_box(features.values());
    });
    for (what, update, read) in [
        ("median", update[0], read[0]),
        ("quiet", update[1], read[1]),
    ] {
        println!(
            "features of a signal, {what}: {:.1} ns an update, {:.0} ns to read all 18",
            update / COUNT as f64 * 1e9,
            read * 1e9
        );
    }
}

fn main() {
    let mut rng = StdRng::seed_from_u64(7);
    snapshots(&mut rng);
    features(&mut rng);
}
