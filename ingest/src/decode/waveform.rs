//! Vibration snapshots: samples of one sensor at a fixed rate.
//!
//! Three forms carry the same words (`sample_rate_hz`, `signal`, `axis`, `unit`, `ts`,
//! `encoding` = `f32le` or `i16le`, and `scale`, by which each `i16le` count is multiplied):
//!
//! * **properties**: the payload is the samples and nothing else, the words are MQTT 5 user
//!   properties or HTTP query parameters; it is this form when `sample_rate_hz` is among them;
//! * **header**: one JSON object on one line, a newline (0x0A), and the samples;
//! * **JSON**: one object with the words and `samples` as an array of numbers.
//!
//! The signal may also be the topic's. A snapshot is taken or refused whole, because a gap in
//! it would shift every frequency. One that comes more than the lateness behind its device's newest
//! time is stored and marked like a late reading, and a new signal counts as one.

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;
use telemetry::{
    DeadLetterReason as Reason, DeviceId, SignalName, SignalRule, Timestamp, Unit, Waveform,
};

use super::{
    refuse::quote,
    sink::{Sink, micros, time_text},
};
use crate::check::{DeviceState, ToldUnit, lock, mismatch};

/// The fastest converters for vibration sample a few hundred kHz; ultrasound some MHz.
const MAX_SAMPLE_RATE_HZ: f64 = 1e8;

/// The longest header; half a dozen short words.
const MAX_HEADER_BYTES: usize = 4_096;

/// What is wrong with a snapshot.
type Wrong = (Reason, String);

/// What was told of a snapshot, in any of the three forms.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    ts: Option<Value>,
    sample_rate_hz: Option<f64>,
    signal: Option<String>,
    axis: Option<String>,
    unit: Option<String>,
    encoding: Option<String>,
    scale: Option<f64>,
    samples: Option<Vec<Option<f64>>>,
}

/// Decodes a payload that is a waveform by its content type, its properties or its topic.
pub(super) fn decode(sink: &mut Sink<'_>, device: u32, signal: Option<&SignalName>) {
    if sink.message.payload.is_empty() {
        sink.refuse(Reason::EmptyPayload, || {
            "the payload is empty; send at least one sample".into()
        });
        return;
    }
    let read = match sink.message.property("sample_rate_hz") {
        Some(rate) => by_properties(sink, rate),
        None => by_header(sink.message.payload),
    };
    finish(sink, device, signal, read);
}

/// Decodes a JSON object with samples.
pub(super) fn decode_json(sink: &mut Sink<'_>, device: u32, signal: Option<&SignalName>) {
    let read = json(sink.message.payload);
    finish(sink, device, signal, read);
}

fn by_properties(sink: &Sink<'_>, rate: &str) -> Result<(Head, Vec<f32>), Wrong> {
    let number = |name: &str, text: &str| {
        text.trim().parse::<f64>().map_err(|_| {
            let detail = format!("the property {name} is {}; send a number", quote(text));
            (Reason::MalformedPayload, detail)
        })
    };
    let text = |name| sink.message.property(name).map(str::to_owned);
    let head = Head {
        ts: text("ts").map(Value::String),
        sample_rate_hz: Some(number("sample_rate_hz", rate)?),
        signal: text("signal"),
        axis: text("axis"),
        unit: text("unit"),
        encoding: text("encoding"),
        scale: text("scale")
            .map(|text| number("scale", &text))
            .transpose()?,
        samples: None,
    };
    let samples = binary(&head, sink.message.payload)?;
    Ok((head, samples))
}

fn by_header(payload: &[u8]) -> Result<(Head, Vec<f32>), Wrong> {
    let near = &payload[..payload.len().min(MAX_HEADER_BYTES)];
    if let Some(end) = near.iter().position(|&byte| byte == b'\n')
        && let Ok(head) = serde_json::from_slice::<Head>(&payload[..end])
        && head.samples.is_none()
    {
        let samples = binary(&head, &payload[end + 1..])?;
        return Ok((head, samples));
    }
    json(payload)
}

fn json(payload: &[u8]) -> Result<(Head, Vec<f32>), Wrong> {
    let malformed = |problem: String| {
        let advice = "send one JSON object with sample_rate_hz and samples, or one line of header and binary samples";
        (
            Reason::MalformedPayload,
            format!("no waveform: {problem}; {advice}"),
        )
    };
    let mut head: Head =
        serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
    let Some(told) = head.samples.take() else {
        return Err(malformed("samples is missing".into()));
    };
    if head.encoding.is_some() {
        return Err(malformed("encoding belongs to binary samples".into()));
    }
    let scale = head.scale.unwrap_or(1.0);
    let samples: Vec<f32> = told
        .into_iter()
        .map(|sample| sample.map_or(f32::NAN, |sample| (sample * scale) as f32))
        .collect();
    Ok((head, samples))
}

fn binary(head: &Head, bytes: &[u8]) -> Result<Vec<f32>, Wrong> {
    let odd = |size: usize| {
        let detail = format!(
            "{} bytes of samples are not whole samples of {size} bytes; send it whole",
            bytes.len()
        );
        (Reason::MalformedPayload, detail)
    };
    match head.encoding.as_deref().unwrap_or("f32le") {
        "f32le" => {
            let (samples, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(odd(4));
            }
            Ok(samples
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect())
        }
        "i16le" => {
            let (samples, rest) = bytes.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(odd(2));
            }
            let scale = head.scale.unwrap_or(1.0);
            Ok(samples
                .iter()
                .map(|&bytes| (f64::from(i16::from_le_bytes(bytes)) * scale) as f32)
                .collect())
        }
        other => Err((
            Reason::UnsupportedFormat,
            format!(
                "the encoding {} is none that is understood; send f32le or i16le",
                quote(other)
            ),
        )),
    }
}

fn finish(
    sink: &mut Sink<'_>,
    device: u32,
    signal: Option<&SignalName>,
    read: Result<(Head, Vec<f32>), Wrong>,
) {
    let id = sink.devices.id(device).clone();
    let made = read.and_then(|(head, samples)| make(sink, &id, signal, (&head, samples)));
    match made {
        Ok((waveform, told)) => {
            let Some(memory) = sink.devices.memory(device).cloned() else {
                return;
            };
            if let Err((reason, detail)) = keep(sink, &memory, waveform, told) {
                sink.refuse(reason, || detail);
            }
        }
        Err((reason, detail)) => sink.refuse(reason, || detail),
    }
}

/// Applies what is declared and what is remembered of the device, and keeps the waveform.
fn keep(
    sink: &mut Sink<'_>,
    memory: &Mutex<DeviceState>,
    waveform: Waveform,
    told: Option<ToldUnit>,
) -> Result<(), Wrong> {
    let (door, device, at) = (sink.door, waveform.device.clone(), waveform.measured_at);
    let mut state = lock(memory);
    state.refresh(door.gate, &device, door.generation);
    door.checks
        .believe_waveform(&mut state, (&device, &waveform.signal), door.now)
        .map_err(|detail| (Reason::CardinalityLimit, detail))?;
    let rule = state.rule(waveform.signal.as_str()).cloned();
    // A million samples are converted without the lock.
    drop(state);
    let waveform = declared(waveform, told, rule.as_ref())?;
    let late = door
        .checks
        .waveform_kept(&mut lock(memory), &device, (at, door.now));
    sink.noted.late += u64::from(late.is_some());
    sink.events.extend(late);
    sink.waveforms.push(waveform);
    Ok(())
}

/// Checks everything that needs no declaration.
fn make(
    sink: &mut Sink<'_>,
    device: &DeviceId,
    signal: Option<&SignalName>,
    (head, samples): (&Head, Vec<f32>),
) -> Result<(Waveform, Option<ToldUnit>), Wrong> {
    let signal = match (&head.signal, signal) {
        (Some(name), _) => {
            SignalName::new(name).map_err(|invalid| (Reason::InvalidSignal, invalid.to_string()))?
        }
        (None, Some(signal)) => signal.clone(),
        (None, None) => {
            let detail =
                "nothing says which signal this is; send signal, such as bearing_acceleration_g";
            return Err((Reason::InvalidSignal, detail.into()));
        }
    };
    let rate = head.sample_rate_hz.unwrap_or(f64::NAN);
    if !(rate > 0.0 && rate <= MAX_SAMPLE_RATE_HZ) {
        let detail = format!(
            "{signal}: sample_rate_hz is missing, not above zero or above {MAX_SAMPLE_RATE_HZ}; send samples a second"
        );
        return Err((Reason::MalformedPayload, detail));
    }
    if !head.scale.unwrap_or(1.0).is_finite() {
        return Err((
            Reason::InvalidValue,
            format!("{signal}: scale is not finite"),
        ));
    }
    match samples.len() {
        0 => {
            return Err((
                Reason::EmptyPayload,
                format!("{signal}: no sample came; send at least one"),
            ));
        }
        count if count > Waveform::MAX_SAMPLES => {
            let limit = Waveform::MAX_SAMPLES;
            let detail = format!(
                "{signal}: {count} samples came, at most {limit} are taken; send shorter snapshots"
            );
            return Err((Reason::TooLarge, detail));
        }
        _ => {}
    }
    if let Some(bad) = samples.iter().position(|sample| !sample.is_finite()) {
        let detail = format!(
            "{signal}: sample {bad} is no finite 32-bit number; the snapshot is refused whole"
        );
        return Err((Reason::InvalidValue, detail));
    }
    let measured_at = time(head.ts.as_ref(), sink.message.received_at).map_err(|problem| {
        (
            Reason::InvalidTimestamp,
            format!("{signal}: ts {problem}; send milliseconds since 1970 or an RFC 3339 text"),
        )
    })?;
    ahead(sink, device, &signal, measured_at)?;
    Ok((
        Waveform {
            device: device.clone(),
            signal,
            axis: axis(head.axis.as_deref())?,
            measured_at,
            received_at: sink.message.received_at,
            sample_rate_hz: rate,
            unit: None,
            samples: samples.into(),
        },
        head.unit
            .as_deref()
            .filter(|unit| !unit.is_empty())
            .map(ToldUnit::read),
    ))
}

fn ahead(
    sink: &Sink<'_>,
    device: &DeviceId,
    signal: &SignalName,
    at: Timestamp,
) -> Result<(), Wrong> {
    let ahead = at.since(sink.door.now);
    let limit = sink.door.checks.config().clock_ahead;
    if ahead <= limit {
        return Ok(());
    }
    let detail = format!(
        "{signal}: {at} is {:.0} s after now at device {device}, allowed are {:.0} s; set its clock",
        ahead.as_secs_f64(),
        limit.as_secs_f64()
    );
    Err((Reason::ClockAhead, detail))
}

fn axis(text: Option<&str>) -> Result<Option<Arc<str>>, Wrong> {
    match text {
        None | Some("") => Ok(None),
        Some(axis)
            if axis.len() <= Waveform::MAX_AXIS_BYTES && !axis.chars().any(char::is_control) =>
        {
            Ok(Some(axis.into()))
        }
        Some(axis) => Err((
            Reason::MalformedPayload,
            format!(
                "the axis {} is longer than 32 bytes or not printable",
                quote(axis)
            ),
        )),
    }
}

fn time(ts: Option<&Value>, received_at: Timestamp) -> Result<Timestamp, String> {
    match ts {
        None | Some(Value::Null) => Ok(received_at),
        Some(Value::String(text)) => time_text(text),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(millis), _) => micros(millis.saturating_mul(1_000)),
            (None, Some(millis)) => micros((millis * 1_000.0).round() as i64),
            (None, None) => Err("is out of range".into()),
        },
        Some(other) => Err(format!("is {}", quote(&other.to_string()))),
    }
}

/// Applies what is declared: the name, the unit, and the physical range.
fn declared(
    mut waveform: Waveform,
    told: Option<ToldUnit>,
    rule: Option<&SignalRule>,
) -> Result<Waveform, Wrong> {
    let by_name =
        Unit::from_signal_name(rule.map_or(&waveform.signal, |rule| &rule.signal).as_str());
    let target = rule.and_then(|rule| rule.unit).or(by_name);
    let sent = match told {
        Some(ToldUnit::Known(unit)) => Some(unit),
        Some(ToldUnit::Unknown(text)) => {
            let declared = target.map_or("no unit".into(), |unit| unit.to_string());
            let detail = format!(
                "{} came in the unit {}, which is not known; declared is {declared}",
                waveform.signal,
                quote(&text)
            );
            return Err((Reason::UnitMismatch, detail));
        }
        None => rule.and_then(|rule| rule.sent_unit).or(target),
    };
    if let (Some(sent), Some(target)) = (sent, target)
        && sent != target
    {
        waveform.samples = waveform
            .samples
            .iter()
            .map(|&sample| {
                sent.convert(f64::from(sample), target)
                    .map(|value| value as f32)
            })
            .collect::<Result<_, _>>()
            .map_err(|error| (Reason::UnitMismatch, mismatch(&waveform.signal, &error)))?;
    }
    waveform.unit = target.or(sent);
    if let Some(rule) = rule {
        waveform.signal = rule.signal.clone();
        let (min, max) = (rule.limits.min, rule.limits.max);
        let outside = waveform.samples.iter().find(|&&sample| {
            let sample = f64::from(sample);
            min.is_some_and(|min| sample < min) || max.is_some_and(|max| sample > max)
        });
        if let Some(outside) = outside {
            let detail = format!(
                "{}: a sample is {outside}, outside what is possible ({min:?} to {max:?}); mend the sensor or correct the limits",
                waveform.signal
            );
            return Err((Reason::OutOfRange, detail));
        }
    }
    if waveform.samples.iter().any(|sample| !sample.is_finite()) {
        let detail = format!("{}: a sample is too large for its unit", waveform.signal);
        return Err((Reason::InvalidValue, detail));
    }
    Ok(waveform)
}

#[cfg(test)]
mod tests;
