//! JSON of any shape, with configured paths.
//!
//! A value stands alone, as `{"value", "unit"}`, or in an array; each place of an array that a
//! path goes over, with `[*]` or at its end, is a row. Its time is the one that was found at
//! the same places, else at the places before, else the document's only one:
//!
//! ```text
//! $.t = [1000, 2000]   $.d.temp = [20.5, 21]    two rows, each with its own time
//! $.t = 1000           $.d.temp = [20.5, 21]    refused: two values of one instant
//! $[*].t               $[*].data.temp           a row an item
//! ```

use serde_json::Value;
use telemetry::{DeadLetterReason as Reason, DeviceId, Timestamp};

use super::{
    JsonPaths,
    json::utf8,
    paths::{Path, Step},
    refuse::quote,
    scan::MAX_DEPTH,
    sink::{Sink, micros},
};

/// Values found in one document at most: as many as ten thousand rows of ten signals.
const MAX_FOUND: usize = 100_000;

/// The places in arrays that lead to a value.
type Places = Vec<u32>;

/// One value for a row.
struct Cell<'v> {
    places: Places,
    signal: usize,
    value: &'v Value,
}

pub(super) fn decode(sink: &mut Sink<'_>, device: &DeviceId, paths: &JsonPaths) {
    let Some(text) = utf8(sink.message.payload, sink.refusals) else {
        return;
    };
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            sink.refuse(Reason::MalformedPayload, || {
                format!("not JSON: {error}; send a document with the configured paths")
            });
            return;
        }
    };
    let mut times = Vec::new();
    if let Some(path) = &paths.time {
        find(
            &document,
            &path.steps,
            &mut Vec::new(),
            &mut |places, value| {
                times.push((places.to_vec(), value));
            },
        );
    }
    let mut cells = Vec::new();
    for (signal, (_, path)) in paths.signals.iter().enumerate() {
        find(
            &document,
            &path.steps,
            &mut Vec::new(),
            &mut |places, value| {
                if cells.len() < MAX_FOUND {
                    let places = places.to_vec();
                    cells.push(Cell {
                        places,
                        signal,
                        value,
                    });
                }
            },
        );
    }
    if cells.len() >= MAX_FOUND {
        sink.refuse(Reason::MalformedPayload, || {
            "more than 100000 values in one document; send smaller ones".into()
        });
        return;
    }
    if cells.is_empty() {
        sink.refuse(Reason::EmptyPayload, || {
            let first = &paths.signals[0].1;
            format!("none of the configured paths is in the document; the first is {first}")
        });
        return;
    }
    // Rows by place; within a row the signals in the order of their paths.
    cells.sort_by(|a, b| a.places.cmp(&b.places));
    let mut last = vec![None; paths.signals.len()];
    for row in cells.chunk_by(|a, b| a.places == b.places) {
        take_row(sink, device, paths, (row, &times), &mut last);
    }
}

fn take_row(
    sink: &mut Sink<'_>,
    device: &DeviceId,
    paths: &JsonPaths,
    (row, times): (&[Cell<'_>], &[(Places, &Value)]),
    last: &mut [Option<Timestamp>],
) {
    let at = match measured(&row[0].places, times, paths) {
        Ok(Some(at)) => at,
        Ok(None) => sink.message.received_at,
        Err(problem) => {
            sink.refuse(Reason::InvalidTimestamp, || problem);
            return;
        }
    };
    for cell in row {
        let (name, path) = &paths.signals[cell.signal];
        let (value, unit) = match cell.value {
            Value::Object(object) => (
                object.get("value").unwrap_or(&Value::Null),
                object.get("unit").and_then(Value::as_str),
            ),
            plain => (plain, None),
        };
        match value.as_f64() {
            Some(_) if last[cell.signal] == Some(at) => {
                sink.refuse(Reason::InvalidTimestamp, || {
                    format!("{path} holds several values of the one instant {at}; configure the path of a time for each")
                });
            }
            Some(number) if number.is_finite() => {
                last[cell.signal] = Some(at);
                if let Some(signal) = sink.signal(name.as_str()) {
                    sink.push(signal, number, unit);
                }
            }
            None if value.is_null() && !cell.value.is_object() => {}
            _ => refuse_value(sink, path, cell),
        }
    }
    sink.finish_row(device, at);
}

fn refuse_value(sink: &mut Sink<'_>, path: &Path, cell: &Cell<'_>) {
    let reason = match cell.value {
        Value::Array(_) => Reason::MalformedPayload,
        _ => Reason::InvalidValue,
    };
    sink.refuse(reason, || {
        let text = quote(&cell.value.to_string());
        format!("{path} holds {text}; send a finite number or {{\"value\", \"unit\"}}")
    });
}

/// The time of a row: the one with the most places in common.
fn measured(
    places: &[u32],
    times: &[(Places, &Value)],
    paths: &JsonPaths,
) -> Result<Option<Timestamp>, String> {
    let Some(path) = &paths.time else {
        return Ok(None);
    };
    let found = (0..=places.len()).rev().find_map(|len| {
        let place = times
            .binary_search_by(|(known, _)| known.as_slice().cmp(&places[..len]))
            .ok()?;
        Some(times[place].1)
    });
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read_time(value, paths)
            .map(Some)
            .map_err(|problem| format!("{path} {problem}; send a count or an RFC 3339 text")),
    }
}

fn read_time(value: &Value, paths: &JsonPaths) -> Result<Timestamp, String> {
    let out = || String::from("lies outside the years 1 to 9999");
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(count), _) => micros(paths.time_unit.whole_micros(count).ok_or_else(out)?),
            (None, Some(count)) => micros(paths.time_unit.micros(count)),
            (None, None) => Err(out()),
        },
        Value::String(text) => Timestamp::parse(text)
            .map_err(|_| format!("is the text {}, which is no RFC 3339 time", quote(text))),
        other => Err(format!("is {}", quote(&other.to_string()))),
    }
}

/// Calls back for each value a path leads to. What is absent is absent.
fn find<'v>(
    value: &'v Value,
    steps: &[Step],
    places: &mut Places,
    found: &mut impl FnMut(&[u32], &'v Value),
) {
    let Some((step, rest)) = steps.split_first() else {
        return match value {
            Value::Array(items) if places.len() < MAX_DEPTH as usize => {
                each(items, &[], places, found);
            }
            value => found(places, value),
        };
    };
    match (step, value) {
        (Step::Key(key), Value::Object(object)) => {
            if let Some(inner) = object.get(&**key) {
                find(inner, rest, places, found);
            }
        }
        (Step::Index(index), Value::Array(items)) => {
            if let Some(inner) = items.get(*index) {
                find(inner, rest, places, found);
            }
        }
        (Step::Each, Value::Array(items)) => each(items, rest, places, found),
        _ => {}
    }
}

fn each<'v>(
    items: &'v [Value],
    rest: &[Step],
    places: &mut Places,
    found: &mut impl FnMut(&[u32], &'v Value),
) {
    for (place, inner) in items.iter().enumerate() {
        places.push(place as u32);
        find(inner, rest, places, found);
        places.pop();
    }
}

#[cfg(test)]
mod tests;
