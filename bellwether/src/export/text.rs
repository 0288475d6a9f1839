//! CSV and line protocol.

use std::io::Write;

use anyhow::{Context, Result, bail};
use historian::SeriesKey;
use telemetry::Timestamp;

use super::Sink;

const WRITE: &str = "cannot write the file";

/// `device,signal,time,value`.
pub(super) struct CsvSink<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> CsvSink<W> {
    pub(super) fn new(mut out: W) -> Result<Self> {
        out.write_all(b"device,signal,time,value\n")
            .context(WRITE)?;
        Ok(Self {
            out,
            line: Vec::new(),
        })
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn run(&mut self, series: &SeriesKey, times: &[i64], values: &[f64]) -> Result<()> {
        // Device ids need no quotes; a signal may hold a comma, but no quote and no line end.
        let signal = series.signal.as_str();
        let quote = if signal.contains([',', ';', '\t', '|']) {
            "\""
        } else {
            ""
        };
        self.line.clear();
        for (&at, value) in times.iter().zip(values) {
            let at = Timestamp::from_micros(at);
            // Writing to memory cannot fail.
            let _ = writeln!(
                self.line,
                "{},{quote}{signal}{quote},{at},{value:?}",
                series.device
            );
        }
        self.out.write_all(&self.line).context(WRITE)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().context(WRITE)
    }
}

/// `reading,device=<id> <signal>=<value> <ns>`.
pub(super) struct LineSink<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> LineSink<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Sink for LineSink<W> {
    fn run(&mut self, series: &SeriesKey, times: &[i64], values: &[f64]) -> Result<()> {
        let field = historian::influx::field_key(series.signal.as_str());
        self.line.clear();
        for (&at, value) in times.iter().zip(values) {
            let Some(nanos) = at.checked_mul(1_000) else {
                let at = Timestamp::from_micros(at);
                bail!(
                    "{}/{} has a reading at {at}, which line protocol cannot tell: its 64-bit \
                     nanoseconds reach from 1677 to 2262; use --format csv or parquet",
                    series.device,
                    series.signal
                );
            };
            // Writing to memory cannot fail.
            let _ = write!(self.line, "reading,device={} ", series.device);
            self.line.extend_from_slice(&field);
            let _ = writeln!(self.line, "={value:?} {nanos}");
        }
        self.out.write_all(&self.line).context(WRITE)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.out.flush().context(WRITE)
    }
}
