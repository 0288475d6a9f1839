//! The ways by which people are told, the requests they take and the answers they give.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::Value;
use telemetry::{ChannelId, Timestamp};

use super::{
    format,
    http::{Answer, Request},
    message::Message,
    sign,
    words::Words,
};
use crate::people::Language;

/// What kind of way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Mail.
    Smtp,
    /// A signed CloudEvent.
    Webhook,
    /// Slack.
    Slack,
    /// Microsoft Teams.
    Teams,
    /// 企业微信.
    Wecom,
    /// 钉钉.
    Dingtalk,
    /// 飞书.
    Feishu,
}

impl ChannelKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Smtp,
        Self::Webhook,
        Self::Slack,
        Self::Teams,
        Self::Wecom,
        Self::Dingtalk,
        Self::Feishu,
    ];

    /// The word in API and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Wecom => "wecom",
            Self::Dingtalk => "dingtalk",
            Self::Feishu => "feishu",
        }
    }
}

/// One way. Its address and its secret are shown nowhere: whoever knows the address of a chat
/// robot can write in its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// What kind it is.
    pub kind: ChannelKind,
    /// `smtp://`, `smtps://`, `http://` or `https://`.
    pub url: String,
    /// What messages are signed with.
    pub secret: Option<String>,
    /// Who mail is from.
    pub from: Option<String>,
    /// Whether an address inside the plant may be called.
    pub allow_private: bool,
    /// The language of a group that reads it.
    pub language: Language,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Serialize for Channel {
    /// Everything but address and secret.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("channel", 5)?;
        shown.serialize_field("id", &self.id)?;
        shown.serialize_field("kind", &self.kind)?;
        shown.serialize_field("from", &self.from)?;
        shown.serialize_field("allow_private", &self.allow_private)?;
        shown.serialize_field("language", &self.language)?;
        shown.end()
    }
}

/// Every way there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Channels(pub BTreeMap<ChannelId, Channel>);

impl Channels {
    /// The channel with this id.
    pub fn get(&self, id: &ChannelId) -> Option<&Channel> {
        self.0.get(id)
    }

    /// The first channel by which customers are written to: they have an address and nothing else.
    pub fn mail(&self) -> Option<&Channel> {
        self.0
            .values()
            .find(|channel| channel.kind == ChannelKind::Smtp)
    }
}

/// The request that carries a message by a channel that is no mail.
///
/// `now` is signed, so a message that is sent again has another signature and the same id.
pub fn request(
    channel: &Channel,
    message: &Message,
    words: &Words,
    source: &str,
    now: Timestamp,
) -> Request {
    let millis = now.as_millis();
    let secs = millis.div_euclid(1_000);
    let mut headers = Vec::new();
    let mut url = channel.url.clone();
    let mut content_type = "application/json; charset=utf-8";
    let body = match channel.kind {
        ChannelKind::Slack => format::slack(words),
        ChannelKind::Teams => format::teams(words),
        ChannelKind::Wecom => format::wecom(words),
        ChannelKind::Dingtalk => {
            if let Some(secret) = &channel.secret {
                let sign = in_query(&sign::dingtalk(secret, millis));
                let joint = if url.contains('?') { '&' } else { '?' };
                url = format!("{url}{joint}timestamp={millis}&sign={sign}");
            }
            format::dingtalk(words)
        }
        ChannelKind::Feishu => {
            let mut body = format::feishu(words);
            if let Some(secret) = &channel.secret {
                body["timestamp"] = Value::String(secs.to_string());
                body["sign"] = Value::String(sign::feishu(secret, secs));
            }
            body
        }
        ChannelKind::Webhook | ChannelKind::Smtp => {
            content_type = format::MEDIA_TYPE;
            format::cloudevent(message, words, source)
        }
    };
    let body = body.to_string().into_bytes();
    if channel.kind == ChannelKind::Webhook {
        let id = message.id.as_str();
        headers.push(("webhook-id".to_owned(), id.to_owned()));
        headers.push(("webhook-timestamp".to_owned(), secs.to_string()));
        if let Some(secret) = &channel.secret {
            let signature = sign::webhook_signature(secret, id, secs, &body);
            headers.push(("webhook-signature".to_owned(), signature));
        }
    }
    Request {
        method: "POST",
        url,
        headers,
        content_type,
        body,
        allow_private: channel.allow_private,
    }
}

/// Base 64 as it may stand in a query.
fn in_query(base64: &str) -> String {
    base64
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has the message.
    Taken,
    /// Later, perhaps.
    Later(String),
    /// Never like this; a person has to look.
    Refused(String),
}

/// Statuses with which a server asks for patience: 408, 425, 429 and its own failures.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// The longest part of an answer that is kept: enough for the reason.
const MAX_REASON_CHARS: usize = 200;

/// Judges an answer. The Chinese services answer 200 to everything and say in the body what
/// became of it.
pub fn judge(kind: ChannelKind, answer: &Answer) -> Verdict {
    let text = String::from_utf8_lossy(&answer.body);
    let reason = |what: &str| {
        let said: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_REASON_CHARS)
            .collect();
        format!("{what}: {said}")
    };
    if !(200..300).contains(&answer.status) {
        let said = reason(&format!("answered {}", answer.status));
        return if is_transient(answer.status) {
            Verdict::Later(said)
        } else {
            Verdict::Refused(said)
        };
    }
    let field = match kind {
        ChannelKind::Wecom | ChannelKind::Dingtalk => "errcode",
        ChannelKind::Feishu => "code",
        _ => return Verdict::Taken,
    };
    let code = serde_json::from_slice::<Value>(&answer.body)
        .ok()
        .and_then(|body| body.get(field)?.as_i64());
    match (kind, code) {
        (_, Some(0)) => Verdict::Taken,
        // Too many messages in a minute: 45009 (企业微信), 130101 (钉钉), 11232 and 9499 (飞书).
        (ChannelKind::Wecom, Some(-1 | 45_009))
        | (ChannelKind::Dingtalk, Some(-1 | 130_101))
        | (ChannelKind::Feishu, Some(11_232 | 9_499)) => Verdict::Later(reason("asked to wait")),
        (_, Some(code)) => Verdict::Refused(reason(&format!("answered {field} {code}"))),
        (_, None) => Verdict::Later(reason("gave an answer that says nothing")),
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{MessageId, PersonId};

    use super::*;
    use crate::notify::{
        message::{Content, Kind, Recipient},
        words::words,
    };

    fn sent(kind: ChannelKind, url: &str) -> Request {
        let channel = Channel {
            id: ChannelId::new("chat").unwrap(),
            kind,
            url: url.to_owned(),
            secret: Some("SECdemo".to_owned()),
            from: None,
            allow_private: false,
            language: Language::En,
        };
        let message = Message {
            id: MessageId::new("N-1").unwrap(),
            kind: Kind::Test,
            recipient: Recipient::Person(PersonId::new("wang").unwrap()),
            channel: channel.id.clone(),
            address: None,
            language: Language::En,
            content: Content::Test {
                by: "planner".to_owned(),
            },
            at: Timestamp::from_secs(1_763_794_800),
        };
        let words = words(&message, None);
        let now = Timestamp::from_millis(1_763_794_800_000);
        request(&channel, &message, &words, "urn:bellwether", now)
    }

    #[test]
    fn signatures_stand_where_each_service_looks_for_them() {
        let webhook = sent(ChannelKind::Webhook, "https://example.com/in");
        let header = |name: &str| {
            let mut found = webhook.headers.iter().filter(|(key, _)| key == name);
            found.next().map(|(_, value)| value.clone()).unwrap()
        };
        assert_eq!(header("webhook-id"), "N-1");
        assert_eq!(header("webhook-timestamp"), "1763794800");
        let expected = sign::webhook_signature("SECdemo", "N-1", 1_763_794_800, &webhook.body);
        assert_eq!(header("webhook-signature"), expected);

        let dingtalk = sent(
            ChannelKind::Dingtalk,
            "https://oapi.example.com/robot/send?access_token=x",
        );
        let sign = in_query(&sign::dingtalk("SECdemo", 1_763_794_800_000));
        assert!(
            dingtalk
                .url
                .ends_with(&format!("&timestamp=1763794800000&sign={sign}"))
        );
        let feishu = sent(ChannelKind::Feishu, "https://open.example.com/hook/x");
        let body: Value = serde_json::from_slice(&feishu.body).unwrap();
        assert_eq!(body["sign"], sign::feishu("SECdemo", 1_763_794_800));
    }

    #[test]
    fn answers_are_judged_as_each_service_means_them() {
        use ChannelKind::{Dingtalk, Feishu, Slack, Wecom};
        for (kind, status, body, expected) in [
            (Slack, 200, "ok", "taken"),
            (Slack, 302, "", "refused"),
            (Slack, 404, "no_service", "refused"),
            (Slack, 429, "", "later"),
            (Slack, 503, "", "later"),
            (Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#, "taken"),
            (
                Wecom,
                200,
                r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
                "refused",
            ),
            (Wecom, 200, r#"{"errcode":45009}"#, "later"),
            (
                Dingtalk,
                200,
                r#"{"errcode":310000,"errmsg":"sign not match"}"#,
                "refused",
            ),
            (Dingtalk, 200, "<html>", "later"),
            (Feishu, 200, r#"{"code":0,"msg":"success"}"#, "taken"),
            (
                Feishu,
                200,
                r#"{"code":19021,"msg":"sign match fail"}"#,
                "refused",
            ),
        ] {
            let answer = Answer {
                status,
                retry_after: None,
                body: body.as_bytes().to_vec(),
            };
            let found = match judge(kind, &answer) {
                Verdict::Taken => "taken",
                Verdict::Later(_) => "later",
                Verdict::Refused(_) => "refused",
            };
            assert_eq!(found, expected, "{kind:?} {status} {body}");
        }
    }

    #[test]
    fn neither_address_nor_secret_is_ever_shown() {
        let channel = Channel {
            id: ChannelId::new("chat").unwrap(),
            kind: ChannelKind::Slack,
            url: "https://hooks.example.com/T0/B0/hidden".to_owned(),
            secret: Some("hidden".to_owned()),
            from: None,
            allow_private: false,
            language: Language::En,
        };
        let shown = format!("{channel:?}{}", serde_json::to_string(&channel).unwrap());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
