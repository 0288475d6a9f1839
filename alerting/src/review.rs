//! Which open cases ask for something at present, by the caller's clock.
//!
//! Triage decides in event time what there is a case of; this decides what becomes of it: a
//! pure function of the desk and what is around it, applied after every change and now and then
//! in between, so that whatever ends by itself does. Applied twice at one time it changes
//! nothing the second time. A case that is kept quiet stays listed with the first reason that
//! holds: shelved, silenced, maintenance, a failing asset above, a group, flapping, stale.

#[cfg(test)]
mod tests;

use serde_json::json;
use telemetry::{AssetId, CaseId, Explanation, Severity, Timestamp, Verdict, WorkOrderId};

use crate::{
    CaseEventKind, Suppression, SuppressionReason,
    desk::{Around, Batch, Desk, Entry, Held},
};

/// Levels of assets that are looked at above one: the ledger allows no more.
const MAX_LEVELS: usize = 8;

/// An order that nobody needs to agree to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The case.
    pub case: CaseId,
    /// Its order.
    pub work_order: WorkOrderId,
    /// Why.
    pub reason: Explanation,
}

impl Desk {
    /// Brings every open case to how it is to be treated now.
    pub fn review(&mut self, around: &Around<'_>, batch: &mut Batch) {
        self.end_shelves(around.now, batch);
        self.regroup(around, batch);
        // What stands for others has to be settled before the others are asked.
        let mut found = Vec::new();
        for held in self.open_cases() {
            let wanted = self.suppression(held, around);
            let parent = wanted.as_ref().and_then(|wanted| wanted.parent.clone());
            let parent = parent.or_else(|| standing_for(held));
            let case = &held.case;
            if !is_same(case.suppressed.as_ref(), wanted.as_ref()) || case.parent != parent {
                found.push((case.id.clone(), wanted, parent));
            }
        }
        for (case, wanted, parent) in found {
            self.treat(&case, wanted, parent, around.now, batch);
        }
        self.withdraw_quiet(around, batch);
    }

    fn treat(
        &mut self,
        case: &CaseId,
        wanted: Option<Suppression>,
        parent: Option<CaseId>,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        let before = self.get(case).and_then(|held| held.case.suppressed.clone());
        let entry = match (&before, &wanted) {
            (before, Some(wanted)) if !is_same(before.as_ref(), Some(wanted)) => {
                Entry::of(CaseEventKind::Suppressed, now).with(json!(wanted))
            }
            (Some(before), None) => {
                Entry::of(CaseEventKind::Unsuppressed, now).with(json!({ "reason": before.reason }))
            }
            _ => Entry::of(CaseEventKind::Amended, now).with(json!({ "parent": parent })),
        };
        self.happen(case, entry, batch, |held| {
            held.case.suppressed = wanted;
            held.case.parent = parent;
            if held.case.suppressed.is_some() {
                held.case.watch_list = None;
            }
        });
    }

    /// Why a case asks for nothing at present; none when it asks.
    fn suppression(&self, held: &Held, around: &Around<'_>) -> Option<Suppression> {
        use SuppressionReason as Reason;
        let case = &held.case;
        if let Some(shelf) = &held.care.shelf {
            return Some(Suppression {
                until: Some(shelf.until),
                by: Some(shelf.by.clone()),
                ..Suppression::of(Reason::Shelved)
            });
        }
        let quiet = Self::silenced(held, around);
        if quiet.is_some() {
            return quiet;
        }
        // Work on a machine that has an order of this very case is what the case asked for.
        if case.work_order.is_none() {
            let at_work = maintained(held, around);
            let at_work = at_work.or_else(|| self.failing_above(held, around));
            if at_work.is_some() {
                return at_work;
            }
            if let Some(group) = &held.care.group
                && group.head != case.id
            {
                return Some(Suppression {
                    parent: Some(group.head.clone()),
                    ..Suppression::of(group.reason)
                });
            }
            if held
                .care
                .flapping_until
                .is_some_and(|until| around.now < until)
            {
                return Some(Suppression {
                    until: held.care.flapping_until,
                    ..Suppression::of(Reason::Flapping)
                });
            }
        }
        case.stale.then(|| Suppression::of(Reason::Stale))
    }

    fn silenced(held: &Held, around: &Around<'_>) -> Option<Suppression> {
        let mut in_force = around
            .silences
            .iter()
            .filter(|one| one.is_in_force(around.now));
        let first = in_force.next()?;
        let place = around.places.place(&held.case.asset);
        let silence = std::iter::once(first)
            .chain(in_force)
            .find(|one| one.matcher.fits(&held.case, place.as_ref()))?;
        Some(Suppression {
            until: Some(silence.until),
            by: Some(silence.by.clone()),
            ..Suppression::of(SuppressionReason::Silenced)
        })
    }

    /// The case of an asset above this one that fails itself.
    fn failing_above(&self, held: &Held, around: &Around<'_>) -> Option<Suppression> {
        let case = &held.case;
        let since = case.opened_at + around.settings.group_within;
        let mut above = parent_of(&case.asset, around);
        for _ in 0..MAX_LEVELS {
            let asset = above?;
            let failing = self
                .open_cases_of(&asset)
                .map(|held| &held.case)
                .find(|one| {
                    one.verdict == Verdict::Machine
                        && one.severity >= Severity::Warning
                        && one.cleared_at.is_none()
                        && !one.stale
                        && one.opened_at <= since
                });
            if let Some(failing) = failing {
                return Some(Suppression {
                    parent: Some(failing.id.clone()),
                    ..Suppression::of(SuppressionReason::Parent)
                });
            }
            above = parent_of(&asset, around);
        }
        None
    }

    fn end_shelves(&mut self, now: Timestamp, batch: &mut Batch) {
        let over = self.open_cases().filter(|held| {
            let shelf = held.care.shelf.as_ref();
            shelf.is_some_and(|shelf| shelf.until <= now)
        });
        let over: Vec<CaseId> = over.map(|held| held.case.id.clone()).collect();
        for case in over {
            let entry = Entry::of(CaseEventKind::Unshelved, now);
            self.happen(&case, entry, batch, |held| held.care.shelf = None);
        }
    }

    /// Cases whose alarm has been over for long and that nobody is to work on end by themselves.
    fn withdraw_quiet(&mut self, around: &Around<'_>, batch: &mut Batch) {
        let quiet = self
            .open_cases()
            .filter(|held| held.case.work_order.is_none() && is_quiet(held, around));
        let quiet: Vec<CaseId> = quiet.map(|held| held.case.id.clone()).collect();
        for case in quiet {
            let entry = Entry::of(CaseEventKind::Withdrawn, around.now)
                .with(json!({ "reason": "cleared" }));
            self.happen(&case, entry, batch, |held| {
                held.case.closed_at = Some(around.now);
                held.case.watch_list = None;
            });
        }
    }

    /// Orders of cases whose alarm has been over for long. Whoever keeps the orders takes back
    /// those that nobody has agreed to.
    pub fn withdrawals(&self, around: &Around<'_>) -> Vec<Withdrawal> {
        let quiet = self
            .open_cases()
            .filter(|held| !held.deferred && is_quiet(held, around));
        quiet
            .filter_map(|held| {
                Some(Withdrawal {
                    case: held.case.id.clone(),
                    work_order: held.case.work_order.clone()?,
                    reason: cleared_words(held.case.cleared_at?),
                })
            })
            .collect()
    }
}

/// The head of the group of a case, where that is another one.
fn standing_for(held: &Held) -> Option<CaseId> {
    let group = held.care.group.as_ref()?;
    (group.head != held.case.id).then(|| group.head.clone())
}

/// Whether the same is told; how long a case that flaps will be quiet moves with every return.
fn is_same(is: Option<&Suppression>, wanted: Option<&Suppression>) -> bool {
    match (is, wanted) {
        (Some(is), Some(wanted)) if is.reason == SuppressionReason::Flapping => {
            wanted.reason == is.reason
        }
        (is, wanted) => is == wanted,
    }
}

fn is_quiet(held: &Held, around: &Around<'_>) -> bool {
    let quiet = held
        .care
        .quiet_since
        .filter(|_| held.case.cleared_at.is_some());
    quiet.is_some_and(|since| since + around.settings.withdraw_after <= around.now)
}

fn parent_of(asset: &AssetId, around: &Around<'_>) -> Option<AssetId> {
    around.places.place(asset)?.parent
}

/// The window of work, on the asset or one above it, in which a case was opened.
fn maintained(held: &Held, around: &Around<'_>) -> Option<Suppression> {
    let mut open = around
        .windows
        .iter()
        .filter(|one| one.is_open(around.now))
        .peekable();
    open.peek()?;
    let mut line = vec![held.case.asset.clone()];
    while let Some(above) = line.last().and_then(|asset| parent_of(asset, around))
        && line.len() <= MAX_LEVELS
    {
        line.push(above);
    }
    let window = open.find(|one| line.contains(&one.asset) && held.case.seen_at >= one.from)?;
    Some(Suppression {
        until: window.until,
        ..Suppression::of(SuppressionReason::Maintenance)
    })
}

fn cleared_words(at: Timestamp) -> Explanation {
    Explanation {
        en: format!(
            "The alarm ended at {at} and has not come back; nobody had agreed to the work yet."
        ),
        zh: format!("报警已于 {at} 结束且未再出现；此工作尚未获批。"),
    }
}
