//! Identifiers as types, so that a device can never stand where an asset is meant.
//!
//! An id is 1 to 64 characters of `A-Z a-z 0-9 . _ -`. That keeps every id safe in an MQTT
//! topic (no `/`, `+`, `#`), a URL path, a CSV cell and a file name without any escaping.
//! Signal names may also hold spaces and a few printable signs, because recorders name
//! their columns for people (`Volume Flow RateRMS`).

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Unit;

/// The longest id in bytes; long enough for a serial number with a prefix, short enough to index.
const MAX_ID_BYTES: usize = 64;

/// A text that cannot be an id, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct InvalidId {
    /// Which kind of id was asked for, in words.
    pub kind: &'static str,
    /// The text that was refused, cut to its first 80 characters.
    pub text: String,
    /// The rule that every id of this kind follows.
    pub rule: &'static str,
}

const ID_RULE: &str = "use 1 to 64 characters of A-Z, a-z, 0-9, dot, underscore and hyphen";
const SIGNAL_RULE: &str =
    "use 1 to 64 bytes of printable text without control characters, / + # \" or \\";

fn is_plain_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_signal_name(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text.trim() == text
        && !text
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '+' | '#' | '"' | '\\'))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes the id.
            ///
            /// # Errors
            /// [`InvalidId`] when the text breaks the rule in the module documentation.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId {
                        kind: $kind,
                        text: text.chars().take(80).collect(),
                        rule: $rule,
                    })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
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

id!(
    /// What speaks MQTT. Several devices may watch one asset.
    DeviceId, "device id", is_plain_id, ID_RULE
);
id!(
    /// The thing that is maintained.
    AssetId, "asset id", is_plain_id, ID_RULE
);
id!(
    /// The kind of an asset: `centrifugal-pump`, `unknown`, ….
    AssetModelId, "asset model id", is_plain_id, ID_RULE
);
id!(
    /// One case: an asset, a failure mode and the evidence for it.
    CaseId, "case id", is_plain_id, ID_RULE
);
id!(
    /// A person who is told about cases and works on them.
    PersonId, "person id", is_plain_id, ID_RULE
);
id!(
    /// A way by which people are told: a mail server, a chat group, a webhook.
    ChannelId, "channel id", is_plain_id, ID_RULE
);
id!(
    /// Who takes turns on call.
    RotaId, "rota id", is_plain_id, ID_RULE
);
id!(
    /// Who is told when, as long as nobody takes a case in hand.
    ChainId, "chain id", is_plain_id, ID_RULE
);
id!(
    /// One message to one recipient by one channel.
    MessageId, "message id", is_plain_id, ID_RULE
);
id!(
    /// One work order in the service system.
    WorkOrderId, "work order id", is_plain_id, ID_RULE
);
id!(
    /// A customer whose assets are maintained.
    CustomerId, "customer id", is_plain_id, ID_RULE
);
id!(
    /// A place of a customer.
    SiteId, "site id", is_plain_id, ID_RULE
);
id!(
    /// A person who does the work.
    EngineerId, "engineer id", is_plain_id, ID_RULE
);
id!(
    /// A failure mode in the sense of ISO 14224, as `bearing-wear` or `unclassified`.
    FailureMode, "failure mode", is_plain_id, ID_RULE
);
id!(
    /// A maintainable item of an asset in the sense of ISO 14224, as `bearings`.
    ComponentId, "component id", is_plain_id, ID_RULE
);
id!(
    /// A rule that people wrote, such as `bearing-too-hot`.
    RuleId, "rule id", is_plain_id, ID_RULE
);
id!(
    /// One measured quantity of a device, such as `bearing_temperature_c`.
    SignalName, "signal name", is_signal_name, SIGNAL_RULE
);

impl FailureMode {
    /// The mode of a deviation that fits no declared signature.
    pub const UNCLASSIFIED: &'static str = "unclassified";
    /// The mode of a sensor that cannot be believed, whatever the machine does.
    pub const SENSOR_FAULT: &'static str = "sensor-fault";

    /// A deviation that fits no declared signature.
    pub fn unclassified() -> Self {
        Self(Self::UNCLASSIFIED.into())
    }

    /// A sensor that cannot be believed.
    pub fn sensor_fault() -> Self {
        Self(Self::SENSOR_FAULT.into())
    }
}

impl SignalName {
    /// `bearing_temperature_c` as people write it, `Bearing temperature`. A name that is
    /// written for people already (with spaces or capitals) stays.
    pub fn words(&self) -> String {
        let name = self.as_str();
        if name.contains(' ') || name.chars().any(char::is_uppercase) {
            return name.to_owned();
        }
        let stem = Unit::from_signal_name(name)
            .and_then(|unit| name.strip_suffix(unit.name_suffix()))
            .unwrap_or(name);
        let words = stem.replace('_', " ");
        let mut chars = words.chars();
        chars.next().map_or_else(String::new, |first| {
            first.to_uppercase().collect::<String>() + chars.as_str()
        })
    }
}

impl AssetModelId {
    /// The model of an asset nobody has described yet.
    pub const UNKNOWN: &'static str = "unknown";

    /// The model of an asset nobody has described yet.
    pub fn unknown() -> Self {
        Self(Self::UNKNOWN.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_topics_urls_and_files_cannot_hold() {
        let long = "x".repeat(65);
        for bad in ["", "a/b", "a+b", "#", "a b", "pömp", "a\0", long.as_str()] {
            let error = DeviceId::new(bad).unwrap_err();
            assert_eq!(error.kind, "device id", "{bad:?}");
        }
        for good in ["a", "pump-7", "A.b_c-9", &long[..64]] {
            assert_eq!(DeviceId::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn signal_names_allow_the_column_names_of_recorders() {
        for good in ["Volume Flow RateRMS", "temperature_c", "T°", "温度"] {
            assert!(SignalName::new(good).is_ok(), "{good}");
        }
        for bad in ["", " lead", "trail ", "a/b", "tab\t", "quote\"", "a#"] {
            assert!(SignalName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_checked_when_it_is_read_from_json() {
        assert!(serde_json::from_str::<AssetId>("\"pump-1\"").is_ok());
        let error = serde_json::from_str::<AssetId>("\"pump/1\"").unwrap_err();
        assert!(error.to_string().contains("asset id"), "{error}");
    }
}
