//! From text to rules, with the line and column of whatever is wrong.
//!
//! A file holds any number of `[[rule]]` tables. Each is read on its own, so that a fault in
//! one does not hide the faults of the others, and keeps its text with the comments before it:
//! that text is what is versioned and what travels through the journal.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, AssetModelId, Explanation, FailureMode, RuleId, SensorFault, SensorState, Severity,
    SignalName, Verdict,
};
use toml::Spanned;

use super::{
    Rule,
    checks::Checks,
    rule::{Health, Operating, Override, ZoneLetter},
};

/// Most rules in force: each keeps a few numbers for every device it is for.
pub const MAX_RULES: usize = 1_000;
/// Longest text of one rule; the longest in the examples has 1 kB.
pub const MAX_RULE_BYTES: usize = 16 << 10;
/// Most problems told at once: who sees a hundred mends the first before reading on.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Problem {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// A rule with the text it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenRule {
    /// The rule.
    pub rule: Rule,
    /// Its text: the table and the comments before it.
    pub text: String,
}

/// Reads a file of rules.
///
/// # Errors
/// Everything that is wrong with it, in order of lines.
pub fn parse(text: &str) -> Result<Vec<WrittenRule>, Vec<Problem>> {
    let mut rules: Vec<WrittenRule> = Vec::new();
    let mut problems = Vec::new();
    let (head, pieces) = pieces(text);
    if let Err(error) = toml::from_str::<Nothing>(&text[head.clone()]) {
        problems.push(syntax(text, &head, &error));
    }
    for piece in pieces {
        match one(text, piece.clone()) {
            Ok(rule) if rules.iter().any(|known| known.rule.id == rule.rule.id) => {
                let message = format!("there are two rules {}", rule.rule.id);
                problems.push(problem(text, piece.start + heading(&text[piece]), message));
            }
            Ok(rule) => rules.push(rule),
            Err(more) => problems.extend(more),
        }
    }
    if rules.len() > MAX_RULES {
        problems.push(problem(text, 0, format!("more than {MAX_RULES} rules")));
    }
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems)
    }
}

/// Reads the text of exactly one rule.
///
/// # Errors
/// Everything that is wrong with it, in order of lines.
pub fn parse_one(text: &str) -> Result<WrittenRule, Vec<Problem>> {
    let mut rules = parse(text)?;
    match (rules.pop(), rules.is_empty()) {
        (Some(rule), true) => Ok(rule),
        _ => Err(vec![problem(
            text,
            0,
            "the text must hold exactly one [[rule]]".to_owned(),
        )]),
    }
}

/// What may stand before the first rule: comments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Where the `[[rule]]` stands in the text of a piece.
fn heading(piece: &str) -> usize {
    let mut at = 0;
    for line in piece.split_inclusive('\n') {
        if is_heading(line) {
            return at;
        }
        at += line.len();
    }
    0
}

fn is_heading(line: &str) -> bool {
    let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    line.starts_with("[[rule]]")
}

/// The part before the first rule and one part a rule. Comments right before a rule are its own.
fn pieces(text: &str) -> (Range<usize>, Vec<Range<usize>>) {
    let mut starts = Vec::new();
    let (mut at, mut comments) = (0, None);
    for line in text.split_inclusive('\n') {
        if is_heading(line) {
            starts.push(comments.take().unwrap_or(at));
        } else if line.trim_start().starts_with('#') {
            comments = comments.or(Some(at));
        } else {
            comments = None;
        }
        at += line.len();
    }
    let head = 0..starts.first().copied().unwrap_or(text.len());
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    let ranges = starts.iter().copied().zip(ends).map(|(from, to)| from..to);
    (head, ranges.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<RawRule>,
}

/// A rule as it is written. Which of these a kind knows is checked afterwards, with its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) id: Spanned<RuleId>,
    pub(super) name_en: String,
    pub(super) name_zh: String,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) asset_models: Vec<AssetModelId>,
    #[serde(default)]
    pub(super) assets: Vec<AssetId>,
    #[serde(default)]
    pub(super) verdict: Verdict,
    pub(super) failure_mode: Option<FailureMode>,
    pub(super) severity: Option<Severity>,
    pub(super) kind: Spanned<String>,
    pub(super) signal: Option<Spanned<SignalName>>,
    pub(super) above: Option<Spanned<f64>>,
    pub(super) below: Option<Spanned<f64>>,
    pub(super) off: Option<Spanned<f64>>,
    pub(super) on_delay_s: Option<Spanned<f64>>,
    pub(super) off_delay_s: Option<Spanned<f64>>,
    pub(super) over_s: Option<Spanned<f64>>,
    pub(super) per_s: Option<Spanned<f64>>,
    pub(super) for_s: Option<Spanned<f64>>,
    pub(super) within_s: Option<Spanned<f64>>,
    pub(super) at_least: Option<Spanned<u32>>,
    pub(super) operating: Option<Spanned<Vec<Operating>>>,
    pub(super) condition: Option<Spanned<Vec<Health>>>,
    pub(super) zone: Option<Spanned<ZoneLetter>>,
    pub(super) sensor: Option<Spanned<Vec<SensorState>>>,
    pub(super) faults: Option<Spanned<Vec<SensorFault>>>,
    pub(super) horizon_s: Option<Spanned<f64>>,
    #[serde(default, rename = "while")]
    pub(super) schedule: Vec<Operating>,
    #[serde(default)]
    pub(super) overrides: BTreeMap<AssetId, Spanned<Override>>,
}

const fn yes() -> bool {
    true
}

fn one(text: &str, piece: Range<usize>) -> Result<WrittenRule, Vec<Problem>> {
    let own = &text[piece.clone()];
    if own.len() > MAX_RULE_BYTES {
        let message = format!("a rule may have {MAX_RULE_BYTES} bytes, this one has more");
        return Err(vec![problem(text, piece.start, message)]);
    }
    let file: File = toml::from_str(own).map_err(|error| vec![syntax(text, &piece, &error)])?;
    let Some(raw) = file.rule.into_iter().next() else {
        return Err(vec![problem(text, piece.start, "no rule".to_owned())]);
    };
    let name = Explanation {
        en: raw.name_en.clone(),
        zh: raw.name_zh.clone(),
    };
    let mut checks = Checks::default();
    let rule = checks.rule(raw, name);
    let problems = checks.problems.into_iter();
    match rule {
        Some(rule) if problems.len() == 0 => Ok(WrittenRule {
            rule,
            text: own.trim_end().to_owned() + "\n",
        }),
        _ => Err(problems
            .map(|(at, message)| problem(text, piece.start + at, message))
            .collect()),
    }
}

fn syntax(text: &str, piece: &Range<usize>, error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(0, |span| span.start);
    problem(text, piece.start + at, error.message().to_owned())
}

fn problem(text: &str, at: usize, message: String) -> Problem {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |part| part.chars().count())
        + 1;
    Problem {
        line: line as u32,
        column: column as u32,
        message,
    }
}
