//! An asset that is alone: when does its own course reach the limit?
//!
//! Two courses are tried: as much health is lost in every hour, or as large a part is added to
//! what is missing in every hour (then the logarithm of what is missing runs straight). Each
//! is fitted to the first three quarters of the history and asked about the last; the straight
//! one is kept unless the other was clearly nearer. Only a trend that is real is carried forward
//! (`trend`).
//!
//! Life ends when the course *first* touches the limit. What wanders on the way (a random walk
//! beside the trend) brings that forward and back, more the farther it is; what only scatters
//! (noise of each point) does not add up. The two are told apart by how the differences of
//! residuals grow with the time between them. Slope and level are uncertain as well: the robust
//! slope by Sen's limits, the level by the scatter, a steep slope taken with a low level.
//!
//! These quantiles are *nominal*: nothing here was checked against failures.

use serde::{Deserialize, Serialize};

use super::{
    MAX_HORIZON, MAX_P_VALUE, Reason,
    distribution::RulDistribution,
    history::Point,
    newton::NODES,
    passage::{Path, passage},
    trend::{Trend, Z_90},
};

/// Full health.
const FULL: f64 = 100.0;
/// Health that is missing is at least this much, so that it has a logarithm.
const LEAST_MISSING: f64 = 0.5;
/// The curved course is taken when its error ahead is below this part of the straight one's: with
/// four to sixteen points to compare by, less may be chance.
const CLEARLY_NEARER: f64 = 0.8;
/// Times at which the distribution is computed, evenly in their logarithm over four decades: steps
/// of eight percent, finer than a forecast moves before it is told again.
const TIMES: usize = 120;

/// What there is to say of an asset that is alone. Times are seconds from `now`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ahead {
    pub(crate) path: Path,
    pub(crate) life: RulDistribution,
    /// The longest that anything is said of.
    pub(crate) horizon_s: f64,
    pub(crate) loss_per_day: f64,
    pub(crate) p_value: f64,
    /// Where the fitted history begins, seconds since the origin of the points.
    pub(crate) from: f64,
}

/// How a course is drawn straight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Scale(Path);

impl Scale {
    /// Falls towards the limit on either scale.
    fn of(self, health: f64) -> f64 {
        match self.0 {
            Path::Linear => health,
            Path::Exponential => -(FULL - health).max(LEAST_MISSING).ln(),
        }
    }

    fn health(self, value: f64) -> f64 {
        match self.0 {
            Path::Linear => value,
            Path::Exponential => FULL - (-value).exp(),
        }
    }

    fn points(self, points: &[Point]) -> Vec<Point> {
        points
            .iter()
            .map(|(time, health)| (*time, self.of(*health)))
            .collect()
    }
}

/// Looks ahead from `now` (seconds since the origin of the points) to the limit of health.
pub(crate) fn look_ahead(points: &[Point], now: f64, limit: f64) -> Result<Ahead, Reason> {
    let path = chosen(points);
    let scale = Scale(path);
    let straight = scale.points(points);
    let trend = Trend::fit(&straight)
        .filter(|trend| trend.slope < 0.0 && trend.slope_high < 0.0 && trend.p_value < MAX_P_VALUE)
        .ok_or(Reason::NoSignificantTrend)?;
    let level = trend.level + trend.slope * now - scale.of(limit);
    let horizon_s = MAX_HORIZON * trend.span;
    if level / -trend.slope > horizon_s {
        return Err(Reason::NoSignificantTrend);
    }
    let life = first_passage(&trend, &straight, level).ok_or(Reason::NoSignificantTrend)?;
    let lost = match path {
        Path::Linear => -trend.slope,
        Path::Exponential => {
            let missing = FULL - scale.health(trend.level + trend.slope * now);
            -trend.slope * missing
        }
    };
    Ok(Ahead {
        path,
        life,
        horizon_s,
        loss_per_day: lost * 86_400.0,
        p_value: trend.p_value,
        from: trend.from,
    })
}

/// The course that foresaw the last quarter of the history better from the rest.
fn chosen(points: &[Point]) -> Path {
    let (known, ahead) = points.split_at(points.len() - points.len() / 4);
    let error = |path: Path| {
        let scale = Scale(path);
        let trend = Trend::fit(&scale.points(known))?;
        let mut errors: Vec<f64> = ahead
            .iter()
            .map(|(time, health)| (scale.health(trend.level + trend.slope * time) - health).abs())
            .collect();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).copied()
    };
    match (error(Path::Linear), error(Path::Exponential)) {
        (Some(linear), Some(curved)) if curved < CLEARLY_NEARER * linear => Path::Exponential,
        _ => Path::Linear,
    }
}

/// The first time the course touches the limit, `level` below it now.
fn first_passage(trend: &Trend, points: &[Point], level: f64) -> Option<RulDistribution> {
    if level <= 0.0 {
        return RulDistribution::from_quantile_function(|_| 0.0);
    }
    let wander = wander(trend, points);
    let slope_error = ((trend.slope_high - trend.slope_low) / (2.0 * Z_90))
        .max((wander / trend.span.max(f64::MIN_POSITIVE)).sqrt());
    let level_error = (trend.residual_high - trend.residual_low) / (2.0 * Z_90);
    let middle = level / -trend.slope;
    let reached = |time: f64| -> f64 {
        let terms = NODES.iter().map(|(z, weight)| {
            let distance = level + z * level_error;
            let drift = -(trend.slope + z * slope_error);
            if distance <= 0.0 {
                return *weight;
            }
            weight * passage(distance, drift, wander, time)
        });
        terms.sum()
    };
    let mut most = 0.0_f64;
    let times = (0..=TIMES).map(|at| middle * 10_f64.powf(-2.0 + 4.0 * at as f64 / TIMES as f64));
    let points: Vec<(f64, f64)> = std::iter::once((0.0, 0.0))
        .chain(times.map(|time| {
            most = most.max(reached(time));
            (time, most)
        }))
        .collect();
    RulDistribution::from_cdf(&points)
}

/// The variance that a random walk beside the trend gains in a second: how much larger squared
/// differences of residuals are a quarter of the history apart than between neighbours, which
/// differ by their scatter alone.
fn wander(trend: &Trend, points: &[Point]) -> f64 {
    let far = (points.len() / 4).max(2);
    let away = |(time, value): &Point| value - (trend.level + trend.slope * time);
    let grown = |lag: usize| {
        let pairs = points.iter().zip(&points[lag.min(points.len())..]);
        let (mut sum, mut time, mut count) = (0.0, 0.0, 0.0);
        for (early, late) in pairs {
            sum += (away(late) - away(early)).powi(2);
            time += late.0 - early.0;
            count += 1.0;
        }
        (sum / f64::max(count, 1.0), time / f64::max(count, 1.0))
    };
    let ((near, near_s), (apart, apart_s)) = (grown(1), grown(far));
    ((apart - near) / (apart_s - near_s).max(f64::MIN_POSITIVE)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prognosis::chance::Chance;

    /// Sixty points a minute apart.
    fn points(health: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..60)
            .map(|at| (60.0 * f64::from(at), health(f64::from(at))))
            .collect()
    }

    fn wobble(at: f64) -> f64 {
        ((at * 7_919.0) % 101.0) / 101.0 - 0.5
    }

    #[test]
    fn the_course_is_chosen_by_what_it_foresees() {
        // What is missing doubles every 20 minutes: 10 at first, 80 after an hour, so at minute
        // 59 the limit of 10 % health, 90 missing, is 4.4 minutes away.
        let curved = points(|at| 100.0 - 10.0 * 2_f64.powf(at / 20.0) + 0.2 * wobble(at));
        let ahead = look_ahead(&curved, 59.0 * 60.0, 10.0).unwrap();
        assert_eq!(ahead.path, Path::Exponential);
        let expected = 60.0 * (20.0 * 9_f64.log2() - 59.0);
        let median = ahead.life.quantile(0.5);
        assert!((median / expected - 1.0).abs() < 0.1, "{median} {expected}");
        let straight = points(|at| 79.0 - 0.5 * at + wobble(at));
        let ahead = look_ahead(&straight, 59.0 * 60.0, 30.0).unwrap();
        assert_eq!(ahead.path, Path::Linear);
        let median = ahead.life.quantile(0.5);
        assert!((median / 60.0 - 39.0).abs() < 2.0, "{median}");
        assert!((ahead.loss_per_day / (0.5 * 1_440.0) - 1.0).abs() < 0.05);
    }

    /// The same trend with scatter and with a walk of the same size beside it: the walk makes
    /// the end far less certain, and some of it may come soon.
    #[test]
    fn what_wanders_widens_the_forecast_and_what_scatters_does_not() {
        let width = |walks: bool| {
            let mut chance = Chance::new(7, 1);
            let mut walk = 0.0;
            let mut noise = move || {
                let step = chance.normal();
                walk = if walks { walk + step } else { step };
                walk
            };
            let rows: Vec<Point> = (0..60)
                .map(|at| (60.0 * f64::from(at), 79.0 - 0.5 * f64::from(at) + noise()))
                .collect();
            let life = look_ahead(&rows, 59.0 * 60.0, 30.0).unwrap().life;
            let (low, high) = life.interval(0.8);
            (high.min(1e9) - low) / life.quantile(0.5)
        };
        let (scatter, walk) = (width(false), width(true));
        assert!(walk > 2.0 * scatter, "{scatter} {walk}");
    }

    #[test]
    fn chance_and_recovery_are_no_trend() {
        let now = 59.0 * 60.0;
        for health in [
            points(|at| 60.0 + 5.0 * wobble(at)),
            points(|at| 40.0 + 0.5 * at),
            // It would take thirty times as long as was seen.
            points(|at| 79.0 - 0.02 * at + 0.01 * wobble(at)),
            points(|_| 50.0),
        ] {
            assert_eq!(
                look_ahead(&health, now, 30.0),
                Err(Reason::NoSignificantTrend)
            );
        }
        let beyond = look_ahead(&points(|at| 79.0 - at), now, 30.0).unwrap();
        assert!(beyond.life.quantile(0.9) <= 0.0);
    }
}
