//! The work order: what is to be done on which asset, why, by when, by whom, and how it ended.

#[cfg(test)]
mod tests;

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use telemetry::{
    Advisory, AssetId, CaseId, EngineerId, FailureMode, Outcome, Severity, SignalName, Timestamp,
    WorkOrderId,
};

use crate::{Action, DateDecision, JobPlan, Name, Note, OrderCosts, ServiceError, WorkOrderStatus};

/// Why the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkOrderKind {
    /// A case foresees a failure. Raised by advisories only.
    Predictive,
    /// Somebody wants it looked at, or a case says that a sensor cannot be believed.
    Inspection,
    /// It has failed.
    Corrective,
    /// Its time or usage has come.
    Preventive,
}

impl WorkOrderKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [
        Self::Predictive,
        Self::Inspection,
        Self::Corrective,
        Self::Preventive,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Predictive => "predictive",
            Self::Inspection => "inspection",
            Self::Corrective => "corrective",
            Self::Preventive => "preventive",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One signal's part in the reason for an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderSignal {
    /// The signal.
    pub signal: SignalName,
    /// How far it was from its normal, signed, in healthy spreads.
    pub deviation: f64,
    /// Its share of the deviation, 0 to 1.
    pub share: f64,
}

/// A work order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// `WO-000001` and on, in the order of creation.
    pub id: WorkOrderId,
    /// The asset to work on.
    pub asset: AssetId,
    /// Its name.
    pub asset_name: Name,
    /// The case behind it; none for a manual order.
    pub case: Option<CaseId>,
    /// Why the work is done.
    pub kind: WorkOrderKind,
    /// Where it stands.
    pub status: WorkOrderStatus,
    /// How urgent the case was when the order was raised.
    pub severity: Option<Severity>,
    /// What seems to be failing.
    pub failure_mode: Option<FailureMode>,
    /// When the alarm rose, in event time.
    pub opened_at: Option<Timestamp>,
    /// The signals that told, largest share first, at most [`WorkOrder::MAX_SIGNALS`].
    pub signals: Vec<OrderSignal>,
    /// The signal whose sensor cannot be believed; none for a problem of the machine.
    pub signal: Option<SignalName>,
    /// How soon it comes before other work: 1 (first) to 4.
    pub priority: u8,
    /// From when on it is worth doing: the first date that costs hardly more than the best.
    pub due_from: Option<Timestamp>,
    /// By when it should be done: the last such date; see [`crate::planning`] for orders of cases.
    pub due_by: Option<Timestamp>,
    /// What will be done: a copy of the plan as it was when the order was raised.
    pub plan: Option<JobPlan>,
    /// What it costs and is worth.
    pub costs: Option<OrderCosts>,
    /// How its date was found; none for a manual order.
    pub date: Option<DateDecision>,
    /// Who does it.
    pub engineer: Option<EngineerId>,
    /// Their name.
    pub engineer_name: Option<Name>,
    /// When it is to be done.
    pub scheduled_for: Option<Timestamp>,
    /// What was found; set when it is completed.
    pub outcome: Option<Outcome>,
    /// What really failed, where the person who completed it said so.
    pub found_mode: Option<FailureMode>,
    /// The part that was replaced or repaired.
    pub part: Option<Name>,
    /// When the work was done in the time of the machine's readings; none until it is, and where
    /// the clock of the office is all that is known.
    pub done_at: Option<Timestamp>,
    /// What the order says; a note given at its end takes the place of the first one, which
    /// stays in the log.
    pub note: Note,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl WorkOrder {
    /// Five signals explain a deviation; the rest is in the case.
    pub const MAX_SIGNALS: usize = 5;
}

/// One line of an order's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; [`LogEntry::SYSTEM`] for an order raised by a case.
    pub by: Name,
    /// The status before; none for the first entry.
    pub from: Option<WorkOrderStatus>,
    /// The status after.
    pub to: WorkOrderStatus,
    /// What they wrote.
    pub note: Note,
}

impl LogEntry {
    /// The name in the log for what no person did.
    pub const SYSTEM: &str = "bellwether";
}

/// A work order with its log, oldest entry first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkOrderDetail {
    /// The order.
    #[serde(flatten)]
    pub order: WorkOrder,
    /// Who did what and when.
    pub log: Vec<LogEntry>,
}

/// A work order that a person writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWorkOrder {
    /// The asset to work on.
    pub asset: AssetId,
    /// Why; any kind but predictive, which cases raise.
    pub kind: WorkOrderKind,
    /// What is to be done.
    #[serde(default)]
    pub note: Note,
    /// Who asks for it.
    pub by: Name,
    /// By when.
    #[serde(default)]
    pub due_by: Option<Timestamp>,
}

/// What was found when the work was done, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was found.
    pub outcome: Outcome,
    /// What really failed; only where a fault was found. None: what the order was raised for
    /// when that was confirmed, else nobody knows.
    pub failure_mode: Option<FailureMode>,
    /// The part that was replaced or repaired; only where something was found.
    pub part: Option<Name>,
    /// When the work was done in the time of the machine's readings; none: now.
    pub done_at: Option<Timestamp>,
}

impl Found {
    /// This outcome, and nothing more is known.
    pub const fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            failure_mode: None,
            part: None,
            done_at: None,
        }
    }

    /// What really failed, of an order that was raised for `expected`.
    pub fn failure_mode(
        outcome: Outcome,
        said: Option<FailureMode>,
        expected: Option<FailureMode>,
    ) -> Option<FailureMode> {
        match outcome {
            Outcome::Confirmed => said.or(expected),
            Outcome::OtherFaultFound => said,
            _ => None,
        }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a failure mode where no fault of the machine was found, for
    /// a part where nothing was, and for a time beyond the calendar.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        let invalid = |field, problem: &str| {
            Err(ServiceError::Invalid {
                field,
                problem: problem.to_owned(),
            })
        };
        let is_fault = self.outcome.starts_new_life();
        if self.failure_mode.is_some() && !is_fault {
            return invalid(
                "failure_mode",
                "only confirmed and other_fault_found say what failed",
            );
        }
        if self.part.is_some() && !is_fault && self.outcome != Outcome::SensorFault {
            return invalid(
                "part",
                "only confirmed, other_fault_found and sensor_fault replace a part",
            );
        }
        check_time("done_at", self.done_at)
    }
}

/// One step of a work order with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Agree that the work is to be done.
    Approve,
    /// Set engineer and time, or change them.
    Schedule {
        /// Who does it.
        engineer: EngineerId,
        /// When.
        scheduled_for: Timestamp,
    },
    /// Begin the work.
    Start,
    /// End the work.
    Complete(Found),
    /// Decide that the work will not be done, or not further.
    Cancel,
    /// Take over from another system that the work is done.
    Report(Found),
}

impl Step {
    /// The action in the state table.
    pub const fn action(&self) -> Action {
        match self {
            Self::Approve => Action::Approve,
            Self::Schedule { .. } => Action::Schedule,
            Self::Start => Action::Start,
            Self::Complete(_) => Action::Complete,
            Self::Cancel => Action::Cancel,
            Self::Report(_) => Action::Report,
        }
    }
}

/// Which orders to list. Newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkOrderQuery {
    /// In one of these statuses; in any when empty.
    pub status: Vec<WorkOrderStatus>,
    /// Of this asset only.
    pub asset: Option<AssetId>,
    /// Of this case only.
    pub case: Option<CaseId>,
    /// Continue behind this order, the last one of the page before.
    pub after: Option<WorkOrderId>,
    /// At most this many; cut to [`WorkOrderQuery::MAX_LIMIT`].
    pub limit: u32,
}

impl WorkOrderQuery {
    /// A page that a browser still draws at once.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// An order is about 1 kB, so a page of this many stays near 1 MB.
    pub const MAX_LIMIT: u32 = 1_000;
    /// Every status in which something is still to be done.
    pub const UNFINISHED: [WorkOrderStatus; 4] = [
        WorkOrderStatus::Proposed,
        WorkOrderStatus::Approved,
        WorkOrderStatus::Scheduled,
        WorkOrderStatus::InProgress,
    ];
}

impl Default for WorkOrderQuery {
    fn default() -> Self {
        Self {
            status: Vec::new(),
            asset: None,
            case: None,
            after: None,
            limit: Self::DEFAULT_LIMIT,
        }
    }
}

/// How many orders there are in each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkOrderCounts {
    /// Waiting for a planner.
    pub proposed: u64,
    /// Waiting for engineer and time.
    pub approved: u64,
    /// Waiting for the day.
    pub scheduled: u64,
    /// Being worked on.
    pub in_progress: u64,
    /// Done.
    pub completed: u64,
    /// Given up.
    pub cancelled: u64,
}

impl WorkOrderCounts {
    /// Every order that was ever created.
    pub const fn total(&self) -> u64 {
        self.proposed
            + self.approved
            + self.scheduled
            + self.in_progress
            + self.completed
            + self.cancelled
    }

    pub(crate) fn set(&mut self, status: WorkOrderStatus, count: u64) {
        *match status {
            WorkOrderStatus::Proposed => &mut self.proposed,
            WorkOrderStatus::Approved => &mut self.approved,
            WorkOrderStatus::Scheduled => &mut self.scheduled,
            WorkOrderStatus::InProgress => &mut self.in_progress,
            WorkOrderStatus::Completed => &mut self.completed,
            WorkOrderStatus::Cancelled => &mut self.cancelled,
        } = count;
    }
}

/// Why the work of an advisory is done: a sensor has to be looked at, and a machine is foreseen
/// to fail.
pub(crate) fn kind_of(advisory: &Advisory) -> WorkOrderKind {
    if advisory.failure_mode.as_str() == FailureMode::SENSOR_FAULT {
        WorkOrderKind::Inspection
    } else {
        WorkOrderKind::Predictive
    }
}

/// How soon the work comes before other work: 1 (first) to 4.
pub(crate) fn priority_of(advisory: &Advisory) -> u8 {
    match advisory.severity {
        _ if kind_of(advisory) == WorkOrderKind::Inspection => 4,
        Severity::Critical => 1,
        Severity::Warning => 2,
        Severity::Watch => 3,
    }
}

/// The same for an order that a person writes: what has failed comes first.
pub(crate) fn priority_by_hand(kind: WorkOrderKind) -> u8 {
    match kind {
        WorkOrderKind::Corrective => 1,
        WorkOrderKind::Predictive => 2,
        WorkOrderKind::Inspection | WorkOrderKind::Preventive => 3,
    }
}

/// The signals that an order of this advisory names. Parts that are no numbers, which JSON
/// could not hold, are left out. The order of a sensor names that sensor: all of the problem.
pub fn top_signals(advisory: &Advisory) -> Vec<OrderSignal> {
    if let Some(signal) = &advisory.signal {
        return vec![OrderSignal {
            signal: signal.clone(),
            deviation: 0.0,
            share: 1.0,
        }];
    }
    let contributions = advisory.evidence.contributions.iter();
    contributions
        .filter(|part| part.deviation.is_finite() && part.share.is_finite())
        .take(WorkOrder::MAX_SIGNALS)
        .map(|part| OrderSignal {
            signal: part.signal.clone(),
            deviation: part.deviation,
            share: part.share,
        })
        .collect()
}

/// The id of the order with this number.
pub(crate) fn order_id(number: i64) -> WorkOrderId {
    WorkOrderId::new(&format!("WO-{number:06}")).expect("WO- and digits are always a valid id")
}

/// The number in an order's id; none when it is no id of ours.
pub(crate) fn order_number(id: &WorkOrderId) -> Option<i64> {
    let number = i64::from_str(id.as_str().strip_prefix("WO-")?).ok()?;
    (number > 0 && order_id(number) == *id).then_some(number)
}

/// Checks what the types of a new order cannot.
///
/// # Errors
/// [`ServiceError::Invalid`] for a predictive order and for a due date beyond the calendar.
pub(crate) fn check_new(order: &NewWorkOrder) -> Result<(), ServiceError> {
    if order.kind == WorkOrderKind::Predictive {
        return Err(ServiceError::Invalid {
            field: "kind",
            problem:
                "predictive orders are raised by cases; use inspection, corrective or preventive"
                    .to_owned(),
        });
    }
    check_time("due_by", order.due_by)
}

/// Checks that a time can be written in a calendar.
///
/// # Errors
/// [`ServiceError::Invalid`] naming the field.
pub(crate) fn check_time(field: &'static str, at: Option<Timestamp>) -> Result<(), ServiceError> {
    match at {
        Some(at) if !at.is_in_calendar() => Err(ServiceError::Invalid {
            field,
            problem: "the time lies outside the years 1 to 9999".to_owned(),
        }),
        _ => Ok(()),
    }
}
