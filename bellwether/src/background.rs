//! Threads on which the analytics and the training compute.
//!
//! Each is one of its own and not one of the pool's, because it gives way: on a machine that is
//! busy, whoever waits for an acknowledgement goes first, and the analytics catches up from the
//! journal afterwards. A thread of the pool could not take that back when it is done.

use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::{Context, Result};
use tokio::sync::oneshot;

/// How far it gives way, in steps of `nice`: about a tenth of the share of a thread that does
/// not, and all of a processor that nobody else wants.
#[cfg(target_os = "linux")]
const GIVE_WAY: i32 = 10;

/// Jobs that may wait. Whoever asks waits for each before it has another.
const MAX_WAITING: usize = 1;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it ends with the value.
#[derive(Debug)]
pub(crate) struct Background {
    jobs: SyncSender<Job>,
    name: &'static str,
}

impl Background {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(name: &'static str) -> Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(MAX_WAITING);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                give_way();
                for job in waiting {
                    job();
                }
            })
            .with_context(|| format!("cannot start the thread of the {name}"))?;
        Ok(Self { jobs, name })
    }

    /// Does a job there and gives what comes of it.
    ///
    /// # Errors
    /// When this job or an earlier one panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, wait) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may be gone.
            let _ = answer.send(job());
        });
        self.jobs
            .try_send(job)
            .ok()
            .with_context(|| format!("the {} has ended", self.name))?;
        wait.await
            .with_context(|| format!("the {} panicked", self.name))
    }
}

/// On Linux a priority is a thread's; elsewhere it would be the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(GIVE_WAY) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_one_after_the_other_and_a_panic_is_told() {
        let background = Background::start("analytics").unwrap();
        for number in 0..100 {
            assert_eq!(
                background.run(move || number * 2).await.unwrap(),
                number * 2
            );
        }
        let panicked = background.run(|| panic!("on purpose")).await;
        assert!(panicked.is_err());
        assert!(background.run(|| ()).await.is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_this_thread_gives_way() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let background = Background::start("analytics").unwrap();
        let there = background.run(nice).await.unwrap();
        assert_eq!((there, nice()), ((before + GIVE_WAY).min(19), before));
    }
}
