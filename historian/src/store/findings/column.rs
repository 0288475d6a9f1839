//! A column of whole numbers or floats as bytes, and back.
//!
//! | codec | what | when |
//! |---|---|---|
//! | constant | one number | a limit, a model, a state that never changed |
//! | runs | pairs of (step, how often) | what changes rarely |
//! | deltas | the step to each number | a few numbers |
//! | pco | by the `pco` crate | many numbers that move |
//!
//! Floats of few digits are whole numbers of a power of ten, as in the columns of readings; others
//! are kept by their bits. The shortest way is taken.

use pco::data_types::Number;

use crate::store::columns;

const CONSTANT: u8 = 0;
const RUNS: u8 = 1;
const DELTAS: u8 = 2;
const PCO: u8 = 3;

/// From here on the codecs of floats that are no decimals.
const BITS: u8 = 4;

/// The header of `pco` alone is longer than fewer numbers than this.
const MIN_PCO: usize = 16;

/// Numbers as bytes, with the codec that reads them: 0 to 3.
pub(crate) fn compress(numbers: &[i64]) -> (u8, Vec<u8>) {
    shorter_by_pco(plain(numbers), numbers, |number| *number as u64)
}

/// The shortest form without pco.
fn plain(numbers: &[i64]) -> (u8, Vec<u8>) {
    let first = numbers.first().copied().unwrap_or_default();
    let mut constant = Vec::new();
    put_signed(&mut constant, first);
    if numbers.iter().all(|number| *number == first) {
        return (CONSTANT, constant);
    }
    let (mut runs, mut deltas) = (Vec::new(), Vec::new());
    let mut last = 0_i64;
    for run in numbers.chunk_by(|a, b| a == b) {
        put_signed(&mut runs, run[0].wrapping_sub(last));
        columns::put_varint(&mut runs, run.len() as u64);
        put_signed(&mut deltas, run[0].wrapping_sub(last));
        deltas.resize(deltas.len() + run.len() - 1, 0);
        last = run[0];
    }
    if deltas.len() < runs.len() {
        (DELTAS, deltas)
    } else {
        (RUNS, runs)
    }
}

/// Reads what [`compress`] wrote.
pub(crate) fn expand(codec: u8, bytes: &[u8], count: usize) -> Result<Vec<i64>, String> {
    let mut rest = bytes;
    match codec {
        CONSTANT => {
            let number = take_signed(&mut rest)?;
            ended(rest)?;
            Ok(vec![number; count])
        }
        RUNS => {
            let (mut numbers, mut last) = (Vec::with_capacity(count), 0_i64);
            while !rest.is_empty() {
                last = last.wrapping_add(take_signed(&mut rest)?);
                let often = columns::take_varint(&mut rest)?;
                if often > (count - numbers.len()) as u64 {
                    return Err("a column is longer than it claims".into());
                }
                numbers.resize(numbers.len() + often as usize, last);
            }
            complete(numbers, count)
        }
        DELTAS => {
            let (mut numbers, mut last) = (Vec::with_capacity(count), 0_i64);
            while !rest.is_empty() && numbers.len() < count {
                last = last.wrapping_add(take_signed(&mut rest)?);
                numbers.push(last);
            }
            ended(rest)?;
            complete(numbers, count)
        }
        PCO => columns::expand(columns::PCO, bytes, count, |bits| bits as i64),
        other => Err(format!("codec {other} of a column is unknown")),
    }
}

/// Floats as bytes, with the codec that reads them: 0 to 7.
pub(crate) fn compress_floats(floats: &[f64]) -> (u8, Vec<u8>) {
    let bits: Vec<i64> = floats.iter().map(|float| float.to_bits() as i64).collect();
    let (codec, bytes) = plain(&bits);
    let as_bits = shorter_by_pco((codec + BITS, bytes), floats, |float| float.to_bits());
    let Some((decimals, whole)) = columns::decimal(floats) else {
        return as_bits;
    };
    let (codec, numbers) = compress(&whole);
    if numbers.len() + 1 >= as_bits.1.len() {
        return as_bits;
    }
    let mut bytes = vec![decimals];
    bytes.extend(numbers);
    (codec, bytes)
}

/// Reads what [`compress_floats`] wrote.
pub(crate) fn expand_floats(codec: u8, bytes: &[u8], count: usize) -> Result<Vec<f64>, String> {
    if codec == BITS + PCO {
        return columns::expand(columns::PCO, bytes, count, f64::from_bits);
    }
    if let Some(codec) = codec.checked_sub(BITS) {
        let bits = expand(codec, bytes, count)?;
        return Ok(bits
            .iter()
            .map(|bits| f64::from_bits(*bits as u64))
            .collect());
    }
    let (&decimals, numbers) = bytes.split_first().ok_or("a column is cut short")?;
    let scale = columns::scale(decimals)?;
    let whole = expand(codec, numbers, count)?;
    Ok(whole.iter().map(|whole| *whole as f64 / scale).collect())
}

/// The pco form of a column with the codec of its kind, when it is shorter than `best`.
fn shorter_by_pco<T: Number>(
    best: (u8, Vec<u8>),
    column: &[T],
    bits: impl Fn(&T) -> u64,
) -> (u8, Vec<u8>) {
    if column.len() < MIN_PCO {
        return best;
    }
    match columns::compress(column, MIN_PCO, bits) {
        (columns::PCO, bytes) if bytes.len() < best.1.len() => (best.0 / BITS * BITS + PCO, bytes),
        _ => best,
    }
}

/// Numbers near zero in few bytes, whatever their sign.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    columns::put_varint(bytes, (number << 1 ^ number >> 63) as u64);
}

pub(crate) fn take_signed(bytes: &mut &[u8]) -> Result<i64, String> {
    let folded = columns::take_varint(bytes)?;
    Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
}

fn ended(rest: &[u8]) -> Result<(), String> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err("a column has bytes left over".into())
    }
}

fn complete(numbers: Vec<i64>, count: usize) -> Result<Vec<i64>, String> {
    if numbers.len() == count {
        Ok(numbers)
    } else {
        Err("a column is shorter than it claims".into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changes_rarely_takes_a_few_bytes() {
        let mut numbers = vec![100_i64; 3_000];
        assert_eq!(compress(&numbers), (CONSTANT, vec![200, 1]));
        numbers[2_000..].fill(101);
        assert_eq!(compress(&numbers), (RUNS, vec![200, 1, 208, 15, 2, 232, 7]));
        assert_eq!(compress(&[1, 2, 4]).0, DELTAS);
        let (codec, bytes) = compress_floats(&[0.025; 500]);
        assert_eq!((codec, bytes), (CONSTANT, vec![3, 50]), "25 thousandths");
    }

    proptest! {
        #[test]
        fn numbers_come_back(runs in prop::collection::vec((any::<i64>(), 1..40_usize), 1..60), small in any::<bool>()) {
            let mut numbers = Vec::new();
            for (number, often) in runs {
                let number = if small { number % 50 } else { number };
                numbers.resize(numbers.len() + often, number);
            }
            let (codec, bytes) = compress(&numbers);
            prop_assert_eq!(expand(codec, &bytes, numbers.len()).unwrap(), numbers);
        }

        #[test]
        fn floats_come_back_bit_for_bit(
            whole in prop::collection::vec(-100_000..100_000_i64, 1..300), decimals in 0..5_i32, odd in any::<f64>(), mixed in any::<bool>(),
        ) {
            let mut floats: Vec<f64> = whole.iter().map(|whole| *whole as f64 / 10_f64.powi(decimals)).collect();
            if mixed {
                floats.push(odd);
                floats.push(-0.0);
            }
            let (codec, bytes) = compress_floats(&floats);
            let back = expand_floats(codec, &bytes, floats.len()).unwrap();
            let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&floats));
        }

        #[test]
        fn any_bytes_are_an_error_or_a_column(codec in 0..16_u8, bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0..3_000_usize) {
            let _ = expand(codec, &bytes, count);
            let _ = expand_floats(codec, &bytes, count);
        }
    }
}
