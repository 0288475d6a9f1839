//! The Weibull model of life with covariates.
//!
//! With w = τ ln t + a + b·z the hazard summed up to age t is exp(w): τ is the shape, the
//! hazard of assets differs by the factor exp(b·z) (proportional hazards), and, what is the
//! same thing for this family, their lives by exp(−b·z/τ) (accelerated life). In these
//! parameters the likelihood of failures and censored lives is concave, so Newton's method
//! finds the one maximum.
//!
//! A handful of failures leaves the parameters uncertain, and a forecast that hides this is
//! too sure of itself. [`LifeModel::remaining`] therefore averages the survival curve over the
//! parameters' normal approximation, with each parameter weighed by how well it explains that
//! the part has reached its age.
//!
//! # Source
//! Lawless, "Statistical Models and Methods for Lifetime Data" (2003), chapters 5 and 6; the
//! parametrisation is Olsen's for censored normal regression (Econometrica 46, 1978).

use serde::{Deserialize, Serialize};
use telemetry::PrognosisFamily;

use super::{KaplanMeier, LifeRecord, kaplan_meier};
use crate::{
    AnalyticsError,
    prognosis::{
        Reason,
        distribution::RulDistribution,
        family::RemainingLife,
        newton::{Local, Maximum, NODES, maximise},
    },
};

/// With fewer failures a shape cannot be told from chance at all.
const MIN_FAILURES: usize = 3;
/// Beyond this shape all lives are of one length for every purpose; a wall keeps the likelihood
/// of equal ages from running to infinity.
const MAX_SHAPE: f64 = 30.0;
const WALL: f64 = 100.0;
/// A part that failed when it was put in lasted this part of the mean life, because the
/// logarithm of nothing has no place in the model.
const SHORTEST: f64 = 1e-3;
/// Points at which the averaged curve is worked out, in levels of the plain curve.
const POINTS: usize = 128;
/// The level that stands for the end of life: the mean of what lies above 0.99 is then that of
/// an exponential tail, 1 − 0.01·e⁻².
const END: f64 = 0.998_646_647_167_633_9;

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LifeConfig {
    /// Ridge on the coefficients of standardised covariates: their prior is normal with this
    /// precision, so that a model with many columns and few failures stays sane. 0 is plain
    /// maximum likelihood.
    pub ridge: f64,
}

impl Default for LifeConfig {
    /// A hazard ratio of e for one standard deviation is then a usual one.
    fn default() -> Self {
        Self { ridge: 1.0 }
    }
}

/// What a covariate does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Its name.
    pub name: String,
    /// Logarithm of the hazard ratio for one unit more of it.
    pub log_hazard_ratio: f64,
    /// Standard error of that; infinite when it was constant and says nothing.
    pub standard_error: f64,
    mean: f64,
    spread: f64,
}

impl Coefficient {
    /// The standard deviation of the covariate; 0 when it was constant.
    pub fn spread(&self) -> f64 {
        self.spread
    }
}

/// A fitted model. See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeModel {
    /// Failures and lives it was fitted to.
    pub failures: usize,
    /// Lives, the failures among them.
    pub lives: usize,
    /// The covariates, in order.
    pub coefficients: Vec<Coefficient>,
    /// The log-likelihood of the lives, without the ridge.
    pub log_likelihood: f64,
    /// The curve without assumptions and without covariates, to look at beside it.
    pub curve: KaplanMeier,
    /// Unit of the fit: ages are divided by it.
    unit: f64,
    /// τ, a, and b of the standardised covariates.
    theta: Vec<f64>,
    /// Their covariance, row by row.
    covariance: Vec<f64>,
}

impl LifeModel {
    /// Fits a model to lives. `names` are the names of the covariates.
    ///
    /// # Errors
    /// Fewer than three failures, a record with another number of covariates, or one whose
    /// numbers make no sense.
    pub fn fit(
        names: &[String],
        records: &[LifeRecord],
        config: &LifeConfig,
    ) -> Result<Self, AnalyticsError> {
        check(names, records)?;
        let failures = records.iter().filter(|r| r.failed).count();
        let unit = records.iter().map(|r| r.duration).sum::<f64>() / records.len() as f64;
        let scales = scales(names.len(), records);
        let rows: Vec<Row> = records
            .iter()
            .filter_map(|r| row(r, unit, &scales))
            .collect();
        let maximum = fit_rows(&rows, names.len(), config.ridge)
            .ok_or_else(|| problem("the likelihood has no maximum"))?;
        let penalty: f64 = maximum.at[2..].iter().map(|b| b * b).sum::<f64>() * config.ridge / 2.0;
        let coefficients = names.iter().zip(&scales).enumerate();
        let coefficient = |(at, (name, &(mean, spread))): (usize, (&String, &(f64, f64)))| {
            let known = spread > 0.0;
            let variance = maximum.covariance[(at + 2, at + 2)];
            Coefficient {
                name: name.clone(),
                log_hazard_ratio: if known {
                    maximum.at[at + 2] / spread
                } else {
                    0.0
                },
                standard_error: if known {
                    variance.sqrt() / spread
                } else {
                    f64::INFINITY
                },
                mean,
                spread,
            }
        };
        Ok(Self {
            failures,
            lives: records.len(),
            coefficients: coefficients.map(coefficient).collect(),
            // The likelihood in the caller's unit: each failure's density is by unit time.
            log_likelihood: maximum.value + penalty - failures as f64 * unit.ln(),
            curve: kaplan_meier(records),
            unit,
            covariance: maximum.covariance.iter().copied().collect(),
            theta: maximum.at,
        })
    }

    /// The shape: above 1 parts wear out, at 1 they fail by chance, below 1 they fail early.
    pub fn shape(&self) -> f64 {
        self.theta[0]
    }

    /// The characteristic life of such an asset: 63.2 % have failed by then.
    pub fn scale(&self, covariates: &[f64]) -> f64 {
        self.unit * (-self.eta(covariates) / self.shape()).exp()
    }

    /// The hazard at an age, per unit of time.
    pub fn hazard(&self, age: f64, covariates: &[f64]) -> f64 {
        let scale = self.scale(covariates);
        self.shape() / scale * (age / scale).powf(self.shape() - 1.0)
    }

    /// The hazard summed up to an age: the failures expected of one part by then if each were
    /// replaced at once by one of its age.
    pub fn cumulative_hazard(&self, age: f64, covariates: &[f64]) -> f64 {
        (age / self.scale(covariates)).powf(self.shape())
    }

    /// The log-likelihood of a life that the model need not have seen, per unit of time for one
    /// that failed.
    pub fn log_likelihood_of(&self, record: &LifeRecord) -> f64 {
        let covariates = &record.covariates;
        let summed = |age: f64| self.cumulative_hazard(age.max(0.0), covariates);
        if !record.failed {
            return summed(record.entered) - summed(record.duration);
        }
        let end = record.duration.max(SHORTEST * self.unit);
        let entered = summed(record.entered.min(end));
        self.hazard(end, covariates).ln() - summed(end) + entered
    }

    /// The median of what is left of a part of this age, without the uncertainty of the
    /// parameters: cheap enough to ask what each covariate does to it.
    pub fn median_left(&self, age: f64, covariates: &[f64]) -> f64 {
        let (scale, shape) = (self.scale(covariates), self.shape());
        let lived = (age.max(0.0) / scale).powf(shape);
        scale * (lived + std::f64::consts::LN_2).powf(1.0 / shape) - age.max(0.0)
    }

    /// The remaining life of a part of this age. Covariates that are missing or not a number
    /// count as average.
    pub fn remaining(&self, age: f64, covariates: &[f64]) -> RulDistribution {
        let age = if age.is_finite() { age.max(0.0) } else { 0.0 };
        let nodes = self.nodes(covariates);
        let age = age / self.unit;
        let now: Vec<f64> = nodes
            .iter()
            .map(|node| node.2.ln() - node.cumulative_hazard(age))
            .collect();
        let most = now.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = now.iter().map(|l| (l - most).exp()).sum();
        let gone = |left: f64| {
            let later = nodes
                .iter()
                .map(|node| (node.2.ln() - node.cumulative_hazard(age + left) - most).exp());
            (1.0 - later.sum::<f64>() / all).clamp(0.0, 1.0)
        };
        let mut points = vec![(0.0, 0.0)];
        points.extend(self.times(age, covariates).map(|left| (left, gone(left))));
        let last = points.partition_point(|(_, p)| *p < END);
        let end = match points.get(last) {
            Some(&(time, p)) => {
                let (before, q) = points[last - 1];
                before + (END - q) / (p - q) * (time - before)
            }
            None => points[points.len() - 1].0,
        };
        points.truncate(last);
        points.extend([(end, END), (end, 1.0)]);
        RulDistribution::from_cdf(&points)
            .map_or_else(RulDistribution::endless, |d| d.scaled(self.unit))
    }

    /// Times from an age on that show the whole curve, in units of the fit.
    fn times(&self, age: f64, covariates: &[f64]) -> impl Iterator<Item = f64> {
        let (shape, scale) = (self.shape(), self.scale(covariates) / self.unit);
        let now = (age / scale).powf(shape);
        let left = move |gone: f64| scale * (now - (1.0 - gone).ln()).powf(1.0 / shape) - age;
        let levels = (1..POINTS).map(move |at| left(at as f64 / POINTS as f64));
        // Beyond the plain curve's end, because the averaged one has a longer tail.
        let tail = (0..32).map(move |at| left(1.0 - 0.5 / POINTS as f64) * 1.25_f64.powi(at));
        let mut longest = 0.0_f64;
        levels.chain(tail).map(move |time| {
            longest = longest.max(time);
            longest
        })
    }

    /// Whether a model that came from outside can be worked with.
    pub(crate) fn is_consistent(&self) -> bool {
        let n = self.coefficients.len() + 2;
        self.theta.len() == n && self.covariance.len() == n * n
    }

    /// The linear part of the model for an asset.
    fn eta(&self, covariates: &[f64]) -> f64 {
        self.theta[1]
            + self.x(covariates)[2..]
                .iter()
                .zip(&self.theta[2..])
                .map(|(x, b)| x * b)
                .sum::<f64>()
    }

    /// 0, 1 and the standardised covariates of an asset.
    fn x(&self, covariates: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0, 1.0];
        x.extend(self.coefficients.iter().enumerate().map(|(at, c)| {
            let value = covariates.get(at).copied().unwrap_or(f64::NAN);
            standardised(value, c.mean, c.spread)
        }));
        x
    }

    /// The plausible parameters of an asset with their weights.
    fn nodes(&self, covariates: &[f64]) -> Vec<Node> {
        let n = self.theta.len();
        let x = self.x(covariates);
        let row = |at: usize| -> f64 {
            let row = &self.covariance[at * n..(at + 1) * n];
            row.iter().zip(&x).map(|(c, x)| c * x).sum()
        };
        let variance_eta: f64 = (0..n).map(|at| x[at] * row(at)).sum();
        let (sd_shape, covariance) = (self.covariance[0].max(0.0).sqrt(), row(0));
        // The part of η that goes with the shape, and what is left of its spread.
        let slope = if sd_shape > 0.0 {
            covariance / sd_shape
        } else {
            0.0
        };
        let rest = (variance_eta - slope * slope).max(0.0).sqrt();
        let (shape, eta) = (self.shape(), self.eta(covariates));
        let mut nodes = Vec::with_capacity(NODES.len() * NODES.len());
        for (u, weight_u) in NODES {
            for (v, weight_v) in NODES {
                let tau = (shape + u * sd_shape).max(0.1 * shape);
                nodes.push(Node(tau, eta + u * slope + v * rest, weight_u * weight_v));
            }
        }
        nodes
    }
}

impl RemainingLife for LifeModel {
    /// The age and the covariates.
    type History = (f64, Vec<f64>);

    fn family(&self) -> PrognosisFamily {
        PrognosisFamily::LifeData
    }

    fn remaining(&self, (age, covariates): &(f64, Vec<f64>)) -> Result<RulDistribution, Reason> {
        Ok(self.remaining(*age, covariates))
    }
}

/// A shape, a linear part and the weight of the two.
struct Node(f64, f64, f64);

impl Node {
    fn cumulative_hazard(&self, age: f64) -> f64 {
        if age <= 0.0 {
            0.0
        } else {
            (self.0 * age.ln() + self.1).exp()
        }
    }
}

fn problem(problem: impl Into<String>) -> AnalyticsError {
    AnalyticsError::Learning {
        what: "a model of life data",
        problem: problem.into(),
    }
}

fn check(names: &[String], records: &[LifeRecord]) -> Result<(), AnalyticsError> {
    let failures = records.iter().filter(|r| r.failed).count();
    if failures < MIN_FAILURES {
        return Err(problem(format!(
            "{failures} failures among {} lives, at least {MIN_FAILURES} are needed",
            records.len()
        )));
    }
    for (at, r) in records.iter().enumerate() {
        if r.covariates.len() != names.len() {
            return Err(problem(format!(
                "life {at} has {} covariates, {} are named",
                r.covariates.len(),
                names.len()
            )));
        }
        let ages = r.entered.is_finite() && r.duration.is_finite();
        if !ages || r.entered < 0.0 || r.duration < r.entered {
            return Err(problem(format!(
                "life {at} lasts from {} to {}",
                r.entered, r.duration
            )));
        }
    }
    if records.iter().all(|r| r.duration <= 0.0) {
        return Err(problem("no life has any length"));
    }
    Ok(())
}

/// Mean and standard deviation of each covariate; a spread of 0 where nothing can be told.
fn scales(covariates: usize, records: &[LifeRecord]) -> Vec<(f64, f64)> {
    let scale = |at: usize| {
        let values = || {
            records
                .iter()
                .map(|r| r.covariates[at])
                .filter(|v| v.is_finite())
        };
        let n = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let spread = variance.sqrt();
        (
            mean,
            if spread > 1e-9 * mean.abs() {
                spread
            } else {
                0.0
            },
        )
    };
    (0..covariates).map(scale).collect()
}

fn standardised(value: f64, mean: f64, spread: f64) -> f64 {
    if value.is_finite() && spread > 0.0 {
        (value - mean) / spread
    } else {
        0.0
    }
}

/// A life in units of the fit: logarithms of its end and of its entry, and the covariates
/// after a place for the logarithm and a 1.
struct Row {
    end: f64,
    entry: Option<f64>,
    failed: bool,
    x: Vec<f64>,
}

fn row(record: &LifeRecord, unit: f64, scales: &[(f64, f64)]) -> Option<Row> {
    let end = record.duration / unit;
    let end = if record.failed {
        end.max(SHORTEST)
    } else {
        end
    };
    let entry = record.entered / unit;
    if end <= 0.0 || (!record.failed && end <= entry) {
        return None;
    }
    let mut x = vec![0.0, 1.0];
    let values = record.covariates.iter().zip(scales);
    x.extend(values.map(|(value, (mean, spread))| standardised(*value, *mean, *spread)));
    Some(Row {
        end: end.ln(),
        entry: (entry > 0.0 && entry < end).then(|| entry.ln()),
        failed: record.failed,
        x,
    })
}

fn fit_rows(rows: &[Row], covariates: usize, ridge: f64) -> Option<Maximum> {
    let failures = rows.iter().filter(|row| row.failed).count() as f64;
    let exposure: f64 = rows.iter().map(|row| row.end.exp()).sum();
    let mut start = vec![0.0; covariates + 2];
    start[0] = 1.0;
    start[1] = (failures / exposure).ln();
    maximise(start, |theta| {
        let mut local = Local::zero(theta.len());
        let tau = theta[0];
        if tau <= 0.0 {
            local.value = f64::NEG_INFINITY;
            return local;
        }
        for row in rows {
            add_row(&mut local, theta, row);
        }
        let beyond = (tau - MAX_SHAPE).max(0.0);
        local.value -= WALL * beyond * beyond / 2.0;
        local.gradient[0] -= WALL * beyond;
        local.curvature[(0, 0)] += if beyond > 0.0 { WALL } else { 0.0 };
        local.ridge(theta, 2, ridge);
        local
    })
}

fn add_row(local: &mut Local, theta: &[f64], row: &Row) {
    let mut x = row.x.clone();
    let mut w_at = |log_age: f64| -> (f64, Vec<f64>) {
        x[0] = log_age;
        let w = x.iter().zip(theta).map(|(x, t)| x * t).sum::<f64>();
        (w, x.clone())
    };
    let (w, x_end) = w_at(row.end);
    let hazard = w.exp();
    let failed = f64::from(u8::from(row.failed));
    local.add(&x_end, failed * w - hazard, failed - hazard, hazard);
    if row.failed {
        let tau = theta[0];
        local.value += tau.ln() - row.end;
        local.gradient[0] += 1.0 / tau;
        local.curvature[(0, 0)] += 1.0 / (tau * tau);
    }
    if let Some(entry) = row.entry {
        let (w, x_entry) = w_at(entry);
        let hazard = w.exp();
        local.add(&x_entry, hazard, hazard, -hazard);
    }
}
