//! The sections of the configuration, each as a type that cannot be wrong. The documentation
//! of a field is the documentation of its key.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{ConfigError, Keys, layers::Setting, values::FromValue};

/// `[http]`: API and web UI.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Http {
    /// `bind`: address and port; loopback until there are credentials.
    pub(crate) bind: SocketAddr,
}

/// `[analytics]`: how normal is learned and judged.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Analytics {
    /// `learning_rows`: rows of a device its baseline is learned from.
    pub(crate) learning_rows: u32,
    /// `lateness`: how long a row may be late in event time and still be put in order.
    pub(crate) lateness: Duration,
    /// `alarms_per_asset_month`: alarms a month on a healthy asset that are bearable.
    pub(crate) alarms_per_asset_month: f64,
    /// `drift_every`: how often what detectors see is held against what they learned from.
    pub(crate) drift_every: Duration,
}

/// `[prognosis]`: how models of remaining life are kept up to date.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Prognosis {
    /// `retrain_every`: how often each kind of machine with a section `[prognosis]` is trained anew;
    /// without it only when a person asks. What is trained is judged beside what serves and
    /// promoted by a person.
    pub(crate) retrain_every: Option<Duration>,
    /// `drift_every`: how often what machines measure is held against what the models that serve
    /// learned from.
    pub(crate) drift_every: Duration,
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

/// `[rules]`: what people say is a problem.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rules {
    /// `files`: rule files that are read when the program starts; a rule that changed in them since
    /// is put in force, one that did not stays as it was edited elsewhere.
    pub(crate) files: Vec<PathBuf>,
    /// `recalibrate_every`: how often alerts are made rarer or more frequent by what their orders
    /// found; `0s` never.
    pub(crate) recalibrate_every: Option<Duration>,
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

/// Refuses addresses other machines can reach: there are no credentials of people yet.
fn loopback(keys: &mut Keys, key: &str, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
    let found = keys.checked(key, |value| {
        let address = SocketAddr::from_value(value)?;
        if address.ip().is_loopback() {
            return Ok(address);
        }
        Err(format!(
            "other machines could reach this address, and this version has no credentials to \
             ask people for; use a loopback address such as 127.0.0.1:{}, and a reverse proxy \
             that asks for them",
            address.port()
        ))
    })?;
    Ok(found.map_or(default, |(address, _)| address))
}

/// Takes a key that is one of a few words.
pub(super) fn word<T: Copy>(
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

/// Takes how often a week is looked at; once a day, because it does not move faster.
fn drift_every(keys: &mut Keys, key: &str) -> Result<Duration, ConfigError> {
    let every = keys.checked(key, |value| {
        let every = Duration::from_value(value)?;
        if every < Duration::from_secs(1) {
            return Err("use at least 1s".to_owned());
        }
        Ok(every)
    })?;
    Ok(every.map_or(Duration::from_hours(24), |(every, _)| every))
}

impl Http {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let bind = SocketAddr::from(([127, 0, 0, 1], 8080));
        Ok(Self {
            bind: loopback(keys, "http.bind", bind)?,
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
            alarms_per_asset_month: keys.ranged(
                "analytics.alarms_per_asset_month",
                default.alarms_per_asset_month,
                0.001..=1_000.0,
            )?,
            drift_every: drift_every(keys, "analytics.drift_every")?,
        })
    }
}

impl Prognosis {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let every = keys.checked("prognosis.retrain_every", |value| {
            let every = Duration::from_value(value)?;
            if every < Duration::from_hours(1) {
                return Err("use at least 1h: a training takes minutes of a processor".to_owned());
            }
            Ok(every)
        })?;
        Ok(Self {
            retrain_every: every.map(|(every, _)| every),
            drift_every: drift_every(keys, "prognosis.drift_every")?,
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

impl Rules {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let files = keys.checked("rules.files", |value| {
            let files = Vec::<String>::from_value(value)?;
            let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
            crate::rules::read_files(&files).map_err(|error| format!("{error:#}"))?;
            Ok(files)
        })?;
        let every = keys.or("rules.recalibrate_every", Duration::from_hours(24))?;
        Ok(Self {
            files: files.map(|(files, _)| files).unwrap_or_default(),
            recalibrate_every: (!every.is_zero()).then_some(every),
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
