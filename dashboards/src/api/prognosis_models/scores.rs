//! `/prognosis-models/{id}/{version}/scores`: forecasts against what happened.

use axum::{extract::State, response::Response};
use historian::ForecastScore;
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Shared,
        list::{Listed, Listing, PageParams},
        page::Page,
        problem::Problem,
        table::Cell,
    },
    BrierView, Version, brier, card,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScoreFilter {
    /// Only about this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
}

/// A forecast against what happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four findings about one forecast, none of which excludes another"
)]
pub struct ScoreView {
    /// The asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// The device it rested on.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// When it was made, in event time.
    #[schema(value_type = String, format = DateTime)]
    pub forecast_at: Timestamp,
    /// When the life ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// Whether it was made beside the serving model instead of shown.
    pub shadow: bool,
    /// Whether the life ended in a failure.
    pub failed: bool,
    /// The life that was left, seconds.
    pub truth_s: f64,
    /// The forecast: 10 %, 50 % and 90 % quantile, seconds.
    pub quantiles_s: Vec<f64>,
    /// Continuous ranked probability score, seconds.
    pub crps_s: f64,
    /// Whether the truth lay inside the 80 % interval.
    pub in_interval: bool,
    /// Whether the median was within a fifth of the truth.
    pub within_alpha: bool,
    /// Squared error of the probabilities.
    pub brier: Vec<BrierView>,
}

impl From<ForecastScore> for ScoreView {
    fn from(score: ForecastScore) -> Self {
        Self {
            asset: score.asset,
            device: score.device,
            forecast_at: score.forecast_at,
            ended_at: score.ended_at,
            shadow: score.shadow,
            failed: score.failed,
            truth_s: score.truth_s,
            quantiles_s: score.quantiles_s.to_vec(),
            crps_s: score.crps_s,
            in_interval: score.in_interval,
            within_alpha: score.within_alpha,
            brier: brier(&score.brier),
        }
    }
}

/// List the forecasts of a version against what happened, the newest first.
#[utoipa::path(get, path = "/prognosis-models/{id}/{version}/scores", tag = "prognosis",
    params(("id" = String, Path, description = "The kind of machine"),
        ("version" = u32, Path, description = "The version"), ScoreFilter, PageParams),
    responses((status = 200, description = "A page of scores", content(
        (Page<ScoreView> = "application/json"), (String = "text/csv"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    asked: Version,
    list: Listing<ScoreFilter>,
) -> Result<Response, Problem> {
    card(&api, &asked).await?;
    let asset = list.filter.asset.clone();
    let scores = api
        .parts
        .registry
        .scores(asked.asset_model, Some(asked.version), asset)
        .await?;
    let views: Vec<ScoreView> = scores.into_iter().map(ScoreView::from).collect();
    let key = |view: &ScoreView| {
        let newest_first = i64::MAX.abs_diff(view.forecast_at.as_micros());
        format!("{newest_first:020} {} {}", view.asset, view.device)
    };
    let mut views = views;
    views.sort_by_key(key);
    Ok(list.cut(views, key))
}

impl Listed for ScoreView {
    const NAME: &'static str = "forecast-scores";
    const COLUMNS: &'static [&'static str] = &[
        "asset",
        "device",
        "forecast_at",
        "ended_at",
        "failed",
        "truth_s",
        "p10_s",
        "p50_s",
        "p90_s",
        "crps_s",
    ];

    fn row(self) -> Vec<Cell> {
        let quantile = |at: usize| Cell::maybe(self.quantiles_s.get(at));
        vec![
            Cell::text(self.asset.to_string()),
            Cell::text(self.device.to_string()),
            Cell::plain(self.forecast_at),
            Cell::plain(self.ended_at),
            Cell::plain(self.failed),
            Cell::plain(self.truth_s),
            quantile(0),
            quantile(1),
            quantile(2),
            Cell::plain(self.crps_s),
        ]
    }
}
