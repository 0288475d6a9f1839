//! What is said about sensors.

use serde::Deserialize;
use utoipa::ToSchema;

/// The sensors of one device: a word about each that changed just now or is not good.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorReport {
    /// The asset.
    asset: String,
    /// The device that measured.
    device: String,
    /// The row this speaks of, in event time.
    #[schema(format = DateTime)]
    at: String,
    /// A verdict for each signal that is not good, or has just become good again.
    verdicts: Vec<SensorVerdict>,
}

/// The verdict on one signal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorVerdict {
    /// The signal.
    signal: String,
    /// Whether it can be believed.
    state: SensorState,
    /// When that state began, in event time.
    #[schema(format = DateTime)]
    since: String,
    /// What is wrong with it; of a signal that is good again, what was.
    fault: Option<SensorFault>,
    /// How sure that is, 0 to 1.
    confidence: f64,
    /// The value that told, in the signal's unit.
    value: Option<f64>,
    /// What was expected instead, in the signal's unit.
    expected: Option<f64>,
    /// The numbers behind the verdict, by name.
    detail: std::collections::BTreeMap<String, f64>,
}

/// Whether a signal can be believed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SensorState {
    /// It can.
    Good,
    /// It may be wrong; it is left out of the machine's verdict until that is clear.
    Suspect,
    /// It is wrong.
    Faulty,
}

/// What is wrong with a sensor.
#[derive(Debug, Deserialize, ToSchema)]
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
    /// Its times cannot be right.
    Clock,
}
