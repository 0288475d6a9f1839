//! What is declared about the signals of a device: names, units and limits.

use rustc_hash::FxHashMap;

use crate::{AssetModel, SignalName, SignalSpec, Unit};

/// What is declared about the signals of one device, by their name in payloads. A signal
/// without a rule is accepted as it comes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceRules(FxHashMap<SignalName, SignalRule>);

/// What is declared about one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalRule {
    /// The name it is stored under; usually the one in the payload.
    pub signal: SignalName,
    /// The unit it is stored in: the asset model's.
    pub unit: Option<Unit>,
    /// The unit the device sends when its payload does not say; none means `unit`.
    pub sent_unit: Option<Unit>,
    /// What must hold of its values.
    pub limits: SignalLimits,
}

/// What must hold of the values of a signal, counted in the unit it is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalLimits {
    /// The smallest value that is physically possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest value that is physically possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The fastest change that is physically possible, per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate_per_s: Option<f64>,
    /// An unchanged value for longer than this, in seconds, is counted as stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_after_s: Option<f64>,
}

impl SignalLimits {
    /// What is wrong with these limits, if anything.
    pub fn problem(&self) -> Option<String> {
        let numbers = [
            ("min", self.min),
            ("max", self.max),
            ("max_rate_per_s", self.max_rate_per_s),
            ("stuck_after_s", self.stuck_after_s),
        ];
        for (name, number) in numbers {
            if number.is_some_and(|number| !number.is_finite()) {
                return Some(format!("{name} is not a finite number"));
            }
        }
        for (name, number) in &numbers[2..] {
            if number.is_some_and(|number| number <= 0.0) {
                return Some(format!("{name} must be above zero"));
            }
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min >= max => {
                Some(format!("min {min} is not below max {max}"))
            }
            _ => None,
        }
    }
}

impl DeviceRules {
    /// No rule at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules a device gets from its asset's model.
    pub fn of_model(model: &AssetModel) -> Self {
        Self(
            model
                .signals
                .iter()
                .map(|spec| (spec.name.clone(), SignalRule::of_spec(spec)))
                .collect(),
        )
    }

    /// Declares a signal by its name in payloads; a second declaration replaces the first.
    pub fn declare(&mut self, sent_as: SignalName, rule: SignalRule) {
        self.0.insert(sent_as, rule);
    }

    /// The rule of a signal by its name in payloads.
    pub fn get(&self, sent_as: &str) -> Option<&SignalRule> {
        self.0.get(sent_as)
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every declared signal, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&SignalName, &SignalRule)> {
        self.0.iter()
    }
}

impl SignalRule {
    /// The rule a signal of an asset model stands for.
    pub fn of_spec(spec: &SignalSpec) -> Self {
        Self {
            signal: spec.name.clone(),
            unit: Some(spec.unit),
            sent_unit: None,
            limits: spec.limits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_contradict_themselves_are_named() {
        let limits = |min, max, rate, stuck| SignalLimits {
            min,
            max,
            max_rate_per_s: rate,
            stuck_after_s: stuck,
        };
        for (limits, expected) in [
            (limits(None, None, None, None), None),
            (limits(Some(0.0), Some(1.0), Some(1.0), Some(60.0)), None),
            (limits(Some(1.0), Some(1.0), None, None), Some("min 1")),
            (limits(None, Some(f64::NAN), None, None), Some("max is not")),
            (limits(None, None, Some(0.0), None), Some("max_rate_per_s")),
            (limits(None, None, None, Some(-1.0)), Some("stuck_after_s")),
        ] {
            let problem = limits.problem();
            assert_eq!(problem.is_some(), expected.is_some(), "{limits:?}");
            if let (Some(problem), Some(expected)) = (problem, expected) {
                assert!(problem.starts_with(expected), "{problem}");
            }
        }
    }
}
