//! Spectra: one-sided power density, averaged over segments, and what is read off it.
//!
//! Welch's method: the trace is cut into segments that overlap by half, each is windowed and
//! transformed, and the squares are averaged. One segment is the plain periodogram.
//!
//! # Source
//! Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE Trans.
//! Audio Electroacoust. 15 (1967). Scaling as in Heinzel, Rüdiger and Schilling, "Spectrum and
//! spectral density estimation by the DFT" (2002), equations 21 to 24.

use std::f64::consts::TAU;

use super::{
    Analyser, Band, MIN_SAMPLES, Motion, Trace, Window,
    transform::{centred, good_length},
};

/// A peak stands this far above the median of the spectrum's amplitudes, or it is noise: the
/// greatest of some thousand lines of noise stays below it.
const PEAK_OVER_MEDIAN: f64 = 5.0;

/// A one-sided spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// The distance between two lines in hertz (in orders for a trace by angle).
    pub resolution_hz: f64,
    /// The window of every segment.
    pub window: Window,
    /// Segments that were averaged.
    pub averages: u32,
    /// What the amplitudes are.
    pub motion: Motion,
    /// Power density by line, from 0 Hz on, in unit²/Hz.
    pub density: Vec<f64>,
}

/// A line that stands out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Where, between lines, in hertz.
    pub frequency_hz: f64,
    /// Its peak amplitude in the unit of the spectrum.
    pub amplitude: f64,
}

impl Analyser {
    /// The spectrum of a trace by segments of `segment` samples at most (the whole trace when
    /// that is shorter; at least [`MIN_SAMPLES`]).
    pub fn spectrum(&mut self, trace: &Trace, window: Window, segment: usize) -> Spectrum {
        self.density(
            trace.samples(),
            trace.rate_hz(),
            trace.motion(),
            (window, segment),
        )
    }

    pub(super) fn density(
        &mut self,
        samples: &[f64],
        rate_hz: f64,
        motion: Motion,
        (window, segment): (Window, usize),
    ) -> Spectrum {
        let length = good_length(segment.max(MIN_SAMPLES).min(samples.len()).max(2));
        let centred = centred(samples);
        let weights = window.weights(length);
        let plan = self.forward(length);
        let (mut input, mut lines) = (plan.make_input_vec(), plan.make_output_vec());
        let mut scratch = plan.make_scratch_vec();
        let mut density = vec![0.0; lines.len()];
        let mut averages = 0_u32;
        let step = length / 2;
        let starts = (0..)
            .step_by(step)
            .take_while(|start| start + length <= centred.len());
        for start in starts {
            let values = centred[start..start + length].iter();
            for ((to, value), weight) in input.iter_mut().zip(values).zip(&weights) {
                *to = value * weight;
            }
            // Lengths come from the plan itself: the call cannot fail.
            let _ = plan.process_with_scratch(&mut input, &mut lines, &mut scratch);
            for (sum, line) in density.iter_mut().zip(&lines) {
                *sum += line.norm_sqr();
            }
            averages += 1;
        }
        let power: f64 = weights.iter().map(|w| w * w).sum();
        let scale = 2.0 / (rate_hz * power * f64::from(averages.max(1)));
        let last = density.len() - 1;
        for (at, value) in density.iter_mut().enumerate() {
            // The first and the last line have no mirror image.
            *value *= if at == 0 || at == last {
                scale / 2.0
            } else {
                scale
            };
        }
        Spectrum {
            resolution_hz: rate_hz / length as f64,
            window,
            averages,
            motion,
            density,
        }
    }
}

impl Spectrum {
    /// The frequency of a line in hertz.
    pub fn frequency(&self, line: usize) -> f64 {
        line as f64 * self.resolution_hz
    }

    /// The highest frequency in hertz.
    pub fn highest_hz(&self) -> f64 {
        self.frequency(self.density.len() - 1)
    }

    /// The peak amplitude a sine at this line would have.
    pub fn amplitude(&self, line: usize) -> f64 {
        let bandwidth = self.window.noise_bandwidth() * self.resolution_hz;
        (2.0 * self.density[line] * bandwidth).sqrt()
    }

    /// The lines of a band, both ends in it.
    pub(super) fn lines(&self, band: Band) -> std::ops::Range<usize> {
        let first = (band.low_hz / self.resolution_hz - 1e-9).ceil().max(0.0) as usize;
        let last = (band.high_hz / self.resolution_hz + 1e-9).floor().max(0.0) as usize;
        let end = self.density.len().min(last.saturating_add(1));
        first.min(end)..end
    }

    /// The root mean square of what lies in a band.
    pub fn rms(&self, band: Band) -> f64 {
        let power: f64 = self.density[self.lines(band)].iter().sum();
        (power * self.resolution_hz).sqrt()
    }

    /// The spectrum of another motion of the same point: integrated or differentiated by 2πf.
    /// Line 0 becomes zero. None when the motion of this spectrum, or that asked for, is
    /// undeclared.
    pub fn integrated(&self, to: Motion) -> Option<Self> {
        let steps = to.order()? - self.motion.order()?;
        // Base units differ by a thousand a step: m/s², mm/s, µm.
        let unit = 1e3_f64.powi(-steps);
        let scaled = |(line, density): (usize, &f64)| {
            if line == 0 && steps != 0 {
                return 0.0;
            }
            let factor = (TAU * self.frequency(line)).powi(steps) * unit;
            density * factor * factor
        };
        Some(Self {
            motion: to,
            density: self.density.iter().enumerate().map(scaled).collect(),
            ..*self
        })
    }

    /// The highest lines of a band that stand out, at most `most`, the highest first. Place
    /// and height are read between lines; of a sine alone they are right to 0.01 lines and 1 %.
    pub fn peaks(&self, band: Band, most: usize) -> Vec<Peak> {
        let lines = self.lines(band);
        let (start, end) = (lines.start.max(1), lines.end.min(self.density.len() - 1));
        if start >= end {
            return Vec::new();
        }
        let mut sorted: Vec<f64> = self.density[start..end].to_vec();
        let middle = sorted.len() / 2;
        let median = *sorted.select_nth_unstable_by(middle, f64::total_cmp).1;
        let floor = median * PEAK_OVER_MEDIAN * PEAK_OVER_MEDIAN;
        let is_peak = |at: &usize| {
            let [before, here, after] = [at - 1, *at, at + 1].map(|at| self.density[at]);
            here > before && here >= after && here > floor
        };
        let mut found: Vec<Peak> = (start..end)
            .filter(is_peak)
            .map(|at| self.refined(at))
            .collect();
        found.sort_by(|a, b| b.amplitude.total_cmp(&a.amplitude));
        found.truncate(most);
        found
    }

    /// The peak around a line, between lines: the place and height of a sine that has this line
    /// and its higher neighbour. The flat top keeps
    /// heights; its place is the line's.
    pub(super) fn refined(&self, line: usize) -> Peak {
        let here = self.amplitude(line);
        let (shift, height) = if line == 0 || line + 1 >= self.density.len() || here <= 0.0 {
            (0.0, 1.0)
        } else {
            let (before, after) = (self.amplitude(line - 1), self.amplitude(line + 1));
            let side = if after >= before { 1.0 } else { -1.0 };
            let ratio = (before.max(after) / here).clamp(0.0, 1.0);
            let (shift, height) = self.window.between(ratio);
            (side * shift, height)
        };
        Peak {
            frequency_hz: (line as f64 + shift) * self.resolution_hz,
            amplitude: here * height,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::testing::*, *};

    const ALL: Band = Band {
        low_hz: 0.0,
        high_hz: f64::MAX,
    };

    #[test]
    fn a_sine_on_a_line_has_its_amplitude_under_every_window() {
        let trace = sines(4096, 4096.0, &[(128.0, 2.5), (1000.0, 0.5)]);
        for window in Window::ALL {
            for segment in [4096, 1024] {
                let spectrum = Analyser::new().spectrum(&trace, window, segment);
                let line = |hz: f64| (hz / spectrum.resolution_hz) as usize;
                assert_near(spectrum.amplitude(line(128.0)), 2.5, 1e-6);
                assert_near(spectrum.amplitude(line(1000.0)), 0.5, 1e-6);
            }
        }
    }

    #[test]
    fn a_sine_between_two_lines_is_read_off_the_flat_top_or_interpolated() {
        let trace = sines(4096, 4096.0, &[(128.5, 2.0)]);
        let flat = Analyser::new().spectrum(&trace, Window::FlatTop, 4096);
        assert_near(flat.amplitude(128), 2.0, 2e-3);
        let hann = Analyser::new().spectrum(&trace, Window::Hann, 4096);
        assert_near(hann.amplitude(128), 2.0 * 0.849, 5e-3);
        for shift in [0.1, 0.25, 0.4, 0.5] {
            let trace = sines(4096, 4096.0, &[(300.0 + shift, 2.0)]);
            let hann = Analyser::new().spectrum(&trace, Window::Hann, 4096);
            let peak = hann.peaks(ALL, 5)[0];
            assert!((peak.frequency_hz - 300.0 - shift).abs() < 0.02, "{peak:?}");
            assert_near(peak.amplitude, 2.0, 1e-2);
        }
    }

    #[test]
    fn two_tones_are_two_peaks_and_noise_alone_is_none() {
        let mut analyser = Analyser::new();
        let quiet = noise(8192, 0.01, 1);
        let tones = sines(8192, 8192.0, &[(50.0, 3.0), (57.0, 1.0)]);
        let both = tones
            .samples()
            .iter()
            .zip(&quiet)
            .map(|(a, b)| a + b)
            .collect();
        let spectrum = analyser.spectrum(&trace(both, 8192.0), Window::Hann, 8192);
        let peaks = spectrum.peaks(ALL, 10);
        assert_eq!(peaks.len(), 2, "{peaks:?}");
        assert_near(peaks[0].frequency_hz, 50.0, 1e-3);
        assert_near(peaks[1].amplitude, 1.0, 1e-2);
        let none = analyser.spectrum(&trace(quiet, 8192.0), Window::Hann, 1024);
        assert_eq!(none.peaks(ALL, 10), []);
    }

    #[test]
    fn averaging_makes_noise_flat_at_its_density() {
        // White noise of variance 4 at 1000 Hz has 4 / 500 unit²/Hz.
        let white = trace(noise(200_000, 2.0, 3), 1000.0);
        let spectrum = Analyser::new().spectrum(&white, Window::Hann, 1024);
        assert!(spectrum.averages > 380);
        for line in (20..480).step_by(40) {
            assert_near(spectrum.density[line], 8e-3, 0.25);
        }
        assert_near(spectrum.rms(ALL), 2.0, 0.01);
    }

    #[test]
    fn integrating_a_sine_divides_by_its_angular_frequency() {
        // 10 m/s² at 159.155 Hz (ω = 1000/s) is 10 mm/s and 10 µm: the rule of thumb that
        // vibration nomographs are drawn for.
        let hz = 1000.0 / TAU;
        let trace = sines(40_000, 10_000.0, &[(hz, 10.0)]);
        let spectrum = Analyser::new().spectrum(&trace, Window::Hann, 40_000);
        let near = Band {
            low_hz: 100.0,
            high_hz: 200.0,
        };
        for motion in [Motion::Velocity, Motion::Displacement] {
            let integrated = spectrum.integrated(motion).unwrap();
            assert_near(integrated.rms(near), 10.0 / 2.0_f64.sqrt(), 1e-3);
            let back = integrated.integrated(Motion::Acceleration).unwrap();
            assert_near(back.rms(near), spectrum.rms(near), 1e-12);
        }
        let plain = Trace::of(Motion::Undeclared, noise(100, 1.0, 1), 10.0).unwrap();
        let plain = Analyser::new().spectrum(&plain, Window::Hann, 100);
        assert_eq!(plain.integrated(Motion::Velocity), None);
    }

    proptest! {
        /// Parseval: what the samples hold, the lines hold.
        #[test]
        fn no_power_is_lost(seed in 0_u64..1000, half in 32_usize..600, rate in 1.0_f64..1e5) {
            let length = good_length(2 * half);
            let samples = noise(length, 1.0, seed);
            let spectrum = Analyser::new().spectrum(&trace(samples.clone(), rate), Window::Rectangular, length);
            let rms = super::super::Shape::of_samples(&samples).rms;
            assert_near(spectrum.rms(ALL), rms, 1e-9);
        }
    }
}
