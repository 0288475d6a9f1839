//! Closing the loop: whoever completes a work order has been at the machine.

use std::{collections::HashSet, time::Duration};

use serde::Deserialize;
use telemetry::{Outcome, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::asset::SimulatedAsset;

/// How often completed orders are asked for.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// One answer; newest orders come first, so more would be history.
const PAGE: u32 = 200;

/// What an engineer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Worn parts and bad sensors were replaced.
    Repaired,
    /// Only sensors were replaced.
    SensorsReplaced,
}

impl Visit {
    /// What was done when an order ended so; none when nothing was touched.
    fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Confirmed | Outcome::OtherFaultFound => Some(Self::Repaired),
            Outcome::SensorFault => Some(Self::SensorsReplaced),
            Outcome::NoFaultFound | Outcome::Duplicate | Outcome::Deferred => None,
        }
    }

    /// Does it to the machine, at this event time.
    pub(super) fn apply(self, machine: &mut SimulatedAsset, at: Timestamp) {
        tracing::info!(asset = machine.id, visit = ?self, %at, "an engineer was at the machine");
        match self {
            Self::Repaired => machine.repair(at),
            Self::SensorsReplaced => machine.replace_sensors(at),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Order>,
}

#[derive(Debug, Deserialize)]
struct Order {
    id: String,
    asset: String,
    outcome: Option<Outcome>,
}

/// Asks the API again and again and sends each completed order to its machine, once. Orders
/// that were complete at the first answer belong to an earlier life of the plant.
pub(super) async fn watch(
    api: String,
    doors: Vec<(String, mpsc::Sender<Visit>)>,
    stop: CancellationToken,
) {
    let url = format!(
        "{}/api/v1/work-orders?status=completed&limit={PAGE}",
        api.trim_end_matches('/')
    );
    let client = reqwest::Client::new();
    let mut known: Option<HashSet<String>> = None;
    while !stop.is_cancelled() {
        match ask(&client, &url).await {
            Ok(page) => {
                let first = known.is_none();
                let known = known.get_or_insert_default();
                for order in page.items {
                    if !known.insert(order.id.clone()) || first {
                        continue;
                    }
                    let door = doors.iter().find(|(asset, _)| *asset == order.asset);
                    if let (Some((_, door)), Some(visit)) =
                        (door, order.outcome.and_then(Visit::of))
                    {
                        let _ = door.send(visit).await;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "work orders cannot be read now"),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn ask(client: &reqwest::Client, url: &str) -> Result<Page, reqwest::Error> {
    let request = client.get(url).timeout(Duration::from_secs(10));
    request.send().await?.error_for_status()?.json().await
}
