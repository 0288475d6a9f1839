//! When a device has something to say: on a change, and otherwise once in a while.
//!
//! A finding that repeats the one before costs room and tells nothing. So a device speaks
//!
//! - at once when its state changes (also the operating state, or a sensor's); a transition
//!   is told by what it leads to, as it begins and ends with each change of load;
//! - when its health moved by [`HEALTH_BAND`] or its score, beyond the limit, by
//!   [`SCORE_FACTOR`] since it spoke, though not within the report interval, nor within
//!   [`REST_ROWS`] rows: smoothed numbers of neighbouring rows are nearly one number;
//! - as a heartbeat, so that whoever looks at an hour finds a word in it: once an hour, or
//!   once in [`HEARTBEAT_ROWS`] rows of a device that measures more seldom than each minute.
//!
//! What was said last holds until the next word, to within these bands. The bands decide what
//! is *said* only: alarms, cases and forecasts follow the unrounded numbers of every row.
//!
//! Numbers are rounded where they leave ([`round`]): a deviation of 3.14 spreads is told as
//! well by three digits as by seventeen, and three digits pack into a tenth of the room.

use serde::{Deserialize, Serialize};
use telemetry::OperatingState;

use crate::Config;

/// Points of health: a quarter of the narrowest zone but one, and about twice what noise
/// alone does to a healthy index between two rows that share no smoothing.
const HEALTH_BAND: f64 = 5.0;
/// Health flattens out near 0 while the score of a growing fault still climbs: a step of a
/// tenth keeps the peak that a case records within a tenth of the true one.
const SCORE_FACTOR: f64 = 1.1;
/// Rows of rest between two words without a change of state: with smoothing over twenty rows,
/// eight bring about a third of a new value.
const REST_ROWS: f64 = 8.0;
/// Rows between heartbeats of a device that measures seldom.
const HEARTBEAT_ROWS: f64 = 60.0;

/// What was said last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) at: i64,
    pub(crate) score: f64,
    pub(crate) health: f64,
    #[serde(with = "crate::manipulation::operating::packed")]
    pub(crate) operating: OperatingState,
}

/// Whether there is something to say although no state changed. `interval` is the usual time
/// between rows in microseconds, 0 when it is not known.
pub(crate) fn is_due(config: &Config, interval: f64, said: &Said, now: &Said) -> bool {
    let waited = now.at.saturating_sub(said.at) as f64;
    let beyond = |time: std::time::Duration, rows: f64| {
        waited >= (time.as_micros() as f64).max(rows * interval)
    };
    let is_other = now.operating != said.operating && now.operating != OperatingState::Transition;
    if is_other || beyond(config.heartbeat, HEARTBEAT_ROWS) {
        return true;
    }
    let (low, high) = (said.score.min(now.score), said.score.max(now.score));
    let moved = (said.health - now.health).abs() >= HEALTH_BAND
        || (high > 1.0 && high >= SCORE_FACTOR * low);
    moved && beyond(config.report_interval, REST_ROWS)
}

/// Decimals that show a thousandth of `spread`, so that a value of that spread is told to
/// well within what it varies by anyway.
pub(crate) fn decimals_of(spread: f64) -> i32 {
    let wanted = (1_000.0 / spread).log10().ceil();
    if wanted.is_finite() {
        wanted.clamp(-300.0, 300.0) as i32
    } else {
        0
    }
}

/// A number to a number of decimals, which may be negative; as it is where that is beyond
/// what numbers can show.
pub(crate) fn round(value: f64, decimals: i32) -> f64 {
    // Divided by a whole power of ten a whole number becomes the float nearest to the decimal.
    let rounded = if decimals >= 0 {
        let scale = 10_f64.powi(decimals);
        (value * scale).round() / scale
    } else {
        let scale = 10_f64.powi(-decimals);
        (value / scale).round() * scale
    };
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn said(secs: i64, health: f64, score: f64) -> Said {
        Said {
            at: secs * S,
            score,
            health,
            operating: OperatingState::Unknown,
        }
    }

    #[test]
    fn a_change_of_load_is_told_by_what_it_leads_to() {
        let before = said(0, 90.0, 0.3);
        for (operating, due) in [
            (OperatingState::Unknown, false),
            (OperatingState::Transition, false),
            (OperatingState::Off, true),
            (OperatingState::Running { regime: 1 }, true),
        ] {
            let now = Said {
                operating,
                ..said(1, 90.0, 0.3)
            };
            let got = is_due(&Config::default(), 1e6, &before, &now);
            assert_eq!(got, due, "{operating:?}");
        }
    }

    #[test]
    fn a_device_speaks_when_it_moved_and_once_an_hour() {
        let config = Config::default();
        for (secs, health, score, interval_s, due) in [
            (30, 90.0, 0.3, 1.0, false),
            (30, 84.9, 0.5, 1.0, true),
            (9, 70.0, 0.9, 1.0, false),
            (30, 70.0, 0.9, 5.0, false),
            (40, 70.0, 0.9, 5.0, true),
            (30, 89.0, 1.2, 1.0, true),
            (30, 89.0, 0.9, 1.0, false),
            (3_599, 90.0, 0.3, 1.0, false),
            (3_600, 90.0, 0.3, 1.0, true),
            (3_600, 90.0, 0.3, 300.0, false),
            (18_000, 90.0, 0.3, 300.0, true),
        ] {
            let got = is_due(
                &config,
                interval_s * 1e6,
                &said(0, 90.0, 0.3),
                &said(secs, health, score),
            );
            assert_eq!(got, due, "{secs} s, health {health}, every {interval_s} s");
        }
    }

    #[test]
    fn numbers_are_told_to_a_thousandth_of_their_spread() {
        for (value, spread, told) in [
            (12.345_678, 1.0, 12.346),
            (12.345_678, 0.05, 12.345_68),
            (0.000_123_456, 1e-5, 0.000_123_46),
            (123_456.7, 20_000.0, 123_460.0),
            (1e308, 1e-308, 1e308),
        ] {
            let got = round(value, decimals_of(spread));
            assert_eq!(got.to_string(), f64::to_string(&told), "{value} ± {spread}");
        }
    }
}
