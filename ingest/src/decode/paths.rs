//! Where in a JSON document the signals and the time stand.

use std::fmt;

use telemetry::SignalName;

/// Steps of one path; documents deeper than the scanner reads have none.
const MAX_STEPS: usize = 32;

/// Signals of one pattern; as many as an object of the default format may have.
const MAX_PATHS: usize = 1_000;

/// The signals of a nested document and their time, each by its path.
///
/// A path is keys with dots and places in brackets: `data.sensors[0].temperature`. `[*]` is
/// every place of an array, and each makes a row of its own. A key that holds a dot or a
/// bracket is written `["such.a.key"]`; a leading `$` or `$.` is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPaths {
    pub(super) signals: Vec<(SignalName, Path)>,
    pub(super) time: Option<Path>,
    pub(super) time_unit: TimeUnit,
}

/// What a number means as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970, perhaps with a fraction.
    S,
    /// Milliseconds since 1970.
    #[default]
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
}

impl TimeUnit {
    /// Microseconds of a count that may have a fraction; saturates.
    pub(super) fn micros(self, count: f64) -> i64 {
        let micros = match self {
            Self::S => count * 1e6,
            Self::Ms => count * 1e3,
            Self::Us => count,
            Self::Ns => count / 1e3,
        };
        micros.round() as i64
    }

    /// Microseconds of a whole count, rounded down; none beyond the range.
    pub(super) fn whole_micros(self, count: i64) -> Option<i64> {
        match self {
            Self::S => count.checked_mul(1_000_000),
            Self::Ms => count.checked_mul(1_000),
            Self::Us => Some(count),
            Self::Ns => Some(count.div_euclid(1_000)),
        }
    }

    /// Reads `s`, `ms`, `us` or `ns`, as `InfluxDB` writes them too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "s" => Self::S,
            "ms" => Self::Ms,
            "us" | "u" | "µs" => Self::Us,
            "ns" | "n" => Self::Ns,
            _ => return None,
        })
    }
}

/// A path that cannot be read, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} is not valid: {problem}")]
pub struct InvalidPath {
    /// The path.
    pub path: String,
    /// What is wrong and what to write instead.
    pub problem: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    text: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(Box<str>),
    Index(usize),
    Each,
}

impl JsonPaths {
    /// Reads the path of each signal, and of the time; without a time the received one stands.
    ///
    /// # Errors
    /// [`InvalidPath`] naming the path and the rule it breaks.
    pub fn new<'a>(
        signals: impl IntoIterator<Item = (SignalName, &'a str)>,
        time: Option<&str>,
        time_unit: TimeUnit,
    ) -> Result<Self, InvalidPath> {
        let signals: Vec<_> = signals
            .into_iter()
            .map(|(signal, path)| Ok((signal, Path::parse(path)?)))
            .collect::<Result<_, _>>()?;
        if signals.is_empty() || signals.len() > MAX_PATHS {
            return Err(InvalidPath {
                path: String::new(),
                problem: "name 1 to 1000 signals",
            });
        }
        Ok(Self {
            signals,
            time: time.map(Path::parse).transpose()?,
            time_unit,
        })
    }
}

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPath> {
        let fail = |problem| {
            Err(InvalidPath {
                path: text.chars().take(120).collect(),
                problem,
            })
        };
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() >= MAX_STEPS {
                return fail("use at most 32 steps");
            }
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let Some((key, after)) = quoted.split_once("\"]") else {
                    return fail("a quoted key ends with \"]");
                };
                steps.push(Step::Key(key.into()));
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('[') {
                let Some((place, after)) = inside.split_once(']') else {
                    return fail("a place ends with ]");
                };
                steps.push(match place {
                    "*" => Step::Each,
                    number => match number.parse() {
                        Ok(index) => Step::Index(index),
                        Err(_) => return fail("a place is a number from 0 or *"),
                    },
                });
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                if end == 0 {
                    return fail("a key between two dots is missing");
                }
                steps.push(Step::Key(rest[..end].into()));
                rest = &rest[end..];
            }
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    return fail("a path does not end with a dot");
                }
                rest = after;
            }
        }
        if steps.is_empty() {
            return fail("name at least one key or place");
        }
        Ok(Self {
            text: text.into(),
            steps,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_keys_places_and_every_place() {
        use Step::{Each, Index, Key};
        let key = |text: &str| Key(text.into());
        for (text, expected) in [
            ("a", vec![key("a")]),
            ("$.a.b", vec![key("a"), key("b")]),
            ("a[0].b", vec![key("a"), Index(0), key("b")]),
            ("$[*].v", vec![Each, key("v")]),
            ("[*][1]", vec![Each, Index(1)]),
            ("a[\"b.c\"].d", vec![key("a"), key("b.c"), key("d")]),
        ] {
            assert_eq!(Path::parse(text).unwrap().steps, expected, "{text}");
        }
        let deep = "a.".repeat(32) + "a";
        for bad in [
            "",
            "$",
            "a..b",
            "a.",
            "a[",
            "a[x]",
            "a[-1]",
            "[\"a",
            deep.as_str(),
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
