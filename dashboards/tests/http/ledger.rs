//! Customers, sites, engineers, models, devices, assets.

use analytics::{AssetView, DeviceView, Feature, NormalRange, SignalView};
use serde_json::json;
use telemetry::{
    Assessment, Condition, ConditionState, ForecastDetail, HealthIndex, NoPrognosis, Prognosis,
    PrognosisFamily, PrognosisOutcome, SignalName,
};

use crate::plant::{Plant, asset, at, condition, device};

#[tokio::test]
async fn customers_sites_and_engineers_are_entered_and_listed() {
    let plant = Plant::open().await;
    let customer = json!({ "id": "acme", "name": "Acme" });
    assert_eq!(
        plant.post("/api/v1/customers", customer, 201).await["name"],
        "Acme"
    );
    let site =
        json!({ "id": "north", "customer": "acme", "name": "North", "time_zone": "Asia/Shanghai" });
    let site = plant.post("/api/v1/sites", site, 201).await;
    assert_eq!(
        (&site["customer"], &site["time_zone"]),
        (&json!("acme"), &json!("Asia/Shanghai"))
    );
    let engineer = json!({ "name": "王芳", "skills": ["vibration"] });
    let engineer = plant.post("/api/v1/engineers", engineer, 201).await;
    assert_eq!(engineer["skills"], json!(["vibration"]));
    for (path, id) in [
        ("/api/v1/customers", &json!("acme")),
        ("/api/v1/sites", &json!("north")),
        ("/api/v1/engineers", &engineer["id"]),
    ] {
        let list = plant.read(path).await;
        let items = list["items"].as_array().unwrap();
        assert!(items.iter().any(|item| item["id"] == *id), "{list}");
    }
    let models = plant.read("/api/v1/models").await;
    assert_eq!(models["items"][0]["name"]["zh"], "离心泵");
    assert_eq!(models["items"][0]["signals"][0]["unit"], "L/min");
    plant.close().await;
}

#[tokio::test]
async fn a_discovered_asset_is_described_by_a_person() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 32.0)])])
        .await;
    let found = plant.read("/api/v1/assets/pump-1").await;
    assert_eq!(found["discovered"], true);
    assert_eq!(found["model"], "unknown");
    assert_eq!(
        found["state"], "learning",
        "readings are there, no verdict yet"
    );
    assert_eq!(found["signals"][0]["last"]["value"], 32.0);
    assert_eq!(
        found["signals"][0]["unit"], "L/min",
        "by the ending of its name"
    );
    assert_eq!(found["last_measured_at"], "2026-03-01T08:00:00Z");
    let change = json!({ "name": "Feed pump", "model": "centrifugal-pump" });
    let changed = plant.patch("/api/v1/assets/pump-1", change, 200).await;
    assert_eq!(changed["discovered"], false);
    assert_eq!(changed["model_name"]["zh"], "离心泵");
    assert_eq!(changed["signals"][0]["label"]["zh"], "流量");
    let new = json!({ "id": "pump-2", "devices": ["dev-2"] });
    let new = plant.post("/api/v1/assets", new, 201).await;
    assert_eq!(new["state"], "no_data");
    assert_eq!(new["devices"], json!([{ "id": "dev-2", "online": null }]));
    let devices = plant.read("/api/v1/devices").await;
    let ids: Vec<_> = devices["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["id"])
        .collect();
    assert_eq!(ids, [&json!("dev-2"), &json!("pump-1")]);
    let devices = plant.read("/api/v1/devices?asset=pump-1").await;
    assert_eq!(devices["items"][0]["asset_name"], "Feed pump");
    assert_eq!(devices["items"][0]["reading_count"], 1);
    let signals = plant.read("/api/v1/signals?asset=pump-1").await;
    assert_eq!(signals["items"][0]["count"], 1);
    assert_eq!(signals["items"].as_array().unwrap().len(), 1);
    plant.close().await;
}

#[tokio::test]
async fn an_asset_shows_what_analytics_cases_and_orders_say() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let model = json!({ "model": "centrifugal-pump" });
    plant.patch("/api/v1/assets/pump-1", model, 200).await;
    let case = plant.alarm("pump-1", "cavitation", 10).await;
    plant.parts.fleet.put_view(&view("pump-1"));
    plant
        .parts
        .fleet
        .received(&asset("pump-1"), &device("pump-1"), at(41));
    plant
        .parts
        .fleet
        .device_online(&asset("pump-1"), &device("pump-1"), true);
    let found = plant.read("/api/v1/assets/pump-1").await;
    assert_eq!(found["state"], "warning");
    assert_eq!(
        found["health"],
        json!({ "index": 45.0, "zone": "warning", "at": "2026-03-01T08:00:40Z" })
    );
    assert_eq!(found["learning"], json!(null));
    assert_eq!(found["condition"]["state"], "alarm");
    assert_eq!(found["condition"]["since"], "2026-03-01T08:00:10Z");
    assert_eq!(found["condition"]["failure_mode_name"]["en"], "Cavitation");
    assert_eq!(
        found["prognosis"]["p50"], "2026-03-01T10:00:40Z",
        "two hours after the row"
    );
    assert_eq!(found["open_cases"][0]["id"], case.as_str());
    assert_eq!(found["next_order"]["status"], "proposed");
    assert_eq!(
        found["devices"],
        json!([{ "id": "pump-1", "online": true }])
    );
    assert_eq!(found["last_received_at"], "2026-03-01T08:00:41Z");
    assert_eq!(
        found["signals"][0]["normal"],
        json!({ "low": 30.0, "high": 34.0 })
    );
    assert_eq!(
        found["evidence"]["contributions"][0]["signal"],
        "flow_l_min"
    );
    let list = plant
        .read("/api/v1/assets?state=warning&q=PUMP&site=")
        .await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    for empty in ["state=healthy", "q=compressor", "site=elsewhere"] {
        let list = plant.read(&format!("/api/v1/assets?{empty}")).await;
        assert_eq!(list["items"], json!([]), "{empty}");
    }
    plant.close().await;
}

#[tokio::test]
async fn a_learning_asset_shows_its_progress_and_why_there_is_no_forecast() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let mut learning = view("pump-1");
    learning.devices[0].condition.state = ConditionState::Learning {
        rows: 7,
        needed: 400,
    };
    learning.devices[0].condition.evidence = None;
    learning.devices[0].assessment = None;
    learning.devices[0].prognosis = Some(PrognosisOutcome::None(NoPrognosis {
        asset: asset("pump-1"),
        device: device("pump-1"),
        at: at(40),
        reason: "too_little_history".to_owned(),
    }));
    plant.parts.fleet.put_view(&learning);
    let found = plant.read("/api/v1/assets/pump-1").await;
    assert_eq!(found["state"], "learning");
    assert_eq!(found["learning"], json!({ "rows": 7, "needed": 400 }));
    assert_eq!(
        found["prognosis"],
        json!({ "reason": "too_little_history" })
    );
    plant.close().await;
}

#[tokio::test]
async fn features_are_named_after_their_signal_and_have_units() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let none = plant.read("/api/v1/assets/pump-1/features").await;
    assert_eq!(none["items"], json!([]), "nothing was said yet");
    let mut shown = view("pump-1");
    let mut wave = shown.devices[0].clone();
    wave.device = device("pump-1.waveform");
    wave.signals[0].signal = SignalName::new("waveform.x.velocity_rms_mm_s").unwrap();
    wave.signals[0].features.truncate(1);
    shown.devices.push(wave);
    plant.parts.fleet.put_view(&shown);
    let page = plant.read("/api/v1/assets/pump-1/features").await;
    let items = page["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|one| (&one["name"], &one["unit"], &one["value"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("flow_l_min.mean"), &json!("L/min"), &json!(21.5)),
            (&json!("flow_l_min.slope"), &json!("L/min/s"), &json!(-0.25)),
            (
                &json!("waveform.x.velocity_rms_mm_s"),
                &json!("mm/s"),
                &json!(20.0)
            ),
            (
                &json!("waveform.x.velocity_rms_mm_s.mean"),
                &json!("mm/s"),
                &json!(21.5)
            ),
        ]
    );
    let one = plant
        .read("/api/v1/assets/pump-1/features?signal=flow_l_min&limit=1")
        .await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert!(one["next"].is_string());
    assert_eq!(
        plant
            .get("/api/v1/assets/nobody/features")
            .await
            .status()
            .as_u16(),
        404
    );
    plant.close().await;
}

#[tokio::test]
async fn snapshots_speak_for_the_asset_once_they_are_learned() {
    let plant = Plant::open().await;
    plant
        .publish(&[("pump-1", 0, &[("flow_l_min", 20.0)])])
        .await;
    let mut shown = view("pump-1");
    let mut wave = shown.devices[0].clone();
    wave.device = device("pump-1.waveform");
    let own = &mut shown.devices[0];
    own.condition.state = ConditionState::Normal;
    own.assessment = None;
    for (state, expected) in [
        (
            ConditionState::Learning {
                rows: 3,
                needed: 100,
            },
            "healthy",
        ),
        (ConditionState::Alarm, "warning"),
    ] {
        wave.condition.state = state;
        shown.devices.truncate(1);
        shown.devices.push(wave.clone());
        plant.parts.fleet.put_view(&shown);
        let found = plant.read("/api/v1/assets/pump-1").await;
        assert_eq!(found["state"], expected);
        assert_eq!(found["devices"].as_array().unwrap().len(), 1);
    }
    plant.close().await;
}

fn view(name: &str) -> AssetView {
    let condition: Condition = condition(name, "cavitation", 10);
    let health = HealthIndex::new(45.0);
    AssetView {
        asset: asset(name),
        devices: vec![DeviceView {
            device: device(name),
            sensors: None,
            assessment: Some(Assessment {
                asset: asset(name),
                device: device(name),
                at: condition.at,
                health,
                zone: health.zone(),
                score: 2.0,
                components: Vec::new(),
            }),
            prognosis: Some(PrognosisOutcome::Forecast(Prognosis {
                asset: asset(name),
                device: device(name),
                at: condition.at,
                model: "theil-sen/1".to_owned(),
                family: PrognosisFamily::Trend,
                limit: Some(30.0),
                rul_p10_s: 3_600.0,
                rul_p50_s: 7_200.0,
                rul_p90_s: 14_400.0,
                loss_per_day: Some(180.0),
                window_from: at(-3_600),
                p_value: Some(0.001),
                detail: ForecastDetail::default(),
            })),
            false_alarms: analytics::FalseAlarms {
                measured: None,
                budget_per_month: 1.0,
                limit: 1.0,
            },
            last_measured_at: condition.at,
            signals: vec![SignalView {
                signal: SignalName::new("flow_l_min").unwrap(),
                last: Some((at(0), 20.0)),
                normal: Some(NormalRange {
                    low: 30.0,
                    high: 34.0,
                }),
                is_counter: false,
                features: vec![(Feature::Mean, 21.5), (Feature::Slope, -0.25)],
            }],
            condition,
        }],
    }
}
