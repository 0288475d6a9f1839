//! Order tracking: a trace by the angle of the shaft instead of by time.
//!
//! When the speed changes during a snapshot, everything that follows the shaft smears over
//! many lines. Sampled anew at equal steps of the shaft's angle it is sharp again, and the
//! lines of its spectrum are orders: multiples of the shaft speed. At constant speed that is
//! the plain spectrum with its frequencies divided by the speed, so nothing needs resampling.
//!
//! Between the samples a cubic through four of them is read; that is good to a tenth of a
//! percent up to an eighth of the rate. Orders above the trace's own half rate at the slowest
//! moment do not exist, so the samples a turn follow from the highest speed and nothing folds.
//!
//! # Source
//! Fyfe and Munck, "Analysis of computed order tracking", Mech. Syst. Signal Process. 11 (1997).

use super::{Analyser, MIN_SAMPLES, Spectrum, Trace, Window};
use crate::AnalyticsError;

/// The most points of a speed profile: a pulse a turn for 20 s at 30,000 rpm.
const MAX_POINTS: usize = 16_384;
/// The fewest samples a turn: below it not even the fourth order is there.
const MIN_PER_TURN: f64 = 8.0;
/// Speeds that differ by less than this part over a snapshot need no resampling.
const STEADY: f64 = 1e-3;

/// The speed of a shaft over a snapshot: straight lines between points.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedProfile {
    /// `(seconds, revolutions a second)`.
    points: Vec<(f64, f64)>,
}

impl SpeedProfile {
    /// From points `(seconds after the first sample, rpm)`. Before the first and after the
    /// last the speed stays.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] when there is none or there are too many, times do not
    /// rise, or a speed is not above zero.
    pub fn new(points: &[(f64, f64)]) -> Result<Self, AnalyticsError> {
        let rises = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let fine = |(at, rpm): &(f64, f64)| at.is_finite() && rpm.is_finite() && *rpm > 0.0;
        if points.is_empty() || points.len() > MAX_POINTS || !rises || !points.iter().all(fine) {
            return Err(AnalyticsError::Waveform {
                problem: format!(
                    "its {} points of speed must rise in time and be above 0 rpm",
                    points.len()
                ),
            });
        }
        let points = points.iter().map(|(at, rpm)| (*at, rpm / 60.0)).collect();
        Ok(Self { points })
    }

    /// From the times of a tacho's pulses in seconds: the mean speed between two pulses stands
    /// at the middle between them.
    ///
    /// # Errors
    /// As [`Self::new`]; two pulses are needed.
    pub fn from_tacho(pulses_s: &[f64], pulses_per_turn: f64) -> Result<Self, AnalyticsError> {
        let between = |pair: &[f64]| {
            let rpm = 60.0 / (pulses_per_turn * (pair[1] - pair[0]));
            (f64::midpoint(pair[0], pair[1]), rpm)
        };
        let points: Vec<_> = pulses_s.windows(2).map(between).collect();
        Self::new(&points)
    }

    /// The highest speed in revolutions a second.
    fn highest(&self) -> f64 {
        self.points.iter().map(|point| point.1).fold(0.0, f64::max)
    }

    /// Whether the speed is as good as constant.
    pub fn is_steady(&self) -> bool {
        let lowest = self
            .points
            .iter()
            .map(|point| point.1)
            .fold(f64::MAX, f64::min);
        self.highest() - lowest <= STEADY * self.highest()
    }

    /// The mean over the points in rpm.
    pub fn mean_rpm(&self) -> f64 {
        let sum: f64 = self.points.iter().map(|point| point.1).sum();
        60.0 * sum / self.points.len() as f64
    }

    /// Stretches `(from, duration, speed at the start, speed at the end)` that cover
    /// `0..duration_s`.
    fn stretches(&self, duration_s: f64) -> Vec<(f64, f64, f64, f64)> {
        let mut corners = vec![(0.0, self.at(0.0))];
        let inside = |point: &&(f64, f64)| point.0 > 0.0 && point.0 < duration_s;
        corners.extend(self.points.iter().filter(inside));
        corners.push((duration_s, self.at(duration_s)));
        let stretch =
            |pair: &[(f64, f64)]| (pair[0].0, pair[1].0 - pair[0].0, pair[0].1, pair[1].1);
        corners.windows(2).map(stretch).collect()
    }

    fn at(&self, time_s: f64) -> f64 {
        let after = self.points.partition_point(|point| point.0 <= time_s);
        match (
            after.checked_sub(1).map(|at| self.points[at]),
            self.points.get(after),
        ) {
            (Some(from), Some(to)) => {
                from.1 + (to.1 - from.1) * (time_s - from.0) / (to.0 - from.0)
            }
            (Some(only), None) => only.1,
            (None, Some(only)) => only.1,
            (None, None) => 0.0,
        }
    }
}

/// A trace by angle.
#[derive(Debug, Clone, PartialEq)]
pub struct Angular {
    /// Samples a turn of the shaft.
    pub per_turn: f64,
    /// Turns the snapshot lasted.
    pub turns: f64,
    trace: Trace,
}

impl Trace {
    /// The same trace at equal steps of angle.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] when the shaft turns so fast that a turn has fewer than
    /// eight samples, or so slowly that there are too few altogether.
    pub fn by_angle(&self, speed: &SpeedProfile) -> Result<Angular, AnalyticsError> {
        let per_turn = (self.rate_hz() / speed.highest()).floor();
        if per_turn < MIN_PER_TURN {
            return Err(AnalyticsError::Waveform {
                problem: format!("a turn has {per_turn} samples; {MIN_PER_TURN} are needed"),
            });
        }
        let mut samples = Vec::with_capacity(self.samples().len());
        let (mut turns, mut next) = (0.0, 0.0);
        for (from, duration, begin, end) in speed.stretches(self.duration_s()) {
            let turned = duration * f64::midpoint(begin, end);
            while next < turns + turned {
                let after = since(next - turns, begin, (end - begin) / duration);
                samples.push(self.read((from + after) * self.rate_hz()));
                // Counted, not added up, so that no error gathers.
                next = samples.len() as f64 / per_turn;
            }
            turns += turned;
        }
        let trace = Self::of(self.motion(), samples, per_turn)?;
        Ok(Angular {
            per_turn,
            turns,
            trace,
        })
    }

    /// The value between samples: the cubic through the four around the place.
    fn read(&self, place: f64) -> f64 {
        let samples = self.samples();
        let at = (place as usize).clamp(1, samples.len() - 3);
        let x = place - at as f64;
        let [a, b, c, d] = [at - 1, at, at + 1, at + 2].map(|at| samples[at]);
        -x * (x - 1.0) * (x - 2.0) / 6.0 * a + (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0 * b
            - (x + 1.0) * x * (x - 2.0) / 2.0 * c
            + (x + 1.0) * x * (x - 1.0) / 6.0 * d
    }
}

/// The time after which so many turns are done at `speed + growth · time`.
fn since(turns: f64, speed: f64, growth: f64) -> f64 {
    // The root of growth/2 t² + speed t = turns, in the form that does not cancel.
    2.0 * turns / (speed + (speed * speed + 2.0 * growth * turns).max(0.0).sqrt())
}

impl Analyser {
    /// The spectrum of a trace by angle; its frequencies are orders. Amplitudes are those of
    /// the trace's own unit; integrating it would need the speed at each moment, so its motion
    /// counts as undeclared.
    pub fn order_spectrum(&mut self, angular: &Angular, window: Window) -> Spectrum {
        let segment = angular.trace.samples().len().max(MIN_SAMPLES);
        let mut spectrum = self.spectrum(&angular.trace, window, segment);
        spectrum.motion = super::Motion::Undeclared;
        spectrum
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::{
        super::{Band, testing::*},
        *,
    };

    /// A run-up from 20 to 40 revolutions a second in 4 s with lines at orders 1 and 3.58.
    fn run_up(rate: f64) -> (Trace, SpeedProfile) {
        let count = (4.0 * rate) as usize;
        let value = |n: usize| {
            let t = n as f64 / rate;
            let turns = 20.0 * t + 2.5 * t * t;
            2.0 * (TAU * turns).sin() + 0.7 * (TAU * 3.58 * turns).cos()
        };
        let trace = trace((0..count).map(value).collect(), rate);
        let profile = SpeedProfile::new(&[(0.0, 1200.0), (4.0, 2400.0)]).unwrap();
        (trace, profile)
    }

    #[test]
    fn a_run_up_is_sharp_by_order_and_smeared_by_frequency() {
        let (trace, profile) = run_up(8192.0);
        let angular = trace.by_angle(&profile).unwrap();
        assert_near(angular.turns, 120.0, 1e-9);
        let mut analyser = Analyser::new();
        let orders = analyser.order_spectrum(&angular, Window::Hann);
        let peaks = orders.peaks(Band::new(0.5, 20.0).unwrap(), 2);
        assert_near(peaks[0].frequency_hz, 1.0, 2e-3);
        assert_near(peaks[0].amplitude, 2.0, 0.02);
        assert_near(peaks[1].frequency_hz, 3.58, 2e-3);
        assert_near(peaks[1].amplitude, 0.7, 0.02);
        let plain = analyser.spectrum(&trace, Window::Hann, usize::MAX);
        let highest = (0..plain.density.len())
            .map(|line| plain.amplitude(line))
            .fold(0.0, f64::max);
        assert!(
            highest < 1.0,
            "by frequency the same line is less than half as high: {highest}"
        );
    }

    #[test]
    fn a_tacho_gives_the_same_speed() {
        // Pulses where the shaft has done 0, 1, 2, … turns of the run-up.
        let pulse = |turn: i32| (-20.0 + (400.0 + 10.0 * f64::from(turn)).sqrt()) / 5.0;
        let pulses: Vec<f64> = (0..=120).map(pulse).collect();
        let tacho = SpeedProfile::from_tacho(&pulses, 1.0).unwrap();
        let (trace, _) = run_up(8192.0);
        let angular = trace.by_angle(&tacho).unwrap();
        assert_near(angular.turns, 120.0, 1e-3);
        let orders = Analyser::new().order_spectrum(&angular, Window::Hann);
        let peaks = orders.peaks(Band::new(0.5, 20.0).unwrap(), 2);
        assert_near(peaks[0].amplitude, 2.0, 0.02);
        assert_near(peaks[1].frequency_hz, 3.58, 2e-3);
    }

    #[test]
    fn constant_speed_is_told_and_changes_nothing_but_the_axis() {
        let steady = SpeedProfile::new(&[(0.0, 1800.0)]).unwrap();
        assert!(steady.is_steady());
        assert!(!run_up(1000.0).1.is_steady());
        assert_near(steady.mean_rpm(), 1800.0, 1e-12);
        let trace = sines(9600, 4800.0, &[(30.0, 1.5)]);
        let angular = trace.by_angle(&steady).unwrap();
        assert_near(angular.per_turn, 160.0, 1e-12);
        for (a, b) in trace.samples().iter().zip(angular.trace.samples()) {
            assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn speeds_that_make_no_sense_are_refused() {
        for points in [
            &[][..],
            &[(0.0, 0.0)],
            &[(0.0, 1.0), (0.0, 2.0)],
            &[(0.0, f64::NAN)],
        ] {
            assert!(SpeedProfile::new(points).is_err(), "{points:?}");
        }
        assert!(SpeedProfile::from_tacho(&[1.0], 1.0).is_err());
        let (trace, _) = run_up(1000.0);
        let fast = SpeedProfile::new(&[(0.0, 60.0 * 200.0)]).unwrap();
        assert!(trace.by_angle(&fast).is_err(), "five samples a turn");
    }
}
