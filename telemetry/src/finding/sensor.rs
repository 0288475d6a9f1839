//! Whether the sensors of a machine can be believed, said apart from how the machine is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AssetId, DeviceId, SignalName, Timestamp};

/// The name under which the clock of a device is judged beside its signals; its values are
/// seconds against the clock of the receiver. No device may publish a signal of this name.
pub const CLOCK_SIGNAL: &str = "device.clock";

/// The sensors of one device: a word about each that changed just now or is not good.
///
/// All of a device's signals at one instant are one report, so that a report tells the whole
/// of what is wrong: a signal it does not name is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorReport {
    /// The asset.
    pub asset: AssetId,
    /// The device that measured.
    pub device: DeviceId,
    /// The row this speaks of, in event time.
    pub at: Timestamp,
    /// A verdict for each signal that is not good, or has just become good again.
    pub verdicts: Vec<SensorVerdict>,
}

/// The verdict on one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorVerdict {
    /// The signal.
    pub signal: SignalName,
    /// Whether it can be believed.
    pub state: SensorState,
    /// When that state began, in event time.
    pub since: Timestamp,
    /// What is wrong with it; of a signal that is good again, what was.
    pub fault: Option<SensorFault>,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// The value that told, in the signal's unit; none when there is none, as in a gap.
    pub value: Option<f64>,
    /// What was expected instead, in the signal's unit; none when nothing particular was.
    pub expected: Option<f64>,
    /// The numbers behind the verdict, by name.
    #[serde(default)]
    pub detail: BTreeMap<String, f64>,
}

/// Whether a signal can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorState {
    /// It can.
    Good,
    /// It may be wrong; it is left out of the machine's verdict until that is clear.
    Suspect,
    /// It is wrong.
    Faulty,
}

impl SensorState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Good, Self::Suspect, Self::Faulty];

    /// The state in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Faulty => "faulty",
        }
    }
}

/// What is wrong with a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorFault {
    /// It repeats one value.
    Stuck,
    /// Single values far from their neighbours.
    Spike,
    /// It jumped and nothing it belongs with did.
    Step,
    /// It moves away from what it belongs with.
    Drift,
    /// Its noise is gone.
    NoiseCollapse,
    /// Its noise has grown.
    NoiseBurst,
    /// It rests at an end of its range.
    Saturation,
    /// It has no values.
    Gap,
    /// Its times cannot be right. Said of [`CLOCK_SIGNAL`].
    Clock,
}

impl SensorFault {
    /// Every fault.
    pub const ALL: [Self; 9] = [
        Self::Stuck,
        Self::Spike,
        Self::Step,
        Self::Drift,
        Self::NoiseCollapse,
        Self::NoiseBurst,
        Self::Saturation,
        Self::Gap,
        Self::Clock,
    ];

    /// The fault as it is stored and shown, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Spike => "spike",
            Self::Step => "step",
            Self::Drift => "drift",
            Self::NoiseCollapse => "noise_collapse",
            Self::NoiseBurst => "noise_burst",
            Self::Saturation => "saturation",
            Self::Gap => "gap",
            Self::Clock => "clock",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_api() {
        for fault in SensorFault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
        }
        for state in SensorState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
