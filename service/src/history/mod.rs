//! The past of assets from another maintenance system: where it becomes labels.
//!
//! Four tables may be taken in, each a CSV: assets, failures, maintenance and error codes. All
//! of a file or nothing; every error has its line and column; the same file twice changes
//! nothing. Columns may have other names than ours (a mapping) and columns that are not wanted
//! must be named, so that nothing is used by accident that was only known after the repair.
//!
//! # What a life is
//! A life of a component begins when it was installed, repaired or replaced and ends at a
//! failure, at a replacement before one (then it is *censored*: it lasted at least so long), or
//! it still lasts. A replacement within [`REPAIR_WITHIN`] after a failure is the repair of it and
//! no life lies between. The instant of the failure belongs to no life: what was measured
//! then or while it was repaired is known too late to warn.

mod row;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModelId, ComponentId, FailureMode, Outcome, Timestamp};

use crate::OnboardError;

pub(crate) use row::{Entry, read};

/// A replacement so soon after a failure repairs it: spare parts and crews take days.
pub const REPAIR_WITHIN: Duration = Duration::from_hours(7 * 24);

/// Which table a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// What machines there are: `asset`, and if known `model` and `installed_at`; any other
    /// column is a static fact.
    Assets,
    /// What failed when: `asset`, `at`, and if known `component`, `code`, `note`.
    Failures,
    /// What was done when: `asset`, `at`, and if known `component`, `action` (replace, repair,
    /// inspect; replace when it is left out), `note`.
    Maintenance,
    /// Which error codes came when: `asset`, `at`, `code`.
    Errors,
}

impl HistoryKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Assets,
        Self::Failures,
        Self::Maintenance,
        Self::Errors,
    ];

    /// The word in paths and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Failures => "failures",
            Self::Maintenance => "maintenance",
            Self::Errors => "errors",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The columns a file of this kind may have, those it must have first.
    pub(crate) const fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Assets => (&["asset"], &["model", "installed_at"]),
            Self::Failures => (&["asset", "at"], &["component", "code", "note"]),
            Self::Maintenance => (&["asset", "at"], &["component", "action", "note"]),
            Self::Errors => (&["asset", "at", "code"], &[]),
        }
    }

    /// The word in the database; none for assets, which have a table of their own.
    pub(crate) const fn record(self) -> Option<&'static str> {
        match self {
            Self::Assets => None,
            Self::Failures => Some("failure"),
            Self::Maintenance => Some("maintenance"),
            Self::Errors => Some("error"),
        }
    }
}

/// How a file is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Our column and the name it has in the file.
    pub columns: Vec<(String, String)>,
    /// Columns of the file that are left out.
    pub ignore: Vec<String>,
}

/// What came of a file or, in a dry run, would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryReport {
    /// Whether it was only asked what would happen.
    pub dry_run: bool,
    /// Whether it was done.
    pub applied: bool,
    /// Rows of the file without its header.
    pub rows: u64,
    /// Rows that say something new.
    pub new: u64,
    /// Rows that say something else than is known.
    pub changed: u64,
    /// Rows that say what is known already.
    pub unchanged: u64,
    /// Assets of the file that are not in the ledger, at most twenty: they count as lives of
    /// their kind and are not watched.
    pub not_in_ledger: Vec<AssetId>,
    /// What is wrong, by line and column.
    pub errors: Vec<OnboardError>,
    /// Errors beyond those that are listed.
    pub more_errors: u64,
}

/// Something that happened to an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// The asset.
    pub asset: AssetId,
    /// When.
    pub at: Timestamp,
    /// `failure`, `maintenance` or `error`.
    pub kind: String,
    /// The component; empty for the machine as a whole.
    pub component: String,
    /// The code of an error, or what was done.
    pub code: String,
    /// What was written beside it.
    pub note: String,
}

/// What may end a life, and where lives begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was installed.
    Installed,
    /// It failed.
    Failed,
    /// It was repaired or replaced.
    Renewed,
}

/// A life between two marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLife {
    /// When it began; none when it was there before the first record.
    pub from: Option<Timestamp>,
    /// When it ended; none while it lasts.
    pub to: Option<Timestamp>,
    /// Whether it ended in a failure.
    pub failed: bool,
}

/// The lives of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetLives {
    /// The asset.
    pub asset: AssetId,
    /// In order of time; the last one may still last.
    pub lives: Vec<RecordedLife>,
}

/// Whose lives are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivesQuery {
    /// The kind of machine.
    pub model: AssetModelId,
    /// Only of this component, and of the machine as a whole; none takes every failure as the
    /// machine's.
    pub component: Option<ComponentId>,
}

/// Events of one journal record: a few hundred kilobytes, where a whole file of history would hold
/// up whoever follows.
pub(crate) const EVENTS_AT_ONCE: usize = 5_000;

/// The assets whose present life is known to have begun at another time than before, and when.
pub(crate) fn begun(before: &[AssetLives], after: &[AssetLives]) -> Vec<(AssetId, Timestamp)> {
    let began = |lives: &AssetLives| lives.lives.last().and_then(|life| life.from);
    let known: BTreeMap<&AssetId, Option<Timestamp>> = before
        .iter()
        .map(|lives| (&lives.asset, began(lives)))
        .collect();
    let news = after.iter().filter_map(|lives| {
        let at = began(lives)?;
        (known.get(&lives.asset) != Some(&Some(at))).then(|| (lives.asset.clone(), at))
    });
    news.collect()
}

/// The ends of lives that were not on record before.
pub(crate) fn ended(before: &[AssetLives], after: &[AssetLives]) -> Vec<(AssetId, Timestamp)> {
    let ends = |lives: &[AssetLives]| -> BTreeSet<(AssetId, Timestamp)> {
        let of = |one: &AssetLives| {
            let ends: Vec<_> = one.lives.iter().filter_map(|life| life.to).collect();
            let asset = one.asset.clone();
            ends.into_iter().map(move |at| (asset.clone(), at))
        };
        lives.iter().flat_map(of).collect()
    };
    let known = ends(before);
    let news = ends(after).into_iter();
    news.filter(|end| !known.contains(end)).collect()
}

/// Cuts time at its marks. Marks need not be in order.
pub fn lives(marks: &[(Timestamp, Mark)]) -> Vec<RecordedLife> {
    let mut marks = marks.to_vec();
    // A replacement at the very time of the failure comes after it.
    marks.sort_by_key(|(at, mark)| (*at, matches!(mark, Mark::Renewed)));
    let mut lives = Vec::new();
    // None: broken since a failure, waiting for its repair.
    let mut from: Option<Option<Timestamp>> = Some(None);
    let mut failed_at: Option<Timestamp> = None;
    for (at, mark) in marks {
        match mark {
            Mark::Installed => {
                // What an asset id stood for before is no life of this machine.
                from = Some(Some(at));
                failed_at = None;
            }
            Mark::Failed => {
                // A second failure without a repair on record: it was repaired in between.
                let began = from.take().unwrap_or(failed_at);
                lives.push(RecordedLife {
                    from: began,
                    to: Some(at),
                    failed: true,
                });
                failed_at = Some(at);
            }
            Mark::Renewed => {
                let repairs = failed_at.filter(|failed| at.since(*failed) <= REPAIR_WITHIN);
                if let (Some(failed), None, None) = (failed_at, repairs, &from) {
                    // Long after the failure: the repair itself is not on record.
                    from = Some(Some(failed));
                }
                if let Some(began) = from.take() {
                    lives.push(RecordedLife {
                        from: began,
                        to: Some(at),
                        failed: false,
                    });
                }
                from = Some(Some(at));
                failed_at = None;
            }
        }
    }
    let last = from.unwrap_or(failed_at);
    lives.push(RecordedLife {
        from: last,
        to: None,
        failed: false,
    });
    lives
}

/// What a record says of an asset at one time: an ended order, or an imported failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOnRecord {
    /// The asset.
    pub asset: AssetId,
    /// When, in the time of the machine.
    pub at: Timestamp,
    /// What failed, where somebody said.
    pub failure_mode: Option<FailureMode>,
    /// Whether the machine had failed: an imported failure or a corrective order.
    pub failed: bool,
    /// What the order found; none for an imported failure.
    pub outcome: Option<Outcome>,
}
