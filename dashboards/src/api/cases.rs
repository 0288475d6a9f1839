//! `/cases`: what is wrong, since when, on which evidence.

pub mod care;

use alerting::{Case, CaseEvent, CaseQuery, CaseSource, CaseStatus, StatusFilter};
use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use service::Asset;
use telemetry::{
    AssetId, AssetModel, CaseId, ConditionState, DeviceId, Evidence, FailureMode, Outcome,
    PersonId, Severity, SignalName, SiteId, Timestamp, Verdict, WorkOrderId,
};
use utoipa::{IntoParams, ToSchema};

use self::care::CareView;
use super::{
    Shared,
    extract::{Body, Id},
    ledger::Ledger,
    list::{self, Listed, Listing, PageParams},
    page::{self, Page, Window},
    problem::Problem,
    schema,
    summary::PrognosisView,
    table::Cell,
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseFilter {
    /// `open` (acknowledged ones too), `closed` or `all` (the default).
    #[param(value_type = Option<String>)]
    status: Option<StatusFilter>,
    /// Only of this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only of assets at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteId>,
    /// Only with this verdict: `sensor`, `operating` or `machine`.
    #[param(value_type = Option<String>)]
    verdict: Option<Verdict>,
    /// `true` for those that ask for nothing at present, `false` for those that ask.
    suppressed: Option<bool>,
    /// `true` for those that wait for their order behind more valuable ones, `false` for others.
    watch_list: Option<bool>,
    /// Only those this case stands for.
    #[param(value_type = Option<String>)]
    parent: Option<CaseId>,
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
    /// Its name, with the signal where it is a sensor's.
    pub failure_mode_name: Option<Text>,
    /// The signal whose sensor cannot be believed; null for a problem of the machine.
    #[schema(value_type = Option<String>)]
    pub signal: Option<SignalName>,
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
    /// The reason in words and numbers, made from the evidence.
    pub explanation: Text,
    /// The latest forecast, when one can be made.
    pub prognosis: Option<PrognosisView>,
    /// The person who has it in hand.
    #[schema(value_type = Option<String>)]
    pub assignee: Option<PersonId>,
    /// The work order raised for it.
    #[schema(value_type = Option<String>)]
    pub work_order: Option<WorkOrderId>,
    /// What was found when the order was completed.
    #[schema(value_type = Option<schema::Outcome>)]
    pub outcome: Option<Outcome>,
    /// How it is treated.
    #[serde(flatten)]
    pub care: CareView,
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

fn view(api: &Shared, case: Case, asset: Option<&Asset>, children: u32) -> CaseView {
    let model = asset.and_then(|asset| api.parts.model(&asset.model));
    CaseView {
        care: CareView::of(&case, children),
        explanation: explanation(&case, model),
        asset_name: asset.map_or_else(
            || case.asset.to_string(),
            |asset| asset.name.as_str().to_owned(),
        ),
        failure_mode_name: labels::case_name(model, &case.failure_mode, case.signal.as_ref()),
        prognosis: case.prognosis.as_ref().map(PrognosisView::from),
        id: case.id,
        asset: case.asset,
        device: case.device,
        failure_mode: case.failure_mode,
        signal: case.signal,
        severity: case.severity,
        status: case.status,
        opened_at: case.opened_at,
        updated_at: case.updated_at,
        cleared_at: case.cleared_at,
        closed_at: case.closed_at,
        score: case.score,
        peak_score: case.peak_score,
        evidence: case.evidence,
        assignee: case.assignee,
        work_order: case.work_order,
        outcome: case.outcome,
    }
}

/// Why the case was opened, in words.
fn explanation(case: &Case, model: Option<&AssetModel>) -> Text {
    // What a rule saw is in its own words.
    if let (CaseSource::Rule { .. }, Some(why)) = (&case.source, &case.why) {
        return Text::new(why.en.as_str(), why.zh.as_str());
    }
    let evidence = Some(&case.evidence);
    labels::explanation(ConditionState::Alarm, case.opened_at, evidence, model)
}

/// A case with the names that the ledger and the asset model give it.
pub(crate) async fn named(api: &Shared, case: Case) -> Result<CaseView, Problem> {
    let asset = api.parts.service.asset(&case.asset).await?;
    let children = api.parts.cases.children().await?;
    let children = children.get(&case.id).copied().unwrap_or(0);
    Ok(view(api, case, asset.as_ref(), children))
}

/// List cases, newest first.
#[utoipa::path(get, path = "/cases", tag = "cases", params(CaseFilter, PageParams),
    responses((status = 200, description = "A page of cases", content(
        (Page<CaseView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<CaseFilter>,
) -> Result<Response, Problem> {
    let page = page(&api, &list.filter, &list.window).await?;
    Ok(list.answer(page))
}

async fn page(
    api: &Shared,
    filter: &CaseFilter,
    window: &Window,
) -> Result<Page<CaseView>, Problem> {
    let desk = &api.parts.cases;
    let after: Option<CaseId> = window.after_as()?;
    if let Some(after) = &after
        && desk.get(after).await?.is_none()
    {
        return Err(page::foreign_cursor());
    }
    let fetch = |after, limit| {
        let query = CaseQuery {
            status: filter.status.unwrap_or_default(),
            asset: filter.asset.clone(),
            site: filter.site.clone(),
            verdict: filter.verdict,
            suppressed: filter.suppressed,
            watch_list: filter.watch_list,
            parent: filter.parent.clone(),
            after,
            limit,
        };
        desk.list(query)
    };
    let cases = list::one_more(window, after, |case: &Case| case.id.clone(), fetch).await?;
    let children = desk.children().await?;
    let mut ledger = Ledger::new(&api.parts.service);
    let mut items = Vec::with_capacity(cases.len());
    for case in cases {
        let asset = ledger.asset(&case.asset).await?;
        let children = children.get(&case.id).copied().unwrap_or(0);
        items.push(view(api, case, asset, children));
    }
    Ok(window.page(items, |case| case.id.to_string()))
}

impl Listed for CaseView {
    const NAME: &'static str = "cases";
    const COLUMNS: &'static [&'static str] = &[
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
        "verdict",
        "suppressed",
        "parent",
        "expected_avoided_cost",
        "currency",
    ];

    fn row(self) -> Vec<Cell> {
        let top = self.evidence.contributions.first();
        let top_signal = top.map(|top| &top.signal).or(self.signal.as_ref());
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.asset.to_string()),
            Cell::text(self.asset_name.as_str()),
            Cell::text(self.device.to_string()),
            Cell::text(self.failure_mode.to_string()),
            Cell::plain(self.severity),
            Cell::plain(self.status.as_str()),
            Cell::plain(self.opened_at),
            Cell::maybe(self.cleared_at),
            Cell::maybe(self.closed_at),
            Cell::plain(self.score),
            Cell::plain(self.peak_score),
            Cell::text(top_signal.map_or("", |signal| signal.as_str())),
            Cell::maybe(top.map(|top| top.deviation)),
            Cell::maybe(self.work_order),
            Cell::maybe(self.outcome),
            Cell::plain(self.care.verdict),
            Cell::maybe(self.care.suppressed.map(|why| why.reason.as_str())),
            Cell::maybe(self.care.parent),
            Cell::maybe(self.care.expected_avoided_cost),
            Cell::text(self.care.currency.unwrap_or_default()),
        ]
    }
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
    api.parts.notify.notify_one();
    named(&api, case).await.map(Json)
}
