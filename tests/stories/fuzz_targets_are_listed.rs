//! Every fuzz target stands in `tests/fuzz-targets.txt`, from which `tests/run --long` takes them,
//! and everything that stands there is a fuzz target.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::tools::repository;

/// What begins a fuzz target. In two pieces, so that this file holds none.
const MARK: [&str; 2] = ["bolero::", "check!"];

/// What has to be among them: every room that reads what others have written.
const ROOMS: [&str; 5] = [
    "ingest/src/decode",
    "ingest/src/listener",
    "historian/src/journal",
    "service/src",
    "bellwether/src/import",
];

/// A target: the path of its test, as the test harness names it, and the file it is in.
type Target = (String, String);

#[test]
fn every_fuzz_target_is_listed_and_every_room_has_one() -> Result<()> {
    let mut found = BTreeSet::new();
    for member in [
        "ingest",
        "historian",
        "service",
        "bellwether",
        "telemetry",
        "alerting",
    ] {
        collect(&repository().join(member).join("src"), &mut found)?;
    }
    let text = fs::read_to_string(repository().join("tests/fuzz-targets.txt"))?;
    let listed: BTreeSet<Target> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Ok((
                words.next().context("no name")?,
                words
                    .next()
                    .with_context(|| format!("no file behind {line}"))?,
            ))
        })
        .collect::<Result<_>>()?;
    let missing: Vec<_> = found.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&found).collect();
    ensure!(
        missing.is_empty(),
        "not in tests/fuzz-targets.txt: {missing:#?}"
    );
    ensure!(
        stale.is_empty(),
        "in tests/fuzz-targets.txt and not in the tree: {stale:#?}"
    );
    for room in ROOMS {
        ensure!(
            listed.iter().any(|(_, file)| file.starts_with(room)),
            "no fuzz target in {room}"
        );
    }
    Ok(())
}

/// The targets below a folder: the function that stands before each mark.
fn collect(folder: &Path, found: &mut BTreeSet<Target>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            let mut test = None;
            for line in text.lines() {
                let line = line.trim_start();
                if let Some(rest) = line.strip_prefix("fn ") {
                    test = rest.split(['(', '<']).next();
                }
                if line.contains(&MARK.concat()) {
                    let name = test.with_context(|| format!("{}: {line}", path.display()))?;
                    let file = path.strip_prefix(repository())?.display().to_string();
                    let modules = file.split_once("/src/").map(|(_, rest)| rest);
                    let modules = modules.and_then(|rest| rest.strip_suffix(".rs"));
                    let modules = modules.context("not below src")?.trim_end_matches("/mod");
                    found.insert((format!("{}::{name}", modules.replace('/', "::")), file));
                }
            }
        }
    }
    Ok(())
}
