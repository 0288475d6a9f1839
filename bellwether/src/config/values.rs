//! How a written value becomes a typed one. From a file the TOML type has to fit; from the
//! environment or a flag everything is text and the key decides.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use telemetry::{CustomerId, SiteId};

use super::layers::Value;

/// A type a setting can have. The error says what would be right.
pub(crate) trait FromValue: Sized {
    fn from_value(value: &Value) -> Result<Self, String>;
}

fn text<'a>(value: &'a Value, wanted: &str) -> Result<&'a str, String> {
    match value {
        Value::Text(text) | Value::String(text) => Ok(text),
        _ => Err(format!("use {wanted}")),
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        text(value, "text").map(str::to_owned)
    }
}

impl FromValue for SiteId {
    fn from_value(value: &Value) -> Result<Self, String> {
        Self::new(text(value, "the id of a site")?).map_err(|error| error.to_string())
    }
}

impl FromValue for CustomerId {
    fn from_value(value: &Value) -> Result<Self, String> {
        Self::new(text(value, "the id of a customer")?).map_err(|error| error.to_string())
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text = text(value, "a path")?;
        if text.is_empty() {
            return Err("use a path; this one is empty".to_owned());
        }
        Ok(text.into())
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Boolean(flag) => Ok(*flag),
            Value::Text(text) if text == "true" => Ok(true),
            Value::Text(text) if text == "false" => Ok(false),
            _ => Err("use true or false".to_owned()),
        }
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| "use a whole number, zero or above".to_owned())
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| "use a number".to_owned())
    }
}

impl FromValue for SocketAddr {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text = text(value, "an address with a port such as \"127.0.0.1:1883\"")?;
        let with_name = text.replacen("localhost", "127.0.0.1", 1);
        with_name
            .parse()
            .map_err(|_| "use an address with a port such as 127.0.0.1:1883".to_owned())
    }
}

impl FromValue for Duration {
    fn from_value(value: &Value) -> Result<Self, String> {
        parse_duration(text(value, "a duration such as \"90s\" or \"400d\"")?)
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(items) => items.iter().map(String::from_value).collect(),
            Value::Text(text) => Ok(text.split(',').map(|part| part.trim().to_owned()).collect()),
            _ => Err("use a list of texts such as [\"a\", \"b\"]".to_owned()),
        }
    }
}

/// Reads `250ms`, `90s`, `15m`, `6h`, `400d`, and sums such as `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?} is no duration; use a number with ms, s, m, h or d such as 90s, 1h30m or 400d"
        )
    };
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let seconds = match rest[digits..unit_end].trim() {
            "ms" => number / 1e3,
            "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3_600.0,
            "d" => number * 86_400.0,
            _ => return Err(wrong()),
        };
        total += Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("250ms", 250),
            ("150s", 150_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("400d", 34_560_000_000),
            (" 2 min ", 120_000),
        ] {
            let expected = Duration::from_millis(millis);
            assert_eq!(parse_duration(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "10", "s", "10 parsecs", "-5s", "1..5s", "9e99d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_key_decides_what_text_from_outside_means() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(u64::from_value(&text("400")), Ok(400));
        assert_eq!(bool::from_value(&text("true")), Ok(true));
        assert_eq!(f64::from_value(&text("0.5")), Ok(0.5));
        assert!(f64::from_value(&text("NaN")).is_err());
        assert!(u64::from_value(&text("-1")).is_err());
        // In a file types are written down, so the text "400" is no number there.
        assert!(u64::from_value(&Value::String("400".to_owned())).is_err());
        let list = Vec::<String>::from_value(&text("a/#, b")).unwrap();
        assert_eq!(list, ["a/#", "b"]);
        let bind = SocketAddr::from_value(&text("localhost:1883")).unwrap();
        assert_eq!(bind.to_string(), "127.0.0.1:1883");
    }
}
