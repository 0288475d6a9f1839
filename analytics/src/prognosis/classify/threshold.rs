//! One threshold for warnings, by what false warnings may cost.
//!
//! A warning is false when the component does not fail within the horizon; all hours of one
//! day are one warning. The lowest threshold of a coarse grid that keeps the budget is taken:
//! a finer one would follow the chance of a few warnings.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The thresholds that are tried.
const GRID: [f64; 12] = [
    0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95,
];

/// What was said of a component at a moment, by a model that had not seen its machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Which component of which machine, any number that tells them apart.
    pub component: u64,
    /// The day, counted from anywhere.
    pub day: i64,
    /// The probability.
    pub probability: f64,
    /// Whether it failed within the horizon.
    pub failed: bool,
}

/// How many false warnings there may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// False warnings a machine and month.
    pub per_machine_month: f64,
    /// Months of machines that were watched throughout.
    pub machine_months: f64,
}

/// A threshold and what it did on the rows it was chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Warn from this probability on.
    pub at: f64,
    /// False warnings at it.
    pub false_warnings: usize,
    /// The same a machine and month.
    pub per_machine_month: f64,
    /// Whether the budget is kept; if not, it is the highest threshold there is.
    pub keeps_budget: bool,
}

/// Chooses the threshold on rows of machines that were watched throughout.
pub fn choose_threshold(rows: &[Said], budget: &Budget) -> Threshold {
    let at = |threshold: f64| {
        let false_days: BTreeSet<(u64, i64)> = rows
            .iter()
            .filter(|row| row.probability >= threshold && !row.failed)
            .map(|row| (row.component, row.day))
            .collect();
        let per_machine_month = false_days.len() as f64 / budget.machine_months;
        Threshold {
            at: threshold,
            false_warnings: false_days.len(),
            per_machine_month,
            keeps_budget: per_machine_month <= budget.per_machine_month,
        }
    };
    let mut tried = GRID.iter().map(|threshold| at(*threshold));
    let kept = tried.find(|threshold| threshold.keeps_budget);
    kept.unwrap_or_else(|| at(GRID[GRID.len() - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_threshold_within_the_budget_is_taken() {
        let said = |component: u64, day: i64, probability: f64, failed: bool| Said {
            component,
            day,
            probability,
            failed,
        };
        let mut rows = vec![said(1, 1, 0.99, true), said(1, 2, 0.12, false)];
        // Three hours of one day are one warning.
        rows.extend([
            said(2, 3, 0.35, false),
            said(2, 3, 0.34, false),
            said(2, 3, 0.33, false),
        ]);
        rows.push(said(3, 3, 0.65, false));
        let budget = |per_machine_month: f64| Budget {
            per_machine_month,
            machine_months: 10.0,
        };
        for (allowed, at, false_warnings) in
            [(0.3, 0.05, 3), (0.2, 0.15, 2), (0.1, 0.4, 1), (0.0, 0.7, 0)]
        {
            let chosen = choose_threshold(&rows, &budget(allowed));
            assert_eq!((chosen.at, chosen.false_warnings), (at, false_warnings));
            assert!(chosen.keeps_budget);
        }
        let always = [said(1, 1, 1.0, false)];
        let chosen = choose_threshold(&always, &budget(0.0));
        assert!(!chosen.keeps_budget && chosen.at > 0.94);
    }
}
