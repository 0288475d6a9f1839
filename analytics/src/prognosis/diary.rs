//! What is known of a machine beside its measurements: the error codes it said, what was renewed
//! in it, and facts that do not change.
//!
//! A diary is read *as of* a moment: what came later is not seen, however long it has been
//! written. So a diary of a machine that runs and one of an archive give the same answers, and
//! nothing is learned from what was known only after the failure. What is told twice is known
//! once. Entries may come in any order; of more than it holds the oldest codes are forgotten.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use telemetry::{INSTALLED_AT, Recorded, Timestamp};

/// Codes kept of a machine that runs: the windows of features end long before.
pub const LIVE_CODES: u32 = 1_000;
/// Codes kept of an archive: as many as a file of history may have rows, ten times.
pub const ARCHIVE_CODES: u32 = 1_000_000;
/// Components whose renewals are kept, and renewals kept of each: a machine has a few dozen
/// parts that are on record, and of a running one only the last renewal counts.
const MOST_COMPONENTS: usize = 256;
const MOST_RENEWALS: usize = 1_000;
/// The component that stands for what lives: its renewals are the ends of lives. No component of a
/// record is called nothing.
const LIVES: &str = "";

/// See the module documentation. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diary {
    most_codes: u32,
    /// When the first code was said that is on record, also one that was forgotten.
    first_code: Option<i64>,
    /// In order of time.
    codes: VecDeque<(i64, String)>,
    /// By component, in order of time.
    renewed: BTreeMap<String, Vec<i64>>,
    facts: BTreeMap<String, String>,
}

impl Diary {
    /// An empty diary that keeps so many codes.
    pub fn new(most_codes: u32) -> Self {
        Self {
            most_codes,
            first_code: None,
            codes: VecDeque::new(),
            renewed: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    /// Keeps so many codes from now on.
    pub(crate) fn keep(&mut self, most_codes: u32) {
        self.most_codes = most_codes;
    }

    /// Writes down what was told. True when it is news.
    pub fn hear(&mut self, at: i64, what: &Recorded) -> bool {
        match what {
            Recorded::Code { code } => self.code(at, code),
            Recorded::Renewed { component } => self.renewed(at, component),
            Recorded::LifeEnded => self.life_ended(at),
            Recorded::Facts { facts } => {
                let is_news = self.facts != *facts;
                self.facts.clone_from(facts);
                is_news
            }
        }
    }

    /// The machine said a code. True when that is news.
    pub fn code(&mut self, at: i64, code: &str) -> bool {
        let place = self
            .codes
            .partition_point(|(then, known)| (*then, known.as_str()) < (at, code));
        let is_known = |(then, known): &(i64, String)| *then == at && known == code;
        if self.codes.get(place).is_some_and(is_known) {
            return false;
        }
        self.first_code = Some(self.first_code.map_or(at, |first| first.min(at)));
        self.codes.insert(place, (at, code.to_owned()));
        if self.codes.len() > self.most_codes as usize {
            self.codes.pop_front();
        }
        true
    }

    fn renewed(&mut self, at: i64, component: &str) -> bool {
        if self.renewed.len() >= MOST_COMPONENTS && !self.renewed.contains_key(component) {
            return false;
        }
        let times = self.renewed.entry(component.to_owned()).or_default();
        match times.binary_search(&at) {
            Ok(_) => false,
            Err(place) => {
                times.insert(place, at);
                if times.len() > MOST_RENEWALS {
                    times.remove(0);
                }
                true
            }
        }
    }

    /// Whether nothing was ever told.
    pub fn is_empty(&self) -> bool {
        self.first_code.is_none() && self.renewed.is_empty() && self.facts.is_empty()
    }

    /// Since when codes are heard, as of `now`.
    pub(crate) fn listening_since(&self, now: i64) -> Option<i64> {
        self.first_code.filter(|first| *first <= now)
    }

    /// The codes said after `from`, up to `to`, in order.
    pub fn codes(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &str)> {
        let start = self.codes.partition_point(|(at, _)| *at <= from);
        let said = self.codes.range(start..);
        said.take_while(move |(at, _)| *at <= to)
            .map(|(at, code)| (*at, code.as_str()))
    }

    /// When a component was renewed last, as of `now`.
    pub(crate) fn renewed_before(&self, component: &str, now: i64) -> Option<i64> {
        let times = self.renewed.get(component)?;
        let before = times.partition_point(|at| *at <= now);
        before.checked_sub(1).map(|last| times[last])
    }

    /// A life of what is forecast ended. True when that is news.
    pub fn life_ended(&mut self, at: i64) -> bool {
        self.renewed(at, LIVES)
    }

    /// Lives that had ended by `now`.
    pub(crate) fn ended_by(&self, now: i64) -> usize {
        let ends = self.renewed.get(LIVES);
        ends.map_or(0, |ends| ends.partition_point(|at| *at <= now))
    }

    /// The components that were ever renewed.
    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        let named = self.renewed.keys().map(String::as_str);
        named.filter(|component| *component != LIVES)
    }

    /// What does not change, without what nobody knows and what is no fact of its own.
    pub(crate) fn told_facts(&self) -> impl Iterator<Item = (&str, &str)> {
        let facts = self.facts.iter().map(|(name, value)| (&**name, &**value));
        facts.filter(|(name, value)| *name != INSTALLED_AT && !value.trim().is_empty())
    }

    /// A fact, where it is known.
    pub(crate) fn fact(&self, name: &str) -> Option<&str> {
        let value = self.facts.get(name).map(String::as_str);
        value.filter(|value| !value.trim().is_empty())
    }

    /// When the machine was installed, microseconds, where that is known.
    pub(crate) fn installed_at(&self) -> Option<i64> {
        let at = Timestamp::parse(self.facts.get(INSTALLED_AT)?).ok()?;
        Some(at.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(component: &str) -> Recorded {
        Recorded::Renewed {
            component: component.to_owned(),
        }
    }

    #[test]
    fn a_diary_is_read_as_of_a_moment_in_whatever_order_it_was_written() {
        let mut diary = Diary::new(LIVE_CODES);
        for at in [30, 10, 20, 10] {
            diary.code(at, "e1");
        }
        diary.code(20, "e0");
        diary.hear(25, &renewed("pump"));
        diary.hear(5, &renewed("pump"));
        let codes = |from, to| diary.codes(from, to).collect::<Vec<_>>();
        assert_eq!(codes(10, 20), [(20, "e0"), (20, "e1")]);
        assert_eq!(codes(0, 30).len(), 4);
        assert_eq!(diary.listening_since(9), None);
        assert_eq!(diary.listening_since(10), Some(10));
        for (now, last) in [(4, None), (24, Some(5)), (25, Some(25)), (99, Some(25))] {
            assert_eq!(diary.renewed_before("pump", now), last, "{now}");
        }
        assert_eq!(diary.renewed_before("fan", 99), None);
        assert!(!diary.hear(25, &renewed("pump")));
    }

    #[test]
    fn the_oldest_codes_are_forgotten_and_that_codes_are_heard_is_not() {
        let mut diary = Diary::new(2);
        for at in 1..=5 {
            diary.code(at, "e");
        }
        assert_eq!(diary.codes(0, 9).collect::<Vec<_>>(), [(4, "e"), (5, "e")]);
        assert_eq!(diary.listening_since(9), Some(1));
        let bytes = postcard::to_allocvec(&diary).unwrap();
        assert_eq!(postcard::from_bytes::<Diary>(&bytes).unwrap(), diary);
    }
}
