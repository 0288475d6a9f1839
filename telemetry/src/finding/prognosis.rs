//! Prognostic assessment (PA): how much life is left, as a distribution, and what it rests on.
//!
//! Whatever family of model spoke, the answer is one type, so that a case, an order and a page
//! need not know how a forecast was made. What only some families can say is optional, and
//! what an earlier release did not say yet has a default: stored findings stay readable.

use serde::{Deserialize, Deserializer, Serialize};

use super::Explanation;
use crate::{AssetId, AssetModelId, ComponentId, DeviceId, Timestamp};

/// A prognosis, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "one is told when a date moves, not with every row; a box would be in every match"
)]
pub enum PrognosisOutcome {
    /// A forecast.
    Forecast(Prognosis),
    /// Nothing can be said, and why.
    None(NoPrognosis),
}

impl PrognosisOutcome {
    pub(super) fn asset(&self) -> &AssetId {
        match self {
            Self::Forecast(prognosis) => &prognosis.asset,
            Self::None(none) => &none.asset,
        }
    }

    pub(super) fn device(&self) -> &DeviceId {
        match self {
            Self::Forecast(prognosis) => &prognosis.device,
            Self::None(none) => &none.device,
        }
    }

    pub(super) fn at(&self) -> Timestamp {
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

/// What kind of model made a forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrognosisFamily {
    /// The asset's own trend, carried forward to the limit of its health index.
    #[default]
    Trend,
    /// What became of other assets of the same kind that looked like this one.
    Fleet,
    /// Ages at failure alone, without a look at the machine.
    LifeData,
    /// Life data as the prior, updated by telemetry.
    Combined,
    /// What measurements, error codes, maintenance and facts were like before failures of the
    /// past: tells whether one is near, not how much life is left.
    Classifier,
}

impl PrognosisFamily {
    /// Every family, in order.
    pub const ALL: [Self; 5] = [
        Self::Trend,
        Self::Fleet,
        Self::LifeData,
        Self::Combined,
        Self::Classifier,
    ];

    /// The word in storage, API and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trend => "trend",
            Self::Fleet => "fleet",
            Self::LifeData => "life_data",
            Self::Combined => "combined",
            Self::Classifier => "classifier",
        }
    }
}

/// Remaining useful life, as a distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prognosis {
    /// The asset.
    pub asset: AssetId,
    /// The device whose signals were assessed.
    pub device: DeviceId,
    /// The row this was computed at, in event time.
    pub at: Timestamp,
    /// The method and its version, such as `first-passage-linear/1` or, for a trained model, its asset
    /// model and version, such as `centrifugal-pump/3`.
    pub model: String,
    /// The kind of model.
    #[serde(default)]
    pub family: PrognosisFamily,
    /// The health index that counts as failure; none where failures of the past say what one is.
    #[serde(default)]
    pub limit: Option<f64>,
    /// Remaining useful life with 10 % of the distribution below it, in seconds.
    pub rul_p10_s: f64,
    /// The median remaining useful life, in seconds.
    pub rul_p50_s: f64,
    /// Remaining useful life with 90 % of the distribution below it, in seconds.
    pub rul_p90_s: f64,
    /// Health lost a day by the median slope; only of a trend.
    #[serde(default)]
    pub loss_per_day: Option<f64>,
    /// First row of the history the forecast rests on.
    pub window_from: Timestamp,
    /// Two-sided p-value of the trend (Mann–Kendall, corrected for autocorrelation); only of a
    /// trend.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// What a trained model adds.
    #[serde(default, skip_serializing_if = "ForecastDetail::is_empty")]
    pub detail: ForecastDetail,
}

impl Prognosis {
    /// The event time of a quantile given as seconds from [`Self::at`].
    pub fn date_of(&self, rul_s: f64) -> Timestamp {
        Timestamp::from_micros(self.at.as_micros().saturating_add((rul_s * 1e6) as i64))
    }
}

/// What a trained model says beyond three quantiles.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ForecastDetail {
    /// The model that was trained for this kind of machine; with [`Self::version`] it names the
    /// model in the registry.
    pub asset_model: Option<AssetModelId>,
    /// Its version, counted from 1.
    pub version: Option<u32>,
    /// The component that is forecast; the machine as a whole without one.
    pub component: Option<ComponentId>,
    /// The quantiles of the fan, rising in level and life.
    pub fan: Vec<FanQuantile>,
    /// Failure within the asked horizons, shortest first.
    pub within: Vec<FailureWithin>,
    /// The probability of failing within the next day if the present rate stood; only of a
    /// model whose probabilities may be shown.
    pub hazard_per_day: Option<f64>,
    /// What moved the forecast, the strongest first.
    pub contributions: Vec<ForecastContribution>,
    /// Past lives that looked most like this one at its age, the most similar first.
    pub similar: Vec<SimilarLife>,
    /// What the reader has to know: `window_only` (early history is missing), `beyond_cap` (the
    /// life left is more than was learned), `missing_signals`.
    pub notes: Vec<String>,
}

impl ForecastDetail {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A quantile of the fan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FanQuantile {
    /// The part of the distribution below, 0 to 1.
    pub level: f64,
    /// Remaining life in seconds.
    pub rul_s: f64,
}

/// How a number about failure may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As computed, never compared with failures.
    #[default]
    Nominal,
    /// Compared with failures the model had not seen, and within its bound.
    Calibrated,
    /// Calibration failed its bound: only the order among assets counts.
    Rank,
}

/// Failure within a horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureWithin {
    /// The horizon, in seconds from the forecast.
    pub horizon_s: f64,
    /// The probability, 0 to 1; none where only the rank may be shown.
    pub probability: Option<f64>,
    /// The part of the past forecasts of the fleet that were less alarming, 0 to 1.
    pub rank: Option<f64>,
    /// How it may be read.
    pub shown: Shown,
    /// Which family of model said it, when that is another than of the forecast as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<PrognosisFamily>,
    /// Why it is no more than a rank.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "reason"
    )]
    pub reason: Option<Explanation>,
}

/// A reason; an earlier release stored its English words alone.
fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Explanation>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Both(Explanation),
        English(String),
    }
    let stored = Option::<Stored>::deserialize(from)?;
    Ok(stored.map(|stored| match stored {
        Stored::Both(reason) => reason,
        Stored::English(en) => Explanation { zh: en.clone(), en },
    }))
}

/// What a group of features adds to a forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastContribution {
    /// The group: a signal, or `age`, or `history`.
    pub feature: String,
    /// How much life it adds (above zero) or takes, in seconds.
    pub rul_s: f64,
}

/// A past life that resembled this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimilarLife {
    /// The asset that lived it.
    pub asset: String,
    /// Whether it ended by a failure; else it was taken out of service while healthy.
    pub failed: bool,
    /// The running time it still had when it looked like this, in seconds.
    pub rul_s: f64,
    /// How alike: 1 is the same, 0 nothing in common.
    pub similarity: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first release stored it.
    #[test]
    fn a_forecast_of_an_earlier_release_stays_readable() {
        let stored = r#"{"outcome":"forecast","asset":"pump-1","device":"pump-1",
            "at":"2026-01-01T00:00:00Z","model":"theil-sen/1","limit":30.0,"rul_p10_s":1.0,
            "rul_p50_s":2.0,"rul_p90_s":3.0,"loss_per_day":0.5,
            "window_from":"2025-12-01T00:00:00Z","p_value":0.001}"#;
        let read: PrognosisOutcome = serde_json::from_str(stored).unwrap();
        let PrognosisOutcome::Forecast(read) = read else {
            panic!("a forecast was stored");
        };
        assert_eq!(read.family, PrognosisFamily::Trend);
        assert_eq!((read.limit, read.loss_per_day), (Some(30.0), Some(0.5)));
        assert!(read.detail.is_empty());
        let again = serde_json::to_string(&read).unwrap();
        assert!(!again.contains("detail"), "{again}");
    }

    #[test]
    fn the_detail_of_a_trained_model_survives_storage() {
        let detail = ForecastDetail {
            version: Some(3),
            fan: vec![FanQuantile {
                level: 0.5,
                rul_s: 7_200.0,
            }],
            within: vec![FailureWithin {
                horizon_s: 86_400.0,
                probability: None,
                rank: Some(0.9),
                shown: Shown::Rank,
                family: Some(PrognosisFamily::Classifier),
                reason: Some(Explanation {
                    en: "calibration error 0.2 is above 0.1".to_owned(),
                    zh: "校准误差 0.2 高于 0.1".to_owned(),
                }),
            }],
            notes: vec!["window_only".to_owned()],
            ..ForecastDetail::default()
        };
        let text = serde_json::to_string(&detail).unwrap();
        let english =
            r#"{"horizon_s":1.0,"probability":null,"rank":0.5,"shown":"rank","reason":"no"}"#;
        let earlier: FailureWithin = serde_json::from_str(english).unwrap();
        assert_eq!(earlier.reason.unwrap().zh, "no");
        assert_eq!(
            serde_json::from_str::<ForecastDetail>(&text).unwrap(),
            detail
        );
    }
}
