//! From the start of a line to its device and signals, without allocating twice.
//!
//! A series is remembered by the bytes before the first space, with the names of its fields
//! in the order they came. Dictionary positions of the batch are remembered with it and are
//! good for one message: a stamp says for which.

use std::fmt::Write as _;

use rustc_hash::FxHashMap;
use telemetry::{DeadLetterReason as Reason, DeviceId, ReadingBatch, SignalName};

use super::{LineOptions, Sink, Wrong, malformed, show, unescaped};

/// Series remembered for one sender, about 300 bytes each. A sender with more is learned anew,
/// which costs it speed and nothing else.
const MAX_SERIES: usize = 100_000;

/// Fields remembered of one series; as many as one line may have.
const MAX_SERIES_FIELDS: usize = super::MAX_FIELDS;

/// Tags of one series. Influx advises against more than a dozen.
const MAX_TAGS: usize = 64;

#[derive(Debug, Default)]
pub(in crate::decode) struct SeriesCache {
    list: Vec<Series>,
    index: FxHashMap<Box<[u8]>, u32>,
    /// Where the next line is expected.
    next: usize,
    /// Rises with every message.
    stamp: u64,
    /// What the list was made with: lines without a device are this topic's.
    made_for: Option<(u32, LineOptions)>,
}

#[derive(Debug)]
struct Series {
    head: Box<[u8]>,
    /// The place among the sender's devices.
    device: u32,
    /// The measurement, empty in the plain one.
    measurement: String,
    /// The other tags, as they end the signal's name.
    tags: String,
    fields: Vec<Field>,
    /// The device's position in the batch of the message with this stamp.
    in_batch: (u64, u32),
}

#[derive(Debug)]
struct Field {
    key: Box<[u8]>,
    signal: SignalName,
    in_batch: (u64, u32),
}

impl SeriesCache {
    /// Begins a message.
    pub(super) fn begin(&mut self, topic_device: u32, options: &LineOptions) {
        self.stamp += 1;
        self.next = 0;
        let same = self
            .made_for
            .as_ref()
            .is_some_and(|(device, made)| *device == topic_device && made == options);
        if !same {
            self.clear();
            self.made_for = Some((topic_device, options.clone()));
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
    }

    /// The place of the series a line starts with.
    pub(super) fn find(
        &mut self,
        head: &[u8],
        sink: &mut Sink<'_>,
        options: &LineOptions,
    ) -> Result<usize, Wrong> {
        let place = match self.list.get(self.next) {
            Some(expected) if *expected.head == *head => self.next,
            _ => match self.index.get(head) {
                Some(&place) => place as usize,
                None => self.add(head, sink, options)?,
            },
        };
        self.next = place + 1;
        Ok(place)
    }

    fn add(
        &mut self,
        head: &[u8],
        sink: &mut Sink<'_>,
        options: &LineOptions,
    ) -> Result<usize, Wrong> {
        let topic_device = self.made_for.as_ref().map_or(0, |(device, _)| *device);
        let series = Series::read(head, topic_device, sink, options)?;
        if self.list.len() >= MAX_SERIES {
            self.clear();
        }
        let place = self.list.len();
        self.index.insert(head.into(), place as u32);
        self.list.push(series);
        Ok(place)
    }

    /// The device of a series.
    pub(super) fn device(&self, series: usize) -> u32 {
        self.list[series].device
    }

    /// The position of the series' device in the batch.
    pub(super) fn device_id(
        &mut self,
        series: usize,
        batch: &mut ReadingBatch,
        device: &DeviceId,
    ) -> u32 {
        let series = &mut self.list[series];
        if series.in_batch.0 != self.stamp {
            series.in_batch = (self.stamp, batch.device(device));
        }
        series.in_batch.1
    }

    /// The position of a field's signal in the batch.
    pub(super) fn signal(
        &mut self,
        series: usize,
        field: usize,
        key: &[u8],
        batch: &mut ReadingBatch,
    ) -> Result<u32, String> {
        let stamp = self.stamp;
        let series = &mut self.list[series];
        let place = match series.fields.get(field) {
            Some(expected) if *expected.key == *key => field,
            _ => {
                let known = series.fields.iter().position(|known| *known.key == *key);
                match known {
                    Some(place) => place,
                    None => series.add_field(key)?,
                }
            }
        };
        let field = &mut series.fields[place];
        if field.in_batch.0 != stamp {
            field.in_batch = (stamp, batch.signal(&field.signal));
        }
        Ok(field.in_batch.1)
    }
}

impl Series {
    fn read(
        head: &[u8],
        topic_device: u32,
        sink: &mut Sink<'_>,
        options: &LineOptions,
    ) -> Result<Self, Wrong> {
        let mut parts = Vec::new();
        let mut rest = head;
        while let Some(comma) = unescaped(rest, b',') {
            parts.push(&rest[..comma]);
            rest = &rest[comma + 1..];
            if parts.len() > MAX_TAGS {
                return Err(malformed("more than 64 tags", head));
            }
        }
        parts.push(rest);
        let measurement = unescape(parts[0])
            .ok_or_else(|| malformed("the measurement is no UTF-8 text", head))?;
        if measurement.is_empty() {
            return Err(malformed("the measurement is missing", head));
        }
        let mut device = topic_device;
        let mut tags = Vec::new();
        for tag in &parts[1..] {
            let equals =
                unescaped(tag, b'=').ok_or_else(|| malformed("expected tag=value", tag))?;
            let (key, value) = (unescape(&tag[..equals]), unescape(&tag[equals + 1..]));
            let (Some(key), Some(value)) = (key, value) else {
                return Err(malformed("a tag is no UTF-8 text", tag));
            };
            if key.is_empty() || value.is_empty() {
                return Err(malformed("a tag needs a key and a value", tag));
            }
            if key == options.device_tag {
                let id = DeviceId::new(&value).map_err(|invalid| {
                    (Reason::MalformedPayload, format!("tag {key}: {invalid}"))
                })?;
                device = sink.devices.place(&id);
            } else if !options.ignored_tags.contains(&key) {
                tags.push((key, value));
            }
        }
        tags.sort();
        if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(malformed("a tag stands twice", head));
        }
        let mut ending = String::new();
        for (key, value) in tags {
            // Writing to a string cannot fail.
            let _ = write!(ending, ",{key}={value}");
        }
        let plain = measurement == options.plain_measurement;
        Ok(Self {
            head: head.into(),
            device,
            measurement: if plain { String::new() } else { measurement },
            tags: ending,
            fields: Vec::new(),
            in_batch: (0, 0),
        })
    }

    /// Remembers a field and returns its place.
    fn add_field(&mut self, key: &[u8]) -> Result<usize, String> {
        let signal = self.name(key)?;
        if self.fields.len() >= MAX_SERIES_FIELDS {
            self.fields.clear();
        }
        self.fields.push(Field {
            key: key.into(),
            signal,
            in_batch: (0, 0),
        });
        Ok(self.fields.len() - 1)
    }

    fn name(&self, key: &[u8]) -> Result<SignalName, String> {
        let Some(field) = unescape(key) else {
            return Err(format!("field {} is no UTF-8 text", show(key)));
        };
        let (measurement, tags) = (&self.measurement, &self.tags);
        let name = match (measurement.as_str(), field.as_str()) {
            ("", field) => format!("{field}{tags}"),
            (measurement, "value") => format!("{measurement}{tags}"),
            (measurement, field) => format!("{measurement}.{field}{tags}"),
        };
        SignalName::new(&name).map_err(|invalid| invalid.to_string())
    }
}

/// A name without the backslashes before commas, equal signs and spaces.
fn unescape(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.contains('\\') {
        return Some(text.into());
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\\'
            && chars
                .peek()
                .is_some_and(|next| matches!(next, ',' | '=' | ' ' | '\\'))
        {
            plain.extend(chars.next());
        } else {
            plain.push(char);
        }
    }
    Some(plain)
}
