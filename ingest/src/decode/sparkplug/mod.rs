//! Sparkplug B, version 3.0: nodes and the devices behind them, with births and deaths.
//!
//! ```text
//! NBIRTH seq 0 ─▶ names, aliases, types, units of the node; bdSeq of the session
//! DBIRTH       ─▶ the same of a device behind it
//! NDATA DDATA  ─▶ readings, by alias or name; seq rises by one, modulo 256
//! NDEATH       ─▶ the node and its devices are offline, when bdSeq is the session's
//! ```
//!
//! * The device is `group.node` or `group.node.device` (see [`super::names`] for names an id
//!   cannot hold). A node's credential covers the devices behind it.
//! * The signal is the metric's name, with `/` written as a dot. `bdSeq`, `Node Control/…` and
//!   `Device Control/…` are no readings.
//! * A gap in `seq`, data before a birth, and an alias no birth has named ask the node for its
//!   birth again (`Node Control/Rebirth`), at most every ten seconds. Values whose name is
//!   known are taken all the same; a metric with an unknown alias is kept as a dead letter
//!   and can be taken again once the birth has come.
//! * Values that were buffered (`is_historical`) are readings like others, at their own time.
//!   A null is an absent value. Texts, booleans, dates, bytes, data sets and templates are
//!   refused one by one.
//! * Commands and host states (`NCMD`, `DCMD`, `STATE`) are no data and are passed over.

mod node;
mod topic;
mod wire;

use prost::Message as _;
use telemetry::{DeadLetterReason as Reason, Event, Grant, Timestamp};

use super::{
    cache::queue,
    refuse::quote,
    sink::{Sink, micros},
};
use crate::check::lock;
pub(super) use node::Nodes;
use node::{Known, Node};
use topic::Kind;
pub(super) use topic::Topic;
use wire::{Metric, Payload, Value, datatype};

/// What is to be published to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
}

const REBIRTH: &str = "Node Control/Rebirth";

pub(super) fn decode(sink: &mut Sink<'_>, nodes: &Nodes, topic: &Topic) {
    if topic.kind == Kind::Other || !may_enter(sink, topic) {
        return;
    }
    let payload = match wire::read(sink.message.payload) {
        Ok(payload) => payload,
        Err(problem) => {
            sink.refuse(Reason::MalformedPayload, || {
                format!(
                    "no Sparkplug B payload: {problem}; send protobuf as the specification says"
                )
            });
            return;
        }
    };
    let Some(node) = nodes.get(topic, sink.live) else {
        // Taken again, of a node nobody knows: names are all there is.
        readings(sink, &mut Node::default(), topic, &payload);
        return;
    };
    let mut node = lock(&node);
    if sink.live {
        follow(sink, nodes, &mut node, topic, &payload);
    }
    if !matches!(topic.kind, Kind::NodeDeath | Kind::DeviceDeath) {
        readings(sink, &mut node, topic, &payload);
    }
}

/// Whether the sender may speak for the device, and the device may come in.
fn may_enter(sink: &mut Sink<'_>, topic: &Topic) -> bool {
    let (grant, name) = (sink.door.grant, sink.message.topic);
    if grant.allows(&topic.node_id, name) {
        // The node's credential covers what is behind it.
        sink.door.grant = &Grant::ANYONE;
    }
    let place = sink.devices.place(&topic.id);
    sink.enter(place)
}

/// Follows births, deaths and the sequence.
fn follow(sink: &mut Sink<'_>, nodes: &Nodes, node: &mut Node, topic: &Topic, payload: &Payload) {
    let at = payload
        .timestamp
        .and_then(millis)
        .unwrap_or(sink.message.received_at);
    let seq = payload.seq.and_then(|seq| u8::try_from(seq).ok());
    let mut lost = false;
    match topic.kind {
        Kind::NodeDeath => {
            if node.dies(bd_seq(payload)) {
                let gone = node.offline(None).into_iter();
                sink.events.extend(gone.map(|device| offline(device, at)));
            }
            return;
        }
        Kind::NodeBirth => node.begin(bd_seq(payload), seq),
        Kind::DeviceDeath => {
            lost = !node.follows(seq);
            let gone = node.offline(topic.part.as_deref()).into_iter();
            sink.events.extend(gone.map(|device| offline(device, at)));
        }
        _ => lost = !node.follows(seq),
    }
    if matches!(topic.kind, Kind::NodeBirth | Kind::DeviceBirth) {
        if node.online(topic) {
            let device = topic.id.clone();
            sink.events.push(Event::DeviceOnline { device, at });
        }
        let named = payload.metrics.iter().filter_map(|metric| {
            let name = metric.name.as_deref().filter(|name| !is_control(name))?;
            Some((
                metric.alias,
                Known::new(name, metric.datatype, unit(metric)),
            ))
        });
        nodes.learn(node, topic, named);
    }
    if lost {
        ask_for_birth(sink, node, topic);
    }
}

/// Asks the node to be born again, unless it was asked just now.
fn ask_for_birth(sink: &mut Sink<'_>, node: &mut Node, topic: &Topic) {
    let now = sink.message.received_at;
    if !sink.live || !node.may_be_asked(now) {
        return;
    }
    let timestamp = u64::try_from(now.as_millis()).ok();
    let command = Payload {
        timestamp,
        metrics: vec![Metric {
            name: Some(REBIRTH.into()),
            timestamp,
            datatype: Some(datatype::BOOLEAN),
            value: Some(Value::Boolean(true)),
            ..Metric::default()
        }],
        seq: None,
    };
    queue(
        sink.commands,
        Command {
            topic: topic.commands.to_string(),
            payload: command.encode_to_vec(),
        },
    );
}

/// Takes the values of a message. Metrics of one time that follow each other are one row.
fn readings(sink: &mut Sink<'_>, node: &mut Node, topic: &Topic, payload: &Payload) {
    let whole = payload.timestamp.and_then(millis);
    let mut row: Option<Timestamp> = None;
    let mut first = sink.batch.reading_count();
    let mut unknown = false;
    for (place, metric) in payload.metrics.iter().enumerate() {
        let known = node.known(topic, metric.alias, metric.name.as_deref(), sink.live);
        let Some(name) = metric.name.as_deref().or(known.map(|known| &*known.name)) else {
            unknown = true;
            refuse_alias(sink, place, metric);
            continue;
        };
        if is_control(name) || metric.is_null == Some(true) {
            continue;
        }
        let kind = metric.datatype.or(known.and_then(|known| known.datatype));
        let value = match number(metric.value.as_ref(), kind) {
            Ok(value) => value,
            Err(what) => {
                sink.refuse(Reason::InvalidValue, || {
                    format!("metric {} is {what}; send a finite number", quote(name))
                });
                continue;
            }
        };
        let at = match metric.timestamp.map(|at| millis(at).ok_or(at)) {
            Some(Ok(at)) => at,
            None => whole.unwrap_or(sink.message.received_at),
            Some(Err(at)) => {
                sink.refuse(Reason::InvalidTimestamp, || {
                    format!("metric {} has the time {at}, outside the years 1970 to 9999; send milliseconds since 1970", quote(name))
                });
                continue;
            }
        };
        let told = unit(metric);
        let unit = told
            .as_deref()
            .or(known.and_then(|known| known.unit.as_deref()));
        let Some(signal) = sink.signal(&signal_name(name)) else {
            continue;
        };
        if row.is_some_and(|row| row != at) {
            finish(sink, topic, row);
            first = sink.batch.reading_count();
        }
        row = Some(at);
        if sink.batch.columns().signal[first..].contains(&signal) {
            sink.refuse(Reason::MalformedPayload, || {
                format!(
                    "metric {} stands twice for one instant; the first is kept",
                    quote(name)
                )
            });
            continue;
        }
        sink.push(signal, value, unit.filter(|unit| !unit.is_empty()));
    }
    finish(sink, topic, row);
    if unknown {
        ask_for_birth(sink, node, topic);
    }
}

fn finish(sink: &mut Sink<'_>, topic: &Topic, row: Option<Timestamp>) {
    if let Some(at) = row {
        sink.finish_row(&topic.id, at);
    }
}

fn refuse_alias(sink: &mut Sink<'_>, place: usize, metric: &Metric) {
    match metric.alias {
        Some(alias) => sink.refuse(Reason::UnknownAlias, || {
            format!(
                "alias {alias} is in no birth that came; take it again when the node was born again"
            )
        }),
        None => sink.refuse(Reason::InvalidSignal, || {
            format!("metric {place} has neither a name nor an alias")
        }),
    }
}

/// A metric's value; signed integers come as the two's complement of their width.
fn number(value: Option<&Value>, kind: Option<u32>) -> Result<f64, &'static str> {
    use datatype as is;
    if kind == Some(is::DATE_TIME) {
        return Err("a date");
    }
    let number = match value {
        None => return Err("without a value"),
        Some(Value::Int(bits)) => match kind {
            Some(is::INT8) => f64::from(*bits as i8),
            Some(is::INT16) => f64::from(*bits as i16),
            Some(is::INT32 | is::INT64) => f64::from(*bits as i32),
            Some(is::UINT8) => f64::from(*bits as u8),
            Some(is::UINT16) => f64::from(*bits as u16),
            _ => f64::from(*bits),
        },
        Some(Value::Long(bits)) => match kind {
            Some(is::INT8) => f64::from(*bits as i8),
            Some(is::INT16) => f64::from(*bits as i16),
            Some(is::INT32) => f64::from(*bits as i32),
            Some(is::INT64) => *bits as i64 as f64,
            Some(is::UINT32) => f64::from(*bits as u32),
            _ => *bits as f64,
        },
        Some(Value::Float(value)) => f64::from(*value),
        Some(Value::Double(value)) => *value,
        Some(Value::Boolean(_)) => return Err("true or false"),
        Some(Value::Text(_)) => return Err("a text"),
        Some(Value::Bytes(_)) => return Err("bytes"),
        Some(Value::DataSet(_) | Value::Template(_) | Value::Extension(_)) => {
            return Err("a data set, a template or an extension");
        }
    };
    if number.is_finite() {
        Ok(number)
    } else {
        Err("NaN or infinite")
    }
}

fn unit(metric: &Metric) -> Option<String> {
    metric.properties.as_deref().and_then(wire::unit)
}

/// The session a birth or a death belongs to.
fn bd_seq(payload: &Payload) -> Option<u64> {
    let metric = payload
        .metrics
        .iter()
        .find(|metric| metric.name.as_deref() == Some("bdSeq"))?;
    match metric.value {
        Some(Value::Int(value)) => Some(u64::from(value)),
        Some(Value::Long(value)) => Some(value),
        _ => None,
    }
}

fn is_control(name: &str) -> bool {
    name == "bdSeq" || name.starts_with("Node Control/") || name.starts_with("Device Control/")
}

/// A metric's name as a signal's; what a signal cannot hold besides `/` becomes an underscore.
fn signal_name(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '/' => '.',
            '+' | '#' | '"' | '\\' => '_',
            c => c,
        })
        .collect()
}

fn millis(at: u64) -> Option<Timestamp> {
    micros(i64::try_from(at).ok()?.saturating_mul(1_000)).ok()
}

fn offline(device: telemetry::DeviceId, at: Timestamp) -> Event {
    Event::DeviceOffline {
        device,
        at,
        graceful: false,
    }
}

#[cfg(test)]
mod tests;
