//! `InfluxDB` beside the embedded store, when it is configured.

use std::sync::Arc;

use anyhow::{Context, Result};
use historian::{InfluxMonitor, InfluxStore, InfluxWriter, TimeSeries, influx::READER};
use telemetry::SystemClock;
use tokio_util::sync::CancellationToken;

use super::{Parts, tasks::Tasks};
use crate::config::{Config, Queries};

/// What the rest of the program sees of it.
pub(super) struct Influx {
    /// Who answers queries about readings.
    pub(super) readings: Arc<dyn TimeSeries>,
    /// How the writer is doing; none when there is none.
    pub(super) monitor: Option<InfluxMonitor>,
}

/// Starts the writer when there is a server to write to. Without one the journal need not keep
/// anything for a writer of the past.
pub(super) async fn start(
    config: &Config,
    parts: &Parts,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Result<Influx> {
    let embedded = || Arc::new(parts.store.clone()) as Arc<dyn TimeSeries>;
    let Some(influxdb) = &config.historian.influxdb else {
        parts
            .journal
            .forget_reader(READER)
            .await
            .context("cannot take the InfluxDB writer off the journal")?;
        return Ok(Influx {
            readings: embedded(),
            monitor: None,
        });
    };
    let writer = InfluxWriter::new(&influxdb.0)?;
    let monitor = writer.monitor();
    let run = writer.run(
        parts.journal.clone(),
        parts.store.clone(),
        Arc::new(SystemClock),
        stop.clone(),
    );
    tasks.reader("the InfluxDB writer", run);
    let readings = match config.historian.queries {
        Queries::Embedded => embedded(),
        Queries::Influxdb => Arc::new(InfluxStore::new(&influxdb.0)?),
    };
    Ok(Influx {
        readings,
        monitor: Some(monitor),
    })
}
