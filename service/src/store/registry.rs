//! Which device watches which asset, in memory.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use telemetry::{Admission, AssetId, AssetModelId, DeviceId};

use crate::Registration;

/// What a device watches; none when it was taken off its asset.
pub(super) type Assignment = Option<(AssetId, AssetModelId)>;

/// Devices that may be registered. A flood of made-up names in open registration stops here
/// instead of filling memory and disk; each costs a few hundred bytes in both.
pub(super) const MAX_DEVICES: usize = 100_000;

/// Every registered device. Readers share the lock for one look-up; the writer holds it for
/// one insertion, and never over a wait.
pub(super) struct Registry {
    devices: RwLock<HashMap<DeviceId, Assignment>>,
}

impl Registry {
    pub(super) fn new(devices: HashMap<DeviceId, Assignment>) -> Self {
        Self {
            devices: RwLock::new(devices),
        }
    }

    pub(super) fn admit(&self, device: &DeviceId, registration: Registration) -> Admission {
        let devices = self.read();
        let admitted = devices.contains_key(device)
            || (registration == Registration::Open && devices.len() < MAX_DEVICES);
        if admitted {
            Admission::Admitted
        } else {
            Admission::Unknown
        }
    }

    pub(super) fn assignment(&self, device: &DeviceId) -> Assignment {
        self.read().get(device).cloned().flatten()
    }

    pub(super) fn knows(&self, device: &DeviceId) -> bool {
        self.read().contains_key(device)
    }

    pub(super) fn room(&self) -> usize {
        MAX_DEVICES.saturating_sub(self.read().len())
    }

    pub(super) fn put(&self, changed: impl IntoIterator<Item = (DeviceId, Assignment)>) {
        // A panic while inserting leaves the map whole, so the lock is used on.
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        devices.extend(changed);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<DeviceId, Assignment>> {
        self.devices.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    #[test]
    fn open_registration_admits_strangers_until_it_is_full() {
        let full = (0..MAX_DEVICES).map(|at| (device(&format!("d{at}")), None));
        let registry = Registry::new(full.collect());
        assert_eq!(
            registry.admit(&device("d7"), Registration::Open),
            Admission::Admitted
        );
        assert_eq!(
            registry.admit(&device("stranger"), Registration::Open),
            Admission::Unknown
        );
        assert_eq!(registry.room(), 0);
    }

    #[test]
    fn closed_registration_admits_registered_devices_only() {
        let registry = Registry::new(HashMap::from([(device("known"), None)]));
        for (id, registration, expected) in [
            ("known", Registration::Closed, Admission::Admitted),
            ("stranger", Registration::Closed, Admission::Unknown),
            ("known", Registration::Open, Admission::Admitted),
            ("stranger", Registration::Open, Admission::Admitted),
        ] {
            assert_eq!(registry.admit(&device(id), registration), expected, "{id}");
        }
    }
}
