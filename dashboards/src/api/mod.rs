//! The HTTP API: one file per resource, put together here.
//!
//! ```text
//! request ─▶ metrics ─▶ security headers ─▶ gzip ─▶ Host and Origin ─▶ time limit ─▶ panics ─▶ handler
//! ```
//!
//! Routes are registered through `routes!` only, which takes the path and the description
//! from one attribute at the handler: what answers is in the OpenAPI document, and the
//! other way round. Everything under `/api` that no route takes is a problem document;
//! everything else is the web UI.

pub mod alarm_rates;
pub mod assets;
pub mod backtests;
pub mod calendar;
pub mod case_people;
pub mod case_replay;
pub mod cases;
pub mod connectors;
pub mod course;
pub mod customers;
pub mod dead_letters;
pub mod devices;
pub mod drift;
pub mod drifts;
pub mod engineers;
mod errors;
mod extract;
pub mod features;
mod findings;
mod guard;
pub mod health;
pub mod history;
pub mod job_plans;
mod ledger;
mod list;
mod metrics;
pub mod models;
pub mod notifications;
pub mod onboarding;
pub mod page;
pub mod people;
mod problem;
pub mod prognosis_models;
pub mod readings;
pub mod recalibrations;
pub mod rules;
pub mod savings;
pub mod schema;
pub mod scoreboard;
pub mod signals;
pub mod silences;
pub mod sites;
pub mod spectra;
pub mod status;
pub mod stream;
pub mod submit;
pub mod summary;
mod table;
pub mod training_jobs;
pub mod waveforms;
pub mod work_orders;

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alerting::{rules::RuleBook, scoreboard::Recalibrations};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Semaphore;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use utoipa::openapi::{ContactBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::problem::Problem;
use self::{guard::AllowedHosts, metrics::HttpMetrics};
use crate::{parts::Parts, web};

/// The longest body of a request: a note of four thousand characters several times over.
/// Readings and onboarding files have limits of their own.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a request may take to its first byte. The longest query reads a few million
/// readings in a second or two.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) parts: Parts,
    metrics: HttpMetrics,
    streams: Arc<Semaphore>,
    watch: Mutex<health::Watch>,
    desk: submit::Desk,
    rules: RuleBook,
    recalibrations: Recalibrations,
}

/// What handlers share, as they get it.
pub(crate) type Shared = Arc<Api>;

impl Api {
    pub(crate) fn new(parts: Parts) -> Shared {
        Arc::new(Self {
            rules: RuleBook::of(&parts.cases),
            recalibrations: Recalibrations::of(&parts.cases),
            parts,
            metrics: HttpMetrics::default(),
            streams: Arc::new(Semaphore::new(stream::MAX_STREAMS)),
            watch: Mutex::default(),
            desk: submit::Desk::default(),
        })
    }

    fn watch(&self) -> MutexGuard<'_, health::Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The OpenAPI document.
pub fn openapi() -> OpenApi {
    described().into_openapi()
}

fn described() -> OpenApiRouter<Shared> {
    let info = InfoBuilder::new()
        .title("Bellwether")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Machine telemetry into maintenance that happens before the failure. Errors are \
             problem documents (RFC 9457), lists are pages that continue by cursor, times are \
             RFC 3339 in UTC.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("Bellwether")).build()))
        .build();
    let document = OpenApiBuilder::new().info(info).build();
    OpenApiRouter::with_openapi(document)
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::get))
        .nest("/api/v1", resources())
}

fn resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(assets::list, assets::create))
        .routes(routes!(assets::get, assets::update))
        .routes(routes!(features::list))
        .routes(routes!(course::get))
        .routes(routes!(assets::reasons::accept_normal))
        .routes(routes!(customers::list, customers::create))
        .routes(routes!(customers::update))
        .routes(routes!(sites::list, sites::create))
        .routes(routes!(engineers::list, engineers::create))
        .routes(routes!(models::list))
        .routes(routes!(devices::list, devices::create))
        .routes(routes!(devices::get))
        .routes(routes!(devices::signals))
        .routes(routes!(
            devices::credentials::list,
            devices::credentials::create
        ))
        .routes(routes!(devices::credentials::revoke))
        .routes(routes!(devices::late::list))
        .routes(routes!(onboarding::onboard))
        .routes(routes!(signals::list))
        .routes(routes!(readings::list, submit::submit))
        .routes(routes!(readings::last::list))
        .routes(routes!(waveforms::list))
        .routes(routes!(waveforms::get))
        .routes(routes!(waveforms::samples))
        .routes(routes!(spectra::get))
        .routes(routes!(findings::conditions))
        .routes(routes!(findings::assessments))
        .routes(routes!(findings::prognoses))
        .routes(routes!(findings::sensor_reports))
        .routes(routes!(prognosis_models::list))
        .routes(routes!(prognosis_models::get))
        .routes(routes!(prognosis_models::promote))
        .routes(routes!(prognosis_models::roll_back))
        .routes(routes!(prognosis_models::scores::list))
        .routes(routes!(drift::get))
        .routes(routes!(training_jobs::list, training_jobs::create))
        .routes(routes!(training_jobs::get))
        .routes(routes!(history::list))
        .routes(routes!(history::import))
        .merge(rule_resources())
        .merge(case_resources())
        .merge(order_resources())
        .merge(people_resources())
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::summary))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::get))
        .routes(routes!(dead_letters::payload))
        .routes(routes!(status::get))
        .routes(routes!(stream::stream))
}

/// What people watch for, and what that was worth.
fn rule_resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(findings::rules::rule_reports))
        .routes(routes!(rules::list))
        .routes(routes!(rules::text, rules::put_text))
        .routes(routes!(rules::validate))
        .routes(routes!(rules::versions))
        .routes(routes!(rules::version))
        .routes(routes!(rules::restore))
        .routes(routes!(rules::get, rules::put))
        .routes(routes!(rules::retire))
        .routes(routes!(recalibrations::list))
        .routes(routes!(recalibrations::revert))
        .routes(routes!(scoreboard::list))
        .routes(routes!(drifts::list))
        .routes(routes!(backtests::list, backtests::create))
        .routes(routes!(backtests::get))
        .routes(routes!(backtests::cancel))
        .routes(routes!(savings::list))
        .routes(routes!(savings::entries))
}

/// What is wrong, and what keeps it quiet.
fn case_resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(cases::list))
        .routes(routes!(cases::get))
        .routes(routes!(cases::acknowledge))
        .routes(routes!(cases::care::shelve))
        .routes(routes!(cases::care::unshelve))
        .routes(routes!(cases::care::separate))
        .routes(routes!(cases::care::groups))
        .routes(routes!(case_replay::replay))
        .routes(routes!(case_replay::capsule))
        .routes(routes!(silences::list, silences::create))
        .routes(routes!(silences::end))
        .routes(routes!(alarm_rates::list))
}

/// What is to be done, and where else it is told.
fn order_resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(work_orders::list, work_orders::create))
        .routes(routes!(work_orders::get))
        .routes(routes!(work_orders::approve))
        .routes(routes!(work_orders::schedule))
        .routes(routes!(work_orders::start))
        .routes(routes!(work_orders::complete))
        .routes(routes!(work_orders::cancel))
        .routes(routes!(job_plans::list))
        .routes(routes!(connectors::list))
        .routes(routes!(connectors::deliveries))
        .routes(routes!(connectors::retry))
}

/// Who is told, who is on call, what was told, and calendars.
fn people_resources() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(case_people::assign))
        .routes(routes!(case_people::hand_over))
        .routes(routes!(case_people::comment))
        .routes(routes!(people::list))
        .routes(routes!(people::rotas))
        .routes(routes!(people::stand_in))
        .routes(routes!(people::stand_in_no_more))
        .routes(routes!(people::escalations))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::summary))
        .routes(routes!(notifications::retry))
        .routes(routes!(notifications::test))
        .routes(routes!(calendar::list, calendar::create))
        .routes(routes!(calendar::forget))
        .routes(routes!(calendar::get))
}

/// The whole service: API, web UI and what stands before them.
pub(crate) fn router(api: Shared) -> Router {
    let hosts = AllowedHosts::new(api.parts.bind, &api.parts.allowed_hosts);
    let metrics = api.metrics.clone();
    let (routes, document) = described().split_for_parts();
    let document = Arc::new(document);
    routes
        .route(
            "/api/openapi.json",
            get(move || async move { Json((*document).clone()) }),
        )
        .with_state(api)
        .method_not_allowed_fallback(wrong_method)
        .fallback(web::serve)
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| {
            panicked(&*panic)
        }))
        .layer(middleware::from_fn(in_time))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(hosts, guard::guard))
        .layer(CompressionLayer::new())
        .layer(middleware::map_response(secured))
        .layer(middleware::from_fn_with_state(metrics, metrics::track))
}

async fn wrong_method(method: Method) -> Problem {
    Problem::method_not_allowed(format!(
        "there is no {method} here; the Allow header says what there is"
    ))
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    Problem::internal("the failure has been logged; please report it").into_response()
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| {
            let secs = REQUEST_TIMEOUT.as_secs();
            Problem::unavailable(format!("there was no answer within {secs} s")).into_response()
        })
}

async fn secured(mut response: Response) -> Response {
    for (name, value) in guard::SECURITY_HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing_of_the_inside() {
        let response = panicked(&"secret".to_owned());
        assert_eq!(response.status().as_u16(), 500);
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(&*problem.kind, "urn:bellwether:problem:internal");
        assert!(!problem.detail.contains("secret"));
    }
}
