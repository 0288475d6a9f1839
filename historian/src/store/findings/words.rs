//! Words that many chunks of findings have in common, each kept once.
//!
//! Field names, signals, failure modes and models are the same in every chunk of a fleet. Spelled
//! out they would be longer than what a quiet machine has to say in a month, so a chunk names them
//! by number. The list only grows, and only up to a bound; what does not fit is spelled out.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The most words kept: one megabyte in memory at most. A plant has some hundreds.
const MAX_WORDS: usize = 16_384;

/// A longer text is no word.
const MAX_WORD_BYTES: usize = 64;

/// The list of words. A word is known by its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    texts: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Words {
    /// The number of a word, if it is known.
    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The number of a word, which is added when it is new; none when it is too long or the list
    /// is full. A list that others look at is copied before it changes.
    pub(crate) fn number_or_add(words: &mut Arc<Self>, text: &str) -> Option<u32> {
        if let Some(number) = words.number(text) {
            return Some(number);
        }
        if text.len() > MAX_WORD_BYTES || words.texts.len() >= MAX_WORDS {
            return None;
        }
        Some(Arc::make_mut(words).push(text))
    }

    /// Adds a word at the end.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        let (text, number) = (Arc::<str>::from(text), self.texts.len() as u32);
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub(crate) fn text(&self, number: u64) -> Option<&Arc<str>> {
        self.texts.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The words from a place on, with their numbers.
    pub(crate) fn since(&self, first: usize) -> impl Iterator<Item = (usize, &str)> {
        let texts = self.texts.iter().enumerate().skip(first);
        texts.map(|(number, text)| (number, &**text))
    }
}
