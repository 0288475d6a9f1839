//! The default format: an object of signals, or an array of such objects.

use telemetry::{DeadLetterReason as Reason, DeviceId, ReadingBatch, SignalName, Timestamp};

use super::{
    cache::Scratch,
    refuse::{Refusals, quote},
    scan::{Number, Scanner, Syntax, Text, Value},
    sink::{Sink as Output, tell},
};

/// Objects in one array. A gateway that was offline for a day at one row every ten seconds
/// sends 8,640.
const MAX_ITEMS: usize = 10_000;

/// Keys in one object. The largest machines on record publish some hundred signals.
const MAX_KEYS: usize = 1_000;

/// The key of the measured time.
const TIME_KEY: &str = "ts";

/// The key that says that an object is a waveform and no row.
const SAMPLES_KEY: &str = "samples";

/// What a payload turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Rows, or something refused.
    Rows,
    /// An object with samples, of which nothing was taken.
    Samples,
}

/// What is being decoded and where its parts go.
struct Sink<'m> {
    device: &'m DeviceId,
    received_at: Timestamp,
    batch: &'m mut ReadingBatch,
    refusals: &'m mut Refusals,
    scratch: &'m mut Scratch,
    found: Found,
    /// The position in the array, if there is one.
    item: Option<usize>,
}

/// When an object says it was measured.
enum Measured {
    Unsaid,
    At(Timestamp),
    Refused,
}

/// Decodes a payload. Rows of a payload that turns out not to be JSON are taken back.
pub(super) fn decode(output: &mut Output<'_>, device: &DeviceId) -> Found {
    let Some(text) = utf8(output.message.payload, output.refusals) else {
        return Found::Rows;
    };
    let rows = output.batch.row_count();
    let mut sink = Sink {
        device,
        received_at: output.message.received_at,
        batch: &mut *output.batch,
        refusals: &mut *output.refusals,
        scratch: &mut *output.scratch,
        found: Found::Rows,
        item: None,
    };
    match document(text, &mut sink) {
        Err(syntax) => {
            output.take_back(rows);
            output.refuse(Reason::MalformedPayload, || explain(text, syntax));
            Found::Rows
        }
        Ok(()) if sink.found == Found::Samples => {
            output.take_back(rows);
            Found::Samples
        }
        Ok(()) => Found::Rows,
    }
}

/// The payload as text; refuses what is empty, no UTF-8, or starts with a byte order mark.
pub(super) fn utf8<'a>(payload: &'a [u8], refusals: &mut Refusals) -> Option<&'a str> {
    if payload.is_empty() {
        refusals.add(Reason::EmptyPayload, || {
            "the payload is empty; send at least one reading".into()
        });
        return None;
    }
    match std::str::from_utf8(payload) {
        Ok(text) if text.starts_with('\u{feff}') => {
            refusals.add(Reason::MalformedPayload, || {
                "the payload starts with a byte order mark; send UTF-8 without it".into()
            });
            None
        }
        Ok(text) => Some(text),
        Err(error) => {
            refusals.add(Reason::MalformedPayload, || {
                format!(
                    "the payload is no UTF-8 text from byte {}; send JSON or a number as text",
                    error.valid_up_to()
                )
            });
            None
        }
    }
}

/// One line about a syntax error, with what stands at its place.
pub(super) fn explain(text: &str, syntax: Syntax) -> String {
    let mut at = syntax.at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let near: String = text[at..].chars().take(16).collect();
    format!(
        "not JSON at byte {}: {} (near {}); send an object of numbers or an array of such objects",
        syntax.at,
        syntax.problem,
        quote(&near)
    )
}

fn document(text: &str, sink: &mut Sink<'_>) -> Result<(), Syntax> {
    let mut scanner = Scanner::new(text);
    match scanner.peek() {
        Some(b'{') => object(&mut scanner, sink)?,
        Some(b'[') => array(&mut scanner, sink)?,
        Some(_) => {
            let value = scanner.value()?;
            sink.refusals.add(Reason::MalformedPayload, || {
                format!("the payload is {}; send an object of numbers such as {{\"temperature_c\": 21.5}}, or an array of such objects", kind(value))
            });
        }
        None => sink.refusals.add(Reason::EmptyPayload, || {
            "the payload is only white space; send at least one reading".into()
        }),
    }
    scanner.end()
}

fn array(scanner: &mut Scanner<'_>, sink: &mut Sink<'_>) -> Result<(), Syntax> {
    scanner.bump();
    if scanner.take(b']') {
        sink.refusals.add(Reason::EmptyPayload, || {
            "the array is empty; send at least one object".into()
        });
        return Ok(());
    }
    for item in 0..MAX_ITEMS {
        sink.item = Some(item);
        if scanner.peek() == Some(b'{') {
            object(scanner, sink)?;
        } else {
            let value = scanner.value()?;
            sink.refusals.add(Reason::MalformedPayload, || {
                format!("$[{item}] is {}; each item must be an object", kind(value))
            });
        }
        if scanner.take(b']') {
            return Ok(());
        }
        scanner.expect(b',', "expected a comma or ] after an item")?;
    }
    scanner.fail("more than 10000 items in one message; send smaller arrays")
}

fn object(scanner: &mut Scanner<'_>, sink: &mut Sink<'_>) -> Result<(), Syntax> {
    scanner.bump();
    let refused_before = sink.refusals.count();
    let first = sink.batch.reading_count();
    let mut measured = None;
    let mut repeated = false;
    let mut keys = 0;
    let mut open = !scanner.take(b'}');
    while open {
        keys += 1;
        if keys > MAX_KEYS {
            return scanner.fail("more than 1000 keys in one object; send fewer signals at once");
        }
        let key = scanner.key()?;
        let (value, unit) = match scanner.peek() {
            Some(b'{') => quantity(scanner)?,
            _ => (scanner.value()?, None),
        };
        let name = unescape(key);
        let name = match &name {
            Some(name) => name.as_str(),
            None => key.raw,
        };
        if name == TIME_KEY {
            repeated |= measured.is_some() && sink.repeated(name);
            measured = Some(sink.time(value));
        } else if let Some(signal) = sink.reading(name, value) {
            repeated |=
                sink.batch.columns().signal[first..].contains(&signal.0) && sink.repeated(name);
            if unit.is_some() {
                let unit = unit.map(|unit| unescape(unit).unwrap_or_else(|| unit.raw.into()));
                tell(sink.scratch, sink.batch, unit.as_deref());
            }
            sink.batch.push_value(signal.0, signal.1);
        }
        open = !scanner.take(b'}');
        if open {
            scanner.expect(b',', "expected a comma or } after a value")?;
        }
    }
    let measured = measured.unwrap_or(Measured::Unsaid);
    if repeated || matches!(measured, Measured::Refused) {
        sink.batch.abandon_row();
    } else if sink.batch.reading_count() == first {
        if sink.refusals.count() == refused_before {
            let place = sink.place("");
            sink.refusals.add(Reason::EmptyPayload, || {
                format!("{place} holds no reading; send at least one signal with a number")
            });
        }
    } else {
        let at = match measured {
            Measured::At(at) => at,
            Measured::Unsaid | Measured::Refused => sink.received_at,
        };
        let device = sink.batch.device(sink.device);
        sink.batch.finish_row(device, at, sink.received_at);
    }
    Ok(())
}

/// A value given as `{"value": 21.5, "unit": "°C"}`; any other object is only skipped.
fn quantity<'t>(scanner: &mut Scanner<'t>) -> Result<(Value<'t>, Option<Text<'t>>), Syntax> {
    scanner.bump();
    let (mut number, mut unit, mut strange) = (None, None, false);
    let mut open = !scanner.take(b'}');
    while open {
        let key = scanner.key()?;
        let value = scanner.nested_value()?;
        match (key.raw, value) {
            ("value", value) if number.is_none() && value != Value::Nested => number = Some(value),
            ("unit", Value::Text(text)) if unit.is_none() => unit = Some(text),
            ("unit", Value::Null) if unit.is_none() => {}
            _ => strange = true,
        }
        open = !scanner.take(b'}');
        if open {
            scanner.expect(b',', "expected a comma or } after a value")?;
        }
    }
    Ok(match number {
        Some(value) if !strange => (value, unit),
        _ => (Value::Nested, None),
    })
}

impl Sink<'_> {
    /// The path of a key, as in `$[3].temperature_c`.
    fn place(&self, key: &str) -> String {
        let dot = if key.is_empty() { "" } else { "." };
        let key: String = key.chars().take(64).collect();
        match self.item {
            Some(item) => format!("$[{item}]{dot}{key}"),
            None => format!("${dot}{key}"),
        }
    }

    fn repeated(&mut self, name: &str) -> bool {
        let place = self.place(name);
        self.refusals.add(Reason::MalformedPayload, || {
            format!("{place} stands twice in one object, which is refused; send each signal once")
        });
        true
    }

    fn time(&mut self, value: Value<'_>) -> Measured {
        match read_time(value) {
            Ok(measured) => measured,
            Err(problem) => {
                let place = self.place(TIME_KEY);
                self.refusals.add(Reason::InvalidTimestamp, || {
                    format!("{place} {problem}; send milliseconds since 1970 or an RFC 3339 text")
                });
                Measured::Refused
            }
        }
    }

    /// A value's signal and number, or none when it is absent or refused.
    fn reading(&mut self, name: &str, value: Value<'_>) -> Option<(u32, f64)> {
        let (reason, what) = match value {
            Value::Number(Number { value, .. }) if value.is_finite() => {
                let signal = match self.batch.find_signal(name) {
                    Some(signal) => signal,
                    None => self.new_signal(name)?,
                };
                return Some((signal, value));
            }
            Value::Null => return None,
            Value::Number(_) => (
                Reason::InvalidValue,
                "a number too large for 64-bit floating point".into(),
            ),
            Value::Nested => {
                if name == SAMPLES_KEY && self.item.is_none() {
                    self.found = Found::Samples;
                }
                (Reason::MalformedPayload, "an object or array".into())
            }
            other => (Reason::InvalidValue, kind(other)),
        };
        let place = self.place(name);
        self.refusals.add(reason, || {
            format!("{place} is {what}; send a finite number")
        });
        None
    }

    fn new_signal(&mut self, name: &str) -> Option<u32> {
        match SignalName::new(name) {
            Ok(signal) => Some(self.batch.signal(&signal)),
            Err(invalid) => {
                let place = self.place("");
                self.refusals
                    .add(Reason::InvalidSignal, || format!("{place}: {invalid}"));
                None
            }
        }
    }
}

fn read_time(value: Value<'_>) -> Result<Measured, String> {
    let at = match value {
        Value::Null => return Ok(Measured::Unsaid),
        Value::Number(Number {
            integer: Some(millis),
            ..
        }) => Timestamp::from_millis(millis),
        // `as` saturates, and what is out of range is out of the calendar too.
        Value::Number(number) => Timestamp::from_micros((number.value * 1_000.0).round() as i64),
        Value::Text(text) => {
            let unescaped = unescape(text);
            Timestamp::parse(unescaped.as_deref().unwrap_or(text.raw)).map_err(|_| {
                format!("is the text {}, which is no RFC 3339 time", quote(text.raw))
            })?
        }
        other => return Err(format!("is {}", kind(other))),
    };
    if at.is_in_calendar() {
        Ok(Measured::At(at))
    } else {
        Err("lies outside the years 1 to 9999 (are these really milliseconds?)".into())
    }
}

/// The time of a value in the format `number`; none when it is unsaid.
pub(super) fn time_of(value: Value<'_>) -> Result<Option<Timestamp>, String> {
    Ok(match read_time(value)? {
        Measured::At(at) => Some(at),
        Measured::Unsaid | Measured::Refused => None,
    })
}

/// The text behind escapes; none when it has none. A text that `serde_json` refuses (half a
/// surrogate pair) is taken as it is written, and then fails the check that follows.
pub(super) fn unescape(text: Text<'_>) -> Option<String> {
    text.escaped.then(|| {
        serde_json::from_str(&format!("\"{}\"", text.raw)).unwrap_or_else(|_| text.raw.into())
    })
}

/// What a value is, in words.
pub(super) fn kind(value: Value<'_>) -> String {
    match value {
        Value::Number(_) => "a number".into(),
        Value::Text(text) => format!("the text {}", quote(text.raw)),
        Value::Bool => "true or false".into(),
        Value::Null => "null".into(),
        Value::Nested => "an object or array".into(),
        Value::NotFinite => "NaN or Infinity".into(),
    }
}
