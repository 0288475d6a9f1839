//! How cases are treated: shelves, groups, and what is shown of both.

use alerting::{Case, CaseSource, Suppression, SuppressionReason};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, CaseId, Severity, SiteId, Timestamp, Verdict};
use utoipa::ToSchema;

use super::super::{
    Shared,
    extract::{Body, Id},
    problem::Problem,
    schema,
};
use super::{CaseView, named};
use crate::labels::Text;

/// How a case is treated.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CareView {
    /// What kind of problem it is: `sensor`, `operating` or `machine`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// Why that is the verdict.
    pub why: Option<Text>,
    /// Who raised it.
    pub source: SourceView,
    /// How often it came to life, 1 at first.
    pub round: u32,
    /// When this round was opened, by the clock of the program.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    /// Where the asset stood then.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// Whether all that was heard of it so far came late.
    pub stale: bool,
    /// Why it asks for no order and no attention at present; null when it asks.
    pub suppressed: Option<SuppressionView>,
    /// The case that stands for it.
    #[schema(value_type = Option<String>)]
    pub parent: Option<CaseId>,
    /// How many open cases it stands for.
    pub children: u32,
    /// Set while it waits for its order behind more valuable cases.
    pub watch_list: Option<WatchListView>,
    /// What acting in time is expected to save; null before it was estimated.
    pub expected_avoided_cost: Option<f64>,
    /// The currency of it.
    pub currency: Option<String>,
}

impl CareView {
    /// What is shown of a case that stands for so many others.
    pub fn of(case: &Case, children: u32) -> Self {
        Self {
            verdict: case.verdict,
            why: case.why.as_ref().map(text),
            source: SourceView::from(&case.source),
            round: case.round,
            seen_at: case.seen_at,
            site: case.site.clone(),
            stale: case.stale,
            suppressed: case.suppressed.clone().map(SuppressionView::from),
            parent: case.parent.clone(),
            children,
            watch_list: case.watch_list.as_ref().map(|listed| WatchListView {
                reason: text(&listed.reason),
                since: listed.since,
            }),
            expected_avoided_cost: case.expected_avoided_cost,
            currency: case.currency.clone(),
        }
    }
}

fn text(words: &telemetry::Explanation) -> Text {
    Text::new(words.en.as_str(), words.zh.as_str())
}

/// Who raised a case.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceView {
    /// `model` or `rule`.
    pub kind: String,
    /// The detectors of a model, with their versions.
    pub name: Option<String>,
    /// The rule.
    pub id: Option<String>,
    /// The version of the rule.
    pub version: Option<u32>,
}

impl From<&CaseSource> for SourceView {
    fn from(source: &CaseSource) -> Self {
        match source {
            CaseSource::Model { name } => Self {
                kind: "model".to_owned(),
                name: Some(name.clone()),
                id: None,
                version: None,
            },
            CaseSource::Rule { id, version } => Self {
                kind: "rule".to_owned(),
                name: None,
                id: Some(id.to_string()),
                version: Some(*version),
            },
        }
    }
}

/// Why a case asks for nothing at present.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SuppressionView {
    /// `shelved`, `silenced`, `maintenance`, `parent`, `flood`, `common_cause`, `flapping` or
    /// `stale`.
    #[schema(value_type = String)]
    pub reason: SuppressionReason,
    /// Until when, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The person who wanted it, where one did.
    pub by: Option<String>,
    /// The case that stands for it, where one does.
    #[schema(value_type = Option<String>)]
    pub parent: Option<CaseId>,
}

impl From<Suppression> for SuppressionView {
    fn from(suppression: Suppression) -> Self {
        Self {
            reason: suppression.reason,
            until: suppression.until,
            by: suppression.by,
            parent: suppression.parent,
        }
    }
}

/// Why a case waits for its order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WatchListView {
    /// The reason.
    pub reason: Text,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// Until when a case is put aside, by whom and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShelveCase {
    /// The person.
    by: String,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Why.
    #[serde(default)]
    note: String,
}

/// A person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByPerson {
    /// The person.
    pub(crate) by: String,
}

/// Put a case aside until a time.
#[utoipa::path(post, path = "/cases/{id}/shelve", tag = "cases", request_body = ShelveCase,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn shelve(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<ShelveCase>,
) -> Result<Json<CaseView>, Problem> {
    let desk = &api.parts.cases;
    let case = desk.shelve(&id, body.until, &body.by, &body.note).await?;
    changed(&api, case).await
}

/// Take a case off its shelf.
#[utoipa::path(post, path = "/cases/{id}/unshelve", tag = "cases", request_body = ByPerson,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn unshelve(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<ByPerson>,
) -> Result<Json<CaseView>, Problem> {
    let case = api.parts.cases.unshelve(&id, &body.by).await?;
    changed(&api, case).await
}

/// Take a case out of its group for good: it is a problem of its own.
#[utoipa::path(post, path = "/cases/{id}/separate", tag = "cases", request_body = ByPerson,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CaseView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn separate(
    State(api): State<Shared>,
    Id(id): Id<CaseId>,
    Body(body): Body<ByPerson>,
) -> Result<Json<CaseView>, Problem> {
    let case = api.parts.cases.separate(&id, &body.by).await?;
    changed(&api, case).await
}

async fn changed(api: &Shared, case: Case) -> Result<Json<CaseView>, Problem> {
    api.parts.events.case_changed(&case.id);
    named(api, case).await.map(Json)
}

/// Cases that belong together.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseGroupView {
    /// The case that stands for all.
    #[schema(value_type = String)]
    pub case: CaseId,
    /// Its asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// The site.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// Why they belong together: `flood`, `common_cause` or `parent`.
    #[schema(value_type = String)]
    pub reason: SuppressionReason,
    /// The most urgent of them.
    #[schema(value_type = schema::Severity)]
    pub severity: Severity,
    /// How many others there are.
    pub children: u32,
    /// When the first alarm rose, in event time.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
}

/// All groups.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CaseGroups {
    /// The largest first.
    pub items: Vec<CaseGroupView>,
    /// Always null: all are there.
    pub next: Option<String>,
}

/// List the groups of open cases, the largest first.
#[utoipa::path(get, path = "/case-groups", tag = "cases",
    responses((status = 200, body = CaseGroups)))]
pub(crate) async fn groups(State(api): State<Shared>) -> Result<Json<CaseGroups>, Problem> {
    let groups = api.parts.cases.groups().await?;
    let items = groups.into_iter().map(|group| CaseGroupView {
        case: group.head,
        asset: group.asset,
        site: group.site,
        reason: group.reason,
        severity: group.severity,
        children: group.children,
        opened_at: group.opened_at,
    });
    Ok(Json(CaseGroups {
        items: items.collect(),
        next: None,
    }))
}
