//! What the journal promises, tested against real files.

use std::time::Duration;

use telemetry::{
    DeadLetter, DeadLetterReason, DeviceId, Event, JournalRecord, JournalWriter, Offset, PortError,
    ReadingBatch, SignalName, Timestamp,
};
use tempfile::TempDir;

use super::{DeadLetterQuery, DeadLetterState, Journal, JournalConfig};
use crate::error::HistorianError;

pub(super) fn readings(device: &str, first: i64, rows: i64) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    let device = readings.device(&DeviceId::new(device).unwrap());
    for at in first..first + rows {
        let signal = readings.signal(&SignalName::new("x").unwrap());
        readings.push_value(signal, at as f64);
        readings.finish_row(device, Timestamp::from_secs(at), Timestamp::EPOCH);
    }
    JournalRecord {
        readings,
        ..JournalRecord::default()
    }
}

fn letter(reason: DeadLetterReason, device: Option<&str>, number: u64) -> DeadLetter {
    DeadLetter {
        reason,
        detail: format!("letter {number}"),
        device: device.map(|device| DeviceId::new(device).unwrap()),
        topic: "telemetry/pump-1".into(),
        received_at: Timestamp::from_secs(number as i64),
        content_type: None,
        properties: Vec::new(),
        payload: vec![0xff, number as u8],
        payload_len: 2,
    }
}

pub(super) fn config(folder: &TempDir) -> JournalConfig {
    JournalConfig::at(folder.path().join("journal.db"))
}

pub(super) fn open(folder: &TempDir) -> Journal {
    Journal::open(config(folder)).unwrap()
}

/// Every (device, second) in the journal after `after`, read in small pieces.
pub(super) async fn all_rows(journal: &Journal, after: Offset) -> Vec<(String, i64)> {
    let mut rows = Vec::new();
    let mut after = after;
    loop {
        let entries = journal.read(after, 1).await.unwrap();
        let Some((last, _)) = entries.last() else {
            return rows;
        };
        after = *last;
        for (_, record) in &entries {
            rows.extend(record.readings.rows().map(|row| {
                let second = row.measured_at.as_micros() / 1_000_000;
                (row.device.to_string(), second)
            }));
        }
    }
}

#[tokio::test]
async fn what_was_appended_is_read_back_from_memory_and_after_reopening() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let mut record = readings("pump-1", 0, 3);
    record.events.push(Event::DeviceOnline {
        device: DeviceId::new("pump-1").unwrap(),
        at: Timestamp::EPOCH,
    });
    let first = journal.append(record.clone()).await.unwrap();
    let second = journal.append(readings("pump-2", 0, 2)).await.unwrap();
    assert_eq!((first, second), (Offset(1), Offset(2)));
    let from_memory = journal.read(Offset(0), usize::MAX).await.unwrap();
    assert_eq!(*from_memory[0].1, record);
    drop(journal);

    let journal = open(&folder);
    assert_eq!(*journal.committed().borrow(), Offset(2));
    assert_eq!(journal.stats().readings_appended, 5);
    let from_disk = journal.read(Offset(0), usize::MAX).await.unwrap();
    assert_eq!(from_disk, from_memory);
    assert_eq!(
        journal.read(Offset(0), 1).await.unwrap().len(),
        1,
        "one at least"
    );
    assert!(journal.read(Offset(2), 1).await.unwrap().is_empty());
    assert_eq!(
        journal.append(readings("pump-1", 9, 1)).await.unwrap(),
        Offset(3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_wait_together_share_a_commit_and_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let appends: Vec<_> = (0..500)
        .map(|at| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(readings("pump-1", at, 1)).await.unwrap() })
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
    let stats = journal.stats();
    assert!(stats.commits < 500, "{} commits", stats.commits);
    assert_eq!(stats.committed.0, stats.commits);
    assert_eq!(stats.readings_appended, 500);
    let mut rows = all_rows(&journal, Offset(0)).await;
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), 500);
}

#[tokio::test]
async fn appends_keep_the_order_in_which_they_were_polled_first() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_waiting_appends: 4,
        max_waiting_bytes: 2000,
        ..config(&folder)
    })
    .unwrap();
    let appends: Vec<_> = (0..100)
        .map(|at| journal.append(readings("pump-1", at, 1 + at % 7)))
        .collect();
    let offsets = futures_in_order(appends).await;
    assert!(offsets.is_sorted());
    let seconds: Vec<i64> = all_rows(&journal, Offset(0))
        .await
        .iter()
        .map(|row| row.1)
        .collect();
    let expected: Vec<i64> = (0..100).flat_map(|at| at..at + 1 + at % 7).collect();
    assert_eq!(seconds, expected);
}

/// Polls all of them in order until all have resolved.
async fn futures_in_order(
    appends: Vec<telemetry::BoxFuture<'_, Result<Offset, PortError>>>,
) -> Vec<Offset> {
    let mut appends: Vec<_> = appends.into_iter().map(Some).collect();
    let mut offsets = vec![Offset(0); appends.len()];
    std::future::poll_fn(|context| {
        for (append, offset) in appends.iter_mut().zip(&mut offsets) {
            if let Some(future) = append
                && let std::task::Poll::Ready(answer) = future.as_mut().poll(context)
            {
                *offset = answer.unwrap();
                *append = None;
            }
        }
        if appends.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    offsets
}

#[tokio::test]
async fn a_record_larger_than_every_budget_still_goes_through() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_waiting_bytes: 100,
        max_group_bytes: 100,
        ring_bytes: 100,
        ..config(&folder)
    })
    .unwrap();
    for first in [0, 5000] {
        journal
            .append(readings("pump-1", first, 5000))
            .await
            .unwrap();
    }
    assert_eq!(all_rows(&journal, Offset(0)).await.len(), 10_000);
}

#[tokio::test]
async fn the_ring_and_the_disk_tell_the_same() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        ring_bytes: 3000,
        ..config(&folder)
    })
    .unwrap();
    for at in 0..40 {
        journal
            .append(readings("pump-1", at * 10, 1 + at % 5))
            .await
            .unwrap();
    }
    let mixed = all_rows(&journal, Offset(0)).await;
    drop(journal);
    assert_eq!(all_rows(&open(&folder), Offset(0)).await, mixed);
    assert_eq!(mixed.len(), 8 * (1 + 2 + 3 + 4 + 5));
}

#[tokio::test]
async fn trimming_waits_for_the_slowest_reader_and_offsets_are_never_reused() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    for at in 0..30 {
        journal.append(readings("pump-1", at, 1)).await.unwrap();
    }
    assert_eq!(
        journal.stats().oldest,
        Offset(1),
        "nobody reads, nothing goes"
    );
    journal.register_reader("fast").await.unwrap();
    journal.register_reader("slow").await.unwrap();
    journal
        .save_position("fast", Offset(30), Vec::new())
        .await
        .unwrap();
    journal
        .save_position("slow", Offset(20), Vec::new())
        .await
        .unwrap();
    wait_until(|| journal.stats().oldest == Offset(21)).await;
    assert_eq!(all_rows(&journal, Offset(20)).await.len(), 10);
    let late = journal.register_reader("late").await.unwrap();
    assert_eq!(late, Offset(20), "a new reader starts at what is left");
    for reader in ["slow", "late"] {
        journal
            .save_position(reader, Offset(30), Vec::new())
            .await
            .unwrap();
    }
    wait_until(|| journal.stats().oldest == Offset(30)).await;
    drop(journal);

    let journal = open(&folder);
    let stats = journal.stats();
    assert_eq!((stats.committed, stats.oldest), (Offset(30), Offset(30)));
    assert_eq!(
        stats.readings_appended, 30,
        "the total does not depend on what is left"
    );
    let names: Vec<_> = stats
        .readers
        .iter()
        .map(|reader| reader.name.as_str())
        .collect();
    assert_eq!(names, ["fast", "late", "slow"]);
    let error = journal.read(Offset(5), 1).await.unwrap_err();
    assert!(
        matches!(
            error,
            HistorianError::Trimmed {
                after: Offset(5),
                oldest: Offset(30)
            }
        ),
        "{error}"
    );
    assert_eq!(
        journal.append(readings("pump-1", 30, 1)).await.unwrap(),
        Offset(31)
    );
}

async fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_trimmed_journal_reuses_its_pages() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    journal.register_reader("reader").await.unwrap();
    let mut sizes = Vec::new();
    for round in 0..60 {
        let offset = journal
            .append(readings("pump-1", round, 20_000))
            .await
            .unwrap();
        journal
            .save_position("reader", offset, Vec::new())
            .await
            .unwrap();
        sizes.push(journal.stats().bytes);
    }
    assert!(sizes[59] <= sizes[9], "{sizes:?}");
}

#[tokio::test]
async fn dead_letters_are_listed_up_to_a_bound_and_counted_beyond_it() {
    use DeadLetterReason::{EmptyPayload, InvalidValue, MalformedPayload};
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_dead_letters: 6,
        ..config(&folder)
    })
    .unwrap();
    for at in 0..10 {
        let mut record = readings("pump-1", at, 1);
        let reason = if at % 2 == 0 {
            InvalidValue
        } else {
            EmptyPayload
        };
        let device = (at >= 7).then_some("pump-7");
        record.dead_letters.push(letter(reason, device, at as u64));
        journal.append(record).await.unwrap();
    }
    let only_letter = JournalRecord {
        dead_letters: vec![letter(MalformedPayload, None, 10)],
        ..JournalRecord::default()
    };
    assert_eq!(journal.append(only_letter).await.unwrap(), Offset(11));
    let list = |query| {
        let journal = journal.clone();
        async move {
            let letters = journal.dead_letters(query).await.unwrap();
            let details = letters
                .iter()
                .map(|stored| stored.letter.received_at.as_secs_f64());
            (details.collect::<Vec<_>>(), letters)
        }
    };
    let all = DeadLetterQuery {
        limit: 100,
        ..DeadLetterQuery::default()
    };
    let (seconds, letters) = list(all.clone()).await;
    assert_eq!(seconds, [10.0, 9.0, 8.0, 7.0, 6.0, 5.0]);
    assert_eq!(letters[0].letter, letter(MalformedPayload, None, 10));
    let second_page = DeadLetterQuery {
        before_id: Some(letters[1].id),
        limit: 2,
        ..all.clone()
    };
    assert_eq!(list(second_page).await.0, [8.0, 7.0]);
    let of_reason = DeadLetterQuery {
        reason: Some(InvalidValue),
        ..all.clone()
    };
    assert_eq!(list(of_reason).await.0, [8.0, 6.0]);
    let of_device = DeadLetterQuery {
        device: Some(DeviceId::new("pump-7").unwrap()),
        ..all
    };
    assert_eq!(list(of_device).await.0, [9.0, 8.0, 7.0]);
    let counts = journal.dead_letter_counts().await.unwrap();
    assert_eq!(
        counts,
        [(MalformedPayload, 1), (EmptyPayload, 5), (InvalidValue, 5)]
    );
    assert!(all_rows(&journal, Offset(0)).await.len() == 10);
}

/// A letter of two megabytes with all that a sender may give.
fn large_letter(number: u64) -> DeadLetter {
    DeadLetter {
        content_type: Some("application/senml+json".into()),
        properties: vec![
            ("axis".into(), "x \"quoted\"".into()),
            ("axis".into(), String::new()),
        ],
        payload: vec![number as u8; 2 << 20],
        payload_len: 2 << 20,
        ..letter(DeadLetterReason::MalformedPayload, Some("pump-7"), number)
    }
}

#[tokio::test]
async fn dead_letters_are_kept_whole_within_their_bytes_and_marked_when_taken_again() {
    use DeadLetterReason::MalformedPayload;
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(JournalConfig {
        max_dead_letter_bytes: 5 << 20,
        ..config(&folder)
    })
    .unwrap();
    for number in 0..5 {
        let record = JournalRecord {
            dead_letters: vec![large_letter(number)],
            ..JournalRecord::default()
        };
        journal.append(record).await.unwrap();
    }
    let room = journal.stats().dead_letters;
    assert_eq!((room.kept, room.dropped), (2, 3));
    assert!(
        room.bytes > 4 << 20 && room.bytes <= 5 << 20,
        "{}",
        room.bytes
    );
    let list = |state| {
        let query = DeadLetterQuery {
            state,
            limit: 9,
            ..DeadLetterQuery::default()
        };
        let journal = journal.clone();
        async move { journal.dead_letters(query).await.unwrap() }
    };
    let listed = list(DeadLetterState::All).await;
    assert!(
        listed
            .iter()
            .all(|stored| stored.whole && stored.letter.payload.len() == 4096)
    );
    let newest = journal.dead_letter(listed[0].id).await.unwrap().unwrap();
    assert_eq!((newest.letter, newest.replayed_at), (large_letter(4), None));
    assert_eq!(
        journal.dead_letter(1).await.unwrap(),
        None,
        "it has left the list"
    );

    let at = Timestamp::from_secs(77);
    let ids = vec![listed[0].id, 1, u64::MAX];
    assert_eq!(journal.mark_replayed(ids, at).await.unwrap(), 1);
    let replayed = list(DeadLetterState::Replayed).await;
    assert_eq!(
        (replayed.len(), replayed[0].id, replayed[0].replayed_at),
        (1, listed[0].id, Some(at))
    );
    assert_eq!(list(DeadLetterState::Open).await.len(), 1);
    assert!(journal.mark_replayed(vec![1; 10_001], at).await.is_err());
    drop(journal);
    assert_eq!(
        open(&folder).stats().dead_letters,
        room,
        "the counts are durable"
    );
    assert_eq!(
        open(&folder).dead_letter_counts().await.unwrap(),
        [(MalformedPayload, 5)]
    );
}

/// The layout of the first release, word for word.
const FIRST_LAYOUT: &str = "
    PRAGMA page_size = 16384;
    PRAGMA journal_mode = WAL;
    CREATE TABLE journal (
        offset INTEGER PRIMARY KEY,
        total_readings INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        blob BLOB NOT NULL
    ) STRICT;
    CREATE TABLE readers (
        name TEXT PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (
        reader TEXT NOT NULL,
        key TEXT NOT NULL,
        crc INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (reader, key)
    ) STRICT;
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        device TEXT,
        topic TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        payload BLOB NOT NULL,
        payload_len INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE dead_letter_counts (
        reason TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE identity (id INTEGER NOT NULL) STRICT;
    INSERT INTO identity VALUES (42);
    PRAGMA application_id = 0x42574a4c;
    PRAGMA user_version = 1;
    INSERT INTO readers VALUES ('historian', 0);
    INSERT INTO dead_letters VALUES
        (8, 'malformed_payload', 'no json', 'pump-1', 'telemetry/pump-1', 5, x'7b7b', 900);
    INSERT INTO dead_letter_counts VALUES ('malformed_payload', 3);
";

#[tokio::test]
async fn a_journal_of_the_first_release_is_taken_over_in_place() {
    let folder = TempDir::new().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    file.execute_batch(FIRST_LAYOUT).unwrap();
    // The header of version 1 lacks the number of waveforms; here there is one reading.
    let mut blob = Vec::new();
    super::codec::encode(&readings("pump-1", 7, 1), &mut blob).unwrap();
    blob[4] = 1;
    blob.drain(25..29);
    let crc = super::codec::checksum(1, 1, &blob);
    file.execute(
        "INSERT INTO journal VALUES (1, 1, ?1, ?2)",
        rusqlite::params![crc, blob],
    )
    .unwrap();
    drop(file);
    let journal = open(&folder);
    assert_eq!(
        all_rows(&journal, Offset(0)).await,
        [("pump-1".to_owned(), 7)]
    );
    assert_eq!(journal.stats().readings_appended, 1);
    let room = journal.stats().dead_letters;
    assert_eq!((room.kept, room.dropped), (1, 2));
    let old = journal.dead_letter(8).await.unwrap().unwrap();
    assert!(!old.whole && old.letter.payload == b"{{" && old.letter.properties.is_empty());
    assert_eq!(
        journal.append(readings("pump-1", 8, 1)).await.unwrap(),
        Offset(2)
    );
    drop(journal);
    assert_eq!(all_rows(&open(&folder), Offset(0)).await.len(), 2);
}

#[tokio::test]
async fn two_processes_cannot_write_one_journal() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let error = Journal::open(config(&folder)).unwrap_err();
    assert!(matches!(error, HistorianError::InUse { .. }), "{error}");
    drop(journal);
    drop(open(&folder));
}

#[tokio::test]
async fn an_empty_record_needs_no_commit() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    assert_eq!(
        journal.append(JournalRecord::default()).await.unwrap(),
        Offset(0)
    );
    assert_eq!(journal.stats().commits, 0);
}
