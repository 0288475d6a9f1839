//! The service system on disk: one SQLite file, one writer, several readers.
//!
//! Writes go through one connection and `BEGIN IMMEDIATE`, so that what a transaction read
//! still holds when it writes: of two planners who act on the same order at once, the second
//! meets the status that the first one left. Which device watches which asset, what is declared
//! about it and who may publish in its name is also kept in memory, because it is asked for
//! every message; it is loaded at opening and changed after each commit that changes it, under
//! the same lock.

mod assets;
mod backtests;
mod contacts;
mod credentials;
mod deliveries;
mod devices;
mod follow;
mod history;
mod onboarding;
mod order_reads;
mod orders;
mod people;
mod places;
mod planning;
mod registry;
mod rows;
mod savings;
#[cfg(test)]
mod tests;
mod windows;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use telemetry::{
    Admission, Advisory, AdvisorySink, AssetId, AssetModel, AssetModelId, BoxFuture, CaseId, Claim,
    Clock, CredentialId, Denied, DeviceGate, DeviceId, DeviceRules, Explanation, Grant, PortError,
    Timestamp, WorkOrderId,
};
use tokio::sync::Mutex;

use self::{places::PlaceBook, registry::Registry};
use crate::{Access, JobPlans, PlanningConfig, Registration, ServiceError};

pub(crate) use self::registry::{DeviceEntry, MAX_DEVICES};
pub use self::windows::WorkWindow;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Pages of the API that may read at the same time; more would only wait for the two cores.
const READ_CONNECTIONS: u32 = 4;
/// How long a call waits for a file that another process has locked, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How the service system behaves.
#[derive(Debug, Clone, Default)]
pub struct ServiceConfig {
    /// What happens to a device nobody has registered.
    pub registration: Registration,
    /// What kinds of machines there are: they give devices their units and limits.
    pub models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    /// Whether somebody without a credential may publish.
    pub access: Access,
    /// What is done about each failure mode of each kind of machine.
    pub plans: Arc<JobPlans>,
    /// How orders are dated and priced.
    pub planning: Arc<PlanningConfig>,
    /// The names of the connectors that orders of cases are told to.
    pub connectors: Vec<String>,
}

/// The service system of one installation. Cheap to clone; all clones share one file and one writer.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    write: SqlitePool,
    read: SqlitePool,
    clock: Arc<dyn Clock>,
    registry: Registry,
    places: PlaceBook,
    plans: Arc<JobPlans>,
    planning: Arc<PlanningConfig>,
    connectors: Vec<String>,
    /// Held from the start of a transaction that changes devices or assets until the registry
    /// shows it, so that the registry changes in the order of the commits.
    registering: Mutex<()>,
    /// Held while the journal is told what imports have to tell.
    telling: Mutex<()>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("registration", &self.registration())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the file, creates it when it is missing, and brings it to the present schema.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Migration`] when the file cannot be
    /// used, [`ServiceError::Unreadable`] when it holds what no version wrote.
    pub async fn open(
        path: &Path,
        config: ServiceConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let opening = failed("opening the file");
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .after_release(|connection, _| Box::pin(is_sound(connection)))
            .connect_with(options.clone())
            .await
            .map_err(opening)?;
        MIGRATIONS
            .run(&write)
            .await
            .map_err(|source| ServiceError::Migration {
                path: path.display().to_string(),
                source,
            })?;
        let read = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .connect_with(options.read_only(true))
            .await
            .map_err(failed("opening the file for reading"))?;
        let registry = Registry::new(config.registration, config.access, config.models);
        registry.put(devices::entries(&read).await?);
        registry.put_credentials(credentials::all(&read).await?);
        let places = PlaceBook::default();
        places.put(&assets::every(&read).await?, registry.models());
        Ok(Self {
            inner: Arc::new(Inner {
                write,
                read,
                clock,
                registry,
                places,
                plans: config.plans,
                planning: config.planning,
                connectors: config.connectors,
                registering: Mutex::new(()),
                telling: Mutex::new(()),
            }),
        })
    }

    /// What happens to a device nobody has registered.
    pub fn registration(&self) -> Registration {
        self.inner.registry.registration()
    }

    /// The asset that a device watches and its model; none for an unknown device and for one
    /// that was taken off its asset. Answered from memory.
    pub fn assignment(&self, device: &DeviceId) -> Option<(AssetId, AssetModelId)> {
        self.inner.registry.assignment(device)
    }

    /// Waits for calls under way and closes the file. Every later call fails.
    pub async fn close(&self) {
        self.inner.read.close().await;
        self.inner.write.close().await;
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    async fn begin(&self, doing: &str) -> Result<Transaction<'static, Sqlite>, ServiceError> {
        let begun = self.inner.write.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(failed(doing))
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

async fn commit(tx: Transaction<'static, Sqlite>, doing: &str) -> Result<(), ServiceError> {
    tx.commit().await.map_err(failed(doing))
}

fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> ServiceError {
    |source| ServiceError::Database {
        doing: doing.to_owned(),
        source,
    }
}

fn not_found(what: &'static str, id: &str) -> ServiceError {
    ServiceError::NotFound {
        what,
        id: id.to_owned(),
    }
}

/// Turns the refusal of a second row under the same id into words; passes on every other failure.
fn taken_or_failed(
    what: &'static str,
    id: &str,
    doing: &str,
) -> impl FnOnce(sqlx::Error) -> ServiceError {
    move |source| match &source {
        sqlx::Error::Database(refused) if refused.is_unique_violation() => ServiceError::Conflict {
            what,
            id: id.to_owned(),
            problem: "exists already; choose another id or change the one there is".to_owned(),
        },
        _ => failed(doing)(source),
    }
}

impl DeviceGate for Service {
    /// Registered devices may publish. Others may while registration is open and there is
    /// room for them.
    fn admit(&self, device: &DeviceId) -> Admission {
        self.inner.registry.admit(device)
    }

    /// The signals of its asset's model with what is declared for the device itself on top.
    fn rules(&self, device: &DeviceId) -> Option<Arc<DeviceRules>> {
        self.inner.registry.rules(device)
    }

    fn generation(&self) -> u64 {
        self.inner.registry.generation()
    }

    fn authenticate(&self, claim: &Claim<'_>) -> Result<Grant, Denied> {
        self.inner.registry.authenticate(claim, self.now())
    }

    fn is_valid(&self, credential: CredentialId) -> bool {
        self.inner.registry.is_valid(credential)
    }
}

impl AdvisorySink for Service {
    fn submit<'a>(
        &'a self,
        advisory: &'a Advisory,
    ) -> BoxFuture<'a, Result<WorkOrderId, PortError>> {
        Box::pin(async move { self.raise(advisory).await.map_err(PortError::from) })
    }

    fn withdraw<'a>(
        &'a self,
        case: &'a CaseId,
        reason: &'a Explanation,
    ) -> BoxFuture<'a, Result<Option<WorkOrderId>, PortError>> {
        Box::pin(async move { self.take_back(case, reason).await.map_err(PortError::from) })
    }

    fn amend<'a>(
        &'a self,
        advisory: &'a Advisory,
    ) -> BoxFuture<'a, Result<Option<WorkOrderId>, PortError>> {
        Box::pin(async move { self.add_evidence(advisory).await.map_err(PortError::from) })
    }
}
