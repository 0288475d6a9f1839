//! `/status`: how the program itself fares.

use axum::{Json, extract::State};
use ingest::SubscriberStatus;
use serde::Serialize;
use telemetry::{Offset, Timestamp};
use utoipa::ToSchema;

use super::{Shared, dead_letters, problem::Problem};

/// How the program fares.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatusView {
    /// The version of the program.
    pub version: String,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The time by its clock.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// Readings committed since the journal was created.
    pub readings_acknowledged: u64,
    /// Distinct readings stored.
    pub readings_stored: u64,
    /// Messages acknowledged since the start of the program.
    pub messages_acknowledged: u64,
    /// MQTT connections open now.
    pub connections: u64,
    /// Dead letters since the journal was created.
    pub dead_letters: u64,
    /// The journal.
    pub journal: JournalView,
    /// The subscriptions to other brokers.
    pub subscribers: Vec<SubscriberView>,
    /// What happens to a device nobody has registered: `open` or `closed`.
    pub registration: String,
    /// Whether this is the demo plant.
    pub demo: bool,
}

/// The journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JournalView {
    /// The last committed offset.
    pub committed: u64,
    /// The oldest offset kept.
    pub oldest: u64,
    /// The size of its file.
    pub bytes: u64,
    /// Who reads it and how far they are.
    pub readers: Vec<ReaderView>,
}

/// A reader of the journal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReaderView {
    /// Its name.
    pub name: String,
    /// The last offset it has done with.
    pub position: u64,
    /// How many offsets it is behind.
    pub lag: u64,
}

/// A subscription to another broker.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubscriberView {
    /// The broker, without its password.
    pub url: String,
    /// The client id it connects with.
    pub client_id: String,
    /// Whether it is connected and subscribed now.
    pub connected: bool,
    /// When that last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Connections made.
    pub connects: u64,
    /// Messages received.
    pub received: u64,
    /// Messages acknowledged to the broker after their commit.
    pub acknowledged: u64,
}

impl From<SubscriberStatus> for SubscriberView {
    fn from(status: SubscriberStatus) -> Self {
        Self {
            url: status.url,
            client_id: status.client_id,
            connected: status.connected,
            since: status.since,
            last_error: status.last_error,
            connects: status.connects,
            received: status.received,
            acknowledged: status.acknowledged,
        }
    }
}

/// The journal's readers. The store saves its position once a minute and applies records at
/// once, so what it has applied tells more than what it has saved.
pub(crate) fn readers(api: &Shared) -> (Offset, Vec<ReaderView>) {
    let stats = api.parts.journal.stats();
    let applied = api.parts.store.applied();
    let readers = stats.readers.into_iter().map(|reader| {
        let position = if reader.name == STORE_READER {
            reader.position.max(applied)
        } else {
            reader.position
        };
        ReaderView {
            name: reader.name,
            position: position.0,
            lag: stats.committed.0.saturating_sub(position.0),
        }
    });
    (stats.committed, readers.collect())
}

/// The name under which the store reads the journal.
const STORE_READER: &str = "historian";

/// Tell how the program fares.
#[utoipa::path(get, path = "/status", tag = "system",
    responses((status = 200, body = StatusView)))]
pub(crate) async fn get(State(api): State<Shared>) -> Result<Json<StatusView>, Problem> {
    let parts = &api.parts;
    let journal = parts.journal.stats();
    let ingest = parts.ingest.snapshot();
    let (committed, readers) = readers(&api);
    Ok(Json(StatusView {
        version: parts.version.clone(),
        started_at: parts.started_at,
        now: parts.clock.now(),
        readings_acknowledged: journal.readings_appended,
        readings_stored: parts.store.reading_count(),
        messages_acknowledged: ingest.messages_acknowledged,
        connections: ingest.connections,
        dead_letters: dead_letters::counts(&api).await?.total,
        journal: JournalView {
            committed: committed.0,
            oldest: journal.oldest.0,
            bytes: journal.bytes,
            readers,
        },
        subscribers: ingest
            .subscribers
            .into_iter()
            .map(SubscriberView::from)
            .collect(),
        registration: parts.service.registration().as_str().to_owned(),
        demo: parts.demo,
    }))
}
