//! Chance that is the same on every machine and in every version: a model is deterministic for
//! its seed, also after the program's random number crate has changed its generator.
//!
//! # Source
//! `SplitMix64`: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA
//! 2014; normal deviates by Box & Muller (1958).

/// A generator with a period of 2⁶⁴.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of a seed; `stream` separates what is drawn for different purposes.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        chance.next();
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..n; n is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A sample of `count` of 0..n without repetition, in rising order (Knuth, The Art of
    /// Computer Programming 2, algorithm S).
    pub(crate) fn sample(&mut self, n: usize, count: usize) -> Vec<u32> {
        let mut left = count.min(n);
        let mut taken = Vec::with_capacity(left);
        for at in 0..n {
            if left > 0 && self.below(n - at) < left {
                taken.push(at as u32);
                left -= 1;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_reference_implementation() {
        // First outputs of the public-domain C version by Vigna (2015) for the state
        // 1234567, as its documentation and other implementations list them.
        let mut chance = Chance(1_234_567);
        let expected = [
            6_457_827_717_110_365_317_u64,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(expected.map(|_| chance.next()), expected);
    }

    #[test]
    fn normal_deviates_have_the_moments_of_the_normal_distribution() {
        let mut chance = Chance::new(1, 2);
        let n = 100_000;
        let (mut first, mut second, mut fourth) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = chance.normal();
            first += x;
            second += x * x;
            fourth += x.powi(4);
        }
        let n = f64::from(n);
        // Five standard errors: 1, √2 and √96 over √n.
        assert!((first / n).abs() < 0.016);
        assert!((second / n - 1.0).abs() < 0.023);
        assert!((fourth / n - 3.0).abs() < 0.155);
    }

    #[test]
    fn a_sample_has_no_repetition_and_everything_when_asked_for_all() {
        let mut chance = Chance::new(3, 0);
        assert_eq!(chance.sample(5, 9), [0, 1, 2, 3, 4]);
        let some = chance.sample(100, 30);
        assert!(some.len() == 30 && some.is_sorted_by(|a, b| a < b));
    }
}
