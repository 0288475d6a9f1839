//! Which keys a kind of rule knows and which numbers they may have.

use std::{collections::BTreeMap, fmt::Display};

use telemetry::{Explanation, FailureMode, SensorState, Severity, Verdict};
use toml::Spanned;

use super::{
    parse::RawRule,
    rule::{Condition, Counted, Level, Override, Rule, State},
};

/// Longest time a rule may look back: memory does not grow with it, but a rule that speaks after
/// a quarter is no alarm.
const MAX_SECONDS: f64 = 90.0 * 86_400.0;
/// Most occurrences counted: their times are kept for each device.
pub(super) const MAX_COUNT: u32 = 64;
/// Longest id of a rule: it stands with a prefix where the name of a signal does.
const MAX_ID_BYTES: usize = 56;
/// Longest name in bytes: it stands in a line of a list.
const MAX_NAME_BYTES: usize = 200;

/// What was found, as offset into the text of the rule and message.
#[derive(Default)]
pub(super) struct Checks {
    pub(super) problems: Vec<(usize, String)>,
    /// Where the kind stands: what is missing has no place of its own.
    kind_at: usize,
}

impl Checks {
    pub(super) fn rule(&mut self, raw: RawRule, name: Explanation) -> Option<Rule> {
        self.kind_at = raw.kind.span().start;
        if raw.id.get_ref().as_str().len() > MAX_ID_BYTES {
            self.at(
                &raw.id,
                format!("an id of a rule has at most {MAX_ID_BYTES} characters"),
            );
        }
        for text in [&name.en, &name.zh] {
            if text.trim().is_empty() || text.len() > MAX_NAME_BYTES {
                self.at(
                    &raw.id,
                    format!("name_en and name_zh need 1 to {MAX_NAME_BYTES} bytes"),
                );
            }
        }
        self.foreign_keys(&raw);
        let on_delay_s = self.seconds(raw.on_delay_s.as_ref(), 0.0).unwrap_or(0.0);
        let off_delay_s = self.seconds(raw.off_delay_s.as_ref(), 0.0).unwrap_or(0.0);
        let condition = self.condition(&raw);
        let overrides = self.overrides(&raw.overrides, condition.as_ref());
        let mode = raw
            .failure_mode
            .clone()
            .unwrap_or_else(|| match raw.verdict {
                Verdict::Sensor => FailureMode::sensor_fault(),
                Verdict::Operating | Verdict::Machine => FailureMode::unclassified(),
            });
        Some(Rule {
            id: raw.id.into_inner(),
            name,
            enabled: raw.enabled,
            asset_models: raw.asset_models,
            assets: raw.assets,
            verdict: raw.verdict,
            failure_mode: mode,
            severity: raw.severity.unwrap_or(match raw.verdict {
                Verdict::Machine => Severity::Warning,
                Verdict::Sensor | Verdict::Operating => Severity::Watch,
            }),
            condition: condition?,
            on_delay_s,
            off_delay_s,
            schedule: raw.schedule,
            overrides,
        })
    }

    fn at<T>(&mut self, place: &Spanned<T>, message: String) {
        self.problems.push((place.span().start, message));
    }

    fn missing(&mut self, key: &str, kind: &str) {
        self.problems
            .push((self.kind_at, format!("a rule of kind {kind} needs {key}")));
    }

    /// Names the keys that this kind of rule would pass over.
    fn foreign_keys(&mut self, raw: &RawRule) {
        let kind = raw.kind.get_ref().as_str();
        let known: &[&str] = match kind {
            "threshold" => &["signal", "above", "below", "off"],
            "rate" => &["signal", "above", "below", "off", "over_s", "per_s"],
            "no_data" => &["signal", "for_s"],
            "state" => &["operating", "condition", "for_s"],
            "count" => &[
                "signal",
                "above",
                "below",
                "off",
                "operating",
                "condition",
                "within_s",
                "at_least",
            ],
            "zone" => &["signal", "zone"],
            "score" | "health" => &["above", "below", "off"],
            "sensor" => &["signal", "sensor", "faults"],
            "failure_within" => &["horizon_s", "above", "off"],
            _ => {
                self.at(&raw.kind, format!(
                    "{kind:?} is no kind of rule; use threshold, rate, no_data, state, count, zone, score, health, sensor or failure_within"
                ));
                return;
            }
        };
        for (key, at) in [
            ("signal", place(raw.signal.as_ref())),
            ("above", place(raw.above.as_ref())),
            ("below", place(raw.below.as_ref())),
            ("off", place(raw.off.as_ref())),
            ("over_s", place(raw.over_s.as_ref())),
            ("per_s", place(raw.per_s.as_ref())),
            ("for_s", place(raw.for_s.as_ref())),
            ("within_s", place(raw.within_s.as_ref())),
            ("at_least", place(raw.at_least.as_ref())),
            ("operating", place(raw.operating.as_ref())),
            ("condition", place(raw.condition.as_ref())),
            ("zone", place(raw.zone.as_ref())),
            ("sensor", place(raw.sensor.as_ref())),
            ("faults", place(raw.faults.as_ref())),
            ("horizon_s", place(raw.horizon_s.as_ref())),
        ] {
            if let Some(at) = at.filter(|_| !known.contains(&key)) {
                self.problems
                    .push((at, format!("a rule of kind {kind} has no {key}")));
            }
        }
    }

    fn condition(&mut self, raw: &RawRule) -> Option<Condition> {
        let kind = raw.kind.get_ref().clone();
        let signal = raw.signal.as_ref().map(|signal| signal.get_ref().clone());
        match kind.as_str() {
            "threshold" => Some(Condition::Threshold {
                signal: self.needs(signal, "signal", &kind)?,
                level: self.level(raw, 0.0)?,
            }),
            "rate" => Some(Condition::Rate {
                signal: self.needs(signal, "signal", &kind)?,
                level: self.level(raw, 0.0)?,
                over_s: self.needed_seconds(raw.over_s.as_ref(), "over_s", &kind)?,
                per_s: self.seconds(raw.per_s.as_ref(), 1e-3).unwrap_or(3_600.0),
            }),
            "no_data" => Some(Condition::NoData {
                signal,
                for_s: self.needed_seconds(raw.for_s.as_ref(), "for_s", &kind)?,
            }),
            "state" => Some(Condition::State {
                states: self.states(raw, &kind)?,
                for_s: self.needed_seconds(raw.for_s.as_ref(), "for_s", &kind)?,
            }),
            "count" => {
                let of = match signal {
                    Some(signal) => Counted::Crossings {
                        signal,
                        level: self.level(raw, 0.0)?,
                    },
                    None => Counted::States {
                        states: self.states(raw, &kind)?,
                    },
                };
                Some(Condition::Count {
                    of,
                    within_s: self.needed_seconds(raw.within_s.as_ref(), "within_s", &kind)?,
                    at_least: self.count(raw)?,
                })
            }
            "zone" => Some(Condition::Zone {
                signal: self.needs(signal, "signal", &kind)?,
                zone: *self.needs(raw.zone.as_ref(), "zone", &kind)?.get_ref(),
            }),
            "score" => Some(Condition::Score {
                level: self.level(raw, 0.2)?,
            }),
            "health" => Some(Condition::Health {
                level: self.level(raw, 0.0)?,
            }),
            "sensor" => {
                let states = raw.sensor.as_ref().map(|states| states.get_ref().clone());
                Some(Condition::Sensor {
                    signal,
                    states: states.unwrap_or_else(|| vec![SensorState::Faulty]),
                    faults: raw
                        .faults
                        .as_ref()
                        .map(|f| f.get_ref().clone())
                        .unwrap_or_default(),
                })
            }
            "failure_within" => Some(self.failure_within(raw, &kind)?),
            _ => None,
        }
    }

    fn failure_within(&mut self, raw: &RawRule, kind: &str) -> Option<Condition> {
        let above = self.needs(raw.above.as_ref(), "above", kind)?;
        if !(*above.get_ref() > 0.0 && *above.get_ref() < 1.0) {
            self.at(above, "a probability lies between 0 and 1".to_owned());
        }
        let horizon = self.needs(raw.horizon_s.as_ref(), "horizon_s", kind)?;
        if !(*horizon.get_ref() >= 3_600.0 && *horizon.get_ref() <= 10.0 * 366.0 * 86_400.0) {
            self.at(
                horizon,
                "a horizon is an hour to ten years, in seconds".to_owned(),
            );
        }
        Some(Condition::FailureWithin {
            horizon_s: *horizon.get_ref(),
            level: self.level(raw, 0.1)?,
        })
    }

    fn needs<T>(&mut self, value: Option<T>, key: &str, kind: &str) -> Option<T> {
        if value.is_none() {
            self.missing(key, kind);
        }
        value
    }

    /// `above` or `below` with `off`; without it the distance is this share of the level.
    fn level(&mut self, raw: &RawRule, band: f64) -> Option<Level> {
        let (value, above) = match (&raw.above, &raw.below) {
            (Some(above), None) => (above, true),
            (None, Some(below)) => (below, false),
            (Some(_), Some(below)) => {
                self.at(below, "a rule has above or below, not both".to_owned());
                return None;
            }
            (None, None) => {
                self.missing("above or below", raw.kind.get_ref());
                return None;
            }
        };
        let on = self.finite(value)?;
        let inward = if above { -1.0 } else { 1.0 };
        let off = match &raw.off {
            None => on + inward * band * on.abs(),
            Some(off) => {
                let number = self.finite(off)?;
                if (number - on) * inward < 0.0 {
                    let side = if above { "above" } else { "below" };
                    self.at(
                        off,
                        format!("off {number} lies on the wrong side of {side} {on}"),
                    );
                }
                number
            }
        };
        Some(Level { above, on, off })
    }

    fn finite(&mut self, value: &Spanned<f64>) -> Option<f64> {
        let number = *value.get_ref();
        if !number.is_finite() {
            self.at(value, "must be a finite number".to_owned());
        }
        number.is_finite().then_some(number)
    }

    fn seconds(&mut self, value: Option<&Spanned<f64>>, least: f64) -> Option<f64> {
        let value = value?;
        let number = *value.get_ref();
        if !(number >= least && number <= MAX_SECONDS) {
            self.at(value, format!("must be {least} to {MAX_SECONDS} seconds"));
        }
        Some(number)
    }

    fn needed_seconds(
        &mut self,
        value: Option<&Spanned<f64>>,
        key: &str,
        kind: &str,
    ) -> Option<f64> {
        let value = self.needs(value, key, kind)?;
        self.seconds(Some(value), 1.0)
    }

    fn count(&mut self, raw: &RawRule) -> Option<u32> {
        let value = self.needs(raw.at_least.as_ref(), "at_least", "count")?;
        let number = *value.get_ref();
        if !(1..=MAX_COUNT).contains(&number) {
            self.at(value, format!("must be 1 to {MAX_COUNT}"));
        }
        Some(number)
    }

    fn states(&mut self, raw: &RawRule, kind: &str) -> Option<Vec<State>> {
        let operating = raw.operating.iter().flat_map(Spanned::get_ref);
        let condition = raw.condition.iter().flat_map(Spanned::get_ref);
        let states: Vec<State> = operating
            .map(|state| State::Operating(*state))
            .chain(condition.map(|state| State::Condition(*state)))
            .collect();
        self.needs(
            (!states.is_empty()).then_some(states),
            "operating or condition",
            kind,
        )
    }

    fn overrides<K: Ord + Clone + Display>(
        &mut self,
        raw: &BTreeMap<K, Spanned<Override>>,
        condition: Option<&Condition>,
    ) -> BTreeMap<K, Override> {
        for (asset, own) in raw {
            let text = own.get_ref();
            let seconds = [text.on_delay_s, text.off_delay_s, text.for_s];
            let level = condition.and_then(level_of);
            let wrong = if seconds
                .iter()
                .flatten()
                .any(|s| !(*s >= 0.0 && *s <= MAX_SECONDS))
            {
                Some(format!("seconds must be 0 to {MAX_SECONDS}"))
            } else if [text.on, text.off]
                .iter()
                .flatten()
                .any(|one| !one.is_finite())
            {
                Some("on and off must be finite numbers".to_owned())
            } else if text
                .at_least
                .is_some_and(|count| !(1..=MAX_COUNT).contains(&count))
            {
                Some(format!("at_least must be 1 to {MAX_COUNT}"))
            } else if (text.on.is_some() || text.off.is_some()) && level.is_none() {
                Some("this kind of rule has no level".to_owned())
            } else if level.is_some_and(|level| level.is_crossed_by(*text)) {
                Some("off lies on the wrong side of the level".to_owned())
            } else {
                None
            };
            if let Some(wrong) = wrong {
                self.at(own, format!("override for {asset}: {wrong}"));
            }
        }
        let taken = raw
            .iter()
            .map(|(asset, own)| (asset.clone(), *own.get_ref()));
        taken.collect()
    }
}

fn place<T>(value: Option<&Spanned<T>>) -> Option<usize> {
    value.map(|value| value.span().start)
}

impl Level {
    fn is_crossed_by(self, own: Override) -> bool {
        let on = own.on.unwrap_or(self.on);
        let off = own.off.unwrap_or(on + self.off - self.on);
        if self.above { off > on } else { off < on }
    }
}

fn level_of(condition: &Condition) -> Option<Level> {
    match condition {
        Condition::Threshold { level, .. }
        | Condition::Rate { level, .. }
        | Condition::Score { level }
        | Condition::Health { level }
        | Condition::FailureWithin { level, .. }
        | Condition::Count {
            of: Counted::Crossings { level, .. },
            ..
        } => Some(*level),
        _ => None,
    }
}
