//! Listing findings from chunks and tail.
//!
//! First the keys of the chunks in question are read, in order of time and only until nothing
//! later can matter; then, of the findings chosen, the columns. What is in memory only is looked at
//! first: whatever is packed meanwhile is then met twice, and the same.

use std::{cmp::Ordering, collections::BTreeMap};

use rusqlite::{Connection, params};
use telemetry::{Finding, Timestamp};

use super::{
    FindingKind, FindingQuery,
    chunk::{Keys, restored},
    disk::{self, Meta},
    state::{Findings, Sources},
};
use crate::error::{During, HistorianError};

/// Sources looked up one by one; for more of them all chunks are gone through.
const MAX_LOOK_UPS: usize = 64;

/// Chosen entries are sorted and cut when they are this many more than twice the limit.
const SLACK: usize = 1_024;

/// Where a finding lies.
#[derive(Debug, Clone)]
enum Place {
    Tail(Box<Finding>),
    /// The number of a chunk, and the row in it.
    Chunk(i64, usize),
}

struct Entry {
    at: i64,
    source: u32,
    kind: FindingKind,
    place: Place,
}

struct List<'a> {
    query: &'a FindingQuery,
    from: i64,
    to: i64,
    sources: &'a Sources,
    entries: Vec<Entry>,
    /// The time of the last entry that can matter, once there are enough.
    bound: Option<i64>,
}

pub(super) fn list(
    findings: &Findings,
    connection: &mut Connection,
    query: &FindingQuery,
) -> Result<Vec<Finding>, HistorianError> {
    let state = findings.state();
    let sources = state.sources.clone();
    let wanted = sources.matching(query.asset.as_ref(), query.device.as_ref());
    let mut list = List {
        query,
        from: query.from.map_or(i64::MIN, Timestamp::as_micros),
        to: query.to.map_or(i64::MAX, Timestamp::as_micros),
        sources: &sources,
        entries: Vec::new(),
        bound: None,
    };
    if query.limit == 0 || list.from >= list.to {
        return Ok(Vec::new());
    }
    for (source, instants) in &state.tail {
        if wanted.as_ref().is_none_or(|wanted| wanted.contains(source)) {
            list.add_tail(*source, instants);
        }
    }
    drop(state);
    // One transaction, so that what was chosen is still there when it is read.
    let tx = connection.transaction().during("list findings")?;
    let mut keys = BTreeMap::new();
    for chunk in list.candidates(&tx, wanted.as_deref())? {
        if list.is_beyond(&chunk) {
            break;
        }
        let of_chunk = disk::chunk(&tx, chunk.id, false)?.keys();
        let of_chunk = of_chunk.map_err(|reason| corrupt(chunk.id, reason))?;
        list.add_chunk(&chunk, &of_chunk);
        keys.insert(chunk.id, of_chunk);
    }
    list.cut();
    list.read(&tx, &keys, findings)
}

fn corrupt(chunk: i64, reason: String) -> HistorianError {
    HistorianError::corrupt("chunk of findings", chunk as u64, reason)
}

impl List<'_> {
    fn kinds(&self) -> impl Iterator<Item = FindingKind> {
        let wanted = self.query.kind;
        let kinds = FindingKind::ALL.into_iter();
        kinds.filter(move |kind| wanted.is_none_or(|wanted| wanted == *kind))
    }

    fn add_tail(&mut self, source: u32, instants: &BTreeMap<i64, super::state::Instant>) {
        let kinds: Vec<FindingKind> = self.kinds().collect();
        let mut found = Vec::new();
        for (at, instant) in instants.range(self.from..self.to) {
            found.extend(kinds.iter().filter_map(|kind| {
                let finding = instant[kind.number()].as_ref()?;
                Some((*at, *kind, finding))
            }));
        }
        let kept = found.len().min(self.query.limit);
        let found = if self.query.newest_first {
            // The kinds of one instant are not in the order of the list yet.
            let least = found.len() - kept;
            let at = found.get(least).map(|(at, ..)| *at);
            found
                .into_iter()
                .filter(|(of, ..)| Some(*of) >= at)
                .collect::<Vec<_>>()
        } else {
            let at = kept.checked_sub(1).map(|last| found[last].0);
            found
                .into_iter()
                .take_while(|(of, ..)| Some(*of) <= at)
                .collect()
        };
        for (at, kind, finding) in found {
            let place = Place::Tail(Box::new(finding.clone()));
            self.add(Entry {
                at,
                source,
                kind,
                place,
            });
        }
    }

    fn add_chunk(&mut self, chunk: &Meta, keys: &Keys) {
        let from = keys.times.partition_point(|at| *at < self.from);
        let to = keys.times.partition_point(|at| *at < self.to);
        let kinds: Vec<FindingKind> = self.kinds().collect();
        let mut added = 0;
        for step in 0..to - from {
            let row = if self.query.newest_first {
                to - 1 - step
            } else {
                from + step
            };
            for kind in kinds
                .iter()
                .filter(|kind| keys.kinds[row] >> kind.number() & 1 == 1)
            {
                added += 1;
                self.add(Entry {
                    at: keys.times[row],
                    source: chunk.source,
                    kind: *kind,
                    place: Place::Chunk(chunk.id, row),
                });
            }
            if added >= self.query.limit {
                break;
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() >= self.query.limit.saturating_mul(2).saturating_add(SLACK) {
            self.cut();
        }
    }

    /// Brings entries in order, each key once, and lets go of what is beyond the limit.
    fn cut(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        // The sort is stable, and what is in the tail was met first.
        entries.sort_by(|a, b| {
            let order = self.order(a, b);
            if self.query.newest_first {
                order.reverse()
            } else {
                order
            }
        });
        entries.dedup_by(|later, first| self.order(later, first).is_eq());
        entries.truncate(self.query.limit);
        if entries.len() == self.query.limit {
            self.bound = entries.last().map(|entry| entry.at);
        }
        self.entries = entries;
    }

    fn order(&self, a: &Entry, b: &Entry) -> Ordering {
        let key = |entry: &Entry| {
            let source = &self.sources.list[entry.source as usize];
            (entry.at, &source.asset, &source.device, entry.kind.as_str())
        };
        key(a).cmp(&key(b))
    }

    /// Whether nothing in a chunk, nor in any after it, can be part of the list.
    fn is_beyond(&mut self, chunk: &Meta) -> bool {
        if self.entries.len() >= self.query.limit && self.bound.is_none() {
            self.cut();
        }
        self.bound.is_some_and(|bound| {
            if self.query.newest_first {
                chunk.t_max < bound
            } else {
                chunk.t_min > bound
            }
        })
    }

    /// The chunks that may hold something, those that begin the list first.
    fn candidates(
        &self,
        connection: &Connection,
        wanted: Option<&[u32]>,
    ) -> Result<Vec<Meta>, HistorianError> {
        const ACTION: &str = "list findings";
        let mask = self
            .kinds()
            .fold(0_u8, |mask, kind| mask | 1 << kind.number());
        let look_up = wanted.filter(|wanted| wanted.len() <= MAX_LOOK_UPS);
        let of_source = if look_up.is_some() {
            "AND source = ?4"
        } else {
            "AND ?4 = 0"
        };
        let sql = format!(
            "SELECT id, source, t_min, t_max, rows FROM finding_chunks
             WHERE t_max >= ?1 AND t_min < ?2 AND kinds & ?3 {of_source}"
        );
        let mut select = connection.prepare_cached(&sql).during(ACTION)?;
        let mut found = Vec::new();
        for source in look_up.unwrap_or(&[0]) {
            let metas = select.query_map(params![self.from, self.to, mask, source], disk::meta);
            for meta in metas.during(ACTION)? {
                found.push(meta.during(ACTION)?);
            }
        }
        if let (None, Some(wanted)) = (look_up, wanted) {
            found.retain(|meta| wanted.contains(&meta.source));
        }
        // What others have packed since the sources were looked at is not known here.
        found.retain(|meta| (meta.source as usize) < self.sources.list.len());
        if self.query.newest_first {
            found.sort_by_key(|meta| std::cmp::Reverse(meta.t_max));
        } else {
            found.sort_by_key(|meta| meta.t_min);
        }
        Ok(found)
    }

    /// The findings of the entries, in their order.
    fn read(
        self,
        connection: &Connection,
        keys: &BTreeMap<i64, Keys>,
        findings: &Findings,
    ) -> Result<Vec<Finding>, HistorianError> {
        let mut by_chunk: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            if let Place::Chunk(chunk, _) = entry.place {
                by_chunk.entry(chunk).or_default().push(number);
            }
        }
        let words = findings.words();
        let mut answer: Vec<Option<Finding>> = Vec::new();
        answer.resize_with(self.entries.len(), || None);
        for (id, numbers) in by_chunk {
            let packed = disk::chunk(connection, id, true)?;
            let keys = keys
                .get(&id)
                .ok_or_else(|| corrupt(id, "it is missing".into()))?;
            let wanted = numbers
                .iter()
                .filter_map(|number| match self.entries[*number].place {
                    Place::Chunk(_, row) => Some((row, self.entries[*number].kind)),
                    Place::Tail(_) => None,
                });
            let wanted: Vec<_> = wanted.collect();
            let values = packed.findings(keys, &wanted, &words);
            for (number, value) in numbers
                .into_iter()
                .zip(values.map_err(|reason| corrupt(id, reason))?)
            {
                let entry = &self.entries[number];
                let source = &self.sources.list[entry.source as usize];
                let finding = restored(value, entry.kind, source, entry.at);
                answer[number] = Some(finding.map_err(|reason| corrupt(id, reason))?);
            }
        }
        for (entry, place) in self.entries.into_iter().zip(&mut answer) {
            if let Place::Tail(finding) = entry.place {
                *place = Some(*finding);
            }
        }
        Ok(answer.into_iter().flatten().collect())
    }
}
