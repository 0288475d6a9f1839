//! What a payload may look like, and the settings of the formats that have some.

use std::sync::Arc;

use super::JsonPaths;

/// What the payloads of a topic look like. See `docs/formats.md` for each with an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// By the content type of the message; without one, by what the payload unmistakably is,
    /// and else JSON, or one number where the topic names the signal.
    #[default]
    Auto,
    /// A JSON object of signals, or an array of such objects.
    Json,
    /// Any JSON document, with the paths of signals and time.
    JsonPaths(Arc<JsonPaths>),
    /// One number as text, or the JSON object `{"ts", "value", "unit"}`; the topic names the
    /// signal.
    Number,
    /// `SenML` (RFC 8428), JSON or CBOR.
    Senml,
    /// Sparkplug B, on topics `spBv1.0/{group}/{type}/{node}[/{device}]`.
    Sparkplug,
    /// `InfluxDB` line protocol.
    LineProtocol(Arc<LineOptions>),
    /// A vibration snapshot: samples of one sensor at a fixed rate.
    Waveform,
}

/// How lines of `InfluxDB` line protocol become devices and signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineOptions {
    /// The tag that names the device; a line without it is the topic's device's.
    pub device_tag: String,
    /// The measurement whose fields are signals by their own name; fields of another
    /// measurement are called `measurement.field`, and `measurement` when the field is `value`.
    pub plain_measurement: String,
    /// Tags that say nothing about which series it is, such as a site; every other tag becomes
    /// a part of the signal's name, so that two series never become one.
    pub ignored_tags: Vec<String>,
}

impl Default for LineOptions {
    fn default() -> Self {
        Self {
            device_tag: "device".into(),
            plain_measurement: "reading".into(),
            ignored_tags: Vec::new(),
        }
    }
}
