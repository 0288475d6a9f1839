//! `/devices/{id}/late-readings`: what came so late that it raised nothing.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use historian::{LateQuery, LateReadings};
use serde::Serialize;
use telemetry::{DeviceId, Timestamp};
use utoipa::ToSchema;

use super::known;
use crate::api::{
    Shared,
    extract::Id,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};

/// Marks that the number beside a device is made of. Older ones are still listed.
const MAX_COUNTED: usize = 10_000;

/// Readings that came so late behind the device's own newest that they are stored and raise
/// nothing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LateView {
    /// Its number; rises with every mark.
    pub id: u64,
    /// The device.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// How many values.
    pub readings: u64,
    /// The earliest of their event times.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// The latest of their event times.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// The device's newest event time when they came.
    #[schema(value_type = String, format = DateTime)]
    pub newest: Timestamp,
    /// When they came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<LateReadings> for LateView {
    fn from(late: LateReadings) -> Self {
        Self {
            id: late.id,
            device: late.device,
            readings: late.readings,
            from: late.from,
            to: late.to,
            newest: late.newest,
            at: late.at,
        }
    }
}

impl Listed for LateView {
    const NAME: &'static str = "late-readings";
    const COLUMNS: &'static [&'static str] =
        &["id", "device", "readings", "from", "to", "newest", "at"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::text(self.device.to_string()),
            Cell::plain(self.readings),
            Cell::plain(self.from),
            Cell::plain(self.to),
            Cell::plain(self.newest),
            Cell::plain(self.at),
        ]
    }
}

/// List what came late from a device, newest first.
#[utoipa::path(get, path = "/devices/{id}/late-readings", tag = "devices",
    params(("id" = String, Path, description = "The id of the device"), PageParams),
    responses((status = 200, description = "A page of late marks", content(
        (Page<LateView> = "application/json"), (String = "text/csv"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Id(id): Id<DeviceId>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    known(&api, &id)?;
    let query = LateQuery {
        device: Some(id),
        before_id: list.window.after_as()?,
        limit: list.window.limit + 1,
    };
    let late = api.parts.store.late_readings(query).await?;
    let late = late.into_iter().map(LateView::from).collect();
    let page = list
        .window
        .page(late, |late: &LateView| late.id.to_string());
    Ok(list.answer(page))
}

/// Late readings of one device or of all, by device.
pub(super) async fn counts(
    api: &Shared,
    device: Option<&DeviceId>,
) -> Result<HashMap<DeviceId, u64>, Problem> {
    let query = LateQuery {
        device: device.cloned(),
        before_id: None,
        limit: MAX_COUNTED,
    };
    let mut counts = HashMap::new();
    for late in api.parts.store.late_readings(query).await? {
        *counts.entry(late.device).or_default() += late.readings;
    }
    Ok(counts)
}
