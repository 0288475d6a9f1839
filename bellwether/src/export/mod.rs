//! `bellwether export`: readings out of a data folder, also while a program runs in it.
//!
//! Series come by device and signal, each in order of time. Memory is bounded by one chunk of a
//! series and what the store has not applied yet of the journal. Every value is written so that
//! the same 64 bits come back: with the fewest digits in text, as a double in Parquet.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

mod parquet;
#[cfg(test)]
mod tests;
mod text;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use historian::{HistorianError, SeriesKey, StoreReader};
use serde::Serialize;
use telemetry::{DeviceId, SignalName, Timestamp};
use tokio_util::sync::CancellationToken;

use self::{
    parquet::ParquetSink,
    text::{CsvSink, LineSink},
};
use crate::{
    cli::ConfigArgs,
    progress::Progress,
    recorded::time::parse_time,
    signals::stop_on_signal,
    verbs::{load_config, print_json, start_plain_log},
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// device,signal,time,value; times as RFC 3339.
    Csv,
    /// InfluxDB line protocol in nanoseconds.
    Lp,
    /// Columns device, signal, time (microseconds, UTC) and value.
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to write; - is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to write; by default as the file's name ends
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only these devices
    #[arg(long, value_name = "DEVICES", value_delimiter = ',')]
    device: Vec<DeviceId>,
    /// Only these signals
    #[arg(long, value_name = "SIGNALS", value_delimiter = ',')]
    signal: Vec<SignalName>,
    /// Only from this time on, as in 2026-03-01 or 2026-03-01T08:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Print one JSON object about the export at its end; on standard error when the data go to
    /// standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text).ok_or_else(|| format!("{text:?} is no time such as 2026-03-01T08:30:00Z"))
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Series with at least one reading in range.
    pub(crate) series: u64,
    /// Readings written.
    pub(crate) readings: u64,
}

/// What an export takes.
pub(crate) struct Selection {
    /// None: all.
    pub(crate) devices: Vec<DeviceId>,
    /// None: all.
    pub(crate) signals: Vec<SignalName>,
    /// The first time.
    pub(crate) from: Timestamp,
    /// Before this time.
    pub(crate) to: Timestamp,
}

impl Selection {
    fn takes(&self, key: &SeriesKey) -> bool {
        (self.devices.is_empty() || self.devices.contains(&key.device))
            && (self.signals.is_empty() || self.signals.contains(&key.signal))
    }
}

/// A file that is being written.
trait Sink {
    /// Takes a run of one series: times in microseconds and values.
    fn run(&mut self, series: &SeriesKey, times: &[i64], values: &[f64]) -> Result<()>;
    /// Writes what is left; the file is complete only after this.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Why an export ended early.
enum Ended {
    Store(HistorianError),
    Other(anyhow::Error),
}

impl From<HistorianError> for Ended {
    fn from(error: HistorianError) -> Self {
        Self::Store(error)
    }
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Ended> for anyhow::Error {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Store(error) => error.into(),
            Ended::Other(error) => error,
        }
    }
}

/// Exports.
///
/// # Errors
/// When the folder cannot be read or the file cannot be written.
pub(crate) async fn run(args: ExportArgs) -> Result<()> {
    start_plain_log("warn");
    let stop = stop_on_signal()?;
    let folder = load_config(&args.config)?.data_dir;
    let format = format_of(&args)?;
    let selection = Selection {
        devices: args.device,
        signals: args.signal,
        from: args.from.unwrap_or(Timestamp::MIN),
        to: args.to.unwrap_or(Timestamp::MAX),
    };
    let (to_stdout, json) = (args.out == Path::new("-"), args.json);
    let work = move || {
        if to_stdout {
            let out = BufWriter::with_capacity(1 << 16, std::io::stdout());
            return export(&folder, &selection, sink(format, out)?, &stop);
        }
        // The name is taken only by a whole file.
        let next = args.out.with_added_extension("part");
        let file =
            File::create(&next).with_context(|| format!("cannot write {}", next.display()))?;
        let out = BufWriter::with_capacity(1 << 20, file);
        let done = export(&folder, &selection, sink(format, out)?, &stop);
        if done.is_err() {
            let _ = std::fs::remove_file(&next);
        }
        let done = done?;
        std::fs::rename(&next, &args.out)
            .with_context(|| format!("cannot name {}", args.out.display()))?;
        Ok(done)
    };
    let summary = tokio::task::spawn_blocking(work).await??;
    match (json, to_stdout) {
        (true, false) => print_json(&summary)?,
        (true, true) => eprintln!("{}", serde_json::to_string(&summary)?),
        (false, _) => eprintln!(
            "{} readings of {} series exported",
            summary.readings, summary.series
        ),
    }
    Ok(())
}

fn format_of(args: &ExportArgs) -> Result<Format> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let ending = args
        .out
        .extension()
        .map(std::ffi::OsStr::to_ascii_lowercase);
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("lp" | "line" | "txt") => Ok(Format::Lp),
        Some("parquet") => Ok(Format::Parquet),
        _ => bail!("say what to write with --format csv, lp or parquet"),
    }
}

fn sink<'a, W: Write + Send + 'a>(format: Format, out: W) -> Result<Box<dyn Sink + 'a>> {
    Ok(match format {
        Format::Csv => Box::new(CsvSink::new(out)?),
        Format::Lp => Box::new(LineSink::new(out)),
        Format::Parquet => Box::new(ParquetSink::new(out)?),
    })
}

/// Writes everything that is selected in a data folder.
fn export(
    folder: &Path,
    selection: &Selection,
    mut sink: Box<dyn Sink + '_>,
    stop: &CancellationToken,
) -> Result<Summary> {
    let store = folder.join("historian.db");
    if !store.exists() {
        bail!(
            "there are no readings in {}; name the data folder with --data-dir",
            folder.display()
        );
    }
    let reader = StoreReader::open(&store, &folder.join("journal.db"))
        .with_context(|| format!("cannot read {}", folder.display()))?;
    let keys: Vec<SeriesKey> = reader.series().cloned().collect();
    let wanted: Vec<usize> = (0..keys.len())
        .filter(|&at| selection.takes(&keys[at]))
        .collect();
    let total = wanted.iter().map(|&at| reader.count(at)).sum();
    let mut progress = Progress::new(total, "readings");
    let mut summary = Summary::default();
    for at in wanted {
        let key = &keys[at];
        let before = summary.readings;
        reader.read(at, selection.from, selection.to, |times, values| {
            if stop.is_cancelled() {
                return Err(Ended::Other(anyhow::anyhow!("stopped")));
            }
            sink.run(key, times, values)?;
            summary.readings += times.len() as u64;
            progress.at(summary.readings, || {
                format!("{}/{}", key.device, key.signal)
            });
            Ok(())
        })?;
        summary.series += u64::from(summary.readings > before);
    }
    sink.finish()?;
    progress.finish();
    Ok(summary)
}
