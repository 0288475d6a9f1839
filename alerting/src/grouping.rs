//! Cases of one site that belong together.
//!
//! When a transformer trips, every drive behind it alarms: one problem, one order, and nobody
//! reads five thousand messages. Cases are grouped when alarms of one site rise, in event time,
//! and are heard of, by the clock, within one window, and
//!
//! * enough assets have the same failure mode (and signal): a *common cause*; or
//! * there are more than a person can follow: a *flood*, which takes in groups and single cases
//!   alike, but not a critical case with a failure mode that hardly anything else has: it may
//!   be the one thing that is different.
//!
//! Both times have to be near: a machine that is played back, or simulated, fast has many
//! alarms in a minute of the clock that lie months apart.
//!
//! A group keeps together until its cases end; then the problem is over, or the next member
//! stands for what is left of it. That is why a flood never turns into a thousand orders a
//! quarter of an hour later. The head is a case that has an order already, else the most
//! serious one, else the first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use telemetry::{AssetId, CaseId, FailureMode, Severity, SignalName, SiteId, Timestamp, Verdict};

use crate::{
    CaseEventKind, CaseSettings,
    care::Membership,
    care::SuppressionReason,
    desk::{Around, Batch, Desk, Entry, Held},
};

/// What cases of a common cause share.
type Cause = (FailureMode, Option<SignalName>);

/// What is known of a case when it is grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The case.
    pub id: CaseId,
    /// The asset.
    pub asset: AssetId,
    /// The failure mode and, for a sensor, the signal.
    pub cause: Cause,
    /// Whether it is critical.
    pub critical: bool,
    /// When the alarm rose, in event time.
    pub opened_at: Timestamp,
    /// When it was heard of, by the clock.
    pub seen_at: Timestamp,
    /// The better it stands for a group, the smaller.
    pub rank: (bool, bool, std::cmp::Reverse<Severity>),
    /// Its group, when it has one.
    pub group: Option<(CaseId, SuppressionReason)>,
}

/// Groups the cases of one site. Gives the group of every case whose group changes.
///
/// `recent` tells whether a case that has no group yet may still come into one.
pub fn group(
    cases: &[Candidate],
    recent: impl Fn(&Candidate) -> bool,
    settings: &CaseSettings,
) -> BTreeMap<CaseId, Membership> {
    let mut site = Site::new(cases, settings);
    // A case that joins makes a group reach further, to cases that were too far before. Groups
    // only ever grow here, so this ends.
    while site.join_groups(&recent) | site.find_causes(&recent) | site.find_flood(&recent) {}
    site.changes()
}

struct Site<'a> {
    settings: &'a CaseSettings,
    cases: &'a [Candidate],
    /// The group of each case, as it will be.
    groups: Vec<Option<(CaseId, SuppressionReason)>>,
}

impl<'a> Site<'a> {
    fn new(cases: &'a [Candidate], settings: &'a CaseSettings) -> Self {
        let groups = cases.iter().map(|case| case.group.clone()).collect();
        Self {
            settings,
            cases,
            groups,
        }
    }

    /// A case joins the group whose cause it shares, or the flood that is going on.
    fn join_groups(&mut self, recent: &impl Fn(&Candidate) -> bool) -> bool {
        let mut known: BTreeMap<CaseId, Span> = BTreeMap::new();
        for (case, group) in self.cases.iter().zip(&self.groups) {
            if let Some((head, reason)) = group {
                let span = known
                    .entry(head.clone())
                    .or_insert_with(|| Span::of(case, *reason));
                span.widen(case);
            }
        }
        if known.is_empty() {
            return false;
        }
        let mut any = false;
        let within = self.settings.group_within;
        let few = self.settings.common_cause_assets;
        for at in 0..self.cases.len() {
            let case = &self.cases[at];
            if self.groups[at].is_some() || !recent(case) {
                continue;
            }
            let joined = known.iter_mut().find(|(_, span)| {
                let shares = span.causes.get(&case.cause).copied().unwrap_or(0);
                let fits = match span.reason {
                    SuppressionReason::Flood => !case.critical || shares >= few,
                    _ => shares > 0,
                };
                fits && span.is_near(case, within)
            });
            if let Some((head, span)) = joined {
                span.widen(case);
                self.groups[at] = Some((head.clone(), span.reason));
                any = true;
            }
        }
        any
    }

    /// Enough assets with one cause within the window become a group.
    fn find_causes(&mut self, recent: &impl Fn(&Candidate) -> bool) -> bool {
        let mut any = false;
        let mut by_cause: BTreeMap<&Cause, Vec<usize>> = BTreeMap::new();
        for (at, case) in self.cases.iter().enumerate() {
            if self.groups[at].is_none() && recent(case) {
                by_cause.entry(&case.cause).or_default().push(at);
            }
        }
        let few = self.settings.common_cause_assets as usize;
        for mut members in by_cause.into_values() {
            if members.len() < few {
                continue;
            }
            members.sort_by_key(|&at| (self.cases[at].opened_at, &self.cases[at].id));
            let together = self.widest(&members);
            let assets: BTreeSet<_> = together.iter().map(|&at| &self.cases[at].asset).collect();
            if assets.len() >= few {
                self.unite(&together, SuppressionReason::CommonCause);
                any = true;
            }
        }
        any
    }

    /// More cases than a person can follow become one group, whatever they are.
    fn find_flood(&mut self, recent: &impl Fn(&Candidate) -> bool) -> bool {
        let mut causes: HashMap<&Cause, u32> = HashMap::new();
        let mut all: Vec<usize> = Vec::new();
        for (at, case) in self.cases.iter().enumerate() {
            if recent(case) {
                *causes.entry(&case.cause).or_default() += 1;
                all.push(at);
            }
        }
        if all.len() <= self.settings.flood_cases as usize {
            return false;
        }
        all.sort_by_key(|&at| (self.cases[at].opened_at, &self.cases[at].id));
        let together = self.widest(&all);
        if together.len() <= self.settings.flood_cases as usize {
            return false;
        }
        let few = self.settings.common_cause_assets;
        let mut members: Vec<usize> = together
            .into_iter()
            .filter(|&at| {
                let case = &self.cases[at];
                let shares = causes.get(&case.cause).copied().unwrap_or(0);
                !case.critical || shares >= few || self.groups[at].is_some()
            })
            .collect();
        let heads: BTreeSet<Option<CaseId>> = members
            .iter()
            .map(|&at| self.groups[at].as_ref().map(|(head, _)| head.clone()))
            .collect();
        // All of one group already: nothing is gained by calling it a flood too.
        if members.len() < 2 || (heads.len() == 1 && !heads.contains(&None)) {
            return false;
        }
        // Groups come in whole.
        for at in 0..self.cases.len() {
            let of_group = self.groups[at].as_ref().map(|(head, _)| Some(head.clone()));
            if of_group.is_some_and(|head| heads.contains(&head)) && !members.contains(&at) {
                members.push(at);
            }
        }
        self.unite(&members, SuppressionReason::Flood);
        true
    }

    /// The most cases, of some in the order of event time, that lie within one window.
    fn widest(&self, sorted: &[usize]) -> Vec<usize> {
        let (mut best, mut start) = (0..0, 0);
        for end in 0..sorted.len() {
            let last = self.cases[sorted[end]].opened_at;
            while last.since(self.cases[sorted[start]].opened_at) > self.settings.group_within {
                start += 1;
            }
            if end + 1 - start > best.len() {
                best = start..end + 1;
            }
        }
        sorted[best].to_vec()
    }

    fn unite(&mut self, members: &[usize], reason: SuppressionReason) {
        let Some(head) = head_of(members.iter().map(|&at| &self.cases[at])) else {
            return;
        };
        for &at in members {
            self.groups[at] = Some((head.clone(), reason));
        }
    }

    fn changes(self) -> BTreeMap<CaseId, Membership> {
        let changed = self.cases.iter().zip(self.groups);
        changed
            .filter(|(case, group)| case.group != *group)
            .filter_map(|(case, group)| {
                let (head, reason) = group?;
                Some((case.id.clone(), Membership { head, reason }))
            })
            .collect()
    }
}

/// What a group reaches over.
struct Span {
    reason: SuppressionReason,
    causes: HashMap<Cause, u32>,
    opened: (Timestamp, Timestamp),
    seen: Timestamp,
}

impl Span {
    fn of(case: &Candidate, reason: SuppressionReason) -> Self {
        Self {
            reason,
            causes: HashMap::new(),
            opened: (case.opened_at, case.opened_at),
            seen: case.seen_at,
        }
    }

    fn widen(&mut self, case: &Candidate) {
        *self.causes.entry(case.cause.clone()).or_default() += 1;
        self.opened.0 = self.opened.0.min(case.opened_at);
        self.opened.1 = self.opened.1.max(case.opened_at);
        self.seen = self.seen.max(case.seen_at);
    }

    fn is_near(&self, case: &Candidate, within: std::time::Duration) -> bool {
        self.opened.0.since(case.opened_at) <= within
            && case.opened_at.since(self.opened.1) <= within
            && case.seen_at.since(self.seen) <= within
    }
}

/// The case that stands for some.
fn head_of<'a>(cases: impl Iterator<Item = &'a Candidate>) -> Option<CaseId> {
    cases
        .min_by_key(|case| (case.rank, case.seen_at, case.opened_at, &case.id))
        .map(|case| case.id.clone())
}

impl Desk {
    /// Brings cases of one site that belong together into groups, and gives groups whose head
    /// has ended another one.
    pub(crate) fn regroup(&mut self, around: &Around<'_>, batch: &mut Batch) {
        self.replace_heads(around, batch);
        let mut sites: BTreeMap<SiteId, Vec<Candidate>> = BTreeMap::new();
        for held in self.open_cases().filter(|held| !held.care.alone) {
            if let Some(site) = &held.case.site {
                sites.entry(site.clone()).or_default().push(candidate(held));
            }
        }
        let within = around.settings.group_within;
        let recent = |case: &Candidate| around.now.since(case.seen_at) <= within;
        for cases in sites.values() {
            if !cases.iter().any(recent) {
                continue;
            }
            for (case, membership) in group(cases, recent, around.settings) {
                self.set_group(&case, Some(membership), around.now, batch);
            }
        }
    }

    /// The next member stands for a group whose head has ended; a last one stands alone.
    fn replace_heads(&mut self, around: &Around<'_>, batch: &mut Batch) {
        let mut left: BTreeMap<CaseId, Vec<Candidate>> = BTreeMap::new();
        for held in self.open_cases() {
            let Some(group) = &held.care.group else {
                continue;
            };
            let head = self.open.get(&group.head);
            if head.is_none_or(|head| head.care.alone) {
                let members = left.entry(group.head.clone()).or_default();
                members.push(candidate(held));
            }
        }
        for members in left.into_values() {
            let standing = members.iter().filter(|one| self.has_active_alarm(&one.id));
            let head = head_of(standing).or_else(|| head_of(members.iter()));
            let Some(head) = head else { continue };
            let after = around.now + around.settings.group_within;
            for member in &members {
                let membership = member.group.as_ref().filter(|_| members.len() > 1);
                let membership = membership.map(|(_, reason)| Membership {
                    head: head.clone(),
                    reason: *reason,
                });
                self.set_group(&member.id, membership, around.now, batch);
            }
            // What ended the head may be ending the others too.
            if let Some(held) = self.open.get_mut(&head) {
                held.care.order_after = Some(after);
                batch.rows.insert(head, held.clone());
            }
        }
    }

    fn set_group(
        &mut self,
        case: &CaseId,
        group: Option<Membership>,
        now: Timestamp,
        batch: &mut Batch,
    ) {
        if let Some(held) = self.open.get_mut(case) {
            held.care.group = group;
            batch.rows.insert(case.clone(), held.clone());
        }
        let is_head = self.get(case).is_some_and(|held| {
            let group = held.care.group.as_ref();
            group.is_some_and(|group| group.head == *case)
        });
        if is_head {
            let entry =
                Entry::of(CaseEventKind::Amended, now).with(json!({ "stands_for": "group" }));
            self.happen(case, entry, batch, |_| ());
        }
    }
}

fn candidate(held: &Held) -> Candidate {
    let case = &held.case;
    Candidate {
        id: case.id.clone(),
        asset: case.asset.clone(),
        cause: (case.failure_mode.clone(), case.signal.clone()),
        critical: case.severity == Severity::Critical,
        opened_at: case.opened_at,
        seen_at: case.seen_at,
        rank: (
            case.work_order.is_none(),
            case.verdict != Verdict::Machine,
            std::cmp::Reverse(case.severity),
        ),
        group: held
            .care
            .group
            .as_ref()
            .map(|group| (group.head.clone(), group.reason)),
    }
}
