//! Kernel ridge regression by random Fourier features: a smooth function of a few dozen
//! standardised features, at the cost of one matrix-vector product.
//!
//! z is standardised and cut at ±4; φ(z) = √(2/D) cos(Wz + b) with W ~ N(0, 1/d) for d features
//! and b uniform approximates a Gaussian kernel of length √d; a tenth of z itself is appended,
//! so that beyond what was seen the function goes on as a line. Weights solve
//! (Φ'Φ + 0.03 I) w = Φ'(y − ȳ). Several draws of W are averaged.
//!
//! Folds cost next to nothing: Φ'Φ is summed for each fold once, and what is learned without a
//! fold follows by leaving its sum out.
//!
//! Sums over rows are in single precision (the smallest eigenvalue that counts, the ridge, is a
//! thousand times the rounding), the solution is in double. Angles are in turns, so that
//! cos needs no division and runs in the vector unit.
//!
//! # Source
//! Rahimi & Recht, "Random features for large-scale kernel machines", NIPS 2007.

mod fit;

use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

pub(crate) use fit::Task;

use fit::Draw;

/// Standardised features are cut here.
const CUT: f32 = 4.0;
/// Weight of the standardised features themselves.
const LINEAR: f32 = 0.1;
/// Fourier features that are computed together.
const LANES: usize = 32;

/// A fitted kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kernel {
    scale: Scale,
    centre: f64,
    /// In blocks of [`LANES`] features: for each input its frequencies in turns.
    frequencies: Vec<f32>,
    phases: Vec<f32>,
    weights: Vec<f32>,
    /// Of the standardised features themselves.
    linear: Vec<f32>,
}

/// Standardisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    /// Which features of the full list, with mean and one over the spread.
    columns: Vec<(u32, f32, f32)>,
}

/// What a fit with folds gives.
pub(crate) struct Fitted {
    pub(crate) kernel: Kernel,
    /// For each row the prediction of what was learned without its fold.
    pub(crate) out_of_fold: Vec<f32>,
}

impl Scale {
    /// Means and spreads of some columns over some rows.
    pub(crate) fn fit(x: ArrayView2<f32>, columns: &[usize], rows: &[u32]) -> Self {
        let n = rows.len().max(1) as f64;
        let of = |&column: &usize| {
            let values = x.column(column);
            let each = || rows.iter().map(|&row| f64::from(values[row as usize]));
            let mean = each().sum::<f64>() / n;
            let square = each().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            // What does not move is left out by weight 0.
            let still = square.sqrt() <= 1e-9 * mean.abs().max(1e-9);
            let inverse = if still { 0.0 } else { 1.0 / square.sqrt() };
            (column as u32, mean as f32, inverse as f32)
        };
        Self {
            columns: columns.iter().map(of).collect(),
        }
    }

    /// Number of features.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The standardised features of a row of all features.
    pub(crate) fn apply<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        self.columns.iter().map(|&(column, mean, inverse)| {
            let value = row.get(column as usize).copied().unwrap_or(mean);
            let z = (value - mean) * inverse;
            if z.is_nan() { 0.0 } else { z.clamp(-CUT, CUT) }
        })
    }

    /// The same for a table of all features.
    pub(crate) fn table(&self, x: ArrayView2<f32>) -> Array2<f32> {
        let mut z = Array2::zeros((x.nrows(), self.len()));
        for (row, mut to) in x.rows().into_iter().zip(z.rows_mut()) {
            let row = row.to_vec();
            to.iter_mut()
                .zip(self.apply(&row))
                .for_each(|(to, z)| *to = z);
        }
        z
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().map(|(column, ..)| *column as usize)
    }
}

/// cos(2π u) to a millionth, as far as u itself is exact.
#[inline]
fn cos_of_turns(u: f32) -> f32 {
    // Adding and taking away 1.5 · 2²³ rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let r = u - ((u + ROUND) - ROUND);
    // sin(π r) by its series to r¹¹: |r| ≤ ½, remainder below 6e-8.
    let q = r * r;
    let series = std::f32::consts::PI
        + q * (-5.167_713
            + q * (2.550_164 + q * (-0.599_264_5 + q * (0.082_145_89 - q * 0.007_370_43))));
    let sine = r * series;
    1.0 - 2.0 * sine * sine
}

impl Kernel {
    fn new(scale: Scale, draw: &Draw, weights: &Array1<f32>, centre: f64) -> Self {
        let (inputs, count) = draw.frequencies.dim();
        let blocks = count.div_ceil(LANES);
        let factor = (2.0 / count as f32).sqrt();
        let mut frequencies = Vec::with_capacity(blocks * LANES * inputs);
        let padded = |at: usize, value: &dyn Fn(usize) -> f32| {
            if at < count { value(at) } else { 0.0 }
        };
        for block in 0..blocks {
            for input in 0..inputs {
                let each = block * LANES..(block + 1) * LANES;
                frequencies.extend(each.map(|at| padded(at, &|at| draw.frequencies[(input, at)])));
            }
        }
        let all = 0..blocks * LANES;
        Self {
            scale,
            centre,
            frequencies,
            phases: all
                .clone()
                .map(|at| padded(at, &|at| draw.phases[at]))
                .collect(),
            weights: all
                .map(|at| padded(at, &|at| weights[at] * factor))
                .collect(),
            linear: weights.iter().skip(count).map(|w| w * LINEAR).collect(),
        }
    }

    /// The mean of kernels over the same features; none of none.
    pub(crate) fn mean(kernels: Vec<Self>) -> Option<Self> {
        let share = 1.0 / kernels.len() as f32;
        let mut all = kernels.into_iter();
        let mut mean = all.next()?;
        mean.centre *= f64::from(share);
        mean.weights.iter_mut().for_each(|w| *w *= share);
        mean.linear.iter_mut().for_each(|w| *w *= share);
        for one in all {
            mean.centre += one.centre * f64::from(share);
            mean.frequencies.extend(one.frequencies);
            mean.phases.extend(one.phases);
            mean.weights.extend(one.weights.iter().map(|w| w * share));
            let linear = mean.linear.iter_mut().zip(&one.linear);
            linear.for_each(|(mean, w)| *mean += w * share);
        }
        Some(mean)
    }

    /// The prediction for a row of all features.
    pub(crate) fn predict(&self, row: &[f32]) -> f64 {
        let z: Vec<f32> = self.scale.apply(row).collect();
        self.at(&z)
    }

    fn at(&self, z: &[f32]) -> f64 {
        let mut sums = [0.0_f32; LANES];
        self.each_block(z, |block, turns| {
            let weights = &self.weights[block * LANES..][..LANES];
            for ((sum, u), w) in sums.iter_mut().zip(turns).zip(weights) {
                *sum += w * cos_of_turns(*u);
            }
        });
        let linear: f32 = self.linear.iter().zip(z).map(|(w, z)| w * z).sum();
        let fourier: f64 = sums.iter().map(|x| f64::from(*x)).sum();
        self.centre + fourier + f64::from(linear)
    }

    fn each_block(&self, z: &[f32], mut visit: impl FnMut(usize, &[f32; LANES])) {
        let blocks = self.frequencies.chunks_exact(LANES * z.len().max(1));
        for (block, frequencies) in blocks.enumerate() {
            let mut turns = [0.0_f32; LANES];
            turns.copy_from_slice(&self.phases[block * LANES..][..LANES]);
            for (z, frequencies) in z.iter().zip(frequencies.chunks_exact(LANES)) {
                for (u, f) in turns.iter_mut().zip(frequencies) {
                    *u += z * f;
                }
            }
            visit(block, &turns);
        }
    }

    /// The features it uses, and how far each of them moves the prediction from that of the
    /// average row: the gradient averaged along the straight way there, times the way.
    /// Contributions add up but for the rounding of the average over [`STEPS`] points.
    ///
    /// # Source
    /// Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017.
    pub(crate) fn contributions(&self, row: &[f32]) -> Vec<(usize, f64)> {
        let z: Vec<f32> = self.scale.apply(row).collect();
        let mut gradient = vec![0.0_f64; z.len()];
        for step in 0..STEPS {
            let part = (step as f32 + 0.5) / STEPS as f32;
            let on_the_way: Vec<f32> = z.iter().map(|z| z * part).collect();
            self.add_gradient(&on_the_way, &mut gradient);
        }
        let each = self.scale.columns().zip(gradient.iter().zip(&z));
        each.map(|(column, (g, z))| (column, g / STEPS as f64 * f64::from(*z)))
            .collect()
    }

    fn add_gradient(&self, z: &[f32], gradient: &mut [f64]) {
        let inputs = z.len();
        self.each_block(z, |block, turns| {
            let weights = &self.weights[block * LANES..][..LANES];
            // d cos(2π u) / du = −2π sin(2π u), and sin is cos a quarter turn earlier.
            let mut slopes = [0.0_f32; LANES];
            for ((slope, u), w) in slopes.iter_mut().zip(turns).zip(weights) {
                *slope = -std::f32::consts::TAU * w * cos_of_turns(*u - 0.25);
            }
            let frequencies = &self.frequencies[block * LANES * inputs..][..LANES * inputs];
            for (g, f) in gradient.iter_mut().zip(frequencies.chunks_exact(LANES)) {
                *g += f64::from(slopes.iter().zip(f).map(|(s, f)| s * f).sum::<f32>());
            }
        });
        for (g, w) in gradient.iter_mut().zip(&self.linear) {
            *g += f64::from(*w);
        }
    }

    /// The prediction for the average row.
    pub(crate) fn expected(&self) -> f64 {
        self.at(&vec![0.0; self.scale.len()])
    }

    pub(crate) fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Whether a decoded kernel can be worked with.
    pub(crate) fn is_consistent(&self, features: usize) -> bool {
        let count = self.phases.len();
        count.is_multiple_of(LANES)
            && !self.scale.columns.is_empty()
            && self.scale.columns().all(|column| column < features)
            && self.weights.len() == count
            && self.linear.len() == self.scale.len()
            && self.frequencies.len() == count * self.scale.len()
    }
}

/// Points on the way of an attribution.
const STEPS: usize = 24;

#[cfg(test)]
mod tests;
