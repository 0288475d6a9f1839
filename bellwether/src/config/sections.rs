//! The sections of the configuration, each as a type that cannot be wrong. The documentation
//! of a field is the documentation of its key.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{ConfigError, Keys, layers::Setting, values::FromValue};

/// `[ingest]`: how readings come in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ingest {
    /// `[ingest.listener]`; none when `enabled = false`.
    pub(crate) listener: Option<Listener>,
    /// `[[ingest.subscriber]]`: existing brokers to read from.
    pub(crate) subscribers: Vec<Subscriber>,
    /// `[[ingest.topic]]`: which topics carry readings, and how.
    pub(crate) topics: Vec<Topic>,
}

/// `[ingest.listener]`: the MQTT endpoint of Bellwether itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listener {
    /// `bind`: address and port; loopback until there are credentials.
    pub(crate) bind: SocketAddr,
    /// `max_packet_bytes`: the longest MQTT packet accepted.
    pub(crate) max_packet_bytes: u32,
    /// `max_connections`: clients at the same time.
    pub(crate) max_connections: u32,
    /// `max_connections_per_address`: of these, from one address.
    pub(crate) max_connections_per_address: u32,
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
    /// `format`: `json` or `number`.
    pub(crate) format: Format,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// An object of signals, or a list of such objects.
    Json,
    /// One plain number; the topic names the signal.
    Number,
}

/// `[http]`: API and web UI.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Http {
    /// `bind`: address and port; loopback until there are credentials.
    pub(crate) bind: SocketAddr,
}

/// `[historian]`: what is kept of readings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Historian {
    /// `retention`: how long readings are kept, by event time; `"forever"` keeps all.
    pub(crate) retention: Option<Duration>,
}

/// `[analytics]`: how normal is learned and judged.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Analytics {
    /// `learning_rows`: rows of a device its baseline is learned from.
    pub(crate) learning_rows: u32,
    /// `lateness`: how long a row may be late in event time and still be put in order.
    pub(crate) lateness: Duration,
}

/// `[service]`: assets, orders and people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Service {
    /// `registration`: `open` registers unknown devices as discovered assets, `closed` refuses them.
    pub(crate) open_registration: bool,
}

/// `[models]`: what kinds of machines there are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Models {
    /// `dir`: a folder of TOML asset models beside the built-in ones.
    pub(crate) dir: Option<PathBuf>,
}

/// `[log]`: what is told while running, on standard error.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Log {
    /// `level`: `error`, `warn`, `info`, `debug`, `trace`, or per part as `info,ingest=debug`.
    pub(crate) level: String,
    /// `format`: `text` or `json`.
    pub(crate) format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

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

/// Refuses addresses other machines can reach: there are no credentials yet.
fn loopback(keys: &mut Keys, key: &str, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
    let found = keys.checked(key, |value| {
        let address = SocketAddr::from_value(value)?;
        if address.ip().is_loopback() {
            return Ok(address);
        }
        Err(format!(
            "other machines could reach this address, and this version has no credentials to \
             ask them for; use a loopback address such as 127.0.0.1:{}",
            address.port()
        ))
    })?;
    Ok(found.map_or(default, |(address, _)| address))
}

/// Takes a key that is one of a few words.
fn word<T: Copy>(
    keys: &mut Keys,
    key: &str,
    words: &[(&str, T)],
    default: T,
) -> Result<T, ConfigError> {
    let found = keys.checked(key, |value| {
        let text = String::from_value(value)?;
        let known = words.iter().find(|(word, _)| *word == text);
        known.map(|&(_, value)| value).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            format!("use one of {}", names.join(", "))
        })
    })?;
    Ok(found.map_or(default, |(value, _): (T, Setting)| value))
}

impl Ingest {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let enabled = keys.or("ingest.listener.enabled", true)?;
        let listener = Listener::take(keys)?;
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
            subscribers,
            topics,
        })
    }
}

impl Listener {
    fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let bind = SocketAddr::from(([127, 0, 0, 1], 1883));
        Ok(Self {
            bind: loopback(keys, "ingest.listener.bind", bind)?,
            // 268,435,455 bytes is the most the MQTT length field can say.
            max_packet_bytes: keys.ranged(
                "ingest.listener.max_packet_bytes",
                256 * 1024,
                64..=268_435_455,
            )? as u32,
            max_connections: keys.ranged(
                "ingest.listener.max_connections",
                10_000,
                1..=1_000_000,
            )? as u32,
            max_connections_per_address: keys.ranged(
                "ingest.listener.max_connections_per_address",
                10_000,
                1..=1_000_000,
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
        let pattern: String = keys.required(
            &section,
            &key("pattern"),
            "a topic needs a pattern such as \"telemetry/{device}\"",
        )?;
        let formats = [("json", Format::Json), ("number", Format::Number)];
        Ok(Self {
            pattern,
            format: word(keys, &key("format"), &formats, Format::Json)?,
        })
    }

    fn defaults() -> Vec<Self> {
        vec![
            Self {
                pattern: "telemetry/{device}".to_owned(),
                format: Format::Json,
            },
            Self {
                pattern: "telemetry/{device}/{signal}".to_owned(),
                format: Format::Number,
            },
        ]
    }
}

impl Http {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let bind = SocketAddr::from(([127, 0, 0, 1], 8080));
        Ok(Self {
            bind: loopback(keys, "http.bind", bind)?,
        })
    }
}

impl Historian {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        // 400 days: a year and its season before, and a month to look at them.
        let default = Some(Duration::from_hours(400 * 24));
        let found = keys.checked("historian.retention", |value| {
            if String::from_value(value).as_deref() == Ok("forever") {
                return Ok(None);
            }
            let kept = Duration::from_value(value).map_err(|e| format!("{e}, or \"forever\""))?;
            if kept < Duration::from_hours(1) {
                return Err("use at least 1h, or \"forever\"".to_owned());
            }
            Ok(Some(kept))
        })?;
        Ok(Self {
            retention: found.map_or(default, |(retention, _)| retention),
        })
    }
}

impl Analytics {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let default = analytics::Config::default();
        let lateness = keys.checked("analytics.lateness", |value| {
            let lateness = Duration::from_value(value)?;
            if lateness > Duration::from_hours(24) {
                return Err("use at most 1d".to_owned());
            }
            Ok(lateness)
        })?;
        Ok(Self {
            learning_rows: keys.ranged(
                "analytics.learning_rows",
                u64::from(default.learning_rows),
                100..=1_000_000,
            )? as u32,
            lateness: lateness.map_or(default.lateness, |(lateness, _)| lateness),
        })
    }
}

impl Service {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let words = [("open", true), ("closed", false)];
        Ok(Self {
            open_registration: word(keys, "service.registration", &words, true)?,
        })
    }
}

impl Models {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let dir = keys.checked("models.dir", |value| {
            let dir = PathBuf::from_value(value)?;
            crate::models::read_dir(&dir).map_err(|error| format!("{error:#}"))?;
            Ok(dir)
        })?;
        Ok(Self {
            dir: dir.map(|(dir, _)| dir),
        })
    }
}

impl Log {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let level = keys.checked("log.level", |value| {
            let level = String::from_value(value)?;
            tracing_subscriber::EnvFilter::try_new(&level)
                .map(|_| level)
                .map_err(|_| {
                    "use error, warn, info, debug or trace, or parts as in info,ingest=debug"
                        .to_owned()
                })
        })?;
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Ok(Self {
            level: level.map_or_else(|| "info".to_owned(), |(level, _)| level),
            format: word(keys, "log.format", &formats, LogFormat::Text)?,
        })
    }
}
