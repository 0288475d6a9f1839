//! A four-pole induction motor that drives a conveyor.
//!
//! Torque follows the load, slip follows the torque. Copper losses grow with the square of the
//! current and with the temperature of the copper itself; they and the iron losses leave
//! through the fan-cooled frame, whose thermal conductance a dirty cooler takes away.

use super::machine::{Mode, Signal, State, Surroundings, Wear, rms, signal};

const SYNCHRONOUS_RPM: f64 = 1_500.0;
const RATED_POWER_W: f64 = 45_000.0;
const RATED_CURRENT_A: f64 = 80.0;
/// Magnetising current, at right angles to the load current.
const MAGNETISING_A: f64 = 28.0;
const RATED_SLIP: f64 = 0.016;
/// Copper losses at rated current and 20 °C, W.
const COPPER_W: f64 = 1_500.0;
const IRON_W: f64 = 700.0;
const FRICTION_W: f64 = 250.0;
/// Resistance of copper rises by this share per kelvin (IEC 60034-1: 1 / (235 + 20)).
const COPPER_PER_K: f64 = 1.0 / 255.0;
/// Clean frame, W/K.
const FRAME_W_K: f64 = 48.0;
const WINDING_TAU_S: f64 = 2_400.0;
const BEARING_TAU_S: f64 = 1_800.0;

fn shaft_power_w(load: f64, wear: Wear) -> f64 {
    let worn = wear.of(Mode::BearingWear);
    RATED_POWER_W * load + FRICTION_W * (1.0 + 2.5 * worn * worn)
}

fn current_a(load: f64, wear: Wear) -> f64 {
    let active = shaft_power_w(load, wear) / RATED_POWER_W
        * (RATED_CURRENT_A.powi(2) - MAGNETISING_A.powi(2)).sqrt();
    active.hypot(MAGNETISING_A)
}

fn copper_losses_w(current_a: f64, winding_c: f64) -> f64 {
    let share = current_a / RATED_CURRENT_A;
    COPPER_W * share * share * (1.0 + COPPER_PER_K * (winding_c - 20.0))
}

/// The winding temperature at which heat made equals heat shed, °C. Losses are linear in
/// the temperature, so the balance has a closed form.
fn balanced_winding_c(current_a: f64, ambient_c: f64, wear: Wear) -> f64 {
    let frame_w_k = FRAME_W_K * (1.0 - 0.40 * wear.of(Mode::FouledCooler));
    let at_20 = copper_losses_w(current_a, 20.0);
    let slope = at_20 * COPPER_PER_K;
    (at_20 + IRON_W - slope * 20.0 + frame_w_k * ambient_c) / (frame_w_k - slope)
}

/// Electrical power drawn at a winding temperature, W.
pub(super) fn electrical_power_w(load: f64, winding_c: f64, wear: Wear) -> f64 {
    shaft_power_w(load, wear) + copper_losses_w(current_a(load, wear), winding_c) + IRON_W
}

/// One step; see [`super::machine::step`].
pub(super) fn step(state: &mut State, around: Surroundings, wear: Wear, dt_s: f64) -> Vec<Signal> {
    let current = current_a(around.load, wear);
    let worn = wear.of(Mode::BearingWear);
    let unbalanced = wear.of(Mode::Imbalance);
    let target = balanced_winding_c(current, around.ambient_c, wear);
    let winding = state.approach(0, target, dt_s, WINDING_TAU_S);
    let target = around.ambient_c
        + 12.0
        + 0.22 * (winding - around.ambient_c)
        + 34.0 * worn * worn
        + 3.0 * unbalanced;
    let bearing = state.approach(1, target, dt_s, BEARING_TAU_S);
    // Hot copper has more resistance, so the same torque needs more slip.
    let slip = RATED_SLIP * around.load * (1.0 + COPPER_PER_K * (winding - 60.0));
    let speed = SYNCHRONOUS_RPM * (1.0 - slip);
    let velocity = rms(&[
        1.1 * (0.8 + 0.2 * around.load),
        3.8 * worn.powf(1.3),
        6.5 * unbalanced,
    ]);
    let acceleration = rms(&[
        0.28 * (0.7 + 0.3 * around.load),
        2.2 * worn,
        0.15 * unbalanced,
    ]);
    let power_kw = electrical_power_w(around.load, winding, wear) / 1e3;
    vec![
        signal("motor_current_a", current, 0.3),
        signal("power_kw", power_kw, 0.12),
        signal("speed_rpm", speed, 0.4),
        signal("winding_temperature_c", winding, 0.4),
        signal("bearing_temperature_c", bearing, 0.25),
        signal("vibration_mm_s", velocity, 0.05),
        signal("acceleration_g", acceleration, 0.012),
    ]
}
