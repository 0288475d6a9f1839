//! A verdict in words and numbers, in English and Chinese.
//!
//! A pure function of what was found: the same evidence always reads the same, also years
//! later from a closed case. Each sentence is written whole in each language, because word
//! order differs; only names, numbers and times are put in.

use std::fmt::Write;

use telemetry::{
    AssetModel, ConditionState, Contribution, Evidence, Explanation, FailureMode, OperatingState,
    SignalName, Timestamp, Unit, ViewScore,
};

use crate::{
    Feature,
    detection::{
        among::{Among, MIN_PEERS},
        bounds::{self, ABOVE, BELOW},
        detector::Detector,
    },
    health::sensor_words::sensor,
};

/// Most signals that are told: a sentence with more is a table.
const MOST_SIGNALS: usize = 3;
/// The least share of the deviation that is worth a sentence.
const LEAST_SHARE: f64 = 0.1;

/// Puts a verdict into words: what seems to be wrong, which signals say so, how far they are
/// from which normal, and since when. `evidence` is none while a baseline is learned. Names
/// and units are the model's; without one a signal is called by its own name.
pub fn explain(
    state: ConditionState,
    since: Timestamp,
    evidence: Option<&Evidence>,
    model: Option<&AssetModel>,
) -> Explanation {
    let mut told = Explanation {
        en: String::new(),
        zh: String::new(),
    };
    if evidence.is_some_and(|evidence| sensor(&mut told, since, evidence, model)) {
        return told;
    }
    verdict(&mut told, state, since, evidence, model);
    let Some(evidence) = evidence else {
        return told;
    };
    if matches!(state, ConditionState::Watch | ConditionState::Alarm) {
        for view in evidence.views.iter().filter(|view| is_fixed_limit(view)) {
            limit(&mut told, view, model);
        }
        // Signals as usual are not worth a word beside a fixed limit.
        let is_unusual = !has_limit(evidence)
            || evidence
                .views
                .iter()
                .any(|view| !is_fixed_limit(view) && view.score >= view.limit);
        let worth = |one: &&Contribution| is_unusual && one.share >= LEAST_SHARE;
        let worst = evidence.contributions.iter().filter(worth);
        for contribution in worst.take(MOST_SIGNALS) {
            signal(&mut told, contribution, model);
        }
    }
    peers(&mut told, evidence);
    left_out(&mut told, &evidence.suspects, model);
    baseline(&mut told, evidence);
    told
}

fn verdict(
    told: &mut Explanation,
    state: ConditionState,
    since: Timestamp,
    evidence: Option<&Evidence>,
    model: Option<&AssetModel>,
) {
    let at = time(since);
    let score = evidence.map_or_else(String::new, |e| number(e.statistics.score));
    let fit = evidence.map_or(0.0, |e| 100.0 * e.failure_mode_fit);
    let mode = evidence.and_then(|e| named_mode(&e.failure_mode, model));
    match (state, mode) {
        (ConditionState::Learning { rows, needed }, _) => say(
            told,
            &format!("Learning what is normal: {rows} of {needed} rows."),
            &format!("正在学习正常状态：已学习 {rows} 行，共需 {needed} 行。"),
        ),
        (ConditionState::Normal, _) => say(
            told,
            &format!("Within its normal since {at}: the score is {score}, an alarm begins at 1."),
            &format!("自 {at} 起处于正常范围：得分 {score}，达到 1 报警。"),
        ),
        (ConditionState::Watch, _) if evidence.is_some_and(has_limit) => say(
            told,
            &format!("Beyond a limit since {at} with a score of {score}; this is no alarm yet."),
            &format!("自 {at} 起超出限值，得分 {score}，尚未报警。"),
        ),
        (ConditionState::Watch, _) => say(
            told,
            &format!(
                "Beyond its limit since {at} with a score of {score}, not yet for long enough to be an alarm."
            ),
            &format!("自 {at} 起超出限值，得分 {score}，持续时间尚不足以报警。"),
        ),
        (ConditionState::Alarm, Some([en, zh])) => say(
            told,
            &format!("{en} likely since {at}: its signature fits by {fit:.0} %."),
            &format!("自 {at} 起疑似{zh}：特征吻合度 {fit:.0}%。"),
        ),
        (ConditionState::Alarm, None) if evidence.is_some_and(has_limit) => say(
            told,
            &format!("Beyond a fixed limit since {at}; no known failure mode fits."),
            &format!("自 {at} 起超出固定限值，没有匹配的已知失效模式。"),
        ),
        (ConditionState::Alarm, None) => say(
            told,
            &format!("Behaves unusually since {at}; no known failure mode fits."),
            &format!("自 {at} 起状态异常，没有匹配的已知失效模式。"),
        ),
    }
}

fn signal(told: &mut Explanation, part: &Contribution, model: Option<&AssetModel>) {
    let [en, zh] = label(&part.signal, model);
    let unit = unit(&part.signal, model).map_or_else(String::new, |u| format!(" {}", u.symbol()));
    let far = number(part.deviation.abs());
    let (is, should) = (number(part.value), number(part.normal));
    let (low, high) = (number(part.normal_low), number(part.normal_high));
    let (above, zh_above) = if part.deviation < 0.0 {
        ("below", "低于")
    } else {
        ("above", "高于")
    };
    say(
        told,
        &format!(
            "{en} is {far} healthy spreads {above} its normal: {is}{unit} instead of {should}{unit} \
             (normal is {low} to {high}{unit})."
        ),
        &format!(
            "{zh}{zh_above}正常值 {far} 倍健康散布：当前 {is}{unit}，正常值 {should}{unit}\
             （正常范围 {low} 至 {high}{unit}）。"
        ),
    );
}

/// Whether the fleet comparison found the machine further away than any other view did.
fn stands_out(evidence: &Evidence) -> bool {
    let others = evidence.views.iter().filter(|view| !is_fixed_limit(view));
    let highest = others.max_by(|a, b| a.score.total_cmp(&b.score));
    highest.is_some_and(|view| view.view == Among::NAME && view.score >= view.limit)
}

/// What the comparison with the peers says, where it was asked for.
fn peers(told: &mut Explanation, evidence: &Evidence) {
    match evidence.peers {
        Some(0) => say(
            told,
            &format!(
                "It is compared with no peers: fewer than {MIN_PEERS} of its kind run in this \
                 load regime."
            ),
            &format!("未与同类设备比较：同型号且同工况运行的设备少于 {MIN_PEERS} 台。"),
        ),
        Some(peers) if stands_out(evidence) => say(
            told,
            &format!(
                "It stands out among {peers} peers of its kind in the same load regime; normal \
                 is what they show."
            ),
            &format!("与同型号、同工况的 {peers} 台设备相比明显偏离；此处正常值取自这些设备。"),
        ),
        _ => {}
    }
}

/// Whether a view is a fixed limit that is crossed, which learned nothing.
pub fn is_fixed_limit(view: &ViewScore) -> bool {
    view.view.starts_with(ABOVE) || view.view.starts_with(BELOW)
}

fn has_limit(evidence: &Evidence) -> bool {
    evidence.views.iter().any(is_fixed_limit)
}

/// A fixed limit that is crossed or about to be.
fn limit(told: &mut Explanation, view: &ViewScore, model: Option<&AssetModel>) {
    let (name, side, zh_side) = match view.view.strip_prefix(ABOVE) {
        Some(name) => (name, "upper", "上限"),
        None => (
            view.view.strip_prefix(BELOW).unwrap_or_default(),
            "lower",
            "下限",
        ),
    };
    let Ok(name) = SignalName::new(name) else {
        return;
    };
    let ([en, zh], unit) = named(&name, model);
    let unit = unit.map_or_else(String::new, |unit| format!(" {unit}"));
    let (value, limit) = (number(view.score), number(view.limit));
    say(
        told,
        &format!("{en} is {value}{unit} against a fixed {side} limit of {limit}{unit}."),
        &format!("{zh}为 {value}{unit}，固定{zh_side}为 {limit}{unit}。"),
    );
}

/// The label and the unit of a signal, or of a feature of a declared one.
pub(super) fn named(
    name: &SignalName,
    model: Option<&AssetModel>,
) -> ([String; 2], Option<String>) {
    let feature = model.and_then(|model| match model.resolve(name)? {
        (signal, Some(feature)) => {
            let signal = SignalName::new(signal).ok()?;
            Some((signal, Feature::from_name(feature)?))
        }
        _ => None,
    });
    let Some((signal, feature)) = feature else {
        let symbol = unit(name, model).map(|unit| unit.symbol().to_owned());
        return (label(name, model), symbol);
    };
    let text = feature.as_str().replace('_', " ");
    let [en, zh] = label(&signal, model);
    (
        [format!("{en} ({text})"), format!("{zh}（{text}）")],
        feature
            .unit(unit(&signal, model))
            .filter(|unit| unit != "1"),
    )
}

fn left_out(told: &mut Explanation, suspects: &[SignalName], model: Option<&AssetModel>) {
    if suspects.is_empty() {
        return;
    }
    let names = suspects.iter().map(|name| label(name, model));
    let (en, zh): (Vec<String>, Vec<String>) = names.map(|[en, zh]| (en, zh)).unzip();
    say(
        told,
        &format!(
            "Left out, because the sensor cannot be believed: {}.",
            en.join(", ")
        ),
        &format!("因传感器不可信，未参与判断：{}。", zh.join("、")),
    );
}

fn baseline(told: &mut Explanation, evidence: &Evidence) {
    let (from, to) = (time(evidence.baseline_from), time(evidence.baseline_to));
    let rows = evidence.baseline_rows;
    if evidence.model == bounds::NAME {
        say(
            told,
            &format!("What is normal is still being learned, from {rows} rows so far."),
            &format!("正常基线仍在学习中，已学习 {rows} 行。"),
        );
        return;
    }
    let (en, zh) = match evidence.operating {
        OperatingState::Running { regime } if regime > 0 => (
            format!(" in load regime {}", regime + 1),
            format!("，负载工况 {}", regime + 1),
        ),
        _ => (String::new(), String::new()),
    };
    say(
        told,
        &format!("Normal was learned from {rows} rows between {from} and {to}{en}."),
        &format!("正常基线学自 {from} 至 {to} 的 {rows} 行数据{zh}。"),
    );
}

pub(super) fn say(told: &mut Explanation, en: &str, zh: &str) {
    if !told.en.is_empty() {
        told.en.push(' ');
    }
    told.en.push_str(en);
    told.zh.push_str(zh);
}

fn label(signal: &SignalName, model: Option<&AssetModel>) -> [String; 2] {
    model.and_then(|model| model.signal(signal)).map_or_else(
        || [signal.words(), signal.words()],
        |spec| [spec.label_en.clone(), spec.label_zh.clone()],
    )
}

fn unit(signal: &SignalName, model: Option<&AssetModel>) -> Option<Unit> {
    let declared = model.and_then(|model| model.signal(signal));
    declared
        .map(|spec| spec.unit)
        .or_else(|| Unit::from_signal_name(signal.as_str()))
        .filter(|unit| *unit != Unit::One)
}

fn named_mode(mode: &FailureMode, model: Option<&AssetModel>) -> Option<[String; 2]> {
    if mode.as_str() == FailureMode::UNCLASSIFIED {
        return None;
    }
    let known = model.and_then(|model| model.failure_modes.iter().find(|one| one.mode == *mode));
    Some(known.map_or_else(
        || [mode.to_string(), mode.to_string()],
        |known| [known.name_en.clone(), known.name_zh.clone()],
    ))
}

pub(super) fn time(at: Timestamp) -> String {
    let utc = at.to_utc();
    let mut text = String::new();
    // Writing into a text cannot fail for a format that is written here.
    let _ = write!(text, "{}", utc.format("%Y-%m-%d %H:%M UTC"));
    text
}

/// Four digits that matter: enough to compare, few enough to read.
pub(super) fn number(value: f64) -> String {
    let magnitude = if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    if !(-4..9).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = usize::try_from(3 - magnitude).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Statistics;

    use super::*;

    fn model() -> AssetModel {
        serde_json::from_value(serde_json::json!({
            "id": "pump", "name_en": "Pump", "name_zh": "泵",
            "signals": [
                {"name": "vibration_mm_s", "unit": "mm/s", "label_en": "Vibration", "label_zh": "振动"},
                {"name": "pressure_bar", "unit": "bar", "label_en": "Discharge pressure", "label_zh": "出口压力"}],
            "failure_modes": [{"mode": "bearing-wear", "name_en": "Bearing wear", "name_zh": "轴承磨损",
                "signature": [{"signal": "vibration_mm_s", "weight": 1.0}]}]
        }))
        .unwrap()
    }

    fn evidence(mode: &str) -> Evidence {
        let part = |signal: &str, share: f64, deviation: f64| Contribution {
            signal: SignalName::new(signal).unwrap(),
            share,
            deviation,
            value: 4.9,
            normal: 2.1,
            normal_low: 1.6,
            normal_high: 2.6,
        };
        Evidence {
            model: "level/1".to_owned(),
            window_from: Timestamp::EPOCH,
            window_to: Timestamp::EPOCH,
            baseline_from: Timestamp::EPOCH,
            baseline_to: Timestamp::from_secs(7_200),
            baseline_rows: 2_000,
            operating: OperatingState::Running { regime: 1 },
            statistics: Statistics {
                score: 2.25,
                on: 1.0,
                off: 0.8,
            },
            views: vec![ViewScore {
                view: "level".to_owned(),
                version: 1,
                score: 2.25,
                limit: 1.0,
            }],
            failure_mode: FailureMode::new(mode).unwrap(),
            failure_mode_fit: 0.934,
            contributions: vec![
                part("vibration_mm_s", 0.8, 16.8),
                part("flow", 0.15, -3.0),
                part("oil", 0.05, 1.0),
            ],
            suspects: vec![SignalName::new("pressure_bar").unwrap()],
            peers: None,
        }
    }

    #[test]
    fn an_alarm_says_which_signals_how_far_from_which_normal_since_when() {
        let since = Timestamp::from_secs(86_400);
        let told = explain(
            ConditionState::Alarm,
            since,
            Some(&evidence("bearing-wear")),
            Some(&model()),
        );
        assert_eq!(
            told.en,
            "Bearing wear likely since 1970-01-02 00:00 UTC: its signature fits by 93 %. \
             Vibration is 16.8 healthy spreads above its normal: 4.9 mm/s instead of 2.1 mm/s (normal is 1.6 to 2.6 mm/s). \
             Flow is 3 healthy spreads below its normal: 4.9 instead of 2.1 (normal is 1.6 to 2.6). \
             Left out, because the sensor cannot be believed: Discharge pressure. \
             Normal was learned from 2000 rows between 1970-01-01 00:00 UTC and 1970-01-01 02:00 UTC in load regime 2."
        );
        assert_eq!(
            told.zh,
            "自 1970-01-02 00:00 UTC 起疑似轴承磨损：特征吻合度 93%。\
             振动高于正常值 16.8 倍健康散布：当前 4.9 mm/s，正常值 2.1 mm/s（正常范围 1.6 至 2.6 mm/s）。\
             Flow低于正常值 3 倍健康散布：当前 4.9，正常值 2.1（正常范围 1.6 至 2.6）。\
             因传感器不可信，未参与判断：出口压力。\
             正常基线学自 1970-01-01 00:00 UTC 至 1970-01-01 02:00 UTC 的 2000 行数据，负载工况 2。"
        );
    }

    #[test]
    fn a_fixed_limit_is_told_with_its_value_and_level() {
        let mut evidence = evidence(FailureMode::UNCLASSIFIED);
        evidence.model = bounds::NAME.to_owned();
        (evidence.contributions, evidence.suspects) = (Vec::new(), Vec::new());
        let view = |view: &str, score, limit| ViewScore {
            view: view.to_owned(),
            version: 1,
            score,
            limit,
        };
        evidence.views = vec![
            view("limit_above:vibration_mm_s", 7.4, 7.1),
            view("limit_below:pressure_bar.std", 0.01, 0.02),
        ];
        let since = Timestamp::from_secs(86_400);
        let told = explain(
            ConditionState::Alarm,
            since,
            Some(&evidence),
            Some(&model()),
        );
        assert_eq!(
            told.en,
            "Beyond a fixed limit since 1970-01-02 00:00 UTC; no known failure mode fits. \
             Vibration is 7.4 mm/s against a fixed upper limit of 7.1 mm/s. \
             Discharge pressure (std) is 0.01 bar against a fixed lower limit of 0.02 bar. \
             What is normal is still being learned, from 2000 rows so far."
        );
        assert_eq!(
            told.zh,
            "自 1970-01-02 00:00 UTC 起超出固定限值，没有匹配的已知失效模式。\
             振动为 7.4 mm/s，固定上限为 7.1 mm/s。\
             出口压力（std）为 0.01 bar，固定下限为 0.02 bar。\
             正常基线仍在学习中，已学习 2000 行。"
        );
    }

    #[test]
    fn every_state_has_a_sentence_in_both_languages() {
        let unclassified = evidence(FailureMode::UNCLASSIFIED);
        for (state, evidence, en, zh) in [
            (
                ConditionState::Learning {
                    rows: 12,
                    needed: 400,
                },
                None,
                "12 of 400 rows",
                "共需 400 行",
            ),
            (
                ConditionState::Normal,
                Some(&unclassified),
                "an alarm begins at 1",
                "达到 1 报警",
            ),
            (
                ConditionState::Watch,
                Some(&unclassified),
                "not yet",
                "尚不足以报警",
            ),
            (
                ConditionState::Alarm,
                Some(&unclassified),
                "no known failure mode",
                "没有匹配",
            ),
        ] {
            let told = explain(state, Timestamp::EPOCH, evidence, None);
            assert!(told.en.contains(en), "{}", told.en);
            assert!(told.zh.contains(zh), "{}", told.zh);
        }
    }

    #[test]
    fn numbers_have_four_digits_that_matter() {
        for (value, text) in [
            (0.0, "0"),
            (16.8, "16.8"),
            (1_234.56, "1235"),
            (-0.012_345, "-0.01235"),
            (2e-7, "2.000e-7"),
            (3.5e12, "3.500e12"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
