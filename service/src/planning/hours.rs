//! When work can be done: the hours of a site or a crew, in the site's own time.

use std::{fmt, str::FromStr};

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use serde::Serialize;
use telemetry::Timestamp;

/// Days looked ahead, at most: nothing is planned further than a year.
const MAX_DAYS: u64 = 366;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// On which days of the week and between which times people work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpeningHours {
    /// Monday first.
    days: [bool; 7],
    /// Minutes after midnight, the second above the first.
    from: u32,
    to: u32,
}

impl OpeningHours {
    /// Day and night.
    pub const ALWAYS: Self = Self {
        days: [true; 7],
        from: 0,
        to: 24 * 60,
    };
    /// The usual hours of a workshop.
    pub const WEEKDAYS: Self = Self {
        days: [true, true, true, true, true, false, false],
        from: 7 * 60,
        to: 17 * 60,
    };

    /// The spans in which work can begin and end, cut to `from..until`, in order.
    pub fn spans(
        &self,
        zone: Tz,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<(Timestamp, Timestamp)> {
        let first = from.to_utc().with_timezone(&zone).date_naive();
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        for ahead in 0..MAX_DAYS {
            let Some(day) = first.checked_add_days(Days::new(ahead)) else {
                break;
            };
            if local(zone, day, 0) >= until {
                break;
            }
            if !self.days[day.weekday().num_days_from_monday() as usize] {
                continue;
            }
            let begins = local(zone, day, self.from).max(from);
            let ends = local(zone, day, self.to).min(until);
            if begins >= ends {
                continue;
            }
            match spans.last_mut() {
                // Day and night is one span.
                Some(last) if last.1 == begins => last.1 = ends,
                _ => spans.push((begins, ends)),
            }
        }
        spans
    }
}

/// A time of day at a place. What a change of the clocks leaves out is told an hour later; of
/// what comes twice the first counts.
fn local(zone: Tz, day: NaiveDate, minutes: u32) -> Timestamp {
    let at = if minutes >= 24 * 60 {
        day.checked_add_days(Days::new(1))
            .unwrap_or(day)
            .and_time(NaiveTime::MIN)
    } else {
        let time = NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0);
        day.and_time(time.unwrap_or(NaiveTime::MIN))
    };
    let told = |at: NaiveDateTime| zone.from_local_datetime(&at).earliest();
    let later = || told(at + chrono::TimeDelta::hours(1));
    told(at).or_else(later).map_or_else(
        || Timestamp::from(at.and_utc()),
        |at| Timestamp::from(at.to_utc()),
    )
}

/// Opening hours that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} are no hours; write \"always\" or as in \"mon-fri 07:00-17:00\"")]
pub struct NoHours(String);

impl FromStr for OpeningHours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        if text == "always" {
            return Ok(Self::ALWAYS);
        }
        let read = || -> Option<Self> {
            let (days, hours) = text.split_once(' ')?;
            let day = |name: &str| DAYS.iter().position(|known| *known == name);
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            let (first, last) = (day(first)?, day(last)?);
            let (from, to) = hours.trim().split_once('-')?;
            let (from, to) = (minutes(from)?, minutes(to)?);
            let mut open = [false; 7];
            open.get_mut(first..=last)?.fill(true);
            (from < to).then_some(Self {
                days: open,
                from,
                to,
            })
        };
        read().ok_or_else(|| NoHours(text.chars().take(40).collect()))
    }
}

fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 24 * 60).then_some(all)
}

impl fmt::Display for OpeningHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALWAYS {
            return f.write_str("always");
        }
        let first = self.days.iter().position(|open| *open).unwrap_or(0);
        let last = self.days.iter().rposition(|open| *open).unwrap_or(0);
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{}-{} {:02}:{:02}-{:02}:{:02}",
            DAYS[first],
            DAYS[last],
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

impl Serialize for OpeningHours {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn hours_are_read_as_they_are_written() {
        for text in ["always", "mon-fri 07:00-17:00", "sat-sun 00:00-24:00"] {
            assert_eq!(text.parse::<OpeningHours>().unwrap().to_string(), text);
        }
        assert_eq!(
            "wed 08:30-09:00"
                .parse::<OpeningHours>()
                .unwrap()
                .to_string(),
            "wed-wed 08:30-09:00"
        );
        for text in [
            "",
            "mon-fri",
            "fri-mon 07:00-17:00",
            "mon-fri 17:00-07:00",
            "mon-fri 7:00-17:00",
            "mon-fri 07:00-24:01",
            "moon 07:00-08:00",
        ] {
            assert!(text.parse::<OpeningHours>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_weekend_and_a_change_of_the_clocks_are_seen_from_the_site() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        // Friday noon to Monday night; the clocks go ahead on Sunday 29 March 2026 at 02:00.
        let spans = OpeningHours::WEEKDAYS.spans(
            zone,
            at("2026-03-27T11:00:00Z"),
            at("2026-03-30T20:00:00Z"),
        );
        assert_eq!(
            spans,
            [
                (at("2026-03-27T11:00:00Z"), at("2026-03-27T16:00:00Z")),
                (at("2026-03-30T05:00:00Z"), at("2026-03-30T15:00:00Z")),
            ]
        );
        let all = OpeningHours::ALWAYS.spans(
            zone,
            at("2026-03-27T11:00:00Z"),
            at("2026-04-27T11:00:00Z"),
        );
        assert_eq!(
            all,
            [(at("2026-03-27T11:00:00Z"), at("2026-04-27T11:00:00Z"))]
        );
        assert!(
            OpeningHours::WEEKDAYS
                .spans(zone, at("2026-03-28T00:00:00Z"), at("2026-03-29T12:00:00Z"))
                .is_empty()
        );
    }
}
