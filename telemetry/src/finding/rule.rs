//! What a rule that people wrote says of a machine, beside what was learned of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Explanation;
use crate::{AssetId, DeviceId, FailureMode, RuleId, Severity, SignalName, Timestamp, UnknownWord};

/// What the rules say of one device at one instant: a word about each that changed just now.
///
/// All of a device's rules at one instant are one report, because one finding of a kind is kept
/// for a device and an instant. No two reports of a device have the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The asset.
    pub asset: AssetId,
    /// The device that measured.
    pub device: DeviceId,
    /// The row this speaks of, in event time; of missing data, the time by which it was missed.
    pub at: Timestamp,
    /// A verdict for each rule that began or ceased to hold.
    pub verdicts: Vec<RuleVerdict>,
}

/// The verdict of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: RuleId,
    /// Its version, counted from 1.
    pub version: u32,
    /// Whether it holds.
    pub state: RuleState,
    /// When it began to hold, in event time; of one that ceased, when it ceased.
    pub since: Timestamp,
    /// What kind of problem it tells of.
    pub verdict: Verdict,
    /// What it says is failing.
    pub failure_mode: FailureMode,
    /// How urgent that is.
    pub severity: Severity,
    /// The signal it looked at, where it looked at one.
    pub signal: Option<SignalName>,
    /// What it saw, in the unit of the limit.
    pub value: Option<f64>,
    /// The limit that was in force.
    pub limit: Option<f64>,
    /// The same in words.
    pub text: Explanation,
}

/// Whether a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It began to hold.
    Raised,
    /// It ceased to hold.
    Cleared,
}

/// What kind of problem there is, the cheapest to rule out first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A sensor cannot be believed.
    Sensor,
    /// The machine is run in another way; nothing is broken.
    Operating,
    /// Something is wrong with the machine.
    #[default]
    Machine,
}

impl Verdict {
    /// Every verdict, in order.
    pub const ALL: [Self; 3] = [Self::Sensor, Self::Operating, Self::Machine];

    /// The verdict in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Operating => "operating",
            Self::Machine => "machine",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|one| one.as_str() == text);
        known.ok_or_else(|| UnknownWord {
            kind: "verdict",
            text: text.chars().take(40).collect(),
            known: "sensor, operating, machine",
        })
    }
}

/// Who raises an alert: what outcomes are counted by, and what they make rarer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AlertSource {
    /// The detectors of analytics.
    Model,
    /// A rule.
    Rule {
        /// Which one.
        rule: RuleId,
    },
}

impl AlertSource {
    /// The rule; none for the detectors.
    pub const fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Model => None,
            Self::Rule { rule } => Some(rule),
        }
    }
}

/// One change of one rule, as it travels through the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// The rule.
    pub rule: RuleId,
    /// The version that is in force from here on, counted from 1.
    pub version: u32,
    /// The rule as text; none retires it.
    pub text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_api() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
            assert_eq!(verdict.as_str().parse::<Verdict>().unwrap(), verdict);
        }
        let error = "machines".parse::<Verdict>().unwrap_err().to_string();
        assert!(error.contains("sensor, operating, machine"), "{error}");
    }
}
