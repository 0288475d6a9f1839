//! `/stream`: changes as they happen, as server-sent events.
//!
//! Every stream ends on the shutdown token: the server waits for open responses when it
//! stops, and a stream that did not end would hold it for ever (axum#2673).

use std::{convert::Infallible, sync::Arc, time::Duration, time::Instant};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{Receiver, error::RecvError},
    },
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{Shared, assets, cases, problem::Problem, summary::Composer, work_orders};
use crate::events::{Due, Message, PUBLISH_EVERY};

/// Streams open at once: far more browsers than a plant has, few enough to serve each.
pub(crate) const MAX_STREAMS: usize = 256;
/// How often a quiet stream says that it lives; proxies cut at 30 s or 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// From this many assets on, cases and orders are fetched for all at once.
const FETCH_ALL_FROM: usize = 4;

/// Follow changes: `event: asset` (an `AssetSummary`, once a second and asset at most),
/// `event: case` (a `CaseView`), `event: work_order` (a `WorkOrderView`),
/// `event: drift` (`asset_model` and a `DriftWarning`, or null when it is over),
/// `event: detection_drift` (`found`, each a `DetectionDrift`: what left what detectors learned from),
/// `event: lagged` (events were lost, `missed` of them when that is known; ask the API afresh).
#[utoipa::path(get, path = "/stream", tag = "system",
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stream(State(api): State<Shared>) -> Result<Response, Problem> {
    let permit = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
        Problem::unavailable(format!("{MAX_STREAMS} event streams are open; close one"))
    })?;
    let shutdown = api.parts.shutdown.clone();
    let events = api.parts.events.subscribe();
    let hello = Event::default().comment("connected").retry(RETRY);
    let all = stream::iter([Ok(hello)]).chain(follow(events, shutdown, permit));
    let mut response = Sse::new(all)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive"))
        .into_response();
    // A proxy that buffers would turn the stream into a very slow page.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn follow(
    events: Receiver<Arc<Message>>,
    shutdown: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(
        (events, shutdown, permit),
        |(mut events, shutdown, permit)| async move {
            let message = next(&mut events, &shutdown).await?;
            let event = Event::default().event(message.event).data(&message.data);
            Some((Ok(event), (events, shutdown, permit)))
        },
    )
}

/// The next message of a stream; none at its end.
async fn next(
    events: &mut Receiver<Arc<Message>>,
    shutdown: &CancellationToken,
) -> Option<Arc<Message>> {
    let received = tokio::select! {
        biased;
        () = shutdown.cancelled() => return None,
        received = events.recv() => received,
    };
    match received {
        Ok(message) => Some(message),
        Err(RecvError::Lagged(missed)) => Some(Arc::new(lagged(Some(missed)))),
        Err(RecvError::Closed) => None,
    }
}

fn lagged(missed: Option<u64>) -> Message {
    Message {
        event: "lagged",
        data: serde_json::json!({ "missed": missed }).to_string(),
    }
}

/// Reads what was marked and sends it, until the shutdown.
pub(crate) async fn publish(api: Shared) {
    let mut tick = tokio::time::interval(PUBLISH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shutdown = api.parts.shutdown.clone();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        api.watch_readers();
        let due = api.parts.events.take_due(Instant::now());
        let overflow = due.overflow;
        let failed = send_due(&api, due).await.is_err();
        // What could not be read is not lost for good: the streams ask afresh.
        if failed || overflow {
            let lagged = lagged(None);
            api.parts.events.send(lagged.event, lagged.data);
        }
    }
}

async fn send_due(api: &Shared, due: Due) -> Result<(), Problem> {
    let events = &api.parts.events;
    for id in &due.cases {
        if let Some(found) = api.parts.cases.get(id).await? {
            events.send("case", json(&cases::named(api, found.case).await?)?);
        }
    }
    for id in &due.orders {
        if let Some(found) = api.parts.service.work_order(id).await? {
            events.send(
                "work_order",
                json(&work_orders::named(api, found.order).await?)?,
            );
        }
    }
    let many = due.assets.len() >= FETCH_ALL_FROM;
    let all = if many {
        Composer::fetch(&api.parts, None).await?
    } else {
        Composer::default()
    };
    for id in &due.assets {
        let own = if many {
            None
        } else {
            Some(Composer::fetch(&api.parts, Some(id)).await?)
        };
        let composer = own.as_ref().unwrap_or(&all);
        if let Some(asset) = assets::one_summary(api, composer, id).await? {
            events.send("asset", json(&asset)?);
        }
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| Problem::from_failure(&error, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventBus;

    #[tokio::test]
    async fn a_slow_stream_is_told_how_much_it_lost_and_goes_on() {
        let bus = EventBus::new();
        let mut slow = bus.subscribe();
        let shutdown = CancellationToken::new();
        for n in 0..1_500 {
            bus.send("case", n.to_string());
        }
        let first = next(&mut slow, &shutdown).await.unwrap();
        assert_eq!(
            (first.event, first.data.as_str()),
            ("lagged", "{\"missed\":476}"),
            "1,500 less the 1,024 that are kept"
        );
        let second = next(&mut slow, &shutdown).await.unwrap();
        assert_eq!((second.event, second.data.as_str()), ("case", "476"));
        shutdown.cancel();
        assert_eq!(next(&mut slow, &shutdown).await, None);
    }
}
