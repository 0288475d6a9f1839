//! Time series out of `InfluxDB`, by Flux.
//!
//! Replies are buffered whole, so readings are asked for in pages of a bounded number of rows,
//! each beginning right after the last reading of the page before.

use rustc_hash::FxHashMap;
use telemetry::{BoxFuture, DeviceId, SignalName, Timestamp};

use super::{
    InfluxConfig,
    annotated::{self, AnnotatedError, Record},
    flux,
    lines::{MAX_TIME, MIN_TIME, signal_of},
    transport::Transport,
};
use crate::{Bucket, Grid, HistorianError, Sample, SeriesInfo, SeriesKey, TimeSeries};

/// Rows of one reply: some three megabytes of text.
const PAGE_ROWS: usize = 50_000;

/// Series asked for in one query, so that its text stays within some twenty kilobytes.
const KEYS_PER_QUERY: usize = 200;

/// Answers from an `InfluxDB` 2 server. Cheap to clone.
#[derive(Clone)]
pub struct InfluxStore {
    transport: Transport,
    bucket: String,
}

impl InfluxStore {
    /// Checks the configuration; nothing is sent yet.
    pub fn new(config: &InfluxConfig) -> Result<Self, HistorianError> {
        Ok(Self {
            transport: Transport::new(config)?,
            bucket: config.bucket.clone(),
        })
    }

    /// Asks and calls `visit` with every record of the reply.
    async fn ask(
        &self,
        flux: String,
        visit: impl FnMut(&Record<'_>) -> Result<(), AnnotatedError>,
    ) -> Result<(), HistorianError> {
        let reply = self.transport.query(&flux).await?;
        annotated::read(&reply, visit).map_err(|error| HistorianError::Influx {
            action: "answer a query",
            problem: error.to_string(),
            // A body that was cut off may come whole the next time.
            transient: matches!(error, AnnotatedError::CutOff { .. }),
        })
    }

    async fn read_range(
        &self,
        series: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Sample>, HistorianError> {
        let mut samples: Vec<Sample> = Vec::new();
        let (mut from, to) = (from.max(MIN_TIME), to.min(after(MAX_TIME)));
        while from < to && samples.len() < limit {
            let wanted = PAGE_ROWS.min(limit - samples.len());
            let before = samples.len();
            let query = flux::range(&self.bucket, series, from, to, wanted);
            self.ask(query, |record| {
                samples.extend(sample(record)?);
                Ok(())
            })
            .await?;
            let Some(last) = samples.last().filter(|_| samples.len() - before == wanted) else {
                break;
            };
            from = after(last.at);
        }
        Ok(samples)
    }

    /// The first and the last time of a series.
    async fn extent(
        &self,
        series: &SeriesKey,
    ) -> Result<Option<(Timestamp, Timestamp)>, HistorianError> {
        let (mut first, mut last) = (None, None);
        self.ask(flux::extent(&self.bucket, series), |record| {
            match record.result() {
                "first" => first = record.time("_time")?,
                "last" => last = record.time("_time")?,
                _ => {}
            }
            Ok(())
        })
        .await?;
        Ok(first.zip(last))
    }

    async fn read_buckets(
        &self,
        series: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> Result<Vec<Bucket>, HistorianError> {
        let (mut from, mut to) = (from, to);
        if from == Timestamp::MIN || to == Timestamp::MAX {
            let Some((first, last)) = self.extent(series).await? else {
                return Ok(Vec::new());
            };
            if from == Timestamp::MIN {
                from = first;
            }
            if to == Timestamp::MAX {
                to = after(last);
            }
        }
        let Some(grid) = Grid::new(from, to, count) else {
            return Ok(Vec::new());
        };
        let mut parts: FxHashMap<Timestamp, Parts> = FxHashMap::default();
        let query = flux::buckets(&self.bucket, series, from, to, &grid);
        self.ask(query, |record| {
            if let Some(at) = record.time("_time")? {
                let parts = parts.entry(at).or_default();
                match record.result() {
                    "count" => parts.count = record.count("_value")?,
                    "min" => parts.min = record.number("_value")?,
                    "max" => parts.max = record.number("_value")?,
                    "mean" => parts.mean = record.number("_value")?,
                    "first" => parts.first = record.number("_value")?,
                    "last" => parts.last = record.number("_value")?,
                    _ => {}
                }
            }
            Ok(())
        })
        .await?;
        let whole = parts
            .into_iter()
            .filter_map(|(at, parts)| parts.whole(grid.part(at)?));
        let mut buckets: Vec<Bucket> = whole.collect();
        buckets.sort_by_key(|bucket| bucket.from);
        Ok(buckets)
    }

    async fn read_series(
        &self,
        device: Option<&DeviceId>,
    ) -> Result<Vec<SeriesInfo>, HistorianError> {
        let mut found: FxHashMap<SeriesKey, Extent> = FxHashMap::default();
        self.ask(flux::series(&self.bucket, device), |record| {
            let Some(key) = key_of(record) else {
                return Ok(());
            };
            let extent = found.entry(key).or_default();
            match record.result() {
                "count" => extent.count = record.count("_value")?,
                "first" => extent.first = record.time("_time")?,
                "last" => extent.last = sample(record)?,
                _ => {}
            }
            Ok(())
        })
        .await?;
        let infos = found.into_iter().filter_map(|(key, extent)| {
            let last = extent.last?;
            Some(SeriesInfo {
                device: key.device,
                signal: key.signal,
                count: extent.count?,
                first_at: extent.first?,
                last_at: last.at,
                last_value: last.value,
            })
        });
        let mut infos: Vec<SeriesInfo> = infos.collect();
        infos.sort_by(|a, b| (&a.device, &a.signal).cmp(&(&b.device, &b.signal)));
        Ok(infos)
    }

    async fn read_last(&self, series: &[SeriesKey]) -> Result<Vec<Option<Sample>>, HistorianError> {
        let mut found: FxHashMap<SeriesKey, Sample> = FxHashMap::default();
        for keys in series.chunks(KEYS_PER_QUERY) {
            self.ask(flux::last(&self.bucket, keys), |record| {
                if let (Some(key), Some(sample)) = (key_of(record), sample(record)?) {
                    found.insert(key, sample);
                }
                Ok(())
            })
            .await?;
        }
        Ok(series.iter().map(|key| found.get(key).copied()).collect())
    }
}

impl TimeSeries for InfluxStore {
    fn range<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Sample>, HistorianError>> {
        Box::pin(self.read_range(series, from, to, limit))
    }

    fn buckets<'a>(
        &'a self,
        series: &'a SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, HistorianError>> {
        Box::pin(self.read_buckets(series, from, to, count))
    }

    fn series<'a>(
        &'a self,
        device: Option<&'a DeviceId>,
    ) -> BoxFuture<'a, Result<Vec<SeriesInfo>, HistorianError>> {
        Box::pin(self.read_series(device))
    }

    fn last<'a>(
        &'a self,
        series: &'a [SeriesKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Sample>>, HistorianError>> {
        Box::pin(self.read_last(series))
    }
}

impl std::fmt::Debug for InfluxStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfluxStore")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

fn after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(1))
}

/// A reading; none when its value is null or no number of ours.
fn sample(record: &Record<'_>) -> Result<Option<Sample>, AnnotatedError> {
    let value = record.number("_value")?.filter(|value| value.is_finite());
    let at = record.time("_time")?;
    Ok(at.zip(value).map(|(at, value)| Sample { at, value }))
}

/// The series of a record; none when somebody else wrote it under a name that is not ours.
fn key_of(record: &Record<'_>) -> Option<SeriesKey> {
    Some(SeriesKey {
        device: DeviceId::new(record.text("device")?).ok()?,
        signal: SignalName::new(signal_of(record.text("_field")?)).ok()?,
    })
}

/// What several results say about one series.
#[derive(Default)]
struct Extent {
    count: Option<u64>,
    first: Option<Timestamp>,
    last: Option<Sample>,
}

/// What several results say about one window.
#[derive(Default)]
struct Parts {
    count: Option<u64>,
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    first: Option<f64>,
    last: Option<f64>,
}

impl Parts {
    fn whole(self, (from, to): (Timestamp, Timestamp)) -> Option<Bucket> {
        Some(Bucket {
            from,
            to,
            count: self.count.filter(|&count| count > 0)?,
            min: self.min?,
            max: self.max?,
            mean: self.mean?,
            first: self.first?,
            last: self.last?,
        })
    }
}
