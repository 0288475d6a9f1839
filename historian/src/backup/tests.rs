//! Backups of files that are being written, and what restore refuses.

use std::{fs, sync::Arc, time::Duration};

use telemetry::{
    DeviceId, Event, JournalRecord, JournalWriter, Offset, ReadingBatch, SignalName, SystemClock,
    Timestamp,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Journal, JournalConfig, LateQuery, SeriesKey, Store, StoreConfig};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Server {
    journal: Journal,
    store: Store,
    stop: CancellationToken,
    run: JoinHandle<Result<(), HistorianError>>,
}

async fn serve(folder: &Path) -> Server {
    let journal = Journal::open(JournalConfig::at(folder.join(JOURNAL_FILE))).unwrap();
    let mut config = StoreConfig::at(folder.join(STORE_FILE));
    config.flush_interval = Duration::from_millis(20);
    let store = Store::open(config, &journal).await.unwrap();
    let stop = CancellationToken::new();
    let run = store
        .clone()
        .run(journal.clone(), Arc::new(SystemClock), stop.clone());
    Server {
        run: tokio::spawn(run),
        journal,
        store,
        stop,
    }
}

impl Server {
    async fn close(self) {
        self.stop.cancel();
        self.run.await.unwrap().unwrap();
        self.journal.close().await.unwrap();
    }

    async fn settle(&self) {
        let committed = *self.journal.committed().borrow();
        while self.store.applied() < committed {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn seconds(&self) -> Vec<i64> {
        let series = SeriesKey {
            device: DeviceId::new("pump-1").unwrap(),
            signal: SignalName::new("x").unwrap(),
        };
        let all = self
            .store
            .range(&series, Timestamp::MIN, Timestamp::MAX, usize::MAX);
        let second = |sample: &crate::Sample| sample.at.as_micros() / 1_000_000;
        all.await.unwrap().iter().map(second).collect()
    }
}

/// One reading at a second, and a late mark.
fn record(second: i64) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    let device = DeviceId::new("pump-1").unwrap();
    let number = readings.device(&device);
    let signal = readings.signal(&SignalName::new("x").unwrap());
    readings.push_value(signal, second as f64);
    let at = Timestamp::from_secs(second);
    readings.finish_row(number, at, at);
    let mark = Event::LateReadings {
        device,
        readings: 1,
        from: at,
        to: at,
        newest: at,
        at,
    };
    JournalRecord {
        readings,
        events: vec![mark],
        ..JournalRecord::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_everything_acknowledged_before_it_began_once() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let server = serve(&folder.path().join("data")).await;
    let acknowledged = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let load = tokio::spawn({
        let (journal, acknowledged) = (server.journal.clone(), Arc::clone(&acknowledged));
        async move {
            for second in 0.. {
                if journal.append(record(second)).await.is_err() {
                    return;
                }
                acknowledged.store(second + 1, std::sync::atomic::Ordering::Release);
            }
        }
    });
    for round in 0..3_i64 {
        while acknowledged.load(std::sync::atomic::Ordering::Acquire) < (round + 1) * 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = acknowledged.load(std::sync::atomic::Ordering::Acquire);
        let (data, target) = (
            folder.path().join("data"),
            folder.path().join(format!("b{round}")),
        );
        let made = tokio::task::spawn_blocking(move || backup(&data, &target, &[], "test", NOW));
        let made = made.await.unwrap().unwrap();
        assert!(
            made.counts.readings_acknowledged >= before as u64,
            "{made:?}"
        );

        let data = folder.path().join(format!("d{round}"));
        let restored = restore(&folder.path().join(format!("b{round}")), &data).unwrap();
        assert_eq!(restored, made);
        let copy = serve(&data).await;
        copy.settle().await;
        let seconds = copy.seconds().await;
        assert!(seconds.len() as i64 >= before);
        assert_eq!(
            seconds,
            (0..seconds.len() as i64).collect::<Vec<_>>(),
            "each once"
        );
        assert_eq!(copy.store.reading_count(), seconds.len() as u64);
        let offset = copy.journal.append(record(1_000_000)).await.unwrap();
        assert_eq!(offset, Offset(made.counts.journal_committed + 1));
        copy.settle().await;
        assert_eq!(copy.seconds().await.last(), Some(&1_000_000), "it goes on");
        let query = LateQuery {
            limit: 1,
            ..LateQuery::default()
        };
        let marks = copy.store.late_readings(query).await.unwrap();
        assert_eq!(
            marks[0].from,
            Timestamp::from_secs(1_000_000),
            "its mark is kept too"
        );
        copy.close().await;
    }
    load.abort();
    let _ = load.await;
    server.close().await;
}

async fn some_backup(folder: &TempDir) -> PathBuf {
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let server = serve(&data).await;
    for second in 0..20 {
        server.journal.append(record(second)).await.unwrap();
    }
    server.settle().await;
    server.close().await;
    let target = folder.path().join("backup");
    backup(&data, &target, &["cases.db"], "test", NOW).unwrap();
    target
}

type Damage = (&'static str, fn(&Path));

#[tokio::test]
async fn restore_refuses_what_is_no_whole_backup_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let whole = some_backup(&folder).await;
    let files: Vec<_> = manifest(&whole)
        .unwrap()
        .files
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert_eq!(
        files,
        [JOURNAL_FILE, STORE_FILE],
        "a part that keeps no file yet has none"
    );
    let damages: [Damage; 6] = [
        ("cut off", |backup| {
            fs::remove_file(backup.join(MANIFEST)).unwrap();
        }),
        ("no manifest of a backup", |backup| {
            let text = fs::read(backup.join(MANIFEST)).unwrap();
            fs::write(backup.join(MANIFEST), &text[..text.len() / 2]).unwrap();
        }),
        ("format is 2", |backup| {
            let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
            fs::write(
                backup.join(MANIFEST),
                text.replace("\"format\": 1", "\"format\": 2"),
            )
            .unwrap();
        }),
        ("damaged", |backup| {
            let path = backup.join(STORE_FILE);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("journal.db", |backup| {
            fs::remove_file(backup.join(JOURNAL_FILE)).unwrap();
        }),
        ("no name of a file", |backup| {
            let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
            fs::write(
                backup.join(MANIFEST),
                text.replace("journal.db", "../journal.db"),
            )
            .unwrap();
        }),
    ];
    for (expected, damage) in damages {
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&whole).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        damage(&copy);
        let error = restore(&copy, &folder.path().join("new")).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(!folder.path().join("new").exists());
        fs::remove_dir_all(copy).unwrap();
    }
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("partial"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn nothing_is_ever_overwritten() {
    let folder = TempDir::new().unwrap();
    let whole = some_backup(&folder).await;
    let data = folder.path().join("data");
    let error = backup(&data, &whole, &[], "test", NOW)
        .unwrap_err()
        .to_string();
    assert!(error.contains("exists already"), "{error}");
    let error = restore(&whole, &data).unwrap_err().to_string();
    assert!(error.contains("not empty"), "{error}");
    let error = backup(
        &folder.path().join("none"),
        &folder.path().join("b"),
        &[],
        "test",
        NOW,
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no journal.db"), "{error}");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    restore(&whole, &empty).unwrap();
    let server = serve(&empty).await;
    assert_eq!(server.seconds().await.len(), 20);
    server.close().await;
}

#[tokio::test]
async fn what_a_killed_server_left_can_be_backed_up_without_starting_it() {
    let folder = TempDir::new().unwrap();
    let (data, killed) = (folder.path().join("data"), folder.path().join("killed"));
    fs::create_dir(&data).unwrap();
    fs::create_dir(&killed).unwrap();
    let server = serve(&data).await;
    for second in 0..20 {
        server.journal.append(record(second)).await.unwrap();
    }
    // Database and log as they are now, without what lived in shared memory.
    for name in [JOURNAL_FILE, STORE_FILE] {
        for name in [name.to_owned(), format!("{name}-wal")] {
            fs::copy(data.join(&name), killed.join(&name)).unwrap();
        }
    }
    server.close().await;
    let target = folder.path().join("backup");
    let made = backup(&killed, &target, &[], "test", NOW).unwrap();
    assert_eq!(made.counts.readings_acknowledged, 20);
    let restored = folder.path().join("restored");
    restore(&target, &restored).unwrap();
    let server = serve(&restored).await;
    server.settle().await;
    assert_eq!(server.seconds().await, (0..20).collect::<Vec<_>>());
    server.close().await;
}
