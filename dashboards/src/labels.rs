//! What people read instead of ids: names of signals, units and failure modes.

use serde::{Deserialize, Serialize};
use telemetry::{
    AssetModel, CLOCK_SIGNAL, ComponentId, ConditionState, Evidence, Explanation, FailureMode,
    SignalName, Timestamp, Unit,
};
use utoipa::ToSchema;

/// A text in both languages of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Text {
    /// English.
    pub en: String,
    /// 简体中文.
    pub zh: String,
}

impl Text {
    /// A text in both languages.
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// What a room below says in both languages.
    pub fn of(words: &Explanation) -> Self {
        Self::new(&words.en, &words.zh)
    }
}

/// The name of an asset model.
pub fn model_name(model: &AssetModel) -> Text {
    Text::new(&model.name_en, &model.name_zh)
}

/// The unit of a signal: the asset model's, else the one its name ends in.
pub fn unit(model: Option<&AssetModel>, signal: &SignalName) -> Option<Unit> {
    spec(model, signal)
        .map(|spec| spec.unit)
        .or_else(|| Unit::from_signal_name(signal.as_str()))
}

/// The name of a signal: the asset model's, else its own made readable.
pub fn signal_label(model: Option<&AssetModel>, signal: &SignalName) -> Text {
    if signal.as_str() == CLOCK_SIGNAL {
        return Text::new("Clock of the device", "终端时钟");
    }
    spec(model, signal).map_or_else(
        || {
            let words = signal.words();
            Text::new(words.clone(), words)
        },
        |spec| Text::new(&spec.label_en, &spec.label_zh),
    )
}

fn spec<'a>(
    model: Option<&'a AssetModel>,
    signal: &SignalName,
) -> Option<&'a telemetry::SignalSpec> {
    let signals = &model?.signals;
    signals.iter().find(|spec| spec.name == *signal)
}

/// The name of a component: the asset model's, else its id.
pub fn component_name(model: Option<&AssetModel>, id: &ComponentId) -> Text {
    let known = model.and_then(|model| model.components.iter().find(|one| one.id == *id));
    known.map_or_else(
        || Text::new(id.as_str(), id.as_str()),
        |known| Text::new(&known.name_en, &known.name_zh),
    )
}

/// The name of a failure mode: the asset model's; none for one that nobody has named.
pub fn failure_mode_name(model: Option<&AssetModel>, mode: &FailureMode) -> Option<Text> {
    if mode.as_str() == FailureMode::UNCLASSIFIED {
        return Some(Text::new("Unusual behaviour", "异常状态"));
    }
    if mode.as_str() == FailureMode::SENSOR_FAULT {
        return Some(Text::new("Sensor fault", "传感器故障"));
    }
    let modes = &model?.failure_modes;
    modes
        .iter()
        .find(|known| known.mode == *mode)
        .map(|known| Text::new(&known.name_en, &known.name_zh))
}

/// The name of what a case is about: its failure mode, with the signal where it is a sensor's.
pub fn case_name(
    model: Option<&AssetModel>,
    mode: &FailureMode,
    signal: Option<&SignalName>,
) -> Option<Text> {
    let name = failure_mode_name(model, mode)?;
    let Some(signal) = signal else {
        return Some(name);
    };
    let of = signal_label(model, signal);
    Some(Text::new(
        format!("{}: {}", name.en, of.en),
        format!("{}：{}", name.zh, of.zh),
    ))
}

/// A verdict in words: which signals, how far from which normal, since when.
pub fn explanation(
    state: ConditionState,
    since: Timestamp,
    evidence: Option<&Evidence>,
    model: Option<&AssetModel>,
) -> Text {
    let told = analytics::explain(state, since, evidence, model);
    Text::new(told.en, told.zh)
}

#[cfg(test)]
mod tests {
    use telemetry::{AssetModelId, FailureModeSignature, SignalSpec};

    use super::*;

    fn model() -> AssetModel {
        let outlet = SignalSpec {
            name: SignalName::new("outlet").unwrap(),
            unit: Unit::Bar,
            label_en: "Discharge pressure".to_owned(),
            label_zh: "出口压力".to_owned(),
            limits: telemetry::SignalLimits::default(),
            range: None,
            counter: false,
        };
        let id = AssetModelId::new("centrifugal-pump").unwrap();
        let mode = FailureMode::new("cavitation").unwrap();
        let cavitation = FailureModeSignature::new(mode, "Cavitation", "汽蚀", Vec::new());
        AssetModel {
            failure_modes: vec![cavitation],
            ..AssetModel::new(id, "Centrifugal pump", "离心泵", vec![outlet])
        }
    }

    #[test]
    fn the_model_names_signals_and_the_name_itself_does_where_it_is_silent() {
        let model = model();
        for (signal, en, zh, unit_is) in [
            ("outlet", "Discharge pressure", "出口压力", Some(Unit::Bar)),
            (
                "bearing_temperature_c",
                "Bearing temperature",
                "Bearing temperature",
                Some(Unit::Celsius),
            ),
            ("load", "Load", "Load", None),
            (
                "Volume Flow RateRMS",
                "Volume Flow RateRMS",
                "Volume Flow RateRMS",
                None,
            ),
            ("温度", "温度", "温度", None),
        ] {
            let signal = SignalName::new(signal).unwrap();
            assert_eq!(signal_label(Some(&model), &signal), Text::new(en, zh));
            assert_eq!(unit(Some(&model), &signal), unit_is);
        }
    }

    #[test]
    fn a_failure_mode_without_a_name_has_none() {
        let model = model();
        let name = |mode: &str| failure_mode_name(Some(&model), &FailureMode::new(mode).unwrap());
        assert_eq!(name("cavitation"), Some(Text::new("Cavitation", "汽蚀")));
        assert_eq!(name("unclassified").unwrap().en, "Unusual behaviour");
        assert_eq!(name("bearing-wear"), None);
    }
}
