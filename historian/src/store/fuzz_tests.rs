//! Whatever lies in the file: a chunk and a roll-up are read or refused, and never panic.
//!
//! `cargo test` runs each target over its corpus (`__fuzz__/<name>/corpus`) and some seconds of
//! inputs made from it ([`spoiled`]); `cargo bolero test` with its full name drives it by coverage.

use super::{
    chunk::{Encoded, Encoder, Points},
    rollup,
    tier::Tier,
};
use crate::corpus::{corpus, spoiled};

fn bits(points: &Points) -> Vec<(i64, u64)> {
    let values = points.values.iter().map(|value| value.to_bits());
    points.times.iter().copied().zip(values).collect()
}

/// A chunk as the input says: codec, count, bytes of times, first and last time, then columns.
/// Its checksum fits, so that decoding is reached.
fn check_chunk(input: &[u8]) -> bool {
    let Some((head, columns)) = input.split_first_chunk::<21>() else {
        return false;
    };
    let number = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let time = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        i64::from_le_bytes(bytes)
    };
    let (times, values) = columns.split_at(usize::from(number(3)).min(columns.len()));
    let chunk = Encoded {
        series: 1,
        t_min: time(5),
        t_max: time(13),
        count: u32::from(number(1)),
        last_value: 0.0,
        codec: head[0],
        times: times.to_vec(),
        values: values.to_vec(),
        roll_ups: Vec::new(),
    };
    let Ok(points) = chunk.decode(chunk.checksum()) else {
        return false;
    };
    assert_eq!(points.len(), chunk.count as usize);
    let again = Encoder::default().encode(1, points.as_slice()).unwrap();
    let back = again.decode(again.checksum()).unwrap();
    assert_eq!(bits(&back), bits(&points));
    true
}

fn check_rows(input: &[u8]) -> bool {
    let Some((&tier, bytes)) = input.split_first() else {
        return false;
    };
    let tier = Tier::ROLL_UPS[usize::from(tier) % 3];
    let Ok(rows) = rollup::decode(bytes, tier) else {
        return false;
    };
    let again = rollup::decode(&rollup::encode(&rows, tier), tier).unwrap();
    assert_eq!(again.len(), rows.len());
    true
}

#[test]
fn a_chunk_is_refused_or_holds_what_it_says() {
    let corpus = corpus("store", "chunk");
    bolero::check!(name = "chunk").for_each(|input| {
        check_chunk(input);
        check_chunk(&spoiled(&corpus, input));
    });
}

#[test]
fn a_roll_up_is_refused_or_holds_what_it_says() {
    let corpus = corpus("store", "roll_up");
    bolero::check!(name = "roll_up").for_each(|input| {
        check_rows(input);
        check_rows(&spoiled(&corpus, input));
    });
}

type Check = fn(&[u8]) -> bool;

#[test]
fn the_corpora_hold_what_can_be_read_and_what_cannot() {
    let checks: [(&str, Check); 2] = [("chunk", check_chunk), ("roll_up", check_rows)];
    for (name, check) in checks {
        let inputs = corpus("store", name).into_iter();
        let (good, bad): (Vec<_>, Vec<_>) = inputs.partition(|input| check(input));
        assert!(
            good.len() >= 3 && !bad.is_empty(),
            "{name}: {} and {}",
            good.len(),
            bad.len()
        );
    }
}
