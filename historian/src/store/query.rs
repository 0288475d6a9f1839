//! Queries over chunks and tail.

use std::ops::ControlFlow;

use rusqlite::Connection;
use telemetry::Timestamp;

use super::{
    Inner, SeriesKey, Store,
    chunk::{Points, Slice},
    disk,
};
use crate::error::HistorianError;

/// The most buckets in one answer; no screen has more columns.
const MAX_BUCKETS: u32 = 10_000;

/// How often a query starts again when chunks were merged while it read them.
const MAX_ATTEMPTS: u32 = 100;

/// A moment for the catalogue to follow a transaction that is already on disk.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(2);

/// One reading of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// The value, in the unit of the signal.
    pub value: f64,
}

/// The readings of one part of a time range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where the part begins.
    pub from: Timestamp,
    /// Where it ends; readings at this time belong to the next.
    pub to: Timestamp,
    /// The number of readings, never zero.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The value at the earliest time.
    pub first: f64,
    /// The value at the latest time.
    pub last: f64,
}

impl Store {
    /// The readings of a series with `from <= at < to`, in order of time, at most `limit`.
    pub async fn range(
        &self,
        series: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Sample>, HistorianError> {
        let query = Query {
            key: series.clone(),
            from: from.as_micros(),
            to: to.as_micros(),
            tail_limit: limit,
        };
        self.run_query(query, Vec::new, move |samples: &mut Vec<Sample>, run| {
            let points = run.times.iter().zip(run.values);
            let left = limit - samples.len();
            samples.extend(points.take(left).map(|(&at, &value)| Sample {
                at: Timestamp::from_micros(at),
                value,
            }));
            if samples.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .await
    }

    /// The readings of a series in `count` equal parts of `[from, to)`, empty parts left out.
    /// `Timestamp::MIN` and `MAX` stand for the first and the last reading. The width is
    /// rounded up to whole microseconds; `count` is kept within 1 and 10,000.
    pub async fn buckets(
        &self,
        series: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> Result<Vec<Bucket>, HistorianError> {
        let (mut from, mut to) = (from.as_micros(), to.as_micros());
        if from == i64::MIN || to == i64::MAX {
            let Some((first, last)) = self.0.extent(series) else {
                return Ok(Vec::new());
            };
            if from == i64::MIN {
                from = first;
            }
            if to == i64::MAX {
                to = last.saturating_add(1);
            }
        }
        if from >= to {
            return Ok(Vec::new());
        }
        let grid = Grid::new(from, to, count);
        let query = Query {
            key: series.clone(),
            from,
            to,
            tail_limit: usize::MAX,
        };
        let buckets = self
            .run_query(query, Vec::new, move |buckets: &mut Vec<Bucket>, run| {
                grid.add(buckets, run);
                ControlFlow::Continue(())
            })
            .await?;
        Ok(buckets.into_iter().map(Bucket::finished).collect())
    }

    /// Feeds the runs of a query to `add`, from the start again whenever a chunk has gone.
    async fn run_query<T, F>(
        &self,
        query: Query,
        start: fn() -> T,
        mut add: F,
    ) -> Result<T, HistorianError>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Slice<'_>) -> ControlFlow<()> + Send + 'static,
    {
        let inner = self.0.clone();
        self.0
            .pool
            .run(move |connection| {
                for _ in 0..MAX_ATTEMPTS {
                    let mut answer = start();
                    if inner.walk(connection, &query, |run| add(&mut answer, run))? {
                        return Ok(answer);
                    }
                    std::thread::sleep(RETRY_AFTER);
                }
                Err(HistorianError::Busy)
            })
            .await
    }
}

struct Query {
    key: SeriesKey,
    from: i64,
    to: i64,
    /// Points of the tail that can matter.
    tail_limit: usize,
}

impl Inner {
    /// First and last time of a series.
    fn extent(&self, key: &SeriesKey) -> Option<(i64, i64)> {
        let state = self.state();
        let series = &state.series[state.find(&key.device, &key.signal)? as usize];
        let times = &series.tail.times;
        let chunks = &series.chunks;
        let firsts = [chunks.first().map(|c| c.t_min), times.first().copied()];
        let lasts = [chunks.last().map(|c| c.t_max), times.last().copied()];
        Some((
            firsts.into_iter().flatten().min()?,
            lasts.into_iter().flatten().max()?,
        ))
    }

    /// Calls `visit` with the points of a query in order of time, run by run. Says no when a
    /// chunk went away meanwhile; what was visited is then worth nothing.
    fn walk(
        &self,
        connection: &Connection,
        query: &Query,
        mut visit: impl FnMut(Slice<'_>) -> ControlFlow<()>,
    ) -> Result<bool, HistorianError> {
        let (chunks, tail) = {
            let state = self.state();
            let Some(number) = state.find(&query.key.device, &query.key.signal) else {
                return Ok(true);
            };
            let series = &state.series[number as usize];
            let first = series
                .chunks
                .partition_point(|chunk| chunk.t_max < query.from);
            let last = series
                .chunks
                .partition_point(|chunk| chunk.t_min < query.to);
            let chunks = series.chunks.get(first..last).unwrap_or(&[]).to_vec();
            let wanted = series.tail.as_slice().between(query.from, query.to);
            let wanted = wanted.split_at(wanted.len().min(query.tail_limit)).0;
            let mut tail = Points::default();
            tail.extend(wanted);
            (chunks, tail)
        };
        let mut tail = tail.as_slice();
        for chunk in chunks {
            let (before, from) = tail.split_before(chunk.t_min);
            if !before.is_empty() && visit(before).is_break() {
                return Ok(true);
            }
            let Some(points) = disk::points(connection, chunk.id)? else {
                return Ok(false);
            };
            let stored = points.as_slice().between(query.from, query.to);
            let (inside, after) = from.split_before(chunk.t_max.saturating_add(1));
            let flow = if inside.is_empty() {
                visit(stored)
            } else {
                visit(Points::merged(stored, inside).as_slice())
            };
            if flow.is_break() {
                return Ok(true);
            }
            tail = after;
        }
        let _ = visit(tail);
        Ok(true)
    }
}

/// Equal parts of a time range. Arithmetic in 128 bits: a range may span all of time.
#[derive(Debug, Clone, Copy)]
struct Grid {
    from: i128,
    to: i128,
    width: i128,
}

impl Grid {
    fn new(from: i64, to: i64, count: u32) -> Self {
        let (from, to) = (i128::from(from), i128::from(to));
        let count = i128::from(count.clamp(1, MAX_BUCKETS));
        Self {
            from,
            to,
            width: ((to - from) + count - 1) / count,
        }
    }

    /// Adds sorted points, later than those added before. `mean` holds the sum until the end.
    fn add(&self, buckets: &mut Vec<Bucket>, run: Slice<'_>) {
        for (&at, &value) in run.times.iter().zip(run.values) {
            match buckets.last_mut() {
                Some(bucket) if at < bucket.to.as_micros() => {
                    bucket.count += 1;
                    bucket.min = bucket.min.min(value);
                    bucket.max = bucket.max.max(value);
                    bucket.mean += value;
                    bucket.last = value;
                }
                _ => {
                    let start = self.from + (i128::from(at) - self.from) / self.width * self.width;
                    let end = (start + self.width).min(self.to);
                    buckets.push(Bucket {
                        from: Timestamp::from_micros(start as i64),
                        to: Timestamp::from_micros(end as i64),
                        count: 1,
                        min: value,
                        max: value,
                        mean: value,
                        first: value,
                        last: value,
                    });
                }
            }
        }
    }
}

impl Bucket {
    fn finished(mut self) -> Self {
        self.mean /= self.count as f64;
        self
    }
}
