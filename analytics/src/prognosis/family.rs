//! What all families of prognosis have in common.
//!
//! A family is fitted (each by its own `fit`, because each eats something else) and then
//! answers one question: how long does this one last, given its history? It may also decline:
//! no answer is better than a guess.

use telemetry::PrognosisFamily;

use super::{Reason, distribution::RulDistribution};

/// A fitted model of remaining life.
pub trait RemainingLife {
    /// What it looks at.
    type History: ?Sized;

    /// Its family.
    fn family(&self) -> PrognosisFamily;

    /// The remaining life from the end of the history on, in the model's unit of time.
    fn remaining(&self, history: &Self::History) -> Result<RulDistribution, Reason>;
}
