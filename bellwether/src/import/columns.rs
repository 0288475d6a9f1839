//! Which column of a table holds what.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use telemetry::{DeviceId, SignalName};

use super::{Layout, Options};
use crate::recorded::header::position;

const DEVICE_COLUMNS: [&str; 5] = ["device", "device_id", "deviceid", "machine", "asset"];
const SIGNAL_COLUMNS: [&str; 7] = [
    "signal", "metric", "sensor", "variable", "_field", "field", "tag",
];
const VALUE_COLUMNS: [&str; 3] = ["value", "_value", "reading"];

/// Which column holds what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Columns {
    /// A column a signal.
    Wide {
        /// Column and signal, in order.
        signals: Vec<(usize, SignalName)>,
    },
    /// One value a row.
    Long {
        /// The column with the signal's name.
        signal: usize,
        /// The column with its value.
        value: usize,
    },
}

/// Where the device comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Device {
    /// A column names it.
    Column(usize),
    /// All rows are of this one.
    Always(DeviceId),
}

fn find_any(names: &[String], wanted: Option<&str>, usual: &[&str]) -> Result<Option<usize>> {
    match wanted {
        Some(name) => {
            let columns = names.join(", ");
            let found = position(names, name)
                .with_context(|| format!("there is no column {name:?}; the columns are {columns}"));
            found.map(Some)
        }
        None => Ok(usual.iter().find_map(|name| position(names, name))),
    }
}

/// Which column holds what, by the options and the usual names.
pub(crate) fn columns_of(
    names: &[String],
    time: usize,
    options: &Options,
) -> Result<(Device, Columns)> {
    let signal = find_any(names, options.signal_column.as_deref(), &SIGNAL_COLUMNS)?;
    let value = find_any(names, options.value_column.as_deref(), &VALUE_COLUMNS)?;
    let device_column = find_any(names, options.device_column.as_deref(), &DEVICE_COLUMNS)?;
    let device = match (&options.device, device_column) {
        (Some(device), _) => Device::Always(device.clone()),
        (None, Some(column)) => Device::Column(column),
        (None, None) => bail!(
            "no column names the device; give --device, or --device-column, one of {}",
            names.join(", ")
        ),
    };
    let long = match (options.layout, signal.zip(value)) {
        (Layout::Wide, _) | (Layout::Auto, None) => None,
        (_, Some(columns)) => Some(columns),
        (Layout::Long, None) => bail!(
            "a long table needs a signal and a value column; name them with --signal-column and \
             --value-column, of {}",
            names.join(", ")
        ),
    };
    if let Some((signal, value)) = long {
        return Ok((device, Columns::Long { signal, value }));
    }
    let mut signals = Vec::new();
    let mut seen = HashSet::new();
    for (at, name) in names.iter().enumerate() {
        let ignored = options.ignore.iter().any(|ignored| ignored == name);
        if at == time || Some(at) == device_column || ignored {
            continue;
        }
        let signal = SignalName::new(name).with_context(|| {
            format!(
                "column {} cannot be a signal; leave it out with --ignore",
                at + 1
            )
        })?;
        if !seen.insert(signal.clone()) {
            bail!("two columns are named {name:?}");
        }
        signals.push((at, signal));
    }
    if signals.is_empty() {
        bail!(
            "no column is left to import besides the time {:?}",
            names[time]
        );
    }
    Ok((device, Columns::Wide { signals }))
}
