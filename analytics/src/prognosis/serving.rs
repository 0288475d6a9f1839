//! What a trained model is to a monitor: something that takes cycles and looks ahead.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModelId, ForecastDetail, PrognosisFamily};

use super::{cycles::CycleSpec, lives::CycleRow, moment::Moment};

/// Which model serves. The checksum is part of it: a state that another file left is not
/// continued, even if somebody gave both the same version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// The kind of machine it was trained for.
    pub asset_model: AssetModelId,
    /// Its version, counted from 1.
    pub version: u32,
    /// SHA-256 of its file, in hexadecimal.
    pub checksum: String,
}

/// What a model says of a life as it stands. Times are calendar seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// The kind of model that spoke.
    pub family: PrognosisFamily,
    /// Remaining life with 10 %, 50 % and 90 % of the distribution below it; finite, rising.
    pub quantiles_s: [f64; 3],
    /// Everything else.
    pub detail: ForecastDetail,
}

/// A model as it serves. Pure: the same calls give the same answers, bit for bit.
///
/// The state of a life is bytes, so that lives of different models are saved alike.
pub trait Forecaster: Send + Sync + std::fmt::Debug {
    /// Which model it is.
    fn id(&self) -> &ModelId;

    /// What its cycles are.
    fn cycles(&self) -> &CycleSpec;

    /// The state of a life before its first row. `age` is the cycles lived before it: 0 for
    /// one that is watched from its beginning, none when nobody knows.
    fn start(&self, age: Option<f64>) -> Vec<u8>;

    /// Takes the next cycle. A state that cannot be read starts over with an unknown age.
    fn push(&self, state: &mut Vec<u8>, row: &CycleRow);

    /// Looks ahead; none while too little was seen. `cycle_s` is the calendar time in which
    /// the machine has been running one cycle of late; the moment is what is known beside the
    /// rows.
    fn outlook(&self, state: &[u8], cycle_s: f64, moment: &Moment<'_>) -> Option<Outlook>;

    /// Adds why: contributions and similar lives. It may take a thousand times as long as the
    /// forecast, so it is asked only for one that is told.
    fn explain(&self, state: &[u8], cycle_s: f64, detail: &mut ForecastDetail);
}
