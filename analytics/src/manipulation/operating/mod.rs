//! What a machine is doing: off, idle, starting up, or running in one of its load regimes.
//!
//! What is normal differs between these, so a verdict needs to know first. Two sources tell:
//!
//! - rules of the asset model name off, idle and start-up by the level of a signal or
//!   by the time since the machine was off;
//! - whatever no rule claims is running, and `regimes` are learned from the levels of
//!   commissioning, if these clearly fall apart into several; else there is one.
//!
//! After a change into running, and between regimes, the state is a transition for the
//! settling time of the model: pressures, flows and speeds are on their way then, and belong
//! to neither side. Off, idle and start-up begin at once, because they get no verdict anyway.
//!
//! Without rules and with one regime nobody has said how to tell, and the state is unknown.

pub(crate) mod packed;
mod regimes;
mod rules;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, ModeledState, OperatingRules, OperatingState, SignalName};

use crate::detection::learned::Learned;
use regimes::Regimes;
use rules::{Claim, Rules};

/// Samples that must agree on another regime before it is believed.
const AGREEING: u8 = 2;

/// The operating state of one device's machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operating {
    rules: Rules,
    regimes: Regimes,
    max_regimes: u8,
    /// Settling time, microseconds.
    settling: i64,
    /// What the rules said last; running is none of them.
    claimed: Option<ModeledState>,
    regime: u8,
    /// Samples in a row that spoke for another regime.
    leaving: u8,
    /// Until when it settles, microseconds.
    settles: i64,
    #[serde(with = "packed")]
    state: OperatingState,
    /// When the state began, microseconds.
    since: i64,
    begun: bool,
}

impl Operating {
    /// The machine of a device whose slots carry `names`. Total: rules whose signal has no slot
    /// never hold.
    pub fn new(names: &[SignalName], model: Option<&AssetModel>) -> Self {
        let defaults = OperatingRules::default();
        let operating = model.map_or(&defaults, |model| &model.operating);
        Self {
            rules: Rules::new(names, model),
            regimes: Regimes::of(names, model),
            max_regimes: operating.max_regimes,
            settling: (operating.settling_s * 1e6) as i64,
            claimed: None,
            regime: 0,
            leaving: 0,
            settles: i64::MIN,
            state: OperatingState::Unknown,
            since: 0,
            begun: false,
        }
    }

    /// Knows the slots of signals that have appeared while learning. What was learned stays.
    pub fn bind(&mut self, names: &[SignalName], model: Option<&AssetModel>) {
        self.rules.bind(names, model);
        if self.regimes.count() == 1 {
            self.regimes = Regimes::of(names, model);
        }
    }

    /// Takes one sample measured at `at` (microseconds) and tells the state. `value(slot)` is
    /// NaN where nothing is known; rules then stay as they are. O(1), without allocation.
    pub fn update(&mut self, at: i64, value: impl Fn(usize) -> f64) -> OperatingState {
        let claim = self.rules.claim(at, &value);
        let was_running = self.claimed.is_none();
        let next = match claim {
            Claim::Unknown => OperatingState::Unknown,
            Claim::State(state) => {
                self.claimed = Some(state);
                self.leaving = 0;
                match state {
                    ModeledState::Off => OperatingState::Off,
                    ModeledState::Idle => OperatingState::Idle,
                    ModeledState::StartUp => OperatingState::StartUp,
                }
            }
            Claim::Running => {
                self.claimed = None;
                if self.begun && !was_running {
                    self.settles = at.saturating_add(self.settling);
                    self.regime = self.regimes.nearest(&value).unwrap_or(self.regime);
                }
                self.running(at, &value)
            }
        };
        self.begun = true;
        if next != self.state {
            (self.state, self.since) = (next, at);
        }
        next
    }

    fn running(&mut self, at: i64, value: &impl Fn(usize) -> f64) -> OperatingState {
        match self.regimes.nearest(value) {
            Some(nearest) if nearest != self.regime => {
                self.leaving += 1;
                if self.leaving >= AGREEING {
                    (self.regime, self.leaving) = (nearest, 0);
                }
                self.settles = self.settles.max(at.saturating_add(self.settling));
                return OperatingState::Transition;
            }
            _ => self.leaving = 0,
        }
        if at < self.settles {
            return OperatingState::Transition;
        }
        if self.rules.is_empty() && self.regimes.count() == 1 {
            return OperatingState::Unknown;
        }
        OperatingState::Running {
            regime: self.regime,
        }
    }

    /// Whether samples in this state may be learned from.
    pub fn may_learn(&self) -> bool {
        matches!(
            self.state,
            OperatingState::Running { .. } | OperatingState::Unknown
        ) && !self.rules.is_waiting()
    }

    /// Takes the running levels of rules by share from the learned stretch, and learns the load
    /// regimes. Called once, when the baseline is fitted.
    pub fn settle(&mut self, learned: &Learned) {
        self.rules.settle(learned);
        self.regimes.fit(learned, self.max_regimes);
        let last = |slot: usize| learned.smoothed(slot);
        self.regime = self.regimes.nearest(&last).unwrap_or(0);
        self.leaving = 0;
    }

    /// Whether the machine has turned out to run at more than twice the level that was taken
    /// for running: what was learned so far was not running, and learning should start over.
    /// True once.
    pub fn take_surprise(&mut self) -> bool {
        self.rules.take_surprise()
    }

    /// The number of load regimes; at least 1.
    pub fn regimes(&self) -> usize {
        self.regimes.count()
    }

    /// The load regime a row of levels belongs to. Pure; 0 when too little is known of it.
    pub fn regime_of(&self, value: impl Fn(usize) -> f64) -> u8 {
        self.regimes.nearest(&value).unwrap_or(0)
    }

    /// The state now.
    pub fn state(&self) -> OperatingState {
        self.state
    }

    /// When the state began, microseconds of event time.
    pub fn since(&self) -> i64 {
        self.since
    }

    /// Whether a state from outside can be worked with: no slot beyond `slots`.
    pub fn is_consistent(&self, slots: usize) -> bool {
        self.rules.is_consistent(slots)
            && self.regimes.is_consistent(slots)
            && usize::from(self.regime) < self.regimes.count()
    }
}
