//! The floors of the house: who may depend on whom.
//!
//! ```text
//! bellwether ─▶ dashboards ─▶ {alerting, service, historian, ingest, analytics} ─▶ telemetry
//! ```
//!
//! Crates on one floor never depend on each other, and nobody depends upwards; `tests` may see
//! all. Cargo would allow it, so a story reads the manifests.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use toml::Table;

/// The floors from the ground up.
pub const FLOORS: [&[&str]; 4] = [
    &["telemetry"],
    &["alerting", "analytics", "historian", "ingest", "service"],
    &["dashboards"],
    &["bellwether"],
];

/// The kinds of dependencies of a manifest.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The floor of a crate; none for those that stand outside, such as `tests`.
pub fn floor(package: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&package))
}

/// Reads a manifest.
///
/// # Errors
/// When it is not there or no TOML.
pub fn manifest(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is no TOML", path.display()))
}

/// What a manifest depends on, of every kind and for every target.
pub fn dependencies(manifest: &Table) -> Vec<(String, toml::Value)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|place| KINDS.iter().filter_map(|kind| place.get(*kind)?.as_table()))
        .flat_map(|table| {
            table
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
        })
        .collect()
}

/// How a package breaks the rule of the floors, if it does.
pub fn breach(package: &str, dependency: &str) -> Option<String> {
    let (from, to) = (floor(package)?, floor(dependency)?);
    (to >= from).then(|| {
        format!("{package} (floor {from}) depends on {dependency} (floor {to}); only lower floors may be used")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_floors_may_be_used() {
        assert_eq!(breach("dashboards", "alerting"), None);
        assert_eq!(breach("ingest", "telemetry"), None);
        assert_eq!(breach("tests", "bellwether"), None);
        assert_eq!(breach("ingest", "serde"), None);
        for (from, to) in [
            ("ingest", "historian"),
            ("telemetry", "service"),
            ("alerting", "bellwether"),
        ] {
            assert!(breach(from, to).is_some(), "{from} -> {to}");
        }
    }

    #[test]
    fn every_kind_of_dependency_is_seen() {
        let manifest = "[dependencies]\na='1'\n[dev-dependencies]\nb='1'\n[build-dependencies]\nc='1'\n\
                        [target.'cfg(unix)'.dependencies]\nd='1'";
        let names: Vec<String> = dependencies(&manifest.parse().unwrap())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }
}
