//! Vibration severity: the evaluation zones A to D of a machine's housing.
//!
//! A zone is given only when the unit of motion is declared and the model names the machine's
//! group and foundation: the same 5 mm/s are zone D of a small pump and zone B of a large one
//! on a flexible frame. The worse of velocity and displacement counts, as the standard has it.
//!
//! The standard means vibration that was measured on a bearing housing at steady speed, the
//! greatest of the directions. Of a snapshot that is too short or too slow for the band no
//! zone is given either: [`WHOLE_PERIODS`] of the lower end and a rate of 2.56 times the upper.
//!
//! # Source
//! ISO 10816-3:2009, tables A.1 and A.2 (group 1: large machines above 300 kW; group 2: medium
//! machines of 15 kW to 300 kW). ISO 20816-3:2022 has replaced that part. The numbers are those
//! commonly quoted from the tables, not checked against a bought copy; a model can give others.

use super::{Band, Motion, SEVERITY_BAND, SLOW_SEVERITY_BAND, Spectrum};

/// How many periods of the lower end a snapshot must hold, so that a line at it is one.
const WHOLE_PERIODS: f64 = 4.0;
/// Samples a second for each hertz of the band: what the anti-aliasing filters of vibration
/// instruments need.
const RATE_FOR_BAND: f64 = 2.56;
/// Below this speed the lower band applies (ISO 20816-3:2022, clause 4.1).
const SLOW_RPM: f64 = 600.0;

/// An evaluation zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeverityZone {
    /// As newly commissioned machines.
    A,
    /// Fit for long-term running without restriction.
    B,
    /// Not fit for continuous long-term running; run until there is occasion to mend it.
    C,
    /// Severe enough to cause damage.
    D,
}

impl SeverityZone {
    /// The letter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

/// The size of a machine, as the standard groups it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineGroup {
    /// Group 1: above 300 kW, or electrical machines with a shaft height from 315 mm on.
    Large,
    /// Group 2: 15 kW to 300 kW, or electrical machines with 160 mm to 315 mm.
    Medium,
}

/// How a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Foundation {
    /// The lowest natural frequency of machine and support is at least a quarter above the
    /// main excitation.
    Rigid,
    /// Anything else.
    Flexible,
}

/// The upper ends of zones A, B and C.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// RMS velocity in mm/s.
    pub velocity_mm_s: [f64; 3],
    /// RMS displacement in µm.
    pub displacement_um: [f64; 3],
}

/// What must be known of a machine before its vibration can be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineClass {
    /// The limits.
    pub limits: Limits,
    /// Its rated speed in rpm; without one, the band for ordinary speeds.
    pub speed_rpm: Option<f64>,
}

impl Limits {
    /// The limits of the standard; see the module for its edition.
    pub const fn of(group: MachineGroup, foundation: Foundation) -> Self {
        let group = match group {
            MachineGroup::Large => telemetry::VibrationGroup::One,
            MachineGroup::Medium => telemetry::VibrationGroup::Two,
        };
        let foundation = match foundation {
            Foundation::Rigid => telemetry::Foundation::Rigid,
            Foundation::Flexible => telemetry::Foundation::Flexible,
        };
        let limits = telemetry::VibrationLimits::of(group, foundation);
        Self {
            velocity_mm_s: limits.velocity_mm_s,
            displacement_um: limits.displacement_um,
        }
    }
}

fn zone(value: f64, limits: [f64; 3]) -> SeverityZone {
    let zones = [SeverityZone::A, SeverityZone::B, SeverityZone::C];
    let within = limits.iter().zip(zones).find(|(limit, _)| value <= **limit);
    within.map_or(SeverityZone::D, |(_, zone)| zone)
}

/// How severe the vibration of a machine is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Severity {
    /// The worse of the two.
    pub zone: SeverityZone,
    /// RMS velocity in the band, in mm/s.
    pub velocity_mm_s: f64,
    /// RMS displacement in the band, in µm.
    pub displacement_um: f64,
    /// The band.
    pub band: Band,
}

impl MachineClass {
    /// A machine with the limits of the standard.
    pub const fn of(group: MachineGroup, foundation: Foundation, speed_rpm: Option<f64>) -> Self {
        Self {
            limits: Limits::of(group, foundation),
            speed_rpm,
        }
    }

    /// The band the machine is judged in.
    pub fn band(&self) -> Band {
        band_for(self.speed_rpm)
    }

    /// The zone of a spectrum; none when the unit is undeclared or the snapshot too short or
    /// too slow for the band.
    pub fn judge(&self, spectrum: &Spectrum) -> Option<Severity> {
        let band = self.band();
        if !covers(spectrum, band) {
            return None;
        }
        let velocity_mm_s = spectrum.integrated(Motion::Velocity)?.rms(band);
        let displacement_um = spectrum.integrated(Motion::Displacement)?.rms(band);
        let by_velocity = zone(velocity_mm_s, self.limits.velocity_mm_s);
        let by_displacement = zone(displacement_um, self.limits.displacement_um);
        Some(Severity {
            zone: by_velocity.max(by_displacement),
            velocity_mm_s,
            displacement_um,
            band,
        })
    }
}

/// The severity band for a speed; that for ordinary speeds when it is not known.
pub fn band_for(speed_rpm: Option<f64>) -> Band {
    match speed_rpm {
        Some(rpm) if rpm < SLOW_RPM => SLOW_SEVERITY_BAND,
        _ => SEVERITY_BAND,
    }
}

/// Whether the segments of a spectrum are long enough, and its rate high enough, for a band.
pub(super) fn covers(spectrum: &Spectrum, band: Band) -> bool {
    let rate_hz = 2.0 * spectrum.highest_hz();
    spectrum.resolution_hz * WHOLE_PERIODS <= band.low_hz * (1.0 + 1e-9)
        && rate_hz >= RATE_FOR_BAND * band.high_hz * (1.0 - 1e-9)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{testing::*, *},
        *,
    };

    fn judged(trace: &Trace, class: MachineClass) -> Option<Severity> {
        let spectrum = Analyser::new().spectrum(trace, Window::Hann, trace.samples().len());
        class.judge(&spectrum)
    }

    /// Acceleration of a 25 Hz vibration with this RMS velocity in mm/s.
    fn at_25_hz(velocity_mm_s: f64) -> Trace {
        let omega = std::f64::consts::TAU * 25.0;
        let peak = velocity_mm_s * 2.0_f64.sqrt() * omega / 1e3;
        sines(8192, 4096.0, &[(25.0, peak)])
    }

    #[test]
    fn each_class_has_its_zones() {
        use {Foundation::*, MachineGroup::*, SeverityZone::*};
        // At 50 Hz velocity decides: 4.6 mm/s are 14.6 µm, zone A everywhere.
        for (group, foundation, velocity, zone) in [
            (Large, Rigid, 2.2, A),
            (Large, Rigid, 2.4, B),
            (Large, Rigid, 4.6, C),
            (Large, Rigid, 7.2, D),
            (Large, Flexible, 3.4, A),
            (Large, Flexible, 10.5, C),
            (Large, Flexible, 11.5, D),
            (Medium, Rigid, 1.3, A),
            (Medium, Rigid, 4.6, D),
            (Medium, Flexible, 2.2, A),
            (Medium, Flexible, 4.6, C),
        ] {
            let peak = velocity * 2.0_f64.sqrt() * std::f64::consts::TAU * 50.0 / 1e3;
            let trace = sines(8192, 4096.0, &[(50.0, peak)]);
            let class = MachineClass::of(group, foundation, Some(3000.0));
            let severity = judged(&trace, class).unwrap();
            assert_near(severity.velocity_mm_s, velocity, 1e-3);
            assert_eq!(severity.zone, zone, "{group:?} {foundation:?} {velocity}");
        }
    }

    #[test]
    fn a_slow_vibration_is_judged_by_its_displacement() {
        // 4.4 mm/s are zone B of a large machine on a rigid base. At 12.5 Hz they are 56 µm, just
        // B too; at 10.5 Hz they are 67 µm, which is C.
        let omega = std::f64::consts::TAU * 12.5;
        let peak = 4.4 * 2.0_f64.sqrt() * omega / 1e3;
        let trace = sines(8192, 4096.0, &[(12.5, peak)]);
        let class = MachineClass::of(MachineGroup::Large, Foundation::Rigid, Some(750.0));
        let severity = judged(&trace, class).unwrap();
        assert_near(severity.displacement_um, 4.4e3 / omega, 5e-3);
        assert_eq!(severity.zone, SeverityZone::B);
        let more = sines(
            8192,
            4096.0,
            &[(
                10.5,
                4.4 * 2.0_f64.sqrt() * std::f64::consts::TAU * 10.5 / 1e3,
            )],
        );
        let severity = judged(&more, class).unwrap();
        assert!(severity.velocity_mm_s < 4.5, "velocity alone would say B");
        assert_eq!(severity.zone, SeverityZone::C);
    }

    #[test]
    fn no_zone_without_a_unit_or_a_band_that_was_measured() {
        let class = MachineClass::of(MachineGroup::Large, Foundation::Rigid, None);
        assert!(judged(&at_25_hz(3.0), class).is_some());
        let undeclared = Trace::of(Motion::Undeclared, at_25_hz(3.0).samples().to_vec(), 4096.0);
        assert_eq!(judged(&undeclared.unwrap(), class), None);
        let short = sines(512, 4096.0, &[(25.0, 1.0)]);
        assert_eq!(judged(&short, class), None, "an eighth of a second");
        let slow = sines(8192, 2048.0, &[(25.0, 1.0)]);
        assert_eq!(
            judged(&slow, class),
            None,
            "below 2.56 samples for each hertz"
        );
        let slow_machine = MachineClass::of(MachineGroup::Large, Foundation::Rigid, Some(300.0));
        assert_eq!(slow_machine.band(), SLOW_SEVERITY_BAND);
        assert!(
            judged(&at_25_hz(3.0), slow_machine).is_some(),
            "two seconds hold 4 periods of 2 Hz"
        );
    }
}
