//! From rows to what has to change, against what is stored.

mod places;

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map},
    sync::Arc,
};

use telemetry::{AssetId, AssetModel, AssetModelId, CustomerId, DeviceId, Quota, SiteId};

use super::{
    NewDevice, Problems,
    row::{Column, Entry},
};
use crate::{
    CertificateBinding, DeviceSignal, Name, TimeZoneName,
    signals::SignalProblem,
    store::{DeviceEntry, MAX_DEVICES},
};

/// What is stored, as far as onboarding asks for it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) customers: HashMap<CustomerId, Name>,
    pub(crate) sites: HashMap<SiteId, KnownSite>,
    pub(crate) assets: HashMap<AssetId, KnownAsset>,
    pub(crate) devices: HashMap<DeviceId, DeviceEntry>,
    /// Whose each bound certificate is.
    pub(crate) fingerprints: HashMap<[u8; 32], DeviceId>,
    /// Devices that are let in by the name of their certificate.
    pub(crate) named: HashSet<DeviceId>,
}

/// A site as it is stored or shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownSite {
    pub(crate) customer: CustomerId,
    pub(crate) name: Name,
    pub(crate) time_zone: TimeZoneName,
}

/// An asset as it is stored or shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownAsset {
    pub(crate) name: Name,
    pub(crate) model: AssetModelId,
    /// None for the default site.
    pub(crate) site: Option<SiteId>,
}

/// What has to be written, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) customers: Vec<(CustomerId, Name)>,
    pub(crate) sites: Vec<(SiteId, KnownSite)>,
    pub(crate) new_assets: Vec<(AssetId, KnownAsset)>,
    pub(crate) changed_assets: Vec<(AssetId, KnownAsset)>,
    pub(crate) new_devices: Vec<(DeviceId, DeviceEntry)>,
    pub(crate) changed_devices: Vec<(DeviceId, DeviceEntry)>,
    pub(crate) certificates: Vec<(DeviceId, CertificateBinding)>,
    /// Every device of the file.
    pub(crate) devices: Vec<DeviceId>,
    /// Rows that change nothing.
    pub(crate) unchanged: u64,
}

/// What the file said first about something, and where.
struct Said<T> {
    what: T,
    line: u64,
}

/// What several rows may say about one asset.
#[derive(Default)]
struct SaidOfAsset {
    name: Option<Said<Name>>,
    model: Option<Said<AssetModelId>>,
    site: Option<Said<SiteId>>,
}

/// What several rows may say about one customer or site.
#[derive(Default)]
struct SaidOfSite {
    customer: Option<Said<CustomerId>>,
    name: Option<Said<Name>>,
    time_zone: Option<Said<TimeZoneName>>,
}

struct Planner<'a> {
    known: &'a Known,
    models: &'a BTreeMap<AssetModelId, Arc<AssetModel>>,
    problems: &'a mut Problems,
    devices: HashMap<DeviceId, (u64, Option<AssetId>)>,
    assets: HashMap<AssetId, SaidOfAsset>,
    sites: HashMap<SiteId, SaidOfSite>,
    customers: HashMap<CustomerId, Option<Said<Name>>>,
    fingerprints: HashMap<[u8; 32], u64>,
    planned_assets: HashSet<AssetId>,
    planned_sites: HashSet<SiteId>,
    planned_customers: HashSet<CustomerId>,
}

/// Says what has to change. With any problem the plan is not to be followed.
pub(crate) fn plan(
    entries: &[Entry],
    known: &Known,
    models: &BTreeMap<AssetModelId, Arc<AssetModel>>,
    problems: &mut Problems,
) -> Plan {
    let mut planner = Planner {
        known,
        models,
        problems,
        devices: HashMap::new(),
        assets: HashMap::new(),
        sites: HashMap::new(),
        customers: HashMap::new(),
        fingerprints: HashMap::new(),
        planned_assets: HashSet::new(),
        planned_sites: HashSet::new(),
        planned_customers: HashSet::new(),
    };
    // What the whole file says about customers, sites and assets first: a row may name a model
    // or a customer that another row of the same asset or site leaves out.
    for entry in entries {
        planner.hear(entry, &entry.new);
    }
    let mut plan = Plan::default();
    for entry in entries {
        planner.follow(entry, &entry.new, &mut plan);
    }
    plan
}

/// The asset a row speaks of: the one it names, its own for a device that is none's gateway.
fn asset_of(entry: &Entry, new: &NewDevice, known: &Known) -> Option<AssetId> {
    if let Some(asset) = &new.asset {
        return Some(asset.clone());
    }
    if entry.is_broken(Column::Asset) || entry.is_broken(Column::Device) {
        return None;
    }
    // A device that is known stays where it is.
    let stored = known.devices.get(&new.device);
    if let Some((asset, _)) = stored.and_then(|stored| stored.assignment.as_ref()) {
        return Some(asset.clone());
    }
    let bare = new.asset_name.is_none()
        && new.model.is_none()
        && new.customer.is_none()
        && new.site.is_none();
    let gateway = new.gateway.is_some()
        || entry.is_broken(Column::Gateway)
        || stored.is_some_and(|stored| stored.topic_prefix.is_some());
    if gateway && bare {
        return None;
    }
    // Ids of devices and assets follow the same rule.
    AssetId::new(new.device.as_str()).ok()
}

/// The id as a name; ids are shorter than names may be and hold nothing a name may not.
fn own_name(id: &str) -> Option<Name> {
    Name::new(id).ok()
}

/// Keeps what was said first; a row that says otherwise is told.
fn hear_once<T: PartialEq + Clone + std::fmt::Display>(
    said: &mut Option<Said<T>>,
    new: Option<&T>,
    (entry, column): (&Entry, Column),
    of: &str,
    problems: &mut Problems,
) {
    let Some(new) = new else { return };
    match said {
        None => {
            *said = Some(Said {
                what: new.clone(),
                line: entry.line(),
            });
        }
        Some(before) if before.what == *new => {}
        Some(before) => {
            let problem = format!("line {} says {} of {of}", before.line, before.what);
            problems.add(entry.at(column), &new.to_string(), problem);
        }
    }
}

impl Planner<'_> {
    fn hear(&mut self, entry: &Entry, new: &NewDevice) {
        self.hear_device(entry, new);
        if let Some(asset) = asset_of(entry, new, self.known) {
            let of = format!("asset {asset}");
            let said = self.assets.entry(asset).or_default();
            let problems = &mut *self.problems;
            hear_once(
                &mut said.name,
                new.asset_name.as_ref(),
                (entry, Column::AssetName),
                &of,
                problems,
            );
            hear_once(
                &mut said.model,
                new.model.as_ref(),
                (entry, Column::Model),
                &of,
                problems,
            );
            hear_once(
                &mut said.site,
                new.site.as_ref(),
                (entry, Column::Site),
                &of,
                problems,
            );
        }
        if let Some(site) = &new.site {
            let of = format!("site {site}");
            let said = self.sites.entry(site.clone()).or_default();
            let problems = &mut *self.problems;
            hear_once(
                &mut said.customer,
                new.customer.as_ref(),
                (entry, Column::Customer),
                &of,
                problems,
            );
            hear_once(
                &mut said.name,
                new.site_name.as_ref(),
                (entry, Column::SiteName),
                &of,
                problems,
            );
            hear_once(
                &mut said.time_zone,
                new.time_zone.as_ref(),
                (entry, Column::TimeZone),
                &of,
                problems,
            );
        }
        if let Some(customer) = &new.customer {
            let of = format!("customer {customer}");
            let said = self.customers.entry(customer.clone()).or_default();
            let at = (entry, Column::CustomerName);
            hear_once(said, new.customer_name.as_ref(), at, &of, self.problems);
        }
    }

    fn hear_device(&mut self, entry: &Entry, new: &NewDevice) {
        if entry.is_broken(Column::Device) {
            return;
        }
        let asset = asset_of(entry, new, self.known);
        match self.devices.entry(new.device.clone()) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert((entry.line(), asset));
            }
            hash_map::Entry::Occupied(before) => {
                let (line, other) = before.get();
                let problem = match (other, asset) {
                    (Some(other), Some(asset)) if *other != asset => format!(
                        "line {line} has this device on asset {other}, this line on {asset}; a device watches one asset"
                    ),
                    _ => format!("line {line} has this device already; write all of it in one row"),
                };
                self.problems
                    .add(entry.at(Column::Device), new.device.as_str(), problem);
            }
        }
        if let Some(CertificateBinding::Fingerprint(hash)) = new.certificate {
            let other = match self.fingerprints.entry(hash) {
                hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(entry.line());
                    let bound = self.known.fingerprints.get(&hash);
                    bound
                        .filter(|device| **device != new.device)
                        .map(|device| format!("this certificate is bound to device {device}"))
                }
                hash_map::Entry::Occupied(before) => Some(format!(
                    "line {} has this certificate already",
                    before.get()
                )),
            };
            if let Some(problem) = other {
                self.problems
                    .add(entry.at(Column::Certificate), "", problem);
            }
        }
    }

    fn follow(&mut self, entry: &Entry, new: &NewDevice, plan: &mut Plan) {
        let written = |plan: &Plan| {
            plan.new_assets.len()
                + plan.changed_assets.len()
                + plan.new_devices.len()
                + plan.changed_devices.len()
                + plan.certificates.len()
        };
        let before = written(plan);
        self.place(entry, new, plan);
        self.check_model(entry, new);
        let asset = asset_of(entry, new, self.known);
        if entry.is_broken(Column::Device) {
            let shall = DeviceEntry {
                declared: new.signals.clone().unwrap_or_default(),
                assignment: asset.zip(new.model.clone()),
                ..DeviceEntry::default()
            };
            self.signals(entry, new, &shall);
            return;
        }
        let model = asset.as_ref().map(|asset| self.asset(asset, plan));
        self.device(entry, new, asset.zip(model), plan);
        if written(plan) == before {
            plan.unchanged += 1;
        }
        plan.devices.push(new.device.clone());
    }

    fn check_model(&mut self, entry: &Entry, new: &NewDevice) {
        let Some(model) = &new.model else { return };
        if model.as_str() != AssetModelId::UNKNOWN && !self.models.contains_key(model) {
            let names: Vec<&str> = self.models.keys().map(AssetModelId::as_str).collect();
            let problem = format!(
                "there is no such asset model; there are {}",
                names.join(", ")
            );
            self.problems
                .add(entry.at(Column::Model), model.as_str(), problem);
        }
    }

    /// The asset, once for all its rows; returns its model.
    fn asset(&mut self, id: &AssetId, plan: &mut Plan) -> AssetModelId {
        let said = &self.assets[id];
        let stored = self.known.assets.get(id);
        let model = said.model.as_ref().map(|said| said.what.clone());
        let model = model
            .or_else(|| stored.map(|asset| asset.model.clone()))
            .unwrap_or_else(AssetModelId::unknown);
        // The first row of the asset writes it.
        if !self.planned_assets.insert(id.clone()) {
            return model;
        }
        let site = said.site.as_ref().map(|said| said.what.clone());
        let name = said.name.as_ref().map(|said| said.what.clone());
        let name = name.or_else(|| stored.map(|asset| asset.name.clone()));
        let Some(name) = name.or_else(|| own_name(id.as_str())) else {
            return model;
        };
        let shall = KnownAsset {
            name,
            model: model.clone(),
            site: site.or_else(|| stored.and_then(|asset| asset.site.clone())),
        };
        match stored {
            None => plan.new_assets.push((id.clone(), shall)),
            Some(stored) if *stored != shall => plan.changed_assets.push((id.clone(), shall)),
            Some(_) => {}
        }
        model
    }

    fn device(
        &mut self,
        entry: &Entry,
        new: &NewDevice,
        assignment: Option<(AssetId, AssetModelId)>,
        plan: &mut Plan,
    ) {
        let stored = self.known.devices.get(&new.device);
        let before = stored.cloned().unwrap_or_default();
        let shall = DeviceEntry {
            declared: match &new.signals {
                Some(signals) => {
                    let mut signals = signals.clone();
                    signals.sort_by(|a, b| a.name.cmp(&b.name));
                    signals
                }
                None => before.declared.clone(),
            },
            quota: Quota {
                messages_per_s: new.quota_messages.unwrap_or(before.quota.messages_per_s),
                bytes_per_s: new.quota_bytes.unwrap_or(before.quota.bytes_per_s),
            },
            topic_prefix: new.gateway.clone().or_else(|| before.topic_prefix.clone()),
            assignment,
        };
        self.signals(entry, new, &shall);
        if stored.is_none() && self.known.devices.len() + plan.new_devices.len() >= MAX_DEVICES {
            let problem = format!("the registry is full: {MAX_DEVICES} devices");
            self.problems
                .add(entry.at(Column::Device), new.device.as_str(), problem);
        }
        match stored {
            None => plan.new_devices.push((new.device.clone(), shall)),
            Some(stored) if *stored != shall => {
                plan.changed_devices.push((new.device.clone(), shall));
            }
            Some(_) => {}
        }
        if let Some(binding) = new.certificate {
            let bound = match binding {
                CertificateBinding::Fingerprint(hash) => {
                    self.known.fingerprints.contains_key(&hash)
                }
                CertificateBinding::CommonName => self.known.named.contains(&new.device),
            };
            if !bound {
                plan.certificates.push((new.device.clone(), binding));
            }
        }
    }

    /// Units and limits against the model, names against each other.
    fn signals(&mut self, entry: &Entry, new: &NewDevice, shall: &DeviceEntry) {
        let model = shall
            .assignment
            .as_ref()
            .and_then(|(_, model)| self.models.get(model))
            .map(Arc::as_ref);
        let mut names: HashSet<&str> = HashSet::new();
        let mut stored: HashMap<&str, &str> = HashMap::new();
        for signal in &shall.declared {
            let name = signal.name.as_str();
            if !names.insert(name) {
                self.problems.add(
                    entry.at(Column::Signals),
                    name,
                    "this signal is declared twice",
                );
                continue;
            }
            if let Some(other) = stored.insert(signal.stored_as().as_str(), name) {
                let problem = format!("{other} is stored as {} already", signal.stored_as());
                self.problems.add(entry.at(Column::Signals), name, problem);
            }
            if let Err(problem) = signal.rule(model) {
                self.signal_problem(entry, new, signal, problem);
            }
        }
    }

    fn signal_problem(
        &mut self,
        entry: &Entry,
        new: &NewDevice,
        signal: &DeviceSignal,
        problem: SignalProblem,
    ) {
        let (at, problem) = match problem {
            SignalProblem::Unit(problem) => (entry.at_units(), problem),
            SignalProblem::Limits(problem) => (entry.at_limits(), problem),
        };
        if new.signals.is_some() {
            self.problems.add(at, signal.name.as_str(), problem);
        } else {
            // The declaration is stored already; what the row changes is the model.
            let problem = format!(
                "device {} declares {} already: {problem}",
                new.device, signal.name
            );
            self.problems.add(entry.at(Column::Model), "", problem);
        }
    }
}
