//! Cycles: what a device measured in a fixed length of running time becomes one row.
//!
//! Age is counted in running time, because a machine that stands still hardly wears. A sample
//! adds the time since the one before it, unless the machine was off or idle, or the gap is
//! longer than a cycle (nobody knows what it did then). Values count while the machine runs
//! steadily; what it measures on the way up or between two loads belongs to neither.
//!
//! A machine that wears by being started is aged by its starts instead: its cycle is a number of
//! them. Either way starts are counted with each cycle.
//!
//! Training reads its rows from here too, by running the same code over the recorded readings:
//! a model is served exactly what it was trained on.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, LifeAxis, OperatingState, SignalName};

use super::lives::CycleRow;

/// What a cycle is: how long, and what is looked at in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CycleSpec {
    /// Running time of a cycle, in seconds.
    pub cycle_s: f64,
    /// What is asked of the machine, in the order of [`CycleRow::settings`].
    pub settings: Vec<SignalName>,
    /// What is looked at for wear, in the order of [`CycleRow::values`].
    pub signals: Vec<SignalName>,
    /// Starts of a cycle; none where running time is counted.
    pub starts: Option<u32>,
    /// The signals by which the machine says error codes.
    pub codes: Vec<SignalName>,
}

impl CycleSpec {
    /// As an asset model says; none when it says nothing about prognosis or has no signal to
    /// look at.
    pub fn of(model: &AssetModel) -> Option<Self> {
        let spec = model.prognosis.as_ref()?;
        let signals = if spec.signals.is_empty() {
            let declared = model.signals.iter().map(|signal| &signal.name);
            declared
                .filter(|name| !spec.settings.contains(name) && !spec.codes.contains(name))
                .cloned()
                .collect()
        } else {
            spec.signals.clone()
        };
        (!signals.is_empty()).then(|| Self {
            cycle_s: spec.cycle_s,
            settings: spec.settings.clone(),
            signals,
            starts: (spec.axis == LifeAxis::Starts).then_some(spec.cycle_starts),
            codes: spec.codes.clone(),
        })
    }

    fn names(&self) -> impl Iterator<Item = &SignalName> {
        self.settings.iter().chain(&self.signals)
    }

    fn len(&self) -> usize {
        self.settings.len() + self.signals.len()
    }
}

/// A cycle that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    /// When it began, microseconds of event time.
    pub from: i64,
    /// When it ended.
    pub to: i64,
    /// The means, settings first. Single precision: the row is what a model is trained on and
    /// served, so both see the same numbers.
    values: Vec<f32>,
    settings: usize,
    /// How often the machine was started in it.
    pub(crate) starts: u16,
}

impl Cycle {
    /// How often the machine was started in it.
    pub fn starts(&self) -> u16 {
        self.starts
    }

    /// The means, settings first.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The means as a model takes them.
    pub fn row(&self) -> CycleRow {
        let wide = |part: &[f32]| part.iter().map(|value| f64::from(*value)).collect();
        let (settings, values) = self.values.split_at(self.settings.min(self.values.len()));
        CycleRow {
            settings: wide(settings),
            values: wide(values),
        }
    }

    /// The number of means.
    pub(crate) fn width(&self) -> usize {
        self.values.len()
    }

    /// The part of the signals that were measured, 0 to 1.
    pub(crate) fn measured(&self) -> f64 {
        let values = &self.values[self.settings.min(self.values.len())..];
        let known = values.iter().filter(|value| !value.is_nan()).count();
        known as f64 / values.len().max(1) as f64
    }
}

/// A slot of a device that does not measure the signal.
const NO_SLOT: u16 = u16::MAX;

/// The cycle under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CycleSum {
    spec: CycleSpec,
    slots: Vec<u16>,
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// Running time so far, microseconds.
    running: i64,
    from: i64,
    last: Option<i64>,
    starts: u16,
    /// Whether the machine stood still at the last sample; unknown at first.
    stood: Option<bool>,
    /// By signal of codes: its slot, and the last value of it.
    codes: Vec<(u16, f64)>,
}

impl CycleSum {
    pub(crate) fn new(spec: CycleSpec, names: &[SignalName]) -> Self {
        let len = spec.len();
        let mut sum = Self {
            spec,
            slots: Vec::new(),
            sums: vec![0.0; len],
            counts: vec![0; len],
            running: 0,
            from: 0,
            last: None,
            starts: 0,
            stood: None,
            codes: Vec::new(),
        };
        sum.bind(names);
        sum
    }

    pub(crate) fn spec(&self) -> &CycleSpec {
        &self.spec
    }

    /// The number of means in a row.
    pub(crate) fn width(&self) -> usize {
        self.spec.len()
    }

    /// Finds the slots of the signals.
    pub(crate) fn bind(&mut self, names: &[SignalName]) {
        let slot = |name: &SignalName| {
            let slot = names.iter().position(|known| known == name);
            let slot = slot.and_then(|slot| u16::try_from(slot).ok());
            slot.unwrap_or(NO_SLOT)
        };
        self.slots = self.spec.names().map(slot).collect();
        self.codes.resize(self.spec.codes.len(), (NO_SLOT, 0.0));
        for (name, code) in self.spec.codes.iter().zip(&mut self.codes) {
            code.0 = slot(name);
        }
    }

    /// The cycle under way is forgotten: a new life begins.
    pub(crate) fn restart(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
        (self.running, self.last, self.starts) = (0, None, 0);
    }

    /// The codes that a sample says, to be asked before it is pushed: a value above zero that is
    /// not the one before.
    pub(crate) fn codes(&mut self, value: impl Fn(usize) -> f64, mut say: impl FnMut(String)) {
        for (name, (slot, last)) in self.spec.codes.iter().zip(&mut self.codes) {
            if *slot == NO_SLOT {
                continue;
            }
            let now = value(usize::from(*slot)).round();
            if now.is_nan() || now.to_bits() == last.to_bits() {
                continue;
            }
            *last = now;
            if now > 0.0 {
                say(format!("{name}{now:.0}"));
            }
        }
    }

    /// Time starts over: the step into the new time counts for nothing.
    pub(crate) fn restart_time(&mut self) {
        self.last = None;
    }

    /// Takes a sample; the cycle, when it is over with it. `value(slot)` is NaN where nothing
    /// is known.
    pub(crate) fn push(
        &mut self,
        at: i64,
        operating: OperatingState,
        value: impl Fn(usize) -> f64,
    ) -> Option<Cycle> {
        let length = (self.spec.cycle_s * 1e6) as i64;
        let is_running = !matches!(operating, OperatingState::Off | OperatingState::Idle);
        // While nobody knows whether it runs, nothing was started.
        if operating != OperatingState::Unknown
            && self.stood.replace(!is_running) == Some(true)
            && is_running
        {
            self.starts = self.starts.saturating_add(1);
        }
        let before = self.last.replace(at);
        if self.running == 0 && self.counts.iter().all(|count| *count == 0) {
            self.from = before.unwrap_or(at);
        }
        let step = before.map_or(0, |before| at.saturating_sub(before));
        if is_running && (0..=length).contains(&step) {
            self.running += step;
        }
        if operating.has_baseline() {
            let parts = self.sums.iter_mut().zip(&mut self.counts);
            for ((sum, count), slot) in parts.zip(&self.slots) {
                if *slot == NO_SLOT {
                    continue;
                }
                let value = value(usize::from(*slot));
                if value.is_finite() {
                    *sum += value;
                    *count = count.saturating_add(1);
                }
            }
        }
        match self.spec.starts {
            Some(starts) => {
                // What ran beyond a cycle's time does not end one that is counted in starts.
                (u32::from(self.starts) >= starts).then(|| self.close(at, self.running))
            }
            None => (self.running >= length).then(|| self.close(at, length)),
        }
    }

    fn close(&mut self, at: i64, length: i64) -> Cycle {
        let mean = |(sum, count): (&f64, &u32)| match count {
            0 => f32::NAN,
            _ => (sum / f64::from(*count)) as f32,
        };
        let cycle = Cycle {
            from: self.from,
            to: at,
            values: self.sums.iter().zip(&self.counts).map(mean).collect(),
            settings: self.spec.settings.len(),
            starts: self.starts,
        };
        let over = self.running - length;
        self.restart();
        // What ran beyond the end belongs to the next cycle.
        (self.running, self.last, self.from) = (over.max(0), Some(at), at);
        cycle
    }

    /// Whether a sum from outside can be worked with.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        let len = self.spec.len();
        let known = |slot: &u16| *slot == NO_SLOT || usize::from(*slot) < slots;
        let codes = |(slot, _): &(u16, f64)| known(slot);
        self.sums.len() == len
            && self.codes.len() == self.spec.codes.len()
            && self.codes.iter().all(codes)
            && self.counts.len() == len
            && self.slots.len() == len
            && self.slots.iter().all(known)
            && self.spec.cycle_s >= 1.0
            && self.running >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: OperatingState = OperatingState::Running { regime: 0 };

    fn name(text: &str) -> SignalName {
        SignalName::new(text).unwrap()
    }

    fn sum() -> CycleSum {
        let spec = CycleSpec {
            cycle_s: 10.0,
            settings: vec![name("load")],
            signals: vec![name("heat"), name("missing")],
            starts: None,
            codes: vec![name("fault")],
        };
        CycleSum::new(spec, &[name("heat"), name("load"), name("fault")])
    }

    /// Feeds one sample a second and gives the ends of the cycles in seconds.
    fn ends(sum: &mut CycleSum, seconds: std::ops::Range<i64>, state: OperatingState) -> Vec<i64> {
        let mut ends = Vec::new();
        for second in seconds {
            let value = |slot: usize| [second as f64, 3.0, f64::NAN][slot];
            ends.extend(
                sum.push(second * 1_000_000, state, value)
                    .map(|c| c.to / 1_000_000),
            );
        }
        ends
    }

    #[test]
    fn a_cycle_is_over_after_its_running_time() {
        let mut sum = sum();
        assert_eq!(ends(&mut sum, 0..35, RUNNING), [10, 20, 30]);
        // Half a cycle has run; what follows while the machine is off does not age it.
        assert_eq!(ends(&mut sum, 35..1_000, OperatingState::Off), [0_i64; 0]);
        assert_eq!(ends(&mut sum, 1_000..1_010, RUNNING), [1_005]);
    }

    #[test]
    fn a_row_holds_means_in_the_order_of_the_spec_and_nan_where_nothing_was_measured() {
        let mut sum = sum();
        let mut cycle = None;
        for second in 0..=10_i64 {
            let value = |slot: usize| [second as f64, 3.0, f64::NAN][slot];
            cycle = cycle.or(sum.push(second * 1_000_000, RUNNING, value));
        }
        let row = cycle.unwrap().row();
        assert_eq!(row.settings, [3.0]);
        assert!((row.values[0] - 5.0).abs() < 1e-6, "{row:?}");
        assert!(row.values[1].is_nan());
    }

    #[test]
    fn a_gap_longer_than_a_cycle_does_not_age_the_machine() {
        let mut sum = sum();
        assert_eq!(ends(&mut sum, 0..6, RUNNING), [0_i64; 0]);
        assert_eq!(ends(&mut sum, 100..106, RUNNING), [105]);
    }

    #[test]
    fn starts_are_counted_and_may_be_what_a_life_is_counted_in() {
        let mut sum = sum();
        sum.spec.starts = Some(2);
        // Ten seconds of rest, twenty of work, again and again: a start at 10, 40, 70, 100.
        let state = |second: i64| match second % 30 {
            0..10 => OperatingState::Off,
            _ => RUNNING,
        };
        let mut cycles = Vec::new();
        for second in 0..120 {
            cycles.extend(sum.push(second * 1_000_000, state(second), |_| 1.0));
        }
        let ends: Vec<_> = cycles
            .iter()
            .map(|c| (c.to / 1_000_000, c.starts))
            .collect();
        assert_eq!(ends, [(40, 2), (100, 2)]);
        // Counted in running time the same starts are told with the cycles they fall into.
        let mut sum = super::tests::sum();
        let mut starts = 0;
        for second in 0..120 {
            let cycle = sum.push(second * 1_000_000, state(second), |_| 1.0);
            starts += cycle.map_or(0, |cycle| cycle.starts);
        }
        assert_eq!(starts, 4);
        // Nobody knows what it did before it was seen.
        assert_eq!(super::tests::sum().push(0, RUNNING, |_| 1.0), None);
    }

    #[test]
    fn a_code_is_said_when_the_value_of_its_signal_becomes_it() {
        let mut sum = sum();
        let mut said = Vec::new();
        for value in [0.0, 3.0, 3.0, f64::NAN, 3.0, 0.0, 3.0, 5.0, -1.0] {
            sum.codes(|slot| [1.0, 1.0, value][slot], |code| said.push(code));
        }
        assert_eq!(said, ["fault3", "fault3", "fault5"]);
    }

    #[test]
    fn a_model_without_signals_to_look_at_has_no_cycles() {
        let id = telemetry::AssetModelId::new("m").unwrap();
        let mut model = AssetModel::new(id, "M", "机", Vec::new());
        assert_eq!(CycleSpec::of(&model), None);
        model.prognosis = Some(telemetry::PrognosisSpec::default());
        assert_eq!(CycleSpec::of(&model), None);
    }
}
