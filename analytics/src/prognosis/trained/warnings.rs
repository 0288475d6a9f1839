//! Failure within the horizons, learned from more than measurements, and whether that is better.
//!
//! Each horizon has a classifier of its own ([`FailureModel`]) over what was known at the end of
//! each cycle of past lives. It is learned only where there are records beside the measurements,
//! because the fleet model has seen those already. Then there are two ways to the probability
//! of failing within the horizon, the distribution of remaining life and the classifier; both
//! have spoken of the same cycles of machines they had not seen, and the one with the better
//! logarithmic score serves. A way whose probabilities may be shown goes before one whose
//! may not.
//!
//! What a life shows is known only as far as it was watched: a cycle from which the end of the
//! watch lies within the horizon without a failure teaches nothing. The instant of the failure
//! and what follows it belong to no row.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use telemetry::{Explanation, PrognosisFamily};

use super::{FLEET_PART, Material, thinned};
use crate::{
    AnalyticsError,
    prognosis::{
        calibration::{Reliability, words},
        classify::{BETTER, ClassifierConfig, Columns, Examples, FailureModel, log_score},
        diary::Diary,
        fleet::OutOfFold,
        moment::{Counters, Moment, Past, RECENT},
    },
};

/// Failures that were announced or missed, in lives, below which a table of reliability speaks of
/// these few and not of failures: as many as a calibration of remaining lives needs.
const MIN_FAILURES: usize = 10;

/// What is known of a watched life beside its rows. Times are microseconds.
#[derive(Debug, Clone)]
pub struct Watched {
    /// When it began; none when nobody knows.
    pub began: Option<i64>,
    /// The end of each cycle.
    pub ends: Vec<i64>,
    /// The starts in each.
    pub starts: Vec<u16>,
    /// When it failed; none when it did not.
    pub failed_at: Option<i64>,
    /// Until when it is known not to have failed, for one that did not.
    pub known_until: i64,
    /// What was written about the machine; lives of one machine share it.
    pub diary: Arc<Diary>,
}

/// Which way to the probability of a horizon serves, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contest {
    /// The horizon, in calendar seconds.
    pub horizon_s: f64,
    /// Who serves it.
    pub family: PrognosisFamily,
    /// Cycles of past lives that both spoke of.
    pub rows: usize,
    /// Lives among them that failed within the horizon of a row.
    pub failures: usize,
    /// Mean squared error of each on these, and of the base rate.
    pub brier_distribution: Option<f64>,
    /// See [`Self::brier_distribution`].
    pub brier_classifier: Option<f64>,
    /// See [`Self::brier_distribution`].
    pub brier_base_rate: Option<f64>,
    /// Form and calibration of the classifier.
    pub form: Option<String>,
    /// How the classifier's probabilities came true on all rows.
    pub reliability: Option<Reliability>,
    /// Why there is no classifier.
    pub problem: Option<String>,
}

/// The classifier of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Warner {
    model: FailureModel,
    /// What it said of past cycles, sorted.
    past: Vec<f32>,
    doubt: Option<Explanation>,
}

/// What a classifier says.
pub(super) struct Warned<'a> {
    pub(super) probability: f64,
    pub(super) past: &'a [f32],
    pub(super) doubt: Option<&'a Explanation>,
}

/// The classifiers that serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Warnings {
    columns: Columns,
    /// By horizon; none where the distribution serves.
    horizons: Vec<Option<Warner>>,
}

impl Warnings {
    /// What there is to say of each horizon at a moment.
    pub(super) fn say(&self, moment: &Moment<'_>) -> Vec<Option<Warned<'_>>> {
        let row = self.columns.fill(moment);
        let mut said = Vec::with_capacity(self.horizons.len());
        for warner in &self.horizons {
            said.push(warner.as_ref().map(|warner| Warned {
                probability: warner.model.probability(&row),
                past: &warner.past,
                doubt: warner.doubt.as_ref(),
            }));
        }
        said
    }

    /// Whether what came from outside can be worked with.
    pub(super) fn is_consistent(&self, horizons: usize) -> bool {
        let names = self.columns.names();
        let fits = |warner: &Warner| warner.model.features == names;
        self.columns.is_consistent()
            && self.horizons.len() == horizons
            && self.horizons.iter().flatten().all(fits)
    }
}

/// The rows of all lives, and where each is from.
struct Rows<'a> {
    material: &'a Material,
    /// Features one after the other.
    x: Vec<f32>,
    /// Life and index of the cycle.
    places: Vec<(usize, usize)>,
    machines: Vec<u32>,
}

/// Learns what can be learned; the distribution's side of the contest is `out_of_fold`, with the
/// horizons in cycles and whether its probabilities may be shown.
pub(super) fn learn(
    material: &Material,
    (out_of_fold, horizons, is_shown): (&[OutOfFold], &[f64], bool),
    progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<(Option<Warnings>, Vec<Contest>), AnalyticsError> {
    let diaries = material.watched.iter().map(|watched| &*watched.diary);
    let columns = Columns::of(&material.cycles, diaries);
    if material.watched.len() != material.lives.len() || !columns.has_records() {
        return Ok((None, Vec::new()));
    }
    let rows = Rows::of(material, &columns);
    let names = columns.names();
    let (mut warners, mut contests) = (Vec::new(), Vec::new());
    for (at, (&horizon_s, &cycles)) in material.horizons_s.iter().zip(horizons).enumerate() {
        let part = FLEET_PART + (1.0 - FLEET_PART) * at as f64 / horizons.len() as f64;
        if progress(part).is_break() {
            return Err(AnalyticsError::Stopped);
        }
        let distribution = Distribution {
            out_of_fold,
            cycles,
            is_shown,
        };
        let (warner, contest) = horizon(&rows, &names, horizon_s, &distribution);
        warners.push(warner);
        contests.push(contest);
    }
    let serves = warners.iter().any(Option::is_some);
    let warnings = serves.then_some(Warnings {
        columns,
        horizons: warners,
    });
    Ok((warnings, contests))
}

/// The other way to a probability.
struct Distribution<'a> {
    out_of_fold: &'a [OutOfFold],
    /// The horizon in cycles.
    cycles: f64,
    is_shown: bool,
}

/// Learns one horizon and lets the better way serve it.
fn horizon(
    rows: &Rows<'_>,
    names: &[String],
    horizon_s: f64,
    distribution: &Distribution<'_>,
) -> (Option<Warner>, Contest) {
    let mut contest = Contest::of(horizon_s);
    let (examples, places) = rows.examples(names.len(), horizon_s);
    let fitted = match FailureModel::fit(names, &examples, &ClassifierConfig::default()) {
        Ok(fitted) => fitted,
        Err(error) => {
            contest.problem = Some(error.to_string());
            return (None, contest);
        }
    };
    let said = distribution.said();
    let all = places.iter().zip(&fitted.out_of_fold).zip(&examples.failed);
    let failing: BTreeSet<usize> = all
        .clone()
        .filter(|(_, failed)| **failed)
        .map(|((place, _), _)| place.0)
        .collect();
    let both: Vec<(f64, f64, bool)> = all
        .filter_map(|((place, ours), failed)| Some((*ours, *said.get(place)?, *failed)))
        .collect();
    let doubt = few(failing.len()).or_else(|| fitted.model.doubt.clone());
    let serves = contest.hold(&both, (doubt.is_none(), distribution.is_shown));
    contest.failures = failing.len();
    let model = fitted.model;
    contest.form = Some(format!(
        "{}, {}",
        model.kind.name(),
        model.calibrator.name()
    ));
    contest.reliability = Some(model.reliability.clone());
    let past = fitted.out_of_fold.iter().map(|p| *p as f32).collect();
    let warner = serves.then(|| Warner {
        past: thinned(past),
        model,
        doubt,
    });
    (warner, contest)
}

/// What speaks against a table of reliability of so few failures.
fn few(lives: usize) -> Option<Explanation> {
    (lives < MIN_FAILURES).then(|| {
        words(
            format!("{lives} failures were checked, at least {MIN_FAILURES} are needed"),
            format!("只检验了 {lives} 次失效，至少需要 {MIN_FAILURES} 次"),
        )
    })
}

impl Distribution<'_> {
    /// The probability of the horizon, by life and index of the cycle.
    fn said(&self) -> BTreeMap<(usize, usize), f64> {
        let rows = self.out_of_fold.iter().map(|row| {
            let place = (row.life as usize, (row.cycle - 1.0).max(0.0) as usize);
            (place, row.distribution.probability_within(self.cycles))
        });
        rows.collect()
    }
}

impl Contest {
    fn of(horizon_s: f64) -> Self {
        Self {
            horizon_s,
            family: PrognosisFamily::Fleet,
            rows: 0,
            failures: 0,
            brier_distribution: None,
            brier_classifier: None,
            brier_base_rate: None,
            form: None,
            reliability: None,
            problem: None,
        }
    }

    /// Compares (classifier, distribution, what happened). True when the classifier serves.
    fn hold(&mut self, both: &[(f64, f64, bool)], may_be_shown: (bool, bool)) -> bool {
        let ours = || both.iter().map(|(ours, _, failed)| (*ours, *failed));
        let theirs = || both.iter().map(|(_, theirs, failed)| (*theirs, *failed));
        let table = Reliability::of(ours());
        self.rows = both.len();
        self.brier_classifier = table.as_ref().map(|table| table.brier);
        self.brier_base_rate = table.as_ref().map(|table| table.brier_of_base_rate);
        self.brier_distribution = Reliability::of(theirs()).map(|table| table.brier);
        let serves = match may_be_shown {
            _ if both.is_empty() => false,
            (true, false) => true,
            (false, true) => false,
            _ => log_score(ours()) < log_score(theirs()) * (1.0 - BETTER),
        };
        if serves {
            self.family = PrognosisFamily::Classifier;
        }
        serves
    }
}

impl<'a> Rows<'a> {
    fn of(material: &'a Material, columns: &Columns) -> Self {
        let total: usize = material.lives.iter().map(|life| life.rows.len()).sum();
        // As the fleet model thins: both speak of the same cycles.
        let stride = total.div_ceil(material.fleet.most_rows.max(1)).max(1);
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let mut rows = Self {
            material,
            x: Vec::new(),
            places: Vec::new(),
            machines: Vec::new(),
        };
        for (at, (life, watched)) in material.lives.iter().zip(&material.watched).enumerate() {
            let next = numbers.len() as u32;
            let machine = *numbers.entry(&life.asset).or_insert(next);
            let means: Vec<Vec<f32>> = life
                .rows
                .iter()
                .map(|row| {
                    row.settings
                        .iter()
                        .chain(&row.values)
                        .map(|v| *v as f32)
                        .collect()
                })
                .collect();
            let past: Vec<Past<'_>> = watched
                .ends
                .iter()
                .zip(&means)
                .map(|(end, values)| Past { at: *end, values })
                .collect();
            let mut counters = (life.age == Some(0.0)).then(Counters::default);
            for (index, now) in past.iter().enumerate() {
                if let Some(counters) = &mut counters {
                    counters.cycles += 1;
                    counters.starts += watched.starts.get(index).map_or(0, |n| u64::from(*n));
                }
                if (index + 1) % stride != 0 {
                    continue;
                }
                let row = columns.fill(&Moment {
                    at: now.at,
                    began: watched.began,
                    counters,
                    recent: &past[(index + 1).saturating_sub(RECENT)..=index],
                    diaries: &[&watched.diary],
                });
                rows.x.extend(row);
                rows.places.push((at, index));
                rows.machines.push(machine);
            }
        }
        rows
    }

    /// The rows of which it is known whether the horizon held a failure.
    fn examples(&self, columns: usize, horizon_s: f64) -> (Examples, Vec<(usize, usize)>) {
        let horizon = (horizon_s * 1e6) as i64;
        let (mut x, mut machine, mut failed, mut places) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, place) in self.places.iter().enumerate() {
            let watched = &self.material.watched[place.0];
            let at = watched.ends[place.1];
            let fails = match watched.failed_at {
                Some(end) if at >= end => continue,
                Some(end) => end - at <= horizon,
                None if watched.known_until.saturating_sub(at) < horizon => continue,
                None => false,
            };
            x.extend_from_slice(&self.x[row * columns..(row + 1) * columns]);
            machine.push(self.machines[row]);
            failed.push(fails);
            places.push(*place);
        }
        let x = Array2::from_shape_vec((machine.len(), columns), x).unwrap_or_default();
        (Examples { x, machine, failed }, places)
    }
}
