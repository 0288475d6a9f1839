//! The way back: how an order ended becomes a label of its case and a new baseline.
//!
//! The service system keeps each ended order in an outbox until it is delivered. Delivery is
//! three steps, each idempotent by the order: alerting records the outcome, the journal gets
//! an event for analytics, the outbox entry is ticked off. After a crash in between the steps
//! are taken again; the pipeline drops a second event of the same order.

use std::{sync::Arc, time::Duration};

use alerting::CaseDesk;
use anyhow::Result;
use dashboards::EventBus;
use historian::Journal;
use service::Service;
use telemetry::{Event, JournalRecord, JournalWriter, OutcomeSink, WorkOrderClosed};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The outbox is looked into this often even when nobody rings.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What analytics is told about the end of an order; nothing when it was cancelled.
pub(crate) fn event_of(closed: &WorkOrderClosed) -> Option<Event> {
    Some(Event::WorkOrderClosed {
        asset: closed.asset.clone(),
        case: closed.case.clone(),
        work_order: closed.work_order.clone(),
        outcome: closed.outcome?,
        failure_mode: closed.failure_mode.clone(),
        part: closed.part.clone(),
        at: closed.at,
    })
}

/// The delivery of outcomes.
pub(crate) struct Outcomes {
    /// Whose outbox is emptied.
    pub(crate) service: Service,
    /// Who labels cases.
    pub(crate) cases: CaseDesk,
    /// The way to analytics.
    pub(crate) journal: Journal,
    /// Live changes.
    pub(crate) events: EventBus,
    /// Rung when an order ended.
    pub(crate) wake: Arc<Notify>,
}

impl Outcomes {
    /// Delivers until it is stopped. What cannot be delivered now stays in the outbox.
    ///
    /// # Errors
    /// Never; the signature is that of every part that runs.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            // What an import left that was cut off before the journal had it. It holds up no outcome.
            if let Err(error) = self.service.tell_history(&self.journal).await {
                tracing::warn!(%error, "what was imported waits in the outbox");
            }
            if let Err(error) = self.deliver_all().await {
                tracing::warn!(error = format!("{error:#}"), "outcomes wait in the outbox");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn deliver_all(&self) -> Result<()> {
        for closed in self.service.unsent_outcomes().await? {
            self.deliver(&closed).await?;
        }
        Ok(())
    }

    async fn deliver(&self, closed: &WorkOrderClosed) -> Result<()> {
        match self.cases.record(closed).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error.into()),
            // Repeating would not help; the order itself keeps its outcome.
            Err(error) => {
                tracing::error!(order = %closed.work_order, %error, "the outcome fits no case");
            }
        }
        if let Some(event) = event_of(closed) {
            let events = vec![event];
            self.journal
                .append(JournalRecord {
                    events,
                    ..JournalRecord::default()
                })
                .await?;
        }
        self.service.outcome_sent(&closed.work_order).await?;
        if let Some(case) = &closed.case {
            self.events.case_changed(case);
        }
        self.events.asset_changed(&closed.asset);
        self.events.work_order_changed(&closed.work_order);
        Ok(())
    }
}
