//! What the decisions rest on: the open cases and the latest alarm episode of each device.
//!
//! A desk is a value. Every change goes through one function, `step`, which asks the life cycle,
//! and is collected in a [`Batch`], which the store writes in one transaction. A desk whose
//! batch could not be written is thrown away and loaded again, so memory never runs ahead of
//! the file.

mod orders;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use telemetry::{AssetId, CaseId, DeviceId};

pub use self::words::{Around, Batch, Entry, Episode, Held, Mark, Problem, Subject, Watch};
use crate::{AlertingError, CaseChange, CaseEvent, CaseEventKind, CaseStatus, lifecycle};

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
        held.case.updated_at = entry.at.max(held.case.updated_at);
        let held = held.clone();
        let is_open = held.case.status.is_open();
        collect(&held, entry, batch);
        if !is_open {
            self.remove(id);
        }
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
