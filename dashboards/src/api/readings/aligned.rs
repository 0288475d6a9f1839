//! Several signals in buckets that line up.
//!
//! Every series is cut into the same parts of the same span, so the n-th number of each column
//! speaks of the same part. A part in which a series has no reading holds null; a part in which
//! none has is left out.

use std::collections::{BTreeMap, BTreeSet};

use historian::Bucket;
use serde::Serialize;
use telemetry::{DeviceId, SignalName, Timestamp, Unit};
use utoipa::ToSchema;

use super::{Sought, span::Span};
use crate::{
    api::{Shared, problem::Problem, signals::device_model, table::Cell},
    labels,
};

/// Several series in buckets that line up.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlignedReadings {
    /// The first event time looked at; null when nothing is stored and nothing was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// One past the last event time looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Where each part begins.
    #[schema(value_type = Vec<String>)]
    pub starts: Vec<Timestamp>,
    /// Where each part ends; a reading at this time is in the next part.
    #[schema(value_type = Vec<String>)]
    pub ends: Vec<Timestamp>,
    /// The signals, in the order they were asked for.
    pub series: Vec<AlignedSeries>,
}

/// One of several series: a number a part, null where it has no reading.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlignedSeries {
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// The symbol of the unit; null when it is not known.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// Readings in each part.
    pub count: Vec<u64>,
    /// The smallest values.
    pub min: Vec<Option<f64>>,
    /// The largest values.
    pub max: Vec<Option<f64>>,
    /// The arithmetic means.
    pub mean: Vec<Option<f64>>,
    /// The earliest values.
    pub first: Vec<Option<f64>>,
    /// The latest values.
    pub last: Vec<Option<f64>>,
}

pub(super) async fn read(
    api: &Shared,
    sought: Vec<Sought>,
    span: Option<Span>,
    count: u32,
) -> Result<AlignedReadings, Problem> {
    let mut found = Vec::with_capacity(sought.len());
    for Sought { key, .. } in sought {
        let buckets = match span {
            Some(span) => {
                let readings = &api.parts.readings;
                readings.buckets(&key, span.from, span.to, count).await?
            }
            None => Vec::new(),
        };
        let unit = labels::unit(device_model(api, &key.device), &key.signal);
        found.push(((key.device, key.signal, unit), buckets));
    }
    Ok(align(span, found))
}

type Named = (DeviceId, SignalName, Option<Unit>);

fn align(span: Option<Span>, found: Vec<(Named, Vec<Bucket>)>) -> AlignedReadings {
    let buckets = found.iter().flat_map(|(_, buckets)| buckets);
    let parts: BTreeSet<_> = buckets.map(|bucket| (bucket.from, bucket.to)).collect();
    let series = found.into_iter().map(|((device, signal, unit), buckets)| {
        let by_start: BTreeMap<Timestamp, Bucket> =
            buckets.into_iter().map(|one| (one.from, one)).collect();
        let column = |pick: fn(&Bucket) -> f64| {
            let cells = parts.iter().map(|(from, _)| by_start.get(from).map(pick));
            cells.collect()
        };
        AlignedSeries {
            count: parts
                .iter()
                .map(|(from, _)| by_start.get(from).map_or(0, |bucket| bucket.count))
                .collect(),
            min: column(|bucket| bucket.min),
            max: column(|bucket| bucket.max),
            mean: column(|bucket| bucket.mean),
            first: column(|bucket| bucket.first),
            last: column(|bucket| bucket.last),
            device,
            signal,
            unit,
        }
    });
    AlignedReadings {
        from: span.map(|span| span.from),
        to: span.map(|span| span.to),
        series: series.collect(),
        starts: parts.iter().map(|(from, _)| *from).collect(),
        ends: parts.iter().map(|(_, to)| *to).collect(),
    }
}

impl AlignedReadings {
    /// One row a part; minimum, mean and maximum of each signal.
    pub(super) fn table(&self) -> (Vec<String>, impl Iterator<Item = Vec<Cell>> + '_) {
        let mut columns = vec!["from".to_owned(), "to".to_owned()];
        for series in &self.series {
            columns.extend(["min", "mean", "max"].map(|word| format!("{}.{word}", series.signal)));
        }
        let parts = self.starts.iter().zip(&self.ends).enumerate();
        let rows = parts.map(|(n, (from, to))| {
            let mut row = vec![Cell::plain(from), Cell::plain(to)];
            for series in &self.series {
                row.extend([series.min[n], series.mean[n], series.max[n]].map(Cell::maybe));
            }
            row
        });
        (columns, rows)
    }
}
