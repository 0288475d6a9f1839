//! What a word of a rule changes about the cases.
//!
//! A rule that holds is an alarm like that of a detector: it joins the open case of its failure
//! mode, continues an ended one, or opens one. Its verdict is the rule's own, because whoever
//! wrote it knew what it tells of; a rule about a sensor has a case of that sensor.

use telemetry::{
    Evidence, OperatingState, RuleReport, RuleState, RuleVerdict, Statistics, Verdict, ViewScore,
};

use super::Alarm;
use crate::{
    CaseSource,
    desk::{Around, Batch, Desk, Episode, Mark, Watch},
};

impl Desk {
    /// What a report says of each rule it names.
    pub(super) fn on_rules(
        &mut self,
        report: &RuleReport,
        mark: Mark,
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        for verdict in &report.verdicts {
            let watch = Watch::rule(&report.asset, &report.device, &verdict.rule);
            let known = self.episodes.get(&watch).cloned();
            if known.as_ref().is_some_and(|known| mark <= known.mark) {
                continue;
            }
            match verdict.state {
                RuleState::Raised => {
                    self.rule_holds(&watch, known, (report, verdict), around, batch);
                }
                RuleState::Cleared => self.alarm_ended(&watch, verdict.since, None, around, batch),
            }
        }
    }

    fn rule_holds(
        &mut self,
        watch: &Watch,
        known: Option<Episode>,
        (report, verdict): (&RuleReport, &RuleVerdict),
        around: &Around<'_>,
        batch: &mut Batch,
    ) {
        if known.is_some_and(|known| verdict.since <= known.since) {
            return;
        }
        self.alarm_ended(watch, verdict.since, None, around, batch);
        let evidence = rule_evidence(report, verdict);
        let is_sensors = verdict.verdict == Verdict::Sensor;
        let alarm = Alarm {
            since: verdict.since,
            at: report.at,
            severity: verdict.severity,
            signal: verdict.signal.clone().filter(|_| is_sensors),
            evidence: &evidence,
            source: CaseSource::Rule {
                id: verdict.rule.clone(),
                version: verdict.version,
            },
            verdict: verdict.verdict,
            why: verdict.text.clone(),
        };
        self.rise(watch, alarm, around, batch);
    }
}

/// What a case of a rule rests on, in the form that all evidence has: no baseline, and what the
/// rule saw beside its limit as a view.
fn rule_evidence(report: &RuleReport, verdict: &RuleVerdict) -> Evidence {
    let seen = verdict.value.unwrap_or(1.0);
    Evidence {
        model: format!("rule:{}/{}", verdict.rule, verdict.version),
        window_from: verdict.since,
        window_to: report.at.max(verdict.since),
        baseline_from: verdict.since,
        baseline_to: verdict.since,
        baseline_rows: 0,
        operating: OperatingState::Unknown,
        statistics: Statistics {
            score: 1.0,
            on: 1.0,
            off: 1.0,
        },
        views: vec![ViewScore {
            view: match &verdict.signal {
                Some(signal) => format!("rule_{}:{signal}", verdict.rule),
                None => format!("rule_{}", verdict.rule),
            },
            version: verdict.version,
            score: seen,
            limit: verdict.limit.unwrap_or(seen),
        }],
        failure_mode: verdict.failure_mode.clone(),
        failure_mode_fit: 0.0,
        contributions: Vec::new(),
        suspects: Vec::new(),
        peers: None,
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{Explanation, FailureMode, Finding, RuleId, Severity, SignalName};

    use super::*;
    use crate::{
        CaseEventKind as Event,
        testing::{Surroundings, probe, t},
    };

    fn said(rule: &str, state: RuleState, verdict: Verdict, since: i64) -> Finding {
        let pump = probe("pump-1", "dev-1");
        Finding::Rule(RuleReport {
            asset: pump.asset,
            device: pump.device,
            at: t(since + 10),
            verdicts: vec![RuleVerdict {
                rule: RuleId::new(rule).unwrap(),
                version: 3,
                state,
                since: t(since),
                verdict,
                failure_mode: FailureMode::new("bearing-wear").unwrap(),
                severity: Severity::Critical,
                signal: Some(SignalName::new("temperature_c").unwrap()),
                value: Some(93.0),
                limit: Some(85.0),
                text: Explanation {
                    en: "93 °C for 10 min, limit 85 °C".to_owned(),
                    zh: "93 °C 持续 10 分钟，限值 85 °C".to_owned(),
                },
            }],
        })
    }

    fn hear(desk: &mut Desk, findings: &[Finding]) -> Vec<Event> {
        let surroundings = Surroundings::default();
        let batch = desk.observe(findings, &surroundings.around());
        batch.changes.iter().map(|change| change.event).collect()
    }

    #[test]
    fn a_rule_opens_a_case_with_its_words_and_ends_its_alarm() {
        let mut desk = Desk::default();
        let raised = said("hot", RuleState::Raised, Verdict::Machine, 100);
        assert_eq!(
            hear(&mut desk, std::slice::from_ref(&raised)),
            [Event::Opened]
        );
        assert!(
            hear(&mut desk, &[raised]).is_empty(),
            "a replay changes nothing"
        );
        let case = desk.open_cases().next().unwrap().case.clone();
        assert_eq!(
            (case.severity, case.signal.as_ref()),
            (Severity::Critical, None)
        );
        assert_eq!(case.verdict, Verdict::Machine);
        assert!(case.why.as_ref().unwrap().en.starts_with("93 °C"));
        let source = CaseSource::Rule {
            id: RuleId::new("hot").unwrap(),
            version: 3,
        };
        assert_eq!(case.source, source);
        assert!(case.wants_order());
        let cleared = said("hot", RuleState::Cleared, Verdict::Machine, 200);
        assert_eq!(hear(&mut desk, &[cleared]), [Event::Cleared]);
        let again = said("hot", RuleState::Raised, Verdict::Machine, 300);
        assert_eq!(hear(&mut desk, &[again]), [Event::Returned]);
    }

    #[test]
    fn a_rule_and_a_detector_that_say_the_same_share_a_case() {
        let mut desk = Desk::default();
        let pump = probe("pump-1", "dev-1");
        assert_eq!(
            hear(&mut desk, &[pump.alarm(90, 95, "bearing-wear", 1.4)]),
            [Event::Opened]
        );
        let raised = said("hot", RuleState::Raised, Verdict::Machine, 100);
        assert_eq!(hear(&mut desk, &[raised]), [Event::SeverityRaised]);
        assert!(
            hear(&mut desk, &[pump.normal(110, 115)]).is_empty(),
            "the rule still holds"
        );
        let cleared = said("hot", RuleState::Cleared, Verdict::Machine, 200);
        assert_eq!(hear(&mut desk, &[cleared]), [Event::Cleared]);
    }

    #[test]
    fn what_a_rule_calls_operating_is_listed_without_an_order_and_a_sensor_is_a_sensors() {
        for (verdict, signal, order) in [
            (Verdict::Operating, false, false),
            (Verdict::Sensor, true, true),
            (Verdict::Machine, false, true),
        ] {
            let mut desk = Desk::default();
            hear(&mut desk, &[said("rule", RuleState::Raised, verdict, 100)]);
            let case = &desk.open_cases().next().unwrap().case;
            assert_eq!(case.signal.is_some(), signal, "{verdict}");
            assert_eq!(case.wants_order(), order, "{verdict}");
        }
    }
}
