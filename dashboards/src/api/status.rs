//! `/status`: how the program itself fares.

use axum::{Json, extract::State};
use historian::{DamagedChunk, InfluxState, InfluxStatus, Tier};
use ingest::{IngestSnapshot, SubscriberStatus};
use serde::Serialize;
use telemetry::{DeviceId, Offset, SignalName, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared, dead_letters,
    notifications::{self, NotificationSummary},
    problem::Problem,
};

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
    /// Waveforms committed since the start of the program.
    pub waveforms_acknowledged: u64,
    /// Dead letters since the journal was created.
    pub dead_letters: u64,
    /// Those in the list that have not been taken again.
    pub dead_letters_open: u64,
    /// Those that left the list to keep its bounds.
    pub dead_letters_dropped: u64,
    /// What the checks noticed about readings that were stored all the same.
    pub noticed: NoticedView,
    /// Who was kept out or slowed down.
    pub access: AccessView,
    /// Messages to people; stuck ones want a person to look.
    pub notifications: NotificationSummary,
    /// The journal.
    pub journal: JournalView,
    /// Parts of the store that could not be read and were set aside, newest first.
    pub damaged_chunks: Vec<DamagedView>,
    /// How writing to InfluxDB fares; null where readings are not written there.
    pub influx: Option<InfluxView>,
    /// The subscriptions to other brokers.
    pub subscribers: Vec<SubscriberView>,
    /// What happens to a device nobody has registered: `open` or `closed`.
    pub registration: String,
    /// Whether this is the demo plant.
    pub demo: bool,
}

/// What the checks noticed, in readings since the start of the program. They are stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NoticedView {
    /// Later than the configured bound behind their device's newest one; they raise nothing.
    pub late: u64,
    /// Of a time their signal had already; stored once.
    pub duplicate: u64,
    /// Older than the last of their signal.
    pub out_of_order: u64,
    /// Of a signal whose value has not changed for longer than is declared.
    pub stuck: u64,
}

/// Who was kept out or slowed down, since the start of the program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccessView {
    /// Connections whose TLS or MQTT handshake failed.
    pub handshakes_failed: u64,
    /// Connections whose credential was missing, not valid or another client's.
    pub logins_refused: u64,
    /// Sessions ended because their credential was revoked.
    pub sessions_revoked: u64,
    /// Times a sender was made to wait because it was above its quota.
    pub quota_pauses: u64,
    /// Times changed TLS files could not be used.
    pub tls_reload_errors: u64,
}

impl NoticedView {
    fn of(stats: &IngestSnapshot) -> Self {
        Self {
            late: stats.readings_late,
            duplicate: stats.readings_duplicate,
            out_of_order: stats.readings_out_of_order,
            stuck: stats.readings_stuck,
        }
    }
}

impl AccessView {
    fn of(stats: &IngestSnapshot) -> Self {
        Self {
            handshakes_failed: stats.handshakes_failed,
            logins_refused: stats.logins_refused,
            sessions_revoked: stats.sessions_revoked,
            quota_pauses: stats.quota_pauses,
            tls_reload_errors: stats.tls_reload_errors,
        }
    }
}

/// A part of the store that could not be read and was set aside.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DamagedView {
    /// Who measured.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What was measured.
    #[schema(value_type = String)]
    pub signal: SignalName,
    /// What is missing: `raw` readings, or the roll-up by `minute`, `hour` or `day`.
    pub tier: String,
    /// The earliest event time in it.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// The latest event time in it.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// The number of readings in it.
    pub count: u64,
    /// When the damage was found.
    #[schema(value_type = String, format = DateTime)]
    pub found_at: Timestamp,
    /// What does not fit.
    pub reason: String,
}

impl From<DamagedChunk> for DamagedView {
    fn from(chunk: DamagedChunk) -> Self {
        let tier = match chunk.tier {
            Tier::Raw => "raw",
            Tier::Minute => "minute",
            Tier::Hour => "hour",
            Tier::Day => "day",
        };
        Self {
            device: chunk.device,
            signal: chunk.signal,
            tier: tier.to_owned(),
            from: chunk.first_at,
            to: chunk.last_at,
            count: chunk.count,
            found_at: chunk.found_at,
            reason: chunk.reason,
        }
    }
}

/// How writing to InfluxDB fares.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InfluxView {
    /// `starting`, `running`, `retrying`, `unauthorized`, `not_found` or `stopped`.
    #[schema(value_type = String)]
    pub state: InfluxState,
    /// Offsets of the journal that are still to be written.
    pub lag: u64,
    /// Points written since the start of the program.
    pub points_written: u64,
    /// Batches sent again after a failure.
    pub retries: u64,
    /// Points InfluxDB refused for what they are.
    pub refused: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_error_at: Option<Timestamp>,
    /// When something was written last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_write_at: Option<Timestamp>,
}

impl From<InfluxStatus> for InfluxView {
    fn from(status: InfluxStatus) -> Self {
        Self {
            state: status.state,
            lag: status.committed.0.saturating_sub(status.position.0),
            points_written: status.points_written,
            retries: status.retries,
            refused: status.refused,
            last_error: status.last_error,
            last_error_at: status.last_error_at,
            last_write_at: status.last_write_at,
        }
    }
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
/// The name under which InfluxDB is fed from the journal.
pub(crate) const INFLUX_READER: &str = "influxdb";
/// Damaged chunks that are listed: one is news, a hundred are a broken disk.
const MAX_DAMAGED: usize = 100;

/// Tell how the program fares.
#[utoipa::path(get, path = "/status", tag = "system",
    responses((status = 200, body = StatusView)))]
pub(crate) async fn get(State(api): State<Shared>) -> Result<Json<StatusView>, Problem> {
    let parts = &api.parts;
    let journal = parts.journal.stats();
    let ingest = parts.ingest.snapshot();
    let (committed, readers) = readers(&api);
    let damaged = parts.store.damaged_chunks(MAX_DAMAGED).await?;
    let open = dead_letters::open_counts(&api).await?;
    Ok(Json(StatusView {
        version: parts.version.clone(),
        started_at: parts.started_at,
        now: parts.clock.now(),
        readings_acknowledged: journal.readings_appended,
        readings_stored: parts.store.reading_count(),
        messages_acknowledged: ingest.messages_acknowledged,
        connections: ingest.connections,
        waveforms_acknowledged: ingest.waveforms_acknowledged,
        dead_letters: dead_letters::counts(&api).await?.values().sum(),
        dead_letters_open: open.values().sum(),
        dead_letters_dropped: journal.dead_letters.dropped,
        noticed: NoticedView::of(&ingest),
        access: AccessView::of(&ingest),
        notifications: notifications::counts(&api).await?,
        journal: JournalView {
            committed: committed.0,
            oldest: journal.oldest.0,
            bytes: journal.bytes,
            readers,
        },
        damaged_chunks: damaged.into_iter().map(DamagedView::from).collect(),
        influx: parts.influx.as_ref().map(|influx| influx.status().into()),
        subscribers: ingest
            .subscribers
            .into_iter()
            .map(SubscriberView::from)
            .collect(),
        registration: parts.service.registration().as_str().to_owned(),
        demo: parts.demo,
    }))
}
