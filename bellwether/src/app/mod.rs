//! The wiring: which part is connected to which, in what order they start and stop.
//!
//! ```text
//! listener, subscribers, HTTP ─▶ journal ─┬─▶ store                      (reader "historian")
//!        gate ◀── service                 └─▶ pipeline ─▶ cases             (reader "analytics")
//!                                                          └─▶ overseer ─▶ service
//!                    └── outcomes ─▶ cases, journal
//! dashboards read from all of them
//! ```
//!
//! Starting: lock, sockets, databases, then everything at once. Stopping: what takes readings
//! in stops first and acknowledges what it has taken; then the readers of the journal save
//! where they are; the journal closes last. What is left over is in the journal and comes
//! back at the next start, so stopping may be cut short without losing anything.

mod connectors;
mod data_dir;
mod influx;
mod settings;
mod sockets;
mod tasks;
#[cfg(test)]
mod tests;
mod wiring;

use std::{collections::BTreeMap, sync::Arc};

use alerting::{CaseDesk, rules::RuleBook};
use anyhow::{Context, Result};
use dashboards::{EventBus, FleetView};
use historian::{Journal, JournalConfig, MODELS_FILE, ModelRegistry, Store, StoreConfig};
use ingest::{IngestStats, Intake, Listener, Subscriber};
use service::Service;
use telemetry::{AssetModel, AssetModelId, Clock, SystemClock, Timestamp};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    pipeline::{Pipeline, PipelineParts},
    rules::Keeper,
};
pub(crate) use data_dir::DataDir;
use settings::{analytics_config, bind_listener, decoder, subscribers};
pub(crate) use sockets::free_port;
use tasks::Tasks;
use wiring::{Front, Wiring};

/// Every part, open and connected, with both sockets bound. Cheap to clone where shared.
#[derive(Clone)]
pub(crate) struct Parts {
    /// What arrived.
    pub(crate) journal: Journal,
    /// Readings and findings.
    pub(crate) store: Store,
    /// Cases.
    pub(crate) cases: CaseDesk,
    /// Assets, orders, people.
    pub(crate) service: Service,
    /// Trained models and trainings.
    pub(crate) registry: ModelRegistry,
    /// What went through ingest.
    pub(crate) stats: Arc<IngestStats>,
    /// The present state of each asset.
    pub(crate) fleet: FleetView,
    /// Live changes for browsers.
    pub(crate) events: EventBus,
    /// Up to where analytics has applied the journal.
    pub(crate) analysed: watch::Receiver<telemetry::Offset>,
}

/// A program that is ready to run.
pub(crate) struct App {
    parts: Parts,
    config: Config,
    models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    outcomes: Arc<Notify>,
    overseer: Arc<Notify>,
    intake: Intake,
    pipeline: Pipeline,
    keeper: Keeper,
    listener: Option<Listener>,
    subscribers: Vec<Subscriber>,
    http: TcpListener,
    started_at: Timestamp,
    demo: bool,
    data_dir: DataDir,
}

impl App {
    /// Locks the data directory, binds the sockets and opens every part.
    ///
    /// # Errors
    /// What cannot be opened or bound, with the key that changes it.
    pub(crate) async fn open(config: Config, demo: bool) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let data_dir = DataDir::lock(&config.data_dir)?;
        let http = sockets::bind_http(config.http.bind).await?;
        let models = Arc::new(crate::models::by_id(config.models.dir.as_deref())?);
        let files = Files::open(&data_dir, &config, &models, &clock).await?;
        let stats = Arc::new(IngestStats::new());
        let ingest = ingest_parts(&config, &files, &stats, &clock)?;
        let intake = Intake::new(ingest.clone());
        let listener = bind_listener(&config, ingest.clone()).await?;
        let subscribers = subscribers(&config, &ingest)?;
        let (fleet, events) = (FleetView::new(), EventBus::new());
        let overseer = Arc::new(Notify::new());
        let Files {
            journal,
            store,
            cases,
            service,
            registry,
        } = files;
        let pipeline = Pipeline::open(PipelineParts {
            journal: journal.clone(),
            store: store.clone(),
            cases: cases.clone(),
            service: service.clone(),
            fleet: fleet.clone(),
            events: events.clone(),
            models: Arc::clone(&models),
            registry: registry.clone(),
            analytics: analytics_config(&config),
            overseer: Arc::clone(&overseer),
        })
        .await?;
        let keeper = Keeper {
            book: RuleBook::of(&cases),
            journal: journal.clone(),
            clock: Arc::clone(&clock),
        };
        let files = &config.rules.files;
        keeper.start(files, pipeline.rules_in_force()).await?;
        let analysed = pipeline.applied();
        Ok(Self {
            parts: Parts {
                journal,
                store,
                cases,
                service,
                registry,
                stats,
                fleet,
                events,
                analysed,
            },
            config,
            models,
            outcomes: Arc::new(Notify::new()),
            overseer,
            intake,
            pipeline,
            keeper,
            listener,
            subscribers,
            http,
            started_at: clock.now(),
            demo,
            data_dir,
        })
    }

    /// The open parts.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The address of API and web UI.
    pub(crate) fn http_address(&self) -> Result<std::net::SocketAddr> {
        self.http
            .local_addr()
            .context("the HTTP socket has no address")
    }

    /// The address of the MQTT endpoint, when there is one.
    pub(crate) fn mqtt_address(&self) -> Option<std::net::SocketAddr> {
        self.listener.as_ref().map(Listener::local_addr)
    }

    /// Runs until `shutdown`, then stops in order.
    ///
    /// # Errors
    /// The first part that failed; all others are stopped then as well.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let parts = self.parts.clone();
        let readers_stop = CancellationToken::new();
        let mut tasks = Tasks::new(shutdown.clone());
        if let Some(listener) = self.listener {
            tasks.intake("the MQTT listener", listener.run(shutdown.clone()));
        }
        for subscriber in self.subscribers {
            tasks.intake("a subscriber", subscriber.run(shutdown.clone()));
        }
        let influx = influx::start(&self.config, &parts, &mut tasks, &readers_stop).await?;
        let (office, wake) = (Arc::new(self.config.notify.office.clone()), Arc::default());
        let wiring = Wiring {
            config: &self.config,
            parts: &parts,
            models: &self.models,
            stop: &readers_stop,
        };
        wiring.notifications(&mut tasks, &office, &wake).await?;
        let connectors = connectors::start(
            &self.config,
            &parts,
            &self.outcomes,
            &mut tasks,
            &readers_stop,
        )?;
        let dashboards = wiring.dashboards(Front {
            connectors,
            influx,
            intake: self.intake,
            outcomes: Arc::clone(&self.outcomes),
            office,
            notify: wake,
            bind: self.http.local_addr()?,
            started_at: self.started_at,
            demo: self.demo,
            shutdown: shutdown.clone(),
        });
        tasks.intake("the HTTP server", dashboards::serve(self.http, dashboards));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let historian = parts
            .store
            .clone()
            .run(parts.journal.clone(), clock, readers_stop.clone());
        tasks.reader("the historian", historian);
        tasks.reader("the analytics", self.pipeline.run(readers_stop.clone()));
        tasks.reader("the rules", self.keeper.run(readers_stop.clone()));
        wiring.way_back(&mut tasks, self.outcomes, self.overseer);
        wiring.learning(&mut tasks, &self.data_dir);
        tracing::info!(data_dir = %self.data_dir.path().display(), config = ?self.config.log.level, "running");
        let ended = tasks.run(readers_stop).await;
        parts.cases.close().await;
        parts.service.close().await;
        if let Err(error) = parts.store.close().await {
            tracing::error!(%error, "the historian did not close cleanly");
        }
        if let Err(error) = parts.journal.close().await {
            tracing::error!(%error, "the journal did not close cleanly");
        }
        tracing::info!("stopped");
        ended
    }
}

/// What ingest is connected to.
fn ingest_parts(
    config: &Config,
    files: &Files,
    stats: &Arc<IngestStats>,
    clock: &Arc<dyn Clock>,
) -> Result<ingest::Parts> {
    Ok(ingest::Parts {
        journal: Arc::new(files.journal.clone()),
        gate: Arc::new(files.service.clone()),
        clock: Arc::clone(clock),
        decoder: Arc::new(decoder(config, &files.store, stats)?),
        stats: Arc::clone(stats),
        quotas: ingest::Quotas::default(),
    })
}

/// The parts that keep a file each.
struct Files {
    journal: Journal,
    store: Store,
    cases: CaseDesk,
    service: Service,
    registry: ModelRegistry,
}

impl Files {
    async fn open(
        data_dir: &DataDir,
        config: &Config,
        models: &Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut journal = JournalConfig::at(data_dir.file("journal.db"));
        journal.max_dead_letters = config.historian.dead_letters_max;
        journal.max_dead_letter_bytes = config.historian.dead_letters_max_bytes;
        let journal = Journal::open(journal).context("cannot open the journal")?;
        let mut store = StoreConfig::at(data_dir.file("historian.db"));
        store.retention = config.historian.retention.clone();
        let store = Store::open(store, &journal)
            .await
            .context("cannot open the historian")?;
        let plans = Arc::new(crate::plans::load(config.planning.plans_dir.as_deref())?);
        let settings = settings::service(config, models, &plans);
        let service = Service::open(&data_dir.file("service.db"), settings, Arc::clone(clock))
            .await
            .context("cannot open the service system")?;
        let cases = CaseDesk::open(
            &data_dir.file("cases.db"),
            config.cases.clone(),
            Arc::new(service.clone()),
            Arc::clone(clock),
        )
        .await
        .context("cannot open the cases")?;
        let registry = ModelRegistry::open(&data_dir.file(MODELS_FILE))
            .context("cannot open the registry of models")?;
        Ok(Self {
            journal,
            store,
            cases,
            service,
            registry,
        })
    }
}
