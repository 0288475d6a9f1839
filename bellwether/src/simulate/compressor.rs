//! An oil-injected screw compressor with a variable speed drive on a 7.5 bar network.
//!
//! Power is the adiabatic work of the swept volume; nearly all of it leaves as heat through the
//! oil cooler, so the oil is warmer than the air by `heat / (U A)`. A leaking rotor or shaft seal
//! sends part of the swept volume round again: less air delivered for the same work, hotter.

use super::machine::{Mode, Signal, State, Surroundings, Wear, rms, signal, three_phase_current_a};

const RATED_SPEED_RPM: f64 = 3_000.0;
/// Swept volume at rated speed, m³/h of free air.
const SWEPT_M3_H: f64 = 620.0;
const NETWORK_BAR: f64 = 7.5;
/// Ratio of the specific heats of air.
const KAPPA: f64 = 1.4;
const INLET_PA: f64 = 101_325.0;
const ADIABATIC_EFFICIENCY: f64 = 0.72;
const MOTOR_EFFICIENCY: f64 = 0.94;
const POWER_FACTOR: f64 = 0.88;
/// Share of the power that leaves through the oil cooler.
const HEAT_TO_OIL: f64 = 0.75;
/// Clean oil cooler, W/K.
const COOLER_W_K: f64 = 1_750.0;
/// Oil flow times specific heat, W/K.
const OIL_STREAM_W_K: f64 = 2_300.0;
/// Oil sump and cooler together.
const OIL_TAU_S: f64 = 1_200.0;
const BEARING_TAU_S: f64 = 1_800.0;

fn relative_speed(load: f64) -> f64 {
    0.35 + 0.65 * load
}

/// Network pressure: it sags a little with demand, and more when a leak eats the delivery.
fn pressure_bar(load: f64, wear: Wear) -> f64 {
    NETWORK_BAR - 0.5 * (load - 0.7) - 0.9 * wear.of(Mode::SealLeak)
}

/// Electrical power drawn, W.
pub(super) fn electrical_power_w(load: f64, wear: Wear) -> f64 {
    let ratio = (pressure_bar(load, wear) * 1e5 + INLET_PA) / INLET_PA;
    let volume_m3_s = SWEPT_M3_H * relative_speed(load) / 3_600.0;
    let exponent = (KAPPA - 1.0) / KAPPA;
    let adiabatic = INLET_PA * volume_m3_s / exponent * (ratio.powf(exponent) - 1.0);
    // Hot thin oil seals the rotors badly; rough bearings and recirculated air cost work.
    let extra = 1.0
        + 0.05 * wear.of(Mode::FouledCooler)
        + 0.03 * wear.of(Mode::BearingWear).powi(2)
        + 0.08 * wear.of(Mode::SealLeak);
    adiabatic / ADIABATIC_EFFICIENCY * extra / MOTOR_EFFICIENCY
}

/// One step; see [`super::machine::step`].
pub(super) fn step(state: &mut State, around: Surroundings, wear: Wear, dt_s: f64) -> Vec<Signal> {
    let speed = relative_speed(around.load);
    let leak = wear.of(Mode::SealLeak);
    let worn = wear.of(Mode::BearingWear);
    let power_w = electrical_power_w(around.load, wear);
    let heat_w = HEAT_TO_OIL * power_w;
    let cooler_w_k = COOLER_W_K * (1.0 - 0.65 * wear.of(Mode::FouledCooler));
    let oil = state.approach(0, around.ambient_c + heat_w / cooler_w_k, dt_s, OIL_TAU_S);
    let discharge = oil + heat_w / OIL_STREAM_W_K * (1.0 + 0.45 * leak);
    let bearing = state.approach(1, oil + 9.0 + 26.0 * worn * worn, dt_s, BEARING_TAU_S);
    let velocity = rms(&[
        2.1 * speed.powf(1.5),
        4.2 * worn.powf(1.3),
        6.0 * wear.of(Mode::Imbalance) * speed * speed,
    ]);
    let acceleration = rms(&[0.8 * speed, 3.0 * worn]);
    vec![
        signal(
            "flow_m3_h",
            SWEPT_M3_H * 0.94 * speed * (1.0 - 0.22 * leak),
            4.0,
        ),
        signal(
            "discharge_pressure_bar",
            pressure_bar(around.load, wear),
            0.02,
        ),
        signal("discharge_temperature_c", discharge, 0.3),
        signal("oil_temperature_c", oil, 0.3),
        signal(
            "motor_current_a",
            three_phase_current_a(power_w, POWER_FACTOR),
            0.6,
        ),
        signal("vibration_mm_s", velocity, 0.07),
        signal("acceleration_g", acceleration, 0.03),
        signal("bearing_temperature_c", bearing, 0.3),
        signal("speed_rpm", RATED_SPEED_RPM * speed, 3.0),
    ]
}
