//! Answers kept by idempotency key, so that a request that is sent again is not done again.
//!
//! Readings need none of this: they are stored once whatever is repeated. Dead letters are
//! not, and a sender may want the answer it has missed. So a key that comes again with the
//! same request gets the first answer; with another request it is refused; and while the first
//! is still being worked on, it is told to wait. Keys live in memory only and for an hour:
//! after a restart a repeated request is simply done again, which stores every reading once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use telemetry::CredentialId;

/// Keys kept: a thousand devices with a request every six minutes.
const MAX_KEYS: usize = 10_000;
/// Bytes of answers kept, so that long answers cannot take the memory keys are counted for.
const MAX_BYTES: usize = 8 << 20;
/// How long a key is kept. Senders that repeat do so within seconds or minutes.
pub(crate) const KEEP: Duration = Duration::from_hours(1);
/// The longest key; a UUID has 36 characters.
pub(crate) const MAX_KEY_BYTES: usize = 255;

/// Whose key: the same text of two credentials is two keys.
pub(crate) type Key = (Option<CredentialId>, Box<str>);

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

/// What a key means for a request.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is new: do it, and give the answer to the turn.
    Fresh(Turn),
    /// It was done before.
    Known(Answer),
    /// It is being done.
    Running,
    /// The key belongs to another request.
    Other,
}

/// The answers. Cheap to clone; all clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Keys in the order they came, oldest first; each entry stands here once.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    fingerprint: [u8; 32],
    answer: Option<Answer>,
    at: Instant,
}

/// The right to do a request; dropped without an answer, the key is free again.
#[derive(Debug)]
pub(crate) struct Turn {
    answers: Answers,
    key: Key,
    number: u64,
    done: bool,
}

impl Answers {
    /// Looks a key up and takes it when it is free.
    pub(crate) fn begin(&self, key: Key, fingerprint: [u8; 32], now: Instant) -> Begun {
        let mut kept = self.lock();
        kept.forget(now);
        if let Some(entry) = kept.entries.get(&key) {
            return match &entry.answer {
                _ if entry.fingerprint != fingerprint => Begun::Other,
                Some(answer) => Begun::Known(answer.clone()),
                None => Begun::Running,
            };
        }
        let number = kept.next;
        kept.next += 1;
        kept.order.push_back((key.clone(), number));
        let entry = Entry {
            number,
            fingerprint,
            answer: None,
            at: now,
        };
        kept.entries.insert(key.clone(), entry);
        Begun::Fresh(Turn {
            answers: self.clone(),
            key,
            number,
            done: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of what is too old or too much, oldest first.
    fn forget(&mut self, now: Instant) {
        while let Some((key, number)) = self.order.front() {
            let entry = self
                .entries
                .get(key)
                .filter(|entry| entry.number == *number);
            let old = entry.is_some_and(|entry| now.saturating_duration_since(entry.at) >= KEEP);
            let full = self.order.len() >= MAX_KEYS || self.bytes > MAX_BYTES;
            if entry.is_some() && !old && !full {
                return;
            }
            if let Some((key, number)) = self.order.pop_front() {
                self.remove(&key, number);
            }
        }
    }

    fn remove(&mut self, key: &Key, number: u64) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.number == number)
            && let Some(entry) = self.entries.remove(key)
        {
            self.bytes -= entry.answer.map_or(0, |answer| answer.body.len());
        }
    }
}

impl Turn {
    /// Keeps the answer for those who ask again.
    pub(crate) fn keep(mut self, answer: Answer) {
        self.done = true;
        let mut kept = self.answers.lock();
        let bytes = answer.body.len();
        let number = self.number;
        if let Some(entry) = kept.entries.get_mut(&self.key)
            && entry.number == number
        {
            entry.answer = Some(answer);
            kept.bytes += bytes;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.done {
            self.answers.lock().remove(&self.key, self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        (None, text.into())
    }

    fn answer(text: &str) -> Answer {
        Answer {
            status: 200,
            content_type: "application/json",
            body: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn fresh(begun: Begun) -> Turn {
        match begun {
            Begun::Fresh(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    const ONE: [u8; 32] = [1; 32];
    const TWO: [u8; 32] = [2; 32];

    #[test]
    fn the_same_request_gets_the_first_answer_and_another_is_refused() {
        let (answers, now) = (Answers::default(), Instant::now());
        let turn = fresh(answers.begin(key("a"), ONE, now));
        assert!(matches!(answers.begin(key("a"), ONE, now), Begun::Running));
        assert!(matches!(answers.begin(key("a"), TWO, now), Begun::Other));
        turn.keep(answer("first"));
        match answers.begin(key("a"), ONE, now) {
            Begun::Known(known) => assert_eq!(known, answer("first")),
            other => panic!("{other:?}"),
        }
        assert!(matches!(answers.begin(key("a"), TWO, now), Begun::Other));
        let other = (Some(CredentialId(1)), "a".into());
        fresh(answers.begin(other, TWO, now));
    }

    #[test]
    fn a_request_that_failed_or_is_an_hour_old_frees_its_key() {
        let (answers, now) = (Answers::default(), Instant::now());
        drop(fresh(answers.begin(key("a"), ONE, now)));
        fresh(answers.begin(key("a"), TWO, now)).keep(answer("x"));
        let later = now + KEEP;
        fresh(answers.begin(key("a"), ONE, later)).keep(answer("y"));
        assert_eq!(answers.lock().bytes, 1);
    }

    #[test]
    fn keys_and_bytes_are_bounded_and_the_oldest_go_first() {
        let (answers, now) = (Answers::default(), Instant::now());
        for n in 0..MAX_KEYS + 10 {
            fresh(answers.begin(key(&n.to_string()), ONE, now)).keep(answer("x"));
            // A key that fails and comes again stands in the order twice, and counts once.
            drop(fresh(answers.begin(key("again"), ONE, now)));
        }
        let kept = answers.lock().entries.len();
        assert!(kept < MAX_KEYS, "{kept}");
        let last = key(&(MAX_KEYS + 9).to_string());
        assert!(matches!(answers.begin(last, ONE, now), Begun::Known(_)));
        assert!(matches!(answers.begin(key("0"), ONE, now), Begun::Fresh(_)));
        let long = "x".repeat(MAX_BYTES / 4);
        for n in 0..10 {
            fresh(answers.begin(key(&format!("long-{n}")), ONE, now)).keep(answer(&long));
        }
        assert!(answers.lock().bytes <= MAX_BYTES + 2 * long.len());
    }
}
