//! `/recalibrations`: what the orders of alerts made of their limits, and the way back.

use alerting::scoreboard::{
    Recalibration, Setting,
    recalibrate::{Lever, Rise},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{AlertSource, AssetModelId, FailureMode, JournalRecord, JournalWriter, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Number},
    page::Page,
    problem::Problem,
    scoreboard::AlertSourceView,
};
use crate::labels::Text;

/// One move of a limit, or of the time that alerts wait for themselves to pass.
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
    /// `limit`, or for the time that alerts wait `patience`, and `abrupt_patience` of those that
    /// rose abruptly.
    #[schema(example = "limit")]
    lever: &'static str,
    /// Of waits: alerts for this failure mode.
    #[schema(value_type = Option<String>)]
    failure_mode: Option<FailureMode>,
    /// Before: of `limit` a factor, 1 where it was written; of waits days.
    from: f64,
    /// Since; the more, the rarer.
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
        let (lever, failure_mode) = match one.lever {
            Lever::Limit => ("limit", None),
            Lever::Patience { failure_mode, rise } => (word_of(rise), Some(failure_mode)),
        };
        Self {
            lever,
            failure_mode,
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

/// How long alerts wait for themselves to pass.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitView {
    /// On assets of this kind.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// Alerts for this failure mode.
    #[schema(value_type = String)]
    failure_mode: FailureMode,
    /// Of alarms that rose abruptly, or of those that grew.
    abrupt: bool,
    /// So many days.
    days: f64,
}

impl WaitView {
    /// The wait of a setting; none for a limit, or where nothing waits any more.
    pub(super) fn of(setting: &Setting) -> Option<Self> {
        match &setting.lever {
            Lever::Patience { failure_mode, rise } if setting.value > 0.0 => Some(Self {
                asset_model: setting.asset_model.clone(),
                failure_mode: failure_mode.clone(),
                abrupt: *rise == Rise::Abrupt,
                days: setting.value,
            }),
            _ => None,
        }
    }
}

const fn word_of(rise: Rise) -> &'static str {
    match rise {
        Rise::Gradual => "patience",
        Rise::Abrupt => "abrupt_patience",
    }
}

/// List every move of a limit or a wait, newest first.
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

/// What is in force now.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// Whose alerts.
    source: AlertSourceView,
    /// On assets of this kind.
    #[schema(value_type = String)]
    asset_model: AssetModelId,
    /// Of a limit its factor, 1 where it was written; of a wait days.
    value: f64,
}

/// Take the last move of a limit or a wait back. What its orders found before does not count again.
#[utoipa::path(post, path = "/recalibrations/{id}/revert", tag = "rules", request_body = Revert,
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = InForce),
        (status = 409, description = "It is not the last move of its alerts", body = Problem,
            content_type = "application/problem+json")))]
pub(crate) async fn revert(
    State(api): State<Shared>,
    Number(id): Number,
    Body(body): Body<Revert>,
) -> Result<Json<InForce>, Problem> {
    let undo = api.recalibrations.undo(id).await?;
    let undo = undo.ok_or_else(|| {
        Problem::conflict(format!(
            "recalibration {id} is not the last move of its alerts"
        ))
    })?;
    let at = api.parts.clock.now();
    if let Some(event) = undo.event(at) {
        let record = JournalRecord {
            events: vec![event],
            ..JournalRecord::default()
        };
        api.parts.journal.append(record).await?;
    }
    api.recalibrations
        .note(&undo, &body.by, at, Some(id))
        .await?;
    Ok(Json(InForce {
        source: undo.source.into(),
        asset_model: undo.asset_model,
        value: undo.to,
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
