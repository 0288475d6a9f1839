//! `[ingest]`: how readings come in. The documentation of a field is the documentation of its
//! key.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use telemetry::SignalName;

use super::{ConfigError, Keys, listener::Listener, sections::word, values::FromValue};

/// `[ingest]`: how readings come in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ingest {
    /// `[ingest.listener]`; none when `enabled = false`.
    pub(crate) listener: Option<Listener>,
    /// `[ingest.checks]`: what is believed of a reading.
    pub(crate) checks: Checks,
    /// `[[ingest.subscriber]]`: existing brokers to read from.
    pub(crate) subscribers: Vec<Subscriber>,
    /// `[[ingest.topic]]`: which topics carry readings, and how.
    pub(crate) topics: Vec<Topic>,
}

/// `[ingest.checks]`: what is believed of a reading, beside what is declared for its signal.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Checks {
    /// `clock_ahead`: what was measured further in the future than this is quarantined.
    pub(crate) clock_ahead: Duration,
    /// `late_after`: what comes later than this behind its device's newest reading is stored,
    /// marked late, and raises nothing.
    pub(crate) late_after: Duration,
    /// `new_devices_per_minute`: more new devices are not believed; 0 for no limit.
    pub(crate) new_devices_per_minute: u32,
    /// `new_signals_per_minute`: the same of new signals.
    pub(crate) new_signals_per_minute: u32,
}

/// `[[ingest.subscriber]]`: one existing broker.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subscriber {
    /// `url`: `mqtt://host:port`, shown without a password.
    #[serde(serialize_with = "without_password")]
    pub(crate) url: String,
    /// `client_id`: who we are at the broker; the broker keeps our session under it.
    pub(crate) client_id: String,
    /// `topics`: the filters to subscribe to.
    pub(crate) topics: Vec<String>,
    /// `protocol`: `v5`, or `v4` (3.1.1) for older brokers.
    pub(crate) protocol: Protocol,
}

/// The version of MQTT a subscriber speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.0.
    V5,
}

/// `[[ingest.topic]]`: one pattern of topics.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Topic {
    /// `pattern`: with `{device}` and perhaps `{signal}`.
    pub(crate) pattern: String,
    /// `format`: what the payloads look like.
    pub(crate) format: Format,
    /// `paths`: where in a nested JSON document each signal stands, for the format `json-paths`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) paths: BTreeMap<SignalName, String>,
    /// `time_path`: where its time stands; the time of arrival without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_path: Option<String>,
    /// `time_unit`: what a number there counts: `s`, `ms`, `us` or `ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_unit: Option<ingest::TimeUnit>,
    /// `device_tag`: the tag that names the device, for the format `line-protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_tag: Option<String>,
    /// `plain_measurement`: the measurement whose fields are signals by their own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plain_measurement: Option<String>,
    /// `ignored_tags`: tags that say nothing about which series it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ignored_tags: Vec<String>,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// By content type; without one by what the payload unmistakably is, and else JSON.
    Auto,
    /// An object of signals, or a list of such objects.
    Json,
    /// Any JSON document, signals and time by their paths.
    JsonPaths,
    /// One plain number; the topic names the signal.
    Number,
    /// `SenML`, JSON or CBOR.
    Senml,
    /// Sparkplug B.
    Sparkplug,
    /// `InfluxDB` line protocol.
    LineProtocol,
    /// A vibration snapshot.
    Waveform,
}

/// The words for formats.
const FORMATS: [(&str, Format); 8] = [
    ("auto", Format::Auto),
    ("json", Format::Json),
    ("json-paths", Format::JsonPaths),
    ("number", Format::Number),
    ("senml", Format::Senml),
    ("sparkplug", Format::Sparkplug),
    ("line-protocol", Format::LineProtocol),
    ("waveform", Format::Waveform),
];

fn without_password<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown_url(url))
}

/// An address without its user and password.
fn shown_url(url: &str) -> String {
    match url.split_once("://").zip(url.rsplit_once('@')) {
        Some(((scheme, _), (_, address))) => format!("{scheme}://{address}"),
        None => url.to_owned(),
    }
}

impl Ingest {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let enabled = keys.or("ingest.listener.enabled", true)?;
        let listener = Listener::take(keys, enabled)?;
        let subscribers = keys
            .positions("ingest.subscriber")
            .into_iter()
            .map(|at| Subscriber::take(keys, at))
            .collect::<Result<_, _>>()?;
        let mut topics = keys
            .positions("ingest.topic")
            .into_iter()
            .map(|at| Topic::take(keys, at))
            .collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() {
            topics = Topic::defaults();
        }
        Ok(Self {
            listener: enabled.then_some(listener),
            checks: Checks::take(keys)?,
            subscribers,
            topics,
        })
    }
}

impl Checks {
    fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let default = ingest::CheckConfig::default();
        let mut time = |key: &str, default: Duration| {
            let found = keys.checked(key, |value| {
                let time = Duration::from_value(value)?;
                if (Duration::from_secs(1)..=Duration::from_hours(3_660 * 24)).contains(&time) {
                    Ok(time)
                } else {
                    Err("use 1s to 3660d".to_owned())
                }
            })?;
            Ok::<_, ConfigError>(found.map_or(default, |(time, _)| time))
        };
        Ok(Self {
            clock_ahead: time("ingest.checks.clock_ahead", default.clock_ahead)?,
            late_after: time("ingest.checks.late_after", default.late_after)?,
            new_devices_per_minute: keys.ranged(
                "ingest.checks.new_devices_per_minute",
                u64::from(default.new_devices_per_minute),
                0..=100_000,
            )? as u32,
            new_signals_per_minute: keys.ranged(
                "ingest.checks.new_signals_per_minute",
                u64::from(default.new_signals_per_minute),
                0..=10_000_000,
            )? as u32,
        })
    }
}

impl Subscriber {
    /// The address without its password.
    pub(crate) fn shown_url(&self) -> String {
        shown_url(&self.url)
    }

    fn take(keys: &mut Keys, at: usize) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("ingest.subscriber.{at}.{name}");
        let section = format!("ingest.subscriber.{at}.");
        let url: String = keys.required(
            &section,
            &key("url"),
            "a subscriber needs the broker's address such as \"mqtt://127.0.0.1:1884\"",
        )?;
        Ok(Self {
            url,
            client_id: keys.or(&key("client_id"), format!("bellwether-{at}"))?,
            topics: keys.or(&key("topics"), vec!["telemetry/#".to_owned()])?,
            protocol: word(
                keys,
                &key("protocol"),
                &[("v5", Protocol::V5), ("v4", Protocol::V4)],
                Protocol::V5,
            )?,
        })
    }
}

impl Topic {
    fn take(keys: &mut Keys, at: usize) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("ingest.topic.{at}.{name}");
        let section = format!("ingest.topic.{at}.");
        let written = keys.peek(&key("pattern"));
        let pattern: String = keys.required(
            &section,
            &key("pattern"),
            "a topic needs a pattern such as \"telemetry/{device}\"",
        )?;
        let paths = Self::paths(keys, &key("paths"))?;
        let default = if paths.is_empty() {
            Format::Auto
        } else {
            Format::JsonPaths
        };
        let units = [
            ("s", ingest::TimeUnit::S),
            ("ms", ingest::TimeUnit::Ms),
            ("us", ingest::TimeUnit::Us),
            ("ns", ingest::TimeUnit::Ns),
        ];
        let units = units.map(|(word, unit)| (word, Some(unit)));
        let topic = Self {
            pattern,
            format: word(keys, &key("format"), &FORMATS, default)?,
            paths,
            time_path: keys.get(&key("time_path"))?,
            time_unit: word(keys, &key("time_unit"), &units, None)?,
            device_tag: keys.get(&key("device_tag"))?,
            plain_measurement: keys.get(&key("plain_measurement"))?,
            ignored_tags: keys.or(&key("ignored_tags"), Vec::new())?,
        };
        match (topic.compiled(), written) {
            (Err(problem), Some(setting)) => Err(ConfigError::Invalid {
                key: key("pattern"),
                setting: Box::new(setting),
                problem,
            }),
            _ => Ok(topic),
        }
    }

    /// `paths = { signal = "path", … }`, each entry a key of its own once it is flattened.
    fn paths(keys: &mut Keys, table: &str) -> Result<BTreeMap<SignalName, String>, ConfigError> {
        let mut paths = BTreeMap::new();
        for (name, setting) in keys.take_under(table) {
            let invalid = |problem: String| ConfigError::Invalid {
                key: format!("{table}.{name}"),
                setting: Box::new(setting.clone()),
                problem,
            };
            let signal = SignalName::new(&name).map_err(|error| invalid(error.to_string()))?;
            let path = String::from_value(&setting.value).map_err(invalid)?;
            paths.insert(signal, path);
        }
        Ok(paths)
    }

    fn of(pattern: &str, format: Format) -> Self {
        Self {
            pattern: pattern.to_owned(),
            format,
            paths: BTreeMap::new(),
            time_path: None,
            time_unit: None,
            device_tag: None,
            plain_measurement: None,
            ignored_tags: Vec::new(),
        }
    }

    fn defaults() -> Vec<Self> {
        vec![
            Self::of("telemetry/{device}", Format::Auto),
            Self::of("telemetry/{device}/{signal}", Format::Auto),
            Self::of("spBv1.0/#", Format::Sparkplug),
        ]
    }

    /// The pattern as ingest reads it.
    ///
    /// # Errors
    /// What is wrong with it, with the key.
    pub(crate) fn compiled(&self) -> Result<ingest::TopicPattern, String> {
        if !self.paths.is_empty() && self.format != Format::JsonPaths {
            return Err("paths need the format json-paths".to_owned());
        }
        let format = match self.format {
            Format::Auto => ingest::Format::Auto,
            Format::Json => ingest::Format::Json,
            Format::JsonPaths => ingest::Format::JsonPaths(self.json_paths()?.into()),
            Format::Number => ingest::Format::Number,
            Format::Senml => ingest::Format::Senml,
            Format::Sparkplug => ingest::Format::Sparkplug,
            Format::LineProtocol => ingest::Format::LineProtocol(self.line_options().into()),
            Format::Waveform => ingest::Format::Waveform,
        };
        let pattern = ingest::TopicPattern::parse(&self.pattern, format);
        pattern.map_err(|error| error.to_string())
    }

    fn json_paths(&self) -> Result<ingest::JsonPaths, String> {
        let signals = self
            .paths
            .iter()
            .map(|(name, path)| (name.clone(), path.as_str()));
        let unit = self.time_unit.unwrap_or_default();
        ingest::JsonPaths::new(signals, self.time_path.as_deref(), unit)
            .map_err(|error| format!("paths of {:?}: {error}", self.pattern))
    }

    fn line_options(&self) -> ingest::LineOptions {
        let default = ingest::LineOptions::default();
        ingest::LineOptions {
            device_tag: self.device_tag.clone().unwrap_or(default.device_tag),
            plain_measurement: self
                .plain_measurement
                .clone()
                .unwrap_or(default.plain_measurement),
            ignored_tags: self.ignored_tags.clone(),
        }
    }
}
