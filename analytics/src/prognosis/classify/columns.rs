//! The columns a classifier looks at, found in the material and filled at a moment.
//!
//! Beside what a [`FeatureState`] tells there are the counters of the life: days since it began,
//! running time and starts. Which codes, components and facts get a column is decided by what
//! the machines of the training had; what only later machines have is not looked at. A fact
//! whose every value is a number is one column; of any other each value but the first gets one
//! that says whether it is that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Catalog, FeatureState, features::DAY};
use crate::prognosis::{cycles::CycleSpec, diary::Diary, moment::Moment};

/// Codes with a column: the most frequent; controllers know hundreds and say a dozen.
const MOST_CODES: usize = 64;
/// Components with a column.
const MOST_COMPONENTS: usize = 32;
/// Columns of facts.
const MOST_FACTS: usize = 64;
/// Values of a fact that is no number; one with more tells machines apart, not kinds of them.
const MOST_LEVELS: usize = 16;

/// A column of a static fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FactColumn {
    fact: String,
    /// The value that is 1; none where the fact is a number.
    is: Option<String>,
}

impl FactColumn {
    fn name(&self) -> String {
        match &self.is {
            None => self.fact.clone(),
            Some(value) => format!("{} is {value}", self.fact),
        }
    }

    fn value(&self, diaries: &[&Diary]) -> f64 {
        let known = diaries.iter().find_map(|one| one.fact(&self.fact));
        match (known, &self.is) {
            (None, _) => f64::NAN,
            (Some(value), None) => value.trim().parse().unwrap_or(f64::NAN),
            (Some(value), Some(is)) => f64::from(u8::from(value == is)),
        }
    }
}

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    catalog: Catalog,
    facts: Vec<FactColumn>,
    cycle_s: f64,
}

impl Columns {
    /// The columns there are for these machines.
    pub fn of<'a>(cycles: &CycleSpec, diaries: impl Iterator<Item = &'a Diary> + Clone) -> Self {
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, code) in diaries
            .clone()
            .flat_map(|one| one.codes(i64::MIN, i64::MAX))
        {
            *codes.entry(code).or_default() += 1;
        }
        let mut codes: Vec<_> = codes.into_iter().collect();
        codes.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
        codes.truncate(MOST_CODES);
        let codes: BTreeSet<&str> = codes.into_iter().map(|(code, _)| code).collect();
        let components: BTreeSet<&str> = diaries.clone().flat_map(Diary::components).collect();
        let facts = fact_columns(diaries);
        let owned = |name: &str| name.to_owned();
        let signals = cycles.settings.iter().chain(&cycles.signals);
        Self {
            catalog: Catalog {
                signals: signals.map(ToString::to_string).collect(),
                codes: codes.into_iter().map(owned).collect(),
                components: components
                    .into_iter()
                    .take(MOST_COMPONENTS)
                    .map(owned)
                    .collect(),
                facts: facts.iter().map(FactColumn::name).collect(),
                unit_s: (cycles.cycle_s.round() as u32).max(1),
            },
            facts,
            cycle_s: cycles.cycle_s,
        }
    }

    /// Whether there is anything beside measurements.
    pub fn has_records(&self) -> bool {
        let catalog = &self.catalog;
        !(catalog.codes.is_empty() && catalog.components.is_empty() && self.facts.is_empty())
    }

    /// The names in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.catalog.features();
        names.extend(
            [
                "days of this life",
                "running hours of this life",
                "starts of this life",
            ]
            .map(str::to_owned),
        );
        names
    }

    /// Fills a row.
    pub fn fill(&self, moment: &Moment<'_>) -> Vec<f32> {
        let Moment {
            at: now, diaries, ..
        } = *moment;
        let mut state = FeatureState::new(&self.catalog);
        let since = diaries.iter().filter_map(|one| one.listening_since(now));
        state.listening_since(since.min());
        let mut values = Vec::new();
        for past in moment.recent {
            values.clear();
            values.extend(past.values.iter().map(|value| f64::from(*value)));
            state.row(past.at, &values);
        }
        let from = now.saturating_sub(self.catalog.longest());
        let mut said: Vec<(i64, &str)> = diaries
            .iter()
            .flat_map(|one| one.codes(from, now))
            .collect();
        // What came twice, from the machine and from its archive, was said once.
        said.sort_unstable();
        said.dedup();
        for (at, code) in said {
            let known = self
                .catalog
                .codes
                .binary_search_by(|name| name.as_str().cmp(code));
            if let Ok(code) = known {
                state.code(at, code);
            }
        }
        for (index, component) in self.catalog.components.iter().enumerate() {
            let renewed = diaries
                .iter()
                .filter_map(|one| one.renewed_before(component, now));
            if let Some(at) = renewed.max() {
                state.replaced(at, index);
            }
        }
        let facts: Vec<f64> = self.facts.iter().map(|fact| fact.value(diaries)).collect();
        let mut out = Vec::with_capacity(self.catalog.signals.len() * 6 + 32);
        state.features(now, &facts, &mut out);
        let days = moment
            .began
            .map_or(f64::NAN, |began| now.saturating_sub(began) as f64 / DAY);
        let used = moment.counters.map_or([f64::NAN; 2], |counters| {
            [
                counters.cycles as f64 * self.cycle_s / 3_600.0,
                counters.starts as f64,
            ]
        });
        out.extend([days, used[0], used[1]].map(|value| value as f32));
        out
    }

    /// Whether columns that came from outside can be worked with.
    pub(crate) fn is_consistent(&self) -> bool {
        self.catalog.codes.is_sorted() && self.facts.len() == self.catalog.facts.len()
    }
}

fn fact_columns<'a>(diaries: impl Iterator<Item = &'a Diary>) -> Vec<FactColumn> {
    let mut levels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (fact, value) in diaries.flat_map(Diary::told_facts) {
        levels.entry(fact).or_default().insert(value);
    }
    let mut columns = Vec::new();
    for (fact, levels) in levels {
        let is_number = |level: &&str| level.trim().parse::<f64>().is_ok_and(f64::is_finite);
        let column = |is: Option<&str>| FactColumn {
            fact: fact.to_owned(),
            is: is.map(str::to_owned),
        };
        if levels.iter().all(is_number) {
            columns.push(column(None));
        } else if levels.len() <= MOST_LEVELS {
            columns.extend(levels.iter().skip(1).map(|level| column(Some(level))));
        }
    }
    columns.truncate(MOST_FACTS);
    columns
}

#[cfg(test)]
mod tests {
    use telemetry::{Recorded, SignalName};

    use super::*;
    use crate::prognosis::{
        diary::LIVE_CODES,
        moment::{Counters, Past},
    };

    const HOUR: i64 = 3_600_000_000;

    fn spec() -> CycleSpec {
        CycleSpec {
            cycle_s: 3_600.0,
            settings: Vec::new(),
            signals: vec![SignalName::new("volt").unwrap()],
            starts: None,
            codes: Vec::new(),
        }
    }

    fn facts(pairs: &[(&str, &str)]) -> Recorded {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Recorded::Facts {
            facts: pairs.iter().map(pair).collect(),
        }
    }

    fn diary(told: &[(i64, Recorded)]) -> Diary {
        let mut diary = Diary::new(LIVE_CODES);
        for (at, what) in told {
            diary.hear(*at, what);
        }
        diary
    }

    fn code(code: &str) -> Recorded {
        Recorded::Code {
            code: code.to_owned(),
        }
    }

    fn renewed(component: &str) -> Recorded {
        Recorded::Renewed {
            component: component.to_owned(),
        }
    }

    fn row(columns: &Columns, at: i64, diaries: &[&Diary]) -> BTreeMap<String, f32> {
        let values = [220.0_f32];
        let recent = [Past {
            at,
            values: &values,
        }];
        let moment = Moment {
            at,
            began: Some(0),
            counters: Some(Counters {
                cycles: 30,
                starts: 4,
            }),
            recent: &recent,
            diaries,
        };
        let row = columns.fill(&moment);
        assert_eq!(row.len(), columns.names().len());
        columns.names().into_iter().zip(row).collect()
    }

    #[test]
    fn what_is_known_of_the_machines_becomes_columns_and_nothing_later_is_seen() {
        let one = diary(&[
            (10 * HOUR, code("error1")),
            (40 * HOUR, code("error2")),
            (20 * HOUR, renewed("pump")),
            (50 * HOUR, renewed("pump")),
            (0, facts(&[("year", "2011"), ("maker", "ours")])),
        ]);
        let other = diary(&[(0, facts(&[("year", "2015"), ("maker", "theirs")]))]);
        let columns = Columns::of(&spec(), [&one, &other].into_iter());
        assert!(columns.has_records());
        let now = row(&columns, 44 * HOUR, &[&one]);
        // error1 is older than the window, and who was listening then has heard none since.
        for (name, value) in [
            ("volt mean 3 h", 220.0),
            ("error1 in 24 h", 0.0),
            ("error2 in 24 h", 1.0),
            ("days since pump was replaced", 1.0),
            ("year", 2_011.0),
            ("maker is theirs", 0.0),
            ("running hours of this life", 30.0),
            ("starts of this life", 4.0),
        ] {
            assert!((now[name] - value).abs() < 1e-4, "{name}: {now:?}");
        }
        let before = row(&columns, 9 * HOUR, &[&one]);
        assert!(before["error1 in 24 h"].is_nan(), "{before:?}");
        assert!(before["days since pump was replaced"].is_nan());
        // Where nobody listens silence says nothing; what a machine and its archive both tell
        // counts once.
        let silent = row(&columns, 44 * HOUR, &[&other]);
        assert!(silent["error2 in 24 h"].is_nan() && silent["maker is theirs"] > 0.5);
        let twice = row(&columns, 44 * HOUR, &[&one, &one]);
        assert!((twice["error2 in 24 h"] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn machines_without_records_have_measurements_only() {
        let columns = Columns::of(&spec(), [&diary(&[])].into_iter());
        assert!(!columns.has_records() && columns.is_consistent());
        assert_eq!(columns.names().len(), 6 + 3);
    }
}
