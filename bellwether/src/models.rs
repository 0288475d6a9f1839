//! Asset models: the ones the program brings along, and those of a folder.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use service::Service;
use telemetry::{AssetModel, AssetModelId, Assignment, DeviceId};
use toml::de::{DeTable, DeValue};

/// The built-in models with the name of their file.
const BUILTIN: [(&str, &str); 8] = [
    (
        "base-station-cooling.toml",
        include_str!("../../deploy/models/base-station-cooling.toml"),
    ),
    (
        "centrifugal-pump.toml",
        include_str!("../../deploy/models/centrifugal-pump.toml"),
    ),
    ("fan.toml", include_str!("../../deploy/models/fan.toml")),
    (
        "gearbox.toml",
        include_str!("../../deploy/models/gearbox.toml"),
    ),
    (
        "hydraulic-unit.toml",
        include_str!("../../deploy/models/hydraulic-unit.toml"),
    ),
    (
        "induction-motor.toml",
        include_str!("../../deploy/models/induction-motor.toml"),
    ),
    (
        "screw-compressor.toml",
        include_str!("../../deploy/models/screw-compressor.toml"),
    ),
    (
        "ups-rectifier.toml",
        include_str!("../../deploy/models/ups-rectifier.toml"),
    ),
];

/// A folder with more models than this is not a folder of models.
const MAX_FILES: usize = 1_000;

/// The models there are, by id.
pub(crate) type Models = BTreeMap<AssetModelId, Arc<AssetModel>>;

/// The built-in models and those of a folder, by id.
///
/// # Errors
/// As [`load`].
pub(crate) fn by_id(dir: Option<&Path>) -> Result<Models> {
    let models = load(dir)?.into_iter();
    Ok(models.map(|model| (model.id.clone(), model)).collect())
}

/// What a device watches, as the asset ledger says; none when it is on no asset.
pub(crate) fn assignment(
    service: &Service,
    models: &Models,
    device: &DeviceId,
) -> Option<Assignment> {
    let (asset, model) = service.assignment(device)?;
    let model = models.get(&model).cloned();
    Some(Assignment { asset, model })
}

/// Reads one model; every complaint names the file, the line and the key.
fn parse(name: &str, text: &str) -> Result<AssetModel> {
    let model: AssetModel = toml::from_str(text).with_context(|| format!("asset model {name}"))?;
    if let Err(invalid) = model.check() {
        let line =
            line_of(text, &invalid.key).map_or_else(String::new, |at| format!(", line {at}"));
        return Err(invalid).with_context(|| format!("asset model {name}{line}"));
    }
    Ok(model)
}

/// The line a key is on, counted from 1: of the longest part of its path that is written down,
/// because a key that is missing has no line of its own.
pub(crate) fn line_of(text: &str, path: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
    let first = steps.next()?;
    let (key, mut value) = document.get_ref().get_key_value(first)?;
    let mut at = key.span().start;
    for step in steps {
        value = match value.get_ref() {
            DeValue::Table(table) => {
                let Some((key, inner)) = table.get_key_value(step) else {
                    break;
                };
                at = key.span().start;
                inner
            }
            DeValue::Array(items) => {
                let Some(item) = step.parse().ok().and_then(|index: usize| items.get(index)) else {
                    break;
                };
                at = item.span().start;
                item
            }
            _ => break,
        };
    }
    Some(text.get(..at)?.matches('\n').count() + 1)
}

/// The `*.toml` files of a folder with their texts, by name.
///
/// # Errors
/// When the folder or a file cannot be read, or there are more than [`MAX_FILES`].
pub(crate) fn toml_files(dir: &Path) -> Result<Vec<(String, String)>> {
    let entries = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read the folder {}", dir.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    if paths.len() > MAX_FILES {
        bail!("{} holds more than {MAX_FILES} files", dir.display());
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    paths.iter().map(read).collect()
}

/// The models in the `*.toml` files of a folder, by file name.
///
/// # Errors
/// When the folder or a file cannot be read, or a model contradicts itself.
pub(crate) fn read_dir(dir: &Path) -> Result<Vec<AssetModel>> {
    let files = toml_files(dir)?;
    files.iter().map(|(name, text)| parse(name, text)).collect()
}

/// The built-in models with those of `dir`; a model of the folder replaces the built-in one
/// with the same id.
///
/// # Errors
/// As [`read_dir`]; also when two files of the folder have the same id.
pub(crate) fn load(dir: Option<&Path>) -> Result<Vec<Arc<AssetModel>>> {
    let mut models: Vec<AssetModel> = BUILTIN
        .iter()
        .map(|(name, text)| parse(name, text))
        .collect::<Result<_>>()?;
    let own = dir.map(read_dir).transpose()?.unwrap_or_default();
    for (at, model) in own.iter().enumerate() {
        if own[..at].iter().any(|other| other.id == model.id) {
            bail!("two files of the models folder describe {}", model.id);
        }
    }
    models.retain(|model| own.iter().all(|other| other.id != model.id));
    models.extend(own);
    models.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(models.into_iter().map(Arc::new).collect())
}

/// A built-in model, for tests of what must agree with it.
#[cfg(test)]
pub(crate) fn builtin_of(id: &str) -> AssetModel {
    let found = BUILTIN
        .iter()
        .map(|(name, text)| parse(name, text).unwrap());
    found
        .into_iter()
        .find(|model| model.id.as_str() == id)
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_adds_models_and_replaces_builtin_ones() {
        let dir = tempfile::tempdir().unwrap();
        let own =
            "id = \"induction-motor\"\nname_en = \"Our motor\"\nname_zh = \"电机\"\nsignals = []\n";
        std::fs::write(dir.path().join("motor.toml"), own).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "no model").unwrap();
        let models = load(Some(dir.path())).unwrap();
        assert_eq!(models.len(), BUILTIN.len());
        let motor = models
            .iter()
            .find(|m| m.id.as_str() == "induction-motor")
            .unwrap();
        assert_eq!(motor.name_en, "Our motor");

        std::fs::write(dir.path().join("other.toml"), own).unwrap();
        assert!(
            load(Some(dir.path()))
                .unwrap_err()
                .to_string()
                .contains("induction-motor")
        );
        std::fs::write(dir.path().join("other.toml"), "id = 4").unwrap();
        let error = format!("{:#}", load(Some(dir.path())).unwrap_err());
        assert!(error.contains("other.toml"), "{error}");
    }

    /// What follows a sound head, the line at fault and the key; `{mode}` is a failure mode
    /// and `{signal}` the signal of the head once more.
    const MISTAKES: &[(&str, &str, &str)] = &[
        ("typo = 1\n", "line 4", "typo"),
        ("[machine]\nspeed = 3\n", "line 10", "speed"),
        ("{signal}", "line 10", "signals[1].name"),
        (
            "[machine]\nspeed_signal = \"x\"\n",
            "line 10",
            "machine.speed_signal",
        ),
        (
            "[machine]\nfoundation = \"soft\"\n",
            "line 10",
            "foundation",
        ),
        ("[machine]\nvibration_group = 3\n", "line 10", "group"),
        (
            "[machine.vibration_limits]\nvelocity_mm_s = [1, 3, 2]\ndisplacement_um = [1, 2, 3]\n",
            "line 10",
            "velocity_mm_s",
        ),
        (
            "[[machine.bearings]]\nname = \"b\"\nballs = 2\nball_diameter_mm = 1\npitch_diameter_mm = 2\n",
            "line 11",
            "balls",
        ),
        (
            "[[components]]\nid = \"c\"\nname_en = \"C\"\nname_zh = \"件\"\nweight = 0\n",
            "line 13",
            "components[0].weight",
        ),
        (
            "[[failure_modes]]\nmode = \"f\"\nname_en = \"F\"\nname_zh = \"障\"\nsignature = [\n { signal = \"s\", weight = 1 },\n { signal = \"s.std\", weight = 0 },\n]\n",
            "line 15",
            "signature[1].weight",
        ),
        (
            "[[failure_modes]]\nmode = \"f\"\nname_en = \"F\"\nname_zh = \"障\"\nsignature = [{ signal = \"t\", weight = 1 }]\n",
            "line 13",
            "signature[0].signal",
        ),
        ("{mode}component = \"c\"\n", "line 14", "component"),
        (
            "{mode}iso14224 = { mode = \"vib\" }\n",
            "line 14",
            "iso14224.mode",
        ),
        (
            "{mode}iso14224 = { mode = \"VIB\", mechanism = \"9.1\" }\n",
            "line 14",
            "mechanism",
        ),
        ("{mode}{mode}", "line 15", "twice"),
        ("[operating]\nmax_regimes = 5\n", "line 10", "max_regimes"),
        (
            "[[states]]\nstate = \"off\"\nsignal = \"s\"\n",
            "line 9",
            "exactly one",
        ),
        (
            "[[states]]\nstate = \"off\"\nsignal = \"s\"\nbelow = 2\nuntil = 1\n",
            "line 13",
            "until",
        ),
        (
            "[[states]]\nstate = \"off\"\nlasts_s = 5\n",
            "line 11",
            "start_up",
        ),
        (
            "[[states]]\nstate = \"maintenance\"\n",
            "line 10",
            "maintenance",
        ),
        (
            "[[detection.limits]]\nsignal = \"s\"\nabove = 2\noff = 3\n",
            "line 12",
            "off",
        ),
        (
            "[[detection.limits]]\nsignal = \"t\"\nabove = 2\n",
            "line 10",
            "signal",
        ),
        (
            "[detection]\nviews = [\"level\", \"level\"]\n",
            "line 10",
            "twice",
        ),
        (
            "[detection]\nviews = [\"limits\"]\n",
            "line 10",
            "names none",
        ),
        (
            "[[detection.limits]]\nsignal = \"s.kurtosi\"\nabove = 2\n",
            "line 10",
            "no feature \"kurtosi\"; use one of ewma,",
        ),
        (
            "[[failure_modes]]\nmode = \"f\"\nname_en = \"F\"\nname_zh = \"障\"\nsignature = [{ signal = \"s.x\", weight = 1 }]\n",
            "line 13",
            "no feature \"x\"",
        ),
        ("[[related]]\nsignals = [\"s\"]\n", "line 10", "two signals"),
        ("[prognosis]\ncycle_s = 0\n", "line 10", "prognosis.cycle_s"),
        (
            "[prognosis]\nsignals = [\"t\"]\n",
            "line 10",
            "prognosis.signals[0]",
        ),
        (
            "[prognosis]\nsignals = [\"s\"]\nsettings = [\"s\"]\n",
            "line 10",
            "one of the settings too",
        ),
        (
            "[prognosis]\nhorizons_s = [2, 1]\n",
            "line 10",
            "rising horizons",
        ),
        (
            "[prognosis]\n[prognosis.costs]\nplanned = 6\n",
            "line 10",
            "at least what planned work costs",
        ),
        ("[prognosis]\ncycle = 3\n", "line 10", "cycle"),
    ];

    /// Where a model is wrong, its file, line and key are said.
    #[test]
    fn a_model_that_is_wrong_names_the_line_and_the_key() {
        let head = "id = \"m\"\nname_en = \"M\"\nname_zh = \"机\"\n";
        let signal =
            "[[signals]]\nname = \"s\"\nunit = \"A\"\nlabel_en = \"S\"\nlabel_zh = \"量\"\n";
        let mode =
            "[[failure_modes]]\nmode = \"f\"\nname_en = \"F\"\nname_zh = \"障\"\nsignature = []\n";
        for (tail, line, says) in MISTAKES {
            let tail = tail.replace("{mode}", mode).replace("{signal}", signal);
            let text = if tail.starts_with("typo") {
                format!("{head}{tail}{signal}")
            } else {
                format!("{head}{signal}{tail}")
            };
            let error = format!("{:#}", parse("own.toml", &text).unwrap_err());
            for part in ["own.toml", *line, *says] {
                assert!(error.contains(part), "{part:?} is not in {error}\n{text}");
            }
        }
    }

    #[test]
    fn a_model_of_id_names_and_signals_alone_is_valid() {
        let text = "id = \"m\"\nname_en = \"M\"\nname_zh = \"机\"\nsignals = []\n";
        let model = parse("own.toml", text).unwrap();
        assert_eq!(model.operating, telemetry::OperatingRules::default());
        assert!(model.states.is_empty() && model.detection.views.is_empty());
    }

    /// Every file of the library is in the program, valid, and says all that an own model may.
    #[test]
    fn the_library_is_complete() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/models");
        let models = read_dir(&folder).unwrap();
        let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let builtin = load(None).unwrap();
        let ids: Vec<&str> = builtin.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(names, ids);
        assert!(names.len() >= 8);
        for model in &models {
            assert!(model.failure_modes.len() >= 3, "{}", model.id);
            assert!(
                !model.states.is_empty() && !model.related.is_empty(),
                "{}",
                model.id
            );
            for signal in &model.signals {
                let by_name = telemetry::Unit::from_signal_name(signal.name.as_str());
                assert_eq!(by_name, Some(signal.unit), "{} {}", model.id, signal.name);
                let limits = signal.limits;
                assert!(
                    limits.min.is_some() && limits.max.is_some(),
                    "{} {}",
                    model.id,
                    signal.name
                );
            }
            for component in &model.components {
                let fails = |mode: &telemetry::FailureModeSignature| {
                    mode.component.as_ref() == Some(&component.id)
                };
                assert!(
                    model.failure_modes.iter().any(fails),
                    "{} {}",
                    model.id,
                    component.id
                );
            }
            for mode in &model.failure_modes {
                assert!(
                    mode.iso14224.is_some() && mode.component.is_some(),
                    "{} {}",
                    model.id,
                    mode.mode
                );
            }
        }
    }

    /// Two signatures less than 26 degrees apart would be told apart by luck: a clear deviation
    /// lies within about 12 degrees of its own. The closest are cavitation and bearing wear of
    /// a pump (0.87): both ring the accelerometer, and the suction pressure tells.
    #[test]
    fn the_failure_modes_of_a_model_can_be_told_apart() {
        const MOST_ALIKE: f64 = 0.9;
        for model in load(None).unwrap() {
            for (at, mode) in model.failure_modes.iter().enumerate() {
                for other in &model.failure_modes[..at] {
                    let alike = cosine(mode, other);
                    assert!(
                        alike < MOST_ALIKE,
                        "{}: {} and {} are {alike:.2} alike",
                        model.id,
                        mode.mode,
                        other.mode
                    );
                }
            }
        }
    }

    fn cosine(a: &telemetry::FailureModeSignature, b: &telemetry::FailureModeSignature) -> f64 {
        let length = |mode: &telemetry::FailureModeSignature| {
            let squares = mode.signature.iter().map(|term| term.weight * term.weight);
            squares.sum::<f64>().sqrt()
        };
        let part = |term: &telemetry::SignatureTerm| {
            let same = b.signature.iter().find(|other| other.signal == term.signal);
            same.map_or(0.0, |other| term.weight * other.weight)
        };
        a.signature.iter().map(part).sum::<f64>() / (length(a) * length(b))
    }
}
