//! One-sided CUSUM on logarithms: for damage that makes a feature grow, such as a bearing's.
//!
//! Wear multiplies: a vibration band that doubles says the same on a quiet and on a loud
//! machine. So the logarithm is watched, and only its rise counts:
//!
//! ```text
//! e ← e + 0.1 (ln x − e)          C ← max(0, C + (e − m)/s − 3)          score = max C / 20
//! ```
//!
//! m is the median of the learned logarithms. The ruler s holds the noise that smoothing
//! leaves (from the median absolute deviation), twice the wander between five blocks of the
//! learned stretch, and 5 % of amplitude, below which a rise is of no interest. A sustained
//! rise of more than three rulers (at least 16 % of amplitude) adds up to an alarm.
//!
//! A machine that stands still (half of its signals below a tenth of their normal) is not
//! scored. After an alarm was looked at, the detector is fitted anew and watches the growth
//! from there.
//!
//! # Source
//! Page, "Continuous inspection schemes", Biometrika 41 (1954).

use serde::{Deserialize, Serialize};

use super::{
    detector::{Detector, LARGEST, Part, is_enough},
    learned::{Learned, SMOOTHING},
};

/// Allowance: a rise below this many rulers never adds up.
const ALLOWANCE: f64 = 3.0;
/// The sum that alarms: a rise of four rulers in twenty rows, of five in ten.
const LIMIT: f64 = 20.0;
/// The sum grows no further than this many limits, so that it can come down again.
const MOST_LIMITS: f64 = 5.0;
/// Blocks of the learned stretch whose medians show its wander.
const BLOCKS: usize = 5;
/// Rulers of wander: five blocks show about half of what is to come.
const WANDER: f64 = 2.0;
/// The least ruler: 5 % of amplitude.
const MIN_SPREAD: f64 = 0.05;
/// A logarithm this far below normal (a tenth) is that of a machine standing still.
const STANDING: f64 = std::f64::consts::LN_10;
/// Consistent estimate of a standard deviation from a median absolute deviation.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Fewest values to learn a signal from.
const MIN_VALUES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Track {
    slot: usize,
    centre: f64,
    spread: f64,
    smoothed: f64,
    sum: f64,
    /// The last deviation in rulers; 0 for a missing signal.
    z: f64,
}

/// The growth of the features of one device. State: 48 bytes a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    tracks: Vec<Track>,
}

impl Detector for Cusum {
    const NAME: &'static str = "cusum-log";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let tracks: Vec<Track> = order
            .iter()
            .filter_map(|&slot| Track::fit(learned, slot))
            .collect();
        (!tracks.is_empty()).then_some(Self { tracks })
    }

    fn score(&mut self, _at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        if !is_enough(self.tracks.iter().map(|t| t.slot), &value) {
            return None;
        }
        let stands = |track: &&Track| {
            let x = value(track.slot);
            x <= 0.0 || logarithm(x) < track.centre - STANDING
        };
        if self.tracks.iter().filter(stands).count() * 2 >= self.tracks.len() {
            return Some(0.0);
        }
        let mut most = 0.0_f64;
        for track in &mut self.tracks {
            track.step(logarithm(value(track.slot)));
            most = most.max(track.sum);
        }
        Some(most / LIMIT)
    }

    fn parts(&self) -> Vec<Part> {
        let total: f64 = self.tracks.iter().map(|track| track.sum).sum();
        let count = self.tracks.len() as f64;
        let share = |sum: f64| {
            if total > 0.0 {
                sum / total
            } else {
                1.0 / count
            }
        };
        let part = |track: &Track| Part {
            slot: track.slot,
            share: share(track.sum),
            deviation: track.z,
            value: track.smoothed.exp(),
            normal: track.centre.exp(),
            spread: track.centre.exp() * track.spread,
        };
        self.tracks.iter().map(part).collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        for track in &self.tracks {
            visit(track.slot, track.z);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let sound = |t: &Track| t.slot < slots && t.spread > 0.0 && t.sum >= 0.0;
        !self.tracks.is_empty() && self.tracks.iter().all(sound)
    }
}

impl Track {
    /// None for a signal with too few positive values: it has no logarithm to speak of.
    fn fit(learned: &Learned, slot: usize) -> Option<Self> {
        let logs: Vec<f64> = (0..learned.recent_rows())
            .map(|row| logarithm(learned.recent(slot, row)))
            .filter(|log| !log.is_nan())
            .collect();
        if logs.len() < MIN_VALUES || logs.len() * 2 < learned.recent_rows() {
            return None;
        }
        let centre = median(logs.clone());
        let distances = logs.iter().map(|log| (log - centre).abs()).collect();
        let noise = MAD_TO_SIGMA * median(distances) * (SMOOTHING / (2.0 - SMOOTHING)).sqrt();
        let medians: Vec<f64> = (0..BLOCKS)
            .map(|b| median(logs[b * logs.len() / BLOCKS..(b + 1) * logs.len() / BLOCKS].to_vec()))
            .collect();
        let mean = medians.iter().sum::<f64>() / BLOCKS as f64;
        let square = medians.iter().map(|m| (m - mean) * (m - mean)).sum::<f64>();
        let wander = WANDER * (square / BLOCKS as f64).sqrt();
        let spread = (noise * noise + wander * wander + MIN_SPREAD * MIN_SPREAD).sqrt();
        let mut smoothed = centre;
        for log in &logs {
            smoothed += SMOOTHING * (log - smoothed);
        }
        Some(Self {
            slot,
            centre,
            spread,
            smoothed,
            sum: 0.0,
            z: 0.0,
        })
    }

    fn step(&mut self, log: f64) {
        if log.is_nan() {
            self.z = 0.0;
            return;
        }
        self.smoothed += SMOOTHING * (log - self.smoothed);
        self.z = (self.smoothed - self.centre) / self.spread;
        let sum = self.sum + self.z - ALLOWANCE;
        self.sum = sum.clamp(0.0, MOST_LIMITS * LIMIT);
    }
}

/// The logarithm of a positive value; NaN for all others.
fn logarithm(x: f64) -> f64 {
    if x > 0.0 {
        x.min(LARGEST).ln()
    } else {
        f64::NAN
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted() -> Cusum {
        let mut learned = Learned::new(100, 1);
        for row in 0..100 {
            learned.push(row, |_| 2.0 + 0.02 * (row as f64 * 1.7).sin());
        }
        Cusum::fit(&learned, &[0]).unwrap()
    }

    #[test]
    fn a_rise_of_a_quarter_alarms_and_one_of_a_tenth_never_does() {
        // ln 1.25 = 4.46 rulers of 5 %: 1.46 a row adds up to 20 in about 14 rows, and the
        // smoothing delays it by about twenty more. ln 1.1 = 1.9 rulers stays below 3.
        for (factor, first) in [(1.25, Some(20..50)), (1.1, None), (0.5, None)] {
            let mut cusum = fitted();
            let found = (0..2_000).find(|_| cusum.score(0, |_| 2.0 * factor).unwrap() >= 1.0);
            match (found, first) {
                (None, None) => {}
                (Some(row), Some(range)) => assert!(range.contains(&row), "{factor}: {row}"),
                other => panic!("{factor}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_machine_that_stands_still_is_not_scored() {
        let mut cusum = fitted();
        for _ in 0..10 {
            cusum.score(0, |_| 4.0);
        }
        let running = cusum.clone();
        assert!(cusum.score(0, |_| 0.01).unwrap() < 1e-9);
        assert!(cusum.score(0, |_| 0.0).unwrap() < 1e-9);
        assert_eq!(cusum, running);
    }
}
