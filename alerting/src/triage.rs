//! What a finding changes about the cases.
//!
//! * An alarm opens a case, unless one is open for the asset and failure mode, or the same
//!   alarm already belongs to a case, open or closed, under whatever name it began.
//! * While the case is open its severity only rises; score, peak and prognosis follow the
//!   device that opened it, at a bounded rate; the end and the return of the alarm are logged.
//!   The evidence never changes.
//! * A sensor that is faulty opens a case of its own, of the lowest severity, one per asset and
//!   signal; when it is good again, or its device learns anew, the case is told so as others are.
//! * A rule that holds is an alarm like any other; it shares the case of its failure mode.
//! * An alarm that comes back soon continues the case that ended without anybody at the machine.
//! * What a punctual device tells of long ago amends cases, and asks for nothing by itself.
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

mod rise;
mod rules;
mod sensors;
mod storable;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use telemetry::{
    Assessment, AssetId, CaseId, Condition, ConditionState, DeviceId, Finding, Prognosis,
    PrognosisOutcome, Severity, Timestamp, Zone,
};

pub(crate) use self::rise::Alarm;
use self::storable::{storable, storable_prognosis};
use crate::{
    Case, CaseEventKind, CaseSource,
    desk::{Around, Batch, Desk, Entry, Held, Mark, Watch},
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
    ///
    /// Whatever happened is followed by [`Desk::review`], so that a case that asks for nothing
    /// never did.
    pub fn observe(&mut self, findings: &[Finding], around: &Around<'_>) -> Batch {
        let mut batch = Batch::default();
        for finding in findings {
            self.note_punctual(finding, around, &mut batch);
            if let Finding::Sensor(report) = finding {
                self.on_sensors(report, around, &mut batch);
                continue;
            }
            if let Finding::Rule(report) = finding {
                self.on_rules(report, Mark::of(finding), around, &mut batch);
                continue;
            }
            if let Finding::Condition(condition) = finding
                && matches!(condition.state, ConditionState::Learning { .. })
            {
                self.sensors_forgotten(condition, around, &mut batch);
            }
            let watch = Watch::machine(finding.asset(), finding.device());
            if self.is_applied(&watch, finding) {
                continue;
            }
            match finding {
                Finding::Condition(condition) => {
                    self.on_condition(&watch, condition, around, &mut batch);
                }
                Finding::Assessment(assessment) => {
                    self.on_assessment(&watch, assessment, &mut batch);
                }
                Finding::Prognosis(outcome) => self.on_prognosis(&watch, outcome, &mut batch),
                Finding::Sensor(_) | Finding::Rule(_) => {}
            }
        }
        self.move_marks(findings, &mut batch);
        if batch.is_news() {
            self.review(around, &mut batch);
        }
        batch
    }

    /// Notes a device that keeps up with the clock. A recording that is played back never does,
    /// so its alarms count as they come; what a device that does tells of long ago came late.
    fn note_punctual(&mut self, finding: &Finding, around: &Around<'_>, batch: &mut Batch) {
        let device = finding.device();
        let is_late = finding.at() + around.settings.stale_after < around.now;
        if is_late || self.punctual.contains(device) {
            return;
        }
        self.punctual.insert(device.clone());
        batch.punctual.push(device.clone());
    }

    /// Whether a finding of this device tells of a time long past.
    fn is_stale(&self, device: &DeviceId, at: Timestamp, around: &Around<'_>) -> bool {
        at + around.settings.stale_after < around.now && self.punctual.contains(device)
    }

    fn is_applied(&self, watch: &Watch, finding: &Finding) -> bool {
        let episode = self.episodes.get(watch);
        Mark::of(finding) <= episode.map_or(Mark::START, |episode| episode.mark)
    }

    /// The whole call is committed in one piece, so a device that changed has had all its
    /// findings of this call applied, whichever of them made the change.
    fn move_marks(&mut self, findings: &[Finding], batch: &mut Batch) {
        if batch.watches.is_empty() {
            return;
        }
        let mut newest: BTreeMap<(&AssetId, &DeviceId), Mark> = BTreeMap::new();
        for finding in findings {
            let mark = newest.entry((finding.asset(), finding.device()));
            let mark = mark.or_insert(Mark::START);
            *mark = Mark::of(finding).max(*mark);
        }
        for watch in &batch.watches {
            let newest = newest.get(&(&watch.asset, &watch.device));
            if let (Some(episode), Some(newest)) = (self.episodes.get_mut(watch), newest) {
                episode.mark = episode.mark.max(*newest);
            }
        }
    }

    fn on_condition(
        &mut self,
        watch: &Watch,
        condition: &Condition,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        if condition.state != ConditionState::Alarm {
            self.condition_ended(watch, condition, around, batch);
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
                let times = (condition.since, condition.at);
                if !episode.active && self.is_current(&episode) {
                    self.join(watch, &episode.case, times, around, batch);
                }
                self.freshen(watch, condition.at, around, batch);
                self.refresh_score(watch, condition.at, evidence.statistics.score, batch);
            }
            _ => {
                // A new alarm without a word about the end of the one before.
                self.condition_ended(watch, condition, around, batch);
                let (verdict, why) = self.judge(&condition.asset, evidence, around);
                let alarm = Alarm {
                    since: condition.since,
                    at: condition.at,
                    severity: Severity::Warning,
                    signal: None,
                    evidence,
                    source: CaseSource::Model {
                        name: evidence.model.clone(),
                    },
                    verdict,
                    why,
                };
                self.rise(watch, alarm, around, batch);
            }
        }
    }

    /// The device is in no alarm, or in another one.
    fn condition_ended(
        &mut self,
        watch: &Watch,
        condition: &Condition,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let at = condition.since.min(condition.at);
        let score = condition.evidence.as_ref();
        let score = score.map(|evidence| (evidence.statistics.score, condition.at));
        self.alarm_ended(watch, at, score, around, batch);
    }

    /// An alarm has ended, with the score and the time it was told. Of no interest once the
    /// case is closed.
    pub(super) fn alarm_ended(
        &mut self,
        watch: &Watch,
        at: Timestamp,
        score: Option<(f64, Timestamp)>,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let Some(episode) = self.episodes.get(watch) else {
            return;
        };
        if !episode.active || !self.is_current(episode) {
            return;
        }
        let case = episode.case.clone();
        self.stand_down(watch);
        batch.watches.insert(watch.clone());
        if self.has_active_alarm(&case) {
            return;
        }
        let entry = Entry::of(CaseEventKind::Cleared, at);
        self.happen(&case, entry, batch, |held| {
            held.case.cleared_at = Some(at);
            held.care.quiet_since = Some(around.now);
            if let Some((score, told_at)) = score
                && held.case.device == watch.device
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
        if held.case.device != watch.device
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
        if held.case.device != watch.device {
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
        if !self.is_current(episode) {
            return None;
        }
        let held = self.get(&episode.case)?;
        Some((episode.case.clone(), held))
    }

    /// [`Desk::step`] for what a finding does to a case that was just seen to be open.
    pub(crate) fn happen(
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
