//! The state of a monitor, row by row: framed, looked at, learned from or watched, and told.

use telemetry::{Finding, Outcome};

use super::{Known, State};
use crate::{
    Config,
    config::MAX_SIGNALS,
    detection::{alarm::State as AlarmState, among::Among, learned::Learned, metric::Metric},
    knowledge::Knowledge,
    manipulation::{features::SignalFeatures, frame::Sample, operating::Operating},
    news::{self, Said},
    peers::Company,
    stage::{self, Change, Look, Stage, Watching},
};

impl State {
    /// A row in event time order.
    pub(super) fn row(
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
    pub(super) fn start_over(&mut self, config: &Config) {
        self.early_mode = match &mut self.stage {
            Stage::Learning(_) => self.early_mode.take(),
            // The name of a case that stands by a fixed limit stays.
            Stage::Watching(watching) => watching.mode.take(),
        };
        self.stage = Stage::Learning(Learned::new(config.learning_rows, self.signals.len()));
        self.usual.forget();
        self.said = None;
    }

    /// Whether an alarm stands.
    pub(super) fn is_in_alarm(&self) -> bool {
        match &self.stage {
            // A fixed limit may stand while normal is learned.
            Stage::Learning(_) => self.bounds.raised().state == AlarmState::Alarm,
            Stage::Watching(watching) => watching.state() == AlarmState::Alarm,
        }
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
    pub(super) fn settle_with_peers(&mut self, outcome: Option<Outcome>) {
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
    pub(super) fn bind(&mut self, knowledge: &Knowledge) {
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
