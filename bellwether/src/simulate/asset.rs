//! One simulated machine: physics, wear over its life, sensors, repairs; payload by payload.

use std::{fmt::Write, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use telemetry::Timestamp;

use super::{
    bearing::{self, Heard},
    degradation::Fault,
    duty::Duty,
    machine::{Kind, Mode, Signal, State, Wear, stand, step},
    sensor::{SensorFault, read},
    surroundings::surroundings,
    upset::Circumstances,
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
    duty: Duty,
    circumstances: Circumstances,
    /// The ear of the bearing; none when the machine has no fast sensor.
    ear: Option<Ear>,
}

/// A fast sensor on a bearing, which sends a snapshot now and then.
#[derive(Debug)]
struct Ear {
    /// Its own stream, so that listening changes no reading.
    rng: StdRng,
    /// Rows since the last snapshot.
    rows: u32,
    /// What there is to hear at the last row.
    heard: Heard,
    running: bool,
}

/// Rows between two snapshots: three hours of the demo's plant, six minutes in real time.
const LISTEN_EVERY: u32 = 36;

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
            duty: Duty::Steady,
            circumstances: Circumstances::default(),
            ear: None,
        }
    }

    /// The machine with another duty.
    pub(crate) fn with_duty(self, duty: Duty) -> Self {
        Self { duty, ..self }
    }

    /// The machine in other circumstances than those of every day.
    pub(crate) fn with_circumstances(self, circumstances: Circumstances) -> Self {
        Self {
            circumstances,
            ..self
        }
    }

    /// The machine with a fast accelerometer on its bearing.
    pub(crate) fn with_ear(mut self) -> Self {
        let heard = Heard {
            speed_rpm: 0.0,
            velocity_mm_s: 0.0,
            noise_g: 0.0,
            impacts_g: 0.0,
        };
        self.ear = Some(Ear {
            rng: StdRng::seed_from_u64(self.rng.random()),
            rows: LISTEN_EVERY,
            heard,
            running: false,
        });
        self
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
        let mut around = surroundings(at, self.phase);
        let wear = self.wear(at);
        let load = self.duty.load(at, around.load);
        around.load = load.unwrap_or(around.load);
        let around = self.circumstances.around(around, at);
        let mut signals = if load.is_some() {
            step(self.kind, &mut self.state, around, wear, dt_s)
        } else {
            stand(self.kind, &mut self.state, around, dt_s)
        };
        self.circumstances.shake(&mut signals, at);
        if let Some(ear) = &mut self.ear {
            ear.rows += 1;
            ear.running = load.is_some();
            ear.heard = overheard(&signals, wear);
        }
        signals
    }

    /// The snapshot its fast sensor sends after the row at `at`, when one is due.
    pub(crate) fn listen(&mut self, at: Timestamp) -> Option<Payload> {
        let ear = self.ear.as_mut().filter(|ear| ear.running)?;
        if ear.rows < LISTEN_EVERY {
            return None;
        }
        ear.rows = 0;
        let mut json = format!(
            "{{\"ts\":{},\"signal\":\"acceleration_g\",\"axis\":\"radial\",\"unit\":\"g\",\"sample_rate_hz\":{},\"samples\":[",
            at.as_millis(),
            bearing::RATE_HZ
        );
        for (place, sample) in bearing::snapshot(ear.heard, &mut ear.rng)
            .iter()
            .enumerate()
        {
            let comma = if place == 0 { "" } else { "," };
            // A tenth of a thousandth of g is below the noise of any sensor here.
            let _ = write!(json, "{comma}{sample:.4}");
        }
        json.push_str("]}");
        Some(Payload { json, readings: 0 })
    }

    /// What its sensors read at `at`; without those that lost their value.
    pub(crate) fn sense(&mut self, at: Timestamp) -> Vec<(&'static str, f64)> {
        let signals = self.run_to(at).into_iter();
        let sensed = signals.filter_map(|truth| {
            let value = read(truth, at, &mut self.sensor_faults, &mut self.rng)?;
            Some((truth.name, value))
        });
        sensed.collect()
    }

    /// The signals whose sensors are wrong at `at`.
    pub(crate) fn bad_sensors(&self, at: Timestamp) -> impl Iterator<Item = &'static str> {
        let faults = self.sensor_faults.iter();
        faults
            .filter(move |fault| fault.from <= at && at < fault.to)
            .map(|fault| fault.signal)
    }

    /// The faults that have begun and were not mended.
    pub(crate) fn standing_faults(&self, at: Timestamp) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.onset <= at)
    }

    /// What its device sends at `at`; none when every sensor lost its value.
    pub(crate) fn publish(&mut self, at: Timestamp) -> Option<Payload> {
        let mut json = format!("{{\"ts\":{}", at.as_millis());
        let mut readings = 0;
        for (name, value) in self.sense(at) {
            // Three decimals resolve the noise of every sensor here.
            let _ = write!(json, ",\"{name}\":{value:.3}");
            readings += 1;
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

/// What a fast sensor hears of these signals. The impacts of a worn bearing are what wear adds
/// to the acceleration; the rest is noise and the turning of the shaft.
fn overheard(signals: &[Signal], wear: Wear) -> Heard {
    let value = |name: &str| {
        let signal = signals.iter().find(|signal| signal.name == name);
        signal.map_or(0.0, |signal| signal.value)
    };
    let acceleration_g = value("acceleration_g");
    // As the machines add them: powers, of which wear has the larger part once it is there.
    let impacts_g = (2.6 * wear.of(Mode::BearingWear)).min(0.98 * acceleration_g);
    Heard {
        speed_rpm: value("speed_rpm"),
        velocity_mm_s: value("vibration_mm_s"),
        noise_g: (acceleration_g * acceleration_g - impacts_g * impacts_g).sqrt(),
        impacts_g,
    }
}
