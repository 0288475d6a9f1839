//! What is kept of one number a cycle, so that every feature of the whole history costs the
//! same at any age: a window of the last values, sums, and moments that are rescaled as the
//! history grows.

use serde::{Deserialize, Serialize};

/// Weight of a new value in the moving average.
const NEW: f64 = 0.1;
/// The moving average begins with the mean of this many values.
const SETTLED: u32 = 5;
/// The beginning, against which later values are compared, is the mean of this many.
pub(super) const BEGINNING: u32 = 20;

/// The history of one number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    /// The last values; the next one replaces the one at `next` once the window is full.
    window: Vec<f64>,
    next: usize,
    rows: u32,
    sum: f64,
    beginning: f64,
    average: f64,
    /// Σ (i/k)ᵖ xᵢ over the rows i = 1..=k, for p = 0 to 3.
    moments: [f64; 4],
}

impl Track {
    /// A track without a value yet.
    pub(super) fn new() -> Self {
        Self {
            window: Vec::new(),
            next: 0,
            rows: 0,
            sum: 0.0,
            beginning: 0.0,
            average: 0.0,
            moments: [0.0; 4],
        }
    }

    /// Takes the next value; `length` of the last ones are kept.
    pub(super) fn push(&mut self, value: f64, length: usize) {
        if self.window.len() < length {
            self.window.push(value);
        } else if let Some(oldest) = self.window.get_mut(self.next) {
            *oldest = value;
            self.next = (self.next + 1) % length;
        }
        self.rows = self.rows.saturating_add(1);
        self.sum += value;
        if self.rows <= BEGINNING {
            self.beginning = self.sum / f64::from(self.rows);
        }
        if self.rows <= SETTLED {
            self.average = self.sum / f64::from(self.rows);
        } else {
            self.average += NEW * (value - self.average);
        }
        let shrink = f64::from(self.rows - 1) / f64::from(self.rows);
        let mut factor = 1.0;
        for moment in &mut self.moments {
            *moment = *moment * factor + value;
            factor *= shrink;
        }
    }

    /// Mean of the first values.
    pub(super) fn beginning(&self) -> f64 {
        self.beginning
    }

    /// The moving average.
    pub(super) fn average(&self) -> f64 {
        self.average
    }

    /// Mean since the beginning.
    pub(super) fn mean(&self) -> f64 {
        self.sum / f64::from(self.rows.max(1))
    }

    pub(super) fn moments(&self) -> [f64; 4] {
        self.moments
    }

    /// The last `count` values in two pieces, oldest first; fewer when there are fewer.
    fn last(&self, count: usize) -> (&[f64], &[f64]) {
        let (new, old) = self.window.split_at(self.next);
        let from_old = count.saturating_sub(new.len()).min(old.len());
        let from_new = count.min(new.len());
        (&old[old.len() - from_old..], &new[new.len() - from_new..])
    }

    /// Mean of the last `count` values.
    pub(super) fn recent(&self, count: usize) -> f64 {
        let (old, new) = self.last(count);
        let sum = old.iter().sum::<f64>() + new.iter().sum::<f64>();
        sum / (old.len() + new.len()).max(1) as f64
    }

    /// Standard deviation of the last `count` values.
    pub(super) fn spread(&self, count: usize) -> f64 {
        let mean = self.recent(count);
        let (old, new) = self.last(count);
        let squares: f64 = old.iter().chain(new).map(|x| (x - mean) * (x - mean)).sum();
        (squares / (old.len() + new.len()).max(1) as f64).sqrt()
    }

    /// Least-squares slope over the last `count` values, a cycle; 0 with fewer than two.
    pub(super) fn slope(&self, count: usize) -> f64 {
        let (old, new) = self.last(count);
        let n = (old.len() + new.len()) as f64;
        if n < 2.0 {
            return 0.0;
        }
        let middle = (n - 1.0) / 2.0;
        let mut at = -middle;
        let mut sum = 0.0;
        for piece in [old, new] {
            for x in piece {
                sum += at * x;
                at += 1.0;
            }
        }
        sum / (n * (n * n - 1.0) / 12.0)
    }

    /// Whether a decoded track can be worked with.
    pub(super) fn is_consistent(&self, length: usize) -> bool {
        self.window.len() <= length
            && (self.next == 0 || self.next < self.window.len())
            && self.window.len() == length.min(self.rows as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(values: &[f64], length: usize) -> Track {
        let mut track = Track::new();
        for value in values {
            track.push(*value, length);
        }
        track
    }

    #[test]
    fn window_figures_are_those_of_the_last_values() {
        // numpy: mean, std and polyfit of the last n of these.
        let values: Vec<f64> = (0..100).map(|i| f64::from((i * 37) % 23)).collect();
        let track = track(&values, 60);
        for n in [5, 30, 60] {
            let last = &values[100 - n..];
            let mean = last.iter().sum::<f64>() / n as f64;
            let square = last.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
            assert!((track.recent(n) - mean).abs() < 1e-12);
            assert!((track.spread(n) - square.sqrt()).abs() < 1e-12);
        }
        let line: Vec<f64> = (0..90).map(|i| 4.0 - 0.25 * f64::from(i)).collect();
        assert!((super::tests::track(&line, 60).slope(60) + 0.25).abs() < 1e-12);
        assert!((super::tests::track(&line[..7], 60).slope(30) + 0.25).abs() < 1e-12);
    }

    #[test]
    fn beginning_and_average_start_as_running_means() {
        let track_of = |n: usize| track(&(1..=n).map(|i| i as f64).collect::<Vec<_>>(), 30);
        let are_close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(are_close(track_of(4).beginning(), 2.5));
        assert!(are_close(track_of(4).average(), 2.5));
        assert!(are_close(track_of(50).beginning(), 10.5));
        // 3, then 3 + 0.1 * (6 - 3).
        assert!(are_close(track_of(6).average(), 3.3));
        assert!(are_close(track_of(50).mean(), 25.5));
    }

    #[test]
    fn moments_are_those_of_the_definition_however_long_the_history() {
        let values: Vec<f64> = (0..5_000).map(|i| f64::from((i * 37) % 23)).collect();
        let got = track(&values, 30).moments();
        for (p, got) in got.iter().enumerate() {
            let each = values.iter().enumerate();
            let expected: f64 = each
                .map(|(i, x)| ((i + 1) as f64 / 5_000.0).powi(p as i32) * x)
                .sum();
            assert!((got / expected - 1.0).abs() < 1e-11, "{got} {expected}");
        }
    }
}
