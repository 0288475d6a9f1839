//! Live changes on their way to browsers.
//!
//! Whoever changes something marks it: [`EventBus::asset_changed`] and its sisters only put
//! an id into a set, so the pipeline can call them for every journal record. A publisher
//! looks at the sets a few times a second, reads each marked thing as it is *then*, and
//! sends it to every open stream. That makes a thousand readings one event, and an event
//! never shows an older state than the API does.
//!
//! The way to the streams is a bounded broadcast. A stream that reads too slowly loses
//! events and is told so (`lagged`); it then asks the API afresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use telemetry::{AssetId, AssetModelId, CaseId, WorkOrderId};
use tokio::sync::broadcast;

use crate::{
    api::{drift::DriftWarning, drifts::DetectionDrift},
    detection_drift::news,
};

/// Events a stream may be behind. An asset event is about 1 kB, so the broadcast holds a
/// megabyte at most, and a browser that is a thousand events behind is better off asking afresh.
const MAX_BEHIND: usize = 1_024;
/// Things that may be marked at once before all streams are told to ask afresh: as many as
/// the largest fleet planned for has assets.
const MAX_MARKED: usize = 10_000;
/// The shortest time between two events of one asset: people read no faster.
const ASSET_PAUSE: Duration = Duration::from_secs(1);
/// How often marked things are looked at; a fifth of a second feels immediate.
pub(crate) const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// One event as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its kind: `asset`, `case`, `work_order`, `drift`, `detection_drift`,
    /// `lagged`.
    pub event: &'static str,
    /// Its JSON, written once for all streams.
    pub data: String,
}

/// Where changes are marked and streams listen. Cheap to clone; all clones are one bus.
#[derive(Debug, Clone)]
pub struct EventBus(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: broadcast::Sender<Arc<Message>>,
    marked: Mutex<Marked>,
    /// What stands of the inputs of models that serve, one a kind of machine.
    drifts: Mutex<BTreeMap<AssetModelId, DriftWarning>>,
    /// What the last look at the inputs and scores of detectors found.
    detection_drifts: Mutex<Vec<DetectionDrift>>,
}

#[derive(Debug, Default)]
struct Marked {
    due: Due,
    asset_sent_at: BTreeMap<AssetId, Instant>,
}

/// What the publisher has to send now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) assets: BTreeSet<AssetId>,
    pub(crate) cases: BTreeSet<CaseId>,
    pub(crate) orders: BTreeSet<WorkOrderId>,
    /// More was marked than is kept: streams have to ask afresh.
    pub(crate) overflow: bool,
}

impl Due {
    fn count(&self) -> usize {
        self.assets.len() + self.cases.len() + self.orders.len()
    }
}

impl Default for EventBus {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(MAX_BEHIND);
        Self(Arc::new(Inner {
            sender,
            marked: Mutex::default(),
            drifts: Mutex::default(),
            detection_drifts: Mutex::default(),
        }))
    }
}

impl EventBus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks an asset: its state, health, forecast, last values or online state changed.
    pub fn asset_changed(&self, asset: &AssetId) {
        self.mark(|due| {
            if !due.assets.contains(asset) {
                due.assets.insert(asset.clone());
            }
        });
    }

    /// Marks a case.
    pub fn case_changed(&self, case: &CaseId) {
        self.mark(|due| {
            due.cases.insert(case.clone());
        });
    }

    /// Marks a work order.
    pub fn work_order_changed(&self, order: &WorkOrderId) {
        self.mark(|due| {
            due.orders.insert(order.clone());
        });
    }

    fn mark(&self, mark: impl FnOnce(&mut Due)) {
        // Without a listener nothing is kept: whoever connects asks the API first.
        if self.0.sender.receiver_count() == 0 {
            return;
        }
        let mut marked = self.marked();
        if marked.due.count() >= MAX_MARKED {
            marked.due.overflow = true;
        } else {
            mark(&mut marked.due);
        }
    }

    /// Takes what may be sent at `now`; assets that were sent less than a second ago stay.
    pub(crate) fn take_due(&self, now: Instant) -> Due {
        let mut marked = self.marked();
        let marked = &mut *marked;
        marked
            .asset_sent_at
            .retain(|_, sent_at| now.duration_since(*sent_at) < ASSET_PAUSE);
        let mut due = std::mem::take(&mut marked.due);
        for asset in marked.asset_sent_at.keys() {
            if due.assets.remove(asset) {
                marked.due.assets.insert(asset.clone());
            }
        }
        for asset in &due.assets {
            marked.asset_sent_at.insert(asset.clone(), now);
        }
        due
    }

    /// Sends an event to every open stream.
    pub(crate) fn send(&self, event: &'static str, data: String) {
        // An error only means that nobody listens any more.
        let _ = self.0.sender.send(Arc::new(Message { event, data }));
    }

    /// Notes what was found about the inputs of the model that serves a kind of machine, and tells
    /// the streams when that is news. True when it is.
    pub fn drift_found(&self, kind: &AssetModelId, warning: Option<DriftWarning>) -> bool {
        let mut drifts = self.drifts();
        let signals = |warning: &DriftWarning| {
            let signals = warning.signals.iter().map(|one| one.signal.clone());
            (warning.version, signals.collect::<Vec<_>>())
        };
        let is_news = drifts.get(kind).map(signals) != warning.as_ref().map(signals);
        if is_news {
            let told = serde_json::json!({ "asset_model": kind, "warning": warning });
            self.send("drift", told.to_string());
        }
        match warning {
            Some(warning) => drifts.insert(kind.clone(), warning),
            None => drifts.remove(kind),
        };
        is_news
    }

    /// What stands of a kind of machine.
    pub fn drift(&self, kind: &AssetModelId) -> Option<DriftWarning> {
        self.drifts().get(kind).cloned()
    }

    /// All that stands.
    pub(crate) fn drifts(&self) -> MutexGuard<'_, BTreeMap<AssetModelId, DriftWarning>> {
        self.0.drifts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a look at the inputs and scores of detectors found, and tells the streams what
    /// drifted since the look before. Gives that back.
    pub fn detection_drifts_found(&self, found: Vec<DetectionDrift>) -> Vec<DetectionDrift> {
        let mut known = self.known_drifts();
        let news = news(&known, &found);
        *known = found;
        drop(known);
        if !news.is_empty() {
            let told = serde_json::json!({ "found": news });
            self.send("detection_drift", told.to_string());
        }
        news
    }

    /// What the last look at the inputs and scores of detectors found, the worst first.
    pub fn detection_drifts(&self) -> Vec<DetectionDrift> {
        self.known_drifts().clone()
    }

    fn known_drifts(&self) -> MutexGuard<'_, Vec<DetectionDrift>> {
        let known = self.0.detection_drifts.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Message>> {
        self.0.sender.subscribe()
    }

    /// The number of open streams.
    pub fn listeners(&self) -> usize {
        self.0.sender.receiver_count()
    }

    fn marked(&self) -> MutexGuard<'_, Marked> {
        self.0.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(name: &str) -> AssetId {
        AssetId::new(name).unwrap()
    }

    #[test]
    fn an_asset_is_due_once_a_second_and_its_last_change_is_never_lost() {
        let bus = EventBus::new();
        let _listener = bus.subscribe();
        let start = Instant::now();
        let mut sent = Vec::new();
        // Changed every 100 ms for 2.5 s, looked at every 200 ms, then looked at until quiet.
        for tenth in 0..50u64 {
            let now = start + Duration::from_millis(100 * tenth);
            if tenth < 25 {
                bus.asset_changed(&asset("pump-1"));
            }
            if tenth % 2 == 0 && !bus.take_due(now).assets.is_empty() {
                sent.push(tenth);
            }
        }
        assert_eq!(sent, [0, 10, 20, 30]);
    }

    #[test]
    fn cases_and_orders_are_due_at_once_and_one_asset_does_not_hold_up_another() {
        let bus = EventBus::new();
        let _listener = bus.subscribe();
        let now = Instant::now();
        bus.asset_changed(&asset("pump-1"));
        assert_eq!(bus.take_due(now).assets.len(), 1);
        for name in ["pump-1", "pump-2"] {
            bus.asset_changed(&asset(name));
        }
        bus.case_changed(&CaseId::new("C-1").unwrap());
        bus.work_order_changed(&WorkOrderId::new("WO-000001").unwrap());
        let due = bus.take_due(now + Duration::from_millis(200));
        assert_eq!(due.assets, BTreeSet::from([asset("pump-2")]));
        assert_eq!((due.cases.len(), due.orders.len()), (1, 1));
    }

    #[test]
    fn marks_are_bounded_and_nothing_is_kept_without_a_listener() {
        let bus = EventBus::new();
        bus.asset_changed(&asset("pump-1"));
        assert_eq!(bus.take_due(Instant::now()), Due::default());
        let _listener = bus.subscribe();
        for n in 0..=MAX_MARKED {
            bus.asset_changed(&asset(&format!("a{n}")));
        }
        let due = bus.take_due(Instant::now());
        assert_eq!(due.assets.len(), MAX_MARKED);
        assert!(due.overflow);
    }

    #[tokio::test]
    async fn drift_is_told_once_as_long_as_it_stands_and_when_it_ends() {
        let bus = EventBus::new();
        let mut stream = bus.subscribe();
        let kind = AssetModelId::new("pump").unwrap();
        let warning = || DriftWarning {
            asset_model: kind.clone(),
            version: 3,
            at: telemetry::Timestamp::EPOCH,
            threshold: 0.5,
            signals: vec![crate::api::drift::DriftingSignal {
                signal: telemetry::SignalName::new("temperature_c").unwrap(),
                outside: 0.75,
                machines: 4,
            }],
        };
        let told = [Some(warning()), Some(warning()), None, None]
            .map(|warning| bus.drift_found(&kind, warning));
        assert_eq!(told, [true, false, true, false]);
        let first = stream.recv().await.unwrap();
        assert_eq!(first.event, "drift");
        assert!(first.data.contains("\"temperature_c\""), "{}", first.data);
        let last = stream.recv().await.unwrap();
        assert!(last.data.contains("\"warning\":null"), "{}", last.data);
        assert_eq!(bus.drift(&kind), None);
    }

    #[tokio::test]
    async fn what_newly_drifted_is_told_once_and_again_when_it_had_come_back() {
        use crate::api::drifts::{DriftOf, DriftSample, DriftWord};

        let bus = EventBus::new();
        let mut stream = bus.subscribe();
        let at = telemetry::Timestamp::EPOCH;
        let sample = || DriftSample {
            from: at,
            to: at,
            points: 500,
        };
        let drift = |word, alarm_stands| DetectionDrift {
            asset: asset("pump-1"),
            asset_model: AssetModelId::new("pump").unwrap(),
            device: telemetry::DeviceId::new("pump-1").unwrap(),
            model: "level/1".to_owned(),
            what: DriftOf::new(None),
            psi: 0.7,
            word,
            since: None,
            reference: sample(),
            recent: sample(),
            alarm_stands,
            words: crate::labels::Text::new("", ""),
        };
        for (word, alarm_stands, told) in [
            (DriftWord::Moving, false, 0),
            (DriftWord::Drifted, true, 0),
            (DriftWord::Drifted, false, 1),
            (DriftWord::Drifted, false, 0),
            (DriftWord::Stable, false, 0),
            (DriftWord::Drifted, false, 1),
        ] {
            let news = bus.detection_drifts_found(vec![drift(word, alarm_stands)]);
            assert_eq!(news.len(), told, "{word:?} {alarm_stands}");
        }
        for _ in 0..2 {
            let message = stream.recv().await.unwrap();
            assert_eq!(message.event, "detection_drift");
            assert!(message.data.contains("\"psi\":0.7"), "{}", message.data);
        }
        assert_eq!(bus.detection_drifts().len(), 1);
    }
}
