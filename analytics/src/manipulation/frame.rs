//! Frames: from rows in event time to samples that hold every signal.
//!
//! A device may send all its signals in one row, or each on a topic of its own with slightly
//! different times, or some signals more often than others. One rule covers these: rows are
//! gathered into a *frame*, and a frame closes
//!
//! - at once when every known signal is in it (rows that are complete pass straight through),
//!   except at the very start, where the first repeated signal shows which signals there are;
//! - before a row that brings a signal again (so samples come at the pace of the fastest signal);
//! - before a row later than half the usual time between samples after the frame began (so a
//!   lost message cannot shift one signal against the others for good).
//!
//! A closed frame is a sample at the time of its newest value. A signal that is not in it
//! keeps its last value while that is younger than [`HOLD_PERIODS`] of the signal's own usual
//! period, and is missing afterwards. Usual times are tracked by steps of 5 %, which follow a
//! changed rate within a few dozen rows and hardly move for a single gap.

use serde::{Deserialize, Serialize};

/// How many of its own periods a value stands for its signal: it bridges a few lost messages,
/// and a signal that is gone is noticed soon.
const HOLD_PERIODS: f64 = 5.0;
/// How many usual times between samples a first value stands, while its period is not known.
const FIRST_HOLD: f64 = 100.0;
/// Longest span of a frame as a part of the usual time between samples.
const FRAME_SPAN: f64 = 0.5;
/// One step of the tracker of usual times.
const TRACKER_STEP: f64 = 1.05;

/// A usual time between events in microseconds; 0 when not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Usual(f64);

impl Usual {
    pub(crate) fn micros(self) -> f64 {
        self.0
    }

    /// Moves towards an observed time. A median tracker: up and down steps weigh the same.
    pub(super) fn observe(&mut self, micros: i64) {
        let seen = micros as f64;
        if seen <= 0.0 {
            return;
        }
        if self.0 == 0.0 {
            self.0 = seen;
        } else if seen > self.0 * TRACKER_STEP {
            self.0 *= TRACKER_STEP;
        } else if seen * TRACKER_STEP < self.0 {
            self.0 /= TRACKER_STEP;
        } else {
            self.0 = seen;
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slot {
    value: f64,
    at: i64,
    period: Usual,
}

/// The frame under construction and the last value of every signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Framer {
    slots: Vec<Slot>,
    /// Signals in the frame, one bit each.
    fresh: u64,
    /// Signals that were ever in a frame.
    known: u64,
    /// Whether a signal has repeated, so that `known` can be trusted.
    settled: bool,
    from: i64,
    to: i64,
    last_sample: i64,
    interval: Usual,
}

/// A closed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The time of its newest value.
    pub(crate) at: i64,
    /// The signals that have a value, one bit each.
    pub(crate) live: u64,
    /// The signals that were measured in this frame, one bit each; the others are held.
    pub(crate) fresh: u64,
}

impl Framer {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            fresh: 0,
            known: 0,
            settled: false,
            from: 0,
            to: 0,
            last_sample: i64::MIN,
            interval: Usual::default(),
        }
    }

    /// The usual time between samples in microseconds; 0 when not known yet.
    pub(crate) fn interval(&self) -> f64 {
        self.interval.micros()
    }

    /// Adds a signal; its slot is the number of slots before.
    pub(crate) fn add_slot(&mut self) {
        self.slots.push(Slot {
            value: f64::NAN,
            at: i64::MIN,
            period: Usual::default(),
        });
    }

    /// The number of slots.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The last value of a signal and its time; none before its first.
    pub(crate) fn last(&self, slot: usize) -> Option<(i64, f64)> {
        let slot = &self.slots[slot];
        (slot.at != i64::MIN).then_some((slot.at, slot.value))
    }

    /// The value a sample has for a slot whose bit is set in [`Sample::live`].
    pub(crate) fn value(&self, slot: usize) -> f64 {
        self.slots[slot].value
    }

    /// Forgets the frame and all times, because time itself starts over. Values stay.
    pub(crate) fn restart(&mut self) {
        self.fresh = 0;
        self.last_sample = i64::MIN;
        for slot in &mut self.slots {
            slot.at = i64::MIN;
        }
    }

    /// The frame as a sample if a row at `at` cannot join it.
    pub(crate) fn close_before(&mut self, at: i64, values: &[f64]) -> Option<Sample> {
        if self.fresh == 0 {
            return None;
        }
        let limit = self.interval.micros() * FRAME_SPAN;
        let too_long = limit > 0.0 && at.saturating_sub(self.from) as f64 > limit;
        let repeats = self.fresh & bits(values) != 0;
        self.settled |= repeats;
        (too_long || repeats).then(|| self.close())
    }

    /// Puts a row into the frame; gives the sample if the frame is complete by it.
    pub(crate) fn add(&mut self, at: i64, values: &[f64]) -> Option<Sample> {
        if self.fresh == 0 {
            self.from = at;
        }
        self.to = at;
        for (index, (slot, &value)) in self.slots.iter_mut().zip(values).enumerate() {
            if value.is_nan() {
                continue;
            }
            if slot.at != i64::MIN {
                slot.period.observe(at.saturating_sub(slot.at));
            }
            (slot.value, slot.at) = (value, at);
            self.fresh |= 1 << index;
        }
        self.known |= self.fresh;
        (self.settled && self.fresh == self.known).then(|| self.close())
    }

    fn close(&mut self) -> Sample {
        if self.last_sample != i64::MIN {
            self.interval
                .observe(self.to.saturating_sub(self.last_sample));
        }
        self.last_sample = self.to;
        let mut live = self.fresh;
        if live != self.known {
            for (index, slot) in self.slots.iter().enumerate() {
                live |= u64::from(self.is_held(slot)) << index;
            }
        }
        Sample {
            at: self.to,
            live,
            fresh: std::mem::take(&mut self.fresh),
        }
    }

    fn is_held(&self, slot: &Slot) -> bool {
        let (period, interval) = (slot.period.micros(), self.interval.micros());
        let hold = if period > 0.0 {
            HOLD_PERIODS * period.max(interval)
        } else {
            FIRST_HOLD * interval
        };
        let age = self.to.saturating_sub(slot.at) as f64;
        slot.at != i64::MIN && (age <= hold || interval == 0.0)
    }
}

fn bits(values: &[f64]) -> u64 {
    let set = values.iter().enumerate();
    set.fold(0, |bits, (at, value)| {
        bits | u64::from(!value.is_nan()) << at
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: f64 = f64::NAN;

    /// Runs rows `(ms, values)` and lists samples as `(ms, values)`, NaN for missing.
    fn run(width: usize, rows: &[(i64, &[f64])]) -> Vec<(i64, Vec<f64>)> {
        let mut framer = Framer::new();
        (0..width).for_each(|_| framer.add_slot());
        let mut out = Vec::new();
        for &(ms, values) in rows {
            let at = ms * 1_000;
            let before = framer.close_before(at, values);
            out.extend(before.map(|s| plain(&framer, s, width)));
            let after = framer.add(at, values);
            out.extend(after.map(|s| plain(&framer, s, width)));
        }
        out
    }

    fn plain(framer: &Framer, sample: Sample, width: usize) -> (i64, Vec<f64>) {
        let value = |slot| {
            let live = sample.live >> slot & 1 == 1;
            if live { framer.value(slot) } else { NO }
        };
        (sample.at / 1_000, (0..width).map(value).collect())
    }

    fn assert_same(got: &[(i64, Vec<f64>)], expected: &[(i64, Vec<f64>)]) {
        // NaN is not equal to itself; Debug text is exact for the rest.
        assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }

    #[test]
    fn complete_rows_pass_straight_through() {
        let got = run(2, &[(0, &[1.0, 2.0]), (1000, &[3.0, 4.0])]);
        assert_same(&got, &[(0, vec![1.0, 2.0]), (1000, vec![3.0, 4.0])]);
        let mut framer = Framer::new();
        framer.add_slot();
        framer.add_slot();
        for (row, at) in (0..5).map(|row| (row, row * 1_000)) {
            let before = framer.close_before(at, &[1.0, 2.0]);
            assert_eq!(
                before.is_some(),
                row == 1,
                "only the first waits for the second"
            );
            assert_eq!(framer.add(at, &[1.0, 2.0]).is_some(), row > 0);
        }
    }

    #[test]
    fn signals_on_topics_of_their_own_become_one_sample_a_period() {
        let rows: Vec<(i64, [f64; 3])> = (0..4)
            .flat_map(|k| {
                let (t, v) = (k * 1000, k as f64);
                let mut burst = [
                    (t + 3, [v, NO, NO]),
                    (t + 5, [NO, v + 10.0, NO]),
                    (t + 9, [NO, NO, v + 20.0]),
                ];
                if k % 2 == 1 {
                    burst = [(t + 3, burst[1].1), (t + 5, burst[0].1), burst[2]];
                }
                burst
            })
            .collect();
        let rows: Vec<(i64, &[f64])> = rows.iter().map(|(t, v)| (*t, &v[..])).collect();
        let expected: Vec<_> = (0..4)
            .map(|k| {
                let v = k as f64;
                (k * 1000 + 9, vec![v, v + 10.0, v + 20.0])
            })
            .collect();
        assert_same(&run(3, &rows), &expected);
    }

    #[test]
    fn a_lost_message_is_bridged_and_does_not_shift_the_frames() {
        let rows: [(i64, &[f64]); 7] = [
            (0, &[0.0, NO]),
            (5, &[NO, 0.5]),
            (1000, &[1.0, NO]),
            (1005, &[NO, 1.5]),
            (2005, &[NO, 2.5]),
            (3000, &[3.0, NO]),
            (3005, &[NO, 3.5]),
        ];
        let expected = [
            (5, vec![0.0, 0.5]),
            (1005, vec![1.0, 1.5]),
            (2005, vec![1.0, 2.5]),
            (3005, vec![3.0, 3.5]),
        ];
        assert_same(&run(2, &rows), &expected);
    }

    #[test]
    fn a_slow_signal_is_held_between_its_values_and_dropped_when_it_is_gone() {
        let mut rows: Vec<(i64, [f64; 2])> = Vec::new();
        for k in 0..200 {
            let slow = if k % 10 == 0 && k <= 100 {
                k as f64
            } else {
                NO
            };
            rows.push((k * 100, [k as f64, slow]));
        }
        let rows: Vec<(i64, &[f64])> = rows.iter().map(|(t, v)| (*t, &v[..])).collect();
        let got = run(2, &rows);
        assert!(got.len() >= 198, "a sample for each value of the fast one");
        for (ms, values) in got {
            let gone = ms > 10_000 + 5 * 1_000;
            assert_eq!(values[1].is_nan(), gone, "at {ms} ms");
            assert_eq!(values[0].to_bits(), (ms as f64 / 100.0).to_bits());
        }
    }

    #[test]
    fn usual_times_follow_a_change_and_ignore_a_gap() {
        let mut usual = Usual::default();
        (0..20).for_each(|_| usual.observe(1_000_000));
        usual.observe(86_400_000_000);
        assert!((usual.micros() / 1e6 - 1.05).abs() < 1e-12);
        (0..60).for_each(|_| usual.observe(10_000_000));
        assert!((usual.micros() / 1e7 - 1.0).abs() < 1e-12);
    }
}
