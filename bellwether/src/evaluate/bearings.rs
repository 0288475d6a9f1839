//! Bearings run to failure: is each failure announced, how early, and how often for nothing?
//!
//! Rules: each bearing (each channel of the IMS rig) is a machine of its own. The CUSUM view
//! learns its first hundred records and is causal from there; an alarm is acknowledged at once
//! and the detector learns the next hundred anew, as it would after an inspection that found
//! the bearing fit to go on. Records of a standing machine are left out. An alarm in the first
//! third of life counts as false; the lead is the time from the first later alarm to the end.

use std::path::Path;

use analytics::detection::{any::Kind, learned::Learned};
use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{
    remaining::{self, Ran, Remaining, TrendFigures},
    table::{Table, csv_files, write},
};

/// Records that are learned from, at the start and after each alarm.
const LEARNING_RECORDS: u32 = 100;
/// Features of the FEMTO recordings: RMS and four bands, both directions.
const FEATURES: [&str; 10] = [
    "h_rms",
    "h_b0_1k",
    "h_b1_3k",
    "h_b3_6k",
    "h_b6_12k8",
    "v_rms",
    "v_b0_1k",
    "v_b1_3k",
    "v_b3_6k",
    "v_b6_12k8",
];
/// Below this part of the usual a machine stands still.
const STANDING: f64 = 0.1;
/// The trivial alarm: the mean of ten records is half above that of the first hundred.
const TRIVIAL_RISE: f64 = 1.5;
/// The channels of the IMS tests whose bearing failed, by the start of the file's name.
const IMS_FAILURES: [(&str, &[&str]); 3] = [
    ("test1", &["Bearing 3", "Bearing 4"]),
    ("test2", &["Bearing 1"]),
    ("test3", &["Bearing 3"]),
];

/// One run to failure.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// Whether this bearing is the one that failed.
    pub(crate) failed: bool,
    pub(crate) records: usize,
    /// Alarms in the first third of life.
    pub(crate) false_alarms: usize,
    pub(crate) alarms: usize,
    /// From the first alarm after a third of life to the end; none when there was none.
    pub(crate) lead_minutes: Option<f64>,
    /// The same of the trivial alarm, which does not learn anew.
    pub(crate) trivial_lead_minutes: Option<f64>,
    pub(crate) trivial_false_alarms: usize,
}

/// What was reached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Bearings that failed, of these announced, and announced with at most one false alarm.
    pub(crate) failed: usize,
    pub(crate) detected: usize,
    pub(crate) within_budget: usize,
    pub(crate) median_lead_minutes: Option<f64>,
    pub(crate) trivial_detected: usize,
    pub(crate) trivial_early: usize,
    pub(crate) runs: Vec<Run>,
    /// Remaining life: FEMTO only, and none without the list of truths.
    pub(crate) remaining: Option<Remaining>,
    /// Remaining life by the trend alone: IMS only.
    pub(crate) trends: Vec<TrendFigures>,
}

/// A machine's features over its life.
struct Life {
    name: String,
    failed: bool,
    /// Times of the records in microseconds.
    times: Vec<i64>,
    columns: Vec<Vec<f64>>,
}

/// The FEMTO bearings under `data`; flags go to `femto-alarms.csv`, forecasts to `femto.csv`.
pub(crate) fn femto(data: &Path, out: &Path) -> Result<Figures> {
    let mut lives = Vec::new();
    let (mut learning, mut test) = (Vec::new(), Vec::new());
    for folder in ["learning_set", "full_test_set"] {
        for path in csv_files(&data.join(folder))? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let Some(name) = name.strip_suffix("_acc_features") else {
                continue;
            };
            let table = Table::read(&path, b',', "")?;
            let column = |column: &str| table.column(column).map(<[f64]>::to_vec);
            let missing = || format!("{}: not a file of features", path.display());
            let columns: Option<Vec<Vec<f64>>> = FEATURES.iter().map(|f| column(f)).collect();
            let seconds = column("t_s").with_context(missing)?;
            let ran = ran(name, &table).with_context(missing)?;
            if folder == "learning_set" {
                learning.push(ran);
            } else {
                test.push(ran);
            }
            lives.push(Life {
                name: name.to_owned(),
                failed: true,
                times: seconds.iter().map(|s| (s * 1e6) as i64).collect(),
                columns: columns.with_context(missing)?,
            });
        }
    }
    let mut figures = judge(&lives, data, &out.join("femto-alarms.csv"), "bearing")?;
    let test = cut(test, &data.join("summary.csv"))?;
    if !test.is_empty() {
        figures.remaining = Some(remaining::forecast(
            &learning,
            &test,
            &out.join("femto.csv"),
        )?);
    }
    Ok(figures)
}

/// The amplitude of a bearing in both directions.
fn ran(name: &str, table: &Table) -> Option<Ran> {
    let (h, v) = (table.column("h_rms")?, table.column("v_rms")?);
    let amplitude = h.iter().zip(v).map(|(h, v)| h.hypot(*v));
    let seconds = table.column("t_s")?.iter().copied();
    Some(Ran {
        name: name.to_owned(),
        rows: seconds.zip(amplitude).collect(),
    })
}

/// The test bearings as far as the challenge showed them, with their truths in seconds; none
/// without the list of both.
fn cut(test: Vec<Ran>, summary: &Path) -> Result<Vec<(Ran, f64)>> {
    if !summary.is_file() {
        return Ok(Vec::new());
    }
    let table = Table::read(summary, b',', "bearing")?;
    let column = |name: &str| {
        let missing = || format!("{}: no column {name}", summary.display());
        table.column(name).with_context(missing)
    };
    let shown = column("snapshots_in_challenge_test_set")?;
    let truth = column("true_rul_s_at_truncation")?;
    let mut cut = Vec::new();
    for mut ran in test {
        let Some(at) = table.times.iter().position(|name| *name == ran.name) else {
            continue;
        };
        if shown[at] >= 1.0 && truth[at].is_finite() {
            ran.rows.truncate(shown[at] as usize);
            cut.push((ran, truth[at]));
        }
    }
    Ok(cut)
}

/// The IMS channels under `data`; flags go to `ims.csv`, forecasts to `ims-rul.csv`.
pub(crate) fn ims(data: &Path, out: &Path) -> Result<Figures> {
    let mut lives = Vec::new();
    for path in csv_files(data)? {
        let table = Table::read(&path, b',', "")?;
        let test = path.file_stem().unwrap_or_default().to_string_lossy();
        let test = test.split('_').next().unwrap_or_default();
        let times = table.micros()?;
        let failures = IMS_FAILURES.iter().find(|(name, _)| *name == test);
        for (name, column) in table.names.iter().zip(&table.columns).skip(1) {
            let failed = failures.is_some_and(|(_, f)| f.iter().any(|b| name.starts_with(b)));
            lives.push(Life {
                name: format!("{test}/{name}"),
                failed,
                times: times.clone(),
                columns: vec![column.clone()],
            });
        }
    }
    let mut figures = judge(&lives, data, &out.join("ims.csv"), "channel")?;
    let ran = lives.iter().map(|life| {
        let begin = life.times.first().copied().unwrap_or_default();
        let seconds = life.times.iter().map(|at| (at - begin) as f64 / 1e6);
        let ran = Ran {
            name: life.name.clone(),
            rows: seconds.zip(life.columns[0].iter().copied()).collect(),
        };
        (ran, life.failed)
    });
    figures.trends = remaining::trends(&ran.collect::<Vec<_>>(), &out.join("ims-rul.csv"))?;
    Ok(figures)
}

fn judge(lives: &[Life], data: &Path, out: &Path, what: &str) -> Result<Figures> {
    if lives.is_empty() {
        bail!("no recordings under {}", data.display());
    }
    let mut rows = Vec::new();
    let mut runs = Vec::new();
    for life in lives {
        let watched = life.watch();
        let records = watched.iter().enumerate();
        rows.extend(records.map(|(record, (score, alarm))| {
            format!("{},{record},{score:.6},{}", life.name, u8::from(*alarm))
        }));
        runs.push(life.run(&watched));
    }
    write(out, &format!("{what},record,score,alarm"), rows.into_iter())?;
    let failed = || runs.iter().filter(|run| run.failed);
    let mut leads: Vec<f64> = failed().filter_map(|run| run.lead_minutes).collect();
    leads.sort_by(f64::total_cmp);
    Ok(Figures {
        failed: failed().count(),
        detected: leads.len(),
        within_budget: failed()
            .filter(|r| r.lead_minutes.is_some() && r.false_alarms <= 1)
            .count(),
        median_lead_minutes: median(&leads),
        trivial_detected: failed()
            .filter(|r| r.trivial_lead_minutes.is_some())
            .count(),
        trivial_early: failed().filter(|r| r.trivial_false_alarms > 0).count(),
        runs,
        remaining: None,
        trends: Vec::new(),
    })
}

fn median(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}

impl Life {
    /// Score and alarm by record.
    fn watch(&self) -> Vec<(f64, bool)> {
        let slots: Vec<usize> = (0..self.columns.len()).collect();
        let fresh = || Learned::new(LEARNING_RECORDS, slots.len());
        let (mut learned, mut detector) = (fresh(), None);
        let mut watched = Vec::with_capacity(self.times.len());
        let is_standing = self.standing();
        for (record, &at) in self.times.iter().enumerate() {
            if is_standing[record] {
                watched.push((0.0, false));
                continue;
            }
            let value = |slot: usize| self.columns[slot][record];
            let Some(fitted) = &mut detector else {
                if learned.push(at, value) {
                    detector = Kind::Cusum.fit(&learned, &slots);
                    learned = fresh();
                }
                watched.push((0.0, false));
                continue;
            };
            let score = fitted.score(at, value).unwrap_or(0.0);
            let alarm = score >= 1.0;
            if alarm {
                detector = None;
            }
            watched.push((score, alarm));
        }
        watched
    }

    /// Whether the machine stood still, by record: causal, against the usual so far.
    fn standing(&self) -> Vec<bool> {
        let (mut usual, mut count) = (0.0, 0.0);
        let mut stands = |x: f64| {
            let stands = !x.is_finite() || x < STANDING * usual;
            if !stands {
                count += 1.0;
                usual += (1.0 / f64::min(count, 100.0)) * (x - usual);
            }
            stands
        };
        self.columns[0].iter().map(|&x| stands(x)).collect()
    }

    fn run(&self, watched: &[(f64, bool)]) -> Run {
        let third = watched.len() / 3;
        let end = self.times.last().copied().unwrap_or_default();
        let lead = |record: usize| (end - self.times[record]) as f64 / 60e6;
        let alarms: Vec<usize> = (0..watched.len()).filter(|&r| watched[r].1).collect();
        let trivial = self.trivial();
        Run {
            name: self.name.clone(),
            failed: self.failed,
            records: watched.len(),
            false_alarms: alarms.iter().filter(|r| **r < third).count(),
            lead_minutes: alarms.iter().find(|r| **r >= third).map(|r| lead(*r)),
            alarms: alarms.len(),
            trivial_lead_minutes: trivial.filter(|r| *r >= third).map(lead),
            trivial_false_alarms: usize::from(trivial.is_some_and(|r| r < third)),
        }
    }

    /// The first record at which some feature has risen by half.
    fn trivial(&self) -> Option<usize> {
        let learned = LEARNING_RECORDS as usize;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let rise = |column: &Vec<f64>| {
            let usual = mean(column.get(..learned)?);
            let far = |end: &usize| mean(&column[end - 10..*end]) > TRIVIAL_RISE * usual;
            (learned + 10..=column.len()).find(far).map(|end| end - 1)
        };
        self.columns.iter().filter_map(rise).min()
    }
}
