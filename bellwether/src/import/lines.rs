//! `InfluxDB` line protocol.
//!
//! The device is the tag `device` (or the one named by `--device-column`). What `bellwether export`
//! and the `InfluxDB` adapter write, `reading,device=<id> <signal>=<value>`, comes back as it was;
//! a field of another measurement becomes the signal `measurement.field`, or `measurement` when the
//! field is named `value`, as when lines come over MQTT or HTTP. Whole numbers become floats when they fit exactly; texts
//! and booleans are refused. A tag beside the device would tell series apart that have the same
//! key here, so it is refused unless `--ignore` names it.

use std::{
    borrow::Cow,
    io::{Read, Seek, SeekFrom},
};

use anyhow::{Context, Result};
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use telemetry::Timestamp;

use super::{
    Options, Precision,
    piece::{Piece, Place, in_calendar},
};

/// Bytes read from the file in one go, and the longest line.
const READ_BYTES: usize = 4 << 20;
/// Whole numbers up to here are exact as floats.
const EXACT: u64 = 1 << 53;

/// A file of line protocol that is being read.
pub(crate) struct LineSource<R> {
    file: R,
    options: Options,
    input: Vec<u8>,
    /// The part of `input` not yet read.
    unread: std::ops::Range<usize>,
    at_end: bool,
    place: Place,
}

impl<R: Read + Seek> LineSource<R> {
    /// Goes to `place`, which is the start or what a piece said.
    pub(crate) fn open(mut file: R, options: &Options, place: Place) -> Result<Self> {
        file.seek(SeekFrom::Start(place.offset))?;
        Ok(Self {
            file,
            options: options.clone(),
            input: vec![0; READ_BYTES],
            unread: 0..0,
            at_end: false,
            place,
        })
    }

    /// The next piece; none at the end.
    pub(crate) fn next(&mut self, now: Timestamp) -> Result<Option<Piece>> {
        let mut piece = Piece::new(now);
        let mut any = false;
        while !piece.is_full() {
            let Some(line) = self.line(&mut piece)? else {
                break;
            };
            any = true;
            let text = self.input[line].to_vec();
            take(&text, self.place.line, now, &self.options, &mut piece);
        }
        piece.close_row();
        piece.place = self.place;
        Ok((any || !piece.is_empty()).then_some(piece))
    }

    /// Where the next line stands in `input`; none at the end.
    fn line(&mut self, piece: &mut Piece) -> Result<Option<std::ops::Range<usize>>> {
        loop {
            let unread = &self.input[self.unread.clone()];
            let end = memchr::memchr(b'\n', unread);
            let length = match end {
                Some(end) => end + 1,
                None if self.at_end || unread.len() == self.input.len() => unread.len(),
                None => {
                    self.fill()?;
                    continue;
                }
            };
            if length == 0 {
                return Ok(None);
            }
            let line = self.unread.start..self.unread.start + length;
            self.unread.start += length;
            self.place.offset += length as u64;
            self.place.line += 1;
            if end.is_none() && !self.at_end {
                let reason = format!("the line is longer than {READ_BYTES} bytes");
                piece.reject(self.place.line, None, reason, &self.input[line][..200]);
                continue;
            }
            return Ok(Some(line));
        }
    }

    fn fill(&mut self) -> Result<()> {
        self.input.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let read = self
            .file
            .read(&mut self.input[self.unread.end..])
            .context("cannot read the file")?;
        self.unread.end += read;
        self.at_end = read == 0;
        Ok(())
    }
}

fn take(line: &[u8], number: u64, now: Timestamp, options: &Options, piece: &mut Piece) {
    let Ok(text) = std::str::from_utf8(line) else {
        return piece.reject(number, None, "the line is not UTF-8", line);
    };
    if text.trim().is_empty() || text.starts_with('#') {
        return;
    }
    for parsed in parse_lines(text) {
        match parsed {
            Ok(parsed) => {
                if let Err(problem) = take_line(&parsed, text, number, now, options, piece) {
                    piece.reject(number, None, problem, line);
                }
            }
            Err(error) => piece.reject(number, None, error.to_string(), line),
        }
    }
}

fn take_line(
    line: &ParsedLine<'_>,
    text: &str,
    number: u64,
    now: Timestamp,
    options: &Options,
    piece: &mut Piece,
) -> Result<(), String> {
    let device_tag = options.device_column.as_deref().unwrap_or("device");
    let mut device = options
        .device
        .as_ref()
        .map(|device| device.as_str().to_owned());
    for (key, value) in line.series.tag_set.iter().flatten() {
        if key.as_str() == device_tag {
            device = device.or_else(|| Some(value.as_str().to_owned()));
        } else if !options.ignore.iter().any(|ignored| key.as_str() == ignored) {
            return Err(format!(
                "the tag {:?} tells series apart that would be one here; --ignore leaves it out",
                key.as_str()
            ));
        }
    }
    let device = device.ok_or_else(|| format!("there is no tag {device_tag:?} and no --device"))?;
    let device = piece.device(device.as_bytes())?;
    let at = match line.timestamp {
        Some(count) => time_of(count, options.precision),
        None => Some(now),
    };
    let at = at
        .and_then(in_calendar)
        .ok_or("the time lies outside the calendar")?;
    let measurement = line.series.measurement.as_str();
    for (column, (key, value)) in line.field_set.iter().enumerate() {
        let field = key.as_str();
        let signal = match field {
            field if measurement == "reading" => field.strip_prefix('~').unwrap_or(field).into(),
            "value" => Cow::Borrowed(measurement),
            field => Cow::Owned(format!("{measurement}.{field}")),
        };
        let taken = number_of(value).and_then(|value| {
            let signal = piece.signal(signal.as_bytes())?;
            piece.push(device, at, signal, value);
            Ok(())
        });
        if let Err(problem) = taken {
            piece.reject(number, Some((column, field)), problem, text.as_bytes());
        }
    }
    Ok(())
}

fn number_of(value: &FieldValue<'_>) -> Result<f64, String> {
    let exact = |size: u64| size <= EXACT;
    match value {
        FieldValue::F64(number) if number.is_finite() => Ok(*number),
        FieldValue::I64(number) if exact(number.unsigned_abs()) => Ok(*number as f64),
        FieldValue::U64(number) if exact(*number) => Ok(*number as f64),
        FieldValue::I64(_) | FieldValue::U64(_) => {
            Err("the whole number does not fit a float exactly".to_owned())
        }
        FieldValue::F64(_) => Err("the number is not finite".to_owned()),
        FieldValue::String(_) | FieldValue::Boolean(_) => Err("the field is no number".to_owned()),
    }
}

fn time_of(count: i64, precision: Precision) -> Option<Timestamp> {
    let micros = match precision {
        Precision::Ns => count.div_euclid(1_000),
        Precision::Us => count,
        Precision::Ms => count.checked_mul(1_000)?,
        Precision::S => count.checked_mul(1_000_000)?,
    };
    Some(Timestamp::from_micros(micros))
}
