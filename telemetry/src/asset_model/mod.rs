//! What kind of machine an asset is: its signals, its components, how its failure modes show,
//! which operating states it has, and what watches it.
//!
//! A model is one file. Only the id, the names and the signals must be in it; each of the other
//! tables may be left out, and what it would have said is then learned from the data or
//! decided by the defaults that its type documents. A key nobody knows is refused, because a
//! misspelt threshold that is silently ignored is worse than none.

mod check;
mod detection;
mod machine;
mod prognosis;
mod states;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{AssetId, AssetModelId, ComponentId, FailureMode, SignalLimits, SignalName, Unit};

pub use check::InvalidModel;
pub use detection::{
    Detection, FEATURES, Limit, LimitState, MAX_FEATURES, MAX_LIMITS, RelatedSignals, RelationSign,
    View,
};
pub use machine::{Bearing, Foundation, Machine, VibrationGroup, VibrationLimits};
pub use prognosis::{LifeAxis, PrognosisCosts, PrognosisSpec};
pub use states::{ModeledState, OperatingRules, StateRule};

/// What a device watches, as the asset ledger says.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The asset the device measures.
    pub asset: AssetId,
    /// What kind of machine it is; none when nobody has said.
    pub model: Option<Arc<AssetModel>>,
}

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
    /// Its nameplate, as far as detection needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// What it is made of; health is told for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// Its failure modes with the signature each leaves in the signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_modes: Vec<FailureModeSignature>,
    /// How its operating states are told apart.
    #[serde(default, skip_serializing_if = "OperatingRules::is_default")]
    pub operating: OperatingRules,
    /// Rules of its operating states, in the order in which they are asked; the first that
    /// holds names the state, and a machine of which none holds is running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<StateRule>,
    /// What watches it.
    #[serde(default, skip_serializing_if = "Detection::is_default")]
    pub detection: Detection,
    /// Signals that move together by physics or design; a sensor that leaves its partners is
    /// suspected before the machine is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<RelatedSignals>,
    /// How its remaining life is learned from a fleet; none is learned without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prognosis: Option<PrognosisSpec>,
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
    /// What its sensor can measure, in `unit`; a sensor that stays at an end is saturated.
    /// Unlike `limits` this refuses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<MeasuringRange>,
    /// Whether it only counts up, such as operating hours or energy: its value says how old the
    /// machine is, not how it is, and no verdict rests on it. A signal that never falls while
    /// normal is learned is taken for one without being declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counter: bool,
}

/// The ends of what a sensor can measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuringRange {
    /// The lowest value it can show.
    pub low: f64,
    /// The highest value it can show, above `low`.
    pub high: f64,
}

/// A maintainable item of the machine in the sense of ISO 14224.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The id failure modes refer to.
    pub id: ComponentId,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Chinese.
    pub name_zh: String,
    /// Its part in the health of the machine against the other components; above zero.
    #[serde(default = "one")]
    pub weight: f64,
}

/// A component counts once unless the model says otherwise.
const fn one() -> f64 {
    1.0
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
    /// Its codes in the taxonomy of ISO 14224.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso14224: Option<Iso14224>,
    /// The component that fails; the machine as a whole when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentId>,
    /// The direction in which each signal moves, and how strongly against the others.
    pub signature: Vec<SignatureTerm>,
}

/// Where a failure mode stands in ISO 14224:2016: the observed mode by its three letters
/// (annex B.2.6) and the mechanism by its number (table B.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iso14224 {
    /// Three capital letters, such as `VIB` (vibration) or `OHE` (overheating).
    pub mode: String,
    /// The number of the mechanism, such as `2.4` (wear) or `5.1` (blockage).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
}

/// One signal's or feature's part in a signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureTerm {
    /// A signal, a feature of a signal as `signal.feature`, or one that is derived from
    /// waveforms, whose name begins with [`DERIVED_PREFIX`].
    pub signal: SignalName,
    /// Relative strength and sign of its deviation; not zero.
    pub weight: f64,
}

/// What the names of signals begin with that are computed from waveforms and that no
/// device declares.
pub const DERIVED_PREFIX: &str = "waveform.";

impl AssetModel {
    /// A model of these names and signals that leaves everything else to the defaults.
    pub fn new(id: AssetModelId, name_en: &str, name_zh: &str, signals: Vec<SignalSpec>) -> Self {
        Self {
            id,
            name_en: name_en.to_owned(),
            name_zh: name_zh.to_owned(),
            signals,
            machine: None,
            components: Vec::new(),
            failure_modes: Vec::new(),
            operating: OperatingRules::default(),
            states: Vec::new(),
            detection: Detection::default(),
            related: Vec::new(),
            prognosis: None,
        }
    }

    /// The declaration of a signal.
    pub fn signal(&self, name: &SignalName) -> Option<&SignalSpec> {
        self.signals.iter().find(|spec| spec.name == *name)
    }

    /// The component a failure mode belongs to, if the model says.
    pub fn component_of(&self, mode: &FailureMode) -> Option<&Component> {
        let known = self.failure_modes.iter().find(|one| one.mode == *mode)?;
        let id = known.component.as_ref()?;
        self.components.iter().find(|one| one.id == *id)
    }

    /// Whether mending a fault of this mode begins a new life of this component. A fault that
    /// nobody named, or that belongs to no component, is the whole machine's; so is the life when no component is asked for.
    pub fn renews(&self, component: Option<&ComponentId>, mode: Option<&FailureMode>) -> bool {
        let of_mode = mode.and_then(|mode| self.component_of(mode));
        match (component, of_mode) {
            (Some(component), Some(of_mode)) => of_mode.id == *component,
            _ => true,
        }
    }

    /// A name of a signature as the signal it speaks of and the feature of it: the whole name
    /// is a declared signal, or all before its last dot is one and the feature follows.
    /// None for a name that is neither; derived names come back whole.
    pub fn resolve<'a>(&self, name: &'a SignalName) -> Option<(&'a str, Option<&'a str>)> {
        let text = name.as_str();
        let declared = |text: &str| self.signals.iter().any(|spec| spec.name.as_str() == text);
        if declared(text) || text.starts_with(DERIVED_PREFIX) {
            return Some((text, None));
        }
        let (signal, feature) = text.rsplit_once('.')?;
        (declared(signal) && !feature.is_empty()).then_some((signal, Some(feature)))
    }
}

impl FailureModeSignature {
    /// A failure mode of the machine as a whole, without codes.
    pub fn new(
        mode: FailureMode,
        name_en: &str,
        name_zh: &str,
        signature: Vec<SignatureTerm>,
    ) -> Self {
        Self {
            mode,
            name_en: name_en.to_owned(),
            name_zh: name_zh.to_owned(),
            iso14224: None,
            component: None,
            signature,
        }
    }
}
