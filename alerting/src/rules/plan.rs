//! The rules of one device as they are asked: made once for each kind of machine, and for each
//! asset that a rule names.

use telemetry::{AssetId, AssetModel, SignalName, VibrationLimits};

use super::{
    rule::{Condition, Counted, Level, Operating, Rule, ZoneLetter},
    words::Label,
};

/// The level at which a zone is over, as a share of where it begins: vibration wanders by a few
/// percent from hour to hour.
const ZONE_OFF: f64 = 0.9;
/// Microseconds.
const SECOND: f64 = 1e6;

/// A rule on one device.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rule: Rule,
    pub(super) version: u32,
    /// The signal's place among those of the plan.
    pub(super) slot: Option<usize>,
    pub(super) label: Option<Label>,
    pub(super) delays: (i64, i64),
    /// The operating states in which it judges, a bit each; 0 is all.
    states: u8,
    /// The level that is in force, where the kind has one.
    pub(super) level: Option<Level>,
    /// The seconds of silence, of a state or of a window, in microseconds.
    pub(super) span: i64,
}

impl Watch {
    /// Whether it judges in this operating state.
    pub(super) fn judges(&self, state: Operating) -> bool {
        self.states == 0 || self.states >> (state as u8) & 1 == 1
    }

    /// Whether it waits for data that do not come.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self.rule.condition, Condition::NoData { .. })
    }
}

/// What is asked of a device.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) watches: Vec<Watch>,
    /// The signals that are looked at.
    pub(super) signals: Vec<SignalName>,
    /// Whether any rule waits for data that do not come.
    pub(super) has_silence: bool,
    /// Whether any rule looks at rows.
    pub(super) has_rows: bool,
}

fn micros(seconds: f64) -> i64 {
    (seconds * SECOND) as i64
}

impl Plan {
    /// Adds a rule, if it is for this asset.
    pub(super) fn add(
        &mut self,
        (rule, version, factor): (&Rule, u32, f64),
        asset: &AssetId,
        model: Option<&AssetModel>,
    ) {
        if !rule.covers(asset, model.map(|model| &model.id)) {
            return;
        }
        let Some(rule) = rule.for_asset(asset).map(|rule| rule.scaled(factor)) else {
            return;
        };
        let limits = model.and_then(|model| model.machine.as_ref()?.limits());
        let (level, span) = match &rule.condition {
            Condition::Zone { zone, .. } => {
                let Some(limits) = limits else {
                    return;
                };
                (Some(zone_level(limits, *zone, factor)), 0)
            }
            Condition::Threshold { level, .. }
            | Condition::Score { level }
            | Condition::Health { level }
            | Condition::FailureWithin { level, .. } => (Some(*level), 0),
            Condition::Rate { level, over_s, .. } => (Some(*level), micros(*over_s)),
            Condition::NoData { for_s, .. } | Condition::State { for_s, .. } => {
                (None, micros(*for_s))
            }
            Condition::Count { of, within_s, .. } => {
                let level = match of {
                    Counted::Crossings { level, .. } => Some(*level),
                    Counted::States { .. } => None,
                };
                (level, micros(*within_s))
            }
            Condition::Sensor { .. } => (None, 0),
        };
        self.has_silence |= matches!(rule.condition, Condition::NoData { .. });
        let signal = rule.condition.signal().cloned();
        let of_rows = !matches!(rule.condition, Condition::Sensor { .. });
        let slot = signal
            .as_ref()
            .filter(|_| of_rows)
            .map(|name| self.slot(name));
        self.has_rows |= !matches!(
            rule.condition,
            Condition::NoData { .. } | Condition::Sensor { .. }
        );
        let bit = |states: u8, state: &Operating| states | 1 << (*state as u8);
        self.watches.push(Watch {
            version,
            slot,
            label: signal.as_ref().map(|signal| label(signal, model)),
            delays: (micros(rule.on_delay_s), micros(rule.off_delay_s)),
            states: rule.schedule.iter().fold(0, bit),
            level,
            span,
            rule,
        });
    }

    fn slot(&mut self, signal: &SignalName) -> usize {
        let known = self.signals.iter().position(|known| known == signal);
        known.unwrap_or_else(|| {
            self.signals.push(signal.clone());
            self.signals.len() - 1
        })
    }
}

fn label(signal: &SignalName, model: Option<&AssetModel>) -> Label {
    let spec = model.and_then(|model| model.signal(signal));
    spec.map_or_else(
        || Label::of_name(signal),
        |spec| Label {
            en: spec.label_en.clone(),
            zh: spec.label_zh.clone(),
            unit: Some(spec.unit),
        },
    )
}

fn zone_level(limits: VibrationLimits, zone: ZoneLetter, factor: f64) -> Level {
    let place = match zone {
        ZoneLetter::B => 0,
        ZoneLetter::C => 1,
        ZoneLetter::D => 2,
    };
    let on = limits.velocity_mm_s[place] * factor;
    Level {
        above: true,
        on,
        off: on * ZONE_OFF,
    }
}
