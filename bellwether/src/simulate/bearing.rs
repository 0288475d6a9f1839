//! What an accelerometer on a pump's bearing hears: a snapshot at full rate now and then.
//!
//! Three things add up: the turning of the shaft (one sine at the speed, as strong as the vibration
//! velocity says), broadband noise (healthy running), and one impact each time a rolling element
//! passes the damage on the outer race, which rings a resonance of the housing and dies
//! away. Impacts come at the ball pass frequency of the outer race, with the slip of real bearings.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Samples a second: the resonance and twice the band of its envelope fit below half of it.
pub(super) const RATE_HZ: f64 = 12_800.0;
/// Samples of a snapshot: 0.32 s, fifteen turns, lines 3.1 Hz apart.
pub(super) const SAMPLES: usize = 4_096;
/// Resonance of the housing that impacts ring.
const RESONANCE_HZ: f64 = 3_200.0;
/// Time constant of the ringing.
const RINGING_S: f64 = 0.001;
/// Impacts come early or late by this part of their period: elements slip a little.
const SLIP: f64 = 0.01;
/// Outer-race passes a turn of a deep-groove ball bearing 6309 without axial load:
/// 8/2 · (1 − 17.462/72.5), the bearing of the asset model.
pub(super) const OUTER_RACE_ORDER: f64 = 8.0 / 2.0 * (1.0 - 17.462 / 72.5);
const GRAVITY_MM_S2: f64 = 9_806.65;

/// What the snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heard {
    /// Speed of the shaft, rpm.
    pub(super) speed_rpm: f64,
    /// Velocity at the speed of the shaft, mm/s RMS.
    pub(super) velocity_mm_s: f64,
    /// Broadband acceleration, g RMS.
    pub(super) noise_g: f64,
    /// Acceleration of the impacts, g RMS.
    pub(super) impacts_g: f64,
}

/// The samples of one snapshot, g.
pub(super) fn snapshot(heard: Heard, rng: &mut impl Rng) -> Vec<f64> {
    let turn_hz = heard.speed_rpm / 60.0;
    // A velocity of v at frequency f is an acceleration of 2 π f v.
    let sine_g = 2f64.sqrt() * heard.velocity_mm_s * TAU * turn_hz / GRAVITY_MM_S2;
    let phase = TAU * rng.random::<f64>();
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|at| {
            let noise: f64 = rng.sample(StandardNormal);
            let angle = TAU * turn_hz * at as f64 / RATE_HZ + phase;
            sine_g * angle.sin() + heard.noise_g * noise
        })
        .collect();
    let passes_hz = OUTER_RACE_ORDER * turn_hz;
    if passes_hz > 0.0 && heard.impacts_g > 0.0 {
        ring(&mut samples, passes_hz, heard.impacts_g, rng);
    }
    samples
}

/// Adds impacts whose ringing has an RMS of `rms_g` over time: one of height A has the energy
/// A² τ/4, and `passes_hz` of them come in a second.
fn ring(samples: &mut [f64], passes_hz: f64, rms_g: f64, rng: &mut impl Rng) {
    let height = 2.0 * rms_g / (RINGING_S * passes_hz).sqrt();
    let lasts_s = 8.0 * RINGING_S;
    let mut impact_s = rng.random::<f64>() / passes_hz - lasts_s;
    while impact_s < samples.len() as f64 / RATE_HZ {
        let first = (impact_s * RATE_HZ).ceil().max(0.0) as usize;
        let last = (((impact_s + lasts_s) * RATE_HZ).max(0.0) as usize).min(samples.len());
        for (at, sample) in samples.iter_mut().enumerate().take(last).skip(first) {
            let t = at as f64 / RATE_HZ - impact_s;
            *sample += height * (-t / RINGING_S).exp() * (TAU * RESONANCE_HZ * t).sin();
        }
        let slip: f64 = rng.sample(StandardNormal);
        impact_s += (1.0 + SLIP * slip.clamp(-3.0, 3.0)) / passes_hz;
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn heard(impacts_g: f64) -> Vec<f64> {
        let heard = Heard {
            speed_rpm: 2_900.0,
            velocity_mm_s: 1.4,
            noise_g: 0.3,
            impacts_g,
        };
        snapshot(heard, &mut StdRng::seed_from_u64(3))
    }

    fn rms(samples: &[f64]) -> f64 {
        (samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64).sqrt()
    }

    /// Amplitude of the squared signal at a frequency, a simple envelope spectrum.
    fn envelope_at(samples: &[f64], hz: f64) -> f64 {
        let mean = samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (at, x) in samples.iter().enumerate() {
            let angle = TAU * hz * at as f64 / RATE_HZ;
            re += (x * x - mean) * angle.cos();
            im += (x * x - mean) * angle.sin();
        }
        2.0 * re.hypot(im) / samples.len() as f64
    }

    #[test]
    fn a_snapshot_is_as_strong_as_its_parts() {
        for impacts_g in [0.0, 0.5, 2.0] {
            // 1.4 mm/s at 48.33 Hz is 0.043 g.
            let expected = (0.043_f64.powi(2) + 0.3 * 0.3 + impacts_g * impacts_g).sqrt();
            let found = rms(&heard(impacts_g));
            // 48 impacts and 4,096 samples: the RMS varies by some percent.
            assert!(
                (found / expected - 1.0).abs() < 0.1,
                "{impacts_g}: {found} {expected}"
            );
        }
    }

    /// 4 · (1 − 17.462/72.5) = 3.037 passes a turn, 146.8 Hz at 2,900 rpm.
    #[test]
    fn damage_shows_in_the_envelope_at_the_ball_pass_frequency_and_grows_with_it() {
        let passes_hz = OUTER_RACE_ORDER * 2_900.0 / 60.0;
        assert!((passes_hz - 146.8).abs() < 0.05, "{passes_hz}");
        let healthy = envelope_at(&heard(0.0), passes_hz);
        let mut before = healthy;
        for impacts_g in [0.3, 0.8, 2.0] {
            let samples = heard(impacts_g);
            let line = envelope_at(&samples, passes_hz);
            let beside = envelope_at(&samples, passes_hz * 1.37);
            assert!(line > 2.0 * before, "{impacts_g}: {line} after {before}");
            assert!(line > 4.0 * beside, "{impacts_g}: {line} beside {beside}");
            before = line;
        }
    }
}
