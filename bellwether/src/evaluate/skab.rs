//! The pump rig: 34 recordings of about 1,150 rows with one labelled fault each, and one
//! long recording without.
//!
//! Rules: fitted on rows 0 to 399 of the recording itself, then causal; flags of the rows from
//! 400 on are counted over all recordings together. The recording without a fault begins with
//! a long warm-up, so it is commissioned on 2,000 rows, the default of the program.

use std::path::Path;

use analytics::detection::{any::Kind, calibration::Calibration};
use anyhow::{Result, bail};
use serde::Serialize;

use super::{
    detect::scores,
    table::{Table, csv_files, name_of, write},
};

/// Rows that the rules give for learning.
const LEARNING_ROWS: usize = 400;
/// Rows that the recording without a fault is commissioned on.
const COMMISSIONING_ROWS: usize = 2_000;
/// Alarm episodes a month that an engineer would accept of one asset: one.
const BUDGET: f64 = 1.0;
/// Hours of a month of 30.44 days.
const MONTH_HOURS: f64 = 30.44 * 24.0;
/// Folders of recordings with faults.
const FOLDERS: [&str; 3] = ["valve1", "valve2", "other"];
const FREE: &str = "anomaly-free/anomaly-free.csv";
const HEADER: &str = "row,score,alarm";

/// Flags against labels, counted by row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Flags {
    pub(crate) f1: f64,
    /// False alarm rate, per cent of the rows without a fault.
    pub(crate) far: f64,
    /// Missed alarm rate, per cent of the rows with a fault.
    pub(crate) mar: f64,
    /// False alarm rate before the labelled fault.
    pub(crate) far_before: f64,
    /// False alarm rate after the labelled end.
    pub(crate) far_after: f64,
}

/// What was reached.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) files: usize,
    pub(crate) detector: Flags,
    /// T² and Q, the best published causal method, as this program has it.
    pub(crate) pca: Flags,
    pub(crate) always_alarm: Flags,
    /// Recordings in which some row of the fault is flagged.
    pub(crate) detected: usize,
    pub(crate) median_delay_rows: Option<usize>,
    /// The recording without a fault.
    pub(crate) free: Option<Free>,
}

/// Later healthy running, measured as the program does it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Free {
    /// Rows beyond the limit, per cent of the rows after commissioning.
    pub(crate) far: f64,
    /// Alarm episodes, and the hours in which they happened.
    pub(crate) episodes: u32,
    pub(crate) hours: f64,
    /// The limit that keeps [`BUDGET`], as a factor of the usual one.
    pub(crate) limit_for_budget: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    hit: usize,
    missed: usize,
    before: [usize; 2],
    after: [usize; 2],
}

impl Counts {
    fn add(&mut self, labels: &[bool], flags: impl Iterator<Item = bool>) {
        let begin = labels.iter().position(|label| *label);
        for (row, (&label, flag)) in labels.iter().zip(flags).enumerate() {
            let count = match (label, flag) {
                (true, true) => &mut self.hit,
                (true, false) => &mut self.missed,
                (false, flag) if begin.is_none_or(|begin| row < begin) => {
                    &mut self.before[usize::from(flag)]
                }
                (false, flag) => &mut self.after[usize::from(flag)],
            };
            *count += 1;
        }
    }

    fn flags(&self) -> Flags {
        let false_alarms = self.before[1] + self.after[1];
        let healthy = false_alarms + self.before[0] + self.after[0];
        let rate = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
        let wrong = (false_alarms + self.missed) as f64 / 2.0;
        Flags {
            f1: self.hit as f64 / (self.hit as f64 + wrong).max(1.0),
            far: rate(false_alarms, healthy),
            mar: rate(self.missed, self.missed + self.hit),
            far_before: rate(self.before[1], self.before[0] + self.before[1]),
            far_after: rate(self.after[1], self.after[0] + self.after[1]),
        }
    }
}

/// Evaluates every recording under `data` and writes its flags under `out`.
pub(crate) fn evaluate(data: &Path, out: &Path) -> Result<Figures> {
    let mut figures = Figures::default();
    let [mut ours, mut pca, mut always] = [Counts::default(); 3];
    let mut delays = Vec::new();
    for folder in FOLDERS {
        for path in csv_files(&data.join(folder))? {
            let recording = Recording::read(&path)?;
            let Some(scores) = recording.scores(Kind::default_for(2), LEARNING_ROWS) else {
                bail!("{}: nothing to learn from", path.display());
            };
            write_flags(&out.join(name_of(&path, data)), &scores, LEARNING_ROWS)?;
            let labels = &recording.labels[LEARNING_ROWS..];
            let flags = |scores: &[f64]| {
                let flags: Vec<bool> = scores[LEARNING_ROWS..].iter().map(|s| *s >= 1.0).collect();
                flags
            };
            let found = flags(&scores);
            ours.add(labels, found.iter().copied());
            always.add(labels, labels.iter().map(|_| true));
            if let Some(scores) = recording.scores(Kind::Pca, LEARNING_ROWS) {
                pca.add(labels, flags(&scores).into_iter());
            }
            let begin = labels.iter().position(|label| *label);
            let first = (0..labels.len()).find(|&row| labels[row] && found[row]);
            delays.extend(begin.zip(first).map(|(begin, first)| first - begin));
            figures.files += 1;
        }
    }
    if figures.files == 0 {
        bail!(
            "no recordings under {} ({})",
            data.display(),
            FOLDERS.join(", ")
        );
    }
    delays.sort_unstable();
    figures.detected = delays.len();
    figures.median_delay_rows = delays.get(delays.len() / 2).copied();
    (figures.detector, figures.pca) = (ours.flags(), pca.flags());
    figures.always_alarm = always.flags();
    figures.free = free(data, out)?;
    Ok(figures)
}

/// The recording without a fault.
fn free(data: &Path, out: &Path) -> Result<Option<Free>> {
    let path = data.join(FREE);
    if !path.is_file() {
        return Ok(None);
    }
    let recording = Recording::read(&path)?;
    let Some(scores) = recording.scores(Kind::default_for(2), COMMISSIONING_ROWS) else {
        bail!("{}: nothing to learn from", path.display());
    };
    write_flags(&out.join(FREE), &scores, LEARNING_ROWS)?;
    let later = COMMISSIONING_ROWS.min(scores.len());
    let mut calibration = Calibration::default();
    for (&at, &score) in recording.times.iter().zip(&scores).skip(later) {
        calibration.observe(at, score);
    }
    calibration.settle();
    let alarms = scores[later..].iter().filter(|s| **s >= 1.0).count();
    Ok(calibration.rate().map(|rate| Free {
        far: 100.0 * alarms as f64 / (scores.len() - later).max(1) as f64,
        episodes: rate.episodes,
        hours: rate.months * MONTH_HOURS,
        limit_for_budget: calibration.limit(BUDGET),
    }))
}

fn write_flags(path: &Path, scores: &[f64], from: usize) -> Result<()> {
    let row = |(row, score): (usize, &f64)| format!("{row},{score:.6},{}", u8::from(*score >= 1.0));
    write(path, HEADER, scores.iter().enumerate().skip(from).map(row))
}

struct Recording {
    times: Vec<i64>,
    columns: Vec<Vec<f64>>,
    labels: Vec<bool>,
}

impl Recording {
    fn read(path: &Path) -> Result<Self> {
        let table = Table::read(path, b';', "datetime")?;
        let rows = table.rows();
        if rows <= LEARNING_ROWS {
            bail!(
                "{}: {rows} rows, {LEARNING_ROWS} are for learning",
                path.display()
            );
        }
        let labels = table.column("anomaly").map_or_else(
            || vec![false; rows],
            |labels| labels.iter().map(|label| *label > 0.5).collect(),
        );
        let is_signal = |name: &str| !matches!(name, "datetime" | "anomaly" | "changepoint");
        let signals = table.names.iter().zip(&table.columns);
        Ok(Self {
            times: table.micros()?,
            labels,
            columns: signals
                .filter(|(name, _)| is_signal(name))
                .map(|(_, column)| column.clone())
                .collect(),
        })
    }

    fn scores(&self, kind: Kind, learning_rows: usize) -> Option<Vec<f64>> {
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        scores(kind, learning_rows, &self.times, &columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_counted_by_row_and_split_at_the_fault() {
        let labels = [false, false, true, true, true, false, false, false];
        let flags = [true, false, false, true, true, true, false, false];
        let mut counts = Counts::default();
        counts.add(&labels, flags.into_iter());
        // By hand: 2 hits, 1 missed, 2 false of 5 healthy rows: F1 = 2/(2 + 3/2).
        let got = counts.flags();
        for (got, expected) in [
            (got.f1, 2.0 / 3.5),
            (got.far, 40.0),
            (got.mar, 100.0 / 3.0),
            (got.far_before, 50.0),
            (got.far_after, 100.0 / 3.0),
        ] {
            assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        }
    }
}
