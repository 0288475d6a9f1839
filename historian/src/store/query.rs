//! Queries over chunks and tail.

use std::ops::ControlFlow;

use rusqlite::Connection;
use telemetry::Timestamp;

use super::{
    Inner, SeriesKey, Store,
    chunk::{Points, Slice},
    disk,
    grid::{Bucket, Grid},
    rollup::{self, Row},
    state::Chunk,
    tier::Tier,
};
use crate::error::HistorianError;

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
            grid: None,
        };
        self.run_query(query, Vec::new, move |samples: &mut Vec<Sample>, piece| {
            let Piece::Points(run) = piece else {
                return ControlFlow::Continue(());
            };
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

    /// The readings of a series in at most `count` parts of `[from, to)`, empty parts left out.
    /// `Timestamp::MIN` and `MAX` stand for the first and the last reading; `count` is kept
    /// within 1 and 10,000. [`Grid`] says where the parts lie.
    ///
    /// Where readings are stored, the answer is exact. Where only roll-ups are left, it is exact
    /// for parts that are no narrower than a row of them, `from` and `to` rounded up to rows;
    /// a row that is wider than a part is shown whole in the part where it begins.
    pub async fn buckets(
        &self,
        series: &SeriesKey,
        from: Timestamp,
        to: Timestamp,
        count: u32,
    ) -> Result<Vec<Bucket>, HistorianError> {
        let (mut from, mut to) = (from, to);
        if from == Timestamp::MIN || to == Timestamp::MAX {
            let Some((first, last)) = self.0.extent(series) else {
                return Ok(Vec::new());
            };
            if from == Timestamp::MIN {
                from = Timestamp::from_micros(first);
            }
            if to == Timestamp::MAX {
                to = Timestamp::from_micros(last.saturating_add(1));
            }
        }
        let Some(grid) = Grid::new(from, to, count) else {
            return Ok(Vec::new());
        };
        let query = Query {
            key: series.clone(),
            from: from.as_micros(),
            to: to.as_micros(),
            tail_limit: usize::MAX,
            grid: Some(grid),
        };
        let add = move |buckets: &mut Vec<Bucket>, piece: Piece<'_>| {
            match piece {
                Piece::Points(run) => grid.add_points(buckets, run),
                Piece::Rows(rows) => grid.add_rows(buckets, rows),
            }
            ControlFlow::Continue(())
        };
        let buckets = self.run_query(query, Vec::new, add).await?;
        Ok(buckets.into_iter().map(Bucket::finished).collect())
    }

    /// Feeds the pieces of a query to `add`, from the start again whenever a chunk has gone.
    async fn run_query<T, F>(
        &self,
        query: Query,
        start: fn() -> T,
        mut add: F,
    ) -> Result<T, HistorianError>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Piece<'_>) -> ControlFlow<()> + Send + 'static,
    {
        let inner = self.0.clone();
        self.0
            .pool
            .run(move |connection| {
                for _ in 0..MAX_ATTEMPTS {
                    let mut answer = start();
                    if inner.walk(connection, &query, |piece| add(&mut answer, piece))? {
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
    /// The parts asked for; none for the readings themselves.
    grid: Option<Grid>,
}

/// What a series consists of in some span, in order of time.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Points(Slice<'a>),
    Rows(&'a [Row]),
}

/// What was read of a chunk.
enum Stored {
    Points(Points),
    Rows(Tier, Vec<Row>),
    /// Only roll-ups are left, and readings were asked for.
    Nothing,
}

impl Query {
    /// Whether rows of a tier tell everything about a chunk: none of them lies across an edge
    /// between parts, or across an end of the range where the chunk does.
    fn is_exact(&self, chunk: &Chunk, tier: Tier) -> bool {
        let aligned = |edge: i64| edge.rem_euclid(tier.step()) == 0;
        self.grid.is_some_and(|grid| grid.fits(tier))
            && (chunk.t_min >= self.from || aligned(self.from))
            && (chunk.t_max < self.to || aligned(self.to))
    }

    /// The tier to read of a chunk: the coarsest that is exact, else the finest there is.
    fn tier(&self, chunk: &Chunk) -> Option<Tier> {
        if self.grid.is_none() {
            return chunk.has_readings().then_some(Tier::Raw);
        }
        let exact = |tier: &Tier| self.is_exact(chunk, *tier);
        chunk
            .tiers
            .coarsest_first()
            .find(exact)
            .or_else(|| chunk.tiers.finest())
    }
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

    /// The chunks and the points of the tail that a query is about, as they are now.
    fn matching(&self, query: &Query) -> (Vec<Chunk>, Points) {
        let state = self.state();
        let mut tail = Points::default();
        let Some(number) = state.find(&query.key.device, &query.key.signal) else {
            return (Vec::new(), tail);
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
        tail.extend(wanted.split_at(wanted.len().min(query.tail_limit)).0);
        (chunks, tail)
    }

    /// Calls `visit` with what a query is about in order of time, piece by piece. Says no when
    /// a chunk went away meanwhile; what was visited is then worth nothing.
    fn walk(
        &self,
        connection: &Connection,
        query: &Query,
        mut visit: impl FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<bool, HistorianError> {
        let (chunks, tail) = self.matching(query);
        let mut tail = tail.as_slice();
        for chunk in chunks {
            let (before, from) = tail.split_before(chunk.t_min);
            if !before.is_empty() && visit(Piece::Points(before)).is_break() {
                return Ok(true);
            }
            let (inside, after) = from.split_before(chunk.t_max.saturating_add(1));
            let Some(stored) = read(connection, query, &chunk, inside.is_empty())? else {
                return Ok(false);
            };
            // The first row may begin before the range although its readings lie inside.
            let rows_from = if chunk.t_min >= query.from {
                i64::MIN
            } else {
                query.from
            };
            if visit_stored(query, stored, inside, rows_from, &mut visit).is_break() {
                return Ok(true);
            }
            tail = after;
        }
        let _ = visit(Piece::Points(tail));
        Ok(true)
    }
}

/// Reads what a query needs of a chunk; none when it has gone. Points of the tail that lie
/// inside its span have to be merged with its readings, as long as there are any.
fn read(
    connection: &Connection,
    query: &Query,
    chunk: &Chunk,
    alone: bool,
) -> Result<Option<Stored>, HistorianError> {
    let tier = match query.tier(chunk) {
        Some(_) if !alone && chunk.has_readings() => Tier::Raw,
        Some(tier) => tier,
        None => return Ok(Some(Stored::Nothing)),
    };
    if tier == Tier::Raw {
        return Ok(disk::points(connection, chunk.id)?.map(Stored::Points));
    }
    match disk::roll_up(connection, chunk.id, tier) {
        Err(HistorianError::Corrupt { id, reason, .. }) if chunk.has_readings() => {
            tracing::error!(id, %reason, "a roll-up is damaged; the readings are read instead");
            Ok(disk::points(connection, chunk.id)?.map(Stored::Points))
        }
        rows => Ok(rows?.map(|rows| Stored::Rows(tier, rows))),
    }
}

fn visit_stored(
    query: &Query,
    stored: Stored,
    inside: Slice<'_>,
    rows_from: i64,
    visit: &mut impl FnMut(Piece<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match stored {
        Stored::Points(points) => {
            let stored = points.as_slice().between(query.from, query.to);
            if inside.is_empty() {
                visit(Piece::Points(stored))
            } else {
                visit(Piece::Points(Points::merged(stored, inside).as_slice()))
            }
        }
        Stored::Rows(tier, mut rows) => {
            if !inside.is_empty() {
                rows = rollup::merged(&rows, &rollup::of_points(inside, tier));
            }
            rows.retain(|row| row.start >= rows_from && row.start < query.to);
            visit(Piece::Rows(&rows))
        }
        Stored::Nothing => visit(Piece::Points(inside)),
    }
}
