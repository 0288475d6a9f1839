//! Rules that people write, beside what was learned.
//!
//! A rule is a table in a TOML file: what must hold, for which kinds of machines, in which
//! operating states, with which delays, and what it means. [`parse`] checks a text and names the
//! line and column of whatever is wrong; [`Engine`] judges readings and findings by the rules in
//! force. Both are pure. A change of rules travels through the journal with its whole text, so
//! that a replay judges by the same rules from the same place and says the same to the bit.
//!
//! What a rule says is a finding like any other: the historian keeps it, and cases are made of it.

mod ask;
mod book;
#[cfg(test)]
mod book_tests;
mod checks;
mod course;
mod device;
mod engine;
mod parse;
mod plan;
mod rule;
mod scale;
#[cfg(test)]
mod tests;
mod words;

pub use book::{Author, BookError, Changes, Edited, RuleBook, RuleOrigin, RuleVersion, SetVersion};
pub use engine::{Engine, SHARED_KEYS, SNAPSHOT_PREFIX, state_key};
pub use parse::{MAX_RULE_BYTES, MAX_RULES, Problem, WrittenRule, parse, parse_one};
pub use rule::{
    Condition, Counted, Health, Level, Operating, Override, Rule, Side, State, ZoneLetter,
};

/// Why the state of rules could not be saved or put back.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A state could not be written.
    #[error("the state {key:?} of rules cannot be written")]
    StateUnwritable {
        /// Its key.
        key: String,
        /// What the codec said.
        #[source]
        source: postcard::Error,
    },
    /// A state was written by another release, or is damaged.
    #[error("the state {key:?} of rules cannot be read")]
    StateUnreadable {
        /// Its key.
        key: String,
    },
}
