//! Chunks that share their times, on a real file.

use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;

use super::{
    chunk::{Encoded, Encoder, Points},
    disk, shared_times,
};
use crate::sqlite;

/// A clock that stutters: seconds and some microseconds that follow no pattern.
fn stuttering(factor: f64) -> Points {
    let mut points = Points::default();
    for at in 0..500_i64 {
        points.push(at * 1_000_000 + at * at * 7_919 % 1_009, at as f64 * factor);
    }
    points
}

struct File {
    connection: Connection,
    _folder: TempDir,
}

impl File {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.db");
        Self {
            connection: sqlite::open_writer(&path, &disk::LAYOUT).unwrap(),
            _folder: folder,
        }
    }

    /// Does something in a transaction.
    fn within<T>(&mut self, step: impl FnOnce(&rusqlite::Transaction<'_>) -> T) -> T {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        let answer = step(&tx);
        tx.commit().unwrap();
        answer
    }

    fn insert(&mut self, chunks: &[Encoded]) -> Vec<i64> {
        let written = self.within(|tx| disk::insert_chunks(tx, chunks, 0).unwrap());
        written.iter().map(|chunk| chunk.id).collect()
    }

    fn points(&self, id: i64) -> Points {
        disk::points(&self.connection, id).unwrap().unwrap()
    }

    /// How many chunks use each row of times.
    fn users(&self) -> Vec<i64> {
        let mut select = self
            .connection
            .prepare("SELECT users FROM shared_times")
            .unwrap();
        let users = select.query_map([], |row| row.get(0)).unwrap();
        users.collect::<rusqlite::Result<_>>().unwrap()
    }
}

fn chunk(series: u32, points: &Points) -> Encoded {
    Encoder::default()
        .encode(series, points.as_slice())
        .unwrap()
}

#[test]
fn signals_measured_together_keep_their_times_once_until_the_last_of_them_goes() {
    let (one, two) = (stuttering(0.5), stuttering(0.25));
    let mut file = File::new();
    // In transactions of their own, as when compaction reaches one signal after the other.
    let first = file.insert(&[chunk(0, &one)])[0];
    let second = file.insert(&[chunk(1, &two)])[0];
    assert_eq!(file.users(), [2]);
    assert_eq!(
        (file.points(first), file.points(second)),
        (one, two.clone())
    );
    file.within(|tx| disk::delete_chunks(tx, [first].into_iter()).unwrap());
    assert_eq!(file.users(), [1]);
    assert_eq!(file.points(second), two);
    file.within(|tx| disk::delete_readings(tx, second).unwrap());
    assert_eq!(file.users(), [] as [i64; 0]);
    assert_eq!(disk::points(&file.connection, second).unwrap(), None);
    // A chunk without readings gives nothing back a second time.
    file.within(|tx| disk::delete_chunks(tx, [second].into_iter()).unwrap());
    assert_eq!(file.users(), [] as [i64; 0]);
}

#[test]
fn an_even_clock_stays_with_its_chunk() {
    let mut even = Points::default();
    for at in 0..500 {
        even.push(at * 1_000_000, 1.0);
    }
    let mut file = File::new();
    let ids = file.insert(&[chunk(0, &even), chunk(1, &even)]);
    assert_eq!(file.users(), [] as [i64; 0]);
    assert_eq!(file.points(ids[1]), even);
}

#[test]
fn a_row_of_the_same_number_that_holds_something_else_is_left_alone() {
    let points = stuttering(0.5);
    let encoded = chunk(0, &points);
    let mut file = File::new();
    file.connection
        .execute(
            "INSERT INTO shared_times VALUES (?1, 1, x'00')",
            [shared_times::number(&encoded)],
        )
        .unwrap();
    let id = file.insert(&[encoded])[0];
    assert_eq!(file.users(), [1]);
    assert_eq!(file.points(id), points);
    file.within(|tx| disk::delete_chunks(tx, [id].into_iter()).unwrap());
    assert_eq!(file.users(), [1], "it never belonged to this chunk");
}

#[test]
fn damaged_or_missing_times_are_an_error_of_every_chunk_that_shares_them() {
    for spoil in [
        "UPDATE shared_times SET data = zeroblob(length(data))",
        "DELETE FROM shared_times",
    ] {
        let mut file = File::new();
        let ids = file.insert(&[chunk(0, &stuttering(0.5)), chunk(1, &stuttering(0.25))]);
        file.connection.execute(spoil, []).unwrap();
        for id in ids {
            let error = disk::points(&file.connection, id).unwrap_err().to_string();
            assert!(error.contains("its checksum differs"), "{error}");
        }
    }
}
