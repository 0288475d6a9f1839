//! What the decisions rest on: the open cases and the latest alarm episode of each device.
//!
//! A desk is a value. Every change goes through one function, `step`, which asks the life cycle,
//! and is collected in a [`Batch`], which the store writes in one transaction. A desk whose
//! batch could not be written is thrown away and loaded again, so memory never runs ahead of
//! the file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};
use telemetry::{
    AssetId, CaseId, DeviceId, FailureMode, Finding, Outcome, Places, RuleId, SensorReport,
    SignalName, Timestamp, WorkOrderClosed, WorkOrderId,
};

use crate::{
    AlertingError, Care, Case, CaseChange, CaseEvent, CaseEventKind, CaseSettings, CaseStatus,
    MaintenanceWindow, Silence, lifecycle,
};

/// What of a device an alarm is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The machine, as its detectors judge it.
    Machine,
    /// One of its sensors.
    Sensor(SignalName),
    /// The machine or a sensor, as a rule judges it.
    Rule(RuleId),
}

/// What is watched: a device as it watches one asset (it may have watched another one before),
/// and what of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watch {
    /// The asset.
    pub asset: AssetId,
    /// The device.
    pub device: DeviceId,
    /// What of it.
    pub of: Subject,
}

impl Watch {
    /// The machine as a device watches it.
    pub fn machine(asset: &AssetId, device: &DeviceId) -> Self {
        Self {
            asset: asset.clone(),
            device: device.clone(),
            of: Subject::Machine,
        }
    }

    /// One sensor of a device.
    pub fn sensor(asset: &AssetId, device: &DeviceId, signal: &SignalName) -> Self {
        Self {
            of: Subject::Sensor(signal.clone()),
            ..Self::machine(asset, device)
        }
    }

    /// What a rule says of a device.
    pub fn rule(asset: &AssetId, device: &DeviceId, rule: &RuleId) -> Self {
        Self {
            of: Subject::Rule(rule.clone()),
            ..Self::machine(asset, device)
        }
    }
}

/// What there may be one open case of: an asset's failure mode, and of a sensor its signal.
pub type Problem = (AssetId, FailureMode, Option<SignalName>);

/// What decisions rest on beside the desk itself.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The caller's clock. In a back-test it is event time.
    pub now: Timestamp,
    /// Where assets stand.
    pub places: &'a dyn Places,
    /// How cases are kept.
    pub settings: &'a CaseSettings,
    /// What nobody wants to hear at present.
    pub silences: &'a [Silence],
    /// Where people are at work, or will be soon.
    pub windows: &'a [MaintenanceWindow],
}

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
    /// The round of the case it belongs to: what rose in an earlier one is over with it.
    pub round: u32,
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
    /// What is remembered of it beside what is shown.
    pub care: Care,
}

impl Held {
    /// See [`Problem`].
    pub fn problem(&self) -> Problem {
        let case = &self.case;
        (
            case.asset.clone(),
            case.failure_mode.clone(),
            case.signal.clone(),
        )
    }

    /// Whether the service system has to be told now.
    pub fn wants_order(&self, now: Timestamp) -> bool {
        self.case.wants_order() && self.care.order_after.is_none_or(|after| after <= now)
    }
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
    /// Devices that were found to keep up with the clock.
    pub punctual: Vec<DeviceId>,
    /// Orders of earlier rounds: whatever is still to be heard of them means nothing any more.
    pub past_orders: Vec<(WorkOrderId, Timestamp)>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.watches.is_empty() && self.punctual.is_empty()
    }

    /// Whether anything happened that bears on how cases are treated.
    pub(crate) fn is_news(&self) -> bool {
        let mut changes = self.changes.iter();
        changes.any(|change| change.event != CaseEventKind::Refreshed)
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

/// The open cases and the episodes they cover, with the last closed case of each problem.
///
/// The indexes beside them are kept by the few functions that change what they point to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Desk {
    pub(crate) open: BTreeMap<CaseId, Held>,
    pub(crate) episodes: HashMap<Watch, Episode>,
    /// The latest closed case of each problem, at most [`Desk::MAX_CLOSED`].
    pub(crate) closed: HashMap<Problem, Held>,
    /// Devices that have kept up with the clock.
    pub(crate) punctual: HashSet<DeviceId>,
    /// Open cases by problem.
    by_problem: HashMap<Problem, CaseId>,
    /// Open cases by asset.
    by_asset: BTreeMap<AssetId, BTreeSet<CaseId>>,
    /// Episodes that stand, by case and round.
    standing: HashMap<(CaseId, u32), BTreeSet<Watch>>,
}

impl Desk {
    /// Closed cases that are remembered, because an alarm may come back: the newest of so many
    /// problems. A case is a few kB.
    pub const MAX_CLOSED: usize = 1_000;

    /// A desk from what the store kept; `closed` newest first.
    pub fn new(
        open: Vec<Held>,
        closed: Vec<Held>,
        episodes: Vec<(Watch, Episode)>,
        punctual: Vec<DeviceId>,
    ) -> Self {
        let mut desk = Self {
            punctual: punctual.into_iter().collect(),
            ..Self::default()
        };
        for held in open {
            desk.insert(held);
        }
        for held in closed {
            desk.closed.entry(held.problem()).or_insert(held);
        }
        for (watch, episode) in episodes {
            desk.put_episode(watch, episode);
        }
        desk
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

    /// The open cases of an asset, by id.
    pub fn open_cases_of(&self, asset: &AssetId) -> impl Iterator<Item = &Held> {
        let ids = self.by_asset.get(asset).into_iter().flatten();
        ids.filter_map(|id| self.open.get(id))
    }

    /// The one open case of a problem.
    pub(crate) fn open_case_of(&self, problem: &Problem) -> Option<CaseId> {
        self.by_problem.get(problem).cloned()
    }

    /// Whether the alarm of any device stands on this case.
    pub(crate) fn has_active_alarm(&self, case: &CaseId) -> bool {
        let round = self.get(case).map_or(0, |held| held.case.round);
        self.standing.contains_key(&(case.clone(), round))
    }

    /// Whether the case of an episode is open, in the round the episode belongs to.
    pub(crate) fn is_current(&self, episode: &Episode) -> bool {
        self.get(&episode.case)
            .is_some_and(|held| held.case.round == episode.round)
    }

    /// Sets the episode of a watch.
    pub(crate) fn put_episode(&mut self, watch: Watch, episode: Episode) {
        self.stand_down(&watch);
        if episode.active {
            let of_round = (episode.case.clone(), episode.round);
            self.standing
                .entry(of_round)
                .or_default()
                .insert(watch.clone());
        }
        self.episodes.insert(watch, episode);
    }

    /// The alarm of a watch does not stand any more.
    pub(crate) fn stand_down(&mut self, watch: &Watch) {
        let Some(episode) = self.episodes.get_mut(watch).filter(|known| known.active) else {
            return;
        };
        episode.active = false;
        let of_round = (episode.case.clone(), episode.round);
        if let Some(watches) = self.standing.get_mut(&of_round) {
            watches.remove(watch);
            if watches.is_empty() {
                self.standing.remove(&of_round);
            }
        }
    }

    fn insert(&mut self, held: Held) {
        let id = held.case.id.clone();
        self.by_problem.insert(held.problem(), id.clone());
        let of_asset = self.by_asset.entry(held.case.asset.clone()).or_default();
        of_asset.insert(id.clone());
        self.open.insert(id, held);
    }

    /// Takes an ended case off the desk and keeps it for when its alarm comes back.
    fn remove(&mut self, id: &CaseId) {
        let Some(held) = self.open.remove(id) else {
            return;
        };
        let problem = held.problem();
        if self.by_problem.get(&problem) == Some(id) {
            self.by_problem.remove(&problem);
        }
        if let Some(of_asset) = self.by_asset.get_mut(&held.case.asset) {
            of_asset.remove(id);
            if of_asset.is_empty() {
                self.by_asset.remove(&held.case.asset);
            }
        }
        self.closed.insert(problem, held);
        if self.closed.len() > Self::MAX_CLOSED {
            let oldest = self
                .closed
                .iter()
                .min_by_key(|(_, held)| (held.case.updated_at, held.case.id.clone()));
            if let Some(oldest) = oldest.map(|(problem, _)| problem.clone()) {
                self.closed.remove(&oldest);
            }
        }
    }

    /// Puts a new case on the desk.
    pub(crate) fn put(&mut self, held: Held, entry: Entry, batch: &mut Batch) {
        let id = held.case.id.clone();
        batch.opened.push(id.clone());
        self.insert(held);
        self.note(&id, entry, batch);
    }

    /// Opens an ended case again for another round.
    ///
    /// # Errors
    /// [`AlertingError::Illegal`] when the life cycle does not allow the step.
    pub(crate) fn reopen(
        &mut self,
        problem: &Problem,
        entry: Entry,
        batch: &mut Batch,
        change: impl FnOnce(&mut Held),
    ) -> Result<Option<CaseId>, AlertingError> {
        let Some(held) = self.closed.get(problem) else {
            return Ok(None);
        };
        let id = held.case.id.clone();
        let status = next_status(&id, held.case.status, entry.kind)?;
        let Some(mut held) = self.closed.remove(problem) else {
            return Ok(None);
        };
        if let Some(order) = held.case.work_order.take() {
            batch.past_orders.push((order, entry.at));
        }
        held.case.status = status;
        change(&mut held);
        self.insert(held);
        self.note(&id, entry, batch);
        Ok(Some(id))
    }

    /// Adds what late data tell to a case that has ended.
    pub(crate) fn amend_closed(&mut self, problem: &Problem, entry: Entry, batch: &mut Batch) {
        if let Some(held) = self.closed.get_mut(problem) {
            held.case.updated_at = entry.at.max(held.case.updated_at);
            let held = held.clone();
            collect(&held, entry, batch);
        }
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
        let status = next_status(id, held.case.status, entry.kind)?;
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
        let held = held.clone();
        let is_open = held.case.status.is_open();
        collect(&held, entry, batch);
        if !is_open {
            self.remove(id);
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
            held.case.watch_list = None;
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

/// Puts what happened to a case into the batch.
fn collect(held: &Held, entry: Entry, batch: &mut Batch) {
    let id = &held.case.id;
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
}

fn next_status(
    case: &CaseId,
    status: CaseStatus,
    event: CaseEventKind,
) -> Result<CaseStatus, AlertingError> {
    lifecycle::next(Some(status), event).map_err(|illegal| AlertingError::Illegal {
        case: case.clone(),
        illegal,
    })
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
