//! Onboarding: devices by the hundred from one CSV, or one by one by the same rules.
//!
//! ```text
//! bytes ─▶ table ─▶ rows ─▶ plan ─▶ one transaction
//!          cells,   what a   against what is      all of it or,
//!          lines    row says stored and the models  with any error, nothing
//! ```
//!
//! Every step adds its errors, each with line and column, and goes on, so that one run shows
//! all there is to mend. A row says what shall be, not what to do: a file that was taken can be
//! taken again and changes nothing. A cell that is left empty leaves things as they are.
//!
//! # The file
//!
//! UTF-8 with or without a byte order mark; lines end in LF, CRLF or CR; cells are separated by
//! comma, semicolon or tab, whichever the header has most of; a cell with a separator, a
//! quote or a line break stands in double quotes, quotes in it doubled. The columns come in
//! any order; only `device` has to be there.
//!
//! | column | what stands in it |
//! |---|---|
//! | `device` | the device id, which is its MQTT client id |
//! | `asset` | the asset it watches; its own id when empty, no asset for a gateway |
//! | `asset_name` | the asset's name for people |
//! | `model` | the asset model, such as `centrifugal-pump` |
//! | `customer`, `customer_name` | whose it is; created when missing |
//! | `site`, `site_name`, `time_zone` | where it stands; created when missing |
//! | `signals` | what the device declares beside its model, see below; `-` for nothing |
//! | `units`, `limits` | the units and limits of `signals`, item by item, when they are not written there |
//! | `quota_messages`, `quota_bytes` | how much it may publish a second; `0` for no limit |
//! | `gateway` | what each of its topics starts with when it publishes for others |
//! | `certificate` | its client certificate: the SHA-256 fingerprint, or `name` |
//!
//! The items of `signals`, `units` and `limits` are separated by `;` or `|`. A signal is
//!
//! ```text
//! name                                       as it is called in payloads
//! sent name -> stored name                   when it is stored under another name
//! name = unit                                the unit the device sends
//! name = unit [min..max rate R stuck S]      limits in that unit; each part may be left out
//! ```
//!
//! as in `bearing_temperature_c = °F [-40..250]; t2 -> winding_temperature_c [..180 rate 5 stuck 3600]`:
//! `rate` is the fastest change a second, `stuck` the seconds after which an unchanged value
//! is counted. The same limits may stand in `limits`, with or without brackets.

mod cells;
mod plan;
pub(crate) mod report;
mod row;
pub(crate) mod table;
#[cfg(test)]
mod tests;

pub(crate) use cells::signal as read_signal;
pub(crate) use plan::{Known, KnownAsset, KnownSite, Plan, plan};
pub(crate) use report::Problems;
pub use report::{Changed, Created, OnboardError, OnboardReport};
pub(crate) use row::Entry;
pub use row::NewDevice;

use crate::store::MAX_DEVICES;

/// The longest file: a full registry of 100,000 devices at 160 bytes a row.
pub const MAX_ONBOARD_BYTES: usize = 16 << 20;
/// The most rows of a file: the most devices there can be.
pub const MAX_ONBOARD_ROWS: usize = MAX_DEVICES;

/// How to onboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnboardOptions {
    /// Only say what would happen.
    pub dry_run: bool,
    /// Make a token for each device that has no valid credential.
    pub tokens: bool,
}

/// What a file says, with what is wrong with its form.
pub(crate) fn read(csv: &[u8]) -> (Vec<Entry>, Problems) {
    let mut problems = Problems::default();
    let entries = table::read(csv, "device", &mut problems)
        .map(|table| row::entries(&table, &mut problems))
        .unwrap_or_default();
    (entries, problems)
}
