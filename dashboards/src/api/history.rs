//! `/history`: the past of assets from another maintenance system.
//!
//! All of a file or nothing: with any error nothing is written, and the answer lists every
//! error by line and column. A file that was taken may be sent again; it changes nothing.

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, Uri, request},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::{HistoryKind, HistoryOptions, HistoryRecord, HistoryReport};
use telemetry::{AssetId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::Raw,
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    schema,
    table::Cell,
};

/// The longest file.
pub(crate) const MAX_BODY_BYTES: usize = service::MAX_ONBOARD_BYTES;
/// Records that are listed of one asset or of all.
const MAX_LISTED: u32 = 10_000;

/// What a path and its query ask for.
#[derive(Debug)]
pub(crate) struct Asked {
    kind: HistoryKind,
    options: HistoryOptions,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        let Path(word) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::invalid_parameter("kind", error.body_text()))?;
        let kind = HistoryKind::parse(&word).ok_or_else(|| {
            let known: Vec<&str> = HistoryKind::ALL.iter().map(|kind| kind.as_str()).collect();
            Problem::invalid_parameter("kind", format!("use one of {}", known.join(", ")))
        })?;
        Ok(Self {
            kind,
            options: options(&parts.uri)?,
        })
    }
}

/// `map` and `ignore` may come several times, which the common reader of queries refuses.
fn options(uri: &Uri) -> Result<HistoryOptions, Problem> {
    let mut options = HistoryOptions::default();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "dry_run" => {
                options.dry_run = value
                    .parse()
                    .map_err(|_| Problem::invalid_parameter("dry_run", "use true or false"))?;
            }
            "map" => {
                let (ours, theirs) = value.split_once(':').ok_or_else(|| {
                    Problem::invalid_parameter("map", "use OURS:THEIRS, as in asset:machineID")
                })?;
                options.columns.push((ours.to_owned(), theirs.to_owned()));
            }
            "ignore" => options.ignore.push(value.into_owned()),
            other => {
                let detail = "unknown parameter; use dry_run, map or ignore";
                return Err(Problem::invalid_parameter(other, detail));
            }
        }
    }
    Ok(options)
}

/// The problem of a file with errors: the report beside the members of a problem.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryProblem {
    /// What happened.
    #[serde(flatten)]
    problem: Problem,
    /// What is wrong.
    #[serde(flatten)]
    #[schema(value_type = schema::HistoryReport)]
    report: HistoryReport,
}

/// Take in a table of the past.
///
/// `assets`: asset, and if known model and `installed_at`, any other column is a static fact.
/// `failures`: asset, at, and if known component, code, note. `maintenance`: asset, at, and if
/// known component, action (replace, repair, inspect), note. `errors`: asset, at, code.
#[utoipa::path(post, path = "/history/{kind}", tag = "prognosis",
    params(("kind" = String, Path, description = "assets, failures, maintenance or errors"),
        ("dry_run" = Option<bool>, Query, description = "Only say what would happen"),
        ("map" = Option<Vec<String>>, Query, description = "A column of ours and its name in the file, as OURS:THEIRS"),
        ("ignore" = Option<Vec<String>>, Query, description = "A column of the file that is left out")),
    request_body(content = String, content_type = "text/csv", description = "A header row, then a record a row"),
    responses((status = 200, body = schema::HistoryReport),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = HistoryProblem, content_type = "application/problem+json")))]
pub(crate) async fn import(
    State(api): State<Shared>,
    asked: Asked,
    Raw(csv): Raw<MAX_BODY_BYTES>,
) -> Result<Response, Problem> {
    let report = api
        .parts
        .service
        .import_history(asked.kind, &csv, &asked.options)
        .await?;
    api.parts.service.tell_history(&api.parts.journal).await?;
    if report.errors.is_empty() {
        return Ok(Json(report).into_response());
    }
    let count = report.errors.len() as u64 + report.more_errors;
    let first = report.errors.first().map(ToString::to_string);
    let detail = format!(
        "nothing was written: {count} errors, the first in {}",
        first.unwrap_or_default()
    );
    let problem = Problem::invalid_value(detail);
    let body = Json(HistoryProblem {
        problem: problem.clone(),
        report,
    });
    let mut response = problem.into_response();
    *response.body_mut() = body.into_response().into_body();
    debug_assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryFilter {
    /// Only about this asset.
    #[param(value_type = Option<String>)]
    asset: Option<AssetId>,
}

/// Something that happened to an asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HistoryRecordView {
    /// The asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `failure`, `maintenance` or `error`.
    pub kind: String,
    /// The component; empty for the machine as a whole.
    pub component: String,
    /// The code of an error, or what was done.
    pub code: String,
    /// What was written beside it.
    pub note: String,
}

impl From<HistoryRecord> for HistoryRecordView {
    fn from(record: HistoryRecord) -> Self {
        Self {
            asset: record.asset,
            at: record.at,
            kind: record.kind,
            component: record.component,
            code: record.code,
            note: record.note,
        }
    }
}

/// List what was imported, by time.
#[utoipa::path(get, path = "/history", tag = "prognosis", params(HistoryFilter, PageParams),
    responses((status = 200, description = "A page of records", content(
        (Page<HistoryRecordView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<HistoryFilter>,
) -> Result<Response, Problem> {
    let records = api
        .parts
        .service
        .history(list.filter.asset.as_ref(), MAX_LISTED)
        .await?;
    let mut views: Vec<_> = records.into_iter().map(HistoryRecordView::from).collect();
    let key = |view: &HistoryRecordView| {
        let at = view.at.as_micros().abs_diff(i64::MIN);
        let (asset, kind) = (&view.asset, &view.kind);
        format!("{at:020} {asset} {kind} {} {}", view.component, view.code)
    };
    views.sort_by_key(key);
    Ok(list.cut(views, key))
}

impl Listed for HistoryRecordView {
    const NAME: &'static str = "history";
    const COLUMNS: &'static [&'static str] = &["asset", "at", "kind", "component", "code", "note"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.asset.to_string()),
            Cell::plain(self.at),
            Cell::text(self.kind),
            Cell::text(self.component),
            Cell::text(self.code),
            Cell::text(self.note),
        ]
    }
}
