//! `/metrics`: everything countable, in the `OpenMetrics` text format.
//!
//! Only the HTTP figures are kept here. All others belong to other rooms and are read from
//! them when a scrape asks, so that there is one counter for each thing and not two.

mod rooms;

use std::{fmt, sync::atomic::AtomicU64, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{Shared, problem::Problem};

type Labels = Vec<(&'static str, String)>;

/// The route of requests that no route took: pages and files of the web UI, and mistakes.
/// One label for all, because paths that clients make up are without bound.
const UNROUTED: &str = "other";

/// The figures of the HTTP server.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
}

impl fmt::Debug for HttpMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetrics").finish_non_exhaustive()
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(latency),
        }
    }
}

/// From half a millisecond to eight seconds, doubling.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 15))
}

/// Counts a request by route and status, and times it to its first byte.
pub(crate) async fn track(
    State(metrics): State<HttpMetrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNROUTED, MatchedPath::as_str)
        .to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PATCH" | "DELETE") => known.to_owned(),
        _ => UNROUTED.to_owned(),
    };
    let started = Instant::now();
    let response = next.run(request).await;
    let mut labels = vec![("method", method), ("route", route)];
    metrics
        .seconds
        .get_or_create(&labels)
        .observe(started.elapsed().as_secs_f64());
    labels.push(("status", response.status().as_u16().to_string()));
    metrics.requests.get_or_create(&labels).inc();
    response
}

/// Every figure, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn get(State(api): State<Shared>) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("bellwether");
    let http = &api.metrics;
    registry.register(
        "http_requests",
        "HTTP requests by route and status",
        http.requests.clone(),
    );
    let help = "Time to the first byte of the response";
    registry.register("http_request_duration_seconds", help, http.seconds.clone());
    rooms::ingest(&mut registry, &api);
    rooms::journal(&mut registry, &api);
    rooms::stores(&mut registry, &api).await?;
    rooms::work(&mut registry, &api).await?;
    let streams = api.parts.events.listeners() as f64;
    gauge(
        &mut registry,
        "event_streams",
        "Open event streams",
        streams,
    );
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::from_failure(&error, false))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
        .into_response())
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// One gauge with a label.
fn gauges(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = (String, f64)>,
) {
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (word, value) in values {
        family.get_or_create(&vec![(label, word)]).set(value);
    }
    registry.register(name, help, family);
}

/// One counter with a label.
fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = (String, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    for (word, value) in values {
        family.get_or_create(&vec![(label, word)]).inc_by(value);
    }
    registry.register(name, help, family);
}
