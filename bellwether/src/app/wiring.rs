//! What follows from cases, and what learns, beside the readers of the journal.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use alerting::{
    notify::{Notifier, NotifierParts, Office},
    rules::RuleBook,
};
use anyhow::{Context, Result};
use dashboards::{ConnectorInfo, DriftSources};
use ingest::Intake;
use service::Service;
use telemetry::{AssetModel, AssetModelId, SystemClock, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{DataDir, Parts, influx::Influx, settings::analytics_config, tasks::Tasks};
use crate::{
    backtest::{Archive, Backtests},
    capsule::Replays,
    config::Config,
    detection_watch::DetectionWatch,
    notify::House,
    outcomes::Outcomes,
    overseer::Overseer,
    prognosis::{drift::DriftWatch, gather::Sources, trainer::Trainer},
    recalibration::Recalibrator,
};

/// How often it is saved when credentials were used last: as exact as people ask.
const SAVE_USES_EVERY: Duration = Duration::from_mins(1);

/// What everything here is connected to.
pub(super) struct Wiring<'a> {
    pub(super) config: &'a Config,
    pub(super) parts: &'a Parts,
    pub(super) models: &'a Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    /// Stops the readers.
    pub(super) stop: &'a CancellationToken,
}

/// What only the HTTP server has.
pub(super) struct Front {
    pub(super) connectors: Vec<ConnectorInfo>,
    pub(super) influx: Influx,
    pub(super) intake: Intake,
    pub(super) outcomes: Arc<Notify>,
    pub(super) office: Arc<Office>,
    pub(super) notify: Arc<Notify>,
    pub(super) bind: SocketAddr,
    pub(super) started_at: Timestamp,
    pub(super) demo: bool,
    pub(super) shutdown: CancellationToken,
}

impl Wiring<'_> {
    /// Tells people of cases.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub(super) async fn notifications(
        &self,
        tasks: &mut Tasks,
        office: &Arc<Office>,
        wake: &Arc<Notify>,
    ) -> Result<()> {
        let notifier = Notifier::open(NotifierParts {
            desk: self.parts.cases.clone(),
            office: Arc::clone(office),
            facts: Arc::new(House {
                service: self.parts.service.clone(),
                models: Arc::clone(self.models),
            }),
            clock: Arc::new(SystemClock),
            wake: Arc::clone(wake),
            link: self.config.notify.link.clone(),
            source: self.config.notify.source.clone(),
        });
        let notifier = notifier.await.context("cannot open the notifications")?;
        tasks.reader("the notifications", notifier.run(self.stop.clone()));
        Ok(())
    }

    /// From cases to orders, from their outcomes back to cases, and from those to what alerts need.
    pub(super) fn way_back(&self, tasks: &mut Tasks, outcomes: Arc<Notify>, overseer: Arc<Notify>) {
        let Self { parts, stop, .. } = self;
        let recalibrator = Recalibrator {
            cases: parts.cases.clone(),
            service: parts.service.clone(),
            journal: parts.journal.clone(),
            clock: Arc::new(SystemClock),
            every: self.config.rules.recalibrate_every,
        };
        tasks.reader("the recalibration", recalibrator.run((*stop).clone()));
        let outcomes = Outcomes {
            service: parts.service.clone(),
            cases: parts.cases.clone(),
            journal: parts.journal.clone(),
            events: parts.events.clone(),
            wake: outcomes,
        };
        tasks.reader("the outcomes", outcomes.run((*stop).clone()));
        let overseer = Overseer {
            service: parts.service.clone(),
            cases: parts.cases.clone(),
            events: parts.events.clone(),
            clock: Arc::new(SystemClock),
            wake: overseer,
        };
        tasks.reader("the overseer", overseer.run((*stop).clone()));
    }

    /// What learns remaining life, tries rules on the stored past and keeps house, beside
    /// everything else.
    pub(super) fn learning(&self, tasks: &mut Tasks, data_dir: &DataDir) {
        let Self {
            config,
            parts,
            models,
            stop,
        } = self;
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
        tasks.reader("the training", trainer.run(drift, (*stop).clone()));
        let watch = DetectionWatch {
            sources: DriftSources {
                service: parts.service.clone(),
                store: parts.store.clone(),
                fleet: parts.fleet.clone(),
                cases: parts.cases.clone(),
                models: Arc::clone(models),
            },
            events: parts.events.clone(),
            every: config.analytics.drift_every,
        };
        tasks.reader("the drift watch", watch.run((*stop).clone()));
        let backtests = Backtests {
            archive: Archive {
                store: data_dir.file("historian.db"),
                journal: data_dir.file("journal.db"),
                service: parts.service.clone(),
                models: Arc::clone(models),
                analytics: analytics_config(config),
                settings: config.cases.clone(),
            },
            book: RuleBook::of(&parts.cases),
        };
        tasks.reader("the back-tests", backtests.run((*stop).clone()));
        let uses = save_uses(parts.service.clone(), (*stop).clone());
        tasks.reader("the uses of credentials", uses);
    }

    /// What the HTTP server shows and acts on.
    pub(super) fn dashboards(&self, front: Front) -> dashboards::Parts {
        let Self { parts, .. } = self;
        dashboards::Parts {
            connectors: front.connectors,
            journal: parts.journal.clone(),
            store: parts.store.clone(),
            readings: front.influx.readings,
            influx: front.influx.monitor,
            intake: front.intake,
            cases: parts.cases.clone(),
            replays: Arc::new(Replays {
                cases: parts.cases.clone(),
            }),
            service: parts.service.clone(),
            registry: parts.registry.clone(),
            fleet: parts.fleet.clone(),
            events: parts.events.clone(),
            ingest: Arc::clone(&parts.stats),
            models: Arc::clone(self.models),
            clock: Arc::new(SystemClock),
            outcomes: front.outcomes,
            office: front.office,
            notify: front.notify,
            link: self.config.notify.link.clone(),
            bind: front.bind,
            allowed_hosts: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: front.started_at,
            demo: front.demo,
            shutdown: front.shutdown,
        }
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
