//! What is remembered of one device: its newest time, and of each signal the last value.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use telemetry::{DeviceGate, DeviceId, DeviceRules, SignalName, SignalRule, Timestamp, Unit};

/// Times of a signal's last readings that are known by heart, so that a message that comes
/// again is told from one that comes out of order.
const RECENT: usize = 8;

/// Signals remembered of one device; what one device sends beyond it is stored without the
/// checks that need a memory.
const MAX_SIGNALS_PER_DEVICE: usize = 16_384;

/// One device's memory.
#[derive(Debug)]
pub(crate) struct DeviceState {
    /// The newest time of measurement that was accepted.
    pub(super) newest: Timestamp,
    generation: Option<u64>,
    rules: Option<Arc<DeviceRules>>,
    pub(super) slots: Vec<Slot>,
    index: FxHashMap<SignalName, u32>,
    /// Where the next name is expected.
    next: usize,
}

/// One signal's memory, by its name in payloads.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sent_as: SignalName,
    pub(super) rule: Option<Box<SignalRule>>,
    pub(super) at: Timestamp,
    pub(super) value: f64,
    /// Since when the value has not changed.
    pub(super) since: Timestamp,
    recent: [Timestamp; RECENT],
    recent_at: u8,
    /// A level that was jumped to and is not believed yet.
    pub(super) jump: Option<Box<Jump>>,
    /// Where values that came with a unit of their own went last.
    pub(super) with_unit: Option<(Unit, u32)>,
}

/// Readings that agree on a level the signal cannot have reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jump {
    pub(super) at: Timestamp,
    pub(super) value: f64,
    pub(super) count: u32,
}

impl Default for DeviceState {
    fn default() -> Self {
        Self {
            newest: Timestamp::MIN,
            generation: None,
            rules: None,
            slots: Vec::new(),
            index: FxHashMap::default(),
            next: 0,
        }
    }
}

impl DeviceState {
    /// Asks the gate for the rules again when something was declared since.
    pub(crate) fn refresh(&mut self, gate: &dyn DeviceGate, device: &DeviceId, generation: u64) {
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        let rules = gate.rules(device);
        if self.rules == rules {
            return;
        }
        self.rules = rules;
        for slot in &mut self.slots {
            slot.rule = rule(self.rules.as_deref(), slot.sent_as.as_str());
            slot.jump = None;
        }
    }

    /// What is declared about a signal, by its name in payloads.
    pub(crate) fn rule(&self, sent_as: &str) -> Option<&SignalRule> {
        self.rules.as_ref()?.get(sent_as)
    }

    pub(super) fn signal_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    pub(super) fn has_room(&self) -> bool {
        self.slots.len() < MAX_SIGNALS_PER_DEVICE
    }

    /// Something of this time was kept: whether it is late, and if not, whether it is the newest.
    pub(super) fn arrived(&mut self, at: Timestamp, late_after: Duration) -> bool {
        if at >= self.newest {
            self.newest = at;
            return false;
        }
        self.newest.since(at) > late_after
    }

    /// The place of a signal; the one after the last is tried first.
    pub(super) fn find(&mut self, name: &SignalName) -> Option<usize> {
        let expected = if self.next < self.slots.len() {
            self.next
        } else {
            0
        };
        let found = match self.slots.get(expected) {
            Some(slot) if slot.sent_as == *name => expected,
            _ => *self.index.get(name)? as usize,
        };
        self.next = found + 1;
        Some(found)
    }

    /// Begins to remember a signal. What it is stored as may be remembered already, from the
    /// time before a restart.
    pub(super) fn add(&mut self, name: &SignalName) -> usize {
        let rule = rule(self.rules.as_deref(), name.as_str());
        let stored = rule
            .as_ref()
            .and_then(|rule| self.index.get(&rule.signal))
            .map(|&at| &self.slots[at as usize]);
        let mut slot = Slot::new(name.clone());
        if let Some(stored) = stored {
            (slot.at, slot.value, slot.since) = (stored.at, stored.value, stored.since);
        }
        slot.rule = rule;
        let place = self.slots.len();
        self.slots.push(slot);
        self.index.insert(name.clone(), place as u32);
        self.next = place + 1;
        place
    }

    /// Takes over a signal's newest stored reading, unless a newer one is known.
    pub(super) fn seed(&mut self, signal: &SignalName, at: Timestamp, value: f64) {
        self.newest = self.newest.max(at);
        let place = match self.index.get(signal) {
            Some(&place) => place as usize,
            None => self.add(signal),
        };
        if self.slots[place].at < at {
            self.slots[place].remember(at, value);
        }
    }
}

impl Slot {
    fn new(sent_as: SignalName) -> Self {
        Self {
            sent_as,
            rule: None,
            at: Timestamp::MIN,
            value: f64::NAN,
            since: Timestamp::MIN,
            recent: [Timestamp::MIN; RECENT],
            recent_at: 0,
            jump: None,
            with_unit: None,
        }
    }

    /// A signal of which nothing is kept.
    pub(super) fn unremembered(sent_as: SignalName, rule: Option<SignalRule>) -> Self {
        let mut slot = Self::new(sent_as);
        slot.rule = rule.map(Box::new);
        slot
    }

    /// Takes a reading that is newer than the last.
    pub(super) fn remember(&mut self, at: Timestamp, value: f64) {
        // Bit patterns: an unchanged value is one the sensor repeats, not one that is close.
        if value.to_bits() != self.value.to_bits() {
            self.since = at;
        }
        self.at = at;
        self.value = value;
        self.note(at);
    }

    /// Notes the time of a reading that was stored.
    pub(super) fn note(&mut self, at: Timestamp) {
        self.recent[usize::from(self.recent_at) % RECENT] = at;
        self.recent_at = self.recent_at.wrapping_add(1);
    }

    /// Whether a reading of this time was stored lately.
    pub(super) fn has_seen(&self, at: Timestamp) -> bool {
        self.at == at || self.recent.contains(&at)
    }
}

fn rule(rules: Option<&DeviceRules>, sent_as: &str) -> Option<Box<SignalRule>> {
    rules?.get(sent_as).cloned().map(Box::new)
}
