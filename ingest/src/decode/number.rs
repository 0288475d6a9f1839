//! The format of per-signal topics: one number as text, or `{"ts", "value"}`.

use telemetry::{DeadLetterReason as Reason, ReadingBatch, Timestamp};

use super::{
    Message, Target,
    json::{explain, kind, time_of, unescape, utf8},
    refuse::{Refusals, quote},
    scan::{Number, Scanner, Syntax, Value},
};

/// What one payload says.
type Sample = (Option<Timestamp>, f64);

/// What is wrong with a payload.
type Wrong = (Reason, String);

pub(super) fn decode(
    target: &Target,
    message: Message<'_>,
    batch: &mut ReadingBatch,
    refusals: &mut Refusals,
) {
    // Patterns of this format always name the signal.
    let (Some(text), Some(signal)) = (utf8(message.payload, refusals), &target.signal) else {
        return;
    };
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let sample = if trimmed.starts_with('{') {
        object(trimmed)
            .unwrap_or_else(|syntax| Err((Reason::MalformedPayload, explain(trimmed, syntax))))
    } else {
        plain(trimmed).map(|value| (None, value))
    };
    match sample {
        Ok((measured_at, value)) => {
            let device = batch.device(&target.device);
            let signal = batch.signal(signal);
            batch.push_value(signal, value);
            batch.finish_row(
                device,
                measured_at.unwrap_or(message.received_at),
                message.received_at,
            );
        }
        Err((reason, detail)) => refusals.add(reason, || detail),
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

fn object(text: &str) -> Result<Result<Sample, Wrong>, Syntax> {
    let mut scanner = Scanner::new(text);
    scanner.bump();
    let (mut ts, mut number, mut strange) = (None, None, None);
    let mut open = !scanner.take(b'}');
    while open {
        let key = scanner.key()?;
        let value = scanner.value()?;
        let name = unescape(key);
        match name.as_deref().unwrap_or(key.raw) {
            "ts" if ts.is_none() => ts = Some(value),
            "value" if number.is_none() => number = Some(value),
            other => strange = strange.or_else(|| Some(quote(other))),
        }
        open = !scanner.take(b'}');
        if open {
            scanner.expect(b',', "expected a comma or } after a value")?;
        }
    }
    scanner.end()?;
    if let Some(key) = strange {
        let detail = format!("key {key} is unknown or repeated; send {{\"ts\", \"value\"}} only");
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
        Ok(at) => Ok((at, value)),
        Err(problem) => Err((
            Reason::InvalidTimestamp,
            format!("\"ts\" {problem}; send milliseconds since 1970 or an RFC 3339 text"),
        )),
    })
}
