//! The two stages of a device: learning its baseline, then watching it against the baseline.

use serde::{Deserialize, Serialize};
use telemetry::{FailureMode, HealthIndex, SignalName};

use crate::{
    Config,
    detection::{
        alarm::{Alarm, State as AlarmState},
        baseline::Baseline,
        learning::Learning,
        scorer::{SMOOTHING, Scorer},
        signature::Signatures,
    },
    health,
    prognosis::Prognoser,
};

/// Learning, then watching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    Learning {
        learning: Learning,
        /// Per slot: smoothed value and number of values in it.
        smooth: Vec<(f64, u32)>,
    },
    Watching(Box<Watching>),
}

/// A device with a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watching {
    pub(crate) scorer: Scorer,
    pub(crate) alarm: Alarm,
    pub(crate) prognoser: Prognoser,
    /// Sum of the deviations over the rows of the on-delay.
    pub(crate) sum: Vec<f64>,
    pub(crate) summed: u32,
    /// The failure mode of the standing alarm: decided when it rose, kept until it ends, so
    /// that a case does not change its name.
    pub(crate) mode: Option<(FailureMode, f64)>,
}

impl Watching {
    /// Scores a sample. None when it holds too little; else whether the state changed.
    pub(crate) fn sample(
        &mut self,
        config: &Config,
        signatures: &Signatures,
        at: i64,
        value: impl Fn(usize) -> f64,
    ) -> Option<bool> {
        let score = self.scorer.score(value)?.score;
        let changed = self.alarm.next(at, score, config);
        let rows_over = self.alarm.rows_over();
        let rising = changed && self.alarm.state == AlarmState::Alarm;
        if rows_over <= 1 && !rising {
            self.sum.fill(0.0);
            self.summed = 0;
        }
        if rows_over > 0 || rising {
            for (sum, z) in self.sum.iter_mut().zip(self.scorer.deviations()) {
                *sum += z;
            }
            self.summed += 1;
        }
        if rising {
            let rows = f64::from(self.summed.max(1));
            self.mode = Some(signatures.classify(self.sum.iter().map(|sum| sum / rows)));
        } else if self.alarm.state != AlarmState::Alarm {
            self.mode = None;
        }
        let health = self.health().get();
        self.prognoser.observe(at, health, config.health_limit);
        Some(changed)
    }

    /// The health index as of the last sample.
    pub(crate) fn health(&self) -> HealthIndex {
        let is_alarm = self.alarm.state == AlarmState::Alarm;
        health::index(self.scorer.last.score, is_alarm)
    }
}

/// Smooths a sample in and keeps it. True when there are enough.
pub(crate) fn learn(
    learning: &mut Learning,
    smooth: &mut [(f64, u32)],
    at: i64,
    value: impl Fn(usize) -> f64,
) -> bool {
    for (slot, (smoothed, count)) in smooth.iter_mut().enumerate() {
        let x = value(slot);
        if x.is_nan() {
            continue;
        }
        *count = count.saturating_add(1);
        // A mean at first, so that the first value alone does not set the level.
        *smoothed += (1.0 / f64::from(*count)).max(SMOOTHING) * (x - *smoothed);
    }
    learning.push(at, |slot| seen(&smooth[slot], value(slot)))
}

fn seen(smooth: &(f64, u32), value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { smooth.0 }
}

/// The stage after learning: watching, or learning again when nothing could be learned.
pub(crate) fn finish(learning: &Learning, smooth: &[(f64, u32)], names: &[SignalName]) -> Stage {
    let (columns, at) = (learning.columns(), learning.to);
    let span = (learning.rows, learning.from, learning.to);
    let Some(baseline) = Baseline::fit(columns, names, span) else {
        return Stage::Learning {
            learning: Learning::new(learning.needed, columns.len()),
            smooth: smooth.to_vec(),
        };
    };
    let signals = baseline.signals.len();
    let level = |slot: usize| match smooth[slot] {
        (_, 0) => f64::NAN,
        (smoothed, _) => smoothed,
    };
    Stage::Watching(Box::new(Watching {
        scorer: Scorer::new(baseline, level),
        alarm: Alarm::normal(at),
        prognoser: Prognoser::new(at),
        sum: vec![0.0; signals],
        summed: 0,
        mode: None,
    }))
}
