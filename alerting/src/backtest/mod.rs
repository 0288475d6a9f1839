//! What a set of alerts would have done on a stored past whose ends are known. Pure.
//!
//! [`Trial`] keeps the cases that findings would have opened: the same [`crate::desk::Desk`] as in
//! the running program, without a file. Nobody works on its cases, so their orders are taken as
//! done after [`ORDER_TAKES`], or when the record says that somebody was at the machine.
//! [`judge`] holds the cases against what is on record and counts.

mod judge;
#[cfg(test)]
mod tests;
mod trial;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, CaseId, FailureMode, RuleId, SignalName, Timestamp};

pub use judge::{Interval, Judged, OfRule, Prices, Side, Verdict, judge};
pub use trial::Trial;

/// An order that nobody worked on is taken as done after this: the planning period that cases
/// without a forecast are given.
pub const ORDER_TAKES: Duration = Duration::from_hours(14 * 24);

/// How long after an alert a problem may show for the alert to have told of it, when nothing
/// else is asked: longer warnings cannot be told from chance.
pub const HORIZON: Duration = Duration::from_hours(30 * 24);

/// A case that would have been opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The case.
    pub case: CaseId,
    /// The asset.
    pub asset: AssetId,
    /// What would have seemed to be failing.
    pub failure_mode: FailureMode,
    /// The sensor it would have been about.
    pub signal: Option<SignalName>,
    /// The rule that would have told; none for the detectors.
    pub rule: Option<RuleId>,
    /// When the alarm would have risen.
    pub opened_at: Timestamp,
    /// Whether an order would have been asked for.
    pub order: bool,
}

/// What is on record about an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The asset.
    pub asset: AssetId,
    /// What failed; none when nobody said.
    pub failure_mode: Option<FailureMode>,
    /// When it failed, was mended, or was looked at.
    pub at: Timestamp,
    /// What was there.
    pub found: OnRecord,
}

/// Two sets of alerts side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The rules that were tried.
    pub proposed: Side,
    /// The rules in force.
    pub in_force: Side,
    /// The currency of money; empty when costs are given in none.
    pub currency: String,
    /// Readings gone through, once.
    pub readings: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// What a record says was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnRecord {
    /// The machine failed.
    Failed,
    /// A fault was found and mended before the machine failed.
    Mended,
    /// A sensor was wrong.
    Sensor,
    /// Somebody looked and nothing was wrong.
    Nothing,
}
