//! Reports about sensors as stretches of doubt.

use std::collections::BTreeMap;

use telemetry::{DeviceId, SensorReport, SensorState, SensorVerdict, SignalName, Timestamp};

use super::SensorSpan;

/// The stretches in which a signal of a device was not believed, by when they began. A report
/// names every signal that is not good, so one it leaves out has become good by then. A
/// stretch goes on while the fault stays the same: a suspicion that is confirmed is one
/// stretch, and its last verdict is told with the time at which the doubt began.
pub(super) fn spans(device: &DeviceId, reports: Vec<SensorReport>) -> Vec<SensorSpan> {
    let mut open: BTreeMap<SignalName, SensorVerdict> = BTreeMap::new();
    let mut spans = Vec::new();
    let mut close = |verdict: SensorVerdict, to: Option<Timestamp>| {
        spans.push(SensorSpan {
            device: device.clone(),
            to,
            verdict,
        });
    };
    for report in reports {
        let at = report.at;
        let (good, doubted): (Vec<_>, Vec<_>) = report
            .verdicts
            .into_iter()
            .partition(|verdict| verdict.state == SensorState::Good);
        let mut before = std::mem::take(&mut open);
        for mut verdict in doubted {
            if let Some(known) = before.remove(&verdict.signal) {
                if known.fault == verdict.fault {
                    verdict.since = known.since.min(verdict.since);
                } else {
                    close(known, Some(verdict.since));
                }
            }
            open.insert(verdict.signal.clone(), verdict);
        }
        for (signal, known) in before {
            let ended = good.iter().find(|verdict| verdict.signal == signal);
            close(known, Some(ended.map_or(at, |verdict| verdict.since)));
        }
    }
    for verdict in open.into_values() {
        close(verdict, None);
    }
    spans.sort_by_key(|span| span.verdict.since);
    spans
}

#[cfg(test)]
mod tests {
    use telemetry::{AssetId, SensorFault};

    use super::*;

    fn verdict(signal: &str, state: SensorState, fault: SensorFault, since: i64) -> SensorVerdict {
        SensorVerdict {
            signal: SignalName::new(signal).unwrap(),
            state,
            since: Timestamp::from_secs(since),
            fault: Some(fault),
            confidence: 0.9,
            value: Some(1.0),
            expected: None,
            detail: BTreeMap::new(),
        }
    }

    fn told(
        reports: Vec<(i64, Vec<SensorVerdict>)>,
    ) -> Vec<(String, SensorState, i64, Option<i64>)> {
        let device = DeviceId::new("d").unwrap();
        let reports = reports.into_iter().map(|(at, verdicts)| SensorReport {
            asset: AssetId::new("a").unwrap(),
            device: device.clone(),
            at: Timestamp::from_secs(at),
            verdicts,
        });
        let spans = spans(&device, reports.collect());
        let secs = |at: Timestamp| at.as_micros() / 1_000_000;
        spans
            .into_iter()
            .map(|span| {
                let verdict = span.verdict;
                let word = format!("{} {}", verdict.signal, verdict.fault.unwrap().as_str());
                (word, verdict.state, secs(verdict.since), span.to.map(secs))
            })
            .collect()
    }

    #[test]
    fn doubt_lasts_from_its_first_word_to_the_word_that_ends_it() {
        use SensorFault::{Drift, Stuck};
        use SensorState::{Faulty, Good, Suspect};
        let spans = told(vec![
            (10, vec![verdict("p", Suspect, Stuck, 10)]),
            // Confirmed: the same stretch, since its beginning.
            (
                20,
                vec![
                    verdict("p", Faulty, Stuck, 20),
                    verdict("q", Suspect, Drift, 18),
                ],
            ),
            // q is not named: good by now. p is told good since before the report.
            (30, vec![verdict("p", Good, Stuck, 28)]),
            // Another fault is another stretch, and one fault may follow another.
            (40, vec![verdict("p", Suspect, Drift, 40)]),
            (50, vec![verdict("p", Faulty, Stuck, 50)]),
        ]);
        assert_eq!(
            spans,
            [
                ("p stuck".to_owned(), Faulty, 10, Some(28)),
                ("q drift".to_owned(), Suspect, 18, Some(30)),
                ("p drift".to_owned(), Suspect, 40, Some(50)),
                ("p stuck".to_owned(), Faulty, 50, None),
            ]
        );
        assert!(told(Vec::new()).is_empty());
    }
}
