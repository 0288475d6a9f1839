//! The last values of a signal.

use serde::{Deserialize, Serialize};

/// Values of the window: enough for a kurtosis that means something, one minute of a signal
/// that comes each second, and half of what a signal's features take.
pub(super) const WINDOW: usize = 64;

/// A ring of the last values with their times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    /// The time of the first value of the window's life; others are seconds after it.
    from: i64,
    values: Vec<f32>,
    seconds: Vec<f32>,
    /// Where the next value goes, once the ring is full.
    next: u8,
}

/// The figures of a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) mean: f64,
    pub(super) std: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) slope: Option<f64>,
    pub(super) crest: Option<f64>,
    pub(super) skewness: Option<f64>,
    pub(super) kurtosis: Option<f64>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            from: 0,
            values: Vec::with_capacity(WINDOW),
            seconds: Vec::with_capacity(WINDOW),
            next: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.seconds.clear();
        self.next = 0;
    }

    pub(super) fn push(&mut self, at: i64, value: f32) {
        if self.values.is_empty() {
            self.from = at;
        }
        let seconds = (at.saturating_sub(self.from) as f64 / 1e6) as f32;
        if self.values.len() < WINDOW {
            self.values.push(value);
            self.seconds.push(seconds);
            return;
        }
        let next = usize::from(self.next);
        self.values[next] = value;
        self.seconds[next] = seconds;
        self.next = ((next + 1) % WINDOW) as u8;
        if self.next == 0 {
            self.rebase();
        }
    }

    /// Once a turn of the ring times start at the oldest again, so that they stay small and
    /// 32 bits hold them to microseconds.
    fn rebase(&mut self) {
        let first = self.seconds[0];
        self.from = self.from.saturating_add((f64::from(first) * 1e6) as i64);
        self.seconds.iter_mut().for_each(|at| *at -= first);
    }

    /// The change from the value before to the last, by time.
    pub(super) fn rate(&self) -> Option<f64> {
        let count = self.values.len();
        if count < 2 {
            return None;
        }
        let last = (usize::from(self.next) + count - 1) % count;
        let before = (last + count - 1) % count;
        let passed = f64::from(self.seconds[last]) - f64::from(self.seconds[before]);
        let change = f64::from(self.values[last]) - f64::from(self.values[before]);
        (passed > 0.0).then(|| change / passed)
    }

    /// Every figure, by the plain formulas over the values there are (one at least).
    pub(super) fn figures(&self) -> Figures {
        let count = self.values.len() as f64;
        let values = self.values.iter().map(|value| f64::from(*value));
        let seconds = self.seconds.iter().map(|at| f64::from(*at));
        let mean = values.clone().sum::<f64>() / count;
        let middle = seconds.clone().sum::<f64>() / count;
        let (mut m2, mut m3, mut m4, mut far) = (0.0, 0.0, 0.0, 0.0_f64);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut tt, mut tx) = (0.0, 0.0);
        for (value, at) in values.zip(seconds) {
            let (x, t) = (value - mean, at - middle);
            let square = x * x;
            m2 += square;
            m3 += square * x;
            m4 += square * square;
            far = far.max(x.abs());
            (min, max) = (min.min(value), max.max(value));
            tt += t * t;
            tx += t * x;
        }
        let rms = (m2 / count).sqrt();
        let moves = max > min && rms > 0.0;
        let known = |value: f64| (moves && count >= 4.0 && value.is_finite()).then_some(value);
        Figures {
            mean,
            std: (m2 / (count - 1.0).max(1.0)).sqrt(),
            min,
            max,
            slope: (tt > 0.0).then(|| tx / tt),
            crest: known(far / rms),
            skewness: known(m3 / count / (rms * rms * rms)),
            kurtosis: known(m4 / count / (rms * rms * rms * rms)),
        }
    }

    pub(super) fn is_consistent(&self) -> bool {
        let count = self.values.len();
        let next = usize::from(self.next);
        count == self.seconds.len()
            && count <= WINDOW
            && (next == 0 || (count == WINDOW && next < WINDOW))
    }
}
