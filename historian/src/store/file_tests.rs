//! The file of a store as others find it: after the end of the program, and damaged by hand.

use std::fs;

use rusqlite::Connection;
use telemetry::Timestamp;
use tempfile::TempDir;

use super::{
    FindingQuery, Store, StoreConfig, StoreReader,
    tests::{House, assessment, clock, ramp},
};
use crate::{HistorianError, Journal, JournalConfig};

#[tokio::test]
async fn a_closed_store_and_journal_are_one_file_each_and_refuse_queries() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    // A gap makes a chunk be read back, and the queries open connections of their own.
    for seconds in [0..50, 100..150, 50..100] {
        house.append("pump-1", ramp(seconds)).await;
        house.settle().await;
        house.seconds("pump-1").await;
    }
    let finding = assessment("pump-1", 1, 0.5);
    house.store.put_findings(vec![finding]).await.unwrap();
    house.journal.load_snapshots("nobody").await.unwrap();
    let store = house.store.clone();
    let folder = house.close().await;
    let mut files: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["journal.db", "journal.db.lock", "store.db"]);
    let query = FindingQuery {
        limit: 1,
        ..FindingQuery::default()
    };
    let refused = store.findings(query).await;
    assert!(matches!(refused, Err(HistorianError::Closed { .. })));
    let refused = store.put_findings(vec![assessment("pump-1", 2, 0.5)]).await;
    assert!(matches!(refused, Err(HistorianError::Closed { .. })));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_version_before_is_read_as_it_is_and_taken_over() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", ramp(0..50)).await;
    house.settle().await;
    let folder = house.close().await;
    let path = folder.path().join("store.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE shared_times; ALTER TABLE chunks DROP COLUMN shared;
             PRAGMA user_version = 4;",
        )
        .unwrap();
    drop(connection);
    let reader = StoreReader::open(&path, &folder.path().join("journal.db")).unwrap();
    let mut seen = 0;
    let all = reader.read(0, Timestamp::MIN, Timestamp::MAX, |times, _| {
        seen += times.len();
        Ok::<_, HistorianError>(())
    });
    all.unwrap();
    assert_eq!(seen, 50);
    drop(reader);
    let house = House::open(folder, &clock(), |_| ()).await;
    assert_eq!(house.seconds("pump-1").await, (0..50).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn a_file_with_two_series_of_one_name_is_refused() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    house.append("pump-1", [(1, 9.0)]).await;
    house.settle().await;
    let folder = house.close().await;
    let path = folder.path().join("store.db");
    Connection::open(&path)
        .and_then(|connection| {
            connection.execute("INSERT INTO series VALUES (1, 'pump-1', 'x')", [])
        })
        .unwrap();
    let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db"))).unwrap();
    let error = Store::open(StoreConfig::at(&path), &journal)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("another one has its name"),
        "{error}"
    );
}
