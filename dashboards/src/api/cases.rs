//! `/cases`: what is wrong, since when, on which evidence.

use std::collections::BTreeMap;

use alerting::{Case, CaseEvent, CaseQuery, CaseStatus, StatusFilter};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::Asset;
use telemetry::{
    AssetId, CaseId, DeviceId, Evidence, FailureMode, Outcome, Severity, Timestamp, WorkOrderId,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Body, Id, Params},
    page::{DEFAULT_LIMIT, MAX_LIMIT, Page, Window},
    problem::Problem,
    schema,
    summary::PrognosisView,
    table::{self, Cell},
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseParams {
    /// `open` (acknowledged ones too), `closed` or `all` (the default).
    #[param(value_type = Option<String>)]
    status: Option<StatusFilter>,
    /// Only of this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
    /// `json` or `csv`; the Accept header decides when it is missing.
    format: Option<String>,
}

/// A case.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: CaseId,
    /// The asset that has the problem.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// Its name.
    pub asset_name: String,
    /// The device whose signals opened the case.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What seems to be failing.
    #[schema(value_type = String)]
    pub failure_mode: FailureMode,
    /// Its name.
    pub failure_mode_name: Option<Text>,
    /// How urgent it is.
    #[schema(value_type = schema::Severity)]
    pub severity: Severity,
    /// Where it stands.
    #[schema(value_type = schema::CaseStatus)]
    pub status: CaseStatus,
    /// When the alarm rose, in event time.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When the alarm last ended, in event time; null while it stands.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub cleared_at: Option<Timestamp>,
    /// When the work order ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// The latest detection score; 1 is the alarm limit.
    pub score: f64,
    /// The highest score seen.
    pub peak_score: f64,
    /// What the case rests on, frozen at opening.
    #[schema(value_type = schema::Evidence)]
    pub evidence: Evidence,
    /// The latest forecast, when one can be made.
    pub prognosis: Option<PrognosisView>,
    /// The work order raised for it.
    #[schema(value_type = Option<String>)]
    pub work_order: Option<WorkOrderId>,
    /// What was found when the order was completed.
    #[schema(value_type = Option<schema::Outcome>)]
    pub outcome: Option<Outcome>,
}

/// A case with its log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseDetailView {
    /// As in the list.
    #[serde(flatten)]
    pub case: CaseView,
    /// What happened to it, oldest first.
    pub events: Vec<CaseEventView>,
}

/// One line of a case's log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseEventView {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened, such as `opened` or `acknowledged`.
    pub kind: String,
    /// The person who did it, when it was a person.
    pub by: Option<String>,
    /// What else belongs to it.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<serde_json::Value>,
}

impl From<CaseEvent> for CaseEventView {
    fn from(event: CaseEvent) -> Self {
        Self {
            at: event.at,
            kind: event.kind.as_str().to_owned(),
            by: event.by,
            detail: event.detail,
        }
    }
}

fn view(api: &Shared, case: Case, asset: Option<&Asset>) -> CaseView {
    let model = asset.and_then(|asset| api.parts.model(&asset.model));
    CaseView {
        asset_name: asset.map_or_else(
            || case.asset.to_string(),
            |asset| asset.name.as_str().to_owned(),
        ),
        failure_mode_name: labels::failure_mode_name(model, &case.failure_mode),
        prognosis: case.prognosis.as_ref().map(PrognosisView::from),
        id: case.id,
        asset: case.asset,
        device: case.device,
        failure_mode: case.failure_mode,
        severity: case.severity,
        status: case.status,
        opened_at: case.opened_at,
        updated_at: case.updated_at,
        cleared_at: case.cleared_at,
        closed_at: case.closed_at,
        score: case.score,
        peak_score: case.peak_score,
        evidence: case.evidence,
        work_order: case.work_order,
        outcome: case.outcome,
    }
}

/// A case with the names that the ledger and the asset model give it.
pub(crate) async fn named(api: &Shared, case: Case) -> Result<CaseView, Problem> {
    let asset = api.parts.service.asset(&case.asset).await?;
    Ok(view(api, case, asset.as_ref()))
}

/// List cases, newest first.
#[utoipa::path(get, path = "/cases", tag = "cases", params(CaseParams),
    responses((status = 200, description = "A page of cases", content(
        (Page<CaseView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(params): Params<CaseParams>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let csv = table::wants_csv(params.format.as_deref(), &headers)?;
    let default = if csv { MAX_LIMIT } else { DEFAULT_LIMIT };
    // One more than the limit tells whether there is a next page, and the desk gives a
    // thousand at once.
    let most = MAX_LIMIT;
    let window = Window::with_default(params.limit, params.cursor.as_deref(), default, most)?;
    let page = page(&api, params, &window).await?;
    if !csv {
        return Ok(Json(page).into_response());
    }
    let rows = page.items.into_iter().map(row);
    Ok(table::respond(
        "cases",
        &COLUMNS,
        rows,
        page.next.as_deref(),
        &uri,
    ))
}

async fn page(
    api: &Shared,
    params: CaseParams,
    window: &Window,
) -> Result<Page<CaseView>, Problem> {
    let mut query = CaseQuery {
        status: params.status.unwrap_or_default(),
        asset: params.asset,
        after: window.after_as()?,
        limit: window.limit as u32,
    };
    if let Some(after) = &query.after
        && api.parts.cases.get(after).await?.is_none()
    {
        return Err(super::page::foreign_cursor());
    }
    let mut cases = api.parts.cases.list(query.clone()).await?;
    if cases.len() == window.limit {
        query.after = cases.last().map(|case| case.id.clone());
        query.limit = 1;
        cases.extend(api.parts.cases.list(query).await?);
    }
    let mut assets: BTreeMap<AssetId, Option<Asset>> = BTreeMap::new();
    let mut items = Vec::with_capacity(cases.len());
    for case in cases {
        if !assets.contains_key(&case.asset) {
            let asset = api.parts.service.asset(&case.asset).await?;
            assets.insert(case.asset.clone(), asset);
        }
        let asset = assets.get(&case.asset).and_then(Option::as_ref);
        items.push(view(api, case, asset));
    }
    Ok(window.page(items, |case| case.id.to_string()))
}

const COLUMNS: [&str; 16] = [
    "id",
    "asset",
    "asset_name",
    "device",
    "failure_mode",
    "severity",
    "status",
    "opened_at",
    "cleared_at",
    "closed_at",
    "score",
    "peak_score",
    "top_signal",
    "top_deviation",
    "work_order",
    "outcome",
];

fn row(case: CaseView) -> Vec<Cell> {
    let top = case.evidence.contributions.first();
    vec![
        Cell::text(case.id.to_string()),
        Cell::text(case.asset.to_string()),
        Cell::text(case.asset_name.as_str()),
        Cell::text(case.device.to_string()),
        Cell::text(case.failure_mode.to_string()),
        Cell::plain(case.severity),
        Cell::plain(case.status.as_str()),
        Cell::plain(case.opened_at),
        Cell::maybe(case.cleared_at),
        Cell::maybe(case.closed_at),
        Cell::plain(case.score),
        Cell::plain(case.peak_score),
        Cell::text(top.map_or("", |top| top.signal.as_str())),
        Cell::maybe(top.map(|top| top.deviation)),
        Cell::maybe(case.work_order),
        Cell::maybe(case.outcome),
    ]
}

/// Get one case with its log.
#[utoipa::path(get, path = "/cases/{id}", tag = "cases",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseDetailView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
) -> Result<Json<CaseDetailView>, Problem> {
    let found = api.parts.cases.get(&id).await?;
    let found = found.ok_or_else(|| Problem::no_such("case", &id))?;
    Ok(Json(CaseDetailView {
        case: named(&api, found.case).await?,
        events: found.events.into_iter().map(CaseEventView::from).collect(),
    }))
}

/// Who acknowledges a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The person.
    by: String,
}

/// Acknowledge a case.
#[utoipa::path(post, path = "/cases/{id}/acknowledge", tag = "cases", request_body = Acknowledge,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn acknowledge(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<Acknowledge>,
) -> Result<Json<CaseView>, Problem> {
    let now = api.parts.clock.now();
    let case = api.parts.cases.acknowledge(&id, &body.by, now).await?;
    api.parts.events.case_changed(&id);
    named(&api, case).await.map(Json)
}
