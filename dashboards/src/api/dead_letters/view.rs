//! A dead letter as the API shows it.

use base64::{Engine, prelude::BASE64_STANDARD};
use historian::StoredDeadLetter;
use serde::Serialize;
use telemetry::{DeviceId, Timestamp};
use utoipa::ToSchema;

use crate::api::{list::Listed, table::Cell};

/// Bytes of a binary payload that are shown as text as well, for those who look at names in it.
const BINARY_TEXT_BYTES: usize = 1024;

/// A message that failed a check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// Its number; rises with every dead letter.
    pub id: u64,
    /// Which check it failed, such as `malformed_payload`.
    pub reason: String,
    /// What exactly was wrong and what to do.
    pub detail: String,
    /// The device, when topic or session told it.
    #[schema(value_type = Option<String>)]
    pub device: Option<DeviceId>,
    /// The topic it was published on.
    pub topic: String,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When it was taken again with success; null while it is open.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub replayed_at: Option<Timestamp>,
    /// The content type the sender gave.
    pub content_type: Option<String>,
    /// The properties the sender gave.
    pub properties: Vec<Property>,
    /// The payload as text, in a list its first 4 KiB. Of a payload that is no text, the first
    /// bytes with everything that is no UTF-8 replaced.
    pub payload: String,
    /// The payload as it is, when it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The length of the whole payload in bytes.
    pub payload_len: u64,
    /// Whether the whole payload is kept, so that it can be taken again.
    pub whole: bool,
}

/// A property of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl From<StoredDeadLetter> for DeadLetterView {
    fn from(stored: StoredDeadLetter) -> Self {
        let letter = stored.letter;
        let (payload, payload_base64) = shown(&letter.payload, letter.payload_len);
        let properties = letter.properties.into_iter();
        Self {
            id: stored.id,
            reason: letter.reason.as_str().to_owned(),
            detail: letter.detail,
            device: letter.device,
            topic: letter.topic,
            received_at: letter.received_at,
            replayed_at: stored.replayed_at,
            content_type: letter.content_type,
            properties: properties
                .map(|(name, value)| Property { name, value })
                .collect(),
            payload,
            payload_base64,
            payload_len: letter.payload_len,
            whole: stored.whole,
        }
    }
}

/// A payload as text, and as base64 when it is none. A cut may fall inside a character; that
/// alone does not make it binary.
fn shown(payload: &[u8], whole_len: u64) -> (String, Option<String>) {
    let is_cut = (payload.len() as u64) < whole_len;
    match std::str::from_utf8(payload) {
        Ok(text) => (text.to_owned(), None),
        Err(error) if is_cut && error.error_len().is_none() => {
            let text = &payload[..error.valid_up_to()];
            (String::from_utf8_lossy(text).into_owned(), None)
        }
        Err(_) => {
            let first = &payload[..payload.len().min(BINARY_TEXT_BYTES)];
            let text = String::from_utf8_lossy(first).into_owned();
            (text, Some(BASE64_STANDARD.encode(payload)))
        }
    }
}

impl Listed for DeadLetterView {
    const NAME: &'static str = "dead-letters";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "received_at",
        "reason",
        "detail",
        "device",
        "topic",
        "content_type",
        "replayed_at",
        "payload_len",
        "payload",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.id),
            Cell::plain(self.received_at),
            Cell::plain(self.reason),
            Cell::text(self.detail),
            Cell::text(
                self.device
                    .map(|device| device.to_string())
                    .unwrap_or_default(),
            ),
            Cell::text(self.topic),
            Cell::text(self.content_type.unwrap_or_default()),
            Cell::maybe(self.replayed_at),
            Cell::plain(self.payload_len),
            Cell::text(self.payload),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_text_unless_its_bytes_say_otherwise() {
        let cut = "主".as_bytes();
        for (payload, whole_len, text, base64) in [
            (&b"{\"a\":1}"[..], 7, "{\"a\":1}", None),
            (&cut[..2], 9, "", None),
            (&cut[..2], 2, "\u{fffd}", Some("5Lg=")),
            (&[0xff, 0x00][..], 2, "\u{fffd}\0", Some("/wA=")),
            (&b""[..], 0, "", None),
        ] {
            let (shown_text, shown_base64) = shown(payload, whole_len);
            assert_eq!(
                (&*shown_text, shown_base64.as_deref()),
                (text, base64),
                "{payload:?}"
            );
        }
        let (text, base64) = shown(&[0xff; 10_000], 10_000);
        assert_eq!(text.chars().count(), BINARY_TEXT_BYTES);
        assert_eq!(base64.unwrap().len(), 13_336);
    }
}
