//! What forecasts were worth, once the truth arrived.

use rusqlite::params;
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, DeviceId, Timestamp};

use super::ModelRegistry;
use crate::error::{During, HistorianError};

/// Scores that are listed: the forecasts of some hundred lives.
const MAX_LISTED: u32 = 10_000;

/// One forecast against what happened. Times are calendar seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four findings about one forecast, none of which excludes another"
)]
pub struct ForecastScore {
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// The version that forecast.
    pub version: u32,
    /// The asset.
    pub asset: AssetId,
    /// The device it rested on.
    pub device: DeviceId,
    /// When it was made, in event time.
    pub forecast_at: Timestamp,
    /// When the life ended.
    pub ended_at: Timestamp,
    /// Whether people saw it; else a challenger made it beside the champion.
    pub shadow: bool,
    /// Whether the life ended in a failure.
    pub failed: bool,
    /// The life that was left.
    pub truth_s: f64,
    /// What was forecast: 10 %, 50 % and 90 % quantile.
    pub quantiles_s: [f64; 3],
    /// Continuous ranked probability score; lower is better.
    pub crps_s: f64,
    /// Whether the truth lay between the 10 % and the 90 % quantile.
    pub in_interval: bool,
    /// Whether the median was within a fifth of the truth (α-λ with α = 0.2).
    pub within_alpha: bool,
    /// Squared error of the probability for each horizon, by seconds; none where only a rank
    /// was shown.
    pub brier: Vec<(f64, f64)>,
}

/// What the forecasts of a version were worth together. Only of lives that ended in a failure:
/// of the others the truth is that they would have lasted longer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoreSummary {
    /// Forecasts scored.
    pub forecasts: u64,
    /// Lives they were about.
    pub lives: u64,
    /// Mean continuous ranked probability score, seconds.
    pub crps_s: Option<f64>,
    /// Part of the truths inside the 80 % interval.
    pub coverage: Option<f64>,
    /// Part of the medians within a fifth of the truth.
    pub alpha: Option<f64>,
    /// Mean squared error of the probabilities by horizon, seconds.
    pub brier: Vec<(f64, f64)>,
    /// Median of the time between the first forecast whose 90 % quantile did not lie after the
    /// failure by more than a fifth, and the failure.
    pub lead_s: Option<f64>,
}

impl ScoreSummary {
    /// Adds up scores.
    pub fn of(scores: &[ForecastScore]) -> Self {
        let failed: Vec<&ForecastScore> = scores.iter().filter(|score| score.failed).collect();
        if failed.is_empty() {
            return Self::default();
        }
        let count = failed.len() as f64;
        let share = |hit: &dyn Fn(&ForecastScore) -> bool| {
            Some(failed.iter().filter(|score| hit(score)).count() as f64 / count)
        };
        let mut lives: Vec<(&AssetId, Timestamp)> = failed
            .iter()
            .map(|score| (&score.asset, score.ended_at))
            .collect();
        lives.sort();
        lives.dedup();
        let mut leads: Vec<f64> = lives
            .iter()
            .filter_map(|life| {
                let of_life = failed
                    .iter()
                    .filter(|score| (&score.asset, score.ended_at) == *life);
                let warned = of_life.filter(|score| score.quantiles_s[2] <= score.truth_s * 1.2);
                warned.map(|score| score.truth_s).reduce(f64::max)
            })
            .collect();
        leads.sort_by(f64::total_cmp);
        Self {
            forecasts: failed.len() as u64,
            lives: lives.len() as u64,
            crps_s: Some(failed.iter().map(|score| score.crps_s).sum::<f64>() / count),
            coverage: share(&|score| score.in_interval),
            alpha: share(&|score| score.within_alpha),
            brier: brier(&failed),
            lead_s: leads.get(leads.len() / 2).copied(),
        }
    }
}

fn brier(scores: &[&ForecastScore]) -> Vec<(f64, f64)> {
    let mut horizons: Vec<f64> = scores
        .iter()
        .flat_map(|score| score.brier.iter().map(|(horizon, _)| *horizon))
        .collect();
    horizons.sort_by(f64::total_cmp);
    horizons.dedup();
    let mean = |horizon: f64| {
        let errors = scores.iter().flat_map(|score| &score.brier);
        let errors: Vec<f64> = errors
            .filter(|(at, _)| (at - horizon).abs() < 1e-6)
            .map(|(_, error)| *error)
            .collect();
        errors.iter().sum::<f64>() / errors.len().max(1) as f64
    };
    horizons.into_iter().map(|h| (h, mean(h))).collect()
}

impl ModelRegistry {
    /// Keeps scores; the same forecast again takes the place of its score.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn put_scores(&self, scores: Vec<ForecastScore>) -> Result<(), HistorianError> {
        const ACTION: &str = "keep scores of forecasts";
        self.change(move |connection| {
            let tx = crate::sqlite::begin(connection)?;
            for score in &scores {
                let text =
                    serde_json::to_string(score).map_err(|source| HistorianError::Encode {
                        what: "the score of a forecast",
                        source,
                    })?;
                tx.execute(
                    "INSERT OR REPLACE INTO scores (asset_model, version, asset, device,
                         forecast_at, ended_at, shadow, score)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    params![
                        score.asset_model.as_str(),
                        score.version,
                        score.asset.as_str(),
                        score.device.as_str(),
                        score.forecast_at.as_micros(),
                        score.ended_at.as_micros(),
                        score.shadow,
                        text
                    ],
                )
                .during(ACTION)?;
            }
            tx.commit().during(ACTION)
        })
        .await
    }

    /// Scores of a kind and, if asked, of one version or one asset, newest forecast first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn scores(
        &self,
        asset_model: AssetModelId,
        version: Option<u32>,
        asset: Option<AssetId>,
    ) -> Result<Vec<ForecastScore>, HistorianError> {
        const ACTION: &str = "read scores of forecasts";
        self.call(move |connection| {
            let mut statement = connection
                .prepare(
                    "SELECT score FROM scores WHERE asset_model = ?1
                       AND (?2 IS NULL OR version = ?2) AND (?3 IS NULL OR asset = ?3)
                     ORDER BY forecast_at DESC LIMIT ?4",
                )
                .during(ACTION)?;
            let asset = asset.as_ref().map(AssetId::as_str);
            let found = statement
                .query_map(
                    params![asset_model.as_str(), version, asset, MAX_LISTED],
                    |row| row.get::<_, String>(0),
                )
                .during(ACTION)?;
            let mut scores = Vec::new();
            for text in found {
                let text = text.during(ACTION)?;
                // What another release wrote and this one cannot read says nothing here.
                scores.extend(serde_json::from_str(&text).ok());
            }
            Ok(scores)
        })
        .await
    }
}
