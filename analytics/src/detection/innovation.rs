//! The innovation view: does each row still follow from the row before as it used to?
//!
//! A first-order vector autoregression is learned from neighbouring rows; what it does not
//! foresee is the innovation. Machines swing with their load, and a swing that the signals
//! make together is foreseen; a fault is not. The innovations are smoothed and their
//! Mahalanobis distance is the score:
//!
//! ```text
//! r = z − Aᵀz₋₁          v ← v + 0.1 (r − v)          S = √(vᵀC⁻¹v / p) / 3.5
//! ```
//!
//! Alone it alarms on every departure from the learned dynamics, harmless ones too; together
//! with the level ([`super::agreement`]) it keeps slow healthy swings from alarming.
//!
//! # Source
//! Residual control charts for autocorrelated processes: Pan & Jarrett, "Using vector
//! autoregressive residuals to monitor multivariate processes in the presence of serial
//! correlation", International Journal of Production Economics 106 (2007).

use ndarray::{Array2, Axis, Slice};
use serde::{Deserialize, Serialize};

use super::{
    detector::{Detector, LARGEST, Part, is_enough},
    healthy::{STILL_SPREAD, Whitener, correlations_of, shares, spread_of},
    learned::{Learned, SMOOTHING},
};

/// The alarm limit in root mean square innovation spreads: half a spread beyond that of the
/// level view, because these spreads have no allowance for what wanders. On a pump rig 3 to 4
/// find the same faults, at false alarms that fall from 12 to 9 per cent of the rows.
const LIMIT: f64 = 3.5;
/// Added to the squares of the regression, in rows: coefficients must be shown by more than
/// ten rows to be believed.
const RIDGE_ROWS: f64 = 10.0;
/// Rows left out of the innovations' spread while their smoothing settles.
const SETTLING_ROWS: usize = 20;
/// Fewest rows with neighbours to learn from.
const MIN_ROWS: usize = 60;
/// Least spread of a smoothed innovation in spreads of its signal: that of smoothed white
/// noise of one spread, √(λ/(2 − λ)), for a signal that never moved while learning.
const STILL_INNOVATION: f64 = 0.229;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Track {
    slot: usize,
    centre: f64,
    spread: f64,
    /// The spread of its smoothed innovation, in spreads of the signal.
    innovation_spread: f64,
    /// The last standardised value.
    z: f64,
    /// The smoothed innovation.
    innovation: f64,
    /// What the last value should have been, standardised.
    foreseen: f64,
}

/// The innovation view of one device. State: 56 bytes a signal and 1.5 p² numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Innovation {
    tracks: Vec<Track>,
    /// A by rows: what one signal's last value says about the next value of each.
    dynamics: Vec<f64>,
    whitener: Whitener,
    /// Smoothed innovations of the last sample in their spreads; 0 for a missing signal.
    v: Vec<f64>,
    w: Vec<f64>,
}

impl Detector for Innovation {
    const NAME: &'static str = "innovation";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let rows = learned.recent_rows();
        let has_level = |slot: &usize| spread_of(*slot, learned.level(*slot)).is_some();
        let mut tracks: Vec<Track> = order
            .iter()
            .copied()
            .filter(has_level)
            .filter_map(|slot| track_of(learned, slot))
            .collect();
        if tracks.is_empty() || rows < MIN_ROWS {
            return None;
        }
        let size = tracks.len();
        let z = standardised(learned, &tracks);
        let dynamics = regress(&z);
        let smoothed = smoothed_innovations(&z, &dynamics);
        for (at, track) in tracks.iter_mut().enumerate() {
            let column = smoothed.column(at);
            let mean = column.mean().unwrap_or(0.0);
            let square = column.mapv(|v| (v - mean) * (v - mean)).mean();
            let spread = square.unwrap_or(0.0).sqrt();
            if spread > f64::from(f32::EPSILON) {
                track.innovation_spread = spread;
            }
            track.z = z[[rows - 1, at]];
            track.innovation = smoothed[[smoothed.nrows() - 1, at]];
        }
        let scaled = Array2::from_shape_fn(smoothed.dim(), |(row, at)| {
            smoothed[[row, at]] / tracks[at].innovation_spread
        });
        Some(Self {
            whitener: Whitener::new(&correlations_of(&scaled)),
            dynamics: dynamics.into_iter().collect(),
            tracks,
            v: vec![0.0; size],
            w: vec![0.0; size],
        })
    }

    fn score(&mut self, _at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        if !is_enough(self.tracks.iter().map(|t| t.slot), &value) {
            return None;
        }
        self.foresee();
        for (track, v) in self.tracks.iter_mut().zip(&mut self.v) {
            let x = value(track.slot);
            *v = if x.is_nan() { 0.0 } else { track.step(x) };
        }
        let square = self.whitener.apply(&self.v, &mut self.w);
        Some((square / self.v.len() as f64).sqrt() / LIMIT)
    }

    fn parts(&self) -> Vec<Part> {
        let weigh = |(at, v): (usize, &f64)| v * self.whitener.transposed(at, &self.w);
        let parts: Vec<f64> = self.v.iter().enumerate().map(weigh).collect();
        let each = self.tracks.iter().zip(&self.v).zip(shares(&parts));
        each.map(|((track, &deviation), share)| Part {
            slot: track.slot,
            share,
            deviation,
            value: track.centre + track.z * track.spread,
            normal: track.centre + track.foreseen * track.spread,
            spread: track.spread * track.innovation_spread,
        })
        .collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        for (track, &v) in self.tracks.iter().zip(&self.v) {
            visit(track.slot, v);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let size = self.tracks.len();
        let sound = |t: &Track| t.slot < slots && t.spread > 0.0 && t.innovation_spread > 0.0;
        size > 0
            && self.v.len() == size
            && self.w.len() == size
            && self.dynamics.len() == size * size
            && self.whitener.is_consistent(size)
            && self.tracks.iter().all(sound)
    }
}

impl Innovation {
    /// What each signal should be, from the row before.
    fn foresee(&mut self) {
        self.w.fill(0.0);
        let rows = self.dynamics.chunks_exact(self.tracks.len());
        for (track, row) in self.tracks.iter().zip(rows) {
            for (sum, coefficient) in self.w.iter_mut().zip(row) {
                *sum += coefficient * track.z;
            }
        }
        for (track, &foreseen) in self.tracks.iter_mut().zip(&self.w) {
            track.foreseen = foreseen;
        }
    }
}

impl Track {
    fn step(&mut self, x: f64) -> f64 {
        self.z = ((x - self.centre) / self.spread).clamp(-LARGEST, LARGEST);
        self.innovation += SMOOTHING * (self.z - self.foreseen - self.innovation);
        (self.innovation / self.innovation_spread).clamp(-LARGEST, LARGEST)
    }
}

/// Mean and spread of the rows as they came.
fn track_of(learned: &Learned, slot: usize) -> Option<Track> {
    let seen = || {
        (0..learned.recent_rows())
            .map(|row| learned.recent(slot, row))
            .filter(|x| !x.is_nan())
    };
    let count = seen().count() as f64;
    let centre = seen().sum::<f64>() / count;
    let square = seen().map(|x| (x - centre) * (x - centre)).sum::<f64>() / count;
    // Rows are kept in single precision of their movement: below this nothing moved.
    let floor = STILL_SPREAD * centre.abs();
    let deviation = square.sqrt();
    let spread = if deviation > 1e-9 * centre.abs() {
        deviation
    } else {
        floor
    };
    (spread > 0.0 && spread.is_finite()).then_some(Track {
        slot,
        centre,
        spread,
        innovation_spread: STILL_INNOVATION,
        z: 0.0,
        innovation: 0.0,
        foreseen: 0.0,
    })
}

/// The kept rows in spreads, shape `(n_rows, n_signals)`; a missing value is 0.
fn standardised(learned: &Learned, tracks: &[Track]) -> Array2<f64> {
    Array2::from_shape_fn((learned.recent_rows(), tracks.len()), |(row, at)| {
        let track = &tracks[at];
        let z = (learned.recent(track.slot, row) - track.centre) / track.spread;
        if z.is_nan() { 0.0 } else { z }
    })
}

/// Ridge regression of each row on the one before, shape `(n_signals, n_signals)`.
fn regress(z: &Array2<f64>) -> Array2<f64> {
    let (rows, size) = z.dim();
    let before = z.slice_axis(Axis(0), Slice::from(..rows - 1));
    let after = z.slice_axis(Axis(0), Slice::from(1..));
    let mut squares = before.t().dot(&before);
    squares.diag_mut().mapv_inplace(|v| v + RIDGE_ROWS);
    let inverse = Whitener::new(&squares);
    let cross = before.t().dot(&after);
    let mut coefficients = Array2::zeros((size, size));
    for at in 0..size {
        let solved = inverse.solve(&cross.column(at).to_vec());
        for (row, value) in solved.into_iter().enumerate() {
            coefficients[[row, at]] = value;
        }
    }
    coefficients
}

/// The smoothed innovations of the kept rows, without the settling ones.
fn smoothed_innovations(z: &Array2<f64>, dynamics: &Array2<f64>) -> Array2<f64> {
    let (rows, size) = z.dim();
    let mut smoothed = Array2::zeros((rows, size));
    let foreseen = z.dot(dynamics);
    for row in 1..rows {
        for at in 0..size {
            let last: f64 = smoothed[[row - 1, at]];
            let innovation = z[[row, at]] - foreseen[[row - 1, at]];
            smoothed[[row, at]] = last + SMOOTHING * (innovation - last);
        }
    }
    smoothed
        .slice_axis(Axis(0), Slice::from(SETTLING_ROWS..))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dynamics_of_a_known_process_are_found() {
        // z1 follows itself by 0.8, z2 follows z1 by 0.5; 4,000 rows of fixed noise.
        let mut state = 7_u64;
        let mut noise = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        let mut z = Array2::zeros((4_000, 2));
        for row in 1..4_000 {
            z[[row, 0]] = 0.8 * z[[row - 1, 0]] + noise();
            z[[row, 1]] = 0.5 * z[[row - 1, 0]] + noise();
        }
        let found = regress(&z);
        for (at, expected) in [((0, 0), 0.8), ((1, 0), 0.0), ((0, 1), 0.5), ((1, 1), 0.0)] {
            assert!((found[at] - expected).abs() < 0.05, "{at:?}: {found}");
        }
    }
}
