//! An operating state in one number, for saved states: their format knows no tagged words.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use telemetry::OperatingState;

/// Regimes are counted from here.
const RUNNING: u16 = 16;

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
pub(crate) fn serialize<S: Serializer>(
    state: &OperatingState,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let number: u16 = match state {
        OperatingState::Off => 0,
        OperatingState::Idle => 1,
        OperatingState::StartUp => 2,
        OperatingState::Transition => 3,
        OperatingState::Unknown => 4,
        OperatingState::Running { regime } => RUNNING + u16::from(*regime),
    };
    number.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OperatingState, D::Error> {
    let number = u16::deserialize(deserializer)?;
    let regime = number
        .checked_sub(RUNNING)
        .and_then(|n| u8::try_from(n).ok());
    match (number, regime) {
        (_, Some(regime)) => Ok(OperatingState::Running { regime }),
        (0, _) => Ok(OperatingState::Off),
        (1, _) => Ok(OperatingState::Idle),
        (2, _) => Ok(OperatingState::StartUp),
        (3, _) => Ok(OperatingState::Transition),
        (4, _) => Ok(OperatingState::Unknown),
        _ => Err(D::Error::custom("no operating state has this number")),
    }
}
