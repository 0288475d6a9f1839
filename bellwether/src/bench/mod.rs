//! `bench`: figures of this machine, each checked against a count before it is told.
//!
//! * [`mod@ingest`]: messages durably acknowledged, how long that takes at half load, and what an idle
//!   connection costs;
//! * [`mod@historian`]: values from line protocol until they can be queried, and their bytes on disk,
//!   here and in the stores it is compared with;
//! * [`mod@query`]: a chart over a year, the newest values, and a restart.
//!
//! What is measured is a process of its own; the generator beside it takes its share of the same
//! processors, and is the same for everybody.

pub(crate) mod args;
mod engine;
mod historian;
mod idle;
mod ingest;
mod lines;
mod load;
mod packets;
mod query;
mod recordings;
mod stores;

pub(crate) use historian::historian;
pub(crate) use ingest::ingest;
pub(crate) use query::query;

/// Rounds a figure for people and scripts: three digits behind the point are more than is known.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The value below which the share `part` of the sorted values lies.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
