//! What analytics says about an asset: the outputs of the ISO 13374 blocks SD, HA and PA.

use serde::{Deserialize, Serialize};

use crate::{AssetId, DeviceId, FailureMode, SignalName, Timestamp};

/// One statement of analytics, always in event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// State detection.
    Condition(Condition),
    /// Health assessment.
    Assessment(Assessment),
    /// Prognostic assessment.
    Prognosis(PrognosisOutcome),
}

impl Finding {
    /// The asset it is about.
    pub fn asset(&self) -> &AssetId {
        match self {
            Self::Condition(condition) => &condition.asset,
            Self::Assessment(assessment) => &assessment.asset,
            Self::Prognosis(outcome) => outcome.asset(),
        }
    }

    /// The event time it speaks of.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Condition(condition) => condition.at,
            Self::Assessment(assessment) => assessment.at,
            Self::Prognosis(outcome) => outcome.at(),
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

/// What a verdict rests on. Frozen into a case when the case opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The detector and its version, such as `pca-t2-q/1`.
    pub model: String,
    /// First row of the window the verdict looked at, in event time.
    pub window_from: Timestamp,
    /// Last row of that window.
    pub window_to: Timestamp,
    /// First row the baseline was learned from.
    pub baseline_from: Timestamp,
    /// Last row the baseline was learned from.
    pub baseline_to: Timestamp,
    /// Rows the baseline was learned from.
    pub baseline_rows: u32,
    /// The monitoring statistics with their limits.
    pub statistics: Statistics,
    /// The failure mode whose signature fits best, or `unclassified`.
    pub failure_mode: FailureMode,
    /// How well that signature fits: cosine between signature and deviations, 0 to 1; 0 when unclassified.
    pub failure_mode_fit: f64,
    /// Every signal of the baseline, largest share first.
    pub contributions: Vec<Contribution>,
}

/// The monitoring statistics of a row and their limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Hotelling's T² in the principal subspace.
    pub t2: f64,
    /// Its control limit.
    pub t2_limit: f64,
    /// Squared prediction error Q in the residual subspace.
    pub q: f64,
    /// Its control limit.
    pub q_limit: f64,
    /// One number for both: 1 is the alarm limit, above is beyond it.
    pub score: f64,
    /// The score at which an alarm begins.
    pub on: f64,
    /// The score at which an alarm ends.
    pub off: f64,
}

/// How much one signal takes part in a deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The signal.
    pub signal: SignalName,
    /// Its share of the deviation; all shares add up to 1.
    pub share: f64,
    /// How far it is from its normal, signed, in healthy spreads.
    pub deviation: f64,
    /// Its present smoothed value, in the signal's unit.
    pub value: f64,
    /// Its normal value, in the signal's unit.
    pub normal: f64,
    /// The lower end of its normal range, in the signal's unit.
    pub normal_low: f64,
    /// The upper end of its normal range, in the signal's unit.
    pub normal_high: f64,
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
}

/// A prognosis, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PrognosisOutcome {
    /// A significant trend towards the limit.
    Forecast(Prognosis),
    /// Nothing can be said, and why.
    None(NoPrognosis),
}

impl PrognosisOutcome {
    fn asset(&self) -> &AssetId {
        match self {
            Self::Forecast(prognosis) => &prognosis.asset,
            Self::None(none) => &none.asset,
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Forecast(prognosis) => prognosis.at,
            Self::None(none) => none.at,
        }
    }
}

/// Why there is no prognosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoPrognosis {
    /// The asset.
    pub asset: AssetId,
    /// The device whose signals were assessed.
    pub device: DeviceId,
    /// The row this speaks of, in event time.
    pub at: Timestamp,
    /// The reason as a word: `no_significant_trend`, `too_little_history`, `recovered`.
    pub reason: String,
}

/// Prognostic assessment (PA): when the health index crosses its limit, as a distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prognosis {
    /// The asset.
    pub asset: AssetId,
    /// The device whose signals were assessed.
    pub device: DeviceId,
    /// The row this was computed at, in event time.
    pub at: Timestamp,
    /// The method and its version, such as `theil-sen/1`.
    pub model: String,
    /// The health index that counts as failure.
    pub limit: f64,
    /// Remaining useful life with 10 % of the distribution below it, in seconds.
    pub rul_p10_s: f64,
    /// The median remaining useful life, in seconds.
    pub rul_p50_s: f64,
    /// Remaining useful life with 90 % of the distribution below it, in seconds.
    pub rul_p90_s: f64,
    /// Health lost a day by the median slope.
    pub loss_per_day: f64,
    /// First row of the history the trend was fitted to.
    pub window_from: Timestamp,
    /// Two-sided p-value of the trend (Mann–Kendall, corrected for autocorrelation).
    pub p_value: f64,
}

impl Prognosis {
    /// The event time of a quantile given as seconds from [`Self::at`].
    pub fn date_of(&self, rul_s: f64) -> Timestamp {
        Timestamp::from_micros(self.at.as_micros().saturating_add((rul_s * 1e6) as i64))
    }
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
