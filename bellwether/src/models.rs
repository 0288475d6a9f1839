//! Asset models: the ones the program brings along, and those of a folder.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use telemetry::AssetModel;

/// The built-in models with the name of their file.
const BUILTIN: [(&str, &str); 3] = [
    (
        "centrifugal-pump.toml",
        include_str!("../../deploy/models/centrifugal-pump.toml"),
    ),
    (
        "screw-compressor.toml",
        include_str!("../../deploy/models/screw-compressor.toml"),
    ),
    (
        "induction-motor.toml",
        include_str!("../../deploy/models/induction-motor.toml"),
    ),
];

/// A folder with more models than this is not a folder of models.
const MAX_FILES: usize = 1_000;

fn parse(name: &str, text: &str) -> Result<AssetModel> {
    let model: AssetModel = toml::from_str(text).with_context(|| format!("asset model {name}"))?;
    model
        .check()
        .with_context(|| format!("asset model {name}"))?;
    Ok(model)
}

/// The models in the `*.toml` files of a folder, by file name.
///
/// # Errors
/// When the folder or a file cannot be read, or a model contradicts itself.
pub(crate) fn read_dir(dir: &Path) -> Result<Vec<AssetModel>> {
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
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            parse(&path.display().to_string(), &text)
        })
        .collect()
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
        assert_eq!(models.len(), 3);
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
}
