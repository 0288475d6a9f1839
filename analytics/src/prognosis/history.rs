//! The health index since it left its healthy band, in bounded memory.
//!
//! Rows are averaged into blocks of equal length; when the memory is full, neighbours are
//! merged and blocks become twice as long. The window thus always reaches back to the onset,
//! in [`MAX_POINTS`]/2 to [`MAX_POINTS`] points. It begins when a block falls below
//! [`ONSET`] and is forgotten when a block rises above [`RECOVERED`]: a machine that is well
//! has no remaining life to speak of.

use serde::{Deserialize, Serialize};

/// Most points: the trend test compares all pairs, 2,016 of them.
const MAX_POINTS: usize = 64;
/// Rows of a block at first: with smoothing over twenty rows shorter blocks say nothing new.
const FIRST_BLOCK_ROWS: u32 = 8;
/// The lower end of the healthy zone.
const ONSET: f64 = 80.0;
/// Back in the healthy band; above the onset so that noise around it does not forget the trend.
const RECOVERED: f64 = 85.0;

/// A point of the history: seconds since the origin, and health.
pub(crate) type Point = (f64, f64);

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    points: Vec<Point>,
    origin: i64,
    block_rows: u32,
    rows: u32,
    sum: Point,
    blocks: u32,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            points: Vec::new(),
            origin: 0,
            block_rows: FIRST_BLOCK_ROWS,
            rows: 0,
            sum: (0.0, 0.0),
            blocks: 0,
        }
    }

    /// Takes the health of a row. True when a block was completed by it.
    pub(crate) fn push(&mut self, at: i64, health: f64) -> bool {
        if self.points.is_empty() && self.rows == 0 {
            self.origin = at;
        }
        self.sum.0 += at.saturating_sub(self.origin) as f64 / 1e6;
        self.sum.1 += health;
        self.rows += 1;
        if self.rows < self.block_rows {
            return false;
        }
        let rows = f64::from(self.rows);
        let point = (self.sum.0 / rows, self.sum.1 / rows);
        (self.rows, self.sum) = (0, (0.0, 0.0));
        if point.1 >= RECOVERED || (self.points.is_empty() && point.1 >= ONSET) {
            *self = Self::new();
        } else {
            self.append(point);
        }
        true
    }

    fn append(&mut self, point: Point) {
        self.blocks = self.blocks.wrapping_add(1);
        self.points.push(point);
        if self.points.len() >= MAX_POINTS {
            let half = |pair: &[Point]| {
                (
                    f64::midpoint(pair[0].0, pair[1].0),
                    f64::midpoint(pair[0].1, pair[1].1),
                )
            };
            self.points = self.points.chunks_exact(2).map(half).collect();
            self.block_rows = self.block_rows.saturating_mul(2);
        }
    }

    /// The points, oldest first; empty while health is in its healthy band.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The time from which points count their seconds.
    pub(crate) fn origin(&self) -> i64 {
        self.origin
    }

    /// Blocks since the onset.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_decline_stays_bounded_and_reaches_back_to_its_onset() {
        let mut history = History::new();
        for row in 0..100_000_i64 {
            history.push(row * 1_000_000, 79.0 - row as f64 / 2_000.0);
            assert!(history.points().len() < MAX_POINTS);
        }
        let points = history.points();
        assert!(points.len() >= MAX_POINTS / 2 && points.is_sorted_by(|a, b| a.0 < b.0));
        for (at, health) in points {
            // Merging averages time and health alike: a straight line stays on itself.
            assert!((79.0 - at / 2_000.0 - health).abs() < 1e-6);
        }
        assert!(points[0].0 < 3_000.0);
    }

    #[test]
    fn the_window_begins_below_the_healthy_band_and_ends_well_inside_it() {
        let mut history = History::new();
        let mut feed = |health: f64| {
            (0..8).for_each(|_| _ = history.push(0, health));
            history.points().len()
        };
        assert_eq!(
            [90.0, 81.0, 79.0, 82.0, 84.0, 86.0, 81.0].map(&mut feed),
            [0, 0, 1, 2, 3, 0, 0]
        );
    }
}
