//! Overnight: what the orders of alerts found makes alerts rarer, or more frequent again.
//!
//! A move is told to the journal first and noted afterwards. When the program dies in between,
//! the next night decides the same again from the same outcomes.

use std::{sync::Arc, time::Duration};

use alerting::{
    CaseDesk,
    scoreboard::{Recalibrations, recalibrate::moves},
};
use anyhow::Result;
use dashboards::scoreboard::alerts;
use historian::Journal;
use service::Service;
use telemetry::{Clock, JournalRecord, JournalWriter, Timestamp};
use tokio_util::sync::CancellationToken;

/// Every outcome there is: what is old weighs little by the number of newer ones, and the cases of
/// a recording that is played back are as old as the recording.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_secs(0);

/// Who notes a move that no person made.
pub(crate) const BY: &str = "recalibration";

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

    /// Moves every limit and every wait whose orders ask for it, by one step at most.
    async fn once(&self) -> Result<()> {
        let now = self.clock.now();
        let alerts = alerts(&self.cases, &self.service, (BEGINNING, now)).await?;
        let book = Recalibrations::of(&self.cases);
        for decision in moves(&alerts, &book.settings().await?) {
            if let Some(event) = decision.event(now) {
                let told = JournalRecord {
                    events: vec![event],
                    ..JournalRecord::default()
                };
                self.journal.append(told).await?;
            }
            book.note(&decision, BY, now, None).await?;
            tracing::info!(
                source = ?decision.source, asset_model = %decision.asset_model,
                lever = ?decision.lever, from = decision.from, to = decision.to,
                because = %decision.because.en, "recalibrated"
            );
        }
        Ok(())
    }
}
