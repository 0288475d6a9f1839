//! `/connectors` and `/deliveries`: orders on their way to other maintenance systems.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use serde::{Deserialize, Serialize};
use service::delivery::{DeliveryState, DeliveryView};
use telemetry::{CaseId, Timestamp, WorkOrderId};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};

/// A way to a maintenance system.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectorView {
    /// What it is called.
    pub name: String,
    /// `builtin` or `rest`.
    pub kind: String,
    /// `ok`, `waiting` (something has failed and is tried again) or `stuck`.
    pub state: String,
    /// The mapping, and which system it was written for.
    pub mapping: Option<String>,
    /// See there.
    pub written_for: Option<String>,
    /// Where the system is.
    pub base_url: Option<String>,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that were told.
    pub delivered: u64,
    /// Messages a person has to look at.
    pub stuck: u64,
    /// Messages that were withdrawn before anything was sent.
    pub withdrawn: u64,
    /// Why the latest attempt failed, when one waits or is stuck.
    pub last_error: Option<String>,
}

/// List the ways to maintenance systems by name: the built-in service and the configured ones.
#[utoipa::path(get, path = "/connectors", tag = "work orders", params(PageParams),
    responses((status = 200, description = "A page of connectors", content(
        (Page<ConnectorView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    let service = &api.parts.service;
    let raised = service.work_order_counts().await?.total();
    let mut all = vec![ConnectorView {
        name: "builtin".to_owned(),
        kind: "builtin".to_owned(),
        state: "ok".to_owned(),
        mapping: None,
        written_for: None,
        base_url: None,
        waiting: 0,
        delivered: raised,
        stuck: 0,
        withdrawn: 0,
        last_error: None,
    }];
    for info in &api.parts.connectors {
        let counts = service.connector_counts(&info.name).await?;
        let state = match &counts {
            counts if counts.stuck > 0 => "stuck",
            counts if counts.last_error.is_some() => "waiting",
            _ => "ok",
        };
        all.push(ConnectorView {
            name: info.name.clone(),
            kind: "rest".to_owned(),
            state: state.to_owned(),
            mapping: Some(info.mapping.clone()),
            written_for: Some(info.written_for.clone()),
            base_url: Some(info.base_url.clone()),
            waiting: counts.waiting,
            delivered: counts.delivered,
            stuck: counts.stuck,
            withdrawn: counts.withdrawn,
            last_error: counts.last_error,
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(list.cut(all, |connector: &ConnectorView| connector.name.clone()))
}

impl Listed for ConnectorView {
    const NAME: &'static str = "connectors";
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "kind",
        "state",
        "waiting",
        "delivered",
        "stuck",
        "withdrawn",
        "last_error",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.name),
            Cell::text(self.kind),
            Cell::text(self.state),
            Cell::plain(self.waiting),
            Cell::plain(self.delivered),
            Cell::plain(self.stuck),
            Cell::plain(self.withdrawn),
            Cell::text(self.last_error.unwrap_or_default()),
        ]
    }
}

/// What was told of an order to a connector, or has still to be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryRow {
    /// Its number.
    pub id: i64,
    /// The connector; `builtin` for this system itself.
    pub connector: String,
    /// The order.
    #[schema(value_type = String)]
    pub work_order: WorkOrderId,
    /// The case behind it.
    #[schema(value_type = Option<String>)]
    pub case: Option<CaseId>,
    /// `create`, `amend` or `withdraw`.
    pub kind: String,
    /// `waiting`, `delivered`, `stuck` or `withdrawn`.
    pub state: String,
    /// What the other system calls the order.
    pub reference: Option<String>,
    /// Its own word for where the order stands.
    pub remote_status: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was first to be told.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was settled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<Timestamp>,
}

impl From<DeliveryView> for DeliveryRow {
    fn from(view: DeliveryView) -> Self {
        Self {
            id: view.number,
            connector: view.connector,
            work_order: view.work_order,
            case: view.case,
            kind: view.kind.as_str().to_owned(),
            state: view.state.as_str().to_owned(),
            reference: view.reference,
            remote_status: view.remote_status,
            attempts: view.attempts,
            last_error: view.last_error,
            created_at: view.created_at,
            settled_at: view.settled_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryFilter {
    /// Only of this order.
    #[param(value_type = Option<String>)]
    work_order: Option<WorkOrderId>,
    /// Only in this state.
    state: Option<String>,
}

/// List what was told to connectors, newest first; the latest thousand.
#[utoipa::path(get, path = "/deliveries", tag = "work orders", params(DeliveryFilter, PageParams),
    responses((status = 200, description = "A page of deliveries", content(
        (Page<DeliveryRow> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn deliveries(
    State(api): State<Shared>,
    list: Listing<DeliveryFilter>,
) -> Result<Response, Problem> {
    let state = match list.filter.state.as_deref() {
        None => None,
        Some(word) => Some(DeliveryState::parse(word).ok_or_else(|| {
            let known = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
            Problem::invalid_parameter("state", format!("{word:?} is no state; use {known}"))
        })?),
    };
    let order = list.filter.work_order.as_ref();
    let found = api.parts.service.deliveries(order, state).await?;
    let rows = found.into_iter().map(DeliveryRow::from).collect();
    // A key that rises where the numbers fall.
    Ok(list.cut(rows, |row: &DeliveryRow| {
        format!("{:020}", i64::MAX - row.id)
    }))
}

impl Listed for DeliveryRow {
    const NAME: &'static str = "deliveries";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "connector",
        "work_order",
        "case",
        "kind",
        "state",
        "reference",
        "remote_status",
        "attempts",
        "last_error",
        "created_at",
        "settled_at",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::text(self.connector),
            Cell::text(self.work_order.to_string()),
            Cell::text(self.case.as_ref().map_or("", |case| case.as_str())),
            Cell::text(self.kind),
            Cell::text(self.state),
            Cell::text(self.reference.unwrap_or_default()),
            Cell::text(self.remote_status.unwrap_or_default()),
            Cell::plain(self.attempts),
            Cell::text(self.last_error.unwrap_or_default()),
            Cell::plain(self.created_at),
            Cell::maybe(self.settled_at),
        ]
    }
}

/// Let a stuck delivery be tried again.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "work orders",
    params(("id" = i64, Path, description = "Its number")),
    responses((status = 200, body = DeliveryRow),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn retry(
    State(api): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Json<DeliveryRow>, Problem> {
    let service = &api.parts.service;
    service.retry_delivery(id).await?;
    let waiting = service.deliveries(None, None).await?;
    let row = waiting.into_iter().find(|row| row.number == id);
    let row = row.ok_or_else(|| Problem::no_such("delivery", id))?;
    api.parts.events.work_order_changed(&row.work_order);
    Ok(Json(DeliveryRow::from(row)))
}
