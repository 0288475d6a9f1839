//! What the desk speaks of: what is watched, how far it was heard, and what a call changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use telemetry::{
    AssetId, CaseId, DeviceId, FailureMode, Finding, Places, RuleId, SensorReport, SignalName,
    Timestamp, WorkOrderId,
};

use crate::{
    Care, Case, CaseChange, CaseEvent, CaseEventKind, CaseSettings, MaintenanceWindow, Silence,
};

/// What of a device an alarm is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The machine, as its detectors judge it.
    Machine,
    /// One of its sensors.
    Sensor(SignalName),
    /// The machine or a sensor, as a rule judges it.
    Rule(RuleId),
}

/// What is watched: a device as it watches one asset (it may have watched another one before),
/// and what of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watch {
    /// The asset.
    pub asset: AssetId,
    /// The device.
    pub device: DeviceId,
    /// What of it.
    pub of: Subject,
}

impl Watch {
    /// The machine as a device watches it.
    pub fn machine(asset: &AssetId, device: &DeviceId) -> Self {
        Self {
            asset: asset.clone(),
            device: device.clone(),
            of: Subject::Machine,
        }
    }

    /// One sensor of a device.
    pub fn sensor(asset: &AssetId, device: &DeviceId, signal: &SignalName) -> Self {
        Self {
            of: Subject::Sensor(signal.clone()),
            ..Self::machine(asset, device)
        }
    }

    /// What a rule says of a device.
    pub fn rule(asset: &AssetId, device: &DeviceId, rule: &RuleId) -> Self {
        Self {
            of: Subject::Rule(rule.clone()),
            ..Self::machine(asset, device)
        }
    }
}

/// What there may be one open case of: an asset's failure mode, and of a sensor its signal.
pub type Problem = (AssetId, FailureMode, Option<SignalName>);

/// What decisions rest on beside the desk itself.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The caller's clock. In a back-test it is event time.
    pub now: Timestamp,
    /// Where assets stand.
    pub places: &'a dyn Places,
    /// How cases are kept.
    pub settings: &'a CaseSettings,
    /// What nobody wants to hear at present.
    pub silences: &'a [Silence],
    /// Where people are at work, or will be soon.
    pub windows: &'a [MaintenanceWindow],
}

/// How far the findings of a device have been applied: event time, then kind within a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Event time of the row.
    pub at: Timestamp,
    /// Condition 0, assessment 1, prognosis 2, sensor report 3, rule report 4.
    pub rank: u8,
}

impl Mark {
    /// Before every finding.
    pub const START: Self = Self {
        at: Timestamp::MIN,
        rank: 0,
    };

    /// The mark of a sensor report.
    pub fn of_report(report: &SensorReport) -> Self {
        Self {
            at: report.at,
            rank: 3,
        }
    }

    /// The mark of a finding.
    pub fn of(finding: &Finding) -> Self {
        Self {
            at: finding.at(),
            rank: match finding {
                Finding::Condition(_) => 0,
                Finding::Assessment(_) => 1,
                Finding::Prognosis(_) => 2,
                Finding::Sensor(_) => 3,
                Finding::Rule(_) => 4,
            },
        }
    }
}

/// The latest alarm of a device, or the latest fault of a sensor, that a case covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// When the alarm rose, in event time.
    pub since: Timestamp,
    /// The case that covers it, open or closed.
    pub case: CaseId,
    /// The round of the case it belongs to: what rose in an earlier one is over with it.
    pub round: u32,
    /// Whether the alarm stands. Only kept up while the case is open.
    pub active: bool,
    /// How far the device's findings have been applied, as of the last committed change.
    pub mark: Mark,
}

/// An open case with what its rules need beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The case.
    pub case: Case,
    /// Event time at which the score was refreshed.
    pub scored_at: Timestamp,
    /// Event time at which the prognosis was attached, replaced or taken away.
    pub forecast_at: Timestamp,
    /// Its order was put off, so that no order of its own will close it.
    pub deferred: bool,
    /// What is remembered of it beside what is shown.
    pub care: Care,
}

impl Held {
    /// See [`Problem`].
    pub fn problem(&self) -> Problem {
        let case = &self.case;
        (
            case.asset.clone(),
            case.failure_mode.clone(),
            case.signal.clone(),
        )
    }

    /// Whether the service system has to be told now.
    pub fn wants_order(&self, now: Timestamp) -> bool {
        self.case.wants_order() && self.care.order_after.is_none_or(|after| after <= now)
    }
}

/// What one call changed, to be written in one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    /// What to tell the caller, in order.
    pub changes: Vec<CaseChange>,
    /// New log lines, in order.
    pub log: Vec<(CaseId, CaseEvent)>,
    /// Cases opened by this call, in order.
    pub opened: Vec<CaseId>,
    /// Every case that changed, as it is after the call.
    pub rows: BTreeMap<CaseId, Held>,
    /// Devices whose episode changed.
    pub watches: BTreeSet<Watch>,
    /// Devices that were found to keep up with the clock.
    pub punctual: Vec<DeviceId>,
    /// Orders of earlier rounds: whatever is still to be heard of them means nothing any more.
    pub past_orders: Vec<(WorkOrderId, Timestamp)>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.watches.is_empty() && self.punctual.is_empty()
    }

    /// Whether anything happened that bears on how cases are treated.
    pub(crate) fn is_news(&self) -> bool {
        let mut changes = self.changes.iter();
        changes.any(|change| change.event != CaseEventKind::Refreshed)
    }
}

/// One entry on its way into a case's log.
#[derive(Debug)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: CaseEventKind,
    /// The person who did it.
    pub by: Option<String>,
    /// What else belongs to it.
    pub detail: Option<Value>,
}

impl Entry {
    /// An entry that no person made.
    pub fn of(kind: CaseEventKind, at: Timestamp) -> Self {
        Self {
            at,
            kind,
            by: None,
            detail: None,
        }
    }

    /// The same entry with what else belongs to it.
    #[must_use]
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}
