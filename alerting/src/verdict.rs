//! What kind of problem an alarm tells of: the cheapest to rule out is asked first.
//!
//! 1. *Sensor*: most of the deviation lies on signals whose sensors cannot be believed. The
//!    sensors have cheap orders of their own; the machine gets none.
//! 2. *Operating*: the machine is not in a state that has a normal, or no failure mode fits and
//!    most of the deviation lies on the signals that say how it is run. Nothing is broken: the
//!    case is listed, so that a person may accept a new normal, and gets no order.
//! 3. *Machine*: everything else.

use std::fmt::Write as _;

use telemetry::{Evidence, Explanation, FailureMode, SignalName, Verdict};

/// The share of the deviation that decides: more than all other signals together.
const MOST: f64 = 0.5;

/// Judges an alarm by its evidence.
///
/// `faulty` are the signals of the asset whose sensors cannot be believed, `drives` those that
/// say how the machine is run.
pub fn judge(
    evidence: &Evidence,
    faulty: &[SignalName],
    drives: &[SignalName],
) -> (Verdict, Explanation) {
    let is_faulty = |signal: &SignalName| faulty.contains(signal);
    if share_of(evidence, is_faulty) > MOST {
        return (Verdict::Sensor, sensor_words(evidence, is_faulty));
    }
    if !evidence.operating.has_baseline() {
        return (Verdict::Operating, state_words(evidence));
    }
    let is_drive = |signal: &SignalName| drives.contains(signal);
    let is_nameless = evidence.failure_mode.as_str() == FailureMode::UNCLASSIFIED;
    if is_nameless && share_of(evidence, is_drive) > MOST {
        return (Verdict::Operating, drive_words(evidence, is_drive));
    }
    (Verdict::Machine, machine_words(evidence))
}

/// The verdict of a case of a sensor.
pub fn of_sensor(signal: &SignalName) -> Explanation {
    Explanation {
        en: format!("The sensor of {signal} cannot be believed; the machine is not judged by it."),
        zh: format!("{signal} 的传感器不可信；不据此判断设备。"),
    }
}

fn share_of(evidence: &Evidence, wanted: impl Fn(&SignalName) -> bool) -> f64 {
    let parts = evidence.contributions.iter();
    parts
        .filter(|part| wanted(&part.signal))
        .map(|part| part.share.max(0.0))
        .sum()
}

/// The names of the signals that take part, largest share first.
fn names(evidence: &Evidence, wanted: impl Fn(&SignalName) -> bool) -> String {
    let mut text = String::new();
    let parts = evidence.contributions.iter();
    for part in parts.filter(|part| wanted(&part.signal)).take(3) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing into a text cannot fail.
        let _ = write!(text, "{comma}{}", part.signal);
    }
    text
}

fn sensor_words(evidence: &Evidence, wanted: impl Fn(&SignalName) -> bool) -> Explanation {
    let signals = names(evidence, &wanted);
    let share = 100.0 * share_of(evidence, wanted);
    Explanation {
        en: format!(
            "{share:.0} % of the deviation lies on {signals}, whose sensors cannot be believed."
        ),
        zh: format!("偏差的 {share:.0}% 来自 {signals}，其传感器不可信。"),
    }
}

fn state_words(evidence: &Evidence) -> Explanation {
    let state = evidence.operating.as_str().replace('_', " ");
    Explanation {
        en: format!(
            "The machine was in the state \"{state}\", which has no normal to compare with."
        ),
        zh: format!("设备处于“{state}”状态，该状态没有可比较的正常基线。"),
    }
}

fn drive_words(evidence: &Evidence, wanted: impl Fn(&SignalName) -> bool) -> Explanation {
    let signals = names(evidence, &wanted);
    let share = 100.0 * share_of(evidence, wanted);
    Explanation {
        en: format!(
            "No failure mode fits, and {share:.0} % of the deviation lies on {signals}: the machine is run in another way."
        ),
        zh: format!(
            "没有匹配的故障模式，且偏差的 {share:.0}% 来自 {signals}：设备的运行方式改变了。"
        ),
    }
}

fn machine_words(evidence: &Evidence) -> Explanation {
    let left_out = evidence.suspects.len();
    let mode = &evidence.failure_mode;
    let fit = 100.0 * evidence.failure_mode_fit;
    if mode.as_str() == FailureMode::UNCLASSIFIED {
        return Explanation {
            en: format!(
                "The sensors that tell can be believed ({left_out} left out), and the machine was running; no known failure mode fits."
            ),
            zh: format!(
                "所依据的传感器可信（排除 {left_out} 个），设备在运行；没有已知故障模式匹配。"
            ),
        };
    }
    Explanation {
        en: format!(
            "The sensors that tell can be believed ({left_out} left out), the machine was running, and {mode} fits by {fit:.0} %."
        ),
        zh: format!(
            "所依据的传感器可信（排除 {left_out} 个），设备在运行，与 {mode} 的匹配度为 {fit:.0}%。"
        ),
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{Contribution, OperatingState};

    use super::*;

    fn signal(name: &str) -> SignalName {
        SignalName::new(name).unwrap()
    }

    /// Evidence whose deviation lies on `speed_rpm` and `vibration_mm_s` in these shares.
    fn evidence(mode: &str, speed: f64, operating: OperatingState) -> Evidence {
        let mut evidence = crate::testing::evidence(mode, 2.0);
        evidence.operating = operating;
        let part = |name: &str, share: f64| Contribution {
            signal: signal(name),
            share,
            ..evidence.contributions[0].clone()
        };
        let parts = vec![
            part("speed_rpm", speed),
            part("vibration_mm_s", 1.0 - speed),
        ];
        evidence.contributions = parts;
        evidence
    }

    #[test]
    fn the_cheapest_explanation_is_asked_first() {
        let running = OperatingState::Running { regime: 0 };
        let (off, start, unknown) = (
            OperatingState::Off,
            OperatingState::StartUp,
            OperatingState::Unknown,
        );
        let speed = [signal("speed_rpm")];
        // (failure mode, share of the speed, state, its sensor is faulty, it is a drive, verdict)
        for (mode, share, state, is_faulty, is_drive, verdict) in [
            ("cavitation", 0.8, running, true, true, Verdict::Sensor),
            ("unclassified", 0.8, off, true, true, Verdict::Sensor),
            ("cavitation", 0.5, running, true, false, Verdict::Machine),
            ("cavitation", 0.1, start, false, false, Verdict::Operating),
            (
                "unclassified",
                0.8,
                running,
                false,
                true,
                Verdict::Operating,
            ),
            ("unclassified", 0.4, running, false, true, Verdict::Machine),
            ("cavitation", 0.8, running, false, true, Verdict::Machine),
            ("unclassified", 0.8, unknown, false, false, Verdict::Machine),
        ] {
            let evidence = evidence(mode, share, state);
            let some = |wanted: bool| if wanted { &speed[..] } else { &[] };
            let (judged, why) = judge(&evidence, some(is_faulty), some(is_drive));
            assert_eq!(judged, verdict, "{mode} {share} {state:?}");
            assert!(!why.en.is_empty() && !why.zh.is_empty());
        }
    }

    #[test]
    fn the_reason_names_signals_and_shares() {
        let evidence = evidence("unclassified", 0.8, OperatingState::Unknown);
        let (_, why) = judge(&evidence, &[], &[signal("speed_rpm")]);
        assert!(
            why.en.contains("80 % of the deviation lies on speed_rpm"),
            "{}",
            why.en
        );
        assert!(why.zh.contains("80%"), "{}", why.zh);
    }
}
