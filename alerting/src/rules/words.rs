//! A verdict of a rule as a sentence, in English and Chinese.

use telemetry::{Explanation, SignalName, Unit};

use super::rule::{Condition, Rule};

/// How a signal is called, and what its values are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) en: String,
    pub(super) zh: String,
    pub(super) unit: Option<Unit>,
}

impl Label {
    pub(super) fn of_name(signal: &SignalName) -> Self {
        Self {
            en: signal.words(),
            zh: signal.words(),
            unit: None,
        }
    }

    /// A number with the unit, where that is known.
    fn quantity(&self, number: &str) -> String {
        self.unit
            .filter(|unit| *unit != Unit::One)
            .map_or_else(|| number.to_owned(), |unit| format!("{number} {unit}"))
    }
}

/// A number for people: four significant digits, no exponent for what machines measure.
fn number(value: f64) -> String {
    let digits = if value == 0.0 {
        0.0
    } else {
        value.abs().log10().floor()
    };
    let places = (3.0 - digits).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Seconds as a length of time.
fn time(seconds: f64) -> (String, String) {
    let (unit, en, zh) = match seconds {
        s if s < 120.0 => (1.0, "s", "秒"),
        s if s < 7_200.0 => (60.0, "min", "分钟"),
        s if s < 172_800.0 => (3_600.0, "h", "小时"),
        _ => (86_400.0, "d", "天"),
    };
    let count = number(seconds / unit);
    (format!("{count} {en}"), format!("{count} {zh}"))
}

/// What a rule that began or ceased to hold says.
pub(super) fn explain(
    rule: &Rule,
    label: Option<&Label>,
    raised: bool,
    (value, limit): (Option<f64>, Option<f64>),
) -> Explanation {
    let (name_en, name_zh) = (&rule.name.en, &rule.name.zh);
    if !raised {
        return Explanation {
            en: format!("{name_en}: no longer"),
            zh: format!("{name_zh}：已恢复"),
        };
    }
    let seen = value.map_or_else(|| "?".to_owned(), number);
    let at = limit.map_or_else(|| "?".to_owned(), number);
    let (en, zh) = of_signal(rule, label, &seen, &at)
        .unwrap_or_else(|| of_machine(&rule.condition, &seen, &at));
    Explanation {
        en: format!("{name_en}: {en}"),
        zh: format!("{name_zh}：{zh}"),
    }
}

/// What a rule that looks at a signal saw.
fn of_signal(rule: &Rule, label: Option<&Label>, seen: &str, at: &str) -> Option<(String, String)> {
    let label = label?;
    let Label { en, zh, .. } = label;
    let words = match &rule.condition {
        Condition::Threshold { level, .. } => {
            let (side, side_zh) = side(level.above);
            let (seen, at) = (label.quantity(seen), label.quantity(at));
            (
                format!("{en} is {seen}, {side} {at}"),
                format!("{zh}为 {seen}，{side_zh} {at}"),
            )
        }
        Condition::Rate { level, per_s, .. } => {
            let ((per, per_zh), (side, side_zh)) = (time(*per_s), side(level.above));
            let (seen, at) = (label.quantity(seen), label.quantity(at));
            (
                format!("{en} changes by {seen} in {per}, {side} {at}"),
                format!("{zh}每 {per_zh} 变化 {seen}，{side_zh} {at}"),
            )
        }
        Condition::NoData { for_s, .. } => {
            let (long, long_zh) = time(*for_s);
            (
                format!("no value of {en} for {long}"),
                format!("{zh}已 {long_zh} 无数据"),
            )
        }
        Condition::Count { within_s, .. } => {
            let (long, long_zh) = time(*within_s);
            (
                format!("{en} crossed its level {seen} times within {long}"),
                format!("{zh}在 {long_zh} 内越限 {seen} 次"),
            )
        }
        Condition::Zone { zone, .. } => {
            let zone = zone.as_str();
            (
                format!("{en} is {seen} mm/s; zone {zone} begins at {at}"),
                format!("{zh}为 {seen} mm/s，区域 {zone} 自 {at} 起"),
            )
        }
        Condition::Sensor { .. } => (
            format!("the sensor of {en} cannot be believed"),
            format!("{zh}的传感器不可信"),
        ),
        _ => return None,
    };
    Some(words)
}

/// What a rule that looks at the machine as a whole saw.
fn of_machine(condition: &Condition, seen: &str, at: &str) -> (String, String) {
    match condition {
        Condition::NoData { for_s, .. } => {
            let (long, long_zh) = time(*for_s);
            (
                format!("the device has been silent for {long}"),
                format!("终端已 {long_zh} 无数据"),
            )
        }
        Condition::State { for_s, .. } => {
            let (long, long_zh) = time(*for_s);
            (
                format!("the state has lasted for {long}"),
                format!("该状态已持续 {long_zh}"),
            )
        }
        Condition::Count { within_s, .. } => {
            let (long, long_zh) = time(*within_s);
            (
                format!("it began {seen} times within {long}"),
                format!("{long_zh} 内发生 {seen} 次"),
            )
        }
        Condition::Health { level } => {
            let (side, side_zh) = side(level.above);
            (
                format!("health is {seen}, {side} {at}"),
                format!("健康指数为 {seen}，{side_zh} {at}"),
            )
        }
        Condition::Sensor { .. } => (
            "a sensor cannot be believed".to_owned(),
            "传感器不可信".to_owned(),
        ),
        Condition::FailureWithin { horizon_s, .. } => {
            let (long, long_zh) = time(*horizon_s);
            (
                format!("failure within {long} has a probability of {seen}, above {at}"),
                format!("{long_zh} 内失效的概率为 {seen}，高于 {at}"),
            )
        }
        _ => (
            format!("the score is {seen}; the rule begins at {at}"),
            format!("评分为 {seen}，规则限值 {at}"),
        ),
    }
}

fn side(above: bool) -> (&'static str, &'static str) {
    if above {
        ("above", "高于")
    } else {
        ("below", "低于")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse_one, *};

    #[test]
    fn a_value_and_its_limit_are_told_with_the_unit_of_the_signal() {
        let text = "[[rule]]\nid = \"r\"\nname_en = \"Too hot\"\nname_zh = \"过热\"\n\
                    kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 75\n";
        let rule = parse_one(text).unwrap().rule;
        for (unit, en, zh) in [
            (
                Some(Unit::Celsius),
                "Oil is 83 °C, above 80 °C",
                "油温为 83 °C，高于 80 °C",
            ),
            (Some(Unit::One), "Oil is 83, above 80", "油温为 83，高于 80"),
            (None, "Oil is 83, above 80", "油温为 83，高于 80"),
        ] {
            let label = Label {
                en: "Oil".to_owned(),
                zh: "油温".to_owned(),
                unit,
            };
            let told = explain(&rule, Some(&label), true, (Some(83.0), Some(80.0)));
            assert_eq!(told.en, format!("Too hot: {en}"));
            assert_eq!(told.zh, format!("过热：{zh}"));
        }
    }

    #[test]
    fn numbers_and_times_are_short() {
        for (value, text) in [
            (83.25, "83.25"),
            (80.0, "80"),
            (0.0, "0"),
            (0.001_234_5, "0.001234"),
            (123_456.7, "123457"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(time(90.0).0, "90 s");
        assert_eq!(time(300.0).1, "5 分钟");
        assert_eq!(time(86_400.0).0, "24 h");
    }
}
