//! SIGTERM and SIGINT: the first stops in order, the second at once.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first signal to stop. The second signal ends the process
/// with exit code 1, for a person who does not want to wait.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn stop_on_signal() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let token = stop.clone();
    tokio::spawn(async move {
        for already in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if already {
                tracing::warn!("stopping at once");
                std::process::exit(1);
            }
            tracing::info!("stopping; once more to stop at once");
            token.cancel();
        }
    });
    Ok(stop)
}
