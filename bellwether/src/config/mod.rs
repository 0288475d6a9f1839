//! The configuration: one TOML file, the environment and flags, checked once.
//!
//! [`layers`] collects what was written where, [`values`] gives it types, and
//! [`Config::try_from`] takes every key it knows and refuses the rest. A [`Config`] cannot be
//! wrong in a way that only shows later: what other machines can reach is guarded, limits are
//! in range, asset models are consistent. No configuration at all is a working one.

mod cases;
mod historian;
mod influx;
mod ingest;
mod layers;
mod listener;
mod notify;
mod planning;
mod sections;
mod values;

#[cfg(test)]
mod deploy_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use self::historian::Historian;
pub(crate) use self::influx::Queries;
pub(crate) use self::{
    ingest::{Ingest, Protocol},
    listener::Listener,
    notify::Notify,
};
pub(crate) use layers::{CONFIG_VARIABLE, ConfigError, Layers};
pub(crate) use planning::Planning;
pub(crate) use sections::{Analytics, Http, Log, LogFormat, Models, Prognosis, Rules, Service};
pub(crate) use values::parse_duration;

use layers::{Setting, Source};
use values::FromValue;

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// The flag as it was written, for messages.
    pub(crate) flag: String,
    /// The key it sets.
    pub(crate) key: String,
    /// Its value as text.
    pub(crate) text: String,
}

/// The whole configuration, checked.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Config {
    /// `data_dir`: everything that must survive a restart.
    pub(crate) data_dir: PathBuf,
    /// `[ingest]`
    pub(crate) ingest: Ingest,
    /// `[http]`
    pub(crate) http: Http,
    /// `[historian]`
    pub(crate) historian: Historian,
    /// `[analytics]`
    pub(crate) analytics: Analytics,
    /// `[cases]`
    pub(crate) cases: alerting::CaseSettings,
    /// `[prognosis]`
    pub(crate) prognosis: Prognosis,
    /// `[service]`
    pub(crate) service: Service,
    /// `[notify]`
    pub(crate) notify: Notify,
    /// `[planning]`
    pub(crate) planning: Planning,
    /// `[models]`
    pub(crate) models: Models,
    /// `[rules]`
    pub(crate) rules: Rules,
    /// `[log]`
    pub(crate) log: Log,
}

impl Config {
    /// Lays default, file, environment and flags over each other and checks the result.
    ///
    /// # Errors
    /// The first problem, with key, value and source.
    pub(crate) fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            layers.add_file(path, &text)?;
        }
        layers.add_env(variables)?;
        for set in overrides {
            layers.add_flag(&set.flag, &set.key, &set.text);
        }
        Self::try_from(layers)
    }
}

impl TryFrom<Layers> for Config {
    type Error = ConfigError;

    fn try_from(layers: Layers) -> Result<Self, ConfigError> {
        let mut keys = Keys::new(layers);
        let config = Self {
            data_dir: keys.or("data_dir", PathBuf::from("./bellwether-data"))?,
            ingest: Ingest::take(&mut keys)?,
            http: Http::take(&mut keys)?,
            historian: Historian::take(&mut keys)?,
            analytics: Analytics::take(&mut keys)?,
            cases: cases::take(&mut keys)?,
            prognosis: Prognosis::take(&mut keys)?,
            service: Service::take(&mut keys)?,
            notify: Notify::take(&mut keys)?,
            planning: Planning::take(&mut keys)?,
            models: Models::take(&mut keys)?,
            rules: Rules::take(&mut keys)?,
            log: Log::take(&mut keys)?,
        };
        keys.finish()?;
        Ok(config)
    }
}

/// The settings with the keys that were asked for, so that an unknown key can be told what it
/// may have meant.
struct Keys {
    layers: Layers,
    known: Vec<String>,
}

impl Keys {
    fn new(layers: Layers) -> Self {
        Self {
            layers,
            known: Vec::new(),
        }
    }

    /// Takes a key and gives it its type.
    fn get<T: FromValue>(&mut self, key: &str) -> Result<Option<T>, ConfigError> {
        Ok(self.checked(key, T::from_value)?.map(|(value, _)| value))
    }

    fn or<T: FromValue>(&mut self, key: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// Takes a key that must lie in a range.
    fn ranged<T: FromValue + PartialOrd + std::fmt::Display>(
        &mut self,
        key: &str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, ConfigError> {
        let found = self.checked(key, |value| {
            let value = T::from_value(value)?;
            if range.contains(&value) {
                Ok(value)
            } else {
                let (low, high) = (range.start(), range.end());
                Err(format!("use a value from {low} to {high}"))
            }
        })?;
        Ok(found.map_or(default, |(value, _)| value))
    }

    /// Takes a key, gives it its type by `read`, and keeps the source for later complaints.
    fn checked<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&layers::Value) -> Result<T, String>,
    ) -> Result<Option<(T, Setting)>, ConfigError> {
        self.known.push(key.to_owned());
        let Some(setting) = self.layers.take(key) else {
            return Ok(None);
        };
        match read(&setting.value) {
            Ok(value) => Ok(Some((value, setting))),
            Err(problem) => Err(ConfigError::Invalid {
                key: key.to_owned(),
                setting: Box::new(setting),
                problem,
            }),
        }
    }

    /// Takes a key that has to be there because its section is.
    fn required<T: FromValue>(
        &mut self,
        section: &str,
        key: &str,
        problem: &str,
    ) -> Result<T, ConfigError> {
        // A section is there because one of its keys is.
        let beside = self.layers.first_under(section).cloned();
        match (self.get(key)?, beside) {
            (Some(value), _) => Ok(value),
            (None, beside) => Err(ConfigError::Missing {
                key: key.to_owned(),
                beside: Box::new(beside.unwrap_or_else(|| Setting {
                    value: layers::Value::List(Vec::new()),
                    source: Source::Flag("--set".to_owned()),
                })),
                problem: problem.to_owned(),
            }),
        }
    }

    /// Takes every key below a table whose keys are chosen freely.
    fn take_under(&mut self, table: &str) -> Vec<(String, Setting)> {
        self.layers.take_under(table)
    }

    /// Where a key that is still there was written.
    fn peek(&self, key: &str) -> Option<Setting> {
        self.layers.peek(key).cloned()
    }

    fn positions(&self, list: &str) -> Vec<usize> {
        self.layers.positions(list)
    }

    /// Refuses what is left.
    fn finish(self) -> Result<(), ConfigError> {
        let Some((key, setting)) = self.layers.left().next() else {
            return Ok(());
        };
        let nearest = self
            .known
            .iter()
            .map(|known| (edit_distance(key, known), known))
            .min();
        // A third of the letters wrong is a slip; more is another word.
        let hint = match nearest {
            Some((distance, known)) if distance * 3 <= key.len() => {
                format!("; did you mean {known}?")
            }
            _ => "; `bellwether config check --json` lists the keys there are".to_owned(),
        };
        Err(ConfigError::UnknownKey {
            key: key.clone(),
            setting: Box::new(setting.clone()),
            hint,
        })
    }
}

/// Levenshtein distance, for the hint at an unknown key.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Every key without a position in a list, sorted: what an example has to explain.
#[cfg(test)]
pub(crate) fn known_keys() -> Vec<String> {
    let mut layers = Layers::default();
    layers.add_flag("--set", "ingest.subscriber.0.url", "mqtt://127.0.0.1:1884");
    layers.add_flag("--set", "ingest.topic.0.pattern", "telemetry/{device}");
    layers.add_flag("--set", "historian.signal.0.pattern", "vibration_*");
    for (key, text) in [
        ("channel.0.id", "hook"),
        ("channel.0.url", "https://example.com/"),
        ("person.0.id", "wang-li"),
        ("person.0.channel", "hook"),
        ("rota.0.id", "plant"),
        ("rota.0.first_turn", "2026-01-05T08:00"),
        ("rota.0.members", "wang-li"),
        ("chain.0.id", "urgent"),
        ("chain.0.steps", "0s on_call"),
    ] {
        layers.add_flag("--set", &format!("notify.{key}"), text);
    }
    layers.add_flag("--set", "planning.site.0.id", "hall-3");
    layers.add_flag("--set", "planning.customer.0.id", "acme");
    for (key, text) in [
        ("name", "cmms"),
        ("mapping", "maximo"),
        ("base_url", "https://cmms.example.com"),
    ] {
        layers.add_flag("--set", &format!("planning.connector.0.{key}"), text);
    }
    let mut keys = Keys::new(layers);
    Ingest::take(&mut keys).unwrap();
    Http::take(&mut keys).unwrap();
    Historian::take(&mut keys).unwrap();
    Analytics::take(&mut keys).unwrap();
    Prognosis::take(&mut keys).unwrap();
    Service::take(&mut keys).unwrap();
    Notify::take(&mut keys).unwrap();
    Planning::take(&mut keys).unwrap();
    Models::take(&mut keys).unwrap();
    Log::take(&mut keys).unwrap();
    keys.known.push("data_dir".to_owned());
    keys.known.sort();
    keys.known
}
