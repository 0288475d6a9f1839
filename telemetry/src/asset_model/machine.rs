//! The nameplate of a machine, as far as the judgement of its vibration needs it.

use serde::{Deserialize, Serialize};

use crate::SignalName;

/// What is known of the machine itself. Zones of vibration severity are only given where
/// `vibration_group` and `foundation` are declared, because the limits hang on both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Speed at rated load, 1/min.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rated_speed_rpm: Option<f64>,
    /// Power at rated load, kW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rated_power_kw: Option<f64>,
    /// The group of machines by ISO 20816-3 it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vibration_group: Option<VibrationGroup>,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foundation: Option<Foundation>,
    /// Limits of vibration severity of its own, such as the maker's, instead of the standard's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vibration_limits: Option<VibrationLimits>,
    /// The signal that tells its speed in rpm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_signal: Option<SignalName>,
    /// Its rolling bearings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bearings: Vec<Bearing>,
}

/// The upper ends of the severity zones A, B and C; what is above the last is zone D.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VibrationLimits {
    /// RMS velocity in mm/s, rising.
    pub velocity_mm_s: [f64; 3],
    /// RMS displacement in µm, rising.
    pub displacement_um: [f64; 3],
}

impl VibrationLimits {
    /// The limits of the standard for machines of a group on a foundation.
    ///
    /// # Source
    /// ISO 10816-3:2009, tables A.1 and A.2.
    pub const fn of(group: VibrationGroup, foundation: Foundation) -> Self {
        let (velocity_mm_s, displacement_um) = match (group, foundation) {
            (VibrationGroup::One, Foundation::Rigid) => ([2.3, 4.5, 7.1], [29.0, 57.0, 90.0]),
            (VibrationGroup::One, Foundation::Flexible) => ([3.5, 7.1, 11.0], [45.0, 90.0, 140.0]),
            (VibrationGroup::Two, Foundation::Rigid) => ([1.4, 2.8, 4.5], [22.0, 45.0, 71.0]),
            (VibrationGroup::Two, Foundation::Flexible) => ([2.3, 4.5, 7.1], [37.0, 71.0, 113.0]),
        };
        Self {
            velocity_mm_s,
            displacement_um,
        }
    }
}

impl Machine {
    /// The limits its vibration is judged by: its own, or the standard's where the model says
    /// group and foundation.
    pub fn limits(&self) -> Option<VibrationLimits> {
        let standard = self.vibration_group.zip(self.foundation);
        self.vibration_limits
            .or_else(|| standard.map(|(group, foundation)| VibrationLimits::of(group, foundation)))
    }
}

/// The group of a machine by ISO 20816-3: 1 above 300 kW (or electrical machines with a shaft
/// height of 315 mm and more), 2 from 15 kW to 300 kW (or from 160 mm to below 315 mm).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum VibrationGroup {
    /// Large machines.
    One,
    /// Medium-sized machines.
    Two,
}

impl TryFrom<u8> for VibrationGroup {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err(format!(
                "vibration group {number} is not known; ISO 20816-3 has groups 1 and 2"
            )),
        }
    }
}

impl From<VibrationGroup> for u8 {
    fn from(group: VibrationGroup) -> Self {
        match group {
            VibrationGroup::One => 1,
            VibrationGroup::Two => 2,
        }
    }
}

/// What a machine stands on, by ISO 20816-3: rigid when the lowest natural frequency of machine
/// and support lies at least 25 % above the speed, else flexible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foundation {
    /// Concrete or stiff steel.
    Rigid,
    /// Springs, steel frames, ships.
    Flexible,
}

/// The geometry of a rolling bearing, from which its defect frequencies follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bearing {
    /// What people call it, such as `drive end 6309`.
    pub name: String,
    /// Number of rolling elements in one row; at least 3.
    pub balls: u32,
    /// Diameter of a rolling element, mm.
    pub ball_diameter_mm: f64,
    /// Diameter of the circle through the centres of the rolling elements, mm.
    pub pitch_diameter_mm: f64,
    /// Contact angle, degrees, 0 to below 90.
    #[serde(default)]
    pub contact_angle_deg: f64,
}
