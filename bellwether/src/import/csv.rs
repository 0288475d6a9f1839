//! CSV: wide (a time column and one column a signal) or long (device, signal, time, value).
//!
//! The file is cut into cells by `csv-core`, which copies each once into a buffer that is used
//! again; cells become numbers, times and positions of known names without an allocation. What
//! cannot be read is set aside with line and column, and the rest of the row is kept.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use telemetry::{SignalName, Timestamp};

use super::{
    Options,
    columns::{Columns, Device, columns_of},
    piece::{Piece, Place, in_calendar},
};
use crate::recorded::{
    header::{find_time, read_line, sniff},
    number::{Cell, parse_cell},
    time::parse_time_cell,
};

/// Bytes read from the file in one go.
const READ_BYTES: usize = 1 << 20;
/// The longest row. A quote that is never closed would otherwise take the rest of the file.
const MAX_ROW_BYTES: usize = 1 << 20;
/// The most columns.
const MAX_COLUMNS: usize = 10_000;
/// Bytes after which a piece ends even when hardly anything of it could be taken.
const PIECE_BYTES: u64 = 64 << 20;

/// A CSV file that is being read.
pub(crate) struct CsvSource<R> {
    file: R,
    core: Reader,
    separator: u8,
    input: Box<[u8]>,
    /// The part of `input` not yet read.
    unread: std::ops::Range<usize>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    cell_count: usize,
    names: Vec<String>,
    time: usize,
    device: Device,
    columns: Columns,
    decimal_comma: bool,
    /// Bytes of the file before the next record.
    offset: u64,
    /// The line the last record began on, roughly right inside quotes.
    line: u64,
}

enum Step {
    Row,
    TooLong,
    End,
}

impl<R: Read + Seek> CsvSource<R> {
    /// Reads the header and goes to `place`, which is the start or what a piece said.
    ///
    /// # Errors
    /// When there is no header, no time column, no device, or nothing to import.
    pub(crate) fn open(mut file: R, options: &Options, place: Place) -> Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let header = read_line(&mut std::io::BufReader::with_capacity(4096, &mut file))
            .context("cannot read the header")?;
        let header_bytes = header.len() as u64;
        let header = header.trim_start_matches('\u{feff}');
        let Some(separator) = sniff(header) else {
            bail!("the first line is no header of a table with ; or , between columns");
        };
        let names = names_of(header, separator)?;
        let time = find_time(&names, options.time_column.as_deref())?;
        let (device, columns) = columns_of(&names, time, options)?;
        let start = place.offset.max(header_bytes);
        file.seek(SeekFrom::Start(start))?;
        let mut core = ReaderBuilder::new().delimiter(separator).build();
        core.set_line(place.line.max(2));
        Ok(Self {
            file,
            core,
            separator,
            input: vec![0; READ_BYTES].into(),
            unread: 0..0,
            cells: vec![0; 4096],
            ends: vec![0; names.len() + 8],
            cell_count: 0,
            names,
            time,
            device,
            columns,
            decimal_comma: separator != b',',
            offset: start,
            line: place.line.max(2),
        })
    }

    /// The next piece; none at the end.
    pub(crate) fn next(&mut self, now: Timestamp) -> Result<Option<Piece>> {
        let mut piece = Piece::new(now);
        let first = self.offset;
        let wide = match &self.columns {
            Columns::Wide { signals } => signals
                .iter()
                .map(|(_, name)| piece.readings.signal(name))
                .collect(),
            Columns::Long { .. } => Vec::new(),
        };
        let always = match &self.device {
            Device::Always(device) => Some(piece.readings.device(device)),
            Device::Column(_) => None,
        };
        let mut end = false;
        while !piece.is_full() && self.offset - first < PIECE_BYTES {
            let (start, line) = (self.offset, self.core.line());
            match self.step()? {
                Step::Row => match &self.columns {
                    Columns::Wide { signals } => self.wide_row(&mut piece, signals, &wide, always),
                    Columns::Long { signal, value } => {
                        self.long_row(&mut piece, *signal, *value, always);
                    }
                },
                Step::TooLong => self.skip_long_row(&mut piece, start, line)?,
                Step::End => {
                    end = true;
                    break;
                }
            }
        }
        piece.close_row();
        piece.place = Place {
            offset: self.offset,
            line: self.core.line(),
        };
        Ok((!end || !piece.is_empty()).then_some(piece))
    }

    /// Cuts the next record into cells.
    fn step(&mut self) -> Result<Step> {
        let (mut cells, mut ends) = (0, 0);
        loop {
            if self.unread.is_empty() {
                let read = self
                    .file
                    .read(&mut self.input)
                    .context("cannot read the file")?;
                self.unread = 0..read;
            }
            let input = &self.input[self.unread.clone()];
            let (result, read, written, ended) =
                self.core
                    .read_record(input, &mut self.cells[cells..], &mut self.ends[ends..]);
            let ends_line = read > 0 && input[read - 1] == b'\n';
            self.unread.start += read;
            self.offset += read as u64;
            cells += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() < MAX_ROW_BYTES => {
                    self.cells.resize(self.cells.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_COLUMNS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Ok(Step::TooLong);
                }
                ReadRecordResult::Record => {
                    self.cell_count = ends;
                    self.line = self.core.line() - u64::from(ends_line);
                    return Ok(Step::Row);
                }
                ReadRecordResult::End => return Ok(Step::End),
            }
        }
    }

    /// Sets a row aside that is longer than any row may be, and goes on with the line after the
    /// one it began on: a quote that is never closed costs one row and not the rest of the file.
    fn skip_long_row(&mut self, piece: &mut Piece, start: u64, line: u64) -> Result<()> {
        let reason = format!(
            "the row has more than {MAX_ROW_BYTES} bytes or {MAX_COLUMNS} columns; is a quote not closed?"
        );
        piece.reject(line, None, reason, &self.cells[..200.min(self.cells.len())]);
        self.file.seek(SeekFrom::Start(start))?;
        self.unread = 0..0;
        self.offset = start;
        let mut begun = false;
        loop {
            let read = self
                .file
                .read(&mut self.input)
                .context("cannot read the file")?;
            let input = &self.input[..read];
            // The line end of the row before may still be there.
            let skip = input
                .iter()
                .take_while(|byte| !begun && b"\r\n".contains(byte))
                .count();
            begun |= skip < read;
            let end = memchr::memchr(b'\n', &input[skip..]).map(|at| skip + at + 1);
            self.offset += end.unwrap_or(read) as u64;
            if read == 0 || end.is_some() {
                self.unread = end.unwrap_or(read)..read;
                break;
            }
        }
        self.core.reset();
        self.core.set_line(line + 1);
        Ok(())
    }

    fn cell(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.cells[start..self.ends[at]]
    }

    /// The row as it stood in the file, quotes aside.
    fn text(&self) -> Vec<u8> {
        let cells: Vec<&[u8]> = (0..self.cell_count).map(|at| self.cell(at)).collect();
        cells.join(&self.separator)
    }

    /// Time and device of a row; what is wrong with it is noted.
    fn time_and_device(&self, piece: &mut Piece, always: Option<u32>) -> Option<(Timestamp, u32)> {
        let extra = self.names.len()..self.cell_count;
        if self.cell_count < self.names.len() || extra.clone().any(|at| !self.cell(at).is_empty()) {
            let reason = format!(
                "{} cells under {} columns",
                self.cell_count,
                self.names.len()
            );
            piece.reject(self.line, None, reason, &self.text());
            return None;
        }
        let time = self.cell(self.time);
        let Some(at) = parse_time_cell(time).and_then(in_calendar) else {
            let column = (self.time, self.names[self.time].as_str());
            let reason = format!("{:?} is no time", String::from_utf8_lossy(time));
            piece.reject(self.line, Some(column), reason, &self.text());
            return None;
        };
        let device = match (&self.device, always) {
            (Device::Column(column), _) => match piece.device(self.cell(*column)) {
                Ok(device) => device,
                Err(problem) => {
                    let column = (*column, self.names[*column].as_str());
                    piece.reject(self.line, Some(column), problem, &self.text());
                    return None;
                }
            },
            (Device::Always(_), always) => always?,
        };
        Some((at, device))
    }

    fn wide_row(
        &self,
        piece: &mut Piece,
        signals: &[(usize, SignalName)],
        ids: &[u32],
        always: Option<u32>,
    ) {
        let Some((at, device)) = self.time_and_device(piece, always) else {
            return;
        };
        for ((column, _), &signal) in signals.iter().zip(ids) {
            self.value(piece, *column, device, at, signal);
        }
    }

    fn long_row(&self, piece: &mut Piece, signal: usize, value: usize, always: Option<u32>) {
        let Some((at, device)) = self.time_and_device(piece, always) else {
            return;
        };
        match piece.signal(self.cell(signal)) {
            Ok(id) => self.value(piece, value, device, at, id),
            Err(problem) => {
                let column = (signal, self.names[signal].as_str());
                piece.reject(self.line, Some(column), problem, &self.text());
            }
        }
    }

    fn value(&self, piece: &mut Piece, column: usize, device: u32, at: Timestamp, signal: u32) {
        let cell = self.cell(column);
        match parse_cell(cell, self.decimal_comma) {
            Some(Cell::Number(number)) => piece.push(device, at, signal, number),
            Some(Cell::Empty) => {}
            None => {
                let reason = format!("{:?} is no finite number", String::from_utf8_lossy(cell));
                let column = (column, self.names[column].as_str());
                piece.reject(self.line, Some(column), reason, &self.text());
            }
        }
    }
}

fn names_of(header: &str, separator: u8) -> Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .trim(csv::Trim::All)
        .from_reader(header.as_bytes());
    let names: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    if names.len() > MAX_COLUMNS {
        bail!(
            "the header has {} columns; {MAX_COLUMNS} are the most",
            names.len()
        );
    }
    Ok(names)
}
