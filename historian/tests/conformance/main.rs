//! One suite for every store of time series: the embedded one, `InfluxDB` as recorded, and a real
//! `InfluxDB` 2 when `BELLWETHER_TEST_INFLUX_URL`, `_TOKEN` and `_ORG` name one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "two test programs share it and use a part each")]
mod http;
mod suite;

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use historian::{
    InfluxConfig, InfluxState, InfluxStore, InfluxWriter, Journal, JournalConfig, Store,
    StoreConfig,
};
use http::{Peer, Reply};
use telemetry::{JournalWriter, SystemClock};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A journal with a store that follows it.
struct Embedded {
    _folder: TempDir,
    journal: Journal,
    store: Store,
    stop: CancellationToken,
}

impl Embedded {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(JournalConfig::at(folder.path().join("journal.db"))).unwrap();
        let store = Store::open(
            StoreConfig::at(folder.path().join("historian.db")),
            &journal,
        )
        .await
        .unwrap();
        let stop = CancellationToken::new();
        let run = store
            .clone()
            .run(journal.clone(), Arc::new(SystemClock), stop.clone());
        tokio::spawn(run);
        Self {
            _folder: folder,
            journal,
            store,
            stop,
        }
    }

    async fn write_all(&self) {
        for record in suite::records() {
            self.journal.append(record).await.unwrap();
        }
    }

    async fn caught_up(&self) {
        let committed = *self.journal.committed().borrow();
        while self.store.applied() < committed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let embedded = Embedded::new().await;
    embedded.write_all().await;
    embedded.caught_up().await;
    suite::run(&embedded.store).await;
    embedded.stop.cancel();
}

/// The replies lie beside this file, one for each query the suite makes, written in the form
/// `InfluxDB` 2 documents for annotated CSV. A query that is not among them fails the test.
#[tokio::test]
async fn influxdb_conforms_by_recorded_replies() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/recorded");
    let mut replies = HashMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "flux") {
            let query = std::fs::read_to_string(&path).unwrap();
            let reply = std::fs::read_to_string(path.with_extension("csv")).unwrap();
            replies.insert(query.trim().to_owned(), reply);
        }
    }
    let peer = Peer::start(move |request| {
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let query = body["query"].as_str().unwrap().trim().to_owned();
        let asks_right = request.method == "POST"
            && request.target == "/api/v2/query?org=plant"
            && request.headers["authorization"] == "Token secret"
            && request.headers["accept"] == "application/csv"
            && body["type"] == "flux"
            && body["dialect"]["annotations"]
                == serde_json::json!(["datatype", "group", "default"]);
        match replies.get(&query).filter(|_| asks_right) {
            Some(reply) => Reply::status(200, reply.replace('\n', "\r\n")),
            None => Reply::status(400, format!("there is no recorded reply to\n{query}\n")),
        }
    })
    .await;
    let config = InfluxConfig::new(peer.url(), "plant", "conformance", "secret");
    suite::run(&InfluxStore::new(&config).unwrap()).await;
}

/// The whole way: journal, writer, server, Flux.
#[tokio::test]
async fn a_real_influxdb_conforms() {
    let variable = |name: &str| std::env::var(format!("BELLWETHER_TEST_INFLUX_{name}")).ok();
    let (Some(url), Some(token), Some(org)) = (variable("URL"), variable("TOKEN"), variable("ORG"))
    else {
        eprintln!(
            "passed over: a_real_influxdb_conforms: BELLWETHER_TEST_INFLUX_URL, _TOKEN and _ORG name no server"
        );
        return;
    };
    // A bucket of its own, which the writer has to make; InfluxDB's least retention drops it.
    let bucket = format!(
        "bellwether-conformance-{}-{}",
        std::process::id(),
        suite::START_S
    );
    let mut config = InfluxConfig::new(url, org, bucket, token);
    config.flush_interval = Duration::from_millis(10);
    let embedded = Embedded::new().await;
    embedded.write_all().await;
    let writer = InfluxWriter::new(&config).unwrap();
    let monitor = writer.monitor();
    let stop = CancellationToken::new();
    let run = writer.run(
        embedded.journal.clone(),
        embedded.store.clone(),
        Arc::new(SystemClock),
        stop.clone(),
    );
    let run = tokio::spawn(run);
    let written = async {
        let done = |status: historian::InfluxStatus| {
            status.state == InfluxState::Running && status.lag() == 0
        };
        while !done(monitor.status()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_mins(1), written).await;
    assert!(in_time.is_ok(), "{:?}", monitor.status());
    stop.cancel();
    run.await.unwrap().unwrap();
    assert_eq!(
        monitor.status().refused,
        0,
        "{:?}",
        monitor.status().refusals
    );
    suite::run(&InfluxStore::new(&config).unwrap()).await;
}
