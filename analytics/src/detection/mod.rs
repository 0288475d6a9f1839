//! State detection (SD): is what a device measures normal?
//!
//! Principal component monitoring (Hotelling's T² in the principal subspace, Q in the
//! residual) on smoothed, drift-scaled deviations from a baseline:
//!
//! 1. *Smooth*: e ← e + 0.1 (x − e), one step a sample. One row moves e by at most
//!    [`scorer::MAX_STEP`] spreads, so a spike passes and a jump is followed within rows.
//! 2. *Learn* ([`learning`], [`baseline`]): per signal the centre (median) and the healthy
//!    spread s, widened for signals that wander; PCA on the correlations.
//! 3. *Score* ([`scorer`]): z = (e − b)/s; `score = √(T²/limit + Q/limit)`, the
//!    combined index of Yue & Qin (2001); 1 is the alarm limit. The limits are the textbook ones for
//!    99 % ([`limits`]) widened by [`baseline::LIMIT_WIDENING`].
//! 4. *Follow*: b creeps after slow drift, stops at a clear fault, and never leaves the
//!    learned centre by more than [`scorer::MAX_DRIFT`] spreads, so that a fault which grows
//!    slower than the baseline can creep is still found.
//! 5. *Decide* ([`alarm`]): on- and off-delay with hysteresis.
//! 6. *Explain*: shares per signal ([`scorer`]) and the failure mode ([`signature`]).

pub mod agreement;
pub(crate) mod alarm;
pub mod any;
pub(crate) mod baseline;
pub mod bounds;
#[cfg(test)]
mod conformance;
pub mod cusum;
pub mod detector;
pub(crate) mod healthy;
pub mod innovation;
pub mod learned;
pub(crate) mod learning;
pub mod level;
pub(crate) mod limits;
pub mod pca;
pub(crate) mod scorer;
pub mod sensor;
pub(crate) mod signature;
pub mod tail;
