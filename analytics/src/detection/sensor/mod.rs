//! The sensors first: before the machine is judged, are its measurements believable?
//!
//! Every sensor is judged against itself as it was while the baseline was learned
//! (`normal`) and against its partners, one step a value (`track`), and what is
//! found becomes a verdict with a memory (`verdict`):
//!
//! | fault | what shows it | limit |
//! |---|---|---|
//! | stuck | the same value again and again | 2.5 times the longest run learned, at least 10 values, 30 for coarse sensors |
//! | spike | wild changes that turn back, and no other signal has one | 2.5 times the fastest change learned, two excursions within 64 values |
//! | step | the median of three values leaves the three before, and no partner moves | 8 times the largest such move learned |
//! | drift | the level leaves what its related signals say, which agree among themselves | twice the largest residual learned, at least six spreads |
//! | noise collapse | changes from value to value shrink | a fifth of the usual size, and half of the least learned |
//! | noise burst | they grow, turn back each time, and no partner's grow | four times, and 2.5 times the most learned |
//! | saturation | values at an end of the declared range, reached by a jump | 5 in a row |
//! | gap | values miss while other signals of the device arrive | half of those that used to arrive |
//! | clock | its times against those of receipt; of the device as a whole | see [`clock`] |
//!
//! A signal that changed wildly and alone is left out for ten values before anything is said: if
//! it was a spike, it is over then.
//!
//! **The machine has the benefit of the doubt.** A verdict here takes the signal out of the
//! machine's verdict, so a fault of the machine must never look like one of a sensor:
//! - what other signals do too is the process, not a sensor;
//! - a step or a drift needs a partner that would have to follow: declared in the asset
//!   model, or seen to move along while learning. Of a signal without partners a step is said as a
//!   suspicion, for 300 values, and the signal stays in the machine's verdict; a drift is not said;
//! - a step or a drift in a direction in which a failure mode of the model moves the signal (its
//!   part in the mode's signature reaches `normal::EXPLAINED`) is the machine's;
//! - an end of the range that is reached step by step is a machine that really got there;
//! - nothing is judged unless the machine is running, nor across a change of its state.
//!
//! The limits are multiples of what the sensor itself showed, so they hold in any unit. Their
//! factors were chosen on public recordings of a pump with valve faults: over 136
//! recorded signals with healthy and faulty running, runs stayed below 30 values or 1.5 times
//! the longest learned, moves of the median below 6.3 times the largest learned, and the noise
//! between 0.25 and 3.1 times its usual size; single changes reached 6.1 times the fastest
//! learned, but never there and back twice within 64 values. Each limit lies beyond these.

pub mod clock;
mod normal;
mod relation;
#[cfg(test)]
mod tests;
mod track;
mod verdict;

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, OperatingState, SignalName};

use crate::{config::MAX_SIGNALS, detection::learned::Learned};

use normal::Normal;
use relation::Relations;
use track::{Heard, Track};
pub use verdict::Verdict;

/// The sensors of one device under watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorWatch {
    normal: Vec<Normal>,
    tracks: Vec<Track>,
    relations: Relations,
    /// The last sample was judged; after a change of state all begin anew.
    judging: bool,
}

impl SensorWatch {
    /// Learns what each sensor is like from a healthy stretch. `names` gives the signal of each
    /// slot; `model` adds what is declared about them, and `counters` has a bit for each slot that
    /// only counts up. Total: a counter, a signal that was constant, or had hardly a value, is
    /// watched for gaps and saturation only.
    pub fn fit(
        learned: &Learned,
        names: &[SignalName],
        model: Option<&AssetModel>,
        counters: u64,
    ) -> Self {
        let slots = learned.slots().min(MAX_SIGNALS).min(names.len());
        let normal = |slot: usize| {
            let normal = Normal::fit(learned, slot, &names[slot], model);
            if counters >> slot & 1 == 1 {
                normal.of_counter()
            } else {
                normal
            }
        };
        let normal: Vec<Normal> = (0..slots).map(normal).collect();
        let relations = Relations::fit(learned, names, model, &normal);
        let tracks = normal.iter().map(Track::new).collect();
        Self {
            normal,
            tracks,
            relations,
            judging: false,
        }
    }

    /// Takes one sample measured at `at` (microseconds). `value(slot)` is NaN where the sample
    /// has no new value. True when a verdict has changed; [`Self::changed`] says which.
    ///
    /// O(1) per value and without allocation.
    pub fn update(
        &mut self,
        at: i64,
        operating: OperatingState,
        value: impl Fn(usize) -> f64,
    ) -> bool {
        if !matches!(
            operating,
            OperatingState::Running { .. } | OperatingState::Unknown
        ) {
            self.judging = false;
            return false;
        }
        if !std::mem::replace(&mut self.judging, true) {
            for track in &mut self.tracks {
                track.begin_anew();
            }
        }
        let mut heard = Heard::default();
        for (slot, (track, normal)) in self.tracks.iter_mut().zip(&self.normal).enumerate() {
            track.take(value(slot), normal);
            heard.note(slot, track, normal);
        }
        let mut changed = false;
        for slot in 0..self.tracks.len() {
            let normal = &self.normal[slot];
            let drift = self.relations.drift(slot, |other| {
                let (track, normal) = (&self.tracks[other], &self.normal[other]);
                (!track.is_suspect() || other == slot).then(|| track.deviation(normal))
            });
            let partners = self.relations.partners(slot);
            changed |= self.tracks[slot].judge(at, normal, heard.without(slot, partners), drift);
        }
        changed
    }

    /// The signals that must stay out of the machine's verdict and out of training, one bit a
    /// slot: those with a verdict, and those that changed wildly and alone a moment ago. A gap
    /// alone takes nothing out: what still arrives is good.
    pub fn suspects(&self) -> u64 {
        self.mask(Track::is_suspect)
    }

    /// The slots whose verdict has changed in the last sample, one bit each.
    pub fn changed(&self) -> u64 {
        self.mask(|track| track.verdict.is_new)
    }

    fn mask(&self, has: impl Fn(&Track) -> bool) -> u64 {
        let tracks = self.tracks.iter().enumerate();
        tracks.fold(0, |mask, (slot, track)| {
            mask | u64::from(has(track)) << slot
        })
    }

    /// The verdict on a slot now.
    pub fn verdict(&self, slot: usize) -> Option<&Verdict> {
        self.tracks.get(slot).map(|track| &track.verdict)
    }

    /// Forgets what was found, as after a sensor was replaced: the sensors are good until
    /// shown otherwise. What was learned about them stays.
    pub fn forgive(&mut self) {
        self.tracks = self.normal.iter().map(Track::new).collect();
        self.judging = false;
    }

    /// Whether a state from outside can be worked with: lengths agree wherever an index goes.
    pub fn is_consistent(&self, slots: usize) -> bool {
        self.normal.len() <= slots
            && slots <= MAX_SIGNALS
            && self.tracks.len() == self.normal.len()
            && self.normal.iter().all(Normal::is_consistent)
            && self.relations.is_consistent(self.normal.len())
    }
}
