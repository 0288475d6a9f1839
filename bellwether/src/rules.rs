//! Rules around the engine: the files they are read from, the journal they travel through, and
//! the time that is told while a rule waits for data.

use std::{path::PathBuf, sync::Arc, time::Duration};

use alerting::rules::{Author, Engine, Problem, RuleBook, RuleOrigin, WrittenRule, parse};
use anyhow::{Context, Result, bail};
use historian::Journal;
use telemetry::{Clock, Event, JournalRecord, JournalWriter, RuleChange};
use tokio_util::sync::CancellationToken;

/// How often the time is told while a rule waits for data: silence is then told at most this much
/// too late, and the journal grows by a few bytes a minute.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Reads rule files together, as one set.
///
/// # Errors
/// Every problem of every file, a line each as `file:line:column: what`.
pub(crate) fn read_files(files: &[PathBuf]) -> Result<Vec<WrittenRule>> {
    let mut rules: Vec<WrittenRule> = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let found = match parse(&text) {
            Ok(found) => found,
            Err(found) => {
                let line = |one: &Problem| {
                    format!(
                        "{}:{}:{}: {}",
                        file.display(),
                        one.line,
                        one.column,
                        one.message
                    )
                };
                problems.extend(found.iter().map(line));
                continue;
            }
        };
        for rule in found {
            let id = &rule.rule.id;
            if rules.iter().any(|known| known.rule.id == *id) {
                problems.push(format!(
                    "{}: rule {id} is in another file too",
                    file.display()
                ));
            } else {
                rules.push(rule);
            }
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(rules)
}

/// `rules check`: reads files and says what they hold.
pub(crate) fn check(args: &crate::cli::RulesCheckArgs) -> Result<()> {
    let rules = read_files(&args.files)?;
    if args.json {
        let rules: Vec<_> = rules.iter().map(|written| &written.rule).collect();
        return crate::verbs::print_json(&rules);
    }
    for written in &rules {
        let rule = &written.rule;
        println!("{}  {}  {}", rule.id, rule.condition.kind(), rule.name.en);
    }
    println!("{} rules, no problem", rules.len());
    Ok(())
}

/// What keeps the rules in force those of the book.
pub(crate) struct Keeper {
    pub(crate) book: RuleBook,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Keeper {
    /// Takes in the configured files, and tells the journal what the engine has not heard of: a
    /// change whose writer died before it could tell. Must be over before readings come in.
    pub(crate) async fn start(&self, files: &[PathBuf], engine: &[RuleChange]) -> Result<()> {
        let rules = read_files(files).context("the rules of key rules.files")?;
        let names: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let author = Author {
            by: "configuration".to_owned(),
            reason: names.join(", "),
            source: RuleOrigin::File,
            at: self.clock.now(),
        };
        let taken = self.book.take_files(&rules, &author).await?;
        if !taken.journal.is_empty() {
            tracing::info!(version = taken.version, changes = ?taken.changes, "the rules of the files were taken in");
        }
        let latest = self.book.latest().await?;
        let known = |rule| engine.iter().find(|one| one.rule == rule);
        let untold = latest.into_iter().filter(|one| {
            let version = known(one.rule.clone()).map(|known| known.version);
            match one.text {
                Some(_) => version != Some(one.version),
                None => version.is_some(),
            }
        });
        let changes: Vec<RuleChange> = untold
            .map(|one| RuleChange {
                rule: one.rule,
                version: one.version,
                text: one.text,
            })
            .collect();
        let at = self.clock.now();
        let mut events = Vec::new();
        if !changes.is_empty() {
            let by = author.by;
            events.push(Event::RulesChanged { changes, by, at });
        }
        if self.waits().await? {
            events.push(Event::Listening { began: true, at });
        }
        self.tell(events).await
    }

    /// Tells the time while a rule waits for data.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut seen = None;
        let mut waits = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(TELL_EVERY) => {}
                () = stop.cancelled() => return Ok(()),
            }
            let told = async {
                let version = self.book.version().await?;
                if seen.replace(version) != Some(version) {
                    waits = self.waits().await?;
                }
                if waits {
                    let at = self.clock.now();
                    self.tell(vec![Event::Listening { began: false, at }])
                        .await?;
                }
                anyhow::Ok(())
            };
            if let Err(error) = told.await {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the time could not be told; what is missing is told later"
                );
            }
        }
    }

    async fn waits(&self) -> Result<bool> {
        let text = self.book.text(u32::MAX).await?;
        let rules = parse(&text).unwrap_or_default();
        Ok(Engine::with_rules(rules, Duration::ZERO).waits())
    }

    async fn tell(&self, events: Vec<Event>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let record = JournalRecord {
            events,
            ..JournalRecord::default()
        };
        self.journal.append(record).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that come with the program, as they lie in `deploy/rules`.
    fn examples() -> Vec<PathBuf> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rules");
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn the_examples_are_rules_of_every_kind_for_models_and_signals_there_are() {
        let rules = read_files(&examples()).unwrap();
        let models = crate::models::load(None).unwrap();
        let mut kinds: Vec<_> = rules.iter().map(|one| one.rule.condition.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 10, "{kinds:?}");
        for one in &rules {
            for id in &one.rule.asset_models {
                let model = models.iter().find(|model| model.id == *id);
                let model = model.unwrap_or_else(|| panic!("{}: no model {id}", one.rule.id));
                if let Some(signal) = one.rule.condition.signal() {
                    assert!(model.signal(signal).is_some(), "{}: {signal}", one.rule.id);
                }
            }
        }
    }

    #[test]
    fn a_problem_names_its_file_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        let text = "[[rule]]\nid = \"r\"\nname_en = \"R\"\nname_zh = \"R\"\nkind = \"no_data\"\nfor_s = 60\n";
        std::fs::write(&good, text).unwrap();
        std::fs::write(&bad, text.replace("60", "0")).unwrap();
        let error = read_files(&[good.clone(), bad]).unwrap_err().to_string();
        assert!(
            error.ends_with("b.toml:6:9: must be 1 to 7776000 seconds"),
            "{error}"
        );
        let error = read_files(&[good.clone(), good]).unwrap_err().to_string();
        assert!(error.contains("rule r is in another file too"), "{error}");
    }
}
