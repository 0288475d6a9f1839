//! `[historian.influxdb]`: `InfluxDB` 2 beside the embedded store.

use std::time::Duration;

use historian::{InfluxConfig, InfluxStore};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{ConfigError, Keys, layers::Value, values::FromValue};

/// `[historian.influxdb]`; it is there when `url` is.
#[derive(Debug, Clone)]
pub(crate) struct Influxdb(
    /// `url`, `org`, `bucket`, `token` (better as `…__TOKEN_FILE`), `retention` of a bucket that has
    /// to be made, `batch_points` and `batch_bytes` of one request, `flush_interval` while nothing
    /// is behind, `timeout` of one request.
    pub(crate) InfluxConfig,
);

/// `historian.queries`: which store answers queries about readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Queries {
    /// The one on this machine's disk.
    #[default]
    Embedded,
    /// `InfluxDB`.
    Influxdb,
}

impl Influxdb {
    pub(super) fn take(keys: &mut Keys) -> Result<Option<Self>, ConfigError> {
        const SECTION: &str = "historian.influxdb.";
        let key = |name: &str| format!("{SECTION}{name}");
        let beside = keys.layers.first_under(SECTION).cloned();
        let url_setting = keys.checked(&key("url"), String::from_value)?;
        let org = keys.or(&key("org"), "bellwether".to_owned())?;
        let bucket = keys.or(&key("bucket"), "bellwether".to_owned())?;
        let token = keys.or(&key("token"), String::new())?;
        let url = url_setting
            .as_ref()
            .map_or(String::new(), |(url, _)| url.clone());
        let mut config = InfluxConfig::new(url, org, bucket, token);
        let retention = keys.checked(&key("retention"), |value: &Value| {
            if String::from_value(value).as_deref() == Ok("forever") {
                return Ok(None);
            }
            let kept = Duration::from_value(value).map_err(|e| format!("{e}, or \"forever\""))?;
            if kept < Duration::from_hours(1) {
                return Err(
                    "use at least 1h, which is the server's least, or \"forever\"".to_owned(),
                );
            }
            Ok(Some(kept))
        })?;
        config.retention = retention.and_then(|(retention, _)| retention);
        let points = config.batch_points as u64;
        config.batch_points = keys.ranged(&key("batch_points"), points, 1..=1_000_000)? as usize;
        let bytes = config.batch_bytes as u64;
        // The server's own limit is 25 MB.
        config.batch_bytes =
            keys.ranged(&key("batch_bytes"), bytes, (64 << 10)..=(24 << 20))? as usize;
        config.flush_interval = between(
            keys,
            &key("flush_interval"),
            config.flush_interval,
            Duration::from_millis(10)..=Duration::from_mins(1),
        )?;
        config.timeout = between(
            keys,
            &key("timeout"),
            config.timeout,
            Duration::from_millis(100)..=Duration::from_mins(10),
        )?;
        match (url_setting, beside) {
            (Some((_, setting)), _) => match InfluxStore::new(&config) {
                Ok(_) => Ok(Some(Self(config))),
                Err(error) => Err(ConfigError::Invalid {
                    key: key("url"),
                    setting: Box::new(setting),
                    problem: error.to_string(),
                }),
            },
            (None, Some(beside)) => Err(ConfigError::Missing {
                key: key("url"),
                beside: Box::new(beside),
                problem: "say where the server is, such as \"http://127.0.0.1:8086\"".to_owned(),
            }),
            (None, None) => Ok(None),
        }
    }
}

fn between(
    keys: &mut Keys,
    key: &str,
    default: Duration,
    range: std::ops::RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    let found = keys.checked(key, |value: &Value| {
        let duration = Duration::from_value(value)?;
        if range.contains(&duration) {
            Ok(duration)
        } else {
            Err(format!("use {:?} to {:?}", range.start(), range.end()))
        }
    })?;
    Ok(found.map_or(default, |(duration, _)| duration))
}

impl Queries {
    pub(super) fn take(keys: &mut Keys, influxdb: Option<&Influxdb>) -> Result<Self, ConfigError> {
        let found = keys.checked(
            "historian.queries",
            |value: &Value| match String::from_value(value)?.as_str() {
                "embedded" => Ok(Self::Embedded),
                "influxdb" if influxdb.is_some() => Ok(Self::Influxdb),
                "influxdb" => Err("there is no [historian.influxdb] to ask".to_owned()),
                _ => Err("use one of embedded, influxdb".to_owned()),
            },
        )?;
        Ok(found.map_or(Self::default(), |(queries, _)| queries))
    }
}

impl Serialize for Influxdb {
    /// Everything but the token.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let config = &self.0;
        let mut shown = serializer.serialize_struct("influxdb", 8)?;
        shown.serialize_field("url", &config.url)?;
        shown.serialize_field("org", &config.org)?;
        shown.serialize_field("bucket", &config.bucket)?;
        shown.serialize_field("retention", &config.retention)?;
        shown.serialize_field("batch_points", &config.batch_points)?;
        shown.serialize_field("batch_bytes", &config.batch_bytes)?;
        shown.serialize_field("flush_interval", &config.flush_interval)?;
        shown.serialize_field("timeout", &config.timeout)?;
        shown.end()
    }
}
