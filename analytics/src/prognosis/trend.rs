//! A robust trend: Theil–Sen slope with Sen's limits, Mann–Kendall test for autocorrelated data.
//!
//! # Source
//! Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968);
//! Hamed & Rao, "A modified Mann–Kendall trend test for autocorrelated data", Journal of
//! Hydrology 204 (1998): the variance of S is multiplied by
//! 1 + 2/(n(n−1)(n−2)) Σ (n−i)(n−i−1)(n−i−2) ρ(i) over the autocorrelations ρ(i) of the ranks
//! of the detrended values that are significant at 5 %. Where the factor would be below 1 it
//! is taken as 1: an apparent negative autocorrelation shall not make a trend more certain.

use statrs::distribution::{ContinuousCDF, Normal};

use super::history::Point;

/// Standard normal quantile of 90 %: slopes and residuals are given at 10 % and 90 %.
pub(crate) const Z_90: f64 = 1.281_551_565_544_600_4;
/// Standard normal quantile of 97.5 %, for significant autocorrelations.
const Z_975: f64 = 1.959_963_984_540_054;

/// A fitted trend over points (seconds, value).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    /// The median slope, value per second.
    pub(crate) slope: f64,
    /// Its nominal 10 % and 90 % quantile.
    pub(crate) slope_low: f64,
    pub(crate) slope_high: f64,
    /// The value of the line at second 0.
    pub(crate) level: f64,
    /// The 10 % and 90 % quantile of the residuals.
    pub(crate) residual_low: f64,
    pub(crate) residual_high: f64,
    /// Two-sided p-value of the Mann–Kendall test.
    pub(crate) p_value: f64,
    /// The first point's time and the time covered, in seconds.
    pub(crate) from: f64,
    pub(crate) span: f64,
}

impl Trend {
    /// Fits a trend to at least four points in time order; none with fewer, or when all
    /// stand at one time.
    pub(crate) fn fit(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let mut slopes = pairwise_slopes(points);
        if points.len() < 4 || slopes.is_empty() {
            return None;
        }
        slopes.sort_by(f64::total_cmp);
        let slope = quantile(&slopes, 0.5);
        let mut residuals: Vec<f64> = points.iter().map(|p| p.1 - slope * p.0).collect();
        let variance = kendall_variance(&residuals, points);
        residuals.sort_by(f64::total_cmp);
        let level = quantile(&residuals, 0.5);
        // Sen's limits: the order statistics this far from the middle of the slopes.
        let half = Z_90 * variance.sqrt() / 2.0 / slopes.len() as f64;
        Some(Self {
            slope,
            slope_low: quantile(&slopes, (0.5 - half).max(0.0)),
            slope_high: quantile(&slopes, (0.5 + half).min(1.0)),
            level,
            residual_low: quantile(&residuals, 0.1) - level,
            residual_high: quantile(&residuals, 0.9) - level,
            p_value: p_value(kendall_s(points), variance),
            from: first.0,
            span: last.0 - first.0,
        })
    }
}

fn pairwise_slopes(points: &[Point]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, late) in points.iter().enumerate() {
        let earlier = points[..at].iter().filter(|early| late.0 > early.0);
        slopes.extend(earlier.map(|early| (late.1 - early.1) / (late.0 - early.0)));
    }
    slopes
}

/// Linear interpolation between order statistics (numpy's default).
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let below = at as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// Kendall's S: rising pairs minus falling pairs.
fn kendall_s(points: &[Point]) -> f64 {
    let mut s = 0_i64;
    for (at, late) in points.iter().enumerate() {
        for early in &points[..at] {
            s += i64::from(late.1 > early.1) - i64::from(late.1 < early.1);
        }
    }
    s as f64
}

/// The variance of S without trend, corrected for ties and autocorrelation.
fn kendall_variance(residuals: &[f64], points: &[Point]) -> f64 {
    let n = points.len() as f64;
    let mut values: Vec<f64> = points.iter().map(|p| p.1).collect();
    values.sort_by(f64::total_cmp);
    let ties = values
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|group| group.len() as f64);
    let tied: f64 = ties.map(|t| t * (t - 1.0) * (2.0 * t + 5.0)).sum();
    let plain = (n * (n - 1.0) * (2.0 * n + 5.0) - tied) / 18.0;
    plain * autocorrelation_factor(&ranks(residuals)).max(1.0)
}

fn autocorrelation_factor(ranks: &[f64]) -> f64 {
    let n = ranks.len() as f64;
    let mean = f64::midpoint(n, 1.0);
    let product = |lag: usize| -> f64 {
        let pairs = ranks.iter().zip(&ranks[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let variance = product(0);
    if variance <= 0.0 {
        return 1.0;
    }
    let sum: f64 = (1..ranks.len())
        .map(|lag| (n - lag as f64, product(lag) / variance))
        .filter(|(_, rho)| rho.abs() > Z_975 / n.sqrt())
        .map(|(left, rho)| left * (left - 1.0) * (left - 2.0) * rho)
        .sum();
    1.0 + 2.0 * sum / (n * (n - 1.0) * (n - 2.0))
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for group in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let rank = from as f64 + f64::midpoint(group.len() as f64, 1.0);
        for at in group {
            ranks[*at] = rank;
        }
        from += group.len();
    }
    ranks
}

fn p_value(s: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (s.abs() - 1.0).max(0.0) / variance.sqrt();
    2.0 * Normal::standard().sf(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISY: [f64; 20] = [
        50.0, 52.175, 47.633, 44.823, 48.282, 48.395, 43.1, 42.546, 46.177, 43.99, 39.116, 40.753,
        43.399, 39.274, 35.885, 39.077, 39.838, 34.643, 33.415, 37.12,
    ];
    const WAVE: [f64; 20] = [
        60.0, 61.714, 63.221, 64.337, 64.927, 64.92, 64.316, 63.189, 61.675, 59.958, 58.246,
        56.747, 55.642, 55.066, 55.088, 55.705, 56.844, 58.365, 60.084, 61.793,
    ];
    const TIED: [f64; 16] = [
        5.0, 5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0,
    ];

    fn points(values: &[f64]) -> Vec<Point> {
        let seconds = (0..values.len()).map(|at| at as f64);
        seconds.zip(values.iter().copied()).collect()
    }

    #[test]
    fn slope_limits_and_p_value_agree_with_an_independent_evaluation() {
        // The formulas in numpy (median and quantile of all pairwise slopes, scipy.stats
        // rankdata and norm.sf); the slopes also agree with scipy.stats.theilslopes.
        for (values, slope, low, high, p) in [
            (
                &NOISY[..],
                -0.813_915_584_4,
                -0.932_350_962_3,
                -0.702_327_522_2,
                6.490_238_218e-6,
            ),
            (
                &WAVE,
                -0.365_472_222_2,
                -0.567_210_418,
                -0.203_043_688_7,
                0.024_355_723_17,
            ),
            (
                &TIED,
                -0.345_238_095_2,
                -0.378_589_244_6,
                -0.333_333_333_3,
                1.514_594_249e-6,
            ),
        ] {
            let trend = Trend::fit(&points(values)).unwrap();
            for (got, expected) in [
                (trend.slope, slope),
                (trend.slope_low, low),
                (trend.slope_high, high),
                (trend.p_value, p),
            ] {
                assert!(
                    (got / expected - 1.0).abs() < 1e-8,
                    "{got} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn too_few_points_or_no_time_between_them_is_no_trend() {
        assert_eq!(Trend::fit(&[]), None);
        assert_eq!(Trend::fit(&points(&[1.0, 2.0, 3.0])), None);
        assert_eq!(Trend::fit(&[(1.0, 2.0); 10]), None);
        let flat = Trend::fit(&points(&[4.0; 10])).unwrap();
        assert_eq!((flat.slope, flat.p_value), (0.0, 1.0));
    }

    #[test]
    fn one_outlier_does_not_turn_the_slope() {
        let mut values: Vec<f64> = (0..20).map(|at| 60.0 - f64::from(at)).collect();
        values[10] = 0.0;
        let trend = Trend::fit(&points(&values)).unwrap();
        assert!((trend.slope + 1.0).abs() < 1e-12);
    }
}
