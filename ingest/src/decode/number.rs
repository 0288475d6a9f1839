//! The format of per-signal topics: one number as text, or `{"ts", "value"}`.

use telemetry::{DeadLetterReason as Reason, DeviceId, SignalName, Timestamp};

use super::{
    json::{explain, kind, time_of, unescape, utf8},
    refuse::quote,
    scan::{Number, Scanner, Syntax, Text, Value},
    sink::Sink,
};

/// What one payload says.
#[derive(Debug, Clone, Copy)]
struct Sample<'t> {
    at: Option<Timestamp>,
    value: f64,
    unit: Option<Text<'t>>,
}

/// What is wrong with a payload.
type Wrong = (Reason, String);

pub(super) fn decode(sink: &mut Sink<'_>, device: &DeviceId, signal: Option<&SignalName>) {
    // Patterns of this format always name the signal.
    let (Some(text), Some(signal)) = (utf8(sink.message.payload, sink.refusals), signal) else {
        return;
    };
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let sample = if trimmed.starts_with('{') {
        object(trimmed)
            .unwrap_or_else(|syntax| Err((Reason::MalformedPayload, explain(trimmed, syntax))))
    } else {
        plain(trimmed).map(|value| Sample {
            at: None,
            value,
            unit: None,
        })
    };
    match sample {
        Ok(Sample { at, value, unit }) => {
            let unescaped = unit.and_then(unescape);
            let unit = unescaped.as_deref().or(unit.map(|unit| unit.raw));
            let signal = sink.batch.signal(signal);
            sink.push(signal, value, unit);
            sink.finish_row(device, at.unwrap_or(sink.message.received_at));
        }
        Err((reason, detail)) => sink.refuse(reason, || detail),
    }
}

fn plain(text: &str) -> Result<f64, Wrong> {
    if text.is_empty() {
        let detail = "the payload is only white space; send one number".into();
        return Err((Reason::EmptyPayload, detail));
    }
    // `f64` also reads "inf" and "nan", which are no values of a sensor.
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err((
            Reason::InvalidValue,
            format!("{} is not finite; send a finite number", quote(text)),
        )),
        Err(_) => Err((
            Reason::InvalidValue,
            format!(
                "{} is no number; send one such as 21.5 or {{\"ts\": 1583748873000, \"value\": 21.5}}",
                quote(text)
            ),
        )),
    }
}

fn object(text: &str) -> Result<Result<Sample<'_>, Wrong>, Syntax> {
    let mut scanner = Scanner::new(text);
    scanner.bump();
    let (mut ts, mut number, mut unit, mut strange) = (None, None, None, None);
    let mut open = !scanner.take(b'}');
    while open {
        let key = scanner.key()?;
        let value = scanner.value()?;
        let name = unescape(key);
        match name.as_deref().unwrap_or(key.raw) {
            "ts" if ts.is_none() => ts = Some(value),
            "value" if number.is_none() => number = Some(value),
            "unit" if unit.is_none() => match value {
                Value::Text(text) => unit = Some(text),
                Value::Null => {}
                _ => strange = strange.or_else(|| Some("\"unit\"".into())),
            },
            other => strange = strange.or_else(|| Some(quote(other))),
        }
        open = !scanner.take(b'}');
        if open {
            scanner.expect(b',', "expected a comma or } after a value")?;
        }
    }
    scanner.end()?;
    if let Some(key) = strange {
        let detail = format!(
            "key {key} is unknown, repeated or no text; send {{\"ts\", \"value\", \"unit\"}} only"
        );
        return Ok(Err((Reason::MalformedPayload, detail)));
    }
    let value = match number {
        Some(Value::Number(Number { value, .. })) if value.is_finite() => value,
        None | Some(Value::Null) => {
            let detail = "\"value\" is missing or null; send a finite number".into();
            return Ok(Err((Reason::EmptyPayload, detail)));
        }
        Some(other) => {
            let detail = format!("\"value\" is {}; send a finite number", kind(other));
            return Ok(Err((Reason::InvalidValue, detail)));
        }
    };
    Ok(match ts.map_or(Ok(None), time_of) {
        Ok(at) => Ok(Sample { at, value, unit }),
        Err(problem) => Err((
            Reason::InvalidTimestamp,
            format!("\"ts\" {problem}; send milliseconds since 1970 or an RFC 3339 text"),
        )),
    })
}
