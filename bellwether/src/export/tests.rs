//! What goes out comes back, to the bit, in every format.

use std::{collections::BTreeMap, sync::Arc};

use clap::Parser;
use historian::{Journal, JournalConfig, Store, StoreConfig};
use proptest::prelude::*;
use telemetry::{JournalRecord, JournalWriter, SystemClock};

use super::*;
use crate::import::{self, ImportArgs};

#[derive(Debug, Parser)]
struct Importing {
    #[command(flatten)]
    args: ImportArgs,
}

#[derive(Debug, Parser)]
struct Exporting {
    #[command(flatten)]
    args: ExportArgs,
}

/// Bits by device, signal and microseconds.
type Plain = BTreeMap<(String, String, i64), u64>;

/// A folder with readings, of which the second half is in the journal only.
async fn fill(folder: &Path, rows: &[(u8, String, i64, f64)]) -> Plain {
    let mut expected = Plain::new();
    std::fs::create_dir_all(folder).unwrap();
    let journal = Journal::open(JournalConfig::at(folder.join("journal.db"))).unwrap();
    let store = Store::open(StoreConfig::at(folder.join("historian.db")), &journal)
        .await
        .unwrap();
    for part in rows.chunks(rows.len().div_ceil(2).max(1)) {
        let mut record = JournalRecord::default();
        for (device, signal, at, value) in part {
            let device = format!("d{device}");
            let batch = &mut record.readings;
            let id = batch.device(&DeviceId::new(&device).unwrap());
            let name = batch.signal(&SignalName::new(signal).unwrap());
            batch.push_value(name, *value);
            batch.finish_row(id, Timestamp::from_micros(*at), Timestamp::EPOCH);
            expected
                .entry((device, signal.clone(), *at))
                .or_insert(value.to_bits());
        }
        journal.append(record).await.unwrap();
        if store.applied() == telemetry::Offset(0) {
            let stop = CancellationToken::new();
            stop.cancel();
            let run = store
                .clone()
                .run(journal.clone(), Arc::new(SystemClock), stop);
            run.await.unwrap();
        }
    }
    journal.close().await.unwrap();
    expected
}

fn stored(folder: &Path) -> Plain {
    let reader =
        StoreReader::open(&folder.join("historian.db"), &folder.join("journal.db")).unwrap();
    let keys: Vec<SeriesKey> = reader.series().cloned().collect();
    let mut all = Plain::new();
    for (at, key) in keys.iter().enumerate() {
        let read = reader.read(at, Timestamp::MIN, Timestamp::MAX, |times, values| {
            for (&time, value) in times.iter().zip(values) {
                let key = (key.device.to_string(), key.signal.to_string(), time);
                assert!(
                    all.insert(key, value.to_bits()).is_none(),
                    "a key came twice"
                );
            }
            Ok::<_, HistorianError>(())
        });
        read.unwrap();
    }
    all
}

async fn there_and_back(folder: &Path, ending: &str) -> Plain {
    let (from, to) = (folder.join("from"), folder.join(format!("to-{ending}")));
    let file = folder.join(format!("all.{ending}"));
    let words = [
        "export".as_ref(),
        "--data-dir".as_ref(),
        from.as_os_str(),
        "--out".as_ref(),
        file.as_os_str(),
    ];
    run(Exporting::parse_from(words).args).await.unwrap();
    let words = [
        "import".as_ref(),
        "--data-dir".as_ref(),
        to.as_os_str(),
        file.as_os_str(),
    ];
    import::run(Importing::parse_from(words).args)
        .await
        .unwrap();
    stored(&to)
}

/// Nanoseconds in 64 bits end here; line protocol tells times in these.
const NANOS: i64 = i64::MAX / 1_000;

fn rows(
    times: std::ops::RangeInclusive<i64>,
) -> impl Strategy<Value = Vec<(u8, String, i64, f64)>> {
    let value = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let signal = prop::sample::select(vec![
        "a",
        "time",
        "_x",
        "~y",
        "a, b=c d",
        "°C",
        "semi;colon",
        "value",
    ]);
    let row = (0u8..3, signal.prop_map(str::to_owned), times, value);
    prop::collection::vec(row, 1..40)
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(task)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_exported_comes_back_to_the_bit(rows in rows(-NANOS..=NANOS)) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let expected = fill(&folder.path().join("from"), &rows).await;
            assert_eq!(stored(&folder.path().join("from")), expected);
            for ending in ["csv", "lp", "parquet"] {
                let back = there_and_back(folder.path(), ending).await;
                assert_eq!(back, expected, "{ending}");
            }
        });
    }

    #[test]
    fn csv_and_parquet_reach_over_the_whole_calendar(
        rows in rows(Timestamp::CALENDAR_MIN.as_micros()..=Timestamp::CALENDAR_MAX.as_micros()),
    ) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let expected = fill(&folder.path().join("from"), &rows).await;
            for ending in ["csv", "parquet"] {
                let back = there_and_back(folder.path(), ending).await;
                assert_eq!(back, expected, "{ending}");
            }
        });
    }
}

#[tokio::test]
async fn only_what_is_asked_for_is_exported_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let row = |device, signal: &str, seconds: i64, value| {
        (device, signal.to_owned(), seconds * 1_000_000, value)
    };
    let rows = [
        row(2, "a", 30, 3.0),
        row(1, "b", 20, 2.5),
        row(1, "a", 20, 2.0),
        row(1, "a", 10, 1.0),
        row(1, "a", 30, 4.0),
    ];
    let from = folder.path().join("from");
    fill(&from, &rows).await;
    let out = folder.path().join("part.csv");
    for (choice, expected) in [
        (
            vec![],
            "d1,a,1970-01-01T00:00:10Z,1.0\nd1,a,1970-01-01T00:00:20Z,2.0\nd1,a,1970-01-01T00:00:30Z,4.0\nd1,b,1970-01-01T00:00:20Z,2.5\nd2,a,1970-01-01T00:00:30Z,3.0\n",
        ),
        (
            vec![
                "--device",
                "d1",
                "--signal",
                "a",
                "--from",
                "1970-01-01T00:00:20Z",
                "--to",
                "30",
            ],
            "d1,a,1970-01-01T00:00:20Z,2.0\n",
        ),
        (vec!["--signal", "b,c"], "d1,b,1970-01-01T00:00:20Z,2.5\n"),
        (vec!["--device", "d3"], ""),
    ] {
        let mut words = vec![
            "export",
            "--data-dir",
            from.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        words.extend(&choice);
        run(Exporting::parse_from(words).args).await.unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(
            text,
            format!("device,signal,time,value\n{expected}"),
            "{choice:?}"
        );
    }
}

#[tokio::test]
async fn a_folder_without_readings_and_an_unknown_ending_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    for (out, expected) in [("x.csv", "no readings"), ("x.xlsx", "--format")] {
        let out = folder.path().join(out);
        let words = ["export", "--data-dir", dir, "--out", out.to_str().unwrap()];
        let error = run(Exporting::parse_from(words).args).await.unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        assert!(!out.exists() && !out.with_added_extension("part").exists());
    }
}
