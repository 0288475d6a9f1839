//! Windows: what a trace is multiplied with before it is transformed.
//!
//! | window | coherent gain | noise bandwidth (lines) | for |
//! |---|---|---|---|
//! | rectangular | 1 | 1 | traces that hold whole periods, impacts that ring out |
//! | Hann | 0.5 | 1.5 | everything else; the default |
//! | flat top | 0.215 579 | 3.770 2 | amplitudes of lines between two bins, to 0.1 % |
//!
//! # Source
//! Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform",
//! Proc. IEEE 66 (1978), for the two measures. The flat top is the five-term window of
//! ISO 18431-2, normalised to a maximum of one.

use std::f64::consts::TAU;

/// A window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Window {
    /// All samples alike.
    Rectangular,
    /// Raised cosine.
    #[default]
    Hann,
    /// Five cosines that keep the height of a line wherever it falls.
    FlatTop,
}

/// The terms of the flat top window: `a0 - a1 cos x + a2 cos 2x - a3 cos 3x + a4 cos 4x`.
const FLAT_TOP: [f64; 5] = [
    0.215_578_95,
    0.416_631_58,
    0.277_263_158,
    0.083_578_947,
    0.006_947_368,
];

impl Window {
    /// Every window.
    pub const ALL: [Self; 3] = [Self::Rectangular, Self::Hann, Self::FlatTop];

    /// The window's word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rectangular => "rectangular",
            Self::Hann => "hann",
            Self::FlatTop => "flat_top",
        }
    }

    /// The mean of the window: the part of a line's height that is left.
    pub const fn coherent_gain(self) -> f64 {
        match self {
            Self::Rectangular => 1.0,
            Self::Hann => 0.5,
            Self::FlatTop => FLAT_TOP[0],
        }
    }

    /// How many lines wide the window makes white noise: the mean of its square over the
    /// square of its mean.
    pub fn noise_bandwidth(self) -> f64 {
        match self {
            Self::Rectangular => 1.0,
            Self::Hann => 1.5,
            Self::FlatTop => {
                let rest: f64 = FLAT_TOP[1..].iter().map(|a| a * a / 2.0).sum();
                1.0 + rest / (FLAT_TOP[0] * FLAT_TOP[0])
            }
        }
    }

    /// How far from a line, towards its higher neighbour, a sine lies whose amplitude at that
    /// neighbour is `ratio` of that at the line, in lines; and by what its height is to be
    /// multiplied.
    ///
    /// # Source
    /// Grandke, "Interpolation algorithms for discrete Fourier transforms of weighted signals",
    /// IEEE Trans. Instrum. Meas. 32 (1983), equations 8 and 11. The flat top has
    /// no such form; its place is that of the line and its height needs nothing.
    pub(super) fn between(self, ratio: f64) -> (f64, f64) {
        use std::f64::consts::PI;
        let scallop = |shift: f64| {
            let angle = PI * shift;
            if angle < 1e-6 {
                1.0
            } else {
                angle / angle.sin()
            }
        };
        match self {
            Self::Rectangular => {
                let shift = ratio / (1.0 + ratio);
                (shift, scallop(shift))
            }
            Self::Hann => {
                let shift = ((2.0 * ratio - 1.0) / (ratio + 1.0)).clamp(0.0, 0.5);
                (shift, scallop(shift) * (1.0 - shift * shift))
            }
            Self::FlatTop => (0.0, 1.0),
        }
    }

    /// The window for `count` samples, as one period of an endless window.
    pub(super) fn weights(self, count: usize) -> Vec<f64> {
        let step = TAU / count as f64;
        let weight = |at: usize| {
            let x = step * at as f64;
            match self {
                Self::Rectangular => 1.0,
                Self::Hann => 0.5 - 0.5 * x.cos(),
                Self::FlatTop => {
                    let [a0, a1, a2, a3, a4] = FLAT_TOP;
                    a0 - a1 * x.cos() + a2 * (2.0 * x).cos() - a3 * (3.0 * x).cos()
                        + a4 * (4.0 * x).cos()
                }
            }
        };
        (0..count).map(weight).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_gains_are_those_of_the_weights() {
        for window in Window::ALL {
            let weights = window.weights(4096);
            let mean = weights.iter().sum::<f64>() / 4096.0;
            let power = weights.iter().map(|w| w * w).sum::<f64>() / 4096.0;
            assert!((mean - window.coherent_gain()).abs() < 1e-12, "{window:?}");
            let bandwidth = power / (mean * mean);
            assert!(
                (bandwidth - window.noise_bandwidth()).abs() < 1e-12,
                "{window:?}"
            );
        }
    }

    #[test]
    fn the_noise_bandwidths_are_the_published_ones() {
        // Harris 1978, table I, for the first two; 3.77 for the flat top is what signal
        // analysers state.
        for (window, published) in Window::ALL.into_iter().zip([1.00, 1.50, 3.77]) {
            assert!(
                (window.noise_bandwidth() - published).abs() < 5e-3,
                "{window:?}"
            );
        }
    }
}
