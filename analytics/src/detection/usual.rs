//! What the features that a model's signatures name usually are: mean and standard deviation
//! of each over the stretch that normal was learned from.
//!
//! A signature term `signal.feature` is compared with the deviation of the feature from that,
//! in its standard deviations. Features are of windows, so they are smooth already: the one
//! of the moment counts. All load regimes have one usual here: a feature that differs between
//! them has a wide one and says little, rather than something wrong.
//!
//! # Source
//! Mean and variance by one pass: Welford, Technometrics 4 (1962).

use serde::{Deserialize, Serialize};

use super::healthy::STILL_SPREAD;
use crate::Feature;

/// Values before a feature has a usual: one full window.
const FEWEST: u32 = 64;

/// What one feature usually is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Usual {
    slot: usize,
    feature: Feature,
    count: u32,
    mean: f64,
    /// Sum of squared distances from the mean.
    square: f64,
}

/// What the features of a device usually are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UsualFeatures(Vec<Usual>);

impl UsualFeatures {
    /// Follows these features from now on; those that were followed already go on.
    pub(crate) fn bind(&mut self, features: &[(usize, Feature)]) {
        let usual = |&(slot, feature): &(usize, Feature)| {
            let mut known = self.0.iter();
            let known = known.find(|one| (one.slot, one.feature) == (slot, feature));
            known.cloned().unwrap_or(Usual {
                slot,
                feature,
                count: 0,
                mean: 0.0,
                square: 0.0,
            })
        };
        self.0 = features.iter().map(usual).collect();
    }

    /// Forgets what was usual.
    pub(crate) fn forget(&mut self) {
        for one in &mut self.0 {
            (one.count, one.mean, one.square) = (0, 0.0, 0.0);
        }
    }

    /// Takes the features of a sample that normal is learned from; none is one that cannot be
    /// said.
    pub(crate) fn learn(&mut self, value: impl Fn(usize, Feature) -> Option<f64>) {
        for one in &mut self.0 {
            if let Some(value) = value(one.slot, one.feature) {
                one.count = one.count.saturating_add(1);
                let step = value - one.mean;
                one.mean += step / f64::from(one.count);
                one.square += step * (value - one.mean);
            }
        }
    }

    /// How far the features are from what is usual, in their spreads and the order of
    /// [`Self::bind`]; 0 where that cannot be said.
    pub(crate) fn deviations(&self, value: impl Fn(usize, Feature) -> Option<f64>) -> Vec<f64> {
        let deviation = |one: &Usual| {
            let value = value(one.slot, one.feature).filter(|_| one.count >= FEWEST);
            let spread = (one.square / f64::from(one.count.max(1))).sqrt();
            let spread = spread.max(STILL_SPREAD * one.mean.abs());
            let deviation = value.map_or(0.0, |value| (value - one.mean) / spread);
            if deviation.is_finite() {
                deviation
            } else {
                0.0
            }
        };
        self.0.iter().map(deviation).collect()
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.0.len() <= telemetry::MAX_FEATURES && self.0.iter().all(|one| one.slot < slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_compared_with_what_it_was_while_learning() {
        let mut usual = UsualFeatures::default();
        usual.bind(&[(0, Feature::Kurtosis), (1, Feature::Std)]);
        // Kurtosis 2 and 4 in turns: mean 3, standard deviation 1; the other is not there.
        let at = |kurtosis: f64| move |slot: usize, _| (slot == 0).then_some(kurtosis);
        for row in 0..64 {
            assert!(usual.deviations(at(9.0)).iter().all(|z| z.abs() < 1e-12));
            usual.learn(at(if row % 2 == 0 { 2.0 } else { 4.0 }));
        }
        let [kurtosis, std] = usual.deviations(at(8.0))[..] else {
            panic!("two features");
        };
        assert!((kurtosis - 5.0).abs() < 1e-12 && std.abs() < 1e-12);
        usual.bind(&[(1, Feature::Std), (0, Feature::Kurtosis)]);
        assert!(
            (usual.deviations(at(8.0))[1] - 5.0).abs() < 1e-12,
            "goes on"
        );
        usual.forget();
        assert!(usual.deviations(at(8.0))[1].abs() < 1e-12);
        assert!(usual.is_consistent(2) && !usual.is_consistent(1));
    }
}
