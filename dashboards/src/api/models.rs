//! `/models`: the kinds of machines that are known.

use axum::{Json, extract::State};
use serde::Serialize;
use telemetry::{AssetModel, AssetModelId, FailureMode, SignalName, Unit};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::Params,
    page::{ListParams, MAX_LIMIT, Page, Window},
    problem::Problem,
};
use crate::labels::{self, Text};

/// An asset model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: AssetModelId,
    /// Its name.
    pub name: Text,
    /// The signals its devices publish.
    pub signals: Vec<ModelSignal>,
    /// Its failure modes.
    pub failure_modes: Vec<ModelFailureMode>,
}

/// A signal of an asset model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelSignal {
    /// Its name in payloads.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of its unit.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Its name for people.
    pub label: Text,
}

/// A failure mode of an asset model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelFailureMode {
    /// Its id.
    #[schema(value_type = String)]
    pub failure_mode: FailureMode,
    /// Its name.
    pub name: Text,
}

impl From<&AssetModel> for ModelView {
    fn from(model: &AssetModel) -> Self {
        let signals = model.signals.iter().map(|spec| ModelSignal {
            signal: spec.name.clone(),
            unit: spec.unit,
            label: Text::new(&spec.label_en, &spec.label_zh),
        });
        let modes = model.failure_modes.iter().map(|mode| ModelFailureMode {
            failure_mode: mode.mode.clone(),
            name: Text::new(&mode.name_en, &mode.name_zh),
        });
        Self {
            id: model.id.clone(),
            name: labels::model_name(model),
            signals: signals.collect(),
            failure_modes: modes.collect(),
        }
    }
}

/// List asset models by id.
#[utoipa::path(get, path = "/models", tag = "ledger", params(ListParams),
    responses((status = 200, body = Page<ModelView>)))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<ModelView>>, Problem> {
    let window = Window::new(params.limit, params.cursor.as_deref(), MAX_LIMIT)?;
    let models = api
        .parts
        .models
        .values()
        .map(|model| ModelView::from(&**model));
    Ok(Json(
        window.cut(models.collect(), |model| model.id.to_string()),
    ))
}
