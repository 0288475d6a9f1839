//! What a detector is: fitted once from a learned stretch, then one score a sample.

use serde::{Serialize, de::DeserializeOwned};

use super::learned::Learned;

/// What one signal adds to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Its slot in the device.
    pub slot: usize,
    /// Its share of the blame, 0 to 1; the shares of a score add up to 1.
    pub share: f64,
    /// How far from normal it is, in healthy spreads, with its sign; 0 for a missing signal.
    pub deviation: f64,
    /// Its value as the detector sees it (smoothed where it smooths), in the signal's unit.
    pub value: f64,
    /// Where it should be, in the signal's unit.
    pub normal: f64,
    /// One healthy spread in the signal's unit, above 0.
    pub spread: f64,
}

/// A detector of abnormal behaviour of one device.
///
/// Every implementation is pure and causal: the score of a sample depends on the learned
/// stretch and on the samples up to it. It is deterministic to the bit, also over a restart
/// from its serialised state, and its scores do not change when a signal is measured in
/// another unit (up to rounding). The conformance suite (`conformance.rs`) holds every
/// detector to this.
///
/// | input | answer |
/// |---|---|
/// | nothing that can be learned from (no signal, no values, always 0) | `fit` gives none |
/// | a signal that never moved while learning | its spread is 1 % of its value |
/// | a missing value | the signal keeps its state and takes no part |
/// | fewer than half of the signals | no score, and nothing changes |
/// | a huge or infinite value | a finite score |
pub trait Detector: Clone + PartialEq + Serialize + DeserializeOwned {
    /// The name in evidence, such as `level`.
    const NAME: &'static str;
    /// Rises when the same samples would give other scores.
    const VERSION: u16;
    /// Whether a score holds itself for some rows and falls again, so that one row beyond the
    /// limit is an alarm. Other scores stay beyond it while the fault lasts, and an on-delay
    /// keeps a passing one from alarming.
    const IS_HELD: bool = false;

    /// Fits to a learned stretch. `order` holds the slots that take part, in an order that
    /// does not depend on how they happened to arrive (that of their names): it decides the
    /// roundings. None when there is nothing to learn from.
    fn fit(learned: &Learned, order: &[usize]) -> Option<Self>;

    /// Scores a sample measured at `at` (microseconds); 1 is the alarm limit. `value(slot)` is
    /// NaN for a signal that is missing or may not be used. None, and nothing changes, when
    /// fewer than half of the signals have a value.
    fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64>;

    /// What each signal adds to the last score, in the order of the fit.
    fn parts(&self) -> Vec<Part>;

    /// Slot and deviation of each signal in the last sample, without allocating.
    fn each_deviation(&self, visit: impl FnMut(usize, f64));

    /// Whether a state that came from outside can be worked with: lengths and slots agree.
    fn is_consistent(&self, slots: usize) -> bool;
}

/// Values beyond this are taken as this, so that squares of sums stay finite.
pub(crate) const LARGEST: f64 = 1e100;

/// Whether at least half of the slots have a value.
pub(crate) fn is_enough(
    slots: impl ExactSizeIterator<Item = usize>,
    value: impl Fn(usize) -> f64,
) -> bool {
    let all = slots.len();
    let live = slots.filter(|slot| !value(*slot).is_nan()).count();
    live > 0 && live * 2 >= all
}
