//! Onboarding in one transaction: all of a file or nothing of it.

use std::collections::{BTreeSet, HashSet};

use sqlx::SqliteConnection;
use telemetry::{AssetId, DeviceId, SignalName, SiteId};

use super::{
    Service, commit, credentials, failed, people,
    registry::{Assignment, DeviceEntry, StoredCredential},
};
use crate::{
    Changed, Created, CredentialKind, Customer, IssuedToken, NewDevice, OnboardOptions,
    OnboardReport, ServiceError, Site, TokenSpec, TopicPrefix,
    credential::{MAX_CREDENTIALS_PER_DEVICE, new_token},
    onboard::{self, Entry, Known, KnownAsset, KnownSite, Plan, Problems},
};

const DOING: &str = "onboarding devices";

impl Service {
    /// Onboards the devices of a CSV: all of them or, with any error, none. The form of the
    /// file is in [`crate::onboard`].
    ///
    /// # Errors
    /// Those of the file are in the report. [`ServiceError::Database`] and
    /// [`ServiceError::Unreadable`]; nothing was changed then.
    pub async fn onboard(
        &self,
        csv: &[u8],
        options: OnboardOptions,
    ) -> Result<OnboardReport, ServiceError> {
        let (entries, problems) = onboard::read(csv);
        self.take_in(entries, problems, options).await
    }

    /// Onboards one device, by the same rules and with the same report; its errors have line 1.
    ///
    /// # Errors
    /// As [`Self::onboard`].
    pub async fn add_device(
        &self,
        new: NewDevice,
        options: OnboardOptions,
    ) -> Result<OnboardReport, ServiceError> {
        self.take_in(vec![Entry::alone(new)], Problems::default(), options)
            .await
    }

    async fn take_in(
        &self,
        entries: Vec<Entry>,
        mut problems: Problems,
        options: OnboardOptions,
    ) -> Result<OnboardReport, ServiceError> {
        let _changing = self.inner.registering.lock().await;
        let mut tx = self.begin(DOING).await?;
        let known = self.known(&mut tx).await?;
        let plan = onboard::plan(
            &entries,
            &known,
            self.inner.registry.models(),
            &mut problems,
        );
        self.check_credentials(&plan, &entries, &mut problems);
        let mut report = report(&plan, entries.len(), options);
        if !problems.is_empty() {
            (report.errors, report.more_errors) = problems.into_sorted();
            return Ok(report);
        }
        let without = self.without_credential(&plan);
        report.without_credential = without.len() as u64;
        if options.dry_run {
            return Ok(report);
        }
        let mut held = self.write(&mut tx, &plan).await?;
        if options.tokens {
            for device in without {
                let (token, stored) = self.token_for(&mut tx, device).await?;
                report.tokens.push(token);
                held.push(stored);
            }
            report.without_credential = 0;
        }
        let assets = super::assets::every(&mut *tx).await?;
        commit(tx, DOING).await?;
        self.inner.places.put(&assets, self.inner.registry.models());
        self.show_plan(&known, plan, held);
        report.applied = true;
        Ok(report)
    }

    /// What is stored now. Devices and credentials come from memory, which holds what the file
    /// holds while the caller keeps the lock.
    async fn known(&self, connection: &mut SqliteConnection) -> Result<Known, ServiceError> {
        let mut known = Known {
            devices: self.inner.registry.entries(),
            ..Known::default()
        };
        for customer in people::all_customers(connection).await? {
            known.customers.insert(customer.id, customer.name);
        }
        for site in people::all_sites(connection).await? {
            let stored = KnownSite {
                customer: site.customer,
                name: site.name,
                time_zone: site.time_zone,
            };
            known.sites.insert(site.id, stored);
        }
        known.assets = super::assets::all(connection).await?;
        for credential in self.inner.registry.all_valid_credentials() {
            match (credential.kind, credential.sha256) {
                (CredentialKind::Certificate, Some(hash)) => {
                    known.fingerprints.insert(hash, credential.device);
                }
                (CredentialKind::CertificateName, _) => {
                    known.named.insert(credential.device);
                }
                _ => {}
            }
        }
        Ok(known)
    }

    fn check_credentials(&self, plan: &Plan, entries: &[Entry], problems: &mut Problems) {
        for (device, _) in &plan.certificates {
            let valid = self.inner.registry.valid_credentials(device).len();
            if valid < MAX_CREDENTIALS_PER_DEVICE {
                continue;
            }
            let mut entries = entries.iter();
            if let Some(entry) = entries.find(|entry| entry.new.device == *device) {
                let problem = format!(
                    "the device has {MAX_CREDENTIALS_PER_DEVICE} valid credentials already; revoke one first"
                );
                problems.add(entry.at_certificate(), "", problem);
            }
        }
    }

    /// Devices of the plan that nobody could publish as, by id.
    fn without_credential(&self, plan: &Plan) -> BTreeSet<DeviceId> {
        let bound: HashSet<&DeviceId> =
            plan.certificates.iter().map(|(device, _)| device).collect();
        let registry = &self.inner.registry;
        plan.devices
            .iter()
            .filter(|device| {
                !bound.contains(device) && registry.valid_credentials(device).is_empty()
            })
            .cloned()
            .collect()
    }

    /// Writes the plan and returns the credentials that are new.
    async fn write(
        &self,
        connection: &mut SqliteConnection,
        plan: &Plan,
    ) -> Result<Vec<StoredCredential>, ServiceError> {
        let now = self.now();
        for (id, name) in &plan.customers {
            let customer = Customer {
                id: id.clone(),
                name: name.clone(),
                created_at: now,
            };
            people::insert_customer(connection, &customer).await?;
        }
        for (id, site) in &plan.sites {
            let site = Site {
                id: id.clone(),
                customer: site.customer.clone(),
                name: site.name.clone(),
                time_zone: site.time_zone.clone(),
                created_at: now,
            };
            people::insert_site(connection, &site).await?;
        }
        for (id, asset) in plan.new_assets.iter().chain(&plan.changed_assets) {
            let site = match &asset.site {
                Some(site) => site.clone(),
                None => self.ensure_default_site(connection).await?,
            };
            self.put_asset(connection, id, asset, &site).await?;
        }
        for (device, entry) in plan.new_devices.iter().chain(&plan.changed_devices) {
            self.put_entry(connection, device, entry).await?;
        }
        let mut held = Vec::with_capacity(plan.certificates.len());
        for (device, binding) in &plan.certificates {
            let (kind, hash) = credentials::kind_of(*binding);
            let spec = TokenSpec::default();
            held.push(
                self.insert_credential(connection, device, kind, hash, spec)
                    .await?,
            );
        }
        Ok(held)
    }

    async fn put_asset(
        &self,
        connection: &mut SqliteConnection,
        id: &AssetId,
        asset: &KnownAsset,
        site: &SiteId,
    ) -> Result<(), ServiceError> {
        sqlx::query(
            "INSERT INTO assets (id, name, model, site, discovered, registered_at)
             VALUES (?, ?, ?, ?, 0, ?)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, model = excluded.model,
                 site = excluded.site, discovered = 0",
        )
        .bind(id.as_str())
        .bind(asset.name.as_str())
        .bind(asset.model.as_str())
        .bind(site.as_str())
        .bind(self.now().as_micros())
        .execute(connection)
        .await
        .map_err(failed(DOING))?;
        Ok(())
    }

    async fn put_entry(
        &self,
        connection: &mut SqliteConnection,
        device: &DeviceId,
        entry: &DeviceEntry,
    ) -> Result<(), ServiceError> {
        let asset = entry.assignment.as_ref().map(|(asset, _)| asset.as_str());
        sqlx::query(
            "INSERT INTO devices
                 (id, asset, registered_at, quota_messages, quota_bytes, topic_prefix)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET asset = excluded.asset,
                 quota_messages = excluded.quota_messages, quota_bytes = excluded.quota_bytes,
                 topic_prefix = excluded.topic_prefix",
        )
        .bind(device.as_str())
        .bind(asset)
        .bind(self.now().as_micros())
        .bind(i64::from(entry.quota.messages_per_s))
        .bind(i64::from(entry.quota.bytes_per_s))
        .bind(entry.topic_prefix.as_ref().map(TopicPrefix::as_str))
        .execute(&mut *connection)
        .await
        .map_err(failed(DOING))?;
        sqlx::query("DELETE FROM device_signals WHERE device = ?")
            .bind(device.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed(DOING))?;
        for signal in &entry.declared {
            sqlx::query(
                "INSERT INTO device_signals
                     (device, name, signal, unit, min, max, max_rate_per_s, stuck_after_s)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(device.as_str())
            .bind(signal.name.as_str())
            .bind(signal.signal.as_ref().map(SignalName::as_str))
            .bind(signal.unit.map(telemetry::Unit::symbol))
            .bind(signal.limits.min)
            .bind(signal.limits.max)
            .bind(signal.limits.max_rate_per_s)
            .bind(signal.limits.stuck_after_s)
            .execute(&mut *connection)
            .await
            .map_err(failed(DOING))?;
        }
        Ok(())
    }

    async fn token_for(
        &self,
        connection: &mut SqliteConnection,
        device: DeviceId,
    ) -> Result<(IssuedToken, StoredCredential), ServiceError> {
        let (token, hash) = new_token(&mut rand::rng());
        let kind = CredentialKind::Token;
        let stored = self
            .insert_credential(connection, &device, kind, Some(hash), TokenSpec::default())
            .await?;
        let issued = IssuedToken {
            device,
            credential: stored.id,
            token,
        };
        Ok((issued, stored))
    }

    /// Brings the registry to what was committed.
    fn show_plan(&self, known: &Known, plan: Plan, held: Vec<StoredCredential>) {
        let registry = &self.inner.registry;
        registry.put(plan.new_devices.into_iter().chain(plan.changed_devices));
        // Devices the file does not name stand on assets whose model it changed.
        let remodelled = plan.changed_assets.iter().filter(|(id, asset)| {
            let before = known.assets.get(id);
            before.is_some_and(|before| before.model != asset.model)
        });
        let models: std::collections::HashMap<_, _> =
            remodelled.map(|(id, asset)| (id, &asset.model)).collect();
        if !models.is_empty() {
            let moved: Vec<(DeviceId, Assignment)> = registry
                .entries()
                .into_iter()
                .filter_map(|(device, entry)| {
                    let (asset, _) = entry.assignment?;
                    let model = models.get(&asset)?;
                    Some((device, Some((asset, (*model).clone()))))
                })
                .collect();
            registry.assign(moved);
        }
        registry.put_credentials(held);
    }
}

fn report(plan: &Plan, rows: usize, options: OnboardOptions) -> OnboardReport {
    OnboardReport {
        dry_run: options.dry_run,
        rows: rows as u64,
        unchanged: plan.unchanged,
        created: Created {
            customers: ids(&plan.customers),
            sites: ids(&plan.sites),
            assets: ids(&plan.new_assets),
            devices: ids(&plan.new_devices),
        },
        changed: Changed {
            assets: ids(&plan.changed_assets),
            devices: changed_devices(plan),
        },
        ..OnboardReport::default()
    }
}

fn ids<Id: Clone, T>(of: &[(Id, T)]) -> Vec<Id> {
    of.iter().map(|(id, _)| id.clone()).collect()
}

/// Devices that were there: declared anew, moved, or with another certificate.
fn changed_devices(plan: &Plan) -> Vec<DeviceId> {
    let new: HashSet<&DeviceId> = plan.new_devices.iter().map(|(device, _)| device).collect();
    let changed = plan.changed_devices.iter().map(|(device, _)| device);
    let bound = plan.certificates.iter().map(|(device, _)| device);
    let changed: BTreeSet<&DeviceId> = changed.chain(bound).collect();
    changed
        .difference(&new.into_iter().collect())
        .map(|device| (*device).clone())
        .collect()
}
