//! `InfluxDB` line protocol: `measurement[,tag=value…] field=value[,field=value…] [time]`.
//!
//! * The device is the tag `device` (configurable), else the topic's. A signal is called
//!   `measurement.field`; just `field` in the measurement `reading`, and just `measurement`
//!   when the field is `value`. Every other tag becomes a part of the name, in the order of
//!   their keys (`cpu.usage,core=0`), because two series must never become one.
//! * Times are nanoseconds unless the property `precision` says `us`, `ms` or `s`. They are kept
//!   in microseconds.
//! * Numbers, integers (`5i`) and unsigned integers (`5u`) are values. Booleans, texts, `NaN`
//!   and infinities are refused, their siblings kept. A line that is none is refused, the
//!   other lines are kept.
//!
//! This is the path of bulk loads, so nothing is allocated for a series that was seen before:
//! a line starts with its series, and the bytes up to the first space lead to the device and
//! its signals (see [`series`]). Senders repeat their series in the same order, so the one
//! after the last is tried before any hash.

mod number;
mod series;

use memchr::memchr;
use telemetry::{DeadLetterReason as Reason, Timestamp};

use super::{LineOptions, paths::TimeUnit, refuse::quote, sink::Sink};
use number::Parsed;
pub(super) use series::SeriesCache;

/// A longer line is refused: a thousand fields of sixty bytes fit.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Fields of one line, as many as an object of the default format may have.
const MAX_FIELDS: usize = 1_000;

/// What is wrong with a line.
type Wrong = (Reason, String);

pub(super) fn decode(
    sink: &mut Sink<'_>,
    series: &mut SeriesCache,
    options: &LineOptions,
    topic_device: u32,
) {
    let precision = match sink.message.property("precision") {
        None | Some("") => TimeUnit::Ns,
        Some(text) => {
            let Some(unit) = TimeUnit::parse(text) else {
                sink.refuse(Reason::InvalidTimestamp, || {
                    format!(
                        "the precision {} is none; send ns, us, ms or s",
                        quote(text)
                    )
                });
                return;
            };
            unit
        }
    };
    series.begin(topic_device, options);
    let payload = sink.message.payload;
    let (mut start, mut number, mut lines) = (0, 0_usize, 0_usize);
    while start < payload.len() {
        number += 1;
        let end = end_of_line(&payload[start..]).map_or(payload.len(), |len| start + len);
        let line = trim(&payload[start..end]);
        start = end + 1;
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        lines += 1;
        let taken = Line {
            sink: &mut *sink,
            series: &mut *series,
            options,
            precision,
            number,
        }
        .take(line);
        if let Err((reason, detail)) = taken {
            sink.batch.abandon_row();
            sink.refuse(reason, || format!("line {number}: {detail}"));
        }
    }
    if lines == 0 {
        sink.refuse(Reason::EmptyPayload, || {
            "the payload holds no line; send at least one".into()
        });
    }
}

/// The end of a line: a newline that stands in no quoted text.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let end = memchr(b'\n', bytes)?;
    if memchr(b'"', &bytes[..end]).is_none() {
        return Some(end);
    }
    // Quotes count only after the series, where fields begin; before it they are plain.
    let fields = unescaped(bytes, b' ').unwrap_or(0);
    let (mut quoted, mut at) = (false, fields.min(end));
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    // A quote that is never closed spoils its own line only.
    Some(end)
}

fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// The first place of a byte that no backslash stands before.
fn unescaped(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(wanted, &bytes[from..])?;
        let backslashes = bytes[..at]
            .iter()
            .rev()
            .take_while(|&&byte| byte == b'\\')
            .count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// One line at work.
struct Line<'l, 'm> {
    sink: &'l mut Sink<'m>,
    series: &'l mut SeriesCache,
    options: &'l LineOptions,
    precision: TimeUnit,
    number: usize,
}

impl Line<'_, '_> {
    fn take(&mut self, line: &[u8]) -> Result<(), Wrong> {
        if line.len() > MAX_LINE_BYTES {
            return Err((
                Reason::TooLarge,
                format!("longer than {MAX_LINE_BYTES} bytes; send shorter lines"),
            ));
        }
        let split = unescaped(line, b' ')
            .ok_or_else(|| malformed("no fields stand after the series", line))?;
        let (head, mut rest) = (&line[..split], line[split + 1..].trim_ascii_start());
        let series = self.series.find(head, self.sink, self.options)?;
        let device = self.series.device(series);
        if !self.sink.enter(device) {
            // The refusal is noted once a message, for all lines of the device.
            return Ok(());
        }
        let first = self.sink.batch.reading_count();
        let mut refused = false;
        for field in 0.. {
            if field >= MAX_FIELDS {
                return Err((
                    Reason::MalformedPayload,
                    format!("more than {MAX_FIELDS} fields; send several lines"),
                ));
            }
            let equals =
                unescaped(rest, b'=').ok_or_else(|| malformed("expected field=value", rest))?;
            let (key, value) = (&rest[..equals], &rest[equals + 1..]);
            if key.is_empty()
                || unescaped(key, b' ')
                    .or_else(|| unescaped(key, b','))
                    .is_some()
            {
                return Err(malformed("expected field=value", rest));
            }
            let (parsed, len) =
                number::read(value).ok_or_else(|| malformed("no value stands after =", rest))?;
            match parsed {
                Parsed::Number(value) => {
                    self.value(series, field, key, value, first, &mut refused)?;
                }
                other => {
                    refused = true;
                    self.refuse_value(key, other, &value[..len]);
                }
            }
            rest = &value[len..];
            match rest.first() {
                Some(b',') => rest = &rest[1..],
                Some(b' ') | None => break,
                Some(_) => {
                    return Err(malformed(
                        "expected a comma or a space after the value",
                        rest,
                    ));
                }
            }
        }
        let at = self.time(rest.trim_ascii())?;
        if self.sink.batch.reading_count() == first && !refused {
            return Err((Reason::EmptyPayload, "no field holds a value".into()));
        }
        let device = self.sink.devices.id(device);
        let device = self.series.device_id(series, self.sink.batch, device);
        self.sink
            .batch
            .finish_row(device, at, self.sink.message.received_at);
        Ok(())
    }

    fn value(
        &mut self,
        series: usize,
        field: usize,
        key: &[u8],
        value: f64,
        first: usize,
        refused: &mut bool,
    ) -> Result<(), Wrong> {
        match self.series.signal(series, field, key, self.sink.batch) {
            Ok(signal) => {
                if self.sink.batch.columns().signal[first..].contains(&signal) {
                    return Err(malformed("a field stands twice in one line", key));
                }
                self.sink.batch.push_value(signal, value);
            }
            Err(detail) => {
                *refused = true;
                let number = self.number;
                self.sink
                    .refuse(Reason::InvalidSignal, || format!("line {number}: {detail}"));
            }
        }
        Ok(())
    }

    fn refuse_value(&mut self, key: &[u8], parsed: Parsed, text: &[u8]) {
        let number = self.number;
        self.sink.refuse(Reason::InvalidValue, || {
            let what = match parsed {
                Parsed::Boolean => "true or false",
                Parsed::Text => "a text",
                Parsed::Number(_) | Parsed::NotFinite => "not finite",
                Parsed::Bad => "no number",
            };
            format!(
                "line {number}: field {} is {what} ({}); send a finite number",
                show(key),
                show(text)
            )
        });
    }

    fn time(&self, text: &[u8]) -> Result<Timestamp, Wrong> {
        if text.is_empty() {
            return Ok(self.sink.message.received_at);
        }
        let wrong = || {
            let detail = format!(
                "the time {} is no whole number of the precision inside the years 1 to 9999",
                show(text)
            );
            (Reason::InvalidTimestamp, detail)
        };
        let count = number::integer(text).ok_or_else(wrong)?;
        let micros = self.precision.whole_micros(count).ok_or_else(wrong)?;
        let at = Timestamp::from_micros(micros);
        if at.is_in_calendar() {
            Ok(at)
        } else {
            Err(wrong())
        }
    }
}

fn malformed(problem: &str, near: &[u8]) -> Wrong {
    (
        Reason::MalformedPayload,
        format!("{problem} (near {})", show(near)),
    )
}

fn show(bytes: &[u8]) -> String {
    quote(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]))
}

#[cfg(test)]
mod tests;
