//! How alike two patterns of deviations are, apart from what healthy signals do together.
//!
//! The load moves flow, pressure, current and speed of a healthy machine at once. When a fault
//! has just become larger than the alarm limit, the load of that hour is as large, and the
//! plain angle between deviations and a signature sees both. So both are whitened first with
//! the correlations R of the learned stretch: a movement that is usual for a healthy machine
//! counts little, one against the usual counts much.
//!
//! A signature is written by hand and is not exact either. An error of about a healthy spread
//! in each of its terms, independent of the others, adds the identity to R, and (R + I) / 2 is
//! R with every correlation halved. Without it the angle would rest on differences of a few
//! hundredths between signals that move together, which nobody can write down.
//!
//! ```text
//! cos(z, s) = zᵀM s / √(zᵀM z · sᵀM s)        M = ((R + I) / 2)⁻¹
//! ```
//!
//! # Source
//! The angle in the metric of the healthy covariance is the one of fault isolation by
//! reconstruction: Alcala & Qin, "Reconstruction-based contribution for process monitoring",
//! Automatica 45 (2009).

use serde::{Deserialize, Serialize};

use super::{
    healthy::{Signal, Whitener, correlations, spread_of},
    learned::Learned,
};

/// The part of a healthy correlation that is believed when patterns are compared.
const BELIEVED: f64 = 0.5;

/// A metric for deviations by slot; the default knows of no correlations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Metric {
    /// The slots that have a healthy spread, in the order of the whitener.
    slots: Vec<usize>,
    whitener: Option<Whitener>,
}

impl Metric {
    /// The metric of a learned stretch; `order` holds the slots in the order of their names.
    pub(crate) fn fit(learned: &Learned, order: &[usize]) -> Self {
        let columns: Vec<Vec<f64>> = (0..learned.slots())
            .map(|slot| learned.level(slot).to_vec())
            .collect();
        let known = |slot: &usize| spread_of(*slot, &columns[*slot]);
        let signals: Vec<Signal> = order.iter().filter_map(known).collect();
        if signals.is_empty() {
            return Self::default();
        }
        let mut believed = correlations(&columns, &signals) * BELIEVED;
        believed.diag_mut().fill(1.0);
        Self {
            slots: signals.iter().map(|signal| signal.slot).collect(),
            whitener: Some(Whitener::new(&believed)),
        }
    }

    /// A pattern by slot in coordinates in which healthy deviations are alike in all
    /// directions; slots without a healthy spread keep their value.
    pub(crate) fn whiten(&self, pattern: &[f64]) -> Vec<f64> {
        let mut white = pattern.to_vec();
        let Some(whitener) = &self.whitener else {
            return white;
        };
        let of = |slot: &usize| pattern.get(*slot).copied().unwrap_or(0.0);
        let known: Vec<f64> = self.slots.iter().map(of).collect();
        let mut out = vec![0.0; known.len()];
        whitener.apply(&known, &mut out);
        for (slot, value) in self.slots.iter().zip(out) {
            if let Some(white) = white.get_mut(*slot) {
                *white = value;
            }
        }
        white
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        let size = self.slots.len();
        self.slots.iter().all(|slot| *slot < slots)
            && self
                .whitener
                .as_ref()
                .map_or(size == 0, |w| w.is_consistent(size))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn cosine(metric: &Metric, a: &[f64], b: &[f64]) -> f64 {
        let (a, b) = (metric.whiten(a), metric.whiten(b));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    }

    #[test]
    fn the_angle_is_that_of_the_healthy_covariance() {
        // By hand: M is [[1, -0.4], [-0.4, 1]] up to a factor, which the cosine does not see.
        let metric = Metric {
            slots: vec![2, 0],
            whitener: Some(Whitener::new(&array![[1.0, 0.4], [0.4, 1.0]])),
        };
        for (z, expected) in [
            ([-1.5, 0.0, 2.0], 2.6 / 8.65_f64.sqrt()),
            ([1.5, 0.0, 2.0], 1.4 / 3.85_f64.sqrt()),
            // A slot without a healthy spread counts as it is, beside the others.
            ([0.0, 0.0, 1.0], 1.0),
        ] {
            let got = cosine(&metric, &z, &[0.0, 0.0, 1.0]);
            assert!((got - expected).abs() < 1e-12, "{z:?}: {got}");
        }
        assert!(metric.is_consistent(3) && !metric.is_consistent(2));
        let plain = cosine(&Metric::default(), &[-1.5, 0.0, 2.0], &[0.0, 0.0, 1.0]);
        assert!((plain - 0.8).abs() < 1e-12);
    }

    #[test]
    fn the_swing_of_the_load_hides_no_fault() {
        // Four signals follow the load, each with a little noise of its own.
        let mut learned = Learned::new(400, 4);
        for row in 0..400 {
            let at = row as f64;
            let load = (at / 30.0).sin();
            learned.push(row, |slot| {
                let own = (at * (1.3 + 0.4 * slot as f64)).sin();
                10.0 + load + 0.1 * own
            });
        }
        let metric = Metric::fit(&learned, &[0, 1, 2, 3]);
        // A low load, and a fault in one signal that is hardly larger.
        let (fault, deviations) = ([1.0, 0.0, 0.0, 0.0], [2.0, -1.5, -1.5, -1.5]);
        assert!(cosine(&Metric::default(), &deviations, &fault) < 0.7);
        assert!(cosine(&metric, &deviations, &fault) > 0.8);
    }
}
