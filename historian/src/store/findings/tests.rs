//! What packed findings promise: the codec with values of any form, the store with real files.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use telemetry::{AssetId, DeviceId, Finding, Timestamp};
use tempfile::TempDir;

use super::{
    FindingKind, FindingQuery,
    chunk::{Packed, Row},
    shred::deflate,
    words::Words,
};
use crate::{
    error::HistorianError,
    store::tests::{House, assessment, clock, every_finding},
};

/// JSON of any form, as a finding may have it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..50_i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        (-1000..1000_i32).prop_map(|tenth| Value::from(f64::from(tenth) / 10.0)),
        "[a-z]{0,3}".prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        any::<i32>().prop_map(|s| Timestamp::from_secs(i64::from(s)).to_string().into()),
        Just(Value::from("2026-11-21T00:00:00+00:00")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let named = ("[a-d]", inner.clone())
            .prop_map(|(name, value)| json!({"signal": name, "share": 0.5, "v": value}));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(named, 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e*]{1,2}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-e]{1,2}", any_json(), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let findings = [(); FindingKind::COUNT].map(|()| prop::option::of(any_object()));
    prop::collection::vec((1..10_000_000_i64, findings), 1..20).prop_map(|steps| {
        let mut at = 0;
        let rows = steps.into_iter().map(|(step, findings)| {
            at += step;
            Row { at, findings }
        });
        rows.filter(|row| row.kinds() > 0).collect()
    })
}

const COLUMNS: u8 = 1;

proptest! {
    #[test]
    fn findings_of_any_form_come_back_from_columns(rows in any_rows()) {
        let mut words = Arc::new(Words::default());
        if let Some(packed) = Packed::of(&rows, &mut words) {
            prop_assert_eq!(packed.codec, COLUMNS, "the columns had to be given up");
            prop_assert_eq!(packed.rows(&words).unwrap(), rows.clone());
            let again = Packed::of(&rows, &mut Arc::new(Words::default()));
            prop_assert_eq!(again, Some(packed), "the same findings are the same bytes");
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_findings(
        data in prop::collection::vec(any::<u8>(), 0..200), rows in 1..20_u32, codec in 0..3_u8, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut words = Arc::new(Words::default());
        let whole: Vec<Row> = (0..rows).map(|at| row(i64::from(at), f64::from(at))).collect();
        let mut packed = Packed::of(&whole, &mut words).unwrap();
        let mut spoiled = packed.clone();
        for (at, byte) in flips {
            let at = at.index(spoiled.data.len());
            spoiled.data[at] = byte;
        }
        let _ = spoiled.rows(&words);
        packed.codec = codec;
        packed.data.clone_from(&data);
        let _ = packed.rows(&words);
        packed.keys = data;
        let _ = packed.rows(&words);
    }
}

#[test]
fn json_of_a_release_that_knew_fewer_kinds_is_still_read() {
    let words = &mut Arc::new(Words::default());
    let whole = row(60, 21.0);
    let mut packed = Packed::of(std::slice::from_ref(&whole), words).unwrap();
    packed.codec = 0;
    let kinds = |count: usize| {
        let json = vec![
            whole
                .findings
                .iter()
                .cycle()
                .take(count)
                .collect::<Vec<_>>(),
        ];
        deflate(&serde_json::to_vec(&json).unwrap())
    };
    packed.data = kinds(4);
    assert_eq!(packed.rows(words).unwrap(), std::slice::from_ref(&whole));
    packed.data = kinds(FindingKind::COUNT + 1);
    let error = packed.rows(words).unwrap_err();
    assert!(error.contains("6 kinds"), "{error}");
}

/// A finding as the list of a machine's signals makes it.
fn row(second: i64, value: f64) -> Row {
    let at = Timestamp::from_secs(second);
    let signal = |name: &str, share: f64| json!({"signal": name, "share": share, "deviation": share * 3.0, "value": value, "normal": 20.5});
    let (first, second) = if value as i64 % 3 == 0 {
        ("t", "p")
    } else {
        ("p", "t")
    };
    let evidence = json!({
        "model": "pca-t2-q/1", "window_from": at - std::time::Duration::from_mins(5), "window_to": at,
        "baseline_from": "2026-01-01T00:00:00Z", "contributions": [signal(first, 0.75), signal(second, 0.25)],
    });
    let mut row = Row {
        at: at.as_micros(),
        ..Row::default()
    };
    row.findings[0] = Some(
        json!({"state": {"name": "normal"}, "since": "2026-01-02T00:00:00Z", "evidence": evidence}),
    );
    row.findings[1] = Some(json!({"health": 100.0, "zone": "healthy", "score": value}));
    row
}

#[test]
fn what_a_machine_says_again_and_again_takes_a_few_bytes() {
    // Nothing moves: only the header is there.
    let still: Vec<Row> = (0..4_000).map(|minute| row(minute * 60, 21.0)).collect();
    let mut words = Arc::new(Words::default());
    let packed = Packed::of(&still, &mut words).unwrap();
    let json: usize = still
        .iter()
        .flat_map(|row| row.findings.iter().flatten())
        .map(|f| f.to_string().len())
        .sum();
    let bytes = packed.keys.len() + packed.data.len();
    assert!(
        json > 1_500_000 && bytes < 400,
        "{json} as JSON, {bytes} packed"
    );
    // One number that moves between 1,024 values takes 10 bits wherever it is said.
    let moving: Vec<Row> = (0..4_000)
        .map(|minute| row(minute * 60, (minute * 7_919 % 1_024) as f64))
        .collect();
    let packed = Packed::of(&moving, &mut words).unwrap();
    let bits = packed.data.len() * 8 / moving.len();
    assert!(
        bits < 3 * 10 + 6,
        "{bits} bits a row for three numbers and an order"
    );
}

fn asset(number: u8) -> AssetId {
    AssetId::new(&format!("pump-{number}")).unwrap()
}

type Model = BTreeMap<(i64, String, String, &'static str), Finding>;

fn model_key(finding: &Finding) -> (i64, String, String, &'static str) {
    let (asset, device) = (finding.asset().to_string(), finding.device().to_string());
    (
        finding.at().as_micros(),
        asset,
        device,
        FindingKind::of(finding).as_str(),
    )
}

fn expected(model: &Model, query: &FindingQuery) -> Vec<Finding> {
    let fits = |finding: &&Finding| {
        query
            .kind
            .is_none_or(|kind| kind == FindingKind::of(finding))
            && query
                .asset
                .as_ref()
                .is_none_or(|asset| asset == finding.asset())
            && query
                .device
                .as_ref()
                .is_none_or(|device| device == finding.device())
            && query.from.is_none_or(|from| from <= finding.at())
            && query.to.is_none_or(|to| finding.at() < to)
    };
    let found = model.values().filter(fits).cloned();
    if query.newest_first {
        found.rev().take(query.limit).collect()
    } else {
        found.take(query.limit).collect()
    }
}

/// A condition, an assessment or the word that there is no prognosis.
fn finding(asset: u8, kind: u8, second: i64, value: u8) -> Finding {
    let asset = format!("pump-{asset}");
    match kind {
        0 => assessment(&asset, second, f64::from(value)),
        1 => serde_json::from_value(json!({
            "kind": "prognosis", "outcome": "none", "asset": asset, "device": asset,
            "at": Timestamp::from_secs(second), "reason": format!("reason-{value}"),
        }))
        .unwrap(),
        _ => serde_json::from_value(json!({
            "kind": "condition", "asset": asset, "device": "gateway", "at": Timestamp::from_secs(second),
            "state": {"name": "learning", "rows": value, "needed": 60}, "since": "2026-01-01T00:00:00Z", "evidence": null,
        }))
        .unwrap(),
    }
}

#[derive(Debug, Clone)]
enum Act {
    Put(Vec<(u8, u8, i64, u8)>),
    Pack,
    Crash,
    Close,
}

fn any_act() -> impl Strategy<Value = Act> {
    let said = (0..3_u8, 0..3_u8, 0..200_i64, any::<u8>());
    prop_oneof![
        5 => prop::collection::vec(said, 1..40).prop_map(Act::Put),
        2 => Just(Act::Pack),
        1 => Just(Act::Crash),
        1 => Just(Act::Close),
    ]
}

fn any_query() -> impl Strategy<Value = FindingQuery> {
    (
        prop::option::of(0..3_usize),
        prop::option::of(0..4_u8),
        any::<bool>(),
        0..200_i64,
        1..250_i64,
        any::<bool>(),
        prop_oneof![0..5_usize, Just(1_000)],
    )
        .prop_map(
            |(kind, of, gateway, from, span, newest_first, limit)| FindingQuery {
                kind: kind.map(|kind| FindingKind::ALL[kind]),
                asset: of.filter(|_| !gateway).map(asset),
                device: gateway.then(|| DeviceId::new("gateway").unwrap()),
                from: (from > 20).then(|| Timestamp::from_secs(from)),
                to: (span < 200).then(|| Timestamp::from_secs(from + span)),
                newest_first,
                limit,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn findings_are_listed_as_they_were_said_whatever_is_packed_and_whenever_it_crashes(
        acts in prop::collection::vec(any_act(), 1..14), queries in prop::collection::vec(any_query(), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new();
            let mut house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
            for act in acts {
                match act {
                    Act::Put(said) => {
                        let said: Vec<Finding> = said.into_iter().map(|(a, k, s, v)| finding(a, k, s, v)).collect();
                        house.store.put_findings(said.clone()).await.unwrap();
                        model.extend(said.into_iter().map(|finding| (model_key(&finding), finding)));
                    }
                    Act::Pack => house.store.0.pack_findings().unwrap(),
                    Act::Crash => house = House::open(house.crash().await, &clock(), |_| ()).await,
                    Act::Close => house = House::open(house.close().await, &clock(), |_| ()).await,
                }
                for query in &queries {
                    let found = house.store.findings(query.clone()).await.unwrap();
                    assert_eq!(found, expected(&model, query), "{query:?}");
                }
            }
            house.close().await;
        });
    }
}

async fn all(house: &House) -> Result<Vec<Finding>, HistorianError> {
    house.store.findings(every_finding(100_000)).await
}

fn open_file(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("store.db")).unwrap()
}

#[tokio::test]
async fn too_many_findings_for_memory_are_packed_at_once() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    let said: Vec<Finding> = (0..30_000)
        .map(|at| assessment("pump-1", at, 50.0))
        .collect();
    for part in said.chunks(1_000) {
        house.store.put_findings(part.to_vec()).await.unwrap();
        let in_memory = house.store.0.findings.state().tail_findings;
        assert!(in_memory < super::pack::MAX_TAIL + 1_000, "{in_memory}");
    }
    assert_eq!(all(&house).await.unwrap(), said);
    let folder = house.close().await;
    let file = open_file(&folder);
    let logged: i64 = file
        .query_row("SELECT count(*) FROM finding_log", [], |row| row.get(0))
        .unwrap();
    let bytes: i64 = file
        .query_row(
            "SELECT sum(length(keys) + length(data)) FROM finding_chunks",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(logged, 0);
    assert!(
        bytes < 3_000,
        "{bytes} bytes for 30,000 findings of which only the time differs"
    );
}

#[tokio::test]
async fn a_damaged_chunk_of_findings_is_named_and_set_aside_when_it_is_in_the_way() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    let said: Vec<Finding> = (0..10).map(|at| assessment("pump-1", at, 90.0)).collect();
    let other = assessment("pump-2", 3, 80.0);
    house.store.put_findings(said).await.unwrap();
    house.store.put_findings(vec![other.clone()]).await.unwrap();
    let folder = house.close().await;
    open_file(&folder)
        .execute(
            "UPDATE finding_chunks SET data = x'00' WHERE source = 0",
            [],
        )
        .unwrap();
    let house = House::open(folder, &clock(), |_| ()).await;
    let error = all(&house).await.unwrap_err();
    assert!(
        matches!(
            error,
            HistorianError::Corrupt {
                what: "chunk of findings",
                id: 1,
                ..
            }
        ),
        "{error}"
    );
    let late = assessment("pump-1", 5, 42.0);
    house.store.put_findings(vec![late.clone()]).await.unwrap();
    let folder = house.close().await;
    let kept: (i64, Vec<u8>) = open_file(&folder)
        .query_row("SELECT rows, data FROM damaged_findings", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(kept, (10, vec![0]));
    let house = House::open(folder, &clock(), |_| ()).await;
    assert_eq!(
        all(&house).await.unwrap(),
        [other, late],
        "what is left is listed"
    );
    house.close().await;
}

#[tokio::test]
async fn a_damaged_batch_of_the_log_is_set_aside_and_the_rest_is_there() {
    let house = House::open(TempDir::new().unwrap(), &clock(), |_| ()).await;
    let (lost, kept) = (assessment("pump-1", 1, 1.0), assessment("pump-1", 2, 2.0));
    for one in [lost, kept.clone()] {
        house.store.put_findings(vec![one]).await.unwrap();
    }
    let folder = house.crash().await;
    let file = open_file(&folder);
    file.execute("UPDATE finding_log SET data = x'00' WHERE id = 1", [])
        .unwrap();
    let house = House::open(folder, &clock(), |_| ()).await;
    assert_eq!(all(&house).await.unwrap(), [kept]);
    let aside: i64 = file
        .query_row("SELECT count(*) FROM damaged_findings", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(aside, 1);
    house.close().await;
}

/// What is new since, gone, and the table of findings in files of version 1 and 2.
const OLD_FINDINGS: &str = "
    DROP TABLE shared_times; ALTER TABLE chunks DROP COLUMN shared;
    DROP TABLE finding_sources; DROP TABLE finding_words; DROP TABLE finding_chunks;
    DROP TABLE finding_log; DROP TABLE damaged_findings; DROP TABLE retention_clock;
    CREATE TABLE findings (
        asset TEXT NOT NULL, device TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL,
        stored_at INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL,
        UNIQUE (asset, kind, at, device)
    ) STRICT;
    CREATE INDEX findings_by_time ON findings (kind, at);
    PRAGMA user_version = 2;";

#[tokio::test]
async fn findings_of_an_earlier_version_are_packed_in_place() {
    let folder = House::open(TempDir::new().unwrap(), &clock(), |_| ())
        .await
        .close()
        .await;
    let file = open_file(&folder);
    file.execute_batch(OLD_FINDINGS).unwrap();
    file.execute_batch("BEGIN").unwrap();
    let said: Vec<Finding> = (0..9_000)
        .flat_map(|at| [0, 1, 2].map(|kind| finding((at % 2) as u8, kind, at, (at % 250) as u8)))
        .collect();
    for (number, one) in said.iter().enumerate() {
        let body = serde_json::to_vec(one).unwrap();
        let crc = crc32c::crc32c(&body) ^ u32::from(number == 7);
        let (asset, device) = (one.asset().as_str(), one.device().as_str());
        let sql = "INSERT INTO findings VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)";
        let kind = FindingKind::of(one).as_str();
        file.execute(
            sql,
            params![asset, device, kind, one.at().as_micros(), crc, body],
        )
        .unwrap();
    }
    file.execute_batch("COMMIT").unwrap();
    drop(file);
    let house = House::open(folder, &clock(), |_| ()).await;
    let mut model: Model = said
        .iter()
        .map(|one| (model_key(one), one.clone()))
        .collect();
    model.remove(&model_key(&said[7]));
    assert_eq!(
        all(&house).await.unwrap(),
        expected(&model, &every_finding(100_000))
    );
    let folder = house.close().await;
    let file = open_file(&folder);
    let damaged: i64 = file
        .query_row("SELECT count(*) FROM damaged_findings", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(damaged, 1, "the one whose checksum differs");
    let old: i64 = file
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'findings'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(old, 0);
}
