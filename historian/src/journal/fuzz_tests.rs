//! Whatever lies in the file: replay gives records or says what is wrong, and never panics.
//!
//! `cargo test` runs each target over its corpus (`__fuzz__/<name>/corpus`) and some seconds of
//! inputs made from it ([`spoiled`]); `cargo bolero test` with its full name drives it by coverage.

use rusqlite::Connection;
use telemetry::Offset;

use super::{codec, disk};
use crate::{
    corpus::{corpus, spoiled},
    error::HistorianError,
};

/// A record that can be read can be written, and is the same when it is read again.
fn check_record(blob: &[u8]) -> bool {
    let Ok(record) = codec::decode(blob) else {
        return false;
    };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    codec::encode(&record, &mut once).unwrap();
    let again = codec::decode(&once).unwrap();
    codec::encode(&again, &mut twice).unwrap();
    // Bytes and not values: a value that is no number differs from itself.
    assert_eq!(once, twice);
    assert_eq!(record.readings.row_count(), again.readings.row_count());
    assert_eq!(record.waveforms.len(), again.waveforms.len());
    true
}

/// Rows of a journal as the input says: each a byte that says what is wrong with the row, two
/// bytes of length, and the blob.
fn check_replay(input: &[u8]) -> usize {
    let file = Connection::open_in_memory().unwrap();
    file.execute_batch(disk::LAYOUT.schema).unwrap();
    let (mut offset, mut rest) = (0_u64, input);
    while let Some((&[how, low, high], more)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(more.len());
        let (blob, more) = more.split_at(length);
        rest = more;
        // One bit leaves an offset out, one spoils the checksum.
        offset += 1 + u64::from(how & 1);
        let crc = codec::checksum(offset, 7, blob) ^ u32::from(how >> 1 & 1);
        file.execute(
            "INSERT INTO journal (offset, total_readings, crc, blob) VALUES (?1, 7, ?2, ?3)",
            rusqlite::params![offset as i64, crc, blob],
        )
        .unwrap();
    }
    let (mut file, mut after, mut records) = (file, Offset(0), 0);
    loop {
        match disk::read(&mut file, after, 1) {
            Ok(entries) => match entries.last() {
                Some((last, _)) => {
                    assert!(*last > after, "replay goes forward");
                    records += entries.len();
                    after = *last;
                }
                None => return records,
            },
            Err(HistorianError::Corrupt { .. } | HistorianError::Trimmed { .. }) => return records,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_record_is_an_error_or_comes_back_the_same() {
    let corpus = corpus("journal", "journal_record");
    bolero::check!(name = "journal_record").for_each(|input| {
        check_record(input);
        check_record(&spoiled(&corpus, input));
    });
}

#[test]
fn replay_ends_with_records_or_an_error_that_names_one() {
    let corpus = corpus("journal", "journal_replay");
    bolero::check!(name = "journal_replay").for_each(|input| {
        check_replay(input);
        check_replay(&spoiled(&corpus, input));
    });
}

#[test]
fn the_corpora_hold_whole_records_and_damaged_ones() {
    let inputs = |name| corpus("journal", name);
    let whole = inputs("journal_record")
        .iter()
        .filter(|blob| check_record(blob))
        .count();
    assert!(
        whole >= 3 && whole < inputs("journal_record").len(),
        "{whole}"
    );
    let replayed = inputs("journal_replay")
        .iter()
        .map(|input| check_replay(input))
        .max();
    assert!(replayed >= Some(2), "{replayed:?}");
}
