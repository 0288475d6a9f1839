//! What the end of a journal keeps, refuses and leaves behind.

use std::{fs, thread, time::Duration};

use telemetry::{JournalWriter, Offset, PortError};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::tests::{open, readings};

#[tokio::test]
async fn a_closed_journal_has_committed_what_was_queued_and_refuses_the_rest() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let queued: Vec<_> = (0..20)
        .map(|at| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(readings("pump-1", at, 1)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    journal.close().await.unwrap();
    let mut committed = 0;
    for append in queued {
        committed += u64::from(append.await.unwrap().is_ok());
    }
    let refused = journal.append(readings("pump-1", 0, 1)).await.unwrap_err();
    assert!(matches!(refused, PortError::Closed { .. }) && !refused.is_transient());
    assert!(
        journal
            .save_position("reader", Offset(0), Vec::new())
            .await
            .is_err()
    );
    let reopened = open(&folder);
    assert_eq!(reopened.stats().readings_appended, committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_asked_while_it_closes_leaves_one_file() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    journal.append(readings("pump-1", 0, 1)).await.unwrap();
    let pool = journal.0.pool.clone();
    let (reads, reading) = oneshot::channel();
    let asked = tokio::spawn(async move {
        pool.run(move |connection| {
            let tables = "SELECT count(*) FROM sqlite_schema";
            let count = connection.query_row(tables, [], |row| row.get::<_, i64>(0));
            reads.send(()).unwrap();
            thread::sleep(Duration::from_millis(100));
            Ok(count.unwrap())
        })
        .await
    });
    reading.await.unwrap();
    journal.close().await.unwrap();
    assert!(asked.await.unwrap().unwrap() > 0);
    let left = fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    let logs = names.iter().filter(|name| {
        let name = name.to_string_lossy();
        name.ends_with("-wal") || name.ends_with("-shm")
    });
    assert_eq!(logs.count(), 0, "{names:?}");
}
