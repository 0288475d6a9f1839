//! The part of the pipeline that computes: records in, findings and what was seen out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use alerting::rules::Engine;
use analytics::Fleet;
use anyhow::{Context, Result};
use historian::{ModelRegistry, Snapshot};
use service::Service;
use telemetry::{AssetId, DeviceId, Event, Finding, JournalRecord, Offset, Timestamp, WorkOrderId};

use crate::{
    models::{self, Models},
    prognosis::serve::Promoted,
};

/// Ended orders remembered so that a repeated event is dropped. Repeats come from a crash
/// between two steps of one delivery, so they follow each other closely.
const REMEMBERED_ORDERS: usize = 256;

/// Clients remembered that connected before anything was known of them as devices.
const REMEMBERED_CLIENTS: usize = 10_000;

/// The orders whose end analytics has seen.
#[derive(Debug, Default)]
pub(super) struct ClosedOrders {
    orders: VecDeque<WorkOrderId>,
    dirty: bool,
}

impl ClosedOrders {
    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let orders =
            serde_json::from_slice(bytes).context("the list of ended orders is not readable")?;
        Ok(Self {
            orders,
            dirty: false,
        })
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.orders).context("the list of ended orders is not writable")
    }

    /// Whether the order is new.
    fn first_time(&mut self, order: &WorkOrderId) -> bool {
        if self.orders.contains(order) {
            return false;
        }
        if self.orders.len() == REMEMBERED_ORDERS {
            self.orders.pop_front();
        }
        self.orders.push_back(order.clone());
        self.dirty = true;
        true
    }
}

/// What came of some records.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// In order.
    pub(super) findings: Vec<Finding>,
    /// Who sent readings, with the latest time one arrived.
    pub(super) received: Vec<(AssetId, DeviceId, Timestamp)>,
    /// Who connected or disconnected, in order.
    pub(super) online: Vec<(AssetId, DeviceId, bool)>,
    /// Whose baseline begins anew.
    relearning: BTreeSet<AssetId>,
}

impl Applied {
    /// Every asset something happened to.
    pub(super) fn assets(&self) -> impl Iterator<Item = &AssetId> {
        let received = self.received.iter().map(|(asset, ..)| asset);
        let online = self.online.iter().map(|(asset, ..)| asset);
        received.chain(online).chain(&self.relearning)
    }
}

/// The state of analytics, handed to a blocking thread and back.
pub(super) struct Worker {
    pub(super) fleet: Fleet,
    rules: Engine,
    closed: ClosedOrders,
    /// Connected, and not (yet) a device of any asset.
    strangers: BTreeSet<DeviceId>,
    promoted: Promoted,
    registry: ModelRegistry,
}

impl Worker {
    pub(super) fn new(
        fleet: Fleet,
        rules: Engine,
        closed: ClosedOrders,
        promoted: Promoted,
        registry: ModelRegistry,
    ) -> Self {
        let strangers = BTreeSet::new();
        Self {
            fleet,
            rules,
            closed,
            strangers,
            promoted,
            registry,
        }
    }

    /// Applies records in order.
    pub(super) fn apply(
        &mut self,
        records: &[(Offset, Arc<JournalRecord>)],
        service: &Service,
        known: &Models,
    ) -> Applied {
        let mut applied = Applied::default();
        let mut received: BTreeMap<DeviceId, (AssetId, Timestamp)> = BTreeMap::new();
        let mut assign = |device: &DeviceId| models::assignment(service, known, device);
        let mut ruled = Vec::new();
        for (_, record) in records {
            self.note_events(record, service, &mut applied);
            let fresh = self.without_repeats(record);
            let record = fresh.as_ref().unwrap_or(record);
            let told = applied.findings.len();
            self.fleet.apply(record, &mut assign, &mut applied.findings);
            let findings = &applied.findings[told..];
            self.rules.apply(record, &mut assign, findings, &mut ruled);
            applied.findings.append(&mut ruled);
            for event in &record.events {
                self.promoted.hear(event, &self.registry, &mut self.fleet);
            }
            for (device, at) in latest(record) {
                if let Some(entry) = received.get_mut(device) {
                    entry.1 = entry.1.max(at);
                } else if let Some((asset, _)) = service.assignment(device) {
                    if self.strangers.remove(device) {
                        applied.online.push((asset.clone(), device.clone(), true));
                    }
                    received.insert(device.clone(), (asset, at));
                }
            }
        }
        let flat = received
            .into_iter()
            .map(|(device, (asset, at))| (asset, device, at));
        applied.received = flat.collect();
        applied
    }

    fn note_events(&mut self, record: &JournalRecord, service: &Service, applied: &mut Applied) {
        for event in &record.events {
            let (device, online) = match event {
                Event::DeviceOnline { device, .. } => (device, true),
                Event::DeviceOffline { device, .. } => (device, false),
                // Analytics leaves late rows out by itself; the event is for people.
                Event::LateReadings { .. }
                | Event::ModelPromoted { .. }
                | Event::Recorded { .. }
                | Event::RulesChanged { .. }
                | Event::Listening { .. }
                | Event::AlertsRecalibrated { .. } => continue,
                Event::WorkOrderClosed { asset, .. }
                | Event::NormalAccepted { asset, .. }
                | Event::LifeBegan { asset, .. } => {
                    applied.relearning.insert(asset.clone());
                    continue;
                }
            };
            // A client becomes a device with its first reading; until then it is a stranger.
            match service.assignment(device) {
                Some((asset, _)) => applied.online.push((asset, device.clone(), online)),
                None if online && self.strangers.len() < REMEMBERED_CLIENTS => {
                    self.strangers.insert(device.clone());
                }
                None => {
                    self.strangers.remove(device);
                }
            }
        }
    }

    /// The record without events of orders that were seen before; none when it has no such.
    fn without_repeats(&mut self, record: &JournalRecord) -> Option<Arc<JournalRecord>> {
        let mut repeats = Vec::new();
        for (at, event) in record.events.iter().enumerate() {
            if let Event::WorkOrderClosed { work_order, .. } = event
                && !self.closed.first_time(work_order)
            {
                repeats.push(at);
            }
        }
        if repeats.is_empty() {
            return None;
        }
        let mut fresh = record.clone();
        for at in repeats.into_iter().rev() {
            fresh.events.remove(at);
        }
        Some(Arc::new(fresh))
    }

    /// What changed since the last call, as snapshots.
    pub(super) fn take_dirty(&mut self) -> Result<Vec<Snapshot>> {
        let monitors = self.fleet.take_dirty()?;
        let rules = self.rules.take_dirty()?;
        let mut snapshots: Vec<Snapshot> = monitors
            .into_iter()
            .chain(rules)
            .map(|(key, bytes)| Snapshot { key, bytes })
            .collect();
        if std::mem::take(&mut self.closed.dirty) {
            let key = super::CLOSED_ORDERS.to_owned();
            snapshots.push(Snapshot {
                key,
                bytes: self.closed.encode()?,
            });
        }
        if std::mem::take(&mut self.promoted.dirty) {
            snapshots.push(Snapshot {
                key: super::PROMOTED.to_owned(),
                bytes: self.promoted.encode()?,
            });
        }
        Ok(snapshots)
    }
}

/// When the latest reading or snapshot of each device arrived. A device that is named in the
/// batch, but all of whose messages were refused, is left out.
fn latest(record: &JournalRecord) -> impl Iterator<Item = (&DeviceId, Timestamp)> {
    let mut latest = vec![Timestamp::MIN; record.readings.devices().len()];
    for row in record.readings.rows() {
        let at = &mut latest[row.device_index as usize];
        *at = row.received_at.max(*at);
    }
    let readings = record.readings.devices().iter().zip(latest);
    let sampled = record.waveforms.iter();
    readings
        .filter(|(_, at)| *at != Timestamp::MIN)
        .chain(sampled.map(|waveform| (&waveform.device, waveform.received_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_once_also_over_a_restart() {
        let order = |n: usize| WorkOrderId::new(&format!("WO-{n:06}")).unwrap();
        let mut closed = ClosedOrders::default();
        assert!(closed.first_time(&order(1)));
        assert!(!closed.first_time(&order(1)));
        let mut again = ClosedOrders::decode(&closed.encode().unwrap()).unwrap();
        assert!(!again.first_time(&order(1)));
        for n in 2..2 + REMEMBERED_ORDERS {
            assert!(again.first_time(&order(n)));
        }
        assert_eq!(again.orders.len(), REMEMBERED_ORDERS);
    }
}
