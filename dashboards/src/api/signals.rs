//! `/signals`: what is measured.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModel, DeviceId, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Params,
    page::{MAX_LIMIT, Page, Window},
    problem::Problem,
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SignalParams {
    /// Only of this asset's devices.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
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

/// List signals by device and name.
#[utoipa::path(get, path = "/signals", tag = "readings", params(SignalParams),
    responses((status = 200, body = Page<SeriesView>),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<SignalParams>,
) -> Result<Json<Page<SeriesView>>, Problem> {
    let window = Window::new(params.limit, params.cursor.as_deref(), MAX_LIMIT)?;
    let devices: Option<Vec<DeviceId>> = match (&params.asset, &params.device) {
        (None, None) => None,
        (None, Some(device)) => Some(vec![device.clone()]),
        (Some(asset), device) => {
            let asset = api.parts.service.asset(asset).await?;
            let asset = asset
                .ok_or_else(|| Problem::invalid_parameter("asset", "there is no such asset"))?;
            let wanted = |id: &DeviceId| device.as_ref().is_none_or(|device| device == id);
            Some(asset.devices.into_iter().filter(wanted).collect())
        }
    };
    let store = &api.parts.store;
    let mut series = match devices {
        None => store.series(None),
        Some(devices) => devices
            .iter()
            .flat_map(|device| store.series(Some(device)))
            .collect(),
    };
    // The key joins both names with a character that neither may hold and that sorts before
    // all others, so it sorts like the pair.
    let key = |device: &DeviceId, signal: &SignalName| format!("{device}\0{signal}");
    series.sort_by_cached_key(|series| key(&series.device, &series.signal));
    let page = window.cut(series, |series| key(&series.device, &series.signal));
    let items = page
        .items
        .into_iter()
        .map(|series| {
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
        })
        .collect();
    Ok(Json(Page {
        items,
        next: page.next,
    }))
}

/// The asset model behind a device, when it is known.
pub(crate) fn device_model<'a>(api: &'a Shared, device: &DeviceId) -> Option<&'a AssetModel> {
    let (_, model) = api.parts.service.assignment(device)?;
    api.parts.model(&model)
}
