//! Which topics carry telemetry, and where in them the device and the signal stand.

use std::fmt;

use super::Format;

/// A topic filter whose levels may name the device and the signal, such as
/// `telemetry/{device}` or `plant/+/{device}/{signal}/#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: String,
    levels: Vec<Level>,
    format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    Any,
    Device,
    Signal,
    /// `#` at the end: this level's parent and everything below it.
    Rest,
}

/// A topic pattern that cannot be used, with the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic pattern {pattern:?} is not valid: {problem}")]
pub struct InvalidPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong and what to write instead.
    pub problem: &'static str,
}

impl TopicPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`InvalidPattern`] naming the rule that is broken.
    pub fn parse(pattern: &str, format: Format) -> Result<Self, InvalidPattern> {
        let fail = |problem| {
            Err(InvalidPattern {
                pattern: pattern.chars().take(120).collect(),
                problem,
            })
        };
        if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES || pattern.contains('\0') {
            return fail("use 1 to 512 bytes without NUL");
        }
        let parts: Vec<&str> = pattern.split('/').collect();
        let mut levels = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            levels.push(match *part {
                "+" => Level::Any,
                "{device}" => Level::Device,
                "{signal}" => Level::Signal,
                "#" if at + 1 == parts.len() => Level::Rest,
                other if other.contains(['+', '#', '{', '}']) => {
                    return fail(
                        "a level is plain text, +, {device} or {signal}, whole; # stands only at the end",
                    );
                }
                other => Level::Literal(other.into()),
            });
        }
        let count = |wanted: &Level| levels.iter().filter(|level| *level == wanted).count();
        let (devices, signals) = (count(&Level::Device), count(&Level::Signal));
        if matches!(format, Format::Sparkplug) {
            if devices + signals > 0 || levels.last() != Some(&Level::Rest) {
                return fail(
                    "sparkplug topics name group, node and device themselves; write spBv1.0/# or spBv1.0/<group>/#",
                );
            }
        } else if devices != 1 {
            return fail("name the device once, as the level {device}");
        }
        match (&format, signals) {
            (Format::Auto | Format::Waveform, 0 | 1) | (Format::Number, 1) => {}
            (Format::Number, _) => {
                return fail("the format number needs the level {signal} once");
            }
            (_, 0) => {}
            (_, _) => {
                return fail(
                    "this format names signals in the payload (or once in the topic); leave {signal} out",
                );
            }
        }
        Ok(Self {
            text: pattern.into(),
            levels,
            format,
        })
    }

    /// What payloads on these topics look like.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The topic of a device, when the pattern needs no more than that and its format is told
    /// by content type or is JSON.
    pub(super) fn topic_of(&self, device: &str) -> Option<String> {
        if !matches!(self.format, Format::Auto | Format::Json) {
            return None;
        }
        let mut parts = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            parts.push(match level {
                Level::Literal(text) => &**text,
                Level::Device => device,
                Level::Any | Level::Signal | Level::Rest => return None,
            });
        }
        Some(parts.join("/"))
    }

    /// The device's and the signal's level of a topic that fits.
    pub(super) fn matches<'t>(&self, topic: &'t str) -> Option<(&'t str, Option<&'t str>)> {
        let (mut device, mut signal) = ("", None);
        let mut parts = topic.split('/');
        for (at, level) in self.levels.iter().enumerate() {
            if *level == Level::Rest {
                return Some((device, signal));
            }
            let part = parts.next()?;
            match level {
                Level::Literal(text) if **text != *part => return None,
                Level::Literal(_) => {}
                // Wildcards do not reach into `$SYS` and its like (MQTT 4.7.2).
                _ if at == 0 && part.starts_with('$') => return None,
                Level::Device => device = part,
                Level::Signal => signal = Some(part),
                Level::Any | Level::Rest => {}
            }
        }
        parts.next().is_none().then_some((device, signal))
    }
}

/// Longer than any sensible topic; keeps matching cheap.
const MAX_PATTERN_BYTES: usize = 512;

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_device_and_signal_in_topics_that_fit() {
        let json = "telemetry/{device}";
        let number = "telemetry/{device}/{signal}";
        for (pattern, topic, expected) in [
            (json, "telemetry/p1", Some(("p1", None))),
            (json, "telemetry/", Some(("", None))),
            (json, "telemetry", None),
            (json, "telemetry/p1/x", None),
            (json, "Telemetry/p1", None),
            (number, "telemetry/p1/t_c", Some(("p1", Some("t_c")))),
            (number, "telemetry/p1", None),
            ("+/{device}/data/#", "site/p1/data", Some(("p1", None))),
            ("+/{device}/data/#", "site/p1/data/a/b", Some(("p1", None))),
            ("+/{device}/data/#", "$SYS/p1/data", None),
            ("{device}", "$SYS", None),
            ("$own/{device}", "$own/p1", Some(("p1", None))),
            ("/{device}", "/p1", Some(("p1", None))),
            ("{signal}/of/{device}", "t/of/p1", Some(("p1", Some("t")))),
        ] {
            let format = if pattern.contains("{signal}") {
                Format::Number
            } else {
                Format::Json
            };
            let parsed = TopicPattern::parse(pattern, format).unwrap();
            assert_eq!(parsed.matches(topic), expected, "{pattern} on {topic}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn a_pattern_that_needs_only_the_device_gives_its_topic() {
        for (pattern, format, expected) in [
            ("telemetry/{device}", Format::Auto, Some("telemetry/p1")),
            ("a/{device}/b", Format::Json, Some("a/p1/b")),
            ("telemetry/{device}/{signal}", Format::Auto, None),
            ("+/{device}", Format::Auto, None),
            ("telemetry/{device}", Format::Senml, None),
        ] {
            let pattern = TopicPattern::parse(pattern, format).unwrap();
            assert_eq!(pattern.topic_of("p1").as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_cannot_work_are_refused() {
        let long = format!("{{device}}/{}", "x".repeat(600));
        for (pattern, format) in [
            ("", Format::Json),
            (long.as_str(), Format::Json),
            ("telemetry/#", Format::Json),
            ("telemetry/#/{device}", Format::Json),
            ("telemetry/x{device}", Format::Json),
            ("telemetry/a+/{device}", Format::Json),
            ("{device}/{device}", Format::Json),
            ("{device}/{signal}", Format::Json),
            ("{device}", Format::Number),
            ("{device}/{signal}/{signal}", Format::Number),
            ("{device}/{unit}", Format::Json),
            ("{device}/{signal}/{signal}", Format::Auto),
            ("{device}/{signal}", Format::Senml),
            ("spBv1.0/{device}/#", Format::Sparkplug),
            ("spBv1.0/plant", Format::Sparkplug),
            ("{device}\0", Format::Json),
        ] {
            let error = TopicPattern::parse(pattern, format).unwrap_err();
            assert!(!error.problem.is_empty(), "{pattern}");
        }
    }
}
