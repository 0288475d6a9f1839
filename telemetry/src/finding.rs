//! What analytics says about an asset: the outputs of the ISO 13374 blocks SD, HA and PA.

mod evidence;
mod prognosis;
mod rule;
mod sensor;

use serde::{Deserialize, Serialize};

use crate::{AssetId, ComponentId, DeviceId, Timestamp};

pub use evidence::{Contribution, Evidence, Explanation, OperatingState, Statistics, ViewScore};
pub use prognosis::{
    FailureWithin, FanQuantile, ForecastContribution, ForecastDetail, NoPrognosis, Prognosis,
    PrognosisFamily, PrognosisOutcome, Shown, SimilarLife,
};
pub use rule::{AlertSource, RuleChange, RuleReport, RuleState, RuleVerdict, Verdict};
pub use sensor::{CLOCK_SIGNAL, SensorFault, SensorReport, SensorState, SensorVerdict};

/// One statement of analytics, always in event time.
///
/// A device says something when it changed, and otherwise once in a while (the heartbeat), so
/// what was said last holds until the next word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// State detection of the sensors: can their values be believed?
    Sensor(SensorReport),
    /// State detection of the machine.
    Condition(Condition),
    /// Health assessment.
    Assessment(Assessment),
    /// Prognostic assessment.
    Prognosis(PrognosisOutcome),
    /// What rules that people wrote say.
    Rule(RuleReport),
}

impl Finding {
    /// The asset it is about.
    pub fn asset(&self) -> &AssetId {
        match self {
            Self::Sensor(report) => &report.asset,
            Self::Condition(condition) => &condition.asset,
            Self::Assessment(assessment) => &assessment.asset,
            Self::Prognosis(outcome) => outcome.asset(),
            Self::Rule(report) => &report.asset,
        }
    }

    /// The device whose readings it rests on.
    pub fn device(&self) -> &DeviceId {
        match self {
            Self::Sensor(report) => &report.device,
            Self::Condition(condition) => &condition.device,
            Self::Assessment(assessment) => &assessment.device,
            Self::Prognosis(outcome) => outcome.device(),
            Self::Rule(report) => &report.device,
        }
    }

    /// The event time it speaks of.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Sensor(report) => report.at,
            Self::Condition(condition) => condition.at,
            Self::Assessment(assessment) => assessment.at,
            Self::Prognosis(outcome) => outcome.at(),
            Self::Rule(report) => report.at,
        }
    }
}

/// State detection (SD): is what this device measures of its asset normal?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The asset.
    pub asset: AssetId,
    /// The device that measured.
    pub device: DeviceId,
    /// The row this speaks of, in event time.
    pub at: Timestamp,
    /// The verdict after smoothing and hysteresis.
    pub state: ConditionState,
    /// When the present state began, in event time.
    pub since: Timestamp,
    /// What the machine is doing. Outside of running there is no verdict and the state stands.
    #[serde(default)]
    pub operating: OperatingState,
    /// The numbers behind the verdict; none while learning.
    pub evidence: Option<Evidence>,
}

/// The verdict of state detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum ConditionState {
    /// The baseline is being learned.
    Learning {
        /// Rows seen so far.
        rows: u32,
        /// Rows the baseline needs.
        needed: u32,
    },
    /// Inside its limits.
    Normal,
    /// Beyond a limit, not yet long enough to say so aloud.
    Watch,
    /// Beyond a limit for long enough.
    Alarm,
}

/// Health from 0 (failed) to 100 (as new).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HealthIndex(f64);

impl HealthIndex {
    /// As good as its baseline.
    pub const FULL: Self = Self(100.0);

    /// Clamps into 0..=100; NaN becomes 0, because unknown health is no good health.
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() {
            0.0
        } else {
            value.clamp(0.0, 100.0)
        })
    }

    /// The index, 0 to 100.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The zone it lies in.
    pub fn zone(self) -> Zone {
        match self.0 {
            h if h >= 80.0 => Zone::Healthy,
            h if h >= 60.0 => Zone::Watch,
            h if h >= 30.0 => Zone::Warning,
            _ => Zone::Critical,
        }
    }
}

/// Zones of the health index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// 80 to 100.
    Healthy,
    /// 60 to 80.
    Watch,
    /// 30 to 60.
    Warning,
    /// Below 30.
    Critical,
}

/// Health assessment (HA).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// The asset.
    pub asset: AssetId,
    /// The device whose signals were assessed.
    pub device: DeviceId,
    /// The row this speaks of, in event time.
    pub at: Timestamp,
    /// The health index.
    pub health: HealthIndex,
    /// Its zone.
    pub zone: Zone,
    /// The detection score it was made from; 1 is the alarm limit.
    pub score: f64,
    /// The health of each component the asset model names; empty without a model.
    #[serde(default)]
    pub components: Vec<ComponentHealth>,
}

/// The health of a part of an asset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentHealth {
    /// The component, as the asset model names it.
    pub component: ComponentId,
    /// Its health index.
    pub health: HealthIndex,
    /// How much it counts against the other components; the weights of an asset add up to 1.
    pub weight: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_meet_without_gap_and_unknown_health_is_critical() {
        for (value, zone) in [
            (100.0, Zone::Healthy),
            (80.0, Zone::Healthy),
            (79.9, Zone::Watch),
            (60.0, Zone::Watch),
            (59.9, Zone::Warning),
            (30.0, Zone::Warning),
            (29.9, Zone::Critical),
            (-5.0, Zone::Critical),
            (f64::NAN, Zone::Critical),
        ] {
            assert_eq!(HealthIndex::new(value).zone(), zone, "{value}");
        }
    }
}
