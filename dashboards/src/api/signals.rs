//! `/signals`: what is measured.

use axum::{extract::State, response::Response};
use historian::SeriesInfo;
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModel, DeviceId, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SignalFilter {
    /// Only of this asset's devices.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// One signal of one device, with the extent of what is stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeriesView {
    /// Who measures it.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// Its name in payloads.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of its unit; null when it is not known.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// Its name for people.
    pub label: Text,
    /// Readings stored.
    pub count: u64,
    /// The earliest event time stored.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// The newest event time stored.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// The value at the newest event time.
    pub last_value: f64,
}

impl Listed for SeriesView {
    const NAME: &'static str = "signals";
    const COLUMNS: &'static [&'static str] = &[
        "device",
        "signal",
        "unit",
        "count",
        "first_at",
        "last_at",
        "last_value",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.device.to_string()),
            Cell::text(self.signal.as_str()),
            Cell::maybe(self.unit),
            Cell::plain(self.count),
            Cell::plain(self.first_at),
            Cell::plain(self.last_at),
            Cell::plain(self.last_value),
        ]
    }
}

/// List signals by device and name.
#[utoipa::path(get, path = "/signals", tag = "readings", params(SignalFilter, PageParams),
    responses((status = 200, description = "A page of signals", content(
        (Page<SeriesView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<SignalFilter>,
) -> Result<Response, Problem> {
    let SignalFilter { asset, device } = &list.filter;
    let stored = stored(&api, asset.as_ref(), device.as_ref()).await?;
    let page = list.window.cut(stored, key);
    let items = page.items.into_iter().map(|series| {
        let model = device_model(&api, &series.device);
        SeriesView {
            unit: labels::unit(model, &series.signal),
            label: labels::signal_label(model, &series.signal),
            device: series.device,
            signal: series.signal,
            count: series.count,
            first_at: series.first_at,
            last_at: series.last_at,
            last_value: series.last_value,
        }
    });
    Ok(list.answer(Page {
        items: items.collect(),
        next: page.next,
    }))
}

/// What is stored of an asset's devices, of one device or of all, by device and name.
pub(crate) async fn stored(
    api: &Shared,
    asset: Option<&AssetId>,
    device: Option<&DeviceId>,
) -> Result<Vec<SeriesInfo>, Problem> {
    let readings = &api.parts.readings;
    let Some(asset) = asset else {
        // The store gives them in this order.
        return Ok(readings.series(device).await?);
    };
    let asset = api.parts.service.asset(asset).await?;
    let asset =
        asset.ok_or_else(|| Problem::invalid_parameter("asset", "there is no such asset"))?;
    let wanted = |id: &&DeviceId| device.is_none_or(|device| device == *id);
    let mut stored = Vec::new();
    for device in asset.devices.iter().filter(wanted) {
        stored.extend(readings.series(Some(device)).await?);
    }
    stored.sort_by_cached_key(key);
    Ok(stored)
}

/// The key of a list of series: both names joined with a character that neither may hold and
/// that sorts before all others, so it sorts like the pair.
pub(crate) fn key(series: &SeriesInfo) -> String {
    format!("{}\0{}", series.device, series.signal)
}

/// The asset model behind a device, when it is known.
pub(crate) fn device_model<'a>(api: &'a Shared, device: &DeviceId) -> Option<&'a AssetModel> {
    let (_, model) = api.parts.service.assignment(device)?;
    api.parts.model(&model)
}
