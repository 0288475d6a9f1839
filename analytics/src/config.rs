//! What may be configured, and the constants that may not, each with its reason.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::AnalyticsError;

/// Most signals of one device that are looked at. A set of signals fits one machine word, and
/// more than this from one device are several machines; further signals are ignored.
pub(crate) const MAX_SIGNALS: usize = 64;

/// How analytics works. Every time is event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Rows a baseline is learned from. Rows of running machinery are autocorrelated: a few
    /// hundred show less than one load cycle, and a baseline from 400 rows of a machine that
    /// is still warming up alarms on the rest of the warm-up. 2,000 settled rows are a
    /// sensible commissioning. 100 to 1,000,000.
    pub learning_rows: u32,
    /// How much older than the newest row of its device a row may be and still be scored in
    /// its place. Rows wait this long for their elders, so findings lag by it.
    pub lateness: Duration,
    /// The shortest time between findings of a device whose state does not change; for a
    /// device that measures seldom, eight of its sampling intervals where that is longer.
    pub report_interval: Duration,
    /// The longest silence of a device whose findings do not move; for a device that measures
    /// seldom, sixty of its sampling intervals where that is longer.
    pub heartbeat: Duration,
    /// Rows in a row beyond the limit before a watch becomes an alarm.
    pub on_delay_rows: u32,
    /// Rows in a row below [`Self::off`] before an alarm ends.
    pub off_delay_rows: u32,
    /// The score below which a watch or an alarm may end; it begins at 1. The distance
    /// between the two keeps an alarm from chattering.
    pub off: f64,
    /// The health index at which an asset counts as failed; prognosis looks for it.
    pub health_limit: f64,
    /// Alarms a month on a healthy asset that are bearable: where more were measured, the alarm
    /// limit of that device is raised until it holds. Above 0, at most 1,000.
    pub alarms_per_asset_month: f64,
    /// Most cycles of a life kept for a model that is promoted in the middle of it (about
    /// 4 bytes a signal each); older ones are forgotten. Training keeps all. 1 to 1,000,000.
    pub cycles_kept: u32,
    /// Most devices watched. Unknown devices may be admitted without registration, so this
    /// bounds the memory (about 20 kB a device); further devices are counted, not watched.
    pub max_devices: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            learning_rows: 2_000,
            lateness: Duration::from_secs(2),
            report_interval: Duration::from_secs(10),
            heartbeat: Duration::from_hours(1),
            on_delay_rows: 10,
            off_delay_rows: 30,
            off: 0.8,
            health_limit: 30.0,
            alarms_per_asset_month: 1.0,
            // Lives of hundreds of cycles; 16 kB a device with eight signals.
            cycles_kept: 512,
            max_devices: 100_000,
        }
    }
}

impl Config {
    /// Checks every value.
    ///
    /// # Errors
    /// [`AnalyticsError::Config`] naming the first key that is out of range.
    pub fn check(&self) -> Result<(), AnalyticsError> {
        let hour = Duration::from_hours(1);
        rule(
            (100..=1_000_000).contains(&self.learning_rows),
            "learning_rows",
            &self.learning_rows,
            "100 to 1000000",
        )?;
        rule(
            self.lateness <= hour,
            "lateness",
            &format!("{:?}", self.lateness),
            "at most one hour",
        )?;
        rule(
            self.report_interval >= Duration::from_millis(100),
            "report_interval",
            &format!("{:?}", self.report_interval),
            "at least 100 ms",
        )?;
        rule(
            self.heartbeat >= self.report_interval,
            "heartbeat",
            &format!("{:?}", self.heartbeat),
            "at least report_interval",
        )?;
        rule(
            (1..=100_000).contains(&self.on_delay_rows),
            "on_delay_rows",
            &self.on_delay_rows,
            "1 to 100000",
        )?;
        rule(
            (1..=100_000).contains(&self.off_delay_rows),
            "off_delay_rows",
            &self.off_delay_rows,
            "1 to 100000",
        )?;
        self.check_verdicts(&rule)
    }

    /// Checks what decides verdicts.
    fn check_verdicts(
        &self,
        rule: &impl Fn(bool, &'static str, &dyn ToString, &'static str) -> Result<(), AnalyticsError>,
    ) -> Result<(), AnalyticsError> {
        rule(
            self.off > 0.0 && self.off <= 1.0,
            "off",
            &self.off,
            "a number above 0, at most 1",
        )?;
        rule(
            (1.0..=60.0).contains(&self.health_limit),
            "health_limit",
            &self.health_limit,
            "1 to 60",
        )?;
        rule(
            self.alarms_per_asset_month > 0.0 && self.alarms_per_asset_month <= 1_000.0,
            "alarms_per_asset_month",
            &self.alarms_per_asset_month,
            "a number above 0, at most 1000",
        )?;
        rule(
            (1..=1_000_000).contains(&self.cycles_kept),
            "cycles_kept",
            &self.cycles_kept,
            "1 to 1000000",
        )?;
        rule(
            self.max_devices >= 1,
            "max_devices",
            &self.max_devices,
            "at least 1",
        )
    }
}

/// One rule of [`Config::check`].
fn rule(
    ok: bool,
    key: &'static str,
    value: &dyn ToString,
    allowed: &'static str,
) -> Result<(), AnalyticsError> {
    if ok {
        return Ok(());
    }
    let value = value.to_string();
    Err(AnalyticsError::Config {
        key,
        value,
        allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Config);

    #[test]
    fn the_default_is_valid_and_each_bad_value_is_named() {
        Config::default().check().unwrap();
        let spoil: [(&str, Spoil); 11] = [
            ("learning_rows", |c| c.learning_rows = 99),
            ("lateness", |c| c.lateness = Duration::from_secs(3601)),
            ("report_interval", |c| c.report_interval = Duration::ZERO),
            ("heartbeat", |c| c.heartbeat = Duration::from_secs(9)),
            ("on_delay_rows", |c| c.on_delay_rows = 0),
            ("off_delay_rows", |c| c.off_delay_rows = 0),
            ("off", |c| c.off = f64::NAN),
            ("health_limit", |c| c.health_limit = 61.0),
            ("alarms_per_asset_month", |c| c.alarms_per_asset_month = 0.0),
            ("cycles_kept", |c| c.cycles_kept = 0),
            ("max_devices", |c| c.max_devices = 0),
        ];
        for (key, spoil) in spoil {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
