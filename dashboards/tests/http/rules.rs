//! Rules over HTTP: checked, put in force, kept in every version; and what alerts are worth.

use std::time::Duration;

use alerting::scoreboard::{
    Recalibrations,
    recalibrate::{Decision, Lever, Rise},
};
use serde_json::{Value, json};
use telemetry::{AlertSource, AssetModelId, Explanation, FailureMode};

use crate::plant::{Plant, at};

/// What the contract promises of rules, beside the list in `contract`.
pub(crate) const ROUTES: [(&str, &str); 15] = [
    ("get", "/api/v1/rule-reports"),
    ("get", "/api/v1/rules"),
    ("get", "/api/v1/rules/{id}"),
    ("put", "/api/v1/rules/{id}"),
    ("post", "/api/v1/rules/{id}/retire"),
    ("get", "/api/v1/rules/text"),
    ("put", "/api/v1/rules/text"),
    ("post", "/api/v1/rules/validate"),
    ("get", "/api/v1/rules/versions"),
    ("get", "/api/v1/rules/versions/{version}"),
    ("post", "/api/v1/rules/versions/{version}/restore"),
    ("get", "/api/v1/recalibrations"),
    ("post", "/api/v1/recalibrations/{id}/revert"),
    ("get", "/api/v1/scoreboard"),
    ("get", "/api/v1/drifts"),
];

fn rule(above: f64) -> String {
    format!(
        "[[rule]]\nid = \"hot\"\nname_en = \"Hot\"\nname_zh = \"热\"\nkind = \"threshold\"\n\
         signal = \"temperature_c\"\nabove = {above}\n"
    )
}

fn by_li(text: &str) -> Value {
    json!({ "text": text, "by": "Li", "reason": "because" })
}

async fn a_fault_is_told_with_its_place(plant: &Plant) {
    let wrong = json!({ "text": rule(1.0).replace("above", "abve") });
    let found = plant
        .post("/api/v1/rules/validate", wrong.clone(), 200)
        .await;
    assert_eq!(
        (&found["ok"], &found["errors"][0]["line"]),
        (&json!(false), &json!(7))
    );
    let put = "/api/v1/rules/text";
    let refused = plant
        .put(put, by_li(wrong["text"].as_str().unwrap()), 422)
        .await;
    assert_eq!(
        (&refused["line"], &refused["column"]),
        (&json!(7), &json!(1))
    );
}

#[tokio::test]
async fn a_rule_is_checked_put_in_force_changed_and_had_back() {
    let plant = Plant::open().await;
    a_fault_is_told_with_its_place(&plant).await;
    let put = "/api/v1/rules/text";
    let made = plant.put(put, by_li(&rule(80.0)), 200).await;
    assert_eq!(
        made,
        json!({ "version": 1, "changes": {"added": ["hot"], "changed": [], "removed": []} })
    );
    plant
        .put("/api/v1/rules/hot", by_li(&rule(90.0)), 200)
        .await;
    plant
        .put("/api/v1/rules/cold", by_li(&rule(90.0)), 422)
        .await;
    let list = plant.read("/api/v1/rules").await;
    let first = &list["items"][0];
    assert_eq!(
        (&list["version"], &first["version"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(first["rule"]["condition"]["level"]["on"], 90.0);
    let retired = plant
        .post("/api/v1/rules/hot/retire", json!({ "by": "Li" }), 200)
        .await;
    assert_eq!(retired["changes"]["removed"], json!(["hot"]));
    plant
        .post(
            "/api/v1/rules/versions/1/restore",
            json!({ "by": "Li" }),
            200,
        )
        .await;
    plant
        .post(
            "/api/v1/rules/versions/9/restore",
            json!({ "by": "Li" }),
            404,
        )
        .await;
    assert_eq!(
        plant.read(put).await,
        json!({ "version": 4, "text": rule(80.0) })
    );
    assert_eq!(
        plant.read("/api/v1/rules/versions/2").await["text"],
        rule(90.0)
    );
    let versions = plant.read("/api/v1/rules/versions").await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 4);
    let detail = plant.read("/api/v1/rules/hot").await;
    let texts: Vec<bool> = detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].is_null())
        .collect();
    assert_eq!(texts, [false, true, false, false]);
    plant.close().await;
}

#[tokio::test]
async fn a_move_is_explained_and_taken_back_once_and_others_stay() {
    let plant = Plant::open().await;
    let moves = Recalibrations::of(&plant.parts.cases);
    let mode = FailureMode::new("imbalance").unwrap();
    for (at_s, lever, from, to) in [
        (1, Lever::Limit, 1.0, 1.15),
        (
            2,
            Lever::Patience {
                failure_mode: mode.clone(),
                rise: Rise::Abrupt,
            },
            0.0,
            2.5,
        ),
    ] {
        let decision = Decision {
            source: AlertSource::Model,
            asset_model: AssetModelId::new("centrifugal-pump").unwrap(),
            lever,
            from,
            to,
            because: Explanation {
                en: "rarer".to_owned(),
                zh: "更少".to_owned(),
            },
        };
        let noted = moves.note(&decision, "recalibration", at(at_s), None);
        noted.await.unwrap();
    }
    let list = plant.read("/api/v1/recalibrations").await;
    let (wait, limit) = (&list["items"][0], &list["items"][1]);
    assert_eq!(
        (&wait["lever"], &wait["failure_mode"], &wait["to"]),
        (&json!("abrupt_patience"), &json!("imbalance"), &json!(2.5))
    );
    assert_eq!(
        (&limit["lever"], &limit["failure_mode"], &limit["to"]),
        (&json!("limit"), &Value::Null, &json!(1.15))
    );
    assert_eq!(limit["because"]["zh"], "更少");
    // The newest of its own lever, though another was moved after it.
    let path = format!("/api/v1/recalibrations/{}/revert", limit["id"]);
    let back = plant.post(&path, json!({ "by": "Li" }), 200).await;
    assert_eq!(
        (&back["value"], &back["source"]["kind"]),
        (&json!(1.0), &json!("model"))
    );
    plant.post(&path, json!({ "by": "Li" }), 409).await;
    let list = plant.read("/api/v1/recalibrations").await;
    let reverted: Vec<&Value> = (0..3).map(|at| &list["items"][at]["reverted"]).collect();
    assert_eq!(reverted, [false, false, true]);
    assert_eq!(list["items"][0]["reverts"], list["items"][2]["id"]);
    plant.close().await;
}

#[tokio::test]
async fn the_scoreboard_has_a_line_for_each_source_and_kind_of_machine() {
    let plant = Plant::open().await;
    plant.alarm("pump-1", "bearing-wear", 0).await;
    plant.clock.advance(Duration::from_hours(1));
    let lines = plant.read("/api/v1/scoreboard?days=3660").await;
    let lines = lines["items"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines.iter().all(|line| line["source"]["kind"] == "model"),
        "{lines:?}"
    );
    let whole = plant.read("/api/v1/scoreboard?by=none&days=3660").await;
    assert_eq!(whole["items"].as_array().unwrap().len(), 1);
    assert_eq!(whole["items"][0]["precision"], Value::Null);
    plant.read("/api/v1/rule-reports").await;
    for bad in ["by=colour", "days=0"] {
        let answer = plant.get(&format!("/api/v1/scoreboard?{bad}")).await;
        assert_eq!(answer.status().as_u16(), 400, "{bad}");
    }
    plant.close().await;
}
