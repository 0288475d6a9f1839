//! What detectors are fitted to: points of a learned stretch, in bounded memory.
//!
//! Two things are kept, because detectors ask two questions. *Where is the level, how far does
//! it wander?* needs points from the whole stretch: smoothed values change slowly, so every
//! `stride`-th of them holds nearly all there is to know. *How does one row follow from the
//! row before?* needs neighbours: the newest rows are kept as they came, as differences to the
//! first value in single precision (seven digits of the movement, not of the level).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Most level points kept a signal: 2 kB. Fewer lose precision of the spread, more buys none,
/// because neighbours are nearly equal after smoothing.
const MAX_POINTS: u32 = 256;
/// Most values of rows kept as they came, over all signals (6 kB), as long as that is …
const ROW_VALUES: usize = 1_536;
/// … at least this many rows: fewer do not show how eight signals follow from each other.
const MIN_ROWS: usize = 512;
/// First rows that are smoothed but not kept, while the smoothing finds its level: its time
/// constant.
const SETTLING_ROWS: u32 = 10;
/// Weight of a new value in the smoothed one. A tenth averages about twenty rows: noise falls
/// to a quarter and a change shows within ten rows.
pub(crate) const SMOOTHING: f64 = 0.1;

/// The part of its rise that a counter makes in each quarter at least; even counting makes a
/// quarter, a machine that rests for a shift somewhat less.
const COUNTER_SHARE: f64 = 0.1;
/// Fewest points that show a counter.
const COUNTER_POINTS: usize = 32;

/// Rows after a change of label in which the smoothing forgets what was before: three of its
/// time constants, after which a twentieth is left.
const CHANGE_ROWS: u32 = 30;

/// A stretch of healthy running while it is gathered, and afterwards as what is fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    needed: u32,
    rows: u32,
    from: i64,
    to: i64,
    stride: u32,
    points: u32,
    signals: Vec<Column>,
    /// Times between the kept rows in milliseconds, the first of them 0.
    steps: VecDeque<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Column {
    smoothed: f64,
    count: u32,
    /// The newest value, and whether one was ever below the one before it.
    last: f64,
    has_fallen: bool,
    /// The first value; rows are kept as differences to it.
    origin: f64,
    level: Vec<f64>,
    rows: VecDeque<f32>,
}

impl Column {
    fn new(points: usize, rows: usize) -> Self {
        Self {
            smoothed: 0.0,
            count: 0,
            last: f64::NEG_INFINITY,
            has_fallen: false,
            origin: 0.0,
            level: vec![f64::NAN; points],
            rows: VecDeque::from(vec![f32::NAN; rows]),
        }
    }

    fn push(&mut self, x: f64) {
        if x.is_nan() {
            self.rows.push_back(f32::NAN);
            return;
        }
        if self.count == 0 {
            self.origin = x;
        }
        self.count = self.count.saturating_add(1);
        self.has_fallen |= x < self.last;
        self.last = x;
        // A mean at first, so that the first value alone does not set the level.
        self.smoothed += (1.0 / f64::from(self.count)).max(SMOOTHING) * (x - self.smoothed);
        let largest = f64::from(f32::MAX);
        let moved = (x - self.origin).clamp(-largest, largest);
        self.rows.push_back(moved as f32);
    }
}

impl Learned {
    /// An empty stretch of `needed` rows for `signals` slots.
    pub fn new(needed: u32, signals: usize) -> Self {
        Self {
            needed,
            rows: 0,
            from: 0,
            to: 0,
            stride: needed.div_ceil(MAX_POINTS).max(1),
            points: 0,
            signals: vec![Column::new(0, 0); signals],
            steps: VecDeque::new(),
        }
    }

    /// Adds a slot for a signal that was not seen in the rows so far.
    pub fn add_signal(&mut self) {
        let column = Column::new(self.points as usize, self.steps.len());
        self.signals.push(column);
        self.trim();
    }

    /// Takes a sample measured at `at` (microseconds). `value(slot)` is NaN for a signal that
    /// has no value. True when there are enough rows.
    pub fn push(&mut self, at: i64, value: impl Fn(usize) -> f64) -> bool {
        let step = if self.rows == 0 {
            self.from = at;
            0
        } else {
            u32::try_from(at.saturating_sub(self.to) / 1_000).unwrap_or(u32::MAX)
        };
        self.to = at;
        self.steps.push_back(step);
        let keep =
            self.rows >= SETTLING_ROWS && (self.rows - SETTLING_ROWS).is_multiple_of(self.stride);
        for (slot, column) in self.signals.iter_mut().enumerate() {
            let x = value(slot);
            column.push(x);
            if keep {
                let seen = if x.is_nan() { x } else { column.smoothed };
                column.level.push(seen);
            }
        }
        self.points += u32::from(keep);
        self.rows = self.rows.saturating_add(1);
        self.trim();
        self.rows >= self.needed
    }

    fn trim(&mut self) {
        let most = (ROW_VALUES / self.signals.len().max(1)).max(MIN_ROWS);
        while self.steps.len() > most {
            self.steps.pop_front();
            for column in &mut self.signals {
                column.rows.pop_front();
            }
        }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Rows that are enough.
    pub fn needed(&self) -> u32 {
        self.needed
    }

    /// First and last measured time, microseconds.
    pub fn span(&self) -> (i64, i64) {
        (self.from, self.to)
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.signals.len()
    }

    /// The smoothed level of a signal now; NaN when it never had a value.
    pub fn smoothed(&self, slot: usize) -> f64 {
        match &self.signals[slot] {
            column if column.count == 0 => f64::NAN,
            column => column.smoothed,
        }
    }

    /// Smoothed values from the whole stretch, evenly apart, NaN where there was none.
    pub fn level(&self, slot: usize) -> &[f64] {
        &self.signals[slot].level
    }

    /// Whether a signal only counts up: it never fell, and it rose in each quarter of the stretch
    /// by at least a tenth of all it rose. What warms up slowly and coarsely does not fall either,
    /// but has done most of its rising by half.
    pub fn is_counter(&self, slot: usize) -> bool {
        let column = &self.signals[slot];
        let seen: Vec<f64> = self
            .level(slot)
            .iter()
            .copied()
            .filter(|x| !x.is_nan())
            .collect();
        let (false, Some(last)) = (column.has_fallen, seen.len().checked_sub(1)) else {
            return false;
        };
        let rose = |from: usize, to: usize| seen[to * last / 4] - seen[from * last / 4];
        let least = COUNTER_SHARE * rose(0, 4);
        least > 0.0 && seen.len() >= COUNTER_POINTS && (0..4).all(|at| rose(at, at + 1) >= least)
    }

    /// Number of newest rows that are kept as they came.
    pub fn recent_rows(&self) -> usize {
        self.steps.len()
    }

    /// Value of a kept row, 0 the oldest; NaN where there was none.
    pub fn recent(&self, slot: usize, row: usize) -> f64 {
        let column = &self.signals[slot];
        column.origin + f64::from(column.rows[row])
    }

    /// Measured times of the kept rows in microseconds, oldest first, to the millisecond.
    pub fn recent_times(&self) -> impl Iterator<Item = i64> + '_ {
        let later: i64 = self.steps.iter().skip(1).map(|s| i64::from(*s)).sum();
        let mut at = self.to.saturating_sub(later.saturating_mul(1_000));
        self.steps.iter().enumerate().map(move |(row, step)| {
            if row > 0 {
                at = at.saturating_add(i64::from(*step) * 1_000);
            }
            at
        })
    }

    /// The label of each level point; none for one so close to a change of label that its
    /// smoothing holds both.
    pub(crate) fn labels(&self, label: &impl Fn(&dyn Fn(usize) -> f64) -> u8) -> Vec<Option<u8>> {
        let points = self.points as usize;
        let rest = CHANGE_ROWS.div_ceil(self.stride) as usize;
        settled(points, rest, |point| {
            label(&|slot: usize| self.signals[slot].level[point])
        })
    }

    /// The same stretch with every value replaced by `carry(slot, label, value)`, and without
    /// those close to a change of label.
    pub(crate) fn carried(
        &self,
        label: &impl Fn(&dyn Fn(usize) -> f64) -> u8,
        carry: impl Fn(usize, u8, f64) -> f64,
    ) -> Self {
        let levels = self.labels(label);
        let rows = settled(self.steps.len(), CHANGE_ROWS as usize, |row| {
            label(&|slot: usize| self.recent(slot, row))
        });
        let mut all = self.clone();
        let to = |slot: usize, label: Option<u8>, x: f64| {
            label.map_or(f64::NAN, |label| carry(slot, label, x))
        };
        let last = rows.last().copied().flatten();
        for (slot, column) in all.signals.iter_mut().enumerate() {
            for (value, label) in column.level.iter_mut().zip(&levels) {
                *value = to(slot, *label, *value);
            }
            let origin = column.origin;
            for (value, label) in column.rows.iter_mut().zip(&rows) {
                *value = (to(slot, *label, origin + f64::from(*value)) - origin) as f32;
            }
            if let Some(label) = last {
                column.smoothed = carry(slot, label, column.smoothed);
            }
        }
        all
    }

    /// Whether the parts fit each other and the number of slots.
    pub fn is_consistent(&self, slots: usize) -> bool {
        let fits = |column: &Column| {
            column.level.len() == self.points as usize && column.rows.len() == self.steps.len()
        };
        self.stride > 0 && self.signals.len() == slots && self.signals.iter().all(fits)
    }
}

/// Labels of `count` items without the `rest` items that follow a change, and half as many
/// before it: a smoothed value is on its way before it is nearer to where it goes.
fn settled(count: usize, rest: usize, label: impl Fn(usize) -> u8) -> Vec<Option<u8>> {
    let labels: Vec<u8> = (0..count).map(label).collect();
    let mut kept: Vec<Option<u8>> = labels.iter().copied().map(Some).collect();
    for (at, pair) in labels.windows(2).enumerate() {
        if pair[0] != pair[1] {
            let from = (at + 1).saturating_sub(rest.div_ceil(2));
            let to = (at + 1 + rest).min(count);
            kept[from..to].fill(None);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_late_signals_are_missing_before_they_appear() {
        for needed in [100, 400, 2_000, 100_000] {
            let mut learned = Learned::new(needed, 1);
            for row in 0..needed {
                if row == needed / 2 {
                    learned.add_signal();
                }
                let full = learned.push(i64::from(row), |slot| slot as f64);
                assert_eq!(full, row + 1 == needed);
            }
            let (first, second) = (learned.level(0), learned.level(1));
            assert!(first.len() <= MAX_POINTS as usize && first.len() >= 80);
            assert_eq!(first.len(), second.len());
            assert!(second[0].is_nan() && second[second.len() - 1] > 0.5);
            assert!(learned.recent_rows() <= ROW_VALUES);
            assert!(learned.is_consistent(2));
        }
    }

    #[test]
    fn what_only_counts_up_is_a_counter_and_what_warms_up_is_none() {
        type Course = fn(f64) -> f64;
        let cases: [(&str, Course, bool); 8] = [
            ("operating hours", |t| 8_123.0 + t / 3_600.0, true),
            ("whole kilowatt hours", |t| 500.0 + (t / 40.0).floor(), true),
            (
                "strokes, more by day",
                |t| 1e6 + t + 250.0 * (t / 318.0).sin(),
                true,
            ),
            ("resting for the second half", |t| t.min(1_000.0), false),
            (
                "a coarse thermometer that warms up",
                |t| (40.0 * (1.0 - (-t / 300.0).exp())).floor(),
                false,
            ),
            ("a level with noise", |t| t + 3.0 * (t * 1.7).sin(), false),
            ("still", |_| 5.0, false),
            ("counting down", |t| -t, false),
        ];
        for (what, course, is_counter) in cases {
            let mut learned = Learned::new(2_000, 1);
            for row in 0..2_000_i64 {
                learned.push(row * 1_000_000, |_| course(row as f64));
            }
            assert_eq!(learned.is_counter(0), is_counter, "{what}");
        }
        assert!(!Learned::new(100, 1).is_counter(0));
    }

    #[test]
    fn kept_rows_are_the_newest_with_their_times() {
        let mut learned = Learned::new(3_000, 8);
        for row in 0..3_000_i64 {
            // 101 kPa in Pa with movements of 0.01: single precision of the level would lose them.
            learned.push(row * 2_000_000, |slot| {
                101_325.0 + row as f64 * 0.01 + slot as f64
            });
        }
        assert_eq!(learned.recent_rows(), MIN_ROWS);
        let times: Vec<i64> = learned.recent_times().collect();
        assert_eq!(times[MIN_ROWS - 1], 2_999 * 2_000_000);
        assert_eq!(times[0], (3_000 - MIN_ROWS as i64) * 2_000_000);
        let last = learned.recent(3, MIN_ROWS - 1);
        assert!((last - 101_357.99).abs() < 1e-5, "{last}");
    }
}
