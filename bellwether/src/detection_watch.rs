//! Now and then: do detectors still see what they learned from?
//!
//! What is found goes to the event bus, which the API, the event stream and a gauge read, and into
//! the log. It makes no case and no order: as far as anybody knows the machine is well, and what has
//! to be looked at is its sensor, its duty, or what was learned of it.

use std::time::Duration;

use anyhow::Result;
use dashboards::{DriftSources, EventBus};
use tokio_util::sync::CancellationToken;

/// The time after a start before the first look: the pipeline has then caught up on all but a
/// large journal, and whoever started the program is not kept waiting for the disk.
const FIRST_AFTER: Duration = Duration::from_mins(1);

/// What watches.
pub(crate) struct DetectionWatch {
    pub(crate) sources: DriftSources,
    pub(crate) events: EventBus,
    pub(crate) every: Duration,
}

impl DetectionWatch {
    /// Looks now and then until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<()> {
        let mut wait = self.every.min(FIRST_AFTER);
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
            wait = self.every;
            let found = tokio::select! {
                found = self.sources.look() => found,
                () = stop.cancelled() => return Ok(()),
            };
            match found {
                Ok(found) => {
                    for drift in self.events.detection_drifts_found(found) {
                        tracing::warn!(
                            asset = %drift.asset, device = %drift.device,
                            what = drift.what.signal.as_ref().map_or("score", |signal| signal.as_str()),
                            psi = drift.psi, words = %drift.words.en, "drifted"
                        );
                    }
                }
                Err(problem) => {
                    let problem = &problem.detail;
                    tracing::warn!(%problem, "detectors were not looked at; tried again next time");
                }
            }
        }
    }
}
