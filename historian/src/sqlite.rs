//! Opening SQLite files so that a commit survives a power cut, and a small pool of readers.
//!
//! Every file runs in WAL mode with `synchronous=FULL`: a commit returns after the log has
//! been fsynced. Versions before 3.51.3 could lose committed pages when the log was reset
//! under a concurrent checkpoint, so an older library is refused at start-up.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::{sync::Semaphore, time::timeout};

use crate::error::{During, HistorianError};

/// The first release with the fix for lost pages when the log is reset.
const MIN_SQLITE_VERSION: i32 = 3_051_003;

/// Queries that may read one file at the same moment; more would only fight for two cores.
const MAX_READERS: usize = 4;

/// How long a connection waits for another one's lock before it gives up; far above any commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a file waits for queries: the end of the program does not wait for them either.
const TIDY_WITHIN: Duration = Duration::from_secs(1);

/// The log is cut back to this size after it grew, in bytes.
const WAL_KEEP_BYTES: u64 = 64 << 20;

/// A step that statements alone cannot do, in the transaction of the whole migration.
pub(crate) type ByHand = fn(&Transaction<'_>) -> Result<(), HistorianError>;

/// How a file is laid out and recognised.
pub(crate) struct Layout {
    /// What the file is, in words.
    pub(crate) what: &'static str,
    /// `PRAGMA application_id`, so that no other file is taken for ours.
    pub(crate) application_id: i32,
    /// `PRAGMA user_version`.
    pub(crate) version: i32,
    /// What brings a file of version 1, 2, … to the next one, in order: statements, and what has to
    /// be done by hand after them.
    pub(crate) migrations: &'static [(&'static str, Option<ByHand>)],
    /// Whether freed pages can be given back to the system, a slice at a time.
    pub(crate) shrinks: bool,
    /// Bytes a page. Large blobs go through pages, so large pages mean fewer of them.
    pub(crate) page_bytes: u32,
    /// Bytes of log after which a commit also moves the log into the file.
    pub(crate) checkpoint_bytes: u32,
    /// The tables; run on an empty file.
    pub(crate) schema: &'static str,
}

/// Opens a file for writing, and makes its tables when it is new.
pub(crate) fn open_writer(path: &Path, layout: &Layout) -> Result<Connection, HistorianError> {
    if rusqlite::version_number() < MIN_SQLITE_VERSION {
        return Err(HistorianError::SqliteTooOld {
            found: rusqlite::version(),
        });
    }
    let mut connection = Connection::open(path).during("open a file for writing")?;
    configure(&connection, layout).during("configure a file")?;
    let tx = begin(&mut connection)?;
    let (application_id, version) = markers(&tx).during("read the version of a file")?;
    if application_id == 0 && version == 0 && is_empty(&tx).during("look for tables")? {
        tx.execute_batch(layout.schema).during("create tables")?;
        tx.pragma_update(None, "application_id", layout.application_id)
            .during("mark a new file")?;
        tx.pragma_update(None, "user_version", layout.version)
            .during("mark a new file")?;
    } else if application_id != layout.application_id || version < 1 {
        return Err(HistorianError::WrongFile {
            path: path.to_owned(),
            what: layout.what,
            found: format!("application id {application_id:#x}, version {version}"),
        });
    } else if version > layout.version {
        return Err(HistorianError::LaterFile {
            path: path.to_owned(),
            what: layout.what,
            found: version,
            known: layout.version,
        });
    } else if version < layout.version {
        // All steps and the new number are one transaction: a crash leaves the old file.
        tracing::info!(path = %path.display(), from = version, to = layout.version, "bringing a file to the present layout");
        for (statements, by_hand) in layout.migrations.iter().skip(version as usize - 1) {
            tx.execute_batch(statements)
                .during("bring a file to the present layout")?;
            if let Some(by_hand) = by_hand {
                by_hand(&tx)?;
            }
        }
        tx.pragma_update(None, "user_version", layout.version)
            .during("mark a file")?;
    }
    tx.commit().during("create tables")?;
    Ok(connection)
}

fn configure(connection: &Connection, layout: &Layout) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", layout.page_bytes)?;
    if layout.shrinks {
        // Takes effect on a new file only.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let pages = layout.checkpoint_bytes / layout.page_bytes;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", pages, |_| Ok(()))?;
    connection.pragma_update_and_check(
        None,
        "journal_size_limit",
        WAL_KEEP_BYTES as i64,
        |_| Ok(()),
    )
}

fn markers(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((read("application_id")?, read("user_version")?))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// Opens a file that exists for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, HistorianError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).during("open a file for reading")?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .during("configure a reader")?;
    Ok(connection)
}

/// Begins a transaction that has the write lock from the start.
pub(crate) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, HistorianError> {
    connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .during("begin a transaction")
}

/// Gives free pages back to the system, at most `pages` of them, once a quarter of the file is
/// free; what is less is soon filled again. Files made before this was switched on keep their size.
pub(crate) fn give_back(connection: &Connection, pages: i64) -> Result<(), HistorianError> {
    give_back_from(connection, pages, 4)
}

/// The same at the end of a program, when nothing will fill them; then moves the log into the file, which SQLite would
/// do if this were the last connection. A query that still reads keeps it where it is.
pub(crate) fn leave_tidy(connection: &Connection, pages: i64) -> Result<(), HistorianError> {
    const ACTION: &str = "move the log into the file";
    give_back_from(connection, pages, i64::MAX)?;
    connection.busy_timeout(TIDY_WITHIN).during(ACTION)?;
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .during(ACTION)
}

/// Once one of `share` pages is free.
fn give_back_from(connection: &Connection, pages: i64, share: i64) -> Result<(), HistorianError> {
    const ACTION: &str = "give free pages back";
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let all = read("page_count").during(ACTION)?;
    let free = read("freelist_count").during(ACTION)?;
    if free == 0 || free.saturating_mul(share) < all {
        return Ok(());
    }
    let sql = format!("PRAGMA incremental_vacuum({})", pages.min(free));
    let mut statement = connection.prepare(&sql).during(ACTION)?;
    let mut rows = statement.query([]).during(ACTION)?;
    while rows.next().during(ACTION)?.is_some() {}
    Ok(())
}

/// Takes the lock file beside a database; it is released when the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, HistorianError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let io = |action| {
        let path = lock.clone();
        move |source| HistorianError::Io {
            action,
            path,
            source,
        }
    };
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&lock)
        .map_err(io("open"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistorianError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io("lock")(source)),
    }
}

/// The connection that writes to a file, until it is closed for good.
pub(crate) struct WriteConnection(Option<Connection>);

impl WriteConnection {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Some(connection))
    }

    /// The connection; an error after [`Self::close`].
    pub(crate) fn get(&mut self) -> Result<&mut Connection, HistorianError> {
        self.0
            .as_mut()
            .ok_or(HistorianError::Closed { what: "store" })
    }

    /// Closes it. The last connection to a file moves the log into it and removes the log and its
    /// index, which a connection that only reads cannot: so this one is closed after those.
    pub(crate) fn close(&mut self) -> Result<(), HistorianError> {
        match self.0.take() {
            Some(connection) => connection
                .close()
                .map_err(|(_, error)| error)
                .during("close a file"),
            None => Ok(()),
        }
    }
}

/// Read connections to one file. A query borrows one and runs on a blocking thread.
#[derive(Clone)]
pub(crate) struct ReadPool {
    path: Arc<Path>,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl ReadPool {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.into(),
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(MAX_READERS)),
        }
    }

    /// Runs a query on a blocking thread with a connection of its own.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, HistorianError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, HistorianError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| HistorianError::Closed { what: "read pool" })?;
        let pool = self.clone();
        blocking(move || {
            let _permit = permit;
            let mut connection = pool.take()?;
            let answer = job(&mut connection);
            let mut idle = pool.lock();
            if !pool.permits.is_closed() {
                idle.push(connection);
            }
            answer
        })
        .await
    }

    /// Closes the connections that no query has at the moment.
    pub(crate) fn close_idle(&self) {
        self.lock().clear();
    }

    /// Closes the connections, those of running queries once these have ended, for which it waits a
    /// moment. Later queries are refused.
    pub(crate) async fn close(&self) {
        let all = self.permits.acquire_many(MAX_READERS as u32);
        let _ = timeout(TIDY_WITHIN, all).await;
        self.permits.close();
        self.close_idle();
    }

    fn take(&self) -> Result<Connection, HistorianError> {
        match self.lock().pop() {
            Some(connection) => Ok(connection),
            None => open_reader(&self.path),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs blocking work away from the async threads.
pub(crate) async fn blocking<T, F>(job: F) -> Result<T, HistorianError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, HistorianError> + Send + 'static,
{
    tokio::task::spawn_blocking(job)
        .await
        .map_err(|source| HistorianError::Worker(Some(source)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        what: "test file",
        application_id: 0x1234,
        version: 3,
        page_bytes: 8192,
        checkpoint_bytes: 1 << 20,
        migrations: &[
            ("CREATE TABLE u (x INTEGER)", None),
            ("ALTER TABLE u ADD COLUMN y INTEGER", None),
        ],
        shrinks: false,
        schema: "CREATE TABLE t (x INTEGER)",
    };

    #[test]
    fn a_commit_is_fsynced_and_the_library_is_new_enough() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("a.db"), &LAYOUT).unwrap();
        let read = |name: &str| -> String {
            connection
                .pragma_query_value(None, name, |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                        .map(|v| format!("{v:?}"))
                })
                .unwrap()
        };
        assert_eq!(read("journal_mode"), "Text(\"wal\")");
        assert_eq!(read("synchronous"), "Integer(2)", "2 is FULL");
        assert_eq!(read("page_size"), "Integer(8192)");
        assert_eq!(read("wal_autocheckpoint"), "Integer(128)");
        assert!(rusqlite::version_number() >= MIN_SQLITE_VERSION);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_brought_up_step_by_step_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let first = Layout {
            version: 1,
            ..LAYOUT
        };
        let connection = open_writer(&path, &first).unwrap();
        connection.execute("INSERT INTO t VALUES (7)", []).unwrap();
        drop(connection);
        for _ in 0..2 {
            let connection = open_writer(&path, &LAYOUT).unwrap();
            connection
                .execute("INSERT INTO u VALUES (1, 2)", [])
                .unwrap();
            let kept: i64 = connection
                .query_row("SELECT x FROM t", [], |row| row.get(0))
                .unwrap();
            assert_eq!(kept, 7);
            assert_eq!(markers(&connection).unwrap(), (0x1234, 3));
        }
        let error = open_writer(&path, &first).unwrap_err().to_string();
        assert!(
            error.contains("later version") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(open_writer(&path, &LAYOUT).unwrap());
        drop(open_writer(&path, &LAYOUT).unwrap());
        let other = Layout {
            application_id: 7,
            ..LAYOUT
        };
        let error = open_writer(&path, &other).unwrap_err();
        assert!(matches!(error, HistorianError::WrongFile { .. }), "{error}");
        let foreign = folder.path().join("b.db");
        let connection = Connection::open(&foreign).unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = open_writer(&foreign, &LAYOUT).unwrap_err();
        assert!(matches!(error, HistorianError::WrongFile { .. }), "{error}");
    }

    #[test]
    fn a_lock_is_held_once_and_released_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let held = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(HistorianError::InUse { .. })));
        drop(held);
        assert!(lock(&path).is_ok());
    }
}
