//! `/backtests`: what a set of rules would have done on the stored past.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Backtest, Name, NewBacktest};
use telemetry::Timestamp;
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Number},
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    schema,
    table::Cell,
};

/// A back-test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BacktestView {
    /// Its number.
    pub id: u64,
    /// Where it stands: `queued`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Who asked.
    #[schema(value_type = String)]
    pub by: Name,
    /// From this time on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Before this time.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Whether the detectors were left out.
    pub rules_only: bool,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// Readings gone through.
    pub readings: u64,
    /// Why there is no result.
    pub problem: Option<String>,
    /// The rule set; null in lists.
    pub rules: Option<String>,
    /// What came of it; null before it is done, and in lists.
    #[schema(value_type = Option<schema::BacktestResult>)]
    pub result: Option<Value>,
}

impl BacktestView {
    /// A line of a list: neither rules nor result.
    fn brief(backtest: Backtest) -> Self {
        Self {
            id: backtest.id,
            state: backtest.state.as_str().to_owned(),
            by: backtest.asked.by,
            from: backtest.asked.from,
            to: backtest.asked.to,
            rules_only: backtest.asked.rules_only,
            requested_at: backtest.requested_at,
            started_at: backtest.started_at,
            ended_at: backtest.ended_at,
            progress: backtest.progress,
            readings: backtest.readings,
            problem: backtest.problem,
            rules: None,
            result: None,
        }
    }

    fn whole(mut backtest: Backtest) -> Result<Self, Problem> {
        let result = backtest.result.take();
        let rules = std::mem::take(&mut backtest.asked.rules);
        let parsed = result
            .map(|result| serde_json::from_str(&result))
            .transpose();
        let result = parsed.map_err(|error| {
            tracing::error!(backtest = backtest.id, %error, "a result is not readable");
            Problem::internal("the result is not readable; run the back-test again")
        })?;
        Ok(Self {
            rules: Some(rules),
            result,
            ..Self::brief(backtest)
        })
    }
}

/// A back-test to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrial {
    /// The rule set as TOML; empty for the detectors alone.
    rules: String,
    /// From this time on.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Before this time.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Whether the detectors are left out: several times as fast, and rules that look at what
    /// detectors find never tell.
    #[serde(default)]
    rules_only: bool,
    /// Who asks.
    #[schema(value_type = String)]
    by: Name,
}

/// List back-tests, the newest first.
#[utoipa::path(get, path = "/backtests", tag = "rules", params(PageParams),
    responses((status = 200, description = "A page of back-tests", content(
        (Page<BacktestView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    let found = api.parts.service.backtests().await?;
    let views = found.into_iter().map(BacktestView::brief).collect();
    Ok(list.cut(views, |one: &BacktestView| {
        format!("{:020}", u64::MAX - one.id)
    }))
}

/// Get one back-test with its result.
#[utoipa::path(get, path = "/backtests/{id}", tag = "rules",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = BacktestView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn get(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<BacktestView>, Problem> {
    let found = api.parts.service.backtest(id).await?;
    let found = found.ok_or_else(|| Problem::no_such("back-test", id))?;
    BacktestView::whole(found).map(Json)
}

/// Try a set of rules on the stored past.
///
/// It runs beside everything else, one after the other; the rules in force are tried beside.
#[utoipa::path(post, path = "/backtests", tag = "rules", request_body = NewTrial,
    responses((status = 202, description = "It waits", body = BacktestView),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewTrial>,
) -> Result<(StatusCode, Json<BacktestView>), Problem> {
    let new = NewBacktest {
        rules: new.rules,
        from: new.from,
        to: new.to,
        rules_only: new.rules_only,
        by: new.by,
    };
    let created = api.parts.service.create_backtest(new).await?;
    Ok((StatusCode::ACCEPTED, Json(BacktestView::whole(created)?)))
}

/// Stop a back-test.
#[utoipa::path(post, path = "/backtests/{id}/cancel", tag = "rules",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = BacktestView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<BacktestView>, Problem> {
    let stopped = api.parts.service.cancel_backtest(id).await?;
    BacktestView::whole(stopped).map(Json)
}

impl Listed for BacktestView {
    const NAME: &'static str = "backtests";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "state",
        "by",
        "from",
        "to",
        "rules_only",
        "requested_at",
        "ended_at",
        "progress",
        "readings",
        "problem",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::plain(self.state),
            Cell::text(self.by.as_str()),
            Cell::plain(self.from),
            Cell::plain(self.to),
            Cell::plain(self.rules_only),
            Cell::plain(self.requested_at),
            Cell::maybe(self.ended_at),
            Cell::plain(self.progress),
            Cell::plain(self.readings),
            Cell::text(self.problem.unwrap_or_default()),
        ]
    }
}
