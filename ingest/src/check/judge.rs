//! Goes over the rows of one message: converts units, takes out what is refused, counts the rest.

use telemetry::{
    DeadLetterReason as Reason, DeviceId, Event, RowDraft, SignalLimits, SignalName, Timestamp,
    Unit, UnitError,
};

use super::{
    Checks,
    device::{DeviceState, Jump, Slot},
};
use crate::decode::{Refusals, quote};

/// Readings in a row that must agree on a new level before a jump to it is believed: one and
/// two are what a loose plug gives, three say that the machine has changed.
const RATE_CONFIRMATIONS: u32 = 3;

/// A unit that came with a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToldUnit {
    Known(Unit),
    /// As it was written.
    Unknown(Box<str>),
}

/// Which value of the batch came with a unit of its own.
#[derive(Debug)]
pub(crate) struct Told {
    /// The position of the value in the batch.
    pub(crate) value: usize,
    pub(crate) unit: ToldUnit,
}

impl ToldUnit {
    pub(crate) fn read(text: &str) -> Self {
        match Unit::parse(text) {
            Ok(unit) => Self::Known(unit),
            Err(_) => Self::Unknown(text.chars().take(40).collect()),
        }
    }
}

/// What was stored all the same, by check.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) late: u64,
    pub(crate) duplicate: u64,
    pub(crate) out_of_order: u64,
    pub(crate) stuck: u64,
}

impl Noted {
    /// The counts of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            late: self.late + other.late,
            duplicate: self.duplicate + other.duplicate,
            out_of_order: self.out_of_order + other.out_of_order,
            stuck: self.stuck + other.stuck,
        }
    }
}

/// The late readings of one device in one message.
#[derive(Debug)]
struct Late {
    device: DeviceId,
    readings: u32,
    from: Timestamp,
    to: Timestamp,
    newest: Timestamp,
}

/// The checks at work on one message.
pub(crate) struct Judge<'a> {
    pub(crate) checks: &'a Checks,
    pub(crate) now: Timestamp,
    /// Later times of measurement are those of a clock that is wrong.
    newest_believed: Timestamp,
    /// Units that came with values, in the order of the values.
    pub(crate) told: std::iter::Peekable<std::slice::Iter<'a, Told>>,
    pub(crate) refusals: &'a mut Refusals,
    pub(crate) noted: Noted,
    /// Values that are stored under another name than they came with, by their place.
    pub(crate) renamed: Vec<(usize, SignalName)>,
    late: Vec<Late>,
}

/// What became of a value.
enum Fate {
    Kept(f64),
    Refused,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        checks: &'a Checks,
        now: Timestamp,
        told: &'a [Told],
        refusals: &'a mut Refusals,
    ) -> Self {
        Self {
            checks,
            now,
            newest_believed: now + checks.config().clock_ahead,
            told: told.iter().peekable(),
            refusals,
            noted: Noted::default(),
            renamed: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Judges one row and returns how many of its values stay.
    pub(crate) fn row(
        &mut self,
        state: &mut DeviceState,
        device: &DeviceId,
        draft: &mut RowDraft<'_>,
    ) -> usize {
        let at = draft.measured_at;
        if self.is_ahead(device, at) {
            while self
                .told_for(draft.first_value, draft.values.len())
                .is_some()
            {}
            return 0;
        }
        let mut kept = 0;
        for place in 0..draft.values.len() {
            let (signal, value) = (draft.signals[place], draft.values[place]);
            let told = self.told_for(draft.first_value + place, 1);
            let name = &draft.names[signal as usize];
            let stand = draft.to_value + kept;
            if let Fate::Kept(value) = self.value(state, device, (name, value, told), at, stand) {
                draft.signals[kept] = signal;
                draft.values[kept] = value;
                kept += 1;
            }
        }
        if kept > 0 {
            self.arrived(state, device, at, kept);
        }
        kept
    }

    /// Whether a time lies too far in the future; refuses it if so.
    pub(crate) fn is_ahead(&mut self, device: &DeviceId, at: Timestamp) -> bool {
        if at <= self.newest_believed {
            return false;
        }
        let (ahead, limit) = (at.since(self.now), self.checks.config().clock_ahead);
        self.refusals.add(Reason::ClockAhead, || {
            format!(
                "{at} is {:.0} s after now at device {device}, allowed are {:.0} s; set its clock",
                ahead.as_secs_f64(),
                limit.as_secs_f64()
            )
        });
        true
    }

    /// The unit that came with a value from `first` on, if any did.
    fn told_for(&mut self, first: usize, count: usize) -> Option<&'a ToldUnit> {
        let next = self.told.peek()?;
        (next.value < first + count).then(|| self.told.next().map(|told| &told.unit))?
    }

    fn value(
        &mut self,
        state: &mut DeviceState,
        device: &DeviceId,
        (name, value, told): (&SignalName, f64, Option<&'a ToldUnit>),
        at: Timestamp,
        stand: usize,
    ) -> Fate {
        let place = match state.find(name) {
            Some(place) => place,
            None => match self.meet(state, device, name) {
                Ok(Some(place)) => place,
                // No memory is left for it: what needs none is checked all the same.
                Ok(None) => return self.without_memory(state, (name, value, told), stand),
                Err(()) => return Fate::Refused,
            },
        };
        let slot = &mut state.slots[place];
        if slot.rule.is_none() && told.is_none() {
            return self.history(slot, device, at, value);
        }
        let (value, stored) = match convert(slot, value, told) {
            Ok(converted) => converted,
            Err(detail) => {
                self.refusals.add(Reason::UnitMismatch, || detail);
                return Fate::Refused;
            }
        };
        if !value.is_finite() {
            self.refusals.add(Reason::InvalidValue, || {
                format!("{name} is too large for its unit; send a finite number")
            });
            return Fate::Refused;
        }
        let place = match &stored {
            Stored::AsSent => place,
            Stored::Rule => {
                if let Some(rule) = &slot.rule
                    && rule.signal != slot.sent_as
                {
                    self.renamed.push((stand, rule.signal.clone()));
                }
                place
            }
            Stored::WithEnding(unit) => match self.ending(state, device, place, *unit) {
                Some((other, name)) => {
                    self.renamed.push((stand, name));
                    other
                }
                None => {
                    return Fate::Refused;
                }
            },
        };
        let fate = self.history(&mut state.slots[place], device, at, value);
        if matches!(fate, Fate::Refused)
            && self.renamed.last().is_some_and(|(last, _)| *last == stand)
        {
            self.renamed.pop();
        }
        fate
    }

    /// Begins to remember a signal, when it is believed and there is room.
    fn meet(
        &mut self,
        state: &mut DeviceState,
        device: &DeviceId,
        name: &SignalName,
    ) -> Result<Option<usize>, ()> {
        self.checks
            .meet_signal(state, device, name, self.now)
            .map_err(|detail| self.refusals.add(Reason::CardinalityLimit, || detail))
    }

    fn without_memory(
        &mut self,
        state: &DeviceState,
        (name, value, told): (&SignalName, f64, Option<&'a ToldUnit>),
        stand: usize,
    ) -> Fate {
        let mut slot = Slot::unremembered(name.clone(), state.rule(name.as_str()).cloned());
        match convert(&slot, value, told) {
            Ok((value, stored)) if value.is_finite() => {
                if let (Stored::Rule, Some(rule)) = (&stored, slot.rule.take()) {
                    if !self.in_range(&rule.limits, name, value) {
                        return Fate::Refused;
                    }
                    self.renamed.push((stand, rule.signal));
                }
                Fate::Kept(value)
            }
            Ok(_) => Fate::Refused,
            Err(detail) => {
                self.refusals.add(Reason::UnitMismatch, || detail);
                Fate::Refused
            }
        }
    }

    /// The signal that carries a told unit as the ending of its name, since nothing else
    /// would keep the unit.
    fn ending(
        &mut self,
        state: &mut DeviceState,
        device: &DeviceId,
        place: usize,
        unit: Unit,
    ) -> Option<(usize, SignalName)> {
        if let Some((known, other)) = state.slots[place].with_unit
            && known == unit
        {
            let name = state.slots[other as usize].sent_as.clone();
            return Some((other as usize, name));
        }
        let plain = state.slots[place].sent_as.as_str();
        let text = format!("{plain}{}", unit.name_suffix());
        let name = match SignalName::new(&text) {
            Ok(name) => name,
            Err(invalid) => {
                self.refusals
                    .add(Reason::InvalidSignal, || invalid.to_string());
                return None;
            }
        };
        let other = match state.find(&name) {
            Some(other) => other,
            None => self.meet(state, device, &name).ok()?.unwrap_or(place),
        };
        state.slots[place].with_unit = Some((unit, other as u32));
        Some((other, name))
    }

    fn in_range(&mut self, limits: &SignalLimits, name: &SignalName, value: f64) -> bool {
        let below = limits.min.is_some_and(|min| value < min);
        let above = limits.max.is_some_and(|max| value > max);
        if !below && !above {
            return true;
        }
        self.refusals.add(Reason::OutOfRange, || {
            let (word, limit) = if below {
                ("below the smallest", limits.min)
            } else {
                ("above the largest", limits.max)
            };
            let limit = limit.unwrap_or(f64::NAN);
            format!("{name} is {value}, {word} possible value {limit}; mend the sensor or correct the limits")
        });
        false
    }

    /// Range, rate, order and standstill of one value in its final unit.
    fn history(&mut self, slot: &mut Slot, device: &DeviceId, at: Timestamp, value: f64) -> Fate {
        let mut stuck_after = None;
        if let Some(rule) = slot.rule.take() {
            let limits = rule.limits;
            let fine = self.in_range(&limits, &slot.sent_as, value)
                && self.is_slow_enough(slot, &limits, device, at, value);
            slot.rule = Some(rule);
            if !fine {
                return Fate::Refused;
            }
            stuck_after = limits.stuck_after_s;
        }
        if at > slot.at {
            slot.remember(at, value);
            if stuck_after.is_some_and(|limit| at.secs_from(slot.since) > limit) {
                self.noted.stuck += 1;
            }
        } else if slot.has_seen(at) {
            self.noted.duplicate += 1;
        } else {
            slot.note(at);
            self.noted.out_of_order += 1;
        }
        Fate::Kept(value)
    }

    /// Whether the signal can have reached this value since the last. What comes out of order
    /// is not judged: the readings around it were.
    fn is_slow_enough(
        &mut self,
        slot: &mut Slot,
        limits: &SignalLimits,
        device: &DeviceId,
        at: Timestamp,
        value: f64,
    ) -> bool {
        let Some(rate) = limits.max_rate_per_s else {
            return true;
        };
        if at <= slot.at || slot.at == Timestamp::MIN {
            return true;
        }
        let reaches =
            |from: Timestamp, start: f64| (value - start).abs() <= rate * at.secs_from(from);
        if reaches(slot.at, slot.value) {
            slot.jump = None;
            return true;
        }
        let count = match slot.jump.as_deref() {
            Some(jump) if at > jump.at && reaches(jump.at, jump.value) => jump.count + 1,
            Some(jump) if at == jump.at => jump.count,
            _ => 1,
        };
        if count >= RATE_CONFIRMATIONS {
            slot.jump = None;
            return true;
        }
        slot.jump = Some(Box::new(Jump { at, value, count }));
        let (last, seconds, name) = (slot.value, at.secs_from(slot.at), &slot.sent_as);
        self.refusals.add(Reason::RateOfChange, || {
            format!("{name} of device {device} went from {last} to {value} in {seconds:.3} s, faster than {rate} a second; it is believed once {RATE_CONFIRMATIONS} readings in a row agree")
        });
        false
    }

    /// A row of the device was kept: is it late, or the newest?
    fn arrived(&mut self, state: &mut DeviceState, device: &DeviceId, at: Timestamp, kept: usize) {
        if !state.arrived(at, self.checks.config().late_after) {
            return;
        }
        self.noted.late += kept as u64;
        let kept = kept as u32;
        if let Some(late) = self.late.iter_mut().find(|late| late.device == *device) {
            late.readings += kept;
            late.from = late.from.min(at);
            late.to = late.to.max(at);
            return;
        }
        self.late.push(Late {
            device: device.clone(),
            readings: kept,
            from: at,
            to: at,
            newest: state.newest,
        });
    }

    /// One event for each device of which readings came late.
    pub(crate) fn late_events(&mut self) -> impl Iterator<Item = Event> {
        let now = self.now;
        std::mem::take(&mut self.late)
            .into_iter()
            .map(move |late| Event::LateReadings {
                device: late.device,
                readings: late.readings,
                from: late.from,
                to: late.to,
                newest: late.newest,
                at: now,
            })
    }
}

/// Under which name a value is stored.
enum Stored {
    AsSent,
    /// The rule's.
    Rule,
    /// The name it came with, and the unit as its ending.
    WithEnding(Unit),
}

/// A value in the unit it is stored in.
fn convert(slot: &Slot, value: f64, told: Option<&ToldUnit>) -> Result<(f64, Stored), String> {
    let name = &slot.sent_as;
    let rule = slot.rule.as_deref();
    let by_name = || Unit::from_signal_name(rule.map_or(name, |rule| &rule.signal).as_str());
    let stored = if rule.is_some() {
        Stored::Rule
    } else {
        Stored::AsSent
    };
    let (sent, declared) = match told {
        Some(ToldUnit::Known(unit)) => match rule.and_then(|rule| rule.unit).or_else(by_name) {
            Some(declared) => (*unit, declared),
            // A rule without a unit takes the value as it comes; without a rule the unit is
            // kept as the ending of the name.
            None if rule.is_some() || unit.name_suffix().is_empty() => {
                return Ok((value, stored));
            }
            None => return Ok((value, Stored::WithEnding(*unit))),
        },
        Some(ToldUnit::Unknown(text)) => {
            let declared = rule.and_then(|rule| rule.unit).or_else(by_name);
            return match declared {
                None if rule.is_some() => Ok((value, stored)),
                declared => Err(unknown(name, text, declared)),
            };
        }
        None => match rule.and_then(|rule| Some((rule.sent_unit?, rule.unit?))) {
            Some(units) => units,
            None => return Ok((value, stored)),
        },
    };
    match sent.convert(value, declared) {
        Ok(value) => Ok((value, stored)),
        Err(error) => Err(mismatch(name, &error)),
    }
}

fn unknown(name: &SignalName, text: &str, declared: Option<Unit>) -> String {
    let (unit, name) = (quote(text), name.as_str());
    match declared {
        Some(declared) => format!(
            "{name} came in the unit {unit}, which is not known; it is declared in {declared}: send that or a unit of the same quantity"
        ),
        None => format!(
            "{name} came in the unit {unit}, which is not known, and no unit is declared for it; declare the signal or send a known unit"
        ),
    }
}

pub(crate) fn mismatch(name: &SignalName, error: &UnitError) -> String {
    format!("{name}: {error}; send a unit of the declared quantity or correct the declaration")
}
