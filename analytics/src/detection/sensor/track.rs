//! One sensor from value to value.

use serde::{Deserialize, Serialize};
use telemetry::SensorFault;

use super::{
    normal::Normal,
    verdict::{Evidence, Verdict},
};

/// Weight of a change in the running noise: about 32 changes, few enough to show within a
/// minute of one-second data, many enough that single changes do not count.
pub(super) const NOISE_WEIGHT: f64 = 1.0 / 32.0;
/// Weight of a new value in the level, as everywhere in detection.
const LEVEL_WEIGHT: f64 = 0.1;
/// A wild change is this many times the fastest one learned.
const WILD_CHANGE: f64 = 2.5;
/// Wild changes that turn back: two excursions, there and back, are a sensor's …
const SPIKES: f64 = 3.0;
/// … within about so many values.
const SPIKE_MEMORY: f64 = 64.0;
/// A signal that changed wildly and alone is doubted for so many values: if it was a spike it
/// is back by then, and a machine that really changed so suddenly is told of that much later.
const DOUBT: u8 = 10;
/// A step is this many times the largest move learned.
const STEP: f64 = 8.0;
/// A step is over when less than this part of it is left.
const STEP_LEFT: f64 = 0.3;
/// A partner has moved when it moved further than it ever did while learning, with a margin.
const MOVED: f64 = 1.5;
/// Within so many values after a step a partner that moves takes the verdict back.
const STEP_DOUBT: u8 = 20;
/// A step that no partner could confirm is spoken of for so many values: by then a machine that
/// changed has an alarm of its own, and what was changed on purpose is the normal of the day.
const LONE_STEP: u16 = 300;
/// A partner's noise has grown from here on.
const NOISY: f64 = 2.0;
/// The most that one change adds to the noise, in limits.
const WILD: f64 = 3.0;
/// The share of changes that turn back from which noise is noise: two thirds of the changes of
/// independent values do, of a process that swings slowly less than half.
const TURNS_BACK: f64 = 0.55;
/// Samples in a row away from the partners before it is a drift: three times the memory of the
/// level, so that a step, a spike or a delayed partner is none.
const DRIFT_SAMPLES: u8 = 30;
/// Values at an end of the range in a row.
const AT_END: f64 = 5.0;
/// How near to the end counts, as a part of the range: the accuracy of a transmitter.
const END_SHARE: f64 = 1e-3;
/// A jump to the end covers at least this part of the range in one value.
const END_JUMP: f64 = 0.25;
/// Weight of a sample in the share of missing values.
const MISSING_WEIGHT: f64 = 1.0 / 32.0;
/// A gap: of the values that used to arrive this share is missing.
const MISSING: f64 = 0.5;
/// A signal that used to miss in more samples than this is too slow to miss anything by samples.
const SELDOM: f64 = 0.9;
/// Values before noise is judged after a beginning.
const SETTLING: u16 = 64;

/// Where one sensor stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of the sample at hand and of the step that stands; each may hold beside any other"
)]
pub(super) struct Track {
    /// The newest six values, oldest first; the last `filled` of them are set.
    ring: [f64; 6],
    filled: u8,
    /// Whether the sample at hand brought a value.
    fresh: bool,
    /// Values since the beginning, as far as it matters.
    values: u16,
    /// Times the newest value was repeated.
    run: u32,
    /// Running size of changes against the usual one, and share of changes that turn back.
    noise: f32,
    turns: f32,
    /// Spikes in memory.
    spikes: f32,
    /// Whether the newest change was wild, and the sign of the last wild one while remembered.
    wild: bool,
    wild_sign: i8,
    wild_age: u8,
    /// Values for which it is still doubted.
    doubted: u8,
    /// Move of the median, in largest moves learned; signed.
    moved: f32,
    level: f64,
    missing: f32,
    at_end: u8,
    jumped_to_end: bool,
    /// A step that stands: the level before it and its size; 0 when none does.
    step_from: f64,
    step: f64,
    step_age: u16,
    /// Nothing would have had to follow it, so it may as well be the machine's.
    is_lone: bool,
    /// Samples in a row away from the partners.
    drifted: u8,
    pub(super) verdict: Verdict,
}

/// What the signals of a device do in one sample, so that each can be asked about the others.
#[derive(Debug, Default)]
pub(super) struct Heard {
    live: u64,
    wild: u64,
    moved: u64,
    noisy: u64,
}

/// What the other signals do, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Others {
    /// Those that brought a value, and those among them that would have to follow.
    live: u64,
    partners: u64,
    wild: u64,
    moved: u64,
    noisy: u64,
}

impl Heard {
    pub(super) fn note(&mut self, slot: usize, track: &Track, normal: &Normal) {
        let bit = |on: bool| u64::from(on) << slot;
        self.live |= bit(track.fresh && normal.change > 0.0);
        self.wild |= bit(track.wild);
        self.moved |= bit(f64::from(track.moved).abs() > MOVED && track.step == 0.0);
        self.noisy |= bit(f64::from(track.noise) > NOISY && track.values >= SETTLING);
    }

    /// What all but `slot` do; `partners` are those that would have to follow it.
    pub(super) fn without(&self, slot: usize, partners: u64) -> Others {
        let other = |mask: u64| mask & !(1 << slot);
        Others {
            live: other(self.live),
            wild: other(self.wild),
            moved: other(self.moved),
            noisy: other(self.noisy),
            partners: other(self.live & partners),
        }
    }
}

/// Medians of the older and of the newer three of six values.
pub(super) fn medians(six: &[f64]) -> (f64, f64) {
    let median = |three: &[f64]| {
        let (a, b, c) = (three[0], three[1], three[2]);
        a.max(b).min(a.min(b).max(c))
    };
    (median(&six[..3]), median(&six[3..]))
}

impl Track {
    pub(super) fn new(normal: &Normal) -> Self {
        Self {
            ring: [normal.centre; 6],
            filled: 0,
            fresh: false,
            values: 0,
            run: 0,
            noise: 1.0,
            turns: 1.0,
            spikes: 0.0,
            wild: false,
            wild_sign: 0,
            wild_age: 0,
            doubted: 0,
            moved: 0.0,
            level: normal.centre,
            missing: normal.missing,
            at_end: 0,
            jumped_to_end: false,
            step_from: 0.0,
            step: 0.0,
            step_age: 0,
            is_lone: false,
            drifted: 0,
            verdict: Verdict::default(),
        }
    }

    /// The machine was not running or changed its state: what hangs on the values before is
    /// forgotten, what is wrong with the sensor is not.
    pub(super) fn begin_anew(&mut self) {
        self.filled = 0;
        self.values = 0;
        self.run = 0;
        self.noise = 1.0;
        self.turns = 1.0;
        self.wild = false;
        self.wild_sign = 0;
        self.doubted = 0;
        self.moved = 0.0;
        self.drifted = 0;
    }

    /// Takes the value of a sample; NaN is none.
    pub(super) fn take(&mut self, x: f64, normal: &Normal) {
        self.fresh = x.is_finite();
        self.missing +=
            (MISSING_WEIGHT * (f64::from(u8::from(!self.fresh)) - f64::from(self.missing))) as f32;
        self.wild = false;
        if !self.fresh {
            return;
        }
        self.doubted = self.doubted.saturating_sub(1);
        let last = self.ring[5];
        let first = self.filled == 0;
        self.ring.copy_within(1.., 0);
        self.ring[5] = x;
        self.filled = (self.filled + 1).min(6);
        self.values = self.values.saturating_add(1);
        if first {
            self.level = x;
            return;
        }
        self.level += LEVEL_WEIGHT * (x - self.level);
        #[expect(
            clippy::float_cmp,
            reason = "a repeated value is the same to the last bit"
        )]
        let is_repeated = x == last;
        self.run = if is_repeated {
            self.run.saturating_add(1)
        } else {
            0
        };
        self.at_range(x, last, normal);
        if normal.change > 0.0 {
            self.follow(x - last, last, normal);
        }
    }

    /// Noise, spikes and moves, all counted in mean changes.
    fn follow(&mut self, change: f64, last: f64, normal: &Normal) {
        // Noise is in most of the changes: a wild one counts as three at the limit, so that
        // one spike in ten values (two wild changes) stays below it.
        let size = (change.abs() / normal.change).min(WILD * f64::from(normal.most_noise));
        self.noise += (NOISE_WEIGHT * (size - f64::from(self.noise))) as f32;
        self.spikes *= (1.0 - 1.0 / SPIKE_MEMORY) as f32;
        self.wild = change.abs() / normal.change > WILD_CHANGE * f64::from(normal.fastest);
        self.wild_age = self.wild_age.saturating_add(1);
        if f64::from(self.wild_age) > SPIKE_MEMORY {
            self.wild_sign = 0;
        }
        if self.filled >= 3 {
            let before = last - self.ring[3];
            let back = change * before < 0.0;
            let turned = f64::from(u8::from(back)) - f64::from(self.turns);
            self.turns += (NOISE_WEIGHT * turned) as f32;
        }
        if self.filled == 6 {
            let (before, after) = medians(&self.ring);
            let unit = normal.change * f64::from(normal.largest_move);
            self.moved = ((after - before) / unit) as f32;
        }
    }

    fn at_range(&mut self, x: f64, last: f64, normal: &Normal) {
        let span = normal.high - normal.low;
        if !span.is_finite() {
            return;
        }
        let near = END_SHARE * span;
        if x > normal.high - near || x < normal.low + near {
            if self.at_end == 0 {
                self.jumped_to_end = (x - last).abs() > END_JUMP * span;
            }
            self.at_end = self.at_end.saturating_add(1);
        } else {
            self.at_end = 0;
        }
    }

    /// How far the level is from the learned one, in its spreads.
    pub(super) fn deviation(&self, normal: &Normal) -> f64 {
        if normal.spread > 0.0 {
            (self.level - normal.centre) / normal.spread
        } else {
            0.0
        }
    }

    /// Whether it must stay out of the machine's verdict.
    pub(super) fn is_suspect(&self) -> bool {
        self.verdict.takes_out() || self.doubted > 0
    }

    /// Weighs everything and settles the verdict. `drift` is the residual against the related
    /// signals in limits, with what they expect as a deviation; None when they cannot tell.
    pub(super) fn judge(
        &mut self,
        at: i64,
        normal: &Normal,
        others: Others,
        drift: Option<(f64, f64)>,
    ) -> bool {
        let mut worst = Evidence::default();
        let usual = f64::from(normal.missing);
        if others.live != 0 && usual <= SELDOM {
            let missing = (f64::from(self.missing) - usual) / (1.0 - usual);
            worst.weigh(SensorFault::Gap, missing / MISSING, f64::NAN);
        }
        if !self.fresh && !worst.is_strong() {
            // Nothing new is no sign of recovery.
            self.verdict.is_new = false;
            return false;
        }
        if self.fresh {
            let run = f64::from(self.run) / f64::from(normal.longest_run);
            worst.weigh(SensorFault::Stuck, run, f64::NAN);
            if self.jumped_to_end {
                let ends = f64::from(self.at_end) / AT_END;
                worst.weigh(SensorFault::Saturation, ends, normal.centre);
            }
            self.weigh_noise(&mut worst, normal, others);
            self.weigh_step(&mut worst, normal, others);
            self.weigh_drift(&mut worst, normal, drift);
        }
        let value = if self.fresh { self.ring[5] } else { f64::NAN };
        self.verdict.settle(at, worst, value)
    }

    fn weigh_drift(&mut self, worst: &mut Evidence, normal: &Normal, drift: Option<(f64, f64)>) {
        let beyond = drift.filter(|(residual, expected)| {
            *residual >= 1.0 && !explained(normal, self.deviation(normal) - expected)
        });
        let Some((residual, expected)) = beyond else {
            self.drifted = 0;
            return;
        };
        self.drifted = self.drifted.saturating_add(1);
        if self.drifted >= DRIFT_SAMPLES {
            let expected = normal.centre + expected * normal.spread;
            worst.weigh(SensorFault::Drift, residual, expected);
        }
    }

    fn weigh_noise(&mut self, worst: &mut Evidence, normal: &Normal, others: Others) {
        if self.wild && others.live != 0 && others.wild == 0 {
            let sign = if self.ring[5] > self.ring[4] { 1 } else { -1 };
            self.spikes += f32::from(u8::from(self.wild_sign == -sign));
            (self.wild_sign, self.wild_age, self.doubted) = (sign, 0, DOUBT);
        }
        worst.weigh(
            SensorFault::Spike,
            f64::from(self.spikes) / SPIKES,
            self.ring[4],
        );
        if self.values < SETTLING || normal.change <= 0.0 {
            return;
        }
        let noise = f64::from(self.noise);
        // A value that is repeated is stuck, not quiet.
        if self.run == 0 && noise > 0.0 {
            let least = f64::from(normal.least_noise);
            worst.weigh(SensorFault::NoiseCollapse, least / noise, f64::NAN);
        }
        if f64::from(self.turns) > TURNS_BACK && others.live != 0 && others.noisy == 0 {
            let most = f64::from(normal.most_noise);
            worst.weigh(SensorFault::NoiseBurst, noise / most, self.level);
        }
    }

    fn weigh_step(&mut self, worst: &mut Evidence, normal: &Normal, others: Others) {
        let (before, after) = medians(&self.ring);
        if self.step == 0.0 {
            let far = f64::from(self.moved).abs() / STEP;
            let steps = far >= 1.0 && others.live != 0 && others.moved == 0 && self.at_end == 0;
            if steps && !explained(normal, f64::from(self.moved)) {
                (self.step_from, self.step, self.step_age) = (before, after - before, 0);
                self.is_lone = others.partners == 0;
            }
        } else {
            self.step_age = self.step_age.saturating_add(1);
            let left = (after - self.step_from) / self.step;
            let doubted = self.step_age < u16::from(STEP_DOUBT) && others.moved != 0;
            let is_old = self.is_lone && self.step_age > LONE_STEP;
            if doubted || is_old || left.abs() < STEP_LEFT {
                self.step = 0.0;
            }
        }
        if self.step != 0.0 {
            let unit = normal.change * f64::from(normal.largest_move) * STEP;
            let size = (self.step / unit).abs();
            if self.is_lone {
                worst.weigh_lone(SensorFault::Step, size, self.step_from);
            } else {
                worst.weigh(SensorFault::Step, size, self.step_from);
            }
        }
    }
}

fn explained(normal: &Normal, direction: f64) -> bool {
    if direction > 0.0 {
        normal.machine_raises
    } else {
        normal.machine_lowers
    }
}
