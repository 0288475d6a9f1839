//! `/assets`: what is maintained and how it is.

pub mod reasons;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::{AssetQuery, Name};
use telemetry::{
    AssetId, AssetModelId, DeviceId, Evidence, OperatingState, SignalName, SiteId, Timestamp, Unit,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id},
    list::{Listed, Listing, PageParams},
    page::{Page, Window},
    problem::Problem,
    schema,
    summary::{self, AssetSummary, Composer, Facts},
    table::Cell,
};
use crate::{
    labels::{self, Text},
    state::AssetState,
};

/// Assets read from the ledger at a time while a list by state is filled.
const LEDGER_BATCH: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AssetFilter {
    /// Only in this state.
    #[param(value_type = Option<AssetState>)]
    state: Option<AssetState>,
    /// Only at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteId>,
    /// Only with this text in id or name.
    q: Option<String>,
}

/// List assets by id.
#[utoipa::path(get, path = "/assets", tag = "assets", params(AssetFilter, PageParams),
    responses((status = 200, description = "A page of assets", content(
        (Page<AssetSummary> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<AssetFilter>,
) -> Result<Response, Problem> {
    let page = page(&api, &list.filter, &list.window).await?;
    Ok(list.answer(page))
}

async fn page(
    api: &Shared,
    filter: &AssetFilter,
    window: &Window,
) -> Result<Page<AssetSummary>, Problem> {
    let composer = Composer::fetch(&api.parts, None).await?;
    let mut query = AssetQuery {
        site: filter.site.clone(),
        text: filter.q.clone(),
        after: window.after_as()?,
        // Without a filter by state one look into the ledger is enough.
        limit: if filter.state.is_some() {
            LEDGER_BATCH
        } else {
            window.limit as u32 + 1
        },
        ..AssetQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let batch = api.parts.service.assets(query.clone()).await?;
        for asset in &batch {
            let summary = composer.with(&api.parts, asset, summary::summary);
            if filter.state.is_none_or(|state| state == summary.state) {
                found.push(summary);
            }
        }
        query.after = batch.last().map(|asset| asset.id.clone());
        if found.len() > window.limit || batch.len() < query.limit as usize {
            break;
        }
    }
    Ok(window.page(found, |asset| asset.id.to_string()))
}

impl Listed for AssetSummary {
    const NAME: &'static str = "assets";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "model",
        "customer",
        "site",
        "state",
        "health",
        "condition",
        "since",
        "failure_mode",
        "failure_p50",
        "last_measured_at",
        "open_cases",
        "next_order",
        "due_by",
    ];

    fn row(self) -> Vec<Cell> {
        let condition = self.condition.as_ref();
        let p50 = self
            .prognosis
            .as_ref()
            .and_then(|prognosis| match prognosis {
                summary::PrognosisView::Forecast(forecast) => Some(forecast.p50),
                summary::PrognosisView::Reason(_) => None,
            });
        let order = self.next_order.as_ref();
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.name),
            Cell::text(self.model),
            Cell::text(self.customer.name.as_str()),
            Cell::text(self.site.name.as_str()),
            Cell::plain(self.state.as_str()),
            Cell::maybe(self.health.as_ref().map(|health| health.index)),
            Cell::maybe(condition.map(|condition| condition.state.as_str())),
            Cell::maybe(condition.map(|condition| condition.since)),
            Cell::maybe(condition.and_then(|condition| condition.failure_mode.as_ref())),
            Cell::maybe(p50),
            Cell::maybe(self.last_measured_at),
            Cell::plain(self.open_cases.len()),
            Cell::maybe(order.map(|order| &order.id)),
            Cell::maybe(order.and_then(|order| order.due_by)),
        ]
    }
}

/// One asset with its signals and evidence.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: AssetSummary,
    /// Every signal its devices have sent.
    pub signals: Vec<SignalView>,
    /// What the present verdict rests on; null while learning.
    #[schema(value_type = Option<schema::Evidence>)]
    pub evidence: Option<Evidence>,
    /// The present verdict in words and numbers; null before the first reading.
    pub explanation: Option<Text>,
    /// What the machine is doing; null before the first reading.
    #[schema(value_type = Option<schema::OperatingState>)]
    pub operating: Option<OperatingState>,
    /// The health of each component of the model, as the unhealthiest device tells it.
    pub components: Vec<reasons::ComponentView>,
    /// Signals whose sensors cannot be believed; empty when all are good.
    pub sensors: Vec<reasons::SensorView>,
    /// How often each device alarms while all is well, and what is done about it.
    pub false_alarms: Vec<reasons::FalseAlarmsView>,
}

/// One signal of an asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SignalView {
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
    /// Its newest reading.
    pub last: Option<LastValue>,
    /// Where it lies while all is well; null while learning.
    pub normal: Option<NormalView>,
    /// Whether it only counts up, such as operating hours, so that no verdict rests on it.
    pub counter: bool,
}

/// A reading.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastValue {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// A normal range.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NormalView {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Get one asset with its signals and evidence.
#[utoipa::path(get, path = "/assets/{id}", tag = "assets",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = AssetDetail),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<AssetId>,
) -> Result<Json<AssetDetail>, Problem> {
    detail(&api, &id).await.map(Json)
}

async fn detail(api: &Shared, id: &AssetId) -> Result<AssetDetail, Problem> {
    let asset = api.parts.service.asset(id).await?;
    let asset = asset.ok_or_else(|| Problem::no_such("asset", id))?;
    let composer = Composer::fetch(&api.parts, Some(id)).await?;
    Ok(composer.with(&api.parts, &asset, |facts| AssetDetail {
        summary: summary::summary(facts),
        signals: signals(api, facts),
        evidence: summary::evidence(facts),
        explanation: reasons::explanation(facts),
        operating: summary::condition(facts).map(|condition| condition.operating),
        components: reasons::components(facts),
        sensors: reasons::sensors(facts),
        false_alarms: reasons::false_alarms(facts),
    }))
}

/// The summary of one asset, for the event stream.
pub(crate) async fn one_summary(
    api: &Shared,
    composer: &Composer,
    id: &AssetId,
) -> Result<Option<AssetSummary>, Problem> {
    let asset = api.parts.service.asset(id).await?;
    Ok(asset.map(|asset| composer.with(&api.parts, &asset, summary::summary)))
}

fn signals(api: &Shared, facts: &Facts<'_>) -> Vec<SignalView> {
    let mut signals = Vec::new();
    for device in &facts.asset.devices {
        let live = facts.live.and_then(|live| live.devices.get(device));
        let view = live.and_then(|live| live.view.as_ref());
        for series in api.parts.store.series(Some(device)) {
            let known = view.and_then(|view| {
                view.signals
                    .iter()
                    .find(|known| known.signal == series.signal)
            });
            signals.push(SignalView {
                unit: labels::unit(facts.model, &series.signal),
                label: labels::signal_label(facts.model, &series.signal),
                last: Some(LastValue {
                    at: series.last_at,
                    value: series.last_value,
                }),
                normal: known
                    .and_then(|known| known.normal)
                    .map(|range| NormalView {
                        low: range.low,
                        high: range.high,
                    }),
                counter: known.is_some_and(|known| known.is_counter),
                device: series.device,
                signal: series.signal,
            });
        }
    }
    signals
}

/// An asset to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAsset {
    /// Its id.
    #[schema(value_type = String)]
    id: AssetId,
    /// Its name; the id when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    name: Option<Name>,
    /// Its asset model; `unknown` when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    model: Option<AssetModelId>,
    /// Where it stands; the default site when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    site: Option<SiteId>,
    /// The asset it is part of or fed by: while that one fails, its own alarms are suppressed.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    parent: Option<AssetId>,
    /// The devices that watch it. Unknown ones are registered, known ones move here.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    devices: Vec<DeviceId>,
}

/// Enter an asset.
#[utoipa::path(post, path = "/assets", tag = "assets", request_body = NewAsset,
    responses((status = 201, body = AssetDetail),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewAsset>,
) -> Result<(StatusCode, Json<AssetDetail>), Problem> {
    let model = new.model.unwrap_or_else(AssetModelId::unknown);
    check_model(&api, &model)?;
    let asset = api
        .parts
        .service
        .create_asset(service::NewAsset {
            id: new.id,
            name: new.name,
            model,
            site: new.site,
            parent: new.parent,
            devices: new.devices,
        })
        .await?;
    api.parts.events.asset_changed(&asset.id);
    Ok((StatusCode::CREATED, Json(detail(&api, &asset.id).await?)))
}

/// What to change about an asset; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetChange {
    /// Its name.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    name: Option<Name>,
    /// Where it stands.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    site: Option<SiteId>,
    /// Its asset model.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    model: Option<AssetModelId>,
    /// The asset it is part of or fed by; null makes it stand alone.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "service::maybe_none::deserialize")]
    #[allow(
        clippy::option_option,
        reason = "left out, null and a value are three wishes"
    )]
    parent: Option<Option<AssetId>>,
    /// All its devices; those left out stay registered without an asset.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default)]
    devices: Option<Vec<DeviceId>>,
}

/// Change an asset.
#[utoipa::path(patch, path = "/assets/{id}", tag = "assets", request_body = AssetChange,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = AssetDetail),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn update(
    State(api): State<Shared>,
    Id(id): Id<AssetId>,
    Body(change): Body<AssetChange>,
) -> Result<Json<AssetDetail>, Problem> {
    if let Some(model) = &change.model {
        check_model(&api, model)?;
    }
    let change = service::AssetUpdate {
        name: change.name,
        site: change.site,
        model: change.model,
        parent: change.parent,
        devices: change.devices,
    };
    api.parts.service.update_asset(&id, change).await?;
    api.parts.events.asset_changed(&id);
    detail(&api, &id).await.map(Json)
}

/// A model that nobody has described would leave the asset without names and failure modes.
fn check_model(api: &Shared, model: &AssetModelId) -> Result<(), Problem> {
    if *model == AssetModelId::unknown() || api.parts.models.contains_key(model) {
        return Ok(());
    }
    Err(Problem::invalid_value(format!(
        "there is no asset model {model}; see /api/v1/models"
    ))
    .at_field("model"))
}
