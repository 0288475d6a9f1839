//! The two stages of a device: learning its normal, then watching it against that normal.

use serde::{Deserialize, Serialize};
use telemetry::{FailureMode, HealthIndex, OperatingState, SignalName};

use crate::{
    Config,
    budget::Budget,
    detection::{
        alarm::{Alarm, State as AlarmState},
        detector::Part,
        learned::Learned,
        metric::Metric,
        sensor::SensorWatch,
    },
    health,
    knowledge::Knowledge,
    manipulation::operating::Operating,
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
    /// The fused score of the last sample; 1 is the alarm limit.
    pub(crate) score: f64,
    pub(crate) alarm: Alarm,
    pub(crate) prognoser: Prognoser,
    /// Deviations of the last sample by slot, in healthy spreads.
    z: Vec<f64>,
    /// Their sum over the rows of the on-delay.
    sum: Vec<f64>,
    summed: u32,
    /// The failure mode of the standing alarm: decided when it rose, kept until it ends, so
    /// that a case does not change its name.
    pub(crate) mode: Option<(FailureMode, f64)>,
}

/// One sample on its way through the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at: i64,
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
    ) -> Option<Self> {
        let mut order: Vec<usize> = (0..names.len()).collect();
        // By name: the order in which signals happened to arrive must not change a rounding.
        order.sort_by(|a, b| names[*a].cmp(&names[*b]));
        let model = knowledge.model();
        let (from, to) = learned.span();
        let wanted = if names.iter().all(waves::is_feature) {
            waves::VIEWS
        } else {
            model.map_or(&[][..], |model| &model.detection.views)
        };
        let label = |value: &dyn Fn(usize) -> f64| operating.regime_of(value);
        let (regimes, carried) = Regimes::fit(learned, operating.regimes(), label);
        Some(Self {
            views: Views::fit(&carried, &order, wanted)?,
            metric: Metric::fit(&carried, &order),
            learned: (learned.rows(), from, to),
            sensors: SensorWatch::fit(learned, names, model),
            regimes,
            judged: OperatingState::Unknown,
            score: 0.0,
            alarm: Alarm::normal(to),
            prognoser: Prognoser::new(to),
            z: vec![0.0; names.len()],
            sum: vec![0.0; names.len()],
            summed: 0,
            mode: None,
        })
    }

    /// Takes a sample: the sensors first, then the machine as far as they can be believed.
    pub(crate) fn sample(
        &mut self,
        (config, knowledge): (&Config, &Knowledge),
        budget: &mut Budget,
        look: Look,
        value: impl Fn(usize) -> f64,
    ) -> Change {
        let Look { at, operating, .. } = look;
        let has = |bits: u64, slot: usize| bits >> slot & 1 == 1;
        let fresh = |slot: usize| {
            if has(look.fresh, slot) {
                value(slot)
            } else {
                f64::NAN
            }
        };
        let mut change = Change {
            sensors: self.sensors.update(at, operating, fresh),
            ..Change::default()
        };
        if !operating.has_baseline() {
            // There is nothing to compare with; the state stands as it is.
            return change;
        }
        let regime = regime_of(operating);
        let believed = look.live & !self.sensors.suspects();
        let believed = |slot: usize| {
            if has(believed, slot) {
                self.regimes.carry(regime, slot, value(slot))
            } else {
                f64::NAN
            }
        };
        let Some(score) = self.views.score(at, believed) else {
            return change;
        };
        budget.observe(config, at, score, self.views.is_held());
        (self.score, self.judged) = (score / budget.limit, operating);
        change.is_scored = true;
        change.state = self.judge(config, knowledge, at);
        if change.state && self.alarm.state == AlarmState::Alarm {
            budget.alarm();
        }
        change
    }

    /// From the score to the state, the failure mode, the health and the prognosis. True when
    /// the state changed.
    fn judge(&mut self, config: &Config, knowledge: &Knowledge, at: i64) -> bool {
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
        if is_rising {
            let rows = f64::from(self.summed.max(1));
            let mean: Vec<f64> = self.sum.iter().map(|sum| sum / rows).collect();
            self.mode = Some(knowledge.signatures().classify(&self.metric, &mean));
        } else if self.alarm.state != AlarmState::Alarm {
            self.mode = None;
        }
        let health = self.health().get();
        self.prognoser.observe(at, health, config.health_limit);
        changed
    }

    /// Time starts over: what hangs on the old time is forgotten, the normal stays.
    pub(crate) fn restart_time(&mut self, newest: i64) {
        self.prognoser = Prognoser::new(newest);
        self.alarm = Alarm::normal(newest);
        self.mode = None;
        self.sensors.forgive();
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
        self.health_of(self.score)
    }

    /// The health index of a score while the present state stands.
    pub(crate) fn health_of(&self, score: f64) -> HealthIndex {
        health::index(score, self.alarm.state == AlarmState::Alarm)
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.views.is_consistent(slots)
            && self.metric.is_consistent(slots)
            && self.sensors.is_consistent(slots)
            && self.regimes.is_consistent(slots)
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
