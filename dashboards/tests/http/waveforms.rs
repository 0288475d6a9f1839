//! Vibration snapshots: listed, looked at, and given out bit for bit.

use reqwest::{Method, header};
use serde_json::{Value, json};
use telemetry::Unit;

use crate::plant::Plant;

async fn record(plant: &Plant, name: &str, secs: i64, samples: &[f32]) {
    let signal = (name, "bearing_acceleration_g", Some(Unit::StandardGravity));
    plant.record(signal, (secs, 4.0), samples).await;
}

fn ids(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|one| one["id"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_snapshot_is_described_and_given_out_bit_for_bit() {
    let plant = Plant::open().await;
    let samples = [3.0_f32, -4.0, 0.1, f32::MIN_POSITIVE];
    record(&plant, "pump-1", 0, &samples).await;
    let list = plant.read("/api/v1/waveforms?asset=pump-1&axis=x").await;
    let one = &list["items"][0];
    assert_eq!(one["samples"], 4);
    assert_eq!(
        (&one["duration_s"], &one["unit"]),
        (&json!(1.0), &json!("g"))
    );
    assert_eq!(one["peak"], 4.0);
    // sqrt((9 + 16 + 0.01) / 4)
    assert!(
        (one["rms"].as_f64().unwrap() - 2.500_499_95).abs() < 1e-6,
        "{one}"
    );
    let id = one["id"].as_u64().unwrap();
    assert_eq!(plant.read(&format!("/api/v1/waveforms/{id}")).await, *one);
    let path = format!("/api/v1/waveforms/{id}/samples");
    let raw = plant.get(&path).await;
    assert_eq!(
        raw.headers()[header::CONTENT_DISPOSITION],
        "attachment; filename=\"pump-1-bearing_acceleration_g-x-2026-03-01T08_00_00Z.f32\""
    );
    let bytes = raw.bytes().await.unwrap();
    let got: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    assert_eq!(got, samples);
    let json = plant.read(&format!("{path}?format=json")).await;
    assert_eq!(json["samples"][1], -4.0);
    let csv = plant
        .get(&format!("{path}?format=csv"))
        .await
        .text()
        .await
        .unwrap();
    let lines: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[..3], ["seconds,value", "0,3", "0.25,-4"]);
    plant.close().await;
}

#[tokio::test]
async fn snapshots_are_walked_latest_first_over_all_devices_of_an_asset() {
    let plant = Plant::open().await;
    for n in 0..5 {
        record(&plant, "left", n * 10, &[n as f32]).await;
        record(&plant, "right", n * 10, &[n as f32]).await;
    }
    let both = json!({ "devices": ["left", "right"] });
    plant.patch("/api/v1/assets/left", both, 200).await;
    let all = ids(&plant.read("/api/v1/waveforms").await);
    assert_eq!(all.len(), 10);
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/waveforms?asset=left&limit=3&cursor={cursor}");
        let page = plant.read(&path).await;
        walked.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(walked, all);
    let some = "/api/v1/waveforms?device=left&from=2026-03-01T08:00:20Z&to=2026-03-01T08:00:40Z";
    assert_eq!(
        ids(&plant.read(some).await).len(),
        2,
        "from is in, to is out"
    );
    let csv = plant.request(Method::GET, "/api/v1/waveforms?format=csv");
    let csv = csv.send().await.unwrap().text().await.unwrap();
    assert_eq!(csv.lines().count(), 11);
    plant.close().await;
}
