//! Closed registration refuses strangers: their messages are acknowledged and listed, not stored.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::{Home, mqtt::Publisher};

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_registered_devices_are_stored() -> Result<()> {
    let home = Home::new()?.with("service.registration", "closed");
    let _program = home.start().await?;
    let api = home.api();
    ensure!(api.status().await?["registration"] == "closed");
    let pump = json!({
        "id": "pump-1",
        "name": "Feed pump 1",
        "model": "centrifugal-pump",
        "devices": ["pump-1"],
    });
    api.do_post("/assets", &pump).await?;

    for name in ["pump-1", "stranger"] {
        let mut device = Publisher::connected(name, home.mqtt()).await?;
        let payload = format!(r#"{{"ts":{T},"flow_l_min":700}}"#);
        device
            .publish_all(&format!("telemetry/{name}"), [(payload, ())])
            .await?;
    }
    api.caught_up(SOON).await?;

    let stored = api.readings("pump-1", "flow_l_min", (T, T + 1)).await?;
    ensure!(stored == [(T, 700.0)], "{stored:?}");
    ensure!(api.count("readings_stored").await? == 1);
    let letters = api.all("/dead-letters").await?;
    ensure!(letters.len() == 1, "{letters:?}");
    let letter = &letters[0];
    ensure!(
        letter["reason"] == "unknown_device" && letter["device"] == "stranger",
        "{letter}"
    );
    let assets = api.all("/assets").await?;
    ensure!(
        assets.len() == 1,
        "the stranger became an asset: {assets:?}"
    );
    Ok(())
}
