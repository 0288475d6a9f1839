//! The life cycle of a case as one table.
//!
//! ```text
//!            opened            acknowledged
//!   (none) ─────────▶ open ────────────────▶ acknowledged
//!                      │                          │
//!                      ▲└─── order_completed ─────┤
//!                      │     order_cancelled      │
//!                      │     withdrawn            ▼
//!                      └─────── reopened ────── closed
//! ```
//!
//! Every other event leaves the status as it is and is only allowed before the end; late data
//! may amend a closed case too.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CaseStatus;

/// What can happen to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseEventKind {
    /// An alarm rose and no open case covered it.
    Opened,
    /// It became more urgent.
    SeverityRaised,
    /// The alarm ended.
    Cleared,
    /// The alarm came back.
    Returned,
    /// Score or prognosis were brought up to date. Told to listeners, not kept in the log,
    /// which it would bury.
    Refreshed,
    /// A person has seen it.
    Acknowledged,
    /// The service system has an order for it.
    OrderRaised,
    /// Its order was put off; the problem remains.
    OrderDeferred,
    /// Its order was completed with any other outcome.
    OrderCompleted,
    /// Its order was cancelled.
    OrderCancelled,
    /// It was given to a person.
    Assigned,
    /// A person wrote something about it.
    Commented,
    /// A person passed it on to another one.
    HandedOver,
    /// Nobody saw to it in time, so further people were told.
    Escalated,
    /// A person put it aside for a while.
    Shelved,
    /// It is no longer put aside.
    Unshelved,
    /// The alarm came back after the case had ended without anybody working on the machine.
    Reopened,
    /// Something was learned about it that changes neither its status nor its alarm.
    Amended,
    /// The alarm ended before anybody agreed to work on it.
    Withdrawn,
    /// It stays listed, and asks for no order and no attention meanwhile.
    Suppressed,
    /// It asks for them again.
    Unsuppressed,
    /// It waits for its order behind more valuable ones.
    WatchListed,
}

impl CaseEventKind {
    /// Every kind, in order.
    pub const ALL: [Self; 22] = [
        Self::Opened,
        Self::SeverityRaised,
        Self::Cleared,
        Self::Returned,
        Self::Refreshed,
        Self::Acknowledged,
        Self::OrderRaised,
        Self::OrderDeferred,
        Self::OrderCompleted,
        Self::OrderCancelled,
        Self::Assigned,
        Self::Commented,
        Self::HandedOver,
        Self::Escalated,
        Self::Shelved,
        Self::Unshelved,
        Self::Reopened,
        Self::Amended,
        Self::Withdrawn,
        Self::Suppressed,
        Self::Unsuppressed,
        Self::WatchListed,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::SeverityRaised => "severity_raised",
            Self::Cleared => "cleared",
            Self::Returned => "returned",
            Self::Refreshed => "refreshed",
            Self::Acknowledged => "acknowledged",
            Self::OrderRaised => "order_raised",
            Self::OrderDeferred => "order_deferred",
            Self::OrderCompleted => "order_completed",
            Self::OrderCancelled => "order_cancelled",
            Self::Assigned => "assigned",
            Self::Commented => "commented",
            Self::HandedOver => "handed_over",
            Self::Escalated => "escalated",
            Self::Shelved => "shelved",
            Self::Unshelved => "unshelved",
            Self::Reopened => "reopened",
            Self::Amended => "amended",
            Self::Withdrawn => "withdrawn",
            Self::Suppressed => "suppressed",
            Self::Unsuppressed => "unsuppressed",
            Self::WatchListed => "watch_listed",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it is kept in the case's log.
    pub const fn is_logged(self) -> bool {
        !matches!(self, Self::Refreshed)
    }
}

impl fmt::Display for CaseEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A step that the status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Illegal {
    /// Where the case stands; none before it was opened.
    pub status: Option<CaseStatus>,
    /// What was to happen to it.
    pub event: CaseEventKind,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.map_or("not opened yet", CaseStatus::as_str);
        write!(f, "{} is not possible: the case is {status}", self.event)
    }
}

impl std::error::Error for Illegal {}

/// The status after an event. Every legal pair is listed; what is not listed is refused.
///
/// # Errors
/// [`Illegal`] when the event cannot happen in this status.
pub fn next(status: Option<CaseStatus>, event: CaseEventKind) -> Result<CaseStatus, Illegal> {
    use CaseEventKind as Event;
    use CaseStatus::{Acknowledged, Closed, Open};
    match (status, event) {
        (None, Event::Opened) | (Some(Closed), Event::Reopened) => Ok(Open),
        (Some(Open), Event::Acknowledged) => Ok(Acknowledged),
        (
            Some(now @ (Open | Acknowledged)),
            Event::SeverityRaised
            | Event::Cleared
            | Event::Returned
            | Event::Refreshed
            | Event::OrderRaised
            | Event::OrderDeferred
            | Event::Assigned
            | Event::Commented
            | Event::HandedOver
            | Event::Escalated
            | Event::Shelved
            | Event::Unshelved
            | Event::Suppressed
            | Event::Unsuppressed
            | Event::WatchListed,
        )
        | (Some(now), Event::Amended) => Ok(now),
        (
            Some(Open | Acknowledged),
            Event::OrderCompleted | Event::OrderCancelled | Event::Withdrawn,
        ) => Ok(Closed),
        _ => Err(Illegal { status, event }),
    }
}

/// The status that a log ends in; none for an empty log.
///
/// # Errors
/// [`Illegal`] at the first entry that could not have happened.
pub fn replay(
    events: impl IntoIterator<Item = CaseEventKind>,
) -> Result<Option<CaseStatus>, Illegal> {
    events
        .into_iter()
        .try_fold(None, |status, event| next(status, event).map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row an event: the status after it from (nothing, open, acknowledged, closed);
    /// `-` where it cannot happen.
    const TABLE: &str = "
        opened           open  -             -             -
        severity_raised  -     open          acknowledged  -
        cleared          -     open          acknowledged  -
        returned         -     open          acknowledged  -
        refreshed        -     open          acknowledged  -
        acknowledged     -     acknowledged  -             -
        order_raised     -     open          acknowledged  -
        order_deferred   -     open          acknowledged  -
        order_completed  -     closed        closed        -
        order_cancelled  -     closed        closed        -
        assigned         -     open          acknowledged  -
        commented        -     open          acknowledged  -
        handed_over      -     open          acknowledged  -
        escalated        -     open          acknowledged  -
        shelved          -     open          acknowledged  -
        unshelved        -     open          acknowledged  -
        reopened         -     -             -             open
        amended          -     open          acknowledged  closed
        withdrawn        -     closed        closed        -
        suppressed       -     open          acknowledged  -
        unsuppressed     -     open          acknowledged  -
        watch_listed     -     open          acknowledged  -";

    #[test]
    fn every_pair_of_status_and_event_has_its_stated_answer() {
        let from = [
            None,
            Some(CaseStatus::Open),
            Some(CaseStatus::Acknowledged),
            Some(CaseStatus::Closed),
        ];
        let mut seen = Vec::new();
        for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let event = CaseEventKind::parse(words.next().unwrap()).unwrap();
            seen.push(event);
            for status in from {
                let expected = CaseStatus::parse(words.next().unwrap());
                let got = next(status, event);
                assert_eq!(got.ok(), expected, "{status:?} {event}");
                if let Err(illegal) = got {
                    assert_eq!((illegal.status, illegal.event), (status, event));
                }
            }
            assert_eq!(words.next(), None);
        }
        assert_eq!(seen, CaseEventKind::ALL);
    }

    #[test]
    fn a_refused_step_says_where_the_case_stands() {
        let illegal = next(Some(CaseStatus::Closed), CaseEventKind::Acknowledged).unwrap_err();
        assert_eq!(
            illegal.to_string(),
            "acknowledged is not possible: the case is closed"
        );
    }

    #[test]
    fn a_log_gives_its_status() {
        use CaseEventKind as Event;
        assert_eq!(replay([]), Ok(None));
        assert_eq!(
            replay([Event::Opened, Event::OrderRaised, Event::Acknowledged]),
            Ok(Some(CaseStatus::Acknowledged))
        );
        assert!(replay([Event::Opened, Event::OrderCancelled, Event::Returned]).is_err());
    }
}
