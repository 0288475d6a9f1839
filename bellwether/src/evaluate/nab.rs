//! Single signals with labelled windows: 58 recordings of servers, traffic and machines.
//!
//! Rules: one configuration for all recordings, no labels, causal. The probationary rows are
//! what the detector learns from. An alarm that follows another within a hundred rows is the
//! same event and not told again; without that any score is worthless here, because every row
//! of one event counts as an alarm of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use analytics::detection::any::Kind;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    detect::scores,
    nab_rules::{Costs, Judged, probation, score, windows},
    table::{Table, write},
};

/// Rows after an alarm in which nothing is told again (60 to 140 hardly differ).
const HOLD_OFF: usize = 100;
/// Thresholds tried for "the best threshold on these files": the fixed one times these.
const TRIED: std::ops::RangeInclusive<i32> = -12..=12;

/// A score by each profile of costs.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct Profiles(pub(crate) BTreeMap<String, f64>);

/// What was reached.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) files: usize,
    pub(crate) windows: usize,
    /// With the threshold of the product.
    pub(crate) fixed: Profiles,
    /// With the threshold that is best on these recordings, as scoreboards are made.
    pub(crate) best_threshold: Profiles,
    /// Trivial: alarm at each new highest or lowest value, with the same hold-off.
    pub(crate) new_extreme: Profiles,
    /// Alarms outside of windows per 10,000 rows.
    pub(crate) false_alarms_per_10000: f64,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "CostMatrix")]
    costs: Costs,
}

struct Recording {
    name: String,
    values: Vec<f64>,
    windows: Vec<(usize, usize)>,
    scores: Vec<f64>,
}

/// Evaluates every recording named by the labels and writes its scores under `out`.
pub(crate) fn evaluate(data: &Path, out: &Path) -> Result<Figures> {
    let labels: BTreeMap<String, Vec<[String; 2]>> =
        read_json(&data.join("labels/combined_windows.json"))?;
    let profiles: BTreeMap<String, Profile> = read_json(&data.join("config/profiles.json"))?;
    let mut recordings = Vec::new();
    for (name, labels) in &labels {
        let recording = Recording::read(&data.join("data"), name, labels)?;
        recording.write(out)?;
        recordings.push(recording);
    }
    if recordings.is_empty() {
        bail!("no recordings are labelled under {}", data.display());
    }
    let by_profile = |alarms: &dyn Fn(&Recording) -> Vec<usize>| {
        let alarms: Vec<Vec<usize>> = recordings.iter().map(alarms).collect();
        let judge = |profile: &Profile| {
            let judged: Vec<Judged<'_>> = recordings
                .iter()
                .zip(&alarms)
                .map(|(recording, alarms)| Judged {
                    rows: recording.scores.len(),
                    windows: &recording.windows,
                    alarms,
                })
                .collect();
            score(&judged, profile.costs)
        };
        Profiles(
            profiles
                .iter()
                .map(|(name, p)| (name.clone(), judge(p)))
                .collect(),
        )
    };
    let fixed = by_profile(&|r| r.alarms(1.0));
    let mut best_threshold = fixed.clone();
    for power in TRIED {
        let tried = by_profile(&|r| r.alarms(1.03_f64.powi(power)));
        for (name, best) in &mut best_threshold.0 {
            *best = best.max(tried.0[name]);
        }
    }
    Ok(Figures {
        files: recordings.len(),
        windows: recordings.iter().map(|r| r.windows.len()).sum(),
        new_extreme: by_profile(&Recording::extremes),
        false_alarms_per_10000: false_alarms(&recordings),
        fixed,
        best_threshold,
    })
}

fn false_alarms(recordings: &[Recording]) -> f64 {
    let rows: usize = recordings.iter().map(|r| r.scores.len()).sum();
    let outside = |r: &Recording| {
        let is_inside = |row: &usize| r.windows.iter().any(|&(b, e)| (b..=e).contains(row));
        r.alarms(1.0).iter().filter(|row| !is_inside(row)).count()
    };
    let count: usize = recordings.iter().map(outside).sum();
    10_000.0 * count as f64 / rows.max(1) as f64
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &PathBuf) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

impl Recording {
    fn read(folder: &Path, name: &str, labels: &[[String; 2]]) -> Result<Self> {
        let path = folder.join(name);
        let table = Table::read(&path, b',', "timestamp")?;
        let Some(values) = table.column("value") else {
            bail!("{}: no column named value", path.display());
        };
        let Some(windows) = windows(&table.times, labels) else {
            bail!("{}: a labelled time is not in it", path.display());
        };
        let learning_rows = probation(table.rows());
        let times = table.micros()?;
        // A recording too short or too still to learn from never alarms.
        let found = scores(Kind::default_for(1), learning_rows, &times, &[values]);
        Ok(Self {
            name: name.to_owned(),
            windows,
            scores: found.unwrap_or_else(|| vec![0.0; values.len()]),
            values: values.to_vec(),
        })
    }

    /// The rows that alarm at a threshold.
    fn alarms(&self, threshold: f64) -> Vec<usize> {
        let rows = self.scores.iter().enumerate();
        held_off(
            rows.filter(|(_, score)| **score >= threshold)
                .map(|(row, _)| row),
        )
    }

    /// The rows that hold a new highest or lowest value after probation.
    fn extremes(&self) -> Vec<usize> {
        let first = probation(self.values.len());
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut found = Vec::new();
        for (row, &x) in self.values.iter().enumerate() {
            if row >= first && (x > high || x < low) {
                found.push(row);
            }
            (low, high) = (low.min(x), high.max(x));
        }
        held_off(found.into_iter())
    }

    /// Writes scores in 0 to 1, the limit of the product at 0.5. A row beyond the limit that
    /// is not told lies just below.
    fn write(&self, out: &Path) -> Result<()> {
        let alarms = self.alarms(1.0);
        let row = |(row, score): (usize, &f64)| {
            let told = score / (1.0 + score);
            let is_alarm = alarms.binary_search(&row).is_ok();
            format!(
                "{row},{:.6}",
                if is_alarm { told } else { told.min(0.499_999) }
            )
        };
        let rows = self.scores.iter().enumerate().map(row);
        write(&out.join(&self.name), "row,score", rows)
    }
}

/// Leaves out what follows another alarm too soon.
fn held_off(rows: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut told: Vec<usize> = Vec::new();
    for row in rows {
        if told.last().is_none_or(|last| row - last >= HOLD_OFF) {
            told.push(row);
        }
    }
    told
}
