//! Nineteen statistics of one signal, each O(1) a value and without knowledge of units.
//!
//! | what | which |
//! |---|---|
//! | level | the value, means of the last 5, 20, 60 |
//! | change | mean 5 − mean 60, mean 20 − mean 200, second difference |
//! | variability | logarithm of the deviation over 20 and 60, of the mean step over 10 and 60 |
//! | day | distance to the usual at this half hour: value, means of 5 and 20 |
//! | prediction | error of the predictor that erred least so far: value, means of 5 and 20 |
//! | week | distance to the usual at this hour of the week: means of 5 and 20 |
//!
//! The predictors: averages with a memory of 20, of 200 and of all values, the day's and the
//! week's profile. Values are kept as differences to the first one, in single precision.
//! Times of day are those of the time stamps (UTC); a profile needs no more than that they
//! repeat.

use std::array;

use serde::{Deserialize, Serialize};

/// Statistics of a signal.
pub(super) const COUNT: usize = 19;
/// The statistics that are levels; the others are differences or logarithms.
pub(super) const LEVELS: std::ops::Range<usize> = 0..4;
/// The statistics that are logarithms.
pub(super) const LOGARITHMS: std::ops::Range<usize> = 7..11;
/// The mean of the last 20 values.
pub(super) const MEAN_20: usize = 2;
/// Longest window.
const RING: usize = 200;
/// Half hours of a day and hours of a week, and their lengths in seconds.
const DAY: (usize, i64) = (48, 1_800);
const WEEK: (usize, i64) = (168, 3_600);
/// Least rates at which the two profiles of the day and that of the week follow: they
/// remember about seven, ten and five visits.
const RATES: [f64; 3] = [0.15, 0.1, 0.2];
/// Rates of the short and the long average.
const AVERAGES: [f64; 2] = [0.05, 0.005];
/// Least rate at which the predictors' errors are averaged: 500 values.
const ERROR_RATE: f64 = 0.002;

/// Mean of the last values by window, recomputed from the ring each time it has come round,
/// so that rounding does not add up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sums {
    values: [f64; 4],
    squares: [f64; 2],
    steps: [f64; 2],
}

const VALUE_WINDOWS: [usize; 4] = [5, 20, 60, 200];
const SQUARE_WINDOWS: [usize; 2] = [20, 60];
const STEP_WINDOWS: [usize; 2] = [10, 60];

/// Residuals of one kind: the last twenty and the sums over 5 and 20.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Residuals {
    last: [f32; 20],
}

impl Residuals {
    /// Takes the next one; means of 5 and 20, of what there is.
    fn push(&mut self, row: usize, residual: f64) -> [f64; 2] {
        self.last[row % 20] = residual as f32;
        let mean = |window: usize| {
            let count = window.min(row + 1);
            let at = |back: usize| f64::from(self.last[(row - back) % 20]);
            (0..count).map(at).sum::<f64>() / count as f64
        };
        [mean(5), mean(20)]
    }
}

/// The state of the statistics of one signal: about 2.9 kB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Statistics {
    pub(super) origin: f64,
    /// A thousandth of the first rows' deviation: below it nothing is a movement.
    pub(super) resolution: f64,
    /// Whether readings come often enough that a day has a shape.
    has_days: bool,
    rows: u32,
    ring: Vec<f32>,
    sums: Sums,
    day: Vec<[f32; 2]>,
    day_visits: Vec<u8>,
    week: Vec<f32>,
    week_visits: Vec<u8>,
    averages: [f64; 3],
    errors: [f64; 5],
    residuals: [Residuals; 3],
}

impl Statistics {
    pub(super) fn new(origin: f64, resolution: f64, has_days: bool) -> Self {
        Self {
            origin,
            resolution,
            has_days,
            rows: 0,
            ring: vec![0.0; RING],
            sums: Sums::default(),
            day: vec![[0.0; 2]; DAY.0],
            day_visits: vec![0; DAY.0],
            week: vec![0.0; WEEK.0],
            week_visits: vec![0; WEEK.0],
            averages: [0.0; 3],
            errors: [0.0; 5],
            residuals: [Residuals::default(); 3],
        }
    }

    /// Takes a value measured at `at` (microseconds); the statistics, levels relative to the
    /// origin.
    pub(super) fn next(&mut self, at: i64, x: f64) -> [f64; COUNT] {
        let largest = f64::from(f32::MAX) / 1e6;
        let v = (x - self.origin).clamp(-largest, largest) as f32;
        let [m5, m20, m60, m200] = self.push(v);
        let x = f64::from(v);
        let count = |window: usize| window.min(self.rows as usize) as f64;
        let deviation = |at: usize, mean: f64| {
            let square = self.sums.squares[at] / count(SQUARE_WINDOWS[at]) - mean * mean;
            (square.max(0.0).sqrt() + self.resolution).ln()
        };
        let roughness = |at: usize| {
            (self.sums.steps[at].max(0.0) / count(STEP_WINDOWS[at]) + self.resolution).ln()
        };
        let variability = [
            deviation(0, m20),
            deviation(1, m60),
            roughness(0),
            roughness(1),
        ];
        let second = if self.rows > 2 {
            x - 2.0 * self.back(1) + self.back(2)
        } else {
            0.0
        };
        let [day, best, week] = self.predict(at, x);
        let row = self.rows as usize - 1;
        let [day5, day20] = self.residuals[0].push(row, day);
        let [best5, best20] = self.residuals[1].push(row, best);
        let [week5, week20] = self.residuals[2].push(row, week);
        let [sd20, sd60, step10, step60] = variability;
        [
            x,
            m5,
            m20,
            m60,
            m5 - m60,
            m20 - m200,
            second,
            sd20,
            sd60,
            step10,
            step60,
            day,
            day5,
            day20,
            best,
            best5,
            best20,
            week5,
            week20,
        ]
    }

    /// The value this many rows before the newest.
    fn back(&self, rows: usize) -> f64 {
        f64::from(self.ring[(self.rows as usize - 1 + 2 * RING - rows) % RING])
    }

    /// Puts a value into the windows; the means of the last 5, 20, 60 and 200, of what there is.
    fn push(&mut self, v: f32) -> [f64; 4] {
        let row = self.rows as usize;
        let x = f64::from(v);
        let old = |back: usize| f64::from(self.ring[(row + RING - back) % RING]);
        let step = |x: f64, before: f64| (x - before).abs();
        for (sum, window) in self.sums.values.iter_mut().zip(VALUE_WINDOWS) {
            *sum += x - if row >= window { old(window) } else { 0.0 };
        }
        for (sum, window) in self.sums.squares.iter_mut().zip(SQUARE_WINDOWS) {
            let gone = if row >= window { old(window) } else { 0.0 };
            *sum += x * x - gone * gone;
        }
        for (sum, window) in self.sums.steps.iter_mut().zip(STEP_WINDOWS) {
            let came = if row >= 1 { step(x, old(1)) } else { 0.0 };
            // A window of steps reaches one value further back.
            let gone = if row > window {
                step(old(window), old(window + 1))
            } else {
                0.0
            };
            *sum += came - gone;
        }
        self.ring[row % RING] = v;
        self.rows = self.rows.saturating_add(1);
        if (self.rows as usize).is_multiple_of(RING) {
            self.recompute();
        }
        let count = |window: usize| window.min(self.rows as usize) as f64;
        array::from_fn(|at| self.sums.values[at] / count(VALUE_WINDOWS[at]))
    }

    /// The sums anew from the ring, which is full.
    fn recompute(&mut self) {
        let last = |window: usize| (0..window).map(|back| self.back(back));
        let sums = Sums {
            values: VALUE_WINDOWS.map(|window| last(window).sum()),
            squares: SQUARE_WINDOWS.map(|window| last(window).map(|v| v * v).sum()),
            steps: STEP_WINDOWS.map(|window| {
                (0..window)
                    .map(|back| (self.back(back) - self.back(back + 1)).abs())
                    .sum()
            }),
        };
        self.sums = sums;
    }

    /// Distances to the day's profile, to the best prediction and to the week's profile; then
    /// all of them learn the value.
    fn predict(&mut self, at: i64, x: f64) -> [f64; 3] {
        let second = at.div_euclid(1_000_000);
        let slot = |(slots, length): (usize, i64)| {
            second.div_euclid(length).rem_euclid(slots as i64) as usize
        };
        let (half_hour, hour) = (slot(DAY), slot(WEEK));
        let rows = f64::from(self.rows);
        if self.rows == 1 {
            self.averages = [x; 3];
        }
        let [short, long, all] = self.averages;
        let known = |visits: u8, profile: f32| if visits > 0 { f64::from(profile) } else { long };
        let [usual, followed] = self.day[half_hour];
        let visits = self.day_visits[half_hour];
        let weekly = known(self.week_visits[hour], self.week[hour]);
        let day = if self.has_days {
            x - known(visits, usual)
        } else {
            0.0
        };
        let errors = [short, long, all, known(visits, followed), weekly].map(|p| x - p);
        let best = (1..5).fold(0, |best, at| {
            if self.errors[at] < self.errors[best] {
                at
            } else {
                best
            }
        });
        let rate = ERROR_RATE.max(1.0 / rows);
        for (mean, error) in self.errors.iter_mut().zip(errors) {
            *mean += rate * (error.abs() - *mean);
        }
        for (average, least) in self
            .averages
            .iter_mut()
            .zip([AVERAGES[0], AVERAGES[1], 0.0])
        {
            *average += least.max(1.0 / rows) * (x - *average);
        }
        let count = learn(&mut self.day_visits[half_hour]);
        for (at, profile) in self.day[half_hour].iter_mut().enumerate() {
            follow(profile, x, RATES[at].max(1.0 / count));
        }
        let count = learn(&mut self.week_visits[hour]);
        follow(&mut self.week[hour], x, RATES[2].max(1.0 / count));
        [day, errors[best], errors[4]]
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.ring.len() == RING
            && self.day.len() == DAY.0
            && self.day_visits.len() == DAY.0
            && self.week.len() == WEEK.0
            && self.week_visits.len() == WEEK.0
            && self.resolution > 0.0
            && self.rows > 0
    }
}

/// Counts a visit; the number of visits, as far as it is counted.
fn learn(visits: &mut u8) -> f64 {
    *visits = visits.saturating_add(1);
    f64::from(*visits)
}

fn follow(profile: &mut f32, x: f64, rate: f64) {
    let usual = f64::from(*profile);
    *profile = (usual + rate * (x - usual)) as f32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_agree_with_their_definition() {
        let mut statistics = Statistics::new(100.0, 1e-3, true);
        let xs: Vec<f64> = (0..1_000_u32)
            .map(|row| 100.0 + f64::from(row * 7_919 % 101))
            .collect();
        for (row, &x) in xs.iter().enumerate() {
            let got = statistics.next(row as i64 * 60_000_000, x);
            let last = |window: usize| &xs[(row + 1).saturating_sub(window)..=row];
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            let steps = |window: usize| {
                let part = &xs[row.saturating_sub(window)..=row];
                let sum: f64 = part.windows(2).map(|w| (w[1] - w[0]).abs()).sum();
                (sum / window.min(row + 1) as f64 + 1e-3).ln()
            };
            let deviation = |window: usize| {
                let centre = mean(last(window));
                let square = last(window)
                    .iter()
                    .map(|v| (v - centre).powi(2))
                    .sum::<f64>();
                ((square / last(window).len() as f64).sqrt() + 1e-3).ln()
            };
            let m = |window: usize| mean(last(window)) - 100.0;
            for (at, expected) in [
                (0, x - 100.0),
                (1, m(5)),
                (3, m(60)),
                (5, m(20) - m(200)),
                (7, deviation(20)),
                (8, deviation(60)),
                (9, steps(10)),
                (10, steps(60)),
            ] {
                assert!(
                    (got[at] - expected).abs() < 1e-6,
                    "row {row}, statistic {at}"
                );
            }
        }
    }

    #[test]
    fn a_day_that_repeats_is_no_news_and_a_missing_night_is() {
        let mut statistics = Statistics::new(0.0, 1e-3, true);
        let usual = |step: i64| (step as f64 / 48.0 * std::f64::consts::TAU).sin() * 10.0;
        let mut worst = 0.0_f64;
        for step in 0..48 * 20 {
            let got = statistics.next(step * 1_800_000_000, usual(step));
            if step >= 48 * 10 {
                worst = worst.max(got[11].abs());
            }
        }
        assert!(worst < 0.1, "{worst}");
        let shifted = statistics.next(48 * 20 * 1_800_000_000, usual(12));
        assert!(shifted[11] > 5.0, "{shifted:?}");
    }
}
