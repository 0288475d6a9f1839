//! What analytics said over a span, as the asset page draws it.

use std::collections::BTreeMap;

use serde_json::json;
use telemetry::{
    Condition, ConditionState, Finding, OperatingState, SensorFault, SensorReport, SensorState,
    SensorVerdict, SignalName,
};

use crate::plant::{Plant, asset, at, condition, device};

fn normal(secs: i64, deviation: f64) -> Condition {
    let mut normal = condition("pump-1", "unclassified", secs);
    normal.state = ConditionState::Normal;
    normal.operating = OperatingState::Running { regime: 0 };
    let evidence = normal.evidence.as_mut().unwrap();
    evidence.statistics.score = deviation.abs() / 6.0;
    evidence.contributions[0].deviation = deviation;
    normal
}

fn report(secs: i64, verdicts: Vec<SensorVerdict>) -> Finding {
    Finding::Sensor(SensorReport {
        asset: asset("pump-1"),
        device: device("pump-1"),
        at: at(secs),
        verdicts,
    })
}

fn stuck(state: SensorState, since: i64) -> SensorVerdict {
    SensorVerdict {
        signal: SignalName::new("flow_l_min").unwrap(),
        state,
        since: at(since),
        fault: Some(SensorFault::Stuck),
        confidence: 0.93,
        value: Some(20.0),
        expected: None,
        detail: BTreeMap::from([("rows".to_owned(), 40.0)]),
    }
}

#[tokio::test]
async fn a_course_begins_with_what_held_and_tells_alarms_states_and_doubted_sensors() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let store = &plant.parts.store;
    let findings = [
        Finding::Condition(normal(-600, -0.3)),
        Finding::Condition(normal(-300, 0.75)),
        report(-400, vec![stuck(SensorState::Suspect, -410)]),
        report(-200, vec![stuck(SensorState::Good, -210)]),
        report(60, vec![stuck(SensorState::Faulty, 55)]),
    ];
    store.put_findings(findings.to_vec()).await.unwrap();
    plant.alarm("pump-1", "cavitation", 10).await;

    let path = "/api/v1/assets/pump-1/course?from=2026-03-01T07:56:00Z&to=2026-03-01T08:10:00Z";
    let course = plant.read(path).await;
    assert_eq!(course["complete"], true);
    let device = &course["devices"][0];
    // The condition 30 s after -300 s held when the span began at -240 s.
    assert_eq!(
        device["at"],
        json!(["2026-03-01T07:55:30Z", "2026-03-01T08:00:40Z"])
    );
    assert_eq!(device["score"], json!([0.125, 2.0]));
    assert_eq!(
        device["alarms"],
        json!([{ "from": "2026-03-01T08:00:10Z", "to": null }])
    );
    assert_eq!(
        device["operating"],
        json!([
            { "from": "2026-03-01T07:55:30Z", "state": { "name": "running", "regime": 0 } },
            { "from": "2026-03-01T08:00:40Z", "state": { "name": "unknown" } },
        ])
    );
    let flow = &device["signals"][0];
    assert_eq!(flow["deviation"], json!([0.75, -6.5]));
    assert_eq!(
        flow["normal"],
        json!([{ "from": "2026-03-01T07:55:30Z", "low": 30.0, "high": 34.0 }])
    );
    let sensors = course["sensors"].as_array().unwrap();
    let told: Vec<_> = sensors
        .iter()
        .map(|one| (&one["since"], &one["state"], &one["to"]))
        .collect();
    assert_eq!(
        told,
        [
            (
                &json!("2026-03-01T07:53:10Z"),
                &json!("suspect"),
                &json!("2026-03-01T07:56:30Z")
            ),
            (
                &json!("2026-03-01T08:00:55Z"),
                &json!("faulty"),
                &json!(null)
            ),
        ]
    );
    plant.close().await;
}

#[tokio::test]
async fn a_span_with_more_findings_than_are_read_whole_is_looked_at_and_says_so() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let many: Vec<_> = (0..5_000)
        .map(|n| Finding::Condition(normal(-30 + n, n as f64 / 1_000.0)))
        .collect();
    plant.parts.store.put_findings(many).await.unwrap();
    let path = "/api/v1/assets/pump-1/course?from=2026-03-01T08:00:00Z&to=2026-03-01T09:23:20Z";
    let course = plant.read(path).await;
    assert_eq!(course["complete"], false);
    let device = &course["devices"][0];
    assert_eq!(
        device["at"].as_array().unwrap().len(),
        200,
        "one of each part"
    );
    let newest = device["signals"][0]["deviation"].as_array().unwrap().last();
    assert_eq!(newest, Some(&json!(4.999)));
    plant.close().await;
}

#[tokio::test]
async fn a_course_of_nothing_is_empty_and_mistakes_name_the_parameter() {
    let plant = Plant::open().await;
    plant
        .publish(&[("fan-2", 0, &[("flow_l_min", 20.0)])])
        .await;
    let course = plant.read("/api/v1/assets/fan-2/course").await;
    assert_eq!(
        course["to"], "2026-03-01T08:00:00.000001Z",
        "one past the newest reading"
    );
    assert_eq!(course["from"], "2026-02-28T08:00:00.000001Z");
    assert_eq!(
        (&course["devices"], &course["sensors"]),
        (&json!([]), &json!([]))
    );
    for (query, names) in [
        ("points=0", "points"),
        ("from=2026-03-01T08:00:00Z&to=2026-03-01T08:00:00Z", "to"),
    ] {
        let response = plant
            .get(&format!("/api/v1/assets/fan-2/course?{query}"))
            .await;
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().contains(names));
    }
    assert_eq!(
        plant.get("/api/v1/assets/nobody/course").await.status(),
        404
    );
    plant.close().await;
}
