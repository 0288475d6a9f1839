//! What a forecast of a trained model looks like in the API.

use serde::Deserialize;
use utoipa::ToSchema;

/// What kind of model made a forecast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrognosisFamily {
    /// The asset's own trend, carried forward to the limit of its health index.
    Trend,
    /// What became of other assets of the same kind that looked like this one.
    Fleet,
    /// Ages at failure alone.
    LifeData,
    /// Life data, updated by telemetry.
    Combined,
    /// What measurements, error codes, maintenance and facts were like before past failures.
    Classifier,
}

/// What a trained model says beyond three quantiles.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastDetail {
    /// The kind of machine the model was trained for.
    asset_model: Option<String>,
    /// The version of the model.
    version: Option<u32>,
    /// The component that is forecast; the machine as a whole without one.
    component: Option<String>,
    /// The quantiles of the fan, rising in level and life.
    fan: Vec<FanQuantile>,
    /// Failure within the asked horizons, shortest first.
    within: Vec<FailureWithin>,
    /// The probability of failing within the next day if the present rate stood.
    hazard_per_day: Option<f64>,
    /// What moved the forecast, the strongest first.
    contributions: Vec<ForecastContribution>,
    /// Past lives that looked most like this one at its age.
    similar: Vec<SimilarLife>,
    /// `window_only`, `beyond_cap`, `missing_signals`.
    notes: Vec<String>,
}

/// A quantile of the fan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FanQuantile {
    /// The part of the distribution below, 0 to 1.
    level: f64,
    /// Remaining life in seconds.
    rul_s: f64,
}

/// How a number about failure may be read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As computed, never compared with failures.
    Nominal,
    /// Compared with failures the model had not seen, and within its bound.
    Calibrated,
    /// Only the order among assets counts.
    Rank,
}

/// Failure within a horizon.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureWithin {
    /// The horizon, in seconds from the forecast.
    horizon_s: f64,
    /// The probability, 0 to 1; none where only the rank may be shown.
    probability: Option<f64>,
    /// The part of the past forecasts of the fleet that were less alarming, 0 to 1.
    rank: Option<f64>,
    /// How it may be read.
    shown: Shown,
    /// Which family said it, when that is another than of the forecast as a whole.
    family: Option<PrognosisFamily>,
    /// Why it is no more than a rank.
    reason: Option<Words>,
}

/// A sentence in both languages.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// English.
    en: String,
    /// Simplified Chinese.
    zh: String,
}

/// What a group of features adds to a forecast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastContribution {
    /// The group: a signal, or `age`, or `history`.
    feature: String,
    /// How much life it adds (above zero) or takes, in seconds.
    rul_s: f64,
}

/// A past life that resembled this one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimilarLife {
    /// The asset that lived it.
    asset: String,
    /// Whether it ended by a failure; else it was taken out of service while healthy.
    failed: bool,
    /// The running time it still had when it looked like this, in seconds.
    rul_s: f64,
    /// How alike, 0 to 1.
    similarity: f64,
}

/// What came of a file of the past or, in a dry run, would.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryReport {
    /// Whether it was only asked what would happen.
    dry_run: bool,
    /// Whether it was done.
    applied: bool,
    /// Rows of the file without its header.
    rows: u64,
    /// Rows that say something new.
    new: u64,
    /// Rows that say something else than is known.
    changed: u64,
    /// Rows that say what is known already.
    unchanged: u64,
    /// Assets of the file that are not in the ledger, at most twenty.
    not_in_ledger: Vec<String>,
    /// What is wrong, by line and column.
    errors: Vec<super::OnboardError>,
    /// Errors beyond those that are listed.
    more_errors: u64,
}

/// A detail in which nothing is left out.
#[cfg(test)]
pub(super) fn full_detail() -> telemetry::ForecastDetail {
    let within = |shown| telemetry::FailureWithin {
        horizon_s: 3_600.0,
        probability: Some(0.5),
        rank: Some(0.5),
        shown,
        family: Some(telemetry::PrognosisFamily::Classifier),
        reason: Some(telemetry::Explanation {
            en: "why".to_owned(),
            zh: "原因".to_owned(),
        }),
    };
    telemetry::ForecastDetail {
        asset_model: telemetry::AssetModelId::new("pump").ok(),
        version: Some(1),
        component: telemetry::ComponentId::new("bearing").ok(),
        fan: vec![telemetry::FanQuantile {
            level: 0.5,
            rul_s: 1.0,
        }],
        within: [
            telemetry::Shown::Nominal,
            telemetry::Shown::Calibrated,
            telemetry::Shown::Rank,
        ]
        .map(within)
        .to_vec(),
        hazard_per_day: Some(0.1),
        contributions: vec![telemetry::ForecastContribution {
            feature: "age".to_owned(),
            rul_s: -3.0,
        }],
        similar: vec![telemetry::SimilarLife {
            asset: "pump-2".to_owned(),
            failed: true,
            rul_s: 9.0,
            similarity: 0.9,
        }],
        notes: vec!["window_only".to_owned()],
    }
}
