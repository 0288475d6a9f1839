//! The trend family: an asset's own degradation, carried forward to a limit.
//!
//! For an asset without a fleet. The value (any health index or signal) runs along a straight
//! line, or along an exponential one (its logarithm then runs straight), towards a limit. A
//! forecast is made only if the trend is real (Mann–Kendall, corrected for autocorrelation) and
//! the limit is not further than ten times the history.
//!
//! Two readings of the same trend:
//!
//! - [`Passage::Line`]: the line is true and the parameters are uncertain. Theil–Sen slope with
//!   Sen's limits, and the residuals.
//! - [`Passage::Diffusion`]: the value wanders as it drifts (a Wiener process), and life ends
//!   the first time it touches the limit. The drift is uncertain as well. Wider soon ahead, and
//!   some of the mass never arrives when the drift is barely known.
//!
//! Their quantiles are nominal: nothing here was checked against failures.
//!
//! # Source
//! Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968). First passage: Cox & Miller, "The Theory of
//! Stochastic Processes" (1965), §5.7, the inverse Gaussian distribution; its mixture over a
//! normal drift as in Si et al., "A Wiener-process-based degradation model with a recursive
//! filter algorithm for remaining useful life estimation", MSSP 35 (2013), here by quadrature.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use telemetry::PrognosisFamily;

use super::{
    MAX_HORIZON, MAX_P_VALUE, MIN_POINTS, Reason,
    distribution::RulDistribution,
    family::RemainingLife,
    newton::NODES,
    trend::{Trend, Z_90},
};

/// Longer histories are averaged into this many blocks: the fit compares all pairs.
const MAX_BLOCKS: usize = 64;
/// Points of a passage's distribution function, spread evenly in the logarithm of time.
const TIMES: usize = 240;

/// The form of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// As much is lost in every hour.
    Linear,
    /// As large a part is added in every hour; values and limit above 0.
    Exponential,
}

/// How the end is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// Along an uncertain line.
    Line,
    /// By a drift that wanders.
    Diffusion,
}

/// A trend model: nothing of it is learned from others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrendModel {
    /// Form of the path.
    pub path: Path,
    /// How the end is reached.
    pub passage: Passage,
    /// The value at which life ends; it may be reached from above or from below.
    pub limit: f64,
}

impl RemainingLife for TrendModel {
    /// (time, value) in time order.
    type History = [(f64, f64)];

    fn family(&self) -> PrognosisFamily {
        PrognosisFamily::Trend
    }

    fn remaining(&self, history: &[(f64, f64)]) -> Result<RulDistribution, Reason> {
        let (points, limit) = self.straightened(history);
        let now = history.last().map_or(0.0, |last| last.0);
        if points.len() < MIN_POINTS || !limit.is_finite() {
            return Err(Reason::TooLittleHistory);
        }
        // Every path becomes one that falls to its limit.
        let sign = if points[0].1 < limit { -1.0 } else { 1.0 };
        let falling: Vec<(f64, f64)> = points
            .iter()
            .map(|(time, value)| (*time, sign * (value - limit)))
            .collect();
        let trend = Trend::fit(&falling)
            .filter(|trend| trend.slope < 0.0 && trend.p_value < MAX_P_VALUE)
            .ok_or(Reason::NoSignificantTrend)?;
        let level = trend.level + trend.slope * now;
        if level / -trend.slope > MAX_HORIZON * trend.span {
            return Err(Reason::NoSignificantTrend);
        }
        let left = match self.passage {
            Passage::Line => line(&trend, level),
            Passage::Diffusion => diffusion(&falling, level),
        };
        left.ok_or(Reason::NoSignificantTrend)
    }
}

impl TrendModel {
    /// The points of the history in blocks, and the limit, on a scale where the path is
    /// straight. Values without a place on it are left out.
    fn straightened(&self, history: &[(f64, f64)]) -> (Vec<(f64, f64)>, f64) {
        let scale = |value: f64| match self.path {
            Path::Linear => value,
            Path::Exponential => value.ln(),
        };
        let points: Vec<(f64, f64)> = history
            .iter()
            .map(|(time, value)| (*time, scale(*value)))
            .filter(|(time, value)| time.is_finite() && value.is_finite())
            .collect();
        let size = points.len().div_ceil(MAX_BLOCKS).max(1);
        let mean = |block: &[(f64, f64)]| {
            let n = block.len() as f64;
            let sum = block.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
            (sum.0 / n, sum.1 / n)
        };
        // From the end, so that the last block is whole.
        let mut blocks: Vec<(f64, f64)> = points.rchunks(size).map(mean).collect();
        blocks.reverse();
        (blocks, scale(self.limit))
    }
}

/// The remaining life along the line: the steep end of the slope with a low residual is the
/// short end of life, and the other way round.
pub(super) fn line(trend: &Trend, level: f64) -> Option<RulDistribution> {
    let normal = Normal::standard();
    RulDistribution::from_quantile_function(|u| {
        let z = normal.inverse_cdf(u.clamp(0.001, 0.999)) / Z_90;
        let at = |low: f64, middle: f64, high: f64| {
            middle + z.abs() * (if z < 0.0 { low } else { high } - middle)
        };
        let slope = at(trend.slope_low, trend.slope, trend.slope_high);
        let residual = at(trend.residual_low, 0.0, trend.residual_high);
        if slope < 0.0 {
            (level + residual) / -slope
        } else {
            f64::INFINITY
        }
    })
}

/// The first time that a wandering drift touches 0 from a level.
fn diffusion(points: &[(f64, f64)], level: f64) -> Option<RulDistribution> {
    let (first, last) = (points.first()?, points.last()?);
    let span = last.0 - first.0;
    let drift = (last.1 - first.1) / span;
    let steps = points.windows(2).filter(|pair| pair[1].0 > pair[0].0);
    let wander = |pair: &[(f64, f64)]| {
        let time = pair[1].0 - pair[0].0;
        (pair[1].1 - pair[0].1 - drift * time).powi(2) / time
    };
    let variance = steps.map(wander).sum::<f64>() / (points.len() as f64 - 2.0).max(1.0);
    if level <= 0.0 {
        return RulDistribution::from_quantile_function(|_| 0.0);
    }
    if drift >= 0.0 {
        return None;
    }
    let error = (variance / span).sqrt();
    let middle = level / -drift;
    let times = (0..TIMES).map(|at| middle * 10_f64.powf(-2.0 + 4.0 * at as f64 / TIMES as f64));
    let reached = |time: f64| -> f64 {
        let terms = NODES
            .iter()
            .map(|(z, weight)| weight * passage(level, -(drift + z * error), variance, time));
        terms.sum()
    };
    let points: Vec<(f64, f64)> = std::iter::once((0.0, 0.0))
        .chain(times.map(|time| (time, reached(time))))
        .collect();
    RulDistribution::from_cdf(&points)
}

/// The probability that a Wiener process with this drift towards the limit (negative: away
/// from it) and variance per unit time has touched it, `distance` away, by a time.
pub(crate) fn passage(distance: f64, drift: f64, variance: f64, time: f64) -> f64 {
    let spread = (variance * time).sqrt();
    if spread <= 0.0 {
        return f64::from(u8::from(drift * time >= distance));
    }
    let normal = Normal::standard();
    let direct = normal.cdf((drift * time - distance) / spread);
    let mirrored = log_upper_tail((drift * time + distance) / spread);
    (direct + (2.0 * drift * distance / variance + mirrored).exp()).min(1.0)
}

/// ln P(Z > x), also where P is too small for a number.
fn log_upper_tail(x: f64) -> f64 {
    if x < 10.0 {
        return Normal::standard().sf(x).ln();
    }
    // The asymptotic series of Mills' ratio, good to 1e-5 from 10 on.
    let y = 1.0 / (x * x);
    -0.5 * x * x - x.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln() + (1.0 - y + 3.0 * y * y).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wobble(at: usize) -> f64 {
        ((at * 7_919) % 101) as f64 / 101.0 - 0.5
    }

    fn history(rows: usize, value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..rows)
            .map(|at| (at as f64, value(at as f64) + 0.2 * wobble(at)))
            .collect()
    }

    fn models(path: Path, limit: f64) -> [TrendModel; 2] {
        [Passage::Line, Passage::Diffusion].map(|passage| TrendModel {
            path,
            passage,
            limit,
        })
    }

    #[test]
    fn the_passage_of_a_drifting_walk_is_the_inverse_gaussian() {
        // scipy.stats.invgauss(mu=mean/shape, scale=shape) with mean d/v and shape d²/σ²:
        // d = 10, v = 2, σ² = 3.
        for (time, expected) in [
            (1.0, 3.245_627e-6),
            (2.0, 0.010_530_24),
            (3.0, 0.120_979_76),
            (5.0, 0.574_634_75),
            (9.0, 0.960_092_54),
            (20.0, 0.999_979_66),
        ] {
            let got = passage(10.0, 2.0, 3.0, time);
            assert!(
                (got / expected - 1.0).abs() < 1e-4,
                "{time}: {got} {expected}"
            );
        }
        // Away from the limit some never arrive: exp(2 v d / σ²) of them do.
        let ever = passage(1.0, -0.5, 3.0, 1e7);
        assert!((ever - (-1.0_f64 / 3.0).exp()).abs() < 1e-6);
        // Without chance it is a step; far from it the logarithm does not overflow.
        assert_eq!(
            (passage(10.0, 2.0, 0.0, 4.9), passage(10.0, 2.0, 0.0, 5.0)),
            (0.0, 1.0)
        );
        assert!((passage(1e4, 2e3, 1e-3, 5.1) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_straight_path_reaches_its_limit_from_either_side() {
        for (slope, limit) in [(-0.1, 50.0), (0.1, 150.0)] {
            for model in models(Path::Linear, limit) {
                let left = model
                    .remaining(&history(300, |t| 100.0 + slope * t))
                    .unwrap();
                let median = left.quantile(0.5);
                assert!((median / 201.0 - 1.0).abs() < 0.05, "{model:?} {median}");
                assert!(left.quantile(0.1) < median && median < left.quantile(0.9));
                assert_eq!(model.family(), PrognosisFamily::Trend);
            }
        }
    }

    #[test]
    fn an_exponential_path_is_foreseen_where_a_line_is_late() {
        // Doubles every 100: from 1 it reaches 16 after 400, 150 later than 250.
        let rows: Vec<(f64, f64)> = (0..250)
            .map(|at| {
                (
                    at as f64,
                    (0.01 * wobble(at)).exp() * 2_f64.powf(at as f64 / 100.0),
                )
            })
            .collect();
        for model in models(Path::Exponential, 16.0) {
            let median = model.remaining(&rows).unwrap().quantile(0.5);
            assert!((median / 151.0 - 1.0).abs() < 0.05, "{model:?} {median}");
        }
        let line = models(Path::Linear, 16.0)[0].remaining(&rows).unwrap();
        assert!(line.quantile(0.5) > 300.0);
    }

    #[test]
    fn without_a_trend_nothing_is_said() {
        for model in models(Path::Linear, 50.0) {
            let say = |rows: Vec<(f64, f64)>| model.remaining(&rows).map(|_| ());
            assert_eq!(
                say(history(300, |_| 100.0)),
                Err(Reason::NoSignificantTrend)
            );
            assert_eq!(
                say(history(300, |t| 100.0 + 0.1 * t)),
                Err(Reason::NoSignificantTrend)
            );
            assert_eq!(
                say(history(10, |t| 100.0 - t)),
                Err(Reason::TooLittleHistory)
            );
            // It would take thirty times as long as was seen.
            assert_eq!(
                say(history(100, |t| 100.0 - 0.015 * t)),
                Err(Reason::NoSignificantTrend)
            );
            assert_eq!(
                say(vec![(0.0, f64::NAN); 100]),
                Err(Reason::TooLittleHistory)
            );
        }
        let logarithm = models(Path::Exponential, -1.0)[0];
        assert_eq!(
            logarithm.remaining(&history(300, |t| 1.0 + t)),
            Err(Reason::TooLittleHistory)
        );
    }

    #[test]
    fn beyond_the_limit_no_life_remains() {
        for model in models(Path::Linear, 90.0) {
            let left = model.remaining(&history(300, |t| 100.0 - 0.1 * t)).unwrap();
            // From above the limit to below it: the path had to cross it.
            assert!(left.quantile(0.5) < 1.0, "{model:?}");
        }
    }
}
