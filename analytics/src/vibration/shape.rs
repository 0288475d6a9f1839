//! The shape of the samples as they are: level, crest factor, skewness and kurtosis.

use super::Trace;

/// What the samples say without any transform. The mean is taken away first: an offset of the
/// sensor is no vibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The mean that was taken away.
    pub mean: f64,
    /// Root mean square.
    pub rms: f64,
    /// The greatest value without its sign.
    pub peak: f64,
    /// Peak over RMS: √2 for a sine, 4 to 5 for noise, more with impacts. None when the trace
    /// is constant.
    pub crest: Option<f64>,
    /// Third standardised moment; 0 for anything symmetric. None when the trace is constant.
    pub skewness: Option<f64>,
    /// Fourth standardised moment: 1.5 for a sine, 3 for noise, more with impacts. None when
    /// the trace is constant.
    pub kurtosis: Option<f64>,
}

impl Shape {
    /// The shape of a trace.
    ///
    /// # Source
    /// ISO 13373-2 for the measures; the moments are the population's, divided by n.
    pub fn of(trace: &Trace) -> Self {
        Self::of_samples(trace.samples())
    }

    pub(super) fn of_samples(samples: &[f64]) -> Self {
        let count = samples.len().max(1) as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let (mut second, mut third, mut fourth, mut peak) = (0.0, 0.0, 0.0, 0.0_f64);
        for value in samples {
            let x = value - mean;
            let square = x * x;
            second += square;
            third += square * x;
            fourth += square * square;
            peak = peak.max(x.abs());
        }
        let (m2, m3, m4) = (second / count, third / count, fourth / count);
        let rms = m2.sqrt();
        // What rounding leaves of a constant is no shape.
        let moves = rms > 1e-12 * mean.abs().max(f64::MIN_POSITIVE) && m2 * m2 > 0.0;
        let known = |value: f64| (moves && value.is_finite()).then_some(value);
        Self {
            mean,
            rms,
            peak,
            crest: known(peak / rms),
            skewness: known(m3 / (m2 * rms)),
            kurtosis: known(m4 / (m2 * m2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn closed_forms_come_out() {
        let sine = Shape::of(&sines(8192, 8192.0, &[(100.0, 3.0)]));
        assert_near(sine.rms, 3.0 / 2.0_f64.sqrt(), 1e-9);
        assert_near(sine.crest.unwrap(), 2.0_f64.sqrt(), 1e-3);
        assert_near(sine.kurtosis.unwrap(), 1.5, 1e-9);
        assert!(sine.skewness.unwrap().abs() < 1e-9);
        let square: Vec<f64> = (0..1000)
            .map(|n| if n % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let square = Shape::of(&trace(square, 1000.0));
        assert_near(square.crest.unwrap(), 1.0, 1e-12);
        assert_near(square.kurtosis.unwrap(), 1.0, 1e-12);
        // One impact in n samples: kurtosis tends to n, crest to its root.
        let mut impact = vec![0.0; 1000];
        impact[400] = 5.0;
        let impact = Shape::of(&trace(impact, 1000.0));
        assert_near(impact.kurtosis.unwrap(), 1000.0, 4e-3);
        assert_near(impact.crest.unwrap(), 1000.0_f64.sqrt(), 2e-3);
    }

    #[test]
    fn a_constant_has_no_shape_and_an_offset_does_not_matter() {
        let flat = Shape::of(&trace(vec![7.3; 500], 100.0));
        assert!(flat.rms < 1e-12);
        assert_eq!(
            (flat.crest, flat.kurtosis, flat.skewness),
            (None, None, None)
        );
        let low = noise(4096, 1.0, 5);
        let high = low.iter().map(|value| value + 100.0).collect();
        let (low, high) = (Shape::of(&trace(low, 1.0)), Shape::of(&trace(high, 1.0)));
        assert_near(low.rms, high.rms, 1e-9);
        assert_near(low.kurtosis.unwrap(), high.kurtosis.unwrap(), 1e-9);
        assert_near(high.mean, 100.0 + low.mean, 1e-12);
    }
}
