//! The monitor of one device: the whole way from a row to findings, as one state.
//!
//! ```text
//! row -> reorder -> frame -> smooth -> learning | scorer -> alarm -> health -> prognosis -> report
//! ```
//!
//! Everything that decides a later finding is in [`State`] and is saved with it. What can be
//! had again from outside (name numbers, the signatures of the asset model) is beside it.

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, AssetModel, DeviceId, Finding, Row, SignalName};

use crate::{
    Config,
    config::MAX_SIGNALS,
    detection::{alarm::Alarm, learning::Learning, scorer::LARGEST, signature::Signatures},
    manipulation::{
        frame::{Framer, Sample},
        reorder::{Arrival, Reorder},
    },
    names::Names,
    news::{self, Said},
    prognosis::Prognoser,
    stage::{Stage, finish, learn},
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
    pub(crate) stage: Stage,
    /// The time of the last sample that was learned from or scored.
    pub(crate) at: i64,
    /// What was said last, and when; none makes the next sample report.
    pub(crate) said: Option<Said>,
    pub(crate) samples: u64,
    pub(crate) thin: u64,
}

/// The monitor of one device.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) state: State,
    /// Name numbers by slot, for finding the slot of a value.
    numbers: Vec<u32>,
    pub(crate) signatures: Signatures,
    /// Whether the state changed since it was saved.
    pub(crate) dirty: bool,
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
                stage: Stage::Learning {
                    learning: Learning::new(config.learning_rows, 0),
                    smooth: Vec::new(),
                },
                at: 0,
                said: None,
                samples: 0,
                thin: 0,
            },
            numbers: Vec::new(),
            signatures: Signatures::default(),
            dirty: true,
        }
    }

    /// Goes on from a saved state; the model follows with [`Self::set_model`].
    pub(crate) fn restored(state: State, names: &mut Names) -> Self {
        let numbers = state.signals.iter().map(|name| names.number(name));
        Self {
            numbers: numbers.collect(),
            state,
            signatures: Signatures::default(),
            dirty: false,
        }
    }

    /// Uses the signatures of a model from now on.
    pub(crate) fn set_model(&mut self, model: Option<&AssetModel>) {
        self.signatures = Signatures::default();
        if let (Some(model), Stage::Watching(watching)) = (model, &self.state.stage) {
            let signals = watching.scorer.baseline.signals.iter();
            let names: Vec<&SignalName> = signals.map(|s| &self.state.signals[s.slot]).collect();
            self.signatures = Signatures::new(model, &names);
        }
    }

    /// Forgets the baseline and learns anew, from the rows that follow.
    pub(crate) fn relearn(&mut self, config: &Config) {
        let slots = self.state.signals.len();
        self.state.stage = Stage::Learning {
            learning: Learning::new(config.learning_rows, slots),
            smooth: vec![(0.0, 0); slots],
        };
        self.state.said = None;
        self.signatures = Signatures::default();
        self.dirty = true;
    }

    /// Takes a row of the device. `numbers` translates the batch's signals. True when the
    /// baseline was fitted by it, so that the signatures must be set.
    pub(crate) fn push(
        &mut self,
        config: &Config,
        (names, numbers): (&Names, &[u32]),
        row: Row<'_>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        self.dirty = true;
        let lateness = i64::try_from(config.lateness.as_micros()).unwrap_or(i64::MAX);
        let is_learning = matches!(self.state.stage, Stage::Learning { .. });
        if is_learning {
            self.learn_names(names, numbers, row.signals);
        }
        let at = row.measured_at.as_micros();
        let interval = self.state.framer.interval();
        let place = match self.state.reorder.arrive(at, lateness, interval) {
            Arrival::Late => return false,
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
            self.state.row(config, &self.signatures, at, row, findings);
            self.state.reorder.release(row);
        }
        is_learning && matches!(self.state.stage, Stage::Watching(_))
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
            self.state.reorder.widen(self.numbers.len());
            if let Stage::Learning { learning, smooth } = &mut self.state.stage {
                learning.add_signal();
                smooth.push((0.0, 0));
            }
        }
    }

    /// Time starts over: what hangs on the old time is forgotten, the baseline stays.
    fn restart_time(&mut self) {
        let newest = self.state.reorder.newest().unwrap_or(0);
        self.state.framer.restart();
        self.state.said = None;
        if let Stage::Watching(watching) = &mut self.state.stage {
            watching.prognoser = Prognoser::new(newest);
            watching.alarm = Alarm::normal(newest);
            watching.mode = None;
        }
    }
}

impl State {
    /// A row in event time order.
    fn row(
        &mut self,
        config: &Config,
        signatures: &Signatures,
        at: i64,
        row: u32,
        findings: &mut Vec<Finding>,
    ) {
        let before = {
            let values = self.reorder.values(row);
            self.framer.close_before(at, values)
        };
        if let Some(sample) = before {
            self.sample(config, signatures, sample, findings);
        }
        let after = {
            let values = self.reorder.values(row);
            self.framer.add(at, values)
        };
        if let Some(sample) = after {
            self.sample(config, signatures, sample, findings);
        }
    }

    fn sample(
        &mut self,
        config: &Config,
        signatures: &Signatures,
        sample: Sample,
        findings: &mut Vec<Finding>,
    ) {
        let framer = &self.framer;
        let value = |slot: usize| {
            if sample.live >> slot & 1 == 1 {
                framer.value(slot)
            } else {
                f64::NAN
            }
        };
        let changed = match &mut self.stage {
            Stage::Learning { learning, smooth } => {
                let full = learn(learning, smooth, sample.at, value);
                full.then(|| finish(learning, smooth, &self.signals))
            }
            Stage::Watching(watching) => {
                let Some(changed) = watching.sample(config, signatures, sample.at, value) else {
                    self.thin += 1;
                    return;
                };
                self.at = sample.at;
                self.samples += 1;
                self.report(config, signatures, changed, findings);
                return;
            }
        };
        self.at = sample.at;
        self.samples += 1;
        if let Some(stage) = changed {
            self.stage = stage;
            self.said = None;
        } else {
            self.report(config, signatures, false, findings);
        }
    }

    fn report(
        &mut self,
        config: &Config,
        signatures: &Signatures,
        changed: bool,
        findings: &mut Vec<Finding>,
    ) {
        let now = self.now();
        let said = self.said.filter(|_| !changed);
        if said.is_none_or(|said| news::is_due(config, self.framer.interval(), &said, &now)) {
            self.said = Some(now);
            findings.push(Finding::Condition(self.condition(config, signatures)));
            findings.extend(self.assessment().map(Finding::Assessment));
        }
        if let Stage::Watching(watching) = &mut self.stage
            && std::mem::take(&mut watching.prognoser.is_news)
        {
            findings.extend(self.prognosis(config).map(Finding::Prognosis));
        }
    }

    /// What there is to say as of the last sample.
    fn now(&self) -> Said {
        let (score, health) = match &self.stage {
            Stage::Learning { .. } => (0.0, 0.0),
            Stage::Watching(watching) => (watching.scorer.last.score, watching.health().get()),
        };
        Said {
            at: self.at,
            score,
            health,
        }
    }
}

impl State {
    /// Whether a state that came from outside can be worked with: lengths agree everywhere an
    /// index will go. Bytes that were damaged may decode and must not lead to a panic later.
    pub(crate) fn is_consistent(&self) -> bool {
        let slots = self.signals.len();
        let stage = match &self.stage {
            Stage::Learning { learning, smooth } => {
                learning.is_consistent(slots) && smooth.len() == slots
            }
            Stage::Watching(watching) => {
                watching.scorer.is_consistent(slots)
                    && watching.sum.len() == watching.scorer.deviations().len()
            }
        };
        slots <= MAX_SIGNALS
            && self.framer.slots() == slots
            && self.reorder.is_consistent(slots)
            && stage
    }
}
