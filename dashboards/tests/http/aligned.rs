//! Several signals on one grid, the pixel budget, and the newest values.

use serde_json::json;

use crate::plant::Plant;

async fn plant_with_two_signals() -> Plant {
    let plant = Plant::open().await;
    for (secs, values) in [
        (0, &[("flow_l_min", 1.0), ("speed_rpm", 10.0)][..]),
        (1, &[("flow_l_min", 3.0)]),
        (60, &[("speed_rpm", 20.0)]),
        (180, &[("flow_l_min", 7.0), ("speed_rpm", 30.0)]),
    ] {
        plant.publish(&[("pump-1", secs, values)]).await;
    }
    plant
}

const SPAN: &str = "from=2026-03-01T08:00:00Z&to=2026-03-01T08:04:00Z";

#[tokio::test]
async fn several_signals_stand_on_one_grid() {
    let plant = plant_with_two_signals().await;
    let base = format!("/api/v1/readings?asset=pump-1&{SPAN}&buckets=4");
    let answer = plant
        .read(&format!("{base}&signal=flow_l_min,speed_rpm"))
        .await;
    assert_eq!(
        answer["starts"],
        json!([
            "2026-03-01T08:00:00Z",
            "2026-03-01T08:01:00Z",
            "2026-03-01T08:03:00Z"
        ]),
        "the minute in which nothing was measured is left out"
    );
    let [flow, speed] = [&answer["series"][0], &answer["series"][1]];
    assert_eq!(
        (&flow["signal"], &flow["unit"]),
        (&json!("flow_l_min"), &json!("L/min"))
    );
    assert_eq!(flow["mean"], json!([2.0, null, 7.0]));
    assert_eq!(flow["count"], json!([2, 0, 1]));
    assert_eq!(speed["last"], json!([10.0, 20.0, 30.0]));
    let repeated = plant
        .read(&format!("{base}&signal=flow_l_min&signal=speed_rpm"))
        .await;
    assert_eq!(repeated, answer);
    let csv = plant
        .get(&format!("{base}&signal=flow_l_min,speed_rpm&format=csv"))
        .await;
    let csv = csv.text().await.unwrap();
    let lines: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(
        lines[..3],
        [
            "from,to,flow_l_min.min,flow_l_min.mean,flow_l_min.max,speed_rpm.min,speed_rpm.mean,speed_rpm.max",
            "2026-03-01T08:00:00Z,2026-03-01T08:01:00Z,1,2,3,10,10,10",
            "2026-03-01T08:01:00Z,2026-03-01T08:02:00Z,,,,20,20,20",
        ]
    );
    plant.close().await;
}

#[tokio::test]
async fn readings_come_as_they_are_while_they_fit_the_points_and_in_buckets_beyond() {
    let plant = plant_with_two_signals().await;
    let base = format!("/api/v1/readings?device=pump-1&signal=flow_l_min&{SPAN}");
    let few = plant.read(&format!("{base}&points=3")).await;
    assert_eq!(
        few["items"][1],
        json!({ "at": "2026-03-01T08:00:01Z", "value": 3.0 })
    );
    assert_eq!(few["items"].as_array().unwrap().len(), 3);
    let many = plant.read(&format!("{base}&points=2")).await;
    let items = many["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{many}");
    assert_eq!(
        (&items[0]["count"], &items[0]["max"]),
        (&json!(2), &json!(3.0))
    );
    plant.close().await;
}

#[tokio::test]
async fn the_newest_values_of_all_signals_are_walked_at_once() {
    let plant = plant_with_two_signals().await;
    plant
        .publish(&[("fan-2", 5, &[("speed_rpm", 900.0)])])
        .await;
    let all = plant.read("/api/v1/readings/last").await;
    assert_eq!(
        all["items"],
        json!([
            { "device": "fan-2", "signal": "speed_rpm", "unit": "rpm", "at": "2026-03-01T08:00:05Z", "value": 900.0 },
            { "device": "pump-1", "signal": "flow_l_min", "unit": "L/min", "at": "2026-03-01T08:03:00Z", "value": 7.0 },
            { "device": "pump-1", "signal": "speed_rpm", "unit": "rpm", "at": "2026-03-01T08:03:00Z", "value": 30.0 },
        ])
    );
    let first = plant.read("/api/v1/readings/last?limit=2").await;
    let rest = format!(
        "/api/v1/readings/last?cursor={}",
        first["next"].as_str().unwrap()
    );
    assert_eq!(plant.read(&rest).await["items"][0], all["items"][2]);
    let own = plant.read("/api/v1/readings/last?asset=fan-2").await;
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    plant.close().await;
}
