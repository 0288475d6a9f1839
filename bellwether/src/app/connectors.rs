//! The connectors to other maintenance systems: from the configuration to what runs.

use std::sync::Arc;

use alerting::notify::http::Client;
use anyhow::{Context, Result};
use dashboards::ConnectorInfo;
use telemetry::SystemClock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Parts, tasks::Tasks};
use crate::{
    config::Config,
    connector::{Connector, Mapping, Rest},
};

/// Lets each configured connector run.
///
/// # Errors
/// When a mapping cannot be read any more, or TLS cannot be set up.
pub(super) fn start(
    config: &Config,
    parts: &Parts,
    outcomes: &Arc<Notify>,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Result<Vec<ConnectorInfo>> {
    let mut infos = Vec::new();
    for set in &config.planning.connectors {
        let mapping = Mapping::load(&set.mapping)?;
        infos.push(ConnectorInfo {
            name: set.name.clone(),
            mapping: set.mapping.clone(),
            written_for: mapping.written_for.clone(),
            base_url: set.base_url.clone(),
        });
        let secret = set.authorization.as_ref();
        let connector = Connector {
            name: set.name.clone(),
            rest: Rest {
                mapping,
                base_url: set.base_url.clone(),
                credential: secret.map(|secret| (set.header.clone(), secret.trim().to_owned())),
                allow_private: set.allow_private,
                timeout: set.timeout,
                link: config.notify.link.clone(),
            },
            poll_every: set.poll_every,
            service: parts.service.clone(),
            client: Client::new().context("requests to other systems cannot be made")?,
            clock: Arc::new(SystemClock),
            events: parts.events.clone(),
            outcomes: Arc::clone(outcomes),
        };
        tasks.reader("a connector", connector.run(stop.clone()));
    }
    Ok(infos)
}
