//! What may be typed behind `bench historian` and `bench query`.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use std::path::PathBuf;

use clap::Args;

/// `bench historian`.
#[derive(Debug, Args)]
pub(crate) struct BenchHistorianArgs {
    /// Values to write, three in a line
    #[arg(long, default_value_t = 6_000_000, value_parser = clap::value_parser!(u64).range(3..=1_000_000_000))]
    pub(crate) values: u64,
    /// Devices they come from, three signals each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) devices: u32,
    /// Lines in a request
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) lines: u32,
    /// Requests at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) writers: u8,
    /// How often each store is measured, in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) rounds: u8,
    /// A VictoriaMetrics to measure in turn
    #[arg(long, value_name = "URL")]
    pub(crate) victoria: Option<String>,
    /// Where it keeps its data, to measure bytes a value
    #[arg(long, value_name = "DIR", requires = "victoria")]
    pub(crate) victoria_data: Option<PathBuf>,
    /// An InfluxDB 1.x to measure in turn
    #[arg(long, value_name = "URL")]
    pub(crate) influx: Option<String>,
    /// Where it keeps its data, to measure bytes a value
    #[arg(long, value_name = "DIR", requires = "influx")]
    pub(crate) influx_data: Option<PathBuf>,
    /// Folder of recordings (skab, nab, femto, azure-pdm) to measure bytes a value with
    #[arg(long, value_name = "DIR")]
    pub(crate) recordings: Option<PathBuf>,
    /// Print the results as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bench query`.
#[derive(Debug, Args)]
pub(crate) struct BenchQueryArgs {
    /// Seconds of 1 Hz data of the signal that is charted; a year has 31,536,000
    #[arg(long, default_value_t = 31_536_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub(crate) seconds: u64,
    /// Further signals, ten a device, whose newest values are asked for
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) signals: u32,
    /// Readings in all when the engine is started again
    #[arg(long, default_value_t = 100_000_000)]
    pub(crate) readings: u64,
    /// How often each question is asked
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) times: u32,
    /// Print the results as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
