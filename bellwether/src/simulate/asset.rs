//! One simulated machine: physics, wear over its life, sensors, repairs; payload by payload.

use std::{fmt::Write, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use telemetry::Timestamp;

use super::{
    degradation::Fault,
    machine::{Kind, Signal, State, Wear, step},
    sensor::{SensorFault, read},
    surroundings::surroundings,
};

/// What a device sends for one instant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payload {
    /// The JSON object of the default payload.
    pub(crate) json: String,
    /// How many readings it holds.
    pub(crate) readings: u32,
}

/// A machine in the simulation.
#[derive(Debug)]
pub(crate) struct SimulatedAsset {
    /// Its id; its one device has the same.
    pub(crate) id: String,
    /// What kind of machine it is.
    pub(crate) kind: Kind,
    /// Where its day begins, 0 to 1: machines of one plant do not swing in step.
    phase: f64,
    state: State,
    at: Option<Timestamp>,
    faults: Vec<Fault>,
    sensor_faults: Vec<SensorFault>,
    rng: StdRng,
}

/// After a repair the next fault begins this many days later, drawn evenly.
const NEXT_FAULT_DAYS: std::ops::Range<f64> = 8.0..30.0;
/// And takes this many days to fail.
const NEXT_LIFE_DAYS: std::ops::Range<f64> = 4.0..9.0;

impl SimulatedAsset {
    /// A machine as new, with the faults it will get.
    pub(crate) fn new(
        id: &str,
        kind: Kind,
        seed: u64,
        faults: Vec<Fault>,
        sensor_faults: Vec<SensorFault>,
    ) -> Self {
        // Each machine draws from its own stream: FNV-1a of its id, so that adding one machine
        // to the plant leaves the others as they were.
        let own = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = StdRng::seed_from_u64(seed ^ own);
        Self {
            id: id.to_owned(),
            kind,
            phase: rng.random(),
            state: State::default(),
            at: None,
            faults,
            sensor_faults,
            rng,
        }
    }

    /// How far each failure mode has gone.
    pub(crate) fn wear(&self, at: Timestamp) -> Wear {
        let mut wear = Wear::default();
        for fault in &self.faults {
            let severity = fault.severity(at).max(wear.of(fault.mode));
            wear.set(fault.mode, severity);
        }
        wear
    }

    /// Runs the machine up to `at` and reads its true signals.
    fn run_to(&mut self, at: Timestamp) -> Vec<Signal> {
        let dt_s = self.at.map_or(0.0, |before| at.secs_from(before).max(0.0));
        self.at = Some(at);
        let around = surroundings(at, self.phase);
        let wear = self.wear(at);
        step(self.kind, &mut self.state, around, wear, dt_s)
    }

    /// What its device sends at `at`; none when every sensor lost its value.
    pub(crate) fn publish(&mut self, at: Timestamp) -> Option<Payload> {
        let signals = self.run_to(at);
        let mut json = format!("{{\"ts\":{}", at.as_millis());
        let mut readings = 0;
        for truth in signals {
            if let Some(value) = read(truth, at, &mut self.sensor_faults, &mut self.rng) {
                // Three decimals resolve the noise of every sensor here.
                let _ = write!(json, ",\"{}\":{value:.3}", truth.name);
                readings += 1;
            }
        }
        json.push('}');
        (readings > 0).then_some(Payload { json, readings })
    }

    /// An engineer was here: worn parts are new, sensors are right, and some day another
    /// fault will begin. Faults that have not begun yet still lie ahead.
    pub(crate) fn repair(&mut self, at: Timestamp) {
        let begun = self.faults.iter().any(|fault| fault.onset <= at);
        self.faults.retain(|fault| fault.onset > at);
        self.replace_sensors(at);
        if begun && self.faults.is_empty() {
            let modes = self.kind.modes();
            let mode = modes[self.rng.random_range(0..modes.len())];
            let healthy_s = self.rng.random_range(NEXT_FAULT_DAYS) * 86_400.0;
            let life_days = self.rng.random_range(NEXT_LIFE_DAYS);
            let onset = at + Duration::from_secs_f64(healthy_s);
            self.faults.push(Fault {
                mode,
                onset,
                life_days,
            });
        }
    }

    /// Sensors that are wrong now are replaced.
    pub(crate) fn replace_sensors(&mut self, at: Timestamp) {
        self.sensor_faults.retain(|fault| fault.from > at);
    }
}
