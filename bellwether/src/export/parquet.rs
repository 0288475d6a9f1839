//! Parquet in the long schema.
//!
//! ```text
//! message readings {
//!   REQUIRED BINARY device (STRING);
//!   REQUIRED BINARY signal (STRING);
//!   REQUIRED INT64 time (TIMESTAMP(MICROS, true));
//!   REQUIRED DOUBLE value;
//! }
//! ```
//!
//! Names are kept in dictionaries, times as differences, values split into streams of bytes, all
//! under Snappy. A row group holds up to a million rows of any series, in order.

use std::{io::Write, sync::Arc};

use anyhow::{Context, Result};
use historian::SeriesKey;
use parquet::{
    basic::{Compression, Encoding},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::{parser::parse_message_type, types::ColumnPath},
};

use super::Sink;

const SCHEMA: &str = "message readings {
    REQUIRED BINARY device (STRING);
    REQUIRED BINARY signal (STRING);
    REQUIRED INT64 time (TIMESTAMP(MICROS, true));
    REQUIRED DOUBLE value;
}";

/// Rows of one row group: some 40 MB while it is being gathered.
const GROUP_ROWS: usize = 1 << 20;

/// A Parquet file that is being written.
pub(super) struct ParquetSink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    devices: Vec<ByteArray>,
    signals: Vec<ByteArray>,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl<W: Write + Send> ParquetSink<W> {
    pub(super) fn new(out: W) -> Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let plain = |name: &str| ColumnPath::from(name);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("bellwether ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_column_dictionary_enabled(plain("time"), false)
            .set_column_encoding(plain("time"), Encoding::DELTA_BINARY_PACKED)
            .set_column_dictionary_enabled(plain("value"), false)
            .set_column_encoding(plain("value"), Encoding::BYTE_STREAM_SPLIT)
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(out, schema, Arc::new(properties))?,
            devices: Vec::new(),
            signals: Vec::new(),
            times: Vec::new(),
            values: Vec::new(),
        })
    }

    fn write_group(&mut self) -> Result<()> {
        if self.times.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for names in [&self.devices, &self.signals] {
            let mut column = group
                .next_column()?
                .context("the schema has four columns")?;
            column
                .typed::<ByteArrayType>()
                .write_batch(names, None, None)?;
            column.close()?;
        }
        let mut column = group
            .next_column()?
            .context("the schema has four columns")?;
        column
            .typed::<Int64Type>()
            .write_batch(&self.times, None, None)?;
        column.close()?;
        let mut column = group
            .next_column()?
            .context("the schema has four columns")?;
        column
            .typed::<DoubleType>()
            .write_batch(&self.values, None, None)?;
        column.close()?;
        group.close()?;
        self.devices.clear();
        self.signals.clear();
        self.times.clear();
        self.values.clear();
        Ok(())
    }
}

impl<W: Write + Send> Sink for ParquetSink<W> {
    fn run(&mut self, series: &SeriesKey, times: &[i64], values: &[f64]) -> Result<()> {
        let device = ByteArray::from(series.device.as_str());
        let signal = ByteArray::from(series.signal.as_str());
        // The bytes of a name are shared between rows.
        self.devices
            .resize(self.devices.len() + times.len(), device);
        self.signals
            .resize(self.signals.len() + times.len(), signal);
        self.times.extend_from_slice(times);
        self.values.extend_from_slice(values);
        if self.times.len() >= GROUP_ROWS {
            self.write_group().context("cannot write the file")?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.write_group().context("cannot write the file")?;
        self.writer.close().context("cannot write the file")?;
        Ok(())
    }
}
