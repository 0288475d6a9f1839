//! Prognostic assessment (PA): how long will it last?
//!
//! An asset whose like has failed before is forecast from the lives of its fleet ([`fleet`]),
//! from life data ([`life`]), or from both. The rest of this module is what can be said of an
//! asset that is alone: when does the health index reach its limit? A robust straight line
//! through the health index since it left its healthy band (`history`), extrapolated to the
//! limit, and only when the trend is real (`trend`).
//!
//! What the quantiles are: the spread of the fitted slope (Sen's confidence limits with the
//! variance corrected for autocorrelation) and of the residuals around the line, carried
//! forward along a straight line. They are *nominal* quantiles of that extrapolation. They
//! are not calibrated against failures and know nothing of a fault that accelerates or of a
//! load that changes; an asset whose like has failed before deserves a better model.

pub mod calibration;
pub(crate) mod chance;
pub mod classify;
pub mod combine;
pub(crate) mod course;
pub mod cycles;
pub mod decision;
pub mod distribution;
pub mod family;
pub mod fleet;
pub(crate) mod history;
pub mod life;
pub mod lives;
mod newton;
pub mod passage;
pub mod path;
pub mod serving;
pub mod trained;
pub mod trees;
pub(crate) mod trend;

use serde::{Deserialize, Serialize};

use history::History;
use trend::Trend;

/// The name of the method in findings.
pub(crate) const MODEL: &str = "theil-sen/1";
/// A trend counts when it would come by chance less often than this.
const MAX_P_VALUE: f64 = 0.01;
/// Fewest points of a trend: with fewer the corrected Mann–Kendall test has hardly any power.
const MIN_POINTS: usize = 16;
/// A forecast reaches at most this many times as far as the history behind it.
const MAX_HORIZON: f64 = 10.0;
/// A forecast is news when a date of it moved by more than this part of the remaining life.
const NEWS: f64 = 0.1;

/// Why there is no forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Too few points to tell anything.
    TooLittleHistory,
    /// What is there may be chance, leads away from the limit, or reaches it too far ahead.
    NoSignificantTrend,
    /// There was a forecast, and the machine is well again.
    Recovered,
}

impl Reason {
    /// The word for it in findings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLittleHistory => "too_little_history",
            Self::NoSignificantTrend => "no_significant_trend",
            Self::Recovered => "recovered",
        }
    }
}

/// A forecast in seconds from the time it was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forecast {
    pub(crate) p10: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) loss_per_day: f64,
    pub(crate) window_from: i64,
    pub(crate) p_value: f64,
}

/// What was said last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) at: i64,
    pub(crate) what: Result<Forecast, Reason>,
}

/// The prognosis of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prognoser {
    history: History,
    blocks_at_last_fit: u32,
    pub(crate) said: Said,
    /// Whether [`Self::said`] has been reported.
    pub(crate) is_news: bool,
}

impl Prognoser {
    pub(crate) fn new(at: i64) -> Self {
        Self {
            history: History::new(),
            blocks_at_last_fit: 0,
            said: Said {
                at,
                what: Err(Reason::TooLittleHistory),
            },
            is_news: true,
        }
    }

    /// Takes the health of a row and looks ahead when enough is new.
    pub(crate) fn observe(&mut self, at: i64, health: f64, limit: f64) {
        if !self.history.push(at, health) {
            return;
        }
        let points = self.history.points();
        if points.is_empty() {
            self.blocks_at_last_fit = 0;
            let had = self.said.what.is_ok() || self.said.what == Err(Reason::Recovered);
            self.say(
                at,
                Err(if had {
                    Reason::Recovered
                } else {
                    Reason::NoSignificantTrend
                }),
            );
            return;
        }
        if points.len() < MIN_POINTS {
            if self.said.what.is_err() {
                self.say(at, Err(Reason::TooLittleHistory));
            }
            return;
        }
        // An eighth of the points new: the fit costs n² and must stay cheap per row.
        let blocks = self.history.blocks();
        if blocks.wrapping_sub(self.blocks_at_last_fit) < points.len() as u32 / 8 {
            return;
        }
        self.blocks_at_last_fit = blocks;
        let what = Trend::fit(points)
            .filter(|trend| trend.slope < 0.0 && trend.p_value < MAX_P_VALUE)
            .and_then(|trend| forecast(&trend, self.history.origin(), at, limit))
            .ok_or(Reason::NoSignificantTrend);
        self.say(at, what);
    }

    fn say(&mut self, at: i64, what: Result<Forecast, Reason>) {
        let elapsed = at.saturating_sub(self.said.at) as f64 / 1e6;
        let is_new = match (&self.said.what, &what) {
            (Ok(old), Ok(new)) => [(old.p10, new.p10), (old.p50, new.p50), (old.p90, new.p90)]
                .iter()
                .any(|(old, now)| (old - elapsed - now).abs() > NEWS * new.p50.max(1.0)),
            (old, new) => old != new,
        };
        if is_new {
            self.said = Said { at, what };
            self.is_news = true;
        }
    }
}

/// Extrapolates a falling trend from `at`; none when it would reach beyond the horizon.
fn forecast(trend: &Trend, origin: i64, at: i64, limit: f64) -> Option<Forecast> {
    let now = at.saturating_sub(origin) as f64 / 1e6;
    let level = trend.level + trend.slope * now - limit;
    // The steep end of the slope with a low residual is the short end of life, and the other
    // way round.
    let life = |residual: f64, slope: f64| ((level + residual) / -slope).max(0.0);
    let p50 = life(0.0, trend.slope);
    if trend.slope_high >= 0.0 || p50 > MAX_HORIZON * trend.span {
        return None;
    }
    let p10 = life(trend.residual_low, trend.slope_low);
    let p90 = life(trend.residual_high, trend.slope_high);
    Some(Forecast {
        p10: p10.min(p50),
        p50,
        p90: p90.max(p50),
        loss_per_day: -trend.slope * 86_400.0,
        window_from: origin.saturating_add((trend.from * 1e6) as i64),
        p_value: trend.p_value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    /// A small deterministic disturbance without trend.
    fn wobble(row: i64) -> f64 {
        ((row * 7_919) % 101) as f64 / 101.0 - 0.5
    }

    fn run(rows: i64, health: impl Fn(i64) -> f64) -> Prognoser {
        let mut prognoser = Prognoser::new(0);
        (0..rows).for_each(|row| prognoser.observe(row * S, health(row), 30.0));
        prognoser
    }

    #[test]
    fn a_falling_index_is_carried_forward_to_its_limit() {
        // From 79 down by 0.01 a second: 30 is reached at 4,900 s.
        let prognoser = run(2_000, |row| 79.0 - 0.01 * row as f64 + wobble(row));
        let said = prognoser.said;
        let forecast = said.what.unwrap();
        let expected = 4_900.0 - said.at as f64 / 1e6;
        assert!(
            (forecast.p50 / expected - 1.0).abs() < 0.05,
            "{forecast:?} {expected}"
        );
        assert!(forecast.p10 < expected && expected < forecast.p90);
        assert!((forecast.loss_per_day / 864.0 - 1.0).abs() < 0.05);
        assert!(forecast.p_value < 1e-6);
    }

    #[test]
    fn without_a_trend_the_reason_is_given() {
        let healthy = run(500, |row| 92.0 + wobble(row));
        assert_eq!(healthy.said.what, Err(Reason::NoSignificantTrend));
        let steady = run(500, |row| 55.0 + wobble(row));
        assert_eq!(steady.said.what, Err(Reason::NoSignificantTrend));
        let rising = run(500, |row| 40.0 + 0.05 * row as f64 + wobble(row));
        assert_eq!(rising.said.what, Err(Reason::NoSignificantTrend));
        let fresh = run(60, |row| 79.0 - 0.1 * row as f64);
        assert_eq!(fresh.said.what, Err(Reason::TooLittleHistory));
    }

    #[test]
    fn a_forecast_is_taken_back_when_health_returns() {
        let prognoser = run(2_000, |row| {
            if row < 1_000 {
                79.0 - 0.03 * row as f64
            } else {
                95.0
            }
        });
        assert_eq!(prognoser.said.what, Err(Reason::Recovered));
    }

    #[test]
    fn beyond_the_limit_no_life_remains() {
        let prognoser = run(2_000, |row| 79.0 - 0.03 * row as f64);
        let forecast = prognoser.said.what.unwrap();
        assert_eq!((forecast.p10, forecast.p50, forecast.p90), (0.0, 0.0, 0.0));
    }
}
