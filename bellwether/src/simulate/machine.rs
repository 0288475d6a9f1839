//! What the three kinds of machines have in common: wear, surroundings and slow temperatures.
//!
//! The physics is pure: `step(state, surroundings, wear, dt) -> signals`. Fast quantities
//! (flow, pressure, current, vibration) follow the operating point at once; temperatures follow
//! with the time constant of the metal they are measured in. Machines differ in their
//! operating point and in where wear enters the balance, not in how time passes.

use super::{compressor, motor, pump};

/// A failure mode that the simulation knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rolling bearings spall: first heard (acceleration), then felt (velocity), then hot.
    BearingWear,
    /// The suction side clogs and vapour bubbles collapse in the impeller.
    Cavitation,
    /// Pumped medium goes back through a worn seal.
    SealLeak,
    /// Dirt on the heat exchanger.
    FouledCooler,
    /// Deposits or a lost weight on the rotor.
    Imbalance,
}

impl Mode {
    /// Every mode, in the order of [`Wear`].
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [
        Self::BearingWear,
        Self::Cavitation,
        Self::SealLeak,
        Self::FouledCooler,
        Self::Imbalance,
    ];

    /// Its name in asset models, cases and orders.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BearingWear => "bearing-wear",
            Self::Cavitation => "cavitation",
            Self::SealLeak => "seal-leak",
            Self::FouledCooler => "fouled-cooler",
            Self::Imbalance => "imbalance",
        }
    }

    /// The mode of a case or an order.
    #[cfg(test)]
    pub(crate) fn of(mode: &telemetry::FailureMode) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == mode.as_str())
    }
}

/// How far each failure mode has gone: 0 as new, 1 functional failure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Wear([f64; 5]);

impl Wear {
    /// No wear but this.
    #[cfg(test)]
    pub(crate) fn only(mode: Mode, severity: f64) -> Self {
        let mut wear = Self::default();
        wear.set(mode, severity);
        wear
    }

    /// The severity of a mode.
    pub(crate) fn of(self, mode: Mode) -> f64 {
        self.0[mode as usize]
    }

    /// Sets the severity of a mode, clamped to 0..=1.
    pub(crate) fn set(&mut self, mode: Mode, severity: f64) {
        self.0[mode as usize] = severity.clamp(0.0, 1.0);
    }
}

/// What surrounds a machine and what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Surroundings {
    /// Air temperature, °C.
    pub(crate) ambient_c: f64,
    /// Demand as a share of the rated one, 0 to 1.
    pub(crate) load: f64,
}

/// The kinds of machines; each is described by one asset model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A speed-controlled water pump.
    CentrifugalPump,
    /// An oil-injected screw compressor.
    ScrewCompressor,
    /// A motor driving a conveyor.
    InductionMotor,
}

/// A signal of a machine at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Signal {
    /// The name in payloads; it ends in the unit.
    pub(crate) name: &'static str,
    /// The true value; the sensor adds its noise.
    pub(crate) value: f64,
    /// Standard deviation of the sensor's noise, in the unit of the signal.
    pub(crate) noise: f64,
}

/// Shorthand for the tables of the machines.
pub(super) const fn signal(name: &'static str, value: f64, noise: f64) -> Signal {
    Signal { name, value, noise }
}

/// Temperatures that remember; none before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct State {
    warm_c: [Option<f64>; 2],
}

impl State {
    /// Lets the temperature `at` run towards `target_c` for `dt_s` with a time constant.
    /// The first step begins in balance, because machines run before they are watched.
    pub(super) fn approach(&mut self, at: usize, target_c: f64, dt_s: f64, tau_s: f64) -> f64 {
        let reached = self.warm_c[at].map_or(target_c, |now| {
            // The exact solution of dT/dt = (target - T) / tau over one step, stable for any step.
            target_c + (now - target_c) * (-dt_s / tau_s).exp()
        });
        self.warm_c[at] = Some(reached);
        reached
    }
}

/// One step of a machine: its signals after `dt_s` seconds in these surroundings.
pub(crate) fn step(
    kind: Kind,
    state: &mut State,
    around: Surroundings,
    wear: Wear,
    dt_s: f64,
) -> Vec<Signal> {
    match kind {
        Kind::CentrifugalPump => pump::step(state, around, wear, dt_s),
        Kind::ScrewCompressor => compressor::step(state, around, wear, dt_s),
        Kind::InductionMotor => motor::step(state, around, wear, dt_s),
    }
}

/// One step of a machine that is switched off: it cools down, and nothing else moves.
pub(crate) fn stand(kind: Kind, state: &mut State, around: Surroundings, dt_s: f64) -> Vec<Signal> {
    let mut signals = step(kind, &mut state.clone(), around, Wear::default(), 0.0);
    let ambient_c = around.ambient_c;
    let metal = [
        state.approach(0, ambient_c, dt_s, COOLING_TAU_S),
        state.approach(1, ambient_c, dt_s, COOLING_TAU_S),
    ];
    for signal in &mut signals {
        signal.value = match (kind, signal.name) {
            // The second temperature of the machines that have two is their bearing's.
            (Kind::ScrewCompressor | Kind::InductionMotor, "bearing_temperature_c") => metal[1],
            (_, name) if name.ends_with("temperature_c") => metal[0],
            // Water stands in the pipes, the network is fed by others.
            (_, "suction_pressure_bar") => 1.6,
            (Kind::CentrifugalPump, "discharge_pressure_bar") => 3.4,
            (_, "discharge_pressure_bar") => 7.3,
            _ => 0.0,
        };
    }
    signals
}

/// Without its fan a machine cools down slower than it warms up.
const COOLING_TAU_S: f64 = 3_600.0;

impl Kind {
    /// The id of its asset model.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::CentrifugalPump => "centrifugal-pump",
            Self::ScrewCompressor => "screw-compressor",
            Self::InductionMotor => "induction-motor",
        }
    }

    /// The failure modes it can have.
    pub(crate) const fn modes(self) -> &'static [Mode] {
        match self {
            Self::CentrifugalPump => &[
                Mode::BearingWear,
                Mode::Cavitation,
                Mode::SealLeak,
                Mode::Imbalance,
            ],
            Self::ScrewCompressor => &[Mode::FouledCooler, Mode::SealLeak, Mode::BearingWear],
            Self::InductionMotor => &[Mode::Imbalance, Mode::BearingWear, Mode::FouledCooler],
        }
    }
}

/// Independent vibrations add as powers: the square root of the sum of squares.
pub(super) fn rms(parts: &[f64]) -> f64 {
    parts.iter().map(|part| part * part).sum::<f64>().sqrt()
}

/// Current of a three-phase motor from its electrical power:
/// I = P / (sqrt(3) U cos phi), at 400 V between phases.
pub(super) fn three_phase_current_a(power_w: f64, power_factor: f64) -> f64 {
    power_w / (3f64.sqrt() * 400.0 * power_factor)
}
