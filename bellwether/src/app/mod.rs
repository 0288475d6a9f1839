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

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alerting::{
    CaseDesk,
    notify::{Notifier, NotifierParts},
    rules::RuleBook,
};
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
    backtest::{Archive, Backtests},
    capsule::Replays,
    config::Config,
    notify::House,
    outcomes::Outcomes,
    overseer::Overseer,
    pipeline::{Pipeline, PipelineParts},
    prognosis::{drift::DriftWatch, gather::Sources, trainer::Trainer},
    recalibration::Recalibrator,
    rules::Keeper,
};
pub(crate) use data_dir::DataDir;
use settings::{analytics_config, bind_listener, decoder, load_models, subscribers};
pub(crate) use sockets::free_port;
use tasks::Tasks;

/// How often it is saved when credentials were used last: as exact as people ask.
const SAVE_USES_EVERY: Duration = Duration::from_mins(1);

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
        let models = Arc::new(load_models(config.models.dir.as_deref())?);
        let files = Files::open(&data_dir, &config, &models, &clock).await?;
        let stats = Arc::new(IngestStats::new());
        let ingest = ingest::Parts {
            journal: Arc::new(files.journal.clone()),
            gate: Arc::new(files.service.clone()),
            clock: Arc::clone(&clock),
            decoder: Arc::new(decoder(&config, &files.store, &stats)?),
            stats: Arc::clone(&stats),
            quotas: ingest::Quotas::default(),
        };
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
        let notifier = Notifier::open(NotifierParts {
            desk: parts.cases.clone(),
            office: Arc::clone(&office),
            facts: Arc::new(House {
                service: parts.service.clone(),
                models: Arc::clone(&self.models),
            }),
            clock: Arc::new(SystemClock),
            wake: Arc::clone(&wake),
            link: self.config.notify.link.clone(),
            source: self.config.notify.source.clone(),
        });
        let notifier = notifier.await.context("cannot open the notifications")?;
        let connectors = connectors::start(
            &self.config,
            &parts,
            &self.outcomes,
            &mut tasks,
            &readers_stop,
        )?;
        let dashboards = dashboards::Parts {
            connectors,
            journal: parts.journal.clone(),
            store: parts.store.clone(),
            readings: influx.readings,
            influx: influx.monitor,
            intake: self.intake,
            cases: parts.cases.clone(),
            replays: Arc::new(Replays {
                cases: parts.cases.clone(),
            }),
            service: parts.service.clone(),
            registry: parts.registry.clone(),
            fleet: parts.fleet.clone(),
            events: parts.events.clone(),
            ingest: Arc::clone(&parts.stats),
            models: Arc::clone(&self.models),
            clock: Arc::new(SystemClock),
            outcomes: Arc::clone(&self.outcomes),
            office: Arc::clone(&office),
            notify: Arc::clone(&wake),
            link: self.config.notify.link.clone(),
            bind: self.http.local_addr()?,
            allowed_hosts: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            demo: self.demo,
            shutdown: shutdown.clone(),
        };
        tasks.intake("the HTTP server", dashboards::serve(self.http, dashboards));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let historian = parts
            .store
            .clone()
            .run(parts.journal.clone(), clock, readers_stop.clone());
        tasks.reader("the historian", historian);
        tasks.reader("the analytics", self.pipeline.run(readers_stop.clone()));
        let recalibrator = Recalibrator {
            cases: parts.cases.clone(),
            service: parts.service.clone(),
            journal: parts.journal.clone(),
            clock: Arc::new(SystemClock),
            every: self.config.rules.recalibrate_every,
        };
        tasks.reader("the recalibration", recalibrator.run(readers_stop.clone()));
        tasks.reader("the rules", self.keeper.run(readers_stop.clone()));
        let outcomes = Outcomes {
            service: parts.service.clone(),
            cases: parts.cases.clone(),
            journal: parts.journal.clone(),
            events: parts.events.clone(),
            wake: self.outcomes,
        };
        tasks.reader("the outcomes", outcomes.run(readers_stop.clone()));
        tasks.reader("the notifications", notifier.run(readers_stop.clone()));
        let overseer = Overseer {
            service: parts.service.clone(),
            cases: parts.cases.clone(),
            events: parts.events.clone(),
            clock: Arc::new(SystemClock),
            wake: self.overseer,
        };
        tasks.reader("the overseer", overseer.run(readers_stop.clone()));
        let training = training(&self.config, &parts, &self.models, readers_stop.clone());
        tasks.reader("the training", training);
        let backtests = backtests(&self.config, &parts, &self.models, &self.data_dir);
        tasks.reader("the back-tests", backtests.run(readers_stop.clone()));
        let uses = save_uses(parts.service.clone(), readers_stop.clone());
        tasks.reader("the uses of credentials", uses);
        tracing::info!(data_dir = %self.data_dir.path().display(), config = ?self.config.log.level, "running");
        let ended = tasks.run(readers_stop).await;
        parts.cases.close().await;
        parts.service.close().await;
        if let Err(error) = parts.journal.close().await {
            tracing::error!(%error, "the journal did not close cleanly");
        }
        tracing::info!("stopped");
        ended
    }
}

/// What learns remaining life beside everything else.
fn training(
    config: &Config,
    parts: &Parts,
    models: &Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    stop: CancellationToken,
) -> impl Future<Output = Result<()>> + use<> {
    let drift = DriftWatch::new(parts.events.clone(), config.prognosis.drift_every);
    let trainer = Trainer {
        sources: Sources {
            store: parts.store.clone(),
            service: parts.service.clone(),
            analytics: analytics_config(config),
        },
        registry: parts.registry.clone(),
        models: Arc::clone(models),
        clock: Arc::new(SystemClock),
        retrain_every: config.prognosis.retrain_every,
    };
    trainer.run(drift, stop)
}

/// What tries rules on the stored past beside everything else.
fn backtests(
    config: &Config,
    parts: &Parts,
    models: &Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    data_dir: &DataDir,
) -> Backtests {
    Backtests {
        archive: Archive {
            store: data_dir.file("historian.db"),
            journal: data_dir.file("journal.db"),
            service: parts.service.clone(),
            models: Arc::clone(models),
            analytics: analytics_config(config),
            settings: config.cases.clone(),
        },
        book: RuleBook::of(&parts.cases),
    }
}

/// Saves now and then, and at the end, when credentials were used last.
async fn save_uses(service: Service, stop: CancellationToken) -> Result<()> {
    loop {
        let stopping = tokio::select! {
            () = tokio::time::sleep(SAVE_USES_EVERY) => false,
            () = stop.cancelled() => true,
        };
        // It is for people only, and it is tried again with the next ones.
        if let Err(error) = service.flush_last_used().await {
            tracing::warn!(%error, "when credentials were used is not saved yet");
        }
        if stopping {
            return Ok(());
        }
    }
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
