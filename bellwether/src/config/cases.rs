//! Section `[cases]`: what belongs together, what is kept quiet, what comes back.

use std::time::Duration;

use alerting::{Care, CaseSettings};

use super::{ConfigError, Keys, values::FromValue};

/// Takes the section.
pub(super) fn take(keys: &mut Keys) -> Result<CaseSettings, ConfigError> {
    let default = CaseSettings::default();
    let day = Duration::from_hours(24);
    let mut time = |key: &str, default: Duration, least: Duration, most: Duration| {
        let found = keys.checked(key, |value| {
            let time = Duration::from_value(value)?;
            if (least..=most).contains(&time) {
                return Ok(time);
            }
            Err(format!(
                "use a time from {} s to {} s",
                least.as_secs(),
                most.as_secs()
            ))
        })?;
        Ok::<_, ConfigError>(found.map_or(default, |(time, _)| time))
    };
    let (none, second, minute) = (
        Duration::ZERO,
        Duration::from_secs(1),
        Duration::from_mins(1),
    );
    Ok(CaseSettings {
        settle: time("cases.settle", default.settle, none, minute)?,
        reopen_within: time(
            "cases.reopen_within",
            default.reopen_within,
            none,
            365 * day,
        )?,
        stale_after: time("cases.stale_after", default.stale_after, minute, 365 * day)?,
        group_within: time("cases.group_within", default.group_within, second, day)?,
        chatter_within: time("cases.chatter_within", default.chatter_within, second, day)?,
        chatter_quiet: time(
            "cases.chatter_quiet",
            default.chatter_quiet,
            second,
            7 * day,
        )?,
        withdraw_after: time(
            "cases.withdraw_after",
            default.withdraw_after,
            second,
            365 * day,
        )?,
        shelve_most: time("cases.shelve_most", default.shelve_most, minute, 365 * day)?,
        common_cause_assets: keys.ranged(
            "cases.common_cause_assets",
            u64::from(default.common_cause_assets),
            2..=100_000,
        )? as u32,
        flood_cases: keys.ranged(
            "cases.flood_cases",
            u64::from(default.flood_cases),
            2..=100_000,
        )? as u32,
        chatter_count: keys.ranged(
            "cases.chatter_count",
            u64::from(default.chatter_count),
            2..=Care::MAX_TURNS as u64,
        )? as u32,
    })
}
