//! Threads for work that nobody waits for: following the journal, analytics, training.
//!
//! Each is one of its own and not one of the pool's, because it gives way: on a machine that is
//! busy, whoever waits for an acknowledgement goes first, and the rest catches up from the
//! journal afterwards. A thread of the pool could not take that back when it is done.

use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::oneshot;

use crate::HistorianError;

/// How far a thread gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveWay {
    /// About a third of the share of a thread that does not: what people want to see soon.
    Some,
    /// About a tenth of it, and all of a processor that nobody else wants.
    Much,
}

impl GiveWay {
    /// In steps of `nice`.
    #[cfg(target_os = "linux")]
    const fn steps(self) -> i32 {
        match self {
            Self::Some => 5,
            Self::Much => 10,
        }
    }
}

/// Jobs that may wait. Whoever asks waits for each before it has another.
const MAX_WAITING: usize = 1;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that gives way; it ends with the value.
#[derive(Debug)]
pub struct Background {
    jobs: SyncSender<Job>,
}

impl Background {
    /// Starts it under a name of at most 15 bytes.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(name: &'static str, give_way: GiveWay) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(MAX_WAITING);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                make_way(give_way);
                for job in waiting {
                    job();
                }
            })?;
        Ok(Self { jobs })
    }

    /// Does a job there and gives what comes of it.
    ///
    /// # Errors
    /// [`HistorianError::Worker`] when this job or an earlier one panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HistorianError> {
        let (answer, wait) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may be gone.
            let _ = answer.send(job());
        });
        self.jobs
            .try_send(job)
            .map_err(|_| HistorianError::Worker(None))?;
        wait.await.map_err(|_| HistorianError::Worker(None))
    }
}

/// On Linux a priority is a thread's; elsewhere it would be the whole process's.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
fn make_way(give_way: GiveWay) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(give_way.steps()) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_one_after_the_other_and_a_panic_is_told() {
        let background = Background::start("test", GiveWay::Much).unwrap();
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
        let background = Background::start("test", GiveWay::Much).unwrap();
        let there = background.run(nice).await.unwrap();
        assert_eq!(
            (there, nice()),
            ((before + GiveWay::Much.steps()).min(19), before)
        );
    }
}
