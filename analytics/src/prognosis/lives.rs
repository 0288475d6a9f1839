//! What the fleet has lived through: one life is one component of one asset from its
//! installation, or from when it was first watched, to its failure or to the end of watching.
//!
//! Time is counted in *cycles*: equal stretches of running time, one row each. What a cycle
//! is (a flight, an hour, a batch) is the caller's decision and the same for the whole fleet.

use serde::{Deserialize, Serialize};

/// How watching a life ended, at its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifeEnd {
    /// The component failed.
    Failed,
    /// It was replaced while healthy, or it is still running.
    Censored,
}

/// One cycle of one asset.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CycleRow {
    /// What the machine was asked to do: settings that are not effects of its health, in the
    /// order of the model, in any unit. May be empty.
    pub settings: Vec<f64>,
    /// A value for each signal of the model, in its order and in any unit; NaN = missing.
    pub values: Vec<f64>,
}

/// One life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Whose life: cross-validation never has lives of one asset on both sides.
    pub asset: String,
    /// Age in cycles before the first row: 0 for a life that is watched from its beginning,
    /// none when it is unknown.
    pub age: Option<f64>,
    /// The cycles in order.
    pub rows: Vec<CycleRow>,
    /// How it ended.
    pub end: LifeEnd,
}

impl Life {
    /// Cycles left after row `index` until the last row.
    pub fn remaining(&self, index: usize) -> f64 {
        self.rows.len().saturating_sub(index + 1) as f64
    }
}
