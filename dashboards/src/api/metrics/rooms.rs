//! The figures of the other rooms, read from them when a scrape asks.

use std::collections::BTreeMap;

use ingest::IngestSnapshot;
use prometheus_client::registry::Registry;
use service::AssetQuery;

use super::{counter, counters, gauge, gauges};
use crate::{
    api::{
        Shared, dead_letters, notifications,
        problem::Problem,
        status,
        summary::{self, Composer},
    },
    state::AssetState,
};

/// The name, the help and the value of a counter of ingest.
type IngestCounter = (&'static str, &'static str, fn(&IngestSnapshot) -> u64);

const INGEST: [IngestCounter; 25] = [
    (
        "ingest_connections_accepted",
        "MQTT connections accepted",
        |s| s.connections_accepted,
    ),
    (
        "ingest_connections_refused",
        "MQTT connections refused by a cap",
        |s| s.connections_refused,
    ),
    (
        "ingest_handshakes_failed",
        "MQTT handshakes that failed",
        |s| s.handshakes_failed,
    ),
    (
        "ingest_protocol_violations",
        "MQTT connections closed for breaking the protocol",
        |s| s.protocol_violations,
    ),
    (
        "ingest_keep_alive_timeouts",
        "MQTT connections closed because they fell silent",
        |s| s.keep_alive_timeouts,
    ),
    (
        "ingest_sessions_taken_over",
        "MQTT connections closed because their client id connected again",
        |s| s.sessions_taken_over,
    ),
    ("ingest_received_bytes", "Bytes read from devices", |s| {
        s.bytes_received
    }),
    ("ingest_messages_received", "Messages received", |s| {
        s.messages_received
    }),
    (
        "ingest_messages_acknowledged",
        "QoS 1 and 2 messages acknowledged after their commit",
        |s| s.messages_acknowledged,
    ),
    ("ingest_duplicates", "QoS 2 messages that came again", |s| {
        s.duplicates
    }),
    (
        "ingest_readings_acknowledged",
        "Readings in committed records",
        |s| s.readings_acknowledged,
    ),
    (
        "ingest_journal_errors",
        "Appends the journal refused",
        |s| s.journal_errors,
    ),
    ("ingest_qos0_lost", "QoS 0 messages lost", |s| s.qos0_lost),
    (
        "ingest_waveforms_acknowledged",
        "Waveforms in committed records",
        |s| s.waveforms_acknowledged,
    ),
    (
        "ingest_readings_late",
        "Readings too late to raise anything; stored",
        |s| s.readings_late,
    ),
    (
        "ingest_readings_duplicate",
        "Readings of a time their signal had already; stored once",
        |s| s.readings_duplicate,
    ),
    (
        "ingest_readings_out_of_order",
        "Readings older than the last of their signal; stored",
        |s| s.readings_out_of_order,
    ),
    (
        "ingest_readings_stuck",
        "Readings of a signal that has not changed for too long; stored",
        |s| s.readings_stuck,
    ),
    (
        "ingest_logins_refused",
        "Connections whose credential was missing, not valid or another client's",
        |s| s.logins_refused,
    ),
    (
        "ingest_sessions_revoked",
        "Sessions ended because their credential was revoked",
        |s| s.sessions_revoked,
    ),
    (
        "ingest_quota_pauses",
        "Times a sender was made to wait because it was above its quota",
        |s| s.quota_pauses,
    ),
    (
        "ingest_oversized_packets",
        "PUBLISH packets longer than the limit",
        |s| s.oversized_packets,
    ),
    (
        "ingest_commands_sent",
        "Commands sent to devices, such as rebirth requests",
        |s| s.commands_sent,
    ),
    (
        "ingest_tls_reloads",
        "Times changed TLS files were taken into use",
        |s| s.tls_reloads,
    ),
    (
        "ingest_tls_reload_errors",
        "Times changed TLS files could not be used",
        |s| s.tls_reload_errors,
    ),
];

/// What went through ingest since the start of the program.
pub(super) fn ingest(registry: &mut Registry, api: &Shared) {
    let stats = api.parts.ingest.snapshot();
    let help = "MQTT connections open now";
    gauge(
        registry,
        "ingest_connections",
        help,
        stats.connections as f64,
    );
    for (name, help, value) in INGEST {
        counter(registry, name, help, value(&stats));
    }
    let dead = stats.dead_letters.iter();
    let dead = dead.map(|(reason, count)| (reason.to_string(), *count));
    counters(
        registry,
        "ingest_dead_letters",
        "Dead letters since the start",
        "reason",
        dead,
    );
    let connected = stats.subscribers.iter().map(|subscriber| {
        let connected = f64::from(u8::from(subscriber.connected));
        (subscriber.client_id.clone(), connected)
    });
    let help = "Whether a subscriber is connected";
    gauges(
        registry,
        "ingest_subscriber_connected",
        help,
        "client_id",
        connected,
    );
}

/// The journal, its readers and the store.
pub(super) fn journal(registry: &mut Registry, api: &Shared) {
    let stats = api.parts.journal.stats();
    let (committed, readers) = status::readers(api);
    for (name, help, value) in [
        (
            "journal_committed_offset",
            "The last committed offset",
            committed.0,
        ),
        (
            "journal_oldest_offset",
            "The oldest offset kept",
            stats.oldest.0,
        ),
        (
            "journal_file_bytes",
            "Size of the journal's file",
            stats.bytes,
        ),
        (
            "store_readings_stored",
            "Distinct readings in the store",
            api.parts.store.reading_count(),
        ),
    ] {
        gauge(registry, name, help, value as f64);
    }
    for (name, help, value) in [
        (
            "journal_readings_appended",
            "Readings committed since the journal was created",
            stats.readings_appended,
        ),
        ("journal_commits", "Group commits", stats.commits),
        (
            "journal_failed_commits",
            "Group commits that failed",
            stats.failed_commits,
        ),
    ] {
        counter(registry, name, help, value);
    }
    let positions = readers
        .iter()
        .map(|reader| (reader.name.clone(), reader.position as f64));
    let help = "The last offset a reader has done with";
    gauges(registry, "journal_reader_offset", help, "reader", positions);
    let lags = readers
        .iter()
        .map(|reader| (reader.name.clone(), reader.lag as f64));
    gauges(
        registry,
        "journal_reader_lag",
        "Offsets a reader is behind",
        "reader",
        lags,
    );
}

/// Cases, orders, dead letters and assets.
pub(super) async fn work(registry: &mut Registry, api: &Shared) -> Result<(), Problem> {
    let cases = api.parts.cases.counts().await?;
    let by_status = [
        ("open", cases.open),
        ("acknowledged", cases.acknowledged),
        ("closed", cases.closed),
    ];
    let by_status = by_status.map(|(word, count)| (word.to_owned(), count as f64));
    gauges(registry, "cases", "Cases by status", "status", by_status);
    let orders = api.parts.service.work_order_counts().await?;
    let by_status = [
        ("proposed", orders.proposed),
        ("approved", orders.approved),
        ("scheduled", orders.scheduled),
        ("in_progress", orders.in_progress),
        ("completed", orders.completed),
        ("cancelled", orders.cancelled),
    ];
    let by_status = by_status.map(|(word, count)| (word.to_owned(), count as f64));
    gauges(
        registry,
        "work_orders",
        "Work orders by status",
        "status",
        by_status,
    );
    let told = notifications::counts(api).await?;
    let by_state = [
        ("waiting", told.waiting),
        ("sent", told.sent),
        ("digested", told.digested),
        ("withdrawn", told.withdrawn),
        ("stuck", told.stuck),
    ];
    let by_state = by_state.map(|(word, count)| (word.to_owned(), count as f64));
    let help = "Notifications by state; a person has to look at stuck ones";
    gauges(registry, "notifications", help, "state", by_state);
    quarantine(registry, api).await?;
    let states = asset_states(api).await?;
    let states = states
        .into_iter()
        .map(|(state, count)| (state.as_str().to_owned(), count as f64));
    gauges(registry, "assets", "Assets by state", "state", states);
    drifts(registry, api);
    Ok(())
}

/// What has left what was learned from: inputs of models that forecast, and of detectors.
fn drifts(registry: &mut Registry, api: &Shared) {
    let drifting: Vec<(String, f64)> = api
        .parts
        .events
        .drifts()
        .iter()
        .map(|(kind, warning)| (kind.to_string(), warning.signals.len() as f64))
        .collect();
    gauges(
        registry,
        "prognosis_drifting_signals",
        "Signals whose values a model that serves has not learned from, by kind of machine",
        "asset_model",
        drifting,
    );
    let mut drifted: BTreeMap<String, f64> = BTreeMap::new();
    for drift in api.parts.events.detection_drifts() {
        let count = drifted.entry(drift.asset_model.to_string()).or_default();
        *count += f64::from(u8::from(drift.counts()));
    }
    gauges(
        registry,
        "detection_drifted_inputs",
        "Inputs and scores that have left what detectors learned from, by kind of machine",
        "asset_model",
        drifted,
    );
}

/// Dead letters: how many there have been, are open and have left the list.
async fn quarantine(registry: &mut Registry, api: &Shared) -> Result<(), Problem> {
    let stored = dead_letters::counts(api).await?;
    let help = "Dead letters since the journal was created";
    counters(registry, "journal_dead_letters", help, "reason", stored);
    let open = dead_letters::open_counts(api).await?;
    let open = open.into_iter().map(|(word, count)| (word, count as f64));
    let help = "Dead letters that have not been taken again";
    gauges(registry, "journal_dead_letters_open", help, "reason", open);
    let room = api.parts.journal.stats().dead_letters;
    for (name, help, value) in [
        (
            "journal_dead_letters_kept",
            "Dead letters in the list",
            room.kept,
        ),
        (
            "journal_dead_letter_bytes",
            "Bytes of the dead letters in the list",
            room.bytes,
        ),
    ] {
        gauge(registry, name, help, value as f64);
    }
    let help = "Dead letters that left the list to keep its bounds";
    counter(registry, "journal_dead_letters_dropped", help, room.dropped);
    Ok(())
}

/// Damage in the store, and the copy in InfluxDB.
pub(super) async fn stores(registry: &mut Registry, api: &Shared) -> Result<(), Problem> {
    let damaged = api.parts.store.damaged_chunks(MAX_DAMAGED).await?.len();
    let help = "Chunks of the store that could not be read and were set aside, at most 1000";
    gauge(registry, "store_damaged_chunks", help, damaged as f64);
    let Some(influx) = &api.parts.influx else {
        return Ok(());
    };
    let status = influx.status();
    let lag = status.committed.0.saturating_sub(status.position.0);
    let help = "Offsets of the journal still to be written to InfluxDB";
    gauge(registry, "influxdb_lag", help, lag as f64);
    for (name, help, value) in [
        (
            "influxdb_points_written",
            "Points written",
            status.points_written,
        ),
        (
            "influxdb_batches_written",
            "Batches written",
            status.batches_written,
        ),
        ("influxdb_retries", "Batches sent again", status.retries),
        (
            "influxdb_points_refused",
            "Points refused for what they are",
            status.refused,
        ),
    ] {
        counter(registry, name, help, value);
    }
    Ok(())
}

/// Damaged chunks that are counted.
const MAX_DAMAGED: usize = 1_000;

/// How many assets there are in each state; every state is listed.
async fn asset_states(api: &Shared) -> Result<BTreeMap<AssetState, u64>, Problem> {
    let mut states: BTreeMap<AssetState, u64> = AssetState::ALL
        .into_iter()
        .map(|state| (state, 0))
        .collect();
    let nothing_open = Composer::default();
    let mut query = AssetQuery {
        limit: 1_000,
        ..AssetQuery::default()
    };
    loop {
        let batch = api.parts.service.assets(query.clone()).await?;
        for asset in &batch {
            let state = nothing_open.with(&api.parts, asset, summary::asset_state);
            *states.entry(state).or_default() += 1;
        }
        query.after = batch.last().map(|asset| asset.id.clone());
        if batch.len() < query.limit as usize {
            return Ok(states);
        }
    }
}
