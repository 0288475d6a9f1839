//! Status, health, metrics, dead letters.

use serde_json::json;
use telemetry::DeadLetterReason;

use crate::plant::Plant;

#[tokio::test]
async fn the_status_counts_what_was_acknowledged_and_stored() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 1.0), ("speed_rpm", 1450.0)])])
        .await;
    plant.refuse(DeadLetterReason::MalformedPayload, b"{").await;
    let status = plant.read("/api/v1/status").await;
    assert_eq!(status["readings_acknowledged"], 2);
    assert_eq!(status["readings_stored"], 2);
    assert_eq!(
        (&status["dead_letters"], &status["dead_letters_open"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        status["noticed"],
        json!({ "late": 0, "duplicate": 0, "out_of_order": 0, "stuck": 0 })
    );
    assert_eq!(
        (&status["damaged_chunks"], &status["influx"]),
        (&json!([]), &json!(null))
    );
    assert_eq!(status["version"], "1.2.3");
    assert_eq!(status["registration"], "open");
    assert_eq!(status["now"], "2026-03-01T08:00:00Z");
    let reader = &status["journal"]["readers"][0];
    assert_eq!(
        (&reader["name"], &reader["lag"]),
        (&json!("historian"), &json!(0))
    );
    plant.close().await;
}

#[tokio::test]
async fn dead_letters_show_reason_and_payload() {
    let plant = Plant::open().await;
    plant
        .refuse(DeadLetterReason::MalformedPayload, b"{\"ts\":")
        .await;
    plant
        .refuse(DeadLetterReason::InvalidValue, &[0xff, 0x00])
        .await;
    let letters = plant.read("/api/v1/dead-letters").await;
    let newest = &letters["items"][0];
    assert_eq!(newest["payload_base64"], "/wA=");
    assert_eq!(newest["payload_len"], 2);
    let older = plant
        .read("/api/v1/dead-letters?reason=malformed_payload&device=pump-1")
        .await;
    assert_eq!(older["items"].as_array().unwrap().len(), 1);
    assert_eq!(older["items"][0]["payload"], "{\"ts\":");
    assert_eq!(older["items"][0].get("payload_base64"), None);
    let summary = plant.read("/api/v1/dead-letters/summary").await;
    assert_eq!(summary["total"], 2);
    assert_eq!(summary["by_reason"]["invalid_value"], 1);
    assert_eq!(summary["by_reason"]["too_large"], 0);
    plant.close().await;
}

#[tokio::test]
async fn it_is_ready_until_it_shuts_down() {
    let plant = Plant::open().await;
    assert_eq!(
        plant.read("/healthz").await,
        json!({ "status": "ok", "reasons": [] })
    );
    assert_eq!(plant.read("/readyz").await["status"], "ok");
    plant.close().await;
}

#[tokio::test]
async fn a_journal_that_cannot_commit_is_told_and_forgiven() {
    use telemetry::{JournalRecord, JournalWriter};
    let plant = Plant::open().await;
    let record = || JournalRecord {
        dead_letters: vec![telemetry::DeadLetter {
            reason: DeadLetterReason::TooLarge,
            detail: "x".repeat(100_000),
            device: None,
            topic: "telemetry/x".to_owned(),
            received_at: crate::plant::at(0),
            content_type: None,
            properties: Vec::new(),
            payload: Vec::new(),
            payload_len: 0,
        }],
        ..JournalRecord::default()
    };
    plant.parts.journal.set_max_file_bytes(Some(4_096));
    assert!(plant.parts.journal.append(record()).await.is_err());
    let response = plant.get("/readyz").await;
    assert_eq!(response.status(), 503);
    let body: serde_json::Value = response.json().await.unwrap();
    assert!(
        body["reasons"][0].as_str().unwrap().contains("journal"),
        "{body}"
    );
    plant.parts.journal.set_max_file_bytes(None);
    plant.parts.journal.append(record()).await.unwrap();
    assert_eq!(plant.read("/readyz").await["status"], "ok");
    plant.close().await;
}

#[tokio::test]
async fn the_metrics_can_be_read_by_prometheus() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 1.0)])])
        .await;
    plant.alarm("pump-2", "cavitation", 0).await;
    plant.refuse(DeadLetterReason::EmptyPayload, b"").await;
    plant.get("/api/v1/assets/pump-1").await;
    plant.get("/api/v1/assets/pump-9").await;
    plant.get("/made/up/path").await;
    let response = plant.get("/metrics").await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("bellwether_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    for expected in [
        "bellwether_journal_readings_appended_total 1",
        "bellwether_store_readings_stored 1.0",
        "bellwether_journal_dead_letters_total{reason=\"empty_payload\"} 1",
        "bellwether_journal_dead_letters_open{reason=\"empty_payload\"} 1.0",
        "bellwether_journal_dead_letters_dropped_total 0",
        "bellwether_ingest_readings_late_total 0",
        "bellwether_ingest_readings_stuck_total 0",
        "bellwether_ingest_quota_pauses_total 0",
        "bellwether_ingest_waveforms_acknowledged_total 0",
        "bellwether_store_damaged_chunks 0.0",
        "bellwether_cases{status=\"open\"} 1.0",
        "bellwether_work_orders{status=\"proposed\"} 1.0",
        "bellwether_assets{state=\"learning\"} 1.0",
        "bellwether_assets{state=\"no_data\"} 1.0",
        "bellwether_journal_reader_lag{reader=\"historian\"} 0.0",
        "bellwether_http_requests_total{method=\"GET\",route=\"/api/v1/assets/{id}\",status=\"200\"} 1",
        "bellwether_http_requests_total{method=\"GET\",route=\"/api/v1/assets/{id}\",status=\"404\"} 1",
        "bellwether_http_requests_total{method=\"GET\",route=\"other\",status=\"200\"} 1",
        "bellwether_ingest_messages_received_total 0",
    ] {
        assert!(
            text.lines().any(|line| line == expected),
            "{expected} is not in\n{text}"
        );
    }
    assert!(text.contains("bellwether_http_request_duration_seconds_bucket"));
    plant.close().await;
}
