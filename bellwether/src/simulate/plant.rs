//! The plant of the demo: who owns it, where it stands, which machines it has, who repairs
//! them, and what will go wrong with them. Everything is fixed by the seed.

use std::time::Duration;

use telemetry::Timestamp;

use super::{
    asset::SimulatedAsset,
    degradation::Fault,
    duty::Duty,
    machine::{Kind, Mode},
    sensor::{Defect, SensorFault},
};

/// A customer: id and name.
pub(crate) const CUSTOMERS: [(&str, &str); 2] = [
    ("northshore-water", "Northshore Water"),
    ("hanse-packaging", "Hanse Packaging"),
];

/// A site: id, name, customer, time zone.
pub(crate) const SITES: [(&str, &str, &str, &str); 3] = [
    (
        "northshore-intake",
        "Intake Works",
        "northshore-water",
        "Europe/London",
    ),
    (
        "hanse-luebeck",
        "Lübeck Plant",
        "hanse-packaging",
        "Europe/Berlin",
    ),
    (
        "hanse-suzhou",
        "Suzhou Plant",
        "hanse-packaging",
        "Asia/Shanghai",
    ),
];

/// An engineer: id, name, skills.
pub(crate) const ENGINEERS: [(&str, &str, &[&str]); 4] = [
    ("amara-okafor", "Amara Okafor", &["pumps", "vibration"]),
    (
        "lars-petersen",
        "Lars Petersen",
        &["compressors", "refrigeration"],
    ),
    ("chen-wei", "陈伟", &["motors", "electrical"]),
    (
        "ines-duarte",
        "Inês Duarte",
        &["pumps", "motors", "alignment"],
    ),
];

/// A machine as it is registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) site: &'static str,
    /// Failure mode, days from the start to its onset, days from there to failure.
    fault: Option<(Mode, f64, f64)>,
    /// Signal, defect, days from the start to its begin, days it lasts.
    defect: Option<(&'static str, Defect, f64, f64)>,
    /// How it is used.
    duty: Duty,
    /// Whether a fast accelerometer listens to its bearing.
    listens: bool,
}

#[cfg(test)]
impl Entry {
    /// How it will fail, if it will.
    pub(crate) fn fails_with(&self) -> Option<Mode> {
        self.fault.map(|(mode, ..)| mode)
    }

    /// Which of its sensors will be bad, if one will.
    pub(crate) fn bad_signal(&self) -> Option<&'static str> {
        self.defect.map(|(signal, ..)| signal)
    }

    /// Whether it is switched off and on again.
    pub(crate) fn rests(&self) -> bool {
        self.duty == Duty::Days
    }

    /// Whether nothing but the machine's history could tell that its sensor is bad: a
    /// temperature that drifts upwards may as well be a machine that gets hotter, and a pressure
    /// that no declared signal follows may have changed.
    pub(crate) fn is_beyond_proof(&self) -> bool {
        matches!(
            self.defect,
            Some((_, Defect::Drift(_) | Defect::Step(_), ..))
        )
    }
}

const fn healthy(id: &'static str, name: &'static str, kind: Kind, site: &'static str) -> Entry {
    let (fault, defect) = (None, None);
    Entry {
        id,
        name,
        kind,
        site,
        fault,
        defect,
        duty: Duty::Steady,
        listens: false,
    }
}

const fn used(entry: Entry, duty: Duty) -> Entry {
    Entry { duty, ..entry }
}

const fn listened_to(entry: Entry) -> Entry {
    Entry {
        listens: true,
        ..entry
    }
}

const fn fails(entry: Entry, mode: Mode, onset_days: f64, life_days: f64) -> Entry {
    let fault = Some((mode, onset_days, life_days));
    Entry { fault, ..entry }
}

const fn senses_badly(
    entry: Entry,
    signal: &'static str,
    defect: Defect,
    from: f64,
    days: f64,
) -> Entry {
    let defect = Some((signal, defect, from, days));
    Entry { defect, ..entry }
}

use Kind::{CentrifugalPump as Pump, InductionMotor as Motor, ScrewCompressor as Compressor};

/// Every machine. Baselines are learned over the first two days and a little more, so no
/// fault begins before day 2.5; the first ones are quick, so that a newcomer sees one soon.
pub(crate) const MACHINES: [Entry; 14] = [
    listened_to(fails(
        healthy("pump-1", "Intake pump 1", Pump, "northshore-intake"),
        Mode::BearingWear,
        2.6,
        4.0,
    )),
    senses_badly(
        used(
            healthy("pump-2", "Intake pump 2", Pump, "northshore-intake"),
            Duty::TwoLoads {
                day: 0.9,
                night: 0.5,
            },
        ),
        "discharge_pressure_bar",
        Defect::Step(25.0),
        12.0,
        2.0,
    ),
    fails(
        healthy("pump-3", "Intake pump 3", Pump, "northshore-intake"),
        Mode::Cavitation,
        4.2,
        4.0,
    ),
    senses_badly(
        healthy("pump-4", "Booster pump 1", Pump, "northshore-intake"),
        "flow_l_min",
        Defect::Dropout,
        3.5,
        0.5,
    ),
    fails(
        healthy("pump-5", "Booster pump 2", Pump, "northshore-intake"),
        Mode::SealLeak,
        6.0,
        6.0,
    ),
    fails(
        healthy("pump-6", "Cooling water pump", Pump, "hanse-luebeck"),
        Mode::Imbalance,
        16.0,
        6.0,
    ),
    fails(
        healthy("compressor-1", "Compressor 1", Compressor, "hanse-luebeck"),
        Mode::FouledCooler,
        3.0,
        3.5,
    ),
    senses_badly(
        healthy("compressor-2", "Compressor 2", Compressor, "hanse-luebeck"),
        "vibration_mm_s",
        Defect::Spikes(14.0),
        5.5,
        0.4,
    ),
    senses_badly(
        fails(
            healthy("compressor-3", "Compressor 3", Compressor, "hanse-suzhou"),
            Mode::SealLeak,
            12.0,
            6.0,
        ),
        "oil_temperature_c",
        Defect::Noise(8.0),
        6.5,
        1.0,
    ),
    senses_badly(
        healthy("compressor-4", "Compressor 4", Compressor, "hanse-suzhou"),
        "acceleration_g",
        Defect::LooseCable(60.0),
        4.0,
        1.0,
    ),
    fails(
        healthy("motor-1", "Conveyor A", Motor, "hanse-luebeck"),
        Mode::Imbalance,
        5.0,
        4.0,
    ),
    senses_badly(
        healthy("motor-2", "Conveyor B", Motor, "hanse-luebeck"),
        "winding_temperature_c",
        Defect::Drift(4.0),
        8.5,
        3.0,
    ),
    fails(
        healthy("motor-3", "Conveyor C", Motor, "hanse-suzhou"),
        Mode::BearingWear,
        7.5,
        5.0,
    ),
    senses_badly(
        used(
            healthy("motor-4", "Palletiser", Motor, "hanse-suzhou"),
            Duty::Days,
        ),
        "bearing_temperature_c",
        Defect::Stuck,
        10.0,
        1.0,
    ),
];

fn days_after(start: Timestamp, days: f64) -> Timestamp {
    start + Duration::from_secs_f64(days * 86_400.0)
}

/// The machines as new at `start`.
pub(crate) fn machines(seed: u64, start: Timestamp) -> Vec<SimulatedAsset> {
    let simulated = |entry: &Entry| {
        let fault = entry.fault.map(|(mode, onset_days, life_days)| Fault {
            mode,
            onset: days_after(start, onset_days),
            life_days,
        });
        let defect = entry.defect.map(|(signal, defect, from, days)| {
            let (from, to) = (days_after(start, from), days_after(start, from + days));
            SensorFault::new(signal, defect, from, to)
        });
        let machine = SimulatedAsset::new(
            entry.id,
            entry.kind,
            seed,
            fault.into_iter().collect(),
            defect.into_iter().collect(),
        );
        let machine = machine.with_duty(entry.duty);
        if entry.listens {
            machine.with_ear()
        } else {
            machine
        }
    };
    MACHINES.iter().map(simulated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plant_is_large_enough_to_show_everything() {
        assert!(MACHINES.len() >= 12);
        for kind in [Pump, Compressor, Motor] {
            assert!(MACHINES.iter().any(|entry| entry.kind == kind), "{kind:?}");
        }
        for mode in Mode::ALL {
            let fails = |entry: &&Entry| entry.fault.is_some_and(|(own, ..)| own == mode);
            let entry = MACHINES.iter().find(fails);
            let entry = entry.unwrap_or_else(|| panic!("no machine shows {}", mode.name()));
            assert!(entry.kind.modes().contains(&mode), "{}", entry.id);
        }
        let defects: Vec<_> = MACHINES.iter().filter_map(|entry| entry.defect).collect();
        assert_eq!(
            defects.len(),
            7,
            "stuck, drift, step, noise, spikes, dropout and a loose cable"
        );
    }

    #[test]
    fn every_reference_in_the_plant_leads_somewhere() {
        for (at, entry) in MACHINES.iter().enumerate() {
            assert!(MACHINES[..at].iter().all(|other| other.id != entry.id));
            assert!(
                SITES.iter().any(|site| site.0 == entry.site),
                "{}",
                entry.site
            );
            assert!(telemetry::DeviceId::new(entry.id).is_ok());
            if let Some((signal, ..)) = entry.defect {
                let model = crate::models::builtin_of(entry.kind.model());
                assert!(
                    model
                        .signals
                        .iter()
                        .any(|spec| spec.name.as_str() == signal),
                    "{signal}"
                );
            }
        }
        for site in SITES {
            assert!(CUSTOMERS.iter().any(|customer| customer.0 == site.2));
        }
    }

    #[test]
    fn nothing_the_plant_sends_is_physically_impossible() {
        let start = Timestamp::from_secs(1_770_000_000);
        let mut checked = 0;
        for (entry, mut machine) in MACHINES.iter().zip(machines(1, start)) {
            let model = crate::models::builtin_of(entry.kind.model());
            let mut last: std::collections::HashMap<String, f64> = std::collections::HashMap::new();
            // Every fault fails and every defect comes and goes in the first 22 days.
            for step in 0..22 * 288 {
                let at = start + Duration::from_mins(5 * step);
                let Some(payload) = machine.publish(at) else {
                    continue;
                };
                let sent: serde_json::Value = serde_json::from_str(&payload.json).unwrap();
                for spec in &model.signals {
                    let Some(value) = sent[spec.name.as_str()].as_f64() else {
                        continue;
                    };
                    let limits = spec.limits;
                    let (min, max) = (limits.min.unwrap(), limits.max.unwrap());
                    assert!(
                        (min..=max).contains(&value),
                        "{} {} {value}",
                        entry.id,
                        spec.name
                    );
                    let before = last.insert(spec.name.to_string(), value).unwrap_or(value);
                    if let Some(most) = limits.max_rate_per_s {
                        // Even if rows came every second no step would be too fast.
                        let healthy = entry
                            .defect
                            .is_none_or(|(signal, ..)| signal != spec.name.as_str());
                        let step = (value - before).abs();
                        assert!(!healthy || step < most, "{} {} {step}", entry.id, spec.name);
                    }
                    checked += 1;
                }
            }
        }
        assert!(checked > 500_000, "{checked}");
    }

    #[test]
    fn the_same_seed_gives_the_same_plant_and_another_seed_another() {
        let start = Timestamp::from_secs(1_770_000_000);
        let run = |seed: u64| -> Vec<_> {
            let mut machines = machines(seed, start);
            let hours = (0..48).map(|hour| days_after(start, f64::from(hour) / 24.0));
            hours
                .flat_map(|at| {
                    machines
                        .iter_mut()
                        .map(move |m| m.publish(at))
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_repaired_machine_is_as_new_and_will_fail_again_some_day() {
        let start = Timestamp::from_secs(1_770_000_000);
        let mut pump = machines(1, start).remove(0);
        let late = days_after(start, 6.0);
        assert!(pump.wear(late).of(Mode::BearingWear) > 0.5);
        pump.repair(late);
        assert_eq!(pump.wear(late), super::super::machine::Wear::default());
        let much_later = pump.wear(days_after(late, 45.0));
        assert!(Mode::ALL.iter().any(|mode| much_later.of(*mode) >= 1.0));
        // A second visit before anything has begun changes nothing.
        pump.repair(days_after(late, 1.0));
        assert_eq!(pump.wear(days_after(late, 45.0)), much_later);
    }
}
