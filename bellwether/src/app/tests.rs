use std::{path::Path, sync::Arc, time::Duration};

use rumqttc::QoS;
use telemetry::DeviceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config::Override,
    publisher::{Acknowledged, Connection, Message, Publisher},
};

fn config(dir: &Path) -> Config {
    let set = |key: &str, text: &str| Override {
        flag: "--set".to_owned(),
        key: key.to_owned(),
        text: text.to_owned(),
    };
    let overrides = [
        set("data_dir", &dir.to_string_lossy()),
        set("ingest.listener.bind", "127.0.0.1:0"),
        set("http.bind", "127.0.0.1:0"),
        set("analytics.learning_rows", "100"),
    ];
    Config::load(None, [], &overrides).unwrap()
}

struct Running {
    parts: Parts,
    mqtt: std::net::SocketAddr,
    http: std::net::SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

async fn start(dir: &Path) -> Running {
    let app = App::open(config(dir), false).await.unwrap();
    let stop = CancellationToken::new();
    Running {
        parts: app.parts().clone(),
        mqtt: app.mqtt_address().unwrap(),
        http: app.http_address().unwrap(),
        stop: stop.clone(),
        task: tokio::spawn(app.run(stop)),
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Publishes rows `from..to` of a machine that runs hot in a wave, from row 200 on too hot.
    async fn publish(&self, from: i64, to: i64, qos: QoS) -> u64 {
        let acknowledged = Arc::new(Acknowledged::default());
        let connection = Connection {
            url: format!("mqtt://{}", self.mqtt).parse().unwrap(),
            client_id: "oven-1".to_owned(),
            qos,
            window: 20,
        };
        let (_abandon, abandoned) = watch::channel(false);
        let publisher = Publisher::start(connection, Arc::clone(&acknowledged), abandoned);
        for row in from..to {
            let wave = (row as f64 * 0.7).sin() + 0.3 * (row as f64 * 2.3).cos();
            // Both signals leave their normal: one alone would be a doubtful sensor.
            let fault = (row as f64 - 200.0).clamp(0.0, 40.0);
            let payload = format!(
                "{{\"ts\":{},\"shell_temperature_c\":{:.3},\"load_pct\":{:.3}}}",
                1_700_000_000_000 + row * 60_000,
                80.0 + wave + fault,
                50.0 + 5.0 * (wave + fault)
            );
            let topic = "telemetry/oven-1".into();
            publisher
                .send(Message {
                    topic,
                    payload,
                    readings: 2,
                })
                .await
                .unwrap();
        }
        publisher.finish().await.unwrap();
        acknowledged.readings()
    }

    /// Publishes these payloads of one device, one after the other.
    async fn send(&self, device: &str, payloads: &[String]) {
        let acknowledged = Arc::new(Acknowledged::default());
        let connection = Connection {
            url: format!("mqtt://{}", self.mqtt).parse().unwrap(),
            client_id: device.to_owned(),
            qos: QoS::AtLeastOnce,
            window: 1,
        };
        let (_abandon, abandoned) = watch::channel(false);
        let publisher = Publisher::start(connection, acknowledged, abandoned);
        for payload in payloads {
            let message = Message {
                topic: format!("telemetry/{device}").into(),
                payload: payload.clone(),
                readings: 1,
            };
            publisher.send(message).await.unwrap();
        }
        publisher.finish().await.unwrap();
    }

    /// Waits until historian and analytics have applied what is committed.
    async fn settle(&self) {
        let goal = *self.parts.journal.committed().borrow();
        let settled = async {
            self.parts
                .analysed
                .clone()
                .wait_for(|at| *at >= goal)
                .await
                .unwrap();
            while self.parts.store.applied() < goal {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while self.parts.cases.undecided().await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), settled)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_over_mqtt_becomes_a_work_order_and_a_restart_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    assert_eq!(running.publish(0, 150, QoS::AtLeastOnce).await, 300);
    assert_eq!(running.publish(150, 300, QoS::ExactlyOnce).await, 300);
    running.settle().await;
    assert_eq!(running.parts.store.reading_count(), 600);
    let device = DeviceId::new("oven-1").unwrap();
    assert_eq!(running.parts.store.series(Some(&device)).len(), 2);
    let url = format!("http://{}/api/v1/work-orders", running.http);
    let orders: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let orders = orders["items"].as_array().unwrap().clone();
    assert!(
        !orders.is_empty() && orders.iter().all(|order| order["asset"] == "oven-1"),
        "{orders:?}"
    );
    let cases = running.parts.cases.counts().await.unwrap().total();
    running.stop().await;

    // The same rows again, as a device does that missed the acknowledgement.
    let running = start(dir.path()).await;
    assert_eq!(running.publish(250, 300, QoS::AtLeastOnce).await, 100);
    running.settle().await;
    assert_eq!(running.parts.store.reading_count(), 600);
    assert_eq!(running.parts.cases.counts().await.unwrap().total(), cases);
    let after = running
        .parts
        .service
        .work_order_counts()
        .await
        .unwrap()
        .total();
    assert_eq!(after, orders.len() as u64);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_or_folder_is_said_with_the_key_to_change() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = start(one.path()).await;
    let error = |result: Result<App>| format!("{:#}", result.err().unwrap());

    let message = error(App::open(config(one.path()), false).await);
    assert!(
        message.contains(&*one.path().to_string_lossy()) && message.contains("data_dir"),
        "{message}"
    );

    let mut same_mqtt = config(two.path());
    same_mqtt.ingest.listener.as_mut().unwrap().bind = running.mqtt;
    let message = error(App::open(same_mqtt, false).await);
    assert!(
        message.contains(&running.mqtt.to_string()) && message.contains("ingest.listener.bind"),
        "{message}"
    );

    let mut same_http = config(two.path());
    same_http.http.bind = running.http;
    let message = error(App::open(same_http, false).await);
    assert!(
        message.contains(&running.http.to_string()) && message.contains("http.bind"),
        "{message}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_is_checked_at_the_edge_and_a_restart_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let csv = "device,model,signals\n\
               c-1,screw-compressor,oil_temperature_c=°F;t2->bearing_temperature_c[0..150]\n";
    let options = service::OnboardOptions::default();
    let report = running.parts.service.onboard(csv.as_bytes(), options);
    let report = report.await.unwrap();
    assert!(report.applied, "{report:?}");
    let row = |secs: i64, oil: f64, bearing: f64| {
        let ts = 1_700_000_000_000 + secs * 1_000;
        format!("{{\"ts\":{ts},\"oil_temperature_c\":{oil},\"t2\":{bearing}}}")
    };
    // 140 °F is 60 °C. The second bearing temperature is beyond what the device declares.
    running
        .send("c-1", &[row(0, 140.0, 70.0), row(10, 140.0, 151.0)])
        .await;
    running.settle().await;
    let device = DeviceId::new("c-1").unwrap();
    let series = running.parts.store.series(Some(&device));
    let last: Vec<(&str, u64, f64)> = series
        .iter()
        .map(|series| (series.signal.as_str(), series.count, series.last_value))
        .collect();
    assert_eq!(last.len(), 2, "{last:?}");
    assert_eq!(last[0], ("bearing_temperature_c", 1, 70.0));
    assert!((last[1].2 - 60.0).abs() < 1e-9, "{last:?}");
    running.stop().await;

    // The model says that oil does not warm by 20 K in a second. The last value is known from
    // the store: without it the first reading after a restart would have nothing to be held
    // against.
    let running = start(dir.path()).await;
    running.send("c-1", &[row(11, 300.0, 70.5)]).await;
    running.settle().await;
    let query = historian::DeadLetterQuery {
        limit: 10,
        ..historian::DeadLetterQuery::default()
    };
    let letters = running.parts.journal.dead_letters(query).await.unwrap();
    let reasons: Vec<_> = letters
        .iter()
        .map(|stored| stored.letter.reason.as_str())
        .collect();
    assert_eq!(reasons, ["rate_of_change", "out_of_range"]);
    running.stop().await;
}

/// The first block of this kind in a page.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let fence = format!("```{kind}\n");
    let begin = page.find(&fence).unwrap() + fence.len();
    let length = page[begin..].find("```").unwrap();
    &page[begin..begin + length]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_the_security_page_is_onboarded() {
    let page = include_str!("../../../docs/security.md");
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let options = service::OnboardOptions::default();
    let csv = block(page, "csv");
    let report = running.parts.service.onboard(csv.as_bytes(), options);
    let report = report.await.unwrap();
    assert!(report.applied, "{report:?}");
    assert_eq!(report.created.devices.len(), 2);
    running.stop().await;
}
