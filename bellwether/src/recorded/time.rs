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
/// milliseconds, microseconds or nanoseconds since 1970 by their size: 1e11 seconds is the year
/// 5138, 1e11 milliseconds is March 1973.
pub(crate) fn parse_time(cell: &str) -> Option<Timestamp> {
    if let Ok(number) = cell.parse::<i64>() {
        return whole_number(number);
    }
    if let Ok(number) = cell.parse::<f64>() {
        let micros = match number.abs() {
            size if size < 1e11 => number * 1e6,
            size if size < 1e14 => number * 1e3,
            size if size < 1e17 => number,
            size if size < 1e20 => number / 1e3,
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

/// A count since 1970 in the unit its size tells.
fn whole_number(number: i64) -> Option<Timestamp> {
    const SECONDS: u64 = 100_000_000_000;
    let micros = match number.unsigned_abs() {
        size if size < SECONDS => number.checked_mul(1_000_000)?,
        size if size < SECONDS * 1_000 => number.checked_mul(1_000)?,
        size if size < SECONDS * 1_000_000 => number,
        _ => number.div_euclid(1_000),
    };
    Some(Timestamp::from_micros(micros))
}

/// [`parse_time`] on bytes, with spaces around allowed: the forms nearly every table is written
/// in (`2026-03-01 08:30:00.25`, with `T`, `Z` or an offset, and whole numbers) take a short way.
pub(crate) fn parse_time_cell(cell: &[u8]) -> Option<Timestamp> {
    plain_number(cell).or_else(|| iso(cell)).or_else(|| {
        let text = std::str::from_utf8(cell).ok()?;
        parse_time(text.trim())
    })
}

/// Up to 18 digits, which cannot overflow.
fn plain_number(cell: &[u8]) -> Option<Timestamp> {
    if cell.is_empty() || cell.len() > 18 {
        return None;
    }
    digits(cell).and_then(whole_number)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number: i64, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + i64::from(digit))
    })
}

/// `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, a fraction of up to nine digits, a zone.
fn iso(cell: &[u8]) -> Option<Timestamp> {
    let (head, rest) = cell.split_at_checked(19)?;
    let [
        y @ ..,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T' | b' ',
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
    ] = head
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| digits(&[*tens, *ones]);
    let (year, month, day) = (digits(y)?, two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(i0, i1)?, two(s0, s1)?);
    if hour > 23 || minute > 59 || second > 59 || year == 0 {
        return None;
    }
    let days = days_of(year, month, day)?;
    let (micros, zone) = match rest {
        [b'.', fraction @ ..] => {
            let end = fraction.iter().position(|byte| !byte.is_ascii_digit());
            let (fraction, zone) = fraction.split_at(end.unwrap_or(fraction.len()));
            if fraction.is_empty() || fraction.len() > 9 {
                return None;
            }
            let kept = &fraction[..fraction.len().min(6)];
            (digits(kept)? * 10_i64.pow(6 - kept.len() as u32), zone)
        }
        zone => (0, zone),
    };
    let offset = match zone {
        b"" | b"Z" => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (two(h0, h1)?, two(m0, m1)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

/// Days since 1970 of a date of the Gregorian calendar; none when there is no such day. The count
/// begins in March, so that the leap day comes last.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_times(
            micros in Timestamp::CALENDAR_MIN.as_micros()..=Timestamp::CALENDAR_MAX.as_micros(),
            form in 0u8..6,
            offset in -1439i32..1440,
        ) {
            let at = Timestamp::from_micros(micros).to_utc();
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let text = match form {
                0 => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                1 => at.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
                2 => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
                3 => at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Nanos, false),
                4 => at.timestamp().to_string(),
                _ => at.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
            };
            prop_assert_eq!(parse_time_cell(text.as_bytes()), parse_time(&text), "{}", text);
        }

        #[test]
        fn both_ways_agree_on_any_text(text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9][.Z+0-9:-]{0,7}") {
            // Seconds of 60 and more are read differently by the general way; it is asked then.
            prop_assert_eq!(parse_time_cell(text.as_bytes()), parse_time(&text), "{}", text);
        }
    }

    #[test]
    fn nanoseconds_are_told_by_their_size() {
        let at = parse_time("1583748873000000999").unwrap();
        assert_eq!(at.as_micros(), 1_583_748_873_000_000);
        assert_eq!(parse_time_cell(b"1583748873000000999"), Some(at));
        assert_eq!(parse_time_cell(b" 1583748873 "), Some(at));
    }

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
