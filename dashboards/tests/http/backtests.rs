//! Back-tests: asked for, stopped, and with a result.

use alerting::backtest::{Alert, Comparison, HORIZON, OnRecord, Prices, Record, Side, judge};
use serde_json::json;
use telemetry::{AssetId, CaseId, FailureMode, RuleId, Timestamp};

use crate::plant::Plant;

fn side() -> Side {
    let asset = AssetId::new("pump-1").unwrap();
    let alert = |day: i64| Alert {
        case: CaseId::new(&format!("C-{day}")).unwrap(),
        asset: asset.clone(),
        failure_mode: FailureMode::new("cavitation").unwrap(),
        signal: None,
        rule: RuleId::new("starved").ok(),
        opened_at: Timestamp::from_secs(day * 86_400),
        order: true,
    };
    let record = Record {
        asset: asset.clone(),
        failure_mode: None,
        at: Timestamp::from_secs(8 * 86_400),
        found: OnRecord::Failed,
    };
    let span = (Timestamp::EPOCH, Timestamp::from_secs(100 * 86_400));
    let prices = |_: &AssetId| {
        Some(Prices {
            planned: 1.0,
            failure: 5.0,
            inspection: 0.3,
        })
    };
    judge(vec![alert(3), alert(40)], &[record], span, HORIZON, prices)
}

#[tokio::test]
async fn a_back_test_waits_runs_and_has_both_sides() {
    let plant = Plant::open().await;
    let asked = json!({ "rules": "# none", "by": "Ann",
        "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z" });
    let queued = plant.post("/api/v1/backtests", asked.clone(), 202).await;
    assert_eq!(
        (&queued["state"], &queued["rules"]),
        (&json!("queued"), &json!("# none"))
    );
    let path = format!("/api/v1/backtests/{}", queued["id"]);
    let service = &plant.parts.service;
    let taken = service.take_backtest().await.unwrap().unwrap();
    service.backtest_progress(taken.id, 0.25, 77).await.unwrap();
    let running = plant.read(&path).await;
    assert_eq!(
        (
            &running["state"],
            &running["progress"],
            &running["readings"]
        ),
        (&json!("running"), &json!(0.25), &json!(77))
    );
    let result = Comparison {
        proposed: side(),
        in_force: Side::default(),
        currency: "EUR".to_owned(),
        readings: 1_234,
        seconds: 0.5,
    };
    let result = serde_json::to_string(&result).unwrap();
    service.end_backtest(taken.id, Ok(result)).await.unwrap();
    let done = plant.read(&path).await;
    let proposed = &done["result"]["proposed"];
    assert_eq!(
        (&proposed["confirmed"], &proposed["false_alarms"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(proposed["items"][0]["lead_time_s"], 432_000.0);
    assert_eq!(done["result"]["in_force"]["precision"], json!(null));
    plant.post(&format!("{path}/cancel"), json!({}), 409).await;

    let other = plant.post("/api/v1/backtests", asked, 202).await;
    let path = format!("/api/v1/backtests/{}/cancel", other["id"]);
    let stopped = plant.post(&path, json!({}), 200).await;
    assert_eq!(stopped["state"], "cancelled");
    let all = plant.read("/api/v1/backtests").await;
    let states: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["state"])
        .collect();
    assert_eq!(states, ["cancelled", "done"]);
    let backwards = json!({ "rules": "", "by": "Ann",
        "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    plant.post("/api/v1/backtests", backwards, 422).await;
    plant
        .post("/api/v1/backtests/99/cancel", json!({}), 404)
        .await;
    plant.close().await;
}
