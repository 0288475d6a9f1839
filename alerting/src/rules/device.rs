//! The rules on one device: what it was told, in event time, and what follows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use telemetry::{
    AssetId, AssetModelId, Condition as Verdict, ConditionState, DeviceId, Finding,
    PrognosisOutcome, RuleId, RuleReport, RuleState, RuleVerdict, SensorReport, SensorState,
    SignalName, Timestamp, reorder::Reorder,
};

use super::{
    ask::{Facts, ask, chance},
    course::{Course, Memory, Turn},
    plan::{Plan, Watch},
    rule::{Condition, Health, Operating},
    words::explain,
};

/// Most sensors of a device that a rule remembers: as many as analytics looks at.
const MAX_SENSORS: usize = 64;

/// What is kept of a device, and saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) asset: AssetId,
    pub(super) device: DeviceId,
    pub(super) model: Option<AssetModelId>,
    pub(super) reorder: Reorder,
    /// The signals by their place in rows.
    signals: Vec<SignalName>,
    courses: Vec<(RuleId, Course)>,
    facts: Facts,
    /// When something last arrived, by the clock of the receiver; by signal, likewise.
    pub(super) received: i64,
    signals_received: Vec<i64>,
    /// The time of the last report: no two have the same.
    told: i64,
}

/// A device with its rules.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) kept: Kept,
    pub(super) plan: Arc<Plan>,
    pub(super) is_dirty: bool,
    /// Whether what it waits for may have changed.
    pub(super) is_stirred: bool,
    /// The deadline that is awaited.
    pub(super) armed_for: Option<i64>,
    said: Vec<RuleVerdict>,
    said_at: i64,
}

impl Kept {
    pub(super) fn new(asset: AssetId, device: DeviceId, model: Option<AssetModelId>) -> Self {
        let mut reorder = Reorder::new();
        reorder.widen(1);
        Self {
            asset,
            device,
            model,
            reorder,
            signals: Vec::new(),
            courses: Vec::new(),
            facts: Facts::unknown(),
            received: i64::MIN,
            signals_received: Vec::new(),
            told: i64::MIN,
        }
    }

    /// Whether a state that came from outside can be worked with.
    pub(super) fn is_consistent(&self) -> bool {
        self.reorder.is_consistent(self.signals.len().max(1))
            && self.signals_received.len() == self.signals.len()
    }
}

impl Device {
    pub(super) fn new(kept: Kept) -> Self {
        Self {
            kept,
            plan: Arc::default(),
            is_dirty: true,
            is_stirred: true,
            armed_for: None,
            said: Vec::new(),
            said_at: i64::MIN,
        }
    }

    /// Other rules apply from here on. A rule that stays goes on where it was, with its new
    /// numbers; one that no longer applies ceases to hold.
    pub(super) fn follow(&mut self, plan: Arc<Plan>, out: &mut Vec<Finding>) {
        let at = self.kept.reorder.newest().unwrap_or(self.kept.told);
        self.flush(out);
        let before = std::mem::take(&mut self.kept.courses);
        let old = std::mem::replace(&mut self.plan, plan);
        let mut courses = Vec::with_capacity(self.plan.watches.len());
        let plan = Arc::clone(&self.plan);
        for watch in &plan.watches {
            let known = before.iter().find(|(rule, _)| *rule == watch.rule.id);
            let mut course = known.map_or_else(|| Course::new(watch.version), |(_, c)| c.clone());
            if course.version != watch.version {
                course.pause();
                course.memory = Memory::Nothing;
                course.version = watch.version;
            }
            courses.push((watch.rule.id.clone(), course));
        }
        for (rule, course) in before {
            let stays = courses.iter().any(|(id, _)| *id == rule);
            let watch = old.watches.iter().find(|watch| watch.rule.id == rule);
            if let (true, false, Some(watch)) = (course.held, stays, watch) {
                let turn = Turn {
                    raised: false,
                    since: at,
                };
                self.say(at, watch, turn, None);
            }
        }
        self.kept.courses = courses;
        self.arrange();
        (self.is_dirty, self.is_stirred) = (true, true);
        self.flush(out);
    }

    /// After a restart: the plan is what it was.
    pub(super) fn resume(&mut self, plan: Arc<Plan>) {
        self.plan = plan;
        self.is_dirty = false;
    }

    /// Whether the kept courses and signals are those of the plan.
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let courses = self.kept.courses.iter().map(|(rule, c)| (rule, c.version));
        let watches = plan.watches.iter().map(|w| (&w.rule.id, w.version));
        courses.eq(watches) && self.kept.signals == plan.signals
    }

    /// Puts the signals of waiting rows where the plan has them. Rows wait for seconds only, so
    /// what a new rule looks at begins with the next row.
    fn arrange(&mut self) {
        if self.kept.signals == self.plan.signals {
            return;
        }
        let kept = &mut self.kept;
        let from = std::mem::replace(&mut kept.signals, self.plan.signals.clone());
        let place = |name: &SignalName| from.iter().position(|one| one == name);
        let mut places: Vec<Option<usize>> = kept.signals.iter().map(place).collect();
        let received = |place: &Option<usize>| {
            place.map_or(kept.received, |place| kept.signals_received[place])
        };
        kept.signals_received = places.iter().map(received).collect();
        if places.is_empty() {
            // A row without a slot would have no place.
            places.push(None);
        }
        kept.reorder.rearrange(&places);
    }

    /// A finding of analytics about this device.
    pub(super) fn hear(&mut self, finding: &Finding, out: &mut Vec<Finding>) {
        let at = finding.at().as_micros();
        match finding {
            Finding::Condition(condition) => self.hear_condition(condition, at),
            Finding::Assessment(assessment) => {
                self.kept.facts.index = Some(assessment.health.get());
                self.kept.facts.score = Some(assessment.score);
            }
            Finding::Prognosis(outcome) => self.hear_prognosis(outcome),
            Finding::Sensor(report) => self.hear_sensors(report),
            Finding::Rule(_) => return,
        }
        self.is_dirty = true;
        self.judge(at, None, out);
    }

    fn hear_condition(&mut self, condition: &Verdict, at: i64) {
        let facts = &mut self.kept.facts;
        let operating = Operating::from(condition.operating);
        if operating != facts.operating || facts.operating_since == i64::MAX {
            (facts.operating, facts.operating_since) = (operating, at);
            self.is_stirred = true;
        }
        let health = match condition.state {
            ConditionState::Learning { .. } => Health::Learning,
            ConditionState::Normal => Health::Normal,
            ConditionState::Watch => Health::Watch,
            ConditionState::Alarm => Health::Alarm,
        };
        (facts.health, facts.health_since) = (health, condition.since.as_micros());
        if let Some(evidence) = &condition.evidence {
            facts.score = Some(evidence.statistics.score);
        }
    }

    fn hear_prognosis(&mut self, outcome: &PrognosisOutcome) {
        let plan = Arc::clone(&self.plan);
        for (watch, (_, course)) in plan.watches.iter().zip(&mut self.kept.courses) {
            if let Condition::FailureWithin { horizon_s, .. } = &watch.rule.condition {
                course.value = match outcome {
                    PrognosisOutcome::Forecast(prognosis) => chance(prognosis, *horizon_s),
                    PrognosisOutcome::None(_) => None,
                };
            }
        }
    }

    fn hear_sensors(&mut self, report: &SensorReport) {
        let plan = Arc::clone(&self.plan);
        for (watch, (_, course)) in plan.watches.iter().zip(&mut self.kept.courses) {
            let Condition::Sensor {
                signal,
                states,
                faults,
            } = &watch.rule.condition
            else {
                continue;
            };
            let mut wrong = match std::mem::take(&mut course.memory) {
                Memory::Sensors(wrong) => wrong,
                _ => Vec::new(),
            };
            for verdict in &report.verdicts {
                if signal
                    .as_ref()
                    .is_some_and(|signal| *signal != verdict.signal)
                {
                    continue;
                }
                let of_fault =
                    faults.is_empty() || verdict.fault.is_some_and(|fault| faults.contains(&fault));
                let is_wrong = verdict.state != SensorState::Good
                    && states.contains(&verdict.state)
                    && of_fault;
                wrong.retain(|known| *known != verdict.signal);
                if is_wrong && wrong.len() < MAX_SENSORS {
                    wrong.push(verdict.signal.clone());
                }
            }
            course.memory = Memory::Sensors(wrong);
        }
    }

    /// A row in its place in event time.
    pub(super) fn row(&mut self, at: i64, row: u32, out: &mut Vec<Finding>) {
        let reorder = std::mem::take(&mut self.kept.reorder);
        self.judge(at, Some(reorder.values(row)), out);
        self.kept.reorder = reorder;
        self.kept.reorder.release(row);
    }

    /// Asks every rule about what is known at a time.
    fn judge(&mut self, at: i64, row: Option<&[f64]>, out: &mut Vec<Finding>) {
        let plan = Arc::clone(&self.plan);
        if self.said_at != at {
            self.flush(out);
        }
        for (number, watch) in plan.watches.iter().enumerate() {
            let Some((_, course)) = self.kept.courses.get_mut(number) else {
                return;
            };
            if !watch.judges(self.kept.facts.operating) {
                course.pause();
                continue;
            }
            if let Some((turn, value)) = ask(watch, course, &self.kept.facts, at, row) {
                self.say(at, watch, turn, value);
            }
        }
    }

    /// Data have come: whatever waited for them is over.
    pub(super) fn arrived(&mut self, at: i64, received: i64, out: &mut Vec<Finding>) {
        self.is_dirty = true;
        self.kept.received = self.kept.received.max(received);
        if self.plan.has_silence {
            self.end_silence(at, None, out);
        }
    }

    /// A value of a signal has come.
    pub(super) fn signal_arrived(
        &mut self,
        slot: usize,
        at: i64,
        received: i64,
        out: &mut Vec<Finding>,
    ) {
        if let Some(last) = self.kept.signals_received.get_mut(slot) {
            *last = (*last).max(received);
        }
        if self.plan.has_silence {
            self.end_silence(at, Some(slot), out);
        }
    }

    fn end_silence(&mut self, at: i64, slot: Option<usize>, out: &mut Vec<Finding>) {
        let plan = Arc::clone(&self.plan);
        for (number, watch) in plan.watches.iter().enumerate() {
            if !watch.is_silence() || watch.slot != slot || !self.kept.courses[number].1.held {
                continue;
            }
            let course = &mut self.kept.courses[number].1;
            (course.held, course.since) = (false, at);
            if self.said_at != at {
                self.flush(out);
            }
            self.is_stirred = true;
            self.say(
                at,
                watch,
                Turn {
                    raised: false,
                    since: at,
                },
                None,
            );
        }
    }

    /// The next time of receipt by which something will be missed if nothing comes; none when
    /// nothing is awaited. `since` is when the program began to listen.
    pub(super) fn deadline(&self, since: i64) -> Option<i64> {
        let watches = self.plan.watches.iter().zip(&self.kept.courses);
        let awaited = watches.filter(|(watch, (_, course))| {
            watch.is_silence()
                && !course.held
                && self.last_received(watch) != i64::MIN
                && watch.judges(self.kept.facts.operating)
        });
        awaited
            .map(|(watch, _)| {
                self.last_received(watch)
                    .max(since)
                    .saturating_add(watch.span)
            })
            .min()
    }

    fn last_received(&self, watch: &Watch) -> i64 {
        let of_signal = watch
            .slot
            .and_then(|slot| self.kept.signals_received.get(slot));
        of_signal.copied().unwrap_or(self.kept.received)
    }

    /// The clock of the receiver has moved on: what is missing now?
    pub(super) fn miss(&mut self, clock: i64, since: i64, out: &mut Vec<Finding>) {
        let plan = Arc::clone(&self.plan);
        let newest = self.kept.reorder.newest().unwrap_or(0);
        for (number, watch) in plan.watches.iter().enumerate() {
            let last = self.last_received(watch);
            if last == i64::MIN {
                // It never spoke, so nothing is missing.
                continue;
            }
            let last = last.max(since);
            let silent = clock.saturating_sub(last);
            let held = self.kept.courses[number].1.held;
            if !watch.is_silence() || held || silent < watch.span {
                continue;
            }
            if !watch.judges(self.kept.facts.operating) {
                continue;
            }
            // The event time that has passed is the silence, whatever clock the device has.
            let at = newest.saturating_add(silent);
            let course = &mut self.kept.courses[number].1;
            (course.held, course.since) = (true, newest);
            self.is_dirty = true;
            if self.said_at != at {
                self.flush(out);
            }
            let turn = Turn {
                raised: true,
                since: newest,
            };
            self.say(at, watch, turn, Some(silent as f64 / 1e6));
        }
        self.flush(out);
    }

    /// Everything that holds ceases to: the device watches another asset now.
    pub(super) fn leave(&mut self, out: &mut Vec<Finding>) {
        self.follow(Arc::default(), out);
    }

    fn say(&mut self, at: i64, watch: &Watch, turn: Turn, value: Option<f64>) {
        self.said_at = at;
        let limit = match (&watch.rule.condition, watch.level) {
            (Condition::Count { at_least, .. }, _) => Some(f64::from(*at_least)),
            (_, Some(level)) => Some(if turn.raised { level.on } else { level.off }),
            (_, None) => (watch.span > 0).then(|| watch.span as f64 / 1e6),
        };
        let rule = &watch.rule;
        self.said.push(RuleVerdict {
            rule: rule.id.clone(),
            version: watch.version,
            state: if turn.raised {
                RuleState::Raised
            } else {
                RuleState::Cleared
            },
            since: Timestamp::from_micros(turn.since),
            verdict: rule.verdict,
            failure_mode: rule.failure_mode.clone(),
            severity: rule.severity,
            signal: rule.condition.signal().cloned(),
            value,
            limit,
            text: explain(rule, watch.label.as_ref(), turn.raised, (value, limit)),
        });
    }

    /// Tells what was said at the last instant.
    pub(super) fn flush(&mut self, out: &mut Vec<Finding>) {
        if self.said.is_empty() {
            return;
        }
        let at = self.said_at.max(self.kept.told.saturating_add(1));
        self.kept.told = at;
        self.is_dirty = true;
        out.push(Finding::Rule(RuleReport {
            asset: self.kept.asset.clone(),
            device: self.kept.device.clone(),
            at: Timestamp::from_micros(at),
            verdicts: std::mem::take(&mut self.said),
        }));
    }
}
