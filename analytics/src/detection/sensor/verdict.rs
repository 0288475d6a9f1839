//! A verdict with a memory: it comes quickly, becomes firm with evidence or time, and goes only
//! after the sensor has been good for a while.

use serde::{Deserialize, Serialize};
use telemetry::{SensorFault, SensorState};

/// Evidence beyond this many limits makes a suspect faulty at once, …
const FIRM: f64 = 2.0;
/// … and so do this many samples beyond the limit.
const FIRM_SAMPLES: u16 = 30;
/// Evidence below this part of the limit is calm, …
const CALM: f64 = 0.5;
/// … and this many calm samples end a verdict.
const CALM_SAMPLES: u16 = 20;

/// What speaks against a sensor, counted in limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Evidence {
    worst: Option<SensorFault>,
    size: f64,
    expected: f64,
    /// It may as well be the machine's.
    is_lone: bool,
}

impl Evidence {
    /// Whether anything has reached its limit.
    pub(super) fn is_strong(&self) -> bool {
        self.size >= 1.0
    }

    /// Keeps the strongest; `size` 1 is the limit, NaN is none. `expected` is what the sensor
    /// should have shown, NaN when nothing particular.
    pub(super) fn weigh(&mut self, fault: SensorFault, size: f64, expected: f64) {
        if size > self.size || (self.is_lone && size >= 1.0) {
            (self.worst, self.size, self.expected) = (Some(fault), size, expected);
            self.is_lone = false;
        }
    }

    /// The same of what nothing else could confirm or deny: it is said, as a suspicion, and takes
    /// nothing out. Whatever is surely the sensor's is told before it.
    pub(super) fn weigh_lone(&mut self, fault: SensorFault, size: f64, expected: f64) {
        if size >= 1.0 && self.size < 1.0 {
            (self.worst, self.size, self.expected) = (Some(fault), size, expected);
            self.is_lone = true;
        }
    }
}

/// The verdict on one sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it can be believed.
    pub state: SensorState,
    /// What is wrong with it; of one that has just become good again, what was.
    pub fault: Option<SensorFault>,
    /// When the state began, microseconds of event time; 0 when it was always good.
    pub since: i64,
    /// How strong the evidence is: 1 − 2^(−e), where e counts limits. 0.5 at the limit,
    /// 0.75 at twice the limit. It orders verdicts and is no probability.
    pub confidence: f64,
    /// The value that told; NaN when there was none.
    pub value: f64,
    /// What was expected instead; NaN when nothing particular was.
    pub expected: f64,
    /// Whether state or fault has changed in the last sample.
    pub is_new: bool,
    /// It may as well be the machine's, so the signal stays in the machine's verdict.
    is_lone: bool,
    beyond: u16,
    calm: u16,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            state: SensorState::Good,
            fault: None,
            since: 0,
            confidence: 0.0,
            value: f64::NAN,
            expected: f64::NAN,
            is_new: false,
            is_lone: false,
            beyond: 0,
            calm: 0,
        }
    }
}

impl Verdict {
    /// Whether there is one against the sensor, and not one that may as well be the machine's.
    pub fn is_against(&self) -> bool {
        self.state != SensorState::Good && !self.is_lone
    }

    /// Whether the signal must stay out of the machine's verdict.
    pub fn takes_out(&self) -> bool {
        self.is_against() && !matches!(self.fault, Some(SensorFault::Gap | SensorFault::Clock))
    }

    /// Takes the evidence of one sample. True when state or fault changed.
    pub(super) fn settle(&mut self, at: i64, evidence: Evidence, value: f64) -> bool {
        let before = (self.state, self.fault);
        if evidence.size >= 1.0 {
            self.beyond = self.beyond.saturating_add(1);
            self.calm = 0;
            self.is_lone = evidence.is_lone && self.state != SensorState::Faulty;
            let firm = evidence.size >= FIRM || self.beyond >= FIRM_SAMPLES;
            let firm = firm && !evidence.is_lone;
            if self.state != SensorState::Faulty || self.fault == evidence.worst {
                // A suspect takes the name of what is strongest; a faulty one keeps its name.
                self.fault = evidence.worst;
                self.confidence = 1.0 - (-evidence.size).exp2();
                (self.value, self.expected) = (value, evidence.expected);
            }
            if firm {
                self.state = SensorState::Faulty;
            } else if self.state == SensorState::Good {
                self.state = SensorState::Suspect;
            }
        } else {
            self.beyond = 0;
            let calm = if evidence.size < CALM {
                self.calm.saturating_add(1)
            } else {
                0
            };
            self.calm = calm;
            if self.state != SensorState::Good && calm >= CALM_SAMPLES {
                self.state = SensorState::Good;
                self.is_lone = false;
                self.confidence = 0.0;
            } else if self.state == SensorState::Good {
                self.fault = None;
            }
        }
        self.is_new =
            self.state != before.0 || (self.fault != before.1 && self.state != SensorState::Good);
        if self.state != before.0 {
            self.since = at;
        }
        self.is_new
    }
}
