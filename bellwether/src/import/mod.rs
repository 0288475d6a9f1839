//! `bellwether import`: recorded tables into the journal.
//!
//! ```text
//! file ─▶ source (a thread) ─▶ pieces, two at most ─▶ journal ─▶ historian
//!           rejects ─▶ FILE.….rejected.csv            └▶ note of how far (checkpoint)
//! ```
//!
//! The journal is the one source of truth, so an import goes through it like everything else: the
//! historian follows while the file is read, and analytics sees the readings at the next start.
//! Keys are (device, signal, time) and the first value stays, so importing twice changes nothing;
//! that is also why a killed import can go on from the last note.
//!
//! What holds without a running program: names and numbers are checked (ids, finite values, times
//! inside the calendar). Units, limits, clock and cardinality are checked where the registry is:
//! with `--api` the running program judges the readings as if a device had sent them.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

mod api;
mod checkpoint;
mod columns;
mod csv;
mod history;
mod lines;
mod parquet;
mod piece;
mod rejects;
mod target;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use telemetry::{Clock, DeviceId, SystemClock, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    api::Api,
    checkpoint::Checkpoint,
    csv::CsvSource,
    lines::LineSource,
    parquet::ParquetSource,
    piece::{Piece, Place, Reject},
    rejects::Rejects,
    target::{Folder, Target},
};
use crate::{
    cli::ConfigArgs,
    progress::Progress,
    signals::stop_on_signal,
    verbs::{load_config, print_json, start_plain_log},
};

/// Pieces read ahead while one is being committed.
const PIECES_AHEAD: usize = 2;
/// Refused rows told one by one; all of them are in the reject file.
const TOLD: u64 = 5;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub(crate) enum Format {
    /// By its first bytes.
    #[default]
    Auto,
    /// A table with a header, separated by comma, semicolon or tab.
    Csv,
    /// InfluxDB line protocol.
    Lp,
    /// Parquet.
    Parquet,
}

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub(crate) enum Layout {
    /// Long when there is a signal and a value column.
    #[default]
    Auto,
    /// A time column and one column a signal.
    Wide,
    /// Device, signal, time, value.
    Long,
}

/// What the times of line protocol count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub(crate) enum Precision {
    /// Nanoseconds.
    #[default]
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

/// How files are read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    /// What the files are
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) format: Format,
    /// Long (device, signal, time, value) or wide (time and a column a signal)
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) layout: Layout,
    /// Device that measured everything, when no column or tag tells it
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// Column or tag with the device, when its name is unusual
    #[arg(long, value_name = "COLUMN")]
    pub(crate) device_column: Option<String>,
    /// Column with the signal's name, when its name is unusual
    #[arg(long, value_name = "COLUMN")]
    pub(crate) signal_column: Option<String>,
    /// Column with the value, when its name is unusual
    #[arg(long, value_name = "COLUMN")]
    pub(crate) value_column: Option<String>,
    /// Time column, when its name is unusual
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: Option<String>,
    /// Columns or tags to leave out, such as labels
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// What the times of line protocol count
    #[arg(long, value_enum, default_value = "ns")]
    pub(crate) precision: Precision,
}

impl Options {
    /// Everything that changes what a file means.
    fn reading(&self) -> impl std::hash::Hash + '_ {
        (
            (self.format, self.layout, self.precision),
            self.device.as_ref().map(DeviceId::as_str),
            (&self.device_column, &self.signal_column),
            (&self.value_column, &self.time_column),
            &self.ignore,
        )
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    beside: Option<ImportVerb>,
    /// Files to import
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// Import into a running program instead of its folder, as in http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// File with the device's or gateway's token, for --api where credentials are asked for
    #[arg(long, value_name = "FILE", requires = "api")]
    token_file: Option<PathBuf>,
    /// Where refused rows go; by default beside the notes of how far the import is
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Begin anew, also with files that have been imported
    #[arg(long)]
    again: bool,
    /// Print one JSON object about the import on standard output at its end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// What may be imported beside readings.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportVerb {
    /// The past of assets from another maintenance system: what there was, failed, was done.
    History(history::HistoryArgs),
}

/// What was imported of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The file.
    file: PathBuf,
    /// Readings imported by this run.
    readings: u64,
    /// Rows and cells refused by this run.
    rejected: u64,
    /// Where they are, when there are any.
    reject_file: Option<PathBuf>,
    /// Whether an earlier run had begun it.
    resumed: bool,
    /// How long it took.
    seconds: f64,
}

/// Imports the files.
///
/// # Errors
/// When a file cannot be read, the folder is in use, or the program refuses.
pub(crate) async fn run(args: ImportArgs) -> Result<()> {
    start_plain_log("warn");
    if let Some(ImportVerb::History(args)) = args.beside {
        return history::run(args).await;
    }
    let stop = stop_on_signal()?;
    if args.rejects.is_some() && args.files.len() > 1 {
        bail!("--rejects names one file; import the files one by one");
    }
    let (mut target, notes) = if let Some(url) = &args.api {
        let token = args.token_file.as_deref().map(token_in).transpose()?;
        let notes = PathBuf::from("bellwether-import");
        (Target::Api(Api::new(url, token)?), notes)
    } else {
        let config = load_config(&args.config)?;
        let notes = config.data_dir.join("imports");
        (
            Target::Folder(Box::new(Folder::open(&config).await?)),
            notes,
        )
    };
    let mut summaries = Vec::new();
    let mut outcome = Ok(());
    for file in &args.files {
        match import(file, &args, &mut target, &notes, &stop).await {
            Ok(summary) => summaries.push(summary),
            Err(error) => {
                outcome = Err(error.context(format!("importing {}", file.display())));
                break;
            }
        }
    }
    let stored = target.finish().await;
    tell(&args, &summaries, stored.as_ref().ok().copied().flatten())?;
    outcome?;
    stored.map(|_| ())
}

fn token_in(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token in {}", file.display()))?;
    Ok(text.trim().to_owned())
}

fn tell(args: &ImportArgs, summaries: &[Summary], stored: Option<u64>) -> Result<()> {
    if args.json {
        return print_json(&serde_json::json!({ "files": summaries, "stored": stored }));
    }
    for summary in summaries {
        let rejected = match &summary.reject_file {
            Some(file) => format!("; {} refused, see {}", summary.rejected, file.display()),
            None => String::new(),
        };
        let rate = summary.readings as f64 / summary.seconds.max(1e-9) / 1e6;
        println!(
            "{}: {} readings in {:.1} s ({rate:.2} M/s){rejected}",
            summary.file.display(),
            summary.readings,
            summary.seconds,
        );
    }
    if let Some(stored) = stored {
        println!("the folder holds {stored} readings");
    }
    Ok(())
}

async fn import(
    file: &Path,
    args: &ImportArgs,
    target: &mut Target,
    notes: &Path,
    stop: &CancellationToken,
) -> Result<Summary> {
    let began = Instant::now();
    let mut checkpoint = Checkpoint::open(notes, file, &args.options, args.again)?;
    let start = checkpoint.note.place;
    let reject_path = args
        .rejects
        .clone()
        .unwrap_or_else(|| checkpoint.reject_file());
    let mut rejects = Rejects::open(&reject_path, checkpoint.note.reject_bytes)?;
    let source = Source::open(file, &args.options, start)?;
    let mut summary = Summary {
        file: file.to_owned(),
        readings: 0,
        rejected: 0,
        reject_file: None,
        resumed: start != Place::default(),
        seconds: 0.0,
    };
    let (total, unit) = source.total();
    let mut progress = Progress::new(total, unit);
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let reading = std::thread::spawn(move || read_all(source, &sender));
    let key = checkpoint.key();
    while let Some(piece) = pieces.recv().await {
        if stop.is_cancelled() {
            bail!("stopped; run the same command again to go on");
        }
        let Piece {
            readings,
            rejects: mut refused,
            place,
            ..
        } = piece;
        let count = readings.reading_count() as u64;
        if count > 0 {
            let key = format!("{key}-{}", place.offset);
            let told = target.take(readings, &key).await?;
            refused.extend(
                told.into_iter()
                    .map(|reason| Reject::of_program(place.line, reason)),
            );
        }
        for reject in refused
            .iter()
            .take(TOLD.saturating_sub(summary.rejected) as usize)
        {
            progress.say(&format!("refused: {reject}"));
        }
        summary.readings += count;
        summary.rejected += refused.len() as u64;
        let note = &mut checkpoint.note;
        note.reject_bytes = rejects.add(&refused)?;
        note.place = place;
        note.readings += count;
        note.rejected += refused.len() as u64;
        checkpoint.save()?;
        progress.at(place.offset, || format!("{} readings", summary.readings));
    }
    progress.finish();
    reading
        .join()
        .map_err(|_| anyhow::anyhow!("the reading thread panicked"))??;
    checkpoint.note.done = true;
    checkpoint.save()?;
    summary.seconds = began.elapsed().as_secs_f64();
    summary.reject_file = (summary.rejected > 0).then(|| rejects.path().to_owned());
    Ok(summary)
}

/// Reads to the end, or until nobody listens any more.
fn read_all(mut source: Source, sender: &mpsc::Sender<Piece>) -> Result<()> {
    while let Some(piece) = source.next(SystemClock.now())? {
        if sender.blocking_send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

/// A file that is being read.
enum Source {
    Csv(Box<CsvSource<File>>, u64),
    Lines(Box<LineSource<File>>, u64),
    Parquet(Box<ParquetSource>),
}

impl Source {
    fn open(path: &Path, options: &Options, place: Place) -> Result<Self> {
        let mut file =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let bytes = file.metadata()?.len();
        let format = match options.format {
            Format::Auto => sniff(&mut file)?,
            format => format,
        };
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(ParquetSource::open(path, options, place)?)),
            Format::Lp => Self::Lines(Box::new(LineSource::open(file, options, place)?), bytes),
            Format::Auto | Format::Csv => {
                Self::Csv(Box::new(CsvSource::open(file, options, place)?), bytes)
            }
        })
    }

    fn next(&mut self, now: Timestamp) -> Result<Option<Piece>> {
        match self {
            Self::Csv(source, _) => source.next(now),
            Self::Lines(source, _) => source.next(now),
            Self::Parquet(source) => source.next(now),
        }
    }

    /// How much there is to read, and of what.
    fn total(&self) -> (u64, &'static str) {
        match self {
            Self::Csv(_, bytes) | Self::Lines(_, bytes) => (*bytes, "bytes"),
            Self::Parquet(source) => (source.total(), "rows"),
        }
    }
}

/// What a file is, by its first bytes: Parquet says so, a line of line protocol holds `=` and a
/// space, and the header of a table holds no `=`.
fn sniff(file: &mut File) -> Result<Format> {
    let mut head = Vec::new();
    file.take(64 << 10).read_to_end(&mut head)?;
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.find(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    let looks_like_lines = first.is_some_and(|line| line.contains(&b'=') && line.contains(&b' '));
    Ok(if looks_like_lines {
        Format::Lp
    } else {
        Format::Csv
    })
}
