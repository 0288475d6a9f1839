//! Life data is the prior, telemetry updates it.
//!
//! A part of this age lasts so long, says the maintenance history; this very part looks so,
//! says its telemetry. How the two are put together depends on what the telemetry model knows:
//!
//! - A **fleet** model was fitted to lives: it holds the prior already, as far as it looks
//!   ahead. What it cannot see ("longer than anything I learned") is filled by the life data,
//!   given that the part lasts at least so long.
//! - A **trend** knows nothing of other parts. Its density is the likelihood of the end, and
//!   the two densities are multiplied (Bayes). When they have nothing in common, one of them is
//!   wrong about this part, and the one that looked at it is served.

use telemetry::PrognosisFamily;

use super::distribution::RulDistribution;

/// Points that stand for a distribution when it is weighed.
const POINTS: usize = 1_000;
/// The other distribution's density is taken over this part of its 80 % interval to each side:
/// 101 quantiles tell no finer.
const BANDWIDTH: f64 = 0.05;
/// With a smaller part of the weight that two equal forecasts would have, they contradict each
/// other.
const CONTRADICTION: f64 = 1e-3;

/// A forecast and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// The forecast.
    pub distribution: RulDistribution,
    /// Which family served it.
    pub family: PrognosisFamily,
}

/// Puts life data and telemetry together; none when there is neither. Both are from now, in
/// one unit.
pub fn combine(
    prior: Option<&RulDistribution>,
    telemetry: Option<(&RulDistribution, PrognosisFamily)>,
) -> Option<Combined> {
    let Some((seen, family)) = telemetry else {
        return prior.map(|prior| Combined {
            distribution: prior.clone(),
            family: PrognosisFamily::LifeData,
        });
    };
    let updated = prior.and_then(|prior| match family {
        PrognosisFamily::Trend => product(prior, seen),
        _ => filled(prior, seen),
    });
    Some(match updated {
        Some(distribution) => Combined {
            distribution,
            family: PrognosisFamily::Combined,
        },
        None => Combined {
            distribution: seen.clone(),
            family,
        },
    })
}

/// The forecast with its endless part filled by the prior; none when there is nothing to fill,
/// or the prior has nothing to fill it with.
fn filled(prior: &RulDistribution, seen: &RulDistribution) -> Option<RulDistribution> {
    let finite = seen.quantiles().partition_point(|q| q.is_finite());
    let last = finite.checked_sub(1);
    let reach = last.map_or(0.0, |at| seen.quantiles()[at]);
    let known = seen.probability_within(reach);
    let gone = prior.probability_within(reach);
    if finite == seen.quantiles().len() || gone >= 1.0 {
        return None;
    }
    RulDistribution::from_quantile_function(|level| {
        if level <= known && finite > 0 {
            seen.quantile(level)
        } else {
            let part = (level - known) / (1.0 - known);
            prior.quantile(gone + part * (1.0 - gone)).max(reach)
        }
    })
}

/// The normalised product of the densities; none when they contradict each other.
fn product(a: &RulDistribution, b: &RulDistribution) -> Option<RulDistribution> {
    let width = |d: &RulDistribution| {
        let (low, high) = d.interval(0.8);
        high - low
    };
    // The narrow one says where to look.
    let (narrow, wide) = if width(a) <= width(b) { (a, b) } else { (b, a) };
    let (low, high) = (wide.quantile(0.1), wide.quantile(0.9));
    let spread = if high.is_finite() {
        high - low
    } else {
        wide.quantile(0.5) - low
    };
    if !(spread.is_finite() && spread > 0.0) {
        return None;
    }
    let half = BANDWIDTH * spread;
    let density = |at: f64| {
        let from = (at - half).max(0.0);
        (wide.probability_within(at + half) - wide.probability_within(from)) / (at + half - from)
    };
    let (mut sum, mut points) = (0.0, Vec::with_capacity(POINTS));
    for point in 0..POINTS {
        let at = narrow.quantile((point as f64 + 0.5) / POINTS as f64);
        if at.is_finite() {
            sum += density(at);
            points.push((at, sum));
        }
    }
    if sum * spread / (POINTS as f64) < CONTRADICTION {
        return None;
    }
    for point in &mut points {
        point.1 /= sum;
    }
    RulDistribution::from_cdf(&points)
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;

    fn normal(mean: f64, spread: f64) -> RulDistribution {
        let normal = Normal::new(mean, spread).unwrap();
        RulDistribution::from_quantile_function(|u| normal.inverse_cdf(u.clamp(0.001, 0.999)))
            .unwrap()
    }

    fn near(got: f64, expected: f64, tolerance: f64) {
        assert!(
            (got - expected).abs() <= tolerance,
            "{got} is not {expected}"
        );
    }

    #[test]
    fn a_trend_updates_the_prior_as_bayes_does() {
        // N(100, 20²) × N(130, 30²): precision-weighted, N(109.23, 16.64²).
        let (prior, trend) = (normal(100.0, 20.0), normal(130.0, 30.0));
        let both = combine(Some(&prior), Some((&trend, PrognosisFamily::Trend))).unwrap();
        assert_eq!(both.family, PrognosisFamily::Combined);
        near(both.distribution.quantile(0.5), 109.23, 0.5);
        let (low, high) = both.distribution.interval(0.8);
        near((high - low) / 2.563, 16.64, 0.6);
    }

    #[test]
    fn what_a_fleet_cannot_see_comes_from_the_life_data() {
        // The fleet sees 60 % of the ends within 100; a prior uniform on 0..400 fills the rest.
        let prior = RulDistribution::from_quantile_function(|u| 400.0 * u).unwrap();
        let fleet = RulDistribution::from_cdf(&[(0.0, 0.0), (100.0, 0.6)]).unwrap();
        let both = combine(Some(&prior), Some((&fleet, PrognosisFamily::Fleet))).unwrap();
        assert_eq!(both.family, PrognosisFamily::Combined);
        near(both.distribution.probability_within(50.0), 0.3, 1e-6);
        near(both.distribution.quantile(0.8), 250.0, 1e-6);
        near(both.distribution.quantile(1.0), 400.0, 1e-6);
        // Nothing to fill: the fleet alone is served.
        let whole = normal(50.0, 5.0);
        let alone = combine(Some(&prior), Some((&whole, PrognosisFamily::Fleet))).unwrap();
        assert_eq!(
            (alone.family, &alone.distribution),
            (PrognosisFamily::Fleet, &whole)
        );
    }

    #[test]
    fn one_alone_is_served_as_it_is_and_a_contradiction_by_who_looked() {
        let (prior, trend) = (normal(1_000.0, 20.0), normal(50.0, 5.0));
        let alone = combine(Some(&prior), None).unwrap();
        assert_eq!(
            (alone.family, &alone.distribution),
            (PrognosisFamily::LifeData, &prior)
        );
        let alone = combine(None, Some((&trend, PrognosisFamily::Trend))).unwrap();
        assert_eq!(
            (alone.family, &alone.distribution),
            (PrognosisFamily::Trend, &trend)
        );
        let against = combine(Some(&prior), Some((&trend, PrognosisFamily::Trend))).unwrap();
        assert_eq!(
            (against.family, &against.distribution),
            (PrognosisFamily::Trend, &trend)
        );
        assert!(combine(None, None).is_none());
    }
}
