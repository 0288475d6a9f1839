//! What a sensor makes of the truth: noise always, and sometimes a fault of its own.

use rand::RngExt;
use rand_distr::StandardNormal;
use telemetry::Timestamp;

use super::machine::Signal;

/// What is wrong with a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Defect {
    /// It shows the value it had when the defect began.
    Stuck,
    /// It walks away, by this many noise spreads an hour.
    Drift(f64),
    /// One value in ten jumps, by this many noise spreads.
    Spikes(f64),
    /// Seven values in ten are missing.
    Dropout,
    /// It reads this many noise spreads too much: a wrong calibration.
    Step(f64),
    /// Its noise has this many times its spread.
    Noise(f64),
    /// A loose cable: half of the values are lost, and one in five reads as an open line, this
    /// many noise spreads up.
    LooseCable(f64),
}

/// Share of values a defect of kind [`Defect::Spikes`] throws off.
const SPIKE_SHARE: f64 = 0.1;
/// Share of values a defect of kind [`Defect::Dropout`] loses.
const DROPOUT_SHARE: f64 = 0.7;

/// Shares of values a loose cable loses, and of those it reads as an open line.
const LOST_SHARE: f64 = 0.5;
const OPEN_SHARE: f64 = 0.2;

/// A defect of one signal for a while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SensorFault {
    /// The signal.
    pub(crate) signal: &'static str,
    /// What is wrong.
    pub(crate) defect: Defect,
    /// From when.
    pub(crate) from: Timestamp,
    /// Until when.
    pub(crate) to: Timestamp,
    /// The value a stuck sensor stuck at.
    held: Option<f64>,
}

impl SensorFault {
    pub(crate) fn new(
        signal: &'static str,
        defect: Defect,
        from: Timestamp,
        to: Timestamp,
    ) -> Self {
        let held = None;
        Self {
            signal,
            defect,
            from,
            to,
            held,
        }
    }

    /// The reading while the defect lasts; none when it is lost.
    fn distort(&mut self, signal: Signal, reading: f64, at: Timestamp, chance: f64) -> Option<f64> {
        let (truth, noise) = (signal.value, signal.noise);
        match self.defect {
            Defect::Stuck => Some(*self.held.get_or_insert(reading)),
            Defect::Drift(per_hour) => {
                Some(reading + per_hour * noise * at.secs_from(self.from) / 3_600.0)
            }
            Defect::Spikes(height) if chance < SPIKE_SHARE / 2.0 => Some(reading - height * noise),
            Defect::Spikes(height) if chance < SPIKE_SHARE => Some(reading + height * noise),
            Defect::Dropout => (chance >= DROPOUT_SHARE).then_some(reading),
            Defect::Step(spreads) => Some(reading + spreads * noise),
            Defect::Noise(times) => Some(truth + times * (reading - truth)),
            Defect::LooseCable(_) if chance < LOST_SHARE => None,
            Defect::LooseCable(up) if chance < LOST_SHARE + OPEN_SHARE => {
                Some(reading + up * noise)
            }
            Defect::Spikes(_) | Defect::LooseCable(_) => Some(reading),
        }
    }
}

/// Reads one signal; none when the sensor lost the value. Draws the same number of random
/// numbers whatever happens, so that a repair or a defect changes no other reading.
pub(crate) fn read(
    truth: Signal,
    at: Timestamp,
    faults: &mut [SensorFault],
    rng: &mut impl rand::Rng,
) -> Option<f64> {
    let noise: f64 = rng.sample(StandardNormal);
    let chance: f64 = rng.random();
    let reading = truth.value + truth.noise * noise;
    let fault = faults
        .iter_mut()
        .find(|fault| fault.signal == truth.name && fault.from <= at && at < fault.to);
    match fault {
        Some(fault) => fault.distort(truth, reading, at, chance),
        None => Some(reading),
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn readings(defect: Option<Defect>) -> Vec<Option<f64>> {
        let mut rng = StdRng::seed_from_u64(7);
        let at = |hours: i64| Timestamp::from_secs(hours * 3_600);
        let mut faults: Vec<_> = defect
            .map(|defect| SensorFault::new("flow_l_min", defect, at(100), at(1_000)))
            .into_iter()
            .collect();
        let truth = |hour: i64| Signal {
            name: "flow_l_min",
            value: hour as f64,
            noise: 1.0,
        };
        (0..1_000)
            .map(|hour| read(truth(hour), at(hour), &mut faults, &mut rng))
            .collect()
    }

    #[test]
    fn each_defect_does_what_its_name_says_and_only_while_it_lasts() {
        let good = readings(None);
        for defect in [
            Defect::Stuck,
            Defect::Drift(2.0),
            Defect::Spikes(30.0),
            Defect::Dropout,
            Defect::Step(25.0),
            Defect::Noise(6.0),
            Defect::LooseCable(50.0),
        ] {
            let bad = readings(Some(defect));
            assert_eq!(bad[..100], good[..100], "{defect:?}");
            let during = &bad[100..];
            let off = during
                .iter()
                .zip(&good[100..])
                .filter(|(bad, good)| bad != good)
                .count();
            match defect {
                Defect::Stuck => assert!(during.iter().all(|value| *value == during[0])),
                Defect::Drift(_) => {
                    let moved = bad[600].unwrap() - good[600].unwrap();
                    assert!((moved - 1_000.0).abs() < 1e-9, "{moved}");
                }
                Defect::Spikes(_) => assert!((60..130).contains(&off), "{off}"),
                Defect::Dropout => {
                    let lost = during.iter().filter(|value| value.is_none()).count();
                    assert!((570..690).contains(&lost), "{lost}");
                }
                Defect::Step(spreads) => {
                    let moved = bad[600].unwrap() - good[600].unwrap();
                    assert!((moved - spreads).abs() < 1e-9, "{moved}");
                }
                Defect::Noise(times) => {
                    let error = |values: &[Option<f64>]| values[600].unwrap() - 600.0;
                    assert!((error(&bad) - times * error(&good)).abs() < 1e-9);
                }
                Defect::LooseCable(up) => {
                    let lost = during.iter().filter(|value| value.is_none()).count();
                    let high = during.iter().zip(&good[100..]);
                    let open = high
                        .filter(|(bad, good)| bad.is_some_and(|v| v > good.unwrap() + up - 1.0))
                        .count();
                    // 900 draws: four standard errors are 60 and 48.
                    assert!(
                        (390..510).contains(&lost) && (132..228).contains(&open),
                        "{lost} {open}"
                    );
                }
            }
        }
    }

    #[test]
    fn noise_has_the_spread_it_claims() {
        let errors: Vec<f64> = readings(None)
            .iter()
            .enumerate()
            .map(|(hour, value)| value.unwrap() - hour as f64)
            .collect();
        let mean = errors.iter().sum::<f64>() / 1_000.0;
        let spread = (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / 999.0).sqrt();
        // Standard errors of mean and spread for 1,000 draws are 0.032 and 0.022.
        assert!(
            mean.abs() < 0.13 && (spread - 1.0).abs() < 0.09,
            "{mean} {spread}"
        );
    }
}
