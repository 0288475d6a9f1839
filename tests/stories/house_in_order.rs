//! The house stays as it was designed: floors, manifests, sizes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tests::{floors, tools::repository};

/// Look again at 400 lines, never beyond this.
const MAX_LINES: usize = 600;

/// Sources whose length a person has to bear.
const SOURCES: [&str; 8] = ["rs", "ts", "svelte", "js", "mjs", "css", "sql", "sh"];

/// Folders that hold what machines wrote.
const GENERATED: [&str; 7] = [
    "target",
    "node_modules",
    "dist",
    ".git",
    "paraglide",
    "test-results",
    "bellwether-data",
];

fn members() -> Result<Vec<String>> {
    let root = floors::manifest(&repository().join("Cargo.toml"))?;
    let members = root["workspace"]["members"]
        .as_array()
        .context("no members")?;
    Ok(members
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect())
}

#[test]
fn crates_of_one_floor_never_meet() -> Result<()> {
    let members = members()?;
    let mut breaches = Vec::new();
    for member in &members {
        ensure!(
            member == "tests" || floors::floor(member).is_some(),
            "{member} stands on no floor; give it one in tests/src/floors.rs"
        );
        let manifest = floors::manifest(&repository().join(member).join("Cargo.toml"))?;
        let used = floors::dependencies(&manifest);
        breaches.extend(
            used.iter()
                .filter_map(|(name, _)| floors::breach(member, name)),
        );
    }
    ensure!(breaches.is_empty(), "{breaches:#?}");
    Ok(())
}

#[test]
fn versions_and_features_stand_in_one_place() -> Result<()> {
    let mut strays = Vec::new();
    for member in members()? {
        let manifest = floors::manifest(&repository().join(&member).join("Cargo.toml"))?;
        for (name, value) in floors::dependencies(&manifest) {
            let entry = value.as_table();
            let inherits = entry.and_then(|entry| entry.get("workspace")?.as_bool()) == Some(true);
            if !inherits || entry.is_some_and(|entry| entry.contains_key("features")) {
                strays.push(format!("{member}: {name}"));
            }
        }
    }
    ensure!(
        strays.is_empty(),
        "take these from the workspace, with their features: {strays:#?}"
    );
    Ok(())
}

/// A dependency takes `default-features = false`, or the line or the comment right above it
/// says why not.
#[test]
fn default_features_are_off_or_explained() -> Result<()> {
    let text = fs::read_to_string(repository().join("Cargo.toml"))?;
    let section = text
        .split("[workspace.dependencies]")
        .nth(1)
        .context("no dependencies")?;
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let (mut unexplained, mut comment) = (Vec::new(), String::new());
    for line in lines {
        if let Some(words) = line.strip_prefix('#') {
            comment.push_str(words);
            continue;
        }
        let said = format!(
            "{comment}{}",
            line.split_once('#').map_or("", |(_, words)| words)
        );
        let explained = said.contains("default features") || said.contains("no features");
        let own = line.contains("path = ");
        if line.contains('=') && !own && !line.contains("default-features = false") && !explained {
            unexplained.push(line.to_owned());
        }
        comment.clear();
    }
    ensure!(
        unexplained.is_empty(),
        "default features without a reason: {unexplained:#?}"
    );
    Ok(())
}

#[test]
fn no_file_is_longer_than_anyone_reads() -> Result<()> {
    let (mut files, mut long) = (Vec::new(), Vec::new());
    walk(repository(), &mut files)?;
    for file in &files {
        let lines = fs::read_to_string(file).map_or(0, |text| text.lines().count());
        if lines > MAX_LINES {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    ensure!(
        files.len() > members()?.len(),
        "the walk found nothing to look at"
    );
    ensure!(long.is_empty(), "longer than {MAX_LINES} lines: {long:#?}");
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !GENERATED.contains(&name.as_str()) && !name.starts_with("target-") {
            walk(&entry.path(), files)?;
        } else if kind.is_file()
            && SOURCES
                .iter()
                .any(|ending| name.ends_with(&format!(".{ending}")))
        {
            files.push(entry.path());
        }
    }
    Ok(())
}
