//! Who may publish and what is declared about them, in memory: it is asked for every message
//! and every connect, where a query to the file would be far too slow.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use telemetry::{
    Admission, AssetId, AssetModel, AssetModelId, Claim, CredentialId, Denied, DeviceId,
    DeviceRules, Grant, Quota, Scope, Timestamp,
};

use crate::{
    Access, Credential, CredentialKind, DeclaredBy, DeviceSignal, Registration, SignalView,
    TopicPrefix,
    credential::{TOKEN_PREFIX, sha256},
    signals::merged,
};

/// What a device watches; none when it was taken off its asset.
pub(crate) type Assignment = Option<(AssetId, AssetModelId)>;

/// Devices that may be registered. A flood of made-up names in open registration stops here
/// instead of filling memory and disk; each costs a few hundred bytes in both.
pub(crate) const MAX_DEVICES: usize = 100_000;

/// "Never used" in [`Held::last_used_at`].
const NEVER: i64 = i64::MIN;

/// What the file says about one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DeviceEntry {
    pub(crate) assignment: Assignment,
    /// What it declares itself, by name.
    pub(crate) declared: Vec<DeviceSignal>,
    /// For its credentials that say nothing else.
    pub(crate) quota: Quota,
    /// The same.
    pub(crate) topic_prefix: Option<TopicPrefix>,
}

/// What the file says about one credential. Its own quota and prefix go before the device's.
#[derive(Debug, Clone)]
pub(super) struct StoredCredential {
    pub(super) id: CredentialId,
    pub(super) device: DeviceId,
    pub(super) kind: CredentialKind,
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) topic_prefix: Option<TopicPrefix>,
    pub(super) quota: Option<Quota>,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
}

/// Every registered device and every credential. Readers share the lock for a few look-ups;
/// the writer holds it for a few insertions, and never over a wait.
pub(super) struct Registry {
    registration: Registration,
    access: Access,
    models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    /// The rules of each model, shared by its devices.
    model_rules: BTreeMap<AssetModelId, Arc<DeviceRules>>,
    generation: AtomicU64,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    devices: HashMap<DeviceId, Known>,
    credentials: HashMap<CredentialId, Held>,
    /// Where a secret's hash leads. Revoked ones stay, so that they are told from strangers.
    by_secret: HashMap<(CredentialKind, [u8; 32]), CredentialId>,
    by_device: HashMap<DeviceId, Vec<CredentialId>>,
}

struct Known {
    entry: DeviceEntry,
    rules: Option<Arc<DeviceRules>>,
}

struct Held {
    stored: StoredCredential,
    /// Microseconds since the Unix epoch or [`NEVER`]; written to the file now and then.
    last_used_at: AtomicI64,
}

impl Registry {
    pub(super) fn new(
        registration: Registration,
        access: Access,
        models: Arc<BTreeMap<AssetModelId, Arc<AssetModel>>>,
    ) -> Self {
        let model_rules = models
            .iter()
            .map(|(id, model)| (id.clone(), Arc::new(DeviceRules::of_model(model))))
            .collect();
        Self {
            registration,
            access,
            models,
            model_rules,
            generation: AtomicU64::new(0),
            state: RwLock::default(),
        }
    }

    pub(super) fn registration(&self) -> Registration {
        self.registration
    }

    pub(super) fn models(&self) -> &BTreeMap<AssetModelId, Arc<AssetModel>> {
        &self.models
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn admit(&self, device: &DeviceId) -> Admission {
        let state = self.read();
        let admitted = state.devices.contains_key(device)
            || (self.registration == Registration::Open && state.devices.len() < MAX_DEVICES);
        if admitted {
            Admission::Admitted
        } else {
            Admission::Unknown
        }
    }

    pub(super) fn rules(&self, device: &DeviceId) -> Option<Arc<DeviceRules>> {
        self.read().devices.get(device)?.rules.clone()
    }

    pub(super) fn assignment(&self, device: &DeviceId) -> Assignment {
        let state = self.read();
        state.devices.get(device)?.entry.assignment.clone()
    }

    pub(super) fn knows(&self, device: &DeviceId) -> bool {
        self.read().devices.contains_key(device)
    }

    pub(super) fn room(&self) -> usize {
        MAX_DEVICES.saturating_sub(self.read().devices.len())
    }

    /// What is in force for the signals of a device, by name.
    pub(super) fn signals(&self, device: &DeviceId) -> Vec<SignalView> {
        let state = self.read();
        let Some(known) = state.devices.get(device) else {
            return Vec::new();
        };
        let mut views: Vec<SignalView> = known
            .rules
            .iter()
            .flat_map(|rules| rules.iter())
            .map(|(name, rule)| {
                let own = known.entry.declared.iter().any(|own| own.name == *name);
                SignalView {
                    name: name.clone(),
                    signal: rule.signal.clone(),
                    unit: rule.unit,
                    sent_unit: rule.sent_unit,
                    limits: rule.limits,
                    declared_by: if own {
                        DeclaredBy::Device
                    } else {
                        DeclaredBy::Model
                    },
                }
            })
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// Everything the file says about every device.
    pub(super) fn entries(&self) -> HashMap<DeviceId, DeviceEntry> {
        let state = self.read();
        let devices = state.devices.iter();
        devices
            .map(|(device, known)| (device.clone(), known.entry.clone()))
            .collect()
    }

    /// Every credential that lets somebody in.
    pub(super) fn all_valid_credentials(&self) -> Vec<StoredCredential> {
        let state = self.read();
        let held = state.credentials.values();
        held.filter(|held| held.stored.revoked_at.is_none())
            .map(|held| held.stored.clone())
            .collect()
    }

    /// Devices that now watch something else, perhaps new ones.
    pub(super) fn assign(&self, changed: impl IntoIterator<Item = (DeviceId, Assignment)>) {
        let mut state = self.write();
        for (device, assignment) in changed {
            let mut entry = state
                .devices
                .remove(&device)
                .map(|known| known.entry)
                .unwrap_or_default();
            entry.assignment = assignment;
            let known = self.known(entry);
            state.devices.insert(device, known);
        }
        self.changed();
    }

    /// Devices about which everything was said anew.
    pub(super) fn put(&self, changed: impl IntoIterator<Item = (DeviceId, DeviceEntry)>) {
        let changed: Vec<_> = changed
            .into_iter()
            .map(|(device, entry)| (device, self.known(entry)))
            .collect();
        self.write().devices.extend(changed);
        self.changed();
    }

    /// Credentials that are new or were changed.
    pub(super) fn put_credentials(&self, changed: impl IntoIterator<Item = StoredCredential>) {
        let mut state = self.write();
        for stored in changed {
            let (id, device) = (stored.id, stored.device.clone());
            if let Some(hash) = stored.sha256 {
                state.by_secret.insert((stored.kind, hash), id);
            }
            let of_device = state.by_device.entry(device).or_default();
            if !of_device.contains(&id) {
                of_device.push(id);
            }
            let used = stored.last_used_at.map_or(NEVER, Timestamp::as_micros);
            let before = state.credentials.get(&id);
            let used = before.map_or(used, |held| {
                used.max(held.last_used_at.load(Ordering::Relaxed))
            });
            let held = Held {
                stored,
                last_used_at: AtomicI64::new(used),
            };
            state.credentials.insert(id, held);
        }
        drop(state);
        self.changed();
    }

    pub(super) fn is_valid(&self, id: CredentialId) -> bool {
        let state = self.read();
        let held = state.credentials.get(&id);
        held.is_some_and(|held| held.stored.revoked_at.is_none())
    }

    /// The device's credentials that let somebody in, by id.
    pub(super) fn valid_credentials(&self, device: &DeviceId) -> Vec<StoredCredential> {
        let state = self.read();
        let ids = state.by_device.get(device);
        ids.into_iter()
            .flatten()
            .filter_map(|id| state.credentials.get(id))
            .filter(|held| held.stored.revoked_at.is_none())
            .map(|held| held.stored.clone())
            .collect()
    }

    /// Credentials as they are listed: all of one device, by id.
    pub(super) fn credentials(&self, device: &DeviceId) -> Vec<Credential> {
        let state = self.read();
        let ids = state.by_device.get(device);
        ids.into_iter()
            .flatten()
            .filter_map(|id| state.credentials.get(id))
            .map(|held| state.view(held))
            .collect()
    }

    pub(super) fn credential(&self, id: CredentialId) -> Option<Credential> {
        let state = self.read();
        state.credentials.get(&id).map(|held| state.view(held))
    }

    pub(super) fn stored_credential(&self, id: CredentialId) -> Option<StoredCredential> {
        let state = self.read();
        state.credentials.get(&id).map(|held| held.stored.clone())
    }

    /// When each credential was used last, where the file does not know yet.
    pub(super) fn unsaved_uses(&self) -> Vec<(CredentialId, Timestamp)> {
        let state = self.read();
        let held = state.credentials.iter();
        held.filter_map(|(id, held)| {
            let used = held.last_used_at.load(Ordering::Relaxed);
            let saved = held.stored.last_used_at.map_or(NEVER, Timestamp::as_micros);
            (used > saved).then(|| (*id, Timestamp::from_micros(used)))
        })
        .collect()
    }

    /// Notes what the file knows now.
    pub(super) fn uses_saved(&self, saved: &[(CredentialId, Timestamp)]) {
        let mut state = self.write();
        for (id, at) in saved {
            if let Some(held) = state.credentials.get_mut(id) {
                held.stored.last_used_at = Some(*at);
            }
        }
    }

    pub(super) fn authenticate(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Grant, Denied> {
        let state = self.read();
        let Some(held) = self.find(&state, claim)? else {
            return match self.access {
                Access::Open => Ok(Grant::ANYONE),
                Access::Required => Err(Denied::Missing),
            };
        };
        let stored = &held.stored;
        if stored.revoked_at.is_some() {
            return Err(Denied::Invalid);
        }
        if claim.client.is_some_and(|client| *client != stored.device) {
            return Err(Denied::WrongClient);
        }
        held.last_used_at
            .fetch_max(now.as_micros(), Ordering::Relaxed);
        let (topic_prefix, quota) = state.in_force(stored);
        Ok(Grant {
            credential: Some(stored.id),
            scope: match topic_prefix {
                Some(prefix) => Scope::Gateway {
                    client: stored.device.clone(),
                    topic_prefix: prefix.as_str().into(),
                },
                None => Scope::Device(stored.device.clone()),
            },
            quota,
        })
    }

    /// The credential a claim shows; none when it shows nothing that concerns us. A token goes
    /// before a certificate: who shows both means the token.
    fn find<'a>(&self, state: &'a State, claim: &Claim<'_>) -> Result<Option<&'a Held>, Denied> {
        let strict = self.access == Access::Required;
        if let Some(secret) = claim.secret.filter(|secret| !secret.is_empty()) {
            let key = (CredentialKind::Token, sha256(secret));
            let found = state
                .by_secret
                .get(&key)
                .and_then(|id| state.credentials.get(id));
            // Where anybody may publish, a password that is not of our making is no token:
            // devices keep sending the one their old broker wanted.
            if found.is_some() || strict || secret.starts_with(TOKEN_PREFIX.as_bytes()) {
                return found.map(Some).ok_or(Denied::Invalid);
            }
        }
        let Some(fingerprint) = claim.certificate else {
            return Ok(None);
        };
        let key = (CredentialKind::Certificate, fingerprint);
        if let Some(found) = state
            .by_secret
            .get(&key)
            .and_then(|id| state.credentials.get(id))
        {
            return Ok(Some(found));
        }
        let named = claim
            .certificate_name
            .and_then(|name| DeviceId::new(name).ok())
            .and_then(|device| state.by_device.get(&device))
            .into_iter()
            .flatten()
            .filter_map(|id| state.credentials.get(id))
            .filter(|held| held.stored.kind == CredentialKind::CertificateName);
        // The valid one when there is one, else a revoked one, which denies.
        let named = named.max_by_key(|held| (held.stored.revoked_at.is_none(), held.stored.id));
        match named {
            Some(found) => Ok(Some(found)),
            None if strict => Err(Denied::Invalid),
            None => Ok(None),
        }
    }

    fn known(&self, entry: DeviceEntry) -> Known {
        let model = entry.assignment.as_ref().map(|(_, model)| model);
        let rules = merged(
            model.and_then(|model| self.models.get(model)),
            model.and_then(|model| self.model_rules.get(model)),
            &entry.declared,
        );
        Known { entry, rules }
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while inserting leaves the maps whole, so the lock is used on.
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_force(&self, stored: &StoredCredential) -> (Option<TopicPrefix>, Quota) {
        let device = self.devices.get(&stored.device).map(|known| &known.entry);
        let prefix = stored.topic_prefix.clone();
        (
            prefix.or_else(|| device.and_then(|entry| entry.topic_prefix.clone())),
            stored
                .quota
                .or_else(|| device.map(|entry| entry.quota))
                .unwrap_or_default(),
        )
    }

    fn view(&self, held: &Held) -> Credential {
        let stored = &held.stored;
        let (topic_prefix, quota) = self.in_force(stored);
        let used = held.last_used_at.load(Ordering::Relaxed);
        Credential {
            id: stored.id,
            device: stored.device.clone(),
            kind: stored.kind,
            fingerprint: stored
                .sha256
                .filter(|_| stored.kind == CredentialKind::Certificate)
                .map(|hash| crate::credential::hex(&hash)),
            topic_prefix,
            quota,
            created_at: stored.created_at,
            last_used_at: (used != NEVER).then(|| Timestamp::from_micros(used)),
            revoked_at: stored.revoked_at,
        }
    }
}
