//! Times as recorders write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use telemetry::Timestamp;

/// How times without a zone are written; they are taken as UTC.
const TIME_FORMATS: [&str; 7] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M",
];

/// Reads a time as recorders write it; without a zone it is UTC. Plain numbers are seconds,
/// milliseconds or microseconds since 1970 by their size: 1e11 seconds is the year 5138,
/// 1e11 milliseconds is March 1973.
pub(super) fn parse_time(cell: &str) -> Option<Timestamp> {
    if let Ok(number) = cell.parse::<f64>() {
        let micros = match number.abs() {
            size if size < 1e11 => number * 1e6,
            size if size < 1e14 => number * 1e3,
            size if size < 1e17 => number,
            _ => return None,
        };
        return Some(Timestamp::from_micros(micros.round() as i64));
    }
    if let Ok(at) = Timestamp::parse(cell) {
        return Some(at);
    }
    // RFC 3339 allows a space for the T, and recorders write zones without minutes.
    if let Ok(at) = DateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%S%.f%#z") {
        return Some(Timestamp::from_micros(at.timestamp_micros()));
    }
    let naive = TIME_FORMATS
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(cell, format).ok())
        .or_else(|| {
            let date = NaiveDate::parse_from_str(cell, "%Y-%m-%d").ok()?;
            date.and_hms_opt(0, 0, 0)
        })?;
    Some(Timestamp::from_micros(naive.and_utc().timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_recorders_write() {
        // 2020-03-09T10:14:33Z is 1583748873 by `date -u -d … +%s`.
        for text in [
            "2020-03-09 10:14:33",
            "2020-03-09T10:14:33Z",
            "2020-03-09T10:14:33",
            "2020/03/09 10:14:33.000",
            "09.03.2020 10:14:33",
            "2020-03-09 12:14:33+02",
            "2020-03-09 12:14:33.000+02:00",
            "1583748873",
            "1583748873.0",
            "1583748873000",
            "1583748873000000",
        ] {
            let at = parse_time(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(at.as_micros(), 1_583_748_873_000_000, "{text}");
        }
        let midnight = parse_time("2020-03-09").unwrap();
        assert_eq!(midnight.to_string(), "2020-03-09T00:00:00Z");
        for bad in ["", "soon", "2020-13-01", "inf", "1e30"] {
            assert!(parse_time(bad).is_none(), "{bad}");
        }
    }
}
