//! The life cycle of a work order as one table.
//!
//! ```text
//!            approve            schedule             start                complete
//! proposed ─────────▶ approved ─────────▶ scheduled ───────▶ in_progress ─────────▶ completed
//!     │                  │                 │  ▲  │                │
//!     │                  │                 └──┘  │                │
//!     │                  │              schedule │                │
//!     └──────────────────┴────── cancel ─────────┴────────────────┴───────────────▶ cancelled
//! ```
//!
//! Where another maintenance system does the work, nobody schedules and starts it here: what it
//! reports ends the order from wherever it stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a work order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkOrderStatus {
    /// Somebody or something asks for the work.
    Proposed,
    /// A planner agreed.
    Approved,
    /// An engineer and a time are set.
    Scheduled,
    /// The engineer is at it.
    InProgress,
    /// Done, with an outcome.
    Completed,
    /// Will not be done.
    Cancelled,
}

impl WorkOrderStatus {
    /// Every status, in order.
    pub const ALL: [Self; 6] = [
        Self::Proposed,
        Self::Approved,
        Self::Scheduled,
        Self::InProgress,
        Self::Completed,
        Self::Cancelled,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing can happen to the order any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }

    /// What a person can do with an order in this status.
    pub fn allowed(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |&action| action != Action::Report && next(self, action).is_ok())
    }
}

impl fmt::Display for WorkOrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a person does with a work order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Agree that the work is to be done.
    Approve,
    /// Set engineer and time, or change them.
    Schedule,
    /// Begin the work.
    Start,
    /// End the work with an outcome.
    Complete,
    /// Decide that the work will not be done, or not further.
    Cancel,
    /// Another system says that the work is done, with an outcome; people do not take this step.
    Report,
}

impl Action {
    /// Every action, in order.
    pub const ALL: [Self; 6] = [
        Self::Approve,
        Self::Schedule,
        Self::Start,
        Self::Complete,
        Self::Cancel,
        Self::Report,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Schedule => "schedule",
            Self::Start => "start",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A step that the status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Illegal {
    /// Where the order stands.
    pub status: WorkOrderStatus,
    /// What was to be done.
    pub action: Action,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, action } = self;
        write!(f, "cannot {action} it, because it is {status}")?;
        if status.is_final() {
            return f.write_str("; nothing can be done with it any more");
        }
        let allowed: Vec<_> = status.allowed().map(Action::as_str).collect();
        write!(f, "; possible now: {}", allowed.join(", "))
    }
}

impl std::error::Error for Illegal {}

/// The status after an action.
///
/// # Errors
/// [`Illegal`] when the action is not possible in this status.
pub fn next(status: WorkOrderStatus, action: Action) -> Result<WorkOrderStatus, Illegal> {
    use WorkOrderStatus::{Approved, Cancelled, Completed, InProgress, Proposed, Scheduled};
    match (status, action) {
        (Proposed, Action::Approve) => Ok(Approved),
        (Approved | Scheduled, Action::Schedule) => Ok(Scheduled),
        (Scheduled, Action::Start) => Ok(InProgress),
        (InProgress, Action::Complete)
        | (Proposed | Approved | Scheduled | InProgress, Action::Report) => Ok(Completed),
        (Proposed | Approved | Scheduled | InProgress, Action::Cancel) => Ok(Cancelled),
        (Proposed, Action::Schedule | Action::Start | Action::Complete)
        | (Approved, Action::Approve | Action::Start | Action::Complete)
        | (Scheduled, Action::Approve | Action::Complete)
        | (InProgress, Action::Approve | Action::Schedule | Action::Start)
        | (Completed | Cancelled, _) => Err(Illegal { status, action }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a status: the status after approve, schedule, start, complete, cancel and report;
    /// `-` where the action is not possible.
    const TABLE: &str = "
        proposed     approved  -          -            -          cancelled  completed
        approved     -         scheduled  -            -          cancelled  completed
        scheduled    -         scheduled  in_progress  -          cancelled  completed
        in_progress  -         -          -            completed  cancelled  completed
        completed    -         -          -            -          -          -
        cancelled    -         -          -            -          -          -";

    #[test]
    fn every_pair_of_status_and_action_has_its_stated_answer() {
        let mut seen = Vec::new();
        for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let status = WorkOrderStatus::parse(words.next().unwrap()).unwrap();
            seen.push(status);
            for action in Action::ALL {
                let expected = WorkOrderStatus::parse(words.next().unwrap());
                assert_eq!(next(status, action).ok(), expected, "{status} {action}");
            }
            assert_eq!(words.next(), None);
        }
        assert_eq!(seen, WorkOrderStatus::ALL);
    }

    #[test]
    fn a_refused_action_says_what_is_possible() {
        let illegal = next(WorkOrderStatus::Approved, Action::Complete).unwrap_err();
        assert_eq!(
            illegal.to_string(),
            "cannot complete it, because it is approved; possible now: schedule, cancel"
        );
        let illegal = next(WorkOrderStatus::Cancelled, Action::Approve).unwrap_err();
        assert_eq!(
            illegal.to_string(),
            "cannot approve it, because it is cancelled; nothing can be done with it any more"
        );
    }
}
