//! The decision in words, in both languages.

use chrono::Datelike as _;
use chrono_tz::Tz;
use telemetry::{Advisory, Explanation, FailureMode, Severity, Timestamp};

/// What is said of a date that costs decided.
pub(super) struct Said<'a> {
    pub(super) chosen: Timestamp,
    pub(super) zone: Tz,
    pub(super) fails_before: f64,
    pub(super) delay_week_cost: f64,
    pub(super) shared: bool,
    pub(super) currency: &'a str,
}

/// A day in the time of the site, in English and in Chinese.
fn day(at: Timestamp, zone: Tz) -> (String, String) {
    let at = at.to_utc().with_timezone(&zone);
    (
        at.format("%a %-d %b %Y").to_string(),
        format!("{}年{}月{}日", at.year(), at.month(), at.day()),
    )
}

/// A probability as people read it: never 0 % or 100 %, which nobody knows.
fn percent(probability: f64) -> String {
    let percent = 100.0 * probability;
    if percent < 1.0 {
        "<1".to_owned()
    } else if percent > 99.0 {
        ">99".to_owned()
    } else {
        format!("{percent:.0}")
    }
}

/// An amount with at most three figures that mean something.
fn money(amount: f64) -> String {
    let amount = amount.abs();
    let unit = if amount >= 1_000.0 {
        10_f64.powf((amount.log10() - 2.0).floor())
    } else {
        1.0
    };
    format!("{:.0}", (amount / unit).round() * unit)
}

pub(super) fn by_cost(said: &Said<'_>) -> Explanation {
    let (day_en, day_zh) = day(said.chosen, said.zone);
    let fails = percent(said.fails_before);
    let cost = money(said.delay_week_cost);
    let currency = said.currency;
    let mut en =
        format!("Best done on {day_en}: until then it fails with a probability of {fails} %.");
    let mut zh = format!("建议于{day_zh}维修：在此之前失效的概率为 {fails}%。");
    if said.shared {
        en.push_str(" Somebody goes to that site on that day, which saves the journey.");
        zh.push_str("当天已安排该站点的上门服务，可节省差旅费。");
    }
    let (later_en, later_zh) = if said.delay_week_cost >= 1.0 {
        (
            format!(" A week later costs {cost} {currency} more on average."),
            format!("推迟一周平均多花 {cost} {currency}。"),
        )
    } else if said.delay_week_cost <= -1.0 {
        (
            format!(" A week later would save {cost} {currency} on average."),
            format!("推迟一周平均可省 {cost} {currency}。"),
        )
    } else {
        (
            " A week later costs the same.".to_owned(),
            "推迟一周费用不变。".to_owned(),
        )
    };
    en.push_str(&later_en);
    zh.push_str(&later_zh);
    Explanation { en, zh }
}

pub(super) fn by_severity(
    advisory: &Advisory,
    (chosen, due_by): (Timestamp, Timestamp),
    hurried: bool,
    zone: Tz,
) -> Explanation {
    let (day_en, day_zh) = day(due_by, zone);
    let (best_en, best_zh) = day(chosen, zone);
    let (kind_en, kind_zh) = if advisory.failure_mode.as_str() == FailureMode::SENSOR_FAULT {
        ("a faulty sensor", "传感器故障")
    } else {
        match advisory.severity {
            Severity::Critical => ("a critical case", "严重案例"),
            Severity::Warning => ("a warning", "预警案例"),
            Severity::Watch => ("a case to watch", "关注案例"),
        }
    };
    let (why_en, why_zh) = if advisory.prognosis.is_some() {
        (
            "The forecast is not calibrated, so no cost of waiting can be reckoned",
            "预测未经校准，无法计算等待的代价",
        )
    } else {
        (
            "There is no forecast, so no cost of waiting can be reckoned",
            "没有预测，无法计算等待的代价",
        )
    };
    let (rule_en, rule_zh) = if hurried {
        (
            "its early end is sooner than severity and agreement ask for",
            "预测的最早失效时间早于按严重程度和服务协议确定的期限",
        )
    } else {
        (
            "the date follows from severity and what is agreed with the customer",
            "日期按严重程度和与客户的服务协议确定",
        )
    };
    Explanation {
        en: format!(
            "Due by {day_en} as {kind_en}; best on {best_en}, with half of the time in reserve. \
             {why_en}; {rule_en}."
        ),
        zh: format!(
            "{kind_zh}，应于{day_zh}前完成，最好在{best_zh}，留出一半时间。{why_zh}；{rule_zh}。"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        for (probability, text) in [(0.0, "<1"), (0.004, "<1"), (0.126, "13"), (0.999, ">99")] {
            assert_eq!(percent(probability), text);
        }
        for (amount, text) in [
            (0.4, "0"),
            (-812.4, "812"),
            (1_234.0, "1230"),
            (98_765.0, "98800"),
        ] {
            assert_eq!(money(amount), text);
        }
    }
}
