//! A desk without a file, for back-tests and simulations: the same decisions in event time.

use telemetry::{CaseId, Finding, Places, Timestamp, WorkOrderClosed, WorkOrderId};

use crate::{
    AlertingError, CaseSettings,
    desk::{Around, Batch, Desk, Held},
};

/// A desk in memory, with the settings that production has. Time is that of the caller:
/// event time, so that a year passes as fast as it is read.
#[derive(Debug, Clone, Default)]
pub struct OfflineDesk {
    desk: Desk,
    settings: CaseSettings,
}

impl OfflineDesk {
    /// An empty desk.
    pub fn new(settings: CaseSettings) -> Self {
        Self {
            desk: Desk::default(),
            settings,
        }
    }

    /// Applies findings; see [`Desk::observe`].
    pub fn observe(&mut self, findings: &[Finding], places: &dyn Places, now: Timestamp) -> Batch {
        let around = around(&self.settings, places, now);
        self.desk.observe(findings, &around)
    }

    /// Brings cases to how they are to be treated now; see [`Desk::review`].
    pub fn review(&mut self, places: &dyn Places, now: Timestamp) -> Batch {
        let around = around(&self.settings, places, now);
        let mut batch = Batch::default();
        self.desk.review(&around, &mut batch);
        batch
    }

    /// The orders that are to be taken back; see [`Desk::withdrawals`].
    pub fn withdrawals(&self, places: &dyn Places, now: Timestamp) -> Vec<crate::Withdrawal> {
        self.desk.withdrawals(&around(&self.settings, places, now))
    }

    /// Cases that want an order now, by id.
    pub fn pending(&self, now: Timestamp) -> impl Iterator<Item = &Held> {
        self.desk
            .open_cases()
            .filter(move |held| held.wants_order(now))
    }

    /// Every open case, by id.
    pub fn open_cases(&self) -> impl Iterator<Item = &Held> {
        self.desk.open_cases()
    }

    /// Records the order of a case.
    ///
    /// # Errors
    /// As [`Desk::order_raised`].
    pub fn order_raised(
        &mut self,
        case: &CaseId,
        order: &WorkOrderId,
        at: Timestamp,
    ) -> Result<Batch, AlertingError> {
        let mut batch = Batch::default();
        self.desk.order_raised(case, order, at, &mut batch)?;
        Ok(batch)
    }

    /// Takes in how an order ended: of its case, or of an asset.
    ///
    /// # Errors
    /// As [`Desk::order_ended`].
    pub fn order_ended(&mut self, closed: &WorkOrderClosed) -> Result<Batch, AlertingError> {
        let mut batch = Batch::default();
        match &closed.case {
            Some(case) if self.desk.get(case).is_some() => {
                self.desk.order_ended(case, closed, &mut batch)?;
            }
            Some(_) => {}
            None => self.desk.asset_serviced(closed, &mut batch)?,
        }
        Ok(batch)
    }
}

const fn around<'a>(
    settings: &'a CaseSettings,
    places: &'a dyn Places,
    now: Timestamp,
) -> Around<'a> {
    Around {
        now,
        places,
        settings,
        silences: &[],
        windows: &[],
    }
}
