//! Operating states of a machine, by rule.

use serde::{Deserialize, Serialize};

use crate::SignalName;

/// How operating states are told apart where no rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatingRules {
    /// After the state has changed, seconds without a verdict. 0 to 86,400.
    pub settling_s: f64,
    /// Most load regimes that are learned while commissioning; 1 learns none. 1 to 4.
    pub max_regimes: u8,
    /// The signals whose levels tell load regimes apart; empty takes speed, flow, current and
    /// power, as far as there are any.
    pub regime_signals: Vec<SignalName>,
}

impl OperatingRules {
    /// Whether a file need not mention it.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for OperatingRules {
    fn default() -> Self {
        Self {
            // Speeds, flows and pressures of machines settle within seconds to a minute after a
            // change; one minute keeps run-up vibration out of the verdict. Temperatures take
            // longer, which baselines of each regime absorb only when the model asks for more.
            settling_s: 60.0,
            max_regimes: 4,
            regime_signals: Vec::new(),
        }
    }
}

/// A state a rule can name. Whatever no rule claims is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeledState {
    /// Without power or standing still.
    Off,
    /// Turning or powered without doing work.
    Idle,
    /// On the way from off to running.
    StartUp,
}

/// When a machine is in a state. Either a level of a signal decides (`signal` with one of
/// `below`, `above`, `below_share`, `above_share`), or the time since it was off (`lasts_s`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRule {
    /// The state this rule names.
    pub state: ModeledState,
    /// The signal that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
    /// The state begins below this level, in the unit of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// The state begins above this level, in the unit of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// The state begins below this share of the signal's own running level, which is learned
    /// while commissioning; above 0, below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_share: Option<f64>,
    /// The state begins above this share of the signal's own running level; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_share: Option<f64>,
    /// The level at which the state ends, counted as the one at which it begins; half as far
    /// again from zero when it is left out (1.5 times for below, 1/1.5 for above).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// Seconds the level must hold before the state begins.
    #[serde(default)]
    pub on_delay_s: f64,
    /// Seconds the level must be left before the state ends.
    #[serde(default)]
    pub off_delay_s: f64,
    /// Only for `start_up`: the seconds it lasts after the machine was off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_s: Option<f64>,
}
