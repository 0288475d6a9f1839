//! The plant of the simulated year: machines, what will fail, and what only looks like it.
//!
//! Everything is drawn before the year begins and follows from the seed alone, so that each
//! policy meets the same faults: mending one does not change when the next begins. Faults of each
//! mode a machine can have, all kinds of sensor faults, and disturbances that are no fault occur.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use telemetry::Timestamp;

use crate::simulate::{
    asset::SimulatedAsset,
    degradation::Fault,
    duty::Duty,
    machine::Kind,
    sensor::{Defect, SensorFault},
    upset::{Circumstances, Upset},
};

/// Machines of one site.
const PER_SITE: u32 = 10;
/// Days before the first fault may begin: machines are commissioned without one.
const COMMISSIONING_DAYS: f64 = 20.0;
/// Healthy days before a fault, and between its failure and the next one.
const HEALTHY_DAYS: std::ops::Range<f64> = 20.0..240.0;
/// Days from the onset of a fault to failure.
const LIFE_DAYS: std::ops::Range<f64> = 12.0..45.0;
/// Sensors of a machine that fail in a year, on average.
const SENSOR_FAULTS_A_YEAR: f64 = 0.8;
/// Days a sensor stays wrong when nobody sees to it.
const SENSOR_FAULT_DAYS: f64 = 21.0;
/// How much warmer the hottest day is than the mean, °C: a plant hall in a temperate climate.
const SEASON_C: f64 = 7.0;

/// A machine of the year.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Its id; its device has the same.
    pub(super) id: String,
    /// What kind of machine it is.
    pub(super) kind: Kind,
    /// Where it stands, from 0.
    pub(super) site: u32,
    duty: Duty,
    /// What will fail, in order.
    pub(super) faults: Vec<Fault>,
    sensor_faults: Vec<SensorFault>,
    circumstances: Circumstances,
}

impl Plan {
    /// The machine as new.
    pub(super) fn machine(&self, seed: u64) -> SimulatedAsset {
        let (faults, sensors) = (self.faults.clone(), self.sensor_faults.clone());
        SimulatedAsset::new(&self.id, self.kind, seed, faults, sensors)
            .with_duty(self.duty)
            .with_circumstances(self.circumstances.clone())
    }

    /// How many of its sensors will fail.
    pub(super) fn sensor_faults(&self) -> usize {
        self.sensor_faults.len()
    }
}

/// When a fault ends in a failure.
pub(super) fn fails_at(fault: &Fault) -> Timestamp {
    days_after(fault.onset, fault.life_days)
}

/// So many days later.
pub(super) fn days_after(at: Timestamp, days: f64) -> Timestamp {
    at + Duration::from_secs_f64(days * 86_400.0)
}

/// The machines of a plant over `days` days from `start`.
pub(super) fn plan(assets: u32, seed: u64, start: Timestamp, days: f64) -> Vec<Plan> {
    let mut rng = StdRng::seed_from_u64(seed);
    let sites = assets.div_ceil(PER_SITE);
    let waves: Vec<Vec<Upset>> = (0..sites)
        .map(|_| heat_waves(&mut rng, start, days))
        .collect();
    let mut defects = 0;
    (0..assets)
        .map(|number| {
            let kind = KINDS[number as usize % KINDS.len()];
            let site = number / PER_SITE;
            let mut upsets = waves[site as usize].clone();
            upsets.extend(disturbances(&mut rng, start, days));
            Plan {
                id: format!("{}-{:02}", word(kind), number + 1),
                kind,
                site,
                duty: duty(number),
                faults: faults(&mut rng, kind, number, start, days),
                sensor_faults: sensor_faults(&mut rng, kind, &mut defects, start, days),
                circumstances: Circumstances {
                    season_c: SEASON_C,
                    upsets,
                },
            }
        })
        .collect()
}

const KINDS: [Kind; 3] = [
    Kind::CentrifugalPump,
    Kind::ScrewCompressor,
    Kind::InductionMotor,
];

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::CentrifugalPump => "pump",
        Kind::ScrewCompressor => "compressor",
        Kind::InductionMotor => "motor",
    }
}

/// One machine in five is switched off at night, one in five runs at two loads.
const fn duty(number: u32) -> Duty {
    match number % 5 {
        1 => Duty::Days,
        3 => Duty::TwoLoads {
            day: 0.9,
            night: 0.55,
        },
        _ => Duty::Steady,
    }
}

fn faults(rng: &mut StdRng, kind: Kind, number: u32, start: Timestamp, days: f64) -> Vec<Fault> {
    let modes = kind.modes();
    // Machines of a kind begin with different modes, so that every mode occurs.
    let mut next = number as usize / KINDS.len();
    let mut faults = Vec::new();
    let mut onset =
        COMMISSIONING_DAYS + rng.random_range(0.0..HEALTHY_DAYS.end - HEALTHY_DAYS.start);
    while onset < days {
        let life_days = rng.random_range(LIFE_DAYS);
        faults.push(Fault {
            mode: modes[next % modes.len()],
            onset: days_after(start, onset),
            life_days,
        });
        next += 1;
        onset += life_days + rng.random_range(HEALTHY_DAYS);
    }
    // One that never comes: a machine with a fault ahead draws no other after a repair.
    faults.push(Fault {
        mode: modes[0],
        onset: days_after(start, 100.0 * days),
        life_days: 1.0,
    });
    faults
}

/// The defects in turn, so that each occurs.
const DEFECTS: [Defect; 7] = [
    Defect::Stuck,
    Defect::Drift(1.5),
    Defect::Spikes(14.0),
    Defect::Dropout,
    Defect::Step(20.0),
    Defect::Noise(8.0),
    Defect::LooseCable(60.0),
];

const fn sensors(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::CentrifugalPump => &[
            "flow_l_min",
            "discharge_pressure_bar",
            "vibration_mm_s",
            "bearing_temperature_c",
        ],
        Kind::ScrewCompressor => &[
            "oil_temperature_c",
            "vibration_mm_s",
            "discharge_pressure_bar",
            "acceleration_g",
        ],
        Kind::InductionMotor => &[
            "winding_temperature_c",
            "bearing_temperature_c",
            "vibration_mm_s",
            "acceleration_g",
        ],
    }
}

fn sensor_faults(
    rng: &mut StdRng,
    kind: Kind,
    defects: &mut usize,
    start: Timestamp,
    days: f64,
) -> Vec<SensorFault> {
    let mut found = Vec::new();
    let mut from = COMMISSIONING_DAYS;
    loop {
        from += wait(rng, 365.0 / SENSOR_FAULTS_A_YEAR);
        if from >= days {
            return found;
        }
        let names = sensors(kind);
        let signal = names[rng.random_range(0..names.len())];
        let defect = DEFECTS[*defects % DEFECTS.len()];
        *defects += 1;
        let (from_at, to_at) = (
            days_after(start, from),
            days_after(start, from + SENSOR_FAULT_DAYS),
        );
        found.push(SensorFault::new(signal, defect, from_at, to_at));
        from += SENSOR_FAULT_DAYS;
    }
}

/// Days until something that happens every `mean` days on average and does not remember.
fn wait(rng: &mut StdRng, mean: f64) -> f64 {
    let chance: f64 = rng.random();
    -mean * (1.0 - chance).ln()
}

/// Three a year at a site.
fn heat_waves(rng: &mut StdRng, start: Timestamp, days: f64) -> Vec<Upset> {
    let mut waves = Vec::new();
    let mut from = wait(rng, 120.0);
    while from < days {
        let lasts = rng.random_range(4.0..9.0);
        let ambient_c = rng.random_range(5.0..10.0);
        waves.push(upset(start, from, lasts, (ambient_c, 0.0, 0.0)));
        from += lasts + wait(rng, 120.0);
    }
    waves
}

/// One or two campaigns and one or two shaking neighbours a year and machine.
fn disturbances(rng: &mut StdRng, start: Timestamp, days: f64) -> Vec<Upset> {
    let mut upsets = Vec::new();
    let mut from = wait(rng, 240.0);
    while from < days {
        let lasts = rng.random_range(5.0..20.0);
        let load = rng.random_range(0.12..0.25) * if rng.random::<bool>() { 1.0 } else { -1.0 };
        upsets.push(upset(start, from, lasts, (0.0, load, 0.0)));
        from += lasts + wait(rng, 240.0);
    }
    let mut from = wait(rng, 240.0);
    while from < days {
        let lasts = rng.random_range(2.0..7.0);
        let vibration_mm_s = rng.random_range(1.2..3.0);
        upsets.push(upset(start, from, lasts, (0.0, 0.0, vibration_mm_s)));
        from += lasts + wait(rng, 240.0);
    }
    upsets
}

fn upset(
    start: Timestamp,
    from: f64,
    lasts: f64,
    (ambient_c, load, vibration_mm_s): (f64, f64, f64),
) -> Upset {
    Upset {
        from: days_after(start, from),
        lasts: Duration::from_secs_f64(lasts * 86_400.0),
        ambient_c,
        load,
        vibration_mm_s,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulate::machine::Mode;

    #[test]
    fn a_year_of_fifty_machines_has_every_fault_and_every_defect() {
        let start = Timestamp::from_secs(1_767_225_600);
        let plans = plan(50, 1, start, 365.0);
        let end = days_after(start, 365.0);
        let in_year = |fault: &&Fault| fault.onset < end;
        let modes: BTreeSet<&str> = plans
            .iter()
            .flat_map(|plan| {
                plan.faults
                    .iter()
                    .filter(in_year)
                    .map(|fault| fault.mode.name())
            })
            .collect();
        assert_eq!(modes.len(), Mode::ALL.len(), "{modes:?}");
        let faults: usize = plans
            .iter()
            .map(|plan| plan.faults.iter().filter(in_year).count())
            .sum();
        assert!((60..150).contains(&faults), "{faults}");
        let sensors: usize = plans.iter().map(Plan::sensor_faults).sum();
        assert!(
            sensors >= DEFECTS.len() && (20..70).contains(&sensors),
            "{sensors}"
        );
        // The names of bad sensors are those of the machines.
        for plan in &plans {
            let mut machine = plan.machine(1);
            let known: Vec<&str> = machine
                .sense(start)
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            for name in sensors_of(plan) {
                assert!(known.contains(name), "{} has no {name}", plan.id);
            }
        }
    }

    fn sensors_of(plan: &Plan) -> &'static [&'static str] {
        sensors(plan.kind)
    }

    #[test]
    fn the_same_seed_gives_the_same_year_and_another_one_another() {
        let start = Timestamp::from_secs(0);
        let faults = |seed| {
            let plans = plan(10, seed, start, 365.0);
            plans
                .into_iter()
                .map(|plan| plan.faults)
                .collect::<Vec<_>>()
        };
        assert_eq!(faults(3), faults(3));
        assert_ne!(faults(3), faults(4));
    }
}
