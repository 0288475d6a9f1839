//! `/onboarding`: devices by the hundred from one CSV.
//!
//! All of it or nothing: with any error nothing is written, and the answer lists every error
//! by line and column. A dry run answers the same without writing. A file that was taken may
//! be sent again; it changes nothing.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::{OnboardOptions, OnboardReport};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Params, Raw},
    problem::Problem,
    schema,
};

/// The longest file.
pub(crate) const MAX_BODY_BYTES: usize = service::MAX_ONBOARD_BYTES;

#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OnboardParams {
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Make a token for each device that has no valid credential; they are in the answer, once.
    #[serde(default)]
    tokens: bool,
}

impl OnboardParams {
    pub(crate) fn options(self) -> OnboardOptions {
        OnboardOptions {
            dry_run: self.dry_run,
            tokens: self.tokens,
        }
    }
}

/// The problem of a file with errors: the report beside the members of a problem.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardProblem {
    /// What happened.
    #[serde(flatten)]
    problem: Problem,
    /// What is wrong.
    #[serde(flatten)]
    #[schema(value_type = schema::OnboardReport)]
    report: OnboardReport,
}

/// Enter devices from a CSV.
#[utoipa::path(post, path = "/onboarding", tag = "devices", params(OnboardParams),
    request_body(content = String, content_type = "text/csv",
        description = "A header row, then a device a row; only the column `device` has to be there"),
    responses((status = 200, body = schema::OnboardReport),
        (status = 201, description = "Devices are new", body = schema::OnboardReport),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = OnboardProblem, content_type = "application/problem+json")))]
pub(crate) async fn onboard(
    State(api): State<Shared>,
    Params(params): Params<OnboardParams>,
    Raw(csv): Raw<MAX_BODY_BYTES>,
) -> Result<Response, Problem> {
    let report = api.parts.service.onboard(&csv, params.options()).await?;
    Ok(answer(&api, report))
}

/// What is answered to a report.
pub(crate) fn answer(api: &Shared, report: OnboardReport) -> Response {
    for asset in report.created.assets.iter().chain(&report.changed.assets) {
        if report.applied {
            api.parts.events.asset_changed(asset);
        }
    }
    // Tokens have no business in any cache.
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    if report.errors.is_empty() || report.dry_run {
        let status = if report.applied && !report.created.devices.is_empty() {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        return (status, no_store, Json(report)).into_response();
    }
    let count = report.errors.len() as u64 + report.more_errors;
    let first = report.errors.first().map(ToString::to_string);
    let detail = format!(
        "nothing was written: {count} errors, the first in {}",
        first.unwrap_or_default()
    );
    let problem = Problem::invalid_value(detail);
    let mut response = problem.clone().into_response();
    let body = Json(OnboardProblem { problem, report }).into_response();
    *response.body_mut() = body.into_body();
    response
}
