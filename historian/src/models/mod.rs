//! The registry of trained models: what was learned when, from what, how good it is, which one
//! serves, and what its forecasts were worth.
//!
//! A model never changes: its bytes are kept under their SHA-256, and a version of a kind of
//! machine points there. What changes is which version serves: promotions are a log, rolling
//! back is promoting an earlier version, and what is in force is the last entry. Training is
//! a queue of jobs beside it; a job that a restart cut off is begun again and finds the
//! material it had gathered.
//!
//! All of it is one SQLite file, `models.db`, the bytes of models included, so that a backup of
//! the data directory has them.

mod jobs;
mod rows;
mod scores;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use telemetry::{AssetModelId, Timestamp};
use tokio::sync::watch;

use crate::{
    error::{During, HistorianError},
    sqlite::{self, Layout},
};

pub use jobs::{JobState, NewJob, TrainingJob};
pub use scores::{ForecastScore, ScoreSummary};

/// The file in a data directory.
pub const MODELS_FILE: &str = "models.db";

/// The largest model kept: fifty times what a fleet model takes.
const MAX_MODEL_BYTES: usize = 256 << 20;
/// Versions of a kind of machine that are listed: years of weekly training.
const MAX_LISTED: u32 = 1_000;

const LAYOUT: Layout = Layout {
    what: "registry of models",
    application_id: 0x4257_4D44,
    version: 1,
    migrations: &[],
    shrinks: true,
    page_bytes: 16_384,
    checkpoint_bytes: 4 << 20,
    schema: include_str!("schema.sql"),
};

/// The registry. Cheap to clone; all clones share one connection.
#[derive(Debug, Clone)]
pub struct ModelRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Mutex<Connection>,
    /// Rises with every change, so that the trainer need not look all the time.
    changes: watch::Sender<u64>,
}

/// What is known of a model beside its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The kind of machine it was trained for.
    pub asset_model: AssetModelId,
    /// Its version, counted from 1 for each kind.
    pub version: u32,
    /// SHA-256 of its bytes, in hexadecimal.
    pub checksum: String,
    /// The length of its bytes.
    pub bytes: u64,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// What it was trained on and with.
    pub provenance: Provenance,
    /// Its features in order.
    pub features: Vec<String>,
    /// How well it forecasts lives it had not seen, as it was measured in training.
    pub metrics: serde_json::Value,
    /// Its calibration: reliability table, coverage, and whether its probabilities are served.
    pub calibration: serde_json::Value,
}

/// Where a model comes from: enough to train it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// The seed of everything random.
    pub seed: u64,
    /// Event time of the first cycle learned from.
    pub data_from: Option<Timestamp>,
    /// Event time of the last one.
    pub data_to: Option<Timestamp>,
    /// Assets learned from.
    pub assets: u32,
    /// Lives, those included that still last.
    pub lives: u32,
    /// Lives that ended in a failure.
    pub failures: u32,
    /// Cycles.
    pub cycles: u64,
    /// The settings of the asset model it was trained with.
    pub settings: serde_json::Value,
    /// Who asked for it: a person, or `schedule`.
    pub by: String,
}

/// A model that has just been trained.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModel {
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// The model itself.
    pub bytes: Vec<u8>,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// What it was trained on and with.
    pub provenance: Provenance,
    /// Its features in order.
    pub features: Vec<String>,
    /// How well it forecasts lives it had not seen.
    pub metrics: serde_json::Value,
    /// Its calibration.
    pub calibration: serde_json::Value,
}

/// A model begins to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The kind of machine.
    pub asset_model: AssetModelId,
    /// The version.
    pub version: u32,
    /// Its checksum.
    pub checksum: String,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// Why, in their words.
    pub note: String,
}

impl ModelRegistry {
    /// Opens the file and makes it when it is missing. Jobs that were cut off wait again.
    ///
    /// # Errors
    /// [`HistorianError`] when the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, HistorianError> {
        let connection = sqlite::open_writer(path, &LAYOUT)?;
        connection
            .execute(
                "UPDATE jobs SET state = 'queued' WHERE state = 'running'",
                [],
            )
            .during("put jobs back into the queue")?;
        Ok(Self {
            inner: Arc::new(Inner {
                connection: Mutex::new(connection),
                changes: watch::Sender::new(0),
            }),
        })
    }

    /// Rises whenever something changed here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Keeps a model as the next version of its kind. The same bytes again are the version
    /// they are already.
    ///
    /// # Errors
    /// [`HistorianError::TooLarge`], and whatever the disk says.
    pub async fn put(&self, new: NewModel) -> Result<ModelCard, HistorianError> {
        if new.bytes.len() > MAX_MODEL_BYTES {
            return Err(HistorianError::TooLarge {
                what: "a model",
                bytes: new.bytes.len(),
                limit: MAX_MODEL_BYTES,
            });
        }
        self.change(move |connection| {
            let tx = sqlite::begin(connection)?;
            let card = rows::put(&tx, new)?;
            tx.commit().during("keep a model")?;
            Ok(card)
        })
        .await
    }

    /// The models of a kind, or of all kinds, newest first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn list(
        &self,
        asset_model: Option<AssetModelId>,
    ) -> Result<Vec<ModelCard>, HistorianError> {
        self.call(move |connection| rows::list(connection, asset_model.as_ref(), MAX_LISTED))
            .await
    }

    /// One version of a kind; none when there is no such.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn get(
        &self,
        asset_model: AssetModelId,
        version: u32,
    ) -> Result<Option<ModelCard>, HistorianError> {
        self.call(move |connection| rows::get(connection, &asset_model, version))
            .await
    }

    /// The bytes of a model by checksum; none when there is no such model. Blocks.
    ///
    /// # Errors
    /// [`HistorianError::Corrupt`] when the bytes are not those that were kept.
    pub fn bytes(&self, checksum: &str) -> Result<Option<Vec<u8>>, HistorianError> {
        let found: Option<Vec<u8>> = self
            .lock()
            .query_row(
                "SELECT bytes FROM model_files WHERE checksum = ?",
                [checksum],
                |row| row.get(0),
            )
            .optional()
            .during("read a model")?;
        match found {
            Some(bytes) if checksum_of(&bytes) != checksum => Err(HistorianError::Corrupt {
                what: "model",
                id: bytes.len() as u64,
                reason: format!("its bytes do not add up to {checksum}"),
            }),
            found => Ok(found),
        }
    }

    /// Notes that a version serves from now on. Whoever calls this writes the event into the
    /// journal first: what serves is what the journal says.
    ///
    /// # Errors
    /// Whatever the disk says; a version that is not there is refused.
    pub async fn promoted(&self, promotion: Promotion) -> Result<(), HistorianError> {
        self.change(move |connection| {
            connection
                .execute(
                    "INSERT INTO promotions (asset_model, version, checksum, at, by, note)
                     VALUES (?, ?, ?, ?, ?, ?)",
                    params![
                        promotion.asset_model.as_str(),
                        promotion.version,
                        promotion.checksum,
                        promotion.at.as_micros(),
                        promotion.by,
                        promotion.note
                    ],
                )
                .during("note a promotion")?;
            Ok(())
        })
        .await
    }

    /// The promotions of a kind, or of all kinds, newest first.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub async fn promotions(
        &self,
        asset_model: Option<AssetModelId>,
    ) -> Result<Vec<Promotion>, HistorianError> {
        self.call(move |connection| rows::promotions(connection, asset_model.as_ref(), MAX_LISTED))
            .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        let connection = &self.inner.connection;
        connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something that reads or writes on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, HistorianError> + Send + 'static,
    ) -> Result<T, HistorianError> {
        let registry = self.clone();
        let task = tokio::task::spawn_blocking(move || run(&mut registry.lock()));
        task.await
            .map_err(|error| HistorianError::Worker(Some(error)))?
    }

    async fn change<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, HistorianError> + Send + 'static,
    ) -> Result<T, HistorianError> {
        let done = self.call(run).await?;
        self.inner.changes.send_modify(|changes| *changes += 1);
        Ok(done)
    }
}

/// SHA-256 in hexadecimal digits.
fn checksum_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(bytes);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
