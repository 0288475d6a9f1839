//! An alarm rises: it joins a case, continues one, or opens one.

use serde_json::json;
use telemetry::{
    AssetId, CaseId, Evidence, Explanation, Outcome, Severity, SignalName, Timestamp, Verdict,
};

use super::storable::{storable, storable_evidence};
use crate::{
    Care, Case, CaseEventKind, CaseSource, CaseStatus,
    case::case_id,
    desk::{Around, Batch, Desk, Entry, Episode, Held, Mark, Problem, Watch},
    verdict,
};

/// An alarm as it rises.
#[derive(Debug, Clone)]
pub(crate) struct Alarm<'a> {
    /// When it rose, in event time.
    pub(crate) since: Timestamp,
    /// When it was told, in event time.
    pub(crate) at: Timestamp,
    /// How urgent it is.
    pub(crate) severity: Severity,
    /// The signal whose sensor it is about; none for the machine.
    pub(crate) signal: Option<SignalName>,
    /// What it rests on; its failure mode is that of the case.
    pub(crate) evidence: &'a Evidence,
    /// Who raises it.
    pub(crate) source: CaseSource,
    /// What kind of problem it is.
    pub(crate) verdict: Verdict,
    /// Why.
    pub(crate) why: Explanation,
}

impl Desk {
    /// What kind of problem an alarm of the machine tells of.
    pub(super) fn judge(
        &self,
        asset: &AssetId,
        evidence: &Evidence,
        around: &Around<'_>,
    ) -> (Verdict, Explanation) {
        let mut faulty = evidence.suspects.clone();
        let sensors = self.open_cases_of(asset).map(|held| &held.case);
        let standing = sensors.filter(|case| case.cleared_at.is_none());
        faulty.extend(standing.filter_map(|case| case.signal.clone()));
        let place = around.places.place(asset);
        let drives = place.map(|place| place.drive_signals).unwrap_or_default();
        verdict::judge(evidence, &faulty, &drives)
    }

    /// A new alarm: it joins the open case of its problem, continues an ended one, or opens one.
    pub(super) fn rise(
        &mut self,
        watch: &Watch,
        alarm: Alarm<'_>,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let problem: Problem = (
            watch.asset.clone(),
            alarm.evidence.failure_mode.clone(),
            alarm.signal.clone(),
        );
        let stale = self.is_stale(&watch.device, alarm.at, around);
        if let Some(case) = self.open_case_of(&problem) {
            let times = (alarm.since, alarm.at);
            self.join(watch, &case, times, around, batch);
            self.raise_severity(watch, &case, &alarm, batch);
        } else if !self.amend_late(watch, &problem, &alarm, stale, batch)
            && !self.continue_ended(watch, &problem, &alarm, around, batch)
        {
            self.open_case(watch, alarm, stale, around, batch);
        }
    }

    /// Another source may call the same problem more urgent.
    fn raise_severity(
        &mut self,
        watch: &Watch,
        case: &CaseId,
        alarm: &Alarm<'_>,
        batch: &mut Batch,
    ) {
        let Some(from) = self.get(case).map(|held| held.case.severity) else {
            return;
        };
        let to = alarm.severity;
        if to > from {
            batch.watches.insert(watch.clone());
            let detail = json!({ "from": from, "to": to, "device": watch.device });
            let entry = Entry::of(CaseEventKind::SeverityRaised, alarm.since).with(detail);
            self.happen(case, entry, batch, |held| held.case.severity = to);
        }
    }

    /// What late data tell of a time that an ended case covers belongs to that case.
    fn amend_late(
        &mut self,
        watch: &Watch,
        problem: &Problem,
        alarm: &Alarm<'_>,
        stale: bool,
        batch: &mut Batch,
    ) -> bool {
        let covers = self.closed.get(problem).filter(|held| {
            let until = held
                .case
                .last_event_at()
                .max(held.case.closed_at.unwrap_or(Timestamp::MIN));
            stale && alarm.since >= held.case.opened_at && alarm.since <= until
        });
        let Some((case, round)) = covers.map(|held| (held.case.id.clone(), held.case.round)) else {
            return false;
        };
        let entry = Entry::of(CaseEventKind::Amended, alarm.since)
            .with(json!({ "late": true, "told_at": alarm.at, "device": watch.device }));
        self.set_episode(watch, alarm.since, (&case, round), false, batch);
        self.amend_closed(problem, entry, batch);
        true
    }

    /// An alarm that comes back soon continues the case that ended without anybody working on
    /// the machine. After an inspection normal is learned anew, so what comes then is new.
    fn continue_ended(
        &mut self,
        watch: &Watch,
        problem: &Problem,
        alarm: &Alarm<'_>,
        around: &Around<'_>,
        batch: &mut Batch,
    ) -> bool {
        let within = around.settings.reopen_within;
        let ended = self.closed.get(problem).filter(|held| {
            let inspected = held.case.outcome.is_some_and(Outcome::starts_new_baseline);
            let last = held.case.last_event_at();
            !inspected && alarm.since >= last && alarm.since.since(last) <= within
        });
        let Some(before) = ended.map(|held| held.case.clone()) else {
            return false;
        };
        let (now, settle) = (around.now, around.settings.settle);
        let stale = self.is_stale(&watch.device, alarm.at, around);
        let score = storable(alarm.evidence.statistics.score);
        let entry = Entry::of(CaseEventKind::Reopened, alarm.since).with(json!({
            "round": before.round + 1,
            "work_order": before.work_order,
            "outcome": before.outcome,
            "device": watch.device,
        }));
        let reopened = self.reopen(problem, entry, batch, |held| {
            let case = &mut held.case;
            case.round = case.round.saturating_add(1);
            case.seen_at = now;
            case.stale = stale;
            case.severity = case.severity.max(alarm.severity);
            case.score = score;
            case.peak_score = case.peak_score.max(score);
            (case.verdict, case.why) = (alarm.verdict, Some(alarm.why.clone()));
            (case.cleared_at, case.closed_at, case.outcome) = (None, None, None);
            (case.suppressed, case.parent, case.watch_list) = (None, None, None);
            held.scored_at = alarm.at;
            held.deferred = false;
            held.care = Care {
                order_after: Some(now + settle),
                ..Care::default()
            };
        });
        match reopened {
            Ok(Some(case)) => {
                self.set_episode(watch, alarm.since, (&case, before.round + 1), true, batch);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::error!(case = %before.id, %error, "an ended case could not be opened again");
                false
            }
        }
    }

    fn open_case(
        &mut self,
        watch: &Watch,
        alarm: Alarm<'_>,
        stale: bool,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let evidence = storable_evidence(alarm.evidence);
        let score = evidence.statistics.score;
        let (asset, device) = (watch.asset.clone(), watch.device.clone());
        let mode = evidence.failure_mode.clone();
        let site = around.places.place(&asset).map(|place| place.site);
        let since = alarm.since;
        let case = Case {
            id: case_id(&asset, &device, &mode, since, alarm.signal.as_ref()),
            asset,
            device,
            failure_mode: mode,
            signal: alarm.signal,
            severity: alarm.severity,
            status: CaseStatus::Open,
            opened_at: since,
            updated_at: since,
            cleared_at: None,
            closed_at: None,
            score,
            peak_score: score,
            evidence,
            prognosis: None,
            assignee: None,
            work_order: None,
            outcome: None,
            source: alarm.source,
            verdict: alarm.verdict,
            why: Some(alarm.why),
            round: 1,
            seen_at: around.now,
            site,
            stale,
            suppressed: None,
            parent: None,
            watch_list: None,
            expected_avoided_cost: None,
            currency: None,
        };
        let entry = Entry::of(CaseEventKind::Opened, since).with(json!({
            "severity": case.severity,
            "score": score,
            "detected_at": alarm.at,
            "verdict": case.verdict,
        }));
        self.set_episode(watch, since, (&case.id, case.round), true, batch);
        let held = Held {
            case,
            scored_at: alarm.at,
            forecast_at: Timestamp::MIN,
            deferred: false,
            care: Care {
                order_after: Some(around.now + around.settings.settle),
                ..Care::default()
            },
        };
        self.put(held, entry, batch);
    }

    /// The alarm of a device, which rose and was told at these times, belongs to an open case
    /// from now on. Of a time long past it is only noted.
    pub(super) fn join(
        &mut self,
        watch: &Watch,
        case: &CaseId,
        (since, at): (Timestamp, Timestamp),
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.get(case).map(|held| &held.case) else {
            return;
        };
        let (cleared, round) = (known.cleared_at.is_some(), known.round);
        if self.is_stale(&watch.device, at, around) {
            self.set_episode(watch, since, (case, round), !cleared, batch);
            let entry = Entry::of(CaseEventKind::Amended, since)
                .with(json!({ "late": true, "told_at": at, "device": watch.device }));
            self.happen(case, entry, batch, |_| ());
            return;
        }
        self.set_episode(watch, since, (case, round), true, batch);
        if cleared {
            let (now, settings) = (around.now, around.settings);
            let entry =
                Entry::of(CaseEventKind::Returned, since).with(json!({ "device": watch.device }));
            self.happen(case, entry, batch, |held| {
                held.case.cleared_at = None;
                held.care.quiet_since = None;
                held.care.turned(since, now, settings);
            });
        }
    }

    pub(super) fn set_episode(
        &mut self,
        watch: &Watch,
        since: Timestamp,
        (case, round): (&CaseId, u32),
        active: bool,
        batch: &mut Batch,
    ) {
        let mark = self
            .episodes
            .get(watch)
            .map_or(Mark::START, |episode| episode.mark);
        let episode = Episode {
            since,
            case: case.clone(),
            round,
            active,
            mark,
        };
        self.put_episode(watch.clone(), episode);
        batch.watches.insert(watch.clone());
    }

    /// A case of which only late data were known is told of the present.
    pub(super) fn freshen(
        &mut self,
        watch: &Watch,
        at: Timestamp,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let stale = self
            .standing_case(watch)
            .filter(|(_, held)| held.case.stale);
        let Some(case) = stale.map(|(case, _)| case) else {
            return;
        };
        if self.is_stale(&watch.device, at, around) {
            return;
        }
        batch.watches.insert(watch.clone());
        let entry = Entry::of(CaseEventKind::Amended, at).with(json!({ "late": false }));
        self.happen(&case, entry, batch, |held| held.case.stale = false);
    }
}
