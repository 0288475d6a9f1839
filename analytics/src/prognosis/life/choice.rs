//! Life data with covariates where they help, and without them where they do not.
//!
//! Columns are decided by the lives ([`Covariates`]); of these the ones that tell most, each
//! alone, are taken, one for every [`FAILURES_A_COLUMN`] failures. Whether they serve at all is decided
//! on machines that neither model has seen: with and without covariates each fold of machines is
//! forecast by the others, the choice of columns included, and covariates serve only when the
//! held-out log-likelihood rises by more than its standard error over machines. So a column that
//! says nothing, or a chance pattern of few machines, leaves the forecast as it was.
//!
//! # Source
//! One column for ten failures: Peduzzi et al., "Importance of events per independent variable in
//! proportional hazards regression analysis", J. Clin. Epidemiol. 48 (1995). The rule of one
//! standard error: Breiman et al., "Classification and Regression Trees" (1984), section 3.4.3.

use serde::{Deserialize, Serialize};

use super::{Covariates, LeftOut, LifeConfig, LifeModel, LifeRecord, PastLife, WhyNot};
use crate::{
    AnalyticsError,
    prognosis::{chance::Chance, fleet::OutOfFold},
};

/// See the module documentation.
const FAILURES_A_COLUMN: usize = 10;
/// Groups of machines that are forecast by the others.
const FOLDS: usize = 5;
/// The stream of chance that deals machines into groups.
const STREAM: u64 = 0x11fe;
/// Ages at which a held-out life is forecast, as parts of the reach: from new to where half have
/// failed, and the new ones, of which there are most, more often.
const AGES: [f64; 6] = [0.0, 0.0, 0.25, 0.5, 0.75, 1.0];

/// A model of life data with the way to its covariates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeData {
    /// The model.
    pub model: LifeModel,
    /// What it looks at, in order.
    pub covariates: Covariates,
    /// Calendar seconds of a unit of its ages.
    pub unit_s: f64,
    /// How far ahead its forecasts were checked, in units.
    pub reach: f64,
}

/// What a covariate does, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// Its name.
    pub name: String,
    /// The unit that the ratios are of: one for a value that is or is not, else one standard
    /// deviation.
    pub per: f64,
    /// How many times the hazard that much more of it makes.
    pub hazard_ratio: f64,
    /// The 95 % interval of that.
    pub hazard_ratio_low: f64,
    /// See [`Self::hazard_ratio_low`].
    pub hazard_ratio_high: f64,
    /// How many times as long lives then last.
    pub time_ratio: f64,
}

/// What came of the choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LifeReport {
    /// Lives on record with a known beginning.
    pub lives: usize,
    /// Those of them that failed.
    pub failures: usize,
    /// Machines.
    pub assets: usize,
    /// Shape of the Weibull distribution.
    pub shape: f64,
    /// Characteristic life of an average machine, seconds.
    pub scale_s: f64,
    /// Whether covariates serve.
    pub with_covariates: bool,
    /// What the candidates do, whether they serve or not.
    pub effects: Vec<Effect>,
    /// What was not looked at, and why.
    pub left_out: Vec<LeftOut>,
    /// By how much the log-likelihood of held-out machines rose with covariates; none where there
    /// was nothing to choose.
    pub gain: Option<f64>,
    /// The standard error of that.
    pub gain_error: Option<f64>,
}

impl LifeData {
    /// Fits, and chooses. `unit_s` is the calendar seconds of a unit of the lives' ages.
    ///
    /// # Errors
    /// As [`LifeModel::fit`].
    pub fn fit(
        lives: &[PastLife],
        unit_s: f64,
        seed: u64,
    ) -> Result<(Self, LifeReport), AnalyticsError> {
        let plain = fit(&Covariates::default(), &without(lives))?;
        let (candidates, mut left_out) = Covariates::of(lives);
        let records = filled(&candidates, lives);
        let chosen = most_telling(&candidates, &records);
        for (at, name) in candidates.names().into_iter().enumerate() {
            if !chosen.contains(&at) {
                let why = WhyNot::TooFewFailures;
                left_out.push(LeftOut { name, why });
            }
        }
        let covariates = candidates.only(&chosen);
        let folds = Folds::of(lives, seed);
        let (mut full, mut gain) = (None, None);
        if !covariates.is_empty() {
            full = fit(&covariates, &picked(&records, &chosen)).ok();
            gain = folds.gain(&candidates, &records);
        }
        let serves = full.is_some() && gain.is_some_and(|(gain, error)| gain > error);
        let effects = full.as_ref().map_or_else(Vec::new, effects);
        let (model, covariates) = match full {
            Some(full) if serves => (full, covariates),
            _ => (plain, Covariates::default()),
        };
        let report = LifeReport {
            lives: lives.len(),
            failures: model.failures,
            assets: folds.assets,
            shape: model.shape(),
            scale_s: model.scale(&[]) * unit_s,
            with_covariates: serves,
            effects,
            left_out,
            gain: gain.map(|(gain, _)| gain),
            gain_error: gain.map(|(_, error)| error),
        };
        let data = Self {
            reach: reach(lives),
            model,
            covariates,
            unit_s,
        };
        Ok((data, report))
    }

    /// A forecast of each life by models of other machines, at an age that chance decides, where
    /// the life reached it and it is known what became of it within the reach: it counts only if it
    /// could have been watched so long, whether it failed or not, or failures would be seen
    /// more often than they happen. One forecast a life, because a long one would otherwise speak
    /// of its end more often than a short one.
    pub(crate) fn held_out(&self, lives: &[PastLife], seed: u64) -> Vec<OutOfFold> {
        let folds = Folds::of(lives, seed);
        let records = filled(&self.covariates, lives);
        let models: Vec<Option<LifeModel>> = (0..folds.count)
            .map(|fold| fit(&self.covariates, &folds.others(fold, &records)).ok())
            .collect();
        let mut chance = Chance::new(seed, STREAM + 1);
        let mut all = Vec::new();
        for (at, life) in lives.iter().enumerate() {
            let age = AGES[chance.below(AGES.len())] * self.reach;
            let Some(model) = &models[folds.of_life[at]] else {
                continue;
            };
            if age >= life.duration || age + self.reach > life.watchable {
                continue;
            }
            let left = life.duration - age;
            let ends = life.failed && left <= self.reach;
            let said = model.remaining(age, &records[at].covariates);
            all.push(OutOfFold {
                asset: at as u32,
                life: at as u32,
                cycle: age,
                truth: if ends { left } else { f64::INFINITY },
                point: said.mean_capped(self.reach),
                distribution: said.endless_beyond(self.reach),
            });
        }
        all
    }
}

/// How far ahead forecasts are checked: half of the failures had come by then.
fn reach(lives: &[PastLife]) -> f64 {
    let failed = lives.iter().filter(|life| life.failed);
    let mut ages: Vec<f64> = failed.map(|life| life.duration).collect();
    ages.sort_by(f64::total_cmp);
    ages.get(ages.len() / 2).copied().unwrap_or_default()
}

fn fit(covariates: &Covariates, records: &[LifeRecord]) -> Result<LifeModel, AnalyticsError> {
    LifeModel::fit(&covariates.names(), records, &LifeConfig::default())
}

fn without(lives: &[PastLife]) -> Vec<LifeRecord> {
    lives.iter().map(|life| life.record(Vec::new())).collect()
}

fn filled(covariates: &Covariates, lives: &[PastLife]) -> Vec<LifeRecord> {
    let record = |life: &PastLife| life.record(covariates.row(&[&*life.diary], Some(life.began)));
    lives.iter().map(record).collect()
}

/// The records with only these columns.
fn picked(records: &[LifeRecord], columns: &[usize]) -> Vec<LifeRecord> {
    let record = |record: &LifeRecord| LifeRecord {
        covariates: columns.iter().map(|at| record.covariates[*at]).collect(),
        ..record.clone()
    };
    records.iter().map(record).collect()
}

/// The columns that explain these lives best, each alone, as many as their failures carry; in the
/// order of the columns.
fn most_telling(candidates: &Covariates, records: &[LifeRecord]) -> Vec<usize> {
    let failures = records.iter().filter(|record| record.failed).count();
    let most = failures / FAILURES_A_COLUMN;
    let all: Vec<usize> = (0..candidates.names().len()).collect();
    if all.len() <= most {
        return all;
    }
    let mut told: Vec<(f64, usize)> = all
        .into_iter()
        .filter_map(|at| {
            let alone = fit(&candidates.only(&[at]), &picked(records, &[at])).ok()?;
            Some((alone.log_likelihood, at))
        })
        .collect();
    told.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    told.truncate(most);
    let mut chosen: Vec<usize> = told.into_iter().map(|(_, at)| at).collect();
    chosen.sort_unstable();
    chosen
}

fn effects(model: &LifeModel) -> Vec<Effect> {
    let effect = |at: usize| {
        let coefficient = &model.coefficients[at];
        let is_yes_or_no = coefficient.name.contains(" is ");
        let per = if is_yes_or_no {
            1.0
        } else {
            coefficient.spread()
        };
        let log = coefficient.log_hazard_ratio * per;
        let error = 1.96 * coefficient.standard_error * per;
        Effect {
            name: coefficient.name.clone(),
            per,
            hazard_ratio: log.exp(),
            hazard_ratio_low: (log - error).exp(),
            hazard_ratio_high: (log + error).exp(),
            time_ratio: (-log / model.shape()).exp(),
        }
    };
    (0..model.coefficients.len()).map(effect).collect()
}

/// Machines dealt into groups by chance.
struct Folds {
    count: usize,
    assets: usize,
    of_life: Vec<usize>,
    asset_of_life: Vec<u32>,
}

impl Folds {
    fn of(lives: &[PastLife], seed: u64) -> Self {
        let mut names: Vec<&str> = lives.iter().map(|life| life.asset.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let count = FOLDS.min(names.len().max(1));
        let mut groups: Vec<usize> = (0..names.len()).map(|at| at % count).collect();
        let mut chance = Chance::new(seed, STREAM);
        for at in (1..groups.len()).rev() {
            groups.swap(at, chance.below(at + 1));
        }
        let number = |life: &PastLife| names.binary_search(&life.asset.as_str()).unwrap_or(0);
        Self {
            count,
            assets: names.len(),
            of_life: lives.iter().map(|life| groups[number(life)]).collect(),
            asset_of_life: lives.iter().map(|life| number(life) as u32).collect(),
        }
    }

    fn others(&self, fold: usize, records: &[LifeRecord]) -> Vec<LifeRecord> {
        let all = records.iter().zip(&self.of_life);
        let others = all.filter(|(_, of)| **of != fold);
        others.map(|(record, _)| record.clone()).collect()
    }

    /// By how much covariates raise the log-likelihood of machines that were held out, and the
    /// standard error of that over machines. None when a group leaves too little to learn from.
    fn gain(&self, candidates: &Covariates, records: &[LifeRecord]) -> Option<(f64, f64)> {
        if self.count < 2 {
            return None;
        }
        let mut gains = vec![0.0; self.assets];
        for fold in 0..self.count {
            let others = self.others(fold, records);
            let chosen = most_telling(candidates, &others);
            let plain = fit(&Covariates::default(), &picked(&others, &[])).ok()?;
            let full = fit(&candidates.only(&chosen), &picked(&others, &chosen)).ok()?;
            for at in (0..records.len()).filter(|at| self.of_life[*at] == fold) {
                let held = std::slice::from_ref(&records[at]);
                let with = full.log_likelihood_of(&picked(held, &chosen)[0]);
                let without = plain.log_likelihood_of(&picked(held, &[])[0]);
                gains[self.asset_of_life[at] as usize] += with - without;
            }
        }
        let n = gains.len() as f64;
        let gain: f64 = gains.iter().sum();
        let spread: f64 = gains.iter().map(|g| (g - gain / n).powi(2)).sum();
        let error = (spread / (n - 1.0).max(1.0) * n).sqrt();
        (gain.is_finite() && error.is_finite()).then_some((gain, error))
    }
}
