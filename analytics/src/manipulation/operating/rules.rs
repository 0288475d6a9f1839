//! States by rule: levels with hysteresis and delays, and the time since the machine was off.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, ModeledState, SignalName, StateRule};

use crate::detection::learned::Learned;

/// Without `until` a state ends half as far again from zero.
const HYSTERESIS: f64 = 1.5;
/// A running level this many times the one known so far means that the old one was not running.
const SURPRISE: f64 = 2.0;

/// What the rules say of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// A rule names the state.
    State(ModeledState),
    /// No rule claims it.
    Running,
    /// A rule cannot tell yet.
    Unknown,
}

/// The rules of a model on the slots of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rules {
    all: Vec<Rule>,
    /// When the machine was last seen off, microseconds.
    off_at: Option<i64>,
    surprised: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rule {
    state: ModeledState,
    /// The slot of the signal; none for a rule by time, or while the signal has none.
    slot: Option<u16>,
    level: f64,
    until: f64,
    is_below: bool,
    /// Of a rule by share: what its level is a share of.
    share_of: Option<RunningLevel>,
    on_delay: i64,
    off_delay: i64,
    /// For a rule by time, microseconds.
    lasts: Option<i64>,
    holds: bool,
    /// Since when the level says otherwise than `holds`.
    since: Option<i64>,
}

/// The running level of a signal: the largest median of three so far, then the learned one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RunningLevel {
    level: f64,
    recent: [f64; 3],
    is_settled: bool,
}

impl RunningLevel {
    const fn unknown() -> Self {
        Self {
            level: 0.0,
            recent: [f64::NAN; 3],
            is_settled: false,
        }
    }

    /// Lets the level follow, while it is not learned. True when it was far too low.
    fn follow(&mut self, x: f64) -> bool {
        if self.is_settled || x.is_nan() {
            return false;
        }
        self.recent.copy_within(1.., 0);
        self.recent[2] = x;
        let [a, b, c] = self.recent;
        let median = a.max(b).min(a.min(b).max(c));
        // The first values are no median yet, and a machine that stands still has no level.
        if self.recent.iter().any(|value| value.is_nan()) || median <= self.level {
            return false;
        }
        let surprised = self.level > 0.0 && median > SURPRISE * self.level;
        self.level = median;
        surprised
    }
}

impl Rule {
    fn new(rule: &StateRule) -> Self {
        let below = rule.below.or(rule.below_share);
        let level = below.or(rule.above).or(rule.above_share).unwrap_or(0.0);
        let factor = if below.is_some() {
            HYSTERESIS
        } else {
            1.0 / HYSTERESIS
        };
        let micros = |seconds: f64| (seconds * 1e6) as i64;
        Self {
            state: rule.state,
            slot: None,
            level,
            until: rule.until.unwrap_or(level * factor),
            is_below: below.is_some(),
            share_of: rule
                .below_share
                .or(rule.above_share)
                .map(|_| RunningLevel::unknown()),
            on_delay: micros(rule.on_delay_s),
            off_delay: micros(rule.off_delay_s),
            lasts: rule.lasts_s.map(micros),
            holds: false,
            since: None,
        }
    }

    /// Follows the level and its delays. None while it cannot tell.
    fn holds(&mut self, at: i64, x: f64) -> Option<bool> {
        if x.is_nan() {
            return (!self.is_waiting()).then_some(self.holds);
        }
        let scale = self.share_of.as_ref().map_or(1.0, |running| running.level);
        if self.is_waiting() {
            return None;
        }
        let threshold = scale * if self.holds { self.until } else { self.level };
        let says = if self.is_below {
            x < threshold
        } else {
            x > threshold
        };
        if says == self.holds {
            self.since = None;
            return Some(self.holds);
        }
        let since = *self.since.get_or_insert(at);
        let delay = if says { self.on_delay } else { self.off_delay };
        if at.saturating_sub(since) >= delay {
            (self.holds, self.since) = (says, None);
        }
        Some(self.holds)
    }

    fn is_waiting(&self) -> bool {
        let unknown = |running: &RunningLevel| running.level <= 0.0;
        self.slot.is_some() && self.share_of.as_ref().is_some_and(unknown)
    }
}

impl Rules {
    pub(super) fn new(names: &[SignalName], model: Option<&AssetModel>) -> Self {
        let states = model.map_or(&[][..], |model| &model.states);
        let mut rules = Self {
            all: states.iter().map(Rule::new).collect(),
            off_at: None,
            surprised: false,
        };
        rules.bind(names, model);
        rules
    }

    pub(super) fn bind(&mut self, names: &[SignalName], model: Option<&AssetModel>) {
        let states = model.map_or(&[][..], |model| &model.states);
        for (rule, declared) in self.all.iter_mut().zip(states) {
            let signal = declared.signal.as_ref();
            let slot = names.iter().position(|name| Some(name) == signal);
            rule.slot = slot.map(|slot| slot as u16);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(|rule| rule.slot.is_none())
    }

    /// Whether a rule by share does not know the running level yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.all.iter().any(Rule::is_waiting)
    }

    pub(super) fn take_surprise(&mut self) -> bool {
        std::mem::take(&mut self.surprised)
    }

    pub(super) fn claim(&mut self, at: i64, value: &impl Fn(usize) -> f64) -> Claim {
        let mut claim = Claim::Running;
        let mut is_off = false;
        for rule in &mut self.all {
            let holds = match (rule.lasts, rule.slot) {
                (Some(lasts), _) => self
                    .off_at
                    .map(|off| !is_off && at.saturating_sub(off) < lasts)
                    .or(Some(false)),
                (None, Some(slot)) => {
                    let x = value(usize::from(slot));
                    let running = rule.share_of.as_mut();
                    self.surprised |= running.is_some_and(|running| running.follow(x));
                    rule.holds(at, x)
                }
                (None, None) => Some(false),
            };
            match holds {
                None if claim == Claim::Running => claim = Claim::Unknown,
                Some(true) => {
                    is_off |= rule.state == ModeledState::Off;
                    if claim == Claim::Running {
                        claim = Claim::State(rule.state);
                    }
                }
                _ => {}
            }
        }
        if is_off {
            self.off_at = Some(at);
        }
        claim
    }

    /// Takes the median of the learned levels as the running level of each rule by share.
    pub(super) fn settle(&mut self, learned: &Learned) {
        for rule in &mut self.all {
            let Some(running) = &mut rule.share_of else {
                continue;
            };
            let Some(slot) = rule
                .slot
                .map(usize::from)
                .filter(|at| *at < learned.slots())
            else {
                continue;
            };
            let mut levels: Vec<f64> = learned.level(slot).to_vec();
            levels.retain(|level| !level.is_nan());
            levels.sort_by(f64::total_cmp);
            if let Some(median) = levels.get(levels.len() / 2).filter(|level| **level > 0.0) {
                running.level = *median;
            }
            running.is_settled = true;
        }
    }

    pub(super) fn is_consistent(&self, slots: usize) -> bool {
        let fits = |rule: &Rule| rule.slot.is_none_or(|slot| usize::from(slot) < slots);
        self.all.iter().all(fits)
    }
}
