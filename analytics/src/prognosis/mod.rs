//! Prognostic assessment (PA): how long will it last?
//!
//! An asset whose like has failed before is forecast from the lives of its fleet ([`fleet`]),
//! from life data ([`life`]), or from both. The rest of this module is what can be said of an
//! asset that is alone: when does the health index reach its limit? Its course since it left
//! its healthy band (`history`), straight or curved as it foresees itself better, is carried
//! forward to where it first touches the limit, and only when the trend is real (`alone`).
//! Such quantiles are *nominal*: they are not checked against failures and know nothing of a
//! load that changes; an asset whose like has failed before deserves a better model.

mod alone;
pub mod calibration;
pub(crate) mod chance;
pub mod classify;
pub mod combine;
pub(crate) mod course;
pub mod cycles;
pub mod decision;
pub mod diary;
pub mod distribution;
pub mod family;
pub mod fleet;
pub(crate) mod history;
pub mod life;
pub mod lives;
pub mod moment;
mod newton;
pub mod passage;
pub mod path;
pub mod serving;
pub mod trained;
pub mod trees;
pub(crate) mod trend;

use serde::{Deserialize, Serialize};

use history::History;
use passage::Path;

/// The levels of a fan.
pub(crate) const FAN: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
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
    pub(crate) path: Path,
    /// Remaining life at the levels of [`FAN`]; of what may never come, as far as is looked.
    pub(crate) fan: [f64; 11],
    pub(crate) loss_per_day: f64,
    pub(crate) window_from: i64,
    pub(crate) p_value: f64,
}

impl Forecast {
    pub(crate) fn p10(&self) -> f64 {
        self.fan[1]
    }

    pub(crate) fn p50(&self) -> f64 {
        self.fan[5]
    }

    pub(crate) fn p90(&self) -> f64 {
        self.fan[9]
    }

    /// The name of the method in findings.
    pub(crate) const fn model(&self) -> &'static str {
        match self.path {
            Path::Linear => "first-passage-linear/1",
            Path::Exponential => "first-passage-exponential/1",
        }
    }
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
        let what = forecast(points, self.history.origin(), at, limit);
        self.say(at, what);
    }

    fn say(&mut self, at: i64, what: Result<Forecast, Reason>) {
        let elapsed = at.saturating_sub(self.said.at) as f64 / 1e6;
        let is_new = match (&self.said.what, &what) {
            (Ok(old), Ok(new)) => {
                let dates = [
                    (old.p10(), new.p10()),
                    (old.p50(), new.p50()),
                    (old.p90(), new.p90()),
                ];
                let much = NEWS * new.p50().max(1.0);
                let moved = |(old, now): &(f64, f64)| (old - elapsed - now).abs() > much;
                old.path != new.path || dates.iter().any(moved)
            }
            (old, new) => old != new,
        };
        if is_new {
            self.said = Said { at, what };
            self.is_news = true;
        }
    }
}

/// Looks ahead from `at`.
fn forecast(
    points: &[history::Point],
    origin: i64,
    at: i64,
    limit: f64,
) -> Result<Forecast, Reason> {
    let now = at.saturating_sub(origin) as f64 / 1e6;
    let ahead = alone::look_ahead(points, now, limit)?;
    Ok(Forecast {
        path: ahead.path,
        fan: FAN.map(|level| ahead.life.quantile(level).min(ahead.horizon_s)),
        loss_per_day: ahead.loss_per_day,
        window_from: origin.saturating_add((ahead.from * 1e6) as i64),
        p_value: ahead.p_value,
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
            (forecast.p50() / expected - 1.0).abs() < 0.05,
            "{forecast:?} {expected}"
        );
        assert!(
            forecast.p10() < expected && expected < forecast.p90(),
            "{forecast:?}"
        );
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
        assert!(forecast.fan.iter().all(|life| *life <= 0.0), "{forecast:?}");
    }
}
