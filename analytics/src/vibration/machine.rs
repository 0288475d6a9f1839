//! What the judgement of vibration takes from an asset model.

use telemetry::{Machine, VibrationGroup};

use super::{Bearing, Foundation, Limits, MachineClass, MachineGroup};

/// The edition the built-in limits are from; see [`Limits`].
const STANDARD: &str = "ISO 10816-3:2009";

/// A machine as vibration sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MachineVibration {
    /// Its class; none unless the model gives limits, or both group and foundation.
    pub class: Option<MachineClass>,
    /// Whose limits the class has: `ISO 10816-3:2009` or `model`.
    pub limits_source: &'static str,
    /// Its bearings.
    pub bearings: Vec<Bearing>,
    /// Its rated speed in rpm.
    pub rated_speed_rpm: Option<f64>,
}

impl From<&Machine> for MachineVibration {
    fn from(machine: &Machine) -> Self {
        let speed_rpm = machine.rated_speed_rpm;
        let standard = machine.vibration_group.zip(machine.foundation);
        let standard = standard.map(|(group, foundation)| {
            let group = match group {
                VibrationGroup::One => MachineGroup::Large,
                VibrationGroup::Two => MachineGroup::Medium,
            };
            let foundation = match foundation {
                telemetry::Foundation::Rigid => Foundation::Rigid,
                telemetry::Foundation::Flexible => Foundation::Flexible,
            };
            Limits::of(group, foundation)
        });
        let own = machine.vibration_limits.map(|limits| Limits {
            velocity_mm_s: limits.velocity_mm_s,
            displacement_um: limits.displacement_um,
        });
        let bearing = |one: &telemetry::Bearing| {
            let (ball, pitch) = (one.ball_diameter_mm, one.pitch_diameter_mm);
            Bearing::new(&one.name, one.balls, ball, pitch, one.contact_angle_deg).ok()
        };
        Self {
            class: own
                .or(standard)
                .map(|limits| MachineClass { limits, speed_rpm }),
            limits_source: if own.is_some() { "model" } else { STANDARD },
            // A model that was checked has no bearing that is refused here.
            bearings: machine.bearings.iter().filter_map(bearing).collect(),
            rated_speed_rpm: speed_rpm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_needs_group_and_foundation_or_limits_of_its_own() {
        let mut machine = Machine {
            vibration_group: Some(VibrationGroup::Two),
            rated_speed_rpm: Some(2900.0),
            ..Machine::default()
        };
        assert_eq!(MachineVibration::from(&machine).class, None);
        machine.foundation = Some(telemetry::Foundation::Rigid);
        let class = MachineVibration::from(&machine).class.unwrap();
        assert_eq!(
            class,
            MachineClass::of(MachineGroup::Medium, Foundation::Rigid, Some(2900.0))
        );
        machine.foundation = None;
        machine.vibration_limits = Some(telemetry::VibrationLimits {
            velocity_mm_s: [1.0, 2.0, 3.0],
            displacement_um: [10.0, 20.0, 30.0],
        });
        let class = MachineVibration::from(&machine).class.unwrap();
        assert_eq!(
            class.limits.velocity_mm_s.map(f64::to_bits),
            [1.0, 2.0, 3.0].map(f64::to_bits)
        );
    }
}
