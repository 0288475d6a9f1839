//! A trace: the samples of one sensor in the base unit of its motion.

use telemetry::{Quantity, Unit, Waveform};

use crate::AnalyticsError;

/// The most samples that are analysed; a longer waveform is not accepted anywhere.
pub const MAX_SAMPLES: usize = Waveform::MAX_SAMPLES;
/// The fewest samples a spectrum is made of: below it there are not even thirty lines.
pub const MIN_SAMPLES: usize = 64;
/// Rates a vibration sensor has; beyond them the rate is a mistake, and integration by it too.
const RATES_HZ: std::ops::RangeInclusive<f64> = 1e-3..=1e8;

/// What a vibration sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Motion {
    /// Displacement in µm.
    Displacement,
    /// Velocity in mm/s.
    Velocity,
    /// Acceleration in m/s².
    Acceleration,
    /// Nobody declared a unit of motion; the numbers are kept as they came.
    Undeclared,
}

impl Motion {
    /// The unit of a trace of this motion; none when it is undeclared.
    pub const fn unit(self) -> Option<Unit> {
        match self {
            Self::Displacement => Some(Unit::Micrometre),
            Self::Velocity => Some(Unit::MillimetrePerSecond),
            Self::Acceleration => Some(Unit::MetrePerSecondSquared),
            Self::Undeclared => None,
        }
    }

    fn of(unit: Unit) -> Self {
        match unit.quantity() {
            Quantity::Length => Self::Displacement,
            Quantity::Velocity => Self::Velocity,
            Quantity::Acceleration => Self::Acceleration,
            _ => Self::Undeclared,
        }
    }

    /// How often a displacement is differentiated to get here.
    pub(super) const fn order(self) -> Option<i32> {
        match self {
            Self::Displacement => Some(0),
            Self::Velocity => Some(1),
            Self::Acceleration => Some(2),
            Self::Undeclared => None,
        }
    }
}

/// Samples at a fixed rate, in the unit of [`Motion::unit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    rate_hz: f64,
    motion: Motion,
    samples: Vec<f64>,
}

impl Trace {
    /// Takes samples of `unit`, [`MIN_SAMPLES`] to [`MAX_SAMPLES`] of them.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] when there are too few or too many samples, one is not
    /// finite, or the rate is none.
    pub fn new(samples: &[f32], rate_hz: f64, unit: Option<Unit>) -> Result<Self, AnalyticsError> {
        let motion = unit.map_or(Motion::Undeclared, Motion::of);
        let scale = match (unit, motion.unit()) {
            // All units of motion are multiples of each other: no zero point moves.
            (Some(from), Some(to)) => from.convert(1.0, to).unwrap_or(1.0),
            _ => 1.0,
        };
        let samples = samples.iter().map(|value| f64::from(*value) * scale);
        Self::of(motion, samples.collect(), rate_hz)
    }

    /// Takes a waveform as it came from the journal or the historian.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_waveform(waveform: &Waveform) -> Result<Self, AnalyticsError> {
        Self::new(&waveform.samples, waveform.sample_rate_hz, waveform.unit)
    }

    /// Takes samples that are in the unit of the motion already.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(motion: Motion, samples: Vec<f64>, rate_hz: f64) -> Result<Self, AnalyticsError> {
        let fail = |problem: String| Err(AnalyticsError::Waveform { problem });
        let count = samples.len();
        if !(MIN_SAMPLES..=MAX_SAMPLES).contains(&count) {
            return fail(format!(
                "it has {count} samples; {MIN_SAMPLES} to {MAX_SAMPLES} can be analysed"
            ));
        }
        if !RATES_HZ.contains(&rate_hz) {
            return fail(format!("{rate_hz} samples a second is no rate"));
        }
        if let Some(at) = samples.iter().position(|value| !value.is_finite()) {
            return fail(format!("sample {at} is not finite"));
        }
        Ok(Self {
            rate_hz,
            motion,
            samples,
        })
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// What was measured.
    pub fn motion(&self) -> Motion {
        self.motion
    }

    /// The samples in order, in the unit of the motion.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// How long it lasted in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / self.rate_hz
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_motion_becomes_the_base_unit() {
        let ones = [1.0_f32; MIN_SAMPLES];
        for (unit, motion, value) in [
            (Some(Unit::StandardGravity), Motion::Acceleration, 9.806_65),
            (Some(Unit::MetrePerSecondSquared), Motion::Acceleration, 1.0),
            (Some(Unit::InchPerSecond), Motion::Velocity, 25.4),
            (Some(Unit::Millimetre), Motion::Displacement, 1000.0),
            (Some(Unit::Volt), Motion::Undeclared, 1.0),
            (None, Motion::Undeclared, 1.0),
        ] {
            let trace = Trace::new(&ones, 1000.0, unit).unwrap();
            assert_eq!(trace.motion(), motion, "{unit:?}");
            assert!((trace.samples()[7] - value).abs() < 1e-12, "{unit:?}");
        }
    }

    #[test]
    fn what_cannot_be_analysed_is_refused_with_the_reason() {
        let mut holed = vec![0.0; 100];
        holed[3] = f64::NAN;
        for (samples, rate, said) in [
            (vec![0.0; MIN_SAMPLES - 1], 1000.0, "63 samples"),
            (vec![0.0; MAX_SAMPLES + 1], 1000.0, "1048577 samples"),
            (vec![0.0; 100], 0.0, "no rate"),
            (vec![0.0; 100], f64::NAN, "no rate"),
            (holed, 1000.0, "sample 3 is not finite"),
        ] {
            let error = Trace::of(Motion::Velocity, samples, rate).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
