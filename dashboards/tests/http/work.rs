//! Cases and work orders from alarm to outcome.

use std::time::Duration;

use serde_json::json;
use telemetry::CaseId;

use crate::plant::Plant;

#[tokio::test]
async fn a_case_is_acknowledged_once() {
    let plant = Plant::open().await;
    let id = plant.alarm("pump-1", "cavitation", 10).await;
    let cases = plant.read("/api/v1/cases?status=open&asset=pump-1").await;
    let case = &cases["items"][0];
    assert_eq!(case["id"], id.as_str());
    assert_eq!(case["opened_at"], "2026-03-01T08:00:10Z");
    assert_eq!(case["evidence"]["contributions"][0]["deviation"], -6.5);
    let path = format!("/api/v1/cases/{id}");
    let done = plant
        .post(&format!("{path}/acknowledge"), json!({ "by": "Li" }), 200)
        .await;
    assert_eq!(done["status"], "acknowledged");
    let again = plant
        .post(&format!("{path}/acknowledge"), json!({ "by": "Li" }), 409)
        .await;
    assert_eq!(again["title"], "The present state forbids this");
    let detail = plant.read(&path).await;
    let kinds: Vec<_> = detail["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["kind"])
        .collect();
    assert_eq!(kinds, ["opened", "order_raised", "acknowledged"]);
    assert_eq!(detail["events"][2]["by"], "Li");
    let closed = plant.read("/api/v1/cases?status=closed").await;
    assert_eq!(closed["items"], json!([]));
    plant.close().await;
}

/// The figure is the sum of its orders.
async fn what_it_was_worth_opens_to_its_case(plant: &Plant, case: &CaseId) {
    let lines = plant.read("/api/v1/savings?by=model,month").await;
    let line = &lines["items"][0];
    assert_eq!(
        (&line["month"], &line["avoided"]["count"]),
        (&json!("2026-03"), &json!(1))
    );
    assert_eq!(line["customer"], json!(null));
    let orders = plant
        .read("/api/v1/savings/entries?month=2026-03&kind=avoided")
        .await;
    let money = orders["items"][0]["money"].as_f64().unwrap_or_default();
    assert_eq!(line["avoided"]["money"].as_f64(), Some(money));
    assert_eq!(orders["items"][0]["case"], case.as_str());
    assert_eq!(orders["items"][0]["failure_mode"], "cavitation");
    let other = plant.read("/api/v1/savings?from=2026-04&by=none").await;
    assert_eq!(other["items"], json!([]));
    for wrong in [
        "savings?by=week",
        "savings?from=2026-13",
        "savings/entries?kind=lost",
    ] {
        let refused = plant.get(&format!("/api/v1/{wrong}")).await;
        assert_eq!(refused.status().as_u16(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn an_order_goes_from_proposal_to_outcome_and_wakes_its_delivery() {
    let plant = Plant::open().await;
    let case = plant.alarm("pump-1", "cavitation", 10).await;
    let engineer = json!({ "id": "eng-1", "name": "Mia" });
    plant.post("/api/v1/engineers", engineer, 201).await;
    let orders = plant
        .read(&format!("/api/v1/work-orders?case={case}"))
        .await;
    let order = &orders["items"][0];
    assert_eq!(order["kind"], "predictive");
    assert_eq!(order["opened_at"], "2026-03-01T08:00:10Z");
    assert_eq!(order["signals"][0]["signal"], "flow_l_min");
    let path = format!("/api/v1/work-orders/{}", order["id"].as_str().unwrap());
    let by = json!({ "by": "Ann" });
    for (step, body, status, code) in [
        ("start", by.clone(), "", 409),
        ("approve", by.clone(), "approved", 200),
        (
            "schedule",
            json!({ "by": "Ann", "engineer": "nobody", "scheduled_for": "2026-03-04T08:00:00Z" }),
            "",
            404,
        ),
        (
            "schedule",
            json!({ "by": "Ann", "engineer": "eng-1", "scheduled_for": "2026-03-04T08:00:00Z" }),
            "scheduled",
            200,
        ),
        (
            "start",
            json!({ "by": "Mia", "note": "on site" }),
            "in_progress",
            200,
        ),
    ] {
        let answer = plant.post(&format!("{path}/{step}"), body, code).await;
        if code == 200 {
            assert_eq!(answer["status"], status, "{step}");
        }
    }
    let woken = plant.parts.outcomes.notified();
    let no_fault = json!({ "by": "Mia", "outcome": "no_fault_found", "part": "6309-2RS" });
    plant.post(&format!("{path}/complete"), no_fault, 422).await;
    let outcome = json!({ "by": "Mia", "outcome": "confirmed", "note": "impeller worn",
        "failure_mode": "cavitation", "part": "impeller 4711", "done_at": "2026-03-01T00:00:00Z" });
    let done = plant.post(&format!("{path}/complete"), outcome, 200).await;
    assert_eq!(
        (&done["found_mode"], &done["part"], &done["done_at"]),
        (
            &json!("cavitation"),
            &json!("impeller 4711"),
            &json!("2026-03-01T00:00:00Z")
        )
    );
    assert_eq!(done["outcome"], "confirmed");
    assert_eq!(done["engineer_name"], "Mia");
    tokio::time::timeout(Duration::from_secs(5), woken)
        .await
        .unwrap();
    plant.post(&format!("{path}/cancel"), by, 409).await;
    what_it_was_worth_opens_to_its_case(&plant, &case).await;
    let log = plant.read(&path).await["log"].clone();
    assert_eq!(log.as_array().unwrap().len(), 5, "{log}");
    assert_eq!(log[4]["to"], "completed");
    let open = plant
        .read("/api/v1/work-orders?status=proposed,approved,scheduled")
        .await;
    assert_eq!(open["items"], json!([]));
    plant.close().await;
}

#[tokio::test]
async fn a_person_writes_an_order_but_no_predictive_one() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 32.0)])])
        .await;
    let order =
        json!({ "asset": "pump-1", "kind": "inspection", "note": "look at it", "by": "Ann" });
    let order = plant.post("/api/v1/work-orders", order, 201).await;
    assert_eq!(
        (&order["status"], &order["case"]),
        (&json!("proposed"), &json!(null))
    );
    let wrong = json!({ "asset": "pump-1", "kind": "predictive", "by": "Ann" });
    let problem = plant.post("/api/v1/work-orders", wrong, 422).await;
    assert_eq!(problem["field"], "kind");
    let nowhere = json!({ "asset": "pump-9", "kind": "inspection", "by": "Ann" });
    plant.post("/api/v1/work-orders", nowhere, 404).await;
    plant.close().await;
}
