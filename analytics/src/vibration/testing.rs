//! Signals with known answers, for the tests of this folder.

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Motion, Trace};

pub(super) fn assert_near(got: f64, expected: f64, relative: f64) {
    let error = (got - expected).abs() / expected.abs();
    assert!(error <= relative, "{got} is not {expected} to {relative}");
}

pub(super) fn trace(samples: Vec<f64>, rate_hz: f64) -> Trace {
    Trace::of(Motion::Acceleration, samples, rate_hz).unwrap()
}

/// A sum of sines `(hertz, peak amplitude)`.
pub(super) fn sines(count: usize, rate_hz: f64, parts: &[(f64, f64)]) -> Trace {
    let value = |n: usize| -> f64 {
        let t = n as f64 / rate_hz;
        parts
            .iter()
            .map(|(hz, peak)| peak * (TAU * hz * t + 0.3).sin())
            .sum()
    };
    trace((0..count).map(value).collect(), rate_hz)
}

/// Noise of about normal distribution (twelve uniform values) with a standard deviation.
pub(super) fn noise(count: usize, deviation: f64, seed: u64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut one = || (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>();
    (0..count).map(|_| deviation * one()).collect()
}

/// Impacts at a rate, each a resonance that rings out: a damaged bearing in its simplest form.
pub(super) fn impacts(count: usize, rate_hz: f64, hits_hz: f64, rings_hz: f64) -> Vec<f64> {
    let decay_s = 1.0 / (TAU * rings_hz * 0.05);
    let value = |n: usize| {
        let since = (n as f64 * hits_hz / rate_hz).fract() / hits_hz;
        (-since / decay_s).exp() * (TAU * rings_hz * since).sin()
    };
    (0..count).map(value).collect()
}
