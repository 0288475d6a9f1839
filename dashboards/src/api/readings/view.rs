//! Readings as the API shows them.

use axum::response::Response;
use serde::Serialize;
use telemetry::{DeviceId, SignalName, Timestamp, Unit};
use utoipa::ToSchema;

use super::{ReadingFilter, aligned::AlignedReadings};
use crate::api::{list::Listing, page::MAX_READINGS, table::Cell};

/// Readings of one series.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Readings {
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of the unit; null when it is not known.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// The first event time looked at; null when nothing is stored and nothing was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// One past the last event time looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Readings, or buckets when those were asked for, in order of time.
    pub items: ReadingItems,
    /// Give this as `cursor` for the next page; null on the last page.
    pub next: Option<String>,
}

/// Readings or buckets.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ReadingItems {
    /// As they were measured.
    Raw(Vec<ReadingView>),
    /// Summed up in equal parts of the span; empty parts are left out.
    Buckets(Vec<BucketView>),
}

/// One reading.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReadingView {
    /// When it was measured.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// The readings of a part of the span.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BucketView {
    /// Where the part begins.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Where it ends; a reading at this time is in the next part.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Readings in it.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The earliest value.
    pub first: f64,
    /// The latest value.
    pub last: f64,
}

/// One series, or several that line up.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, briefly")]
pub enum ReadingsAnswer {
    /// One signal.
    One(Readings),
    /// Several signals.
    Aligned(AlignedReadings),
}

impl From<historian::Bucket> for BucketView {
    fn from(bucket: historian::Bucket) -> Self {
        Self {
            from: bucket.from,
            to: bucket.to,
            count: bucket.count,
            min: bucket.min,
            max: bucket.max,
            mean: bucket.mean,
            first: bucket.first,
            last: bucket.last,
        }
    }
}

/// The readings of one series as a table.
pub(super) fn as_csv(list: &Listing<ReadingFilter, MAX_READINGS>, answer: &Readings) -> Response {
    let name = format!("readings-{}", answer.device);
    let next = answer.next.as_deref();
    let series = [
        Cell::text(answer.device.to_string()),
        Cell::text(answer.signal.as_str()),
    ];
    match &answer.items {
        ReadingItems::Raw(readings) => {
            let rows = readings.iter().map(|reading| {
                let mut row = series.to_vec();
                row.extend([Cell::plain(reading.at), Cell::plain(reading.value)]);
                row
            });
            list.table(&name, &["device", "signal", "at", "value"], rows, next)
        }
        ReadingItems::Buckets(buckets) => {
            let columns = [
                "device", "signal", "from", "to", "count", "min", "max", "mean", "first", "last",
            ];
            let rows = buckets.iter().map(|one| {
                let mut row = series.to_vec();
                row.extend([one.from, one.to].map(Cell::plain));
                row.push(Cell::plain(one.count));
                row.extend([one.min, one.max, one.mean, one.first, one.last].map(Cell::plain));
                row
            });
            list.table(&name, &columns, rows, next)
        }
    }
}
