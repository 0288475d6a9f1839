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
//! * **Shared times.** The signals of a device are usually measured at the same instants, so their chunks
//!   have the same times; where these take more than a few bytes, they are stored once for all of them.
//! * **Roll-ups** of a minute, an hour and a day (count, least, greatest, sum, first, last) belong
//!   to a chunk and are written with it in one transaction, so they are exact whatever happens:
//!   late points rewrite the chunk and its rows with it. Beside the readings a roll-up is kept only
//!   where a row stands for 48 of them, which is where a query gains by it; the others are made
//!   when the readings go. [`Grid`] says which parts a query answers and why they are exact.
//! * **Retention** goes by tier and signal. A chunk has outlived a tier when its newest reading is
//!   older than the tier is kept *and* it was stored that long ago; recordings of the past that are
//!   replayed today stay for the whole retention. Readings dated in the future are judged by when
//!   they were stored. A chunk leaves as its next coarser tier, until the last has been outlived.
//!   A chunk spans at most about a month, which is how much longer than asked its oldest readings
//!   may stay. Its clock does not believe a jump of the machine's at once. A point that comes for a time whose readings have gone is added to the roll-ups.
//! * **Damage.** A chunk that cannot be read when a late point, a merge or retention needs it is set
//!   aside with its bytes, counted and listed; the rest goes on. Queries name it until then.
//! * **Memory.** Some 56 bytes a chunk and 16 bytes a point of the tail, which is bounded.
//!
//! One task ([`Store::run`]) changes points; findings are written by whoever has them.

mod apply;
mod cautious;
mod chunk;
mod columns;
mod compact;
mod config;
mod damage;
mod disk;
mod disk_use;
#[cfg(test)]
mod file_tests;
mod findings;
mod flush;
mod follow;
#[cfg(test)]
mod fuzz_tests;
mod grid;
mod late;
#[cfg(test)]
mod model_tests;
mod query;
mod read_only;
mod retain;
mod rollup;
mod series;
mod shared_times;
#[cfg(test)]
mod shared_times_tests;
mod state;
#[cfg(test)]
mod tests;
mod tier;
#[cfg(test)]
mod tier_tests;
mod waveforms;

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, Ordering},
};

use telemetry::{Clock, DeviceId, Offset, SignalName, SystemClock, Timestamp};

pub(crate) use self::chunk::GONE;
pub use self::disk_use::DiskUse;
use self::findings::Findings;
pub use self::read_only::StoreReader;
use self::state::State;
pub use self::{
    config::{Retention, SignalRetention, StoreConfig},
    damage::DamagedChunk,
    findings::{FindingKind, FindingQuery},
    grid::{Bucket, Grid},
    late::{LateQuery, LateReadings},
    query::Sample,
    tier::Tier,
    waveforms::{WaveformInfo, WaveformQuery},
};
use crate::{
    error::HistorianError,
    journal::{Journal, lock},
    sqlite::{self, ReadPool, WriteConnection, blocking},
};

/// The name under which the store reads the journal.
const READER: &str = "historian";

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
    /// The number of readings; those of which only roll-ups are left are not counted.
    pub count: u64,
    /// The earliest event time, roll-ups included.
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
    pool: ReadPool,
    findings: Findings,
    clock: OnceLock<Arc<dyn Clock>>,
    /// The one connection that writes; taken for the length of a transaction. It comes after those
    /// that read, because it has to be closed after them.
    connection: Mutex<WriteConnection>,
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
        let findings = Findings::load(&connection)?;
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
        let inner = Inner {
            pool: ReadPool::new(&config.path),
            findings,
            count: AtomicU64::new(state.chunk_points()),
            applied: AtomicU64::new(start.0),
            state: RwLock::new(state),
            connection: Mutex::new(WriteConnection::new(connection)),
            clock: OnceLock::new(),
            journal_id: journal.id,
            config,
        };
        inner.set_batches_aside()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Every series with at least one reading or roll-up, of one device or of all, by device
    /// and signal.
    pub fn series(&self, device: Option<&DeviceId>) -> Vec<SeriesInfo> {
        self.0.state().infos(device)
    }

    /// The number of distinct readings stored; those of which only roll-ups are left have gone.
    pub fn reading_count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// The latest reading of each of these series, in their order; none where there is no
    /// reading. It is answered from memory.
    pub fn last(&self, series: &[SeriesKey]) -> Vec<Option<Sample>> {
        let state = self.0.state();
        let last = |key: &SeriesKey| {
            let number = state.find(&key.device, &key.signal)?;
            state.series[number as usize].last()
        };
        series.iter().map(last).collect()
    }

    /// Closes the file after [`Self::run`] has ended: the log goes into it and is removed with its
    /// index, so that the store is one file. Later calls for what is on disk are refused.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn close(&self) -> Result<(), HistorianError> {
        self.0.pool.close().await;
        let inner = Arc::clone(&self.0);
        blocking(move || {
            lock(&inner.findings.packer).reader = None;
            lock(&inner.connection).close()
        })
        .await
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
