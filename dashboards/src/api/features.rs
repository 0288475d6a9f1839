//! `/assets/{id}/features`: what the last values of each signal say, in a few numbers.
//!
//! Features are followed by analytics beside its verdicts, and shown as they stand. Those of
//! vibration snapshots are signals of their own, `waveform.<axis>.…`; see docs/vibration.md.

use analytics::{DeviceView, SignalView};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Id,
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};
use crate::labels;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeatureFilter {
    /// Only of this signal.
    #[param(value_type = Option<String>)]
    signal: Option<SignalName>,
}

/// A feature of a signal as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FeatureView {
    /// Its name, `signal.feature`; `waveform.…` signals are features themselves and come with
    /// their last value under their own name.
    pub name: String,
    /// Whose signal it is.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The signal.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// Which feature: `mean`, `slope`, …; `last` for the last value of a `waveform.…` signal.
    pub feature: String,
    /// The symbol of its unit; null when the signal's is not known.
    pub unit: Option<String>,
    /// Its value.
    pub value: f64,
    /// The time of the signal's last value.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Listed for FeatureView {
    const NAME: &'static str = "features";
    const COLUMNS: &'static [&'static str] =
        &["name", "device", "signal", "feature", "unit", "value", "at"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.name),
            Cell::text(self.device.to_string()),
            Cell::text(self.signal.as_str()),
            Cell::text(self.feature),
            Cell::text(self.unit.unwrap_or_default()),
            Cell::plain(self.value),
            Cell::plain(self.at),
        ]
    }
}

/// List the features of an asset's signals as they stand, by device, signal and feature.
#[utoipa::path(get, path = "/assets/{id}/features", tag = "assets",
    params(("id" = String, Path, description = "The asset's id"), FeatureFilter, PageParams),
    responses((status = 200, description = "A page of features", content(
        (Page<FeatureView> = "application/json"), (String = "text/csv"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Id(id): Id<AssetId>,
    list: Listing<FeatureFilter>,
) -> Result<Response, Problem> {
    let asset = api.parts.service.asset(&id).await?;
    let asset = asset.ok_or_else(|| Problem::no_such("asset", &id))?;
    let model = api.parts.model(&asset.model);
    let live = api.parts.fleet.get(&id);
    let mut found = Vec::new();
    for live in live.iter().flat_map(|live| live.devices.values()) {
        let Some(view) = &live.view else {
            continue;
        };
        for signal in &view.signals {
            if list
                .filter
                .signal
                .as_ref()
                .is_none_or(|one| *one == signal.signal)
            {
                let unit = labels::unit(model, &signal.signal);
                features(view, signal, unit, &mut found);
            }
        }
    }
    let key = |feature: &FeatureView| format!("{} {}", feature.device, feature.name);
    found.sort_by_cached_key(key);
    Ok(list.cut(found, key))
}

fn features(
    view: &DeviceView,
    signal: &SignalView,
    unit: Option<Unit>,
    found: &mut Vec<FeatureView>,
) {
    let Some((at, last)) = signal.last else {
        return;
    };
    let feature = |name: String, feature: &str, unit: Option<String>, value: f64| FeatureView {
        name,
        device: view.device.clone(),
        signal: signal.signal.clone(),
        feature: feature.to_owned(),
        unit,
        value,
        at,
    };
    if signal
        .signal
        .as_str()
        .starts_with(telemetry::DERIVED_PREFIX)
    {
        let unit = unit.map(|unit| unit.to_string());
        found.push(feature(signal.signal.to_string(), "last", unit, last));
    }
    for (one, value) in &signal.features {
        let name = format!("{}.{}", signal.signal, one.as_str());
        found.push(feature(name, one.as_str(), one.unit(unit), *value));
    }
}
