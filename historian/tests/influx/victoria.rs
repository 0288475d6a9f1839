//! A real server that takes `/api/v2/write`: victoria-metrics, as Debian packages it.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::*;

const PROGRAM: &str = "/usr/bin/victoria-metrics";

/// A running server on a free port; it ends with the value.
struct Victoria {
    child: Child,
    address: String,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Victoria {
    async fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("passed over: {PROGRAM} is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let child = Command::new(PROGRAM)
            .arg(format!("-storageDataPath={}", folder.path().display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-memory.allowedBytes=64MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        };
        let healthy = async {
            while server.get("/health").await.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, healthy)
            .await
            .expect("the server starts");
        Some(server)
    }

    async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.address);
        let response = self.client.get(url).send().await.ok()?;
        response.error_for_status().ok()?.text().await.ok()
    }

    /// Everything stored: series by name and device, milliseconds and values.
    async fn everything(&self) -> BTreeMap<(String, String), Vec<(i64, f64)>> {
        let flushed = self.get("/internal/force_flush").await;
        assert!(flushed.is_some());
        let text = self
            .get("/api/v1/export?match[]=%7B__name__!=%22%22%7D&start=0")
            .await
            .unwrap_or_default();
        let mut all = BTreeMap::new();
        for line in text.lines() {
            let series: serde_json::Value = serde_json::from_str(line).unwrap();
            let name = |key: &str| series["metric"][key].as_str().unwrap().to_owned();
            let times = series["timestamps"].as_array().unwrap().iter();
            let values = series["values"].as_array().unwrap().iter();
            let points = times
                .zip(values)
                .map(|(at, value)| (at.as_i64().unwrap(), value.as_f64().unwrap()));
            all.insert((name("__name__"), name("device")), points.collect());
        }
        all
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_real_server_takes_what_is_written() {
    let Some(server) = Victoria::start().await else {
        return;
    };
    let plant = Plant::new().await;
    let start = 1_767_225_600;
    let mut expected: BTreeMap<(String, String), Vec<(i64, f64)>> = BTreeMap::new();
    let mut last = Offset(0);
    for second in 0..3_000 {
        // Few digits: the server keeps about fifteen.
        let value = f64::from(second) / 8.0;
        let at = start + i64::from(second);
        last = plant
            .append(&[
                (
                    "pump-1",
                    at,
                    &[("temperature_c", value), ("flow, x=1", 0.5)],
                ),
                ("pump-2", at, &[("time", -value)]),
            ])
            .await;
        for (field, device, value) in [
            ("temperature_c", "pump-1", value),
            ("flow, x=1", "pump-1", 0.5),
            ("~time", "pump-2", -value),
        ] {
            let key = (format!("reading_{field}"), device.to_owned());
            expected.entry(key).or_default().push((at * 1_000, value));
        }
    }
    let mut config = InfluxConfig::new(
        format!("http://{}", server.address),
        "plant",
        "readings",
        "",
    );
    config.flush_interval = Duration::from_millis(5);
    let writer = plant.write_to(&config);
    let status = writer.written(last).await;
    writer.stopped().await;
    assert_eq!(
        (status.points_written, status.refused),
        (9_000, 0),
        "{status:?}"
    );
    // What was taken can be queried a moment later.
    let visible = async {
        while server
            .everything()
            .await
            .values()
            .map(Vec::len)
            .sum::<usize>()
            < 9_000
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, visible)
        .await
        .expect("everything becomes visible");
    let found = server.everything().await;
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    assert!(found == expected, "times or values differ");
}
