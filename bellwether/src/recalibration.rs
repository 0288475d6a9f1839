//! Overnight: what the orders of alerts found makes alerts rarer, or more frequent again.
//!
//! A move is told to the journal first and noted afterwards. When the program dies in between,
//! the next night decides the same again from the same outcomes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alerting::{
    CaseDesk,
    scoreboard::{Recalibrations, recalibrate},
};
use anyhow::Result;
use dashboards::scoreboard::gather;
use historian::Journal;
use service::Service;
use telemetry::{AlertSource, AssetModelId, Clock, Event, JournalRecord, JournalWriter, Timestamp};
use tokio_util::sync::CancellationToken;

/// Every outcome there is: what is old weighs little by the number of newer ones, and the cases of
/// a recording that is played back are as old as the recording.
const BEGINNING: Timestamp = Timestamp::from_secs(0);

/// Who notes a move that no person made.
const BY: &str = "recalibration";

/// What recalibrates.
pub(crate) struct Recalibrator {
    pub(crate) cases: CaseDesk,
    pub(crate) service: Service,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    /// How often; never without.
    pub(crate) every: Option<Duration>,
}

impl Recalibrator {
    /// Recalibrates now and then until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let Some(every) = self.every else {
            stop.cancelled().await;
            return Ok(());
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return Ok(()),
            }
            if let Err(error) = self.once().await {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "alerts could not be recalibrated; tried again next time"
                );
            }
        }
    }

    /// Moves every limit whose orders ask for it, by one step at most.
    async fn once(&self) -> Result<()> {
        let now = self.clock.now();
        let record = gather(&self.cases, &self.service, (BEGINNING, now)).await?;
        let book = Recalibrations::of(&self.cases);
        let factors = book.factors().await?;
        let pairs: BTreeSet<(AlertSource, AssetModelId)> = record
            .alerts
            .iter()
            .map(|alert| (alert.source.clone(), alert.asset_model.clone()))
            .collect();
        for (source, model) in pairs {
            let known = factors
                .iter()
                .find(|one| one.source == source && one.asset_model == model);
            let present = known.map_or((1.0, None), |one| (one.factor, one.taken_back_at));
            let decided = recalibrate::decide(&source, &model, &record.alerts, present);
            let Some(decision) = decided else {
                continue;
            };
            let event = Event::AlertsRecalibrated {
                source,
                asset_model: model,
                factor: decision.to,
                at: now,
            };
            let events = vec![event];
            let told = JournalRecord {
                events,
                ..JournalRecord::default()
            };
            self.journal.append(told).await?;
            book.note(&decision, BY, now, None).await?;
            tracing::info!(
                source = ?decision.source, asset_model = %decision.asset_model, from = decision.from,
                to = decision.to, because = %decision.because.en, "recalibrated"
            );
        }
        Ok(())
    }
}
