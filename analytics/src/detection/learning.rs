//! Learning: gathering what a baseline is fitted to, in bounded memory.
//!
//! The smoothed values change slowly, so every `stride`-th of them holds nearly all there is
//! to know: at most [`MAX_POINTS`] points a signal are kept, whatever the number of rows.

use serde::{Deserialize, Serialize};

/// Most points kept a signal: 2 kB. Fewer lose precision of the spread, more buys none,
/// because neighbours are nearly equal after smoothing.
const MAX_POINTS: u32 = 256;
/// First rows that are smoothed but not kept, while the smoothing finds its level.
const SETTLING_ROWS: u32 = 20;

/// The rows of a baseline under construction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learning {
    pub(crate) needed: u32,
    pub(crate) rows: u32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    stride: u32,
    points: u32,
    /// One column a signal; NaN where it was not measured.
    columns: Vec<Vec<f64>>,
}

impl Learning {
    pub(crate) fn new(needed: u32, signals: usize) -> Self {
        Self {
            needed,
            rows: 0,
            from: 0,
            to: 0,
            stride: needed.div_ceil(MAX_POINTS),
            points: 0,
            columns: vec![Vec::new(); signals],
        }
    }

    /// Adds a signal that was not seen in the rows so far.
    pub(crate) fn add_signal(&mut self) {
        self.columns.push(vec![f64::NAN; self.points as usize]);
    }

    /// Takes a sample: `smoothed(slot)` is NaN for a signal that has no value. True when
    /// there are enough.
    pub(crate) fn push(&mut self, at: i64, smoothed: impl Fn(usize) -> f64) -> bool {
        if self.rows == 0 {
            self.from = at;
        }
        self.to = at;
        if self.rows >= SETTLING_ROWS && (self.rows - SETTLING_ROWS).is_multiple_of(self.stride) {
            for (slot, column) in self.columns.iter_mut().enumerate() {
                column.push(smoothed(slot));
            }
            self.points += 1;
        }
        self.rows += 1;
        self.rows >= self.needed
    }

    /// Whether the columns fit the number of signals and points.
    pub(crate) fn is_consistent(&self, signals: usize) -> bool {
        self.stride > 0
            && self.columns.len() == signals
            && self
                .columns
                .iter()
                .all(|column| column.len() == self.points as usize)
    }

    /// The kept points, one column a signal.
    pub(crate) fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_late_signals_are_missing_before_they_appear() {
        for needed in [100, 400, 2_000, 100_000] {
            let mut learning = Learning::new(needed, 1);
            for row in 0..needed {
                if row == needed / 2 {
                    learning.add_signal();
                }
                let full = learning.push(i64::from(row), |slot| slot as f64);
                assert_eq!(full, row + 1 == needed);
            }
            let [first, second] = learning.columns() else {
                panic!("two columns")
            };
            assert!(first.len() <= MAX_POINTS as usize && first.len() >= 80);
            assert_eq!(first.len(), second.len());
            assert!(second[0].is_nan() && second[second.len() - 1] > 0.5);
        }
    }
}
