//! A recorded CSV over real MQTT: what a device sent once is sent again, and nothing is done
//! before every message has been acknowledged.

mod table;

use std::{fs::File, io::BufReader, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use rumqttc::QoS;
use serde::Serialize;
use telemetry::{DeviceId, Timestamp};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    broker_url::BrokerUrl,
    progress::Progress,
    publisher::{Acknowledged, Connection, Message, Publisher},
};
use table::{BadRow, Table};

/// Messages without an acknowledgement; hides a few milliseconds of journal at full speed.
const WINDOW: u16 = 200;
/// Unreadable rows told one by one; after these they are only counted.
const TOLD: u64 = 10;

/// How fast rows follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// As fast as they are acknowledged.
    Max,
    /// This many times as fast as they were recorded.
    Times(f64),
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor: Option<f64> = text.trim_end_matches('x').parse().ok();
        factor
            .filter(|factor| *factor > 0.0 && factor.is_finite())
            .map(Self::Times)
            .ok_or_else(|| "use max, or a factor above zero such as 1 or 60".to_owned())
    }
}

/// What to replay and where to.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The recording.
    pub(crate) file: PathBuf,
    /// The device that sends it.
    pub(crate) device: DeviceId,
    /// How fast.
    pub(crate) speed: Speed,
    /// The MQTT endpoint.
    pub(crate) broker: BrokerUrl,
    /// Columns to leave out.
    pub(crate) ignore: Vec<String>,
    /// The time column, when its name is unusual.
    pub(crate) time_column: Option<String>,
    /// At most once, at least once, exactly once.
    pub(crate) qos: QoS,
    /// The topic, with `{device}`.
    pub(crate) topic: String,
}

/// What was replayed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The device.
    pub(crate) device: String,
    /// Rows read well.
    pub(crate) rows: u64,
    /// Rows that could not be read.
    pub(crate) rows_unreadable: u64,
    /// Messages acknowledged.
    pub(crate) messages_acknowledged: u64,
    /// Readings in these.
    pub(crate) readings_acknowledged: u64,
    /// From the first message to the last acknowledgement.
    pub(crate) seconds: f64,
}

/// Replays the file.
///
/// # Errors
/// When the file is no table, the broker cannot be reached, or it is stopped before the end.
pub(crate) async fn run(options: Options, stop: CancellationToken) -> Result<Summary> {
    let file = File::open(&options.file)
        .with_context(|| format!("cannot open {}", options.file.display()))?;
    let bytes = file.metadata()?.len();
    let mut table = Table::open(
        BufReader::new(file),
        &options.ignore,
        options.time_column.as_deref(),
    )
    .with_context(|| format!("cannot replay {}", options.file.display()))?;
    for name in table.absent() {
        eprintln!("note: there is no column {name:?} to leave out");
    }
    let acknowledged = Arc::new(Acknowledged::default());
    let (abandon, abandoned) = watch::channel(false);
    let connection = Connection {
        url: options.broker.clone(),
        client_id: options.device.to_string(),
        qos: options.qos,
        window: WINDOW,
    };
    let publisher = Publisher::start(connection, Arc::clone(&acknowledged), abandoned);
    let topic: Arc<str> = options
        .topic
        .replace("{device}", options.device.as_str())
        .into();
    let mut replay = Replay {
        progress: Progress::new(bytes, "bytes"),
        summary: Summary {
            device: options.device.to_string(),
            ..Summary::default()
        },
        began: Instant::now(),
        first: None,
        speed: options.speed,
    };
    let whole = tokio::select! {
        sent = replay.send_all(&mut table, &publisher, &topic) => sent,
        () = stop.cancelled() => {
            let _ = abandon.send(true);
            bail!("stopped after {} rows", replay.summary.rows);
        }
    };
    // When sending failed, the session knows the reason.
    tokio::select! {
        finished = publisher.finish() => finished.and(whole)?,
        () = stop.cancelled() => bail!("stopped before every message was acknowledged"),
    }
    let Replay {
        progress,
        mut summary,
        began,
        ..
    } = replay;
    progress.finish();
    summary.messages_acknowledged = acknowledged.messages();
    summary.readings_acknowledged = acknowledged.readings();
    summary.seconds = began.elapsed().as_secs_f64();
    if summary.rows == 0 {
        bail!("no row of {} could be read", options.file.display());
    }
    Ok(summary)
}

struct Replay {
    progress: Progress,
    summary: Summary,
    began: Instant,
    first: Option<Timestamp>,
    speed: Speed,
}

impl Replay {
    async fn send_all<R: std::io::Read>(
        &mut self,
        table: &mut Table<R>,
        publisher: &Publisher,
        topic: &Arc<str>,
    ) -> Result<()> {
        while let Some(row) = table.next_row() {
            let row = match row {
                Ok(row) => row,
                Err(bad) => {
                    self.tell(&bad);
                    continue;
                }
            };
            self.summary.rows += 1;
            self.wait_for(row.at).await;
            if row.readings > 0 {
                let message = Message {
                    topic: Arc::clone(topic),
                    payload: row.json,
                    readings: row.readings,
                };
                publisher.send(message).await?;
            }
            self.progress
                .at(table.position(), || format!("{} rows", self.summary.rows));
        }
        Ok(())
    }

    /// Waits until a row is due. Rows that go back in time are due at once.
    async fn wait_for(&mut self, at: Timestamp) {
        let first = *self.first.get_or_insert(at);
        if let Speed::Times(factor) = self.speed {
            let recorded = at.since(first).as_secs_f64() / factor;
            let due = self.began + Duration::from_secs_f64(recorded.min(1e9));
            tokio::time::sleep_until(due).await;
        }
    }

    fn tell(&mut self, bad: &BadRow) {
        self.summary.rows_unreadable += 1;
        match self.summary.rows_unreadable {
            count if count <= TOLD => self.progress.say(&format!("not read: {bad}")),
            count if count == TOLD + 1 => {
                self.progress.say("not read: more rows; they are counted");
            }
            _ => {}
        }
    }
}
