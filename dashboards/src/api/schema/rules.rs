//! What rules say.

use serde::Deserialize;
use utoipa::ToSchema;

use super::Severity;
use crate::labels::Text;

/// What the rules say of one device at one instant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleReport {
    /// The asset.
    asset: String,
    /// The device that measured.
    device: String,
    /// The row this speaks of, in event time; of missing data, the time by which it was missed.
    #[schema(format = DateTime)]
    at: String,
    /// A verdict for each rule that began or ceased to hold.
    verdicts: Vec<RuleVerdict>,
}

/// The verdict of one rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleVerdict {
    /// The rule.
    rule: String,
    /// Its version, counted from 1.
    version: u32,
    /// Whether it holds.
    state: RuleState,
    /// When it began to hold, in event time; of one that ceased, when it ceased.
    #[schema(format = DateTime)]
    since: String,
    /// What kind of problem it tells of.
    verdict: Verdict,
    /// What it says is failing.
    failure_mode: String,
    /// How urgent that is.
    severity: Severity,
    /// The signal it looked at, where it looked at one.
    signal: Option<String>,
    /// What it saw, in the unit of the limit.
    value: Option<f64>,
    /// The limit that was in force.
    limit: Option<f64>,
    /// The same in words.
    text: Text,
}

/// Whether a rule holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It began to hold.
    Raised,
    /// It ceased to hold.
    Cleared,
}

/// What kind of problem there is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A sensor cannot be believed.
    Sensor,
    /// The machine is run in another way; nothing is broken.
    Operating,
    /// Something is wrong with the machine.
    Machine,
}
