//! The cases that findings would have opened.

use std::collections::{BTreeSet, HashMap};

use telemetry::{
    AssetId, CaseId, Finding, Outcome, Places, RuleId, Timestamp, WorkOrderClosed, WorkOrderId,
};

use super::{Alert, ORDER_TAKES};
use crate::{Case, CaseSettings, CaseSource, OfflineDesk};

/// Cases without a file and without people.
#[derive(Debug)]
pub struct Trial {
    desk: OfflineDesk,
    alerts: Vec<Alert>,
    /// Where the alert of an open case stands in `alerts`.
    open: HashMap<CaseId, usize>,
    /// The open cases by when their order would have been done.
    due: BTreeSet<(Timestamp, CaseId)>,
    orders: u64,
}

impl Trial {
    /// Most cases that are kept: a rule set that alarms more often needs no further proof, and each
    /// takes some hundred bytes in the answer.
    pub const MAX_ALERTS: usize = 100_000;

    /// A past without cases.
    pub fn new(settings: CaseSettings) -> Self {
        Self {
            desk: OfflineDesk::new(settings),
            alerts: Vec::new(),
            open: HashMap::new(),
            due: BTreeSet::new(),
            orders: 0,
        }
    }

    /// Takes in what was found up to `now`, in event time. False once there are more cases than
    /// [`Self::MAX_ALERTS`]; nothing more is counted then.
    pub fn observe(&mut self, findings: &[Finding], places: &dyn Places, now: Timestamp) -> bool {
        self.time_passes(now);
        if !findings.is_empty() {
            let batch = self.desk.observe(findings, places, now);
            for id in &batch.opened {
                if self.alerts.len() == Self::MAX_ALERTS {
                    return false;
                }
                let changes = batch.changes.iter();
                let cases = changes.map(|change| &change.case);
                if let Some(case) = cases.into_iter().find(|case| case.id == *id) {
                    self.opened(case);
                }
            }
        }
        if !self.open.is_empty() {
            self.desk.review(places, now);
            for held in self.desk.pending(now) {
                if let Some(at) = self.open.get(&held.case.id) {
                    self.alerts[*at].order = true;
                }
            }
        }
        true
    }

    /// Somebody was at the machine: its cases end.
    pub fn visited(&mut self, asset: &AssetId, at: Timestamp) {
        let open = self.desk.open_cases();
        let of_asset: Vec<CaseId> = open
            .filter(|held| held.case.asset == *asset && held.case.opened_at <= at)
            .map(|held| held.case.id.clone())
            .collect();
        for id in of_asset {
            self.end(&id, asset, at);
        }
    }

    /// The cases that were opened, oldest first.
    pub fn into_alerts(mut self) -> Vec<Alert> {
        self.alerts
            .sort_by(|a, b| (a.opened_at, &a.case).cmp(&(b.opened_at, &b.case)));
        self.alerts
    }

    fn opened(&mut self, case: &Case) {
        self.open.insert(case.id.clone(), self.alerts.len());
        self.due
            .insert((case.opened_at + ORDER_TAKES, case.id.clone()));
        self.alerts.push(Alert {
            case: case.id.clone(),
            asset: case.asset.clone(),
            failure_mode: case.failure_mode.clone(),
            signal: case.signal.clone(),
            rule: rule_of(case),
            opened_at: case.opened_at,
            order: false,
        });
    }

    fn time_passes(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.due.pop_first() {
            if at > now {
                self.due.insert((at, id));
                return;
            }
            let asset = self.open.get(&id).map(|at| self.alerts[*at].asset.clone());
            if let Some(asset) = asset {
                self.end(&id, &asset, at);
            }
        }
    }

    /// An order of a case ends. What was found is judged later, from the record.
    fn end(&mut self, id: &CaseId, asset: &AssetId, at: Timestamp) {
        self.open.remove(id);
        self.orders += 1;
        let Ok(work_order) = WorkOrderId::new(&format!("TRIAL-{}", self.orders)) else {
            return;
        };
        let closed = WorkOrderClosed {
            work_order,
            asset: asset.clone(),
            case: Some(id.clone()),
            outcome: Some(Outcome::NoFaultFound),
            failure_mode: None,
            part: None,
            at,
            note: String::new(),
        };
        if let Err(error) = self.desk.order_ended(&closed) {
            tracing::error!(case = %id, %error, "a case of a back-test could not be ended");
        }
    }
}

/// The rule that opened a case; none for the detectors.
fn rule_of(case: &Case) -> Option<RuleId> {
    match &case.source {
        CaseSource::Rule { id, .. } => Some(id.clone()),
        CaseSource::Model { .. } => None,
    }
}
