//! `[historian]`: what is kept, and for how long.

use std::time::Duration;

use historian::{Retention, SignalRetention};
use serde::Serialize;

use super::{
    ConfigError, Keys,
    influx::{Influxdb, Queries},
    layers::Value,
    values::FromValue,
};

const DAY: Duration = Duration::from_hours(24);

/// `[historian]`: what is kept of readings and of what was refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Historian {
    /// `retention`, `retention_minute`, `retention_hour`, `retention_day`,
    /// `retention_waveforms` and `[[historian.signal]]`: how long each tier stays, counted in
    /// measured time; `"forever"` keeps all, and `"0s"` keeps no roll-up beyond the readings.
    pub(crate) retention: Retention,
    /// `dead_letters_max`: refused messages kept for inspection; the oldest leave first.
    pub(crate) dead_letters_max: u64,
    /// `dead_letters_max_bytes`: bytes of these.
    pub(crate) dead_letters_max_bytes: u64,
    /// `[historian.influxdb]`: an `InfluxDB` 2 that gets every reading too.
    pub(crate) influxdb: Option<Influxdb>,
    /// `queries`: `embedded`, or `influxdb` when that answers queries about readings.
    pub(crate) queries: Queries,
}

/// The keys of the tiers, finest first.
const TIERS: [&str; 4] = [
    "retention",
    "retention_minute",
    "retention_hour",
    "retention_day",
];

impl Historian {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        // 400 days: a year and its season before, and a month to look at them. Minutes tell of
        // the two years before, hours of a machine's life, days of the plant's.
        let defaults = [Some(400 * DAY), Some(730 * DAY), Some(3_650 * DAY), None];
        let mut tiers = [None; 4];
        for ((tier, name), default) in tiers.iter_mut().zip(TIERS).zip(defaults) {
            *tier = keep(keys, &format!("historian.{name}"), name)?.unwrap_or(default);
        }
        let waveforms = keep(keys, "historian.retention_waveforms", "retention")?;
        let mut by_signal = Vec::new();
        for at in keys.positions("historian.signal") {
            by_signal.push(signal(keys, &format!("historian.signal.{at}"))?);
        }
        let [raw, minute, hour, day] = tiers;
        let influxdb = Influxdb::take(keys)?;
        Ok(Self {
            queries: Queries::take(keys, influxdb.as_ref())?,
            influxdb,
            retention: Retention {
                raw,
                minute,
                hour,
                day,
                waveforms: waveforms.unwrap_or(Some(90 * DAY)),
                by_signal,
            },
            dead_letters_max: keys.ranged(
                "historian.dead_letters_max",
                100_000,
                1_000..=10_000_000,
            )?,
            // A gibibyte: some hundred waveforms or a million short payloads. At least one
            // payload of the longest kind has to fit.
            dead_letters_max_bytes: keys.ranged(
                "historian.dead_letters_max_bytes",
                1 << 30,
                (8 << 20)..=(1 << 40),
            )?,
        })
    }
}

/// `[[historian.signal]]`: what is kept otherwise for some signals.
fn signal(keys: &mut Keys, table: &str) -> Result<SignalRetention, ConfigError> {
    let pattern: String = keys.required(
        &format!("{table}."),
        &format!("{table}.pattern"),
        "say which signals it is about, such as pattern = \"vibration_*\" or \"pump-1/*\"",
    )?;
    let mut tiers = [None; 4];
    for (tier, name) in tiers.iter_mut().zip(TIERS) {
        *tier = keep(keys, &format!("{table}.{name}"), name)?;
    }
    Ok(SignalRetention { pattern, tiers })
}

/// How long one tier stays: none when the key is not there, `Some(None)` for ever.
#[expect(
    clippy::option_option,
    reason = "not said and said to be for ever are two things here"
)]
fn keep(keys: &mut Keys, key: &str, name: &str) -> Result<Option<Option<Duration>>, ConfigError> {
    let rolls_up = name != TIERS[0];
    let found = keys.checked(key, |value: &Value| {
        if String::from_value(value).as_deref() == Ok("forever") {
            return Ok(None);
        }
        let kept = Duration::from_value(value).map_err(|e| format!("{e}, or \"forever\""))?;
        if rolls_up && kept.is_zero() {
            return Ok(Some(kept));
        }
        if kept < Duration::from_hours(1) {
            return Err("use at least 1h, or \"forever\"".to_owned());
        }
        Ok(Some(kept))
    })?;
    Ok(found.map(|(kept, _)| kept))
}
