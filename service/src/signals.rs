//! What is declared about the signals of one device, beside what its asset's model says.
//!
//! A device may send a signal under another name, in another unit, and may be known to move
//! inside narrower limits than the model allows for all machines of the kind. What the device
//! declares wins over the model, limit by limit. The unit a signal is stored in is never the
//! device's choice: it is the model's; without a model, the one the stored name ends in
//! (`_bar`); else the one the device sends.

use std::{str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, DeviceRules, SignalLimits, SignalName, SignalRule, Unit};

/// Signals declared for one device: far more than a machine has, few enough for one cell.
pub const MAX_SIGNALS_PER_DEVICE: usize = 256;

/// What is declared about one signal of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSignal {
    /// The name in payloads.
    pub name: SignalName,
    /// The name it is stored under; the one in payloads when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
    /// The unit the device sends; the one it is stored in when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// What must hold of its values, in the unit the device sends.
    #[serde(default)]
    pub limits: SignalLimits,
}

impl FromStr for DeviceSignal {
    type Err = String;

    /// Reads a signal as it is written in a cell of [`crate::onboard`].
    fn from_str(text: &str) -> Result<Self, String> {
        crate::onboard::read_signal(text)
    }
}

/// Who declared a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredBy {
    /// The model of the asset the device watches.
    Model,
    /// The device itself, perhaps on top of the model.
    Device,
}

/// One signal of a device as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalView {
    /// The name in payloads.
    pub name: SignalName,
    /// The name it is stored under.
    pub signal: SignalName,
    /// The unit it is stored in.
    pub unit: Option<Unit>,
    /// The unit the device sends when it is another one.
    pub sent_unit: Option<Unit>,
    /// What must hold of its values, in `unit`.
    pub limits: SignalLimits,
    /// Who declared it.
    pub declared_by: DeclaredBy,
}

/// Why a declaration cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignalProblem {
    /// The unit does not fit the one the signal is stored in; names both.
    Unit(String),
    /// The limits contradict themselves or the model's.
    Limits(String),
}

impl DeviceSignal {
    /// The name it is stored under.
    pub fn stored_as(&self) -> &SignalName {
        self.signal.as_ref().unwrap_or(&self.name)
    }

    /// The rule it stands for.
    ///
    /// # Errors
    /// [`SignalProblem`] when unit or limits contradict the model.
    pub(crate) fn rule(&self, model: Option<&AssetModel>) -> Result<SignalRule, SignalProblem> {
        if let Some(problem) = self.limits.problem() {
            return Err(SignalProblem::Limits(problem));
        }
        let stored_as = self.stored_as();
        let spec = model.and_then(|model| {
            let mut specs = model.signals.iter();
            specs.find(|spec| spec.name == *stored_as)
        });
        let unit = match spec {
            Some(spec) => Some(spec.unit),
            None => unit_without_model(stored_as, self.unit),
        };
        let limits = match (self.unit, unit) {
            (Some(sent), Some(stored)) => {
                converted(self.limits, sent, stored).map_err(|problem| match (spec, model) {
                    (Some(_), Some(model)) => SignalProblem::Unit(format!(
                        "asset model {} has {stored_as} in {stored}: {problem}",
                        model.id
                    )),
                    _ => SignalProblem::Unit(problem),
                })?
            }
            _ => self.limits,
        };
        let limits = over(
            spec.map_or_else(SignalLimits::default, |spec| spec.limits),
            limits,
        );
        if let Some(problem) = limits.problem() {
            return Err(SignalProblem::Limits(format!(
                "together with the asset model's limits of {stored_as}, {problem}"
            )));
        }
        Ok(SignalRule {
            signal: stored_as.clone(),
            unit,
            sent_unit: self.unit.filter(|sent| Some(*sent) != unit),
            limits,
        })
    }

    /// The rule when it was accepted against another version of the model: readings are then
    /// refused with a reason that names both units instead of being stored as something else.
    fn rule_in_any_case(&self, model: Option<&AssetModel>) -> SignalRule {
        self.rule(model).unwrap_or_else(|problem| {
            tracing::warn!(signal = %self.name, ?problem, "a declared signal no longer fits its asset model");
            let spec = model.and_then(|model| {
                let mut specs = model.signals.iter();
                specs.find(|spec| spec.name == *self.stored_as())
            });
            let mut rule = spec.map_or_else(
                || SignalRule {
                    signal: self.stored_as().clone(),
                    unit: self.unit,
                    sent_unit: None,
                    limits: SignalLimits::default(),
                },
                SignalRule::of_spec,
            );
            rule.sent_unit = self.unit.filter(|sent| Some(*sent) != rule.unit);
            rule
        })
    }
}

/// The name's ending is believed when it measures the same thing: `force_a` in newton is no ampere.
fn unit_without_model(stored_as: &SignalName, sent: Option<Unit>) -> Option<Unit> {
    let named = Unit::from_signal_name(stored_as.as_str());
    match (named, sent) {
        (Some(named), Some(sent)) if named.quantity() == sent.quantity() => Some(named),
        (named, None) => named,
        (_, sent) => sent,
    }
}

/// Limits in another unit. A rate has no zero point, so only the scale counts.
fn converted(limits: SignalLimits, from: Unit, to: Unit) -> Result<SignalLimits, String> {
    let value = |value: f64| from.convert(value, to).map_err(|error| error.to_string());
    let zero = value(0.0)?;
    Ok(SignalLimits {
        min: limits.min.map(value).transpose()?,
        max: limits.max.map(value).transpose()?,
        max_rate_per_s: match limits.max_rate_per_s {
            Some(rate) => Some(value(rate)? - zero),
            None => None,
        },
        stuck_after_s: limits.stuck_after_s,
    })
}

/// The device's limits over the model's, one by one.
fn over(model: SignalLimits, device: SignalLimits) -> SignalLimits {
    SignalLimits {
        min: device.min.or(model.min),
        max: device.max.or(model.max),
        max_rate_per_s: device.max_rate_per_s.or(model.max_rate_per_s),
        stuck_after_s: device.stuck_after_s.or(model.stuck_after_s),
    }
}

/// Everything that is declared about a device; none when nothing is.
pub(crate) fn merged(
    model: Option<&Arc<AssetModel>>,
    of_model: Option<&Arc<DeviceRules>>,
    declared: &[DeviceSignal],
) -> Option<Arc<DeviceRules>> {
    if declared.is_empty() {
        return of_model.filter(|rules| !rules.is_empty()).map(Arc::clone);
    }
    let mut rules = of_model.map_or_else(DeviceRules::new, |rules| DeviceRules::clone(rules));
    for signal in declared {
        let rule = signal.rule_in_any_case(model.map(Arc::as_ref));
        rules.declare(signal.name.clone(), rule);
    }
    Some(Arc::new(rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(name: &str, stored: Option<&str>, unit: Option<Unit>) -> DeviceSignal {
        DeviceSignal {
            name: SignalName::new(name).unwrap(),
            signal: stored.map(|stored| SignalName::new(stored).unwrap()),
            unit,
            limits: SignalLimits::default(),
        }
    }

    #[test]
    fn the_unit_it_is_stored_in_is_the_models_then_the_names_then_the_devices() {
        let model = crate::testing::pump_model();
        for (name, stored, sent, model, expected) in [
            // The model has bearing_temperature_c in °C.
            (
                "t1",
                Some("bearing_temperature_c"),
                Some(Unit::Fahrenheit),
                Some(&model),
                Some(Unit::Celsius),
            ),
            (
                "bearing_temperature_c",
                None,
                None,
                Some(&model),
                Some(Unit::Celsius),
            ),
            (
                "oil_pressure_bar",
                None,
                Some(Unit::Psi),
                None,
                Some(Unit::Bar),
            ),
            ("oil_pressure_bar", None, None, None, Some(Unit::Bar)),
            // A name may end in letters that are no unit here.
            ("phase_a", None, Some(Unit::Volt), None, Some(Unit::Volt)),
            ("level", None, None, None, None),
        ] {
            let rule = signal(name, stored, sent).rule(model).unwrap();
            assert_eq!(rule.unit, expected, "{name}");
            assert_eq!(rule.signal.as_str(), stored.unwrap_or(name));
            assert_eq!(rule.sent_unit, sent.filter(|sent| Some(*sent) != expected));
        }
    }

    #[test]
    fn limits_are_told_in_the_unit_that_is_sent_and_kept_in_the_one_that_is_stored() {
        let mut declared = signal("bearing_temperature_c", None, Some(Unit::Fahrenheit));
        // -40 °F is -40 °C and 212 °F is 100 °C; a step of 1.8 °F is one of 1 °C.
        declared.limits = SignalLimits {
            min: Some(-40.0),
            max: Some(212.0),
            max_rate_per_s: Some(1.8),
            stuck_after_s: Some(600.0),
        };
        let limits = declared.rule(None).unwrap().limits;
        for (got, expected) in [
            (limits.min, -40.0),
            (limits.max, 100.0),
            (limits.max_rate_per_s, 1.0),
            (limits.stuck_after_s, 600.0),
        ] {
            assert!((got.unwrap() - expected).abs() < 1e-9, "{limits:?}");
        }
    }

    #[test]
    fn the_devices_limits_win_over_the_models_one_by_one() {
        let model = crate::testing::pump_model();
        let mut declared = signal("bearing_temperature_c", None, None);
        declared.limits.max = Some(90.0);
        let limits = declared.rule(Some(&model)).unwrap().limits;
        assert_eq!((limits.min, limits.max), (Some(-50.0), Some(90.0)));
        declared.limits.max = Some(-60.0);
        let problem = declared.rule(Some(&model)).unwrap_err();
        let SignalProblem::Limits(text) = problem else {
            panic!("{problem:?}");
        };
        assert!(
            text.contains("min -50") && text.contains("max -60"),
            "{text}"
        );
    }

    #[test]
    fn a_unit_of_another_quantity_is_refused_and_both_are_named() {
        let model = crate::testing::pump_model();
        let declared = signal("bearing_temperature_c", None, Some(Unit::Bar));
        let SignalProblem::Unit(text) = declared.rule(Some(&model)).unwrap_err() else {
            panic!("limits were blamed");
        };
        for part in ["pump", "bearing_temperature_c", "bar", "°C"] {
            assert!(text.contains(part), "{text}");
        }
        // What was accepted before the model changed refuses readings instead of mixing units.
        let rules = merged(Some(&Arc::new(model)), None, &[declared]).unwrap();
        let rule = rules.get("bearing_temperature_c").unwrap();
        assert_eq!(rule.unit, Some(Unit::Celsius));
        assert_eq!(rule.sent_unit, Some(Unit::Bar));
    }
}
