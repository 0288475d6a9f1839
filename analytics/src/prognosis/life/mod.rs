//! Life data: what the ages at failure of other assets say, without a single reading.
//!
//! A plant that only kept its work orders knows how long its parts lasted, and how long those
//! have lasted that are still running. From this follow the survival curve without any
//! assumption ([`kaplan_meier`]) and a Weibull model with what tells assets apart (model, age,
//! usage), which says of a part of any age how much longer it will last ([`LifeModel`]).
//!
//! Which of these count, and whether they serve, is decided by the lives themselves
//! ([`LifeData`]).
//!
//! A life that ended without a failure (replaced while healthy, or still running) is
//! *censored*: it lasted at least so long. A part that was already running when records begin
//! is *entered* at its age then: had it failed before, nobody would have noted it. Leaving
//! either out, or counting them as failures, makes every later order wrong.

mod choice;
mod covariates;
mod kaplan_meier;
mod past;
mod records;
mod weibull;

pub use choice::{Effect, LifeData, LifeReport};
pub use covariates::{Covariates, LeftOut, WhyNot};

pub use kaplan_meier::{KaplanMeier, Step, kaplan_meier};
pub use past::PastLife;
pub use records::{LifeEvent, one_hot, records_of};
pub use weibull::{Coefficient, LifeConfig, LifeModel};

use serde::{Deserialize, Serialize};

/// One life of one part, in the caller's unit of time or use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeRecord {
    /// Age at which it was first watched; 0 when since new.
    #[serde(default)]
    pub entered: f64,
    /// Age at the failure, or at the end of the watch.
    pub duration: f64,
    /// Whether it failed then; otherwise it lasted at least so long.
    pub failed: bool,
    /// What tells assets apart, in the order of the model's names.
    #[serde(default)]
    pub covariates: Vec<f64>,
}

#[cfg(test)]
mod chosen;
#[cfg(test)]
mod tests;
