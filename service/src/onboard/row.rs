//! What one row says.

use std::str::FromStr;

use serde::Deserialize;
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, SignalLimits, SiteId};

use super::{
    cells,
    report::{At, Problems},
    table::{Table, TableRow},
};
use crate::{
    CertificateBinding, DeviceSignal, Name, TimeZoneName, TopicPrefix,
    signals::MAX_SIGNALS_PER_DEVICE,
};

/// A device as it shall be. What is none stays as it is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// Its id, which is its MQTT client id.
    pub device: DeviceId,
    /// The asset it watches; one of its own id when none is given.
    #[serde(default)]
    pub asset: Option<AssetId>,
    /// The asset's name for people.
    #[serde(default)]
    pub asset_name: Option<Name>,
    /// What kind of machine the asset is.
    #[serde(default)]
    pub model: Option<AssetModelId>,
    /// Whose it is; entered when missing.
    #[serde(default)]
    pub customer: Option<CustomerId>,
    /// The name of a customer that is entered.
    #[serde(default)]
    pub customer_name: Option<Name>,
    /// Where it stands; entered when missing.
    #[serde(default)]
    pub site: Option<SiteId>,
    /// The name of a site that is entered.
    #[serde(default)]
    pub site_name: Option<Name>,
    /// The time zone of a site that is entered.
    #[serde(default)]
    pub time_zone: Option<TimeZoneName>,
    /// All signals it declares beside its asset's model.
    #[serde(default)]
    pub signals: Option<Vec<DeviceSignal>>,
    /// Messages a second; zero for no limit.
    #[serde(default)]
    pub quota_messages: Option<u32>,
    /// Payload bytes a second; zero for no limit.
    #[serde(default)]
    pub quota_bytes: Option<u32>,
    /// What each of its topics starts with when it publishes for others.
    #[serde(default)]
    pub gateway: Option<TopicPrefix>,
    /// Its client certificate.
    #[serde(default)]
    pub certificate: Option<CertificateBinding>,
}

impl NewDevice {
    /// A device about which nothing else is said.
    pub fn bare(device: DeviceId) -> Self {
        Self {
            device,
            asset: None,
            asset_name: None,
            model: None,
            customer: None,
            customer_name: None,
            site: None,
            site_name: None,
            time_zone: None,
            signals: None,
            quota_messages: None,
            quota_bytes: None,
            gateway: None,
            certificate: None,
        }
    }
}

/// A column there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Device,
    Asset,
    AssetName,
    Model,
    Customer,
    CustomerName,
    Site,
    SiteName,
    TimeZone,
    Signals,
    Units,
    Limits,
    QuotaMessages,
    QuotaBytes,
    Gateway,
    Certificate,
}

impl Column {
    /// Every column, in the order of the documentation.
    pub(super) const ALL: [(Self, &'static str); 16] = [
        (Self::Device, "device"),
        (Self::Asset, "asset"),
        (Self::AssetName, "asset_name"),
        (Self::Model, "model"),
        (Self::Customer, "customer"),
        (Self::CustomerName, "customer_name"),
        (Self::Site, "site"),
        (Self::SiteName, "site_name"),
        (Self::TimeZone, "time_zone"),
        (Self::Signals, "signals"),
        (Self::Units, "units"),
        (Self::Limits, "limits"),
        (Self::QuotaMessages, "quota_messages"),
        (Self::QuotaBytes, "quota_bytes"),
        (Self::Gateway, "gateway"),
        (Self::Certificate, "certificate"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which column stands where, by [`Column`]; from 1, and 0 for one that is not there.
type Places = [u64; Column::ALL.len()];

/// A row as far as it could be read.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it says. Where the device itself cannot be read, [`NO_DEVICE`] stands for it, so
    /// that the rest of the row is checked all the same.
    pub(crate) new: NewDevice,
    line: u64,
    places: Places,
    /// The columns that were complained about, as bits: what they say is not known, so
    /// nothing is concluded from their absence.
    broken: u32,
}

impl Entry {
    /// A device that was given without a file.
    pub(crate) fn alone(new: NewDevice) -> Self {
        Self {
            new,
            line: 1,
            places: std::array::from_fn(|at| at as u64 + 1),
            broken: 0,
        }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Where a column of this row stands. A column the file does not have stands behind the
    /// last one.
    pub(super) fn at(&self, column: Column) -> At<'static> {
        let number = self.places[column as usize];
        let behind = || self.places.iter().max().copied().unwrap_or(0) + 1;
        At {
            line: self.line,
            number: if number == 0 { behind() } else { number },
            name: column.name(),
        }
    }

    /// Whether a column was complained about.
    pub(super) fn is_broken(&self, column: Column) -> bool {
        self.broken & (1 << column as u32) != 0
    }

    /// Where its certificate is written.
    pub(crate) fn at_certificate(&self) -> At<'static> {
        self.at(Column::Certificate)
    }

    /// Where the units of the signals are written.
    pub(super) fn at_units(&self) -> At<'static> {
        self.at_or_signals(Column::Units)
    }

    /// Where the limits of the signals are written.
    pub(super) fn at_limits(&self) -> At<'static> {
        self.at_or_signals(Column::Limits)
    }

    fn at_or_signals(&self, column: Column) -> At<'static> {
        let there = self.places[column as usize] != 0;
        self.at(if there { column } else { Column::Signals })
    }
}

/// Reads every row of a table.
pub(super) fn entries(table: &Table, problems: &mut Problems) -> Vec<Entry> {
    let places = places(&table.header, problems);
    if places[Column::Device as usize] == 0 {
        return Vec::new();
    }
    let rows = table.rows.iter();
    rows.filter_map(|row| RowReader::read(row, places, problems))
        .collect()
}

fn places(header: &[String], problems: &mut Problems) -> Places {
    let mut places = Places::default();
    let at = |number: usize, name| At {
        line: 1,
        number: number as u64 + 1,
        name,
    };
    for (number, name) in header.iter().enumerate() {
        let known = Column::ALL.iter().find(|(_, known)| known == name);
        match known {
            Some((column, _)) if places[*column as usize] == 0 => {
                places[*column as usize] = number as u64 + 1;
            }
            Some(_) => problems.add(at(number, name), name, "this column comes twice"),
            None => {
                let names: Vec<_> = Column::ALL.iter().map(|(_, name)| *name).collect();
                let problem = format!(
                    "there is no such column; the columns are {}",
                    names.join(", ")
                );
                problems.add(at(number, name), name, problem);
            }
        }
    }
    if places[Column::Device as usize] == 0 {
        let problem = "the column device is missing; it is the only one that has to be there";
        problems.add(at(header.len(), "device"), "", problem);
    }
    places
}

/// Stands for a device that cannot be read; the row is never written.
const NO_DEVICE: &str = "-";

struct RowReader<'a> {
    row: &'a TableRow,
    entry: Entry,
    problems: &'a mut Problems,
}

impl<'a> RowReader<'a> {
    fn read(row: &'a TableRow, places: Places, problems: &'a mut Problems) -> Option<Entry> {
        let mut reader = Self {
            row,
            entry: Entry {
                new: NewDevice::bare(DeviceId::new(NO_DEVICE).ok()?),
                line: row.line,
                places,
                broken: 0,
            },
            problems,
        };
        let device: Option<DeviceId> = reader.word(Column::Device);
        if device.is_none() && !reader.entry.is_broken(Column::Device) {
            reader.complain(Column::Device, "", "each row needs a device id");
        }
        let no_device = reader.entry.new.device.clone();
        reader.entry.new = NewDevice {
            device: device.unwrap_or(no_device),
            asset: reader.word(Column::Asset),
            asset_name: reader.word(Column::AssetName),
            model: reader.word(Column::Model),
            customer: reader.word(Column::Customer),
            customer_name: reader.word(Column::CustomerName),
            site: reader.word(Column::Site),
            site_name: reader.word(Column::SiteName),
            time_zone: reader.word(Column::TimeZone),
            signals: reader.signals(),
            quota_messages: reader.count(Column::QuotaMessages),
            quota_bytes: reader.count(Column::QuotaBytes),
            gateway: reader.word(Column::Gateway),
            certificate: reader.word(Column::Certificate),
        };
        Some(reader.entry)
    }

    /// What stands in a cell; none for an empty one and one that is not there.
    fn text(&mut self, column: Column) -> Option<&'a str> {
        let number = self.entry.places[column as usize].checked_sub(1)?;
        if let Some(Some(cell)) = self.row.cells.get(number as usize) {
            return Some(cell.trim()).filter(|cell| !cell.is_empty());
        }
        // It was complained about when it was cut.
        self.entry.broken |= 1 << column as u32;
        None
    }

    fn complain(&mut self, column: Column, value: &str, problem: impl Into<String>) {
        self.entry.broken |= 1 << column as u32;
        self.problems.add(self.entry.at(column), value, problem);
    }

    fn word<T: FromStr<Err: std::fmt::Display>>(&mut self, column: Column) -> Option<T> {
        let text = self.text(column)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(problem) => {
                self.complain(column, text, problem.to_string());
                None
            }
        }
    }

    fn count(&mut self, column: Column) -> Option<u32> {
        let text = self.text(column)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.complain(column, text, "use a whole number a second; 0 for no limit");
        }
        number
    }

    fn signals(&mut self) -> Option<Vec<DeviceSignal>> {
        let (signals, units, limits) = (
            self.text(Column::Signals),
            self.text(Column::Units),
            self.text(Column::Limits),
        );
        let Some(cell) = signals else {
            for (column, text) in [(Column::Units, units), (Column::Limits, limits)] {
                if let Some(text) = text.filter(|_| !self.entry.is_broken(Column::Signals)) {
                    self.complain(
                        column,
                        text,
                        "name the signals in the column signals as well",
                    );
                }
            }
            return None;
        };
        if cell == "-" {
            return Some(Vec::new());
        }
        let items = cells::items(cell);
        if items.len() > MAX_SIGNALS_PER_DEVICE {
            let count = items.len();
            let problem = format!(
                "{count} signals are declared; a device has at most {MAX_SIGNALS_PER_DEVICE}"
            );
            self.complain(Column::Signals, cell, problem);
            return None;
        }
        let mut read = Vec::with_capacity(items.len());
        for item in &items {
            match cells::signal(item) {
                Ok(signal) => read.push(signal),
                Err(problem) => self.complain(Column::Signals, item, problem),
            }
        }
        let whole = read.len() == items.len();
        self.beside(Column::Units, units, &items, &mut read, |signal, item| {
            let unit = cells::unit(item)?;
            match (signal.unit, unit) {
                (Some(_), Some(_)) => Err(twice(signal, "unit")),
                (None, Some(unit)) => {
                    signal.unit = Some(unit);
                    Ok(())
                }
                (_, None) => Ok(()),
            }
        });
        self.beside(Column::Limits, limits, &items, &mut read, |signal, item| {
            let limits = cells::limits(item)?;
            if limits == SignalLimits::default() {
                return Ok(());
            }
            if signal.limits != SignalLimits::default() {
                return Err(twice(signal, "limits"));
            }
            signal.limits = limits;
            Ok(())
        });
        whole.then_some(read)
    }

    /// Adds to each signal what its item in another column says.
    fn beside(
        &mut self,
        column: Column,
        cell: Option<&str>,
        signals: &[&str],
        read: &mut [DeviceSignal],
        mut add: impl FnMut(&mut DeviceSignal, &str) -> Result<(), String>,
    ) {
        let Some(cell) = cell else { return };
        // A separator at the end is an empty item here when it makes the counts meet.
        let mut items: Vec<&str> = cell.split([';', '|']).map(str::trim).collect();
        if items.len() == signals.len() + 1 && items.last() == Some(&"") {
            items.pop();
        }
        if items.len() != signals.len() {
            let problem = format!(
                "{} items stand here and {} in the column signals; write one for each, - for none",
                items.len(),
                signals.len()
            );
            self.complain(column, cell, problem);
            return;
        }
        if read.len() != signals.len() {
            // Which signal an item belongs to is not known; the signals were complained about.
            return;
        }
        for (signal, item) in read.iter_mut().zip(items) {
            if let Err(problem) = add(signal, item) {
                self.complain(column, item, problem);
            }
        }
    }
}

fn twice(signal: &DeviceSignal, what: &str) -> String {
    format!(
        "the {what} of {} stand in the column signals already",
        signal.name
    )
}
