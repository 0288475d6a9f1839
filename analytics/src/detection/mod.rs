//! State detection (SD): is what a device measures normal?
//!
//! 1. *Sensors first* ([`sensor`]): a signal whose sensor cannot be believed takes no part in
//!    what follows, neither in verdicts nor in learning.
//! 2. *Learn* ([`learned`]): a healthy stretch in bounded memory, to which every detector is
//!    fitted by one trait ([`detector`]).
//! 3. *Score*: one number a sample, 1 is the alarm limit. Which detectors run is decided by
//!    the asset model; without one several signals are watched by level and innovation in
//!    agreement ([`agreement`]) and a single one by tail-calibrated statistics ([`tail`]).
//! 4. *Follow*: what drifts slowly is followed, what is clearly a fault is not.
//! 5. *Decide* (`alarm`): on- and off-delay with hysteresis.
//! 6. *Explain*: shares per signal and the failure mode (`signature`, `metric`).

pub mod agreement;
pub(crate) mod alarm;
pub mod among;
pub mod any;
pub(crate) mod baseline;
pub(crate) mod bounds;
pub mod calibration;
#[cfg(test)]
mod conformance;
pub mod cusum;
pub mod detector;
pub(crate) mod healthy;
pub mod innovation;
pub mod learned;
pub mod level;
pub(crate) mod limits;
pub(crate) mod metric;
pub mod pca;
pub(crate) mod scorer;
pub mod sensor;
pub(crate) mod signature;
pub mod tail;
pub(crate) mod usual;
