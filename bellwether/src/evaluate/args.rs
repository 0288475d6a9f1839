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
    /// Azure predictive-maintenance sample: simulated machines with failures of components.
    Azure,
    /// What forecasts are worth: policies of replacement on C-MAPSS.
    Decision,
    /// A simulated year of a plant, from readings to work orders and back.
    Year,
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
            Self::Azure => "azure",
            Self::Decision => "decision",
            Self::Year => "year",
        }
    }

    /// The usual name of its folder.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Ims => "ims-bearing",
            Self::Azure => "azure-pdm",
            Self::Decision => "cmapss",
            other => other.name(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Suite: skab, nab, femto, ims, cmapss, azure, decision or year
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) suite: Suite,
    /// Folder of the suite's recordings, or the folder that holds it; year needs none
    #[arg(long, value_name = "DIR", required_if_eq_any = [
        ("suite", "skab"), ("suite", "nab"), ("suite", "femto"), ("suite", "ims"),
        ("suite", "cmapss"), ("suite", "azure"), ("suite", "decision")])]
    pub(crate) data: Option<PathBuf>,
    /// Folder that predictions are written to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// azure: machines to learn from, such as 1-8,21-48
    #[arg(long, value_name = "MACHINES", default_value = "1-8,21-48")]
    pub(crate) train: Machines,
    /// azure: machines to forecast for
    #[arg(long, value_name = "MACHINES", default_value = "9-12,49-60")]
    pub(crate) test: Machines,
    /// year: how many machines
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    pub(crate) assets: u32,
    /// year: how many days
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(28..=3_650))]
    pub(crate) days: u32,
    /// year: seed of everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object with the figures on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Ranges of machine numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machines(Vec<(u32, u32)>);

impl Machines {
    /// Whether a machine is among them.
    pub(crate) fn contains(&self, machine: u32) -> bool {
        let ranges = &self.0;
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&machine))
    }
}

impl std::str::FromStr for Machines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.trim().parse::<u32>();
            number.map_err(|_| format!("{text:?} is no machine number"))
        };
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("{part:?} ends before it begins"));
            }
            Ok((first, last))
        };
        text.split(',')
            .map(range)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_named_by_ranges() {
        let machines: Machines = "1-3, 7".parse().unwrap();
        let named: Vec<u32> = (0..10).filter(|m| machines.contains(*m)).collect();
        assert_eq!(named, [1, 2, 3, 7]);
        for wrong in ["", "a", "3-1", "1-", "1,,2"] {
            assert!(wrong.parse::<Machines>().is_err(), "{wrong}");
        }
    }
}
