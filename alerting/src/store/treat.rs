//! How cases are treated: reviews, shelves, the watch list, taking orders back.

use std::collections::BTreeMap;

use serde_json::json;
use telemetry::{
    AssetId, CaseId, Explanation, FailureMode, Severity, SignalName, SiteId, Timestamp, Verdict,
};

use super::{CaseDesk, commit, person, reloaded, write};
use crate::{
    AlertingError, Case, CaseChange, CaseEventKind, MaintenanceWindow, Matcher, Shelf, Suppression,
    SuppressionReason, WatchListed, Withdrawal,
    desk::{Batch, Desk, Entry, Held},
    shelving::check_until,
};

/// The longest note of a person in characters, as in the service system.
pub(super) const MAX_NOTE_CHARS: usize = 4_000;

/// An open case in short, from memory.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCase {
    /// Its id.
    pub id: CaseId,
    /// The asset.
    pub asset: AssetId,
    /// What seems to be failing.
    pub failure_mode: FailureMode,
    /// The signal whose sensor cannot be believed; none for a problem of the machine.
    pub signal: Option<SignalName>,
    /// How urgent it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub verdict: Verdict,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// Why it asks for nothing at present.
    pub suppressed: Option<Suppression>,
}

impl From<&Held> for OpenCase {
    fn from(held: &Held) -> Self {
        let case = &held.case;
        Self {
            id: case.id.clone(),
            asset: case.asset.clone(),
            failure_mode: case.failure_mode.clone(),
            signal: case.signal.clone(),
            severity: case.severity,
            verdict: case.verdict,
            opened_at: case.opened_at,
            suppressed: case.suppressed.clone(),
        }
    }
}

/// What a case is worth and whether it has to wait; see [`CaseDesk::ranked`].
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The case.
    pub case: CaseId,
    /// What acting in time is expected to save, with its currency; none where nobody can say.
    pub expected_avoided_cost: Option<(f64, String)>,
    /// Why it waits; none when it has an order or will have one at once.
    pub waits: Option<Explanation>,
}

/// Open cases one of which stands for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseGroup {
    /// The case that stands for all.
    pub head: CaseId,
    /// Its asset.
    pub asset: AssetId,
    /// Its site.
    pub site: Option<SiteId>,
    /// Why they belong together.
    pub reason: SuppressionReason,
    /// The most urgent of them.
    pub severity: Severity,
    /// How many others there are.
    pub children: u32,
    /// When the first alarm rose, in event time.
    pub opened_at: Timestamp,
}

impl CaseDesk {
    /// How many open cases each case stands for; cases that stand for none are left out.
    ///
    /// # Errors
    /// [`AlertingError::Database`] when the open cases have to be read again and cannot be.
    pub async fn children(&self) -> Result<BTreeMap<CaseId, u32>, AlertingError> {
        self.look(|desk| {
            let mut children: BTreeMap<CaseId, u32> = BTreeMap::new();
            for parent in desk
                .open_cases()
                .filter_map(|held| held.case.parent.as_ref())
            {
                if let Some(count) = children.get_mut(parent) {
                    *count += 1;
                } else {
                    children.insert(parent.clone(), 1);
                }
            }
            children
        })
        .await
    }

    /// The groups of open cases, the largest first.
    ///
    /// # Errors
    /// As [`CaseDesk::children`].
    pub async fn groups(&self) -> Result<Vec<CaseGroup>, AlertingError> {
        self.look(groups_of).await
    }

    /// How many open cases each of some matchers fits.
    ///
    /// # Errors
    /// As [`CaseDesk::children`].
    pub async fn matched(
        &self,
        matchers: impl IntoIterator<Item = Matcher>,
    ) -> Result<Vec<u32>, AlertingError> {
        let places = &self.inner.places;
        self.look(|desk| {
            let open: Vec<_> = desk
                .open_cases()
                .map(|held| (&held.case, places.place(&held.case.asset)))
                .collect();
            let count = |matcher: Matcher| {
                let fits = open
                    .iter()
                    .filter(|(case, place)| matcher.fits(case, place.as_ref()));
                fits.count() as u32
            };
            matchers.into_iter().map(count).collect()
        })
        .await
    }

    /// The open cases of some assets, or of all, by asset, the ones opened last first. From
    /// memory: an answer about a whole fleet reads no evidence.
    ///
    /// # Errors
    /// [`AlertingError::Database`] when the open cases have to be read again and cannot be.
    pub async fn open_cases(
        &self,
        assets: Option<&[AssetId]>,
    ) -> Result<BTreeMap<AssetId, Vec<OpenCase>>, AlertingError> {
        self.look(|desk| {
            let mut found: BTreeMap<AssetId, Vec<OpenCase>> = BTreeMap::new();
            let mut add = |held: &Held| {
                let of_asset = found.entry(held.case.asset.clone()).or_default();
                of_asset.push(held.into());
            };
            match assets {
                None => desk.open_cases().for_each(&mut add),
                Some(assets) => {
                    let held = assets.iter().flat_map(|asset| desk.open_cases_of(asset));
                    held.for_each(&mut add);
                }
            }
            for of_asset in found.values_mut() {
                of_asset.sort_by(|a, b| (b.opened_at, &b.id).cmp(&(a.opened_at, &a.id)));
            }
            found
        })
        .await
    }

    /// Where people are at work, or will be soon, as the calendar of work orders has it. What
    /// follows from it follows with the next [`CaseDesk::review`].
    pub fn set_windows(&self, windows: Vec<MaintenanceWindow>) {
        let mut known = self
            .inner
            .windows
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *known = windows.into();
    }

    /// Brings every open case to how it is to be treated by the clock: what was kept quiet for
    /// a while is not any more, what is over is withdrawn. Gives what changed.
    ///
    /// # Errors
    /// [`AlertingError::Database`]; nothing has changed then.
    pub async fn review(&self) -> Result<Vec<CaseChange>, AlertingError> {
        let now = self.now();
        let windows = self.windows();
        self.decide("reviewing cases", |desk, silences, batch| {
            desk.review(&self.around(silences, &windows, now), batch);
            Ok(())
        })
        .await
    }

    /// Orders that are to be taken back, because the alarm has been over for long.
    ///
    /// # Errors
    /// [`AlertingError::Database`] when the open cases have to be read again and cannot be.
    pub async fn withdrawals(&self) -> Result<Vec<Withdrawal>, AlertingError> {
        let now = self.now();
        self.look(|desk| desk.withdrawals(&self.around(&[], &[], now)))
            .await
    }

    /// Records that the order of a case was taken back before anybody agreed to it: the case ends.
    /// Idempotent for a case that has ended.
    ///
    /// # Errors
    /// [`AlertingError::NotFound`] and [`AlertingError::Database`].
    pub async fn withdrawn(&self, done: &Withdrawal) -> Result<(), AlertingError> {
        let now = self.now();
        let ended = self
            .change(&done.case, CaseEventKind::Withdrawn, |desk, batch| {
                desk.withdraw(done, now, batch)
            })
            .await;
        match ended {
            Ok(_) | Err(AlertingError::Illegal { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a case aside until a time: it stays listed and asks for nothing.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] for a time that has passed or lies too far ahead, a name or a
    /// note that is too long; [`AlertingError::NotFound`], [`AlertingError::Illegal`] for a
    /// closed case, and [`AlertingError::Database`].
    pub async fn shelve(
        &self,
        case: &CaseId,
        until: Timestamp,
        by: &str,
        note: &str,
    ) -> Result<Case, AlertingError> {
        let now = self.now();
        check_until(until, now, self.inner.settings.shelve_most)?;
        let shelf = Shelf {
            until,
            by: person(by)?.to_owned(),
            note: checked_note(note)?.to_owned(),
        };
        self.change(case, CaseEventKind::Shelved, |desk, batch| {
            let mut entry = Entry::of(CaseEventKind::Shelved, now)
                .with(json!({ "until": shelf.until, "note": shelf.note }));
            entry.by = Some(shelf.by.clone());
            desk.step(case, entry, batch, |held| held.care.shelf = Some(shelf))
        })
        .await
    }

    /// Takes a case off its shelf before its time. One that is on none stays as it is.
    ///
    /// # Errors
    /// As [`CaseDesk::shelve`].
    pub async fn unshelve(&self, case: &CaseId, by: &str) -> Result<Case, AlertingError> {
        let (now, by) = (self.now(), person(by)?);
        self.change(case, CaseEventKind::Unshelved, |desk, batch| {
            let is_shelved = desk.get(case).is_some_and(|held| held.care.shelf.is_some());
            if !is_shelved {
                return Ok(());
            }
            let mut entry = Entry::of(CaseEventKind::Unshelved, now);
            entry.by = Some(by.to_owned());
            desk.step(case, entry, batch, |held| held.care.shelf = None)
        })
        .await
    }

    /// Takes a case out of its group for good: a person says that it is a problem of its own.
    ///
    /// # Errors
    /// As [`CaseDesk::shelve`].
    pub async fn separate(&self, case: &CaseId, by: &str) -> Result<Case, AlertingError> {
        let (now, by) = (self.now(), person(by)?);
        self.change(case, CaseEventKind::Amended, |desk, batch| {
            let mut entry =
                Entry::of(CaseEventKind::Amended, now).with(json!({ "separate": true }));
            entry.by = Some(by.to_owned());
            desk.step(case, entry, batch, |held| {
                held.care.alone = true;
                held.care.group = None;
            })
        })
        .await
    }

    /// Records what cases are worth and which of them wait for their order, and why. What is
    /// as it was is not written. Gives what changed.
    ///
    /// # Errors
    /// [`AlertingError::Database`]; nothing has changed then.
    pub async fn ranked(&self, ranked: &[Ranked]) -> Result<Vec<CaseChange>, AlertingError> {
        let now = self.now();
        self.decide("ranking cases", |desk, _, batch| {
            ranked.iter().try_for_each(|one| desk.rank(one, now, batch))
        })
        .await
    }

    /// Takes a decision about the whole desk in one transaction. Nothing decided writes nothing.
    async fn decide(
        &self,
        doing: &str,
        decide: impl FnOnce(&mut Desk, &[crate::Silence], &mut Batch) -> Result<(), AlertingError>,
    ) -> Result<Vec<CaseChange>, AlertingError> {
        let now = self.now();
        let mut slot = self.inner.desk.lock().await;
        let known = slot.take();
        let mut tx = self.begin(doing).await?;
        let mut loaded = reloaded(known, &mut tx, now).await?;
        let mut batch = Batch::default();
        decide(&mut loaded.desk, &loaded.silences, &mut batch)?;
        if !batch.is_empty() {
            write::persist(&mut tx, &batch, &loaded.desk, now).await?;
            commit(tx, doing).await?;
        }
        *slot = Some(loaded);
        Ok(batch.changes)
    }
}

fn groups_of(desk: &Desk) -> Vec<CaseGroup> {
    let mut groups: BTreeMap<&CaseId, CaseGroup> = BTreeMap::new();
    for held in desk.open_cases() {
        let case = &held.case;
        let Some(head) = case.parent.as_ref().and_then(|parent| desk.get(parent)) else {
            continue;
        };
        let membership = held.care.group.as_ref();
        let membership = membership.filter(|group| group.head == head.case.id);
        let group = groups.entry(&head.case.id).or_insert_with(|| CaseGroup {
            head: head.case.id.clone(),
            asset: head.case.asset.clone(),
            site: head.case.site.clone(),
            reason: membership.map_or(SuppressionReason::Parent, |group| group.reason),
            severity: head.case.severity,
            children: 0,
            opened_at: head.case.opened_at,
        });
        group.children += 1;
        group.severity = group.severity.max(case.severity);
        group.opened_at = group.opened_at.min(case.opened_at);
    }
    let mut groups: Vec<CaseGroup> = groups.into_values().collect();
    groups.sort_by(|a, b| (b.children, &a.head).cmp(&(a.children, &b.head)));
    groups
}

impl Desk {
    /// The order of a case was taken back, so the case ends.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`], and [`AlertingError::OtherOrder`] when it has another order.
    pub fn withdraw(
        &mut self,
        done: &Withdrawal,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        self.order_raised(&done.case, &done.work_order, now, batch)?;
        let entry = Entry::of(CaseEventKind::Withdrawn, now).with(json!({
            "reason": "cleared",
            "words": done.reason,
            "work_order": done.work_order,
        }));
        batch.past_orders.push((done.work_order.clone(), now));
        self.step(&done.case, entry, batch, |held| {
            held.case.closed_at = Some(now);
        })
    }

    /// What a case is worth and whether it waits.
    fn rank(
        &mut self,
        ranked: &Ranked,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        let Some(held) = self.get(&ranked.case) else {
            // It ended meanwhile.
            return Ok(());
        };
        let (cost, currency) = ranked.expected_avoided_cost.clone().unzip();
        let case = &held.case;
        let waits_for = case.watch_list.as_ref().map(|listed| &listed.reason);
        let new_reason = waits_for != ranked.waits.as_ref();
        if !new_reason && !is_news(case.expected_avoided_cost, cost) {
            return Ok(());
        }
        let since = case.watch_list.as_ref().map_or(now, |listed| listed.since);
        let kind = if new_reason && ranked.waits.is_some() {
            CaseEventKind::WatchListed
        } else {
            CaseEventKind::Refreshed
        };
        let entry = Entry::of(kind, now).with(json!({ "reason": ranked.waits }));
        self.step(&ranked.case, entry, batch, |held| {
            held.case.expected_avoided_cost = cost;
            held.case.currency = currency;
            let listed = ranked.waits.clone();
            held.case.watch_list = listed.map(|reason| WatchListed { reason, since });
        })
    }
}

/// Whether a cost differs by more than a hundredth, the last digit people look at.
fn is_news(old: Option<f64>, new: Option<f64>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => (old - new).abs() > 0.01 * old.abs().max(new.abs()),
        (old, new) => old.is_some() != new.is_some(),
    }
}

/// The note of a person.
pub(super) fn checked_note(note: &str) -> Result<&str, AlertingError> {
    if note.chars().count() > MAX_NOTE_CHARS {
        return Err(AlertingError::Invalid {
            field: "note",
            rule: "use at most 4,000 characters",
        });
    }
    Ok(note.trim())
}
