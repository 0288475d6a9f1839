//! What the decisions rest on: the open cases and the latest alarm episode of each device.
//!
//! A desk is a value. Every change goes through one function, `step`, which asks the life cycle,
//! and is collected in a [`Batch`], which the store writes in one transaction. A desk whose
//! batch could not be written is thrown away and loaded again, so memory never runs ahead of
//! the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use telemetry::{
    AssetId, CaseId, DeviceId, FailureMode, Finding, Outcome, SensorReport, SignalName, Timestamp,
    WorkOrderClosed, WorkOrderId,
};

use crate::{AlertingError, Case, CaseChange, CaseEvent, CaseEventKind, lifecycle};

/// A device as it watches one asset (it may have watched another one before), or, with a signal,
/// one of its sensors.
pub type Watch = (AssetId, DeviceId, Option<SignalName>);

/// How far the findings of a device have been applied: event time, then kind within a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Event time of the row.
    pub at: Timestamp,
    /// Condition 0, assessment 1, prognosis 2, sensor report 3, rule report 4.
    pub rank: u8,
}

impl Mark {
    /// Before every finding.
    pub const START: Self = Self {
        at: Timestamp::MIN,
        rank: 0,
    };

    /// The mark of a sensor report.
    pub fn of_report(report: &SensorReport) -> Self {
        Self {
            at: report.at,
            rank: 3,
        }
    }

    /// The mark of a finding.
    pub fn of(finding: &Finding) -> Self {
        Self {
            at: finding.at(),
            rank: match finding {
                Finding::Condition(_) => 0,
                Finding::Assessment(_) => 1,
                Finding::Prognosis(_) => 2,
                Finding::Sensor(_) => 3,
                Finding::Rule(_) => 4,
            },
        }
    }
}

/// The latest alarm of a device, or the latest fault of a sensor, that a case covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// When the alarm rose, in event time.
    pub since: Timestamp,
    /// The case that covers it, open or closed.
    pub case: CaseId,
    /// Whether the alarm stands. Only kept up while the case is open.
    pub active: bool,
    /// How far the device's findings have been applied, as of the last committed change.
    pub mark: Mark,
}

/// An open case with what its rules need beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The case.
    pub case: Case,
    /// Event time at which the score was refreshed.
    pub scored_at: Timestamp,
    /// Event time at which the prognosis was attached, replaced or taken away.
    pub forecast_at: Timestamp,
    /// Its order was put off, so that no order of its own will close it.
    pub deferred: bool,
}

/// What one call changed, to be written in one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    /// What to tell the caller, in order.
    pub changes: Vec<CaseChange>,
    /// New log lines, in order.
    pub log: Vec<(CaseId, CaseEvent)>,
    /// Cases opened by this call, in order.
    pub opened: Vec<CaseId>,
    /// Every case that changed, as it is after the call.
    pub rows: BTreeMap<CaseId, Held>,
    /// Devices whose episode changed.
    pub watches: BTreeSet<Watch>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.watches.is_empty()
    }
}

/// One entry on its way into a case's log.
#[derive(Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: CaseEventKind,
    /// The person who did it.
    pub by: Option<String>,
    /// What else belongs to it.
    pub detail: Option<Value>,
}

impl Entry {
    /// An entry that no person made.
    pub fn of(kind: CaseEventKind, at: Timestamp) -> Self {
        Self {
            at,
            kind,
            by: None,
            detail: None,
        }
    }

    /// The same entry with what else belongs to it.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// The open cases and the episodes they cover.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desk {
    pub(crate) open: BTreeMap<CaseId, Held>,
    pub(crate) episodes: HashMap<Watch, Episode>,
}

impl Desk {
    /// A desk from what the store kept.
    pub fn new(open: Vec<Held>, episodes: Vec<(Watch, Episode)>) -> Self {
        Self {
            open: open
                .into_iter()
                .map(|held| (held.case.id.clone(), held))
                .collect(),
            episodes: episodes.into_iter().collect(),
        }
    }

    /// The open case with this id.
    pub fn get(&self, id: &CaseId) -> Option<&Held> {
        self.open.get(id)
    }

    /// The episode of a device.
    pub fn episode(&self, watch: &Watch) -> Option<&Episode> {
        self.episodes.get(watch)
    }

    /// Every open case.
    pub fn open_cases(&self) -> impl Iterator<Item = &Held> {
        self.open.values()
    }

    /// The one open case of an asset and failure mode, and of a sensor by its signal. A fleet has
    /// few open cases, and this is asked once an alarm, so a walk over them beats an index that
    /// has to be kept right.
    pub(crate) fn open_case_of(
        &self,
        asset: &AssetId,
        mode: &FailureMode,
        signal: Option<&SignalName>,
    ) -> Option<CaseId> {
        let is_it = |case: &Case| {
            case.asset == *asset && case.failure_mode == *mode && case.signal.as_ref() == signal
        };
        let mut open = self.open.values();
        open.find(|held| is_it(&held.case))
            .map(|held| held.case.id.clone())
    }

    /// Whether the alarm of any device stands on this case.
    pub(crate) fn has_active_alarm(&self, case: &CaseId) -> bool {
        self.episodes
            .values()
            .any(|episode| episode.active && episode.case == *case)
    }

    /// Puts a new case on the desk.
    pub(crate) fn put(&mut self, held: Held, entry: Entry, batch: &mut Batch) {
        let id = held.case.id.clone();
        batch.opened.push(id.clone());
        self.open.insert(id.clone(), held);
        self.note(&id, entry, batch);
    }

    /// Lets `entry` happen to an open case: asks the life cycle, lets `change` alter the
    /// case, sets status and time, and collects everything in `batch`.
    ///
    /// # Errors
    /// [`AlertingError::NotFound`] when no such case is open and [`AlertingError::Illegal`]
    /// when the life cycle does not allow the step; nothing has changed then.
    pub(crate) fn step(
        &mut self,
        id: &CaseId,
        entry: Entry,
        batch: &mut Batch,
        change: impl FnOnce(&mut Held),
    ) -> Result<(), AlertingError> {
        let held = self
            .open
            .get_mut(id)
            .ok_or_else(|| AlertingError::NotFound(id.clone()))?;
        let status = lifecycle::next(Some(held.case.status), entry.kind).map_err(|illegal| {
            AlertingError::Illegal {
                case: id.clone(),
                illegal,
            }
        })?;
        change(held);
        held.case.status = status;
        self.note(id, entry, batch);
        Ok(())
    }

    fn note(&mut self, id: &CaseId, entry: Entry, batch: &mut Batch) {
        let Some(held) = self.open.get_mut(id) else {
            return;
        };
        held.case.updated_at = entry.at;
        batch.changes.push(CaseChange {
            case: held.case.clone(),
            event: entry.kind,
        });
        batch.rows.insert(id.clone(), held.clone());
        if entry.kind.is_logged() {
            let event = CaseEvent {
                at: entry.at,
                kind: entry.kind,
                by: entry.by,
                detail: entry.detail,
            };
            batch.log.push((id.clone(), event));
        }
        if !held.case.status.is_open() {
            self.open.remove(id);
        }
    }

    /// A person has seen an open case.
    ///
    /// # Errors
    /// [`AlertingError::NotFound`] when no such case is open and [`AlertingError::Illegal`]
    /// when the life cycle does not allow the step.
    pub fn acknowledge(
        &mut self,
        id: &CaseId,
        by: &str,
        at: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        let mut entry = Entry::of(CaseEventKind::Acknowledged, at);
        entry.by = Some(by.to_owned());
        self.step(id, entry, batch, |_| ())
    }

    /// The service system has an order for an open case. The same order twice changes nothing.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`], and [`AlertingError::OtherOrder`] when the case has another order.
    pub fn order_raised(
        &mut self,
        id: &CaseId,
        order: &WorkOrderId,
        at: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        let has = self.get(id).and_then(|held| held.case.work_order.as_ref());
        match has {
            Some(has) if has == order => return Ok(()),
            Some(has) => {
                return Err(AlertingError::OtherOrder {
                    case: id.clone(),
                    has: has.clone(),
                    given: order.clone(),
                });
            }
            None => {}
        }
        let entry = Entry::of(CaseEventKind::OrderRaised, at).with(json!({ "work_order": order }));
        self.step(id, entry, batch, |held| {
            held.case.work_order = Some(order.clone());
        })
    }

    /// The order of an open case has ended. An order that the case had not heard of yet, because
    /// the process died between handing in the advisory and recording its order, is recorded first.
    ///
    /// # Errors
    /// As [`Desk::order_raised`].
    pub fn order_ended(
        &mut self,
        id: &CaseId,
        closed: &WorkOrderClosed,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        self.order_raised(id, &closed.work_order, closed.at, batch)?;
        self.step(id, ended(closed), batch, |held| {
            if closed.outcome == Some(Outcome::Deferred) {
                held.deferred = true;
            } else {
                held.case.outcome = closed.outcome;
                held.case.closed_at = Some(closed.at);
            }
        })
    }

    /// An order without a case has ended on an asset. When it left the machine as it should
    /// be, it also ends the cases of that asset whose own order had been put off: nothing
    /// else ever would.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`].
    pub fn asset_serviced(
        &mut self,
        closed: &WorkOrderClosed,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        if !closed.outcome.is_some_and(Outcome::starts_new_baseline) {
            return Ok(());
        }
        let put_off: Vec<CaseId> = self
            .open
            .values()
            .filter(|held| held.deferred && held.case.asset == closed.asset)
            .map(|held| held.case.id.clone())
            .collect();
        for id in put_off {
            self.step(&id, ended(closed), batch, |held| {
                held.case.outcome = closed.outcome;
                held.case.closed_at = Some(closed.at);
            })?;
        }
        Ok(())
    }
}

/// The log entry for the end of an order.
fn ended(closed: &WorkOrderClosed) -> Entry {
    let kind = match closed.outcome {
        None => CaseEventKind::OrderCancelled,
        Some(Outcome::Deferred) => CaseEventKind::OrderDeferred,
        Some(_) => CaseEventKind::OrderCompleted,
    };
    Entry::of(kind, closed.at).with(json!({
        "work_order": closed.work_order,
        "outcome": closed.outcome,
        "failure_mode": closed.failure_mode,
        "part": closed.part,
        "note": closed.note,
    }))
}
