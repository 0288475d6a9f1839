//! Fixed limits: what an engineer or a standard says about a signal, learned from nothing.
//!
//! Each bound has a level that is crossed (`on`) and one at which the crossing ends (`off`),
//! and each of the two must hold for a time of its own. As nothing is learned, bounds are
//! watched from the first row on, also while a normal is learned.
//!
//! | a value | the bound |
//! |---|---|
//! | beyond `on`, not yet for the on-delay | an alarm's is a watch; a watch's is nothing yet |
//! | beyond `on` for the on-delay | is crossed, since the first of these rows |
//! | between `off` and `on` | stays as it is; delays that had begun are over |
//! | on the good side of `off` for the off-delay | is over, since the first of these rows |
//! | missing, or in doubt for a moment | stays as it is |
//! | of a sensor that is not believed | is over: it says nothing about the machine |
//! | while the machine does not run | stays as it is, unless the bound is for always |
//!
//! Values are those that were measured, not smoothed: the delay is the smoothing, and it is
//! the one that was asked for. The score lies on the scale of the other detectors: 1 at
//! `on`, [`OFF_SCORE`] at `off`, straight between and beyond.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, Limit, LimitState, SignalName, ViewScore};

use super::alarm::State;
use crate::{Feature, manipulation::features::place_of, news};

/// The name in evidence of what was asked.
pub(crate) const NAME: &str = "limits/1";
/// What the name of a view begins with that is a fixed limit; the signal follows.
pub(crate) const ABOVE: &str = "limit_above:";
pub(crate) const BELOW: &str = "limit_below:";
const VERSION: u32 = 1;
/// The score at which a crossing may end, as everywhere in the chain.
const OFF_SCORE: f64 = 0.8;
/// Without hysteresis the score still needs a scale: this share of the limit, or 1 of its unit
/// for a limit at zero, stands for the distance between the levels.
const SHARE: f64 = 0.05;
/// Scores end here: further beyond a limit says nothing more.
const MOST: f64 = 100.0;
/// Decimals of a value in evidence, as a share of the distance between the levels.
const TOLD: f64 = 0.2;

/// A limit of one signal, or of a feature of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bound {
    name: SignalName,
    slot: usize,
    feature: Option<Feature>,
    is_above: bool,
    on: f64,
    off: f64,
    /// Microseconds.
    on_delay: i64,
    off_delay: i64,
    is_alarm: bool,
    always: bool,
}

impl Bound {
    fn new(limit: &Limit, model: &AssetModel, signals: &[SignalName]) -> Option<Self> {
        let (slot, feature) = place_of(&limit.signal, model, signals)?;
        let on = limit.above.or(limit.below)?;
        let micros = |seconds: f64| (seconds * 1e6) as i64;
        Some(Self {
            name: limit.signal.clone(),
            slot,
            feature,
            is_above: limit.above.is_some(),
            on,
            off: limit.off.unwrap_or(on),
            on_delay: micros(limit.on_delay_s),
            off_delay: micros(limit.off_delay_s),
            is_alarm: limit.state == LimitState::Alarm,
            always: limit.always,
        })
    }

    /// The distance between the two levels, above 0.
    fn span(&self) -> f64 {
        let span = (self.on - self.off).abs();
        let least = SHARE * self.on.abs();
        match (span > 0.0, least > 0.0) {
            (true, _) => span,
            (_, true) => least,
            _ => 1.0,
        }
    }

    /// How far a value is beyond a level; below 0 on its good side.
    fn beyond(&self, value: f64, level: f64) -> f64 {
        if self.is_above {
            value - level
        } else {
            level - value
        }
    }

    /// How near a value is to the limit; 1 is the limit.
    fn score(&self, value: f64) -> f64 {
        let beyond = self.beyond(value, self.on) / self.span();
        (1.0 + beyond * (1.0 - OFF_SCORE)).clamp(0.0, MOST)
    }
}

/// A bound on its course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Course {
    bound: Bound,
    is_crossed: bool,
    since: i64,
    /// Since when values argue for a change.
    turning: Option<i64>,
    value: f64,
}

impl Course {
    fn new(bound: Bound) -> Self {
        Self {
            bound,
            is_crossed: false,
            since: 0,
            turning: None,
            value: f64::NAN,
        }
    }

    /// Takes a value that is there.
    fn take(&mut self, at: i64, value: f64) {
        self.value = value;
        let bound = &self.bound;
        let (turns, delay) = if self.is_crossed {
            // Without hysteresis the limit itself is on the good side.
            (bound.beyond(value, bound.off) <= 0.0, bound.off_delay)
        } else {
            (bound.beyond(value, bound.on) > 0.0, bound.on_delay)
        };
        if !turns {
            self.turning = None;
            return;
        }
        let from = *self.turning.get_or_insert(at);
        if at.saturating_sub(from) >= delay {
            (self.is_crossed, self.since, self.turning) = (!self.is_crossed, from, None);
        }
    }

    /// Over, because nothing can be said.
    fn end(&mut self, at: i64) {
        if self.is_crossed {
            (self.is_crossed, self.since) = (false, at);
        }
        self.turning = None;
    }

    fn state(&self) -> (State, i64) {
        match (self.is_crossed, self.turning) {
            (true, _) if self.bound.is_alarm => (State::Alarm, self.since),
            (true, _) => (State::Watch, self.since),
            (false, Some(from)) if self.bound.is_alarm => (State::Watch, from),
            (false, _) => (State::Normal, self.since),
        }
    }
}

/// What the fixed limits of a device say together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Raised {
    pub(crate) state: State,
    pub(crate) since: i64,
    /// The highest score of those that are crossed or about to be; 0 when there is none.
    pub(crate) score: f64,
}

impl Raised {
    /// Nothing to say since then.
    pub(crate) const fn nothing(since: i64) -> Self {
        Self {
            state: State::Normal,
            since,
            score: 0.0,
        }
    }
}

/// The fixed limits of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds(Vec<Course>);

impl Bounds {
    /// Uses the limits of a model for signals by slot; those that stay as they were go on.
    pub(crate) fn bind(&mut self, model: Option<&AssetModel>, signals: &[SignalName]) {
        let limits = model.map_or(&[][..], |model| &model.detection.limits);
        let bounds = limits
            .iter()
            .filter_map(|limit| Bound::new(limit, model?, signals));
        let course = |bound: Bound| {
            let known = self.0.iter().find(|course| course.bound == bound);
            known.cloned().unwrap_or_else(|| Course::new(bound))
        };
        self.0 = bounds.map(course).collect();
    }

    /// Takes a sample. `is_judged` tells whether the machine is in a state that is judged,
    /// `is_bad` whether there is a verdict against the sensor of a slot; `value` is NaN where
    /// there is none, or none to go by.
    pub(crate) fn update(
        &mut self,
        at: i64,
        (is_judged, is_bad): (bool, impl Fn(usize) -> bool),
        value: impl Fn(usize, Option<Feature>) -> f64,
    ) {
        for course in &mut self.0 {
            let slot = course.bound.slot;
            if is_bad(slot) {
                course.end(at);
            } else if !is_judged && !course.bound.always {
                course.turning = None;
            } else {
                let value = value(slot, course.bound.feature);
                if !value.is_nan() {
                    course.take(at, value);
                }
            }
        }
    }

    /// What they say together.
    pub(crate) fn raised(&self) -> Raised {
        let mut all = Raised::nothing(i64::MIN);
        for course in &self.0 {
            let (state, since) = course.state();
            // The worst state since the first that said so; all is well since the last was.
            all.since = match state.cmp(&all.state) {
                std::cmp::Ordering::Less => all.since,
                std::cmp::Ordering::Greater => since,
                std::cmp::Ordering::Equal if state == State::Normal => all.since.max(since),
                std::cmp::Ordering::Equal => all.since.min(since),
            };
            all.state = all.state.max(state);
            if state != State::Normal {
                all.score = all.score.max(course.bound.score(course.value));
            }
        }
        all
    }

    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which way a crossed limit says that a signal went, for naming what fails.
    pub(crate) fn direction(&self, slot: usize) -> Option<f64> {
        let crossed = self.0.iter().find(|course| {
            course.is_crossed && course.bound.slot == slot && course.bound.feature.is_none()
        })?;
        Some(if crossed.bound.is_above { 1.0 } else { -1.0 })
    }

    /// The limits that are crossed or about to be, each with its value and its level.
    pub(crate) fn told(&self) -> impl Iterator<Item = ViewScore> {
        let raised = |course: &&Course| course.state().0 != State::Normal;
        self.0.iter().filter(raised).map(|course| {
            let bound = &course.bound;
            let side = if bound.is_above { ABOVE } else { BELOW };
            let decimals = news::decimals_of(TOLD * bound.span());
            ViewScore {
                view: format!("{side}{}", bound.name),
                version: VERSION,
                score: news::round(course.value, decimals),
                limit: bound.on,
            }
        })
    }

    /// Time starts over: what hangs on the old time is forgotten.
    pub(crate) fn restart(&mut self, newest: i64) {
        for course in &mut self.0 {
            (course.is_crossed, course.since, course.turning) = (false, newest, None);
        }
    }

    /// Whether a state that came from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        self.0.len() <= telemetry::MAX_LIMITS
            && self.0.iter().all(|course| course.bound.slot < slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(limit: &serde_json::Value) -> Bounds {
        let model: AssetModel = serde_json::from_value(serde_json::json!({
            "id": "pump", "name_en": "Pump", "name_zh": "泵",
            "signals": [{"name": "t", "unit": "degC", "label_en": "", "label_zh": ""}],
            "detection": {"limits": [limit]}
        }))
        .unwrap();
        model.check().unwrap();
        let mut bounds = Bounds::default();
        bounds.bind(Some(&model), &[SignalName::new("t").unwrap()]);
        bounds
    }

    #[test]
    fn scores_are_one_at_on_and_the_common_end_at_off() {
        for (limit, scores) in [
            (
                serde_json::json!({"signal": "t", "above": 80.0, "off": 70.0}),
                vec![
                    (80.0, 1.0),
                    (70.0, 0.8),
                    (90.0, 1.2),
                    (-1e9, 0.0),
                    (1e300, MOST),
                ],
            ),
            (
                serde_json::json!({"signal": "t", "below": 1.0, "off": 1.5}),
                vec![(1.0, 1.0), (1.5, 0.8), (0.5, 1.2), (9.0, 0.0)],
            ),
            (
                serde_json::json!({"signal": "t", "above": 80.0}),
                vec![(80.0, 1.0), (76.0, 0.8), (84.0, 1.2)],
            ),
            (
                serde_json::json!({"signal": "t", "below": 0.0}),
                vec![(0.0, 1.0), (1.0, 0.8)],
            ),
        ] {
            let bounds = bounds(&limit);
            for (x, expected) in scores {
                let got = bounds.0[0].bound.score(x);
                assert!((got - expected).abs() < 1e-12, "{limit} {x}: {got}");
            }
        }
    }

    /// The states after each value, a row a second, one letter each, and the last `since`.
    fn run(limit: &serde_json::Value, values: &[f64]) -> (String, i64) {
        let mut bounds = bounds(limit);
        let mut states = String::new();
        for (at, value) in values.iter().enumerate() {
            bounds.update(at as i64 * 1_000_000, (true, |_| false), |_, _| *value);
            states.push(match bounds.raised().state {
                State::Normal => 'n',
                State::Watch => 'w',
                State::Alarm => 'A',
            });
        }
        (states, bounds.raised().since / 1_000_000)
    }

    #[test]
    fn levels_and_delays_lead_through_the_states() {
        const GONE: f64 = f64::NAN;
        let limit = serde_json::json!({"signal": "t", "above": 80.0, "off": 70.0,
            "on_delay_s": 2.0, "off_delay_s": 1.0});
        let watch =
            serde_json::json!({"signal": "t", "above": 80.0, "on_delay_s": 1.0, "state": "watch"});
        let low = serde_json::json!({"signal": "t", "below": 5.0});
        for (limit, values, states, since) in [
            (&limit, &[80.0, 81.0, 79.0, 81.0][..], "nwnw", 3),
            (&limit, &[81.0, 81.0, 81.0, 75.0, 75.0], "wwAAA", 0),
            (&limit, &[81.0, GONE, 81.0, 70.0, GONE, 70.0], "wwAAAn", 3),
            (&limit, &[81.0, 81.0, 81.0, 70.0, 71.0, 70.0], "wwAAAA", 0),
            (&watch, &[81.0, 81.0, 80.0], "nwn", 2),
            (&low, &[5.0, 4.9, f64::NEG_INFINITY, 5.0], "nAAn", 3),
        ] {
            assert_eq!(run(limit, values), (states.to_owned(), since), "{values:?}");
        }
    }

    #[test]
    fn a_sensor_that_is_not_believed_and_a_machine_that_stands_still_cross_nothing() {
        for (always, judged, bad, state) in [
            (false, true, false, State::Alarm),
            (false, false, false, State::Normal),
            (true, false, false, State::Alarm),
            (true, true, true, State::Normal),
        ] {
            let limit = serde_json::json!({"signal": "t", "above": 80.0, "always": always});
            let mut bounds = bounds(&limit);
            bounds.update(0, (judged, |_| bad), |_, _| 99.0);
            assert_eq!(bounds.raised().state, state, "{always} {judged} {bad}");
        }
        let mut bounds = bounds(&serde_json::json!({"signal": "t", "above": 80.0}));
        bounds.update(0, (true, |_| false), |_, _| 99.0);
        bounds.update(1, (false, |_| false), |_, _| 0.0);
        assert_eq!(bounds.raised().state, State::Alarm, "it stands");
        assert_eq!(bounds.direction(0), Some(1.0));
        let told: Vec<_> = bounds
            .told()
            .map(|view| (view.view, view.score, view.limit))
            .collect();
        assert_eq!(told, [("limit_above:t".to_owned(), 99.0, 80.0)]);
        bounds.update(2, (false, |_| true), |_, _| 99.0);
        assert_eq!(bounds.raised().state, State::Normal, "the sensor failed");
        assert!(bounds.is_consistent(1) && !bounds.is_consistent(0));
    }
}
