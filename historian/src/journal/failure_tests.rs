//! Power cuts, damaged files and full disks.

use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;
use telemetry::{JournalWriter, Offset, PortError};
use tempfile::TempDir;

use super::{
    Journal, JournalConfig, Snapshot,
    tests::{all_rows, config, open, readings},
};
use crate::error::HistorianError;

/// Copies database and log as a power cut would leave them, the log cut to `wal_bytes`.
fn copy_after_power_cut(from: &Path, wal_bytes: Option<u64>) -> TempDir {
    let to = TempDir::new().unwrap();
    fs::copy(from.join("journal.db"), to.path().join("journal.db")).unwrap();
    let wal = fs::read(from.join("journal.db-wal")).unwrap();
    let keep = wal_bytes.map_or(wal.len(), |bytes| bytes as usize);
    fs::write(to.path().join("journal.db-wal"), &wal[..keep]).unwrap();
    to
}

#[tokio::test]
async fn a_log_cut_anywhere_holds_everything_acknowledged_before_the_cut() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let wal = folder.path().join("journal.db-wal");
    let mut acknowledged = vec![fs::metadata(&wal).unwrap().len()];
    for at in 0..8 {
        journal
            .append(readings("pump-1", at, 1 + at * 500))
            .await
            .unwrap();
        acknowledged.push(fs::metadata(&wal).unwrap().len());
    }
    let last = *acknowledged.last().unwrap();
    let cuts = acknowledged
        .iter()
        .flat_map(|&bytes| [bytes, bytes + 1, bytes + 9_000]);
    for cut in cuts.filter(|&cut| cut <= last) {
        let copy = copy_after_power_cut(folder.path(), Some(cut));
        let survivor = open(&copy);
        let expected = acknowledged
            .iter()
            .rposition(|&bytes| bytes <= cut)
            .unwrap() as u64;
        let committed = *survivor.committed().borrow();
        assert_eq!(committed.0, expected, "cut at {cut}");
        let rows = all_rows(&survivor, Offset(0)).await.len() as u64;
        assert_eq!(rows, survivor.stats().readings_appended);
        assert_eq!(
            survivor.append(readings("pump-1", 0, 1)).await.unwrap().0,
            expected + 1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_under_load_holds_everything_acknowledged_before_it() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let loads: Vec<_> = (0..4)
        .map(|device| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for at in 0..60 {
                    let device = format!("pump-{device}");
                    journal
                        .append(readings(&device, at * 20, 20))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let acknowledged = journal.stats();
        let copy = copy_after_power_cut(folder.path(), None);
        let survivor = open(&copy);
        let stats = survivor.stats();
        assert!(stats.committed >= acknowledged.committed);
        assert!(stats.readings_appended >= acknowledged.readings_appended);
        let rows = all_rows(&survivor, Offset(0)).await.len() as u64;
        assert_eq!(rows, stats.readings_appended);
    }
    for load in loads {
        load.await.unwrap();
    }
}

#[tokio::test]
async fn a_position_and_its_snapshots_survive_together_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let snapshot = |key: &str, bytes: &[u8]| Snapshot {
        key: key.into(),
        bytes: bytes.to_vec(),
    };
    assert_eq!(
        journal.register_reader("analytics").await.unwrap(),
        Offset(0)
    );
    for at in 0..3 {
        journal.append(readings("pump-1", at, 1)).await.unwrap();
    }
    let before = fs::metadata(folder.path().join("journal.db-wal"))
        .unwrap()
        .len();
    let first = vec![snapshot("a", b"1"), snapshot("b", b"")];
    journal
        .save_position("analytics", Offset(1), first.clone())
        .await
        .unwrap();
    journal
        .save_position("analytics", Offset(2), vec![snapshot("a", b"2")])
        .await
        .unwrap();

    let error = journal
        .save_position("analytics", Offset(9), vec![snapshot("a", b"9")])
        .await;
    assert!(matches!(error, Err(HistorianError::BeyondEnd { .. })));
    let expected = vec![snapshot("a", b"2"), snapshot("b", b"")];
    assert_eq!(journal.load_snapshots("analytics").await.unwrap(), expected);
    assert!(journal.load_snapshots("other").await.unwrap().is_empty());
    let end = fs::metadata(folder.path().join("journal.db-wal"))
        .unwrap()
        .len();
    for cut in (before..=end).step_by(1024) {
        let copy = copy_after_power_cut(folder.path(), Some(cut));
        let survivor = open(&copy);
        let position = survivor.register_reader("analytics").await.unwrap();
        let snapshots = survivor.load_snapshots("analytics").await.unwrap();
        let whole = [Vec::new(), first.clone(), expected.clone()];
        assert_eq!(snapshots, whole[position.0 as usize], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_damaged_record_is_named_by_its_offset() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    for at in 0..3 {
        journal.append(readings("pump-1", at, 5)).await.unwrap();
    }
    journal.close().await.unwrap();
    drop(journal);
    let damages = [
        "UPDATE journal SET blob = zeroblob(length(blob)) WHERE offset = 2",
        "UPDATE journal SET total_readings = 11 WHERE offset = 2",
        "DELETE FROM journal WHERE offset = 2",
    ];
    for damage in damages {
        let copy = TempDir::new().unwrap();
        fs::copy(
            folder.path().join("journal.db"),
            copy.path().join("journal.db"),
        )
        .unwrap();
        let connection = Connection::open(copy.path().join("journal.db")).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let error = open(&copy).read(Offset(0), usize::MAX).await.unwrap_err();
        let named = matches!(error, HistorianError::Corrupt { id: 2 | 3, .. });
        assert!(named && !error.is_transient(), "{damage}: {error}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_appends_as_transient_and_is_recovered_from() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_file_bytes: Some(1 << 20),
        ..config(&folder)
    })
    .unwrap();
    let mut acknowledged = 0;
    let mut full = |answer: Result<Offset, PortError>| match answer {
        Ok(offset) => {
            acknowledged += 1;
            assert_eq!(offset, Offset(acknowledged));
            false
        }
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            true
        }
    };
    while !full(journal.append(readings("pump-1", 0, 5000)).await) {}
    for _ in 0..3 {
        assert!(full(journal.append(readings("pump-1", 0, 5000)).await));
    }
    let committed = *journal.committed().borrow();
    assert_eq!(journal.stats().failed_commits, 4);
    assert_eq!(
        all_rows(&journal, Offset(0)).await.len() as u64,
        committed.0 * 5000
    );

    journal.set_max_file_bytes(None);
    assert!(!full(journal.append(readings("pump-1", 0, 5000)).await));
    let stats = journal.stats();
    assert_eq!(stats.committed.0, committed.0 + 1);
    drop(journal);
    assert_eq!(
        open(&folder).stats().readings_appended,
        stats.readings_appended
    );
}

#[tokio::test]
async fn trimming_makes_room_on_a_full_disk() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_file_bytes: Some(1 << 20),
        ..config(&folder)
    })
    .unwrap();
    journal.register_reader("reader").await.unwrap();
    while journal.append(readings("pump-1", 0, 5000)).await.is_ok() {}
    let committed = *journal.committed().borrow();
    journal
        .save_position("reader", committed, Vec::new())
        .await
        .unwrap();
    let next = journal.append(readings("pump-1", 0, 5000)).await.unwrap();
    assert_eq!(next.0, committed.0 + 1);
}
