//! Any client speaks to the listener: the tools people have at hand, at every quality of
//! service and in both versions of the protocol.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use tests::{
    Api, Home, pass_over,
    tools::{find, repository, succeed},
    until,
};
use tokio::process::Command;

const SOON: Duration = Duration::from_mins(1);

/// 2024-03-05T06:00:00Z.
const T: i64 = 1_709_618_400_000;

/// Waits until exactly the readings of quality 0, 1 and 2 are stored: time `T + qos`, value `qos`.
async fn all_three_arrive(api: &Api, device: &str) -> Result<()> {
    let expected: Vec<(i64, f64)> = (0..3).map(|qos| (T + qos, qos as f64)).collect();
    until(format!("three readings of {device}"), SOON, async || {
        let stored = api.readings(device, "value", (T, T + 1_000)).await?;
        ensure!(stored == expected, "stored: {stored:?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_pub_in_both_versions_and_every_quality() -> Result<()> {
    let Some(publish) = find("mosquitto_pub") else {
        return pass_over(
            "mosquitto_pub_in_both_versions_and_every_quality",
            "no mosquitto_pub",
        );
    };
    let home = Home::new()?;
    let _program = home.start().await?;
    for version in ["311", "5"] {
        let device = format!("mosquitto-{version}");
        for qos in 0..3 {
            let mut command = Command::new(&publish);
            command
                .args(["-h", "127.0.0.1", "-p", &home.mqtt().port().to_string()])
                .args(["-V", version, "-q", &qos.to_string(), "-i", &device])
                .args(["-t", &format!("telemetry/{device}")])
                .args(["-m", &format!(r#"{{"ts":{},"value":{qos}}}"#, T + qos)]);
            succeed(&mut command, SOON).await?;
        }
        all_three_arrive(&home.api(), &device).await?;
    }
    Ok(())
}

/// A Python that has paho-mqtt: named by `BELLWETHER_TESTS_PYTHON`, made by `tests/run`, or the
/// one on the path.
async fn python_with_paho() -> Option<PathBuf> {
    let made = repository().join("target/tools/python/bin/python3");
    let named = env::var_os("BELLWETHER_TESTS_PYTHON").map(PathBuf::from);
    for python in [named, Some(made), find("python3")].into_iter().flatten() {
        let mut probe = Command::new(&python);
        probe.args(["-c", "from paho.mqtt.enums import CallbackAPIVersion"]);
        if succeed(&mut probe, SOON).await.is_ok() {
            return Some(python);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paho_for_python_in_both_versions_and_every_quality() -> Result<()> {
    let Some(python) = python_with_paho().await else {
        return pass_over(
            "paho_for_python_in_both_versions_and_every_quality",
            "no Python with paho-mqtt 2 (pip install paho-mqtt)",
        );
    };
    let home = Home::new()?;
    let _program = home.start().await?;
    for version in ["311", "5"] {
        let device = format!("paho-{version}");
        let mut command = Command::new(&python);
        command
            .arg(repository().join("tests/stories/paho_device.py"))
            .args([
                "127.0.0.1",
                &home.mqtt().port().to_string(),
                version,
                &device,
            ])
            .arg(T.to_string());
        succeed(&mut command, SOON).await?;
        all_three_arrive(&home.api(), &device).await?;
    }
    Ok(())
}
