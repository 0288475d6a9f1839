//! The file of a model, and those of earlier formats.

use serde::{Deserialize, Serialize};
use telemetry::{ComponentId, Explanation};

use super::{FORMAT, InputRange, TrainedModel, warnings::Warnings};
use crate::{
    AnalyticsError,
    prognosis::{
        cycles::CycleSpec,
        fleet::FleetModel,
        life::{Covariates, LifeData, LifeModel},
    },
};

/// The format before life data had covariates and could serve without a fleet.
const BEFORE_COVARIATES: u16 = 2;

/// A model of that format.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BeforeCovariates {
    pub(super) format: u16,
    pub(super) cycles: CycleSpec,
    pub(super) component: Option<ComponentId>,
    pub(super) horizons_s: Vec<f64>,
    pub(super) fleet: FleetModel,
    pub(super) life: Option<LifeModel>,
    pub(super) warnings: Option<Warnings>,
    pub(super) doubt: Option<Explanation>,
    pub(super) ranks: Vec<Vec<f32>>,
    pub(super) inputs: Vec<InputRange>,
}

impl From<BeforeCovariates> for TrainedModel {
    fn from(old: BeforeCovariates) -> Self {
        let (unit_s, reach) = (old.cycles.cycle_s, old.fleet.cap());
        let life = old.life.map(|model| LifeData {
            model,
            covariates: Covariates::default(),
            unit_s,
            reach,
        });
        Self {
            format: FORMAT,
            cycles: old.cycles,
            component: old.component,
            horizons_s: old.horizons_s,
            fleet: Some(old.fleet),
            life,
            warnings: old.warnings,
            doubt: old.doubt,
            ranks: old.ranks,
            inputs: old.inputs,
        }
    }
}

impl TrainedModel {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`AnalyticsError::StateUnwritable`] when it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, AnalyticsError> {
        postcard::to_allocvec(self).map_err(|source| AnalyticsError::StateUnwritable {
            key: "a trained model".to_owned(),
            source,
        })
    }

    /// Reads what [`Self::encode`] wrote, in this release or in one before.
    ///
    /// # Errors
    /// [`AnalyticsError::StateUnreadable`] when the bytes are no model of a known format.
    pub fn decode(bytes: &[u8]) -> Result<Self, AnalyticsError> {
        let unreadable = |problem: String| AnalyticsError::StateUnreadable {
            key: "a trained model".to_owned(),
            problem,
        };
        // Every format begins with its number.
        let format = postcard::take_from_bytes::<u16>(bytes).map(|(format, _)| format);
        let model: Self = match format {
            Ok(BEFORE_COVARIATES) => {
                postcard::from_bytes::<BeforeCovariates>(bytes).map(Self::from)
            }
            _ => postcard::from_bytes(bytes),
        }
        .map_err(|e| unreadable(e.to_string()))?;
        if model.is_consistent() {
            Ok(model)
        } else {
            Err(unreadable("its parts contradict each other".to_owned()))
        }
    }

    fn is_consistent(&self) -> bool {
        let horizons = self.horizons_s.len();
        let warnings = self.warnings.as_ref();
        self.format == FORMAT
            && (self.fleet.is_some() || self.life.is_some())
            && self.fleet.as_ref().is_none_or(FleetModel::is_consistent)
            && self.life.as_ref().is_none_or(LifeData::is_consistent)
            && warnings.is_none_or(|warnings| warnings.is_consistent(horizons))
    }
}
