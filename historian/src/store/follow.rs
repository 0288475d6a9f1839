//! The one task that changes points: follows the journal, flushes, compacts, retains.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rusqlite::Connection;
use rustc_hash::FxHashSet;
use telemetry::{Clock, Offset, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, READER, Store,
    cautious::{self, CautiousClock},
    retain::MAX_VACUUMED_PAGES,
};
use crate::{
    background::{Background, GiveWay},
    error::HistorianError,
    journal::{Journal, lock},
    sqlite,
};

/// Bytes of journal applied in one go: some 300,000 readings, some tens of milliseconds.
const READ_BYTES: usize = 8 << 20;

/// Points rewritten in one go of compaction. After each piece of journal at least as many
/// points are merged as came in, so compaction keeps up without ever holding readings up long.
const COMPACT_POINTS: usize = 500_000;

/// How much larger the tail may grow while the journal holds more to apply: compressing a full tail
/// takes a second or two, in which nothing new would be seen.
const TAIL_WHILE_BEHIND: usize = 2;

/// How often retention is looked after.
const RETAIN_EVERY: Duration = Duration::from_mins(10);

/// How long to wait after a failure that may pass, such as a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a shutdown may take to catch up with the journal before it flushes. What is left
/// stays in the journal.
const CATCH_UP_FOR: Duration = Duration::from_secs(5);

/// The state of the task: what changes points runs here, one step after the other.
pub(crate) struct Follower {
    /// Reads chunks that late points or merges need; closed before the connection that writes.
    pub(crate) reader: Connection,
    pub(crate) inner: Arc<Inner>,
    /// Series whose chunks have changed and may be worth merging, each once.
    pub(crate) to_compact: VecDeque<u32>,
    pub(crate) queued: FxHashSet<u32>,
    /// The applied offset that is on disk, when this task has written it.
    pub(crate) flushed: Option<Offset>,
}

impl Follower {
    pub(crate) fn new(inner: Arc<Inner>) -> Result<Self, HistorianError> {
        let reader = sqlite::open_reader(&inner.config.path)?;
        let count = inner.state().series.len() as u32;
        Ok(Self {
            inner,
            reader,
            // After a crash any series may have a run that was about to be merged.
            to_compact: (0..count).collect(),
            queued: (0..count).collect(),
            flushed: None,
        })
    }
}

/// The follower on its thread.
struct Hand {
    /// Away while it does a step.
    follower: Option<Follower>,
    thread: Background,
}

impl Hand {
    /// Runs a step of the follower on its thread and takes the follower back.
    async fn step<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Follower) -> Result<T, HistorianError> + Send + 'static,
    ) -> Result<T, HistorianError> {
        let mut follower = self.follower.take().ok_or(HistorianError::Worker(None))?;
        let task = self.thread.run(move || {
            let answer = job(&mut follower);
            (follower, answer)
        });
        let (follower, answer) = task.await?;
        self.follower = Some(follower);
        answer
    }
}

struct Task {
    store: Store,
    journal: Journal,
    hand: Hand,
    next_flush: Instant,
    next_retain: Instant,
    /// The clock of retention, and when it was looked at.
    retention_clock: Option<(CautiousClock, Instant)>,
    /// The position this run has saved in the journal.
    saved: Option<Offset>,
}

impl Store {
    /// Follows the journal until `shutdown`, then catches up, writes everything to chunks and
    /// saves its position. Only one run may be active for a store.
    ///
    /// # Errors
    /// What will not pass by itself, such as a damaged record of the journal. A full disk is
    /// waited out; a damaged chunk is set aside.
    pub async fn run(
        self,
        journal: Journal,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Result<(), HistorianError> {
        let _ = self.0.clock.set(clock);
        let inner = Arc::clone(&self.0);
        let thread = Background::start("store", GiveWay::Some);
        let thread = thread.map_err(|source| HistorianError::Io {
            action: "start the thread that follows the journal for",
            path: self.0.config.path.clone(),
            source,
        })?;
        let follower = thread.run(move || Follower::new(inner)).await??;
        let mut task = Task {
            next_flush: Instant::now() + self.0.config.flush_interval,
            next_retain: Instant::now(),
            retention_clock: None,
            saved: None,
            store: self,
            journal,
            hand: Hand {
                follower: Some(follower),
                thread,
            },
        };
        while !shutdown.is_cancelled() {
            if let Err(error) = task.turn(&shutdown).await {
                if !error.is_transient() {
                    return Err(error);
                }
                tracing::warn!(%error, cause = ?error, "the store waits before it goes on");
                let _ = timeout(RETRY_AFTER, shutdown.cancelled()).await;
            }
        }
        task.finish().await
    }
}

impl Task {
    /// One turn: what is due, then a piece of journal, or a wait when there is none.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<(), HistorianError> {
        let mut committed = self.journal.committed();
        committed.mark_unchanged();
        self.flush_when_due().await?;
        self.retain_when_due().await?;
        let applied = self.apply_next().await?;
        let compacts = self
            .hand
            .follower
            .as_ref()
            .is_some_and(Follower::may_compact);
        if compacts {
            self.hand
                .step(|follower| follower.compact(COMPACT_POINTS))
                .await?;
        }
        if !applied && !compacts {
            let next = self.next_flush.min(self.next_retain);
            tokio::select! {
                _ = committed.changed() => {}
                () = sleep_until(next) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Applies the next piece of journal. Says no when there is none.
    async fn apply_next(&mut self) -> Result<bool, HistorianError> {
        let after = self.store.applied();
        let entries = self.journal.read(after, READ_BYTES).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        self.hand
            .step(move |follower| follower.apply(&entries))
            .await?;
        Ok(true)
    }

    async fn flush_when_due(&mut self) -> Result<(), HistorianError> {
        let inner = &self.store.0;
        let (points, most) = (inner.state().tail_points, inner.config.max_tail_points);
        // What has arrived is shown before it is written down, as long as there is room for it.
        let is_behind = inner.applied() < *self.journal.committed().borrow();
        let full = points >= most && !is_behind || points >= most.saturating_mul(TAIL_WHILE_BEHIND);
        if full || Instant::now() >= self.next_flush {
            self.flush().await?;
            self.next_flush = Instant::now() + self.store.0.config.flush_interval;
        }
        Ok(())
    }

    /// Chunks first, then the position: what the journal may trim is always in chunks.
    async fn flush(&mut self) -> Result<(), HistorianError> {
        let applied = self.store.applied();
        self.hand
            .step(|follower| {
                follower.flush()?;
                follower.inner.pack_findings()
            })
            .await?;
        if self.saved != Some(applied) {
            self.journal
                .save_position(READER, applied, Vec::new())
                .await?;
            self.saved = Some(applied);
        }
        Ok(())
    }

    async fn retain_when_due(&mut self) -> Result<(), HistorianError> {
        if Instant::now() < self.next_retain {
            return Ok(());
        }
        if !self.store.0.config.retention.keeps_all() {
            let now = self.retention_now().await?;
            self.hand.step(move |follower| follower.retain(now)).await?;
        }
        self.next_retain = Instant::now() + RETAIN_EVERY;
        Ok(())
    }

    /// The time retention goes by.
    async fn retention_now(&mut self) -> Result<Timestamp, HistorianError> {
        let (wall, now) = (self.store.0.now(), Instant::now());
        if let Some((clock, looked_at)) = &mut self.retention_clock {
            let passed = now.saturating_duration_since(*looked_at);
            *looked_at = now;
            return Ok(clock.look(wall, passed));
        }
        let at = self.hand.step(|follower| cautious::load(&follower.reader));
        let max_rate = self.store.0.config.max_clock_rate;
        let mut clock = CautiousClock::new(at.await?, wall, max_rate);
        let at = clock.look(wall, Duration::ZERO);
        self.retention_clock = Some((clock, now));
        Ok(at)
    }

    async fn finish(mut self) -> Result<(), HistorianError> {
        let until = Instant::now() + CATCH_UP_FOR;
        while Instant::now() < until {
            match self.apply_next().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.is_transient() => sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(error),
            }
        }
        self.flush().await?;
        self.hand
            .step(|follower| {
                let mut connection = lock(&follower.inner.connection);
                sqlite::leave_tidy(connection.get()?, MAX_VACUUMED_PAGES)
            })
            .await
    }
}
