//! Whether the models that serve are still asked about what they learned from.
//!
//! Looked at once an interval for each model that serves. What is found goes into the log, onto the
//! event stream, into a gauge and onto the model's page. It makes no order: the machines are well as
//! far as anybody knows, the model is what has to be looked at.

use dashboards::{DriftWarning, EventBus, drift_of};
use historian::ModelCard;
use telemetry::Timestamp;

use super::trainer::Trainer;

/// When models were looked at last, and who is told.
pub(crate) struct DriftWatch {
    events: EventBus,
    every: std::time::Duration,
    looked_at: Option<Timestamp>,
}

impl DriftWatch {
    /// Tells these listeners, looking so often.
    pub(crate) fn new(events: EventBus, every: std::time::Duration) -> Self {
        Self {
            events,
            every,
            looked_at: None,
        }
    }

    /// Looks at the models that serve, when it is time.
    ///
    /// # Errors
    /// When the registry cannot be read; the next time is then soon.
    pub(super) async fn look(&mut self, trainer: &Trainer) -> anyhow::Result<()> {
        let now = trainer.clock.now();
        if self.looked_at.is_some_and(|at| now.since(at) < self.every) {
            return Ok(());
        }
        for (kind, version) in trainer.champions().await? {
            let cards = trainer.registry.list(Some(kind)).await?;
            if let Some(card) = cards.iter().find(|card| card.version == version) {
                self.look_at(trainer, card, now).await;
            }
        }
        self.looked_at = Some(now);
        Ok(())
    }

    async fn look_at(&self, trainer: &Trainer, card: &ModelCard, now: Timestamp) {
        let sources = &trainer.sources;
        let (kind, version) = (&card.asset_model, card.version);
        let drift = match drift_of(&sources.service, &sources.store, card).await {
            Ok(drift) => drift,
            Err(problem) => {
                let problem = &problem.detail;
                tracing::warn!(asset_model = %kind, version, %problem, "drift was not looked at");
                return;
            }
        };
        let warning = drift.warning(card, now);
        let signals = warning.as_ref().map(words);
        if !self.events.drift_found(kind, warning) {
            return;
        }
        match signals {
            Some(signals) => {
                tracing::warn!(asset_model = %kind, version, signals, "machines measure what the model has not learned from; train it anew, or look at the sensors");
            }
            None => {
                tracing::info!(asset_model = %kind, version, "machines measure what the model learned from again");
            }
        }
    }
}

/// The drifting signals with the share of machines outside, for a log.
fn words(warning: &DriftWarning) -> String {
    let signals = warning.signals.iter().map(|one| {
        let percent = 100.0 * one.outside;
        format!(
            "{} (outside on {percent:.0} % of {})",
            one.signal, one.machines
        )
    });
    signals.collect::<Vec<_>>().join(", ")
}
