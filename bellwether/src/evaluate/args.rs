//! What may be typed after `evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A suite of recordings with known faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Skoltech Anomaly Benchmark: a pump rig, eight signals, labelled faults.
    Skab,
    /// Numenta Anomaly Benchmark: single signals with labelled windows.
    Nab,
    /// FEMTO / PRONOSTIA: bearings run to failure.
    Femto,
    /// IMS Cincinnati: bearings run to failure.
    Ims,
    /// NASA C-MAPSS: simulated turbofans run to failure.
    Cmapss,
}

impl Suite {
    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Skab => "skab",
            Self::Nab => "nab",
            Self::Femto => "femto",
            Self::Ims => "ims",
            Self::Cmapss => "cmapss",
        }
    }

    /// The usual name of its folder.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Ims => "ims-bearing",
            other => other.name(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Suite: skab, nab, femto, ims or cmapss
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) suite: Suite,
    /// Folder of the suite's recordings, or the folder that holds it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder that predictions are written to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Print one JSON object with the figures on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
