//! What the API is made of.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use alerting::{CaseDesk, notify::Office};
use historian::{InfluxMonitor, Journal, ModelRegistry, Store, TimeSeries};
use ingest::{IngestStats, Intake};
use service::Service;
use telemetry::{AssetModel, AssetModelId, Clock, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{api::case_replay::CaseReplay, events::EventBus, fleet::FleetView};

/// Everything the API reads from, acts on and answers as. Cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// Dead letters, positions of readers, and whether anything can be committed.
    pub journal: Journal,
    /// Findings, waveforms, and what the embedded store knows of each series.
    pub store: Store,
    /// Where readings are read: the embedded store or InfluxDB.
    pub readings: Arc<dyn TimeSeries>,
    /// How writing to InfluxDB fares, where readings are written there too.
    pub influx: Option<InfluxMonitor>,
    /// Where readings that come over HTTP, and dead letters that are taken again, go in.
    pub intake: Intake,
    /// Cases.
    pub cases: CaseDesk,
    /// Who computes a case again from what was frozen with it.
    pub replays: Arc<dyn CaseReplay>,
    /// Customers, assets and work orders.
    pub service: Service,
    /// The present state of each asset, written by the pipeline.
    pub fleet: FleetView,
    /// Trained models, trainings, and what forecasts were worth.
    pub registry: ModelRegistry,
    /// Live changes on their way to browsers. The API marks what it changes itself; the
    /// pipeline marks the rest.
    pub events: EventBus,
    /// What went through ingest.
    pub ingest: Arc<IngestStats>,
    /// The known asset models, for names and units.
    pub models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Told when an order was completed or cancelled here, so that its outcome is delivered
    /// at once instead of at the next look into the outbox.
    pub outcomes: Arc<Notify>,
    /// Who is told of cases, and how.
    pub office: Arc<Office>,
    /// Rung when there is something to tell.
    pub notify: Arc<Notify>,
    /// Where people reach the pages from outside, when that was configured.
    pub link: Option<String>,
    /// The configured ways to other maintenance systems.
    pub connectors: Vec<ConnectorInfo>,
    /// The address the server listens on, one of the names it answers to.
    pub bind: SocketAddr,
    /// Further host names it answers to.
    pub allowed_hosts: Vec<String>,
    /// The version of the program.
    pub version: String,
    /// When the program started.
    pub started_at: Timestamp,
    /// Whether this is the demo plant.
    pub demo: bool,
    /// Ends every stream and then the server.
    pub shutdown: CancellationToken,
}

/// What is known of a connector without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// What it is called.
    pub name: String,
    /// Its mapping.
    pub mapping: String,
    /// Which system and version that was written for.
    pub written_for: String,
    /// Where the system is.
    pub base_url: String,
}

impl Parts {
    /// The asset model with this id, when it is known.
    pub fn model(&self, id: &AssetModelId) -> Option<&AssetModel> {
        self.models.get(id).map(AsRef::as_ref)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("bind", &self.bind)
            .field("version", &self.version)
            .field("demo", &self.demo)
            .finish_non_exhaustive()
    }
}
