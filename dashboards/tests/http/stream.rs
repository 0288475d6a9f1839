//! Changes as they happen.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::plant::{Plant, asset};

/// Reads events off a stream.
struct Events {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Events {
    async fn open(plant: &Plant) -> Self {
        let response: Response = plant.get("/api/v1/stream").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self {
            body: response.bytes_stream().boxed(),
            text: String::new(),
        };
        // The greeting shows that the server listens for this stream from now on.
        assert!(events.block().await.unwrap().contains("retry: 2000"));
        events
    }

    /// The next block; none when the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = self.text[..end].to_owned();
                self.text.drain(..end + 2);
                return Some(block);
            }
            let read = tokio::time::timeout(Duration::from_secs(20), self.body.next());
            match read.await.expect("nothing came for 20 s") {
                Some(Ok(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next event of a kind.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            let block = self.block().await.expect("the stream ended");
            let line = |name: &str| {
                let found = block.lines().find_map(|line| line.strip_prefix(name));
                found.map(|value| value.trim().to_owned())
            };
            if line("event:").as_deref() == Some(kind) {
                return serde_json::from_str(&line("data:").unwrap()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn changes_arrive_as_the_api_shows_them() {
    let plant = Plant::open().await;
    let case = plant.alarm("pump-1", "cavitation", 10).await;
    let mut events = Events::open(&plant).await;
    plant
        .post(
            &format!("/api/v1/cases/{case}/acknowledge"),
            json!({ "by": "Li" }),
            200,
        )
        .await;
    let told = events.next("case").await;
    let shown = plant.read("/api/v1/cases").await["items"][0].clone();
    assert_eq!(told, shown);
    plant
        .post(
            "/api/v1/work-orders/WO-000001/approve",
            json!({ "by": "Ann" }),
            200,
        )
        .await;
    let told = events.next("work_order").await;
    assert_eq!(
        (&told["id"], &told["status"]),
        (&json!("WO-000001"), &json!("approved"))
    );
    plant.parts.events.asset_changed(&asset("pump-1"));
    let told = events.next("asset").await;
    let shown = plant.read("/api/v1/assets").await["items"][0].clone();
    assert_eq!(told, shown);
    plant.close().await;
}

#[tokio::test]
async fn the_shutdown_ends_every_stream_and_then_the_server() {
    let plant = Plant::open().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(Events::open(&plant).await);
    }
    plant.parts.shutdown.cancel();
    for events in &mut streams {
        assert_eq!(events.block().await, None);
    }
    plant.close().await;
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let plant = Plant::open().await;
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(Events::open(&plant).await);
    }
    let refused = plant
        .request(Method::GET, "/api/v1/stream")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    open.clear();
    loop {
        let response = plant.get("/api/v1/stream").await;
        if response.status() == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    plant.close().await;
}
