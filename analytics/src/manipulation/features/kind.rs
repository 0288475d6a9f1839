//! The names of the features and their units.

use serde::{Deserialize, Serialize};
use telemetry::Unit;

/// A feature of a signal. Its name in full is `signal.feature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Feature {
    /// Exponentially weighted mean.
    Ewma,
    /// Exponentially weighted standard deviation.
    EwmaStd,
    /// Mean of the window.
    Mean,
    /// Standard deviation of the window (of a sample, n − 1).
    Std,
    /// Smallest value of the window.
    Min,
    /// Greatest value of the window.
    Max,
    /// Greatest less smallest.
    Range,
    /// Least-squares slope of the window.
    Slope,
    /// Change from the value before, by time.
    Rate,
    /// Greatest distance from the mean over the root mean square about it.
    Crest,
    /// Third standardised moment.
    Skewness,
    /// Fourth standardised moment; 3 for a normal distribution.
    Kurtosis,
    /// 5 % of the values lie below.
    P05,
    /// The median.
    P50,
    /// 95 % of the values lie below.
    P95,
    /// The usual mean of this hour of the day.
    HourNormal,
    /// The mean of this hour so far, less its usual mean.
    HourDeviation,
    /// The mean of this day so far, less the usual mean of this day of the week.
    WeekdayDeviation,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 18] = [
        Self::Ewma,
        Self::EwmaStd,
        Self::Mean,
        Self::Std,
        Self::Min,
        Self::Max,
        Self::Range,
        Self::Slope,
        Self::Rate,
        Self::Crest,
        Self::Skewness,
        Self::Kurtosis,
        Self::P05,
        Self::P50,
        Self::P95,
        Self::HourNormal,
        Self::HourDeviation,
        Self::WeekdayDeviation,
    ];

    /// The feature of this name; none when there is no such feature.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The part of the name after the signal's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ewma => "ewma",
            Self::EwmaStd => "ewma_std",
            Self::Mean => "mean",
            Self::Std => "std",
            Self::Min => "min",
            Self::Max => "max",
            Self::Range => "range",
            Self::Slope => "slope",
            Self::Rate => "rate",
            Self::Crest => "crest",
            Self::Skewness => "skewness",
            Self::Kurtosis => "kurtosis",
            Self::P05 => "p05",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::HourNormal => "hour_normal",
            Self::HourDeviation => "hour_deviation",
            Self::WeekdayDeviation => "weekday_deviation",
        }
    }

    /// The symbol of its unit for a signal of this unit; none when that is not known.
    pub fn unit(self, signal: Option<Unit>) -> Option<String> {
        match self {
            Self::Slope | Self::Rate => signal.map(|unit| format!("{unit}/s")),
            Self::Crest | Self::Skewness | Self::Kurtosis => Some(Unit::One.to_string()),
            _ => signal.map(|unit| unit.to_string()),
        }
    }

    /// Whether it is a value of the signal, rather than a difference of two or a ratio.
    pub(super) const fn is_level(self) -> bool {
        matches!(
            self,
            Self::Ewma
                | Self::Mean
                | Self::Min
                | Self::Max
                | Self::P05
                | Self::P50
                | Self::P95
                | Self::HourNormal
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_name_exactly_the_features_there_are() {
        assert_eq!(Feature::ALL.map(Feature::as_str), telemetry::FEATURES);
        for name in telemetry::FEATURES {
            assert_eq!(Feature::from_name(name).map(Feature::as_str), Some(name));
        }
        assert_eq!(Feature::from_name("kurtosi"), None);
    }
}
