//! What is known about each asset right now, shared between the pipeline and the API.
//!
//! The pipeline writes after each journal record: [`FleetView::put_view`] with what
//! analytics says, [`FleetView::received`] and [`FleetView::device_online`] with what ingest
//! saw. The API reads whole assets as they stand. Each asset is replaced as one value, so a
//! reader never sees half an update, and a reader that holds an asset never blocks a writer.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use analytics::{AssetView, DeviceView};
use telemetry::{AssetId, DeviceId, Timestamp};

/// The present state of every asset. Cheap to clone; all clones share one state.
#[derive(Debug, Clone, Default)]
pub struct FleetView(Arc<RwLock<Assets>>);

type Assets = BTreeMap<AssetId, Arc<AssetLive>>;

/// The present state of one asset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetLive {
    /// The devices heard of, by id.
    pub devices: BTreeMap<DeviceId, DeviceLive>,
}

/// The present state of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceLive {
    /// What analytics says; none before its first word.
    pub view: Option<DeviceView>,
    /// Whether it is connected; none when that is not known, as for a device behind a broker.
    pub online: Option<bool>,
    /// When its last reading arrived.
    pub last_received_at: Option<Timestamp>,
}

impl FleetView {
    /// An empty fleet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what analytics says about an asset now.
    pub fn put_view(&self, view: &AssetView) {
        let mut assets = self.write();
        let live = Arc::make_mut(assets.entry(view.asset.clone()).or_default());
        for device in &view.devices {
            live.devices.entry(device.device.clone()).or_default().view = Some(device.clone());
        }
    }

    /// Notes that a reading of a device arrived; an earlier time than known changes nothing.
    pub fn received(&self, asset: &AssetId, device: &DeviceId, at: Timestamp) {
        self.change(asset, device, |live| {
            live.last_received_at = live.last_received_at.max(Some(at));
        });
    }

    /// Notes that a device connected or disconnected.
    pub fn device_online(&self, asset: &AssetId, device: &DeviceId, online: bool) {
        self.change(asset, device, |live| live.online = Some(online));
    }

    /// One asset as it stands; none when nothing was heard of it yet.
    pub fn get(&self, asset: &AssetId) -> Option<Arc<AssetLive>> {
        self.read().get(asset).cloned()
    }

    fn change(&self, asset: &AssetId, device: &DeviceId, change: impl FnOnce(&mut DeviceLive)) {
        let mut assets = self.write();
        // Looked up before it is inserted: the usual case clones no id.
        if !assets.contains_key(asset) {
            assets.insert(asset.clone(), Arc::default());
        }
        let Some(live) = assets.get_mut(asset).map(Arc::make_mut) else {
            return;
        };
        match live.devices.get_mut(device) {
            Some(known) => change(known),
            None => change(live.devices.entry(device.clone()).or_default()),
        }
    }

    // A holder that panicked leaves whole assets behind: each is replaced in one assignment.
    fn read(&self) -> RwLockReadGuard<'_, Assets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Assets> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_it_holds_while_writers_go_on() {
        let fleet = FleetView::new();
        let asset = AssetId::new("pump-1").unwrap();
        let device = DeviceId::new("dev-1").unwrap();
        assert!(fleet.get(&asset).is_none());
        fleet.received(&asset, &device, Timestamp::from_secs(5));
        let held = fleet.get(&asset).unwrap();
        fleet.device_online(&asset, &device, true);
        fleet.received(&asset, &device, Timestamp::from_secs(3));
        assert_eq!(held.devices[&device].online, None);
        let now = fleet.get(&asset).unwrap();
        assert_eq!(now.devices[&device].online, Some(true));
        assert_eq!(
            now.devices[&device].last_received_at,
            Some(Timestamp::from_secs(5)),
            "a late reading does not turn the time back"
        );
    }
}
