//! `/scoreboard`: how far alerts can be trusted, by rule, model and kind of machine.

use std::time::Duration;

use alerting::scoreboard::{By, Estimate, Score, Setting, recalibrate::Lever, scores};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{AlertSource, AssetModelId, RuleId};
use utoipa::{IntoParams, ToSchema};

use super::{Shared, extract::Params, page::Page, problem::Problem, recalibrations::WaitView};
use crate::scoreboard::gather;

/// Days that are looked at when nobody says: a year has every season.
const DEFAULT_DAYS: u32 = 365;
/// The most; orders of ten years are some tens of thousands.
const MAX_DAYS: u32 = 3_660;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScoreFilter {
    /// What lines are told apart by: `source` (a rule or the detectors), `asset_model`, or both
    /// with a comma between them (the default); `none` is one line.
    by: Option<String>,
    /// The last so many days, 1 to 3,660; a year when it is left out.
    days: Option<u32>,
}

/// Who raises alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertSourceView {
    /// `model` for the detectors, or `rule`.
    pub(super) kind: &'static str,
    /// Which rule.
    #[schema(value_type = Option<String>)]
    pub(super) rule: Option<RuleId>,
}

/// A number with the interval it lies in with 95 %.
#[derive(Debug, Serialize, ToSchema)]
pub struct EstimateView {
    /// The number.
    value: f64,
    /// The lower end; null where there are too few cases for one.
    low: Option<f64>,
    /// The upper end.
    high: Option<f64>,
}

impl From<Estimate> for EstimateView {
    fn from(one: Estimate) -> Self {
        Self {
            value: one.value,
            low: one.low,
            high: one.high,
        }
    }
}

/// A line of the scoreboard.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoreLine {
    /// Who raised the alerts; null for all.
    source: Option<AlertSourceView>,
    /// The kind of machine; null for all.
    #[schema(value_type = Option<String>)]
    asset_model: Option<AssetModelId>,
    /// Cases.
    alerts: u32,
    /// Those whose order found a fault.
    confirmed: u32,
    /// Those whose order found nothing.
    no_fault_found: u32,
    /// Those that told of a machine and only a sensor was wrong.
    sensor_fault: u32,
    /// Those nobody has looked at yet.
    open: u32,
    /// Failures that could have been foretold and were not.
    missed: u32,
    /// The part of the judged alerts that were right, 0 to 1 (Wilson).
    precision: Option<EstimateView>,
    /// The part of the failures that were foretold, 0 to 1 (Wilson).
    recall: Option<EstimateView>,
    /// Seconds from alarm to the end of the work, the median (order statistics).
    lead_time_s: Option<EstimateView>,
    /// False alarms a month on one asset (Poisson, exact).
    false_alarms_per_asset_month: Option<EstimateView>,
    /// Months that assets were watched.
    asset_months: f64,
    /// How far its limit lies from where it was written; null where a line is of several.
    factor: Option<f64>,
    /// How long its alerts wait for themselves to pass; of a line of one source and one kind of
    /// machine.
    waits: Vec<WaitView>,
}

impl ScoreLine {
    fn of(score: Score, settings: &[Setting]) -> Self {
        let key = score.source.as_ref().zip(score.asset_model.as_ref());
        let own: Vec<&Setting> = settings
            .iter()
            .filter(|one| key == Some((&one.source, &one.asset_model)))
            .collect();
        let limit = own.iter().find(|one| one.lever == Lever::Limit);
        let factor = key.map(|_| limit.map_or(1.0, |one| one.value));
        let waits = own.into_iter().filter_map(WaitView::of).collect();
        Self {
            waits,
            source: score.source.map(|source: AlertSource| source.into()),
            asset_model: score.asset_model,
            alerts: score.alerts,
            confirmed: score.confirmed,
            no_fault_found: score.no_fault_found,
            sensor_fault: score.sensor_fault,
            open: score.open,
            missed: score.missed,
            precision: score.precision.map(EstimateView::from),
            recall: score.recall.map(EstimateView::from),
            lead_time_s: score.lead_time_s.map(EstimateView::from),
            false_alarms_per_asset_month: score
                .false_alarms_per_asset_month
                .map(EstimateView::from),
            asset_months: score.asset_months,
            factor,
        }
    }
}

fn by(text: Option<&str>) -> Result<By, Problem> {
    let mut by = By::default();
    for word in text.unwrap_or("source,asset_model").split(',') {
        match word.trim() {
            "source" | "rule" | "model" => by.source = true,
            "asset_model" => by.asset_model = true,
            "none" => {}
            _ => {
                return Err(Problem::invalid_parameter(
                    "by",
                    "use source, asset_model, both with a comma between them, or none",
                ));
            }
        }
    }
    Ok(by)
}

/// List how far alerts can be trusted.
#[utoipa::path(get, path = "/scoreboard", tag = "rules", params(ScoreFilter),
    responses((status = 200, body = Page<ScoreLine>),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(filter): Params<ScoreFilter>,
) -> Result<Json<Page<ScoreLine>>, Problem> {
    let by = by(filter.by.as_deref())?;
    let days = filter.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::invalid_parameter("days", "use 1 to 3660"));
    }
    let to = api.parts.clock.now();
    let from = to - Duration::from_secs(u64::from(days) * 86_400);
    let record = gather(&api.parts.cases, &api.parts.service, (from, to)).await?;
    let settings = api.recalibrations.settings().await?;
    let items = scores(&record, by).into_iter();
    Ok(Json(Page {
        items: items.map(|score| ScoreLine::of(score, &settings)).collect(),
        next: None,
    }))
}
