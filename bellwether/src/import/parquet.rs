//! Parquet, long (device, signal, time, value) or wide (time and a column a signal), the columns
//! named and found as in CSV.
//!
//! Times are `TIMESTAMP` columns, plain whole numbers since 1970 (their unit told by their size) or
//! texts; values are any numeric column, nulls are empty cells. A file is read row by row within
//! its row groups, so memory is bounded by one row group's pages.

use std::{fs::File, path::Path};

use anyhow::{Context, Result};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row, reader::RowIter},
};
use telemetry::Timestamp;

use super::{
    Options,
    columns::{Columns, Device, columns_of},
    piece::{Piece, Place, in_calendar},
};
use crate::recorded::{
    header::find_time,
    number::{Cell, parse_cell},
    time::parse_time,
};

/// A Parquet file that is being read. Its places count rows.
pub(crate) struct ParquetSource {
    rows: RowIter<'static>,
    names: Vec<String>,
    time: usize,
    device: Device,
    columns: Columns,
    row: u64,
    total: u64,
}

impl ParquetSource {
    /// Reads the schema and goes to `place`.
    ///
    /// # Errors
    /// When it is no Parquet file, or has no time, no device or nothing to import.
    pub(crate) fn open(path: &Path, options: &Options, place: Place) -> Result<Self> {
        let file = File::open(path)?;
        let reader = SerializedFileReader::new(file).context("this is no Parquet file")?;
        let metadata = reader.metadata().file_metadata();
        let total = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let columns = metadata.schema().get_fields().iter();
        let names: Vec<String> = columns.map(|column| column.name().to_owned()).collect();
        let time = find_time(&names, options.time_column.as_deref())?;
        let (device, columns) = columns_of(&names, time, options)?;
        let mut rows = RowIter::from_file_into(Box::new(reader));
        for _ in 0..place.offset {
            rows.next().transpose().context("cannot read a row")?;
        }
        Ok(Self {
            rows,
            names,
            time,
            device,
            columns,
            row: place.offset,
            total,
        })
    }

    /// The number of rows.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The next piece; none at the end.
    pub(crate) fn next(&mut self, now: Timestamp) -> Result<Option<Piece>> {
        let mut piece = Piece::new(now);
        let mut any = false;
        while !piece.is_full() {
            let Some(row) = self.rows.next() else {
                break;
            };
            let row = row.with_context(|| format!("cannot read row {}", self.row + 1))?;
            any = true;
            self.row += 1;
            self.take(&row, &mut piece);
        }
        piece.close_row();
        piece.place = Place {
            offset: self.row,
            line: self.row,
        };
        Ok(any.then_some(piece))
    }

    fn take(&self, row: &Row, piece: &mut Piece) {
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let field = |column: usize| fields.get(column).copied().unwrap_or(&Field::Null);
        let Some(at) = time_of(field(self.time)).and_then(in_calendar) else {
            let reason = format!("{} is no time", field(self.time));
            return self.refuse(piece, row, self.time, reason);
        };
        let text_of = |column: usize| match field(column) {
            Field::Str(text) => Ok(text.clone()),
            Field::Bytes(bytes) => bytes
                .as_utf8()
                .map(str::to_owned)
                .map_err(|e| e.to_string()),
            other => Err(format!("{other} is no name")),
        };
        let device = match &self.device {
            Device::Always(device) => piece.device(device.as_str().as_bytes()),
            Device::Column(column) => {
                text_of(*column).and_then(|text| piece.device(text.as_bytes()))
            }
        };
        let device = match (device, &self.device) {
            (Ok(device), _) => device,
            (Err(problem), Device::Column(column)) => {
                return self.refuse(piece, row, *column, problem);
            }
            (Err(problem), Device::Always(_)) => {
                return self.refuse(piece, row, self.time, problem);
            }
        };
        let values: Vec<(usize, Result<u32, String>)> = match &self.columns {
            Columns::Wide { signals } => signals
                .iter()
                .map(|(column, name)| (*column, piece.signal(name.as_str().as_bytes())))
                .collect(),
            Columns::Long { signal, value } => {
                let id = text_of(*signal).and_then(|text| piece.signal(text.as_bytes()));
                vec![(if id.is_ok() { *value } else { *signal }, id)]
            }
        };
        for (column, signal) in values {
            match signal.and_then(|signal| Ok((signal, number_of(field(column))?))) {
                Ok((signal, Some(value))) => piece.push(device, at, signal, value),
                Ok((_, None)) => {}
                Err(problem) => self.refuse(piece, row, column, problem),
            }
        }
    }

    fn refuse(&self, piece: &mut Piece, row: &Row, column: usize, reason: String) {
        let name = self.names.get(column).map_or("", String::as_str);
        piece.reject(
            self.row,
            Some((column, name)),
            reason,
            row.to_string().as_bytes(),
        );
    }
}

fn time_of(field: &Field) -> Option<Timestamp> {
    match field {
        Field::TimestampMicros(micros) => Some(Timestamp::from_micros(*micros)),
        Field::TimestampMillis(millis) => Some(Timestamp::from_millis(*millis)),
        Field::Date(days) => Some(Timestamp::from_secs(i64::from(*days) * 86_400)),
        Field::Long(number) => parse_time(&number.to_string()),
        Field::Int(number) => parse_time(&number.to_string()),
        Field::Double(number) => parse_time(&number.to_string()),
        Field::Str(text) => parse_time(text.trim()),
        _ => None,
    }
}

/// A finite number; none when the cell is empty.
fn number_of(field: &Field) -> Result<Option<f64>, String> {
    const EXACT: u64 = 1 << 53;
    let number = match field {
        Field::Null => return Ok(None),
        Field::Double(number) => *number,
        Field::Float(number) => f64::from(*number),
        Field::Byte(number) => f64::from(*number),
        Field::Short(number) => f64::from(*number),
        Field::Int(number) => f64::from(*number),
        Field::UByte(number) => f64::from(*number),
        Field::UShort(number) => f64::from(*number),
        Field::UInt(number) => f64::from(*number),
        Field::Long(number) if number.unsigned_abs() <= EXACT => *number as f64,
        Field::ULong(number) if *number <= EXACT => *number as f64,
        Field::Str(text) => {
            return match parse_cell(text.as_bytes(), false) {
                Some(Cell::Number(number)) => Ok(Some(number)),
                Some(Cell::Empty) => Ok(None),
                None => Err(format!("{text:?} is no finite number")),
            };
        }
        other => return Err(format!("{other} is no number that fits a float")),
    };
    if number.is_nan() {
        return Ok(None);
    }
    if number.is_finite() {
        Ok(Some(number))
    } else {
        Err("the number is not finite".to_owned())
    }
}
