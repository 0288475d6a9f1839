//! Devices: entered one by one and by the hundred, declared, let in and shut out.

use reqwest::{Method, header};
use serde_json::{Value, json};
use telemetry::{Event, JournalRecord};

use crate::{
    contract,
    plant::{Plant, at, device},
};

#[tokio::test]
async fn a_device_is_entered_with_its_asset_and_signals() {
    let plant = Plant::open().await;
    let new = json!({ "device": "sensor-1", "asset": "pump-1", "asset_name": "Pump 1",
        "model": "centrifugal-pump",
        "signals": [{ "name": "q", "signal": "flow_l_min", "unit": "m³/h", "limits": { "max": 6.0 } }] });
    let dry = plant
        .post("/api/v1/devices?dry_run=true", new.clone(), 200)
        .await;
    assert_eq!(
        (&dry["applied"], &dry["created"]["devices"]),
        (&json!(false), &json!(["sensor-1"]))
    );
    assert_eq!(plant.get("/api/v1/devices/sensor-1").await.status(), 404);
    let report = plant.post("/api/v1/devices", new.clone(), 201).await;
    assert_eq!(report["created"]["assets"], json!(["pump-1"]));
    let again = plant.post("/api/v1/devices", new, 200).await;
    assert_eq!(
        (&again["unchanged"], &again["changed"]["devices"]),
        (&json!(1), &json!([]))
    );
    let entered = plant.read("/api/v1/devices/sensor-1").await;
    assert_eq!(
        (&entered["asset_name"], &entered["tokens"]),
        (&json!("Pump 1"), &json!(0))
    );
    let signals = plant.read("/api/v1/devices/sensor-1/signals").await;
    let own = &signals["items"][1];
    assert_eq!(
        (&own["name"], &own["signal"]),
        (&json!("q"), &json!("flow_l_min"))
    );
    assert_eq!(
        (&own["unit"], &own["sent_unit"]),
        (&json!("L/min"), &json!("m³/h"))
    );
    // 6 m³/h are 100 L/min.
    assert!(
        (own["limits"]["max"].as_f64().unwrap() - 100.0).abs() < 1e-9,
        "{own}"
    );
    let wrong = json!({ "device": "sensor-2", "model": "submarine" });
    let problem = plant.post("/api/v1/devices", wrong, 422).await;
    assert_eq!(problem["errors"][0]["column"], "model", "{problem}");
    plant.close().await;
}

#[tokio::test]
async fn a_token_is_seen_once_and_its_use_and_end_are_shown() {
    let plant = Plant::open().await;
    plant
        .parts
        .service
        .register_discovered(&[device("pump-1")])
        .await
        .unwrap();
    let path = "/api/v1/devices/pump-1/credentials";
    let response = plant
        .request(Method::POST, path)
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let made: Value = response.json().await.unwrap();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("bw_"), "{made}");
    let bound = json!({ "certificate": "ab".repeat(32) });
    assert_eq!(plant.post(path, bound, 201).await["token"], json!(null));
    let list = plant.read(path).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert!(
        !list.to_string().contains(&token[3..]),
        "the secret is not listed"
    );
    assert_eq!(items[1]["fingerprint"], "ab".repeat(32));
    let own = plant.read("/api/v1/devices/pump-1").await;
    assert_eq!(
        (&own["tokens"], &own["certificates"]),
        (&json!(1), &json!(1))
    );
    let revoke = format!("/api/v1/credentials/{}", made["credential"]);
    let first = plant.delete(&revoke, 200).await;
    assert_eq!(
        plant.delete(&revoke, 200).await,
        first,
        "again changes nothing"
    );
    assert_eq!(plant.read("/api/v1/devices/pump-1").await["tokens"], 0);
    assert_eq!(
        plant.delete("/api/v1/credentials/999", 404).await["status"],
        404
    );
    plant.close().await;
}

async fn onboard(plant: &Plant, query: &str, csv: &'static str, status: u16) -> Value {
    let path = format!("/api/v1/onboarding?{query}");
    let request = plant
        .request(Method::POST, &path)
        .header(header::CONTENT_TYPE, "text/csv");
    let response = request.body(csv).send().await.unwrap();
    let got = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    let value = serde_json::from_str(&text).unwrap();
    contract::check_response(&Method::POST, &path, status, &value);
    value
}

#[tokio::test]
async fn a_file_is_tried_mended_and_taken_whole_and_again_without_effect() {
    const BAD: &str = "device,model\nsensor-1,centrifugal-pump\nsensor 2,submarine\n";
    const GOOD: &str = "device,asset,model\nsensor-1,pump-1,centrifugal-pump\nsensor-2,pump-2,\n";
    let plant = Plant::open().await;
    let tried = onboard(&plant, "dry_run=true", BAD, 200).await;
    let places: Vec<_> = tried["errors"].as_array().unwrap().iter().collect();
    assert_eq!(
        (
            &places[0]["line"],
            &places[0]["column"],
            &places[0]["value"]
        ),
        (&json!(3), &json!("device"), &json!("sensor 2"))
    );
    assert_eq!(places[1]["column_number"], 2);
    let refused = onboard(&plant, "", BAD, 422).await;
    assert_eq!(refused["errors"], tried["errors"]);
    assert_eq!(refused["type"], "urn:bellwether:problem:invalid-value");
    assert_eq!(
        plant.read("/api/v1/devices").await["items"],
        json!([]),
        "all or nothing"
    );
    let done = onboard(&plant, "tokens=true", GOOD, 201).await;
    assert_eq!(done["tokens"].as_array().unwrap().len(), 2);
    let again = onboard(&plant, "tokens=true", GOOD, 200).await;
    assert_eq!(
        (&again["unchanged"], &again["tokens"]),
        (&json!(2), &json!([]))
    );
    plant.close().await;
}

#[tokio::test]
async fn what_came_late_is_listed_by_device() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 1.0)])])
        .await;
    for n in 0..3 {
        let late = Event::LateReadings {
            device: device("pump-1"),
            readings: 5,
            from: at(-1_000_000),
            to: at(-900_000),
            newest: at(0),
            at: at(n),
        };
        plant
            .append(JournalRecord {
                events: vec![late],
                ..JournalRecord::default()
            })
            .await;
    }
    let first = plant
        .read("/api/v1/devices/pump-1/late-readings?limit=2")
        .await;
    let items = first["items"].as_array().unwrap();
    assert_eq!(
        (&items[0]["readings"], &items[0]["at"]),
        (&json!(5), &json!("2026-03-01T08:00:02Z"))
    );
    let rest = format!(
        "/api/v1/devices/pump-1/late-readings?cursor={}",
        first["next"].as_str().unwrap()
    );
    assert_eq!(
        plant.read(&rest).await["items"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        plant.read("/api/v1/devices/pump-1").await["late_readings"],
        15
    );
    assert_eq!(
        plant.read("/api/v1/devices").await["items"][0]["late_readings"],
        15
    );
    plant.close().await;
}
