//! The reader "influxdb" of the journal.

use std::{sync::Arc, time::Duration};

use telemetry::{Clock, JournalRecord, Offset};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    InfluxConfig, InfluxMonitor, InfluxState,
    admin::Admin,
    batch::{Delivery, Stopped},
    first_value::{FirstValue, Replaced},
    lines::{Lines, MAX_TIME, MIN_TIME, field_key},
    status::Refusals,
    transport::Transport,
};
use crate::{
    error::HistorianError,
    journal::{Journal, Snapshot},
    store::Store,
};

/// The name under which the writer reads the journal.
pub const READER: &str = "influxdb";

/// Under which the refusals are saved.
const REFUSALS: &str = "refusals";

/// Bytes of journal taken in one go: a few full batches.
const READ_BYTES: usize = 4 << 20;

/// Between two saved positions. Each costs an fsync of the journal; after a crash what was
/// written since is written again, which changes nothing.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// How long to wait after a failure of our own disk that may pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often the embedded store is looked at while it catches up at the start.
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// Writes what the journal holds to `InfluxDB`.
pub struct InfluxWriter {
    config: InfluxConfig,
    delivery: Delivery,
    lines: Lines,
    position: Offset,
    saved: Offset,
    saved_refusals: u64,
    save_at: Instant,
}

/// Why a turn ended early.
enum Turn {
    Stopped,
    Failed(HistorianError),
}

impl From<Stopped> for Turn {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<HistorianError> for Turn {
    fn from(error: HistorianError) -> Self {
        Self::Failed(error)
    }
}

/// What a turn works with.
struct Context {
    journal: Journal,
    store: Store,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
}

impl InfluxWriter {
    /// Checks the configuration. Nothing is sent before [`Self::run`].
    pub fn new(config: &InfluxConfig) -> Result<Self, HistorianError> {
        let transport = Transport::new(config)?;
        let admin = Admin::new(config)?;
        Ok(Self {
            delivery: Delivery::new(transport, admin, InfluxMonitor::default()),
            config: config.clone(),
            lines: Lines::default(),
            position: Offset::default(),
            saved: Offset::default(),
            saved_refusals: 0,
            save_at: Instant::now(),
        })
    }

    /// Shows how the writer is doing.
    pub fn monitor(&self) -> InfluxMonitor {
        self.delivery.monitor.clone()
    }

    /// Follows the journal until `shutdown`. The server may come and go as it likes.
    ///
    /// # Errors
    /// What will not pass by itself on our side, such as a damaged record.
    pub async fn run(
        mut self,
        journal: Journal,
        store: Store,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Result<(), HistorianError> {
        let context = Context {
            journal,
            store,
            clock,
            shutdown,
        };
        let ended = match self.follow(&context).await {
            Turn::Stopped => Ok(()),
            Turn::Failed(error) => Err(error),
        };
        self.delivery
            .monitor
            .update(|status| status.state = InfluxState::Stopped);
        ended?;
        self.save(&context).await
    }

    async fn follow(&mut self, context: &Context) -> Turn {
        match self.start(context).await {
            Ok(mut first) => loop {
                match self.turn(context, &mut first).await {
                    Ok(()) => {}
                    Err(Turn::Failed(error)) if error.is_transient() => {
                        tracing::warn!(%error, "the InfluxDB writer waits before it goes on");
                        let _ = timeout(RETRY_AFTER, context.shutdown.cancelled()).await;
                    }
                    Err(ended) => return ended,
                }
                if context.shutdown.is_cancelled() {
                    return Turn::Stopped;
                }
            },
            Err(ended) => ended,
        }
    }

    async fn start(&mut self, context: &Context) -> Result<FirstValue, Turn> {
        let Context {
            journal,
            store,
            clock,
            shutdown,
        } = context;
        self.position = journal.register_reader(READER).await?;
        self.saved = self.position;
        for snapshot in journal.load_snapshots(READER).await? {
            if snapshot.key == REFUSALS {
                // A list in a form of the past is no reason to stop.
                let refusals: Refusals =
                    serde_json::from_slice(&snapshot.bytes).unwrap_or_default();
                self.saved_refusals = refusals.count;
                self.delivery.refusals = refusals;
            }
        }
        self.delivery.publish_refusals();
        self.publish_position(journal);
        // Everything that may have been written before has to be known to the store.
        let committed = *journal.committed().borrow();
        while store.applied() < committed {
            tokio::select! {
                () = tokio::time::sleep(CATCH_UP_POLL) => {}
                () = shutdown.cancelled() => return Err(Turn::Stopped),
            }
        }
        if let Some(server) = self.delivery.admin.health().await {
            tracing::info!(server, url = self.config.url, "InfluxDB answers");
        }
        self.delivery.ensure_bucket(&**clock, shutdown).await?;
        Ok(FirstValue::seeded(store))
    }

    /// One piece of journal, or a wait when there is none.
    async fn turn(&mut self, context: &Context, first: &mut FirstValue) -> Result<(), Turn> {
        let mut committed = context.journal.committed();
        committed.mark_unchanged();
        let entries = context.journal.read(self.position, READ_BYTES).await?;
        self.publish_position(&context.journal);
        let Some(&(last, _)) = entries.last() else {
            self.save(context).await?;
            tokio::select! {
                _ = committed.changed() => {}
                () = context.shutdown.cancelled() => return Err(Turn::Stopped),
            }
            // A little more may come along; one request is cheaper than many.
            let _ = timeout(self.config.flush_interval, context.shutdown.cancelled()).await;
            return Ok(());
        };
        self.lines.clear();
        let replaced = tokio::select! {
            replaced = first.replaced(&context.store, &entries) => replaced?,
            () = context.shutdown.cancelled() => return Err(Turn::Stopped),
        };
        for ((_, record), replaced) in entries.iter().zip(&replaced) {
            self.write(record, replaced, context).await?;
        }
        self.deliver(context).await?;
        self.position = last;
        self.publish_position(&context.journal);
        if Instant::now() >= self.save_at {
            self.save(context).await?;
        }
        Ok(())
    }

    /// Turns a record into lines and sends them whenever a batch is full.
    async fn write(
        &mut self,
        record: &JournalRecord,
        replaced: &Replaced,
        context: &Context,
    ) -> Result<(), Turn> {
        let readings = &record.readings;
        let names = readings.signals().iter();
        let keys: Vec<_> = names.map(|signal| field_key(signal.as_str())).collect();
        let mut place = 0;
        for row in readings.rows() {
            let places = place..;
            place += row.values.len();
            let fields = row.signals.iter().zip(row.values).zip(places);
            let fields = fields.map(|((&signal, &value), place)| {
                let value = replaced.get(&place).copied().unwrap_or(value);
                (&*keys[signal as usize], value)
            });
            if row.measured_at < MIN_TIME || row.measured_at > MAX_TIME {
                let mut line = Lines::default();
                line.push(row.device.as_str(), fields, row.measured_at);
                let reason = "the time lies outside what InfluxDB holds (1677 to 2262)".to_owned();
                let now = context.clock.now();
                let text = line.text(0..line.len()).to_vec();
                self.delivery.refuse(&text, reason, line.readings(), now);
                continue;
            }
            self.lines
                .push(row.device.as_str(), fields, row.measured_at);
            if self.lines.readings() >= self.config.batch_points
                || self.lines.bytes() >= self.config.batch_bytes
            {
                self.deliver(context).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, context: &Context) -> Result<(), Turn> {
        if !self.lines.is_empty() {
            let (clock, shutdown) = (&*context.clock, &context.shutdown);
            self.delivery.deliver(&self.lines, clock, shutdown).await?;
            self.lines.clear();
        }
        Ok(())
    }

    /// Saves position and refusals in one transaction, when they have changed.
    async fn save(&mut self, context: &Context) -> Result<(), HistorianError> {
        self.save_at = Instant::now() + SAVE_EVERY;
        let refusals = &self.delivery.refusals;
        if self.saved == self.position && self.saved_refusals == refusals.count {
            return Ok(());
        }
        let bytes = serde_json::to_vec(refusals).map_err(|source| HistorianError::Encode {
            what: "the list of refusals",
            source,
        })?;
        let snapshot = Snapshot {
            key: REFUSALS.to_owned(),
            bytes,
        };
        let journal = &context.journal;
        journal
            .save_position(READER, self.position, vec![snapshot])
            .await?;
        self.saved = self.position;
        self.saved_refusals = self.delivery.refusals.count;
        Ok(())
    }

    fn publish_position(&self, journal: &Journal) {
        let committed = *journal.committed().borrow();
        self.delivery.monitor.update(|status| {
            status.position = self.position;
            status.committed = committed;
        });
    }
}

impl std::fmt::Debug for InfluxWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfluxWriter")
            .field("config", &self.config)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
