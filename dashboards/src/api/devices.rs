//! `/devices`: what speaks MQTT.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use service::{Asset, SiteRef};
use telemetry::{AssetId, DeviceId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Params,
    page::{MAX_LIMIT, Page, Window},
    problem::Problem,
    schema,
};

/// Devices read from the ledger at a time.
const BATCH: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceParams {
    /// Only those that watch this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
}

/// A device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// The asset it watches; null when it was taken off one.
    #[schema(value_type = Option<String>)]
    pub asset: Option<AssetId>,
    /// The name of the asset.
    pub asset_name: Option<String>,
    /// Where the asset stands.
    #[schema(value_type = Option<schema::SiteRef>)]
    pub site: Option<SiteRef>,
    /// Whether it is connected; null when that is not known.
    pub online: Option<bool>,
    /// The newest event time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_measured_at: Option<Timestamp>,
    /// When its last reading arrived; null when none did since the start of the program.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_received_at: Option<Timestamp>,
    /// Readings stored.
    pub reading_count: u64,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
}

/// List devices by id.
#[utoipa::path(get, path = "/devices", tag = "assets", params(DeviceParams),
    responses((status = 200, body = Page<DeviceView>),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<DeviceParams>,
) -> Result<Json<Page<DeviceView>>, Problem> {
    let window = Window::new(params.limit, params.cursor.as_deref(), MAX_LIMIT)?;
    let mut after: Option<DeviceId> = window.after_as()?;
    let mut assets: BTreeMap<AssetId, Option<Asset>> = BTreeMap::new();
    let mut found = Vec::new();
    loop {
        let batch = api.parts.service.devices(after.as_ref(), BATCH).await?;
        for device in &batch {
            if params.asset.is_some() && params.asset != device.asset {
                continue;
            }
            if let Some(id) = &device.asset
                && !assets.contains_key(id)
            {
                let asset = api.parts.service.asset(id).await?;
                assets.insert(id.clone(), asset);
            }
            let asset = device.asset.as_ref().and_then(|id| assets.get(id));
            found.push(view(&api, device, asset.and_then(Option::as_ref)));
            if found.len() > window.limit {
                break;
            }
        }
        after = batch.last().map(|device| device.id.clone());
        if found.len() > window.limit || batch.len() < BATCH as usize {
            break;
        }
    }
    Ok(Json(window.page(found, |device| device.id.to_string())))
}

fn view(api: &Shared, device: &service::Device, asset: Option<&Asset>) -> DeviceView {
    let live = asset.and_then(|asset| api.parts.fleet.get(&asset.id));
    let live = live.as_ref().and_then(|live| live.devices.get(&device.id));
    let series = api.parts.store.series(Some(&device.id));
    let measured = live.and_then(|live| live.view.as_ref().map(|view| view.last_measured_at));
    DeviceView {
        id: device.id.clone(),
        asset: device.asset.clone(),
        asset_name: asset.map(|asset| asset.name.as_str().to_owned()),
        site: asset.map(|asset| asset.site.clone()),
        online: live.and_then(|live| live.online),
        last_measured_at: measured.max(series.iter().map(|series| series.last_at).max()),
        last_received_at: live.and_then(|live| live.last_received_at),
        reading_count: series.iter().map(|series| series.count).sum(),
        registered_at: device.registered_at,
    }
}
