//! `SenML` (RFC 8428) in JSON and CBOR: one resolver over records of either.
//!
//! * Base fields stand until another record changes them. A value is `bv + v`, a time `bt + t`,
//!   a name `bn` followed by `n`, a unit `u` or else `bu`. Times below 2^28 are seconds relative
//!   to now (section 4.5.3), others seconds since 1970.
//! * A version above 10 and a label that ends in `_` (section 4.4: must be understood) refuse
//!   the pack whole; other unknown labels are ignored.
//! * `v` is a reading, `s` (the sum over time) one of the signal `name.sum`. Texts, booleans
//!   and data (`vs`, `vb`, `vd`) are refused one by one.
//!
//! **Names.** A name up to its last `:` or `/` says whose reading it is, the rest is the signal:
//! `pump-7/temp` is the signal `temp` of `pump-7`; a name without either is the topic's
//! device's. In a device URN (RFC 9039) the type and the identifier are the device, what
//! follows the signal: `urn:dev:ow:10e2073a01080063:voltage` is `voltage` of
//! `ow-10e2073a01080063`. A name that is an IPv6 address is a device's too, as in section 5.1.7.
//! What has no signal left is called `value`.
//!
//! **Units** are those of the registry, and there `%` is the old name of `/`: a ratio of which
//! one is the whole (table 6, note 1). A hundredth is `/100` (RFC 8798).

mod cbor;
mod json;

use std::net::Ipv6Addr;

use telemetry::{DeadLetterReason as Reason, DeviceId, Timestamp};

use super::{names::device_id, refuse::quote, sink::Sink};

/// Records of one pack; as many as an array of the default format may have.
const MAX_RECORDS: usize = 10_000;

/// The version this reads (RFC 8428, section 4.4).
const VERSION: i64 = 10;

/// Times below this many seconds are relative to now (RFC 8428, section 4.5.3).
const RELATIVE_BELOW_S: f64 = 268_435_456.0;

/// How a pack is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Cbor,
}

impl Encoding {
    /// A JSON pack begins with a bracket, and no CBOR array does.
    pub(super) fn sniff(bytes: &[u8]) -> Self {
        match bytes.trim_ascii_start().first() {
            Some(0x80..) => Self::Cbor,
            _ => Self::Json,
        }
    }
}

/// One record as it is written.
#[derive(Debug, Default, PartialEq)]
struct Record {
    base_name: Option<String>,
    base_time: Option<f64>,
    base_unit: Option<String>,
    base_value: Option<f64>,
    base_sum: Option<f64>,
    version: Option<i64>,
    name: Option<String>,
    unit: Option<String>,
    value: Option<f64>,
    sum: Option<f64>,
    time: Option<f64>,
    /// A value that is no number: `vs`, `vb` or `vd`.
    other: Option<&'static str>,
}

/// What stands in a pack and refuses it whole.
#[derive(Debug)]
struct BadPack(String);

/// The base fields that stand now.
#[derive(Debug, Default)]
struct Base {
    name: String,
    time: f64,
    unit: Option<String>,
    value: f64,
    sum: Option<f64>,
}

pub(super) fn decode(sink: &mut Sink<'_>, encoding: Encoding, topic_device: u32) {
    let payload = sink.message.payload;
    if payload.is_empty() {
        sink.refuse(Reason::EmptyPayload, || {
            "the payload is empty; send at least one record".into()
        });
        return;
    }
    let records = match encoding {
        Encoding::Json => json::records(payload),
        Encoding::Cbor => cbor::records(payload),
    };
    let records = match records.and_then(checked) {
        Ok(records) => records,
        Err(BadPack(problem)) => {
            sink.refuse(Reason::MalformedPayload, || {
                format!("no SenML pack: {problem}; send an array of records (RFC 8428)")
            });
            return;
        }
    };
    if records.is_empty() {
        sink.refuse(Reason::EmptyPayload, || {
            "the pack is empty; send at least one record".into()
        });
        return;
    }
    let mut base = Base::default();
    let mut readings = 0;
    for (at, record) in records.into_iter().enumerate() {
        readings += usize::from(record.says_something());
        base.update(&record);
        if record.says_something() {
            take(sink, &base, (at, &record), topic_device);
        }
    }
    if readings == 0 {
        sink.refuse(Reason::EmptyPayload, || {
            "no record of the pack has a value; send v".into()
        });
    }
}

fn checked(records: Vec<Record>) -> Result<Vec<Record>, BadPack> {
    let mut versions = records.iter().filter_map(|record| record.version);
    if let Some(version) = versions.find(|&version| !(1..=VERSION).contains(&version)) {
        return Err(BadPack(format!(
            "version {version} is not known, {VERSION} is the newest"
        )));
    }
    Ok(records)
}

impl Record {
    fn says_something(&self) -> bool {
        self.value.is_some() || self.sum.is_some() || self.other.is_some()
    }
}

impl Base {
    fn update(&mut self, record: &Record) {
        if let Some(name) = &record.base_name {
            self.name.clone_from(name);
        }
        if let Some(unit) = &record.base_unit {
            self.unit = Some(unit.clone());
        }
        self.time = record.base_time.unwrap_or(self.time);
        self.value = record.base_value.unwrap_or(self.value);
        self.sum = record.base_sum.or(self.sum);
    }
}

fn take(sink: &mut Sink<'_>, base: &Base, (at, record): (usize, &Record), topic_device: u32) {
    let name = format!(
        "{}{}",
        base.name,
        record.name.as_deref().unwrap_or_default()
    );
    if !is_name(&name) {
        sink.refuse(Reason::InvalidSignal, || {
            format!(
                "$[{at}]: the name {} is empty or holds what RFC 8428 section 4.5.1 does not allow",
                quote(&name)
            )
        });
        return;
    }
    if let Some(what) = record.other {
        sink.refuse(Reason::InvalidValue, || {
            format!("$[{at}] {} is {what}; send a number as v", quote(&name))
        });
        if record.sum.is_none() {
            return;
        }
    }
    let time = base.time + record.time.unwrap_or_default();
    let at_time = match resolve_time(time, sink.message.received_at) {
        Ok(at) => at,
        Err(problem) => {
            sink.refuse(Reason::InvalidTimestamp, || {
                format!("$[{at}] {}: the time {time} {problem}", quote(&name))
            });
            return;
        }
    };
    let (device, signal) = match place(&name) {
        Ok((None, signal)) => (topic_device, signal),
        Ok((Some(device), signal)) => (sink.devices.place(&device), signal),
        Err(problem) => {
            sink.refuse(Reason::InvalidSignal, || format!("$[{at}]: {problem}"));
            return;
        }
    };
    if !sink.enter(device) {
        return;
    }
    let unit = record.unit.as_deref().or(base.unit.as_deref());
    if let Some(value) = record.value {
        push(sink, &signal, base.value + value, unit);
    }
    if let Some(sum) = record.sum {
        push(
            sink,
            &format!("{signal}.sum"),
            base.sum.unwrap_or_default() + sum,
            None,
        );
    }
    let device = sink.devices.id(device).clone();
    sink.finish_row(&device, at_time);
}

fn push(sink: &mut Sink<'_>, signal: &str, value: f64, unit: Option<&str>) {
    if !value.is_finite() {
        sink.refuse(Reason::InvalidValue, || {
            format!("{signal} is too large for 64-bit floating point; send a finite number")
        });
        return;
    }
    if let Some(signal) = sink.signal(signal) {
        let unit = unit.filter(|unit| !unit.is_empty());
        sink.push(signal, value, unit.map(registered));
    }
}

/// The name of a unit outside of `SenML`, where `%` is a hundredth.
fn registered(unit: &str) -> &str {
    if unit == "%" { "/" } else { unit }
}

/// Letters, digits and `- : . / _`, beginning with a letter or a digit (section 4.5.1).
fn is_name(name: &str) -> bool {
    name.as_bytes()
        .first()
        .is_some_and(u8::is_ascii_alphanumeric)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-:./_".contains(&byte))
}

/// A time in seconds, rounded to microseconds.
fn resolve_time(time: f64, now: Timestamp) -> Result<Timestamp, &'static str> {
    let micros = (time * 1e6).round();
    // `as` saturates, and what is out of range is out of the calendar too.
    let at = if time < RELATIVE_BELOW_S {
        Timestamp::from_micros(now.as_micros().saturating_add(micros as i64))
    } else {
        Timestamp::from_micros(micros as i64)
    };
    if !micros.is_finite() || !at.is_in_calendar() {
        return Err("lies outside the years 1 to 9999; send seconds since 1970 or relative to now");
    }
    Ok(at)
}

/// Whose reading a name says it is, and which signal.
fn place(name: &str) -> Result<(Option<DeviceId>, String), String> {
    const NO_SIGNAL: &str = "value";
    let or_value = |signal: &str| {
        if signal.is_empty() {
            NO_SIGNAL.to_owned()
        } else {
            signal.to_owned()
        }
    };
    if let Some(urn) = name.strip_prefix("urn:dev:")
        && let Some((kind, rest)) = urn.split_once(':')
    {
        let end = rest.find([':', '/', '_', ';']).unwrap_or(rest.len());
        let (identifier, signal) = rest.split_at(end);
        let signal = signal
            .trim_matches([':', '/', '_', ';'])
            .replace([':', '/'], ".");
        let device = device_id(&[format!("{kind}-{identifier}").as_str()])?;
        return Ok((Some(device), or_value(&signal)));
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        return Ok((Some(device_id(&[name])?), NO_SIGNAL.to_owned()));
    }
    let Some(cut) = name.rfind([':', '/']) else {
        return Ok((None, name.to_owned()));
    };
    let (prefix, signal) = (name[..cut].trim_end_matches([':', '/']), &name[cut + 1..]);
    Ok((Some(device_id(&[prefix])?), or_value(signal)))
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
