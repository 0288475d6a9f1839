//! The asset ledger and the devices that watch it.

use std::collections::{BTreeSet, HashMap};

use sqlx::{SqliteConnection, SqliteExecutor};
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, SiteId};

use super::{
    Service, commit, failed, not_found, people, places, registry::Assignment, rows, taken_or_failed,
};
use crate::{
    Asset, AssetQuery, AssetUpdate, Customer, Device, Name, NewAsset, Registration, ServiceError,
    Site, TimeZoneName, ledger::DEFAULT_ID, onboard::KnownAsset,
};

/// Devices on one asset: far more than one machine carries, few enough for one transaction.
const MAX_DEVICES_PER_ASSET: usize = 1_000;
/// Devices on one page of the device list.
const MAX_DEVICES_LISTED: u32 = 10_000;

macro_rules! select_asset {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.name, a.model, a.parent, a.discovered, a.registered_at,
                    s.id AS site_id, s.name AS site_name, s.time_zone AS site_time_zone,
                    c.id AS customer_id, c.name AS customer_name,
                    (SELECT json_group_array(d.id) FROM devices d WHERE d.asset = a.id) AS devices
             FROM assets a JOIN sites s ON s.id = a.site JOIN customers c ON c.id = s.customer ",
            $rest
        )
    };
}

impl Service {
    /// Registers devices that nobody has registered, each with an asset of its own name at
    /// the default site, and returns the assets that are new. An asset that a person entered
    /// under the name of a device gets that device. Registers nothing while registration is
    /// closed or once there is no more room. Costs nothing for devices that are known.
    ///
    /// # Errors
    /// [`ServiceError::Database`]; nothing was registered then.
    pub async fn register_discovered(
        &self,
        devices: &[DeviceId],
    ) -> Result<Vec<Asset>, ServiceError> {
        let doing = "registering discovered devices";
        let strangers = |service: &Self| -> BTreeSet<DeviceId> {
            let registry = &service.inner.registry;
            let unknown = devices.iter().filter(|device| !registry.knows(device));
            unknown.cloned().collect()
        };
        if self.registration() == Registration::Closed || strangers(self).is_empty() {
            return Ok(Vec::new());
        }
        let _changing = self.inner.registering.lock().await;
        let unknown = strangers(self);
        let room = self.inner.registry.room();
        if unknown.len() > room {
            tracing::warn!(
                left_out = unknown.len() - room,
                limit = super::registry::MAX_DEVICES,
                "the device registry is full; set registration to closed and register devices by hand"
            );
        }
        let mut tx = self.begin(doing).await?;
        let mut created = Vec::new();
        let mut assigned: Vec<(DeviceId, Assignment)> = Vec::new();
        for device in unknown.into_iter().take(room) {
            // Ids of devices and assets follow the same rule.
            let id = AssetId::new(device.as_str())?;
            let is_new = self.ensure_asset(&mut tx, &id).await?;
            self.put_device(&mut tx, &device, &id).await?;
            let asset = require_asset(&mut tx, &id).await?;
            assigned.push((device, Some((id, asset.model.clone()))));
            if is_new {
                created.push(asset);
            }
        }
        commit(tx, doing).await?;
        self.inner.registry.assign(assigned);
        self.inner
            .places
            .put(&created, self.inner.registry.models());
        Ok(created)
    }

    /// Enters an asset.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when the id is taken, [`ServiceError::NotFound`] for an
    /// unknown site, [`ServiceError::Invalid`] for too many devices, and
    /// [`ServiceError::Database`].
    pub async fn create_asset(&self, new: NewAsset) -> Result<Asset, ServiceError> {
        let doing = "entering an asset";
        let name = match new.name {
            Some(name) => name,
            None => Name::new(new.id.as_str())?,
        };
        let _changing = self.inner.registering.lock().await;
        let mut tx = self.begin(doing).await?;
        let site = match new.site {
            Some(site) => require_site(&mut tx, site).await?,
            None => self.ensure_default_site(&mut tx).await?,
        };
        if let Some(parent) = &new.parent {
            places::check_parent(&mut tx, &new.id, parent).await?;
        }
        sqlx::query(
            "INSERT INTO assets (id, name, model, site, parent, discovered, registered_at)
             VALUES (?, ?, ?, ?, ?, 0, ?)",
        )
        .bind(new.id.as_str())
        .bind(name.as_str())
        .bind(new.model.as_str())
        .bind(site.as_str())
        .bind(new.parent.as_ref().map(|parent| parent.as_str().to_owned()))
        .bind(self.now().as_micros())
        .execute(&mut *tx)
        .await
        .map_err(taken_or_failed("asset", new.id.as_str(), doing))?;
        self.set_devices(&mut tx, &new.id, &new.devices).await?;
        let asset = require_asset(&mut tx, &new.id).await?;
        commit(tx, doing).await?;
        self.show(&asset, &[]);
        Ok(asset)
    }

    /// Changes an asset. It counts as described by a person from then on.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown asset or site, [`ServiceError::Invalid`] for
    /// too many devices, and [`ServiceError::Database`].
    pub async fn update_asset(
        &self,
        id: &AssetId,
        update: AssetUpdate,
    ) -> Result<Asset, ServiceError> {
        let doing = "changing an asset";
        let _changing = self.inner.registering.lock().await;
        let mut tx = self.begin(doing).await?;
        let before = require_asset(&mut tx, id).await?;
        if update.is_empty() {
            return Ok(before);
        }
        let site = match update.site {
            Some(site) => require_site(&mut tx, site).await?,
            None => before.site.id,
        };
        let parent = update.parent.unwrap_or(before.parent);
        if let Some(parent) = &parent {
            places::check_parent(&mut tx, id, parent).await?;
        }
        sqlx::query(
            "UPDATE assets SET name = ?, model = ?, site = ?, parent = ?, discovered = 0
             WHERE id = ?",
        )
        .bind(update.name.unwrap_or(before.name).as_str())
        .bind(update.model.unwrap_or(before.model).as_str())
        .bind(site.as_str())
        .bind(parent.as_ref().map(|parent| parent.as_str().to_owned()))
        .bind(id.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        if let Some(devices) = &update.devices {
            self.set_devices(&mut tx, id, devices).await?;
        }
        let asset = require_asset(&mut tx, id).await?;
        commit(tx, doing).await?;
        self.show(&asset, &before.devices);
        Ok(asset)
    }

    /// One asset; none when there is no such asset.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn asset(&self, id: &AssetId) -> Result<Option<Asset>, ServiceError> {
        let mut connection = self
            .inner
            .read
            .acquire()
            .await
            .map_err(failed("reading an asset"))?;
        find_asset(&mut connection, id).await
    }

    /// Assets by id.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn assets(&self, query: AssetQuery) -> Result<Vec<Asset>, ServiceError> {
        let found = sqlx::query(select_asset!(
            "WHERE (?1 IS NULL OR s.id = ?1)
               AND (?2 IS NULL OR c.id = ?2)
               AND (?3 IS NULL OR instr(lower(a.id), lower(?3)) > 0
                               OR instr(lower(a.name), lower(?3)) > 0)
               AND (?4 IS NULL OR a.id > ?4)
             ORDER BY a.id LIMIT ?5"
        ))
        .bind(query.site.map(|site| site.to_string()))
        .bind(query.customer.map(|customer| customer.to_string()))
        .bind(query.text)
        .bind(query.after.map(|after| after.to_string()))
        .bind(query.limit.min(AssetQuery::MAX_LIMIT))
        .fetch_all(&self.inner.read)
        .await
        .map_err(failed("listing assets"))?;
        found.iter().map(rows::asset).collect()
    }

    /// Devices by id, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn devices(
        &self,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<Device>, ServiceError> {
        let found =
            sqlx::query("SELECT * FROM devices WHERE (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2")
                .bind(after.map(|after| after.as_str().to_owned()))
                .bind(limit.min(MAX_DEVICES_LISTED))
                .fetch_all(&self.inner.read)
                .await
                .map_err(failed("listing devices"))?;
        found.iter().map(rows::device).collect()
    }

    /// Lets a device watch an asset. An unknown device is registered, a known one moves.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown asset, [`ServiceError::Conflict`] when the
    /// registry is full, and [`ServiceError::Database`].
    pub async fn assign_device(
        &self,
        device: &DeviceId,
        asset: &AssetId,
    ) -> Result<Device, ServiceError> {
        let doing = "assigning a device";
        let _changing = self.inner.registering.lock().await;
        let mut tx = self.begin(doing).await?;
        require_asset(&mut tx, asset).await?;
        self.check_room(std::slice::from_ref(device))?;
        self.put_device(&mut tx, device, asset).await?;
        let watched = require_asset(&mut tx, asset).await?;
        let row = sqlx::query("SELECT * FROM devices WHERE id = ?")
            .bind(device.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed(doing))?;
        let assigned = rows::device(&row)?;
        drop(row);
        commit(tx, doing).await?;
        self.show(&watched, &[]);
        Ok(assigned)
    }

    /// Enters an asset at the default site when it is missing; true when it was.
    pub(super) async fn ensure_asset(
        &self,
        connection: &mut SqliteConnection,
        id: &AssetId,
    ) -> Result<bool, ServiceError> {
        let site = self.ensure_default_site(connection).await?;
        let inserted = sqlx::query(
            "INSERT INTO assets (id, name, model, site, discovered, registered_at)
             VALUES (?1, ?1, ?2, ?3, 1, ?4) ON CONFLICT (id) DO NOTHING",
        )
        .bind(id.as_str())
        .bind(AssetModelId::UNKNOWN)
        .bind(site.as_str())
        .bind(self.now().as_micros())
        .execute(connection)
        .await
        .map_err(failed("entering a discovered asset"))?;
        Ok(inserted.rows_affected() > 0)
    }

    pub(super) async fn ensure_default_site(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<SiteId, ServiceError> {
        let id = SiteId::new(DEFAULT_ID)?;
        match require_site(connection, id.clone()).await {
            Err(ServiceError::NotFound { .. }) => {}
            known => return known,
        }
        let customer = Customer {
            id: CustomerId::new(DEFAULT_ID)?,
            name: Name::new("Default customer")?,
            created_at: self.now(),
        };
        match people::insert_customer(connection, &customer).await {
            // A person entered a customer of this id.
            Ok(()) | Err(ServiceError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        let site = Site {
            id: id.clone(),
            customer: customer.id,
            name: Name::new("Default site")?,
            time_zone: TimeZoneName::utc(),
            created_at: self.now(),
        };
        people::insert_site(connection, &site).await?;
        Ok(id)
    }

    async fn set_devices(
        &self,
        connection: &mut SqliteConnection,
        asset: &AssetId,
        devices: &[DeviceId],
    ) -> Result<(), ServiceError> {
        if devices.len() > MAX_DEVICES_PER_ASSET {
            return Err(ServiceError::Invalid {
                field: "devices",
                problem: format!(
                    "{} were given; give at most {MAX_DEVICES_PER_ASSET}",
                    devices.len()
                ),
            });
        }
        self.check_room(devices)?;
        sqlx::query("UPDATE devices SET asset = NULL WHERE asset = ?")
            .bind(asset.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed("taking devices off an asset"))?;
        for device in devices {
            self.put_device(connection, device, asset).await?;
        }
        Ok(())
    }

    fn check_room(&self, devices: &[DeviceId]) -> Result<(), ServiceError> {
        let registry = &self.inner.registry;
        let strangers = devices.iter().filter(|device| !registry.knows(device));
        if strangers.count() > registry.room() {
            return Err(ServiceError::Conflict {
                what: "device",
                id: devices
                    .first()
                    .map_or("", |device| device.as_str())
                    .to_owned(),
                problem: "finds no room: the device registry is full".to_owned(),
            });
        }
        Ok(())
    }

    async fn put_device(
        &self,
        connection: &mut SqliteConnection,
        device: &DeviceId,
        asset: &AssetId,
    ) -> Result<(), ServiceError> {
        sqlx::query(
            "INSERT INTO devices (id, asset, registered_at) VALUES (?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET asset = excluded.asset",
        )
        .bind(device.as_str())
        .bind(asset.as_str())
        .bind(self.now().as_micros())
        .execute(connection)
        .await
        .map_err(failed("registering a device"))?;
        Ok(())
    }

    /// Brings the registry to what was committed: the devices of the asset watch it, those
    /// that were on it before and are not any more watch nothing.
    pub(super) fn show(&self, asset: &Asset, before: &[DeviceId]) {
        let models = self.inner.registry.models();
        self.inner.places.put(std::iter::once(asset), models);
        let taken_off = before
            .iter()
            .filter(|device| !asset.devices.contains(device))
            .map(|device| (device.clone(), None));
        let watching = asset.devices.iter().map(|device| {
            let assignment = (asset.id.clone(), asset.model.clone());
            (device.clone(), Some(assignment))
        });
        self.inner.registry.assign(taken_off.chain(watching));
    }
}

/// Every asset.
pub(super) async fn every<'e>(file: impl SqliteExecutor<'e>) -> Result<Vec<Asset>, ServiceError> {
    let found = sqlx::query(select_asset!("ORDER BY a.id"))
        .fetch_all(file)
        .await
        .map_err(failed("reading the assets"))?;
    found.iter().map(rows::asset).collect()
}

/// Every asset as onboarding asks for it.
pub(super) async fn all(
    connection: &mut SqliteConnection,
) -> Result<HashMap<AssetId, KnownAsset>, ServiceError> {
    let found = sqlx::query("SELECT id, name, model, site FROM assets")
        .fetch_all(connection)
        .await
        .map_err(failed("reading the assets"))?;
    found.iter().map(rows::known_asset).collect()
}

async fn find_asset(
    connection: &mut SqliteConnection,
    id: &AssetId,
) -> Result<Option<Asset>, ServiceError> {
    let row = sqlx::query(select_asset!("WHERE a.id = ?"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(failed("reading an asset"))?;
    row.as_ref().map(rows::asset).transpose()
}

pub(super) async fn require_asset(
    connection: &mut SqliteConnection,
    id: &AssetId,
) -> Result<Asset, ServiceError> {
    let found = find_asset(connection, id).await?;
    found.ok_or_else(|| not_found("asset", id.as_str()))
}

async fn require_site(
    connection: &mut SqliteConnection,
    id: SiteId,
) -> Result<SiteId, ServiceError> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sites WHERE id = ?)")
        .bind(id.as_str())
        .fetch_one(connection)
        .await
        .map_err(failed("looking up a site"))?;
    if known {
        Ok(id)
    } else {
        Err(not_found("site", id.as_str()))
    }
}
