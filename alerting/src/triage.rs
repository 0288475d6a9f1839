//! What a finding changes about the cases.
//!
//! * An alarm opens a case, unless one is open for the asset and failure mode, or the same
//!   alarm already belongs to a case, open or closed, under whatever name it began.
//! * While the case is open its severity only rises; score, peak and prognosis follow the
//!   device that opened it, at a bounded rate; the end and the return of the alarm are logged.
//!   The evidence never changes.
//! * A sensor that is faulty opens a case of its own, of the lowest severity, one per asset and
//!   signal; when it is good again, or its device learns anew, the case is told so as others are.
//! * Everything else about a device without an alarm is passed over without a write.
//!
//! # Why a replay changes nothing
//! After a crash the same findings come again, from some earlier point on. Each decision here
//! is a function of *committed* state and the finding: there is no clock, and nothing is kept
//! in memory only. So for the findings of one device,
//!
//! * those up to its mark, which is committed with each change, are passed over;
//! * those behind it changed nothing when they came first, met the same state, and change
//!   nothing again.
//!
//! That is why the mark needs no write of its own when nothing changes. Devices do not get in
//! each other's way: a finding only touches the case that its own device's alarm belongs to;
//! joining a case is a change, hence marked; score and prognosis are the opening device's
//! alone; severity only rises. What people and orders do in between only closes cases, and an
//! alarm that belongs to a closed case stays passed over.

mod sensors;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::json;
use telemetry::{
    Assessment, CaseId, Condition, ConditionState, Evidence, Finding, Prognosis, PrognosisOutcome,
    Severity, Timestamp, Zone,
};

use crate::{
    Case, CaseEventKind, CaseStatus,
    case::case_id,
    desk::{Batch, Desk, Entry, Episode, Held, Mark, Watch},
};

/// Event time between two refreshes of one case: fast enough for a page people watch, and one
/// write a minute and open case at most while event time runs with the clock.
const REFRESH_INTERVAL: Duration = Duration::from_mins(1);
/// A peak is news when it is higher by this factor. Analytics speaks of a score when it moved
/// by a tenth, so the stored peak is at most 15 % low, and a score on its way to any height causes
/// few writes even when event time is accelerated.
const PEAK_STEP: f64 = 1.05;
/// The score is news when it moved by this factor either way.
const SCORE_STEP: f64 = 1.25;
/// A prognosis is news when another model made it, or its P10 or P50 date moved by this share of
/// the remaining life.
const PROGNOSIS_STEP: f64 = 0.1;

impl Desk {
    /// Applies findings in order and returns what is to be committed. Nothing to commit means
    /// that the desk is as it was.
    pub fn observe(&mut self, findings: &[Finding]) -> Batch {
        let mut batch = Batch::default();
        for finding in findings {
            if let Finding::Sensor(report) = finding {
                self.on_sensors(report, &mut batch);
                continue;
            }
            if let Finding::Condition(condition) = finding
                && matches!(condition.state, ConditionState::Learning { .. })
            {
                self.sensors_forgotten(condition, &mut batch);
            }
            let watch = (finding.asset().clone(), finding.device().clone(), None);
            if self.is_applied(&watch, finding) {
                continue;
            }
            match finding {
                Finding::Condition(condition) => self.on_condition(&watch, condition, &mut batch),
                Finding::Assessment(assessment) => {
                    self.on_assessment(&watch, assessment, &mut batch);
                }
                Finding::Prognosis(outcome) => self.on_prognosis(&watch, outcome, &mut batch),
                Finding::Sensor(_) | Finding::Rule(_) => {}
            }
        }
        self.move_marks(findings, &mut batch);
        batch
    }

    fn is_applied(&self, watch: &Watch, finding: &Finding) -> bool {
        let episode = self.episodes.get(watch);
        Mark::of(finding) <= episode.map_or(Mark::START, |episode| episode.mark)
    }

    /// The whole call is committed in one piece, so a device that changed has had all its
    /// findings of this call applied, whichever of them made the change.
    fn move_marks(&mut self, findings: &[Finding], batch: &mut Batch) {
        for watch in &batch.watches {
            let Some(episode) = self.episodes.get_mut(watch) else {
                continue;
            };
            let own = |one: &&Finding| (one.asset(), one.device()) == (&watch.0, &watch.1);
            let newest = findings.iter().filter(own).map(Mark::of).max();
            episode.mark = episode.mark.max(newest.unwrap_or(Mark::START));
        }
    }

    fn on_condition(&mut self, watch: &Watch, condition: &Condition, batch: &mut Batch) {
        if condition.state != ConditionState::Alarm {
            self.condition_ended(watch, condition, batch);
            return;
        }
        let Some(evidence) = &condition.evidence else {
            tracing::warn!(asset = %condition.asset, device = %condition.device, at = %condition.at,
                "an alarm without evidence cannot open a case and is passed over");
            return;
        };
        let known = self.episodes.get(watch).cloned();
        match known {
            Some(episode) if condition.since < episode.since => {}
            Some(episode) if condition.since == episode.since => {
                if !episode.active && self.open.contains_key(&episode.case) {
                    self.join(watch, &episode.case, condition.since, batch);
                }
                self.refresh_score(watch, condition.at, evidence.statistics.score, batch);
            }
            _ => {
                // A new alarm without a word about the end of the one before.
                self.condition_ended(watch, condition, batch);
                let mode = &evidence.failure_mode;
                if let Some(case) = self.open_case_of(&condition.asset, mode, None) {
                    self.join(watch, &case, condition.since, batch);
                } else {
                    let times = (condition.since, condition.at);
                    self.open_case(watch, times, Severity::Warning, evidence, batch);
                }
            }
        }
    }

    /// Opens the case of an alarm, with the times it rose and was told.
    fn open_case(
        &mut self,
        watch: &Watch,
        (since, at): (Timestamp, Timestamp),
        severity: Severity,
        evidence: &Evidence,
        batch: &mut Batch,
    ) {
        let evidence = storable_evidence(evidence);
        let score = evidence.statistics.score;
        let (asset, device, signal) = watch.clone();
        let mode = evidence.failure_mode.clone();
        let case = Case {
            id: case_id(&asset, &device, &mode, since, signal.as_ref()),
            asset,
            device,
            failure_mode: mode,
            signal,
            severity,
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
        };
        let entry = Entry::of(CaseEventKind::Opened, since).with(json!({
            "severity": case.severity,
            "score": score,
            "detected_at": at,
        }));
        self.set_episode(watch, since, &case.id, batch);
        let held = Held {
            case,
            scored_at: at,
            forecast_at: Timestamp::MIN,
            deferred: false,
        };
        self.put(held, entry, batch);
    }

    /// The alarm of a device belongs to an open case from now on.
    fn join(&mut self, watch: &Watch, case: &CaseId, since: Timestamp, batch: &mut Batch) {
        self.set_episode(watch, since, case, batch);
        let cleared = self
            .get(case)
            .is_some_and(|held| held.case.cleared_at.is_some());
        if cleared {
            let entry =
                Entry::of(CaseEventKind::Returned, since).with(json!({ "device": watch.1 }));
            self.happen(case, entry, batch, |held| held.case.cleared_at = None);
        }
    }

    fn set_episode(&mut self, watch: &Watch, since: Timestamp, case: &CaseId, batch: &mut Batch) {
        let mark = self
            .episodes
            .get(watch)
            .map_or(Mark::START, |episode| episode.mark);
        let episode = Episode {
            since,
            case: case.clone(),
            active: true,
            mark,
        };
        self.episodes.insert(watch.clone(), episode);
        batch.watches.insert(watch.clone());
    }

    /// The device is in no alarm, or in another one.
    fn condition_ended(&mut self, watch: &Watch, condition: &Condition, batch: &mut Batch) {
        let at = condition.since.min(condition.at);
        let score = condition.evidence.as_ref();
        let score = score.map(|evidence| (evidence.statistics.score, condition.at));
        self.alarm_ended(watch, at, score, batch);
    }

    /// An alarm has ended, with the score and the time it was told. Of no interest once the
    /// case is closed.
    fn alarm_ended(
        &mut self,
        watch: &Watch,
        at: Timestamp,
        score: Option<(f64, Timestamp)>,
        batch: &mut Batch,
    ) {
        let Some(episode) = self.episodes.get_mut(watch) else {
            return;
        };
        if !episode.active || !self.open.contains_key(&episode.case) {
            return;
        }
        episode.active = false;
        let case = episode.case.clone();
        batch.watches.insert(watch.clone());
        if self.has_active_alarm(&case) {
            return;
        }
        let entry = Entry::of(CaseEventKind::Cleared, at);
        self.happen(&case, entry, batch, |held| {
            held.case.cleared_at = Some(at);
            if let Some((score, told_at)) = score
                && held.case.device == watch.1
            {
                held.case.score = storable(score);
                held.scored_at = told_at;
            }
        });
    }

    fn refresh_score(&mut self, watch: &Watch, at: Timestamp, score: f64, batch: &mut Batch) {
        let Some((case, held)) = self.standing_case(watch) else {
            return;
        };
        let score = storable(score);
        if held.case.device != watch.1
            || at < held.scored_at + REFRESH_INTERVAL
            || !score_is_news(&held.case, score)
        {
            return;
        }
        batch.watches.insert(watch.clone());
        let entry = Entry::of(CaseEventKind::Refreshed, at);
        self.happen(&case, entry, batch, |held| {
            held.case.score = score;
            held.case.peak_score = held.case.peak_score.max(score);
            held.scored_at = at;
        });
    }

    fn on_assessment(&mut self, watch: &Watch, assessment: &Assessment, batch: &mut Batch) {
        let Some((case, held)) = self.standing_case(watch) else {
            return;
        };
        let (from, to) = (held.case.severity, severity_of(assessment.zone));
        if to <= from {
            return;
        }
        batch.watches.insert(watch.clone());
        let entry = Entry::of(CaseEventKind::SeverityRaised, assessment.at)
            .with(json!({ "from": from, "to": to, "health": assessment.health }));
        self.happen(&case, entry, batch, |held| held.case.severity = to);
    }

    fn on_prognosis(&mut self, watch: &Watch, outcome: &PrognosisOutcome, batch: &mut Batch) {
        let Some((case, held)) = self.standing_case(watch) else {
            return;
        };
        let (at, latest) = match outcome {
            PrognosisOutcome::Forecast(prognosis) => {
                (prognosis.at, Some(storable_prognosis(prognosis)))
            }
            PrognosisOutcome::None(none) => (none.at, None),
        };
        if held.case.device != watch.1 {
            return;
        }
        // The first one is wanted at once, and one that no longer holds must not stay.
        let is_news = match (&held.case.prognosis, &latest) {
            (None, None) => false,
            (Some(_), None) => true,
            (None, Some(_)) => at >= held.forecast_at + REFRESH_INTERVAL,
            (Some(old), Some(new)) => {
                at >= held.forecast_at + REFRESH_INTERVAL && prognosis_is_news(old, new)
            }
        };
        if !is_news {
            return;
        }
        batch.watches.insert(watch.clone());
        let entry = Entry::of(CaseEventKind::Refreshed, at);
        self.happen(&case, entry, batch, |held| {
            held.case.prognosis = latest;
            held.forecast_at = at;
        });
    }

    /// The open case on which the alarm of this device stands.
    fn standing_case(&self, watch: &Watch) -> Option<(CaseId, &Held)> {
        let episode = self.episodes.get(watch).filter(|episode| episode.active)?;
        let held = self.get(&episode.case)?;
        Some((episode.case.clone(), held))
    }

    /// [`Desk::step`] for what a finding does to a case that was just seen to be open.
    fn happen(
        &mut self,
        case: &CaseId,
        entry: Entry,
        batch: &mut Batch,
        change: impl FnOnce(&mut Held),
    ) {
        if let Err(error) = self.step(case, entry, batch, change) {
            tracing::error!(%case, %error, "a finding could not be applied to its open case");
        }
    }
}

/// The severity of a standing alarm: at least a warning, whatever the health index says.
fn severity_of(zone: Zone) -> Severity {
    match zone {
        Zone::Healthy | Zone::Watch | Zone::Warning => Severity::Warning,
        Zone::Critical => Severity::Critical,
    }
}

fn score_is_news(case: &Case, score: f64) -> bool {
    score > case.peak_score * PEAK_STEP
        || score > case.score * SCORE_STEP
        || score < case.score / SCORE_STEP
}

fn prognosis_is_news(old: &Prognosis, new: &Prognosis) -> bool {
    let moved = |old_s: f64, new_s: f64| {
        let shift_s = new.date_of(new_s).secs_from(old.date_of(old_s)).abs();
        shift_s > PROGNOSIS_STEP * new_s.max(0.0)
    };
    // Another model speaks: who relies on the case has to know.
    old.model != new.model
        || moved(old.rul_p10_s, new.rul_p10_s)
        || moved(old.rul_p50_s, new.rul_p50_s)
}

/// A number that JSON and SQLite can hold: neither has NaN or infinity.
fn storable(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(f64::MIN, f64::MAX)
    }
}

fn storable_evidence(evidence: &Evidence) -> Evidence {
    let mut evidence = evidence.clone();
    let numbers = &mut evidence.statistics;
    for value in [
        &mut numbers.score,
        &mut numbers.on,
        &mut numbers.off,
        &mut evidence.failure_mode_fit,
    ] {
        *value = storable(*value);
    }
    for view in &mut evidence.views {
        for value in [&mut view.score, &mut view.limit] {
            *value = storable(*value);
        }
    }
    for part in &mut evidence.contributions {
        for value in [
            &mut part.share,
            &mut part.deviation,
            &mut part.value,
            &mut part.normal,
            &mut part.normal_low,
            &mut part.normal_high,
        ] {
            *value = storable(*value);
        }
    }
    evidence
}

fn storable_prognosis(prognosis: &Prognosis) -> Prognosis {
    let mut prognosis = prognosis.clone();
    for value in [
        &mut prognosis.rul_p10_s,
        &mut prognosis.rul_p50_s,
        &mut prognosis.rul_p90_s,
    ] {
        *value = storable(*value);
    }
    for value in [
        &mut prognosis.limit,
        &mut prognosis.loss_per_day,
        &mut prognosis.p_value,
    ]
    .into_iter()
    .flatten()
    {
        *value = storable(*value);
    }
    for quantile in &mut prognosis.detail.fan {
        quantile.rul_s = storable(quantile.rul_s);
    }
    prognosis
}
