//! What a signal usually is at this hour of the day and on this day of the week.
//!
//! The mean of an hour is folded into the hour's normal when the hour is over, with a weight of
//! one over the number of times it was seen, an eighth at least: a week and a day's worth of
//! memory, at any pace of the device. Days of the week work alike. Hours are those of UTC: a
//! plant's shifts keep their place in it but for daylight saving, which an eighth follows.

use serde::{Deserialize, Serialize};

const HOUR_US: i64 = 3_600_000_000;
const DAY_HOURS: i64 = 24;
const WEEK_DAYS: i64 = 7;
/// 1970-01-01 was a Thursday; Monday is day 0.
const FIRST_WEEKDAY: i64 = 3;
/// The least weight of a new mean.
const LEAST_WEIGHT: f32 = 1.0 / 8.0;

/// The usual mean of one part of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bin {
    mean: f32,
    seen: u8,
}

/// A cycle of parts, and the mean of the part at hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cycle {
    bins: Vec<Bin>,
    /// Which part since 1970 is at hand.
    part: i64,
    mean: f32,
    count: u32,
}

impl Cycle {
    fn new(parts: i64) -> Self {
        Self {
            bins: vec![Bin::default(); parts as usize],
            part: 0,
            mean: 0.0,
            count: 0,
        }
    }

    fn bin(&self) -> usize {
        self.part.rem_euclid(self.bins.len() as i64) as usize
    }

    fn push(&mut self, part: i64, value: f32) {
        if part != self.part {
            if self.count > 0 {
                let (at, mean) = (self.bin(), self.mean);
                let bin = &mut self.bins[at];
                bin.seen = bin.seen.saturating_add(1);
                bin.mean += (1.0 / f32::from(bin.seen)).max(LEAST_WEIGHT) * (mean - bin.mean);
            }
            (self.part, self.mean, self.count) = (part, 0.0, 0);
        }
        self.count = self.count.saturating_add(1);
        self.mean += (value - self.mean) / self.count as f32;
    }

    /// The normal of the part at hand, and how far its mean is from it; none when the part was
    /// never seen before.
    fn now(&self) -> Option<(f64, f64)> {
        let bin = self.bins[self.bin()];
        let known = bin.seen > 0 && self.count > 0;
        known.then(|| (f64::from(bin.mean), f64::from(self.mean - bin.mean)))
    }
}

/// The profiles of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile {
    /// When the hour at hand began: within it nothing has to be divided.
    hour_from: i64,
    hours: Cycle,
    days: Cycle,
}

impl Profile {
    pub(super) fn new() -> Self {
        Self {
            hour_from: 0,
            hours: Cycle::new(DAY_HOURS),
            days: Cycle::new(WEEK_DAYS),
        }
    }

    pub(super) fn push(&mut self, at: i64, value: f32) {
        let (mut hour, mut day) = (self.hours.part, self.days.part);
        let since = at.saturating_sub(self.hour_from);
        if !(0..HOUR_US).contains(&since) || self.days.count == 0 {
            hour = at.div_euclid(HOUR_US);
            day = hour.div_euclid(DAY_HOURS).saturating_add(FIRST_WEEKDAY);
            self.hour_from = hour.saturating_mul(HOUR_US);
        }
        self.hours.push(hour, value);
        self.days.push(day, value);
    }

    /// The normal of this hour of the day and the deviation from it.
    pub(super) fn hour(&self) -> (Option<f64>, Option<f64>) {
        self.hours.now().unzip()
    }

    /// The deviation from the normal of this day of the week.
    pub(super) fn weekday(&self) -> Option<f64> {
        self.days.now().map(|(_, deviation)| deviation)
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.hours.bins.len() as i64 == DAY_HOURS && self.days.bins.len() as i64 == WEEK_DAYS
    }
}
