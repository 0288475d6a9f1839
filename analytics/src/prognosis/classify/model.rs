//! A classifier of one component, chosen and calibrated on machines that it did not see.
//!
//! Machines are dealt into folds. Each form of model is fitted without a fold and asked about
//! it; the form with the better logarithmic score is taken, and so is the calibration (none,
//! beta or isotonic), itself fitted without the fold it is scored on. Then the form is fitted
//! to all machines and the calibration to all that was said out of fold. What is known about
//! the model's honesty is the reliability table of these doubly held out probabilities.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use telemetry::Explanation;

use super::Logistic;
use crate::{
    AnalyticsError,
    prognosis::{
        calibration::{Beta, Isotonic, Reliability},
        trees::{Loss, Trees, TreesConfig},
    },
};

/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Failures of this component, counted in rows, below which nothing is learned.
const MIN_POSITIVE: usize = 20;
/// The logarithmic score takes no probability nearer to 0 or 1 than this: an isotonic curve
/// that says "never" once too often shall lose, but not all.
const EDGE: f64 = 1e-4;
/// A simpler choice is kept unless the other is better by this part.
pub(crate) const BETTER: f64 = 0.01;

/// Rows to learn from.
#[derive(Debug, Clone)]
pub struct Examples {
    /// (`n_samples`, `n_features`); NaN where nothing is known.
    pub x: Array2<f32>,
    /// The machine of each row.
    pub machine: Vec<u32>,
    /// Whether the component fails within the horizon, the row's own moment excluded.
    pub failed: Vec<bool>,
}

/// How a classifier is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierConfig {
    /// Precision of the logistic model's prior on standardised coefficients.
    pub ridge: f64,
    /// How boosted trees are grown.
    pub trees: TreesConfig,
}

impl Default for ClassifierConfig {
    /// Failures are rare: their rows must fit into a leaf, and a tree must see enough columns
    /// to find the few that tell of this component.
    fn default() -> Self {
        Self {
            ridge: 1.0,
            trees: TreesConfig {
                columns: 0.5,
                min_rows: 20,
                ..TreesConfig::default()
            },
        }
    }
}

/// The form of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// Logistic regression.
    Logistic(Logistic),
    /// Boosted trees.
    Trees(Trees),
}

impl Kind {
    /// The probability before calibration.
    pub fn probability(&self, row: &[f32]) -> f64 {
        match self {
            Self::Logistic(model) => model.probability(row),
            Self::Trees(trees) => trees.probability(row),
        }
    }

    /// A word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Logistic(_) => "logistic",
            Self::Trees(_) => "trees",
        }
    }
}

/// The forms that are tried, simplest first.
const FORMS: [Form; 2] = [Form::Logistic, Form::Trees];

#[derive(Debug, Clone, Copy)]
enum Form {
    Logistic,
    Trees,
}

impl Form {
    fn fit(self, x: ArrayView2<f32>, failed: &[bool], config: &ClassifierConfig) -> Option<Kind> {
        match self {
            Self::Logistic => Logistic::fit(x, failed, config.ridge).map(Kind::Logistic),
            Self::Trees => {
                let y: Vec<f32> = failed.iter().map(|y| f32::from(u8::from(*y))).collect();
                Trees::fit(x, &y, Loss::Logistic, &config.trees)
                    .ok()
                    .map(Kind::Trees)
            }
        }
    }
}

/// The map from what a classifier says to a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Calibrator {
    /// What it says is one.
    None,
    /// Three parameters.
    Beta(Beta),
    /// A rising curve.
    Isotonic(Isotonic),
}

impl Calibrator {
    fn fit(at: usize, rows: &[(f64, bool)]) -> Option<Self> {
        match at {
            0 => Some(Self::None),
            1 => Beta::fit(rows).map(Self::Beta),
            _ => Isotonic::fit(rows).map(Self::Isotonic),
        }
    }

    fn probability(&self, said: f64) -> f64 {
        match self {
            Self::None => said,
            Self::Beta(map) => map.probability(said),
            Self::Isotonic(curve) => curve.probability(said),
        }
    }

    /// A word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Beta(_) => "beta",
            Self::Isotonic(_) => "isotonic",
        }
    }
}

/// Number of calibrators tried, simplest first.
const CALIBRATORS: usize = 3;

/// A fitted classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureModel {
    /// The names of its features, in order.
    pub features: Vec<String>,
    /// Its form.
    pub kind: Kind,
    /// Its calibration.
    pub calibrator: Calibrator,
    /// How its probabilities came true on machines it had not seen.
    pub reliability: Reliability,
    /// What speaks against showing them as probabilities.
    pub doubt: Option<Explanation>,
}

/// A classifier, and what models like it said about machines that they had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedFailures {
    /// The classifier.
    pub model: FailureModel,
    /// By row of the examples.
    pub out_of_fold: Vec<f64>,
}

impl FailureModel {
    /// Fits a classifier.
    ///
    /// # Errors
    /// Fewer machines than folds, hardly any failure, or rows of different lengths.
    pub fn fit(
        features: &[String],
        examples: &Examples,
        config: &ClassifierConfig,
    ) -> Result<FittedFailures, AnalyticsError> {
        let folds = folds(features, examples)?;
        let scored = FORMS.iter().filter_map(|form| {
            let said = out_of_fold(*form, examples, &folds, config)?;
            let score = log_score(said.iter().copied().zip(examples.failed.iter().copied()));
            Some((score, (*form, said)))
        });
        let (form, said) = simplest(scored).ok_or_else(|| problem("no form could be fitted"))?;
        let rows: Vec<(f64, bool)> = said.iter().copied().zip(examples.failed.clone()).collect();
        let calibrated = (0..CALIBRATORS).filter_map(|at| {
            let said = cross_calibrated(at, &rows, &folds)?;
            let score = log_score(said.iter().copied().zip(examples.failed.iter().copied()));
            Some((score, (at, said)))
        });
        let (at, out_of_fold) =
            simplest(calibrated).ok_or_else(|| problem("nothing could be calibrated"))?;
        let calibrator = Calibrator::fit(at, &rows).unwrap_or(Calibrator::None);
        let kind = form
            .fit(examples.x.view(), &examples.failed, config)
            .ok_or_else(|| problem("no form could be fitted"))?;
        let table = out_of_fold
            .iter()
            .copied()
            .zip(examples.failed.iter().copied());
        let reliability = Reliability::of(table).ok_or_else(|| problem("there are no rows"))?;
        let model = Self {
            features: features.to_vec(),
            doubt: reliability.judge().doubt().cloned(),
            kind,
            calibrator,
            reliability,
        };
        Ok(FittedFailures { model, out_of_fold })
    }

    /// The calibrated probability that the component fails within the horizon.
    pub fn probability(&self, row: &[f32]) -> f64 {
        self.calibrator
            .probability(self.kind.probability(row))
            .clamp(0.0, 1.0)
    }
}

fn problem(problem: impl Into<String>) -> AnalyticsError {
    AnalyticsError::Learning {
        what: "a classifier of failures",
        problem: problem.into(),
    }
}

/// The fold of each row: machines in order, dealt like cards.
fn folds(features: &[String], examples: &Examples) -> Result<Vec<usize>, AnalyticsError> {
    let rows = examples.x.nrows();
    if examples.x.ncols() != features.len()
        || examples.machine.len() != rows
        || examples.failed.len() != rows
    {
        return Err(problem(
            "rows, machines, failures and names do not fit together",
        ));
    }
    let mut machines = examples.machine.clone();
    machines.sort_unstable();
    machines.dedup();
    if machines.len() < FOLDS {
        return Err(problem(format!(
            "{} machines, at least {FOLDS} are needed",
            machines.len()
        )));
    }
    let positive = examples.failed.iter().filter(|failed| **failed).count();
    if positive < MIN_POSITIVE || positive == rows {
        return Err(problem(format!(
            "{positive} of {rows} rows precede a failure, at least {MIN_POSITIVE} and not all are needed"
        )));
    }
    let fold = |machine: &u32| machines.partition_point(|m| m < machine) % FOLDS;
    Ok(examples.machine.iter().map(fold).collect())
}

/// What a form says of each row when it is fitted without the row's fold. None when it could
/// not be fitted to a part.
fn out_of_fold(
    form: Form,
    examples: &Examples,
    folds: &[usize],
    config: &ClassifierConfig,
) -> Option<Vec<f64>> {
    let mut said = vec![0.0; folds.len()];
    for fold in 0..FOLDS {
        let part: Vec<usize> = (0..folds.len()).filter(|row| folds[*row] != fold).collect();
        let x = examples.x.select(Axis(0), &part);
        let failed: Vec<bool> = part.iter().map(|row| examples.failed[*row]).collect();
        let kind = form.fit(x.view(), &failed, config)?;
        for (row, values) in examples.x.rows().into_iter().enumerate() {
            if folds[row] == fold {
                said[row] = kind.probability(&values.to_vec());
            }
        }
    }
    Some(said)
}

/// The same rows calibrated, each by a map fitted without its fold.
fn cross_calibrated(at: usize, rows: &[(f64, bool)], folds: &[usize]) -> Option<Vec<f64>> {
    let mut said = vec![0.0; rows.len()];
    for fold in 0..FOLDS {
        let others = rows.iter().zip(folds).filter(|(_, f)| **f != fold);
        let others: Vec<(f64, bool)> = others.map(|(row, _)| *row).collect();
        let calibrator = Calibrator::fit(at, &others)?;
        for (row, f) in folds.iter().enumerate() {
            if *f == fold {
                said[row] = calibrator.probability(rows[row].0);
            }
        }
    }
    Some(said)
}

/// Mean negative log-likelihood; lower is better.
pub(crate) fn log_score(rows: impl Iterator<Item = (f64, bool)>) -> f64 {
    let (mut n, mut sum) = (0.0, 0.0);
    for (p, y) in rows {
        let p = if y { p } else { 1.0 - p };
        sum -= p.clamp(EDGE, 1.0).ln();
        n += 1.0;
    }
    sum / f64::max(n, 1.0)
}

/// The first of the scored choices that no later one beats by [`BETTER`].
fn simplest<T>(scored: impl Iterator<Item = (f64, T)>) -> Option<T> {
    let mut best: Option<(f64, T)> = None;
    for (score, choice) in scored {
        if best
            .as_ref()
            .is_none_or(|best| score < best.0 * (1.0 - BETTER))
        {
            best = Some((score, choice));
        }
    }
    best.map(|(_, choice)| choice)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

    use super::*;

    /// Thirty machines whose failures follow a signal, and one column of chance.
    fn examples(seed: u64) -> Examples {
        let mut rng = StdRng::seed_from_u64(seed);
        let (rows, machines) = (3_000, 30);
        let mut x = Array2::<f32>::zeros((rows, 2));
        let (mut machine, mut failed) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let signal = rng.random_range(-3.0..3.0_f32);
            x[(row, 0)] = signal;
            x[(row, 1)] = rng.random_range(-1.0..1.0);
            machine.push((row % machines) as u32);
            let p = 1.0 / (1.0 + f64::from(-(3.0 * signal - 4.0)).exp());
            failed.push(rng.random_range(0.0..1.0) < p);
        }
        Examples { x, machine, failed }
    }

    fn names() -> Vec<String> {
        vec!["signal".to_owned(), "chance".to_owned()]
    }

    #[test]
    fn what_can_be_learned_is_and_may_be_called_a_probability() {
        let fitted =
            FailureModel::fit(&names(), &examples(1), &ClassifierConfig::default()).unwrap();
        let table = &fitted.model.reliability;
        assert!(table.skill() > 0.4 && table.ece < 0.03, "{table:?}");
        assert_eq!(fitted.model.doubt, None);
        // The truth of the simulation at signals 0 and 2: 0.018 and 0.881.
        assert!((fitted.model.probability(&[0.0, 0.0]) - 0.018).abs() < 0.02);
        assert!((fitted.model.probability(&[2.0, 0.0]) - 0.881).abs() < 0.05);
        let again =
            FailureModel::fit(&names(), &examples(1), &ClassifierConfig::default()).unwrap();
        assert_eq!(fitted, again);
    }

    #[test]
    fn permuted_failures_leave_no_skill_and_no_probability() {
        let mut permuted = examples(2);
        permuted.failed.shuffle(&mut StdRng::seed_from_u64(3));
        let fitted = FailureModel::fit(&names(), &permuted, &ClassifierConfig::default()).unwrap();
        assert!(
            fitted.model.reliability.skill() < 0.01,
            "{:?}",
            fitted.model.reliability
        );
        let learned =
            FailureModel::fit(&names(), &examples(2), &ClassifierConfig::default()).unwrap();
        assert!(learned.model.reliability.skill() > 0.4);
    }

    #[test]
    fn too_little_to_learn_from_says_so() {
        let mut few = examples(4);
        few.failed.iter_mut().for_each(|failed| *failed = false);
        let error = FailureModel::fit(&names(), &few, &ClassifierConfig::default()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("0 of 3000 rows precede a failure"),
            "{error}"
        );
        let mut one = examples(5);
        one.machine.iter_mut().for_each(|machine| *machine = 1);
        assert!(FailureModel::fit(&names(), &one, &ClassifierConfig::default()).is_err());
        assert!(
            FailureModel::fit(&names()[..1], &examples(6), &ClassifierConfig::default()).is_err()
        );
    }
}
