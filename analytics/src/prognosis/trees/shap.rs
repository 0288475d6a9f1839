//! Which feature moved a prediction by how much: exact Shapley values of a tree ensemble.
//!
//! The value of a set of known features is the expectation over the rows the trees were grown
//! on, following the tree where a feature is known and the row counts where it is not
//! (path-dependent). Contributions add up to prediction less expectation.
//!
//! # Source
//! Lundberg, Erion & Lee, "Consistent individualized feature attribution for tree ensembles",
//! arXiv:1802.03888, algorithm 2.

use super::Trees;

/// A feature on the way from the root: its share of rows that go this way when it is unknown
/// and when it is known, and the permutation weights of all subsets of the way so far.
#[derive(Debug, Clone, Copy)]
struct Step {
    feature: Option<u16>,
    unknown: f64,
    known: f64,
    weight: f64,
}

impl Trees {
    /// The mean prediction over the rows that the trees were grown on.
    pub fn expected(&self) -> f64 {
        let roots = self.roots.iter();
        self.base
            + roots
                .map(|root| self.mean_below(root.node as usize))
                .sum::<f64>()
    }

    /// The contribution of each feature to the prediction for a row of [`Self::features`]
    /// values, in its unit (log-odds for logistic ensembles). Missing at the end counts as
    /// missing.
    pub fn shap(&self, row: &[f32]) -> Vec<f64> {
        let mut row = row.to_vec();
        row.resize(self.features, f32::NAN);
        let mut contributions = vec![0.0; self.features];
        for root in &self.roots {
            let start = Step {
                feature: None,
                unknown: 1.0,
                known: 1.0,
                weight: 1.0,
            };
            self.descend(root.node as usize, &row, vec![start], &mut contributions);
        }
        contributions
    }

    fn is_leaf(&self, at: usize) -> bool {
        self.nodes[at].left as usize == at
    }

    fn mean_below(&self, at: usize) -> f64 {
        if self.is_leaf(at) {
            return f64::from(self.values[at]);
        }
        let left = self.nodes[at].left as usize;
        let share = |child: usize| f64::from(self.covers[child]) / f64::from(self.covers[at]);
        share(left) * self.mean_below(left) + share(left + 1) * self.mean_below(left + 1)
    }

    fn descend(&self, at: usize, row: &[f32], path: Vec<Step>, contributions: &mut [f64]) {
        if self.is_leaf(at) {
            let value = f64::from(self.values[at]);
            for (place, step) in path.iter().enumerate() {
                if let Some(feature) = step.feature {
                    contributions[usize::from(feature)] +=
                        weight_without(&path, place) * (step.known - step.unknown) * value;
                }
            }
            return;
        }
        let node = self.nodes[at];
        let (feature, left) = (Some(node.feature), node.left as usize);
        let is_right = row[usize::from(node.feature)] > node.threshold;
        let taken = left + usize::from(is_right);
        let mut path = path;
        // A feature that was asked before is one step with the product of its shares.
        let before = path.iter().position(|step| step.feature == feature);
        let (unknown, known) = before.map_or((1.0, 1.0), |place| {
            let shares = (path[place].unknown, path[place].known);
            remove(&mut path, place);
            shares
        });
        for child in [left, left + 1] {
            let share = f64::from(self.covers[child]) / f64::from(self.covers[at]);
            let mut path = path.clone();
            extend(
                &mut path,
                feature,
                unknown * share,
                if child == taken { known } else { 0.0 },
            );
            self.descend(child, row, path, contributions);
        }
    }
}

fn extend(path: &mut Vec<Step>, feature: Option<u16>, unknown: f64, known: f64) {
    let length = path.len();
    path.push(Step {
        feature,
        unknown,
        known,
        weight: 0.0,
    });
    let all = (length + 1) as f64;
    for at in (0..length).rev() {
        path[at + 1].weight += known * path[at].weight * (at + 1) as f64 / all;
        path[at].weight *= unknown * (length - at) as f64 / all;
    }
}

/// Takes back the step at `place`, as if the path had been extended without it.
fn remove(path: &mut Vec<Step>, place: usize) {
    let last = path.len() - 1;
    let weights = weights_without(path, place);
    for at in place..last {
        path[at] = path[at + 1];
    }
    path.pop();
    for (step, weight) in path.iter_mut().zip(weights) {
        step.weight = weight;
    }
}

fn weight_without(path: &[Step], place: usize) -> f64 {
    weights_without(path, place).sum()
}

/// The weights of a path without the step at `place`, from its beginning.
fn weights_without(path: &[Step], place: usize) -> std::vec::IntoIter<f64> {
    let last = path.len() - 1;
    let Step { unknown, known, .. } = path[place];
    let all = path.len() as f64;
    let mut weights = vec![0.0; last];
    let mut next = path[last].weight;
    for at in (0..last).rev() {
        if known == 0.0 {
            weights[at] = path[at].weight * all / (unknown * (last - at) as f64);
        } else {
            weights[at] = next * all / ((at + 1) as f64 * known);
            next = path[at].weight - weights[at] * unknown * (last - at) as f64 / all;
        }
    }
    weights.into_iter()
}
