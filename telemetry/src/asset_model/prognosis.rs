//! How the remaining life of a kind of machine is learned from past lives of its like.

use serde::{Deserialize, Serialize};

use crate::{ComponentId, SignalName};

/// What a model of remaining life looks at, how far it looks, and what a failure costs.
///
/// The unit of age is the cycle: a fixed length of *running* time. What the machine measured in
/// a cycle becomes one row, the mean of each signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrognosisSpec {
    /// Running time of a cycle, in seconds: a thousandth to a hundredth of a usual life, and
    /// long against the signals' sampling. 1 to 2,592,000 (30 days).
    pub cycle_s: f64,
    /// What a life is counted in: running time, or starts.
    pub axis: LifeAxis,
    /// Starts of a cycle where lives are counted in starts. 1 to 100,000.
    pub cycle_starts: u32,
    /// Signals by which a machine says error codes: a value above zero is the code `NAMEvalue`, as
    /// in `error3` for the value 3 of the signal `error`; the same value again is no new code.
    /// They are not looked at for wear. At most 4.
    pub codes: Vec<SignalName>,
    /// Signals that say what is asked of the machine, such as load or speed set by people. They
    /// tell operating conditions apart and are not looked at for wear. At most 8.
    pub settings: Vec<SignalName>,
    /// Signals that are looked at for wear; empty takes all declared ones that are no settings.
    /// At most 64.
    pub signals: Vec<SignalName>,
    /// The component whose life it is; the machine as a whole when it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentId>,
    /// Horizons for which failure is told, in seconds, rising. 1 to 8 of them.
    pub horizons_s: Vec<f64>,
    /// Remaining life beyond so many cycles counts as that much: a machine that is as good as
    /// new does not show how long it will last. 10 to 100,000.
    pub cap_cycles: f64,
    /// What is paid for planned work and for failures.
    pub costs: PrognosisCosts,
}

impl Default for PrognosisSpec {
    fn default() -> Self {
        Self {
            // An hour: a life of months has some thousand of them.
            cycle_s: 3_600.0,
            axis: LifeAxis::RunningTime,
            cycle_starts: 1,
            codes: Vec::new(),
            settings: Vec::new(),
            signals: Vec::new(),
            component: None,
            // A day to act at once, a week of planning, a fortnight to have parts sent.
            horizons_s: vec![86_400.0, 604_800.0, 1_209_600.0],
            cap_cycles: 125.0,
            costs: PrognosisCosts::default(),
        }
    }
}

/// What wears a machine, and therefore what its age is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeAxis {
    /// Running time: most wear.
    #[default]
    RunningTime,
    /// Starts, from off or idle into running: starters, valves, brakes.
    Starts,
}

/// Costs in any currency; only their ratio matters. Lead time and inspections say what can be
/// done at all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrognosisCosts {
    /// Renewing before it fails; above 0.
    pub planned: f64,
    /// Renewing after it failed, with all that follows; at least `planned`.
    pub failure: f64,
    /// Seconds from the decision until the work can be done; 0 to 31,536,000 (a year).
    pub lead_time_s: f64,
    /// Seconds between two looks at the forecast; above 0, at most a year.
    pub inspection_s: f64,
}

impl Default for PrognosisCosts {
    fn default() -> Self {
        // A failure costs some five times the planned work where it is counted with downtime.
        Self {
            planned: 1.0,
            failure: 5.0,
            lead_time_s: 0.0,
            inspection_s: 86_400.0,
        }
    }
}

/// A year: nothing is planned further ahead.
const YEAR_S: f64 = 31_536_000.0;
/// Each horizon is a column of the reliability table and of every forecast.
const MAX_HORIZONS: usize = 8;
/// Settings are told apart by rounding; with more of them no two cycles are alike.
const MAX_SETTINGS: usize = 8;
/// A code takes a signal's place in every row; controllers have one register, seldom two.
const MAX_CODES: usize = 4;
/// As many as analytics keeps of a device.
const MAX_SIGNALS: usize = 64;

impl PrognosisSpec {
    /// The first number out of range with its key, whatever the rest of the model says.
    pub(super) fn problem(&self) -> Option<(String, String)> {
        let Self { costs, .. } = self;
        let rising = self.horizons_s.is_sorted_by(|a, b| a < b);
        let horizons = !self.horizons_s.is_empty()
            && self.horizons_s.len() <= MAX_HORIZONS
            && self.horizons_s.iter().all(|h| *h > 0.0 && *h <= YEAR_S);
        let checks = [
            (
                "cycle_s",
                (1.0..=2_592_000.0).contains(&self.cycle_s),
                "use 1 to 2,592,000 seconds",
            ),
            (
                "cycle_starts",
                (1..=100_000).contains(&self.cycle_starts),
                "use 1 to 100,000 starts",
            ),
            ("codes", self.codes.len() <= MAX_CODES, "at most 4"),
            ("settings", self.settings.len() <= MAX_SETTINGS, "at most 8"),
            ("signals", self.signals.len() <= MAX_SIGNALS, "at most 64"),
            (
                "horizons_s",
                horizons && rising,
                "use 1 to 8 rising horizons, each above 0 and at most a year of seconds",
            ),
            (
                "cap_cycles",
                (10.0..=100_000.0).contains(&self.cap_cycles),
                "use 10 to 100,000 cycles",
            ),
            (
                "costs.planned",
                costs.planned > 0.0 && costs.planned.is_finite(),
                "must be above zero",
            ),
            (
                "costs.failure",
                costs.failure >= costs.planned && costs.failure.is_finite(),
                "must be at least what planned work costs",
            ),
            (
                "costs.lead_time_s",
                (0.0..=YEAR_S).contains(&costs.lead_time_s),
                "use 0 seconds to a year of them",
            ),
            (
                "costs.inspection_s",
                costs.inspection_s > 0.0 && costs.inspection_s <= YEAR_S,
                "use more than 0 seconds, at most a year of them",
            ),
        ];
        let found = checks.into_iter().find(|(_, holds, _)| !holds);
        found.map(|(key, _, problem)| (key.to_owned(), problem.to_owned()))
    }
}
