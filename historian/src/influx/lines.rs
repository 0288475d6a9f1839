//! Readings as InfluxDB line protocol.
//!
//! One line is one row: what one device measured at one instant.
//!
//! ```text
//! reading,device=pump-7 bearing_temperature_c=61.25,discharge_pressure_bar=4.0 1767225600000000
//! ```
//!
//! The measurement is fixed, the device is the only tag, every signal is a field and the time
//! counts microseconds (`precision=us`). Values are written with the fewest digits that give
//! the same 64 bits back, so what is read again equals what was measured.
//!
//! `InfluxDB` keeps the field name `time` and names that begin with an underscore for itself.
//! Signals of these names, and those that begin with the mark itself, get a `~` in front, which
//! is taken off when they are read: no two signals share a field.

use std::{borrow::Cow, io::Write};

use telemetry::Timestamp;

/// The measurement every reading is written to.
pub(crate) const MEASUREMENT: &str = "reading";

/// Stands before names the server keeps for itself.
const MARK: char = '~';

/// The earliest time the server holds: its times are 64-bit nanoseconds, two kept for itself.
pub(crate) const MIN_TIME: Timestamp = Timestamp::from_micros(i64::MIN / 1_000 + 1);
/// The latest time the server holds.
pub(crate) const MAX_TIME: Timestamp = Timestamp::from_micros(i64::MAX / 1_000 - 1);

/// The field a signal is written to.
pub(crate) fn field_of(signal: &str) -> Cow<'_, str> {
    if signal == "time" || signal.starts_with(['_', MARK]) {
        Cow::Owned(format!("{MARK}{signal}"))
    } else {
        Cow::Borrowed(signal)
    }
}

/// The signal a field was written for.
pub(crate) fn signal_of(field: &str) -> &str {
    field.strip_prefix(MARK).unwrap_or(field)
}

/// The field key of a signal as it stands in a line.
pub fn field_key(signal: &str) -> Box<[u8]> {
    let field = field_of(signal);
    let mut key = Vec::with_capacity(field.len() + 2);
    for byte in field.bytes() {
        if matches!(byte, b',' | b'=' | b' ' | b'\\') {
            key.push(b'\\');
        }
        key.push(byte);
    }
    key.into()
}

/// Lines with their ends, so that a part of them can be sent again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
    /// Per line: where it ends in `text`, and how many readings it and all before it hold.
    ends: Vec<(usize, usize)>,
}

impl Lines {
    /// Adds a line; one without fields is not kept. `device` is an id and needs no escape; field
    /// keys come from [`field_key`], values are finite.
    pub(crate) fn push<'a>(
        &mut self,
        device: &str,
        fields: impl Iterator<Item = (&'a [u8], f64)>,
        at: Timestamp,
    ) {
        let start = self.text.len();
        self.text.extend_from_slice(MEASUREMENT.as_bytes());
        self.text.extend_from_slice(b",device=");
        self.text.extend_from_slice(device.as_bytes());
        let mut readings = 0;
        for (key, value) in fields {
            self.text.push(if readings == 0 { b' ' } else { b',' });
            self.text.extend_from_slice(key);
            // Writing to memory cannot fail. `{:?}` is the shortest form with an exponent
            // where `{}` would write three hundred digits.
            let _ = write!(self.text, "={value:?}");
            readings += 1;
        }
        if readings == 0 {
            self.text.truncate(start);
            return;
        }
        let _ = writeln!(self.text, " {}", at.as_micros());
        let before = self.readings();
        self.ends.push((self.text.len(), before + readings));
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of lines.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of readings in all lines.
    pub(crate) fn readings(&self) -> usize {
        self.ends.last().map_or(0, |&(_, readings)| readings)
    }

    /// The number of bytes of all lines.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The text of some lines.
    pub(crate) fn text(&self, lines: std::ops::Range<usize>) -> &[u8] {
        let end = |line: usize| {
            let line = line.checked_sub(1).and_then(|line| self.ends.get(line));
            line.map_or(0, |&(end, _)| end)
        };
        self.text
            .get(end(lines.start)..end(lines.end))
            .unwrap_or_default()
    }

    /// The number of readings in some lines.
    pub(crate) fn readings_in(&self, lines: std::ops::Range<usize>) -> usize {
        let until = |line: usize| {
            let line = line.checked_sub(1).and_then(|line| self.ends.get(line));
            line.map_or(0, |&(_, readings)| readings)
        };
        until(lines.end).saturating_sub(until(lines.start))
    }
}

/// One line as several, each with one of its fields: when a server refuses a line for one field,
/// the others can still be kept.
pub(crate) fn split_fields(line: &[u8]) -> Lines {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let spaces = unescaped(line, b' ');
    let (Some(&first), Some(&last)) = (spaces.first(), spaces.last()) else {
        return Lines::default();
    };
    let (head, fields, time) = (&line[..first], &line[first + 1..last], &line[last..]);
    let mut lines = Lines::default();
    let mut start = 0;
    for end in unescaped(fields, b',').into_iter().chain([fields.len()]) {
        for part in [head, b" ", &fields[start..end], time, b"\n"] {
            lines.text.extend_from_slice(part);
        }
        lines.ends.push((lines.text.len(), lines.ends.len() + 1));
        start = end + 1;
    }
    lines
}

/// Where a byte stands without a backslash before it. Nothing we write is quoted.
fn unescaped(text: &[u8], wanted: u8) -> Vec<usize> {
    let mut found = Vec::new();
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        if byte == wanted && !escaped {
            found.push(at);
        }
        escaped = byte == b'\\' && !escaped;
    }
    found
}

#[cfg(test)]
mod tests {
    use influxdb_line_protocol::{FieldValue, parse_lines};
    use proptest::prelude::*;
    use telemetry::SignalName;

    use super::*;

    /// Device, signals with values, time.
    type Row = (String, Vec<(String, f64)>, i64);
    /// The same with the bits of the values.
    type Bits = (String, Vec<(String, u64)>, i64);

    fn signal() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            "time", "_value", "~x", "~", "a b", "a,b", "a=b", "°C", "温度",
        ]);
        prop_oneof![
            odd.prop_map(str::to_owned),
            "[a-zA-Z0-9 ,=°_~.:;'()-]{1,20}"
                .prop_filter("a name", |name| SignalName::new(name).is_ok()),
        ]
    }

    fn row() -> impl Strategy<Value = Row> {
        let value = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
        (
            "[A-Za-z0-9._-]{1,64}",
            prop::collection::vec((signal(), value), 1..6),
            MIN_TIME.as_micros()..=MAX_TIME.as_micros(),
        )
    }

    fn encode(rows: &[Row]) -> Lines {
        let mut lines = Lines::default();
        for (device, fields, at) in rows {
            let keys: Vec<_> = fields
                .iter()
                .map(|(signal, value)| (field_key(signal), *value))
                .collect();
            let fields = keys.iter().map(|(key, value)| (&**key, *value));
            lines.push(device, fields, Timestamp::from_micros(*at));
        }
        lines
    }

    fn parsed(text: &[u8]) -> Vec<Bits> {
        let text = std::str::from_utf8(text).unwrap();
        parse_lines(text)
            .map(|line| {
                let line = line.unwrap();
                assert_eq!(line.series.measurement, MEASUREMENT);
                let fields = line.field_set.iter().map(|(key, value)| match value {
                    FieldValue::F64(value) => (signal_of(key.as_str()).to_owned(), value.to_bits()),
                    other => panic!("{other:?} is no float"),
                });
                (
                    line.tag_value("device").unwrap().to_string(),
                    fields.collect(),
                    line.timestamp.unwrap(),
                )
            })
            .collect()
    }

    fn bits(rows: &[Row]) -> Vec<Bits> {
        rows.iter()
            .map(|(device, fields, at)| {
                let fields = fields
                    .iter()
                    .map(|(signal, value)| (signal.clone(), value.to_bits()));
                (device.clone(), fields.collect(), *at)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn an_independent_parser_reads_back_every_bit(rows in prop::collection::vec(row(), 0..20)) {
            let lines = encode(&rows);
            prop_assert_eq!(parsed(&lines.text), bits(&rows));
            prop_assert_eq!(lines.len(), rows.len());
        }

        #[test]
        fn any_part_of_the_lines_can_be_sent_alone(
            rows in prop::collection::vec(row(), 1..20), a in 0usize..20, b in 0usize..20,
        ) {
            let lines = encode(&rows);
            let (from, to) = (a.min(b).min(rows.len()), a.max(b).min(rows.len()));
            prop_assert_eq!(parsed(lines.text(from..to)), bits(&rows[from..to]));
            let readings: usize = rows[from..to].iter().map(|(_, fields, _)| fields.len()).sum();
            prop_assert_eq!(lines.readings_in(from..to), readings);
        }

        #[test]
        fn the_fields_of_a_line_can_be_sent_one_by_one(row in row()) {
            let lines = encode(std::slice::from_ref(&row));
            let single = split_fields(lines.text(0..1));
            let (device, fields, at) = row;
            let expected: Vec<_> = fields
                .into_iter()
                .map(|field| (device.clone(), vec![field], at))
                .collect();
            prop_assert_eq!(parsed(&single.text), bits(&expected));
            prop_assert_eq!(single.readings(), single.len());
        }

        #[test]
        fn no_two_signals_share_a_field(a in signal(), b in signal()) {
            prop_assert_eq!(a == b, field_of(&a) == field_of(&b));
            let field = field_of(&a);
            prop_assert!(field != "time" && !field.starts_with('_'));
            prop_assert_eq!(signal_of(&field), a.as_str());
        }
    }

    #[test]
    fn a_line_looks_as_documented() {
        let row = (
            "pump-7".to_owned(),
            vec![
                ("bearing_temperature_c".to_owned(), 61.25),
                ("Volume Flow RateRMS".to_owned(), -0.0),
                ("time".to_owned(), 1e300),
            ],
            1_767_225_600_000_000,
        );
        assert_eq!(
            std::str::from_utf8(&encode(&[row]).text).unwrap(),
            "reading,device=pump-7 bearing_temperature_c=61.25,Volume\\ Flow\\ RateRMS=-0.0,\
             ~time=1e300 1767225600000000\n"
        );
    }
}
