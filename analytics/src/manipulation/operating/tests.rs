//! States as an operator would call them, and regimes only where there are some.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use serde_json::json;

use super::*;

const SECOND: i64 = 1_000_000;

fn names() -> Vec<SignalName> {
    ["motor_current_a", "speed_rpm", "flow_l_min"]
        .map(|name| SignalName::new(name).unwrap())
        .to_vec()
}

fn model(states: &serde_json::Value, operating: &serde_json::Value) -> AssetModel {
    let model: AssetModel = serde_json::from_value(json!({
        "id": "pump", "name_en": "Pump", "name_zh": "泵",
        "signals": [
            {"name": "motor_current_a", "unit": "A", "label_en": "", "label_zh": ""},
            {"name": "speed_rpm", "unit": "rpm", "label_en": "", "label_zh": ""},
            {"name": "flow_l_min", "unit": "L/min", "label_en": "", "label_zh": ""}],
        "states": states, "operating": operating,
    }))
    .unwrap();
    model.check().unwrap();
    model
}

fn pump() -> AssetModel {
    model(
        &json!([
            {"state": "off", "signal": "motor_current_a", "below_share": 0.05, "on_delay_s": 2},
            {"state": "start_up", "lasts_s": 30},
            {"state": "idle", "signal": "motor_current_a", "below_share": 0.4},
        ]),
        &json!({"settling_s": 10}),
    )
}

/// The states over seconds of current, each told once with the second it began.
fn told(
    operating: &mut Operating,
    from: i64,
    currents: &[(usize, f64)],
) -> Vec<(i64, &'static str)> {
    let mut at = from;
    let mut told: Vec<(i64, &'static str)> = Vec::new();
    for (seconds, current) in currents {
        for _ in 0..*seconds {
            let state = operating.update(at * SECOND, |slot| match slot {
                0 => *current,
                _ => f64::NAN,
            });
            if told.last().is_none_or(|(_, last)| *last != state.as_str()) {
                told.push((at, state.as_str()));
            }
            at += 1;
        }
    }
    told
}

#[test]
fn a_day_of_a_pump_is_told_as_its_operator_would() {
    let mut operating = Operating::new(&names(), Some(&pump()));
    let day = [
        (60, 40.0),
        (20, 0.0),
        (100, 41.0),
        (50, 10.0),
        (50, 39.0),
        (1, 0.5),
        (20, 40.0),
    ];
    let expected = [
        // The running level of a rule by share is known after three values.
        (0, "unknown"),
        (2, "running"),
        (60, "idle"),
        // Two seconds of delay, so that a moment without current is no stop …
        (62, "off"),
        (80, "start_up"),
        (109, "transition"),
        (119, "running"),
        (180, "idle"),
        // 15 A: idle ends half as far again.
        (230, "transition"),
        (240, "running"),
    ];
    let told = told(&mut operating, 0, &day);
    assert_eq!(told[..expected.len()], expected, "{told:?}");
    // … though it is idle for that moment.
    assert!(
        told.iter().all(|(at, state)| *state != "off" || *at == 62),
        "{told:?}"
    );
    assert!(operating.is_consistent(3) && !operating.is_consistent(0));
}

#[test]
fn without_rules_and_regimes_nobody_can_tell() {
    let mut operating = Operating::new(&names(), None);
    assert_eq!(
        told(&mut operating, 0, &[(5, 40.0), (5, 0.0)]),
        [(0, "unknown")]
    );
    assert!(operating.may_learn());
    let absent = Operating::new(&[], Some(&pump()));
    assert!(absent.rules.is_empty());
}

#[test]
fn a_machine_that_stood_still_while_learning_began_is_a_surprise_once() {
    let mut operating = Operating::new(&names(), Some(&pump()));
    told(&mut operating, 0, &[(50, 0.0)]);
    assert_eq!(operating.state(), OperatingState::Unknown);
    assert!(!operating.may_learn() && !operating.take_surprise());
    told(&mut operating, 50, &[(50, 2.0)]);
    assert!(operating.may_learn() && !operating.take_surprise());
    told(&mut operating, 100, &[(50, 40.0)]);
    assert!(operating.take_surprise() && !operating.take_surprise());
}

/// Learns 1,000 rows of current and speed that follow `load(row)`.
fn learn(seed: u64, load: fn(u32) -> f64) -> Learned {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut learned = Learned::new(1_000, 3);
    for row in 0..1_000 {
        let noise: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let load = load(row);
        learned.push(i64::from(row) * SECOND, |slot| match slot {
            0 => 40.0 * load + 0.5 * noise[0],
            1 => 3_000.0 * load + 5.0 * noise[1],
            _ => 2_000.0 * load + 10.0 * noise[2],
        });
    }
    learned
}

#[test]
fn regimes_are_found_where_there_are_some_and_nowhere_else() {
    type Load = fn(u32) -> f64;
    let cases: [(&str, Load, usize); 8] = [
        ("one level", |_| 0.8, 1),
        (
            "a swing",
            |row| 0.7 + 0.2 * (f64::from(row) / 60.0).sin(),
            1,
        ),
        (
            "a ramp up and down",
            |row| 0.5 + 0.3 * (f64::from(row % 500) / 250.0 - 1.0).abs(),
            1,
        ),
        (
            "a step that stays",
            |row| if row < 500 { 0.6 } else { 0.9 },
            1,
        ),
        (
            "a rare excursion",
            |row| if row % 500 < 20 { 0.4 } else { 0.9 },
            1,
        ),
        (
            "two shifts",
            |row| if row / 120 % 2 == 0 { 0.6 } else { 0.9 },
            2,
        ),
        (
            "three loads",
            |row| [0.5, 0.7, 1.0][(row / 90 % 3) as usize],
            3,
        ),
        (
            "four loads",
            |row| [0.4, 0.6, 0.8, 1.0][(row / 90 % 4) as usize],
            4,
        ),
    ];
    for (what, load, expected) in cases {
        for seed in 0..3 {
            let learned = learn(seed, load);
            let mut operating = Operating::new(&names(), None);
            operating.settle(&learned);
            assert_eq!(operating.regimes(), expected, "{what}, seed {seed}");
            assert!(operating.is_consistent(3));
        }
    }
}

#[test]
fn a_change_of_regime_is_a_transition_until_it_has_settled() {
    let learned = learn(1, |row| if row / 120 % 2 == 0 { 0.6 } else { 0.9 });
    let mut operating = Operating::new(
        &names(),
        Some(&model(&json!([]), &json!({"settling_s": 5}))),
    );
    operating.settle(&learned);
    let mut states = Vec::new();
    for second in 0..60_i64 {
        let load = if second < 30 { 0.6 } else { 0.9 };
        let value = |slot: usize| [40.0, 3_000.0, 2_000.0][slot] * load;
        states.push(operating.update(second * SECOND, value));
    }
    let running = |regime| OperatingState::Running { regime };
    assert_eq!(states[10], running(0));
    assert!(
        states[30..36]
            .iter()
            .all(|state| *state == OperatingState::Transition),
        "{states:?}"
    );
    assert!(
        states[37..].iter().all(|state| *state == running(1)),
        "{states:?}"
    );
    assert_eq!(operating.regime_of(|slot| [24.0, 1_800.0, 0.0][slot]), 0);
    // A missing signal leaves the regime as it is.
    assert_eq!(operating.update(60 * SECOND, |_| f64::NAN), running(1));
}

#[test]
fn a_model_may_forbid_regimes_and_the_same_data_give_the_same_ones() {
    let learned = learn(2, |row| [0.5, 0.7, 1.0][(row / 90 % 3) as usize]);
    let mut one = Operating::new(
        &names(),
        Some(&model(&json!([]), &json!({"max_regimes": 1}))),
    );
    one.settle(&learned);
    assert_eq!(one.regimes(), 1);
    let learn_again = || {
        let mut operating = Operating::new(&names(), None);
        operating.settle(&learned);
        postcard::to_allocvec(&operating).unwrap()
    };
    assert_eq!(learn_again(), learn_again());
    assert!(learn_again().len() < 300, "{}", learn_again().len());
}
