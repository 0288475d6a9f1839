//! From the log to chunks.
//!
//! A batch of findings is one row of a log when `put_findings` returns, and in memory. With each
//! flush of the readings, and when there are too many in memory, all of them are packed and the log
//! is emptied, in one transaction. After a crash the log is read again: nothing is lost and nothing
//! is said twice.
//!
//! The chunks of a source never overlap. A finding inside the span of a chunk is packed with it, and
//! replaces the one of the same key. One behind all chunks makes a small chunk, which is packed with
//! those before it as long as they are not much larger; so a source has a handful of chunks beside
//! its full ones, and a finding is packed a few times at most.

use std::{collections::BTreeMap, ops::Range};

use telemetry::Finding;

use super::{
    chunk::{MAX_LEAVES, MAX_ROWS, Packed, Row, stripped},
    disk::{self, Meta},
    state::{Instant, Packer},
};
use crate::{
    error::{During, HistorianError},
    journal::lock,
    sqlite,
    store::{
        Inner,
        flush::{MAX_SPAN_MICROS, MIN_SPLIT_POINTS},
    },
};

/// Findings in memory at which they are packed at once: some 10 to 30 MB.
pub(crate) const MAX_TAIL: usize = 8_192;

/// A chunk is packed again with what comes after it unless it is larger by more than this: a
/// larger factor means fewer small chunks and more work.
const GROWS_BY: usize = 4;

/// Pages given back to the system after packing, 4 MiB: the log leaves as many at most.
const MAX_VACUUMED_PAGES: i64 = 4 << 10;

/// What happens to the chunks of one source.
struct Change {
    source: u32,
    removed: Vec<i64>,
    damaged: Vec<(i64, String)>,
    added: Vec<Packed>,
}

/// A run of chunks and new instants that is packed as one.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    chunks: Range<usize>,
    fresh: Range<usize>,
    rows: usize,
    t_min: i64,
    t_max: i64,
}

impl Inner {
    /// Logs findings and shows them to queries; packs when there are too many in memory.
    pub(crate) fn put_findings(&self, findings: Vec<Finding>) -> Result<(), HistorianError> {
        let mut packer = lock(&self.findings.packer);
        if self.findings.state().tail_findings >= MAX_TAIL {
            self.pack_with(&mut packer)?;
        }
        let number = {
            let mut connection = lock(&self.connection);
            let tx = sqlite::begin(connection.get()?)?;
            let number = disk::log(&tx, &findings)?;
            tx.commit().during("store findings")?;
            number
        };
        let mut state = self.findings.state_mut();
        state.logged = number;
        for finding in findings {
            state.add(finding);
        }
        Ok(())
    }

    /// Packs all findings that are in memory only. Nothing has changed when it fails; what is
    /// damaged is set aside.
    pub(crate) fn pack_findings(&self) -> Result<(), HistorianError> {
        self.pack_with(&mut lock(&self.findings.packer))
    }

    fn pack_with(&self, packer: &mut Packer) -> Result<(), HistorianError> {
        let (changes, sources, logged) = {
            let state = self.findings.state();
            if state.logged == 0 {
                return Ok(());
            }
            let mut changes = Vec::with_capacity(state.tail.len());
            let mut said: Vec<_> = state.tail.iter().collect();
            said.sort_unstable_by_key(|(source, _)| **source);
            for (source, instants) in said {
                changes.push(packer.change(self, *source, instants)?);
            }
            (changes, state.sources.clone(), state.logged)
        };
        // Whoever sees the chunks has to know their words.
        self.findings.show_words(&packer.words);
        let now = self.now();
        {
            let mut connection = lock(&self.connection);
            let tx = sqlite::begin(connection.get()?)?;
            disk::insert_words(&tx, &packer.words, packer.words_on_disk)?;
            disk::insert_sources(&tx, &sources, packer.sources_on_disk)?;
            for change in &changes {
                for (id, reason) in &change.damaged {
                    disk::set_aside(&tx, *id, now, reason)?;
                }
                for id in &change.removed {
                    disk::delete_chunk(&tx, *id)?;
                }
                for chunk in &change.added {
                    disk::insert_chunk(&tx, change.source, now.as_micros(), chunk)?;
                }
            }
            disk::forget_log(&tx, logged)?;
            tx.commit().during("pack findings")?;
            sqlite::give_back(connection.get()?, MAX_VACUUMED_PAGES)?;
        }
        packer.words_on_disk = packer.words.len();
        packer.sources_on_disk = sources.list.len();
        let mut state = self.findings.state_mut();
        state.tail.clear();
        (state.tail_findings, state.logged) = (0, 0);
        drop(state);
        for (source, (id, reason)) in changes.iter().flat_map(|change| {
            let source = &sources.list[change.source as usize];
            change.damaged.iter().map(move |damaged| (source, damaged))
        }) {
            tracing::error!(
                chunk = id, %reason, asset = %source.asset, device = %source.device,
                "a damaged chunk of findings was set aside"
            );
        }
        Ok(())
    }
}

impl Packer {
    fn change(
        &mut self,
        inner: &Inner,
        source: u32,
        instants: &BTreeMap<i64, Instant>,
    ) -> Result<Change, HistorianError> {
        let mut change = Change {
            source,
            removed: Vec::new(),
            damaged: Vec::new(),
            added: Vec::new(),
        };
        let mut fresh = Vec::with_capacity(instants.len());
        for (at, instant) in instants {
            fresh.push(row(*at, instant)?);
        }
        if self.reader.is_none() {
            self.reader = Some(sqlite::open_reader(&inner.config.path)?);
        }
        let Some(reader) = &self.reader else {
            return Ok(change);
        };
        let times: Vec<i64> = instants.keys().copied().collect();
        let chunks = disk::chunks_of(reader, source)?;
        let mut fresh = fresh.into_iter();
        for piece in pieces(&chunks, &times) {
            let mut rows = BTreeMap::new();
            for chunk in &chunks[piece.chunks] {
                change.removed.push(chunk.id);
                match disk::chunk(reader, chunk.id, true).and_then(|packed| {
                    let corrupt = |reason| {
                        HistorianError::corrupt("chunk of findings", chunk.id as u64, reason)
                    };
                    packed.rows(&self.words).map_err(corrupt)
                }) {
                    Ok(stored) => rows.extend(stored.into_iter().map(|row| (row.at, row))),
                    Err(HistorianError::Corrupt { reason, .. }) => {
                        change.damaged.push((chunk.id, reason));
                    }
                    Err(error) => return Err(error),
                }
            }
            for new in fresh.by_ref().take(piece.fresh.len()) {
                let row = rows.entry(new.at).or_insert_with(|| Row {
                    at: new.at,
                    ..Row::default()
                });
                for (known, new) in row.findings.iter_mut().zip(new.findings) {
                    *known = new.or_else(|| known.take());
                }
            }
            let rows: Vec<Row> = rows.into_values().collect();
            change.added.extend(packed(&rows, &mut self.words));
        }
        Ok(change)
    }
}

fn row(at: i64, instant: &Instant) -> Result<Row, HistorianError> {
    let mut row = Row {
        at,
        ..Row::default()
    };
    for (place, finding) in row.findings.iter_mut().zip(instant) {
        let Some(finding) = finding else { continue };
        *place = Some(stripped(finding).map_err(|source| HistorianError::Encode {
            what: "a finding",
            source,
        })?);
    }
    Ok(row)
}

/// Rows in order of time as chunks within all bounds.
pub(super) fn packed(rows: &[Row], words: &mut std::sync::Arc<super::words::Words>) -> Vec<Packed> {
    let (mut chunks, mut rest) = (Vec::new(), rows);
    while let Some(first) = rest.first() {
        let (mut count, mut leaves) = (0, 0);
        for row in rest.iter().take(MAX_ROWS) {
            leaves += row.leaves();
            let is_far = row.at.saturating_sub(first.at) >= MAX_SPAN_MICROS;
            if count > 0 && leaves > MAX_LEAVES || is_far && count >= MIN_SPLIT_POINTS {
                break;
            }
            count += 1;
        }
        let (piece, later) = rest.split_at(count);
        chunks.extend(Packed::of(piece, words));
        rest = later;
    }
    chunks
}

/// The runs that have to be packed anew so that new instants at `times` find their place.
fn pieces(chunks: &[Meta], times: &[i64]) -> Vec<Piece> {
    let mut runs: Vec<Piece> = Vec::new();
    let mut next = 0;
    for (number, chunk) in chunks.iter().enumerate() {
        let before = next + times[next..].partition_point(|at| *at < chunk.t_min);
        push(&mut runs, number..number, next..before, times, None);
        next = before + times[before..].partition_point(|at| *at <= chunk.t_max);
        push(
            &mut runs,
            number..number + 1,
            before..next,
            times,
            Some(chunk),
        );
    }
    push(
        &mut runs,
        chunks.len()..chunks.len(),
        next..times.len(),
        times,
        None,
    );
    runs.retain(|run| !run.fresh.is_empty());
    runs
}

/// Adds a run, together with those before it as long as they are not much larger.
fn push(
    runs: &mut Vec<Piece>,
    chunks: Range<usize>,
    fresh: Range<usize>,
    times: &[i64],
    chunk: Option<&Meta>,
) {
    let of_fresh = fresh
        .clone()
        .next()
        .map(|first| (times[first], times[fresh.end - 1]));
    let of_chunk = chunk.map(|chunk| (chunk.t_min, chunk.t_max));
    let Some((t_min, t_max)) = of_chunk.or(of_fresh) else {
        return;
    };
    let rows = fresh.len() + chunk.map_or(0, |chunk| chunk.rows as usize);
    let mut run = Piece {
        chunks,
        fresh,
        rows,
        t_min,
        t_max,
    };
    while let Some(last) = runs.last().filter(|_| !run.fresh.is_empty()) {
        let rows = last.rows + run.rows;
        let is_short = run.t_max.saturating_sub(last.t_min) < MAX_SPAN_MICROS;
        let fits = rows <= MAX_ROWS && (is_short || rows <= MIN_SPLIT_POINTS);
        if !fits || last.rows > GROWS_BY * run.rows {
            break;
        }
        run = Piece {
            chunks: last.chunks.start..run.chunks.end,
            fresh: last.fresh.start..run.fresh.end,
            rows,
            t_min: last.t_min,
            t_max: run.t_max,
        };
        runs.pop();
    }
    runs.push(run);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(id: i64, t_min: i64, t_max: i64, rows: u32) -> Meta {
        Meta {
            id,
            source: 0,
            t_min,
            t_max,
            rows,
        }
    }

    fn shown(chunks: &[Meta], times: &[i64]) -> Vec<(Range<usize>, Range<usize>)> {
        let pieces = pieces(chunks, times).into_iter();
        pieces.map(|piece| (piece.chunks, piece.fresh)).collect()
    }

    #[test]
    fn new_instants_find_their_chunk_or_make_one() {
        let chunks = [
            meta(1, 10, 20, 4_000),
            meta(2, 30, 40, 2_000),
            meta(3, 50, 60, 4_000),
        ];
        for (times, expected) in [
            (&[15][..], vec![(0..1, 0..1)]),
            (&[25], vec![(1..1, 0..1)]),
            (&[35, 37, 61], vec![(1..2, 0..2), (3..3, 2..3)]),
            (&[1, 2, 15, 70], vec![(0..1, 0..3), (3..3, 3..4)]),
            (&[], vec![]),
        ] {
            assert_eq!(shown(&chunks, times), expected, "{times:?}");
        }
    }

    #[test]
    fn small_chunks_are_packed_with_what_follows_and_large_ones_stay() {
        let mut sizes: Vec<u32> = Vec::new();
        let mut packed = 0;
        for _ in 0..10_000 {
            let spans = sizes.iter().scan(0, |from, size| {
                let t_min = *from;
                *from += i64::from(*size);
                Some((t_min, *from - 1, *size))
            });
            let chunks: Vec<Meta> = spans
                .enumerate()
                .map(|(id, (t_min, t_max, size))| meta(id as i64, t_min, t_max, size))
                .collect();
            let next = sizes.iter().map(|size| i64::from(*size)).sum();
            let pieces = pieces(&chunks, &[next]);
            assert_eq!(pieces.len(), 1);
            packed += pieces[0].rows;
            sizes.truncate(pieces[0].chunks.start);
            sizes.push(pieces[0].rows as u32);
        }
        assert!(sizes.len() < 12, "{sizes:?}");
        assert!(packed < 10_000 * 30, "{packed} rows were packed for 10,000");
    }
}
