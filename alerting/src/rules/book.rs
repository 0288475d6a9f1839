//! Which rules are in force, and every version there ever was, in the file of the cases.
//!
//! The book says what shall be in force; the journal says since when it is. Whoever changes the
//! book appends the change to the journal afterwards, and the program compares the two when it
//! starts, so a crash in between loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sqlx::{Row, Sqlite, SqlitePool, Transaction, sqlite::SqliteRow};
use telemetry::{RuleChange, RuleId, Timestamp};

use super::{Problem, WrittenRule, parse, parse_one};
use crate::{AlertingError, CaseDesk};

/// Most versions in one answer.
const MAX_VERSIONS: u32 = 1_000;
/// Longest reason in characters, as the notes of orders.
const MAX_REASON_CHARS: usize = 4_000;

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOrigin {
    /// A configured file.
    File,
    /// A person, over the API.
    Api,
}

impl RuleOrigin {
    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// Who changes rules, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Author {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// From where.
    pub source: RuleOrigin,
    /// When.
    pub at: Timestamp,
}

/// A version of the rules as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetVersion {
    /// Its number, counted from 1.
    pub version: u32,
    /// Who made it.
    #[serde(flatten)]
    pub author: Author,
    /// What it changed.
    pub changes: Changes,
}

/// Which rules a change touches, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Not in force before.
    pub added: Vec<RuleId>,
    /// In force with another text.
    pub changed: Vec<RuleId>,
    /// In force no longer.
    pub removed: Vec<RuleId>,
}

/// A version of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleVersion {
    /// The rule.
    pub rule: RuleId,
    /// Its version, counted from 1.
    pub version: u32,
    /// The version of all rules it came with.
    pub set_version: u32,
    /// Its text; none when it was retired.
    pub text: Option<String>,
    /// Who made it.
    #[serde(flatten)]
    pub author: Author,
}

/// Why rules could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The text is wrong.
    #[error("the rules cannot be read: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Text(Vec<Problem>),
    /// Somebody else changed them in between.
    #[error("version {in_force} is in force, not {expected}")]
    Moved {
        /// What the caller has seen.
        expected: u32,
        /// What is in force.
        in_force: u32,
    },
    /// The file failed, or an argument breaks a rule.
    #[error(transparent)]
    Store(#[from] AlertingError),
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The version of all rules that is in force now.
    pub version: u32,
    /// Which rules it touched.
    pub changes: Changes,
    /// The same for the journal; nothing when nothing changed.
    pub journal: Vec<RuleChange>,
}

/// The rules of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuleBook {
    write: SqlitePool,
    read: SqlitePool,
}

const LATEST: &str = "SELECT r.*, s.at, s.by, s.reason, s.source FROM rule_versions r \
     JOIN rule_sets s ON s.version = r.set_version \
     WHERE r.version = (SELECT max(version) FROM rule_versions o WHERE o.rule = r.rule \
     AND o.set_version <= ?1) ORDER BY r.rule";

impl RuleBook {
    /// The book in the file of these cases.
    pub fn of(cases: &CaseDesk) -> Self {
        let (write, read) = cases.pools();
        Self {
            write: write.clone(),
            read: read.clone(),
        }
    }

    /// The newest version of every rule there ever was, by id; one without text is retired.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn latest(&self) -> Result<Vec<RuleVersion>, AlertingError> {
        self.latest_at(u32::MAX).await
    }

    /// As [`Self::latest`], as it was in an earlier version of all rules.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn latest_at(&self, version: u32) -> Result<Vec<RuleVersion>, AlertingError> {
        let rows = sqlx::query(LATEST)
            .bind(version)
            .fetch_all(&self.read)
            .await;
        read_all(rows, rule_version)
    }

    /// Every version of one rule, newest first.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn history(&self, rule: &RuleId) -> Result<Vec<RuleVersion>, AlertingError> {
        let rows = sqlx::query(
            "SELECT r.*, s.at, s.by, s.reason, s.source FROM rule_versions r \
             JOIN rule_sets s ON s.version = r.set_version WHERE r.rule = ?1 \
             ORDER BY r.version DESC LIMIT ?2",
        )
        .bind(rule.as_str())
        .bind(MAX_VERSIONS)
        .fetch_all(&self.read)
        .await;
        read_all(rows, rule_version)
    }

    /// The version of all rules that is in force; 0 before the first.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn version(&self) -> Result<u32, AlertingError> {
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM rule_sets")
            .fetch_one(&self.read)
            .await
            .map_err(failed)
    }

    /// The versions of all rules before one, newest first.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn versions(
        &self,
        before: u32,
        limit: u32,
    ) -> Result<Vec<SetVersion>, AlertingError> {
        let rows = sqlx::query(
            "SELECT s.*, (SELECT group_concat(CASE WHEN r.text IS NULL THEN '-' \
             WHEN EXISTS (SELECT 1 FROM rule_versions o WHERE o.rule = r.rule AND o.version = \
             r.version - 1 AND o.text IS NOT NULL) THEN '~' ELSE '+' END || r.rule) \
             FROM rule_versions r WHERE r.set_version = s.version) AS changes \
             FROM rule_sets s WHERE s.version < ?1 ORDER BY s.version DESC LIMIT ?2",
        )
        .bind(before)
        .bind(limit.min(MAX_VERSIONS))
        .fetch_all(&self.read)
        .await;
        read_all(rows, set_version)
    }

    /// The text of all rules in force in a version.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn text(&self, version: u32) -> Result<String, AlertingError> {
        let rules = self.latest_at(version).await?;
        let texts: Vec<String> = rules.into_iter().filter_map(|rule| rule.text).collect();
        Ok(texts.join("\n"))
    }

    /// What a text would change.
    ///
    /// # Errors
    /// [`BookError::Text`] with everything that is wrong with it.
    pub async fn dry_run(&self, text: &str) -> Result<(Vec<WrittenRule>, Changes), BookError> {
        let rules = parse(text).map_err(BookError::Text)?;
        let known = self.latest().await?;
        let edits = edits(&known, &rules);
        Ok((rules, changes(&known, &edits)))
    }

    /// Puts the rules of a text in force instead of all others.
    ///
    /// # Errors
    /// [`BookError::Text`], [`BookError::Moved`] when `expected` is no longer in force, and
    /// [`BookError::Store`].
    pub async fn replace(
        &self,
        text: &str,
        author: &Author,
        expected: Option<u32>,
    ) -> Result<Edited, BookError> {
        let rules = parse(text).map_err(BookError::Text)?;
        let mut tx = self.begin().await?;
        let known = latest_in(&mut tx).await?;
        let edits = edits(&known, &rules);
        write(tx, &known, edits, author, expected).await
    }

    /// Puts one rule in force, or retires it.
    ///
    /// # Errors
    /// As [`Self::replace`].
    pub async fn put(
        &self,
        rule: &RuleId,
        text: Option<&str>,
        author: &Author,
    ) -> Result<Edited, BookError> {
        if let Some(text) = text {
            let written = parse_one(text).map_err(BookError::Text)?;
            if written.rule.id != *rule {
                return Err(BookError::Text(vec![Problem {
                    line: 1,
                    column: 1,
                    message: format!(
                        "this is the text of rule {}, not of {rule}",
                        written.rule.id
                    ),
                }]));
            }
        }
        let mut tx = self.begin().await?;
        let known = latest_in(&mut tx).await?;
        let now = known.iter().find(|one| one.rule == *rule);
        let same = now.and_then(|one| one.text.as_deref()) == text;
        let edits = if same {
            Vec::new()
        } else {
            vec![(rule.clone(), text.map(str::to_owned))]
        };
        write(tx, &known, edits, author, None).await
    }

    /// Takes in the configured files. A rule that did not change in them since they were read last
    /// stays as it is in force; one that is gone from them is retired.
    ///
    /// # Errors
    /// [`BookError::Store`].
    pub async fn take_files(
        &self,
        rules: &[WrittenRule],
        author: &Author,
    ) -> Result<Edited, BookError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query("SELECT rule, text FROM rule_files")
            .fetch_all(&mut *tx)
            .await;
        let read: BTreeMap<RuleId, String> =
            read_all(rows, |row| Ok((id_of(row)?, text_of(row, "text")?)))?
                .into_iter()
                .collect();
        let known = latest_in(&mut tx).await?;
        let mut edits = Vec::new();
        let mut named = BTreeSet::new();
        for written in rules {
            let id = &written.rule.id;
            named.insert(id);
            if read.get(id) != Some(&written.text) {
                let now = known.iter().find(|one| one.rule == *id);
                if now.and_then(|one| one.text.as_ref()) != Some(&written.text) {
                    edits.push((id.clone(), Some(written.text.clone())));
                }
                sqlx::query("INSERT OR REPLACE INTO rule_files (rule, text) VALUES (?1, ?2)")
                    .bind(id.as_str())
                    .bind(&written.text)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
            }
        }
        for gone in read.keys().filter(|rule| !named.contains(rule)) {
            sqlx::query("DELETE FROM rule_files WHERE rule = ?1")
                .bind(gone.as_str())
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
            if known
                .iter()
                .any(|one| one.rule == *gone && one.text.is_some())
            {
                edits.push((gone.clone(), None));
            }
        }
        write(tx, &known, edits, author, None).await
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, AlertingError> {
        self.write
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)
    }
}

type Edits = Vec<(RuleId, Option<String>)>;

async fn latest_in(
    tx: &mut Transaction<'static, Sqlite>,
) -> Result<Vec<RuleVersion>, AlertingError> {
    let rows = sqlx::query(LATEST)
        .bind(u32::MAX)
        .fetch_all(&mut **tx)
        .await;
    read_all(rows, rule_version)
}

/// What makes the known rules those of a text.
fn edits(known: &[RuleVersion], rules: &[WrittenRule]) -> Edits {
    let in_force = |id: &RuleId| {
        let known = known.iter().find(|one| one.rule == *id);
        known.and_then(|one| one.text.as_ref())
    };
    let put = rules
        .iter()
        .filter(|written| in_force(&written.rule.id) != Some(&written.text))
        .map(|written| (written.rule.id.clone(), Some(written.text.clone())));
    let gone = known.iter().filter(|one| {
        one.text.is_some() && !rules.iter().any(|written| written.rule.id == one.rule)
    });
    put.chain(gone.map(|one| (one.rule.clone(), None)))
        .collect()
}

fn changes(known: &[RuleVersion], edits: &Edits) -> Changes {
    let mut changes = Changes::default();
    for (rule, text) in edits {
        let before = known
            .iter()
            .any(|one| one.rule == *rule && one.text.is_some());
        match (text, before) {
            (None, _) => changes.removed.push(rule.clone()),
            (Some(_), true) => changes.changed.push(rule.clone()),
            (Some(_), false) => changes.added.push(rule.clone()),
        }
    }
    changes
}

async fn write(
    mut tx: Transaction<'static, Sqlite>,
    known: &[RuleVersion],
    edits: Edits,
    author: &Author,
    expected: Option<u32>,
) -> Result<Edited, BookError> {
    let in_force: u32 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM rule_sets")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    if let Some(expected) = expected.filter(|expected| *expected != in_force) {
        return Err(BookError::Moved { expected, in_force });
    }
    let changes = changes(known, &edits);
    let mut journal = Vec::new();
    if edits.is_empty() {
        tx.commit().await.map_err(failed)?;
        return Ok(Edited {
            version: in_force,
            changes,
            journal,
        });
    }
    let by = crate::store::person(&author.by)?;
    if author.reason.chars().count() > MAX_REASON_CHARS {
        let rule = "use at most 4000 characters";
        return Err(AlertingError::Invalid {
            field: "reason",
            rule,
        }
        .into());
    }
    sqlx::query(
        "INSERT INTO rule_sets (version, at, by, reason, source) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(in_force + 1)
    .bind(author.at.as_micros())
    .bind(by)
    .bind(author.reason.trim())
    .bind(author.source.as_str())
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    for (rule, text) in edits {
        let before = known.iter().find(|one| one.rule == rule);
        let version = before.map_or(0, |one| one.version) + 1;
        sqlx::query(
            "INSERT INTO rule_versions (rule, version, set_version, text) VALUES (?1, ?2, ?3, ?4)",
        )
        .bind(rule.as_str())
        .bind(version)
        .bind(in_force + 1)
        .bind(&text)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        journal.push(RuleChange {
            rule,
            version,
            text,
        });
    }
    tx.commit().await.map_err(failed)?;
    Ok(Edited {
        version: in_force + 1,
        changes,
        journal,
    })
}

fn failed(source: sqlx::Error) -> AlertingError {
    AlertingError::Database {
        doing: "reading or writing rules".to_owned(),
        source,
    }
}

fn read_all<T>(
    rows: Result<Vec<SqliteRow>, sqlx::Error>,
    read: impl Fn(&SqliteRow) -> Result<T, AlertingError>,
) -> Result<Vec<T>, AlertingError> {
    rows.map_err(failed)?.iter().map(read).collect()
}

fn text_of(row: &SqliteRow, column: &str) -> Result<String, AlertingError> {
    row.try_get(column).map_err(failed)
}

fn unreadable(column: &'static str, value: &str) -> AlertingError {
    AlertingError::Unreadable {
        row: "a version of a rule".to_owned(),
        column,
        value: value.chars().take(80).collect(),
    }
}

fn id_of(row: &SqliteRow) -> Result<RuleId, AlertingError> {
    let text = text_of(row, "rule")?;
    RuleId::new(&text).map_err(|_| unreadable("rule", &text))
}

fn author_of(row: &SqliteRow) -> Result<Author, AlertingError> {
    let source = text_of(row, "source")?;
    Ok(Author {
        by: text_of(row, "by")?,
        reason: text_of(row, "reason")?,
        source: match source.as_str() {
            "file" => RuleOrigin::File,
            "api" => RuleOrigin::Api,
            _ => return Err(unreadable("source", &source)),
        },
        at: Timestamp::from_micros(row.try_get("at").map_err(failed)?),
    })
}

fn rule_version(row: &SqliteRow) -> Result<RuleVersion, AlertingError> {
    Ok(RuleVersion {
        rule: id_of(row)?,
        version: row.try_get("version").map_err(failed)?,
        set_version: row.try_get("set_version").map_err(failed)?,
        text: row.try_get("text").map_err(failed)?,
        author: author_of(row)?,
    })
}

fn set_version(row: &SqliteRow) -> Result<SetVersion, AlertingError> {
    let listed: Option<String> = row.try_get("changes").map_err(failed)?;
    let mut changes = Changes::default();
    for one in listed.iter().flat_map(|listed| listed.split(',')) {
        let (sign, rule) = one
            .split_at_checked(1)
            .ok_or_else(|| unreadable("changes", one))?;
        let rule = RuleId::new(rule).map_err(|_| unreadable("changes", one))?;
        match sign {
            "-" => changes.removed.push(rule),
            "~" => changes.changed.push(rule),
            _ => changes.added.push(rule),
        }
    }
    Ok(SetVersion {
        version: row.try_get("version").map_err(failed)?,
        author: author_of(row)?,
        changes,
    })
}
