//! What one rule remembers of one device, and the step it takes with each word about it.
//!
//! A rule begins to hold after it was beyond its level for the on-delay without a break, and
//! ceases to hold after it was inside for the off-delay without a break. Between the levels
//! what was said stands, so a value that moves inside that band says nothing, however it moves.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use telemetry::SignalName;

use super::rule::Side;

/// Places in the window of a rate of change: the change is taken over the window within one
/// part in so many.
const ANCHORS: i64 = 16;

/// The state of one rule on one device. Times are microseconds of event time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Course {
    /// The version of the rule it was kept for.
    pub(super) version: u32,
    /// Whether it holds.
    pub(super) held: bool,
    /// When it began to hold.
    pub(super) since: i64,
    /// Since when it has been on the other side, waiting for its delay.
    pending: Option<i64>,
    /// What it saw last, where it does not come with each row.
    pub(super) value: Option<f64>,
    pub(super) memory: Memory,
}

/// What some kinds of rules need beside.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) enum Memory {
    #[default]
    Nothing,
    /// The values at the beginnings of the parts of the window.
    Anchors(VecDeque<(i64, f64)>),
    /// When the newest of what is counted began, and whether it stands.
    Times { begun: VecDeque<i64>, stands: bool },
    /// The sensors that are as the rule says.
    Sensors(Vec<SignalName>),
}

/// A rule that began or ceased to hold, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) raised: bool,
    pub(super) since: i64,
}

impl Course {
    pub(super) fn new(version: u32) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// Takes a word about the rule at a time.
    pub(super) fn step(&mut self, at: i64, side: Side, delays: (i64, i64)) -> Option<Turn> {
        let (leaves, delay) = if self.held {
            (side == Side::Inside, delays.1)
        } else {
            (side == Side::Beyond, delays.0)
        };
        if !leaves {
            self.pending = None;
            return None;
        }
        let since = *self.pending.get_or_insert(at);
        if at.saturating_sub(since) < delay {
            return None;
        }
        self.pending = None;
        self.held = !self.held;
        self.since = since;
        Some(Turn {
            raised: self.held,
            since,
        })
    }

    /// The rule does not judge now: what was said stands, a delay begins anew.
    pub(super) fn pause(&mut self) {
        self.pending = None;
    }

    /// The change of a value over the window, for each second; none before the window is full.
    pub(super) fn rate(&mut self, at: i64, value: f64, over: i64) -> Option<f64> {
        if !matches!(self.memory, Memory::Anchors(_)) {
            self.memory = Memory::Anchors(VecDeque::new());
        }
        let Memory::Anchors(anchors) = &mut self.memory else {
            return None;
        };
        let part = (over / ANCHORS).max(1);
        // A gap longer than the window: what was before says nothing of the change now.
        if anchors
            .back()
            .is_some_and(|(last, _)| at - last > over.saturating_mul(2))
        {
            anchors.clear();
        }
        if anchors.back().is_none_or(|(last, _)| at - last >= part) {
            anchors.push_back((at, value));
        }
        while anchors.len() > 1 && at - anchors[1].0 >= over {
            anchors.pop_front();
        }
        let (from, first) = *anchors.front()?;
        let seconds = (at - from) as f64 / 1e6;
        (at - from >= over).then(|| (value - first) / seconds)
    }

    /// Notes whether what is counted stands, and counts how often it began within the window.
    pub(super) fn count(&mut self, at: i64, stands: Option<bool>, within: i64, least: u32) -> u32 {
        if !matches!(self.memory, Memory::Times { .. }) {
            self.memory = Memory::Times {
                begun: VecDeque::new(),
                stands: false,
            };
        }
        let Memory::Times {
            begun,
            stands: before,
        } = &mut self.memory
        else {
            return 0;
        };
        if let Some(now) = stands {
            if now && !*before {
                begun.push_back(at);
            }
            *before = now;
        }
        while begun.len() > least as usize || begun.front().is_some_and(|first| at - first > within)
        {
            begun.pop_front();
        }
        begun.len() as u32
    }

    /// Whether what is counted stood at the last word.
    pub(super) fn counted_stands(&self) -> bool {
        matches!(self.memory, Memory::Times { stands: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::rule::Level;

    const S: i64 = 1_000_000;

    /// The times at which a course turns when it is told sides each second.
    fn turns(sides: &str, on: i64, off: i64) -> Vec<(i64, bool, i64)> {
        let mut course = Course::new(1);
        let sides = sides.chars().enumerate().filter_map(|(second, side)| {
            let side = match side {
                '+' => Side::Beyond,
                '-' => Side::Inside,
                _ => Side::Between,
            };
            let at = second as i64;
            let turn = course.step(at * S, side, (on * S, off * S))?;
            Some((at, turn.raised, turn.since / S))
        });
        sides.collect()
    }

    #[test]
    fn delays_count_without_a_break_and_the_beginning_is_remembered() {
        for (sides, on, off, expected) in [
            ("+", 0, 0, vec![(0, true, 0)]),
            ("++++", 2, 0, vec![(2, true, 0)]),
            ("+-++++", 2, 0, vec![(4, true, 2)]),
            ("+.+++", 2, 0, vec![(4, true, 2)]),
            ("+..-", 0, 0, vec![(0, true, 0), (3, false, 3)]),
            ("+--+---", 0, 2, vec![(0, true, 0), (6, false, 4)]),
            ("+--.---", 0, 2, vec![(0, true, 0), (6, false, 4)]),
        ] {
            assert_eq!(turns(sides, on, off), expected, "{sides}");
        }
    }

    #[test]
    fn a_rate_needs_a_full_window_and_forgets_what_lies_before_a_gap() {
        let mut course = Course::new(1);
        // A ramp of 0.5 a second, told each second, over 10 s.
        for second in 0..10 {
            assert_eq!(course.rate(second * S, second as f64 / 2.0, 10 * S), None);
        }
        for second in 10..60 {
            let rate = course
                .rate(second * S, second as f64 / 2.0, 10 * S)
                .unwrap();
            assert!((rate - 0.5).abs() < 1e-12, "{rate}");
        }
        assert_eq!(course.rate(200 * S, 0.0, 10 * S), None);
        let Memory::Anchors(anchors) = &course.memory else {
            panic!("a rate keeps anchors");
        };
        assert!(anchors.len() <= ANCHORS as usize + 2);
    }

    #[test]
    fn beginnings_are_counted_within_the_window() {
        let mut course = Course::new(1);
        let told = [
            (0, true),
            (1, true),
            (2, false),
            (3, true),
            (4, false),
            (5, true),
        ];
        let counts: Vec<u32> = told
            .iter()
            .map(|(second, stands)| course.count(second * S, Some(*stands), 4 * S, 3))
            .collect();
        // Three began, at 0, 3 and 5; at 5 the first is five seconds ago.
        assert_eq!(counts, [1, 1, 1, 2, 2, 2]);
        assert_eq!(course.count(20 * S, None, 4 * S, 3), 0);
    }

    proptest! {
        #[test]
        fn a_value_inside_the_band_never_turns_a_rule(
            values in prop::collection::vec(75.0..=80.0_f64, 1..200), held: bool,
            on in 0..5_i64, off in 0..5_i64,
        ) {
            let level = Level { above: true, on: 80.0, off: 75.0 };
            let mut course = Course { held, ..Course::new(1) };
            for (second, value) in values.into_iter().enumerate() {
                // Exactly 75 is inside by definition.
                prop_assume!(value > 75.0);
                let at = second as i64 * S;
                prop_assert_eq!(course.step(at, level.side(value), (on * S, off * S)), None);
            }
        }

        #[test]
        fn turns_alternate_and_lie_a_delay_apart(
            values in prop::collection::vec(70.0..85.0_f64, 1..300), on in 0..5_i64, off in 0..5_i64,
        ) {
            let level = Level { above: true, on: 80.0, off: 75.0 };
            let mut course = Course::new(1);
            let (mut raised, mut last) = (false, i64::MIN);
            for (second, value) in values.into_iter().enumerate() {
                let at = second as i64 * S;
                if let Some(turn) = course.step(at, level.side(value), (on * S, off * S)) {
                    prop_assert_eq!(turn.raised, !raised);
                    let delay = if turn.raised { on } else { off };
                    prop_assert!(turn.since > last);
                    prop_assert!(at - turn.since >= delay * S);
                    (raised, last) = (turn.raised, at);
                }
            }
        }
    }
}
