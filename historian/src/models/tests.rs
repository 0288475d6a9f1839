use telemetry::{AssetId, DeviceId};

use super::*;

fn kind() -> AssetModelId {
    AssetModelId::new("centrifugal-pump").unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn model(bytes: &[u8]) -> NewModel {
    NewModel {
        asset_model: kind(),
        bytes: bytes.to_vec(),
        trained_at: at(1),
        provenance: Provenance {
            program: "bellwether 0".to_owned(),
            seed: 1,
            data_from: Some(at(0)),
            data_to: None,
            assets: 2,
            lives: 3,
            failures: 2,
            cycles: 100,
            settings: serde_json::json!({}),
            by: "planner-1".to_owned(),
        },
        features: vec!["age".to_owned()],
        metrics: serde_json::json!({ "rmse": 10.0 }),
        calibration: serde_json::json!(null),
    }
}

fn registry() -> (tempfile::TempDir, ModelRegistry) {
    let dir = tempfile::tempdir().unwrap();
    let registry = ModelRegistry::open(&dir.path().join(MODELS_FILE)).unwrap();
    (dir, registry)
}

#[tokio::test]
async fn versions_count_up_and_the_same_bytes_are_the_same_version() {
    let (_dir, registry) = registry();
    let first = registry.put(model(b"a")).await.unwrap();
    let second = registry.put(model(b"b")).await.unwrap();
    let again = registry.put(model(b"a")).await.unwrap();
    assert_eq!((first.version, second.version, again.version), (1, 2, 1));
    let listed = registry.list(Some(kind())).await.unwrap();
    assert_eq!(listed, [second.clone(), first.clone()]);
    assert_eq!(registry.bytes(&first.checksum).unwrap().unwrap(), b"a");
    // Of the empty text: a value anybody can look up.
    let empty = registry.put(model(b"")).await.unwrap();
    assert!(empty.checksum.starts_with("e3b0c44298fc1c14"));
}

#[tokio::test]
async fn bytes_that_changed_on_disk_are_refused() {
    let (_dir, registry) = registry();
    let card = registry.put(model(b"a")).await.unwrap();
    registry
        .lock()
        .execute("UPDATE model_files SET bytes = x'00'", [])
        .unwrap();
    assert!(registry.bytes(&card.checksum).is_err());
}

#[tokio::test]
async fn promotions_are_a_log_and_only_of_what_is_there() {
    let (_dir, registry) = registry();
    let card = registry.put(model(b"a")).await.unwrap();
    let promotion = Promotion {
        asset_model: kind(),
        version: card.version,
        checksum: card.checksum,
        at: at(5),
        by: "planner-1".to_owned(),
        note: String::new(),
    };
    registry.promoted(promotion.clone()).await.unwrap();
    let missing = Promotion {
        version: 9,
        ..promotion.clone()
    };
    assert!(registry.promoted(missing).await.is_err());
    assert_eq!(
        registry.promotions(Some(kind())).await.unwrap(),
        [promotion]
    );
}

#[tokio::test]
async fn a_job_that_a_restart_cut_off_is_taken_again_with_what_it_had_gathered() {
    let (dir, registry) = registry();
    let new = NewJob {
        asset_model: kind(),
        by: "planner-1".to_owned(),
        seed: 7,
        horizon_s: None,
        at: at(1),
    };
    let (job, is_new) = registry.enqueue(new.clone()).await.unwrap();
    let (same, again) = registry.enqueue(new).await.unwrap();
    assert!(is_new && !again);
    assert_eq!(job, same);
    let taken = registry.take_job(at(2)).await.unwrap().unwrap();
    assert_eq!(taken.state, JobState::Running);
    assert_eq!(registry.take_job(at(3)).await.unwrap(), None);
    registry.put_material(job.id, "pump-1", b"rows").unwrap();
    drop(registry);
    let registry = ModelRegistry::open(&dir.path().join(MODELS_FILE)).unwrap();
    let again = registry.take_job(at(9)).await.unwrap().unwrap();
    assert_eq!((again.id, again.started_at), (job.id, Some(at(2))));
    assert_eq!(
        registry.material(job.id, "pump-1").unwrap().unwrap(),
        b"rows"
    );
    registry.end_job(job.id, Ok(1), at(10)).await.unwrap();
    let ended = registry.job(job.id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.version), (JobState::Done, Some(1)));
    assert_eq!(registry.material(job.id, "pump-1").unwrap(), None);
}

fn score(truth_s: f64, quantiles_s: [f64; 3], failed: bool) -> ForecastScore {
    ForecastScore {
        asset_model: kind(),
        version: 1,
        asset: AssetId::new("pump-1").unwrap(),
        device: DeviceId::new("pump-1").unwrap(),
        forecast_at: Timestamp::from_micros(-(truth_s * 1e6) as i64),
        ended_at: at(0),
        shadow: false,
        failed,
        truth_s,
        quantiles_s,
        crps_s: 2.0,
        in_interval: quantiles_s[0] <= truth_s && truth_s <= quantiles_s[2],
        within_alpha: (quantiles_s[1] - truth_s).abs() <= 0.2 * truth_s,
        brier: vec![(3_600.0, 0.25)],
    }
}

#[tokio::test]
async fn scores_add_up_over_lives_that_failed() {
    let (_dir, registry) = registry();
    let scores = vec![
        score(100.0, [90.0, 110.0, 115.0], true),
        score(50.0, [10.0, 20.0, 30.0], true),
        score(70.0, [1.0, 2.0, 3.0], false),
    ];
    registry.put_scores(scores.clone()).await.unwrap();
    registry.put_scores(scores).await.unwrap();
    let read = registry.scores(kind(), Some(1), None).await.unwrap();
    assert_eq!(read.len(), 3);
    let summary = ScoreSummary::of(&read);
    assert_eq!((summary.forecasts, summary.lives), (2, 1));
    assert_eq!((summary.coverage, summary.alpha), (Some(0.5), Some(0.5)));
    assert_eq!(summary.lead_s, Some(100.0));
    assert_eq!(summary.brier, [(3_600.0, 0.25)]);
}
