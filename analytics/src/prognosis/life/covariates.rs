//! What tells lives apart before they begin, as numbers.
//!
//! A column is the age of the machine at the start of a life, the number of lives it had before, a
//! fact that is a number, or whether a fact has a value. All of it is known when the life begins,
//! and read from the machine's [`Diary`] *as of* that moment, so nothing is learned from how the
//! life ended. Training and serving fill a row by the same call, [`Covariates::row`].
//!
//! A fact may also have been written down only because of a failure. Such a one is known of the
//! lives that failed and of few others; a column therefore counts only where at least half of
//! either kind know it, and what is not known counts as average and can tell nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::past::PastLife;
use crate::prognosis::diary::Diary;

/// Columns looked at: as many facts as a row of an import may have, twice.
const MOST_COLUMNS: usize = 64;
/// Values of a fact that is no number; one with more tells machines apart, not kinds of them.
const MOST_LEVELS: usize = 16;
/// So many lives of so many machines must differ from the most common value: with fewer, a
/// coefficient speaks of these few machines.
const MIN_LIVES: usize = 5;
const MIN_ASSETS: usize = 3;
/// The part of the lives that failed, and of those that did not, that must know a column.
const MIN_KNOWN: f64 = 0.5;
/// Microseconds of a day.
const DAY: f64 = 86_400e6;

/// One number of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Column {
    /// Days from when the machine was installed to the start of the life.
    AgeAtStart,
    /// Lives that had ended before.
    EarlierLives,
    /// A fact that is a number.
    Number(String),
    /// Whether a fact has this value.
    Is(String, String),
}

impl Column {
    fn name(&self) -> String {
        match self {
            Self::AgeAtStart => "age_at_start_days".to_owned(),
            Self::EarlierLives => "earlier_lives".to_owned(),
            Self::Number(fact) => fact.clone(),
            Self::Is(fact, value) => format!("{fact} is {value}"),
        }
    }

    fn value(&self, diaries: &[&Diary], began: Option<i64>) -> f64 {
        let fact = |name: &str| diaries.iter().find_map(|diary| diary.fact(name));
        match self {
            Self::AgeAtStart => {
                let installed = diaries.iter().find_map(|diary| diary.installed_at());
                let age = began
                    .zip(installed)
                    .map(|(began, installed)| began.saturating_sub(installed) as f64 / DAY);
                age.filter(|days| *days >= 0.0).unwrap_or(f64::NAN)
            }
            Self::EarlierLives => began.map_or(f64::NAN, |began| {
                let ended = diaries.iter().map(|diary| diary.ended_by(began));
                ended.max().unwrap_or_default() as f64
            }),
            Self::Number(name) => fact(name).map_or(f64::NAN, number),
            Self::Is(name, value) => {
                fact(name).map_or(f64::NAN, |known| f64::from(u8::from(known == value)))
            }
        }
    }
}

fn number(text: &str) -> f64 {
    let value = text.trim().parse::<f64>().ok();
    value.filter(|v| v.is_finite()).unwrap_or(f64::NAN)
}

/// A column that is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: WhyNot,
}

/// Why a column is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// Hardly any life differs from the others in it.
    TooRare,
    /// It is not known of half of the lives that failed, and of those that did not.
    TooSeldomKnown,
    /// It is a word of its own for too many machines.
    TooManyValues,
    /// The failures carry no more columns, and it told less than the others.
    TooFewFailures,
}

/// Names and order of the columns, decided once and kept with the model. See the module
/// documentation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Covariates {
    columns: Vec<Column>,
}

impl Covariates {
    /// The columns that the machines of these lives have, and those that cannot be used.
    pub(super) fn of(lives: &[PastLife]) -> (Self, Vec<LeftOut>) {
        let (columns, mut left_out) = possible(lives);
        let mut used = Vec::new();
        for column in columns {
            match unusable(&column, lives) {
                Some(why) => left_out.push(LeftOut {
                    name: column.name(),
                    why,
                }),
                None => used.push(column),
            }
        }
        used.truncate(MOST_COLUMNS);
        (Self { columns: used }, left_out)
    }

    /// Only these, in this order.
    pub(super) fn only(&self, places: &[usize]) -> Self {
        let columns = places.iter().filter_map(|at| self.columns.get(*at));
        Self {
            columns: columns.cloned().collect(),
        }
    }

    /// The names in order.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(Column::name).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// What is known of a life that began at a time (microseconds), one number a column; NaN for
    /// what nobody knows.
    pub fn row(&self, diaries: &[&Diary], began: Option<i64>) -> Vec<f64> {
        let value = |column: &Column| column.value(diaries, began);
        self.columns.iter().map(value).collect()
    }
}

/// Every column there could be, in a fixed order.
fn possible(lives: &[PastLife]) -> (Vec<Column>, Vec<LeftOut>) {
    let mut values: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for life in lives.iter().filter(|life| seen.insert(&life.asset)) {
        for (fact, value) in life.diary.told_facts() {
            *values.entry(fact).or_default().entry(value).or_default() += 1;
        }
    }
    let mut columns = vec![Column::AgeAtStart, Column::EarlierLives];
    let mut left_out = Vec::new();
    for (fact, levels) in values {
        if levels.keys().all(|level| !number(level).is_nan()) {
            columns.push(Column::Number(fact.to_owned()));
        } else if levels.len() > MOST_LEVELS {
            left_out.push(LeftOut {
                name: fact.to_owned(),
                why: WhyNot::TooManyValues,
            });
        } else {
            // The most common value is what the others are compared with.
            let usual = levels
                .iter()
                .max_by_key(|(level, n)| (**n, std::cmp::Reverse(**level)));
            let usual = usual.map(|(level, _)| *level);
            let others = levels.keys().filter(|level| Some(**level) != usual);
            columns.extend(others.map(|level| Column::Is(fact.to_owned(), (*level).to_owned())));
        }
    }
    (columns, left_out)
}

fn unusable(column: &Column, lives: &[PastLife]) -> Option<WhyNot> {
    // By whether a life failed: how many there are, and how many know the column.
    let mut known = [(0_usize, 0_usize); 2];
    let mut values: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for life in lives {
        let value = column.value(&[&*life.diary], Some(life.began));
        let count = &mut known[usize::from(life.failed)];
        count.0 += 1;
        if value.is_finite() {
            count.1 += 1;
            values.entry(value.to_bits()).or_default().push(&life.asset);
        }
    }
    if known
        .iter()
        .any(|(all, told)| (*told as f64) < MIN_KNOWN * *all as f64)
    {
        return Some(WhyNot::TooSeldomKnown);
    }
    let usual = values
        .iter()
        .max_by_key(|(bits, of)| (of.len(), **bits))
        .map(|(bits, _)| *bits);
    let others = values.iter().filter(|(bits, _)| Some(**bits) != usual);
    let others: Vec<&str> = others.flat_map(|(_, of)| of.iter().copied()).collect();
    let machines: BTreeSet<&str> = others.iter().copied().collect();
    (others.len() < MIN_LIVES || machines.len() < MIN_ASSETS).then_some(WhyNot::TooRare)
}
