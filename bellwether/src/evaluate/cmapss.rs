//! Simulated turbofans (NASA C-MAPSS): remaining flights at the last one that is given.
//!
//! Rules: a model is learned from the training file of a set with the defaults of the program,
//! the same for all sets; what it serves (average or stack, which kernel) it decides by
//! cross-validation over training units. The test file is then forecast once. Labels are
//! quoted in both conventions, cut at the cap of 125 flights as most papers do, and as they
//! are; a table that mixes the two is worthless.

use std::{fmt::Write as _, fs, ops::ControlFlow, path::Path, time::Instant};

use analytics::prognosis::{
    fleet::{Fitted, FleetConfig, FleetModel, Metrics},
    lives::{CycleRow, Life, LifeEnd},
};
use anyhow::{Context, Result, bail};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;

use super::table::write;

/// Numbers of a line: unit, cycle, settings, sensors.
const SETTINGS: usize = 3;
const SENSORS: usize = 21;
const NUMBERS: usize = 2 + SETTINGS + SENSORS;
/// Most bytes of a file that is read: the largest of the suite has 10 MB.
const MAX_BYTES: u64 = 256 << 20;
/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2_000;
const HEADER: &str = "unit,rul,p10,p90";

/// A forecast of one test unit, in flights.
#[derive(Debug, Clone, Copy)]
struct Said {
    point: f64,
    p10: f64,
    p90: f64,
}

/// Forecasts against one convention of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Scores {
    pub(crate) rmse: f64,
    /// 90 % bootstrap interval of the error, over units.
    pub(crate) rmse_low: f64,
    pub(crate) rmse_high: f64,
    /// The asymmetric score of the PHM 2008 challenge.
    pub(crate) phm08: f64,
    /// Per cent of units inside of the 80 % interval.
    pub(crate) coverage: f64,
}

/// The figures of one forecast of all test units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Forecasts {
    /// Labels cut at the cap.
    pub(crate) clipped: Scores,
    /// Labels as recorded.
    pub(crate) recorded: Scores,
    /// Mean width of the 80 % interval in flights.
    pub(crate) width: f64,
}

/// The figures of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SetFigures {
    pub(crate) set: String,
    pub(crate) training_units: usize,
    pub(crate) training_rows: usize,
    pub(crate) test_units: usize,
    pub(crate) fit_seconds: f64,
    /// By cross-validation over training units.
    pub(crate) learned: Metrics,
    /// None when the labels are not there.
    pub(crate) full_history: Option<Forecasts>,
    pub(crate) window_only: Option<Forecasts>,
    /// Clipped error of saying the mean training target each time.
    pub(crate) rmse_of_the_mean: Option<f64>,
    /// Clipped error of the mean life less the age.
    pub(crate) rmse_of_age: Option<f64>,
}

/// What was reached.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) sets: Vec<SetFigures>,
}

/// Learns from and forecasts every set of a folder, and writes `<set>.csv` for each; the
/// forecasts without age and beginning go to `<set>-window-only.csv`.
pub(crate) fn evaluate(data: &Path, out: &Path) -> Result<Figures> {
    let mut sets = Vec::new();
    for name in names(data)? {
        sets.push(evaluate_set(data, out, &name)?);
    }
    if sets.is_empty() {
        bail!("no train_*.txt in {}", data.display());
    }
    Ok(Figures { sets })
}

/// A set learned with the defaults of the program.
pub(crate) fn fit(lives: &[Life]) -> Result<Fitted> {
    let names: Vec<String> = (1..=SENSORS).map(|sensor| format!("s{sensor}")).collect();
    let config = FleetConfig::default();
    let mut go_on = |_| ControlFlow::Continue(());
    FleetModel::fit(&names, lives, &config, &mut go_on).context("cannot learn from the set")
}

fn evaluate_set(data: &Path, out: &Path, name: &str) -> Result<SetFigures> {
    let training = lives(&data.join(format!("train_{name}.txt")), LifeEnd::Failed)?;
    let test = lives(&data.join(format!("test_{name}.txt")), LifeEnd::Censored)?;
    let begin = Instant::now();
    let fitted = fit(&training)?;
    let fit_seconds = begin.elapsed().as_secs_f64();
    let model = &fitted.model;
    let full = forecasts(model, &test, true)?;
    let window = forecasts(model, &test, false)?;
    write_said(&out.join(format!("{name}.csv")), &test, &full)?;
    write_said(&out.join(format!("{name}-window-only.csv")), &test, &window)?;
    let labels = labels(&data.join(format!("RUL_{name}.txt")), test.len())?;
    let cap = model.cap();
    let rows: usize = training.iter().map(|life| life.rows.len()).sum();
    let targets = training
        .iter()
        .flat_map(|life| (0..life.rows.len()).map(|row| life.remaining(row).min(cap)));
    let mean_target = targets.sum::<f64>() / rows.max(1) as f64;
    let mean_life = rows as f64 / training.len().max(1) as f64;
    let rmse = |say: &dyn Fn(&Life) -> f64, labels: &[f64]| {
        let each = test.iter().zip(labels);
        let squares = each.map(|(life, y)| (say(life).clamp(0.0, cap) - y.min(cap)).powi(2));
        (squares.sum::<f64>() / labels.len().max(1) as f64).sqrt()
    };
    let labels = labels.as_deref();
    Ok(SetFigures {
        set: name.to_owned(),
        training_units: training.len(),
        training_rows: rows,
        test_units: test.len(),
        fit_seconds,
        learned: model.metrics().clone(),
        full_history: labels.map(|labels| scored(&full, labels, cap)),
        window_only: labels.map(|labels| scored(&window, labels, cap)),
        rmse_of_the_mean: labels.map(|labels| rmse(&|_| mean_target, labels)),
        rmse_of_age: labels.map(|l| rmse(&|life| mean_life - life.rows.len() as f64, l)),
    })
}

/// The sets of a folder: what stands after `train_`.
pub(crate) fn names(data: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(data).with_context(|| format!("cannot list {}", data.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let set = name.strip_prefix("train_");
        names.extend(
            set.and_then(|set| set.strip_suffix(".txt"))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<String> {
    let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if size.len() > MAX_BYTES {
        bail!("{}: larger than {MAX_BYTES} bytes", path.display());
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The units of a file, each a life that is watched from its first cycle on.
pub(crate) fn lives(path: &Path, end: LifeEnd) -> Result<Vec<Life>> {
    let mut lives: Vec<Life> = Vec::new();
    for (line, text) in read(path)?.lines().enumerate() {
        let numbers: Vec<f64> = text
            .split_ascii_whitespace()
            .map(fast_float2::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{}:{}: no number", path.display(), line + 1))?;
        if numbers.is_empty() {
            continue;
        }
        if numbers.len() != NUMBERS {
            bail!(
                "{}:{}: {} numbers instead of {NUMBERS}",
                path.display(),
                line + 1,
                numbers.len()
            );
        }
        let asset = format!("{}", numbers[0]);
        if lives.last().is_none_or(|life| life.asset != asset) {
            lives.push(Life {
                asset,
                age: Some(numbers[1] - 1.0),
                rows: Vec::new(),
                end,
            });
        }
        if let Some(life) = lives.last_mut() {
            life.rows.push(CycleRow {
                settings: numbers[2..2 + SETTINGS].to_vec(),
                values: numbers[2 + SETTINGS..].to_vec(),
            });
        }
    }
    Ok(lives)
}

/// The remaining flights of the test units; none when the file is not there.
fn labels(path: &Path, units: usize) -> Result<Option<Vec<f64>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let labels: Vec<f64> = read(path)?
        .split_ascii_whitespace()
        .map(fast_float2::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{}: no number", path.display()))?;
    if labels.len() != units {
        bail!(
            "{}: {} labels of {units} units",
            path.display(),
            labels.len()
        );
    }
    Ok(Some(labels))
}

/// Forecasts at the last cycle of each unit; what is longer than the cap is written as the cap.
fn forecasts(model: &FleetModel, test: &[Life], knows_age: bool) -> Result<Vec<Said>> {
    let said = |life: &Life| {
        let mut state = model.start(life.age.filter(|_| knows_age));
        life.rows.iter().for_each(|row| model.push(&mut state, row));
        let forecast = model.predict(&state);
        let forecast = forecast.with_context(|| format!("unit {} is too short", life.asset))?;
        let distribution = forecast.distribution.capped(model.cap());
        Ok(Said {
            point: forecast.point,
            p10: distribution.quantile(0.1),
            p90: distribution.quantile(0.9),
        })
    };
    test.iter().map(said).collect()
}

fn write_said(path: &Path, test: &[Life], said: &[Said]) -> Result<()> {
    let line = |(life, said): (&Life, &Said)| {
        format!(
            "{},{:.3},{:.3},{:.3}",
            life.asset, said.point, said.p10, said.p90
        )
    };
    write(path, HEADER, test.iter().zip(said).map(line))
}

fn scored(said: &[Said], labels: &[f64], cap: f64) -> Forecasts {
    let width = said.iter().map(|said| said.p90 - said.p10).sum::<f64>();
    Forecasts {
        clipped: scores(said, labels, cap),
        recorded: scores(said, labels, f64::INFINITY),
        width: width / said.len().max(1) as f64,
    }
}

fn scores(said: &[Said], labels: &[f64], cap: f64) -> Scores {
    let pairs = || said.iter().zip(labels.iter().map(|y| y.min(cap)));
    let errors: Vec<f64> = pairs().map(|(said, y)| said.point.min(cap) - y).collect();
    let n = errors.len().max(1) as f64;
    let phm08 = |d: &f64| {
        if *d < 0.0 {
            (-d / 13.0).exp() - 1.0
        } else {
            (d / 10.0).exp() - 1.0
        }
    };
    let is_inside = |(said, y): &(&Said, f64)| said.p10.min(cap) <= *y && *y <= said.p90;
    let (rmse_low, rmse_high) = bootstrap(&errors);
    Scores {
        rmse: (errors.iter().map(|d| d * d).sum::<f64>() / n).sqrt(),
        rmse_low,
        rmse_high,
        phm08: errors.iter().map(phm08).sum(),
        coverage: 100.0 * pairs().filter(is_inside).count() as f64 / n,
    }
}

/// The 5 % and 95 % quantile of the root mean square over resamples of the units.
fn bootstrap(errors: &[f64]) -> (f64, f64) {
    if errors.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let mut rng = StdRng::seed_from_u64(1);
    let mut resample = || {
        let mut draw = || errors[rng.random_range(0..errors.len())].powi(2);
        let sum: f64 = (0..errors.len()).map(|_| draw()).sum();
        (sum / errors.len() as f64).sqrt()
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    (means[RESAMPLES / 20], means[RESAMPLES - 1 - RESAMPLES / 20])
}

/// The figures in words.
pub(crate) fn text(figures: &Figures) -> String {
    let mut text = String::from("simulated turbofans; errors in flights\n");
    for set in &figures.sets {
        text += &set_text(set);
    }
    text
}

fn set_text(set: &SetFigures) -> String {
    let mut text = format!(
        "{}: {} training units, {} rows, {} test units; fitted in {:.1} s\n",
        set.set, set.training_units, set.training_rows, set.test_units, set.fit_seconds
    );
    let learned = &set.learned;
    let _ = writeln!(
        text,
        "  {} operating conditions; components move {} times their noise",
        learned.conditions,
        list(&learned.components)
    );
    let kinds = [
        ("full history", &learned.full_history),
        ("window only", &Some(learned.window_only.clone())),
    ];
    for (kind, metrics) in kinds {
        if let Some(m) = metrics {
            let _ = writeln!(
                text,
                "  {kind:14}cross-validated, clipped: {:.2} (trees {:.2}, kernel {:.2} on {} \
                 inputs, average {:.2}, stack {:.2}, mean {:.2}); serves {:.2} trees + {:.2} \
                 kernel; 80 % interval holds {:.1} %, width {:.1}",
                m.rmse,
                m.rmse_trees,
                m.rmse_kernel,
                m.kernel_inputs,
                m.rmse_average,
                m.rmse_stack,
                m.rmse_mean,
                m.weights[0],
                m.weights[1],
                100.0 * m.coverage,
                m.width
            );
        }
    }
    let forecasts = [
        ("full history", &set.full_history),
        ("window only", &set.window_only),
    ];
    for (kind, forecasts) in forecasts {
        if let Some(f) = forecasts {
            for (labels, s) in [("clipped", &f.clipped), ("as recorded", &f.recorded)] {
                let _ = writeln!(
                    text,
                    "  {kind:14}test, labels {labels:12} RMSE {:5.2} [{:.2}, {:.2}]  PHM08 \
                     {:6.0}  inside of 80 %: {:.1} %, width {:.1}",
                    s.rmse, s.rmse_low, s.rmse_high, s.phm08, s.coverage, f.width
                );
            }
        }
    }
    if let (Some(mean), Some(age)) = (set.rmse_of_the_mean, set.rmse_of_age) {
        let _ = writeln!(
            text,
            "  trivial       test, labels clipped: always the mean {mean:.2}, mean life less \
             age {age:.2}"
        );
    }
    text
}

fn list(values: &[f64]) -> String {
    let each: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
    each.join(", ")
}
