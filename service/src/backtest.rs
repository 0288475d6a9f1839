//! Rules that are tried on the stored past: what was asked for, and how far it is.
//!
//! The work itself is done elsewhere; this is the queue that survives a restart and the place
//! where results stay.

use serde::{Deserialize, Serialize};
use telemetry::Timestamp;

use crate::{Name, ServiceError};

/// The longest rule set that is kept, bytes.
pub const MAX_RULES_BYTES: usize = 256 * 1024;

/// Where a back-test stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BacktestState {
    /// It waits for its turn.
    Queued,
    /// It is being done.
    Running,
    /// It has a result.
    Done,
    /// It has none.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl BacktestState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing happens to it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A back-test to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBacktest {
    /// The rule set.
    pub rules: String,
    /// From this time on.
    pub from: Timestamp,
    /// Before this time.
    pub to: Timestamp,
    /// Whether the detectors are left out.
    pub rules_only: bool,
    /// Who asks.
    pub by: Name,
}

impl NewBacktest {
    /// # Errors
    /// [`ServiceError::Invalid`] for an empty or endless span and for rules that are too long.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        let invalid = |field, problem: &str| {
            Err(ServiceError::Invalid {
                field,
                problem: problem.to_owned(),
            })
        };
        if self.rules.len() > MAX_RULES_BYTES {
            return invalid("rules", "a rule set has at most 256 KiB");
        }
        if self.from >= self.to {
            return invalid("to", "the span ends before it begins");
        }
        if !self.from.is_in_calendar() || !self.to.is_in_calendar() {
            return invalid("from", "the time lies outside the years 1 to 9999");
        }
        Ok(())
    }
}

/// A back-test.
#[derive(Debug, Clone, PartialEq)]
pub struct Backtest {
    /// Its number.
    pub id: u64,
    /// What was asked for.
    pub asked: NewBacktest,
    /// Where it stands.
    pub state: BacktestState,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How much is done, 0 to 1.
    pub progress: f64,
    /// Readings that were gone through.
    pub readings: u64,
    /// Why there is no result.
    pub problem: Option<String>,
    /// The result as JSON.
    pub result: Option<String>,
}
