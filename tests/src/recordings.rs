//! Recordings of real machines, which are not part of the repository (licences differ).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::NaiveDateTime;

use crate::tools;

/// The SKAB recordings of a pump test rig, when they lie beside the repository.
pub fn skab() -> Option<PathBuf> {
    let folder = tools::repository().join("../shared/data/skab");
    folder.is_dir().then_some(folder)
}

/// What a SKAB file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// When each row was measured, in milliseconds (the file has whole seconds, taken as UTC).
    pub times: Vec<i64>,
    /// Which rows are labelled as anomalous; all false without a label column.
    pub anomalous: Vec<bool>,
}

impl Recording {
    /// Reads the times and labels of a file.
    ///
    /// # Errors
    /// When it is no SKAB file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no SKAB file", path.display()))
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text);
        let label = reader.headers()?.iter().position(|name| name == "anomaly");
        let (mut times, mut anomalous) = (Vec::new(), Vec::new());
        for row in reader.records() {
            let row = row?;
            let at = row.get(0).context("an empty row")?;
            let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S")?;
            times.push(at.and_utc().timestamp_millis());
            let label = label.and_then(|column| row.get(column)).unwrap_or("0");
            anomalous.push(label.parse::<f64>()? > 0.5);
        }
        Ok(Self { times, anomalous })
    }

    /// The row measured last at or before a time.
    pub fn row_at(&self, millis: i64) -> Option<usize> {
        self.times
            .partition_point(|at| *at <= millis)
            .checked_sub(1)
    }

    /// Whether a first case at this row is right: inside the labelled anomaly, or at most
    /// `early` rows before its first row.
    pub fn is_hit(&self, row: usize, early: usize) -> bool {
        let first = self.anomalous.iter().position(|anomalous| *anomalous);
        self.anomalous.get(row).copied().unwrap_or(false)
            || first.is_some_and(|first| row < first && row + early >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"datetime;Current;anomaly;changepoint\n\
        2020-03-09 10:34:33;1.0;0.0;0.0\n2020-03-09 10:34:34;1.1;0.0;0.0\n\
        2020-03-09 10:34:36;1.2;1.0;1.0\n2020-03-09 10:34:37;1.3;0.0;0.0\n";

    #[test]
    fn a_case_counts_inside_the_label_or_shortly_before_it() {
        let recording = Recording::parse(FILE).unwrap();
        assert_eq!(recording.times[0], 1_583_750_073_000);
        assert_eq!(recording.row_at(1_583_750_075_000), Some(1));
        assert_eq!(recording.row_at(0), None);
        let hits: Vec<bool> = (0..4).map(|row| recording.is_hit(row, 1)).collect();
        assert_eq!(hits, [false, true, true, false]);
    }
}
