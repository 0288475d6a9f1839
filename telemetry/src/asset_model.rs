//! What kind of machine an asset is: its signals and how its failure modes show in them.

use serde::{Deserialize, Serialize};

use crate::{AssetModelId, FailureMode, SignalLimits, SignalName, Unit};

/// A kind of machine, usually read from one TOML file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetModel {
    /// The id assets refer to, such as `centrifugal-pump`.
    pub id: AssetModelId,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Chinese.
    pub name_zh: String,
    /// The signals its devices publish.
    pub signals: Vec<SignalSpec>,
    /// Its failure modes with the signature each leaves in the signals.
    #[serde(default)]
    pub failure_modes: Vec<FailureModeSignature>,
}

/// One signal of an asset model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSpec {
    /// The name in payloads.
    pub name: SignalName,
    /// The unit of its values.
    pub unit: Unit,
    /// Its name in English.
    pub label_en: String,
    /// Its name in Chinese.
    pub label_zh: String,
    /// What must hold of its values, in `unit`; anything may when it is left out.
    #[serde(default)]
    pub limits: SignalLimits,
}

/// How a failure mode shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureModeSignature {
    /// The failure mode, such as `bearing-wear`.
    pub mode: FailureMode,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Chinese.
    pub name_zh: String,
    /// The direction in which each signal moves, and how strongly against the others.
    pub signature: Vec<SignatureTerm>,
}

/// One signal's part in a signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureTerm {
    /// The signal.
    pub signal: SignalName,
    /// Relative strength and sign of its deviation; not zero.
    pub weight: f64,
}

/// A model that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("asset model {model}: {problem}")]
pub struct InvalidModel {
    /// The model at fault.
    pub model: AssetModelId,
    /// What is wrong with it and where.
    pub problem: String,
}

impl AssetModel {
    /// Checks that names are unique and that signatures speak of declared signals only.
    ///
    /// # Errors
    /// [`InvalidModel`] naming the first problem.
    pub fn check(&self) -> Result<(), InvalidModel> {
        let fail = |problem: String| {
            Err(InvalidModel {
                model: self.id.clone(),
                problem,
            })
        };
        for (at, signal) in self.signals.iter().enumerate() {
            if self.signals[..at]
                .iter()
                .any(|other| other.name == signal.name)
            {
                return fail(format!("signal {:?} is declared twice", signal.name));
            }
            if let Some(problem) = signal.limits.problem() {
                return fail(format!("the limits of signal {:?}: {problem}", signal.name));
            }
        }
        for (at, mode) in self.failure_modes.iter().enumerate() {
            if self.failure_modes[..at]
                .iter()
                .any(|other| other.mode == mode.mode)
            {
                return fail(format!("failure mode {} is declared twice", mode.mode));
            }
            for term in &mode.signature {
                if !self.signals.iter().any(|signal| signal.name == term.signal) {
                    return fail(format!(
                        "the signature of {} names signal {:?}, which is not declared",
                        mode.mode, term.signal
                    ));
                }
                if term.weight == 0.0 || !term.weight.is_finite() {
                    return fail(format!(
                        "the signature of {} gives signal {:?} the weight {}; use a number other than zero",
                        mode.mode, term.signal, term.weight
                    ));
                }
            }
        }
        Ok(())
    }
}
