//! Readings raw and in buckets, and findings.

use serde_json::{Value, json};
use telemetry::{Assessment, Finding, HealthIndex};

use crate::plant::{Plant, asset, at, device};

const DEVICE: &str = "/api/v1/readings?device=pump-1&signal=flow_l_min";

fn values(answer: &Value) -> Vec<f64> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["value"].as_f64().unwrap())
        .collect()
}

#[tokio::test]
async fn readings_come_back_as_they_were_sent() {
    let plant = Plant::open().await;
    // One a minute: 0.25, 1.25, … in the order 2, 0, 1, …, so that order is the server's doing.
    for n in [2, 0, 1, 3, 5, 4] {
        let flow = [("flow_l_min", n as f64 + 0.25)];
        plant.publish(&[("pump-1", n * 60, &flow)]).await;
    }
    let all = plant.read(DEVICE).await;
    assert_eq!(values(&all), [0.25, 1.25, 2.25, 3.25, 4.25, 5.25]);
    assert_eq!(
        (&all["unit"], &all["device"]),
        (&json!("L/min"), &json!("pump-1"))
    );
    assert_eq!(
        all["from"], "2026-02-28T08:05:00.000001Z",
        "a day before the end"
    );
    assert_eq!(
        all["to"], "2026-03-01T08:05:00.000001Z",
        "past the newest reading"
    );
    let by_asset = plant
        .read("/api/v1/readings?asset=pump-1&signal=flow_l_min")
        .await;
    assert_eq!(by_asset["items"], all["items"]);
    let part = plant
        .read(&format!(
            "{DEVICE}&from=2026-03-01T08:01:00Z&to=2026-03-01T08:03:00Z"
        ))
        .await;
    assert_eq!(values(&part), [1.25, 2.25], "from is in, to is out");
    let offset = plant
        .read(&format!("{DEVICE}&from=2026-03-01T16:04:00%2B08:00"))
        .await;
    assert_eq!(values(&offset), [4.25, 5.25]);
    let none = plant
        .read(&format!("{DEVICE}&from=2027-01-01T00:00:00Z"))
        .await;
    assert_eq!(none["items"], json!([]));
    let unsent = plant
        .read("/api/v1/readings?device=pump-1&signal=speed_rpm")
        .await;
    assert_eq!(
        (&unsent["items"], &unsent["unit"]),
        (&json!([]), &json!("rpm"))
    );
    plant.close().await;
}

#[tokio::test]
async fn buckets_keep_the_extremes() {
    let plant = Plant::open().await;
    for (secs, value) in [(0, 1.0), (1, 9.0), (2, 2.0), (60, 5.0), (119, 7.0)] {
        plant
            .publish(&[("pump-1", secs, &[("flow_l_min", value)])])
            .await;
    }
    let span = "from=2026-03-01T08:00:00Z&to=2026-03-01T08:04:00Z";
    let answer = plant.read(&format!("{DEVICE}&{span}&buckets=4")).await;
    assert_eq!(
        answer["items"],
        json!([
            { "from": "2026-03-01T08:00:00Z", "to": "2026-03-01T08:01:00Z", "count": 3,
              "min": 1.0, "max": 9.0, "mean": 4.0, "first": 1.0, "last": 2.0 },
            { "from": "2026-03-01T08:01:00Z", "to": "2026-03-01T08:02:00Z", "count": 2,
              "min": 5.0, "max": 7.0, "mean": 6.0, "first": 5.0, "last": 7.0 },
        ]),
        "two empty minutes are left out"
    );
    assert_eq!(answer["next"], json!(null));
    plant.close().await;
}

#[tokio::test]
async fn findings_are_given_as_analytics_wrote_them() {
    let plant = Plant::open().await;
    plant.alarm("pump-1", "cavitation", 10).await;
    let health = HealthIndex::new(72.5);
    let assessment = |secs| {
        Finding::Assessment(Assessment {
            asset: asset("pump-1"),
            device: device("pump-1"),
            at: at(secs),
            health,
            zone: health.zone(),
            score: 0.7,
            components: Vec::new(),
        })
    };
    let findings: Vec<Finding> = (0..5).map(assessment).collect();
    plant
        .parts
        .store
        .put_findings(findings.clone())
        .await
        .unwrap();
    let conditions = plant
        .read("/api/v1/conditions?asset=pump-1&order=desc&limit=1")
        .await;
    assert_eq!(conditions["items"][0]["state"], json!({ "name": "alarm" }));
    assert_eq!(
        conditions["items"][0]["evidence"]["statistics"]["score"],
        2.0
    );
    let path = "/api/v1/assessments?asset=pump-1&device=pump-1";
    let assessments = plant
        .read(&format!("{path}&from=2026-03-01T08:00:02Z"))
        .await;
    assert_eq!(assessments["items"].as_array().unwrap().len(), 3);
    let newest = plant.read(&format!("{path}&order=desc&limit=2")).await;
    assert_eq!(newest["items"][0]["at"], "2026-03-01T08:00:04Z");
    assert!(newest["next"].is_string());
    let prognoses = plant.read("/api/v1/prognoses?asset=pump-1").await;
    assert_eq!(prognoses["items"], json!([]));
    plant.close().await;
}
