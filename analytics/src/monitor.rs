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
mod state;

use std::{collections::BTreeMap, hash::Hasher, sync::Arc};

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
        bounds::Bounds, detector::LARGEST, learned::Learned, sensor::clock::ClockWatch,
        usual::UsualFeatures,
    },
    knowledge::Knowledge,
    manipulation::{
        features::SignalFeatures,
        frame::Framer,
        operating::Operating,
        reorder::{Arrival, Reorder},
    },
    names::Names,
    news::Said,
    peers::Others,
    prognosis::{
        course::Course,
        cycles::{Cycle, CycleSum},
        diary::Diary,
        serving::Forecaster,
    },
    stage::Stage,
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
    /// What was written about assets.
    pub(crate) diaries: &'a BTreeMap<AssetId, Diary>,
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
    /// An alarm that was over before somebody looked and found nothing was a passing disturbance:
    /// the machine runs as learned again, so what was learned stays, and only the budget takes
    /// in what was seen. Learning anew would leave it unwatched for as long as that takes.
    ///
    /// The life that is forecast starts over when the machine was repaired, and where it is the
    /// life of one component, only when a fault of that one was mended. When it began comes back.
    pub(crate) fn judged(
        &mut self,
        config: &Config,
        outcome: Option<Outcome>,
        mode: Option<&FailureMode>,
    ) -> Option<i64> {
        self.state.budget.judged(config, outcome);
        self.state.settle_with_peers(outcome);
        self.dirty = true;
        let has_passed = outcome == Some(Outcome::NoFaultFound) && !self.state.is_in_alarm();
        if outcome.is_none_or(Outcome::starts_new_baseline) && !has_passed {
            self.relearn(config);
        }
        let renews = self.knowledge.model().is_none_or(|model| {
            let spec = model.prognosis.as_ref();
            model.renews(spec.and_then(|spec| spec.component.as_ref()), mode)
        });
        let begins = outcome.is_some_and(Outcome::starts_new_life) && renews;
        begins.then(|| {
            // Orders end by the clock of the office, and a life by that of the machine.
            let at = self.state.at.saturating_add(1);
            self.life_began(at);
            at
        })
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
