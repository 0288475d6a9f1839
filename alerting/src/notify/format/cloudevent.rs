//! The body of a signed webhook: a CloudEvent in structured JSON.
//!
//! # Source
//! CloudEvents 1.0.2, JSON event format, structured content mode.

use serde_json::{Value, json};

use super::super::{
    message::{Content, Message},
    words::Words,
};

/// The media type of the body.
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// The message as an event. `source` names the installation.
pub fn cloudevent(message: &Message, words: &Words, source: &str) -> Value {
    let subject = match &message.content {
        Content::Case { facts, .. } => facts.case.to_string(),
        Content::Visit { work_order, .. } => work_order.to_string(),
        Content::Digest { .. } | Content::Test { .. } => message.recipient.key(),
    };
    json!({
        "specversion": "1.0",
        "id": message.id,
        "source": source,
        "type": format!("bellwether.notification.{}", message.kind.as_str()),
        "subject": subject,
        "time": message.at,
        "datacontenttype": "application/json",
        "data": {
            "recipient": message.recipient.key(),
            "language": message.language,
            "severity": words.severity,
            "title": words.subject,
            "text": words.text,
            "lines": words.lines.iter()
                .map(|(label, value)| json!({ "label": label, "value": value }))
                .collect::<Vec<_>>(),
            "url": words.link.as_ref().map(|(_, url)| url),
            "content": message.content,
        }
    })
}
