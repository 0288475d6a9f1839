//! The envelope: how strong a band is over time.
//!
//! Each impact of a damaged bearing makes the housing ring at a few kilohertz. The rate of the
//! impacts is hardly visible in the plain spectrum, which shows the ringing; the amplitude of
//! the ringing over time shows it clearly.
//!
//! The lines of the band are moved down to zero and transformed back: the magnitude of that
//! complex signal is the magnitude of the analytic signal of the band-passed trace, exactly,
//! at a rate of four times the band's width instead of the trace's. Two real transforms make
//! its real and its imaginary part.
//!
//! # Source
//! Randall and Antoni, "Rolling element bearing diagnostics, a tutorial", Mech. Syst. Signal
//! Process. 25 (2011), section 3.3 (Hilbert transform by one-sided lines).

use realfft::num_complex::Complex;

use super::{
    Analyser, Band, MIN_SAMPLES, Motion, Spectrum, Trace, Window,
    transform::{good_length, good_length_from},
};
use crate::AnalyticsError;

/// Samples of the envelope for each line of the band. Two would hold its square; the root has
/// weak lines beyond the band's width, which four keep from folding back visibly.
const OVERSAMPLED: usize = 4;
/// The fewest lines a band holds: an envelope of fewer has no spectrum.
pub(super) const MIN_LINES: usize = 16;

/// The amplitude of a band over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The band it was made of, as far as the trace reaches.
    pub band: Band,
    /// Samples a second.
    pub rate_hz: f64,
    /// What was measured.
    pub motion: Motion,
    /// The amplitude in order of time, in the unit of the trace; never negative.
    pub samples: Vec<f64>,
}

impl Envelope {
    /// The root mean square of the band: that of the envelope over the root of two.
    pub fn band_rms(&self) -> f64 {
        let sum: f64 = self.samples.iter().map(|value| value * value).sum();
        (sum / self.samples.len().max(1) as f64 / 2.0).sqrt()
    }
}

impl Analyser {
    /// The envelope of a band of a trace.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] when the trace has fewer than 16 lines in the band.
    pub fn envelope(&mut self, trace: &Trace, band: Band) -> Result<Envelope, AnalyticsError> {
        let (lines, length) = self.lines(trace.samples());
        self.envelope_of(&lines, length, trace, band)
    }

    /// The same from lines that are there already.
    pub(super) fn envelope_of(
        &mut self,
        lines: &[Complex<f64>],
        length: usize,
        trace: &Trace,
        band: Band,
    ) -> Result<Envelope, AnalyticsError> {
        let resolution = trace.rate_hz() / length as f64;
        let first = ((band.low_hz / resolution).ceil() as usize).max(1);
        let end = ((band.high_hz / resolution).floor() as usize + 1).min(lines.len() - 1);
        if end < first + MIN_LINES {
            return Err(AnalyticsError::Waveform {
                problem: format!(
                    "it has fewer than {MIN_LINES} lines between {} Hz and {} Hz",
                    band.low_hz, band.high_hz
                ),
            });
        }
        let count = good_length_from(OVERSAMPLED * (end - first)).min(good_length(length));
        let scale = 1.0 / length as f64;
        let samples = self.magnitudes(&lines[first..end], count, scale);
        Ok(Envelope {
            band: Band {
                low_hz: first as f64 * resolution,
                high_hz: (end - 1) as f64 * resolution,
            },
            rate_hz: count as f64 * resolution,
            motion: trace.motion(),
            samples,
        })
    }

    /// The magnitude of the complex signal that has these lines from zero on, at `count`
    /// samples, twice as many as lines at least.
    pub(super) fn magnitudes(
        &mut self,
        lines: &[Complex<f64>],
        count: usize,
        scale: f64,
    ) -> Vec<f64> {
        let plan = self.inverse(count);
        let (mut spectrum, mut scratch) = (plan.make_input_vec(), plan.make_scratch_vec());
        let mut part = |turn: Complex<f64>| {
            let mut samples = plan.make_output_vec();
            spectrum.fill(Complex::default());
            for (to, line) in spectrum.iter_mut().zip(lines) {
                *to = line * turn;
            }
            // A real signal's first line is real and has no mirror image.
            spectrum[0] = Complex::new(2.0 * spectrum[0].re, 0.0);
            if let Some(last) = spectrum.last_mut() {
                last.im = 0.0;
            }
            // Lengths come from the plan itself: the call cannot fail.
            let _ = plan.process_with_scratch(&mut spectrum, &mut samples, &mut scratch);
            samples
        };
        let real = part(Complex::new(1.0, 0.0));
        let imaginary = part(Complex::new(0.0, -1.0));
        let both = real.iter().zip(&imaginary);
        both.map(|(re, im)| re.hypot(*im) * scale).collect()
    }

    /// The spectrum of an envelope, its mean taken away: amplitudes are those of the
    /// modulation, in the unit of the trace. `segment` as in [`Self::spectrum`].
    pub fn envelope_spectrum(
        &mut self,
        envelope: &Envelope,
        window: Window,
        segment: usize,
    ) -> Spectrum {
        let segment = segment.max(MIN_SAMPLES);
        // An amplitude over time is not a motion that could be integrated.
        let motion = Motion::Undeclared;
        self.density(
            &envelope.samples,
            envelope.rate_hz,
            motion,
            (window, segment),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::{super::testing::*, *};

    /// `(1 + depth cos(2π fm t)) · 2 cos(2π fc t)`.
    fn modulated(count: usize, rate: f64, carrier: f64, fm: f64, depth: f64) -> Trace {
        let value = |n: usize| {
            let t = n as f64 / rate;
            2.0 * (1.0 + depth * (TAU * fm * t).cos()) * (TAU * carrier * t + 0.4).cos()
        };
        trace((0..count).map(value).collect(), rate)
    }

    #[test]
    fn a_modulated_carrier_gives_back_its_modulation() {
        let trace = modulated(20_000, 20_000.0, 4000.0, 37.0, 0.3);
        let mut analyser = Analyser::new();
        let band = Band::new(3500.0, 4500.0).unwrap();
        let envelope = analyser.envelope(&trace, band).unwrap();
        for (n, value) in envelope.samples.iter().enumerate() {
            let t = n as f64 / envelope.rate_hz;
            assert_near(*value, 2.0 * (1.0 + 0.3 * (TAU * 37.0 * t).cos()), 1e-6);
        }
        let spectrum = analyser.envelope_spectrum(&envelope, Window::Hann, usize::MAX);
        let peaks = spectrum.peaks(Band::new(1.0, 1000.0).unwrap(), 5);
        assert_near(peaks[0].frequency_hz, 37.0, 1e-3);
        assert_near(peaks[0].amplitude, 0.6, 1e-3);
        // RMS of the modulated carrier: √(2² / 2 · (1 + 0.3² / 2)).
        assert_near(envelope.band_rms(), (2.0 * (1.0 + 0.045_f64)).sqrt(), 1e-6);
    }

    #[test]
    fn what_lies_outside_the_band_does_not_count() {
        let carrier = modulated(20_000, 20_000.0, 4000.0, 37.0, 0.3);
        let hum = sines(20_000, 20_000.0, &[(50.0, 100.0), (8000.0, 30.0)]);
        let both = carrier
            .samples()
            .iter()
            .zip(hum.samples())
            .map(|(a, b)| a + b);
        let both = trace(both.collect(), 20_000.0);
        let mut analyser = Analyser::new();
        let band = Band::new(3500.0, 4500.0).unwrap();
        let (clean, dirty) = (
            analyser.envelope(&carrier, band),
            analyser.envelope(&both, band),
        );
        let (clean, dirty) = (clean.unwrap(), dirty.unwrap());
        for (a, b) in clean.samples.iter().zip(&dirty.samples) {
            assert_near(*a, *b, 1e-6);
        }
    }

    #[test]
    fn an_impact_train_shows_its_rate_and_multiples() {
        let hits = trace(impacts(32_768, 16_384.0, 64.0, 3000.0), 16_384.0);
        let mut analyser = Analyser::new();
        let envelope = analyser
            .envelope(&hits, Band::new(2000.0, 4000.0).unwrap())
            .unwrap();
        let spectrum = analyser.envelope_spectrum(&envelope, Window::Hann, usize::MAX);
        let peaks = spectrum.peaks(Band::new(1.0, 500.0).unwrap(), 7);
        let lines: Vec<f64> = peaks.iter().map(|peak| peak.frequency_hz).collect();
        for harmonic in [64.0, 128.0, 192.0, 256.0] {
            assert!(
                lines.iter().any(|hz| (hz - harmonic).abs() < 0.2),
                "{harmonic}: {lines:?}"
            );
        }
        assert!(
            lines
                .iter()
                .all(|hz| (hz / 64.0 - (hz / 64.0).round()).abs() < 0.01),
            "{lines:?}"
        );
    }

    #[test]
    fn a_band_without_lines_is_refused() {
        let short = trace(noise(64, 1.0, 1), 1000.0);
        let mut analyser = Analyser::new();
        assert!(
            analyser
                .envelope(&short, Band::new(100.0, 300.0).unwrap())
                .is_err()
        );
        assert!(
            analyser
                .envelope(&short, Band::new(600.0, 900.0).unwrap())
                .is_err()
        );
        assert!(
            analyser
                .envelope(&short, Band::new(10.0, 450.0).unwrap())
                .is_ok()
        );
    }
}
