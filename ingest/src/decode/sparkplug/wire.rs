//! The protobuf messages of Sparkplug B, written from the specification (version 3.0, chapter
//! 6). What carries no reading (templates, data sets, metadata, bodies) is left out, so that
//! the decoder passes over it without building it; property sets are kept as bytes and read
//! only for their unit.

use prost::Message;

/// Metrics of one message. The largest births on record have some thousand.
const MAX_METRICS: usize = 20_000;

/// One message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    /// Milliseconds since 1970.
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    /// 0 to 255, in the order of a node's messages.
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// One value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    /// Stands for the name once a birth has told which.
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    /// Buffered while the node was away.
    #[prost(bool, optional, tag = "5")]
    pub(super) is_historical: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    /// A `PropertySet`, see [`unit`].
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(super) properties: Option<Vec<u8>>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19")]
    pub(super) value: Option<Value>,
}

/// What a metric holds.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    /// Up to 32 bits; signed ones as their two's complement.
    #[prost(uint32, tag = "10")]
    Int(u32),
    /// Up to 64 bits; signed ones as their two's complement.
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "17")]
    DataSet(Skipped),
    #[prost(message, tag = "18")]
    Template(Skipped),
    #[prost(message, tag = "19")]
    Extension(Skipped),
}

/// A message whose fields are passed over.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Skipped {}

/// The keys of a property set and their values, in the same order.
#[derive(Clone, PartialEq, Message)]
struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<PropertyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct PropertyValue {
    #[prost(string, optional, tag = "8")]
    text: Option<String>,
}

/// The numbers of the data types (table 15).
pub(super) mod datatype {
    pub(in crate::decode) const INT8: u32 = 1;
    pub(in crate::decode) const INT16: u32 = 2;
    pub(in crate::decode) const INT32: u32 = 3;
    pub(in crate::decode) const INT64: u32 = 4;
    pub(in crate::decode) const UINT8: u32 = 5;
    pub(in crate::decode) const UINT16: u32 = 6;
    pub(in crate::decode) const UINT32: u32 = 7;
    #[cfg(test)]
    pub(in crate::decode) const UINT64: u32 = 8;
    #[cfg(test)]
    pub(in crate::decode) const FLOAT: u32 = 9;
    #[cfg(test)]
    pub(in crate::decode) const DOUBLE: u32 = 10;
    pub(in crate::decode) const BOOLEAN: u32 = 11;
    pub(in crate::decode) const DATE_TIME: u32 = 13;
}

/// Reads a payload. The metrics are counted before they are built, because an empty one takes
/// two bytes on the wire and a hundred times that in memory.
pub(super) fn read(bytes: &[u8]) -> Result<Payload, String> {
    if count_field(bytes, METRICS_TAG) > MAX_METRICS {
        return Err(format!("more than {MAX_METRICS} metrics"));
    }
    Payload::decode(bytes).map_err(|error| error.to_string())
}

const METRICS_TAG: u64 = 2;

/// Properties of one metric that are looked at; a unit stands among a handful.
const MAX_PROPERTIES: usize = 64;

/// The engineering unit among a metric's properties: `engUnit`, or `Engineering Units`.
pub(super) fn unit(properties: &[u8]) -> Option<String> {
    if count_field(properties, 1) > MAX_PROPERTIES || count_field(properties, 2) > MAX_PROPERTIES {
        return None;
    }
    let set = PropertySet::decode(properties).ok()?;
    let place = set
        .keys
        .iter()
        .position(|key| matches!(key.as_str(), "engUnit" | "Engineering Units" | "unit"))?;
    set.values.into_iter().nth(place)?.text
}

/// How often a field of bytes stands in a message; what is no message counts as far as it goes.
fn count_field(bytes: &[u8], wanted: u64) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while let Some(key) = varint(&mut rest) {
        let len = match key & 7 {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut rest),
            5 => Some(4),
            _ => None,
        };
        let Some(skip) = len.and_then(|len| usize::try_from(len).ok()) else {
            break;
        };
        count += usize::from(key >> 3 == wanted && key & 7 == 2);
        let Some(after) = rest.get(skip..) else { break };
        rest = after;
    }
    count
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *rest.get(at)?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *rest = &rest[at + 1..];
            return Some(value);
        }
    }
    None
}
