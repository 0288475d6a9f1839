//! The two stages of a device: learning its normal, then watching it against that normal.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use telemetry::{FailureMode, HealthIndex, OperatingState, SignalName};

use crate::{
    Config, Feature,
    budget::Budget,
    detection::{
        alarm::{Alarm, State as AlarmState},
        among::Usual,
        bounds::{Bounds, Raised},
        detector::Part,
        learned::Learned,
        metric::Metric,
        sensor::{SensorWatch, Verdict},
        signature::CLIP,
        usual::UsualFeatures,
    },
    health,
    knowledge::Knowledge,
    manipulation::{features::SignalFeatures, operating::Operating},
    peers::{self, Company, Told},
    prognosis::Prognoser,
    regimes::Regimes,
    views::Views,
    waves,
};

/// Learning, then watching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    Learning(Learned),
    Watching(Box<Watching>),
}

/// A device with a normal to compare with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watching {
    pub(crate) views: Views,
    /// How alike deviations and signatures are.
    pub(crate) metric: Metric,
    /// Rows the normal was learned from, the first and the last of them.
    pub(crate) learned: (u32, i64, i64),
    pub(crate) sensors: SensorWatch,
    regimes: Regimes,
    /// What the machine did in the last sample that was judged.
    #[serde(with = "crate::manipulation::operating::packed")]
    pub(crate) judged: OperatingState,
    /// The score of the views in the last sample; 1 is the alarm limit.
    score: f64,
    alarm: Alarm,
    /// What the fixed limits said in the last sample.
    limits: Raised,
    pub(crate) prognoser: Prognoser,
    /// Deviations of the last sample by slot, in healthy spreads.
    z: Vec<f64>,
    /// Their sum over the rows of the on-delay.
    sum: Vec<f64>,
    summed: u32,
    /// The failure mode of the standing alarm: decided when it rose, kept until it ends, so
    /// that a case does not change its name.
    pub(crate) mode: Option<(FailureMode, f64)>,
    /// The slots that only count up, one bit each: nothing is said of their values.
    pub(crate) counters: u64,
    /// What it tells its peers; none where nobody is compared.
    pub(crate) told: Option<Told>,
    /// The span and the regime that the peers were last asked about.
    asked: Option<(i64, peers::Regime)>,
}

/// One sample on its way through the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) at: i64,
    /// What the values of each signal say, by slot.
    pub(crate) features: &'a [SignalFeatures],
    /// The slots that have a value, and those that got it in this sample, one bit each.
    pub(crate) live: u64,
    pub(crate) fresh: u64,
    /// What the machine is doing.
    pub(crate) operating: OperatingState,
}

/// What a sample changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Change {
    /// It had enough values for a verdict.
    pub(crate) is_scored: bool,
    /// The state of the machine changed.
    pub(crate) state: bool,
    /// A verdict about a sensor changed.
    pub(crate) sensors: bool,
}

impl Watching {
    /// Starts to watch against what was learned; none when nothing could be learned.
    pub(crate) fn start(
        learned: &Learned,
        names: &[SignalName],
        (operating, knowledge): (&Operating, &Knowledge),
        (limits, mode): (Raised, Option<(FailureMode, f64)>),
        accepted: &[f64],
    ) -> Option<Self> {
        let model = knowledge.model();
        let is_counter = |slot: &usize| {
            let spec = model.and_then(|model| model.signal(&names[*slot]));
            // A register of error codes is no measurement either.
            let ahead = model.and_then(|model| model.prognosis.as_ref());
            let is_code = ahead.is_some_and(|spec| spec.codes.contains(&names[*slot]));
            is_code || spec.is_some_and(|spec| spec.counter) || learned.is_counter(*slot)
        };
        let counters = (0..names.len()).filter(is_counter);
        let counters = counters.fold(0, |bits, slot| bits | 1 << slot);
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.retain(|slot| counters >> slot & 1 == 0);
        // By name: the order in which signals happened to arrive must not change a rounding.
        order.sort_by(|a, b| names[*a].cmp(&names[*b]));
        let (from, to) = learned.span();
        let wanted = if names.iter().all(waves::is_feature) {
            waves::VIEWS
        } else {
            model.map_or(&[][..], |model| &model.detection.views)
        };
        let label = |value: &dyn Fn(usize) -> f64| operating.regime_of(value);
        let (regimes, carried) = Regimes::fit(learned, operating.regimes(), label);
        let mut views = Views::fit(&carried, &order, wanted)?;
        views.accept(|slot| accepted.get(slot).copied().unwrap_or(0.0));
        let count = u8::try_from(operating.regimes()).unwrap_or(u8::MAX);
        let told = views.among().is_some();
        Some(Self {
            told: told
                .then(|| Told::new(&carried, count, |regime, slot| regimes.ratio(regime, slot))),
            asked: None,
            views,
            metric: Metric::fit(&carried, &order),
            learned: (learned.rows(), from, to),
            sensors: SensorWatch::fit(learned, names, model, counters),
            counters,
            regimes,
            judged: OperatingState::Unknown,
            score: 0.0,
            alarm: Alarm::normal(to),
            limits,
            prognoser: Prognoser::new(to),
            z: vec![0.0; names.len()],
            sum: vec![0.0; names.len()],
            summed: 0,
            mode,
        })
    }

    /// Takes a sample: the sensors first, then the machine as far as they can be believed.
    pub(crate) fn sample(
        &mut self,
        known: (&Config, &Knowledge, Option<Company<'_>>),
        (budget, bounds, usual): (&mut Budget, &mut Bounds, &UsualFeatures),
        look: Look<'_>,
        value: impl Fn(usize) -> f64,
    ) -> Change {
        let Look { at, operating, .. } = look;
        let fresh = |slot: usize| at_slot(look.fresh, slot, &value);
        let before = self.state();
        let mut change = Change {
            sensors: self.sensors.update(at, operating, fresh),
            ..Change::default()
        };
        let suspects = self.sensors.suspects();
        self.limits = limits(bounds, look, Some(&self.sensors), &value);
        // Without a baseline there is nothing to compare with; the views' state stands.
        let score = if operating.has_baseline() {
            let regime = regime_of(operating);
            self.listen(at, regime, known.2);
            if let Some(told) = &mut self.told {
                told.take(at, regime, |slot| {
                    at_slot(look.fresh & !suspects, slot, &value)
                });
            }
            let believed = look.live & !suspects;
            let carried = |slot: usize| self.regimes.carry(regime, slot, value(slot));
            let believed = |slot: usize| at_slot(believed, slot, carried);
            self.views.score(at, believed)
        } else {
            None
        };
        if let Some(score) = score {
            let config = known.0;
            budget.observe(config, at, score, self.views.is_held());
            (self.score, self.judged) = (score / (budget.limit * known.1.rarer()), operating);
            change.is_scored = true;
            self.judge(config, at);
        }
        change.state = self.state() != before;
        if change.state && self.state() == AlarmState::Alarm {
            budget.alarm();
        }
        self.name((known.1, bounds), (usual, look.features));
        if change.is_scored {
            let health = self.health().get();
            self.prognoser.observe(at, health, known.0.health_limit);
        }
        change
    }

    /// Hears what the peers say, once a span and regime.
    fn listen(&mut self, at: i64, regime: u8, company: Option<Company<'_>>) {
        let Some(told) = &self.told else {
            return;
        };
        let Some(company) = company else {
            // The model wants no comparison any more.
            if self.asked.take().is_some() {
                self.views.hear(0, |_| None);
            }
            return;
        };
        let question = (peers::span_of(at), told.regime(regime));
        if self.asked.replace(question) == Some(question) {
            return;
        }
        let (peers, usual) = company.say(question.0, question.1);
        let regimes = &self.regimes;
        self.views.hear(peers, |slot| {
            let usual = usual.get(slot).copied().flatten()?;
            let ratio = regimes.ratio(regime, slot);
            Some(Usual {
                centre: regimes.carry(regime, slot, usual.centre),
                spread: usual.spread / ratio,
                reach: usual.reach / ratio,
            })
        });
    }

    /// From the score of the views to their state.
    fn judge(&mut self, config: &Config, at: i64) {
        let Self { views, z, .. } = self;
        z.fill(0.0);
        views.each_deviation(|slot, deviation| z[slot] = deviation);
        let changed = self.alarm.next(at, self.score, views.is_held(), config);
        let rows_over = self.alarm.rows_over();
        let is_rising = changed && self.alarm.state == AlarmState::Alarm;
        if rows_over <= 1 && !is_rising {
            self.sum.fill(0.0);
            self.summed = 0;
        }
        if rows_over > 0 || is_rising {
            for (sum, z) in self.sum.iter_mut().zip(&self.z) {
                *sum += z;
            }
            self.summed += 1;
        }
    }

    /// Names what fails when an alarm has risen, and forgets it when it is over.
    fn name(
        &mut self,
        (knowledge, bounds): (&Knowledge, &Bounds),
        (usual, features): (&UsualFeatures, &[SignalFeatures]),
    ) {
        if self.state() != AlarmState::Alarm {
            self.mode = None;
        } else if self.mode.is_none() {
            let rows = f64::from(self.summed.max(1));
            let deviation = |slot: usize| {
                if self.alarm.state == AlarmState::Alarm {
                    self.sum[slot] / rows
                } else {
                    // Fixed limits alone: they say which way their signals went.
                    0.0
                }
            };
            let value = |slot, feature| SignalFeatures::of(features, slot, feature);
            let deviations = with_limits(self.z.len(), deviation, bounds);
            let deviations = deviations.chain(usual.deviations(value));
            let all: Vec<f64> = deviations.collect();
            self.mode = Some(knowledge.signatures().classify(&self.metric, &all));
        }
    }

    /// Where the device stands: the worse of what the views and the fixed limits say.
    pub(crate) fn state(&self) -> AlarmState {
        self.alarm.state.max(self.limits.state)
    }

    /// Since when.
    pub(crate) fn since(&self) -> i64 {
        let (ours, theirs) = (self.alarm.since, self.limits.since);
        match self.alarm.state.cmp(&self.limits.state) {
            Ordering::Greater => ours,
            Ordering::Less => theirs,
            Ordering::Equal if self.alarm.state == AlarmState::Normal => ours.max(theirs),
            Ordering::Equal => ours.min(theirs),
        }
    }

    /// The fused score of the last sample; 1 is the alarm limit.
    pub(crate) fn score(&self) -> f64 {
        self.score.max(self.limits.score)
    }

    /// Time starts over: what hangs on the old time is forgotten, the normal stays.
    pub(crate) fn restart_time(&mut self, newest: i64) {
        self.prognoser = Prognoser::new(newest);
        self.alarm = Alarm::normal(newest);
        self.limits = Raised::nothing(newest);
        self.mode = None;
        self.sensors.forgive();
        self.asked = None;
        if let Some(told) = &mut self.told {
            told.restart_time();
        }
    }

    /// What each signal adds to the score, in the values of the regime it was judged in.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let regime = regime_of(self.judged);
        let parts = self.views.parts().into_iter();
        parts
            .map(|part| self.regimes.carry_back(regime, part))
            .collect()
    }

    /// Deviations of the last sample by slot, in healthy spreads.
    pub(crate) fn deviations(&self) -> &[f64] {
        &self.z
    }

    /// The health index as of the last sample.
    pub(crate) fn health(&self) -> HealthIndex {
        self.health_of(self.score())
    }

    /// The health index of a score while the present state stands.
    pub(crate) fn health_of(&self, score: f64) -> HealthIndex {
        health::index(score, self.state() == AlarmState::Alarm)
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.views.is_consistent(slots)
            && self.metric.is_consistent(slots)
            && self.sensors.is_consistent(slots)
            && self.regimes.is_consistent(slots)
            && self
                .told
                .as_ref()
                .is_none_or(|told| told.is_consistent(slots))
            && self.z.len() == slots
            && self.sum.len() == slots
    }
}

/// The load regime of an operating state; the only one where nobody has said how to tell.
fn regime_of(operating: OperatingState) -> u8 {
    match operating {
        OperatingState::Running { regime } => regime,
        _ => 0,
    }
}

/// The value of a slot whose bit is set, else NaN.
pub(crate) fn at_slot(bits: u64, slot: usize, value: impl Fn(usize) -> f64) -> f64 {
    if bits >> slot & 1 == 1 {
        value(slot)
    } else {
        f64::NAN
    }
}

/// Shows a sample to the fixed limits and tells what they say.
pub(crate) fn limits(
    bounds: &mut Bounds,
    look: Look<'_>,
    sensors: Option<&SensorWatch>,
    value: impl Fn(usize) -> f64,
) -> Raised {
    let is_bad = |slot: usize| {
        let verdict = sensors.and_then(|sensors| sensors.verdict(slot));
        verdict.is_some_and(Verdict::is_against)
    };
    let doubted = sensors.map_or(0, SensorWatch::suspects);
    let judged = (look.operating.has_baseline(), is_bad);
    let value = |slot: usize, feature: Option<Feature>| match feature {
        None => value(slot),
        Some(feature) => SignalFeatures::of(look.features, slot, feature).unwrap_or(f64::NAN),
    };
    bounds.update(look.at, judged, |slot, feature| {
        at_slot(look.live & !doubted, slot, |slot| value(slot, feature))
    });
    bounds.raised()
}

/// Deviations by slot; a crossed limit says which way its signal went, as far as any counts.
pub(crate) fn with_limits(
    slots: usize,
    deviation: impl Fn(usize) -> f64,
    bounds: &Bounds,
) -> impl Iterator<Item = f64> {
    (0..slots).map(move |slot| {
        let crossed = bounds.direction(slot).map(|way| way * CLIP);
        crossed.unwrap_or_else(|| deviation(slot))
    })
}
