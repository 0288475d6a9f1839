//! `/models`: the kinds of machines that are known.

use axum::{extract::State, response::Response};
use serde::Serialize;
use telemetry::{AssetModel, AssetModelId, FailureMode, SignalName, Unit};
use utoipa::ToSchema;

use super::{
    Shared,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    table::Cell,
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
#[utoipa::path(get, path = "/models", tag = "ledger", params(PageParams),
    responses((status = 200, description = "A page of asset models", content(
        (Page<ModelView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(State(api): State<Shared>, list: Listing<NoFilter>) -> Response {
    let models = api.parts.models.values();
    let models = models.map(|model| ModelView::from(&**model)).collect();
    list.cut(models, |model: &ModelView| model.id.to_string())
}

impl Listed for ModelView {
    const NAME: &'static str = "models";
    const COLUMNS: &'static [&'static str] = &["id", "name_en", "name_zh", "signals"];

    fn row(self) -> Vec<Cell> {
        let signals: Vec<&str> = self.signals.iter().map(|one| one.signal.as_str()).collect();
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.name.en),
            Cell::text(self.name.zh),
            Cell::text(signals.join("; ")),
        ]
    }
}
