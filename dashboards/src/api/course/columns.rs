//! Conditions as columns, thinned to what a chart can show.

use std::collections::BTreeMap;

use telemetry::{Condition, ConditionState, Contribution, DeviceId, SignalName};

use super::{AlarmSpan, BaselineSpan, DeviceCourse, NormalSpan, OperatingSpan, SignalCourse, Span};

/// Columns of the conditions of one device, oldest first.
///
/// Spans (alarms, operating states, baselines, normal ranges) are taken from every condition;
/// points are thinned: of each of `points` parts of the span the condition with the highest
/// score stays, so that no peak is lost, and so do the first and the last.
pub(super) fn of(
    device: DeviceId,
    conditions: &[Condition],
    span: Span,
    points: usize,
) -> DeviceCourse {
    let shown = thin(conditions, span, points);
    let evidences = || {
        let told = conditions.iter();
        told.filter_map(|one| Some((one.at, one.evidence.as_ref()?)))
    };
    DeviceCourse {
        device,
        at: shown.iter().map(|one| one.at).collect(),
        score: shown.iter().map(|one| score(one)).collect(),
        limit: evidences()
            .next_back()
            .map(|(_, evidence)| evidence.statistics.on),
        alarms: alarms(conditions),
        operating: changes(
            conditions.iter().map(|one| OperatingSpan {
                from: one.at,
                state: one.operating,
            }),
            |a, b| a.state == b.state,
        ),
        baselines: changes(
            evidences().map(|(at, evidence)| BaselineSpan {
                from: at,
                learned_from: evidence.baseline_from,
                learned_to: evidence.baseline_to,
                rows: evidence.baseline_rows,
            }),
            |a, b| a.learned_to == b.learned_to && a.learned_from == b.learned_from,
        ),
        signals: signals(conditions, &shown),
    }
}

fn score(condition: &Condition) -> Option<f64> {
    let evidence = condition.evidence.as_ref()?;
    Some(evidence.statistics.score)
}

fn thin(conditions: &[Condition], span: Span, points: usize) -> Vec<&Condition> {
    if conditions.len() <= points {
        return conditions.iter().collect();
    }
    let from = i128::from(span.from.as_micros());
    let width = (i128::from(span.to.as_micros()) - from).max(1);
    let part = |condition: &Condition| {
        (i128::from(condition.at.as_micros()) - from) * points as i128 / width
    };
    let weight = |condition: &Condition| score(condition).unwrap_or(f64::NEG_INFINITY);
    let (first, rest) = (&conditions[0], &conditions[1..]);
    let mut shown = vec![first];
    for group in rest.chunk_by(|a, b| part(a) == part(b)) {
        // The later one of equals: it is nearer to what holds on.
        let highest = group.iter().max_by(|a, b| weight(a).total_cmp(&weight(b)));
        shown.extend(highest);
    }
    if let (Some(last), Some(end)) = (conditions.last(), shown.last())
        && end.at != last.at
    {
        shown.push(last);
    }
    shown
}

fn alarms(conditions: &[Condition]) -> Vec<AlarmSpan> {
    let mut spans: Vec<AlarmSpan> = Vec::new();
    let mut standing = false;
    for one in conditions {
        if one.state == ConditionState::Alarm {
            if !standing {
                spans.push(AlarmSpan {
                    from: one.since,
                    to: None,
                });
            }
            standing = true;
        } else if standing {
            standing = false;
            if let Some(last) = spans.last_mut() {
                last.to = Some(one.since.max(last.from));
            }
        }
    }
    spans
}

/// Only the entries that differ from the one before.
fn changes<T>(entries: impl Iterator<Item = T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for entry in entries {
        if kept.last().is_none_or(|last| !same(last, &entry)) {
            kept.push(entry);
        }
    }
    kept
}

fn signals(conditions: &[Condition], shown: &[&Condition]) -> Vec<SignalCourse> {
    let mut courses: BTreeMap<&SignalName, SignalCourse> = BTreeMap::new();
    for condition in conditions {
        for told in parts(condition) {
            let course = courses.entry(&told.signal).or_insert_with(|| SignalCourse {
                signal: told.signal.clone(),
                deviation: vec![None; shown.len()],
                normal: Vec::new(),
            });
            let (low, high) = (told.normal_low, told.normal_high);
            let last = course.normal.last();
            if last.is_none_or(|last| (last.low, last.high) != (low, high)) {
                course.normal.push(NormalSpan {
                    from: condition.at,
                    low,
                    high,
                });
            }
        }
    }
    for (n, condition) in shown.iter().enumerate() {
        for told in parts(condition) {
            if let Some(course) = courses.get_mut(&told.signal) {
                course.deviation[n] = Some(told.deviation);
            }
        }
    }
    courses.into_values().collect()
}

fn parts(condition: &Condition) -> &[Contribution] {
    let evidence = condition.evidence.as_ref();
    evidence.map_or(&[], |evidence| &evidence.contributions)
}

#[cfg(test)]
mod tests {
    use telemetry::{AssetId, Evidence, FailureMode, OperatingState, Statistics, Timestamp};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// A condition at a second; without a score it is learning.
    fn condition(secs: i64, state: ConditionState, score: Option<f64>) -> Condition {
        Condition {
            asset: AssetId::new("a").unwrap(),
            device: DeviceId::new("d").unwrap(),
            at: at(secs),
            state,
            since: at(secs - 1),
            operating: OperatingState::Running { regime: 0 },
            evidence: score.map(|score| Evidence {
                model: "level/1".to_owned(),
                window_from: at(0),
                window_to: at(secs),
                baseline_from: at(0),
                baseline_to: at(50),
                baseline_rows: 50,
                operating: OperatingState::Running { regime: 0 },
                statistics: Statistics {
                    score,
                    on: 1.0,
                    off: 0.8,
                },
                views: Vec::new(),
                failure_mode: FailureMode::unclassified(),
                failure_mode_fit: 0.0,
                contributions: vec![Contribution {
                    signal: SignalName::new("flow_l_min").unwrap(),
                    share: 1.0,
                    deviation: -score,
                    value: 20.0,
                    normal: 30.0,
                    normal_low: 28.0,
                    normal_high: 32.0,
                }],
                suspects: Vec::new(),
                peers: None,
            }),
        }
    }

    fn columns(conditions: &[Condition], from: i64, to: i64, points: usize) -> DeviceCourse {
        let span = Span {
            from: at(from),
            to: at(to),
        };
        of(DeviceId::new("d").unwrap(), conditions, span, points)
    }

    #[test]
    fn a_thinned_course_keeps_its_peak_its_first_and_its_last_word() {
        let mut conditions: Vec<_> = (0..1_000)
            .map(|n| condition(100 + n, ConditionState::Normal, Some(0.3)))
            .collect();
        conditions[637] = condition(737, ConditionState::Normal, Some(4.0));
        let course = columns(&conditions, 101, 1_101, 50);
        assert!((50..=52).contains(&course.at.len()), "{}", course.at.len());
        assert_eq!(
            (course.at[0], *course.at.last().unwrap()),
            (at(100), at(1_099))
        );
        let place = course.at.iter().position(|&time| time == at(737)).unwrap();
        assert_eq!(course.score[place], Some(4.0));
        assert_eq!(course.signals[0].deviation[place], Some(-4.0));
        assert_eq!(
            course.signals[0].normal.len(),
            1,
            "a range that stays is told once"
        );
        assert_eq!(course.limit, Some(1.0));
    }

    #[test]
    fn what_lasts_is_told_from_change_to_change() {
        use ConditionState::{Alarm, Learning, Normal};
        let learning = Learning { rows: 1, needed: 9 };
        let mut conditions = vec![
            condition(10, learning, None),
            condition(20, Normal, Some(0.2)),
            condition(30, Alarm, Some(2.0)),
            condition(40, Alarm, Some(3.0)),
            condition(50, Normal, Some(0.1)),
            condition(60, Alarm, Some(2.0)),
        ];
        conditions[3].operating = OperatingState::Off;
        let moved = conditions[4].evidence.as_mut().unwrap();
        moved.contributions[0].normal_high = 33.0;
        moved.baseline_to = at(55);
        let course = columns(&conditions, 0, 100, 400);
        let alarms: Vec<_> = course.alarms.iter().map(|one| (one.from, one.to)).collect();
        assert_eq!(alarms, [(at(29), Some(at(49))), (at(59), None)]);
        let operating: Vec<_> = course.operating.iter().map(|one| one.from).collect();
        assert_eq!(operating, [at(10), at(40), at(50)]);
        let baselines: Vec<_> = course.baselines.iter().map(|one| one.from).collect();
        assert_eq!(baselines, [at(20), at(50), at(60)]);
        assert_eq!(course.score[0], None);
        assert_eq!(course.signals[0].deviation[..2], [None, Some(-0.2)]);
        let normal: Vec<_> = course.signals[0]
            .normal
            .iter()
            .map(|one| one.high)
            .collect();
        assert_eq!(normal, [32.0, 33.0, 32.0]);
    }
}
