//! What waits for the service system.

use telemetry::Advisory;

use super::CaseDesk;
use crate::{AlertingError, Case};

impl CaseDesk {
    /// What the service system has still to be told, oldest case first, at most
    /// [`CaseDesk::MAX_ADVISORIES`]. An advisory stays here until
    /// [`CaseDesk::order_raised`] is committed, hence a crash in between hands it in again.
    ///
    /// # Errors
    /// [`AlertingError::Database`] when the open cases have to be read again and cannot be.
    pub async fn pending_advisories(&self) -> Result<Vec<Advisory>, AlertingError> {
        let mut waiting = self.waiting().await?;
        waiting.sort_unstable_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        waiting.truncate(Self::MAX_ADVISORIES);
        Ok(waiting.iter().map(Case::advisory).collect())
    }

    /// Every case that wants an order now; see [`Case::wants_order`]. A case waits a moment after
    /// it was opened ([`crate::CaseSettings::settle`]), so that others like it are seen first.
    ///
    /// # Errors
    /// As [`CaseDesk::pending_advisories`].
    pub async fn waiting(&self) -> Result<Vec<Case>, AlertingError> {
        let now = self.now();
        self.look(|desk| {
            let waiting = desk.open_cases().filter(|held| held.wants_order(now));
            waiting.map(|held| held.case.clone()).collect()
        })
        .await
    }

    /// How many open cases will want an order of their own and have neither one nor a place on the
    /// watch list yet.
    ///
    /// # Errors
    /// As [`CaseDesk::pending_advisories`].
    pub async fn undecided(&self) -> Result<usize, AlertingError> {
        self.look(|desk| {
            let cases = desk.open_cases().map(|held| &held.case);
            let wanting = cases.filter(|case| case.wants_order() && case.watch_list.is_none());
            wanting.count()
        })
        .await
    }
}
