//! The one thread that writes: takes what is queued, commits it, answers.

use std::{
    fs::File,
    mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use rusqlite::Connection;
use telemetry::{JournalRecord, Offset, PortError, Timestamp};
use tokio::sync::{oneshot, watch};

use super::{
    DeadLetterRoom, JournalConfig, JournalStats, Permits, ReaderPosition, Shared, Snapshot, codec,
    dead_letters, disk, lock, mend, ring::Ring,
};
use crate::{
    error::{During, HistorianError},
    sqlite,
};

/// Rows deleted along with a commit: more than come in, few enough not to be felt.
const TRIM_PER_COMMIT: u64 = 2;

/// Rows deleted in one step while nothing arrives; with full groups some 50 MiB, some tens of
/// milliseconds that an append arriving just then has to wait.
const TRIM_PER_IDLE_STEP: u64 = 16;

/// The writer counts as idle when nothing has arrived for this long.
const IDLE_AFTER: Duration = Duration::from_millis(20);

type AppendAnswer = oneshot::Sender<Result<Offset, PortError>>;

/// What the writer is asked to do.
pub(crate) enum Task {
    Append {
        record: Box<JournalRecord>,
        answer: AppendAnswer,
    },
    Save {
        reader: String,
        position: Offset,
        snapshots: Vec<Snapshot>,
        answer: oneshot::Sender<Result<(), HistorianError>>,
    },
    Register {
        reader: String,
        answer: oneshot::Sender<Result<Offset, HistorianError>>,
    },
    Forget {
        reader: String,
        answer: oneshot::Sender<Result<(), HistorianError>>,
    },
    MarkReplayed {
        ids: Vec<u64>,
        at: Timestamp,
        answer: oneshot::Sender<Result<u64, HistorianError>>,
    },
}

/// A task with the permits it holds until it is resolved.
pub(crate) struct Command {
    pub(crate) task: Task,
    pub(crate) bytes: usize,
    pub(crate) permits: Permits,
}

/// Appends merged into one record, with those who wait for it.
#[derive(Default)]
struct Group {
    record: JournalRecord,
    waiters: Vec<AppendAnswer>,
    permits: Vec<Permits>,
    bytes: usize,
}

impl Group {
    fn add(&mut self, record: JournalRecord, answer: AppendAnswer) {
        if self.waiters.is_empty() {
            self.record = record;
        } else {
            self.record.readings.append(&record.readings);
            self.record.waveforms.extend(record.waveforms);
            self.record.events.extend(record.events);
            self.record.dead_letters.extend(record.dead_letters);
        }
        self.waiters.push(answer);
    }
}

pub(crate) struct Writer {
    /// Keeps the index of the log alive while the file is opened anew; declared first, so that
    /// it is closed first and the last close tidies the log up.
    _guard: Connection,
    pub(super) connection: Connection,
    /// Whether the last write ended in an error of the disk; see [`super::mend`].
    pub(super) tainted: bool,
    pub(super) path: PathBuf,
    pub(super) shared: Arc<Shared>,
    max_group_bytes: usize,
    dead_letter_bounds: dead_letters::Bounds,
    pub(super) dead_letter_room: DeadLetterRoom,
    /// The size limit SQLite was told last.
    pub(super) applied_max_file_bytes: u64,
    pub(super) committed: u64,
    pub(super) oldest: u64,
    pub(super) total_readings: u64,
    pub(super) readers: Vec<ReaderPosition>,
    blob: Vec<u8>,
    /// Held for as long as the thread writes.
    _lock: File,
}

impl Writer {
    /// Opens the file and finds out where it stands. Gives the identity of the journal too.
    pub(crate) fn open(
        config: &JournalConfig,
        lock: File,
    ) -> Result<(Self, Arc<Shared>, u64), HistorianError> {
        let connection = sqlite::open_writer(&config.path, &disk::LAYOUT)?;
        let standing = disk::standing(&connection)?;
        let dead_letter_room = dead_letters::room(&connection)?;
        let shared = Arc::new(Shared {
            ring: RwLock::new(Ring::new(config.ring_bytes)),
            stats: Mutex::default(),
            committed: watch::Sender::new(Offset(standing.committed)),
            max_file_bytes: config.max_file_bytes.unwrap_or(0).into(),
        });
        let writer = Self {
            _guard: mend::guard(&config.path)?,
            connection,
            tainted: false,
            path: config.path.clone(),
            shared: Arc::clone(&shared),
            max_group_bytes: config.max_group_bytes,
            dead_letter_bounds: dead_letters::Bounds {
                letters: config.max_dead_letters,
                bytes: config.max_dead_letter_bytes,
            },
            dead_letter_room,
            applied_max_file_bytes: 0,
            committed: standing.committed,
            oldest: standing.oldest,
            total_readings: standing.total_readings,
            readers: standing.readers,
            blob: Vec::new(),
            _lock: lock,
        };
        writer.publish_stats(|_| ());
        Ok((writer, shared, standing.id))
    }

    /// Works until every sender is gone and the queue is empty.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(command) => command,
                None => match self.wait(commands) {
                    Some(command) => command,
                    None => return,
                },
            };
            next = self.work(first, commands);
        }
    }

    /// The next command, with trimming done while there is none.
    fn wait(&mut self, commands: &Receiver<Command>) -> Option<Command> {
        while self.trimmable(TRIM_PER_IDLE_STEP).is_some() {
            match commands.recv_timeout(IDLE_AFTER) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let trimmed = self.trim_idle();
            if let Err(error) = self.noting(trimmed) {
                tracing::warn!(%error, "trimming the journal failed");
                break;
            }
        }
        commands.recv().ok()
    }

    /// Takes what is queued, up to a group; gives back a command that has to come after it.
    fn work(&mut self, first: Command, commands: &Receiver<Command>) -> Option<Command> {
        let mut group = Group::default();
        let mut next = Some(first);
        while let Some(command) = next {
            if !matches!(command.task, Task::Append { .. }) && !group.waiters.is_empty() {
                // A saved position refers to what was committed before it.
                self.commit_group(group);
                return Some(command);
            }
            match command.task {
                Task::Append { record, answer } => {
                    group.add(*record, answer);
                    group.bytes += command.bytes;
                    group.permits.push(command.permits);
                }
                Task::Save {
                    reader,
                    position,
                    snapshots,
                    answer,
                } => {
                    let saved = self.save(&reader, position, &snapshots);
                    let _ = answer.send(self.noting(saved));
                }
                Task::Forget { reader, answer } => {
                    let forgotten = self.forget(&reader);
                    let _ = answer.send(self.noting(forgotten));
                }
                Task::Register { reader, answer } => {
                    let registered = self.register(&reader);
                    let _ = answer.send(self.noting(registered));
                }
                Task::MarkReplayed { ids, at, answer } => {
                    let marked = self.mark_replayed(&ids, at);
                    let _ = answer.send(self.noting(marked));
                }
            }
            if group.bytes >= self.max_group_bytes {
                break;
            }
            next = commands.try_recv().ok();
        }
        if !group.waiters.is_empty() {
            self.commit_group(group);
        }
        None
    }

    fn commit_group(&mut self, group: Group) {
        let Group {
            record,
            waiters,
            permits,
            ..
        } = group;
        let committed = self.commit(record);
        match self.noting(committed) {
            Ok(offset) => {
                for waiter in waiters {
                    let _ = waiter.send(Ok(offset));
                }
            }
            Err(error) => {
                lock(&self.shared.stats).failed_commits += 1;
                tracing::warn!(%error, cause = ?error, "a commit to the journal failed");
                let error = Arc::new(error);
                for waiter in waiters {
                    let _ = waiter.send(Err(PortError::Unavailable {
                        what: "journal",
                        source: Some(Box::new(Arc::clone(&error))),
                    }));
                }
            }
        }
        drop(permits);
    }

    /// Commits one record as one row; nothing has changed when this fails.
    fn commit(&mut self, mut record: JournalRecord) -> Result<Offset, HistorianError> {
        self.mend()?;
        self.apply_file_limit()?;
        let letters = mem::take(&mut record.dead_letters);
        codec::encode(&record, &mut self.blob).map_err(|source| HistorianError::Encode {
            what: "an event",
            source,
        })?;
        let offset = self.committed + 1;
        let total = self.total_readings + record.readings.reading_count() as u64;
        let trim = self.trimmable(TRIM_PER_COMMIT);
        let tx = sqlite::begin(&mut self.connection)?;
        // Trimming comes first, so that the new row can take the freed pages of a full file.
        if let Some(last) = trim {
            disk::trim(&tx, last)?;
        }
        disk::insert(&tx, offset, total, &self.blob)?;
        let (room, bounds) = (self.dead_letter_room, self.dead_letter_bounds);
        let room = dead_letters::insert(&tx, &letters, room, bounds)?;
        tx.commit().during("commit to the journal")?;

        self.committed = offset;
        self.total_readings = total;
        self.note_dead_letters(room);
        self.trimmed(trim);
        self.shared
            .ring
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Offset(offset), Arc::new(record));
        self.publish_stats(|stats| stats.commits += 1);
        self.shared.committed.send_replace(Offset(offset));
        Ok(Offset(offset))
    }

    fn note_dead_letters(&mut self, room: DeadLetterRoom) {
        let dropped = room.dropped - self.dead_letter_room.dropped;
        if dropped > 0 {
            tracing::warn!(
                dropped,
                kept = room.kept,
                bytes = room.bytes,
                "the oldest dead letters have left the full list"
            );
        }
        self.dead_letter_room = room;
    }

    fn mark_replayed(&mut self, ids: &[u64], at: Timestamp) -> Result<u64, HistorianError> {
        self.mend()?;
        self.apply_file_limit()?;
        let tx = sqlite::begin(&mut self.connection)?;
        let marked = dead_letters::mark_replayed(&tx, ids, at)?;
        tx.commit().during("mark dead letters as replayed")?;
        Ok(marked)
    }

    fn save(
        &mut self,
        reader: &str,
        position: Offset,
        snapshots: &[Snapshot],
    ) -> Result<(), HistorianError> {
        if position.0 > self.committed {
            return Err(HistorianError::BeyondEnd {
                reader: reader.to_owned(),
                position,
                committed: Offset(self.committed),
            });
        }
        self.mend()?;
        self.apply_file_limit()?;
        let tx = sqlite::begin(&mut self.connection)?;
        disk::save_position(&tx, reader, position)?;
        disk::save_snapshots(&tx, reader, snapshots)?;
        tx.commit().during("save the position of a reader")?;
        self.note_position(reader, position);
        Ok(())
    }

    fn register(&mut self, reader: &str) -> Result<Offset, HistorianError> {
        let known = self.readers.iter().find(|known| known.name == reader);
        if let Some(known) = known {
            return Ok(known.position);
        }
        let start = Offset(self.oldest.saturating_sub(1));
        self.save(reader, start, &[])?;
        Ok(start)
    }

    fn forget(&mut self, reader: &str) -> Result<(), HistorianError> {
        if self.readers.iter().all(|known| known.name != reader) {
            return Ok(());
        }
        self.mend()?;
        let tx = sqlite::begin(&mut self.connection)?;
        disk::forget_reader(&tx, reader)?;
        tx.commit().during("forget a reader")?;
        self.readers.retain(|known| known.name != reader);
        self.publish_stats(|_| ());
        Ok(())
    }

    fn note_position(&mut self, reader: &str, position: Offset) {
        if let Some(known) = self.readers.iter_mut().find(|known| known.name == reader) {
            known.position = position;
        } else {
            self.readers.push(ReaderPosition {
                name: reader.to_owned(),
                position,
            });
            self.readers.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.publish_stats(|_| ());
    }

    /// The last row of the next trimming step of `rows` rows, if there is anything to trim.
    fn trimmable(&self, rows: u64) -> Option<u64> {
        let slowest = self.readers.iter().map(|reader| reader.position.0).min()?;
        let last = slowest
            .min(self.committed.saturating_sub(1))
            .min(self.oldest + rows - 1);
        (last >= self.oldest).then_some(last)
    }

    fn trimmed(&mut self, last: Option<u64>) {
        self.oldest = last.map_or(self.oldest, |last| last + 1);
    }

    fn trim_idle(&mut self) -> Result<(), HistorianError> {
        let Some(last) = self.trimmable(TRIM_PER_IDLE_STEP) else {
            return Ok(());
        };
        self.mend()?;
        let tx = sqlite::begin(&mut self.connection)?;
        disk::trim(&tx, last)?;
        tx.commit().during("trim the journal")?;
        self.trimmed(Some(last));
        self.publish_stats(|_| ());
        Ok(())
    }

    fn apply_file_limit(&mut self) -> Result<(), HistorianError> {
        let limit = self.shared.max_file_bytes.load(Ordering::Relaxed);
        if limit == self.applied_max_file_bytes {
            return Ok(());
        }
        let pages = match limit / u64::from(disk::LAYOUT.page_bytes) {
            0 if limit == 0 => i64::from(u32::MAX - 1),
            pages => pages.clamp(1, u64::from(u32::MAX - 1)) as i64,
        };
        self.connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .during("limit the size of the journal")?;
        self.applied_max_file_bytes = limit;
        Ok(())
    }

    fn publish_stats(&self, also: impl FnOnce(&mut JournalStats)) {
        let pages: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap_or(0);
        let mut stats = lock(&self.shared.stats);
        stats.committed = Offset(self.committed);
        stats.oldest = Offset(self.oldest);
        stats.readings_appended = self.total_readings;
        stats.dead_letters = self.dead_letter_room;
        stats.bytes = pages as u64 * u64::from(disk::LAYOUT.page_bytes);
        if stats.readers != self.readers {
            stats.readers.clone_from(&self.readers);
        }
        also(&mut stats);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.tainted {
            mend::let_go(&mut self.connection);
        }
    }
}
