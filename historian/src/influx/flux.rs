//! The Flux queries, as text.
//!
//! Ids and signal names are checked by their types and still quoted as Flux strings: `"`, `\` and
//! `${` mean something there. Times are `time(v: <ns>)`, which is exact where a text would need a
//! form for every year.

use std::fmt::Write;

use telemetry::{DeviceId, Timestamp};

use super::lines::{MAX_TIME, MEASUREMENT, MIN_TIME, field_of};
use crate::{Grid, SeriesKey};

/// A Flux string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // `${` would begin an expression.
            '$' => out.push_str("\\$"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A time between those the server holds.
fn time(at: Timestamp) -> String {
    let micros = at.clamp(MIN_TIME, MAX_TIME).as_micros();
    format!("time(v: {})", i128::from(micros) * 1_000)
}

/// Everything of our measurement in a bucket between two times.
fn from(bucket: &str, start: Timestamp, stop: Timestamp, filter: &str) -> String {
    format!(
        "from(bucket: {}) |> range(start: {}, stop: {}) |> filter(fn: (r) => r._measurement == {}{filter})",
        quoted(bucket),
        time(start),
        time(stop),
        quoted(MEASUREMENT),
    )
}

fn of_series(series: &SeriesKey) -> String {
    format!(
        " and r.device == {} and r._field == {}",
        quoted(series.device.as_str()),
        quoted(&field_of(series.signal.as_str())),
    )
}

/// The first `limit` readings of a series in a range.
pub(crate) fn range(
    bucket: &str,
    series: &SeriesKey,
    from_time: Timestamp,
    to: Timestamp,
    limit: usize,
) -> String {
    format!(
        "{} |> keep(columns: [\"_time\", \"_value\"]) |> sort(columns: [\"_time\"]) |> limit(n: {limit})",
        from(bucket, from_time, to, &of_series(series)),
    )
}

/// What [`buckets`] yields, in this order.
pub(crate) const AGGREGATES: [&str; 6] = ["count", "min", "max", "mean", "first", "last"];

/// The aggregates of a series in the parts of a grid. Windows begin at every multiple of the
/// width plus an offset; the range cuts the first and the last as the grid does.
pub(crate) fn buckets(
    bucket: &str,
    series: &SeriesKey,
    from_time: Timestamp,
    to: Timestamp,
    grid: &Grid,
) -> String {
    // The server counts in nanoseconds; wider than all of its time is wide enough.
    let width_us = grid.width_micros().min(MAX_TIME.as_micros());
    let offset_us = grid.origin_micros().rem_euclid(width_us);
    let mut flux = format!(
        "data = {} |> keep(columns: [\"_start\", \"_stop\", \"_time\", \"_value\"])\n",
        from(bucket, from_time, to, &of_series(series)),
    );
    for aggregate in AGGREGATES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            flux,
            "data |> aggregateWindow(every: {width_us}us, offset: {offset_us}us, fn: {aggregate}, \
             timeSrc: \"_start\", createEmpty: false) |> yield(name: \"{aggregate}\")",
        );
    }
    flux
}

/// The first and the last reading of a series.
pub(crate) fn extent(bucket: &str, series: &SeriesKey) -> String {
    let data = from(bucket, Timestamp::MIN, Timestamp::MAX, &of_series(series));
    format!(
        "data = {data}\n\
         data |> first() |> yield(name: \"first\")\n\
         data |> last() |> yield(name: \"last\")\n"
    )
}

/// Count, first and last reading of every series.
pub(crate) fn series(bucket: &str, device: Option<&DeviceId>) -> String {
    let filter = device.map_or_else(String::new, |device| {
        format!(" and r.device == {}", quoted(device.as_str()))
    });
    let data = from(bucket, Timestamp::MIN, Timestamp::MAX, &filter);
    format!(
        "data = {data}\n\
         data |> count() |> yield(name: \"count\")\n\
         data |> first() |> yield(name: \"first\")\n\
         data |> last() |> yield(name: \"last\")\n"
    )
}

/// The last reading of each of some series.
pub(crate) fn last(bucket: &str, series: &[SeriesKey]) -> String {
    let mut filter = " and (".to_owned();
    for (at, key) in series.iter().enumerate() {
        let or = if at == 0 { "" } else { " or " };
        let _ = write!(
            filter,
            "{or}(r.device == {} and r._field == {})",
            quoted(key.device.as_str()),
            quoted(&field_of(key.signal.as_str())),
        );
    }
    filter.push(')');
    format!(
        "{} |> last()\n",
        from(bucket, Timestamp::MIN, Timestamp::MAX, &filter)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use telemetry::SignalName;

    use super::*;

    #[test]
    fn text_cannot_leave_its_quotes() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            (r#"a" or true or ""#, r#""a\" or true or \"""#),
            ("${secrets.get()}", r#""\${secrets.get()}""#),
            (r"\", r#""\\""#),
            ("a\nb", r#""a\nb""#),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }

    proptest! {
        #[test]
        fn a_quoted_text_has_no_bare_quote_dollar_or_line_end(text in any::<String>()) {
            let literal = quoted(&text);
            let inner = &literal[1..literal.len() - 1];
            let mut escaped = false;
            for c in inner.chars() {
                prop_assert!(escaped || !matches!(c, '"' | '$'));
                prop_assert!(!matches!(c, '\n' | '\r'));
                escaped = c == '\\' && !escaped;
            }
            prop_assert!(!escaped);
        }

        #[test]
        fn windows_begin_where_the_parts_do(
            from in -1i64 << 50..1 << 50, length in 1i64..1 << 45, count in 1u32..2000, at in 0f64..1.0,
        ) {
            let series = SeriesKey {
                device: DeviceId::new("d").unwrap(),
                signal: SignalName::new("s").unwrap(),
            };
            let (start, to) = (Timestamp::from_micros(from), Timestamp::from_micros(from + length));
            let grid = Grid::new(start, to, count).unwrap();
            let text = buckets("b", &series, start, to, &grid);
            let number = |after: &str| -> i64 {
                text.split_once(after).unwrap().1.split_once("us").unwrap().0.parse().unwrap()
            };
            let (width, offset) = (number("every: "), number("offset: "));
            prop_assert!((0..width).contains(&offset));
            // The window the server puts a reading into, cut by the range, is the grid's part.
            let at = from + (length as f64 * at) as i64;
            let window = at - (at - offset).rem_euclid(width);
            let part = grid.part(Timestamp::from_micros(at)).unwrap();
            prop_assert_eq!(window.max(from), part.0.as_micros());
            prop_assert_eq!((window + width).min(from + length), part.1.as_micros());
        }
    }

    #[test]
    fn a_query_reads_as_documented() {
        let series = SeriesKey {
            device: DeviceId::new("pump-1").unwrap(),
            signal: SignalName::new("time").unwrap(),
        };
        let (from, to) = (Timestamp::from_secs(1), Timestamp::from_micros(2_000_001));
        assert_eq!(
            range("b", &series, from, to, 10),
            "from(bucket: \"b\") |> range(start: time(v: 1000000000), stop: time(v: 2000001000)) \
             |> filter(fn: (r) => r._measurement == \"reading\" and r.device == \"pump-1\" and \
             r._field == \"~time\") |> keep(columns: [\"_time\", \"_value\"]) \
             |> sort(columns: [\"_time\"]) |> limit(n: 10)"
        );
    }
}
