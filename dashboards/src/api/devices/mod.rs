//! `/devices`: what speaks, on whose behalf, and what is declared about it.

pub mod credentials;
pub mod late;

use std::collections::HashMap;

use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use service::{Asset, CredentialKind, DeclaredBy, NewDevice, SiteRef};
use telemetry::{AssetId, DeviceId, SignalLimits, SignalName, Timestamp, Unit};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id, Params},
    ledger::Ledger,
    list::{Listed, Listing, PageParams},
    onboarding::{self, OnboardParams, OnboardProblem},
    page::{Page, Window},
    problem::Problem,
    schema,
    table::Cell,
};

/// Devices read from the ledger at a time.
const BATCH: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeviceFilter {
    /// Only those that watch this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
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
    /// Readings that came later than the configured bound behind its newest.
    pub late_readings: u64,
    /// Its valid tokens.
    pub tokens: u64,
    /// Its valid certificates.
    pub certificates: u64,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
}

impl Listed for DeviceView {
    const NAME: &'static str = "devices";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "asset",
        "asset_name",
        "site",
        "online",
        "last_measured_at",
        "last_received_at",
        "reading_count",
        "late_readings",
        "tokens",
        "certificates",
        "registered_at",
    ];

    fn row(self) -> Vec<Cell> {
        let site = self.site.as_ref().map(|site| site.name.as_str());
        vec![
            Cell::text(self.id.to_string()),
            Cell::maybe(self.asset),
            Cell::text(self.asset_name.unwrap_or_default()),
            Cell::text(site.unwrap_or_default()),
            Cell::maybe(self.online),
            Cell::maybe(self.last_measured_at),
            Cell::maybe(self.last_received_at),
            Cell::plain(self.reading_count),
            Cell::plain(self.late_readings),
            Cell::plain(self.tokens),
            Cell::plain(self.certificates),
            Cell::plain(self.registered_at),
        ]
    }
}

/// List devices by id.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceFilter, PageParams),
    responses((status = 200, description = "A page of devices", content(
        (Page<DeviceView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<DeviceFilter>,
) -> Result<Response, Problem> {
    let page = page(&api, &list.filter, &list.window).await?;
    Ok(list.answer(page))
}

async fn page(
    api: &Shared,
    filter: &DeviceFilter,
    window: &Window,
) -> Result<Page<DeviceView>, Problem> {
    let mut after: Option<DeviceId> = window.after_as()?;
    let late = late::counts(api, None).await?;
    let mut ledger = Ledger::new(&api.parts.service);
    let mut found = Vec::new();
    loop {
        let batch = api.parts.service.devices(after.as_ref(), BATCH).await?;
        for device in &batch {
            if filter.asset.is_some() && filter.asset != device.asset {
                continue;
            }
            let asset = match &device.asset {
                Some(id) => ledger.asset(id).await?,
                None => None,
            };
            found.push(view(api, device, asset, &late).await?);
            if found.len() > window.limit {
                break;
            }
        }
        after = batch.last().map(|device| device.id.clone());
        if found.len() > window.limit || batch.len() < BATCH as usize {
            break;
        }
    }
    Ok(window.page(found, |device| device.id.to_string()))
}

async fn view(
    api: &Shared,
    device: &service::Device,
    asset: Option<&Asset>,
    late: &HashMap<DeviceId, u64>,
) -> Result<DeviceView, Problem> {
    let live = asset.and_then(|asset| api.parts.fleet.get(&asset.id));
    let live = live.as_ref().and_then(|live| live.devices.get(&device.id));
    let series = api.parts.store.series(Some(&device.id));
    let measured = live.and_then(|live| live.view.as_ref().map(|view| view.last_measured_at));
    let credentials = api.parts.service.credentials(&device.id).await?;
    let valid = |token: bool| {
        let valid = credentials.iter().filter(|one| one.revoked_at.is_none());
        let of_kind = valid.filter(|one| (one.kind == CredentialKind::Token) == token);
        of_kind.count() as u64
    };
    Ok(DeviceView {
        id: device.id.clone(),
        asset: device.asset.clone(),
        asset_name: asset.map(|asset| asset.name.as_str().to_owned()),
        site: asset.map(|asset| asset.site.clone()),
        online: live.and_then(|live| live.online),
        last_measured_at: measured.max(series.iter().map(|series| series.last_at).max()),
        last_received_at: live.and_then(|live| live.last_received_at),
        reading_count: series.iter().map(|series| series.count).sum(),
        late_readings: late.get(&device.id).copied().unwrap_or(0),
        tokens: valid(true),
        certificates: valid(false),
        registered_at: device.registered_at,
    })
}

/// Get one device.
#[utoipa::path(get, path = "/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = DeviceView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<DeviceId>,
) -> Result<Json<DeviceView>, Problem> {
    let device = api.parts.service.device(&id).await?;
    let device = device.ok_or_else(|| Problem::no_such("device", &id))?;
    let mut ledger = Ledger::new(&api.parts.service);
    let asset = match &device.asset {
        Some(id) => ledger.asset(id).await?,
        None => None,
    };
    let late = late::counts(&api, Some(&id)).await?;
    view(&api, &device, asset, &late).await.map(Json)
}

/// Enter a device, or change what is declared about it. What is left out stays as it is.
#[utoipa::path(post, path = "/devices", tag = "devices", request_body = schema::NewDevice,
    params(OnboardParams),
    responses((status = 200, description = "It was there already, or this was a dry run",
            body = schema::OnboardReport),
        (status = 201, description = "It is new", body = schema::OnboardReport),
        (status = 422, body = OnboardProblem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Params(params): Params<OnboardParams>,
    Body(new): Body<NewDevice>,
) -> Result<Response, Problem> {
    let report = api.parts.service.add_device(new, params.options()).await?;
    Ok(onboarding::answer(&api, report))
}

/// What is in force for a signal of a device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeclaredSignal {
    /// Its name in payloads.
    #[schema(value_type = String)]
    pub name: SignalName,
    /// The name it is stored under.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The unit it is stored in.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// The unit the device sends, when it is another one.
    #[schema(value_type = Option<String>)]
    pub sent_unit: Option<Unit>,
    /// What must hold of its values, in `unit`.
    #[schema(value_type = schema::Limits)]
    pub limits: SignalLimits,
    /// Who declared it: `model` or `device`.
    #[schema(value_type = String)]
    pub declared_by: DeclaredBy,
}

impl Listed for DeclaredSignal {
    const NAME: &'static str = "declared-signals";
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "signal",
        "unit",
        "sent_unit",
        "min",
        "max",
        "max_rate_per_s",
        "stuck_after_s",
        "declared_by",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.name.as_str()),
            Cell::text(self.signal.as_str()),
            Cell::maybe(self.unit),
            Cell::maybe(self.sent_unit),
            Cell::maybe(self.limits.min),
            Cell::maybe(self.limits.max),
            Cell::maybe(self.limits.max_rate_per_s),
            Cell::maybe(self.limits.stuck_after_s),
            Cell::plain(match self.declared_by {
                DeclaredBy::Model => "model",
                DeclaredBy::Device => "device",
            }),
        ]
    }
}

/// List what is declared about the signals of a device, by name.
#[utoipa::path(get, path = "/devices/{id}/signals", tag = "devices",
    params(("id" = String, Path, description = "The id of the device"), PageParams),
    responses((status = 200, description = "A page of signals", content(
        (Page<DeclaredSignal> = "application/json"), (String = "text/csv"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn signals(
    State(api): State<Shared>,
    Id(id): Id<DeviceId>,
    list: Listing<super::list::NoFilter>,
) -> Result<Response, Problem> {
    known(&api, &id)?;
    let declared = api.parts.service.device_signals(&id).into_iter();
    let mut declared: Vec<DeclaredSignal> = declared
        .map(|signal| DeclaredSignal {
            name: signal.name,
            signal: signal.signal,
            unit: signal.unit,
            sent_unit: signal.sent_unit,
            limits: signal.limits,
            declared_by: signal.declared_by,
        })
        .collect();
    declared.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    Ok(list.cut(declared, |signal| signal.name.to_string()))
}

/// Refuses a device that is not registered.
fn known(api: &Shared, id: &DeviceId) -> Result<(), Problem> {
    if api.parts.service.knows_device(id) {
        return Ok(());
    }
    Err(Problem::no_such("device", id))
}
