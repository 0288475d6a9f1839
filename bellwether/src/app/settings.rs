//! From the checked configuration to the settings of each part.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, anyhow};
use historian::Store;
use ingest::{
    CheckConfig, Decoder, IngestStats, Listener, ListenerConfig, Subscriber, SubscriberConfig,
    TlsConfig,
};
use service::{JobPlans, Registration, ServiceConfig};
use telemetry::{AssetModel, AssetModelId};

use super::sockets;
use crate::config::{Config, Protocol};

pub(super) fn analytics_config(config: &Config) -> analytics::Config {
    analytics::Config {
        learning_rows: config.analytics.learning_rows,
        lateness: config.analytics.lateness,
        alarms_per_asset_month: config.analytics.alarms_per_asset_month,
        ..analytics::Config::default()
    }
}

/// The decoder with its checks, knowing what is stored, so that the first reading after a
/// restart is judged like any other.
pub(super) fn decoder(config: &Config, store: &Store, stats: &Arc<IngestStats>) -> Result<Decoder> {
    let patterns = config.ingest.topics.iter().map(|topic| {
        let pattern = topic.compiled().map_err(|problem| anyhow!(problem));
        pattern.with_context(|| format!("key ingest.topic: pattern {:?}", topic.pattern))
    });
    let checks = &config.ingest.checks;
    let decoder = Decoder::new(patterns.collect::<Result<_>>()?)
        .with_checks(CheckConfig {
            clock_ahead: checks.clock_ahead,
            late_after: checks.late_after,
            new_devices_per_minute: checks.new_devices_per_minute,
            new_signals_per_minute: checks.new_signals_per_minute,
        })
        .with_stats(Arc::clone(stats));
    let known = store.series(None).into_iter();
    decoder.seed(known.map(|series| {
        (
            series.device,
            series.signal,
            series.last_at,
            series.last_value,
        )
    }));
    Ok(decoder)
}

pub(super) async fn bind_listener(
    config: &Config,
    parts: ingest::Parts,
) -> Result<Option<Listener>> {
    let Some(listener) = &config.ingest.listener else {
        return Ok(None);
    };
    if let Some(insecurity) = listener.insecurity() {
        tracing::warn!("{insecurity}");
    }
    let settings = ListenerConfig {
        bind: listener.bind,
        access: listener.access,
        tls: listener.tls.as_ref().map(|tls| TlsConfig {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            client_ca: tls.client_ca.clone(),
            client_certificates: tls.client_certificates,
        }),
        max_packet_bytes: listener.max_packet_bytes as usize,
        max_connections: listener.max_connections as usize,
        max_connections_per_address: listener.max_connections_per_address as usize,
        ..ListenerConfig::default()
    };
    match Listener::bind(settings, parts).await {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if error.is_transient() => Err(anyhow!(error).context(sockets::taken(
            "ingest.listener.bind",
            "--mqtt",
            listener.bind,
        ))),
        Err(error) => {
            Err(anyhow!(error).context(format!("key ingest.listener.bind = {}", listener.bind)))
        }
    }
}

pub(super) fn subscribers(config: &Config, parts: &ingest::Parts) -> Result<Vec<Subscriber>> {
    let made = config
        .ingest
        .subscribers
        .iter()
        .enumerate()
        .map(|(at, subscriber)| {
            let mut settings = SubscriberConfig::new(
                subscriber.url.clone(),
                subscriber.client_id.clone(),
                subscriber.topics.clone(),
            );
            settings.protocol = match subscriber.protocol {
                Protocol::V4 => ingest::Protocol::V4,
                Protocol::V5 => ingest::Protocol::V5,
            };
            Subscriber::new(settings, parts.clone())
                .with_context(|| format!("section ingest.subscriber number {at}"))
        });
    made.collect()
}

pub(super) fn service(
    config: &Config,
    models: &Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    plans: &Arc<JobPlans>,
) -> ServiceConfig {
    let access = config
        .ingest
        .listener
        .as_ref()
        .map(|listener| listener.access);
    ServiceConfig {
        registration: if config.service.open_registration {
            Registration::Open
        } else {
            Registration::Closed
        },
        models: Arc::clone(models),
        access: match access {
            Some(ingest::Access::Required) => service::Access::Required,
            Some(ingest::Access::Open) | None => service::Access::Open,
        },
        plans: Arc::clone(plans),
        planning: Arc::new(config.planning.rules.clone()),
        connectors: config
            .planning
            .connectors
            .iter()
            .map(|connector| connector.name.clone())
            .collect(),
    }
}
