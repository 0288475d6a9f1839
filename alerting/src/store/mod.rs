//! The desk on disk: one SQLite file, one writer, several readers.
//!
//! Writes go through one connection and `BEGIN IMMEDIATE`: a transaction that reads first and
//! writes later is refused at once by SQLite when another writer came in between, whatever
//! `busy_timeout` says. The open cases are kept in memory beside the file, because nearly
//! every finding concerns no case and must cost no disk access. `PRAGMA data_version` tells
//! inside each write transaction whether anybody else wrote to the file since they were read;
//! then they are read again and the decision is taken anew.

mod capsules;
#[cfg(test)]
mod care_tests;
mod quiet;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod treat;
mod waiting;
mod write;

pub(crate) use rows::logged;
pub(crate) use write::failed;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sqlx::{
    Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use telemetry::{
    BoxFuture, CaseId, Clock, Finding, OutcomeSink, Places, PortError, Timestamp, WorkOrderClosed,
    WorkOrderId,
};
use tokio::sync::Mutex;

use crate::{
    AlertingError, Case, CaseChange, CaseCounts, CaseDetail, CaseEventKind, CaseQuery,
    CaseSettings, Illegal, MaintenanceWindow, Silence,
    desk::{Around, Batch, Desk},
};

pub use self::treat::{CaseGroup, OpenCase, Ranked};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Pages of the API that may read at the same time; more would only wait for the two cores.
const READ_CONNECTIONS: u32 = 4;
/// How long a call waits for a file that another process has locked, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest name of a person in characters, as in the service system.
const MAX_PERSON_CHARS: usize = 200;

/// The cases of one installation. Cheap to clone; all clones share one file and one writer.
#[derive(Clone)]
pub struct CaseDesk {
    inner: Arc<Inner>,
}

struct Inner {
    write: SqlitePool,
    read: SqlitePool,
    settings: CaseSettings,
    places: Arc<dyn Places>,
    clock: Arc<dyn Clock>,
    /// Where people are at work, as the service system said last.
    windows: RwLock<Arc<[MaintenanceWindow]>>,
    /// Taken out while a transaction is under way and put back when it is committed, so that
    /// a call that fails or is dropped half-way leaves nothing behind but a reload.
    desk: Mutex<Option<Loaded>>,
}

impl std::fmt::Debug for CaseDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaseDesk")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

struct Loaded {
    desk: Desk,
    /// What nobody wants to hear, as far as it is not over.
    silences: Vec<Silence>,
    /// `PRAGMA data_version` of the write connection when the desk was loaded.
    version: i64,
}

impl CaseDesk {
    /// The most advisories that [`CaseDesk::pending_advisories`] returns at once: each is
    /// handed in and recorded before the next call, so a flood of alarms is worked off in order.
    pub const MAX_ADVISORIES: usize = 100;

    /// Opens the file, creates it when it is missing, and brings it to the present schema.
    /// `places` says where assets stand; `clock` is when things are heard of.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Migration`] when the file cannot be
    /// used, [`AlertingError::Unreadable`] when it holds what no version wrote.
    pub async fn open(
        path: &Path,
        settings: CaseSettings,
        places: Arc<dyn Places>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AlertingError> {
        let failed = |source| AlertingError::Database {
            doing: format!("opening {}", path.display()),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // The connection is kept for good: `data_version` is a number of one connection. Only one
        // that failed is replaced, and then the desk is read again.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(is_sound(connection)))
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        MIGRATIONS
            .run(&write)
            .await
            .map_err(|source| AlertingError::Migration {
                path: path.display().to_string(),
                source,
            })?;
        let read = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .connect_with(options.read_only(true))
            .await
            .map_err(failed)?;
        let cases = Self {
            inner: Arc::new(Inner {
                write,
                read,
                settings,
                places,
                clock,
                windows: RwLock::new(Arc::from([])),
                desk: Mutex::new(None),
            }),
        };
        cases.pending_advisories().await?;
        Ok(cases)
    }

    /// Applies findings of analytics in order, in one transaction, and returns what changed.
    ///
    /// Findings that have been applied before are passed over, so the findings of a journal
    /// record may be handed in again after a crash. Those of one device must come in the
    /// order of their event time, as analytics makes them. A call that changes nothing, which
    /// is nearly every call, reads and writes nothing on disk.
    ///
    /// # Errors
    /// [`AlertingError::Database`]; nothing was applied then and the call may be repeated.
    pub async fn observe(&self, findings: &[Finding]) -> Result<Vec<CaseChange>, AlertingError> {
        let now = self.now();
        let windows = self.windows();
        let mut slot = self.inner.desk.lock().await;
        let mut decided = None;
        if let Some(mut loaded) = slot.take() {
            let around = self.around(&loaded.silences, &windows, now);
            let batch = loaded.desk.observe(findings, &around);
            if batch.is_empty() {
                *slot = Some(loaded);
                return Ok(Vec::new());
            }
            decided = Some((loaded, batch));
        }
        let mut tx = self.begin("applying findings").await?;
        let version = write::data_version(&mut tx).await?;
        let (loaded, batch) = match decided {
            Some((loaded, batch)) if loaded.version == version => (loaded, batch),
            _ => {
                let mut loaded = reload(&mut tx, version, now).await?;
                let around = self.around(&loaded.silences, &windows, now);
                let batch = loaded.desk.observe(findings, &around);
                (loaded, batch)
            }
        };
        write::persist(&mut tx, &batch, &loaded.desk, now).await?;
        commit(tx, "applying findings").await?;
        *slot = Some(loaded);
        Ok(batch.changes)
    }

    /// Looks at the desk in memory, which is read anew where it has to be.
    async fn look<T>(&self, ask: impl FnOnce(&Desk) -> T) -> Result<T, AlertingError> {
        let mut slot = self.inner.desk.lock().await;
        let loaded = if let Some(loaded) = slot.take() {
            loaded
        } else {
            let mut tx = self.begin("reading the open cases").await?;
            let version = write::data_version(&mut tx).await?;
            reload(&mut tx, version, self.now()).await?
        };
        let answer = ask(&loaded.desk);
        *slot = Some(loaded);
        Ok(answer)
    }

    /// Records the order that the service system raised for a case. Idempotent.
    ///
    /// # Errors
    /// [`AlertingError::NotFound`], [`AlertingError::OtherOrder`] when the case has another
    /// order, [`AlertingError::Illegal`] when it was closed without one, and
    /// [`AlertingError::Database`].
    pub async fn order_raised(
        &self,
        case: &CaseId,
        order: &WorkOrderId,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        let recorded = self
            .change(case, CaseEventKind::OrderRaised, |desk, batch| {
                desk.order_raised(case, order, at, batch)
            })
            .await;
        let Err(refused @ AlertingError::Illegal { .. }) = recorded else {
            return recorded;
        };
        // The end of the order may have been recorded first, and the order with it.
        match self.get(case).await? {
            Some(detail) if detail.case.work_order.as_ref() == Some(order) => Ok(detail.case),
            _ => Err(refused),
        }
    }

    /// Records that a person has seen a case.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] for a name that is empty or too long,
    /// [`AlertingError::NotFound`], [`AlertingError::Illegal`] when it was acknowledged or
    /// closed before, and [`AlertingError::Database`].
    pub async fn acknowledge(
        &self,
        case: &CaseId,
        by: &str,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        let by = person(by)?;
        self.change(case, CaseEventKind::Acknowledged, |desk, batch| {
            desk.acknowledge(case, by, at, batch)
        })
        .await
    }

    /// One case with its log; none when there is no such case.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn get(&self, id: &CaseId) -> Result<Option<CaseDetail>, AlertingError> {
        read::get(&self.inner.read, id).await
    }

    /// Cases, newest first.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn list(&self, query: CaseQuery) -> Result<Vec<Case>, AlertingError> {
        read::list(&self.inner.read, &query).await
    }

    /// How many cases there are in each status.
    ///
    /// # Errors
    /// [`AlertingError::Database`].
    pub async fn counts(&self) -> Result<CaseCounts, AlertingError> {
        read::counts(&self.inner.read).await
    }

    /// The connections: one that writes, several that read. What else is kept in the file shares
    /// them.
    pub(crate) fn pools(&self) -> (&SqlitePool, &SqlitePool) {
        (&self.inner.write, &self.inner.read)
    }

    /// Waits for calls under way and closes the file. Every later call fails.
    pub async fn close(&self) {
        self.inner.read.close().await;
        self.inner.write.close().await;
    }

    async fn record_end(&self, closed: &WorkOrderClosed) -> Result<(), AlertingError> {
        let doing = "recording the end of a work order";
        let mut slot = self.inner.desk.lock().await;
        let known = slot.take();
        let mut tx = self.begin(doing).await?;
        let mut loaded = reloaded(known, &mut tx, self.now()).await?;
        if !write::note_ended(&mut tx, closed).await? {
            *slot = Some(loaded);
            return Ok(());
        }
        let mut batch = Batch::default();
        match &closed.case {
            None => loaded.desk.asset_serviced(closed, &mut batch)?,
            Some(case) if loaded.desk.get(case).is_some() => {
                loaded.desk.order_ended(case, closed, &mut batch)?;
            }
            // A closed case has nothing left that an order could end.
            Some(case) if read::get_case(&mut tx, case).await?.is_some() => {}
            Some(case) => return Err(AlertingError::NotFound(case.clone())),
        }
        let now = self.now();
        let windows = self.windows();
        let around = self.around(&loaded.silences, &windows, now);
        loaded.desk.review(&around, &mut batch);
        write::persist(&mut tx, &batch, &loaded.desk, now).await?;
        commit(tx, doing).await?;
        *slot = Some(loaded);
        Ok(())
    }

    /// Changes one open case in a transaction of its own. A case that is closed refuses `event`.
    pub(crate) async fn change(
        &self,
        id: &CaseId,
        event: CaseEventKind,
        decide: impl FnOnce(&mut Desk, &mut Batch) -> Result<(), AlertingError>,
    ) -> Result<Case, AlertingError> {
        let doing = "changing a case";
        let mut slot = self.inner.desk.lock().await;
        let known = slot.take();
        let mut tx = self.begin(doing).await?;
        let now = self.now();
        let mut loaded = reloaded(known, &mut tx, now).await?;
        if loaded.desk.get(id).is_none() {
            let closed = read::get_case(&mut tx, id).await?;
            *slot = Some(loaded);
            return Err(match closed {
                None => AlertingError::NotFound(id.clone()),
                Some(case) => AlertingError::Illegal {
                    case: case.id,
                    illegal: Illegal {
                        status: Some(case.status),
                        event,
                    },
                },
            });
        }
        let mut batch = Batch::default();
        if let Err(refused) = decide(&mut loaded.desk, &mut batch) {
            // A refused step has changed nothing.
            *slot = Some(loaded);
            return Err(refused);
        }
        let windows = self.windows();
        let around = self.around(&loaded.silences, &windows, now);
        loaded.desk.review(&around, &mut batch);
        write::persist(&mut tx, &batch, &loaded.desk, now).await?;
        commit(tx, doing).await?;
        let row = batch.rows.get(id).map(|held| held.case.clone());
        let case = row.or_else(|| loaded.desk.get(id).map(|held| held.case.clone()));
        *slot = Some(loaded);
        case.ok_or_else(|| AlertingError::NotFound(id.clone()))
    }

    /// Where pages and followers read.
    pub(crate) fn reader(&self) -> &SqlitePool {
        &self.inner.read
    }

    /// One case without its log; none when there is no such case.
    pub(crate) async fn case(&self, id: &CaseId) -> Result<Option<Case>, AlertingError> {
        let mut connection = self
            .inner
            .read
            .acquire()
            .await
            .map_err(failed("reading a case"))?;
        read::get_case(&mut connection, id).await
    }

    /// The cases that want somebody: open, and not kept quiet.
    pub(crate) async fn wants_people(&self) -> Result<BTreeSet<CaseId>, AlertingError> {
        self.look(|desk| {
            let open = desk.open_cases().map(|held| &held.case);
            let asking = open.filter(|case| case.suppressed.is_none());
            asking.map(|case| case.id.clone()).collect()
        })
        .await
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    fn windows(&self) -> Arc<[MaintenanceWindow]> {
        let windows = self.inner.windows.read();
        Arc::clone(&windows.unwrap_or_else(PoisonError::into_inner))
    }

    fn around<'a>(
        &'a self,
        silences: &'a [Silence],
        windows: &'a [MaintenanceWindow],
        now: Timestamp,
    ) -> Around<'a> {
        Around {
            now,
            places: &*self.inner.places,
            settings: &self.inner.settings,
            silences,
            windows,
        }
    }

    pub(crate) async fn begin(
        &self,
        doing: &str,
    ) -> Result<Transaction<'static, Sqlite>, AlertingError> {
        self.inner
            .write
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|source| AlertingError::Database {
                doing: doing.to_owned(),
                source,
            })
    }
}

impl OutcomeSink for CaseDesk {
    /// Takes in how an order ended, once. An order of a case closes it, unless the work was
    /// put off; an order without a case that left the machine as it should be closes the
    /// cases of its asset whose own order had been put off. An order of a case that this file
    /// does not know is refused.
    fn record<'a>(&'a self, closed: &'a WorkOrderClosed) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move { self.record_end(closed).await.map_err(PortError::from) })
    }
}

/// Whether a connection that was given back can be used again. When a disk is full SQLite ends the
/// transaction by itself, the roll-back that follows finds none, and the driver goes on counting
/// one: such a connection could never begin another.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A roll-back may still be under way; this answers after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// The desk in memory when it still stands for the file, else one read from the file.
async fn reloaded(
    known: Option<Loaded>,
    tx: &mut Transaction<'static, Sqlite>,
    now: Timestamp,
) -> Result<Loaded, AlertingError> {
    let version = write::data_version(tx).await?;
    match known {
        Some(loaded) if loaded.version == version => Ok(loaded),
        _ => reload(tx, version, now).await,
    }
}

async fn reload(
    tx: &mut Transaction<'static, Sqlite>,
    version: i64,
    now: Timestamp,
) -> Result<Loaded, AlertingError> {
    Ok(Loaded {
        desk: write::load(tx).await?,
        silences: quiet::not_over(tx, now).await?,
        version,
    })
}

pub(crate) async fn commit(
    tx: Transaction<'static, Sqlite>,
    doing: &str,
) -> Result<(), AlertingError> {
    tx.commit().await.map_err(|source| AlertingError::Database {
        doing: doing.to_owned(),
        source,
    })
}

/// The name of a person as it goes into the log.
pub(crate) fn person(by: &str) -> Result<&str, AlertingError> {
    let by = by.trim();
    if by.is_empty() || by.chars().count() > MAX_PERSON_CHARS || by.chars().any(char::is_control) {
        return Err(AlertingError::Invalid {
            field: "by",
            rule: "use 1 to 200 characters without control characters",
        });
    }
    Ok(by)
}
