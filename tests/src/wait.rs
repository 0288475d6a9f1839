//! Waiting for a condition, never for a time.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How often a condition is looked at; short against what is waited for, long against a poll.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks again and again until `look` gives a value, and fails after `deadline` with the name
/// of what was waited for and the last thing seen.
///
/// `look` answers `Ok(Some(value))` when the condition holds, `Ok(None)` when it does not yet,
/// and `Err` when it could not look; both of the latter are tried again.
///
/// # Errors
/// When the deadline passes.
pub async fn until<T>(
    what: impl Display,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    let mut last = String::from("the condition did not hold");
    loop {
        match tokio::time::timeout(deadline.saturating_sub(started.elapsed()), look()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => bail!(
                "waited {deadline:?} for {what}, and the last look did not end; before it: {last}"
            ),
        }
        if started.elapsed() >= deadline {
            bail!("waited {deadline:?} for {what}; last: {last}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Runs a future to its end, at most for `deadline`.
///
/// # Errors
/// The future's own error, or that the deadline passed.
pub async fn within<T, E>(
    what: impl Display,
    deadline: Duration,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T>
where
    E: Into<anyhow::Error>,
{
    match tokio::time::timeout(deadline, future).await {
        Ok(done) => done.map_err(Into::into).with_context(|| what.to_string()),
        Err(_) => bail!("waited {deadline:?} for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_fails_says_what_it_waited_for_and_what_it_saw() {
        let error = until("the kettle", Duration::from_millis(60), async || {
            Result::<Option<()>>::Err(anyhow::anyhow!("still cold"))
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("the kettle") && error.contains("still cold"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_look_that_never_ends_does_not_outlive_the_deadline() {
        let never = async || std::future::pending::<Result<Option<()>>>().await;
        let error = until("nothing", Duration::from_millis(60), never)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
