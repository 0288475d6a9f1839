//! Remaining life of bearings: what can be said before they fail, and how little it is.
//!
//! Rules: the life data of the learning bearings is the prior; the trend of a bearing's own
//! vibration, carried forward to the level at which the learning bearings ended, updates it
//! where it is significant. The quantile that is told as one number is the one that scores best
//! on learning bearings, each forecast by the others. No test bearing is looked at before.

use std::{fmt::Write as _, path::Path};

use analytics::prognosis::{
    combine::{Combined, combine},
    family::RemainingLife,
    life::{LifeConfig, LifeModel, LifeRecord},
    passage::{Passage, Path as Form, TrendModel},
};
use anyhow::{Context, Result};
use serde::Serialize;
use telemetry::PrognosisFamily;

use super::table::write;

/// Snapshots of the running median that keeps single shocks out of the index.
const MEDIAN: usize = 15;
/// Snapshots that say what a bearing was like when new.
const NEW: usize = 60;
/// The trend is that of the last quarter of life, at least so many snapshots: what was before
/// the damage began says nothing about how it grows.
const RECENT: usize = 40;
/// Parts of a learning bearing's life at which it is forecast.
const MOMENTS: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];
/// Levels of the quantile that may be told as one number.
const LEVELS: [f64; 8] = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5];
/// What is told without any model: so much of the age.
const TRIVIAL: f64 = 0.25;

/// A bearing's vibration as it ran: time in seconds and amplitude, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ran {
    pub(super) name: String,
    pub(super) rows: Vec<(f64, f64)>,
}

/// A forecast with its truth.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Forecast {
    pub(crate) name: String,
    pub(crate) family: PrognosisFamily,
    pub(crate) p10_s: f64,
    pub(crate) p50_s: f64,
    pub(crate) p90_s: f64,
    /// The number that was told.
    pub(crate) told_s: f64,
    pub(crate) truth_s: f64,
    /// The challenge's score of that number, 0 to 1.
    pub(crate) score: f64,
}

/// What was reached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Remaining {
    /// Level of the quantile that is told, and its mean score on learning bearings.
    pub(crate) level: f64,
    pub(crate) score_learning: f64,
    /// Mean score on test bearings; that of telling a quarter of the age beside it.
    pub(crate) score: f64,
    pub(crate) score_trivial: f64,
    /// Truths inside the 80 % interval.
    pub(crate) covered: usize,
    pub(crate) forecasts: Vec<Forecast>,
}

/// Forecasts the test bearings, each cut where its truth begins; writes `file`.
pub(super) fn forecast(learning: &[Ran], test: &[(Ran, f64)], file: &Path) -> Result<Remaining> {
    let (level, score_learning) = best_level(learning)?;
    let fleet = Learned::of(learning)?;
    let mut forecasts = Vec::new();
    for (ran, truth) in test {
        let said = fleet.say(&ran.rows);
        let quantile = |level: f64| said.distribution.quantile(level);
        forecasts.push(Forecast {
            name: ran.name.clone(),
            family: said.family,
            p10_s: quantile(0.1),
            p50_s: quantile(0.5),
            p90_s: quantile(0.9),
            told_s: quantile(level),
            truth_s: *truth,
            score: score(*truth, quantile(level)),
        });
    }
    let lines = forecasts
        .iter()
        .map(|f| format!("{},{:.1}", f.name, f.told_s));
    write(file, "bearing,rul_s", lines)?;
    let n = forecasts.len().max(1) as f64;
    let age = |ran: &Ran| ran.rows.last().map_or(0.0, |row| row.0);
    let trivial = test
        .iter()
        .map(|(ran, truth)| score(*truth, TRIVIAL * age(ran)));
    Ok(Remaining {
        level,
        score_learning,
        score: forecasts.iter().map(|f| f.score).sum::<f64>() / n,
        score_trivial: trivial.sum::<f64>() / n,
        covered: forecasts
            .iter()
            .filter(|f| f.p10_s <= f.truth_s && f.truth_s <= f.p90_s)
            .count(),
        forecasts,
    })
}

/// What the learning bearings say of others: how long they lasted, and where they ended.
struct Learned {
    life: LifeModel,
    end_level: f64,
}

impl Learned {
    fn of(learning: &[Ran]) -> Result<Self> {
        let record = |ran: &Ran| LifeRecord {
            entered: 0.0,
            duration: ran.rows.last().map_or(0.0, |row| row.0),
            failed: true,
            covariates: Vec::new(),
        };
        let records: Vec<LifeRecord> = learning.iter().map(record).collect();
        let mut ends: Vec<f64> = learning
            .iter()
            .filter_map(|ran| Some(index(&ran.rows).last()?.1))
            .collect();
        ends.sort_by(f64::total_cmp);
        Ok(Self {
            life: LifeModel::fit(&[], &records, &LifeConfig::default())
                .context("cannot learn from the learning bearings")?,
            end_level: ends[ends.len() / 2],
        })
    }

    /// The remaining life at the end of what ran.
    fn say(&self, rows: &[(f64, f64)]) -> Combined {
        let age = rows.last().map_or(0.0, |row| row.0);
        let prior = self.life.remaining(age, &[]);
        let all = index(rows);
        let recent = RECENT.max(all.len() / 4).min(all.len());
        let trend = TrendModel {
            path: Form::Linear,
            passage: Passage::Diffusion,
            limit: self.end_level,
        };
        let seen = trend.remaining(&all[all.len() - recent..]).ok();
        let seen = seen.as_ref().map(|seen| (seen, trend.family()));
        combine(Some(&prior), seen).unwrap_or(Combined {
            distribution: prior.clone(),
            family: PrognosisFamily::LifeData,
        })
    }
}

/// The level that scores best on learning bearings, each forecast by the others.
fn best_level(learning: &[Ran]) -> Result<(f64, f64)> {
    let mut scores = [0.0; LEVELS.len()];
    let mut n = 0.0;
    for (at, ran) in learning.iter().enumerate() {
        let mut others = learning.to_vec();
        others.remove(at);
        let others = Learned::of(&others)?;
        let end = ran.rows.last().map_or(0.0, |row| row.0);
        for part in MOMENTS {
            let known = (part * ran.rows.len() as f64) as usize;
            let rows = &ran.rows[..known];
            let said = others.say(rows).distribution;
            let truth = end - rows.last().map_or(0.0, |row| row.0);
            for (sum, level) in scores.iter_mut().zip(LEVELS) {
                *sum += score(truth, said.quantile(level));
            }
            n += 1.0;
        }
    }
    let best = scores.iter().zip(LEVELS).max_by(|a, b| a.0.total_cmp(b.0));
    best.map(|(sum, level)| (level, sum / n))
        .context("no learning bearings")
}

/// The logarithm of the running median of the amplitude over that of the new bearing.
fn index(rows: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let median = |values: &[(f64, f64)]| {
        let mut values: Vec<f64> = values.iter().map(|row| row.1).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let new = median(&rows[..NEW.min(rows.len())]);
    let ends = MEDIAN.min(rows.len())..=rows.len();
    ends.filter(|end| *end > 0)
        .map(|end| {
            (
                rows[end - 1].0,
                (median(&rows[end.saturating_sub(MEDIAN)..end]) / new).ln(),
            )
        })
        .collect()
}

/// Records between two forecasts by the trend alone: four hours of IMS.
const EVERY: usize = 24;
/// Without bearings to learn from, the end is where zone D of ISO 20816-3 begins for a machine
/// that was at the upper end of zone A when new: 7.1 over 2.3.
const ZONE_D: f64 = 7.1 / 2.3;

/// What the trend alone said of a channel.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct TrendFigures {
    pub(crate) name: String,
    pub(crate) failed: bool,
    /// Moments at which it was asked, and those at which there was a significant trend.
    pub(crate) asked: usize,
    pub(crate) said: usize,
    /// Of these with the end inside the 80 % interval; of failed channels only.
    pub(crate) covered: usize,
    /// Median forecast over what remained, of failed channels only.
    pub(crate) median_ratio: Option<f64>,
}

/// Asks the trend alone, without anything learned, as each channel runs; writes `file`.
pub(super) fn trends(channels: &[(Ran, bool)], file: &Path) -> Result<Vec<TrendFigures>> {
    let trend = TrendModel {
        path: Form::Linear,
        passage: Passage::Diffusion,
        limit: ZONE_D.ln(),
    };
    let (mut lines, mut figures) = (Vec::new(), Vec::new());
    for (ran, failed) in channels {
        let all = index(&ran.rows);
        let end = ran.rows.last().map_or(0.0, |row| row.0);
        let (mut asked, mut covered, mut ratios) = (0, 0, Vec::new());
        for known in (NEW..=all.len()).step_by(EVERY) {
            asked += 1;
            let recent = RECENT.max(known / 4).min(known);
            let Ok(left) = trend.remaining(&all[known - recent..known]) else {
                continue;
            };
            let truth = end - all[known - 1].0;
            let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|level| left.quantile(level));
            covered += usize::from(p10 <= truth && truth <= p90);
            ratios.push(p50 / truth.max(1.0));
            let record = known + MEDIAN - 2;
            lines.push(format!("{},{record},{p10:.0},{p50:.0},{p90:.0}", ran.name));
        }
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).copied();
        figures.push(TrendFigures {
            name: ran.name.clone(),
            failed: *failed,
            asked,
            said: ratios.len(),
            covered: if *failed { covered } else { 0 },
            median_ratio: median.filter(|_| *failed),
        });
    }
    write(
        file,
        "channel,record,rul_p10_s,rul_p50_s,rul_p90_s",
        lines.into_iter(),
    )?;
    Ok(figures)
}

/// What the trend alone said, for a reader.
pub(crate) fn trends_text(figures: &[TrendFigures]) -> String {
    let mut text = String::new();
    for f in figures {
        let of_failed = f.median_ratio.map_or_else(String::new, |ratio| {
            format!(
                ", the end inside the 80 % interval {} times, median {ratio:.2} of what remained",
                f.covered
            )
        });
        let _ = writeln!(
            text,
            "  trend alone, {:22} asked {} times, {} forecasts{of_failed}",
            f.name, f.asked, f.said
        );
    }
    text
}

/// The score of the challenge: early is forgiven four times as much as late.
fn score(truth: f64, told: f64) -> f64 {
    let error = 100.0 * (truth - told) / truth;
    let scale = if error <= 0.0 { -5.0 } else { 20.0 };
    0.5_f64.powf(error / scale)
}

/// The figures for a reader.
pub(crate) fn text(figures: &Remaining) -> String {
    let mut text = format!(
        "remaining life: mean score {:.3} over {} bearings (a quarter of the age: {:.3}; on learning \
         bearings {:.3}), {} truths inside the 80 % interval; the {:.0} % quantile is told\n",
        figures.score,
        figures.forecasts.len(),
        figures.score_trivial,
        figures.score_learning,
        figures.covered,
        100.0 * figures.level
    );
    for f in &figures.forecasts {
        let _ = writeln!(
            text,
            "  {:12} {:?}: {:.0} s ({:.0} to {:.0}), told {:.0}, was {:.0}, score {:.3}",
            f.name, f.family, f.p50_s, f.p10_s, f.p90_s, f.told_s, f.truth_s, f.score
        );
    }
    text
}
