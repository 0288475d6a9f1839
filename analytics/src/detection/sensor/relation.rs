//! Signals that know of each other, and the drift of one against the others.
//!
//! For each signal up to [`MOST`] partners are kept, with the straight line that led from the
//! partner's level to its own while learning. Partners are declared in the asset model, or
//! measure the same quantity and were as good as one (|correlation| of [`REDUNDANT`] and more). A signal
//! drifts when it leaves *all* its lines and its partners agree: they keep the lines they
//! have to third signals, or stay near their learned levels. Then the odd one out is the sensor.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModel, RelationSign, SignalName, Unit};

use super::normal::Normal;
use crate::detection::learned::Learned;

/// Partners kept a signal: two outvote one.
const MOST: usize = 2;
/// Signals looked at for partners that nobody declared: every pair is looked at.
const LOOKED_AT: usize = 16;
/// Correlation of levels from which two signals of one quantity measure the same though nobody
/// declared it: 4 % of the variance are their own. Two quantities may be as closely tied (flow and
/// speed), but a fault of the machine unties them.
const REDUNDANT: f64 = 0.98;
/// Correlation from which a declared relation shows enough to judge by.
const RELATED: f64 = 0.8;
/// Correlation from which a signal would have to follow the step of another.
const FOLLOWS: f64 = 0.5;
/// A drift is this many residual spreads, …
const SPREADS: f64 = 6.0;
/// … and this many times the largest residual learned, from a hundred or so autocorrelated points.
const BEYOND_LARGEST: f64 = 2.0;
/// The least residual spread, in spreads of the level: what is closer was the same sensor.
const LEAST_RESIDUAL: f64 = 0.05;
/// A relation must have shown in so many changes of side, four swings up and down: levels are
/// smooth, and what only warmed up or cooled down together would look related too.
const MIN_CROSSINGS: u32 = 8;
/// Partners agree while their own lines are kept to within this part of the limit.
const AGREES: f64 = 0.5;
/// A partner without a third witness must be this near to its learned level, in spreads.
const NEAR: f64 = 4.0;

/// All relations of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Relations {
    lines: Vec<Vec<Line>>,
    /// Per slot the signals that would have to follow its step, one bit each.
    partners: Vec<u64>,
}

/// Deviation of a signal from that of a partner: `z = slope · z_partner + offset`, in spreads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Line {
    partner: u16,
    slope: f32,
    offset: f32,
    /// The residual that is a drift.
    limit: f32,
}

impl Line {
    fn expected(&self, theirs: f64) -> f64 {
        f64::from(self.slope) * theirs + f64::from(self.offset)
    }
}

impl Relations {
    pub(super) fn fit(
        learned: &Learned,
        names: &[SignalName],
        model: Option<&AssetModel>,
        normal: &[Normal],
    ) -> Self {
        let slots = normal.len();
        let mut lines = vec![Vec::new(); slots];
        let mut partners = vec![0_u64; slots];
        for slot in 0..slots {
            let mut found: Vec<(f64, Line)> = Vec::new();
            for other in (0..slots).filter(|other| *other != slot) {
                let declared = declared(model, &names[slot], &names[other]);
                if declared.is_none() && slot.max(other) >= LOOKED_AT {
                    continue;
                }
                let Some((r, line)) = line(learned, normal, slot, other) else {
                    continue;
                };
                let as_declared = declared.is_some_and(|sign| sign * r > 0.0);
                if as_declared || r.abs() >= FOLLOWS {
                    partners[slot] |= 1 << other;
                }
                if (as_declared && r.abs() >= RELATED)
                    || (r.abs() >= REDUNDANT && same_quantity(&names[slot], &names[other]))
                {
                    found.push((r.abs(), line));
                }
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            lines[slot] = found.into_iter().take(MOST).map(|(_, line)| line).collect();
        }
        Self { lines, partners }
    }

    /// The signals that would have to follow a step of this one, one bit each.
    pub(super) fn partners(&self, slot: usize) -> u64 {
        self.partners[slot]
    }

    /// The smallest residual of a signal against its partners in limits, and the deviation
    /// they expect. None when there is no partner, or the partners do not agree. `deviation`
    /// is None for a signal that is out of the question.
    pub(super) fn drift(
        &self,
        slot: usize,
        deviation: impl Fn(usize) -> Option<f64>,
    ) -> Option<(f64, f64)> {
        let own = deviation(slot)?;
        let mut least: Option<(f64, f64)> = None;
        for line in &self.lines[slot] {
            let partner = usize::from(line.partner);
            let theirs = deviation(partner)?;
            let expected = line.expected(theirs);
            let residual = (own - expected).abs() / f64::from(line.limit);
            if residual >= 1.0 && !self.is_believable(partner, slot, theirs, &deviation) {
                return None;
            }
            if least.is_none_or(|(size, _)| residual < size) {
                least = Some((residual, expected));
            }
        }
        least
    }

    fn is_believable(
        &self,
        partner: usize,
        doubted: usize,
        theirs: f64,
        deviation: &impl Fn(usize) -> Option<f64>,
    ) -> bool {
        let lines = self.lines[partner].iter();
        let mut witnesses = lines.filter(|line| usize::from(line.partner) != doubted);
        let witness = witnesses.find_map(|line| {
            let third = deviation(usize::from(line.partner))?;
            let residual = (theirs - line.expected(third)).abs();
            Some(residual <= AGREES * f64::from(line.limit))
        });
        witness.unwrap_or(theirs.abs() <= NEAR)
    }

    pub(super) fn is_consistent(&self, slots: usize) -> bool {
        let fits = |line: &Line| {
            usize::from(line.partner) < slots && line.expected(1.0).is_finite() && line.limit > 0.0
        };
        self.lines.len() == slots
            && self.partners.len() == slots
            && self.lines.iter().flatten().all(fits)
    }
}

/// Whether two names end in units of the same quantity.
fn same_quantity(a: &SignalName, b: &SignalName) -> bool {
    let quantity = |name: &SignalName| Unit::from_signal_name(name.as_str()).map(Unit::quantity);
    quantity(a).is_some() && quantity(a) == quantity(b)
}

/// The sign of a declared relation between two signals: 1 rise together, -1 opposite.
fn declared(model: Option<&AssetModel>, a: &SignalName, b: &SignalName) -> Option<f64> {
    model?.related.iter().find_map(|group| {
        let place = |name: &SignalName| group.signals.iter().position(|one| one == name);
        let (a, b) = (place(a)?, place(b)?);
        let opposite = group.sign == RelationSign::Opposite && (a == 0) != (b == 0);
        Some(if opposite { -1.0 } else { 1.0 })
    })
}

/// Correlation of two levels and the line from one to the other; None when one never moved,
/// or when they do not belong together in each half of the learned stretch: two signals that
/// warm up side by side look related over the whole of it.
fn line(learned: &Learned, normal: &[Normal], slot: usize, other: usize) -> Option<(f64, Line)> {
    let (a, b) = (&normal[slot], &normal[other]);
    if a.spread <= 0.0 || b.spread <= 0.0 {
        return None;
    }
    let levels = learned.level(slot).iter().zip(learned.level(other));
    let points: Vec<(f64, f64)> = levels
        .map(|(x, y)| ((x - a.centre) / a.spread, (y - b.centre) / b.spread))
        .filter(|(x, y)| !x.is_nan() && !y.is_nan())
        .collect();
    let (early, late) = points.split_at(points.len() / 2);
    let (whole, early_fit, late_fit) = (fit(&points)?, fit(early)?, fit(late)?);
    let is_stable = [early_fit, late_fit]
        .iter()
        .all(|half| half.r * whole.r > 0.0 && half.r.abs() >= FOLLOWS);
    let swings = crossings(points.iter().map(|p| p.0)).min(crossings(points.iter().map(|p| p.1)));
    if !is_stable || swings < MIN_CROSSINGS {
        return None;
    }
    let square = points
        .iter()
        .map(|p| whole.residual(*p).powi(2))
        .sum::<f64>();
    let spread = (square / points.len() as f64).sqrt().max(LEAST_RESIDUAL);
    // What each half did not know of the other is what the future does not know of both.
    let unseen = late.iter().map(|p| early_fit.residual(*p).abs());
    let unseen = unseen.chain(early.iter().map(|p| late_fit.residual(*p).abs()));
    let largest = unseen.fold(0.0, f64::max);
    let line = Line {
        partner: other as u16,
        slope: whole.slope as f32,
        offset: whole.offset as f32,
        limit: (SPREADS * spread).max(BEYOND_LARGEST * largest) as f32,
    };
    Some((whole.r.clamp(-1.0, 1.0), line))
}

/// How often a series of deviations changes its side, with a margin of half a spread, so that
/// noise on the way does not count.
fn crossings(deviations: impl Iterator<Item = f64>) -> u32 {
    let (mut side, mut count) = (0.0, 0);
    for z in deviations.filter(|z| z.abs() > 0.5) {
        count += u32::from(side * z < 0.0);
        side = z;
    }
    count
}

/// A straight line through points with its correlation.
#[derive(Debug, Clone, Copy)]
struct Fit {
    r: f64,
    slope: f64,
    offset: f64,
}

impl Fit {
    fn residual(&self, (x, y): (f64, f64)) -> f64 {
        x - self.slope * y - self.offset
    }
}

/// Least squares of the first on the second; None when one of them does not vary.
fn fit(points: &[(f64, f64)]) -> Option<Fit> {
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in points {
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
        xy += (x - mx) * (y - my);
    }
    if !(xx > 0.0 && yy > 0.0) {
        return None;
    }
    let slope = xy / yy;
    Some(Fit {
        r: xy / (xx * yy).sqrt(),
        slope,
        offset: mx - slope * my,
    })
}
