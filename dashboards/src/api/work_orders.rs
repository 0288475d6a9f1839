//! `/work-orders`: what is to be done, and the steps from proposal to outcome.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::{
    LogEntry, Name, NewWorkOrder, Note, OrderSignal, Step, WorkOrder, WorkOrderKind,
    WorkOrderQuery, WorkOrderStatus,
};
use telemetry::{
    AssetId, AssetModelId, CaseId, EngineerId, FailureMode, Outcome, Severity, Timestamp,
    WorkOrderId,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id, Params},
    page::{self, DEFAULT_LIMIT, MAX_LIMIT, Page, Window},
    problem::Problem,
    schema,
    table::{self, Cell},
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderParams {
    /// Only in this status; several with commas between them.
    status: Option<String>,
    /// Only of this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this case.
    #[param(value_type = Option<String>)]
    case: Option<CaseId>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
    /// `json` or `csv`; the Accept header decides when it is missing.
    format: Option<String>,
}

/// A work order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkOrderView {
    /// Its id, such as `WO-000001`.
    #[schema(value_type = String)]
    pub id: WorkOrderId,
    /// The asset to work on.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// Its name.
    #[schema(value_type = String)]
    pub asset_name: Name,
    /// The case behind it; null for a manual order.
    #[schema(value_type = Option<String>)]
    pub case: Option<CaseId>,
    /// Why the work is done.
    #[schema(value_type = schema::WorkOrderKind)]
    pub kind: WorkOrderKind,
    /// Where it stands.
    #[schema(value_type = schema::WorkOrderStatus)]
    pub status: WorkOrderStatus,
    /// How urgent the case was when the order was raised.
    #[schema(value_type = Option<schema::Severity>)]
    pub severity: Option<Severity>,
    /// What seems to be failing.
    #[schema(value_type = Option<String>)]
    pub failure_mode: Option<FailureMode>,
    /// Its name.
    pub failure_mode_name: Option<Text>,
    /// When the alarm rose, in event time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub opened_at: Option<Timestamp>,
    /// The signals that told, largest share first.
    #[schema(value_type = Vec<schema::OrderSignal>)]
    pub signals: Vec<OrderSignal>,
    /// By when it should be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_by: Option<Timestamp>,
    /// Who does it.
    #[schema(value_type = Option<String>)]
    pub engineer: Option<EngineerId>,
    /// Their name.
    #[schema(value_type = Option<String>)]
    pub engineer_name: Option<Name>,
    /// When it is to be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub scheduled_for: Option<Timestamp>,
    /// What was found.
    #[schema(value_type = Option<schema::Outcome>)]
    pub outcome: Option<Outcome>,
    /// What the order says.
    #[schema(value_type = String)]
    pub note: Note,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A work order with its log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkOrderDetailView {
    /// As in the list.
    #[serde(flatten)]
    pub order: WorkOrderView,
    /// Who did what and when, oldest first.
    pub log: Vec<LogEntryView>,
}

/// One line of an order's log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogEntryView {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who did it.
    #[schema(value_type = String)]
    pub by: Name,
    /// The status before; null for the first entry.
    #[schema(value_type = Option<schema::WorkOrderStatus>)]
    pub from: Option<WorkOrderStatus>,
    /// The status after.
    #[schema(value_type = schema::WorkOrderStatus)]
    pub to: WorkOrderStatus,
    /// What they wrote.
    #[schema(value_type = String)]
    pub note: Note,
}

impl From<LogEntry> for LogEntryView {
    fn from(entry: LogEntry) -> Self {
        Self {
            at: entry.at,
            by: entry.by,
            from: entry.from,
            to: entry.to,
            note: entry.note,
        }
    }
}

fn view(api: &Shared, order: WorkOrder, model: Option<&AssetModelId>) -> WorkOrderView {
    let model = model.and_then(|id| api.parts.model(id));
    WorkOrderView {
        failure_mode_name: order
            .failure_mode
            .as_ref()
            .and_then(|mode| labels::failure_mode_name(model, mode)),
        id: order.id,
        asset: order.asset,
        asset_name: order.asset_name,
        case: order.case,
        kind: order.kind,
        status: order.status,
        severity: order.severity,
        failure_mode: order.failure_mode,
        opened_at: order.opened_at,
        signals: order.signals,
        due_by: order.due_by,
        engineer: order.engineer,
        engineer_name: order.engineer_name,
        scheduled_for: order.scheduled_for,
        outcome: order.outcome,
        note: order.note,
        created_at: order.created_at,
        updated_at: order.updated_at,
    }
}

/// An order with the name that the asset's model gives its failure mode.
pub(crate) async fn named(api: &Shared, order: WorkOrder) -> Result<WorkOrderView, Problem> {
    let asset = api.parts.service.asset(&order.asset).await?;
    Ok(view(api, order, asset.as_ref().map(|asset| &asset.model)))
}

/// List work orders, newest first.
#[utoipa::path(get, path = "/work-orders", tag = "work orders", params(OrderParams),
    responses((status = 200, description = "A page of work orders", content(
        (Page<WorkOrderView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<OrderParams>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let csv = table::wants_csv(params.format.as_deref(), &headers)?;
    let default = if csv { MAX_LIMIT } else { DEFAULT_LIMIT };
    let window = Window::with_default(params.limit, params.cursor.as_deref(), default, MAX_LIMIT)?;
    let page = page(&api, params, &window).await?;
    if !csv {
        return Ok(Json(page).into_response());
    }
    let rows = page.items.iter().map(row);
    Ok(table::respond(
        "work-orders",
        &COLUMNS,
        rows,
        page.next.as_deref(),
        &uri,
    ))
}

async fn page(
    api: &Shared,
    params: OrderParams,
    window: &Window,
) -> Result<Page<WorkOrderView>, Problem> {
    let service = &api.parts.service;
    let mut query = WorkOrderQuery {
        status: statuses(params.status.as_deref())?,
        asset: params.asset,
        case: params.case,
        after: window.after_as()?,
        limit: window.limit as u32,
    };
    if let Some(after) = &query.after
        && service.work_order(after).await?.is_none()
    {
        return Err(page::foreign_cursor());
    }
    let mut orders = service.work_orders(query.clone()).await?;
    if orders.len() == window.limit {
        query.after = orders.last().map(|order| order.id.clone());
        query.limit = 1;
        orders.extend(service.work_orders(query).await?);
    }
    let mut models: BTreeMap<AssetId, Option<AssetModelId>> = BTreeMap::new();
    let mut items = Vec::with_capacity(orders.len());
    for order in orders {
        if !models.contains_key(&order.asset) {
            let asset = service.asset(&order.asset).await?;
            models.insert(order.asset.clone(), asset.map(|asset| asset.model));
        }
        let model = models.get(&order.asset).and_then(Option::as_ref);
        items.push(view(api, order, model));
    }
    Ok(window.page(items, |order| order.id.to_string()))
}

fn statuses(text: Option<&str>) -> Result<Vec<WorkOrderStatus>, Problem> {
    let parse = |word: &str| {
        WorkOrderStatus::parse(word).ok_or_else(|| {
            let known = WorkOrderStatus::ALL.map(WorkOrderStatus::as_str).join(", ");
            Problem::invalid_parameter("status", format!("{word:?} is no status; use {known}"))
        })
    };
    text.map_or_else(
        || Ok(Vec::new()),
        |text| text.split(',').map(parse).collect(),
    )
}

const COLUMNS: [&str; 17] = [
    "id",
    "asset",
    "asset_name",
    "case",
    "kind",
    "status",
    "severity",
    "failure_mode",
    "opened_at",
    "due_by",
    "engineer",
    "engineer_name",
    "scheduled_for",
    "outcome",
    "note",
    "created_at",
    "updated_at",
];

fn row(order: &WorkOrderView) -> Vec<Cell> {
    let words = |text: Option<&str>| Cell::text(text.unwrap_or_default());
    vec![
        Cell::text(order.id.to_string()),
        Cell::text(order.asset.to_string()),
        Cell::text(order.asset_name.as_str()),
        words(order.case.as_ref().map(CaseId::as_str)),
        Cell::plain(order.kind.as_str()),
        Cell::plain(order.status),
        Cell::maybe(order.severity),
        words(order.failure_mode.as_ref().map(FailureMode::as_str)),
        Cell::maybe(order.opened_at),
        Cell::maybe(order.due_by),
        words(order.engineer.as_ref().map(EngineerId::as_str)),
        words(order.engineer_name.as_ref().map(Name::as_str)),
        Cell::maybe(order.scheduled_for),
        Cell::maybe(order.outcome),
        Cell::text(order.note.as_str()),
        Cell::plain(order.created_at),
        Cell::plain(order.updated_at),
    ]
}

/// Get one work order with its log.
#[utoipa::path(get, path = "/work-orders/{id}", tag = "work orders",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderDetailView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
) -> Result<Json<WorkOrderDetailView>, Problem> {
    let found = api.parts.service.work_order(&id).await?;
    let found = found.ok_or_else(|| Problem::no_such("work order", &id))?;
    Ok(Json(WorkOrderDetailView {
        order: named(&api, found.order).await?,
        log: found.log.into_iter().map(LogEntryView::from).collect(),
    }))
}

/// A work order that a person writes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The asset to work on.
    #[schema(value_type = String)]
    asset: AssetId,
    /// Why; any kind but `predictive`, which cases raise.
    #[schema(value_type = schema::WorkOrderKind)]
    kind: WorkOrderKind,
    /// What is to be done.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    note: Note,
    /// Who asks for it.
    #[schema(value_type = String)]
    by: Name,
    /// By when.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    due_by: Option<Timestamp>,
}

/// Write a work order.
#[utoipa::path(post, path = "/work-orders", tag = "work orders", request_body = NewOrder,
    responses((status = 201, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewOrder>,
) -> Result<(StatusCode, Json<WorkOrderView>), Problem> {
    let new = NewWorkOrder {
        asset: new.asset,
        kind: new.kind,
        note: new.note,
        by: new.by,
        due_by: new.due_by,
    };
    let order = api.parts.service.create_work_order(new).await?;
    changed(&api, &order);
    Ok((StatusCode::CREATED, Json(named(&api, order).await?)))
}

/// Who takes a step, and what they write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainStep {
    /// The person.
    #[schema(value_type = String)]
    by: Name,
    /// What they write in the log.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    note: Note,
}

/// Who does the work and when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleStep {
    /// The person who plans.
    #[schema(value_type = String)]
    by: Name,
    /// The engineer who does the work.
    #[schema(value_type = String)]
    engineer: EngineerId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    scheduled_for: Timestamp,
    /// What they write in the log.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    note: Note,
}

/// What was found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteStep {
    /// The person.
    #[schema(value_type = String)]
    by: Name,
    /// What was found.
    #[schema(value_type = schema::Outcome)]
    outcome: Outcome,
    /// What they write in the log.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    note: Note,
}

/// Agree that the work is to be done.
#[utoipa::path(post, path = "/work-orders/{id}/approve", tag = "work orders",
    request_body = PlainStep, params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn approve(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<PlainStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    step(&api, &id, &body.by, Step::Approve, &body.note).await
}

/// Set engineer and time, or change them.
#[utoipa::path(post, path = "/work-orders/{id}/schedule", tag = "work orders",
    request_body = ScheduleStep, params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn schedule(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<ScheduleStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    let to = Step::Schedule {
        engineer: body.engineer,
        scheduled_for: body.scheduled_for,
    };
    step(&api, &id, &body.by, to, &body.note).await
}

/// Begin the work.
#[utoipa::path(post, path = "/work-orders/{id}/start", tag = "work orders",
    request_body = PlainStep, params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn start(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<PlainStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    step(&api, &id, &body.by, Step::Start, &body.note).await
}

/// End the work with what was found.
#[utoipa::path(post, path = "/work-orders/{id}/complete", tag = "work orders",
    request_body = CompleteStep, params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn complete(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<CompleteStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    let to = Step::Complete {
        outcome: body.outcome,
    };
    step(&api, &id, &body.by, to, &body.note).await
}

/// Decide that the work will not be done, or not further.
#[utoipa::path(post, path = "/work-orders/{id}/cancel", tag = "work orders",
    request_body = PlainStep, params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = WorkOrderView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<PlainStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    step(&api, &id, &body.by, Step::Cancel, &body.note).await
}

async fn step(
    api: &Shared,
    id: &WorkOrderId,
    by: &Name,
    step: Step,
    note: &Note,
) -> Result<Json<WorkOrderView>, Problem> {
    let order = api.parts.service.step(id, by, step, note).await?;
    changed(api, &order);
    named(api, order).await.map(Json)
}

/// Tells the streams, and for an order that ended the delivery of its outcome.
fn changed(api: &Shared, order: &WorkOrder) {
    api.parts.events.work_order_changed(&order.id);
    api.parts.events.asset_changed(&order.asset);
    if order.status.is_final() {
        api.parts.outcomes.notify_one();
    }
}
