//! `/recalibrations`: what the orders of alerts made of their limits, and the way back.

use alerting::scoreboard::Recalibration;
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{AlertSource, AssetModelId, Event, JournalRecord, JournalWriter, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Number},
    page::Page,
    problem::Problem,
    scoreboard::AlertSourceView,
};
use crate::labels::Text;

/// One move of a limit.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecalibrationView {
    /// Its number.
    id: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Whose alerts.
    source: AlertSourceView,
    /// On assets of this kind.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// The factor before; 1 is where the limit was written.
    from: f64,
    /// The factor since; above 1 is rarer.
    to: f64,
    /// Why.
    because: Text,
    /// `recalibration`, or the person who took one back.
    by: String,
    /// Which one it takes back.
    reverts: Option<u64>,
    /// Whether it was taken back.
    reverted: bool,
}

impl From<Recalibration> for RecalibrationView {
    fn from(one: Recalibration) -> Self {
        Self {
            id: one.id,
            at: one.at,
            source: one.source.into(),
            asset_model: one.asset_model,
            from: one.from,
            to: one.to,
            because: Text {
                en: one.because.en,
                zh: one.because.zh,
            },
            by: one.by,
            reverts: one.reverts,
            reverted: one.reverted,
        }
    }
}

/// List every move of a limit, newest first.
#[utoipa::path(get, path = "/recalibrations", tag = "rules",
    responses((status = 200, body = Page<RecalibrationView>)))]
pub(crate) async fn list(
    State(api): State<Shared>,
) -> Result<Json<Page<RecalibrationView>>, Problem> {
    let all = api.recalibrations.list().await?;
    Ok(Json(Page {
        items: all.into_iter().map(RecalibrationView::from).collect(),
        next: None,
    }))
}

/// Who takes a move back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// The person.
    by: String,
}

/// The factor that is in force now.
#[derive(Debug, Serialize, ToSchema)]
pub struct FactorInForce {
    /// Whose alerts.
    source: AlertSourceView,
    /// On assets of this kind.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// 1 is where the limit was written.
    factor: f64,
}

/// Take the last move of a limit back. What its orders found before does not count again.
#[utoipa::path(post, path = "/recalibrations/{id}/revert", tag = "rules", request_body = Revert,
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = FactorInForce),
        (status = 409, description = "It is not the last move of its alerts", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn revert(
    State(api): State<Shared>,
    Number(id): Number,
    Body(body): Body<Revert>,
) -> Result<Json<FactorInForce>, Problem> {
    let undo = api.recalibrations.undo(id).await?;
    let undo = undo.ok_or_else(|| {
        Problem::conflict(format!(
            "recalibration {id} is not the last move of its alerts"
        ))
    })?;
    let at = api.parts.clock.now();
    let event = Event::AlertsRecalibrated {
        source: undo.source.clone(),
        asset_model: undo.asset_model.clone(),
        factor: undo.to,
        at,
    };
    let record = JournalRecord {
        events: vec![event],
        ..JournalRecord::default()
    };
    api.parts.journal.append(record).await?;
    api.recalibrations
        .note(&undo, &body.by, at, Some(id))
        .await?;
    Ok(Json(FactorInForce {
        source: undo.source.into(),
        asset_model: undo.asset_model,
        factor: undo.to,
    }))
}

impl From<AlertSource> for AlertSourceView {
    fn from(source: AlertSource) -> Self {
        match source {
            AlertSource::Model => Self {
                kind: "model",
                rule: None,
            },
            AlertSource::Rule { rule } => Self {
                kind: "rule",
                rule: Some(rule),
            },
        }
    }
}
