//! What is wrong with a sensor, in words: the explanation of a case that is a sensor's.
//!
//! Such a case keeps its evidence in the form that all evidence has; what is the sensor's is in
//! the names of its views: `sensor_stuck:temperature_c` with the strength of the evidence,
//! and `sensor_reads:temperature_c` with the value and what was expected instead.

use telemetry::{
    AssetModel, CLOCK_SIGNAL, Evidence, Explanation, FailureMode, SensorFault, SignalName,
    Timestamp, ViewScore,
};

use super::explanation::{named, number, say, time};

const READS: &str = "sensor_reads";

/// Puts the fault of a sensor into words; false when the evidence is not one of a sensor.
pub(super) fn sensor(
    told: &mut Explanation,
    since: Timestamp,
    evidence: &Evidence,
    model: Option<&AssetModel>,
) -> bool {
    if evidence.failure_mode.as_str() != FailureMode::SENSOR_FAULT {
        return false;
    }
    let views = evidence.views.iter();
    for (kind, signal, view) in views.filter_map(parts) {
        if signal.as_str() == CLOCK_SIGNAL {
            clock(told, kind, since, view);
            continue;
        }
        let ([en, zh], unit) = named(&signal, model);
        let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
        if kind == READS {
            let (is, should) = (number(view.score), number(view.limit));
            say(
                told,
                &format!("It reads {is}{unit} where {should}{unit} was expected."),
                &format!("当前读数 {is}{unit}，预期 {should}{unit}。"),
            );
        } else {
            let at = time(since);
            let [what, zh_what] = words(kind);
            say(
                told,
                &format!("The sensor of {en} cannot be believed since {at}: {what}."),
                &format!("自 {at} 起{zh}的传感器不可信：{zh_what}。"),
            );
        }
    }
    say(
        told,
        "The machine is judged without it.",
        "设备状态判断已不再使用该信号。",
    );
    true
}

fn parts(view: &ViewScore) -> Option<(&str, SignalName, &ViewScore)> {
    let (kind, signal) = view.view.split_once(':')?;
    Some((kind, SignalName::new(signal).ok()?, view))
}

fn clock(told: &mut Explanation, kind: &str, since: Timestamp, view: &ViewScore) {
    if kind != READS {
        let at = time(since);
        say(
            told,
            &format!("The clock of the device cannot be believed since {at}."),
            &format!("自 {at} 起终端时钟不可信。"),
        );
        return;
    }
    let off = number(view.score.abs());
    let (side, zh_side) = if view.score < 0.0 {
        ("behind", "慢")
    } else {
        ("ahead of", "快")
    };
    say(
        told,
        &format!("It was {off} s {side} the clock of the receiver."),
        &format!("比接收端时钟{zh_side} {off} 秒。"),
    );
}

/// What a fault looks like.
fn words(kind: &str) -> [&'static str; 2] {
    let known = |fault: &SensorFault| kind.strip_prefix("sensor_") == Some(fault.as_str());
    match SensorFault::ALL.iter().find(|fault| known(fault)) {
        Some(SensorFault::Stuck) => ["it repeats one value", "持续输出同一数值"],
        Some(SensorFault::Spike) => [
            "single values lie far from their neighbours",
            "个别数值明显偏离相邻值",
        ],
        Some(SensorFault::Step) => [
            "it jumped and nothing it belongs with did",
            "数值突变，而相关信号没有变化",
        ],
        Some(SensorFault::Drift) => [
            "it moves away from what it belongs with",
            "逐渐偏离相关信号",
        ],
        Some(SensorFault::NoiseCollapse) => ["its noise is gone", "噪声消失"],
        Some(SensorFault::NoiseBurst) => ["its noise has grown", "噪声明显增大"],
        Some(SensorFault::Saturation) => ["it rests at an end of its range", "停留在量程端点"],
        Some(SensorFault::Gap) => ["its values are missing", "数据缺失"],
        Some(SensorFault::Clock) => ["its times cannot be right", "时间戳不可信"],
        None => ["something is wrong with it", "存在异常"],
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{ConditionState, OperatingState, Statistics};

    use super::super::explanation::explain;
    use super::*;

    fn told(views: &[(&str, f64, f64)]) -> Explanation {
        let evidence = Evidence {
            model: "sensors/1".to_owned(),
            window_from: Timestamp::EPOCH,
            window_to: Timestamp::EPOCH,
            baseline_from: Timestamp::EPOCH,
            baseline_to: Timestamp::EPOCH,
            baseline_rows: 0,
            operating: OperatingState::Unknown,
            statistics: Statistics {
                score: 2.0,
                on: 1.0,
                off: 0.5,
            },
            views: views
                .iter()
                .map(|(view, score, limit)| ViewScore {
                    view: (*view).to_owned(),
                    version: 1,
                    score: *score,
                    limit: *limit,
                })
                .collect(),
            failure_mode: FailureMode::sensor_fault(),
            failure_mode_fit: 0.75,
            contributions: Vec::new(),
            suspects: Vec::new(),
            peers: None,
        };
        explain(
            ConditionState::Alarm,
            Timestamp::EPOCH,
            Some(&evidence),
            None,
        )
    }

    #[test]
    fn a_fault_is_told_with_its_sensor_and_its_numbers() {
        let step = told(&[
            ("sensor_step:bearing_temperature_c", 2.0, 1.0),
            ("sensor_reads:bearing_temperature_c", 82.0, 61.5),
        ]);
        assert_eq!(
            step.en,
            "The sensor of Bearing temperature cannot be believed since 1970-01-01 00:00 UTC: it \
             jumped and nothing it belongs with did. It reads 82 °C where 61.5 °C was expected. \
             The machine is judged without it."
        );
        assert_eq!(
            step.zh,
            "自 1970-01-01 00:00 UTC 起Bearing temperature的传感器不可信：数值突变，而相关信号没有变化。\
             当前读数 82 °C，预期 61.5 °C。设备状态判断已不再使用该信号。"
        );
        let clock = told(&[
            ("sensor_clock:device.clock", 5.0, 1.0),
            ("sensor_reads:device.clock", -3_600.0, 0.0),
        ]);
        assert_eq!(
            clock.en,
            "The clock of the device cannot be believed since 1970-01-01 00:00 UTC. It was 3600 s \
             behind the clock of the receiver. The machine is judged without it."
        );
        for fault in SensorFault::ALL {
            let name = format!("sensor_{}:flow", fault.as_str());
            assert!(
                !told(&[(&name, 1.0, 1.0)]).zh.contains("存在异常"),
                "{name}"
            );
        }
    }
}
