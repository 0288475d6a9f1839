//! The durable log of what arrived.
//!
//! ```text
//! append ─▶ permits (count, bytes) ─▶ queue ─▶ writer thread: merge, encode, checksum,
//!                                              one transaction, fsync ─▶ ring ─▶ waiters
//! read   ─▶ ring of the newest records, else ─▶ read connection on a blocking thread
//! ```
//!
//! * **Group commit.** While one fsync runs, appends gather in the queue; the writer then
//!   takes all of them up to a byte limit, merges them into one record and commits it as one
//!   row. There is no artificial waiting: the slower the disk, the larger the groups.
//! * **Back-pressure.** An append holds permits for its bytes until it is resolved, so a slow
//!   journal makes `append` wait, and that wait reaches the device.
//! * **Failure.** When SQLite fails (full disk, IO error) the transaction rolls back, every
//!   waiter of the group gets [`PortError::Unavailable`], and the writer goes on with the next
//!   group. Nothing is acknowledged that is not on disk.
//! * **Offsets** rise by one a commit. The newest row is never trimmed, so the highest offset
//!   and the running total of readings survive even when every reader has passed everything.
//! * **Trimming** waits for the slowest registered reader. Under load each commit deletes up
//!   to two old rows in its own transaction (one comes in, two go out, so the log shrinks
//!   without an extra fsync); when nothing arrives the writer deletes more in small slices.
//!   SQLite keeps the pages on its free list and fills them again: the file stays at the
//!   size of its longest backlog, which costs nothing, where vacuuming would cost writes.
//! * **Checkpoints** move the log file into the database after a commit once 16 MiB have
//!   gathered, often enough to be short and seldom enough to share their own fsyncs.

#[cfg(test)]
mod closing_tests;
mod codec;
mod dead_letters;
pub(crate) mod disk;
#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod fuzz_tests;
mod mend;
mod ring;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use telemetry::{BoxFuture, JournalRecord, JournalWriter, Offset, PortError, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub(crate) use self::codec::axis_of;
pub use self::dead_letters::{DeadLetterQuery, DeadLetterRoom, DeadLetterState, StoredDeadLetter};
use self::{
    ring::{Ring, size_of_record},
    writer::{Command, Task, Writer},
};
use crate::{
    error::HistorianError,
    sqlite::{self, ReadPool, blocking},
};

/// How the journal is kept. [`JournalConfig::at`] gives the defaults.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Appends that may wait at the same moment. One per read buffer of a connection is
    /// usual, so this serves some thousands of connections before they queue for permits.
    pub max_waiting_appends: usize,
    /// Bytes of records that may wait to be committed. A second of full load and more.
    pub max_waiting_bytes: usize,
    /// Bytes of records merged into one commit. Large enough that an fsync is cheap per
    /// reading, small enough that a commit stays within some tens of milliseconds.
    pub max_group_bytes: usize,
    /// Bytes of the newest records kept in memory for readers.
    pub ring_bytes: usize,
    /// Dead letters kept; the oldest leave first, the counters stay.
    pub max_dead_letters: u64,
    /// Bytes of the dead letters kept; the oldest leave first here too. A payload may be four
    /// megabytes, so the number alone would not bound the disk they take.
    pub max_dead_letter_bytes: u64,
    /// The largest size of the database file in bytes. Beyond it appends fail as on a full
    /// disk. None: the disk is the limit.
    pub max_file_bytes: Option<u64>,
}

impl JournalConfig {
    /// The defaults for a file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_waiting_appends: 8192,
            max_waiting_bytes: 64 << 20,
            max_group_bytes: 4 << 20,
            ring_bytes: 64 << 20,
            max_dead_letters: 100_000,
            max_dead_letter_bytes: 1 << 30,
            max_file_bytes: None,
        }
    }
}

/// A record in the journal's own encoding, without its dead letters: each number keeps its bits.
///
/// # Errors
/// [`HistorianError::Encode`] when an event cannot be written.
pub fn to_bytes(record: &JournalRecord) -> Result<Vec<u8>, HistorianError> {
    let mut bytes = Vec::new();
    codec::encode(record, &mut bytes).map_err(|source| HistorianError::Encode {
        what: "a journal record",
        source,
    })?;
    Ok(bytes)
}

/// Reads what [`to_bytes`] wrote. Any other bytes are an error.
///
/// # Errors
/// [`HistorianError::Corrupt`] saying what is wrong.
pub fn from_bytes(bytes: &[u8]) -> Result<JournalRecord, HistorianError> {
    codec::decode(bytes).map_err(|reason| HistorianError::corrupt("journal record", 0, reason))
}

/// A piece of state that a reader saves together with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is the state of; a later snapshot with the same key replaces it.
    pub key: String,
    /// The state. Empty bytes are a state too.
    pub bytes: Vec<u8>,
}

/// What the journal holds and has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalStats {
    /// The last committed offset; 0 before the first commit.
    pub committed: Offset,
    /// The oldest offset still there; one past `committed` when there is none.
    pub oldest: Offset,
    /// Readings acknowledged since the journal was created. Durable.
    pub readings_appended: u64,
    /// Commits with appends since the journal was opened.
    pub commits: u64,
    /// Groups that failed since the journal was opened.
    pub failed_commits: u64,
    /// How full the list of dead letters is, and how many have left it. Durable.
    pub dead_letters: DeadLetterRoom,
    /// Size of the database file in bytes, free pages included, the log aside.
    pub bytes: u64,
    /// Every registered reader and its saved position, by name.
    pub readers: Vec<ReaderPosition>,
}

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderPosition {
    /// The reader.
    pub name: String,
    /// The last offset it has done with.
    pub position: Offset,
}

/// What the handle, its readers and the writer thread share.
pub(crate) struct Shared {
    pub(crate) ring: RwLock<Ring>,
    pub(crate) stats: Mutex<JournalStats>,
    pub(crate) committed: watch::Sender<Offset>,
    /// [`JournalConfig::max_file_bytes`], 0 for none; the writer applies it before each commit.
    pub(crate) max_file_bytes: AtomicU64,
}

struct Inner {
    shared: Arc<Shared>,
    pool: ReadPool,
    id: u64,
    queue: Mutex<Option<SyncSender<Command>>>,
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    max_waiting_bytes: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The durable log. Cheap to clone; the last clone to go stops the writer thread.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

/// The largest record taken in one append, in bytes; SQLite stores no blob of a gigabyte.
const MAX_RECORD_BYTES: usize = 256 << 20;

const CLOSED: &str = "journal";

impl Journal {
    /// Opens the journal and starts its writer thread.
    ///
    /// # Errors
    /// When the file cannot be opened, is in use, or is not a journal of this version.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a configuration is used up by opening"
    )]
    pub fn open(config: JournalConfig) -> Result<Self, HistorianError> {
        let lock = sqlite::lock(&config.path)?;
        let (writer, shared, id) = Writer::open(&config, lock)?;
        let slots = config.max_waiting_appends.clamp(1, 1 << 20);
        let max_waiting_bytes = config.max_waiting_bytes.clamp(1, u32::MAX as usize);
        // Every command holds a slot until it is resolved, so the channel never fills up.
        let (queue, commands) = sync_channel(slots);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(&commands))
            .map_err(|source| HistorianError::Io {
                action: "start the writer thread for",
                path: config.path.clone(),
                source,
            })?;
        Ok(Self(Arc::new(Inner {
            shared,
            pool: ReadPool::new(&config.path),
            id,
            queue: Mutex::new(Some(queue)),
            slots: Arc::new(Semaphore::new(slots)),
            bytes: Arc::new(Semaphore::new(max_waiting_bytes)),
            max_waiting_bytes,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// The highest committed offset, now and whenever it rises.
    pub fn committed(&self) -> watch::Receiver<Offset> {
        self.0.shared.committed.subscribe()
    }

    /// The records that follow `after` in order, up to about `max_bytes` of memory but one at
    /// least; none when `after` is the last. Dead letters are not part of what is read.
    ///
    /// # Errors
    /// [`HistorianError::Trimmed`] when records after `after` are gone;
    /// [`HistorianError::Corrupt`] names a damaged record.
    pub async fn read(
        &self,
        after: Offset,
        max_bytes: usize,
    ) -> Result<Vec<(Offset, Arc<JournalRecord>)>, HistorianError> {
        let shared = &self.0.shared;
        if after >= *shared.committed.borrow() {
            return Ok(Vec::new());
        }
        let recent = lock_read(&shared.ring).read(after, max_bytes);
        if let Some(entries) = recent {
            return Ok(entries);
        }
        self.0
            .pool
            .run(move |connection| disk::read(connection, after, max_bytes))
            .await
    }

    /// Makes a reader known and gives its saved position; `Offset(0)` when it has read
    /// nothing. From now on trimming waits for it. A reader that is new to a journal whose
    /// beginning has been trimmed starts right before what is left.
    pub async fn register_reader(&self, reader: &str) -> Result<Offset, HistorianError> {
        let (answer, wait) = oneshot::channel();
        let reader = reader.to_owned();
        self.send(0, Task::Register { reader, answer }).await?;
        wait.await.map_err(|_| HistorianError::Worker(None))?
    }

    /// Takes a reader off the list together with what it saved, so that trimming no longer waits
    /// for it. One that is not known is nothing to forget.
    pub async fn forget_reader(&self, reader: &str) -> Result<(), HistorianError> {
        let (answer, wait) = oneshot::channel();
        let reader = reader.to_owned();
        self.send(0, Task::Forget { reader, answer }).await?;
        wait.await.map_err(|_| HistorianError::Worker(None))?
    }

    /// Saves the position and the snapshots of a reader in one transaction. Snapshots replace
    /// those with the same key; others stay as they are.
    ///
    /// # Errors
    /// [`HistorianError::BeyondEnd`] when the position has not been committed yet.
    pub async fn save_position(
        &self,
        reader: &str,
        position: Offset,
        snapshots: Vec<Snapshot>,
    ) -> Result<(), HistorianError> {
        let (answer, wait) = oneshot::channel();
        let bytes = snapshots
            .iter()
            .map(|snapshot| snapshot.key.len() + snapshot.bytes.len())
            .sum();
        let task = Task::Save {
            reader: reader.to_owned(),
            position,
            snapshots,
            answer,
        };
        self.send(bytes, task).await?;
        wait.await.map_err(|_| HistorianError::Worker(None))?
    }

    /// Marks dead letters as taken again with success; gives how many of them are still listed.
    ///
    /// # Errors
    /// [`HistorianError::TooLarge`] for more than 10,000 at once.
    pub async fn mark_replayed(&self, ids: Vec<u64>, at: Timestamp) -> Result<u64, HistorianError> {
        let bytes = ids.len() * size_of::<u64>();
        if ids.len() > dead_letters::MAX_MARKED {
            return Err(HistorianError::TooLarge {
                what: "a list of dead letters",
                bytes,
                limit: dead_letters::MAX_MARKED * size_of::<u64>(),
            });
        }
        let (answer, wait) = oneshot::channel();
        self.send(bytes, Task::MarkReplayed { ids, at, answer })
            .await?;
        wait.await.map_err(|_| HistorianError::Worker(None))?
    }

    /// The snapshots a reader has saved, by key.
    pub async fn load_snapshots(&self, reader: &str) -> Result<Vec<Snapshot>, HistorianError> {
        let reader = reader.to_owned();
        self.0
            .pool
            .run(move |connection| disk::load_snapshots(connection, &reader))
            .await
    }

    /// Those of the snapshots a reader has saved that have one of these keys, by key.
    pub async fn load_snapshots_of(
        &self,
        reader: &str,
        keys: Vec<String>,
    ) -> Result<Vec<Snapshot>, HistorianError> {
        let reader = reader.to_owned();
        self.0
            .pool
            .run(move |connection| disk::load_snapshots_of(connection, &reader, &keys))
            .await
    }

    /// What the journal holds and has done.
    pub fn stats(&self) -> JournalStats {
        lock(&self.0.shared.stats).clone()
    }

    /// Changes [`JournalConfig::max_file_bytes`] while the journal runs. A limit below the
    /// present size stops appends until trimming has freed pages.
    pub fn set_max_file_bytes(&self, limit: Option<u64>) {
        let limit = limit.unwrap_or(0);
        self.0.shared.max_file_bytes.store(limit, Ordering::Relaxed);
    }

    /// Commits what is queued, then stops the writer thread. Later appends and queries are refused
    /// as closed.
    pub async fn close(&self) -> Result<(), HistorianError> {
        let queue = lock(&self.0.queue).take();
        let thread = lock(&self.0.thread).take();
        // The connection that writes has to be the last: it takes the log with it. So its thread
        // may end only when the others have.
        self.0.pool.close().await;
        drop(queue);
        blocking(move || match thread.map(JoinHandle::join) {
            Some(Err(_)) => Err(HistorianError::Worker(None)),
            _ => Ok(()),
        })
        .await
    }

    /// A number that no other journal has, so that a store knows whether it follows this one.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// Queues a task once its permits are free. Tasks keep the order of their first poll:
    /// both semaphores and the channel are first come, first served.
    async fn send(&self, bytes: usize, task: Task) -> Result<(), HistorianError> {
        let closed = |_| HistorianError::Closed { what: CLOSED };
        let inner = &self.0;
        // A task larger than the whole budget takes all of it and so goes alone.
        let share = bytes.clamp(1, inner.max_waiting_bytes) as u32;
        let bytes_permit = Arc::clone(&inner.bytes).acquire_many_owned(share).await;
        let slot = Arc::clone(&inner.slots).acquire_owned().await;
        let command = Command {
            task,
            bytes,
            permits: [slot.map_err(closed)?, bytes_permit.map_err(closed)?],
        };
        match &*lock(&inner.queue) {
            Some(queue) => queue
                .try_send(command)
                .map_err(|_| HistorianError::Worker(None)),
            None => Err(HistorianError::Closed { what: CLOSED }),
        }
    }

    async fn append_record(&self, record: JournalRecord) -> Result<Offset, PortError> {
        if record.is_empty() {
            return Ok(*self.0.shared.committed.borrow());
        }
        let bytes = size_of_record(&record);
        if bytes > MAX_RECORD_BYTES {
            return Err(PortError::Refused {
                what: CLOSED,
                source: Some(Box::new(HistorianError::TooLarge {
                    what: "journal record",
                    bytes,
                    limit: MAX_RECORD_BYTES,
                })),
            });
        }
        let (answer, wait) = oneshot::channel();
        let record = Box::new(record);
        let closed = |_| PortError::Closed { what: CLOSED };
        self.send(bytes, Task::Append { record, answer })
            .await
            .map_err(|_| PortError::Closed { what: CLOSED })?;
        wait.await.map_err(closed)?
    }
}

impl JournalWriter for Journal {
    fn append(&self, record: JournalRecord) -> BoxFuture<'_, Result<Offset, PortError>> {
        Box::pin(self.append_record(record))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// Waits for the commit in progress, so that the file is free when the journal is gone.
    fn drop(&mut self) {
        self.pool.close_idle();
        drop(lock(&self.queue).take());
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

/// A lock whose holder panicked still guards consistent data here: every critical section
/// replaces whole values.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Permits travel with their command and return when it has been resolved.
pub(crate) type Permits = [OwnedSemaphorePermit; 2];
