//! Principal component monitoring as a detector: Hotelling's T² and Q in one index.
//!
//! The method is described in `super::scorer` and `super::baseline`. It asks whether the
//! correlations still hold (Q) and how far along them the machine has moved (T²); the level
//! view asks the same in one number and finds more on the recordings known to us, so this is
//! an option, for plants whose engineers are used to it.

use serde::{Deserialize, Serialize};

use super::{
    baseline::Baseline,
    detector::{Detector, Part},
    learned::Learned,
    scorer::Scorer,
};

/// T² and Q of one device. State: p² + 9 p numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca(Scorer);

impl Detector for Pca {
    const NAME: &'static str = "pca-t2-q";
    const VERSION: u16 = 2;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let mut columns = vec![vec![f64::NAN; 1]; learned.slots()];
        let mut rank = vec![usize::MAX; learned.slots()];
        for (place, &slot) in order.iter().enumerate() {
            columns[slot] = learned.level(slot).to_vec();
            rank[slot] = place;
        }
        let (from, to) = learned.span();
        let baseline = Baseline::fit(&columns, &rank, (learned.rows(), from, to))?;
        Some(Self(Scorer::new(baseline, |slot| learned.smoothed(slot))))
    }

    fn score(&mut self, _at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        self.0.score(value).map(|verdict| verdict.score)
    }

    fn parts(&self) -> Vec<Part> {
        let shares = self.0.shares();
        shares
            .iter()
            .map(|part| Part {
                slot: part.slot,
                share: part.share,
                deviation: part.z,
                value: part.value,
                normal: part.base,
                spread: part.spread,
            })
            .collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        let signals = self.0.baseline.signals.iter();
        for (signal, &z) in signals.zip(self.0.deviations()) {
            visit(signal.slot, z);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        self.0.is_consistent(slots)
    }
}
