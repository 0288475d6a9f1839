//! Event time and the clock.
//!
//! A [`Timestamp`] counts microseconds since 1970-01-01T00:00:00Z. Microseconds hold every
//! RFC 3339 text a device sends in practice and reach 292,000 years each way in an `i64`.
//! The clock is an argument everywhere: production passes [`SystemClock`], tests pass
//! [`ManualClock`].

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is no RFC 3339 time, or one beyond the range of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time such as 2026-03-01T08:30:00Z")]
pub struct InvalidTimestamp(pub String);

/// Microseconds since the Unix epoch, UTC. JSON and text show it as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// Earlier than every reading.
    pub const MIN: Self = Self(i64::MIN);
    /// Later than every reading.
    pub const MAX: Self = Self(i64::MAX);
    /// The earliest time a reading may carry: 0001-01-01T00:00:00Z.
    pub const CALENDAR_MIN: Self = Self(-62_135_596_800_000_000);
    /// The latest time a reading may carry: 9999-12-31T23:59:59.999999Z.
    pub const CALENDAR_MAX: Self = Self(253_402_300_799_999_999);

    /// A time from microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A time from milliseconds since the epoch; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A time from seconds since the epoch; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Whether the time can be written as an RFC 3339 text with a four-digit year.
    pub const fn is_in_calendar(self) -> bool {
        self.0 >= Self::CALENDAR_MIN.0 && self.0 <= Self::CALENDAR_MAX.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Seconds from `origin` to this time, negative before it.
    pub fn secs_from(self, origin: Self) -> f64 {
        self.0.saturating_sub(origin.0) as f64 / 1e6
    }

    /// Reads an RFC 3339 text with any offset.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] when the text is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        DateTime::parse_from_rfc3339(text)
            .map(|at| Self(at.timestamp_micros()))
            .map_err(|_| InvalidTimestamp(text.chars().take(80).collect()))
    }

    /// The time as a chrono value, clamped into the calendar.
    pub fn to_utc(self) -> DateTime<Utc> {
        let clamped = self.0.clamp(Self::CALENDAR_MIN.0, Self::CALENDAR_MAX.0);
        Utc.timestamp_micros(clamped)
            .single()
            .unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(micros(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(micros(rhs)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The current time, UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now().into()
    }
}

/// A clock that stands still until it is moved, for tests and simulations.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(at.as_micros())))
    }

    /// Moves the clock to `at`, forwards or back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_texts_are_read_with_their_offset() {
        // Epoch values from `date -u -d <text> +%s`.
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2020-03-09T10:14:33Z", 1_583_748_873_000_000),
            ("2020-03-09T11:14:33.25+01:00", 1_583_748_873_250_000),
            ("1969-12-31T23:59:59.999999Z", -1),
        ] {
            assert_eq!(
                Timestamp::parse(text).unwrap().as_micros(),
                micros,
                "{text}"
            );
        }
        for bad in ["", "2020-03-09", "2020-03-09 10:14:33", "yesterday"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_shows_rfc_3339_and_reads_it_back() {
        let at = Timestamp::from_millis(1_583_748_873_250);
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(json, "\"2020-03-09T10:14:33.250Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at);
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        let hour = Duration::from_hours(1);
        assert_eq!(Timestamp::MAX + hour, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - hour, Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(-1).as_millis(), -1);
        assert!(!Timestamp::MAX.is_in_calendar());
    }
}
