//! Models of remaining life: the past that they are learned from, trainings, what serves.

use historian::{ForecastScore, NewModel, Provenance};
use reqwest::Method;
use serde_json::{Value, json};
use telemetry::{AssetModelId, Event, Offset};

use crate::plant::{Plant, asset, at, device};

const KIND: &str = "centrifugal-pump";

fn model(bytes: &[u8]) -> NewModel {
    NewModel {
        asset_model: AssetModelId::new(KIND).unwrap(),
        bytes: bytes.to_vec(),
        trained_at: at(0),
        provenance: Provenance {
            program: "bellwether 1".to_owned(),
            seed: 1,
            data_from: Some(at(-100)),
            data_to: None,
            assets: 3,
            lives: 4,
            failures: 3,
            cycles: 500,
            settings: json!({ "cycle_s": 3_600.0 }),
            by: "Anna".to_owned(),
        },
        features: vec!["vibration_mm_s".to_owned()],
        metrics: json!({ "rmse_cycles": 9.5, "rows": 300,
            "inputs": [{ "signal": "vibration_mm_s", "low": 1.0, "median": 2.0, "high": 3.0 }] }),
        calibration: json!({ "coverage": 0.81 }),
    }
}

/// What the journal says was promoted, in order.
async fn promoted(plant: &Plant) -> Vec<u32> {
    let journal = &plant.parts.journal;
    let records = journal.read(Offset(0), usize::MAX).await.unwrap();
    let events = records.iter().flat_map(|(_, record)| &record.events);
    events
        .filter_map(|event| match event {
            Event::ModelPromoted { version, .. } => Some(*version),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_version_is_promoted_through_the_journal_and_rolled_back() {
    let plant = Plant::open().await;
    for bytes in [b"a", b"b"] {
        plant.parts.registry.put(model(bytes)).await.unwrap();
    }
    let base = format!("/api/v1/prognosis-models/{KIND}");
    let by = json!({ "by": "Anna", "note": "better on the test stand" });
    plant
        .post(&format!("{base}/roll-back"), by.clone(), 409)
        .await;
    plant
        .post(&format!("{base}/3/promote"), by.clone(), 404)
        .await;
    let first = plant
        .post(&format!("{base}/1/promote"), by.clone(), 202)
        .await;
    assert_eq!(
        (&first["version"], &first["by"]),
        (&json!(1), &json!("Anna"))
    );
    let states = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        let state = |one: &Value| (one["version"].clone(), one["state"].clone());
        items.iter().map(state).collect::<Vec<_>>()
    };
    let list = plant.read("/api/v1/prognosis-models").await;
    assert_eq!(
        states(&list),
        [
            (json!(2), json!("challenger")),
            (json!(1), json!("champion"))
        ]
    );
    plant
        .post(&format!("{base}/2/promote"), by.clone(), 202)
        .await;
    plant
        .post(&format!("{base}/2/promote"), by.clone(), 409)
        .await;
    let list = plant
        .read(&format!("/api/v1/prognosis-models?asset_model={KIND}"))
        .await;
    assert_eq!(
        states(&list),
        [(json!(2), json!("champion")), (json!(1), json!("retired"))]
    );
    let back = plant.post(&format!("{base}/roll-back"), by, 202).await;
    assert_eq!(back["version"], 1);
    assert_eq!(promoted(&plant).await, [1, 2, 1]);
    let one = plant.read(&format!("{base}/1")).await;
    assert_eq!(
        (&one["state"], one["promotions"].as_array().unwrap().len()),
        (&json!("champion"), 2)
    );
    assert_eq!(one["metrics"]["rmse_cycles"], 9.5);
    plant.close().await;
}

#[tokio::test]
async fn forecasts_are_listed_against_what_happened() {
    let plant = Plant::open().await;
    plant.parts.registry.put(model(b"a")).await.unwrap();
    let score = |secs: i64| ForecastScore {
        asset_model: AssetModelId::new(KIND).unwrap(),
        version: 1,
        asset: asset("pump-1"),
        device: device("pump-1"),
        forecast_at: at(secs),
        ended_at: at(1_000),
        shadow: false,
        failed: true,
        truth_s: 1_000.0 - secs as f64,
        quantiles_s: [800.0, 900.0, 1_100.0],
        crps_s: 30.0,
        in_interval: true,
        within_alpha: true,
        brier: vec![(3_600.0, 0.1)],
    };
    plant
        .parts
        .registry
        .put_scores(vec![score(0), score(60)])
        .await
        .unwrap();
    let base = format!("/api/v1/prognosis-models/{KIND}/1");
    let page = plant.read(&format!("{base}/scores?limit=1")).await;
    assert_eq!(page["items"][0]["truth_s"], 940.0);
    let next = page["next"].as_str().unwrap();
    let page = plant
        .read(&format!("{base}/scores?limit=1&cursor={next}"))
        .await;
    assert_eq!(
        (&page["items"][0]["truth_s"], &page["next"]),
        (&json!(1000.0), &Value::Null)
    );
    let one = plant.read(&base).await;
    assert_eq!(
        (&one["scores"]["forecasts"], &one["scores"]["coverage"]),
        (&json!(2), &json!(1.0))
    );
    plant.close().await;
}

#[tokio::test]
async fn a_training_waits_once_and_only_for_a_kind_that_says_what_a_cycle_is() {
    let plant = Plant::open().await;
    let ask = |kind: &str| json!({ "asset_model": kind, "by": "Anna", "horizon_s": 86_400.0 });
    plant
        .post("/api/v1/training-jobs", ask("nobody"), 404)
        .await;
    let refused = plant.post("/api/v1/training-jobs", ask(KIND), 422).await;
    assert!(refused["detail"].as_str().unwrap().contains("[prognosis]"));
    let new = historian::NewJob {
        asset_model: AssetModelId::new(KIND).unwrap(),
        by: "Anna".to_owned(),
        seed: 1,
        horizon_s: None,
        at: at(0),
    };
    plant.parts.registry.enqueue(new).await.unwrap();
    let list = plant.read("/api/v1/training-jobs").await;
    let id = list["items"][0]["id"].as_u64().unwrap();
    let job = plant.read(&format!("/api/v1/training-jobs/{id}")).await;
    assert_eq!(
        (&job["state"], &job["progress"]),
        (&json!("queued"), &json!(0.0))
    );
    plant.close().await;
}

#[tokio::test]
async fn a_history_is_taken_whole_with_mapped_columns_or_refused_by_line_and_column() {
    let plant = Plant::open().await;
    let post = async |query: &str, csv: &'static str| {
        let path = format!("/api/v1/history/failures?{query}");
        let request = plant.request(Method::POST, &path).body(csv);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        crate::contract::check_response(&Method::POST, "/api/v1/history/failures", status, &body);
        (status, body)
    };
    let good = "machine,at,cost\npump-1,2026-01-05T06:00:00Z,900\n";
    let (status, body) = post("map=asset:machine", good).await;
    assert_eq!(
        (status, &body["errors"][0]["column"]),
        (422, &json!("cost"))
    );
    let (status, body) = post("map=asset:machine&ignore=cost&dry_run=true", good).await;
    assert_eq!(
        (status, &body["new"], &body["applied"]),
        (200, &json!(1), &json!(false))
    );
    let (_, body) = post("map=asset:machine&ignore=cost", good).await;
    assert_eq!((&body["new"], &body["applied"]), (&json!(1), &json!(true)));
    assert_eq!(body["not_in_ledger"], json!(["pump-1"]));
    let (status, _) = post("colour=red", good).await;
    assert_eq!(status, 400);
    let list = plant.read("/api/v1/history?asset=pump-1").await;
    assert_eq!(list["items"][0]["at"], "2026-01-05T06:00:00Z");
    plant.close().await;
}

#[tokio::test]
async fn a_signal_that_has_left_what_was_learned_from_is_told_by_machine() {
    let plant = Plant::open().await;
    plant.parts.registry.put(model(b"a")).await.unwrap();
    for (name, value) in [("pump-1", 2.5), ("pump-2", 7.5)] {
        plant
            .publish(&[(name, 10, &[("vibration_mm_s", value)])])
            .await;
        let path = format!("/api/v1/assets/{name}");
        plant.patch(&path, json!({ "model": KIND }), 200).await;
    }
    plant.stored().await;
    let drift = plant
        .read(&format!("/api/v1/prognosis-models/{KIND}/1/drift"))
        .await;
    let signal = &drift["signals"][0];
    assert_eq!(
        (&signal["outside"], &drift["truncated"]),
        (&json!(0.5), &json!(false))
    );
    let told: Vec<_> = signal["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["asset"].as_str().unwrap(),
                one["outside"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("pump-1", false), ("pump-2", true)]);
    plant.close().await;
}
