//! What must hold of a model beyond the types of its keys.
//!
//! Every problem names its key as a path (`failure_modes[2].signature[0].signal`), so that a
//! reader of the file can be shown the line.

use std::collections::BTreeSet;

use super::detection::{FEATURES, MAX_FEATURES, MAX_LIMITS};
use crate::{
    AssetModel, AssetModelId, FailureModeSignature, Limit, ModeledState, RelatedSignals,
    SignalName, StateRule, View,
};

/// A model that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asset model {model}: {key}: {problem}")]
pub struct InvalidModel {
    /// The model at fault.
    pub model: AssetModelId,
    /// The path of the key at fault, such as `signals[1].name`.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The key at fault and what is wrong with it.
type Found = Result<(), (String, String)>;

/// A day: no delay of a rule or limit is longer.
const LONGEST_DELAY_S: f64 = 86_400.0;

fn fault<T>(key: String, problem: impl Into<String>) -> Result<T, (String, String)> {
    Err((key, problem.into()))
}

impl AssetModel {
    /// Checks that names are unique, that everything that is referred to is declared, and that
    /// numbers are in range.
    ///
    /// # Errors
    /// [`InvalidModel`] naming the first problem and its key.
    pub fn check(&self) -> Result<(), InvalidModel> {
        let found = self
            .check_signals()
            .and_then(|()| self.check_machine())
            .and_then(|()| self.check_components())
            .and_then(|()| self.check_failure_modes())
            .and_then(|()| self.check_states())
            .and_then(|()| self.check_detection())
            .and_then(|()| self.check_related())
            .and_then(|()| self.check_prognosis());
        found.map_err(|(key, problem)| InvalidModel {
            model: self.id.clone(),
            key,
            problem,
        })
    }

    fn check_signals(&self) -> Found {
        for (at, signal) in self.signals.iter().enumerate() {
            let key = |last: &str| format!("signals[{at}].{last}");
            if repeats(&self.signals, at, |one| &one.name) {
                let problem = format!("signal {:?} is declared twice", signal.name);
                return fault(key("name"), problem);
            }
            if let Some(problem) = signal.limits.problem() {
                return fault(key("limits"), problem);
            }
            if let Some(range) = signal.range {
                finite(&key("range.low"), range.low)?;
                finite(&key("range.high"), range.high)?;
                if range.low >= range.high {
                    return fault(key("range"), "low is not below high");
                }
            }
        }
        Ok(())
    }

    fn check_machine(&self) -> Found {
        let Some(machine) = &self.machine else {
            return Ok(());
        };
        for (key, number) in [
            ("machine.rated_speed_rpm", machine.rated_speed_rpm),
            ("machine.rated_power_kw", machine.rated_power_kw),
        ] {
            number.map_or(Ok(()), |number| above_zero(key, number))?;
        }
        if let Some(limits) = &machine.vibration_limits {
            for (key, [a, b, c]) in [
                (
                    "machine.vibration_limits.velocity_mm_s",
                    limits.velocity_mm_s,
                ),
                (
                    "machine.vibration_limits.displacement_um",
                    limits.displacement_um,
                ),
            ] {
                above_zero(key, a)?;
                finite(key, c)?;
                if !(a < b && b < c) {
                    return fault(key.to_owned(), "the three limits must rise");
                }
            }
        }
        if let Some(signal) = &machine.speed_signal {
            self.declared("machine.speed_signal", signal)?;
        }
        for (at, bearing) in machine.bearings.iter().enumerate() {
            let key = |last: &str| format!("machine.bearings[{at}].{last}");
            if bearing.balls < 3 {
                return fault(key("balls"), "a rolling bearing has at least 3");
            }
            above_zero(&key("ball_diameter_mm"), bearing.ball_diameter_mm)?;
            above_zero(&key("pitch_diameter_mm"), bearing.pitch_diameter_mm)?;
            if bearing.ball_diameter_mm >= bearing.pitch_diameter_mm {
                let problem = "the rolling elements are larger than the circle they run on";
                return fault(key("ball_diameter_mm"), problem);
            }
            if !(0.0..90.0).contains(&bearing.contact_angle_deg) {
                return fault(key("contact_angle_deg"), "use 0 to below 90 degrees");
            }
            if repeats(&machine.bearings, at, |one| &one.name) {
                return fault(key("name"), "another bearing has the same name");
            }
        }
        Ok(())
    }

    fn check_components(&self) -> Found {
        for (at, component) in self.components.iter().enumerate() {
            if repeats(&self.components, at, |one| &one.id) {
                let problem = format!("component {} is declared twice", component.id);
                return fault(format!("components[{at}].id"), problem);
            }
            above_zero(&format!("components[{at}].weight"), component.weight)?;
        }
        Ok(())
    }

    fn check_failure_modes(&self) -> Found {
        for (at, mode) in self.failure_modes.iter().enumerate() {
            let key = format!("failure_modes[{at}]");
            if repeats(&self.failure_modes, at, |one| &one.mode) {
                let problem = format!("failure mode {} is declared twice", mode.mode);
                return fault(format!("{key}.mode"), problem);
            }
            self.check_failure_mode(&key, mode)?;
        }
        let modes = self.failure_modes.iter();
        let features: BTreeSet<&SignalName> = modes
            .flat_map(|mode| mode.signature.iter().map(|term| &term.signal))
            .filter(|name| matches!(self.resolve(name), Some((_, Some(_)))))
            .collect();
        if features.len() > MAX_FEATURES {
            let problem = format!(
                "{} features of signals, of at most {MAX_FEATURES}",
                features.len()
            );
            return fault("failure_modes".to_owned(), problem);
        }
        Ok(())
    }

    fn check_failure_mode(&self, key: &str, mode: &FailureModeSignature) -> Found {
        if let Some(id) = &mode.component
            && !self.components.iter().any(|one| one.id == *id)
        {
            let problem = format!("component {id} is not declared");
            return fault(format!("{key}.component"), problem);
        }
        if let Some(code) = &mode.iso14224 {
            if code.mode.len() != 3 || !code.mode.bytes().all(|b| b.is_ascii_uppercase()) {
                let problem = format!("{:?} is not three capital letters", code.mode);
                return fault(format!("{key}.iso14224.mode"), problem);
            }
            if let Some(number) = &code.mechanism
                && !is_mechanism(number)
            {
                let problem = format!("{number:?} is not 1.0 to 6.9");
                return fault(format!("{key}.iso14224.mechanism"), problem);
            }
        }
        for (at, term) in mode.signature.iter().enumerate() {
            let key = |last: &str| format!("{key}.signature[{at}].{last}");
            if repeats(&mode.signature, at, |one| &one.signal) {
                return fault(key("signal"), format!("{:?} comes twice", term.signal));
            }
            self.known(key("signal"), &term.signal)?;
            if term.weight == 0.0 || !term.weight.is_finite() {
                let problem = format!("{} is no weight; use a number other than zero", term.weight);
                return fault(key("weight"), problem);
            }
        }
        Ok(())
    }

    fn check_states(&self) -> Found {
        delay("operating.settling_s", self.operating.settling_s)?;
        if !(1..=4).contains(&self.operating.max_regimes) {
            return fault("operating.max_regimes".to_owned(), "use 1 to 4");
        }
        for (at, signal) in self.operating.regime_signals.iter().enumerate() {
            self.declared(&format!("operating.regime_signals[{at}]"), signal)?;
        }
        for (at, rule) in self.states.iter().enumerate() {
            self.check_state(&format!("states[{at}]"), rule)?;
            if repeats(&self.states, at, |one| &one.state) {
                let key = format!("states[{at}].state");
                return fault(key, "another rule names the same state");
            }
        }
        Ok(())
    }

    fn check_state(&self, key: &str, rule: &StateRule) -> Found {
        delay(&format!("{key}.on_delay_s"), rule.on_delay_s)?;
        delay(&format!("{key}.off_delay_s"), rule.off_delay_s)?;
        let levels = [rule.below, rule.above, rule.below_share, rule.above_share];
        let given: Vec<f64> = levels.into_iter().flatten().collect();
        if let Some(lasts_s) = rule.lasts_s {
            if rule.state != ModeledState::StartUp || rule.signal.is_some() || !given.is_empty() {
                let problem = "only start_up lasts for a time, and then without a signal";
                return fault(format!("{key}.lasts_s"), problem);
            }
            return delay(&format!("{key}.lasts_s"), lasts_s);
        }
        let Some(signal) = &rule.signal else {
            return fault(key.to_owned(), "needs a signal with a level, or lasts_s");
        };
        self.declared(&format!("{key}.signal"), signal)?;
        let [level] = given[..] else {
            let problem = "needs exactly one of below, above, below_share and above_share";
            return fault(key.to_owned(), problem);
        };
        finite(key, level)?;
        let share = rule.below_share.or(rule.above_share);
        if share.is_some_and(|share| share <= 0.0) || rule.below_share.is_some_and(|s| s >= 1.0) {
            return fault(
                key.to_owned(),
                "a share is above 0, and below 1 for below_share",
            );
        }
        let is_below = rule.below.or(rule.below_share).is_some();
        match rule.until {
            Some(until) if !until.is_finite() || (until < level) == is_below => fault(
                format!("{key}.until"),
                format!("{until} is on the wrong side of {level}"),
            ),
            None if level <= 0.0 => fault(
                key.to_owned(),
                "needs until, because the level is not above zero",
            ),
            _ => Ok(()),
        }
    }

    fn check_detection(&self) -> Found {
        for (at, view) in self.detection.views.iter().enumerate() {
            if self.detection.views[..at].contains(view) {
                return fault(format!("detection.views[{at}]"), "comes twice");
            }
            if *view == View::Limits && self.detection.limits.is_empty() {
                let problem = "asks for limits, and [[detection.limits]] names none";
                return fault(format!("detection.views[{at}]"), problem);
            }
        }
        let limits = &self.detection.limits;
        if limits.len() > MAX_LIMITS {
            let problem = format!("{} limits, of at most {MAX_LIMITS}", limits.len());
            return fault("detection.limits".to_owned(), problem);
        }
        for (at, limit) in limits.iter().enumerate() {
            self.check_limit(&format!("detection.limits[{at}]"), limit)?;
        }
        Ok(())
    }

    fn check_limit(&self, key: &str, limit: &Limit) -> Found {
        self.known(format!("{key}.signal"), &limit.signal)?;
        let (level, is_above) = match (limit.above, limit.below) {
            (Some(level), None) => (level, true),
            (None, Some(level)) => (level, false),
            _ => return fault(key.to_owned(), "needs exactly one of above and below"),
        };
        finite(key, level)?;
        delay(&format!("{key}.on_delay_s"), limit.on_delay_s)?;
        delay(&format!("{key}.off_delay_s"), limit.off_delay_s)?;
        match limit.off {
            Some(off)
                if !off.is_finite() || (is_above && off > level) || (!is_above && off < level) =>
            {
                let problem = format!("{off} is beyond the limit {level}");
                fault(format!("{key}.off"), problem)
            }
            _ => Ok(()),
        }
    }

    fn check_related(&self) -> Found {
        for (at, RelatedSignals { signals, .. }) in self.related.iter().enumerate() {
            let key = format!("related[{at}].signals");
            if signals.len() < 2 {
                return fault(key, "needs two signals or more");
            }
            for (place, signal) in signals.iter().enumerate() {
                self.declared(&format!("{key}[{place}]"), signal)?;
                if signals[..place].contains(signal) {
                    return fault(format!("{key}[{place}]"), format!("{signal:?} comes twice"));
                }
            }
        }
        Ok(())
    }

    fn check_prognosis(&self) -> Found {
        let Some(spec) = &self.prognosis else {
            return Ok(());
        };
        let lists = [
            ("settings", &spec.settings),
            ("signals", &spec.signals),
            ("codes", &spec.codes),
        ];
        for (key, signals) in lists {
            for (at, signal) in signals.iter().enumerate() {
                let key = format!("prognosis.{key}[{at}]");
                self.declared(&key, signal)?;
                if signals[..at].contains(signal) {
                    return fault(key, format!("{signal:?} comes twice"));
                }
            }
        }
        if let Some(at) = spec.signals.iter().position(|s| spec.settings.contains(s)) {
            let problem = format!("{:?} is one of the settings too", spec.signals[at]);
            return fault(format!("prognosis.signals[{at}]"), problem);
        }
        if let Some(id) = &spec.component
            && !self.components.iter().any(|one| one.id == *id)
        {
            let problem = format!("component {id} is not declared");
            return fault("prognosis.component".to_owned(), problem);
        }
        match spec.problem() {
            Some((key, problem)) => fault(format!("prognosis.{key}"), problem),
            None => Ok(()),
        }
    }

    /// A signal that is declared or derived, or a feature there is of a declared one.
    fn known(&self, key: String, name: &SignalName) -> Found {
        match self.resolve(name) {
            None => fault(key, format!("signal {name:?} is not declared")),
            Some((signal, Some(feature))) if !FEATURES.contains(&feature) => fault(
                key,
                format!(
                    "{signal} has no feature {feature:?}; use one of {}",
                    FEATURES.join(", ")
                ),
            ),
            Some(_) => Ok(()),
        }
    }

    fn declared(&self, key: &str, signal: &SignalName) -> Found {
        if self.signal(signal).is_some() || signal.as_str().starts_with(super::DERIVED_PREFIX) {
            return Ok(());
        }
        fault(key.to_owned(), format!("signal {signal:?} is not declared"))
    }
}

/// Whether an earlier item has the same name.
fn repeats<T, N: PartialEq>(items: &[T], at: usize, name: impl Fn(&T) -> &N) -> bool {
    items[..at]
        .iter()
        .any(|other| name(other) == name(&items[at]))
}

fn finite(key: &str, number: f64) -> Found {
    if number.is_finite() {
        return Ok(());
    }
    fault(key.to_owned(), format!("{number} is not a finite number"))
}

fn above_zero(key: &str, number: f64) -> Found {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    fault(key.to_owned(), format!("{number} is not above zero"))
}

fn delay(key: &str, seconds: f64) -> Found {
    if (0.0..=LONGEST_DELAY_S).contains(&seconds) {
        return Ok(());
    }
    fault(
        key.to_owned(),
        format!("{seconds} is not 0 to {LONGEST_DELAY_S} seconds"),
    )
}

/// Whether a text is a number of table B.2: a group 1 to 6, a dot, a digit.
fn is_mechanism(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'6', b'.', b'0'..=b'9'])
}
