//! What every store of time series answers, wherever it keeps them.
//!
//! Two adapters: [`Store`](crate::Store) on this machine's disk, and InfluxDB 2. Both pass the
//! one conformance suite in `historian/tests/conformance`.

use telemetry::{BoxFuture, DeviceId, Timestamp};

use crate::{Bucket, HistorianError, Sample, SeriesInfo, SeriesKey};

/// Reads time series. The key of a reading is (device, signal, measured at); the first value
/// that was stored under a key stays.
pub trait TimeSeries: Send + Sync {
    /// The readings of a series with `from <= at < to`, in order of time, at most `limit`.
    fn range<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Sample>, HistorianError>>;

    /// The readings of a series in `count` equal parts of `[from, to)`, empty parts left out;
    /// the width is rounded up to whole microseconds. The same arguments give the same parts
    /// for every series, so that several series line up. `Timestamp::MIN` and `MAX` stand for
    /// the first and the last reading of the series.
    fn buckets<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, HistorianError>>;

    /// Every series with at least one reading, of one device or of all, by device and signal.
    fn series<'a>(
        &'a self,
        device: Option<&'a DeviceId>,
    ) -> BoxFuture<'a, Result<Vec<SeriesInfo>, HistorianError>>;

    /// The latest reading of each of these series, in their order; none where there is no reading.
    fn last<'a>(
        &'a self,
        series: &'a [SeriesKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Sample>>, HistorianError>>;
}
