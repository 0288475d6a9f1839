//! The clock of a device: can its times be believed?
//!
//! Every row has two times: when the device says it was measured, and when it was received. Their
//! difference, the delay, is known for the past only, for a late row may have waited anywhere: a
//! device that was offline sends hours of old rows, a recording is imported years later, a
//! simulation runs faster than time. None of these is a wrong clock. Four things cannot be
//! explained by waiting:
//!
//! | what | rule |
//! |---|---|
//! | ahead | `ROWS_AHEAD` rows in a row were measured more than `TOLERANCE` after they were received |
//! | set back | a clock that was right: no newer time in `ROWS` rows and `TOLERANCE` of receipt, while its times run on from an older one, no faster than the receiver's |
//! | stands | the same, and its times do not run on |
//! | gains, loses | the least delay of an hour moved the same way `WINDOWS` hours running, each time by `LEAST_SKEW` to `MOST_SKEW` |
//!
//! *Right* is a clock whose delay was below the tolerance for `ROWS` rows: only then is an older
//! time a step back rather than a backlog. A backlog that is sent after newer rows runs faster
//! than the receiver's clock, or it would never be worked off; rows that repeat the row before
//! them are redelivery and count for nothing. The least delay of an hour is the one of the row
//! that waited least, so the network does not matter; what changes it by more than 1 % of the
//! time is a queue that grows or is worked off, what changes it by less than 0.03 % is a quartz.
//!
//! A verdict ends after `ROWS` rows whose delay is within the tolerance; one about the pace
//! after `CALM_WINDOWS` hours without.
//!
//! Nothing here reads a clock. If the receiver's own is wrong all devices are judged wrong by the
//! same, which shows as just that.
//!
//! # Source
//! The least delay as what is left of two clocks without the network: Moon, Skelly & Towsley,
//! "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999. A quartz
//! without compensation keeps within 100 ppm from −40 to 85 °C.

use serde::{Deserialize, Serialize};
use telemetry::SensorState;

/// How far a clock may be off and what a message may take, microseconds: devices that set their
/// clock over the network agree within a second; a minute is what an unset quartz drifts in a
/// fortnight, and nothing that is watched here cares about less.
const TOLERANCE: i64 = 60_000_000;
/// Rows ahead in a row before it counts: one may be a glitch, two a redelivered glitch.
const ROWS_AHEAD: u16 = 3;
/// Rows in a row before a clock is known to be right, or has been seen to be set back: more
/// than the signals of one instant on topics of their own, half a minute of one-second data.
const ROWS: u16 = 30;
/// Times of a backlog run faster than this against the receiver's; those of a clock do not.
const BACKLOG_PACE: i64 = 2;
/// The stretch of receipt that one least delay is taken over, microseconds.
const WINDOW: i64 = 3_600_000_000;
/// Windows running the same way.
const WINDOWS: i8 = 6;
/// A window moved the least delay at least this much, microseconds an hour: three times what a
/// bad quartz does …
const LEAST_SKEW: i64 = 1_000_000;
/// … and at most this much, 1 % of the time.
const MOST_SKEW: i64 = 36_000_000;
/// Windows without that end the verdict.
const CALM_WINDOWS: u8 = 2;

/// What is wrong with a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wrong {
    Ahead,
    SetBack,
    Stands,
    Pace,
}

/// Rows that brought no newer time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Older {
    rows: u16,
    /// Measured and received time of the first of them.
    from: (i64, i64),
    /// The newest row, to know a repetition of it.
    last: (i64, u64),
}

/// The least delay of the window at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    until: i64,
    rows: u16,
    least: i64,
}

/// The clock of one device under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockWatch {
    newest: i64,
    received: i64,
    /// Rows in a row that were in time, and whether there ever were enough of them.
    in_time: u16,
    was_right: bool,
    ahead: u16,
    older: Option<Older>,
    window: Option<Window>,
    /// The least delay of the window before, and how many windows running it moved which way.
    least: Option<i64>,
    moves: i8,
    calm: u8,
    wrong: Option<Wrong>,
    /// When the verdict last changed, microseconds of receipt.
    since: i64,
    /// How far the clock was ahead of the receiver's when that was last judged, microseconds.
    lead: i64,
    /// What it gains in an hour, microseconds.
    gain: i64,
    /// Whether the verdict has changed and nobody has told yet.
    pub(crate) is_new: bool,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self {
            newest: i64::MIN,
            received: i64::MIN,
            in_time: 0,
            was_right: false,
            ahead: 0,
            older: None,
            window: None,
            least: None,
            moves: 0,
            calm: 0,
            wrong: None,
            since: 0,
            lead: 0,
            gain: 0,
            is_new: false,
        }
    }
}

impl ClockWatch {
    /// Takes the times of a row in microseconds. `print` tells two rows of one time apart; it
    /// is asked only of rows that bring no newer time. True when the verdict has changed.
    pub fn row(&mut self, measured_at: i64, received_at: i64, print: impl FnOnce() -> u64) -> bool {
        let delay = received_at.saturating_sub(measured_at);
        self.received = self.received.max(received_at);
        self.in_time = if delay.abs() <= TOLERANCE {
            self.in_time.saturating_add(1)
        } else {
            0
        };
        self.was_right |= self.in_time >= ROWS;
        self.ahead = if delay < -TOLERANCE {
            self.ahead.saturating_add(1)
        } else {
            0
        };
        let pace = self.window(received_at, delay);
        let back = if measured_at > self.newest {
            self.newest = measured_at;
            self.older = None;
            None
        } else {
            self.older((measured_at, received_at), print)
        };
        let found = if self.ahead >= ROWS_AHEAD {
            Some(Wrong::Ahead)
        } else {
            back.or(pace)
        };
        let next = match (found, self.wrong) {
            (Some(found), _) => Some(found),
            (None, Some(Wrong::Pace)) if self.calm >= CALM_WINDOWS => None,
            (None, Some(Wrong::Ahead | Wrong::SetBack | Wrong::Stands)) if self.in_time >= ROWS => {
                None
            }
            (None, standing) => standing,
        };
        if found.is_some() {
            self.lead = delay.saturating_neg();
        }
        let changed = next != self.wrong;
        if changed {
            (self.wrong, self.since, self.is_new) = (next, received_at, true);
            if next == Some(Wrong::SetBack) || next == Some(Wrong::Stands) {
                // It counts from here on, and is right again only when it shows that.
                self.was_right = false;
            }
        }
        changed
    }

    /// A row that brings no newer time.
    fn older(&mut self, at: (i64, i64), print: impl FnOnce() -> u64) -> Option<Wrong> {
        let row = (at.0, print());
        let older = self.older.get_or_insert(Older {
            rows: 0,
            from: at,
            last: (i64::MIN, 0),
        });
        if older.last == row {
            return None;
        }
        older.last = row;
        older.rows = older.rows.saturating_add(1);
        let measured = at.0.saturating_sub(older.from.0);
        let received = at.1.saturating_sub(older.from.1);
        let is_long = older.rows >= ROWS && received >= TOLERANCE;
        // A row in time is right whatever came before it: the clock had been ahead.
        let may_be = self.was_right && self.in_time == 0;
        if !may_be || !is_long || measured > received.saturating_mul(BACKLOG_PACE) {
            return None;
        }
        // A tenth of the time that has passed: less is standing, however it flickers.
        Some(if measured < received / 10 {
            Wrong::Stands
        } else {
            Wrong::SetBack
        })
    }

    /// Follows the least delay; tells at the end of a window whether it moves.
    fn window(&mut self, received_at: i64, delay: i64) -> Option<Wrong> {
        let window = self.window.get_or_insert(Window {
            until: received_at.saturating_add(WINDOW),
            rows: 0,
            least: i64::MAX,
        });
        if received_at < window.until || window.rows < ROWS {
            window.rows = window.rows.saturating_add(1);
            window.least = window.least.min(delay);
            return None;
        }
        let (least, over) = (window.least, received_at - window.until);
        self.window = Some(Window {
            until: received_at.saturating_add(WINDOW),
            rows: 1,
            least: delay,
        });
        let before = self.least.replace(least)?;
        let moved = least.saturating_sub(before);
        // A window that was not over in time tells of a silence, not of a clock.
        let is_skew = over < WINDOW && (LEAST_SKEW..=MOST_SKEW).contains(&moved.abs());
        let way = if moved > 0 { 1 } else { -1 };
        self.moves = match is_skew {
            true if self.moves * way >= 0 => (self.moves + way).clamp(-WINDOWS, WINDOWS),
            true => way,
            false => 0,
        };
        self.calm = if is_skew {
            0
        } else {
            self.calm.saturating_add(1)
        };
        if self.moves.abs() < WINDOWS {
            return None;
        }
        self.gain = moved.saturating_neg();
        Some(Wrong::Pace)
    }

    /// Whether the times can be believed.
    pub fn state(&self) -> SensorState {
        if self.wrong.is_some() {
            SensorState::Faulty
        } else {
            SensorState::Good
        }
    }

    /// When the verdict last changed, microseconds of receipt.
    pub fn since(&self) -> i64 {
        self.since
    }

    /// What was found in numbers: how far the clock is ahead of the receiver's in seconds (below
    /// zero behind it), or what it gains in an hour in seconds.
    pub fn told(&self) -> Option<(&'static str, f64)> {
        Some(match self.wrong? {
            Wrong::Ahead => ("ahead_s", self.lead as f64 / 1e6),
            Wrong::SetBack => ("set_back_s", -self.lead as f64 / 1e6),
            Wrong::Stands => ("stands_s", -self.lead as f64 / 1e6),
            Wrong::Pace => ("gains_s_per_h", self.gain as f64 / 1e6),
        })
    }

    /// How far the clock is ahead of the receiver's, in seconds; none while it is right.
    pub fn lead_s(&self) -> Option<f64> {
        self.wrong.map(|_| self.lead as f64 / 1e6)
    }

    /// How strong the evidence is, as [`super::Verdict::confidence`]: 1 − 2^(−e), where e counts
    /// limits; 0 for a good clock.
    pub fn confidence(&self) -> f64 {
        let limits = match self.wrong {
            None => return 0.0,
            Some(Wrong::Pace) => self.gain as f64 / LEAST_SKEW as f64,
            Some(_) => self.lead as f64 / TOLERANCE as f64,
        };
        1.0 - (-limits.abs().max(1.0)).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;
    const H: i64 = 3_600 * S;
    /// What the receiver's clock shows when a course begins.
    const START: i64 = 1_700_000_000 * S;

    /// Rows as `(seconds the device's clock shows since the start, seconds of receipt)`; says
    /// each change with the place of its row.
    fn course(rows: impl IntoIterator<Item = (f64, f64)>) -> Vec<(usize, Option<&'static str>)> {
        let mut clock = ClockWatch::default();
        let at = |s: f64| START + (s * 1e6) as i64;
        let mut changes = Vec::new();
        for (place, (measured, received)) in rows.into_iter().enumerate() {
            if clock.row(at(measured), at(received), || place as u64) {
                changes.push((place, clock.told().map(|told| told.0)));
            }
        }
        changes
    }

    /// Rows each second for so long, as the clock shows it.
    fn live(from: i32, rows: i32, shows: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let row = |k: i32| {
            (
                shows(f64::from(k)),
                f64::from(k) + 0.3 + 0.2 * f64::from(k % 3),
            )
        };
        (from..from + rows).map(row).collect()
    }

    #[test]
    fn a_clock_that_jumps_or_stands_is_told_and_a_right_one_forgiven() {
        for (what, shows, told) in [
            ("ahead", (|t| t + 120.0) as fn(f64) -> f64, "ahead_s"),
            ("an hour back", |t| t - 3_600.0, "set_back_s"),
            ("to 1970", |t| t - START as f64 / 1e6, "set_back_s"),
            ("stands", |_| 100.0, "stands_s"),
            ("backwards", |t| 200.0 - t, "stands_s"),
        ] {
            let wrong = live(100, 200, shows);
            let rows = [live(0, 100, |t| t), wrong, live(300, 100, |t| t)].concat();
            let changes = course(rows);
            assert_eq!(changes.len(), 2, "{what}: {changes:?}");
            assert_eq!(changes[0].1, Some(told), "{what}");
            assert!((100..=165).contains(&changes[0].0), "{what}: {changes:?}");
            assert!(
                changes[1].1.is_none() && changes[1].0 < 340,
                "{what}: {changes:?}"
            );
        }
    }

    #[test]
    fn a_clock_that_gains_or_loses_is_told_within_a_day() {
        // Half a permille: 1.8 s an hour; a quartz out of its range. And what a quartz may do.
        for (ppm, found) in [
            (500.0, true),
            (-500.0, true),
            (100.0, false),
            (-100.0, false),
        ] {
            let rows = live(0, 24 * 3_600, |t| t * (1.0 + ppm * 1e-6));
            let changes = course(rows.into_iter().step_by(10));
            let told = changes.first().and_then(|change| change.1);
            assert_eq!(
                told,
                found.then_some("gains_s_per_h"),
                "{ppm} ppm: {changes:?}"
            );
            assert!(
                changes.iter().all(|change| change.0 < 9 * 360),
                "{changes:?}"
            );
        }
    }

    #[test]
    fn backlogs_recordings_and_redelivery_are_no_wrong_clock() {
        let right = || live(0, 200, |t| t);
        let backlog = |pace: f64, first: f64| -> Vec<(f64, f64)> {
            let row = |k: i32| (first + f64::from(k), 4_000.0 + f64::from(k) / pace);
            (0..3_600).map(row).collect()
        };
        let cases: [(&str, Vec<(f64, f64)>); 7] = [
            (
                "an hour offline, then in order",
                [right(), backlog(20.0, 200.0)].concat(),
            ),
            ("slowly", [right(), backlog(3.0, 200.0)].concat()),
            (
                "the newest first, then the backlog",
                [right(), vec![(3_999.0, 3_999.5)], backlog(10.0, 200.0)].concat(),
            ),
            (
                "a queue that lags an hour from then on",
                [right(), live(4_000, 9_000, |t| t - 3_600.0)].concat(),
            ),
            (
                "a recording of last year, again and again",
                (0..5_000)
                    .map(|k| (f64::from(k % 700) - 3e7, f64::from(k)))
                    .collect(),
            ),
            (
                "faster than time",
                (0..5_000)
                    .map(|k| (f64::from(k) * 300.0 - 3e7, f64::from(k) * 0.01))
                    .collect(),
            ),
            (
                "imported at one instant",
                (0..5_000).map(|k| (f64::from(k) - 3e7, 0.0)).collect(),
            ),
        ];
        for (what, rows) in cases {
            assert_eq!(course(rows), [], "{what}");
        }
        let mut clock = ClockWatch::default();
        for k in 0..200 {
            clock.row(START + k * S, START + k * S, || 7);
        }
        let again = (0..200).any(|k| clock.row(START + 199 * S, START + (200 + k) * S, || 7));
        assert!(!again, "one message again and again");
        assert_eq!((clock.state(), clock.lead_s()), (SensorState::Good, None));
        assert!(clock.since() == 0 && clock.confidence() < 1e-12 && H == WINDOW);
    }
}
