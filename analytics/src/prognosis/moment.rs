//! What is known of a life at the end of a cycle, beside the rows a fleet model was shown: the
//! latest cycles, how long it lasts, how often it was started, and its diaries.
//!
//! Serving and training make it in different places, of the same things: what a machine that
//! runs tells, and what its archive holds.

use serde::{Deserialize, Serialize};

use super::diary::Diary;

/// Cycles a moment looks back on at most: the longest window of features is so many cycles of
/// running time, and a cycle takes at least that long.
pub const RECENT: usize = 32;

/// A cycle that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past<'a> {
    /// When it ended, microseconds.
    pub at: i64,
    /// The means, settings first.
    pub values: &'a [f32],
}

/// What a life has been used since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Cycles.
    pub cycles: u64,
    /// Starts.
    pub starts: u64,
}

/// See the module documentation.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The end of the cycle, microseconds.
    pub at: i64,
    /// When the life began; none when nobody knows.
    pub began: Option<i64>,
    /// Its use since then; none when it was not watched from its beginning.
    pub counters: Option<Counters>,
    /// The latest cycles of the life, at most [`RECENT`], the newest last.
    pub recent: &'a [Past<'a>],
    /// What was written about the machine, from whatever source.
    pub diaries: &'a [&'a Diary],
}
