//! What must be true of the machines, whatever their constants are.

use std::{collections::BTreeMap, time::Duration};

use telemetry::Timestamp;

use super::{
    machine::{Kind, Mode, State, Surroundings, Wear, step},
    surroundings::surroundings,
    {compressor, motor, pump},
};

const KINDS: [Kind; 3] = [
    Kind::CentrifugalPump,
    Kind::ScrewCompressor,
    Kind::InductionMotor,
];
/// Between two rows of the demo.
const STEP: Duration = Duration::from_mins(5);

type Signals = BTreeMap<&'static str, f64>;

/// The machine after many steps in unchanging surroundings.
fn settled(kind: Kind, around: Surroundings, wear: Wear) -> Signals {
    let mut state = State::default();
    let signals = step(kind, &mut state, around, wear, 0.0);
    signals.into_iter().map(|s| (s.name, s.value)).collect()
}

const USUAL: Surroundings = Surroundings {
    ambient_c: 21.0,
    load: 0.72,
};

#[test]
fn every_signal_is_finite_and_positive_at_every_corner() {
    for kind in KINDS {
        for load in [0.3, 0.7, 1.0] {
            for ambient_c in [5.0, 35.0] {
                let around = Surroundings { ambient_c, load };
                for (mode, severity) in Mode::ALL.into_iter().flat_map(|m| [(m, 0.0), (m, 1.0)]) {
                    for (name, value) in settled(kind, around, Wear::only(mode, severity)) {
                        assert!(
                            value.is_finite() && value > 0.0,
                            "{kind:?} {mode:?} {name} {value}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn signals_are_what_the_asset_model_declares() {
    for kind in KINDS {
        let model = crate::models::builtin_of(kind.model());
        let declared: Vec<&str> = model.signals.iter().map(|s| s.name.as_str()).collect();
        let mut state = State::default();
        let published: Vec<_> = step(kind, &mut state, USUAL, Wear::default(), 0.0)
            .iter()
            .map(|s| s.name)
            .collect();
        assert_eq!(declared, published, "{kind:?}");
        for signal in &model.signals {
            let by_name = telemetry::Unit::from_signal_name(signal.name.as_str());
            assert_eq!(by_name, Some(signal.unit), "{}", signal.name);
        }
        let modes: Vec<_> = model
            .failure_modes
            .iter()
            .filter_map(|m| Mode::of(&m.mode))
            .collect();
        for mode in kind.modes() {
            assert!(
                modes.contains(mode),
                "{kind:?} has no signature of {}",
                mode.name()
            );
        }
    }
}

/// The nameplate of each machine at rated load, from the usual data sheets of its size.
#[test]
fn healthy_machines_run_at_their_nameplate() {
    let rated = Surroundings {
        ambient_c: 20.0,
        load: 1.0,
    };
    for (kind, name, low, high) in [
        (Kind::CentrifugalPump, "flow_l_min", 1_900.0, 2_100.0),
        (Kind::CentrifugalPump, "motor_current_a", 35.0, 45.0),
        (Kind::CentrifugalPump, "discharge_pressure_bar", 5.5, 6.5),
        // ISO 10816-3, rigid support: below 2.8 mm/s is good for unrestricted operation.
        (Kind::CentrifugalPump, "vibration_mm_s", 1.0, 2.8),
        (Kind::CentrifugalPump, "bearing_temperature_c", 35.0, 70.0),
        (Kind::ScrewCompressor, "flow_m3_h", 550.0, 620.0),
        (Kind::ScrewCompressor, "motor_current_a", 95.0, 150.0),
        (Kind::ScrewCompressor, "oil_temperature_c", 40.0, 65.0),
        (Kind::ScrewCompressor, "discharge_temperature_c", 60.0, 95.0),
        (Kind::InductionMotor, "motor_current_a", 78.0, 82.0),
        (Kind::InductionMotor, "speed_rpm", 1_470.0, 1_480.0),
        (Kind::InductionMotor, "winding_temperature_c", 60.0, 100.0),
    ] {
        let value = settled(kind, rated, Wear::default())[name];
        assert!((low..=high).contains(&value), "{kind:?} {name} = {value}");
    }
}

#[test]
fn energy_is_balanced_in_sign_and_order() {
    let none = Wear::default();
    for load in [0.4, 0.7, 1.0] {
        // A pump cannot give more hydraulic power than it draws.
        let pump_signals = settled(Kind::CentrifugalPump, Surroundings { load, ..USUAL }, none);
        let pressure_pa =
            (pump_signals["discharge_pressure_bar"] - pump_signals["suction_pressure_bar"]) * 1e5;
        let hydraulic_w = pressure_pa * pump_signals["flow_l_min"] / 60_000.0;
        let drawn_w = pump::electrical_power_w(load, none);
        assert!(
            hydraulic_w > 0.5 * drawn_w && hydraulic_w < 0.8 * drawn_w,
            "{hydraulic_w} {drawn_w}"
        );
        // A compressor's work is at least the isothermal work of the air it delivers: p1 V ln(p2/p1).
        let air = settled(Kind::ScrewCompressor, Surroundings { load, ..USUAL }, none);
        let ratio = (air["discharge_pressure_bar"] * 1e5 + 101_325.0) / 101_325.0;
        let isothermal_w = 101_325.0 * air["flow_m3_h"] / 3_600.0 * ratio.ln();
        let drawn_w = compressor::electrical_power_w(load, none);
        assert!(
            isothermal_w > 0.3 * drawn_w && isothermal_w < 0.8 * drawn_w,
            "{isothermal_w} {drawn_w}"
        );
        // A motor draws more than it gives, and not much more.
        let efficiency = 45_000.0 * load / motor::electrical_power_w(load, 70.0, none);
        assert!((0.88..0.97).contains(&efficiency), "{efficiency}");
    }
    // More load or warmer air never cools anything.
    for kind in KINDS {
        let base = settled(kind, USUAL, none);
        for around in [
            Surroundings { load: 0.9, ..USUAL },
            Surroundings {
                ambient_c: 30.0,
                ..USUAL
            },
        ] {
            for (name, value) in settled(kind, around, none) {
                assert!(
                    !name.ends_with("temperature_c") || value > base[name],
                    "{kind:?} {name}"
                );
            }
        }
    }
}

#[test]
fn each_fault_moves_the_signals_an_engineer_expects() {
    use Kind::{CentrifugalPump as Pump, InductionMotor as Motor, ScrewCompressor as Compressor};
    for (kind, mode, name, direction) in [
        (Pump, Mode::BearingWear, "acceleration_g", 1.0),
        (Pump, Mode::BearingWear, "bearing_temperature_c", 1.0),
        (Pump, Mode::Cavitation, "suction_pressure_bar", -1.0),
        (Pump, Mode::Cavitation, "discharge_pressure_bar", -1.0),
        (Pump, Mode::Cavitation, "flow_l_min", -1.0),
        (Pump, Mode::SealLeak, "flow_l_min", -1.0),
        (Pump, Mode::SealLeak, "motor_current_a", 1.0),
        (Pump, Mode::Imbalance, "vibration_mm_s", 1.0),
        (Compressor, Mode::FouledCooler, "oil_temperature_c", 1.0),
        (
            Compressor,
            Mode::FouledCooler,
            "discharge_temperature_c",
            1.0,
        ),
        (Compressor, Mode::SealLeak, "flow_m3_h", -1.0),
        (Compressor, Mode::SealLeak, "discharge_pressure_bar", -1.0),
        (Compressor, Mode::BearingWear, "acceleration_g", 1.0),
        (Motor, Mode::Imbalance, "vibration_mm_s", 1.0),
        (Motor, Mode::FouledCooler, "winding_temperature_c", 1.0),
        (Motor, Mode::BearingWear, "bearing_temperature_c", 1.0),
    ] {
        let mut before = settled(kind, USUAL, Wear::default())[name];
        for tenth in 1..=10 {
            let worn = settled(kind, USUAL, Wear::only(mode, f64::from(tenth) / 10.0))[name];
            assert!(
                (worn - before) * direction > 0.0,
                "{kind:?} {mode:?} {name} at {tenth}"
            );
            before = worn;
        }
    }
}

/// Means and spreads of a healthy machine over two days, as a baseline would learn them.
fn baseline(kind: Kind) -> BTreeMap<&'static str, (f64, f64)> {
    let start = Timestamp::from_secs(1_770_000_000);
    let mut state = State::default();
    let mut columns: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for row in 0..576 {
        let around = surroundings(start + STEP * row, 0.4);
        for s in step(
            kind,
            &mut state,
            around,
            Wear::default(),
            STEP.as_secs_f64(),
        ) {
            columns.entry(s.name).or_default().push(s.value);
        }
    }
    let spread = |values: Vec<f64>| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    };
    columns
        .into_iter()
        .map(|(name, values)| (name, spread(values)))
        .collect()
}

#[test]
fn bearing_wear_is_heard_before_it_is_hot() {
    for kind in KINDS {
        let healthy = baseline(kind);
        let first_beyond = |name: &str| {
            let normal = settled(kind, USUAL, Wear::default())[name];
            (0..=1_000)
                .map(|thousandth| f64::from(thousandth) / 1e3)
                .find(|&severity| {
                    let worn = settled(kind, USUAL, Wear::only(Mode::BearingWear, severity))[name];
                    worn - normal > 3.0 * healthy[name].1
                })
                .unwrap_or(f64::INFINITY)
        };
        let (heard, hot) = (
            first_beyond("acceleration_g"),
            first_beyond("bearing_temperature_c"),
        );
        assert!(
            heard < hot && heard < 0.4,
            "{kind:?}: heard at {heard}, hot at {hot}"
        );
    }
}

#[test]
fn temperature_follows_a_sudden_change_slowly_and_arrives() {
    for kind in KINDS {
        let worn = Wear::only(Mode::BearingWear, 1.0);
        let goal = settled(kind, USUAL, worn)["bearing_temperature_c"];
        let mut state = State::default();
        let from = step(kind, &mut state, USUAL, Wear::default(), 0.0);
        let from = from
            .iter()
            .find(|s| s.name == "bearing_temperature_c")
            .unwrap()
            .value;
        let mut before = from;
        for minute in 1..=720 {
            let signals = step(kind, &mut state, USUAL, worn, 60.0);
            let now = signals
                .iter()
                .find(|s| s.name == "bearing_temperature_c")
                .unwrap()
                .value;
            assert!(
                now >= before && now <= goal + 1e-9,
                "{kind:?} minute {minute}"
            );
            let gone = (now - from) / (goal - from);
            assert!(
                minute != 10 || gone < 0.5,
                "{kind:?}: {gone} after ten minutes"
            );
            before = now;
        }
        assert!((before - goal).abs() < 0.01 * (goal - from), "{kind:?}");
    }
}

/// Each fault looks most like its own signature in the asset model, and clearly so, when
/// deviations are counted in healthy spreads.
#[test]
fn each_fault_fits_its_own_signature_best() {
    for kind in KINDS {
        let model = crate::models::builtin_of(kind.model());
        let healthy = baseline(kind);
        let normal = settled(kind, USUAL, Wear::default());
        for mode in kind.modes() {
            for severity in [0.3, 0.5, 0.8] {
                let worn = settled(kind, USUAL, Wear::only(*mode, severity));
                let deviation: Signals = worn
                    .iter()
                    .map(|(name, value)| (*name, (value - normal[name]) / healthy[name].1))
                    .collect();
                let length = deviation.values().map(|d| d * d).sum::<f64>().sqrt();
                let mut fits: Vec<(f64, String)> = model
                    .failure_modes
                    .iter()
                    .map(|signature| {
                        let terms = &signature.signature;
                        let norm = terms
                            .iter()
                            .map(|t| t.weight * t.weight)
                            .sum::<f64>()
                            .sqrt();
                        let dot: f64 = terms
                            .iter()
                            .map(|t| t.weight * deviation[t.signal.as_str()])
                            .sum();
                        (dot / (norm * length), signature.mode.to_string())
                    })
                    .collect();
                fits.sort_by(|a, b| b.0.total_cmp(&a.0));
                let shown: BTreeMap<_, _> = deviation
                    .iter()
                    .map(|(n, d)| (*n, format!("{d:.1}")))
                    .collect();
                assert_eq!(
                    fits[0].1,
                    mode.name(),
                    "{kind:?} at {severity}: {fits:?} {shown:?}"
                );
                assert!(
                    fits[0].0 > 0.8,
                    "{kind:?} at {severity}: {fits:?} {shown:?}"
                );
            }
        }
    }
}
