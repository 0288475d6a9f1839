//! Fleet comparison: does a machine stand out among its peers?
//!
//! A machine that was faulty when its normal was learned, or that has drifted ever since, is
//! normal to itself. Its peers, machines of the same model in the same load regime, know better:
//! they share weather, load and grid, and what they do together is no fault. The smoothed level
//! of each signal is compared with the median of the peers' levels:
//!
//! ```text
//! e ← e + 0.1 (x − e)       S = max |e − a − m| / (t σ)       σ² = b² (1 + π/2n) + s²
//! ```
//!
//! m is the median of the n peers and b the spread between them (1.4826 MAD), s what one healthy
//! machine varies by (the median of the peers' own spreads), so that a signal that happens to be
//! equal everywhere has a ruler too; b is never taken below s. t is Student's for n − 1 degrees
//! of freedom and one false alarm in `ALPHA` machines over all signals. a is what a person has
//! accepted of this machine as its own. Medians make one sick peer move nothing: below half of
//! the peers can be wrong.
//!
//! For three signals t is 19 with 4 peers, 6 with 9 and 4.4 with 20: few peers know little. For machines
//! that differ by up to three healthy spreads the rate of false alarms is the one stated, to a
//! factor of three (simulated, 200,000 fleets of each size); where they differ by more the median
//! deviation of few peers says too little and it is up to ten times that.
//!
//! Below `MIN_PEERS` peers, or while nobody has told of any, nothing is scored.
//!
//! # Source
//! Prediction of one more observation: Hahn & Meeker, "Statistical Intervals" (1991), chapter
//! 4; the variance of a median is π/2 that of a mean.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    detector::{Detector, LARGEST, Part, is_enough},
    healthy::{Signal, shares, spread_of},
    learned::{Learned, SMOOTHING},
};

/// Fewest peers with a value: with three the limit would lie beyond 50 spreads.
pub const MIN_PEERS: usize = 4;
/// The chance of a false alarm of one machine, over all its signals.
const ALPHA: f64 = 1e-3;
/// Consistent estimate of a standard deviation from a median absolute deviation.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Furthest that one row can move the smoothed value, in healthy spreads: a lone spike is none
/// of the machine's.
const MAX_STEP: f64 = 3.0;
/// Scores end here: further away says nothing more.
const MOST: f64 = 1e6;

/// What the peers of a machine say of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The median of their levels.
    pub centre: f64,
    /// What one more machine would differ by, one standard deviation; above 0.
    pub spread: f64,
    /// The distance from the centre that alarms; above 0.
    pub reach: f64,
}

impl Usual {
    /// What peers with these levels and healthy spreads, as `(level, spread)`, say of a signal
    /// that is one of `signals` compared. None with fewer than [`MIN_PEERS`], and when there is
    /// nothing to count in.
    pub fn of(peers: &[(f64, f64)], signals: usize) -> Option<Self> {
        let count = peers.len();
        if count < MIN_PEERS {
            return None;
        }
        let centre = median(peers.iter().map(|peer| peer.0).collect());
        let away = peers.iter().map(|peer| (peer.0 - centre).abs());
        let own = median(peers.iter().map(|peer| peer.1).collect());
        let between = (MAD_TO_SIGMA * median(away.collect())).max(own);
        let count = count as f64;
        let unknown = 1.0 + PI / (2.0 * count);
        let spread = (between * between * unknown + own * own).sqrt();
        let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
        let limit = t.inverse_cdf(1.0 - ALPHA / (2.0 * signals.max(1) as f64));
        let usual = Self {
            centre,
            spread,
            reach: spread * limit,
        };
        usual.is_consistent().then_some(usual)
    }

    fn is_consistent(&self) -> bool {
        let sound = |x: f64| x > 0.0 && x.is_finite();
        self.centre.is_finite() && sound(self.spread) && sound(self.reach)
    }
}

/// One signal of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Track {
    learned: Signal,
    /// None until it is compared for the first time.
    smoothed: Option<f64>,
    /// What the peers say; none when they say nothing of it.
    usual: Option<Usual>,
    /// What a person has accepted as this machine's own.
    accepted: f64,
    /// The last deviation in spreads of the peers; 0 for a missing signal.
    z: f64,
}

/// A machine among its peers. State: 100 bytes a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Among {
    tracks: Vec<Track>,
    /// Peers that were heard; 0 when these were too few.
    peers: u32,
}

impl Among {
    /// What the peers say now, by slot, and how many they are. None for a signal of which they
    /// say nothing. Smoothing begins anew for a signal that was not compared before.
    pub fn hear(&mut self, peers: u32, usual: impl Fn(usize) -> Option<Usual>) {
        for track in &mut self.tracks {
            let before = track.usual.take();
            track.usual = usual(track.learned.slot);
            if before.is_none() {
                track.smoothed = None;
                track.z = 0.0;
            }
        }
        let is_heard = self.tracks.iter().any(|track| track.usual.is_some());
        self.peers = if is_heard { peers } else { 0 };
    }

    /// Takes what a person has accepted as this machine's own, by slot.
    pub(crate) fn accept(&mut self, accepted: impl Fn(usize) -> f64) {
        for track in &mut self.tracks {
            track.accepted = accepted(track.learned.slot);
        }
    }

    /// How far each signal is from its peers, by slot, for a person to accept.
    pub(crate) fn differences(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.tracks
            .iter()
            .filter_map(|track| Some((track.learned.slot, track.smoothed? - track.usual?.centre)))
    }

    /// Peers that were heard; 0 when they were fewer than [`MIN_PEERS`].
    pub(crate) fn peers(&self) -> u32 {
        self.peers
    }
}

impl Detector for Among {
    const NAME: &'static str = "fleet";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let track = |&slot: &usize| {
            Some(Track {
                learned: spread_of(slot, learned.level(slot))?,
                smoothed: None,
                usual: None,
                accepted: 0.0,
                z: 0.0,
            })
        };
        let tracks: Vec<Track> = order.iter().filter_map(track).collect();
        (!tracks.is_empty()).then_some(Self { tracks, peers: 0 })
    }

    fn score(&mut self, _at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        let slots = self.tracks.iter().map(|track| track.learned.slot);
        if self.peers == 0 || !is_enough(slots, &value) {
            return None;
        }
        let mut most = 0.0_f64;
        for track in &mut self.tracks {
            track.step(value(track.learned.slot));
            most = most.max(track.score());
        }
        Some(most)
    }

    fn parts(&self) -> Vec<Part> {
        let squares: Vec<f64> = self.tracks.iter().map(|t| t.score().powi(2)).collect();
        let each = self.tracks.iter().zip(shares(&squares));
        each.map(|(track, share)| {
            let Signal { centre, spread, .. } = track.learned;
            let usual = track.usual.unwrap_or(Usual {
                centre,
                spread,
                reach: spread,
            });
            let normal = usual.centre + track.accepted;
            Part {
                slot: track.learned.slot,
                share,
                deviation: track.z,
                value: track.smoothed.unwrap_or(normal),
                normal,
                spread: usual.spread,
            }
        })
        .collect()
    }

    fn each_deviation(&self, mut visit: impl FnMut(usize, f64)) {
        for track in &self.tracks {
            visit(track.learned.slot, track.z);
        }
    }

    fn is_consistent(&self, slots: usize) -> bool {
        let sound = |track: &Track| {
            track.learned.is_consistent(slots)
                && track.accepted.is_finite()
                && track.usual.is_none_or(|usual| usual.is_consistent())
        };
        !self.tracks.is_empty() && self.tracks.iter().all(sound)
    }
}

impl Track {
    fn step(&mut self, x: f64) {
        let Some(usual) = self.usual.filter(|_| !x.is_nan()) else {
            self.z = 0.0;
            return;
        };
        let x = x.clamp(-LARGEST, LARGEST);
        let before = self.smoothed.unwrap_or(x);
        let most = MAX_STEP * self.learned.spread.max(usual.spread);
        let smoothed = before + (SMOOTHING * (x - before)).clamp(-most, most);
        self.smoothed = Some(smoothed);
        self.z = (smoothed - self.accepted - usual.centre) / usual.spread;
    }

    /// How far it stands out; 1 is the limit.
    fn score(&self) -> f64 {
        let in_reaches = |usual: Usual| (self.z * usual.spread / usual.reach).abs().min(MOST);
        self.usual.map_or(0.0, in_reaches)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    f64::midpoint(values[(n - 1) / 2], values[n / 2])
}

/// A machine among equals of itself, for the suite that every detector passes: what peers say
/// is taken from its own learned stretch.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AmongEquals(Among);

#[cfg(test)]
impl Detector for AmongEquals {
    const NAME: &'static str = "fleet";
    const VERSION: u16 = 1;

    fn fit(learned: &Learned, order: &[usize]) -> Option<Self> {
        let mut among = Among::fit(learned, order)?;
        let usual = |slot: usize| {
            let own = spread_of(slot, learned.level(slot))?;
            let peer = |k: i32| (own.centre + f64::from(k) * 0.25 * own.spread, own.spread);
            Usual::of(&(-5..=5).map(peer).collect::<Vec<_>>(), order.len())
        };
        among.hear(11, usual);
        Some(Self(among))
    }

    fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
        self.0.score(at, value)
    }

    fn parts(&self) -> Vec<Part> {
        self.0.parts()
    }

    fn each_deviation(&self, visit: impl FnMut(usize, f64)) {
        self.0.each_deviation(visit);
    }

    fn is_consistent(&self, slots: usize) -> bool {
        self.0.is_consistent(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nine fans at about 60 °C, 0.5 °C apart, each with a healthy spread of 0.4.
    fn fans(warmer: f64) -> Vec<(f64, f64)> {
        let at = |n: i32| 60.0 + warmer + f64::from(n - 4) * 0.5;
        (0..9).map(|n| (at(n), 0.4)).collect()
    }

    fn among(peers: &[(f64, f64)]) -> Among {
        let mut learned = Learned::new(200, 1);
        for row in 0..200 {
            learned.push(row, |_| 75.0 + 0.5 * (row as f64 * 0.7).sin());
        }
        let mut among = Among::fit(&learned, &[0]).unwrap();
        among.hear(peers.len() as u32, |_| Usual::of(peers, 1));
        among
    }

    fn settled(among: &mut Among, x: f64) -> Option<f64> {
        (0..200).map(|at| among.score(at, |_| x)).last().unwrap()
    }

    #[test]
    fn the_limit_is_that_of_a_prediction_interval() {
        // Median 60, MAD 1. t(8) at 1 - 0.001/2 is 5.041305 (scipy.stats.t.ppf).
        let sigma = (1.4826_f64.powi(2) * (1.0 + PI / 18.0) + 0.16).sqrt();
        let usual = Usual::of(&fans(0.0), 1).unwrap();
        assert!((usual.centre - 60.0).abs() < 1e-12 && (usual.spread - sigma).abs() < 1e-12);
        assert!((usual.reach / sigma - 5.041_305).abs() < 1e-4, "{usual:?}");
        // With two signals each has half of the chance: 5.617412.
        let two = Usual::of(&fans(0.0), 2).unwrap();
        assert!((two.reach / sigma - 5.617_412).abs() < 1e-4, "{two:?}");
    }

    #[test]
    fn the_one_that_stands_out_is_found_though_it_learned_itself_and_a_common_rise_is_not() {
        let mut own = among(&fans(0.0));
        assert!(settled(&mut own, 75.0).unwrap() > 1.5);
        assert!(settled(&mut among(&fans(15.0)), 75.0).unwrap() < 0.1);
        let part = own.parts()[0];
        assert!((part.normal - 60.0).abs() < 1e-9 && (part.value - 75.0).abs() < 1e-6);
        // A person who has looked says that this one is so.
        let differences: Vec<_> = own.differences().collect();
        own.accept(|slot| differences[slot].1);
        assert!(settled(&mut own, 75.0).unwrap() < 1e-6);
        assert!(settled(&mut own, 90.0).unwrap() > 1.5, "and no further");
    }

    #[test]
    fn one_sick_peer_moves_nothing() {
        for gone in [1e9, -1e9, f64::MAX] {
            let mut peers = fans(0.0);
            peers[3].0 = gone;
            let (usual, before) = (
                Usual::of(&peers, 1).unwrap(),
                Usual::of(&fans(0.0), 1).unwrap(),
            );
            assert!((usual.centre - before.centre).abs() <= 0.5, "{usual:?}");
            assert!((usual.reach / before.reach - 1.0).abs() < 0.5, "{usual:?}");
        }
    }

    #[test]
    fn few_peers_and_peers_that_never_moved_say_nothing() {
        assert!(Usual::of(&fans(0.0)[..3], 1).is_none());
        assert!(
            Usual::of(&[(0.0, 0.0); 8], 1).is_none(),
            "nothing to count in"
        );
        let mut alone = among(&fans(0.0)[..3]);
        assert_eq!((settled(&mut alone, 75.0), alone.peers()), (None, 0));
        // Peers that come later are heard from then on.
        alone.hear(9, |_| Usual::of(&fans(0.0), 1));
        assert!(settled(&mut alone, 75.0).unwrap() > 1.5);
    }
}
