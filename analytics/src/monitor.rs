//! The monitor of one device: the whole way from a row to findings, as one state.
//!
//! ```text
//! row -> reorder -> frame -> limits, learning
//!                       \-> operating state -> sensors -> limits, views -> alarm -> fusion -> health -> prognosis -> report
//! ```
//!
//! Everything that decides a later finding is in [`State`] and is saved with it. What can be
//! had again from outside (name numbers, the asset model) is beside it.

mod life;

use std::{hash::Hasher, sync::Arc};

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, AssetModel, AssetModelId, DeviceId, FailureMode, Finding, Outcome, Row, SignalName,
    View,
};

use crate::{
    Config,
    budget::Budget,
    config::MAX_SIGNALS,
    detection::{
        alarm::State as AlarmState, among::Among, bounds::Bounds, detector::LARGEST,
        learned::Learned, metric::Metric, sensor::clock::ClockWatch, usual::UsualFeatures,
    },
    knowledge::Knowledge,
    manipulation::{
        features::SignalFeatures,
        frame::{Framer, Sample},
        operating::Operating,
        reorder::{Arrival, Reorder},
    },
    names::Names,
    news::{self, Said},
    peers::{Company, Others},
    prognosis::{
        course::Course,
        cycles::{Cycle, CycleSum},
        diary::Diary,
        serving::Forecaster,
    },
    stage::{self, Change, Look, Stage, Watching},
    waves,
};

/// What is saved of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) asset: AssetId,
    pub(crate) device: DeviceId,
    /// The signals looked at, by slot.
    pub(crate) signals: Vec<SignalName>,
    pub(crate) reorder: Reorder,
    pub(crate) framer: Framer,
    /// What each signal's values say, by slot.
    pub(crate) features: Vec<SignalFeatures>,
    pub(crate) operating: Operating,
    /// The clock of the device.
    pub(crate) clock: ClockWatch,
    pub(crate) budget: Budget,
    /// Fixed limits: they are watched in both stages.
    pub(crate) bounds: Bounds,
    /// What the features usually are that the model's signatures name.
    pub(crate) usual: UsualFeatures,
    /// What fails by a fixed limit that is crossed while a normal is learned.
    pub(crate) early_mode: Option<(FailureMode, f64)>,
    /// The model whose machines it is compared with; none when the model asks for none.
    pub(crate) group: Option<AssetModelId>,
    /// What a person has accepted of this machine against its peers, by slot.
    accepted: Vec<f64>,
    pub(crate) stage: Stage,
    /// The time of the last sample.
    pub(crate) at: i64,
    /// What was said last, and when; none makes the next sample report.
    pub(crate) said: Option<Said>,
    pub(crate) samples: u64,
    pub(crate) thin: u64,
    /// The cycle under way; none while nothing says what a cycle is.
    pub(crate) cycle: Option<CycleSum>,
    /// Whether a trained model speaks for the device, so that its trend keeps still.
    pub(crate) is_forecast: bool,
    /// Cycles that ended and still have to be taken into the course of the life.
    #[serde(skip)]
    ended: Vec<Cycle>,
    /// Error codes the device said, which still have to be taken there too.
    #[serde(skip)]
    heard: Vec<(i64, String)>,
}

/// What a row meets beside the state of its device.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) config: &'a Config,
    pub(crate) others: Others<'a>,
    /// What was written about the asset.
    pub(crate) diary: Option<&'a Diary>,
}

/// The monitor of one device.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) state: State,
    /// Name numbers by slot, for finding the slot of a value.
    numbers: Vec<u32>,
    pub(crate) knowledge: Knowledge,
    /// The promoted model of the kind of machine.
    forecaster: Option<Arc<dyn Forecaster>>,
    /// The life of the machine; saved apart, because it changes once a cycle only.
    pub(crate) course: Course,
    /// Whether the state changed since it was saved.
    pub(crate) dirty: bool,
    /// Whether the life did.
    pub(crate) course_dirty: bool,
}

impl Monitor {
    pub(crate) fn new(asset: AssetId, device: DeviceId, config: &Config) -> Self {
        Self {
            state: State {
                asset,
                device,
                signals: Vec::new(),
                reorder: Reorder::new(),
                framer: Framer::new(),
                features: Vec::new(),
                operating: Operating::new(&[], None),
                clock: ClockWatch::default(),
                budget: Budget::new(),
                bounds: Bounds::default(),
                usual: UsualFeatures::default(),
                early_mode: None,
                group: None,
                accepted: Vec::new(),
                stage: Stage::Learning(Learned::new(config.learning_rows, 0)),
                at: 0,
                said: None,
                samples: 0,
                thin: 0,
                cycle: None,
                is_forecast: false,
                ended: Vec::new(),
                heard: Vec::new(),
            },
            numbers: Vec::new(),
            knowledge: Knowledge::default(),
            forecaster: None,
            course: Course::default(),
            dirty: true,
            course_dirty: false,
        }
    }

    /// Goes on from a saved state; the model follows with [`Self::set_model`].
    pub(crate) fn restored(state: State, names: &mut Names) -> Self {
        let numbers = state.signals.iter().map(|name| names.number(name));
        Self {
            numbers: numbers.collect(),
            state,
            knowledge: Knowledge::default(),
            forecaster: None,
            course: Course::default(),
            dirty: false,
            course_dirty: false,
        }
    }

    /// Uses a model from now on. What was learned stays: it comes from the machine, not from
    /// its model, and so do the views that were fitted; they change with the next learning.
    /// True when it is another one than before.
    pub(crate) fn set_model(&mut self, model: Option<Arc<AssetModel>>) -> bool {
        let is_other = !self.knowledge.is_of(model.as_ref());
        if is_other {
            self.knowledge = Knowledge::new(model, &self.state.signals);
            self.state.bind(&self.knowledge);
        }
        is_other
    }

    /// The model whose machines this one is to be compared with. Snapshots of vibration are not.
    pub(crate) fn wanted_group(&self) -> Option<&AssetModelId> {
        let model = self.knowledge.model()?;
        let is_wanted = model.detection.views.contains(&View::Fleet)
            && !waves::is_watched_as(&self.state.device);
        is_wanted.then_some(&model.id)
    }

    /// A person has looked at the machine, or accepted what it does (no outcome). Unless that
    /// changed nothing, what is normal is forgotten and learned anew from the rows that follow.
    ///
    /// The life that is forecast starts over when the machine was repaired, and where it is the
    /// life of one component, only when a fault of that one was mended.
    pub(crate) fn judged(
        &mut self,
        config: &Config,
        outcome: Option<Outcome>,
        mode: Option<&FailureMode>,
    ) {
        self.state.budget.judged(config, outcome);
        self.state.settle_with_peers(outcome);
        self.dirty = true;
        if outcome.is_none_or(Outcome::starts_new_baseline) {
            self.relearn(config);
        }
        let renews = self.knowledge.model().is_none_or(|model| {
            let spec = model.prognosis.as_ref();
            model.renews(spec.and_then(|spec| spec.component.as_ref()), mode)
        });
        if outcome.is_some_and(Outcome::starts_new_life) && renews {
            // Orders end by the clock of the office, and a life by that of the machine.
            self.life_began(self.state.at.saturating_add(1));
        }
    }

    fn relearn(&mut self, config: &Config) {
        self.state.start_over(config);
        self.state.bind(&self.knowledge);
    }

    /// Takes a row of the device. `numbers` translates the batch's signals.
    pub(crate) fn push(
        &mut self,
        known: Known<'_>,
        (names, numbers): (&Names, &[u32]),
        row: Row<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let config = known.config;
        self.dirty = true;
        let lateness = i64::try_from(config.lateness.as_micros()).unwrap_or(i64::MAX);
        if matches!(self.state.stage, Stage::Learning(_)) {
            self.learn_names(names, numbers, row.signals);
        }
        let at = row.measured_at.as_micros();
        let received_at = row.received_at.as_micros();
        if self.state.clock.row(at, received_at, || print_of(row)) {
            if self.state.samples == 0 {
                self.state.at = at;
            }
            findings.extend(self.state.sensors(false).map(Finding::Sensor));
            self.state.clock.is_new = false;
        }
        let interval = self.state.framer.interval();
        let place = match self.state.reorder.arrive(at, lateness, interval) {
            Arrival::Late => return,
            Arrival::Waits(place) => place,
            Arrival::Restarts(place) => {
                self.restart_time();
                place
            }
        };
        for (at, (&signal, &value)) in row.signals.iter().zip(row.values).enumerate() {
            if let Some(slot) = self.slot(at, numbers[signal as usize]) {
                let value = value.clamp(-LARGEST, LARGEST);
                self.state.reorder.set(place, slot, value);
            }
        }
        while let Some((at, row)) = self.state.reorder.pop(lateness) {
            self.state.row((known, &self.knowledge), at, row, findings);
            self.state.reorder.release(row);
            if !(self.state.ended.is_empty() && self.state.heard.is_empty()) {
                self.live_on(known, findings);
            }
        }
    }

    /// The slot of a signal. Rows of a device mostly name their signals in one order.
    fn slot(&self, hint: usize, number: u32) -> Option<usize> {
        if self.numbers.get(hint) == Some(&number) {
            return Some(hint);
        }
        self.numbers.iter().position(|known| *known == number)
    }

    fn learn_names(&mut self, names: &Names, numbers: &[u32], signals: &[u32]) {
        for (at, &signal) in signals.iter().enumerate() {
            let number = numbers[signal as usize];
            if self.slot(at, number).is_some() || self.numbers.len() >= MAX_SIGNALS {
                continue;
            }
            let Some(name) = names.name(number) else {
                continue;
            };
            self.numbers.push(number);
            self.state.signals.push(name.clone());
            self.state.framer.add_slot();
            self.state.features.push(SignalFeatures::new());
            self.state.reorder.widen(self.numbers.len());
            if let Stage::Learning(learned) = &mut self.state.stage {
                learned.add_signal();
            }
            // Once a signal, so that the hot path need not look.
            self.knowledge = Knowledge::new(self.knowledge.shared_model(), &self.state.signals);
            self.state.bind(&self.knowledge);
        }
    }

    /// Time starts over: what hangs on the old time is forgotten, the baseline stays.
    fn restart_time(&mut self) {
        let newest = self.state.reorder.newest().unwrap_or(0);
        self.state.framer.restart();
        self.state.said = None;
        self.state.bounds.restart(newest);
        self.state.early_mode = None;
        if let Some(cycle) = &mut self.state.cycle {
            cycle.restart_time();
        }
        if let Stage::Watching(watching) = &mut self.state.stage {
            watching.restart_time(newest);
        }
    }
}

/// A number by which two rows of one time are told apart.
fn print_of(row: Row<'_>) -> u64 {
    let mut print = FxHasher::default();
    for value in row.values {
        print.write_u64(value.to_bits());
    }
    print.finish()
}

impl State {
    /// A row in event time order.
    fn row(
        &mut self,
        known: (Known<'_>, &Knowledge),
        at: i64,
        row: u32,
        findings: &mut Vec<Finding>,
    ) {
        let before = {
            let values = self.reorder.values(row);
            self.framer.close_before(at, values)
        };
        if let Some(sample) = before {
            self.sample(known, sample, findings);
        }
        let after = {
            let values = self.reorder.values(row);
            self.framer.add(at, values)
        };
        if let Some(sample) = after {
            self.sample(known, sample, findings);
        }
    }

    fn sample(
        &mut self,
        (known, knowledge): (Known<'_>, &Knowledge),
        sample: Sample,
        findings: &mut Vec<Finding>,
    ) {
        let config = known.config;
        let Sample { at, live, fresh } = sample;
        self.follow(fresh);
        let framer = &self.framer;
        let value = |slot: usize| {
            if live >> slot & 1 == 1 {
                framer.value(slot)
            } else {
                f64::NAN
            }
        };
        let operating = self.operating.update(at, value);
        if let Some(cycle) = &mut self.cycle {
            cycle.codes(value, |code| self.heard.push((at, code)));
            self.ended.extend(cycle.push(at, operating, value));
        }
        self.at = at;
        if self.operating.take_surprise() {
            // What was taken for running was not: what is normal has still to be seen.
            self.start_over(config);
        }
        let framer = &self.framer;
        let look = Look {
            at,
            features: &self.features,
            live,
            fresh,
            operating,
        };
        match &mut self.stage {
            Stage::Learning(_) => self.learn((config, knowledge), sample, findings),
            Stage::Watching(watching) => {
                let company = self.group.as_ref().map(|group| Company {
                    others: known.others,
                    asset: &self.asset,
                    group,
                    signals: &self.signals,
                });
                let known = (config, knowledge, company);
                let value = |slot: usize| framer.value(slot);
                let beside = (&mut self.budget, &mut self.bounds, &self.usual);
                let change = watching.sample(known, beside, look, value);
                self.samples += u64::from(change.is_scored);
                self.thin += u64::from(!change.is_scored);
                self.report(config, knowledge, change, findings);
            }
        }
    }

    /// Takes a sample while a normal is learned. Fixed limits need none.
    fn learn(
        &mut self,
        (config, knowledge): (&Config, &Knowledge),
        Sample { at, live, fresh }: Sample,
        findings: &mut Vec<Finding>,
    ) {
        let before = self.bounds.raised().state;
        let framer = &self.framer;
        let look = Look {
            at,
            features: &self.features,
            live,
            fresh,
            operating: self.operating.state(),
        };
        let value = |slot: usize| framer.value(slot);
        let now = stage::limits(&mut self.bounds, look, None, value).state;
        let is_full = self.operating.may_learn() && self.take(at, live);
        self.samples += 1;
        if now != AlarmState::Alarm {
            self.early_mode = None;
        } else if self.early_mode.is_none() {
            let slots = self.signals.len();
            let signals = stage::with_limits(slots, |_| 0.0, &self.bounds);
            let deviations: Vec<f64> = signals.chain(self.feature_deviations()).collect();
            let signatures = knowledge.signatures();
            let mode = signatures.classify(&Metric::default(), &deviations);
            self.early_mode = Some(mode);
            self.budget.alarm();
        }
        if is_full {
            self.finish(config, knowledge);
        } else {
            let change = Change {
                state: now != before,
                ..Change::default()
            };
            self.report(config, knowledge, change, findings);
        }
    }

    /// Learns from a sample. True when that was enough.
    fn take(&mut self, at: i64, live: u64) -> bool {
        let Stage::Learning(learned) = &mut self.stage else {
            return false;
        };
        let (framer, features) = (&self.framer, &self.features);
        self.usual
            .learn(|slot, feature| SignalFeatures::of(features, slot, feature));
        learned.push(at, |slot| {
            stage::at_slot(live, slot, |slot| framer.value(slot))
        })
    }

    /// How far the features are from what is usual that the model's signatures name.
    pub(crate) fn feature_deviations(&self) -> Vec<f64> {
        let value = |slot, feature| SignalFeatures::of(&self.features, slot, feature);
        self.usual.deviations(value)
    }

    /// Forgets what is normal, to learn it from the rows that follow.
    fn start_over(&mut self, config: &Config) {
        self.early_mode = match &mut self.stage {
            Stage::Learning(_) => self.early_mode.take(),
            // The name of a case that stands by a fixed limit stays.
            Stage::Watching(watching) => watching.mode.take(),
        };
        self.stage = Stage::Learning(Learned::new(config.learning_rows, self.signals.len()));
        self.usual.forget();
        self.said = None;
    }

    /// The first row that what is normal is learned from; none before there is one.
    pub(crate) fn learned_from(&self) -> Option<i64> {
        match &self.stage {
            Stage::Learning(learned) => (learned.rows() > 0).then(|| learned.span().0),
            Stage::Watching(watching) => Some(watching.learned.1),
        }
    }

    /// A person has looked at the machine: what it differs by from its peers is its own when
    /// nothing was wrong, and nothing is when something was mended.
    fn settle_with_peers(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Duplicate | Outcome::Deferred) => {}
            Some(Outcome::Confirmed | Outcome::OtherFaultFound | Outcome::SensorFault) => {
                self.accepted.clear();
            }
            Some(Outcome::NoFaultFound) | None => {
                let Stage::Watching(watching) = &self.stage else {
                    return;
                };
                self.accepted.resize(self.signals.len(), 0.0);
                for (slot, away) in watching
                    .views
                    .among()
                    .into_iter()
                    .flat_map(Among::differences)
                {
                    self.accepted[slot] = away;
                }
            }
        }
    }

    /// Shows the new values of a sample to the features, each at its own time.
    fn follow(&mut self, mut fresh: u64) {
        while fresh != 0 {
            let slot = fresh.trailing_zeros() as usize;
            fresh &= fresh - 1;
            if let Some((at, value)) = self.framer.last(slot) {
                self.features[slot].update(at, value);
            }
        }
    }

    /// Enough was learned: watching begins, or learning again when nothing could be learned.
    fn finish(&mut self, config: &Config, knowledge: &Knowledge) {
        let Stage::Learning(learned) = &self.stage else {
            return;
        };
        self.said = None;
        self.operating.settle(learned);
        let machine = (&self.operating, knowledge);
        let standing = (self.bounds.raised(), self.early_mode.clone());
        match Watching::start(learned, &self.signals, machine, standing, &self.accepted) {
            Some(watching) => {
                self.early_mode = None;
                self.stage = Stage::Watching(Box::new(watching));
            }
            None => self.start_over(config),
        }
    }

    fn report(
        &mut self,
        config: &Config,
        knowledge: &Knowledge,
        change: Change,
        findings: &mut Vec<Finding>,
    ) {
        let now = self.now();
        let said = self.said.filter(|_| !change.state);
        let is_due = said.is_none_or(|said| {
            let interval = self.framer.interval();
            news::is_due(config, interval, &said, &now)
        });
        if is_due || change.sensors {
            findings.extend(self.sensors(change.sensors).map(Finding::Sensor));
        }
        if is_due {
            self.said = Some(now);
            findings.push(Finding::Condition(self.condition(config, knowledge)));
            findings.extend(self.assessment(knowledge).map(Finding::Assessment));
        }
        if let Stage::Watching(watching) = &mut self.stage
            && std::mem::take(&mut watching.prognoser.is_news)
            && !self.is_forecast
        {
            findings.extend(self.prognosis(config).map(Finding::Prognosis));
        }
    }

    /// What there is to say as of the last sample.
    fn now(&self) -> Said {
        let (score, health) = match &self.stage {
            Stage::Learning(_) => (self.bounds.raised().score, 0.0),
            Stage::Watching(watching) => (watching.score(), watching.health().get()),
        };
        Said {
            at: self.at,
            score,
            health,
            operating: self.operating.state(),
        }
    }

    /// Tells the operating state, the fixed limits and the features that have a say which
    /// signals there are and what the model says of them.
    fn bind(&mut self, knowledge: &Knowledge) {
        let model = knowledge.model();
        self.bounds.bind(model, &self.signals);
        self.usual.bind(knowledge.signatures().features());
        if let Some(cycle) = &mut self.cycle {
            cycle.bind(&self.signals);
        }
        match &self.stage {
            Stage::Learning(learned) if learned.rows() == 0 => {
                self.operating = Operating::new(&self.signals, model);
            }
            _ => self.operating.bind(&self.signals, model),
        }
    }
}

impl State {
    /// Whether a state that came from outside can be worked with: lengths agree everywhere an
    /// index will go. Bytes that were damaged may decode and must not lead to a panic later.
    pub(crate) fn is_consistent(&self) -> bool {
        let slots = self.signals.len();
        let stage = match &self.stage {
            Stage::Learning(learned) => learned.is_consistent(slots),
            Stage::Watching(watching) => watching.is_consistent(slots),
        };
        slots <= MAX_SIGNALS
            && self.framer.slots() == slots
            && self.features.len() == slots
            && self.features.iter().all(SignalFeatures::is_consistent)
            && self.reorder.is_consistent(slots)
            && self.operating.is_consistent(slots)
            && self.budget.is_consistent()
            && self.bounds.is_consistent(slots)
            && self.usual.is_consistent(slots)
            && self.accepted.len() <= slots
            && self
                .cycle
                .as_ref()
                .is_none_or(|cycle| cycle.is_consistent(slots))
            && stage
    }
}
