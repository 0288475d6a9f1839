//! Where settings come from, and in which order they win.
//!
//! Every layer (file, environment, flags) is flattened to `dotted.key -> value`, each value
//! with its [`Source`]; later layers replace single keys of earlier ones, so that one
//! environment variable never hides a whole section of the file. Lists of tables carry their
//! position in the key (`ingest.subscriber.0.url`). The checked configuration *takes* the keys
//! it knows; whatever is left afterwards is unknown and refused. So there is no second list
//! of keys that could fall behind, and every complaint can name key, value and source.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::de::{DeArray, DeTable, DeValue};

/// Variables with this prefix belong to Bellwether.
const PREFIX: &str = "BELLWETHER_";
/// Names the configuration file itself.
pub(crate) const CONFIG_VARIABLE: &str = "BELLWETHER_CONFIG";
/// Beginnings of variables that steer tests and benches, and are no keys.
const TEST_VARIABLES: [&str; 4] = [
    "BELLWETHER_BIN",
    "BELLWETHER_RECORDINGS",
    "BELLWETHER_REQUIRE_WEB",
    "BELLWETHER_TEST",
];
/// Variables with this ending name a file that holds the value, as secrets are mounted.
const FILE_SUFFIX: &str = "_FILE";
/// A secret is a password or a token; a longer file is the wrong file.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A line of the configuration file.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Env(String),
    /// The file an environment variable points to.
    EnvFile { variable: String, path: PathBuf },
    /// A command line flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::EnvFile { variable, path } => {
                write!(f, "{}, named by {variable}", path.display())
            }
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value as it was written, before anybody knows what it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// From the environment or a flag: its type is told by the key that takes it.
    Text(String),
    /// From the file, where types are written down.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A list of plain values.
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::String(text) => write!(f, "{text:?}"),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Boolean(flag) => flag.fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// One value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// A setting that cannot be used. The text always holds key, value and source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {problem}")]
    Syntax { path: PathBuf, problem: String },
    /// A key nobody takes.
    #[error("unknown key {key} = {} ({}){hint}", setting.value, setting.source)]
    UnknownKey {
        key: String,
        setting: Box<Setting>,
        hint: String,
    },
    /// A value the key cannot have.
    #[error("{key} = {} ({}): {problem}", setting.value, setting.source)]
    Invalid {
        key: String,
        setting: Box<Setting>,
        problem: String,
    },
    /// A key that must be there because its section is.
    #[error("{key} is missing ({}): {problem}", beside.source)]
    Missing {
        key: String,
        /// Another key of the section.
        beside: Box<Setting>,
        problem: String,
    },
}

/// All settings that were written anywhere, the winning one per key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    settings: BTreeMap<String, Setting>,
}

impl Layers {
    /// Lays the text of a configuration file on top.
    pub(crate) fn add_file(
        &mut self,
        path: &std::path::Path,
        text: &str,
    ) -> Result<(), ConfigError> {
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        let mut file = FileLayer {
            path,
            text,
            settings: &mut self.settings,
        };
        file.table("", table.get_ref())
    }

    /// Lays environment variables on top; those without our prefix are not looked at.
    pub(crate) fn add_env(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if name == CONFIG_VARIABLE || TEST_VARIABLES.iter().any(|of| name.starts_with(of)) {
                continue;
            }
            let (key, setting) = if let Some(rest) = rest.strip_suffix(FILE_SUFFIX) {
                let path = PathBuf::from(&text);
                let value = read_secret(&path).map_err(|source| ConfigError::Unreadable {
                    path: path.clone(),
                    source,
                })?;
                let source = Source::EnvFile {
                    variable: name.clone(),
                    path,
                };
                (rest.to_owned(), Setting { value, source })
            } else {
                let source = Source::Env(name.clone());
                let value = Value::Text(text);
                (rest.to_owned(), Setting { value, source })
            };
            let key = key.to_ascii_lowercase().replace("__", ".");
            self.settings.insert(key, setting);
        }
        Ok(())
    }

    /// Lays one flag on top.
    pub(crate) fn add_flag(&mut self, flag: &str, key: &str, text: &str) {
        let source = Source::Flag(flag.to_owned());
        let value = Value::Text(text.to_owned());
        self.settings
            .insert(key.to_owned(), Setting { value, source });
    }

    /// Takes a key out; none when it was written nowhere.
    pub(crate) fn take(&mut self, key: &str) -> Option<Setting> {
        self.settings.remove(key)
    }

    /// The setting of a key, left where it is.
    pub(crate) fn peek(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// Takes every key below a table out, each by what follows the table's name.
    pub(crate) fn take_under(&mut self, table: &str) -> Vec<(String, Setting)> {
        let prefix = format!("{table}.");
        let found: Vec<String> = self
            .settings
            .range(prefix.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        found
            .into_iter()
            .filter_map(|rest| {
                let setting = self.settings.remove(&format!("{prefix}{rest}"))?;
                Some((rest, setting))
            })
            .collect()
    }

    /// The positions that occur in a list of tables such as `ingest.subscriber`.
    pub(crate) fn positions(&self, list: &str) -> Vec<usize> {
        let prefix = format!("{list}.");
        let mut found: Vec<usize> = self
            .settings
            .range(prefix.clone()..)
            .map_while(|(key, _)| key.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('.').next()?.parse().ok())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Any setting whose key begins with `prefix`: where a section was written.
    pub(crate) fn first_under(&self, prefix: &str) -> Option<&Setting> {
        self.settings
            .range(prefix.to_owned()..)
            .next()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(_, setting)| setting)
    }

    /// What nobody took.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&String, &Setting)> {
        self.settings.iter()
    }
}

fn read_secret(path: &std::path::Path) -> std::io::Result<Value> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_SECRET_BYTES {
        return Err(std::io::Error::other(format!(
            "the file has {size} bytes; a value has at most {MAX_SECRET_BYTES}"
        )));
    }
    let text = std::fs::read_to_string(path)?;
    Ok(Value::Text(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Flattens one file.
struct FileLayer<'a> {
    path: &'a std::path::Path,
    text: &'a str,
    settings: &'a mut BTreeMap<String, Setting>,
}

impl FileLayer<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let source = Source::File {
                path: self.path.to_owned(),
                line: 1 + self.text[..name.span().start].matches('\n').count(),
            };
            match value.get_ref() {
                DeValue::Table(inner) => self.table(&key, inner)?,
                DeValue::Array(items) if holds_tables(items) => {
                    for (at, item) in items.iter().enumerate() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.table(&format!("{key}.{at}"), inner)?;
                        }
                    }
                }
                plain => {
                    let value = plain_value(plain);
                    self.settings.insert(key, Setting { value, source });
                }
            }
        }
        Ok(())
    }
}

fn holds_tables(items: &DeArray<'_>) -> bool {
    !items.is_empty()
        && items
            .iter()
            .all(|item| matches!(item.get_ref(), DeValue::Table(_)))
}

fn plain_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => number
            .as_str()
            .replace('_', "")
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .replace('_', "")
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Float),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| plain_value(item.get_ref()))
                .collect(),
        ),
        DeValue::Table(_) => Value::String("{ … }".to_owned()),
    }
}
