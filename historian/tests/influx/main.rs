//! The `InfluxDB` writer against peers that misbehave in every way servers do, and against a real
//! server that takes `/api/v2/write` (victoria-metrics of Debian).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "two test programs share it and use a part each")]
#[path = "../conformance/http.rs"]
mod http;
mod queries;
mod victoria;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use historian::{
    InfluxConfig, InfluxMonitor, InfluxState, InfluxStatus, InfluxWriter, Journal, JournalConfig,
    Store, StoreConfig,
};
use http::{Peer, Reply, Request};
use influxdb_line_protocol::parse_lines;
use telemetry::{
    DeviceId, JournalRecord, JournalWriter, Offset, SignalName, SystemClock, Timestamp,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far above what any of this takes; only a defect reaches it.
const DEADLINE: Duration = Duration::from_mins(2);

/// Device, second, signals with values.
type Row<'a> = (&'a str, i64, &'a [(&'a str, f64)]);

/// A journal with its store and a writer.
struct Plant {
    _folder: TempDir,
    journal: Journal,
    store: Store,
    stop: CancellationToken,
}

struct Running {
    monitor: InfluxMonitor,
    stop: CancellationToken,
    task: JoinHandle<Result<(), historian::HistorianError>>,
}

impl Plant {
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
        tokio::spawn(
            store
                .clone()
                .run(journal.clone(), Arc::new(SystemClock), stop.clone()),
        );
        Self {
            _folder: folder,
            journal,
            store,
            stop,
        }
    }

    async fn append(&self, rows: &[Row<'_>]) -> Offset {
        let mut record = JournalRecord::default();
        for &(device, seconds, values) in rows {
            let batch = &mut record.readings;
            let device = batch.device(&DeviceId::new(device).unwrap());
            for (signal, value) in values {
                let signal = batch.signal(&SignalName::new(signal).unwrap());
                batch.push_value(signal, *value);
            }
            batch.finish_row(device, Timestamp::from_secs(seconds), Timestamp::EPOCH);
        }
        self.journal.append(record).await.unwrap()
    }

    fn write_to(&self, config: &InfluxConfig) -> Running {
        let writer = InfluxWriter::new(config).unwrap();
        let monitor = writer.monitor();
        let stop = CancellationToken::new();
        let run = writer.run(
            self.journal.clone(),
            self.store.clone(),
            Arc::new(SystemClock),
            stop.clone(),
        );
        Running {
            monitor,
            task: tokio::spawn(run),
            stop,
        }
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    async fn until(&self, what: &str, holds: impl Fn(&InfluxStatus) -> bool) -> InfluxStatus {
        let waiting = async {
            loop {
                let status = self.monitor.status();
                if holds(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, waiting).await;
        found.unwrap_or_else(|_| panic!("{what}: {:?}", self.monitor.status()))
    }

    async fn written(&self, offset: Offset) -> InfluxStatus {
        self.until("everything is written", |status| {
            status.position >= offset && status.state == InfluxState::Running
        })
        .await
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// What a peer has been told, line by line, and what it says first.
#[derive(Default)]
struct Told {
    lines: Mutex<Vec<String>>,
    script: Mutex<VecDeque<Reply>>,
}

impl Told {
    fn scripted(script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
        })
    }

    /// Answers a write by the script, then takes it.
    fn write(&self, request: &Request) -> Reply {
        if !request.target.starts_with("/api/v2/write") {
            return Reply::status(404, "no such page");
        }
        assert_eq!(request.headers["content-encoding"], "gzip");
        assert_eq!(request.headers["authorization"], "Token secret");
        assert_eq!(
            request.target,
            "/api/v2/write?org=plant&bucket=readings&precision=us"
        );
        if let Some(reply) = self.script.lock().unwrap().pop_front() {
            return reply;
        }
        self.take(&request.body);
        Reply::status(204, "")
    }

    fn take(&self, body: &str) {
        self.lines
            .lock()
            .unwrap()
            .extend(body.lines().map(str::to_owned));
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn config(url: String) -> InfluxConfig {
    let mut config = InfluxConfig::new(url, "plant", "readings", "secret");
    config.flush_interval = Duration::from_millis(5);
    config.timeout = Duration::from_secs(1);
    config
}

fn partial(message: &str) -> Reply {
    Reply::status(
        400,
        format!("{{\"code\":\"invalid\",\"message\":\"{message}\"}}"),
    )
}

#[tokio::test]
async fn a_server_that_fails_in_every_way_costs_no_reading_and_no_order() {
    let asked = Reply::Answer {
        status: 429,
        headers: vec![("retry-after", "1".to_owned())],
        body: String::new(),
    };
    let told = Told::scripted([
        Reply::status(503, "overloaded"),
        Reply::Cut,
        Reply::status(500, "{\"message\":\"internal error\"}"),
        asked,
        Reply::Hang,
        Reply::status(401, "{\"message\":\"unauthorized access\"}"),
        Reply::Cut,
    ]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| answers.write(&request)).await;
    let plant = Plant::new().await;
    for second in 0..100 {
        plant
            .append(&[("pump-1", second, &[("a", second as f64), ("b", 0.5)])])
            .await;
    }
    let mut config = config(peer.url());
    config.batch_points = 30;
    let writer = plant.write_to(&config);
    let status = writer.written(Offset(100)).await;
    assert!(status.retries >= 6, "{status:?}");
    assert!(
        status.last_error.is_some() && status.refused == 0,
        "{status:?}"
    );
    assert_eq!(status.points_written, 200, "{status:?}");
    let expected: Vec<String> = (0..100)
        .map(|second| format!("reading,device=pump-1 a={second}.0,b=0.5 {second}000000"))
        .map(|line| line.replace(" 0000000", " 0"))
        .collect();
    let lines = told.lines();
    // A batch whose answer was lost is sent again; without those, order and number are exact.
    assert_eq!(lines, expected);
    writer.stopped().await;
}

#[tokio::test]
async fn nothing_is_given_up_while_the_server_is_dead_and_the_place_is_kept() {
    let plant = Plant::new().await;
    let offset = plant.append(&[("pump-1", 1, &[("a", 1.0)])]).await;
    // An address at which nobody listens.
    let dead = Peer::start(|_| Reply::Cut).await;
    let url = dead.url();
    drop(dead);
    let writer = plant.write_to(&config(url));
    writer.until("it tries", |status| status.retries >= 2).await;
    writer.stopped().await;
    let saved = plant.journal.register_reader("influxdb").await.unwrap();
    assert_eq!(saved, Offset(0), "nothing was taken, so nothing is done");
    let told = Told::scripted([]);
    let answers = Arc::clone(&told);
    let alive = Peer::start(move |request| answers.write(&request)).await;
    let writer = plant.write_to(&config(alive.url()));
    writer.written(offset).await;
    writer.stopped().await;
    assert_eq!(told.lines(), ["reading,device=pump-1 a=1.0 1000000"]);
    let saved = plant.journal.register_reader("influxdb").await.unwrap();
    assert_eq!(saved, offset);
}

/// Refuses a body that holds `bad`, as a server does with a field of another type: with a message
/// and without taking the rest.
fn picky(told: &Told, request: &Request) -> Reply {
    if request.target.starts_with("/api/v2/write") && request.body.contains("bad=") {
        return partial("partial write: field type conflict dropped=1");
    }
    told.write(request)
}

#[tokio::test]
async fn one_bad_field_is_refused_alone_counted_and_listed() {
    let told = Told::scripted([]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| picky(&answers, &request)).await;
    let plant = Plant::new().await;
    let mut last = Offset(0);
    for second in 0..50 {
        let signals: &[(&str, f64)] = if second == 17 {
            &[("a", 1.0), ("bad", 2.0), ("c", 3.0)]
        } else {
            &[("a", 1.0)]
        };
        last = plant.append(&[("pump-1", second, signals)]).await;
    }
    let writer = plant.write_to(&config(peer.url()));
    let status = writer.written(last).await;
    assert_eq!(
        (status.refused, status.points_written),
        (1, 51),
        "{status:?}"
    );
    assert_eq!(
        status.refusals[0].line,
        "reading,device=pump-1 bad=2.0 17000000"
    );
    assert!(
        status.refusals[0].reason.contains("field type conflict"),
        "{status:?}"
    );
    let text = told.lines().join("\n");
    let fields: usize = parse_lines(&text)
        .map(|line| line.unwrap().field_set.len())
        .sum();
    assert_eq!(fields, 51, "everything else was written, once");
    writer.stopped().await;
    // Count and list outlive the program.
    let writer = plant.write_to(&config(peer.url()));
    let status = writer
        .until("it has started", |status| status.refused > 0)
        .await;
    assert_eq!((status.refused, status.refusals.len()), (1, 1));
    writer.stopped().await;
}

#[tokio::test]
async fn what_is_older_than_the_bucket_keeps_is_refused_in_one_go() {
    let requests = Arc::new(Mutex::new(0));
    let count = Arc::clone(&requests);
    let peer = Peer::start(move |request| {
        if !request.target.starts_with("/api/v2/write") {
            return Reply::status(404, "");
        }
        *count.lock().unwrap() += 1;
        let lines = request.body.lines().count();
        let message = format!("partial write: points beyond retention policy dropped={lines}");
        Reply::status(
            422,
            format!("{{\"code\":\"unprocessable entity\",\"message\":\"{message}\"}}"),
        )
    })
    .await;
    let plant = Plant::new().await;
    let rows: Vec<Row<'_>> = (0..500)
        .map(|second| ("pump-1", second, &[("a", 1.0), ("b", 2.0)][..]))
        .collect();
    plant.append(&rows).await;
    let writer = plant.write_to(&config(peer.url()));
    let status = writer
        .until("all is refused", |status| status.position >= Offset(1))
        .await;
    assert_eq!((status.refused, status.refusals.len()), (1000, 1));
    assert_eq!(*requests.lock().unwrap(), 1);
    writer.stopped().await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    let told = Told::scripted([]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| {
        if request.body.lines().count() > 10 {
            return Reply::status(413, "too large");
        }
        answers.write(&request)
    })
    .await;
    let plant = Plant::new().await;
    let rows: Vec<Row<'_>> = (0..64)
        .map(|second| ("pump-1", second, &[("a", 1.0)][..]))
        .collect();
    let offset = plant.append(&rows).await;
    let writer = plant.write_to(&config(peer.url()));
    let status = writer.written(offset).await;
    assert_eq!((status.points_written, status.refused), (64, 0));
    let times: Vec<i64> = parse_lines(&told.lines().join("\n"))
        .map(|line| line.unwrap().timestamp.unwrap() / 1_000_000)
        .collect();
    assert_eq!(times, (0..64).collect::<Vec<_>>(), "in order");
    writer.stopped().await;
}

#[tokio::test]
async fn the_token_is_told_to_be_wrong_and_taken_once_it_is_right() {
    let refuse = || {
        Reply::status(
            401,
            "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}",
        )
    };
    let told = Told::scripted([refuse(), refuse()]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| answers.write(&request)).await;
    let plant = Plant::new().await;
    let offset = plant.append(&[("pump-1", 1, &[("a", 1.0)])]).await;
    let writer = plant.write_to(&config(peer.url()));
    let status = writer
        .until("it is refused", |status| {
            status.state == InfluxState::Unauthorized
        })
        .await;
    assert!(status.last_error.unwrap().contains("unauthorized access"));
    writer.written(offset).await;
    writer.stopped().await;
}

#[tokio::test]
async fn the_first_value_of_a_key_is_what_the_server_ends_with() {
    let told = Told::scripted([]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| answers.write(&request)).await;
    let plant = Plant::new().await;
    plant
        .append(&[
            ("p", 10, &[("a", 1.0)]),
            ("p", 20, &[("a", 2.0)]),
            ("p", 20, &[("a", 3.0)]),
        ])
        .await;
    let offset = plant
        .append(&[("p", 10, &[("a", 4.0)]), ("p", 15, &[("a", 5.0)])])
        .await;
    let writer = plant.write_to(&config(peer.url()));
    writer.written(offset).await;
    writer.stopped().await;
    // Another run, which remembers nothing of the first.
    let writer = plant.write_to(&config(peer.url()));
    writer
        .until("it has started", |status| {
            status.state == InfluxState::Starting
        })
        .await;
    let offset = plant
        .append(&[("p", 15, &[("a", 6.0)]), ("p", 30, &[("a", 7.0)])])
        .await;
    writer.written(offset).await;
    writer.stopped().await;
    // The last line of a key is what the server keeps.
    let mut kept = std::collections::BTreeMap::new();
    for line in told.lines() {
        let (head, at) = line.rsplit_once(' ').unwrap();
        kept.insert(
            at.parse::<i64>().unwrap() / 1_000_000,
            head.rsplit_once('=').unwrap().1.to_owned(),
        );
    }
    let kept: Vec<(i64, &str)> = kept
        .iter()
        .map(|(at, value)| (*at, value.as_str()))
        .collect();
    assert_eq!(kept, [(10, "1.0"), (15, "5.0"), (20, "2.0"), (30, "7.0")]);
}

#[tokio::test]
async fn times_the_server_cannot_hold_are_refused_without_asking_it() {
    let told = Told::scripted([]);
    let answers = Arc::clone(&told);
    let peer = Peer::start(move |request| answers.write(&request)).await;
    let plant = Plant::new().await;
    // The years 1500 and 2500.
    let rows: [Row<'_>; 3] = [
        ("p", -14_831_769_600, &[("a", 1.0)]),
        ("p", 0, &[("a", 2.0)]),
        ("p", 16_725_225_600, &[("a", 3.0)]),
    ];
    let offset = plant.append(&rows).await;
    let writer = plant.write_to(&config(peer.url()));
    let status = writer.written(offset).await;
    assert_eq!(
        (status.points_written, status.refused),
        (1, 2),
        "{status:?}"
    );
    assert!(
        status.refusals[0].reason.contains("1677 to 2262"),
        "{status:?}"
    );
    writer.stopped().await;
}

#[tokio::test]
async fn a_missing_bucket_is_made_with_its_retention() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let told = Told::scripted([]);
    let (answers, bodies) = (Arc::clone(&told), Arc::clone(&made));
    let peer = Peer::start(move |request| {
        let path = request.target.split('?').next().unwrap();
        match (request.method.as_str(), path) {
            ("GET", "/api/v2/buckets") => Reply::status(
                404,
                "{\"code\":\"not found\",\"message\":\"bucket \\\"readings\\\" not found\"}",
            ),
            ("GET", "/api/v2/orgs") => Reply::status(
                200,
                "{\"orgs\":[{\"id\":\"0123456789abcdef\",\"name\":\"plant\"}]}",
            ),
            ("POST", "/api/v2/buckets") => {
                bodies.lock().unwrap().push(request.body);
                Reply::status(201, "{}")
            }
            ("GET", "/health") => Reply::status(
                200,
                "{\"name\":\"influxdb\",\"status\":\"pass\",\"checks\":[],\"version\":\"v2.7.12\"}",
            ),
            _ => answers.write(&request),
        }
    })
    .await;
    let plant = Plant::new().await;
    let offset = plant.append(&[("p", 1, &[("a", 1.0)])]).await;
    let mut config = config(peer.url());
    config.retention = Some(Duration::from_hours(400 * 24));
    let writer = plant.write_to(&config);
    writer.written(offset).await;
    writer.stopped().await;
    let made = made.lock().unwrap();
    let body: serde_json::Value = serde_json::from_str(&made[0]).unwrap();
    assert_eq!(
        (body["orgID"].as_str(), body["name"].as_str(), made.len()),
        (Some("0123456789abcdef"), Some("readings"), 1)
    );
    assert_eq!(body["retentionRules"][0]["everySeconds"], 34_560_000);
    assert_eq!(told.lines().len(), 1);
}
