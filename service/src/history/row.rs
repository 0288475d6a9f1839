//! From the rows of a file to records, with every error in its place.

use std::collections::BTreeMap;

use telemetry::{AssetId, AssetModelId, Timestamp};

use super::{HistoryKind, HistoryOptions, HistoryRecord};
use crate::onboard::{
    report::{At, Problems},
    table::{self, TableRow},
};

/// Characters of a component, code or fact: they are names.
const MAX_NAME_CHARS: usize = 128;
/// Characters of a note.
const MAX_NOTE_CHARS: usize = 4_000;
/// Static facts of an asset: each is a column of a model's table.
const MAX_FACTS: usize = 32;
/// What a maintenance record may say was done.
const ACTIONS: [&str; 3] = ["replace", "repair", "inspect"];

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// About an asset.
    Asset {
        asset: AssetId,
        model: Option<AssetModelId>,
        installed_at: Option<Timestamp>,
        facts: BTreeMap<String, String>,
    },
    /// About something that happened.
    Record(HistoryRecord),
}

/// Where each column of ours is in the file, and which columns are facts.
struct Layout {
    kind: HistoryKind,
    places: BTreeMap<&'static str, usize>,
    facts: Vec<(usize, String)>,
    header: Vec<String>,
}

/// Reads a file; what is wrong with it goes to `problems`. The number of rows comes back too.
pub(crate) fn read(
    csv: &[u8],
    kind: HistoryKind,
    options: &HistoryOptions,
    now: Timestamp,
    problems: &mut Problems,
) -> (Vec<Entry>, u64) {
    let (needed, _) = kind.columns();
    let Some(table) = table::read(csv, &needed.join(", "), problems) else {
        return (Vec::new(), 0);
    };
    let rows = table.rows.len() as u64;
    let Some(layout) = Layout::of(table.header, kind, options, problems) else {
        return (Vec::new(), rows);
    };
    let entries = table.rows.iter();
    let entries = entries.filter_map(|row| layout.entry(row, now, problems));
    (entries.collect(), rows)
}

impl Layout {
    fn of(
        header: Vec<String>,
        kind: HistoryKind,
        options: &HistoryOptions,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (needed, optional) = kind.columns();
        let mut places = BTreeMap::new();
        let mut facts = Vec::new();
        let lower = |text: &String| text.trim().to_lowercase();
        let ignored: Vec<String> = options.ignore.iter().map(lower).collect();
        let at = |number: usize, name: &str, problems: &mut Problems, problem: String| {
            let place = At {
                line: 1,
                number: number as u64 + 1,
                name,
            };
            problems.add(place, "", problem);
        };
        let before = problems.is_empty();
        for (ours, theirs) in &options.columns {
            if !needed.iter().chain(optional).any(|known| known == ours) {
                let known = [needed, optional].concat().join(", ");
                let problem = format!("{} have no column {ours:?}; use {known}", kind.as_str());
                at(0, theirs, problems, problem);
            } else if !header.contains(&lower(theirs)) {
                at(
                    0,
                    theirs,
                    problems,
                    format!("no column is called {theirs:?}"),
                );
            }
        }
        for (number, name) in header.iter().enumerate() {
            let mapped = options
                .columns
                .iter()
                .find(|(_, theirs)| lower(theirs) == *name);
            let ours = mapped.map_or(name.as_str(), |(ours, _)| ours.as_str());
            let known = needed.iter().chain(optional).find(|known| **known == ours);
            // A mapping takes the place of the column that has our name.
            let displaced = mapped.is_none() && options.columns.iter().any(|(o, _)| o == ours);
            match known {
                Some(_) if ignored.contains(name) => {}
                Some(known) if !displaced => {
                    if places.insert(*known, number).is_some() {
                        at(number, name, problems, "comes twice".to_owned());
                    }
                }
                _ if ignored.contains(name) || displaced => {}
                _ if kind == HistoryKind::Assets && facts.len() < MAX_FACTS => {
                    facts.push((number, name.clone()));
                }
                _ => at(number, name, problems, unwanted(kind)),
            }
        }
        for column in needed {
            if !places.contains_key(column) {
                let problem = format!(
                    "the column {column} is missing; say which one it is with {column}=THEIRS"
                );
                at(header.len(), column, problems, problem);
            }
        }
        let good = before && problems.is_empty() || needed.iter().all(|c| places.contains_key(c));
        good.then_some(Self {
            kind,
            places,
            facts,
            header,
        })
    }

    /// The text of a column of ours; none when it is left out or empty.
    fn cell<'a>(&self, row: &'a TableRow, column: &str) -> Option<&'a str> {
        let text = row.cells.get(*self.places.get(column)?)?.as_deref()?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn complain(
        &self,
        row: &TableRow,
        column: &str,
        problem: impl Into<String>,
        problems: &mut Problems,
    ) {
        let number = self.places.get(column).copied().unwrap_or_default();
        let at = At {
            line: row.line,
            number: number as u64 + 1,
            name: self.header.get(number).map_or(column, String::as_str),
        };
        problems.add(at, self.cell(row, column).unwrap_or_default(), problem);
    }

    fn entry(&self, row: &TableRow, now: Timestamp, problems: &mut Problems) -> Option<Entry> {
        let asset = self.asset(row, problems);
        if self.kind == HistoryKind::Assets {
            return self.about_asset(row, asset, now, problems);
        }
        let at = self.time(row, "at", now, problems);
        let at = at.or_else(|| {
            // An unreadable one was complained about.
            if self.cell(row, "at").is_none() {
                self.complain(row, "at", "is missing", problems);
            }
            None
        });
        let component = self.name(row, "component", MAX_NAME_CHARS, problems);
        let note = self.name(row, "note", MAX_NOTE_CHARS, problems);
        let code = self.code(row, problems);
        let kind = self.kind.record()?.to_owned();
        Some(Entry::Record(HistoryRecord {
            asset: asset?,
            at: at?,
            kind,
            component: component?,
            code: code?,
            note: note?,
        }))
    }

    fn asset(&self, row: &TableRow, problems: &mut Problems) -> Option<AssetId> {
        let Some(text) = self.cell(row, "asset") else {
            self.complain(row, "asset", "is missing", problems);
            return None;
        };
        match AssetId::new(text) {
            Ok(asset) => Some(asset),
            Err(error) => {
                self.complain(row, "asset", error.to_string(), problems);
                None
            }
        }
    }

    fn about_asset(
        &self,
        row: &TableRow,
        asset: Option<AssetId>,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<Entry> {
        let model = match self.cell(row, "model").map(AssetModelId::new) {
            Some(Err(error)) => {
                self.complain(row, "model", error.to_string(), problems);
                None
            }
            Some(Ok(model)) => Some(model),
            None => None,
        };
        let installed_at = self.time(row, "installed_at", now, problems);
        let mut facts = BTreeMap::new();
        for (number, name) in &self.facts {
            let text = row.cells.get(*number).and_then(Option::as_deref);
            let text = text.unwrap_or_default().trim();
            if text.chars().count() <= MAX_NAME_CHARS {
                facts.insert(name.clone(), text.to_owned());
            } else {
                let at = At {
                    line: row.line,
                    number: *number as u64 + 1,
                    name,
                };
                problems.add(
                    at,
                    text,
                    format!("is longer than {MAX_NAME_CHARS} characters"),
                );
            }
        }
        Some(Entry::Asset {
            asset: asset?,
            model,
            installed_at,
            facts,
        })
    }

    fn name(
        &self,
        row: &TableRow,
        column: &str,
        most: usize,
        problems: &mut Problems,
    ) -> Option<String> {
        let text = self.cell(row, column).unwrap_or_default();
        if text.chars().count() > most {
            self.complain(
                row,
                column,
                format!("is longer than {most} characters"),
                problems,
            );
            return None;
        }
        Some(text.to_owned())
    }

    fn code(&self, row: &TableRow, problems: &mut Problems) -> Option<String> {
        match self.kind {
            HistoryKind::Maintenance => {
                let action = self
                    .cell(row, "action")
                    .unwrap_or(ACTIONS[0])
                    .to_lowercase();
                if !ACTIONS.contains(&action.as_str()) {
                    let problem = format!("use one of {}", ACTIONS.join(", "));
                    self.complain(row, "action", problem, problems);
                    return None;
                }
                Some(action)
            }
            HistoryKind::Errors if self.cell(row, "code").is_none() => {
                self.complain(row, "code", "is missing", problems);
                None
            }
            _ => self.name(row, "code", MAX_NAME_CHARS, problems),
        }
    }

    fn time(
        &self,
        row: &TableRow,
        column: &str,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<Timestamp> {
        let text = self.cell(row, column)?;
        match time(text) {
            Some(at) if at > now => {
                let problem = format!("lies in the future; it is {now} now");
                self.complain(row, column, problem, problems);
                None
            }
            Some(at) if at.is_in_calendar() => Some(at),
            _ => {
                let problem = "is no time; use 2026-03-01, 2026-03-01 08:30:00 (UTC) or 2026-03-01T08:30:00+01:00";
                self.complain(row, column, problem, problems);
                None
            }
        }
    }
}

/// Why a column cannot be taken in.
fn unwanted(kind: HistoryKind) -> String {
    match kind {
        HistoryKind::Assets => format!("there are more than {MAX_FACTS} facts; leave it out"),
        _ => "is not known: what stands there may have been known only after the repair, and a \
              model that learned from it could not warn; leave the column out"
            .to_owned(),
    }
}

/// A day, a time of UTC, or RFC 3339.
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let (day, clock) = match text.split_once([' ', 'T']) {
        Some((day, clock)) => (day, clock.trim()),
        None => (text, "00:00:00"),
    };
    let clock = if clock.matches(':').count() == 1 {
        format!("{clock}:00")
    } else {
        clock.to_owned()
    };
    Timestamp::parse(&format!("{day}T{clock}Z")).ok()
}
