//! Time series: what was measured, by device, signal and event time.
//!
//! ```text
//! journal ─▶ apply ─▶ tail (memory, per series) ─flush─▶ chunks (pco, SQLite) ─▶ compaction, retention
//!                        └────────── range, buckets ────────────┘
//! ```
//!
//! * **Key.** A reading is (device, signal, measured at). When the same key arrives twice the
//!   first stored value stays: a redelivery, a replayed file or a replayed journal changes nothing.
//! * **No overlap.** The points of a series lie in chunks whose time spans never overlap and in
//!   one sorted tail, and no key occurs twice among them. So the number of readings is the sum
//!   of counts, exact at every moment, and queries need no deduplication. A point later than
//!   all others is appended to the tail after one comparison; any other is looked up first, in
//!   the tail and in the one chunk that can hold it. Flushing rewrites a chunk when late points
//!   fall inside its span, which costs at most one chunk of 65,536 points per chunk touched.
//! * **Crashes.** A flush writes chunks and the applied journal offset in one transaction, and
//!   only then tells the journal, so the journal is trimmed only behind what is in chunks. After
//!   a crash the tail is rebuilt from the journal, from the store's own offset on.
//! * **Compaction.** Each flush adds one small chunk a series. Sixteen neighbours of a size class
//!   (below 16, 256, 4,096 and 16,384 points) are merged into one, so a reading is rewritten a few
//!   times at most and a series keeps some dozens of chunks beside its full ones.
//! * **Retention.** A chunk goes when its newest reading is older than the retention *and* it was
//!   stored that long ago; recordings of the past that are replayed today stay for the whole
//!   retention. Readings dated in the future are judged by when they were stored. A chunk spans
//!   at most about a month, which is how much longer than asked its oldest readings may stay.
//! * **Memory.** Some 48 bytes a chunk and 16 bytes a point of the tail, which is bounded.
//!
//! One task ([`Store::run`]) changes points; findings are written by whoever has them.

mod apply;
mod chunk;
mod compact;
mod disk;
mod findings;
mod flush;
mod follow;
#[cfg(test)]
mod model_tests;
mod query;
mod state;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use telemetry::{Clock, DeviceId, Offset, SignalName, SystemClock, Timestamp};

use self::state::State;
pub use self::{
    findings::{FindingKind, FindingQuery},
    query::{Bucket, Sample},
};
use crate::{
    error::HistorianError,
    journal::Journal,
    sqlite::{self, ReadPool, blocking},
};

/// The name under which the store reads the journal.
const READER: &str = "historian";

/// How the store is kept. [`StoreConfig::at`] gives the defaults.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// How long readings and findings stay. None: for ever.
    pub retention: Option<Duration>,
    /// How often the tail is written to chunks. After a crash at most this much of the journal
    /// is read again; shorter means more, smaller chunks to merge later.
    pub flush_interval: Duration,
    /// Points in memory at which the tail is written to chunks at once: 16 bytes each.
    pub max_tail_points: usize,
}

impl StoreConfig {
    /// The defaults for a file: no retention, a flush a minute or every four million points (64 MB).
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            retention: None,
            flush_interval: Duration::from_mins(1),
            max_tail_points: 4_000_000,
        }
    }
}

/// One signal of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Who measured.
    pub device: DeviceId,
    /// What was measured.
    pub signal: SignalName,
}

/// What is stored of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesInfo {
    /// Who measured.
    pub device: DeviceId,
    /// What was measured.
    pub signal: SignalName,
    /// The number of readings.
    pub count: u64,
    /// The earliest event time.
    pub first_at: Timestamp,
    /// The latest event time.
    pub last_at: Timestamp,
    /// The value at the latest event time.
    pub last_value: f64,
}

struct Inner {
    config: StoreConfig,
    state: RwLock<State>,
    /// Distinct readings stored, in chunks and tail.
    count: AtomicU64,
    /// The last journal offset in chunks or tail.
    applied: AtomicU64,
    /// The journal the offsets belong to.
    journal_id: u64,
    /// The one connection that writes; taken for the length of a transaction.
    connection: Mutex<Connection>,
    pool: ReadPool,
    clock: OnceLock<Arc<dyn Clock>>,
}

/// What a store has to know of the journal when it is opened.
struct JournalExtent {
    id: u64,
    /// The position the store saved there.
    position: Offset,
    oldest: Offset,
    committed: Offset,
}

/// The store of time series and findings. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the chunks and registers with the journal, which from now on keeps what the store
    /// has not written. The tail is rebuilt by [`Self::run`].
    ///
    /// # Errors
    /// When the file cannot be opened, is damaged, or has applied more of this journal than
    /// there is: then one of the two files is an older copy.
    pub async fn open(config: StoreConfig, journal: &Journal) -> Result<Self, HistorianError> {
        let position = journal.register_reader(READER).await?;
        let extent = JournalExtent {
            id: journal.id(),
            position,
            oldest: journal.stats().oldest,
            committed: *journal.committed().borrow(),
        };
        blocking(move || Self::open_beside(config, &extent)).await
    }

    fn open_beside(config: StoreConfig, journal: &JournalExtent) -> Result<Self, HistorianError> {
        let connection = sqlite::open_writer(&config.path, &disk::LAYOUT)?;
        let state = disk::load(&connection)?;
        let before_oldest = Offset(journal.oldest.0.saturating_sub(1));
        let applied = match disk::journal_link(&connection)? {
            Some((id, applied)) if id == journal.id => applied,
            Some(_) => {
                tracing::warn!(
                    "the store followed another journal and now follows this one from its start"
                );
                before_oldest
            }
            None => journal.position,
        };
        if applied > journal.committed {
            return Err(HistorianError::BeyondEnd {
                reader: READER.to_owned(),
                position: applied,
                committed: journal.committed,
            });
        }
        let start = applied.max(before_oldest);
        if start > applied {
            tracing::warn!(%applied, %start, "the journal has been trimmed beyond the store, which seems to be an older copy");
        }
        Ok(Self(Arc::new(Inner {
            pool: ReadPool::new(&config.path),
            count: AtomicU64::new(state.chunk_points()),
            applied: AtomicU64::new(start.0),
            state: RwLock::new(state),
            connection: Mutex::new(connection),
            clock: OnceLock::new(),
            journal_id: journal.id,
            config,
        })))
    }

    /// Every series with at least one reading, of one device or of all, by device and signal.
    pub fn series(&self, device: Option<&DeviceId>) -> Vec<SeriesInfo> {
        self.0.state().infos(device)
    }

    /// The number of distinct readings stored.
    pub fn reading_count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// The journal offset up to which readings are visible to queries.
    pub fn applied(&self) -> Offset {
        self.0.applied()
    }
}

impl Inner {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied(&self) -> Offset {
        Offset(self.applied.load(Ordering::Acquire))
    }

    /// Now by the clock given to [`Store::run`], by that of the machine before.
    fn now(&self) -> Timestamp {
        self.clock
            .get()
            .map_or_else(|| SystemClock.now(), |clock| clock.now())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("readings", &self.reading_count())
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}
