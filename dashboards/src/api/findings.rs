//! `/conditions`, `/assessments`, `/prognoses`: what analytics has said, as it said it.

use axum::{Json, extract::State};
use historian::{FindingKind, FindingQuery};
use serde::Deserialize;
use telemetry::{Assessment, AssetId, Condition, DeviceId, Finding, PrognosisOutcome, Timestamp};
use utoipa::IntoParams;

use super::{
    Shared,
    extract::Params,
    page::{self, MAX_LIMIT, Page, Window},
    problem::Problem,
    schema,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindingParams {
    /// Only about this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
    /// Only from this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// The first event time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// One past the last event time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `asc` (the default) or `desc`, by event time.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    order: Order,
    /// Most items of the page.
    limit: Option<u32>,
    /// Where the page continues: `next` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Asc,
    Desc,
}

/// List conditions by event time.
#[utoipa::path(get, path = "/conditions", tag = "findings", params(FindingParams),
    responses((status = 200, body = Page<schema::Condition>)))]
pub(crate) async fn conditions(
    State(api): State<Shared>,
    Params(params): Params<FindingParams>,
) -> Result<Json<Page<Condition>>, Problem> {
    list(
        &api,
        params,
        FindingKind::Condition,
        |finding| match finding {
            Finding::Condition(condition) => Some(condition),
            _ => None,
        },
    )
    .await
}

/// List health assessments by event time.
#[utoipa::path(get, path = "/assessments", tag = "findings", params(FindingParams),
    responses((status = 200, body = Page<schema::Assessment>)))]
pub(crate) async fn assessments(
    State(api): State<Shared>,
    Params(params): Params<FindingParams>,
) -> Result<Json<Page<Assessment>>, Problem> {
    list(
        &api,
        params,
        FindingKind::Assessment,
        |finding| match finding {
            Finding::Assessment(assessment) => Some(assessment),
            _ => None,
        },
    )
    .await
}

/// List prognoses by event time.
#[utoipa::path(get, path = "/prognoses", tag = "findings", params(FindingParams),
    responses((status = 200, body = Page<schema::PrognosisOutcome>)))]
pub(crate) async fn prognoses(
    State(api): State<Shared>,
    Params(params): Params<FindingParams>,
) -> Result<Json<Page<PrognosisOutcome>>, Problem> {
    list(
        &api,
        params,
        FindingKind::Prognosis,
        |finding| match finding {
            Finding::Prognosis(prognosis) => Some(prognosis),
            _ => None,
        },
    )
    .await
}

async fn list<T>(
    api: &Shared,
    params: FindingParams,
    kind: FindingKind,
    take: impl Fn(Finding) -> Option<T>,
) -> Result<Json<Page<T>>, Problem> {
    let window = Window::new(params.limit, params.cursor.as_deref(), MAX_LIMIT)?;
    let newest_first = params.order == Order::Desc;
    let place = window.after.as_deref().map(Place::parse).transpose()?;
    let mut query = FindingQuery {
        kind: Some(kind),
        asset: params.asset,
        device: params.device,
        from: params.from,
        to: params.to,
        newest_first,
        limit: window.limit + 1,
    };
    let mut skip = 0;
    if let Some(place) = place {
        skip = place.seen;
        query.limit += skip;
        if newest_first {
            query.to = Some(place.at + std::time::Duration::from_micros(1));
        } else {
            query.from = Some(place.at);
        }
    }
    let mut findings = api.parts.store.findings(query).await?;
    findings.drain(..skip.min(findings.len()));
    let more = findings.len() > window.limit;
    findings.truncate(window.limit);
    let next = Place::after(&findings, place)
        .filter(|_| more)
        .map(|place| page::encode_cursor(&place.to_string()));
    Ok(Json(Page {
        items: findings.into_iter().filter_map(take).collect(),
        next,
    }))
}

/// Where a list by event time continues. Several devices may speak of the same instant, so
/// the time alone is no key: the place is a time and how many of that time were given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    at: Timestamp,
    seen: usize,
}

impl Place {
    /// The place behind a page that began at `before`.
    fn after(page: &[Finding], before: Option<Self>) -> Option<Self> {
        let at = page.last()?.at();
        let here = page.iter().rev().take_while(|finding| finding.at() == at);
        let here = here.count();
        let earlier = before.filter(|before| before.at == at && here == page.len());
        Some(Self {
            at,
            seen: here + earlier.map_or(0, |before| before.seen),
        })
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let parsed = text.split_once(' ').and_then(|(at, seen)| {
            Some(Self {
                at: Timestamp::from_micros(at.parse().ok()?),
                seen: seen
                    .parse()
                    .ok()
                    .filter(|&seen: &usize| seen <= MAX_AT_ONCE)?,
            })
        });
        parsed.ok_or_else(page::foreign_cursor)
    }
}

/// Findings of one instant that a cursor may count; a forged one must not ask for more.
const MAX_AT_ONCE: usize = 100_000;

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.at.as_micros(), self.seen)
    }
}
