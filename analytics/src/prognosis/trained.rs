//! A trained model as it is kept and served: the fleet's experience, the life data as what is
//! known before a look at the machine, the calibration, and what a cycle is.
//!
//! The fleet model looks as far ahead as its cap; what lies beyond is filled from the life data
//! where there is any ([`super::combine`]). Whether probabilities are served at all was decided
//! when the model was trained: with a calibration that failed its bound only the rank among the
//! fleet's past forecasts is told.
//!
//! Of machines that nobody measured the maintenance history alone still says how long they last;
//! then the life data, with what tells machines apart, are the whole model.
//!
//! Where there are error codes, maintenance or facts on record, "fails within the horizon" is also
//! learned directly from them and the measurements ([`super::classify`]); of the two ways to a
//! probability the one serves, horizon by horizon, that was better on machines neither had seen.

mod file;
mod serve;
mod warnings;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use telemetry::{ComponentId, Explanation};

pub use serve::Serving;
use warnings::Warnings;
pub use warnings::{Contest, Watched};

use super::{
    calibration::{Calibration, Checked, Served, words},
    cycles::CycleSpec,
    fleet::{Fitted, FleetConfig, FleetModel, OutOfFold},
    life::{LifeData, LifeReport, PastLife},
    lives::{Life, LifeEnd},
};
use crate::AnalyticsError;

/// The format of a file.
const FORMAT: u16 = 3;
/// Past forecasts kept for ranks: a rank is told to a percent.
const RANKS: usize = 1_000;
/// The part of a training that the fleet model takes; the rest tells of horizons.
const FLEET_PART: f64 = 0.7;
/// A signal that is measured in this part of the last cycles before failures and hardly
/// anywhere else is known because of the failure.
const LEAKS_AT_END: f64 = 0.5;
const LEAKS_ELSEWHERE: f64 = 0.01;

/// What a model is trained from.
#[derive(Debug, Clone)]
pub struct Material {
    /// What the cycles of the lives are.
    pub cycles: CycleSpec,
    /// The component whose lives they are.
    pub component: Option<ComponentId>,
    /// Horizons, in calendar seconds, rising.
    pub horizons_s: Vec<f64>,
    /// Remaining cycles beyond which lives are not told apart.
    pub cap: f64,
    /// The lives that were watched.
    pub lives: Vec<Life>,
    /// What is known beside the rows of each; empty when nothing is.
    pub watched: Vec<Watched>,
    /// All lives on record with a known beginning, in cycles, also those nobody watched.
    pub records: Vec<PastLife>,
    /// The usual calendar seconds of a cycle.
    pub cycle_s: f64,
    /// How the fleet's part is learned; seed and cap are replaced by those above.
    pub fleet: FleetConfig,
    /// The seed of everything random.
    pub seed: u64,
}

/// A model. Its bytes are the file of the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedModel {
    format: u16,
    cycles: CycleSpec,
    component: Option<ComponentId>,
    horizons_s: Vec<f64>,
    /// None where too little was measured: the life data speak alone.
    fleet: Option<FleetModel>,
    life: Option<LifeData>,
    /// What tells of failures within the horizons from more than measurements.
    warnings: Option<Warnings>,
    /// Why its numbers are ranks only; none where they are probabilities.
    doubt: Option<Explanation>,
    /// Probabilities of failing within each horizon in past forecasts, sorted.
    ranks: Vec<Vec<f32>>,
    inputs: Vec<InputRange>,
}

/// Where the means of a signal lay in training: inputs that leave it are drift.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRange {
    /// The signal.
    pub signal: String,
    /// The 1 %, 50 % and 99 % quantile of its means.
    pub low: f64,
    /// See [`Self::low`].
    pub median: f64,
    /// See [`Self::low`].
    pub high: f64,
}

/// What came of a training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: TrainedModel,
    /// How it did on assets it had not seen, in cycles.
    pub calibration: Option<Calibration>,
    /// Root mean square error of its point forecasts, in cycles, ends beyond the cap as the cap.
    pub rmse: f64,
    /// The same of the mean of all ends: what a forecast without a look reaches.
    pub baseline_rmse: f64,
    /// Forecasts these were measured on.
    pub rows: usize,
    /// How far ahead its point forecasts look, in cycles.
    pub cap: f64,
    /// Who tells of failure within each horizon, and by what evidence.
    pub contests: Vec<Contest>,
    /// What the life data say; none with fewer than three failures.
    pub life: Option<LifeReport>,
    /// Why the life data speak alone; none where a fleet model serves.
    pub fleet_problem: Option<String>,
}

impl TrainedModel {
    /// Trains. `progress` is told the part that is done and may break off.
    ///
    /// # Errors
    /// [`AnalyticsError::Learning`] when there is too little to learn from, or when a signal is known
    /// only because of a failure; [`AnalyticsError::Stopped`] when `progress` broke off.
    pub fn fit(
        material: &Material,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Trained, AnalyticsError> {
        refuse_leaks(material)?;
        let signals: Vec<String> = material
            .cycles
            .signals
            .iter()
            .map(ToString::to_string)
            .collect();
        let config = FleetConfig {
            seed: material.seed,
            cap: material.cap,
            ..material.fleet.clone()
        };
        let mut learning = |part: f64| progress(part * FLEET_PART);
        let fitted = FleetModel::fit(&signals, &material.lives, &config, &mut learning);
        // A prior needs failures; without enough of them the fleet speaks alone.
        let life = LifeData::fit(&material.records, material.cycle_s, material.seed);
        match (fitted, life) {
            (Ok(fitted), life) => Self::of_fleet(material, fitted, life.ok(), progress),
            (Err(error @ AnalyticsError::Learning { .. }), Ok((life, report))) => {
                Ok(Self::of_life(material, life, report, error.to_string()))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn of_fleet(
        material: &Material,
        fitted: Fitted,
        life: Option<(LifeData, LifeReport)>,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Trained, AnalyticsError> {
        let horizons = in_cycles(material);
        let (calibration, doubt) = check(&fitted.out_of_fold, &horizons, material.cap);
        let (warnings, contests) = warnings::learn(
            material,
            (&fitted.out_of_fold, &horizons, doubt.is_none()),
            progress,
        )?;
        let (life, report) = life.unzip();
        let model = Self {
            fleet: Some(fitted.model),
            life,
            warnings,
            doubt,
            ..Self::new(material, &fitted.out_of_fold)
        };
        let trained = Trained::new(model, &fitted.out_of_fold, material.cap, calibration);
        Ok(Trained {
            contests,
            life: report,
            ..trained
        })
    }

    /// A model of machines that nobody measured: only how long they last is known.
    fn of_life(
        material: &Material,
        life: LifeData,
        report: LifeReport,
        problem: String,
    ) -> Trained {
        let rows = life.held_out(&material.records, material.seed);
        let reach = life.reach;
        let (calibration, doubt) = check(&rows, &in_cycles(material), reach);
        let model = Self {
            life: Some(life),
            doubt,
            ..Self::new(material, &rows)
        };
        Trained {
            life: Some(report),
            fleet_problem: Some(problem),
            ..Trained::new(model, &rows, reach, calibration)
        }
    }

    /// What every model has.
    fn new(material: &Material, rows: &[OutOfFold]) -> Self {
        let horizons = in_cycles(material);
        Self {
            format: FORMAT,
            cycles: material.cycles.clone(),
            component: material.component.clone(),
            horizons_s: material.horizons_s.clone(),
            ranks: horizons.iter().map(|h| ranks(rows, *h)).collect(),
            inputs: inputs(material),
            fleet: None,
            life: None,
            warnings: None,
            doubt: None,
        }
    }

    /// The features in order: the signals of the fleet model, and the covariates of the life data.
    pub fn features(&self) -> Vec<String> {
        let signals = self.fleet.iter().flat_map(FleetModel::signals).cloned();
        let life = self.life.iter().flat_map(|life| life.covariates.names());
        signals.chain(life).collect()
    }

    /// How its numbers may be shown.
    pub fn served(&self) -> Served {
        self.doubt.clone().into()
    }

    /// Where its inputs lay in training.
    pub fn inputs(&self) -> &[InputRange] {
        &self.inputs
    }

    /// How well the fleet part does on assets it has not seen, by expert.
    pub fn metrics(&self) -> Option<&super::fleet::Metrics> {
        self.fleet.as_ref().map(FleetModel::metrics)
    }

    /// What the life data say, where there are any.
    pub fn life(&self) -> Option<&LifeData> {
        self.life.as_ref()
    }
}

impl Trained {
    fn new(
        model: TrainedModel,
        rows: &[OutOfFold],
        cap: f64,
        calibration: Option<Calibration>,
    ) -> Self {
        let (rmse, baseline_rmse) = errors(rows, cap);
        Self {
            model,
            calibration,
            rmse,
            baseline_rmse,
            rows: rows.len(),
            cap,
            contests: Vec::new(),
            life: None,
            fleet_problem: None,
        }
    }
}

/// The horizons in cycles.
fn in_cycles(material: &Material) -> Vec<f64> {
    let horizons = material.horizons_s.iter();
    horizons
        .map(|horizon| horizon / material.cycle_s.max(1e-9))
        .collect()
}

/// How forecasts came true, and what speaks against showing them as probabilities. Beyond the cap
/// nothing was learned, so nothing is checked there.
fn check(
    rows: &[OutOfFold],
    horizons: &[f64],
    cap: f64,
) -> (Option<Calibration>, Option<Explanation>) {
    let checked: Vec<Checked<'_>> = rows
        .iter()
        .map(|row| Checked {
            asset: row.asset,
            truth: row.truth,
            forecast: &row.distribution,
        })
        .collect();
    let within_cap: Vec<f64> = horizons.iter().copied().filter(|h| *h <= cap).collect();
    let calibration = Calibration::of(&checked, &within_cap);
    let doubt = match calibration.as_ref().map(Calibration::judge) {
        Some(served) => served.doubt().cloned(),
        None => Some(words("no forecast could be checked", "没有可供检验的预测")),
    };
    (calibration, doubt)
}

/// What is known only after or because of the failure must not be learned from.
fn refuse_leaks(material: &Material) -> Result<(), AnalyticsError> {
    for (at, signal) in material.cycles.signals.iter().enumerate() {
        let (mut last, mut lasts, mut other, mut others) = (0_u64, 0_u64, 0_u64, 0_u64);
        for life in &material.lives {
            let end = life.rows.len();
            for (index, row) in life.rows.iter().enumerate() {
                let measured = u64::from(row.values.get(at).is_some_and(|v| !v.is_nan()));
                if life.end == LifeEnd::Failed && index + 1 == end {
                    (last, lasts) = (last + measured, lasts + 1);
                } else {
                    (other, others) = (other + measured, others + 1);
                }
            }
        }
        let share = |some: u64, all: u64| some as f64 / all.max(1) as f64;
        if share(last, lasts) >= LEAKS_AT_END && share(other, others) <= LEAKS_ELSEWHERE {
            return Err(AnalyticsError::Learning {
                what: "a fleet model",
                problem: format!(
                    "{signal} is measured in the last cycle before failures and hardly ever else: \
                     it is known because of the failure; take it out of the model's signals"
                ),
            });
        }
    }
    Ok(())
}

/// Root mean square error of the point forecasts, and of the mean of all ends.
fn errors(rows: &[OutOfFold], cap: f64) -> (f64, f64) {
    let count = rows.len().max(1) as f64;
    let truth = |row: &OutOfFold| row.truth.min(cap);
    let mean = rows.iter().map(truth).sum::<f64>() / count;
    let root = |error: &dyn Fn(&OutOfFold) -> f64| {
        (rows.iter().map(|row| error(row).powi(2)).sum::<f64>() / count).sqrt()
    };
    (
        root(&|row| row.point - truth(row)),
        root(&|row| mean - truth(row)),
    )
}

/// What past forecasts said of a horizon, sorted, thinned to [`RANKS`].
fn ranks(rows: &[OutOfFold], horizon: f64) -> Vec<f32> {
    let said = |row: &OutOfFold| row.distribution.probability_within(horizon) as f32;
    thinned(rows.iter().map(said).collect())
}

/// Sorted, and thinned to [`RANKS`].
fn thinned(mut all: Vec<f32>) -> Vec<f32> {
    all.sort_by(f32::total_cmp);
    let step = all.len().div_ceil(RANKS).max(1);
    all.into_iter().step_by(step).collect()
}

fn inputs(material: &Material) -> Vec<InputRange> {
    let signals = material.cycles.signals.iter().enumerate();
    let range = |(at, signal): (usize, &telemetry::SignalName)| {
        let rows = material.lives.iter().flat_map(|life| &life.rows);
        let mut values: Vec<f64> = rows
            .filter_map(|row| row.values.get(at).copied())
            .filter(|value| !value.is_nan())
            .collect();
        values.sort_by(f64::total_cmp);
        let quantile = |level: f64| {
            let place = level * values.len().saturating_sub(1) as f64;
            values.get(place.round() as usize).copied()
        };
        Some(InputRange {
            signal: signal.to_string(),
            low: quantile(0.01)?,
            median: quantile(0.5)?,
            high: quantile(0.99)?,
        })
    };
    signals.filter_map(range).collect()
}

#[cfg(test)]
mod tests;
