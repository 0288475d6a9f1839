//! What happened in a simulated year, order by order and fault by fault.

use telemetry::{AlertSource, Outcome, Timestamp, WorkOrderId};

/// An order of a case, as it went.
#[derive(Debug, Clone)]
pub(super) struct OrderFact {
    /// The order.
    pub(super) id: WorkOrderId,
    /// Which machine.
    pub(super) machine: usize,
    /// Whether it was about a sensor.
    pub(super) of_sensor: bool,
    /// Who raised the alarm.
    pub(super) source: AlertSource,
    /// What was foreseen.
    pub(super) mode: String,
    /// When the alarm rose.
    pub(super) opened_at: Timestamp,
    /// When the work was done; none when the year ended before.
    pub(super) done_at: Option<Timestamp>,
    /// What was found.
    pub(super) outcome: Option<Outcome>,
    /// What really failed.
    pub(super) found_mode: Option<String>,
}

/// What became of a fault.
#[derive(Debug, Clone)]
pub(super) struct FaultFact {
    /// Which machine.
    pub(super) machine: usize,
    /// What was failing.
    pub(super) mode: &'static str,
    /// When it began.
    pub(super) onset: Timestamp,
    /// When it would end, or ended, in a failure.
    pub(super) fails_at: Timestamp,
    /// When it was mended before that.
    pub(super) mended_at: Option<Timestamp>,
    /// When the alarm rose whose order mended it, or stood open when it failed.
    pub(super) alarm_at: Option<Timestamp>,
}

/// What happened in a year.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) orders: Vec<OrderFact>,
    pub(super) faults: Vec<FaultFact>,
    /// Readings that were taken in.
    pub(super) readings: u64,
    /// How often the limit of an alert was moved.
    pub(super) recalibrations: u32,
}
