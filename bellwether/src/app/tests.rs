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
            let fault = if row >= 200 { 40.0 } else { 0.0 };
            let payload = format!(
                "{{\"ts\":{},\"shell_temperature_c\":{:.3},\"load_pct\":{:.3}}}",
                1_700_000_000_000 + row * 60_000,
                80.0 + wave + fault,
                50.0 + 5.0 * wave
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
