//! A run of points of one series as bytes, and back.
//!
//! Times and values are compressed apart, see [`columns`]. A checksum covers the bytes and
//! everything known about them.

use super::{columns, rollup, tier::Tier};

/// The most points in a chunk: half a megabyte of values, which decodes in under a millisecond.
pub(crate) const MAX_POINTS: usize = 65_536;

/// The codec of a chunk whose readings have gone and of which only roll-ups are left.
pub(crate) const GONE: u8 = 0xff;

/// Points in columns. Times rise strictly wherever points belong to one series.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Points {
    /// Microseconds since 1970.
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

impl Points {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn push(&mut self, at: i64, value: f64) {
        self.times.push(at);
        self.values.push(value);
    }

    pub(crate) fn as_slice(&self) -> Slice<'_> {
        Slice {
            times: &self.times,
            values: &self.values,
        }
    }

    pub(crate) fn extend(&mut self, more: Slice<'_>) {
        self.times.extend_from_slice(more.times);
        self.values.extend_from_slice(more.values);
    }

    /// Two sorted runs without a common time as one.
    pub(crate) fn merged(a: Slice<'_>, b: Slice<'_>) -> Self {
        let mut merged = Self {
            times: Vec::with_capacity(a.len() + b.len()),
            values: Vec::with_capacity(a.len() + b.len()),
        };
        let (mut a, mut b) = (a, b);
        while let (Some(&first_a), Some(&first_b)) = (a.times.first(), b.times.first()) {
            let run = if first_a < first_b { &mut a } else { &mut b };
            let (head, rest) = run.split_before(first_a.max(first_b));
            merged.extend(head);
            *run = rest;
        }
        merged.extend(a);
        merged.extend(b);
        merged
    }
}

/// A borrowed run of points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
}

impl Slice<'_> {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let (times, later_times) = self.times.split_at(at);
        let (values, later_values) = self.values.split_at(at);
        (
            Self { times, values },
            Self {
                times: later_times,
                values: later_values,
            },
        )
    }

    /// The points before `at`, and those from it on.
    pub(crate) fn split_before(self, at: i64) -> (Self, Self) {
        self.split_at(self.times.partition_point(|&time| time < at))
    }

    /// The points in `from..to`.
    pub(crate) fn between(self, from: i64, to: i64) -> Self {
        self.split_before(from).1.split_before(to).0
    }
}

/// A chunk as it is stored. `series` is the number of its series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encoded {
    pub(crate) series: u32,
    pub(crate) t_min: i64,
    pub(crate) t_max: i64,
    pub(crate) count: u32,
    pub(crate) last_value: f64,
    /// Codec of the times in the low, of the values in the high four bits.
    pub(crate) codec: u8,
    pub(crate) times: Vec<u8>,
    pub(crate) values: Vec<u8>,
    /// Its roll-ups, each with a checksum of its own.
    pub(crate) roll_ups: Vec<(Tier, Vec<u8>)>,
}

/// Encodes chunks. The signals of a device are usually measured at the same instants, so the
/// times encoded last are kept and used again when they recur.
#[derive(Default)]
pub(crate) struct Encoder {
    last_times: Vec<i64>,
    last_encoded: (u8, Vec<u8>),
}

impl Encoder {
    /// Encodes between one and [`MAX_POINTS`] points; none for an empty run.
    pub(crate) fn encode(&mut self, series: u32, points: Slice<'_>) -> Option<Encoded> {
        let (&t_min, &t_max) = (points.times.first()?, points.times.last()?);
        debug_assert!(points.len() <= MAX_POINTS && points.times.is_sorted());
        if self.last_times != points.times {
            self.last_encoded = columns::compress_times(points.times);
            self.last_times.clear();
            self.last_times.extend_from_slice(points.times);
        }
        let (times_codec, times) = self.last_encoded.clone();
        let (values_codec, values) = columns::compress_values(points.values);
        Some(Encoded {
            series,
            t_min,
            t_max,
            count: points.len() as u32,
            last_value: *points.values.last()?,
            codec: times_codec | values_codec << 4,
            times,
            values,
            roll_ups: rollup::worthwhile(points),
        })
    }
}

impl Encoded {
    /// The checksum over the bytes and all that is known about them.
    pub(crate) fn checksum(&self) -> u32 {
        let mut crc = crc32c::crc32c(&self.series.to_le_bytes());
        for part in [
            &self.t_min.to_le_bytes()[..],
            &self.t_max.to_le_bytes(),
            &self.count.to_le_bytes(),
            &self.last_value.to_bits().to_le_bytes(),
            &[self.codec],
            &(self.times.len() as u64).to_le_bytes(),
            &self.times,
            &self.values,
        ] {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc
    }

    /// Checks the checksum and decodes.
    pub(crate) fn decode(&self, crc: u32) -> Result<Points, String> {
        if self.codec == GONE {
            return Err("its readings have gone".into());
        }
        if self.checksum() != crc {
            return Err("its checksum differs".into());
        }
        let count = self.count as usize;
        if count == 0 || count > MAX_POINTS {
            return Err(format!("it claims {count} points"));
        }
        let points = Points {
            times: columns::expand_times(self.codec & 15, &self.times, count)?,
            values: columns::expand_values(self.codec >> 4, &self.values, count)?,
        };
        let rising = points.times.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising
            || points.times.first() != Some(&self.t_min)
            || points.times.last() != Some(&self.t_max)
        {
            return Err("its times are not those it was stored with".into());
        }
        Ok(points)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(max: usize) -> impl Strategy<Value = Points> {
        let step = prop_oneof![
            Just(1_000_000_i64),
            1..5_000_000_i64,
            1..1_000_000_000_000_i64
        ];
        let value = prop_oneof![
            (-1000..1000_i32).prop_map(|tenth| f64::from(tenth) / 10.0),
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            Just(-0.0),
        ];
        (any::<i32>(), prop::collection::vec((step, value), 1..max)).prop_map(|(start, rows)| {
            let mut points = Points::default();
            let mut at = i64::from(start) * 1_000_000;
            for (step, value) in rows {
                points.push(at, value);
                at += step;
            }
            points
        })
    }

    fn bits(points: &Points) -> Vec<(i64, u64)> {
        let values = points.values.iter().map(|value| value.to_bits());
        points.times.iter().copied().zip(values).collect()
    }

    proptest! {
        #[test]
        fn points_come_back_bit_for_bit(points in points(600)) {
            let chunk = Encoder::default().encode(3, points.as_slice()).unwrap();
            let back = chunk.decode(chunk.checksum()).unwrap();
            prop_assert_eq!(bits(&back), bits(&points));
            prop_assert_eq!(chunk.last_value.to_bits(), points.values.last().unwrap().to_bits());
        }

        #[test]
        fn any_changed_byte_is_an_error(
            points in points(200), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
        ) {
            let chunk = Encoder::default().encode(3, points.as_slice()).unwrap();
            let crc = chunk.checksum();
            let mut spoiled = chunk.clone();
            let at = at.index(chunk.times.len() + chunk.values.len());
            match at.checked_sub(chunk.times.len()) {
                None => spoiled.times[at] ^= flip,
                Some(at) => spoiled.values[at] ^= flip,
            }
            prop_assert!(spoiled.decode(crc).is_err());
            for change in [
                |chunk: &mut Encoded| chunk.series += 1,
                |chunk: &mut Encoded| chunk.count += 1,
                |chunk: &mut Encoded| chunk.t_min -= 1,
                |chunk: &mut Encoded| chunk.codec ^= 1,
                |chunk: &mut Encoded| chunk.last_value = 0.123,
            ] {
                let mut spoiled = chunk.clone();
                change(&mut spoiled);
                prop_assert!(spoiled.decode(crc).is_err());
            }
        }

        #[test]
        fn merging_gives_the_sorted_union(times in prop::collection::btree_set(0..500_i64, 0..80), mask in any::<u128>()) {
            let mut sides = [Points::default(), Points::default()];
            for (at, &time) in times.iter().enumerate() {
                sides[(mask >> at & 1) as usize].push(time, time as f64);
            }
            let merged = Points::merged(sides[0].as_slice(), sides[1].as_slice());
            prop_assert_eq!(merged.times, times.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(merged.values, times.iter().map(|&t| t as f64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn incompressible_values_are_stored_raw() {
        // Distinct random bits in every position leave pco nothing to save.
        let mut state = 1_u64;
        let mut points = Points::default();
        for at in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            points.push(at, f64::from_bits(state >> 2));
        }
        let chunk = Encoder::default().encode(0, points.as_slice()).unwrap();
        assert_eq!(chunk.codec >> 4, 0, "0 is raw");
        assert_eq!(chunk.decode(chunk.checksum()).unwrap(), points);
    }

    #[test]
    fn signals_measured_together_share_the_work_on_their_times() {
        let mut encoder = Encoder::default();
        let mut points = Points::default();
        for at in 0..100 {
            points.push(at * 1_000_000, at as f64);
        }
        let first = encoder.encode(1, points.as_slice()).unwrap();
        points.values[5] = 0.5;
        let second = encoder.encode(2, points.as_slice()).unwrap();
        assert_eq!(first.times, second.times);
        points.times[99] += 1;
        let third = encoder.encode(3, points.as_slice()).unwrap();
        assert_eq!(third.decode(third.checksum()).unwrap(), points);
    }
}
