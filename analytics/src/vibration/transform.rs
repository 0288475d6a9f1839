//! The transforms and their plans.

use std::{fmt, sync::Arc};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};

/// Lengths whose plans are kept. One kind of sensor needs some five lengths (the trace, a
/// segment, an envelope and its spectrum); a plan of the longest takes tens of megabytes.
const MAX_LENGTHS: usize = 64;
/// The longest length whose plan is kept from one call to the next: 1 MiB of twiddles or so.
const KEPT_LENGTH: usize = 1 << 17;

/// Analyses traces. It holds plans only: what it answers depends on its arguments alone.
pub struct Analyser {
    planner: RealFftPlanner<f64>,
    /// The lengths planned for, to know how many there are.
    lengths: Vec<usize>,
}

impl fmt::Debug for Analyser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyser")
            .field("lengths", &self.lengths)
            .finish_non_exhaustive()
    }
}

impl Default for Analyser {
    fn default() -> Self {
        Self::new()
    }
}

impl Analyser {
    /// An analyser without plans.
    pub fn new() -> Self {
        Self {
            planner: RealFftPlanner::new(),
            lengths: Vec::new(),
        }
    }

    fn note(&mut self, length: usize) {
        if self.lengths.contains(&length) {
            return;
        }
        if self.lengths.len() >= MAX_LENGTHS || self.lengths.iter().any(|l| *l > KEPT_LENGTH) {
            self.planner = RealFftPlanner::new();
            self.lengths.clear();
        }
        self.lengths.push(length);
    }

    pub(super) fn forward(&mut self, length: usize) -> Arc<dyn RealToComplex<f64>> {
        self.note(length);
        self.planner.plan_fft_forward(length)
    }

    pub(super) fn inverse(&mut self, length: usize) -> Arc<dyn ComplexToReal<f64>> {
        self.note(length);
        self.planner.plan_fft_inverse(length)
    }

    /// The transform of the longest prefix of good length, its mean taken away: lines 0 to
    /// half the length, without any scaling. Gives the length too.
    pub(super) fn lines(&mut self, samples: &[f64]) -> (Vec<Complex<f64>>, usize) {
        let length = good_length(samples.len());
        let mut centred = centred(&samples[..length]);
        let plan = self.forward(length);
        let mut lines = plan.make_output_vec();
        // Lengths come from the plan itself: the call cannot fail.
        let _ = plan.process(&mut centred, &mut lines);
        (lines, length)
    }
}

/// The values without their mean.
pub(super) fn centred(samples: &[f64]) -> Vec<f64> {
    let mean = samples.iter().sum::<f64>() / samples.len().max(1) as f64;
    samples.iter().map(|value| value - mean).collect()
}

/// The greatest even number up to `most` without a prime factor above 5; `most` is 2 or more.
pub(super) fn good_length(most: usize) -> usize {
    let mut length = most - most % 2;
    while !is_good(length) {
        length -= 2;
    }
    length
}

/// The smallest even number from `least` on without a prime factor above 5.
pub(super) fn good_length_from(least: usize) -> usize {
    let mut length = least.max(2).next_multiple_of(2);
    while !is_good(length) {
        length += 2;
    }
    length
}

fn is_good(mut number: usize) -> bool {
    for factor in [2, 3, 5] {
        while number.is_multiple_of(factor) && number > 1 {
            number /= factor;
        }
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lengths_are_near_and_have_small_factors() {
        for (most, good) in [
            (64, 64),
            (97, 96),
            (1_048_576, 1_048_576),
            (25_600, 25_600),
            (1_048_573, 1_036_800),
        ] {
            assert_eq!(good_length(most), good);
        }
        assert_eq!(good_length_from(97), 100);
        for most in MIN..20_000 {
            let length = good_length(most);
            assert!(
                length <= most && length as f64 > 0.89 * most as f64,
                "{most}"
            );
        }
    }

    const MIN: usize = super::super::MIN_SAMPLES;

    #[test]
    fn plans_are_bounded_in_number() {
        let mut analyser = Analyser::new();
        for length in 1..200 {
            analyser.forward(2 * length);
            assert!(analyser.lengths.len() <= MAX_LENGTHS);
        }
        analyser.forward(KEPT_LENGTH * 2);
        analyser.forward(16);
        assert_eq!(analyser.lengths, [16], "long plans do not stay");
    }
}
