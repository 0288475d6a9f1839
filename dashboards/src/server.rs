//! Serving: the listener, the publisher of events, and the end of both.

use std::{io, time::Duration};

use axum::Router;
use tokio::net::TcpListener;

use crate::{
    api::{self, Api},
    connections::Bounded,
    parts::Parts,
};

/// How long open requests may take after the shutdown. Streams end at once, queries within a
/// second or two; what is left then is a peer that does not read.
const DRAIN: Duration = Duration::from_secs(5);

/// The service as a router, without the publisher of events; for embedding and tests.
pub fn router(parts: Parts) -> Router {
    api::router(Api::new(parts))
}

/// Serves until `parts.shutdown` is cancelled; then takes no new requests, ends the event
/// streams, and returns when the open requests are answered or after five seconds.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, parts: Parts) -> io::Result<()> {
    let shutdown = parts.shutdown.clone();
    let api = Api::new(parts);
    let publisher = tokio::spawn(api::stream::publish(api.clone()));
    let stopping = shutdown.clone();
    let server = axum::serve(Bounded::new(listener), api::router(api))
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    let served = tokio::select! {
        served = server.into_future() => served,
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        } => {
            tracing::warn!("some HTTP requests were still open at the end of the shutdown");
            Ok(())
        }
    };
    publisher.abort();
    served
}
