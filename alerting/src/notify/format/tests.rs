use serde_json::Value;
use telemetry::{
    AssetId, CaseId, ChannelId, Explanation, MessageId, PersonId, Severity, SiteId, Timestamp,
    WorkOrderId,
};

use super::*;
use crate::{
    notify::{
        message::{CaseFacts, Content, Kind, Message, Recipient},
        words::words,
    },
    people::Language,
};

/// What somebody might call a pump who wants more than a name.
const HOSTILE: &str =
    "<script>alert(1)</script>[x](http://evil.example)*b* @all & \"q\" <!channel>";

fn facts(name: &str) -> CaseFacts {
    CaseFacts {
        case: CaseId::new("C-NJVW7F1694N4").unwrap(),
        asset: AssetId::new("pump-7").unwrap(),
        asset_name: name.to_owned(),
        site: Some(SiteId::new("SITE-0001").unwrap()),
        site_name: Some("上海泵站".to_owned()),
        time_zone: Some("Asia/Shanghai".to_owned()),
        severity: Severity::Critical,
        mode: Explanation {
            en: "Bearing wear".to_owned(),
            zh: "轴承磨损".to_owned(),
        },
        why: Explanation {
            en: "Vibration is 4.9 mm/s, normal is 1.6 to 2.6.".to_owned(),
            zh: "振动为 4.9 mm/s，正常为 1.6 至 2.6。".to_owned(),
        },
        opened_at: Timestamp::parse("2026-03-01T08:30:00Z").unwrap(),
        work_order: Some(WorkOrderId::new("WO-000012").unwrap()),
    }
}

fn message(language: Language, kind: Kind, content: Content) -> Message {
    Message {
        id: MessageId::new("N-913YFN37M3TYPAZW").unwrap(),
        kind,
        recipient: Recipient::Person(PersonId::new("wang-li").unwrap()),
        channel: ChannelId::new("mail").unwrap(),
        address: None,
        language,
        content,
        at: Timestamp::parse("2026-03-01T08:30:05Z").unwrap(),
    }
}

fn of_case(language: Language, name: &str) -> Message {
    let content = Content::Case {
        facts: Box::new(facts(name)),
        by: Some("planner-1".to_owned()),
        note: Some(format!("see {name}\nnow")),
        waited_min: Some(125),
    };
    message(language, Kind::Escalated, content)
}

const BASE: Option<&str> = Some("https://bellwether.example/");

/// Every format of a message, by name.
fn all(message: &Message) -> Vec<(&'static str, String)> {
    let words = words(message, BASE);
    let json = |value: Value| serde_json::to_string_pretty(&value).unwrap();
    vec![
        ("plain", plain(&words)),
        ("html", html(&words)),
        (
            "cloudevent",
            json(cloudevent(message, &words, "urn:bellwether:plant")),
        ),
        ("slack", json(slack(&words))),
        ("teams", json(teams(&words))),
        ("wecom", json(wecom(&words))),
        ("dingtalk", json(dingtalk(&words))),
        ("feishu", json(feishu(&words))),
    ]
}

#[test]
fn a_case_reads_the_same_in_every_format_and_language() {
    for language in [Language::En, Language::Zh] {
        for (format, text) in all(&of_case(language, "Pump 7")) {
            insta::assert_snapshot!(format!("case_{format}_{}", language.as_str()), text);
        }
    }
}

#[test]
fn digests_visits_and_tests_read_well_in_both_languages() {
    let visit = Content::Visit {
        work_order: WorkOrderId::new("WO-000012").unwrap(),
        asset_name: "Pump 7".to_owned(),
        site_name: Some("上海泵站".to_owned()),
        at: Timestamp::parse("2026-03-29T07:00:00Z").unwrap(),
        time_zone: Some("Europe/Berlin".to_owned()),
        engineer: Some("Chen".to_owned()),
    };
    let digest = Content::Digest {
        count: 4_997,
        critical: 4_990,
        first: vec![facts("Pump 7"), facts("Pump 8")],
    };
    let test = Content::Test {
        by: "planner-1".to_owned(),
    };
    for language in [Language::En, Language::Zh] {
        for (kind, content) in [
            (Kind::Visit, &visit),
            (Kind::Digest, &digest),
            (Kind::Test, &test),
        ] {
            let message = message(language, kind, content.clone());
            let name = format!("{}_{}", kind.as_str(), language.as_str());
            insta::assert_snapshot!(name, plain(&words(&message, BASE)));
        }
    }
}

#[test]
fn what_people_typed_adds_no_tag_link_or_mention() {
    for language in [Language::En, Language::Zh] {
        let message = of_case(language, HOSTILE);
        for (format, text) in all(&message) {
            match format {
                // Text is text there: shown as it is, or carried as data for a program to show.
                "plain" | "cloudevent" => {}
                "html" => assert!(
                    !text.contains("<script") && !text.contains("<!channel"),
                    "{text}"
                ),
                "wecom" | "dingtalk" => {
                    for bad in ["<", "](http://evil", "*b*", "@all"] {
                        assert!(!text.contains(bad), "{format} {bad}: {text}");
                    }
                }
                _ => only_plain_text(format, &serde_json::from_str(&text).unwrap()),
            }
        }
    }
}

/// No object that holds what was typed is of a kind that is read as markup.
fn only_plain_text(format: &str, value: &Value) {
    const MARKUP: [&str; 3] = ["mrkdwn", "lark_md", "TextBlock"];
    match value {
        Value::Object(fields) => {
            for kind in ["type", "tag"] {
                let kind = fields.get(kind).and_then(Value::as_str).unwrap_or_default();
                assert!(!MARKUP.contains(&kind), "{format}: {value}");
            }
            // The fallback of Slack is markup, and escaped.
            if let Some(Value::String(text)) = fields.get("text").filter(|_| format == "slack")
                && fields.get("blocks").is_some()
            {
                assert!(!text.contains('<'), "{text}");
            }
            fields
                .values()
                .for_each(|value| only_plain_text(format, value));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| only_plain_text(format, value)),
        _ => {}
    }
}

#[test]
fn a_name_with_line_breaks_stays_one_line() {
    let message = of_case(Language::En, "Pump\r\nBcc: all@example.com");
    let words = words(&message, BASE);
    assert!(!words.subject.contains(['\r', '\n']), "{}", words.subject);
}

#[test]
fn long_messages_fit_the_limits_of_the_services_and_keep_their_link() {
    let long = "轴".repeat(3_000);
    let message = of_case(Language::Zh, &long);
    let words = words(&message, BASE);
    let wecom = wecom(&words)["markdown"]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        wecom.len() <= 4_096 && wecom.contains("/cases/C-NJVW7F1694N4"),
        "{}",
        wecom.len()
    );
    let slack = slack(&words);
    let header = slack["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(header.chars().count() <= 150);
    assert!(feishu(&words).to_string().len() < 20_000);
    assert!(teams(&words).to_string().len() < 28_000);
    assert_eq!(cut("轴承", 5), "…", "cut between characters");
    assert_eq!(cut("ab", 5), "ab");
}
