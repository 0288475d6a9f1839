//! From cases to orders, by the clock: the part that decides what asks for somebody's time.
//!
//! ```text
//! calendar of orders ─▶ cases.review ─▶ orders withdrawn
//!                                   └─▶ waiting cases ─▶ estimate ─▶ budget ─▶ order or watch list
//! ```
//!
//! The pipeline rings when a case has changed; once a second it looks by itself, because
//! shelves, silences and windows end by the clock. Every step is idempotent by the case and
//! its round, so a crash anywhere means: the same step again, and nothing twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alerting::{
    Case, CaseChange, CaseDesk, CaseEventKind, MaintenanceWindow, Ranked,
    budget::{self, Candidate, Room},
    scoreboard::{
        Recalibrations, Setting,
        patience::{self, Waiting},
    },
};
use anyhow::{Context, Result};
use dashboards::EventBus;
use service::{Service, WorkOrderStatus};
use telemetry::{
    AdvisorySink, CaseId, Clock, Explanation, Places as _, PortError, Timestamp, WorkOrderId,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often it looks when nobody rings: what ends by the clock ends to the second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The part that turns cases into orders.
pub(crate) struct Overseer {
    /// Who keeps orders, and knows what they cost and who is there to work them.
    pub(crate) service: Service,
    /// The cases.
    pub(crate) cases: CaseDesk,
    /// Live changes.
    pub(crate) events: EventBus,
    /// Now.
    pub(crate) clock: Arc<dyn Clock>,
    /// Rung when a case has changed.
    pub(crate) wake: Arc<Notify>,
}

impl Overseer {
    /// Looks until it is stopped. What cannot be done now is tried again at the next look.
    ///
    /// # Errors
    /// Never; the signature is that of every part that runs.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(error = format!("{error:#}"), "cases wait for their orders");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Brings cases and orders to how they are to be now, once.
    ///
    /// # Errors
    /// What could not be done; the next look tries again.
    pub(crate) async fn look(&self) -> Result<()> {
        let windows = self.service.work_windows(self.clock.now()).await?;
        let windows = windows.into_iter().map(|window| MaintenanceWindow {
            asset: window.asset,
            work_order: window.work_order,
            from: window.from,
            until: window.until,
        });
        self.cases.set_windows(windows.collect());
        self.tell(&self.cases.review().await?);
        self.take_back().await?;
        self.propose().await
    }

    /// Takes back the orders of cases that are over, as long as nobody has agreed to the work;
    /// an order that somebody has approved is told that the condition has cleared, once.
    async fn take_back(&self) -> Result<()> {
        for over in self.cases.withdrawals().await? {
            let told = self.service.withdraw(&over.case, &over.reason).await;
            if let Some(order) = told.context("an order waits to be withdrawn")? {
                self.events.work_order_changed(&order);
            }
            let order = self.service.work_order(&over.work_order).await?;
            let ended = order.is_none_or(|order| order.order.status == WorkOrderStatus::Cancelled);
            if ended {
                self.cases
                    .withdrawn(&over)
                    .await
                    .context("a withdrawal could not be noted in its case")?;
                self.events.case_changed(&over.case);
            }
        }
        Ok(())
    }

    /// Gives the most valuable of the waiting cases their orders, as far as there is room.
    async fn propose(&self) -> Result<()> {
        let waiting = self.cases.waiting().await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let room = self.room().await?;
        let settings = Recalibrations::of(&self.cases).settings().await?;
        let mut candidates = Vec::with_capacity(waiting.len());
        let mut ranked = Vec::with_capacity(waiting.len());
        for case in &waiting {
            let estimate = self.service.estimate(&case.advisory());
            let waits = self.hold(case, estimate.best, &settings);
            if waits.is_none() {
                candidates.push(Candidate {
                    case: case.id.clone(),
                    severity: case.severity,
                    seen_at: case.seen_at,
                    expected_avoided_cost: Some(estimate.expected_avoided_cost),
                });
            }
            ranked.push(Ranked {
                case: case.id.clone(),
                expected_avoided_cost: Some((estimate.expected_avoided_cost, estimate.currency)),
                waits,
            });
        }
        let allotment = budget::allot(candidates, room);
        let mut waits: BTreeMap<CaseId, Explanation> = allotment.watch_list.into_iter().collect();
        for one in &mut ranked {
            one.waits = one.waits.take().or_else(|| waits.remove(&one.case));
        }
        self.tell(&self.cases.ranked(&ranked).await?);
        let first: BTreeSet<CaseId> = allotment.submit.into_iter().collect();
        for case in waiting.iter().filter(|case| first.contains(&case.id)) {
            self.submit(case).await?;
        }
        Ok(())
    }

    async fn submit(&self, case: &Case) -> Result<()> {
        let order = self
            .service
            .submit(&case.advisory())
            .await
            .context("an advisory waits")?;
        let now = self.clock.now();
        self.cases
            .order_raised(&case.id, &order, now)
            .await
            .context("an order could not be noted in its case")?;
        tracing::info!(
            asset = %case.asset, case = %case.id, %order, mode = %case.failure_mode,
            opened_at = %case.opened_at, "work order proposed"
        );
        self.events.case_changed(&case.id);
        self.events.work_order_changed(&order);
        self.events.asset_changed(&case.asset);
        Ok(())
    }

    /// Why a case does not become an order yet whose alarm may pass by itself.
    fn hold(&self, case: &Case, best: Timestamp, settings: &[Setting]) -> Option<Explanation> {
        if settings.is_empty() {
            return None;
        }
        let model = self.service.place(&case.asset)?.model;
        let kind = (case.source.alert(), model, case.failure_mode.clone());
        let rise = patience::rise_of(case.first_score());
        let days = Setting::patience(settings, &kind, rise).max(0.0);
        let waiting = Waiting {
            severity: case.severity,
            rise,
            opened_at: case.opened_at,
            stands: case.cleared_at.is_none(),
            best,
        };
        let patience = Duration::from_secs_f64(days * 86_400.0);
        patience::hold(waiting, patience, self.clock.now())
    }

    /// How many more orders there are people for.
    async fn room(&self) -> Result<Room> {
        let capacity = self.service.capacity(self.clock.now()).await?;
        Ok(Room {
            orders: (capacity.orders_free < u32::MAX).then_some(capacity.orders_free),
            until: capacity.until,
        })
    }

    fn tell(&self, changes: &[CaseChange]) {
        for change in changes {
            self.events.case_changed(&change.case.id);
            self.events.asset_changed(&change.case.asset);
        }
    }
}

/// Lets the order of a case follow its forecast, and gives it the evidence of an alarm that has
/// risen again or become more serious. Gives the order when something of it changed.
///
/// # Errors
/// When the service cannot write it now.
pub(crate) async fn follow(
    service: &Service,
    change: &CaseChange,
) -> Result<Option<WorkOrderId>, PortError> {
    if change.case.work_order.is_none() {
        return Ok(None);
    }
    let advisory = change.case.advisory();
    match change.event {
        CaseEventKind::Refreshed => Ok(service.foresee(&advisory).await?),
        CaseEventKind::SeverityRaised | CaseEventKind::Returned => service.amend(&advisory).await,
        _ => Ok(None),
    }
}
