//! What each fault of a sensor does to its verdict, and what a machine may do without one.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use serde_json::json;
use telemetry::{SensorFault, SensorState};

use super::*;

const LEARNED_ROWS: u32 = 600;
const RUNNING: OperatingState = OperatingState::Running { regime: 0 };

/// A pump that follows a load: speed, flow and current move together, the vibration is on its
/// own, and the temperature is coarse.
struct Plant {
    rng: StdRng,
    row: i64,
}

const SIGNALS: [&str; 5] = ["speed", "flow", "current", "vibration", "temperature"];

impl Plant {
    fn new(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { rng, row: 0 }
    }

    fn row(&mut self) -> [f64; 5] {
        self.row += 1;
        let load = (self.row as f64 / 15.0).sin() + 0.5 * (self.row as f64 / 6.5).cos();
        let noise: [f64; 5] = std::array::from_fn(|_| self.rng.sample(StandardNormal));
        [
            2_900.0 + 60.0 * load + 3.0 * noise[0],
            100.0 + 8.0 * load + 0.5 * noise[1],
            40.0 + 3.0 * load + 0.2 * noise[2],
            2.0 + 0.1 * noise[3],
            (60.0 + 0.4 * load + 0.2 * noise[4]).round(),
        ]
    }
}

fn names() -> Vec<SignalName> {
    SIGNALS
        .iter()
        .map(|name| SignalName::new(name).unwrap())
        .collect()
}

fn model() -> AssetModel {
    let signal = |name: &str| json!({"name": name, "unit": "A", "label_en": "", "label_zh": ""});
    let mut signals: Vec<_> = SIGNALS.iter().map(|name| signal(name)).collect();
    signals[4]["range"] = json!({"low": 0.0, "high": 200.0});
    let mode = |name: &str, signature| json!({"mode": name, "name_en": "", "name_zh": "", "signature": signature});
    serde_json::from_value(json!({
        "id": "pump", "name_en": "Pump", "name_zh": "泵", "signals": signals,
        "failure_modes": [
            mode("imbalance", json!([{"signal": "vibration", "weight": 1.0}])),
            mode("blocked", json!([{"signal": "flow", "weight": -2.0}, {"signal": "current", "weight": -0.5}])),
        ],
        "related": [{"signals": ["speed", "flow", "current"]}],
    }))
    .unwrap()
}

fn watch(plant: &mut Plant, model: Option<&AssetModel>) -> SensorWatch {
    let mut learned = Learned::new(LEARNED_ROWS, SIGNALS.len());
    for row in 0..LEARNED_ROWS {
        let values = plant.row();
        learned.push(i64::from(row) * 1_000_000, |slot| values[slot]);
    }
    SensorWatch::fit(&learned, &names(), model, 0)
}

/// What a fault of the sensor `slot` makes of the value of the k-th faulty row.
type Spoil = fn(k: usize, value: f64, chance: f64) -> f64;

/// Runs 300 good rows, then 300 with a fault in one slot; gives the first verdict of that slot
/// with its row, and the slots that had any.
fn run(
    seed: u64,
    model: Option<&AssetModel>,
    slot: usize,
    spoil: Spoil,
) -> (Option<(usize, SensorFault)>, u64) {
    let mut plant = Plant::new(seed);
    let mut watch = watch(&mut plant, model);
    let (mut first, mut any) = (None, 0);
    for row in 0..600_usize {
        let mut values = plant.row();
        let chance = plant.rng.sample(StandardNormal);
        if row >= 300 {
            values[slot] = spoil(row - 300, values[slot], chance);
        }
        watch.update(row as i64 * 1_000_000, RUNNING, |slot| values[slot]);
        for slot in 0..SIGNALS.len() {
            let verdict = watch.verdict(slot).unwrap();
            any |= u64::from(verdict.state != SensorState::Good) << slot;
        }
        let verdict = watch.verdict(slot).unwrap();
        if verdict.state != SensorState::Good && first.is_none() {
            assert!((0.5..1.0).contains(&verdict.confidence), "{verdict:?}");
            first = verdict.fault.map(|fault| (row, fault));
        }
    }
    (first, any)
}

#[test]
fn each_fault_of_a_sensor_gets_its_name_and_no_other_sensor_is_blamed() {
    let model = model();
    let cases: [(&str, usize, Spoil, SensorFault, usize); 9] = [
        ("a frozen value", 3, |_, _, _| 2.03, SensorFault::Stuck, 15),
        (
            "a frozen coarse value",
            4,
            |_, _, _| 60.0,
            SensorFault::Stuck,
            150,
        ),
        ("an offset", 1, |_, v, _| v + 60.0, SensorFault::Step, 10),
        (
            "a slow drift",
            2,
            |k, v, _| v + 0.05 * k as f64,
            SensorFault::Drift,
            200,
        ),
        (
            "no noise",
            3,
            |k, _, c| 2.0 + 1e-5 * c + 1e-9 * k as f64,
            SensorFault::NoiseCollapse,
            200,
        ),
        (
            "much noise",
            3,
            |_, v, c| v + 0.5 * c,
            SensorFault::NoiseBurst,
            80,
        ),
        (
            "lone wild values",
            3,
            |k, v, _| if k % 10 == 5 { v + 5.0 } else { v },
            SensorFault::Spike,
            60,
        ),
        (
            "an open line",
            4,
            |_, _, _| 200.0,
            SensorFault::Saturation,
            10,
        ),
        ("a broken line", 0, |_, _, _| f64::NAN, SensorFault::Gap, 40),
    ];
    for (what, slot, spoil, fault, within) in cases {
        for seed in 0..5 {
            let (first, any) = run(seed, Some(&model), slot, spoil);
            let (row, found) = first.unwrap_or_else(|| panic!("{what}, seed {seed}: not found"));
            // Much noise is many wild values too, and may be called so first.
            let also = fault == SensorFault::NoiseBurst && found == SensorFault::Spike;
            assert!(found == fault || also, "{what}, seed {seed}: {found:?}");
            assert!(
                (300..300 + within).contains(&row),
                "{what}, seed {seed}: row {row}"
            );
            assert_eq!(any, 1 << slot, "{what}, seed {seed}: others were blamed");
        }
    }
}

#[test]
fn a_healthy_device_gets_no_verdict() {
    for seed in 0..20 {
        for model in [None, Some(&model())] {
            let (_, any) = run(seed, model, 0, |_, v, _| v);
            assert_eq!(any, 0, "seed {seed}");
        }
    }
}

#[test]
fn what_a_failure_mode_explains_is_the_machines() {
    let model = model();
    for (what, slot, spoil) in [
        ("the vibration jumps", 3, (|_, v, _| v + 20.0) as Spoil),
        ("the vibration grows", 3, |k, v, _| v + 0.05 * k as f64),
        ("the flow falls", 1, |k, v, _| v - 0.2 * k as f64),
        ("the flow is gone", 1, |_, v, _| v - 60.0),
    ] {
        let (first, any) = run(1, Some(&model), slot, spoil);
        assert_eq!((first, any), (None, 0), "{what}");
    }
}

#[test]
fn what_partners_do_too_is_the_process() {
    let mut plant = Plant::new(3);
    let mut watch = watch(&mut plant, Some(&model()));
    for row in 0..900_i64 {
        let mut values = plant.row();
        // The load is taken away, comes back, and the vibration of the pipe shakes all sensors.
        if (300..500).contains(&row) {
            for (value, part) in values.iter_mut().zip([600.0, 80.0, 30.0, 0.5, 10.0]) {
                *value -= part;
            }
        }
        if row > 700 {
            let shake = if row % 2 == 0 { 1.0 } else { -1.0 };
            for (value, part) in values.iter_mut().zip([60.0, 10.0, 4.0, 2.0, 4.0]) {
                *value += shake * part;
            }
        }
        watch.update(row * 1_000_000, RUNNING, |slot| values[slot]);
        assert_eq!(watch.suspects(), 0, "row {row}");
    }
}

#[test]
fn a_machine_that_stands_still_has_no_stuck_sensors_and_none_after_it_starts() {
    let mut plant = Plant::new(5);
    let mut watch = watch(&mut plant, None);
    for row in 0..1_000_i64 {
        let off = (300..600).contains(&row);
        let values = if off { [0.0; 5] } else { plant.row() };
        let operating = match row {
            300..600 => OperatingState::Off,
            600..660 => OperatingState::Transition,
            _ => RUNNING,
        };
        watch.update(row * 1_000_000, operating, |slot| values[slot]);
        assert_eq!(watch.suspects(), 0, "row {row}");
    }
}

#[test]
fn a_verdict_ends_when_the_sensor_is_good_again() {
    let mut plant = Plant::new(7);
    let mut watch = watch(&mut plant, Some(&model()));
    let mut told = Vec::new();
    for row in 0..900_i64 {
        let mut values = plant.row();
        if (300..420).contains(&row) {
            values[1] += 60.0;
        }
        if watch.update(row * 1_000_000, RUNNING, |slot| values[slot]) {
            assert_eq!(watch.changed(), 1 << 1);
            told.push((row, watch.verdict(1).unwrap().state));
        }
    }
    let states: Vec<_> = told.iter().map(|(_, state)| *state).collect();
    assert_ne!(states.first(), Some(&SensorState::Good), "{told:?}");
    assert_eq!(states.last(), Some(&SensorState::Good), "{told:?}");
    assert!(told.last().unwrap().0 < 420 + 80, "{told:?}");
    assert_eq!(watch.suspects(), 0);
}

#[test]
fn constant_empty_and_wild_input_have_an_answer() {
    let names = names();
    for fill in [f64::NAN, 0.0, 7.5, 1e300, -1e-300] {
        let mut learned = Learned::new(100, SIGNALS.len());
        for row in 0..100 {
            learned.push(row, |_| fill);
        }
        let mut watch = SensorWatch::fit(&learned, &names, None, 0);
        assert!(watch.is_consistent(SIGNALS.len()), "{fill}");
        for (row, x) in [fill, f64::NAN, f64::INFINITY, 1e300, -1e300, 0.0]
            .into_iter()
            .cycle()
            .take(600)
            .enumerate()
        {
            watch.update(row as i64, RUNNING, |_| x);
        }
        assert!(watch.is_consistent(SIGNALS.len()), "{fill}");
    }
    let none = SensorWatch::fit(&Learned::new(100, 0), &[], None, 0);
    assert!(none.is_consistent(0) && none.verdict(0).is_none());
}

#[test]
fn a_restored_watch_goes_on_bit_for_bit_and_any_unit_gives_the_same_verdicts() {
    let run = |scale: f64, save: bool| {
        let mut plant = Plant::new(11);
        let mut learned = Learned::new(LEARNED_ROWS, SIGNALS.len());
        for row in 0..LEARNED_ROWS {
            let values = plant.row();
            learned.push(i64::from(row), |slot| scale * values[slot]);
        }
        let mut watch = SensorWatch::fit(&learned, &names(), None, 0);
        let mut told = Vec::new();
        for row in 0..600_i64 {
            let mut values = plant.row();
            if row >= 200 {
                values[3] = 2.03;
            }
            if row >= 400 && row % 7 == 0 {
                values[1] += 40.0;
            }
            watch.update(row, RUNNING, |slot| scale * values[slot]);
            if save && row % 50 == 49 {
                let bytes = postcard::to_allocvec(&watch).unwrap();
                let again: SensorWatch = postcard::from_bytes(&bytes).unwrap();
                assert!(bytes.len() < 2_000, "{} bytes", bytes.len());
                watch = again;
            }
            told.push((watch.suspects(), watch.changed()));
        }
        told
    };
    let plain = run(1.0, false);
    assert!(plain.iter().any(|(suspects, _)| *suspects == 0b1010));
    assert_eq!(plain, run(1.0, true));
    // Powers of two change no mantissa, so even rounding is the same.
    assert_eq!(plain, run(1_024.0, false));
    assert_eq!(plain, run(1.0 / 4_096.0, false));
}
