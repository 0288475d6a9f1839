//! A rule as a type that cannot be wrong; [`super::parse`] makes it of text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, AssetModelId, Explanation, FailureMode, OperatingState, RuleId, SensorFault,
    SensorState, Severity, SignalName, Verdict,
};

/// What people say is a problem, beside what was learned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// What it is called in findings, cases and the API.
    pub id: RuleId,
    /// What people call it.
    pub name: Explanation,
    /// Whether it judges at all; a rule that is off keeps its place and versions.
    pub enabled: bool,
    /// The kinds of machines it is for; empty is every kind.
    pub asset_models: Vec<AssetModelId>,
    /// The assets it is for, beside the kinds; empty is every asset of them.
    pub assets: Vec<AssetId>,
    /// What kind of problem it tells of.
    pub verdict: Verdict,
    /// What it says is failing.
    pub failure_mode: FailureMode,
    /// How urgent that is.
    pub severity: Severity,
    /// What must hold.
    pub condition: Condition,
    /// Seconds it must hold before the rule says so.
    pub on_delay_s: f64,
    /// Seconds it must be over before the rule says so.
    pub off_delay_s: f64,
    /// The operating states in which it judges; empty is all of them. In the others what was
    /// said last stands.
    #[serde(rename = "while")]
    pub schedule: Vec<Operating>,
    /// What is different for single assets.
    pub overrides: BTreeMap<AssetId, Override>,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// A signal is beyond a level.
    Threshold {
        /// The signal.
        signal: SignalName,
        /// The level, in the unit of the signal.
        level: Level,
    },
    /// A signal changes faster than a level.
    Rate {
        /// The signal.
        signal: SignalName,
        /// The level, in the unit of the signal for each [`Self::Rate::per_s`].
        level: Level,
        /// The change is taken over this many seconds.
        over_s: f64,
        /// The seconds the level counts for: 3600 makes it a change an hour.
        per_s: f64,
    },
    /// A device, or one of its signals, is silent.
    NoData {
        /// The signal; none is the whole device.
        signal: Option<SignalName>,
        /// Seconds of silence.
        for_s: f64,
    },
    /// The machine is in a state for too long.
    State {
        /// Any of these.
        states: Vec<State>,
        /// Seconds.
        for_s: f64,
    },
    /// Something begins too often.
    Count {
        /// What is counted.
        of: Counted,
        /// Within so many seconds.
        within_s: f64,
        /// At least so often.
        at_least: u32,
    },
    /// The vibration severity of a machine reaches a zone; for machines whose model gives
    /// limits, or group and foundation.
    Zone {
        /// The RMS velocity in mm/s.
        signal: SignalName,
        /// The zone.
        zone: ZoneLetter,
    },
    /// The detection score of analytics.
    Score {
        /// 1 is the alarm limit of the detectors.
        level: Level,
    },
    /// The health index of analytics.
    Health {
        /// 0 to 100.
        level: Level,
    },
    /// What analytics says of the sensors.
    Sensor {
        /// Of this signal; none is any.
        signal: Option<SignalName>,
        /// In one of these states.
        states: Vec<SensorState>,
        /// With one of these faults; empty is any.
        faults: Vec<SensorFault>,
    },
    /// The probability of failing within a horizon, where it is calibrated.
    FailureWithin {
        /// The horizon, in seconds.
        horizon_s: f64,
        /// The probability.
        level: Level,
    },
}

impl Condition {
    /// The kind in one word, as in text and API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::Rate { .. } => "rate",
            Self::NoData { .. } => "no_data",
            Self::State { .. } => "state",
            Self::Count { .. } => "count",
            Self::Zone { .. } => "zone",
            Self::Score { .. } => "score",
            Self::Health { .. } => "health",
            Self::Sensor { .. } => "sensor",
            Self::FailureWithin { .. } => "failure_within",
        }
    }

    /// The signal it looks at.
    pub const fn signal(&self) -> Option<&SignalName> {
        match self {
            Self::Threshold { signal, .. }
            | Self::Rate { signal, .. }
            | Self::Zone { signal, .. }
            | Self::Count {
                of: Counted::Crossings { signal, .. },
                ..
            } => Some(signal),
            Self::NoData { signal, .. } | Self::Sensor { signal, .. } => signal.as_ref(),
            _ => None,
        }
    }
}

/// A level with the one at which it is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Level {
    /// Whether it is crossed upwards.
    pub above: bool,
    /// Beyond this it holds.
    pub on: f64,
    /// On the other side of this it is over; between the two what was said stands.
    pub off: f64,
}

/// On which side of a level a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It holds.
    Beyond,
    /// Between the levels, or unknown.
    Between,
    /// It is over.
    Inside,
}

impl Level {
    /// On which side a value is; of one that is no number nothing is known.
    pub fn side(self, value: f64) -> Side {
        let (beyond, inside) = if self.above {
            (value > self.on, value <= self.off)
        } else {
            (value < self.on, value >= self.off)
        };
        match (beyond, inside) {
            (true, _) => Side::Beyond,
            (false, true) => Side::Inside,
            (false, false) => Side::Between,
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "count_of", rename_all = "snake_case")]
pub enum Counted {
    /// Crossings of a level.
    Crossings {
        /// The signal.
        signal: SignalName,
        /// The level, in the unit of the signal.
        level: Level,
    },
    /// Beginnings of a state.
    States {
        /// Any of these.
        states: Vec<State>,
    },
}

/// A state of a machine: what it does, or what state detection says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What it does.
    Operating(Operating),
    /// What state detection says.
    Condition(Health),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$of:meta])* $variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$of])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in text and API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(
    /// What a machine does; every load regime is running.
    Operating:
    /// It stands still.
    Off = "off",
    /// It turns without load.
    Idle = "idle",
    /// It was switched on a short while ago.
    StartUp = "start_up",
    /// It works.
    Running = "running",
    /// It is on its way from one state to another.
    Transition = "transition",
    /// Nobody has said how to tell.
    Unknown = "unknown"
);

words!(
    /// What state detection says of a machine.
    Health:
    /// Its normal is being learned.
    Learning = "learning",
    /// Inside its limits.
    Normal = "normal",
    /// Beyond a limit, not yet for long.
    Watch = "watch",
    /// Beyond a limit for long enough.
    Alarm = "alarm"
);

words!(
    /// A zone of vibration severity.
    ZoneLetter:
    /// Fit for long running.
    B = "B",
    /// Not fit for long continuous running.
    C = "C",
    /// Severe enough to cause damage.
    D = "D"
);

impl From<OperatingState> for Operating {
    fn from(state: OperatingState) -> Self {
        match state {
            OperatingState::Off => Self::Off,
            OperatingState::Idle => Self::Idle,
            OperatingState::StartUp => Self::StartUp,
            OperatingState::Running { .. } => Self::Running,
            OperatingState::Transition => Self::Transition,
            OperatingState::Unknown => Self::Unknown,
        }
    }
}

/// What is different for one asset; what is left out is as in the rule.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Whether the rule judges this asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The level beyond which it holds, on the same side as the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<f64>,
    /// The level at which it is over; as far from `on` as the rule's when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<f64>,
    /// Seconds before the rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delay_s: Option<f64>,
    /// Seconds before the rule says it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_delay_s: Option<f64>,
    /// Seconds of silence or of a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
    /// The least count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Rule {
    /// Whether it is for an asset of this kind.
    pub fn covers(&self, asset: &AssetId, model: Option<&AssetModelId>) -> bool {
        let kind = self.asset_models.is_empty()
            || model.is_some_and(|model| self.asset_models.contains(model));
        kind && (self.assets.is_empty() || self.assets.contains(asset))
    }

    /// Whether single assets are named in it, so that what holds for one asset of a kind need
    /// not hold for another.
    pub fn names_assets(&self) -> bool {
        !self.assets.is_empty() || !self.overrides.is_empty()
    }

    /// The rule as it is for one asset; none where it is off.
    pub fn for_asset(&self, asset: &AssetId) -> Option<Self> {
        let own = self.overrides.get(asset).copied().unwrap_or_default();
        if !own.enabled.unwrap_or(self.enabled) {
            return None;
        }
        let mut rule = self.clone();
        rule.severity = own.severity.unwrap_or(rule.severity);
        rule.on_delay_s = own.on_delay_s.unwrap_or(rule.on_delay_s);
        rule.off_delay_s = own.off_delay_s.unwrap_or(rule.off_delay_s);
        match &mut rule.condition {
            Condition::Threshold { level, .. }
            | Condition::Rate { level, .. }
            | Condition::Score { level }
            | Condition::Health { level }
            | Condition::FailureWithin { level, .. } => level.replace(own),
            Condition::NoData { for_s, .. } | Condition::State { for_s, .. } => {
                *for_s = own.for_s.unwrap_or(*for_s);
            }
            Condition::Count { of, at_least, .. } => {
                *at_least = own.at_least.unwrap_or(*at_least);
                if let Counted::Crossings { level, .. } = of {
                    level.replace(own);
                }
            }
            Condition::Zone { .. } | Condition::Sensor { .. } => {}
        }
        Some(rule)
    }
}

impl Level {
    fn replace(&mut self, own: Override) {
        let band = self.off - self.on;
        if let Some(on) = own.on {
            (self.on, self.off) = (on, on + band);
        }
        self.off = own.off.unwrap_or(self.off);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_between_the_levels_says_nothing_new() {
        let high = Level {
            above: true,
            on: 80.0,
            off: 75.0,
        };
        let low = Level {
            above: false,
            on: 2.0,
            off: 3.0,
        };
        for (level, value, side) in [
            (high, 80.1, Side::Beyond),
            (high, 80.0, Side::Between),
            (high, 75.1, Side::Between),
            (high, 75.0, Side::Inside),
            (high, f64::NAN, Side::Between),
            (low, 1.9, Side::Beyond),
            (low, 2.0, Side::Between),
            (low, 3.0, Side::Inside),
        ] {
            assert_eq!(level.side(value), side, "{value}");
        }
    }
}
