//! Which band to take the envelope of, when nobody says: the one that is most impulsive.
//!
//! The trace is cut into 2, 3, 4, 6, … 24 bands of equal width, and the spectral kurtosis of
//! each is the fourth moment of its envelope over the square of the second, less two: 0 for
//! noise, −1 for a steady tone, large where impacts ring. The band with the highest wins; of
//! two alike the wider.
//!
//! The choice is good for looking at one snapshot. It may jump from one snapshot to the next,
//! so features that are compared over time use a fixed band.
//!
//! # Source
//! Antoni, "Fast computation of the kurtogram for the detection of transient faults", Mech.
//! Syst. Signal Process. 21 (2007); here with ideal filters instead of its filter bank.

use super::{Analyser, Band, Trace, envelope::MIN_LINES, transform::good_length_from};

/// Numbers of bands: the levels 1 to 4.6 of the 1/3-binary tree. Finer bands follow single
/// lines rather than a resonance.
const DIVISIONS: [usize; 8] = [2, 3, 4, 6, 8, 12, 16, 24];
/// The fewest lines a band must have for its kurtosis to mean something: its standard error
/// for noise is about √(4 / lines), so a quarter.
const LINES: usize = 64;
/// No band begins below this part of the highest frequency: hum and its harmonics are there,
/// and no resonance of a bearing.
const LOWEST: f64 = 1.0 / 24.0;

impl Analyser {
    /// The most impulsive band of a trace with its spectral kurtosis; none when the trace is
    /// too short or has no power.
    pub fn impulsive_band(&mut self, trace: &Trace) -> Option<(Band, f64)> {
        let (lines, length) = self.lines(trace.samples());
        let resolution = trace.rate_hz() / length as f64;
        let usable = lines.len() - 1;
        let lowest = ((usable as f64 * LOWEST) as usize).max(1);
        let mut best: Option<(Band, f64)> = None;
        for division in DIVISIONS {
            let width = usable / division;
            if width < LINES.max(MIN_LINES) {
                break;
            }
            for band in 0..division {
                let first = (band * width).max(lowest);
                let end = (band + 1) * width;
                if end <= first + width / 2 {
                    continue;
                }
                // Twice as many samples as lines give the exact means of the second and
                // fourth power.
                let count = good_length_from(2 * (end - first) + 2);
                let envelope = self.magnitudes(&lines[first..end], count, 1.0);
                let Some(kurtosis) = spectral_kurtosis(&envelope) else {
                    continue;
                };
                if best.is_none_or(|(_, highest)| kurtosis > highest) {
                    let (low_hz, high_hz) = (first as f64 * resolution, end as f64 * resolution);
                    best = Some((Band { low_hz, high_hz }, kurtosis));
                }
            }
        }
        best
    }
}

fn spectral_kurtosis(envelope: &[f64]) -> Option<f64> {
    let count = envelope.len() as f64;
    let second = envelope.iter().map(|value| value * value).sum::<f64>() / count;
    let fourth = envelope.iter().map(|value| value.powi(4)).sum::<f64>() / count;
    let kurtosis = fourth / (second * second) - 2.0;
    kurtosis.is_finite().then_some(kurtosis)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn the_band_that_rings_is_found_under_noise_and_hum() {
        let ringing = impacts(32_768, 25_600.0, 40.0, 5000.0);
        let hum = sines(32_768, 25_600.0, &[(50.0, 5.0), (1500.0, 2.0)]);
        let background = noise(32_768, 0.05, 4);
        let mixed = ringing.iter().zip(hum.samples()).zip(&background);
        let mixed: Vec<f64> = mixed.map(|((a, b), c)| a + b + c).collect();
        let (band, kurtosis) = Analyser::new()
            .impulsive_band(&trace(mixed, 25_600.0))
            .unwrap();
        assert!(band.low_hz < 5000.0 && 5000.0 < band.high_hz, "{band:?}");
        assert!(kurtosis > 2.0, "{kurtosis}");
    }

    #[test]
    fn noise_alone_has_no_impulsive_band_worth_the_name() {
        let (_, kurtosis) = Analyser::new()
            .impulsive_band(&trace(noise(65_536, 1.0, 8), 25_600.0))
            .unwrap();
        assert!(kurtosis < 0.5, "{kurtosis}");
        assert_eq!(
            Analyser::new().impulsive_band(&trace(vec![1.0; 4096], 100.0)),
            None
        );
        assert_eq!(
            Analyser::new().impulsive_band(&trace(noise(100, 1.0, 1), 100.0)),
            None
        );
    }

    #[test]
    fn a_steady_tone_counts_less_than_noise() {
        let tone = [1.0; 512];
        assert_near(spectral_kurtosis(&tone).unwrap(), -1.0, 1e-12);
    }
}
