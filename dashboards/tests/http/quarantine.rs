//! Dead letters: looked at whole, taken again after a fix.

use serde_json::{Value, json};
use service::{Access, Registration};
use telemetry::DeadLetterReason;

use crate::plant::Plant;

async fn submit(plant: &Plant, query: &str, body: &'static [u8]) -> u16 {
    let path = format!("/api/v1/readings?{query}");
    let request = plant.request(reqwest::Method::POST, &path).body(body);
    request.send().await.unwrap().status().as_u16()
}

fn ids(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|one| one["id"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_letter_is_shown_whole_and_its_bytes_can_be_fetched() {
    let plant = Plant::open().await;
    let long = vec![b'x'; 100_000];
    plant
        .refuse(DeadLetterReason::MalformedPayload, &long)
        .await;
    plant
        .refuse(DeadLetterReason::InvalidValue, &[0xff, 0x00])
        .await;
    let list = plant.read("/api/v1/dead-letters").await;
    let [binary, text] = ids(&list)[..] else {
        panic!("{list}");
    };
    assert_eq!(list["items"][1]["payload"].as_str().unwrap().len(), 4_096);
    let whole = plant.read(&format!("/api/v1/dead-letters/{text}")).await;
    assert_eq!(whole["payload"].as_str().unwrap().len(), 100_000);
    assert_eq!(whole["whole"], true);
    let raw = plant
        .get(&format!("/api/v1/dead-letters/{binary}/payload"))
        .await;
    assert_eq!(raw.headers()["content-type"], "application/octet-stream");
    assert_eq!(raw.bytes().await.unwrap()[..], [0xff, 0x00]);
    plant.close().await;
}

#[tokio::test]
async fn a_message_of_an_unknown_device_is_taken_again_once_it_is_registered() {
    let plant = Plant::with(Registration::Closed, Access::Open).await;
    let body = br#"{"ts": 1772351990000, "flow_l_min": 31.5}"#;
    assert_eq!(submit(&plant, "device=pump-1", body).await, 422);
    assert_eq!(submit(&plant, "device=pump-1", b"{\"flow").await, 422);
    let open = plant.read("/api/v1/dead-letters?state=open").await;
    let ids = ids(&open);
    assert_eq!(ids.len(), 2);
    let replay = "/api/v1/dead-letters/replay";
    let too_early = plant
        .post(replay, json!({ "reason": "unknown_device" }), 200)
        .await;
    assert_eq!(too_early["replayed"], 0);
    assert_eq!(
        too_early["still_refused"].as_array().unwrap().len(),
        2,
        "{too_early}"
    );

    plant
        .post("/api/v1/devices", json!({ "device": "pump-1" }), 201)
        .await;
    let done = plant
        .post(replay, json!({ "ids": [ids[0], ids[1], 999] }), 200)
        .await;
    assert_eq!(
        (&done["replayed"], &done["readings"]),
        (&json!(2), &json!(1)),
        "{done}"
    );
    assert_eq!(done["missing"], json!([999]));
    plant.stored().await;
    let last = plant.read("/api/v1/readings/last?device=pump-1").await;
    assert_eq!(
        last["items"][0]["at"], "2026-03-01T07:59:50Z",
        "its own time counts"
    );
    let replayed = plant.read("/api/v1/dead-letters?state=replayed").await;
    assert_eq!(replayed["items"][0]["replayed_at"], "2026-03-01T08:00:00Z");
    assert_eq!(
        plant.read("/api/v1/dead-letters?state=open").await["items"],
        json!([])
    );
    let summary = plant.read("/api/v1/dead-letters/summary").await;
    assert_eq!(
        (&summary["open"], &summary["total"]),
        (&json!(0), &json!(2)),
        "{summary}"
    );
    // Doing it again stores nothing twice.
    plant.post(replay, json!({ "ids": ids }), 200).await;
    plant.stored().await;
    assert_eq!(plant.read("/api/v1/status").await["readings_stored"], 1);
    plant.close().await;
}

#[tokio::test]
async fn what_is_still_wrong_stays_open_and_says_why() {
    let plant = Plant::open().await;
    plant
        .post(
            "/api/v1/devices",
            json!({ "device": "pump-1", "model": "centrifugal-pump" }),
            201,
        )
        .await;
    // The model allows 0 to 1000 L/min.
    let body = br#"{"ts": 1772351990000, "flow_l_min": 4000}"#;
    assert_eq!(submit(&plant, "device=pump-1", body).await, 422);
    let replay = "/api/v1/dead-letters/replay";
    let request = json!({ "reason": "out_of_range", "device": "pump-1" });
    let refused = plant.post(replay, request.clone(), 200).await;
    let still = &refused["still_refused"][0];
    assert_eq!(still["reason"], "out_of_range");
    assert!(
        still["detail"].as_str().unwrap().contains("flow_l_min"),
        "{still}"
    );
    // The fix: this machine really moves that much.
    let wider = json!({ "device": "pump-1",
        "signals": [{ "name": "flow_l_min", "limits": { "max": 5000.0 } }] });
    plant.post("/api/v1/devices", wider, 200).await;
    let done = plant.post(replay, request, 200).await;
    assert_eq!(
        (&done["replayed"], &done["readings"]),
        (&json!(1), &json!(1)),
        "{done}"
    );
    plant.close().await;
}
