//! Orders on their way to other maintenance systems, and what comes back.
//!
//! ```text
//! service (order + outbox, one transaction) ─▶ claim ─▶ say ─▶ settle
//!    ▲                                           └── a crash here: the lease runs out, again
//!    └──────────── what the other system says of its order, asked now and then
//! ```
//!
//! The built-in service has every order first, whoever else hears of it: cases, budget, calendar
//! and outcomes do not wait for another system. Each attempt of a message has the same key, which
//! is the case for the order itself. Where the other system honours such a key a repeat makes no
//! second order; where it does not, it is asked for the order of the case before an attempt that
//! is not the first one.

mod facts;
mod mapping;
mod rest;
mod template;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use alerting::notify::http::Client;
use anyhow::{Context, Result};
use dashboards::EventBus;
use rand::RngExt as _;
use service::{
    Found, Name, Note, Service, ServiceError, Step, WorkOrder, WorkOrderStatus,
    delivery::{Claimed, Remote, Settled},
};
use telemetry::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::rest::{Said, Told};
pub(crate) use self::{mapping::Mapping, rest::Rest};

/// The outbox is looked into this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Whoever has claimed a message has so long; beyond any time-out of a request, twice, for the
/// lookup before it.
pub(crate) const LEASE: Duration = Duration::from_mins(1);
/// The pause after the first failed attempt; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// And grows to no more than this.
const RETRY_MOST: Duration = Duration::from_mins(15);
/// Part of a pause that chance takes away, so that messages that failed together do not come back
/// together.
const JITTER: f64 = 0.3;
/// What has not got through for so long waits for a person: a long weekend.
const GIVE_UP_AFTER: Duration = Duration::from_hours(96);
/// Messages told in a row before anything else is looked at.
const IN_A_ROW: usize = 100;
/// Orders asked about in a row.
const LOOKS: u32 = 20;

/// One connector.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) name: String,
    pub(crate) rest: Rest,
    /// How often an order is asked about.
    pub(crate) poll_every: Duration,
    pub(crate) service: Service,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: EventBus,
    /// Rung when an order ended, so that its outcome is delivered.
    pub(crate) outcomes: Arc<Notify>,
}

impl Connector {
    /// Tells and asks until it is stopped. What cannot be told now stays in the outbox.
    ///
    /// # Errors
    /// Never; the signature is that of every part that runs.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            let worked = tokio::select! {
                worked = self.work() => worked,
                () = stop.cancelled() => break,
            };
            if let Err(error) = worked {
                let error = format!("{error:#}");
                tracing::warn!(connector = self.name, error, "orders wait in the outbox");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn work(&self) -> Result<()> {
        for _ in 0..IN_A_ROW {
            if !self.deliver_one().await? {
                break;
            }
        }
        self.look().await
    }

    /// Tells the next message; false when none is due.
    pub(crate) async fn deliver_one(&self) -> Result<bool> {
        let Some(claimed) = self.service.claim_delivery(&self.name, LEASE).await? else {
            return Ok(false);
        };
        let said = self.rest.say(&self.client, &self.service, &claimed).await;
        self.settle(&claimed, said).await?;
        Ok(true)
    }

    /// Writes down what came of an attempt.
    pub(crate) async fn settle(&self, claimed: &Claimed, said: Said) -> Result<()> {
        let settled = judge(claimed, said, self.clock.now());
        match &settled {
            Settled::Delivered(reference) => tracing::info!(
                connector = self.name, order = %claimed.order.id, key = claimed.key,
                reference = reference.as_deref().unwrap_or("-"), "told"
            ),
            Settled::Again { error, .. } => tracing::debug!(
                connector = self.name, order = %claimed.order.id, error, "trying again later"
            ),
            Settled::Stuck(error) => tracing::warn!(
                connector = self.name, order = %claimed.order.id, error,
                "the other system does not take it; a person has to look"
            ),
        }
        let settling = self.service.settle_delivery(&self.name, claimed, &settled);
        settling.await.context("what was told could not be noted")?;
        self.events.work_order_changed(&claimed.order.id);
        Ok(())
    }

    /// Asks where orders stand that the other system has, and lets ours follow.
    pub(crate) async fn look(&self) -> Result<()> {
        let due = self
            .service
            .claim_looks(&self.name, self.poll_every, LOOKS)
            .await?;
        for remote in due {
            match self.rest.ask(&self.client, &self.service, &remote).await {
                Ok(Some(told)) => self.follow(&remote, &told).await?,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(connector = self.name, order = %remote.order.id, error, "no status");
                }
            }
        }
        Ok(())
    }

    async fn follow(&self, remote: &Remote, told: &Told) -> Result<()> {
        let order = &remote.order;
        let status = &told.status;
        if self
            .service
            .note_remote(&self.name, &order.id, status)
            .await?
        {
            tracing::info!(connector = self.name, order = %order.id, status, "says the other system");
            self.events.work_order_changed(&order.id);
        }
        let Some(ask) = &self.rest.mapping.status else {
            return Ok(());
        };
        let outcome = told.outcome.as_ref();
        let outcome = outcome.and_then(|word| ask.outcomes.get(word)).copied();
        let step = match (ask.words.get(status), order.status) {
            (Some(WorkOrderStatus::Approved), WorkOrderStatus::Proposed) => Step::Approve,
            (Some(WorkOrderStatus::Cancelled), _) => Step::Cancel,
            (Some(WorkOrderStatus::Completed), _) => match outcome {
                Some(outcome) => Step::Report(Found::of(outcome)),
                // Done there; what was found has to be said by a person here.
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.step(order, step, status).await
    }

    async fn step(&self, order: &WorkOrder, step: Step, status: &str) -> Result<()> {
        let by = Name::new(&self.name)?;
        let note = Note::new(&format!("{}: {status}", self.name))?;
        match self.service.step(&order.id, &by, step, &note).await {
            Ok(order) => {
                self.events.work_order_changed(&order.id);
                self.events.asset_changed(&order.asset);
                if order.status.is_final() {
                    self.outcomes.notify_one();
                }
                Ok(())
            }
            // Somebody was faster.
            Err(ServiceError::Illegal { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What an attempt means for its message.
fn judge(claimed: &Claimed, said: Said, now: Timestamp) -> Settled {
    match said {
        Said::Known(reference) => Settled::Delivered(reference),
        Said::Refused(why) => Settled::Stuck(why),
        Said::Later(why, _) if now.since(claimed.created_at) > GIVE_UP_AFTER => Settled::Stuck(why),
        Said::Later(error, asked) => {
            let chance = rand::rng().random_range(0.0..1.0);
            let pause = backoff(claimed.attempt, chance);
            Settled::Again {
                at: now + asked.map_or(pause, |asked| asked.max(pause)),
                error,
            }
        }
    }
}

/// The pause after an attempt, counted from 1; `chance` from 0 to 1 takes some of it away.
fn backoff(attempt: u32, chance: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.min(RETRY_MOST).mul_f64(1.0 - JITTER * chance)
}
