//! A column of times or values as bytes, and back.
//!
//! Every way of writing a column is tried where it can pay, the shortest is kept, and none is
//! trusted before it has been read back and compared bit for bit:
//!
//! | codec | what | when |
//! |---|---|---|
//! | raw | eight bytes each | nothing is shorter |
//! | pco | latent numbers, deltas and bins, by the `pco` crate | most columns |
//! | steps | times only: pairs of (step, how often) | a clock that rarely stutters |
//! | decimal | values only: a power of ten, then whole numbers by `pco` | sensors that send a few digits |
//!
//! A value such as 21.37 has 52 busy bits as a float and is 2,137 as a number of hundredths.
//! Dividing 2,137 by 100 gives the very float that reading "21.37" gives, because both are
//! rounded correctly from the same quotient; where they differ, the column is not decimal.

use pco::{
    ChunkConfig,
    data_types::Number,
    standalone::{simple_compress, simple_decompress_into},
};

/// Effort of pco, 0 to 12, its default. Level 4 is a third faster for some per cent of size; the
/// write rate is bound elsewhere.
const LEVEL: usize = 8;

const RAW: u8 = 0;
pub(crate) const PCO: u8 = 1;
const STEPS: u8 = 2;
const DECIMAL: u8 = 3;

/// Powers of ten that a float holds exactly; dividing by a larger one would round twice.
const MAX_DECIMALS: u8 = 22;

/// Whole numbers that a float holds exactly.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Compresses the times of a chunk, which rise strictly.
pub(crate) fn compress_times(times: &[i64]) -> (u8, Vec<u8>) {
    let steps = steps(times)
        .filter(|bytes| expand_steps(bytes, times.len()).is_ok_and(|back| back == times));
    // A few bytes cannot be beaten by pco, whose header alone is longer.
    if let Some(bytes) = &steps
        && bytes.len() <= 32
    {
        return (STEPS, bytes.clone());
    }
    let (codec, bytes) = compress(times, 0, |time| *time as u64);
    match steps {
        Some(steps) if steps.len() < bytes.len() => (STEPS, steps),
        _ => (codec, bytes),
    }
}

/// Reads what [`compress_times`] wrote.
pub(crate) fn expand_times(codec: u8, bytes: &[u8], count: usize) -> Result<Vec<i64>, String> {
    match codec {
        STEPS => expand_steps(bytes, count),
        _ => expand(codec, bytes, count, |bits| bits as i64),
    }
}

/// Compresses the values of a chunk.
pub(crate) fn compress_values(values: &[f64]) -> (u8, Vec<u8>) {
    let (codec, bytes) = compress(values, 0, |value| value.to_bits());
    let Some((decimals, whole)) = decimal(values) else {
        return (codec, bytes);
    };
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let Ok(numbers) = simple_compress(&whole, &config) else {
        return (codec, bytes);
    };
    let mut decimal = Vec::with_capacity(1 + numbers.len());
    decimal.push(decimals);
    decimal.extend_from_slice(&numbers);
    let same = |back: Vec<f64>| {
        back.iter()
            .map(|v| v.to_bits())
            .eq(values.iter().map(|v| v.to_bits()))
    };
    if decimal.len() < bytes.len() && expand_decimal(&decimal, values.len()).is_ok_and(same) {
        return (DECIMAL, decimal);
    }
    (codec, bytes)
}

/// Reads what [`compress_values`] wrote.
pub(crate) fn expand_values(codec: u8, bytes: &[u8], count: usize) -> Result<Vec<f64>, String> {
    match codec {
        DECIMAL => expand_decimal(bytes, count),
        _ => expand(codec, bytes, count, f64::from_bits),
    }
}

/// Compresses the samples of a waveform.
pub(crate) fn compress_samples(samples: &[f32]) -> (u8, Vec<u8>) {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    if let Ok(bytes) = simple_compress(samples, &config)
        && bytes.len() < samples.len() * 4
        && let Some(back) = decompress::<f32>(&bytes, samples.len())
        && back
            .iter()
            .map(|s| s.to_bits())
            .eq(samples.iter().map(|s| s.to_bits()))
    {
        return (PCO, bytes);
    }
    (
        RAW,
        samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect(),
    )
}

/// Reads what [`compress_samples`] wrote.
pub(crate) fn expand_samples(codec: u8, bytes: &[u8], count: usize) -> Result<Vec<f32>, String> {
    match codec {
        PCO => decompress(bytes, count).ok_or_else(|| "pco cannot decode it".into()),
        RAW => {
            let (samples, rest) = bytes.as_chunks::<4>();
            if samples.len() != count || !rest.is_empty() {
                return Err("its samples have the wrong length".into());
            }
            Ok(samples
                .iter()
                .map(|sample| f32::from_le_bytes(*sample))
                .collect())
        }
        other => Err(format!("codec {other} is unknown")),
    }
}

/// Compresses a column of at least `min_pco` entries; a shorter one stays as it is.
pub(crate) fn compress<T: Number>(
    column: &[T],
    min_pco: usize,
    bits: impl Fn(&T) -> u64,
) -> (u8, Vec<u8>) {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    if column.len() >= min_pco
        && let Ok(bytes) = simple_compress(column, &config)
        && bytes.len() < column.len() * 8
        && let Some(back) = decompress::<T>(&bytes, column.len())
        && back.iter().map(&bits).eq(column.iter().map(&bits))
    {
        return (PCO, bytes);
    }
    let raw = column.iter().flat_map(|entry| bits(entry).to_le_bytes());
    (RAW, raw.collect())
}

/// Reads what [`compress`] wrote.
pub(crate) fn expand<T: Number>(
    codec: u8,
    bytes: &[u8],
    count: usize,
    from_bits: impl Fn(u64) -> T,
) -> Result<Vec<T>, String> {
    match codec {
        PCO => decompress(bytes, count).ok_or_else(|| "pco cannot decode it".into()),
        RAW => {
            let (entries, rest) = bytes.as_chunks::<8>();
            if entries.len() != count || !rest.is_empty() {
                return Err("a raw column has the wrong length".into());
            }
            let entries = entries.iter().map(|entry| u64::from_le_bytes(*entry));
            Ok(entries.map(from_bits).collect())
        }
        other => Err(format!("codec {other} is unknown")),
    }
}

fn decompress<T: Number>(bytes: &[u8], count: usize) -> Option<Vec<T>> {
    let mut column = vec![T::default(); count];
    let progress = simple_decompress_into(bytes, &mut column).ok()?;
    (progress.finished && progress.n_processed == count).then_some(column)
}

/// The first time, then how far it is to the next and how often in turn.
fn steps(times: &[i64]) -> Option<Vec<u8>> {
    let mut bytes = times.first()?.to_le_bytes().to_vec();
    let deltas = times
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]) as u64);
    let mut run: Option<(u64, u64)> = None;
    for delta in deltas {
        match &mut run {
            Some((step, often)) if *step == delta => *often += 1,
            _ => {
                if let Some((step, often)) = run.replace((delta, 1)) {
                    put_varint(&mut bytes, step);
                    put_varint(&mut bytes, often);
                }
                // By then pco is the better choice.
                if bytes.len() > times.len() {
                    return None;
                }
            }
        }
    }
    if let Some((step, often)) = run {
        put_varint(&mut bytes, step);
        put_varint(&mut bytes, often);
    }
    Some(bytes)
}

fn expand_steps(bytes: &[u8], count: usize) -> Result<Vec<i64>, String> {
    let (first, mut rest) = bytes.split_first_chunk().ok_or("it is cut short")?;
    let mut at = i64::from_le_bytes(*first);
    let mut times = Vec::with_capacity(count);
    times.push(at);
    while !rest.is_empty() {
        let (step, often) = (take_varint(&mut rest)?, take_varint(&mut rest)?);
        if often > (count - times.len().min(count)) as u64 {
            return Err("it holds more times than it claims".into());
        }
        for _ in 0..often {
            at = at.wrapping_add(step as i64);
            times.push(at);
        }
    }
    if times.len() != count {
        return Err("it holds fewer times than it claims".into());
    }
    Ok(times)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or("it is cut short")?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err("a number in it is too long".into())
}

/// The fewest decimals all values have in common, and the values as whole numbers of them.
pub(crate) fn decimal(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut decimals = 0;
    for &value in values {
        while whole(value, decimals).is_none() {
            decimals += 1;
            if decimals > MAX_DECIMALS {
                return None;
            }
        }
    }
    let all: Option<Vec<i64>> = values.iter().map(|value| whole(*value, decimals)).collect();
    Some((decimals, all?))
}

/// `value` as a whole number of `10^-decimals`, when dividing gives it back bit for bit.
fn whole(value: f64, decimals: u8) -> Option<i64> {
    let scale = 10_f64.powi(i32::from(decimals));
    let rounded = (value * scale).round();
    if rounded.is_nan() || rounded.abs() >= MAX_WHOLE {
        return None;
    }
    // By way of the whole number, which has no negative zero.
    let whole = rounded as i64;
    ((whole as f64 / scale).to_bits() == value.to_bits()).then_some(whole)
}

fn expand_decimal(bytes: &[u8], count: usize) -> Result<Vec<f64>, String> {
    let (&decimals, numbers) = bytes.split_first().ok_or("it is cut short")?;
    let scale = scale(decimals)?;
    let whole: Vec<i64> = decompress(numbers, count).ok_or("pco cannot decode it")?;
    Ok(whole
        .into_iter()
        .map(|whole| whole as f64 / scale)
        .collect())
}

/// The power of ten of so many decimals.
pub(crate) fn scale(decimals: u8) -> Result<f64, String> {
    if decimals > MAX_DECIMALS {
        return Err(format!("{decimals} decimals are too many"));
    }
    Ok(10_f64.powi(i32::from(decimals)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_few_digits_are_written_as_whole_numbers() {
        let values: Vec<f64> = (0..2000)
            .map(|at| f64::from(at * 7919 % 1000) / 100.0)
            .collect();
        let (codec, bytes) = compress_values(&values);
        assert_eq!(codec, DECIMAL);
        assert!(bytes.len() < values.len() * 2, "{}", bytes.len());
        assert_eq!(expand_values(codec, &bytes, values.len()).unwrap(), values);
        for (value, decimals, expected) in [
            (21.37, 2, Some(2137)),
            (0.1, 1, Some(1)),
            (-0.5, 1, Some(-5)),
            (1e15, 0, Some(1_000_000_000_000_000)),
            (-0.0, 0, None),
            (1.0 / 3.0, 2, None),
            (f64::MAX, 0, None),
        ] {
            assert_eq!(whole(value, decimals), expected, "{value}");
        }
    }

    #[test]
    fn a_regular_clock_takes_a_handful_of_bytes() {
        let mut times: Vec<i64> = (0..60_000)
            .map(|at| 1_700_000_000_000_000 + at * 1_000_000)
            .collect();
        let (codec, bytes) = compress_times(&times);
        assert_eq!((codec, bytes.len()), (STEPS, 8 + 3 + 3));
        for at in &mut times[30_000..] {
            *at += 500_000;
        }
        let (codec, bytes) = compress_times(&times);
        assert_eq!(codec, STEPS);
        assert_eq!(expand_times(codec, &bytes, times.len()).unwrap(), times);
        let whole_calendar = [i64::MIN, 0, i64::MAX];
        let (codec, bytes) = compress_times(&whole_calendar);
        assert_eq!(expand_times(codec, &bytes, 3).unwrap(), whole_calendar);
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit_whatever_their_digits(
            whole in prop::collection::vec(-1_000_000_000..1_000_000_000_i64, 1..300),
            decimals in 0..12_i32, odd in any::<f64>(), mixed in any::<bool>(),
        ) {
            let scale = 10_f64.powi(decimals);
            let mut values: Vec<f64> = whole.iter().map(|whole| *whole as f64 / scale).collect();
            if mixed {
                values.push(odd);
            }
            let (codec, bytes) = compress_values(&values);
            let back = expand_values(codec, &bytes, values.len()).unwrap();
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&values));
        }

        #[test]
        fn times_come_back_whatever_the_clock_does(
            start in any::<i32>(), runs in prop::collection::vec((1..10_000_000_i64, 1..50_usize), 1..40),
        ) {
            let mut times = vec![i64::from(start)];
            for (step, often) in runs {
                for _ in 0..often {
                    times.push(times[times.len() - 1] + step);
                }
            }
            let (codec, bytes) = compress_times(&times);
            prop_assert_eq!(expand_times(codec, &bytes, times.len()).unwrap(), times);
        }

        #[test]
        fn any_bytes_are_an_error_or_a_column(
            codec in 0..6_u8, bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0..3_000_usize,
        ) {
            let _ = expand_times(codec, &bytes, count);
            let _ = expand_values(codec, &bytes, count);
            let _ = expand_samples(codec, &bytes, count);
        }
    }
}
