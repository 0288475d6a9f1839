//! Tokens and certificates of devices: made, listed and revoked.
//!
//! All of them are in memory beside the registry, so listing needs no query. When a credential
//! was used last changes with every connect; it is kept in memory and saved now and then by
//! [`Service::flush_last_used`], so that a connect never waits for a disk.

use sqlx::{Row, SqliteConnection, SqlitePool};
use telemetry::{CredentialId, DeviceId, Quota};

use super::{Service, commit, failed, not_found, registry::StoredCredential, rows};
use crate::{
    CertificateBinding, Credential, CredentialKind, IssuedToken, ServiceError, TokenSpec,
    credential::{MAX_CREDENTIALS_PER_DEVICE, new_token},
};

impl Service {
    /// Makes a token for a device. It is returned this once and kept only as a hash.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown device, [`ServiceError::Conflict`] when it has
    /// [`MAX_CREDENTIALS_PER_DEVICE`] valid ones already, and [`ServiceError::Database`].
    pub async fn issue_token(
        &self,
        device: &DeviceId,
        spec: TokenSpec,
    ) -> Result<IssuedToken, ServiceError> {
        let (token, hash) = new_token(&mut rand::rng());
        let stored = self
            .enter(device, CredentialKind::Token, Some(hash), spec)
            .await?;
        Ok(IssuedToken {
            device: stored.device,
            credential: stored.id,
            token,
        })
    }

    /// Lets a device in by its client certificate.
    ///
    /// # Errors
    /// As [`Self::issue_token`], and [`ServiceError::Conflict`] when the certificate is bound
    /// already.
    pub async fn bind_certificate(
        &self,
        device: &DeviceId,
        binding: CertificateBinding,
        spec: TokenSpec,
    ) -> Result<Credential, ServiceError> {
        let (kind, hash) = kind_of(binding);
        let stored = self.enter(device, kind, hash, spec).await?;
        self.credential(stored.id).await
    }

    /// Every credential a device has or had, by id.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown device.
    #[expect(
        clippy::unused_async,
        reason = "callers wait as for every other question; today it is answered from memory"
    )]
    pub async fn credentials(&self, device: &DeviceId) -> Result<Vec<Credential>, ServiceError> {
        if !self.inner.registry.knows(device) {
            return Err(not_found("device", device.as_str()));
        }
        Ok(self.inner.registry.credentials(device))
    }

    /// One credential.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown one.
    #[expect(
        clippy::unused_async,
        reason = "callers wait as for every other question; today it is answered from memory"
    )]
    pub async fn credential(&self, id: CredentialId) -> Result<Credential, ServiceError> {
        let found = self.inner.registry.credential(id);
        found.ok_or_else(|| not_found("credential", &id.to_string()))
    }

    /// Revokes a credential: nobody gets in with it from now on, and who is in is put out.
    /// Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown one, and [`ServiceError::Database`].
    pub async fn revoke(&self, id: CredentialId) -> Result<Credential, ServiceError> {
        let doing = "revoking a credential";
        let _changing = self.inner.registering.lock().await;
        let registry = &self.inner.registry;
        let Some(mut stored) = registry.stored_credential(id) else {
            return Err(not_found("credential", &id.to_string()));
        };
        if stored.revoked_at.is_none() {
            let now = self.now();
            let mut tx = self.begin(doing).await?;
            sqlx::query("UPDATE device_credentials SET revoked_at = ? WHERE number = ?")
                .bind(now.as_micros())
                .bind(id.0 as i64)
                .execute(&mut *tx)
                .await
                .map_err(failed(doing))?;
            commit(tx, doing).await?;
            stored.revoked_at = Some(now);
            registry.put_credentials([stored]);
            tracing::info!(credential = %id, "revoked");
        }
        self.credential(id).await
    }

    /// Saves when credentials were used last. What a crash loses is only that.
    ///
    /// # Errors
    /// [`ServiceError::Database`]; it may be tried again.
    pub async fn flush_last_used(&self) -> Result<(), ServiceError> {
        let doing = "saving when credentials were used";
        let uses = self.inner.registry.unsaved_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin(doing).await?;
        for (id, at) in &uses {
            sqlx::query("UPDATE device_credentials SET last_used_at = ? WHERE number = ?")
                .bind(at.as_micros())
                .bind(id.0 as i64)
                .execute(&mut *tx)
                .await
                .map_err(failed(doing))?;
        }
        commit(tx, doing).await?;
        self.inner.registry.uses_saved(&uses);
        Ok(())
    }

    async fn enter(
        &self,
        device: &DeviceId,
        kind: CredentialKind,
        sha256: Option<[u8; 32]>,
        spec: TokenSpec,
    ) -> Result<StoredCredential, ServiceError> {
        let doing = "entering a credential";
        let _changing = self.inner.registering.lock().await;
        let registry = &self.inner.registry;
        if !registry.knows(device) {
            return Err(not_found("device", device.as_str()));
        }
        let valid = registry.valid_credentials(device);
        if valid.len() >= MAX_CREDENTIALS_PER_DEVICE {
            return Err(conflict(
                device,
                &format!(
                    "has {MAX_CREDENTIALS_PER_DEVICE} valid credentials already; revoke one first"
                ),
            ));
        }
        let mut tx = self.begin(doing).await?;
        let stored = self
            .insert_credential(&mut tx, device, kind, sha256, spec)
            .await?;
        commit(tx, doing).await?;
        registry.put_credentials([stored.clone()]);
        Ok(stored)
    }

    /// Writes a credential in a transaction of the caller's, who shows it to the registry.
    pub(super) async fn insert_credential(
        &self,
        connection: &mut SqliteConnection,
        device: &DeviceId,
        kind: CredentialKind,
        sha256: Option<[u8; 32]>,
        spec: TokenSpec,
    ) -> Result<StoredCredential, ServiceError> {
        let now = self.now();
        let written = sqlx::query(
            "INSERT INTO device_credentials
                 (device, kind, sha256, topic_prefix, quota_messages, quota_bytes, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(device.as_str())
        .bind(kind.as_str())
        .bind(sha256.map(|hash| hash.to_vec()))
        .bind(
            spec.topic_prefix
                .as_ref()
                .map(|prefix| prefix.as_str().to_owned()),
        )
        .bind(spec.quota.map(|quota| i64::from(quota.messages_per_s)))
        .bind(spec.quota.map(|quota| i64::from(quota.bytes_per_s)))
        .bind(now.as_micros())
        .execute(connection)
        .await
        .map_err(|source| match &source {
            sqlx::Error::Database(refused) if refused.is_unique_violation() => conflict(
                device,
                "cannot have this certificate: it is bound already; revoke that credential first",
            ),
            _ => failed("entering a credential")(source),
        })?;
        Ok(StoredCredential {
            id: CredentialId(written.last_insert_rowid() as u64),
            device: device.clone(),
            kind,
            sha256,
            topic_prefix: spec.topic_prefix,
            quota: spec.quota,
            created_at: now,
            last_used_at: None,
            revoked_at: None,
        })
    }
}

/// What is kept of a binding.
pub(super) fn kind_of(binding: CertificateBinding) -> (CredentialKind, Option<[u8; 32]>) {
    match binding {
        CertificateBinding::Fingerprint(hash) => (CredentialKind::Certificate, Some(hash)),
        CertificateBinding::CommonName => (CredentialKind::CertificateName, None),
    }
}

fn conflict(device: &DeviceId, problem: &str) -> ServiceError {
    ServiceError::Conflict {
        what: "device",
        id: device.to_string(),
        problem: problem.to_owned(),
    }
}

/// Every credential of the file, by id.
pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<StoredCredential>, ServiceError> {
    let doing = "reading the credentials";
    let found = sqlx::query("SELECT * FROM device_credentials ORDER BY number")
        .fetch_all(pool)
        .await
        .map_err(failed(doing))?;
    found
        .iter()
        .map(|row| {
            let number: i64 = row.try_get("number").map_err(failed(doing))?;
            rows::credential(row, CredentialId(number as u64))
        })
        .collect()
}

/// A quota whose two numbers may be null together.
pub(super) fn quota(messages: Option<i64>, bytes: Option<i64>) -> Option<Quota> {
    if messages.is_none() && bytes.is_none() {
        return None;
    }
    let number = |value: Option<i64>| u32::try_from(value.unwrap_or(0)).unwrap_or(u32::MAX);
    Some(Quota {
        messages_per_s: number(messages),
        bytes_per_s: number(bytes),
    })
}
