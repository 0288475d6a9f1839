//! Rows of a roll-up: what is left of the readings of a minute, an hour or a day.
//!
//! Rows belong to a chunk and hold its readings only, so the row of an hour that two chunks
//! share lies in both, in parts. Chunks follow each other in time without overlap, so parts put
//! together in their order are the whole, `first` and `last` included, and whatever rewrites a
//! chunk rewrites its rows with it.
//!
//! ```text
//! rows u32 | kind u8 | columns, each: codec u8, bytes u32, bytes
//! kind 0: start / step, count, min, max, sum, first, last
//! kind 1: start / step, value: every row is one reading
//! ```

use super::{
    chunk::Slice,
    columns::{compress, expand},
    tier::Tier,
};

/// Rows below which a column is stored as it is: pco's own header would be most of it.
const MIN_PCO_ROWS: usize = 64;

/// The most rows of one roll-up: it has no more rows than its chunk has points, late ones aside.
const MAX_ROWS: usize = 1 << 20;

/// A roll-up is kept beside readings only where a row stands for this many readings on
/// average: minutes of a signal that is sent every second are, and take less than a fifth of a
/// byte a reading. For fewer, the readings themselves are read about as fast.
const MIN_READINGS_PER_ROW: usize = 48;

/// Chunks of fewer readings have no roll-ups beside these: they are read in a fraction of a
/// millisecond, and sooner or later merged into larger ones.
const MIN_READINGS: usize = 16_384;

/// A coarser roll-up is kept beside a finer one only where that has more rows than this.
const MAX_ROWS_TO_READ: usize = 64;

const FULL: u8 = 0;
const SINGLE: u8 = 1;

/// The readings of one minute, hour or day, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    /// Where the row begins, in microseconds.
    pub(crate) start: i64,
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl Row {
    fn of(start: i64, value: f64) -> Self {
        Self {
            start,
            count: 1,
            min: value,
            max: value,
            sum: value,
            first: value,
            last: value,
        }
    }

    fn push(&mut self, value: f64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.last = value;
    }

    /// Takes in what comes later.
    fn extend(&mut self, later: &Self) {
        self.count += later.count;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.last = later.last;
    }
}

/// Where the row that holds `at` begins.
fn start_of(at: i64, tier: Tier) -> i64 {
    at.saturating_sub(at.rem_euclid(tier.step()))
}

/// The rows of sorted points.
pub(crate) fn of_points(points: Slice<'_>, tier: Tier) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (&at, &value) in points.times.iter().zip(points.values) {
        match rows.last_mut() {
            Some(row) if at.abs_diff(row.start) < tier.step() as u64 => row.push(value),
            _ => rows.push(Row::of(start_of(at, tier), value)),
        }
    }
    rows
}

/// The rows of a coarser tier from those of a finer one.
pub(crate) fn of_rows(finer: &[Row], tier: Tier) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in finer {
        match rows.last_mut() {
            Some(last) if row.start.abs_diff(last.start) < tier.step() as u64 => last.extend(row),
            _ => rows.push(Row {
                start: start_of(row.start, tier),
                ..*row
            }),
        }
    }
    rows
}

/// Adds rows of readings that came when the readings behind `stored` had gone. Count, least,
/// greatest and sum are exact; of a row in both, first and last stay those stored.
pub(crate) fn merged(stored: &[Row], late: &[Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = stored.to_vec();
    for row in late {
        match rows.binary_search_by_key(&row.start, |row| row.start) {
            Ok(at) => {
                let last = rows[at].last;
                rows[at].extend(row);
                rows[at].last = last;
            }
            Err(at) => rows.insert(at, *row),
        }
    }
    rows
}

/// The roll-ups that are worth keeping beside the points of a chunk, as bytes.
pub(crate) fn worthwhile(points: Slice<'_>) -> Vec<(Tier, Vec<u8>)> {
    let mut kept = Vec::new();
    if points.len() < MIN_READINGS {
        return kept;
    }
    let mut finer = of_points(points, Tier::Minute);
    let mut to_read = points.len();
    for tier in Tier::ROLL_UPS {
        let rows = of_rows(&finer, tier);
        if rows.len() * MIN_READINGS_PER_ROW <= points.len() && to_read > MAX_ROWS_TO_READ {
            kept.push((tier, encode(&rows, tier)));
            to_read = rows.len();
        }
        finer = rows;
    }
    kept
}

/// Rows as bytes.
pub(crate) fn encode(rows: &[Row], tier: Tier) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + rows.len() * 16);
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    let single = rows.iter().all(|row| row.count == 1);
    out.push(if single { SINGLE } else { FULL });
    let starts = rows.iter().map(|row| row.start.div_euclid(tier.step()));
    put(&mut out, &starts.collect::<Vec<i64>>(), |start| {
        *start as u64
    });
    if !single {
        let counts: Vec<i64> = rows.iter().map(|row| row.count as i64).collect();
        put(&mut out, &counts, |count| *count as u64);
    }
    let columns: &[fn(&Row) -> f64] = if single {
        &[|row| row.first]
    } else {
        &[
            |row| row.min,
            |row| row.max,
            |row| row.sum,
            |row| row.first,
            |row| row.last,
        ]
    };
    for column in columns {
        let column: Vec<f64> = rows.iter().map(column).collect();
        put(&mut out, &column, |value| value.to_bits());
    }
    out
}

fn put<T: pco::data_types::Number>(out: &mut Vec<u8>, column: &[T], bits: impl Fn(&T) -> u64) {
    let (codec, bytes) = compress(column, MIN_PCO_ROWS, bits);
    out.push(codec);
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Reads what [`encode`] wrote. Never panics, whatever the bytes are.
pub(crate) fn decode(bytes: &[u8], tier: Tier) -> Result<Vec<Row>, String> {
    let mut bytes = bytes;
    let rows = u32::from_le_bytes(*take(&mut bytes)?) as usize;
    if rows > MAX_ROWS {
        return Err(format!("it claims {rows} rows"));
    }
    let [kind] = *take(&mut bytes)?;
    let starts = column(&mut bytes, rows, |bits| bits as i64)?;
    let counts = match kind {
        SINGLE => vec![1; rows],
        FULL => column(&mut bytes, rows, |bits| bits as i64)?,
        other => return Err(format!("rows of kind {other} are unknown")),
    };
    let mut values = Vec::with_capacity(5);
    for _ in 0..if kind == SINGLE { 1 } else { 5 } {
        values.push(column(&mut bytes, rows, f64::from_bits)?);
    }
    if !bytes.is_empty() {
        return Err("bytes are left over".into());
    }
    let value = |column: usize, row: usize| values[column.min(values.len() - 1)][row];
    let row = |at: usize| Row {
        start: starts[at].saturating_mul(tier.step()),
        count: counts[at] as u64,
        min: value(0, at),
        max: value(1, at),
        sum: value(2, at),
        first: value(3, at),
        last: value(4, at),
    };
    let rows: Vec<Row> = (0..rows).map(row).collect();
    // Looked at as they will be used: rows beyond the calendar would all begin at its end.
    if !rows.is_sorted_by(|a, b| a.start < b.start) || counts.iter().any(|count| *count < 1) {
        return Err("its rows are out of order or empty".into());
    }
    Ok(rows)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk().ok_or("it is cut short")?;
    *bytes = rest;
    Ok(taken)
}

fn column<T: pco::data_types::Number>(
    bytes: &mut &[u8],
    rows: usize,
    from_bits: impl Fn(u64) -> T,
) -> Result<Vec<T>, String> {
    let [codec] = *take(bytes)?;
    let length = u32::from_le_bytes(*take(bytes)?) as usize;
    let (taken, rest) = bytes.split_at_checked(length).ok_or("it is cut short")?;
    *bytes = rest;
    expand(codec, taken, rows, from_bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::chunk::Points, *};

    fn points() -> impl Strategy<Value = Points> {
        let step = prop_oneof![1..90_000_000_i64, Just(1_000_000), 1..900_000_000_000_i64];
        let value = (-1000..1000_i32).prop_map(|tenth| f64::from(tenth) / 8.0);
        (any::<i32>(), prop::collection::vec((step, value), 1..400)).prop_map(|(start, rows)| {
            let mut at = i64::from(start) * 1_000_000;
            let mut points = Points::default();
            for (step, value) in rows {
                points.push(at, value);
                at += step;
            }
            points
        })
    }

    /// Rows by the definition, one reading at a time.
    fn naive(points: &Points, tier: Tier) -> Vec<Row> {
        let mut rows = std::collections::BTreeMap::<i64, Vec<f64>>::new();
        for (at, value) in points.times.iter().zip(&points.values) {
            let start = at.div_euclid(tier.step()) * tier.step();
            rows.entry(start).or_default().push(*value);
        }
        let row = |(start, values): (i64, Vec<f64>)| Row {
            start,
            count: values.len() as u64,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            sum: values.iter().sum(),
            first: values[0],
            last: values[values.len() - 1],
        };
        rows.into_iter().map(row).collect()
    }

    proptest! {
        #[test]
        fn rows_are_those_of_the_definition_by_either_way_and_come_back(points in points()) {
            // Eighths of whole numbers add up without rounding, so every order of sums agrees.
            let minutes = of_points(points.as_slice(), Tier::Minute);
            for tier in Tier::ROLL_UPS {
                let expected = naive(&points, tier);
                prop_assert_eq!(&of_points(points.as_slice(), tier), &expected);
                prop_assert_eq!(&of_rows(&minutes, tier), &expected);
                prop_assert_eq!(&decode(&encode(&expected, tier), tier).unwrap(), &expected);
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_rows(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&noise, Tier::Hour);
        }

        #[test]
        fn late_rows_leave_counts_and_sums_exact(points in points(), mask in any::<u128>()) {
            let mut sides = [Points::default(), Points::default()];
            for (at, (&time, &value)) in points.times.iter().zip(&points.values).enumerate() {
                sides[(mask >> (at % 128) & 1) as usize].push(time, value);
            }
            let [stored, late] = sides.map(|side| of_points(side.as_slice(), Tier::Hour));
            let all = of_points(points.as_slice(), Tier::Hour);
            let numbers = |row: &Row| (row.start, row.count, row.min, row.max, row.sum);
            let merged = merged(&stored, &late);
            prop_assert!(merged.iter().map(numbers).eq(all.iter().map(numbers)));
        }
    }

    #[test]
    fn roll_ups_are_kept_where_a_row_stands_for_many_readings() {
        let every = |micros: i64, count: i64| {
            let mut points = Points::default();
            for at in 0..count {
                points.push(at * micros, at as f64);
            }
            let kept = worthwhile(points.as_slice());
            kept.iter().map(|(tier, _)| *tier).collect::<Vec<_>>()
        };
        assert_eq!(
            every(1_000_000, 65_536),
            [Tier::Minute, Tier::Hour],
            "1 Hz: 60 readings a minute, 3,600 an hour"
        );
        assert_eq!(
            every(100_000, 65_536),
            [Tier::Minute, Tier::Hour],
            "10 Hz: 600 a minute"
        );
        assert_eq!(
            every(60_000_000, 44_640),
            [Tier::Hour, Tier::Day],
            "one a minute: 60 an hour, 1,440 a day"
        );
        assert_eq!(
            every(90_000_000, 44_640),
            [Tier::Day],
            "40 an hour are too few for hours"
        );
        assert_eq!(every(3_600_000_000, 20_000), [], "one an hour");
        assert_eq!(every(1_000_000, 16_383), [], "a small chunk");
    }

    #[test]
    fn rows_beyond_the_calendar_are_refused() {
        let row = |start| Row::of(start, 1.0);
        let day = Tier::Day.step();
        let mut bytes = encode(&[row(0), row(day)], Tier::Day);
        assert_eq!(decode(&bytes, Tier::Day).unwrap()[1].start, day);
        // Two starts in days, behind the number of rows, the kind, the codec and the length.
        for (at, days) in [(10, i64::MAX - 1), (18, i64::MAX)] {
            bytes[at..at + 8].copy_from_slice(&days.to_le_bytes());
        }
        let error = decode(&bytes, Tier::Day).unwrap_err();
        assert_eq!(error, "its rows are out of order or empty");
    }

    #[test]
    fn the_first_and_the_last_moment_of_the_calendar_have_rows() {
        let mut points = Points::default();
        for at in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
            points.push(at, 1.0);
        }
        for tier in Tier::ROLL_UPS {
            let rows = of_points(points.as_slice(), tier);
            let counts: Vec<u64> = rows.iter().map(|row| row.count).collect();
            assert_eq!(counts, [2, 1, 2], "{tier:?}");
            assert_eq!(decode(&encode(&rows, tier), tier).unwrap(), rows);
        }
    }
}
