//! What people and orders do to cases.

use serde_json::json;
use telemetry::{CaseId, Outcome, Timestamp, WorkOrderClosed, WorkOrderId};

use super::{Batch, Desk, Entry};
use crate::{AlertingError, CaseEventKind};

impl Desk {
    /// A person has seen an open case.
    ///
    /// # Errors
    /// [`AlertingError::NotFound`] when no such case is open and [`AlertingError::Illegal`]
    /// when the life cycle does not allow the step.
    pub fn acknowledge(
        &mut self,
        id: &CaseId,
        by: &str,
        at: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        let mut entry = Entry::of(CaseEventKind::Acknowledged, at);
        entry.by = Some(by.to_owned());
        self.step(id, entry, batch, |_| ())
    }

    /// The service system has an order for an open case. The same order twice changes nothing.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`], and [`AlertingError::OtherOrder`] when the case has another order.
    pub fn order_raised(
        &mut self,
        id: &CaseId,
        order: &WorkOrderId,
        at: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        let has = self.get(id).and_then(|held| held.case.work_order.as_ref());
        match has {
            Some(has) if has == order => return Ok(()),
            Some(has) => {
                return Err(AlertingError::OtherOrder {
                    case: id.clone(),
                    has: has.clone(),
                    given: order.clone(),
                });
            }
            None => {}
        }
        let entry = Entry::of(CaseEventKind::OrderRaised, at).with(json!({ "work_order": order }));
        self.step(id, entry, batch, |held| {
            held.case.work_order = Some(order.clone());
            held.case.watch_list = None;
        })
    }

    /// The order of an open case has ended. An order that the case had not heard of yet, because
    /// the process died between handing in the advisory and recording its order, is recorded first.
    ///
    /// # Errors
    /// As [`Desk::order_raised`].
    pub fn order_ended(
        &mut self,
        id: &CaseId,
        closed: &WorkOrderClosed,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        self.order_raised(id, &closed.work_order, closed.at, batch)?;
        self.step(id, ended(closed), batch, |held| {
            if closed.outcome == Some(Outcome::Deferred) {
                held.deferred = true;
            } else {
                held.case.outcome = closed.outcome;
                held.case.closed_at = Some(closed.at);
            }
        })
    }

    /// An order without a case has ended on an asset. When it left the machine as it should
    /// be, it also ends the cases of that asset whose own order had been put off: nothing
    /// else ever would.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`].
    pub fn asset_serviced(
        &mut self,
        closed: &WorkOrderClosed,
        batch: &mut Batch,
    ) -> Result<(), AlertingError> {
        if !closed.outcome.is_some_and(Outcome::starts_new_baseline) {
            return Ok(());
        }
        let put_off: Vec<CaseId> = self
            .open
            .values()
            .filter(|held| held.deferred && held.case.asset == closed.asset)
            .map(|held| held.case.id.clone())
            .collect();
        for id in put_off {
            self.step(&id, ended(closed), batch, |held| {
                held.case.outcome = closed.outcome;
                held.case.closed_at = Some(closed.at);
            })?;
        }
        Ok(())
    }
}

/// The log entry for the end of an order.
fn ended(closed: &WorkOrderClosed) -> Entry {
    let kind = match closed.outcome {
        None => CaseEventKind::OrderCancelled,
        Some(Outcome::Deferred) => CaseEventKind::OrderDeferred,
        Some(_) => CaseEventKind::OrderCompleted,
    };
    Entry::of(kind, closed.at).with(json!({
        "work_order": closed.work_order,
        "outcome": closed.outcome,
        "failure_mode": closed.failure_mode,
        "part": closed.part,
        "note": closed.note,
    }))
}
