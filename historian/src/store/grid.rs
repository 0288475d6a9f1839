//! The parts a time range is shown in, and readings or roll-ups gathered into them.
//!
//! A screen has some hundreds of columns and a year some hundred thousand minutes, so wide parts
//! are answered from roll-ups. That is exact only where the edges of parts are edges of rows,
//! which is why wide parts are laid on the calendar (of UTC): from six minutes on a part is a
//! whole number of minutes and begins at one, from six hours on of hours, from six days on of
//! days. The width grows by a sixth at most for it. The first part begins at `from` and the last
//! ends at `to`, wherever these lie.

use telemetry::Timestamp;

use super::{chunk::Slice, rollup::Row, tier::Tier};

/// The most parts of one answer; no screen has more columns.
pub(crate) const MAX_BUCKETS: u32 = 10_000;

/// Parts this many rows wide are laid on the edges of rows.
const MIN_ROWS_PER_PART: i128 = 6;

/// The readings of one part of a time range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where the part begins.
    pub from: Timestamp,
    /// Where it ends; readings at this time belong to the next.
    pub to: Timestamp,
    /// The number of readings, never zero.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The value at the earliest time.
    pub first: f64,
    /// The value at the latest time.
    pub last: f64,
}

/// The parts of a time range: the same for every series and every store. Arithmetic in 128
/// bits, because a range may span all of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    from: i128,
    to: i128,
    origin: i128,
    width: i128,
    step: i128,
}

impl Grid {
    /// At most `count` parts of `[from, to)`; `count` is kept within 1 and 10,000. None when
    /// there is nothing between `from` and `to`.
    pub fn new(from: Timestamp, to: Timestamp, count: u32) -> Option<Self> {
        let (from, to) = (i128::from(from.as_micros()), i128::from(to.as_micros()));
        if from >= to {
            return None;
        }
        let count = i128::from(count.clamp(1, MAX_BUCKETS));
        let width = ceil(to - from, count);
        let wide = |tier: &&Tier| width >= MIN_ROWS_PER_PART * i128::from(tier.step());
        let tier = Tier::ROLL_UPS.iter().rev().find(wide).unwrap_or(&Tier::Raw);
        let step = i128::from(tier.step());
        let origin = from - from.rem_euclid(step);
        Some(Self {
            from,
            to,
            origin,
            width: ceil(ceil(to - origin, count), step) * step,
            step,
        })
    }

    /// The width of a part in microseconds; the first and the last may be narrower.
    pub fn width_micros(&self) -> i64 {
        i64::try_from(self.width).unwrap_or(i64::MAX)
    }

    /// What the width is a multiple of, in microseconds: 1, or a minute, an hour or a day.
    pub fn step_micros(&self) -> i64 {
        self.step as i64
    }

    /// Where parts are counted from: at `from`, or up to one step before.
    pub fn origin_micros(&self) -> i64 {
        self.origin.max(i128::from(i64::MIN)) as i64
    }

    /// The part that holds `at`; none outside the range.
    pub fn part(&self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let at = i128::from(at.as_micros());
        if at < self.from || at >= self.to {
            return None;
        }
        let start = self.origin + (at - self.origin) / self.width * self.width;
        let edge = |at: i128| Timestamp::from_micros(at as i64);
        Some((
            edge(start.max(self.from)),
            edge((start + self.width).min(self.to)),
        ))
    }

    /// Whether rows of a tier never lie across an edge between two parts.
    pub(crate) fn fits(&self, tier: Tier) -> bool {
        self.step % i128::from(tier.step()) == 0
    }

    /// Adds sorted points, later than what was added before. `mean` holds the sum until the end.
    pub(crate) fn add_points(&self, buckets: &mut Vec<Bucket>, run: Slice<'_>) {
        let mut until = buckets
            .last()
            .map_or(i64::MIN, |bucket| bucket.to.as_micros());
        for (&at, &value) in run.times.iter().zip(run.values) {
            match buckets.last_mut() {
                Some(bucket) if at < until => {
                    bucket.count += 1;
                    bucket.min = bucket.min.min(value);
                    bucket.max = bucket.max.max(value);
                    bucket.mean += value;
                    bucket.last = value;
                }
                _ => {
                    let Some((from, to)) = self.part(Timestamp::from_micros(at)) else {
                        continue;
                    };
                    until = to.as_micros();
                    buckets.push(Bucket {
                        from,
                        to,
                        count: 1,
                        min: value,
                        max: value,
                        mean: value,
                        first: value,
                        last: value,
                    });
                }
            }
        }
    }

    /// Adds sorted rows, later than what was added before; a row counts where it begins, or in
    /// the first part when it begins before it: its readings do not, or it would not be asked.
    pub(crate) fn add_rows(&self, buckets: &mut Vec<Bucket>, rows: &[Row]) {
        for row in rows {
            match buckets.last_mut() {
                Some(bucket) if row.start < bucket.to.as_micros() => {
                    bucket.count += row.count;
                    bucket.min = bucket.min.min(row.min);
                    bucket.max = bucket.max.max(row.max);
                    bucket.mean += row.sum;
                    bucket.last = row.last;
                }
                _ => {
                    let start = i128::from(row.start).max(self.from);
                    let Some((from, to)) = self.part(Timestamp::from_micros(start as i64)) else {
                        continue;
                    };
                    buckets.push(Bucket {
                        from,
                        to,
                        count: row.count,
                        min: row.min,
                        max: row.max,
                        mean: row.sum,
                        first: row.first,
                        last: row.last,
                    });
                }
            }
        }
    }
}

/// The quotient rounded up, of numbers above zero.
fn ceil(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

impl Bucket {
    /// The sum of the values becomes their mean.
    pub(crate) fn finished(mut self) -> Self {
        self.mean /= self.count as f64;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;

    fn grid(from: i64, to: i64, count: u32) -> Grid {
        let [from, to] = [from, to].map(Timestamp::from_micros);
        Grid::new(from, to, count).unwrap()
    }

    #[test]
    fn wide_parts_are_whole_minutes_hours_or_days() {
        for (span, count, width, step) in [
            (10, 3, 4, 1),
            (HOUR, 20, 3 * MINUTE, 1),
            (HOUR, 10, 6 * MINUTE, MINUTE),
            (HOUR + 1, 10, 7 * MINUTE, MINUTE),
            (365 * DAY, 1000, 9 * HOUR, HOUR),
            (365 * DAY, 50, 8 * DAY, DAY),
            (365 * DAY, 10_000, 53 * MINUTE, MINUTE),
        ] {
            let grid = grid(0, span, count);
            let found = (grid.width_micros(), grid.step_micros());
            assert_eq!(found, (width, step), "{span} in {count}");
        }
        let late = grid(HOUR + 17, HOUR + 17 + 365 * DAY, 1000);
        assert_eq!(late.origin_micros(), HOUR);
        let first = late.part(Timestamp::from_micros(HOUR + 17)).unwrap();
        assert_eq!(first.0.as_micros(), HOUR + 17);
        assert_eq!(first.1.as_micros(), 10 * HOUR);
    }

    #[test]
    fn the_first_row_counts_although_its_hour_begins_before_the_range() {
        let from = HOUR / 2;
        let grid = grid(from, from + 10 * DAY, 20);
        let row = |start, count| Row {
            start,
            count,
            min: 1.0,
            max: 3.0,
            sum: 2.0 * count as f64,
            first: 1.0,
            last: 3.0,
        };
        let mut buckets = Vec::new();
        grid.add_rows(&mut buckets, &[row(0, 1_800), row(HOUR, 3_600)]);
        assert_eq!(buckets.len(), 1);
        assert_eq!(
            (buckets[0].from.as_micros(), buckets[0].count),
            (from, 5_400)
        );
    }

    proptest! {
        #[test]
        fn parts_cover_the_range_without_gaps_and_are_not_too_many(
            from in any::<i64>(), span in 1..=u64::MAX, count in 1..=40_u32,
        ) {
            let to = (i128::from(from) + i128::from(span)).min(i128::from(i64::MAX)) as i64;
            prop_assume!(from < to);
            let grid = grid(from, to, count);
            let mut at = Timestamp::from_micros(from);
            let mut parts = 0;
            while let Some((start, end)) = grid.part(at) {
                prop_assert_eq!(start, at);
                prop_assert!(end > start);
                at = end;
                parts += 1;
            }
            prop_assert_eq!(at.as_micros(), to);
            prop_assert!(parts <= count, "{} parts", parts);
        }
    }
}
