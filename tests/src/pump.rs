//! A synthetic centrifugal pump, sampled every five minutes of event time.
//!
//! It is as simple as a pump can be and still be one: the load swings over the day, flow,
//! current and temperature follow it, the bearing temperature follows ambient and load, and
//! everything carries sensor noise. `wear` from 0 to 1 raises the high-frequency acceleration
//! first and strongly, vibration velocity with it, bearing temperature later and the current a
//! little, which is how ISO 17359 tells bearing wear from imbalance.

use std::f64::consts::TAU;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Map, Value, json};

/// Five minutes in milliseconds: the step between two rows, so that a day is 288 rows.
pub const STEP_MS: i64 = 300_000;

/// A pump that remembers only its noise and its clock.
#[derive(Debug)]
pub struct Pump {
    rng: StdRng,
    at_ms: i64,
}

impl Pump {
    /// A pump whose first row is at `start_ms`.
    pub fn new(seed: u64, start_ms: i64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            at_ms: start_ms,
        }
    }

    /// When the next row will be, in milliseconds.
    pub fn now(&self) -> i64 {
        self.at_ms
    }

    /// The next row as a payload with its time.
    pub fn row(&mut self, wear: f64) -> (String, i64) {
        let at = self.at_ms;
        self.at_ms += STEP_MS;
        let day = TAU * (at as f64) / 86_400_000.0;
        let load = 0.75 + 0.15 * day.sin() + self.noise(0.02);
        let ambient = 22.0 + 4.0 * (day - 1.0).sin();
        let values = [
            (
                "acceleration_g",
                0.6 + 0.3 * load + 5.0 * wear + self.noise(0.05),
            ),
            (
                "vibration_mm_s",
                1.6 + 0.8 * load + 3.0 * wear + self.noise(0.12),
            ),
            (
                "bearing_temperature_c",
                ambient + 28.0 * load + 25.0 * wear * wear + self.noise(0.4),
            ),
            (
                "motor_current_a",
                18.0 * load + 6.0 + 1.5 * wear + self.noise(0.25),
            ),
            ("flow_l_min", 900.0 * load + self.noise(8.0)),
            (
                "discharge_pressure_bar",
                6.5 - 1.2 * load + self.noise(0.04),
            ),
        ];
        let mut row = Map::new();
        row.insert("ts".into(), json!(at));
        for (signal, value) in values {
            row.insert(signal.into(), json!((value * 1e4).round() / 1e4));
        }
        (Value::Object(row).to_string(), at)
    }

    /// `count` rows of a healthy pump.
    pub fn healthy(&mut self, count: usize) -> Vec<(String, i64)> {
        (0..count).map(|_| self.row(0.0)).collect()
    }

    /// `count` rows over which wear grows steadily to `until`.
    pub fn wearing(&mut self, count: usize, until: f64) -> Vec<(String, i64)> {
        (1..=count)
            .map(|row| self.row(until * row as f64 / count as f64))
            .collect()
    }

    /// Roughly normal noise (the mean of twelve uniforms) with the given standard deviation.
    fn noise(&mut self, sigma: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.rng.random_range(-0.5..0.5)).sum();
        sigma * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_pump() {
        let rows = |seed| Pump::new(seed, 0).wearing(50, 1.0);
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
    }

    #[test]
    fn wear_shows_in_vibration_and_temperature() {
        let value = |row: &(String, i64), signal: &str| {
            serde_json::from_str::<Value>(&row.0).unwrap()[signal]
                .as_f64()
                .unwrap()
        };
        let (sound, worn) = (Pump::new(1, 0).row(0.0), Pump::new(1, 0).row(1.0));
        assert!(value(&worn, "vibration_mm_s") > 2.0 * value(&sound, "vibration_mm_s"));
        assert!(
            value(&worn, "bearing_temperature_c") > value(&sound, "bearing_temperature_c") + 20.0
        );
        assert!((value(&worn, "flow_l_min") - value(&sound, "flow_l_min")).abs() < 1e-9);
    }
}
