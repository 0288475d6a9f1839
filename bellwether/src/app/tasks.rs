//! What runs, in two groups that stop one after the other.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Ingest may take this long to acknowledge what it has taken.
const INGEST_DRAIN: Duration = Duration::from_secs(4);
/// The readers of the journal may take this long to save where they are. Together with
/// [`INGEST_DRAIN`] and closing the files this stays below the 10 s that supervisors wait for.
const READERS_DRAIN: Duration = Duration::from_secs(4);

/// Intake stops first, the readers of the journal after it.
pub(super) struct Tasks {
    shutdown: CancellationToken,
    intake: JoinSet<(&'static str, Result<()>)>,
    readers: JoinSet<(&'static str, Result<()>)>,
}

impl Tasks {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        let (intake, readers) = (JoinSet::new(), JoinSet::new());
        Self {
            shutdown,
            intake,
            readers,
        }
    }

    pub(super) fn intake<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.intake
            .spawn(async move { (name, task.await.map_err(Into::into)) });
    }

    pub(super) fn reader<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.readers
            .spawn(async move { (name, task.await.map_err(Into::into)) });
    }

    /// Waits for the shutdown or the first part that ends, then stops the rest in order.
    pub(super) async fn run(mut self, readers_stop: CancellationToken) -> Result<()> {
        let first = tokio::select! {
            () = self.shutdown.cancelled() => None,
            Some(ended) = self.intake.join_next() => Some(ended),
            Some(ended) = self.readers.join_next() => Some(ended),
        };
        let mut result = first.map_or(Ok(()), |ended| match problem(ended) {
            // Nothing ends by itself before the shutdown, so even a silent end is a failure.
            Ok(name) if !self.shutdown.is_cancelled() => Err(anyhow!("{name} ended unexpectedly")),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        });
        if let Err(error) = &result {
            tracing::error!(error = format!("{error:#}"), "stopping");
        }
        self.shutdown.cancel();
        let intake = drain(&mut self.intake, INGEST_DRAIN).await;
        readers_stop.cancel();
        let readers = drain(&mut self.readers, READERS_DRAIN).await;
        for drained in [intake, readers] {
            result = result.and(drained);
        }
        result
    }
}

type Ended = Result<(&'static str, Result<()>), tokio::task::JoinError>;

fn problem(ended: Ended) -> Result<&'static str> {
    let (name, result) = ended.context("a part of the program panicked")?;
    result.with_context(|| format!("{name} failed"))?;
    Ok(name)
}

/// Waits for a group to end. Running out of time is told and is no failure: what was
/// acknowledged is in the journal.
async fn drain(group: &mut JoinSet<(&'static str, Result<()>)>, patience: Duration) -> Result<()> {
    let deadline = tokio::time::Instant::now() + patience;
    let mut result = Ok(());
    loop {
        match tokio::time::timeout_at(deadline, group.join_next()).await {
            Ok(None) => return result,
            Ok(Some(ended)) => result = result.and(problem(ended).map(|_| ())),
            Err(_) => {
                tracing::warn!(
                    left = group.len(),
                    "not everything ended in time; it is cut short"
                );
                return result;
            }
        }
    }
}
