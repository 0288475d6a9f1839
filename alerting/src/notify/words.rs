//! What a message says, in English and Chinese, as plain text. Nothing here is markup: each
//! format escapes what it gets.

use chrono_tz::Tz;
use telemetry::{Explanation, Severity, Timestamp};

use super::message::{CaseFacts, Content, Kind, Message};
use crate::people::Language;

/// The longest line of a message in characters; names and notes are cut there.
const MAX_LINE_CHARS: usize = 500;

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line that says it all.
    pub subject: String,
    /// A paragraph; empty when the lines say everything.
    pub text: String,
    /// What belongs to it, as label and value.
    pub lines: Vec<(String, String)>,
    /// Where to look further, with what the link is called.
    pub link: Option<(String, String)>,
    /// How urgent it is.
    pub severity: Option<Severity>,
    /// The message, for who has to quote it.
    pub id: String,
}

/// Puts a message into words. `base` is where people reach the pages; without it there are no links.
pub fn words(message: &Message, base: Option<&str>) -> Words {
    let language = message.language;
    let severity = message.content.severity();
    let mut words = match &message.content {
        Content::Case {
            facts,
            by,
            note,
            waited_min,
        } => of_case(
            message.kind,
            facts,
            by.as_deref(),
            note.as_deref(),
            *waited_min,
            language,
        ),
        Content::Digest {
            count,
            critical,
            first,
        } => of_digest(*count, *critical, first, language),
        Content::Visit { .. } => of_visit(&message.content, language),
        Content::Test { by } => of_test(by, language),
    };
    let path = match &message.content {
        Content::Case { facts, .. } => Some(format!("/cases/{}", facts.case)),
        Content::Digest { .. } => Some("/cases".to_owned()),
        // Customers have no access to the pages.
        Content::Visit { .. } | Content::Test { .. } => None,
    };
    words.link = base.zip(path).map(|(base, path)| {
        let name = say(language, "Open in Bellwether", "在 Bellwether 中打开");
        (name, format!("{}{path}", base.trim_end_matches('/')))
    });
    words.severity = severity;
    words.id = message.id.to_string();
    words.subject = one_line(&words.subject);
    for (_, value) in &mut words.lines {
        *value = one_line(value);
    }
    words
}

fn say(language: Language, en: &str, zh: &str) -> String {
    match language {
        Language::En => en.to_owned(),
        Language::Zh => zh.to_owned(),
    }
}

fn of(text: &Explanation, language: Language) -> &str {
    match language {
        Language::En => &text.en,
        Language::Zh => &text.zh,
    }
}

/// One line without control characters, so that a name cannot add a header or a line.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_LINE_CHARS).collect()
}

/// The word for how urgent something is.
pub fn severity_word(severity: Severity, language: Language) -> String {
    match severity {
        Severity::Critical => say(language, "Critical", "紧急"),
        Severity::Warning => say(language, "Warning", "警告"),
        Severity::Watch => say(language, "Watch", "关注"),
    }
}

/// A time by the clock of a place, with the name of its zone; UTC where none is known.
pub fn wall_time(at: Timestamp, zone: Option<&str>) -> String {
    let zone: Option<Tz> = zone.and_then(|name| name.parse().ok());
    match zone {
        Some(zone) => {
            let at = at.to_utc().with_timezone(&zone);
            format!("{} ({})", at.format("%Y-%m-%d %H:%M"), zone.name())
        }
        None => format!("{} (UTC)", at.to_utc().format("%Y-%m-%d %H:%M")),
    }
}

fn place(facts: &CaseFacts) -> String {
    facts
        .site_name
        .clone()
        .or_else(|| facts.site.as_ref().map(ToString::to_string))
        .unwrap_or_else(|| "–".to_owned())
}

fn of_case(
    kind: Kind,
    facts: &CaseFacts,
    by: Option<&str>,
    note: Option<&str>,
    waited_min: Option<u64>,
    language: Language,
) -> Words {
    let urgency = severity_word(facts.severity, language);
    let what = format!("{}: {}", facts.asset_name, of(&facts.mode, language));
    let reason = match kind {
        Kind::Risen => say(language, "more urgent", "严重度升高"),
        Kind::Escalated => {
            let waited = duration(waited_min.unwrap_or(0), language);
            match language {
                Language::En => format!("still open after {waited}"),
                Language::Zh => format!("{waited}后仍未处理"),
            }
        }
        Kind::Assigned => say(language, "assigned to you", "已分配给您"),
        Kind::Commented => say(language, "new comment", "新评论"),
        _ => say(language, "new case", "新案例"),
    };
    let mut lines = vec![
        (
            say(language, "Asset", "设备"),
            format!("{} ({})", facts.asset_name, facts.asset),
        ),
        (say(language, "Site", "站点"), place(facts)),
        (
            say(language, "Problem", "问题"),
            of(&facts.mode, language).to_owned(),
        ),
        (say(language, "Severity", "严重度"), urgency.clone()),
        (
            say(language, "Since", "开始时间"),
            wall_time(facts.opened_at, facts.time_zone.as_deref()),
        ),
        (say(language, "Case", "案例"), facts.case.to_string()),
    ];
    if let Some(order) = &facts.work_order {
        lines.push((say(language, "Work order", "工单"), order.to_string()));
    }
    if let Some(by) = by {
        lines.push((say(language, "By", "操作人"), by.to_owned()));
    }
    let note = note.filter(|note| !note.is_empty());
    if let Some(note) = note {
        lines.push((say(language, "Note", "备注"), note.to_owned()));
    }
    Words {
        subject: match language {
            Language::En => format!("[{urgency}] {what} – {reason}"),
            Language::Zh => format!("【{urgency}】{what}（{reason}）"),
        },
        text: of(&facts.why, language).to_owned(),
        lines,
        link: None,
        severity: None,
        id: String::new(),
    }
}

/// Hours from two on, else minutes.
fn duration(minutes: u64, language: Language) -> String {
    match (language, minutes >= 120) {
        (Language::En, true) => format!("{} hours", minutes / 60),
        (Language::En, false) => format!("{minutes} minutes"),
        (Language::Zh, true) => format!("{} 小时", minutes / 60),
        (Language::Zh, false) => format!("{minutes} 分钟"),
    }
}

fn of_digest(count: u64, critical: u64, first: &[CaseFacts], language: Language) -> Words {
    let line = |facts: &CaseFacts| {
        let what = format!("{}: {}", facts.asset_name, of(&facts.mode, language));
        let label = format!("{} {}", severity_word(facts.severity, language), facts.case);
        (label, format!("{what}, {}", place(facts)))
    };
    let more = count.saturating_sub(first.len() as u64);
    let mut lines: Vec<_> = first.iter().map(line).collect();
    if more > 0 {
        lines.push(match language {
            Language::En => (
                "And".to_owned(),
                format!("{more} more, see the list of cases"),
            ),
            Language::Zh => ("另有".to_owned(), format!("{more} 个，见案例列表")),
        });
    }
    Words {
        subject: match language {
            Language::En => format!("{count} more cases, {critical} of them critical"),
            Language::Zh => format!("另有 {count} 个案例，其中 {critical} 个紧急"),
        },
        text: say(
            language,
            "Many cases came at once. So that the urgent ones are not buried, these are told together.",
            "短时间内出现大量案例。为避免紧急消息被淹没，以下案例合并通知。",
        ),
        lines,
        link: None,
        severity: None,
        id: String::new(),
    }
}

fn of_visit(content: &Content, language: Language) -> Words {
    let Content::Visit {
        work_order,
        asset_name,
        site_name,
        at,
        time_zone,
        engineer,
    } = content
    else {
        return of_test("", language);
    };
    let when = wall_time(*at, time_zone.as_deref());
    let mut lines = vec![
        (say(language, "When", "时间"), when.clone()),
        (say(language, "Machine", "设备"), asset_name.clone()),
    ];
    if let Some(site) = site_name {
        lines.push((say(language, "Where", "地点"), site.clone()));
    }
    if let Some(engineer) = engineer {
        lines.push((say(language, "Engineer", "工程师"), engineer.clone()));
    }
    lines.push((say(language, "Work order", "工单"), work_order.to_string()));
    Words {
        subject: match language {
            Language::En => format!("Planned maintenance visit on {when}: {asset_name}"),
            Language::Zh => format!("计划维护上门通知：{asset_name}，{when}"),
        },
        text: say(
            language,
            "We have planned maintenance on one of your machines, before it fails. Please tell us \
             if the time does not suit you or if access has to be arranged.",
            "我们计划在设备发生故障之前上门维护。如时间不便或需要办理入场手续，请告知我们。",
        ),
        lines,
        link: None,
        severity: None,
        id: String::new(),
    }
}

fn of_test(by: &str, language: Language) -> Words {
    Words {
        subject: say(
            language,
            "Test message from Bellwether",
            "Bellwether 测试消息",
        ),
        text: say(
            language,
            "This channel works. Nothing is wrong with any machine.",
            "此通道工作正常，没有设备异常。",
        ),
        lines: vec![(say(language, "Asked for by", "发起人"), by.to_owned())],
        link: None,
        severity: None,
        id: String::new(),
    }
}
