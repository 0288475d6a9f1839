//! From a maintenance history to lives.

use serde::{Deserialize, Serialize};

use super::LifeRecord;

/// Something that ended a life of a part at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LifeEvent {
    /// When, in the caller's unit from the caller's origin.
    pub at: f64,
    /// Whether it had failed; otherwise it was replaced or renewed while it worked.
    pub failed: bool,
}

/// The lives of one part between its events, which are sorted by time here; a failure and a
/// replacement at one time are one end, and a failure.
///
/// `installed` is when the first part was new, when that is known: then it is watched from
/// `from`, the beginning of the records, on. Without it the first life has an unknown age and
/// is left out. The last life still runs at `until`: censored.
pub fn records_of(
    events: &[LifeEvent],
    installed: Option<f64>,
    (from, until): (f64, f64),
    covariates: &[f64],
) -> Vec<LifeRecord> {
    let mut events: Vec<LifeEvent> = events
        .iter()
        .copied()
        .filter(|event| event.at <= until)
        .collect();
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut records = Vec::new();
    let mut new_at = installed;
    let mut push = |new_at: Option<f64>, end: f64, failed: bool| {
        let Some(new_at) = new_at.filter(|new_at| end > *new_at && end > from) else {
            return;
        };
        records.push(LifeRecord {
            entered: (from - new_at).max(0.0),
            duration: end - new_at,
            failed,
            covariates: covariates.to_vec(),
        });
    };
    for group in events.chunk_by(|a, b| a.at.total_cmp(&b.at).is_eq()) {
        push(new_at, group[0].at, group.iter().any(|event| event.failed));
        new_at = Some(group[0].at);
    }
    push(new_at, until, false);
    records
}

/// A category as numbers: one for each level but the first, 1 where it is that level.
pub fn one_hot(levels: &[String], value: &str) -> Vec<f64> {
    let others = levels.iter().skip(1);
    others
        .map(|level| f64::from(u8::from(level == value)))
        .collect()
}
