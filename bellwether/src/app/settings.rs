//! From the checked configuration to the settings of each part.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow};
use ingest::{Decoder, Listener, ListenerConfig, Subscriber, SubscriberConfig, TopicPattern};
use telemetry::{AssetModel, AssetModelId};

use super::sockets;
use crate::config::{Config, Format, Protocol};

pub(super) fn load_models(dir: Option<&Path>) -> Result<BTreeMap<AssetModelId, Arc<AssetModel>>> {
    let models = crate::models::load(dir)?;
    Ok(models
        .into_iter()
        .map(|model| (model.id.clone(), model))
        .collect())
}

pub(super) fn analytics_config(config: &Config) -> analytics::Config {
    analytics::Config {
        learning_rows: config.analytics.learning_rows,
        lateness: config.analytics.lateness,
        ..analytics::Config::default()
    }
}

pub(super) fn decoder(config: &Config) -> Result<Decoder> {
    let patterns = config.ingest.topics.iter().map(|topic| {
        let format = match topic.format {
            Format::Json => ingest::Format::Json,
            Format::Number => ingest::Format::Number,
        };
        TopicPattern::parse(&topic.pattern, format)
            .with_context(|| format!("key ingest.topic: pattern {:?}", topic.pattern))
    });
    Ok(Decoder::new(patterns.collect::<Result<_>>()?))
}

pub(super) async fn bind_listener(
    config: &Config,
    parts: ingest::Parts,
) -> Result<Option<Listener>> {
    let Some(listener) = &config.ingest.listener else {
        return Ok(None);
    };
    let settings = ListenerConfig {
        bind: listener.bind,
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
