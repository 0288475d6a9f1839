//! Remaining life, wired: what is learned from, the training beside everything else, the model
//! that serves, and what its forecasts were worth.
//!
//! ```text
//! history, ended orders ─▶ lives ─┐
//! historian ─▶ cycles ────────────┴▶ gather ─▶ TrainedModel::fit ─▶ registry ─▶ promoted ─▶ journal
//!                                                                                            │
//! score ◀── ended lives, stored forecasts                    pipeline: Fleet::serve ◀────────┘
//! ```
//!
//! The models themselves are pure and live in `analytics`; here is what reads, waits and
//! writes.

pub(crate) mod drift;
pub(crate) mod gather;
mod score;
pub(crate) mod serve;
pub(crate) mod trainer;
pub(crate) mod verb;
