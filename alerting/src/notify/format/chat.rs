//! The chat services: Slack, Microsoft Teams, WeCom (企业微信), DingTalk (钉钉) and Feishu (飞书).
//!
//! Plain-text fields are used wherever a service has them. Where it has only its own markdown, the
//! signs that mean something there are replaced by their full-width twins, which read the same
//! and mean nothing: none of the services documents a way to escape them.

use serde_json::{Value, json};
use telemetry::Severity;

use super::{super::words::Words, cut};

/// Slack: a header has 150 characters, a text 3,000, a field 2,000, a section ten fields.
const SLACK_HEADER: usize = 150;
const SLACK_TEXT: usize = 2_900;
const SLACK_FIELD: usize = 1_900;
const SLACK_FIELDS: usize = 10;
/// WeCom: 4,096 bytes of markdown.
const WECOM_TEXT: usize = 4_000;
/// DingTalk: 20,000 bytes of markdown.
const DINGTALK_TEXT: usize = 18_000;
/// A Teams message has 28 kB, a Feishu one 20 kB: no line needs more than this of it.
const CARD_LINE: usize = 1_000;

/// Slack, by an incoming webhook.
///
/// # Source
/// Slack Block Kit reference; "Escaping text" for `&`, `<` and `>`.
pub fn slack(words: &Words) -> Value {
    let safe = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let plain_text =
        |text: &str, most| json!({ "type": "plain_text", "text": cut(text, most), "emoji": false });
    let mut blocks =
        vec![json!({ "type": "header", "text": plain_text(&words.subject, SLACK_HEADER) })];
    if !words.text.is_empty() {
        blocks.push(json!({ "type": "section", "text": plain_text(&words.text, SLACK_TEXT) }));
    }
    for fields in words.lines.chunks(SLACK_FIELDS) {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(label, value)| plain_text(&format!("{label}: {value}"), SLACK_FIELD))
            .collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if let Some((name, url)) = &words.link {
        let button = json!({ "type": "button", "text": plain_text(name, 70), "url": url });
        blocks.push(json!({ "type": "actions", "elements": [button] }));
    }
    blocks.push(json!({ "type": "context", "elements": [plain_text(&words.id, 100)] }));
    json!({ "text": cut(&safe(&words.subject), SLACK_TEXT), "blocks": blocks })
}

/// Microsoft Teams, by a workflow that posts what a webhook receives: an Adaptive Card.
///
/// # Source
/// Adaptive Cards 1.4 schema. A text block takes a subset of markdown; a run of text does not.
pub fn teams(words: &Words) -> Value {
    let run = |text: &str, weight: &str, size: &str, color: &str| {
        json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun",
            "text": cut(text, CARD_LINE), "weight": weight, "size": size, "color": color }] })
    };
    let color = match words.severity {
        Some(Severity::Critical) => "Attention",
        Some(Severity::Warning) => "Warning",
        _ => "Default",
    };
    let mut body = vec![run(&words.subject, "Bolder", "Medium", color)];
    if !words.text.is_empty() {
        body.push(run(&words.text, "Default", "Default", "Default"));
    }
    for (label, value) in &words.lines {
        body.push(run(
            &format!("{label}: {value}"),
            "Default",
            "Default",
            "Default",
        ));
    }
    body.push(run(&words.id, "Lighter", "Small", "Default"));
    let actions: Vec<Value> = words
        .link
        .iter()
        .map(|(name, url)| json!({ "type": "Action.OpenUrl", "title": name, "url": url }))
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
            }
        }]
    })
}

/// A text in which nothing means anything to the markdown of WeCom and DingTalk, on one line.
fn harmless(text: &str) -> String {
    let twin = |c: char| match c {
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '(' => '（',
        ')' => '）',
        '*' => '＊',
        '_' => '＿',
        '`' => '｀',
        '#' => '＃',
        '!' => '！',
        '@' => '＠',
        '&' => '＆',
        '|' => '｜',
        '~' => '～',
        '\\' => '＼',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(twin).collect()
}

/// The lines of a markdown message, with a blank line between them, so that each stands alone.
fn markdown(words: &Words, most: usize) -> String {
    let mut parts = vec![format!("**{}**", harmless(&words.subject))];
    if !words.text.is_empty() {
        parts.push(harmless(&words.text));
    }
    for (label, value) in &words.lines {
        parts.push(format!("{}: {}", harmless(label), harmless(value)));
    }
    // What is cut is never the link or the id.
    let mut end = String::new();
    if let Some((name, url)) = &words.link {
        end = format!("\n\n[{}]({url})", harmless(name));
    }
    end.push_str("\n\n");
    end.push_str(&words.id);
    format!(
        "{}{end}",
        cut(&parts.join("\n\n"), most.saturating_sub(end.len()))
    )
}

/// WeCom (企业微信), by a group robot.
///
/// # Source
/// 企业微信开发者中心, 消息推送配置说明: `markdown` of at most 4,096 bytes of UTF-8.
pub fn wecom(words: &Words) -> Value {
    json!({ "msgtype": "markdown", "markdown": { "content": markdown(words, WECOM_TEXT) } })
}

/// DingTalk (钉钉), by a custom robot.
///
/// # Source
/// 钉钉开放平台, 自定义机器人发送群消息: `markdown` with `title` and `text`.
pub fn dingtalk(words: &Words) -> Value {
    json!({ "msgtype": "markdown", "markdown": {
        "title": harmless(&cut(&words.subject, CARD_LINE)),
        "text": markdown(words, DINGTALK_TEXT),
    } })
}

/// Feishu (飞书), by a custom robot: a card of plain texts.
///
/// # Source
/// 飞书开放平台, 自定义机器人使用指南, `msg_type` `interactive`.
pub fn feishu(words: &Words) -> Value {
    let plain_text = |text: &str| json!({ "tag": "plain_text", "content": cut(text, CARD_LINE) });
    let div = |text: &str| json!({ "tag": "div", "text": plain_text(text) });
    let template = match words.severity {
        Some(Severity::Critical) => "red",
        Some(Severity::Warning) => "orange",
        _ => "blue",
    };
    let mut elements = Vec::new();
    if !words.text.is_empty() {
        elements.push(div(&words.text));
    }
    for (label, value) in &words.lines {
        elements.push(div(&format!("{label}: {value}")));
    }
    if let Some((name, url)) = &words.link {
        let button =
            json!({ "tag": "button", "text": plain_text(name), "url": url, "type": "primary" });
        elements.push(json!({ "tag": "action", "actions": [button] }));
    }
    elements.push(json!({ "tag": "note", "elements": [plain_text(&words.id)] }));
    json!({
        "msg_type": "interactive",
        "card": {
            "config": { "wide_screen_mode": true },
            "header": { "title": plain_text(&words.subject), "template": template },
            "elements": elements,
        }
    })
}
