//! Texts that people type, checked once where they come in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest name in characters; a line on a screen, and short enough to index.
const MAX_NAME_CHARS: usize = 200;
/// The longest note in characters: about two printed pages.
const MAX_NOTE_CHARS: usize = 4_000;
/// The longest time zone name in bytes; the longest in the IANA database has 32.
const MAX_ZONE_BYTES: usize = 64;

/// The longest topic prefix in bytes; longer than any plant's naming scheme.
const MAX_TOPIC_PREFIX_BYTES: usize = 256;

/// A text that breaks the rule for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct InvalidText {
    /// Which kind of text was asked for, in words.
    pub kind: &'static str,
    /// The text that was refused, cut to its first 80 characters.
    pub text: String,
    /// The rule that every text of this kind follows.
    pub rule: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Trims and checks the text.
            ///
            /// # Errors
            /// [`InvalidText`] when the text breaks the rule of its kind.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                let trimmed = text.trim();
                if $check(trimmed) {
                    Ok(Self(trimmed.to_owned()))
                } else {
                    Err(InvalidText {
                        kind: $kind,
                        text: text.chars().take(80).collect(),
                        rule: $rule,
                    })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text!(
    /// The name of a customer, a site, an asset, a person or a skill.
    Name, "name", is_name, "use 1 to 200 characters without control characters"
);
text!(
    /// What a person writes beside a step; may be empty, may have several lines.
    Note, "note", is_note,
    "use at most 4000 characters without control characters other than line breaks and tabs"
);
text!(
    /// An IANA time zone such as `Europe/Berlin` or `UTC`. Checked by its shape only: the
    /// database of zones belongs to the browser, which converts times for people.
    TimeZoneName, "time zone", is_zone, "use an IANA name such as Asia/Shanghai or UTC"
);

text!(
    /// What every topic of a gateway starts with, such as `telemetry/hall-3.`. It ends in a
    /// separator, because `telemetry/hall-3` would cover hall-30 as well.
    TopicPrefix, "topic prefix", is_topic_prefix,
    "use 2 to 256 characters that end in / . _ or - and hold no + # spaces or control characters"
);

fn is_topic_prefix(text: &str) -> bool {
    (2..=MAX_TOPIC_PREFIX_BYTES).contains(&text.len())
        && text.ends_with(['/', '.', '_', '-'])
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '+' | '#'))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_note(text: &str) -> bool {
    text.chars().count() <= MAX_NOTE_CHARS
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn is_zone(text: &str) -> bool {
    (1..=MAX_ZONE_BYTES).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split('/').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+'))
        })
}

impl Note {
    /// No note.
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Note {
    fn default() -> Self {
        Self::empty()
    }
}

impl TimeZoneName {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        let longest = "ä".repeat(200);
        let too_long = "ä".repeat(201);
        for (text, kept) in [
            (" Pump 7 ", Some("Pump 7")),
            ("上海泵站", Some("上海泵站")),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            ("", None),
            ("   ", None),
            ("two\nlines", None),
            ("bell\u{7}", None),
        ] {
            assert_eq!(
                Name::new(text).ok().as_ref().map(Name::as_str),
                kept,
                "{text:?}"
            );
        }
    }

    #[test]
    fn notes_may_be_empty_and_have_lines() {
        for (text, good) in [
            ("", true),
            ("bearing changed\n- greased\tok", true),
            ("escape\u{1b}[31m", false),
            ("nul\0", false),
            (&"x".repeat(4_000), true),
            (&"x".repeat(4_001), false),
        ] {
            assert_eq!(Note::new(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn time_zones_have_the_shape_of_iana_names() {
        for (text, good) in [
            ("UTC", true),
            ("Europe/Berlin", true),
            ("America/Argentina/Buenos_Aires", true),
            ("Etc/GMT+8", true),
            ("", false),
            ("+02:00", false),
            ("Europe/", false),
            ("Europe Berlin", false),
            ("../etc/passwd", false),
        ] {
            assert_eq!(TimeZoneName::new(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn the_error_names_kind_text_and_rule() {
        let error = Name::new("").unwrap_err().to_string();
        assert_eq!(
            error,
            "name \"\" is not valid: use 1 to 200 characters without control characters"
        );
    }
}
