//! A speed-controlled centrifugal pump that lifts water.
//!
//! Operating point: pump curve `H = s² H0 - a Q²` meets system curve `H = Hs + k Qd²`, with the
//! relative speed `s` (affinity laws) and the delivered flow `Qd = (1 - leak) Q`. Shaft power is
//! hydraulic power over efficiency plus bearing friction; friction heats the bearing.

use super::machine::{Mode, Signal, State, Surroundings, Wear, rms, signal, three_phase_current_a};

const RATED_SPEED_RPM: f64 = 2_950.0;
/// Head at zero flow and rated speed, m.
const SHUTOFF_HEAD_M: f64 = 62.0;
/// Fall of the pump curve, m per (m³/h)².
const PUMP_CURVE: f64 = 14.0 / 14_400.0;
/// Height the water is lifted, m.
const STATIC_HEAD_M: f64 = 18.0;
/// Friction of the pipe, m per (m³/h)²: 120 m³/h at 48 m.
const PIPE_CURVE: f64 = 30.0 / 14_400.0;
const DESIGN_FLOW_M3_H: f64 = 120.0;
const EFFICIENCY: f64 = 0.74;
const MOTOR_EFFICIENCY: f64 = 0.92;
const POWER_FACTOR: f64 = 0.86;
/// Friction of healthy bearings at rated speed, W.
const FRICTION_W: f64 = 300.0;
/// Bearing temperature above ambient per watt of friction, K/W.
const BEARING_RESISTANCE_K_W: f64 = 0.08;
/// Bearing housings warm up in about half an hour.
const BEARING_TAU_S: f64 = 1_800.0;
/// Weight of water, N/m³.
const WATER_N_M3: f64 = 9_790.0;

/// The flow the impeller moves and the head it gives, in m³/h and m.
fn operating_point(speed: f64, wear: Wear) -> (f64, f64) {
    let leak = LEAK * wear.of(Mode::SealLeak);
    // Bubbles block the impeller channels: head breaks down.
    let shutoff = SHUTOFF_HEAD_M * speed * speed * (1.0 - 0.12 * wear.of(Mode::Cavitation));
    let resistance = PUMP_CURVE + PIPE_CURVE * (1.0 - leak).powi(2);
    let flow = ((shutoff - STATIC_HEAD_M).max(0.0) / resistance).sqrt();
    (flow, shutoff - PUMP_CURVE * flow * flow)
}

/// Friction power of the bearings, W. Quadratic in wear: rough raceways are loud before they are hot.
fn friction_w(speed: f64, wear: Wear) -> f64 {
    let worn = wear.of(Mode::BearingWear);
    FRICTION_W * speed * (1.0 + 1.6 * worn * worn)
}

/// Share of the flow that returns through a seal that has failed.
const LEAK: f64 = 0.30;

/// Electrical power drawn, W.
pub(super) fn electrical_power_w(load: f64, wear: Wear) -> f64 {
    let speed = relative_speed(load);
    let (flow, head) = operating_point(speed, wear);
    let hydraulic = WATER_N_M3 * head * flow / 3_600.0;
    let efficiency = EFFICIENCY * (1.0 - 0.10 * wear.of(Mode::Cavitation));
    (hydraulic / efficiency + friction_w(speed, wear)) / MOTOR_EFFICIENCY
}

fn relative_speed(load: f64) -> f64 {
    0.82 + 0.18 * load
}

/// One step; see [`super::machine::step`].
pub(super) fn step(state: &mut State, around: Surroundings, wear: Wear, dt_s: f64) -> Vec<Signal> {
    let speed = relative_speed(around.load);
    let (flow, head) = operating_point(speed, wear);
    let delivered = flow * (1.0 - LEAK * wear.of(Mode::SealLeak));
    let share = flow / DESIGN_FLOW_M3_H;
    let bubbles = wear.of(Mode::Cavitation);
    let worn = wear.of(Mode::BearingWear);
    let suction_bar = 1.6 - (0.2 + 0.8 * bubbles) * share * share;
    let discharge_bar = suction_bar + WATER_N_M3 * head / 1e5;
    let velocity = rms(&[
        1.5 * speed * speed * (1.0 + 0.4 * (share - 0.9).powi(2)),
        4.5 * worn.powf(1.3),
        2.2 * bubbles,
        7.0 * wear.of(Mode::Imbalance) * speed * speed,
    ]);
    let acceleration = rms(&[
        0.35 * speed * speed,
        2.6 * worn,
        1.9 * bubbles,
        0.25 * wear.of(Mode::Imbalance) * speed * speed,
    ]);
    let target = around.ambient_c
        + 6.0
        + BEARING_RESISTANCE_K_W * friction_w(speed, wear)
        + 4.0 * wear.of(Mode::Imbalance);
    let bearing = state.approach(0, target, dt_s, BEARING_TAU_S);
    let current = three_phase_current_a(electrical_power_w(around.load, wear), POWER_FACTOR);
    vec![
        signal("flow_l_min", delivered * 1e3 / 60.0, 9.0),
        signal("suction_pressure_bar", suction_bar, 0.012),
        signal("discharge_pressure_bar", discharge_bar, 0.025),
        signal("motor_current_a", current, 0.25),
        signal("vibration_mm_s", velocity, 0.06),
        signal("acceleration_g", acceleration, 0.015),
        signal("bearing_temperature_c", bearing, 0.25),
        signal("speed_rpm", RATED_SPEED_RPM * speed, 3.0),
    ]
}
