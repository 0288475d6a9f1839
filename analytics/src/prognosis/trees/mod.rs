//! Gradient boosted regression trees on histograms.
//!
//! Trees are grown leaf by leaf, always where the loss falls most, on columns of at most 255
//! bins (`bins`, `grow`). Each round sees a random part of the rows and of the columns.
//! A fitted ensemble is a flat array: every tree takes as many steps as it is deep, leaves
//! lead to themselves, so that walking needs no branch that a processor could guess wrong.
//!
//! Own code, because what carries this program's forecasts must be exactly explainable
//! (`shap`), stored in a versioned binary form, bit-equal for a seed, and fast enough to be
//! refitted on two cores within a minute; `deploy/bench/prognosis_peers.py` compares it with
//! `LightGBM`.
//!
//! # Source
//! Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
//! Statistics 29 (2001); second-order leaf values and gain: Chen & Guestrin, "`XGBoost`", KDD
//! 2016; leaf-wise growth on histograms: Ke et al., "`LightGBM`", NIPS 2017.

pub(crate) mod bins;
mod grow;
mod shap;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::AnalyticsError;
use bins::Binned;

/// Most features of an ensemble: a node keeps its feature in 16 bits.
pub const MAX_FEATURES: usize = 4_096;
/// Most rows of a fit: 1 GB of bins at two hundred features.
pub const MAX_ROWS: usize = 4_000_000;

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Half the squared error; the prediction is the conditional mean.
    Squared,
    /// The negative log-likelihood of labels 0 and 1; the prediction is the log-odds.
    Logistic,
}

/// How an ensemble is grown. The defaults lie on the plateau of cross-validation on simulated
/// turbofans (7 to 31 leaves and 150 to 600 rounds differ by less than 0.15 cycles).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreesConfig {
    /// Trees, 1..=10000.
    pub rounds: usize,
    /// Shrinkage of each tree, above 0 and at most 1.
    pub rate: f64,
    /// Most leaves of a tree, 2..=1024.
    pub leaves: usize,
    /// Most splits between the root and a leaf, 1..=32.
    pub depth: usize,
    /// Fewest rows of a leaf, at least 1.
    pub min_rows: usize,
    /// Part of the columns a tree may use, in (0, 1].
    pub columns: f64,
    /// Part of the rows a tree is grown on, in (0, 1].
    pub rows: f64,
    /// Ridge on leaf values, at least 0.
    pub l2: f64,
    /// Where chance starts.
    pub seed: u64,
}

impl Default for TreesConfig {
    fn default() -> Self {
        Self {
            rounds: 300,
            rate: 0.05,
            leaves: 15,
            depth: 10,
            min_rows: 100,
            columns: 0.3,
            rows: 0.7,
            l2: 5.0,
            seed: 0,
        }
    }
}

impl TreesConfig {
    fn is_valid(&self) -> bool {
        let part = |x: f64| x > 0.0 && x <= 1.0;
        (1..=10_000).contains(&self.rounds)
            && part(self.rate)
            && (2..=1_024).contains(&self.leaves)
            && (1..=32).contains(&self.depth)
            && self.min_rows >= 1
            && part(self.columns)
            && part(self.rows)
            && self.l2 >= 0.0
            && self.l2.is_finite()
    }
}

/// A split, or a leaf that leads to itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    /// Values above go right, all others and what is missing go left.
    threshold: f32,
    /// The left child; the right one is the next.
    left: u32,
    feature: u16,
}

/// Where a tree begins, and how many steps reach any of its leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    node: u32,
    depth: u32,
}

/// A fitted ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    loss: Loss,
    features: usize,
    base: f64,
    roots: Vec<Root>,
    nodes: Vec<Node>,
    /// Of each node: what a leaf adds, 0 for a split.
    values: Vec<f32>,
    /// Of each node: rows that came through while it was grown.
    covers: Vec<f32>,
}

impl Trees {
    /// Fits an ensemble to `x` of shape `(n_samples, n_features)`; NaN = missing.
    ///
    /// # Errors
    /// When shapes do not agree, a target is not finite (not 0 or 1 for [`Loss::Logistic`]),
    /// there is no row, or the configuration is out of range.
    pub fn fit(
        x: ArrayView2<f32>,
        y: &[f32],
        loss: Loss,
        config: &TreesConfig,
    ) -> Result<Self, AnalyticsError> {
        let rows: Vec<u32> = (0..x.nrows() as u32).collect();
        let columns: Vec<usize> = (0..x.ncols()).collect();
        Self::fit_binned(&Binned::new(x, &columns)?, &rows, y, loss, config)
    }

    /// Fits to some rows of a table that was put into bins before. `y` has a target for each
    /// row of the table; those of other rows are not looked at.
    pub(crate) fn fit_binned(
        table: &Binned,
        rows: &[u32],
        y: &[f32],
        loss: Loss,
        config: &TreesConfig,
    ) -> Result<Self, AnalyticsError> {
        let refuse = |problem: &str| {
            Err(AnalyticsError::Learning {
                what: "boosted trees",
                problem: problem.to_owned(),
            })
        };
        if !config.is_valid() {
            return refuse("a setting is out of range");
        }
        if rows.is_empty() || y.len() != table.rows() {
            return refuse("needs a target for each of at least one row");
        }
        let allowed = |y: f32| match loss {
            Loss::Squared => y.is_finite(),
            // Only 0 and 1 make this product 0.
            Loss::Logistic => y * (1.0 - y) == 0.0,
        };
        if !rows.iter().all(|&row| allowed(y[row as usize])) {
            return refuse("a target is not a number, or not 0 or 1");
        }
        Ok(grow::boost(table, rows, y, loss, config))
    }

    /// The mean of ensembles for the same features and loss; none of none.
    pub(crate) fn mean(ensembles: Vec<Self>) -> Option<Self> {
        let share = 1.0 / ensembles.len() as f64;
        let mut all = ensembles.into_iter();
        let mut mean = all.next()?;
        mean.base *= share;
        mean.values.iter_mut().for_each(|v| *v *= share as f32);
        for one in all {
            let offset = mean.nodes.len() as u32;
            mean.base += one.base * share;
            mean.roots.extend(one.roots.iter().map(|root| Root {
                node: root.node + offset,
                ..*root
            }));
            mean.nodes.extend(one.nodes.iter().map(|node| Node {
                left: node.left + offset,
                ..*node
            }));
            mean.values
                .extend(one.values.iter().map(|v| v * share as f32));
            mean.covers.extend(one.covers);
        }
        Some(mean)
    }

    /// The same ensemble for rows in which feature i stands at `columns[i]` among `features`.
    pub(crate) fn over(mut self, columns: &[usize], features: usize) -> Self {
        for node in &mut self.nodes {
            let column = columns.get(usize::from(node.feature)).copied();
            node.feature = column.unwrap_or(0) as u16;
        }
        self.features = features;
        self
    }

    /// Number of features of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The sum over all trees for a row of [`Self::features`] values: the expected target, or
    /// its log-odds. A shorter row counts as missing at its end.
    pub fn predict(&self, row: &[f32]) -> f64 {
        if row.len() < self.features {
            let mut padded = row.to_vec();
            padded.resize(self.features, f32::NAN);
            return self.predict(&padded);
        }
        let mut sum = self.base;
        let mut roots = self.roots.chunks_exact(LANES);
        for lanes in &mut roots {
            sum += self.walk_lanes(lanes, row);
        }
        for root in roots.remainder() {
            sum += f64::from(self.values[self.walk(*root, row)]);
        }
        sum
    }

    /// The probability of label 1 of an ensemble fitted with [`Loss::Logistic`].
    pub fn probability(&self, row: &[f32]) -> f64 {
        1.0 / (1.0 + (-self.predict(row)).exp())
    }

    fn walk(&self, root: Root, row: &[f32]) -> usize {
        let mut at = root.node as usize;
        for _ in 0..root.depth {
            let node = &self.nodes[at];
            let is_right = row[usize::from(node.feature)] > node.threshold;
            at = node.left as usize + usize::from(is_right);
        }
        at
    }

    /// Several trees in step, so that their memory accesses overlap.
    fn walk_lanes(&self, roots: &[Root], row: &[f32]) -> f64 {
        let mut at = [0_usize; LANES];
        let mut depth = 0;
        for (at, root) in at.iter_mut().zip(roots) {
            *at = root.node as usize;
            depth = depth.max(root.depth);
        }
        for _ in 0..depth {
            for at in &mut at {
                let node = &self.nodes[*at];
                let is_right = row[usize::from(node.feature)] > node.threshold;
                *at = node.left as usize + usize::from(is_right);
            }
        }
        at.iter().map(|&at| f64::from(self.values[at])).sum()
    }

    /// Whether a decoded ensemble can be walked: every child and feature exists, and every
    /// tree ends. A file from outside is checked before it is believed.
    pub fn is_consistent(&self) -> bool {
        let nodes = self.nodes.len();
        let node_is_fine = |(at, node): (usize, &Node)| {
            let left = node.left as usize;
            let is_leaf = left == at && node.threshold == f32::INFINITY;
            usize::from(node.feature) < self.features.max(1)
                && (is_leaf || (left > at && left + 1 < nodes && !node.threshold.is_nan()))
        };
        self.values.len() == nodes
            && self.covers.len() == nodes
            && self.base.is_finite()
            && self.values.iter().all(|v| v.is_finite())
            && self.features <= MAX_FEATURES
            && self.nodes.iter().enumerate().all(node_is_fine)
            && self
                .roots
                .iter()
                .all(|root| (root.node as usize) < nodes && root.depth <= MAX_DEPTH)
    }
}

/// Trees walked together.
const LANES: usize = 8;
/// The deepest tree a configuration can ask for.
const MAX_DEPTH: u32 = 32;

#[cfg(test)]
mod tests;
