//! `/calendar-feeds` and `/calendar/{token}.ics`: the planned visits, as calendars subscribe to them.
//!
//! A calendar program has no login, so who knows the address reads the calendar. The address is
//! 256 random bits, only its hash is kept, and it can be taken away.

mod ics;

use alerting::people::CalendarFeed;
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use service::{WorkOrder, WorkOrderQuery, WorkOrderStatus};
use telemetry::{EngineerId, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Number},
    page::Page,
    problem::Problem,
};
use ics::{Entry, Status};

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// How far back a calendar reaches: what was done this quarter.
const PAST: std::time::Duration = std::time::Duration::from_hours(90 * 24);

/// A calendar that somebody subscribed to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FeedView {
    /// Its number.
    pub id: i64,
    /// Whose orders it shows; null for everybody's, as planners want them.
    #[schema(value_type = Option<String>)]
    pub engineer: Option<EngineerId>,
    /// Who entered it.
    pub by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub entered_at: Timestamp,
    /// Where calendars read it; told once, when it is entered.
    pub path: Option<String>,
}

impl FeedView {
    fn of(feed: CalendarFeed, path: Option<String>) -> Self {
        Self {
            id: feed.id,
            engineer: feed.engineer,
            by: feed.by,
            entered_at: feed.entered_at,
            path,
        }
    }
}

/// A calendar to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFeed {
    /// Whose orders it shows; everybody's when it is missing.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    engineer: Option<EngineerId>,
    /// Who enters it.
    by: String,
}

/// List the calendars there are, without their addresses.
#[utoipa::path(get, path = "/calendar-feeds", tag = "people",
    responses((status = 200, body = Page<FeedView>)))]
pub(crate) async fn list(State(api): State<Shared>) -> Result<Json<Page<FeedView>>, Problem> {
    let feeds = api.parts.cases.feeds().await?;
    let items = feeds.into_iter().map(|feed| FeedView::of(feed, None));
    Ok(Json(Page {
        items: items.collect(),
        next: None,
    }))
}

/// Enter a calendar. Its address is told here and never again.
#[utoipa::path(post, path = "/calendar-feeds", tag = "people", request_body = NewFeed,
    responses((status = 201, body = FeedView),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewFeed>,
) -> Result<(StatusCode, Json<FeedView>), Problem> {
    if let Some(id) = &new.engineer {
        let engineers = api.parts.service.engineers().await?;
        if engineers.iter().all(|engineer| engineer.id != *id) {
            let problem = format!("there is no engineer {id}");
            return Err(Problem::invalid_value(problem).at_field("engineer"));
        }
    }
    let mut bytes = [0_u8; TOKEN_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (cases, now) = (&api.parts.cases, api.parts.clock.now());
    let feed = cases
        .enter_feed(&token, new.engineer.as_ref(), &new.by, now)
        .await?;
    let path = format!("/api/v1/calendar/{token}.ics");
    Ok((StatusCode::CREATED, Json(FeedView::of(feed, Some(path)))))
}

/// Take a calendar away: its address opens nothing any more.
#[utoipa::path(delete, path = "/calendar-feeds/{id}", tag = "people",
    params(("id" = i64, Path, description = "Its number")),
    responses((status = 204),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn forget(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<StatusCode, Problem> {
    let known = i64::try_from(id).unwrap_or(i64::MAX);
    if api.parts.cases.forget_feed(known).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::no_such("calendar", id))
}

/// Get the planned visits as an iCalendar.
#[utoipa::path(get, path = "/calendar/{file}", tag = "people",
    params(("file" = String, Path, description = "The token with the ending .ics")),
    responses((status = 200, description = "An iCalendar (RFC 5545)", body = String,
            content_type = "text/calendar"),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("this address opens no calendar".to_owned());
    let token = file.strip_suffix(".ics").ok_or_else(unknown)?;
    let feed = api.parts.cases.feed(token).await?.ok_or_else(unknown)?;
    let now = api.parts.clock.now();
    let entries = entries(&api, &feed, now).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8"),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    Ok((headers, ics::calendar("Bellwether", &entries)).into_response())
}

/// The orders that have a time, of the last quarter and to come.
async fn entries(api: &Shared, feed: &CalendarFeed, now: Timestamp) -> Result<Vec<Entry>, Problem> {
    let query = WorkOrderQuery {
        status: vec![
            WorkOrderStatus::Scheduled,
            WorkOrderStatus::InProgress,
            WorkOrderStatus::Completed,
            WorkOrderStatus::Cancelled,
        ],
        limit: WorkOrderQuery::MAX_LIMIT,
        ..WorkOrderQuery::default()
    };
    let link = api
        .parts
        .link
        .as_deref()
        .map(|link| link.trim_end_matches('/'));
    let mut entries = Vec::new();
    for order in api.parts.service.work_orders(query).await? {
        let is_theirs = feed.engineer.is_none() || order.engineer == feed.engineer;
        let Some(from) = order
            .scheduled_for
            .filter(|at| is_theirs && *at + PAST > now)
        else {
            continue;
        };
        let asset = api.parts.service.asset(&order.asset).await?;
        let place = asset.map(|asset| format!("{}, {}", asset.site.name, asset.customer.name));
        entries.push(entry(&order, from, place, link));
    }
    Ok(entries)
}

fn entry(order: &WorkOrder, from: Timestamp, place: Option<String>, link: Option<&str>) -> Entry {
    let mut text = Vec::new();
    if let Some(mode) = &order.failure_mode {
        text.push(mode.to_string());
    }
    if let Some(engineer) = &order.engineer_name {
        text.push(engineer.as_str().to_owned());
    }
    if !order.note.is_empty() {
        text.push(order.note.as_str().to_owned());
    }
    Entry {
        uid: format!("{}@bellwether", order.id),
        changed_at: order.updated_at,
        from,
        title: format!("{} {}", order.id, order.asset_name),
        text: text.join("\n"),
        place,
        url: link.map(|link| format!("{link}/work-orders/{}", order.id)),
        status: match order.status {
            WorkOrderStatus::Cancelled => Status::Cancelled,
            _ => Status::Confirmed,
        },
    }
}
