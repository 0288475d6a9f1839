//! Scoring one sample against a baseline that follows slow drift.

use serde::{Deserialize, Serialize};

use super::baseline::Baseline;

/// Weight of a new value in the smoothed one. A tenth averages about twenty rows: noise falls
/// to a quarter and a change shows within ten rows.
pub(crate) const SMOOTHING: f64 = 0.1;
/// Furthest that one row can move the smoothed value, in spreads: a lone spike stays below
/// the alarm limit, a real jump of any size is followed at this pace.
pub(crate) const MAX_STEP: f64 = 3.0;
/// Rows in which the baseline follows a small deviation (time constant).
const FOLLOW_ROWS: f64 = 250.0;
/// Deviations up to this many spreads are followed fully …
const FOLLOW_FULL: f64 = 2.0;
/// … and from this many on not at all: that is no drift but a fault.
const FOLLOW_END: f64 = 8.0;
/// Furthest that the baseline may creep from the learned centre, in spreads.
pub(crate) const MAX_DRIFT: f64 = 4.0;

/// A signal while it is scored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Track {
    smoothed: f64,
    base: f64,
    centre: f64,
    spread: f64,
    slot: u32,
}

/// The numbers of one scored sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) t2: f64,
    pub(crate) q: f64,
    /// √(T²/limit + Q/limit).
    pub(crate) score: f64,
}

/// What one signal adds to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub(crate) slot: usize,
    pub(crate) share: f64,
    pub(crate) z: f64,
    pub(crate) value: f64,
    pub(crate) base: f64,
    pub(crate) spread: f64,
}

/// A baseline in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scorer {
    pub(crate) baseline: Baseline,
    tracks: Vec<Track>,
    /// Deviations of the last sample in spreads; 0 for a missing signal.
    z: Vec<f64>,
    /// Projections of the last sample on the axes.
    projection: Vec<f64>,
    pub(crate) last: Verdict,
}

impl Scorer {
    /// Starts from a fitted baseline and the smoothed values of that moment, by slot.
    pub(crate) fn new(baseline: Baseline, smoothed: impl Fn(usize) -> f64) -> Self {
        let tracks: Vec<Track> = baseline
            .signals
            .iter()
            .map(|signal| {
                let now = smoothed(signal.slot);
                Track {
                    smoothed: if now.is_nan() { signal.centre } else { now },
                    base: signal.centre,
                    centre: signal.centre,
                    spread: signal.spread,
                    slot: signal.slot as u32,
                }
            })
            .collect();
        Self {
            z: vec![0.0; tracks.len()],
            projection: vec![0.0; tracks.len()],
            tracks,
            baseline,
            last: Verdict {
                t2: 0.0,
                q: 0.0,
                score: 0.0,
            },
        }
    }

    /// Scores a sample. `value(slot)` is the value of a signal, NaN when it is missing; a
    /// missing signal keeps its smoothed value and takes no part (its z is 0). None, and
    /// nothing changes, when fewer than half of the signals have a value.
    pub(crate) fn score(&mut self, value: impl Fn(usize) -> f64) -> Option<Verdict> {
        let seen = |track: &Track| !value(track.slot as usize).is_nan();
        let live = self.tracks.iter().filter(|track| seen(track)).count();
        if live * 2 < self.tracks.len() {
            return None;
        }
        for (track, z) in self.tracks.iter_mut().zip(&mut self.z) {
            let x = value(track.slot as usize);
            *z = if x.is_nan() { 0.0 } else { track.step(x) };
        }
        self.last = self.statistics();
        for (track, &z) in self.tracks.iter_mut().zip(&self.z) {
            track.follow(z);
        }
        Some(self.last)
    }

    fn statistics(&mut self) -> Verdict {
        self.projection.fill(0.0);
        let columns = self.baseline.loadings.chunks_exact(self.z.len());
        for (column, &z) in columns.zip(&self.z) {
            for (projection, loading) in self.projection.iter_mut().zip(column) {
                *projection += loading * z;
            }
        }
        let square = |part: &[f64]| part.iter().map(|p| p * p).sum::<f64>();
        let (principal, residual) = self.projection.split_at(self.baseline.components);
        let (t2, q) = (square(principal), square(residual));
        let score = (t2 / self.baseline.t2_limit + q / self.baseline.q_limit).sqrt();
        Verdict { t2, q, score }
    }

    /// Whether all parts speak of the same signals, and of slots below `slots`.
    pub(crate) fn is_consistent(&self, slots: usize) -> bool {
        let size = self.z.len();
        let baseline = &self.baseline;
        size > 0
            && self.tracks.len() == size
            && baseline.signals.len() == size
            && baseline.values.len() == size
            && baseline.loadings.len() == size * size
            && self.projection.len() == size
            && baseline.components <= size
            && baseline.signals.iter().all(|signal| signal.slot < slots)
            && self
                .tracks
                .iter()
                .all(|track| (track.slot as usize) < slots)
    }

    /// The deviations of the last sample in spreads, in baseline order.
    pub(crate) fn deviations(&self) -> &[f64] {
        &self.z
    }

    /// Each signal's part in the last score. The squared score is zᵀMz; its complete
    /// decomposition gives signal j the part (M^½ z)ⱼ², which is never negative and adds up.
    ///
    /// # Source
    /// Alcala & Qin, "Reconstruction-based contribution for process monitoring", Automatica
    /// 45 (2009), complete decomposition contributions.
    pub(crate) fn shares(&self) -> Vec<Part> {
        let baseline = &self.baseline;
        let size = self.z.len();
        let weighted: Vec<f64> = (0..size)
            .map(|axis| {
                // The loadings of a principal axis hold one root of its eigenvalue already.
                let weight = if axis < baseline.components {
                    baseline.values[axis] / baseline.t2_limit
                } else {
                    1.0 / baseline.q_limit
                };
                weight.sqrt() * self.projection[axis]
            })
            .collect();
        let columns = baseline.loadings.chunks_exact(size);
        let part: Vec<f64> = columns
            .map(|column| column.iter().zip(&weighted).map(|(l, w)| l * w).sum())
            .collect();
        let total: f64 = part.iter().map(|p| p * p).sum();
        let share = |p: f64| {
            if total > 0.0 {
                p * p / total
            } else {
                1.0 / size as f64
            }
        };
        let tracks = self.tracks.iter().zip(&self.z).zip(part);
        tracks
            .map(|((track, &z), part)| Part {
                slot: track.slot as usize,
                share: share(part),
                z,
                value: track.smoothed,
                base: track.base,
                spread: track.spread,
            })
            .collect()
    }
}

impl Track {
    /// Smooths a value in and returns the deviation.
    fn step(&mut self, x: f64) -> f64 {
        let furthest = MAX_STEP * self.spread;
        self.smoothed += (SMOOTHING * (x - self.smoothed)).clamp(-furthest, furthest);
        (self.smoothed - self.base) / self.spread
    }

    /// Lets the baseline creep towards a small deviation.
    fn follow(&mut self, z: f64) {
        let far = z.abs();
        let weight = if far <= FOLLOW_FULL {
            1.0
        } else if far < FOLLOW_END {
            FOLLOW_FULL / far * (FOLLOW_END - far) / (FOLLOW_END - FOLLOW_FULL)
        } else {
            return;
        };
        let furthest = MAX_DRIFT * self.spread;
        let base = self.base + weight * z * self.spread / FOLLOW_ROWS;
        self.base = base.clamp(self.centre - furthest, self.centre + furthest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> Scorer {
        let column = |step: f64, size: f64| -> Vec<f64> {
            (0..200)
                .map(|k| 5.0 + size * (f64::from(k) * step).sin())
                .collect()
        };
        let columns = [column(0.7, 1.0), column(1.9, 10.0), column(2.6, 0.1)];
        let baseline = Baseline::fit(&columns, &[0, 1, 2], (400, 0, 1)).unwrap();
        Scorer::new(baseline, |_| 5.0)
    }

    #[test]
    fn shares_add_up_and_name_the_signal_that_moved() {
        let mut scorer = scorer();
        for _ in 0..40 {
            scorer.score(|slot| if slot == 1 { 105.0 } else { 5.0 });
        }
        let shares = scorer.shares();
        assert!((shares.iter().map(|s| s.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(shares[1].share > 0.9 && shares[1].z > 8.0, "{shares:?}");
        assert!(scorer.last.score > 1.0);
    }

    #[test]
    fn a_spike_stays_below_the_limit_and_a_jump_does_not() {
        let mut spiked = scorer();
        spiked.score(|_| 5.0);
        let worst = (0..50)
            .filter_map(|row| {
                let spike = if row == 0 { 1e100 } else { 5.0 };
                spiked.score(|slot| if slot == 0 { spike } else { 5.0 })
            })
            .map(|score| score.score)
            .fold(0.0, f64::max);
        assert!(worst < 1.0, "{worst}");
        let mut jumped = scorer();
        let end = (0..50).filter_map(|_| jumped.score(|slot| if slot == 0 { 50.0 } else { 5.0 }));
        assert!(end.last().unwrap().score > 1.0);
    }

    #[test]
    fn slow_drift_is_followed_until_it_has_gone_too_far() {
        let mut scorer = scorer();
        let spread = scorer.tracks[0].spread;
        // A fault that grows by one spread in 1,000 rows, slower than the baseline can creep.
        let mut rise = (0..30_000).map(|row| {
            let x = 5.0 + spread * f64::from(row) / 1_000.0;
            (
                row,
                scorer
                    .score(|slot| if slot == 0 { x } else { 5.0 })
                    .unwrap()
                    .score,
            )
        });
        let (early, _) = rise
            .by_ref()
            .take(4_000)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        let found = rise.find(|(_, score)| *score >= 1.0);
        assert!(
            early > 0 && found.is_some(),
            "a creeping fault is found: {found:?}"
        );
    }

    #[test]
    fn a_missing_signal_is_neutral_and_too_few_are_no_sample() {
        let mut scorer = scorer();
        scorer.score(|slot| if slot == 2 { 9.0 } else { 5.0 });
        assert!(scorer.deviations()[2] > 1.0);
        let two = scorer
            .score(|slot| if slot == 2 { f64::NAN } else { 5.0 })
            .unwrap();
        assert!(two.score < 1.0 && scorer.deviations()[2].abs() < 1e-300);
        let before = scorer.clone();
        assert!(
            scorer
                .score(|slot| if slot == 0 { 5.0 } else { f64::NAN })
                .is_none()
        );
        assert_eq!(scorer, before);
    }
}
