//! The store as one of the stores of time series.

use telemetry::{BoxFuture, DeviceId, Timestamp};

use super::{Bucket, Sample, SeriesInfo, SeriesKey, Store};
use crate::{HistorianError, TimeSeries};

impl TimeSeries for Store {
    fn range<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Sample>, HistorianError>> {
        Box::pin(self.range(series, from, to, limit))
    }

    fn buckets<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, HistorianError>> {
        Box::pin(self.buckets(series, from, to, count))
    }

    fn series<'a>(
        &'a self,
        device: Option<&'a DeviceId>,
    ) -> BoxFuture<'a, Result<Vec<SeriesInfo>, HistorianError>> {
        Box::pin(async move { Ok(self.series(device)) })
    }

    fn last<'a>(
        &'a self,
        series: &'a [SeriesKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Sample>>, HistorianError>> {
        Box::pin(async move { Ok(self.last(series)) })
    }
}
