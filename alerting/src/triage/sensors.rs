//! What a word about a sensor changes about the cases.
//!
//! Only a sensor that is surely faulty opens one: of one that is suspected nothing is known
//! yet, and it is left out of the machine's verdict meanwhile. The case is the sensor's and
//! never the machine's: whatever is wrong with the machine has a case of its own.

use telemetry::{
    CLOCK_SIGNAL, Condition, Evidence, FailureMode, OperatingState, SensorFault, SensorReport,
    SensorState, SensorVerdict, Severity, Statistics, ViewScore,
};

use crate::desk::{Batch, Desk, Episode, Mark, Watch};

impl Desk {
    /// What a report says of each sensor it names.
    pub(super) fn on_sensors(&mut self, report: &SensorReport, batch: &mut Batch) {
        for verdict in &report.verdicts {
            let signal = verdict.signal.clone();
            let watch = (report.asset.clone(), report.device.clone(), Some(signal));
            let known = self.episodes.get(&watch).cloned();
            let mark = known.as_ref().map_or(Mark::START, |episode| episode.mark);
            if Mark::of_report(report) <= mark {
                continue;
            }
            match verdict.state {
                SensorState::Faulty => self.sensor_failed(&watch, known, (report, verdict), batch),
                SensorState::Good => self.alarm_ended(&watch, verdict.since, None, batch),
                // Nothing is sure yet, and a sensor that is faulty stays so until it is good.
                SensorState::Suspect => {}
            }
        }
    }

    fn sensor_failed(
        &mut self,
        watch: &Watch,
        known: Option<Episode>,
        (report, verdict): (&SensorReport, &SensorVerdict),
        batch: &mut Batch,
    ) {
        match known {
            Some(episode) if verdict.since < episode.since => {}
            Some(episode) if verdict.since == episode.since => {
                if !episode.active && self.open.contains_key(&episode.case) {
                    self.join(watch, &episode.case, verdict.since, batch);
                }
            }
            _ => {
                self.alarm_ended(watch, verdict.since, None, batch);
                let evidence = sensor_evidence(report, verdict);
                let (mode, signal) = (&evidence.failure_mode, watch.2.as_ref());
                if let Some(case) = self.open_case_of(&watch.0, mode, signal) {
                    self.join(watch, &case, verdict.since, batch);
                } else {
                    let times = (verdict.since, report.at);
                    self.open_case(watch, times, Severity::Watch, &evidence, batch);
                }
            }
        }
    }

    /// A device that learns anew has forgotten what was wrong with its sensors, and says it again
    /// if it still is. Its clock it has not forgotten.
    pub(super) fn sensors_forgotten(&mut self, condition: &Condition, batch: &mut Batch) {
        let mark = Mark {
            at: condition.at,
            rank: 0,
        };
        let is_forgotten = |(watch, episode): &(&Watch, &Episode)| {
            let signal = watch.2.as_ref();
            (&watch.0, &watch.1) == (&condition.asset, &condition.device)
                && signal.is_some_and(|signal| signal.as_str() != CLOCK_SIGNAL)
                && episode.active
                && mark > episode.mark
        };
        let forgotten = self.episodes.iter().filter(is_forgotten);
        let mut watches: Vec<Watch> = forgotten.map(|(watch, _)| watch.clone()).collect();
        watches.sort_unstable();
        for watch in watches {
            self.alarm_ended(&watch, condition.at, None, batch);
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
