//! Devices as the file knows them, and what is declared about each.

use std::collections::HashMap;

use sqlx::{Row, SqlitePool};
use telemetry::{AssetId, AssetModelId, DeviceId};

use super::{Service, failed, registry::DeviceEntry, rows};
use crate::{Device, ServiceError, SignalView};

impl Service {
    /// One device; none when it is not registered.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn device(&self, id: &DeviceId) -> Result<Option<Device>, ServiceError> {
        let row = sqlx::query("SELECT * FROM devices WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&self.inner.read)
            .await
            .map_err(failed("reading a device"))?;
        row.as_ref().map(rows::device).transpose()
    }

    /// Whether a device is registered. Answered from memory.
    pub fn knows_device(&self, device: &DeviceId) -> bool {
        self.inner.registry.knows(device)
    }

    /// How many valid credentials a device has. Answered from memory.
    pub fn credential_count(&self, device: &DeviceId) -> u32 {
        self.inner.registry.valid_credentials(device).len() as u32
    }

    /// What is in force for the signals of a device, by name. Answered from memory.
    pub fn device_signals(&self, device: &DeviceId) -> Vec<SignalView> {
        self.inner.registry.signals(device)
    }
}

/// Everything that is declared about every registered device.
pub(super) async fn entries(
    pool: &SqlitePool,
) -> Result<HashMap<DeviceId, DeviceEntry>, ServiceError> {
    let doing = "reading the device registry";
    let found =
        sqlx::query("SELECT d.*, a.model FROM devices d LEFT JOIN assets a ON a.id = d.asset")
            .fetch_all(pool)
            .await
            .map_err(failed(doing))?;
    let mut devices = HashMap::with_capacity(found.len());
    for row in found {
        let (device, mut entry) = rows::device_terms(&row)?;
        let asset: Option<&str> = row.try_get("asset").map_err(failed(doing))?;
        let model: Option<&str> = row.try_get("model").map_err(failed(doing))?;
        if let (Some(asset), Some(model)) = (asset, model) {
            entry.assignment = Some((AssetId::new(asset)?, AssetModelId::new(model)?));
        }
        devices.insert(device, entry);
    }
    let found = sqlx::query("SELECT * FROM device_signals ORDER BY device, name")
        .fetch_all(pool)
        .await
        .map_err(failed("reading declared signals"))?;
    for row in &found {
        let (device, signal) = rows::device_signal(row)?;
        if let Some(entry) = devices.get_mut(&device) {
            entry.declared.push(signal);
        }
    }
    Ok(devices)
}
