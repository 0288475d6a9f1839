//! What a word about a sensor changes about the cases.
//!
//! Only a sensor that is surely faulty opens one: of one that is suspected nothing is known
//! yet, and it is left out of the machine's verdict meanwhile. The case is the sensor's and
//! never the machine's: whatever is wrong with the machine has a case of its own.

use serde_json::json;
use telemetry::{
    AssetId, CLOCK_SIGNAL, Condition, Evidence, FailureMode, OperatingState, SensorFault,
    SensorReport, SensorState, SensorVerdict, Severity, Statistics, Timestamp, Verdict, ViewScore,
};

use super::Alarm;
use crate::{
    CaseEventKind, CaseSource,
    desk::{Around, Batch, Desk, Entry, Episode, Mark, Subject, Watch},
    verdict,
};

impl Desk {
    /// What a report says of each sensor it names.
    pub(super) fn on_sensors(
        &mut self,
        report: &SensorReport,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        for verdict in &report.verdicts {
            let watch = Watch::sensor(&report.asset, &report.device, &verdict.signal);
            let known = self.episodes.get(&watch).cloned();
            let mark = known.as_ref().map_or(Mark::START, |episode| episode.mark);
            if Mark::of_report(report) <= mark {
                continue;
            }
            match verdict.state {
                SensorState::Faulty => {
                    self.sensor_failed(&watch, known, (report, verdict), around, batch);
                }
                SensorState::Good => self.alarm_ended(&watch, verdict.since, None, around, batch),
                // Nothing is sure yet, and a sensor that is faulty stays so until it is good.
                SensorState::Suspect => {}
            }
            // Only then: a replay of what changed nothing must change nothing.
            if batch.watches.contains(&watch) {
                self.judge_anew(&report.asset, report.at, around, batch);
            }
        }
    }

    /// What is known of the sensors of an asset has changed: the machine may look worse because
    /// of a sensor, or not any more. Only cases without an order are judged anew.
    fn judge_anew(
        &mut self,
        asset: &AssetId,
        at: Timestamp,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let of_models = self
            .open_cases_of(asset)
            .map(|held| &held.case)
            .filter(|case| {
                let by_model = matches!(case.source, CaseSource::Model { .. });
                case.signal.is_none() && case.work_order.is_none() && by_model
            });
        let judged: Vec<_> = of_models
            .filter_map(|case| {
                let (verdict, why) = self.judge(asset, &case.evidence, around);
                (verdict != case.verdict).then(|| (case.id.clone(), case.verdict, verdict, why))
            })
            .collect();
        for (case, from, to, why) in judged {
            let entry = Entry::of(CaseEventKind::Amended, at)
                .with(json!({ "verdict": { "from": from, "to": to } }));
            self.happen(&case, entry, batch, |held| {
                (held.case.verdict, held.case.why) = (to, Some(why));
            });
        }
    }

    fn sensor_failed(
        &mut self,
        watch: &Watch,
        known: Option<Episode>,
        (report, verdict): (&SensorReport, &SensorVerdict),
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        match known {
            Some(episode) if verdict.since < episode.since => {}
            Some(episode) if verdict.since == episode.since => {
                if !episode.active && self.is_current(&episode) {
                    let times = (verdict.since, report.at);
                    self.join(watch, &episode.case, times, around, batch);
                }
                self.freshen(watch, report.at, around, batch);
            }
            _ => {
                self.alarm_ended(watch, verdict.since, None, around, batch);
                let evidence = sensor_evidence(report, verdict);
                let alarm = Alarm {
                    since: verdict.since,
                    at: report.at,
                    severity: Severity::Watch,
                    signal: Some(verdict.signal.clone()),
                    evidence: &evidence,
                    source: CaseSource::Model {
                        name: evidence.model.clone(),
                    },
                    verdict: Verdict::Sensor,
                    why: verdict::of_sensor(&verdict.signal),
                };
                self.rise(watch, alarm, around, batch);
            }
        }
    }

    /// A device that learns anew has forgotten what was wrong with its sensors, and says it again
    /// if it still is. Its clock it has not forgotten.
    pub(super) fn sensors_forgotten(
        &mut self,
        condition: &Condition,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        let mark = Mark {
            at: condition.at,
            rank: 0,
        };
        let is_forgotten = |(watch, episode): &(&Watch, &Episode)| {
            let is_sensor = match &watch.of {
                Subject::Sensor(signal) => signal.as_str() != CLOCK_SIGNAL,
                Subject::Machine | Subject::Rule(_) => false,
            };
            is_sensor
                && (&watch.asset, &watch.device) == (&condition.asset, &condition.device)
                && episode.active
                && mark > episode.mark
        };
        let forgotten = self.episodes.iter().filter(is_forgotten);
        let mut watches: Vec<Watch> = forgotten.map(|(watch, _)| watch.clone()).collect();
        watches.sort_unstable();
        for watch in watches {
            self.alarm_ended(&watch, condition.at, None, around, batch);
        }
    }
}

/// What a case of a sensor rests on, in the form that all evidence has: no baseline of the
/// machine, the sensor as the one that was left out, and the numbers as views.
fn sensor_evidence(report: &SensorReport, verdict: &SensorVerdict) -> Evidence {
    let signal = &verdict.signal;
    let fault = verdict.fault.map_or("fault", SensorFault::as_str);
    // Confidence is 1 − 2^(−e), where e counts limits.
    let limits = -(1.0 - verdict.confidence).max(f64::EPSILON).log2();
    let view = |name: String, score: f64, limit: f64| ViewScore {
        view: name,
        version: 1,
        score,
        limit,
    };
    let mut views = vec![view(format!("sensor_{fault}:{signal}"), limits, 1.0)];
    if let (Some(value), Some(expected)) = (verdict.value, verdict.expected) {
        views.push(view(format!("sensor_reads:{signal}"), value, expected));
    }
    Evidence {
        model: "sensors/1".to_owned(),
        window_from: verdict.since,
        window_to: report.at.max(verdict.since),
        baseline_from: verdict.since,
        baseline_to: verdict.since,
        baseline_rows: 0,
        operating: OperatingState::Unknown,
        statistics: Statistics {
            score: limits,
            on: 1.0,
            off: 0.5,
        },
        views,
        failure_mode: FailureMode::sensor_fault(),
        failure_mode_fit: verdict.confidence,
        contributions: Vec::new(),
        suspects: vec![signal.clone()],
        peers: None,
    }
}
