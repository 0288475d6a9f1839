//! What a source gives: readings for one journal record, what could not be read, and where to go on.

use std::collections::HashMap;

use telemetry::{DeviceId, ReadingBatch, SignalName, Timestamp};

/// Readings in one piece, which becomes one journal record of some four megabytes: large enough
/// that an fsync costs nothing per reading, small enough that two fit the journal's queue.
pub(crate) const PIECE_READINGS: usize = 200_000;

/// Refused parts in one piece, so that a file of nothing else stays within memory.
const PIECE_REJECTS: usize = 10_000;

/// How much of a refused row is kept.
const MAX_REJECTED_TEXT: usize = 2_000;

/// Where a source stands: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// Bytes of a text, rows of a Parquet file.
    pub(crate) offset: u64,
    /// Lines before it.
    pub(crate) line: u64,
}

/// A row or a cell that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The line it begins on, from 1; the row of a Parquet file.
    pub(crate) line: u64,
    /// The column, from 1; none when the whole row is refused.
    pub(crate) column: Option<usize>,
    /// The column's name.
    pub(crate) name: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// The row as it stands in the file, cut to [`MAX_REJECTED_TEXT`].
    pub(crate) text: String,
}

impl Reject {
    /// What a running program refused of a piece that ends on `line`.
    pub(crate) fn of_program(line: u64, reason: String) -> Self {
        Self {
            line,
            column: None,
            name: String::new(),
            reason,
            text: String::new(),
        }
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(f, ", column {column} ({})", self.name)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A part of a file.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// What was measured.
    pub(crate) readings: ReadingBatch,
    /// What could not be taken.
    pub(crate) rejects: Vec<Reject>,
    /// Where the next piece begins.
    pub(crate) place: Place,
    /// When it is imported; the time of arrival of every reading in it.
    now: Timestamp,
    devices: Names,
    signals: Names,
    /// The row being gathered: what one device measured at one instant.
    open: Option<(u32, Timestamp)>,
}

/// Names as they stand in the file to positions in the batch. The last one is the likeliest.
#[derive(Debug, Default)]
struct Names {
    last: Option<(Box<[u8]>, u32)>,
    known: HashMap<Box<[u8]>, u32>,
}

impl Names {
    fn find(&mut self, name: &[u8]) -> Option<u32> {
        if let Some((last, at)) = &self.last
            && **last == *name
        {
            return Some(*at);
        }
        let at = *self.known.get(name)?;
        self.last = Some((name.into(), at));
        Some(at)
    }
}

impl Piece {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    /// Whether it should be committed before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.readings.reading_count() >= PIECE_READINGS || self.rejects.len() >= PIECE_REJECTS
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.rejects.is_empty()
    }

    /// The position of a device by its name in the file.
    pub(crate) fn device(&mut self, name: &[u8]) -> Result<u32, String> {
        if let Some(at) = self.devices.find(name) {
            return Ok(at);
        }
        let device = std::str::from_utf8(name)
            .map_err(|_| "the device is not UTF-8".to_owned())
            .and_then(|text| DeviceId::new(text.trim()).map_err(|error| error.to_string()))?;
        let at = self.readings.device(&device);
        self.devices.known.insert(name.into(), at);
        Ok(at)
    }

    /// The position of a signal by its name in the file.
    pub(crate) fn signal(&mut self, name: &[u8]) -> Result<u32, String> {
        if let Some(at) = self.signals.find(name) {
            return Ok(at);
        }
        let signal = std::str::from_utf8(name)
            .map_err(|_| "the signal is not UTF-8".to_owned())
            .and_then(|text| SignalName::new(text.trim()).map_err(|error| error.to_string()))?;
        let at = self.readings.signal(&signal);
        self.signals.known.insert(name.into(), at);
        Ok(at)
    }

    /// Adds a finite value. Values of one device and instant that follow each other become one row.
    pub(crate) fn push(&mut self, device: u32, at: Timestamp, signal: u32, value: f64) {
        if self.open != Some((device, at)) {
            self.close_row();
            self.open = Some((device, at));
        }
        self.readings.push_value(signal, value);
    }

    /// Ends the row being gathered.
    pub(crate) fn close_row(&mut self) {
        if let Some((device, at)) = self.open.take() {
            self.readings.finish_row(device, at, self.now);
        }
    }

    /// Notes something that could not be taken.
    pub(crate) fn reject(
        &mut self,
        line: u64,
        column: Option<(usize, &str)>,
        reason: impl Into<String>,
        text: &[u8],
    ) {
        let cut = &text[..text.len().min(MAX_REJECTED_TEXT)];
        self.rejects.push(Reject {
            line,
            column: column.map(|(at, _)| at + 1),
            name: column.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            reason: reason.into(),
            text: String::from_utf8_lossy(cut).into_owned(),
        });
    }
}

/// Checks a time against the calendar, as every way in does.
pub(crate) fn in_calendar(at: Timestamp) -> Option<Timestamp> {
    at.is_in_calendar().then_some(at)
}
