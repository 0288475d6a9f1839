//! From the journal to the work order: the reader `analytics`.
//!
//! ```text
//! journal ─▶ register new devices ─▶ Fleet::apply ─▶ store.put_findings ─▶ cases.observe ─▶ the overseer
//!    ▲                                                                           │
//!    └────────────── position + snapshots, together, once a second ◀─────────────┘
//! ```
//!
//! Every step to the right is idempotent, so a crash means: the same records again from the
//! last saved position, the same findings, and nothing new downstream. [`Fleet`] is pure and
//! heavy on the processor; it runs on a thread of its own that gives way, never on the reactor.
//!
//! A save goes through the journal's writer, so appends wait for it. With a hundred busy devices
//! it takes some tens of milliseconds, and once a second that would be the slowest percent of all
//! acknowledgements. So the pause after a save is a multiple of what it took.

mod apply;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alerting::{
    AlertingError, CaseChange, CaseDesk,
    rules::{Engine, SNAPSHOT_PREFIX},
};
use analytics::{AnalyticsError, Fleet};
use anyhow::{Context, Result};
use dashboards::{EventBus, FleetView};
use historian::{Background, GiveWay, HistorianError, Journal, ModelRegistry, Snapshot, Store};
use service::{Service, ServiceError};
use telemetry::{
    AssetId, AssetModel, AssetModelId, DeviceId, Finding, JournalRecord, Offset, RuleChange,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    capsule::{Freezer, Involved},
    overseer,
    prognosis::serve::Promoted,
};
use apply::{Applied, ClosedOrders, Worker};

/// The name of this reader in the journal.
pub(crate) const READER: &str = "analytics";
/// Bytes of records applied in one go: some tens of milliseconds of work.
const READ_BYTES: usize = 2 * 1024 * 1024;
/// How often position and snapshots are saved when that is cheap.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// At most; a crash repeats this much work, and the journal keeps what was not saved.
const SAVE_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// A save may take one part in so many of the journal writer's time, half a percent.
const SAVE_PART: u32 = 200;
/// How often the state of assets is shown to dashboards while records keep coming.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// Waits between tries of something that may work again, such as a full disk.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(5);
/// The snapshot that is not a monitor. The slash keeps it apart from device ids.
const CLOSED_ORDERS: &str = "bellwether/closed-orders";
/// Likewise.
const PROMOTED: &str = "bellwether/promoted-models";

/// What the pipeline is connected to.
pub(crate) struct PipelineParts {
    pub(crate) journal: Journal,
    pub(crate) store: Store,
    pub(crate) cases: CaseDesk,
    pub(crate) service: Service,
    pub(crate) fleet: FleetView,
    pub(crate) events: EventBus,
    pub(crate) models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    pub(crate) registry: ModelRegistry,
    pub(crate) analytics: analytics::Config,
    /// Rung when a case has changed.
    pub(crate) overseer: Arc<Notify>,
}

/// The reader `analytics`.
pub(crate) struct Pipeline {
    parts: PipelineParts,
    /// Away while it is applying.
    worker: Option<Worker>,
    background: Background,
    in_force: Vec<RuleChange>,
    position: Offset,
    saved: Offset,
    saved_at: Instant,
    /// How long after `saved_at` to save again.
    save_pause: Duration,
    shown_at: Instant,
    changed: BTreeSet<AssetId>,
    applied: watch::Sender<Offset>,
    freezer: Freezer,
}

impl Pipeline {
    /// Registers the reader and restores analytics to its saved position.
    ///
    /// # Errors
    /// When the journal cannot be read or a snapshot is not readable.
    pub(crate) async fn open(parts: PipelineParts) -> Result<Self> {
        let mut fleet = Fleet::new(parts.analytics.clone())?;
        let position = parts.journal.register_reader(READER).await?;
        let mut rules = Engine::new(parts.analytics.lateness);
        let mut closed = ClosedOrders::default();
        let mut promoted = Promoted::default();
        for Snapshot { key, bytes } in parts.journal.load_snapshots(READER).await? {
            if key == CLOSED_ORDERS {
                closed = ClosedOrders::decode(&bytes)?;
            } else if key == PROMOTED {
                promoted = Promoted::decode(&bytes)?;
            } else if key.starts_with(SNAPSHOT_PREFIX) {
                restore_rules(&mut rules, &key, &bytes);
            } else {
                restore(&mut fleet, &key, &bytes)?;
            }
        }
        rules
            .resume(&mut |device| crate::models::assignment(&parts.service, &parts.models, device));
        let in_force = rules.in_force();
        promoted.serve_all(&parts.registry, &mut fleet);
        let (journal, cases) = (parts.journal.clone(), parts.cases.clone());
        let freezer = Freezer::open(journal, cases, parts.analytics.clone()).await?;
        let now = Instant::now();
        let mut pipeline = Self {
            worker: Some(Worker::new(
                fleet,
                rules,
                closed,
                promoted,
                parts.registry.clone(),
            )),
            background: Background::start("analytics", GiveWay::Much)
                .context("cannot start the thread of the analytics")?,
            in_force,
            position,
            saved: position,
            saved_at: now,
            save_pause: SAVE_EVERY,
            shown_at: now,
            changed: BTreeSet::new(),
            applied: watch::Sender::new(position),
            freezer,
            parts,
        };
        pipeline.show_restored().await?;
        Ok(pipeline)
    }

    /// The rules as they were in force at the saved position.
    pub(crate) fn rules_in_force(&self) -> &[RuleChange] {
        &self.in_force
    }

    /// Up to where the journal has been applied and everything that follows has been done.
    pub(crate) fn applied(&self) -> watch::Receiver<Offset> {
        self.applied.subscribe()
    }

    /// Follows the journal until it is stopped, then saves where it is.
    ///
    /// # Errors
    /// When something failed that waiting does not mend.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut committed = self.parts.journal.committed();
        while !stop.is_cancelled() {
            let newest = *committed.borrow_and_update();
            let mut quiet = false;
            if newest > self.position {
                self.advance(newest, &stop).await?;
            } else {
                self.show();
                tokio::select! {
                    changed = committed.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(SAVE_EVERY) => quiet = true,
                    () = stop.cancelled() => {}
                }
            }
            // Only now everything that follows from these records has been done.
            self.applied.send_if_modified(|applied| {
                let advanced = *applied < self.position;
                *applied = self.position;
                advanced
            });
            // When nothing arrives nobody waits for the writer.
            let pause = if quiet { SAVE_EVERY } else { self.save_pause };
            if self.saved_at.elapsed() >= pause && self.saved < self.position {
                self.save(&stop).await?;
            }
        }
        self.show();
        if self.saved < self.position
            && let Err(error) = self.save(&stop).await
        {
            // The next start applies these records again, to the same findings.
            let error = format!("{error:#}");
            tracing::warn!(error, "stopping without the last position of the analytics");
        }
        Ok(())
    }

    /// Applies the next records and does what follows from them.
    async fn advance(&mut self, newest: Offset, stop: &CancellationToken) -> Result<()> {
        let parts = &self.parts;
        let records = retry(stop, HistorianError::is_transient, || {
            parts.journal.read(self.position, READ_BYTES)
        })
        .await
        .context("the journal could not be read")?;
        let Some(last) = records.last().map(|(offset, _)| *offset) else {
            // Committed but empty for readers: dead letters only.
            self.position = newest;
            return Ok(());
        };
        self.register(&records, stop).await?;
        let applied = self.apply(records).await?;
        self.note(&applied);
        if !applied.findings.is_empty() {
            self.hand_on(applied.findings, last, stop).await?;
        }
        self.position = last;
        if self.shown_at.elapsed() >= SHOW_EVERY {
            self.show();
        }
        Ok(())
    }

    /// Makes discovered assets of devices nobody has registered.
    async fn register(
        &self,
        records: &[(Offset, Arc<JournalRecord>)],
        stop: &CancellationToken,
    ) -> Result<()> {
        let mut unknown: BTreeSet<DeviceId> = BTreeSet::new();
        for (_, record) in records {
            for (index, device) in record.readings.devices().iter().enumerate() {
                // A device all of whose messages were refused is named in the batch without a row.
                let sent = || record.readings.columns().device.contains(&(index as u32));
                if self.parts.service.assignment(device).is_none() && sent() {
                    unknown.insert(device.clone());
                }
            }
            // Some devices send vibration snapshots only.
            let sampled = record.waveforms.iter().map(|waveform| &waveform.device);
            let sampled = sampled.filter(|device| self.parts.service.assignment(device).is_none());
            unknown.extend(sampled.cloned());
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<DeviceId> = unknown.into_iter().collect();
        let discovered = retry(stop, ServiceError::is_transient, || {
            self.parts.service.register_discovered(&unknown)
        })
        .await
        .context("discovered devices could not be registered")?;
        for asset in discovered {
            tracing::info!(asset = %asset.id, "discovered");
            self.parts.events.asset_changed(&asset.id);
        }
        Ok(())
    }

    async fn apply(&mut self, records: Vec<(Offset, Arc<JournalRecord>)>) -> Result<Applied> {
        let mut worker = self.worker.take().context("the analytics has ended")?;
        let (service, models) = (self.parts.service.clone(), Arc::clone(&self.parts.models));
        let task = self.background.run(move || {
            let applied = worker.apply(&records, &service, &models);
            (worker, applied)
        });
        let (worker, applied) = task.await?;
        self.worker = Some(worker);
        Ok(applied)
    }

    /// Tells dashboards what arrived from whom.
    fn note(&mut self, applied: &Applied) {
        let fleet = &self.parts.fleet;
        for (asset, device, at) in &applied.received {
            fleet.received(asset, device, *at);
        }
        for (asset, device, online) in &applied.online {
            fleet.device_online(asset, device, *online);
        }
        self.changed.extend(applied.assets().cloned());
    }

    /// Stores findings and lets alerting see them.
    async fn hand_on(
        &mut self,
        findings: Vec<Finding>,
        last: Offset,
        stop: &CancellationToken,
    ) -> Result<()> {
        let parts = &self.parts;
        retry(stop, HistorianError::is_transient, || {
            parts.store.put_findings(findings.clone())
        })
        .await
        .context("findings could not be stored")?;
        let changes = retry(stop, AlertingError::is_transient, || {
            parts.cases.observe(&findings)
        })
        .await
        .context("cases could not be kept")?;
        if !changes.is_empty() {
            parts.overseer.notify_one();
        }
        self.freeze(&changes, &findings, last).await;
        let parts = &self.parts;
        for change in &changes {
            tracing::debug!(case = %change.case.id, asset = %change.case.asset, event = ?change.event, "case");
            parts.events.case_changed(&change.case.id);
            self.changed.insert(change.case.asset.clone());
            self.follow(change).await;
        }
        Ok(())
    }

    /// Freezes what cases were opened from. The states as last saved are those of before.
    async fn freeze(&mut self, changes: &[CaseChange], findings: &[Finding], last: Offset) {
        let opened = self.freezer.opened_by(changes, findings);
        if let (Some(worker), false) = (&self.worker, opened.is_empty()) {
            let (service, models) = (&self.parts.service, &self.parts.models);
            let involved = |case| {
                let involved = Involved::of(&case, &worker.fleet, service, models);
                (case, involved)
            };
            let opened = opened.into_iter().map(involved).collect();
            self.freezer.freeze(opened, self.saved, last).await;
        }
    }

    /// Lets the order of a case follow what changed about it. What cannot be written now follows
    /// with the next refresh of the case.
    async fn follow(&self, change: &CaseChange) {
        match overseer::follow(&self.parts.service, change).await {
            Ok(Some(order)) => self.parts.events.work_order_changed(&order),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(case = %change.case.id, %error, "its order waits for the news");
            }
        }
    }

    /// Shows the changed assets to dashboards.
    fn show(&mut self) {
        self.shown_at = Instant::now();
        let Some(worker) = &self.worker else {
            return;
        };
        for asset in std::mem::take(&mut self.changed) {
            if let Some(view) = worker.fleet.latest(&asset) {
                self.parts.fleet.put_view(&view);
            }
            self.parts.events.asset_changed(&asset);
        }
    }

    /// Shows every asset as it was when the process ended.
    async fn show_restored(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let query = service::AssetQuery {
                after: after.take(),
                limit: service::AssetQuery::MAX_LIMIT,
                ..service::AssetQuery::default()
            };
            let page = self.parts.service.assets(query).await?;
            let full = page.len() == service::AssetQuery::MAX_LIMIT as usize;
            after = page.last().map(|asset| asset.id.clone());
            self.changed.extend(page.into_iter().map(|asset| asset.id));
            if !full {
                break;
            }
        }
        self.show();
        Ok(())
    }

    /// Saves position and snapshots. On a full disk nothing is taken in, so there is nothing
    /// to do meanwhile but to wait.
    async fn save(&mut self, stop: &CancellationToken) -> Result<()> {
        let mut worker = self.worker.take().context("the analytics has ended")?;
        let task = self.background.run(move || {
            let snapshots = worker.take_dirty();
            (worker, snapshots)
        });
        let (worker, snapshots) = task.await?;
        self.worker = Some(worker);
        let snapshots = snapshots?;
        let journal = &self.parts.journal;
        let from = Instant::now();
        retry(stop, HistorianError::is_transient, || {
            journal.save_position(READER, self.position, snapshots.clone())
        })
        .await
        .context("the position of the analytics could not be saved")?;
        self.saved = self.position;
        self.freezer.saved();
        self.saved_at = Instant::now();
        let took = self.saved_at - from;
        self.save_pause = (took * SAVE_PART).clamp(SAVE_EVERY, SAVE_AT_LEAST_EVERY);
        Ok(())
    }
}

/// Puts the state of a device back. One that an earlier release wrote cannot be read: the
/// device then learns its normal anew, as it would in a new folder.
fn restore(fleet: &mut Fleet, key: &str, bytes: &[u8]) -> Result<()> {
    match fleet.restore(key, bytes) {
        Err(error @ AnalyticsError::StateFormat { .. }) => {
            tracing::warn!(%error, "learning the normal of this device anew");
            Ok(())
        }
        other => other.with_context(|| format!("cannot restore the analytics of device {key}")),
    }
}

/// Puts the state of the rules back. One that an earlier release wrote cannot be read: its delays
/// and counts begin anew, and the rules themselves come from the book.
fn restore_rules(rules: &mut Engine, key: &str, bytes: &[u8]) {
    if let Err(error) = rules.restore(key, bytes) {
        tracing::warn!(%error, "the rules on this device begin anew");
    }
}

/// Tries until it works, fails for good, or the program stops.
async fn retry<T, E, F>(
    stop: &CancellationToken,
    is_transient: impl Fn(&E) -> bool,
    mut call: impl FnMut() -> F,
) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut wait = RETRY_FIRST;
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(error) if is_transient(&error) && !stop.is_cancelled() => {
                tracing::warn!(%error, "trying again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => {}
                }
                wait = (wait * 2).min(RETRY_MOST);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
