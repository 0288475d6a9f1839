//! A life on record with what is known of its machine.

use std::sync::Arc;

use super::LifeRecord;
use crate::prognosis::diary::Diary;

/// A life that ended, or that lasts, with its beginning on record.
#[derive(Debug, Clone)]
pub struct PastLife {
    /// Whose: cross-validation never has lives of one asset on both sides.
    pub asset: String,
    /// When it began, microseconds.
    pub began: i64,
    /// How long it lasted, or has lasted, in units of the model.
    pub duration: f64,
    /// Whether it ended in a failure.
    pub failed: bool,
    /// How long it could have been watched if it had not failed, in the same units: until now, or
    /// until it was replaced.
    pub watchable: f64,
    /// What was written about the machine.
    pub diary: Arc<Diary>,
}

impl PastLife {
    /// As a life model takes it.
    pub(super) fn record(&self, covariates: Vec<f64>) -> LifeRecord {
        LifeRecord {
            entered: 0.0,
            duration: self.duration,
            failed: self.failed,
            covariates,
        }
    }
}
