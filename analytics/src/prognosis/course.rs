//! The course of a life: its cycles, and what the promoted model says of them.
//!
//! The cycles since the life began are kept, so that a model that is promoted in the middle of
//! a life is shown its beginning; what would not fit is forgotten from the oldest on, and the
//! model is then told that the age is unknown. The model's own state needs no more than the
//! next row.
//!
//! A life begins with an order that repaired the machine, or where a record says so. Rows that
//! were measured before that belong to the life before and are left out.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};
use telemetry::{AssetId, DeviceId, NoPrognosis, Prognosis, PrognosisOutcome, Timestamp};

use super::{
    cycles::Cycle,
    diary::Diary,
    moment::{Counters, Moment, Past, RECENT},
    serving::{Forecaster, ModelId, Outlook},
};

/// A model needs this part of its signals; with fewer it would speak of means it filled in.
const NEEDED: f64 = 0.5;
/// The share of a new cycle in the usual calendar length of one: some thirty cycles count.
const PACE: f64 = 0.06;
/// A forecast is news when one of its dates moved by this part of the remaining life. As for
/// a trend.
const NEWS: f64 = 0.1;
/// So is one that says of a horizon that failure is so much more or less likely.
const NEWS_PROBABILITY: f64 = 0.1;
/// Codes kept for each cycle that is kept: a machine that says more has told enough.
const CODES_PER_CYCLE: usize = 4;
/// Most cycles between two words about a life whose forecast does not move.
const HEARTBEAT_CYCLES: u32 = 24;

/// What is saved of the life of one device's machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Course {
    /// When the life began, if that is known, microseconds.
    began: Option<i64>,
    /// The cycles since then, oldest first.
    cycles: VecDeque<Cycle>,
    /// Cycles that were forgotten.
    forgotten: u64,
    /// What the machine was used since the life began; none when it was not watched from there.
    counters: Option<Counters>,
    /// The error codes that the device itself said, in this life and before.
    heard: Diary,
    /// The usual calendar length of a cycle, seconds; 0 before the first.
    pace_s: f64,
    serving: Option<Serving>,
    said: Option<Said>,
}

/// The promoted model's view of the life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Serving {
    model: ModelId,
    state: Vec<u8>,
}

/// The last word. Saved as text: what a forecast holds grows, and text can be read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Said {
    outcome: String,
    cycles_since: u32,
}

/// Whose life it is, and how much of it may be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) asset: &'a AssetId,
    pub(crate) device: &'a DeviceId,
    /// Most cycles kept.
    pub(crate) most: usize,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            began: None,
            cycles: VecDeque::new(),
            forgotten: 0,
            counters: None,
            heard: Diary::new(0),
            pace_s: 0.0,
            serving: None,
            said: None,
        }
    }
}

impl Course {
    /// The device said an error code.
    pub(crate) fn hear(&mut self, at: i64, code: &str, most: usize) {
        let most = u32::try_from(most.saturating_mul(CODES_PER_CYCLE)).unwrap_or(u32::MAX);
        self.heard.keep(most);
        self.heard.code(at, code);
    }

    /// The codes the device said, as far as they are kept.
    pub(crate) fn heard(&self) -> &Diary {
        &self.heard
    }

    /// The cycles of this life, oldest first.
    pub(crate) fn cycles(&self) -> impl ExactSizeIterator<Item = &Cycle> {
        self.cycles.iter()
    }

    /// Cycles lived before the first that is kept; none when nobody knows. A life that was
    /// watched within a cycle of its beginning was watched from it.
    pub(crate) fn age(&self) -> Option<f64> {
        let first = self.cycles.front()?;
        let began = self.began?;
        let length = (first.to - first.from).max(1);
        let early = first.from.saturating_sub(began) <= length;
        (early && self.forgotten == 0).then_some(0.0)
    }

    /// Whether rows of this width were kept. Damaged bytes may decode and must not lead to a
    /// panic in a model.
    pub(crate) fn fits(&self, width: usize) -> bool {
        self.cycles.iter().all(|cycle| cycle.width() == width)
    }

    /// Another spec of cycles, or another asset: nothing of what was kept fits any more.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            began: self.began,
            heard: self.heard.clone(),
            ..Self::default()
        };
    }

    /// The life began at `at`: what was measured before belongs to another.
    pub(crate) fn begin(&mut self, at: i64, forecaster: Option<&Arc<dyn Forecaster>>) {
        if self.began.is_some_and(|began| began >= at) {
            return;
        }
        let lost = self.cycles.iter().take_while(|cycle| cycle.from < at);
        let lost = lost.count();
        self.cycles.drain(..lost);
        self.began = Some(at);
        if lost > 0 {
            self.forgotten = 0;
        }
        // Of cycles that were measured since, all are here unless some were forgotten.
        let whole = self.age().is_some();
        self.counters = whole.then(|| Counters {
            cycles: self.cycles.len() as u64,
            starts: self
                .cycles
                .iter()
                .map(|cycle| u64::from(cycle.starts))
                .sum(),
        });
        self.said = None;
        self.serve(forecaster);
    }

    /// Lets another model look at the life from its beginning; or none.
    pub(crate) fn serve(&mut self, forecaster: Option<&Arc<dyn Forecaster>>) {
        let age = self.age().or_else(|| self.fresh_age());
        self.serving = forecaster.map(|forecaster| {
            let mut state = forecaster.start(age);
            for cycle in &self.cycles {
                forecaster.push(&mut state, &cycle.row());
            }
            Serving {
                model: forecaster.id().clone(),
                state,
            }
        });
        if self.serving.is_none() {
            self.said = None;
        }
    }

    /// A life without a cycle yet that began at a known time starts at age 0.
    fn fresh_age(&self) -> Option<f64> {
        (self.cycles.is_empty() && self.forgotten == 0 && self.began.is_some()).then_some(0.0)
    }

    /// Whether this model is the one that serves.
    pub(crate) fn is_served_by(&self, forecaster: Option<&Arc<dyn Forecaster>>) -> bool {
        match (&self.serving, forecaster) {
            (Some(serving), Some(forecaster)) => serving.model == *forecaster.id(),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether a trained model speaks for this device, so that its trend keeps still.
    pub(crate) fn speaks(&self) -> bool {
        self.said.is_some()
    }

    /// Takes the next cycle; what there is to say after it.
    pub(crate) fn push(
        &mut self,
        of: Of<'_>,
        cycle: Cycle,
        (forecaster, written): (Option<&Arc<dyn Forecaster>>, Option<&Diary>),
    ) -> Option<PrognosisOutcome> {
        if self.began.is_some_and(|began| cycle.from < began) {
            return None;
        }
        let length_s = (cycle.to - cycle.from).max(1) as f64 / 1e6;
        self.pace_s = if self.pace_s > 0.0 {
            self.pace_s + PACE * (length_s - self.pace_s)
        } else {
            length_s
        };
        let (measured, at) = (cycle.measured(), cycle.to);
        let row = cycle.row();
        let starts = u64::from(cycle.starts);
        // The first cycle decides whether the life was watched from its beginning.
        let is_first = self.cycles.is_empty() && self.forgotten == 0;
        self.cycles.push_back(cycle);
        if is_first {
            self.counters = self.age().map(|_| Counters::default());
        }
        if let Some(counters) = &mut self.counters {
            counters.cycles += 1;
            counters.starts += starts;
        }
        while self.cycles.len() > of.most.max(1) {
            self.cycles.pop_front();
            self.forgotten += 1;
        }
        let forecaster = forecaster?;
        if is_first || self.serving.is_none() {
            self.serve(Some(forecaster));
        } else if let Some(serving) = &mut self.serving {
            forecaster.push(&mut serving.state, &row);
        }
        if measured < NEEDED {
            return None;
        }
        let outlook = self.outlook(at, &**forecaster, written);
        let mut told = self.say(of, at, outlook, (forecaster.id(), measured))?;
        if let (PrognosisOutcome::Forecast(forecast), Some(serving)) = (&mut told, &self.serving) {
            forecaster.explain(&serving.state, self.pace_s, &mut forecast.detail);
        }
        // A forecast holds finite numbers and names only, so it can be written.
        self.said = serde_json::to_string(&told).ok().map(|outcome| Said {
            outcome,
            cycles_since: 0,
        });
        Some(told)
    }

    /// Asks the model that serves.
    fn outlook(
        &self,
        at: i64,
        forecaster: &dyn Forecaster,
        written: Option<&Diary>,
    ) -> Option<Outlook> {
        let state = &self.serving.as_ref()?.state;
        let latest = self.cycles.len().saturating_sub(RECENT);
        let recent = self.cycles.range(latest..).map(|cycle| Past {
            at: cycle.to,
            values: cycle.values(),
        });
        let recent: Vec<Past<'_>> = recent.collect();
        let both = [&self.heard, written.unwrap_or(&self.heard)];
        let moment = Moment {
            at,
            began: self.began,
            counters: self.counters,
            recent: &recent,
            diaries: &both[..=usize::from(written.is_some())],
        };
        forecaster.outlook(state, self.pace_s, &moment)
    }

    /// What is to be said, when it is news.
    fn say(
        &mut self,
        of: Of<'_>,
        at: i64,
        outlook: Option<Outlook>,
        (model, measured): (&ModelId, f64),
    ) -> Option<PrognosisOutcome> {
        let window_from = self.cycles.front().map_or(at, |cycle| cycle.from);
        let outcome = match outlook {
            Some(outlook) => {
                PrognosisOutcome::Forecast(tell(of, at, window_from, outlook, (model, measured)))
            }
            None => PrognosisOutcome::None(NoPrognosis {
                asset: of.asset.clone(),
                device: of.device.clone(),
                at: Timestamp::from_micros(at),
                reason: "too_little_history".to_owned(),
            }),
        };
        let old = self.told();
        let is_news = match (&mut self.said, old) {
            (Some(said), Some(old)) => {
                said.cycles_since = said.cycles_since.saturating_add(1);
                moved(&old, &outcome) || said.cycles_since >= HEARTBEAT_CYCLES
            }
            _ => true,
        };
        if !is_news {
            return None;
        }
        Some(outcome)
    }

    /// The last word about this life.
    pub(crate) fn told(&self) -> Option<PrognosisOutcome> {
        let said = self.said.as_ref()?;
        serde_json::from_str(&said.outcome).ok()
    }
}

/// Whether a forecast says something else than the one before.
fn moved(old: &PrognosisOutcome, new: &PrognosisOutcome) -> bool {
    match (old, new) {
        (PrognosisOutcome::Forecast(old), PrognosisOutcome::Forecast(new)) => {
            let shift = |before: f64, now: f64| {
                new.date_of(now).secs_from(old.date_of(before)).abs()
                    > NEWS * new.rul_p50_s.max(1.0)
            };
            let chances = old.detail.within.iter().zip(&new.detail.within);
            let mut chances = chances.filter_map(|(old, new)| old.probability.zip(new.probability));
            old.model != new.model
                || chances.any(|(old, new)| (old - new).abs() > NEWS_PROBABILITY)
                || old.detail.notes != new.detail.notes
                || shift(old.rul_p10_s, new.rul_p10_s)
                || shift(old.rul_p50_s, new.rul_p50_s)
                || shift(old.rul_p90_s, new.rul_p90_s)
        }
        (PrognosisOutcome::None(old), PrognosisOutcome::None(new)) => old.reason != new.reason,
        _ => true,
    }
}

fn tell(
    of: Of<'_>,
    at: i64,
    window_from: i64,
    outlook: Outlook,
    (model, measured): (&ModelId, f64),
) -> Prognosis {
    let [p10, p50, p90] = outlook.quantiles_s;
    let mut detail = outlook.detail;
    detail.asset_model = Some(model.asset_model.clone());
    detail.version = Some(model.version);
    if measured < 1.0 {
        detail.notes.push("missing_signals".to_owned());
    }
    Prognosis {
        asset: of.asset.clone(),
        device: of.device.clone(),
        at: Timestamp::from_micros(at),
        model: format!("{}/{}", model.asset_model, model.version),
        family: outlook.family,
        limit: None,
        rul_p10_s: p10,
        rul_p50_s: p50,
        rul_p90_s: p90,
        loss_per_day: None,
        window_from: Timestamp::from_micros(window_from),
        p_value: None,
        detail,
    }
}
