//! What was refused in one message, and the dead letters that tell of it.
//!
//! A message gives at most one dead letter a reason: it names the first places and counts the
//! rest, so that an array of ten thousand bad values does not become ten thousand letters.

use std::fmt::Write as _;

use telemetry::{DeadLetter, DeadLetterReason, DeviceId};

use super::Message;

/// Places named in one letter before the rest are only counted.
const MAX_NAMED: u32 = 8;

/// The longest quotation from a payload in a detail, in characters.
const MAX_QUOTE_CHARS: usize = 64;

/// Longer content types are none that is understood; a quarter of
/// [`DeadLetter::MAX_TOPIC_BYTES`], so that any characters fit.
const MAX_CONTENT_TYPE_CHARS: usize = DeadLetter::MAX_TOPIC_BYTES / 4;

/// Refusals of one message. Empty and without allocation for a good message.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    reason: DeadLetterReason,
    detail: String,
    count: u32,
}

impl Refusals {
    pub(crate) fn add(&mut self, reason: DeadLetterReason, detail: impl FnOnce() -> String) {
        if let Some(known) = self.0.iter_mut().find(|refusal| refusal.reason == reason) {
            known.count += 1;
            if known.count <= MAX_NAMED {
                known.detail.push_str("; ");
                known.detail.push_str(&detail());
            }
            return;
        }
        self.0.push(Refusal {
            reason,
            detail: detail(),
            count: 1,
        });
    }

    /// How many refusals there are so far.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|refusal| refusal.count).sum()
    }

    /// Whether something was refused for this reason.
    pub(super) fn has(&self, reason: DeadLetterReason) -> bool {
        self.0.iter().any(|refusal| refusal.reason == reason)
    }

    /// Forgets everything: the whole message is refused for another reason.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Moves the refusals into the record as dead letters of the message.
    pub(super) fn into_letters(
        self,
        message: Message<'_>,
        device: Option<&DeviceId>,
        letters: &mut Vec<DeadLetter>,
    ) {
        for mut refusal in self.0 {
            if let Some(more) = refusal
                .count
                .checked_sub(MAX_NAMED)
                .filter(|&more| more > 0)
            {
                // Writing to a string cannot fail.
                let _ = write!(refusal.detail, "; and {more} more like these");
            }
            letters.push(letter(message, device, refusal.reason, refusal.detail));
        }
    }
}

/// One dead letter with topic and payload cut to their limits.
pub(super) fn letter(
    message: Message<'_>,
    device: Option<&DeviceId>,
    reason: DeadLetterReason,
    detail: String,
) -> DeadLetter {
    let mut cut = message.topic.len().min(DeadLetter::MAX_TOPIC_BYTES);
    while !message.topic.is_char_boundary(cut) {
        cut -= 1;
    }
    let kept = message.payload.len().min(DeadLetter::MAX_PAYLOAD_BYTES);
    DeadLetter {
        reason,
        detail,
        device: device.cloned(),
        topic: message.topic[..cut].into(),
        received_at: message.received_at,
        content_type: message
            .content_type
            .map(|text| text.chars().take(MAX_CONTENT_TYPE_CHARS).collect()),
        properties: message
            .properties
            .iter()
            .take(DeadLetter::MAX_PROPERTIES)
            .cloned()
            .collect(),
        payload: message.payload[..kept].to_vec(),
        payload_len: message.payload.len() as u64,
    }
}

/// A text from outside, cut and escaped for one line.
pub(crate) fn quote(text: &str) -> String {
    let short: String = text.chars().take(MAX_QUOTE_CHARS).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{dots}")
}
