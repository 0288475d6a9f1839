//! Azure predictive-maintenance sample (simulated machines): does a component fail within a day?
//!
//! Rules: one classifier a component, learned from the training machines alone; form and
//! calibration are chosen by grouped cross-validation among them, and so is the one threshold
//! for warnings: the lowest of a coarse grid that keeps the budget of false warnings on those
//! training machines that were watched throughout. A warning counts for a day and component.
//! Beside it stands what the ages of the components alone would say, and the base rate.

mod data;

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use analytics::prognosis::{
    calibration::{Reliability, Served},
    classify::{
        Budget, ClassifierConfig, Examples, FailureModel, Said, Threshold, choose_threshold,
    },
    life::{LifeConfig, LifeModel, LifeRecord},
};
use anyhow::{Context, Result, bail};
use ndarray::Array2;
use serde::Serialize;

use super::{args::Machines, table::write};
use data::{Data, HOUR, Machine, Moment};

/// The horizon of the warnings.
const HORIZON: i64 = 24 * HOUR;
/// A month of a machine.
const MONTH_HOURS: f64 = 24.0 * 30.44;
/// False warnings a machine and month that a user accepts: one in five months.
const BUDGET: f64 = 0.2;

/// What was learned of one component.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) form: &'static str,
    pub(crate) calibration: &'static str,
    /// Of the doubly held out probabilities on training machines.
    pub(crate) brier_out_of_fold: f64,
    pub(crate) served: Served,
    /// Shape of the Weibull life and the failures it rests on.
    pub(crate) weibull_shape: Option<f64>,
    pub(crate) failures: usize,
    /// Rows, and base rate, of the training machines.
    pub(crate) rows: usize,
    pub(crate) base_rate: f64,
}

/// What was reached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) training_machines: usize,
    pub(crate) test_machines: usize,
    pub(crate) threshold: Threshold,
    pub(crate) predictions: u64,
    /// Failures with a prediction in the day before, and of these announced.
    pub(crate) events: usize,
    pub(crate) announced: usize,
    /// On test machines that were watched throughout.
    pub(crate) machine_months: f64,
    pub(crate) false_warnings: usize,
    pub(crate) reliability: Reliability,
    /// Brier score of the ages of the components alone.
    pub(crate) brier_life_data: Option<f64>,
    pub(crate) components: Vec<Component>,
}

/// A machine with its moments.
type Told<'a> = (&'a Machine, Vec<Moment>);

/// Learns from `train`, forecasts for `test` and writes `azure.csv`.
pub(crate) fn evaluate(
    data: &Path,
    out: &Path,
    train: &Machines,
    test: &Machines,
) -> Result<Figures> {
    let data = Data::read(data)?;
    let told = |wanted: &Machines| -> Vec<Told<'_>> {
        let machines = data.machines.values().filter(|m| wanted.contains(m.number));
        let machines = machines.filter(|machine| !machine.rows.is_empty());
        machines
            .map(|machine| (machine, machine.moments(&data.catalog)))
            .collect()
    };
    if let Some(both) = data
        .machines
        .keys()
        .find(|m| train.contains(**m) && test.contains(**m))
    {
        bail!("machine {both} is among --train and --test");
    }
    let (train, test) = (told(train), told(test));
    if train.is_empty() || test.is_empty() {
        bail!("no telemetry of the machines of --train or --test");
    }
    let mut said = Vec::new();
    let mut components = Vec::new();
    let mut models = Vec::new();
    for component in 0..data.catalog.components.len() {
        let (model, mut summary) = learn(&data, &train, component, &mut said)?;
        let life = lives(&data, &train, component);
        if let Some(life) = &life {
            summary.weibull_shape = Some(life.shape());
            summary.failures = life.failures;
        }
        components.push(summary);
        models.push((model, life));
    }
    let months = whole_hours(&train) / MONTH_HOURS;
    if months <= 0.0 {
        bail!("no machine of --train was watched throughout: no threshold can be chosen");
    }
    let threshold = choose_threshold(
        &said,
        &Budget {
            per_machine_month: BUDGET,
            machine_months: months,
        },
    );
    let scored = forecast(&data, &test, &models, threshold.at);
    write(
        &out.join("azure.csv"),
        "machineID,datetime,component,probability",
        scored.lines.into_iter(),
    )?;
    Ok(Figures {
        training_machines: train.len(),
        test_machines: test.len(),
        threshold,
        predictions: scored.rows.len() as u64,
        events: scored.events.len(),
        announced: scored.announced.len(),
        machine_months: whole_hours(&test) / MONTH_HOURS,
        false_warnings: scored.false_days.len(),
        reliability: Reliability::of(scored.rows.iter().copied()).context("no predictions")?,
        brier_life_data: Reliability::of(scored.by_age.into_iter()).map(|table| table.brier),
        components,
    })
}

fn whole_hours(machines: &[Told<'_>]) -> f64 {
    let whole = machines.iter().filter(|(machine, _)| machine.is_whole);
    whole.map(|(_, moments)| moments.len() as f64).sum()
}

/// Learns one component; adds what was said out of fold of machines watched throughout.
fn learn(
    data: &Data,
    train: &[Told<'_>],
    component: usize,
    said: &mut Vec<Said>,
) -> Result<(FailureModel, Component)> {
    let names = data.catalog.features();
    let (mut x, mut machine, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (one, moments) in train {
        for moment in moments {
            x.extend_from_slice(&moment.features);
            machine.push(one.number);
            failed.push(one.fails(component, moment.at, HORIZON).is_some());
        }
    }
    let x = Array2::from_shape_vec((machine.len(), names.len()), x)?;
    let examples = Examples { x, machine, failed };
    let name = &data.catalog.components[component];
    let fitted = FailureModel::fit(&names, &examples, &ClassifierConfig::default())
        .with_context(|| format!("cannot learn {name}"))?;
    let moments = train
        .iter()
        .flat_map(|(one, moments)| moments.iter().map(move |m| (one, m)));
    for (row, (one, moment)) in moments.enumerate() {
        if one.is_whole {
            said.push(Said {
                component: u64::from(one.number) << 8 | component as u64,
                day: moment.at.div_euclid(24 * HOUR),
                probability: fitted.out_of_fold[row],
                failed: examples.failed[row],
            });
        }
    }
    let table = &fitted.model.reliability;
    let summary = Component {
        name: name.clone(),
        form: fitted.model.kind.name(),
        calibration: fitted.model.calibrator.name(),
        brier_out_of_fold: table.brier,
        served: fitted.model.doubt.clone().into(),
        weibull_shape: None,
        failures: 0,
        rows: examples.failed.len(),
        base_rate: table.base_rate,
    };
    Ok((fitted.model, summary))
}

/// The life model of a component: ages at failure and replacement, with the machines' facts.
fn lives(data: &Data, train: &[Told<'_>], component: usize) -> Option<LifeModel> {
    let records: Vec<LifeRecord> = train
        .iter()
        .flat_map(|(machine, _)| data.lives(machine, component))
        .collect();
    LifeModel::fit(&data.catalog.facts, &records, &LifeConfig::default()).ok()
}

/// What was said of the test machines, and what came of it.
#[derive(Default)]
struct Scored {
    lines: Vec<String>,
    rows: Vec<(f64, bool)>,
    by_age: Vec<(f64, bool)>,
    events: BTreeSet<(u32, usize, i64)>,
    announced: BTreeSet<(u32, usize, i64)>,
    false_days: BTreeSet<(u32, usize, i64)>,
}

fn forecast(
    data: &Data,
    test: &[Told<'_>],
    models: &[(FailureModel, Option<LifeModel>)],
    threshold: f64,
) -> Scored {
    let mut scored = Scored::default();
    for (machine, moments) in test {
        for (component, (model, life)) in models.iter().enumerate() {
            let name = &data.catalog.components[component];
            for moment in moments {
                let probability = model.probability(&moment.features);
                let fails = machine.fails(component, moment.at, HORIZON);
                scored.lines.push(format!(
                    "{},{},{name},{probability:.6}",
                    machine.number,
                    datetime(moment.at)
                ));
                scored.rows.push((probability, fails.is_some()));
                if let (Some(life), Some(age)) = (life, moment.ages[component]) {
                    let within = |days: f64| life.cumulative_hazard(days, &machine.facts);
                    let hazard = within(age + 1.0) - within(age);
                    scored.by_age.push((1.0 - (-hazard).exp(), fails.is_some()));
                }
                let warned = probability >= threshold;
                match fails {
                    Some(at) => {
                        scored.events.insert((machine.number, component, at));
                        if warned {
                            scored.announced.insert((machine.number, component, at));
                        }
                    }
                    None if warned && machine.is_whole => {
                        let day = moment.at.div_euclid(24 * HOUR);
                        scored.false_days.insert((machine.number, component, day));
                    }
                    None => {}
                }
            }
        }
    }
    scored
}

fn datetime(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).map_or_else(String::new, |time| {
        time.format("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// The figures for a reader.
pub(crate) fn text(figures: &Figures) -> String {
    let mut text = format!(
        "simulated machines: {} to learn from, {} to score\n",
        figures.training_machines, figures.test_machines
    );
    for component in &figures.components {
        let shown = match &component.served {
            Served::Probability => "probability".to_owned(),
            Served::Rank { reason } => format!("rank only: {}", reason.en),
        };
        let shape = component
            .weibull_shape
            .map_or("-".to_owned(), |s| format!("{s:.2}"));
        let _ = writeln!(
            text,
            "  {:8} {} and {} calibration, Brier out of fold {:.5} (base rate {:.5}), {shown}; \
             life data: {} failures, Weibull shape {shape}",
            component.name,
            component.form,
            component.calibration,
            component.brier_out_of_fold,
            component.base_rate * (1.0 - component.base_rate),
            component.failures,
        );
    }
    let threshold = &figures.threshold;
    let _ = writeln!(
        text,
        "threshold {:.2}, chosen on training machines: {} false warnings there, {:.2} per machine-month{}",
        threshold.at,
        threshold.false_warnings,
        threshold.per_machine_month,
        if threshold.keeps_budget {
            ""
        } else {
            ", over the budget"
        }
    );
    let share = 100.0 * figures.announced as f64 / figures.events.max(1) as f64;
    let _ = writeln!(
        text,
        "event recall {share:.1} % ({} of {})\nfalse warnings {:.3} per machine-month ({} in {:.1})",
        figures.announced,
        figures.events,
        figures.false_warnings as f64 / figures.machine_months,
        figures.false_warnings,
        figures.machine_months
    );
    let table = &figures.reliability;
    let life = figures
        .brier_life_data
        .map_or("-".to_owned(), |b| format!("{b:.5}"));
    let _ = writeln!(
        text,
        "Brier score {:.5} (base rate {:.5}, ages of the components alone {life}), ECE {:.5}",
        table.brier, table.brier_of_base_rate, table.ece
    );
    for bin in table.bins.iter().filter(|bin| bin.rows > 0) {
        let _ = writeln!(
            text,
            "  said {:5.1} %  happened {:5.1} %  ({})",
            100.0 * bin.said,
            100.0 * bin.happened,
            bin.rows
        );
    }
    text
}
