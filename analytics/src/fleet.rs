//! All devices: routing rows to monitors, saving and restoring them, and looking at assets.

mod lives;
mod rarer;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rustc_hash::FxHashMap;
use telemetry::{
    AlertSource, AssetId, AssetModel, AssetModelId, Assignment, DeviceId, Event, FailureMode,
    Finding, JournalRecord, Outcome, ReadingBatch, Recorded, SignalName, Waveform,
};

use lives::{BEGUN_KEY, DIARY_KEY, LIFE_KEY};
use rarer::{RARER_KEY, Rarer};

pub use lives::WatchedLife;

use crate::{
    AnalyticsError, AssetView, Config, FleetStats,
    monitor::{Known, Monitor, State},
    names::Names,
    peers::{Groups, Others},
    prognosis::{course::Course, diary::Diary, serving::Forecaster},
    snapshot,
    stage::Stage,
    vibration::Analyser,
    waves,
};

/// The monitors of all devices. Pure: the same configuration, records and assignments give
/// the same findings, bit for bit, also over [`Fleet::take_dirty`] and [`Fleet::restore`]
/// between any two records.
///
/// A device has one monitor, bound to the asset it is assigned to. When the assignment moves
/// to another asset the monitor starts anew: another machine has another normal.
#[derive(Debug)]
pub struct Fleet {
    configs: Configs,
    monitors: Vec<Monitor>,
    by_device: FxHashMap<DeviceId, u32>,
    by_asset: BTreeMap<AssetId, BTreeSet<(DeviceId, u32)>>,
    /// Whose machines are compared with each other.
    groups: Groups,
    names: Names,
    /// Per device and per signal of the record at hand; kept to spare the allocation.
    routes: Vec<u32>,
    numbers: Vec<u32>,
    refused: u64,
    /// Plans of transforms; nothing in it decides a finding.
    analyser: Analyser,
    /// Snapshots that gave no row.
    unreadable: u64,
    /// The model that looks ahead, by kind of machine.
    forecasters: BTreeMap<AssetModelId, Arc<dyn Forecaster>>,
    /// Lives that were restored before their device was.
    courses: FxHashMap<DeviceId, Course>,
    /// Since when assets live, as far as that was told, microseconds: also of those that have not
    /// sent a reading yet. As many as devices are watched.
    begun: BTreeMap<AssetId, i64>,
    /// Of these, what has not been saved.
    begun_dirty: BTreeSet<AssetId>,
    /// How much rarer alarms are to be by what their orders found, by kind of machine.
    rarer: Rarer,
    /// What was written about assets, also of those that have not sent a reading yet. As many
    /// as devices are watched.
    diaries: BTreeMap<AssetId, Diary>,
    /// Of these, what has not been saved.
    diaries_dirty: BTreeSet<AssetId>,
}

/// How devices are watched, and how their snapshots are.
#[derive(Debug)]
struct Configs {
    readings: Config,
    waveforms: Config,
}

impl Configs {
    fn of(&self, monitor: &Monitor) -> &Config {
        self.for_device(&monitor.state.device)
    }

    fn for_device(&self, device: &DeviceId) -> &Config {
        if waves::is_watched_as(device) {
            &self.waveforms
        } else {
            &self.readings
        }
    }
}

/// The route of a device that is not watched.
const UNWATCHED: u32 = u32::MAX;

impl Fleet {
    /// A fleet without devices.
    ///
    /// # Errors
    /// [`AnalyticsError::Config`] when a value is out of range.
    pub fn new(config: Config) -> Result<Self, AnalyticsError> {
        config.check()?;
        Ok(Self {
            configs: Configs {
                waveforms: waves::config(&config),
                readings: config,
            },
            analyser: Analyser::new(),
            unreadable: 0,
            forecasters: BTreeMap::new(),
            courses: FxHashMap::default(),
            begun: BTreeMap::new(),
            begun_dirty: BTreeSet::new(),
            rarer: Rarer::default(),
            diaries: BTreeMap::new(),
            diaries_dirty: BTreeSet::new(),
            monitors: Vec::new(),
            by_device: FxHashMap::default(),
            by_asset: BTreeMap::new(),
            groups: Groups::new(),
            names: Names::default(),
            routes: Vec::new(),
            numbers: Vec::new(),
            refused: 0,
        })
    }

    /// Takes a record of the journal and appends what follows from it to `findings`: first its
    /// readings, then its waveforms, then its events, each in order. `assign` is asked once for
    /// every device that has readings in the record, and for each waveform; a device without an assignment is not watched.
    ///
    /// [`Event::WorkOrderClosed`] with an outcome that starts a new baseline, and
    /// [`Event::NormalAccepted`], make all devices of the asset learn anew. Devices going on- and offline change nothing here: silence is
    /// no deviation, and values too old to stand for their signal are dropped by age.
    pub fn apply(
        &mut self,
        record: &JournalRecord,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        findings: &mut Vec<Finding>,
    ) {
        self.rows(&record.readings, assign, findings);
        for waveform in &record.waveforms {
            self.waveform(waveform, assign, findings);
        }
        for event in &record.events {
            match event {
                Event::WorkOrderClosed {
                    asset,
                    outcome,
                    failure_mode,
                    ..
                } => self.judged(asset, Some(*outcome), failure_mode.as_ref()),
                Event::NormalAccepted { asset, .. } => self.judged(asset, None, None),
                Event::AlertsRecalibrated {
                    source: AlertSource::Model,
                    asset_model,
                    factor,
                    ..
                } => self.rarer.set(asset_model, *factor),
                Event::LifeBegan { asset, at } => self.life_began(asset, at.as_micros()),
                Event::Recorded { asset, at, what } => self.recorded(asset, at.as_micros(), what),
                _ => {}
            }
        }
    }

    /// Takes readings in the order of their batch.
    fn rows(
        &mut self,
        readings: &ReadingBatch,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        findings: &mut Vec<Finding>,
    ) {
        self.prepare(readings, assign);
        for row in readings.rows() {
            let route = self.routes[row.device_index as usize];
            if route == UNWATCHED {
                continue;
            }
            let (before, rest) = self.monitors.split_at_mut(route as usize);
            let Some((monitor, after)) = rest.split_first_mut() else {
                continue;
            };
            let known = Known {
                config: self.configs.of(monitor),
                others: Others {
                    before,
                    after,
                    by_asset: &self.by_asset,
                    groups: &self.groups,
                },
                diaries: &self.diaries,
            };
            let names = (&self.names, &self.numbers[..]);
            monitor.push(known, names, row, findings);
        }
    }

    /// Takes a vibration snapshot as a row of its features. See [`waves`].
    fn waveform(
        &mut self,
        waveform: &Waveform,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(assignment) = assign(&waveform.device) else {
            return;
        };
        let route = self.by_device.get(&waveform.device);
        let state = route.map(|route| &self.monitors[*route as usize].state);
        let last = |signal: &SignalName| {
            let state = state?;
            let slot = state.signals.iter().position(|known| known == signal)?;
            state.framer.last(slot)
        };
        let model = assignment.model.as_ref();
        match waves::row(&mut self.analyser, waveform, model, last) {
            Some(row) => self.rows(&row, &mut |_| Some(assignment.clone()), findings),
            None => self.unreadable += 1,
        }
    }

    fn prepare(
        &mut self,
        batch: &ReadingBatch,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
    ) {
        self.numbers.clear();
        let names = &mut self.names;
        let numbers = batch.signals().iter().map(|signal| names.number(signal));
        self.numbers.extend(numbers);
        let mut routes = std::mem::take(&mut self.routes);
        routes.clear();
        routes.extend(batch.devices().iter().map(|device| match assign(device) {
            Some(assignment) => self.route(device, assignment),
            None => UNWATCHED,
        }));
        self.routes = routes;
    }

    fn route(&mut self, device: &DeviceId, assignment: Assignment) -> u32 {
        if let Some(&route) = self.by_device.get(device) {
            if self.monitors[route as usize].state.asset != assignment.asset {
                let asset = assignment.asset.clone();
                self.unlist(route);
                let config = self.configs.for_device(device);
                let mut monitor = Monitor::new(asset.clone(), device.clone(), config);
                // The saved life of the other machine must not come back.
                monitor.course_dirty = true;
                if let Some(at) = self.begun.get(&asset) {
                    monitor.life_began(*at);
                }
                self.monitors[route as usize] = monitor;
                self.list(asset, device.clone(), route);
            }
            self.set_model(route, assignment.model);
            return route;
        }
        if self.monitors.len() >= self.configs.readings.max_devices {
            self.refused += 1;
            return UNWATCHED;
        }
        let monitor = Monitor::new(
            assignment.asset,
            device.clone(),
            self.configs.for_device(device),
        );
        let route = self.admit(monitor);
        self.set_model(route, assignment.model);
        route
    }

    /// Uses a model from now on, tells who looks ahead for such machines, and compares the machine
    /// with those of that model if it wants.
    fn set_model(&mut self, route: u32, model: Option<Arc<AssetModel>>) {
        let monitor = &mut self.monitors[route as usize];
        let is_other = monitor.set_model(model);
        let id = monitor.knowledge.model().map(|model| &model.id);
        let rarer = self.rarer.of(id);
        let forecaster = id.and_then(|id| self.forecasters.get(id));
        let changed = is_other || !monitor.is_forecast_by(forecaster);
        if changed {
            monitor.set_forecaster(forecaster);
        }
        monitor.knowledge.set_rarer(rarer);
        if !is_other || monitor.wanted_group() == monitor.state.group.as_ref() {
            return;
        }
        let group = monitor.wanted_group().cloned();
        leave(&mut self.groups, &monitor.state);
        monitor.state.group = group;
        monitor.dirty = true;
        join(&mut self.groups, &monitor.state);
    }

    fn admit(&mut self, mut monitor: Monitor) -> u32 {
        if let Some(at) = self.begun.get(&monitor.state.asset).copied() {
            monitor.life_began(at);
        }
        let route = self.monitors.len() as u32;
        let (asset, device) = (monitor.state.asset.clone(), monitor.state.device.clone());
        self.by_device.insert(device.clone(), route);
        self.monitors.push(monitor);
        self.list(asset, device, route);
        route
    }

    fn list(&mut self, asset: AssetId, device: DeviceId, route: u32) {
        self.by_asset
            .entry(asset)
            .or_default()
            .insert((device, route));
        join(&mut self.groups, &self.monitors[route as usize].state);
    }

    fn unlist(&mut self, route: u32) {
        let state = &self.monitors[route as usize].state;
        leave(&mut self.groups, state);
        if let Some(devices) = self.by_asset.get_mut(&state.asset) {
            devices.remove(&(state.device.clone(), route));
            if devices.is_empty() {
                self.by_asset.remove(&state.asset);
            }
        }
    }

    fn routes_of(&self, asset: &AssetId) -> Vec<u32> {
        let devices = self.by_asset.get(asset);
        devices.map_or_else(Vec::new, |set| {
            set.iter().map(|(_, route)| *route).collect()
        })
    }

    fn judged(&mut self, asset: &AssetId, outcome: Option<Outcome>, mode: Option<&FailureMode>) {
        let mut began: Option<i64> = None;
        for route in self.routes_of(asset) {
            let monitor = &mut self.monitors[route as usize];
            let config = self.configs.for_device(&monitor.state.device);
            let at = monitor.judged(config, outcome, mode);
            began = began.into_iter().chain(at).min();
        }
        // The life before ended where the first of its devices begins the new one.
        if let Some(at) = began {
            self.recorded(asset, at, &Recorded::LifeEnded);
        }
    }

    /// The states that changed since the last call, each with the key for [`Self::restore`]
    /// (the device id, and `life/` before it for the life of its machine), in the order the devices were first seen.
    ///
    /// # Errors
    /// [`AnalyticsError::StateUnwritable`] when a state cannot be encoded; it stays due.
    pub fn take_dirty(&mut self) -> Result<Vec<(String, Vec<u8>)>, AnalyticsError> {
        let mut states = Vec::new();
        for monitor in &self.monitors {
            if monitor.dirty {
                let key = monitor.state.device.as_str();
                states.push((key.to_owned(), snapshot::encode(key, &monitor.state)?));
            }
            if monitor.course_dirty {
                let key = format!("{LIFE_KEY}{}", monitor.state.device);
                let bytes = snapshot::encode(&key, &monitor.course)?;
                states.push((key, bytes));
            }
        }
        for asset in &self.begun_dirty {
            let key = format!("{BEGUN_KEY}{asset}");
            let bytes = snapshot::encode(&key, &self.begun.get(asset))?;
            states.push((key, bytes));
        }
        self.begun_dirty.clear();
        states.extend(self.rarer.take_dirty()?);
        for asset in &self.diaries_dirty {
            let key = format!("{DIARY_KEY}{asset}");
            let bytes = snapshot::encode(&key, &self.diaries.get(asset))?;
            states.push((key, bytes));
        }
        self.diaries_dirty.clear();
        for monitor in &mut self.monitors {
            (monitor.dirty, monitor.course_dirty) = (false, false);
        }
        Ok(states)
    }

    /// Puts a saved state back. The asset model comes with the next record of the device.
    ///
    /// # Errors
    /// [`AnalyticsError::StateFormat`] or [`AnalyticsError::StateUnreadable`] when the bytes
    /// are not a state of this format saved under this key; the fleet is then unchanged.
    pub fn restore(&mut self, key: &str, bytes: &[u8]) -> Result<(), AnalyticsError> {
        if let Some(device) = key.strip_prefix(LIFE_KEY) {
            return self.restore_life(key, device, bytes);
        }
        if let Some(asset) = key.strip_prefix(BEGUN_KEY) {
            return self.restore_beginning(key, asset, bytes);
        }
        if key == RARER_KEY {
            return self.rarer.restore(bytes);
        }
        if let Some(asset) = key.strip_prefix(DIARY_KEY) {
            return self.restore_diary(key, asset, bytes);
        }
        let state: State = snapshot::decode(key, bytes)?;
        let unreadable = |problem: &str| AnalyticsError::StateUnreadable {
            key: key.to_owned(),
            problem: problem.to_owned(),
        };
        if state.device.as_str() != key {
            return Err(unreadable("it belongs to another device"));
        }
        if !state.is_consistent() {
            return Err(unreadable("its parts contradict each other"));
        }
        let mut monitor = Monitor::restored(state, &mut self.names);
        if let Some(course) = self.courses.remove(&monitor.state.device) {
            monitor.course = course;
        }
        if let Some(&route) = self.by_device.get(&monitor.state.device) {
            self.unlist(route);
            let (asset, device) = (monitor.state.asset.clone(), monitor.state.device.clone());
            self.monitors[route as usize] = monitor;
            self.list(asset, device, route);
        } else {
            self.admit(monitor);
        }
        Ok(())
    }

    /// What is known about an asset now; none when no device of it has sent a reading.
    pub fn latest(&self, asset: &AssetId) -> Option<AssetView> {
        let views = self.routes_of(asset).into_iter().filter_map(|route| {
            let monitor = &self.monitors[route as usize];
            let config = self.configs.of(monitor);
            let mut view = monitor.state.view(config, &monitor.knowledge)?;
            view.prognosis = monitor.course.told().or(view.prognosis);
            Some(view)
        });
        let devices: Vec<_> = views.collect();
        (!devices.is_empty()).then(|| AssetView {
            asset: asset.clone(),
            devices,
        })
    }

    /// The devices whose states take part in the verdict on this one: those of the peers that it is
    /// compared with. None where nobody asked for the comparison.
    pub fn company(&self, device: &DeviceId) -> Vec<DeviceId> {
        let route = self.by_device.get(device);
        let state = route.map(|route| &self.monitors[*route as usize].state);
        let Some((state, group)) = state.and_then(|state| Some((state, state.group.as_ref()?)))
        else {
            return Vec::new();
        };
        let others = Others {
            before: &self.monitors,
            after: &[],
            by_asset: &self.by_asset,
            groups: &self.groups,
        };
        others.company(&state.asset, group)
    }

    /// The assets that are watched, by id.
    pub fn assets(&self) -> impl Iterator<Item = &AssetId> {
        self.by_asset.keys()
    }

    /// Counters over all devices; those of a device are saved with its state.
    pub fn stats(&self) -> FleetStats {
        let mut stats = FleetStats {
            devices: self.monitors.len(),
            devices_refused: self.refused,
            unreadable_waveforms: self.unreadable,
            ..FleetStats::default()
        };
        for Monitor { state, .. } in &self.monitors {
            stats.learning += usize::from(matches!(state.stage, Stage::Learning(_)));
            stats.samples += state.samples;
            stats.late_rows += state.reorder.late;
            stats.implausible_rows += state.reorder.implausible;
            stats.duplicate_values += state.reorder.duplicates;
            stats.thin_samples += state.thin;
        }
        stats
    }
}

/// Counts a device among those of its model.
fn join(groups: &mut Groups, state: &State) {
    if let Some(group) = &state.group {
        let assets = groups.entry(group.clone()).or_default();
        *assets.entry(state.asset.clone()).or_default() += 1;
    }
}

/// Counts it no longer.
fn leave(groups: &mut Groups, state: &State) {
    let Some(assets) = state.group.as_ref().and_then(|group| groups.get_mut(group)) else {
        return;
    };
    if let Some(devices) = assets.get_mut(&state.asset) {
        *devices -= 1;
        if *devices == 0 {
            assets.remove(&state.asset);
        }
    }
}
