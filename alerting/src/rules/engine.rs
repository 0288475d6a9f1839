//! The rules of all devices over the records of the journal.
//!
//! ```text
//! record ─▶ rows ─▶ reorder ─┐
//! findings of analytics ─────┴─▶ by event time ─▶ courses ─▶ reports
//! times of receipt ─▶ clock ─▶ deadlines ─▶ what is missing
//! events ─▶ rules, factors, listening
//! ```
//!
//! A row costs a look at each rule of its device and nothing else: plans are shared by all
//! devices for which the same rules hold, a batch's signals are found in a plan once, and silence
//! waits in a heap with one entry a device. What is kept of a device is bounded by the numbers of
//! its rules and signals.
//!
//! The clock of missing data is the newest time of receipt in the journal, so a replay misses the
//! same data. It counts only while the program listens: [`Event::Listening`] says since when.

mod saved;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use telemetry::{
    AlertSource, AssetId, AssetModel, AssetModelId, Assignment, DeviceId, Event, Finding,
    JournalRecord, ReadingBatch, RuleChange, RuleId, reorder::Arrival,
};

pub use saved::{SHARED_KEYS, state_key};

use super::{
    WrittenRule,
    device::{Device, Kept},
    parse_one,
    plan::Plan,
};

/// Most devices whose rules are kept; as many as may be registered.
const MAX_DEVICES: usize = 100_000;
/// A row's device is not watched by any rule.
const UNWATCHED: u32 = u32::MAX;
/// A signal that no rule looks at.
const UNSEEN: u32 = u32::MAX;
/// What the keys of saved states begin with; ids hold no slash.
pub const SNAPSHOT_PREFIX: &str = "rules/";

/// Judges readings and findings by rules. See the module documentation.
#[derive(Debug)]
pub struct Engine {
    book: Book,
    book_dirty: bool,
    clock: Clock,
    clock_dirty: bool,
    lateness: i64,
    devices: Vec<Device>,
    models: Vec<Option<Arc<AssetModel>>>,
    by_device: FxHashMap<DeviceId, u32>,
    plans: FxHashMap<(Option<AssetModelId>, Option<AssetId>), Arc<Plan>>,
    deadlines: BinaryHeap<Reverse<(i64, u32)>>,
    /// Devices that were restored and have not been asked about yet.
    restored: FxHashMap<DeviceId, Kept>,
    routes: Vec<u32>,
    names_assets: bool,
}

/// The rules in force.
#[derive(Debug, Clone, Default)]
struct Book {
    rules: BTreeMap<RuleId, InForce>,
    factors: BTreeMap<(RuleId, AssetModelId), f64>,
}

#[derive(Debug, Clone)]
struct InForce {
    version: u32,
    written: WrittenRule,
}

/// Journal time, microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Clock {
    now: i64,
    listening_since: i64,
}

impl Engine {
    /// An engine without rules. `lateness` is how much older than the newest row of its device a
    /// row may be and still be judged in its place: that of analytics.
    pub fn new(lateness: Duration) -> Self {
        Self {
            book: Book::default(),
            book_dirty: false,
            clock: Clock {
                now: i64::MIN,
                listening_since: i64::MIN,
            },
            clock_dirty: false,
            lateness: i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX),
            devices: Vec::new(),
            models: Vec::new(),
            by_device: FxHashMap::default(),
            plans: FxHashMap::default(),
            deadlines: BinaryHeap::new(),
            restored: FxHashMap::default(),
            routes: Vec::new(),
            names_assets: false,
        }
    }

    /// An engine with the rules of a file, each in its first version.
    pub fn with_rules(rules: Vec<WrittenRule>, lateness: Duration) -> Self {
        let mut engine = Self::new(lateness);
        for written in rules {
            let known = InForce {
                version: 1,
                written,
            };
            engine
                .book
                .rules
                .insert(known.written.rule.id.clone(), known);
        }
        engine.rewrite(&mut Vec::new());
        engine
    }

    /// The rules in force with their versions, by id.
    pub fn rules(&self) -> impl Iterator<Item = (&WrittenRule, u32)> {
        let rules = self.book.rules.values();
        rules.map(|known| (&known.written, known.version))
    }

    /// The rules in force as the changes that made them, by id.
    pub fn in_force(&self) -> Vec<RuleChange> {
        let rules = self.book.rules.iter();
        let change = |(rule, known): (&RuleId, &InForce)| RuleChange {
            rule: rule.clone(),
            version: known.version,
            text: Some(known.written.text.clone()),
        };
        rules.map(change).collect()
    }

    /// How far the limit of a rule lies from where it was written, for a kind of machine.
    pub fn factor(&self, rule: &RuleId, model: &AssetModelId) -> f64 {
        let key = (rule.clone(), model.clone());
        self.book.factors.get(&key).copied().unwrap_or(1.0)
    }

    /// Whether a rule waits for data that do not come, so that the program has to tell the time.
    pub fn waits(&self) -> bool {
        let mut rules = self.book.rules.values();
        rules.any(|known| known.written.rule.condition.kind() == "no_data")
    }

    /// Applies one record of the journal. `findings` is what analytics made of it; what the rules
    /// say is put behind them. `assign` is asked for every device with readings.
    pub fn apply(
        &mut self,
        record: &JournalRecord,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        findings: &[Finding],
        out: &mut Vec<Finding>,
    ) {
        if !self.book.rules.is_empty() {
            self.route(&record.readings, assign, out);
            let mut heard = self.hear(findings, assign, out);
            self.rows(&record.readings, &mut heard, out);
            let mut rest: Vec<_> = heard.into_iter().collect();
            rest.sort_unstable_by_key(|(number, _)| *number);
            for (number, queue) in rest {
                let device = &mut self.devices[number as usize];
                for finding in queue {
                    device.hear(finding, out);
                }
                device.flush(out);
                self.arm(number);
            }
        }
        for event in &record.events {
            self.event(event, out);
        }
        self.tick(record, out);
    }

    /// Finds the devices of a batch and makes sure that each follows the rules in force.
    fn route(
        &mut self,
        readings: &ReadingBatch,
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        out: &mut Vec<Finding>,
    ) {
        let mut routes = std::mem::take(&mut self.routes);
        routes.clear();
        for device in readings.devices() {
            routes.push(assign(device).map_or(UNWATCHED, |place| self.watch(device, place, out)));
        }
        self.routes = routes;
    }

    /// The number of a device that is watched for this asset.
    fn watch(&mut self, device: &DeviceId, place: Assignment, out: &mut Vec<Finding>) -> u32 {
        let model = place.model.as_ref().map(|model| model.id.clone());
        if let Some(&number) = self.by_device.get(device) {
            let known = &mut self.devices[number as usize];
            if known.kept.asset == place.asset && known.kept.model == model {
                return number;
            }
            known.leave(out);
            known.kept = Kept::new(place.asset.clone(), device.clone(), model);
            self.models[number as usize].clone_from(&place.model);
            let plan = self.plan(&place.asset, place.model.as_ref());
            self.devices[number as usize].follow(plan, out);
            return number;
        }
        if self.devices.len() >= MAX_DEVICES {
            return UNWATCHED;
        }
        let plan = self.plan(&place.asset, place.model.as_ref());
        let fresh = || Kept::new(place.asset.clone(), device.clone(), model.clone());
        let kept = self.restored.remove(device);
        let kept = kept.filter(|kept| kept.asset == place.asset && kept.model == model);
        let mut new = Device::new(kept.unwrap_or_else(fresh));
        if new.fits(&plan) {
            new.resume(plan);
        } else {
            new.follow(plan, out);
        }
        let number = self.devices.len() as u32;
        self.devices.push(new);
        self.models.push(place.model);
        self.by_device.insert(device.clone(), number);
        number
    }

    /// What is asked of an asset; the same for all of a kind unless a rule names assets.
    fn plan(&mut self, asset: &AssetId, model: Option<&Arc<AssetModel>>) -> Arc<Plan> {
        let own = self.names_assets.then(|| asset.clone());
        let key = (model.map(|model| model.id.clone()), own);
        let (book, model) = (&self.book, model.map(AsRef::as_ref));
        let plan = self.plans.entry(key).or_insert_with(|| {
            let mut plan = Plan::default();
            for (id, known) in &book.rules {
                let kind = model.map_or_else(AssetModelId::unknown, |model| model.id.clone());
                let factor = book
                    .factors
                    .get(&(id.clone(), kind))
                    .copied()
                    .unwrap_or(1.0);
                plan.add((&known.written.rule, known.version, factor), asset, model);
            }
            Arc::new(plan)
        });
        Arc::clone(plan)
    }

    /// The findings of each device in their order.
    fn hear<'a>(
        &mut self,
        findings: &'a [Finding],
        assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>,
        out: &mut Vec<Finding>,
    ) -> FxHashMap<u32, VecDeque<&'a Finding>> {
        let mut heard: FxHashMap<u32, VecDeque<&Finding>> = FxHashMap::default();
        for finding in findings {
            let device = finding.device();
            let number = match self.by_device.get(device) {
                Some(&number) => number,
                None => match assign(device) {
                    Some(place) => self.watch(device, place, out),
                    None => UNWATCHED,
                },
            };
            if number != UNWATCHED && !self.devices[number as usize].plan.watches.is_empty() {
                heard.entry(number).or_default().push_back(finding);
            }
        }
        heard
    }

    fn rows(
        &mut self,
        readings: &ReadingBatch,
        heard: &mut FxHashMap<u32, VecDeque<&Finding>>,
        out: &mut Vec<Finding>,
    ) {
        let signals = readings.signals();
        let mut seen: FxHashMap<*const Plan, Vec<u32>> = FxHashMap::default();
        let mut last: (*const Plan, Vec<u32>) = (std::ptr::null(), Vec::new());
        for row in readings.rows() {
            let number = self.routes[row.device_index as usize];
            let Some(device) = self.devices.get_mut(number as usize) else {
                continue;
            };
            if device.plan.watches.is_empty() {
                continue;
            }
            let plan = Arc::as_ptr(&device.plan);
            if plan != last.0 {
                let places = |name| device.plan.signals.iter().position(|one| one == name);
                let find = || {
                    let all = signals
                        .iter()
                        .map(|name| places(name).map_or(UNSEEN, |at| at as u32));
                    all.collect::<Vec<u32>>()
                };
                let next = seen.remove(&plan).unwrap_or_else(find);
                let before = std::mem::replace(&mut last, (plan, next));
                seen.insert(before.0, before.1);
            }
            let (at, received) = (row.measured_at.as_micros(), row.received_at.as_micros());
            device.arrived(at, received, out);
            let place = device.kept.reorder.arrive(at, self.lateness, 0.0);
            for (signal, value) in row.signals.iter().zip(row.values) {
                let slot = last.1[*signal as usize];
                if slot == UNSEEN {
                    continue;
                }
                device.signal_arrived(slot as usize, at, received, out);
                if let Arrival::Waits(place) | Arrival::Restarts(place) = place {
                    device.kept.reorder.set(place, slot as usize, *value);
                }
            }
            while let Some((at, row)) = device.kept.reorder.pop(self.lateness) {
                if !heard.is_empty()
                    && let Some(queue) = heard.get_mut(&number)
                {
                    while let Some(finding) = queue.pop_front_if(|one| one.at().as_micros() <= at) {
                        device.hear(finding, out);
                    }
                }
                device.row(at, row, out);
            }
        }
        for place in 0..self.routes.len() {
            let number = self.routes[place];
            if let Some(device) = self.devices.get_mut(number as usize) {
                device.flush(out);
                self.arm(number);
            }
        }
    }

    /// Waits for a device until its next deadline.
    fn arm(&mut self, number: u32) {
        let device = &mut self.devices[number as usize];
        if !device.plan.has_silence || !std::mem::take(&mut device.is_stirred) {
            return;
        }
        let Some(deadline) = device.deadline(self.clock.listening_since) else {
            return;
        };
        if device.armed_for.is_none_or(|armed| deadline < armed) {
            device.armed_for = Some(deadline);
            self.deadlines.push(Reverse((deadline, number)));
        }
    }

    /// Moves the clock to the newest time of receipt and tells what is missing by then.
    fn tick(&mut self, record: &JournalRecord, out: &mut Vec<Finding>) {
        let rows = record.readings.columns().received_at.iter();
        let waves = record
            .waveforms
            .iter()
            .map(|waveform| &waveform.received_at);
        let told = record.events.iter().filter_map(|event| match event {
            Event::Listening { at, .. } => Some(at),
            _ => None,
        });
        let Some(newest) = rows.chain(waves).chain(told).max() else {
            return;
        };
        if newest.as_micros() > self.clock.now {
            (self.clock.now, self.clock_dirty) = (newest.as_micros(), true);
        }
        let mut due = Vec::new();
        while let Some(&Reverse((deadline, number))) = self.deadlines.peek()
            && deadline <= self.clock.now
        {
            self.deadlines.pop();
            let device = &mut self.devices[number as usize];
            if device.armed_for == Some(deadline) {
                device.armed_for = None;
                due.push(number);
            }
        }
        // The order in which devices became known is not that of a replay from a snapshot.
        let (devices, clock) = (&mut self.devices, self.clock);
        due.sort_unstable_by(|a, b| {
            let id = |number: u32| &devices[number as usize].kept.device;
            id(*a).cmp(id(*b))
        });
        for &number in &due {
            devices[number as usize].miss(clock.now, clock.listening_since, out);
            devices[number as usize].is_stirred = true;
        }
        for number in due {
            self.arm(number);
        }
    }

    fn event(&mut self, event: &Event, out: &mut Vec<Finding>) {
        match event {
            Event::RulesChanged { changes, .. } => self.change(changes, out),
            Event::AlertsRecalibrated {
                source: AlertSource::Rule { rule },
                asset_model,
                factor,
                ..
            } if factor.is_finite() && *factor > 0.0 => {
                let key = (rule.clone(), asset_model.clone());
                self.book.factors.insert(key, *factor);
                self.rewrite(out);
            }
            Event::Listening { began: true, at } => {
                self.clock.listening_since = at.as_micros();
                self.clock_dirty = true;
            }
            _ => {}
        }
    }

    /// Puts other versions of rules in force.
    pub fn change(&mut self, changes: &[RuleChange], out: &mut Vec<Finding>) {
        for change in changes {
            match change.text.as_deref().map(parse_one) {
                None => {
                    self.book.rules.remove(&change.rule);
                }
                Some(Ok(written)) if written.rule.id == change.rule => {
                    let version = change.version;
                    let known = InForce { version, written };
                    self.book.rules.insert(change.rule.clone(), known);
                }
                // It was checked before it was written down; a later release may be stricter.
                Some(Ok(_)) => {
                    tracing::error!(rule = %change.rule, "the text of a rule is another rule's and is passed over");
                }
                Some(Err(problems)) => {
                    let problem = problems.first().map(ToString::to_string);
                    tracing::error!(rule = %change.rule, version = change.version, problem, "a rule cannot be read and is passed over");
                }
            }
        }
        self.rewrite(out);
    }

    /// Lets every device follow the book.
    fn rewrite(&mut self, out: &mut Vec<Finding>) {
        self.plans.clear();
        self.book_dirty = true;
        let mut rules = self.book.rules.values();
        self.names_assets = rules.any(|known| known.written.rule.names_assets());
        let mut order: Vec<u32> = (0..self.devices.len() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let id = |number: u32| &self.devices[number as usize].kept.device;
            id(*a).cmp(id(*b))
        });
        for number in order {
            let asset = self.devices[number as usize].kept.asset.clone();
            let model = self.models[number as usize].clone();
            let plan = self.plan(&asset, model.as_ref());
            self.devices[number as usize].follow(plan, out);
            self.arm(number);
        }
    }
}
