//! `/work-orders`: what is to be done, and the steps from proposal to outcome.

mod planning;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::{
    Found, LogEntry, Name, NewWorkOrder, Note, OrderSignal, Step, WorkOrder, WorkOrderKind,
    WorkOrderQuery, WorkOrderStatus,
};
use telemetry::{
    AssetId, AssetModelId, CaseId, EngineerId, FailureMode, Outcome, Severity, SignalName,
    Timestamp, WorkOrderId,
};
use utoipa::{IntoParams, ToSchema};

pub use self::planning::{CostsView, CurvePointView, DateView};
use super::{
    Api, Shared,
    connectors::DeliveryRow,
    extract::{Body, Id},
    job_plans::JobPlanView,
    ledger::Ledger,
    list::{self, Listed, Listing, PageParams},
    page::{self, Page, Window},
    problem::Problem,
    schema,
    table::Cell,
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderFilter {
    /// Only in this status; several with commas between them.
    status: Option<String>,
    /// Only of this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of this case.
    #[param(value_type = Option<String>)]
    case: Option<CaseId>,
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
    /// The signal whose sensor cannot be believed; null for a problem of the machine.
    #[schema(value_type = Option<String>)]
    pub signal: Option<SignalName>,
    /// How soon it comes before other work: 1 (first) to 4.
    pub priority: u8,
    /// From when on it is worth doing.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_from: Option<Timestamp>,
    /// By when it should be done.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_by: Option<Timestamp>,
    /// What will be done: a copy of the plan as it was when the order was raised.
    pub plan: Option<JobPlanView>,
    /// What it costs and is worth.
    pub costs: Option<CostsView>,
    /// How its date was found; null for a manual order.
    pub date: Option<DateView>,
    /// The page of the evidence.
    pub evidence: Option<String>,
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
    /// What really failed, where the person who completed it said so.
    #[schema(value_type = Option<String>)]
    pub found_mode: Option<FailureMode>,
    /// Its name.
    pub found_mode_name: Option<Text>,
    /// The part that was replaced or repaired.
    #[schema(value_type = Option<String>)]
    pub part: Option<Name>,
    /// When the work was done in the time of the machine's readings.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub done_at: Option<Timestamp>,
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
    /// What was told to other maintenance systems, newest first.
    pub deliveries: Vec<DeliveryRow>,
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
    let mode_name =
        |mode: Option<&FailureMode>| mode.and_then(|mode| labels::failure_mode_name(model, mode));
    WorkOrderView {
        failure_mode_name: mode_name(order.failure_mode.as_ref()),
        found_mode_name: mode_name(order.found_mode.as_ref()),
        id: order.id,
        asset: order.asset,
        asset_name: order.asset_name,
        case: order.case.clone(),
        kind: order.kind,
        status: order.status,
        severity: order.severity,
        failure_mode: order.failure_mode,
        opened_at: order.opened_at,
        signals: order.signals,
        signal: order.signal,
        priority: order.priority,
        due_from: order.due_from,
        due_by: order.due_by,
        plan: order.plan.as_ref().map(JobPlanView::from),
        costs: order.costs.map(CostsView::from),
        date: order.date.map(DateView::from),
        evidence: order.case.as_ref().map(|case| format!("/cases/{case}")),
        engineer: order.engineer,
        engineer_name: order.engineer_name,
        scheduled_for: order.scheduled_for,
        outcome: order.outcome,
        found_mode: order.found_mode,
        part: order.part,
        done_at: order.done_at,
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
#[utoipa::path(get, path = "/work-orders", tag = "work orders", params(OrderFilter, PageParams),
    responses((status = 200, description = "A page of work orders", content(
        (Page<WorkOrderView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<OrderFilter>,
) -> Result<Response, Problem> {
    let page = page(&api, &list.filter, &list.window).await?;
    Ok(list.answer(page))
}

async fn page(
    api: &Shared,
    filter: &OrderFilter,
    window: &Window,
) -> Result<Page<WorkOrderView>, Problem> {
    let service = &api.parts.service;
    let status = statuses(filter.status.as_deref())?;
    let after: Option<WorkOrderId> = window.after_as()?;
    if let Some(after) = &after
        && service.work_order(after).await?.is_none()
    {
        return Err(page::foreign_cursor());
    }
    let fetch = |after, limit| {
        let query = WorkOrderQuery {
            status: status.clone(),
            asset: filter.asset.clone(),
            case: filter.case.clone(),
            after,
            limit,
        };
        service.work_orders(query)
    };
    let orders = list::one_more(window, after, |order: &WorkOrder| order.id.clone(), fetch).await?;
    let mut ledger = Ledger::new(service);
    let mut items = Vec::with_capacity(orders.len());
    for order in orders {
        let asset = ledger.asset(&order.asset).await?;
        items.push(view(api, order, asset.map(|asset| &asset.model)));
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

impl Listed for WorkOrderView {
    const NAME: &'static str = "work-orders";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "asset",
        "asset_name",
        "case",
        "kind",
        "status",
        "severity",
        "failure_mode",
        "opened_at",
        "signal",
        "priority",
        "due_from",
        "due_by",
        "engineer",
        "engineer_name",
        "scheduled_for",
        "outcome",
        "found_mode",
        "part",
        "note",
        "created_at",
        "updated_at",
    ];

    fn row(self) -> Vec<Cell> {
        let words = |text: Option<&str>| Cell::text(text.unwrap_or_default());
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.asset.to_string()),
            Cell::text(self.asset_name.as_str()),
            words(self.case.as_ref().map(CaseId::as_str)),
            Cell::plain(self.kind.as_str()),
            Cell::plain(self.status),
            Cell::maybe(self.severity),
            words(self.failure_mode.as_ref().map(FailureMode::as_str)),
            Cell::maybe(self.opened_at),
            words(self.signal.as_ref().map(SignalName::as_str)),
            Cell::plain(self.priority),
            Cell::maybe(self.due_from),
            Cell::maybe(self.due_by),
            words(self.engineer.as_ref().map(EngineerId::as_str)),
            words(self.engineer_name.as_ref().map(Name::as_str)),
            Cell::maybe(self.scheduled_for),
            Cell::maybe(self.outcome),
            words(self.found_mode.as_ref().map(FailureMode::as_str)),
            words(self.part.as_ref().map(Name::as_str)),
            Cell::text(self.note.as_str()),
            Cell::plain(self.created_at),
            Cell::plain(self.updated_at),
        ]
    }
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
    let deliveries = api.parts.service.deliveries(Some(&id), None).await?;
    Ok(Json(WorkOrderDetailView {
        order: named(&api, found.order).await?,
        log: found.log.into_iter().map(LogEntryView::from).collect(),
        deliveries: deliveries.into_iter().map(DeliveryRow::from).collect(),
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
    /// What really failed, with `confirmed` or `other_fault_found`; what the order was raised
    /// for when it is left out of a confirmation.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    failure_mode: Option<FailureMode>,
    /// The part that was replaced or repaired, where something was found.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    part: Option<Name>,
    /// When the work was done, in the time of the machine's readings; the time of its newest
    /// reading when it is left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    done_at: Option<Timestamp>,
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
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn complete(
    State(api): State<Shared>,
    Id(id): Id<WorkOrderId>,
    Body(body): Body<CompleteStep>,
) -> Result<Json<WorkOrderView>, Problem> {
    let done_at = match body.done_at {
        None => machine_time(&api, &id).await?,
        given => given,
    };
    let to = Step::Complete(Found {
        outcome: body.outcome,
        failure_mode: body.failure_mode,
        part: body.part,
        done_at,
    });
    step(&api, &id, &body.by, to, &body.note).await
}

/// The time of the newest reading of the order's asset, at most now; none before the first. A
/// life ends by the time of the machine, not by that of the office: a recording that is replayed
/// or a plant that is simulated faster lives in another time.
async fn machine_time(api: &Api, id: &WorkOrderId) -> Result<Option<Timestamp>, Problem> {
    let order = api.parts.service.work_order(id).await?;
    let live = order.and_then(|found| api.parts.fleet.get(&found.order.asset));
    let newest = live.and_then(|live| {
        let views = live
            .devices
            .values()
            .filter_map(|device| device.view.as_ref());
        views.map(|view| view.last_measured_at).max()
    });
    Ok(newest.map(|newest| newest.min(api.parts.clock.now())))
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
