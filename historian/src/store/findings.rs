//! What analytics has said, kept beside the readings it speaks of.
//!
//! ```text
//! put_findings ─▶ log (one row a batch) ─pack─▶ chunks of one source, a column for each field
//!                  └─▶ tail (memory) ──────────────┴──▶ findings
//! ```
//!
//! A machine that is well says the same again and again, so a finding as JSON is hundreds of bytes
//! of which a handful are new. Findings about one asset from one device are packed together, field
//! by field, whatever fields there are: [`tree`] takes them apart, [`shred`] and [`column`] write the
//! columns, [`chunk`] puts them together, [`pack`] says when. A query chooses by the keys of chunks
//! and reads the columns of what it shows: [`list`].

mod chunk;
mod column;
mod disk;
mod list;
mod pack;
mod shred;
mod state;
mod take_over;
#[cfg(test)]
mod tests;
mod tree;
mod unshred;
mod words;

use telemetry::{AssetId, DeviceId, Finding, Timestamp};

pub(crate) use self::{
    disk::{added_in_version_3, delete_old},
    state::Findings,
    take_over::take_over,
};
use super::Store;
use crate::{error::HistorianError, sqlite::blocking};

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// State detection.
    Condition,
    /// Health assessment.
    Assessment,
    /// Prognosis, or the reason why there is none.
    Prognosis,
    /// Whether the sensors can be believed.
    Sensor,
    /// What rules say.
    Rule,
}

impl FindingKind {
    /// Every kind, by its number.
    pub const ALL: [Self; 5] = [
        Self::Condition,
        Self::Assessment,
        Self::Prognosis,
        Self::Sensor,
        Self::Rule,
    ];

    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The kind of a finding.
    pub fn of(finding: &Finding) -> Self {
        match finding {
            Finding::Condition(_) => Self::Condition,
            Finding::Assessment(_) => Self::Assessment,
            Finding::Prognosis(_) => Self::Prognosis,
            Finding::Sensor(_) => Self::Sensor,
            Finding::Rule(_) => Self::Rule,
        }
    }

    /// The kind as it is stored: as in the JSON of a finding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Assessment => "assessment",
            Self::Prognosis => "prognosis",
            Self::Sensor => "sensor",
            Self::Rule => "rule",
        }
    }

    /// Its number in chunks, which never changes: its place in [`Self::ALL`].
    pub(crate) const fn number(self) -> usize {
        self as usize
    }
}

/// Which findings to list. [`FindingQuery::default`] lists nothing: its limit is 0.
#[derive(Debug, Clone, Default)]
pub struct FindingQuery {
    /// Only of this kind.
    pub kind: Option<FindingKind>,
    /// Only about this asset.
    pub asset: Option<AssetId>,
    /// Only from this device.
    pub device: Option<DeviceId>,
    /// Only at this event time or later.
    pub from: Option<Timestamp>,
    /// Only before this event time.
    pub to: Option<Timestamp>,
    /// The latest first instead of the earliest.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

impl Store {
    /// Stores findings: when this returns they outlive a crash. A finding replaces the one with the
    /// same asset, device, kind and event time, so a replay changes nothing.
    pub async fn put_findings(&self, findings: Vec<Finding>) -> Result<(), HistorianError> {
        if findings.is_empty() {
            return Ok(());
        }
        let inner = self.0.clone();
        blocking(move || inner.put_findings(findings)).await
    }

    /// Lists findings in order of event time, asset, device and kind.
    pub async fn findings(&self, query: FindingQuery) -> Result<Vec<Finding>, HistorianError> {
        let inner = self.0.clone();
        self.0
            .pool
            .run(move |connection| list::list(&inner.findings, connection, &query))
            .await
    }
}
