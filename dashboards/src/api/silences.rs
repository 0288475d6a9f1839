//! `/silences`: what nobody wants to hear for a while.

use alerting::{Matcher, NewSilence, Silence};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, FailureMode, SiteId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    cases::care::ByPerson,
    extract::{Body, Params},
    problem::Problem,
};

/// Silences in one answer; more are not in force at once.
const MOST: u32 = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SilenceFilter {
    /// `true` for those that are over as well, the newest thousand.
    #[serde(default)]
    all: bool,
}

/// A silence.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SilenceView {
    /// Its number.
    pub id: i64,
    /// Cases of this asset.
    #[schema(value_type = Option<String>)]
    pub asset: Option<AssetId>,
    /// Cases of assets at this site.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// Cases of assets of this model.
    #[schema(value_type = Option<String>)]
    pub model: Option<AssetModelId>,
    /// Cases of this failure mode.
    #[schema(value_type = Option<String>)]
    pub failure_mode: Option<FailureMode>,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Who wanted it.
    pub by: String,
    /// Why.
    pub note: String,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a person ended it before its time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Who did.
    pub ended_by: Option<String>,
    /// How many open cases it fits now.
    pub matched: u32,
}

impl SilenceView {
    fn of(silence: Silence, matched: u32) -> Self {
        let matcher = silence.matcher;
        Self {
            id: silence.id,
            asset: matcher.asset,
            site: matcher.site,
            model: matcher.model,
            failure_mode: matcher.failure_mode,
            from: silence.from,
            until: silence.until,
            by: silence.by,
            note: silence.note,
            created_at: silence.created_at,
            ended_at: silence.ended_at,
            ended_by: silence.ended_by,
            matched,
        }
    }
}

/// Silences.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Silences {
    /// Newest first.
    pub items: Vec<SilenceView>,
    /// Always null: there are never more.
    pub next: Option<String>,
}

/// What to keep quiet; everything that is given has to fit, and something has to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSilence {
    /// Cases of this asset.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    asset: Option<AssetId>,
    /// Cases of assets at this site.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    site: Option<SiteId>,
    /// Cases of assets of this model.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    model: Option<AssetModelId>,
    /// Cases of this failure mode.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    failure_mode: Option<FailureMode>,
    /// From when; now when it is left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    from: Option<Timestamp>,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Who wants it.
    by: String,
    /// Why.
    #[serde(default)]
    note: String,
}

/// List silences that are in force or will be, newest first.
#[utoipa::path(get, path = "/silences", tag = "cases", params(SilenceFilter),
    responses((status = 200, body = Silences),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Params(filter): Params<SilenceFilter>,
) -> Result<Json<Silences>, Problem> {
    let desk = &api.parts.cases;
    let found = desk.silences(filter.all, None, MOST).await?;
    let matched = desk
        .matched(found.iter().map(|one| one.matcher.clone()))
        .await?;
    let items = found.into_iter().zip(matched);
    Ok(Json(Silences {
        items: items
            .map(|(one, matched)| SilenceView::of(one, matched))
            .collect(),
        next: None,
    }))
}

/// Keep every case that fits quiet until a time.
#[utoipa::path(post, path = "/silences", tag = "cases", request_body = AddSilence,
    responses((status = 201, body = SilenceView),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<AddSilence>,
) -> Result<(StatusCode, Json<SilenceView>), Problem> {
    let new = NewSilence {
        matcher: Matcher {
            asset: new.asset,
            site: new.site,
            model: new.model,
            failure_mode: new.failure_mode,
        },
        from: new.from.unwrap_or_else(|| api.parts.clock.now()),
        until: new.until,
        by: new.by,
        note: new.note,
    };
    let silence = api.parts.cases.silence(new).await?;
    let view = follow(&api, silence).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// End a silence before its time.
#[utoipa::path(delete, path = "/silences/{id}", tag = "cases", request_body = ByPerson,
    params(("id" = i64, Path, description = "Its number")),
    responses((status = 200, body = SilenceView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn end(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Body(body): Body<ByPerson>,
) -> Result<Json<SilenceView>, Problem> {
    let id: i64 = id
        .parse()
        .map_err(|_| Problem::invalid_parameter("id", "use the number of a silence"))?;
    let silence = api.parts.cases.end_silence(id, &body.by).await?;
    follow(&api, silence).await.map(Json)
}

/// Lets cases follow at once, and shows what the silence fits.
async fn follow(api: &Shared, silence: Silence) -> Result<SilenceView, Problem> {
    for change in api.parts.cases.review().await? {
        api.parts.events.case_changed(&change.case.id);
    }
    let matched = api.parts.cases.matched([silence.matcher.clone()]).await?;
    let matched = matched.first().copied().unwrap_or(0);
    Ok(SilenceView::of(silence, matched))
}
