//! Calibration: how often does a detector alarm on a healthy machine, and what limit keeps a
//! budget?
//!
//! No limit computed from the learned rows can promise a false-alarm rate: rows of running
//! machinery are autocorrelated and the drift to come is not in them. So the rate is measured
//! on later healthy running, in alarm *episodes* per asset-month, at the usual limit and at a
//! ladder of raised limits. The limit that keeps a budget is the lowest rung at which what was
//! seen is no evidence against the budget.
//!
//! What is healthy is known only afterwards. Counts are pending until they are settled (time
//! has passed, or an engineer found no fault) or withdrawn (the fault was real).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF, DiscreteCDF, Poisson};

/// Rungs of the ladder.
pub const RUNGS: usize = 16;
/// Each rung lies this factor above the one before: sixteen reach 4.2 times the usual limit,
/// beyond which a detector should be learned anew and not be muffled.
const STEP: f64 = 1.1;
/// An episode ends when the score falls below this part of its rung.
const OFF: f64 = 0.8;
/// A month in microseconds (30.44 days).
const MONTH: f64 = 30.44 * 86_400e6;
/// Longest time between two scores that counts as watched, microseconds: two hours cover the
/// slowest reporting, and a machine that was switched off was not watched.
const LONGEST_STEP: i64 = 2 * 3_600 * 1_000_000;
/// A budget counts as broken when what was seen would be rarer than this if it were kept.
const DOUBT: f64 = 0.05;

/// Episodes by rung and the time watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Counts {
    episodes: [u32; RUNGS],
    watched_micros: i64,
}

/// The measured false-alarm rate of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calibration {
    settled: Counts,
    pending: Counts,
    /// Rungs with an episode going on, one bit each.
    going_on: u16,
    last: Option<i64>,
}

/// A false-alarm rate with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Alarm episodes.
    pub episodes: u32,
    /// Months of healthy running that were watched.
    pub months: f64,
    /// Episodes a month.
    pub per_month: f64,
    /// The rate that is not exceeded with 95 % confidence: three divided by the months when
    /// nothing was seen.
    pub upper_per_month: f64,
}

/// The limit of a rung, as a factor of the usual limit.
fn limit_of(rung: usize) -> f64 {
    STEP.powi(rung as i32)
}

impl Calibration {
    /// Takes the score of a sample after commissioning; 1 is the usual limit. Samples must
    /// come in event time order; a time before the last one counts no time.
    pub fn observe(&mut self, at: i64, score: f64) {
        let step = self.last.map_or(0, |last| at.saturating_sub(last));
        let watched = &mut self.pending.watched_micros;
        *watched = watched.saturating_add(step.clamp(0, LONGEST_STEP));
        self.last = Some(at);
        if self.going_on == 0 && score < 1.0 {
            return;
        }
        for rung in 0..RUNGS {
            let bit = 1_u16 << rung;
            let limit = limit_of(rung);
            if self.going_on & bit == 0 {
                if score >= limit {
                    self.going_on |= bit;
                    self.pending.episodes[rung] = self.pending.episodes[rung].saturating_add(1);
                }
            } else if score < OFF * limit {
                self.going_on &= !bit;
            }
        }
    }

    /// What is pending was healthy running: nobody found a fault.
    pub fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let settled = &mut self.settled;
        settled.watched_micros = settled
            .watched_micros
            .saturating_add(pending.watched_micros);
        for (sum, count) in settled.episodes.iter_mut().zip(pending.episodes) {
            *sum = sum.saturating_add(count);
        }
    }

    /// What is pending was a real fault, or led up to one: it says nothing about false alarms.
    pub fn withdraw(&mut self) {
        self.pending = Counts::default();
        self.going_on = 0;
    }

    /// The rate at the usual limit over settled running; none before anything was watched.
    pub fn rate(&self) -> Option<Rate> {
        self.rate_at(0)
    }

    fn rate_at(&self, rung: usize) -> Option<Rate> {
        let months = self.settled.watched_micros as f64 / MONTH;
        if months <= 0.0 {
            return None;
        }
        let episodes = self.settled.episodes[rung];
        let count = f64::from(episodes);
        Some(Rate {
            episodes,
            months,
            per_month: count / months,
            upper_per_month: upper(count) / months,
        })
    }

    /// The limit, as a factor of the usual one, that keeps a budget of episodes a month: the
    /// lowest rung at which what was seen does not break it. 1 while nothing speaks against
    /// the usual limit, the highest rung when none keeps the budget.
    pub fn limit(&self, episodes_per_month: f64) -> f64 {
        let keeps = |rung: &usize| {
            self.rate_at(*rung)
                .is_none_or(|rate| chance(rate.episodes, episodes_per_month * rate.months) >= DOUBT)
        };
        limit_of((0..RUNGS).find(keeps).unwrap_or(RUNGS - 1))
    }
}

/// The chance of at least this many events when so many are expected.
fn chance(events: u32, expected: f64) -> f64 {
    if events == 0 {
        return 1.0;
    }
    Poisson::new(expected).map_or(0.0, |poisson| poisson.sf(u64::from(events) - 1))
}

/// The 95 % upper confidence bound of a Poisson mean.
///
/// # Source
/// Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936).
fn upper(count: f64) -> f64 {
    ChiSquared::new(2.0 * (count + 1.0)).map_or(f64::INFINITY, |chi| chi.inverse_cdf(0.95) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * 1_000_000;

    /// Ten months of hourly scores with an episode of this height every tenth of a month.
    fn watched(height: f64) -> Calibration {
        let mut calibration = Calibration::default();
        for hour in 0..7_306_i64 {
            let score = if hour % 73 < 3 { height } else { 0.4 };
            calibration.observe(hour * HOUR, score);
        }
        calibration
    }

    #[test]
    fn episodes_are_counted_once_and_only_when_settled() {
        let mut calibration = watched(1.5);
        assert!(calibration.rate().is_none());
        calibration.settle();
        let rate = calibration.rate().unwrap();
        assert_eq!(rate.episodes, 101);
        assert!((rate.per_month - 10.1).abs() < 0.1, "{rate:?}");
        // Garwood, 95 % one-sided, 101 events: 119.2 (chi-square table, 204 degrees: 238.3 / 2).
        assert!(
            (rate.upper_per_month * rate.months - 119.2).abs() < 0.3,
            "{rate:?}"
        );
        let mut real = watched(1.5);
        real.withdraw();
        real.settle();
        assert!(real.rate().is_none());
    }

    #[test]
    fn nothing_seen_bounds_the_rate_by_three_over_the_time() {
        let mut calibration = watched(0.9);
        calibration.settle();
        let rate = calibration.rate().unwrap();
        assert_eq!(rate.episodes, 0);
        assert!(
            (rate.upper_per_month * rate.months - 2.996).abs() < 1e-3,
            "−ln 0.05"
        );
        assert!((calibration.limit(0.01) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_limit_rises_just_above_what_breaks_the_budget() {
        // Episodes of height 1.5: rungs up to 1.1^4 = 1.464 are passed, 1.1^5 = 1.61 is not.
        let mut calibration = watched(1.5);
        assert!(
            (calibration.limit(1.0) - 1.0).abs() < 1e-12,
            "nothing settled, nothing raised"
        );
        calibration.settle();
        for (budget, limit) in [(1.0, 1.1_f64.powi(5)), (5.0, 1.1_f64.powi(5)), (20.0, 1.0)] {
            assert!((calibration.limit(budget) - limit).abs() < 1e-9, "{budget}");
        }
        let mut wild = watched(1e9);
        wild.settle();
        assert!((wild.limit(1.0) - limit_of(RUNGS - 1)).abs() < 1e-9);
    }

    #[test]
    fn a_gap_is_no_healthy_running() {
        let mut calibration = Calibration::default();
        calibration.observe(0, 0.1);
        calibration.observe(1_000 * HOUR, 0.1);
        calibration.observe(500 * HOUR, 0.1);
        calibration.settle();
        let rate = calibration.rate().unwrap();
        assert!(
            (rate.months * MONTH - 2.0 * HOUR as f64).abs() < 1.0,
            "{rate:?}"
        );
    }
}
