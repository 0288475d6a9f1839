//! Where imported readings go: the journal of a data folder, or a running program.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use historian::{Journal, JournalConfig, Store, StoreConfig};
use telemetry::{JournalRecord, JournalWriter, ReadingBatch, SystemClock};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use crate::{app::DataDir, config::Config, pipeline, progress::Progress};

/// How often the historian is looked at while it catches up.
const CATCH_UP_POLL: Duration = Duration::from_millis(100);

/// What was refused on the other side, in its words.
pub(crate) type Refused = Vec<String>;

/// Where readings go.
pub(crate) enum Target {
    /// The journal of a folder nobody else uses.
    Folder(Box<Folder>),
    /// `POST /api/v1/readings` of a running program.
    Api(Api),
}

/// A data folder that is held for the import.
pub(crate) struct Folder {
    journal: Journal,
    store: Store,
    historian: JoinHandle<Result<(), historian::HistorianError>>,
    stop: CancellationToken,
    _held: DataDir,
}

impl Folder {
    /// Locks the folder, opens journal and historian and lets the historian follow. Analytics,
    /// and the InfluxDB writer when it is configured, are made known to the journal, which then
    /// keeps what is imported until they have seen it.
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        let held = DataDir::lock(&config.data_dir)?;
        let journal = Journal::open(JournalConfig::at(held.file("journal.db")))
            .context("cannot open the journal")?;
        journal.register_reader(pipeline::READER).await?;
        if config.historian.influxdb.is_some() {
            journal.register_reader(historian::influx::READER).await?;
        }
        let store = Store::open(StoreConfig::at(held.file("historian.db")), &journal)
            .await
            .context("cannot open the historian")?;
        let stop = CancellationToken::new();
        let run = store
            .clone()
            .run(journal.clone(), Arc::new(SystemClock), stop.clone());
        Ok(Self {
            historian: tokio::spawn(run),
            journal,
            store,
            stop,
            _held: held,
        })
    }

    /// Waits until the historian has everything, then closes both. A historian that fails tells
    /// why; what was committed stays in the journal.
    async fn finish(self) -> Result<u64> {
        let committed = *self.journal.committed().borrow();
        let before = self.store.applied();
        let mut progress = Progress::new(committed.0.saturating_sub(before.0), "records");
        while self.store.applied() < committed && !self.historian.is_finished() {
            let done = self.store.applied().0.saturating_sub(before.0);
            progress.at(done, || "the historian catches up".to_owned());
            tokio::time::sleep(CATCH_UP_POLL).await;
        }
        progress.finish();
        self.stop.cancel();
        self.historian.await.context("the historian panicked")??;
        self.store.close().await?;
        self.journal.close().await?;
        Ok(self.store.reading_count())
    }
}

impl Target {
    /// Takes readings durably. `key` names them for somebody who may get them twice.
    pub(crate) async fn take(&mut self, readings: ReadingBatch, key: &str) -> Result<Refused> {
        match self {
            Self::Folder(folder) => {
                if folder.historian.is_finished() {
                    bail!("the historian has stopped; what was imported is in the journal");
                }
                let record = JournalRecord {
                    readings,
                    ..JournalRecord::default()
                };
                folder
                    .journal
                    .append(record)
                    .await
                    .context("the journal did not take the readings")?;
                Ok(Refused::new())
            }
            Self::Api(api) => api.send(&readings, key).await,
        }
    }

    /// Ends the import; gives the number of readings the folder holds now.
    pub(crate) async fn finish(self) -> Result<Option<u64>> {
        match self {
            Self::Folder(folder) => folder.finish().await.map(Some),
            Self::Api(_) => Ok(None),
        }
    }
}
