//! Do detectors still see what they learned from?

use std::sync::Arc;

use analytics::{AssetView, DeviceView, FalseAlarms, NormalRange, SignalView};
use dashboards::{DetectionDrift, DriftSources};
use serde_json::{Value, json};
use telemetry::{
    Assessment, Condition, ConditionState, Evidence, Finding, HealthIndex, OperatingState,
    SignalName,
};

use crate::plant::{Plant, asset, at, condition, device, evidence};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Learned in two days, watched until here.
const LEARNED: i64 = 2 * DAY;
const END: i64 = 20 * DAY;
/// From here on something is different.
const CHANGE: i64 = 16 * DAY;

/// Between 0 and 2, in an order without a trend.
fn noise(row: i64) -> f64 {
    (row * 7_919 % 100) as f64 / 50.0
}

/// Flow each half hour while it is learned, then each hour.
async fn flow(plant: &Plant, name: &str, value: impl Fn(i64, f64) -> f64) {
    let learning = (0..LEARNED).step_by(1_800);
    let times = learning.chain((LEARNED..=END).step_by(3_600));
    let values: Vec<(i64, [(&str, f64); 1])> = times
        .zip(0..)
        .map(|(secs, row)| (secs, [("flow_l_min", value(secs, 31.0 + noise(row)))]))
        .collect();
    let rows: Vec<_> = values
        .iter()
        .map(|(secs, values)| (name, *secs, &values[..]))
        .collect();
    plant.publish(&rows).await;
}

fn learned() -> Evidence {
    Evidence {
        baseline_from: at(0),
        baseline_to: at(LEARNED),
        ..evidence("cavitation")
    }
}

fn normal(name: &str, secs: i64) -> Condition {
    Condition {
        at: at(secs),
        state: ConditionState::Normal,
        since: at(LEARNED),
        evidence: Some(learned()),
        ..condition(name, "cavitation", secs)
    }
}

/// What analytics knows of a pump that is well.
fn watch(plant: &Plant, name: &str) {
    let health = HealthIndex::new(95.0);
    plant.parts.fleet.put_view(&AssetView {
        asset: asset(name),
        devices: vec![DeviceView {
            device: device(name),
            condition: normal(name, END),
            sensors: None,
            assessment: Some(Assessment {
                asset: asset(name),
                device: device(name),
                at: at(END),
                health,
                zone: health.zone(),
                score: 0.1,
                components: Vec::new(),
            }),
            prognosis: None,
            false_alarms: FalseAlarms {
                measured: None,
                budget_per_month: 1.0,
                limit: 1.0,
            },
            last_measured_at: at(END),
            signals: vec![SignalView {
                signal: SignalName::new("flow_l_min").unwrap(),
                last: None,
                normal: Some(NormalRange {
                    low: 30.0,
                    high: 34.0,
                }),
                is_counter: false,
                features: Vec::new(),
            }],
        }],
    });
}

/// One word an hour from the end of learning on.
async fn tell(plant: &Plant, name: &str, change: impl Fn(i64, &mut Condition)) {
    let told = (LEARNED..=END).step_by(3_600).map(|secs| {
        let mut said = normal(name, secs);
        change(secs, &mut said);
        Finding::Condition(said)
    });
    plant
        .parts
        .store
        .put_findings(told.collect())
        .await
        .unwrap();
}

async fn look(plant: &Plant) -> Vec<DetectionDrift> {
    let parts = &plant.parts;
    let sources = DriftSources {
        service: parts.service.clone(),
        store: parts.store.clone(),
        fleet: parts.fleet.clone(),
        cases: parts.cases.clone(),
        models: Arc::clone(&parts.models),
    };
    let found = sources.look().await.unwrap();
    parts.events.detection_drifts_found(found)
}

fn of<'a>(list: &'a Value, device: &str, kind: &str) -> &'a Value {
    let items = list["items"].as_array().unwrap();
    let is_it = |item: &&Value| item["device"] == device && item["what"]["kind"] == kind;
    let mut found = items.iter().filter(is_it);
    let one = found.next().unwrap_or_else(|| panic!("{list:#}"));
    assert!(found.next().is_none(), "{list:#}");
    one
}

async fn four_pumps(plant: &Plant) {
    let moved = |secs, value| if secs >= CHANGE { value + 5.0 } else { value };
    flow(plant, "pump-1", moved).await;
    flow(plant, "pump-2", |_, value| value).await;
    flow(plant, "pump-3", moved).await;
    // Stands still at night since last week: nothing flows then.
    let stands = |secs: i64| secs >= END - 7 * DAY && secs % DAY < 12 * HOUR;
    flow(
        plant,
        "pump-4",
        |secs, value| {
            if stands(secs) { 0.0 } else { value }
        },
    )
    .await;
    for name in ["pump-1", "pump-2", "pump-3", "pump-4"] {
        watch(plant, name);
    }
    tell(plant, "pump-2", |secs, said| {
        let more = if secs >= CHANGE { 2.0 } else { 0.0 };
        if let Some(evidence) = &mut said.evidence {
            evidence.views[0].score = 0.5 + noise(secs / HOUR) + more;
        }
    })
    .await;
    tell(plant, "pump-4", |secs, said| {
        said.evidence = None;
        said.operating = if stands(secs) {
            OperatingState::Off
        } else {
            OperatingState::Running { regime: 0 }
        };
    })
    .await;
    plant.alarm("pump-3", "cavitation", END).await;
}

#[tokio::test]
async fn inputs_and_scores_that_left_what_was_learned_are_listed_the_worst_first() {
    let plant = Plant::open().await;
    four_pumps(&plant).await;
    assert_eq!(plant.read("/api/v1/drifts").await["items"], json!([]));
    let news = look(&plant).await;
    let told: Vec<_> = news
        .iter()
        .map(|one| (one.device.as_str(), one.what.kind))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&("pump-1", "signal")) && told.contains(&("pump-2", "score")));
    assert!(look(&plant).await.is_empty(), "told twice");

    let list = plant.read("/api/v1/drifts").await;
    let psi = |item: &Value| item["psi"].as_f64().unwrap();
    let items = list["items"].as_array().unwrap();
    assert!(items.is_sorted_by(|a, b| psi(a) >= psi(b)), "{list:#}");
    let moved = of(&list, "pump-1", "signal");
    // Four of seven days far beyond the highest value: worked out by hand, the week that ends at
    // midnight two and a half days after the change is the first beyond 0.25.
    assert_eq!(
        (&moved["word"], &moved["since"], &moved["alarm_stands"]),
        (
            &json!("drifted"),
            &json!("2026-03-20T00:00:00Z"),
            &json!(false)
        )
    );
    assert_eq!(moved["what"]["signal"], "flow_l_min");
    assert_eq!(moved["reference"]["points"], 96);
    assert_eq!(moved["recent"]["to"], "2026-03-21T08:00:00.000001Z");
    let words = moved["words"]["en"].as_str().unwrap();
    assert!(words.contains("as the new normal"), "{words}");
    assert_eq!(of(&list, "pump-2", "signal")["word"], "stable");
    let score = of(&list, "pump-2", "score");
    assert_eq!(
        (&score["word"], &score["what"]["signal"]),
        (&json!("drifted"), &Value::Null)
    );
    // The same on a machine with a fault: shown, and no reason to accept anything.
    let faulty = of(&list, "pump-3", "signal");
    assert_eq!(
        (&faulty["word"], &faulty["alarm_stands"]),
        (&json!("drifted"), &json!(true))
    );
    let words = faulty["words"]["en"].as_str().unwrap();
    assert!(words.contains("see to the fault first"), "{words}");
    let nights = of(&list, "pump-4", "signal");
    assert_eq!(nights["word"], "stable", "{nights}");
    let points = nights["recent"]["points"].as_u64().unwrap();
    assert!((70..=90).contains(&points), "{points} of 168 hours");

    let metrics = plant.get("/metrics").await.text().await.unwrap();
    let gauge = "bellwether_detection_drifted_inputs{asset_model=\"unknown\"} 2";
    assert!(metrics.contains(gauge), "{metrics}");
    plant.close().await;
}
